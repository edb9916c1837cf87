//! The register of requirements: every rule of the specification that homespec knows, as written
//! in `spec/requirements.yaml`, and which of them watches which place of an answer.
//!
//! The file is read into a [`Register`] as a whole or not at all: whatever is wrong with it comes
//! back as diagnostics, all at once.
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::outcome::{Level, Mark, Verdict};
use crate::source::{Document, pointer_tokens};
use crate::version::{Listed, SpecVersion, VersionRange};
use serde_json::{Map, Value};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

/// The name under which the bundled register is shown.
const BUNDLED_NAME: &str = "spec/requirements.yaml";
const BUNDLED_TEXT: &str = include_str!("../spec/requirements.yaml");

/// The words of `needs`, and what each of them means to a reader.
pub const NEEDS: &[(&str, &str)] = &[
    ("3pid", "an account with a bound email address"),
    ("3pid-msisdn", "an account with a bound phone number"),
    ("acct", "an account whose password is known"),
    ("acct2", "a second account"),
    ("admin", "an admin token"),
    ("any", "nothing but the URL"),
    ("as", "the token and namespace of an application service"),
    ("cas", "m.login.cas on offer"),
    ("e2ee", "device keys that can be uploaded"),
    ("get_token", "POST /login/get_token"),
    ("gettok-flag", "get_login_token true in GET /login"),
    ("guest", "open registration of guests"),
    ("idp", "m.login.sso on offer, with identity providers"),
    ("legacy", "a server with the legacy API"),
    ("no-legacy", "a server without the legacy API"),
    ("oauth", "a server with the OAuth 2.0 API"),
    ("passive", "nothing of its own: it is looked at on every answer"),
    ("pw", "m.login.password on offer"),
    ("pw-or-tok", "m.login.password or m.login.token on offer"),
    ("refresh", "a server that gives refresh tokens"),
    ("reg", "accounts that can be made for the run"),
    ("rl", "leave to provoke rate limits"),
    ("scripted", "an identity provider that the suite can drive"),
    ("slow", "time to wait"),
    ("sso", "m.login.sso on offer"),
    ("tok", "m.login.token on offer"),
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Stable dotted id, never reused or renamed: `device.login.echo`.
    pub id: String,
    /// The part of the register where it stands: `devices`.
    pub group: String,
    /// How binding it is.
    pub level: Level,
    /// In which words the specification says it.
    pub mark: Mark,
    /// The releases that have it.
    pub range: VersionRange,
    /// Whether it binds only servers that list no release outside of `range`.
    pub exclusive: bool,
    /// Whether it binds whatever is listed, because the specification says that it only explains.
    pub clarification: bool,
    /// The release from which on a MUST is formally binding; before, breaking it only warns.
    pub tightened: Option<SpecVersion>,
    /// The release from which on it is a MAY; before it was a SHOULD, and breaking it warns.
    pub relaxed: Option<SpecVersion>,
    /// Whether breaking a MUST only warns, whatever is listed.
    pub warns: bool,
    /// Why one of the five above is as it is, or where the specification contradicts itself.
    pub note: Option<String>,
    /// How much it takes to see it.
    pub tier: Tier,
    /// What it takes to see it, in words of [`NEEDS`].
    pub needs: Vec<String>,
    /// The rule in one sentence.
    pub title: String,
    /// File and lines in the source of the specification: `login.yaml:226-230`.
    pub source: String,
    /// The published clause.
    pub url: String,
    /// How to see it by hand, one sentence.
    pub check: String,
    /// What decides it on every answer, besides its cases.
    pub standing: Vec<Watch>,
    /// Why nothing decides it; to be told only where no case and no standing check does.
    pub untestable: Option<String>,
    /// Where it stands in the file, from 1.
    pub line: u32,
}

impl Requirement {
    /// Whether a server that lists these releases has to keep to it.
    pub fn applies(&self, listed: &Listed) -> bool {
        match (self.clarification, self.exclusive) {
            (true, _) => true,
            (false, true) => listed.only_in_range(&self.range),
            (false, false) => listed.in_range(&self.range),
        }
    }

    /// What it means if a server that lists these releases breaks it.
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

/// What a broken requirement means for the server under test.
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

/// How much it takes to see a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// The URL alone.
    T0,
    /// One account and the password flow.
    T1,
    /// More that an ordinary server gives of itself: a second account, interactive auth, tokens.
    T2,
    /// The operator's help, or patience.
    T3,
}

impl Tier {
    const ALL: [Tier; 4] = [Tier::T0, Tier::T1, Tier::T2, Tier::T3];

