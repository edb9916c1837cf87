//! The program as a process: every command, and every exit status with its precedence.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
mod support;

use homespec::reference::{self, Settings};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use support::program::{Ended, command as homespec, ended, run_in};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const REPORTS: [&str; 4] = ["run.json", "junit.xml", "report.md", "report.html"];

fn run(arguments: &[&str]) -> Ended {
    run_in(TempDir::new().unwrap().path(), arguments)
}

/// Asserts status and, if there is one, a part of what stands on standard error.
fn assert_ends(ended: &Ended, status: i32, part: &str) {
    assert_eq!(ended.status, status, "{}\n{}", ended.out, ended.err);
    assert!(ended.err.contains(part), "`{part}` is missing in\n{}", ended.err);
}

fn reports_in(folder: &Path) -> Vec<&'static str> {
    REPORTS.into_iter().filter(|name| folder.join(name).is_file()).collect()
}

fn run_json(folder: &Path) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join("run.json")).unwrap()).unwrap()
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

/// A case file with one case that expects this status of `/versions`.
fn case_of_versions(status: u16) -> String {
    format!(
        "about: Own cases\ncases:\n  - id: own\n    title: the list of versions has a status\n    \
         checks: [versions.get.ok]\n    impact: reads\n    steps:\n      \
         - {{ call: getVersions, must: {{ status: {status} }} }}\n"
    )
}

/// A port on which nobody listens.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// A server that answers every request on a connection with the same bytes; it ends with the test.
fn parrot(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || repeat(stream, answer));
        }
    });
    url
}

fn repeat(mut stream: TcpStream, answer: &str) {
    let mut seen = Vec::new();
    let mut some = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut some) {
        seen.extend_from_slice(&some[..count]);
        if seen.windows(4).any(|end| end == b"\r\n\r\n") {
            seen.clear();
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

const HTML: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 15\r\n\r\n<h1>hello</h1>\n";

/// The reference homeserver with these accounts; it ends when the pair is dropped.
fn reference_with(users: &[(&str, &str)]) -> (Runtime, reference::Running) {
    let runtime = Runtime::new().unwrap();
    let users = users.iter().map(|(user, pw)| ((*user).to_owned(), (*pw).to_owned())).collect();
    let settings = Settings { users, ..Settings::default() };
    let running = runtime.block_on(reference::start(settings)).unwrap();
    (runtime, running)
}

// Status 0, and what comes with it.

#[test]
fn demo_conforms_and_writes_four_reports() {
    let folder = TempDir::new().unwrap();
    let ended = run_in(folder.path(), &["demo"]);
    assert_ends(&ended, 0, "");
    assert_eq!(reports_in(&folder.path().join("reports")), REPORTS);
    let run = run_json(&folder.path().join("reports"));
    assert_eq!((&run["exit_status"], &run["complete"]), (&0.into(), &true.into()));
    assert!(ended.out.contains("Conforms") && ended.out.contains("report.html"), "{}", ended.out);
    assert!(!ended.out.contains('\u{1b}'), "colours go to a terminal only");
    assert_eq!(ended.err, "", "progress goes to a terminal only");
}

#[test]
fn only_the_reports_that_are_asked_for_are_written() {
    let folder = TempDir::new().unwrap();
    let arguments = ["demo", "--case", "versions", "--report", "junit,json", "--out", "there"];
    assert_ends(&run_in(folder.path(), &arguments), 0, "");
    assert_eq!(reports_in(&folder.path().join("there")), ["run.json", "junit.xml"]);
}

#[test]
fn a_dry_run_prints_the_plan_and_writes_nothing() {
    let (_runtime, running) = reference_with(&[]);
    let folder = TempDir::new().unwrap();
    let url = running.url();
    let ended = run_in(folder.path(), &["run", &url, "--register", "open", "--dry-run"]);
    assert_ends(&ended, 0, "");
    assert!(ended.out.contains("would run: at most"), "{}", ended.out);
    assert!(!folder.path().join("reports").exists());
}

#[test]
fn verbose_prints_the_exchanges() {
    let ended = run(&["demo", "--case", "versions", "-v"]);
    assert_ends(&ended, 0, "");
    assert!(ended.out.contains("> GET http://127.0.0.1:"), "{}", ended.out);
    assert!(ended.out.contains("\n< 200\n"), "{}", ended.out);
}

// Status 1.

#[test]
fn a_broken_must_is_status_1_with_all_reports() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "cases/own.yaml", &case_of_versions(418));
    let ended = run_in(folder.path(), &["demo", "--only-cases", "cases"]);
    assert_ends(&ended, 1, "");
    assert!(ended.out.contains("versions.get.ok"), "{}", ended.out);
    assert_eq!(reports_in(&folder.path().join("reports")), REPORTS);
    let findings = &run_json(&folder.path().join("reports"))["cases"][0]["findings"];
    assert_eq!(findings[0]["expected"], "status 418");
}

