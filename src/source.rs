//! A YAML file as read: [`Document`], its value with the place of each of its parts.
//!
//! One pass over the parser's events builds the value and the places together, so that a file is
//! read once and every fault found later (an unknown key, a broken schema) can be shown in the
//! source. Scalars follow YAML's core schema; the result equals what `serde_yaml` makes of the same
//! text (a test compares them), but here nothing is lost in silence: duplicate keys, numbers that
//! do not fit, `.nan` and the like are faults.
use crate::diagnostic::{Diagnostic, Label, SourceText};
use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, Tag};
use serde_json::{Map, Number, Value};
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The largest file that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// How deep lists and mappings may be nested.
pub const MAX_DEPTH: usize = 64;
/// How many parts all aliases of a file together may stand for.
const MAX_ALIASED: usize = 100_000;
/// After that many faults the rest of a file is not looked at.
const MAX_FAULTS: usize = 100;

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
#[derive(Debug, Clone, Copy, Default)]
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

    /// The whole text.
    pub fn text(&self) -> &str {
        self.0.source.text()
    }

    /// The text with its name and lines.
    pub fn source(&self) -> &Arc<SourceText> {
        &self.0.source
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

    /// The bytes of the key whose value is at a JSON Pointer; none for list items, the whole
    /// document, and where there is no such value.
    pub fn key_span(&self, pointer: &str) -> Option<Range<usize>> {
        self.part(pointer)?.node().key.map(range)
    }

    /// The line, from 1, of the key or list item at a JSON Pointer, or of the nearest thing around
    /// it that exists.
    pub fn line(&self, pointer: &str) -> u32 {
        self.nearest(pointer).0.line()
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
    /// The value.
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

    /// The member of that name.
    pub fn member(self, name: &str) -> Option<Part<'d>> {
        self.members().find(|(key, _)| *key == name).map(|(_, part)| part)
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
        let members = self.members().map(|(name, part)| (pointer_token(name), part));
        let items = self.items().enumerate().map(|(i, part)| (Cow::from(i.to_string()), part));
        members.chain(items).find(|(_, part)| part.node == node)
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

    /// A fault of the key whose value is at a JSON Pointer; of the list item or the nearest thing
    /// around it if there is no such key.
    pub fn at_key(document: &Document, pointer: &str, message: impl Into<String>) -> Diagnostic {
        document.nearest(pointer).0.key_fault(message)
    }
}

fn range(span: (u32, u32)) -> Range<usize> {
    span.0 as usize..span.1 as usize
}

/// Reads many texts (name and text of each) as [`Document::parse`] does, on all processors; the
/// results come in the order of the texts.
pub fn parse_all(texts: &[(String, String)]) -> Vec<Result<Document, Vec<Diagnostic>>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(texts.len());
    if threads < 2 {
        return texts.iter().map(|(name, text)| Document::parse(name, text)).collect();
    }
    // The largest texts first, or the last thread would still be busy when the others are done.
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|i| texts.get(*i).map(|(_, text)| std::cmp::Reverse(text.len())));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Some((name, text)) = texts.get(*index) {
                done.push((*index, Document::parse(name, text)));
            }
        }
        done
    };
    let mut all = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for thread in threads {
            match thread.join() {
                Ok(done) => all.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, result)| result).collect()
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

/// A list or mapping that is being read.
struct Frame {
    /// Its index in the nodes.
    node: u32,
    /// Its last child so far; 0 for none.
    last_child: u32,
    anchor: usize,
    /// How many parts it has so far, those behind aliases counted in full.
    parts: usize,
    content: Content,
}

enum Content {
    List(Vec<Value>),
    Mapping { map: Map<String, Value>, key: Option<(String, (u32, u32))> },
}

/// What an anchor stands for: value, node, number of parts.
type Anchored = (Value, Node, usize);

struct Builder {
    source: Arc<SourceText>,
    lenient: bool,
    faults: Vec<Diagnostic>,
    nodes: Vec<Node>,
    frames: Vec<Frame>,
    root: Value,
    documents: usize,
    anchors: HashMap<usize, Anchored>,
    aliased: usize,
}

