//! The files of a specification folder and the references between them.
use crate::diagnostic::{Diagnostic, Severity, did_you_mean};
use crate::source::{Document, pointer_token};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

/// How many references may follow one on another.
const MAX_CHAIN: usize = 32;

/// A folder of files, each parsed when it is first needed.
#[derive(Debug)]
pub(super) struct Folder {
    files: BTreeMap<String, File>,
}

/// A file of the folder: what was read, and the document once somebody asked for it.
#[derive(Debug)]
struct File {
    shown: String,
    content: Result<String, Diagnostic>,
    parsed: OnceLock<Result<Document, Vec<Diagnostic>>>,
}

/// A value in a file of the folder.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Relative path of the file, with `/` between its parts.
    pub path: Arc<str>,
    /// The file.
    pub document: Document,
    /// JSON Pointer to the value.
    pub pointer: String,
}

/// The members of a mapping, each with its place, references resolved.
pub(super) type Members = Vec<(String, Place)>;

/// Where a reference leads, if not to a value.
enum RefFault {
    /// Out of the folder: never followed, but published files do it.
    Leaves(String),
    /// Nowhere.
    Broken(String, Option<String>),
}

/// Collects the faults of a folder; the same one met twice, through two references, counts once.
#[derive(Debug, Default)]
pub(super) struct Faults {
    all: Vec<Diagnostic>,
    seen: BTreeSet<String>,
}

impl Faults {
    /// Adds a fault unless it is known.
    pub fn add(&mut self, fault: Diagnostic) {
        if self.seen.insert(fault.to_string()) {
            self.all.push(fault);
        }
    }

    /// Adds a fault of the value at a place.
    pub fn at(&mut self, place: &Place, message: impl Into<String>) {
        self.add(place.fault(message));
    }

    /// The warnings, or all errors if there is one.
    pub fn finish(self) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        let (errors, warnings): (Vec<_>, Vec<_>) =
            self.all.into_iter().partition(|d| d.severity == Severity::Error);
        if errors.is_empty() { Ok(warnings) } else { Err(errors) }
    }
}

impl Place {
    /// The value there; null if it does not exist, which places made by this module do not.
    pub fn value(&self) -> &Value {
        self.document.value().pointer(&self.pointer).unwrap_or(&Value::Null)
    }

    /// A member or item of it.
    pub fn child(&self, token: &str) -> Place {
        let pointer = format!("{}/{}", self.pointer, pointer_token(token));
        Place { pointer, ..self.clone() }
    }

    /// The items of a list; none for anything else.
    pub fn items(&self) -> Vec<Place> {
        let count = self.value().as_array().map_or(0, Vec::len);
        (0..count).map(|i| self.child(&i.to_string())).collect()
    }

    /// A fault of the value.
    pub fn fault(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::at(&self.document, &self.pointer, message)
    }

    /// The line of its key, from 1.
    pub fn line(&self) -> u32 {
        self.document.line(&self.pointer)
    }

    /// What names the place, whatever way led there.
    pub fn identity(&self) -> (Arc<str>, String) {
        (self.path.clone(), self.pointer.clone())
    }
}

impl Folder {
    /// Takes relative path, name to show, and text or why it could not be read, of each file.
    pub fn new(
        files: impl IntoIterator<Item = (String, String, Result<String, Diagnostic>)>,
    ) -> Folder {
        let file =
            |(path, shown, content)| (path, File { shown, content, parsed: OnceLock::new() });
        Folder { files: files.into_iter().map(file).collect() }
    }

    /// The files that may be OpenAPI documents: those at the top, and those below that say so.
    /// The rest is read only through references.
    pub fn candidates(&self) -> impl Iterator<Item = &str> {
        let may_be = |(path, file): &(&String, &File)| {
            let says_so = |text: &String| text.contains("openapi") || text.contains("swagger");
            !path.contains('/') || file.content.as_ref().is_ok_and(says_so)
        };
        self.files.iter().filter(may_be).map(|(path, _)| path.as_str())
    }