#[test]
fn a_broken_should_fails_only_when_that_is_asked_for() {
    let folder = TempDir::new().unwrap();
    let text = case_of_versions(418)
        .replace("versions.get.ok", "versions.no_v1_0")
        .replace("must:", "should:");
    write(folder.path(), "cases/own.yaml", &text);
    let arguments = ["demo", "--only-cases", "cases"];
    assert_ends(&run_in(folder.path(), &arguments), 0, "");
    let asked = [&arguments[..], &["--fail-on", "should"]].concat();
    assert_ends(&run_in(folder.path(), &asked), 1, "");
}

// Status 2.

#[test]
fn what_was_typed_wrongly_is_status_2() {
    for (arguments, part) in [
        (&["run"][..], "which homeserver?"),
        (&["run", "matrix.example.org"], "is not a homeserver URL"),
        (&["run", "ftp://x"], "it must begin with https://, http:// or unix:/"),
        (&["run", "http://x/?a=b"], "it has a query or a fragment"),
        (&["run", "http://user:secret@x"], "it has a user name"),
        (&["run", "http://x", "--jobs", "0"], "--jobs"),
        (&["run", "http://x", "--timeout=-1"], "'--timeout <DURATION>': it is a number of seconds"),
        (&["run", "http://x", "--max-wait", "5 apples"], "a time such as 250ms, 30s, 5m or 1h30m"),
        (&["run", "http://x", "--wait-ready", "soon"], "a time such as 250ms"),
        (&["demo", "--onyl-cases", "x"], "--only-cases"),
        (&["demo", "--report", "pdf"], "\"pdf\" is not a report format"),
        (&["demo", "--case", "versoins"], "did you mean `versions`?"),
        (&["demo", "--skip", "versoins"], "--skip `versoins` matches nothing"),
        (&["demo", "--requirement", "versions.get.okay"], "did you mean `versions.get.ok`?"),
        (&["demo", "--area", "discovry"], "did you mean `discovery`?"),
        (&["demo", "--fault", "no-such-fault"], "no-such-fault"),
        (&["explain", "versions.get.okay"], "did you mean `versions.get.ok`?"),
        (&["frobnicate"], "frobnicate"),
        (&[], "Usage"),
        (&["report", "there/is/no/run.json"], "cannot be read"),
        (&["list", "--faults", "--quirks"], "cannot be used with"),
        (
            &["serve", "--upstream", "http://x", "--fault", "logout-keeps-token"],
            "is the reference homeserver's own behaviour",
        ),
        (&["serve", "--upstream", "http://x", "--quirk", "sso-only"], "the quirk `sso-only`"),
        (&["serve", "--upstream", "http://x", "--fault", "login-20"], "did you mean login-20"),
        (&["serve", "--upstream", "x"], "is not a homeserver URL"),
        (&["serve", "--upstream", "http://x", "--versions", "v1.1"], "cannot be used with"),
        (
            &["run", "http://x", "--register", "open", "--registration-token-file", "f"],
            "cannot be read",
        ),
    ] {
        let ended = run(arguments);
        let status = if part == "cannot be read" && arguments[0] == "run" { 3 } else { 2 };
        assert_ends(&ended, status, part);
        assert!(!ended.err.contains("secret@"), "a password is shown\n{}", ended.err);
    }
}

#[test]
fn every_word_that_names_nothing_is_said() {
    let ended = run(&["demo", "--case", "versoins", "--requirement", "whoami.usr"]);
    assert_ends(&ended, 2, "did you mean `versions`?");
    assert_ends(&ended, 2, "did you mean `whoami.user`?");
}

#[test]
fn two_ways_to_make_accounts_are_too_many() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "secret", "s");
    let arguments = [
        "run",
        "http://x",
        "--registration-token-file",
        "secret",
        "--registration-shared-secret-file",
        "secret",
    ];
    assert_ends(&run_in(folder.path(), &arguments), 2, "give only one of --register");
}

// Status 3.

#[test]
fn files_that_are_wrong_are_status_3_and_nothing_is_sent() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    write(at, "cases/own.yaml", "about: x\ncases:\n  - { id: Own }\n");
    write(at, "spec/login.yaml", "openapi: [");
    write(at, "accounts.yaml", "- { user: alice, password: sesame-open, token: x }\n");
    write(at, "bad.yaml", "jobs: many\nurls: x\n");
    write(at, "empty", "\n");
    write(at, "run.json", "{}");
    let closed = closed_port();
    for (arguments, part) in [
        (&["demo", "--only-cases", "cases"][..], "a case has no `title`"),
        (&["demo", "--cases", "cases"], "`Own` is not a case id"),
        (&["demo", "--only-cases", "nowhere"], "nowhere"),
        (&["demo", "--spec", "spec"], "spec"),
        (&["run", &closed, "--accounts", "accounts.yaml"], "unknown key `token`"),
        (&["run", &closed, "--accounts", "nowhere.yaml"], "cannot be read"),
        (&["run", &closed, "--config", "bad.yaml"], "did you mean `url`?"),
        (&["run", &closed, "--config", "nowhere.yaml"], "nowhere.yaml"),
        (&["run", &closed, "--registration-token-file", "empty"], "is empty"),
        (&["check", "cases/own.yaml"], "a case has no `title`"),
        (&["check", "cases"], "a case has no `title`"),
        (&["check", "bad.yaml"], "invalid value `many` for `jobs`: it is a whole number from 1"),
        (&["check", "--spec", "spec"], "login.yaml"),
        (&["report", "run.json"], "run.json"),
    ] {
        let ended = run_in(at, arguments);
        assert_ends(&ended, 3, part);
        assert!(!ended.err.contains("sesame-open"), "a password is shown\n{}", ended.err);
    }
    assert!(!at.join("reports").exists());
}

