//! The pipeline on one screen: load, probe, plan, run, assemble.
pub mod assemble;
pub mod rate_limit_advice;

use crate::accounts::cleanup::{Cleanup, cleanup};
use crate::accounts::operator::Operator;
use crate::accounts::pool::{AccountPool, AccountProvider, AccountSources};
use crate::accounts::supplied_cleanup::end_supplied;
use crate::baseline::Baseline;
use crate::baseline::apply::{self, Active, Shown};
use crate::case::ast::{Api, Case};
use crate::case::suite::Suite;
use crate::check::standing::Context;
use crate::check::tally::Tally;
use crate::check::verdict::Decided;
use crate::http::cancel::Cancellation;
use crate::http::client::{ClientError, HttpClient, Transport};
use crate::http::created_resources::CreatedResources;
use crate::http::discovery::{self, Search};
use crate::http::legacy_login::LoginDialect;
use crate::http::message::Exchange;
use crate::http::rate_limit::RateLimits;
use crate::http::sender::RequestSender;
use crate::http::supplied_accounts::SuppliedAccounts;
use crate::http::target::Target;
use crate::model::exit::{self, Gate};
use crate::model::release::{Listed, SpecVersion};
use crate::model::run::{Finding, Reason, Run, Verdict};
use crate::pipeline::assemble::{Parts, assemble};
use crate::plan::capabilities::{self, Capability};
use crate::plan::facts::{AccountFacts, Allow, Facts};
use crate::plan::routes::Paths;
use crate::plan::selection::{NoMatch, Selection, select};
use crate::plan::{self, Disposition, Plan, PlannedCase, Slot};
use crate::redact::{RedactedRun, RedactionError, Vault};
use crate::requirements::Register;
use crate::run::executor::{CaseResult, EndsWith, Executor, Observe, Progress, Silent};
use crate::run::probe::{self, AuthenticatedProbe, NoTarget, PublicProbe};
use crate::spec::Spec;
use crate::yaml::diagnostic::Diagnostic;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is tested with: files, read and found to be right.
#[derive(Debug, Clone)]
pub struct Material {
    /// Every case.
    pub suite: Suite,
    /// The register.
    pub register: Arc<Register>,
    /// For servers that list v1.1 or later.
    pub v1: Arc<Spec>,
    /// For servers that list only r0 releases.
    pub r0: Arc<Spec>,
}

impl Material {
    /// The bundled files, with cases and specification files of the user where there are some.
    ///
    /// # Errors
    /// Every fault of every file.
    pub fn load(suite: Option<Suite>, spec: Option<Spec>) -> Result<Material, Vec<Diagnostic>> {
        let register = Register::bundled()?;
        let suite = match suite {
            Some(suite) => suite,
            None => Suite::bundled()?,
        };
        let (v1, r0) = (Spec::bundled_v1()?, Spec::bundled_r0()?);
        let (v1, r0) = match spec {
            Some(spec) => (spec.clone().over(v1), spec.over(r0)),
            None => (v1, r0),
        };
        let faults = plan::lint(&suite, &register, &[&v1, &r0]);
        if !faults.is_empty() {
            return Err(faults);
        }
        let (register, v1, r0) = (Arc::new(register), Arc::new(v1), Arc::new(r0));
        Ok(Material { suite, register, v1, r0 })
    }

    /// The specification files for a server that lists this.
    pub fn spec_for(&self, listed: &Listed) -> Arc<Spec> {
        if listed.only_r0() { self.r0.clone() } else { self.v1.clone() }
    }

    /// Whether any case decides a requirement.
    pub fn covers(&self, requirement: &str) -> bool {
        let of_run = crate::check::whole_run::CHECKS.iter();
        of_run.into_iter().any(|check| check.requirement == requirement)
            || self.suite.cases().any(|case| case.checks.iter().any(|id| id == requirement))
    }
}

