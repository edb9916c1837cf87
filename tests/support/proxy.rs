//! A proxy in front of a homeserver that remembers what went through it, and may hold a request back.
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::Response;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// One request and its answer.
#[derive(Debug, Clone)]
pub struct Passed {
    /// `POST /_matrix/…`.
    pub what: String,
    /// The JSON body of the request, null if it is none.
    pub sent: Value,
    /// The status of the answer.
    pub status: u16,
    /// The JSON body of the answer, null if it is none.
    pub got: Value,
}

struct Shared {
    upstream: String,
    http: reqwest::Client,
    log: Mutex<Vec<Passed>>,
    /// Told of each request whose path ends like this, before it goes on.
    watched: Option<(&'static str, mpsc::UnboundedSender<()>)>,
    /// Which requests get a 404 in the homeserver's place.
    absent: fn(&str) -> bool,
    /// A header of requests that does not go on.
    stripped: Option<&'static str>,
}

/// A proxy that runs.
pub struct Proxy {
    /// Where it listens.
    pub url: String,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

impl Proxy {
    /// Listens in front of `upstream`.
    pub fn start(upstream: &str) -> Proxy {
        Proxy::build(upstream, None, |_| false, None)
    }

    /// The same, without this header of requests, in lower case.
    pub fn stripping(upstream: &str, header: &'static str) -> Proxy {
        Proxy::build(upstream, None, |_| false, Some(header))
    }

    /// The same, telling of requests whose path ends in a certain way.
    pub fn requirement_for_violation(
        upstream: &str,
        watched: Option<(&'static str, mpsc::UnboundedSender<()>)>,
    ) -> Proxy {
        Proxy::build(upstream, watched, |_| false, None)
    }

    /// The same, without the operations of which this is true: method and path without the query.
    pub fn without(upstream: &str, absent: fn(&str) -> bool) -> Proxy {
        Proxy::build(upstream, None, absent, None)
    }

    fn build(
        upstream: &str,
        watched: Option<(&'static str, mpsc::UnboundedSender<()>)>,
        absent: fn(&str) -> bool,
        stripped: Option<&'static str>,
    ) -> Proxy {
        drop(rustls::crypto::ring::default_provider().install_default());
        let none: Vec<reqwest::Certificate> = Vec::new();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only(none).build().unwrap();
        let upstream = upstream.to_owned();
        let log = Mutex::default();
        let shared = Arc::new(Shared { upstream, http, log, watched, absent, stripped });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(pass).with_state(shared.clone());
        runtime.spawn(async move { axum::serve(listener, app).await });
        Proxy { url, shared, _runtime: runtime }
    }

    /// What went through it so far.
    pub fn log(&self) -> Vec<Passed> {
        self.shared.log.lock().unwrap().clone()
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    if let Some((_, tell)) = shared.watched.as_ref().filter(|(end, _)| path.ends_with(end)) {
        let _ = tell.send(());
    }
    let what = format!("{} {path}", parts.method);
    if (shared.absent)(what.split('?').next().unwrap_or_default()) {
        return unrecognized();
    }
    let url = format!("{}{path}", shared.upstream);
    let mut request = shared.http.request(parts.method, url).body(body.clone());
    let goes_on = |name: &str| name != "host" && shared.stripped.is_none_or(|one| one != name);
    for (name, value) in parts.headers.iter().filter(|(name, _)| goes_on(name.as_str())) {
        request = request.header(name, value);
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let bytes = answer.bytes().await.unwrap_or_default();
    let json = |bytes: &Bytes| serde_json::from_slice(bytes).unwrap_or(Value::Null);
    let passed = Passed { what, sent: json(&body), status: status.as_u16(), got: json(&bytes) };
    shared.log.lock().unwrap().push(passed);
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    for (name, value) in headers.iter().filter(|(name, _)| *name != "transfer-encoding") {
        response.headers_mut().append(name, value.clone());
    }
    response
}

fn unrecognized() -> Response<Body> {
    let body = r#"{"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"}"#;
    let response = Response::builder().status(404).header("content-type", "application/json");
    response.header("access-control-allow-origin", "*").body(Body::from(body)).unwrap()
}
