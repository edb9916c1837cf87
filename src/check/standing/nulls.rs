//! The one policy on null: in place of an optional member it counts as absent and warns, and it fails where a client's
//! use of the member breaks.
use super::schema::exists;
use super::{Observation, Observations, miss};
use crate::http::message::Request;
use crate::requirements::SchemaRule;
use crate::requirements::nulls::{is_used, places_of_null};
use crate::spec::Schema;
use serde_json::Value;

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
    let described = |place: &SchemaRule| {
        let mut nulls = schema.locations().iter().filter(|(_, keyword)| keyword == "null");
        nulls.any(|(location, _)| place.pointer.matches(location))
    };
    let register = sheet.register;
    let mut places = register.null_places(operation, status).filter(|(one, _)| !described(one));
    let Some(first) = places.next() else { return };
    let nulls = places_of_null(body);
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

#[cfg(test)]
mod tests;