    /// The whole of a file, if it is there and is YAML; else the faults are told.
    pub fn open(&self, path: &str, faults: &mut Faults) -> Option<Place> {
        let file = self.files.get(path)?;
        match file.document() {
            Ok(document) => Some(Place {
                path: path.into(),
                document: document.clone(),
                pointer: String::new(),
            }),
            Err(found) => {
                found.iter().for_each(|fault| faults.add(fault.clone()));
                None
            }
        }
    }

    /// The members of the mapping at a place. Where it is a reference, those of the target come
    /// first, and what stands beside the reference replaces them key by key, not deeply: so the
    /// specification's own tools do it, and some published schemas rely on it. Empty, with a fault,
    /// for what is no mapping.
    pub fn members(&self, place: &Place, faults: &mut Faults) -> Members {
        self.chained_members(place, faults, 0)
    }

    /// One member of the mapping at a place, as [`Folder::members`] would give it.
    pub fn member(&self, place: &Place, key: &str, faults: &mut Faults) -> Option<Place> {
        match place.value().as_object() {
            Some(map) if reference(map).is_none() => map.get(key).map(|_| place.child(key)),
            _ => self.members(place, faults).into_iter().find(|(k, _)| k == key).map(|(_, p)| p),
        }
    }

    /// The place that a chain of references without anything beside them ends at.
    pub fn target(&self, place: &Place, faults: &mut Faults) -> Place {
        let mut place = place.clone();
        for _ in 0..MAX_CHAIN {
            let alone = place.value().as_object().filter(|map| map.len() == 1).and_then(reference);
            let Some(reference) = alone else { return place };
            let Ok(target) = self.follow(&place, reference, faults) else { return place };
            place = target;
        }
        place
    }

    fn chained_members(&self, place: &Place, faults: &mut Faults, depth: usize) -> Members {
        let Some(map) = place.value().as_object() else {
            faults.at(place, "a mapping is expected here");
            return Members::new();
        };
        let beside = map.keys().map(|k| (k.clone(), place.child(k)));
        let Some(reference) = reference(map) else { return beside.collect() };
        if depth >= MAX_CHAIN {
            faults.at(&place.child("$ref"), "the references go round in a circle");
            return Members::new();
        }
        let target = self.follow(&place.child("$ref"), reference, faults);
        let mut members = target
            .map_or_else(|()| Members::new(), |t| self.chained_members(&t, faults, depth + 1));
        for (key, value) in beside.filter(|(k, _)| k != "$ref") {
            match members.iter_mut().find(|(k, _)| *k == key) {
                Some((_, slot)) => *slot = value,
                None => members.push((key, value)),
            }
        }
        members
    }

    /// The value that a reference means; `from` is a place in the file that it stands in.
    fn follow(&self, from: &Place, reference: &str, faults: &mut Faults) -> Result<Place, ()> {
        let at = if from.pointer.ends_with("/$ref") { from.clone() } else { from.child("$ref") };
        let fault = match self.lookup(from, reference, faults) {
            Ok(Some(place)) => return Ok(place),
            // The target is no YAML: its own faults say so.
            Ok(None) => return Err(()),
            Err(fault) => fault,
        };
        faults.add(match fault {
            RefFault::Leaves(message) => at.fault(message).as_warning(),
            RefFault::Broken(message, None) => at.fault(message),
            RefFault::Broken(message, Some(help)) => at.fault(message).with_help(help),
        });
        Err(())
    }

