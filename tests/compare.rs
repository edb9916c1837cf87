//! `compare` as a process, and the laws of comparing.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
mod support;

use homespec::baseline::compare::{Change, compare};
use homespec::model::run::{Finding, RecordedReason, RequirementVerdict, Run, Verdict};
use homespec::report;
use serde_json::Value;
use std::sync::LazyLock;
use support::program::{Ended, run_in as homespec};
use tempfile::TempDir;

/// Runs that the tests look at, made once: clean, with a fault, and of one area alone.
static RUNS: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = TempDir::new().unwrap();
    let demo = |name: &str, options: &[&str]| {
        homespec(folder.path(), &[&["demo", "--out", name, "--report", "json"], options].concat());
    };
    demo("clean", &[]);
    demo("broken", &["--fault", "logout-answers-list"]);
    demo("area", &["--area", "discovery"]);
    demo("old", &["--versions", "r0.6.1"]);
    folder
});

fn compared(names: &[&str], options: &[&str]) -> Ended {
    let files: Vec<String> = names.iter().map(|name| format!("{name}/run.json")).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    homespec(RUNS.path(), &[&["compare"], files.as_slice(), options].concat())
}

fn run(name: &str) -> Run {
    let text = std::fs::read_to_string(RUNS.path().join(name).join("run.json")).unwrap();
    report::read(&text).unwrap()
}

#[test]
fn a_run_and_itself_differ_in_nothing() {
    for name in ["clean", "broken", "area", "old"] {
        let same = compare(&[("a".into(), run(name)), ("b".into(), run(name))]);
        assert!(same.requirements.iter().all(|row| row.change == Change::None), "{name}: {same:?}");
    }
    assert_eq!(compared(&["clean", "clean"], &[]).status, 0);
}

#[test]
fn what_breaks_is_a_regression_and_the_way_back_an_improvement() {
    let worse = compared(&["clean", "broken"], &[]);
    assert_eq!(worse.status, 1, "{}{}", worse.out, worse.err);
    assert!(worse.out.contains("Regressions") && worse.out.contains("logout.ok"), "{}", worse.out);
    assert!(worse.out.contains("passed -> failed"), "{}", worse.out);
    let better = compared(&["broken", "clean"], &["--format", "markdown"]);
    assert_eq!(better.status, 0, "{}{}", better.out, better.err);
    assert!(
        better.out.contains("## Improvements") && better.out.contains("`logout.ok`"),
        "{}",
        better.out
    );
}

/// There and back, each change has its opposite.
#[test]
fn the_way_back_turns_every_change_around() {
    let opposite = |change| match change {
        Change::CoverageLost => Change::CoverageGained,
        Change::CoverageGained => Change::CoverageLost,
        other => other,
    };
    for (one, other) in [("clean", "old"), ("clean", "area"), ("clean", "broken")] {
        let there = compare(&[("a".into(), run(one)), ("b".into(), run(other))]);
        let back = compare(&[("b".into(), run(other)), ("a".into(), run(one))]);
        for (there, back) in there.requirements.iter().zip(&back.requirements) {
            assert_eq!(there.id, back.id);
            let by_verdict = matches!(there.change, Change::Regression | Change::Improvement);
            assert!(by_verdict || opposite(there.change) == back.change, "{there:?} {back:?}");
        }
    }
}

/// The clean run with one requirement blocked for a reason with this code.
fn blocked(id: &str, code: &str) -> Run {
    let mut run = run("clean");
    let reason = Some(RecordedReason { code: code.into(), text: "a reason".into() });
    for case in &mut run.cases {
        for decision in case.decisions.iter_mut().filter(|one| one.requirement == id) {
            (decision.verdict, decision.reason) = (Verdict::Blocked, reason.clone());
        }
    }
    let outcome = run.requirements.iter_mut().find(|r| r.id == id).unwrap();
    (outcome.verdict, outcome.reason) = (RequirementVerdict::Blocked, reason);
    run
}

fn change(before: Run, after: Run, id: &str) -> Change {
    let compared = compare(&[("a".into(), before), ("b".into(), after)]);
    compared.requirements.iter().find(|row| row.id == id).unwrap().change
}

#[test]
fn what_passed_and_is_blocked_is_a_regression_where_its_cause_is_new() {
    let id = "logout.twice";
    for (code, expected) in [
        ("because:logout.ok", Change::Regression),
        ("setup", Change::Regression),
        ("not_reached", Change::Regression),
        ("rate_limited", Change::CoverageLost),
        ("no_account", Change::CoverageLost),
        ("gateway", Change::CoverageLost),
        ("of_a_later_homespec", Change::CoverageLost),
    ] {
        assert_eq!(change(run("clean"), blocked(id, code), id), expected, "{code}");
        assert_eq!(change(blocked(id, code), run("clean"), id), Change::CoverageGained, "{code}");
    }
    // What it follows from was broken before.
    assert_eq!(change(run("broken"), blocked(id, "because:logout.ok"), id), Change::CoverageLost);
}

