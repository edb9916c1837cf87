//! A part of a file as a serde [`Deserializer`]: what derives `Deserialize` is read from it, and an
//! error knows its place.
//!
//! serde stops at the first error. [`Part::read`] therefore reads the same part again without what was
//! wrong in it, until nothing new shows. No error quotes a value, which may be a secret, but for a word
//! where one of a few is expected.
use super::Part;
use crate::yaml::diagnostic::{Diagnostic, did_you_mean};
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, Error as _, Expected, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use strum::VariantArray;

/// After that many faults of one part the rest of it is not read.
const MAX_FAULTS: usize = 100;
/// Stands between the text of an error and the way out; a text is all that serde carries.
const HELP: &str = "\nhelp: ";

/// The text of an error with a way out, for [`checked`].
pub fn with_help(message: impl fmt::Display, help: impl fmt::Display) -> String {
    format!("{message}{HELP}{help}")
}

/// The text of an error: that `word` is not `what`, and which of the words known it may have been.
pub fn unknown<'k>(word: &str, what: &str, known: impl Iterator<Item = &'k str>) -> String {
    let known: Vec<&str> = known.collect();
    with_help(format!("`{word}` is not {what}"), offer(word, &known))
}

fn offer(word: &str, known: &[&str]) -> String {
    match did_you_mean(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("one of: {}", known.join(", ")),
    }
}

/// A text that is not empty.
#[derive(Debug, Clone)]
pub struct Text(pub String);

impl<'d> Deserialize<'d> for Text {
    fn deserialize<D: Deserializer<'d>>(source: D) -> Result<Text, D::Error> {
        match String::deserialize(source)? {
            text if text.is_empty() => Err(D::Error::invalid_length(0, &"a text")),
            text => Ok(Text(text)),
        }
    }
}

/// Deserializes a value of another type and converts it with `check`; an error is placed at that
/// value.
pub fn checked<'d, D: Deserializer<'d>, F: Deserialize<'d>, T, E: fmt::Display>(
    source: D,
    check: impl FnOnce(F) -> Result<T, E>,
) -> Result<T, D::Error> {
    check(F::deserialize(source)?).map_err(D::Error::custom)
}

/// A [`Text`], for `deserialize_with`: as `String` or `Option<String>`.
pub fn text<'d, D: Deserializer<'d>, T: From<String>>(source: D) -> Result<T, D::Error> {
    Text::deserialize(source).map(|Text(text)| T::from(text))
}

/// A word that stands for a value, for `deserialize_with`; `what` names it.
pub fn word<'d, D: Deserializer<'d>, T: Word>(source: D, what: &str) -> Result<T, D::Error> {
    checked(source, |word: String| word_of(&word, what))
}

/// The value that a word stands for; the error says that it is not `what`, and what it may have been.
pub(crate) fn word_of<T: Word>(word: &str, what: &str) -> Result<T, String> {
    let known = T::VARIANTS.iter().map(|known| (*known).into());
    T::from_str(word).map_err(|_| unknown(word, what, known))
}

/// A value that files name by a word.
pub trait Word: VariantArray + Into<&'static str> + FromStr + Copy {}

impl<T: VariantArray + Into<&'static str> + FromStr + Copy> Word for T {}

/// A list with something in it, for `deserialize_with`.
pub fn some<'d, D: Deserializer<'d>, T: Deserialize<'d>>(source: D) -> Result<Vec<T>, D::Error> {
    match Vec::deserialize(source)? {
        items if items.is_empty() => Err(D::Error::invalid_length(0, &"a list")),
        items => Ok(items),
    }
}

/// A mapping in the order of the text, for `deserialize_with`.
pub fn pairs<'d, D, K, T>(source: D) -> Result<Vec<(K, T)>, D::Error>
where
    D: Deserializer<'d>,
    K: Deserialize<'d>,
    T: Deserialize<'d>,
{
    struct Pairs<K, T>(PhantomData<(K, T)>);

    impl<'d, K: Deserialize<'d>, T: Deserialize<'d>> Visitor<'d> for Pairs<K, T> {
        type Value = Vec<(K, T)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a mapping")
        }

        fn visit_map<A: MapAccess<'d>>(self, mut map: A) -> Result<Vec<(K, T)>, A::Error> {
            std::iter::from_fn(|| map.next_entry().transpose()).collect()
        }
    }
    source.deserialize_map(Pairs(PhantomData))
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