/// What is to be done with a target.
#[derive(Debug, Clone)]
pub struct Job {
    /// How it is reached.
    pub transport: Transport,
    /// Whether the transport leads to a server name's web server, whose well-known file says where the
    /// homeserver is.
    pub discover: bool,
    /// Where accounts come from.
    pub sources: AccountSources,
    /// What only the operator can give or do.
    pub operator: Operator,
    /// Which path prefix; by what the server lists, if not given.
    pub api: Option<Api>,
    /// What to run.
    pub selection: Selection,
    /// What is allowed beyond the harmless.
    pub allowed: BTreeSet<Allow>,
    /// How many cases at once.
    pub jobs: usize,
    /// For all waiting for rate limits together.
    pub max_wait: Duration,
    /// How long to wait for a server that is starting.
    pub wait_ready: Duration,
    /// What gates the exit status.
    pub gate: Gate,
    /// Whether the run ends with the first case that fails by the gate.
    pub fail_fast: bool,
    /// What is asked beside the specification.
    pub policies: Policies,
}

/// What a project asks of a run beside the specification.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    /// The findings that it knows.
    pub baseline: Option<Arc<Baseline>>,
    /// Whether findings that are new are known from now on.
    pub adopt: bool,
    /// What has to be there.
    pub required: Vec<Capability>,
}

impl Job {
    /// With which results the run ends, if it is to end early: what the baseline knows is none.
    fn ends_with(&self, server: Option<&str>, started: jiff::Timestamp) -> Option<EndsWith> {
        if !self.fail_fast {
            return None;
        }
        let (gating, baseline) = (self.gate.gating(), self.policies.baseline.clone());
        let server = server.map(str::to_owned);
        let today = started.to_zoned(jiff::tz::TimeZone::UTC).date();
        let is_known = move |case: &Case, result: &CaseResult| {
            let Some(baseline) = &baseline else { return false };
            let active = Active::new(baseline, server.as_deref(), today);
            let findings = result.decided.findings.iter().filter(|f| f.verdict >= gating);
            let keys: Vec<_> =
                findings.map(|f| apply::key(f, &case.id, shown(f, result))).collect();
            !keys.is_empty() && keys.iter().all(|key| active.knows(key))
        };
        Some(Arc::new(move |case, result| {
            let verdict = result.decided.verdict;
            verdict >= gating && !(verdict.is_decided() && is_known(case, result))
        }))
    }
}

/// What a baseline looks at in the exchange that shows a finding of a case.
fn shown(finding: &Finding, result: &CaseResult) -> Option<Shown> {
    let (_, number) = finding.exchange.as_deref()?.rsplit_once('#')?;
    let exchanged = result.exchanges.get(number.parse::<usize>().ok()?.checked_sub(1)?)?;
    let status = exchanged.result.as_ref().ok().map(|answer| answer.status);
    Some(Shown { operation: exchanged.request.operation.clone(), status })
}

/// Why a run did not begin.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Words of the selection name nothing.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    NoMatch(Vec<NoMatch>),
    /// The selection is empty.
    #[error(
        "the selection holds no case: its words exclude each other, or name only what is looked at \
         on every answer; for that select some cases too, e.g. --area login"
    )]
    Empty,
    /// Nothing of an earlier run is to be run again.
    #[error(
        "nothing to run again: what is selected of {0} passed, was skipped, or is no longer there"
    )]
    NothingToRerun(String),
    /// What has to be there by `--require` can only be given by the operator, and was not.
    #[error("{}", .0.join("\n"))]
    NotGiven(Vec<String>),
    /// There can be no client.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl JobError {
    /// Its exit status.
    pub fn status(&self) -> u8 {
        match self {
            JobError::NoMatch(_) | JobError::NotGiven(_) | JobError::Client(_) => exit::USAGE,
            JobError::Empty | JobError::NothingToRerun(_) => exit::NOTHING_SELECTED,
        }
    }
}

/// What the pipeline tells on its way, beside the cases.
pub trait Watcher: Progress {
    /// There is no target yet; it is looked for until `--wait-ready` is over. Told once.
    fn waiting(&self, why: &NoTarget);
    /// A plan was made.
    fn planned(&self, plan: &Plan, facts: &Facts);
    /// There is no target; the run ends. The sentence holds no secret.
    fn no_target(&self, why: &str);
    /// What the run made is being taken back: so long at most from now on. Told every second.
    fn cleaning_up(&self, at_most: Duration, interrupted: bool);
    /// Something that the operator gave is refused. The sentence holds no secret.
    fn operator_error(&self, why: &str);
}

