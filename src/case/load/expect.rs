//! Expected responses of a step.
use super::case::{Pointer, check_pointer_key};
use super::check_syntax;
use crate::case::ast::*;
use crate::case::matcher::{Kind, Matcher, Pattern, Range, UrlRule};
use crate::case::template;
use crate::model::run::Level;
use crate::yaml::diagnostic::did_you_mean;
use crate::yaml::document::Part;
use crate::yaml::document::de::{Text, checked, some, word};
use crate::yaml::reader::Reader;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::num::NonZeroU32;

const EXPECT_KEYS: [&str; 4] = ["status", "headers", "body", "text"];

pub(super) fn read_blocks<'d>(
    reader: &mut Reader<'d>,
    step: Part<'d>,
    checks: &[String],
    is_setup: bool,
) -> Vec<Block> {
    let levels = [("must", Level::Must), ("should", Level::Should), ("may", Level::May)];
    let mut blocks = Vec::new();
    for (key, level) in levels {
        let Some(part) = step.member(key) else { continue };
        if is_setup && level != Level::Must {
            reader.add(part.key_fault(format!("`setup` has only `must`, not `{key}`")));
        }
        let parts = match part.value() {
            Value::Array(_) => reader.list(part, &format!("`{key}`")).collect(),
            _ => vec![part],
        };
        for part in parts {
            blocks.extend(read_block(reader, part, level, checks, is_setup));
        }
    }
    blocks
}

fn read_block<'d>(
    reader: &mut Reader<'d>,
    part: Part<'d>,
    level: Level,
    checks: &[String],
    is_setup: bool,
) -> Option<Block> {
    const KEYS: [&str; 8] = ["req", "if", "exactly", "one_of", "status", "headers", "body", "text"];
    reader.object(part, "a block", &KEYS)?;
    let req = read_req(reader, part, checks, is_setup);
    let when = match part.member("if") {
        Some(part) => {
            reader.object(part, "`if`", &EXPECT_KEYS)?;
            let when = read_expect(reader, part);
            if when.is_none() {
                let message = "this `if` has no condition: every response would match";
                reader.fault(part, message);
            }
            when
        }
        None => None,
    };
    let exactly = reader.member::<NonZeroU32>(part, "exactly").map(NonZeroU32::get);
    let branches = match (part.member("one_of"), read_expect(reader, part)) {
        (Some(list), None) => read_branches(reader, list),
        (None, Some(expect)) => vec![Branch { name: None, warn: None, expect }],
        (Some(list), Some(_)) => {
            reader.fault(
                list,
                "`one_of` cannot be combined with other expectations: put them into its branches",
            );
            Vec::new()
        }
        (None, None) => {
            reader.fault_with_help(
                part,
                "this block expects nothing",
                "give it `status`, `headers`, `body`, `text` or `one_of`",
            );
            Vec::new()
        }
    };
    let (pointer, line) = (part.pointer(), part.line());
    Some(Block { level, req, when, exactly, branches, pointer, line })
}

fn read_req<'d>(
    reader: &mut Reader<'d>,
    block: Part<'d>,
    checks: &[String],
    is_setup: bool,
) -> String {
    match (block.member("req"), checks) {
        (Some(part), _) if is_setup => {
            reader.fault(part, "`setup` decides nothing: a block there has no `req`");
            String::new()
        }
        _ if is_setup => String::new(),
        (Some(part), _) => {
            let req = reader.string(part, "`req`").unwrap_or_default();
            if !req.is_empty() && !checks.iter().any(|check| check == req) {
                let near = did_you_mean(req, checks.iter().map(String::as_str));
                let help = near.map_or("add it to `checks`".to_owned(), |near| {
                    format!("did you mean `{near}`? Otherwise add it to `checks`")
                });
                reader.fault_with_help(part, format!("`{req}` is not in `checks`"), help);
            }
            req.to_owned()
        }
        (None, [one]) => one.clone(),
        (None, _) => {
            reader.fault_with_help(
                block,
                "this block does not say which requirement it decides",
                "with several in `checks`, each block names its own in `req`",
            );
            String::new()
        }
    }
}

fn read_branches<'d>(reader: &mut Reader<'d>, list: Part<'d>) -> Vec<Branch> {
    const KEYS: [&str; 6] = ["name", "warn", "status", "headers", "body", "text"];
    let mut branches = Vec::new();
    for part in reader.list(list, "`one_of`") {
        if reader.object(part, "a branch", &KEYS).is_none() {
            continue;
        }
        reader.required(part, "a branch", "name");
        let [name, warn] =
            ["name", "warn"].map(|key| reader.member::<Text>(part, key).map(|text| text.0));
        let expect = read_expect(reader, part);
        if expect.is_none() {
            reader.fault(part, "this branch has no expectation: every response would match");
        }
        branches.push(Branch { name, warn, expect: expect.unwrap_or_default() });
    }
    branches
}

