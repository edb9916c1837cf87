//! The one policy on null: in place of an optional member it counts as absent and warns, and it fails where a client's
//! use of the member breaks.
use super::schema::exists;
use super::{Observation, Observations, miss};
use crate::http::message::Request;
use crate::spec::Schema;
use serde_json::Value;

/// What a client stores and sends, or shows that it is logged in by.
const SESSION: [&str; 5] =
    ["/user_id", "/device_id", "/access_token", "/refresh_token", "/login_token"];

/// What a client follows. It looks whether m.identity_server is there, and gives up if that has no
/// base_url (Client-Server API, "Well-known URIs").
const DISCOVERY: [&str; 4] = [
    "/m.homeserver",
    "/m.homeserver/base_url",
    "/m.identity_server",
    "/m.identity_server/base_url",
];

/// Returns true if clients use the member at this place of an operation's answer as it is, so that
/// null breaks them even where the published schema makes the member optional.
pub(crate) fn is_used(operation: &str, location: &str) -> bool {
    let in_login = location.strip_prefix("/well_known");
    match operation {
        "login" => {
            SESSION.contains(&location) || in_login.is_some_and(|at| DISCOVERY.contains(&at))
        }
        "register" | "refresh" | "generateLoginToken" => SESSION.contains(&location),
        "getWellknown" => DISCOVERY.contains(&location),
        _ => false,
    }
}

/// Returns true if a null at `pointer` of a body, which its schema lists as `location`, only warns.
pub(super) fn only_warns(
    request: &Request,
    schema: &Schema,
    body: &Value,
    (pointer, location): (&str, &str),
) -> bool {
    let Some(operation) = request.operation.as_deref() else { return true };
    is_optional(schema, body, pointer, location)
        && !(is_used(operation, location) && is_asked_for(request, operation, location))
}

/// The body itself is no member, and an item of a list stands in place of nothing optional.
fn is_optional(schema: &Schema, body: &Value, pointer: &str, location: &str) -> bool {
    let around = pointer.rsplit_once('/').and_then(|(around, _)| body.pointer(around));
    let is_required = schema.locations().contains(&(location.to_owned(), "required".to_owned()));
    !location.is_empty() && !is_required && !around.is_some_and(Value::is_array)
}

/// Returns false if the client said that it does not want the member: no session, no refresh token.
fn is_asked_for(request: &Request, operation: &str, location: &str) -> bool {
    let body = request.json_body().unwrap_or_default();
    let says = |flag: &str| body.get(flag) == Some(&Value::Bool(true));
    match (operation, location) {
        ("register", _) if says("inhibit_login") => false,
        ("login" | "register", "/refresh_token") => says("refresh_token"),
        _ => true,
    }
}

/// The optional members that prose alone describes: the register names their places by the keyword
/// `null`.
pub(super) fn beside_schema<'r>(
    sheet: &mut Observations<'r>,
    operation: &str,
    status: u16,
    schema: &Schema,
    body: &Value,
) {
    let described = |place: &crate::requirements::SchemaRule| {
        let mut nulls = schema.locations().iter().filter(|(_, keyword)| keyword == "null");
        nulls.any(|(location, _)| place.pointer.matches(location))
    };
    let register = sheet.register;
    let mut places = register.null_places(operation, status).filter(|(one, _)| !described(one));
    let Some(first) = places.next() else { return };
    let mut nulls = Vec::new();
    collect(body, String::new(), &mut nulls);
    for (place, requirement) in std::iter::once(first).chain(places) {
        let mut found = nulls.iter().filter(|location| place.pointer.matches(location));
        match found.next() {
            Some(location) => {
                let miss = miss(location, "absent, or another value", "null");
                sheet.observations.push(Observation {
                    warn_only: true,
                    more: found.count(),
                    ..Observation::of(requirement, Some(miss))
                });
            }
            None if exists(body, &place.pointer.to_string()) => {
                sheet.observations.push(Observation::of(requirement, None));
            }
            None => {}
        }
    }
}

/// The place of every null, with `*` for the items of lists.
fn collect(value: &Value, here: String, nulls: &mut Vec<String>) {
    match value {
        Value::Null => nulls.push(here),
        Value::Array(items) => {
            items.iter().for_each(|item| collect(item, format!("{here}/*"), nulls));
        }
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            collect(member, crate::yaml::document::pointer_below(&here, name), nulls);
        }),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests;
