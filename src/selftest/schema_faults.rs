//! Faults and quirks made from the bundled response schemas, each fault with the requirement that it breaks.
//!
//! The reference homeserver makes them of schemas as plain data and knows no register; here they get their ids.
use crate::reference::{
    Catalogue, Fault, Quirk, ResponseSchema, SchemaMutation, Violation, schema_mutations,
};
use crate::requirements::nulls::is_used;
use crate::requirements::{Register, Rule};
use crate::spec::{Operation, Spec};
use crate::yaml::diagnostic::Diagnostic;
use std::sync::OnceLock;

/// All of them, made once.
///
/// # Errors
/// Faults of the bundled files; a test shows that there are none.
pub fn bundled() -> Result<Catalogue, Vec<Diagnostic>> {
    static MADE: OnceLock<Catalogue> = OnceLock::new();
    match MADE.get() {
        Some(made) => Ok(*made),
        None => {
            let (spec, register) = (Spec::bundled_v1()?, Register::bundled()?);
            Ok(*MADE.get_or_init(|| catalogue(&spec, &register)))
        }
    }
}

fn catalogue(spec: &Spec, register: &Register) -> Catalogue {
    let (mut faults, mut quirks) = (Vec::new(), Vec::new());
    for mutation in spec.operations().flat_map(shapes) {
        match made(&mutation, register) {
            Some(Made::Fault(fault)) => faults.push(fault),
            Some(Made::Quirk(quirk)) => quirks.push(quirk),
            None => {}
        }
    }
    Catalogue { faults: faults.leak(), quirks: quirks.leak() }
}

fn shapes(operation: &Operation) -> Vec<SchemaMutation> {
    let of = |(status, response): (&String, &crate::spec::Response)| {
        let schema = response.schema.as_ref()?.value();
        let (id, method, path) = (&operation.id, &operation.method, &operation.path);
        let status = status.parse().ok()?;
        Some(schema_mutations(ResponseSchema { operation: id, method, path, status, schema }))
    };
    operation.responses.iter().filter_map(of).flatten().collect()
}

enum Made {
    Fault(Fault),
    Quirk(Quirk),
}

/// The fault or quirk, with its ids; none if no requirement is about it.
fn made(mutation: &SchemaMutation, register: &Register) -> Option<Made> {
    let place = mutation.place;
    let is_error = place.status >= 400 && !place.challenge;
    // Static documents are served by any web server, and nobody pins its headers.
    let document = place.operation == "getWellknown";
    let of_rule = |rule| register.rule(rule);
    let requirement = match mutation.violation {
        // No published schema requires the text of an error; the prose does.
        Violation::Nothing if is_error && place.pointer == "/error" => of_rule(Rule::ErrorText),
        Violation::Nothing if is_counted_on(mutation) => None,
        Violation::Nothing => return Some(Made::Quirk(mutation.quirk(changes(mutation)))),
        Violation::Schema(keyword)
            if register.permits(place.operation, place.status, place.pointer, keyword) =>
        {
            return Some(Made::Quirk(mutation.quirk(&[])));
        }
        Violation::Schema(keyword) => register.requirement_for_violation(
            place.operation,
            place.status,
            place.pointer,
            keyword,
        ),
        _ if document => None,
        Violation::Object => of_rule(Rule::JsonObject),
        Violation::MediaType => of_rule(Rule::MediaType),
        Violation::Encoding => of_rule(Rule::Utf8),
        Violation::Cors if place.status >= 400 => of_rule(Rule::CorsError),
        Violation::Cors => of_rule(Rule::CorsActual),
    }?;
    let id = requirement.id.clone().leak();
    let mut fault = mutation.fault(id, also(mutation, register, is_error));
    // The prose requires what the schema leaves out, so that a null there is no mere null.
    fault.mild &= of_rule(Rule::ErrorText).is_none_or(|text| text.id != requirement.id);
    fault.mild &= !is_used(place.operation, place.pointer);
    Some(Made::Fault(fault))
}

