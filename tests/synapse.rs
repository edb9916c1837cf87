//! The suite against a real Synapse: what it says of it, requirement by requirement, and what it leaves behind.
//!
//! Synapse is installed once under `target/`; `HOMESPEC_SYNAPSE=skip` leaves these tests out.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
mod support;

use homespec::model::run::{CaseOutcome, RequirementVerdict, Run, Verdict};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;
use support::client::Client;
use support::program::{Finished, homespec};
use support::rerun::assert_known_in_a_second_run;
use support::synapse::{
    DEFAULT_LIMITS, EXPIRING, NO_PASSWORD, NO_REFRESH, OPEN, Profile, SHORT_TOKENS, Synapse,
};
use support::table::{Table, differences, verdicts};
use support::{OF_EXPIRED_TOKENS, slow_tests, test_file, venv};

/// One run on an open Synapse, which several tests look at.
fn open_run(python: &Path) -> &'static Finished {
    static RUN: OnceLock<Finished> = OnceLock::new();
    RUN.get_or_init(|| {
        let synapse = Synapse::start(python, OPEN);
        // Long enough for the one limit of Synapse's that no setting lifts: one login token a minute for each user.
        let (_folder, config) = synapse.operator();
        let arguments = ["--register", "open", "--max-wait", "120", "--config", &config];
        homespec(&[&["run", synapse.url()], &arguments[..]].concat())
    })
}

#[test]
fn verdicts_are_those_in_the_table() {
    let Some(python) = venv::python("synapse") else { return };
    let finished = open_run(&python);
    let run = &finished.run;
    assert!(run.complete, "{}", finished.stdout);
    // Synapse lets no guest log out.
    let left = &run.not_cleaned_up;
    let is_guest = |line: &str| line.contains("answered with 403 M_GUEST_ACCESS_FORBIDDEN");
    assert!(left.len() <= 8 && left.iter().all(|line| is_guest(line)), "{left:?}");
    let about = "What Synapse 1.163.2 does, requirement by requirement, in the profile of tests/support/synapse.rs.\n\
                 Written by tests/synapse.rs with UPDATE_GOLDEN=1, except for `why`: what Synapse does, in the words\n\
                 of somebody who has tried it by hand and read the clause.";
    Table::settle(verdicts(run), &test_file("synapse/verdicts.yaml"), about);
}

#[test]
fn exit_status_and_summary_tell_that_synapse_breaks_something() {
    let Some(python) = venv::python("synapse") else { return };
    let finished = open_run(&python);
    assert_eq!(finished.status, Some(1), "{}", finished.stdout);
    assert_eq!(finished.run.exit_status, 1);
    assert!(finished.stdout.contains("Does not conform"), "{}", finished.stdout);
    for name in ["run.json", "junit.xml", "report.md", "report.html"] {
        let size = std::fs::metadata(finished.reports.path().join(name)).map(|meta| meta.len());
        assert!(size.is_ok_and(|size| size > 0), "{name}");
    }
}

#[test]
fn every_difference_to_the_reference_homeserver_is_explained() {
    let Some(python) = venv::python("synapse") else { return };
    let synapse = &open_run(&python).run;
    // The releases that a server lists decide which rules hold for it, so both list the same.
    let versions = synapse.target.versions.join(",");
    let reference = &homespec(&["demo", "--versions", &versions]).run;
    let ids = |run: &Run| run.cases.iter().map(|case| case.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(reference), ids(synapse), "both run the same plan");
    let about = "Where Synapse 1.163.2 and the reference homeserver differ under the same plan: verdict by verdict,\n\
                 branch by branch. Written by tests/synapse.rs with UPDATE_GOLDEN=1, except for `why`: why both are\n\
                 right by the clause. A row without `why` is a requirement that Synapse breaks; verdicts.yaml has the\n\
                 sentence for it.";
    Table::settle(differences(reference, synapse), &test_file("synapse/differences.yaml"), about);
}

#[test]
fn the_same_run_again_however_many_cases_run_at_once() {
    let Some(python) = venv::python("synapse") else { return };
    let synapse = Synapse::start(&python, OPEN);
    // All but what meets the one limit of Synapse's that no setting lifts, on login tokens.
    let run = |jobs| {
        let mut arguments = vec!["run", synapse.url(), "--register", "open", "--jobs", jobs];
        for area in ["discovery", "password", "device", "logout", "refresh", "uia"] {
            arguments.extend(["--area", area]);
        }
        homespec(&arguments)
    };
    let first = run("1");
    for jobs in ["1", "16"] {
        let again = run(jobs);
        let found = differences_of_runs(first.reports.path(), again.reports.path());
        assert!(found.is_empty(), "--jobs {jobs}:\n{}", found.join("\n"));
    }
}

