//! Accounts, from the command line against the reference homeserver: supplied ones stay as they were, made ones are
//! gone afterwards, a program or an operator can give what the server does not.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
mod support;

use homespec::model::run::{RequirementVerdict, Run, Verdict};
use homespec::reference::{self, Running, Settings};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use support::client::Client;
use support::program::{Finished, homespec, run_in};
use support::proxy::{Passed, Proxy};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const LOGIN: &str = "/_matrix/client/v3/login";

/// A reference homeserver with a client for it.
struct TestHomeserver {
    running: Running,
    client: Client,
    _runtime: Runtime,
}

impl TestHomeserver {
    fn start(settings: Settings) -> TestHomeserver {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let running = runtime.block_on(reference::start(settings)).unwrap();
        let client = Client::new(&running.url());
        TestHomeserver { running, client, _runtime: runtime }
    }

    fn url(&self) -> String {
        self.running.url()
    }

    fn log_in(&self, user: &str, password: &str) -> (u16, Value) {
        self.client.post(LOGIN, None, &password_login(user, password))
    }
}

fn password_login(user: &str, password: &str) -> Value {
    json!({"type": "m.login.password", "identifier": {"type": "m.id.user", "user": user}, "password": password})
}

fn users(names: &[&str]) -> Vec<(String, String)> {
    names.iter().map(|name| ((*name).to_owned(), format!("{name}-password"))).collect()
}

/// A folder with a file that only its owner can read.
fn with_file(name: &str, text: &str) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    write(&path, text);
    let path = path.display().to_string();
    (folder, path)
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn accounts(names: &[&str]) -> (TempDir, String) {
    let lines =
        names.iter().map(|name| format!("- {{ user: {name}, password: {name}-password }}\n"));
    with_file("accounts.yaml", &lines.collect::<String>())
}

/// Each case with its verdict and the code of its reason, in the order of the report.
fn verdicts(run: &Run) -> Vec<(String, Verdict, Option<String>)> {
    let code = |reason: &Option<homespec::model::run::RecordedReason>| {
        reason.as_ref().map(|r| r.code.to_string())
    };
    run.cases.iter().map(|case| (case.id.clone(), case.verdict, code(&case.reason))).collect()
}

fn case<'r>(run: &'r Run, id: &str) -> &'r homespec::model::run::CaseOutcome {
    run.cases.iter().find(|case| case.id == id).unwrap()
}

#[test]
fn supplied_accounts_stay_as_they_were() {
    let homeserver =
        TestHomeserver::start(Settings { users: users(&["alice", "bob"]), ..Settings::default() });
    let proxy = Proxy::start(&homeserver.url());
    let state = |name: &str| {
        let (_, session) = homeserver.log_in(name, &format!("{name}-password"));
        let token = session["access_token"].as_str().unwrap().to_owned();
        let device = session["device_id"].as_str().unwrap();
        let path = format!("/_matrix/client/v3/devices/{device}");
        let named = json!({"display_name": "tablet in the kitchen"});
        assert_eq!(homeserver.client.put(&path, &token, &named).0, 200);
        token
    };
    let tokens = ["alice", "bob"].map(state);
    // When a device was seen last is nobody's name or session.
    let devices = |token: &str| {
        let (status, mut answer) = homeserver.client.get("/_matrix/client/v3/devices", token);
        assert_eq!(status, 200, "the other session");
        let listed = answer["devices"].as_array_mut().unwrap();
        listed.iter_mut().for_each(|device| {
            device["last_seen_ts"].take();
        });
        answer
    };
    let before = tokens.each_ref().map(|token| devices(token));
    let (_folder, file) = accounts(&["alice", "bob"]);

    let finished = homespec(&["run", &proxy.url, "--accounts", &file]);

    assert_eq!(finished.status, Some(0), "{}", finished.stdout);
    assert_eq!(finished.run.not_cleaned_up, Vec::<String>::new());
    assert_eq!(tokens.each_ref().map(|token| devices(token)), before);
    let log = proxy.log();
    for name in ["alice", "bob"] {
        assert_eq!(
            homeserver.log_in(name, &format!("{name}-password")).0,
            200,
            "{name}'s password"
        );
        let wrong = log.iter().filter(|passed| is_wrong_password(passed, name)).count();
        assert!(wrong <= 2, "{wrong} wrong passwords on {name}");
    }
    assert!(log.iter().any(|passed| is_wrong_password(passed, "alice")), "some were tried");
    let ruinous = ["/account/deactivate", "/account/password", "/logout/all"];
    let ruins = |passed: &&Passed| {
        let asks = |end: &&str| passed.what.starts_with("POST") && passed.what.ends_with(end);
        passed.status == 200 && ruinous.iter().any(asks)
    };
    assert!(log.iter().find(ruins).is_none());
    let skipped = case(&finished.run, "state-deactivated").reason.as_ref().unwrap();
    assert_eq!(skipped.code, "not_provided:disposable account");
}

