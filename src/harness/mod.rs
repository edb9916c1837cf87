//! The library interface: every case as a test of another project's `cargo test`.
//!
//! [`Harness`] says what is tested and with what; [`Harness::trials`] gives one [`Trial`] for each
//! case, each check over the whole run and each standing check. Making the list reads files and
//! sends nothing. The first trial that runs starts the server and probes it; the others of the
//! same process share that. When the last trial has run or was thrown away, every session that was
//! made is logged out, and then the server is stopped.
//!
//! A test program with `harness = false` needs one file, and homespec as its only dev-dependency:
//!
//! ```no_run
//! use homespec::harness::{Harness, Server};
//! use std::process::{Child, Command, ExitCode};
//!
//! fn main() -> ExitCode {
//!     Harness::starting(my_homeserver)
//!         .wait_ready(std::time::Duration::from_secs(10))
//!         .register_open()
//!         .main()
//! }
//!
//! /// Ends the homeserver with the tests.
//! struct Running(Child);
//!
//! impl Drop for Running {
//!     fn drop(&mut self) {
//!         let _ = self.0.kill();
//!         let _ = self.0.wait();
//!     }
//! }
//!
//! fn my_homeserver() -> std::io::Result<Server> {
//!     let child = Command::new("my-homeserver").args(["--listen", "127.0.0.1:8448"]).spawn()?;
//!     Ok(Server::at("http://127.0.0.1:8448").keeping(Running(child)))
//! }
//! ```
//!
//! [`Harness::main`] understands what `cargo test` and `cargo nextest` say to a test program: a filter,
//! `--exact`, `--skip`, `--list`, `--test-threads`. `examples/axum-homeserver` in the repository is a
//! whole project that does so. With a test framework of one's own, run each [`Trial`] in it instead.
//!
//! **What is stable:** the names in this module, what they do, and the ids of trials. With a minor version
//! cases are added, which are new trials and may fail: the changelog says so.
//!
//! **One process a case** (`cargo nextest run`): each process starts a server of its own, plans the
//! whole selection and runs one case of it, so that a case gets the same accounts and the same
//! verdict as in a whole run. Against a server that outlives the test, each process costs one login
//! more; give it open registration and no rate limit.
//!
//! **Checks over many answers.** A standing check and a check over the whole run look at every
//! answer that this process has seen. Their trials first run the cases of the same process that
//! have not run yet, in whatever order the tests come; alone in a process they look at the probe
//! and at making the accounts, and are ignored if these gave no occasion.
//!
//! **Not from inside an async function:** a trial waits for its answers, and blocks its thread.
mod error;

pub use crate::accounts::command::{ExternalCommand, InvalidCommand};
pub use crate::accounts::operator::{Appservice, Email, Operator, Owner, Phone};
pub use crate::case::ast::{Act, Api};
pub use crate::model::run::{Level, Run};
pub use crate::plan::facts::Allow;
pub use crate::redact::SecretString;
pub use error::HarnessError;

use crate::accounts::pool::{AccountProvider, AccountSources, Credential, SuppliedAccount};
use crate::baseline::{self, Baseline, STANDING};
use crate::case::ast::Case;
use crate::case::suite::Suite;
use crate::check::whole_run::{AREA, CHECKS};
use crate::http::client::Transport;
use crate::http::target::{NoTargetUrl, Target};
use crate::model::exit::Gate;
use crate::model::run::{
    CaseOutcome, Finding, OutdatedEntry, Reason, RecordedExchange, StandingOutcome, Verdict,
};
use crate::pipeline::{ActiveRun, Job, Material, Policies, Prepared, RunWithheld, chosen, prepare};
use crate::plan::selection::{Selection, selects_check, selects_standing};
use crate::plan::{Claim, PlannedCase};
use crate::redact::RedactedRun;
use crate::report;
use crate::requirements::Register;
use crate::run::executor::{CaseResult, Silent};
use crate::spec::Spec;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::document::Document;
use libtest_mimic::{Arguments, Completion, Failed};
use std::any::Any;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// What is tested, and with what. The defaults are those of the command line, but for the reports:
/// none is written.
pub struct Harness {
    start: Start,
    sources: AccountSources,
    operator: Operator,
    selection: Selection,
    allowed: BTreeSet<Allow>,
    api: Option<Api>,
    timeout: Duration,
    max_wait: Duration,
    wait_ready: Duration,
    fail_on_should: bool,
    more_cases: Option<PathBuf>,
    only_cases: Option<PathBuf>,
    spec: Option<PathBuf>,
    baseline: Option<PathBuf>,
}

