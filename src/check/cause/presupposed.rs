//! What an answer presupposes, and which of it is broken.
use super::operations::{Operations, is_unanswered, works};
use super::resolve::Cause;
use super::sessions::EarlierSessions;
use super::{CaseRecord, DecisionRecord, Record};
use crate::check::verdict::{Evidence, Role};
use crate::http::created_resources::token_of;
use crate::http::message::{Exchange, Request, Response};
use crate::model::run::Verdict;
use crate::requirements::basic::{
    DEPRECATED_USER as DEPRECATED, FULL_ID, LOCALPART, TOKEN_IN_HEADER as HEADER,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The rule that shows the policy of one session for each user.
const OTHERS_SURVIVE: &str = "device.login.others_survive";

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
            // A read body stays in memory.
            let is_of_account = matches!(by, Some("login" | "register"));
            let response = exchange.result.as_ref().ok().filter(|_| is_of_account)?;
            let id = response.is_success().then(|| response.text_at("/user_id"))??;
            Some(id.strip_prefix('@')?.split_once(':')?.0)
        };
        Localparts(record.exchanges().filter_map(id).collect())
    }
}

impl Spelling {
    fn requirement(self) -> Option<&'static str> {
        match self {
            Spelling::Localpart => Some(LOCALPART),
            Spelling::FullId => Some(FULL_ID),
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
    /// How an answer looks to a request whose token in the header was not seen, if none is.
    no_header: Option<fn(&Exchange) -> bool>,
    known: Localparts<'r>,
    spellings: BTreeSet<Spelling>,
    no_deprecated: bool,
    sessions: EarlierSessions<'r>,
}

impl<'r> Presupposed<'r> {
    pub(super) fn of(record: &'r Record<'r>, operations: &'r Operations<'r>) -> Presupposed<'r> {
        let known = Localparts::of(record);
        let (spellings, no_deprecated) = broken_spellings(record, &known);
        let no_header = no_header(record, operations);
        let sessions = EarlierSessions::of(record);
        Presupposed { record, operations, no_header, known, spellings, no_deprecated, sessions }
    }