/// Whether a password that is not the account's was sent for it, at login or in interactive auth.
fn is_wrong_password(passed: &Passed, name: &str) -> bool {
    let stage = if passed.sent["auth"].is_object() { &passed.sent["auth"] } else { &passed.sent };
    let user = stage["identifier"]["user"].as_str().or(stage["user"].as_str()).unwrap_or_default();
    let own = user == name || user == format!("@{name}:reference.localhost");
    own && stage["password"].as_str().is_some_and(|sent| sent != format!("{name}-password"))
}

#[test]
fn several_accounts_are_used_and_the_verdicts_do_not_depend_on_jobs() {
    let names = ["alice", "bob", "carol"];
    let homeserver =
        TestHomeserver::start(Settings { users: users(&names), ..Settings::default() });
    let (_folder, file) = accounts(&names);
    let run =
        |jobs: &str| homespec(&["run", &homeserver.url(), "--accounts", &file, "--jobs", jobs]).run;
    let (one, many) = (run("1"), run("16"));
    assert_eq!(verdicts(&one), verdicts(&many));
    let bodies = many.cases.iter().flat_map(|case| &case.exchanges);
    let named: BTreeSet<&str> = bodies
        .filter_map(|exchange| exchange.request.body.as_deref())
        .flat_map(|body| names.into_iter().filter(move |name| body.contains(*name)))
        .collect();
    assert_eq!(named, BTreeSet::from(names));
}

#[test]
fn an_access_token_in_place_of_a_password_reads_and_stays_good() {
    let homeserver =
        TestHomeserver::start(Settings { users: users(&["alice", "bob"]), ..Settings::default() });
    let (_, session) = homeserver.log_in("bob", "bob-password");
    let token = session["access_token"].as_str().unwrap();
    let alone = format!("- {{ user: bob, access_token: {token} }}\n");
    let both = format!("{alone}- {{ user: alice, password: alice-password }}\n");
    let run = |text: &str| {
        let (_folder, file) = with_file("accounts.yaml", text);
        homespec(&["run", &homeserver.url(), "--accounts", &file])
    };
    let (alone, both) = (run(&alone), run(&both));
    assert_eq!((alone.status, both.status), (Some(0), Some(0)), "{}{}", alone.stdout, both.stdout);
    let code = |run: &Run, id: &str| case(run, id).reason.as_ref().map(|r| r.code.to_string());
    assert_eq!(case(&alone.run, "token-in-header").verdict, Verdict::Passed);
    let needs_password = "password-wrong";
    assert_eq!(code(&alone.run, needs_password).as_deref(), Some("not_provided:password"));
    assert_eq!(case(&both.run, needs_password).verdict, Verdict::Passed);
    assert_eq!(homeserver.client.get("/_matrix/client/v3/account/whoami", token).0, 200);
}

/// A homeserver where nobody can register, with accounts that a program hands out.
fn closed_homeserver() -> TestHomeserver {
    let made = (1..200).map(|number| (format!("made{number}"), format!("pw-of-made{number}")));
    TestHomeserver::start(Settings {
        registration: false,
        guests: false,
        users: made.collect(),
        ..Settings::default()
    })
}

