//! One request over the wire. No redirect is followed, no cookie kept, nothing sent again by the
//! client itself, and no proxy taken from the environment.
use crate::secret::{Heard, SecretKind, Vault};
use crate::wire::{Answer, Ask, Exchanged, ORIGIN, Trouble, TroubleKind};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::error::Error as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use url::Url;

/// How much of an answer is read, in bytes.
pub const LONGEST_BODY: usize = 1 << 20;

/// How the target is reached.
#[derive(Debug, Clone)]
pub struct Transport {
    /// The homeserver's base URL; may have a path.
    pub base_url: Url,
    /// For one request, from connecting to the last byte.
    pub timeout: Duration,
    /// A file with certificates to trust, in PEM, beside those of the system.
    pub ca: Option<PathBuf>,
    /// Whether certificates are not checked.
    pub insecure: bool,
    /// A proxy for every request.
    pub proxy: Option<Url>,
    /// Host names with the address to use instead of asking the DNS.
    pub resolve: Vec<(String, SocketAddr)>,
    /// Headers for every request.
    pub headers: Vec<(String, String)>,
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
    /// Anything else the HTTP library refuses.
    #[error("cannot prepare requests to {url}: {why}")]
    Build {
        /// The target.
        url: String,
        /// The cause.
        why: String,
    },
}

/// Sends requests to one target.
#[derive(Debug, Clone)]
pub struct Http {
    pooled: reqwest::Client,
    fresh: reqwest::Client,
    base: String,
    timeout: Duration,
    headers: HeaderMap,
    vault: Arc<Vault>,
}

impl Http {
    /// Prepares clients; nothing is sent yet.
    pub fn new(transport: &Transport, vault: Arc<Vault>) -> Result<Http, ClientError> {
        install_crypto();
        let mut headers = HeaderMap::new();
        for (name, value) in &transport.headers {
            vault.learn_given_header(name, value);
            let (name, value) = header(name, value).ok_or(ClientError::Header(name.clone()))?;
            headers.append(name, value);
        }
        if let Some(proxy) = &transport.proxy {
            // Some proxies take a token for a user name.
            vault.learn(SecretKind::Proxy, proxy.password().unwrap_or(proxy.username()));
        }
        Ok(Http {
            pooled: client(transport, true)?,
            fresh: client(transport, false)?,
            base: transport.base_url.as_str().trim_end_matches('/').to_owned(),
            timeout: transport.timeout,
            headers,
            vault,
        })
    }

    /// The target's base URL without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Where secrets are remembered.
    pub fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    /// Sends one request and reads the answer up to [`LONGEST_BODY`].
    pub async fn send(&self, ask: &Ask) -> Exchanged {
        self.send_with(&self.pooled, ask).await
    }

    /// The same on a connection of its own.
    pub async fn send_fresh(&self, ask: &Ask) -> Exchanged {
        self.send_with(&self.fresh, ask).await
    }

    async fn send_with(&self, client: &reqwest::Client, ask: &Ask) -> Exchanged {
        self.vault.learn_request(&ask.headers, &ask.path, ask.body.as_deref());
        let url = format!("{}{}", self.base, ask.path);
        let started = Instant::now();
        let (sent_headers, result) = match self.request(client, ask, &url) {
            Ok(request) => {
                let sent = header_list(request.headers());
                let result = tokio::time::timeout(self.timeout, exchange(client, request)).await;
                (sent, result.unwrap_or_else(|_| Err(self.timed_out())))
            }
            Err(trouble) => (Vec::new(), Err(trouble)),
        };
        if let Ok(answer) = &result {
            self.vault.learn_answer(&Heard {
                path: &ask.path,
                granted: (200..300).contains(&answer.status),
                headers: &answer.headers,
                json: answer.json().ok(),
                body: &answer.body,
            });
        }
        Exchanged { ask: ask.clone(), url, sent_headers, result, duration: started.elapsed() }
    }