/// There is no use in reading on; the reason is among the faults.
struct Stop;

impl Builder {
    fn new(name: String, text: String, lenient: bool) -> Builder {
        Builder {
            source: SourceText::new(name, text),
            lenient,
            faults: Vec::new(),
            nodes: Vec::new(),
            frames: Vec::new(),
            root: Value::Null,
            documents: 0,
            anchors: HashMap::new(),
            aliased: 0,
        }
    }

    fn run(mut self) -> Result<Document, Vec<Diagnostic>> {
        let source = self.source.clone();
        if source.text().len() > MAX_BYTES {
            let message = format!("the file is larger than {MAX_BYTES} bytes");
            return Err(vec![Diagnostic::in_file(source.name(), message)]);
        }
        for event in Parser::new_from_str_with_options(source.text(), self.options()) {
            let outcome = match event {
                Ok((event, span)) => self.event(event, &span),
                Err(error) => self.syntax_error(&error),
            };
            if outcome.is_err() || self.faults.len() >= MAX_FAULTS {
                break;
            }
        }
        match self.faults.is_empty() {
            true => Ok(Document(Arc::new(Inner { source, value: self.root, nodes: self.nodes }))),
            false => Err(self.faults),
        }
    }

    /// The parser itself goes on over unknown aliases and tells where anchors stand, so that these
    /// can be told together with everything else.
    fn options(&self) -> Options {
        let mut options = Options::default();
        options.emit_unresolved_aliases = true;
        options.emit_anchor_events = !self.lenient;
        options.set_emit_comments(false);
        options
    }

    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Stop> {
        let place = place(span);
        match event {
            Event::DocumentStart(..) => self.document(place),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                if self.expects_key() {
                    return self.key(text, style, place);
                }
                let value = self.scalar(&text, style, tag.as_deref(), place);
                let node = self.open(place)?;
                let parts = weight(&value);
                self.remember(anchor, &value, node, parts);
                self.put(value, parts);
                Ok(())
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                self.container(place, anchor, Content::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                self.container(place, anchor, Content::Mapping { map: Map::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.close(place);
                Ok(())
            }
            Event::Anchor(_, name) => {
                self.fault(place, format!("anchor `&{name}`: anchors are not used here"));
                Ok(())
            }
            Event::Alias(id) => self.alias(id, place),
            Event::UnresolvedAlias(name) => {
                self.fault(place, format!("alias `*{name}` stands for nothing"));
                self.put_null(place)
            }
            _ => Ok(()),
        }
    }

    fn document(&mut self, place: (u32, u32)) -> Result<(), Stop> {
        self.documents += 1;
        if self.documents > 1 {
            self.fault(place, "a second document begins here; a file holds one");
            return Err(Stop);
        }
        Ok(())
    }

    fn expects_key(&self) -> bool {
        let content = self.frames.last().map(|f| &f.content);
        matches!(content, Some(Content::Mapping { key: None, .. }))
    }

    /// Keys are text as written: `200:` and `"200":` are the same key.
    fn key(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        place: (u32, u32),
    ) -> Result<(), Stop> {
        if !self.lenient && text == "<<" && style == ScalarStyle::Plain {
            self.fault(place, "merge key `<<`: merging is not done here");
        }
        let Some(frame) = self.frames.last_mut() else { return Ok(()) };
        let Content::Mapping { map, key } = &mut frame.content else { return Ok(()) };
        let earlier = match map.contains_key(text.as_ref()) {
            true => map.keys().position(|k| *k == text),
            false => None,
        };
        *key = Some((text.clone().into_owned(), place));
        if let Some(position) = earlier {
            let first = self.key_of_child(frame_node(&self.frames), position);
            let fault =
                Diagnostic::at_span(&self.source, range(place), format!("duplicate key `{text}`"))
                    .with_label("again here");
            self.faults.push(match first {
                Some(first) => fault.with_other(range(first), "first written here"),
                None => fault,
            });
        }
        Ok(())
    }

    fn key_of_child(&self, parent: u32, position: usize) -> Option<(u32, u32)> {
        let node_at = |at: u32| (at != 0).then(|| self.nodes.get(at as usize)).flatten();
        let first = self.nodes.get(parent as usize)?.first_child;
        std::iter::successors(node_at(first), |n| node_at(n.next)).nth(position)?.key
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        place: (u32, u32),
    ) -> Value {
        if style != ScalarStyle::Plain || tag.is_some_and(is_string_tag) {
            return Value::String(text.to_owned());
        }
        match plain_scalar(text) {
            Ok(value) => value,
            Err(message) => {
                self.fault(place, message);
                Value::Null
            }
        }
    }

    /// Adds a node for a value that begins, and links it to its parent and sibling.
    fn open(&mut self, value: (u32, u32)) -> Result<u32, Stop> {
        let index = u32::try_from(self.nodes.len()).map_err(|_| Stop)?;
        let (mut key, mut parent) = (None, 0);
        if let Some(frame) = self.frames.last_mut() {
            if let Content::Mapping { key: Some((_, span)), .. } = &frame.content {
                key = Some(*span);
            }
            let elder = std::mem::replace(&mut frame.last_child, index);
            parent = frame.node;
            match elder {
                0 => self.change(parent, |node| node.first_child = index),
                elder => self.change(elder, |node| node.next = index),
            }
        }
        self.nodes.push(Node { key, value, first_child: 0, next: 0, parent });
        Ok(index)
    }

    fn change(&mut self, node: u32, how: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.get_mut(node as usize) {
            how(node);
        }
    }

    fn container(
        &mut self,
        place: (u32, u32),
        anchor: usize,
        content: Content,
    ) -> Result<(), Stop> {
        if self.expects_key() {
            self.fault(place, "a key must be a word, not a list or a mapping");
            return Err(Stop);
        }
        if self.frames.len() >= MAX_DEPTH {
            self.fault(place, format!("nested more than {MAX_DEPTH} deep"));
            return Err(Stop);
        }
        let node = self.open(place)?;
        self.frames.push(Frame { node, last_child: 0, anchor, parts: 1, content });
        Ok(())
    }

    fn close(&mut self, place: (u32, u32)) {
        let Some(Frame { node, last_child, anchor, parts, content }) = self.frames.pop() else {
            return;
        };
        // A block ends where the parser meets what follows it; its own end is that of its last part.
        // The closing bracket of a flow collection is not empty and counts.
        let last = self.nodes.get(last_child as usize).filter(|_| last_child != 0);
        let end = if place.1 > place.0 { place.1 } else { last.map_or(0, |n| n.value.1) };
        self.change(node, |node| node.value.1 = node.value.1.max(end));
        let value = match content {
            Content::List(items) => Value::Array(items),
            Content::Mapping { map, .. } => Value::Object(map),
        };
        self.remember(anchor, &value, node, parts);
        self.put(value, parts);
    }

    /// Gives a finished value to the list or mapping that it belongs to.
    fn put(&mut self, value: Value, parts: usize) {
        if let Some(frame) = self.frames.last_mut() {
            frame.parts += parts;
        }
        match self.frames.last_mut().map(|f| &mut f.content) {
            None => self.root = value,
            Some(Content::List(items)) => items.push(value),
            Some(Content::Mapping { map, key }) => {
                if let Some((name, _)) = key.take() {
                    map.insert(name, value);
                }
            }
        }
    }

    fn put_null(&mut self, place: (u32, u32)) -> Result<(), Stop> {
        if self.expects_key() {
            return Err(Stop);
        }
        self.open(place)?;
        self.put(Value::Null, 1);
        Ok(())
    }

    fn remember(&mut self, anchor: usize, value: &Value, node: u32, parts: usize) {
        let node = self.nodes.get(node as usize).filter(|_| self.lenient && anchor != 0);
        if let Some(node) = node {
            self.anchors.insert(anchor, (value.clone(), *node, parts));
        }
    }

    /// Aliases are counted by what they stand for: a small file must not become a large value.
    fn alias(&mut self, id: usize, place: (u32, u32)) -> Result<(), Stop> {
        if !self.lenient {
            self.fault(place, "aliases are not used here");
            return self.put_null(place);
        }
        if self.expects_key() {
            self.fault(place, "a key must be a word, not an alias");
            return Err(Stop);
        }
        let Some((value, target, parts)) = self.anchors.get(&id).cloned() else {
            self.fault(place, "an alias inside of what it stands for");
            return self.put_null(place);
        };
        self.aliased += parts;
        if self.aliased > MAX_ALIASED {
            self.fault(place, "the aliases of this file stand for too much");
            return Err(Stop);
        }
        let node = self.open(place)?;
        self.change(node, |node| node.first_child = target.first_child);
        self.put(value, parts);
        Ok(())
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, span: &Span) {
        let Some(tag) = tag else { return };
        let honoured = self.lenient && (tag.is_yaml_core_schema() || is_string_tag(tag));
        if !honoured {
            let written = span.tag_span().map_or_else(|| place(span), |s| place(&s));
            self.fault(written, format!("tag `{}`: tags are not used here", tag.original()));
        }
    }

    fn syntax_error(&mut self, error: &ScanError) -> Result<(), Stop> {
        let at = u32::try_from(error.marker().byte_offset().unwrap_or(0)).unwrap_or(u32::MAX);
        self.fault((at, at.saturating_add(1)), format!("not YAML: {}", error.info()));
        Err(Stop)
    }

    fn fault(&mut self, place: (u32, u32), message: impl Into<String>) {
        self.faults.push(Diagnostic::at_span(&self.source, range(place), message));
    }
}

/// How many parts a scalar counts for: a long text for more than a short one.
fn weight(scalar: &Value) -> usize {
    1 + scalar.as_str().map_or(0, |text| text.len() / 64)
}

fn frame_node(frames: &[Frame]) -> u32 {
    frames.last().map_or(0, |f| f.node)
}

fn place(span: &Span) -> (u32, u32) {
    let bytes = span.byte_range().unwrap_or(0..0);
    (u32::try_from(bytes.start).unwrap_or(u32::MAX), u32::try_from(bytes.end).unwrap_or(u32::MAX))
}

fn is_string_tag(tag: &Tag) -> bool {
    tag.core_suffix() == Some("str") || (tag.handle() == "!" && tag.suffix().is_empty())
}

/// What an unquoted scalar means by YAML's core schema.
///
/// # Errors
/// What is wrong with a number that JSON cannot hold.
fn plain_scalar(text: &str) -> Result<Value, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    // Nothing else that begins otherwise is a number; most scalars are words.
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        return Ok(Value::String(text.to_owned()));
    }
    number(text).map(|n| n.map_or_else(|| Value::String(text.to_owned()), Value::Number))
}

