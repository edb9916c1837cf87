//! Python virtual environments, made once under `target/`: one with Synapse and matrix-nio, others for who asks.
use super::{say, target_dir, test_file};
use std::path::{Path, PathBuf};
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
    if !super::wanted("synapse", test) {
        return None;
    }
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let synapse = || {
        let folder = target_dir().join(FOLDER);
        install(&folder, "support/python/requirements.txt", "Synapse and matrix-nio", &[])?;
        Ok(folder.join("bin").join("python"))
    };
    match PYTHON.get_or_init(synapse) {
        Ok(python) => Some(python.clone()),
        Err(why) => panic!("{why}\nHOMESPEC_SYNAPSE=skip leaves these tests out."),
    }
}

/// Python's interpreter in an environment with a release of Synapse, `tests/publish/VERSION.txt`.
///
/// # Panics
/// If there is no Python, or the packages cannot be had.
pub fn release(version: &str) -> PathBuf {
    let folder = target_dir().join(format!("synapse-venv-{version}"));
    let what = format!("Synapse {version}");
    install(&folder, &format!("publish/{version}.txt"), &what, &[])
        .unwrap_or_else(|why| panic!("{why}"));
    folder.join("bin").join("python")
}

/// Makes a virtual environment with what a requirements file lists, unless it stands already. `what` is what a reader
/// calls that, `more` are options of pip.
pub fn install(folder: &Path, requirements: &str, what: &str, more: &[&str]) -> Result<(), String> {
    let script = test_file("support/python/install.py");
    let requirements = test_file(requirements);
    let status = Command::new("python3")
        .arg(script)
        .arg(folder)
        .arg(requirements)
        .arg(what)
        .args(more)
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!(
            "These tests use {what}, installed once from PyPI or npm, and that failed: see above. \
             It takes Python 3.10 or later with its venv module, or npm, and the network."
        )),
        Err(error) => {
            Err(format!("These tests use {what} and need python3 to install it: {error}"))
        }
    }
}
