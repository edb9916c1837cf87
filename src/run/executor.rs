//! Running the cases of a plan: who goes next, on which accounts, and what came of it.
use crate::accounts::operator::Operator;
use crate::accounts::operator_proof::Proofs;
use crate::accounts::pool::AccountPool;
use crate::case::ast::{Case, Need, Phase};
use crate::check::tally::Tally;
use crate::check::trace::Trace;
use crate::check::verdict::{Applicability, Decided, decide};
use crate::http::cancel::CancelCause;
use crate::http::message::Exchange;
use crate::http::sender::RequestSender;
use crate::model::reason::{Reason, ReasonCode};
use crate::model::run::Verdict;
use crate::plan::facts::Facts;
use crate::plan::routes::Routes;
use crate::plan::{Assignment, Disposition, Plan, PlannedCase, Slot};
use crate::requirements::Register;
use crate::run::attempt::{Attempt, Stopped};
use crate::run::login_budget::{LoginBudget, LoginQueue, ReusableSession, ReusePolicy};
use crate::run::scheduler::{Scheduler, Turn};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::task::JoinSet;

/// Result of one case, before its secrets are replaced.
#[derive(Debug, Clone)]
pub struct CaseResult {
    /// Its verdict, decisions and findings.
    pub decided: Decided,
    /// Requests and responses.
    pub exchanges: Arc<Vec<Exchange>>,
    /// Results of the standing checks; none if the run was stopped before they ran, or they took
    /// too long.
    pub standing: Option<Tally>,
    /// Wall time.
    pub duration: Duration,
    /// The attempt that a rate limit stopped, if the case is tried again when the others are over.
    pub(super) put_off: Option<(Attempt, Stopped)>,
}

impl CaseResult {
    /// The result of a case of which nothing was sent.
    pub fn without_running(decided: Decided) -> Self {
        CaseResult::of(decided, Vec::new(), Duration::ZERO)
    }

    pub(super) fn of(decided: Decided, exchanges: Vec<Exchange>, duration: Duration) -> Self {
        // Without exchanges there is nothing to look at.
        let standing = exchanges.is_empty().then(Tally::default);
        CaseResult { decided, exchanges: Arc::new(exchanges), standing, duration, put_off: None }
    }

    /// The result of a planned case for which there is none: an internal error.
    pub fn missing(case: &Case) -> Self {
        CaseResult::without_running(Decided::all(case, Verdict::Errored, Reason::Panic))
    }

    /// Returns true if only a rate limit kept it from being decided.
    pub fn is_rate_limited(&self) -> bool {
        let reason = self.decided.reason.as_ref();
        self.decided.verdict == Verdict::Blocked
            && reason.is_some_and(|r| r.code() == ReasonCode::RateLimited)
    }

    fn undecided(&self) -> usize {
        let decisions = self.decided.decisions.iter();
        decisions.filter(|decision| decision.verdict == Verdict::Blocked).count()
    }
}

/// Events of the engine while it runs.
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
    /// Methods and paths of operations.
    pub routes: Arc<dyn Routes>,
    /// Levels and versions of the requirements.
    pub register: Arc<Register>,
    /// Facts of the probe.
    pub facts: Arc<Facts>,
    /// Values and acts of the operator.
    pub operator: Arc<Operator>,
    /// Values and acts of the operator that were proven.
    pub proofs: Arc<Proofs>,
    /// Returns true if the run ends with the result of a case, if it may end early.
    pub ends_with: Option<EndsWith>,
    /// Exchanges of the probe without credentials.
    pub probed: Arc<[Exchange]>,
    /// The standing checks.
    pub observe: Observe,
    /// True once a login was seen to end the earlier sessions of its user.
    pub one_session: Arc<AtomicBool>,
}

