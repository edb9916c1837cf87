//! Running one case: its accounts, its requests with the logins among them, its judgements, and the standing checks.
use crate::accounts::account::{AccountView, good_login};
use crate::accounts::operator_proof::OperatorProver;
use crate::case::ast::{Act, Case, Impact, Limits, Need, Step};
use crate::check::cause::ends_earlier_sessions;
use crate::check::trace::Trace;
use crate::check::verdict::{blames_target, decide};
use crate::http::background::beside;
use crate::http::cancel::CancelCause;
use crate::http::message::{Exchange, Reply, Request, Response};
use crate::http::rate_limit::{Bucket, Patience};
use crate::http::sender::SendResult;
use crate::model::reason::Reason;
use crate::model::run::Verdict;
use crate::plan::{Assignment, Slot};
use crate::run::attempt::{Attempt, AttemptEnd, Remedy};
use crate::run::case_machine::{CaseMachine, Next};
use crate::run::executor::{CaseResult, Executor, logs_in_an_owner, may_open_an_account};
use crate::run::login_budget::{LoginBudget, earlier};
use crate::run::scheduler::Turn;
use crate::run::variables::Variables;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Time limit for judging the responses of one step, or the standing checks of one case. A response
/// of the largest size takes less than a second; only a pattern of somebody's own case may take
/// longer.
const MOST_TIME: Duration = Duration::from_secs(10);
/// Time for a case after a signal, to receive the responses that are on their way.
const GRACE: Duration = Duration::from_millis(1500);

