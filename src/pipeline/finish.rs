//! From what a run came to, to what may be shown of it: assembled, redacted, held against the
//! baseline, with its exit status.
use super::assemble::{Outcome, Parts, assemble};
use super::{Policies, Prepared};
use crate::baseline::apply::apply;
use crate::check::whole_run;
use crate::model::exit;
use crate::plan::facts::Facts;
use crate::plan::{self, Plan, capabilities};
use crate::redact::{RedactedRun, RedactionError};
use crate::spec::Spec;
use std::time::Instant;

/// A run of which nothing may be shown.
#[derive(Debug, Clone, thiserror::Error)]
#[error("every report of this run is withheld: {why}")]
pub struct RunWithheld {
    why: RedactionError,
    /// Exit status of the program.
    pub exit_status: u8,
}

/// When a run began.
pub(super) struct Times {
    pub(super) started: jiff::Timestamp,
    pub(super) clock: Instant,
}

impl Times {
    pub(super) fn begin() -> Times {
        Times { started: jiff::Timestamp::now(), clock: Instant::now() }
    }
}

impl Prepared {
    /// The finished run; with `raw_verdicts`, as each case was judged by itself.
    pub(super) fn finished(
        &self,
        spec: &Spec,
        facts: &Facts,
        plan: &Plan,
        outcome: Outcome,
        times: &Times,
        raw_verdicts: bool,
    ) -> Result<RedactedRun, RunWithheld> {
        let lost = self.sender.liveness.lost();
        let is_gone = outcome.no_target.is_some() || lost.is_some();
        let base_url = self.sender.http.target().to_string();
        let discovered = self.discovered.as_ref().map(|file| format!("{file} led to {base_url}"));
        let gone = outcome.no_target.clone().or_else(|| Some(lost.as_ref()?.reason.text()));
        let Policies { required, baseline, adopt, .. } = &self.job.policies;
        let made = self.sender.created.made().into_iter();
        let parts = Parts {
            register: &self.material.register,
            spec,
            facts,
            plan,
            interrupted: &|| self.stop.is_interrupted(),
            elsewhere: &self.elsewhere,
            foreign: lost.as_ref().and_then(|lost| lost.evidence.clone()),
            headlines: discovered.into_iter().chain(gone).collect(),
            selection: &self.job.selection,
            available: self.available(spec, facts),
            covered: &|id| self.material.covers(id),
            base_url,
            limits_hit: self.sender.limits.hits(),
            limit_series: self.sender.limits.series(),
            broken_off: self.sender.http.broken_off(),
            required: capabilities::all(required, facts, outcome.no_target.as_deref()),
            guests: made.filter(|made| made.guest).map(|made| made.user_id).collect(),
            baseline: baseline.as_deref(),
            raw_verdicts,
            complete: !self.stop.is_set(),
            started_at: rfc3339(times.started),
            outcome,
            duration_ms: u64::try_from(times.clock.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        let run = assemble(parts, &self.vault.redactor());
        let exit_status = match exit::status(&run, self.job.gate) {
            graver @ (exit::INTERRUPTED | exit::OWN_FAULT) => graver,
            _ => exit::REPORT,
        };
        let withheld = |why| RunWithheld { why, exit_status };
        let run = RedactedRun::new(run, &self.vault).map_err(withheld)?;
        let run = match baseline {
            // It knows findings by what was shown of them. Its own text is redacted afterwards.
            Some(baseline) => run
                .with(&self.vault, |run| apply(run, baseline, self.job.gate.gating(), *adopt))
                .map_err(withheld)?,
            None => run,
        };
        let status = match exit::status(&run, self.job.gate) {
            // Not what `--allow-blocked` accepts: the target itself was not there.
            exit::CONFORMS if is_gone => exit::UNDECIDED,
            status => status,
        };
        Ok(run.with_exit_status(status))
    }

    /// Number of cases, rows and checks over the whole run included.
    fn available(&self, spec: &Spec, facts: &Facts) -> usize {
        let rows = |case| plan::expand(case, spec, facts).len();
        let cases: usize = self.material.suite.shared_cases().map(rows).sum();
        cases + whole_run::CHECKS.len()
    }
}

/// To the second, as `2026-01-31T12:00:00Z`.
fn rfc3339(time: jiff::Timestamp) -> String {
    jiff::Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}
