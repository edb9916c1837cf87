//! One request over the wire. No redirect is followed, no cookie kept, nothing sent again by the
//! client itself, and no proxy taken from the environment.
use crate::http::background::beside;
use crate::http::error::{innermost, trouble};
use crate::http::message::{
    Exchange, ORIGIN, Request, Response, TransportError, TransportErrorKind,
};
use crate::http::target::Target;
use crate::http::tls::{self, SetupError, Trust};
use crate::redact::{ExposeSecret as _, Heard, SecretKind, SecretString, Vault};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

/// How much of an answer is read, in bytes.
pub const LONGEST_BODY: usize = 1 << 20;
/// How much is read of all answers of a run together, in bytes: they are kept to its end.
pub const ROOM: usize = 32 << 20;
/// The longest headers of an answer, names and values together, in bytes.
const LONGEST_HEADERS: usize = 32 << 10;

/// How the target is reached.
#[derive(Debug, Clone)]
pub struct Transport {
    /// Where the homeserver is.
    pub target: Target,
    /// For one request, from connecting to the last byte.
    pub timeout: Duration,
    /// A file with certificates to trust, in PEM, beside those of the system.
    pub ca: Option<PathBuf>,
    /// Whether certificates are not checked.
    pub insecure: bool,
    /// A proxy for every request; behind a unix socket there is none.
    pub proxy: Option<Proxy>,
    /// Host names with the address to use instead of asking the DNS. Port 0, and a URL that names a
    /// port, leave the URL's.
    pub resolve: Vec<(String, SocketAddr)>,
    /// Headers for every request.
    pub headers: Vec<(String, SecretString)>,
}

impl Transport {
    /// Straight to the target, with nothing special about it.
    pub fn to(target: Target, timeout: Duration) -> Transport {
        Transport {
            target,
            timeout,
            ca: None,
            insecure: false,
            proxy: None,
            resolve: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Whether certificates may have to be looked at.
    fn uses_tls(&self) -> bool {
        let by_proxy = self.proxy.as_ref().is_some_and(|proxy| proxy.url.scheme() == "https");
        by_proxy || self.target.scheme() == "https"
    }
}

/// A proxy: HTTP (with CONNECT for `https` targets) or SOCKS 5.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Where it is, without a user name.
    pub url: Url,
    /// `user:password`, if it asks for them.
    pub credentials: Option<SecretString>,
}

/// Why there can be no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The certificate file cannot be read.
    #[error("cannot read the certificates in {path}: {why}")]
    Certificates {
        /// The file.
        path: PathBuf,
        /// The cause.
        why: String,
    },
    /// A header that no request can carry.
    #[error("`{0}` is not a header that can be sent")]
    Header(String),
    /// Certificates are to be checked, and there is nothing to check them with.
    #[error(
        "{target} needs certificates to trust, and this system has none: name a file of them with \
         --ca FILE, or where the system's are with SSL_CERT_FILE or SSL_CERT_DIR"
    )]
    NoCertificates {
        /// The target.
        target: String,
    },
    /// Unix sockets, on a system without them.
    #[cfg(not(unix))]
    #[error("this system has no unix sockets")]
    NoSockets,
    /// Anything else the HTTP library refuses.
    #[error("cannot prepare requests to {target}: {why}")]
    Build {
        /// The target.
        target: String,
        /// The cause.
        why: String,
    },
}

/// How long a question beside the first one may take: by the other scheme, or for a well-known file.
const ASIDE: Duration = Duration::from_secs(5);

/// Sends requests to one target.
#[derive(Debug, Clone)]
pub struct HttpClient {
    pooled: reqwest::Client,
    fresh: reqwest::Client,
    target: Target,
    proxy: Option<Url>,
    timeout: Duration,
    headers: HeaderMap,
    vault: Arc<Vault>,
    transport: Arc<Transport>,
    /// How many bytes of answers have been read so far.
    read: Arc<AtomicUsize>,
    /// Held by whoever parses or judges a large answer.
    large: Arc<Semaphore>,
    has_seen_large: Arc<AtomicBool>,
    /// Requests that may have begun something and were broken off.
    broken_off: Arc<Mutex<Vec<String>>>,
}

