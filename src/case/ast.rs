//! A case as plain data. Values still hold their references; see [`super::template`].
use super::matcher::Matcher;
use crate::model::release::SpecVersion;
use crate::model::run::Level;
use crate::yaml::document::Document;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// One case file.
#[derive(Debug, Clone)]
pub struct CaseFile {
    /// The file with its positions.
    pub document: Document,
    /// The file's stem.
    pub area: String,
    /// Its cases, rows of tables already expanded.
    pub cases: Vec<Case>,
}

/// What is sent and what must come back, to decide one or a few requirements.
#[derive(Debug, Clone)]
pub struct Case {
    /// Unique in the suite; `id[row]` for a row.
    pub id: String,
    /// What is true of a server that passes.
    pub title: String,
    /// The area of its file.
    pub area: String,
    /// Its file as shown to readers.
    pub file: String,
    /// Line of the case, or of the row.
    pub line: u32,
    /// Its place in the file.
    pub pointer: String,
    /// Requirement ids, in the order written.
    pub checks: Vec<String>,
    /// What must be there for it to apply.
    pub needs: Vec<Need>,
    /// What it does to its accounts.
    pub impact: Impact,
    /// How many wrong passwords it tries on a known account.
    pub wrong_passwords: u32,
    /// Whether 429 is waited out or is what the case looks at.
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

/// What rows can be made of that stand in no case file.
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

impl Phase {
    /// Whether a case of it disturbs others that run at the same time.
    pub fn runs_alone(self) -> bool {
        self >= Phase::Bursts
    }
}

impl Case {
    /// When it runs.
    pub fn phase(&self) -> Phase {
        match (self.last, self.limits, self.impact) {
            (true, _, _) => Phase::Last,
            (_, Limits::Observe, _) => Phase::Bursts,
            (_, _, Impact::Destroys) => Phase::Destroying,
            _ => Phase::Ordinary,
        }
    }

    /// Set-up and steps, in the order sent.
    pub fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.setup.iter().chain(&self.steps)
    }

    /// The names behind the references of a request.
    pub fn sent(&self, step: &Step) -> BTreeSet<String> {
        self.behind(step.request_references())
    }

    /// The names behind the references of a value.
    pub fn names_in(&self, value: &Value) -> BTreeSet<String> {
        self.behind(references_of(std::slice::from_ref(value)))
    }

    /// These names, and those in the case's own values that they stand for.
    fn behind(&self, mut open: Vec<String>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        while let Some(name) = open.pop() {
            let inner = self.values.iter().find(|(known, _)| *known == name);
            if found.insert(name)
                && let Some((_, value)) = inner
            {
                open.extend(references_of(std::slice::from_ref(value)));
            }
        }
        found
    }

    /// Whether one of its requests must be refused that names this account, or holds its password,
    /// before the case itself has logged in there. The refusal means something only of an account
    /// that is known to work: a good login is its positive control.
    pub fn wants_proof_of(&self, account: &str) -> bool {
        let names = |step: &Step| {
            let of_account = |name: &String| {
                let member = name.strip_prefix(account).and_then(|rest| rest.strip_prefix('.'));
                member.is_some_and(|member| IDENTIFYING.contains(&member))
            };
            step.uia.as_deref() == Some(account) || self.sent(step).iter().any(of_account)
        };
        let refused = |step: &Step| step.must_be_refused() && names(step);
        let logged_in = |step: &Step| step.is_login() && step.must_succeed() && names(step);
        let mut known = self.setup.iter().any(logged_in);
        self.steps.iter().any(|step| {
            let unknown = !known && refused(step);
            known |= logged_in(step);
            unknown
        })
    }

    /// How many logins it sends at most, apart from a look at the one that proved its account.
    pub fn logins(&self) -> usize {
        let looks = self.all_steps().find(|step| step.is_login()).is_some_and(Step::is_proof);
        let sent: usize = self.all_steps().filter(|step| step.is_login()).map(Step::times).sum();
        sent.saturating_sub(usize::from(looks))
    }

    /// Whether it logs in only to have a session, so that any other session of the account would do.
    pub fn takes_any_session(&self) -> bool {
        let mut logins = self.all_steps().filter(|step| step.is_login());
        let (first, second) = (logins.next(), logins.next());
        let in_setup = self.setup.iter().any(Step::is_login);
        in_setup && second.is_none() && first.is_some_and(Step::is_good_login)
    }

