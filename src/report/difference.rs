//! The difference of two short texts, so that readers need not compare them letter by letter.

/// A text in three parts, the middle one being what the other text does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marked<'a> {
    /// The same in both texts.
    pub before: &'a str,
    /// The part that differs; may be empty.
    pub differs: &'a str,
    /// The same in both texts.
    pub after: &'a str,
}

/// Both texts, cut where they begin to differ and where they agree again. The cuts are between
/// words, because whole words are easier to read than marked parts of words.
pub(super) fn difference<'a>(one: &'a str, other: &'a str) -> (Marked<'a>, Marked<'a>) {
    let (a, b) = (words(one), words(other));
    let same = |(x, y): &(&&str, &&str)| x == y;
    let before = a.iter().zip(&b).take_while(same).count();
    let (a, b) = (a.get(before..).unwrap_or_default(), b.get(before..).unwrap_or_default());
    let after = a.iter().rev().zip(b.iter().rev()).take_while(same).count();
    (marked(one, a, after), marked(other, b, after))
}

/// `rest` are the last words of `text`, and the last `after` of them are shared.
fn marked<'a>(text: &'a str, rest: &[&str], after: usize) -> Marked<'a> {
    let length = |words: &[&str]| words.iter().map(|w| w.len()).sum::<usize>();
    let shared = rest.get(rest.len().saturating_sub(after)..).unwrap_or_default();
    let (text, after) = split_from_end(text, length(shared));
    let (before, differs) = split_from_end(text, length(rest) - length(shared));
    Marked { before, differs, after }
}

fn split_from_end(text: &str, bytes: usize) -> (&str, &str) {
    text.split_at_checked(text.len().saturating_sub(bytes)).unwrap_or((text, ""))
}

/// Runs of letters, digits and underscores, and every other character alone.
fn words(text: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = match is_word(first) {
            true => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (word, more) = rest.split_at(end);
        words.push(word);
        rest = more;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(marked: Marked<'_>) -> [&str; 3] {
        [marked.before, marked.differs, marked.after]
    }

    #[test]
    fn whole_words_are_marked() {
        let (one, other) = difference("status 400", "status 500 with errcode \"M_UNKNOWN\"");
        assert_eq!(parts(one), ["status ", "400", ""]);
        assert_eq!(parts(other), ["status ", "500 with errcode \"M_UNKNOWN\"", ""]);
        let (one, other) = difference("@alice:hs.example", "@Alice:hs.example");
        assert_eq!(parts(one), ["@", "alice", ":hs.example"]);
        assert_eq!(parts(other), ["@", "Alice", ":hs.example"]);
    }

    #[test]
    fn what_is_only_added_leaves_the_other_side_bare() {
        let (one, other) = difference("a, b", "a, a, b");
        assert_eq!(parts(one), ["a, ", "", "b"]);
        assert_eq!(parts(other), ["a, ", "a, ", "b"]);
        assert_eq!(parts(difference("same", "same").0), ["same", "", ""]);
        assert_eq!(parts(difference("", "x").1), ["", "x", ""]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(one in any::<String>(), other in any::<String>()) {
            let (a, b) = difference(&one, &other);
            prop_assert_eq!(parts(a).concat(), &*one);
            prop_assert_eq!(parts(b).concat(), &*other);
            prop_assert_eq!((a.before, a.after), (b.before, b.after));
        }
    }
}
