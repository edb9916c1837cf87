//! Near misses of a value: `$session.shortened` is nearly what `$session` is, and never equal to it.
use strum::{Display, EnumString, VariantArray};

/// A way to get a value nearly right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, EnumString, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum NearMiss {
    /// Without its last three characters.
    Shortened,
    /// Its first half.
    Halved,
    /// With its letters beyond `f` in the other case, since a server that keeps tokens as numbers may read
    /// hexadecimal digits in either case.
    OtherCase,
}

impl NearMiss {
    /// The name and the way in `NAME.shortened`; none if the end is no such word, or if the name is of a password:
    /// wrong passwords are counted, and have members of their own.
    pub fn of(name: &str) -> Option<(&str, NearMiss)> {
        let (base, word) = name.rsplit_once('.')?;
        let of_password = base.rsplit('.').next().is_some_and(|last| last.starts_with("password"));
        let miss = word.parse().ok()?;
        (!of_password).then_some((base, miss))
    }

    /// A text that is nearly this one. What is too short to be cut gets a letter more.
    pub fn apply(self, text: &str) -> String {
        let count = text.chars().count();
        let start = |length: usize| text.chars().take(length).collect::<String>();
        let near = match self {
            NearMiss::Shortened => start(count.saturating_sub(3)),
            NearMiss::Halved => start(count / 2),
            NearMiss::OtherCase => text.chars().map(in_other_case).collect(),
        };
        if near.is_empty() || near == text { format!("{text}z") } else { near }
    }
}

fn in_other_case(c: char) -> char {
    match c {
        'g'..='z' => c.to_ascii_uppercase(),
        'G'..='Z' => c.to_ascii_lowercase(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_never_the_value_itself() {
        for text in ["", "a", "abc", "abcd", "syt_aBcD_99", "12345678", "ключ", "ZZZZ"] {
            for miss in NearMiss::VARIANTS {
                let near = miss.apply(text);
                assert!(near != text && !near.is_empty(), "{text} {miss}");
            }
        }
        assert_eq!(NearMiss::Shortened.apply("abcdef"), "abc");
        assert_eq!(NearMiss::Halved.apply("abcdefg"), "abc");
        assert_eq!(NearMiss::OtherCase.apply("syt_aBcZ"), "SYT_aBcz");
    }

    #[test]
    fn passwords_have_none() {
        assert_eq!(NearMiss::of("session.halved"), Some(("session", NearMiss::Halved)));
        assert_eq!(
            NearMiss::of("alice.token.shortened"),
            Some(("alice.token", NearMiss::Shortened))
        );
        for name in ["alice.password.shortened", "new.password_2.halved", "session", "alice.token"]
        {
            assert_eq!(NearMiss::of(name), None, "{name}");
        }
    }
}