impl Watcher for Silent {
    fn waiting(&self, _: &NoTarget) {}
    fn planned(&self, _: &Plan, _: &Facts) {}
    fn no_target(&self, _: &str) {}
    fn cleaning_up(&self, _: Duration, _: bool) {}
    fn operator_error(&self, _: &str) {}
}

/// A run that is prepared: files and selection are right, nothing has been sent.
pub struct Prepared {
    material: Arc<Material>,
    job: Job,
    selected: Vec<Case>,
    sender: RequestSender,
    vault: Arc<Vault>,
    /// The well-known file that led to the target, and what was exchanged for it.
    discovered: Option<String>,
    elsewhere: Vec<Exchange>,
    /// Set it to stop the run.
    pub stop: Cancellation,
}

/// Checks the selection and prepares the wire; nothing is sent.
///
/// # Errors
/// A selection that names nothing or is empty, a transport that cannot be.
pub fn prepare(material: Arc<Material>, mut job: Job) -> Result<Prepared, JobError> {
    job.sources = job.sources.in_order_of_use();
    if let Some(AccountProvider::Token(token)) = &job.sources.maker {
        job.operator.registration_token = Some(token.clone());
    }
    let given = (job.sources.facts(), job.operator.names());
    let missing = capabilities::not_given(&job.policies.required, &given.0, &given.1);
    if !missing.is_empty() {
        return Err(JobError::NotGiven(missing));
    }
    let selected: Vec<Case> = chosen(&material, &job.selection)?.into_iter().cloned().collect();
    let vault = Arc::new(Vault::default());
    job.operator.tell(&vault);
    let sender = RequestSender {
        http: HttpClient::new(&job.transport, vault.clone())?,
        limits: Arc::new(RateLimits::new(job.max_wait)),
        created: Arc::new(CreatedResources::default()),
        supplied: Arc::new(SuppliedAccounts::new(&job.sources.supplied)),
        stop: Cancellation::default(),
        dialect: LoginDialect::default(),
        liveness: Arc::default(),
    };
    let stop = sender.stop.clone();
    let (discovered, elsewhere) = (None, Vec::new());
    Ok(Prepared { material, job, selected, sender, vault, discovered, elsewhere, stop })
}

/// The selected cases, in the suite's order.
///
/// # Errors
/// Words that name nothing, words that exclude each other.
pub fn chosen<'m>(
    material: &'m Material,
    selection: &Selection,
) -> Result<Vec<&'m Case>, JobError> {
    let selected =
        select(&material.suite, &material.register, selection).map_err(JobError::NoMatch)?;
    let rerun = selection.rerun.as_ref();
    match (selected.is_empty(), rerun) {
        (false, _) => Ok(selected),
        // What a standing check found on the probe's answers shows again without any case.
        (true, Some(rerun)) if rerun.cases.is_empty() && !rerun.standing.is_empty() => Ok(selected),
        (true, Some(rerun)) => Err(JobError::NothingToRerun(rerun.file.clone())),
        (true, None) => Err(JobError::Empty),
    }
}

/// What a dry run shows.
#[derive(Debug)]
pub struct Preview {
    /// The plan.
    pub plan: Plan,
}

impl Prepared {
    /// Where the secrets of the run are remembered, and their names.
    pub fn vault(&self) -> Arc<Vault> {
        self.vault.clone()
    }

    /// Sends the probe's GETs alone and makes the plan.
    ///
    /// # Errors
    /// There is no target.
    pub async fn preview(&mut self, watcher: &dyn Watcher) -> Result<Preview, NoTarget> {
        let public = self.look(watcher).await.map_err(|(why, _)| why)?;
        let mut facts = probe::facts(
            &public,
            None,
            self.job.api,
            self.account_facts(),
            self.job.operator.names(),
            self.job.allowed.clone(),
        );
        // What only a login can show is taken as offered: the bound is an upper one.
        facts
            .features
            .extend([crate::case::ast::Feature::Refresh, crate::case::ast::Feature::GetToken]);
        let spec = self.material.spec_for(&facts.listed);
        let plan = self.planned(&spec, &facts);
        Ok(Preview { plan })
    }

