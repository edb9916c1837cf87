//! The files of a specification folder and the references between them.
use crate::yaml::diagnostic::{Diagnostic, Severity, did_you_mean};
use crate::yaml::document::{Document, Part};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

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
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'f> {
    /// Relative path of the file, with `/` between its parts.
    pub path: &'f str,
    /// The value.
    pub part: Part<'f>,
}

/// The members of a mapping, each with its place, references resolved.
pub(super) type Members<'f> = Vec<(&'f str, Place<'f>)>;

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
    pub fn at(&mut self, place: Place<'_>, message: impl Into<String>) {
        self.add(place.part.fault(message));
    }

    /// Adds a fault of the key of the value at a place.
    pub fn at_key(&mut self, place: Place<'_>, message: impl Into<String>) {
        self.add(place.part.key_fault(message));
    }

    /// The warnings, or all errors if there is one.
    pub fn finish(self) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        let (errors, warnings): (Vec<_>, Vec<_>) =
            self.all.into_iter().partition(|d| d.severity == Severity::Error);
        if errors.is_empty() { Ok(warnings) } else { Err(errors) }
    }
}

impl<'f> Place<'f> {
    /// The value there.
    pub fn value(self) -> &'f Value {
        self.part.value()
    }

    /// The items of a list; none for anything else.
    pub fn items(self) -> impl Iterator<Item = Place<'f>> {
        self.part.items().map(move |part| Place { part, ..self })
    }

    /// What names the place, whatever way led there.
    pub fn identity(self) -> (&'f str, u32) {
        (self.path, self.part.id())
    }

    /// The member itself, with whatever it is: references are not followed.
    fn own(self, key: &str) -> Option<Place<'f>> {
        self.part.member(key).map(|part| Place { part, ..self })
    }

    /// The reference that it is, and the place of that text. (A property may be *named* `$ref`; its
    /// value is a schema then and no text.)
    fn reference(self) -> Option<(Place<'f>, &'f str)> {
        let text = self.value().get("$ref")?.as_str()?;
        Some((self.own("$ref")?, text))
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
    pub fn open(&self, path: &str, faults: &mut Faults) -> Option<Place<'_>> {
        let (path, file) = self.files.get_key_value(path)?;
        match file.document() {
            Ok(document) => Some(Place { path, part: document.root() }),
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
    pub fn members<'f>(&'f self, place: Place<'f>, faults: &mut Faults) -> Members<'f> {
        self.chained_members(place, faults, 0)
    }

    /// One member of the mapping at a place, as [`Folder::members`] would give it.
    pub fn member<'f>(
        &'f self,
        place: Place<'f>,
        key: &str,
        faults: &mut Faults,
    ) -> Option<Place<'f>> {
        match place.value().is_object() && place.reference().is_none() {
            true => place.own(key),
            false => {
                self.members(place, faults).into_iter().find(|(k, _)| *k == key).map(|(_, p)| p)
            }
        }
    }

    /// The place that a chain of references without anything beside them ends at.
    pub fn target<'f>(&'f self, place: Place<'f>, faults: &mut Faults) -> Place<'f> {
        let mut place = place;
        for _ in 0..MAX_CHAIN {
            let is_alone = place.value().as_object().is_some_and(|map| map.len() == 1);
            let Some((at, text)) = place.reference().filter(|_| is_alone) else { return place };
            let Some(target) = self.follow(at, text, faults) else { return place };
            place = target;
        }
        place
    }

    fn chained_members<'f>(
        &'f self,
        place: Place<'f>,
        faults: &mut Faults,
        depth: usize,
    ) -> Members<'f> {
        if !place.value().is_object() {
            faults.at(place, "a mapping is expected here");
            return Members::new();
        }
        let beside = place.part.members().map(|(key, part)| (key, Place { part, ..place }));
        let Some((at, text)) = place.reference() else { return beside.collect() };
        if depth >= MAX_CHAIN {
            faults.at(at, "the references go round in a circle");
            return Members::new();
        }
        let target = self.follow(at, text, faults);
        let target = target.map(|target| self.chained_members(target, faults, depth + 1));
        let mut members = target.unwrap_or_default();
        for (key, value) in beside.filter(|(key, _)| *key != "$ref") {
            match members.iter_mut().find(|(known, _)| *known == key) {
                Some((_, slot)) => *slot = value,
                None => members.push((key, value)),
            }
        }
        members
    }

    /// The value that a reference means, written at a place; none, with a fault, if it means none.
    fn follow<'f>(&'f self, at: Place<'f>, text: &str, faults: &mut Faults) -> Option<Place<'f>> {
        let fault = match self.lookup(at.path, text, faults) {
            // Where the target is no YAML, its own faults say so.
            Ok(target) => return target,
            Err(fault) => fault,
        };
        faults.add(match fault {
            RefFault::Leaves(message) => at.part.fault(message).into_warning(),
            RefFault::Broken(message, None) => at.part.fault(message),
            RefFault::Broken(message, Some(help)) => at.part.fault(message).with_help(help),
        });
        None
    }

    fn lookup<'f>(
        &'f self,
        from: &str,
        reference: &str,
        faults: &mut Faults,
    ) -> Result<Option<Place<'f>>, RefFault> {
        let (file, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let path = join(from, file).map_err(|why| why.of(reference))?;
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
        let part = whole.part.document().part(&pointer).filter(|_| is_pointer);
        let nothing = || format!("`{reference}`: there is nothing at `{pointer}` in `{path}`");
        let part = part.ok_or_else(|| RefFault::Broken(nothing(), None))?;
        Ok(Some(Place { part, ..whole }))
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
