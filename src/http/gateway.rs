//! Telling the answers of the homeserver from those of something in front of it. Pure, but for the
//! profile that a run keeps of the homeserver's headers.
use crate::http::message::{Exchange, LARGE, Response};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// Statuses that only something in front of a server gives: it got no answer, or none in time. Those
/// from 520 on are Cloudflare's.
const STATUSES: [std::ops::RangeInclusive<u16>; 3] = [502..=504, 520..=527, 530..=530];
/// Headers that say nothing of who gave an answer: HTTP's own, and those that proxies add to all.
const GENERAL: [&str; 20] = [
    "alt-svc",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-security-policy",
    "content-type",
    "date",
    "etag",
    "expires",
    "keep-alive",
    "last-modified",
    "location",
    "referrer-policy",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "transfer-encoding",
    "vary",
    "www-authenticate",
];
/// Names, and beginnings of names, of headers by which those in front tell that they are there.
const MARKS: [&str; 8] =
    ["server", "via", "cf-", "x-amz-cf-", "x-azure-ref", "x-cache", "x-served-by", "x-varnish"];
/// What the pages of widespread proxies hold.
const PAGES: [&str; 5] = [
    "<center>nginx",
    "<center>openresty",
    "<center>cloudflare",
    "<address>Apache/",
    "<address>Caddy",
];
/// Schemes of authentication that no homeserver has: it asks for a token.
const SCHEMES: [&str; 5] = ["basic", "digest", "negotiate", "ntlm", "kerberos"];
/// Fewer answers of the homeserver show nothing of its headers.
const ENOUGH: usize = 3;

/// Who gave an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The homeserver, as far as can be seen.
    Homeserver,
    /// Something in front of it.
    Gateway,
    /// A page, challenge or redirect that may be either's.
    Unsure,
}

/// Returns true for a status of something that got no answer itself, unless an error of Matrix comes
/// with it.
pub fn has_gateway_status(response: &Response) -> bool {
    STATUSES.iter().any(|all| all.contains(&response.status))
        && response.text_at("/errcode").is_none()
}

/// The headers of answers that are surely the homeserver's.
#[derive(Debug, Clone, Default)]
pub struct HeaderProfile {
    answers: usize,
    names: BTreeMap<String, usize>,
    marks: BTreeSet<(String, String)>,
}

impl HeaderProfile {
    /// The profile from these exchanges.
    pub fn of<'e>(exchanges: impl Iterator<Item = &'e Exchange>) -> HeaderProfile {
        let mut profile = HeaderProfile::default();
        exchanges.for_each(|exchange| profile.note(exchange));
        profile
    }

    /// Adds an answer, if it is surely the homeserver's: JSON by the rules of Matrix.
    pub fn note(&mut self, exchange: &Exchange) {
        let Some(response) = answer(exchange) else { return };
        if response.is_large() || !is_of_matrix(&response) {
            return;
        }
        self.answers += 1;
        let names: BTreeSet<&str> =
            response.headers.iter().map(|(name, _)| name.as_str()).collect();
        for name in names.into_iter().filter(|name| !is_general(name)) {
            *self.names.entry(name.to_owned()).or_default() += 1;
        }
        self.marks.extend(marks(&response));
    }

    /// Returns who gave the answer of an exchange.
    pub fn origin(&self, exchange: &Exchange) -> Origin {
        let Some(response) = answer(exchange) else { return Origin::Homeserver };
        if has_gateway_status(&response) {
            return Origin::Gateway;
        }
        let Some(foreign) = Foreign::of(&exchange.request.path, &response) else {
            return Origin::Homeserver;
        };
        if self.has_usual_header(&response) {
            return Origin::Homeserver;
        }
        let is_marked = foreign == Foreign::Scheme
            || marks(&response).any(|mark| !self.marks.contains(&mark))
            || PAGES.iter().any(|page| response.text().contains(page));
        match is_marked && self.answers >= ENOUGH {
            true => Origin::Gateway,
            false => Origin::Unsure,
        }
    }

    /// Returns true if the answer has a header that most of the homeserver's have.
    fn has_usual_header(&self, response: &Response) -> bool {
        let is_usual = |name: &String| self.names.get(name).is_some_and(|n| n * 2 >= self.answers);
        response.headers.iter().any(|(name, _)| is_usual(name))
    }
}

