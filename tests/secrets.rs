//! Marked secrets, looked for in every byte that the program writes: against a server that hands them out in odd
//! places and gives back what it was sent in every encoding.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

#[path = "secrets/padding.rs"]
mod padding;

/// Stands in every secret of these tests and in nothing else.
const MARK: &str = "hsmark";

/// What came over one connection, which is closed after the answer.
struct Asked {
    line: String,
    authorization: String,
    body: String,
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut asked =
        Asked { line: String::new(), authorization: String::new(), body: String::new() };
    reader.read_line(&mut asked.line).ok()?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).ok()? <= 2 {
            break;
        }
        let (name, value) = header.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => asked.authorization = value.trim().to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8_lossy(&body).into_owned();
    Some(asked)
}

/// Everything that a request held, in the ways of writing that are promised.
fn echo(asked: &Asked) -> String {
    let all = format!("{} {} {}", asked.line.trim(), asked.authorization, asked.body);
    let percent: String = all.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let token = asked.authorization.trim_start_matches("Bearer ");
    let units: String = token.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
    let base64 = STANDARD.encode(token);
    let page = all.replace('&', "&amp;").replace('"', "&quot;").replace('/', "&#x2F;");
    [all, percent, units, page, base64].join(" | ")
}

/// The status line, headers and body of the n-th answer.
fn answer(n: usize, asked: &Asked) -> (u16, String, String) {
    let header =
        format!("set-cookie: sid={MARK}{n}cookie; Path=/\r\nx-auth-token: {MARK}{n}header\r\n");
    let json = format!("{header}content-type: application/json\r\n");
    let login = asked.line.contains("/login ");
    if asked.line.contains("/versions ") {
        return (200, json, r#"{"versions":["v1.11"]}"#.to_owned());
    }
    if login && asked.line.starts_with("GET") {
        return (200, json, r#"{"flows":[{"type":"m.login.password"}]}"#.to_owned());
    }
    let error = serde_json::json!({"errcode": "M_FORBIDDEN", "error": echo(asked)}).to_string();
    match (login, n % 4) {
        (true, 0 | 1) => {
            let body = serde_json::json!({
                "user_id": "@alice:hs.example", "device_id": format!("DEVICE{n}"),
                "access_token": format!("{MARK}{n}access/+="), "expires_in_ms": 100_000,
                "refresh_token": format!("{MARK}{n}refresh"),
                "more": [{"bearer": format!("{MARK}{n}withoutanyname")}], "said": echo(asked),
            });
            (200, json, serde_json::to_string_pretty(&body).unwrap())
        }
        (_, 0) => (401, json, error),
        (_, 1) => (200, json, format!("{{\"access_token\": \"{MARK}{n}cutoff")),
        (_, 2) => {
            let page =
                format!("<p>access_token={MARK}{n}page {}</p>", echo(asked).replace('<', ""));
            (500, format!("{header}content-type: text/html\r\n"), page)
        }
        _ => (403, format!("{json}location: /?loginToken={MARK}{n}location\r\n"), error),
    }
}

/// Its URL; it ends with the test.
fn leaky_homeserver() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().flatten().enumerate() {
            let Some(asked) = read(&stream) else { continue };
            let (status, headers, body) = answer(n + 100, &asked);
            let _ = write!(
                &stream,
                "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    url
}

/// The mark as it stands, in percent- and JSON-escapes, and at the beginning of base64.
fn forms_of_the_mark() -> Vec<String> {
    let base64 = STANDARD.encode(MARK);
    let units: String = MARK.bytes().map(|byte| format!("\\u00{byte:02x}")).collect();
    let percent: String = MARK.bytes().map(|byte| format!("%{byte:02x}")).collect();
    vec![base64, units, percent, MARK.to_owned()]
}

fn assert_clean(name: &str, text: &str) {
    let squeezed: String = text.split_whitespace().collect();
    let lower = squeezed.to_ascii_lowercase();
    for form in forms_of_the_mark() {
        let at =
            if form.len() < 12 && form != MARK { squeezed.find(&form) } else { lower.find(&form) };
        if let Some(at) = at {
            let around: String = squeezed
                .get(at.saturating_sub(60)..)
                .unwrap_or(&squeezed)
                .chars()
                .take(140)
                .collect();
            panic!("{form} in {name}: {around}");
        }
    }
}

fn homespec(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_homespec"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", folder.join("summary.md"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn no_mark_is_in_any_byte_that_is_written() {
    let url = leaky_homeserver();
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let password = format!("pä\"{MARK}/5 wörd&x");
    let accounts = serde_json::json!([{"user": "alice", "password": password}]).to_string();
    std::fs::write(at.join("accounts.yaml"), accounts).unwrap();
    let basic = STANDARD.encode(format!("proxy:{MARK}basic"));
    let headers = format!(
        "X-Gate-Authorization: Basic {basic}\nCookie: a={MARK}c1; b={MARK}c2\nX-Key: {MARK}key\n"
    );
    std::fs::write(at.join("headers"), headers).unwrap();
    let given = ["--accounts", "accounts.yaml", "--header-file", "headers", "--timeout", "10"];
    let (status, out, err) = homespec(at, &[&["run", &url, "-v"][..], &given].concat());
    assert!(matches!(status, Some(1 | 5)), "{status:?} {err}");
    assert!(out.contains("‹password 1›"), "the names stand there instead");
    assert_clean("standard output", &out);
    assert_clean("standard error", &err);
    for name in ["run.json", "junit.xml", "report.md", "report.html"] {
        assert_clean(name, &std::fs::read_to_string(at.join("reports").join(name)).unwrap());
    }
    assert_clean("the job summary", &std::fs::read_to_string(at.join("summary.md")).unwrap());
    let (_, out, err) = homespec(at, &[&["run", &url, "--dry-run"][..], &given].concat());
    assert_clean("the dry run", &(out + &err));
}

/// A reference homeserver with the user `alice`; it ends with the value.
struct TestHomeserver {
    url: String,
    _running: homespec::reference::Running,
    _runtime: tokio::runtime::Runtime,
}

fn homeserver(faults: &[&str], password: &str) -> TestHomeserver {
    use homespec::reference::{Settings, start};
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let settings = Settings {
        users: vec![("alice".to_owned(), password.to_owned())],
        faults: faults.iter().map(|name| (*name).to_owned()).collect(),
        ..Settings::default()
    };
    let running = runtime.block_on(start(settings)).unwrap();
    TestHomeserver { url: running.url(), _running: running, _runtime: runtime }
}

const REPORTS: [&str; 4] = ["run.json", "junit.xml", "report.md", "report.html"];

/// Runs in a folder with `accounts.yaml` and `headers`; nothing marked is in any file or stream, and
/// all reports are there.
fn run_clean(at: &Path, url: &str, options: &[&str], expected: i32) -> serde_json::Value {
    let given = ["run", url, "-v", "--accounts", "accounts.yaml", "--header-file", "headers"];
    let (status, out, err) = homespec(at, &[&given, options].concat());
    assert_eq!(status, Some(expected), "{options:?}: {err}");
    assert!(!err.contains("withheld"), "{options:?}: {err}");
    assert_clean("standard output", &out);
    assert_clean("standard error", &err);
    for name in REPORTS {
        assert_clean(name, &std::fs::read_to_string(at.join("reports").join(name)).unwrap());
    }
    assert_clean("the job summary", &std::fs::read_to_string(at.join("summary.md")).unwrap());
    let text = std::fs::read_to_string(at.join("reports/run.json")).unwrap();
    homespec::report::read(&text).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_secret_that_is_a_word_of_ours_switches_nothing_off() {
    const FAULT: &str = "logout-missing-token-200";
    let password = format!("{MARK}-password-of-alice");
    let (broken, sound) = (homeserver(&[FAULT], &password), homeserver(&[], &password));
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let accounts = serde_json::json!([{"user": "alice", "password": password}]).to_string();
    std::fs::write(at.join("accounts.yaml"), accounts).unwrap();
    let logout = ["--case", "logout*"];
    let with_header = |value: &str, url: &str, options: &[&str], expected: i32| {
        let headers = format!("X-Gate-Token: {value}\nX-Key: {MARK}-key-of-the-gate\n");
        std::fs::write(at.join("headers"), headers).unwrap();
        run_clean(at, url, options, expected)
    };
    // What fails in it runs again below.
    let run = with_header("MUST", &broken.url, &["--level", "must"], 1);
    assert_eq!(run["selection"]["levels"], serde_json::json!(["MUST"]));
    std::fs::rename(at.join("reports/run.json"), at.join("first.json")).unwrap();
    with_header("failed", &broken.url, &["--rerun", "first.json"], 1);
    let adopt = [&logout[..], &["--baseline", "known.yaml", "--update-baseline"]].concat();
    with_header("baseline", &broken.url, &adopt, 0);
    assert_clean("the baseline", &std::fs::read_to_string(at.join("known.yaml")).unwrap());
    let outdated = [&logout[..], &["--baseline", "known.yaml"]].concat();
    let run = with_header("fixed", &sound.url, &outdated, 1);
    assert_eq!(run["baseline"]["outdated"][0]["why"], "fixed");
    for (value, options) in [
        ("passed", &logout[..]),
        ("logout", &["--area", "logout"]),
        ("case", &["--case", "logout*", "--skip", "logout-all*"]),
        ("logout.auth_required", &["--requirement", "logout.auth_required"]),
        ("true", &logout),
        ("null", &logout),
        ("1", &logout),
        ("\"quoted\"", &logout),
    ] {
        with_header(value, &broken.url, options, 1);
    }
}

#[test]
fn tokens_of_the_size_of_a_jwt_are_in_no_report() {
    let homeserver = homeserver(&[], "alice-password");
    let pad = format!(".{}", MARK.repeat(250));
    let url = padding::padding(&homeserver.url, &pad);
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let (status, out, err) = homespec(at, &["run", &url, "-v", "--register", "open"]);
    assert_eq!(status, Some(0), "{out} {err}");
    assert!(out.contains("‹access_token 20›"), "there were many");
    assert_clean("standard output", &out);
    assert_clean("standard error", &err);
    for name in REPORTS {
        assert_clean(name, &std::fs::read_to_string(at.join("reports").join(name)).unwrap());
    }
}

#[test]
fn faults_of_files_quote_no_secret() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let files = [
        ("comma.yaml", format!("- {{ user: alice, password: a,{MARK}1 }}\n")),
        ("colon.yaml", format!("- user: alice\n  password: a: {MARK}1\n")),
        ("alias.yaml", format!("- user: alice\n  password: *{MARK}1\n")),
        ("tag.yaml", format!("- user: alice\n  password: !{MARK}1 x\n")),
        ("quote.yaml", format!("- user: alice\n  password: \"{MARK}1\n")),
        ("file.yaml", format!("- user: alice\n  password_file: {MARK}1\n")),
        ("twice.yaml", format!("- {{ user: a, {MARK}1: x, {MARK}1: x }}\n")),
    ];
    for (name, text) in &files {
        std::fs::write(at.join(name), text).unwrap();
        for arguments in [&["run", "http://127.0.0.1:1", "--accounts", name][..], &["check", name]]
        {
            let (status, out, err) = homespec(at, arguments);
            assert_eq!(status, Some(3), "{arguments:?} {err}");
            assert_clean(name, &(out + &err));
            assert!(err.contains(&format!("{name}:")), "the place is named: {err}");
        }
    }
    std::fs::write(at.join("homespec.yaml"), format!("proxy: http://a:{MARK}1@x\nurll: x\n"))
        .unwrap();
    let (status, out, err) = homespec(at, &["run", "http://127.0.0.1:1"]);
    assert_eq!(status, Some(3), "{err}");
    assert!(err.contains("did you mean `url`?"), "{err}");
    assert_clean("a config file", &(out + &err));
}

#[test]
fn addresses_with_a_password_are_not_shown() {
    let folder = TempDir::new().unwrap();
    for url in [
        format!("http://a:{MARK}1@x"),
        format!("http://a:{MARK}1@:x/"),
        format!("http://a:{MARK}1@[x"),
    ] {
        let (status, out, err) = homespec(folder.path(), &["run", &url]);
        assert_eq!(status, Some(2), "{err}");
        assert_clean(&url.replace(MARK, "…"), &(out + &err));
        for proxy in [url.clone(), url.replace("http", "socks9")] {
            let (_, out, err) = homespec(
                folder.path(),
                &["run", "http://127.0.0.1:1", "--proxy", &proxy, "--timeout", "2"],
            );
            assert_clean("with a proxy", &(out + &err));
        }
    }
}

#[test]
fn a_secret_that_nothing_could_hide_is_refused() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("a.yaml"), "- { user: alice, password: abc }\n").unwrap();
    let (status, _, err) =
        homespec(folder.path(), &["run", "http://127.0.0.1:1", "--accounts", "a.yaml"]);
    assert_eq!(status, Some(3), "{err}");
    assert!(err.contains("fewer than 4 bytes") && !err.contains("abc"), "{err}");
}

#[cfg(unix)]
#[test]
fn files_that_others_can_read_are_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    std::fs::write(at.join("headers"), "X-Key: 0123456789\n").unwrap();
    std::fs::write(at.join("homespec.yaml"), "operator: { admin_token: 0123456789abcdef }\n")
        .unwrap();
    for (mode, warned) in [(0o644, true), (0o600, false)] {
        for name in ["headers", "homespec.yaml"] {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(at.join(name), mode).unwrap();
        }
        let arguments = ["run", "http://127.0.0.1:1", "--header-file", "headers", "--timeout", "2"];
        let (_, _, err) = homespec(at, &arguments);
        for name in ["headers", "homespec.yaml"] {
            assert_eq!(err.contains(&format!("{name} holds secrets")), warned, "{err}");
        }
    }
}