    /// Probes, plans, runs, cleans up, and puts together what came of it.
    ///
    /// # Errors
    /// Nothing of the run may be shown.
    pub async fn run(self, watcher: &dyn Watcher) -> Result<RedactedRun, RunWithheld> {
        let open = match self.open(watcher).await {
            Ok(open) => open,
            Err(gone) => {
                watcher.no_target(&gone.sentence());
                return gone.into_run();
            }
        };
        let told = open.tell_errors(watcher, 0);
        watcher.planned(&open.plan, &open.executor.facts);
        let results = open.executor.run(&open.plan, open.prepared.job.jobs, watcher).await;
        open.tell_errors(watcher, told);
        let cleaned = open.cleanup(watcher).await;
        open.assembled(&open.plan, results, cleaned)
    }

    /// Probes and plans: afterwards cases can run.
    ///
    /// # Errors
    /// There is no target.
    pub async fn open(
        mut self,
        watcher: &dyn Watcher,
    ) -> Result<ActiveRun, Box<TargetUnavailable>> {
        let times = Times { started: jiff::Timestamp::now(), clock: Instant::now() };
        let stop = self.stop.clone();
        let looked = tokio::select! {
            looked = self.look(watcher) => looked,
            () = broken_off(&stop) => Err((NoTarget::Interrupted, Vec::new())),
        };
        let mut public = match looked {
            Ok(public) => public,
            Err((why, exchanges)) => {
                return Err(Box::new(TargetUnavailable { why, prepared: self, exchanges, times }));
            }
        };
        let listed = Listed::new(public.versions.clone());
        self.sender.dialect = LoginDialect::of(&listed);
        let spec = self.material.spec_for(&listed);
        let api = self.job.api.unwrap_or_else(|| crate::plan::facts::api(&listed));
        let routes = Arc::new(Paths::new(spec.clone(), api));
        let mut pool =
            AccountPool::new(self.sender.clone(), self.job.sources.clone(), routes.clone());
        let by_password = public.offers("m.login.password");
        // An account is asked for only if something that was selected needs one.
        let with_session = self.asks_for_session();
        let sender = &self.sender;
        let asking = async {
            if with_session {
                pool.admit_first(by_password).await;
            }
            let accounts = pool.account_facts();
            probe::ask_on(sender, &pool, &*routes, &public, &accounts, with_session).await
        };
        let mut authenticated = tokio::select! {
            authenticated = asking => authenticated,
            () = broken_off(&stop) => AuthenticatedProbe::nothing(&public),
        };
        let mut accounts = pool.account_facts();
        if accounts.given.is_empty() {
            accounts.made_password = pool.has_password(&Slot::Main(0)).await;
        }
        let mut facts = probe::facts(
            &public,
            Some(&authenticated),
            self.job.api,
            accounts,
            self.job.operator.names(),
            self.job.allowed.clone(),
        );
        let plan = loop {
            let plan = self.planned(&spec, &facts);
            if !pool.admit(&plan.given_in_use(&facts.accounts), by_password).await {
                break plan;
            }
            let made_password = facts.accounts.made_password;
            facts.accounts = AccountFacts { made_password, ..pool.account_facts() };
        };
        let facts = Arc::new(facts);
        // What was parsed is of no more use, and many times as large as the text.
        let exchanges = public.exchanges.iter_mut().chain(&mut public.answered);
        exchanges.chain(&mut authenticated.exchanges).for_each(Exchange::forget_parsed);
        let executor = Executor {
            sender: self.sender.clone(),
            pool: Arc::new(pool),
            routes,
            register: self.material.register.clone(),
            facts,
            operator: Arc::new(self.job.operator.clone()),
            proofs: Arc::default(),
            ends_with: self.job.ends_with(public.server.as_deref(), times.started),
            probed: public.answered.into(),
            observe: self.observe(spec.clone(), listed),
        };
        let mut probed = public.exchanges;
        probed.extend(authenticated.exchanges);
        let server = public.server;
        Ok(ActiveRun { prepared: self, spec, plan, executor, probed, server, times })
    }

    /// The standing checks, for the engine to ask as each case ends.
    fn observe(&self, spec: Arc<Spec>, listed: Listed) -> Observe {
        let (register, stop) = (self.material.register.clone(), self.stop.clone());
        Arc::new(move |owner, exchanges| {
            let context = Context { register: &register, spec: &spec, listed: &listed };
            Tally::of(context, owner, exchanges, &|_| true, &|| stop.is_interrupted())
        })
    }