fn read_expect<'d>(reader: &mut Reader<'d>, part: Part<'d>) -> Option<Expect> {
    if !EXPECT_KEYS.iter().any(|key| part.member(key).is_some()) {
        return None;
    }
    let headers = part.member("headers").map(|part| named_matchers(reader, part, "`headers`"));
    let body = part.member("body").map(|part| pointed_matchers(reader, part, "`body`"));
    Some(Expect {
        status: reader.member(part, "status"),
        headers: headers.unwrap_or_default(),
        body: body.unwrap_or_default(),
        text: part.member("text").and_then(|part| read_matcher(reader, part)),
    })
}

impl<'d> Deserialize<'d> for StatusRule {
    fn deserialize<D: Deserializer<'d>>(source: D) -> Result<StatusRule, D::Error> {
        checked(source, status_rule)
    }
}

fn status_rule(value: Value) -> Result<StatusRule, &'static str> {
    let only = value.as_object().filter(|members| members.len() == 1);
    let only = only.and_then(|members| members.iter().next());
    let (any_of, negated, help) = match only {
        Some((key, Value::Array(items))) if key == "in" => {
            let any_of: Option<Vec<_>> = items.iter().map(status_pattern).collect();
            (any_of, false, "`in` lists statuses such as 403 or 4xx")
        }
        Some((key, value)) if key == "not" => {
            let only = status_pattern(value).map(|pattern| vec![pattern]);
            (only, true, "`not` has a status such as 403 or 4xx")
        }
        _ => {
            let only = status_pattern(&value).map(|pattern| vec![pattern]);
            (only, false, "a status must be 403, 4xx, `{ in: [...] }` or `{ not: 404 }`")
        }
    };
    let any_of = any_of.filter(|any_of| !any_of.is_empty()).ok_or(help)?;
    Ok(StatusRule { any_of, negated })
}

pub(super) fn status_pattern(value: &Value) -> Option<StatusPattern> {
    if let Some(status) = value.as_u64() {
        let status = u16::try_from(status).ok()?;
        return (100..600).contains(&status).then_some(StatusPattern::Exact(status));
    }
    match value.as_str()?.strip_suffix("xx")?.as_bytes() {
        [digit @ b'1'..=b'5'] => Some(StatusPattern::Class(u16::from(digit - b'0'))),
        _ => None,
    }
}

fn named_matchers<'d>(
    reader: &mut Reader<'d>,
    part: Part<'d>,
    what: &str,
) -> Vec<(String, Matcher)> {
    if part.value().as_object().is_none_or(|members| members.is_empty()) {
        reader.fault(part, format!("{what} must be a mapping with at least one member"));
    }
    let read =
        |(name, value): (&str, Part<'d>)| Some((name.to_owned(), read_matcher(reader, value)?));
    part.members().filter_map(read).collect()
}

fn pointed_matchers<'d>(
    reader: &mut Reader<'d>,
    part: Part<'d>,
    what: &str,
) -> Vec<(String, Matcher)> {
    for (pointer, value) in part.members() {
        check_pointer_key(reader, pointer, value);
        if let Err(error) = template::pieces(pointer) {
            reader.add(value.key_fault(error.to_string()));
        }
    }
    named_matchers(reader, part, what)
}

#[rustfmt::skip]
const MATCHERS: [&str; 19] = [
    "equals", "not", "type", "pattern", "in", "min", "max", "length", "present", "contains", "every", "some",
    "members", "unique", "url", "when_present", "all", "media_type", "tokens_include",
];

/// Reads one matcher: a scalar is equality, a mapping exactly one matcher, a bare list nothing.
fn read_matcher<'d>(reader: &mut Reader<'d>, part: Part<'d>) -> Option<Matcher> {
    let members = match part.value() {
        Value::Object(members) => members,
        Value::Array(_) => {
            reader.fault_with_help(
                part,
                "a bare list is not a matcher",
                "write `{ equals: [...] }`, `{ in: [...] }` or `{ contains: ... }`",
            );
            return None;
        }
        scalar => {
            check_syntax(reader, part);
            return Some(Matcher::Equals(scalar.clone()));
        }
    };
    reader.object(part, "a matcher", &MATCHERS)?;
    let bounds = members.keys().all(|key| key == "min" || key == "max");
    if bounds && !members.is_empty() {
        return reader.value::<Bounds>(part, "a matcher").map(|bounds| Matcher::Range(bounds.0));
    }
    let Some((key, inner)) = part.members().next().filter(|_| members.len() == 1) else {
        reader.fault_with_help(
            part,
            "a mapping is exactly one matcher",
            "join several with `{ all: [...] }`; a mapping to compare with is `{ equals: {...} }`",
        );
        return None;
    };
    read_operator(reader, key, inner)
}