// Status 4.

#[test]
fn a_selection_that_excludes_itself_is_status_4() {
    let arguments = ["demo", "--case", "versions", "--skip", "versions"];
    assert_ends(&run(&arguments), 4, "the selection has no case");
    assert_ends(&run(&["demo", "--case", "versions", "--area", "logout"]), 4, "no case");
}

#[test]
fn usage_files_and_selection_come_in_this_order_before_anything_is_sent() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "cases/own.yaml", "about: x\n");
    let closed = closed_port();
    let files_and_selection =
        ["run", &closed, "--only-cases", "cases", "--case", "own", "--skip", "own"];
    assert_ends(&run_in(folder.path(), &files_and_selection), 3, "");
    let selection = ["run", &closed, "--case", "versions", "--skip", "versions"];
    assert_ends(&run_in(folder.path(), &selection), 4, "");
}

// Status 5.

#[test]
fn nobody_there_is_status_5_with_one_sentence_and_all_reports() {
    let folder = TempDir::new().unwrap();
    let closed = closed_port();
    let ended = run_in(folder.path(), &["run", &closed]);
    assert_ends(&ended, 5, &format!("error: {closed} cannot be reached"));
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    assert_eq!(reports_in(&folder.path().join("reports")), REPORTS);
    let dry = run_in(folder.path(), &["run", &closed, "--dry-run"]);
    assert_ends(&dry, 5, "cannot be reached");
}

#[test]
fn something_else_there_is_status_5() {
    let folder = TempDir::new().unwrap();
    let ended = run_in(folder.path(), &["run", &parrot(HTML)]);
    assert_ends(&ended, 5, "does not look like a Matrix homeserver");
    assert!(ended.err.contains("answered 200 with text/html; is that"), "{}", ended.err);
    // What it answers is no homeserver's answer, and breaks nothing.
    let tally = &run_json(&folder.path().join("reports"))["tally_requirements"];
    assert_eq!((&tally["failed"], &tally["warned"]), (&0.into(), &0.into()));
}

#[test]
fn a_blocked_must_is_status_5_unless_that_is_accepted() {
    let (_runtime, running) = reference_with(&[]);
    let url = running.url();
    // No account: what needs one is blocked.
    let arguments = ["run", &url, "--area", "logout"];
    assert_ends(&run(&arguments), 5, "");
    let accepted = [&arguments[..], &["--allow-blocked"]].concat();
    assert_ends(&run(&accepted), 0, "");
}

#[test]
fn the_mark_of_security_is_told() {
    let listed = run(&["list", "--requirements", "--format", "json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&listed.out).unwrap();
    let marked: Vec<_> = rows.iter().filter(|row| row["security"] == true).collect();
    assert!(marked.len() > 30, "{}", marked.len());
    let table = run(&["list", "--requirements"]).out;
    let line = table.lines().find(|line| line.starts_with("uia.other_user ")).unwrap();
    assert!(line.contains(" security "), "{line}");
    assert!(run(&["explain", "uia.other_user"]).out.contains("keeps somebody in"));
    assert!(!run(&["explain", "whoami.ok"]).out.contains("keeps somebody in"));
}

#[test]
fn a_broken_must_comes_before_a_blocked_one() {
    let (_runtime, running) = reference_with(&[]);
    let folder = TempDir::new().unwrap();
    write(folder.path(), "cases/own.yaml", &case_of_versions(418));
    let url = running.url();
    let ended = run_in(folder.path(), &["run", &url, "--cases", "cases", "--area", "own,logout"]);
    assert_ends(&ended, 1, "");
}

// Status 6.

#[test]
fn a_report_that_cannot_be_written_is_status_6_and_comes_before_1() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "cases/own.yaml", &case_of_versions(418));
    // Where a report would be is a folder: that shows only when it is written.
    std::fs::create_dir_all(folder.path().join("out/run.json")).unwrap();
    let arguments = ["demo", "--only-cases", "cases", "--out", "out"];
    let ended = run_in(folder.path(), &arguments);
    assert_ends(&ended, 6, "cannot replace out/run.json");
    assert!(ended.out.contains("versions.get.ok"), "the result is shown all the same");
    assert_eq!(files_in(&folder.path().join("out")), ["run.json"]);
}