/// The profile that a run keeps.
#[derive(Debug, Default)]
pub struct Homeserver(Mutex<HeaderProfile>);

impl Homeserver {
    /// Takes note of an answer, and returns who gave it by all answers before.
    pub fn meet(&self, exchange: &Exchange) -> Origin {
        let mut profile = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = profile.origin(exchange);
        profile.note(exchange);
        origin
    }
}

/// Who gave each answer of a run, by all of them.
#[derive(Debug, Default)]
pub struct Origins {
    profile: HeaderProfile,
    /// What something in front of the homeserver answers to all requests of several operations.
    fronts: BTreeSet<Front>,
}

/// Operations with one and the same page for every request, of which fewer show nothing.
const ALIKE: usize = 3;

impl Origins {
    /// From all exchanges of a run.
    pub fn of<'e>(exchanges: impl Iterator<Item = &'e Exchange> + Clone) -> Origins {
        let profile = HeaderProfile::of(exchanges.clone());
        Origins { profile, fronts: fronts(exchanges) }
    }

    /// Returns who gave the answer of an exchange.
    pub fn origin(&self, exchange: &Exchange) -> Origin {
        match self.profile.origin(exchange) {
            Origin::Unsure | Origin::Homeserver if self.is_of_front(exchange) => Origin::Gateway,
            origin => origin,
        }
    }

    fn is_of_front(&self, exchange: &Exchange) -> bool {
        // Elsewhere too it is what the API shows it to be.
        let shown = |response: &Response| {
            self.fronts.contains(&Foreign::like(response)?.front(response)?).then_some(())
        };
        !self.fronts.is_empty() && answer(exchange).as_ref().and_then(shown).is_some()
    }

    /// Returns true if something in front of the homeserver answered.
    pub fn is_gateway(&self, exchange: &Exchange) -> bool {
        self.origin(exchange) == Origin::Gateway
    }
}

fn fronts<'e>(exchanges: impl Iterator<Item = &'e Exchange>) -> BTreeSet<Front> {
    let mut by_operation: BTreeMap<&str, Option<Front>> = BTreeMap::new();
    for exchange in exchanges.filter(|exchange| exchange.result.is_ok()) {
        let Some(operation) = exchange.request.operation.as_deref() else { continue };
        let front = front(exchange);
        let seen = by_operation.entry(operation).or_insert_with(|| front.clone());
        seen.take_if(|seen| Some(&*seen) != front.as_ref());
    }
    let mut operations: BTreeMap<Front, usize> = BTreeMap::new();
    for front in by_operation.into_values().flatten() {
        *operations.entry(front).or_default() += 1;
    }
    operations.into_iter().filter(|(_, count)| *count >= ALIKE).map(|(front, _)| front).collect()
}

/// A kind of answer that things in front of a server give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Foreign {
    Page,
    Redirect,
    Challenge,
    /// A challenge by a scheme that no homeserver has.
    Scheme,
}

impl Foreign {
    fn of(path: &str, response: &Response) -> Option<Foreign> {
        let path = path.split('?').next().unwrap_or_default();
        let is_of_api = path.contains("/_matrix/client/");
        // There pages and redirects are the homeserver's own.
        let is_for_browsers = path.contains("/sso/") || path.contains("/fallback/");
        if is_of_api && !is_for_browsers { Foreign::like(response) } else { None }
    }

