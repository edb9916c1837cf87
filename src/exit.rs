//! Exit statuses, in one place, with their precedence.
use crate::outcome::{RequirementVerdict, Run, Verdict};

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
    /// Whether blocked MUSTs are accepted.
    pub allow_blocked: bool,
}

/// The exit status of a finished or interrupted run: the first of 130, 70, 1, 5, 0 that holds.
/// (6 is known only when the reports are written, and comes between 70 and 1.)
pub fn status(run: &Run, gate: Gate) -> u8 {
    let any_case = |verdict: Verdict| run.cases.iter().any(|case| case.verdict == verdict);
    let requirements = || run.requirements.iter().filter(|r| r.applies);
    let any = |verdict: RequirementVerdict| requirements().any(|r| r.verdict == verdict);
    let blocked_must = requirements().any(|r| {
        r.verdict == RequirementVerdict::Blocked && r.level == crate::outcome::Level::Must
    });
    if !run.complete && !ended_at_a_failure(run) {
        INTERRUPTED
    } else if any_case(Verdict::Errored) || any(RequirementVerdict::Errored) {
        OWN_FAULT
    } else if any(RequirementVerdict::Failed)
        || (gate.fail_on_should && any(RequirementVerdict::Warned))
    {
        BROKEN
    } else if blocked_must && !gate.allow_blocked {
        UNDECIDED
    } else {
        CONFORMS
    }
}

/// Whether a run is not complete because it was to end with its first failure.
fn ended_at_a_failure(run: &Run) -> bool {
    let reasons = run.cases.iter().filter_map(|case| case.reason.as_ref());
    reasons.into_iter().any(|reason| reason.code == "fail_fast")
}