type Start = Box<dyn FnOnce() -> Result<Server, String> + Send>;

/// A server that was started for the tests.
pub struct Server {
    url: String,
    guard: Option<Box<dyn Any + Send>>,
}

impl Server {
    /// A server at this base URL.
    pub fn at(url: impl Into<String>) -> Server {
        Server { url: url.into(), guard: None }
    }

    /// Keeps a value until the last trial is over: what stops the server when it is dropped.
    pub fn keeping(mut self, guard: impl Any + Send) -> Server {
        self.guard = Some(Box::new(guard));
        self
    }
}

impl<T: Into<String>> From<T> for Server {
    fn from(url: T) -> Server {
        Server::at(url)
    }
}

impl Harness {
    /// Tests a server that runs already, by its base URL.
    pub fn at(url: impl Into<String>) -> Harness {
        let url = url.into();
        Harness::starting(move || Ok::<_, String>(url))
    }

    /// Tests a server that this starts when the first trial runs, once a process. It returns the
    /// base URL, or a [`Server`] with what has to be kept while it runs.
    pub fn starting<S: Into<Server>, E: Display>(
        start: impl FnOnce() -> Result<S, E> + Send + 'static,
    ) -> Harness {
        Harness {
            start: Box::new(|| start().map(Into::into).map_err(|error| error.to_string())),
            sources: AccountSources::default(),
            operator: Operator::default(),
            selection: Selection::default(),
            allowed: BTreeSet::new(),
            api: None,
            timeout: Duration::from_secs(30),
            max_wait: Duration::from_secs(60),
            wait_ready: Duration::ZERO,
            fail_on_should: false,
            more_cases: None,
            only_cases: None,
            spec: None,
            baseline: None,
        }
    }

    /// An account that somebody needs; its localpart or full id, and its password. In order.
    pub fn account(self, user: impl Into<String>, password: impl Into<String>) -> Harness {
        let credential = Credential::Password(password.into().into());
        self.supplied(SuppliedAccount { user: user.into(), credential, disposable: false })
    }

    /// The same, known by an access token alone.
    pub fn account_by_token(self, user: impl Into<String>, token: impl Into<String>) -> Harness {
        let credential = Credential::AccessToken(token.into().into());
        self.supplied(SuppliedAccount { user: user.into(), credential, disposable: false })
    }

    /// An account that nobody needs afterwards.
    pub fn disposable(self, user: impl Into<String>, password: impl Into<String>) -> Harness {
        let credential = Credential::Password(password.into().into());
        self.supplied(SuppliedAccount { user: user.into(), credential, disposable: true })
    }

    fn supplied(mut self, account: SuppliedAccount) -> Harness {
        self.sources.supplied.push(account);
        self
    }

    /// Makes accounts by open registration.
    pub fn register_open(mut self) -> Harness {
        self.sources.maker = Some(AccountProvider::Open);
        self
    }

    /// Makes accounts with a registration token.
    pub fn register_with_token(mut self, token: impl Into<String>) -> Harness {
        self.sources.maker = Some(AccountProvider::Token(token.into().into()));
        self
    }