impl<'d> Part<'d> {
    /// The part as a typed value, and all that is wrong with it; `what` names it in messages.
    /// Members that are read in another way are `elsewhere`.
    ///
    /// Of a type whose members all may be missing there is a value as long as the part is a mapping:
    /// it lacks what was wrong. Otherwise there is none if anything is wrong.
    pub fn read<T: Deserialize<'d>>(
        self,
        what: &str,
        elsewhere: &[&str],
    ) -> (Option<T>, Vec<Diagnostic>) {
        let (mut wrong, mut faults) = (BTreeSet::new(), Vec::new());
        let mut left_out: BTreeSet<u32> =
            elsewhere.iter().filter_map(|key| self.member(key)).map(Part::id).collect();
        while faults.len() < MAX_FAULTS {
            let error = match T::deserialize(PartSource { part: self, left_out: &left_out }) {
                Ok(value) => return (Some(value), faults),
                Err(error) => error,
            };
            let part = error.part.unwrap_or(self);
            // What lacks a part that was left out as wrong may be wrong for that alone.
            let is_missing =
                matches!(error.problem, ReadProblem::Missing(key) if part.member(key).is_none());
            if is_missing || !wrong.iter().any(|inner| part.holds(*inner)) {
                faults.push(error.told(self, what, elsewhere));
            }
            if part.node == self.node || !left_out.insert(part.node) {
                break;
            }
            wrong.insert(part.node);
        }
        (None, faults)
    }

    /// Returns true if the part of that id is this one or in it.
    fn holds(self, id: u32) -> bool {
        let parent = |index: &u32| Some(self.document.node(*index)?.parent).filter(|_| *index != 0);
        std::iter::successors(Some(id), parent).any(|index| index == self.node)
    }

    /// The key that it stands under, or the list that it is an item of.
    fn name(self) -> (String, bool) {
        let pointer = self.pointer();
        let mut tokens: Vec<_> = super::pointer_tokens(&pointer).collect();
        let is_item = self.node().key.is_none();
        while tokens.last().is_some_and(|token| is_item && token.parse::<usize>().is_ok()) {
            tokens.pop();
        }
        (tokens.pop().unwrap_or_default().into_owned(), is_item)
    }
}

/// A part that is not of the requested kind.
#[derive(Debug)]
struct PartError<'d> {
    part: Option<Part<'d>>,
    /// True if the key of the part is wrong.
    of_key: bool,
    problem: ReadProblem,
}

#[derive(Debug)]
enum ReadProblem {
    /// The expected kind; true if it is of another kind.
    Must(String, bool),
    UnknownWord(String, &'static [&'static str]),
    UnknownKey(String, &'static [&'static str]),
    Missing(&'static str),
    Empty,
    Other(String),
}

impl<'d> PartError<'d> {
    fn new(problem: ReadProblem) -> PartError<'d> {
        PartError { part: None, of_key: false, problem }
    }

    /// Sets the place of the error, unless a part further in has set it.
    fn at(self, part: Part<'d>) -> PartError<'d> {
        PartError { part: self.part.or(Some(part)), ..self }
    }

    /// The fault to show, of a value that was read from `whole`, which messages call `what`.
    fn told(self, whole: Part<'d>, what: &str, elsewhere: &[&str]) -> Diagnostic {
        let part = self.part.unwrap_or(whole);
        let (name, is_item) = part.name();
        let subject = match (part.node == whole.node, is_item) {
            (true, _) => what.to_owned(),
            (false, true) => format!("an item of `{name}`"),
            (false, false) => format!("`{name}`"),
        };
        let fault = |message: String| match self.of_key {
            true => part.key_fault(message),
            false => part.fault(message),
        };
        match self.problem {
            ReadProblem::Must(be, false) => fault(format!("{subject} must be {be}")),
            ReadProblem::Must(be, true) => {
                fault(format!("{subject} must be {be}, not {}", kind(part.value())))
            }
            ReadProblem::Missing(key) => fault(format!("{subject} has no `{key}`")),
            ReadProblem::UnknownWord(word, known) => {
                fault(format!("`{word}` is not a value of `{name}`")).with_help(offer(&word, known))
            }
            ReadProblem::UnknownKey(key, known) if part.node().parent == whole.node => {
                let known = [known, elsewhere].concat();
                fault(format!("unknown key `{key}` in {what}")).with_help(offer(&key, &known))
            }
            ReadProblem::UnknownKey(key, known) => {
                fault(format!("unknown key `{key}`")).with_help(offer(&key, known))
            }
            ReadProblem::Empty => fault(format!("{subject} is empty")),
            ReadProblem::Other(text) => match text.split_once(HELP) {
                Some((message, help)) => fault(message.to_owned()).with_help(help),
                None => fault(text),
            },
        }
    }
}

impl fmt::Display for PartError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.problem)
    }
}

impl std::error::Error for PartError<'_> {}

