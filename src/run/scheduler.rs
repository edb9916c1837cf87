//! Which planned cases may run at the same time: an account serves one case at a time, and cases of another phase wait
//! until those that run are over.
//!
//! A case that lets a time pass rests: it counts as none of those that run, and its accounts serve others meanwhile that
//! end no session there.
use crate::case::ast::{Impact, Phase};
use crate::http::cancel::Cancellation;
use crate::plan::{Claim, PlannedCase};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The cases that run now, and what they use.
#[derive(Default)]
pub struct Scheduler(Arc<SchedulerState>);

#[derive(Default)]
struct SchedulerState {
    running: Mutex<RunningCases>,
    /// Told when a case ends, or rests.
    ended: Notify,
    /// Told when a case rests, and when it has rested.
    rested: Notify,
}

#[derive(Default)]
struct RunningCases {
    cases: usize,
    /// The most that may run at once.
    jobs: usize,
    phase: Option<Phase>,
    claims: BTreeSet<Claim>,
    /// The accounts of cases that rest, each once for each of these cases.
    resting: Vec<Claim>,
    /// The accounts of each case that has rested and waits for its place.
    returning: Vec<BTreeSet<Claim>>,
    /// The number of cases that rest.
    resting_cases: usize,
}

impl RunningCases {
    /// Returns true if a case may end the session of one that rests.
    fn is_harmed_by(&self, planned: &PlannedCase, claims: &BTreeSet<Claim>) -> bool {
        planned.case.impact > Impact::Account
            && self.resting.iter().any(|claim| claims.contains(claim))
    }

    /// The number of cases that have rested and whose accounts are free. One whose account serves another case keeps no
    /// place: that other case may wait for one that has none yet.
    fn ready(&self) -> usize {
        self.returning.iter().filter(|accounts| self.claims.is_disjoint(accounts)).count()
    }
}

/// Leave for one case to run; its accounts are free again when it is dropped.
pub struct Turn {
    shared: Arc<SchedulerState>,
    claims: BTreeSet<Claim>,
}

impl Scheduler {
    /// The place of the first of these cases that may run while fewer than `jobs` others do. What an earlier one waits
    /// for is kept for it.
    pub fn next<'p>(
        &self,
        waiting: impl IntoIterator<Item = &'p PlannedCase>,
        jobs: usize,
    ) -> Option<(usize, Turn)> {
        let mut running = self.0.running();
        running.jobs = jobs;
        if running.cases + running.ready() >= jobs {
            return None;
        }
        let mut kept = running.claims.clone();
        kept.extend(running.returning.iter().flatten().cloned());
        for (place, planned) in waiting.into_iter().enumerate() {
            let (phase, claims) = (planned.case.phase(), planned.claims());
            if running.is_harmed_by(planned, &claims) {
                continue;
            }
            if running.phase.is_none_or(|others| others == phase) && kept.is_disjoint(&claims) {
                running.cases += 1;
                running.phase = Some(phase);
                running.claims.extend(claims.iter().cloned());
                return Some((place, Turn { shared: self.0.clone(), claims }));
            }
            kept.extend(claims);
        }
        None
    }

    /// Returns true if a case waits for the end of another one's rest, or for an account that one which has rested is
    /// about to take, and is overtaken meanwhile.
    pub fn is_overtaken(&self, planned: &PlannedCase) -> bool {
        let (running, claims) = (self.0.running(), planned.claims());
        let is_taken = running.returning.iter().any(|accounts| !accounts.is_disjoint(&claims));
        is_taken || running.is_harmed_by(planned, &claims)
    }

    /// Waits until a case rests, or has rested: then another may run, or is overtaken.
    pub async fn rested(&self) {
        self.0.rested.notified().await;
    }

    /// Waits until a case may run.
    pub async fn turn(&self, planned: &PlannedCase) -> Turn {
        loop {
            let mut ended = std::pin::pin!(self.0.ended.notified());
            // What ends from here on wakes this up, if it ends before the wait begins too.
            ended.as_mut().enable();
            if let Some((_, turn)) = self.next([planned], usize::MAX) {
                return turn;
            }
            ended.await;
        }
    }
}

impl Turn {
    /// Lets other cases run until `over` completes, and then waits for a place among them; after a stop it has one at
    /// once.
    pub async fn rest(&self, over: impl Future<Output = ()>, stop: &Cancellation) {
        let accounts: BTreeSet<Claim> = self.accounts().cloned().collect();
        let mut rest = Rest { turn: self, accounts, state: RestState::Rests };
        rest.begin();
        over.await;
        rest.queue();
        loop {
            let mut ended = std::pin::pin!(self.shared.ended.notified());
            ended.as_mut().enable();
            // When it is dropped, it has a place in any case.
            if stop.is_set() || rest.returns() {
                return;
            }
            tokio::select! {
                () = ended => {}
                () = stop.stopped() => {}
            }
        }
    }