#[cfg(unix)]
#[test]
fn a_program_makes_accounts_which_are_gone_afterwards() {
    let homeserver = closed_homeserver();
    let script = "n=$HOMESPEC_ACCOUNT_NUMBER\n\
                  [ -n \"$HOMESPEC_TARGET\" ] && [ -n \"$HOMESPEC_LOCALPART\" ] || exit 1\n\
                  echo \"{\\\"user_id\\\": \\\"@made$n:reference.localhost\\\", \\\"password\\\": \\\"pw-of-made$n\\\"}\"";
    let (_folder, script) = with_file("make.sh", script);
    let finished =
        homespec(&["run", &homeserver.url(), "--account-command", &format!("/bin/sh '{script}'")]);
    assert_eq!(finished.status, Some(0), "{}", finished.stdout);
    assert_eq!(case(&finished.run, "state-password-changed").verdict, Verdict::Passed);
    assert_eq!(finished.run.not_cleaned_up, Vec::<String>::new());
    for number in 1..5 {
        let (status, answer) =
            homeserver.log_in(&format!("made{number}"), &format!("pw-of-made{number}"));
        assert_eq!(
            (status, &answer["errcode"]),
            (403, &json!("M_USER_DEACTIVATED")),
            "made{number}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_program_that_fails_blocks_what_needs_its_accounts_and_tells_no_secret() {
    let homeserver = closed_homeserver();
    let (folder, script) =
        with_file("make.sh", "echo x >> count; echo \"no: $HOMESPEC_PASSWORD\" >&2; exit 3");
    let count = folder.path().join("count");
    let command = format!("/bin/sh -c 'cd {} && . {script}'", folder.path().display());
    let finished = homespec(&["run", &homeserver.url(), "--account-command", &command]);
    assert_eq!(finished.status, Some(5), "{}", finished.stdout);
    let reason = case(&finished.run, "password-wrong").reason.as_ref().unwrap();
    assert_eq!(reason.code, "registration");
    assert!(reason.text.contains("exit status: 3: no: ‹password"), "{}", reason.text);
    // Once is enough: each further account would wait for the same failure.
    assert_eq!(std::fs::read_to_string(count).unwrap(), "x\n");
}

#[cfg(unix)]
#[test]
fn what_a_program_prints_is_read_strictly_and_never_shown() {
    let homeserver = closed_homeserver();
    for (printed, why) in [
        ("the password is hunter2hunter2", "did not print one {"),
        (
            "{\"user_id\": \"made1\", \"password\": \"hunter2hunter2\"}",
            "printed a user_id that is not a full Matrix ID",
        ),
        ("{\"user_id\": \"@made1:x\"}", "printed neither a password nor an access_token"),
    ] {
        let (_folder, script) = with_file("make.sh", &format!("echo '{printed}'"));
        let finished = homespec(&[
            "run",
            &homeserver.url(),
            "--account-command",
            &format!("/bin/sh '{script}'"),
        ]);
        assert_eq!(finished.status, Some(5), "{}", finished.stdout);
        let reason = case(&finished.run, "password-wrong").reason.as_ref().unwrap();
        assert!(reason.text.contains(&format!("`/bin/sh` {why}")), "{}", reason.text);
        assert!(!finished.stdout.contains("hunter2"));
    }
}

#[test]
fn what_the_server_does_not_take_back_is_named() {
    // Interactive auth that is never done also keeps accounts from being made in the ordinary way.
    let (_folder, file) = with_file("secret.txt", "the-shared-secret\n");
    let faults = vec!["uia-never-done".to_owned()];
    let shared_secret = Some("the-shared-secret".to_owned());
    let homeserver =
        TestHomeserver::start(Settings { faults, shared_secret, ..Settings::default() });
    let arguments = [
        "run",
        &homeserver.url(),
        "--registration-shared-secret-file",
        &file,
        "--case",
        "token-in-*",
    ];
    let finished = homespec(&arguments);
    let left = &finished.run.not_cleaned_up;
    assert!(!left.is_empty());
    for line in left {
        assert!(
            line.starts_with("account @homespec-")
                && line.contains("which the run created and which stays"),
            "{line}"
        );
    }
    assert!(finished.stdout.contains("Not cleaned up: account @homespec-"), "{}", finished.stdout);
}

#[test]
fn the_first_failure_ends_the_run_if_that_is_asked_for() {
    let faults = vec!["login-wrong-password-401".to_owned()];
    let homeserver = TestHomeserver::start(Settings { faults, ..Settings::default() });
    let finished =
        homespec(&["run", &homeserver.url(), "--register", "open", "--fail-fast", "--jobs", "1"]);
    assert_eq!(finished.status, Some(1), "{}", finished.stdout);
    let count = |verdict| finished.run.cases.iter().filter(|c| c.verdict == verdict).count();
    assert_eq!(count(Verdict::Failed), 1);
    assert!(count(Verdict::Blocked) > 10 && !finished.run.complete);
    let blocked = finished.run.cases.iter().filter(|case| case.verdict == Verdict::Blocked);
    assert!(blocked.into_iter().all(|case| case.reason.as_ref().unwrap().code == "fail_fast"));
    assert_eq!(finished.run.not_cleaned_up, Vec::<String>::new());
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_takes_back_what_it_made() {
    for signal in ["-INT", "-TERM"] {
        let homeserver = TestHomeserver::start(Settings::default());
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        // Accounts have been made when the first case asks for the devices.
        let proxy = Proxy::requirement_for_violation(&homeserver.url(), Some(("/devices", tell)));
        let folder = TempDir::new().unwrap();
        let child = std::process::Command::new(env!("CARGO_BIN_EXE_homespec"))
            .args(["run", &proxy.url, "--register", "open", "--jobs", "1"])
            .current_dir(folder.path())
            .env_clear()
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        told.blocking_recv().unwrap();
        let pid = child.id().to_string();
        let killed = std::process::Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(killed.success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130));
        let text = std::fs::read_to_string(folder.path().join("reports/run.json")).unwrap();
        let run: Run = serde_json::from_str(&text).unwrap();
        assert!(!run.complete && run.exit_status == 130);
        assert_eq!(run.not_cleaned_up, Vec::<String>::new());
        assert_all_are_gone(&proxy.log());
    }
}

/// Every account that was registered was deactivated.
fn assert_all_are_gone(log: &[Passed]) {
    let good = |end: &'static str| {
        let posted = move |p: &&Passed| p.what.starts_with("POST") && p.what.ends_with(end);
        log.iter().filter(posted).filter(|p| p.status == 200).count()
    };
    assert!(good("/register") > 0);
    assert_eq!(good("/register"), good("/account/deactivate"));
}

#[test]
fn a_run_says_what_would_decide_more() {
    let open = TestHomeserver::start(Settings { users: users(&["alice"]), ..Settings::default() });
    let finished = homespec(&["run", &open.url()]);
    assert!(
        finished.stdout.contains("Note: `--register open` (the server lets users register) would"),
        "{}",
        finished.stdout
    );
    let (_folder, file) = accounts(&["alice"]);
    let finished = homespec(&["run", &open.url(), "--accounts", &file]);
    let notes = finished.run.notes.join("\n");
    for way in ["`--register open`", "`disposable: true`", "another account", "`appservice` under"]
    {
        assert!(notes.contains(way), "{way}: {notes}");
    }
    assert!(notes.contains("guest accounts stay"), "{notes}");
    let closed = TestHomeserver::start(Settings {
        registration: false,
        users: users(&["alice"]),
        ..Settings::default()
    });
    let notes = homespec(&["run", &closed.url(), "--accounts", &file]).run.notes.join("\n");
    assert!(!notes.contains("--register open"), "{notes}");
}

/// A house with an operator, and the config file that this operator would write.
fn operated(hooks: &str) -> (TestHomeserver, TempDir, String) {
    let settings = reference::FaultNeed::Operator.met(Settings::default());
    let service = settings.appservice.clone().unwrap();
    let token = settings.admin_token.clone().unwrap();
    let homeserver = TestHomeserver::start(settings);
    let (folder, config) = with_file(
        "homespec.yaml",
        &format!(
            "register: open\noperator:\n  appservice: {{ token_file: as.txt, prefix: {}, sender: \"@{}:reference.localhost\" }}\n{hooks}",
            service.prefix, service.sender
        ),
    );
    write(&folder.path().join("as.txt"), &service.token);
    write(&folder.path().join("admin.txt"), &token);
    (homeserver, folder, config)
}

fn decided(finished: &Finished, ids: &[&str]) -> BTreeMap<String, Verdict> {
    ids.iter().map(|id| ((*id).to_owned(), case(&finished.run, id).verdict)).collect()
}

#[test]
fn an_operator_gives_what_no_client_has() {
    let (homeserver, _folder, config) = operated("  admin_token_file: admin.txt\n");
    let finished = homespec(&["run", &homeserver.url(), "--config", &config]);
    assert_eq!(finished.status, Some(0), "{}", finished.stdout);
    let ids = [
        "appservice-login",
        "state-locked",
        "state-suspended",
        "state-deactivated-by-the-operator",
    ];
    let verdicts = decided(&finished, &ids);
    assert!(verdicts.values().all(|verdict| *verdict == Verdict::Passed), "{verdicts:?}");
    let text = std::fs::read_to_string(finished.reports.path().join("run.json")).unwrap();
    assert!(!text.contains("token-of-the-house"), "a token of the operator's is in the report");
    let reason = case(&finished.run, "identifier-email").reason.as_ref().unwrap();
    assert_eq!(reason.code, "not_provided:email");
}

/// The lines of standard error that begin with `error:`.
fn errors(finished: &Finished) -> Vec<&str> {
    finished.stderr.lines().filter(|line| line.starts_with("error: ")).collect()
}

/// One error line, which has all of these parts.
fn assert_one_error(finished: &Finished, parts: &[&str]) {
    let errors = errors(finished);
    assert_eq!(errors.len(), 1, "{}", finished.stderr);
    for part in parts {
        assert!(errors[0].contains(part), "{part}: {}", errors[0]);
    }
}

fn requirement<'r>(run: &'r Run, id: &str) -> &'r homespec::model::run::RequirementOutcome {
    run.requirements.iter().find(|requirement| requirement.id == id).unwrap()
}

