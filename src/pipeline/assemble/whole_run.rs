//! What the checks over the whole run say, as cases beside the others.
use super::Parts;
use super::exchanges::every_exchange;
use crate::check::whole_run::{self, Seen, WholeRunCheck};
use crate::http::cancel::CancelCause;
use crate::http::message::Exchange;
use crate::model::reason::Reason;
use crate::model::run::{CaseOutcome, Decision, Finding, RecordedReason, Verdict};
use crate::requirements::Requirement;

/// The file that reports name for these checks: they have none of their own.
const REGISTER: &str = "spec/requirements.yaml";

pub(super) fn outcomes(parts: &Parts<'_>) -> Vec<CaseOutcome> {
    let all: Vec<(String, &Exchange)> = every_exchange(parts).collect();
    whole_run::CHECKS
        .iter()
        .filter(|check| crate::plan::selection::selects_check(check, parts.selection))
        .map(|check| outcome(check, &all, parts))
        .collect()
}

fn outcome(check: &WholeRunCheck, all: &[(String, &Exchange)], parts: &Parts<'_>) -> CaseOutcome {
    let requirement = parts.register.get(check.requirement);
    let line = requirement.map_or(1, |requirement| requirement.line);
    let (verdict, reason, finding) = match requirement {
        None => {
            let id = check.requirement.to_owned();
            (Verdict::Errored, Some(Reason::UnknownRequirement { id }), None)
        }
        Some(_) if (parts.interrupted)() => {
            (Verdict::Blocked, Some(CancelCause::Interrupted.reason()), None)
        }
        Some(requirement) => {
            let exchanges: Vec<&Exchange> = all.iter().map(|(_, exchanged)| *exchanged).collect();
            match (check.look)(&exchanges) {
                Seen::Fine => (Verdict::Passed, None, None),
                Seen::Nothing => (Verdict::Skipped, Some(Reason::TooFewAnswers), None),
                Seen::Repeated { first, again } => {
                    let verdict = requirement.severity(&parts.facts.listed).verdict();
                    let id = |at: usize| all.get(at).map(|(id, _)| id.clone());
                    let ids = (id(first), id(again));
                    (verdict, None, Some(repeated(check, requirement, verdict, ids)))
                }
            }
        }
    };
    let reason = reason.map(RecordedReason::from);
    CaseOutcome {
        id: check.id.to_owned(),
        title: check.title.to_owned(),
        area: whole_run::AREA.to_owned(),
        file: REGISTER.to_owned(),
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
        findings: finding.into_iter().collect(),
        exchanges: Vec::new(),
    }
}

fn repeated(
    check: &WholeRunCheck,
    requirement: &Requirement,
    verdict: Verdict,
    (first, again): (Option<String>, Option<String>),
) -> Finding {
    Finding {
        requirement: check.requirement.to_owned(),
        level: requirement.level,
        verdict,
        message: format!(
            "the value that {} was given was already issued (first in {})",
            again.as_deref().unwrap_or_default(),
            first.unwrap_or_default()
        )
        .into(),
        expected: check.title.into(),
        actual: "the same value twice".into(),
        pointer: "".into(),
        branch: None,
        exchange: again,
        file: REGISTER.to_owned(),
        line: requirement.line,
        known: false,
    }
}
