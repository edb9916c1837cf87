//! A case with its rows.
use super::references::{check_asserted, check_references};
use super::step::read_steps;
use super::{Values, is_plain_name, named_value, named_values};
use crate::case::ast::*;
use crate::model::release::SpecVersion;
use crate::yaml::document::Part;
use crate::yaml::document::de::{Text, checked, kind, some, unknown, with_help, word, word_of};
use crate::yaml::reader::Reader;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::num::NonZeroU32;
use strum::VariantArray as _;

/// Plain members of a case; those that depend on rows or other members are read part by part.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct WrittenCase {
    #[serde(deserialize_with = "id")]
    id: Option<String>,
    #[serde(deserialize_with = "title")]
    title: Option<String>,
    #[serde(deserialize_with = "some")]
    checks: Vec<Text>,
    needs: Vec<Need>,
    #[serde(deserialize_with = "impact")]
    impact: Option<Impact>,
    wrong_passwords: Option<NonZeroU32>,
    limits: Option<Limits>,
    last: bool,
    #[serde(rename = "note")]
    _note: Option<Text>,
}

fn id<'d, D: Deserializer<'d>>(source: D) -> Result<Option<String>, D::Error> {
    const HELP: &str = "ids are lower-case words joined by hyphens: `device-id-is-kept`";
    let is_word = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    checked(source, |Text(id)| match id.split('-').all(is_word) {
        true => Ok(Some(id)),
        false => Err(with_help(format!("`{id}` is not a case id"), HELP)),
    })
}

fn title<'d, D: Deserializer<'d>>(source: D) -> Result<Option<String>, D::Error> {
    const LONGEST: usize = 90;
    const SHOULD: &str = "a title says what is true of a server that passes, without \"should\"";
    checked(source, |Text(title)| {
        let mut words = title.split(|c: char| !c.is_alphabetic());
        if words.any(|word| ["should", "shouldn"].contains(&word.to_lowercase().as_str())) {
            return Err(with_help(SHOULD, "the keyword of the block gives the level"));
        }
        match title.chars().count() {
            0..=LONGEST => Ok(Some(title)),
            _ => Err(format!("a title has at most {LONGEST} characters")),
        }
    })
}

fn impact<'d, D: Deserializer<'d>>(source: D) -> Result<Option<Impact>, D::Error> {
    word(source, "an impact").map(Some)
}

impl<'d> Deserialize<'d> for Need {
    fn deserialize<D: Deserializer<'d>>(source: D) -> Result<Need, D::Error> {
        checked(source, |Text(text)| need(&text))
    }
}

fn need(text: &str) -> Result<Need, String> {
    const HELP: &str = "one of: flow TYPE, version RELEASE, before RELEASE, capability NAME, feature NAME, \
                        account NAME, account NAME disposable, session NAME, operator NAME";
    let words: Vec<&str> = text.split_whitespace().collect();
    let owned = |name: &&str| (*name).to_owned();
    let need = match words.as_slice() {
        ["flow", flow] => Some(Need::Flow(owned(flow))),
        ["version", version] => SpecVersion::parse(version).map(Need::Version),
        ["before", version] => SpecVersion::parse(version).map(Need::Before),
        ["capability", name] => Some(Need::Capability(owned(name))),
        ["feature", name] => return word_of(name, "a feature").map(Need::Feature),
        ["account", name] if is_plain_name(name) => {
            Some(Need::Account { name: owned(name), disposable: false })
        }
        ["account", name, "disposable"] if is_plain_name(name) => {
            Some(Need::Account { name: owned(name), disposable: true })
        }
        ["session", name] if is_plain_name(name) => Some(Need::Session(owned(name))),
        ["operator", name] => return operator_help(name).map(Need::Operator),
        _ => None,
    };
    need.ok_or_else(|| with_help(format!("`{text}` is not a need"), HELP))
}

fn operator_help(name: &str) -> Result<String, String> {
    let given = OPERATOR_VALUES.iter().map(|(known, _)| *known);
    let mut known = given.chain(Act::VARIANTS.iter().map(|act| act.as_str()));
    match known.clone().any(|known| known == name) {
        true => Ok(name.to_owned()),
        false => Err(unknown(name, "something that an operator gives", known.by_ref())),
    }
}

/// A row of `each`: its name and what it changes.
pub(super) struct CaseRow<'d> {
    name: Option<String>,
    pub(super) part: Part<'d>,
    values: Values,
    pub(super) with: Option<Part<'d>>,
    pub(super) without: Vec<Pointer>,
    needs: Vec<Need>,
}

