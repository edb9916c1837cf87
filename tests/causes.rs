//! One cause, one finding: the reference homeserver without one of its operations, with and without causes.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
mod support;

use homespec::model::run::{RequirementVerdict, Run};
use std::collections::BTreeSet;
use support::homeserver::Homeserver;
use support::program::command;
use support::proxy::Proxy;

/// The run, and its exit status.
fn run(url: &str, causes: bool) -> (Run, i32) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    command.args(["run", url, "--register", "open", "--out", "reports"]);
    if !causes {
        command.env("HOMESPEC_CAUSES", "off");
    }
    let output = command.output().unwrap();
    let text = std::fs::read_to_string(folder.path().join("reports/run.json"));
    let text = text.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    (serde_json::from_str(&text).unwrap(), output.status.code().unwrap())
}

fn ids(run: &Run, verdict: RequirementVerdict) -> BTreeSet<&str> {
    let all = run.requirements.iter().filter(|r| r.verdict == verdict);
    all.map(|r| r.id.as_str()).collect()
}

/// An operation, as method and path, with its requirement and what else is truly broken without it.
type Absent = (fn(&str) -> bool, &'static str, &'static [&'static str]);

/// Whether a request is this one, below either prefix.
fn is(what: &str, method: &str, path: &str) -> bool {
    let wanted = ["v3", "r0", "v1"].map(|api| format!("{method} /_matrix/client/{api}{path}"));
    wanted.iter().any(|one| one == what)
}

fn is_of_one_device(what: &str, method: &str) -> bool {
    let prefixes = ["v3", "r0"].map(|api| format!("{method} /_matrix/client/{api}/devices/"));
    prefixes.iter().any(|prefix| what.starts_with(prefix.as_str()))
}

const ABSENT: &[Absent] = &[
    (|what| is(what, "GET", "/devices"), "device.list.current", &[]),
    (|what| is_of_one_device(what, "GET"), "device.get.ok", &[]),
    (|what| is_of_one_device(what, "PUT"), "device.put.rename", &[]),
    (|what| is_of_one_device(what, "DELETE"), "device.delete.uia", &[]),
    (|what| is(what, "POST", "/delete_devices"), "device.delete.bulk", &[]),
    (|what| is(what, "GET", "/account/whoami"), "whoami.user", &[]),
    (|what| is(what, "POST", "/logout"), "logout.ok", &[]),
    (|what| is(what, "POST", "/logout/all"), "logout_all.ok", &[]),
    (|what| is(what, "POST", "/refresh"), "refresh.endpoint_exists", &[]),
    (|what| is(what, "POST", "/login/get_token"), "login.get.get_login_token.truthful", &[]),
];

#[test]
fn an_optional_operation_that_is_absent_is_no_finding() {
    let homeserver = Homeserver::with(&[]);
    let absent = |what: &str| is(what, "GET", "/capabilities") || is(what, "GET", "/auth_metadata");
    let proxy = Proxy::without(&homeserver.running.url(), absent);
    let (run, status) = run(&proxy.url, true);
    let failed = ids(&run, RequirementVerdict::Failed);
    assert!(failed.is_empty() && status == 0, "{failed:?}, {status}");
}

#[test]
fn each_absent_operation_is_one_finding_and_what_needs_it_is_blocked_because_of_it() {
    let homeserver = Homeserver::with(&[]);
    let mut wrong = Vec::new();
    for (absent, requirement, further) in ABSENT {
        let proxy = Proxy::without(&homeserver.running.url(), *absent);
        let ((with, status), (without, raw)) = (run(&proxy.url, true), run(&proxy.url, false));
        assert_eq!((status, raw), (1, 1), "{requirement}");
        let failed = ids(&with, RequirementVerdict::Failed);
        let expected: BTreeSet<&str> =
            [*requirement].into_iter().chain(further.iter().copied()).collect();
        if failed != expected {
            wrong.push(format!("{requirement}: failed {failed:?}"));
        }
        let because: BTreeSet<&str> =
            with.requirements.iter().filter_map(|r| r.because.as_deref()).collect();
        if because.iter().any(|cause| cause != requirement) {
            wrong.push(format!("{requirement}: because of {because:?}"));
        }
        for one in with.requirements.iter().filter(|r| r.verdict == RequirementVerdict::Blocked) {
            if one.because.is_none() {
                wrong.push(format!("{requirement}: {} {:?}", one.id, one.reason));
            }
        }
        // What was broken without causes did not become a pass by another case than one that decides it.
        let passed = ids(&with, RequirementVerdict::Passed);
        let hidden: Vec<&str> = ids(&without, RequirementVerdict::Failed)
            .into_iter()
            .filter(|id| passed.contains(id))
            .collect();
        println!(
            "{requirement}: {} failed before, {} blocked, decided by another case: {hidden:?}",
            ids(&without, RequirementVerdict::Failed).len(),
            ids(&with, RequirementVerdict::Blocked).len()
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn without_devices_all_is_decided_that_something_else_shows() {
    let homeserver = Homeserver::with(&[]);
    // As a homeserver answers that has no such endpoints, and says so for every unknown path.
    let absent = |what: &str| {
        is(what, "GET", "/devices")
            || ["GET", "PUT", "DELETE"].iter().any(|method| is_of_one_device(what, method))
            || is(what, "POST", "/delete_devices")
    };
    let proxy = Proxy::without(&homeserver.running.url(), absent);
    let (run, _) = run(&proxy.url, true);
    let failed = ids(&run, RequirementVerdict::Failed);
    let expected: BTreeSet<&str> = [
        "device.list.current",
        "device.get.ok",
        "device.put.rename",
        "device.delete.uia",
        "device.delete.bulk",
    ]
    .into();
    assert_eq!(failed, expected);
    let passed = ids(&run, RequirementVerdict::Passed);
    for decided in [
        "device.login.created",
        "device.login.per_user",
        "logout.others_survive",
        "logout.token_dead",
        "token.missing.status",
        "login.post.failure.no_session",
    ] {
        assert!(passed.contains(decided), "{decided}");
    }
}

/// Faults by which somebody gets in, or stays in.
const SECURITY: &[(&str, &str)] = &[
    ("logout-keeps-token", "logout.token_dead"),
    ("login-any-password", "login.password.wrong.status"),
];

#[test]
fn no_absent_operation_excuses_a_fault_that_lets_somebody_in() {
    for (fault, requirement) in SECURITY {
        let homeserver = Homeserver::with(&[fault]);
        for (absent, of, _) in ABSENT {
            let proxy = Proxy::without(&homeserver.running.url(), *absent);
            let (run, status) = run(&proxy.url, true);
            assert_eq!(status, 1, "{fault} without what {of} needs");
            let passed = ids(&run, RequirementVerdict::Passed);
            assert!(!passed.contains(requirement), "{fault} without what {of} needs");
        }
    }
}

#[test]
fn every_report_says_at_a_finding_what_is_not_decided_because_of_it() {
    let homeserver = Homeserver::with(&[]);
    let of = "device.delete.uia";
    let (absent, ..) = ABSENT.iter().find(|(_, requirement, _)| *requirement == of).unwrap();
    let proxy = Proxy::without(&homeserver.running.url(), *absent);
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["run", &proxy.url, "--register", "open", "--out", "reports"];
    let output = command(folder.path()).args(arguments).output().unwrap();
    let report = |name: &str| std::fs::read_to_string(folder.path().join("reports").join(name));
    let files = ["report.md", "report.html", "junit.xml"].map(|name| report(name).unwrap());
    let screen = String::from_utf8_lossy(&output.stdout).into_owned();
    for text in files.iter().chain([&screen]) {
        assert!(text.contains("not decided because of it"), "{text}");
    }
    assert!(screen.contains(&format!(" because of {of}")), "{screen}");
}

#[test]
fn the_variable_that_turns_causes_off_has_one_value() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(folder.path());
    let output = command.args(["run", "http://127.0.0.1:9"]).env("HOMESPEC_CAUSES", "no").output();
    assert_eq!(output.unwrap().status.code(), Some(2));
}
