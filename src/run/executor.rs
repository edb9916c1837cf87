//! Running the cases of a plan: who goes next, on which accounts, and what came of it.
use crate::accounts::account::AccountView;
use crate::accounts::operator::Operator;
use crate::accounts::operator_proof::{OperatorProver, Proofs};
use crate::accounts::pool::AccountPool;
use crate::case::ast::{Act, Case, Impact, Need};
use crate::check::tally::Tally;
use crate::check::trace::Trace;
use crate::check::verdict::{Applicability, Decided, blames_target, decide};
use crate::http::background::beside;
use crate::http::cancel::CancelCause;
use crate::http::message::{Exchange, Reply, Request, Response};
use crate::http::sender::{RequestSender, SendResult};
use crate::model::run::{Reason, Verdict};
use crate::plan::facts::Facts;
use crate::plan::routes::Routes;
use crate::plan::{Assignment, Claim, Disposition, Plan, PlannedCase, Slot};
use crate::requirements::Register;
use crate::run::case_machine::{CaseMachine, Next};
use crate::run::login_budget::expiry::ExpiringTokens;
use crate::run::login_budget::queue::{LoginPermit, LoginQueue};
use crate::run::login_budget::reuse::{ReusableSession, ReusePolicy};
use crate::run::variables::Variables;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How one case ended, before its secrets are replaced.
#[derive(Debug, Clone)]
pub struct CaseResult {
    /// Its verdict, decisions and findings.
    pub decided: Decided,
    /// What was sent and what came back.
    pub exchanges: Arc<Vec<Exchange>>,
    /// What the standing checks say of these; nothing if the run was stopped before they looked, or they took too long.
    pub standing: Option<Tally>,
    /// Wall time.
    pub duration: Duration,
}

impl CaseResult {
    /// The result of a case of which nothing was sent.
    pub fn without_running(decided: Decided) -> Self {
        CaseResult::of(decided, Vec::new(), Duration::ZERO)
    }

    fn of(decided: Decided, exchanges: Vec<Exchange>, duration: Duration) -> Self {
        // Without exchanges there is nothing to look at.
        let standing = exchanges.is_empty().then(Tally::default);
        CaseResult { decided, exchanges: Arc::new(exchanges), standing, duration }
    }

    /// The result of a planned case for which there is none: an internal error.
    pub fn missing(case: &Case) -> Self {
        let reason = Reason {
            code: "panic".to_owned(),
            text: "homespec itself failed in this case; please report it".into(),
        };
        CaseResult::without_running(Decided::all(case, Verdict::Errored, reason))
    }

    /// Whether nothing but a rate limit kept it from being decided.
    pub fn is_rate_limited(&self) -> bool {
        let reason = self.decided.reason.as_ref();
        self.decided.verdict == Verdict::Blocked && reason.is_some_and(|r| r.code == "rate_limited")
    }
}

/// What the engine tells while it runs.
pub trait Progress: Send + Sync {
    /// A case begins.
    fn begins(&self, case: &Case);
    /// A case has ended, of so many that run.
    fn ended(&self, case: &Case, verdict: Verdict);
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begins(&self, _: &Case) {}
    fn ended(&self, _: &Case, _: Verdict) {}
}

/// Everything that running a case needs.
#[derive(Clone)]
pub struct Executor {
    /// Delivers requests.
    pub sender: RequestSender,
    /// Hands out accounts.
    pub pool: Arc<AccountPool>,
    /// Where operations lie.
    pub routes: Arc<dyn Routes>,
    /// Levels and versions of the requirements.
    pub register: Arc<Register>,
    /// What the probe saw.
    pub facts: Arc<Facts>,
    /// What only the operator can give or do.
    pub operator: Arc<Operator>,
    /// What of it was proven.
    pub proofs: Arc<Proofs>,
    /// Whether the run ends with the result of a case, if it is to end early.
    pub ends_with: Option<EndsWith>,
    /// What the probe asked without credentials and was answered: a case that asks the same judges these
    /// answers with its own, or what is wrong only at first would be seen by nobody.
    pub probed: Arc<[Exchange]>,
    /// The standing checks.
    pub observe: Observe,
}

