//! Reasons why something was not decided: codes, sentences and remedies in one table.
//!
//! While a run goes on a reason is a [`Reason`], a variant with its data. `run.json` keeps its code
//! and its sentence, a [`RecordedReason`].
use crate::model::run::UntrustedText;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Makes [`Reason`] and [`ReasonCode`]: for each code the word of `run.json`, what an operator can
/// do about it if something can be done (a line of a terminal holds it), and the variants with
/// their sentences.
macro_rules! reasons {
    ($($code:ident = $word:literal $(, remedy: $remedy:expr)? => {
        $($name:ident $(($part:ident: $of:ty))? $({ $($field:ident: $kind:ty),+ })? => $text:literal;)+
    })*) => {
        /// Why something is skipped, blocked, errored or untested. A variant that holds one text
        /// holds its sentence.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(missing_docs, unnameable_types)] // The sentences below say it; by way of a `From`.
        pub enum Reason { $($($name $(($of))? $({ $($field: $kind),+ })?,)+)* }

        /// The kind of a reason; docs/verdicts.md says when each is given.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs)]
        #[cfg_attr(not(feature = "internal"), non_exhaustive)]
        pub enum ReasonCode { $($code,)* }

        impl Reason {
            /// Its kind.
            pub fn code(&self) -> ReasonCode {
                match self { $($(Reason::$name { .. } => ReasonCode::$code,)+)* }
            }

            /// A sentence for a reader. It may hold text of the server.
            #[allow(unused_variables)] // What only the code tells is in no sentence.
            pub fn text(&self) -> String {
                match self {
                    $($(Reason::$name $(($part))? $({ $($field),+ })? => format!($text),)+)*
                }
            }
        }

        impl ReasonCode {
            /// All of them, in the order of the documentation.
            pub const ALL: &[ReasonCode] = &[$(ReasonCode::$code),*];

            /// The word in `run.json`.
            pub fn as_str(self) -> &'static str {
                match self { $(ReasonCode::$code => $word,)* }
            }

            fn remedy(self) -> Option<&'static str> {
                match self { $(ReasonCode::$code => None $(.or(Some($remedy)))?,)* }
            }
        }
    };
}

const ACCOUNTS: &str = "give accounts with --accounts FILE, or create them with --register open";
const CONNECTION: &str = "check that the server runs and can be reached from here";
const REFUSED: &str = "check the server's answer, and the account or the secret";

