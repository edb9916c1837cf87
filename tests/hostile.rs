//! Servers that are hostile or broken, from the first request or from some later one: the program stays on its feet,
//! ends in time, asks nobody else, says in one sentence what is wrong, and its reports are whole and inert.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
#[path = "hostile/server.rs"]
mod server;

use homespec::model::run::{Run, Verdict};
use homespec::reference::{Running, Settings, start};
use server::{
    Act, Log, Server, always, answer, bytes, changed, html, in_front, json, over_tls, turning,
};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// In which every run has to end: a few times `--timeout` and `--max-wait`, which are a second each, and what a busy
/// machine adds.
const BOUND: Duration = Duration::from_secs(60);
/// Peak memory of the program, in KiB: about 100 MiB are in use, of which a third are answers that are kept, and the rest
/// is the program with its debug symbols and what the allocator holds back.
const MEMORY: u64 = 300 * 1024;

/// What a run left behind.
struct Ended {
    status: Option<i32>,
    stdout: String,
    stderr: String,
    run: Run,
    peak: u64,
    took: Duration,
    reports: TempDir,
}

/// Runs the program against a URL with short times, in an environment of its own.
fn homespec(url: &str, more: &[&str]) -> Ended {
    homespec_in(url, more, &[])
}

fn homespec_in(url: &str, more: &[&str], environment: &[(&str, &str)]) -> Ended {
    Started::new(url, more, environment).end(&mut |_| {})
}

/// The program while it runs.
struct Started {
    child: Child,
    reports: TempDir,
    since: Instant,
    what: String,
}

impl Started {
    fn new(url: &str, more: &[&str], environment: &[(&str, &str)]) -> Started {
        let reports = tempfile::tempdir().unwrap();
        let file = |name: &str| std::fs::File::create(reports.path().join(name)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_homespec"))
            .args(["run", url, "--max-wait", "1", "--out", "."])
            .args(more)
            .args(if more.contains(&"--timeout") { &[][..] } else { &["--timeout", "1"] })
            .current_dir(reports.path())
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap();
        Started { child, reports, since: Instant::now(), what: format!("{url} {more:?}") }
    }

    fn read(&self, name: &str) -> String {
        let bytes = std::fs::read(self.reports.path().join(name)).unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_else(|_| panic!("{name} is not UTF-8"))
    }

    /// Ctrl-C, as a terminal sends it.
    #[cfg(unix)]
    fn interrupt(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    }

    /// Waits for its end, and lets `meanwhile` look at it all the time.
    fn end(mut self, meanwhile: &mut dyn FnMut(&Started)) -> Ended {
        let mut peak = 0;
        let status = loop {
            // The kernel tells the peak only while the process lives, so it is looked at again and again.
            peak = peak.max(peak_memory(self.child.id()));
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.since.elapsed() > BOUND {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                panic!("homespec run {} did not end within {BOUND:?}", self.what);
            }
            meanwhile(&self);
            std::thread::sleep(Duration::from_millis(10));
        };
        let took = self.since.elapsed();
        let (stdout, stderr) = (self.read("stdout"), self.read("stderr"));
        assert!(!stderr.contains("panicked"), "{stderr}");
        let run = serde_json::from_str(&self.read("run.json"))
            .unwrap_or_else(|error| panic!("run.json: {error}\n{stdout}\n{stderr}"));
        if std::env::var_os("HOSTILE_SHOW").is_some() {
            eprintln!("---- {}: {status}, {took:?}, {peak} KiB\n{stdout}{stderr}", self.what);
        }
        Ended { status: status.code(), stdout, stderr, run, peak, took, reports: self.reports }
    }
}

/// In KiB; 0 where the system does not tell.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// What holds after every run, whatever the server did.
fn is_sound(ended: &Ended, name: &str) {
    assert!(ended.peak < MEMORY, "{name}: {} KiB", ended.peak);
    for text in [&ended.stdout, &ended.stderr] {
        for line in text.lines() {
            assert!(line.chars().all(is_plain), "{name}: {line:?}");
            assert!(!line.trim_start().starts_with("::"), "{name}: {line:?}");
        }
    }
    let read = |file: &str| std::fs::read_to_string(ended.reports.path().join(file)).unwrap();
    let written: serde_json::Value = serde_json::from_str(&read("run.json")).unwrap();
    let faults: Vec<String> = SCHEMA.iter_errors(&written).map(|fault| fault.to_string()).collect();
    assert_eq!(faults, Vec::<String>::new(), "{name}");
    roxmltree::Document::parse(&read("junit.xml")).unwrap_or_else(|e| panic!("{name}: {e}"));
    let page = read("report.html");
    assert_eq!(page.matches("<script").count(), 1, "{name}: a script beside the page's own");
    for active in ["<img", "href=\"javascript"] {
        let at = page.find(active);
        let around = at.map(|at| page.get(at.saturating_sub(80)..at + 80));
        assert_eq!(around, None, "{name}: {active}");
    }
    assert!(page.chars().all(|c| c == '\n' || is_plain(c)), "{name}");
    let markdown = read("report.md");
    assert!(markdown.chars().all(|c| c == '\n' || is_plain(c)), "{name}");
}

static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema = include_str!("../spec/run.schema.json");
    jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap()
});

