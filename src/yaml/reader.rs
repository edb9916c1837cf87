//! Reading a parsed file: typed values by serde, the rest by hand, and every fault instead of the
//! first alone.
use crate::yaml::diagnostic::{Diagnostic, did_you_mean};
use crate::yaml::document::de::kind;
use crate::yaml::document::{Document, Part};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::marker::PhantomData;

/// Collects faults while a file, or a folder of them, is read.
#[derive(Default)]
pub struct Reader<'d> {
    faults: Vec<Diagnostic>,
    /// Each fault with its place in one line.
    known: HashSet<String>,
    documents: PhantomData<&'d Document>,
}

impl<'d> Reader<'d> {
    /// Starts at the file's root.
    pub fn new(document: &'d Document) -> (Self, Part<'d>) {
        (Reader::default(), document.root())
    }

    /// The value, or the faults in the order of the text if there are any.
    ///
    /// # Errors
    /// Whatever was recorded.
    pub fn finish<T>(self, value: T) -> Result<T, Vec<Diagnostic>> {
        let faults = self.faults();
        if faults.is_empty() { Ok(value) } else { Err(faults) }
    }

    /// The faults, by file and in the order of its text.
    pub fn faults(mut self) -> Vec<Diagnostic> {
        let start = |fault: &Diagnostic| fault.primary.as_ref().map(|label| label.span.start);
        self.faults.sort_by(|a, b| (&a.name, start(a)).cmp(&(&b.name, start(b))));
        self.faults
    }

    /// Records a fault. What is read twice, because several rows or references use it, is wrong once.
    pub fn add(&mut self, fault: Diagnostic) {
        if self.known.insert(fault.to_string()) {
            self.faults.push(fault);
        }
    }

    pub fn fault(&mut self, part: Part<'_>, message: impl Into<String>) {
        self.add(part.fault(message));
    }

    /// Records a fault at a value, with the way out.
    pub fn fault_with_help(
        &mut self,
        part: Part<'_>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(part.fault(message).with_help(help));
    }

    /// The part as a type that derives `Deserialize`; `what` names it in messages.
    ///
    /// All keys of `required` that are missing are told, where serde would tell the first. A type
    /// whose members all may be missing is there, less what is wrong, for every mapping, so that
    /// reading can go on. Members that are read by hand are `elsewhere`.
    pub fn read<T: Deserialize<'d>>(
        &mut self,
        part: Part<'d>,
        what: &str,
        required: &[&str],
        elsewhere: &[&str],
    ) -> Option<T> {
        for key in required {
            self.required(part, what, key);
        }
        let (value, faults) = part.read(what, elsewhere);
        faults.into_iter().for_each(|fault| self.add(fault));
        value
    }

    /// The part as a type that derives `Deserialize`, where nothing needs to be there.
    pub fn value<T: Deserialize<'d>>(&mut self, part: Part<'d>, what: &str) -> Option<T> {
        self.read(part, what, &[], &[])
    }

    /// The member of a mapping as a type that derives `Deserialize`; none where it is not there.
    pub fn member<T: Deserialize<'d>>(&mut self, part: Part<'d>, key: &str) -> Option<T> {
        self.value(part.member(key)?, &format!("`{key}`"))
    }

    /// An object with no other keys than `known`; `what` names it in messages.
    pub fn object(
        &mut self,
        part: Part<'d>,
        what: &str,
        known: &[&str],
    ) -> Option<&'d Map<String, Value>> {
        let Some(members) = part.value().as_object() else {
            self.must_be(part, what, "a mapping");
            return None;
        };
        for (key, member) in part.members().filter(|(key, _)| !known.contains(key)) {
            let help = match did_you_mean(key, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("{what} has: {}", known.join(", ")),
            };
            self.add(member.key_fault(format!("unknown key `{key}` in {what}")).with_help(help));
        }
        Some(members)
    }

    /// A string that is not empty.
    pub fn string(&mut self, part: Part<'d>, what: &str) -> Option<&'d str> {
        match part.value().as_str() {
            Some("") => self.fault(part, format!("{what} is empty")),
            Some(text) => return Some(text),
            None => self.must_be(part, what, "a string"),
        }
        None
    }

    /// The member `key`, which must be there.
    pub fn required(&mut self, part: Part<'d>, what: &str, key: &str) -> Option<Part<'d>> {
        let member = part.member(key);
        if member.is_none() && part.value().is_object() {
            self.fault(part, format!("{what} has no `{key}`"));
        }
        member
    }

    /// A list; empty ones are a fault.
    pub fn list(&mut self, part: Part<'d>, what: &str) -> impl Iterator<Item = Part<'d>> + use<'d> {
        match part.value().as_array() {
            Some(items) if items.is_empty() => self.fault(part, format!("{what} is empty")),
            Some(_) => {}
            None => self.must_be(part, what, "a list"),
        }
        part.items()
    }

    fn must_be(&mut self, part: Part<'_>, what: &str, be: &str) {
        self.fault(part, format!("{what} must be {be}, not {}", kind(part.value())));
    }
}
