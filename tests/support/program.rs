//! Runs the program as a user would.
use homespec::outcome::Run;
use std::path::Path;
use std::process::{Command, Stdio};
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
    let run = match read(&reports.path().join("run.json")) {
        Ok(run) => run,
        Err(why) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            panic!("homespec {arguments:?} ended with {}: {why}\n{stdout}\n{stderr}", output.status)
        }
    };
    Finished { status: output.status.code(), run, stdout, reports, took }
}

fn read(path: &Path) -> Result<Run, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}
