//! Why there are no trials. Errors of the interior come in as their texts, so that their types stay there.
use crate::pipeline::{JobError, RunWithheld};
use crate::yaml::diagnostic::Diagnostic;

/// Why there are no trials.
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
    /// The server did not start, or its URL is not valid.
    #[error("{0}")]
    Start(String),
}

impl HarnessError {
    pub(super) fn files(faults: Vec<Diagnostic>) -> HarnessError {
        HarnessError::Files(faults.iter().map(|fault| fault.render(false)).collect())
    }

    pub(super) fn job(error: JobError) -> HarnessError {
        HarnessError::Job(error.to_string())
    }

    pub(super) fn withheld(error: RunWithheld) -> HarnessError {
        HarnessError::Withheld(error.to_string())
    }
}