/// What the standing checks say of the exchanges of an owner, if they are still to judge.
pub type Observe = Arc<dyn Fn(&str, &[Exchange]) -> Option<Tally> + Send + Sync>;

/// How long the answers of one step, or the standing checks of one case, may be judged. An answer of the largest size takes
/// less than a second; only a pattern of somebody's own case may take longer.
const MOST_TIME: Duration = Duration::from_secs(10);
/// How long a case gets after a signal to take the answers that are on their way.
const GRACE: Duration = Duration::from_millis(1500);

/// Says of a case's result whether the run ends with it.
pub type EndsWith = Arc<dyn Fn(&Case, &CaseResult) -> bool + Send + Sync>;

impl Executor {
    /// Runs a plan with so many cases at once; one result for each case, in the plan's order.
    pub async fn run(&self, plan: &Plan, jobs: usize, progress: &dyn Progress) -> Vec<CaseResult> {
        let mut results: Vec<Option<CaseResult>> = plan
            .cases
            .iter()
            .map(|planned| match &planned.disposition {
                Disposition::Not(verdict, reason) => {
                    Some(self.not_run(&planned.case, *verdict, reason.clone()))
                }
                Disposition::Run(_) => None,
            })
            .collect();
        for phase in &plan.phases {
            self.run_phase(plan, phase, jobs.max(1), progress, &mut results).await;
        }
        self.run_on_reusable_sessions(plan, &mut results).await;
        let of_accounts = self.pool.exchanges();
        let of_cases = results.iter().flatten().flat_map(|result| result.exchanges.iter());
        self.sender.created.sort(of_accounts.iter().chain(of_cases));
        let result = |(result, planned): (Option<CaseResult>, &PlannedCase)| {
            result.unwrap_or_else(|| match self.sender.stop.cause() {
                Some(cause) => self.not_run(&planned.case, Verdict::Blocked, cause.reason()),
                None => CaseResult::missing(&planned.case),
            })
        };
        results.into_iter().zip(&plan.cases).map(result).collect()
    }

    fn not_run(&self, case: &Case, verdict: Verdict, reason: Reason) -> CaseResult {
        let trace = Trace::settled(verdict, reason);
        CaseResult::without_running(decide(case, &trace, &self.applies(), &|_| String::new()))
    }

    fn applies(&self) -> impl Fn(&str) -> Applicability {
        |id| Applicability::of(&self.register, &self.facts.listed, id)
    }

    async fn run_phase(
        &self,
        plan: &Plan,
        phase: &[usize],
        jobs: usize,
        progress: &dyn Progress,
        results: &mut [Option<CaseResult>],
    ) {
        let mut waiting: Vec<usize> = phase.to_vec();
        let turns = LoginQueue::new(
            phase.iter().copied().filter(|at| plan.cases.get(*at).is_some_and(may_log_in)),
        );
        let mut busy: BTreeSet<Claim> = BTreeSet::new();
        let mut running: JoinSet<(usize, CaseResult)> = JoinSet::new();
        let mut tasks: BTreeMap<tokio::task::Id, usize> = BTreeMap::new();
        loop {
            // Large answers take much memory while they are judged.
            let jobs = if self.sender.http.has_seen_large() { 1 } else { jobs };
            while running.len() < jobs && !self.sender.stop.is_set() {
                let Some(at) = next_free(plan, &waiting, &busy) else { break };
                let index = waiting.remove(at);
                let Some((planned, assignment)) = plan.to_run(index) else { continue };
                busy.extend(planned.claims());
                progress.begins(&planned.case);
                let (executor, case, assignment) =
                    (self.clone(), planned.case.clone(), assignment.clone());
                let logins = Logins::Queued(turns.of(index));
                let handle = running.spawn(async move {
                    (index, executor.run_checked(&case, &assignment, logins).await)
                });
                tasks.insert(handle.id(), index);
            }
            let Some(joined) = running.join_next_with_id().await else { break };
            let (index, result) = match joined {
                Ok((_, done)) => done,
                Err(error) => {
                    let Some(index) = tasks.get(&error.id()).copied() else { continue };
                    let Some(planned) = plan.cases.get(index) else { continue };
                    (index, CaseResult::missing(&planned.case))
                }
            };
            let Some(planned) = plan.cases.get(index) else { continue };
            for claim in planned.claims() {
                busy.remove(&claim);
            }
            progress.ended(&planned.case, result.decided.verdict);
            if self.ends_with.as_ref().is_some_and(|ends| ends(&planned.case, &result)) {
                self.sender.stop.set(CancelCause::FailFast);
            }
            // A case whose result finds no place has none, and is errored.
            if let Some(place) = results.get_mut(index) {
                *place = Some(result);
            }
        }
    }

