//! Reports: one file a format, all pure functions of one run.
//!
//! | function | for |
//! |---|---|
//! | [`json()`], [`read`] | programs; `run.json` is the value itself |
//! | [`junit()`] | continuous integration |
//! | [`markdown()`], [`html()`] | people, on a forge and in a browser |
//! | [`terminal()`] | people, at the end of a run |
//! | [`one_line`] | a single sentence on a terminal |
//! | [`curl()`] | sending one request again |
//! | [`github_annotations`] | GitHub Actions |
//! | [`compare_table`], [`compare_markdown`], [`compare_json`] | several runs side by side |
//!
//! [`Publisher`] looks through each of them before it is shown: none that holds a secret leaves the
//! program. It takes a run that came through redaction and no other; the functions above take any.
//!
//! Text from a server is inert in all of them: no markup, no terminal sequence, no workflow command.
//! Only [`write_all`] and [`try_writing`] touch the file system.
mod compare;
mod context;
mod curl;
mod difference;
mod digest;
mod github;
mod html;
mod json;
mod junit;
mod last_check;
mod markdown;
mod plain;
mod template;
mod terminal;
mod text;
mod write;

pub use compare::{compare_json, compare_markdown, compare_table};
pub use curl::{SECRETS_NOTE, curl};
pub use github::github_annotations;
pub use html::html;
pub use json::{ReadError, json, read};
pub use junit::{Dialect, junit};
pub use last_check::{Publisher, Withheld, checked};
pub use markdown::markdown;
pub use plain::exchange_text;
pub use template::RenderError;
pub use terminal::terminal;
pub use text::one_line;
pub use write::{WriteError, Written, try_writing, write_all};

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
