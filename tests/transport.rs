//! How a homeserver is reached: by URL, unix socket and server name, through TLS, HTTP/2 and proxies.
//!
//! The program is run as a user would; everything is on loopback and ephemeral ports.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
#[path = "transport/fronts.rs"]
mod fronts;

use fronts::{
    Authority, SelfSigned, answer, canned, http_proxy, http2, socks5, taciturn, tls, unix,
};
use homespec::http::client::{HttpClient, Transport};
use homespec::http::message::Request;
use homespec::model::run::{Run, Verdict};
use homespec::reference::{Running, Settings, start};
use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Cases that need no account and touch several paths.
const QUICK: [&str; 2] = ["--case", "versions,well-known-file"];

struct Ended {
    status: Option<i32>,
    stdout: String,
    stderr: String,
    run: Option<Run>,
    folder: TempDir,
    took: Duration,
}

impl Ended {
    fn run(&self) -> &Run {
        self.run.as_ref().unwrap_or_else(|| panic!("no run.json: {}", self.stderr))
    }

    /// Ended with this status, with these words on either stream.
    fn says(&self, status: i32, words: &str) {
        let all = format!("{}\n{}", self.stderr, self.stdout);
        assert_eq!(self.status, Some(status), "{all}");
        assert!(all.contains(words), "`{words}` is not in:\n{all}");
    }
}

/// Runs `homespec run` with these arguments and variables, and nothing else of the environment.
fn run_with(arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_homespec"))
        .arg("run")
        .args(arguments)
        .args(["--out", "reports"])
        .current_dir(folder.path())
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let took = began.elapsed();
    let run = std::fs::read_to_string(folder.path().join("reports/run.json")).ok();
    let run = run.map(|text| serde_json::from_str(&text).unwrap());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    Ended { status: output.status.code(), stdout, stderr, run, folder, took }
}

fn run(arguments: &[&str]) -> Ended {
    run_with(arguments, &[])
}

fn quick(arguments: &[&str]) -> Ended {
    run(&[arguments, &QUICK[..]].concat())
}

/// The reference homeserver, with what its fronts run on.
struct Home {
    runtime: Runtime,
    running: Running,
    folder: TempDir,
}

impl Home {
    fn new(settings: Settings) -> Home {
        let runtime = Runtime::new().unwrap();
        let running = runtime.block_on(start(settings)).unwrap();
        Home { runtime, running, folder: tempfile::tempdir().unwrap() }
    }

    fn address(&self) -> SocketAddr {
        self.running.url().trim_start_matches("http://").trim_end_matches('/').parse().unwrap()
    }

    fn authority(&self) -> Authority {
        Authority::new(self.folder.path())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

fn home() -> Home {
    Home::new(Settings::default())
}

fn verdicts(run: &Run) -> BTreeMap<String, Verdict> {
    run.cases.iter().map(|case| (case.id.clone(), case.verdict)).collect()
}

/// The URL of an address that nothing listens on.
fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn a_url_may_have_a_path_before_matrix() {
    let home = home();
    let versions = answer(
        "200 OK",
        "Content-Type: application/json\r\nAccess-Control-Allow-Origin: *\r\n",
        r#"{"versions": ["v1.11"]}"#,
    );
    let (address, seen) = canned(&home.runtime, None, vec![versions]);
    for url in [format!("http://{address}/sub/path"), format!("http://{address}/sub/path/")] {
        let ended = run(&[&url, "--case", "versions"]);
        ended.says(0, "/sub/path");
        assert_eq!(ended.run().target.base_url, format!("http://{address}/sub/path"));
    }
    for head in seen.lock().unwrap().iter() {
        assert!(head.contains(" /sub/path/_matrix/"), "{head}");
    }
}

#[test]
fn an_ipv6_address_is_a_host() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("left out: this machine has no IPv6 on loopback");
        return;
    }
    let listen = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    let home = Home::new(Settings { listen, ..Settings::default() });
    let url = home.running.url();
    assert!(url.starts_with("http://[::1]:"), "{url}");
    quick(&[&url]).says(0, "Conforms");
    let by_name = format!("http://hs.example:{}", home.address().port());
    quick(&[&by_name, "--resolve", "hs.example=[::1]"]).says(0, "Conforms");
}

