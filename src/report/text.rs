//! Untrusted text, made fit for display.
//!
//! Every report but `run.json` shows text through [`visible`]: nothing in it can move a cursor,
//! reorder a line or break an XML file, and nothing disappears without a trace. `run.json` keeps the
//! text as it came.
use std::borrow::Cow;

/// Replaces a character that cannot be shown.
const REPLACEMENT: char = '\u{fffd}';

/// The text without terminal colour and cursor sequences, with U+FFFD for every other character that
/// has no shape of its own. Newlines (also CR LF, CR) and tabs stay, as LF and tab.
///
/// Only complete CSI sequences are dropped. A filter that follows the whole terminal grammar would
/// also swallow the rest of the text after an unfinished one, and with it the evidence.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = after_csi(rest) {
            rest = after;
            continue;
        }
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '\n' | '\t' => out.push(c),
            '\r' if after.starts_with('\n') => {}
            '\r' => out.push('\n'),
            c if is_shapeless(c) => out.push(REPLACEMENT),
            c => out.push(c),
        }
        rest = after;
    }
    out
}

/// The text after a CSI sequence (`ESC [`, parameters, a final byte) at the start of `text`.
fn after_csi(text: &str) -> Option<&str> {
    let body = text.strip_prefix("\u{1b}[").or_else(|| text.strip_prefix('\u{9b}'))?;
    let end = body.find(|c: char| !(' '..='?').contains(&c))?;
    let (_, tail) = body.split_at_checked(end)?;
    let last = tail.chars().next()?;
    ('@'..='~').contains(&last).then(|| tail.get(1..)).flatten()
}

/// Controls, noncharacters, the marks that reverse the direction of what follows, and the characters
/// that carry text which nobody sees.
fn is_shapeless(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
        || matches!(c, '\u{fdd0}'..='\u{fdef}')
        || (c as u32) & 0xfffe == 0xfffe
}

/// Untrusted text for one line of a terminal: characters that cannot be shown become U+FFFD, and
/// each run of white space one space.
pub fn one_line(text: &str) -> String {
    visible(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first `limit` characters, with the number of missing ones at the end.
pub(super) fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    match text.char_indices().nth(limit) {
        None => Cow::Borrowed(text),
        Some((end, _)) => {
            let left = text.get(end..).map_or(0, |tail| tail.chars().count());
            let head = text.get(..end).unwrap_or_default();
            Cow::Owned(format!("{head}… ({left} more characters)"))
        }
    }
}

/// The text in at most `width` characters, with an ellipsis if it was longer.
pub(super) fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

/// The URL if it can be followed from a report: `http` or `https`, in printable ASCII, with nothing
/// that would end a link in Markdown or HTML.
pub(super) fn safe_link(url: &str) -> Option<&str> {
    let known = url.starts_with("https://") || url.starts_with("http://");
    let inert = |c: char| c.is_ascii_graphic() && !"<>\"'`\\()|".contains(c);
    (known && url.chars().all(inert)).then_some(url)
}

/// The fragment of a page for something of this kind.
pub(super) fn anchor(kind: &str, id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    format!("{kind}-{}", id.chars().map(plain).collect::<String>())
}

/// A number with its noun in singular or plural.
pub(super) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    }
}

/// Milliseconds as `850 ms`, `12.3 s`, `4 min 5 s`.
pub(super) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_sequences_go_and_the_text_around_them_stays() {
        assert_eq!(visible("a\u{1b}[31;1mred\u{1b}[0m b"), "ared b");
        assert_eq!(visible("\u{9b}2Jx"), "x");
    }

    #[test]
    fn an_unfinished_sequence_hides_nothing() {
        assert_eq!(visible("a\u{1b}]0;title and the rest"), "a\u{fffd}]0;title and the rest");
        assert_eq!(visible("a\u{1b}[31"), "a\u{fffd}[31");
        assert_eq!(visible("\u{1b}[é"), "\u{fffd}[é");
    }

    #[test]
    fn shapeless_characters_are_replaced_and_line_ends_are_one_kind() {
        assert_eq!(visible("\0\u{7f}\u{fffe}\u{1ffff}\u{202e}"), "\u{fffd}".repeat(5));
        assert_eq!(visible("a\r\nb\rc\td"), "a\nb\nc\td");
        assert_eq!(one_line(" a\r\n  b\t"), "a b");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 2), "äö… (2 more characters)");
        assert_eq!(fit("abcdef", 4), "abc…");
        assert_eq!(fit("abc", 3), "abc");
    }

    #[test]
    fn only_plain_web_addresses_become_links() {
        assert!(safe_link("https://spec.matrix.org/v1.19/client-server-api/#post_x").is_some());
        for bad in ["javascript:alert(1)", "https://a b", "https://a)b", "https://a\"b", ""] {
            assert_eq!(safe_link(bad), None, "{bad}");
        }
    }

    #[test]
    fn anchors_are_words() {
        assert_eq!(anchor("case", "a-case[r0]#1 \"é\""), "case-a-case-r0--1----");
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(999), "999 ms");
        assert_eq!(duration(12_340), "12.3 s");
        assert_eq!(duration(245_000), "4 min 5 s");
    }
}