    /// Whether a server that does as asked ends or renews the session that the case logged in for.
    pub fn ends_its_session(&self) -> bool {
        const ENDING: [&str; 7] = [
            "logout",
            "logout_all",
            "deleteDevice",
            "deleteDevices",
            "refresh",
            "changePassword",
            "deactivateAccount",
        ];
        self.all_steps().any(|step| match &step.target {
            Target::Call(operation) => ENDING.contains(&operation.as_str()) && step.may_succeed(),
            Target::Raw { .. } | Target::Operator(_) => false,
        })
    }
}

/// The members of an account that say who somebody is, or prove it.
const IDENTIFYING: [&str; 8] = [
    "user_id",
    "user",
    "localpart",
    "password",
    "password_other_case",
    "password_shortened",
    "password_escaped",
    "login",
];

/// What must be there for a case to apply.
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
        /// The name that the case uses.
        name: String,
        /// Whether the case may ruin it.
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

/// What a probe can see that is no login flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
}

impl Feature {
    /// Every feature with the word that case files use for it.
    pub const ALL: [(&'static str, Feature); 10] = [
        ("legacy", Feature::Legacy),
        ("no_legacy", Feature::NoLegacy),
        ("oauth", Feature::Oauth),
        ("refresh", Feature::Refresh),
        ("get_token", Feature::GetToken),
        ("no_get_token", Feature::NoGetToken),
        ("get_token_denied", Feature::GetTokenDenied),
        ("uia_password", Feature::UiaPassword),
        ("identity_providers", Feature::IdentityProviders),
        ("oauth_aware", Feature::OauthAware),
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        Feature::ALL.iter().find(|(_, f)| *f == self).map_or("", |(word, _)| word)
    }
}

/// What a case does to its accounts, from harmless to final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Impact {
    /// Nothing.
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

impl Impact {
    /// Every impact with the word that case files use for it.
    pub const ALL: [(&'static str, Impact); 6] = [
        ("reads", Impact::Reads),
        ("session", Impact::Session),
        ("account", Impact::Account),
        ("ends-sessions", Impact::EndsSessions),
        ("locks-out", Impact::LocksOut),
        ("destroys", Impact::Destroys),
    ];
}

impl fmt::Display for Impact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Impact::ALL.iter().find(|(_, i)| i == self).map_or("", |(word, _)| word))
    }
}

/// Who deals with 429.
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
    /// Its place in the file.
    pub pointer: String,
    /// Line in the file.
    pub line: u32,
    /// What is called.
    pub target: Target,
    /// Values for the `{names}` in the path.
    pub params: Vec<(String, Value)>,
    /// Query parameters.
    pub query: Vec<(String, Value)>,
    /// Further headers.
    pub headers: Vec<(String, Value)>,
    /// Which path prefix, if not the run's.
    pub api: Option<Api>,
    /// How the request says who asks.
    pub auth: Auth,
    /// What is sent.
    pub body: Body,
    /// The Content-Type of a body.
    pub media_type: MediaType,
    /// The account that passes interactive auth, if it is asked for.
    pub uia: Option<String>,
    /// How often the request is sent.
    pub send: Send,
    /// How long before the request the case pauses.
    pub wait: Option<Duration>,
    /// How long an answer that is not yet as expected may be asked for again.
    pub within: Option<Duration>,
    /// For a set-up step: what it asks for is optional, and is called this; a server that does not
    /// offer it skips the case.
    pub optional: Option<String>,
    /// Why the published schema is not applied to the answer, if it is not.
    pub schema_off: Option<String>,
    /// What is expected.
    pub blocks: Vec<Block>,
    /// What is kept for later steps.
    pub save: Vec<(String, Source)>,
}

/// What a step calls.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// An operation of the loaded specification.
    Call(String),
    /// A method and a path that no file describes; both may hold references.
    Raw {
        /// The method.
        method: String,
        /// The path below the base URL.
        path: String,
    },
    /// Something that the operator does to an account, by a hook or with an admin's token.
    Operator(Act),
}