/// Neither a control character nor one that turns the line around.
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The target is refused in the probe, in this sentence; nothing was found.
fn is_refused(url: &str, more: &[&str], sentence: &str) {
    let ended = homespec(url, more);
    is_sound(&ended, sentence);
    assert_eq!(ended.status, Some(5), "{sentence}: {}{}", ended.stdout, ended.stderr);
    let said = ended.stderr.lines().filter(|line| line.starts_with("error: ")).collect::<Vec<_>>();
    assert_eq!(said.len(), 1, "{}", ended.stderr);
    assert!(said[0].contains(sentence), "{} does not say {sentence}", said[0]);
    assert!(ended.run.notes[0].contains(sentence), "{:?}", ended.run.notes);
    assert!(findings(&ended.run).is_empty());
    assert!(ended.run.cases.iter().all(|case| case.verdict != Verdict::Failed));
}

/// The requirements that are found broken.
fn findings(run: &Run) -> Vec<&str> {
    let of_cases = run.cases.iter().flat_map(|case| &case.findings);
    let standing = run.standing.iter().flat_map(|standing| &standing.findings);
    let failed = of_cases.chain(standing).filter(|finding| finding.verdict == Verdict::Failed);
    let mut ids: Vec<&str> = failed.map(|finding| finding.requirement.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

const NOT_MATRIX: &str = "does not look like a Matrix homeserver: GET /_matrix/client/versions";

// --- from the first request ---

#[test]
fn a_server_without_answers_is_refused_in_one_sentence() {
    let no_answer = "cannot be reached: no complete response within 1 s";
    let cases: [(Act, &str); 11] = [
        (server::silence(), no_answer),
        (server::drip(), no_answer),
        (server::drip_body(), no_answer),
        (
            server::reset(),
            "cannot be reached: it closes the connection without a complete response",
        ),
        (bytes(""), "cannot be reached: it closes the connection without a complete response"),
        (server::bad_chunks(), "cannot be reached: its response is not valid HTTP"),
        (bytes("SSH-2.0-OpenSSH_9.6\r\n"), "its response is not valid HTTP"),
        (bytes([0, 159, 146, 150, 255, 13, 10]), "its response is not valid HTTP"),
        (
            server::endless("HTTP/1.1 200 OK\r\n", "x-more: of the same\r\n"),
            "its response is not valid HTTP",
        ),
        (server::endless("HTTP/1.1 200 ", "x"), "its response is not valid HTTP"),
        (
            bytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 30\r\n\r\n{}"),
            "its response is not valid HTTP",
        ),
    ];
    for (act, sentence) in cases {
        is_refused(&always(act).url(), &[], sentence);
    }
}

#[test]
fn a_server_with_other_answers_is_refused_in_one_sentence() {
    let both = format!("{NOT_MATRIX} and GET /_matrix/client/v3/login answered");
    let limited = |rest: &str| format!(r#"{{"errcode":"M_LIMIT_EXCEEDED","error":"no"{rest}}}"#);
    let cases: Vec<(Act, String)> = vec![
        (json("200 OK", "{}"), format!("{both} 200 with JSON that is not Matrix's")),
        (
            html("200 OK"),
            format!("{both} 200 with text/html; is that the homeserver's URL, and does the proxy"),
        ),
        (html("404 Not Found"), format!("{both} 404 with text/html; is that")),
        (html("503 Service Unavailable"), format!("{NOT_MATRIX} answered 503 with text/html")),
        (
            json("404 Not Found", r#"{"errcode":"M_UNRECOGNIZED"}"#),
            format!("{both} 404 with M_UNR"),
        ),
        (json("500 Oh", r#"{"errcode":"M_UNKNOWN"}"#), format!("{both} 500 with M_UNKNOWN")),
        (json("999 ", "{}"), format!("{both} 999 with JSON")),
        (json("200 Sch\u{f6}n\u{1b}[31m", "{}"), "its response is not valid HTTP".to_owned()),
        (json("429 No", limited("")), format!("{NOT_MATRIX} answered 429 with M_LIMIT_EXCEEDED")),
        (json("429 No", limited(r#","retry_after_ms":3155760000000"#)), "it limits".to_owned()),
        (json("429 No", limited(r#","retry_after_ms":0"#)), "it limits everything".to_owned()),
        (json("429 No", limited(r#","retry_after_ms":-1e300"#)), "it limits".to_owned()),
        (json("429 No", limited(r#","retry_after_ms":1e400"#)), "429 with JSON that".to_owned()),
        (
            answer(
                "429 No",
                "Retry-After: 18446744073709551615\r\nContent-Type: application/json\r\n",
                limited(r#","retry_after_ms":5"#),
            ),
            "it limits everything".to_owned(),
        ),
        (
            answer("429 No", "Retry-After: 99999999999999999999999999\r\n", "no"),
            "it limits everything".to_owned(),
        ),
        (
            server::bomb(),
            "200 with a compressed body, although the request did not ask for it".to_owned(),
        ),
        (server::long(100), "answered 200 with a body of more than 1048576 bytes".to_owned()),
        (
            server::endless("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", "more "),
            "answered 200 with a body of more than 1048576 bytes".to_owned(),
        ),
        (
            json("200 OK", format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000))),
            "JSON that cannot be read: recursion limit exceeded".to_owned(),
        ),
        (
            json("200 OK", format!(r#"{{"flows":[{}0]}}"#, "{},".repeat(1_000_000))),
            "a body of more than 1048576 bytes".to_owned(),
        ),
        (json("200 OK", r#"{"versions":NaN}"#), "JSON that cannot be read: expected".to_owned()),
        (json("200 OK", r#"{"versions":["\ud800"]}"#), "JSON that cannot be read".to_owned()),
        (json("200 OK", r#"{"a":1,"a":2}"#), "JSON that is not Matrix's".to_owned()),
        (
            answer("302 Found", "Location: /_matrix/client/versions\r\n", ""),
            "it redirects to /_matrix/client/versions, and homespec follows no redirect".to_owned(),
        ),
    ];
    for (act, sentence) in cases {
        is_refused(&always(act).url(), &[], &sentence);
    }
}

#[test]
fn nothing_is_asked_of_another_host() {
    let other = always(json("200 OK", r#"{"versions":["v1.11"]}"#));
    let location = format!("Location: {}/_matrix/client/versions\r\n", other.url());
    let url = always(answer("307 Moved", &location, "")).url();
    is_refused(&url, &[], &format!("it redirects to {}/", other.url()));
    assert_eq!(other.connections(), 0);
}

#[test]
fn tls_and_its_absence_are_told_apart() {
    let good = || json("200 OK", r#"{"versions":["v1.11"]}"#);
    let plain = always(good());
    is_refused(&plain.https(), &[], &format!("it does not speak TLS: use {}", plain.url()));
    let (tls, _) = over_tls(server::certificate("127.0.0.1"), good());
    is_refused(&tls.url(), &[], &format!("it speaks TLS: use {}", tls.https()));
    // What nginx does with those that come without TLS.
    is_refused(&always(html("400 Bad Request")).url(), &[], "answered 400 with text/html");
}

#[test]
fn a_certificate_that_cannot_be_trusted_is_described() {
    let good = || json("200 OK", r#"{"versions":["v1.11"]}"#);
    let (own, _) = over_tls(server::certificate("127.0.0.1"), good());
    is_refused(&own.https(), &[], "self-signed, and not trusted here; give it with --ca FILE");
    let folder = tempfile::tempdir().unwrap();
    let refused_as = |name: &str, certificate, sentence: &str| {
        let (server, pem) = over_tls(certificate, good());
        let ca = folder.path().join(name);
        std::fs::write(&ca, pem).unwrap();
        let (ca, resolve) = (ca.display().to_string(), format!("{name}=127.0.0.1"));
        let url = format!("https://{name}:{}", server.address.port());
        is_refused(&url, &["--resolve", &resolve, "--ca", &ca], sentence);
    };
    let old = server::expired("old.example");
    refused_as("old.example", old, "its certificate expired on 2021-02-03; renew it");
    let foreign = server::certificate("other.example");
    refused_as("hs.example", foreign, "its certificate is for another name (other.example)");
}

// --- from some later request ---

struct Good {
    runtime: tokio::runtime::Runtime,
    running: Option<Running>,
}

impl Good {
    fn start() -> Good {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let running = runtime.block_on(start(Settings::default())).unwrap();
        Good { runtime, running: Some(running) }
    }

    fn address(&self) -> std::net::SocketAddr {
        let url = self.running.as_ref().unwrap().url();
        url.trim_end_matches('/').trim_start_matches("http://").parse().unwrap()
    }
}

impl Drop for Good {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop());
        }
    }
}

/// A good homeserver that turns after some requests: the rest is blocked for one reason, with this in it.
fn is_lost(after: usize, spared: &'static str, act: Act, sentence: &str) {
    let good = Good::start();
    let url = turning(good.address(), after, spared, act).url();
    let ended = homespec(&url, &["--register", "open"]);
    is_sound(&ended, sentence);
    assert_eq!(ended.status, Some(5), "{sentence}: {}{}", ended.stdout, ended.stderr);
    assert!(ended.run.notes[0].contains(sentence), "{:?}", ended.run.notes);
    assert!(ended.stdout.contains("Note: the "), "{}", ended.stdout);
    let blocked = ended.run.cases.iter().filter(|case| case.verdict == Verdict::Blocked);
    let mut codes: Vec<&str> =
        blocked.filter_map(|case| Some(case.reason.as_ref()?.code.as_str())).collect();
    codes.dedup();
    assert_eq!(codes, ["target_lost"], "{sentence}");
    assert_eq!(findings(&ended.run), Vec::<&str>::new(), "{sentence}");
}

#[test]
fn a_server_that_goes_away_ends_the_run_with_one_reason() {
    const LOST: &str = "the target went away or changed while it was tested";
    is_lost(80, "", server::silence(), LOST);
    is_lost(80, "", server::drip(), LOST);
    is_lost(80, "", bytes(""), LOST);
    is_lost(80, "", bytes("SSH-2.0-OpenSSH_9.6\r\n"), LOST);
}

#[test]
fn a_server_that_turns_into_something_else_ends_the_run_with_one_reason() {
    const LOST: &str = "GET /_matrix/client/versions is now answered";
    let unknown = r#"{"errcode":"M_UNKNOWN","error":"no"}"#;
    is_lost(80, "", html("200 OK"), &format!("{LOST} 200 with text/html"));
    is_lost(80, "", html("502 Bad Gateway"), &format!("{LOST} 502 with text/html"));
    is_lost(80, "", json("200 OK", "{}"), &format!("{LOST} 200 with JSON that is not"));
    is_lost(80, "", json("500 No", unknown), &format!("{LOST} 500 with M_UNKNOWN"));
    is_lost(80, "", json("404 No", unknown), &format!("{LOST} 404 with M_UNKNOWN"));
    is_lost(
        80,
        "",
        server::long(100),
        &format!("{LOST} 200 with a body of more than 1048576 bytes"),
    );
    is_lost(80, "", server::bomb(), &format!("{LOST} 200 with a compressed body"));
}

#[test]
fn a_server_that_answers_nothing_but_the_control_request_is_not_asked_for_ever() {
    const STOPPED: &str = "the run stopped sending: ";
    let good = Good::start();
    let url = turning(good.address(), 60, "GET /_matrix/client/v", server::silence()).url();
    let ended = homespec(&url, &["--register", "open"]);
    is_sound(&ended, STOPPED);
    assert!(ended.run.notes[0].contains(STOPPED), "{:?}", ended.run.notes);
}

// --- something in front ---

#[test]
fn a_front_end_with_pages_of_its_own_is_one_finding() {
    let good = Good::start();
    let url = turning(good.address(), 0, "GET /_matrix/client/versions", html("200 OK")).url();
    is_refused(&url, &["--register", "open"], "are pages for browsers (200 with text/html)");
}

#[test]
fn pages_in_the_place_of_errors_are_one_finding() {
    let good = Good::start();
    let server = in_front(good.address(), |answer| {
        let text = String::from_utf8_lossy(&answer);
        match text.get(9..12) {
            Some(status @ ("404" | "405" | "500" | "501")) => {
                let page = "<html><body>Not here</body></html>";
                let length = page.len();
                format!("HTTP/1.1 {status} No\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}").into_bytes()
            }
            _ => answer,
        }
    });
    let ended = homespec(&server.url(), &["--register", "open"]);
    is_sound(&ended, "error pages");
    assert_eq!(findings(&ended.run), ["error.shape.object"]);
}

#[test]
fn a_byte_order_mark_is_one_warning() {
    let good = Good::start();
    let server =
        in_front(good.address(), |answer| with_body(answer, |body| format!("\u{feff}{body}")));
    let ended = homespec(&server.url(), &["--register", "open"]);
    is_sound(&ended, "byte order mark");
    assert_eq!(findings(&ended.run), Vec::<&str>::new());
    let warned = ended.run.standing.iter().filter(|s| s.verdict == Verdict::Warned);
    let ids: Vec<&str> = warned.map(|standing| standing.requirement.as_str()).collect();
    assert_eq!(ids, ["http.response.utf8"]);
}

// --- text ---

/// What terminals, browsers, forges, CI services and XML act on.
const POISON: &str = "a\u{1b}[31m\n::error::b\r::warning::c]]><script>alert(1)</script><img src=x onerror=alert(1)>\u{202e}\u{2066}|@alice [x](javascript:alert(1))`\u{0}\u{fffe}\u{7f}";

/// The answer with other strings in its JSON: whatever may get into a report.
fn poisoned(answer: Vec<u8>) -> Vec<u8> {
    rewritten(answer, |body| {
        for name in ["error", "device_id", "display_name", "session"] {
            if body.get(name).is_some() {
                body[name] = POISON.into();
            }
        }
        if body["errcode"] == "M_UNRECOGNIZED" {
            body["errcode"] = POISON.into();
        }
        if let Some(versions) = body.get_mut("versions").and_then(|list| list.as_array_mut()) {
            versions.push(POISON.into());
        }
        if let Some(flows) = body.get_mut("flows").and_then(|list| list.as_array_mut()) {
            flows.push(serde_json::json!({ "type": POISON, "stages": [POISON] }));
        }
        if let Some(body) = body.as_object_mut() {
            body.insert(POISON.to_owned(), POISON.into());
        }
    })
}

/// The answer with another JSON body, if it has one.
fn rewritten(answer: Vec<u8>, change: impl Fn(&mut serde_json::Value)) -> Vec<u8> {
    with_body(answer, |body| {
        let Ok(mut value) = serde_json::from_str(body) else { return body.to_owned() };
        change(&mut value);
        value.to_string()
    })
}

/// The answer with another body and a telling `Server`.
fn with_body(answer: Vec<u8>, change: impl Fn(&str) -> String) -> Vec<u8> {
    let text = String::from_utf8_lossy(&answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return answer };
    let body = change(body);
    let kept = head.lines().filter(|line| {
        let line = line.to_ascii_lowercase();
        !line.starts_with("content-length:") && !line.starts_with("server:")
    });
    let mut lines: Vec<String> = kept.map(str::to_owned).collect();
    lines.push("Server: <script>alert(1)</script> ::error::\u{202e}[x](javascript:1)".to_owned());
    lines.push(format!("Content-Length: {}", body.len()));
    format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes()
}

#[test]
fn text_of_a_server_is_inert_wherever_it_is_shown() {
    let good = Good::start();
    let server = in_front(good.address(), poisoned);
    let ended = homespec(&server.url(), &["--register", "open", "-v"]);
    is_sound(&ended, "poison");
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(ended.run.target.versions.iter().any(|version| version == POISON));
    let marked = |line: &&str| ["-- ", "== ", "> ", "< "].iter().any(|mark| line.starts_with(mark));
    let exchanges = ended.stdout.lines().filter(marked).count();
    assert!(exchanges > 1000, "{exchanges} lines of exchanges");

    let summary = ended.reports.path().join("summary.md").display().to_string();
    let github = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", summary.as_str())];
    let ended = homespec_in(&server.url(), &["--register", "open"], &github);
    let commands: Vec<&str> = ended.stdout.lines().filter(|line| line.starts_with("::")).collect();
    assert!((1..=10).contains(&commands.len()), "{commands:?}");
    let ours = ["::error file=", "::warning file=", "::notice title=homespec"];
    assert!(commands.iter().all(|line| ours.iter().any(|word| line.starts_with(word))));
}

// --- size ---

#[test]
fn large_answers_do_not_fill_the_memory() {
    let good = Good::start();
    let padded = in_front(good.address(), |answer| {
        rewritten(answer, |body| body["padding"] = "x".repeat(200_000).into())
    });
    let ended = homespec(&padded.url(), &["--register", "open", "--timeout", "10"]);
    is_sound(&ended, "padded");
    let full = "the run stopped sending: the server's responses came to 32 MiB";
    assert!(ended.run.notes[0].contains(full), "{:?}", ended.run.notes);
    let many = in_front(good.address(), |answer| {
        let values = vec![serde_json::json!({ "a": {} }); 5_000];
        rewritten(answer, |body| body["padding"] = values.clone().into())
    });
    is_sound(&homespec(&many.url(), &["--area", "discovery", "--timeout", "10"]), "many values");
    let url = turning(good.address(), 60, "GET /_matrix/client/v", server::long(100)).url();
    is_sound(&homespec(&url, &["--register", "open"]), "long answers");
}

#[test]
fn limits_without_end_block_the_rest() {
    let good = Good::start();
    for wait in ["3155760000000", "0", "-1", "1e300"] {
        let body =
            format!(r#"{{"errcode":"M_LIMIT_EXCEEDED","error":"no","retry_after_ms":{wait}}}"#);
        let url = turning(good.address(), 80, "", json("429 No", body)).url();
        let ended = homespec(&url, &["--register", "open"]);
        is_sound(&ended, wait);
        // A wait below zero is a deviation by itself.
        let status = if wait == "-1" { 1 } else { 5 };
        assert_eq!(ended.status, Some(status), "{wait}: {}", ended.stdout);
        let blocked = ended.run.cases.iter().filter(|case| case.verdict == Verdict::Blocked);
        let limited = |case: &&homespec::model::run::CaseOutcome| {
            case.reason.as_ref().is_some_and(|reason| reason.code == "rate_limited")
        };
        assert!(
            blocked.clone().count() > 50 && blocked.clone().all(|case| limited(&case)),
            "{wait}"
        );
    }
}

// --- lists without end, and Ctrl-C ---

/// Short names, so that many fit into an answer that is read whole.
fn name(number: u32) -> String {
    let digit = |place: u32| char::from_digit(number / 36_u32.pow(place) % 36, 36).unwrap();
    (0..4).map(digit).collect()
}

/// A good homeserver whose lists at these ends of paths hold very much.
fn with_long_lists(good: &Good, which: &'static [&'static str]) -> (Server, Log) {
    let providers: Vec<_> = (0..70_000).map(|n| serde_json::json!({ "id": name(n) })).collect();
    let sso = serde_json::json!({ "type": "m.login.sso", "identity_providers": providers });
    let flows = serde_json::json!({ "flows": [{ "type": "m.login.password" }, sso] });
    let devices = serde_json::json!({ "devices": vec![serde_json::json!({}); 100_000] });
    let mut versions: Vec<String> = (0..100_000).map(|n| format!("x{n}")).collect();
    versions.insert(0, "v1.11".to_owned());
    let versions = serde_json::json!({ "versions": versions });
    let lists = [("/login ", flows), ("/devices ", devices), ("/versions ", versions)];
    let lists = lists.map(|(end, body)| (end, body.to_string()));
    assert!(lists.iter().all(|(_, body)| body.len() < 1 << 20), "they are read whole");
    let acts = lists.map(|(end, body)| (end, json("200 OK", body)));
    changed(good.address(), move |line, answer| {
        let path = line.strip_prefix("GET ").filter(|_| answer.starts_with(b"HTTP/1.1 200"))?;
        let (_, act) = acts.iter().find(|(end, _)| which.contains(end) && path.contains(end))?;
        Some(act.clone())
    })
}

#[test]
fn lists_without_end_are_judged_in_bounded_time_and_memory() {
    let good = Good::start();
    for which in [&["/login "][..], &["/devices "], &["/versions "]] {
        let (server, _) = with_long_lists(&good, which);
        let ended = homespec(&server.url(), &["--register", "open", "--timeout", "10"]);
        is_sound(&ended, which[0]);
        assert!(ended.run.complete, "{which:?}");
        assert_eq!(ended.run.tally.errored, 0, "{which:?}");
    }
}

#[test]
fn a_list_with_too_much_in_it_blocks_what_it_would_decide() {
    let good = Good::start();
    let many = serde_json::json!({ "devices": vec![0; 300_000] }).to_string();
    let (server, _) = changed(good.address(), move |line, answer| {
        let is_list = line.starts_with("GET ") && line.contains("/devices ");
        (is_list && answer.starts_with(b"HTTP/1.1 200")).then(|| json("200 OK", &many))
    });
    let ended = homespec(&server.url(), &["--register", "open", "--timeout", "10"]);
    is_sound(&ended, "too much");
    assert_eq!(ended.status, Some(5), "{}", ended.stdout);
    assert_eq!(findings(&ended.run), Vec::<&str>::new());
    let code = |reason: &Option<homespec::model::run::RecordedReason>| {
        reason.as_ref().map(|reason| reason.code.to_string()).unwrap_or_default()
    };
    let is_large = |case: &&homespec::model::run::CaseOutcome| code(&case.reason) == "too_large";
    assert!(ended.run.cases.iter().filter(is_large).all(|case| case.verdict == Verdict::Blocked));
    assert!(ended.run.cases.iter().filter(is_large).count() > 3);
    let standing = ended.run.standing.iter().find(|one| code(&one.reason) == "too_large").unwrap();
    assert_eq!(standing.verdict, Verdict::Blocked);
    assert!(ended.stdout.contains("JSON values"), "{}", ended.stdout);
}

/// What a clean-up sends, the control requests before it included.
fn is_of_clean_up(line: &str) -> bool {
    ["/logout ", "/deactivate ", "/versions ", "/v3/login "].iter().any(|end| line.contains(end))
}

#[test]
#[cfg(unix)]
fn after_one_ctrl_c_nothing_more_is_sent_or_judged() {
    let good = Good::start();
    for which in [&["/login "][..], &["/devices "], &["/versions "]] {
        let (server, log) = with_long_lists(&good, which);
        let more = ["--register", "open", "--timeout", "10"];
        let mut at = None;
        let ended = Started::new(&server.url(), &more, &[]).end(&mut |program| {
            let lists = |log: &Log| {
                let log = log.lock().unwrap();
                log.iter().filter(|(_, line)| which.iter().any(|end| line.contains(end))).count()
            };
            // In the middle of the cases that look at them.
            if at.is_none() && lists(&log) >= 4 && log.lock().unwrap().len() > 40 {
                program.interrupt();
                at = Some((Instant::now(), program.since.elapsed()));
            }
        });
        is_sound(&ended, which[0]);
        let (at, since) = at.expect("it was interrupted");
        assert_eq!(ended.status, Some(130), "{which:?}: {}", ended.stderr);
        assert!(!ended.run.complete);
        let late = log.lock().unwrap();
        let late = late.iter().filter(|(time, _)| *time > at + Duration::from_secs(2));
        let late: Vec<&String> =
            late.map(|(_, line)| line).filter(|line| !is_of_clean_up(line)).collect();
        assert!(late.is_empty(), "{which:?}: {late:?}");
        let took = ended.took - since;
        assert!(took < Duration::from_secs(20), "{which:?} took {took:?} to stop");
        let left = &ended.run.not_cleaned_up;
        assert!(left.iter().all(|one| one.contains("was cancelled")), "{left:?}");
        let interrupted =
            ended.run.cases.iter().filter(|case| {
                case.reason.as_ref().is_some_and(|reason| reason.code == "interrupted")
            });
        assert!(interrupted.count() > 10);
    }
}

#[test]
#[cfg(unix)]
fn a_second_ctrl_c_ends_the_clean_up_and_names_what_is_left() {
    let good = Good::start();
    let (server, log) = changed(good.address(), |line, _| {
        (line.contains("/deactivate ") && line.starts_with("POST")).then(server::silence)
    });
    let more = ["--register", "open", "--timeout", "30", "--skip", "*deactivat*"];
    let (mut first, mut second) = (false, None);
    let ended = Started::new(&server.url(), &more, &[]).end(&mut |program| {
        let log = log.lock().unwrap();
        if !first && log.len() > 60 {
            program.interrupt();
            first = true;
        }
        let cleans = log.iter().any(|(_, line)| line.contains("/deactivate "));
        if first && second.is_none() && cleans && program.read("stderr").contains("cleaning up") {
            program.interrupt();
            second = Some(program.since.elapsed());
        }
    });
    is_sound(&ended, "second");
    let took = ended.took - second.expect("it was interrupted twice");
    assert!(took < Duration::from_secs(5), "took {took:?} to stop");
    assert_eq!(ended.status, Some(130), "{}", ended.stderr);
    let left = &ended.run.not_cleaned_up;
    assert!(left.iter().any(|one| one.starts_with("account @")), "{left:?}");
    assert!(left.iter().any(|one| one.starts_with("session ")), "{left:?}");
    assert!(left.iter().all(|one| one.contains("the clean-up was stopped")), "{left:?}");
    assert_eq!(ended.stderr.matches("cleaning up: at most").count(), 1, "{}", ended.stderr);
}
