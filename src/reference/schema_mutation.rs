//! Faults and quirks made from published response schemas: each member absent, null, of another kind, empty where it
//! must not be, outside of its words or its form; the answer itself under another media type, in another encoding, as
//! something else than an object, without its CORS headers.
//!
//! The schemas come from outside, as plain data, and so does the requirement that each of the faults breaks.

use super::catalogue::{Fault, Kind, Need, Place, Quirk};
use super::edit::{Change, Edit, Turn, When, keep};
use super::release::{self, Listed};
use super::route::{Found, find};
use axum::http::Method;
use serde_json::Value;
use std::collections::HashSet;

/// The published form of the answers of one operation with one status.
#[derive(Debug, Clone, Copy)]
pub struct ResponseSchema<'a> {
    /// The `operationId`.
    pub operation: &'a str,
    /// Its method, in upper case.
    pub method: &'a str,
    /// Its path, names in braces.
    pub path: &'a str,
    /// The status.
    pub status: u16,
    /// The JSON Schema of the body, references resolved.
    pub schema: &'a Value,
}

/// What an answer breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// Nothing: an optional member is absent.
    Nothing,
    /// A keyword of the schema at the place; `null` for a null that `type` does not allow.
    Schema(&'static str),
    /// The body is no JSON object.
    Object,
    /// The media type is not that of JSON.
    MediaType,
    /// The text is not UTF-8.
    Encoding,
    /// The header that lets other origins read the answer is absent.
    Cors,
}

/// One way in which the answers of a schema can differ.
#[derive(Debug, Clone, Copy)]
pub struct SchemaMutation {
    /// A name that stays the same while the schema does: `shape.login.200.user_id.absent`.
    pub name: &'static str,
    /// Which answers, and where in them.
    pub place: Place,
    /// What is broken.
    pub violation: Violation,
    /// Whether the schema requires the member, or it is the answer itself that is broken.
    pub required: bool,
    about: &'static str,
    clause: &'static str,
    edits: &'static [Edit],
}

impl SchemaMutation {
    /// The fault that breaks a requirement in this way, and `also` others.
    pub fn fault(&self, requirement: &'static str, also: &'static [&'static str]) -> Fault {
        Fault {
            name: self.name,
            requirement,
            also,
            clause: self.clause,
            about: self.about,
            kind: Kind::Shape,
            needs: needs(self.place),
            mild: self.violation == Violation::Schema("null") && !self.required,
            place: Some(self.place),
            sometimes: false,
            edits: self.edits,
        }
    }

    /// The quirk of differing in this way, with the requirements whose verdict may change.
    pub fn quirk(&self, changes: &'static [&'static str]) -> Quirk {
        Quirk {
            name: self.name,
            about: self.about,
            clause: self.clause,
            changes,
            needs: needs(self.place),
            place: Some(self.place),
            sometimes: false,
            edits: self.edits,
        }
    }
}

/// What has to be set up so that answers of the place are given.
fn needs(place: Place) -> Need {
    match (place.operation, place.status) {
        ("getAuthMetadata", 200) => Need::Oauth,
        ("getLoginFlows", 404) => Need::NoLegacy,
        (_, 429) => Need::Throttled,
        _ => Need::Nothing,
    }
}

/// Every way in which answers of this schema can differ; none for operations that are not of this surface.
pub fn schema_mutations(response: ResponseSchema<'_>) -> Vec<SchemaMutation> {
    let Some(maker) = Maker::of(response) else { return Vec::new() };
    let mut all = maker.whole();
    maker.members(response.schema, "", &mut all);
    // Parts of one schema may speak of the same member.
    let mut seen = HashSet::new();
    all.retain(|one| seen.insert(one.name));
    all
}

struct Maker<'a> {
    response: ResponseSchema<'a>,
    operation: &'static str,
    on: &'static [super::route::Operation],
    when: When,
}

impl<'a> Maker<'a> {
    fn of(response: ResponseSchema<'a>) -> Option<Self> {
        let listed = Listed::parse(&release::PUBLISHED.map(str::to_owned)).ok()?;
        let method = Method::from_bytes(response.method.as_bytes()).ok()?;
        let Found::Operation(operation, _) = find(&method, response.path, &listed, |_| true) else {
            return None;
        };
        let challenge =
            response.schema.pointer("/properties/flows").is_some() && response.status == 401;
        let when = match response.status {
            _ if challenge => When::Challenge,
            status if status >= 400 => When::Plain(status),
            status => When::Status(status),
        };
        let operation_id = keep(response.operation.to_owned());
        Some(Self { response, operation: operation_id, on: keep_list(vec![operation]), when })
    }

