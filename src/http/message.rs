//! A request and its answer as values, before anything is replaced or judged.
use crate::model::reason::Reason;
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The `Origin` header of every request, so that CORS headers can be checked.
pub const ORIGIN: &str = "https://homespec.invalid";

/// One request, ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The operation, if a specification file describes it.
    pub operation: Option<String>,
    /// The method as sent.
    pub method: String,
    /// Path and query below the base URL, already encoded.
    pub path: String,
    /// Headers that the case asks for, beside those of every request.
    pub headers: Vec<(String, String)>,
    /// The body and nothing else: its media type stands in `headers`.
    pub body: Option<Vec<u8>>,
    /// True if the published schema is ignored for its response.
    pub schema_off: bool,
}

impl Request {
    /// A request without headers and body.
    pub fn new(operation: Option<&str>, method: &str, path: &str) -> Self {
        Request {
            operation: operation.map(str::to_owned),
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: None,
            schema_off: false,
        }
    }

    /// With a JSON body and its media type.
    pub fn json(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string().into_bytes());
        self.headers.push(("content-type".to_owned(), "application/json".to_owned()));
        self
    }

    /// With an access token.
    pub fn bearer(mut self, token: &str) -> Self {
        self.headers.push(("authorization".to_owned(), format!("Bearer {token}")));
        self
    }

    /// Returns true for a login.
    pub fn is_login(&self) -> bool {
        self.operation.as_deref() == Some("login")
    }

    /// Its body, if it is JSON.
    pub fn json_body(&self) -> Option<Value> {
        serde_json::from_slice(self.body.as_deref()?).ok()
    }

    /// The value of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

/// From this number of bytes on, a body is parsed and judged alone, on another thread: parsed, it
/// may be eighty times as large as its text.
pub const LARGE: usize = 64 << 10;
/// The most JSON values of one response that are judged. The largest lists of a homeserver have
/// some thousand; this many take at most 80 MB, and every check of them ends within a second.
pub const MOST_VALUES: usize = 250_000;

/// An answer as it came over the wire. Cheap to clone: clones share what was received and what is parsed of it.
#[derive(Debug, Clone, Default)]
pub struct Response {
    received: Arc<Received>,
    json: Arc<OnceLock<Result<Value, String>>>,
}

/// The parts of an answer.
#[derive(Debug, Default)]
pub struct Received {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order received; bytes that are not UTF-8 became U+FFFD.
    pub headers: Vec<(String, String)>,
    /// The body, up to the limit.
    pub body: Vec<u8>,
    /// True if the body was longer than what was read.
    pub truncated: bool,
}

impl std::ops::Deref for Response {
    type Target = Received;

    fn deref(&self) -> &Received {
        &self.received
    }
}

impl Response {
    /// An answer from its parts.
    pub fn new(
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
        truncated: bool,
    ) -> Self {
        let received = Arc::new(Received { status, headers, body, truncated });
        Response { received, json: Arc::default() }
    }

    /// A copy without the parsed body, so that its own parsed body is dropped with it.
    pub fn unparsed(&self) -> Response {
        Response { received: self.received.clone(), json: Arc::default() }
    }

    /// Returns true if the parsed body is kept, also for clones.
    pub fn is_parsed(&self) -> bool {
        self.json.get().is_some()
    }

    /// Its headers and body as received, copied only if clones of the response exist.
    pub fn into_received(self) -> Received {
        let Response { received, .. } = self;
        Arc::try_unwrap(received).unwrap_or_else(|shared| Received {
            status: shared.status,
            headers: shared.headers.clone(),
            body: shared.body.clone(),
            truncated: shared.truncated,
        })
    }

    /// Returns true if its body must be parsed and judged alone, see [`LARGE`].
    pub fn is_large(&self) -> bool {
        self.body.len() >= LARGE
    }

    /// Returns the reason if the body is too large to be read or parsed.
    pub fn beyond_bounds(&self) -> Option<Reason> {
        let is_over = || has_too_many_values(&self.body);
        match self.truncated {
            true => Some(Reason::AnswerTooLong { bytes: self.body.len() }),
            false => is_over().then_some(Reason::TooManyValues { most: MOST_VALUES }),
        }
    }

