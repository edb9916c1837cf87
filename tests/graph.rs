//! The graph of presuppositions hides nothing: what fails a run in which each case is judged by itself
//! fails it with causes considered too, for every fault alone and beside each variation.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
mod support;

use homespec::model::run::{RequirementVerdict, Run, Verdict};
use homespec::pipeline::Material;
use homespec::reference::{Fault, FaultNeed, Kind};
use homespec::selftest::Reach;
use homespec::selftest::law::{Combination, Tried, combinations, false_alarms, law};
use homespec::selftest::schema_faults;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::program::{homespec, run_in};

/// Where the sample begins; the same every time.
const SEED: u64 = 0x5eed;

/// A few of them, chosen by a sequence that is the same every time.
fn sample(mut all: Vec<Combination>, size: usize) -> Vec<Combination> {
    let mut state = SEED;
    let mut chosen = Vec::new();
    while chosen.len() < size && !all.is_empty() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from(state >> 33).unwrap() % all.len();
        chosen.push(all.swap_remove(at));
    }
    chosen
}

fn is_full() -> bool {
    std::env::var("HOMESPEC_TESTS").as_deref() == Ok("full")
}

fn material() -> Arc<Material> {
    Arc::new(Material::load(None, None).expect("the bundled files are right"))
}

fn faults() -> Vec<&'static Fault> {
    let catalogue = schema_faults::bundled().expect("the bundled files are right");
    catalogue.all_faults().unwrap().collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

fn jobs() -> usize {
    std::thread::available_parallelism().map_or(2, |n| n.get()) * 4
}

fn broken(tried: &Tried) -> Vec<String> {
    let line = |why: &String| format!("{} with {:?}: {why}", tried.fault, tried.variation);
    tried.broken.iter().map(line).collect()
}

/// Tries so many combinations, in the order of the sample: what is done after a while is a fair sample
/// of the whole.
fn holds(faults: &[&'static Fault], reach: Reach, size: usize) {
    let chosen = sample(combinations(faults), size);
    let size = chosen.len();
    let (done, seen) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let told = |tried: &Tried| {
        let seen = seen.fetch_add(usize::from(tried.is_seen), Ordering::Relaxed);
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(200) {
            println!("{done} of {size}, the fault was seen in {seen}");
        }
        for line in broken(tried) {
            println!("{line}");
        }
    };
    let tried = runtime().block_on(law(material(), &chosen, reach, jobs(), &told));
    let tried = tried.expect("the law can be tried");
    let lines: Vec<String> = tried.iter().flat_map(broken).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
    let seen = tried.iter().filter(|one| one.is_seen).count();
    assert!(seen * 2 > tried.len(), "of {} faults only {seen} were seen", tried.len());
}

#[test]
fn what_fails_without_causes_fails_with_them() {
    holds(&faults(), Reach::Named, if is_full() { usize::MAX } else { 50 });
}

#[test]
fn the_same_with_all_cases() {
    let mut faults = faults();
    faults.retain(|fault| fault.kind != Kind::Shape && fault.needs == FaultNeed::Nothing);
    holds(&faults, Reach::Full, if is_full() { 2_000 } else { 40 });
}

/// By variation and requirement, what becomes of what fails with the variation alone and each case
/// judged by itself.
type Reviewed = BTreeMap<String, BTreeMap<String, String>>;

const HEAD: &str = "\
# What fails with a variation alone if each case is judged by itself, and what becomes of it when causes are considered:
# the false alarms that the graph of presuppositions takes back. Read each line that changes: what the variation really
# breaks must not be here. `HOMESPEC_TESTS=full UPDATE_GOLDEN=1 cargo test --test graph false_alarms` writes this file.
";

#[test]
fn every_false_alarm_that_causes_take_back_was_reviewed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/graph/false_alarms.yaml");
    let mut faults = faults();
    if !is_full() {
        faults.retain(|fault| fault.needs == FaultNeed::Nothing);
    }
    let found = runtime().block_on(false_alarms(material(), &faults, jobs()));
    let mut all = Reviewed::new();
    for ((variation, id), becomes) in found.expect("the variations run") {
        all.entry(variation.to_owned()).or_default().insert(id, becomes);
    }
    if is_full() && std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, format!("{HEAD}{}", serde_yaml::to_string(&all).unwrap())).unwrap();
    }
    let reviewed: Reviewed =
        serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let lines = |all: &Reviewed| {
        let line = |variation: &str, (id, becomes): (&String, &String)| {
            format!("{variation}: {id}: {becomes}")
        };
        let of = |(variation, ids): (&String, &BTreeMap<String, String>)| {
            ids.iter().map(|one| line(variation, one)).collect::<Vec<_>>()
        };
        all.iter().flat_map(of).collect::<BTreeSet<String>>()
    };
    let (found, reviewed) = (lines(&all), lines(&reviewed));
    let new: Vec<&String> = found.difference(&reviewed).collect();
    assert!(new.is_empty(), "not reviewed: {new:#?}");
    let stale: Vec<&String> = reviewed.difference(&found).collect();
    assert!(!is_full() || stale.is_empty(), "no false alarms any more: {stale:#?}");
}

