//! Running the cases of a plan: who goes next, on which accounts, and what came of it.
use super::courier::{Courier, Delivered};
use super::desk::Desk;
use super::env::{AccountView, Env};
use super::loan::{Loan, Terms};
use super::machine::{Machine, Next};
use super::operator::Operator;
use super::perishable::Perishables;
use super::stop::Cause;
use super::turns::{Turn, Turns};
use crate::case::ast::{Case, Impact};
use crate::check::verdict::{Decided, Weight, decide};
use crate::facts::Facts;
use crate::outcome::{Reason, Verdict};
use crate::plan::{Assignment, Claim, Fate, Plan, Planned, Slot};
use crate::register::{Register, Severity};
use crate::routes::Routes;
use crate::wire::{Answer, Ask, Exchanged, Reply};
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
    /// Whether the run ends with the result of a case, if it is to end early.
    pub ends_with: Option<EndsWith>,
    /// What the probe asked without credentials and was answered: a case that asks the same judges these
    /// answers with its own, or what is wrong only at first would be seen by nobody.
    pub probed: Arc<[Exchanged]>,
}

/// Says of a case's result whether the run ends with it.
pub type EndsWith = Arc<dyn Fn(&Case, &CaseResult) -> bool + Send + Sync>;

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
        self.run_on_loan(plan, &mut results).await;
        let of_accounts = self.desk.exchanges();
        let of_cases = results.iter().flatten().flat_map(|result| &result.exchanges);
        self.courier.ledger.arrange(of_accounts.iter().chain(of_cases));
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
        let turns = Turns::new(phase.iter().copied().filter(|at| may_log_in(&plan.cases[*at])));
        let mut busy: BTreeSet<Claim> = BTreeSet::new();
        let mut running: JoinSet<(usize, CaseResult)> = JoinSet::new();
        let mut tasks: BTreeMap<tokio::task::Id, usize> = BTreeMap::new();
        loop {
            while running.len() < jobs && !self.courier.stop.is_set() {
                let Some(at) = next_free(plan, &waiting, &busy) else { break };
                let index = waiting.remove(at);
                let planned = &plan.cases[index];
                let Fate::Run(assignment) = &planned.fate else { continue };
                busy.extend(planned.claims());
                progress.begins(&planned.case);
                let (engine, case, assignment) =
                    (self.clone(), planned.case.clone(), assignment.clone());
                let logins = Logins::InTurn(turns.of(index));
                let handle = running.spawn(async move {
                    (index, engine.run_checked(&case, &assignment, logins).await)
                });
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
            for claim in planned.claims() {
                busy.remove(&claim);
            }
            progress.ended(&planned.case, result.decided.verdict);
            if self.ends_with.as_ref().is_some_and(|ends| ends(&planned.case, &result)) {
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
        let logins = Logins::InTurn(Turn::default());
        let task =
            tokio::spawn(async move { engine.run_checked(&case, &assignment, logins).await });
        task.await.unwrap_or_else(|_| panicked(&planned.case))
    }

    /// Runs again what got no login for a rate limit and wants no more than a session: on those
    /// that earlier cases left. First those that end none, then the others, and at last one on the
    /// session that cases share.
    async fn run_on_loan(&self, plan: &Plan, results: &mut [Option<CaseResult>]) {
        let mut loans: Vec<Loan> = results
            .iter()
            .flatten()
            .flat_map(left_behind)
            .filter_map(|it| Loan::of(it, false))
            .collect();
        let shared = self.desk.proofs().await;
        loans.extend(shared.iter().filter_map(|it| Loan::of(it, true)));
        for terms in [Terms::ToLookAt, Terms::ToEnd, Terms::LastUse] {
            for index in plan.phases.iter().flatten() {
                let Planned { case, fate: Fate::Run(assignment) } = &plan.cases[*index] else {
                    continue;
                };
                let waits = case.takes_any_session()
                    && results[*index].as_ref().is_some_and(CaseResult::is_rate_limited)
                    && (terms != Terms::ToLookAt || !case.ends_its_session())
                    && (terms != Terms::LastUse || assignment.sessions.is_empty());
                if !waits || self.courier.stop.is_set() {
                    continue;
                }
                let offered: Vec<Loan> = loans
                    .iter()
                    .filter(|loan| loan.is_for(terms) && loan.lives(&self.courier.ledger))
                    .cloned()
                    .collect();
                if offered.is_empty() {
                    continue;
                }
                let result = self.run_checked(case, assignment, Logins::OnLoan(offered)).await;
                // Either it is no longer blocked, or it was counted a second time.
                self.courier.limits.served("login");
                if !result.is_rate_limited() {
                    results[*index] = Some(result);
                }
            }
        }
    }

    /// Runs a case, and where it did not go well sees whether the target is to blame as a whole: then
    /// what was found says nothing of the case's question.
    async fn run_checked(
        &self,
        case: &Case,
        assignment: &Assignment,
        logins: Logins,
    ) -> CaseResult {
        let mut result = self.run_case(case, assignment, logins).await;
        let went_well = matches!(result.decided.verdict, Verdict::Passed | Verdict::Warned)
            || result.is_rate_limited();
        if !went_well && let Some(lost) = self.courier.check_up().await {
            let decided = Decided::all(case, Verdict::Blocked, lost.reason);
            result.decided = self.gated(case, decided);
        }
        // Parsed again where that is needed: a run keeps every answer, and parsed they are large.
        for exchanged in &mut result.exchanges {
            exchanged.forget_parsed();
        }
        result
    }

    async fn run_case(
        &self,
        case: &Case,
        assignment: &Assignment,
        mut logins: Logins,
    ) -> CaseResult {
        let started = Instant::now();
        let mut left = case.logins();
        if may_open_an_account(assignment) {
            self.turn(&logins).await;
        }
        if left == 0 {
            logins.are_over();
        }
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
                    if let [ask] = asks.as_slice()
                        && machine.judges_what_was_asked_before()
                    {
                        let earlier = self.probed.iter().filter(|probed| probed.ask == *ask);
                        for probed in earlier {
                            let Ok(answer) = &probed.result else { continue };
                            shown.push(exchanges.len());
                            exchanges.push(probed.clone());
                            replies.push(Reply::Answer(answer.clone()));
                        }
                    }
                    let sent = self.with_logins(&asks, case, &accounts, &mut logins, &mut machine);
                    for delivered in sent.await {
                        shown.push(exchanges.len() + delivered.shown);
                        let spoiled = perishables.spoiled(&delivered);
                        perishables.note(&delivered);
                        exchanges.extend(delivered.exchanges);
                        replies.push(spoiled.map_or(delivered.reply, Reply::Undecided));
                    }
                    machine.replied(replies);
                    left = left.saturating_sub(asks.iter().filter(|ask| ask.is_login()).count());
                    if left == 0 {
                        logins.are_over();
                    }
                }
            }
        }
        let trace = machine.finish();
        if matches!(case.impact, Impact::EndsSessions | Impact::Destroys) {
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

    async fn turn(&self, logins: &Logins) {
        let Logins::InTurn(turn) = logins else { return };
        tokio::select! {
            () = turn.comes() => {}
            () = self.courier.stop.stopped() => {}
        }
    }

    /// Delivers requests; a login in its turn, or served by one that was sent before.
    async fn with_logins(
        &self,
        asks: &[Ask],
        case: &Case,
        accounts: &BTreeMap<String, AccountView>,
        logins: &mut Logins,
        machine: &mut Machine<'_>,
    ) -> Vec<Delivered> {
        let [ask] = asks else {
            if asks.iter().any(Ask::is_login) {
                self.turn(logins).await;
            }
            return self.deliver(asks, case).await;
        };
        if !ask.is_login() {
            return self.deliver(asks, case).await;
        }
        if let Logins::OnLoan(offered) = logins {
            let served = offered
                .iter()
                .find_map(|loan| Some((loan.serve(ask, machine)?.clone(), loan.login.clone())));
            // One session is lent once to a case.
            *logins = Logins::OnLoan(Vec::new());
            if let Some((answer, login)) = served {
                return vec![earlier(answer, login)];
            }
        }
        if let Logins::InTurn(_) = logins
            && let Some(served) = shared_login(ask, case, accounts)
        {
            return vec![served];
        }
        self.turn(logins).await;
        self.deliver(asks, case).await
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
        let alike = asks.windows(2).all(|pair| pair.first() == pair.last());
        // Which of equal requests came first is chance: what came of them is put in order instead.
        all.sort_by_key(|(index, delivered)| (alike.then(|| outcome(delivered)), *index));
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
            let proven = case.impact == Impact::LocksOut
                || *slot == Slot::Main(0)
                || case.wants_proof_of(name);
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
            ("server.scheme".to_owned(), json!(self.courier.http.target().scheme())),
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
                    text: "no release that the server lists has it".into(),
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

/// How a case comes by its logins.
enum Logins {
    /// It sends them, when its turn has come.
    InTurn(Turn),
    /// It is served by one of these, if one fits.
    OnLoan(Vec<Loan>),
}

impl Logins {
    /// It sends no more of them.
    fn are_over(&mut self) {
        if let Logins::InTurn(turn) = self {
            turn.over();
        }
    }
}

/// Whether a case may send logins, its own or those that prove its accounts.
fn may_log_in(planned: &Planned) -> bool {
    let Fate::Run(assignment) = &planned.fate else { return false };
    planned.case.logins() > 0 || may_open_an_account(assignment)
}

/// The first account is open since the probe.
fn may_open_an_account(assignment: &Assignment) -> bool {
    assignment.accounts.values().any(|slot| *slot != Slot::Main(0))
}

/// The login that proved an account of the case, where the case would send the same and only looks
/// at what came of it.
fn shared_login(
    ask: &Ask,
    case: &Case,
    accounts: &BTreeMap<String, AccountView>,
) -> Option<Delivered> {
    if case.ends_its_session() {
        return None;
    }
    let body = ask.json_body()?;
    let proof = accounts.values().filter_map(|a| a.proof.as_ref()).find(|p| p.body == body)?;
    let (login, answer) = (&proof.exchanged, proof.exchanged.result.as_ref().ok()?);
    let same_way = login.ask.path == ask.path && login.ask.headers == ask.headers;
    same_way.then(|| earlier(answer.clone(), (**login).clone()))
}

fn earlier(answer: Answer, login: Exchanged) -> Delivered {
    Delivered { reply: Reply::Answer(answer), exchanges: vec![login], shown: 0 }
}

/// The logins of a case that ended well.
fn left_behind(result: &CaseResult) -> impl Iterator<Item = &Exchanged> {
    let ended_well = result.decided.verdict <= Verdict::Warned;
    result.exchanges.iter().filter(move |exchanged| ended_well && !exchanged.shared)
}

/// The status that a request came to; those that came to none are last.
fn outcome(delivered: &Delivered) -> u16 {
    match &delivered.reply {
        Reply::Answer(answer) => answer.status,
        Reply::Dropped(_) | Reply::Undecided(_) => u16::MAX,
    }
}

/// The first waiting case whose accounts are free, and for none of which an earlier case waits.
fn next_free(plan: &Plan, waiting: &[usize], busy: &BTreeSet<Claim>) -> Option<usize> {
    let mut taken = busy.clone();
    for (at, index) in waiting.iter().enumerate() {
        let claims = plan.cases[*index].claims();
        if taken.is_disjoint(&claims) {
            return Some(at);
        }
        taken.extend(claims);
    }
    None
}

fn panicked(case: &Case) -> CaseResult {
    let reason = Reason {
        code: "panic".to_owned(),
        text: "homespec itself failed in this case; please report it".into(),
    };
    CaseResult::without_running(Decided::all(case, Verdict::Errored, reason))
}