    /// Makes accounts by Synapse's admin call with a shared secret.
    pub fn register_with_shared_secret(mut self, secret: impl Into<String>) -> Harness {
        self.sources.maker = Some(AccountProvider::SharedSecret(secret.into().into()));
        self
    }

    /// Gives what only an operator can give or do: an application service, bound addresses, an admin's
    /// token, hooks.
    #[must_use]
    pub fn operator(mut self, operator: Operator) -> Self {
        self.operator = operator;
        self
    }

    /// Selects cases by a glob over their ids; said several times, any of them.
    pub fn case(mut self, glob: impl Into<String>) -> Harness {
        self.selection.cases.push(glob.into());
        self
    }

    /// Selects what decides these requirements, by a glob over their ids.
    pub fn requirement(mut self, glob: impl Into<String>) -> Harness {
        self.selection.requirements.push(glob.into());
        self
    }

    /// Selects the cases of an area.
    pub fn area(mut self, name: impl Into<String>) -> Harness {
        self.selection.areas.push(name.into());
        self
    }

    /// Selects what decides requirements of this level.
    pub fn level(mut self, level: Level) -> Harness {
        self.selection.levels.push(level);
        self
    }

    /// Leaves out cases by a glob over their ids.
    pub fn skip(mut self, glob: impl Into<String>) -> Harness {
        self.selection.skip.push(glob.into());
        self
    }

    /// Allows a class of cases that is not run unasked.
    pub fn allow(mut self, class: Allow) -> Harness {
        self.allowed.insert(class);
        self
    }

    /// Uses this path prefix instead of what `/versions` suggests.
    pub fn api(mut self, api: Api) -> Harness {
        self.api = Some(api);
        self
    }

    /// How long one request may take; 30 s.
    pub fn timeout(mut self, time: Duration) -> Harness {
        self.timeout = time;
        self
    }

    /// How long all waiting for rate limits together may take; 60 s.
    pub fn max_wait(mut self, time: Duration) -> Harness {
        self.max_wait = time;
        self
    }

    /// How long the server may take until it answers; it is asked once otherwise.
    pub fn wait_ready(mut self, time: Duration) -> Harness {
        self.wait_ready = time;
        self
    }

    /// Lets a broken SHOULD fail a trial.
    pub fn fail_on_should(mut self) -> Harness {
        self.fail_on_should = true;
        self
    }

    /// Adds the cases of a folder.
    pub fn cases(mut self, folder: impl Into<PathBuf>) -> Harness {
        self.more_cases = Some(folder.into());
        self
    }

    /// Uses just the cases of a folder.
    pub fn only_cases(mut self, folder: impl Into<PathBuf>) -> Harness {
        self.only_cases = Some(folder.into());
        self
    }

    /// Uses the OpenAPI files of a folder, for the operations that it has.
    pub fn spec(mut self, folder: impl Into<PathBuf>) -> Harness {
        self.spec = Some(folder.into());
        self
    }

    /// The findings that the project knows, in a file as `--baseline` takes it. A trial passes if all that it found is
    /// known, as [`Outcome::Warned`], and fails if an entry of its case no longer holds.
    pub fn baseline(mut self, file: impl Into<PathBuf>) -> Harness {
        self.baseline = Some(file.into());
        self
    }

    /// One trial for each case, check over the whole run and standing check of the selection, in
    /// the order in which they are best run. Nothing is started and nothing sent.
    ///
    /// # Errors
    /// Files that are wrong, a selection that names nothing.
    pub fn trials(self) -> Result<Vec<Trial>, HarnessError> {
        let material = Arc::new(self.material().map_err(HarnessError::files)?);
        let baseline = self.known(&material).map_err(HarnessError::files)?;
        let mut cases: Vec<Case> = chosen(&material, &self.selection)
            .map_err(HarnessError::job)?
            .into_iter()
            .cloned()
            .collect();
        cases.sort_by_key(Case::phase);
        let questions = questions(&cases, &material.register, &self.selection);
        let fail_on_should = self.fail_on_should;
        let shared = Arc::new(Shared {
            wanted: cases.iter().map(|_| AtomicBool::new(true)).collect(),
            cases,
            fail_on_should,
            has_baseline: baseline.is_some(),
            register: material.register.clone(),
            starting: Mutex::new(Some(Box::new(move || self.live(material, baseline)))),
            live: OnceLock::new(),
        });
        let trial = |(question, id, title)| Trial {
            id,
            title,
            part: Part { question, runs: false, shared: shared.clone() },
        };
        Ok(questions.into_iter().map(trial).collect())
    }

