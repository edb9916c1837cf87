//! Schemas of the specification, and what a body does against them.
//!
//! A schema is brought into one self-contained value, references resolved, in one dialect (JSON
//! Schema 2020-12), whichever format it was written in. So `$ref` with siblings means the same in
//! both formats, `1.0` is an integer in both, and nothing is fetched while a body is judged. Where
//! in which file a part of it was written is found again by walking the files the same way.
use super::folder::{Faults, Folder, Members, Place};
use crate::diagnostic::Diagnostic;
use crate::source::{pointer_token, pointer_tokens};
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, ValidationError, Validator};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// How deep schemas may stand in each other, all references followed.
const MAX_DEPTH: usize = 96;
/// How many schemas one schema may hold, all references followed.
const MAX_SCHEMAS: usize = 20_000;

/// A documented schema, all references resolved, as JSON Schema 2020-12. Cheap to clone.
#[derive(Clone)]
pub struct Schema(Arc<Inner>);

struct Inner {
    value: Value,
    folder: Arc<Folder>,
    /// The file with it.
    path: String,
    /// JSON Pointer to it there.
    pointer: String,
    /// Compiled when a body is first judged; none if that is impossible, which
    /// [`Schema::compile`] tells beforehand.
    validator: OnceLock<Option<Validator>>,
}

/// One way in which a body differs from a documented schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaViolation {
    /// JSON Pointer into the body; for a member that is missing or should not be there, to it.
    pub pointer: String,
    /// The same with `*` for list items and for members that no name is documented for: as
    /// [`Schema::locations`] lists it.
    pub location: String,
    /// The keyword of JSON Schema that is violated; `null` instead of `type` if the value is null.
    pub keyword: String,
    /// What is asked for, in a few words: `a string`, `matching ^@`.
    pub expected: String,
    /// What kind of thing came, never the value itself: `a number`, `absent`.
    pub actual: String,
    /// The specification's file with the keyword.
    pub spec_file: String,
    /// Its line there, from 1.
    pub spec_line: u32,
}

impl Schema {
    /// The schema itself; descriptions, version marks and the like are kept, examples are not.
    pub fn value(&self) -> &Value {
        &self.0.value
    }

    /// Every way in which `body` differs, in a fixed order, each one once; none if the schema
    /// cannot be used, which [`Schema::compile`] tells.
    ///
    /// Formats are asserted: those of JSON Schema, `mx-user-id` and `mx-server-name`.
    pub fn violations(&self, body: &Value) -> Option<Vec<SchemaViolation>> {
        let validator = self.validator()?;
        let mut all: Vec<_> =
            validator.iter_errors(body).flat_map(|e| self.violation(&e)).collect();
        all.sort_by(|a, b| a.key().cmp(&b.key()));
        all.dedup_by(|a, b| a.key() == b.key());
        Some(all)
    }

    /// All (pointer, keyword) that a body can violate; pointers with `*` for list items and for
    /// members that no name is documented for. Alternatives (`anyOf`, `oneOf`, `not`) count as one
    /// keyword and are not entered, and a schema that holds itself is entered once.
    pub fn locations(&self) -> BTreeSet<(String, String)> {
        let mut all = BTreeSet::new();
        collect_locations(&self.0.value, "", &mut all);
        all
    }

    /// File and line, from 1, of a part of the schema, given by its JSON Pointer in
    /// [`Schema::value`]; of the nearest thing around it if there is no such part.
    pub fn place(&self, pointer: &str) -> (String, u32) {
        match self.0.walk(pointer) {
            Some(place) => (place.part.document().name().to_owned(), place.part.line()),
            None => (self.0.path.clone(), 1),
        }
    }

    /// Makes sure that the schema can be used.
    ///
    /// # Errors
    /// What stands in the way, e.g. a pattern that is no regular expression, with its place.
    pub fn compile(&self) -> Result<(), Diagnostic> {
        match build(&self.0.value) {
            Ok(validator) => {
                self.0.validator.get_or_init(|| Some(validator));
                Ok(())
            }
            Err(error) => {
                let message = format!("not a schema: {}", error.masked());
                Err(match self.0.walk(error.instance_path().as_str()) {
                    Some(place) => place.part.fault(message),
                    None => Diagnostic::in_file(self.0.path.as_str(), message),
                })
            }
        }
    }

