//! What a run found out, as one serialisable value: [`Run`].
//!
//! `run.json` *is* this value; every other report is a pure function of it. Text of others is
//! [`UntrustedText`], which redaction goes over before anything is shown.
mod untrusted;

pub use crate::model::reason::{ReasonCode, RecordedCode, RecordedReason};
pub use crate::model::verdict::{
    Concern, Level, Mark, RequirementTally, RequirementVerdict, Tally, Verdict,
};
pub use untrusted::UntrustedText;

use crate::model::words::words;
use serde::{Deserialize, Serialize};

/// The version of `run.json` that this program writes and reads.
pub const SCHEMA_VERSION: u32 = 1;

/// One whole run against one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct Run {
    /// [`SCHEMA_VERSION`] of the program that wrote it.
    pub schema_version: u32,
    /// False if the run was interrupted or stopped early.
    pub complete: bool,
    /// The exit status of the program, see `docs/verdicts.md`.
    pub exit_status: u8,
    /// The program that ran.
    pub tool: Tool,
    /// The homeserver as the probe saw it.
    pub target: Target,
    /// What was selected to run.
    pub selection: RecordedSelection,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Wall time of the whole run, in milliseconds.
    pub duration_ms: u64,
    /// Verdicts of the cases.
    pub tally: Tally,
    /// Verdicts of the requirements that apply to the server, see [`RequirementTally::of`].
    pub tally_requirements: RequirementTally,
    /// Which rate limits were met, in the order in which they were first met.
    pub limits_hit: Vec<LimitHit>,
    /// Sessions and accounts that the run made and could not remove again, in the reader's words.
    pub not_cleaned_up: Vec<UntrustedText>,
    /// What the operator is to know beside the verdicts, e.g. what would reach more requirements.
    pub notes: Vec<UntrustedText>,
    /// Whether cases needed an account, accounts or a way to make them were given, and none could be used.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_usable_account: bool,
    /// The operations of which most answers came from something in front of the homeserver, the most
    /// answers first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateway: Vec<GatewayAnswers>,
    /// What the baseline says of the findings, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BaselineOutcome>,
    /// What was to be there by `--require`, in the order asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<Required>,
    /// One for each planned case, in plan order; a row of a table case is a case of its own.
    pub cases: Vec<CaseOutcome>,
    /// One for each requirement that a standing check decides, in register order.
    pub standing: Vec<StandingOutcome>,
    /// Every requirement of the register, in register order.
    pub requirements: Vec<RequirementOutcome>,
    /// Exchanges that belong to no case: probe, account-making, clean-up.
    pub support: Vec<Support>,
}

/// The program that made a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct Tool {
    /// Always `homespec`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The homeserver under test, as the probe saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct Target {
    /// The URL that was given, or that was found for the server name, without a slash at its end;
    /// `unix:SOCKET` for a unix socket.
    pub base_url: UntrustedText,
    /// Name and version if the server tells (`Server` header), else null.
    pub server: Option<UntrustedText>,
    /// What `/versions` lists.
    pub versions: Vec<UntrustedText>,
    /// The login types of `GET /login`.
    pub flows: Vec<UntrustedText>,
    /// Which path prefix was used: `r0` or `v3`.
    pub api: String,
    /// Which specification files were used: `bundled v1`, `bundled r0`, or the folder given.
    pub spec: UntrustedText,
}

/// What was selected to run, as typed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct RecordedSelection {
    /// Globs over case ids.
    pub cases: Vec<UntrustedText>,
    /// Globs over requirement ids.
    pub requirements: Vec<UntrustedText>,
    /// Areas.
    pub areas: Vec<UntrustedText>,
    /// Levels.
    pub levels: Vec<Level>,
    /// Globs over case ids that were left out.
    pub skip: Vec<UntrustedText>,
    /// The run of which only what did not pass was run again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun: Option<UntrustedText>,
    /// How many cases exist.
    pub available: usize,
    /// How many of them were selected.
    pub selected: usize,
    /// Ids of further cases that ran as evidence: they show whether what the selected requirements
    /// presuppose holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

/// What a baseline says of the findings of a run. It counts entries, those that it has and those that
/// it lacks: findings that differ in nothing an entry can say are one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct BaselineOutcome {
    /// The baseline's file, as given.
    pub file: UntrustedText,
    /// What gates and stands in no entry.
    pub new: usize,
    /// How many entries know a finding of this run.
    pub known: usize,
    /// How many entries were added by this run, known from now on.
    pub added: usize,
    /// The blocked requirements that it accepts, by name or as consequences of a cause that it knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked: Vec<String>,
    /// The requirements that are blocked because of a known cause whose entry does not list them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new_blocked: Vec<String>,
    /// Entries that no longer hold, in the order of the file.
    pub outdated: Vec<OutdatedEntry>,
}

