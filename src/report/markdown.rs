//! `report.md`: for a job summary or a comment on a forge. The answer first, then the numbers, then
//! only what is not passed.
use super::RenderError;
use super::context;
use super::digest::VALUE_LIMIT;
use super::template::{self, Template, ready};
use super::text::{cut, one_line, safe_link, visible};
use crate::model::run::Run;
use minijinja::context;
use minijinja::value::Value;
use std::sync::atomic::{AtomicUsize, Ordering};

/// GitHub drops a whole summary over 1 MiB, so the report ends well before.
const LIMIT: usize = 900 * 1024;
/// Where the list of issues ends, so that there is room for what was not decided.
const ISSUES_LIMIT: usize = 700 * 1024;
/// What is kept free for headings, and for the line at the end of each list that counts the rest.
const RESERVE: usize = 16 * 1024;

/// The run as Markdown (GitHub's flavour; plain CommonMark with tables suffices), under 900 KiB.
///
/// Whatever does not fit is counted (`N more …, see run.json`). Text that a server or a file wrote is
/// inert: no link, no mention, no markup.
///
/// # Errors
/// An internal error: the template does not fit the values it is given.
pub fn markdown(run: &Run) -> Result<String, RenderError> {
    PAGE.render(context! {
        fits => fits(),
        limit => LIMIT,
        issues_limit => ISSUES_LIMIT,
        ..context::of(run)
    })
}

static PAGE: Template = Template::new("report.md", || {
    let mut environment = template::environment(|text| prose(&cut(text, VALUE_LIMIT)))?;
    environment.add_filter("code", |text: &str| ready(code(text)));
    environment.add_filter("code_in_table", |text: &str| ready(code_in_table(text)));
    environment.add_filter("fence", |text: &str, language: &str| ready(fence(language, text)));
    environment.add_filter("link", |url: &str| safe_link(url).map(|url| ready(format!("<{url}>"))));
    environment.add_template("report.md", include_str!("report.md.j2"))?;
    Ok(environment)
});

/// A function for the template, which asks it before it prints a block: whether the block fits below a
/// limit, after all that did before.
fn fits() -> Value {
    let used = AtomicUsize::new(0);
    Value::from_function(move |block: &str, limit: usize| {
        // The blank line before the block counts.
        let after = used.load(Ordering::Relaxed) + block.len() + 1;
        let fits = after + RESERVE <= limit;
        if fits {
            used.store(after, Ordering::Relaxed);
        }
        fits
    })
}

/// Text as prose, on one line, with everything escaped that Markdown or a forge would act on.
pub(super) fn prose(text: &str) -> String {
    let text = one_line(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // An address or a mention is found after escapes are resolved; a comment cuts it in two.
            '@' | '#' if rest.peek().is_some() => {
                out.push(c);
                out.push_str("<!-- -->");
            }
            ':' if rest.peek() == Some(&'/') => out.push_str("&#58;"),
            '.' if ends_with_www(&out) => out.push_str("&#46;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '!' => {
                out.push('\\');
                out.push(c);
            }
            // At the start of a line these would begin a list, a heading or a rule.
            '-' | '+' | '=' | '#' if out.is_empty() => {
                out.push('\\');
                out.push(c);
            }
            '.' | ')' if is_list_number(&out, rest.peek()) => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// Whether a full stop here would make a forge take what follows for a web address.
fn ends_with_www(before: &str) -> bool {
    let tail = before.len().checked_sub(3).and_then(|start| before.get(start..));
    tail.is_some_and(|t| t.eq_ignore_ascii_case("www"))
}

/// Whether a full stop or bracket here would make a numbered list of the line.
fn is_list_number(before: &str, next: Option<&char>) -> bool {
    before.chars().all(|c| c.is_ascii_digit()) && next.is_none_or(|c| *c == ' ')
}

/// Text as a code span, on one line and cut; what Markdown or a forge would act on stays text in it.
fn code(text: &str) -> String {
    let text = one_line(&cut(text, VALUE_LIMIT));
    if text.is_empty() {
        return "(empty)".into();
    }
    let ticks = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

/// [`code`] for the cell of a table, where a pipe needs a backslash even in a code span.
pub(super) fn code_in_table(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// Text as a fenced block; the fence is longer than any run of backticks in the text.
fn fence(language: &str, text: &str) -> String {
    let text = visible(text);
    let ticks = "`".repeat(longest_run(&text).max(2) + 1);
    format!("{ticks}{language}\n{text}\n{ticks}")
}

/// The length of the longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_fits_below_a_limit_after_all_that_fitted_before() {
        let (fits, environment) = (fits(), minijinja::Environment::new());
        let mut state = environment.empty_state();
        let mut ask = |bytes: usize, limit: usize| {
            let args = ["x".repeat(bytes).into(), (limit + RESERVE).into()];
            fits.call(&mut state, &args).unwrap().is_true()
        };
        assert!(ask(49, 50), "with its blank line");
        assert!(!ask(50, 100));
        assert!(ask(49, 100), "what did not fit does not count");
        assert!(!ask(0, 100));
    }

    #[test]
    fn prose_is_inert() {
        let cases = [
            ("a | b", r"a \| b"),
            ("<b>&", "&lt;b&gt;&amp;"),
            ("ask @alice", "ask @<!-- -->alice"),
            ("[x](http://evil)", r"\[x\](http&#58;//evil)"),
            ("www.evil.example", "www&#46;evil.example"),
            ("# no heading", "#<!-- --> no heading"),
            ("- no item", r"\- no item"),
            ("1. no item", r"1\. no item"),
            ("two\nlines", "two lines"),
        ];
        for (text, expected) in cases {
            assert_eq!(prose(text), expected);
        }
    }

    #[test]
    fn no_text_ends_its_own_fence_or_span() {
        assert_eq!(fence("http", "a\n````\nb"), "`````http\na\n````\nb\n`````");
        assert_eq!(code("a `` b"), "```a `` b```");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(code(""), "(empty)");
        assert_eq!(code_in_table("a|b"), "`a\\|b`");
    }
}
