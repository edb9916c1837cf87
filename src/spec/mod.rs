//! OpenAPI files as operations and compiled schemas, and the differences of two sets.
//!
//! [`Spec`] is made of a folder of OpenAPI files, Swagger 2.0 and OpenAPI 3.1 alike, in the layout
//! of any release of the Matrix specification, or of the files that are carried inside the program
//! ([`Spec::bundled_v1`], [`Spec::bundled_r0`]). Nothing here touches the network.
mod bundled;
mod diff;
mod folder;
mod formats;
mod load;
mod locations;
mod openapi;
mod resolve;
mod schema;

pub use diff::{Difference, SpecDiff, describe, diff};
pub use schema::{Schema, SchemaViolation, UnusableSchema};

use crate::yaml::diagnostic::Diagnostic;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use strum::{EnumString, IntoStaticStr};

/// The operations that a set of files describes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spec {
    name: String,
    operations: Vec<Arc<Operation>>,
    by_id: HashMap<String, usize>,
    notes: Vec<Diagnostic>,
}

/// One method at one path.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Its `operationId`; where the file has none, `METHOD /path`.
    pub id: String,
    /// In upper case.
    pub method: String,
    /// The whole path with its base, names in braces: `/_matrix/client/v3/devices/{deviceId}`.
    pub path: String,
    /// What is sent in path, query, headers and cookies.
    pub parameters: Vec<Parameter>,
    /// The body that is sent, if one is described.
    pub request: Option<RequestBody>,
    /// The answers by status: `200`, `2XX` or `default`.
    pub responses: BTreeMap<String, Response>,
    pub security: Security,
    /// The version in which it came to this path, as `1.3`; none for r0 and v1.1.
    pub added_in: Option<String>,
    pub deprecated: bool,
    pub file: String,
    /// The line there, from 1.
    pub line: u32,
}

/// Something that is sent outside of the body.
#[derive(Debug, Clone)]
pub struct Parameter {
    pub name: String,
    pub location: Location,
    pub required: bool,
    pub schema: Schema,
}

/// Where a parameter is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
#[allow(unnameable_types)] // By way of an `Into`.
pub enum Location {
    Path,
    Query,
    Header,
    Cookie,
}

impl Location {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A body that is sent.
#[derive(Debug, Clone)]
pub struct RequestBody {
    pub required: bool,
    /// What it holds if it is JSON.
    pub schema: Option<Schema>,
    pub media_types: Vec<String>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// What the file says of it.
    pub description: Option<String>,
    /// What the body holds if it is JSON and described.
    pub schema: Option<Schema>,
    pub media_types: Vec<String>,
    pub headers: Vec<Header>,
}

/// A header of an answer.
#[derive(Debug, Clone)]
pub struct Header {
    pub name: String,
    pub required: bool,
    pub schema: Schema,
}

/// Whether an operation asks for an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
#[allow(unnameable_types)] // By way of an `Into`.
pub enum Security {
    None,
    /// It works without, and differently with one.
    Optional,
    Required,
}

impl Security {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What a documented schema says of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaCheck {
    /// The status is not documented for this operation, or without a schema.
    NoSchema,
    Valid,
    /// The body differs in these ways; at least one.
    Violations(Vec<SchemaViolation>),
    /// The schema cannot be used, so nothing can be said of the body.
    Unusable(UnusableSchema),
}

/// A way in which an answer can differ from its documented schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaLocation {
    pub operation: String,
    /// As the file writes it: `200`, `2XX`, `default`.
    pub status: String,
    /// JSON Pointer into the body; `*` stands for list items and for members that no name is
    /// documented for.
    pub pointer: String,
    /// The keyword as in [`SchemaViolation::keyword`].
    pub keyword: String,
}

impl Spec {
    /// Reads all OpenAPI files of a folder; files that are none are read through references only.
    ///
    /// # Errors
    /// All faults at once, with their places: what is no YAML or no OpenAPI, references that lead
    /// nowhere or to other hosts, wrong types, schemas that cannot be used, an operation described
    /// twice, and that there is no OpenAPI file at all. A reference that leaves the folder is not
    /// followed; it is among the [`Spec::notes`], since published files do so.
    pub fn from_dir(dir: &Path) -> Result<Spec, Vec<Diagnostic>> {
        let name = dir.display().to_string();
        let shown = format!("{}/", name.trim_end_matches('/'));
        let spec = load::load(&name, &shown, load::folder_files(dir)?)?;
        spec.compile().map(|()| spec)
    }

