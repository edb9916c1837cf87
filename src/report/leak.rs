//! The last look at what is about to be written or printed: whether it still holds a secret.
use crate::outcome::Run;
use crate::secret::Redactor;

/// A report that is not shown, because it would hold secrets.
///
/// Secrets are replaced before a [`Run`] exists, so this is a fault of homespec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{report} is withheld: it would hold {}; please report this fault of homespec", .secrets.join(", "))]
pub struct Leak {
    /// The report, by the name of its file or in words.
    pub report: String,
    /// The names of the secrets.
    pub secrets: Vec<String>,
}

/// What `render` makes of a run, if there is no secret in it; `report` is what to call it.
///
/// Secrets that are words of our own, such as the password `password`, are looked for only in what
/// others wrote: they stand in every report, and give nothing away there.
///
/// # Errors
/// It would hold a secret that was not replaced.
pub fn sealed(
    report: &str,
    run: &Run,
    redactor: &Redactor,
    render: impl Fn(&Run) -> String,
) -> Result<String, Leak> {
    let text = render(run);
    let mut secrets = redactor.found_in(&text);
    if !secrets.is_empty() {
        let ours = render(&run.clone().with_foreign_texts(&|_| String::new()));
        let words = redactor.found_in(&ours);
        secrets.retain(|name| !words.contains(name));
    }
    if secrets.is_empty() {
        return Ok(text);
    }
    Err(Leak { report: report.to_owned(), secrets })
}
