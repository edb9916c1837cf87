//! From OpenAPI documents to operations.
//!
//! Swagger 2.0 (releases up to v1.7) and OpenAPI 3.1 (from v1.8) become one model.
use super::folder::{Folder, FolderReader};
use super::resolve::{Identity, SchemaReader, identity};
use super::schema::Schema;
use super::{Header, Location, Operation, Parameter, RequestBody, Response, Security};
use crate::yaml::diagnostic::{Diagnostic, did_you_mean};
use crate::yaml::document::Part;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The placeholder of the r0 files for the version in a path.
const VERSION_TOKEN: &str = "%CLIENT_MAJOR_VERSION%";
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// Keys that describe the value of a parameter or a header in Swagger, next to those of the
/// parameter.
#[rustfmt::skip]
const VALUE_KEYWORDS: [&str; 18] = [
    "type", "format", "items", "enum", "pattern", "default", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "multipleOf",
    "x-addedInMatrixVersion", "deprecated",
];

/// Reads the OpenAPI documents of a folder; operations and faults are collected.
pub(super) struct OperationReader<'f> {
    files: FolderReader<'f>,
    /// Schemas that were read already: the error schemas are referred to from nearly every answer.
    schemas: HashMap<Identity<'f>, Schema>,
    operations: Vec<(Operation, Part<'f>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SpecFormat {
    Swagger2,
    OpenApi31,
}

/// Defaults of a document for all its operations.
struct DocumentDefaults<'f> {
    format: SpecFormat,
    base_path: String,
    consumes: Vec<String>,
    produces: Vec<String>,
    security: Security,
    schemes: Vec<&'f str>,
}

struct WrittenParameter<'f> {
    name: String,
    location: String,
    part: Part<'f>,
}

