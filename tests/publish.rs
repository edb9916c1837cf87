//! The published results in `reports/conformance/`: `HOMESPEC_TESTS=publish cargo test --test publish` makes them anew,
//! and what is there is looked at with every test run. With `UPDATE_GOLDEN=1` reports and pages are made again of the
//! runs that are there, for when only their form has changed.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
mod support;

use homespec::model::run::{
    Finding, RecordedExchange, RequirementTally, RequirementVerdict, Run, Verdict,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use support::program::{Finished, homespec};
use support::synapse::{OPEN, Synapse};
use support::table::verdicts;
use support::{say, test_file, venv};

/// The releases of Synapse, the newest first. What is installed of each stands in `tests/publish/VERSION.txt`.
const RELEASES: [&str; 6] = ["1.163.2", "1.150.0", "1.135.2", "1.120.2", "1.105.1", "1.90.0"];

/// The head of the table that sums the runs up.
const HEAD: &str =
    "| Synapse | conforms | failed | warned | passed | blocked | skipped | untested |";

/// Pages that have this table.
const PAGES: [&str; 2] = ["README.md", "reports/conformance/README.md"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn published() -> PathBuf {
    root().join("reports/conformance")
}

/// The folder of a release's reports.
fn folder(version: &str) -> PathBuf {
    published().join(format!("synapse-{version}"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn run_of(version: &str) -> Run {
    serde_json::from_str(&read(&folder(version).join("run.json"))).unwrap()
}

/// Whether there are published runs to look at: not in the crate as it is packaged, which is said then. Where they are to
/// be made anew, that is done first.
fn there_are_runs() -> bool {
    static MADE: Once = Once::new();
    if root().join("Cargo.toml.orig").exists() {
        say("published results are not looked at: they are no part of the crate");
        return false;
    }
    MADE.call_once(make_anew);
    true
}

fn runs() -> Vec<Run> {
    RELEASES.iter().map(|version| run_of(version)).collect()
}

// --- the one command ---

/// Makes the runs and pages again with `HOMESPEC_TESTS=publish`, with `UPDATE_GOLDEN=1` the pages alone.
fn make_anew() {
    let is = |name: &str, wanted: &str| std::env::var(name).is_ok_and(|value| value == wanted);
    if is("UPDATE_GOLDEN", "1") {
        RELEASES.iter().for_each(|version| render(version, &folder(version).join("run.json")));
        write_pages();
    }
    if !is("HOMESPEC_TESTS", "publish") {
        say("published results are not made anew; HOMESPEC_TESTS=publish does that");
        return;
    }
    // Most of a run is waiting for a limit of Synapse's.
    for some in RELEASES.chunks(3) {
        std::thread::scope(|scope| {
            for version in some {
                scope.spawn(|| keep(version, run(version)));
            }
        });
    }
    write_pages();
}

/// A run against a release, which is installed if need be.
fn run(version: &str) -> Finished {
    let synapse = Synapse::start(&venv::release(version), OPEN);
    // Long enough for the one limit of Synapse's that no setting lifts: one login token a minute for each user.
    let (_config, config) = synapse.operator();
    let arguments = ["--register", "open", "--max-wait", "120", "--config", &config];
    let finished = homespec(&[&["run", synapse.url()], &arguments[..]].concat());
    assert!(finished.run.complete, "{}", finished.stdout);
    finished
}

/// Puts the reports of a run into the repository, unless those that are there say the same: the verdicts, by which cases
/// and exchanges, and which branches were taken. Of releases before the newest, exchanges that show nothing wrong are
/// left out, or the files would be large.
fn keep(version: &str, finished: Finished) {
    let (made, kept) = (finished.reports.path().join("run.json"), folder(version));
    if kept.join("run.json").exists() && verdicts(&run_of(version)) == verdicts(&finished.run) {
        say(&format!("Synapse {version}: as it was"));
        return;
    }
    if version != RELEASES[0] {
        let run = without_plain_exchanges(finished.run);
        fs::write(&made, serde_json::to_string_pretty(&run).unwrap() + "\n").unwrap();
    }
    fs::create_dir_all(&kept).unwrap();
    render(version, &made);
    say(&format!("Synapse {version}: written"));
}

/// Writes the reports of a run into the folder of its release: all of the newest, and of the others what is read on a
/// forge and by programs.
fn render(version: &str, run: &Path) {
    let all = version == RELEASES[0];
    let formats = if all { "json,junit,markdown,html" } else { "json,markdown" };
    let rendered = Command::new(env!("CARGO_BIN_EXE_homespec"))
        .arg("report")
        .arg(run)
        .args(["--report", formats])
        .arg("--out")
        .arg(folder(version))
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&rendered.stderr);
    assert_eq!(rendered.status.code(), Some(i32::from(run_of(version).exit_status)), "{said}");
}

/// Writes what is made of all the runs together.
fn write_pages() {
    fs::write(published().join("comparison.md"), comparison()).unwrap();
    let table = table(&runs());
    for page in PAGES.map(|page| root().join(page)) {
        let text = read(&page);
        fs::write(&page, text.replace(&table_in(&text), &table)).unwrap();
    }
}

/// A run with those exchanges only that a finding names, or that belong to a case which is not passed.
fn without_plain_exchanges(mut run: Run) -> Run {
    let standing = run.standing.iter().flat_map(|standing| &standing.findings);
    let in_cases = run.cases.iter().flat_map(|case| &case.findings);
    let named = |finding: &Finding| finding.exchange.clone();
    let named: BTreeSet<String> = standing.chain(in_cases).filter_map(named).collect();
    let is_named = |exchange: &RecordedExchange| named.contains(&exchange.id);
    for case in run.cases.iter_mut().filter(|case| case.verdict <= Verdict::Passed) {
        case.exchanges.retain(is_named);
    }
    for support in &mut run.support {
        support.exchanges.retain(is_named);
    }
    run
}

// --- what is made of the runs ---

/// What `homespec compare` says of all of them.
fn comparison() -> String {
    let files = RELEASES.map(|version| format!("synapse-{version}/run.json"));
    let output = Command::new(env!("CARGO_BIN_EXE_homespec"))
        .arg("compare")
        .args(files)
        .args(["--format", "markdown"])
        .current_dir(published())
        .env_clear()
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The runs in short, a line for each.
fn table(runs: &[Run]) -> String {
    let rows = RELEASES.iter().zip(runs).map(|(version, run)| {
        let sum = RequirementTally::of(&run.requirements);
        let conforms = if sum.failed == 0 { "yes" } else { "no" };
        let counts = [sum.failed, sum.warned, sum.passed, sum.blocked, sum.skipped, sum.untested];
        let counts = counts.map(|count| count.to_string()).join(" | ");
        format!("| {version} | {conforms} | {counts} |\n")
    });
    let rule = format!("|{}\n", "---|".repeat(HEAD.matches('|').count() - 1));
    format!("{HEAD}\n{rule}{}", rows.collect::<String>())
}

/// The table that a page has now.
fn table_in(page: &str) -> String {
    let lines = page.lines().skip_while(|line| *line != HEAD);
    lines.take_while(|line| line.starts_with('|')).map(|line| format!("{line}\n")).collect()
}

// --- what is published ---

#[test]
fn the_pages_are_made_of_the_runs() {
    if !there_are_runs() {
        return;
    }
    assert_eq!(read(&published().join("comparison.md")), comparison());
    for page in PAGES {
        assert_eq!(table_in(&read(&root().join(page))), table(&runs()), "{page}");
    }
}

#[test]
fn the_newest_is_current() {
    if !there_are_runs() {
        return;
    }
    let table = read(&test_file("synapse/verdicts.yaml"));
    let mut known: Value = serde_yaml::from_str(&table).unwrap();
    let mut seen = serde_json::to_value(verdicts(&run_of(RELEASES[0]))).unwrap();
    for table in [&mut known, &mut seen] {
        let rows = table["requirements"].as_object_mut().unwrap();
        rows.values_mut().filter_map(Value::as_object_mut).for_each(|row| drop(row.remove("why")));
    }
    assert!(
        known == seen,
        "tests/synapse.rs sees something else: HOMESPEC_TESTS=publish cargo test --test publish"
    );
}

#[test]
fn everything_broken_is_explained() {
    if !there_are_runs() {
        return;
    }
    let table: Value = serde_yaml::from_str(&read(&test_file("synapse/verdicts.yaml"))).unwrap();
    let page = read(&published().join("README.md"));
    for (version, run) in RELEASES.iter().zip(runs()) {
        for requirement in &run.requirements {
            use RequirementVerdict::{Blocked, Errored, Failed, Warned};
            let (id, verdict) = (&requirement.id, requirement.verdict);
            // What follows from something broken is explained with that.
            let is_open = verdict == Errored || verdict == Blocked && requirement.because.is_none();
            assert!(!is_open, "{version}: {id} {}", verdict.as_str());
            let is_known = table["requirements"][id]["verdict"] == verdict.as_str();
            let broken = [Failed, Warned].contains(&verdict);
            let explained = page.contains(&format!("| `{id}` |"));
            assert!(!broken || is_known || explained, "{version}: {id} {}", verdict.as_str());
        }
    }
}

#[test]
fn nothing_of_the_machine_is_published() {
    if !there_are_runs() {
        return;
    }
    let home = std::env::var("HOME").unwrap_or_default();
    for version in RELEASES {
        for entry in fs::read_dir(folder(version)).unwrap() {
            let path = entry.unwrap().path();
            let text = read(&path);
            let here = root().display().to_string();
            for place in [here.as_str(), home.as_str(), "/tmp/"] {
                assert!(place.len() < 2 || !text.contains(place), "{}: {place}", path.display());
            }
        }
    }
}