impl de::Error for PartError<'_> {
    fn custom<T: fmt::Display>(text: T) -> Self {
        PartError::new(ReadProblem::Other(text.to_string()))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        PartError::new(ReadProblem::Must(described(expected), true))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        PartError::new(ReadProblem::Must(described(expected), false))
    }

    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        PartError::new(ReadProblem::Empty)
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        PartError::new(ReadProblem::UnknownWord(word.to_owned(), known))
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        PartError::new(ReadProblem::UnknownKey(key.to_owned(), known))
    }

    fn missing_field(key: &'static str) -> Self {
        PartError::new(ReadProblem::Missing(key))
    }
}

/// serde's words for a type in those of these files.
fn described(expected: &dyn Expected) -> String {
    let words = expected.to_string();
    match words.as_str() {
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a mapping",
        "f64" => "a number",
        "u16" | "u32" | "u64" => "a whole number",
        "a nonzero u16" | "a nonzero u32" => "a whole number from 1",
        other => other,
    }
    .to_owned()
}

/// A part to read from, without those parts in it that are left out.
#[derive(Clone, Copy)]
struct PartSource<'d, 'w> {
    part: Part<'d>,
    left_out: &'w BTreeSet<u32>,
}

impl<'d> Deserializer<'d> for PartSource<'d, '_> {
    type Error = PartError<'d>;

    fn deserialize_any<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, PartError<'d>> {
        let part = self.part;
        let read = match part.value() {
            Value::Null => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(*truth),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), ..) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (.., Some(number)) => visitor.visit_f64(number),
                (None, None, None) => Err(PartError::custom("this is not a number of 64 bits")),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(_) => {
                visitor.visit_seq(Children { items: part.items(), left_out: self.left_out })
            }
            Value::Object(_) => visitor.visit_map(Members::new(self)),
        };
        read.map_err(|error| error.at(part))
    }

    /// A written `null` counts as present: only a missing key is none.
    fn deserialize_option<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, PartError<'d>> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'d>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, PartError<'d>> {
        visitor.visit_newtype_struct(self)
    }

    /// serde would read the members of a struct from a list too.
    fn deserialize_struct<V: Visitor<'d>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, PartError<'d>> {
        match self.part.value().is_object() {
            true => self.deserialize_any(visitor),
            false => Err(PartError::new(ReadProblem::Must("a mapping".into(), true)).at(self.part)),
        }
    }

    /// Only words: what belongs to one is read by other means.
    fn deserialize_enum<V: Visitor<'d>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, PartError<'d>> {
        let read = match self.part.value().as_str() {
            Some(word) => visitor.visit_enum(BorrowedStrDeserializer::new(word)),
            None => {
                Err(PartError::new(ReadProblem::Must(format!("one of {}", words.join(", ")), true)))
            }
        };
        read.map_err(|error| error.at(self.part))
    }

    forward_to_deserialize_any! {
        <V: Visitor<'d>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Children<'w, I> {
    items: I,
    left_out: &'w BTreeSet<u32>,
}

impl<'d, I: Iterator<Item = Part<'d>>> SeqAccess<'d> for Children<'_, I> {
    type Error = PartError<'d>;

    fn next_element_seed<T: DeserializeSeed<'d>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, PartError<'d>> {
        let left_out = self.left_out;
        let item = self.items.find(|part| !left_out.contains(&part.node));
        let read = |part| seed.deserialize(PartSource { part, left_out }).map_err(|e| e.at(part));
        item.map(read).transpose()
    }
}

struct Members<'d, 'w, I> {
    members: I,
    value: Option<Part<'d>>,
    left_out: &'w BTreeSet<u32>,
}

impl<'d, 'w> Members<'d, 'w, ()> {
    fn new(of: PartSource<'d, 'w>) -> Members<'d, 'w, impl Iterator<Item = (&'d str, Part<'d>)>> {
        Members { members: of.part.members(), value: None, left_out: of.left_out }
    }
}

impl<'d, I: Iterator<Item = (&'d str, Part<'d>)>> MapAccess<'d> for Members<'d, '_, I> {
    type Error = PartError<'d>;

    fn next_key_seed<K: DeserializeSeed<'d>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, PartError<'d>> {
        let left_out = self.left_out;
        let Some((key, part)) = self.members.find(|(_, part)| !left_out.contains(&part.node))
        else {
            return Ok(None);
        };
        self.value = Some(part);
        let of_key = |error: PartError<'d>| PartError { of_key: true, ..error.at(part) };
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some).map_err(of_key)
    }

    fn next_value_seed<T: DeserializeSeed<'d>>(
        &mut self,
        seed: T,
    ) -> Result<T::Value, PartError<'d>> {
        let Some(part) = self.value.take() else {
            return Err(PartError::custom("internal error: a value before its key"));
        };
        seed.deserialize(PartSource { part, left_out: self.left_out })
            .map_err(|error| error.at(part))
    }
}
