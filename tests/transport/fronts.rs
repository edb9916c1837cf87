//! Small servers in front of the reference homeserver, each on loopback and a port of its own: TLS with one HTTP version,
//! a unix socket, proxies. Every one writes down what it was asked.
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

/// What a front saw, in the order of arrival.
pub type Seen = Arc<Mutex<Vec<String>>>;

/// A certificate authority of one test.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, as a file for `--ca`.
    pub file: PathBuf,
}

impl Authority {
    /// A new one, with its file in this folder.
    pub fn new(folder: &Path) -> Authority {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Authority of a test");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let file = folder.join("ca.pem");
        std::fs::write(&file, certificate.pem()).unwrap();
        Authority { issuer: Issuer::new(params, key), file }
    }

    fn acceptor(&self, names: &[&str], alpn: &[&[u8]]) -> TlsAcceptor {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        acceptor(leaf.der(), &key, alpn)
    }
}

/// Presents a certificate, and signs with this key whether it is the certificate's or not.
fn acceptor(certificate: &CertificateDer<'static>, key: &KeyPair, alpn: &[&[u8]]) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let certified = CertifiedKey::new(vec![certificate.clone()], key);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// A certificate as `openssl req -x509` makes it: self-signed, and an authority's by its extensions.
pub struct SelfSigned {
    certificate: rcgen::Certificate,
    key: KeyPair,
    /// The certificate, as a file for `--ca`.
    pub file: PathBuf,
}

impl SelfSigned {
    /// For `localhost`, but for what is changed in it; with its file in this folder.
    pub fn new(folder: &Path, change: impl FnOnce(&mut CertificateParams)) -> SelfSigned {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let file = folder.join("own.pem");
        std::fs::write(&file, certificate.pem()).unwrap();
        SelfSigned { certificate, key, file }
    }

    /// The certificate with the key of another.
    pub fn with_key_of(self, other: SelfSigned) -> SelfSigned {
        SelfSigned { key: other.key, ..self }
    }

    /// TLS with it in front of `upstream`.
    pub fn tls(&self, runtime: &Runtime, upstream: SocketAddr) -> SocketAddr {
        tls_by(runtime, acceptor(self.certificate.der(), &self.key, &[b"http/1.1"]), upstream)
    }
}

/// Serves each connection with `serve`, until the runtime ends.
fn listen<F>(runtime: &Runtime, serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// TLS in front of `upstream`, with nothing but HTTP/1.1 behind it.
pub fn tls(
    runtime: &Runtime,
    authority: &Authority,
    names: &[&str],
    upstream: SocketAddr,
) -> SocketAddr {
    tls_by(runtime, authority.acceptor(names, &[b"http/1.1"]), upstream)
}

fn tls_by(runtime: &Runtime, acceptor: TlsAcceptor, upstream: SocketAddr) -> SocketAddr {
    listen(runtime, move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await?;
            forward(&mut stream, upstream).await
        }
    })
}

/// Either TLS or plain HTTP in front of `upstream`, and not a word to those that speak the other.
pub fn taciturn(
    runtime: &Runtime,
    tls: Option<(&Authority, &[&str])>,
    upstream: SocketAddr,
) -> SocketAddr {
    const HANDSHAKE: u8 = 22;
    let acceptor = tls.map(|(authority, names)| authority.acceptor(names, &[]));
    listen(runtime, move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut first = [0];
            stream.peek(&mut first).await?;
            match acceptor {
                Some(acceptor) if first[0] == HANDSHAKE => {
                    forward(&mut acceptor.accept(stream).await?, upstream).await
                }
                None if first[0] != HANDSHAKE => forward(&mut stream, upstream).await,
                // Until the other side gives up.
                _ => tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(drop),
            }
        }
    })
}

/// TLS in front of `upstream`, with nothing but HTTP/2 behind it. Writes down version and path of each request.
pub fn http2(
    runtime: &Runtime,
    authority: &Authority,
    names: &[&str],
    upstream: SocketAddr,
) -> (SocketAddr, Seen) {
    let (seen, acceptor) = (Seen::default(), authority.acceptor(names, &[b"h2"]));
    let client = plain_client();
    let sees = seen.clone();
    let address = listen(runtime, move |stream| {
        let (acceptor, sees, client) = (acceptor.clone(), sees.clone(), client.clone());
        async move {
            let stream = TokioIo::new(acceptor.accept(stream).await?);
            let service = hyper_util::service::TowerToHyperService::new(axum::routing::any(
                move |request: Request<Body>| {
                    let text = format!("{:?} {}", request.version(), request.uri().path());
                    sees.lock().unwrap().push(text);
                    translate(client.clone(), upstream, request)
                },
            ));
            let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            builder.http2_only().serve_connection(stream, service).await.map_err(io::Error::other)
        }
    });
    (address, seen)
}

fn plain_client() -> reqwest::Client {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_backend_preconfigured(config)
        .build()
        .unwrap()
}