    /// Returns true for any 2xx status. One requirement checks the exact status; everything else
    /// needs to know only that the request was done.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON, or the error, in words without anything of the body.
    pub fn json(&self) -> Result<&Value, &str> {
        let parsed = self.json.get_or_init(|| {
            if let Some(coding) = self.coding() {
                return Err(format!(
                    "it is compressed ({coding:?}), although the request did not ask for it"
                ));
            }
            if self.truncated {
                return Err("it is too long to be read".to_owned());
            }
            if self.body.is_empty() {
                return Err("it is empty".to_owned());
            }
            if has_too_many_values(&self.body) {
                return Err(format!("it has more than {MOST_VALUES} values"));
            }
            // A reader may ignore a byte order mark (RFC 8259, section 8.1); a standing check reports it.
            let text = self.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.body);
            serde_json::from_slice(text).map_err(|error| match self.is_html() {
                true => "it is a page for browsers".to_owned(),
                false => error.to_string(),
            })
        });
        parsed.as_ref().map_err(String::as_str)
    }

    /// All values of a header, joined by commas (RFC 9110, section 5.3).
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<_> =
            self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// The content coding of the body. No request asks for one, and nothing is decompressed.
    pub fn coding(&self) -> Option<String> {
        self.header("content-encoding").filter(|coding| !coding.eq_ignore_ascii_case("identity"))
    }

    /// Returns true for a page for browsers, but not for JSON with the media type of one.
    pub fn is_page(&self) -> bool {
        self.is_html() && self.json().is_err()
    }

    fn is_html(&self) -> bool {
        let media_type = self.header("content-type").unwrap_or_default().to_ascii_lowercase();
        let start = self.body.iter().find(|byte| !byte.is_ascii_whitespace());
        media_type.contains("html") || start == Some(&b'<')
    }

    /// The string at a JSON Pointer of the body.
    pub fn text_at(&self, pointer: &str) -> Option<&str> {
        self.json().ok()?.pointer(pointer)?.as_str()
    }

    /// Returns true if nothing is there by its own word: M_UNRECOGNIZED (Client-Server API, "Standard error
    /// response"), or a 404 or 405 without an errcode, which is of no homeserver's making. Of other statuses
    /// the body is not read, since what is read stays in memory.
    pub fn says_absent(&self) -> bool {
        matches!(self.status, 400 | 404 | 405 | 501)
            && match self.text_at("/errcode") {
                Some(errcode) => errcode == "M_UNRECOGNIZED",
                None => matches!(self.status, 404 | 405),
            }
    }

    /// Returns true for an interactive-auth challenge: 401 with a list of flows (Client-Server API,
    /// "User-Interactive Authentication API").
    pub fn is_challenge(&self) -> bool {
        self.status == 401
            && self.json().is_ok_and(|body| body.get("flows").is_some_and(Value::is_array))
    }

    /// The body as text; bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

/// Returns true if a body may have more JSON values than [`MOST_VALUES`]: a value begins after
/// every comma, and at every bracket and brace, outside strings. Reads the text once.
fn has_too_many_values(body: &[u8]) -> bool {
    // Each has at least two bytes.
    if body.len() / 2 < MOST_VALUES {
        return false;
    }
    let (mut values, mut in_string, mut escaped) = (1_usize, false, false);
    for byte in body {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b',' | b'[' | b'{') => values += 1,
            _ => {}
        }
    }
    values > MOST_VALUES
}

/// One request and its result.
#[derive(Debug, Clone)]
pub enum Reply {
    /// The server responded.
    Response(Response),
    /// The server dropped it twice in a row on new connections, and answered a control request in
    /// between.
    Dropped(String),
    /// It cannot be decided.
    Inconclusive(Reason),
}

impl Reply {
    /// The response, or why there is none.
    pub fn response(self) -> Result<Response, Reason> {
        match self {
            Reply::Response(response) => Ok(response),
            Reply::Dropped(text) => Err(Reason::NoAnswer(text)),
            Reply::Inconclusive(reason) => Err(reason),
        }
    }
}