    /// The word used in files and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Tier::T0 => "T0",
            Tier::T1 => "T1",
            Tier::T2 => "T2",
            Tier::T3 => "T3",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What decides a requirement on every answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watch {
    /// A check that is written in code.
    Rule(Rule),
    /// Places in the published schemas.
    Schema(SchemaWatch),
}

/// Declares [`Rule`] together with its words, so that the two cannot come apart.
macro_rules! rules {
    ($($(#[$doc:meta])+ $rule:ident = $word:literal,)+) => {
        /// A standing check that is written in code. Each decides one requirement.
        ///
        /// A member that the schema of the answer's status describes is judged by that schema, and
        /// not a second time by a rule; [`Rule::RetryAfterMsType`] is for answers
        /// whose status has no schema. Only `errcode` is judged by both: a client that meets a
        /// standard error needs it, whichever call it made. A body that is no
        /// JSON object is a finding of [`Rule::JsonObject`] and of nothing else that looks into it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[$doc])+ $rule,)+
        }

        impl Rule {
            /// All of them.
            pub const ALL: &[Rule] = &[$(Rule::$rule,)+];

            /// The word used in the register.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Rule::$rule => $word,)+
                }
            }
        }
    };
}

rules! {
    /// The body is one JSON object.
    JsonObject = "json_object",
    /// A JSON answer says `application/json`.
    MediaType = "media_type",
    /// A JSON answer is UTF-8.
    Utf8 = "utf8",
    /// A 4xx or 5xx is a standard error object.
    ErrorObject = "error_object",
    /// A standard error has a string `errcode`, described by a schema or not.
    Errcode = "errcode",
    /// A standard error has a string `error`, described by a schema or not.
    ErrorText = "error_text",
    /// `errcode` has the form of one, and is a known one if it begins `M_`.
    ErrcodeNamespace = "errcode_namespace",
    /// A request that is no JSON object or breaks the published request schema is not answered
    /// with a 5xx.
    MalformedNo5xx = "malformed_no_5xx",
    /// `POST /login` is not answered with a challenge of interactive auth.
    LoginNoUia = "login_no_uia",
    /// `POST /register` for a user does not succeed without auth data.
    RegisterUia = "register_uia",
    /// `M_RESOURCE_LIMIT_EXCEEDED` has `admin_contact`.
    ResourceLimit = "resource_limit",
    /// `M_USER_LIMIT_EXCEEDED` has a string `info_uri`.
    UserLimit = "user_limit",
    /// `can_upgrade` of `M_USER_LIMIT_EXCEEDED` is a boolean where it is there.
    CanUpgrade = "can_upgrade",
    /// `soft_logout` is a boolean where it is there, and the status is 401.
    SoftLogout = "soft_logout",
    /// `Access-Control-Allow-Origin`, where it is there, lets the origin of the request in.
    CorsOrigin = "cors_origin",
    /// A 2xx has `Access-Control-Allow-Origin`.
    CorsActual = "cors_actual",
    /// A 4xx or 5xx has `Access-Control-Allow-Origin`.
    CorsError = "cors_error",
    /// A 429 says `M_LIMIT_EXCEEDED`.
    RateLimitErrcode = "rate_limit_errcode",
    /// `M_LIMIT_EXCEEDED` comes with 429.
    RateLimitStatus = "rate_limit_status",
    /// A 429 has `Retry-After`.
    RetryAfterPresent = "retry_after_present",
    /// `Retry-After` of a 429 is a number of seconds or an HTTP date.
    RetryAfterGrammar = "retry_after_grammar",
    /// `retry_after_ms` of a 429 is an integer where it is there.
    RetryAfterMsType = "retry_after_ms_type",
    /// A 429 has `retry_after_ms`.
    RetryAfterMsPresent = "retry_after_ms_present",
    /// `Retry-After` and `retry_after_ms` of a 429 agree.
    RateLimitConsistent = "rate_limit_consistent",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// There is no rule of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no rule")]
pub struct UnknownRule(pub String);

impl FromStr for Rule {
    type Err = UnknownRule;

    fn from_str(word: &str) -> Result<Rule, UnknownRule> {
        let found = Rule::ALL.iter().find(|rule| rule.as_str() == word);
        found.copied().ok_or_else(|| UnknownRule(word.to_owned()))
    }
}

/// Which violations of the published schemas break a requirement.
///
/// Of all watches that match a violation the most specific one counts. Their pointers are compared
/// first, key by key from the left: a name is more specific than `*`, that than a trailing `**`.
/// Where they are alike, a watch that names the keyword is more specific than one for any, then one
/// that names the status, then one that names the operation. Two watches that are alike in all of
/// this and match the same violation are the same watch twice, which a register refuses; so there
/// is never a choice.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SchemaWatch {
    /// The `operationId`; none for any.
    pub operation: Option<String>,
    /// The status of the answer; none for any.
    pub status: Option<u16>,
    /// The places in its body.
    pub pointer: PointerPattern,
    /// One of [`KEYWORDS`]; none for any keyword at all.
    pub keyword: Option<String>,
}

