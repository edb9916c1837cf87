//! From the text of a register to its requirements, or to every fault in it.
use super::{KEYWORDS, NEEDS, Register, Requirement, Rule, SchemaRule, StandingCheck};
use crate::model::release::SpecVersion;
use crate::model::run::{Level, Mark};
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::document::de::{Text, checked, text, unknown};
use crate::yaml::document::{Document, Part};
use crate::yaml::reader::Reader;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::HashMap;

const REQUIRED: [&str; 11] =
    ["id", "group", "level", "mark", "since", "tier", "needs", "title", "source", "url", "check"];

/// Reads a register.
///
/// # Errors
/// As [`Register::parse`].
pub(super) fn register(document: &Document) -> Result<Register, Vec<Diagnostic>> {
    let (mut reader, root) = Reader::new(document);
    if !root.value().is_array() {
        reader.fault(root, "a register must be a list of requirements");
    }
    let read = |entry| Some((requirement(&mut reader, entry)?, entry));
    let entries: Vec<(Requirement, Part<'_>)> = root.items().filter_map(read).collect();
    let register = index(&mut reader, entries);
    reader.finish(register)
}

fn requirement<'d>(reader: &mut Reader<'d>, entry: Part<'d>) -> Option<Requirement> {
    let apart = ["standing", "permits"];
    let requirement = reader.read::<Requirement>(entry, "a requirement", &REQUIRED, &apart);
    let standing = standing(reader, entry);
    let permits = permits(reader, entry);
    let requirement = Requirement { standing, permits, line: entry.line(), ..requirement? };
    for (key, message) in contradictions(&requirement) {
        reader.fault(entry.nearest(key), message);
    }
    Some(requirement)
}

fn standing<'d>(reader: &mut Reader<'d>, entry: Part<'d>) -> Vec<StandingCheck> {
    let Some(list) = entry.member("standing") else { return Vec::new() };
    reader.list(list, "`standing`").filter_map(|item| watch(reader, item)).collect()
}

fn permits<'d>(reader: &mut Reader<'d>, entry: Part<'d>) -> Vec<SchemaRule> {
    let Some(list) = entry.member("permits") else { return Vec::new() };
    reader.list(list, "`permits`").filter_map(|item| place(reader, item)).collect()
}

fn place<'d>(reader: &mut Reader<'d>, item: Part<'d>) -> Option<SchemaRule> {
    const REQUIRED: [&str; 4] = ["operation", "status", "pointer", "keyword"];
    reader.read(item, "a watch", &REQUIRED, &[])
}

fn watch<'d>(reader: &mut Reader<'d>, item: Part<'d>) -> Option<StandingCheck> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Coded {
        rule: Rule,
    }
    match item.member("rule") {
        Some(_) => {
            reader.value::<Coded>(item, "a watch").map(|coded| StandingCheck::Rule(coded.rule))
        }
        None => place(reader, item).map(StandingCheck::Schema),
    }
}

/// Contradictions between keys, which no key shows by itself: the key and the fault of each.
fn contradictions(requirement: &Requirement) -> impl Iterator<Item = (&'static str, &'static str)> {
    let Requirement { since, until, tightened, relaxed, .. } = *requirement;
    let later = |release: Option<SpecVersion>| release.is_none_or(|r| r > since);
    let is_must = requirement.level == Level::Must;
    let is_may = requirement.level == Level::May;
    let unbounded = until.is_none() && !requirement.exclusive;
    let is_note = requirement.informative;
    let gates = requirement.security
        || requirement.warns
        || tightened.or(relaxed).is_some()
        || requirement.works.is_some();
    let rules = [
        ("id", is_id(&requirement.id), "an id is dotted and in lower case"),
        ("mark", requirement.mark != Mark::Schema || is_must, "mark `schema` counts as MUST"),
        (
            "security",
            !requirement.security || !is_may,
            "what a server may do is no matter of security",
        ),
        ("standing", !is_note || requirement.standing.is_empty(), "a note has no standing check"),
        (
            "untestable",
            !is_note || requirement.untestable.is_none(),
            "a note needs no `untestable`",
        ),
        ("informative", !is_note || !gates, "what a note says cannot be broken"),
        ("permits", is_note || requirement.permits.is_empty(), "only a note has `permits`"),
        ("until", until.is_none_or(|u| u >= since), "`until` comes before `since`"),
        ("tightened", later(tightened), "`tightened` does not come after `since`"),
        ("tightened", tightened.is_none() || is_must, "only a MUST is tightened"),
        ("warns", !requirement.warns || is_must, "only a MUST has `warns`"),
        ("relaxed", later(relaxed), "`relaxed` does not come after `since`"),
        ("relaxed", relaxed.is_none() || is_may, "only a MAY is relaxed"),
        (
            "clarification",
            !requirement.clarification || unbounded,
            "a clarification applies to every server, so it has neither `until` nor `exclusive`",
        ),
    ];
    rules.into_iter().filter(|(_, holds, _)| !holds).map(|(key, _, message)| (key, message))
}

