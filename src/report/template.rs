//! Compiling and rendering the templates of the reports for people.
//!
//! Every text that a template prints is cut, made visible and escaped for its format, unless a filter
//! of that format has made it ready before: a filter that is forgotten can make a page ugly, but never
//! unsafe.
use super::RenderError;
use super::digest;
use super::text;
use crate::model::run::{Level, Mark};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, UndefinedBehavior};
use std::sync::LazyLock;

/// A template, compiled when it is first rendered.
pub(super) struct Template {
    /// The name of the report's file.
    report: &'static str,
    environment: LazyLock<Result<Environment<'static>, Error>>,
}

impl Template {
    /// The template of this report, which is in the environment that `compile` makes.
    pub(super) const fn new(
        report: &'static str,
        compile: fn() -> Result<Environment<'static>, Error>,
    ) -> Template {
        Template { report, environment: LazyLock::new(compile) }
    }

    /// The report with these values.
    ///
    /// # Errors
    /// The template does not compile, or asks for something that it was not given.
    pub(super) fn render(&self, values: Value) -> Result<String, RenderError> {
        let failed = |error: &Error| RenderError::new(self.report, error);
        let template = self.environment.as_ref().map_err(failed)?.get_template(self.report);
        template.and_then(|template| template.render(values)).map_err(|error| failed(&error))
    }
}

/// An environment for the templates of one format, with the filters that all formats have; `escape` makes
/// a text ready to be printed.
pub(super) fn environment(escape: fn(&str) -> String) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build()?,
    );
    // What a macro has printed is ready.
    environment.set_auto_escape_callback(|report| AutoEscape::Custom(report.to_owned().into()));
    environment.set_formatter(move |out, _, value| print(out, value, escape));
    environment.add_filter("duration", text::duration);
    environment.add_filter("plural", text::count);
    environment.add_filter("level_words", |level: Serde<Level>, mark: Serde<Mark>| {
        digest::level_words(level.0, mark.0)
    });
    Ok(environment)
}

/// Text that is printed as it is.
pub(super) fn ready(text: String) -> Value {
    Value::from_safe_string(text)
}

/// Prints a value of a template, which is a text or a number.
fn print(out: &mut Output<'_>, value: &Value, escape: fn(&str) -> String) -> Result<(), Error> {
    match (value.as_str(), value.kind()) {
        (Some(text), _) if value.is_safe() => out.write_str(text)?,
        (Some(text), _) => out.write_str(&escape(text))?,
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

    static GREETING: Template = Template::new("a.txt", || {
        let mut environment = environment(str::to_uppercase)?;
        environment.add_template("a.txt", "{% macro m() %}a {{ it }}{% endmacro %}{{ m() }} b")?;
        Ok(environment)
    });
    static BROKEN: Template = Template::new("b.txt", || {
        let mut environment = environment(str::to_uppercase)?;
        environment.add_template("b.txt", "{% if %}")?;
        Ok(environment)
    });

    fn greeting(it: impl Into<Value>) -> Result<String, RenderError> {
        GREETING.render(context! { it => it.into() })
    }

    #[test]
    fn texts_are_escaped_once_and_numbers_as_they_are() {
        assert_eq!(greeting("it").unwrap(), "a IT b");
        assert_eq!(greeting(ready("it".into())).unwrap(), "a it b");
        assert_eq!(greeting(7).unwrap(), "a 7 b");
    }

    #[test]
    fn what_cannot_be_printed_is_an_error_that_names_the_report() {
        for it in [Value::UNDEFINED, ().into(), true.into(), vec!["it"].into(), context! {}] {
            let error = greeting(it).unwrap_err().to_string();
            assert!(error.starts_with("a.txt cannot be rendered: "), "{error}");
        }
        assert!(GREETING.render(context! {}).is_err());
        let error = BROKEN.render(context! {}).unwrap_err().to_string();
        assert!(error.starts_with("b.txt cannot be rendered: syntax error"), "{error}");
    }
}