    /// Runs one case of a plan, or says why it does not run. The caller sees to it that no other
    /// case uses its accounts meanwhile.
    pub async fn run_one(&self, planned: &PlannedCase) -> CaseResult {
        let assignment = match &planned.disposition {
            Disposition::Run(assignment) => assignment.clone(),
            Disposition::Not(verdict, reason) => {
                return self.not_run(&planned.case, *verdict, reason.clone());
            }
        };
        self.run_apart(&planned.case, assignment, Logins::Queued(LoginPermit::default())).await
    }

    /// Runs a case as a task of its own: a panic in it is its result.
    async fn run_apart(&self, case: &Case, assignment: Assignment, logins: Logins) -> CaseResult {
        let (executor, own) = (self.clone(), case.clone());
        let task =
            tokio::spawn(async move { executor.run_checked(&own, &assignment, logins).await });
        task.await.unwrap_or_else(|_| CaseResult::missing(case))
    }

    /// Runs again what got no login for a rate limit and wants no more than a session: on those
    /// that earlier cases left. First those that end none, then the others, and at last one on the
    /// session that cases share.
    async fn run_on_reusable_sessions(&self, plan: &Plan, results: &mut [Option<CaseResult>]) {
        let mut reusable: Vec<ReusableSession> = results
            .iter()
            .flatten()
            .flat_map(left_behind)
            .filter_map(|it| ReusableSession::of(it, false))
            .collect();
        let shared = self.pool.proofs().await;
        reusable.extend(shared.iter().filter_map(|it| ReusableSession::of(it, true)));
        for terms in [ReusePolicy::ReadOnly, ReusePolicy::MayEnd, ReusePolicy::Any] {
            for index in plan.phases.iter().flatten() {
                let (Some((PlannedCase { case, .. }, assignment)), Some(result)) =
                    (plan.to_run(*index), results.get_mut(*index))
                else {
                    continue;
                };
                let waits = case.takes_any_session()
                    && result.as_ref().is_some_and(CaseResult::is_rate_limited)
                    && (terms != ReusePolicy::ReadOnly || !case.ends_its_session())
                    && (terms != ReusePolicy::Any || assignment.sessions.is_empty());
                if !waits || self.sender.stop.is_set() {
                    continue;
                }
                let offered: Vec<ReusableSession> = reusable
                    .iter()
                    .filter(|session| session.is_for(terms) && session.lives(&self.sender.created))
                    .cloned()
                    .collect();
                if offered.is_empty() {
                    continue;
                }
                let logins = Logins::Reused(offered);
                let again = self.run_apart(case, assignment.clone(), logins).await;
                // Either it is no longer blocked, or it was counted a second time.
                self.sender.limits.served("login");
                if !again.is_rate_limited() {
                    *result = Some(again);
                }
            }
        }
    }

    /// Runs a case. After a signal it ends soon, whatever it waits for.
    async fn run_checked(
        &self,
        case: &Case,
        assignment: &Assignment,
        logins: Logins,
    ) -> CaseResult {
        let stop = &self.sender.stop;
        let running = async {
            let result = self.run_case(case, assignment, logins).await;
            self.observed(case, result).await
        };
        let broken_off = async {
            stop.interrupted().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            result = running => result,
            () = broken_off => {
                let reason = CancelCause::Interrupted.reason();
                CaseResult { standing: None, ..self.not_run(case, Verdict::Blocked, reason) }
            }
        }
    }

