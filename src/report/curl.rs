//! An exchange as a command line that sends the same request again.
use super::text;
use crate::model::run::{Header, RecordedExchange, RecordedRequest};
use std::borrow::Cow;

/// Instructions for the names of secrets; every report with `curl` lines shows them.
pub const SECRETS_NOTE: &str = "A name in angle quotes, such as ‹access_token 2›, stands for a secret that was replaced; \
     put a valid value of your own in its place before you run a curl line.";

/// Headers that curl sets by itself, to the same effect.
const SET_BY_CURL: [&str; 3] = ["host", "user-agent", "content-length"];

/// A line for a POSIX shell that repeats the request of this exchange with curl and shows status,
/// headers and body of the response (`-i`).
///
/// Secrets keep the names that the run gave them, see [`SECRETS_NOTE`]. A request that no shell line
/// can carry (bytes that are not text, control characters) gives a comment that says so.
pub fn curl(exchange: &RecordedExchange) -> String {
    match what_no_line_can_carry(&exchange.request) {
        Some(part) => format!(
            "# curl: {part} of this request is not plain text, a shell line cannot carry it; see exchange {} in run.json",
            text::one_line(&exchange.id)
        ),
        None => line(&exchange.request),
    }
}

/// The part of the request that a shell line cannot carry.
fn what_no_line_can_carry(request: &RecordedRequest) -> Option<&'static str> {
    let is_binary =
        |t: &str| t.chars().any(|c| c == '\u{fffd}' || (c.is_control() && !"\r\n\t".contains(c)));
    let is_broken = |t: &str| t.chars().any(|c| c == '\u{fffd}' || c.is_control());
    let header = |h: &Header| is_broken(&h.name) || is_broken(&h.value);
    if is_broken(&request.method) || is_broken(&request.url) {
        Some("the request line")
    } else if request.headers.iter().any(header) {
        Some("a header")
    } else {
        request.body.as_deref().filter(|b| is_binary(b)).map(|_| "the body")
    }
}

fn line(request: &RecordedRequest) -> String {
    let mut words: Vec<String> = vec!["curl".into(), "-sSi".into()];
    words.extend(method(request));
    let (socket, url) = by_socket(&request.url);
    words.extend(socket.map(|path| format!("--unix-socket {}", quote(path))));
    words.extend(url_options(&url).map(String::from));
    words.push(quote(&url));
    words.extend(request.headers.iter().filter_map(header));
    if let Some(body) = &request.body {
        if !request.headers.iter().any(|h| h.name.eq_ignore_ascii_case("content-type")) {
            // curl would call it a form.
            words.push("-H 'Content-Type:'".into());
        }
        words.push(format!("--data-raw {}", quote(body)));
    }
    words.join(" ")
}

fn method(request: &RecordedRequest) -> Option<String> {
    match request.method.as_str() {
        "GET" if request.body.is_none() => None,
        // With -X HEAD curl would wait for a body.
        "HEAD" => Some("--head".into()),
        method => Some(format!("-X {}", quote_if_needed(method))),
    }
}

/// The socket of a `unix:SOCKET:PATH`, and the URL that is sent through it.
fn by_socket(url: &str) -> (Option<&str>, Cow<'_, str>) {
    match url.strip_prefix("unix:").and_then(|rest| rest.split_once(':')) {
        Some((socket, path)) => (Some(socket), format!("http://localhost{path}").into()),
        None => (None, url.into()),
    }
}

/// Options that keep curl from expanding patterns in the URL and from normalising its path.
fn url_options(url: &str) -> impl Iterator<Item = &'static str> {
    let glob = url.contains(['[', ']', '{', '}']).then_some("--globoff");
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let dots = path.split('/').any(|part| part == "." || part == "..").then_some("--path-as-is");
    glob.into_iter().chain(dots)
}

