//! The register: every requirement, what applies to a server, and which place of an answer decides it.
//!
//! The file is read into a [`Register`] as a whole or not at all: whatever is wrong with it comes
//! back as diagnostics, all at once.
pub mod basic;
mod load;
pub(crate) mod nulls;
mod pattern;
mod rule;

pub use pattern::PointerPattern;
pub use rule::Rule;

use crate::model::release::{Listed, SpecVersion, VersionRange};
use crate::model::run::{Level, Mark, Verdict};
use crate::model::words::words;
use crate::yaml::diagnostic::{Diagnostic, did_you_mean};
use crate::yaml::document::Document;
use crate::yaml::document::de::text;
use serde::Deserialize;
use std::collections::HashMap;

const BUNDLED_NAME: &str = "spec/requirements.yaml";
const BUNDLED_TEXT: &str = crate::bundled::REGISTER;

/// The words of `needs`, and what each of them means to a reader.
pub const NEEDS: &[(&str, &str)] = &[
    ("3pid", "an account with a bound email address"),
    ("3pid-msisdn", "an account with a bound phone number"),
    ("acct", "an account whose password is known"),
    ("acct2", "a second account"),
    ("admin", "an admin token"),
    ("any", "nothing but the URL"),
    ("as", "the token and namespace of an application service"),
    ("cas", "m.login.cas offered"),
    ("e2ee", "device keys that can be uploaded"),
    ("get_token", "POST /login/get_token"),
    ("gettok-flag", "get_login_token true in GET /login"),
    ("guest", "open registration of guests"),
    ("idp", "m.login.sso offered, with identity providers"),
    ("legacy", "a server with the legacy API"),
    ("no-legacy", "a server without the legacy API"),
    ("oauth", "a server with the OAuth 2.0 API"),
    ("passive", "no request of its own: every response is checked"),
    ("pw", "m.login.password offered"),
    ("pw-or-tok", "m.login.password or m.login.token offered"),
    ("refresh", "a server that gives refresh tokens"),
    ("reg", "accounts that can be created for the run"),
    ("rl", "permission to provoke rate limits"),
    ("scripted", "an identity provider that the suite can drive"),
    ("slow", "time to wait"),
    ("sso", "m.login.sso offered"),
    ("tok", "m.login.token offered"),
    ("token", "a fresh login token"),
    ("uia", "interactive auth"),
    ("uia-pw", "interactive auth with a password stage"),
    ("wk", "a known server name with a well-known file"),
    ("xs", "cross-signing keys that can be uploaded"),
];

/// The keywords by which a watch can tell the ways in which a member breaks its schema.
///
/// `required`: it is missing, the place is where it would stand; `null`: it is there as null, which
/// its type does not allow; `type`: it is of another wrong type; the others are those of JSON Schema.
pub const KEYWORDS: &[&str] = &["required", "type", "null", "pattern", "format", "enum"];

/// One rule of the specification.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Stable dotted id, never reused or renamed: `device.login.echo`.
    #[serde(deserialize_with = "text")]
    pub id: String,
    /// The part of the register where it stands: `devices`.
    #[serde(deserialize_with = "text")]
    pub group: String,
    /// Level of RFC 2119.
    pub level: Level,
    /// In which words the specification says it.
    pub mark: Mark,
    /// True if it is a note: it demands nothing of a server, and nothing decides it.
    #[serde(default)]
    pub informative: bool,
    /// True if its breach lets somebody in, or keeps somebody in.
    #[serde(default)]
    pub security: bool,
    /// The first release that has it.
    pub since: SpecVersion,
    /// The last one; none where it goes on.
    pub until: Option<SpecVersion>,
    /// True if it binds only servers that list no release outside of its range.
    #[serde(default)]
    pub exclusive: bool,
    /// True if it binds every server, because the specification calls it a clarification.
    #[serde(default)]
    pub clarification: bool,
    /// The release from which on a MUST is formally binding; before, breaking it only warns.
    pub tightened: Option<SpecVersion>,
    /// The release from which on it is a MAY; before it was a SHOULD, and breaking it warns.
    pub relaxed: Option<SpecVersion>,
    /// True if breaking a MUST only warns, whatever is listed.
    #[serde(default)]
    pub warns: bool,
    /// Reason for one of the five above, or the place where the specification contradicts itself.
    #[serde(default, deserialize_with = "text")]
    pub note: Option<String>,
    /// Effort that a test of it takes.
    pub tier: Tier,
    /// Preconditions of a test of it, in words of [`NEEDS`].
    #[serde(deserialize_with = "load::needs")]
    pub needs: Vec<String>,
    /// The rule in one sentence.
    #[serde(deserialize_with = "text")]
    pub title: String,
    /// File and lines in the source of the specification: `login.yaml:226-230`.
    #[serde(deserialize_with = "text")]
    pub source: String,
    /// The published clause.
    #[serde(deserialize_with = "load::clause")]
    pub url: String,
    /// A test by hand, in one sentence.
    #[serde(deserialize_with = "text")]
    pub check: String,
    /// Standing checks that decide it on every response, besides its cases.
    #[serde(skip)]
    pub standing: Vec<StandingCheck>,
    /// Violations of the published schemas that a note permits.
    #[serde(skip)]
    pub permits: Vec<SchemaRule>,
    /// Reason why nothing decides it; only shown where no case and no standing check does.
    #[serde(default, deserialize_with = "text")]
    pub untestable: Option<String>,
    /// The operation that it says is there and works: what needs this operation cannot be decided
    /// while it is broken.
    #[serde(default, deserialize_with = "text")]
    pub works: Option<String>,
    /// Line in the file, from 1.
    #[serde(skip)]
    pub line: u32,
}