    /// As [`Spec::from_dir`], from texts: the name to show, and relative path (with `/`) and text
    /// of each file.
    pub fn from_files(
        name: &str,
        files: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Spec, Vec<Diagnostic>> {
        let files = files.into_iter().map(|(path, text)| (path, Ok(text)));
        let spec = load::load(name, "", files)?;
        spec.compile().map(|()| spec)
    }

    /// Today's surface: the files under `spec/v1`, as they were when the program was built. Read
    /// once; later calls are cheap.
    ///
    /// # Errors
    /// Faults of these files; a test shows that there are none.
    pub fn bundled_v1() -> Result<Spec, Vec<Diagnostic>> {
        bundled::v1()
    }

    /// The surface of r0.5 and r0.6: the files under `spec/r0`, as [`Spec::bundled_v1`].
    pub fn bundled_r0() -> Result<Spec, Vec<Diagnostic>> {
        bundled::r0()
    }

    fn new(name: String, operations: Vec<Arc<Operation>>, notes: Vec<Diagnostic>) -> Spec {
        let by_id = operations.iter().enumerate().map(|(i, o)| (o.id.clone(), i)).collect();
        Spec { name, operations, by_id, notes }
    }

    /// `bundled v1`, `bundled r0`, or the folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is worth knowing of the files and stops nothing.
    pub fn notes(&self) -> &[Diagnostic] {
        &self.notes
    }

    /// The operation with this id.
    pub fn operation(&self, id: &str) -> Option<&Operation> {
        self.operations.get(*self.by_id.get(id)?).map(Arc::as_ref)
    }

    /// All operations, by file and in the order of the file.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter().map(Arc::as_ref)
    }

    /// Whether most of its paths are those of r0, so that `bundled r0` is what to compare it with.
    pub fn is_r0(&self) -> bool {
        let r0 = self.operations().filter(|o| o.path.starts_with("/_matrix/client/r0/")).count();
        let versioned = self.operations().filter(|o| major_version(&o.path).is_some()).count();
        r0 * 2 > versioned
    }

    /// The operations of `self`, and those of `fallback` that it lacks; the name stays.
    ///
    /// Operations are the same if their ids are, or else if method and path are (whatever the
    /// version in the path and the names in braces). Then the id is that of `fallback`, so that
    /// cases find an operation in old files that have no ids.
    pub fn over(self, fallback: Spec) -> Spec {
        let mut operations = self.operations;
        let mut added = Vec::new();
        let theirs_by_id = fallback.by_id;
        let routes: HashMap<_, _> =
            operations.iter().enumerate().map(|(i, o)| (o.route(), i)).collect();
        for theirs in fallback.operations {
            if self.by_id.contains_key(&theirs.id) {
                continue;
            }
            let same = routes.get(&theirs.route()).and_then(|i| operations.get_mut(*i));
            match same.filter(|ours| !theirs_by_id.contains_key(&ours.id)) {
                Some(ours) => Arc::make_mut(ours).id = theirs.id.clone(),
                None => added.push(theirs),
            }
        }
        operations.extend(added);
        Spec::new(self.name, operations, self.notes)
    }

    /// Judges the body of an answer by the schema that is documented for its status: its own, else
    /// that of its class (`2XX`), else `default`.
    pub fn check(&self, operation: &str, status: u16, body: &Value) -> SchemaCheck {
        let response = self.operation(operation).and_then(|o| o.response(status));
        let schema = response.and_then(|r| r.schema.as_ref());
        match schema.map(|schema| schema.violations(body)) {
            None => SchemaCheck::NoSchema,
            Some(Ok(none)) if none.is_empty() => SchemaCheck::Valid,
            Some(Ok(some)) => SchemaCheck::Violations(some),
            Some(Err(unusable)) => SchemaCheck::Unusable(unusable),
        }
    }

