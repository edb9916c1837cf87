//! The data layer in front of another homeserver: a reverse proxy that changes answers and nothing else.
//!
//! What no edit is meant for goes through byte for byte. Answers are read whole, up to a limit, because an edit may
//! change any part of them.

use super::answer::{Answer, Body};
use super::catalogue::Catalogue;
use super::context::Call;
use super::edit::Situation;
use super::layer::Layer;
use super::refusal_inference::RefusalInference;
use super::release::{self, Listed};
use super::route::find;
use super::server::{self, Chosen, Running, StartError};
use axum::Router;
use axum::body::{Body as Stream, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::Url;

/// The largest body of a request and of an answer, in bytes.
const LIMIT: usize = 16 << 20;
/// How long the homeserver behind may take for an answer; longer than a `/sync` that waits.
const PATIENCE: Duration = Duration::from_secs(90);

/// Headers that are about one connection and not about the message (RFC 9110, 7.6.1), and those that are made anew.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Where the layer stands, and what it changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Front {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The base URL of the homeserver behind; a path in it comes before that of each request.
    pub upstream: Url,
    /// Names of faults that are edits, see [`Kind::is_edit`](super::Kind::is_edit).
    pub faults: Vec<String>,
    /// Names of quirks that are edits.
    pub quirks: Vec<String>,
    /// Faults and quirks that stand in no table here.
    pub catalogue: Catalogue,
}

struct Shared {
    /// Without a slash at its end.
    upstream: String,
    client: reqwest::Client,
    layer: Layer,
    listed: Listed,
    inference: Mutex<RefusalInference>,
}

/// Puts the layer in front of a homeserver, on the running tokio runtime. It listens when this returns; whether the
/// homeserver is there shows with the first request.
///
/// # Errors
/// [`StartError`], with nothing left running.
pub async fn front(front: Front) -> Result<Running, StartError> {
    let Front { listen, upstream, faults, quirks, catalogue } = front;
    let chosen = Chosen::new(&faults, &quirks, catalogue)?.edits_alone()?;
    let layer = Layer::of(chosen.edits());
    let client = client(&upstream)
        .map_err(|source| StartError::Client { url: upstream.to_string(), source })?;
    // Which paths there are is the other's business: every one that some release has is known.
    let listed =
        Listed::parse(&release::PUBLISHED.map(str::to_owned)).map_err(StartError::Version)?;
    let (listener, addr) = server::listen(listen).await?;
    let changed = layer.counter();
    let upstream = upstream.as_str().trim_end_matches('/').to_owned();
    let inference = Mutex::new(RefusalInference::default());
    let shared = Arc::new(Shared { upstream, client, layer, listed, inference });
    Ok(server::run(listener, addr, Router::new().fallback(serve).with_state(shared), changed))
}

/// A client that changes nothing by itself: no redirect followed, nothing sent again, no proxy. Each request has a
/// connection of its own, so that one that was closed while it lay idle never looks like an answer.
fn client(upstream: &Url) -> Result<reqwest::Client, Box<dyn Error + Send + Sync>> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .tls_backend_preconfigured(tls(upstream)?)
        .timeout(PATIENCE);
    Ok(client.build()?)
}