/// The same request to `upstream` by HTTP/1.1, and its answer back.
async fn translate(
    client: reqwest::Client,
    upstream: SocketAddr,
    request: Request<Body>,
) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut sent =
        client.request(parts.method, format!("http://{upstream}{path}")).headers(parts.headers);
    if !body.is_empty() {
        sent = sent.body(body);
    }
    let Ok(answer) = sent.send().await else {
        return Ok(Response::builder().status(502).body(Body::empty()).unwrap());
    };
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        // They are about the connection behind, and HTTP/2 forbids them.
        if !["connection", "transfer-encoding", "keep-alive"].contains(&name.as_str()) {
            response = response.header(name, value);
        }
    }
    let body = answer.bytes().await.unwrap_or_default();
    let mut response = response.body(Body::from(body)).unwrap();
    *response.version_mut() = Version::HTTP_2;
    Ok(response)
}

/// A unix socket in front of `upstream`. Writes down the head of the first request of each connection.
pub fn unix(runtime: &Runtime, path: &Path, upstream: SocketAddr) -> Seen {
    let seen = Seen::default();
    let sees = seen.clone();
    let listener = runtime.block_on(async { UnixListener::bind(path) }).unwrap();
    runtime.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let sees = sees.clone();
            tokio::spawn(async move {
                let head = head(&mut stream).await?;
                sees.lock().unwrap().push(head.clone());
                forward_after(&mut stream, upstream, head.as_bytes()).await
            });
        }
    });
    seen
}

/// An HTTP proxy that leads every request to `upstream`, whatever it names. Writes down the heads that it got; asks for
/// these credentials, if there are some.
pub fn http_proxy(
    runtime: &Runtime,
    upstream: SocketAddr,
    credentials: Option<&'static str>,
) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let sees = seen.clone();
    let address = listen(runtime, move |mut stream| {
        let sees = sees.clone();
        async move {
            let head = head(&mut stream).await?;
            sees.lock().unwrap().push(head.clone());
            if credentials.is_some_and(|wanted| !head.contains(wanted)) {
                let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                return stream.write_all(refusal).await;
            }
            if head.starts_with("CONNECT ") {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
                return forward(&mut stream, upstream).await;
            }
            // From the absolute form to the origin form; one request a connection keeps this simple.
            let path = head.split(' ').nth(1).and_then(|url| url.splitn(4, '/').nth(3));
            let first = head.lines().next().unwrap_or_default();
            let method = head.split(' ').next().unwrap_or_default();
            let rest = head.strip_prefix(first).unwrap_or_default();
            let head = format!(
                "{method} /{} HTTP/1.1\r\nConnection: close{rest}",
                path.unwrap_or_default()
            );
            forward_after(&mut stream, upstream, head.as_bytes()).await
        }
    });
    (address, seen)
}

/// A SOCKS 5 proxy that leads every connection to `upstream`. Writes down the names it was asked for.
pub fn socks5(runtime: &Runtime, upstream: SocketAddr) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let sees = seen.clone();
    let address = listen(runtime, move |mut stream| {
        let sees = sees.clone();
        async move {
            // RFC 1928: methods, then a request with a name (type 3).
            let count = { stream.read_u16().await? & 0xff };
            let mut methods = vec![0; usize::from(count)];
            stream.read_exact(&mut methods).await?;
            stream.write_all(&[5, 0]).await?;
            let mut request = [0; 5];
            stream.read_exact(&mut request).await?;
            let mut name = vec![0; usize::from(request[4])];
            stream.read_exact(&mut name).await?;
            stream.read_u16().await?;
            sees.lock().unwrap().push(String::from_utf8_lossy(&name).into_owned());
            stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 1]).await?;
            forward(&mut stream, upstream).await
        }
    });
    (address, seen)
}

/// Answers the requests of one connection each: `answers` in turn, the last one for ever. An answer is what is written;
/// an empty one closes the connection. Writes down the heads.
pub fn canned(
    runtime: &Runtime,
    tls: Option<(&Authority, &[&str])>,
    answers: Vec<String>,
) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let (sees, answers) = (seen.clone(), Arc::new(answers));
    let acceptor = tls.map(|(authority, names)| authority.acceptor(names, &[]));
    let address = listen(runtime, move |mut stream| {
        let (sees, answers, acceptor) = (sees.clone(), answers.clone(), acceptor.clone());
        async move {
            match acceptor {
                Some(acceptor) => {
                    answer_once(&mut acceptor.accept(stream).await?, &sees, &answers).await
                }
                None => answer_once(&mut stream, &sees, &answers).await,
            }
        }
    });
    (address, seen)
}

async fn answer_once<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    seen: &Seen,
    answers: &[String],
) -> io::Result<()> {
    let head = head(stream).await?;
    let at = {
        let mut seen = seen.lock().unwrap();
        seen.push(head);
        seen.len() - 1
    };
    let answer = answers.get(at).or(answers.last()).map(String::as_str).unwrap_or_default();
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// An answer that closes the connection.
pub fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

async fn forward<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    upstream: SocketAddr,
) -> io::Result<()> {
    forward_after(stream, upstream, b"").await
}

/// Passes on what was read already, then everything both ways.
async fn forward_after<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    upstream: SocketAddr,
    read: &[u8],
) -> io::Result<()> {
    let mut behind = TcpStream::connect(upstream).await?;
    behind.write_all(read).await?;
    copy_bidirectional(stream, &mut behind).await.map(|_| ())
}