reasons! {
    Version = "version" => {
        OutOfRange => "it is not part of a release that the server lists";
        NothingInRange => "its requirements are not part of a release that the server lists";
        ReleaseTooOld { wanted: String } => "the server lists neither {wanted} nor a later release";
        ReleaseTooNew { before: String } => "the server lists {before} or a later release";
    }
    Note = "note" => { Note => "a note: demands nothing of a server"; }
    NotOffered = "not_offered" => { NotOffered(why: String) => "{why}"; }
    NotInSpec = "not_in_spec" =>
        { NotInSpec { operation: String } => "the specification files have no operation {operation}"; }
    NotProvided = "not_provided", remedy: "give it under operator: in homespec.yaml" => {
        AccountNotProvided { kind: String, why: String } => "{why}";
        OperatorNotProvided { name: String } => "only an operator can give {name}";
    }
    NotAllowed = "not_allowed", remedy: "allow it with --allow rate-limit" =>
        { BurstNotAllowed => "a burst of requests is sent only with --allow rate-limit"; }
    NotWaited = "not_waited", remedy: "allow the wait with a longer --max-wait" => {
        WaitTooLong { wait: u128, spent: u128, budget: u64 } => "it would wait {wait} s, and {spent} of the {budget} s \
            of --max-wait are used up";
    }
    NotObserved = "not_observed" => {
        NotObserved => "no response exercised this check";
        NotExercised => "no response exercised this check";
        TooFewAnswers => "not enough responses to compare";
        NoNumber { place: String } => "no response gave a positive number for {place}, on which the case depends";
    }
    NoAccount = "no_account", remedy: ACCOUNTS => {
        NoAccount => "no account was given, and none can be created";
        NoAccountGiven => "no account was given";
    }
    Operator = "operator", remedy: "correct what is given under operator: in homespec.yaml, as it says there" =>
        { Operator(why: String) => "{why}"; }
    Account = "account", remedy: REFUSED => { Account(why: String) => "{why}"; }
    WrongPasswords = "wrong_passwords" => {
        NameRefused => "the server refused this name of the account before, and a password that may be refused \
            again is not sent: servers lock accounts";
        WrongPasswords { count: u32 } => "{count} passwords were refused on an account that is in use, and no more \
            are tried: servers lock accounts";
    }
    Registration = "registration", remedy: REFUSED => { Registration(why: String) => "{why}"; }
    RateLimited = "rate_limited",
        remedy: "wait as long as the notes say (--max-wait), or lift the server's limit" => {
        RateLimited { operation: String, left: u128, spent: u128, budget: u64 } => "the server limits {operation}: \
            it asks for {left} s more, and {spent} of the {budget} s of --max-wait are used up";
        ExpiredWhileWaiting => "the login token expired during the wait for a rate limit";
    }
    Setup = "setup", remedy: "run.json has the server's answer to the set-up step" =>
        { Setup(why: String) => "{why}"; }
    Because = "because" => {
        Because { requirement: String, finding: String } => "not decided, because {requirement} is broken: {finding}";
    }
    NotReached = "not_reached", remedy: "fix what stopped the case before this step" =>
        { NotReached(why: String) => "{why}"; }
    InteractiveAuth = "interactive_auth",
        remedy: "use a test account whose interactive auth needs only the password" =>
        { InteractiveAuth(why: String) => "{why}"; }
    RefusedByPolicy = "refused_by_policy", remedy: "the server's policy forbids it here; try another account" => {
        RefusedByPolicy { errcode: String } => "the server refused by its own policy ({errcode}), which does \
            not answer the question";
        EarlierSessionsEnd => "the server ends the earlier sessions of a user at each login, so what this case \
            was to see of an earlier one could not be seen";
    }
    Gateway = "gateway", remedy: "a proxy answered instead of the homeserver; check its log" =>
        { Gateway { status: u16 } => "something in front of the homeserver answered {status} in its place"; }
    NoAnswer = "no_answer", remedy: CONNECTION => { NoAnswer(why: String) => "{why}"; }
    Timeout = "timeout", remedy: CONNECTION => { Timeout(why: String) => "{why}"; }
    Unreachable = "unreachable", remedy: CONNECTION => { Unreachable(why: String) => "{why}"; }
    TargetLost = "target_lost", remedy: CONNECTION => { TargetLost(why: String) => "{why}"; }
    TooLarge = "too_large" => {
        AnswerTooLong { bytes: usize } => "the response is longer than {bytes} bytes";
        TooManyValues { most: usize } => "the response has more than {most} JSON values";
    }
    TooLong = "too_long" => { TooLong { seconds: u64 } => "judging the responses took more than {seconds} s"; }
    Compressed = "compressed", remedy: "check how the proxy in front of the homeserver changes responses" =>
        { Compressed => "the response is compressed, although the request did not ask for it; homespec decompresses nothing"; }
    Request = "request", remedy: "fix the request in the case" =>
        { Request(why: String) => "{why}"; }
    NotDiscovered = "not_discovered", remedy: "give the homeserver's own URL, or fix the well-known file" =>
        { NotDiscovered(why: String) => "{why}"; }
    NotAHomeserver = "not_a_homeserver",
        remedy: "check that the URL leads to the homeserver, path prefix included" =>
        { NotAHomeserver(why: String) => "{why}"; }
    NoRandomSource = "no_random_source" => {
        NoRandomSource => "the operating system gives no random numbers";
    }
    Interrupted = "interrupted", remedy: "run again and let it finish" => {
        Interrupted => "the run was stopped";
        StoppedWaiting(why: String) => "{why}";
    }
    FailFast = "fail_fast", remedy: "run without --fail-fast" =>
        { FailFast => "an earlier case failed, and the run ended with it"; }
    Panic = "panic" => { Panic => "internal error in this case; please report it"; }
    UnknownRequirement = "unknown_requirement" =>
        { UnknownRequirement { id: String } => "internal error: the register has no requirement {id}; please report it"; }
    UnusableSchema = "unusable_schema" =>
        { UnusableSchema { error: String } => "internal error: {error}; please report it"; }
    Untestable = "untestable" => { Untestable(why: String) => "{why}"; }
    NoCase = "no_case" => { NoCase => "no case decides it yet"; }
    NotSelected = "not_selected" => {
        NotSelected => "nothing that decides it was selected";
        OnlyEvidence => "it ran only as evidence for what was selected, and nothing hangs on it";
    }
}

