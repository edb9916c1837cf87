//! A case as plain data. Values still hold their references; see [`super::template`].
use super::matcher::Matcher;
use crate::model::release::SpecVersion;
use crate::model::run::Level;
use crate::yaml::document::Document;
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// One case file.
#[derive(Debug, Clone)]
pub struct CaseFile {
    pub document: Document,
    /// The file's stem.
    pub area: String,
    /// Its cases, rows of tables already expanded.
    pub cases: Vec<Arc<Case>>,
}

/// Requests with their expected responses, to decide one or a few requirements.
#[derive(Debug, Clone)]
pub struct Case {
    /// Unique in the suite; `id[row]` for a row.
    pub id: String,
    /// Statement that is true of a server that passes.
    pub title: String,
    pub area: String,
    pub file: String,
    /// Line of the case, or of the row.
    pub line: u32,
    pub pointer: String,
    /// Requirement ids, in the order written.
    pub checks: Vec<String>,
    /// Preconditions.
    pub needs: Vec<Need>,
    pub impact: Impact,
    /// Number of wrong passwords that it tries on a known account.
    pub wrong_passwords: u32,
    /// Handling of 429: waited out, or the subject of the case.
    pub limits: Limits,
    /// Runs after everything else: what it sends is known to wedge some servers.
    pub last: bool,
    /// Of what it stands for one case each, if that shows only beside the specification and the server.
    pub each: Option<Each>,
    /// Values by dotted name: `row.*` and the file's `let`.
    pub values: Vec<(String, Value)>,
    /// Steps that only prepare.
    pub setup: Vec<Step>,
    /// Steps that decide.
    pub steps: Vec<Step>,
}

/// Sources of rows that are in no case file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Each {
    /// The operations of the loaded specification.
    Operations,
    /// The identity providers that `GET /login` lists.
    IdentityProviders,
    /// Their icons in the media repository.
    ProviderIcons,
}