/// The number that an unquoted scalar is, if it is one.
fn number(text: &str) -> Result<Option<Number>, String> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if matches!(digits, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err(format!("`{text}` is no number that JSON has; quote it if it is text"));
    }
    if digits.starts_with(['+', '-']) {
        return Ok(None);
    }
    if let Some((radix, digits)) = radix(digits) {
        if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
            return Ok(None);
        }
        return integer(text, negative, digits, radix).map(Some);
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        // `017` is neither seventeen nor fifteen by the core schema's examples: it stays text.
        let is_text = digits.is_empty() || (digits.len() > 1 && digits.starts_with('0'));
        return if is_text { Ok(None) } else { integer(text, negative, digits, 10).map(Some) };
    }
    float(text, digits, negative)
}

fn radix(digits: &str) -> Option<(u32, &str)> {
    let radix = |prefix, radix| digits.strip_prefix(prefix).map(|rest| (radix, rest));
    radix("0x", 16).or_else(|| radix("0o", 8)).or_else(|| radix("0b", 2))
}

fn integer(text: &str, negative: bool, digits: &str, radix: u32) -> Result<Number, String> {
    let too_large = || format!("`{text}` does not fit into 64 bits; quote it if it is text");
    let magnitude = u64::from_str_radix(digits, radix).map_err(|_| too_large())?;
    match negative {
        false => Ok(Number::from(magnitude)),
        true => 0i64.checked_sub_unsigned(magnitude).map(Number::from).ok_or_else(too_large),
    }
}

