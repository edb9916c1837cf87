//! Whose answer it is: something in front of the homeserver that answers in its place, operations that
//! crash, hang or work now and then, and a server with one session for each user.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
#[allow(dead_code)] // Other tests use the rest.
#[path = "hostile/server.rs"]
mod server;
mod support;

use homespec::model::run::{RequirementVerdict, Run};
use homespec::reference::{self, Running, Settings};
use server::{Act, answer, bytes, changed, html, json, silence};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::program::command;
use tokio::runtime::Runtime;

struct Homeserver {
    running: Running,
    _runtime: Runtime,
}

impl Homeserver {
    fn with(faults: &[&str]) -> Homeserver {
        let faults = faults.iter().map(|fault| (*fault).to_owned()).collect();
        let runtime = Runtime::new().unwrap();
        let settings = Settings { faults, ..Settings::default() };
        let running = runtime.block_on(reference::start(settings)).unwrap();
        Homeserver { running, _runtime: runtime }
    }

    fn address(&self) -> SocketAddr {
        let url = self.running.url();
        url.trim_end_matches('/').trim_start_matches("http://").parse().unwrap()
    }
}

struct Ended {
    run: Run,
    status: i32,
    stdout: String,
    markdown: String,
}

impl Ended {
    fn ids(&self, verdict: RequirementVerdict) -> BTreeSet<&str> {
        let all = self.run.requirements.iter().filter(|r| r.verdict == verdict);
        all.map(|r| r.id.as_str()).collect()
    }

    fn failed(&self) -> Vec<&str> {
        self.ids(RequirementVerdict::Failed).into_iter().collect()
    }

    /// The codes of the reasons why requirements are blocked.
    fn codes(&self) -> BTreeSet<&str> {
        let blocked = self.run.requirements.iter();
        let blocked = blocked.filter(|r| r.verdict == RequirementVerdict::Blocked);
        blocked.map(|r| r.reason.as_ref().unwrap().code.as_str()).collect()
    }

    /// The sentences of the findings about a requirement.
    fn sentences(&self, requirement: &str) -> Vec<String> {
        let all = self.run.cases.iter().flat_map(|case| &case.findings);
        let all = all.chain(self.run.standing.iter().flat_map(|one| &one.findings));
        let own = all.filter(|finding| finding.requirement == requirement);
        own.map(|finding| finding.message.to_string()).collect()
    }

    fn first_line(&self) -> &str {
        self.stdout.lines().next().unwrap_or_default()
    }

    fn show(&self, name: &str) {
        if std::env::var_os("GATEWAY_SHOW").is_none() {
            return;
        }
        eprintln!("---- {name}: {} failed {:?} codes {:?}", self.status, self.failed(), self.codes());
        for one in self.run.requirements.iter() {
            if matches!(one.verdict, RequirementVerdict::Blocked | RequirementVerdict::Failed | RequirementVerdict::Errored) {
                let reason = one.reason.as_ref().map(|r| (r.code.as_str(), r.text.to_string()));
                eprintln!("  {:?} {} {reason:?}", one.verdict, one.id);
                for sentence in self.sentences(&one.id) {
                    eprintln!("     {sentence}");
                }
            }
        }
        eprintln!("{}", self.stdout);
    }
}

fn run(url: &str) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    let output = command
        .args(["run", url, "--register", "open", "--timeout", "1", "--out", "reports"])
        .output()
        .unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join("reports").join(name));
    let text = read("run.json");
    let text = text.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    Ended {
        run: serde_json::from_str(&text).unwrap(),
        status: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        markdown: read("report.md").unwrap(),
    }
}

/// Runs against a good homeserver with something in front.
fn in_front(
    name: &str,
    homeserver: &Homeserver,
    change: impl Fn(&str, &[u8]) -> Option<Act> + Send + Sync + 'static,
) -> Ended {
    let (server, _) = changed(homeserver.address(), change);
    let ended = run(&server.url());
    ended.show(name);
    ended
}

fn is(line: &str, method: &str, end: &str) -> bool {
    let mut words = line.split(' ');
    let path = (words.next() == Some(method)).then(|| words.next()).flatten();
    path.is_some_and(|path| path.split('?').next().unwrap().ends_with(end))
}