fn read_operator<'d>(reader: &mut Reader<'d>, key: &str, part: Part<'d>) -> Option<Matcher> {
    let what = format!("`{key}`");
    let boxed = |reader: &mut Reader<'d>| read_matcher(reader, part).map(Box::new);
    match key {
        "equals" => {
            check_syntax(reader, part);
            Some(Matcher::Equals(part.value().clone()))
        }
        "not" => boxed(reader).map(Matcher::Not),
        "contains" => boxed(reader).map(Matcher::Contains),
        "every" => boxed(reader).map(Matcher::Every),
        "some" => boxed(reader).map(Matcher::Some),
        "when_present" => boxed(reader).map(Matcher::WhenPresent),
        "in" => {
            check_syntax(reader, part);
            let items = reader.list(part, &what);
            Some(Matcher::In(items.map(|item| item.value().clone()).collect()))
        }
        "all" => {
            let items: Vec<Part<'_>> = reader.list(part, &what).collect();
            let all: Vec<_> = items.iter().filter_map(|item| read_matcher(reader, *item)).collect();
            (all.len() == items.len()).then_some(Matcher::All(all))
        }
        "members" => Some(Matcher::Members(pointed_matchers(reader, part, &what))),
        "type" => reader.value(part, &what).map(|Named(kind)| Matcher::Type(kind)),
        "present" => reader.value(part, &what).map(Matcher::Present),
        "media_type" => {
            let read = reader.value(part, &what);
            read.map(|Text(text)| Matcher::MediaType(text.to_ascii_lowercase()))
        }
        "pattern" => reader.value(part, &what).map(Matcher::Pattern),
        "length" => match part.value().as_u64() {
            Some(size) => {
                let size = Some(size as f64);
                Some(Matcher::Length(Range { min: size, max: size }))
            }
            None => reader.value(part, &what).map(|Bounds(range)| Matcher::Length(range)),
        },
        "unique" => match part.value() {
            Value::Bool(true) => Some(Matcher::Unique(None)),
            _ => {
                let pointer = reader.value(part, &what);
                pointer.map(|Pointer(pointer)| Matcher::Unique(Some(pointer)))
            }
        },
        "url" => match part.value().as_str() {
            Some("absolute") => Some(Matcher::Url(UrlRule::default())),
            _ => reader.value::<WrittenUrl>(part, &what).map(|url| Matcher::Url(url.rule())),
        },
        "tokens_include" => reader.value(part, &what).map(|Tokens(all)| {
            Matcher::TokensInclude(all.into_iter().map(|Text(token)| token).collect())
        }),
        _ => None,
    }
}

#[derive(Deserialize)]
struct Named(#[serde(deserialize_with = "kind")] Kind);

fn kind<'d, D: Deserializer<'d>>(source: D) -> Result<Kind, D::Error> {
    word(source, "a kind of value")
}

impl<'d> Deserialize<'d> for Pattern {
    fn deserialize<D: Deserializer<'d>>(source: D) -> Result<Pattern, D::Error> {
        let fault = |error| format!("not a regular expression: {error}");
        checked(source, |Text(source)| Pattern::new(&source).map_err(fault))
    }
}

#[derive(Deserialize)]
struct Tokens(#[serde(deserialize_with = "some")] Vec<Text>);

struct Bounds(Range);

impl<'d> Deserialize<'d> for Bounds {
    fn deserialize<D: Deserializer<'d>>(source: D) -> Result<Bounds, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct WrittenBounds {
            min: Option<f64>,
            max: Option<f64>,
        }
        checked(source, |WrittenBounds { min, max }| match (min, max) {
            (None, None) => Err("`min` or `max` is missing"),
            _ => Ok(Bounds(Range { min, max })),
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenUrl {
    #[serde(default, deserialize_with = "some")]
    schemes: Vec<Text>,
    query: Option<bool>,
    fragment: Option<bool>,
}

impl WrittenUrl {
    fn rule(self) -> UrlRule {
        UrlRule {
            schemes: self.schemes.into_iter().map(|Text(scheme)| scheme).collect(),
            no_query: self.query == Some(false),
            no_fragment: self.fragment == Some(false),
        }
    }
}
