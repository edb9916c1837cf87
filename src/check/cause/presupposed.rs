//! What an answer presupposes, and which of it is broken.
use super::operations::{Operations, works};
use super::{CaseRecord, DecisionRecord, Record};
use crate::check::verdict::{Evidence, Role};
use crate::http::message::{Exchange, Request};
use crate::model::run::Verdict;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Requirements that are presuppositions by themselves.
const HEADER: &str = "token.header";
const DEPRECATED: &str = "login.legacy.user";

/// How the user of a password login is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spelling {
    Localpart,
    FullId,
    /// A name that is not the localpart of an id that was seen.
    Other,
}

/// The localparts of all user ids that logins and registrations gave.
struct Localparts<'a>(BTreeSet<&'a str>);

impl<'a> Localparts<'a> {
    fn of(record: &Record<'a>) -> Localparts<'a> {
        let id = |exchange: &'a Exchange| {
            let by = exchange.request.operation.as_deref();
            let response = exchange.result.as_ref().ok().filter(|r| r.is_success())?;
            let id = response
                .text_at("/user_id")
                .filter(|_| matches!(by, Some("login" | "register")))?;
            Some(id.strip_prefix('@')?.split_once(':')?.0)
        };
        Localparts(record.exchanges().filter_map(id).collect())
    }
}

impl Spelling {
    fn requirement(self) -> Option<&'static str> {
        match self {
            Spelling::Localpart => Some("login.password.localpart"),
            Spelling::FullId => Some("login.password.mxid"),
            Spelling::Other => None,
        }
    }

    /// Whether it is the requirement of a spelling.
    pub(super) fn is_required_by(requirement: &str) -> bool {
        [Spelling::Localpart, Spelling::FullId]
            .iter()
            .any(|one| one.requirement() == Some(requirement))
    }

    /// The spelling of a password login, and whether it is in the deprecated member.
    fn of(request: &Request, known: &Localparts<'_>) -> Option<(Spelling, bool)> {
        let body = request.is_login().then(|| request.json_body())??;
        let is_password = body.get("type").is_some_and(|kind| kind == "m.login.password");
        let identifier = body.pointer("/identifier/user").and_then(Value::as_str);
        let deprecated = body.get("user").and_then(Value::as_str);
        let (user, is_deprecated) =
            identifier.map(|user| (user, false)).or_else(|| Some((deprecated?, true)))?;
        let is_full = user.starts_with('@') && user.contains(':');
        let spelling = match is_full {
            true => Spelling::FullId,
            false if known.0.contains(user) => Spelling::Localpart,
            false => Spelling::Other,
        };
        is_password.then_some((spelling, is_deprecated))
    }
}

/// What of the run's presuppositions is broken.
pub(super) struct Presupposed<'r> {
    record: &'r Record<'r>,
    operations: &'r Operations<'r>,
    /// Whether no request with a token in its header was taken for one with a token.
    no_header: bool,
    known: Localparts<'r>,
    spellings: BTreeSet<Spelling>,
    no_deprecated: bool,
}

impl<'r> Presupposed<'r> {
    pub(super) fn of(record: &'r Record<'r>, operations: &'r Operations<'r>) -> Presupposed<'r> {
        let known = Localparts::of(record);
        let (spellings, no_deprecated) = broken_spellings(record, &known);
        let no_header = no_header(record, operations);
        Presupposed { record, operations, no_header, known, spellings, no_deprecated }
    }

    /// The requirements that an answer may be the consequence of, the most basic first; none if it
    /// stands for itself.
    pub(super) fn causes(
        &self,
        decision: &DecisionRecord<'_, '_>,
        evidence: &Evidence,
    ) -> Vec<&'r str> {
        let Some(exchange) = decision.record.exchange(&evidence.exchange) else {
            return Vec::new();
        };
        // What must not succeed, and what is not answered, is never excused.
        let Some(response) = exchange.result.as_ref().ok().filter(|r| !r.is_success()) else {
            return Vec::new();
        };
        let (is_broken, wants_success) = match &evidence.role {
            Role::Doubtful => return Vec::new(),
            Role::Met => (false, false),
            Role::Broken { wants_success, .. } => (true, *wants_success),
            Role::Stopped => (true, true),
        };
        let mut causes: Vec<&'r str> = Vec::new();
        if self.no_header && is_broken && lacks_token(exchange) {
            causes.push(HEADER);
        }
        let operation = self.operations.name(exchange);
        if let Some(operation) = operation {
            let absent = self.operations.says_absent(exchange);
            let broken = wants_success && self.operations.is_broken(exchange);
            if absent || broken {
                causes.extend(works(self.record.register, operation));
            }
        }
        if let Some(operation) = self.operations.absent_at_path(exchange) {
            causes.extend(works(self.record.register, operation));
        }
        if wants_success
            && (400..500).contains(&response.status)
            && let Some((spelling, deprecated)) = Spelling::of(&exchange.request, &self.known)
        {
            causes.extend(spelling.requirement().filter(|_| self.spellings.contains(&spelling)));
            causes.extend((deprecated && self.no_deprecated).then_some(DEPRECATED));
        }
        if causes.contains(&decision.requirement) {
            return Vec::new();
        }
        if evidence.role == Role::Stopped {
            causes.extend(self.broken_at(decision, evidence.step));
        }
        causes
    }

    /// The other requirements that the step broke with which a case ended.
    fn broken_at(&self, decision: &DecisionRecord<'_, '_>, step: usize) -> Vec<&'r str> {
        let Some(record) = self.record.cases.get(decision.at.0) else { return Vec::new() };
        let decided = record.decided;
        let at_step = |all: &Vec<Evidence>| {
            all.iter().any(|one| one.step == step && matches!(one.role, Role::Broken { .. }))
        };
        let all = decided.decisions.iter().zip(&decided.evidence);
        let broken =
            all.filter(|(other, all)| other.requirement != decision.requirement && at_step(all));
        broken.map(|(other, _)| other.requirement.as_str()).collect()
    }
}

