//! The checks on every answer, unasked: media type, UTF-8, JSON object, the published schema, the
//! standard error, CORS and the shape of 429. Each observation belongs to one requirement. Pure.
use super::expect::Mismatch;
use crate::case::matcher::{media_type_essence, shown};
use crate::http::message::{Exchange, ORIGIN, Response};
use crate::model::reason::Reason;
use crate::model::release::Listed;
use crate::model::run::Verdict;
use crate::requirements::{Register, Requirement, Rule};
use crate::spec::{Schema, SchemaViolation, Spec, UnusableSchema};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What a standing check says of one answer.
#[derive(Debug, Clone)]
pub struct Observation<'r> {
    /// The requirement.
    pub requirement: &'r Requirement,
    /// Nothing, or in which way it is broken.
    pub miss: Option<Mismatch>,
    /// How many times more the answer breaks it in the same way at places like this one.
    pub more: usize,
    /// Why the answer, which would have decided it, was not looked at: blocked, or errored.
    pub undecided: Option<(Verdict, Reason)>,
    /// Whether a breach is only worth a warning here, whatever its level.
    pub warn_only: bool,
    /// Where the specification file asks for it, if one does.
    pub place: Option<(String, u32)>,
}

/// What the checks need to know beside the answer.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The register.
    pub register: &'a Register,
    /// The specification files.
    pub spec: &'a Spec,
    /// What the server lists.
    pub listed: &'a Listed,
}

/// Every observation that one exchange allows.
pub fn observe<'r>(context: Context<'r>, exchange: &Exchange) -> Vec<Observation<'r>> {
    let Ok(response) = &exchange.result else { return Vec::new() };
    let mut sheet = Observations { register: context.register, observations: Vec::new() };
    let described = described(context, exchange, response);
    if let Some(reason) = response.beyond_bounds() {
        too_large(&mut sheet, exchange, response, described, &reason);
        return sheet.observations;
    }
    match resource(exchange, response) {
        Resource::NotChecked => {}
        Resource::Document => schema(&mut sheet, context, exchange, response, described),
        Resource::Api => {
            cors(&mut sheet, response);
            body(&mut sheet, response);
            let challenge = response.status == 401 && is_meant_as_challenge(response);
            if response.status >= 400 && !challenge {
                error(&mut sheet, response);
            }
            soft_logout(&mut sheet, response);
            rate_limit(&mut sheet, context.listed, response, described.is_some());
            schema(&mut sheet, context, exchange, response, described);
            malformed(&mut sheet, context, exchange, response);
            login_challenge(&mut sheet, exchange, response);
            registration(&mut sheet, exchange, response);
        }
    }
    sheet.observations
}

/// What an answer leaves undecided whose body is not looked at.
fn too_large(
    sheet: &mut Observations<'_>,
    exchange: &Exchange,
    response: &Response,
    described: Option<&Schema>,
    reason: &Reason,
) {
    let Some(operation) = exchange.request.operation.as_deref() else { return };
    let general: &[Rule] = match response.status {
        400.. => &[Rule::JsonObject, Rule::ErrorObject, Rule::Errcode],
        _ => &[Rule::JsonObject],
    };
    let register = sheet.register;
    let mut all: Vec<&Requirement> =
        general.iter().filter_map(|rule| register.rule(*rule)).collect();
    all.extend(described.into_iter().flat_map(|one| of_schema(register, operation, response, one)));
    undecided(sheet, all, Verdict::Blocked, reason);
}

/// The requirements that a documented schema decides for such an answer.
fn of_schema<'r>(
    register: &'r Register,
    operation: &str,
    response: &Response,
    described: &Schema,
) -> impl Iterator<Item = &'r Requirement> {
    described.locations().iter().filter_map(move |(pointer, keyword)| {
        register.requirement_for_violation(operation, response.status, pointer, keyword)
    })
}

