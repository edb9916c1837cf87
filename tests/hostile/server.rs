//! Small servers that do what no homeserver may: sockets and bytes, nothing that could be well behaved by accident.
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A connection, with or without TLS.
pub trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

/// What a server does with a connection on which a request has come. It ends when the client hangs up.
pub type Act = Arc<dyn Fn(&mut dyn Wire) + Send + Sync>;

/// A server on a port of its own, for as long as the test program runs.
pub struct Server {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn https(&self) -> String {
        format!("https://{}", self.address)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn serve(each: impl Fn(TcpStream) + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let (count, each) = (connections.clone(), Arc::new(each));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            let each = each.clone();
            std::thread::spawn(move || each(stream));
        }
    });
    Server { address, connections }
}

/// Does the same with every request.
pub fn always(act: Act) -> Server {
    serve(move |mut stream| {
        // Whatever it is: a request, or the beginning of a TLS session.
        let mut some = [0; 4096];
        if stream.read(&mut some).is_ok_and(|n| n > 0) {
            act(&mut stream);
        }
    })
}

/// A homeserver at `good` until so many requests were answered, and then something else, but for requests in which
/// `spared` occurs.
pub fn turning(good: SocketAddr, after: usize, spared: &'static str, act: Act) -> Server {
    let seen = AtomicUsize::new(0);
    serve(move |mut stream| {
        let Some(request) = read_request(&mut stream) else { return };
        let text = String::from_utf8_lossy(&request.bytes);
        let is_spared = !spared.is_empty() && text.contains(spared);
        if is_spared || seen.fetch_add(1, Ordering::SeqCst) < after {
            let _ = stream.write_all(&ask(good, &request));
        } else {
            act(&mut stream);
        }
    })
}

/// A homeserver at `good` with something in front that changes its answers.
pub fn in_front(good: SocketAddr, change: fn(Vec<u8>) -> Vec<u8>) -> Server {
    serve(move |mut stream| {
        let Some(request) = read_request(&mut stream) else { return };
        let _ = stream.write_all(&change(ask(good, &request)));
    })
}

/// What was asked of a server: the first lines of the requests, with the time at which each came.
pub type Log = Arc<Mutex<Vec<(Instant, String)>>>;

/// A homeserver at `good`. Where `change` gives something for the first line of a request and the good answer, that is
/// done instead.
pub fn changed(
    good: SocketAddr,
    change: impl Fn(&str, &[u8]) -> Option<Act> + Send + Sync + 'static,
) -> (Server, Log) {
    let log = Log::default();
    let seen = log.clone();
    let server = serve(move |mut stream| {
        let Some(request) = read_request(&mut stream) else { return };
        let text = String::from_utf8_lossy(&request.bytes);
        let line = text.lines().next().unwrap_or_default().to_owned();
        seen.lock().unwrap().push((Instant::now(), line.clone()));
        let answer = ask(good, &request);
        match change(&line, &answer) {
            Some(act) => act(&mut stream),
            None => drop(stream.write_all(&answer)),
        }
    });
    (server, log)
}

/// TLS with this certificate, and then the act; also gives the certificate as PEM.
pub fn over_tls(certificate: CertificateParams, act: Act) -> (Server, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    let pem = certificate.pem();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let server = serve(move |stream| {
        let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
        let mut some = [0; 4096];
        if stream.read(&mut some).is_ok_and(|n| n > 0) {
            act(&mut stream);
            stream.conn.send_close_notify();
        }
        let _ = stream.flush();
    });
    (server, pem)
}

pub fn certificate(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

pub fn expired(name: &str) -> CertificateParams {
    let mut certificate = certificate(name);
    certificate.not_before = date_time_ymd(2020, 1, 1);
    certificate.not_after = date_time_ymd(2021, 2, 3);
    certificate
}

/// Head and body of one request, which may be cut short on purpose.
struct Request {
    bytes: Vec<u8>,
    is_whole: bool,
}

fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut request = Vec::new();
    let mut some = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap_or(0));
            if request.len() >= head.len() + 4 + length {
                return Some(Request { bytes: request, is_whole: true });
            }
        }
        match stream.read(&mut some) {
            Ok(0) | Err(_) => {
                return (!request.is_empty())
                    .then_some(Request { bytes: request, is_whole: false });
            }
            Ok(n) => request.extend_from_slice(&some[..n]),
        }
    }
}

