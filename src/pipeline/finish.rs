//! From what a run came to, to what may be shown of it: assembled, redacted, held against the baseline, with its exit
//! status.
use super::assemble::{Parts, assemble};
use super::{Policies, Prepared};
use crate::baseline::apply::apply;
use crate::check::whole_run;
use crate::http::message::Exchange;
use crate::model::exit;
use crate::plan::facts::Facts;
use crate::plan::{self, Plan, capabilities};
use crate::redact::{RedactedRun, RedactionError};
use crate::run::executor::CaseResult;
use crate::spec::Spec;
use std::time::Instant;

/// A run of which nothing may be shown.
#[derive(Debug, Clone, thiserror::Error)]
#[error("every report of this run is withheld: {why}")]
pub struct RunWithheld {
    why: RedactionError,
    /// How the program ends.
    pub exit_status: u8,
}

/// What came of the cases, and beside them.
pub(super) struct Outcome {
    pub(super) results: Vec<CaseResult>,
    pub(super) support: Vec<(String, Vec<Exchange>)>,
    pub(super) left: Vec<String>,
    pub(super) server: Option<String>,
    pub(super) no_target: Option<String>,
    /// What the operator is to be told of what was given.
    pub(super) notices: Vec<String>,
    pub(super) no_usable_account: bool,
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
    /// The finished run.
    pub(super) fn finished(
        &self,
        spec: &Spec,
        facts: &Facts,
        plan: &Plan,
        outcome: Outcome,
        times: &Times,
    ) -> Result<RedactedRun, RunWithheld> {
        let lost = self.sender.liveness.lost();
        let is_gone = outcome.no_target.is_some() || lost.is_some();
        let base_url = self.sender.http.target().to_string();
        let discovered = self.discovered.as_ref().map(|file| format!("{file} led to {base_url}"));
        let gone = outcome.no_target.clone().or_else(|| Some(lost.as_ref()?.reason.text()));
        let Policies { required, baseline, adopt } = &self.job.policies;
        let made = self.sender.created.made().into_iter();
        let parts = Parts {
            register: &self.material.register,
            spec,
            facts,
            plan,
            results: outcome.results,
            interrupted: &|| self.stop.is_interrupted(),
            support: outcome.support,
            elsewhere: &self.elsewhere,
            is_homeserver: outcome.no_target.is_none(),
            foreign: lost.as_ref().and_then(|lost| lost.evidence.clone()),
            headlines: discovered.into_iter().chain(gone).chain(outcome.notices).collect(),
            selection: &self.job.selection,
            available: self.available(spec, facts),
            covered: &|id| self.material.covers(id),
            base_url,
            server: outcome.server,
            limits_hit: self.sender.limits.hits(),
            not_cleaned_up: outcome.left.into_iter().chain(self.broken_off()).collect(),
            no_usable_account: outcome.no_usable_account,
            required: capabilities::all(required, facts, outcome.no_target.as_deref()),
            guests: made.filter(|made| made.guest).map(|made| made.user_id).collect(),
            complete: !self.stop.is_set(),
            started_at: rfc3339(times.started),
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

    /// How many cases there are, rows and checks over the whole run included.
    fn available(&self, spec: &Spec, facts: &Facts) -> usize {
        let rows = |case| plan::expand(case, spec, facts).len();
        let cases: usize = self.material.suite.shared_cases().map(rows).sum();
        cases + whole_run::CHECKS.len()
    }

    /// What a request may have begun that was broken off by a signal.
    fn broken_off(&self) -> Vec<String> {
        let sentence =
            |what| format!("{what} was broken off: it may have begun a session or made an account");
        self.sender.http.broken_off().into_iter().map(sentence).collect()
    }
}

/// To the second, as `2026-01-31T12:00:00Z`.
fn rfc3339(time: jiff::Timestamp) -> String {
    jiff::Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}