/// Standing checks of the exchanges of an owner, if they are still to judge.
pub type Observe = Arc<dyn Fn(&str, &[Exchange]) -> Option<Tally> + Send + Sync>;

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
            // Later phases provoke limits, or may wedge the server.
            let is_after = |at: &usize| {
                plan.cases.get(*at).is_some_and(|one| one.case.phase() > Phase::Destroying)
            };
            if phase.iter().any(is_after) {
                self.run_put_off(plan, jobs.max(1), progress, &mut results).await;
            }
            let first = phase.iter().filter_map(|index| Waiting::first(plan, *index)).collect();
            self.run_round(first, jobs.max(1), progress, &mut results).await;
        }
        self.run_put_off(plan, jobs.max(1), progress, &mut results).await;
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

    pub(super) fn not_run(&self, case: &Case, verdict: Verdict, reason: Reason) -> CaseResult {
        let trace = Trace::settled(verdict, reason);
        CaseResult::without_running(decide(case, &trace, &self.applies(), &|_| String::new()))
    }

    pub(super) fn applies(&self) -> impl Fn(&str) -> Applicability {
        |id| Applicability::of(&self.register, &self.facts.listed, id)
    }

    /// Runs these cases, so many at once.
    async fn run_round(
        &self,
        mut waiting: Vec<Waiting>,
        jobs: usize,
        progress: &dyn Progress,
        results: &mut [Option<CaseResult>],
    ) {
        let logging_in = waiting.iter().filter(|one| may_log_in(&one.planned));
        let queue = LoginQueue::new(logging_in.map(|one| one.index));
        let scheduler = Scheduler::default();
        let mut running: JoinSet<CaseResult> = JoinSet::new();
        let mut tasks: BTreeMap<tokio::task::Id, (usize, Arc<Case>)> = BTreeMap::new();
        loop {
            // Large answers take much memory while they are judged.
            let jobs = if self.sender.http.has_seen_large() { 1 } else { jobs };
            while !self.sender.stop.is_set() {
                // Whoever overtakes a case would wait for its logins, and the case for the place.
                for one in waiting.iter().filter(|one| scheduler.is_overtaken(&one.planned)) {
                    queue.take_out(one.index);
                }
                let cases = waiting.iter().map(|one| &one.planned);
                let Some((at, turn)) = scheduler.next(cases, jobs) else { break };
                let Waiting { index, planned, attempt, earlier } = waiting.remove(at);
                progress.begins(&planned.case);
                let (executor, case) = (self.clone(), planned.case.clone());
                let logins = LoginBudget::queued(&case, Some((queue.clone(), index)));
                let handle = running.spawn(async move {
                    executor.run_checked(&case, &attempt, Some(&turn), logins, earlier).await
                });
                tasks.insert(handle.id(), (index, planned.case));
            }
            let joined = tokio::select! {
                joined = running.join_next_with_id() => joined,
                () = scheduler.rested() => continue,
            };
            let Some(joined) = joined else { break };
            let (id, result) = match joined {
                Ok((id, result)) => (id, Some(result)),
                Err(error) => (error.id(), None),
            };
            let Some((index, case)) = tasks.remove(&id) else { continue };
            let result = result.unwrap_or_else(|| CaseResult::missing(&case));
            if result.put_off.is_none() {
                self.note_end(&case, &result, progress);
            }
            // A case whose result finds no place has none, and is errored.
            if let Some(place) = results.get_mut(index) {
                *place = Some(result);
            }
        }
    }

    fn note_end(&self, case: &Case, result: &CaseResult, progress: &dyn Progress) {
        progress.ended(case, result.decided.verdict);
        if self.ends_with.as_ref().is_some_and(|ends| ends(case, result)) {
            self.sender.stop.set(CancelCause::FailFast);
        }
    }

    /// Runs again what a limit stopped and what was put off for it, now with leave to wait: first those
    /// of which the most is undecided.
    async fn run_put_off(
        &self,
        plan: &Plan,
        jobs: usize,
        progress: &dyn Progress,
        results: &mut [Option<CaseResult>],
    ) {
        let (mut waiting, mut before) = (Vec::new(), BTreeMap::new());
        for (index, place) in results.iter_mut().enumerate() {
            let Some(result) = place else { continue };
            let Some((attempt, stopped)) = result.put_off.take() else { continue };
            let Some(planned) = plan.cases.get(index) else { continue };
            match self.last_attempt(&planned.case, &attempt, &stopped).await {
                Some(attempt) => {
                    let again = Waiting::again(index, &planned.case, attempt, result);
                    waiting.push((std::cmp::Reverse(result.undecided()), again));
                    before.insert(index, result.clone());
                }
                None => self.note_end(&planned.case, result, progress),
            }
        }
        waiting.sort_by_key(|(undecided, _)| *undecided);
        let waiting = waiting.into_iter().map(|(_, waiting)| waiting).collect();
        self.run_round(waiting, jobs, progress, results).await;
        for (index, before) in before {
            let Some(Some(after)) = results.get_mut(index) else { continue };
            // Another account may have been stopped earlier.
            if after.is_rate_limited() && after.undecided() > before.undecided() {
                *after = before;
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
        let case = &planned.case;
        let logins = || LoginBudget::queued(case, None);
        let mut result =
            self.run_apart(case, Attempt::first(assignment), logins(), Vec::new()).await;
        let Some((attempt, stopped)) = result.put_off.take() else { return result };
        match self.last_attempt(case, &attempt, &stopped).await {
            Some(attempt) => {
                let earlier = Arc::unwrap_or_clone(result.exchanges);
                self.run_apart(case, attempt, logins(), earlier).await
            }
            None => result,
        }
    }

    /// Runs a case as a task of its own: a panic in it is its result.
    async fn run_apart(
        &self,
        case: &Arc<Case>,
        attempt: Attempt,
        logins: LoginBudget,
        earlier: Vec<Exchange>,
    ) -> CaseResult {
        let (executor, own) = (self.clone(), case.clone());
        let alone: Option<&Turn> = None;
        let task = tokio::spawn(async move {
            executor.run_checked(&own, &attempt, alone, logins, earlier).await
        });
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
        for policy in ReusePolicy::ALL {
            for index in plan.phases.iter().flatten() {
                let (Some((PlannedCase { case, .. }, assignment)), Some(result)) =
                    (plan.to_run(*index), results.get_mut(*index))
                else {
                    continue;
                };
                let waits = policy.admits(case, assignment)
                    && result.as_ref().is_some_and(CaseResult::is_rate_limited)
                    && !self.sender.stop.is_set();
                let offered = match waits {
                    true => policy.offers(&reusable, &self.sender.created),
                    false => continue,
                };
                if offered.is_empty() {
                    continue;
                }
                let logins = LoginBudget::reusing(case, offered);
                let attempt = Attempt::patient(assignment.clone());
                let again = self.run_apart(case, attempt, logins, Vec::new()).await;
                if !again.is_rate_limited() {
                    *result = Some(again);
                }
            }
        }
    }
}

/// A case that waits for its turn.
struct Waiting {
    /// Its place in the plan.
    index: usize,
    /// The case with the accounts of the attempt, which nobody else may use meanwhile.
    planned: PlannedCase,
    attempt: Attempt,
    /// The exchanges of the attempts before.
    earlier: Vec<Exchange>,
}

impl Waiting {
    fn first(plan: &Plan, index: usize) -> Option<Waiting> {
        let (planned, assignment) = plan.to_run(index)?;
        let attempt = Attempt::first(assignment.clone());
        Some(Waiting { index, planned: planned.clone(), attempt, earlier: Vec::new() })
    }

    fn again(index: usize, case: &Arc<Case>, attempt: Attempt, before: &CaseResult) -> Waiting {
        let disposition = Disposition::Run(attempt.assignment.clone());
        let planned = PlannedCase { case: case.clone(), disposition };
        Waiting { index, planned, attempt, earlier: before.exchanges.to_vec() }
    }
}

/// Returns true if a case may send logins, its own or those that prove its accounts.
fn may_log_in(planned: &PlannedCase) -> bool {
    let Disposition::Run(assignment) = &planned.disposition else { return false };
    planned.case.logins() > 0 || may_open_an_account(assignment)
}

/// Returns true if the proof of a precondition on the operator is a login.
pub(super) fn logs_in_an_owner(case: &Case) -> bool {
    let is_login = |need: &Need| matches!(need, Need::Operator(name) if ["email", "phone"].contains(&name.as_str()));
    case.needs.iter().any(is_login)
}

/// The first account is open since the probe.
pub(super) fn may_open_an_account(assignment: &Assignment) -> bool {
    assignment.accounts.values().any(|slot| *slot != Slot::Main(0))
}

/// The logins of a case that ended well.
fn left_behind(result: &CaseResult) -> impl Iterator<Item = &Exchange> {
    let ended_well = result.decided.verdict <= Verdict::Warned;
    result.exchanges.iter().filter(move |exchange| ended_well && !exchange.shared)
}