/// What an operator can do to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Act {
    /// Locks it.
    Lock,
    /// Takes that back.
    Unlock,
    /// Suspends it.
    Suspend,
    /// Deactivates it.
    Deactivate,
    /// Binds an e-mail address to it.
    BindEmail,
}

impl Act {
    /// Every act with its word, which also is what `needs: [operator NAME]` names.
    pub const ALL: [(&'static str, Act); 5] = [
        ("lock", Act::Lock),
        ("unlock", Act::Unlock),
        ("suspend", Act::Suspend),
        ("deactivate", Act::Deactivate),
        ("bind_email", Act::BindEmail),
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        Act::ALL.iter().find(|(_, act)| *act == self).map_or("", |(word, _)| word)
    }

    /// The names of what it is told: the account, and what is done to it.
    pub fn params(self) -> &'static [&'static str] {
        match self {
            Act::BindEmail => &["user_id", "address"],
            _ => &["user_id"],
        }
    }
}

/// What an operator gives beside acts, by the name that `needs: [operator NAME]` uses, with the
/// values that `$operator.NAME.…` names.
pub const OPERATOR_VALUES: [(&str, &[&str]); 4] = [
    ("appservice", &["token", "prefix", "user", "user_id", "sender"]),
    ("email", &["address", "address_other_case", "user_id", "password"]),
    ("phone", &["address", "country", "number", "user_id", "password"]),
    ("registration", &["token"]),
];

/// The path prefix of the client API: `/_matrix/client/r0` or `/_matrix/client/v3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// Releases r0.0 to r0.6.
    R0,
    /// v1.1 and later.
    V3,
}

impl Api {
    /// `r0` or `v3`.
    pub fn as_str(self) -> &'static str {
        match self {
            Api::R0 => "r0",
            Api::V3 => "v3",
        }
    }
}

/// How a request says who asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Auth {
    /// Not at all.
    None,
    /// `Authorization: Bearer …`.
    Bearer(Value),
    /// `?access_token=…`.
    Query(Value),
    /// A whole Authorization header.
    Raw(Value),
}

/// What is sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Nothing.
    None,
    /// JSON.
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
    /// None at all.
    None,
    /// As written.
    Given(String),
}

/// How often a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Send {
    /// Once.
    Once,
    /// That often at the same time.
    Parallel(u32),
    /// That often, one after the other.
    Repeat(u32),
    /// Until an answer has this status, at most so often.
    Until {
        /// The status that ends it.
        status: u16,
        /// The most requests.
        at_most: u32,
    },
}

/// The expectations of one requirement at one step.
#[derive(Debug, Clone)]
pub struct Block {
    /// The keyword it stands under.
    pub level: Level,
    /// The requirement.
    pub req: String,
    /// It says something only of answers like this.
    pub when: Option<Expect>,
    /// With several answers: exactly so many are as expected; without it, all are.
    pub exactly: Option<u32>,
    /// The outcomes that are allowed; without `one_of` there is one, without a name.
    pub branches: Vec<Branch>,
    /// Its place in the file.
    pub pointer: String,
    /// Line in the file.
    pub line: u32,
}

/// One outcome that is allowed.
#[derive(Debug, Clone)]
pub struct Branch {
    /// Its name, for the report.
    pub name: Option<String>,
    /// Why taking it deserves a warning.
    pub warn: Option<String>,
    /// What the answer then looks like.
    pub expect: Expect,
}

/// What an answer looks like.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// Its status.
    pub status: Option<StatusRule>,
    /// Its headers, by name.
    pub headers: Vec<(String, Matcher)>,
    /// Its JSON body, by pointer.
    pub body: Vec<(String, Matcher)>,
    /// Its body as text.
    pub text: Option<Matcher>,
}

/// Which statuses are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRule {
    /// The statuses or classes, at least one.
    pub any_of: Vec<StatusPattern>,
    /// Whether it means every other status.
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
    /// Whether a status is meant.
    pub fn holds(&self, status: u16) -> bool {
        let any = self.any_of.iter().any(|pattern| match pattern {
            StatusPattern::Exact(wanted) => *wanted == status,
            StatusPattern::Class(class) => status / 100 == *class,
        });
        any != self.negated
    }

    /// Whether it can only mean success.
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

