//! Rate limits: the wait that a 429 asks for, and one budget for all waits of a run.
use crate::http::message::{Request, Response};
use crate::model::reason::Reason;
use crate::model::run::LimitHit;
use crate::model::user_id::{FRESH, localpart};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The shortest wait: servers round down.
const FLOOR: Duration = Duration::from_millis(100);
/// The wait if a 429 gives none.
const UNSAID: Duration = Duration::from_secs(1);
/// The longest single wait, whatever a server asks for.
const CAP: Duration = Duration::from_secs(24 * 3600);

/// Returns the wait that a response asks for: `Retry-After` in seconds or as a date, else
/// `retry_after_ms` (Client-Server API, "Rate limiting"), within a floor and a cap.
pub fn retry_after(response: &Response, now: SystemTime) -> Duration {
    let header = response.header("retry-after").and_then(|value| from_header(value.trim(), now));
    let in_body = || {
        let value = response.json().ok()?.get("retry_after_ms")?;
        let ms = value.as_u64().or_else(|| value.as_f64().map(|ms| ms.max(0.0) as u64))?;
        Some(Duration::from_millis(ms))
    };
    // Where both are there and differ, the longer one: the header is often rounded down.
    let said = match (header, in_body()) {
        (Some(header), Some(body)) => {
            Some(header.max(body.min(header.saturating_add(Duration::from_secs(1)))))
        }
        (header, body) => header.or(body),
    };
    said.unwrap_or(UNSAID).clamp(FLOOR, CAP)
}

fn from_header(value: &str, now: SystemTime) -> Option<Duration> {
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse().map_or(CAP, Duration::from_secs));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

/// Requests that a server probably limits together.
///
/// Servers count only requests that pass their first checks: a malformed login may cost nothing while
/// good ones must wait. So a limit for one kind of request says nothing about the others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket {
    /// The operation, or method and path.
    pub operation: String,
    /// For a login its type and account; otherwise empty.
    pub kind: String,
}

impl Bucket {
    /// The bucket of a request.
    pub fn of(request: &Request) -> Bucket {
        let operation = request.operation.clone().unwrap_or_else(|| {
            let path = request.path.split('?').next().unwrap_or_default();
            format!("{} {path}", request.method)
        });
        let kind = if request.is_login() { kind_of_login(request) } else { String::new() };
        Bucket { operation, kind }
    }
}

/// A member and the test of its type.
type Member = (&'static str, fn(&Value) -> bool);

/// The members of a login with the type that their schema gives them.
const MEMBERS: [Member; 7] = [
    ("identifier", Value::is_object),
    ("user", Value::is_string),
    ("password", Value::is_string),
    ("token", Value::is_string),
    ("device_id", Value::is_string),
    ("initial_device_display_name", Value::is_string),
    ("refresh_token", Value::is_boolean),
];

/// The login type, which members are malformed, whether a token authorises it, and the account that
/// it names; accounts that do not exist or were made for the run count as one.
fn kind_of_login(request: &Request) -> String {
    let Some(body) = request.json_body() else { return "no JSON".to_owned() };
    let Some(members) = body.as_object() else { return "no object".to_owned() };
    let mut parts = vec![match members.get("type") {
        Some(Value::String(name)) => name.clone(),
        Some(_) => "malformed type".to_owned(),
        None => "no type".to_owned(),
    }];
    let malformed =
        |(name, is_right): &&Member| members.get(*name).is_some_and(|value| !is_right(value));
    parts.extend(MEMBERS.iter().filter(malformed).map(|(name, _)| format!("malformed {name}")));
    if request.header("authorization").is_some() {
        parts.push("with a token".to_owned());
    }
    let user = body.pointer("/identifier/user").or_else(|| body.get("user"));
    let of = user
        .and_then(Value::as_str)
        .map(localpart)
        .filter(|localpart| !localpart.starts_with(FRESH));
    parts.extend(of.map(|localpart| format!("of {localpart}")));
    parts.join(", ")
}

#[derive(Debug, Default)]
struct LimitState {
    until: BTreeMap<Bucket, Instant>,
    /// The end of all waits so far; overlapping waits count once.
    waiting_until: Option<Instant>,
    spent: Duration,
    hits: Vec<LimitHit>,
}

/// The limits of one target and what is left of the budget.
#[derive(Debug)]
pub struct RateLimits {
    budget: Duration,
    state: Mutex<LimitState>,
}

impl RateLimits {
    /// Creates a budget for all waits together.
    pub fn new(budget: Duration) -> Self {
        RateLimits { budget, state: Mutex::default() }
    }

    /// Waits until an operation may be called, if the budget permits.
    ///
    /// # Errors
    /// The reason to block with, when it does not; nothing was waited then.
    pub async fn admit(&self, bucket: &Bucket) -> Result<(), Reason> {
        let operation = bucket.operation.as_str();
        let until = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let Some(until) = state.until.get(bucket).copied().filter(|until| *until > now) else {
                return Ok(());
            };
            let from = state.waiting_until.unwrap_or(now).max(now);
            let cost = until.saturating_duration_since(from);
            if state.spent + cost > self.budget {
                let operation = operation.to_owned();
                let (left, spent) = (seconds(until - now), seconds(state.spent));
                let budget = self.budget.as_secs();
                return Err(Reason::RateLimited { operation, left, spent, budget });
            }
            state.spent += cost;
            state.waiting_until = Some(from.max(until));
            let waited = u64::try_from(cost.as_millis()).unwrap_or(u64::MAX);
            count(&mut state.hits, operation, |hit| hit.waited_ms += waited);
            until
        };
        tokio::time::sleep_until(until).await;
        Ok(())
    }

    /// Records a 429.
    pub fn hit(&self, bucket: &Bucket, response: &Response) {
        let wait = retry_after(response, SystemTime::now());
        let until = Instant::now() + wait;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        count(&mut state.hits, &bucket.operation, |hit| {
            hit.count += 1;
            hit.retry_after_ms = hit.retry_after_ms.max(asked);
        });
        let known = state.until.entry(bucket.clone()).or_insert(until);
        *known = (*known).max(until);
    }

    /// The limits that were hit, in the order of the first hit; the number of blocked cases is not known here.
    pub fn hits(&self) -> Vec<LimitHit> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).hits.clone()
    }
}

