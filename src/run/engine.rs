//! Running the cases of a plan: who goes next, on which accounts, and what came of it.
use super::courier::{Courier, Delivered};
use super::desk::Desk;
use super::env::{AccountView, Env};
use super::machine::{Machine, Next};
use super::operator::Operator;
use super::perishable::Perishables;
use super::stop::Cause;
use crate::case::ast::{Case, Impact};
use crate::check::verdict::{Decided, Weight, decide};
use crate::facts::Facts;
use crate::outcome::{Reason, Verdict};
use crate::plan::{Assignment, Fate, Plan, Planned, Slot};
use crate::register::{Register, Severity};
use crate::routes::Routes;
use crate::wire::{Ask, Exchanged, Reply};
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
    pub exchanges: Vec<Exchanged>,
    /// Wall time.
    pub duration: Duration,
}

impl CaseResult {
    fn without_running(decided: Decided) -> Self {
        CaseResult { decided, exchanges: Vec::new(), duration: Duration::ZERO }
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
pub struct Engine {
    /// Delivers requests.
    pub courier: Courier,
    /// Hands out accounts.
    pub desk: Arc<Desk>,
    /// Where operations lie.
    pub routes: Arc<dyn Routes>,
    /// Levels and versions of the requirements.
    pub register: Arc<Register>,
    /// What the probe saw.
    pub facts: Arc<Facts>,
    /// What only the operator can give or do.
    pub operator: Arc<Operator>,
    /// The verdict of a case with which the run ends, if it is to end early.
    pub ends_with: Option<Verdict>,
}

impl Engine {
    /// Runs a plan with so many cases at once; one result for each case, in the plan's order.
    pub async fn run(&self, plan: &Plan, jobs: usize, progress: &dyn Progress) -> Vec<CaseResult> {
        let mut results: Vec<Option<CaseResult>> = plan
            .cases
            .iter()
            .map(|planned| match &planned.fate {
                Fate::Not(verdict, reason) => {
                    let decided = Decided::all(&planned.case, *verdict, reason.clone());
                    Some(CaseResult::without_running(self.gated(&planned.case, decided)))
                }
                Fate::Run(_) => None,
            })
            .collect();
        for phase in &plan.phases {
            self.run_phase(plan, phase, jobs.max(1), progress, &mut results).await;
        }
        results
            .into_iter()
            .zip(&plan.cases)
            .map(|(result, planned)| {
                result.unwrap_or_else(|| {
                    let decided =
                        Decided::all(&planned.case, Verdict::Blocked, self.courier.stop.reason());
                    CaseResult::without_running(self.gated(&planned.case, decided))
                })
            })
            .collect()
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
        let mut busy: BTreeSet<Slot> = BTreeSet::new();
        let mut running: JoinSet<(usize, CaseResult)> = JoinSet::new();
        let mut tasks: BTreeMap<tokio::task::Id, usize> = BTreeMap::new();
        loop {
            while running.len() < jobs && !self.courier.stop.is_set() {
                let Some(at) = next_free(plan, &waiting, &busy) else { break };
                let index = waiting.remove(at);
                let planned = &plan.cases[index];
                let Fate::Run(assignment) = &planned.fate else { continue };
                busy.extend(assignment.accounts.values().cloned());
                progress.begins(&planned.case);
                let (engine, case, assignment) =
                    (self.clone(), planned.case.clone(), assignment.clone());
                let handle = running
                    .spawn(async move { (index, engine.run_case(&case, &assignment).await) });
                tasks.insert(handle.id(), index);
            }
            let Some(joined) = running.join_next_with_id().await else { break };
            let (index, result) = match joined {
                Ok((_, done)) => done,
                Err(error) => {
                    let Some(index) = tasks.get(&error.id()).copied() else { continue };
                    (index, panicked(&plan.cases[index].case))
                }
            };
            let planned = &plan.cases[index];
            if let Fate::Run(assignment) = &planned.fate {
                for slot in assignment.accounts.values() {
                    busy.remove(slot);
                }
            }
            progress.ended(&planned.case, result.decided.verdict);
            if self.ends_with.is_some_and(|verdict| result.decided.verdict >= verdict) {
                self.courier.stop.set(Cause::FailFast);
            }
            results[index] = Some(result);
        }
    }

    /// Runs one case of a plan, or says why it does not run. The caller sees to it that no other
    /// case uses its accounts meanwhile.
    pub async fn run_one(&self, planned: &Planned) -> CaseResult {
        let assignment = match &planned.fate {
            Fate::Run(assignment) => assignment.clone(),
            Fate::Not(verdict, reason) => {
                let decided = Decided::all(&planned.case, *verdict, reason.clone());
                return CaseResult::without_running(self.gated(&planned.case, decided));
            }
        };
        let (engine, case) = (self.clone(), planned.case.clone());
        let task = tokio::spawn(async move { engine.run_case(&case, &assignment).await });
        task.await.unwrap_or_else(|_| panicked(&planned.case))
    }

    async fn run_case(&self, case: &Case, assignment: &Assignment) -> CaseResult {
        let started = Instant::now();
        let accounts = match self.accounts(case, assignment).await {
            Ok(accounts) => accounts,
            Err(reason) => {
                let decided = Decided::all(case, Verdict::Blocked, reason);
                return CaseResult {
                    decided: self.gated(case, decided),
                    exchanges: Vec::new(),
                    duration: started.elapsed(),
                };
            }
        };
        let env = Env::new(case.values.iter().cloned(), accounts.clone(), self.given(&accounts));
        let mut machine = Machine::new(case, &*self.routes, env);
        let (mut exchanges, mut shown) = (Vec::new(), Vec::new());
        let mut perishables = Perishables::default();
        loop {
            match machine.advance() {
                Next::Done => break,
                Next::Pause(time) => tokio::select! {
                    () = tokio::time::sleep(time) => {}
                    () = self.courier.stop.stopped() => {}
                },
                Next::Operate(act, told) => {
                    let done = self.operator.act(act, &told, &self.courier, &mut exchanges).await;
                    machine.operated(done);
                }
                Next::Send(_) if self.courier.stop.is_set() => {
                    machine.replied(vec![Reply::Undecided(self.courier.stop.reason())]);
                }
                Next::Send(asks) => {
                    let mut replies = Vec::new();
                    for delivered in self.deliver(&asks, case).await {
                        shown.push(exchanges.len() + delivered.shown);
                        let spoiled = perishables.spoiled(&delivered);
                        perishables.note(&delivered);
                        exchanges.extend(delivered.exchanges);
                        replies.push(spoiled.map_or(delivered.reply, Reply::Undecided));
                    }
                    machine.replied(replies);
                }
            }
        }
        let trace = machine.finish();
        if case.impact >= Impact::EndsSessions {
            for slot in assignment.accounts.values() {
                self.desk.forget_session(slot).await;
            }
        }
        let last = exchanges.len().saturating_sub(1);
        let exchange =
            |n: usize| format!("{}#{}", case.id, shown.get(n).copied().unwrap_or(last) + 1);
        let decided = decide(case, &trace, &|id| self.weight(id), &exchange);
        let decided = self.gated(case, decided);
        CaseResult { decided, exchanges, duration: started.elapsed() }
    }

    async fn deliver(&self, asks: &[Ask], case: &Case) -> Vec<Delivered> {
        if let [ask] = asks {
            return vec![self.courier.deliver(ask, case.limits).await];
        }
        let mut sending = JoinSet::new();
        for (index, ask) in asks.iter().enumerate() {
            let (courier, ask, limits) = (self.courier.clone(), ask.clone(), case.limits);
            sending.spawn(async move { (index, courier.deliver(&ask, limits).await) });
        }
        let mut all: Vec<(usize, Delivered)> = Vec::new();
        while let Some(joined) = sending.join_next().await {
            if let Ok(done) = joined {
                all.push(done);
            }
        }
        all.sort_by_key(|(index, _)| *index);
        all.into_iter().map(|(_, delivered)| delivered).collect()
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
            let proven = case.impact == Impact::LocksOut || *slot == Slot::Main(0);
            accounts.insert(name.clone(), self.desk.account(slot, session, proven).await?);
        }
        Ok(accounts)
    }

    fn given(&self, accounts: &BTreeMap<String, AccountView>) -> BTreeMap<String, Value> {
        let api = self.facts.api.as_str();
        let name = accounts.values().next().map(|account| account.server_name().to_owned());
        let mut given = BTreeMap::from([
            ("server.api".to_owned(), json!(api)),
            ("server.prefix".to_owned(), json!(format!("/_matrix/client/{api}"))),
        ]);
        given.extend(self.operator.values());
        given.extend(name.map(|name| ("server.name".to_owned(), json!(name))));
        given
    }

    fn weight(&self, id: &str) -> Weight {
        match self.register.get(id) {
            Some(requirement) => Weight {
                level: requirement.level,
                severity: requirement.severity(&self.facts.listed),
            },
            None => Weight { level: crate::outcome::Level::May, severity: Severity::Observes },
        }
    }

    /// Takes back what is said of requirements that no release the server lists has.
    fn gated(&self, case: &Case, mut decided: Decided) -> Decided {
        let applies =
            |id: &str| self.register.get(id).is_some_and(|r| r.applies(&self.facts.listed));
        if case.checks.iter().all(|id| applies(id)) {
            return decided;
        }
        decided.findings.retain(|finding| applies(&finding.requirement));
        for decision in &mut decided.decisions {
            if !applies(&decision.requirement) {
                decision.verdict = Verdict::Skipped;
                decision.branch = None;
                decision.reason = Some(Reason {
                    code: "version".to_owned(),
                    text: "no release that the server lists has it".to_owned(),
                });
            }
        }
        let worst = decided.decisions.iter().map(|decision| decision.verdict).max();
        decided.verdict = worst.unwrap_or(Verdict::Skipped);
        let of_worst = decided.decisions.iter().find(|d| d.verdict == decided.verdict);
        decided.reason = of_worst.and_then(|decision| decision.reason.clone());
        decided
    }
}

/// The first waiting case whose accounts are free, and for none of which an earlier case waits.
fn next_free(plan: &Plan, waiting: &[usize], busy: &BTreeSet<Slot>) -> Option<usize> {
    let mut taken = busy.clone();
    for (at, index) in waiting.iter().enumerate() {
        let Fate::Run(assignment) = &plan.cases[*index].fate else { return Some(at) };
        if assignment.accounts.values().all(|slot| !taken.contains(slot)) {
            return Some(at);
        }
        taken.extend(assignment.accounts.values().cloned());
    }
    None
}

fn panicked(case: &Case) -> CaseResult {
    let reason = Reason {
        code: "panic".to_owned(),
        text: "homespec itself failed in this case; please report it".to_owned(),
    };
    CaseResult::without_running(Decided::all(case, Verdict::Errored, reason))
}
