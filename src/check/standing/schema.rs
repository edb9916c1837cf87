//! The published schema of an operation's answer.
use super::{Context, Observation, Observations, miss, nulls, undecided};
use crate::http::message::{Exchange, Response};
use crate::model::reason::Reason;
use crate::model::run::Verdict;
use crate::requirements::{Register, Requirement, Rule};
use crate::spec::{Schema, SchemaViolation, UnusableSchema};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The requirements that a documented schema decides for such an answer.
pub(super) fn of_schema<'r>(
    register: &'r Register,
    operation: &str,
    response: &Response,
    described: &Schema,
) -> impl Iterator<Item = &'r Requirement> {
    described.locations().iter().filter_map(move |(pointer, keyword)| {
        register.requirement_for_violation(operation, response.status, pointer, keyword)
    })
}

/// Why nothing is said by a schema that cannot be used; files with one are refused beforehand.
pub(super) fn unusable(error: &UnusableSchema) -> Reason {
    Reason::UnusableSchema { error: error.to_string() }
}

/// The published schema that applies to the answer.
pub(super) fn described<'c>(
    context: Context<'c>,
    exchange: &Exchange,
    response: &Response,
) -> Option<&'c Schema> {
    let operation =
        exchange.request.operation.as_deref().filter(|_| !exchange.request.schema_off)?;
    let documented = context.spec.operation(operation)?.response(response.status)?;
    let schema = documented.schema.as_ref()?;
    let is_plain_401 = response.status == 401 && !is_meant_as_challenge(response);
    (!(is_plain_401 && is_challenge_schema(schema))).then_some(schema)
}

/// A 401 of an operation with interactive auth is documented as the challenge; a plain error for a
/// missing or dead token is judged as a standard error alone. What has other members of a challenge
/// is meant as one, with or without flows.
pub(super) fn is_meant_as_challenge(response: &Response) -> bool {
    let members = ["flows", "session", "params", "completed"];
    response.json().is_ok_and(|body| members.iter().any(|member| body.get(member).is_some()))
}

fn is_challenge_schema(schema: &Schema) -> bool {
    schema.locations().iter().any(|(pointer, _)| pointer == "/flows")
}

pub(super) fn schema<'r>(
    sheet: &mut Observations<'r>,
    context: Context<'r>,
    exchange: &Exchange,
    response: &Response,
    described: Option<&Schema>,
) {
    let Some(operation) = exchange.request.operation.as_deref() else { return };
    let Some(described) = described else { return };
    if response.status >= 400 && !response.json().is_ok_and(Value::is_object) {
        no_error_at_all(sheet, operation, response);
    }
    let Ok(json) = response.json() else { return };
    nulls::beside_schema(sheet, operation, response.status, described, json);
    let violations = match described.violations(json) {
        Ok(violations) => violations,
        Err(error) => {
            let all = of_schema(context.register, operation, response, described).collect();
            return undecided(sheet, all, Verdict::Errored, &unusable(&error));
        }
    };
    let mut by_violation: HashMap<(String, String), Option<&'r Requirement>> = HashMap::new();
    let mut broken: Vec<Observation<'r>> = Vec::new();
    for violation in violations {
        let SchemaViolation { pointer, location, keyword, .. } = violation;
        let warn_only = keyword == "null"
            && nulls::only_warns(&exchange.request, described, json, (&pointer, &location));
        let watcher =
            *by_violation.entry((location.clone(), keyword)).or_insert_with_key(|(l, k)| {
                context.register.requirement_for_violation(operation, response.status, l, k)
            });
        let Some(requirement) = watcher else { continue };
        let found = miss(&location, violation.expected, violation.actual);
        let one = Observation {
            warn_only,
            more: violation.more,
            place: Some((violation.spec_file, violation.spec_line)),
            ..Observation::of(requirement, Some(found))
        };
        match broken.iter_mut().find(|other| is_alike(other, &one)) {
            Some(other) => other.more += 1 + one.more,
            None => broken.push(one),
        }
    }
    let is_broken: HashSet<&str> = broken.iter().map(|one| one.requirement.id.as_str()).collect();
    let seen = seen(context, operation, response.status, described, json);
    let met = seen.into_values().filter(|one| !is_broken.contains(one.id.as_str()));
    sheet.observations.extend(met.map(|requirement| Observation::of(requirement, None)));
    sheet.observations.extend(broken);
}

/// Whether two places of one answer that are named alike break the same rule.
fn is_alike(one: &Observation<'_>, other: &Observation<'_>) -> bool {
    let (Some(here), Some(there)) = (&one.miss, &other.miss) else { return false };
    one.requirement.id == other.requirement.id
        && one.warn_only == other.warn_only
        && (&here.place, &here.expected) == (&there.place, &there.expected)
}

/// A refusal that is no object has no errcode either: where its very status has a requirement of its own, that one is
/// broken beside the general rules.
fn no_error_at_all(sheet: &mut Observations, operation: &str, response: &Response) {
    let register = sheet.register;
    let Some(own) =
        register.requirement_for_violation(operation, response.status, "/errcode", "required")
    else {
        return;
    };
    if register.rule(Rule::Errcode).is_some_and(|general| general.id == own.id) {
        return;
    }
    let found = miss("body", "a standard error object", "something else");
    sheet.observations.push(Observation::of(own, Some(found)));
}

/// The requirements that this answer gave occasion to look at: those that watch a place which is
/// there, or whose parent is there where it is about a missing member.
fn seen<'r>(
    context: Context<'r>,
    operation: &str,
    status: u16,
    schema: &Schema,
    body: &Value,
) -> BTreeMap<&'r str, &'r Requirement> {
    schema
        .locations()
        .iter()
        .filter_map(|(pointer, keyword)| {
            let requirement =
                context.register.requirement_for_violation(operation, status, pointer, keyword)?;
            let there = match keyword.as_str() {
                "required" => pointer.rsplit_once('/').map_or("", |(parent, _)| parent),
                _ => pointer,
            };
            exists(body, there).then_some((requirement.id.as_str(), requirement))
        })
        .collect()
}

pub(super) fn exists(body: &Value, pointer: &str) -> bool {
    fn walk(value: &Value, tokens: &[Cow<'_, str>]) -> bool {
        let Some((token, rest)) = tokens.split_first() else { return true };
        match value {
            Value::Array(items) if token == "*" => items.iter().any(|item| walk(item, rest)),
            Value::Object(members) if token == "*" => members.values().any(|item| walk(item, rest)),
            Value::Array(items) => {
                let item = token.parse::<usize>().ok().and_then(|at| items.get(at));
                item.is_some_and(|item| walk(item, rest))
            }
            Value::Object(members) => {
                members.get(token.as_ref()).is_some_and(|value| walk(value, rest))
            }
            _ => false,
        }
    }
    let tokens: Vec<_> = pointer.split('/').skip(1).map(token).collect();
    walk(body, &tokens)
}

/// A token of a JSON Pointer, its escapes resolved (RFC 6901, section 4).
fn token(escaped: &str) -> Cow<'_, str> {
    match escaped.contains('~') {
        true => Cow::Owned(escaped.replace("~1", "/").replace("~0", "~")),
        false => Cow::Borrowed(escaped),
    }
}