fn count(run: &Run, verdict: RequirementVerdict) -> usize {
    run.requirements.iter().filter(|one| one.applies && one.verdict == verdict).count()
}

const NO_ACCOUNT: &str = "No account could be used: what needs one is not decided";

#[test]
fn a_refused_account_is_said_before_all_else_and_nothing_is_green_for_it() {
    let homeserver =
        TestHomeserver::start(Settings { users: users(&["alice"]), ..Settings::default() });
    for (user, advice) in [
        ("alice", "check the password, and that the user is one of this server"),
        ("'@alice:other.example'", "the server under test is `other.example`"),
    ] {
        let text = format!("- {{ user: {user}, password: not-the-password }}\n");
        let (_folder, file) = with_file("accounts.yaml", &text);
        let finished =
            homespec(&["run", &homeserver.url(), "--accounts", &file, "--allow-blocked"]);
        assert_eq!(finished.status, Some(5), "{}", finished.stdout);
        assert_one_error(
            &finished,
            &["--accounts", user.trim_matches('\''), "403 M_FORBIDDEN (", advice],
        );
        assert!(!finished.stderr.contains("not-the-password"), "{}", finished.stderr);
        assert!(finished.stdout.contains(NO_ACCOUNT), "{}", finished.stdout);
        assert!(finished.run.no_usable_account);
        assert_eq!(count(&finished.run, RequirementVerdict::Failed), 0);
        let reason = case(&finished.run, "password-wrong").reason.as_ref().unwrap();
        assert_eq!(reason.code, "account", "{}", reason.text);
    }
}