/// Says of requirements that the answer decided nothing, each once.
fn undecided<'r>(
    sheet: &mut Observations<'r>,
    mut all: Vec<&'r Requirement>,
    verdict: Verdict,
    reason: &Reason,
) {
    all.sort_by_key(|requirement| &requirement.id);
    all.dedup_by_key(|requirement| &requirement.id);
    let undecided = |requirement| Observation {
        undecided: Some((verdict, reason.clone())),
        ..Observation::of(requirement, None)
    };
    sheet.observations.extend(all.into_iter().map(undecided));
}

/// Why nothing is said by a schema that cannot be used; files with one are refused beforehand.
fn unusable(error: &UnusableSchema) -> Reason {
    Reason::UnusableSchema { error: error.to_string() }
}

enum Resource {
    /// Answers JSON by the general rules.
    Api,
    /// A static JSON document whose headers nobody pins.
    Document,
    /// OPTIONS, redirects, pages for browsers, what lies outside the API, and what something in
    /// front of it answers.
    NotChecked,
}

fn resource(exchange: &Exchange, response: &Response) -> Resource {
    let path = exchange.request.path.split('?').next().unwrap_or_default();
    if exchange.request.method == "OPTIONS" || exchange.request.method == "HEAD" {
        return Resource::NotChecked;
    }
    if path.contains("/.well-known/") {
        return Resource::Document;
    }
    if path.contains("/sso/") || path.contains("/fallback/") {
        return Resource::NotChecked;
    }
    if response.coding().is_some() {
        return Resource::NotChecked;
    }
    if (300..400).contains(&response.status) || !path.contains("/_matrix/client/") {
        return Resource::NotChecked;
    }
    // An unknown path or method may be answered by the web server in front of the API; the cases
    // on routes look at it. A gateway's own page says nothing of the homeserver.
    let foreign = exchange.request.operation.is_none() || matches!(response.status, 502..=504);
    if foreign && response.json().is_err() { Resource::NotChecked } else { Resource::Api }
}

struct Observations<'a> {
    register: &'a Register,
    observations: Vec<Observation<'a>>,
}

impl<'r> Observation<'r> {
    fn of(requirement: &'r Requirement, miss: Option<Mismatch>) -> Observation<'r> {
        Observation { requirement, miss, more: 0, undecided: None, warn_only: false, place: None }
    }
}

impl Observations<'_> {
    fn note(&mut self, rule: Rule, miss: Option<Mismatch>) {
        self.note_mildly(rule, miss, false);
    }

    fn note_mildly(&mut self, rule: Rule, miss: Option<Mismatch>, warn_only: bool) {
        if let Some(requirement) = self.register.rule(rule) {
            self.observations.push(Observation { warn_only, ..Observation::of(requirement, miss) });
        }
    }

    fn check(
        &mut self,
        rule: Rule,
        holds: bool,
        place: &str,
        expected: &str,
        actual: &dyn Fn() -> String,
    ) {
        self.note(rule, (!holds).then(|| miss(place, expected, actual())));
    }
}

fn miss(place: &str, expected: impl Into<String>, actual: impl Into<String>) -> Mismatch {
    Mismatch { place: place.to_owned(), expected: expected.into(), actual: actual.into() }
}

fn body(sheet: &mut Observations, response: &Response) {
    let content_type = response.header("content-type");
    let is_json = content_type.as_deref().map(media_type_essence);
    let parsed = response.json();
    if parsed.is_ok() || is_json.as_deref() == Some("application/json") {
        sheet.check(
            Rule::MediaType,
            is_json.as_deref() == Some("application/json"),
            "header Content-Type",
            "the media type application/json",
            &|| content_type.clone().map_or("absent".to_owned(), |value| format!("{value:?}")),
        );
        utf8(sheet, response, content_type.as_deref());
    }
    // Said once: that an error is no standard error says so already.
    if response.status >= 400 && response.is_page() {
        return;
    }
    let object = parsed.is_ok_and(Value::is_object);
    sheet.check(Rule::JsonObject, object, "body", "a JSON object", &|| match response.json() {
        Ok(value) => shown(Some(value)),
        Err(why) => format!("not JSON: {why}"),
    });
}