impl Executor {
    /// Runs a case. After a signal it ends soon, whatever it waits for. `earlier` are the exchanges of
    /// its attempts before; with a `turn`, other cases run while it waits.
    pub(super) async fn run_checked(
        &self,
        case: &Arc<Case>,
        attempt: &Attempt,
        turn: Option<&Turn>,
        logins: LoginBudget,
        earlier: Vec<Exchange>,
    ) -> CaseResult {
        let stop = &self.sender.stop;
        let running = async {
            let result = self.run_case(case, attempt, turn, logins, earlier).await;
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
        if let Ok(tally) = self.beside(alone, move || observe(&id, &exchanges)).await {
            result.standing = tally;
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
    ) -> Result<T, Reason> {
        let stop = &self.sender.stop;
        if stop.is_interrupted() {
            return Err(CancelCause::Interrupted.reason());
        }
        let working = async {
            let _alone = if alone { self.sender.http.alone().await } else { None };
            tokio::time::timeout(MOST_TIME, beside(work)).await
        };
        tokio::select! {
            done = working => match done {
                Ok(Some(done)) => Ok(done),
                Ok(None) => Err(CancelCause::Interrupted.reason()),
                Err(_) => Err(too_long()),
            },
            () = stop.interrupted() => Err(CancelCause::Interrupted.reason()),
        }
    }

    /// Runs the steps of a case and decides it. Where it did not go well the target is checked before: if it is to blame
    /// as a whole, what was seen says nothing of the case's question.
    async fn run_case(
        &self,
        case: &Arc<Case>,
        attempt: &Attempt,
        turn: Option<&Turn>,
        logins: LoginBudget,
        mut exchanges: Vec<Exchange>,
    ) -> CaseResult {
        let started = Instant::now();
        let (mut attempt, mut shown) = (attempt.clone(), Vec::new());
        let mut end =
            self.run_steps(case, &attempt, turn, logins, (&mut exchanges, &mut shown)).await;
        while let Some((_, Remedy::Elsewhere(assignment))) = end.stopped {
            attempt = attempt.with_replacement(assignment);
            shown.clear();
            let logins = LoginBudget::queued(case, None);
            end = self.run_steps(case, &attempt, turn, logins, (&mut exchanges, &mut shown)).await;
        }
        let (steps, put_off) = (end.trace, end.stopped.map(|(stopped, _)| (attempt, stopped)));
        let duration = started.elapsed();
        let is_checked =
            blames_target(case, &steps, &self.applies()) && !self.sender.stop.is_interrupted();
        let lost = if is_checked { self.sender.check_up().await } else { None };
        let trace = lost.map_or(steps, |lost| Trace::settled(Verdict::Blocked, lost.reason));
        let last = exchanges.len().saturating_sub(1);
        let exchange =
            |n: usize| format!("{}#{}", case.id, shown.get(n).copied().unwrap_or(last) + 1);
        let decided = decide(case, &trace, &self.applies(), &exchange);
        CaseResult { put_off, ..CaseResult::of(decided, exchanges, duration) }
    }

    /// Runs the steps of a case; `exchanges` takes what is sent, `shown` the places in it that the trace counts.
    async fn run_steps<'c>(
        &'c self,
        case: &'c Arc<Case>,
        attempt: &Attempt,
        turn: Option<&Turn>,
        mut logins: LoginBudget,
        (exchanges, shown): (&mut Vec<Exchange>, &mut Vec<usize>),
    ) -> AttemptEnd<'c> {
        let (assignment, first, mut stopped) = (&attempt.assignment, exchanges.len(), None);
        if may_open_an_account(assignment) || logs_in_an_owner(case) {
            logins.acquire(&self.sender.stop).await;
        }
        logins.give_back(&[]);
        let given = match self.what_is_given_is_proven(case).await {
            Ok(()) => match self.login_refused(case, assignment) {
                Some(reason) => Err((None, reason)),
                None => self.accounts(case, assignment).await,
            },
            Err(reason) => Err((None, reason)),
        };
        let accounts = match given {
            Ok(accounts) => accounts,
            Err((name, reason)) => {
                let stopped = match name {
                    Some(name) => self.unproven(case, attempt, &name, &reason).await,
                    None => None,
                };
                return AttemptEnd { stopped, ..AttemptEnd::settled(reason) };
            }
        };
        let variables =
            Variables::new(case.values.iter().cloned(), accounts.clone(), self.given(&accounts));
        let mut machine = CaseMachine::new(case, &*self.routes, variables);
        loop {
            match machine.advance() {
                Next::Done => break,
                Next::Pause(time) => tokio::select! {
                    () = tokio::time::sleep(time) => {}
                    () = self.sender.stop.stopped() => {}
                },
                Next::Wait(time) => {
                    let waited = self.wait(case, assignment, time, turn, &mut logins).await;
                    machine.waited(waited);
                }
                Next::Operate(act, told) => {
                    machine.operated(self.operate(act, &told, &accounts, exchanges).await);
                }
                Next::Judge(judging) => {
                    let (alone, case) = (judging.is_large(), case.clone());
                    match self.beside(alone, move || judging.judge(&case)).await {
                        Ok(done) => {
                            machine.judged(done);
                            exchanges
                                .iter_mut()
                                .filter(|e| is_large(e))
                                .for_each(Exchange::forget_parsed);
                        }
                        Err(reason) => machine.block(reason),
                    }
                }
                Next::Send(_) if self.sender.stop.is_set() => {
                    machine.replied(vec![Reply::Inconclusive(self.sender.stop.reason())]);
                }
                Next::Send(requests) => {
                    let keeps_parsed = machine.keeps_parsed();
                    let mut sent = self.probed_before(&requests, &machine);
                    let before = exchanges.get(first..).unwrap_or_default();
                    // What it has waited for would be lost.
                    let patience =
                        if machine.has_waited() { Patience::Full } else { attempt.patience };
                    let attempt = &Attempt { patience, ..attempt.clone() };
                    let delivered = self
                        .deliver_past_limits(
                            &requests,
                            (case, attempt),
                            &accounts,
                            (&mut logins, &mut machine),
                            before,
                        )
                        .await;
                    stopped = delivered.stopped;
                    sent.extend(delivered.sent);
                    let mut replies = Vec::new();
                    for mut sent in sent {
                        shown.push(exchanges.len() + sent.shown);
                        // A token that has expired is what such a case is about.
                        let expired = logins.expired(&sent).filter(|_| !machine.has_waited());
                        if !keeps_parsed {
                            sent.exchanges.iter_mut().for_each(Exchange::forget_parsed);
                        }
                        exchanges.extend(sent.exchanges);
                        replies.push(expired.map_or(sent.reply, Reply::Inconclusive));
                    }
                    machine.replied(replies);
                    logins.give_back(&requests);
                }
            }
        }
        let trace = machine.finish();
        let is_ended = matches!(case.impact, Impact::EndsSessions | Impact::Destroys)
            || self.login_ended_sessions(&accounts, exchanges);
        if is_ended {
            for slot in assignment.accounts.values() {
                self.pool.forget_session(slot).await;
            }
        }
        AttemptEnd { trace, stopped }
    }

    /// Waits for a time that a response named, if the budget permits it. Other cases run meanwhile,
    /// and log in before this one.
    async fn wait(
        &self,
        case: &Case,
        assignment: &Assignment,
        time: Duration,
        turn: Option<&Turn>,
        logins: &mut LoginBudget,
    ) -> Result<(), Reason> {
        let paid = self.sender.limits.pay(&case.id, time)?;
        logins.leave();
        let stop = &self.sender.stop;
        let over = async {
            tokio::select! {
                () = paid.over() => {}
                () = stop.stopped() => {}
            }
        };
        match turn {
            Some(turn) => turn.rest(over, stop).await,
            None => over.await,
        }
        // Others may have logged in meanwhile to an account that is not the case's own.
        let is_own = |slot: &Slot| matches!(slot, Slot::Fresh(..) | Slot::Replacement(..));
        let is_ended =
            self.one_session.load(Ordering::Relaxed) && !assignment.accounts.values().all(is_own);
        if is_ended { Err(Reason::EarlierSessionsEnd) } else { Ok(()) }
    }

