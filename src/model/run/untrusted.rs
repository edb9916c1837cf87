//! Text of others as a type, and the walk over all of it in a run.
use super::*;
use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;

/// Text that is a server's, an operator's or a file's, wholly or in part. It may hold secrets until
/// redaction has been over it, and markup or terminal sequences for ever.
///
/// Reads like a `str`; in JSON it is a string.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UntrustedText(String);

impl UntrustedText {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for UntrustedText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for UntrustedText {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for UntrustedText {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UntrustedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for UntrustedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<String> for UntrustedText {
    fn from(text: String) -> UntrustedText {
        UntrustedText(text)
    }
}

impl From<&str> for UntrustedText {
    fn from(text: &str) -> UntrustedText {
        UntrustedText(text.to_owned())
    }
}

impl From<Cow<'_, str>> for UntrustedText {
    fn from(text: Cow<'_, str>) -> UntrustedText {
        UntrustedText(text.into_owned())
    }
}

impl From<UntrustedText> for String {
    fn from(text: UntrustedText) -> String {
        text.0
    }
}

impl PartialEq<str> for UntrustedText {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for UntrustedText {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl PartialEq<String> for UntrustedText {
    fn eq(&self, other: &String) -> bool {
        self.0 == *other
    }
}

type Change<'f, E> = dyn FnMut(&str) -> Result<String, E> + 'f;

impl Run {
    /// The same run with every [`UntrustedText`] changed, in the order of `run.json`. Ids, levels and
    /// whatever else is not of that type stay as they are.
    ///
    /// # Errors
    /// The first error of `change`; the run is gone then.
    pub fn map_untrusted_text<E>(
        self,
        mut change: impl FnMut(&str) -> Result<String, E>,
    ) -> Result<Run, E> {
        self.mapped(&mut change)
    }
}

/// A part of a run. Every implementation takes its struct apart without `..`: a field that is added
/// does not compile before somebody has said whether its text is trusted.
trait Mapped: Sized {
    fn mapped<E>(self, change: &mut Change<'_, E>) -> Result<Self, E>;
}

impl Mapped for UntrustedText {
    fn mapped<E>(self, change: &mut Change<'_, E>) -> Result<Self, E> {
        change(&self.0).map(UntrustedText)
    }
}

impl<T: Mapped> Mapped for Vec<T> {
    fn mapped<E>(self, change: &mut Change<'_, E>) -> Result<Self, E> {
        self.into_iter().map(|item| item.mapped(change)).collect()
    }
}

impl<T: Mapped> Mapped for Option<T> {
    fn mapped<E>(self, change: &mut Change<'_, E>) -> Result<Self, E> {
        self.map(|item| item.mapped(change)).transpose()
    }
}

/// Implements [`Mapped`]: the fields before the semicolon are parts with untrusted text, those behind
/// it are not.
macro_rules! mapped {
    ($($type:ident { $($untrusted:ident),* ; $($ours:ident),* })*) => { $(
        impl Mapped for $type {
            fn mapped<E>(self, change: &mut Change<'_, E>) -> Result<Self, E> {
                let $type { $($untrusted,)* $($ours,)* } = self;
                $(let $untrusted = $untrusted.mapped(change)?;)*
                Ok($type { $($untrusted,)* $($ours,)* })
            }
        }
    )* };
}

// Ids, titles, areas, branches and files of cases are trusted also where the cases are the user's:
// results are matched by them, and a case file holds no secret, only names of some.
mapped! {
    Run {
        target, selection, limits_hit, not_cleaned_up, notes, gateway, baseline, required, cases,
        standing, requirements, support;
        schema_version, complete, exit_status, tool, started_at, duration_ms, tally,
        tally_requirements, no_usable_account
    }
    Target { base_url, server, versions, flows, spec; api }
    RecordedSelection { cases, requirements, areas, skip, rerun; levels, available, selected, evidence }
    BaselineOutcome { file, outdated; new, known, added, blocked, new_blocked }
    OutdatedEntry { place, text, reason; requirement, case, why, line }
    Required { text; name, verdict }
    GatewayAnswers { operation; count, all }
    LimitHit { operation; count, retry_after_ms, waited_ms, blocked }
    CaseOutcome {
        reason, decisions, findings, exchanges;
        id, title, area, file, line, impact, verdict, branch, requirements, duration_ms
    }
    RecordedReason { text; code }
    Decision { reason; requirement, verdict, branch }
    Finding {
        message, expected, actual, pointer;
        requirement, level, verdict, branch, exchange, file, line, known
    }
    RecordedExchange { request, response, trouble; id, operation, duration_ms, shared }
    RecordedRequest { method, url, headers, body; }
    RecordedResponse { headers, body; status, truncated }
    Header { name, value; }
    StandingOutcome { findings, reason; requirement, verdict, count, observed }
    RequirementOutcome {
        reason;
        id, level, mark, security, title, source_url, applies, verdict, because, cases
    }
    Support { exchanges; name }
}
