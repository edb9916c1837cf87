//! Verdicts with their causes considered.
use super::Parts;
use crate::check::cause::{CaseRecord, Record, Revised, attribute};
use crate::http::gateway::Origins;
use crate::model::run::CaseOutcome;

/// What becomes of each case; nothing where it stays as it was judged by itself.
pub(super) fn revised(parts: &Parts<'_>, origins: &Origins) -> Vec<Option<Revised>> {
    let results = &parts.outcome.results;
    if parts.raw_verdicts || parts.outcome.no_target.is_some() {
        return results.iter().map(|_| None).collect();
    }
    let cases = parts.plan.cases.iter().zip(results).map(|(planned, result)| CaseRecord {
        case: &planned.case,
        decided: &result.decided,
        exchanges: &result.exchanges,
    });
    attribute(&Record {
        cases: cases.collect(),
        support: parts
            .outcome
            .support
            .iter()
            .map(|(name, sent)| (name.as_str(), sent.as_slice()))
            .collect(),
        register: parts.register,
        listed: &parts.facts.listed,
        api: parts.facts.api.as_str(),
        origins,
    })
}

pub(super) fn applied(outcome: CaseOutcome, revised: Revised) -> CaseOutcome {
    let Revised { verdict, reason, decisions, findings, branch } = revised;
    CaseOutcome { verdict, reason, decisions, findings, branch, ..outcome }
}