fn verdict(run: &Run, id: &str) -> RequirementVerdict {
    run.requirements.iter().find(|r| r.id == id).unwrap().verdict
}

fn text(arguments: &[&str]) -> String {
    let ended = run_in(tempfile::tempdir().unwrap().path(), arguments);
    assert_eq!(ended.status, 0, "{arguments:?}\n{}", ended.err);
    ended.out
}

#[test]
fn what_a_requirement_and_a_case_presuppose_is_shown_down_to_the_roots() {
    let shown = text(&["explain", "--presupposes", "logout.device_gone"]);
    for line in [
        "logout works: logout.ok",
        "getDevices works: device.list.current",
        "the token is read from the header: token.header",
        "device.list.current: login.post.ok.status, token.header",
        "login.post.ok.status: nothing",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    let shown = text(&["explain", "--presupposes", "password-login-by-localpart"]);
    assert!(shown.contains("a login by localpart: login.password.localpart"), "{shown}");
    let ended =
        run_in(tempfile::tempdir().unwrap().path(), &["explain", "--presupposes", "logout.okay"]);
    assert!(ended.status == 2 && ended.err.contains("logout.ok"), "{}", ended.err);
}

#[test]
fn the_list_of_cases_says_what_each_presupposes() {
    let cases: serde_json::Value =
        serde_json::from_str(&text(&["list", "--format", "json"])).unwrap();
    let cases = cases.as_array().unwrap();
    let of = |id: &str| {
        let case = cases.iter().find(|case| case["id"] == id).unwrap();
        case["presupposes"].as_array().unwrap().clone()
    };
    assert!(cases.iter().all(|case| case["presupposes"].is_array()));
    assert_eq!(of("versions"), ["versions.get.ok"]);
    assert!(of("device-deletion-in-bulk").contains(&"device.delete.bulk".into()));
    assert!(!text(&["list"]).contains("token.header token.query"));
}

#[test]
fn a_requirement_takes_its_evidence_along_and_the_counts_say_so() {
    let done = homespec(&["demo", "--requirement", "logout.device_gone"]);
    let run = &done.run;
    assert_eq!(done.status, Some(0), "{}", done.stdout);
    assert!(run.duration_ms < 2_000 || done.took.as_secs() > 4, "{} ms", run.duration_ms);
    let along = &run.selection.evidence;
    assert!(!along.is_empty());
    assert_eq!(run.cases.len(), run.selection.selected + along.len());
    assert_eq!(run.tally.total(), run.selection.selected);
    let words = format!("{} more as evidence", along.len());
    assert!(done.stdout.contains(&words), "{}", done.stdout);
    for case in run.cases.iter().filter(|case| along.contains(&case.id)) {
        assert_eq!(case.verdict, Verdict::Skipped, "{}", case.id);
    }
    assert_eq!(verdict(run, "whoami.user"), RequirementVerdict::Untested);
    // A case that is named runs alone.
    let alone = homespec(&["demo", "--case", "logout-ends-the-session"]);
    assert!(alone.run.selection.evidence.is_empty());
}

#[test]
fn evidence_fails_a_run_only_where_something_is_blocked_because_of_it() {
    // The cause is in the evidence.
    for (asked, fault, cause) in [
        ("whoami.missing_token", "no-whoami", "whoami.user"),
        ("logout_all.tokens_dead", "no-logout-all", "logout_all.ok"),
    ] {
        let done = homespec(&["demo", "--requirement", asked, "--fault", fault]);
        assert_eq!(done.status, Some(1), "{}", done.stdout);
        let outcome = done.run.requirements.iter().find(|r| r.id == asked).unwrap();
        assert_eq!(outcome.because.as_deref(), Some(cause), "{asked}");
        assert_eq!(verdict(&done.run, cause), RequirementVerdict::Failed);
    }
    // The evidence is broken in a way on which nothing hangs.
    let arguments = ["demo", "--requirement", "device.put.rename", "--fault", "login-201"];
    let done = homespec(&arguments);
    assert_eq!(done.status, Some(0), "{}", done.stdout);
    assert!(!done.run.selection.evidence.is_empty());
    // Without the graph there is no evidence.
    let folder = tempfile::tempdir().unwrap();
    let mut off = support::program::command(folder.path());
    off.args(["demo", "--requirement", "logout.device_gone", "--out", "reports"]);
    assert!(off.env("HOMESPEC_CAUSES", "off").output().unwrap().status.success());
    let raw = std::fs::read_to_string(folder.path().join("reports/run.json")).unwrap();
    let raw: Run = serde_json::from_str(&raw).unwrap();
    assert!(raw.selection.evidence.is_empty());
}