impl Each {
    /// Every kind with the word that case files use for it, and the values that each row has.
    pub const ALL: [(&'static str, Each, &'static [&'static str]); 3] = [
        ("operations", Each::Operations, &["operation", "method", "path"]),
        ("identity_providers", Each::IdentityProviders, &["provider"]),
        ("provider_icons", Each::ProviderIcons, &["media"]),
    ];
}

/// When a case runs; a phase begins when the one before is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// With most others.
    Ordinary,
    /// Leaves its account unusable.
    Destroying,
    /// Provokes rate limits, which others would meet.
    Bursts,
    /// Sends what is known to wedge some servers.
    Last,
}

/// A precondition of a case.
#[derive(Debug, Clone, PartialEq)]
pub enum Need {
    /// `flow m.login.password`: `GET /login` advertises it.
    Flow(String),
    /// `version v1.3`: the server lists that release or a later one.
    Version(SpecVersion),
    /// `before v1.15`: it lists neither that release nor a later one.
    Before(SpecVersion),
    /// `capability m.get_login_token`: `/capabilities` says it is enabled.
    Capability(String),
    /// `feature refresh`: the probe saw it.
    Feature(Feature),
    /// `account alice`, `account carol disposable`.
    Account {
        name: String,
        /// True if the case may ruin it.
        disposable: bool,
    },
    /// `session alice`: a shared login of that account, only for reading.
    Session(String),
    /// `operator appservice`: something that only an operator can give, or do.
    Operator(String),
}

impl Need {
    /// The name of the account that it asks for, with or without a session.
    pub fn account(&self) -> Option<&str> {
        match self {
            Need::Account { name, .. } | Need::Session(name) => Some(name),
            _ => None,
        }
    }
}

/// A feature that a probe can find and that is not a login flow.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "snake_case")]
#[allow(unnameable_types)] // By way of an `Into`.
pub enum Feature {
    /// `GET /login` answers 200.
    Legacy,
    /// It does not.
    NoLegacy,
    /// `GET /auth_metadata` answers 200.
    Oauth,
    /// The proof login returned a refresh token.
    Refresh,
    /// `POST /login/get_token` is there.
    GetToken,
    /// `GET /login` advertises `m.login.token`, or a login by a made-up token is refused for its token.
    LoginToken,
    /// It is not.
    NoGetToken,
    /// It is, but `/capabilities` says that this account may not use it.
    GetTokenDenied,
    /// Interactive auth with a password stage, as seen on deleting a device.
    UiaPassword,
    /// The `m.login.sso` entry of `GET /login` lists identity providers.
    IdentityProviders,
    /// It says `oauth_aware_preferred`.
    OauthAware,
    /// The run may register accounts by `POST /register`: its own are made in that way.
    Registration,
}

impl Feature {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Effect of a case on its accounts, from harmless to final.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
#[allow(unnameable_types)] // By way of an `Into`.
pub enum Impact {
    Reads,
    /// Makes sessions of its own and ends them.
    Session,
    /// Changes something that other sessions of the account can see.
    Account,
    /// Ends sessions that it did not make.
    EndsSessions,
    /// Tries wrong secrets, for which a server may lock the account.
    LocksOut,
    /// Leaves the account unusable.
    Destroys,
}

/// Handling of 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Limits {
    /// The driver waits, within the budget.
    Wait,
    /// The case itself looks at it.
    Observe,
}

/// One request and what is expected of its answer.
#[derive(Debug, Clone)]
pub struct Step {
    pub pointer: String,
    pub line: u32,
    pub target: StepTarget,
    /// Values for the `{names}` in the path.
    pub params: Vec<(String, Value)>,
    pub query: Vec<(String, Value)>,
    /// Further headers.
    pub headers: Vec<(String, Value)>,
    /// Which path prefix, if not the run's.
    pub api: Option<Api>,
    pub auth: Auth,
    pub body: Body,
    pub media_type: MediaType,
    /// The account that passes interactive auth, if it is asked for.
    pub uia: Option<String>,
    pub send: Send,
    /// Name of a saved number that bounds the requests of [`Send::Until`] further.
    pub at_most_saved: Option<String>,
    /// Pause before the request.
    pub wait: Option<Wait>,
    /// Time in which the request is repeated until the response is as expected.
    pub within: Option<Duration>,
    /// For a set-up step: what it asks for is optional, and is called this; a server that does not
    /// offer it skips the case.
    pub optional: Option<String>,
    /// Reason why the published schema is not applied to the response, if it is not.
    pub schema_off: Option<String>,
    /// Whether the case goes on although the status is wrong: the request changes nothing, and what it asks is known to be
    /// absent.
    pub goes_on: bool,
    pub blocks: Vec<Block>,
    pub save: Vec<(String, Source)>,
}

/// Target of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum StepTarget {
    /// An operation of the loaded specification.
    Call(String),
    /// A method and a path that no file describes; both may hold references.
    Raw {
        method: String,
        /// The path below the base URL.
        path: String,
    },
    /// Something that the operator does to an account, by a hook or with an admin's token.
    Operator(Act),
}

/// An act of an operator on an account; its word is also the NAME of `needs: [operator NAME]`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Act {
    /// Lock it.
    Lock,
    /// Unlock it.
    Unlock,
    /// Suspend it.
    Suspend,
    /// Deactivate it.
    Deactivate,
    /// Bind an e-mail address to it.
    BindEmail,
}

impl Act {
    /// Its word in case files and in the config file.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The names of what it is told: the account, and what is done to it.
    pub fn params(self) -> &'static [&'static str] {
        match self {
            Act::BindEmail => &["user_id", "address"],
            _ => &["user_id"],
        }
    }
}

/// Values of an operator beside acts, by the NAME of `needs: [operator NAME]`, with the
/// values that `$operator.NAME.…` names.
pub const OPERATOR_VALUES: [(&str, &[&str]); 5] = [
    ("admin", &["token"]),
    ("appservice", &["token", "prefix", "user", "user_id", "sender", "sender_localpart"]),
    ("email", &["address", "address_other_case", "user_id", "password"]),
    ("phone", &["address", "country", "number", "user_id", "password"]),
    ("registration", &["token"]),
];

/// The path prefix of the client API: `/_matrix/client/r0` or `/_matrix/client/v3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Api {
    /// Releases r0.0 to r0.6.
    R0,
    /// v1.1 and later.
    V3,
}

impl Api {
    /// The last part of the prefix.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Credentials of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Auth {
    None,
    /// `Authorization: Bearer …`.
    Bearer(Value),
    /// `?access_token=…`.
    Query(Value),
    /// A whole Authorization header.
    Raw(Value),
}

