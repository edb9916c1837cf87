//! Sentences for the reader of a run beside its verdicts.
use super::{Parts, rate_limit_advice};
use crate::case::ast::Feature;
use crate::http::gateway::has_gateway_status;
use crate::http::message::{Exchange, TransportErrorKind};
use crate::model::reason::ReasonCode;
use crate::model::run::{CaseOutcome, RequirementOutcome, StandingOutcome};
use crate::plan::facts::Facts;
use crate::plan::observers;
use crate::spec::Spec;
use std::collections::{BTreeMap, BTreeSet};

/// Which requests were sent again for want of a whole answer, of how many by operation, the most often first: what
/// happens at every n-th request fails no case, and must not go unseen.
pub(super) fn on_resent(parts: &Parts<'_>) -> Option<String> {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for exchanges in owned_exchanges(parts) {
        for (at, exchanged) in exchanges.iter().enumerate().filter(|(_, one)| !one.shared) {
            let (resent, sent) = counts.entry(operation_of(parts.spec, exchanged)).or_default();
            *sent += 1;
            let again =
                exchanges.iter().skip(at + 1).any(|later| later.request == exchanged.request);
            *resent += usize::from(again && has_no_whole_answer(exchanged));
        }
    }
    let mut resent: Vec<_> = counts.into_iter().filter(|(_, (resent, _))| *resent > 0).collect();
    resent.sort_by_key(|(_, (resent, _))| std::cmp::Reverse(*resent));
    let total: usize = resent.iter().map(|(_, (resent, _))| resent).sum();
    let each: Vec<String> =
        resent.iter().map(|(name, (resent, sent))| format!("{name} {resent} of {sent}")).collect();
    let noun = if total == 1 { "1 request was" } else { &format!("{total} requests were") };
    let each = each.join(", ");
    (total > 0).then(|| format!("{noun} repeated because a response was incomplete: {each}"))
}

pub(super) fn owned_exchanges<'p>(
    parts: &'p Parts<'_>,
) -> impl Iterator<Item = &'p [Exchange]> + Clone {
    let support = parts.outcome.support.iter().map(|(_, exchanges)| exchanges.as_slice());
    support.chain(parts.outcome.results.iter().map(|result| result.exchanges.as_slice()))
}

/// Whether the answer ended before it was whole, or something in front of the homeserver gave it.
fn has_no_whole_answer(exchanged: &Exchange) -> bool {
    match &exchanged.result {
        Err(trouble) => {
            matches!(trouble.kind, TransportErrorKind::Closed | TransportErrorKind::Protocol)
        }
        Ok(answer) => has_gateway_status(answer),
    }
}

/// An operation as `POST /login`; without a known one, method and path.
pub(super) fn operation_of(spec: &Spec, exchanged: &Exchange) -> String {
    let known = exchanged.request.operation.as_deref().and_then(|id| spec.operation(id));
    if let Some(operation) = known {
        let path = &operation.path;
        let short = ["v3", "r0"].map(|api| path.strip_prefix(&format!("/_matrix/client/{api}")));
        let short = short.into_iter().flatten().next().unwrap_or(path);
        return format!("{} {short}", operation.method);
    }
    let path = exchanged.request.path.split('?').next().unwrap_or_default();
    format!("{} {path}", exchanged.request.method)
}

fn on_limits(parts: &Parts<'_>, cases: &[CaseOutcome]) -> Vec<String> {
    let is_limited = |case: &CaseOutcome| {
        let reason = case.reason.as_ref();
        reason.is_some_and(|reason| reason.code.is(ReasonCode::RateLimited))
    };
    let blocked = parts.plan.cases.iter().zip(cases).filter(|(_, case)| is_limited(case));
    let logins = blocked.map(|(planned, _)| planned.case.logins()).sum();
    let server = (parts.outcome.server.as_deref(), parts.facts.accounts.can_make);
    rate_limit_advice::of_limits(&parts.limits_hit, &parts.limit_series, logins, server)
}

fn on_bounds(cases: &[CaseOutcome], standing: &[StandingOutcome]) -> Vec<String> {
    let of_cases = cases.iter().filter_map(|case| case.reason.as_ref());
    let reasons = of_cases.chain(standing.iter().filter_map(|one| one.reason.as_ref()));
    let mut blocked: BTreeMap<&str, usize> = BTreeMap::new();
    let is_bound = |code| matches!(code, Some(ReasonCode::TooLarge | ReasonCode::TooLong));
    for reason in reasons.filter(|reason| is_bound(reason.code.known())) {
        *blocked.entry(&reason.text).or_default() += 1;
    }
    let note = |(text, count): (&str, usize)| {
        let checks = if count == 1 { "check is" } else { "checks are" };
        format!("{count} {checks} blocked: {text}")
    };
    blocked.into_iter().map(note).collect()
}

