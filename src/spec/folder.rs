//! The files of a specification folder and the references between them.
use crate::yaml::diagnostic::{Diagnostic, did_you_mean};
use crate::yaml::document::{Document, Part};
use crate::yaml::reader::Reader;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// The longest chain of references.
const MAX_CHAIN: usize = 32;

/// A folder of files by relative path, each parsed when it is first needed.
#[derive(Debug)]
pub(super) struct Folder {
    /// The prefix of the paths where a reader sees them.
    shown: String,
    files: BTreeMap<String, SpecFile>,
}

#[derive(Debug)]
struct SpecFile {
    shown: String,
    content: Result<String, Diagnostic>,
    parsed: OnceLock<Result<Document, Vec<Diagnostic>>>,
}

impl Folder {
    /// Takes relative path (with `/`), and text or why it could not be read, of each file.
    pub fn new(
        shown: &str,
        files: impl IntoIterator<Item = (String, Result<String, Diagnostic>)>,
    ) -> Folder {
        let file = |(path, content)| {
            let shown = format!("{shown}{path}");
            (path, SpecFile { shown, content, parsed: OnceLock::new() })
        };
        Folder { shown: shown.to_owned(), files: files.into_iter().map(file).collect() }
    }

    /// The files that may be OpenAPI documents: those at the top, and those below that say so.
    /// The rest is read only through references.
    pub fn candidates(&self) -> impl Iterator<Item = &str> {
        let may_be = |(path, file): &(&String, &SpecFile)| {
            let says_so = |text: &String| text.contains("openapi") || text.contains("swagger");
            !path.contains('/') || file.content.as_ref().is_ok_and(says_so)
        };
        self.files.iter().filter(may_be).map(|(path, _)| path.as_str())
    }

    /// The relative path of a document of this folder.
    pub fn path<'d>(&self, document: &'d Document) -> &'d str {
        let name = document.name();
        name.strip_prefix(&self.shown).unwrap_or(name)
    }
}

/// The members of a mapping, references resolved.
pub(super) type Members<'f> = Vec<(&'f str, Part<'f>)>;

/// Where a reference leads, if not to a value.
enum RefFault {
    /// Out of the folder: never followed, but published files do it.
    Leaves(String),
    /// Nowhere.
    Broken(String, Option<String>),
}

/// Reads parts of a folder's files as if nothing were a reference.
pub(super) struct FolderReader<'f> {
    pub folder: &'f Arc<Folder>,
    pub reader: Reader<'f>,
}

impl<'f> FolderReader<'f> {
    pub fn new(folder: &'f Arc<Folder>) -> FolderReader<'f> {
        FolderReader { folder, reader: Reader::default() }
    }

    /// Records a fault at a value.
    pub fn fault(&mut self, part: Part<'_>, message: impl Into<String>) {
        self.reader.fault(part, message);
    }

    /// The whole of a file, if it is there and is YAML; else the faults are told.
    pub fn open(&mut self, path: &str) -> Option<Part<'f>> {
        match self.folder.files.get(path)?.document() {
            Ok(document) => Some(document.root()),
            Err(faults) => {
                faults.iter().for_each(|fault| self.reader.add(fault.clone()));
                None
            }
        }
    }