    /// The whole of a test program: lists or runs the trials as the arguments of the process ask, which are those of
    /// every Rust test program. Gives 0 if none failed, 101 if one did, and 1, with what is wrong on standard error, if
    /// there are no trials. What was not observed or does not apply is shown as ignored.
    pub fn main(self) -> ExitCode {
        let arguments = Arguments::from_args();
        match self.trials() {
            Ok(trials) => {
                let tests = trials.into_iter().map(Trial::into_test).collect();
                libtest_mimic::run(&arguments, tests).exit_code()
            }
            Err(error) => {
                eprintln!("Error: {error}");
                ExitCode::FAILURE
            }
        }
    }

    /// Runs everything at once, as the command line does, and gives what came of it.
    ///
    /// # Errors
    /// Files that are wrong, a selection that names nothing, a server that does not start, secrets that
    /// cannot be kept out of the result.
    pub fn run(self) -> Result<Run, HarnessError> {
        const JOBS: usize = 4;
        let material = Arc::new(self.material().map_err(HarnessError::files)?);
        chosen(&material, &self.selection).map_err(HarnessError::job)?;
        let runtime = runtime()?;
        let baseline = self.known(&material).map_err(HarnessError::files)?;
        let (prepared, guard) = self.prepared(material, baseline, JOBS)?;
        let run = runtime.block_on(prepared.run(&Silent));
        drop(guard);
        Ok(run.map_err(HarnessError::withheld)?.into_run())
    }

    fn material(&self) -> Result<Material, Vec<Diagnostic>> {
        let suite = match (&self.only_cases, &self.more_cases) {
            (Some(only), _) => Some(Suite::from_path(only)?),
            (None, Some(more)) => Some(Suite::bundled()?.and(Suite::from_path(more)?)),
            (None, None) => None,
        };
        Material::load(suite, self.spec.as_deref().map(Spec::from_dir).transpose()?)
    }

    fn known(&self, material: &Material) -> Result<Option<Arc<Baseline>>, Vec<Diagnostic>> {
        let Some(path) = &self.baseline else { return Ok(None) };
        let document = Document::read(path, path.display().to_string())?;
        let baseline = baseline::load::load(&document, &material.register, &material.suite)?;
        Ok(Some(Arc::new(baseline)))
    }

    fn live(
        self,
        material: Arc<Material>,
        baseline: Option<Arc<Baseline>>,
    ) -> Result<Live, String> {
        let runtime = runtime().map_err(|error| error.to_string())?;
        let (prepared, guard) =
            self.prepared(material, baseline, 1).map_err(|error| error.to_string())?;
        let open = runtime.block_on(prepared.open(&Silent)).map_err(|gone| gone.sentence())?;
        let done = open.plan().cases.iter().map(|_| Mutex::default()).collect();
        let (turns, whole) = (Turns::default(), Mutex::default());
        Ok(Live { open, done, turns, whole, _guard: Mutex::new(guard), runtime })
    }

