//! Attempts of a case, and what stopped one.
use crate::check::trace::Trace;
use crate::http::rate_limit::{Bucket, Patience};
use crate::http::sender::SendResult;
use crate::model::reason::Reason;
use crate::model::run::Verdict;
use crate::plan::Assignment;
use std::time::Duration;
use tokio::time::Instant;

/// One attempt to decide a case.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The accounts.
    pub assignment: Assignment,
    /// Permission to wait for limits; with little of it, something else is tried first.
    pub patience: Patience,
    /// Accounts that were made in the place of limited ones so far.
    pub(super) replacements: u32,
}

/// A limit that stopped a case, which something else than waiting may help.
#[derive(Debug, Clone)]
pub struct Stopped {
    /// The requests that it applies to.
    pub(super) bucket: Bucket,
    /// The account of the case that is limited, if it is one.
    pub(super) name: Option<String>,
    /// The wait that the server asks for, and its end.
    pub(super) wait: Duration,
    pub(super) until: Instant,
    /// True if the requests of the case itself used up what the account may send: another would be
    /// limited just so.
    pub(super) by_itself: bool,
}

/// Something else than waiting.
#[derive(Debug, Clone)]
pub enum Remedy {
    /// The case is sent again with these accounts.
    Elsewhere(Assignment),
    /// It runs last.
    Later,
}

/// The end of an attempt.
pub(super) struct AttemptEnd<'c> {
    pub trace: Trace<'c>,
    /// The limit that stopped it and what may help, if anything may.
    pub stopped: Option<(Stopped, Remedy)>,
}

impl AttemptEnd<'_> {
    /// The end of an attempt that could not begin.
    pub(super) fn settled(reason: Reason) -> Self {
        AttemptEnd { trace: Trace::settled(Verdict::Blocked, reason), stopped: None }
    }
}

/// What came of the requests of a step.
pub(super) struct Delivered {
    pub sent: Vec<SendResult>,
    /// The limit that stopped them and what may help, if anything may.
    pub stopped: Option<(Stopped, Remedy)>,
}

impl Attempt {
    /// The first attempt, with the accounts of the plan.
    pub fn first(assignment: Assignment) -> Attempt {
        Attempt { assignment, patience: Patience::Brief, replacements: 0 }
    }

    /// One that waits for every limit.
    pub fn patient(assignment: Assignment) -> Attempt {
        Attempt { patience: Patience::Full, ..Attempt::first(assignment) }
    }

    /// The next one, with one more account made for it.
    pub fn with_replacement(&self, assignment: Assignment) -> Attempt {
        Attempt { assignment, patience: self.patience, replacements: self.replacements + 1 }
    }
}

/// A wait of so many seconds, and its end; waits have a cap of a day.
pub(super) fn wait_of(seconds: u128) -> (Duration, Instant) {
    let wait = u64::try_from(seconds).map_or(Duration::MAX, Duration::from_secs).min(DAY);
    (wait, Instant::now() + wait)
}

const DAY: Duration = Duration::from_secs(24 * 3600);
