//! Baselines, required capabilities and running again: the program as a process, against the reference homeserver.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
mod support;

use homespec::baseline::append::{added, appended};
use homespec::baseline::apply::Additions;
use homespec::baseline::load::load;
use homespec::baseline::{Entry, Key, Place, TODO};
use homespec::case::suite::Suite;
use homespec::model::reason::ReasonCode;
use homespec::reference::{Limit, Settings};
use homespec::requirements::Register;
use homespec::yaml::document::Document;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::LazyLock;
use support::homeserver::Homeserver;
use support::program::{Ended, run_in as homespec};
use support::proxy::Proxy;
use tempfile::TempDir;

/// Breaks `logout.auth_required`, in one case.
const FAULT: &str = "logout-missing-token-200";
/// Breaks `logout_all.auth_required`, in another.
const OTHER: &str = "logout-all-missing-token-200";
const FILE: &str = "known.yaml";

/// `demo` with these options beside the baseline, on cases around logging out.
fn demo(folder: &Path, options: &[&str]) -> Ended {
    let fixed = ["demo", "--baseline", FILE, "--case", "logout*"];
    homespec(folder, &[&fixed, options].concat())
}

fn assert_ends(ended: &Ended, status: i32, parts: &[&str]) {
    let all = format!("{}\n{}", ended.out, ended.err);
    assert_eq!(ended.status, status, "{all}");
    for part in parts {
        assert!(all.contains(part), "`{part}` is missing in\n{all}");
    }
}

fn write(folder: &Path, text: &str) {
    std::fs::write(folder.join(FILE), text).unwrap();
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn run_json(folder: &Path) -> Value {
    serde_json::from_str(&read(folder, "reports/run.json")).unwrap()
}

/// A baseline that knows what the fault breaks.
fn known() -> TempDir {
    let folder = TempDir::new().unwrap();
    let ended = demo(folder.path(), &["--fault", FAULT, "--update-baseline"]);
    assert_ends(&ended, 0, &["added to known.yaml", "Only known deviations"]);
    folder
}

#[test]
fn what_is_known_passes_and_what_is_new_fails() {
    let folder = known();
    assert_ends(
        &demo(folder.path(), &["--fault", FAULT]),
        0,
        &["0 new,", "0 fixed", "has TODO for a reason"],
    );
    let run = run_json(folder.path());
    let cases = run["cases"].as_array().unwrap();
    let broken: Vec<&Value> = cases.iter().filter(|case| case["verdict"] == "failed").collect();
    assert!(!broken.is_empty(), "verdicts stay what they are");
    for case in broken {
        assert!(case["findings"].as_array().unwrap().iter().all(|f| f["known"] == true), "{case}");
    }
    let ended = demo(folder.path(), &["--fault", FAULT, "--fault", OTHER]);
    assert_ends(&ended, 1, &["Does not conform", "of them known"]);
}

#[test]
fn what_is_fixed_fails_in_other_words_and_only_if_it_was_looked_at() {
    let folder = known();
    assert_ends(&demo(folder.path(), &[]), 1, &["The baseline is out of date", "fixed"]);
    let outdated = &run_json(folder.path())["baseline"]["outdated"];
    assert!(outdated.as_array().unwrap().iter().all(|entry| entry["why"] == "fixed"), "{outdated}");
    // Deselected: another area says nothing of the entries.
    let elsewhere = ["demo", "--baseline", FILE, "--area", "discovery"];
    assert_ends(&homespec(folder.path(), &elsewhere), 0, &["0 new, 0 known, 0 fixed"]);
}

#[test]
fn readers_of_junit_are_red_for_news_alone() {
    let folder = known();
    demo(folder.path(), &["--fault", FAULT]);
    let junit = read(folder.path(), "reports/junit.xml");
    assert!(
        !junit.contains("<failure") && junit.contains("known, it is in the baseline"),
        "{junit}"
    );
    demo(folder.path(), &[]);
    let junit = read(folder.path(), "reports/junit.xml");
    assert!(
        junit.contains("name=\"baseline::logout.auth_required in ") && junit.contains("<failure"),
        "{junit}"
    );
}

#[test]
fn updating_again_changes_nothing_and_comments_stay() {
    let folder = known();
    let before =
        format!("# ours\n{}", read(folder.path(), FILE).replace("TODO", "It is known. # really"));
    write(folder.path(), &before);
    assert_ends(&demo(folder.path(), &["--fault", FAULT, "--update-baseline"]), 0, &[]);
    assert_eq!(read(folder.path(), FILE), before);
    let more = format!("{FAULT},{OTHER}");
    assert_ends(&demo(folder.path(), &["--fault", &more, "--update-baseline"]), 0, &[" added"]);
    let after = read(folder.path(), FILE);
    assert!(after.starts_with(&before) && after.len() > before.len(), "{after}");
    assert_ends(&demo(folder.path(), &["--fault", &more]), 0, &["0 new"]);
}

/// The file is written whole or not at all, and stays what it was to the file system.
#[cfg(unix)]
#[test]
fn an_update_keeps_links_and_permissions_and_leaves_no_other_file() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = known();
    let (file, kept) = (folder.path().join(FILE), folder.path().join("elsewhere.yaml"));
    std::fs::rename(&file, &kept).unwrap();
    std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(0o640)).unwrap();
    symlink("elsewhere.yaml", &file).unwrap();
    let more = format!("{FAULT},{OTHER}");
    assert_ends(&demo(folder.path(), &["--fault", &more, "--update-baseline"]), 0, &[" added"]);
    assert!(std::fs::symlink_metadata(&file).unwrap().is_symlink());
    assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o640);
    assert_ends(&demo(folder.path(), &["--fault", &more]), 0, &["0 new"]);
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["elsewhere.yaml", FILE, "reports"]);
}