    fn prepared(
        self,
        material: Arc<Material>,
        baseline: Option<Arc<Baseline>>,
        jobs: usize,
    ) -> Result<(Prepared, Option<Box<dyn Any + Send>>), HarnessError> {
        let server = (self.start)()
            .map_err(|why| HarnessError::Start(format!("the server did not start: {why}")))?;
        let target: Target =
            server.url.parse().map_err(|why: NoTargetUrl| HarnessError::Start(why.to_string()))?;
        let job = Job {
            transport: Transport::to(target, self.timeout),
            discover: false,
            sources: self.sources,
            operator: self.operator,
            api: self.api,
            selection: self.selection,
            allowed: self.allowed,
            jobs,
            max_wait: self.max_wait,
            wait_ready: self.wait_ready,
            gate: Gate { fail_on_should: self.fail_on_should, allow_blocked: false },
            fail_fast: false,
            policies: Policies { baseline, ..Policies::default() },
        };
        Ok((prepare(material, job).map_err(HarnessError::job)?, server.guard))
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, HarnessError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| HarnessError::Start(format!("cannot start the runtime: {error}")))
}

/// How a trial ended that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The server does what is asked.
    Passed,
    /// A SHOULD is broken, or something deserves a word: the text of a failure.
    Warned(String),
    /// It does not apply to this server or was not observed, with the reason in words.
    Ignored(String),
}

/// One test: a case (with all its rows where the server decides which there are), a check over the
/// whole run, or a standing check.
pub struct Trial {
    id: String,
    title: String,
    part: Part,
}

impl Trial {
    /// `AREA::CASE`, `AREA::CASE[ROW]`, `whole-run::ID` or `standing::REQUIREMENT`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is true of a server that passes.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Runs it, and blocks until there is something to say. The first one starts the server.
    ///
    /// # Errors
    /// What is broken or could not be decided: a first line `Error: …`, then what was expected and
    /// what came, the clause, the place in the case file, the exchange and how to send it again.
    pub fn run(self) -> Result<Outcome, String> {
        let Trial { id, mut part, .. } = self;
        part.runs = true;
        let ended = part.shared.answer(&part.question, &id);
        // The last part that is dropped cleans up: before this returns, or the process may be gone.
        drop(part);
        ended
    }
}

impl Trial {
    fn into_test(self) -> libtest_mimic::Trial {
        let id = self.id.clone();
        libtest_mimic::Trial::ignorable_test(self.id.clone(), move || match self.run() {
            Ok(Outcome::Passed) => Ok(Completion::Completed),
            Ok(Outcome::Warned(text)) => {
                // A line is enough for what passes.
                let first = text.lines().next().unwrap_or_default();
                eprintln!("{id}: warned: {}", first.trim_start_matches("Error: "));
                Ok(Completion::Completed)
            }
            Ok(Outcome::Ignored(reason)) => Ok(Completion::ignored_with(reason)),
            Err(failure) => {
                // nextest shows a line of this form on standard error as the message of the failure.
                eprintln!("{}", failure.lines().next().unwrap_or_default());
                Err(Failed::from(failure))
            }
        })
    }
}

struct Part {
    question: Question,
    runs: bool,
    shared: Arc<Shared>,
}

impl Drop for Part {
    fn drop(&mut self) {
        if let (false, Question::Case(at)) = (self.runs, &self.question) {
            self.shared.no_longer_wants(*at);
        }
    }
}