impl SchemaWatch {
    /// Whether a violation is one of those watched: an answer of that operation and status breaks,
    /// at that JSON Pointer into its body, that keyword of its schema.
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

/// A JSON Pointer in which `*` stands for any one key or index, and a trailing `**` for that place
/// and everything below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PointerPattern {
    /// None for any.
    keys: Vec<Option<String>>,
    below: bool,
}

impl PointerPattern {
    /// Reads a pattern; none if it is neither empty nor begins with `/`, or has `**` elsewhere than
    /// at its end.
    pub fn parse(text: &str) -> Option<PointerPattern> {
        if !(text.is_empty() || text.starts_with('/')) {
            return None;
        }
        let (text, below) = match text.strip_suffix("/**") {
            Some(before) => (before, true),
            None => (text, false),
        };
        let key = |token: &str| match token {
            "**" => None,
            "*" => Some(None),
            name => Some(Some(name.to_owned())),
        };
        let keys = pointer_tokens(text).map(|token| key(&token)).collect::<Option<_>>()?;
        Some(PointerPattern { keys, below })
    }

    /// Whether a JSON Pointer is one of its places.
    pub fn matches(&self, pointer: &str) -> bool {
        let mut tokens = pointer_tokens(pointer);
        let fits = |key: &Option<String>| {
            tokens.next().is_some_and(|token| key.as_deref().is_none_or(|name| name == token))
        };
        self.keys.iter().all(fits) && (self.below || tokens.next().is_none())
    }

    /// Two patterns with a common place compare as described at [`SchemaWatch`].
    fn specificity(&self) -> Vec<u8> {
        // Where one pattern ends and matches, the other one matches too only if it has `**` there.
        let end = if self.below { 0 } else { 1 };
        self.keys.iter().map(|key| if key.is_some() { 2 } else { 1 }).chain([end]).collect()
    }
}

/// All requirements, in the order of the file.
#[derive(Debug, Clone)]
pub struct Register {
    requirements: Vec<Requirement>,
    positions: HashMap<String, usize>,
    rules: HashMap<Rule, usize>,
    /// The most specific first; each with the position of its requirement.
    watches: Vec<(SchemaWatch, usize)>,
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
        let document = Document::parse(name, text)?;
        let Value::Array(entries) = document.value() else {
            return Err(vec![Diagnostic::at(
                &document,
                "",
                "a register is a list of requirements",
            )]);
        };
        let mut reader = Reader { document: &document, faults: Vec::new() };
        let numbered = entries.iter().enumerate();
        let read = |(index, entry)| Some((index, reader.requirement(&format!("/{index}"), entry)?));
        let requirements = numbered.filter_map(read).collect();
        let register = reader.index(requirements);
        let mut faults = reader.faults;
        faults.sort_by_key(|fault| (fault.line(), fault.column()));
        match faults.is_empty() {
            true => Ok(register),
            false => Err(faults),
        }
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
    /// register has one for every violation.
    pub fn watching(
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

/// Every key that an entry of the register may have.
const ENTRY_KEYS: &[&str] = &[
    "id",
    "group",
    "level",
    "mark",
    "since",
    "until",
    "exclusive",
    "clarification",
    "tightened",
    "relaxed",
    "warns",
    "note",
    "tier",
    "needs",
    "title",
    "source",
    "url",
    "check",
    "standing",
    "untestable",
];
const WATCH_KEYS: &[&str] = &["operation", "status", "pointer", "keyword"];

/// Reads entries and keeps what is wrong with them.
struct Reader<'d> {
    document: &'d Document,
    faults: Vec<Diagnostic>,
}

/// A mapping of the file with its place.
#[derive(Clone, Copy)]
struct Fields<'d> {
    at: &'d str,
    map: &'d Map<String, Value>,
}

impl Fields<'_> {
    fn place(&self, key: &str) -> String {
        format!("{}/{key}", self.at)
    }
}

