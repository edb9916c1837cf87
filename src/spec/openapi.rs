//! From OpenAPI documents to operations.
//!
//! Swagger 2.0 (releases up to v1.7) and OpenAPI 3.1 (from v1.8) become one model.
use super::folder::{Faults, Folder, Members, Place};
use super::resolve::Reader;
use super::schema::Schema;
use super::{Header, Location, Operation, Parameter, RequestBody, Response, Security};
use crate::yaml::diagnostic::did_you_mean;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What stands in the r0 files where the version of the path belongs.
const VERSION_TOKEN: &str = "%CLIENT_MAJOR_VERSION%";
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
/// What describes a parameter's or a header's value in Swagger, beside the parameter itself.
const VALUE_KEYWORDS: [&str; 18] = [
    "type",
    "format",
    "items",
    "enum",
    "pattern",
    "default",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "multipleOf",
    "x-addedInMatrixVersion",
    "deprecated",
];

/// Reads the OpenAPI documents of a folder; operations and faults are collected.
pub(super) struct OperationReader<'f> {
    folder: &'f Arc<Folder>,
    faults: Faults,
    /// Schemas that were read already, by where they stand: the error schemas are referred to from
    /// nearly every answer.
    schemas: HashMap<(&'f str, u32), Schema>,
    operations: Vec<(Operation, Place<'f>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Swagger2,
    OpenApi31,
}

/// What holds for all operations of a document.
struct Document<'f> {
    format: Format,
    base_path: String,
    consumes: Vec<String>,
    produces: Vec<String>,
    security: Security,
    /// The security schemes that are defined.
    schemes: Vec<&'f str>,
}

/// A parameter as it was written.
struct Written<'f> {
    name: String,
    location: String,
    place: Place<'f>,
}

