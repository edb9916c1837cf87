//! How a homeserver is reached: by URL, unix socket and server name, through TLS, HTTP/2 and proxies.
//!
//! The program is run as a user would; everything is on loopback and ephemeral ports.
#[path = "transport/fronts.rs"]
mod fronts;

use fronts::{Authority, answer, canned, http_proxy, http2, socks5, tls, unix};
use homespec::outcome::{Run, Verdict};
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
    assert_eq!(verdicts(ended.run()), verdicts(plain.run()));
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
        (&["matrix.example"], "did you mean https://matrix.example?"),
        (&["file:/etc/passwd"], "begins with https://"),
        (&["https://a:secret@hs.example"], "a user name"),
        (&["https://hs.example?x"], "a query"),
        (&["unix:hs.sock"], "absolute path"),
        (&["https://hs.example", "--discover", "hs.example"], "not both"),
        (&["--discover", "https://hs.example"], "no server name"),
        (&[], "which homeserver?"),
        (&["unix:/hs.sock", "--proxy", "http://proxy:1"], "no proxy in front of a unix socket"),
        (&["http://hs", "--proxy", "http://me:secret@proxy:1"], "--proxy-auth-file"),
        (&["http://hs", "--proxy", "proxy:1"], "it is written as"),
        (&["http://hs", "--resolve", "hs:80=::1"], "a port beside the name"),
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
}

#[test]
fn a_ca_file_without_certificates_is_refused() {
    let home = home();
    let file = home.write("empty.pem", "nothing here\n");
    quick(&["https://localhost:1", "--ca", &file]).says(2, "holds none in PEM");
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
        (to("http://localhost/"), "plain HTTP"),
        (to("/again"), "too many"),
        (String::new(), "has no answer"),
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
    quick(&["--config", &config]).says(2, "no server name");
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
    quick(&["https://hs.example", "--proxy", &proxy, "--insecure"]).says(5, "by way of the proxy");
    let ended = quick(&["http://hs.example", "--proxy", &proxy, "--proxy-auth-file", &auth, "-v"]);
    ended.says(0, "Conforms");
    assert!(!seen.lock().unwrap().is_empty());
    for name in ["run.json", "report.html", "report.md", "junit.xml"] {
        let text = std::fs::read_to_string(ended.folder.path().join("reports").join(name)).unwrap();
        assert!(!text.contains("sesame") && !text.contains("bWU6b3Bl"), "{name}");
    }
    assert!(!ended.stdout.contains("sesame") && !ended.stdout.contains("bWU6b3Bl"));
    quick(&["http://hs.example", "--proxy-auth-file", &auth]).says(2, "for which --proxy?");
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
    ended.says(2, "leave one of them out");
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
    ended.says(3, "3 faults");
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
