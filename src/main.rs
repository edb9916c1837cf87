//! The program: see [`homespec::cli`].
use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(homespec::cli::main())
}
