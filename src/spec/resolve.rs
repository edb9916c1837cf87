//! From schemas as they are written, with references, to one self-contained value.
use super::folder::{FolderReader, Members};
use super::locations::{Holds, holds};
use super::schema::Schema;
use crate::yaml::document::{Part, pointer_below};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// The deepest nesting of schemas, all references followed.
const MAX_DEPTH: usize = 96;
/// The most schemas in one schema, all references followed.
const MAX_SCHEMAS: usize = 20_000;

/// Reads one schema of a folder.
pub(super) struct SchemaReader<'f, 'r> {
    files: &'r mut FolderReader<'f>,
    /// The schemas that are being read, with where they stand in the value.
    open: Vec<(Identity<'f>, String)>,
    count: usize,
}

/// Tells a part from all others of the folder.
pub(super) type Identity<'f> = (&'f str, u32);

pub(super) fn identity(part: Part<'_>) -> Identity<'_> {
    (part.document().name(), part.id())
}

impl<'f, 'r> SchemaReader<'f, 'r> {
    pub fn new(files: &'r mut FolderReader<'f>) -> SchemaReader<'f, 'r> {
        SchemaReader { files, open: Vec::new(), count: 0 }
    }

    pub fn read(mut self, origin: Part<'f>) -> Schema {
        let value = self.schema(origin, "");
        Schema::new(value, self.files.folder, origin)
    }

    /// The schema that stands among other things (Swagger writes those of parameters and headers
    /// so): only these keywords of it.
    pub fn read_only(mut self, origin: Part<'f>, keywords: &[&str]) -> Schema {
        let mut members = self.files.members(origin);
        members.retain(|(keyword, _)| keywords.contains(keyword));
        let value = self.keywords(members, "");
        Schema::new(value, self.files.folder, origin)
    }

    /// `here` is where it will stand in the value. A fault gives a schema that accepts anything, so
    /// that one fault does not cause others.
    fn schema(&mut self, part: Part<'f>, here: &str) -> Value {
        let part = self.files.target(part);
        match part.value() {
            Value::Bool(_) => return part.value().clone(),
            Value::Object(_) => {}
            _ => {
                self.files.fault(part, "a schema is a mapping");
                return Value::Bool(true);
            }
        }
        let identity = identity(part);
        if let Some((_, earlier)) = self.open.iter().find(|(known, _)| *known == identity) {
            return json!({ "$ref": fragment(earlier) });
        }
        self.count += 1;
        if self.open.len() >= MAX_DEPTH || self.count > MAX_SCHEMAS {
            self.files.fault(part, "this schema is too large when all its references are followed");
            return Value::Bool(true);
        }
        self.open.push((identity, here.to_owned()));
        let members = self.files.members(part);
        let value = self.keywords(members, here);
        self.open.pop();
        value
    }

    fn keywords(&mut self, members: Members<'f>, here: &str) -> Value {
        let is_file = |(k, p): &(&str, Part<'_>)| *k == "type" && p.value() == "file";
        if members.iter().any(is_file) {
            // Swagger's word for a body that is no JSON.
            return Value::Bool(true);
        }
        let mut schema = Map::new();
        for (keyword, part) in members {
            if let Some((keyword, value)) = self.keyword(keyword, part, here) {
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
        part: Part<'f>,
        here: &str,
    ) -> Option<(Cow<'k, str>, Value)> {
        if IGNORED.contains(&keyword) {
            return None;
        }
        if keyword == "items" && part.value().is_array() {
            let there = pointer_below(here, "prefixItems");
            return Some(("prefixItems".into(), self.list(part, &there)));
        }
        let there = pointer_below(here, keyword);
        let value = match holds(keyword) {
            Some(Holds::Schema | Holds::Each) => self.schema(part, &there),
            Some(Holds::Named | Holds::Matching) => self.named(part, &there),
            Some(Holds::List | Holds::Items) => self.list(part, &there),
            None => {
                self.check_type_of(keyword, part)?;
                part.value().clone()
            }
        };
        Some((keyword.into(), value))
    }

    fn named(&mut self, part: Part<'f>, here: &str) -> Value {
        let members = self.files.members(part);
        let read = |(name, part): (&str, Part<'f>)| {
            (name.to_owned(), self.schema(part, &pointer_below(here, name)))
        };
        Value::Object(members.into_iter().map(read).collect())
    }

    fn list(&mut self, part: Part<'f>, here: &str) -> Value {
        if part.value().as_array().is_none_or(Vec::is_empty) {
            self.files.fault(part, "a list of schemas is expected here");
            return json!([true]);
        }
        let read = |(i, item): (usize, Part<'f>)| self.schema(item, &format!("{here}/{i}"));
        Value::Array(part.items().enumerate().map(read).collect())
    }

    /// None, and a fault, if what stands under a keyword is of the wrong type.
    fn check_type_of(&mut self, keyword: &str, part: Part<'f>) -> Option<()> {
        let value = part.value();
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
            self.files.fault(part, format!("`{keyword}` is {expected}"));
        }
        right.then_some(())
    }
}

/// Keywords that name or illustrate and would only be in the way; definitions are read where they
/// are referred to.
#[rustfmt::skip]
const IGNORED: [&str; 16] = [
    "$ref", "$schema", "$id", "id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$vocabulary", "$comment", "$defs",
    "definitions", "example", "examples", "discriminator", "xml", "externalDocs",
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
    const SAFE: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'~').remove(b'-').remove(b'_').remove(b'.');
    format!("#{}", utf8_percent_encode(pointer, SAFE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_are_safe_in_a_uri() {
        assert_eq!(fragment("/properties/a b{é}"), "#/properties/a%20b%7B%C3%A9%7D");
    }
}
