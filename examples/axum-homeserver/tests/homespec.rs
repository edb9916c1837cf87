//! Every requirement of the login API as a test: `cargo test --test homespec`, or `cargo nextest run`.
use axum_homeserver::{Homeserver, PASSWORD, USER};
use homespec::harness::{Harness, Server};
use std::process::ExitCode;

/// What this homeserver breaks, with the reasons.
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/homespec-baseline.yaml");

/// Cases of what it does not have yet.
const NOT_YET: [&str; 8] = [
    // Devices, and what changes an account, which take interactive auth.
    "device-*",
    "uia-*",
    "logout-ends-the-session",
    "logout-removes-device-keys",
    "token-missing",
    "token-unknown",
    "token-nearly-right",
    "token-in-query",
];

fn main() -> ExitCode {
    let harness = Harness::starting(homeserver).account(USER, PASSWORD).baseline(BASELINE);
    NOT_YET.into_iter().fold(harness, Harness::skip).main()
}

/// Runs when the first test needs it; the runtime that comes with it ends it.
fn homeserver() -> std::io::Result<Server> {
    let runtime = tokio::runtime::Runtime::new()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let url = format!("http://{}", listener.local_addr()?);
    runtime.spawn(Homeserver::default().serve(listener));
    Ok(Server::at(url).keeping(runtime))
}