const PAGE: &str = "<html><head><title>404 Not Found</title></head><body>Not here</body></html>";

/// A page of nginx, which the homeserver is not.
fn nginx(status: &str) -> Act {
    from("Server: nginx/1.27.0\r\nContent-Type: text/html\r\n", status, PAGE)
}

/// An answer without the headers that a homeserver adds.
fn from(headers: &str, status: &str, body: &str) -> Act {
    let length = body.len();
    bytes(format!(
        "HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
}

#[test]
fn show() {
    let good = Homeserver::with(&[]);
    in_front("devices 502", &good, |line, _| is(line, "GET", "/devices").then(|| nginx("502 Bad Gateway")));
    in_front("devices nginx 404", &good, |line, _| is(line, "GET", "/devices").then(|| nginx("404 Not Found")));
    in_front("whoami nginx 404", &good, |line, _| is(line, "GET", "/whoami").then(|| nginx("404 Not Found")));
    in_front("logout redirect", &good, |line, _| is(line, "POST", "/logout").then(|| from("Location: /login\r\nServer: nginx\r\n", "302 Found", "")));
    in_front("login nginx get", &good, |line, _| is(line, "GET", "/login").then(|| nginx("503 No")));
    in_front("login nginx 403", &good, |line, _| is(line, "POST", "/login").then(|| nginx("403 No")));
    in_front("bare 500", &good, |line, _| is(line, "GET", "/devices").then(|| answer("500 Oh", "Content-Type: text/plain\r\n", "Internal Server Error")));
    in_front("bare 500 without cors", &good, |line, _| is(line, "POST", "/logout").then(|| from("Content-Type: text/plain\r\n", "500 Oh", "Internal Server Error")));
    let seen = AtomicUsize::new(0);
    in_front("every 7th", &good, move |_, _| (seen.fetch_add(1, Ordering::SeqCst) % 7 == 6).then(|| nginx("502 Bad Gateway")));
    in_front("redirect of all", &good, |line, _| (!is(line, "GET", "/versions")).then(|| from("Location: /signin?next=x\r\n", "302 Found", "")));
    in_front("redirect of all but login", &good, |line, _| (!is(line, "GET", "/versions") && !is(line, "GET", "/login")).then(|| from("Location: /signin?next=x\r\n", "302 Found", "")));
    in_front("basic", &good, |_, _| Some(from("WWW-Authenticate: Basic realm=\"x\"\r\n", "401 No", "")));
    in_front("basic but public", &good, |line, _| (!is(line, "GET", "/versions") && !is(line, "GET", "/login")).then(|| from("WWW-Authenticate: Basic realm=\"x\"\r\n", "401 No", "")));
    let seen = AtomicUsize::new(0);
    in_front("logout by turns", &good, move |line, _| (is(line, "POST", "/logout") && seen.fetch_add(1, Ordering::SeqCst) % 3 == 2).then(|| json("500 Oh", r#"{"errcode":"M_UNKNOWN","error":"x"}"#)));
    let seen = AtomicUsize::new(0);
    in_front("devices by turns", &good, move |line, _| (is(line, "GET", "/devices") && seen.fetch_add(1, Ordering::SeqCst) % 3 == 2).then(|| json("404 Oh", r#"{"errcode":"M_UNRECOGNIZED","error":"x"}"#)));
    let one = Homeserver::with(&["login-ends-other-sessions"]);
    let ended = run(&one.running.url());
    ended.show("one session");
}

#[test]
fn show_hang() {
    let good = Homeserver::with(&[]);
    in_front("devices hang", &good, |line, _| is(line, "GET", "/devices").then(silence));
    in_front("malformed dropped", &good, |line, answer| {
        let text = String::from_utf8_lossy(answer);
        let malformed = text.starts_with("HTTP/1.1 400") && line.starts_with("POST");
        malformed.then(|| bytes(""))
    });
    in_front("logout hang", &good, |line, _| is(line, "POST", "/logout").then(silence));
    let _ = html("200 OK");
}