#[test]
fn an_expired_entry_fails_and_its_finding_is_new_again() {
    let folder = known();
    let text = read(folder.path(), FILE);
    write(folder.path(), &text.replace("reason: TODO", "reason: for now\n    expires: 2020-02-29"));
    assert_ends(&demo(folder.path(), &["--fault", FAULT]), 1, &["Does not conform", "expired"]);
    write(folder.path(), &text.replace("reason: TODO", "reason: for now\n    expires: 9999-12-31"));
    assert_ends(&demo(folder.path(), &["--fault", FAULT]), 0, &[]);
}

#[test]
fn an_entry_about_another_server_counts_for_nothing() {
    let folder = known();
    let text = read(folder.path(), FILE);
    let about = |server: &str| {
        write(
            folder.path(),
            &text.replace("reason: TODO", &format!("reason: x\n    server: '{server}'")),
        );
    };
    about("Elsewhere");
    assert_ends(&demo(folder.path(), &["--fault", FAULT]), 1, &["0 known"]);
    assert_ends(&demo(folder.path(), &[]), 0, &["0 fixed"]);
    about("homespec-reference >=0.1, <1000");
    assert_ends(&demo(folder.path(), &["--fault", FAULT]), 0, &[]);
}

#[test]
fn fail_fast_passes_over_what_is_known() {
    let folder = known();
    let ended = demo(folder.path(), &["--fault", FAULT, "--fail-fast"]);
    assert_ends(&ended, 0, &["Only known deviations"]);
    assert_eq!(run_json(folder.path())["complete"], true);
}

#[test]
fn a_baseline_that_is_wrong_is_told_with_its_places_before_anything_is_sent() {
    let folder = TempDir::new().unwrap();
    let entry = |rest: &str| {
        format!("  - requirement: logout.ok\n    case: logout-ends-the-session\n{rest}")
    };
    let text = [
        "findings:\n".to_owned(),
        "  - requirement: logout.okay\n    case: standing\n    pointer: /x\n    reason: x\n".to_owned(),
        "  - requirement: error.shape.errcode\n    case: standign\n    pointer: /x\n    reason: x\n".to_owned(),
        "  - requirement: error.shape.errcode\n    case: standing\n    pointer: /x\n    branch: b\n    reason: x\n".to_owned(),
        entry("    reason: x\n"),
        "  - requirement: error.shape.errcode\n    case: standing\n    pointer: /y\n    raeson: x\n".to_owned(),
        "  - requirement: error.shape.errcode\n    case: standing\n    pointer: /z\n    reason: x\n    expires: 2026-02-30\n".to_owned(),
        "  - requirement: error.shape.errcode\n    case: standing\n    pointer: /w\n    reason: x\n    server: Synapse 1.2\n".to_owned(),
        "  - requirement: error.shape.errcode\n    case: standing\n    pointer: /v\n    reason: x\n".repeat(2),
        "  - requirement: error.shape.errcode\n    case: standing\n    pointer: /u\n    reason: x\n    status: 99\n    issue: none\n".to_owned(),
    ]
    .concat();
    write(folder.path(), &text);
    let parts = [
        "unknown requirement `logout.okay`",
        "did you mean `logout.ok`?",
        "did you mean `standing`?",
        "not both",
        "a `pointer` or a `branch`",
        "unknown key `raeson`",
        "did you mean `reason`?",
        "has no `reason`",
        "`2026-02-30` is not a date",
        "`Synapse 1.2` is not a valid server name",
        "duplicate entry",
        "100 to 599",
        "is a link",
        "known.yaml:7:11",
    ];
    assert_ends(&homespec(folder.path(), &["check", FILE]), 3, &parts);
    assert_ends(&demo(folder.path(), &[]), 3, &["no request was sent"]);
    assert_ends(
        &homespec(folder.path(), &["demo", "--baseline", "nowhere.yaml"]),
        3,
        &["nowhere.yaml"],
    );
    assert_ends(&homespec(folder.path(), &["demo", "--update-baseline"]), 2, &["--baseline"]);
}

