//! A real Synapse on loopback, for as long as a test needs it.
use super::client::Client;
use super::server::ServerProcess;
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The secret for the admin call that makes accounts.
const SHARED_SECRET: &str = "shared secret of the tests";

/// What Synapse is told beside what every profile has.
#[derive(Debug, Clone, Copy)]
pub struct Profile {
    /// Its name in messages.
    pub name: &'static str,
    /// YAML, top-level keys of Synapse's configuration; a key stands in one of them only.
    pub settings: &'static [&'static str],
}

/// Whoever comes may register and log in as often as they like.
const OPEN_SETTINGS: &str = "\
enable_registration: true
enable_registration_without_verification: true
allow_guest_access: true
login_via_existing_session: {enabled: true, require_ui_auth: true}
rc_registration: {per_second: 10000, burst_count: 10000}
rc_login:
  address: {per_second: 10000, burst_count: 10000}
  account: {per_second: 10000, burst_count: 10000}
  failed_attempts: {per_second: 10000, burst_count: 10000}
";

/// A server to test on: nothing that homespec does meets a limit that a setting can lift, and what the suite can make
/// use of is on.
pub const OPEN: Profile = Profile { name: "open", settings: &[OPEN_SETTINGS] };

/// The same without refresh tokens.
pub const NO_REFRESH: Profile = Profile {
    name: "no-refresh",
    settings: &[OPEN_SETTINGS, "refreshable_access_token_lifetime: null"],
};

/// The same without passwords: people come by other ways.
pub const NO_PASSWORD: Profile = Profile {
    name: "no-password",
    settings: &[OPEN_SETTINGS, "password_config: {enabled: false}"],
};

/// The same with access tokens that end while the suite runs.
pub const SHORT_TOKENS: Profile = Profile {
    name: "short-tokens",
    settings: &[
        OPEN_SETTINGS,
        "refreshable_access_token_lifetime: 3s",
        "nonrefreshable_access_token_lifetime: 30s",
    ],
};

/// The same with tokens that end while the suite runs, but not while a case uses them.
pub const EXPIRING: Profile = Profile {
    name: "expiring",
    settings: &[
        EXPIRING_SETTINGS,
        "refreshable_access_token_lifetime: 8s",
        "nonrefreshable_access_token_lifetime: 1h",
    ],
};

/// The open settings with login tokens of the same length.
const EXPIRING_SETTINGS: &str = "\
enable_registration: true
enable_registration_without_verification: true
login_via_existing_session: {enabled: true, require_ui_auth: true, token_timeout: 8s}
rc_registration: {per_second: 10000, burst_count: 10000}
rc_login:
  address: {per_second: 10000, burst_count: 10000}
  account: {per_second: 10000, burst_count: 10000}
  failed_attempts: {per_second: 10000, burst_count: 10000}
";

/// A server as it is deployed: nobody may register, and the rate limits are Synapse's own.
pub const DEFAULT_LIMITS: Profile = Profile { name: "default-limits", settings: &[] };

/// A Synapse that runs. It ends when this value goes, and also when the test program does, however that ends.
pub struct Synapse {
    server: ServerProcess,
}

impl Synapse {
    /// Starts Synapse with a new database on a free port, and waits until it answers.
    ///
    /// # Panics
    /// If it does not come up. Its log follows, as after any panic while it runs.
    pub fn start(python: &Path, profile: Profile) -> Synapse {
        let command = |folder: &Path, port| {
            let config = folder.join("homeserver.yaml");
            std::fs::write(&config, configuration(port, folder, profile)).unwrap();
            std::fs::write(folder.join("service.yaml"), service()).unwrap();
            let mut command = Command::new(python);
            command.args(["-m", "synapse.app.homeserver", "--config-path"]).arg(config);
            // Or Synapse tells the branch and commit of this repository, where it is installed, as its own.
            command.env("GIT_CEILING_DIRECTORIES", super::target_dir());
            command
        };
        Synapse { server: ServerProcess::start(&format!("Synapse ({})", profile.name), command) }
    }

    /// Its base URL, without a slash at its end.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// A client for it.
    pub fn client(&self) -> Client {
        self.server.client()
    }