    /// The reason why a case that begins with a login of an account made for it gets none: no account is
    /// made then, since registrations are limited as well.
    fn login_refused(&self, case: &Case, assignment: &Assignment) -> Option<Reason> {
        let begins_so = case.all_steps().next().is_some_and(Step::is_good_login);
        let is_made = |(name, slot): (&String, &Slot)| {
            matches!(slot, Slot::Fresh(..) | Slot::Replacement(..))
                && (begins_so || case.wants_proof_of(name))
        };
        let is_concerned = case.limits == Limits::Wait && assignment.accounts.iter().any(is_made);
        let login = Request::new(Some("login"), "POST", "").json(&good_login("", ""));
        is_concerned.then(|| self.sender.limits.refuses_all(&Bucket::of(&login)))?
    }

    /// Returns true if the server is known to end earlier sessions at a login, and the case logged in.
    fn login_ended_sessions(
        &self,
        accounts: &BTreeMap<String, AccountView>,
        exchanges: &[Exchange],
    ) -> bool {
        let session = |account: &'_ AccountView| {
            let token = account.token.clone()?;
            Some((token, account.user_id.clone(), account.device_id.clone()?))
        };
        let known: Vec<_> = accounts.values().filter_map(session).collect();
        let known = known
            .iter()
            .map(|(token, user, device)| (token.as_str(), user.as_str(), device.as_str()));
        if ends_earlier_sessions(exchanges, known) {
            self.one_session.store(true, Ordering::Relaxed);
        }
        let is_login = |one: &Exchange| {
            !one.shared
                && one.request.is_login()
                && one.result.as_ref().is_ok_and(Response::is_success)
        };
        self.one_session.load(Ordering::Relaxed) && exchanges.iter().any(is_login)
    }

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
            self.pool.notices.error(&reason.text());
        }
        done
    }

    /// Returns the probe's responses to the one request that decides a step: judged with the step's
    /// own response, or what is wrong only at first would be seen by nobody.
    fn probed_before(&self, requests: &[Request], machine: &CaseMachine<'_>) -> Vec<SendResult> {
        let ([request], true) = (requests, machine.judges_what_was_asked_before()) else {
            return Vec::new();
        };
        let same = self.probed.iter().filter(|probed| probed.request == *request);
        // What is parsed of a copy is gone with the case.
        same.filter_map(|probed| earlier(probed.unparsed())).collect()
    }

    /// Delivers requests; a login in its turn, or answered by one that was sent before.
    pub(super) async fn deliver(
        &self,
        requests: &[Request],
        (case, attempt): (&Case, &Attempt),
        accounts: &BTreeMap<String, AccountView>,
        (logins, machine): (&mut LoginBudget, &mut CaseMachine<'_>),
    ) -> Vec<SendResult> {
        if requests.iter().any(Request::is_login) {
            if let [login] = requests
                && let Some(served) = logins.session_for(login, case, accounts, machine)
            {
                return vec![served];
            }
            logins.acquire(&self.sender.stop).await;
        }
        self.send(requests, case, attempt.patience).await
    }

    /// Sends the requests of a step; several at once wait for limits as long as it takes, since they
    /// are one question.
    pub(super) async fn send(
        &self,
        requests: &[Request],
        case: &Case,
        patience: Patience,
    ) -> Vec<SendResult> {
        if let [request] = requests {
            let sender = self.sender.with_patience(patience);
            return vec![sender.send(request, case.limits).await];
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

    /// The accounts of a case; an error has the name of the one that cannot be had.
    async fn accounts(
        &self,
        case: &Case,
        assignment: &Assignment,
    ) -> Result<BTreeMap<String, AccountView>, (Option<String>, Reason)> {
        let mut accounts = BTreeMap::new();
        for (name, slot) in &assignment.accounts {
            let session = assignment.sessions.contains(name);
            // A refusal means nothing before the account is known to work.
            let proven = case.impact == Impact::LocksOut
                || *slot == Slot::Main(0)
                || case.wants_proof_of(name);
            let account = self.pool.account(slot, session, proven).await;
            let account = account.map_err(|reason| (Some(name.clone()), reason))?;
            accounts.insert(name.clone(), account);
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
            ("server.origin".to_owned(), json!(self.sender.http.target().origin())),
        ]);
        given.extend(self.operator.values());
        given.extend(name.map(|name| ("server.name".to_owned(), json!(name))));
        given
    }
}

/// Collects the results of all tasks of a step. A panic in one of them goes on here: the case is
/// then errored, and not judged on fewer answers.
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

fn is_large(exchange: &Exchange) -> bool {
    exchange.result.as_ref().is_ok_and(Response::is_large)
}

/// Returns the reason for a case that took too long to judge.
pub fn too_long() -> Reason {
    Reason::TooLong { seconds: MOST_TIME.as_secs() }
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