fn utf8(sheet: &mut Observations, response: &Response, content_type: Option<&str>) {
    let valid = std::str::from_utf8(&response.body).is_ok();
    let charset = content_type.and_then(|value| {
        let (_, parameters) = value.split_once(';')?;
        parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case("charset")
                .then(|| value.trim().trim_matches('"').to_ascii_lowercase())
        })
    });
    let charset_fits =
        charset.as_deref().is_none_or(|charset| ["utf-8", "utf8"].contains(&charset));
    let found = if !valid && !response.truncated {
        Some(miss("body", "UTF-8", "bytes that are not UTF-8"))
    } else if !charset_fits {
        Some(miss("header Content-Type", "charset UTF-8, or none", charset.unwrap_or_default()))
    } else {
        None
    };
    let bom = response.body.starts_with(b"\xef\xbb\xbf");
    match found {
        None if bom => {
            let found = miss("body", "JSON without a byte order mark", "a byte order mark");
            sheet.note_mildly(Rule::Utf8, Some(found), true);
        }
        found => sheet.note(Rule::Utf8, found),
    }
}

fn error(sheet: &mut Observations, response: &Response) {
    let object = response.json().ok().filter(|body| body.is_object());
    sheet.check(Rule::ErrorObject, object.is_some(), "body", "a standard error object", &|| {
        match response.json() {
            Ok(value) => shown(Some(value)),
            Err(why) => format!("not JSON: {why}"),
        }
    });
    let Some(object) = object else { return };
    let errcode = object.get("errcode");
    let fits = errcode.is_some_and(Value::is_string);
    sheet.check(Rule::Errcode, fits, "/errcode", "a string", &|| shown(errcode));
    let text = object.get("error");
    let fits = text.is_some_and(Value::is_string);
    sheet.check(Rule::ErrorText, fits, "/error", "a string", &|| shown(text));
    if let Some(code) = errcode.and_then(Value::as_str) {
        sheet.check(
            Rule::ErrcodeNamespace,
            is_namespaced(code),
            "/errcode",
            "a code of the specification (M_…), or one with a namespace of the server's own",
            &|| format!("{code:?}"),
        );
        by_code(sheet, code, object);
    }
}

/// The codes that the specification owns, in any of its APIs that a client may meet: nobody else
/// gives out codes that begin `M_`.
const KNOWN_CODES: [&str; 64] = [
    "M_APPSERVICE_LOGIN_UNSUPPORTED",
    "M_BAD_ALIAS",
    "M_BAD_JSON",
    "M_BAD_STATE",
    "M_BAD_STATUS",
    "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM",
    "M_CANNOT_OVERWRITE_MEDIA",
    "M_CAPTCHA_INVALID",
    "M_CAPTCHA_NEEDED",
    "M_CONCURRENT_WRITE",
    "M_CONNECTION_FAILED",
    "M_CONNECTION_TIMEOUT",
    "M_CONSENT_NOT_GIVEN",
    "M_DUPLICATE_ANNOTATION",
    "M_EMAIL_SEND_ERROR",
    "M_EXCLUSIVE",
    "M_EXPIRED_ACCOUNT",
    "M_FORBIDDEN",
    "M_GUEST_ACCESS_FORBIDDEN",
    "M_INCOMPATIBLE_ROOM_VERSION",
    "M_INVALID_ADDRESS",
    "M_INVALID_EMAIL",
    "M_INVALID_PARAM",
    "M_INVALID_ROOM_STATE",
    "M_INVALID_SIGNATURE",
    "M_INVALID_USERNAME",
    "M_KEY_TOO_LARGE",
    "M_LIMIT_EXCEEDED",
    "M_MISSING_PARAM",
    "M_MISSING_TOKEN",
    "M_NOT_FOUND",
    "M_NOT_JSON",
    "M_NOT_YET_UPLOADED",
    "M_NO_VALID_SESSION",
    "M_RESOURCE_LIMIT_EXCEEDED",
    "M_ROOM_IN_USE",
    "M_SEND_ERROR",
    "M_SERVER_NOT_TRUSTED",
    "M_SESSION_EXPIRED",
    "M_SESSION_NOT_VALIDATED",
    "M_TERMS_NOT_SIGNED",
    "M_THREEPID_AUTH_FAILED",
    "M_THREEPID_DENIED",
    "M_THREEPID_IN_USE",
    "M_THREEPID_MEDIUM_NOT_SUPPORTED",
    "M_THREEPID_NOT_FOUND",
    "M_TOO_LARGE",
    "M_UNABLE_TO_AUTHORISE_JOIN",
    "M_UNABLE_TO_GRANT_JOIN",
    "M_UNAUTHORIZED",
    "M_UNKNOWN",
    "M_UNKNOWN_DEVICE",
    "M_UNKNOWN_POS",
    "M_UNKNOWN_TOKEN",
    "M_UNRECOGNIZED",
    "M_UNSUPPORTED_ROOM_VERSION",
    "M_URL_NOT_SET",
    "M_USER_DEACTIVATED",
    "M_USER_IN_USE",
    "M_USER_LIMIT_EXCEEDED",
    "M_USER_LOCKED",
    "M_USER_SUSPENDED",
    "M_WEAK_PASSWORD",
    "M_WRONG_ROOM_KEYS_VERSION",
];