    fn planned(&self, spec: &Spec, facts: &Facts) -> Plan {
        let selected: Vec<&Case> = self.selected.iter().collect();
        plan::plan(&selected, &self.material.register, spec, facts)
    }

    /// Looks for the target until it is there, or waiting for it is over.
    async fn look(
        &mut self,
        watcher: &dyn Watcher,
    ) -> Result<PublicProbe, (NoTarget, Vec<Exchange>)> {
        const EVERY: Duration = Duration::from_millis(250);
        let began = Instant::now();
        let mut told = false;
        loop {
            let (why, exchanges) = match self.look_once().await {
                Ok(public) => return Ok(public),
                Err(seen) => seen,
            };
            if self.stop.is_set() || began.elapsed() + EVERY > self.job.wait_ready {
                let seconds = began.elapsed().as_secs_f64();
                let not_ready = |last| NoTarget::NotReady { seconds, last: Box::new(last) };
                return Err((if told { not_ready(why) } else { why }, exchanges));
            }
            if !told {
                watcher.waiting(&why);
                told = true;
            }
            self.sender.liveness.begin_anew();
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = self.stop.stopped() => {}
            }
        }
    }

    async fn look_once(&mut self) -> Result<PublicProbe, (NoTarget, Vec<Exchange>)> {
        if self.job.discover && self.discovered.is_none() {
            self.discover().await.map_err(|why| (why, Vec::new()))?;
        }
        probe::look(&self.sender, self.job.api).await
    }

    /// From the server name to the homeserver; from here on requests go there.
    async fn discover(&mut self) -> Result<(), NoTarget> {
        let Search { found, exchanges } = discovery::search(&self.job.transport, &self.vault).await;
        self.elsewhere = exchanges;
        let file = self.job.transport.target.url_of(discovery::WELL_KNOWN);
        let found = found.and_then(|url| {
            let transport = Transport { target: Target::Web(url), ..self.job.transport.clone() };
            Ok(HttpClient::new(&transport, self.vault.clone())?)
        });
        self.sender.http = found.map_err(|why| {
            let target = self.job.transport.target.to_string();
            let name = target.trim_start_matches("https://").to_owned();
            NoTarget::NotDiscovered { name, why }
        })?;
        self.discovered = Some(file);
        Ok(())
    }

    /// Whether anything that was selected or required needs an account. Standing checks that are to show
    /// again what they found may have found it on a login or a registration.
    fn asks_for_session(&self) -> bool {
        let Job { selection, policies, .. } = &self.job;
        let standing = selection.rerun.as_ref().is_some_and(|rerun| !rerun.standing.is_empty());
        self.selected.iter().any(plan::asks_for_session)
            || !policies.required.is_empty()
            || selection.all_standing
            || standing
    }

    fn account_facts(&self) -> AccountFacts {
        self.job.sources.facts()
    }

    /// How many cases there are, rows and checks over the whole run included.
    fn available(&self, spec: &Spec, facts: &Facts) -> usize {
        let rows = |case| plan::expand(case, spec, facts).len();
        let cases: usize = self.material.suite.cases().map(rows).sum();
        cases + crate::check::whole_run::CHECKS.len()
    }

    fn assembled(
        &self,
        spec: &Spec,
        facts: &Facts,
        plan: &Plan,
        outcome: Outcome,
        times: &Times,
    ) -> Result<RedactedRun, RunWithheld> {
        let lost = self.sender.liveness.lost();
        let is_gone = outcome.no_target.is_some() || lost.is_some();
        let base_url = self.sender.http.target().to_string();
        let discovered = self.discovered.as_ref().map(|file| format!("{file} led to {base_url}"));
        let gone =
            outcome.no_target.clone().or_else(|| Some(lost.as_ref()?.reason.text.to_string()));
        let parts = Parts {
            register: &self.material.register,
            spec,
            facts,
            plan,
            results: outcome.results,
            interrupted: &|| self.stop.is_interrupted(),
            support: outcome.support,
            elsewhere: &self.elsewhere,
            is_homeserver: outcome.no_target.is_none(),
            foreign: lost.as_ref().and_then(|lost| lost.evidence.clone()),
            headlines: discovered.into_iter().chain(gone).chain(outcome.notices).collect(),
            selection: &self.job.selection,
            available: self.available(spec, facts),
            covered: &|id| self.material.covers(id),
            base_url,
            server: outcome.server,
            limits_hit: self.sender.limits.hits(),
            not_cleaned_up: outcome.left.into_iter().chain(self.broken_off()).collect(),
            guests: self
                .sender
                .created
                .made()
                .into_iter()
                .filter(|made| made.guest)
                .map(|made| made.user_id)
                .collect(),
            complete: !self.stop.is_set(),
            started_at: rfc3339(times.started),
            duration_ms: u64::try_from(times.clock.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        let mut run = assemble(parts, &self.vault.redactor());
        run.no_usable_account = outcome.no_usable_account;
        let exit_status = match exit::status(&run, self.job.gate) {
            graver @ (exit::INTERRUPTED | exit::OWN_FAULT) => graver,
            _ => exit::REPORT,
        };
        let withheld = |why| RunWithheld { why, exit_status };
        let mut run = RedactedRun::new(run, &self.vault).map_err(withheld)?;
        let Policies { required, baseline, .. } = &self.job.policies;
        if baseline.is_some() || !required.is_empty() {
            // A baseline knows findings by what was shown of them. Its own text, and what is required,
            // is redacted afterwards.
            let held = run.with(&self.vault, |mut run| {
                run.required = capabilities::all(required, facts, outcome.no_target.as_deref());
                self.held_against_baseline(run)
            });
            run = held.map_err(withheld)?;
        }
        let status = match exit::status(&run, self.job.gate) {
            // Not what `--allow-blocked` accepts: the target itself was not there.
            exit::CONFORMS if is_gone => exit::UNDECIDED,
            status => status,
        };
        run.set_exit_status(status);
        Ok(run)
    }
}

/// A run of which nothing may be shown.
#[derive(Debug, Clone, thiserror::Error)]
#[error("every report of this run is withheld: {why}")]
pub struct RunWithheld {
    why: RedactionError,
    /// How the program ends.
    pub exit_status: u8,
}

impl Prepared {
    /// What a request may have begun that was broken off by a signal.
    fn broken_off(&self) -> Vec<String> {
        let sentence =
            |what| format!("{what} was broken off: it may have begun a session or made an account");
        self.sender.http.broken_off().into_iter().map(sentence).collect()
    }

    fn held_against_baseline(&self, run: Run) -> Run {
        let Policies { baseline, adopt, .. } = &self.job.policies;
        match baseline {
            Some(baseline) => apply::apply(run, baseline, self.job.gate.gating(), *adopt),
            None => run,
        }
    }
}

/// How long a clean-up may wait for rate limits, all waiting together; less with a smaller `max_wait`.
const CLEAN_UP_WAIT: Duration = Duration::from_secs(30);
/// How long a clean-up takes at most; at least the time limit of one request.
const CLEAN_UP_TIME: Duration = Duration::from_secs(60);
/// The same after a signal: somebody waits for the end.
const CLEAN_UP_TIME_INTERRUPTED: Duration = Duration::from_secs(30);
/// How long the probe gets after a signal to take the answer that is on its way.
const GRACE: Duration = Duration::from_millis(1500);

async fn broken_off(stop: &Cancellation) {
    stop.interrupted().await;
    tokio::time::sleep(GRACE).await;
}

/// A target that was probed, with the plan for it and everything that running a case needs.
pub struct ActiveRun {
    prepared: Prepared,
    spec: Arc<Spec>,
    plan: Plan,
    executor: Executor,
    probed: Vec<Exchange>,
    server: Option<String>,
    times: Times,
}

impl ActiveRun {
    /// Tells the errors of what the operator gave behind the first `told`; gives how many there are.
    fn tell_errors(&self, watcher: &dyn Watcher, told: usize) -> usize {
        let errors = self.executor.pool.notices.errors();
        let redactor = self.prepared.vault.redactor();
        for error in errors.iter().skip(told) {
            watcher.operator_error(&redactor.text(error));
        }
        errors.len()
    }

    /// What is to be done: the cases of the whole selection, each with its fate.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Runs one case of the plan, or says why it does not run. The accounts that it uses are not to
    /// be used by another case at the same time.
    pub async fn run_case(&self, planned: &PlannedCase) -> CaseResult {
        self.executor.run_one(planned).await
    }

    /// Deactivates the accounts and ends the sessions that were made; goes on after a stop, in less time, and until the
    /// next signal.
    pub async fn cleanup(&self, watcher: &dyn Watcher) -> Cleanup {
        let sender = &self.prepared.sender;
        if !self.executor.facts.listed.has_at_least(SpecVersion::R(0, 1, 0)) {
            let open = sender.created.open().len();
            let text = format!("{open} sessions: releases before r0.1.0 have no logout");
            let left = if open > 0 { vec![text] } else { Vec::new() };
            return Cleanup { left, ..Cleanup::default() };
        }
        let interrupted = sender.stop.is_interrupted();
        let cleaner = RequestSender {
            stop: sender.stop.of_clean_up(),
            // The run may have used up what it was allowed to wait.
            limits: Arc::new(RateLimits::new(self.prepared.job.max_wait.min(CLEAN_UP_WAIT))),
            ..sender.clone()
        };
        let time = match interrupted {
            true => CLEAN_UP_TIME_INTERRUPTED,
            false => CLEAN_UP_TIME.max(self.prepared.job.transport.timeout),
        };
        let until = tokio::time::Instant::now() + time;
        let cleaning = async {
            let mut done = cleanup(&cleaner, &self.executor.routes, until).await;
            end_supplied(&cleaner, &self.executor.routes, until, &mut done).await;
            done
        };
        tokio::pin!(cleaning);
        let began = Instant::now();
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                biased;
                done = &mut cleaning => return done,
                _ = seconds.tick() => {
                    watcher.cleaning_up(time.saturating_sub(began.elapsed()), interrupted);
                }
            }
        }
    }

    /// The run as it stands after these cases of the plan and no others, each with its result.
    ///
    /// # Errors
    /// Nothing of the run may be shown.
    pub fn so_far(
        &self,
        done: impl IntoIterator<Item = (PlannedCase, CaseResult)>,
    ) -> Result<RedactedRun, RunWithheld> {
        let (cases, results) = done.into_iter().unzip();
        self.assembled(&Plan { cases, phases: Vec::new() }, results, Cleanup::default())
    }

    fn assembled(
        &self,
        plan: &Plan,
        results: Vec<CaseResult>,
        cleaned: Cleanup,
    ) -> Result<RedactedRun, RunWithheld> {
        let mut support = vec![
            ("probe".to_owned(), self.probed.clone()),
            ("accounts".to_owned(), self.executor.pool.exchanges()),
            ("clean-up".to_owned(), cleaned.exchanges),
        ];
        let proofs = self.executor.proofs.exchanges();
        if !proofs.is_empty() {
            support.insert(2, ("operator".to_owned(), proofs));
        }
        let (left, server) = (cleaned.left, self.server.clone());
        let pool = &self.executor.pool;
        let sources = &self.prepared.job.sources;
        let given = sources.maker.is_some() || !sources.supplied.is_empty();
        let outcome = Outcome {
            results,
            support,
            left,
            server,
            no_target: None,
            notices: pool.notices.all(),
            no_usable_account: given && plan.needs_accounts() && !pool.has_usable(),
        };
        self.prepared.assembled(&self.spec, &self.executor.facts, plan, outcome, &self.times)
    }
}

