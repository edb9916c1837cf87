//! A Python virtual environment with Synapse and matrix-nio in it, made once under `target/`.
use super::{say, target_dir, test_file};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The folder's name, which holds the versions that matter; `requirements.txt` has all of them.
const FOLDER: &str = "synapse-venv-1.163.2-nio-0.26.0";

/// Python's interpreter in an environment that has Synapse and matrix-nio, which are installed if need be; or `None`
/// if `HOMESPEC_SYNAPSE=skip` leaves such tests out, which is said.
///
/// # Panics
/// If there is no Python, or the packages cannot be had.
pub fn python(test: &str) -> Option<PathBuf> {
    if std::env::var("HOMESPEC_SYNAPSE").is_ok_and(|how| how == "skip") {
        say(&format!("{test}: left out, as HOMESPEC_SYNAPSE=skip asks"));
        return None;
    }
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match PYTHON.get_or_init(|| install(FOLDER, "support/python/requirements.txt")) {
        Ok(python) => Some(python.clone()),
        Err(why) => panic!("{why}\nHOMESPEC_SYNAPSE=skip leaves these tests out."),
    }
}

/// Python's interpreter in an environment with a release of Synapse, `tests/publish/VERSION.txt`.
///
/// # Panics
/// If there is no Python, or the packages cannot be had.
pub fn release(version: &str) -> PathBuf {
    let (folder, list) = (format!("synapse-venv-{version}"), format!("publish/{version}.txt"));
    install(&folder, &list).unwrap_or_else(|why| panic!("{why}"))
}

/// Installs what a file of the tests lists into a folder under `target/`, unless that is done.
fn install(folder: &str, list: &str) -> Result<PathBuf, String> {
    let folder = target_dir().join(folder);
    let script = test_file("support/python/install.py");
    let requirements = test_file(list);
    let status = Command::new("python3").arg(script).arg(&folder).arg(requirements).status();
    match status {
        Ok(status) if status.success() => Ok(folder.join("bin").join("python")),
        Ok(_) => Err("These tests run a real Synapse, which is installed from PyPI once, and that failed: see above. \
                      It takes Python 3.10 or later with its venv module, and the network."
            .to_owned()),
        Err(error) => Err(format!("These tests run a real Synapse and need python3 for it: {error}")),
    }
}