/// `M_FORBIDDEN`, `ORG.MATRIX.MSC1234_CODE` (Client-Server API, "Standard error response").
fn is_namespaced(code: &str) -> bool {
    if code.starts_with("M_") {
        return KNOWN_CODES.contains(&code);
    }
    let allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    code.split_once('_').is_some_and(|(namespace, rest)| {
        !namespace.is_empty()
            && !rest.is_empty()
            && namespace.chars().all(|c| allowed(c) || c == '.')
            && rest.chars().all(|c| allowed(c) || c == '_' || c == '.')
    })
}

fn by_code(sheet: &mut Observations, code: &str, object: &Value) {
    match code {
        "M_RESOURCE_LIMIT_EXCEEDED" => {
            let contact = object.get("admin_contact");
            sheet.check(
                Rule::ResourceLimit,
                contact.is_some_and(Value::is_string),
                "/admin_contact",
                "a string",
                &|| shown(contact),
            );
        }
        "M_USER_LIMIT_EXCEEDED" => {
            let uri = object.get("info_uri");
            let fits = uri.is_some_and(Value::is_string);
            sheet.check(Rule::UserLimit, fits, "/info_uri", "a string", &|| shown(uri));
            if let Some(can) = object.get("can_upgrade") {
                sheet.check(
                    Rule::CanUpgrade,
                    can.is_boolean(),
                    "/can_upgrade",
                    "a boolean",
                    &|| shown(Some(can)),
                );
            }
        }
        _ => {}
    }
}

/// A request that cannot be right, by its body and the published request schema, is the client's
/// fault and not the server's.
fn malformed<'r>(
    sheet: &mut Observations<'r>,
    context: Context<'r>,
    exchange: &Exchange,
    response: &Response,
) {
    let operation = exchange.request.operation.as_deref().and_then(|id| context.spec.operation(id));
    let request = operation.and_then(|operation| operation.request.as_ref());
    let (Some(request), Some(body)) = (request, exchange.request.body.as_deref()) else { return };
    let fits_schema = |body: &Value| match &request.schema {
        Some(schema) => schema.violations(body).map(|found| found.is_empty()),
        None => Ok(true),
    };
    let is_right = match serde_json::from_slice::<Value>(body) {
        Ok(body) if body.is_object() => fits_schema(&body),
        _ => Ok(false),
    };
    let is_right = match is_right {
        Ok(is_right) => is_right,
        Err(error) => {
            let rule = context.register.rule(Rule::MalformedNo5xx).into_iter().collect();
            return undecided(sheet, rule, Verdict::Errored, &unusable(&error));
        }
    };
    if !is_right {
        let fits = response.status < 500;
        sheet.check(Rule::MalformedNo5xx, fits, "status", "status 4xx", &|| status_words(response));
    }
}