    /// With what the standing checks say of its exchanges. What was parsed of these is let go: a run keeps every answer,
    /// and parsed they are large.
    async fn observed(&self, case: &Case, mut result: CaseResult) -> CaseResult {
        if result.standing.is_some() {
            return result;
        }
        let (observe, id) = (self.observe.clone(), case.id.clone());
        let exchanges = result.exchanges.clone();
        let alone = exchanges.iter().any(is_large);
        match self.beside(alone, move || observe(&id, &exchanges)).await {
            Ok(tally) => result.standing = tally,
            Err(Cut::Stopped | Cut::Overdue) => {}
        }
        Arc::make_mut(&mut result.exchanges).iter_mut().for_each(Exchange::forget_parsed);
        result
    }

    /// Does work beside that of the async workers, for so long as it may take and no signal comes; `alone`: when no other
    /// work of this kind is under way.
    async fn beside<T: Send + 'static>(
        &self,
        alone: bool,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Cut> {
        let stop = &self.sender.stop;
        if stop.is_interrupted() {
            return Err(Cut::Stopped);
        }
        let working = async {
            let _alone = if alone { self.sender.http.alone().await } else { None };
            tokio::time::timeout(MOST_TIME, beside(work)).await
        };
        tokio::select! {
            done = working => match done {
                Ok(Some(done)) => Ok(done),
                Ok(None) => Err(Cut::Stopped),
                Err(_) => Err(Cut::Overdue),
            },
            () = stop.interrupted() => Err(Cut::Stopped),
        }
    }

    /// Runs the steps of a case and decides it. Where it did not go well the target is checked before: if it is to blame
    /// as a whole, what was seen says nothing of the case's question.
    async fn run_case(&self, case: &Case, assignment: &Assignment, logins: Logins) -> CaseResult {
        let started = Instant::now();
        let (mut exchanges, mut shown) = (Vec::new(), Vec::new());
        let steps = self.run_steps(case, assignment, logins, &mut exchanges, &mut shown).await;
        let duration = started.elapsed();
        let is_checked =
            blames_target(case, &steps, &self.applies()) && !self.sender.stop.is_interrupted();
        let lost = if is_checked { self.sender.check_up().await } else { None };
        let trace = lost.map_or(steps, |lost| Trace::settled(Verdict::Blocked, lost.reason));
        let last = exchanges.len().saturating_sub(1);
        let exchange =
            |n: usize| format!("{}#{}", case.id, shown.get(n).copied().unwrap_or(last) + 1);
        let decided = decide(case, &trace, &self.applies(), &exchange);
        CaseResult::of(decided, exchanges, duration)
    }