fn has_failed(record: &Record<'_>, id: &str) -> bool {
    record.decisions().any(|one| one.requirement == id && one.verdict == Verdict::Failed)
}

fn lacks_token(exchange: &Exchange) -> bool {
    let response = exchange.result.as_ref().ok();
    exchange.request.header("authorization").is_some()
        && response
            .is_some_and(|r| r.status == 401 && r.text_at("/errcode") == Some("M_MISSING_TOKEN"))
}

fn no_header(record: &Record<'_>, operations: &Operations<'_>) -> bool {
    let with_token = |exchange: &&Exchange| {
        let given = exchange.request.header("authorization");
        given.is_some_and(|value| value.starts_with("Bearer ")) && !operations.says_absent(exchange)
    };
    let mut asked =
        record.exchanges().filter(with_token).filter(|one| one.result.is_ok()).peekable();
    let several = record.exchanges().filter(with_token).count() >= 2;
    several && asked.peek().is_some() && asked.all(lacks_token) && has_failed(record, HEADER)
}

/// The spellings that never log in although another does, and whether the deprecated member never
/// does.
fn broken_spellings(record: &Record<'_>, known: &Localparts<'_>) -> (BTreeSet<Spelling>, bool) {
    let is_success =
        |one: &&Exchange| one.result.as_ref().is_ok_and(|response| response.is_success());
    let spelling = |exchange: &Exchange| Spelling::of(&exchange.request, known);
    let good: BTreeSet<(Spelling, bool)> =
        record.exchanges().filter(is_success).filter_map(spelling).collect();
    let mut refused: BTreeMap<(Spelling, bool), BTreeSet<&str>> = BTreeMap::new();
    let decisions: Vec<_> = record.decisions().collect();
    for decision in &decisions {
        for evidence in decision.evidence.iter().filter(|one| is_refusal(decision.record, one)) {
            let exchange = decision.record.exchange(&evidence.exchange);
            if let Some(how) = exchange.and_then(spelling) {
                refused.entry(how).or_default().insert(&evidence.exchange);
            }
        }
    }
    let times = |how: (Spelling, bool)| refused.get(&how).map_or(0, BTreeSet::len);
    let never = |spelling: &Spelling| {
        let others = good.iter().any(|(other, _)| other != spelling);
        others
            && !good.contains(&(*spelling, false))
            && times((*spelling, false)) + times((*spelling, true)) >= 2
            && spelling.requirement().is_some_and(|id| has_failed(record, id))
    };
    let broken = [Spelling::Localpart, Spelling::FullId].into_iter().filter(never).collect();
    let all = [Spelling::Localpart, Spelling::FullId, Spelling::Other];
    let deprecated = all.map(|spelling| (spelling, true));
    let no_deprecated = !deprecated.iter().any(|how| good.contains(how))
        && deprecated.into_iter().map(times).sum::<usize>() >= 2
        && has_failed(record, DEPRECATED);
    (broken, no_deprecated)
}

/// Whether a success was wanted and the answer is a refusal.
fn is_refusal(record: &CaseRecord<'_>, evidence: &Evidence) -> bool {
    let wanted = match &evidence.role {
        Role::Broken { wants_success, .. } => *wants_success,
        Role::Stopped => true,
        Role::Met | Role::Doubtful => false,
    };
    wanted && record.response(evidence).is_some_and(|r| (400..500).contains(&r.status))
}