#[test]
fn another_warning_is_no_improvement_and_one_fewer_is() {
    let id = "login.password.unknown_user";
    let warned = |places: &[(&str, &str)]| {
        let mut run = run("clean");
        let mut template = run_finding();
        template.requirement = id.to_owned();
        template.verdict = Verdict::Warned;
        for case in &mut run.cases {
            let mine = places.iter().filter(|(name, _)| case.id == *name);
            for (_, place) in mine {
                case.findings.push(Finding { pointer: (*place).into(), ..template.clone() });
            }
            for decision in case.decisions.iter_mut().filter(|one| one.requirement == id) {
                decision.verdict = Verdict::Warned;
            }
        }
        let outcome = run.requirements.iter_mut().find(|r| r.id == id).unwrap();
        outcome.verdict = RequirementVerdict::Warned;
        run
    };
    let clean = run("clean");
    let decides =
        |case: &&homespec::model::run::CaseOutcome| case.requirements.iter().any(|r| r == id);
    let case = clean.cases.iter().find(decides).unwrap().id.clone();
    let one = || warned(&[(&case, "/a")]);
    let two = || warned(&[(&case, "/a"), (&case, "/b")]);
    let other = || warned(&[(&case, "/b")]);
    assert_eq!(change(two(), one(), id), Change::Improvement);
    assert_eq!(change(one(), two(), id), Change::Regression);
    assert_eq!(change(one(), other(), id), Change::Regression);
    assert_eq!(change(one(), one(), id), Change::None);
    // Shown by a case that was not decided before: not its opposite, and no improvement.
    let mut undecided = one();
    let third = clean.cases.iter().find(|other| other.id != case).unwrap().id.clone();
    let mut elsewhere = warned(&[(&third, "/b")]);
    for run in [&mut undecided, &mut elsewhere] {
        let verdict = Verdict::Warned;
        let third = run.cases.iter_mut().find(|one| one.id == third).unwrap();
        let mut decision = third.decisions[0].clone();
        (decision.requirement, decision.verdict) = (id.to_owned(), verdict);
        third.decisions.push(decision);
    }
    let third = undecided.cases.iter_mut().find(|one| one.id == third).unwrap();
    third.decisions.last_mut().unwrap().verdict = Verdict::Skipped;
    assert_eq!(change(undecided, elsewhere, id), Change::None);
}

/// A finding to change.
fn run_finding() -> Finding {
    let broken = run("broken");
    let mut findings = broken.cases.iter().flat_map(|case| &case.findings);
    findings.next().unwrap().clone()
}

#[test]
fn what_was_not_selected_is_neither_fixed_nor_lost() {
    for pair in [["broken", "area"], ["area", "broken"]] {
        let ended = compared(&pair, &["--format", "json"]);
        let found: Value = serde_json::from_str(&ended.out).unwrap();
        let row =
            found["requirements"].as_array().unwrap().iter().find(|row| row["id"] == "logout.ok");
        assert_eq!(row.unwrap()["change"], "not_compared", "{}", ended.out);
        assert!(ended.out.contains("were selected"), "{}", ended.out);
    }
}

/// An older homespec knew neither the requirement nor, of another, the case that breaks it.
#[test]
fn what_an_older_homespec_did_not_look_at_is_listed_where_it_is_broken() {
    let (mut before, mut after) = (run("clean"), run("broken"));
    before.requirements.retain(|one| one.id != "logout.ok");
    after.requirements.iter_mut().find(|one| one.id == "whoami.user").unwrap().verdict =
        RequirementVerdict::Warned;
    let compared = compare(&[("a".into(), before), ("b".into(), after)]);
    let (table, page) =
        (report::compare_table(&compared).unwrap(), report::compare_markdown(&compared).unwrap());
    for text in [table, page] {
        let (_, seen) = text.split_once("Broken, and not looked at in A: 2 requirements").unwrap();
        assert!(seen.contains("logout.ok") && seen.contains("whoami.user"), "{text}");
    }
    let same = compare(&[("a".into(), run("broken")), ("b".into(), run("broken"))]);
    assert!(!report::compare_table(&same).unwrap().contains("not looked at"));
}

#[test]
fn of_many_runs_there_is_a_matrix() {
    let ended = compared(&["clean", "broken", "old"], &["--format", "markdown"]);
    assert_eq!(ended.status, 0, "{}", ended.err);
    assert!(ended.out.contains("| Requirement | Level | A | B | C |"), "{}", ended.out);
    assert!(ended.out.contains("| `logout.ok` | MUST | passed | failed | "), "{}", ended.out);
    let table = compared(&["clean", "broken", "old"], &[]);
    assert!(table.out.contains("Different: "), "{}", table.out);
}

#[test]
fn other_versions_and_stopped_runs_are_said() {
    let (mut before, mut after) = (run("clean"), run("clean"));
    before.tool.version = "0.0.1".to_owned();
    after.complete = false;
    let notes = compare(&[("a".into(), before), ("b".into(), after)]).notes.join("\n");
    assert!(
        notes.contains("different versions") && notes.contains("b: the run was stopped early"),
        "{notes}"
    );
}

#[test]
fn files_that_are_no_runs_are_refused() {
    std::fs::write(RUNS.path().join("no.json"), "{}").unwrap();
    for (name, status, part) in
        [("no.json", 3, "schema_version"), ("nowhere.json", 2, "cannot be read")]
    {
        let ended = homespec(RUNS.path(), &["compare", "clean/run.json", name]);
        assert_eq!(ended.status, status, "{}", ended.err);
        assert!(ended.err.contains(part), "{}", ended.err);
    }
    assert_eq!(homespec(RUNS.path(), &["compare", "clean/run.json"]).status, 2);
}
