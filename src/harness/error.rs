//! Errors that leave no trials. Errors of the interior come in as their texts, so that their types
//! stay there.
use crate::http::target::NoTargetUrl;
use crate::pipeline::{JobError, RunWithheld};
use crate::yaml::diagnostic::Diagnostic;

/// An error that leaves no trials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HarnessError {
    /// Case, specification or baseline files are wrong: every mistake of every file, with its place.
    #[error("{}", .0.join("\n"))]
    Files(Vec<String>),
    /// The selection names nothing or is empty, or the settings allow no client.
    #[error("{0}")]
    Job(String),
    /// Nothing of the run may be shown.
    #[error("{0}")]
    Withheld(String),
    /// The server did not start.
    #[error("the server did not start: {0}")]
    Start(String),
    /// Starting the server panicked.
    #[error("starting the server panicked")]
    Panicked,
    /// The URL of the server is not valid.
    #[error("{0}")]
    Url(String),
    /// The server cannot be reached, or is not a homeserver.
    #[error("{0}")]
    Unavailable(String),
    /// There are no threads to run on.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] std::io::Error),
}

impl HarnessError {
    pub(super) fn files(faults: Vec<Diagnostic>) -> HarnessError {
        HarnessError::Files(faults.iter().map(|fault| fault.render(false)).collect())
    }

    pub(super) fn url(error: NoTargetUrl) -> HarnessError {
        HarnessError::Url(error.to_string())
    }

    pub(super) fn job(error: JobError) -> HarnessError {
        HarnessError::Job(error.to_string())
    }

    pub(super) fn withheld(error: RunWithheld) -> HarnessError {
        HarnessError::Withheld(error.to_string())
    }
}