    /// Runs the steps of a case; `exchanges` takes what is sent, `shown` the places in it that the trace counts.
    async fn run_steps<'c>(
        &'c self,
        case: &'c Case,
        assignment: &Assignment,
        mut logins: Logins,
        exchanges: &mut Vec<Exchange>,
        shown: &mut Vec<usize>,
    ) -> Trace<'c> {
        let mut left = case.logins();
        if may_open_an_account(assignment) || logs_in_an_owner(case) {
            self.turn(&logins).await;
        }
        if left == 0 {
            logins.release();
        }
        let given = match self.what_is_given_is_proven(case).await {
            Ok(()) => self.accounts(case, assignment).await,
            Err(reason) => Err(reason),
        };
        let accounts = match given {
            Ok(accounts) => accounts,
            Err(reason) => return Trace::settled(Verdict::Blocked, reason),
        };
        let shared_case = Arc::new(case.clone());
        let variables =
            Variables::new(case.values.iter().cloned(), accounts.clone(), self.given(&accounts));
        let mut machine = CaseMachine::new(case, &*self.routes, variables);
        let mut expiring = ExpiringTokens::default();
        loop {
            match machine.advance() {
                Next::Done => break,
                Next::Pause(time) => tokio::select! {
                    () = tokio::time::sleep(time) => {}
                    () = self.sender.stop.stopped() => {}
                },
                Next::Operate(act, told) => {
                    machine.operated(self.operate(act, &told, &accounts, exchanges).await);
                }
                Next::Judge(judging) => {
                    let (alone, case) = (judging.is_large(), shared_case.clone());
                    match self.beside(alone, move || judging.judge(&case)).await {
                        Ok(done) => {
                            machine.judged(done);
                            exchanges
                                .iter_mut()
                                .filter(|e| is_large(e))
                                .for_each(Exchange::forget_parsed);
                        }
                        Err(Cut::Stopped) => machine.block(CancelCause::Interrupted.reason()),
                        Err(Cut::Overdue) => machine.block(too_long()),
                    }
                }
                Next::Send(_) if self.sender.stop.is_set() => {
                    machine.replied(vec![Reply::Inconclusive(self.sender.stop.reason())]);
                }
                Next::Send(requests) => {
                    let mut replies = Vec::new();
                    if let [request] = requests.as_slice()
                        && machine.judges_what_was_asked_before()
                    {
                        let earlier =
                            self.probed.iter().filter(|probed| probed.request == *request);
                        for probed in earlier {
                            // What is parsed of a copy is gone with the case.
                            let mut probed = probed.clone();
                            probed.forget_parsed();
                            let Ok(response) = &probed.result else { continue };
                            replies.push(Reply::Response(response.clone()));
                            shown.push(exchanges.len());
                            exchanges.push(probed);
                        }
                    }
                    let keeps_parsed = machine.keeps_parsed();
                    let sent =
                        self.with_logins(&requests, case, &accounts, &mut logins, &mut machine);
                    for mut sent in sent.await {
                        shown.push(exchanges.len() + sent.shown);
                        let expired_while_waiting = expiring.expired_while_waiting(&sent);
                        expiring.note(&sent);
                        if !keeps_parsed {
                            sent.exchanges.iter_mut().for_each(Exchange::forget_parsed);
                        }
                        exchanges.extend(sent.exchanges);
                        replies.push(expired_while_waiting.map_or(sent.reply, Reply::Inconclusive));
                    }
                    machine.replied(replies);
                    left = left.saturating_sub(
                        requests.iter().filter(|request| request.is_login()).count(),
                    );
                    if left == 0 {
                        logins.release();
                    }
                }
            }
        }
        let trace = machine.finish();
        if matches!(case.impact, Impact::EndsSessions | Impact::Destroys) {
            for slot in assignment.accounts.values() {
                self.pool.forget_session(slot).await;
            }
        }
        trace
    }

    /// Proves what the case needs of the operator.
    async fn what_is_given_is_proven(&self, case: &Case) -> Result<(), Reason> {
        for need in &case.needs {
            let Need::Operator(name) = need else { continue };
            if let Some(reason) = self.pool.maker_refused().filter(|_| name == "registration") {
                return Err(reason);
            }
            self.proofs.proven(name, &self.prover()).await?;
        }
        Ok(())
    }

    fn prover(&self) -> OperatorProver<'_> {
        let (operator, sender, api) = (&*self.operator, &self.sender, self.facts.api);
        OperatorProver { operator, sender, api, notices: &self.pool.notices }
    }

    /// Does something to an account. A hook may end well and have done nothing: its effect must show.
    async fn operate(
        &self,
        act: Act,
        told: &[(String, String)],
        accounts: &BTreeMap<String, AccountView>,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<(), Reason> {
        let by_hook = self.operator.has_hook(act);
        if let Some(refused) = self.proofs.admin_refused().filter(|_| !by_hook) {
            return Err(refused.clone());
        }
        let mut done = self.operator.act(act, told, &self.sender, exchanges).await;
        let last = exchanges.last().and_then(|last| last.result.as_ref().ok());
        if let Err(reason) = &done
            && !by_hook
            && last.is_some_and(|response| [401, 403].contains(&response.status))
        {
            done = Err(self.proofs.refuse_admin(reason).clone());
        }
        let user = told.iter().find(|(name, _)| name == "user_id");
        let account = accounts.values().find(|a| user.is_some_and(|(_, id)| *id == a.user_id));
        let login = account.and_then(AccountView::login);
        if let Some(login) = login.filter(|_| done.is_ok() && by_hook) {
            done = self.prover().effect(act, told, &login, exchanges).await;
        }
        if let Err(reason) = &done {
            self.pool.notices.error(&reason.text);
        }
        done
    }

    async fn turn(&self, logins: &Logins) {
        let Logins::Queued(turn) = logins else { return };
        tokio::select! {
            () = turn.acquire() => {}
            () = self.sender.stop.stopped() => {}
        }
    }

    /// Delivers requests; a login in its turn, or served by one that was sent before.
    async fn with_logins(
        &self,
        requests: &[Request],
        case: &Case,
        accounts: &BTreeMap<String, AccountView>,
        logins: &mut Logins,
        machine: &mut CaseMachine<'_>,
    ) -> Vec<SendResult> {
        let [request] = requests else {
            if requests.iter().any(Request::is_login) {
                self.turn(logins).await;
            }
            return self.send(requests, case).await;
        };
        if !request.is_login() {
            return self.send(requests, case).await;
        }
        if let Logins::Reused(offered) = logins {
            let served = offered.iter().find_map(|session| {
                Some((session.serve(request, machine)?.clone(), session.login.clone()))
            });
            // One session is lent once to a case.
            *logins = Logins::Reused(Vec::new());
            if let Some((response, login)) = served {
                return vec![earlier(response, login)];
            }
        }
        if let Logins::Queued(_) = logins
            && let Some(served) = shared_login(request, case, accounts)
        {
            return vec![served];
        }
        self.turn(logins).await;
        self.send(requests, case).await
    }

    async fn send(&self, requests: &[Request], case: &Case) -> Vec<SendResult> {
        if let [request] = requests {
            return vec![self.sender.send(request, case.limits).await];
        }
        let mut sending = JoinSet::new();
        for (index, request) in requests.iter().enumerate() {
            let (sender, request, limits) = (self.sender.clone(), request.clone(), case.limits);
            sending.spawn(async move { (index, sender.send(&request, limits).await) });
        }
        let mut all = all_of(sending).await;
        let alike = requests.windows(2).all(|pair| pair.first() == pair.last());
        // Which of equal requests came first is chance: what came of them is put in order instead.
        all.sort_by_key(|(index, sent)| (alike.then(|| outcome(sent)), *index));
        all.into_iter().map(|(_, sent)| sent).collect()
    }

    async fn accounts(
        &self,
        case: &Case,
        assignment: &Assignment,
    ) -> Result<BTreeMap<String, AccountView>, Reason> {
        let mut accounts = BTreeMap::new();
        for (name, slot) in &assignment.accounts {
            let session = assignment.sessions.contains(name);
            // A refusal means nothing before the account is known to work.
            let proven = case.impact == Impact::LocksOut
                || *slot == Slot::Main(0)
                || case.wants_proof_of(name);
            accounts.insert(name.clone(), self.pool.account(slot, session, proven).await?);
        }
        Ok(accounts)
    }

    fn given(&self, accounts: &BTreeMap<String, AccountView>) -> BTreeMap<String, Value> {
        let api = self.facts.api.as_str();
        let name = accounts.values().next().map(|account| account.server_name().to_owned());
        let mut given = BTreeMap::from([
            ("server.api".to_owned(), json!(api)),
            ("server.prefix".to_owned(), json!(format!("/_matrix/client/{api}"))),
            ("server.scheme".to_owned(), json!(self.sender.http.target().scheme())),
        ]);
        given.extend(self.operator.values());
        given.extend(name.map(|name| ("server.name".to_owned(), json!(name))));
        given
    }
}

