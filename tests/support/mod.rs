//! What the tests against real servers and clients share.
//!
//! Each test program compiles all of it and uses its part.
#![allow(dead_code)]

pub mod chat_ui;
pub mod client;
pub mod dendrite;
pub mod homeserver;
pub mod program;
pub mod proxy;
pub mod rerun;
pub mod sameness;
pub mod server;
pub mod synapse;
pub mod table;
pub mod tools;
pub mod venv;

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The requirements that only a token whose time is over shows.
pub const OF_EXPIRED_TOKENS: [&str; 5] = [
    "token.expired",
    "token.expired.soft_logout",
    "refresh.expired_access_token",
    "token.soft_logout.relogin",
    "login.token.expired",
];

/// Writes a line to standard error at once. The test harness holds back what `eprintln!` writes until a test fails,
/// and what is said here (that something is installed, or left out) is for those whose tests pass.
pub fn say(text: &str) {
    // In one piece, or tests that run at the same time write into it.
    let line = format!("homespec tests: {text}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Where Cargo builds, `target` by default.
pub fn target_dir() -> PathBuf {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    tmp.parent().unwrap_or(tmp).to_owned()
}

/// A file in `tests/` of the repository.
pub fn test_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

/// Whether `HOMESPEC_TESTS=full` asks for the slow tests too; says so if not.
pub fn slow_tests(what: &str) -> bool {
    let full = std::env::var("HOMESPEC_TESTS").is_ok_and(|tests| tests == "full");
    if !full {
        say(&format!("{what}: left out, as it is slow; HOMESPEC_TESTS=full runs it"));
    }
    full
}

/// Whether the tests against this server run: all do, unless `HOMESPEC_SERVERS` lists others (`synapse`, `dendrite`,
/// `django-chat-ui`, with commas). Says so if not.
pub fn wanted(server: &str, test: &str) -> bool {
    let Ok(listed) = std::env::var("HOMESPEC_SERVERS") else { return true };
    let wanted = listed.split(',').any(|one| one.trim() == server);
    if !wanted {
        say(&format!("{test}: left out, as HOMESPEC_SERVERS={listed} asks"));
    }
    wanted
}

/// The folder below `target/` with what a file in `tests/` lists, installed if need be.
///
/// # Panics
/// If it cannot be had.
pub fn installed(folder: &str, list: &str, what: &str) -> PathBuf {
    let folder = target_dir().join(folder);
    match venv::install(&folder, list, what, &[]) {
        Ok(()) => folder,
        Err(why) => panic!("{why}\nHOMESPEC_SERVERS lists the servers to test with."),
    }
}
