//! matrix-nio, a client library that knows nothing of homespec, against the reference homeserver.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
mod support;

use homespec::reference::{Settings, start};
use std::process::Command;
use support::{test_file, venv};

#[test]
fn a_client_library_logs_in_syncs_and_logs_out() {
    let Some(python) = venv::python("matrix-nio") else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let users = vec![("alice".to_owned(), "correct horse".to_owned())];
    let server = runtime.block_on(start(Settings { users, ..Settings::default() })).unwrap();
    let session = Command::new(python)
        .arg(test_file("support/python/nio_session.py"))
        .args([server.url().trim_end_matches('/'), "alice", "correct horse"])
        .output()
        .unwrap();
    let (said, log) =
        (String::from_utf8_lossy(&session.stdout), String::from_utf8_lossy(&session.stderr));
    assert!(session.status.success(), "{said}\n{log}");
    let went: Vec<&str> = said.lines().map(|line| line.split(':').next().unwrap_or(line)).collect();
    assert_eq!(went, ["password", "token", "logout", "logout"], "{said}");
}
