//! Finding the homeserver of a server name by its well-known file (Client-Server API, "Server
//! Discovery"). No credentials and no headers of the operator are sent there.
use crate::http::client::{ClientError, HttpClient, Transport};
use crate::http::message::{Exchange, Request, Response};
use crate::http::target::Target;
use crate::redact::Vault;
use serde_json::Value;
use std::sync::Arc;
use url::Url;

/// The path of the file.
pub const WELL_KNOWN: &str = "/.well-known/matrix/client";

/// The most redirects that are followed. Other requests follow none, but this one carries no
/// secret, and web servers often redirect `example.org` to `www.example.org`.
const MOST_REDIRECTS: usize = 5;

/// The longest quotation in a message, in characters.
const LONGEST_QUOTE: usize = 200;

/// A well-known file that leads to no homeserver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotDiscovered {
    /// No connection, or no answer on it.
    #[error("GET {url} got no response: {why}")]
    NoAnswer {
        /// The requested URL.
        url: String,
        /// The cause.
        why: String,
    },
    /// There is no file. Clients continue without it (`IGNORE`); homespec does not guess.
    #[error(
        "GET {url} answered 404, so there is no well-known file; give the homeserver's own URL"
    )]
    NoFile {
        /// The requested URL.
        url: String,
    },
    /// Neither a file nor its absence (`FAIL_PROMPT`).
    #[error("GET {url} answered {status}")]
    Status {
        /// The requested URL.
        url: String,
        /// The status.
        status: u16,
    },
    /// The file is not what it should be (`FAIL_PROMPT`).
    #[error("the well-known file {url} is not usable: {why}")]
    Unusable {
        /// The requested URL.
        url: String,
        /// The cause.
        why: String,
    },
    /// The file has an invalid URL (`FAIL_ERROR`).
    #[error("the well-known file {url} has {base_url} as base_url of m.homeserver: {why}")]
    BaseUrl {
        /// The requested URL.
        url: String,
        /// The value, quoted and cut.
        base_url: String,
        /// The error in it.
        why: &'static str,
    },
    /// A redirect that is not followed.
    #[error("GET {url} is a redirect to {to}, which is not followed: {why}")]
    Redirect {
        /// The requested URL.
        url: String,
        /// The location, quoted and cut.
        to: String,
        /// The cause.
        why: &'static str,
    },
    /// No request can be made for the target of a redirect.
    #[error("{0}")]
    Client(String),
}

impl From<ClientError> for NotDiscovered {
    fn from(error: ClientError) -> NotDiscovered {
        NotDiscovered::Client(error.to_string())
    }
}

/// The result of a search for the homeserver.
#[derive(Debug)]
pub struct Search {
    /// The homeserver's base URL, or why there is none.
    pub found: Result<Url, NotDiscovered>,
    /// The requests and responses.
    pub exchanges: Vec<Exchange>,
}

/// Asks the web server that `transport` leads to for its well-known file, without the transport's
/// headers.
pub async fn search(transport: &Transport, vault: &Arc<Vault>) -> Search {
    let mut exchanges = Vec::new();
    let found = follow(transport, vault, &mut exchanges).await;
    Search { found, exchanges }
}

/// A homeserver somewhere else.
#[derive(Debug, PartialEq, Eq)]
pub struct Delegation {
    /// The server name whose well-known file names it, for `--discover`.
    pub name: String,
    /// Its URL.
    pub url: Url,
}

/// Checks if the host of the target is a server name whose well-known file names another URL: a
/// hint for a target that is not a homeserver. Sends one request, without the operator's headers;
/// follows no redirect.
pub async fn delegation(http: &HttpClient, exchanges: &mut Vec<Exchange>) -> Option<Delegation> {
    let (name, root) = server_name(http.target())?;
    let target = Target::Web(root);
    let (headers, timeout) = (Vec::new(), http.time_aside());
    let transport = Transport { target, headers, timeout, ..http.transport().clone() };
    // Without a client there is no hint; the run ends with what is known already.
    let http_of_name = HttpClient::new(&transport, http.vault().clone()).ok()?;
    let exchange = http_of_name.send(&Request::new(None, "GET", WELL_KNOWN)).await;
    let found = exchange.result.as_ref().ok().map(|response| base_url(&exchange.url, response));
    exchanges.push(exchange);
    let url = found?.ok()?;
    (Target::Web(url.clone()) != *http.target()).then_some(Delegation { name, url })
}

/// The server name that a target may stand for, and the root of its web server: `--discover` asks by `https` alone.
fn server_name(target: &Target) -> Option<(String, Url)> {
    let Target::Web(url) = target else { return None };
    let mut root = url.clone();
    // A port of plain HTTP is not one of HTTPS.
    if url.scheme() == "http" && (url.port().is_some() || root.set_scheme("https").is_err()) {
        return None;
    }
    root.set_path("");
    let host = root.host_str()?;
    let name = root.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    Some((name, root))
}

async fn follow(
    transport: &Transport,
    vault: &Arc<Vault>,
    exchanges: &mut Vec<Exchange>,
) -> Result<Url, NotDiscovered> {
    let mut transport = Transport { headers: Vec::new(), ..transport.clone() };
    let mut path = WELL_KNOWN.to_owned();
    for left in (0..=MOST_REDIRECTS).rev() {
        let http = HttpClient::new(&transport, vault.clone())?;
        // It is another server's response, which the specification does not cover.
        let exchange = http.send(&Request::new(None, "GET", &path)).await;
        let (url, result) = (exchange.url.clone(), exchange.result.clone());
        exchanges.push(exchange);
        let response =
            result.map_err(|why| NotDiscovered::NoAnswer { url: url.clone(), why: why.text })?;
        let Some(location) = redirect(&response) else { return base_url(&url, &response) };
        let next = next(&url, &location, left)?;
        path = match next.query() {
            Some(query) => format!("{}?{query}", next.path()),
            None => next.path().to_owned(),
        };
        let mut root = next;
        root.set_path("");
        root.set_query(None);
        transport.target = Target::Web(root);
    }
    // The last round follows nothing.
    Err(NotDiscovered::Client("too many redirects".to_owned()))
}