/// The names of what lies in a folder.
fn files_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_folder_that_no_report_can_be_written_to_is_status_6_before_anything_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let folder = TempDir::new().unwrap();
    write(folder.path(), "taken", "a file stands here");
    for out in ["taken", "taken/below"] {
        let ended = run_in(folder.path(), &["run", &url, "--out", out]);
        assert_ends(&ended, 6, "no request was sent");
        assert!(ended.err.contains(&format!("cannot write reports to {out}")), "{}", ended.err);
    }
    assert!(listener.accept().is_err(), "nobody came");
}

#[test]
fn the_trial_of_the_folder_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    for (arguments, status) in [
        (&["demo", "--out", "new/deep", "--case", "versoins"][..], 2),
        (&["demo", "--out", "new/deep", "--case", "versions", "--skip", "versions"], 4),
    ] {
        assert_ends(&run_in(at, arguments), status, "");
        assert!(files_in(at).is_empty());
    }
    assert_ends(&run_in(at, &["demo", "--out", "new/deep", "--case", "versions"]), 0, "");
    assert_eq!(
        files_in(&at.join("new/deep")),
        ["junit.xml", "report.html", "report.md", "run.json"]
    );
}

// Status 130.

/// A homeserver for the probe that answers nothing else, and tells when it is asked something else.
fn slow_homeserver() -> (String, mpsc::Receiver<()>) {
    const VERSIONS: &str = r#"{"versions":["v1.11"]}"#;
    const FLOWS: &str = r#"{"flows":[{"type":"m.login.password"}]}"#;
    const NOT_HERE: &str = r#"{"errcode":"M_UNRECOGNIZED","error":"no"}"#;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut asked = 0;
        // A connection a request, so that they can be counted here.
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut line = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            if reader.read_line(&mut line).is_err() {
                continue;
            }
            asked += 1;
            let (status, body) = match line.split(' ').nth(1).unwrap_or_default() {
                "/_matrix/client/versions" => (200, VERSIONS),
                "/_matrix/client/v3/login" => (200, FLOWS),
                _ => (404, NOT_HERE),
            };
            if asked > 6 {
                // The probe is over: a case waits for its answer now.
                let _ = tell.send(());
                std::mem::forget(stream);
                continue;
            }
            let mut rest = String::new();
            while reader.read_line(&mut rest).is_ok_and(|count| count > 2) {
                rest.clear();
            }
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (url, told)
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_is_status_130_with_all_reports() {
    let (url, told) = slow_homeserver();
    let folder = TempDir::new().unwrap();
    let child = homespec(folder.path())
        .args(["run", &url, "--timeout", "2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    told.recv().unwrap();
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let ended = ended(child.wait_with_output().unwrap());
    assert_ends(&ended, 130, "stopping");
    assert_eq!(reports_in(&folder.path().join("reports")), REPORTS);
    let run = run_json(&folder.path().join("reports"));
    assert_eq!((&run["complete"], &run["exit_status"]), (&false.into(), &130.into()));
}

#[test]
fn an_interrupted_wait_ends_at_once_and_is_reported() {
    let runtime = Runtime::new().unwrap();
    let login_token_lifetime = std::time::Duration::from_secs(50);
    let settings = Settings { login_token_lifetime, ..Settings::default() };
    let server = runtime.block_on(reference::start(settings)).unwrap();
    let folder = TempDir::new().unwrap();
    let case = "login-token-expires";
    let mut child = homespec(folder.path())
        .args(["run", &server.url(), "--register", "open", "--case", case])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stderr.take().unwrap());
    let waits = format!("waiting: 51 s until {case} goes on, until ");
    assert!(said.lines().map_while(Result::ok).any(|line| line.starts_with(&waits)));
    let interrupted = std::time::Instant::now();
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let ended = child.wait().unwrap();
    assert!(interrupted.elapsed().as_secs() < 20, "it does not wait for the token");
    assert_eq!(ended.code(), Some(130));
    let run = run_json(&folder.path().join("reports"));
    let cases = run["cases"].as_array().unwrap();
    let waiting = cases.iter().find(|one| one["id"] == case).unwrap();
    assert_eq!(
        (&waiting["verdict"], &waiting["reason"]["code"]),
        (&"blocked".into(), &"interrupted".into())
    );
    assert_eq!(run["not_cleaned_up"], serde_json::json!([]));
}

// The other commands.

#[test]
fn report_renders_again_and_ends_as_the_run() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "cases/own.yaml", &case_of_versions(418));
    let first = run_in(folder.path(), &["demo", "--only-cases", "cases"]);
    let reports = folder.path().join("reports");
    let before: Vec<String> =
        REPORTS.iter().map(|name| std::fs::read_to_string(reports.join(name)).unwrap()).collect();
    for name in &REPORTS[1..] {
        std::fs::remove_file(reports.join(name)).unwrap();
    }
    let again = run_in(folder.path(), &["report", "reports/run.json"]);
    assert_ends(&again, 1, "");
    for (name, before) in REPORTS.iter().zip(before) {
        assert_eq!(std::fs::read_to_string(reports.join(name)).unwrap(), before, "{name}");
    }
    assert_eq!(first.out.lines().next(), again.out.lines().next());
    let elsewhere = ["report", "reports/run.json", "--out", "copy", "--report", "markdown"];
    assert_ends(&run_in(folder.path(), &elsewhere), 1, "");
    assert_eq!(reports_in(&folder.path().join("copy")), ["report.md"]);
}

