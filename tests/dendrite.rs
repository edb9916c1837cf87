//! The suite against a real Dendrite: the verdict on every requirement, and a second run with the baseline of the first.
//!
//! Dendrite is installed once under `target/` with npm; `HOMESPEC_SERVERS` chooses among the servers.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
mod support;

use std::path::Path;
use std::sync::OnceLock;
use support::dendrite::{programs, start};
use support::program::{Finished, homespec};
use support::rerun::assert_known_in_a_second_run;
use support::table::{Table, verdicts_with_reasons};
use support::test_file;

const OPTIONS: [&str; 2] = ["--register", "open"];

/// One run, which several tests look at.
fn open_run(programs: &Path) -> &'static Finished {
    static RUN: OnceLock<Finished> = OnceLock::new();
    RUN.get_or_init(|| {
        let dendrite = start(programs);
        homespec(&[&["run", dendrite.url()], &OPTIONS[..]].concat())
    })
}

#[test]
fn verdicts_are_those_in_the_table() {
    let Some(programs) = programs("dendrite") else { return };
    let finished = open_run(&programs);
    assert!(finished.run.complete, "{}", finished.stdout);
    let about = "Verdicts on Dendrite 0.13.7, requirement by requirement, in the set-up of tests/support/dendrite.rs.\n\
                 Written by tests/dendrite.rs with UPDATE_GOLDEN=1, except for `why`: the judgement of somebody who read\n\
                 the answer and the clause. CS is content/client-server-api/_index.md of the specification, version 1.19,\n\
                 and other files are in data/api/client-server there.";
    Table::settle(
        verdicts_with_reasons(&finished.run),
        &test_file("dendrite/verdicts.yaml"),
        about,
    );
}

#[test]
fn broken_requirements_fail_the_run_and_only_what_dendrite_keeps_is_left() {
    let Some(programs) = programs("dendrite") else { return };
    let finished = open_run(&programs);
    assert_eq!(finished.status, Some(1), "{}", finished.stdout);
    // Dendrite lets no guest log out, takes the absence of a new password for an empty one, and lets nobody in with a
    // password of more than 72 bytes that it took at registration, though that session's tokens are there.
    let known = [
        "logging out was answered with 403 M_GUEST_ACCESS_FORBIDDEN",
        "logging in was answered with 403 M_FORBIDDEN",
        "logging out was answered with 500",
    ];
    let left = &finished.run.not_cleaned_up;
    let others: Vec<_> =
        left.iter().filter(|line| !known.iter().any(|known| line.contains(known))).collect();
    assert!(left.len() <= 12 && others.is_empty(), "{left:?}");
}

#[test]
fn accounts_by_shared_secret_give_the_same_verdicts() {
    let Some(programs) = programs("dendrite") else { return };
    let dendrite = start(&programs);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, support::dendrite::SHARED_SECRET).unwrap();
    let file = file.display().to_string();
    // Cases that register accounts of their own need a way to register by the API.
    let skip = [
        "--skip",
        "registration-*",
        "--skip",
        "registered-*",
        "--skip",
        "uia-completes-a-registration",
    ];
    let by_secret = ["run", dendrite.url(), "--registration-shared-secret-file", &file];
    let by_secret = homespec(&[&by_secret[..], &skip[..]].concat());
    let open = homespec(&[&["run", dendrite.url()], &OPTIONS[..], &skip[..]].concat());
    let open = verdicts_with_reasons(&open.run);
    let changes = verdicts_with_reasons(&by_secret.run).changes_since(&open);
    assert!(changes.is_empty(), "{}", changes.join("\n"));
}

#[test]
fn a_second_run_shows_nothing_that_the_baseline_of_the_first_does_not_know() {
    let Some(programs) = programs("dendrite") else { return };
    let dendrite = start(&programs);
    assert_known_in_a_second_run(&[&["run", dendrite.url()], &OPTIONS[..]].concat());
}