/// What a trial asks.
#[derive(Debug, Clone)]
enum Question {
    /// A selected case, by its place in the list.
    Case(usize),
    /// A check over the whole run, by its id.
    WholeRun(&'static str),
    /// The standing checks of a requirement.
    Standing(String),
}

fn questions(
    cases: &[Case],
    register: &Register,
    selection: &Selection,
) -> Vec<(Question, String, String)> {
    let of_cases = cases.iter().enumerate().map(|(at, case)| {
        (Question::Case(at), format!("{}::{}", case.area, case.id), case.title.clone())
    });
    let of_run = CHECKS.iter().filter(|check| selects_check(check, selection)).map(|check| {
        let id = format!("whole-run::{}", check.id);
        (Question::WholeRun(check.id), id, check.title.to_owned())
    });
    let standing = register
        .iter()
        .filter(|r| !r.standing.is_empty() && selects_standing(&r.id, r.level, selection))
        .map(|r| {
            let id = format!("standing::{}", r.id);
            (Question::Standing(r.id.clone()), id, r.title.clone())
        });
    of_cases.chain(of_run).chain(standing).collect()
}

/// Starts the server, when the first trial needs it.
type GoLive = Box<dyn FnOnce() -> Result<Live, String> + Send>;

/// What the trials of one process share.
struct Shared {
    cases: Vec<Case>,
    /// Whether a trial for that case still waits or has run: those filtered out are not.
    wanted: Vec<AtomicBool>,
    fail_on_should: bool,
    /// What passes may be listed in it all the same.
    has_baseline: bool,
    register: Arc<Register>,
    starting: Mutex<Option<GoLive>>,
    live: OnceLock<Result<Live, String>>,
}

impl Shared {
    fn live(&self) -> Result<&Live, String> {
        let live = self.live.get_or_init(|| match lock(&self.starting).take() {
            Some(start) => start(),
            None => Err("starting the server panicked".to_owned()),
        });
        live.as_ref().map_err(|why| format!("Error: {why}"))
    }

    /// The trial of a case was filtered out.
    fn no_longer_wants(&self, case: usize) {
        if let Some(wanted) = self.wanted.get(case) {
            wanted.store(false, Ordering::SeqCst);
        }
    }

    fn answer(&self, question: &Question, id: &str) -> Result<Outcome, String> {
        let live = self.live()?;
        match question {
            Question::Case(at) => {
                let done = self.cases.get(*at).map(|case| live.run_case(case));
                let done = done.filter(|done| !done.is_empty()).ok_or_else(|| no_result(id))?;
                let passed = |(_, result): &Done| result.decided.verdict == Verdict::Passed;
                if !self.has_baseline && done.iter().all(passed) {
                    return Ok(Outcome::Passed);
                }
                let run = live.open.so_far(done).map_err(withheld)?;
                checked(&run, |run| {
                    self.of_cases(run.cases.iter().filter(|case| case.area != AREA), id, run)
                })
            }
            Question::WholeRun(check) => {
                let run = live.whole_run(self).map_err(withheld)?;
                checked(&run, |run| {
                    self.of_cases(run.cases.iter().filter(|case| case.id == *check), id, run)
                })
            }
            Question::Standing(requirement) => {
                let run = live.whole_run(self).map_err(withheld)?;
                checked(&run, |run| {
                    match run.standing.iter().find(|one| one.requirement == *requirement) {
                        Some(outcome) => self.of_standing(outcome, id, run),
                        None => Err(no_result(id)),
                    }
                })
            }
        }
    }

    fn of_cases<'r>(
        &self,
        cases: impl Iterator<Item = &'r CaseOutcome>,
        id: &str,
        run: &Run,
    ) -> Result<Outcome, String> {
        let mut worst: Option<&CaseOutcome> = None;
        for case in cases {
            outdated(run, |entry| entry.case == case.id)?;
            if worst.is_none_or(|known| known.verdict < case.verdict) {
                worst = Some(case);
            }
        }
        let case = worst.ok_or_else(|| no_result(id))?;
        let place = format!("{}, {}:{}", case.id, case.file, case.line);
        let text = || self.text(&case.findings, case.reason.as_ref(), &place, run);
        self.ended(case.verdict, &case.findings, case.reason.as_ref(), text)
    }

    fn of_standing(
        &self,
        outcome: &StandingOutcome,
        id: &str,
        run: &Run,
    ) -> Result<Outcome, String> {
        let place = format!("{id}, {} of {} answers", outcome.count, outcome.observed);
        outdated(run, |e| e.case == STANDING && e.requirement == outcome.requirement)?;
        let text = || self.text(&outcome.findings, outcome.reason.as_ref(), &place, run);
        self.ended(outcome.verdict, &outcome.findings, outcome.reason.as_ref(), text)
    }