impl Requirement {
    /// The releases that have it.
    pub fn range(&self) -> VersionRange {
        VersionRange { since: self.since, until: self.until }
    }

    /// Returns true if a server that lists these releases has to comply with it. With a note nobody
    /// has to.
    pub fn applies(&self, listed: &Listed) -> bool {
        match (self.informative, self.clarification, self.exclusive) {
            (true, _, _) => false,
            (false, true, _) => true,
            (false, false, true) => listed.only_in_range(&self.range()),
            (false, false, false) => listed.in_range(&self.range()),
        }
    }

    /// Consequence for a server that lists these releases and breaks it.
    pub fn severity(&self, listed: &Listed) -> Severity {
        let not_yet =
            |release: Option<SpecVersion>| release.is_some_and(|r| !listed.has_at_least(r));
        match self.level {
            Level::Must if self.warns || not_yet(self.tightened) => Severity::Warns,
            Level::Must => Severity::Fails,
            Level::Should => Severity::Warns,
            Level::May if not_yet(self.relaxed) => Severity::Warns,
            Level::May => Severity::Observes,
        }
    }
}

/// Consequence of a broken requirement for the server under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing; it is told.
    Observes,
    /// It warns.
    Warns,
    /// It fails.
    Fails,
}

impl Severity {
    /// The verdict of a requirement that is broken.
    pub fn verdict(self) -> Verdict {
        match self {
            Severity::Observes => Verdict::Passed,
            Severity::Warns => Verdict::Warned,
            Severity::Fails => Verdict::Failed,
        }
    }

    /// The same, but no graver than a warning.
    pub fn at_most_warns(self) -> Severity {
        self.min(Severity::Warns)
    }
}

words! {
    /// Effort that a test of a requirement takes.
    pub enum Tier {
        /// The URL alone.
        T0 = "T0",
        /// One account and the password flow.
        T1 = "T1",
        /// More that an ordinary server gives of itself: a second account, interactive auth, tokens.
        T2 = "T2",
        /// The operator's help, or patience.
        T3 = "T3",
    }
}

/// A rule that decides a requirement on every response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StandingCheck {
    /// A check that is written in code.
    Rule(Rule),
    /// Places in the published schemas.
    Schema(SchemaRule),
}

/// Which violations of the published schemas break a requirement.
///
/// Of all watches that match a violation the most specific one counts. Their pointers are compared
/// first, key by key from the left: a name is more specific than `*`, that than a trailing `**`.
/// Where they are alike, a watch that names the keyword is more specific than one for any, then one
/// that names the status, then one that names the operation. Two watches that are alike in all of
/// this and match the same violation are the same watch twice, which a register refuses; so there
/// is never a choice.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaRule {
    /// The `operationId`; none for any.
    #[serde(deserialize_with = "load::operation")]
    pub operation: Option<String>,
    /// The status of the answer; none for any.
    #[serde(deserialize_with = "load::status")]
    pub status: Option<u16>,
    /// The places in its body.
    pub pointer: PointerPattern,
    /// One of [`KEYWORDS`]; none for any keyword at all.
    #[serde(deserialize_with = "load::keyword")]
    pub keyword: Option<String>,
}