    fn accounts(&self) -> impl Iterator<Item = &Claim> {
        self.claims.iter().filter(|claim| matches!(claim, Claim::Account(_)))
    }
}

/// A rest of a case; the case runs again when this is dropped.
struct Rest<'t> {
    turn: &'t Turn,
    accounts: BTreeSet<Claim>,
    state: RestState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum RestState {
    Rests,
    /// It waits for its place.
    Queued,
    Over,
}

impl Rest<'_> {
    fn begin(&self) {
        let mut running = self.turn.shared.running();
        running.cases -= 1;
        running.resting_cases += 1;
        running.claims.retain(|claim| !self.accounts.contains(claim));
        running.resting.extend(self.accounts.iter().cloned());
        drop(running);
        self.turn.shared.ended.notify_waiters();
        self.turn.shared.rested.notify_one();
    }

    fn queue(&mut self) {
        self.turn.shared.running().returning.push(self.accounts.clone());
        self.state = RestState::Queued;
        self.turn.shared.rested.notify_one();
    }

    /// Takes a place if there is one.
    fn returns(&mut self) -> bool {
        let mut running = self.turn.shared.running();
        let is_free = running.cases < running.jobs && running.claims.is_disjoint(&self.accounts);
        if is_free {
            self.take_place(&mut running);
            self.state = RestState::Over;
        }
        is_free
    }

    fn take_place(&self, running: &mut RunningCases) {
        for account in &self.accounts {
            if let Some(at) = running.resting.iter().position(|claim| claim == account) {
                running.resting.swap_remove(at);
            }
        }
        let queued = self.state == RestState::Queued;
        if let Some(at) = running.returning.iter().position(|one| queued && *one == self.accounts) {
            running.returning.swap_remove(at);
        }
        running.claims.extend(self.accounts.iter().cloned());
        running.cases += 1;
        running.resting_cases -= 1;
    }
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        if self.state != RestState::Over {
            self.take_place(&mut self.turn.shared.running());
        }
    }
}

impl SchedulerState {
    fn running(&self) -> MutexGuard<'_, RunningCases> {
        // No change in here can be cut short by a panic.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut running = self.shared.running();
        running.claims.retain(|claim| !self.claims.contains(claim));
        running.cases -= 1;
        running.phase = running.phase.filter(|_| running.cases + running.resting_cases > 0);
        self.shared.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::suite::Suite;
    use crate::plan::{Assignment, Disposition, Slot};

    /// A case on an account, if it is to burst in a phase of its own.
    fn planned(slot: usize, bursts: bool) -> PlannedCase {
        let limits = if bursts { "    limits: observe\n" } else { "" };
        let text = format!(
            "about: x\ncases:\n  - id: one\n    title: t\n    checks: [versions.get.ok]\n{limits}\
             \x20   needs: [account alice]\n    impact: reads\n    steps:\n      - call: getVersions\n        must: {{ status: 200 }}\n"
        );
        let suite = Suite::from_texts([("own.yaml".to_owned(), text)]).unwrap();
        let accounts = [("alice".to_owned(), Slot::Main(slot))].into();
        let disposition = Disposition::Run(Assignment { accounts, sessions: Vec::new() });
        PlannedCase { case: suite.shared_cases().next().unwrap().clone(), disposition }
    }

    #[tokio::test]
    async fn an_account_serves_one_case_at_a_time_and_phases_do_not_mix() {
        let (scheduler, waiting) = (Scheduler::default(), [0, 0, 1].map(|n| planned(n, false)));
        let (place, first) = scheduler.next(&waiting, 2).unwrap();
        assert_eq!(place, 0);
        let (place, second) = scheduler.next(&waiting[1..], 2).unwrap();
        assert_eq!(place, 1, "the first waiting case shares an account with the running one");
        assert!(scheduler.next(&waiting[1..], 2).is_none(), "two run already");
        drop(second);
        let burst = planned(2, true);
        assert!(scheduler.next([&burst], 9).is_none());
        tokio::select! {
            biased;
            _ = scheduler.turn(&burst) => panic!("something else runs"),
            () = std::future::ready(()) => drop(first),
        }
        let burst = scheduler.turn(&burst).await;
        assert!(scheduler.next(&waiting, 9).is_none());
        drop(burst);
        assert!(scheduler.next(&waiting, 9).is_some());
    }

