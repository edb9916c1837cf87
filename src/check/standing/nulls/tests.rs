//! A null at every place of every published answer, and what it comes to.
use crate::check::standing::{Context, Observation, observe};
use crate::http::message::{Exchange, Request, Response};
use crate::model::release::Listed;
use crate::requirements::nulls::is_used;
use crate::requirements::{Register, Severity};
use crate::spec::Spec;
use serde_json::{Value, json};
use std::time::Duration;

/// A body with null at a place, lists or objects for the stars of its location by the bits of `lists`.
fn body(location: &str, lists: usize) -> Value {
    let tokens: Vec<&str> = location.split('/').skip(1).collect();
    let stars = tokens.iter().filter(|token| **token == "*").count();
    let mut star = stars;
    tokens.iter().rev().fold(Value::Null, |inner, token| match *token {
        "*" => {
            star -= 1;
            if lists >> star & 1 == 1 { json!([inner]) } else { json!({ "any": inner }) }
        }
        name => json!({ (name.replace("~1", "/").replace("~0", "~")): inner }),
    })
}

fn exchange(operation: &str, asks: Value, status: u16, answer: &Value) -> Exchange {
    let path = match operation {
        "getWellknown" => "/.well-known/matrix/client",
        _ => "/_matrix/client/v3/some",
    };
    let mut request = Request::new(Some(operation), "POST", path);
    request.body = Some(asks.to_string().into_bytes());
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Exchange {
        request,
        url: String::new(),
        sent_headers: Vec::new(),
        result: Ok(Response::new(status, headers, answer.to_string().into_bytes(), false)),
        duration: Duration::ZERO,
        shared: false,
    }
}

/// The requirements that break by null at a place, and how: failed or warned.
fn broken(
    spec: &Spec,
    register: &Register,
    one: &Exchange,
    location: &str,
) -> Vec<(String, Severity)> {
    let listed = Listed::new(["v1.19"]);
    let at_place = |one: &Observation<'_>| {
        one.miss.as_ref().is_some_and(|miss| miss.place == location && miss.actual == "null")
    };
    let of = |one: Observation<'_>| {
        let severity = one.requirement.severity(&listed);
        let severity = if one.warn_only { severity.at_most_warns() } else { severity };
        (one.requirement.id.clone(), severity)
    };
    let context = Context { register, spec, listed: &listed };
    let mut all: Vec<_> = observe(context, one).into_iter().filter(at_place).map(of).collect();
    all.sort();
    all.dedup();
    all
}

/// Optional members by a published schema whose null breaks clients, written down a second time.
const FAILS: &[(&str, &str)] = &[
    ("getWellknown", "/m.identity_server"),
    ("login", "/access_token"),
    ("login", "/device_id"),
    ("login", "/refresh_token"),
    ("login", "/user_id"),
    ("login", "/well_known/m.identity_server"),
    ("refresh", "/refresh_token"),
    ("register", "/access_token"),
    ("register", "/device_id"),
    ("register", "/refresh_token"),
];

