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
use crate::accounts::pool::{AccountProvider, AccountSources, Credential, SuppliedAccount};
use crate::baseline::{self, Baseline};
use crate::case::ast::Case;
use crate::case::suite::Suite;
use crate::harness::live::{HarnessState, Live};
use crate::harness::trial::{TrialPart, questions};
use crate::http::client::Transport;
use crate::http::target::Target;
use crate::model::exit::Gate;
use crate::pipeline::{Job, Material, Policies, Prepared, chosen, prepare};
use crate::plan::selection::Selection;
use crate::run::executor::Silent;
use crate::run::scheduler::Scheduler;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::document::Document;
use std::any::Any;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

mod error;
mod failure;
mod live;
mod trial;

pub use crate::accounts::command::{ExternalCommand, InvalidCommand};
pub use crate::accounts::operator::{Appservice, Email, Operator, Owner, Phone};
pub use crate::case::ast::{Act, Api};
pub use crate::model::run::{Level, Run};
pub use crate::plan::facts::Allow;
pub use crate::redact::SecretString;
pub use error::HarnessError;
pub use trial::{Outcome, Trial, TrialError};

/// A target with the options of its test. The defaults are those of the command line, but for the
/// reports: none is written.
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

    /// Sets the time limit of one request; 30 s by default.
    pub fn timeout(mut self, time: Duration) -> Harness {
        self.timeout = time;
        self
    }

    /// Sets the time limit of all waits for rate limits together; 60 s by default.
    pub fn max_wait(mut self, time: Duration) -> Harness {
        self.max_wait = time;
        self
    }

    /// Sets the time that the server may take to start; without it, it is asked once.
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
        let selected = chosen(&material, &self.selection).map_err(HarnessError::job)?;
        let mut cases: Vec<Arc<Case>> = selected.into_iter().cloned().collect();
        cases.sort_by_key(|case| case.phase());
        let questions = questions(&cases, &material.register, &self.selection);
        let fail_on_should = self.fail_on_should;
        let shared = Arc::new(HarnessState {
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
            part: TrialPart { question, runs: false, shared: shared.clone() },
        };
        Ok(questions.into_iter().map(trial).collect())
    }

    /// The whole of a test program: lists or runs the trials as the arguments of the process ask, which are those of
    /// every Rust test program. Gives 0 if none failed, 101 if one did, and 1, with what is wrong on standard error, if
    /// there are no trials. What was not observed or does not apply is shown as ignored.
    #[cfg(feature = "libtest")]
    pub fn main(self) -> std::process::ExitCode {
        let arguments = libtest_mimic::Arguments::from_args();
        match self.trials() {
            Ok(trials) => {
                let tests = trials.into_iter().map(Trial::into_test).collect();
                libtest_mimic::run(&arguments, tests).exit_code()
            }
            Err(error) => {
                eprintln!("Error: {error}");
                std::process::ExitCode::FAILURE
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
        let spec = self.spec.as_deref().map(|dir| Material::spec_from(dir, suite.as_ref()));
        Material::load(suite, spec.transpose()?.map(|(spec, _)| spec))
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
    ) -> Result<Live, HarnessError> {
        let runtime = runtime()?;
        let (prepared, guard) = self.prepared(material, baseline, 1)?;
        let open = runtime.block_on(prepared.open(&Silent));
        let open = open.map_err(|gone| HarnessError::Unavailable(gone.sentence()))?;
        let done = open.plan().cases.iter().map(|_| Mutex::default()).collect();
        let (scheduler, whole) = (Scheduler::default(), Mutex::default());
        Ok(Live { open, done, scheduler, whole, _guard: Mutex::new(guard), runtime })
    }

    fn prepared(
        self,
        material: Arc<Material>,
        baseline: Option<Arc<Baseline>>,
        jobs: usize,
    ) -> Result<(Prepared, Option<Box<dyn Any + Send>>), HarnessError> {
        let server = (self.start)().map_err(HarnessError::Start)?;
        let target: Target = server.url.parse().map_err(HarnessError::url)?;
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
            gate: Gate { fail_on_should: self.fail_on_should, ..Gate::default() },
            fail_fast: false,
            policies: Policies { baseline, ..Policies::default() },
        };
        Ok((prepare(material, job).map_err(HarnessError::job)?, server.guard))
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, HarnessError> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(HarnessError::Runtime)
}
