//! From the parser's events to the value and the places of its parts.
use super::events::Events;
use super::scalar::plain_scalar;
use super::{Document, DocumentData, MAX_BYTES, MAX_DEPTH, Node, range};
use crate::yaml::diagnostic::{Diagnostic, SourceText};
use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, Tag};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// The most parts that all aliases of a file may stand for together.
const MAX_ALIASED: usize = 100_000;
/// After that many faults the rest of a file is not read.
const MAX_FAULTS: usize = 100;

/// A list or mapping that is being read.
struct Frame {
    node: u32,
    /// Its last child so far; 0 for none.
    last_child: u32,
    anchor: usize,
    /// Number of parts so far, those behind aliases counted in full.
    parts: usize,
    content: Content,
}

enum Content {
    List(Vec<Value>),
    Mapping { map: Map<String, Value>, key: Option<(String, (u32, u32))> },
}

/// Value, node and number of parts of an anchor.
type Anchored = (Value, Node, usize);

pub(super) struct Builder {
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
    pub(super) fn new(name: String, text: String, lenient: bool) -> Builder {
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

    /// Reads the text, by the events that the build script wrote where it is carried inside the program.
    pub(super) fn run(mut self) -> Result<Document, Vec<Diagnostic>> {
        let source = self.source.clone();
        let Some(events) = Events::of(source.text()) else { return self.scan() };
        self.nodes.reserve(events.size_hint().1.unwrap_or_default());
        for (event, span) in events {
            if self.event(event, &span).is_err() {
                break;
            }
        }
        self.finish()
    }

    /// Reads the text by scanning it.
    pub(super) fn scan(mut self) -> Result<Document, Vec<Diagnostic>> {
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
        self.finish()
    }

    fn finish(self) -> Result<Document, Vec<Diagnostic>> {
        let Builder { source, root: value, nodes, faults, .. } = self;
        match faults.is_empty() {
            true => Ok(Document(Arc::new(DocumentData { source, value, nodes }))),
            false => Err(faults),
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
                self.fault(place, format!("anchor `&{name}`: anchors are not supported"));
                Ok(())
            }
            Event::Alias(id) => self.alias(id, place),
            Event::UnresolvedAlias(name) => {
                self.fault(place, format!("undefined alias `*{name}`"));
                self.put_null(place)
            }
            _ => Ok(()),
        }
    }

    fn document(&mut self, place: (u32, u32)) -> Result<(), Stop> {
        self.documents += 1;
        if self.documents > 1 {
            self.fault(place, "a second document begins here; only one is permitted");
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
            self.fault(place, "merge key `<<`: merge keys are not supported");
        }
        let Some(frame) = self.frames.last_mut() else { return Ok(()) };
        let Content::Mapping { map, key } = &mut frame.content else { return Ok(()) };
        // Most keys are new: the place of the first is looked for only where there is one.
        let known = map.contains_key(text.as_ref());
        let earlier = known.then(|| map.keys().position(|key| *key == text)).flatten();
        *key = Some((text.clone().into_owned(), place));
        let parent = frame.node;
        if let Some(position) = earlier {
            let first = self.key_of_child(parent, position);
            let message = format!("duplicate key `{text}`");
            let fault = Diagnostic::at_span(&self.source, range(place), message);
            let fault = fault.with_label("again here");
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
            self.fault(place, "aliases are not supported");
            return self.put_null(place);
        }
        if self.expects_key() {
            self.fault(place, "a key must be a word, not an alias");
            return Err(Stop);
        }
        let Some((value, target, parts)) = self.anchors.get(&id).cloned() else {
            self.fault(place, "an alias inside its own anchor");
            return self.put_null(place);
        };
        self.aliased += parts;
        if self.aliased > MAX_ALIASED {
            self.fault(place, "the aliases of this file expand to too much");
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
            self.fault(written, format!("tag `{}`: tags are not supported", tag.original()));
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

/// Number of parts that a scalar counts for: a long text for more than a short one.
fn weight(scalar: &Value) -> usize {
    1 + scalar.as_str().map_or(0, |text| text.len() / 64)
}

fn place(span: &Span) -> (u32, u32) {
    let bytes = span.byte_range().unwrap_or(0..0);
    (u32::try_from(bytes.start).unwrap_or(u32::MAX), u32::try_from(bytes.end).unwrap_or(u32::MAX))
}

fn is_string_tag(tag: &Tag) -> bool {
    tag.core_suffix() == Some("str") || (tag.handle() == "!" && tag.suffix().is_empty())
}