/// All of them: the headlines first, what would decide more and which guests stay at last. `resent`
/// is the word on requests that were sent again.
pub(super) fn all(
    parts: &Parts<'_>,
    resent: Option<String>,
    cases: &[CaseOutcome],
    standing: &[StandingOutcome],
    requirements: &[RequirementOutcome],
) -> Vec<String> {
    let guests = parts.guests.join(", ");
    let guests = (!guests.is_empty())
        .then(|| format!("guest accounts stay, because nobody can deactivate them: {guests}"));
    let observers = on_observers(&parts.facts.absent, observers::substitute(parts.facts));
    (parts.headlines.iter().chain(&parts.outcome.notices).cloned().chain(resent))
        .chain(on_bounds(cases, standing))
        .chain(on_limits(parts, cases))
        .chain(observers)
        .chain(on_login_tokens(parts.facts))
        .chain(parts.facts.beyond.iter().cloned())
        .chain(ways_to_more(parts, requirements))
        .chain(guests)
        .collect()
}

/// What is absent, and what was asked in its place.
fn on_observers(absent: &BTreeSet<String>, substitute: Option<&str>) -> Option<String> {
    let names: Vec<&str> = absent.iter().map(String::as_str).collect();
    let names = names.join(", ");
    let instead = substitute.map_or_else(String::new, |one| {
        format!("; where cases only look whether a session lives, they ask {one} instead")
    });
    (!absent.is_empty()).then(|| format!("absent or failing, asked twice: {names}{instead}"))
}

/// A login type that works though it is not listed, as far as the run saw it.
fn on_login_tokens(facts: &Facts) -> Option<String> {
    let is_listed = facts.flows.iter().any(|flow| flow == "m.login.token");
    let takes_them = facts.features.contains(&Feature::LoginToken) && !is_listed;
    takes_them.then(|| {
        "POST /login takes m.login.token, which GET /login does not list; it is tested all the same".to_owned()
    })
}

fn ways_to_more(parts: &Parts<'_>, requirements: &[RequirementOutcome]) -> Vec<String> {
    let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
    for requirement in requirements.iter().filter(|r| r.applies) {
        let code = requirement.reason.as_ref().map(|reason| &reason.code);
        let lacks = code.and_then(|code| match code.known()? {
            ReasonCode::NoAccount => Some(NO_ACCOUNT),
            ReasonCode::NotProvided => code.detail(),
            _ => None,
        });
        // Whether the server asks for a registration token at all is not known.
        if let Some(name) = lacks.filter(|name| *name != "registration") {
            *missing.entry(name).or_default() += 1;
        }
    }
    let mut ways: BTreeMap<String, usize> = BTreeMap::new();
    for (name, count) in missing {
        // Accounts that can be made are all of it: more than one, with a password, and nobody's.
        let is_account = matches!(name, NO_ACCOUNT | DISPOSABLE | "password") || is_further(name);
        if is_account && !parts.facts.accounts.can_make {
            *ways.entry(way_to_make(parts.facts)).or_default() += count;
        }
        if name != NO_ACCOUNT {
            *ways.entry(way(name)).or_default() += count;
        }
    }
    let mut ways: Vec<(String, usize)> = ways.into_iter().collect();
    ways.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let more = |(way, count): (String, usize)| {
        let noun = if count == 1 { "requirement" } else { "requirements" };
        format!("{way} would decide {count} more {noun}")
    };
    ways.into_iter().map(more).collect()
}

const NO_ACCOUNT: &str = "no_account";
const DISPOSABLE: &str = "disposable account";

fn is_further(name: &str) -> bool {
    name.starts_with("account ")
}

fn way_to_make(facts: &Facts) -> String {
    match facts.registers {
        true => "`--register open` (the server lets users register)".to_owned(),
        false => "a way to create accounts (docs/accounts.md)".to_owned(),
    }
}

fn way(name: &str) -> String {
    match name {
        DISPOSABLE => "an account with `disposable: true`".to_owned(),
        "password" => "an account with its password".to_owned(),
        name if is_further(name) => "another account".to_owned(),
        name => format!("`{name}` under `operator:`"),
    }
}
