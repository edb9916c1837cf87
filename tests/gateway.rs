//! Whose answer it is: something in front of the homeserver that answers in its place, operations that
//! crash, hang or work now and then, and a server with one session for each user.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
#[allow(dead_code)] // Other tests use the rest.
#[path = "hostile/server.rs"]
mod server;
mod support;

use homespec::model::run::{RequirementVerdict, Run};
use server::{Act, bytes, changed, json, silence};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::homeserver::Homeserver;
use support::program::command;
use support::proxy::Proxy;

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
        eprintln!(
            "---- {name}: {} failed {:?} codes {:?}",
            self.status,
            self.failed(),
            self.codes()
        );
        for one in self.run.requirements.iter() {
            if matches!(
                one.verdict,
                RequirementVerdict::Blocked
                    | RequirementVerdict::Failed
                    | RequirementVerdict::Errored
            ) {
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

/// What a run comes to: what failed, the codes of what is blocked, the exit status, and the operation
/// that the first line of the summary names, if it does.
type Expected<'e> = (&'e [&'e str], &'e [&'e str], i32, Option<&'e str>);

fn comes_to(name: &str, ended: &Ended, (failed, codes, status, operation): Expected<'_>) {
    assert_eq!(ended.failed(), failed, "{name}");
    assert_eq!(ended.codes(), codes.iter().copied().collect(), "{name}");
    assert_eq!(ended.status, status, "{name}");
    const FRONT: &str = "Something in front of the homeserver gave ";
    match operation {
        Some(operation) => {
            assert!(ended.first_line().starts_with(FRONT), "{name}: {}", ended.stdout);
            assert!(ended.first_line().contains(operation), "{name}: {}", ended.stdout);
            assert!(
                ended.markdown.contains(&format!("\n\n**{FRONT}")),
                "{name}: {}",
                ended.markdown
            );
        }
        None => assert!(ended.first_line().starts_with("homespec "), "{name}: {}", ended.stdout),
    }
}

/// What happens to requests whose first line and good answer are these.
type Change = fn(&str, &[u8]) -> Option<Act>;

const GATEWAY: &[&str] = &["gateway"];

#[test]
fn what_something_in_front_answers_is_no_finding() {
    const BASIC: &str = "WWW-Authenticate: Basic realm=\"x\"\r\n";
    let is_public = |line: &str| is(line, "GET", "/versions") || is(line, "GET", "/login");
    let table: &[(&str, Change, Option<&str>)] = &[
        (
            "a gateway without an answer",
            |line, _| is(line, "GET", "/devices").then(|| nginx("502 Bad Gateway")),
            Some("GET /devices"),
        ),
        (
            "Cloudflare without an answer",
            |line, _| is(line, "GET", "/devices").then(|| from("", "522 No", "error code: 522")),
            Some("GET /devices"),
        ),
        (
            "a path that nginx does not pass on",
            |line, _| is(line, "GET", "/devices").then(|| nginx("404 Not Found")),
            Some("GET /devices"),
        ),
        (
            "whoami that nginx does not pass on",
            |line, _| is(line, "GET", "/whoami").then(|| nginx("404 Not Found")),
            Some("GET /account/whoami"),
        ),
        (
            "a firewall before POST /login",
            |line, _| is(line, "POST", "/login").then(|| nginx("403 Forbidden")),
            Some("POST /login"),
        ),
        (
            "maintenance of GET /login",
            |line, _| is(line, "GET", "/login").then(|| nginx("503 No")),
            Some("GET /login"),
        ),
        (
            "a redirect of one operation",
            |line, _| {
                is(line, "POST", "/logout")
                    .then(|| from("Location: /signin\r\nServer: nginx\r\n", "302 Found", ""))
            },
            Some("POST /logout"),
        ),
        (
            "a redirect of all but /versions",
            |line, _| {
                (!is(line, "GET", "/versions"))
                    .then(|| from("Location: /signin?to=x\r\n", "302 Found", ""))
            },
            Some(""),
        ),
    ];
    let good = Homeserver::with(&[]);
    for (name, change, operation) in table {
        let ended = in_front(name, &good, change);
        comes_to(name, &ended, (&[], GATEWAY, 5, *operation));
    }
    let ended = in_front("a login page", &good, move |line, _| {
        (!is_public(line)).then(|| from("Location: /signin?to=x\r\n", "302 Found", ""))
    });
    comes_to("a login page", &ended, (&[], GATEWAY, 5, Some("")));
    let ended = in_front("Basic", &good, move |line, _| {
        (!is_public(line)).then(|| from(BASIC, "401 No", ""))
    });
    comes_to("Basic", &ended, (&[], GATEWAY, 5, Some("")));
    let ended = in_front("Basic before everything", &good, |_, _| Some(from(BASIC, "401 No", "")));
    comes_to("Basic before everything", &ended, (&[], &["not_a_homeserver"], 5, None));
}

#[test]
fn a_gateway_that_fails_now_and_then_after_the_homeserver_did_its_work_is_no_finding() {
    let good = Homeserver::with(&[]);
    for every in [5, 7, 11] {
        let seen = AtomicUsize::new(0);
        let ended = in_front(&format!("every {every}"), &good, move |_, _| {
            let n = seen.fetch_add(1, Ordering::SeqCst);
            (n % every == every - 1).then(|| nginx("504 Gateway Timeout"))
        });
        assert_eq!((ended.failed(), ended.status), (Vec::new(), 5), "every {every}");
        assert!(ended.codes().contains("gateway"), "every {every}: {:?}", ended.codes());
    }
}

#[test]
fn what_may_be_the_homeservers_fails_and_says_so() {
    const DEVICES: [&str; 3] =
        ["device.list.current", "error.shape.object", "http.response.json_object"];
    const PAGES: [&str; 2] = ["device.list.current", "error.shape.object"];
    const UNLESS: &str = ", unless something in front of the homeserver answered";
    let text = "Content-Type: text/plain\r\n";
    let html = "Content-Type: text/html\r\n";
    let cors = "Access-Control-Allow-Origin: *\r\nServer: nginx\r\nContent-Type: text/html\r\n";
    let good = Homeserver::with(&[]);
    // A page for browsers is said once, as no standard error.
    let table: [(&str, &str, &str, &[&str], bool); 4] = [
        (text, "500 Oh", "Internal Server Error", &DEVICES, false),
        (html, "500 Oh", PAGE, &PAGES, true),
        (html, "404 No", PAGE, &PAGES, true),
        (cors, "403 No", PAGE, &PAGES, false),
    ];
    for (headers, status, body, failed, is_doubted) in table {
        let name = format!("{status} {headers}");
        let (headers, status, body) = (headers.to_owned(), status.to_owned(), body.to_owned());
        let ended = in_front(&name, &good, move |line, _| {
            is(line, "GET", "/devices").then(|| from(&headers, &status, &body))
        });
        assert_eq!((ended.failed(), ended.status), (failed.to_vec(), 1), "{name}");
        assert!(ended.first_line().starts_with("homespec "), "{name}");
        for requirement in failed {
            let sentences = ended.sentences(requirement);
            let doubted = sentences.iter().filter(|one| one.ends_with(UNLESS)).count();
            let expected = if is_doubted { sentences.len() } else { 0 };
            assert_eq!(doubted, expected, "{name}: {requirement} {sentences:?}");
        }
    }
}

#[test]
fn an_operation_that_crashes_or_hangs_is_one_finding() {
    let unknown = r#"{"errcode":"M_UNKNOWN","error":"x"}"#;
    let good = Homeserver::with(&[]);
    let crash = move || json("500 Oh", unknown);
    let ended = in_front("devices", &good, move |line, _| is(line, "GET", "/devices").then(crash));
    assert_eq!((ended.failed(), ended.status), (vec!["device.list.current"], 1));
    assert!(ended.codes().iter().all(|code| *code == "because:device.list.current"));
    let ended = in_front("logout", &good, move |line, _| is(line, "POST", "/logout").then(crash));
    comes_to("logout", &ended, (&["logout.ok"], &["because:logout.ok"], 1, None));
    // What is dead is cleaned up, whatever the logout said.
    assert_eq!(ended.run.not_cleaned_up, Vec::<homespec::model::run::UntrustedText>::new());
    let ended = in_front("hangs", &good, |line, _| is(line, "GET", "/devices").then(silence));
    assert_eq!((ended.failed(), ended.status), (vec!["device.list.current"], 1));
    assert!(ended.run.complete && !ended.codes().contains("target_lost"), "{:?}", ended.codes());
    let ended = in_front("closes", &good, |line, _| is(line, "POST", "/logout").then(|| bytes("")));
    comes_to("closes", &ended, (&["logout.ok"], &["because:logout.ok"], 1, None));
}

#[test]
fn an_operation_that_works_by_turns_fails_itself_with_how_often() {
    let by_turns = |end: &'static str, status: &'static str, body: &'static str| {
        let seen = AtomicUsize::new(0);
        move |line: &str, _: &[u8]| {
            let method = if end == "/devices" { "GET" } else { "POST" };
            // Mostly broken, so that the requirement's own request meets it whatever the order of the cases.
            let is_turn = |n: usize| n >= 2 && !n.is_multiple_of(5);
            let is_broken = is(line, method, end) && is_turn(seen.fetch_add(1, Ordering::SeqCst));
            is_broken.then(|| json(status, body))
        }
    };
    let table = [
        ("logout.ok", "/logout", "500 Oh", r#"{"errcode":"M_UNKNOWN","error":"x"}"#),
        (
            "device.list.current",
            "/devices",
            "404 No",
            r#"{"errcode":"M_UNRECOGNIZED","error":"x"}"#,
        ),
    ];
    let good = Homeserver::with(&[]);
    for (requirement, end, status, body) in table {
        let ended = in_front(requirement, &good, by_turns(end, status, body));
        assert!(ended.failed().contains(&requirement), "{:?}", ended.failed());
        let sentences = ended.sentences(requirement);
        assert!(sentences.iter().any(|one| one.contains("unstable: ")), "{sentences:?}");
        assert_eq!(ended.status, 1);
    }
}

#[test]
fn malformed_requests_that_are_dropped_are_findings_and_do_not_end_the_run() {
    let good = Homeserver::with(&[]);
    let ended = in_front("malformed", &good, |line, answer| {
        let is_refused = answer.starts_with(b"HTTP/1.1 400") && line.starts_with("POST");
        is_refused.then(|| bytes(""))
    });
    assert!(ended.run.complete && ended.status == 1, "{}", ended.stdout);
    assert!(!ended.codes().contains("target_lost"), "{:?}", ended.codes());
    let failed = ended.failed();
    for requirement in
        ["http.request.body_required", "login.post.type.missing", "refresh.request.missing"]
    {
        assert!(failed.contains(&requirement), "{failed:?}");
        let sentences = ended.sentences(requirement);
        assert!(sentences.iter().all(|one| one.starts_with("no response: ")), "{sentences:?}");
    }
    // Well-formed requests are answered, so nothing else is broken.
    for requirement in ["login.post.ok.status", "refresh.endpoint_exists", "logout.ok"] {
        assert!(ended.ids(RequirementVerdict::Passed).contains(requirement), "{requirement}");
    }
}

#[test]
fn one_session_for_each_user_is_a_policy_and_costs_next_to_nothing() {
    let one = Homeserver::with(&["login-ends-other-sessions"]);
    let ended = run(&one.running.url());
    ended.show("one session");
    comes_to("one session", &ended, (&[], &["refused_by_policy"], 0, None));
    let warned = ended.ids(RequirementVerdict::Warned);
    assert_eq!(warned, BTreeSet::from(["device.login.others_survive"]));
    let blocked = ended.ids(RequirementVerdict::Blocked).len();
    assert!(blocked <= 4, "{blocked} blocked");
}

#[test]
fn a_header_with_the_token_that_never_arrives_is_one_finding() {
    let good = Homeserver::with(&[]);
    let proxy = Proxy::stripping(&good.running.url(), "authorization");
    let ended = run(&proxy.url);
    ended.show("no header");
    assert_eq!((ended.failed(), ended.status), (vec!["token.header"], 1));
    let codes = ended.codes();
    assert!(codes.contains("because:token.header"), "{codes:?}");
}