    /// The kind of an answer, wherever it came.
    fn like(response: &Response) -> Option<Foreign> {
        // What is large and no page takes much memory once it is parsed.
        let begins = response.body.iter().find(|byte| !byte.is_ascii_whitespace());
        let is_large = response.is_large() && begins != Some(&b'<');
        if is_large || is_of_matrix(response) {
            return None;
        }
        if matches!(response.status, 401 | 407)
            && let Some(challenge) = response.header("www-authenticate")
        {
            let scheme = challenge.split_whitespace().next().unwrap_or_default();
            let is_foreign = SCHEMES.iter().any(|one| scheme.eq_ignore_ascii_case(one));
            return Some(if is_foreign { Foreign::Scheme } else { Foreign::Challenge });
        }
        let leads_elsewhere =
            (300..400).contains(&response.status) && response.header("location").is_some();
        if leads_elsewhere {
            return Some(Foreign::Redirect);
        }
        response.is_page().then_some(Foreign::Page)
    }
}

/// What makes an answer the same as another: its status, and its page, challenge or the place that it
/// leads to.
type Front = (u16, String);

impl Foreign {
    /// Nothing for refusals that a homeserver may give as a page.
    fn front(self, response: &Response) -> Option<Front> {
        let text = match self {
            Foreign::Redirect => response.header("location")?.split('?').next()?.to_owned(),
            Foreign::Challenge | Foreign::Scheme => response.header("www-authenticate")?,
            Foreign::Page if response.is_success() => response.text().into_owned(),
            Foreign::Page => return None,
        };
        Some((response.status, text))
    }
}

fn front(exchange: &Exchange) -> Option<Front> {
    let response = answer(exchange)?;
    Foreign::of(&exchange.request.path, &response)?.front(&response)
}

/// The answer of an exchange. What is parsed of it here goes with it, unless it was parsed before.
fn answer(exchange: &Exchange) -> Option<Response> {
    let response = exchange.result.as_ref().ok()?;
    Some(if response.is_parsed() { response.clone() } else { response.unparsed() })
}

/// Returns true for an error of Matrix, a challenge of interactive auth, or the object of a success.
fn is_of_matrix(response: &Response) -> bool {
    // What is large is parsed for its judgement alone: here many may be read at once.
    if response.body.len() >= LARGE {
        let first = response.body.iter().find(|byte| !byte.is_ascii_whitespace());
        return response.is_success() && first == Some(&b'{');
    }
    let is_object = || response.json().is_ok_and(Value::is_object);
    response.text_at("/errcode").is_some()
        || response.is_challenge()
        || (response.is_success() && is_object())
}

fn is_general(name: &str) -> bool {
    GENERAL.contains(&name) || is_mark(name)
}

fn is_mark(name: &str) -> bool {
    MARKS.iter().any(|mark| name == *mark || mark.ends_with('-') && name.starts_with(mark))
}