    /// Whether the two are the same schema of the same folder.
    pub(super) fn is(&self, other: &Schema) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn validator(&self) -> Option<&Validator> {
        self.0.validator.get_or_init(|| build(&self.0.value).ok()).as_ref()
    }

    fn violation(&self, error: &ValidationError<'_>) -> Vec<SchemaViolation> {
        let parent = error.instance_path().as_str();
        let evaluated = error.evaluation_path().as_str();
        let location = location(evaluated);
        let (spec_file, spec_line) = self.place(evaluated);
        let violation =
            |child: Option<(&str, &str)>, expected: &str, actual: &str| SchemaViolation {
                pointer: child.map_or_else(|| parent.to_owned(), |(name, _)| below(parent, name)),
                location: child
                    .map_or_else(|| location.clone(), |(_, name)| below(&location, name)),
                keyword: keyword(error).to_owned(),
                expected: expected.to_owned(),
                actual: actual.to_owned(),
                spec_file: spec_file.clone(),
                spec_line,
            };
        match error.kind() {
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                vec![violation(Some((name, name)), "present", "absent")]
            }
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected
                .iter()
                .map(|name| violation(Some((name, "*")), "absent", "present"))
                .collect(),
            kind => vec![violation(None, &expected(kind), actual(kind, error.instance()))],
        }
    }
}

impl SchemaViolation {
    fn key(&self) -> (&str, &str, &str) {
        (&self.pointer, &self.keyword, &self.expected)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.0.value).finish()
    }
}

impl PartialEq for Schema {
    /// Equal if the schemas are, wherever they were written.
    fn eq(&self, other: &Schema) -> bool {
        self.0.value == other.0.value
    }
}

impl Inner {
    /// The place where the part of the schema at `pointer` was written, or what is around it.
    fn walk(&self, pointer: &str) -> Option<Place<'_>> {
        let mut faults = Faults::default();
        let whole = self.folder.open(&self.path, &mut faults)?;
        let part = whole.part.document().part(&self.pointer)?;
        let mut place = self.folder.target(Place { part, ..whole }, &mut faults);
        for token in pointer_tokens(pointer).filter(|t| t != "$ref") {
            let child = match place.value() {
                Value::Array(_) => place.part.child(&token).map(|part| Place { part, ..place }),
                Value::Object(_) => self.folder.member(place, &token, &mut faults).or_else(|| {
                    // Draft 4 writes a list under `items` for what is called `prefixItems` today.
                    let older = if token == "prefixItems" { "items" } else { "" };
                    self.folder.member(place, older, &mut faults)
                }),
                _ => None,
            };
            let Some(child) = child else { break };
            place = child;
        }
        Some(place)
    }
}

fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", pointer_token(name))
}

fn build(schema: &Value) -> Result<Validator, ValidationError<'static>> {
    // References out of the value are not there; should one be, it must not be looked for.
    options().build(schema)
}

fn options() -> jsonschema::ValidationOptions<'static> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .offline()
        .should_validate_formats(true)
        .with_format("mx-user-id", is_user_id)
        .with_format("mx-server-name", is_server_name)
}

/// A user id as servers must accept it, the historical ones included (appendices, "User
/// Identifiers"): any local part without colon and NUL, 255 bytes at most in all.
fn is_user_id(text: &str) -> bool {
    let parts = text.strip_prefix('@').and_then(|rest| rest.split_once(':'));
    text.len() <= 255
        && parts.is_some_and(|(local, server)| !local.contains('\0') && is_server_name(server))
}

/// A server name (appendices, "Server Name"): an IPv4 address, an IPv6 address in brackets or a
/// host name, and maybe a port.
fn is_server_name(text: &str) -> bool {
    let is_port =
        |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else { return false };
        let is_address = address.parse::<std::net::Ipv6Addr>().is_ok();
        return is_address && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let is_host = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.');
    (1..=255).contains(&host.len()) && host.bytes().all(is_host) && port.is_none_or(is_port)
}

// What went wrong, in words.

fn keyword<'e>(error: &'e ValidationError<'_>) -> &'e str {
    match (error.kind(), error.instance().as_ref()) {
        (ValidationErrorKind::Type { .. }, Value::Null) => "null",
        (kind, _) => kind.keyword(),
    }
}