    fn make(
        &self,
        pointer: &str,
        way: &str,
        about: String,
        change: Change,
        violation: Violation,
        required: bool,
    ) -> SchemaMutation {
        let ResponseSchema { operation, method, path, status, .. } = self.response;
        let part = dotted(pointer);
        let edit = Edit {
            on: self.on,
            when: self.when,
            turn: Turn::Each,
            changes: keep_list(vec![change]),
        };
        SchemaMutation {
            name: keep(format!("shape.{operation}.{status}{part}.{way}")),
            place: Place {
                operation: self.operation,
                status,
                challenge: self.when == When::Challenge,
                pointer: keep(pointer.to_owned()),
            },
            violation,
            required,
            about: keep(about),
            clause: keep(format!("{method} {path}, {status}")),
            edits: keep_list(vec![edit]),
        }
    }

    /// What can be wrong with the answer itself.
    fn whole(&self) -> Vec<SchemaMutation> {
        let ways = [
            (
                "media-type-text",
                "is sent as text/plain",
                Change::MediaType("text/plain"),
                Violation::MediaType,
            ),
            ("media-type-absent", "has no media type", Change::MediaType(""), Violation::MediaType),
            ("latin-1", "has a text in Latin-1", Change::Latin1, Violation::Encoding),
            ("list", "stands in a list", Change::Wrap, Violation::Object),
            ("cut", "is followed by a bracket too many", Change::Suffix("]"), Violation::Object),
            ("cors-absent", "has no CORS headers", Change::NoCors, Violation::Cors),
        ];
        ways.into_iter()
            .map(|(way, about, change, violation)| {
                self.make("", way, format!("the answer {about}"), change, violation, true)
            })
            .collect()
    }

    /// What can be wrong with the members of an object, and what is below them.
    fn members(&self, schema: &Value, at: &str, all: &mut Vec<SchemaMutation>) {
        let parts = same_value(schema);
        let lists = parts.iter().filter_map(|part| part.get("required")?.as_array());
        let required: Vec<&str> = lists.flatten().filter_map(Value::as_str).collect();
        for part in parts {
            let named = part.get("properties").and_then(Value::as_object);
            // A pointer with an escape is nothing that an edit can follow.
            let plain = |name: &&String| !name.contains(['/', '~']);
            for (name, member) in named.into_iter().flatten().filter(|(name, _)| plain(name)) {
                let pointer = format!("{at}/{name}");
                let required = required.contains(&name.as_str());
                self.absent(&pointer, required, all);
                self.value(member, &pointer, required, all);
            }
            // A list without its items is another list; a member by any name is optional by its nature.
            for (below, required) in [("items", true), ("additionalProperties", false)] {
                if let Some(item) = part.get(below).filter(|item| item.is_object()) {
                    self.value(item, &format!("{at}/*"), required, all);
                }
            }
        }
    }

    fn absent(&self, pointer: &str, required: bool, all: &mut Vec<SchemaMutation>) {
        let violation = if required { Violation::Schema("required") } else { Violation::Nothing };
        let about = format!("{} is absent", spoken(pointer));
        all.push(self.make(
            pointer,
            "absent",
            about,
            Change::Drop(keep(pointer.to_owned())),
            violation,
            required,
        ));
    }

    /// What can be wrong with a value that is there, and below it.
    fn value(&self, schema: &Value, pointer: &str, required: bool, all: &mut Vec<SchemaMutation>) {
        for part in same_value(schema) {
            for (way, text, keyword) in wrong_values(part) {
                let (at, text) = (keep(pointer.to_owned()), keep(text));
                // What stands for all items cannot be made where there is none.
                let change = match pointer.ends_with("/*") {
                    true => Change::Replace(at, text),
                    false => Change::Put(at, text),
                };
                let about = format!("{} is {text}", spoken(pointer));
                all.push(self.make(
                    pointer,
                    way,
                    about,
                    change,
                    Violation::Schema(keyword),
                    required,
                ));
            }
        }
        self.members(schema, pointer, all);
    }
}

/// The schema, and those of `allOf` that speak of the same value.
fn same_value(schema: &Value) -> Vec<&Value> {
    let all = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
    std::iter::once(schema).chain(all.flat_map(same_value)).collect()
}