/// Body of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    None,
    Json(Value),
    /// Text as written, with references.
    Text(String),
    /// Bytes as written.
    Bytes(Vec<u8>),
}

/// The Content-Type of a request with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaType {
    /// `application/json`.
    Json,
    None,
    Given(String),
}

/// Number and order of the requests of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Send {
    Once,
    /// That often at the same time.
    Parallel(u32),
    /// That often, one after the other.
    Repeat(u32),
    /// Until an answer has this status, at most so often.
    Until {
        status: u16,
        at_most: u32,
    },
}

/// A pause before a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// Of this length.
    Fixed(Duration),
    /// Of as many milliseconds as the number saved under this name, and a little longer: other cases run meanwhile, and
    /// it counts towards the budget of waits.
    Saved(String),
}

/// The expectations of one requirement at one step.
#[derive(Debug, Clone)]
pub struct Block {
    pub level: Level,
    pub req: String,
    /// It says something only of answers like this.
    pub when: Option<Expect>,
    /// With several answers: exactly so many are as expected; without it, all are.
    pub exactly: Option<u32>,
    /// The outcomes that are allowed; without `one_of` there is one, without a name.
    pub branches: Vec<Branch>,
    pub pointer: String,
    pub line: u32,
}

impl Block {
    /// Whether nothing but a success is as expected.
    pub fn wants_success(&self) -> bool {
        let of_refusals = |expect: &Expect| {
            let of_error = |(pointer, _): &(String, Matcher)| pointer.starts_with("/errcode");
            match &expect.status {
                Some(status) => !status.is_success(),
                None => expect.body.is_empty() || expect.body.iter().any(of_error),
            }
        };
        let asked_of_refusals = self
            .when
            .as_ref()
            .and_then(|when| when.status.as_ref())
            .is_some_and(|status| !status.is_success());
        !asked_of_refusals && !self.branches.iter().any(|branch| of_refusals(&branch.expect))
    }
}

/// One outcome that is allowed.
#[derive(Debug, Clone)]
pub struct Branch {
    pub name: Option<String>,
    /// Reason why taking it deserves a warning.
    pub warn: Option<String>,
    pub expect: Expect,
}

/// Expected response.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    pub status: Option<StatusRule>,
    /// Its headers, by name.
    pub headers: Vec<(String, Matcher)>,
    /// Its JSON body, by pointer.
    pub body: Vec<(String, Matcher)>,
    pub text: Option<Matcher>,
}

/// Which statuses are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRule {
    /// The statuses or classes, at least one.
    pub any_of: Vec<StatusPattern>,
    /// True if it means every other status.
    pub negated: bool,
}

/// A status or a class of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusPattern {
    /// `403`.
    Exact(u16),
    /// `4xx` is `Class(4)`.
    Class(u16),
}

impl StatusRule {
    /// Returns true if a status is meant.
    pub fn holds(&self, status: u16) -> bool {
        let any = self.any_of.iter().any(|pattern| match pattern {
            StatusPattern::Exact(wanted) => *wanted == status,
            StatusPattern::Class(class) => status / 100 == *class,
        });
        any != self.negated
    }

    /// Returns true if it can only mean success.
    pub fn is_success(&self) -> bool {
        !self.negated
            && self.any_of.iter().all(|pattern| match pattern {
                StatusPattern::Exact(status) => status / 100 == 2,
                StatusPattern::Class(class) => *class == 2,
            })
    }
}

impl fmt::Display for StatusRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self
            .any_of
            .iter()
            .map(|pattern| match pattern {
                StatusPattern::Exact(status) => status.to_string(),
                StatusPattern::Class(class) => format!("{class}xx"),
            })
            .collect();
        write!(f, "{}{}", if self.negated { "not " } else { "" }, all.join(" or "))
    }
}

/// Source of a saved value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A JSON Pointer into the body.
    Body(String),
    /// A header, by name.
    Header(String),
    /// A parameter in the query of `Location`.
    Location(String),
    Status,
    /// The body as text.
    Text,
    /// The milliseconds that a 429 asks to wait.
    RetryAfter,
    /// How many responses of the step were not a 429.
    Served,
}

impl Source {
    /// Returns true if it may be a number, for a wait or a count.
    pub fn may_be_number(&self) -> bool {
        matches!(self, Source::Body(_) | Source::RetryAfter | Source::Served)
    }
}