impl<'f> OperationReader<'f> {
    /// A reader that has read nothing yet.
    pub fn new(folder: &'f Arc<Folder>) -> OperationReader<'f> {
        OperationReader {
            folder,
            faults: Faults::default(),
            schemas: HashMap::new(),
            operations: Vec::new(),
        }
    }

    /// The operations of all files that were read, and what is wrong with them.
    pub fn finish(mut self) -> (Vec<Operation>, Faults) {
        self.refuse_repetition();
        (self.operations.into_iter().map(|(operation, _)| operation).collect(), self.faults)
    }

    /// Reads a file; false if it is YAML and no OpenAPI document.
    pub fn read(&mut self, path: &str) -> bool {
        let Some(root) = self.folder.open(path, &mut self.faults) else { return true };
        let version_key =
            ["swagger", "openapi"].into_iter().find(|k| root.value().get(k).is_some());
        let Some(key) = version_key else { return false };
        let Some(format) = self.format(root, key) else { return true };
        let document = self.head(root, format);
        match self.member(root, "paths") {
            Some(paths) => self.paths(&document, paths),
            None => self.faults.at(root, "there is no `paths`"),
        }
        true
    }

    /// The format of a document by the version under `key`; none, with a fault, if it is not read.
    fn format(&mut self, root: Place<'f>, key: &str) -> Option<Format> {
        let version = self.member(root, key)?;
        let text =
            version.value().as_str().map_or_else(|| version.value().to_string(), str::to_owned);
        match (key, text.as_str()) {
            ("swagger", "2.0") => Some(Format::Swagger2),
            ("openapi", v) if v == "3.1" || v.starts_with("3.1.") => Some(Format::OpenApi31),
            _ => {
                let message = format!("{key} {text} is not read; Swagger 2.0 and OpenAPI 3.1 are");
                self.faults.at(version, message);
                None
            }
        }
    }

    fn head(&mut self, root: Place<'f>, format: Format) -> Document<'f> {
        let schemes = match format {
            Format::Swagger2 => self.member(root, "securityDefinitions"),
            Format::OpenApi31 => {
                self.member(root, "components").and_then(|c| self.member(c, "securitySchemes"))
            }
        };
        let schemes = schemes.map(|s| self.members(s)).unwrap_or_default();
        // Each may be a reference; one that leads nowhere is a fault even if nobody uses it.
        schemes.iter().for_each(|(_, scheme)| drop(self.members(*scheme)));
        let schemes: Vec<_> = schemes.into_iter().map(|(name, _)| name).collect();
        let base_path = match format {
            Format::Swagger2 => self.text(root, "basePath").unwrap_or_default(),
            Format::OpenApi31 => self.server_path(root).unwrap_or_default(),
        };
        let security = self.security(root, &schemes).unwrap_or(Security::None);
        Document {
            format,
            base_path: base_path.trim_end_matches('/').replace(VERSION_TOKEN, "r0"),
            consumes: self.texts(root, "consumes").unwrap_or_default(),
            produces: self.texts(root, "produces").unwrap_or_default(),
            security,
            schemes,
        }
    }

    /// The path of the first server's URL, its variables at their defaults.
    fn server_path(&mut self, owner: Place<'f>) -> Option<String> {
        let server = self.member(owner, "servers")?.items().next()?;
        let mut url = self.text(server, "url")?;
        if let Some(variables) = self.member(server, "variables") {
            for (name, variable) in self.members(variables) {
                let default = self.text(variable, "default").unwrap_or_default();
                url = url.replace(&format!("{{{name}}}"), &default);
            }
        }
        let after_scheme = url.split_once("://").map(|(_, rest)| rest);
        Some(match after_scheme {
            Some(rest) => rest.find('/').and_then(|i| rest.get(i..)).unwrap_or_default().to_owned(),
            None => url,
        })
    }

    fn paths(&mut self, document: &Document<'f>, paths: Place<'f>) {
        for (path, item) in self.members(paths) {
            if path.starts_with("x-") {
                continue;
            }
            if !path.starts_with('/') {
                let message = format!("`{path}`: a path begins with a slash");
                self.faults.at_key(item, message);
                continue;
            }
            let members = self.members(item);
            let base = self.server_path(item);
            let base =
                base.as_deref().map_or(document.base_path.as_str(), |b| b.trim_end_matches('/'));
            let full = format!("{base}{}", path.replace(VERSION_TOKEN, "r0"));
            for (key, place) in members {
                match METHODS.contains(&key) {
                    true => self.operation(document, item, &key.to_uppercase(), &full, place),
                    false => self.check_path_key(key, place),
                }
            }
        }
    }

    fn check_path_key(&mut self, key: &str, place: Place<'f>) {
        const OTHERS: [&str; 4] = ["parameters", "summary", "description", "servers"];
        if OTHERS.contains(&key) || key.starts_with("x-") {
            return;
        }
        let message = format!("`{key}` is no method");
        let fault = place.part.key_fault(message);
        let known = METHODS.iter().chain(&OTHERS).copied();
        self.faults.add(match did_you_mean(key, known) {
            Some(near) => fault.with_help(format!("did you mean `{near}`?")),
            None => fault,
        });
    }

    fn operation(
        &mut self,
        document: &Document<'f>,
        item: Place<'f>,
        method: &str,
        path: &str,
        place: Place<'f>,
    ) {
        if !place.value().is_object() {
            return self.faults.at(place, "an operation is a mapping");
        }
        let path = match self.server_path(place) {
            // An operation with a server of its own: its path is the item's, under that base.
            Some(base) => {
                let below = path.strip_prefix(&document.base_path).unwrap_or(path);
                format!("{}{below}", base.trim_end_matches('/'))
            }
            None => path.to_owned(),
        };
        let own_id = self.text(place, "operationId");
        let parameters = self.written_parameters(item, place);
        let is_body = |p: &&Written<'f>| matches!(p.location.as_str(), "body" | "formData");
        let body = parameters.iter().find(is_body);
        let request = match document.format {
            Format::Swagger2 => body.map(|body| self.swagger_request(document, place, body)),
            Format::OpenApi31 => self.member(place, "requestBody").map(|body| self.request(body)),
        };
        let others = parameters.iter().filter(|p| !is_body(p));
        let parameters = others.filter_map(|p| self.parameter(document, p)).collect();
        let operation = Operation {
            id: own_id.unwrap_or_else(|| format!("{method} {path}")),
            method: method.to_owned(),
            path,
            parameters,
            request,
            responses: self.responses(document, place),
            security: self.security(place, &document.schemes).unwrap_or(document.security),
            added_in: self.text(place, "x-addedInMatrixVersion"),
            deprecated: self.flag(place, "deprecated"),
            file: place.part.document().name().to_owned(),
            line: place.part.line(),
        };
        self.operations.push((operation, place));
    }

    /// The parameters of an operation; those of the path come first and give way to the
    /// operation's own of the same name and location.
    fn written_parameters(&mut self, item: Place<'f>, operation: Place<'f>) -> Vec<Written<'f>> {
        let mut all: Vec<Written<'f>> = Vec::new();
        for owner in [item, operation] {
            let Some(list) = self.member(owner, "parameters") else { continue };
            if !list.value().is_array() {
                self.faults.at(list, "`parameters` is a list");
            }
            for place in list.items() {
                let (name, location) = (self.text(place, "name"), self.text(place, "in"));
                let (Some(name), Some(location)) = (name, location) else {
                    self.faults.at(place, "a parameter has `name` and `in`");
                    continue;
                };
                let same = |p: &&mut Written<'f>| p.name == name && p.location == location;
                match all.iter_mut().find(same) {
                    Some(earlier) => earlier.place = place,
                    None => all.push(Written { name, location, place }),
                }
            }
        }
        all
    }

    fn parameter(&mut self, document: &Document<'f>, written: &Written<'f>) -> Option<Parameter> {
        let Written { name, location, place } = written;
        let location = match location.as_str() {
            "query" => Location::Query,
            "path" => Location::Path,
            "header" => Location::Header,
            "cookie" => Location::Cookie,
            other => {
                let message =
                    format!("`{other}`: a parameter is sent in query, path, header or cookie");
                let at = self.member(*place, "in").unwrap_or(*place);
                self.faults.at(at, message);
                return None;
            }
        };
        Some(Parameter {
            name: name.clone(),
            location,
            required: location == Location::Path || self.flag(*place, "required"),
            schema: self.value_schema(document.format, *place),
        })
    }

    /// What a parameter or a header may hold.
    fn value_schema(&mut self, format: Format, place: Place<'f>) -> Schema {
        if format == Format::Swagger2 {
            return Reader::new(self.folder, &mut self.faults).read_only(place, &VALUE_KEYWORDS);
        }
        let schema = self.member(place, "schema").or_else(|| {
            let content = self.member(place, "content")?;
            let (_, media) = self.members(content).into_iter().next()?;
            self.member(media, "schema")
        });
        match schema {
            Some(schema) => self.schema(schema),
            None => Reader::new(self.folder, &mut self.faults).read_only(place, &[]),
        }
    }

    fn swagger_request(
        &mut self,
        document: &Document<'f>,
        operation: Place<'f>,
        body: &Written<'f>,
    ) -> RequestBody {
        let media_types = self.texts(operation, "consumes");
        // Form fields, which no login operation has, are told by the media types alone.
        let is_json = body.location == "body";
        let schema = self.member(body.place, "schema").filter(|_| is_json);
        RequestBody {
            required: self.flag(body.place, "required"),
            schema: schema.map(|schema| self.schema(schema)),
            media_types: media_types.unwrap_or_else(|| document.consumes.clone()),
        }
    }

    fn request(&mut self, body: Place<'f>) -> RequestBody {
        let (schema, media_types) = self.content(body);
        RequestBody { required: self.flag(body, "required"), schema, media_types }
    }

    /// The schema under the JSON media type, and all media types.
    fn content(&mut self, owner: Place<'f>) -> (Option<Schema>, Vec<String>) {
        let Some(content) = self.member(owner, "content") else { return (None, Vec::new()) };
        let media = self.members(content);
        let json = media.iter().find(|(name, _)| is_json(name)).map(|(_, place)| *place);
        let schema = json.and_then(|json| self.member(json, "schema"));
        (
            schema.map(|s| self.schema(s)),
            media.into_iter().map(|(name, _)| name.to_owned()).collect(),
        )
    }

    fn responses(
        &mut self,
        document: &Document<'f>,
        operation: Place<'f>,
    ) -> BTreeMap<String, Response> {
        let Some(responses) = self.member(operation, "responses") else {
            self.faults.at(operation, "an operation has `responses`");
            return BTreeMap::new();
        };
        let mut all = BTreeMap::new();
        for (key, place) in self.members(responses) {
            match status_key(key) {
                _ if key.starts_with("x-") => {}
                Some(status) => drop(all.insert(status, self.response(document, operation, place))),
                None => {
                    let message = format!("`{key}` is not a valid status: use 200, 2XX or default");
                    self.faults.at_key(place, message);
                }
            }
        }
        all
    }

    fn response(
        &mut self,
        document: &Document<'f>,
        operation: Place<'f>,
        place: Place<'f>,
    ) -> Response {
        let (schema, media_types) = match document.format {
            Format::OpenApi31 => self.content(place),
            Format::Swagger2 => {
                let schema = self.member(place, "schema").map(|s| self.schema(s));
                let produces =
                    self.texts(operation, "produces").unwrap_or_else(|| document.produces.clone());
                let is_json = produces.is_empty() || produces.iter().any(|name| is_json(name));
                (schema.filter(|_| is_json), produces)
            }
        };
        let headers = self.member(place, "headers").map(|h| self.members(h)).unwrap_or_default();
        let headers = headers.into_iter().map(|(name, header)| Header {
            name: name.to_owned(),
            required: document.format == Format::OpenApi31 && self.flag(header, "required"),
            schema: self.value_schema(document.format, header),
        });
        let headers = headers.collect();
        Response { description: self.text(place, "description"), schema, media_types, headers }
    }

    /// What `security` asks for; none if there is no such key.
    fn security(&mut self, owner: Place<'f>, schemes: &[&str]) -> Option<Security> {
        let list = self.member(owner, "security")?;
        if !list.value().is_array() {
            self.faults.at(list, "`security` is a list");
        }
        let mut alternatives = Vec::new();
        for alternative in list.items() {
            let members = self.members(alternative);
            for (name, place) in members.iter().filter(|(name, _)| !schemes.contains(name)) {
                // Published files forget it; that a token is asked for is clear all the same.
                let message = format!("the security scheme `{name}` is not defined");
                self.faults.add(place.part.key_fault(message).into_warning());
            }
            alternatives.push(members.is_empty());
        }
        Some(match alternatives.as_slice() {
            [] => Security::None,
            [true] => Security::None,
            some if some.contains(&true) => Security::Optional,
            _ => Security::Required,
        })
    }

    /// Two operations of one name, or at one method and path, cannot be told apart.
    fn refuse_repetition(&mut self) {
        let mut ids: HashMap<&str, Place<'f>> = HashMap::new();
        let mut routes: HashMap<(&str, String), Place<'f>> = HashMap::new();
        let mut faults = Vec::new();
        for (operation, place) in &self.operations {
            let route = (operation.method.as_str(), super::unnamed(&operation.path));
            let earlier = match (ids.get(operation.id.as_str()), routes.get(&route)) {
                (_, Some(earlier)) => Some((
                    *earlier,
                    format!("{} {} is described twice", operation.method, operation.path),
                )),
                (Some(earlier), None) => {
                    Some((*earlier, format!("two operations are named `{}`", operation.id)))
                }
                (None, None) => None,
            };
            if let Some((earlier, message)) = earlier {
                let fault = place.part.key_fault(message).with_label("again here");
                faults.push(fault.with_other_label(earlier.part.label("first here")));
            }
            ids.entry(&operation.id).or_insert(*place);
            routes.entry(route).or_insert(*place);
        }
        faults.into_iter().for_each(|fault| self.faults.add(fault));
    }

    fn schema(&mut self, place: Place<'f>) -> Schema {
        let place = self.folder.target(place, &mut self.faults);
        if let Some(known) = self.schemas.get(&place.identity()) {
            return known.clone();
        }
        let schema = Reader::new(self.folder, &mut self.faults).read(place);
        self.schemas.insert(place.identity(), schema.clone());
        schema
    }

    fn members(&mut self, place: Place<'f>) -> Members<'f> {
        self.folder.members(place, &mut self.faults)
    }

    fn member(&mut self, place: Place<'f>, key: &str) -> Option<Place<'f>> {
        self.folder.member(place, key, &mut self.faults)
    }

    fn text(&mut self, owner: Place<'f>, key: &str) -> Option<String> {
        let place = self.member(owner, key)?;
        match place.value() {
            Value::String(text) => Some(text.clone()),
            Value::Number(_) => {
                self.faults.add(
                    place.part.fault(format!("`{key}` is text")).with_help("put it in quotes"),
                );
                None
            }
            _ => {
                self.faults.at(place, format!("`{key}` is text"));
                None
            }
        }
    }

    fn texts(&mut self, owner: Place<'f>, key: &str) -> Option<Vec<String>> {
        let place = self.member(owner, key)?;
        let texts =
            place.value().as_array().map(|l| l.iter().map(|v| v.as_str().map(str::to_owned)));
        let texts = texts.and_then(Iterator::collect::<Option<Vec<_>>>);
        if texts.is_none() {
            self.faults.at(place, format!("`{key}` is a list of texts"));
        }
        texts
    }

    fn flag(&mut self, owner: Place<'f>, key: &str) -> bool {
        let Some(place) = self.member(owner, key) else { return false };
        place.value().as_bool().unwrap_or_else(|| {
            self.faults.at(place, format!("`{key}` is true or false"));
            false
        })
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
