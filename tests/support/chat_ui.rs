//! A real django-chat-ui on loopback: a homeserver without devices, refresh tokens or registration, whose user ids do not
//! have the names that log in as localparts.
use super::server::ServerProcess;
use super::{installed, test_file, wanted};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the installation, with the version that matters.
const FOLDER: &str = "django-chat-ui-venv-0.1.0";

/// The accounts that it starts with: login name and password.
fn accounts_of_server() -> impl Iterator<Item = (String, String)> {
    let names = ["alice", "bob"].map(str::to_owned).into_iter();
    let spare = (1..=SPARE).map(|n| format!("spare-{n}"));
    names.chain(spare).map(|name| (name.clone(), format!("a password of {name}'s")))
}

/// Accounts that nobody needs: as many as the cases want that ruin one.
const SPARE: usize = 12;

/// Python's interpreter in an environment that has it, installed if need be; or `None` if `HOMESPEC_SERVERS` leaves it
/// out, which is said.
///
/// # Panics
/// If there is no Python, or the packages cannot be had.
pub fn python(test: &str) -> Option<PathBuf> {
    let folder = || installed(FOLDER, "support/python/chat_ui.txt", "django-chat-ui");
    wanted("django-chat-ui", test).then(|| folder().join("bin").join("python"))
}

/// Starts it with a new database and the accounts of [`accounts`].
///
/// # Panics
/// If it does not come up.
pub fn start(python: &Path) -> ServerProcess {
    ServerProcess::start("django-chat-ui", |_, port| {
        let mut command = Command::new(python);
        command.arg(test_file("support/python/chat_ui.py")).arg(port.to_string());
        command.args(accounts_of_server().flat_map(|(user, password)| [user, password]));
        command
    })
}

/// The file for `--accounts`.
pub fn accounts() -> String {
    accounts_of_server()
        .map(|(user, password)| {
            let disposable = user.starts_with("spare");
            format!("- {{ user: {user}, password: \"{password}\", disposable: {disposable} }}\n")
        })
        .collect()
}