#[test]
fn a_unix_socket_is_a_target_like_another() {
    let home = home();
    let socket = home.folder.path().join("hs.sock");
    let seen = unix(&home.runtime, &socket, home.address());
    let url = format!("unix:{}", socket.display());
    let some = ["--register", "open", "--area", "discovery,password,wire"];
    let ended = run(&[&[url.as_str()], &some[..]].concat());
    ended.says(0, &url);
    assert_eq!(ended.run().target.base_url, url);
    assert!(seen.lock().unwrap().iter().all(|head| head.contains("\r\nhost: localhost\r\n")));
    let plain = run(&[&[home.running.url().as_str()], &some[..]].concat());
    // A base URL that the server names is never a socket.
    let comparable = |run: &Run| {
        let mut all = verdicts(run);
        all.retain(|case, _| !case.contains("-leads-to-the-api"));
        all
    };
    assert_eq!(comparable(ended.run()), comparable(plain.run()));
}

#[test]
fn curl_lines_go_through_the_socket() {
    let faults = vec!["well-known-base-url-words".to_owned()];
    let home = Home::new(Settings { faults, ..Settings::default() });
    let socket = home.folder.path().join("hs.sock");
    unix(&home.runtime, &socket, home.address());
    let ended = quick(&[&format!("unix:{}", socket.display())]);
    ended.says(1, "well_known.homeserver.url");
    let report = std::fs::read_to_string(ended.folder.path().join("reports/report.md")).unwrap();
    let curl = format!("--unix-socket '{}' 'http://localhost/.well-known", socket.display());
    assert!(report.contains(&curl), "{curl} is not in:\n{report}");
}

#[test]
fn a_socket_where_nobody_listens_is_named() {
    let ended = quick(&["unix:/nowhere/hs.sock"]);
    ended.says(5, "unix:/nowhere/hs.sock cannot be reached");
    assert!(ended.run.is_some());
}

#[test]
fn what_is_no_target_is_a_usage_error() {
    for (arguments, words) in [
        (&["localhost:8008"][..], "did you mean http://localhost:8008?"),
        (&["matrix.example"], "did you mean https://matrix.example? Or --discover matrix.example"),
        (&["file:/etc/passwd"], "begin with https://"),
        (&["https://a:secret@hs.example"], "a user name"),
        (&["https://hs.example?x"], "a query"),
        (&["unix:hs.sock"], "absolute path"),
        (&["https://hs.example", "--discover", "hs.example"], "not both"),
        (&["--discover", "https://hs.example"], "not a valid server name"),
        (&[], "which homeserver?"),
        (
            &["unix:/hs.sock", "--proxy", "http://proxy:1"],
            "--proxy cannot be used with a unix socket",
        ),
        (&["http://hs", "--proxy", "http://me:secret@proxy:1"], "--proxy-auth-file"),
        (&["http://hs", "--proxy", "proxy:1"], "--proxy must be http"),
        (&["http://hs", "--resolve", "hs:80=::1"], "a port after the name"),
        (&["http://hs", "--ca", "nowhere.pem"], "nowhere.pem"),
    ] {
        let ended = run(arguments);
        ended.says(2, words);
        assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
    }
}

#[test]
fn tls_wants_a_certificate_that_is_trusted() {
    let home = home();
    let authority = home.authority();
    let address = tls(&home.runtime, &authority, &["localhost"], home.address());
    let url = format!("https://localhost:{}", address.port());
    let ca = authority.file.display().to_string();
    quick(&[&url]).says(5, "certificate");
    quick(&[&url, "--insecure"]).says(0, "Conforms");
    quick(&[&url, "--ca", &ca]).says(0, "Conforms");
    // The name has to fit, too.
    let other = format!("https://127.0.0.1:{}", address.port());
    quick(&[&other, "--ca", &ca]).says(5, "certificate");
}

/// How a run ends against a server with this certificate, that trusts the file of the certificate that was given.
fn with_own(server: &SelfSigned, given: Option<&SelfSigned>, home: &Home) -> Ended {
    let port = server.tls(&home.runtime, home.address()).port();
    let url = format!("https://localhost:{port}");
    match given {
        Some(given) => quick(&[&url, "--ca", &given.file.display().to_string()]),
        None => quick(&[&url]),
    }
}