#[test]
fn check_reads_cases_config_and_specification() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    write(at, "cases/own.yaml", &case_of_versions(200));
    write(at, "homespec.yaml", "url: http://x\njobs: 2\n");
    for arguments in
        [&["check"][..], &["check", "cases"], &["check", "cases/own.yaml", "homespec.yaml"]]
    {
        let ended = run_in(at, arguments);
        assert_ends(&ended, 0, "");
        assert!(ended.out.contains("no faults"), "{}", ended.out);
    }
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/v1");
    let ended = run_in(at, &["check", "--spec", spec.to_str().unwrap()]);
    assert_ends(&ended, 0, "");
    assert!(ended.out.contains("getTokenOwner"), "{}", ended.out);
    assert_ends(
        &run_in(at, &["check", "--spec", "x", "cases"]),
        2,
        "--spec and PATH cannot be combined",
    );
}

#[test]
fn list_shows_everything_in_both_forms() {
    for what in [&[][..], &["--requirements"], &["--faults"], &["--quirks"]] {
        let table = run(&[&["list"], what].concat());
        assert_ends(&table, 0, "");
        let json = run(&[&["list", "--format", "json"], what].concat());
        assert_ends(&json, 0, "");
        let rows: Vec<serde_json::Value> = serde_json::from_str(&json.out).unwrap();
        assert_eq!(table.out.lines().count(), rows.len(), "{what:?}");
        for (line, row) in table.out.lines().zip(&rows) {
            let key = row.get("id").or_else(|| row.get("name")).unwrap().as_str().unwrap();
            assert!(line.starts_with(key), "{line}");
        }
    }
    let register = homespec::requirements::Register::bundled().unwrap();
    let requirements = run(&["list", "--requirements"]).out;
    assert_eq!(requirements.lines().count(), register.iter().len());
}

#[test]
fn notes_are_listed_explained_and_known_and_test_nothing() {
    const NOTE: &str = "a note: demands nothing of a server";
    let id = "refresh.old_access_token";
    let listed = run(&["list", "--requirements"]).out;
    let line = listed.lines().find(|line| line.starts_with(id)).unwrap();
    assert!(line.contains(NOTE), "{line}");
    let json = run(&["list", "--requirements", "--format", "json"]).out;
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    let notes = rows.iter().filter(|row| row["informative"] == true);
    assert_eq!(notes.count(), listed.lines().filter(|line| line.contains(NOTE)).count());
    let explained = run(&["explain", id]);
    assert_ends(&explained, 0, "");
    for part in [NOTE, "https://spec.matrix.org/", "refresh.yaml"] {
        assert!(explained.out.contains(part), "`{part}` is missing in\n{}", explained.out);
    }
    // The id is known; alone it selects nothing.
    assert_ends(&run(&["demo", "--requirement", id]), 4, "notes");
    let beside = run(&["demo", "--requirement", id, "--requirement", "versions.get.ok"]);
    assert_eq!(beside.status, 0, "{}{}", beside.out, beside.err);
}

#[test]
fn explain_knows_requirements_and_cases() {
    let requirement = run(&["explain", "versions.get.ok"]);
    assert_ends(&requirement, 0, "");
    for part in ["MUST", "https://spec.matrix.org/", "decided by", "versions"] {
        assert!(requirement.out.contains(part), "`{part}` is missing in\n{}", requirement.out);
    }
    let case = run(&["explain", "versions"]);
    assert_ends(&case, 0, "");
    assert!(case.out.contains("cases/discovery.yaml:"), "{}", case.out);
    // A case with rows is explained by its name without them.
    let listed = run(&["list"]).out;
    let row = listed.lines().filter_map(|line| line.split('[').next()).find(|id| !id.contains(' '));
    let rows = run(&["explain", row.unwrap()]);
    assert_ends(&rows, 0, "");
    assert!(rows.out.contains("rows"), "{}", rows.out);
}

#[test]
fn faults_and_quirks_are_listed_with_their_kind() {
    for (what, of_each_kind) in [
        ("--faults", ["login-201", "logout-keeps-token", "shape.login.200.user_id.absent"]),
        ("--quirks", ["charset-parameter", "sso-only", "shape.login.200.well_known.absent"]),
    ] {
        let table = run(&["list", what]);
        assert_ends(&table, 0, "");
        let json = run(&["list", what, "--format", "json"]);
        let rows: Vec<serde_json::Value> = serde_json::from_str(&json.out).unwrap();
        for (name, kind) in of_each_kind.iter().zip(["data", "behaviour", "shape"]) {
            let row = rows.iter().find(|row| row["name"] == *name).unwrap();
            assert_eq!(row["kind"], kind, "{name}");
            let is_here = |line: &str| {
                let words: Vec<&str> = line.split_whitespace().collect();
                words.starts_with(&[name, kind])
            };
            assert!(table.out.lines().any(is_here), "{name}");
        }
    }
}