/// A target that cannot be tested.
pub struct TargetUnavailable {
    /// Why.
    pub why: NoTarget,
    prepared: Prepared,
    exchanges: Vec<Exchange>,
    times: Times,
}

impl TargetUnavailable {
    /// Why, in a sentence that holds no secret.
    pub fn sentence(&self) -> String {
        self.prepared.vault.redactor().text(&self.why.to_string())
    }

    /// A run in which everything is blocked by that.
    ///
    /// # Errors
    /// Nothing of the run may be shown.
    pub fn into_run(self) -> Result<RedactedRun, RunWithheld> {
        let TargetUnavailable { why, prepared, exchanges, times } = self;
        let facts = Facts {
            listed: Listed::new(Vec::<String>::new()),
            flows: Vec::new(),
            providers: Vec::new(),
            features: BTreeSet::new(),
            capabilities: BTreeMap::new(),
            no_session: None,
            registers: false,
            api: prepared.job.api.unwrap_or(Api::V3),
            accounts: prepared.account_facts(),
            beyond: Vec::new(),
            operator: prepared.job.operator.names(),
            allowed: prepared.job.allowed.clone(),
        };
        let spec = prepared.material.v1.clone();
        let reason = Reason { code: why.code().to_owned(), text: why.to_string().into() };
        let cases: Vec<PlannedCase> = prepared
            .selected
            .iter()
            .flat_map(|case| plan::expand(case, &spec, &facts))
            .map(|case| PlannedCase {
                case,
                disposition: Disposition::Not(Verdict::Blocked, reason.clone()),
            })
            .collect();
        let results = cases
            .iter()
            .map(|planned| {
                let decided = Decided::all(&planned.case, Verdict::Blocked, reason.clone());
                CaseResult::without_running(decided)
            })
            .collect();
        let plan = Plan { cases, phases: Vec::new() };
        let support = vec![("probe".to_owned(), exchanges)];
        let outcome = Outcome {
            results,
            support,
            left: Vec::new(),
            server: None,
            no_target: Some(why.to_string()),
            notices: Vec::new(),
            no_usable_account: false,
        };
        prepared.assembled(&spec, &facts, &plan, outcome, &times)
    }
}

