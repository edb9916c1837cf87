//! The pipeline: load → probe → plan → run → report, with a value between each pair.
mod active_run;
mod assemble;
mod finish;
mod job;
mod material;
mod prepare;
mod probe;
mod target_unavailable;

pub use active_run::ActiveRun;
pub use finish::RunWithheld;
pub use job::{Job, JobError, Policies, chosen};
pub use material::Material;
pub use prepare::{Prepared, prepare};
pub use target_unavailable::TargetUnavailable;

use crate::plan::Plan;
use crate::plan::facts::Facts;
use crate::redact::RedactedRun;
use crate::run::executor::{Progress, Silent};
use crate::run::probe::NoTarget;
use finish::Times;
use std::time::Duration;

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

// Material is loaded and a job is prepared before.
impl Prepared {
    /// Probes, plans, runs, cleans up, and puts together what came of it.
    ///
    /// # Errors
    /// Nothing of the run may be shown.
    pub async fn run(self, watcher: &dyn Watcher) -> Result<RedactedRun, RunWithheld> {
        let active = match self.open(watcher).await {
            Ok(active) => active,
            Err(gone) => {
                watcher.no_target(&gone.sentence());
                return gone.into_run();
            }
        };
        let told = active.tell_errors(watcher, 0);
        watcher.planned(&active.plan, &active.executor.facts);
        let results = active.executor.run(&active.plan, active.prepared.job.jobs, watcher).await;
        active.tell_errors(watcher, told);
        let cleaned = active.cleanup(watcher).await;
        active.report(&active.plan, results, cleaned)
    }

    /// Probes and plans: afterwards cases can run.
    ///
    /// # Errors
    /// There is no target.
    pub async fn open(
        mut self,
        watcher: &dyn Watcher,
    ) -> Result<ActiveRun, Box<TargetUnavailable>> {
        let times = Times::begin();
        let mut probed = match self.probe(watcher).await {
            Ok(probed) => probed,
            Err((why, exchanges)) => {
                return Err(Box::new(TargetUnavailable { why, prepared: self, exchanges, times }));
            }
        };
        let (facts, plan) = self.plan(&mut probed).await;
        Ok(self.ready(probed, facts, plan, times))
    }
}

#[cfg(test)]
mod tests;
