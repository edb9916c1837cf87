//! A strict walk over a parsed file that collects every fault instead of stopping at the first.
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::source::{Document, pointer_below};
use serde_json::{Map, Value};

/// A value of the file and its place.
#[derive(Debug, Clone)]
pub struct Node<'d> {
    /// The value.
    pub value: &'d Value,
    /// Its JSON Pointer.
    pub at: String,
}

impl<'d> Node<'d> {
    /// The member `key` of an object.
    pub fn member(&self, key: &str) -> Option<Node<'d>> {
        let at = pointer_below(&self.at, key);
        self.value.get(key).map(|value| Node { value, at })
    }

    /// The items of a list; nothing for anything else.
    pub fn items(&self) -> impl Iterator<Item = Node<'d>> + use<'d> {
        let at = self.at.clone();
        let items = self.value.as_array().map(Vec::as_slice).unwrap_or_default();
        items
            .iter()
            .enumerate()
            .map(move |(index, value)| Node { value, at: format!("{at}/{index}") })
    }

    /// The members of an object; nothing for anything else.
    pub fn members(&self) -> impl Iterator<Item = (&'d str, Node<'d>)> + use<'d> {
        let at = self.at.clone();
        self.value.as_object().into_iter().flatten().map(move |(key, value)| {
            let at = pointer_below(&at, key);
            (key.as_str(), Node { value, at })
        })
    }
}

/// Collects faults while a file is read.
pub struct Reader<'d> {
    document: &'d Document,
    /// What was wrong so far.
    pub faults: Vec<Diagnostic>,
}

impl<'d> Reader<'d> {
    /// Starts at the file's root.
    pub fn new(document: &'d Document) -> (Self, Node<'d>) {
        let root = Node { value: document.value(), at: String::new() };
        (Reader { document, faults: Vec::new() }, root)
    }

    /// The value at a place.
    pub fn node(&self, at: &str) -> Option<Node<'d>> {
        self.document.value().pointer(at).map(|value| Node { value, at: at.to_owned() })
    }

    /// The line of a place.
    pub fn line(&self, at: &str) -> u32 {
        self.document.line(at)
    }

    /// Records a fault at a value.
    pub fn fault(&mut self, at: &str, message: impl Into<String>) {
        self.record(Diagnostic::at(self.document, at, message.into()));
    }

    /// What is read twice, because several rows use it, is wrong once.
    fn record(&mut self, fault: Diagnostic) {
        if !self.faults.iter().any(|known| known.says_the_same(&fault)) {
            self.faults.push(fault);
        }
    }

    /// Records a fault at a value, with the way out.
    pub fn fault_with_help(
        &mut self,
        at: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.record(Diagnostic::at(self.document, at, message.into()).with_help(help.into()));
    }

    /// Records a fault at a key.
    pub fn fault_at_key(&mut self, at: &str, message: impl Into<String>, help: Option<String>) {
        let fault = Diagnostic::at_key(self.document, at, message.into());
        self.record(match help {
            Some(help) => fault.with_help(help),
            None => fault,
        });
    }

    /// An object with no other keys than `known`; `what` names it in messages.
    pub fn object<'n>(
        &mut self,
        node: &Node<'n>,
        what: &str,
        known: &[&str],
    ) -> Option<&'n Map<String, Value>> {
        let Some(members) = node.value.as_object() else {
            self.fault(&node.at, format!("{what} is a mapping, not {}", kind(node.value)));
            return None;
        };
        for (key, member) in node.members() {
            if !known.contains(&key) {
                let help = match did_you_mean(key, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("{what} has: {}", known.join(", ")),
                };
                self.fault_at_key(&member.at, format!("unknown key `{key}` in {what}"), Some(help));
            }
        }
        Some(members)
    }

    /// A string that is not empty.
    pub fn string<'n>(&mut self, node: &Node<'n>, what: &str) -> Option<&'n str> {
        match node.value.as_str() {
            Some("") => {
                self.fault(&node.at, format!("{what} is empty"));
                None
            }
            Some(text) => Some(text),
            None => {
                self.fault(&node.at, format!("{what} is a string, not {}", kind(node.value)));
                None
            }
        }
    }

    /// The member `key`, which must be there.
    pub fn required<'n>(&mut self, node: &Node<'n>, what: &str, key: &str) -> Option<Node<'n>> {
        let member = node.member(key);
        if member.is_none() && node.value.is_object() {
            self.fault(&node.at, format!("{what} has no `{key}`"));
        }
        member
    }

    /// A whole number from 1.
    pub fn count(&mut self, node: &Node, what: &str) -> Option<u32> {
        let count = node.value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
        if count.is_none() {
            self.fault(&node.at, format!("{what} is a whole number from 1"));
        }
        count
    }

    /// A boolean.
    pub fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        let truth = node.value.as_bool();
        if truth.is_none() {
            self.fault(&node.at, format!("{what} is true or false, not {}", kind(node.value)));
        }
        truth
    }

    /// A list; empty ones are a fault.
    pub fn list<'n>(&mut self, node: &Node<'n>, what: &str) -> Vec<Node<'n>> {
        match node.value.as_array() {
            Some(items) if items.is_empty() => self.fault(&node.at, format!("{what} is empty")),
            Some(_) => {}
            None => self.fault(&node.at, format!("{what} is a list, not {}", kind(node.value))),
        }
        node.items().collect()
    }

    /// One word of a fixed set.
    pub fn word<T: Copy>(&mut self, node: &Node, what: &str, words: &[(&str, T)]) -> Option<T> {
        let word = self.string(node, what)?;
        let found = words.iter().find(|(known, _)| *known == word).map(|(_, value)| *value);
        if found.is_none() {
            let all: Vec<_> = words.iter().map(|(known, _)| *known).collect();
            let help = match did_you_mean(word, all.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("one of: {}", all.join(", ")),
            };
            self.fault_with_help(&node.at, format!("`{word}` is no {what}"), help);
        }
        found
    }
}

/// A JSON kind with its article, for messages.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
