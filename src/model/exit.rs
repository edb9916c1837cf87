//! Exit statuses, in one place, with their precedence.
use crate::model::reason::ReasonCode;
use crate::model::run::{Finding, RequirementOutcome, RequirementVerdict, Run, Verdict};
use std::collections::HashSet;

/// The server conforms, as far as was decided.
pub const CONFORMS: u8 = 0;
/// A requirement is broken.
pub const BROKEN: u8 = 1;
/// The command line cannot be used.
pub const USAGE: u8 = 2;
/// Specification, case, config or baseline files are wrong.
pub const FILES: u8 = 3;
/// Nothing was selected.
pub const NOTHING_SELECTED: u8 = 4;
/// It could not be decided: the target is unreachable, or a MUST is blocked.
pub const UNDECIDED: u8 = 5;
/// A report could not be written.
pub const REPORT: u8 = 6;
/// Our own fault.
pub const OWN_FAULT: u8 = 70;
/// Interrupted.
pub const INTERRUPTED: u8 = 130;

/// What gates a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gate {
    /// Whether a broken SHOULD fails the run.
    pub fail_on_should: bool,
    /// Whether blocked MUSTs are accepted, other than those of security.
    pub allow_blocked: bool,
    /// Whether those of security are accepted too: only where the run itself is at fault.
    pub allow_blocked_security: bool,
}

impl Gate {
    /// Whether a blocked MUST is accepted. One of security is not, or an accepted limit could hide that
    /// somebody gets in; but whoever gives no account asks for nothing that needs one.
    fn allows(self, blocked: &RequirementOutcome) -> bool {
        let code = blocked.reason.as_ref().map(|reason| &reason.code);
        let has_no_account = code.is_some_and(|code| code.is(ReasonCode::NoAccount));
        let by_mark = !blocked.security || has_no_account || self.allow_blocked_security;
        self.allow_blocked && by_mark
    }

    /// What a finding is at least that fails the run.
    pub fn gating(self) -> Verdict {
        if self.fail_on_should { Verdict::Warned } else { Verdict::Failed }
    }
}

/// The exit status of a finished or interrupted run: the first of 130, 70, 1, 5, 0 that holds.
/// (6 is known only when the reports are written, and comes between 70 and 1.)
pub fn status(run: &Run, gate: Gate) -> u8 {
    let any_case = |verdict: Verdict| run.cases.iter().any(|case| case.verdict == verdict);
    let requirements = || run.requirements.iter().filter(|r| r.applies);
    let any = |verdict: RequirementVerdict| requirements().any(|r| r.verdict == verdict);
    let blocked_must = run.blocked_musts().any(|r| !gate.allows(r));
    let required = |verdict: Verdict| run.required.iter().any(|one| one.verdict == verdict);
    let outdated = run.baseline.as_ref().is_some_and(|baseline| !baseline.outdated.is_empty());
    let further = run.baseline.as_ref().is_some_and(|baseline| !baseline.new_blocked.is_empty());
    if !run.complete && !ended_at_a_failure(run) {
        INTERRUPTED
    } else if any_case(Verdict::Errored) || any(RequirementVerdict::Errored) {
        OWN_FAULT
    } else if is_broken(run, gate.gating()) || required(Verdict::Failed) || outdated || further {
        BROKEN
    } else if blocked_must || (required(Verdict::Blocked) && !gate.allow_blocked) {
        UNDECIDED
    } else if run.no_usable_account {
        // Not what `--allow-blocked` accepts: nothing that needs an account was tested.
        UNDECIDED
    } else {
        CONFORMS
    }
}

/// Whether a requirement that applies is broken, at least so gravely, in a way that no baseline knows.
fn is_broken(run: &Run, gating: Verdict) -> bool {
    let applicable = run.requirements.iter().filter(|r| r.applies);
    let applies: HashSet<&str> = applicable.map(|r| r.id.as_str()).collect();
    let is_broken = |verdict: Verdict| {
        matches!(verdict, Verdict::Warned | Verdict::Failed) && verdict >= gating
    };
    let is_known = |findings: &[&Finding]| !findings.is_empty() && findings.iter().all(|f| f.known);
    let by_cases = run.cases.iter().any(|case| {
        let broken = case.decisions.iter().filter(|d| is_broken(d.verdict));
        broken.filter(|d| applies.contains(d.requirement.as_str())).any(|decision| {
            let mine = case.findings.iter().filter(|f| f.requirement == decision.requirement);
            !is_known(&mine.filter(|f| is_broken(f.verdict)).collect::<Vec<_>>())
        })
    });
    by_cases
        || run.standing.iter().any(|standing| {
            let findings = standing.findings.iter().filter(|f| is_broken(f.verdict));
            is_broken(standing.verdict)
                && applies.contains(standing.requirement.as_str())
                && !is_known(&findings.collect::<Vec<_>>())
        })
}

fn ended_at_a_failure(run: &Run) -> bool {
    let reasons = run.cases.iter().filter_map(|case| case.reason.as_ref());
    reasons.into_iter().any(|reason| reason.code.is(ReasonCode::FailFast))
}

#[cfg(test)]
pub(crate) mod tests;
