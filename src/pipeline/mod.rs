//! The pipeline: load → probe → plan → run → report, with a value between each pair.
mod active_run;
mod assemble;
mod finish;
mod job;
mod limit_waits;
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

use crate::http::rate_limit::{WaitCause, WaitNotice};
use crate::plan::Plan;
use crate::plan::facts::Facts;
use crate::redact::RedactedRun;
use crate::run::executor::{Progress, Silent};
use crate::run::probe::NoTarget;
use finish::Times;
use std::time::Duration;

/// A run as it is reported, and as each case was judged by itself.
#[cfg(feature = "internal")]
#[derive(Debug, Clone)]
pub struct JudgedTwice {
    /// With causes considered.
    pub with_causes: RedactedRun,
    /// Each case by itself.
    pub raw: RedactedRun,
}

/// Events of the pipeline, beside those of the cases.
pub trait Watcher: Progress {
    /// There is no target yet; it is looked for until `--wait-ready` is over. Told once.
    fn waiting(&self, why: &NoTarget);
    /// A plan was made.
    fn planned(&self, plan: &Plan, facts: &Facts);
    /// There is no target; the run ends. The sentence holds no secret.
    fn no_target(&self, why: &str);
    /// The clean-up is running, and takes at most this long from now on. Called every second.
    fn cleaning_up(&self, at_most: Duration, interrupted: bool);
    /// Something that the operator gave is refused. The sentence holds no secret.
    fn operator_error(&self, why: &str);
    /// A long wait begins.
    fn limit_wait(&self, wait: &WaitNotice);
    /// The cause of the wait that lasts longest, and how long from now on; nothing if nothing is
    /// waited for any more. Called at each change, and every second meanwhile.
    fn limit_left(&self, left: Option<(&WaitCause, Duration)>);
}

impl Watcher for Silent {
    fn waiting(&self, _: &NoTarget) {}
    fn planned(&self, _: &Plan, _: &Facts) {}
    fn no_target(&self, _: &str) {}
    fn cleaning_up(&self, _: Duration, _: bool) {}
    fn operator_error(&self, _: &str) {}
    fn limit_wait(&self, _: &WaitNotice) {}
    fn limit_left(&self, _: Option<(&WaitCause, Duration)>) {}
}

// Material is loaded and a job is prepared before.
impl Prepared {
    /// Probes, plans, runs, cleans up, and puts together what came of it.
    ///
    /// # Errors
    /// Nothing of the run may be shown.
    pub async fn run(self, watcher: &dyn Watcher) -> Result<RedactedRun, RunWithheld> {
        let limits = self.sender.limits.clone();
        limit_waits::told(&limits, watcher, self.run_to_end(watcher)).await
    }

    async fn run_to_end(self, watcher: &dyn Watcher) -> Result<RedactedRun, RunWithheld> {
        let active = match self.open(watcher).await {
            Ok(active) => active,
            Err(gone) => {
                watcher.no_target(&gone.sentence());
                return gone.into_run();
            }
        };
        let (results, cleaned) = active.carry_out(watcher).await;
        active.report(&active.plan, results, cleaned)
    }

    /// The same, judged twice from the same exchanges.
    ///
    /// # Errors
    /// Nothing of the run may be shown.
    #[cfg(feature = "internal")]
    pub async fn run_judged_twice(self, watcher: &dyn Watcher) -> Result<JudgedTwice, RunWithheld> {
        let active = match self.open(watcher).await {
            Ok(active) => active,
            Err(gone) => {
                let run = gone.into_run()?;
                return Ok(JudgedTwice { with_causes: run.clone(), raw: run });
            }
        };
        let (results, cleaned) = active.carry_out(watcher).await;
        let raw = active.judged(&active.plan, results.clone(), cleaned.clone(), true)?;
        let with_causes = active.judged(&active.plan, results, cleaned, false)?;
        Ok(JudgedTwice { with_causes, raw })
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