    /// Makes an account by the shared-secret admin call, which counts towards no limit on logins. Gives the answer,
    /// which holds a session: `user_id`, `device_id`, `access_token`.
    pub fn register(&self, user: &str, password: &str) -> Value {
        self.register_as(user, password, false)
    }

    /// What an operator of it would write into a config file: its application service, an account with an address and a
    /// number bound to it, and an administrator, both made for that. Gives the file with the folder that holds it.
    pub fn operator(&self) -> (TempDir, String) {
        let admin = self.register_as("operator", "a password of the operator's", true);
        let token = admin["access_token"].as_str().unwrap();
        let (user, password) = ("somebody-bound", "a password of a bound account's");
        let bound = self.register(user, password);
        let user_id = bound["user_id"].as_str().unwrap();
        let addresses = json!({"threepids": [
            {"medium": "email", "address": "Somebody@example.org"},
            {"medium": "msisdn", "address": "447700900001"},
        ]});
        let path = format!("/_synapse/admin/v2/users/{user_id}");
        assert_eq!(self.client().put(&path, token, &addresses).0, 200);
        let owner = format!("user: '{user_id}', password: \"{password}\"");
        let text = format!(
            "operator:
  appservice: {{ token: {SERVICE_TOKEN}, prefix: service_, sender: '@service:synapse.localhost' }}
  email: {{ address: Somebody@example.org, {owner} }}
  phone: {{ address: '447700900001', country: GB, number: 07700 900001, {owner} }}
  admin_token: {token}
"
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("operator.yaml");
        std::fs::write(&file, text).unwrap();
        (folder, file.display().to_string())
    }

    fn register_as(&self, user: &str, password: &str, admin: bool) -> Value {
        const PATH: &str = "/_synapse/admin/v1/register";
        let client = self.client();
        let (_, answer) = client.try_call(Method::GET, PATH, None, None).unwrap();
        let nonce = answer["nonce"].as_str().unwrap_or_else(|| panic!("no nonce in {answer}"));
        let role = if admin { "admin" } else { "notadmin" };
        let signed = [nonce, user, password, role].join("\0");
        let account = json!({
            "nonce": nonce, "username": user, "password": password, "admin": admin,
            "mac": hmac_sha1(SHARED_SECRET, &signed),
        });
        let (status, answer) = client.post(PATH, None, &account);
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

/// A configuration file: SQLite, loopback, no federation, no other server asked for anything, and passwords hashed
/// as cheaply as bcrypt can. The keys are for tests, so they may stand here. The media folder and the database lie in
/// `folder`.
fn configuration(port: u16, folder: &Path, profile: Profile) -> String {
    let (folder, settings) = (folder.display(), profile.settings.join("\n"));
    format!(
        "server_name: synapse.localhost
public_baseurl: http://127.0.0.1:{port}/
serve_server_wellknown: false
listeners:
- port: {port}
  bind_addresses: [127.0.0.1]
  type: http
  tls: false
  resources: [{{names: [client], compress: false}}]
database: {{name: sqlite3, args: {{database: '{folder}/homeserver.db'}}}}
media_store_path: '{folder}/media'
signing_key: ed25519 tests AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
macaroon_secret_key: macaroons of the tests
form_secret: forms of the tests
registration_shared_secret: {SHARED_SECRET}
report_stats: false
trusted_key_servers: []
suppress_key_server_warning: true
federation_domain_whitelist: []
bcrypt_rounds: 4
app_service_config_files: ['{folder}/service.yaml']
{settings}"
    )
}

/// The token of the application service.
const SERVICE_TOKEN: &str = "as-token-of-the-tests";

/// The registration of an application service that nothing is pushed to.
fn service() -> String {
    format!(
        "id: tests
url: null
as_token: {SERVICE_TOKEN}
hs_token: hs-token-of-the-tests
sender_localpart: service
rate_limited: false
namespaces:
  users: [{{exclusive: true, regex: '@service_.*'}}]
  aliases: []
  rooms: []
"
    )
}

/// What Synapse's admin call wants as proof of the shared secret, in hexadecimal.
fn hmac_sha1(key: &str, text: &str) -> String {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