    fn ended(
        &self,
        verdict: Verdict,
        findings: &[Finding],
        reason: Option<&Reason>,
        text: impl Fn() -> String,
    ) -> Result<Outcome, String> {
        match verdict {
            Verdict::Passed => Ok(Outcome::Passed),
            Verdict::Skipped => {
                let why = reason.map_or_else(String::new, |reason| reason.text.to_string());
                Ok(Outcome::Ignored(why))
            }
            Verdict::Warned if !self.fail_on_should => Ok(Outcome::Warned(text())),
            Verdict::Warned | Verdict::Failed if is_known(findings, verdict) => {
                Ok(Outcome::Warned(text()))
            }
            Verdict::Warned | Verdict::Blocked | Verdict::Failed | Verdict::Errored => Err(text()),
        }
    }

    /// What is wrong: each finding, or the reason why nothing could be decided.
    fn text(
        &self,
        findings: &[Finding],
        reason: Option<&Reason>,
        place: &str,
        run: &Run,
    ) -> String {
        let mut text = String::new();
        for finding in findings {
            text += &format!("Error: {}\n", sentence(finding));
            text += &format!("  expected  {}\n", finding.expected);
            text += &format!("  actual    {}\n", finding.actual);
            if let Some(requirement) = self.register.get(&finding.requirement) {
                text += &format!("  clause    {}\n", requirement.url);
            }
            text += &format!("  place     {}:{}\n", finding.file, finding.line);
        }
        if findings.is_empty() {
            let why = reason.map_or("without a reason", |reason| reason.text.as_str());
            text += &format!("Error: it could not be decided: {why}\n");
        }
        text += &format!("  test      {place}\n");
        let shown = findings.first().and_then(|finding| finding.exchange.as_deref());
        if let Some(exchange) = shown.and_then(|id| run.exchange(id)) {
            text += &exchange_in_full(exchange);
        }
        text
    }
}

fn withheld(why: RunWithheld) -> String {
    format!("Error: {why}")
}

/// What `look` says of a run, if no secret is in it.
fn checked(
    run: &RedactedRun,
    look: impl Fn(&Run) -> Result<Outcome, String>,
) -> Result<Outcome, String> {
    let text = |run: &Run| match look(run) {
        Ok(Outcome::Passed) => String::new(),
        Ok(Outcome::Warned(text) | Outcome::Ignored(text)) | Err(text) => text,
    };
    let checked =
        report::Publisher::new(run).render("the result of this test", |run| Ok(text(run)));
    checked.map_err(|why| format!("Error: {why}")).and_then(|_| look(run))
}

/// Whether a baseline knows all that makes this verdict.
fn is_known(findings: &[Finding], verdict: Verdict) -> bool {
    let mut grave = findings.iter().filter(|f| f.verdict == verdict).peekable();
    grave.peek().is_some() && grave.all(|f| f.known)
}

/// Fails with the entries of the baseline among these that no longer hold.
fn outdated(run: &Run, concerns: impl Fn(&OutdatedEntry) -> bool) -> Result<(), String> {
    let Some(baseline) = &run.baseline else { return Ok(()) };
    let line = |entry: &OutdatedEntry| {
        let OutdatedEntry { requirement, place, text, line, .. } = entry;
        format!(
            "Error: baseline entry for {requirement} ({place}): {text}\n  place     {}:{line}\n",
            baseline.file
        )
    };
    let text: String = baseline.outdated.iter().filter(|one| concerns(one)).map(line).collect();
    if text.is_empty() { Ok(()) } else { Err(text) }
}

/// The failure of a trial of which the run says nothing.
fn no_result(id: &str) -> String {
    format!("Error: internal error: there is no result for {id}; please report it")
}

