//! The last look at what is about to be written or printed: whether it still holds a secret.
use super::RenderError;
use crate::outcome::Run;
use crate::secret::Redactor;

/// A report that is not shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Withheld {
    /// It would hold secrets. They are replaced before a [`Run`] exists, so this is a fault of homespec.
    #[error("{report} is withheld: it would hold {}; please report this fault of homespec", .secrets.join(", "))]
    Leak {
        /// The report, by the name of its file or in words.
        report: String,
        /// The names of the secrets.
        secrets: Vec<String>,
    },
    /// It could not be rendered.
    #[error(transparent)]
    NotRendered(#[from] RenderError),
}

/// What `render` makes of a run, if there is no secret in it; `report` is what to call it.
///
/// Secrets that are words of our own, such as the password `password`, are looked for only in what
/// others wrote: they stand in every report, and give nothing away there.
///
/// # Errors
/// It would hold a secret that was not replaced, or could not be rendered.
pub fn sealed(
    report: &str,
    run: &Run,
    redactor: &Redactor,
    render: impl Fn(&Run) -> Result<String, RenderError>,
) -> Result<String, Withheld> {
    let text = render(run)?;
    let mut secrets = redactor.found_in(&text);
    if !secrets.is_empty() {
        let ours = render(&run.clone().with_foreign_texts(&|_| String::new()))?;
        let words = redactor.found_in(&ours);
        secrets.retain(|name| !words.contains(name));
    }
    if secrets.is_empty() {
        return Ok(text);
    }
    Err(Withheld::Leak { report: report.to_owned(), secrets })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::template::{Template, environment};

    static BROKEN: Template = Template::new("report.html", || environment(str::to_owned));

    #[test]
    fn what_cannot_be_rendered_is_withheld_with_one_sentence() {
        let run = serde_json::from_str(include_str!("../../tests/golden/clean.run.json")).unwrap();
        let failing = |_: &Run| BROKEN.render(minijinja::context! {});
        let why = sealed("report.html", &run, &Redactor::none(), failing).unwrap_err();
        assert!(matches!(why, Withheld::NotRendered(_)));
        let why = why.to_string();
        assert!(
            why.starts_with("report.html cannot be rendered: ") && !why.contains('\n'),
            "{why}"
        );
    }
}