/// The program itself, in front of a homeserver: it says where it listens, and the fault is there.
#[test]
fn selftest_shows_what_catches_a_fault_in_each_form() {
    let json = run(&["selftest", "login-201", "cors.well_known", "--format", "json"]);
    assert_ends(&json, 0, "");
    assert_eq!(json.err, "");
    let matrix: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(matrix["schema_version"], 1);
    let names: Vec<&str> =
        matrix["faults"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["well-known-without-cors", "login-201"]);
    assert_eq!(matrix["faults"][1]["end"], "caught");
    assert_eq!(matrix["faults"][1]["verdict"], "failed");
    let ids = matrix["requirements"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap());
    assert_eq!(ids.collect::<Vec<_>>(), ["cors.well_known", "login.post.ok.status"]);

    let markdown = run(&["selftest", "login-201", "--format", "markdown"]);
    assert_ends(&markdown, 0, "");
    assert!(
        markdown.out.contains("| `login.post.ok.status` | MUST | 0 | 1 | 0 | 1 |"),
        "{}",
        markdown.out
    );
}

#[test]
fn selftest_says_which_words_name_nothing() {
    assert_ends(&run(&["selftest", "login-201", "login-2o1"]), 4, "`login-2o1`");
}

#[test]
fn serve_puts_a_fault_in_front_of_another_homeserver() {
    let folder = TempDir::new().unwrap();
    let (_runtime, behind) = reference_with(&[]);
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--fault", "versions-201"];
    let mut child = homespec(folder.path())
        .args(arguments)
        .args(["--upstream", &behind.url()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = said.next().unwrap().unwrap();
    let url = first.rsplit_once(" at ").unwrap().1.to_owned();
    let ended = run(&["run", &url, "--case", "versions"]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_ends(&ended, 1, "");
    assert!(ended.out.contains("versions.get.ok"), "{}", ended.out);
}

#[test]
fn completions_and_manual_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]);
        assert_ends(&script, 0, "");
        assert!(script.out.contains("homespec") && script.out.contains("explain"), "{shell}");
    }
    let page = run(&["man"]);
    assert_ends(&page, 0, "");
    for part in [".TH homespec 1", "homespec-run", "\\-\\-max\\-wait"] {
        assert!(page.out.contains(part), "`{part}` is missing");
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    let help = run(&["run", "--help"]);
    assert_ends(&help, 0, "");
    assert!(help.out.contains("--max-wait"), "{}", help.out);
    assert!(run(&["--help"]).out.contains("Exit status: 0 conforms"));
    assert_eq!(run(&["--version"]).out, format!("homespec {}\n", env!("CARGO_PKG_VERSION")));
}

// Options, environment and file.

#[test]
fn an_option_comes_before_the_environment_and_that_before_the_file() {
    let (_runtime, running) = reference_with(&[]);
    let url = running.url();
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let config = format!("url: {url}\ncase: versions\nreport: json\nout: by-file\n");
    write(at, "homespec.yaml", &config);
    let with = |arguments: &[&str], variable: Option<(&str, &str)>| {
        let mut command = homespec(at);
        command.arg("run").args(arguments).envs(variable);
        assert_ends(&ended(command.output().unwrap()), 0, "");
    };
    with(&[], None);
    assert_eq!(reports_in(&at.join("by-file")), ["run.json"]);
    with(&[], Some(("HOMESPEC_OUT", "by-environment")));
    assert_eq!(reports_in(&at.join("by-environment")), ["run.json"]);
    with(&["--out", "by-option"], Some(("HOMESPEC_OUT", "by-environment-2")));
    assert_eq!(reports_in(&at.join("by-option")), ["run.json"]);
    assert!(!at.join("by-environment-2").exists());
    // A list that is given replaces the one of the file.
    with(&["--report", "junit", "--out", "list"], None);
    assert_eq!(reports_in(&at.join("list")), ["junit.xml"]);
    // Paths in a file are relative to it, those that are typed to where one is.
    std::fs::create_dir(at.join("below")).unwrap();
    let mut command = homespec(&at.join("below"));
    command.args(["run", "--config", "../homespec.yaml"]);
    assert_ends(&ended(command.output().unwrap()), 0, "");
    assert!(!at.join("below/by-file").exists());
}

#[test]
fn the_url_may_stand_in_the_environment_but_not_be_guessed() {
    let (_runtime, running) = reference_with(&[]);
    let folder = TempDir::new().unwrap();
    let mut command = homespec(folder.path());
    command.args(["run", "--case", "versions"]).env("HOMESPEC_URL", running.url());
    assert_ends(&ended(command.output().unwrap()), 0, "");
    let mut command = homespec(folder.path());
    command.args(["run", "--case", "versions"]).env("HOMESPEC_URL", "");
    assert_ends(&ended(command.output().unwrap()), 2, "");
}