    /// The members of a mapping. Where it is a reference, those of the target come first, and what
    /// stands beside the reference replaces them key by key, not deeply: so the specification's own
    /// tools do it, and some published schemas rely on it. Empty, with a fault, for what is no mapping.
    pub fn members(&mut self, part: Part<'f>) -> Members<'f> {
        self.chained_members(part, 0)
    }

    /// One member of a mapping, as [`FolderReader::members`] would give it.
    pub fn member(&mut self, part: Part<'f>, key: &str) -> Option<Part<'f>> {
        match part.value().is_object() && reference(part).is_none() {
            true => part.member(key),
            false => self.members(part).into_iter().find(|(name, _)| *name == key).map(|(_, p)| p),
        }
    }

    /// A member that is a plain value; `what` says in a fault what it is.
    pub fn plain<T: Deserialize<'f>>(
        &mut self,
        owner: Part<'f>,
        key: &str,
        what: &str,
    ) -> Option<T> {
        let part = self.member(owner, key)?;
        let value = T::deserialize(part.value());
        if value.is_err() {
            let fault = part.fault(format!("`{key}` is {what}"));
            self.reader.add(match part.value() {
                Value::Number(_) if what == "text" => fault.with_help("put it in quotes"),
                _ => fault,
            });
        }
        value.ok()
    }

    /// The text of a member.
    pub fn text(&mut self, owner: Part<'f>, key: &str) -> Option<String> {
        self.plain(owner, key, "text")
    }

    /// What a chain of references without anything beside them ends at.
    pub fn target(&mut self, part: Part<'f>) -> Part<'f> {
        let mut part = part;
        for _ in 0..MAX_CHAIN {
            let is_alone = part.value().as_object().is_some_and(|map| map.len() == 1);
            let Some((at, text)) = reference(part).filter(|_| is_alone) else { return part };
            let Some(target) = self.follow(at, text) else { return part };
            part = target;
        }
        part
    }

    fn chained_members(&mut self, part: Part<'f>, depth: usize) -> Members<'f> {
        if !part.value().is_object() {
            self.fault(part, "a mapping is expected here");
            return Members::new();
        }
        let Some((at, text)) = reference(part) else { return part.members().collect() };
        if depth >= MAX_CHAIN {
            self.fault(at, "circular reference");
            return Members::new();
        }
        let target = self.follow(at, text);
        let mut members =
            target.map(|target| self.chained_members(target, depth + 1)).unwrap_or_default();
        for (key, value) in part.members().filter(|(key, _)| *key != "$ref") {
            match members.iter_mut().find(|(known, _)| *known == key) {
                Some((_, slot)) => *slot = value,
                None => members.push((key, value)),
            }
        }
        members
    }

    /// The value that a reference means, written at a part; none, with a fault, if it means none.
    fn follow(&mut self, at: Part<'f>, text: &str) -> Option<Part<'f>> {
        let fault = match self.lookup(self.folder.path(at.document()), text) {
            // Where the target is no YAML, its own faults say so.
            Ok(target) => return target,
            Err(fault) => fault,
        };
        self.reader.add(match fault {
            RefFault::Leaves(message) => at.fault(message).into_warning(),
            RefFault::Broken(message, None) => at.fault(message),
            RefFault::Broken(message, Some(help)) => at.fault(message).with_help(help),
        });
        None
    }

    fn lookup(&mut self, from: &str, reference: &str) -> Result<Option<Part<'f>>, RefFault> {
        let (file, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let path = join(from, file).map_err(|why| why.of(reference))?;
        if !self.folder.files.contains_key(&path) {
            let near = did_you_mean(&path, self.folder.files.keys().map(String::as_str));
            let message = format!("`{reference}`: no file `{path}`");
            return Err(RefFault::Broken(message, near.map(|near| format!("there is `{near}`"))));
        }
        let Some(whole) = self.open(&path) else { return Ok(None) };
        let pointer = percent_decode_str(fragment).decode_utf8_lossy();
        let is_pointer = pointer.is_empty() || pointer.starts_with('/');
        let part = whole.document().part(&pointer).filter(|_| is_pointer);
        let nothing = || format!("`{reference}`: nothing at `{pointer}` in `{path}`");
        part.map(Some).ok_or_else(|| RefFault::Broken(nothing(), None))
    }
}

/// The reference that a part is, and the place of that text. (A property may be *named* `$ref`; its
/// value is a schema then and no text.)
fn reference(part: Part<'_>) -> Option<(Part<'_>, &str)> {
    let text = part.value().get("$ref")?.as_str()?;
    Some((part.member("$ref")?, text))
}

impl SpecFile {
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
                "`{reference}` is outside the folder: it is ignored, and any value is accepted there"
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
}
