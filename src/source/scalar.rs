//! Unquoted scalars by YAML's core schema.
use serde_json::{Number, Value};

/// What an unquoted scalar means by YAML's core schema.
///
/// # Errors
/// What is wrong with a number that JSON cannot hold.
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
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if matches!(digits, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err(format!("`{text}` is no number that JSON has; quote it if it is text"));
    }
    if digits.starts_with(['+', '-']) {
        return Ok(None);
    }
    if let Some((radix, digits)) = radix(digits) {
        if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
            return Ok(None);
        }
        return integer(text, negative, digits, radix).map(Some);
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        // `017` is neither seventeen nor fifteen by the core schema's examples: it stays text.
        let is_text = digits.is_empty() || (digits.len() > 1 && digits.starts_with('0'));
        return if is_text { Ok(None) } else { integer(text, negative, digits, 10).map(Some) };
    }
    float(text, digits, negative)
}

fn radix(digits: &str) -> Option<(u32, &str)> {
    let radix = |prefix, radix| digits.strip_prefix(prefix).map(|rest| (radix, rest));
    radix("0x", 16).or_else(|| radix("0o", 8)).or_else(|| radix("0b", 2))
}

fn integer(text: &str, negative: bool, digits: &str, radix: u32) -> Result<Number, String> {
    let too_large = || format!("`{text}` does not fit into 64 bits; quote it if it is text");
    let magnitude = u64::from_str_radix(digits, radix).map_err(|_| too_large())?;
    match negative {
        false => Ok(Number::from(magnitude)),
        true => 0i64.checked_sub_unsigned(magnitude).map(Number::from).ok_or_else(too_large),
    }
}

/// Rust reads also words such as `inf`; these are text in YAML.
fn float(text: &str, digits: &str, negative: bool) -> Result<Option<Number>, String> {
    let numeric = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    if !digits.chars().all(numeric) {
        return Ok(None);
    }
    let Ok(magnitude) = digits.parse::<f64>() else { return Ok(None) };
    match Number::from_f64(if negative { -magnitude } else { magnitude }) {
        Some(number) => Ok(Some(number)),
        None => Err(format!("`{text}` is too large a number; quote it if it is text")),
    }
}
