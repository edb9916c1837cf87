//! A run that came through redaction: what can be shown is made of nothing else.
use super::{RedactionError, Secrets, Vault};
use crate::model::run::Run;
use std::ops::Deref;

/// A run in which every secret is replaced by its name, with the secrets to look for once more.
#[derive(Debug, Clone)]
pub struct RedactedRun {
    run: Run,
    secrets: Secrets,
}

impl RedactedRun {
    /// Replaces all that the vault knows in every untrusted text of the run.
    ///
    /// # Errors
    /// The vault does not know all secrets: nothing of the run may be shown.
    pub fn new(run: Run, vault: &Vault) -> Result<RedactedRun, RedactionError> {
        let redactor = vault.redactor();
        let run = run.map_untrusted_text(|text| redactor.redacted(text))?;
        Ok(RedactedRun { run, secrets: vault.secrets()? })
    }

    /// A run from its `run.json`. Its secrets were replaced before that was written; what they were is
    /// in no file.
    pub fn from_file(run: Run) -> RedactedRun {
        RedactedRun { run, secrets: Secrets::default() }
    }

    /// The run with what `change` adds, which is redacted too.
    ///
    /// # Errors
    /// As [`RedactedRun::new`].
    pub fn with(
        self,
        vault: &Vault,
        change: impl FnOnce(Run) -> Run,
    ) -> Result<RedactedRun, RedactionError> {
        RedactedRun::new(change(self.run), vault)
    }

    /// The run with how the program ends.
    pub fn with_exit_status(self, exit_status: u8) -> RedactedRun {
        RedactedRun { run: Run { exit_status, ..self.run }, ..self }
    }

    /// The secrets to look for before anything of it is shown.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The run alone.
    pub fn into_run(self) -> Run {
        self.run
    }
}

impl Deref for RedactedRun {
    type Target = Run;

    fn deref(&self) -> &Run {
        &self.run
    }
}