#[test]
fn a_certificate_that_is_given_itself_is_trusted_though_it_is_an_authoritys() {
    let home = home();
    let own = SelfSigned::new(home.folder.path(), |_| ());
    with_own(&own, Some(&own), &home).says(0, "Conforms");
    let ended = with_own(&own, None, &home);
    ended.says(5, "its certificate is self-signed, and not trusted here; give it with --ca FILE");
    // `openssl req -x509 -subj /CN=localhost` makes one with no other name.
    let named = |name: &str| {
        SelfSigned::new(home.folder.path(), |params| {
            params.subject_alt_names.clear();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
        })
    };
    let common = named("LocalHost");
    with_own(&common, Some(&common), &home).says(0, "Conforms");
    let other = named("other.example");
    with_own(&other, Some(&other), &home).says(5, "another name (other.example)");
}

#[test]
fn a_certificate_that_is_given_itself_is_checked_all_the_same() {
    let home = home();
    let at =
        |change: fn(&mut rcgen::CertificateParams)| SelfSigned::new(home.folder.path(), change);
    let other_name = at(|params| {
        params.subject_alt_names =
            vec![rcgen::SanType::DnsName("other.example".try_into().unwrap())];
    });
    let ended = with_own(&other_name, Some(&other_name), &home);
    ended.says(5, "its certificate is for another name (other.example), not for localhost");
    let expired = at(|params| params.not_after = rcgen::date_time_ymd(2020, 2, 3));
    with_own(&expired, Some(&expired), &home).says(5, "its certificate expired on 2020-02-03");
    let early = at(|params| params.not_before = rcgen::date_time_ymd(4000, 1, 1));
    with_own(&early, Some(&early), &home).says(5, "its certificate is not valid before 4000-01-01");
    // The right certificate, of which the server does not have the key.
    let other = at(|_| ());
    let stolen = at(|_| ()).with_key_of(other);
    with_own(&stolen, Some(&stolen), &home).says(5, "do not belong together");
    // Another certificate of the same name, written over the file of the one in use.
    let (in_use, given) = (at(|_| ()), at(|_| ()));
    let ended = with_own(&in_use, Some(&given), &home);
    ended.says(5, "its certificate is self-signed, and not in the file of --ca");
    for ended in [with_own(&expired, None, &home), with_own(&in_use, None, &home)] {
        assert!(!ended.stderr.contains("Error") && !ended.stderr.contains("UsedAs"));
    }
}

#[test]
fn a_certificate_of_an_authority_that_nobody_knows_says_what_to_give() {
    let home = home();
    let address = tls(&home.runtime, &home.authority(), &["localhost"], home.address());
    let url = format!("https://localhost:{}", address.port());
    let ended = quick(&[&url]);
    ended.says(5, "not trusted here; give the certificate of that authority with --ca FILE");
    let other = SelfSigned::new(home.folder.path(), |_| ());
    let ended = quick(&[&url, "--ca", &other.file.display().to_string()]);
    ended.says(5, "neither this system nor the file of --ca knows");
}

/// Who uses the library decides on a provider for the process, if at all.
#[test]
fn the_library_installs_no_tls_provider_for_the_process() {
    let home = home();
    let authority = home.authority();
    let address = tls(&home.runtime, &authority, &["localhost"], home.address());
    let target = format!("https://localhost:{}", address.port()).parse().unwrap();
    let mut transport = Transport::to(target, Duration::from_secs(10));
    transport.ca = Some(authority.file.clone());
    let http = HttpClient::new(&transport, Default::default()).unwrap();
    let ask = Request::new(None, "GET", "/_matrix/client/versions");
    let exchanged = home.runtime.block_on(http.send(&ask));
    assert_eq!(exchanged.result.unwrap().status, 200);
    let run = homespec::harness::Harness::at(home.running.url()).case("versions").run().unwrap();
    assert_eq!(run.exit_status, 0);
    let front = homespec::reference::Front {
        listen: ([127, 0, 0, 1], 0).into(),
        upstream: "https://localhost".parse().unwrap(),
        faults: Vec::new(),
        quirks: Vec::new(),
        catalogue: homespec::reference::Catalogue::default(),
    };
    home.runtime.block_on(homespec::reference::front(front)).unwrap();
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}