/// Where a saved value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A JSON Pointer into the body.
    Body(String),
    /// A header, by name.
    Header(String),
    /// A parameter in the query of `Location`.
    Location(String),
    /// The status.
    Status,
}

impl Step {
    /// Whether it is a login.
    pub fn is_login(&self) -> bool {
        matches!(&self.target, Target::Call(operation) if operation == "login")
    }

    /// How many requests it sends at most.
    pub fn times(&self) -> usize {
        match self.send {
            Send::Once => 1,
            Send::Parallel(times) | Send::Repeat(times) => times as usize,
            Send::Until { at_most, .. } => at_most as usize,
        }
    }

    /// Whether it sends again what proved an account: `body: $alice.login`.
    fn is_proof(&self) -> bool {
        let Body::Json(Value::String(body)) = &self.body else { return false };
        body.starts_with('$') && body.ends_with(".login") && self.send == Send::Once
    }

    /// Whether nothing is the matter with this login, and the server is to accept it.
    fn is_good_login(&self) -> bool {
        const MEMBERS: [&str; 6] = [
            "type",
            "identifier",
            "password",
            "device_id",
            "initial_device_display_name",
            "refresh_token",
        ];
        let Body::Json(Value::Object(body)) = &self.body else { return false };
        let plain = self.headers.is_empty() && self.query.is_empty() && self.auth == Auth::None;
        plain
            && self.send == Send::Once
            && self.media_type == MediaType::Json
            && body.get("type").is_some_and(|name| name == "m.login.password")
            && body.keys().all(|key| MEMBERS.contains(&key.as_str()))
            && self.may_succeed()
    }

    /// Whether an answer with status 200 would be as expected.
    fn may_succeed(&self) -> bool {
        let ruled = |branch: &Branch| branch.expect.status.as_ref().is_none_or(|s| s.holds(200));
        self.blocks.iter().all(|block| block.branches.iter().any(ruled))
    }

    /// Whether an answer is as expected only if it refuses: with a status from 400 on.
    pub fn must_be_refused(&self) -> bool {
        self.must(|status| {
            !(200..300).any(|code| status.holds(code)) && (400..600).any(|code| status.holds(code))
        })
    }

    /// Whether an answer is as expected only if it is a success.
    pub fn must_succeed(&self) -> bool {
        self.must(StatusRule::is_success)
    }

    /// Whether each branch of a block that looks at every answer has such a status.
    fn must(&self, is: impl Fn(&StatusRule) -> bool) -> bool {
        let ruled = |branch: &Branch| branch.expect.status.as_ref().is_some_and(&is);
        let all = |block: &Block| block.when.is_none() && block.branches.iter().all(ruled);
        self.blocks.iter().any(|block| !block.branches.is_empty() && all(block))
    }

    /// Setup steps and steps; each reference of the request, in no order.
    pub fn request_references(&self) -> Vec<String> {
        let mut values: Vec<Value> = Vec::new();
        for (_, value) in self.params.iter().chain(&self.query).chain(&self.headers) {
            values.push(value.clone());
        }
        match &self.auth {
            Auth::None => {}
            Auth::Bearer(value) | Auth::Query(value) | Auth::Raw(value) => {
                values.push(value.clone());
            }
        }
        match &self.body {
            Body::Json(value) => values.push(value.clone()),
            Body::Text(text) => values.push(Value::String(text.clone())),
            Body::None | Body::Bytes(_) => {}
        }
        if let Target::Raw { method, path } = &self.target {
            values.push(Value::String(method.clone()));
            values.push(Value::String(path.clone()));
        }
        references_of(&values)
    }
}

impl Expect {
    /// Each reference in it.
    pub fn references(&self) -> Vec<String> {
        let pointers: Vec<_> =
            self.body.iter().map(|(pointer, _)| Value::String(pointer.clone())).collect();
        let matchers = self.headers.iter().chain(&self.body).map(|(_, matcher)| matcher);
        let mut names = references_of(&pointers);
        names.extend(matchers.chain(&self.text).flat_map(Matcher::references));
        names
    }
}

fn references_of(values: &[Value]) -> Vec<String> {
    values.iter().flat_map(super::template::references).map(|(name, _)| name).collect()
}
