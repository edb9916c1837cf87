//! Schemas of the specification, and the violations of a body.
//!
//! A schema is brought into one self-contained value, references resolved, in one dialect (JSON
//! Schema 2020-12), whichever format it was written in. So `$ref` with siblings means the same in
//! both formats, `1.0` is an integer in both, and nothing is fetched while a body is judged. Where
//! in which file a part of it was written is found again by walking the files the same way.
use super::folder::{Folder, FolderReader};
use super::{formats, locations};
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::document::{Document, Part, pointer_below, pointer_tokens};
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// A documented schema, all references resolved, as JSON Schema 2020-12. Cheap to clone.
#[derive(Clone)]
pub struct Schema(Arc<SchemaData>);

struct SchemaData {
    value: Value,
    folder: Arc<Folder>,
    document: Document,
    /// JSON Pointer to it there.
    pointer: String,
    /// Compiled when a body is first judged, or why that is impossible, which [`Schema::compile`]
    /// tells beforehand.
    validator: OnceLock<Result<Validator, UnusableSchema>>,
    locations: OnceLock<BTreeSet<(String, String)>>,
}

/// A schema that no body can be judged by, e.g. for a pattern that is no regular expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema {pointer} in {path} cannot be used: {why}")]
pub struct UnusableSchema {
    path: String,
    pointer: String,
    why: String,
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
    /// The expected value, in a few words: `a string`, `matching ^@`.
    pub expected: String,
    /// The type of the value, never the value itself: `a number`, `absent`.
    pub actual: String,
    /// The specification's file with the keyword.
    pub spec_file: String,
    pub spec_line: u32,
    /// Number of further violations of the same location and keyword, which are not listed.
    pub more: usize,
}

/// The most violations listed for one location and keyword; a list may hold a hundred thousand.
const MOST_ALIKE: usize = 200;

/// Place of the part of a schema that an evaluation path leads to.
struct SchemaOrigin {
    location: String,
    file: String,
    line: u32,
    counts: HashMap<(String, String), usize>,
}

impl Schema {
    /// Takes the resolved value, and where in which folder it was written.
    pub(super) fn new(value: Value, folder: &Arc<Folder>, origin: Part<'_>) -> Schema {
        Schema(Arc::new(SchemaData {
            value,
            folder: folder.clone(),
            document: origin.document().clone(),
            pointer: origin.pointer(),
            validator: OnceLock::new(),
            locations: OnceLock::new(),
        }))
    }

    /// The schema itself; descriptions, version marks and the like are kept, examples are not.
    pub fn value(&self) -> &Value {
        &self.0.value
    }

    /// Every way in which `body` differs, in a fixed order, each one once.
    ///
    /// Formats are asserted: those of JSON Schema, `mx-user-id` and `mx-server-name`.
    ///
    /// # Errors
    /// The schema cannot be used, which [`Schema::compile`] tells beforehand.
    pub fn violations(&self, body: &Value) -> Result<Vec<SchemaViolation>, UnusableSchema> {
        let validator = self.validator()?;
        let (mut all, mut origins) = (Vec::new(), HashMap::new());
        for error in validator.iter_errors(body) {
            self.violations_of(&error, &mut origins, &mut all);
        }
        let mut beyond: HashMap<(String, String), usize> = HashMap::new();
        for (place, count) in origins.into_values().flat_map(|origin: SchemaOrigin| origin.counts) {
            // What several parts of a schema say of one place counts once.
            let more = beyond.entry(place).or_default();
            *more = (*more).max(count.saturating_sub(MOST_ALIKE));
        }
        all.sort_by(|a, b| a.key().cmp(&b.key()));
        all.dedup_by(|a, b| a.key() == b.key());
        // The last of those that are alike speaks for those beyond.
        for violation in all.iter_mut().rev() {
            let key = (violation.location.clone(), violation.keyword.clone());
            violation.more = beyond.remove(&key).unwrap_or_default();
        }
        Ok(all)
    }

    /// All (pointer, keyword) that a body can violate; pointers with `*` for list items and for
    /// members that no name is documented for. Alternatives (`anyOf`, `oneOf`, `not`) count as one
    /// keyword and are not entered, and a schema that holds itself is entered once.
    pub fn locations(&self) -> &BTreeSet<(String, String)> {
        self.0.locations.get_or_init(|| {
            let mut all = BTreeSet::new();
            locations::collect(&self.0.value, "", &mut all);
            all
        })
    }

