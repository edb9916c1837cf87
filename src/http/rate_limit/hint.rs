//! The wait that a 429 asks for.
use crate::http::message::Response;
use std::time::{Duration, SystemTime};

/// The shortest wait: servers round down.
const FLOOR: Duration = Duration::from_millis(100);
/// The first wait if a 429 gives none.
const UNSAID: Duration = Duration::from_secs(1);
/// The longest wait that is chosen without a word of the server.
const LONGEST_UNSAID: Duration = Duration::from_secs(16);
/// The longest single wait, whatever a server asks for.
pub(super) const CAP: Duration = Duration::from_secs(24 * 3600);

/// Returns the wait after so many 429s in a row that gave none: twice as long each time.
pub(super) fn unsaid(in_a_row: u32) -> Duration {
    UNSAID.saturating_mul(1_u32.checked_shl(in_a_row).unwrap_or(u32::MAX)).min(LONGEST_UNSAID)
}

/// Returns the wait that a response asks for, if it does: `Retry-After` in seconds or as a date,
/// else `retry_after_ms` (Client-Server API, "Rate limiting"), within a floor and a cap.
pub fn retry_after(response: &Response, now: SystemTime) -> Option<Duration> {
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
    said.map(|wait| wait.clamp(FLOOR, CAP))
}

fn from_header(value: &str, now: SystemTime) -> Option<Duration> {
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse().map_or(CAP, Duration::from_secs));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert_eq!(wait(Some("3"), json!({})), Some(Duration::from_secs(3)));
        assert_eq!(wait(None, json!({"retry_after_ms": 1500})), Some(Duration::from_millis(1500)));
        assert_eq!(
            wait(Some("1"), json!({"retry_after_ms": 1500})),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(
            wait(Some("Sun, 06 Nov 1994 08:49:37 GMT"), json!({})),
            Some(Duration::from_secs(10))
        );
        assert_eq!(wait(Some("Sat, 06 Nov 1993 08:49:37 GMT"), json!({})), Some(FLOOR));
        assert_eq!(wait(None, json!({"retry_after_ms": -5})), Some(FLOOR));
        assert_eq!(wait(Some("99999999999999999999999"), json!({})), Some(CAP));
        assert_eq!(wait(Some("soon"), json!({})), None);
        let most = u64::MAX.to_string();
        assert_eq!(wait(Some(&most), json!({"retry_after_ms": u64::MAX})), Some(CAP));
        assert_eq!(wait(None, json!({"retry_after_ms": 1e300})), Some(CAP));
    }

    #[test]
    fn without_a_word_each_wait_is_twice_the_one_before_up_to_a_bound() {
        let seconds: Vec<u64> = (0..6).map(|count| unsaid(count).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 16]);
        assert_eq!(unsaid(u32::MAX), LONGEST_UNSAID);
    }
}