fn expected(kind: &ValidationErrorKind) -> String {
    use ValidationErrorKind as Kind;
    match kind {
        Kind::Type { kind: TypeKind::Single(one) } => type_words(one.as_str()).to_owned(),
        Kind::Type { kind: TypeKind::Multiple(set) } => {
            let words: Vec<_> = set.iter().map(|t| type_words(t.as_str())).collect();
            words.join(" or ")
        }
        Kind::Pattern { pattern } => format!("matching {pattern}"),
        Kind::Format { format } => format_words(format),
        Kind::Enum { options } => {
            let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
            let options: Vec<_> = options.iter().map(ToString::to_string).collect();
            format!("one of {}", options.join(", "))
        }
        Kind::Constant { expected_value } => expected_value.to_string(),
        Kind::Minimum { limit } => format!("at least {limit}"),
        Kind::Maximum { limit } => format!("at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("a multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("at least {limit} characters"),
        Kind::MaxLength { limit } => format!("at most {limit} characters"),
        Kind::MinItems { limit } => format!("at least {limit} items"),
        Kind::MaxItems { limit } => format!("at most {limit} items"),
        Kind::AdditionalItems { limit } => format!("at most {limit} items"),
        Kind::MinProperties { limit } => format!("at least {limit} members"),
        Kind::MaxProperties { limit } => format!("at most {limit} members"),
        Kind::UniqueItems => "no item twice".to_owned(),
        Kind::Contains => "a certain item".to_owned(),
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => {
            "one of the documented shapes".to_owned()
        }
        Kind::OneOfMultipleValid { .. } => "only one of the documented shapes".to_owned(),
        Kind::Not { .. } => "not the excluded shape".to_owned(),
        Kind::FalseSchema => "absent".to_owned(),
        Kind::PropertyNames { .. } => "member names as documented".to_owned(),
        kind => format!("as `{}` asks", kind.keyword()),
    }
}

fn type_words(name: &str) -> &str {
    match name {
        "object" => "an object",
        "array" => "an array",
        "string" => "a string",
        "number" => "a number",
        "integer" => "an integer",
        "boolean" => "a boolean",
        other => other,
    }
}

fn format_words(name: &str) -> String {
    match name {
        "mx-user-id" => "a Matrix user ID".to_owned(),
        "mx-server-name" => "a Matrix server name".to_owned(),
        "uri" => "a URI".to_owned(),
        "email" => "an e-mail address".to_owned(),
        other => format!("of the format {other}"),
    }
}

/// Never the value: it may be a secret.
fn actual(kind: &ValidationErrorKind, instance: &Value) -> &'static str {
    use ValidationErrorKind as Kind;
    match (kind, instance) {
        (Kind::Pattern { .. } | Kind::Format { .. }, Value::String(_)) => "another string",
        (Kind::Enum { .. } | Kind::Constant { .. }, Value::String(_)) => "another string",
        (Kind::Enum { .. } | Kind::Constant { .. }, Value::Number(_)) => "another number",
        (Kind::MinLength { .. }, _) => "a shorter string",
        (Kind::MaxLength { .. }, _) => "a longer string",
        (Kind::Minimum { .. } | Kind::ExclusiveMinimum { .. }, _) => "a smaller number",
        (Kind::Maximum { .. } | Kind::ExclusiveMaximum { .. }, _) => "a larger number",
        (Kind::MinItems { .. }, _) => "fewer",
        (Kind::MaxItems { .. } | Kind::AdditionalItems { .. }, _) => "more",
        (_, Value::Number(number)) if number.is_f64() => "a fraction",
        (_, instance) => match instance {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        },
    }
}

// Where something can go wrong.

/// What a keyword holds besides plain data.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
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

/// What stands under a keyword of JSON Schema, where that is more than data.
fn holds(keyword: &str) -> Option<Holds> {
    Some(match keyword {
        "not" | "if" | "then" | "else" | "propertyNames" => Holds::Schema,
        "items"
        | "additionalProperties"
        | "additionalItems"
        | "contains"
        | "unevaluatedItems"
        | "unevaluatedProperties" => Holds::Each,
        "properties" => Holds::Named,
        "patternProperties" => Holds::Matching,
        "allOf" | "anyOf" | "oneOf" => Holds::List,
        "prefixItems" => Holds::Items,
        _ => return None,
    })
}

