//! Runs the program as a user would.
use homespec::model::run::Run;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What a `run` or a `demo` left behind.
pub struct Finished {
    /// Exit status; `None` if a signal ended it.
    pub status: Option<i32>,
    /// What `run.json` holds.
    pub run: Run,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The folder with the reports.
    pub reports: TempDir,
    /// From start to end.
    pub took: Duration,
}

/// Starts the program with these arguments and `--out` for a folder of its own, and waits for its end. Nothing of the
/// environment reaches it, so that neither a variable nor a config file of the caller's changes what it does.
///
/// # Panics
/// If it writes no `run.json`; the message has what it said.
pub fn homespec(arguments: &[&str]) -> Finished {
    let reports = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_homespec"))
        .args(arguments)
        .arg("--out")
        .arg(reports.path())
        .current_dir(reports.path())
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let took = started.elapsed();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let run = match read(&reports.path().join("run.json")) {
        Ok(run) => run,
        Err(why) => {
            panic!("homespec {arguments:?} ended with {}: {why}\n{stdout}\n{stderr}", output.status)
        }
    };
    Finished { status: output.status.code(), run, stdout, stderr, reports, took }
}

fn read(path: &Path) -> Result<Run, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// How the program ended, and what it said.
pub struct Ended {
    /// Exit status.
    pub status: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// The program in a folder of its own, with nothing of the caller's environment that it reads.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homespec"));
    command.current_dir(folder).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let read_by_us = name.to_str().is_some_and(|name| name.starts_with("HOMESPEC_"));
        if read_by_us || ["CI", "GITHUB_ACTIONS", "NO_COLOR", "COLUMNS"].iter().any(|n| name == *n)
        {
            command.env_remove(name);
        }
    }
    command
}

/// What an output says.
///
/// # Panics
/// If a signal ended the program, or it said what is no UTF-8.
pub fn ended(output: Output) -> Ended {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let status = output.status.code().expect("it ended by itself");
    Ended { status, out: text(output.stdout), err: text(output.stderr) }
}

/// Runs the program in a folder to its end.
///
/// # Panics
/// As [`ended`] does.
pub fn run_in(folder: &Path, arguments: &[&str]) -> Ended {
    ended(command(folder).args(arguments).output().unwrap())
}
