//! The checks on every answer, unasked: media type, UTF-8, JSON object, the published schema, the
//! standard error, CORS and the shape of 429. Each observation belongs to one requirement. Pure.
mod cors;
mod errors;
mod nulls;
mod rate_limit;
mod schema;

use crate::case::matcher::{media_type_essence, shown};
use crate::check::expect::Mismatch;
use crate::http::gateway::has_gateway_status;
use crate::http::message::{Exchange, Response};
use crate::model::reason::Reason;
use crate::model::release::Listed;
use crate::model::run::Verdict;
use crate::requirements::{Register, Requirement, Rule};
use crate::spec::{Schema, Spec};
use cors::cors;
use errors::{error, soft_logout};
use rate_limit::rate_limit;
use schema::{described, is_meant_as_challenge, of_schema, schema, unusable};
use serde_json::Value;

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
            cors(&mut sheet, exchange, response);
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
    let foreign = exchange.request.operation.is_none() || has_gateway_status(response);
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
    let found = if !valid {
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

#[cfg(test)]
mod tests;
