//! Every case as a test of its own against the reference homeserver: this is what the `cargo test`
//! of a homeserver looks like, see [`homespec::harness`].
use homespec::harness::{Harness, Outcome, Server};
use homespec::reference::{self, Settings};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::process::ExitCode;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let trials = match Harness::starting(reference_homeserver).register_open().trials() {
        Ok(trials) => trials,
        Err(error) => {
            eprintln!("Error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let tests = trials.into_iter().map(|trial| {
        Trial::ignorable_test(trial.id().to_owned(), move || match trial.run() {
            Ok(Outcome::Passed | Outcome::Warned(_)) => Ok(Completion::Completed),
            Ok(Outcome::Ignored(reason)) => Ok(Completion::ignored_with(reason)),
            Err(failure) => {
                // A first line of this form on standard error is what nextest shows.
                eprintln!("{}", failure.lines().next().unwrap_or_default());
                Err(Failed::from(failure))
            }
        })
    });
    libtest_mimic::run(&Arguments::from_args(), tests.collect()).exit_code()
}

/// Starts it when the first test runs; it ends with its runtime.
fn reference_homeserver() -> Result<Server, Box<dyn std::error::Error>> {
    let runtime = Runtime::new()?;
    let running = runtime.block_on(reference::start(Settings::default()))?;
    Ok(Server::at(running.url()).keeping((running, runtime)))
}