    fn timed_out(&self) -> Trouble {
        let text = format!("no answer within {} s", self.timeout.as_secs_f64());
        Trouble { kind: TroubleKind::Timeout, text }
    }

    fn request(
        &self,
        client: &reqwest::Client,
        ask: &Ask,
        url: &str,
    ) -> Result<reqwest::Request, Trouble> {
        let refused = |text: String| Trouble { kind: TroubleKind::Request, text };
        let method = reqwest::Method::from_bytes(ask.method.as_bytes())
            .map_err(|error| refused(error.to_string()))?;
        let mut headers = self.headers.clone();
        headers.insert("origin", HeaderValue::from_static(ORIGIN));
        headers.insert("accept", HeaderValue::from_static("application/json"));
        for (name, value) in &ask.headers {
            let (name, value) = header(name, value)
                .ok_or_else(|| refused(format!("the header {name} cannot be sent")))?;
            headers.insert(name, value);
        }
        let mut request = client.request(method, url).headers(headers);
        if let Some(body) = &ask.body {
            request = request.body(body.clone());
        }
        request.build().map_err(|error| refused(innermost(&error)))
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

/// TLS needs a provider before the first client is built; a second call changes nothing.
fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn client(transport: &Transport, pooled: bool) -> Result<reqwest::Client, ClientError> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .connect_timeout(transport.timeout)
        .user_agent(concat!("homespec/", env!("CARGO_PKG_VERSION")));
    if !pooled {
        builder = builder.pool_max_idle_per_host(0);
    }
    if transport.base_url.scheme() == "http" && transport.proxy.is_none() {
        // A machine without a CA bundle can still test plain HTTP.
        builder = builder.tls_certs_only(Vec::<reqwest::Certificate>::new());
    } else if let Some(path) = &transport.ca {
        let refused = |why: String| ClientError::Certificates { path: path.clone(), why };
        let pem = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|error| refused(innermost(&error)))?;
        builder = builder.tls_certs_merge(certificates);
    }
    if transport.insecure {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    if let Some(proxy) = &transport.proxy {
        let proxy = reqwest::Proxy::all(proxy.as_str()).map_err(|e| build(transport, &e))?;
        builder = builder.proxy(proxy);
    }
    for (host, address) in &transport.resolve {
        builder = builder.resolve(host, *address);
    }
    builder.build().map_err(|error| build(transport, &error))
}

fn build(transport: &Transport, error: &reqwest::Error) -> ClientError {
    ClientError::Build { url: transport.base_url.to_string(), why: innermost(error) }
}

async fn exchange(client: &reqwest::Client, request: reqwest::Request) -> Result<Answer, Trouble> {
    let mut response = client.execute(request).await.map_err(|error| trouble(&error))?;
    let status = response.status().as_u16();
    let headers = header_list(response.headers());
    let (mut body, mut truncated) = (Vec::new(), false);
    while let Some(chunk) = response.chunk().await.map_err(|error| trouble(&error))? {
        let room = LONGEST_BODY - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            truncated = true;
            break;
        }
    }
    Ok(Answer::new(status, headers, body, truncated))
}

fn trouble(error: &reqwest::Error) -> Trouble {
    let text = innermost(error);
    let kind = if error.is_connect() {
        TroubleKind::Connect
    } else if error.is_timeout() {
        TroubleKind::Timeout
    } else if is_closed(error) {
        TroubleKind::Closed
    } else {
        TroubleKind::Protocol
    };
    Trouble { kind, text }
}

fn is_closed(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind;
            return matches!(
                io.kind(),
                ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::BrokenPipe
                    | ErrorKind::UnexpectedEof
            );
        }
        let text = inner.to_string();
        if text.contains("connection closed") || text.contains("end of file") {
            return true;
        }
        cause = inner.source();
    }
    false
}

/// The last cause in the chain: the only one that says what happened.
fn innermost(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}
