//! How every requirement of the register ended, by what decided it.
use super::{Parts, evidence};
use crate::model::reason::Reason;
use crate::model::run::{
    CaseOutcome, RecordedReason, RequirementOutcome, RequirementVerdict, StandingOutcome, Verdict,
};
use crate::requirements::Requirement;
use std::collections::BTreeMap;

type Decider<'a> = (&'a str, Verdict, Option<&'a RecordedReason>);

pub(super) fn outcomes(
    parts: &Parts<'_>,
    cases: &[CaseOutcome],
    standing: &[StandingOutcome],
) -> Vec<RequirementOutcome> {
    let mut by_id: BTreeMap<&str, Vec<Decider<'_>>> = BTreeMap::new();
    for case in cases {
        for decision in case.decisions.iter().filter(|one| !evidence::is_only_evidence(one)) {
            let decider = (case.id.as_str(), decision.verdict, decision.reason.as_ref());
            by_id.entry(&decision.requirement).or_default().push(decider);
        }
    }
    for outcome in standing {
        let decision = ("standing", outcome.verdict, outcome.reason.as_ref());
        by_id.entry(&outcome.requirement).or_default().push(decision);
    }
    parts
        .register
        .iter()
        .map(|requirement| {
            let decisions = by_id.get(requirement.id.as_str()).map_or(&[][..], Vec::as_slice);
            outcome(parts, requirement, decisions)
        })
        .collect()
}

fn outcome(
    parts: &Parts<'_>,
    requirement: &Requirement,
    decisions: &[Decider<'_>],
) -> RequirementOutcome {
    let worst = decisions.iter().map(|(_, verdict, _)| *verdict).max();
    let undecided = match requirement.informative {
        true => RequirementVerdict::Skipped,
        false => RequirementVerdict::Untested,
    };
    let verdict = worst.map_or(undecided, RequirementVerdict::from);
    let reason = match worst {
        Some(worst) => decisions
            .iter()
            .find(|(_, verdict, reason)| *verdict == worst && reason.is_some())
            .and_then(|(_, _, reason)| reason.cloned()),
        None => Some(untested(parts, requirement).into()),
    };
    RequirementOutcome {
        id: requirement.id.clone(),
        level: requirement.level,
        mark: requirement.mark,
        security: requirement.security,
        title: requirement.title.clone(),
        source_url: requirement.url.clone(),
        applies: requirement.applies(&parts.facts.listed),
        verdict,
        because: reason.as_ref().and_then(RecordedReason::because).map(str::to_owned),
        reason,
        cases: decisions.iter().map(|(case, _, _)| (*case).to_owned()).collect(),
    }
}

fn untested(parts: &Parts<'_>, requirement: &Requirement) -> Reason {
    if requirement.informative {
        return Reason::Note;
    }
    if !requirement.standing.is_empty() || (parts.covered)(&requirement.id) {
        return Reason::NotSelected;
    }
    match &requirement.untestable {
        Some(why) => Reason::Untestable(why.clone()),
        None => Reason::NoCase,
    }
}