#[test]
fn the_wrong_scheme_is_said_in_time_also_where_the_port_is_silent() {
    let home = home();
    let authority = home.authority();
    let plain = taciturn(&home.runtime, None, home.address()).port();
    let tls = taciturn(&home.runtime, Some((&authority, &["localhost"])), home.address()).port();
    for (url, port, words) in [
        (
            format!("https://localhost:{plain}"),
            plain,
            "it does not speak TLS: use http://localhost",
        ),
        (format!("http://localhost:{tls}"), tls, "it speaks TLS: use https://localhost"),
    ] {
        let ended = quick(&[&url, "--timeout", "3s"]);
        ended.says(5, &format!("{words}:{port}"));
        assert!(ended.took < Duration::from_millis(4500), "{:?}", ended.took);
    }
    // Silence that no scheme explains stays what it is, and takes no longer.
    let ended = quick(&[&format!("https://{}", silent(&home)), "--timeout", "2"]);
    ended.says(5, "no complete response within 2 s");
    assert!(ended.took < Duration::from_millis(3000), "{:?}", ended.took);
}

/// A port that takes connections and never says anything.
fn silent(home: &Home) -> SocketAddr {
    let listener = home.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    home.runtime.spawn(async move {
        let mut held = Vec::new();
        while let Ok(taken) = listener.accept().await {
            held.push(taken);
        }
    });
    address
}

#[test]
fn a_web_site_whose_well_known_file_names_a_homeserver_says_discover() {
    let home = home();
    let authority = home.authority();
    let ca = authority.file.display().to_string();
    let page = answer("404 Not Found", "Content-Type: text/html\r\n", "<html>");
    let file = |url: &str| {
        let body = format!(r#"{{"m.homeserver": {{"base_url": "{url}"}}}}"#);
        answer("200 OK", "Content-Type: application/json\r\n", &body)
    };
    let elsewhere = vec![page.clone(), page.clone(), file("https://hs.example/")];
    let (address, seen) = canned(&home.runtime, Some((&authority, &["localhost"])), elsewhere);
    let url = format!("https://localhost:{}", address.port());
    let gate = home.write("headers", "X-Gate: open sesame\n");
    let ended = quick(&[&url, "--ca", &ca, "--header-file", &gate]);
    let name = format!("localhost:{}", address.port());
    ended.says(5, &format!("names https://hs.example as the homeserver: use --discover {name}"));
    let seen = seen.lock().unwrap();
    assert!(seen[2].starts_with("GET /.well-known/matrix/client ") && !seen[2].contains("x-gate"));
    // A file that leads back, or none, is no hint.
    let (address, _) = canned(&home.runtime, Some((&authority, &["localhost"])), vec![page]);
    let ended = quick(&[&format!("https://localhost:{}", address.port()), "--ca", &ca]);
    ended.says(5, "is that the homeserver's URL");
    assert!(!ended.stderr.contains("--discover"), "{}", ended.stderr);
}

#[test]
fn a_front_end_that_asks_for_basic_authentication_says_header_file() {
    let home = home();
    let gate = answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"gate\"\r\n", "");
    let (address, _) = canned(&home.runtime, None, vec![gate]);
    let ended = quick(&[&format!("http://{address}")]);
    ended.says(5, "--header-file FILE, as a line such as `X-Gate: SECRET`");
}

#[test]
fn a_machine_without_certificates_can_do_all_but_check_them() {
    let home = home();
    let authority = home.authority();
    let address = tls(&home.runtime, &authority, &["localhost"], home.address());
    let url = format!("https://localhost:{}", address.port());
    let ca = authority.file.display().to_string();
    let none = [("SSL_CERT_FILE", "/nowhere/ca.pem"), ("SSL_CERT_DIR", "/nowhere")];
    let with = |arguments: &[&str]| run_with(&[arguments, &QUICK[..]].concat(), &none);
    with(&[&home.running.url()]).says(0, "Conforms");
    with(&[&url]).says(2, "--ca FILE");
    with(&[&url, "--ca", &ca]).says(0, "Conforms");
    with(&[&url, "--insecure"]).says(0, "Conforms");
    // What the environment names are the system's.
    let file = [("SSL_CERT_FILE", ca.as_str())];
    run_with(&[&[url.as_str()], &QUICK[..]].concat(), &file).says(0, "Conforms");
    let other = SelfSigned::new(home.folder.path(), |_| ());
    let other = other.file.display().to_string();
    run_with(&[&[url.as_str(), "--ca", &other], &QUICK[..]].concat(), &file).says(0, "Conforms");
}

#[test]
fn a_ca_file_without_certificates_is_refused() {
    let home = home();
    let not_one = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cut_off = "-----BEGIN CERTIFICATE-----\nAAAA\n";
    for (text, words) in [
        ("nothing here\n", "has none in PEM"),
        (cut_off, "incomplete PEM"),
        (not_one, "cannot be read as a certificate"),
    ] {
        let file = home.write("some.pem", text);
        let ended = quick(&["https://localhost:1", "--ca", &file]);
        ended.says(2, "some.pem: ");
        ended.says(2, words);
    }
}