fn header(header: &Header) -> Option<String> {
    let name = header.name.to_ascii_lowercase();
    if SET_BY_CURL.contains(&name.as_str()) || (name == "accept" && header.value == "*/*") {
        return None;
    }
    // `Name:` would remove the header; `Name;` sends it without a value.
    let text = match header.value.as_str() {
        "" => format!("{};", header.name),
        value => format!("{}: {value}", header.name),
    };
    Some(format!("-H {}", quote(&text)))
}

/// One word for a POSIX shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn quote_if_needed(text: &str) -> String {
    match text {
        "" => quote(text),
        t if t.chars().all(|c| c.is_ascii_alphanumeric()) => t.into(),
        t => quote(t),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> RecordedExchange {
        let headers = headers
            .iter()
            .map(|(name, value)| Header { name: (*name).into(), value: (*value).into() });
        RecordedExchange {
            id: "a-case#1".into(),
            operation: None,
            request: RecordedRequest {
                method: method.into(),
                url: url.into(),
                headers: headers.collect(),
                body: body.map(Into::into),
            },
            response: None,
            trouble: None,
            duration_ms: 1,
            shared: false,
        }
    }

    #[test]
    fn a_plain_get_needs_nothing_but_the_url() {
        let sent = [("host", "hs"), ("user-agent", "homespec"), ("accept", "*/*")];
        assert_eq!(
            curl(&exchange("GET", "http://hs/_matrix", &sent, None)),
            "curl -sSi 'http://hs/_matrix'"
        );
    }

    #[test]
    fn a_unix_socket_is_an_option_of_curl() {
        assert_eq!(
            curl(&exchange("GET", "unix:/run/h s.sock:/a/_matrix?b=:", &[], None)),
            "curl -sSi --unix-socket '/run/h s.sock' 'http://localhost/a/_matrix?b=:'"
        );
    }

    #[test]
    fn quotes_in_a_body_stay_inside_the_word() {
        let sent =
            [("content-type", "application/json"), ("authorization", "Bearer ‹access_token 2›")];
        assert_eq!(
            curl(&exchange("POST", "http://hs/login", &sent, Some(r#"{"user":"o'neill"}"#))),
            r#"curl -sSi -X POST 'http://hs/login' -H 'content-type: application/json' -H 'authorization: Bearer ‹access_token 2›' --data-raw '{"user":"o'\''neill"}'"#
        );
    }

    #[test]
    fn a_body_without_a_media_type_is_sent_without_one() {
        let line = curl(&exchange("POST", "http://hs/", &[], Some("{}")));
        assert_eq!(line, "curl -sSi -X POST 'http://hs/' -H 'Content-Type:' --data-raw '{}'");
    }

    #[test]
    fn curl_neither_expands_nor_tidies_the_url() {
        let line = curl(&exchange("GET", "http://hs/a/../b?x={1,2}", &[("x-empty", "")], None));
        assert_eq!(
            line,
            "curl -sSi --globoff --path-as-is 'http://hs/a/../b?x={1,2}' -H 'x-empty;'"
        );
    }

    #[test]
    fn odd_methods_are_quoted_and_head_does_not_wait() {
        assert!(curl(&exchange("M-SEARCH;", "http://hs/", &[], None)).contains("-X 'M-SEARCH;'"));
        assert!(curl(&exchange("HEAD", "http://hs/", &[], None)).contains("--head"));
        assert!(curl(&exchange("GET", "http://hs/", &[], Some(""))).contains("-X GET"));
    }

    #[test]
    fn what_no_line_can_carry_is_said_and_stays_a_comment() {
        for body in ["\u{fffd}", "a\0b", "\u{1b}[31m"] {
            let mut exchange = exchange("POST", "http://hs/", &[], Some(body));
            exchange.id = "a\nrm -rf".into();
            let line = curl(&exchange);
            assert!(line.starts_with("# curl: the body") && !line.contains('\n'), "{line}");
        }
        let sent = [("x", "a\nb")];
        assert!(curl(&exchange("GET", "http://hs/", &sent, None)).starts_with("# curl: a header"));
    }
}