#[test]
fn of_two_accounts_the_good_one_does_the_work() {
    let homeserver =
        TestHomeserver::start(Settings { users: users(&["alice", "bob"]), ..Settings::default() });
    let good = "- { user: alice, password: alice-password }\n";
    let bad = "- { user: bob, password: not-the-password }\n";
    let url = homeserver.url();
    let run = |text: &str| {
        let (_folder, file) = with_file("accounts.yaml", text);
        homespec(&["run", &url, "--accounts", &file])
    };
    let alone = run(good);
    for text in [format!("{good}{bad}"), format!("{bad}{good}")] {
        let finished = run(&text);
        assert_one_error(&finished, &["`bob` was refused", "403 M_FORBIDDEN ("]);
        assert_eq!(finished.run.tally.passed, alone.run.tally.passed, "{}", finished.stdout);
        assert_eq!(case(&finished.run, "password-wrong").verdict, Verdict::Passed);
        // What needs two accounts is not skipped, for two were given.
        let other = case(&finished.run, "device-of-another-user").reason.as_ref().unwrap();
        assert_eq!(other.code, "account", "{}", other.text);
        assert_eq!(finished.status, Some(5), "{}", finished.stdout);
        assert!(!finished.run.no_usable_account);
    }
}

#[test]
fn an_account_that_is_listed_twice_is_one() {
    let quirks = vec!["user-case-folded".to_owned()];
    let homeserver =
        TestHomeserver::start(Settings { users: users(&["alice"]), quirks, ..Settings::default() });
    for again in ["alice", "'@alice:reference.localhost'", "Alice"] {
        let text = format!(
            "- {{ user: alice, password: alice-password, disposable: true }}\n\
             - {{ user: {again}, password: alice-password }}\n"
        );
        let (folder, file) = with_file("accounts.yaml", &text);
        let finished = homespec(&["run", &homeserver.url(), "--accounts", &file]);
        assert_eq!(finished.status, Some(0), "{again}: {}", finished.stdout);
        let said: Vec<_> =
            finished.run.notes.iter().filter(|note| note.contains("one account")).collect();
        assert_eq!(said.len(), 1, "{again}: {:?}", finished.run.notes);
        // In use wins: nothing ruins it.
        assert_eq!(homeserver.log_in("alice", "alice-password").0, 200, "{again}");
        let skipped = case(&finished.run, "state-deactivated").reason.as_ref().unwrap();
        assert_eq!(skipped.code, "not_provided:disposable account");
        let checked = run_in(folder.path(), &["check", "accounts.yaml"]);
        assert_eq!(checked.status, 0, "{}", checked.err);
        for part in ["accounts.yaml:2:3", "the same account as in line 1"] {
            assert!(checked.err.contains(part), "{again}: {}", checked.err);
        }
    }
}

#[test]
fn a_token_has_to_be_a_users_and_of_the_user_it_is_given_for() {
    let homeserver =
        TestHomeserver::start(Settings { users: users(&["alice"]), ..Settings::default() });
    let (_, guest) =
        homeserver.client.post("/_matrix/client/v3/register?kind=guest", None, &json!({}));
    let (_, alice) = homeserver.log_in("alice", "alice-password");
    let token = |session: &Value| session["access_token"].as_str().unwrap().to_owned();
    for (user, token, said) in [
        ("alice", token(&guest), "is a guest's"),
        ("'@bob:reference.localhost'", token(&alice), "belongs to @alice:reference.localhost"),
        ("alice", "some-old-token".to_owned(), "401 M_UNKNOWN_TOKEN"),
    ] {
        let text = format!("- {{ user: {user}, access_token: {token} }}\n");
        let (_folder, file) = with_file("accounts.yaml", &text);
        let finished =
            homespec(&["run", &homeserver.url(), "--accounts", &file, "--area", "device"]);
        assert_eq!(finished.status, Some(5), "{}", finished.stdout);
        assert_one_error(&finished, &["the access token of", said]);
        assert!(finished.stdout.contains(NO_ACCOUNT), "{}", finished.stdout);
    }
}