/// Values that break one keyword of a schema each: how that is called, the JSON text, and the keyword.
fn wrong_values(schema: &Value) -> Vec<(&'static str, String, &'static str)> {
    let text = |text: &str| text.to_owned();
    let kind = schema.get("type").and_then(Value::as_str);
    let mut all = Vec::new();
    if let Some(kind) = kind {
        all.push(("null", text("null"), "null"));
        all.push(match kind {
            "string" => ("number", text("7"), "type"),
            "integer" | "number" => ("text", text("\"7\""), "type"),
            "boolean" => ("text", text("\"true\""), "type"),
            "object" => ("list", text("[]"), "type"),
            _ => ("object", text("{}"), "type"),
        });
    }
    if kind == Some("integer") {
        all.push(("fraction", text("1.5"), "type"));
    }
    if schema.get("enum").is_some() && kind == Some("string") {
        all.push(("other-word", text("\"org.example.none\""), "enum"));
    }
    let has = |keyword: &str| schema.get(keyword).and_then(Value::as_u64).is_some_and(|n| n > 0);
    if has("minLength") {
        all.push(("empty", text("\"\""), "minLength"));
    }
    if has("minItems") {
        all.push(("empty", text("[]"), "minItems"));
    }
    if schema.get("pattern").and_then(Value::as_str) == Some("^@") {
        all.push(("without-sigil", text("\"somebody:example.org\""), "pattern"));
    }
    match schema.get("format").and_then(Value::as_str) {
        // The sigil is there, so that a pattern that asks for it is kept.
        Some("mx-user-id") => all.push(("other-form", text("\"@no-server\""), "format")),
        Some("mx-server-name") => all.push(("other-form", text("\"no server\""), "format")),
        Some("uri") => all.push(("other-form", text("\"no address\""), "format")),
        _ => {}
    }
    all
}

/// A pointer as a part of a name: `/flows/*/type` is `.flows[].type`.
fn dotted(pointer: &str) -> String {
    pointer.replace("/*", "[]").replace('/', ".")
}

/// A pointer as a reader says it.
fn spoken(pointer: &str) -> String {
    dotted(pointer).trim_start_matches('.').to_owned()
}

/// Mutations live as long as the program, as the tables do, and are made once.
fn keep_list<T>(list: Vec<T>) -> &'static [T] {
    list.leak()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_member_of_a_schema_is_broken_in_every_way() {
        let schema = json!({
            "type": "object",
            "required": ["flows"],
            "properties": {
                "flows": {"type": "array", "items": {"type": "object", "required": ["type"],
                    "properties": {"type": {"type": "string"}}}},
                "home": {"type": "string", "format": "mx-server-name"},
                "more": {"allOf": [{"type": "object", "additionalProperties": {"type": "boolean"}}]},
            },
        });
        let path = "/_matrix/client/v3/login";
        let response =
            ResponseSchema { operation: "x", method: "GET", path, status: 200, schema: &schema };
        let all = schema_mutations(response);
        let of_members: Vec<String> = all
            .iter()
            .filter(|one| !one.place.pointer.is_empty())
            .map(|one| {
                format!("{} {:?}", one.name.trim_start_matches("shape.x.200."), one.violation)
            })
            .collect();
        let expected = [
            "flows.absent Schema(\"required\")",
            "flows.null Schema(\"null\")",
            "flows.object Schema(\"type\")",
            "flows[].null Schema(\"null\")",
            "flows[].list Schema(\"type\")",
            "flows[].type.absent Schema(\"required\")",
            "flows[].type.null Schema(\"null\")",
            "flows[].type.number Schema(\"type\")",
            "home.absent Nothing",
            "home.null Schema(\"null\")",
            "home.number Schema(\"type\")",
            "home.other-form Schema(\"format\")",
            "more.absent Nothing",
            "more.null Schema(\"null\")",
            "more.list Schema(\"type\")",
            "more[].null Schema(\"null\")",
            "more[].text Schema(\"type\")",
        ];
        assert_eq!(of_members, expected);
        assert_eq!(all.len(), expected.len() + 6, "and six of the answer itself");
    }

    #[test]
    fn what_is_not_of_this_surface_has_no_shapes() {
        let schema = json!({"type": "object"});
        let path = "/_matrix/client/v3/rooms/{roomId}/send";
        let response =
            ResponseSchema { operation: "x", method: "PUT", path, status: 200, schema: &schema };
        assert!(schema_mutations(response).is_empty());
    }
}