#[test]
fn http2_and_http1_come_to_the_same_verdicts() {
    let home = home();
    let authority = home.authority();
    let ca = authority.file.display().to_string();
    let (two, seen) = http2(&home.runtime, &authority, &["localhost"], home.address());
    let one = tls(&home.runtime, &authority, &["localhost"], home.address());
    let over = |address: SocketAddr| {
        let url = format!("https://localhost:{}", address.port());
        run(&[&url, "--ca", &ca, "--register", "open"])
    };
    let (two, one) = (over(two), over(one));
    two.says(0, "Conforms");
    one.says(0, "Conforms");
    assert_eq!(verdicts(two.run()), verdicts(one.run()));
    let seen = seen.lock().unwrap();
    assert!(seen.len() > 100 && seen.iter().all(|text| text.starts_with("HTTP/2.0 ")));
}

#[test]
fn an_http10_server_is_understood() {
    let home = home();
    let old = "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nAccess-Control-Allow-Origin: *\r\n\r\n{\"versions\": [\"v1.11\"]}";
    let (address, _) = canned(&home.runtime, None, vec![old.to_owned()]);
    run(&[&format!("http://{address}"), "--case", "versions"]).says(0, "Conforms");
}

#[test]
fn a_server_name_leads_to_its_homeserver() {
    let home = home();
    let authority = home.authority();
    let ca = authority.file.display().to_string();
    let file = format!(r#"{{"m.homeserver": {{"base_url": "{}/"}}}}"#, home.running.url());
    let moved = answer("302 Found", "Location: /elsewhere?a=b\r\n", "");
    let file = answer("200 OK", "Content-Type: text/plain\r\n", &file);
    let names: &[&str] = &["localhost", "example.test"];
    let (address, seen) = canned(&home.runtime, Some((&authority, names)), vec![moved, file]);
    let gate = home.write("headers", "X-Gate: open sesame\n");
    let resolve = format!("example.test={address}");
    let ended = quick(&[
        "--discover",
        "example.test",
        "--resolve",
        &resolve,
        "--ca",
        &ca,
        "--header-file",
        &gate,
    ]);
    let found = home.running.url().trim_end_matches('/').to_owned();
    ended.says(0, "https://example.test/.well-known/matrix/client led to");
    assert_eq!(ended.run().target.base_url, found);
    let seen = seen.lock().unwrap();
    assert!(seen[0].starts_with("GET /.well-known/matrix/client "), "{}", seen[0]);
    assert!(seen[1].starts_with("GET /elsewhere?a=b "), "{}", seen[1]);
    assert_eq!(seen.len(), 2);
    for head in seen.iter() {
        assert!(!head.to_lowercase().contains("x-gate"), "{head}");
        assert!(!head.to_lowercase().contains("authorization"), "{head}");
    }
    // What the name's web server says is shown, and not held against the homeserver.
    assert_eq!(ended.run().support[0].name, "discovery");
    assert!(ended.run().standing.iter().all(|one| one.findings.is_empty()));
}

#[test]
fn a_search_that_leads_nowhere_says_why() {
    let home = home();
    let authority = home.authority();
    let ca = authority.file.display().to_string();
    let to = |url: &str| answer("302 Found", &format!("Location: {url}\r\n"), "");
    let file = |url: &str| {
        answer("200 OK", "", &format!(r#"{{"m.homeserver": {{"base_url": "{url}"}}}}"#))
    };
    let closed = closed();
    for (said, words) in [
        (answer("404 Not Found", "", ""), "no well-known file"),
        (answer("200 OK", "Content-Type: text/html\r\n", "<html>"), "it is not JSON"),
        (file("file:///etc/passwd"), "neither http:// nor https://"),
        (file(&closed), "cannot be reached"),
        (to("http://localhost/"), "from https:// to http://"),
        (to("/again"), "too many"),
        (String::new(), "got no response"),
    ] {
        let (address, _) = canned(&home.runtime, Some((&authority, &["localhost"])), vec![said]);
        let name = format!("localhost:{}", address.port());
        let ended = quick(&["--discover", &name, "--ca", &ca]);
        ended.says(5, words);
        let reason = ended.run().cases[0].reason.as_ref().map(|reason| reason.code.as_str());
        let code = if words == "cannot be reached" { "unreachable" } else { "not_discovered" };
        assert_eq!(reason, Some(code), "{words}");
    }
}

#[test]
fn a_url_that_is_typed_comes_before_a_server_name_in_the_file() {
    let home = home();
    let config = home.write("homespec.yaml", "discover: example.org\n");
    quick(&[&home.running.url(), "--config", &config]).says(0, "Conforms");
    let config = home.write("homespec.yaml", "discover: example.org/a\n");
    quick(&["--config", &config]).says(2, "not a valid server name");
    let config = home.write("homespec.yaml", "discover: example.org\nurl: http://localhost\n");
    quick(&["--config", &config]).says(2, "not both");
}

#[test]
fn an_http_proxy_sees_what_it_has_to() {
    let home = home();
    let authority = home.authority();
    let ca = authority.file.display().to_string();
    let (proxy, seen) = http_proxy(&home.runtime, home.address(), None);
    let proxy = format!("http://{proxy}");
    quick(&["http://hs.example:8008", "--proxy", &proxy]).says(0, "Conforms");
    let heads = std::mem::take(&mut *seen.lock().unwrap());
    assert!(heads.iter().all(|head| head.starts_with("GET http://hs.example:8008/_matrix/")
        || head.starts_with("GET http://hs.example:8008/.well-known/")
        || !head.starts_with("GET ")));
    assert!(!heads.is_empty());

    let front = tls(&home.runtime, &authority, &["hs.example"], home.address());
    let (proxy, seen) = http_proxy(&home.runtime, front, None);
    let proxy = format!("http://{proxy}");
    quick(&["https://hs.example", "--proxy", &proxy, "--ca", &ca]).says(0, "Conforms");
    let heads = seen.lock().unwrap();
    assert!(!heads.is_empty());
    assert!(heads.iter().all(|head| head.starts_with("CONNECT hs.example:443 ")), "{heads:?}");
}

#[test]
fn a_proxy_gets_its_credentials_from_a_file_and_nobody_else_does() {
    let home = home();
    // `me:open sesame` in base64.
    let (proxy, seen) = http_proxy(&home.runtime, home.address(), Some("bWU6b3BlbiBzZXNhbWU="));
    let proxy = format!("http://{proxy}");
    let auth = home.write("proxy-auth", "me:open sesame\n");
    let ended = quick(&["http://hs.example", "--proxy", &proxy]);
    ended.says(5, "it asks for a user and a password (--proxy-auth-file FILE)");
    quick(&["https://hs.example", "--proxy", &proxy, "--insecure"]).says(5, "through the proxy");
    let ended = quick(&["http://hs.example", "--proxy", &proxy, "--proxy-auth-file", &auth, "-v"]);
    ended.says(0, "Conforms");
    assert!(!seen.lock().unwrap().is_empty());
    for name in ["run.json", "report.html", "report.md", "junit.xml"] {
        let text = std::fs::read_to_string(ended.folder.path().join("reports").join(name)).unwrap();
        assert!(!text.contains("sesame") && !text.contains("bWU6b3Bl"), "{name}");
    }
    assert!(!ended.stdout.contains("sesame") && !ended.stdout.contains("bWU6b3Bl"));
    quick(&["http://hs.example", "--proxy-auth-file", &auth])
        .says(2, "--proxy-auth-file needs --proxy");
}

#[test]
fn a_socks_proxy_is_asked_for_the_name() {
    let home = home();
    let (proxy, seen) = socks5(&home.runtime, home.address());
    quick(&["http://hs.example", "--proxy", &format!("socks5h://{proxy}")]).says(0, "Conforms");
    let names = seen.lock().unwrap();
    assert!(!names.is_empty() && names.iter().all(|name| name == "hs.example"), "{names:?}");
}

#[test]
fn no_proxy_is_taken_from_the_environment() {
    let home = home();
    let closed = closed();
    let variables = [("http_proxy", closed.as_str()), ("ALL_PROXY", &closed)];
    let url = home.running.url();
    run_with(&[&[url.as_str()], &QUICK[..]].concat(), &variables).says(0, "Conforms");
}

#[test]
fn a_name_is_found_where_resolve_says() {
    let home = home();
    let port = home.address().port();
    let with_port = format!("hs.example=127.0.0.1:{port}");
    quick(&["http://hs.example", "--resolve", &with_port]).says(0, "Conforms");
    let url = format!("http://hs.example:{port}");
    quick(&[&url, "--resolve", "hs.example=127.0.0.1"]).says(0, "Conforms");
    let ended = quick(&["http://hs.example:1", "--resolve", &with_port]);
    ended.says(2, "remove one of them");
}

#[test]
fn the_operators_headers_go_with_every_request_and_stay_out_of_the_reports() {
    let home = home();
    let versions = answer(
        "200 OK",
        "Content-Type: application/json\r\nAccess-Control-Allow-Origin: *\r\n",
        r#"{"versions": ["v1.11"]}"#,
    );
    let (address, seen) = canned(&home.runtime, None, vec![versions]);
    let file = home.write("headers", "X-Gate: open-sesame\nUser-Agent: probe\n");
    let url = format!("http://{address}");
    let ended = run(&[&url, "--header-file", &file, "--case", "versions", "-v"]);
    ended.says(0, &url);
    for head in seen.lock().unwrap().iter() {
        let head = head.to_lowercase();
        assert!(head.contains("\r\nx-gate: open-sesame\r\n"), "{head}");
        assert!(head.contains("\r\nuser-agent: probe\r\n"), "{head}");
    }
    assert!(!ended.stdout.contains("open-sesame"));
}

#[test]
fn a_header_file_is_checked_before_anything_is_sent() {
    let home = home();
    let file =
        home.write("headers", "X-A: b\n\nAuthorization: Basic hunter2\n folded hunter2\nnot one\n");
    let ended = quick(&[&closed(), "--header-file", &file]);
    ended.says(3, "headers:3");
    ended.says(3, "headers:4");
    ended.says(3, "headers:5");
    ended.says(3, "3 errors in the files");
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

#[test]
fn a_server_that_is_starting_is_waited_for() {
    let home = home();
    let busy = answer("503 Service Unavailable", "", "starting");
    let garbage = "not HTTP\r\n".to_owned();
    let versions = answer(
        "200 OK",
        "Content-Type: application/json\r\nAccess-Control-Allow-Origin: *\r\n",
        r#"{"versions": ["v1.11"]}"#,
    );
    // A gateway's answer is asked for twice in each look.
    let answers =
        vec![busy.clone(), busy.clone(), busy.clone(), busy, String::new(), garbage, versions];
    let (address, seen) = canned(&home.runtime, None, answers);
    let url = format!("http://{address}");
    let ended = run(&[&url, "--case", "versions", "--wait-ready", "30"]);
    ended.says(0, "waiting: ");
    assert_eq!(ended.stderr.matches("waiting: ").count(), 1, "{}", ended.stderr);
    assert!(seen.lock().unwrap().len() > 6);
}

#[test]
fn a_server_that_comes_up_late_is_found() {
    // The port is known before anything listens on it.
    let url = closed();
    let address: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_homespec"))
        .args(["run", &url, "--wait-ready", "60", "--case", "versions"])
        .current_dir(folder.path())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It says that it waits: only then is the server started.
    let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    assert!(line.starts_with("waiting: "), "{line}");
    let settings = Settings { listen: address, ..Settings::default() };
    let _running = runtime.block_on(start(settings)).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn waiting_ends_and_says_what_it_waited_for() {
    let ended = quick(&[&closed(), "--wait-ready", "1"]);
    ended.says(5, "cannot be reached");
    ended.says(5, "after waiting 1 s");
    assert!(ended.took >= Duration::from_millis(700) && ended.took < Duration::from_secs(15));
    // A wait without end does not overflow anything.
    let home = home();
    quick(&[&home.running.url(), "--wait-ready", "1e18"]).says(0, "Conforms");
}

#[test]
fn an_issuer_on_plain_http_belongs_to_a_target_on_plain_http() {
    let home = Home::new(Settings { oauth: true, ..Settings::default() });
    let authority = home.authority();
    let ca = authority.file.display().to_string();
    let front = tls(&home.runtime, &authority, &["localhost"], home.address());
    let case = ["--case", "oauth-metadata"];
    run(&[&[home.running.url().as_str()], &case[..]].concat()).says(0, "Conforms");
    let url = format!("https://localhost:{}", front.port());
    let ended = run(&[&[url.as_str(), "--ca", &ca], &case[..]].concat());
    ended.says(1, "an absolute URL (https)");
    assert_eq!(ended.run().cases[0].findings[0].requirement, "auth_metadata.issuer");
}
