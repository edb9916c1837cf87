//! Cases that came along as evidence: they count where something that was asked for is not decided
//! because of what they show, and nowhere else.
use super::Parts;
use crate::model::reason::{Reason, ReasonCode};
use crate::model::run::{CaseOutcome, Decision, RecordedReason, Verdict};
use crate::plan::selection;
use std::collections::BTreeSet;

/// The ids of the cases that came along as evidence, in the order of the plan.
pub(super) fn ids(parts: &Parts<'_>) -> Vec<String> {
    let cases = parts.plan.cases.iter().map(|planned| &planned.case);
    let along = cases.filter(|case| selection::is_evidence(case, parts.register, parts.selection));
    along.map(|case| case.id.clone()).collect()
}

/// The cases with only those decisions of evidence that count. Internal errors always do.
pub(super) fn weighed(mut cases: Vec<CaseOutcome>, evidence: &[String]) -> Vec<CaseOutcome> {
    let is_evidence = |case: &CaseOutcome| evidence.contains(&case.id);
    let asked = cases.iter().filter(|case| !is_evidence(case));
    let reasons = asked.flat_map(|case| &case.decisions).filter_map(|d| d.reason.as_ref());
    let causes: BTreeSet<String> =
        reasons.filter_map(|reason| reason.because()).map(str::to_owned).collect();
    for case in cases.iter_mut().filter(|case| is_evidence(case)) {
        weigh(case, &causes);
    }
    cases
}

fn weigh(case: &mut CaseOutcome, causes: &BTreeSet<String>) {
    let counts = |decision: &Decision| {
        causes.contains(&decision.requirement) || decision.verdict == Verdict::Errored
    };
    for decision in case.decisions.iter_mut().filter(|decision| !counts(decision)) {
        decision.verdict = Verdict::Skipped;
        decision.reason = Some(Reason::OnlyEvidence.into());
        decision.branch = None;
    }
    let kept =
        |id: &str| case.decisions.iter().any(|one| one.requirement == id && !is_only_evidence(one));
    case.findings.retain(|finding| kept(&finding.requirement));
    if let Some(worst) = case.decisions.iter().rev().max_by_key(|decision| decision.verdict) {
        (case.verdict, case.reason) = (worst.verdict, worst.reason.clone());
    }
    if case.decisions.iter().all(is_only_evidence) {
        case.branch = None;
    }
}

/// Returns true if a decision of evidence does not count.
pub(super) fn is_only_evidence(decision: &Decision) -> bool {
    decision.reason.as_ref().is_some_and(is_not_selected)
}

/// Returns true if a case was not asked for, and nothing that it decides counts.
pub(super) fn is_idle(case: &CaseOutcome) -> bool {
    case.reason.as_ref().is_some_and(is_not_selected)
}

fn is_not_selected(reason: &RecordedReason) -> bool {
    reason.code.is(ReasonCode::NotSelected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(requirement: &str, verdict: Verdict, reason: Option<Reason>) -> Decision {
        let reason = reason.map(Into::into);
        Decision { requirement: requirement.to_owned(), verdict, reason, branch: None }
    }

    fn case(id: &str, decisions: Vec<Decision>) -> CaseOutcome {
        CaseOutcome {
            id: id.to_owned(),
            title: String::new(),
            area: String::new(),
            file: String::new(),
            line: 1,
            impact: String::new(),
            verdict: decisions.iter().map(|one| one.verdict).max().unwrap(),
            reason: None,
            branch: None,
            requirements: decisions.iter().map(|one| one.requirement.clone()).collect(),
            duration_ms: 0,
            decisions,
            findings: Vec::new(),
            exchanges: Vec::new(),
        }
    }

    fn verdicts(cases: &[CaseOutcome]) -> Vec<(&str, Verdict)> {
        let all = cases.iter().flat_map(|case| &case.decisions);
        all.map(|one| (one.requirement.as_str(), one.verdict)).collect()
    }

    #[test]
    fn evidence_counts_only_where_something_hangs_on_it() {
        let because = Reason::Because { requirement: "basic".into(), finding: String::new() };
        let evidence = || {
            let both = [("basic", Verdict::Failed), ("other", Verdict::Failed)];
            case("e", both.map(|(id, verdict)| decision(id, verdict, None)).to_vec())
        };
        let along = ["e".to_owned()];
        let blocked = case("a", vec![decision("asked", Verdict::Blocked, Some(because))]);
        let weighed_with = weighed(vec![blocked, evidence()], &along);
        assert_eq!(
            verdicts(&weighed_with)[1..],
            [("basic", Verdict::Failed), ("other", Verdict::Skipped)]
        );
        assert!(!is_idle(&weighed_with[1]));
        let passed = case("a", vec![decision("asked", Verdict::Passed, None)]);
        let weighed_without = weighed(vec![passed, evidence()], &along);
        assert_eq!(
            verdicts(&weighed_without)[1..],
            [("basic", Verdict::Skipped), ("other", Verdict::Skipped)]
        );
        assert!(is_idle(&weighed_without[1]));
    }

    #[test]
    fn what_was_asked_for_and_internal_errors_always_count() {
        let errored = case("e", vec![decision("basic", Verdict::Errored, None)]);
        let failed = case("a", vec![decision("asked", Verdict::Failed, None)]);
        let cases = weighed(vec![failed, errored], &["e".to_owned()]);
        assert_eq!(verdicts(&cases), [("asked", Verdict::Failed), ("basic", Verdict::Errored)]);
    }
}