/// Rust reads also words such as `inf`; these are text in YAML.
fn float(text: &str, digits: &str, negative: bool) -> Result<Option<Number>, String> {
    let numeric = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    if !digits.chars().all(numeric) {
        return Ok(None);
    }
    let Ok(magnitude) = digits.parse::<f64>() else { return Ok(None) };
    match Number::from_f64(if negative { -magnitude } else { magnitude }) {
        Some(number) => Ok(Some(number)),
        None => Err(format!("`{text}` is too large a number; quote it if it is text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(text: &str) -> Document {
        Document::parse("a.yaml", text).unwrap_or_else(|faults| panic!("{faults:?}"))
    }

    /// The faults of a text, a line each.
    fn faults(text: &str) -> Vec<String> {
        let faults = Document::parse("a.yaml", text).expect_err(text);
        faults.iter().map(ToString::to_string).collect()
    }

    /// What stands in the text at a pointer.
    fn at<'d>(document: &'d Document, pointer: &str) -> &'d str {
        &document.text()[document.span(pointer).unwrap_or_else(|| panic!("{pointer}"))]
    }

    const CASE: &str = "\
about: Device ids  # a comment
cases:
  - id: kept
    200: {a/b: [1, \"é\", ~m], \"c~d\": ''}
    steps:
      - call: login
        text: |
          two
          lines

  - id: other
last: 1
";

    #[test]
    fn values_follow_the_core_schema() {
        let text = "[yes, no, on, 1, -2, +3, 0x1f, 0o17, 0b101, 017, 1_000, 1.5, .5, 1e3, -0x10, \
                    ~, null, Null, True, FALSE, '1', \"true\", 12:30, 2026-11-21, v1.10, ., -a, +, 0x, inf, e5]";
        let expected = json!([
            "yes",
            "no",
            "on",
            1,
            -2,
            3,
            31,
            15,
            5,
            "017",
            "1_000",
            1.5,
            0.5,
            1000.0,
            -16,
            null,
            null,
            null,
            true,
            false,
            "1",
            "true",
            "12:30",
            "2026-11-21",
            "v1.10",
            ".",
            "-a",
            "+",
            "0x",
            "inf",
            "e5"
        ]);
        assert_eq!(*parse(text).value(), expected);
        assert_eq!(*parse("a:\nb: ''\n").value(), json!({"a": null, "b": ""}));
        assert_eq!(*parse("").value(), Value::Null);
    }

    #[test]
    fn integer_keys_become_text() {
        assert_eq!(*parse("200: a\ntrue: b\n").value(), json!({"200": "a", "true": "b"}));
    }

    #[test]
    fn every_part_has_its_place() {
        let document = parse(CASE);
        assert_eq!(at(&document, "/about"), "Device ids");
        assert_eq!(at(&document, "/cases/0/200/a~1b/1"), "\"é\"");
        assert_eq!(at(&document, "/cases/0/200/a~1b"), "[1, \"é\", ~m]");
        assert_eq!(at(&document, "/cases/0/200/c~0d"), "''");
        assert_eq!(at(&document, "/cases/1"), "id: other");
        assert!(at(&document, "/cases").ends_with("id: other"));
        let key = document.key_span("/cases/0/200").unwrap();
        assert_eq!(&document.text()[key], "200");
        assert_eq!(document.key_span("/cases/0"), None);
        assert_eq!(document.span("/cases/7"), None);
        assert_eq!(document.span("/about/x"), None);
    }

    #[test]
    fn lines_fall_back_to_what_is_around() {
        let document = parse(CASE);
        assert_eq!(document.line("/cases/0/steps/0/text"), 7);
        assert_eq!(document.line("/cases/0/steps/0/missing/deeper"), 6);
        assert_eq!(document.line("/cases/1"), 11);
        assert_eq!(document.line("/last"), 12);
        assert_eq!(document.line(""), 1);
    }

    #[test]
    fn faults_of_a_value_mark_the_scalar_or_the_key_of_a_container() {
        let document = parse(CASE);
        assert_eq!(Diagnostic::at(&document, "/last", "x").to_string(), "a.yaml:12:7: x");
        assert_eq!(Diagnostic::at(&document, "/cases", "x").to_string(), "a.yaml:2:1: x");
        assert_eq!(Diagnostic::at_key(&document, "/last", "x").to_string(), "a.yaml:12:1: x");
        let around = Diagnostic::at(&document, "/last/missing", "x");
        assert_eq!(around.to_string(), "a.yaml:12:1: x");
    }

    #[test]
    fn duplicate_keys_are_shown_with_both_places() {
        let faults =
            Document::parse("a.yaml", "a: 1\nb:\n  200: x\n  \"200\": y\na: 2\n").unwrap_err();
        let shown: Vec<_> = faults.iter().map(|f| f.render(false)).collect();
        assert_eq!(faults[0].to_string(), "a.yaml:4:3: duplicate key `200`");
        assert_eq!(faults[1].to_string(), "a.yaml:5:1: duplicate key `a`");
        assert!(
            shown[0].contains("first written here") && shown[0].contains("200: x"),
            "{}",
            shown[0]
        );
        assert!(
            shown[1].contains("first written here") && shown[1].contains("a: 1"),
            "{}",
            shown[1]
        );
    }

    #[test]
    fn what_a_file_may_not_hold_is_told_all_at_once() {
        let text = "a: &x {b: 1}\nc: *x\nd: !!str 5\ne: *nothing\n<<: {f: 1}\ng: .nan\nh: 18446744073709551616\ni: -.inf\nj: 1e999\n";
        let all = faults(text).join("\n");
        for part in [
            "a.yaml:1:4: anchor `&x`",
            "a.yaml:2:4: aliases",
            "a.yaml:3:4: tag `!!str`",
            "a.yaml:4:4: alias `*nothing`",
            "a.yaml:5:1: merge key",
            "a.yaml:6:4: `.nan`",
            "a.yaml:7:4: `18446744073709551616` does not fit into 64 bits",
            "a.yaml:8:4: `-.inf`",
            "a.yaml:9:4: `1e999`",
        ] {
            assert!(all.contains(part), "{part} is missing in\n{all}");
        }
    }

    #[test]
    fn what_cannot_be_read_on_stops_with_a_place() {
        assert!(
            faults("a: [1, 2\nb: 3\n")[0].starts_with("a.yaml:2:"),
            "{:?}",
            faults("a: [1, 2\nb: 3\n")
        );
        assert!(faults("a: 1\n---\nb: 2\n")[0].starts_with("a.yaml:2:1: a second document"));
        assert!(faults("? [a, b]\n: c\n")[0].contains("a key must be a word"));
        assert!(faults("a: b: c\n")[0].contains("not YAML"));
        assert!(
            faults(&("[".repeat(100) + &"]".repeat(100)))[0].contains("nested more than 64 deep")
        );
        assert!(faults(&"[".repeat(100_000))[0].contains("not YAML"));
        assert!(faults(&"- ".repeat(70))[0].contains("nested"));
        assert!(faults(&"x".repeat(MAX_BYTES + 1))[0].contains("larger than 1048576 bytes"));
    }

    #[test]
    fn published_files_may_use_aliases_and_core_tags() {
        let text = "a: &x {b: [1]}\nc: *x\nd: !!str 5\n<<: 1\n";
        let document = Document::parse_lenient("p.yaml", text).unwrap();
        assert_eq!(*document.value(), json!({"a": {"b": [1]}, "c": {"b": [1]}, "d": "5", "<<": 1}));
        assert_eq!(document.line("/c"), 2);
        assert_eq!(document.line("/c/b/0"), 1, "what an alias stands for is where the anchor is");
        let refused =
            Document::parse_lenient("p.yaml", "a: &x [*x]\nb: !include y\nc: *z\n").unwrap_err();
        let refused: Vec<_> = refused.iter().map(ToString::to_string).collect();
        assert!(refused[0].starts_with("p.yaml:1:8: an alias inside"), "{refused:?}");
        assert!(refused[1].starts_with("p.yaml:2:4: tag `!include`"), "{refused:?}");
        assert!(refused[2].starts_with("p.yaml:3:4: alias `*z`"), "{refused:?}");
    }

    #[test]
    fn many_texts_are_read_in_their_order() {
        let text = |i: usize| (format!("{i}.yaml"), "a: 1\n".repeat(i % 3));
        let texts: Vec<_> = (0..50).map(text).collect();
        for (i, result) in parse_all(&texts).iter().enumerate() {
            match result {
                Ok(document) => assert_eq!(document.name(), format!("{i}.yaml")),
                Err(faults) => assert!(i % 3 == 2 && faults[0].name == format!("{i}.yaml")),
            }
        }
        assert!(parse_all(&[]).is_empty());
    }

    #[test]
    fn aliases_cannot_blow_up() {
        let mut text = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (name, of) in "bcdefghi".chars().zip("abcdefgh".chars()) {
            let row = vec![format!("*{of}"); 9].join(", ");
            text.push_str(&format!("{name}: &{name} [{row}]\n"));
        }
        let faults = Document::parse_lenient("p.yaml", text).unwrap_err();
        assert!(faults[0].message.contains("stand for too much"));
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1.0e9..1.0e9).prop_map(Value::from),
            "[ -~\n\tà-ÿ€]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec(("[ -~é]{1,8}", inner), 0..6)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn parts_are_walked_with_their_places() {
        let document = parse(CASE);
        let step = document.part("/cases/0/steps/0").unwrap();
        let names: Vec<_> = step.members().map(|(name, part)| (name, part.line())).collect();
        assert_eq!(names, [("call", 6), ("text", 7)]);
        assert_eq!(step.member("text").unwrap().value(), "two\nlines\n");
        assert_eq!(step.pointer(), "/cases/0/steps/0");
        let odd = document.part("/cases/0/200/a~1b/1").unwrap();
        assert_eq!((odd.pointer().as_str(), odd.value()), ("/cases/0/200/a~1b/1", &json!("é")));
        assert_eq!(document.root().member("cases").unwrap().items().count(), 2);
        assert_eq!(document.root().pointer(), "");
        assert!(document.root().items().next().is_none() && step.member("nothing").is_none());
    }

    /// All pointers of a value.
    fn pointers(value: &Value, here: &str, all: &mut Vec<String>) {
        all.push(here.to_owned());
        match value {
            Value::Object(map) => {
                map.iter()
                    .for_each(|(k, v)| pointers(v, &format!("{here}/{}", pointer_token(k)), all));
            }
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(i, v)| pointers(v, &format!("{here}/{i}"), all));
            }
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn what_is_written_as_yaml_is_read_back(value in json_value()) {
            let mut written = Vec::new();
            pointers(&value, "", &mut written);
            // A merge key is refused.
            prop_assume!(!written.iter().any(|pointer| pointer.ends_with("/<<")));
            let text = serde_yaml::to_string(&value).unwrap();
            let document = Document::parse("a.yaml", text.as_str()).unwrap();
            prop_assert_eq!(document.value(), &serde_yaml::from_str::<Value>(&text).unwrap());
            let mut all = Vec::new();
            pointers(document.value(), "", &mut all);
            for pointer in all {
                let span = document.span(&pointer);
                prop_assert!(span.is_some_and(|s| s.start <= s.end && text.get(s).is_some()), "{}", pointer);
                let part = document.part(&pointer).unwrap();
                prop_assert_eq!(Some(part.value()), document.value().pointer(&pointer));
                prop_assert_eq!(part.pointer(), pointer);
            }
        }

        #[test]
        fn scalars_mean_what_they_mean_to_serde_yaml(text in "[-+.0-9a-fxoEinNtrulsTF_~:]{1,8}") {
            let text = format!("a: {text}\n");
            if let (Ok(ours), Ok(theirs)) = (Document::parse("a.yaml", text.as_str()), serde_yaml::from_str::<Value>(&text)) {
                prop_assert_eq!(ours.value(), &theirs);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-?:,\\[\\]{}#&*!|>'\"%@` a\n\t~0é<]{0,40}") {
            for parsed in [Document::parse("a.yaml", text.as_str()), Document::parse_lenient("a.yaml", text.as_str())] {
                match parsed {
                    Ok(document) => drop(document.line("/a/0")),
                    Err(faults) => faults.iter().for_each(|f| drop(f.render(false))),
                }
            }
        }
    }
}
