//! `{ sign: { user: …, device: … } }` in a body: device keys that the run makes and signs.
use serde_json::{Map, Value};

const FORM: &str = "`sign` has `user` and `device`, and nothing is next to it";

/// Whose device keys are in this place of a body. Values may hold references.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signing<'a> {
    pub user: &'a Value,
    pub device: &'a Value,
}

impl<'a> Signing<'a> {
    /// Reads a value of a body; none if it has no member `sign` that is a mapping.
    ///
    /// # Errors
    /// What is wrong with such a member.
    pub fn read(value: &'a Value) -> Option<Result<Signing<'a>, &'static str>> {
        let members = value.as_object()?;
        let whose = members.get("sign")?.as_object()?;
        Some(Signing::of(whose).filter(|_| members.len() == 1).ok_or(FORM))
    }

    fn of(whose: &'a Map<String, Value>) -> Option<Signing<'a>> {
        let text = |key: &str| whose.get(key).filter(|value| value.is_string());
        let (user, device) = (text("user")?, text("device")?);
        (whose.len() == 2).then_some(Signing { user, device })
    }
}

/// Everything that is wrong with `sign` in a body.
pub fn faults(body: &Value) -> Vec<&'static str> {
    let below: Vec<&Value> = match body {
        Value::Object(members) => members.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    match Signing::read(body) {
        Some(Ok(_)) => Vec::new(),
        Some(Err(fault)) => vec![fault],
        None => below.into_iter().flat_map(faults).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_whole_mapping_is_one() {
        let whole = json!({"sign": {"user": "$alice.user_id", "device": "D"}});
        let (user, device) = (json!("$alice.user_id"), json!("D"));
        let signing = Signing { user: &user, device: &device };
        assert_eq!(Signing::read(&whole), Some(Ok(signing)));
        assert_eq!(Signing::read(&json!({"sign": "by hand"})), None);
        assert_eq!(faults(&json!({"a": [whole]})), [""; 0]);
        for wrong in [
            json!({"sign": {"user": "@a:b"}}),
            json!({"sign": {"user": "@a:b", "device": 5}}),
            json!({"sign": {"user": "@a:b", "device": "D", "key": "K"}}),
            json!({"sign": {"user": "@a:b", "device": "D"}, "more": 1}),
        ] {
            assert_eq!(faults(&json!({"a": [wrong]})), [FORM], "{wrong}");
        }
    }
}