/// What the good homeserver answers; it hangs up afterwards.
fn ask(good: SocketAddr, request: &Request) -> Vec<u8> {
    let mut answer = Vec::new();
    let Request { bytes: request, is_whole } = request;
    let end = request.windows(2).position(|two| two == b"\r\n").unwrap_or(0);
    if let Ok(mut stream) = TcpStream::connect(good) {
        let sent = stream
            .write_all(&request[..end])
            .and_then(|()| stream.write_all(b"\r\nConnection: close"))
            .and_then(|()| stream.write_all(&request[end..]));
        if sent.is_ok() {
            if !is_whole {
                let _ = stream.shutdown(Shutdown::Write);
            }
            let _ = stream.read_to_end(&mut answer);
        }
    }
    answer
}

// --- what they do ---

/// These bytes, and the end.
pub fn bytes(bytes: impl Into<Vec<u8>>) -> Act {
    let bytes = bytes.into();
    Arc::new(move |wire| {
        let _ = wire.write_all(&bytes);
        let _ = wire.flush();
    })
}

/// A whole answer.
pub fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Act {
    let body = body.as_ref();
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}Access-Control-Allow-Origin: *\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    bytes([head.as_bytes(), body].concat())
}

pub fn json(status: &str, body: impl AsRef<[u8]>) -> Act {
    answer(status, "Content-Type: application/json\r\n", body)
}

pub fn html(status: &str) -> Act {
    let page = "<!DOCTYPE html><title>Welcome</title><script>alert(1)</script>";
    answer(status, "Content-Type: text/html\r\n", page)
}

/// Nothing, until the client gives up.
pub fn silence() -> Act {
    Arc::new(|wire| {
        let mut some = [0; 64];
        while wire.read(&mut some).is_ok_and(|n| n > 0) {}
    })
}

/// A byte a second, until the client gives up.
pub fn drip() -> Act {
    let text =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
    paced(text, Duration::from_secs(1))
}

/// Headers at once, and then a byte of white space a second.
pub fn drip_body() -> Act {
    let text = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
    Arc::new(move |wire| {
        let _ = wire.write_all(text);
        paced(&[b' '; 1000], Duration::from_secs(1))(wire);
    })
}

fn paced(text: &'static [u8], pause: Duration) -> Act {
    Arc::new(move |wire| {
        for byte in text {
            let written = wire.write_all(&[*byte]).and_then(|()| wire.flush());
            if written.is_err() {
                return;
            }
            std::thread::sleep(pause);
        }
    })
}

/// A beginning, and then the same piece until the client hangs up.
pub fn endless(start: &'static str, piece: &'static str) -> Act {
    Arc::new(move |wire| {
        let piece = piece.repeat(1000);
        let mut sent = wire.write_all(start.as_bytes());
        while sent.is_ok() {
            sent = wire.write_all(piece.as_bytes());
        }
    })
}

/// So many bytes of JSON white space and what is promised of them.
pub fn long(mib: usize) -> Act {
    Arc::new(move |wire| {
        let length = mib << 20;
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        let mut sent = wire.write_all(head.as_bytes());
        let piece = vec![b' '; 1 << 20];
        for _ in 0..mib {
            if sent.is_ok() {
                sent = wire.write_all(&piece);
            }
        }
    })
}

/// The connection ends with a reset in the middle of the body.
pub fn reset() -> Act {
    bytes(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"versions\":",
    )
}

pub fn bad_chunks() -> Act {
    bytes(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    )
}

/// Some hundred megabytes of zeros, packed.
pub fn bomb() -> Act {
    answer(
        "200 OK",
        "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
        packed_zeros(400 << 20),
    )
}

/// A gzip stream that unpacks to at least so many zeros (RFC 1951, fixed codes): a zero, and then copies of 258 of them.
fn packed_zeros(length: usize) -> Vec<u8> {
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let (mut buffer, mut filled) = (0_u32, 0);
    let mut put = |bits: u32, count: u32| {
        for bit in 0..count {
            buffer |= (bits >> (count - 1 - bit) & 1) << filled;
            filled += 1;
            if filled == 8 {
                packed.push(u8::try_from(buffer).unwrap());
                (buffer, filled) = (0, 0);
            }
        }
    };
    put(0b1, 1);
    put(0b10, 2);
    put(0b0011_0000, 8);
    for _ in 0..length / 258 {
        put(0b1100_0101, 8);
        put(0, 5);
    }
    put(0, 7);
    put(0, 7);
    packed
}