    /// What an answer may be the consequence of, the most basic first; nothing if it stands for
    /// itself.
    pub(super) fn causes(
        &self,
        decision: &DecisionRecord<'_, '_>,
        evidence: &Evidence,
    ) -> Vec<Cause<'r>> {
        let Some(exchange) = decision.record.exchange(&evidence.exchange) else {
            return Vec::new();
        };
        let response = match &exchange.result {
            Ok(response) if self.record.origins.is_gateway(exchange) => {
                return vec![Cause::Gateway(response.status)];
            }
            // What must not succeed is never excused, unless what should have prevented it was refused itself.
            Ok(response) if response.is_success() => {
                if evidence.role == Role::Stopped
                    && let Some(cause) = self.unasked(evidence, exchange)
                {
                    return vec![Cause::Requirement(cause)];
                }
                return self.absent_before(decision, evidence.step);
            }
            Ok(response) => Some(response),
            Err(trouble) if is_unanswered(trouble) => None,
            Err(_) => return Vec::new(),
        };
        let (is_broken, wants_success) = match &evidence.role {
            Role::Doubtful => return Vec::new(),
            Role::Met => (false, false),
            Role::Broken { wants_success, .. } => (true, *wants_success),
            Role::Stopped => (true, true),
        };
        let is_ended = wants_success && self.sessions.ended(decision.at.0, &evidence.exchange);
        if is_ended && decision.requirement != OTHERS_SURVIVE {
            return vec![Cause::EarlierSessionsEnd];
        }
        let mut causes: Vec<&'r str> = Vec::new();
        if is_broken && self.no_header.is_some_and(|is_refused| is_refused(exchange)) {
            causes.push(HEADER);
        }
        if let Some(operation) = self.operations.name(exchange)
            && self.is_for_want_of_operation(exchange, evidence, wants_success)
        {
            let is_elsewhere =
                self.operations.says_absent(exchange) && self.operations.is_elsewhere(operation);
            match is_elsewhere {
                true => causes.push(self.operations.prefix()),
                false => causes.extend(works(self.record.register, operation)),
            }
        }
        if let Some(operation) = self.operations.absent_at_path(exchange) {
            causes.extend(works(self.record.register, operation));
        }
        if wants_success
            && response.is_some_and(|response| (400..500).contains(&response.status))
            && let Some((spelling, deprecated)) = Spelling::of(&exchange.request, &self.known)
        {
            causes.extend(spelling.requirement().filter(|_| self.spellings.contains(&spelling)));
            causes.extend((deprecated && self.no_deprecated).then_some(DEPRECATED));
        }
        // It follows from what is more basic alone.
        if let Some(own) = causes.iter().position(|cause| *cause == decision.requirement) {
            causes.truncate(own);
            return causes.into_iter().map(Cause::Requirement).collect();
        }
        if evidence.role == Role::Stopped {
            causes.extend(self.broken_at(decision, evidence.step));
        }
        causes.into_iter().map(Cause::Requirement).collect()
    }

    /// The requirement on interactive auth that its operation broke elsewhere by doing without it.
    fn unasked(&self, evidence: &Evidence, exchange: &Exchange) -> Option<&'r str> {
        let operation = self.operations.name(exchange).filter(|_| is_without_auth(exchange))?;
        let same = |one: &Exchange| {
            let is_done = one.result.as_ref().is_ok_and(Response::is_success);
            is_done && is_without_auth(one) && self.operations.name(one) == Some(operation)
        };
        let mut failed = self.record.decisions().filter(|one| {
            one.verdict == Verdict::Failed && one.requirement.split('.').any(|part| part == "uia")
        });
        let breaks = |all: &[Evidence], record: &CaseRecord<'_>| {
            all.iter().any(|one| {
                one.exchange != evidence.exchange
                    && matches!(one.role, Role::Broken { wants_success: false, .. })
                    && record.exchange(&one.exchange).is_some_and(same)
            })
        };
        failed.find(|one| breaks(one.evidence, one.record)).map(|one| one.requirement)
    }

    /// The absent operation that an earlier step asked in vain, with a finding of the same requirement.
    fn absent_before(&self, decision: &DecisionRecord<'_, '_>, step: usize) -> Vec<Cause<'r>> {
        let earlier = decision.evidence.iter().filter(|one| {
            one.step < step && matches!(one.role, Role::Broken { .. } | Role::Stopped)
        });
        let asked = earlier.filter_map(|one| decision.record.exchange(&one.exchange));
        let in_vain = asked.filter(|one| {
            self.operations.says_absent(one) && !matches!(one.request.method.as_str(), "GET")
        });
        let operations = in_vain.filter_map(|one| self.operations.name(one));
        let causes = operations.flat_map(|operation| works(self.record.register, operation));
        causes.filter(|cause| *cause != decision.requirement).map(Cause::Requirement).collect()
    }

    /// Whether the operation of an answer is absent, never works, or failed where a case only
    /// prepares by it.
    fn is_for_want_of_operation(
        &self,
        exchange: &Exchange,
        evidence: &Evidence,
        wants_success: bool,
    ) -> bool {
        let never_works = wants_success && self.operations.is_broken(exchange);
        let crashes = self.operations.crashes(exchange);
        let is_lapse = self.operations.is_silent(exchange)
            || evidence.role == Role::Stopped
                && self
                    .operations
                    .lapses(exchange)
                    .is_some_and(|l| l.is_unjudged(&evidence.exchange));
        self.operations.says_absent(exchange) || crashes || never_works || is_lapse
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

/// Whether a request has a body without interactive auth (Client-Server API, "User-interactive API in the REST API").
fn is_without_auth(exchange: &Exchange) -> bool {
    exchange.request.json_body().is_some_and(|body| body.get("auth").is_none())
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

/// Whether a token in the header is refused, as missing or as unknown.
fn refuses_header(exchange: &Exchange) -> bool {
    let response = exchange.result.as_ref().ok();
    exchange.request.header("authorization").is_some() && response.is_some_and(|r| r.status == 401)
}

/// No token in a header is seen: each is told to be missing, or each is refused, and the same ones are
/// good in the query.
fn no_header(record: &Record<'_>, operations: &Operations<'_>) -> Option<fn(&Exchange) -> bool> {
    let in_header = |exchange: &Exchange| {
        let given = exchange.request.header("authorization")?.strip_prefix("Bearer ")?;
        Some(given.to_owned()).filter(|_| !operations.says_absent(exchange))
    };
    // Others take a token and do not need it.
    let needs_none = |one: &Exchange| {
        let is_success = one.result.as_ref().is_ok_and(|response| response.is_success());
        one.request.method == "OPTIONS" || is_success && token_of(&one.request).is_none()
    };
    let public: BTreeSet<&str> = (record.exchanges())
        .filter(|one| needs_none(one))
        .filter(|one| one.request.method != "OPTIONS")
        .filter_map(|one| one.request.operation.as_deref())
        .collect();
    let asked: Vec<(&Exchange, String)> = (record.exchanges())
        .filter(|one| one.result.is_ok() && !needs_none(one))
        .filter(|one| one.request.operation.as_deref().is_some_and(|name| !public.contains(name)))
        .filter_map(|exchange| Some((exchange, in_header(exchange)?)))
        .collect();
    if asked.len() < 2 || !has_failed(record, HEADER) {
        return None;
    }
    if asked.iter().all(|(exchange, _)| lacks_token(exchange)) {
        return Some(lacks_token);
    }
    let is_good_in_query = |exchange: &Exchange| {
        let is_success = exchange.result.as_ref().is_ok_and(|response| response.is_success());
        let token = token_of(&exchange.request).filter(|_| in_header(exchange).is_none());
        is_success && token.is_some_and(|token| asked.iter().any(|(_, other)| *other == token))
    };
    let is_refused = asked.iter().all(|(exchange, _)| refuses_header(exchange));
    (is_refused && record.exchanges().any(is_good_in_query)).then_some(refuses_header)
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