    /// File and line, from 1, of a part of the schema, given by its JSON Pointer in
    /// [`Schema::value`]; of the nearest thing around it if there is no such part.
    pub fn place(&self, pointer: &str) -> (String, u32) {
        let part = self.0.walk(pointer);
        (part.document().name().to_owned(), part.line())
    }

    /// Makes sure that the schema can be used.
    ///
    /// # Errors
    /// The part that cannot be compiled, e.g. a pattern that is not a regular expression, with its place.
    pub fn compile(&self) -> Result<(), Diagnostic> {
        match build(&self.0.value) {
            Ok(validator) => {
                self.0.validator.get_or_init(|| Ok(validator));
                Ok(())
            }
            Err(error) => {
                let message = format!("not a schema: {}", error.masked());
                Err(self.0.walk(error.instance_path().as_str()).fault(message))
            }
        }
    }

    /// Returns true if the two are the same schema of the same folder.
    pub(super) fn is(&self, other: &Schema) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn validator(&self) -> Result<&Validator, UnusableSchema> {
        let built = self.0.validator.get_or_init(|| {
            build(&self.0.value).map_err(|error| UnusableSchema {
                path: self.0.folder.path(&self.0.document).to_owned(),
                pointer: self.0.pointer.clone(),
                why: error.masked().to_string(),
            })
        });
        built.as_ref().map_err(Clone::clone)
    }

    /// Adds the violations of one error, if there are not enough that are alike. `origins` remembers what was found out
    /// for an evaluation path, which many errors of one list have in common.
    fn violations_of(
        &self,
        error: &ValidationError<'_>,
        origins: &mut HashMap<String, SchemaOrigin>,
        all: &mut Vec<SchemaViolation>,
    ) {
        let evaluated = error.evaluation_path().as_str();
        if !origins.contains_key(evaluated) {
            let (file, line) = self.place(evaluated);
            let location = locations::location(evaluated);
            let counts = HashMap::new();
            origins.insert(evaluated.to_owned(), SchemaOrigin { location, file, line, counts });
        }
        let Some(origin) = origins.get_mut(evaluated) else { return };
        let keyword = keyword(error);
        let parent = error.instance_path().as_str();
        let mut add = |name, pointer, expected: &str, actual: &str| {
            all.extend(origin.violation(name, pointer, keyword, expected, actual));
        };
        match error.kind() {
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                add(Some(name), pointer_below(parent, name), "present", "absent");
            }
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                for name in unexpected {
                    add(Some("*"), pointer_below(parent, name), "absent", "present");
                }
            }
            kind => add(None, parent.to_owned(), &expected(kind), actual(kind, error.instance())),
        }
    }
}

impl SchemaOrigin {
    /// Counts a violation at a child of the location, or at the location itself; gives it, if not
    /// enough of them are listed yet.
    fn violation(
        &mut self,
        child: Option<&str>,
        pointer: String,
        keyword: &str,
        expected: &str,
        actual: &str,
    ) -> Option<SchemaViolation> {
        let location =
            child.map_or(self.location.clone(), |name| pointer_below(&self.location, name));
        let count = self.counts.entry((location.clone(), keyword.to_owned())).or_default();
        *count += 1;
        (*count <= MOST_ALIKE).then(|| SchemaViolation {
            pointer,
            location,
            keyword: keyword.to_owned(),
            expected: expected.to_owned(),
            actual: actual.to_owned(),
            spec_file: self.file.clone(),
            spec_line: self.line,
            more: 0,
        })
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

impl SchemaData {
    /// The part of a file where that of the schema at `pointer` was written, or what is around it.
    fn walk(&self, pointer: &str) -> Part<'_> {
        let mut files = FolderReader::new(&self.folder);
        let mut part = files.target(self.document.near(&self.pointer));
        for token in pointer_tokens(pointer).filter(|t| t != "$ref") {
            let child = match part.value() {
                Value::Array(_) => part.child(&token),
                Value::Object(_) => files.member(part, &token).or_else(|| {
                    // Draft 4 writes a list under `items` for what is called `prefixItems` today.
                    files.member(part, if token == "prefixItems" { "items" } else { "" })
                }),
                _ => None,
            };
            let Some(child) = child else { break };
            part = child;
        }
        part
    }
}

fn build(schema: &Value) -> Result<Validator, ValidationError<'static>> {
    // References out of the value are not there; should one be, it must not be looked for.
    formats::options().build(schema)
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
        Kind::UniqueItems => "unique items".to_owned(),
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
