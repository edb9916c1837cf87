//! From schemas as they are written, with references, to one self-contained value.
use super::folder::{Faults, Folder, Members, Place};
use super::locations::{Holds, holds};
use super::schema::Schema;
use crate::yaml::document::pointer_below;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::sync::Arc;

/// How deep schemas may stand in each other, all references followed.
const MAX_DEPTH: usize = 96;
/// How many schemas one schema may hold, all references followed.
const MAX_SCHEMAS: usize = 20_000;

/// Reads schemas of a folder; faults are collected.
pub(super) struct Reader<'f, 'r> {
    folder: &'f Arc<Folder>,
    faults: &'r mut Faults,
    /// The schemas that are being read, with where they stand in the value.
    open: Vec<((&'f str, u32), String)>,
    /// How many schemas this one holds so far.
    count: usize,
}

impl<'f, 'r> Reader<'f, 'r> {
    /// A reader that tells faults to `faults`.
    pub fn new(folder: &'f Arc<Folder>, faults: &'r mut Faults) -> Reader<'f, 'r> {
        Reader { folder, faults, open: Vec::new(), count: 0 }
    }

    /// The schema at a place.
    pub fn read(mut self, origin: Place<'f>) -> Schema {
        let value = self.schema(origin, "");
        self.finish(value, origin)
    }

    /// The schema that stands among other things at a place (Swagger writes those of parameters and
    /// headers so): only these keywords of it.
    pub fn read_only(mut self, origin: Place<'f>, keywords: &[&str]) -> Schema {
        let members = self.folder.members(origin, self.faults);
        let members = members.into_iter().filter(|(k, _)| keywords.contains(k)).collect();
        let value = self.keywords(members, "");
        self.finish(value, origin)
    }

    fn finish(self, value: Value, origin: Place<'f>) -> Schema {
        Schema::new(value, self.folder, origin)
    }

    /// `here` is where it will stand in the value. A fault gives a schema that accepts anything, so
    /// that one fault does not cause others.
    fn schema(&mut self, place: Place<'f>, here: &str) -> Value {
        let place = self.folder.target(place, self.faults);
        match place.value() {
            Value::Bool(_) => return place.value().clone(),
            Value::Object(_) => {}
            _ => {
                self.faults.at(place, "a schema is a mapping");
                return Value::Bool(true);
            }
        }
        let identity = place.identity();
        if let Some((_, earlier)) = self.open.iter().find(|(known, _)| *known == identity) {
            return json!({ "$ref": fragment(earlier) });
        }
        self.count += 1;
        if self.open.len() >= MAX_DEPTH || self.count > MAX_SCHEMAS {
            self.faults.at(place, "this schema is too large when all its references are followed");
            return Value::Bool(true);
        }
        self.open.push((identity, here.to_owned()));
        let members = self.folder.members(place, self.faults);
        let value = self.keywords(members, here);
        self.open.pop();
        value
    }

    fn keywords(&mut self, members: Members<'f>, here: &str) -> Value {
        let is_file = |(k, p): &(&str, Place<'_>)| *k == "type" && p.value() == "file";
        if members.iter().any(is_file) {
            // Swagger's word for a body that is no JSON.
            return Value::Bool(true);
        }
        let mut schema = Map::new();
        for (keyword, place) in members {
            if let Some((keyword, value)) = self.keyword(keyword, place, here) {
                schema.insert(keyword.into_owned(), value);
            }
        }
        exclusive_limits(&mut schema);
        Value::Object(schema)
    }

    /// The keyword and what stands under it, as 2020-12 has it; none for what says nothing there.
    fn keyword<'k>(
        &mut self,
        keyword: &'k str,
        place: Place<'f>,
        here: &str,
    ) -> Option<(Cow<'k, str>, Value)> {
        if IGNORED.contains(&keyword) {
            return None;
        }
        if keyword == "items" && place.value().is_array() {
            let there = pointer_below(here, "prefixItems");
            return Some(("prefixItems".into(), self.list(place, &there)));
        }
        let there = pointer_below(here, keyword);
        let value = match holds(keyword) {
            Some(Holds::Schema | Holds::Each) => self.schema(place, &there),
            Some(Holds::Named | Holds::Matching) => self.named(place, &there),
            Some(Holds::List | Holds::Items) => self.list(place, &there),
            None => {
                self.check_type_of(keyword, place)?;
                place.value().clone()
            }
        };
        Some((keyword.into(), value))
    }

    fn named(&mut self, place: Place<'f>, here: &str) -> Value {
        let members = self.folder.members(place, self.faults);
        let read = |(name, place): (&str, Place<'f>)| {
            (name.to_owned(), self.schema(place, &pointer_below(here, name)))
        };
        Value::Object(members.into_iter().map(read).collect())
    }

    fn list(&mut self, place: Place<'f>, here: &str) -> Value {
        if place.value().as_array().is_none_or(Vec::is_empty) {
            self.faults.at(place, "a list of schemas is expected here");
            return json!([true]);
        }
        let read = |(i, item): (usize, Place<'f>)| self.schema(item, &format!("{here}/{i}"));
        Value::Array(place.items().enumerate().map(read).collect())
    }

    /// None, and a fault, if what stands under a keyword is of the wrong type.
    fn check_type_of(&mut self, keyword: &str, place: Place<'f>) -> Option<()> {
        let value = place.value();
        let texts = |v: &Value| v.as_array().is_some_and(|list| list.iter().all(Value::is_string));
        let (right, expected) = match keyword {
            "type" => (
                is_type(value),
                "one of object, array, string, number, integer, boolean, null, or a list of these",
            ),
            "required" => (texts(value), "a list of names"),
            "enum" => (value.as_array().is_some_and(|l| !l.is_empty()), "a list of values"),
            "pattern" | "format" | "title" | "description" => (value.is_string(), "text"),
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties"
            | "maxProperties" => (value.is_u64(), "a number of things, from 0"),
            "minimum" | "maximum" | "multipleOf" => (value.is_number(), "a number"),
            "exclusiveMinimum" | "exclusiveMaximum" => {
                (value.is_number() || value.is_boolean(), "a number")
            }
            "uniqueItems" | "deprecated" | "readOnly" | "writeOnly" => {
                (value.is_boolean(), "true or false")
            }
            "x-addedInMatrixVersion" => (value.is_string(), "a version as text, in quotes"),
            _ => (true, ""),
        };
        if !right {
            self.faults.at(place, format!("`{keyword}` is {expected}"));
        }
        right.then_some(())
    }
}

/// Keywords that name or illustrate and would only be in the way; definitions are read where they
/// are referred to.
const IGNORED: [&str; 16] = [
    "$ref",
    "$schema",
    "$id",
    "id",
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$vocabulary",
    "$comment",
    "$defs",
    "definitions",
    "example",
    "examples",
    "discriminator",
    "xml",
    "externalDocs",
];

fn is_type(value: &Value) -> bool {
    const TYPES: [&str; 7] = ["object", "array", "string", "number", "integer", "boolean", "null"];
    let is_name = |v: &Value| v.as_str().is_some_and(|name| TYPES.contains(&name));
    is_name(value)
        || value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(is_name))
}

/// Draft 4 writes `minimum: 0` with `exclusiveMinimum: true` for what is `exclusiveMinimum: 0` today.
fn exclusive_limits(schema: &mut Map<String, Value>) {
    for (limit, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        match schema.get(exclusive) {
            Some(Value::Bool(true)) => {
                schema.shift_remove(exclusive);
                if let Some(value) = schema.shift_remove(limit) {
                    schema.insert(exclusive.to_owned(), value);
                }
            }
            Some(Value::Bool(false)) => drop(schema.shift_remove(exclusive)),
            _ => {}
        }
    }
}

/// A JSON Pointer as a URI fragment.
fn fragment(pointer: &str) -> String {
    let mut fragment = "#".to_owned();
    for byte in pointer.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'~' | b'-' | b'_' | b'.' => {
                fragment.push(char::from(byte));
            }
            byte => fragment.push_str(&format!("%{byte:02X}")),
        }
    }
    fragment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_are_safe_in_a_uri() {
        assert_eq!(fragment("/properties/a b{é}"), "#/properties/a%20b%7B%C3%A9%7D");
    }
}