fn redirect(response: &Response) -> Option<String> {
    if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    response.header("location")
}

/// Returns the next URL, if `left` more redirects may be followed.
fn next(url: &str, location: &str, left: usize) -> Result<Url, NotDiscovered> {
    let refused =
        |why| Err(NotDiscovered::Redirect { url: url.to_owned(), to: quoted(location), why });
    let Ok(from) = Url::parse(url) else { return refused("its own URL is invalid") };
    let Ok(mut to) = from.join(location) else { return refused("it is not a URL") };
    if left == 0 {
        return refused("there were too many redirects");
    }
    if !matches!(to.scheme(), "http" | "https") || !to.has_host() {
        return refused("only http:// and https:// are followed");
    }
    if from.scheme() == "https" && to.scheme() == "http" {
        return refused("it leads from https:// to http://");
    }
    if has_user(&to) {
        return refused("it has a user name");
    }
    to.set_fragment(None);
    Ok(to)
}

/// Reads the file: Client-Server API, "Well-known URIs", step 3.
fn base_url(url: &str, response: &Response) -> Result<Url, NotDiscovered> {
    let url = url.to_owned();
    match response.status {
        200 => {}
        404 => return Err(NotDiscovered::NoFile { url }),
        status => return Err(NotDiscovered::Status { url, status }),
    }
    let body = match response.json() {
        Ok(body) => body,
        Err(why) => {
            let why = format!("it is not JSON: {why}");
            return Err(NotDiscovered::Unusable { url, why });
        }
    };
    let Some(text) = body.pointer("/m.homeserver/base_url").and_then(Value::as_str) else {
        let why = "it has no text as base_url of m.homeserver".to_owned();
        return Err(NotDiscovered::Unusable { url, why });
    };
    homeserver(text).map_err(|why| NotDiscovered::BaseUrl { url, base_url: quoted(text), why })
}

/// The URL of a homeserver, or what is wrong with it.
fn homeserver(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "it is not a URL")?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("it is neither http:// nor https://");
    }
    if has_user(&url) {
        return Err("it has a user name");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a query or a fragment");
    }
    Ok(url)
}

fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// A text from the network, short, and with everything escaped that a terminal might obey.
fn quoted(text: &str) -> String {
    let cut: String = text.chars().take(LONGEST_QUOTE).collect();
    format!("{cut:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "https://example.org/.well-known/matrix/client";

    fn said(status: u16, body: &str) -> Result<String, String> {
        let response = Response::new(status, Vec::new(), body.as_bytes().to_vec(), false);
        base_url(FILE, &response).map(String::from).map_err(|why| why.to_string())
    }

    #[test]
    fn the_file_names_the_homeserver() {
        let file = |url: &str| format!(r#"{{"m.homeserver": {{"base_url": "{url}"}}}}"#);
        assert_eq!(said(200, &file("https://hs.example")).unwrap(), "https://hs.example/");
        assert_eq!(said(200, &file("https://hs.example/a/")).unwrap(), "https://hs.example/a/");
        for wrong in
            ["hs.example", "file:///etc", "https://u:p@hs.example", "https://hs.example/?q", ""]
        {
            let why = said(200, &file(wrong)).unwrap_err();
            assert!(why.contains("as base_url of m.homeserver"), "{wrong}: {why}");
        }
    }

    #[test]
    fn each_way_of_failing_has_its_words() {
        for (status, body, words) in [
            (404, "", "no well-known file"),
            (500, "{}", "answered 500"),
            (204, "", "answered 204"),
            (200, "", "it is empty"),
            (200, "<html>", "not JSON"),
            (200, "[]", "no text as base_url"),
            (200, r#"{"m.homeserver": {"base_url": 1}}"#, "no text as base_url"),
        ] {
            let why = said(status, body).unwrap_err();
            assert!(why.contains(words), "{status} {body}: {why}");
        }
    }

    #[test]
    fn a_target_may_stand_for_a_server_name() {
        let of = |url: &str| server_name(&url.parse().unwrap()).map(|(name, _)| name);
        assert_eq!(of("https://example.org/matrix").unwrap(), "example.org");
        assert_eq!(of("https://example.org:8448").unwrap(), "example.org:8448");
        assert_eq!(of("http://example.org").unwrap(), "example.org");
        assert_eq!(of("http://example.org:8008"), None);
        assert_eq!(of("unix:/run/hs.sock"), None);
    }

    #[test]
    fn redirects_stay_on_the_web_and_never_give_up_tls() {
        let to = |location: &str| next(FILE, location, 1).map(String::from);
        assert_eq!(to("/other").unwrap(), "https://example.org/other");
        assert_eq!(to("https://www.example.org/a?b#c").unwrap(), "https://www.example.org/a?b");
        for location in ["http://example.org/a", "file:///etc/passwd", "https://u@a.example/", "//"]
        {
            assert!(to(location).is_err(), "{location}");
        }
        assert!(next(FILE, "/other", 0).is_err());
    }

    #[test]
    fn what_is_quoted_is_short_and_inert() {
        let text = quoted(&format!("\u{1b}[31m{}", "x".repeat(1000)));
        assert!(text.chars().count() < 250 && !text.contains('\u{1b}'), "{text}");
    }
}