impl Reader<'_> {
    fn fault(&mut self, pointer: &str, message: impl Into<String>) {
        self.faults.push(Diagnostic::at(self.document, pointer, message));
    }

    fn requirement(&mut self, at: &str, entry: &Value) -> Option<Requirement> {
        let Value::Object(map) = entry else {
            self.fault(at, "a requirement is a mapping");
            return None;
        };
        let fields = Fields { at, map };
        self.refuse_unknown(fields, ENTRY_KEYS);
        // Everything is read before anything is given up, so that all faults are told at once.
        let id = self.text(fields, "id");
        let group = self.text(fields, "group");
        let level =
            self.word(fields, "level", &[Level::Must, Level::Should, Level::May], Level::as_str);
        let marks = [Mark::Plain, Mark::Soft, Mark::Derived, Mark::Schema];
        let mark = self.word(fields, "mark", &marks, Mark::as_str);
        let since = self.release(fields, "since");
        let until = self.optional(fields, "until", Reader::release);
        let exclusive = self.flag(fields, "exclusive");
        let clarification = self.flag(fields, "clarification");
        let tightened = self.optional(fields, "tightened", Reader::release);
        let relaxed = self.optional(fields, "relaxed", Reader::release);
        let warns = self.flag(fields, "warns");
        let note = self.optional(fields, "note", Reader::text);
        let tier = self.word(fields, "tier", &Tier::ALL, Tier::as_str);
        let needs = self.needs(fields);
        let title = self.text(fields, "title");
        let source = self.text(fields, "source");
        let url = self.url(fields);
        let check = self.text(fields, "check");
        let standing = self.optional(fields, "standing", Reader::standing).unwrap_or_default();
        let untestable = self.optional(fields, "untestable", Reader::text);
        let requirement = Requirement {
            id: id?,
            group: group?,
            level: level?,
            mark: mark?,
            range: VersionRange { since: since?, until },
            exclusive,
            clarification,
            tightened,
            relaxed,
            warns,
            note,
            tier: tier?,
            needs,
            title: title?,
            source: source?,
            url: url?,
            check: check?,
            standing,
            untestable,
            line: self.document.line(at),
        };
        self.refuse_contradictions(fields, &requirement);
        Some(requirement)
    }

    fn refuse_unknown(&mut self, fields: Fields<'_>, known: &[&str]) {
        for key in fields.map.keys().filter(|key| !known.contains(&key.as_str())) {
            let fault = Diagnostic::at_key(
                self.document,
                &fields.place(key),
                format!("there is no key `{key}` here"),
            );
            self.faults.push(suggesting(fault, did_you_mean(key, known.iter().copied())));
        }
    }

    /// What no word by itself can tell.
    fn refuse_contradictions(&mut self, fields: Fields<'_>, requirement: &Requirement) {
        let VersionRange { since, until } = requirement.range;
        let is_id = |id: &str| {
            let part = |p: &str| {
                !p.is_empty()
                    && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            };
            id.contains('.') && id.split('.').all(part)
        };
        let later = |release: Option<SpecVersion>| release.is_none_or(|r| r > since);
        let is_must = requirement.level == Level::Must;
        let is_may = requirement.level == Level::May;
        let rules = [
            ("id", is_id(&requirement.id), "an id is dotted and in lower case"),
            ("mark", requirement.mark != Mark::Schema || is_must, "mark `schema` counts as MUST"),
            ("until", until.is_none_or(|u| u >= since), "`until` comes before `since`"),
            ("tightened", later(requirement.tightened), "`tightened` does not come after `since`"),
            ("tightened", requirement.tightened.is_none() || is_must, "only a MUST is tightened"),
            ("warns", !requirement.warns || is_must, "only a MUST has `warns`"),
            ("relaxed", later(requirement.relaxed), "`relaxed` does not come after `since`"),
            ("relaxed", requirement.relaxed.is_none() || is_may, "only a MAY is relaxed"),
            (
                "clarification",
                !requirement.clarification || (until.is_none() && !requirement.exclusive),
                "what only explains binds every server, so it has neither `until` nor `exclusive`",
            ),
        ];
        for (key, _, message) in rules.into_iter().filter(|(_, holds, _)| !holds) {
            self.fault(&fields.place(key), message);
        }
    }

    fn optional<T>(
        &mut self,
        fields: Fields<'_>,
        key: &str,
        read: fn(&mut Self, Fields<'_>, &str) -> Option<T>,
    ) -> Option<T> {
        fields.map.contains_key(key).then(|| read(self, fields, key)).flatten()
    }

    /// The value of a key that has to be there.
    fn value<'f>(&mut self, fields: Fields<'f>, key: &str) -> Option<&'f Value> {
        let value = fields.map.get(key);
        if value.is_none() {
            self.fault(fields.at, format!("`{key}` is missing"));
        }
        value
    }

    fn text(&mut self, fields: Fields<'_>, key: &str) -> Option<String> {
        match self.value(fields, key)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            _ => {
                self.fault(&fields.place(key), format!("`{key}` is a text that is not empty"));
                None
            }
        }
    }

    fn flag(&mut self, fields: Fields<'_>, key: &str) -> bool {
        match fields.map.get(key) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                self.fault(&fields.place(key), format!("`{key}` is true or false"));
                false
            }
        }
    }

    fn release(&mut self, fields: Fields<'_>, key: &str) -> Option<SpecVersion> {
        let release = self.value(fields, key)?.as_str().and_then(SpecVersion::parse);
        if release.is_none() {
            self.fault(
                &fields.place(key),
                format!("`{key}` is a release, such as v1.19 or r0.6.1"),
            );
        }
        release
    }

    fn word<T: Copy>(
        &mut self,
        fields: Fields<'_>,
        key: &str,
        words: &[T],
        spelling: fn(T) -> &'static str,
    ) -> Option<T> {
        let value = self.value(fields, key)?.as_str();
        let word = words.iter().copied().find(|word| Some(spelling(*word)) == value);
        if word.is_none() {
            let all: Vec<&str> = words.iter().map(|word| spelling(*word)).collect();
            self.fault(&fields.place(key), format!("`{key}` is one of {}", all.join(", ")));
        }
        word
    }

    fn needs(&mut self, fields: Fields<'_>) -> Vec<String> {
        let Some(value) = self.value(fields, "needs") else { return Vec::new() };
        let Value::Array(words) = value else {
            self.fault(&fields.place("needs"), "`needs` is a list of words");
            return Vec::new();
        };
        let mut needs = Vec::with_capacity(words.len());
        for (index, word) in words.iter().enumerate() {
            match word.as_str() {
                Some(word) if NEEDS.iter().any(|(known, _)| *known == word) => {
                    needs.push(word.to_owned());
                }
                word => {
                    let place = format!("{}/{index}", fields.place("needs"));
                    let fault = Diagnostic::at(self.document, &place, "this is no word of `needs`");
                    let known = NEEDS.iter().map(|(word, _)| *word);
                    self.faults.push(suggesting(fault, did_you_mean(word.unwrap_or(""), known)));
                }
            }
        }
        needs
    }

    fn url(&mut self, fields: Fields<'_>) -> Option<String> {
        let text = self.text(fields, "url")?;
        let is_clause =
            url::Url::parse(&text).is_ok_and(|u| u.scheme() == "https" && u.fragment().is_some());
        if !is_clause {
            self.fault(&fields.place("url"), "`url` is an https URL with the anchor of the clause");
        }
        is_clause.then_some(text)
    }

    fn standing(&mut self, fields: Fields<'_>, key: &str) -> Option<Vec<Watch>> {
        let place = fields.place(key);
        let Value::Array(items) = self.value(fields, key)? else {
            self.fault(&place, "`standing` is a list of watches");
            return None;
        };
        let watches = items.iter().enumerate();
        Some(watches.filter_map(|(i, item)| self.watch(&format!("{place}/{i}"), item)).collect())
    }

    fn watch(&mut self, at: &str, item: &Value) -> Option<Watch> {
        let Value::Object(map) = item else {
            self.fault(at, "a watch is a mapping: `rule`, or a place in the schemas");
            return None;
        };
        let fields = Fields { at, map };
        match map.contains_key("rule") {
            true => self.rule(fields).map(Watch::Rule),
            false => self.schema_watch(fields).map(Watch::Schema),
        }
    }

    fn rule(&mut self, fields: Fields<'_>) -> Option<Rule> {
        self.refuse_unknown(fields, &["rule"]);
        let word = self.text(fields, "rule")?;
        match word.parse() {
            Ok(rule) => Some(rule),
            Err(error) => {
                let UnknownRule(word) = &error;
                let known = Rule::ALL.iter().map(|rule| rule.as_str());
                let near = did_you_mean(word, known);
                let fault = Diagnostic::at(self.document, &fields.place("rule"), error.to_string());
                self.faults.push(suggesting(fault, near));
                None
            }
        }
    }

    fn schema_watch(&mut self, fields: Fields<'_>) -> Option<SchemaWatch> {
        self.refuse_unknown(fields, WATCH_KEYS);
        let operation = self.text(fields, "operation");
        let status = self.status(fields);
        let pointer = self.pointer(fields);
        let keyword = self.keyword(fields);
        Some(SchemaWatch {
            operation: Some(operation?).filter(|operation| operation != "*"),
            status: status?,
            pointer: pointer?,
            keyword: keyword?,
        })
    }

    fn status(&mut self, fields: Fields<'_>) -> Option<Option<u16>> {
        let value = self.value(fields, "status")?;
        let number = || u16::try_from(value.as_u64()?).ok().filter(|n| (100..600).contains(n));
        let status = match value.as_str() {
            Some("*") => Some(None),
            _ => number().map(Some),
        };
        if status.is_none() {
            self.fault(&fields.place("status"), "`status` is an HTTP status or \"*\"");
        }
        status
    }

    fn pointer(&mut self, fields: Fields<'_>) -> Option<PointerPattern> {
        let pattern = self.value(fields, "pointer")?.as_str().and_then(PointerPattern::parse);
        if pattern.is_none() {
            let message = "`pointer` is a JSON Pointer, with `*` for any key and `**` at its end";
            self.fault(&fields.place("pointer"), message);
        }
        pattern
    }

    fn keyword(&mut self, fields: Fields<'_>) -> Option<Option<String>> {
        match self.value(fields, "keyword")?.as_str() {
            Some("*") => Some(None),
            Some(word) if KEYWORDS.contains(&word) => Some(Some(word.to_owned())),
            _ => {
                let message = format!("`keyword` is one of {}, \"*\"", KEYWORDS.join(", "));
                self.fault(&fields.place("keyword"), message);
                None
            }
        }
    }

    /// Makes a register of the requirements, each with its place in the file; what comes twice is
    /// a fault.
    fn index(&mut self, entries: Vec<(usize, Requirement)>) -> Register {
        let mut positions = HashMap::with_capacity(entries.len());
        let mut rules = HashMap::new();
        let mut watched: HashMap<SchemaWatch, usize> = HashMap::new();
        let mut twice = Vec::new();
        for (position, (_, requirement)) in entries.iter().enumerate() {
            if let Some(first) = positions.insert(requirement.id.clone(), position) {
                twice.push((position, first, "this id comes a second time"));
            }
            for watch in &requirement.standing {
                let first = match watch {
                    Watch::Rule(rule) => rules.insert(*rule, position),
                    Watch::Schema(watch) => watched.insert(watch.clone(), position),
                };
                if let Some(first) = first {
                    twice.push((position, first, "it watches what is watched already"));
                }
            }
        }
        for (position, first, message) in twice {
            let place =
                |at: usize| format!("/{}/id", entries.get(at).map_or(0, |(index, _)| *index));
            let fault = Diagnostic::at(self.document, &place(position), message);
            self.faults.push(match self.document.part(&place(first)) {
                Some(first) => fault.with_other_label(first.label("first here")),
                None => fault,
            });
        }
        let requirements = entries.into_iter().map(|(_, requirement)| requirement).collect();
        Register { requirements, positions, rules, watches: by_specificity(watched) }
    }
}