#[test]
fn registration_that_is_refused_is_said_with_what_to_try() {
    let closed = TestHomeserver::start(Settings { registration: false, ..Settings::default() });
    let by_token = TestHomeserver::start(Settings {
        registration_token: Some("the-right-token".to_owned()),
        shared_secret: Some("the-right-secret".to_owned()),
        ..Settings::default()
    });
    let (_folder, file) = with_file("secret.txt", "not-the-secret");
    let (closed, by_token) = (closed.url(), by_token.url());
    for (arguments, said) in [
        (vec!["run", &closed, "--register", "open"], ["--register open: ", "403 M_FORBIDDEN ("]),
        (vec!["run", &by_token, "--register", "open"], ["asks for a token", "-token-file"]),
        (
            vec!["run", &by_token, "--registration-token-file", &file],
            ["--registration-token-file: ", "check that the token is right"],
        ),
        (
            vec!["run", &by_token, "--registration-shared-secret-file", &file],
            ["--registration-shared-secret-file: ", "the server's `registration_shared_secret`"],
        ),
        (
            vec!["run", &closed, "--registration-shared-secret-file", &file],
            ["--registration-shared-secret-file: ", "the server has no shared secret"],
        ),
    ] {
        let arguments = [&arguments[..], &["--allow-blocked"]].concat();
        let finished = homespec(&arguments);
        assert_eq!(finished.status, Some(5), "{arguments:?} {}", finished.stdout);
        assert_one_error(&finished, &said);
        assert!(finished.stdout.contains(NO_ACCOUNT), "{}", finished.stdout);
        assert!(!finished.stderr.contains("not-the-secret"), "{}", finished.stderr);
        let asked = finished.run.support.iter().find(|s| s.name == "accounts").unwrap();
        assert!(asked.exchanges.len() <= 2, "one try is enough");
    }
}

#[cfg(unix)]
#[test]
fn a_program_has_to_print_new_accounts_that_log_in() {
    let alice = ("alice".to_owned(), "alice-password".to_owned());
    let homeserver = TestHomeserver::start(Settings {
        registration: false,
        users: vec![alice, ("made".to_owned(), "pw-of-made".to_owned())],
        ..Settings::default()
    });
    let (_folder, supplied) = accounts(&["alice"]);
    let printed = |user: &str, password: &str| {
        format!(
            "echo '{{\"user_id\": \"@{user}:reference.localhost\", \"password\": \"{password}\"}}'"
        )
    };
    for (script, with, status, said) in [
        (printed("made", "pw-of-made"), None, 5, "a second time: each call must create a new"),
        (printed("alice", "alice-password"), Some(&supplied), 5, "--accounts lists as in use"),
        (printed("made", "not-its-password"), None, 5, "which it printed, was refused"),
    ] {
        let (_folder, script) = with_file("make.sh", &script);
        let command = format!("/bin/sh '{script}'");
        let url = homeserver.url();
        let mut arguments =
            vec!["run", &url, "--account-command", &command, "--area", "password,logout"];
        arguments.extend(with.iter().flat_map(|file| ["--accounts", file.as_str()]));
        let finished = homespec(&arguments);
        assert_eq!(finished.status, Some(status), "{}", finished.stdout);
        assert_one_error(&finished, &["--account-command: ", said]);
    }
    assert_eq!(
        homeserver.log_in("alice", "alice-password").0,
        200,
        "an account in use is left alone"
    );
}

#[test]
fn an_account_that_the_server_registers_and_does_not_log_in_is_the_servers_fault() {
    let faults = ["login-mxid-refused", "login-localpart-refused"].map(str::to_owned).to_vec();
    let homeserver = TestHomeserver::start(Settings { faults, ..Settings::default() });
    let finished = homespec(&["run", &homeserver.url(), "--register", "open", "--allow-blocked"]);
    assert_eq!(finished.status, Some(1), "{}", finished.stdout);
    let cause = "login.post.ok.status";
    assert_eq!(requirement(&finished.run, cause).verdict, RequirementVerdict::Failed);
    for id in ["login.password.localpart", "login.password.mxid"] {
        assert_eq!(requirement(&finished.run, id).because.as_deref(), Some(cause), "{id}");
    }
    assert_eq!(errors(&finished), Vec::<&str>::new());
}

