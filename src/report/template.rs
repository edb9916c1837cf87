//! The templates of the reports for people: compiled once, with the filters that they call.
//!
//! Every text that a template prints is cut, made visible and escaped for its format, unless a filter
//! has made it ready before: forgetting a filter can make a page ugly, but never unsafe.
use super::digest::{self, VALUE_LIMIT};
use super::text::{self, cut};
use super::{html, markdown};
use crate::outcome::{Level, Mark, RequirementVerdict};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};
use std::sync::LazyLock;

/// The page for a browser.
pub(super) const HTML: &str = "report.html";

/// The page for a forge.
pub(super) const MARKDOWN: &str = "report.md";

/// A report that could not be made, so that nothing of it is written. No run can cause it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{report} cannot be rendered: {cause}; please report this internal error")]
pub struct RenderError {
    /// The name of its file.
    report: &'static str,
    /// What is wrong with its template or the values it was given.
    cause: String,
}

/// The template with this name, rendered with these values.
///
/// # Errors
/// The templates do not compile, or this one asks for something that it was not given.
pub(super) fn render(report: &'static str, values: Value) -> Result<String, RenderError> {
    static TEMPLATES: LazyLock<Result<Environment<'static>, Error>> = LazyLock::new(environment);
    let failed = |error: &Error| RenderError { report, cause: error.to_string() };
    let template = TEMPLATES.as_ref().map_err(failed)?.get_template(report);
    template.and_then(|template| template.render(values)).map_err(|error| failed(&error))
}

/// The columns of the tables, what wants attention first.
pub(super) const VERDICTS: [RequirementVerdict; 7] = [
    RequirementVerdict::Failed,
    RequirementVerdict::Errored,
    RequirementVerdict::Blocked,
    RequirementVerdict::Warned,
    RequirementVerdict::Passed,
    RequirementVerdict::Skipped,
    RequirementVerdict::Untested,
];

fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build()?,
    );
    environment.set_auto_escape_callback(|name| match name {
        HTML => AutoEscape::Html,
        _ => AutoEscape::Custom(MARKDOWN.into()),
    });
    environment.set_formatter(print);
    environment.add_global("verdicts", VERDICTS.map(RequirementVerdict::as_str).to_vec());
    environment.add_filter("duration", text::duration);
    environment.add_filter("plural", text::count);
    environment.add_filter("link", |url: &str| text::safe_link(url).map(String::from));
    environment.add_filter("level_words", |level: Serde<Level>, mark: Serde<Mark>| {
        digest::level_words(level.0, mark.0)
    });
    environment.add_filter("anchor", |id: &str, kind: &str| ready(html::anchor(kind, id)));
    environment.add_filter("lines", |text: &str| ready(html::lines(text)));
    environment.add_function("difference", html::difference);
    environment.add_filter("code", |text: &str| ready(markdown::code(text)));
    environment.add_filter("cell", |text: &str| ready(markdown::code_in_table(text)));
    environment
        .add_filter("fence", |text: &str, language: &str| ready(markdown::fence(language, text)));
    environment.add_template(HTML, include_str!("report.html.j2"))?;
    environment.add_template(MARKDOWN, include_str!("report.md.j2"))?;
    Ok(environment)
}

/// Text that is printed as it is.
fn ready(text: String) -> Value {
    Value::from_safe_string(text)
}

/// Prints a value of a template: a number, or a text, on one line if it is not ready.
fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match (value.as_str(), value.kind()) {
        (Some(text), _) if value.is_safe() => out.write_str(text)?,
        (Some(text), _) if *state.auto_escape() == AutoEscape::Html => {
            out.write_str(&html::line(text))?;
        }
        (Some(text), _) => out.write_str(&markdown::prose(&cut(text, VALUE_LIMIT)))?,
        (None, ValueKind::Number) => write!(out, "{value}")?,
        (None, kind) => {
            return Err(Error::new(ErrorKind::InvalidOperation, format!("{kind} is no text")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    #[test]
    fn what_a_template_lacks_is_an_error_that_names_the_report() {
        for report in [HTML, MARKDOWN] {
            let error = render(report, context! {}).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{report} cannot be rendered: ")), "{error}");
        }
    }

    #[test]
    fn only_texts_and_numbers_are_printed_and_all_texts_are_inert() {
        let environment = environment().unwrap();
        let printed = |name: &str, value: Value| {
            environment.render_named_str(name, "{{ it }}", context! { it => value })
        };
        assert_eq!(printed(HTML, "<a>\n\u{1b}[1mb".into()).unwrap(), "&lt;a&gt; b");
        assert_eq!(printed(MARKDOWN, "<a>\n@b".into()).unwrap(), "&lt;a&gt; @<!-- -->b");
        for name in [HTML, MARKDOWN] {
            assert_eq!(printed(name, 7.into()).unwrap(), "7");
            assert!(
                printed(name, "x".repeat(1_001).into()).unwrap().ends_with("(1 more characters)")
            );
            for not_text in [Value::from(()), Value::UNDEFINED, vec!["a"].into(), true.into()] {
                assert!(printed(name, not_text.clone()).is_err(), "{not_text:?}");
            }
        }
    }
}