impl Reason {
    /// What its code says more exactly, behind a colon: what was not provided or allowed.
    fn detail(&self) -> Option<&str> {
        match self {
            Reason::AccountNotProvided { kind: detail, .. }
            | Reason::OperatorNotProvided { name: detail } => Some(detail),
            Reason::BurstNotAllowed => Some("rate-limit"),
            Reason::Because { requirement, .. } => Some(requirement),
            _ => None,
        }
    }
}

impl ReasonCode {
    /// Whether what was not decided says nothing of the server: the operator, the environment or the run
    /// itself is the cause, or a limit or a policy of the server that the specification leaves to it.
    pub fn is_circumstance(self) -> bool {
        use ReasonCode as Code;
        match self {
            Code::Setup
            | Code::Because
            | Code::NotReached
            | Code::InteractiveAuth
            | Code::TooLarge
            | Code::TooLong
            | Code::Compressed => false,
            Code::Version
            | Code::Note
            | Code::NotOffered
            | Code::NotInSpec
            | Code::NotProvided
            | Code::NotAllowed
            | Code::NotWaited
            | Code::NotObserved
            | Code::NoAccount
            | Code::Operator
            | Code::Account
            | Code::WrongPasswords
            | Code::Registration
            | Code::RateLimited
            | Code::RefusedByPolicy
            | Code::Gateway
            | Code::NoAnswer
            | Code::Timeout
            | Code::Unreachable
            | Code::TargetLost
            | Code::Request
            | Code::NotDiscovered
            | Code::NotAHomeserver
            | Code::NoRandomSource
            | Code::Interrupted
            | Code::FailFast
            | Code::Panic
            | Code::UnknownRequirement
            | Code::UnusableSchema
            | Code::Untestable
            | Code::NoCase
            | Code::NotSelected => true,
        }
    }
}

/// A reason as `run.json` has it, in the words of the program that wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "internal"), non_exhaustive)]
pub struct RecordedReason {
    /// Its code.
    pub code: RecordedCode,
    /// A sentence for a reader.
    pub text: UntrustedText,
}

impl RecordedReason {
    /// The broken requirement that is the cause, if one is.
    pub fn because(&self) -> Option<&str> {
        self.code.detail().filter(|_| self.code.is(ReasonCode::Because))
    }
}

impl From<Reason> for RecordedReason {
    fn from(reason: Reason) -> RecordedReason {
        let (code, text) = (reason.code(), reason.text().into());
        let word = code.as_str();
        let written = reason.detail().map_or(word.to_owned(), |detail| format!("{word}:{detail}"));
        RecordedReason { code: RecordedCode { code: Some(code), written }, text }
    }
}

/// The code of a recorded reason, with its detail behind a colon: `not_provided:account bob`.
///
/// The word of another version of the program may be unknown to this one: it is shown, and counts
/// as none of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct RecordedCode {
    code: Option<ReasonCode>,
    written: String,
}

impl RecordedCode {
    /// Its kind, if this version of the program knows it.
    pub fn known(&self) -> Option<ReasonCode> {
        self.code
    }

    /// Whether it is of this kind.
    pub fn is(&self, code: ReasonCode) -> bool {
        self.code == Some(code)
    }