/// A request under way that may begin something; noted where it is broken off.
struct UnderWay<'h> {
    broken_off: &'h Mutex<Vec<String>>,
    what: Option<String>,
}

impl UnderWay<'_> {
    fn has_ended(mut self) {
        self.what = None;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut all = self.broken_off.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(self.what.take());
    }
}

impl HttpClient {
    /// Prepares clients; nothing is sent yet.
    pub fn new(transport: &Transport, vault: Arc<Vault>) -> Result<HttpClient, ClientError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &transport.headers {
            let value = value.expose_secret();
            vault.learn_given_header(name, value);
            let (name, value) = header(name, value).ok_or(ClientError::Header(name.clone()))?;
            headers.append(name, value);
        }
        if let Some((user, password)) = transport.proxy.as_ref().and_then(Proxy::login) {
            vault.learn(SecretKind::Proxy, password);
            vault.learn(SecretKind::Proxy, &format!("{user}:{password}"));
        }
        // Made once: it reads the system's certificates.
        let tls = tls_config(transport)?;
        Ok(HttpClient {
            pooled: client(transport, tls.clone(), true)?,
            fresh: client(transport, tls, false)?,
            target: transport.target.clone(),
            proxy: transport.proxy.as_ref().map(|proxy| proxy.url.clone()),
            timeout: transport.timeout,
            headers,
            vault,
            transport: Arc::new(transport.clone()),
            read: Arc::default(),
            large: Arc::new(Semaphore::new(1)),
            has_seen_large: Arc::default(),
            broken_off: Arc::default(),
        })
    }

    /// How the target is reached.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// How long a question beside the first one may take, so that both together end within the time for one.
    pub fn time_aside(&self) -> Duration {
        (self.timeout / 2).min(ASIDE)
    }

    /// Where requests go.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Whether the answers so far are as many as a run can keep, [`ROOM`].
    pub fn is_full(&self) -> bool {
        self.read.load(Ordering::Relaxed) >= ROOM
    }

    /// Whether an answer was so large that no second one is to be parsed beside it.
    pub fn has_seen_large(&self) -> bool {
        self.has_seen_large.load(Ordering::Relaxed)
    }

    /// Waits until no other large answer is parsed or judged; none is while what this gives is kept.
    pub async fn alone(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        self.large.clone().acquire_owned().await.ok()
    }

    /// The requests that were broken off and may have begun a session or made an account, in a reader's words.
    pub fn broken_off(&self) -> Vec<String> {
        self.broken_off.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn under_way(&self, request: &Request) -> UnderWay<'_> {
        let path = request.path.split('?').next().unwrap_or_default();
        let begins = request.method == "POST"
            && ["/login", "/register", "/refresh"].iter().any(|end| path.ends_with(end));
        let what = begins.then(|| format!("{} {path}", request.method));
        UnderWay { broken_off: &self.broken_off, what }
    }

    /// Remembers the secrets of an answer; those of a large one beside other work.
    async fn learn(&self, request: &Request, response: &Response) {
        let (vault, path, heard) = (self.vault.clone(), request.path.clone(), response.clone());
        let learn = move || {
            vault.learn_answer(&Heard {
                path: &path,
                granted: (200..300).contains(&heard.status),
                headers: &heard.headers,
                json: heard.json().ok(),
                body: &heard.body,
            });
        };
        if !response.is_large() {
            return learn();
        }
        self.has_seen_large.store(true, Ordering::Relaxed);
        let _alone = self.alone().await;
        if beside(learn.clone()).await.is_none() {
            learn();
        }
    }

    /// Where secrets are remembered.
    pub fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    /// Sends one request and reads the answer up to [`LONGEST_BODY`].
    pub async fn send(&self, request: &Request) -> Exchange {
        self.send_with(&self.pooled, request).await
    }

    /// The same on a connection of its own.
    pub async fn send_fresh(&self, request: &Request) -> Exchange {
        self.send_with(&self.fresh, request).await
    }

    /// Sends one request to the same host and port by the other of `http` and `https`, without the
    /// operator's headers and whatever the certificate: only to see who answers. With the URL that
    /// was used; nothing if there is no such URL.
    pub async fn send_by_other_scheme(&self, request: &Request) -> Option<(String, Exchange)> {
        let Target::Web(url) = &self.target else { return None };
        let mut url = url.clone();
        let port = url.port_or_known_default();
        let scheme = if url.scheme() == "http" { "https" } else { "http" };
        url.set_scheme(scheme).and_then(|()| url.set_port(port)).ok()?;
        let (target, headers) = (Target::Web(url), Vec::new());
        // Whoever does not speak the scheme may say nothing at all.
        let timeout = self.time_aside();
        let (insecure, ca) = (true, None);
        let transport =
            Transport { target, headers, timeout, insecure, ca, ..(*self.transport).clone() };
        let other = HttpClient::new(&transport, self.vault.clone()).ok()?;
        Some((other.target.to_string(), other.send(request).await))
    }

    async fn send_with(&self, client: &reqwest::Client, request: &Request) -> Exchange {
        self.vault.learn_request(&request.headers, &request.path, request.body.as_deref());
        let url = self.target.origin() + &request.path;
        let started = Instant::now();
        let under_way = self.under_way(request);
        let (sent_headers, result) = match self.request(client, request, &url) {
            Ok(request) => {
                let sent = header_list(request.headers());
                let exchange = self.exchange(client, request);
                let result = match tokio::time::timeout(self.timeout, exchange).await {
                    Ok(Err(TransportError { kind: TransportErrorKind::Timeout, .. })) | Err(_) => {
                        Err(self.timed_out())
                    }
                    Ok(result) => result,
                };
                (sent, self.by_way_of(result))
            }
            Err(trouble) => (Vec::new(), Err(trouble)),
        };
        let duration = started.elapsed();
        if let Ok(response) = &result {
            self.learn(request, response).await;
        }
        under_way.has_ended();
        let url = self.target.url_of(&request.path);
        Exchange { request: request.clone(), url, sent_headers, result, duration, shared: false }
    }

    /// With a proxy in between, what is in the way may be the proxy: 407 is its own answer (RFC 9110,
    /// section 15.5.8), and a connection that fails was made by it, or to it.
    fn by_way_of(
        &self,
        result: Result<Response, TransportError>,
    ) -> Result<Response, TransportError> {
        let Some(proxy) = &self.proxy else { return result };
        let blame = |what: &str| TransportError {
            kind: TransportErrorKind::Connect,
            text: format!("by way of the proxy {proxy}: {what}"),
        };
        match result {
            Ok(response) if response.status == 407 => {
                Err(blame("it asks for a user and a password (--proxy-auth-file FILE)"))
            }
            Err(trouble) if trouble.kind == TransportErrorKind::Connect => {
                Err(blame(&trouble.text))
            }
            other => other,
        }
    }

    async fn exchange(
        &self,
        client: &reqwest::Client,
        request: reqwest::Request,
    ) -> Result<Response, TransportError> {
        let mut response = client.execute(request).await.map_err(|error| trouble(&error))?;
        let status = response.status().as_u16();
        let headers = header_list(response.headers());
        let size: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if size > LONGEST_HEADERS {
            let text = format!("its headers are {size} bytes long");
            return Err(TransportError { kind: TransportErrorKind::Protocol, text });
        }
        let (mut body, mut truncated) = (Vec::new(), false);
        while let Some(chunk) = response.chunk().await.map_err(|error| trouble(&error))? {
            let room = LONGEST_BODY.saturating_sub(body.len());
            body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            if chunk.len() > room {
                truncated = true;
                break;
            }
        }
        self.read.fetch_add(body.len(), Ordering::Relaxed);
        Ok(Response::new(status, headers, body, truncated))
    }

    fn timed_out(&self) -> TransportError {
        let text = format!("no whole answer within {} s", self.timeout.as_secs_f64());
        TransportError { kind: TransportErrorKind::Timeout, text }
    }

    fn request(
        &self,
        client: &reqwest::Client,
        request: &Request,
        url: &str,
    ) -> Result<reqwest::Request, TransportError> {
        let refused = |text: String| TransportError { kind: TransportErrorKind::Request, text };
        let method = reqwest::Method::from_bytes(request.method.as_bytes())
            .map_err(|error| refused(error.to_string()))?;
        let mut headers = self.headers.clone();
        headers.insert("origin", HeaderValue::from_static(ORIGIN));
        headers.insert("accept", HeaderValue::from_static("application/json"));
        for (name, value) in &request.headers {
            let (name, value) = header(name, value)
                .ok_or_else(|| refused(format!("the header {name} cannot be sent")))?;
            headers.insert(name, value);
        }
        let mut builder = client.request(method, url).headers(headers);
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        builder.build().map_err(|error| refused(innermost(&error)))
    }
}

fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
}

fn header_list(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect()
}

fn tls_config(transport: &Transport) -> Result<ClientConfig, ClientError> {
    let given = transport.ca.as_deref().map(certificates).transpose()?;
    let trust = match (transport.uses_tls(), transport.insecure) {
        // A machine without certificates can still test plain HTTP.
        (false, _) => Trust::Nothing,
        (true, true) => Trust::Anything,
        (true, false) => Trust::SystemAnd(given.unwrap_or_default()),
    };
    tls::config(trust).map_err(|error| {
        let target = transport.target.to_string();
        match error {
            SetupError::NoCertificates => ClientError::NoCertificates { target },
            SetupError::Unusable => ClientError::Certificates {
                path: transport.ca.clone().unwrap_or_default(),
                why: error.to_string(),
            },
            SetupError::Other(why) => ClientError::Build { target, why },
        }
    })
}

fn client(
    transport: &Transport,
    tls: ClientConfig,
    pooled: bool,
) -> Result<reqwest::Client, ClientError> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .connect_timeout(transport.timeout)
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("homespec/", env!("CARGO_PKG_VERSION")));
    if !pooled {
        builder = builder.pool_max_idle_per_host(0);
    }
    if let Some(proxy) = &transport.proxy {
        let proxy = reqwest::Proxy::all(proxy.with_login()).map_err(|e| build(transport, &e))?;
        builder = builder.proxy(proxy);
    }
    for (host, address) in &transport.resolve {
        builder = builder.resolve(host, *address);
    }
    if let Target::Socket { path, .. } = &transport.target {
        builder = through_socket(builder, path)?;
    }
    builder.build().map_err(|error| build(transport, &error))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let refused = |why: String| ClientError::Certificates { path: path.to_owned(), why };
    let pem = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| refused("one in it is not whole PEM".to_owned()))?;
    // A file in another format reads like an empty one.
    if found.is_empty() { Err(refused("it holds none in PEM".to_owned())) } else { Ok(found) }
}

#[cfg(unix)]
fn through_socket(
    builder: reqwest::ClientBuilder,
    path: &Path,
) -> Result<reqwest::ClientBuilder, ClientError> {
    Ok(builder.unix_socket(path))
}

#[cfg(not(unix))]
fn through_socket(
    _: reqwest::ClientBuilder,
    _: &Path,
) -> Result<reqwest::ClientBuilder, ClientError> {
    Err(ClientError::NoSockets)
}

impl Proxy {
    /// User name and password.
    fn login(&self) -> Option<(&str, &str)> {
        let both = self.credentials.as_ref()?.expose_secret();
        Some(both.split_once(':').unwrap_or((both, "")))
    }

    /// Its URL with them inside, as the HTTP library wants it.
    fn with_login(&self) -> Url {
        let mut url = self.url.clone();
        if let Some((user, password)) = self.login() {
            // Only a URL without a host refuses this; that of a proxy has one.
            let _ = url.set_username(user).and_then(|()| url.set_password(Some(password)));
        }
        url
    }
}

fn build(transport: &Transport, error: &reqwest::Error) -> ClientError {
    ClientError::Build { target: transport.target.to_string(), why: innermost(error) }
}