fn is_id(id: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    id.contains('.') && id.split('.').all(|part| !part.is_empty() && part.bytes().all(word))
}

/// An https URL with the anchor of the clause.
pub(super) fn clause<'d, D: Deserializer<'d>>(source: D) -> Result<String, D::Error> {
    checked(source, |Text(text)| {
        let url = url::Url::parse(&text);
        match url.is_ok_and(|url| url.scheme() == "https" && url.fragment().is_some()) {
            true => Ok(text),
            false => Err("`url` is an https URL with the anchor of the clause"),
        }
    })
}

/// Words of [`NEEDS`].
pub(super) fn needs<'d, D: Deserializer<'d>>(source: D) -> Result<Vec<String>, D::Error> {
    struct NeedWord(String);

    impl<'d> Deserialize<'d> for NeedWord {
        fn deserialize<D: Deserializer<'d>>(source: D) -> Result<NeedWord, D::Error> {
            let known = NEEDS.iter().map(|(known, _)| *known);
            checked(source, |word: String| match known.clone().any(|known| known == word) {
                true => Ok(NeedWord(word)),
                false => Err(unknown(&word, "a word of `needs`", known)),
            })
        }
    }
    let needs = Vec::<NeedWord>::deserialize(source)?;
    Ok(needs.into_iter().map(|NeedWord(word)| word).collect())
}

/// An operation, or `*` for any.
pub(super) fn operation<'d, D: Deserializer<'d>>(source: D) -> Result<Option<String>, D::Error> {
    text(source).map(|operation: String| Some(operation).filter(|operation| operation != "*"))
}

/// A status, or `*` for any.
pub(super) fn status<'d, D: Deserializer<'d>>(source: D) -> Result<Option<u16>, D::Error> {
    checked(source, |value: Value| {
        let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
        match number.filter(|number| (100..600).contains(number)) {
            None if value != "*" => Err("`status` is an HTTP status or \"*\""),
            status => Ok(status),
        }
    })
}

/// One of [`KEYWORDS`], or `*` for any.
pub(super) fn keyword<'d, D: Deserializer<'d>>(source: D) -> Result<Option<String>, D::Error> {
    checked(source, |word: String| match word.as_str() {
        "*" => Ok(None),
        known if KEYWORDS.contains(&known) => Ok(Some(word)),
        _ => Err(format!("`keyword` is one of {}, \"*\"", KEYWORDS.join(", "))),
    })
}

/// Makes a register of the requirements, each with its place; what comes twice is a fault.
fn index<'d>(reader: &mut Reader<'d>, entries: Vec<(Requirement, Part<'d>)>) -> Register {
    let mut positions = HashMap::with_capacity(entries.len());
    let mut rules = HashMap::new();
    let mut watched: HashMap<SchemaRule, usize> = HashMap::new();
    let id_of = |position: usize| entries.get(position).map(|(_, part)| part.nearest("id"));
    for (position, (requirement, part)) in entries.iter().enumerate() {
        let mut refuse = |first: Option<usize>, message: &str| {
            if let Some(first) = first.and_then(id_of) {
                let fault = part.nearest("id").fault(message);
                reader.add(fault.with_other_label(first.label("first here")));
            }
        };
        let first = positions.insert(requirement.id.clone(), position);
        refuse(first, "duplicate id");
        for watch in &requirement.standing {
            let first = match watch {
                StandingCheck::Rule(rule) => rules.insert(*rule, position),
                StandingCheck::Schema(watch) => watched.insert(watch.clone(), position),
            };
            refuse(first, "another requirement already watches this place");
        }
        for permitted in &requirement.permits {
            let first = watched.insert(permitted.clone(), position);
            refuse(first, "another requirement already watches this place");
        }
    }
    let requirements = entries.into_iter().map(|(requirement, _)| requirement).collect();
    Register { requirements, positions, rules, watches: by_specificity(watched) }
}

/// The most specific first; the order among those that are alike does not matter, but stays the same.
fn by_specificity(watched: HashMap<SchemaRule, usize>) -> Vec<(SchemaRule, usize)> {
    let mut watches: Vec<(SchemaRule, usize)> = watched.into_iter().collect();
    watches.sort_by_cached_key(|(watch, position)| (Reverse(watch.specificity()), *position));
    watches
}