impl<'f> OperationReader<'f> {
    pub fn new(folder: &'f Arc<Folder>) -> OperationReader<'f> {
        let files = FolderReader::new(folder);
        OperationReader { files, schemas: HashMap::new(), operations: Vec::new() }
    }

    /// The operations of all files that were read, and what is wrong with them.
    pub fn finish(mut self) -> (Vec<Operation>, Vec<Diagnostic>) {
        self.refuse_repetition();
        let operations = self.operations.into_iter().map(|(operation, _)| operation);
        (operations.collect(), self.files.reader.faults())
    }

    /// Reads a file; false if it is YAML and no OpenAPI document.
    pub fn read(&mut self, path: &str) -> bool {
        let Some(root) = self.files.open(path) else { return true };
        let is_there = |key: &&str| root.value().get(key).is_some();
        let Some(key) = ["swagger", "openapi"].into_iter().find(is_there) else { return false };
        let Some(format) = self.format(root, key) else { return true };
        let document = self.head(root, format);
        match self.files.member(root, "paths") {
            Some(paths) => self.paths(&document, paths),
            None => self.files.fault(root, "`paths` is missing"),
        }
        true
    }

    /// The format of a document by the version under `key`; none, with a fault, if it is not read.
    fn format(&mut self, root: Part<'f>, key: &str) -> Option<SpecFormat> {
        let version = self.files.member(root, key)?;
        let text =
            version.value().as_str().map_or_else(|| version.value().to_string(), str::to_owned);
        match (key, text.as_str()) {
            ("swagger", "2.0") => Some(SpecFormat::Swagger2),
            ("openapi", v) if v == "3.1" || v.starts_with("3.1.") => Some(SpecFormat::OpenApi31),
            _ => {
                let message = format!("{key} {text} is not read; Swagger 2.0 and OpenAPI 3.1 are");
                self.files.fault(version, message);
                None
            }
        }
    }

    fn head(&mut self, root: Part<'f>, format: SpecFormat) -> DocumentDefaults<'f> {
        let files = &mut self.files;
        let (schemes, base_path) = match format {
            SpecFormat::Swagger2 => {
                (files.member(root, "securityDefinitions"), files.text(root, "basePath"))
            }
            SpecFormat::OpenApi31 => {
                let components = files.member(root, "components");
                let schemes = components.and_then(|c| files.member(c, "securitySchemes"));
                (schemes, self.server_path(root))
            }
        };
        let schemes = schemes.map(|s| self.files.members(s)).unwrap_or_default();
        // Each may be a reference; one that leads nowhere is a fault even if nobody uses it.
        schemes.iter().for_each(|(_, scheme)| drop(self.files.members(*scheme)));
        let schemes: Vec<_> = schemes.into_iter().map(|(name, _)| name).collect();
        let base_path = base_path.unwrap_or_default();
        DocumentDefaults {
            format,
            base_path: base_path.trim_end_matches('/').replace(VERSION_TOKEN, "r0"),
            consumes: self.texts(root, "consumes").unwrap_or_default(),
            produces: self.texts(root, "produces").unwrap_or_default(),
            security: self.security(root, &schemes).unwrap_or(Security::None),
            schemes,
        }
    }

    /// The path of the first server's URL, its variables at their defaults.
    fn server_path(&mut self, owner: Part<'f>) -> Option<String> {
        let server = self.files.member(owner, "servers")?.items().next()?;
        let mut url = self.files.text(server, "url")?;
        if let Some(variables) = self.files.member(server, "variables") {
            for (name, variable) in self.files.members(variables) {
                let default = self.files.text(variable, "default").unwrap_or_default();
                url = url.replace(&format!("{{{name}}}"), &default);
            }
        }
        Some(match url.split_once("://") {
            Some((_, rest)) => rest.split_once('/').map_or(String::new(), |(_, p)| format!("/{p}")),
            None => url,
        })
    }

    fn paths(&mut self, document: &DocumentDefaults<'f>, paths: Part<'f>) {
        for (path, item) in self.files.members(paths) {
            if path.starts_with("x-") {
                continue;
            }
            if !path.starts_with('/') {
                let message = format!("`{path}`: a path begins with a slash");
                self.files.reader.add(item.key_fault(message));
                continue;
            }
            let members = self.files.members(item);
            let base = self.server_path(item);
            let base = base.as_deref().map_or(&*document.base_path, |b| b.trim_end_matches('/'));
            let full = format!("{base}{}", path.replace(VERSION_TOKEN, "r0"));
            for (key, part) in members {
                match METHODS.contains(&key) {
                    true => self.operation(document, item, &key.to_uppercase(), &full, part),
                    false => self.check_path_key(key, part),
                }
            }
        }
    }

    fn check_path_key(&mut self, key: &str, part: Part<'f>) {
        const OTHERS: [&str; 4] = ["parameters", "summary", "description", "servers"];
        if OTHERS.contains(&key) || key.starts_with("x-") {
            return;
        }
        let fault = part.key_fault(format!("`{key}` is not an HTTP method"));
        let known = METHODS.iter().chain(&OTHERS).copied();
        self.files.reader.add(match did_you_mean(key, known) {
            Some(near) => fault.with_help(format!("did you mean `{near}`?")),
            None => fault,
        });
    }

    fn operation(
        &mut self,
        document: &DocumentDefaults<'f>,
        item: Part<'f>,
        method: &str,
        path: &str,
        part: Part<'f>,
    ) {
        if !part.value().is_object() {
            return self.files.fault(part, "an operation is a mapping");
        }
        let path = match self.server_path(part) {
            // An operation with a server of its own: its path is the item's, under that base.
            Some(base) => {
                let below = path.strip_prefix(&document.base_path).unwrap_or(path);
                format!("{}{below}", base.trim_end_matches('/'))
            }
            None => path.to_owned(),
        };
        let own_id = self.files.text(part, "operationId");
        let (bodies, others): (Vec<_>, Vec<_>) = self
            .written_parameters(item, part)
            .into_iter()
            .partition(|p| matches!(p.location.as_str(), "body" | "formData"));
        let request = match document.format {
            SpecFormat::Swagger2 => bodies.first().map(|b| self.swagger_request(document, part, b)),
            SpecFormat::OpenApi31 => {
                self.files.member(part, "requestBody").map(|body| self.request(body))
            }
        };
        let parameters = others.into_iter().filter_map(|p| self.parameter(document, p)).collect();
        let operation = Operation {
            id: own_id.unwrap_or_else(|| format!("{method} {path}")),
            method: method.to_owned(),
            path,
            parameters,
            request,
            responses: self.responses(document, part),
            security: self.security(part, &document.schemes).unwrap_or(document.security),
            added_in: self.files.text(part, "x-addedInMatrixVersion"),
            deprecated: self.flag(part, "deprecated"),
            file: part.document().name().to_owned(),
            line: part.line(),
        };
        self.operations.push((operation, part));
    }

    /// The parameters of an operation; those of the path come first and give way to the
    /// operation's own of the same name and location.
    fn written_parameters(
        &mut self,
        item: Part<'f>,
        operation: Part<'f>,
    ) -> Vec<WrittenParameter<'f>> {
        let mut all: Vec<WrittenParameter<'f>> = Vec::new();
        for owner in [item, operation] {
            for part in self.list(owner, "parameters").unwrap_or_default() {
                let files = &mut self.files;
                let (name, location) = (files.text(part, "name"), files.text(part, "in"));
                let (Some(name), Some(location)) = (name, location) else {
                    files.fault(part, "a parameter has `name` and `in`");
                    continue;
                };
                match all.iter_mut().find(|p| p.name == name && p.location == location) {
                    Some(earlier) => earlier.part = part,
                    None => all.push(WrittenParameter { name, location, part }),
                }
            }
        }
        all
    }

    fn parameter(
        &mut self,
        document: &DocumentDefaults<'f>,
        written: WrittenParameter<'f>,
    ) -> Option<Parameter> {
        let WrittenParameter { name, location, part } = written;
        let Ok(location) = location.parse::<Location>() else {
            let message =
                format!("`{location}`: a parameter is sent in query, path, header or cookie");
            let at = self.files.member(part, "in").unwrap_or(part);
            self.files.fault(at, message);
            return None;
        };
        let required = location == Location::Path || self.flag(part, "required");
        Some(Parameter {
            name,
            location,
            required,
            schema: self.value_schema(document.format, part),
        })
    }

    /// The schema of a parameter or a header.
    fn value_schema(&mut self, format: SpecFormat, part: Part<'f>) -> Schema {
        if format == SpecFormat::Swagger2 {
            return SchemaReader::new(&mut self.files).read_only(part, &VALUE_KEYWORDS);
        }
        let files = &mut self.files;
        let schema = files.member(part, "schema").or_else(|| {
            let content = files.member(part, "content")?;
            let (_, media) = files.members(content).into_iter().next()?;
            files.member(media, "schema")
        });
        match schema {
            Some(schema) => self.schema(schema),
            None => SchemaReader::new(&mut self.files).read_only(part, &[]),
        }
    }

    fn swagger_request(
        &mut self,
        document: &DocumentDefaults<'f>,
        operation: Part<'f>,
        body: &WrittenParameter<'f>,
    ) -> RequestBody {
        let media_types = self.texts(operation, "consumes");
        // Form fields, which no login operation has, are told by the media types alone.
        let schema = self.schema_member(body.part).filter(|_| body.location == "body");
        RequestBody {
            required: self.flag(body.part, "required"),
            schema,
            media_types: media_types.unwrap_or_else(|| document.consumes.clone()),
        }
    }

    fn request(&mut self, body: Part<'f>) -> RequestBody {
        let (schema, media_types) = self.content(body);
        RequestBody { required: self.flag(body, "required"), schema, media_types }
    }

    /// The schema under the JSON media type, and all media types.
    fn content(&mut self, owner: Part<'f>) -> (Option<Schema>, Vec<String>) {
        let Some(content) = self.files.member(owner, "content") else { return (None, Vec::new()) };
        let media = self.files.members(content);
        let json = media.iter().find(|(name, _)| is_json(name));
        let schema = json.and_then(|(_, json)| self.schema_member(*json));
        (schema, media.into_iter().map(|(name, _)| name.to_owned()).collect())
    }

    fn responses(
        &mut self,
        document: &DocumentDefaults<'f>,
        operation: Part<'f>,
    ) -> BTreeMap<String, Response> {
        let Some(responses) = self.files.member(operation, "responses") else {
            self.files.fault(operation, "an operation has `responses`");
            return BTreeMap::new();
        };
        let mut all = BTreeMap::new();
        for (key, part) in self.files.members(responses) {
            match status_key(key) {
                _ if key.starts_with("x-") => {}
                Some(status) => drop(all.insert(status, self.response(document, operation, part))),
                None => {
                    let message = format!("`{key}` is not a valid status: use 200, 2XX or default");
                    self.files.reader.add(part.key_fault(message));
                }
            }
        }
        all
    }

    fn response(
        &mut self,
        document: &DocumentDefaults<'f>,
        operation: Part<'f>,
        part: Part<'f>,
    ) -> Response {
        let is_swagger = document.format == SpecFormat::Swagger2;
        let (schema, media_types) = match is_swagger {
            false => self.content(part),
            true => {
                let schema = self.schema_member(part);
                let produces =
                    self.texts(operation, "produces").unwrap_or_else(|| document.produces.clone());
                let is_json = produces.is_empty() || produces.iter().any(|name| is_json(name));
                (schema.filter(|_| is_json), produces)
            }
        };
        let headers = self.files.member(part, "headers").map(|h| self.files.members(h));
        let header = |(name, header): (&str, Part<'f>)| Header {
            name: name.to_owned(),
            required: !is_swagger && self.flag(header, "required"),
            schema: self.value_schema(document.format, header),
        };
        let headers = headers.unwrap_or_default().into_iter().map(header).collect();
        let description = self.files.text(part, "description");
        Response { description, schema, media_types, headers }
    }

    /// Reads `security`; none if there is no such key.
    fn security(&mut self, owner: Part<'f>, schemes: &[&str]) -> Option<Security> {
        let mut alternatives = Vec::new();
        for alternative in self.list(owner, "security")? {
            let members = self.files.members(alternative);
            for (name, part) in members.iter().filter(|(name, _)| !schemes.contains(name)) {
                // Published files forget it; that a token is asked for is clear all the same.
                let message = format!("the security scheme `{name}` is not defined");
                self.files.reader.add(part.key_fault(message).into_warning());
            }
            alternatives.push(members.is_empty());
        }
        Some(match alternatives.as_slice() {
            [] | [true] => Security::None,
            some if some.contains(&true) => Security::Optional,
            _ => Security::Required,
        })
    }

    /// Two operations of one name, or at one method and path, cannot be told apart.
    fn refuse_repetition(&mut self) {
        let mut ids: HashMap<&str, Part<'f>> = HashMap::new();
        let mut routes: HashMap<(&str, String), Part<'f>> = HashMap::new();
        for (operation, part) in &self.operations {
            let Operation { id, method, path, .. } = operation;
            let route = (method.as_str(), super::unnamed(path));
            let twice = |first: &Part<'f>| (*first, format!("duplicate operation {method} {path}"));
            let named = |first: &Part<'f>| (*first, format!("two operations are named `{id}`"));
            let by_id = || ids.get(id.as_str()).map(named);
            if let Some((first, message)) = routes.get(&route).map(twice).or_else(by_id) {
                let fault = part.key_fault(message).with_label("again here");
                self.files.reader.add(fault.with_other_label(first.label("first here")));
            }
            ids.entry(id).or_insert(*part);
            routes.entry(route).or_insert(*part);
        }
    }

    fn schema_member(&mut self, owner: Part<'f>) -> Option<Schema> {
        self.files.member(owner, "schema").map(|schema| self.schema(schema))
    }

    fn schema(&mut self, part: Part<'f>) -> Schema {
        let part = self.files.target(part);
        if let Some(known) = self.schemas.get(&identity(part)) {
            return known.clone();
        }
        let schema = SchemaReader::new(&mut self.files).read(part);
        self.schemas.insert(identity(part), schema.clone());
        schema
    }

    /// The items of a member; none if there is no such key.
    fn list(&mut self, owner: Part<'f>, key: &str) -> Option<Vec<Part<'f>>> {
        let list = self.files.member(owner, key)?;
        if !list.value().is_array() {
            self.files.fault(list, format!("`{key}` must be a list"));
        }
        Some(list.items().collect())
    }

    fn texts(&mut self, owner: Part<'f>, key: &str) -> Option<Vec<String>> {
        self.files.plain(owner, key, "a list of texts")
    }

    fn flag(&mut self, owner: Part<'f>, key: &str) -> bool {
        self.files.plain(owner, key, "true or false").unwrap_or_default()
    }
}

fn is_json(media_type: &str) -> bool {
    let name = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    name == "application/json" || name.ends_with("+json")
}

/// `200`, `2XX` or `default` in one spelling; none for anything else.
fn status_key(key: &str) -> Option<String> {
    let upper = key.to_ascii_uppercase();
    match upper.as_bytes() {
        b"DEFAULT" => Some("default".to_owned()),
        [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'] | [b'1'..=b'5', b'X', b'X'] => Some(upper),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_one_spelling() {
        assert_eq!(status_key("200").as_deref(), Some("200"));
        assert_eq!(status_key("4xx").as_deref(), Some("4XX"));
        assert_eq!(status_key("Default").as_deref(), Some("default"));
        for wrong in ["20", "2000", "600", "ok", "2X0", ""] {
            assert_eq!(status_key(wrong), None, "{wrong}");
        }
    }
}