#[test]
fn check_takes_a_right_baseline_and_points_at_what_nobody_explained() {
    let folder = known();
    assert_ends(&homespec(folder.path(), &["check", FILE]), 0, &["has no reason yet", "no faults"]);
    write(folder.path(), "findings: []\n");
    assert_ends(&homespec(folder.path(), &["check", FILE]), 0, &["no faults"]);
    for empty in ["findings: []\n", "findings:\n", "# nothing yet\n", ""] {
        write(folder.path(), empty);
        assert_ends(&demo(folder.path(), &["--fault", FAULT, "--update-baseline"]), 0, &[" added"]);
        assert_ends(&demo(folder.path(), &["--fault", FAULT]), 0, &["0 new"]);
    }
}

#[test]
fn what_is_required_and_lacking_fails() {
    let folder = TempDir::new().unwrap();
    let require =
        |names: &str| homespec(folder.path(), &["demo", "--area", "discovery", "--require", names]);
    assert_ends(&require("password,account,refresh"), 0, &[]);
    assert_ends(
        &require("password,oauth"),
        1,
        &["Lacks required features", "does not offer the OAuth 2.0 API"],
    );
    let junit = read(folder.path(), "reports/junit.xml");
    assert!(junit.contains("name=\"require::oauth\"") && junit.contains("<failure"), "{junit}");
    assert_ends(&require("passwort"), 2, &["did you mean `password`?", "get_token, "]);
    let nobody = ["run", "http://127.0.0.1:1", "--require", "account"];
    assert_ends(&homespec(folder.path(), &nobody), 2, &["--accounts"]);
    std::fs::write(
        folder.path().join("homespec.yaml"),
        "url: http://127.0.0.1:1\nrequire: [email]\n",
    )
    .unwrap();
    assert_ends(&homespec(folder.path(), &["run"]), 2, &["--require email", "operator:"]);
}

#[test]
fn what_did_not_pass_is_run_again() {
    let folder = TempDir::new().unwrap();
    let demo = |options: &[&str]| homespec(folder.path(), &[&["demo"], options].concat());
    demo(&["--case", "logout*", "--requirement", "logout.*", "--fault", FAULT, "--out", "first"]);
    let again = demo(&["--rerun", "first/run.json", "--fault", FAULT, "--out", "second"]);
    assert_ends(&again, 1, &["did not pass", "--rerun first/run.json"]);
    let ids = |name: &str, of: &dyn Fn(&Value) -> bool| -> Vec<String> {
        let run: Value = serde_json::from_str(&read(folder.path(), name)).unwrap();
        let cases = run["cases"].as_array().unwrap().iter().filter(|case| of(case));
        cases.map(|case| case["id"].as_str().unwrap().to_owned()).collect()
    };
    let open = |case: &Value| case["verdict"] != "passed" && case["verdict"] != "skipped";
    assert_eq!(ids("second/run.json", &|_| true), ids("first/run.json", &open));
    demo(&["--area", "discovery", "--out", "clean"]);
    assert_ends(&demo(&["--rerun", "clean/run.json"]), 4, &["nothing to repeat"]);
    let gone =
        read(folder.path(), "first/run.json").replace("\"id\": \"logout-", "\"id\": \"gone-");
    std::fs::write(folder.path().join("gone.json"), gone).unwrap();
    let ended = demo(&["--rerun", "gone.json"]);
    assert!(
        [1, 4, 0].contains(&ended.status)
            && ended.err.contains("no longer in the files, ignored: gone-"),
        "{}",
        ended.err
    );
    assert_ends(&demo(&["--rerun", "nowhere.json"]), 2, &["nowhere.json"]);
}

