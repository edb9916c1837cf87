//! What looks at files for the forges and for readers of JUnit, installed once under `target/`.
use super::{say, target_dir, test_file, venv};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The folder's name, which holds the version that matters most; `ci.txt` has all of them.
const FOLDER: &str = "ci-tools-check-jsonschema-0.39.0";

/// A virtual environment with the tools in it.
pub struct Tools {
    /// Where it lies.
    pub folder: PathBuf,
}

/// The tools, which are installed if need be; or `None` if `HOMESPEC_SYNAPSE=skip` leaves out what takes Python and the
/// network, which is said.
///
/// # Panics
/// If there is no Python, or the packages cannot be had.
pub fn tools(test: &str) -> Option<Tools> {
    if std::env::var("HOMESPEC_SYNAPSE").is_ok_and(|how| how == "skip") {
        say(&format!("{test}: left out, as HOMESPEC_SYNAPSE=skip asks"));
        return None;
    }
    static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let install = || {
        let folder = target_dir().join(FOLDER);
        venv::install(&folder, "support/python/ci.txt", "linters and readers of JUnit", &[])?;
        Ok(folder)
    };
    match INSTALLED.get_or_init(install) {
        Ok(folder) => Some(Tools { folder: folder.clone() }),
        Err(why) => panic!("{why}\nHOMESPEC_SYNAPSE=skip leaves these tests out."),
    }
}

impl Tools {
    /// A program of the environment.
    pub fn program(&self, name: &str) -> Command {
        Command::new(self.folder.join("bin").join(name))
    }

    /// Runs a Python script of `tests/support/python` with these arguments, and gives what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn script(&self, name: &str, arguments: &[&Path]) -> String {
        let script = test_file("support/python").join(name);
        let output = self.program("python").arg(script).args(arguments).output().unwrap();
        assert_well(name, &output);
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Fails with everything that a program said, unless it ended well.
pub fn assert_well(what: &str, output: &Output) {
    let said = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
    assert!(output.status.success(), "{what}: {}\n{}\n{}", output.status, said[0], said[1]);
}
