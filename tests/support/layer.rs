//! The ways to write a text one inside another, and how many of them redaction promises to see
//! through: for the property tests and the fuzz target.
use homespec::encoding::{encode_segment, escaped};
use serde_json::Value;

/// One way to write a text.
#[derive(Debug, Clone, Copy)]
pub enum Layer {
    Json,
    JsonUnits,
    Percent,
    PercentAll,
    Form,
    Html,
}

impl Layer {
    /// All of them, each behind the letter that stands for it in an input of the fuzz target.
    pub const ALL: [(u8, Layer); 6] = [
        (b'j', Layer::Json),
        (b'u', Layer::JsonUnits),
        (b'p', Layer::Percent),
        (b'a', Layer::PercentAll),
        (b'f', Layer::Form),
        (b'h', Layer::Html),
    ];

    /// The text, written so.
    pub fn write(self, text: &str) -> String {
        match self {
            Layer::Json => {
                let quoted = Value::from(text).to_string();
                quoted[1..quoted.len() - 1].replace('/', "\\/")
            }
            Layer::JsonUnits => escaped(text),
            Layer::Percent => encode_segment(text),
            Layer::PercentAll => text.bytes().map(|byte| format!("%{byte:02x}")).collect(),
            Layer::Form => url::form_urlencoded::byte_serialize(text.as_bytes()).collect(),
            Layer::Html => {
                let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                escaped.replace('"', "&quot;").replace('\'', "&#x27;")
            }
        }
    }
}

/// How long what is written may become, in bytes: a text is searched in pieces, and a secret that is blown up
/// beyond one of them is not promised to be found.
pub const PROMISED_LENGTH: usize = 1 << 13;

/// Under how many layers the secret is found whole; `None` where nothing is promised.
///
/// No header can carry control characters, and no server makes tokens of them. White space (in
/// forms a plus, too), an escape of it, and characters without width at an end are no part of what has to go. What
/// reads as an escape itself comes off with the layers above it: then one layer is what can be
/// promised.
pub fn promised_layers(secret: &str) -> Option<usize> {
    const ESCAPES: [char; 3] = ['%', '\\', '&'];
    let is_letter = |c: char| c != '+' && (c.is_alphanumeric() || c.is_ascii_graphic());
    let ends_whole =
        secret.ends_with(is_letter) && !secret.chars().rev().take(8).any(|c| ESCAPES.contains(&c));
    let whole = secret.starts_with(is_letter) && !secret.starts_with(ESCAPES) && ends_whole;
    let few = if secret.contains(ESCAPES) { 1 } else { 3 };
    (whole && !secret.contains(char::is_control)).then_some(few)
}