struct Outcome {
    results: Vec<CaseResult>,
    support: Vec<(String, Vec<Exchange>)>,
    left: Vec<String>,
    server: Option<String>,
    no_target: Option<String>,
    /// What the operator is to be told of what was given.
    notices: Vec<String>,
    no_usable_account: bool,
}

struct Times {
    started: jiff::Timestamp,
    clock: Instant,
}

/// To the second, as `2026-01-31T12:00:00Z`.
fn rfc3339(time: jiff::Timestamp) -> String {
    jiff::Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::pool::AccountProvider;
    use crate::plan::routes::{Route, Routes};
    use crate::reference::{self, Settings};

    /// Routes in which one operation is a trap.
    struct Trap(Arc<dyn Routes>);

    impl Routes for Trap {
        fn route(&self, operation: &str, api: Option<Api>) -> Option<Route> {
            assert_ne!(operation, "getDevices", "a fault of our own");
            self.0.route(operation, api)
        }
    }

    /// A job on a homeserver where anybody can register.
    fn job(url: &str) -> Job {
        Job {
            transport: Transport::to(url.parse().unwrap(), Duration::from_secs(10)),
            discover: false,
            sources: AccountSources { supplied: Vec::new(), maker: Some(AccountProvider::Open) },
            operator: Operator::default(),
            api: None,
            selection: Selection { areas: vec!["device".to_owned()], ..Selection::default() },
            allowed: BTreeSet::new(),
            jobs: 4,
            max_wait: Duration::ZERO,
            wait_ready: Duration::ZERO,
            gate: Gate::default(),
            fail_fast: false,
            policies: Policies::default(),
        }
    }

    #[tokio::test]
    async fn a_panic_in_a_case_is_errored_and_what_the_run_made_is_taken_back() {
        let homeserver = reference::start(Settings::default()).await.unwrap();
        let material = Arc::new(Material::load(None, None).unwrap());
        let Ok(mut open) = prepare(material, job(&homeserver.url())).unwrap().open(&Silent).await
        else {
            panic!("the homeserver is there");
        };
        open.executor.routes = Arc::new(Trap(open.executor.routes.clone()));
        let results = open.executor.run(&open.plan, 4, &Silent).await;
        assert!(!open.prepared.sender.created.made().is_empty());
        let cleaned = open.cleanup(&Silent).await;
        assert!(open.prepared.sender.created.made().is_empty());
        assert_eq!(cleaned.left, Vec::<String>::new());
        let run = open.assembled(&open.plan, results, cleaned).unwrap();
        assert_eq!(run.exit_status, exit::OWN_FAULT);
        let errored = |case: &&crate::model::run::CaseOutcome| case.verdict == Verdict::Errored;
        assert!(
            run.cases
                .iter()
                .any(|case| errored(&case) && case.reason.as_ref().unwrap().code == "panic")
        );
        assert!(run.cases.iter().any(|case| case.verdict == Verdict::Passed));
    }
}
