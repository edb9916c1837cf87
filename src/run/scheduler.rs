//! Which planned cases may run at the same time: an account serves one case at a time, and cases of another phase wait
//! until those that run are over.
use crate::case::ast::Phase;
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
    /// Told when a case ends.
    ended: Notify,
}

#[derive(Default)]
struct RunningCases {
    cases: usize,
    phase: Option<Phase>,
    claims: BTreeSet<Claim>,
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
        if running.cases >= jobs {
            return None;
        }
        let mut kept = running.claims.clone();
        for (place, planned) in waiting.into_iter().enumerate() {
            let (phase, claims) = (planned.case.phase(), planned.claims());
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
        running.phase = running.phase.filter(|_| running.cases > 0);
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
