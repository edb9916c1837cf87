//! Places of a body that a schema speaks of, and the keywords that can be violated there.
use super::formats;
use crate::yaml::document::{pointer_below, pointer_tokens};
use jsonschema::Draft;
use serde_json::Value;
use std::collections::BTreeSet;

/// Content of a keyword besides plain data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// A schema for the same value.
    Schema,
    /// A schema for each of certain items or members of it.
    Each,
    /// Named schemas for its members.
    Named,
    /// Schemas for members whose names match.
    Matching,
    /// A list of schemas for the same value.
    List,
    /// A list of schemas for its items.
    Items,
}

/// Returns the content of a keyword of JSON Schema, if that is more than data.
pub(super) fn holds(keyword: &str) -> Option<Holds> {
    Some(match keyword {
        "not" | "if" | "then" | "else" | "propertyNames" => Holds::Schema,
        "items" | "additionalProperties" | "additionalItems" | "contains" => Holds::Each,
        "unevaluatedItems" | "unevaluatedProperties" => Holds::Each,
        "properties" => Holds::Named,
        "patternProperties" => Holds::Matching,
        "allOf" | "anyOf" | "oneOf" => Holds::List,
        "prefixItems" => Holds::Items,
        _ => return None,
    })
}

/// The generalised pointer into the body that a pointer into the schema stands for.
pub(super) fn location(schema_pointer: &str) -> String {
    let mut tokens = pointer_tokens(schema_pointer).peekable();
    let mut location = String::new();
    while let Some(keyword) = tokens.next() {
        // The last keyword is the one that is violated, on the value reached so far.
        if tokens.peek().is_none() {
            break;
        }
        match holds(&keyword) {
            Some(Holds::Each) => location.push_str("/*"),
            Some(Holds::Matching | Holds::Items) => {
                tokens.next();
                location.push_str("/*");
            }
            Some(Holds::Named) => {
                if let Some(name) = tokens.next() {
                    location = pointer_below(&location, &name);
                }
            }
            Some(Holds::List) => drop(tokens.next()),
            Some(Holds::Schema) | None => {}
        }
    }
    location
}

pub(super) fn collect(schema: &Value, here: &str, all: &mut BTreeSet<(String, String)>) {
    let map = match schema {
        Value::Bool(false) => {
            all.insert((here.to_owned(), "falseSchema".to_owned()));
            return;
        }
        Value::Object(map) => map,
        _ => return,
    };
    for (keyword, value) in map {
        let mut add = |keyword: &str| {
            all.insert((here.to_owned(), keyword.to_owned()));
        };
        match (keyword.as_str(), value) {
            ("type", types) => {
                add("type");
                let allows_null = types == "null"
                    || types.as_array().is_some_and(|t| t.iter().any(|t| t == "null"));
                if !allows_null {
                    add("null");
                }
            }
            ("format", Value::String(format)) => {
                if formats::options().is_known_format(Draft::Draft202012, format) {
                    add("format");
                }
            }
            ("required", Value::Array(names)) => {
                let names = names.iter().filter_map(Value::as_str);
                all.extend(names.map(|name| (pointer_below(here, name), "required".to_owned())));
            }
            ("additionalProperties" | "unevaluatedProperties", Value::Bool(false)) => {
                all.insert((pointer_below(here, "*"), keyword.clone()));
            }
            ("anyOf" | "oneOf" | "not" | "if" | "contains" | "propertyNames", _) => add(keyword),
            (plain, _) if ASSERTIONS.contains(&plain) => add(keyword),
            (_, value) => collect_below(keyword, value, here, all),
        }
    }
}

/// The keywords that say something of the value itself and hold no schemas.
#[rustfmt::skip]
const ASSERTIONS: [&str; 15] = [
    "enum", "const", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties",
];

fn collect_below(keyword: &str, value: &Value, here: &str, all: &mut BTreeSet<(String, String)>) {
    match (holds(keyword), value) {
        (Some(Holds::Each), schema) => collect(schema, &pointer_below(here, "*"), all),
        (Some(Holds::Named), Value::Object(map)) => {
            map.iter().for_each(|(name, schema)| collect(schema, &pointer_below(here, name), all));
        }
        (Some(Holds::Matching), Value::Object(map)) => {
            map.values().for_each(|schema| collect(schema, &pointer_below(here, "*"), all));
        }
        (Some(Holds::List), Value::Array(list)) => {
            list.iter().for_each(|schema| collect(schema, here, all));
        }
        (Some(Holds::Items), Value::Array(list)) => {
            list.iter().for_each(|schema| collect(schema, &pointer_below(here, "*"), all));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_pointer_stands_for_a_place_in_the_body() {
        assert_eq!(location("/required"), "");
        assert_eq!(location("/properties/flows/items/properties/type/type"), "/flows/*/type");
        assert_eq!(location("/allOf/1/properties/retry_after_ms/type"), "/retry_after_ms");
        assert_eq!(location("/properties/a~1b/additionalProperties/enum"), "/a~1b/*");
        assert_eq!(location("/properties/items/properties/allOf/type"), "/items/allOf");
        assert_eq!(location("/additionalProperties"), "");
    }
}