/// Other requirements that standing checks rightly report as broken, by other rules on the same
/// place.
fn also(mutation: &SchemaMutation, register: &Register, is_error: bool) -> &'static [&'static str] {
    let place = mutation.place;
    let unread = matches!(mutation.violation, Violation::Object | Violation::Encoding);
    let rules = [
        // What is not UTF-8 is no JSON text.
        (mutation.violation == Violation::Encoding, Rule::JsonObject),
        // A challenge that cannot be read is taken for an error too.
        (unread && place.status >= 400, Rule::ErrorObject),
        // An errcode is judged by its schema and as a part of the standard error.
        (is_error && place.pointer == "/errcode", Rule::Errcode),
        (is_error && place.pointer == "/error", Rule::ErrorText),
        (place.status == 429 && (unread || place.pointer == "/errcode"), Rule::RateLimitErrcode),
    ];
    let of_rules =
        rules.into_iter().filter(|(holds, _)| *holds).filter_map(|(_, rule)| register.rule(rule));
    // A list is no object by the schema either.
    let of_schema = (mutation.violation == Violation::Object)
        .then(|| register.requirement_for_violation(place.operation, place.status, "", "type"))
        .flatten();
    // What is no error object has no errcode, which some refusals have a requirement of their own for.
    let of_errcode = (unread && is_error)
        .then(|| {
            register.requirement_for_violation(
                place.operation,
                place.status,
                "/errcode",
                "required",
            )
        })
        .flatten();
    let ids: Vec<&'static str> = of_rules
        .chain(of_schema)
        .chain(of_errcode)
        .map(|requirement| &*requirement.id.clone().leak())
        .collect();
    ids.leak()
}

/// Returns true if an optional member is required here: without it, this server would not behave
/// legally.
fn is_counted_on(mutation: &SchemaMutation) -> bool {
    let place = mutation.place;
    COUNTED_ON.iter().any(|(operation, status, pointer)| {
        (operation.is_empty() || *operation == place.operation)
            && (*status, *pointer) == (place.status, place.pointer)
    })
}

/// Operation (any if empty), status and place of these members.
const COUNTED_ON: &[(&str, u16, &str)] = &[
    // Who gives a session of interactive auth wants it back.
    ("", 401, "/session"),
    // The prose asks for the list.
    ("getLoginFlows", 200, "/flows"),
    // Without it nobody sees a device.
    ("getDevices", 200, "/devices"),
    // A server that rotates refresh tokens has to give the next one.
    ("refresh", 200, "/refresh_token"),
];

/// Requirements that cannot be observed without the optional member.
fn changes(mutation: &SchemaMutation) -> &'static [&'static str] {
    let place = mutation.place;
    let here = |(operation, status, pointer, _): &&(&str, u16, &str, _)| {
        *operation == place.operation && *status == place.status && *pointer == place.pointer
    };
    CHANGES.iter().find(here).map_or(&[], |(.., ids)| ids)
}

/// Requirements whose verdict may change, by the optional member that is absent: operation, status, place. Each was
/// looked at when it was put here.
const CHANGES: &[(&str, u16, &str, &[&str])] = &[
    ("getCapabilities", 200, "/capabilities/m.get_login_token", &["get_token.capability.absent"]),
    ("getAuthMetadata", 200, "/device_authorization_endpoint", &["auth_metadata.device_endpoint"]),
    // Its description says that it is always true, so that its absence warns.
    ("checkUsernameAvailability", 200, "/available", &["register.available.flag"]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_schema_of_the_surface_is_broken_under_names_of_their_own() {
        let catalogue = bundled().unwrap();
        let (spec, register) = (Spec::bundled_v1().unwrap(), Register::bundled().unwrap());
        let names: Vec<&str> = catalogue
            .all_faults()
            .unwrap()
            .map(|fault| fault.name)
            .chain(catalogue.all_quirks().map(|quirk| quirk.name))
            .collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "a name twice");
        for fault in catalogue.faults {
            for id in std::iter::once(&fault.requirement).chain(fault.also) {
                assert!(register.get(id).is_some(), "{}: no requirement {id}", fault.name);
            }
        }
        let broken: HashSet<(&str, u16)> = catalogue
            .faults
            .iter()
            .filter_map(|fault| fault.place)
            .map(|place| (place.operation, place.status))
            .collect();
        for operation in spec.operations() {
            for (status, response) in &operation.responses {
                let (Ok(status), Some(_)) = (status.parse::<u16>(), &response.schema) else {
                    continue;
                };
                let pair = (operation.id.as_str(), status);
                assert!(broken.contains(&pair), "{pair:?} has a schema and no fault");
            }
        }
    }

    #[test]
    fn changes_are_of_optional_members_that_there_are() {
        let catalogue = bundled().unwrap();
        for (operation, status, pointer, ids) in CHANGES {
            let is_here = |quirk: &&Quirk| {
                quirk.place.is_some_and(|place| {
                    (place.operation, place.status, place.pointer)
                        == (*operation, *status, *pointer)
                })
            };
            let quirk = catalogue.quirks.iter().find(is_here);
            assert!(
                quirk.is_some_and(|quirk| quirk.changes == *ids),
                "{operation} {status} {pointer}"
            );
        }
    }
}