#[test]
fn a_null_in_any_optional_member_of_any_answer_warns_or_fails_by_the_table_and_by_one_row() {
    let register = Register::bundled().unwrap();
    let mut met = 0;
    for spec in [Spec::bundled_v1().unwrap(), Spec::bundled_r0().unwrap()] {
        let all: Vec<_> = spec.schema_locations().into_iter().collect();
        for at in all.iter().filter(|at| at.keyword == "null" && !at.pointer.is_empty()) {
            let status: u16 = at.status.parse().unwrap();
            let row =
                register.requirement_for_violation(&at.operation, status, &at.pointer, "null");
            let row = row.unwrap();
            let stars = at.pointer.matches("/*").count();
            let asks = json!({ "refresh_token": true });
            let found = (0..1 << stars).find_map(|lists| {
                let answer = body(&at.pointer, lists);
                let one = exchange(&at.operation, asks.clone(), status, &answer);
                let found = broken(&spec, &register, &one, &at.pointer);
                let found = found.into_iter().find(|(id, _)| *id == row.id)?;
                let is_item = at.pointer.ends_with("/*") && lists >> (stars - 1) & 1 == 1;
                Some((found.1, is_item))
            });
            let name = format!("{} {status} {} {}", at.operation, at.pointer, row.id);
            let Some((severity, is_item)) = found else {
                // A plain 401 is judged as an error, not as the challenge whose schema it shares.
                assert!(at.pointer.contains("errcode") || at.pointer.contains("error"), "{name}");
                continue;
            };
            met += 1;
            let requires = |l: &&crate::spec::SchemaLocation| {
                (l.operation.as_str(), l.status.as_str(), l.pointer.as_str(), l.keyword.as_str())
                    == (at.operation.as_str(), at.status.as_str(), at.pointer.as_str(), "required")
            };
            let is_required = all.iter().any(|l| requires(&l));
            let is_used = FAILS.contains(&(at.operation.as_str(), at.pointer.as_str()));
            let expected = match is_required || is_item || is_used {
                true => row.severity(&Listed::new(["v1.19"])),
                false => Severity::Warns,
            };
            assert_eq!(severity, expected, "{name}");
            assert!(!is_used || severity == Severity::Fails, "{name}");
        }
    }
    assert!(met > 200, "{met}");
}

#[test]
fn every_failing_place_is_used_and_what_was_not_asked_for_only_warns() {
    for (operation, location) in FAILS {
        assert!(is_used(operation, location), "{operation} {location}");
    }
    assert!(!is_used("login", "/expires_in_ms") && !is_used("getTokenOwner", "/device_id"));
    let (register, spec) = (Register::bundled().unwrap(), Spec::bundled_v1().unwrap());
    for (operation, asks, location, expected) in [
        ("login", json!({}), "/refresh_token", Severity::Warns),
        ("login", json!({"refresh_token": true}), "/refresh_token", Severity::Fails),
        ("refresh", json!({}), "/refresh_token", Severity::Fails),
        ("register", json!({}), "/refresh_token", Severity::Warns),
        ("register", json!({}), "/device_id", Severity::Fails),
        ("register", json!({"inhibit_login": true}), "/device_id", Severity::Warns),
        ("register", json!({"inhibit_login": true}), "/access_token", Severity::Warns),
        ("login", json!({"refresh_token": true}), "/expires_in_ms", Severity::Warns),
        ("login", json!({}), "/well_known", Severity::Warns),
        ("login", json!({}), "/well_known/m.identity_server", Severity::Fails),
    ] {
        let one = exchange(operation, asks.clone(), 200, &body(location, 0));
        let found: Vec<_> =
            broken(&spec, &register, &one, location).into_iter().map(|(_, how)| how).collect();
        assert_eq!(found, [expected], "{operation} {asks} {location}");
    }
}

#[test]
fn what_prose_alone_describes_has_its_row_too_and_each_kind_of_null_counts_once() {
    let (register, spec) = (Register::bundled().unwrap(), Spec::bundled_v1().unwrap());
    let sso = |extra: Value| {
        let mut flow = json!({"type": "m.login.sso"});
        flow.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({ "flows": [{"type": "m.login.password"}, flow] })
    };
    let provider = |member: &str| {
        let one = json!({"id": "a", "name": "A", member: null});
        sso(json!({ "identity_providers": [one.clone(), one] }))
    };
    for (answer, location, row) in [
        (
            sso(json!({"identity_providers": null})),
            "/flows/*/identity_providers",
            "login.get.sso.identity_providers",
        ),
        (provider("icon"), "/flows/*/identity_providers/*/icon", "login.get.sso.idp.icon"),
        (provider("brand"), "/flows/*/identity_providers/*/brand", "login.get.sso.idp.brand"),
        (
            sso(json!({"oauth_aware_preferred": null})),
            "/flows/*/oauth_aware_preferred",
            "login.get.sso.oauth_aware.type",
        ),
    ] {
        let one = exchange("getLoginFlows", json!({}), 200, &answer);
        let found = broken(&spec, &register, &one, location);
        assert_eq!(found, [(row.to_owned(), Severity::Warns)], "{answer}");
    }
}
