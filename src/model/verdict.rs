//! How something ended, how binding it is, and how many ended how.
use super::words::words;
use serde::{Deserialize, Serialize};

words! {
    /// How a case, a requirement or a single decision ended; ordered, so that a roll-up is `max`.
    pub enum Verdict {
        /// It does not apply, or something optional was not given.
        Skipped = "skipped",
        /// Tested, and the server does what is asked.
        Passed = "passed",
        /// A SHOULD is broken.
        Warned = "warned",
        /// It applies but could not be decided.
        Blocked = "blocked",
        /// A MUST is broken.
        Failed = "failed",
        /// Our own fault.
        Errored = "errored",
    }
}

impl Verdict {
    /// Whether the question was answered, one way or the other.
    pub fn is_decided(self) -> bool {
        matches!(self, Verdict::Passed | Verdict::Warned | Verdict::Failed)
    }
}

words! {
    /// How binding a requirement is (RFC 2119).
    pub enum Level {
        /// Only observed; never gates.
        May = "MAY",
        /// Broken: warned.
        Should = "SHOULD",
        /// Broken: failed.
        Must = "MUST",
    }
}

words! {
    /// In which words the specification says it. All marks gate alike; only the report's wording differs.
    #[non_exhaustive]
    pub enum Mark {
        /// RFC 2119 capitals.
        Plain = "plain",
        /// Lower case or a flat statement.
        Soft = "soft",
        /// Follows from several sentences, none of which says it outright.
        Derived = "derived",
        /// Shape only, from the published schema; counts as MUST.
        Schema = "schema",
    }
}

/// How many cases ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct Tally {
    pub passed: usize,
    pub warned: usize,
    pub failed: usize,
    pub blocked: usize,
    pub skipped: usize,
    pub errored: usize,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, verdict: Verdict) {
        *self.count(verdict) += 1;
    }

    /// How many there are of one verdict.
    pub fn of(mut self, verdict: Verdict) -> usize {
        *self.count(verdict)
    }

    fn count(&mut self, verdict: Verdict) -> &mut usize {
        match verdict {
            Verdict::Skipped => &mut self.skipped,
            Verdict::Passed => &mut self.passed,
            Verdict::Warned => &mut self.warned,
            Verdict::Blocked => &mut self.blocked,
            Verdict::Failed => &mut self.failed,
            Verdict::Errored => &mut self.errored,
        }
    }

    /// All together.
    pub fn total(&self) -> usize {
        Verdict::ALL.iter().map(|v| self.of(*v)).sum()
    }
}

impl FromIterator<Verdict> for Tally {
    fn from_iter<I: IntoIterator<Item = Verdict>>(verdicts: I) -> Self {
        let mut tally = Tally::default();
        verdicts.into_iter().for_each(|v| tally.add(v));
        tally
    }
}

/// How many requirements ended how; those without a case are untested.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct RequirementTally {
    pub passed: usize,
    pub warned: usize,
    pub failed: usize,
    pub blocked: usize,
    pub skipped: usize,
    pub errored: usize,
    pub untested: usize,
}

words! {
    /// A verdict, or that there is no case.
    pub enum RequirementVerdict {
        /// No case and no standing check was selected or exists.
        Untested = "untested",
        /// See [`Verdict::Skipped`].
        Skipped = "skipped",
        /// See [`Verdict::Passed`].
        Passed = "passed",
        /// See [`Verdict::Warned`].
        Warned = "warned",
        /// See [`Verdict::Blocked`].
        Blocked = "blocked",
        /// See [`Verdict::Failed`].
        Failed = "failed",
        /// See [`Verdict::Errored`].
        Errored = "errored",
    }
}

impl From<Verdict> for RequirementVerdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Skipped => RequirementVerdict::Skipped,
            Verdict::Passed => RequirementVerdict::Passed,
            Verdict::Warned => RequirementVerdict::Warned,
            Verdict::Blocked => RequirementVerdict::Blocked,
            Verdict::Failed => RequirementVerdict::Failed,
            Verdict::Errored => RequirementVerdict::Errored,
        }
    }
}

impl RequirementVerdict {
    /// The verdict behind it, unless it is untested.
    pub fn verdict(self) -> Option<Verdict> {
        Verdict::ALL.iter().copied().find(|verdict| RequirementVerdict::from(*verdict) == self)
    }
}

impl FromIterator<RequirementVerdict> for RequirementTally {
    fn from_iter<I: IntoIterator<Item = RequirementVerdict>>(verdicts: I) -> Self {
        let (mut tally, mut untested) = (Tally::default(), 0);
        for verdict in verdicts {
            match verdict.verdict() {
                Some(verdict) => tally.add(verdict),
                None => untested += 1,
            }
        }
        let Tally { passed, warned, failed, blocked, skipped, errored } = tally;
        RequirementTally { passed, warned, failed, blocked, skipped, errored, untested }
    }
}

impl RequirementTally {
    /// How many were answered, one way or the other.
    pub fn decided(&self) -> usize {
        self.passed + self.warned + self.failed
    }
}

#[cfg(test)]
mod tests;
