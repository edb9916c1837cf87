//! JUnit as others read it: valid against the schema that Jenkins' xUnit plugin follows, and counted right by libraries
//! that know nothing of homespec.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
mod support;

use homespec::model::run::{Run, Tally};
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use support::program::{Finished, homespec};
use support::test_file;
use support::tools::{Tools, tools};

/// Every row and every standing check, with something of each ending but an error.
fn demo() -> Finished {
    homespec(&["demo", "--fault", "device-id-ignored", "--report", "json,junit,junit-strict"])
}

/// What others make of a file in both dialects; see `junit.py`.
fn seen(tools: &Tools, common: &Path, strict: &Path) -> Value {
    let seen = tools.script("junit.py", &[&tools.folder, common, strict]);
    serde_json::from_str(&seen).unwrap()
}

/// What they have to make of it.
fn counts(run: &Run) -> Value {
    let cases = run.cases.iter().map(|case| case.verdict);
    let all: Tally = cases.chain(run.standing.iter().map(|one| one.verdict)).collect();
    serde_json::json!({
        "passed": all.passed + all.warned,
        "failed": all.failed,
        "errored": all.blocked + all.errored,
        "skipped": all.skipped,
    })
}

fn assert_read(tools: &Tools, name: &str, common: &Path, strict: &Path, wanted: Option<&Value>) {
    let seen = seen(tools, common, strict);
    assert_eq!(seen["faults"], serde_json::json!([]), "{name}: the strict dialect");
    let counts = seen["counts"].as_object().unwrap();
    assert_eq!(counts.len(), 2, "{name}: two readers");
    let first = counts.values().next();
    for (reader, count) in counts {
        assert_eq!(Some(count), wanted.or(first), "{name}: {reader}");
    }
    assert_cases(name, seen["cases"].as_array().unwrap());
}

/// No two of one name, and cases with file and line.
fn assert_cases(name: &str, cases: &[Value]) {
    let mut names = HashSet::new();
    for case in cases {
        assert!(names.insert([&case[0], &case[1]]), "{name}: {case} stands there twice");
        let is_standing = case[0] == "homespec.standing";
        let place = case[2].as_str().zip(case[3].as_str());
        let is_place =
            place.is_some_and(|(_, line)| line.parse::<u32>().is_ok_and(|line| line > 0));
        assert!(is_standing || is_place, "{name}: {case} has no file and line");
    }
}

#[test]
fn a_full_run_is_valid_and_counted_right_by_others() {
    let Some(tools) = tools("JUnit of a full run") else { return };
    let finished = demo();
    assert_eq!(finished.status, Some(1), "{}", finished.stdout);
    let [common, strict] =
        ["junit.xml", "junit-strict.xml"].map(|name| finished.reports.path().join(name));
    let rows = finished.run.cases.iter().filter(|case| case.id.contains('[')).count();
    assert!(rows > 20 && finished.run.standing.len() > 50, "it is a full run");
    assert_read(&tools, "demo", &common, &strict, Some(&counts(&finished.run)));
}

/// All verdicts, hostile text among it: the files that `tests/reports.rs` holds.
#[test]
fn every_verdict_is_valid_and_counted_alike_by_others() {
    let Some(tools) = tools("JUnit of every verdict") else { return };
    for name in ["clean", "every-verdict", "interrupted"] {
        let [common, strict] =
            ["junit.xml", "strict.xml"].map(|end| test_file(&format!("golden/{name}.{end}")));
        assert_read(&tools, name, &common, &strict, None);
    }
}

#[test]
fn no_two_test_cases_of_a_full_run_have_one_name() {
    let finished = demo();
    let xml = fs::read_to_string(finished.reports.path().join("junit.xml")).unwrap();
    let document = roxmltree::Document::parse(&xml).unwrap();
    let mut names = HashSet::new();
    for case in document.descendants().filter(|node| node.has_tag_name("testcase")) {
        let name = ["classname", "name"].map(|key| case.attribute(key).unwrap());
        assert!(names.insert(name), "{name:?} stands there twice");
    }
    assert_eq!(names.len(), finished.run.cases.len() + finished.run.standing.len());
}