pub(super) fn read_case<'d>(
    reader: &mut Reader<'d>,
    part: Part<'d>,
    area: &str,
    file: &str,
    lets: &Values,
) -> Vec<Case> {
    const REQUIRED: [&str; 5] = ["id", "title", "checks", "impact", "steps"];
    const ELSEWHERE: [&str; 4] = ["each", "setup", "steps", "values"];
    let Some(written) = reader.read::<WrittenCase>(part, "a case", &REQUIRED, &ELSEWHERE) else {
        return Vec::new();
    };
    let id = written.id.unwrap_or_else(|| "?".to_owned());
    let checks: Vec<String> = written.checks.into_iter().map(|Text(id)| id).collect();
    refuse_double_checks(reader, part);
    let impact = written.impact.unwrap_or(Impact::Reads);
    let wrong_passwords = match written.wrong_passwords {
        Some(count) => count.get(),
        None => u32::from(impact == Impact::LocksOut),
    };
    let values = named_values(reader, part.member("values"), "`values`");
    let (rows, each) = read_each(reader, part);
    let mut cases = Vec::new();
    for row in rows {
        let setup = read_steps(reader, part.member("setup"), &checks, true, None);
        let Some(steps) = part.member("steps") else { break };
        let steps = read_steps(reader, Some(steps), &checks, false, Some(&row));
        let case = Case {
            id: match &row.name {
                Some(name) => format!("{id}[{name}]"),
                None => id.clone(),
            },
            title: written.title.clone().unwrap_or_default(),
            area: area.to_owned(),
            file: file.to_owned(),
            line: row.part.line(),
            pointer: row.part.pointer(),
            checks: checks.clone(),
            needs: [written.needs.clone(), row.needs].concat(),
            impact,
            wrong_passwords,
            limits: written.limits.unwrap_or(Limits::Wait),
            last: written.last,
            each,
            values: [lets.clone(), values.clone(), row.values].concat(),
            setup,
            steps,
        };
        check_references(reader, &case, part.document());
        check_asserted(reader, &case, part.document());
        cases.push(case);
    }
    cases
}

fn refuse_double_checks<'d>(reader: &mut Reader<'d>, case: Part<'d>) {
    let items: Vec<Part<'_>> = case.nearest("checks").items().collect();
    for (index, item) in items.iter().enumerate() {
        if let Value::String(id) = item.value()
            && items.iter().take(index).any(|other| other.value() == id)
        {
            reader.fault(*item, format!("`{id}` is in `checks` twice"));
        }
    }
}

fn read_each<'d>(reader: &mut Reader<'d>, case: Part<'d>) -> (Vec<CaseRow<'d>>, Option<Each>) {
    let plain = |values| CaseRow {
        name: None,
        part: case,
        values,
        with: None,
        without: Vec::new(),
        needs: Vec::new(),
    };
    let Some(each) = case.member("each") else { return (vec![plain(Vec::new())], None) };
    let word = each.value().as_str();
    if let Some((_, found, names)) = Each::ALL.iter().find(|(known, ..)| word == Some(*known)) {
        let value = |name: &&str| (format!("row.{name}"), Value::String(format!("{name}?")));
        return (vec![plain(names.iter().map(value).collect())], Some(*found));
    }
    let mut rows: Vec<CaseRow> = Vec::new();
    for part in reader.list(each, "`each`") {
        let Some(row) = read_row(reader, part) else { continue };
        if rows.iter().any(|other| other.name == row.name) {
            reader.fault(part, "two rows with the same name");
        }
        rows.push(row);
    }
    (rows, None)
}

/// Every key that means nothing else is a value of the row.
fn read_row<'d>(reader: &mut Reader<'d>, part: Part<'d>) -> Option<CaseRow<'d>> {
    if !part.value().is_object() {
        reader.fault(part, format!("a row must be a mapping, not {}", kind(part.value())));
        return None;
    }
    reader.member::<Text>(part, "note");
    let name = reader.required(part, "a row", "row")?;
    let name = reader.string(name, "`row`")?.to_owned();
    let mut values = vec![("row.row".to_owned(), Value::String(name.clone()))];
    for (key, value) in part.members() {
        if !["row", "with", "without", "needs", "note"].contains(&key) {
            let (name, value) = named_value(reader, key, value);
            values.push((format!("row.{name}"), value));
        }
    }
    Some(CaseRow {
        name: Some(name),
        part,
        values,
        with: read_with(reader, part),
        without: read_without(reader, part),
        needs: reader.member(part, "needs").unwrap_or_default(),
    })
}

/// Reads `with`: members of a body to set, by JSON Pointer.
pub(super) fn read_with<'d>(reader: &mut Reader<'d>, part: Part<'d>) -> Option<Part<'d>> {
    let with = part.member("with")?;
    if !with.value().is_object() {
        let found = kind(with.value());
        reader.fault(with, format!("`with` must map JSON Pointers to values, not {found}"));
    }
    with.members().for_each(|(pointer, value)| check_pointer_key(reader, pointer, value));
    Some(with)
}

/// Reads `without`: members to drop from a body.
pub(super) fn read_without<'d>(reader: &mut Reader<'d>, part: Part<'d>) -> Vec<Pointer> {
    let Some(without) = part.member("without") else { return Vec::new() };
    let items = reader.list(without, "`without`");
    items.filter_map(|item| reader.value(item, "an item of `without`")).collect()
}

pub(super) fn check_pointer_key(reader: &mut Reader<'_>, pointer: &str, part: Part<'_>) {
    if !is_pointer(pointer) {
        let fault = part.key_fault(format!("`{pointer}` is not a JSON Pointer"));
        reader.add(fault.with_help(format!("did you mean `/{pointer}`?")));
    }
}

/// A JSON Pointer (RFC 6901).
pub(super) struct Pointer(pub(super) String);

impl<'d> Deserialize<'d> for Pointer {
    fn deserialize<D: Deserializer<'d>>(source: D) -> Result<Pointer, D::Error> {
        const HELP: &str = "it starts with a slash: `/identifier/user`";
        checked(source, |text: String| match is_pointer(&text) {
            true => Ok(Pointer(text)),
            false => Err(with_help("expected a JSON Pointer", HELP)),
        })
    }
}

pub(super) fn is_pointer(text: &str) -> bool {
    text.is_empty() || text.starts_with('/')
}
