//! Without limits in play, two runs write the same `run.json` but for times and generated values, however many cases
//! run at once: on the reference homeserver. tests/synapse.rs shows it on Synapse.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
mod support;

use std::path::PathBuf;
use support::program::{Finished, homespec};
use support::sameness::differences;

fn run(jobs: &str, more: &[&str]) -> (Finished, PathBuf) {
    let finished = homespec(&[&["demo", "--jobs", jobs], more].concat());
    let path = finished.reports.path().join("run.json");
    (finished, path)
}

fn assert_the_same(more: &[&str], again: &[&str]) {
    let (first, expected) = run("1", more);
    assert!(first.run.complete, "{}", first.stdout);
    for jobs in again {
        let (again, path) = run(jobs, more);
        let found = differences(&expected, &path);
        assert!(found.is_empty(), "{more:?}, --jobs {jobs}:\n{}", found.join("\n"));
        assert_eq!(again.status, first.status);
    }
}

#[test]
fn a_conforming_server_gives_the_same_run_again() {
    assert_the_same(&[], &["1", "16", "16"]);
}

#[test]
fn a_broken_server_gives_the_same_findings_again() {
    assert_the_same(
        &["--fault", "logout-answers-list", "--fault", "wrong-method-runs-logout"],
        &["16"],
    );
}

#[test]
fn what_is_not_the_same_is_told() {
    let (_first, one) = run("1", &[]);
    let (_second, other) = run("1", &["--fault", "soft-logout-text"]);
    assert!(!differences(&one, &other).is_empty());
}