    fn lookup(
        &self,
        from: &Place,
        reference: &str,
        faults: &mut Faults,
    ) -> Result<Option<Place>, RefFault> {
        let (file, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let path = join(&from.path, file).map_err(|why| why.of(reference))?;
        if !self.files.contains_key(&path) {
            let near = did_you_mean(&path, self.files.keys().map(String::as_str));
            let help = near.map(|near| format!("there is `{near}`"));
            return Err(RefFault::Broken(
                format!("`{reference}`: there is no file `{path}`"),
                help,
            ));
        }
        let Some(whole) = self.open(&path, faults) else { return Ok(None) };
        let pointer = percent_decoded(fragment);
        let is_pointer = pointer.is_empty() || pointer.starts_with('/');
        match whole.document.value().pointer(&pointer) {
            Some(_) if is_pointer => Ok(Some(Place { pointer, ..whole })),
            _ => Err(RefFault::Broken(
                format!("`{reference}`: there is nothing at `{pointer}` in `{path}`"),
                None,
            )),
        }
    }
}

impl File {
    fn document(&self) -> Result<&Document, &Vec<Diagnostic>> {
        let parse = || match &self.content {
            Ok(text) => Document::parse_lenient(self.shown.as_str(), text.as_str()),
            Err(fault) => Err(vec![fault.clone()]),
        };
        self.parsed.get_or_init(parse).as_ref()
    }
}

/// The reference that a mapping is, if it is one. (A property may be *named* `$ref`; its value is
/// a schema then and no text.)
pub(super) fn reference(map: &Map<String, Value>) -> Option<&str> {
    map.get("$ref").and_then(Value::as_str)
}

/// Why a reference names no file of the folder.
#[derive(Debug, PartialEq, Eq)]
enum Outside {
    /// Another folder of the same machine.
    Folder,
    /// Something with a scheme or a host.
    Address,
}

impl Outside {
    fn of(self, reference: &str) -> RefFault {
        match self {
            Outside::Folder => RefFault::Leaves(format!(
                "`{reference}` leaves the folder: it is not followed, and anything is accepted there"
            )),
            Outside::Address => RefFault::Broken(
                format!("`{reference}` is an address; only files of the folder are read"),
                None,
            ),
        }
    }
}

/// The path of a file that is named relative to another one; why not, if it leaves the folder.
fn join(from: &str, to: &str) -> Result<String, Outside> {
    if to.is_empty() {
        return Ok(from.to_owned());
    }
    let scheme = to.split_once(':').map(|(scheme, _)| scheme);
    if to.starts_with("//") || scheme.is_some_and(|s| !s.contains(['/', '.'])) {
        return Err(Outside::Address);
    }
    if to.starts_with('/') || to.contains('\\') {
        return Err(Outside::Folder);
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in to.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or(Outside::Folder)?),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// The text of a URI fragment; a stray percent sign is kept.
fn percent_decoded(fragment: &str) -> String {
    if !fragment.contains('%') {
        return fragment.to_owned();
    }
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code =
            after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_file_that_names_them() {
        assert_eq!(join("login.yaml", "definitions/a.yaml").as_deref(), Ok("definitions/a.yaml"));
        assert_eq!(join("definitions/a.yaml", "b.yaml").as_deref(), Ok("definitions/b.yaml"));
        assert_eq!(join("definitions/x/a.yaml", "../b.yaml").as_deref(), Ok("definitions/b.yaml"));
        assert_eq!(join("a.yaml", "./b.yaml").as_deref(), Ok("b.yaml"));
        assert_eq!(join("d/a.yaml", "").as_deref(), Ok("d/a.yaml"));
        for outside in ["../../b.yaml", "/etc/b.yaml", "..\\b.yaml"] {
            assert_eq!(join("d/a.yaml", outside), Err(Outside::Folder), "{outside}");
        }
        for address in ["https://example.org/b.yaml", "//example.org/b.yaml", "file:b.yaml"] {
            assert_eq!(join("d/a.yaml", address), Err(Outside::Address), "{address}");
        }
    }

    #[test]
    fn fragments_are_percent_decoded() {
        assert_eq!(percent_decoded("/a%20b~1%7Bc%7D"), "/a b~1{c}");
        assert_eq!(percent_decoded("/100%"), "/100%");
        assert_eq!(percent_decoded("/%zz"), "/%zz");
    }
}