#[test]
fn times_have_units_wherever_they_are_given() {
    let (_runtime, running) = reference_with(&[]);
    let url = running.url();
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    write(at, "homespec.yaml", "case: versions\nmax-wait: 5m\ntimeout: 1h30m\nwait-ready: 250ms\n");
    assert_ends(&run_in(at, &["run", &url]), 0, "");
    assert_ends(&run_in(at, &["check", "homespec.yaml"]), 0, "");
    let options = ["run", &url, "--max-wait", "1h30m", "--timeout", "30s", "--wait-ready", "2"];
    assert_ends(&run_in(at, &options), 0, "");
    let by_environment = |value: &str| {
        let mut command = homespec(at);
        command.args(["run", &url]).env("HOMESPEC_TIMEOUT", value);
        ended(command.output().unwrap())
    };
    assert_ends(&by_environment("20s"), 0, "");
    assert_ends(&by_environment("soon"), 2, "a time such as 250ms");
    write(at, "homespec.yaml", "timeout: soon\n");
    assert_ends(&run_in(at, &["run", &url]), 3, "it is a number of seconds, or a time such as");
    // The unit is not lost on the way.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    std::fs::remove_file(at.join("homespec.yaml")).unwrap();
    let arguments = ["run", &url, "--case", "versions", "--timeout", "300ms"];
    assert_ends(&run_in(at, &arguments), 5, "no complete response within 0.3 s");
}

// Programs of the operator.

#[cfg(unix)]
#[test]
fn a_program_that_prints_without_end_is_ended() {
    let (_runtime, running) = reference_with(&[]);
    let url = running.url();
    for endless in ["yes", "sh -c 'yes >&2'"] {
        let ended = run(&["run", &url, "--account-command", endless, "--case", "password-wrong"]);
        assert_ends(&ended, 5, "");
        assert!(ended.out.contains("printed more than 1048576 bytes"), "{}", ended.out);
    }
}

/// A child that lives on would hold the other end of the pipe.
#[cfg(unix)]
#[test]
fn the_children_of_a_program_end_with_it() {
    let (_runtime, running) = reference_with(&[]);
    let folder = TempDir::new().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let line = format!("sh -c '(echo up; exec sleep 600) > {} & exit 3'", pipe.display());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(std::fs::read_to_string(pipe)));
    let url = running.url();
    let ended = run(&["run", &url, "--account-command", &line, "--case", "password-wrong"]);
    assert_ends(&ended, 5, "");
    let said = told.recv_timeout(std::time::Duration::from_secs(60)).unwrap().unwrap();
    assert_eq!(said, "up\n");
}

/// The widest line of what the program prints to a terminal of so many columns.
#[cfg(target_os = "linux")]
fn widest_on_a_terminal(columns: u16, wished: Option<&str>) -> usize {
    use rustix::{pty, termios};
    let terminal = pty::openpt(pty::OpenptFlags::RDWR | pty::OpenptFlags::NOCTTY).unwrap();
    pty::grantpt(&terminal).unwrap();
    pty::unlockpt(&terminal).unwrap();
    let size = termios::Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    termios::tcsetwinsize(&terminal, size).unwrap();
    let name = pty::ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let there = std::fs::OpenOptions::new().read(true).write(true).open(name).unwrap();
    let folder = TempDir::new().unwrap();
    let mut command = homespec(folder.path());
    command.args(["demo", "--area", "discovery,logout", "--fault", "versions-201"]);
    command.env("NO_COLOR", "1").stdout(there).stderr(Stdio::null());
    if let Some(wished) = wished {
        command.env("COLUMNS", wished);
    }
    let mut child = command.spawn().unwrap();
    // Our own handles of the terminal's other side go, so that reading ends with the program.
    drop(command);
    let mut text = Vec::new();
    // Linux ends it with an error.
    let _ = std::fs::File::from(terminal).read_to_end(&mut text);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("Does not conform"), "{text}");
    // Paths are never cut.
    let lines = text.lines().filter(|line| !line.starts_with("Reports: "));
    lines.map(|line| line.trim_end().chars().count()).max().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn the_summary_is_as_wide_as_the_terminal_unless_columns_says_otherwise() {
    let (narrow, wide) = (widest_on_a_terminal(60, None), widest_on_a_terminal(160, None));
    assert!(narrow <= 60 && wide > 80 && wide <= 160, "{narrow} {wide}");
    assert!(widest_on_a_terminal(160, Some("70")) <= 70);
}

