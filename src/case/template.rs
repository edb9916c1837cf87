//! References inside the values of a case: `$alice.user_id`, `${new.device_id}-x`, `$$`.
//!
//! A string that is one reference keeps the JSON type of what it names; `${…}` stands inside a
//! longer string and needs a scalar; `$$` is a dollar. Any other dollar is an error.
use crate::yaml::document::{pointer_below, pointer_token};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// Error in a string with a dollar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// A dollar that starts no reference.
    #[error("a `$` that starts no reference; write `$$` for a dollar")]
    LoneDollar,
    /// `${` without its brace.
    #[error("`${{` without a closing `}}`")]
    Unclosed,
    /// Something between the braces that is no name.
    #[error(
        "`{0}` is not a reference: names are lower-case letters, digits and `_`, joined by dots"
    )]
    BadName(String),
}

/// Reason why a value cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// The string is not well formed; the loader refuses such files.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// Nothing of that name is known at this step.
    #[error("`${0}` has no value here")]
    Unresolved(String),
    /// An object or a list was asked for inside a string.
    #[error("`${{{0}}}` is inside a string, but its value is not a scalar")]
    NotScalar(String),
}

/// Where references find their values.
pub trait Scope {
    /// The value of a dotted name without its dollar, or nothing.
    fn get(&self, name: &str) -> Option<Value>;
}

impl<F: Fn(&str) -> Option<Value>> Scope for F {
    fn get(&self, name: &str) -> Option<Value> {
        self(name)
    }
}

/// A piece of a string: text, or a reference by its dotted name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Plain text, dollars already unescaped.
    Text(String),
    /// `$name` as the whole string: keeps its type.
    Whole(String),
    /// `${name}` inside a string.
    Inside(String),
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Piece::Text(text) => f.write_str(&text.replace('$', "$$")),
            Piece::Whole(name) => write!(f, "${name}"),
            Piece::Inside(name) => write!(f, "${{{name}}}"),
        }
    }
}

/// Cuts a string into text and references.
pub fn pieces(text: &str) -> Result<Vec<Piece>, SyntaxError> {
    if let Some(name) = whole_reference(text) {
        return Ok(vec![Piece::Whole(name.to_owned())]);
    }
    let (mut found, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find('$') {
        plain.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            plain.push('$');
            rest = tail;
        } else if let Some(tail) = after.strip_prefix('{') {
            let end = tail.find('}').ok_or(SyntaxError::Unclosed)?;
            let name = &tail[..end];
            if !is_name(name) {
                return Err(SyntaxError::BadName(name.to_owned()));
            }
            if !plain.is_empty() {
                found.push(Piece::Text(std::mem::take(&mut plain)));
            }
            found.push(Piece::Inside(name.to_owned()));
            rest = &tail[end + 1..];
        } else {
            return Err(SyntaxError::LoneDollar);
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        found.push(Piece::Text(plain));
    }
    Ok(found)
}

fn whole_reference(text: &str) -> Option<&str> {
    text.strip_prefix('$').filter(|name| is_name(name))
}

/// Returns true if `text` is a dotted name such as `alice.user_id`.
pub fn is_name(text: &str) -> bool {
    text.split('.').all(|part| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    })
}

/// Every reference in a value (keys included) with the JSON Pointer of its string, in order; a
/// string that is not well formed holds none, see [`syntax_errors`].
pub fn references(value: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    each_text(value, "", &mut |text, pointer| {
        for piece in pieces(text).unwrap_or_default() {
            if let Piece::Whole(name) | Piece::Inside(name) = piece {
                found.push((name, pointer.to_owned()));
            }
        }
    });
    found
}

/// Every string of a value (keys included) that is not well formed, with its JSON Pointer, in order.
pub fn syntax_errors(value: &Value) -> Vec<(String, SyntaxError)> {
    let mut found = Vec::new();
    each_text(value, "", &mut |text, pointer| {
        found.extend(pieces(text).err().map(|error| (pointer.to_owned(), error)));
    });
    found
}

/// Looks at every string and key with its JSON Pointer.
fn each_text(value: &Value, pointer: &str, look: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::String(text) => look(text, pointer),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                each_text(item, &format!("{pointer}/{at}"), look);
            }
        }
        Value::Object(members) => {
            for (key, item) in members {
                let below = pointer_below(pointer, key);
                look(key, &below);
                each_text(item, &below, look);
            }
        }
        _ => {}
    }
}

/// Puts values in the place of references, in keys as well.
pub fn fill(value: &Value, scope: &dyn Scope) -> Result<Value, FillError> {
    Ok(match value {
        Value::String(text) => match pieces(text)?.as_slice() {
            [Piece::Whole(name)] => lookup(name, scope)?,
            parts => Value::String(join(parts, scope, |filled| filled.into())?),
        },
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| fill(item, scope)).collect::<Result<_, _>>()?)
        }
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(key, item)| Ok((fill_text(key, scope)?, fill(item, scope)?)))
                .collect::<Result<_, FillError>>()?,
        ),
        other => other.clone(),
    })
}