/// A request with its result on the wire.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The request as sent.
    pub request: Request,
    /// The full URL.
    pub url: String,
    /// Every header as sent.
    pub sent_headers: Vec<(String, String)>,
    /// The answer, or why there is none.
    pub result: Result<Response, TransportError>,
    /// From sending to the last byte.
    pub duration: Duration,
    /// True for a copy of an exchange that was sent earlier in the run.
    pub shared: bool,
}

impl Exchange {
    /// A copy that is marked as shared.
    pub fn again(&self) -> Exchange {
        Exchange { shared: true, ..self.unparsed() }
    }
}

impl Exchange {
    /// A copy without the parsed body.
    pub fn unparsed(&self) -> Exchange {
        let mut unparsed = self.clone();
        unparsed.forget_parsed();
        unparsed
    }

    /// Drops the parsed body, which may be many times as large as its text.
    pub fn forget_parsed(&mut self) {
        if let Ok(response) = &mut self.result {
            *response = response.unparsed();
        }
    }
}

/// A request without a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportError {
    /// The kind of failure.
    pub kind: TransportErrorKind,
    /// The innermost cause, in words.
    pub text: String,
}

/// The stage in which a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportErrorKind {
    /// No connection: refused, no such host.
    Connect,
    /// A connection, but no TLS session that can be trusted.
    Tls,
    /// Nothing, or not all, within the time for one request.
    Timeout,
    /// The connection was closed before the answer was whole.
    Closed,
    /// The response is not HTTP, or not TLS.
    Protocol,
    /// The request could not be built from what the case asks for.
    Request,
}

impl std::fmt::Display for TransportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// The most of a server's text that is shown as a name, in characters.
const LONGEST: usize = 255;

/// Describes a response for a sentence: its status and the kind of its body.
pub fn words(response: &Response) -> String {
    let status = response.status;
    let body =
        match (response.json(), response.text_at("/errcode"), response.header("content-type")) {
            (Ok(_), Some(errcode), _) => clipped(errcode),
            (Ok(_), None, _) => "JSON that is not Matrix's".to_owned(),
            _ if response.coding().is_some() => {
                "a compressed body, although the request did not ask for it".to_owned()
            }
            _ if response.truncated => format!("a body of more than {} bytes", response.body.len()),
            _ if response.body.is_empty() => "an empty body".to_owned(),
            (Err(why), _, Some(media_type)) if media_type.contains("json") => {
                format!("JSON that cannot be read: {why}")
            }
            (Err(_), _, Some(media_type)) => clipped(&media_type),
            (Err(_), _, None) => "a body that is not JSON".to_owned(),
        };
    format!("{status} with {body}")
}

/// The beginning of a server's text, as long as a name may be.
pub fn clipped(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(body: &str) -> Response {
        Response::new(200, Vec::new(), body.as_bytes().to_vec(), false)
    }

    #[test]
    fn too_many_values_are_not_parsed_and_texts_count_as_one() {
        let many = response(&format!("[{}0]", "0,".repeat(MOST_VALUES)));
        assert!(many.json().is_err());
        assert!(matches!(many.beyond_bounds(), Some(Reason::TooManyValues { .. })));
        let fits = response(&format!("[{}0]", "0,".repeat(MOST_VALUES - 2)));
        assert!(fits.json().is_ok() && fits.beyond_bounds().is_none());
        let text = response(&format!(r#"["{}\",{}"]"#, ",[{".repeat(MOST_VALUES), ","));
        assert!(text.beyond_bounds().is_none());
        let cut = Response::new(200, Vec::new(), b"[".to_vec(), true);
        assert!(matches!(cut.beyond_bounds(), Some(Reason::AnswerTooLong { .. })));
    }

    #[test]
    fn clones_share_what_is_parsed_until_it_is_let_go() {
        let one = response(r#"{"a":1}"#);
        let same = one.clone();
        assert!(std::ptr::eq(one.json().unwrap(), same.json().unwrap()));
        let other = one.unparsed();
        assert!(std::ptr::eq(one.body.as_ptr(), other.body.as_ptr()));
        assert!(!std::ptr::eq(one.json().unwrap(), other.json().unwrap()));
    }
}