/// The marks of an answer: names, that of a server with its product.
fn marks(response: &Response) -> impl Iterator<Item = (String, String)> {
    let all = response.headers.iter().filter(|(name, _)| is_mark(name));
    all.map(|(name, value)| {
        let product = value.split(['/', ' ']).next().filter(|_| name == "server");
        (name.clone(), product.unwrap_or_default().to_ascii_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::message::Request;
    use std::time::Duration;

    fn exchange(path: &str, status: u16, headers: &[(&str, &str)], body: &str) -> Exchange {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Exchange {
            request: Request::new(Some("x"), "GET", path),
            url: String::new(),
            sent_headers: Vec::new(),
            result: Ok(Response::new(status, headers, body.as_bytes().to_vec(), false)),
            duration: Duration::ZERO,
            shared: false,
        }
    }

    type Headers<'h> = &'h [(&'h str, &'h str)];

    const API: &str = "/_matrix/client/v3/devices";
    const CORS: (&str, &str) = ("access-control-allow-origin", "*");
    const PAGE: &str = "<html><body>No</body></html>";
    const NGINX: (&str, &str) = ("server", "nginx/1.27");

    fn usual() -> HeaderProfile {
        let own = [CORS, ("server", "Synapse/1.1"), ("date", "x")];
        let all =
            [200, 200, 401, 404].map(|status| exchange(API, status, &own, r#"{"errcode":"M_X"}"#));
        HeaderProfile::of(all.iter())
    }

    #[test]
    fn only_positive_evidence_makes_an_answer_a_gateways() {
        use Origin::{Gateway, Homeserver, Unsure};
        let basic = ("www-authenticate", "Basic realm=\"x\"");
        let to = ("location", "/login");
        let table: &[(u16, Headers<'_>, &str, Origin)] = &[
            (502, &[], "", Gateway),
            (520, &[], PAGE, Gateway),
            (530, &[CORS], "error code: 1033", Gateway),
            (502, &[CORS], r#"{"errcode":"M_CONNECTION_FAILED"}"#, Homeserver),
            (404, &[NGINX], PAGE, Gateway),
            (404, &[NGINX, CORS], PAGE, Homeserver),
            (404, &[("server", "Synapse/1.2")], PAGE, Unsure),
            (404, &[], PAGE, Unsure),
            (404, &[], "<html><center>nginx</center>", Gateway),
            (403, &[("cf-mitigated", "challenge")], PAGE, Gateway),
            (403, &[("via", "1.1 x")], r#"{"errcode":"M_FORBIDDEN"}"#, Homeserver),
            (500, &[CORS], "Internal Server Error", Homeserver),
            (500, &[], "Internal Server Error", Homeserver),
            (500, &[NGINX], "Internal Server Error", Homeserver),
            (500, &[CORS], PAGE, Homeserver),
            (401, &[basic], "", Gateway),
            (401, &[basic, CORS], "", Homeserver),
            (401, &[basic], r#"{"errcode":"M_MISSING_TOKEN"}"#, Homeserver),
            (401, &[("www-authenticate", "Bearer")], "", Unsure),
            (302, &[to], "", Unsure),
            (302, &[to, NGINX], "", Gateway),
            (304, &[NGINX], "", Homeserver),
            (200, &[NGINX], "{}", Homeserver),
            (200, &[NGINX], PAGE, Gateway),
        ];
        for (status, headers, body, expected) in table {
            let origin = usual().origin(&exchange(API, *status, headers, body));
            assert_eq!(origin, *expected, "{status} {headers:?} {body}");
        }
    }

    #[test]
    fn pages_where_they_belong_and_before_the_homeserver_is_known_show_nothing() {
        let page = |path| exchange(path, 200, &[NGINX], PAGE);
        for path in ["/_matrix/client/v3/login/sso/redirect", "/.well-known/matrix/client", "/"] {
            assert_eq!(usual().origin(&page(path)), Origin::Homeserver, "{path}");
        }
        assert_eq!(HeaderProfile::default().origin(&page(API)), Origin::Unsure);
    }

    #[test]
    fn what_answers_everything_of_several_operations_alike_is_in_front() {
        let asked = |operation: &str, path: &str, to: &str| {
            let exchange = exchange(path, 302, &[("location", to)], "");
            let request = Request::new(Some(operation), "GET", path);
            Exchange { request, ..exchange }
        };
        let is_front = |all: &[Exchange], path: &str| {
            let origins = Origins::of(all.iter());
            origins.is_gateway(&asked("z", path, "/login?next=z"))
        };
        let same = ["a", "b", "c"].map(|one| asked(one, API, &format!("/login?next={one}")));
        assert!(is_front(&same, API) && is_front(&same, "/_matrix/static/client/login"));
        assert!(!is_front(&same[..2], API));
        let others = ["a", "b", "c"].map(|one| asked(one, API, one));
        assert!(!is_front(&others, API));
        let [a, b, c] = same;
        let own = exchange(API, 200, &[], "{}");
        let now_and_then = Exchange { request: Request::new(Some("c"), "GET", API), ..own };
        assert!(!is_front(&[a, b, c, now_and_then], API));
        for status in [401, 403, 404, 500] {
            assert!(front(&exchange(API, status, &[], PAGE)).is_none(), "{status}");
        }
    }
}