impl BaselineOutcome {
    /// How many entries no longer hold for this reason.
    pub fn outdated_by(&self, why: Outdated) -> usize {
        self.outdated.iter().filter(|entry| entry.why == why).count()
    }
}

/// An entry of a baseline that no longer holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct OutdatedEntry {
    /// The requirement.
    pub requirement: String,
    /// The case, or `standing`.
    pub case: String,
    /// What it says beside these two, e.g. `pointer /device_id, status 200`.
    pub place: UntrustedText,
    /// Why it no longer holds.
    pub why: Outdated,
    /// What is to be done about it, in a sentence.
    pub text: UntrustedText,
    /// The reason that it was accepted for.
    pub reason: UntrustedText,
    /// Its line in the file, from 1.
    pub line: u32,
}

words! {
    /// Why an entry of a baseline no longer holds.
    #[non_exhaustive]
    pub enum Outdated {
        /// Its case was decided and does not show the finding.
        Fixed = "fixed",
        /// Its day is over.
        Expired = "expired",
    }
}

/// Something that was to be there by `--require`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct Required {
    /// Its name, as on the command line.
    pub name: String,
    /// Passed if it is there, failed if not, blocked if that could not be seen.
    pub verdict: Verdict,
    /// A sentence for a reader.
    pub text: UntrustedText,
}

/// Answers of something in front of the homeserver to one operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct GatewayAnswers {
    /// Method and path: `GET /devices`.
    pub operation: UntrustedText,
    /// How many of its answers there were.
    pub count: usize,
    /// All answers to the operation.
    pub all: usize,
}

/// A rate limit of the server that the run met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct LimitHit {
    /// What was limited: an operation such as `login`.
    pub operation: UntrustedText,
    /// How many 429 answers there were.
    pub count: usize,
    /// The longest that one of them asked to wait, in milliseconds.
    #[serde(default)]
    pub retry_after_ms: u64,
    /// How long the run waited for it, in milliseconds.
    pub waited_ms: u64,
    /// How many cases are blocked by it.
    pub blocked: usize,
}

/// How one case ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct CaseOutcome {
    /// Stable id; `id[row]` for a row of a table.
    pub id: String,
    /// What is true of a server that passes.
    pub title: String,
    /// The file's stem: `password`, `device`, …
    pub area: String,
    /// The case file, as shown to a reader: `cases/device.yaml`.
    pub file: String,
    /// Line in that file, from 1.
    pub line: u32,
    /// What the case does to the account: `reads`, `session`, …
    pub impact: String,
    /// The maximum over the decisions.
    pub verdict: Verdict,
    /// Why, for skipped, blocked and errored.
    pub reason: Option<RecordedReason>,
    /// The legal roads that the server took, by name.
    pub branch: Option<String>,
    /// The requirements that it decides.
    pub requirements: Vec<String>,
    /// Wall time in milliseconds.
    pub duration_ms: u64,
    /// One for each of `requirements`.
    pub decisions: Vec<Decision>,
    /// Every way in which an answer broke a requirement of this case.
    pub findings: Vec<Finding>,
    /// What was sent and what came back.
    pub exchanges: Vec<RecordedExchange>,
}

/// What one case says of one requirement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct Decision {
    /// Its id in the register.
    pub requirement: String,
    /// How it was decided.
    pub verdict: Verdict,
    /// Why, for skipped, blocked and errored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<RecordedReason>,
    /// Which named branch the server took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

/// One way in which an answer broke a requirement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct Finding {
    /// The requirement that is broken.
    pub requirement: String,
    /// Its level.
    pub level: Level,
    /// What the finding comes to for this server: a MUST fails, but only warns where it is not yet
    /// formal in what the server lists, or where a branch merely deserves a warning.
    pub verdict: Verdict,
    /// One sentence.
    pub message: UntrustedText,
    /// What the specification asks for here.
    pub expected: UntrustedText,
    /// What came.
    pub actual: UntrustedText,
    /// Where in the answer: `status`, `header Content-Type`, or a JSON Pointer such as `/flows/0/type`.
    pub pointer: UntrustedText,
    /// The branch that was taken and deserves a warning, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Id of the exchange that shows it.
    pub exchange: Option<String>,
    /// The file with the expectation: a case file, or the specification's for a standing check.
    pub file: String,
    /// Line in that file, from 1.
    pub line: u32,
    /// Whether a baseline knows it.
    pub known: bool,
}