/// The generalised pointer into the body that a pointer into the schema stands for.
fn location(schema_pointer: &str) -> String {
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
                    location = below(&location, &name);
                }
            }
            Some(Holds::List) => drop(tokens.next()),
            Some(Holds::Schema) | None => {}
        }
    }
    location
}

fn collect_locations(schema: &Value, here: &str, all: &mut BTreeSet<(String, String)>) {
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
                if options().is_known_format(Draft::Draft202012, format) {
                    add("format");
                }
            }
            ("required", Value::Array(names)) => {
                let names = names.iter().filter_map(Value::as_str);
                all.extend(names.map(|name| (below(here, name), "required".to_owned())));
            }
            ("additionalProperties" | "unevaluatedProperties", Value::Bool(false)) => {
                all.insert((below(here, "*"), keyword.clone()));
            }
            ("anyOf" | "oneOf" | "not" | "if" | "contains" | "propertyNames", _) => add(keyword),
            (plain, _) if ASSERTIONS.contains(&plain) => add(keyword),
            (_, value) => collect_below(keyword, value, here, all),
        }
    }
}

/// The keywords that say something of the value itself and hold no schemas.
const ASSERTIONS: [&str; 15] = [
    "enum",
    "const",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];

fn collect_below(keyword: &str, value: &Value, here: &str, all: &mut BTreeSet<(String, String)>) {
    match (holds(keyword), value) {
        (Some(Holds::Each), schema) => collect_locations(schema, &below(here, "*"), all),
        (Some(Holds::Named), Value::Object(map)) => {
            map.iter()
                .for_each(|(name, schema)| collect_locations(schema, &below(here, name), all));
        }
        (Some(Holds::Matching), Value::Object(map)) => {
            map.values().for_each(|schema| collect_locations(schema, &below(here, "*"), all));
        }
        (Some(Holds::List), Value::Array(list)) => {
            list.iter().for_each(|schema| collect_locations(schema, here, all));
        }
        (Some(Holds::Items), Value::Array(list)) => {
            list.iter().for_each(|schema| collect_locations(schema, &below(here, "*"), all));
        }
        _ => {}
    }
}

// From the files to one value.

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
        Schema(Arc::new(Inner {
            value,
            folder: self.folder.clone(),
            path: origin.path.to_owned(),
            pointer: origin.part.pointer(),
            validator: OnceLock::new(),
        }))
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
            let there = below(here, "prefixItems");
            return Some(("prefixItems".into(), self.list(place, &there)));
        }
        let there = below(here, keyword);
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
            (name.to_owned(), self.schema(place, &below(here, name)))
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
    fn user_ids_are_accepted_as_servers_must() {
        for good in [
            "@alice:example.org",
            "@a.b_c=d-e/f+g:[::1]:8448",
            "@Alice !é:1.2.3.4",
            "@:hs",
            "@a:localhost:8008",
        ] {
            assert!(is_user_id(good), "{good}");
        }
        let long = format!("@{}:hs", "a".repeat(252));
        for bad in [
            "alice",
            "@alice",
            "alice:hs",
            "@a:",
            "@a:h_s",
            "@a:hs:",
            "@a:hs:123456",
            "@a:[::1",
            "@a\0:hs",
            &long,
        ] {
            assert!(!is_user_id(bad), "{bad}");
        }
    }

    #[test]
    fn a_schema_pointer_stands_for_a_place_in_the_body() {
        assert_eq!(location("/required"), "");
        assert_eq!(location("/properties/flows/items/properties/type/type"), "/flows/*/type");
        assert_eq!(location("/allOf/1/properties/retry_after_ms/type"), "/retry_after_ms");
        assert_eq!(location("/properties/a~1b/additionalProperties/enum"), "/a~1b/*");
        assert_eq!(location("/properties/items/properties/allOf/type"), "/items/allOf");
        assert_eq!(location("/additionalProperties"), "");
    }

    #[test]
    fn fragments_are_safe_in_a_uri() {
        assert_eq!(fragment("/properties/a b{é}"), "#/properties/a%20b%7B%C3%A9%7D");
    }
}
