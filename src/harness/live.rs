//! The server under test while trials run: started by the first, shared by all, cleaned up after the last.
use crate::case::ast::Case;
use crate::check::whole_run::AREA;
use crate::harness::HarnessError;
use crate::harness::failure::{checked, no_result, withheld};
use crate::harness::trial::{Outcome, Question, TrialError};
use crate::model::run::Verdict;
use crate::pipeline::{ActiveRun, RunWithheld};
use crate::plan::PlannedCase;
use crate::redact::RedactedRun;
use crate::requirements::Register;
use crate::run::executor::{CaseResult, Silent};
use crate::run::scheduler::Scheduler;
use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

pub(super) type GoLive = Box<dyn FnOnce() -> Result<Live, HarnessError> + Send>;

pub(super) struct HarnessState {
    pub(super) cases: Vec<Arc<Case>>,
    /// True for a case whose trial still waits or has run: false for those filtered out.
    pub(super) wanted: Vec<AtomicBool>,
    pub(super) fail_on_should: bool,
    /// True if there is a baseline: what passes may be listed in it all the same.
    pub(super) has_baseline: bool,
    pub(super) register: Arc<Register>,
    pub(super) starting: Mutex<Option<GoLive>>,
    pub(super) live: OnceLock<Result<Live, Arc<HarnessError>>>,
}

impl HarnessState {
    fn live(&self) -> Result<&Live, TrialError> {
        let live = self.live.get_or_init(|| match lock(&self.starting).take() {
            Some(start) => start().map_err(Arc::new),
            None => Err(Arc::new(HarnessError::Panicked)),
        });
        live.as_ref().map_err(|why| TrialError::NotStarted(why.clone()))
    }

    pub(super) fn no_longer_wants(&self, case: usize) {
        if let Some(wanted) = self.wanted.get(case) {
            wanted.store(false, Ordering::SeqCst);
        }
    }

    pub(super) fn answer(&self, question: &Question, id: &str) -> Result<Outcome, TrialError> {
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
}

type Done = (PlannedCase, CaseResult);

/// A server that runs and was probed.
pub(super) struct Live {
    pub(super) open: ActiveRun,
    /// By place in the plan; locked while the case runs.
    pub(super) done: Vec<Mutex<Option<Done>>>,
    pub(super) scheduler: Scheduler,
    /// The run over all wanted cases, made when the first trial asks for it.
    pub(super) whole: Mutex<Option<Arc<RedactedRun>>>,
    /// Keeps alive what the server needs; behind a lock, because it need not be shareable between
    /// threads.
    pub(super) _guard: Mutex<Option<Box<dyn Any + Send>>>,
    pub(super) runtime: tokio::runtime::Runtime,
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
        let result = self.runtime.block_on(async {
            let _turn = self.scheduler.turn(planned).await;
            self.open.run_case(planned).await
        });
        done.insert((planned.clone(), result)).clone()
    }

    /// The run over everything that this process is to test; runs what has not run yet.
    fn whole_run(&self, shared: &HarnessState) -> Result<Arc<RedactedRun>, RunWithheld> {
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

/// A value behind a lock: what a panic of another trial left is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
