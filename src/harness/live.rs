//! The server under test while trials run: started by the first, shared by all, cleaned up after the last.
use crate::case::ast::Case;
use crate::check::whole_run::AREA;
use crate::harness::failure::{checked, no_result, withheld};
use crate::harness::trial::{Outcome, Question};
use crate::model::run::Verdict;
use crate::pipeline::{ActiveRun, RunWithheld};
use crate::plan::{Claim, PlannedCase};
use crate::redact::RedactedRun;
use crate::requirements::Register;
use crate::run::executor::{CaseResult, Silent};
use std::any::Any;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

/// Starts the server, when the first trial needs it.
pub(super) type GoLive = Box<dyn FnOnce() -> Result<Live, String> + Send>;

/// What the trials of one process share.
pub(super) struct Shared {
    pub(super) cases: Vec<Case>,
    /// Whether a trial for that case still waits or has run: those filtered out are not.
    pub(super) wanted: Vec<AtomicBool>,
    pub(super) fail_on_should: bool,
    /// What passes may be listed in it all the same.
    pub(super) has_baseline: bool,
    pub(super) register: Arc<Register>,
    pub(super) starting: Mutex<Option<GoLive>>,
    pub(super) live: OnceLock<Result<Live, String>>,
}

impl Shared {
    fn live(&self) -> Result<&Live, String> {
        let live = self.live.get_or_init(|| match lock(&self.starting).take() {
            Some(start) => start(),
            None => Err("starting the server panicked".to_owned()),
        });
        live.as_ref().map_err(|why| format!("Error: {why}"))
    }

    /// The trial of a case was filtered out.
    pub(super) fn no_longer_wants(&self, case: usize) {
        if let Some(wanted) = self.wanted.get(case) {
            wanted.store(false, Ordering::SeqCst);
        }
    }

    pub(super) fn answer(&self, question: &Question, id: &str) -> Result<Outcome, String> {
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
    pub(super) turns: Turns,
    /// The run over all wanted cases, made when the first trial asks for it.
    pub(super) whole: Mutex<Option<Arc<RedactedRun>>>,
    /// What the server needs to run; behind a lock, because nobody promised that threads may share it.
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
        let turn = self.turns.take(planned);
        let result = self.runtime.block_on(self.open.run_case(planned));
        drop(turn);
        done.insert((planned.clone(), result)).clone()
    }

    /// The run over everything that this process is to test; runs what has not run yet.
    fn whole_run(&self, shared: &Shared) -> Result<Arc<RedactedRun>, RunWithheld> {
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

/// Sees to it that an account serves one case at a time, and that bursts and what may wedge a
/// server run while nothing else does.
#[derive(Default)]
pub(super) struct Turns {
    busy: Mutex<Busy>,
    freed: Condvar,
}

#[derive(Default)]
struct Busy {
    claims: BTreeSet<Claim>,
    running: usize,
    alone: bool,
}

impl Turns {
    fn take(&self, planned: &PlannedCase) -> Turn<'_> {
        let claims = planned.claims();
        let alone = planned.case.phase().runs_alone();
        let must_wait = |busy: &mut Busy| {
            busy.alone || (alone && busy.running > 0) || !busy.claims.is_disjoint(&claims)
        };
        let waited = self.freed.wait_while(lock(&self.busy), must_wait);
        let mut busy = waited.unwrap_or_else(PoisonError::into_inner);
        busy.claims.extend(claims.iter().cloned());
        busy.running += 1;
        busy.alone = alone;
        Turn { turns: self, claims }
    }
}

/// A turn; over when it is dropped.
struct Turn<'t> {
    turns: &'t Turns,
    claims: BTreeSet<Claim>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut busy = lock(&self.turns.busy);
        busy.claims.retain(|claim| !self.claims.contains(claim));
        busy.running -= 1;
        busy.alone = false;
        self.turns.freed.notify_all();
    }
}

/// A value behind a lock: what a panic of another trial left is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
