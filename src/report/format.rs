//! The formats of a report that is written to a file.
use super::{Dialect, RenderError, html, json, junit, markdown};
use crate::model::run::Run;
use std::fmt;
use std::str::FromStr;

/// A report that is written to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `run.json`, see [`json()`].
    Json,
    /// `junit.xml` in the common dialect, see [`junit()`].
    Junit,
    /// `junit-strict.xml`, the same in the strict one.
    JunitStrict,
    /// `report.md`, see [`markdown()`].
    Markdown,
    /// `report.html`, see [`html()`].
    Html,
}

impl Format {
    /// The default formats, in this order.
    pub const DEFAULT: [Format; 4] = [Format::Json, Format::Junit, Format::Markdown, Format::Html];

    /// All formats.
    pub const ALL: [Format; 5] =
        [Format::Json, Format::Junit, Format::JunitStrict, Format::Markdown, Format::Html];

    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Junit => "junit",
            Format::JunitStrict => "junit-strict",
            Format::Markdown => "markdown",
            Format::Html => "html",
        }
    }

    /// The name of the file that it is written to.
    pub fn file_name(self) -> &'static str {
        match self {
            Format::Json => "run.json",
            Format::Junit => "junit.xml",
            Format::JunitStrict => "junit-strict.xml",
            Format::Markdown => "report.md",
            Format::Html => "report.html",
        }
    }

    /// The run in this format, ending with a newline.
    ///
    /// # Errors
    /// An internal error, see [`RenderError`].
    pub fn render(self, run: &Run) -> Result<String, RenderError> {
        match self {
            Format::Json => json(run),
            Format::Junit => Ok(junit(run, Dialect::Common)),
            Format::JunitStrict => Ok(junit(run, Dialect::Strict)),
            Format::Markdown => markdown(run),
            Format::Html => html(run),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Format::ALL
            .into_iter()
            .find(|f| f.as_str() == text)
            .ok_or_else(|| UnknownFormat(text.to_owned()))
    }
}

/// A word that is not a [`Format`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a report format; use json, junit, junit-strict, markdown or html")]
pub struct UnknownFormat(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_found_by_its_name() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        assert!("pdf".parse::<Format>().unwrap_err().to_string().contains("markdown"));
    }
}
