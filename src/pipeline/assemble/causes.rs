//! Verdicts with their causes considered.
use super::Parts;
use crate::baseline::apply::{Active, key};
use crate::baseline::causes::KnownCauses;
use crate::baseline::{Baseline, Key};
use crate::check::cause::{CaseRecord, Record, Revised, attribute};
use crate::http::gateway::Origins;
use crate::model::run::{CaseOutcome, Verdict};
use crate::pipeline::job::shown;

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
    let revised = attribute(&Record {
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
    });
    match parts.baseline {
        Some(baseline) => left_out_judged_alone(parts, revised, baseline),
        None => revised,
    }
}

/// A cause that a baseline knows covers the consequences that its entry lists; the others are judged on
/// their own.
fn left_out_judged_alone(
    parts: &Parts<'_>,
    revised: Vec<Option<Revised>>,
    baseline: &Baseline,
) -> Vec<Option<Revised>> {
    let results = &parts.outcome.results;
    let cases = || parts.plan.cases.iter().zip(results);
    let keys: Vec<(Key, Verdict)> = cases()
        .zip(&revised)
        .flat_map(|((planned, result), revised)| {
            let findings = revised.as_ref().map_or(&result.decided.findings, |one| &one.findings);
            let id = &planned.case.id;
            findings.iter().map(move |f| (key(f, id, shown(f, result)), f.verdict))
        })
        .collect();
    let active = Active::at(baseline, parts.outcome.server.as_deref(), &parts.started_at);
    let known = KnownCauses::of(&active, keys.iter().map(|(key, verdict)| (key, *verdict)));
    let is_alone = |cause: &str, id: &str| known.leaves_out(cause, id);
    let judged = revised.into_iter().zip(results);
    judged.map(|(one, result)| Some(one?.judged_alone(&result.decided, &is_alone))).collect()
}

pub(super) fn applied(outcome: CaseOutcome, revised: Revised) -> CaseOutcome {
    let Revised { verdict, reason, decisions, findings, branch } = revised;
    CaseOutcome { verdict, reason, decisions, findings, branch, ..outcome }
}
