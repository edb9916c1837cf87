//! The ways to write a text one inside another, and how many of them redaction promises to see
//! through: for the property tests and the fuzz target.
use homespec::model::encoding::{encode_segment, escaped};
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

/// Of these layers, the innermost first, as many as redaction promises to see through: two of JSON,
/// percent and forms, and one of HTML, in any order.
pub fn promised_layers(layers: impl IntoIterator<Item = Layer>) -> Vec<Layer> {
    let (mut escapes, mut html) = (0, 0);
    let is_promised = |layer: &Layer| {
        let count = if matches!(layer, Layer::Html) { &mut html } else { &mut escapes };
        *count += 1;
        escapes <= 2 && html <= 1
    };
    layers.into_iter().take_while(is_promised).collect()
}