/// The same for a string that stays a string.
pub fn fill_text(text: &str, scope: &dyn Scope) -> Result<String, FillError> {
    join(&pieces(text)?, scope, |filled| filled.into())
}

/// The same for a JSON Pointer: what is put in is escaped as one reference token.
pub fn fill_pointer(pointer: &str, scope: &dyn Scope) -> Result<String, FillError> {
    join(&pieces(pointer)?, scope, pointer_token)
}

/// A JSON Pointer as a place that is the same in every run: `*` for each token with a reference, and
/// for each index of a list.
pub fn place_of(pointer: &str) -> String {
    let is_index = |token: &str| !token.is_empty() && token.bytes().all(|b| b.is_ascii_digit());
    let token = |token| match is_index(token) || is_filled(token) {
        true => "*",
        false => token,
    };
    pointer.split('/').map(token).collect::<Vec<_>>().join("/")
}

/// Whether a text holds a reference. What is not well formed is refused when it is filled.
fn is_filled(text: &str) -> bool {
    let is_reference = |piece: &Piece| matches!(piece, Piece::Whole(_) | Piece::Inside(_));
    pieces(text).is_ok_and(|pieces| pieces.iter().any(is_reference))
}

fn join(
    parts: &[Piece],
    scope: &dyn Scope,
    written: fn(&str) -> Cow<'_, str>,
) -> Result<String, FillError> {
    let mut whole = String::new();
    for part in parts {
        match part {
            Piece::Text(text) => whole.push_str(text),
            Piece::Whole(name) | Piece::Inside(name) => {
                whole.push_str(&written(&scalar(name, lookup(name, scope)?)?));
            }
        }
    }
    Ok(whole)
}

fn lookup(name: &str, scope: &dyn Scope) -> Result<Value, FillError> {
    scope.get(name).ok_or_else(|| FillError::Unresolved(name.to_owned()))
}

fn scalar(name: &str, value: Value) -> Result<String, FillError> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        _ => Err(FillError::NotScalar(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scope(name: &str) -> Option<Value> {
        match name {
            "n" => Some(json!(7)),
            "alice.user_id" => Some(json!("@a/~b:hs")),
            "list" => Some(json!([1])),
            _ => None,
        }
    }

    #[test]
    fn a_whole_reference_keeps_its_type() {
        assert_eq!(
            fill(&json!({"a": "$n", "b": ["$list"]}), &scope),
            Ok(json!({"a": 7, "b": [[1]]}))
        );
    }

    #[test]
    fn braces_stand_inside_strings_and_keys() {
        assert_eq!(
            fill(&json!({"${alice.user_id}": "x${n}y$$"}), &scope),
            Ok(json!({"@a/~b:hs": "x7y$"}))
        );
    }

    #[test]
    fn pointers_escape_what_is_put_in() {
        assert_eq!(fill_pointer("/k/${alice.user_id}/z", &scope), Ok("/k/@a~1~0b:hs/z".to_owned()));
    }

    #[test]
    fn a_place_holds_nothing_of_the_run() {
        assert_eq!(place_of("/k/${alice.user_id}/z"), "/k/*/z");
        assert_eq!(place_of("/k/x${n}y"), "/k/*");
        assert_eq!(place_of("/k/12/a1"), "/k/*/a1");
        assert_eq!(place_of(""), "");
    }

    #[test]
    fn what_cannot_be_filled_is_named() {
        assert_eq!(fill(&json!("$who"), &scope), Err(FillError::Unresolved("who".to_owned())));
        assert_eq!(fill(&json!("a${list}"), &scope), Err(FillError::NotScalar("list".to_owned())));
        assert_eq!(pieces("5$"), Err(SyntaxError::LoneDollar));
        assert_eq!(pieces("${a"), Err(SyntaxError::Unclosed));
        assert_eq!(pieces("${A}"), Err(SyntaxError::BadName("A".to_owned())));
    }

    #[test]
    fn references_are_found_with_their_places() {
        let value = json!({"a": ["$n", "x${alice.user_id}", "5$"], "${b": "$n"});
        let found = references(&value);
        assert_eq!(
            found,
            [
                ("n".to_owned(), "/a/0".to_owned()),
                ("alice.user_id".to_owned(), "/a/1".to_owned()),
                ("n".to_owned(), "/${b".to_owned())
            ]
        );
        assert_eq!(
            syntax_errors(&value),
            [
                ("/a/2".to_owned(), SyntaxError::LoneDollar),
                ("/${b".to_owned(), SyntaxError::Unclosed)
            ]
        );
    }
}
