//! Places in answers.
use crate::yaml::document::de::checked;
use crate::yaml::document::{pointer_below, pointer_tokens};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// A JSON Pointer in which `*` stands for any one key or index, and a trailing `**` for that place
/// and everything below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PointerPattern {
    /// None for any.
    keys: Vec<Option<String>>,
    below: bool,
}

impl PointerPattern {
    /// Reads a pattern; none if it is neither empty nor begins with `/`, or has `**` elsewhere than
    /// at its end.
    pub fn parse(text: &str) -> Option<PointerPattern> {
        if !(text.is_empty() || text.starts_with('/')) {
            return None;
        }
        let (text, below) = match text.strip_suffix("/**") {
            Some(before) => (before, true),
            None => (text, false),
        };
        let key = |token: &str| match token {
            "**" => None,
            "*" => Some(None),
            name => Some(Some(name.to_owned())),
        };
        let keys = pointer_tokens(text).map(|token| key(&token)).collect::<Option<_>>()?;
        Some(PointerPattern { keys, below })
    }

    /// Returns true if a JSON Pointer is one of its places.
    pub fn matches(&self, pointer: &str) -> bool {
        let mut tokens = pointer_tokens(pointer);
        let fits = |key: &Option<String>| {
            tokens.next().is_some_and(|token| key.as_deref().is_none_or(|name| name == token))
        };
        self.keys.iter().all(fits) && (self.below || tokens.next().is_none())
    }

    /// Two patterns with a common place compare as described at [`SchemaRule`].
    pub(super) fn specificity(&self) -> Vec<u8> {
        // Where one pattern ends and matches, the other one matches too only if it has `**` there.
        let end = if self.below { 0 } else { 1 };
        self.keys.iter().map(|key| if key.is_some() { 2 } else { 1 }).chain([end]).collect()
    }
}

impl fmt::Display for PointerPattern {
    /// As it is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.iter().map(|key| key.as_deref().unwrap_or("*"));
        let text = keys.fold(String::new(), |text, key| match key {
            "*" => text + "/*",
            name => pointer_below(&text, name),
        });
        f.write_str(&text)?;
        f.write_str(if self.below { "/**" } else { "" })
    }
}

impl<'d> Deserialize<'d> for PointerPattern {
    fn deserialize<D: Deserializer<'d>>(source: D) -> Result<PointerPattern, D::Error> {
        const FORM: &str = "this must be a JSON Pointer, with `*` for any key and `**` at its end";
        checked(source, |text: String| PointerPattern::parse(&text).ok_or(FORM))
    }
}
