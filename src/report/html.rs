//! `report.html`: one file for a browser, which loads nothing and is whole without its script.
//!
//! Style and script are constant: the page's policy names them by their hashes, so that nothing else
//! can take effect, whatever a server says.
use super::context;
use super::difference;
use super::digest::VALUE_LIMIT;
use super::template::{self, RenderError};
use super::text::{cut, one_line, visible};
use crate::outcome::Run;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::Value;
use minijinja::{HtmlEscape, context};
use sha2::{Digest as _, Sha256};

/// How the page looks.
const STYLE: &str = include_str!("report.css");

/// What the page does: filters, copying, unfolding, the choice of a theme.
const SCRIPT: &str = include_str!("report.js");

/// The run as a self-contained HTML page, whose policy forbids every load, every other style and script
/// than its own, and markup made by the script.
///
/// Passed cases appear with their verdict alone; their exchanges are in `run.json`.
///
/// # Errors
/// An internal error: the template does not fit the values it is given.
pub fn html(run: &Run) -> Result<String, RenderError> {
    let page = context! { style => inline(STYLE), script => inline(SCRIPT), ..context::of(run) };
    template::render(template::HTML, page)
}

/// A text of ours that is in the page as it is, and how the policy names it.
fn inline(text: &str) -> Value {
    // A browser hashes what it has parsed, which has no carriage returns.
    let text = text.replace("\r\n", "\n");
    let hash = format!("sha256-{}", STANDARD.encode(Sha256::digest(&text)));
    context! { text => Value::from_safe_string(text), hash => Value::from_safe_string(hash) }
}

/// The fragment under which something of this kind is found.
pub(super) fn anchor(kind: &str, id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    format!("{kind}-{}", id.chars().map(plain).collect::<String>())
}

/// Text on one line, not too long, escaped.
pub(super) fn line(text: &str) -> String {
    escape(&one_line(&cut(text, VALUE_LIMIT)))
}

/// Text on the lines that it has, escaped.
pub(super) fn lines(text: &str) -> String {
    escape(&visible(text))
}

fn escape(text: &str) -> String {
    HtmlEscape(text).to_string()
}

/// Two texts, not too long, each with what is `before` the part that `differs` from the other, and what
/// is `after` it.
pub(super) fn difference(expected: &str, actual: &str) -> Vec<Value> {
    let lines = |text| visible(&cut(text, VALUE_LIMIT));
    let (expected, actual) = (lines(expected), lines(actual));
    let (expected, actual) = difference::difference(&expected, &actual);
    let part = |text: &str| Value::from_safe_string(escape(text));
    let side = |of: difference::Marked<'_>| {
        context! { before => part(of.before), differs => part(of.differs), after => part(of.after) }
    };
    vec![side(expected), side(actual)]
}
