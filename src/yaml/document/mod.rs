//! A YAML file as read: [`Document`], its value with the place of each of its parts.
//!
//! One pass over the parser's events builds the value and the places together, so that a file is
//! read once and every fault found later (an unknown key, a broken schema) can be shown in the
//! source. Scalars follow YAML's core schema; the result equals what `serde_yaml` makes of the same
//! text (a test compares them), but here nothing is lost in silence: duplicate keys, numbers that
//! do not fit, `.nan` and the like are faults.
mod builder;
pub mod de;
mod events;
mod scalar;

use crate::yaml::diagnostic::{Diagnostic, Label, SourceText};
use builder::Builder;
use serde_json::Value;
use std::borrow::Cow;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The largest file that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// How deep lists and mappings may be nested.
pub const MAX_DEPTH: usize = 64;

/// A YAML file as read, with a place for each JSON Pointer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Document(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Arc<SourceText>,
    value: Value,
    /// The parts of `value` in the order of the text; the first one is the whole.
    nodes: Vec<Node>,
}

/// Where one part of the value stands. Its children come in the order of the value's own children.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Node {
    key: Option<(u32, u32)>,
    value: (u32, u32),
    /// Index of the first child; 0, which is nobody's child, for none.
    first_child: u32,
    /// Index of the next child of the same parent; 0 for none.
    next: u32,
    /// Index of the parent; of the whole, its own.
    parent: u32,
}

impl Document {
    /// Reads a file of this project or of its users: name to show, and text.
    ///
    /// # Errors
    /// All faults that can be told at once: no YAML, duplicate keys (both places), anchors, aliases,
    /// merge keys, tags and directives, several documents, keys that are no scalars, numbers that do
    /// not fit into 64 bits or are not finite, nesting over [`MAX_DEPTH`], size over [`MAX_BYTES`].
    pub fn parse(
        name: impl Into<String>,
        text: impl Into<String>,
    ) -> Result<Document, Vec<Diagnostic>> {
        Builder::new(name.into(), text.into(), false).run()
    }

    /// Reads a file that others have published: as [`Document::parse`], but aliases and the tags of
    /// the core schema are honoured. A merge key stays a key named `<<`.
    ///
    /// # Errors
    /// As [`Document::parse`], less what is honoured; also aliases that stand for too much together.
    pub fn parse_lenient(
        name: impl Into<String>,
        text: impl Into<String>,
    ) -> Result<Document, Vec<Diagnostic>> {
        Builder::new(name.into(), text.into(), true).run()
    }

    /// Reads the file at `path` as [`Document::parse`] does, under the name to show.
    ///
    /// # Errors
    /// That it cannot be read or is not UTF-8, or what [`Document::parse`] finds.
    pub fn read(path: &Path, name: impl Into<String>) -> Result<Document, Vec<Diagnostic>> {
        let name = name.into();
        match read_text(path, &name) {
            Ok(text) => Document::parse(name, text),
            Err(fault) => Err(vec![fault]),
        }
    }

    /// The name to show.
    pub fn name(&self) -> &str {
        self.0.source.name()
    }

    pub fn text(&self) -> &str {
        self.0.source.text()
    }

    /// The value; null for an empty file.
    pub fn value(&self) -> &Value {
        &self.0.value
    }

    /// The whole of it, to walk from.
    pub fn root(&self) -> Part<'_> {
        Part { document: self, value: &self.0.value, node: 0 }
    }

    /// The part at a JSON Pointer; none if there is no such value.
    pub fn part(&self, pointer: &str) -> Option<Part<'_>> {
        match self.nearest(pointer) {
            (part, true) => Some(part),
            (_, false) => None,
        }
    }

    /// The bytes of the value at a JSON Pointer; none if there is no such value.
    pub fn span(&self, pointer: &str) -> Option<Range<usize>> {
        self.part(pointer).map(|part| range(part.node().value))
    }

    /// The line, from 1, of the key or list item at a JSON Pointer, or of the nearest thing around
    /// it that exists.
    pub fn line(&self, pointer: &str) -> u32 {
        self.nearest(pointer).0.line()
    }

    /// The part at a JSON Pointer, or the deepest one on the way to it.
    pub fn near(&self, pointer: &str) -> Part<'_> {
        self.nearest(pointer).0
    }

    /// The part at `pointer`, or the deepest one on the way to it; whether it is the one asked for.
    fn nearest(&self, pointer: &str) -> (Part<'_>, bool) {
        let mut part = self.root();
        for token in pointer_tokens(pointer) {
            let Some(child) = part.child(&token) else { return (part, false) };
            part = child;
        }
        (part, true)
    }

    fn node(&self, index: u32) -> Option<&Node> {
        self.0.nodes.get(index as usize)
    }
}

/// A value in a document together with its place: what a loader walks, where it may have to tell
/// a fault of anything that it meets.
#[derive(Debug, Clone, Copy)]
pub struct Part<'d> {
    document: &'d Document,
    value: &'d Value,
    node: u32,
}

