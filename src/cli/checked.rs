//! Text for the terminal that is no report of a run: secrets replaced, and looked through once more.
use super::Failure;
use crate::model::exit;
use crate::redact::Vault;
use crate::report;

/// A sentence with text of others, on one line, if no secret is in it.
pub(super) fn sentence(vault: &Vault, text: &str) -> Result<String, Failure> {
    checked("a sentence on the target", vault, |show| report::one_line(&show(text)))
}

/// Renders with secrets replaced, and returns the text if none is left in it.
pub(super) fn checked(
    what: &str,
    vault: &Vault,
    render: impl Fn(&dyn Fn(&str) -> String) -> String,
) -> Result<String, Failure> {
    let failure = |why: String| Failure::new(exit::REPORT, format!("error: {why}"));
    let redactor = vault.redactor();
    let secrets = vault.secrets().map_err(|why| failure(format!("{what} is withheld: {why}")))?;
    let text = report::checked(what, &secrets, |blank| render(&|text| blank(&redactor.text(text))));
    text.map_err(|withheld| failure(withheld.to_string()))
}