static FILES: LazyLock<(Register, Suite)> =
    LazyLock::new(|| (Register::bundled().unwrap(), Suite::bundled().unwrap()));

fn loads(file: &Value) -> Result<(), Vec<String>> {
    let (register, suite) = &*FILES;
    let document =
        Document::parse("known.yaml", file.to_string()).map_err(|_| vec!["no YAML".to_owned()])?;
    let faults = load(&document, register, suite).err().unwrap_or_default();
    match faults.is_empty() {
        true => Ok(()),
        false => Err(faults.iter().map(ToString::to_string).collect()),
    }
}

/// What the loader says of the keys that an entry may have.
fn known_keys() -> String {
    let (register, suite) = &*FILES;
    let document = Document::parse("known.yaml", "findings: [{ zzzzzz: x }]").unwrap();
    let faults = load(&document, register, suite).unwrap_err();
    let unknown = faults.iter().find(|fault| fault.message.starts_with("unknown key"));
    unknown.unwrap().help.clone().unwrap()
}

/// The published schema takes what the loader takes, and refuses what is wrong in shape.
#[test]
fn the_schema_and_the_loader_agree() {
    let schema: Value = serde_json::from_str(include_str!("../spec/baseline.schema.json")).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let properties = schema["$defs"]["entry"]["properties"].as_object().unwrap();
    let keys: Vec<&str> = properties.keys().map(String::as_str).collect();
    assert_eq!(known_keys(), format!("one of: {}", keys.join(", ")));
    let whole = json!({
        "requirement": "error.shape.errcode", "case": "standing", "pointer": "/errcode", "status": 404,
        "operation": "getDevice", "blocks": ["logout.ok"], "seen_in": "probe", "reason": "known",
        "issue": "https://example.org/1", "server": "Synapse >=1.150, <1.170", "expires": "2027-01-31",
    });
    let agree = |entry: Value| {
        let file = json!({ "findings": [entry] });
        let (loaded, valid) = (loads(&file), validator.is_valid(&file));
        assert_eq!(loaded.is_ok(), valid, "{file}: {loaded:?}");
    };
    agree(whole.clone());
    for key in keys.into_iter().filter(|key| *key != "branch") {
        let mut without = whole.clone();
        without.as_object_mut().unwrap().remove(key);
        agree(without);
        for stranger in [json!(null), json!(1), json!(true), json!([]), json!({}), json!(600)] {
            let mut with = whole.clone();
            with[key] = stranger;
            agree(with);
        }
    }
    for blocks in [json!([]), json!(["logout.ok", "logout.twice"]), json!([1]), json!([""])] {
        let mut with = whole.clone();
        with["blocks"] = blocks;
        agree(with);
    }
    for (key, value) in [
        ("issue", "none"),
        ("server", "Synapse 1.2"),
        ("server", "Synapse"),
        ("server", ">=1"),
        ("server", "a b"),
        ("server", ">=1,,<2"),
        ("expires", "2027-1-31"),
        ("expires", "soon"),
        ("branch", "both"),
        ("unknown", "x"),
        ("reason", ""),
    ] {
        let mut with = whole.clone();
        with[key] = json!(value);
        agree(with);
    }
}

/// The same of what is accepted as blocked.
#[test]
fn the_schema_and_the_loader_agree_on_what_is_blocked() {
    let schema: Value = serde_json::from_str(include_str!("../spec/baseline.schema.json")).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let whole = json!({
        "requirement": "logout.ok", "reason_code": "rate_limited", "reason": "known", "expires": "2027-01-31",
    });
    let agree = |file: Value| {
        let (loaded, valid) = (loads(&file), validator.is_valid(&file));
        assert_eq!(loaded.is_ok(), valid, "{file}: {loaded:?}");
    };
    for file in [json!({}), json!({"blocked": []}), json!({"blocked": null}), json!({"blocked": 1})]
    {
        agree(file);
    }
    agree(json!({ "findings": [], "blocked": [whole] }));
    for key in ["requirement", "reason_code", "reason", "expires", "pointer"] {
        let mut without = whole.clone();
        without.as_object_mut().unwrap().remove(key);
        agree(json!({ "blocked": [without] }));
        for stranger in [json!(null), json!(1), json!(""), json!([]), json!({})] {
            let mut with = whole.clone();
            with[key] = stranger;
            agree(json!({ "blocked": [with] }));
        }
    }
    for code in ReasonCode::ALL {
        let mut with = whole.clone();
        with["reason_code"] = json!(code.as_str());
        agree(json!({ "blocked": [with] }));
    }
}