#[test]
fn no_color_is_heeded_and_colours_can_be_asked_for() {
    let coloured = |variables: &[(&str, &str)]| {
        let folder = TempDir::new().unwrap();
        let mut command = homespec(folder.path());
        command.args(["demo", "--case", "versions"]).envs(variables.iter().copied());
        ended(command.output().unwrap()).out.contains('\u{1b}')
    };
    assert!(coloured(&[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[]));
    assert!(!coloured(&[("NO_COLOR", "1")]));
    assert!(!coloured(&[("NO_COLOR", "1"), ("CLICOLOR", "1")]));
}

#[test]
fn github_actions_gets_annotations_and_a_summary() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "cases/own.yaml", &case_of_versions(418));
    let mut command = homespec(folder.path());
    command.args(["demo", "--only-cases", "cases"]);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", "summary.md");
    let ended = ended(command.output().unwrap());
    assert_ends(&ended, 1, "");
    assert!(ended.out.contains("::error file="), "{}", ended.out);
    let summary = std::fs::read_to_string(folder.path().join("summary.md")).unwrap();
    assert!(summary.contains("versions.get.ok"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_fault() {
    for arguments in [&["list", "--requirements"][..], &["completions", "bash"], &["man"]] {
        let folder = TempDir::new().unwrap();
        let mut child = homespec(folder.path())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ended = ended(child.wait_with_output().unwrap());
        assert_eq!((ended.status, ended.err.as_str()), (0, ""), "{arguments:?}");
    }
}

// Secrets.

/// Password and tokens are marked, so that they can be looked for in everything that is written.
#[test]
fn no_secret_of_an_account_reaches_a_report_or_the_screen() {
    const PASSWORD: &str = "mark/ED-\"Pässword\"";
    let (runtime, running) = reference_with(&[("alice", PASSWORD)]);
    let url = running.url();
    let token = log_in(&runtime, &url, PASSWORD);
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let by_password = serde_json::json!([{"user": "alice", "password": PASSWORD}]);
    let by_token = serde_json::json!([{"user": "alice", "access_token": token}]);
    write(at, "by-password.yaml", &by_password.to_string());
    write(at, "by-token.yaml", &by_token.to_string());
    for accounts in ["by-password.yaml", "by-token.yaml"] {
        let out = accounts.replace(".yaml", "");
        let ended = run_in(at, &["run", &url, "--accounts", accounts, "-v", "--out", &out]);
        assert!([0, 1, 5].contains(&ended.status), "{}", ended.err);
        let mut texts = vec![("stdout", ended.out.clone()), ("stderr", ended.err)];
        for name in REPORTS {
            texts.push((name, std::fs::read_to_string(at.join(&out).join(name)).unwrap()));
        }
        // What the program itself made is not known here by value, but by what it looks like.
        let tokens = tokens_in(&texts);
        assert!(tokens.is_empty(), "{accounts}: {tokens:?}");
        for (name, text) in &texts {
            for secret in forms(PASSWORD).iter().chain([&token]) {
                assert!(!text.contains(secret.as_str()), "{accounts}: {secret} in {name}");
            }
        }
        assert!(ended.out.contains("‹access_token 1›"), "the names stand there instead");
    }
    // The session of somebody's own still works: it was not logged out with those of the run.
    assert_eq!(whoami(&runtime, &url, &token), 200);
}

/// The forms in which the password may be sent or come back.
fn forms(password: &str) -> Vec<String> {
    let json = serde_json::to_string(password).unwrap();
    let json = json[1..json.len() - 1].to_owned();
    let url: String = url::form_urlencoded::byte_serialize(password.as_bytes()).collect();
    let html = json.replace('"', "&quot;");
    let twice = serde_json::to_string(&json).unwrap();
    let twice = twice[1..twice.len() - 1].to_owned();
    let all = [password.to_owned(), json, url, html, twice, "mark/ED".into(), "mark\\/ED".into()];
    all.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Whatever stands as the value of a member that holds a token, and is not a name in its place.
fn tokens_in(texts: &[(&str, String)]) -> Vec<String> {
    let members = ["access_token", "refresh_token", "login_token"];
    let mut found = Vec::new();
    for (name, text) in texts {
        let text = text.replace("\\\"", "\"").replace("&quot;", "\"").replace("&#34;", "\"");
        for member in members {
            for rest in text.split(&format!("\"{member}\":\"")).skip(1) {
                let value = rest.split('"').next().unwrap_or_default();
                // The server of these tests makes long tokens; cases send short words of their own.
                if !value.starts_with('‹') && value.len() > 20 {
                    found.push(format!("{name}: {member} {value}"));
                }
            }
        }
    }
    found
}

fn http(
    runtime: &Runtime,
    ask: homespec::http::message::Request,
    url: &str,
) -> homespec::http::message::Response {
    use homespec::http::client::{HttpClient, Transport};
    use homespec::http::target::Target;
    let target = Target::Web(url.parse().unwrap());
    let transport = Transport::to(target, std::time::Duration::from_secs(10));
    let http = HttpClient::new(&transport, Default::default()).unwrap();
    runtime.block_on(http.send(&ask)).result.unwrap()
}

fn log_in(runtime: &Runtime, url: &str, password: &str) -> String {
    let body = serde_json::json!({
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": "alice"},
        "password": password,
    });
    let ask =
        homespec::http::message::Request::new(None, "POST", "/_matrix/client/v3/login").json(&body);
    http(runtime, ask, url).text_at("/access_token").unwrap().to_owned()
}

fn whoami(runtime: &Runtime, url: &str, token: &str) -> u16 {
    let path = "/_matrix/client/v3/account/whoami";
    http(runtime, homespec::http::message::Request::new(None, "GET", path).bearer(token), url)
        .status
}
