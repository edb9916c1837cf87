//! Structural differences between two specifications.
//!
//! Compared are parameters, bodies, statuses, headers, and whether a token is asked for. What only
//! explains (descriptions, examples, titles, version marks) is not.
use super::{Header, Operation, Parameter, RequestBody, Response, Schema, Spec};
use crate::yaml::document::pointer_below;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One difference of an operation that both have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// Id of the operation in the first specification.
    pub operation: String,
    /// Place of the difference: `answer 200, /user_id, pattern`.
    pub what: String,
    /// Value in the first; `absent` if it has none.
    pub ours: String,
    pub theirs: String,
}

/// Structural differences between two specifications.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecDiff {
    /// For operations that both have, in the order of the first.
    pub differences: Vec<Difference>,
    /// Ids of operations that only the first has.
    pub only_ours: Vec<String>,
    /// Ids of operations that only the second has.
    pub only_theirs: Vec<String>,
}

type Facts = BTreeMap<String, String>;

/// Compares two specifications. Operations are the same if their ids are, else if method and path
/// are, as for [`Spec::over`].
pub fn diff(ours: &Spec, theirs: &Spec) -> SpecDiff {
    let mut result = SpecDiff::default();
    let mut matched = BTreeSet::new();
    for operation in ours.operations() {
        let Some(other) = counterpart(operation, ours, theirs) else {
            result.only_ours.push(operation.id.clone());
            continue;
        };
        matched.insert(other.id.clone());
        result.differences.extend(differences(operation, other));
    }
    let rest = theirs.operations().map(|o| &o.id).filter(|id| !matched.contains(*id));
    result.only_theirs = rest.cloned().collect();
    result
}

/// The operation of the same id, else the one of the same route whose id `ours` does not have.
fn counterpart<'s>(operation: &Operation, ours: &Spec, theirs: &'s Spec) -> Option<&'s Operation> {
    let is_it = |o: &&Operation| o.route() == operation.route() && ours.operation(&o.id).is_none();
    theirs.operation(&operation.id).or_else(|| theirs.operations().find(is_it))
}

fn differences(ours: &Operation, theirs: &Operation) -> Vec<Difference> {
    let (our_facts, their_facts) = (operation_facts(ours), operation_facts(theirs));
    let keys: BTreeSet<_> = our_facts.keys().chain(their_facts.keys()).collect();
    let fact = |facts: &Facts, what| facts.get(what).cloned().unwrap_or_else(|| ABSENT.to_owned());
    let all = keys.into_iter().map(|what| Difference {
        operation: ours.id.clone(),
        what: what.clone(),
        ours: fact(&our_facts, what),
        theirs: fact(&their_facts, what),
    });
    without_consequences(all.filter(|difference| difference.ours != difference.theirs).collect())
}

const ABSENT: &str = "absent";
const WITHOUT_SCHEMA: &str = "without a schema";

/// Leaves out the differences of parts of something that only one side has: they follow from that.
fn without_consequences(all: Vec<Difference>) -> Vec<Difference> {
    let lacks_all = |d: &&Difference| {
        [&d.ours, &d.theirs].iter().any(|s| [ABSENT, WITHOUT_SCHEMA].contains(&s.as_str()))
    };
    let covered: Vec<[String; 2]> =
        all.iter().filter(lacks_all).map(|d| covered_by(&d.what)).collect();
    let is_covered =
        |d: &Difference| covered.iter().flatten().any(|prefix| d.what.starts_with(prefix));
    all.into_iter().filter(|d| !is_covered(d)).collect()
}

/// Returns the beginnings of differences that follow from this one.
fn covered_by(what: &str) -> [String; 2] {
    match what.strip_suffix(", member") {
        Some(member) => [format!("{member}/"), format!("{member}, type")],
        None => [format!("{what}, "), format!("{what}, ")],
    }
}

fn operation_facts(operation: &Operation) -> Facts {
    let mut facts = Facts::new();
    facts.insert("method".into(), operation.method.clone());
    facts.insert("path".into(), super::unnamed(&operation.path));
    facts.insert("security".into(), operation.security.as_str().into());
    operation.parameters.iter().for_each(|p| parameter_facts(p, &mut facts));
    operation.request.iter().for_each(|r| request_facts(r, &mut facts));
    for (status, response) in &operation.responses {
        response_facts(&format!("answer {status}"), response, &mut facts);
    }
    facts
}

fn parameter_facts(parameter: &Parameter, facts: &mut Facts) {
    let what = format!("{} parameter `{}`", parameter.location.as_str(), parameter.name);
    facts.insert(what.clone(), necessity(parameter.required));
    schema_facts(&what, &parameter.schema, facts);
}

fn request_facts(request: &RequestBody, facts: &mut Facts) {
    facts.insert("request body".into(), necessity(request.required));
    request.schema.iter().for_each(|s| schema_facts("request body", s, facts));
}