fn sentence(finding: &Finding) -> String {
    let Finding { requirement, level, message, .. } = finding;
    format!("{requirement} ({level}): {}", message.replace('\n', " "))
}

fn exchange_in_full(exchange: &RecordedExchange) -> String {
    format!("{}{}\n", report::exchange_text(exchange), report::curl(exchange))
}

type Done = (PlannedCase, CaseResult);

/// A server that runs and was probed.
struct Live {
    open: ActiveRun,
    /// By place in the plan; locked while the case runs.
    done: Vec<Mutex<Option<Done>>>,
    turns: Turns,
    /// The run over all wanted cases, made when the first trial asks for it.
    whole: Mutex<Option<Arc<RedactedRun>>>,
    /// What the server needs to run; behind a lock, because nobody promised that threads may share it.
    _guard: Mutex<Option<Box<dyn Any + Send>>>,
    runtime: tokio::runtime::Runtime,
}

impl Live {
    /// Runs a selected case, row by row where the plan made several of it; what another thread runs
    /// already is waited for.
    fn run_case(&self, case: &Case) -> Vec<Done> {
        let is_row = |planned: &PlannedCase| {
            planned.case.file == case.file && planned.case.pointer == case.pointer
        };
        let rows = self.open.plan().cases.iter().zip(&self.done);
        rows.filter(|(planned, _)| is_row(planned))
            .map(|(planned, done)| self.run_row(planned, done))
            .collect()
    }

    fn run_row(&self, planned: &PlannedCase, done: &Mutex<Option<Done>>) -> Done {
        let mut done = lock(done);
        if let Some(known) = &*done {
            return known.clone();
        }
        let turn = self.turns.take(planned);
        let result = self.runtime.block_on(self.open.run_case(planned));
        drop(turn);
        done.insert((planned.clone(), result)).clone()
    }

    /// The run over everything that this process is to test; runs what has not run yet.
    fn whole_run(&self, shared: &Shared) -> Result<Arc<RedactedRun>, RunWithheld> {
        let mut whole = lock(&self.whole);
        if let Some(run) = &*whole {
            return Ok(run.clone());
        }
        let wanted = shared.cases.iter().zip(&shared.wanted);
        let done: Vec<Done> = wanted
            .filter(|(_, wanted)| wanted.load(Ordering::SeqCst))
            .flat_map(|(case, _)| self.run_case(case))
            .collect();
        Ok(whole.insert(Arc::new(self.open.so_far(done)?)).clone())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.runtime.block_on(self.open.cleanup(&Silent));
    }
}

/// Sees to it that an account serves one case at a time, and that bursts and what may wedge a
/// server run while nothing else does.
#[derive(Default)]
struct Turns {
    busy: Mutex<Busy>,
    freed: Condvar,
}

#[derive(Default)]
struct Busy {
    claims: BTreeSet<Claim>,
    running: usize,
    alone: bool,
}

impl Turns {
    fn take(&self, planned: &PlannedCase) -> Turn<'_> {
        let claims = planned.claims();
        let alone = planned.case.phase().runs_alone();
        let must_wait = |busy: &mut Busy| {
            busy.alone || (alone && busy.running > 0) || !busy.claims.is_disjoint(&claims)
        };
        let waited = self.freed.wait_while(lock(&self.busy), must_wait);
        let mut busy = waited.unwrap_or_else(PoisonError::into_inner);
        busy.claims.extend(claims.iter().cloned());
        busy.running += 1;
        busy.alone = alone;
        Turn { turns: self, claims }
    }
}

/// A turn; over when it is dropped.
struct Turn<'t> {
    turns: &'t Turns,
    claims: BTreeSet<Claim>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut busy = lock(&self.turns.busy);
        busy.claims.retain(|claim| !self.claims.contains(claim));
        busy.running -= 1;
        busy.alone = false;
        self.turns.freed.notify_all();
    }
}

/// A value behind a lock: what a panic of another trial left is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
