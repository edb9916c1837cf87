//! `report.html`: one file for a browser, which loads nothing and is whole without its script.
//!
//! Style and script are constant: the page's policy names them by their hashes, so that nothing else
//! can take effect, whatever a server says.
use super::RenderError;
use super::context;
use super::difference::{Marked, difference};
use super::digest::VALUE_LIMIT;
use super::template::{self, Template, ready};
use super::text::{anchor, cut, one_line, safe_link, visible};
use crate::model::run::Run;
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
    PAGE.render(context! { style => inline(STYLE), script => inline(SCRIPT), ..context::of(run) })
}

static PAGE: Template = Template::new("report.html", || {
    let mut environment = template::environment(line)?;
    environment.add_filter("anchor", |id: &str, kind: &str| ready(anchor(kind, id)));
    environment.add_filter("lines", |text: &str| ready(escape(&visible(text))));
    environment.add_filter("link", |url: &str| safe_link(url).map(|url| ready(escape(url))));
    environment.add_function("difference", sides);
    environment.add_template("report.html", include_str!("report.html.j2"))?;
    Ok(environment)
});

/// A text of ours that is in the page as it is, and how the policy names it.
fn inline(text: &str) -> Value {
    // A browser hashes what it has parsed, which has no carriage returns.
    let text = text.replace("\r\n", "\n");
    let hash = format!("sha256-{}", STANDARD.encode(Sha256::digest(&text)));
    context! { text => ready(text), hash }
}

/// Text on one line, not too long, escaped.
fn line(text: &str) -> String {
    escape(&one_line(&cut(text, VALUE_LIMIT)))
}

fn escape(text: &str) -> String {
    HtmlEscape(text).to_string()
}

/// Two texts, not too long, each with what is `before` the part that `differs` from the other, and what
/// is `after` it.
fn sides(expected: &str, actual: &str) -> Vec<Value> {
    let lines = |text| visible(&cut(text, VALUE_LIMIT));
    let (expected, actual) = (lines(expected), lines(actual));
    let (expected, actual) = difference(&expected, &actual);
    let part = |text: &str| ready(escape(text));
    let side = |of: Marked<'_>| {
        context! { before => part(of.before), differs => part(of.differs), after => part(of.after) }
    };
    vec![side(expected), side(actual)]
}