#[test]
fn what_may_never_be_accepted_by_name_is_refused_with_its_place() {
    let folder = TempDir::new().unwrap();
    for (code, part) in [
        ("because", "under `blocks` of the entry for the cause"),
        ("gateway", "repair what is in front"),
        ("panic", "internal error"),
        ("rate_limit", "did you mean `rate_limited`?"),
    ] {
        let entry = format!("  - requirement: logout.ok\n    reason_code: {code}\n    reason: x\n");
        write(folder.path(), &format!("blocked:\n{entry}"));
        assert_ends(&homespec(folder.path(), &["check", FILE]), 3, &[part, "known.yaml:3:"]);
        assert_ends(&demo(folder.path(), &[]), 3, &["no request was sent"]);
    }
    let twice = "  - requirement: logout.ok\n    reason_code: setup\n    reason: x\n".repeat(2);
    write(folder.path(), &format!("findings: []\nblocked:\n{twice}"));
    assert_ends(&homespec(folder.path(), &["check", FILE]), 3, &["duplicate entry"]);
}

/// Without `POST /logout/all`, what needs it follows from one finding.
#[test]
fn the_entry_of_a_cause_lists_what_it_blocks_and_one_more_is_new() {
    let (folder, homeserver) = (TempDir::new().unwrap(), Homeserver::with(&[]));
    let proxy = Proxy::without(&homeserver.running.url(), |what| {
        what.starts_with("POST ") && what.ends_with("/logout/all")
    });
    let run = |options: &[&str]| {
        let fixed = ["run", &proxy.url, "--register", "open", "--baseline", FILE];
        homespec(folder.path(), &[&fixed, options].concat())
    };
    assert_ends(&run(&["--update-baseline"]), 0, &["Only known deviations"]);
    let text = read(folder.path(), FILE);
    let written = Document::parse(FILE, text.as_str()).unwrap();
    let entries = written.value()["findings"].as_array().unwrap().clone();
    let cause = entries.iter().find(|entry| entry["requirement"] == "logout_all.ok").unwrap();
    let blocks = cause["blocks"].as_array().unwrap();
    assert!(!blocks.is_empty(), "{text}");
    assert_ends(&run(&[]), 0, &["0 new"]);
    let run_json = run_json(folder.path());
    let accepted = run_json["baseline"]["blocked"].as_array().unwrap();
    assert!(blocks.iter().all(|id| accepted.contains(id)), "{accepted:?}");
    // Each consequence that the entry does not list is judged on its own, and new.
    for id in blocks.iter().take(2) {
        let id = id.as_str().unwrap();
        let without = text.replacen(&format!("      - {id}\n"), "", 1);
        assert_ne!(without, text, "{id}");
        write(folder.path(), &without);
        let ended = run(&[]);
        assert_ends(&ended, 1, &["Does not conform", "Baseline: "]);
        assert!(!ended.out.contains("Baseline: 0 new"), "{}", ended.out);
        assert_ends(&run(&["--update-baseline"]), 0, &[]);
        assert_ends(&run(&[]), 0, &["0 new"]);
    }
}