    fn with_impact(slot: usize, impact: Impact) -> PlannedCase {
        let mut planned = planned(slot, false);
        Arc::make_mut(&mut planned.case).impact = impact;
        planned
    }

    /// Leads a rest up to where it tells the scheduler of itself, which is before its end.
    async fn reports_rest(scheduler: &Scheduler, rest: impl Future<Output = ()>, why: &str) {
        tokio::select! {
            biased;
            () = rest => panic!("{why}"),
            () = scheduler.rested() => {}
        }
    }

    #[tokio::test]
    async fn a_case_that_rests_leaves_its_place_and_its_account_to_those_that_end_no_session() {
        let (scheduler, stop) = (Scheduler::default(), Cancellation::default());
        let (_, resting) = scheduler.next([&with_impact(0, Impact::Session)], 1).unwrap();
        let others = [Impact::EndsSessions, Impact::LocksOut, Impact::Destroys, Impact::Account];
        let others = others.map(|impact| with_impact(0, impact));
        let (over, waits) = tokio::sync::oneshot::channel::<()>();
        let mut rests = Box::pin(resting.rest(async { waits.await.unwrap() }, &stop));
        reports_rest(&scheduler, &mut rests, "it rests").await;
        let (place, other) = scheduler.next(&others, 1).unwrap();
        assert_eq!(place, 3, "what may end its session waits, and keeps nobody else waiting");
        over.send(()).unwrap();
        tokio::select! {
            biased;
            () = &mut rests => panic!("its place is taken"),
            () = std::future::ready(()) => {}
        }
        assert!(scheduler.next(&others[3..], 2).is_none(), "the next place is its own");
        drop(other);
        rests.await;
        assert!(scheduler.next([&planned(1, false)], 1).is_none(), "it runs again");
        assert!(scheduler.next(&others[3..], 2).is_none(), "and has its account");
        drop(resting);
        assert!(scheduler.next(&others, 1).is_some());
    }

    #[tokio::test]
    async fn a_rest_ends_at_once_with_the_run_and_leaves_nothing_behind() {
        let (scheduler, stop) = (Scheduler::default(), Cancellation::default());
        let (_, resting) = scheduler.next([&planned(0, false)], 1).unwrap();
        {
            let given_up = resting.rest(std::future::pending(), &stop);
            tokio::pin!(given_up);
            reports_rest(&scheduler, &mut given_up, "it rests").await;
        }
        let (_, other) = scheduler.next([&planned(1, false)], 2).unwrap();
        stop.set(crate::http::cancel::CancelCause::Interrupted);
        resting.rest(std::future::ready(()), &stop).await;
        drop((resting, other));
        let burst = planned(2, true);
        assert!(scheduler.next([&burst], 1).is_some(), "no phase is left open");
    }

    /// A case on another account may wait for the logins of one that has no place yet: neither may wait for cases that
    /// want the account of the first.
    #[tokio::test]
    async fn what_has_rested_keeps_no_place_while_its_account_serves_another() {
        let (scheduler, stop) = (Scheduler::default(), Cancellation::default());
        let (_, resting) = scheduler.next([&planned(0, false)], 2).unwrap();
        let (over, waits) = tokio::sync::oneshot::channel::<()>();
        let mut rests = Box::pin(resting.rest(async { waits.await.unwrap() }, &stop));
        reports_rest(&scheduler, &mut rests, "it rests").await;
        let (_, same_account) = scheduler.next([&planned(0, false)], 2).unwrap();
        over.send(()).unwrap();
        reports_rest(&scheduler, &mut rests, "its account serves another").await;
        assert!(scheduler.is_overtaken(&planned(0, false)), "others log in before it");
        assert!(!scheduler.is_overtaken(&planned(1, false)));
        let (_, other_account) = scheduler.next([&planned(1, false)], 2).unwrap();
        drop(same_account);
        rests.await;
        drop(other_account);
    }

    #[test]
    fn no_more_than_so_many_run_at_once() {
        let scheduler = Scheduler::default();
        let waiting = [0, 1, 2].map(|n| planned(n, false));
        assert!(scheduler.next(&waiting, 0).is_none());
        let turns: Vec<_> = (0..2).map(|n| scheduler.next(&waiting[n..], 2).unwrap()).collect();
        assert!(scheduler.next(&waiting[2..], 2).is_none());
        assert!(scheduler.next(&waiting[2..], 3).is_some());
        drop(turns);
    }
}