#[test]
fn no_account_is_asked_for_where_nothing_needs_one() {
    let homeserver =
        TestHomeserver::start(Settings { users: users(&["alice"]), ..Settings::default() });
    let proxy = Proxy::start(&homeserver.url());
    let (_folder, file) = accounts(&["alice"]);
    for arguments in [
        vec!["run", &proxy.url, "--accounts", &file, "--case", "flows-are*"],
        vec!["run", &proxy.url, "--register", "open", "--case", "flows-are*"],
    ] {
        let finished = homespec(&arguments);
        assert_eq!(finished.status, Some(0), "{}", finished.stdout);
    }
    let asked = |passed: &&Passed| passed.what.ends_with("/login") && passed.what.starts_with('P');
    assert_eq!(proxy.log().iter().filter(asked).count(), 0);
    let registers = |passed: &Passed| passed.what == "POST /_matrix/client/v3/register";
    assert!(!proxy.log().iter().any(registers));
}

/// A house with an operator, and a config file with what is wrong about it.
fn mistaken(operator: &str, service: bool) -> (TestHomeserver, TempDir, String) {
    let (homeserver, folder, config) = operated("");
    let text = std::fs::read_to_string(&config).unwrap();
    let kept = if service { text } else { "register: open\noperator:\n".to_owned() };
    write(Path::new(&config), &format!("{kept}{operator}"));
    (homeserver, folder, config)
}

/// What is blocked for `operator` stands in a run, and nothing that it is about failed.
fn assert_blocked_by_operator(finished: &Finished, blocked: &str) {
    let reason = case(&finished.run, blocked).reason.as_ref().unwrap();
    assert_eq!(reason.code, "operator", "{}", reason.text);
    assert_eq!(count(&finished.run, RequirementVerdict::Failed), 0, "{}", finished.stdout);
    assert_eq!(finished.status, Some(5), "{}", finished.stdout);
}

#[test]
fn an_application_service_is_proven_before_it_is_used() {
    let settings = reference::FaultNeed::Operator.met(Settings::default());
    let service = settings.appservice.unwrap();
    let sender = format!("@{}:reference.localhost", service.sender);
    for (token, prefix, sender, said) in [
        ("not-the-token", service.prefix.as_str(), sender.as_str(), "operator.appservice.token: "),
        (&service.token, "elsewhere_", &sender, "operator.appservice.prefix: "),
        (&service.token, &service.prefix, "@a:reference.localhost", "operator.appservice.sender: "),
        (&service.token, &service.prefix, "@a:example.org", "operator.appservice.sender: "),
    ] {
        let wrong =
            format!("  appservice: {{ token: {token}, prefix: {prefix}, sender: \"{sender}\" }}\n");
        let (homeserver, _folder, config) = mistaken(&wrong, false);
        let proxy = Proxy::start(&homeserver.url());
        let finished =
            homespec(&["run", &proxy.url, "--config", &config, "--case", "appservice-*"]);
        assert_one_error(
            &finished,
            &[said, "answered 4"].map(|part| match part {
                "answered 4" if said.contains("sender") => "the token's own user is @",
                part => part,
            }),
        );
        assert_blocked_by_operator(&finished, "appservice-login");
        let asked = proxy.log().iter().filter(|passed| passed.what.contains("whoami")).count();
        assert!(asked <= 12, "one proof serves all cases");
    }
}