fn login_challenge(sheet: &mut Observations, exchange: &Exchange, response: &Response) {
    if exchange.request.is_login() {
        let fits = !response.is_challenge();
        sheet.check(Rule::LoginNoUia, fits, "status", "no challenge of interactive auth", &|| {
            "status 401 with a list of flows".to_owned()
        });
    }
}

/// A user is registered by interactive auth, even if a dummy stage is all of it; guests and application services are not.
/// No case asks for this, since it would make accounts where it is broken. Where the run makes accounts it shows unasked.
fn registration(sheet: &mut Observations, exchange: &Exchange, response: &Response) {
    let request = &exchange.request;
    if request.operation.as_deref() != Some("register") || request.path.contains("kind=guest") {
        return;
    }
    let Some(body) = request.json_body() else { return };
    if body.get("auth").is_some() || body.get("type").is_some() {
        return;
    }
    let fits = !response.is_success();
    sheet.check(Rule::RegisterUia, fits, "status", "a challenge of interactive auth", &|| {
        format!("status {} without auth", response.status)
    });
}

fn status_words(response: &Response) -> String {
    match response.text_at("/errcode") {
        Some(code) => format!("status {} with errcode {code:?}", response.status),
        None => format!("status {}", response.status),
    }
}

fn soft_logout(sheet: &mut Observations, response: &Response) {
    let Some(value) = response.json().ok().and_then(|body| body.get("soft_logout")) else { return };
    if response.status < 400 {
        return;
    }
    let fits = value.is_boolean() && response.status == 401;
    sheet.check(Rule::SoftLogout, fits, "/soft_logout", "a boolean, and only with 401", &|| {
        format!("{} with status {}", shown(Some(value)), response.status)
    });
}

fn cors(sheet: &mut Observations, response: &Response) {
    let origin = response.header("access-control-allow-origin");
    let rule = if response.status >= 400 { Rule::CorsError } else { Rule::CorsActual };
    sheet.check(rule, origin.is_some(), "header Access-Control-Allow-Origin", "present", &|| {
        "absent".to_owned()
    });
    if let Some(origin) = origin {
        let fits = origin == "*" || origin == ORIGIN;
        sheet.check(
            Rule::CorsOrigin,
            fits,
            "header Access-Control-Allow-Origin",
            "\"*\", or the request's Origin",
            &|| format!("{origin:?}"),
        );
    }
}

fn rate_limit(sheet: &mut Observations, listed: &Listed, response: &Response, described: bool) {
    let errcode = response.text_at("/errcode");
    let says_limited = errcode == Some("M_LIMIT_EXCEEDED");
    if response.status != 429 && !says_limited {
        return;
    }
    sheet.check(Rule::RateLimitStatus, response.status == 429, "status", "status 429", &|| {
        format!("status {}", response.status)
    });
    if response.status != 429 {
        return;
    }
    sheet.check(Rule::RateLimitErrcode, says_limited, "/errcode", "\"M_LIMIT_EXCEEDED\"", &|| {
        errcode.map_or("absent".to_owned(), |code| format!("{code:?}"))
    });
    retry_after(sheet, listed, response);
    if !described {
        retry_after_ms_type(sheet, response);
    }
}