    /// What stands behind the colon.
    pub fn detail(&self) -> Option<&str> {
        self.written.split_once(':').map(|(_, detail)| detail)
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// What an operator can do about it.
    pub fn remedy(&self) -> Option<&'static str> {
        match (self.code?, self.detail()) {
            (ReasonCode::NotProvided, Some(detail)) if detail.contains("account") => Some(ACCOUNTS),
            (code, _) => code.remedy(),
        }
    }
}

impl From<String> for RecordedCode {
    fn from(written: String) -> RecordedCode {
        let word = written.split(':').next();
        let code = ReasonCode::ALL.iter().copied().find(|code| Some(code.as_str()) == word);
        RecordedCode { code, written }
    }
}

impl From<&str> for RecordedCode {
    fn from(written: &str) -> RecordedCode {
        RecordedCode::from(written.to_owned())
    }
}

impl From<RecordedCode> for String {
    fn from(code: RecordedCode) -> String {
        code.written
    }
}

impl PartialEq<&str> for RecordedCode {
    fn eq(&self, other: &&str) -> bool {
        self.written == *other
    }
}

impl fmt::Display for RecordedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_as_it_is_written_and_its_remedy_fits_on_a_line_of_a_terminal() {
        for code in ReasonCode::ALL {
            let read = RecordedCode::from(code.as_str());
            assert!(read.is(*code), "{code:?}");
            assert!(read.remedy().is_none_or(|remedy| remedy.len() <= 76), "{code:?}");
        }
        assert_eq!(RecordedCode::from("version").remedy(), None);
        assert_eq!(RecordedCode::from("not_provided:account bob").remedy(), Some(ACCOUNTS));
        let operator = RecordedCode::from("not_provided:sso").remedy();
        assert_eq!(operator, ReasonCode::NotProvided.remedy());
        assert_ne!(operator, Some(ACCOUNTS));
        let other = RecordedCode::from("of_another_version:x");
        assert_eq!(
            (other.known(), other.remedy(), other.as_str()),
            (None, None, "of_another_version:x")
        );
    }

    #[test]
    fn a_reason_is_recorded_by_its_code_with_detail_and_its_sentence() {
        let why = "it needs 2 accounts".to_owned();
        let reason = Reason::AccountNotProvided { kind: "account bob".to_owned(), why };
        let recorded = RecordedReason::from(reason);
        assert_eq!(recorded.code, "not_provided:account bob");
        assert_eq!(recorded.code.detail(), Some("account bob"));
        let (left, spent) = (2, 58);
        let operation = "login".to_owned();
        let limited = Reason::RateLimited { operation, left, spent, budget: 60 };
        assert_eq!(
            limited.text(),
            "the server limits login: it asks for 2 s more, and 58 of the 60 s of --max-wait are used up"
        );
    }

    #[test]
    fn the_detail_of_a_reason_is_written_behind_its_code() {
        let because = Reason::Because { requirement: "a.b".to_owned(), finding: "x".to_owned() };
        for (reason, written) in [
            (Reason::BurstNotAllowed, "not_allowed:rate-limit"),
            (Reason::OperatorNotProvided { name: "sso".to_owned() }, "not_provided:sso"),
            (because.clone(), "because:a.b"),
            (Reason::Panic, "panic"),
            (Reason::NoAccount, "no_account"),
        ] {
            let recorded = RecordedReason::from(reason);
            assert_eq!(
                (recorded.code.as_str(), recorded.code.to_string()),
                (written, written.to_owned())
            );
            assert!(recorded.code == written && recorded.code != "another");
            assert_eq!(String::from(recorded.code.clone()), written);
            assert_eq!(recorded.code.detail(), written.split_once(':').map(|(_, detail)| detail));
        }
        assert_eq!(RecordedReason::from(because).because(), Some("a.b"));
        let other = Reason::OperatorNotProvided { name: "sso".to_owned() };
        assert_eq!(RecordedReason::from(other.clone()).because(), None);
        let operator = RecordedReason::from(other).code.remedy();
        assert!(operator.is_some_and(|remedy| remedy.contains("operator:")), "{operator:?}");
    }
}