impl SchemaRule {
    /// Returns true if a violation is one of those watched: a response of that operation and status
    /// breaks, at that JSON Pointer into its body, that keyword of its schema.
    pub fn matches(&self, operation: &str, status: u16, pointer: &str, keyword: &str) -> bool {
        self.status.is_none_or(|s| s == status)
            && self.operation.as_deref().is_none_or(|o| o == operation)
            && self.keyword.as_deref().is_none_or(|k| k == keyword)
            && self.pointer.matches(pointer)
    }

    /// The greater, the more specific; equal for two that match a common violation only if they
    /// are the same.
    fn specificity(&self) -> (Vec<u8>, bool, bool, bool) {
        let keyword = self.keyword.is_some();
        (self.pointer.specificity(), keyword, self.status.is_some(), self.operation.is_some())
    }
}

/// All requirements, in the order of the file.
#[derive(Debug, Clone)]
pub struct Register {
    requirements: Vec<Requirement>,
    positions: HashMap<String, usize>,
    rules: HashMap<Rule, usize>,
    /// The most specific first; each with the position of its requirement.
    watches: Vec<(SchemaRule, usize)>,
}

impl Register {
    /// The register that the program is built with.
    ///
    /// # Errors
    /// None in a program that passes its tests; what [`Register::parse`] finds.
    pub fn bundled() -> Result<Register, Vec<Diagnostic>> {
        Register::parse(BUNDLED_NAME, BUNDLED_TEXT)
    }

    /// Reads a register: name to show, and text.
    ///
    /// # Errors
    /// Everything that is wrong with the file, in its order: no YAML, an unknown or missing key, a
    /// value that is none of the words allowed, an id, a rule or a schema watch that comes twice,
    /// releases in the wrong order.
    pub fn parse(
        name: impl Into<String>,
        text: impl Into<String>,
    ) -> Result<Register, Vec<Diagnostic>> {
        load::register(&Document::parse(name, text)?)
    }

    /// All requirements, in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Requirement> {
        self.requirements.iter()
    }

    /// The requirement of an id.
    pub fn get(&self, id: &str) -> Option<&Requirement> {
        self.requirements.get(self.position(id)?)
    }

    /// The place of an id in the order of the file, from 0.
    pub fn position(&self, id: &str) -> Option<usize> {
        self.positions.get(id).copied()
    }

    /// The id that a wrong one was probably meant to be.
    pub fn closest(&self, id: &str) -> Option<&str> {
        did_you_mean(id, self.requirements.iter().map(|r| r.id.as_str()))
    }

    /// The requirement that a standing check in code decides.
    pub fn rule(&self, rule: Rule) -> Option<&Requirement> {
        self.requirements.get(*self.rules.get(&rule)?)
    }

    /// The requirement that is broken where an answer of that operation and status breaks, at that
    /// JSON Pointer into its body, that keyword of its schema (see [`KEYWORDS`]). The bundled
    /// register has one for every violation but those that [`Register::permits`].
    pub fn requirement_for_violation(
        &self,
        operation: &str,
        status: u16,
        pointer: &str,
        keyword: &str,
    ) -> Option<&Requirement> {
        self.watcher(operation, status, pointer, keyword).filter(|watcher| !watcher.informative)
    }

    /// Returns true if a note permits such a violation: the prose of the specification is wider than
    /// its schema there.
    pub fn permits(&self, operation: &str, status: u16, pointer: &str, keyword: &str) -> bool {
        self.watcher(operation, status, pointer, keyword).is_some_and(|watcher| watcher.informative)
    }

    /// The places of an answer where null in an optional member has a requirement of its own.
    pub fn null_places(
        &self,
        operation: &str,
        status: u16,
    ) -> impl Iterator<Item = (&SchemaRule, &Requirement)> {
        let is_here = move |rule: &SchemaRule| {
            rule.keyword.as_deref() == Some("null")
                && rule.operation.as_deref().is_none_or(|one| one == operation)
                && rule.status.is_none_or(|one| one == status)
        };
        let here = self.watches.iter().filter(move |(rule, _)| is_here(rule));
        here.filter_map(|(rule, at)| Some((rule, self.requirements.get(*at)?)))
    }

    fn watcher(
        &self,
        operation: &str,
        status: u16,
        pointer: &str,
        keyword: &str,
    ) -> Option<&Requirement> {
        let matching =
            self.watches.iter().find(|(w, _)| w.matches(operation, status, pointer, keyword));
        self.requirements.get(matching?.1)
    }
}
#[cfg(test)]
mod tests;
