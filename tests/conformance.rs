//! Every case as a test of its own against the reference homeserver: this is what the `cargo test`
//! of a homeserver looks like, see [`homespec::harness`].
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
use homespec::harness::{Harness, Server};
use homespec::reference::{self, Settings};
use std::process::ExitCode;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    Harness::starting(reference_homeserver).register_open().main()
}

/// Starts it when the first test runs; it ends with its runtime.
fn reference_homeserver() -> Result<Server, Box<dyn std::error::Error>> {
    let runtime = Runtime::new()?;
    let running = runtime.block_on(reference::start(Settings::default()))?;
    Ok(Server::at(running.url()).keeping((running, runtime)))
}