/// One request and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct RecordedExchange {
    /// `CASE#N`, N from 1; for those outside cases `probe#N` and so on.
    pub id: String,
    /// The operation that was called, if a file describes it.
    pub operation: Option<String>,
    /// What was sent.
    pub request: RecordedRequest,
    /// What came back, if something did.
    pub response: Option<RecordedResponse>,
    /// What went wrong on the way, if nothing came back.
    pub trouble: Option<UntrustedText>,
    /// From sending to the last byte of the answer, in milliseconds.
    pub duration_ms: u64,
    /// Whether it was sent once, for something earlier in the run, and is looked at again here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}

/// A request as it was sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct RecordedRequest {
    /// `GET`, `POST`, …
    pub method: UntrustedText,
    /// The full URL.
    pub url: UntrustedText,
    /// In the order sent.
    pub headers: Vec<Header>,
    /// As text; bytes that are not UTF-8 appear as U+FFFD.
    pub body: Option<UntrustedText>,
}

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct RecordedResponse {
    /// The status code.
    pub status: u16,
    /// In the order received.
    pub headers: Vec<Header>,
    /// As text; bytes that are not UTF-8 appear as U+FFFD; cut at the limit for reports.
    pub body: UntrustedText,
    /// Whether `body` is not the whole body.
    pub truncated: bool,
}

/// A header line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct Header {
    /// Its name in lower case.
    pub name: UntrustedText,
    /// Its value; bytes that are not UTF-8 appear as U+FFFD.
    pub value: UntrustedText,
}

/// What the standing checks say of one requirement, over all answers of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct StandingOutcome {
    /// Its id in the register.
    pub requirement: String,
    /// The maximum over all answers.
    pub verdict: Verdict,
    /// How many answers broke it.
    pub count: usize,
    /// How many answers it was evaluated on.
    pub observed: usize,
    /// One example for each different way of breaking it.
    pub findings: Vec<Finding>,
    /// Why, if it was not observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<RecordedReason>,
}

/// How a requirement ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct RequirementOutcome {
    /// Its id in the register.
    pub id: String,
    /// How binding it is.
    pub level: Level,
    /// In which words the specification says it.
    pub mark: Mark,
    /// Whether its breach lets somebody in, or keeps somebody in.
    #[serde(default)]
    pub security: bool,
    /// The paraphrase of the register.
    pub title: String,
    /// The clause on the published specification.
    pub source_url: String,
    /// Whether it applies to this server, by the versions that it lists.
    pub applies: bool,
    /// The maximum over its decisions, or untested.
    pub verdict: RequirementVerdict,
    /// Why, for skipped, blocked, errored and untested.
    pub reason: Option<RecordedReason>,
    /// The broken requirement without which it could not be decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// The cases that decide it; `standing` for a standing check.
    pub cases: Vec<String>,
}

impl RequirementOutcome {
    /// The kind of harm that a breach of it does.
    pub fn concern(&self) -> Concern {
        match self.security {
            true => Concern::Security,
            false => Concern::by_id(&self.id),
        }
    }
}

/// Exchanges that belong to no case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct Support {
    /// `discovery`, `probe`, `accounts`, `sessions`, `clean-up`.
    pub name: String,
    /// In the order sent.
    pub exchanges: Vec<RecordedExchange>,
}

impl Run {
    /// The exchange with this id, wherever it stands.
    pub fn exchange(&self, id: &str) -> Option<&RecordedExchange> {
        let in_cases = self.cases.iter().flat_map(|c| &c.exchanges);
        let outside = self.support.iter().flat_map(|s| &s.exchanges);
        in_cases.chain(outside).find(|e| e.id == id)
    }

    /// How many requirements apply to this server, by the versions that it lists.
    pub fn applicable(&self) -> usize {
        self.requirements.iter().filter(|r| r.applies).count()
    }

    /// The MUSTs that apply, are blocked, and are not accepted by the baseline.
    pub fn blocked_musts(&self) -> impl Iterator<Item = &RequirementOutcome> {
        let is_blocked = |r: &&RequirementOutcome| {
            r.applies && r.verdict == RequirementVerdict::Blocked && r.level == Level::Must
        };
        let accepted = |id: &String| self.baseline.as_ref().is_some_and(|b| b.blocked.contains(id));
        self.requirements.iter().filter(is_blocked).filter(move |r| !accepted(&r.id))
    }
}