impl<'d> Part<'d> {
    pub fn value(self) -> &'d Value {
        self.value
    }

    /// The document that it is in.
    pub fn document(self) -> &'d Document {
        self.document
    }

    /// What tells it from all other parts of the same document.
    pub fn id(self) -> u32 {
        self.node
    }

    /// The members of a mapping, in the order of the text; none for anything else.
    pub fn members(self) -> impl Iterator<Item = (&'d str, Part<'d>)> {
        let map = self.value.as_object().into_iter().flatten();
        map.zip(self.children()).map(move |((key, value), node)| {
            (key.as_str(), Part { document: self.document, value, node })
        })
    }

    /// The items of a list; none for anything else.
    pub fn items(self) -> impl Iterator<Item = Part<'d>> {
        let items = self.value.as_array().into_iter().flatten();
        let document = self.document;
        items.zip(self.children()).map(move |(value, node)| Part { document, value, node })
    }

    pub fn member(self, name: &str) -> Option<Part<'d>> {
        self.members().find(|(key, _)| *key == name).map(|(_, part)| part)
    }

    /// The member of that name, or the whole where there is none.
    pub fn nearest(self, name: &str) -> Part<'d> {
        self.member(name).unwrap_or(self)
    }

    /// The member or item that an unescaped reference token of a JSON Pointer names.
    pub fn child(self, token: &str) -> Option<Part<'d>> {
        match self.value {
            Value::Array(_) => self.items().nth(token.parse().ok()?),
            _ => self.member(token),
        }
    }

    /// Its JSON Pointer; behind an alias, that of what the alias stands for.
    pub fn pointer(self) -> String {
        let parent = |index: &u32| Some(self.document.node(*index)?.parent);
        let up = std::iter::successors(Some(self.node), parent).take_while(|index| *index != 0);
        let chain: Vec<u32> = up.collect();
        let (mut pointer, mut part) = (String::new(), self.document.root());
        for index in chain.into_iter().rev() {
            let Some((token, child)) = part.child_at(index) else { break };
            pointer = format!("{pointer}/{token}");
            part = child;
        }
        pointer
    }

    /// The child with that node, and the escaped reference token that leads to it.
    fn child_at(self, node: u32) -> Option<(Cow<'d, str>, Part<'d>)> {
        let member = self.members().find(|(_, part)| part.node == node);
        if let Some((name, part)) = member {
            return Some((pointer_token(name), part));
        }
        let item = self.items().enumerate().find(|(_, part)| part.node == node);
        item.map(|(index, part)| (index.to_string().into(), part))
    }

    /// The line of its key or, of a list item, its own; from 1.
    pub fn line(self) -> u32 {
        let node = self.node();
        self.document.0.source.line(node.key.unwrap_or(node.value).0 as usize)
    }

    /// A fault of the value. Scalars are marked themselves; of lists and mappings, which may be
    /// long, the key is marked.
    pub fn fault(self, message: impl Into<String>) -> Diagnostic {
        let node = self.node();
        let span = match self.value {
            Value::Object(_) | Value::Array(_) => node.key.unwrap_or(node.value),
            _ => node.value,
        };
        Diagnostic::at_span(&self.document.0.source, range(span), message)
    }

    /// A fault of the key; of a list item, of the item.
    pub fn key_fault(self, message: impl Into<String>) -> Diagnostic {
        let node = self.node();
        Diagnostic::at_span(&self.document.0.source, range(node.key.unwrap_or(node.value)), message)
    }

    /// A place for another diagnostic: the key, or the list item.
    pub fn label(self, text: impl Into<String>) -> Label {
        let node = self.node();
        let span = range(node.key.unwrap_or(node.value));
        Label { source: self.document.0.source.clone(), span, text: text.into() }
    }

    fn node(self) -> Node {
        self.document.node(self.node).copied().unwrap_or_default()
    }

    /// The nodes of its children, in the order of the value's.
    fn children(self) -> impl Iterator<Item = u32> + use<'d> {
        let document = self.document;
        let exists = |index: u32| (index != 0).then_some(index);
        let next = move |index: &u32| exists(document.node(*index)?.next);
        std::iter::successors(exists(self.node().first_child), next)
    }
}

impl Diagnostic {
    /// A fault of the value at a JSON Pointer, as [`Part::fault`]; of the nearest thing around it
    /// if there is no such value.
    pub fn at(document: &Document, pointer: &str, message: impl Into<String>) -> Diagnostic {
        match document.nearest(pointer) {
            (part, true) => part.fault(message),
            (around, false) => around.key_fault(message),
        }
    }
}

fn range(span: (u32, u32)) -> Range<usize> {
    span.0 as usize..span.1 as usize
}

/// The text of the file at `path`; `name` is what to call it in a fault.
///
/// # Errors
/// That it cannot be read, is larger than [`MAX_BYTES`], or is not UTF-8.
pub fn read_text(path: &Path, name: &str) -> Result<String, Diagnostic> {
    let fault = |message: String| Diagnostic::in_file(name, message);
    let mut bytes = Vec::new();
    let limit = MAX_BYTES as u64 + 1;
    std::fs::File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|error| fault(format!("the file cannot be read: {error}")))?;
    if bytes.len() > MAX_BYTES {
        return Err(fault(format!("the file is larger than {MAX_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| fault("the file is not UTF-8 text".to_owned()))
}

/// The reference tokens of a JSON Pointer (RFC 6901), unescaped; none for the empty pointer.
pub fn pointer_tokens(pointer: &str) -> impl Iterator<Item = Cow<'_, str>> {
    pointer.split('/').skip(1).map(|token| match token.contains('~') {
        true => Cow::Owned(token.replace("~1", "/").replace("~0", "~")),
        false => Cow::Borrowed(token),
    })
}

/// A reference token of a JSON Pointer (RFC 6901), escaped.
pub fn pointer_token(name: &str) -> Cow<'_, str> {
    match name.contains(['~', '/']) {
        true => Cow::Owned(name.replace('~', "~0").replace('/', "~1")),
        false => Cow::Borrowed(name),
    }
}

/// The JSON Pointer to the member of that name (not escaped yet) of what is at `pointer`.
pub fn pointer_below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", pointer_token(name))
}

#[cfg(test)]
mod tests;
