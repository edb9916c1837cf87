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
#[cfg(feature = "cli")]
mod compare;
#[cfg(feature = "cli")]
mod context;
mod curl;
#[cfg(feature = "cli")]
mod difference;
#[cfg(feature = "cli")]
mod digest;
#[cfg(feature = "cli")]
mod format;
#[cfg(feature = "cli")]
mod github;
#[cfg(feature = "cli")]
mod html;
#[cfg(feature = "cli")]
mod json;
#[cfg(feature = "cli")]
mod junit;
mod last_check;
#[cfg(feature = "cli")]
mod markdown;
mod plain;
#[cfg(feature = "cli")]
mod template;
#[cfg(feature = "cli")]
mod terminal;
mod text;
#[cfg(feature = "cli")]
mod write;

pub use curl::{SECRETS_NOTE, curl};
pub use last_check::{Publisher, RenderError, Withheld, checked};
pub use plain::exchange_text;
pub use text::one_line;

#[cfg(feature = "cli")]
pub use self::{
    compare::{compare_json, compare_markdown, compare_table},
    format::{Format, UnknownFormat},
    github::github_annotations,
    html::html,
    json::{ReadError, json, read},
    junit::{Dialect, junit},
    markdown::markdown,
    terminal::terminal,
    write::{WriteError, Written, try_writing, write_all},
};
