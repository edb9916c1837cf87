//! An answer as a value: made by a handler, finished and perhaps edited by a fault, then put on the wire.

use super::refusal::Refusal;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};

/// The body of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    /// A JSON value, written compactly.
    Json(Value),
    /// Bytes as they are; the media type stands in the headers.
    Bytes(Vec<u8>),
}

/// An answer before it goes out.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// Header names (lower case) and values, in the order in which they are sent.
    pub(super) headers: Vec<(String, String)>,
    /// The body.
    pub(super) body: Body,
    /// Why the request was refused, if it was.
    pub(super) cause: Option<Refusal>,
}

/// What a handler gives instead of an answer of success. Boxed by `Stop::Answer`, so that results stay small.
#[derive(Debug)]
pub(super) enum Stop {
    /// An ordinary refusal.
    Refused(Refusal),
    /// Any other answer: an interactive-auth challenge, a rate limit.
    Answer(Box<Answer>),
}

/// What a handler returns.
pub(super) type Outcome = Result<Answer, Stop>;

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Answer> for Stop {
    fn from(answer: Answer) -> Self {
        Self::Answer(Box::new(answer))
    }
}

impl From<Stop> for Answer {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Refused(refusal) => refusal.into(),
            Stop::Answer(answer) => *answer,
        }
    }
}

impl Answer {
    /// A JSON answer.
    pub(super) fn json(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Body::Json(body), cause: None }
    }

    /// A JSON answer of success.
    pub(super) fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    /// The empty object that most calls without a result answer with.
    pub(super) fn empty() -> Self {
        Self::ok(Value::Object(Map::new()))
    }

    /// A page for a browser.
    pub(super) fn html(status: u16, page: &str) -> Self {
        let headers = vec![("content-type".to_owned(), "text/html; charset=utf-8".to_owned())];
        Self { status, headers, body: Body::Bytes(page.as_bytes().to_vec()), cause: None }
    }

    /// A status and nothing else.
    pub(super) fn bare(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Bytes(Vec::new()), cause: None }
    }

    /// A redirect of a browser.
    pub(super) fn redirect(location: String) -> Self {
        let mut answer = Self::html(302, "");
        answer.set("location", &location);
        answer
    }

    /// The refusal of a request that came too soon: `Retry-After` in seconds, rounded up, and the deprecated
    /// `retry_after_ms` beside it, for clients written before v1.10.
    pub(super) fn limited(wait_ms: u64) -> Self {
        let body = json!({"errcode": "M_LIMIT_EXCEEDED", "error": "Too many requests", "retry_after_ms": wait_ms});
        let mut answer = Self::json(429, body);
        answer.set("retry-after", &wait_ms.div_ceil(1000).to_string());
        answer
    }

    /// Adds a member to a JSON object; nothing happens to other bodies.
    pub(super) fn put(&mut self, name: &str, value: Value) {
        if let Body::Json(Value::Object(members)) = &mut self.body {
            members.insert(name.to_owned(), value);
        }
    }

    /// Takes a member of a JSON object away; nothing happens to other bodies.
    pub(super) fn remove(&mut self, name: &str) {
        if let Body::Json(Value::Object(members)) = &mut self.body {
            members.shift_remove(name);
        }
    }

    /// Sets a header, replacing one of that name.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.unset(name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Takes a header away.
    pub(super) fn unset(&mut self, name: &str) {
        self.headers.retain(|(present, _)| present != name);
    }

    /// Whether this is an interactive-auth challenge and no standard error.
    pub(super) fn is_challenge(&self) -> bool {
        self.status == 401 && self.member("flows").is_some()
    }

    /// A member of a JSON object body.
    pub(super) fn member(&self, name: &str) -> Option<&Value> {
        match &self.body {
            Body::Json(value) => value.get(name),
            Body::Bytes(_) => None,
        }
    }

    /// Adds what every answer carries: the media type of JSON, the server's name, and the CORS headers that the
    /// specification recommends for all answers.
    pub(super) fn finish(&mut self) {
        if matches!(self.body, Body::Json(_))
            && !self.headers.iter().any(|(name, _)| name == "content-type")
        {
            self.set("content-type", "application/json");
        }
        self.set("server", concat!("homespec-reference/", env!("CARGO_PKG_VERSION")));
        self.set("access-control-allow-origin", "*");
        self.set("access-control-allow-methods", "GET, POST, PUT, DELETE, OPTIONS");
        self.set("access-control-allow-headers", "X-Requested-With, Content-Type, Authorization");
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let (status, errcode, error) = refusal.parts();
        let mut answer = Answer::json(status, json!({"errcode": errcode, "error": error}));
        let extra = match refusal {
            // The session can be taken up again with its device: "soft logout".
            Refusal::ExpiredToken | Refusal::UserLocked => Some(("soft_logout", json!(true))),
            Refusal::ResourceLimit => Some(("admin_contact", json!("mailto:admin@example.org"))),
            Refusal::UserLimit => Some(("info_uri", json!("https://example.org/limits"))),
            _ => None,
        };
        if let Some((name, value)) = extra {
            answer.put(name, value);
        }
        answer.cause = Some(refusal);
        answer
    }
}

impl From<Answer> for Response<axum::body::Body> {
    fn from(mut answer: Answer) -> Self {
        let bytes = match std::mem::replace(&mut answer.body, Body::Bytes(Vec::new())) {
            Body::Json(value) => value.to_string().into_bytes(),
            Body::Bytes(bytes) => bytes,
        };
        let mut body = axum::body::Body::from(bytes);
        if answer.headers.iter().any(|(name, _)| name == "transfer-encoding") {
            // The framing is the web framework's business: a stream, whose length it does not know, goes out in chunks.
            answer.unset("transfer-encoding");
            body = axum::body::Body::from_stream(body.into_data_stream());
        }
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in answer.headers {
            // Names and values come from this crate, or from a request that was a header before: both convert.
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}