#[test]
fn what_is_blocked_is_accepted_by_name_and_for_its_reason() {
    let folder = TempDir::new().unwrap();
    let run = |options: &[&str]| {
        // So few logins that most cases wait in vain; a homeserver of its own, since a limit remembers.
        let few = Limit { burst: 3, per_second: 0.000_1 };
        let limited = Settings { login_limit: Some(few), ..Settings::default() };
        let homeserver = Homeserver::of(limited);
        let url = homeserver.running.url();
        let fixed = ["run", &url, "--register", "open", "--area", "logout", "--max-wait", "0"];
        homespec(folder.path(), &[&fixed, options].concat())
    };
    let ended = run(&["--allow-blocked"]);
    assert_ends(&ended, 5, &["Blocked, and a matter of security: "]);
    let outcome = run_json(folder.path());
    let blocked: Vec<&Value> = outcome["requirements"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|r| r["verdict"] == "blocked" && r["level"] == "MUST")
        .collect();
    assert!(
        blocked.iter().any(|r| r["security"] == true)
            && blocked.iter().any(|r| r["security"] == false)
    );
    let entries = |wanted: &dyn Fn(&Value) -> bool, rest: &str| -> String {
        let entry = |r: &&Value| {
            let (id, code) = (r["id"].as_str().unwrap(), r["reason"]["code"].as_str().unwrap());
            format!("  - requirement: {id}\n    reason_code: {code}\n    reason: known\n{rest}")
        };
        blocked.iter().copied().filter(|r| wanted(r)).map(|r| entry(&r)).collect()
    };
    let baseline = ["--baseline", FILE];
    write(folder.path(), &format!("blocked:\n{}", entries(&|r| r["security"] == true, "")));
    assert_ends(&run(&baseline), 5, &[]);
    assert_ends(&run(&[&baseline[..], &["--allow-blocked"]].concat()), 0, &[]);
    write(folder.path(), &format!("findings: []\nblocked:\n{}", entries(&|_| true, "")));
    assert_ends(&run(&baseline), 0, &["0 new"]);
    // For another reason, or after its day, it is not accepted.
    let other =
        read(folder.path(), FILE).replace("reason_code: rate_limited", "reason_code: setup");
    write(folder.path(), &other);
    assert_ends(&run(&baseline), 5, &[]);
    write(folder.path(), &format!("blocked:\n{}", entries(&|_| true, "    expires: 2020-02-29\n")));
    assert_ends(&run(&baseline), 1, &["expired", "in blocked (reason rate_limited)"]);
    // What is decided is to be removed.
    write(folder.path(), &format!("blocked:\n{}", entries(&|_| true, "")));
    let homeserver = Homeserver::with(&[]);
    let url = homeserver.running.url();
    let direct = ["run", &url, "--register", "open", "--area", "logout", "--baseline", FILE];
    assert_ends(&homespec(folder.path(), &direct), 1, &["The baseline is out of date", "fixed"]);
}

