//! One answer at a time: which rules it keeps, which it breaks, and which it says nothing of.
use super::*;
use crate::bundled::{REGISTER, SPEC_R0, SPEC_V1};
use crate::http::message::{Exchange, ORIGIN, Request, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

static FILES: LazyLock<(Register, Spec)> =
    LazyLock::new(|| (Register::bundled().unwrap(), Spec::bundled_v1().unwrap()));

/// Headers that every rule accepts.
const USUAL: &[(&str, &str)] =
    &[("content-type", "application/json"), ("access-control-allow-origin", "*")];

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Response {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Response::new(status, headers.collect(), body.into(), false)
}

fn json_answer(status: u16, body: &Value) -> Response {
    answer(status, USUAL, body.to_string())
}

fn get(path: &str) -> Request {
    Request::new(None, "GET", path)
}

/// Of no operation that a file describes: no schema interferes.
fn plain() -> Request {
    get("/_matrix/client/v3/some")
}

/// Each rule that the answer says something of: nothing if it is kept, else the place, and whether it only warns.
fn seen(request: Request, response: Response) -> BTreeMap<Rule, Option<(String, bool)>> {
    let (register, spec) = &*FILES;
    let listed = Listed::new(["v1.11"]);
    let context = Context { register, spec, listed: &listed };
    let exchange = Exchange {
        request,
        url: String::new(),
        sent_headers: Vec::new(),
        result: Ok(response),
        duration: Duration::ZERO,
        shared: false,
    };
    let rule = |requirement: &Requirement| {
        requirement.standing.iter().find_map(|check| match check {
            crate::requirements::StandingCheck::Rule(rule) => Some(*rule),
            crate::requirements::StandingCheck::Schema(_) => None,
        })
    };
    let mut found = BTreeMap::new();
    for observation in observe(context, &exchange) {
        let Some(rule) = rule(observation.requirement) else { continue };
        let miss = observation.miss.map(|miss| (miss.place, observation.warn_only));
        // What a schema says too is one requirement: the breach counts.
        let entry = found.entry(rule).or_insert(None);
        *entry = entry.take().or(miss);
    }
    found
}

#[track_caller]
fn breaks(request: Request, response: Response, expected: &[(Rule, &str)]) {
    let found = seen(request, response);
    let broken = found.iter().filter_map(|(rule, miss)| Some((*rule, miss.as_ref()?.0.as_str())));
    assert_eq!(broken.collect::<Vec<_>>(), expected);
}

#[track_caller]
fn keeps(request: Request, response: Response, expected: &[Rule]) {
    let found = seen(request, response);
    assert_eq!(found.values().flatten().collect::<Vec<_>>(), [] as [&(String, bool); 0]);
    assert_eq!(found.into_keys().collect::<Vec<_>>(), expected);
}

#[test]
fn a_usual_success_and_a_usual_error_keep_every_rule() {
    let success =
        [Rule::JsonObject, Rule::MediaType, Rule::Utf8, Rule::CorsOrigin, Rule::CorsActual];
    keeps(plain(), json_answer(200, &json!({})), &success);
    let error = json!({"errcode": "M_FORBIDDEN", "error": "no"});
    let of_error = [
        Rule::JsonObject,
        Rule::MediaType,
        Rule::Utf8,
        Rule::ErrorObject,
        Rule::Errcode,
        Rule::ErrorText,
        Rule::ErrcodeNamespace,
        Rule::CorsOrigin,
        Rule::CorsError,
    ];
    for status in [400, 403, 404, 500] {
        keeps(plain(), json_answer(status, &error), &of_error);
    }
}

#[test]
fn what_is_no_answer_of_the_api_is_not_judged() {
    let broken = || answer(200, &[], "[]");
    let path = "/_matrix/client/v3/login";
    let others = [
        (Request::new(None, "OPTIONS", path), broken()),
        (Request::new(None, "HEAD", path), broken()),
        (get("/_matrix/client/v3/login/sso/redirect"), broken()),
        (get("/_matrix/client/v3/auth/m.login.terms/fallback/web"), broken()),
        (get("/.well-known/matrix/client"), broken()),
        (get("/_matrix/media/v3/x"), broken()),
        (plain(), answer(300, &[], "[]")),
        (plain(), answer(399, &[], "[]")),
        (plain(), answer(200, &[("content-encoding", "gzip")], "[]")),
        // A path that nobody knows, and gateways, are answered by something in front.
        (plain(), answer(404, &[], "<html>")),
        (Request::new(Some("login"), "GET", path), answer(502, &[], "<html>")),
        (Request::new(Some("login"), "GET", path), answer(504, &[], "<html>")),
    ];
    for (request, response) in others {
        let shown = format!("{request:?} {response:?}");
        assert_eq!(seen(request, response), BTreeMap::new(), "{shown}");
    }
    for status in [200, 404, 500, 501, 505] {
        let request = Request::new(Some("login"), "GET", path);
        assert!(!seen(request, answer(status, &[], "<html>")).is_empty(), "{status}");
    }
    // Its own JSON is the homeserver's, whatever the path.
    assert!(!seen(plain(), answer(404, &[], "{}")).is_empty());
    assert!(!seen(plain(), answer(400, USUAL, "{}")).is_empty());
    assert!(!seen(plain(), answer(299, USUAL, "{}")).is_empty());
    assert!(!seen(get("/_matrix/client/v3/x?p=/sso/"), answer(200, USUAL, "{}")).is_empty());
}

#[test]
fn media_type_and_charset_are_judged_where_the_answer_is_json() {
    let typed = |value: &str| {
        answer(200, &[("content-type", value), ("access-control-allow-origin", "*")], "{}")
    };
    for fine in [
        "application/json",
        "Application/JSON ; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
        "application/json; a=b; Charset=UTF8",
        "application/json; charset",
    ] {
        breaks(plain(), typed(fine), &[]);
    }
    const TYPE: &str = "header Content-Type";
    for wrong in ["text/plain", "application/jsonp"] {
        breaks(plain(), typed(wrong), &[(Rule::MediaType, TYPE)]);
    }
    for wrong in ["application/json; charset=latin1", "application/json; a=b;charset=\"utf-16\""] {
        breaks(plain(), typed(wrong), &[(Rule::Utf8, TYPE)]);
    }
    let absent = answer(200, &[("access-control-allow-origin", "*")], "{}");
    breaks(plain(), absent, &[(Rule::MediaType, TYPE)]);
    // A page says nothing of media types, only that it is no JSON object.
    let page =
        answer(200, &[("content-type", "text/html"), ("access-control-allow-origin", "*")], "x");
    let called = Request::new(Some("unknown"), "GET", "/_matrix/client/v3/some");
    let found = seen(called, page);
    assert!(!found.contains_key(&Rule::MediaType) && !found.contains_key(&Rule::Utf8));
    assert!(found[&Rule::JsonObject].is_some());
}

#[test]
fn bytes_that_are_not_utf_8_break_and_a_byte_order_mark_warns() {
    let called = || Request::new(Some("unknown"), "GET", "/_matrix/client/v3/some");
    let found = seen(called(), answer(200, USUAL, b"{\"a\": \"\xff\"}".to_vec()));
    assert_eq!(found[&Rule::Utf8], Some(("body".to_owned(), false)));
    let marked = seen(called(), answer(200, USUAL, b"\xef\xbb\xbf{}".to_vec()));
    assert_eq!(marked[&Rule::Utf8], Some(("body".to_owned(), true)));
}

#[test]
fn a_body_that_is_no_object_is_one_finding() {
    breaks(plain(), json_answer(200, &json!([])), &[(Rule::JsonObject, "body")]);
    let both = [(Rule::JsonObject, "body"), (Rule::ErrorObject, "body")];
    breaks(plain(), json_answer(404, &json!([])), &both);
    // A page as an error is said once.
    let head = [("content-type", "text/html"), ("access-control-allow-origin", "*")];
    for status in [400, 500] {
        let called = Request::new(Some("unknown"), "GET", "/_matrix/client/v3/some");
        let page = answer(status, &head, "<html></html>");
        breaks(called, page, &[(Rule::ErrorObject, "body")]);
    }
}

#[test]
fn a_standard_error_has_a_code_and_a_text() {
    let cases = [
        (json!({"errcode": "M_UNKNOWN"}), vec![(Rule::ErrorText, "/error")]),
        (json!({"errcode": "M_UNKNOWN", "error": 1}), vec![(Rule::ErrorText, "/error")]),
        (json!({"error": "x"}), vec![(Rule::Errcode, "/errcode")]),
        (json!({"errcode": 5, "error": "x"}), vec![(Rule::Errcode, "/errcode")]),
    ];
    for (body, expected) in cases {
        breaks(plain(), json_answer(400, &body), &expected);
    }
    // Below 400 there is no error to judge.
    breaks(plain(), json_answer(200, &json!({"errcode": 5})), &[]);
}

#[test]
fn a_401_with_members_of_a_challenge_is_none_and_no_standard_error() {
    let members = [
        json!({"flows": []}),
        json!({"session": "x"}),
        json!({"params": {}}),
        json!({"completed": []}),
    ];
    for body in members {
        assert!(!seen(plain(), json_answer(401, &body)).contains_key(&Rule::ErrorObject), "{body}");
        assert!(seen(plain(), json_answer(400, &body)).contains_key(&Rule::ErrorObject), "{body}");
    }
    breaks(
        plain(),
        json_answer(401, &json!({})),
        &[(Rule::Errcode, "/errcode"), (Rule::ErrorText, "/error")],
    );
}

#[test]
fn codes_have_a_namespace_and_those_of_matrix_are_known() {
    let code = |code: &str| json_answer(400, &json!({"errcode": code, "error": "x"}));
    for fine in ["M_FORBIDDEN", "M_WRONG_ROOM_KEYS_VERSION", "ORG.MATRIX.MSC1_X.Y", "X1_Y_2"] {
        breaks(plain(), code(fine), &[]);
    }
    let wrong = [
        "M_",
        "M_MADE_UP",
        "m_forbidden",
        "FORBIDDEN",
        "_X",
        "X_",
        "org_X",
        "ORG_x",
        "O-G_X",
        "OG_X-Y",
        "M_FORBIDDEN M_UNKNOWN",
        "",
    ];
    for wrong in wrong {
        breaks(plain(), code(wrong), &[(Rule::ErrcodeNamespace, "/errcode")]);
    }
}

/// The codes of the specification, each with its clause.
fn codes_of_the_specification() -> BTreeMap<&'static str, &'static str> {
    let table = include_str!("../../../spec/error-codes.tsv");
    let rows = table.lines().skip(1).map(|line| line.split_once('\t').unwrap());
    rows.collect()
}

#[test]
fn the_known_codes_are_those_of_the_specification() {
    let table = codes_of_the_specification();
    let known: Vec<&str> = errors::KNOWN_CODES.split(' ').collect();
    assert_eq!(known, table.keys().copied().collect::<Vec<_>>());
    for (code, source) in table {
        let (file, line) = source.rsplit_once(':').unwrap();
        assert!(!file.is_empty() && line.parse::<u32>().is_ok(), "{code}: {source}");
    }
}

#[test]
fn every_code_in_the_bundled_files_is_known() {
    let table = codes_of_the_specification();
    let code = regex::Regex::new(r"\bM_[A-Z_]*[A-Z]\b").unwrap();
    let files = SPEC_V1.iter().chain(SPEC_R0).map(|(name, text)| (*name, *text));
    let mut found = 0;
    for (name, text) in files.chain([("requirements.yaml", REGISTER)]) {
        for code in code.find_iter(text) {
            assert!(table.contains_key(code.as_str()), "{name}: {}", code.as_str());
            found += 1;
        }
    }
    assert!(found > 50, "{found}");
}

#[test]
fn two_codes_have_members_of_their_own() {
    let error = |code: &str, member: (&str, Value)| {
        let mut body = json!({"errcode": code, "error": "x"});
        body[member.0] = member.1;
        json_answer(403, &body)
    };
    let resource = "M_RESOURCE_LIMIT_EXCEEDED";
    breaks(plain(), error(resource, ("admin_contact", json!("mailto:a@b"))), &[]);
    for wrong in [("admin_contact", json!(5)), ("x", json!(1))] {
        breaks(plain(), error(resource, wrong), &[(Rule::ResourceLimit, "/admin_contact")]);
    }
    let user = "M_USER_LIMIT_EXCEEDED";
    breaks(plain(), error(user, ("info_uri", json!("https://x"))), &[]);
    breaks(plain(), error(user, ("info_uri", json!(1))), &[(Rule::UserLimit, "/info_uri")]);
    let both = [(Rule::UserLimit, "/info_uri"), (Rule::CanUpgrade, "/can_upgrade")];
    breaks(plain(), error(user, ("can_upgrade", json!("yes"))), &both);
    let can = error(user, ("can_upgrade", json!(true)));
    breaks(plain(), can, &[(Rule::UserLimit, "/info_uri")]);
    breaks(plain(), error("M_FORBIDDEN", ("can_upgrade", json!("yes"))), &[]);
}

#[test]
fn soft_logout_is_a_boolean_and_only_with_401() {
    let with = |status, value: Value| {
        let body = json!({"errcode": "M_UNKNOWN_TOKEN", "error": "x", "soft_logout": value});
        json_answer(status, &body)
    };
    for value in [true, false] {
        let found = seen(plain(), with(401, json!(value)));
        assert_eq!(found.get(&Rule::SoftLogout), Some(&None));
    }
    for (status, value) in [(401, json!("true")), (403, json!(true)), (400, json!(false))] {
        breaks(plain(), with(status, value), &[(Rule::SoftLogout, "/soft_logout")]);
    }
    assert!(!seen(plain(), with(200, json!(5))).contains_key(&Rule::SoftLogout));
}

#[test]
fn cors_headers_are_judged_by_status_and_origin() {
    let with = |status, origin: Option<&str>| {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(origin.map(|origin| ("access-control-allow-origin", origin)));
        answer(status, &headers, r#"{"errcode": "M_UNKNOWN", "error": "x"}"#)
    };
    const PLACE: &str = "header Access-Control-Allow-Origin";
    breaks(plain(), with(200, None), &[(Rule::CorsActual, PLACE)]);
    breaks(plain(), with(399 + 1, None), &[(Rule::CorsError, PLACE)]);
    breaks(plain(), with(200, Some(ORIGIN)), &[]);
    for status in [200, 400] {
        breaks(plain(), with(status, Some("https://other.example")), &[(Rule::CorsOrigin, PLACE)]);
    }
}

#[test]
fn a_429_says_how_long_to_wait() {
    let limited = |status, errcode: &str, header: Option<&str>, ms: Option<Value>| {
        let mut body = json!({"errcode": errcode, "error": "x"});
        if let Some(ms) = ms {
            body["retry_after_ms"] = ms;
        }
        let mut headers = USUAL.to_vec();
        headers.extend(header.map(|value| ("retry-after", value)));
        answer(status, &headers, body.to_string())
    };
    let usual =
        |header: &str, ms: u64| limited(429, "M_LIMIT_EXCEEDED", Some(header), Some(json!(ms)));
    let date = "Wed, 21 Oct 2015 07:28:00 GMT";
    for fine in [
        usual("2", 2000),
        usual(" 2 ", 1001),
        usual("2", 3000),
        usual(date, 5),
        usual("0", 0),
        usual("1", 1),
    ] {
        let found = seen(plain(), fine.clone());
        assert_eq!(found.values().flatten().count(), 0, "{fine:?} {found:?}");
        assert_eq!(found.get(&Rule::RetryAfterGrammar), Some(&None));
        assert_eq!(found.get(&Rule::RetryAfterMsType), Some(&None));
    }
    const HEADER: &str = "header Retry-After";
    for apart in [usual("2", 999), usual("2", 3001), usual("5", 1)] {
        breaks(plain(), apart, &[(Rule::RateLimitConsistent, HEADER)]);
    }
    // Both in milliseconds: it is the header that is wrong.
    let milliseconds = usual("2000", 2000);
    breaks(
        plain(),
        milliseconds,
        &[(Rule::RetryAfterGrammar, HEADER), (Rule::RateLimitConsistent, HEADER)],
    );
    breaks(plain(), usual("1000", 1000), &[(Rule::RateLimitConsistent, HEADER)]);
    for wrong in ["soon", "", "-1", "1.5"] {
        breaks(plain(), usual(wrong, 1000), &[(Rule::RetryAfterGrammar, HEADER)]);
    }
    // So long that it can hardly be meant in seconds.
    for (header, doubtful) in [("10000", false), ("10001", true), ("99999999999999999999", true)] {
        let found = seen(plain(), limited(429, "M_LIMIT_EXCEEDED", Some(header), None));
        let expected = doubtful.then(|| (HEADER.to_owned(), true));
        assert_eq!(found[&Rule::RetryAfterGrammar], expected, "{header}");
    }
    breaks(
        plain(),
        limited(429, "M_LIMIT_EXCEEDED", None, None),
        &[(Rule::RetryAfterPresent, HEADER), (Rule::RetryAfterMsPresent, "/retry_after_ms")],
    );
    for (ms, fits) in [
        (json!(2000.0), true),
        (json!(2000), true),
        (json!(-5), true),
        (json!(1.5), false),
        (json!("2"), false),
    ] {
        let found = seen(plain(), limited(429, "M_LIMIT_EXCEEDED", Some(date), Some(ms.clone())));
        assert_eq!(found[&Rule::RetryAfterMsType].is_none(), fits, "{ms}");
    }
    breaks(
        plain(),
        limited(429, "M_FORBIDDEN", Some("1"), Some(json!(1000))),
        &[(Rule::RateLimitErrcode, "/errcode")],
    );
    breaks(
        plain(),
        limited(403, "M_LIMIT_EXCEEDED", None, None),
        &[(Rule::RateLimitStatus, "status")],
    );
    // Another refusal may have such a header, and says nothing of limits.
    let found = seen(plain(), limited(503, "M_UNKNOWN", Some("soon"), None));
    assert!(
        !found.contains_key(&Rule::RetryAfterGrammar)
            && !found.contains_key(&Rule::RateLimitStatus)
    );
}

#[test]
fn retry_after_is_asked_for_by_releases_that_have_it() {
    let (register, spec) = &*FILES;
    let exchange = Exchange {
        request: plain(),
        url: String::new(),
        sent_headers: Vec::new(),
        result: Ok(json_answer(429, &json!({"errcode": "M_LIMIT_EXCEEDED", "error": "x"}))),
        duration: Duration::ZERO,
        shared: false,
    };
    let rule = register.rule(Rule::RetryAfterPresent).unwrap();
    for (release, asked) in [("v1.9", false), ("v1.10", true)] {
        let listed = Listed::new([release]);
        let found = observe(Context { register, spec, listed: &listed }, &exchange);
        assert_eq!(found.iter().any(|one| one.requirement.id == rule.id), asked, "{release}");
    }
}

#[test]
fn a_malformed_request_is_no_reason_to_crash() {
    let login = |body: &str| {
        let mut request = Request::new(Some("login"), "POST", "/_matrix/client/v3/login");
        request.body = Some(body.as_bytes().to_vec());
        request
    };
    let crash = || json_answer(500, &json!({"errcode": "M_UNKNOWN", "error": "x"}));
    let refusal = || json_answer(499, &json!({"errcode": "M_UNKNOWN", "error": "x"}));
    for malformed in ["{", "[]", "{}", r#"{"type": 5}"#] {
        let rule = Rule::MalformedNo5xx;
        assert_eq!(seen(login(malformed), crash())[&rule], Some(("status".to_owned(), false)));
        assert_eq!(seen(login(malformed), refusal())[&rule], None, "{malformed}");
    }
    let right = r#"{"type": "m.login.password"}"#;
    assert!(!seen(login(right), crash()).contains_key(&Rule::MalformedNo5xx));
    let (register, spec) = &*FILES;
    let listed = Listed::new(["v1.11"]);
    let exchange = |result| Exchange {
        request: login("{"),
        url: String::new(),
        sent_headers: Vec::new(),
        result: Ok(result),
        duration: Duration::ZERO,
        shared: false,
    };
    let actual = |result| {
        let found = observe(Context { register, spec, listed: &listed }, &exchange(result));
        let rule = register.rule(Rule::MalformedNo5xx).unwrap();
        let one = found.into_iter().find(|one| one.requirement.id == rule.id);
        one.and_then(|one| one.miss).unwrap().actual
    };
    assert_eq!(actual(crash()), "status 500 with errcode \"M_UNKNOWN\"");
    assert_eq!(actual(json_answer(501, &json!({}))), "status 501");
    let without_body = Request::new(Some("login"), "POST", "/_matrix/client/v3/login");
    assert!(!seen(without_body, crash()).contains_key(&Rule::MalformedNo5xx));
}

#[test]
fn a_login_is_not_answered_with_a_challenge_and_a_registration_begins_with_one() {
    let challenge =
        || json_answer(401, &json!({"session": "s", "flows": [{"stages": []}], "params": {}}));
    let login = || Request::new(Some("login"), "POST", "/_matrix/client/v3/login");
    assert!(seen(login(), challenge())[&Rule::LoginNoUia].is_some());
    let refused = || json_answer(403, &json!({"errcode": "M_FORBIDDEN", "error": "x"}));
    assert!(seen(login(), refused())[&Rule::LoginNoUia].is_none());
    let path = "/_matrix/client/v3/register";
    let register =
        |path: &str, body: Value| Request::new(Some("register"), "POST", path).json(&body);
    assert!(!seen(register(path, json!({})), challenge()).contains_key(&Rule::LoginNoUia));
    let done =
        || json_answer(200, &json!({"user_id": "@a:b", "access_token": "t", "device_id": "D"}));
    let rule = Rule::RegisterUia;
    assert!(seen(register(path, json!({"username": "a"})), done())[&rule].is_some());
    assert!(seen(register(path, json!({"username": "a"})), challenge())[&rule].is_none());
    let others = [
        register(path, json!({"auth": {"type": "m.login.dummy"}})),
        register(path, json!({"type": "m.login.application_service"})),
        register(&format!("{path}?kind=guest"), json!({})),
        Request::new(Some("register"), "POST", path),
        Request::new(Some("login"), "POST", path).json(&json!({})),
    ];
    for other in others {
        assert!(!seen(other, done()).contains_key(&rule));
    }
}

/// Ids of what a schema says of an answer, with whether each is broken, and whether it only warns.
fn by_schema(operation: &str, path: &str, response: Response) -> Vec<(String, bool, bool)> {
    let (register, spec) = &*FILES;
    let listed = Listed::new(["v1.11"]);
    let exchange = Exchange {
        request: Request::new(Some(operation), "GET", path),
        url: String::new(),
        sent_headers: Vec::new(),
        result: Ok(response),
        duration: Duration::ZERO,
        shared: false,
    };
    let found = observe(Context { register, spec, listed: &listed }, &exchange);
    let by_schema = |one: &&Observation<'_>| {
        one.requirement
            .standing
            .iter()
            .any(|check| matches!(check, crate::requirements::StandingCheck::Schema(_)))
    };
    let shown =
        |one: &Observation<'_>| (one.requirement.id.clone(), one.miss.is_some(), one.warn_only);
    found.iter().filter(by_schema).map(shown).collect()
}

#[test]
fn a_schema_is_said_kept_where_its_place_is_there_and_broken_once_for_all_alike() {
    let (register, _) = &*FILES;
    let id = |pointer: &str, keyword: &str| {
        register.requirement_for_violation("getDevices", 200, pointer, keyword).unwrap().id.clone()
    };
    let of = |body: Value| {
        by_schema("getDevices", "/_matrix/client/v3/devices", json_answer(200, &body))
    };
    let device_id = id("/devices/*/device_id", "required");
    let is_broken = |body: Value| {
        of(body)
            .iter()
            .filter(|(one, ..)| *one == device_id)
            .map(|(_, broken, _)| *broken)
            .collect::<Vec<_>>()
    };
    assert_eq!(is_broken(json!({"devices": [{"device_id": "A"}]})), [false]);
    assert_eq!(is_broken(json!({"devices": [{"device_id": "A"}, {}]})), [true]);
    assert!(!is_broken(json!({"devices": []})).contains(&true), "no device to look at");
    // An optional member as null only warns, a required one does not.
    let warns = |body: Value| of(body).iter().any(|(_, broken, warn_only)| *broken && *warn_only);
    assert!(warns(json!({"devices": [{"device_id": "A", "display_name": null}]})));
    assert!(!warns(json!({"devices": [{"device_id": null}]})));
    assert!(!warns(json!({"devices": [null]})));
}

#[test]
fn a_refusal_that_is_no_object_breaks_the_requirement_of_its_status_too() {
    let is_broken = |status, response: Response| {
        let id = format!("login.post.{status}.shape");
        let found = by_schema("login", "/_matrix/client/v3/login", response);
        found
            .iter()
            .filter(|(one, ..)| *one == id)
            .map(|(_, broken, _)| *broken)
            .collect::<Vec<_>>()
    };
    let whole = json!({"errcode": "M_FORBIDDEN", "error": "x"});
    for status in [400, 403] {
        assert_eq!(is_broken(status, answer(status, USUAL, "<html>")), [true], "{status}");
        assert_eq!(is_broken(status, json_answer(status, &whole)), [false], "{status}");
    }
    // Where the status has no requirement of its own, the general ones are all.
    let general = FILES.0.rule(Rule::Errcode).unwrap().id.clone();
    let page = by_schema("getDevice", "/_matrix/client/v3/devices/D", answer(404, USUAL, "<html>"));
    assert!(page.iter().all(|(id, ..)| *id != general), "{page:?}");
}

#[test]
fn a_plain_401_is_judged_as_a_challenge_only_if_it_is_meant_as_one() {
    let path = "/_matrix/client/v3/devices/D";
    let of = |body: Value| by_schema("deleteDevice", path, json_answer(401, &body));
    let plain = json!({"errcode": "M_UNKNOWN_TOKEN", "error": "x"});
    let broken =
        |found: Vec<(String, bool, bool)>| found.iter().filter(|(_, broken, _)| *broken).count();
    assert_eq!(broken(of(plain.clone())), 0);
    assert!(broken(of(json!({"session": 5}))) > 0 && broken(of(json!({"flows": 5}))) > 0);
    assert_eq!(
        broken(of(json!({"session": "s", "flows": [{"stages": ["m.login.dummy"]}], "params": {}}))),
        0
    );
    // The 401 of an operation without interactive auth is described as an error.
    let whoami =
        by_schema("getTokenOwner", "/_matrix/client/v3/account/whoami", json_answer(401, &plain));
    let nobody = by_schema("unknown", "/_matrix/client/v3/x", json_answer(401, &plain));
    assert!(whoami.len() > nobody.len(), "{whoami:?} {nobody:?}");
    assert_eq!(of(plain).len(), nobody.len());
}

#[test]
fn an_answer_without_end_is_blocked_by_all_that_would_have_looked() {
    let (register, spec) = &*FILES;
    let listed = Listed::new(["v1.11"]);
    let context = Context { register, spec, listed: &listed };
    let of = |status| {
        let body = json!({"devices": vec![0; 300_000]}).to_string();
        let exchange = Exchange {
            request: Request::new(Some("getDevices"), "GET", "/_matrix/client/v3/devices"),
            url: String::new(),
            sent_headers: Vec::new(),
            result: Ok(answer(status, USUAL, body)),
            duration: Duration::ZERO,
            shared: false,
        };
        let found = observe(context, &exchange);
        assert!(found.iter().all(|one| {
            one.miss.is_none()
                && one.undecided.as_ref().is_some_and(|(v, _)| *v == Verdict::Blocked)
        }));
        let mut ids: Vec<String> = found.iter().map(|one| one.requirement.id.clone()).collect();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count, "each once");
        ids
    };
    let id = |rule| register.rule(rule).unwrap().id.clone();
    let success = of(200);
    assert!(success.contains(&id(Rule::JsonObject)) && !success.contains(&id(Rule::ErrorObject)));
    let required =
        register.requirement_for_violation("getDevices", 200, "/devices/*/device_id", "required");
    assert!(success.contains(&required.unwrap().id));
    let refused = of(404);
    assert!(refused.contains(&id(Rule::ErrorObject)) && refused.contains(&id(Rule::Errcode)));
}

#[test]
fn a_pointer_is_followed_through_lists_members_and_escapes() {
    let body = json!({"a": [{"b": 1}, {"c~/d": null}], "m": {"x": {"y": 1}}});
    for there in ["", "/a", "/a/*/b", "/a/1/c~0~1d", "/m/*/y", "/a/0"] {
        assert!(schema::exists(&body, there), "{there}");
    }
    for absent in ["/b", "/a/*/x", "/a/2", "/a/b", "/m/*/z", "/a/0/b/c", "/a/0/c~0~1d"] {
        assert!(!schema::exists(&body, absent), "{absent}");
    }
}