/// How a case comes by its logins.
enum Logins {
    /// It sends them, when its turn has come.
    Queued(LoginPermit),
    /// It is served by one of these, if one fits.
    Reused(Vec<ReusableSession>),
}

impl Logins {
    /// It sends no more of them.
    fn release(&mut self) {
        if let Logins::Queued(turn) = self {
            turn.release();
        }
    }
}

/// Whether a case may send logins, its own or those that prove its accounts.
fn may_log_in(planned: &PlannedCase) -> bool {
    let Disposition::Run(assignment) = &planned.disposition else { return false };
    planned.case.logins() > 0 || may_open_an_account(assignment)
}

/// Whether the proof of what a case needs of the operator is a login.
fn logs_in_an_owner(case: &Case) -> bool {
    let is_login = |need: &Need| matches!(need, Need::Operator(name) if ["email", "phone"].contains(&name.as_str()));
    case.needs.iter().any(is_login)
}

/// The first account is open since the probe.
fn may_open_an_account(assignment: &Assignment) -> bool {
    assignment.accounts.values().any(|slot| *slot != Slot::Main(0))
}

/// The login that proved an account of the case, or one by another name that was refused then, where the case would
/// send the same and only looks at what came of it.
fn shared_login(
    request: &Request,
    case: &Case,
    accounts: &BTreeMap<String, AccountView>,
) -> Option<SendResult> {
    if case.ends_its_session() {
        return None;
    }
    let body = request.json_body()?;
    let mut proofs = accounts.values().flat_map(|a| a.proof.iter().chain(&a.refused));
    let proof = proofs.find(|proof| proof.body == body)?;
    let (login, response) = (&proof.exchange, proof.exchange.result.as_ref().ok()?);
    let same_way = login.request.path == request.path && login.request.headers == request.headers;
    same_way.then(|| earlier(response.clone(), (**login).clone()))
}