fn differences_of_runs(one: &Path, other: &Path) -> Vec<String> {
    support::sameness::differences(&one.join("run.json"), &other.join("run.json"))
}

#[test]
fn a_second_run_shows_nothing_that_the_baseline_of_the_first_does_not_know() {
    let Some(python) = venv::python("synapse") else { return };
    let synapse = Synapse::start(&python, OPEN);
    // All but what meets the one limit of Synapse's that no setting lifts, on login tokens.
    let mut arguments = vec!["run", synapse.url(), "--register", "open"];
    for area in ["discovery", "wire", "login", "identifier", "device", "logout", "refresh", "uia"] {
        arguments.extend(["--area", area]);
    }
    assert_known_in_a_second_run(&arguments);
}

#[test]
fn tokens_that_expire_are_waited_for() {
    let Some(python) = venv::python("synapse") else { return };
    let synapse = Synapse::start(&python, EXPIRING);
    let mut arguments = vec!["run", synapse.url(), "--register", "open"];
    for requirement in OF_EXPIRED_TOKENS {
        arguments.extend(["--requirement", requirement]);
    }
    let finished = homespec(&arguments);
    let decided = verdicts_of(&finished.run, &OF_EXPIRED_TOKENS);
    assert!(decided.iter().all(|verdict| *verdict == RequirementVerdict::Passed), "{decided:?}");
    assert!(finished.took < Duration::from_secs(60), "they wait at the same time");
    assert!(finished.stderr.contains(" goes on, until "), "{}", finished.stderr);

    // Nothing is waited for that takes too long, and the reason names the option.
    let short = homespec(&[&arguments[..], &["--max-wait", "5"]].concat());
    for id in OF_EXPIRED_TOKENS {
        let found = short.run.requirements.iter().find(|one| one.id == id).unwrap();
        let reason = found.reason.as_ref().unwrap();
        assert_eq!(reason.code, "not_waited", "{id}: {}", reason.text);
        assert!(reason.text.contains("--max-wait"), "{id}: {}", reason.text);
    }
}

fn verdicts_of(run: &Run, ids: &[&str]) -> Vec<RequirementVerdict> {
    let of = |id: &&str| run.requirements.iter().find(|one| one.id == **id).unwrap().verdict;
    ids.iter().map(of).collect()
}

/// Synapse in another profile: only what differs from the open one is in its table.
fn settle_profile(profile: Profile) {
    if !slow_tests(&format!("Synapse, {}", profile.name)) {
        return;
    }
    let Some(python) = venv::python("synapse") else { return };
    let synapse = Synapse::start(&python, profile);
    let (_folder, config) = synapse.operator();
    let arguments = ["--register", "open", "--max-wait", "120", "--config", &config];
    let finished = homespec(&[&["run", synapse.url()], &arguments[..]].concat());
    assert!(finished.run.complete, "{}", finished.stdout);
    let seen = verdicts(&finished.run).beyond(&verdicts(&open_run(&python).run));
    let about = format!(
        "What Synapse 1.163.2 does in the profile {} of tests/support/synapse.rs, where it differs from\n\
         verdicts.yaml. Written by tests/synapse.rs with HOMESPEC_TESTS=full UPDATE_GOLDEN=1, except for `why`.",
        profile.name
    );
    Table::settle(seen, &test_file(&format!("synapse/{}.yaml", profile.name)), &about);
}

#[test]
fn without_refresh_tokens() {
    settle_profile(NO_REFRESH);
}

#[test]
fn without_passwords() {
    settle_profile(NO_PASSWORD);
}

#[test]
fn with_short_tokens() {
    settle_profile(SHORT_TOKENS);
}

/// The account that somebody needs, on a Synapse with the limits of a deployed one.
const USER: &str = "somebody";
const PASSWORD: &str = "a password of somebody's";

/// All the waiting that a run is allowed there, far less than Synapse asks for.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// How many logins Synapse allows in a row where nobody changed its limits.
const LOGINS: usize = 5;

/// How many requirements are decided with these.
const DECIDED: usize = 130;

#[test]
fn default_limits_end_in_blocked_cases_and_an_account_as_it_was() {
    let Some(python) = venv::python("synapse") else { return };
    let synapse = Synapse::start(&python, DEFAULT_LIMITS);
    let client = synapse.client();
    let session = synapse.register(USER, PASSWORD);
    let token = session["access_token"].as_str().unwrap();
    name_device(&client, &session, "tablet in the kitchen");
    let before = devices(&client, token);

    let finished = run_with_the_account(&synapse, "4");

    assert!(finished.took < MAX_WAIT + Duration::from_secs(60), "took {:?}", finished.took);
    assert_blocked_by_limits(&finished);
    assert_much_is_decided(&finished.run);
    assert_eq!(finished.run.not_cleaned_up, Vec::<String>::new());
    assert_eq!(client.get("/_matrix/client/v3/account/whoami", token).0, 200, "the other session");
    assert_eq!(devices(&client, token), before, "the devices and their names");
    assert_password_works(&client, token);
}

