//! What the checks over the whole run say, as cases beside the others.
use super::Parts;
use super::exchanges::every_exchange;
use crate::check::whole_run::{self, Seen, WholeRunCheck};
use crate::http::cancel::CancelCause;
use crate::http::message::Exchange;
use crate::model::reason::Reason;
use crate::model::run::{CaseOutcome, Decision, Finding, RecordedReason, Verdict};

/// What the checks over the whole run say, as cases beside the others.
pub(super) fn outcomes(parts: &Parts<'_>) -> Vec<CaseOutcome> {
    let all: Vec<(String, &Exchange)> = every_exchange(parts).collect();
    whole_run::CHECKS
        .iter()
        .filter(|check| crate::plan::selection::selects_check(check, parts.selection))
        .map(|check| outcome(check, &all, parts))
        .collect()
}

fn outcome(check: &WholeRunCheck, all: &[(String, &Exchange)], parts: &Parts<'_>) -> CaseOutcome {
    let Some(requirement) = parts.register.get(check.requirement) else {
        let reason = Reason::UnknownRequirement { id: check.requirement.to_owned() };
        return case(check, 1, Verdict::Errored, Some(reason), Vec::new());
    };
    if (parts.interrupted)() {
        let reason = CancelCause::Interrupted.reason();
        return case(check, requirement.line, Verdict::Blocked, Some(reason), Vec::new());
    }
    let exchanges: Vec<&Exchange> = all.iter().map(|(_, exchanged)| *exchanged).collect();
    let id = |at: usize| all.get(at).map(|(id, _)| id.clone());
    let (level, line) = (requirement.level, requirement.line);
    let broken = requirement.severity(&parts.facts.listed).verdict();
    let (verdict, reason, findings) = match (check.look)(&exchanges) {
        Seen::Fine => (Verdict::Passed, None, Vec::new()),
        Seen::Nothing => (Verdict::Skipped, Some(Reason::TooFewAnswers), Vec::new()),
        Seen::Repeated { first, again } => {
            let finding = Finding {
                requirement: check.requirement.to_owned(),
                level,
                verdict: broken,
                message: format!(
                    "the value that {} was given was already issued (first in {})",
                    id(again).unwrap_or_default(),
                    id(first).unwrap_or_default()
                )
                .into(),
                expected: check.title.into(),
                actual: "the same one twice".into(),
                pointer: "".into(),
                branch: None,
                exchange: id(again),
                file: "spec/requirements.yaml".to_owned(),
                line,
                known: false,
            };
            (broken, None, vec![finding])
        }
    };
    case(check, line, verdict, reason, findings)
}

fn case(
    check: &WholeRunCheck,
    line: u32,
    verdict: Verdict,
    reason: Option<Reason>,
    findings: Vec<Finding>,
) -> CaseOutcome {
    let reason = reason.map(RecordedReason::from);
    CaseOutcome {
        id: check.id.to_owned(),
        title: check.title.to_owned(),
        area: whole_run::AREA.to_owned(),
        file: "spec/requirements.yaml".to_owned(),
        line,
        impact: "reads".to_owned(),
        verdict,
        reason: reason.clone(),
        branch: None,
        requirements: vec![check.requirement.to_owned()],
        duration_ms: 0,
        decisions: vec![Decision {
            requirement: check.requirement.to_owned(),
            verdict,
            reason,
            branch: None,
        }],
        findings,
        exchanges: Vec::new(),
    }
}
