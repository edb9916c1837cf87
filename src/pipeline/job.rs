//! A job: target and options, from the command line or a test program.
use super::Material;
use crate::accounts::operator::Operator;
use crate::accounts::pool::AccountSources;
use crate::baseline::Baseline;
use crate::baseline::apply::{self, Active, Shown};
use crate::case::ast::{Api, Case};
use crate::http::client::{ClientError, Transport};
use crate::model::exit::{self, Gate};
use crate::model::run::Finding;
use crate::plan::capabilities::Capability;
use crate::plan::facts::Allow;
use crate::plan::selection::{NoMatch, Selection, is_evidence, select};
use crate::requirements::Register;
use crate::run::executor::{CaseResult, EndsWith};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A target with the options of its test.
#[derive(Debug, Clone)]
pub struct Job {
    /// Connection to it.
    pub transport: Transport,
    /// True if the transport leads to a server name's web server, whose well-known file names the
    /// homeserver is.
    pub discover: bool,
    /// Accounts, given or to be created.
    pub sources: AccountSources,
    /// Values and acts of the operator.
    pub operator: Operator,
    /// Which path prefix; by what the server lists, if not given.
    pub api: Option<Api>,
    /// Filters of cases.
    pub selection: Selection,
    /// Classes of harmful cases that are permitted.
    pub allowed: BTreeSet<Allow>,
    /// Number of cases that run at once.
    pub jobs: usize,
    /// For all waiting for rate limits together.
    pub max_wait: Duration,
    /// Time to wait for a server that is starting.
    pub wait_ready: Duration,
    /// Rules of the exit status.
    pub gate: Gate,
    /// True if the run ends after the first case that fails by the gate.
    pub fail_fast: bool,
    /// Policies beside the specification.
    pub policies: Policies,
}

/// Policies of a project for a run, beside the specification.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    /// The findings that it knows.
    pub baseline: Option<Arc<Baseline>>,
    /// True if new findings are added to the baseline.
    pub adopt: bool,
    /// Capabilities that must be there.
    pub required: Vec<Capability>,
    /// Whether verdicts stay as each case was judged by itself, without causes.
    pub raw_verdicts: bool,
}

impl Job {
    /// With which results the run ends, if it is to end early: what the baseline knows is none.
    pub(super) fn ends_with(
        &self,
        server: Option<&str>,
        started: jiff::Timestamp,
        register: &Arc<Register>,
    ) -> Option<EndsWith> {
        if !self.fail_fast {
            return None;
        }
        let (gating, baseline) = (self.gate.gating(), self.policies.baseline.clone());
        let server = server.map(str::to_owned);
        let today = started.to_zoned(jiff::tz::TimeZone::UTC).date();
        let is_known = move |case: &Case, result: &CaseResult| {
            let Some(baseline) = &baseline else { return false };
            let active = Active::new(baseline, server.as_deref(), today);
            let findings = result.decided.findings.iter().filter(|f| f.verdict >= gating);
            let keys: Vec<_> =
                findings.map(|f| apply::key(f, &case.id, shown(f, result))).collect();
            !keys.is_empty() && keys.iter().all(|key| active.knows(key))
        };
        let (register, selection) = (register.clone(), self.selection.clone());
        let is_asked = move |case: &Case| !is_evidence(case, &register, &selection);
        Some(Arc::new(move |case, result| {
            let verdict = result.decided.verdict;
            verdict >= gating && is_asked(case) && !(verdict.is_decided() && is_known(case, result))
        }))
    }
}

/// What a baseline needs of the exchange that shows a finding of a case.
pub(super) fn shown(finding: &Finding, result: &CaseResult) -> Option<Shown> {
    let (_, number) = finding.exchange.as_deref()?.rsplit_once('#')?;
    let exchanged = result.exchanges.get(number.parse::<usize>().ok()?.checked_sub(1)?)?;
    let status = exchanged.result.as_ref().ok().map(|answer| answer.status);
    Some(Shown { operation: exchanged.request.operation.clone(), status })
}

/// Reason why a run did not begin.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Words of the selection name nothing.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    NoMatch(Vec<NoMatch>),
    /// The selection is empty.
    #[error(
        "the selection has no case: its words exclude each other, or name only notes, which demand \
         nothing, or checks of every response; for those select some cases too, e.g. --area login"
    )]
    Empty,
    /// Nothing of an earlier run is to be run again.
    #[error("nothing to repeat: the selected part of {0} passed, was skipped, or no longer exists")]
    NothingToRerun(String),
    /// Capabilities of `--require` that only the operator can give, and has not given.
    #[error("{}", .0.join("\n"))]
    NotGiven(Vec<String>),
    /// There can be no client.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl JobError {
    /// Its exit status.
    pub fn status(&self) -> u8 {
        match self {
            JobError::NoMatch(_) | JobError::NotGiven(_) | JobError::Client(_) => exit::USAGE,
            JobError::Empty | JobError::NothingToRerun(_) => exit::NOTHING_SELECTED,
        }
    }
}

/// The selected cases and the evidence for them, in the suite's order.
///
/// # Errors
/// Words that name nothing, words that exclude each other.
pub fn chosen<'m>(
    material: &'m Material,
    selection: &Selection,
) -> Result<Vec<&'m Arc<Case>>, JobError> {
    let selected =
        select(&material.suite, &material.register, selection).map_err(JobError::NoMatch)?;
    let rerun = selection.rerun.as_ref();
    match (selected.is_empty(), rerun) {
        (false, _) => Ok(selected),
        // What a standing check found on the probe's answers shows again without any case.
        (true, Some(rerun)) if rerun.cases.is_empty() && !rerun.standing.is_empty() => Ok(selected),
        (true, Some(rerun)) => Err(JobError::NothingToRerun(rerun.file.clone())),
        (true, None) => Err(JobError::Empty),
    }
}