#[test]
fn a_bound_address_is_proven_before_it_is_used() {
    let settings = reference::FaultNeed::Operator.met(Settings::default());
    let address = |medium: &str| {
        let bound = settings.third_party.iter().find(|bound| bound.medium == medium).unwrap();
        let (user, password) = settings.users.iter().find(|(u, _)| *u == bound.user).unwrap();
        (bound.address.clone(), user.clone(), password.clone())
    };
    let (email, user, password) = address("email");
    let (phone, ..) = address("msisdn");
    let given = |what: &str, password: &str| {
        format!("  {what}, user: '@{user}:reference.localhost', password: {password} }}\n")
    };
    let national = format!("0{}", phone.trim_start_matches("44"));
    for (operator, blocked, said) in [
        (
            given("email: { address: nobody@example.org", &password),
            "identifier-email",
            "email.address: ",
        ),
        (
            given(&format!("email: {{ address: {email}"), "wrong-password"),
            "identifier-email",
            "403 M_FORBIDDEN (",
        ),
        (
            given("phone: { address: '447700900999', country: GB, number: 07700 900999", &password),
            "identifier-phone",
            "phone.address: ",
        ),
    ] {
        let (homeserver, _folder, config) = mistaken(&operator, false);
        let finished =
            homespec(&["run", &homeserver.url(), "--config", &config, "--area", "identifier"]);
        assert_one_error(&finished, &["operator.", said]);
        assert_blocked_by_operator(&finished, blocked);
    }
    let right = given(&format!("email: {{ address: {email}"), &password)
        + &given(
            &format!("phone: {{ address: '{phone}', country: GB, number: '{national}'"),
            &password,
        );
    let (homeserver, _folder, config) = mistaken(&right, false);
    let proxy = Proxy::start(&homeserver.url());
    let run = |more: &[&str]| {
        homespec(
            &[&["run", &proxy.url, "--config", &config, "--area", "identifier"], more].concat(),
        )
    };
    let finished = run(&[]);
    let verdicts = decided(&finished, &["identifier-email", "identifier-phone"]);
    assert!(verdicts.values().all(|verdict| *verdict == Verdict::Passed), "{verdicts:?}");
    assert_eq!(finished.run.not_cleaned_up, Vec::<String>::new());
    // Without a case that needs it, and in a dry run, nothing of it is sent.
    let before = proxy.log().len();
    run(&["--skip", "identifier-email*,identifier-phone*"]);
    let folder = TempDir::new().unwrap();
    let dry = run_in(folder.path(), &["run", &proxy.url, "--config", &config, "--dry-run"]);
    assert_eq!(dry.status, 0, "{}", dry.err);
    assert!(!proxy.log()[before..].iter().any(|passed| passed.what.ends_with("/account/3pid")));
}

#[test]
fn an_administrators_token_that_is_refused_is_said_once() {
    let (homeserver, _folder, config) = mistaken("  admin_token: not-an-admins-token\n", false);
    let finished = homespec(&["run", &homeserver.url(), "--config", &config, "--case", "state-*"]);
    assert_one_error(&finished, &["operator.admin_token: ", "401 M_UNKNOWN_TOKEN ("]);
    assert_blocked_by_operator(&finished, "state-suspended");
}

#[cfg(unix)]
#[test]
fn a_hook_that_does_nothing_blocks() {
    for act in ["lock", "deactivate", "bind_email"] {
        let hooks = format!("  hooks: {{ {act}: 'true', unlock: 'true' }}\n");
        let (homeserver, folder, config) = mistaken(&hooks, false);
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_homespec"))
            .args(["run", &homeserver.url(), "--config", &config])
            .args(["--case", "state-locked,state-deactivated-by*,identifier-email-bound*"])
            .arg("--out")
            .arg(folder.path().join("reports"))
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(5), "{stderr}");
        let said = format!("error: operator.hooks.{act}: it exited with 0, but ");
        assert!(stderr.contains(&said), "{act}: {stderr}");
    }
}

#[cfg(unix)]
#[test]
fn hooks_are_told_what_to_do_and_their_failure_blocks() {
    let (homeserver, folder, config) = operated(
        "  hooks:\n    suspend: sh -c 'echo $HOMESPEC_ACT $HOMESPEC_USER_ID > told'\n    lock: sh -c 'echo no >&2; exit 1'\n    unlock: 'true'\n",
    );
    let text = std::fs::read_to_string(&config).unwrap();
    let told = folder.path().join("told");
    write(Path::new(&config), &text.replace("> told", &format!("> {}", told.display())));
    // The hooks need a path to find `sh`.
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_homespec"))
        .args(["run", &homeserver.url(), "--config", &config, "--case", "state-*", "--out"])
        .arg(folder.path().join("reports"))
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5));
    let text = std::fs::read_to_string(folder.path().join("reports/run.json")).unwrap();
    let run: Run = serde_json::from_str(&text).unwrap();
    let reason = case(&run, "state-suspended").reason.as_ref().unwrap();
    assert!(reason.text.contains("may still change its profile"), "{}", reason.text);
    let said = std::fs::read_to_string(told).unwrap();
    assert!(said.starts_with("suspend @homespec-"), "{said}");
    let reason = case(&run, "state-locked").reason.as_ref().unwrap();
    assert_eq!(reason.code, "operator");
    assert!(reason.text.contains("exit status: 1: no"), "{}", reason.text);
}

#[test]
fn a_config_file_with_an_operator_is_checked() {
    let wrong = "operator:\n  appservices: { token: x }\n  hooks: { look: x, lock: \"a 'b\" }\n  email: { address: a@b, user: bob, password: x }\n";
    let (_folder, file) = with_file("homespec.yaml", wrong);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_homespec"))
        .args(["check", &file])
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for part in
        ["did you mean `appservice`", "did you mean `lock`", "quotation mark", "full Matrix ID"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}
