//! How something ended, how binding it is, and how many ended how.
use super::run::RequirementOutcome;
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

/// The kind of harm that a breach of a requirement does; what matters most comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Concern {
    /// It lets somebody in, or keeps somebody in: marked in the register.
    Security,
    /// Clients do not work as they should.
    Interoperability,
    /// An error is told in other words or another form; the client is refused all the same.
    Form,
}

impl Concern {
    /// That of a requirement without the mark, by the names that the register gives: `error.…` and
    /// `rate_limit.…` are about the form of refusals, and so is what ends in `.errcode`, `.400.shape`,
    /// `.403.shape` or `.rate_limited`.
    pub fn by_id(id: &str) -> Concern {
        const BEGINNINGS: [&str; 2] = ["error.", "rate_limit."];
        const ENDS: [&str; 4] = [".errcode", ".400.shape", ".403.shape", ".rate_limited"];
        let is_form = BEGINNINGS.iter().any(|one| id.starts_with(one))
            || ENDS.iter().any(|one| id.ends_with(one));
        if is_form { Concern::Form } else { Concern::Interoperability }
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
    /// The one count of requirements: those that apply, each under its gravest verdict. Every report
    /// and every format takes its numbers from here.
    pub fn of<'r>(requirements: impl IntoIterator<Item = &'r RequirementOutcome>) -> Self {
        requirements.into_iter().filter(|one| one.applies).map(|one| one.verdict).collect()
    }

    /// How many there are of one verdict.
    pub fn count(&self, verdict: RequirementVerdict) -> usize {
        match verdict {
            RequirementVerdict::Untested => self.untested,
            RequirementVerdict::Skipped => self.skipped,
            RequirementVerdict::Passed => self.passed,
            RequirementVerdict::Warned => self.warned,
            RequirementVerdict::Blocked => self.blocked,
            RequirementVerdict::Failed => self.failed,
            RequirementVerdict::Errored => self.errored,
        }
    }

    /// How many were answered, one way or the other.
    pub fn decided(&self) -> usize {
        self.passed + self.warned + self.failed
    }
}

#[cfg(test)]
mod tests;
