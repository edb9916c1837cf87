//! A target that cannot be tested: everything is blocked by that.
use super::assemble::Outcome;
use super::{Prepared, RunWithheld, Times};
use crate::case::ast::Api;
use crate::check::verdict::Decided;
use crate::http::message::Exchange;
use crate::model::release::Listed;
use crate::model::run::Verdict;
use crate::plan::facts::Facts;
use crate::plan::{self, Disposition, Plan, PlannedCase};
use crate::redact::RedactedRun;
use crate::run::executor::CaseResult;
use crate::run::probe::NoTarget;
use std::collections::{BTreeMap, BTreeSet};

/// A target that cannot be tested.
pub struct TargetUnavailable {
    /// The reason.
    pub why: NoTarget,
    pub(super) prepared: Prepared,
    pub(super) exchanges: Vec<Exchange>,
    pub(super) times: Times,
}

impl TargetUnavailable {
    /// The reason, in a sentence that holds no secret.
    pub fn sentence(&self) -> String {
        self.prepared.vault.redactor().text(&self.why.to_string())
    }

    /// A run in which everything is blocked by that.
    ///
    /// # Errors
    /// Nothing of the run may be shown.
    pub fn into_run(self) -> Result<RedactedRun, RunWithheld> {
        let TargetUnavailable { why, prepared, exchanges, times } = self;
        let facts = Facts {
            listed: Listed::new(Vec::<String>::new()),
            flows: Vec::new(),
            providers: Vec::new(),
            features: BTreeSet::new(),
            capabilities: BTreeMap::new(),
            absent: BTreeSet::new(),
            token_lifetime: None,
            max_wait: prepared.job.max_wait,
            no_session: None,
            registers: false,
            api: prepared.job.api.unwrap_or(Api::V3),
            accounts: prepared.job.sources.facts(),
            beyond: Vec::new(),
            operator: prepared.job.operator.names(),
            allowed: prepared.job.allowed.clone(),
        };
        let spec = prepared.material.v1.clone();
        let reason = why.reason();
        let expanded = prepared.selected.iter().flat_map(|case| plan::expand(case, &spec, &facts));
        let (cases, results) = expanded
            .map(|case| {
                let decided = Decided::all(&case, Verdict::Blocked, reason.clone());
                let disposition = Disposition::Not(Verdict::Blocked, reason.clone());
                (PlannedCase { case, disposition }, CaseResult::without_running(decided))
            })
            .unzip();
        let plan = Plan { cases, phases: Vec::new() };
        let support = vec![("probe".to_owned(), exchanges)];
        let no_target = Some(why.to_string());
        let outcome = Outcome { results, support, no_target, ..Outcome::default() };
        let raw_verdicts = prepared.job.policies.raw_verdicts;
        prepared.finished(&spec, &facts, &plan, outcome, &times, raw_verdicts)
    }
}