fn response_facts(what: &str, response: &Response, facts: &mut Facts) {
    let body = if response.schema.is_some() { "with a schema" } else { WITHOUT_SCHEMA };
    facts.insert(what.to_owned(), body.to_owned());
    response.schema.iter().for_each(|s| schema_facts(what, s, facts));
    for Header { name, required, schema } in &response.headers {
        let what = format!("{what}, header `{}`", name.to_ascii_lowercase());
        facts.insert(what.clone(), necessity(*required));
        schema_facts(&what, schema, facts);
    }
}

fn necessity(required: bool) -> String {
    if required { "required" } else { "optional" }.to_owned()
}

fn schema_facts(what: &str, schema: &Schema, facts: &mut Facts) {
    let mut statements = Statements::default();
    statements.read(schema.value(), "");
    for ((pointer, keyword), values) in statements.0 {
        let at = if pointer.is_empty() { String::new() } else { format!(", {pointer}") };
        let values = values.into_iter().collect::<Vec<_>>().join(" and ");
        facts.insert(format!("{what}{at}, {keyword}"), values);
    }
}

/// Statements of a schema about each part of a value, by pointer and keyword. Several schemas under
/// `allOf` say it together, so there may be several values; the order of writing does not matter.
#[derive(Default)]
struct Statements(BTreeMap<(String, String), BTreeSet<String>>);

impl Statements {
    fn add(&mut self, pointer: &str, keyword: &str, value: impl Into<String>) {
        self.0.entry((pointer.to_owned(), keyword.to_owned())).or_default().insert(value.into());
    }

    fn read(&mut self, schema: &Value, here: &str) {
        match schema {
            Value::Object(map) => {
                map.iter().for_each(|(keyword, value)| self.keyword(keyword, value, here));
            }
            Value::Bool(false) => self.add(here, "member", "refused"),
            // `true` says nothing, as `{}` does.
            _ => {}
        }
    }

    fn keyword(&mut self, keyword: &str, value: &Value, here: &str) {
        match (keyword, value) {
            (keyword, _) if only_explains(keyword) => {}
            ("required", Value::Array(names)) => {
                for name in names.iter().filter_map(Value::as_str) {
                    self.add(&pointer_below(here, name), "member", "required");
                }
            }
            ("properties" | "patternProperties", Value::Object(members)) => {
                for (name, schema) in members {
                    self.add(&pointer_below(here, name), "member", "documented");
                    self.read(schema, &pointer_below(here, name));
                }
            }
            ("items" | "additionalProperties", schema) => {
                self.read(schema, &pointer_below(here, "*"))
            }
            ("allOf", Value::Array(all)) => all.iter().for_each(|schema| self.read(schema, here)),
            ("enum" | "type", Value::Array(values)) => {
                let values: BTreeSet<_> = values.iter().map(Value::to_string).collect();
                self.add(here, keyword, values.into_iter().collect::<Vec<_>>().join(", "));
            }
            ("enum" | "type" | "pattern" | "format", Value::String(value)) => {
                self.add(here, keyword, value.as_str());
            }
            (keyword, value) => self.add(here, keyword, bare(value).to_string()),
        }
    }
}

fn only_explains(keyword: &str) -> bool {
    matches!(keyword, "title" | "description" | "default" | "deprecated" | "readOnly" | "writeOnly")
        || keyword.starts_with("x-")
}

/// A schema that is compared as a whole, without what only explains.
fn bare(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, _)| !only_explains(key));
            Value::Object(kept.map(|(key, value)| (key.clone(), bare(value))).collect())
        }
        Value::Array(items) => items.iter().map(bare).collect(),
        other => other.clone(),
    }
}

/// Text that `homespec check --spec DIR` prints: the operations of `spec` with method and path,
/// then how they differ from those of `against`, then which only one of them has.
pub fn describe(spec: &Spec, against: &Spec) -> String {
    let mut lines =
        vec![format!("{}: {}", spec.name(), count(spec.operations().count(), "operation"))];
    let width = spec.operations().map(|o| o.id.chars().count()).max().unwrap_or(0);
    for operation in spec.operations() {
        let Operation { id, method, path, .. } = operation;
        lines.push(format!("  {id:width$}  {method:6} {path}"));
    }
    let SpecDiff { differences, only_ours, only_theirs } = diff(spec, against);
    let shared = spec.operations().count() - only_ours.len();
    let shared = count(shared, "operation");
    let other = against.name();
    lines.push(String::new());
    lines.push(match differences.len() {
        0 => format!("No structural difference to {other} in the {shared} that both have."),
        n => format!(
            "{} to {other} in the {shared} that both have:",
            count(n, "structural difference")
        ),
    });
    let mut last = None;
    for Difference { operation, what, ours, theirs } in &differences {
        if last.replace(operation) != Some(operation) {
            lines.push(format!("  {operation}"));
        }
        lines.push(format!("    {what}: {ours} here, {theirs} there"));
    }
    lines.extend(list("Only here:", &only_ours));
    lines.extend(list(&format!("Only in {other}:"), &only_theirs));
    lines.join("\n") + "\n"
}

fn list(title: &str, ids: &[String]) -> Option<String> {
    (!ids.is_empty()).then(|| format!("{title} {}", ids.join(", ")))
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