/// The most specific first; the order among those that are alike does not matter, but stays the same.
fn by_specificity(watched: HashMap<SchemaWatch, usize>) -> Vec<(SchemaWatch, usize)> {
    let mut watches: Vec<(SchemaWatch, usize)> = watched.into_iter().collect();
    watches.sort_by_cached_key(|(watch, position)| (Reverse(watch.specificity()), *position));
    watches
}

/// Adds what was probably meant, if anything is near.
fn suggesting(fault: Diagnostic, near: Option<&str>) -> Diagnostic {
    match near {
        Some(near) => fault.with_help(format!("did you mean `{near}`?")),
        None => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SpecVersion::{R, V};
    use proptest::prelude::*;

    /// One sound entry; `change` puts a line in, or another one in the place of `old`.
    fn entry(old: &str, new: &str) -> String {
        let sound = "- id: a.b\n  group: g\n  level: MUST\n  mark: plain\n  since: v1.1\n  tier: T0\n  \
                     needs: [any]\n  title: t\n  source: s\n  url: https://example.org/#x\n  check: c\n";
        assert!(sound.contains(old), "{old}");
        sound.replacen(old, new, 1)
    }

    fn with(lines: &str) -> String {
        entry("  check: c\n", &format!("  check: c\n{lines}\n"))
    }

    fn requirement(text: &str) -> Requirement {
        Register::parse("r.yaml", text).unwrap().get("a.b").unwrap().clone()
    }

    /// The faults of a register, each as `line:column: message (help)`.
    fn faults(text: &str) -> Vec<String> {
        let shown = |fault: &Diagnostic| match &fault.help {
            None => format!("{}:{}: {}", fault.line(), fault.column(), fault.message),
            Some(help) => {
                format!("{}:{}: {} ({help})", fault.line(), fault.column(), fault.message)
            }
        };
        Register::parse("r.yaml", text).unwrap_err().iter().map(shown).collect()
    }

    fn listed(entries: &[&str]) -> Listed {
        Listed::new(entries.iter().copied())
    }

    #[test]
    fn the_bundled_register_is_sound() {
        let faults = Register::bundled().err().unwrap_or_default();
        assert!(
            faults.is_empty(),
            "{}",
            faults.iter().map(|f| f.render(false)).collect::<String>()
        );
    }

    #[test]
    fn an_entry_is_read_with_its_place() {
        let text =
            format!("# a comment\n{}", with("  untestable: u\n  standing: [{ rule: utf8 }]"));
        let read = requirement(&text);
        assert_eq!((read.level, read.mark, read.tier), (Level::Must, Mark::Plain, Tier::T0));
        assert_eq!(read.range, VersionRange::since(V(1, 1)));
        assert_eq!(read.standing, [Watch::Rule(Rule::Utf8)]);
        assert_eq!((read.untestable.as_deref(), read.line), (Some("u"), 2));
        assert!(!read.exclusive && !read.clarification && read.tightened.is_none());
    }

    #[test]
    fn all_faults_are_told_with_their_places() {
        let text =
            with("  titel: x\n  until: soon\n  standing: [{ rule: utf9 }, { operation: login }]")
                .replace("  level: MUST\n", "  level: must\n")
                .replace("  source: s\n", "")
                .replace("[any]", "[any, acc]");
        assert_eq!(
            faults(&text),
            [
                "1:3: `source` is missing",
                "3:10: `level` is one of MUST, SHOULD, MAY",
                "7:16: this is no word of `needs` (did you mean `acct`?)",
                "11:3: there is no key `titel` here (did you mean `title`?)",
                "12:10: `until` is a release, such as v1.19 or r0.6.1",
                "13:22: `utf9` is no rule (did you mean `utf8`?)",
                "13:30: `status` is missing",
                "13:30: `pointer` is missing",
                "13:30: `keyword` is missing",
            ]
        );
    }

    #[test]
    fn contradictions_are_refused() {
        let of = |text: &str| faults(text).concat();
        assert!(of(&entry("a.b", "A.b")).contains("dotted and in lower case"));
        assert!(of(&entry("a.b", "ab")).contains("dotted and in lower case"));
        assert!(of(&with("  until: r0.6.1")).contains("`until` comes before `since`"));
        assert!(of(&with("  tightened: v1.1")).contains("does not come after `since`"));
        assert!(of(&with("  relaxed: v1.2")).contains("only a MAY is relaxed"));
        assert!(of(&with("  clarification: true\n  until: v1.9")).contains("binds every server"));
        assert!(of(&entry("https://example.org/#x", "https://example.org/")).contains("anchor"));
        let schema_should = entry("MUST\n  mark: plain", "SHOULD\n  mark: schema");
        assert!(of(&schema_should).contains("counts as MUST"));
        assert!(of("a: b").contains("a register is a list"));
    }

    #[test]
    fn what_comes_twice_is_refused_with_both_places() {
        let watch = "  standing: [{ operation: x, status: 200, pointer: /a, keyword: type }]";
        let text = format!("{}{}", with(watch), with(watch));
        let faults = Register::parse("r.yaml", text).unwrap_err();
        let places: Vec<_> = faults.iter().map(|f| (f.line(), f.others.len())).collect();
        assert_eq!(places, [(13, 1), (13, 1)]);
        assert_eq!(faults[0].message, "this id comes a second time");
        assert_eq!(faults[1].message, "it watches what is watched already");
    }

    #[test]
    fn a_range_decides_what_applies() {
        let bounded = requirement(&with("  until: v1.9"));
        assert!(bounded.applies(&listed(&["v1.9", "v1.19"])), "what is still listed is still due");
        assert!(!bounded.applies(&listed(&["v1.10"])) && !bounded.applies(&listed(&["r0.6.1"])));
        let exclusive = requirement(&with("  until: v1.9\n  exclusive: true"));
        assert!(exclusive.applies(&listed(&["v1.1", "v1.9"])));
        assert!(!exclusive.applies(&listed(&["v1.9", "v1.19"])));
        let clarification = requirement(&with("  clarification: true"));
        assert!(clarification.applies(&listed(&["r0.0.1"])) && clarification.applies(&listed(&[])));
    }

    #[test]
    fn the_level_decides_what_a_breach_means() {
        let old = listed(&["r0.6.1", "v1.3"]);
        let new = listed(&["v1.3", "v1.4"]);
        let must = requirement(&entry("plain", "soft"));
        assert_eq!(must.severity(&old), Severity::Fails);
        let tightened = requirement(&with("  tightened: v1.4"));
        assert_eq!(tightened.severity(&old), Severity::Warns);
        assert_eq!(tightened.severity(&new), Severity::Fails);
        let warns = requirement(&with("  warns: true"));
        assert_eq!(warns.severity(&new), Severity::Warns);
        let should = requirement(&entry("MUST", "SHOULD"));
        assert_eq!(should.severity(&new), Severity::Warns);
        let may = requirement(&entry("MUST", "MAY"));
        assert_eq!(may.severity(&old), Severity::Observes);
        let relaxed = requirement(&with("  relaxed: v1.4").replace("MUST", "MAY"));
        assert_eq!(relaxed.severity(&old), Severity::Warns);
        assert_eq!(relaxed.severity(&new), Severity::Observes);
    }

    #[test]
    fn patterns_match_places() {
        let matches =
            |pattern: &str, pointer: &str| PointerPattern::parse(pattern).unwrap().matches(pointer);
        assert!(matches("", "") && !matches("", "/a"));
        assert!(
            matches("/a/*/b", "/a/0/b") && !matches("/a/*/b", "/a/0") && !matches("/a/*", "/a")
        );
        assert!(matches("/a/**", "/a") && matches("/a/**", "/a/b/c") && !matches("/a/**", "/ab"));
        assert!(matches("/**", "") && matches("/**", "/a/b"));
        assert!(matches("/a~1b", "/a~1b") && matches("/m.homeserver", "/m.homeserver"));
        for wrong in ["a", "/a/**/b", "**"] {
            assert_eq!(PointerPattern::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_most_specific_watch_counts() {
        // Each line is more specific than the ones after it.
        let order = [
            "operation: x, status: 200, pointer: /a/b, keyword: type",
            "operation: \"*\", status: \"*\", pointer: /a/b, keyword: type",
            "operation: x, status: 200, pointer: /a/b, keyword: \"*\"",
            "operation: \"*\", status: 200, pointer: /a/b, keyword: \"*\"",
            "operation: x, status: \"*\", pointer: /a/b, keyword: \"*\"",
            "operation: \"*\", status: \"*\", pointer: /a/b/**, keyword: \"*\"",
            "operation: x, status: 200, pointer: \"/a/*\", keyword: type",
            "operation: x, status: 200, pointer: \"/a/**\", keyword: type",
            "operation: x, status: 200, pointer: \"/*/b\", keyword: type",
            "operation: x, status: 200, pointer: \"/**\", keyword: type",
        ];
        let written = |from: usize| {
            let entries = order.iter().enumerate().skip(from).rev().map(|(i, watch)| {
                with(&format!("  standing: [{{ {watch} }}]")).replace("a.b", &format!("a.b{i}"))
            });
            Register::parse("r.yaml", entries.collect::<String>()).unwrap()
        };
        for from in 0..order.len() {
            let watching = written(from).watching("x", 200, "/a/b", "type").unwrap().id.clone();
            assert_eq!(watching, format!("a.b{from}"));
        }
    }

    #[test]
    fn a_wrong_id_is_near_to_a_right_one() {
        let register = Register::bundled().unwrap();
        assert_eq!(register.closest("device.login.ecko"), Some("device.login.echo"));
        assert_eq!(register.closest("something else altogether"), None);
        assert!(register.get("device.login.ecko").is_none());
    }

    #[test]
    fn rules_are_read_as_they_are_written() {
        for rule in Rule::ALL {
            assert_eq!(rule.as_str().parse(), Ok(*rule));
        }
    }

    fn any_pattern() -> impl Strategy<Value = String> {
        let key = prop::sample::select(vec!["a", "b", "*"]);
        (prop::collection::vec(key, 0..4), any::<bool>()).prop_map(|(keys, below)| {
            let mut text: String = keys.iter().map(|key| format!("/{key}")).collect();
            text.push_str(if below { "/**" } else { "" });
            text
        })
    }

    fn any_watch() -> impl Strategy<Value = SchemaWatch> {
        let word = |words: &[&str]| {
            prop::option::of(prop::sample::select(
                words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>(),
            ))
        };
        let status = prop::option::of(prop::sample::select(vec![200u16, 403]));
        (word(&["x", "y"]), status, any_pattern(), word(&["type", "required"])).prop_map(
            |(operation, status, pattern, keyword)| SchemaWatch {
                operation,
                status,
                pointer: PointerPattern::parse(&pattern).unwrap(),
                keyword,
            },
        )
    }

    proptest! {
        /// No violation has two watches to choose from: this is what "exactly one id" rests on.
        #[test]
        fn watches_that_match_together_are_never_alike(
            one in any_watch(),
            other in any_watch(),
            keys in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 0..4),
        ) {
            let pointer: String = keys.iter().map(|key| format!("/{key}")).collect();
            let both = one.matches("x", 200, &pointer, "type") && other.matches("x", 200, &pointer, "type");
            prop_assert!(!both || one == other || one.specificity() != other.specificity());
        }

        #[test]
        fn reading_never_panics(text in "\\PC{0,60}", line in "[a-z]{0,8}: [\\[\\]{}a-z0-9, .*/\"]{0,20}") {
            let _ = Register::parse("r.yaml", text);
            let _ = Register::parse("r.yaml", with(&format!("  {line}")));
        }

        #[test]
        fn a_newer_release_more_makes_nothing_milder_for_a_must(
            old in prop::collection::vec((0..20u32).prop_map(|y| V(1, y)), 1..4),
            new in (0..20u32).prop_map(|y| V(1, y)),
        ) {
            let tightened = requirement(&with("  tightened: v1.9"));
            let before = Listed::new(old.iter().map(SpecVersion::to_string));
            let after = Listed::new(old.iter().chain([&new]).map(SpecVersion::to_string));
            prop_assert!(tightened.severity(&before) <= tightened.severity(&after));
        }
    }

    #[test]
    fn releases_before_the_common_number_are_older() {
        let old = requirement(&entry("since: v1.1", "since: r0.3.0"));
        assert_eq!(old.range.since, R(0, 3, 0));
        assert!(old.applies(&listed(&["v1.1"])) && !old.applies(&listed(&["r0.2.0"])));
    }
}
