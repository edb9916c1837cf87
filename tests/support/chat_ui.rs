//! A real django-chat-ui on loopback: a homeserver without devices, refresh tokens or registration, whose user ids do not
//! have the names that log in as localparts.
use super::server::ServerProcess;
use super::{installed, test_file, wanted};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the installation, with the version that matters.
const FOLDER: &str = "django-chat-ui-venv-0.1.0";

/// The accounts that it starts with: login name and password. Nobody needs the later ones.
pub const ACCOUNTS: [(&str, &str); 6] = [
    ("alice", "a password of Alice's"),
    ("bob", "a password of Bob's"),
    ("carol", "a password of Carol's"),
    ("dave", "a password of Dave's"),
    ("erin", "a password of Erin's"),
    ("frank", "a password of Frank's"),
];
const IN_USE: usize = 2;

/// Python's interpreter in an environment that has it, installed if need be; or `None` if `HOMESPEC_SERVERS` leaves it
/// out, which is said.
///
/// # Panics
/// If there is no Python, or the packages cannot be had.
pub fn python(test: &str) -> Option<PathBuf> {
    let folder = || installed(FOLDER, "support/python/chat_ui.txt", "django-chat-ui");
    wanted("django-chat-ui", test).then(|| folder().join("bin").join("python"))
}

/// Starts it with a new database and the [`ACCOUNTS`].
///
/// # Panics
/// If it does not come up.
pub fn start(python: &Path) -> ServerProcess {
    ServerProcess::start("django-chat-ui", |_, port| {
        let mut command = Command::new(python);
        command.arg(test_file("support/python/chat_ui.py")).arg(port.to_string());
        command.args(ACCOUNTS.iter().flat_map(|(user, password)| [user, password]));
        command
    })
}

/// The file for `--accounts`.
pub fn accounts() -> String {
    ACCOUNTS
        .iter()
        .enumerate()
        .map(|(n, (user, password))| {
            let disposable = n >= IN_USE;
            format!("- {{ user: {user}, password: \"{password}\", disposable: {disposable} }}\n")
        })
        .collect()
}