/// Trusts what the system trusts, with a cryptography provider of its own: one for the whole process is the business of
/// whoever uses the library.
fn tls(upstream: &Url) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = match upstream.scheme() {
        // A machine without a CA bundle can still stand in front of plain HTTP.
        "http" => builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
        _ => builder.with_platform_verifier()?.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Passes one request on, and its answer back as the layer leaves it.
async fn serve(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Stream> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LIMIT).await else {
        return trouble(StatusCode::PAYLOAD_TOO_LARGE, "the request is cut off or too large");
    };
    let received = match pass_on(&shared, &parts, body.clone()).await {
        Ok(received) => received,
        Err(Trouble::Late) => {
            return trouble(StatusCode::GATEWAY_TIMEOUT, "the homeserver behind does not answer");
        }
        Err(Trouble::Broken(why)) => return trouble(StatusCode::BAD_GATEWAY, &why),
    };
    let mut answer = received.as_answer();
    let found = find(&parts.method, parts.uri.path(), &shared.listed, |_| true);
    let situation = Situation::of(&found, &parts.method, &parts.headers);
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let call = Call {
        operation: situation.operation,
        parameters: found.parameters(),
        query: query.into_owned().collect(),
        headers: parts.headers,
        body: body.into(),
        peer,
        path: parts.uri.path().to_owned(),
    };
    if !situation.options {
        let mut inference = shared.inference.lock().unwrap_or_else(PoisonError::into_inner);
        answer.cause = inference.reason(&call, &found, &answer);
        inference.note(&call, &answer);
    }
    match shared.layer.apply(situation, &call.headers, &mut answer) {
        true => answer.into(),
        false => received.into_response(&parts.method),
    }
}

/// What a request came to when it was passed on.
struct Received {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

enum Trouble {
    /// No answer in time.
    Late,
    /// No answer, or one that is too long.
    Broken(String),
}

impl From<reqwest::Error> for Trouble {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::Late } else { Self::Broken(error.to_string()) }
    }
}

async fn pass_on(shared: &Shared, parts: &Parts, body: Bytes) -> Result<Received, Trouble> {
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut headers = forwarded(&parts.headers);
    headers.remove(header::HOST);
    // An answer that is packed could not be edited.
    headers.remove(header::ACCEPT_ENCODING);
    let framed = headers.remove(header::CONTENT_LENGTH).is_some()
        || parts.headers.contains_key(header::TRANSFER_ENCODING);
    headers.append(header::VIA, HeaderValue::from_static("1.1 homespec"));
    let mut request = shared
        .client
        .request(parts.method.clone(), format!("{}{target}", shared.upstream))
        .headers(headers);
    if framed || !body.is_empty() {
        request = request.body(body);
    }
    let mut response = request.send().await?;
    let (status, headers) = (response.status(), forwarded(response.headers()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LIMIT {
            return Err(Trouble::Broken("the answer is too long".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Received { status, headers, body: body.into() })
}

/// The headers without those that are about one connection, be it by their nature or because `Connection` names them.
fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let stays = |name: &HeaderName| {
        !HOP_BY_HOP.contains(&name.as_str()) && !named.iter().any(|named| named == name.as_str())
    };
    let mut kept = HeaderMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| stays(name)) {
        kept.append(name, value.clone());
    }
    kept
}

impl Received {
    /// The answer as edits see it. Its length is left out: it is another one after an edit.
    fn as_answer(&self) -> Answer {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = self.headers.iter().filter(|(name, _)| **name != header::CONTENT_LENGTH);
        Answer {
            status: self.status.as_u16(),
            headers: headers.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
            body: match serde_json::from_slice(&self.body) {
                Ok(json) => Body::Json(json),
                Err(_) => Body::Bytes(self.body.to_vec()),
            },
            cause: None,
        }
    }

    /// The answer as it came.
    fn into_response(mut self, method: &Method) -> Response<Stream> {
        // The length of what is not sent, an answer to HEAD, is part of the message; else the body tells it.
        if method != Method::HEAD {
            self.headers.remove(header::CONTENT_LENGTH);
        }
        let mut response = Response::new(Stream::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// An answer of the layer's own, which no homeserver would give: without an `errcode`.
fn trouble(status: StatusCode, why: &str) -> Response<Stream> {
    let mut response = Response::new(Stream::from(format!("homespec serve --upstream: {why}\n")));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_one_connection_stays_there() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("x-forwarded-for", "192.0.2.1"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let kept = forwarded(&headers);
        let names: Vec<_> = kept.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-forwarded-for", "set-cookie", "set-cookie"]);
    }
}
