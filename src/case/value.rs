//! JSON values: equality by meaning, and values as a reader sees them.
use serde_json::{Number, Value};
use std::collections::HashSet;
use std::hash::{Hash, Hasher};

/// Equality as JSON has it: `1` and `1.0` are one number, and the order of members means nothing.
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => NumberKey::of(a) == NumberKey::of(b),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// A number by its value, however it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum NumberKey {
    Integer(i128),
    /// The bits of a number with a fraction, or of one too large to be told from its neighbours.
    Float(u64),
}

impl NumberKey {
    fn of(number: &Number) -> NumberKey {
        /// Below this every whole number of this type is exact in `i128`.
        const LARGEST: f64 = (1_u128 << 100) as f64;
        let whole = number.as_i64().map(i128::from).or(number.as_u64().map(i128::from));
        match (whole, number.as_f64()) {
            (Some(whole), _) => NumberKey::Integer(whole),
            (None, Some(float)) if float.fract() == 0.0 && float.abs() < LARGEST => {
                NumberKey::Integer(float as i128)
            }
            // A JSON number is an integer or has a value as float.
            (None, float) => NumberKey::Float(float.unwrap_or(f64::NAN).to_bits()),
        }
    }
}

/// A value by what it means: equal by [`equal`], with a hash to match.
struct Canonical<'v>(&'v Value);

impl PartialEq for Canonical<'_> {
    fn eq(&self, other: &Self) -> bool {
        equal(self.0, other.0)
    }
}

impl Eq for Canonical<'_> {}

impl Hash for Canonical<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self.0).hash(state);
        match self.0 {
            Value::Null => {}
            Value::Bool(value) => value.hash(state),
            Value::Number(number) => NumberKey::of(number).hash(state),
            Value::String(text) => text.hash(state),
            Value::Array(items) => {
                items.len().hash(state);
                items.iter().for_each(|item| Canonical(item).hash(state));
            }
            Value::Object(members) => {
                let mut members: Vec<(&String, &Value)> = members.iter().collect();
                members.sort_unstable_by_key(|(key, _)| *key);
                members.len().hash(state);
                for (key, value) in members {
                    key.hash(state);
                    Canonical(value).hash(state);
                }
            }
        }
    }
}

/// A value for a reader: as JSON, cut when it is long; `absent` when it is not there. Of a long value no more is
/// written out than is shown.
pub fn shown(value: Option<&Value>) -> String {
    const LONGEST: usize = 200;
    let Some(value) = value else { return "absent".to_owned() };
    let mut start = Start { bytes: Vec::new(), most: (LONGEST + 1) * 4 };
    // An error says that there is more.
    let _ = serde_json::to_writer(&mut start, value);
    let text = String::from_utf8_lossy(&start.bytes);
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.into_owned(),
    }
}

/// Takes the beginning of what is written.
struct Start {
    bytes: Vec<u8>,
    most: usize,
}

impl std::io::Write for Start {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = self.most.saturating_sub(self.bytes.len()).min(bytes.len());
        self.bytes.extend(bytes.iter().take(room));
        Ok(room)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(super) fn unique(items: &[Value], by: &Option<String>) -> bool {
    let mut seen = HashSet::with_capacity(items.len());
    let mut keys = items.iter().filter_map(|item| match by {
        Some(pointer) => item.pointer(pointer),
        None => Some(item),
    });
    keys.all(|key| seen.insert(Canonical(key)))
}