/// The faults of some of these, and what they break is known the next time: no place, and nothing else by
/// which a finding is recognised, holds a value of the run.
#[test]
fn two_runs_on_the_same_server_differ_in_nothing_that_a_baseline_sees() {
    let listed = homespec(Path::new("."), &["list", "--faults", "--format", "json"]).out;
    let faults: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let names: Vec<&str> = faults.iter().map(|fault| fault["name"].as_str().unwrap()).collect();
    // A few of each area, at once, since faults stand by area.
    let groups: Vec<String> = (0..GROUPS)
        .map(|group| names.iter().skip(group * 3).step_by(97).copied().collect::<Vec<_>>().join(","))
        .chain(["logout-keeps-keys,logout-all-keeps-keys,logout-all-keeps-devices,shape.getDevices.200.devices[].last_seen_ip.number".to_owned()])
        .collect();
    let mut wrong = Vec::new();
    for faults in groups {
        let folder = TempDir::new().unwrap();
        let run = |options: &[&str]| {
            let fixed = ["demo", "--fault", &faults, "--baseline", FILE];
            homespec(folder.path(), &[&fixed, options].concat())
        };
        let first = run(&["--update-baseline"]);
        let again = run(&[]);
        if again.status != first.status || !again.out.contains("Baseline: 0 new, ") {
            wrong.push(format!("{faults}: {} {}\n{}", first.status, again.status, again.out));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const GROUPS: usize = 5;

#[test]
fn further_consequences_go_into_the_entry_of_their_cause() {
    let one = "requirement: a # ours\n    case: b\n    pointer: /c\n    reason: known";
    let entry = |blocks: &str| format!("# top\nfindings:\n  - {one}{blocks} # end\n");
    let additions = |ids: &[&str]| Additions {
        entries: vec![entry_for("r.x", "c", Place::Pointer("/x".into()))],
        blocks: [(0, ids.iter().map(|id| (*id).to_owned()).collect())].into(),
    };
    for (before, listed) in [
        (entry(""), 0),
        (entry("\n    blocks: [x.y]"), 1),
        (entry("\n    blocks:\n      - x.y\n      - x.z"), 2),
        (format!("{}blocked: []\n", entry("\n    blocks: [x.y]")), 1),
    ] {
        let document = Document::parse(FILE, before.as_str()).unwrap();
        let text = added(Some(&document), &additions(&["new.one", "new.two"]))
            .unwrap_or_else(|why| panic!("{before}: {why}"));
        let after = Document::parse(FILE, text.as_str()).unwrap();
        let entries = after.value()["findings"].as_array().unwrap();
        let blocks = entries[0]["blocks"].as_array().unwrap();
        assert_eq!(blocks.len(), listed + 2, "{text}");
        assert_eq!(blocks[listed..], [json!("new.one"), json!("new.two")], "{text}");
        assert_eq!(entries.len(), 2, "{text}");
        assert!(
            text.contains("# ours") && text.contains("# end") && text.contains("# top"),
            "{text}"
        );
    }
}

#[test]
fn the_example_of_the_page_is_right() {
    let page = include_str!("../docs/baseline.md");
    let mut count = 0;
    for block in page.split("```yaml\n").skip(1) {
        let text = block.split("```").next().unwrap();
        let file = Document::parse("docs/baseline.md", text).unwrap();
        assert_eq!(loads(file.value()), Ok(()), "{text}");
        count += 1;
    }
    assert!(count > 0);
}

fn entry_for(requirement: &str, case: &str, place: Place) -> Entry {
    let (requirement, case) = (requirement.to_owned(), case.to_owned());
    let key = Key { requirement, case, place, status: Some(200), operation: Some("login".into()) };
    Entry {
        key,
        blocks: Vec::new(),
        seen_in: None,
        reason: TODO.into(),
        issue: None,
        server: None,
        expires: None,
        line: 0,
    }
}

/// Whatever the texts are, what is added reads back as it was, and what was there is a beginning of the file.
#[test]
fn what_is_added_reads_back() {
    let one = "requirement: a\n    case: b\n    pointer: /c\n    reason: known";
    let files = [
        None,
        Some(String::new()),
        Some("# only a comment".to_owned()),
        Some("findings: []".to_owned()),
        Some("findings: # none yet\n".to_owned()),
        Some(format!("findings:\n  - {one}\n")),
        Some(format!("---\n# ours\nfindings:\n  # first\n  - {one} # really\n# end\n")),
        Some(format!("findings:\n- {}", one.replace("    ", "  "))),
        Some(format!("findings:\n    -   {}\n", one.replace("    ", "        "))),
    ];
    let texts = [
        "",
        "/a b",
        "status",
        "a: b",
        "- x",
        "# y",
        "\"q\"",
        "no",
        "1",
        "/é\n\u{1}",
        "case[x, y]",
        "*a",
        " z ",
    ];
    for file in files {
        let before = file.as_deref().map(|text| Document::parse("known.yaml", text).unwrap());
        let entries: Vec<Entry> = texts
            .iter()
            .flat_map(|text| {
                [Place::Pointer((*text).to_owned()), Place::Branch((*text).to_owned())]
            })
            .map(|place| entry_for("r.x", texts[3], place))
            .collect();
        let text =
            appended(before.as_ref(), &entries).unwrap_or_else(|why| panic!("{file:?}: {why}"));
        let after = Document::parse("known.yaml", text.as_str()).unwrap();
        let list = after.value()["findings"].as_array().unwrap();
        let kept = list.len() - entries.len();
        assert_eq!(kept, usize::from(file.as_ref().is_some_and(|text| text.contains("reason"))));
        for (entry, read) in entries.iter().zip(&list[kept..]) {
            let (key, place) = match &entry.key.place {
                Place::Pointer(place) => ("pointer", place),
                Place::Branch(place) => ("branch", place),
            };
            assert_eq!((&read[key], &read["case"]), (&json!(place), &json!("a: b")), "{text}");
        }
        if kept > 0 {
            assert!(text.starts_with(file.as_deref().unwrap_or_default().trim_end()), "{text}");
        }
    }
    for flow in
        ["findings: [{requirement: a, case: b, pointer: /c, reason: d}]\n", "findings: {}\n"]
    {
        let before = Document::parse("known.yaml", flow).unwrap();
        assert!(
            appended(Some(&before), &[entry_for("a", "b", Place::Pointer("/x".into()))]).is_err(),
            "{flow}"
        );
    }
}