    /// Every way in which an answer can differ from its documented schema, sorted.
    pub fn schema_locations(&self) -> Vec<SchemaLocation> {
        let mut all = Vec::new();
        for operation in self.operations() {
            for (status, response) in &operation.responses {
                let locations =
                    response.schema.as_ref().map(|s| s.locations().clone()).unwrap_or_default();
                all.extend(locations.into_iter().map(|(pointer, keyword)| SchemaLocation {
                    operation: operation.id.clone(),
                    status: status.clone(),
                    pointer,
                    keyword,
                }));
            }
        }
        all.sort();
        all
    }

    /// Makes all schemas ready for use. Folders are compiled when they are loaded, so that what is
    /// wrong with them is known before anything is sent; the bundled files when they are used.
    ///
    /// # Errors
    /// Every schema that cannot be used, with its place.
    pub fn compile(&self) -> Result<(), Vec<Diagnostic>> {
        let mut done: Vec<&Schema> = Vec::new();
        let mut faults = Vec::new();
        for schema in self.operations().flat_map(Operation::schemas) {
            if done.iter().any(|known| known.is(schema)) {
                continue;
            }
            done.push(schema);
            faults.extend(schema.compile().err());
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

impl Operation {
    /// What is documented for a status: itself, else its class (`2XX`), else `default`.
    pub fn response(&self, status: u16) -> Option<&Response> {
        let class = format!("{}XX", status / 100);
        let keys = [status.to_string(), class, "default".to_owned()];
        keys.iter().find_map(|key| self.responses.get(key))
    }

    /// Method and path without the version in it and without the names in braces: the same for an
    /// operation in r0 and in v3.
    pub fn route(&self) -> String {
        let path = match major_version(&self.path) {
            Some((_, below)) => format!("/_matrix/client/*{below}"),
            None => self.path.clone(),
        };
        format!("{} {}", self.method, unnamed(&path))
    }

    fn schemas(&self) -> impl Iterator<Item = &Schema> {
        let parameters = self.parameters.iter().map(|p| &p.schema);
        let request = self.request.iter().filter_map(|r| r.schema.as_ref());
        let bodies = self.responses.values().filter_map(|r| r.schema.as_ref());
        let headers = self.responses.values().flat_map(|r| &r.headers).map(|h| &h.schema);
        parameters.chain(request).chain(bodies).chain(headers)
    }
}

impl fmt::Display for Operation {
    /// `METHOD /path`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// The version in a Client-Server path and what is below it: `v3` and `/login`.
fn major_version(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix("/_matrix/client/")?;
    let (version, _) = rest.split_once('/')?;
    let digits = version.strip_prefix(['r', 'v'])?;
    let is_version = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_version.then(|| rest.split_at(version.len()))
}

/// A path with `{}` in place of each name in braces.
fn unnamed(path: &str) -> String {
    let mut parts = path.split('{');
    let mut all = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        all.push_str("{}");
        all.push_str(part.split_once('}').map_or("", |(_, rest)| rest));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_from_other_parts_of_a_path() {
        assert_eq!(major_version("/_matrix/client/v3/login"), Some(("v3", "/login")));
        assert_eq!(major_version("/_matrix/client/r0/a/b"), Some(("r0", "/a/b")));
        assert_eq!(major_version("/_matrix/client/versions"), None);
        assert_eq!(major_version("/_matrix/client/versions/x"), None);
        assert_eq!(major_version("/.well-known/matrix/client"), None);
    }

    #[test]
    fn names_in_braces_do_not_matter() {
        assert_eq!(unnamed("/a/{b}/c/{d}"), "/a/{}/c/{}");
        assert_eq!(unnamed("/a"), "/a");
        assert_eq!(unnamed("/a/{b"), "/a/{}");
    }
}