fn earlier(response: Response, login: Exchange) -> SendResult {
    SendResult { reply: Reply::Response(response), exchanges: vec![login], shown: 0 }
}

/// The logins of a case that ended well.
fn left_behind(result: &CaseResult) -> impl Iterator<Item = &Exchange> {
    let ended_well = result.decided.verdict <= Verdict::Warned;
    result.exchanges.iter().filter(move |exchange| ended_well && !exchange.shared)
}

/// What all tasks of a step gave. A panic in one of them goes on here: the case is then errored, and not judged on fewer
/// answers.
async fn all_of<T: 'static>(mut running: JoinSet<T>) -> Vec<T> {
    let mut all = Vec::new();
    while let Some(joined) = running.join_next().await {
        match joined {
            Ok(done) => all.push(done),
            Err(lost) => std::panic::resume_unwind(lost.into_panic()),
        }
    }
    all
}

/// The status that a request came to; those that came to none are last.
fn outcome(sent: &SendResult) -> u16 {
    match &sent.reply {
        Reply::Response(response) => response.status,
        Reply::Dropped(_) | Reply::Inconclusive(_) => u16::MAX,
    }
}

/// The first waiting case whose accounts are free, and for none of which an earlier case waits.
fn next_free(plan: &Plan, waiting: &[usize], busy: &BTreeSet<Claim>) -> Option<usize> {
    let mut taken = busy.clone();
    for (at, index) in waiting.iter().enumerate() {
        let claims = plan.cases.get(*index)?.claims();
        if taken.is_disjoint(&claims) {
            return Some(at);
        }
        taken.extend(claims);
    }
    None
}

/// Why work beside the async workers was given up.
enum Cut {
    /// A signal came.
    Stopped,
    /// It took too long.
    Overdue,
}

fn is_large(exchange: &Exchange) -> bool {
    exchange.result.as_ref().is_ok_and(Response::is_large)
}

/// Why something is undecided that took too long to judge.
pub fn too_long() -> Reason {
    Reason {
        code: "too_long".to_owned(),
        text: format!("judging the answers took more than {} s", MOST_TIME.as_secs()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_one_of_several_sends_is_a_panic_of_the_case() {
        let mut sending = JoinSet::new();
        sending.spawn(async { 1 });
        sending.spawn(async { panic!("of a test") });
        assert!(tokio::spawn(all_of(sending)).await.is_err_and(|error| error.is_panic()));
        let mut sending = JoinSet::new();
        sending.spawn(async { 1 });
        assert_eq!(all_of(sending).await, [1]);
    }
}
