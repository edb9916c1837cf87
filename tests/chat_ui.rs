//! The suite against a real django-chat-ui, a homeserver without devices: the verdict on every requirement, and a second
//! run with the baseline of the first.
//!
//! It is installed once under `target/` with pip; `HOMESPEC_SERVERS` chooses among the servers.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
mod support;

use std::path::Path;
use support::chat_ui::{accounts, python, start};
use support::program::{Finished, homespec};
use support::rerun::assert_known_in_a_second_run;
use support::server::ServerProcess;
use support::table::{Table, verdicts_with_reasons};
use support::test_file;
use tempfile::TempDir;

/// The server with a file of its accounts.
struct ChatUi {
    server: ServerProcess,
    folder: TempDir,
}

impl ChatUi {
    fn start(python: &Path) -> ChatUi {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("accounts.yaml"), accounts()).unwrap();
        ChatUi { server: start(python), folder }
    }

    fn arguments(&self) -> Vec<String> {
        let file = self.folder.path().join("accounts.yaml").display().to_string();
        ["run", self.server.url(), "--accounts", &file].map(str::to_owned).to_vec()
    }

    fn run(&self) -> Finished {
        let arguments = self.arguments();
        homespec(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

#[test]
fn verdicts_are_those_in_the_table() {
    let Some(python) = python("django-chat-ui") else { return };
    let finished = ChatUi::start(&python).run();
    assert!(finished.run.complete, "{}", finished.stdout);
    assert_eq!(finished.status, Some(1), "{}", finished.stdout);
    assert!(finished.run.not_cleaned_up.is_empty(), "{:?}", finished.run.not_cleaned_up);
    let about = "Verdicts on django-chat-ui 0.1.0, requirement by requirement, with the accounts of tests/support/chat_ui.rs.\n\
                 Written by tests/chat_ui.rs with UPDATE_GOLDEN=1, except for `why`: the judgement of somebody who read\n\
                 the answer and the clause. CS is content/client-server-api/_index.md of the specification, version 1.19,\n\
                 and other files are in data/api/client-server there.";
    Table::settle(verdicts_with_reasons(&finished.run), &test_file("chat_ui/verdicts.yaml"), about);
}

#[test]
fn a_second_run_shows_nothing_that_the_baseline_of_the_first_does_not_know() {
    let Some(python) = python("django-chat-ui") else { return };
    let chat_ui = ChatUi::start(&python);
    let arguments = chat_ui.arguments();
    assert_known_in_a_second_run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
}