fn retry_after(sheet: &mut Observations, listed: &Listed, response: &Response) {
    const PLACE: &str = "header Retry-After";
    let header = response.header("retry-after");
    let in_body = response.json().ok().and_then(|body| body.get("retry_after_ms").cloned());
    if let Some(rule) = sheet.register.rule(Rule::RetryAfterPresent)
        && rule.applies(listed)
    {
        sheet.check(Rule::RetryAfterPresent, header.is_some(), PLACE, "present", &|| {
            "absent".to_owned()
        });
    }
    if let Some(value) = &header {
        let seconds = value.trim().parse::<u64>().ok();
        let digits = !value.trim().is_empty() && value.trim().bytes().all(|b| b.is_ascii_digit());
        let ms = in_body.as_ref().and_then(Value::as_u64);
        // The same number in both units is no rounding: the header was written in milliseconds.
        let unit_missed = seconds.is_some() && seconds == ms && ms > Some(1000);
        let date = httpdate::parse_http_date(value.trim()).is_ok();
        let fits = (digits || date) && !unit_missed;
        const LONGEST: u64 = 10_000;
        let doubtful = digits && seconds.is_none_or(|seconds| seconds > LONGEST);
        if fits && doubtful {
            let found = miss(PLACE, "seconds", format!("{value:?}, which looks like milliseconds"));
            sheet.note_mildly(Rule::RetryAfterGrammar, Some(found), true);
        } else {
            sheet.check(Rule::RetryAfterGrammar, fits, PLACE, "seconds or an HTTP date", &|| {
                format!("{value:?}")
            });
        }
        if let (Some(seconds), Some(ms)) = (seconds, ms) {
            let fits = seconds.saturating_mul(1000).abs_diff(ms) <= 1000;
            sheet.check(
                Rule::RateLimitConsistent,
                fits,
                PLACE,
                &format!("the {ms} ms of the body, rounded to seconds"),
                &|| format!("{seconds} s"),
            );
        }
    }
    sheet.check(
        Rule::RetryAfterMsPresent,
        in_body.is_some(),
        "/retry_after_ms",
        "present",
        &|| "absent".to_owned(),
    );
}

fn retry_after_ms_type(sheet: &mut Observations, response: &Response) {
    let Some(value) = response.json().ok().and_then(|body| body.get("retry_after_ms")) else {
        return;
    };
    let fits = value.is_i64()
        || value.is_u64()
        || value.as_f64().is_some_and(|number| number.fract() == 0.0);
    sheet.check(Rule::RetryAfterMsType, fits, "/retry_after_ms", "an integer", &|| {
        shown(Some(value))
    });
}

/// The published schema that applies to the answer.
fn described<'c>(
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
fn is_meant_as_challenge(response: &Response) -> bool {
    let members = ["flows", "session", "params", "completed"];
    response.json().is_ok_and(|body| members.iter().any(|member| body.get(member).is_some()))
}

/// Whether the published 401 of an operation is the challenge of interactive auth.
fn is_challenge_schema(schema: &Schema) -> bool {
    schema.locations().iter().any(|(pointer, _)| pointer == "/flows")
}

fn schema<'r>(
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
        let is_null = keyword == "null";
        let watcher =
            *by_violation.entry((location.clone(), keyword)).or_insert_with_key(|(l, k)| {
                context.register.requirement_for_violation(operation, response.status, l, k)
            });
        let Some(requirement) = watcher else { continue };
        let warn_only = is_null && !is_required(described, &location) && !is_item(json, &pointer);
        let found = miss(&pointer, violation.expected, violation.actual);
        broken.push(Observation {
            warn_only,
            more: violation.more,
            place: Some((violation.spec_file, violation.spec_line)),
            ..Observation::of(requirement, Some(found))
        });
    }
    let is_broken: HashSet<&str> = broken.iter().map(|one| one.requirement.id.as_str()).collect();
    let seen = seen(context, operation, response.status, described, json);
    let met = seen.into_values().filter(|one| !is_broken.contains(one.id.as_str()));
    sheet.observations.extend(met.map(|requirement| Observation::of(requirement, None)));
    sheet.observations.extend(broken);
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

/// Whether a place in a body is an item of a list: a null there stands in place of nothing optional.
fn is_item(body: &Value, pointer: &str) -> bool {
    let around = pointer.rsplit_once('/').and_then(|(around, _)| body.pointer(around));
    around.is_some_and(Value::is_array)
}

/// Whether the published schema requires the member at a place, given as a location of the schema.
fn is_required(schema: &Schema, location: &str) -> bool {
    schema.locations().contains(&(location.to_owned(), "required".to_owned()))
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

fn exists(body: &Value, pointer: &str) -> bool {
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