#[test]
fn default_limits_block_the_same_cases_each_time() {
    if !slow_tests("Synapse, the same cases blocked each time") {
        return;
    }
    let Some(python) = venv::python("synapse") else { return };
    let [first, second] = ["1", "16"].map(|jobs| {
        let synapse = Synapse::start(&python, DEFAULT_LIMITS);
        synapse.register(USER, PASSWORD);
        verdicts(&run_with_the_account(&synapse, jobs).run)
    });
    let changes = second.changes_since(&first);
    assert!(changes.is_empty(), "{}", changes.join("\n"));
}

fn run_with_the_account(synapse: &Synapse, jobs: &str) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts.yaml");
    std::fs::write(&file, format!("- {{ user: {USER}, password: {PASSWORD} }}\n")).unwrap();
    let (file, wait) = (file.display().to_string(), MAX_WAIT.as_secs().to_string());
    homespec(&["run", synapse.url(), "--accounts", &file, "--max-wait", &wait, "--jobs", jobs])
}

fn name_device(client: &Client, session: &Value, name: &str) {
    let device = session["device_id"].as_str().unwrap();
    let path = format!("/_matrix/client/v3/devices/{device}");
    let token = session["access_token"].as_str().unwrap();
    assert_eq!(client.put(&path, token, &json!({ "display_name": name })).0, 200);
}

/// The device ids and display names of the account, sorted.
fn devices(client: &Client, token: &str) -> Vec<(String, Value)> {
    let (status, answer) = client.get("/_matrix/client/v3/devices", token);
    assert_eq!(status, 200, "{answer}");
    let devices = answer["devices"].as_array().unwrap().iter();
    let mut devices: Vec<(String, Value)> = devices
        .map(|device| (device["device_id"].to_string(), device["display_name"].clone()))
        .collect();
    devices.sort_by(|a, b| a.0.cmp(&b.0));
    devices
}

/// Exit status, cases, summary and limits all say that limits kept things from being decided.
fn assert_blocked_by_limits(finished: &Finished) {
    let run = &finished.run;
    assert!(run.complete, "{}", finished.stdout);
    let broken = run.tally_requirements.failed > 0;
    assert_eq!(finished.status, Some(if broken { 1 } else { 5 }), "{}", finished.stdout);
    let blocked: Vec<&CaseOutcome> =
        run.cases.iter().filter(|case| case.verdict == Verdict::Blocked).collect();
    assert!(!blocked.is_empty(), "{}", finished.stdout);
    for case in blocked {
        let reason = case.reason.as_ref().unwrap_or_else(|| panic!("{}: no reason", case.id));
        assert_eq!(reason.code, "rate_limited", "{}: {}", case.id, reason.text);
        assert!(!reason.text.is_empty(), "{}", case.id);
    }
    let login = run.limits_hit.iter().find(|limit| limit.operation == "login");
    assert!(login.is_some_and(|limit| limit.blocked > 0), "{:?}", run.limits_hit);
    assert!(finished.stdout.contains("blocked"), "{}", finished.stdout);
}

/// The few logins that there are carry much.
fn assert_much_is_decided(run: &Run) {
    let of_requirements = &run.tally_requirements;
    let decided = of_requirements.passed + of_requirements.warned + of_requirements.failed;
    assert!(decided >= DECIDED, "{decided} decided");
    let outside = run.support.iter().flat_map(|support| &support.exchanges);
    let sent = outside.chain(run.cases.iter().flat_map(|case| &case.exchanges));
    let logins = sent.filter(|exchange| {
        let good = exchange.response.as_ref().is_some_and(|answer| answer.status == 200);
        exchange.operation.as_deref() == Some("login") && !exchange.shared && good
    });
    assert!(logins.count() <= LOGINS);
}

/// The password still works. A login would meet the limit, so it is shown by interactive auth on a call that does
/// nothing: deleting no devices. That may be limited too, which is all right; a refusal is not.
fn assert_password_works(client: &Client, token: &str) {
    let path = "/_matrix/client/v3/delete_devices";
    let nothing = json!({ "devices": [] });
    let (status, answer) = client.post_with_password(path, token, &nothing, (USER, PASSWORD));
    assert!(status == 200 || status == 429, "{status} {answer}");
}