/// To the next whole second.
fn seconds(time: Duration) -> u128 {
    time.as_nanos().div_ceil(1_000_000_000)
}

fn count(hits: &mut Vec<LimitHit>, operation: &str, change: impl FnOnce(&mut LimitHit)) {
    if let Some(hit) = hits.iter_mut().find(|hit| hit.operation == operation) {
        return change(hit);
    }
    let operation = operation.into();
    let mut hit = LimitHit { operation, count: 0, retry_after_ms: 0, waited_ms: 0, blocked: 0 };
    change(&mut hit);
    hits.push(hit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reason::ReasonCode;
    use serde_json::json;

    fn limited(header: Option<&str>, body: serde_json::Value) -> Response {
        let headers =
            header.map(|value| ("retry-after".to_owned(), value.to_owned())).into_iter().collect();
        Response::new(429, headers, body.to_string().into_bytes(), false)
    }

    #[test]
    fn the_wait_follows_the_server_within_floor_and_cap() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_767);
        let wait = |header, body| retry_after(&limited(header, body), now);
        assert_eq!(wait(Some("3"), json!({})), Duration::from_secs(3));
        assert_eq!(wait(None, json!({"retry_after_ms": 1500})), Duration::from_millis(1500));
        assert_eq!(wait(Some("1"), json!({"retry_after_ms": 1500})), Duration::from_millis(1500));
        assert_eq!(wait(Some("Sun, 06 Nov 1994 08:49:37 GMT"), json!({})), Duration::from_secs(10));
        assert_eq!(wait(Some("Sat, 06 Nov 1993 08:49:37 GMT"), json!({})), FLOOR);
        assert_eq!(wait(None, json!({"retry_after_ms": -5})), FLOOR);
        assert_eq!(wait(Some("99999999999999999999999"), json!({})), CAP);
        assert_eq!(wait(Some("soon"), json!({})), UNSAID);
        let most = u64::MAX.to_string();
        assert_eq!(wait(Some(&most), json!({"retry_after_ms": u64::MAX})), CAP);
        assert_eq!(wait(None, json!({"retry_after_ms": 1e300})), CAP);
    }

    fn login(body: serde_json::Value) -> Bucket {
        Bucket::of(&Request::new(Some("login"), "POST", "/_matrix/client/v3/login").json(&body))
    }

    #[test]
    fn logins_are_limited_by_what_is_asked_for_and_of_whom() {
        let of = |user: &str| {
            json!({"type": "m.login.password", "password": "p",
            "identifier": {"type": "m.id.user", "user": user}})
        };
        assert_eq!(login(of("amy")), login(of("@amy:example.org")));
        assert_ne!(login(of("amy")), login(of("bob")));
        assert_eq!(login(of("homespec-a")), login(of("homespec-b")));
        let mut malformed = of("amy");
        malformed["refresh_token"] = json!("true");
        assert_ne!(login(of("amy")), login(malformed));
        let mut named = of("amy");
        named["device_id"] = json!("A");
        assert_eq!(login(of("amy")), login(named));
        assert_ne!(login(json!({})), login(json!([])));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_when_the_budget_does() {
        let limits = RateLimits::new(Duration::from_secs(5));
        let (good, whoami) = (
            login(json!({"type": "m.login.password"})),
            Bucket::of(&Request::new(None, "GET", "/w")),
        );
        limits.hit(&good, &limited(Some("3"), json!({})));
        assert!(limits.admit(&whoami).await.is_ok());
        assert!(limits.admit(&login(json!({}))).await.is_ok());
        assert!(limits.admit(&good).await.is_ok());
        limits.hit(&good, &limited(Some("3"), json!({})));
        let refused = limits.admit(&good).await;
        assert_eq!(refused.map_err(|reason| reason.code()), Err(ReasonCode::RateLimited));
        let hits = limits.hits();
        assert_eq!((hits[0].count, hits[0].waited_ms), (2, 3000));
    }
}
