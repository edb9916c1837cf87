//! Unquoted scalars by YAML's core schema.
use serde_json::{Number, Value};
use std::str::FromStr as _;

/// Value of an unquoted scalar by YAML's core schema.
///
/// # Errors
/// A number that JSON cannot hold, in words.
pub(super) fn plain_scalar(text: &str) -> Result<Value, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    // Nothing else that begins otherwise is a number; most scalars are words.
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        return Ok(Value::String(text.to_owned()));
    }
    number(text).map(|n| n.map_or_else(|| Value::String(text.to_owned()), Value::Number))
}

/// The number that an unquoted scalar is, if it is one.
fn number(text: &str) -> Result<Option<Number>, String> {
    let number = serde_yaml::Number::from_str(text).ok();
    let integer = number.as_ref().and_then(|number| {
        number.as_u64().map(Number::from).or_else(|| number.as_i64().map(Number::from))
    });
    if integer.is_some() {
        return Ok(integer);
    }
    // What has no other sign than that of an integer, and is none, is too large for one.
    if is_integer(text) {
        return Err(format!("`{text}` does not fit into 64 bits; quote it if it is text"));
    }
    match number.as_ref().and_then(serde_yaml::Number::as_f64).or_else(|| infinite(text)) {
        None => Ok(None),
        Some(float) => match Number::from_f64(float) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("`{text}` is not a number that JSON has; quote it if it is text")),
        },
    }
}

/// Returns true if it is written as an integer. `017` is neither seventeen nor fifteen by the core
/// schema's examples: it stays text.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let prefixes = [("0x", 16), ("0o", 8), ("0b", 2)];
    let prefix = prefixes.iter().find_map(|(p, radix)| Some((digits.strip_prefix(p)?, *radix)));
    let (digits, radix) = prefix.unwrap_or((digits, 10));
    let is_text = radix == 10 && digits.len() > 1 && digits.starts_with('0');
    !is_text && !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix))
}

/// A number such as `1e999`, which is no finite one. Rust reads also words such as `inf`; these are
/// text in YAML.
fn infinite(text: &str) -> Option<f64> {
    let is_numeric = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    text.parse().ok().filter(|float: &f64| float.is_infinite() && text.chars().all(is_numeric))
}
