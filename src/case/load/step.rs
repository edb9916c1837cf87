//! A step: its request, how it is sent, what is saved of the answer.
use super::case::{CaseRow, Pointer, is_pointer, read_with, read_without};
use super::expect::{read_blocks, status_pattern};
use super::{NAMES, Values, check_syntax, is_plain_name};
use crate::case::ast::*;
use crate::case::signing;
use crate::yaml::document::Part;
use crate::yaml::document::de::{Text, checked, pairs, with_help, word};
use crate::yaml::reader::Reader;
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::num::NonZeroU32;
use std::time::Duration;

/// Plain members of a step; those that depend on rows or other members are read part by part.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct WrittenStep {
    /// Of a step that is no request: something that the operator does.
    #[serde(deserialize_with = "act")]
    operator: Option<Act>,
    call: Option<Text>,
    method: Option<Text>,
    #[serde(deserialize_with = "path")]
    path: Option<String>,
    #[serde(deserialize_with = "scalars")]
    params: Values,
    #[serde(deserialize_with = "scalars")]
    query: Values,
    #[serde(deserialize_with = "scalars")]
    headers: Values,
    api: Option<Api>,
    authorization: Option<Text>,
    raw: Option<Raw>,
    r#type: Option<Text>,
    uia: Option<Text>,
    parallel: Option<NonZeroU32>,
    repeat: Option<NonZeroU32>,
    until: Option<Until>,
    #[serde(deserialize_with = "duration")]
    within: Option<Duration>,
    #[serde(deserialize_with = "wait")]
    wait: Option<Wait>,
    because: Option<Text>,
    #[serde(deserialize_with = "saved")]
    save: Vec<(String, Source)>,
    optional: Option<Text>,
    #[serde(rename = "schema", deserialize_with = "off")]
    _schema: (),
    #[serde(rename = "vary", deserialize_with = "only_true")]
    _vary: (),
    #[serde(rename = "note")]
    _note: Option<Text>,
}

/// A token that is sent as a query parameter.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InQuery {
    query: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    text: Option<String>,
    #[serde(default, deserialize_with = "hex")]
    hex: Option<Vec<u8>>,
    r#type: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Until {
    #[serde(deserialize_with = "count")]
    at_most: Count,
    #[serde(deserialize_with = "one_status")]
    status: u16,
}

/// The most requests of an `until`.
enum Count {
    Fixed(NonZeroU32),
    /// As many as the number saved under this name says.
    Saved(String),
}

/// The most requests where a saved number says how many, whatever it says.
const MOST_SAVED: u32 = 100;

fn act<'d, D: Deserializer<'d>>(source: D) -> Result<Option<Act>, D::Error> {
    word(source, "an action of the operator").map(Some)
}

fn path<'d, D: Deserializer<'d>>(source: D) -> Result<Option<String>, D::Error> {
    checked(source, |Text(path)| match path.starts_with(['/', '$']) {
        true => Ok(Some(path)),
        false => Err("a path starts with a slash"),
    })
}

fn scalars<'d, D: Deserializer<'d>>(source: D) -> Result<Values, D::Error> {
    struct Scalar(Value);

    impl<'d> Deserialize<'d> for Scalar {
        fn deserialize<D: Deserializer<'d>>(source: D) -> Result<Scalar, D::Error> {
            match Value::deserialize(source)? {
                Value::Object(_) | Value::Array(_) | Value::Null => {
                    Err(D::Error::invalid_type(Unexpected::Other("value"), &"a scalar"))
                }
                scalar => Ok(Scalar(scalar)),
            }
        }
    }
    let values: Vec<(String, Scalar)> = pairs(source)?;
    Ok(values.into_iter().map(|(name, Scalar(value))| (name, value)).collect())
}

fn hex<'d, D: Deserializer<'d>>(source: D) -> Result<Option<Vec<u8>>, D::Error> {
    const FORM: &str = "`hex` is an even number of hexadecimal digits";
    checked(source, |Text(digits)| from_hex(&digits).map(Some).ok_or(FORM))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16));
    let digits: Vec<u32> = digits.collect::<Option<_>>()?;
    let byte = |pair: &[u32]| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    };
    digits.chunks(2).map(byte).collect()
}

fn one_status<'d, D: Deserializer<'d>>(source: D) -> Result<u16, D::Error> {
    checked(source, |value: Value| match status_pattern(&value) {
        Some(StatusPattern::Exact(status)) => Ok(status),
        _ => Err("`until` waits for one status, such as 429"),
    })
}

/// `2s`, `300ms`.
fn duration<'d, D: Deserializer<'d>>(source: D) -> Result<Option<Duration>, D::Error> {
    checked(source, |value: Value| match value.as_str().and_then(time) {
        Some(time) => Ok(Some(time)),
        None => Err("a time is written as `2s` or `300ms`"),
    })
}

fn time(text: &str) -> Option<Duration> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s')?, 1000),
    };
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse::<u32>().ok().filter(|_| digits)?;
    Some(Duration::from_millis(u64::from(number) * unit))
}

/// The name in `$name`, which can only be that of a saved value.
fn saved_name(text: &str) -> Option<String> {
    text.strip_prefix('$').filter(|name| is_plain_name(name)).map(str::to_owned)
}

fn wait<'d, D: Deserializer<'d>>(source: D) -> Result<Option<Wait>, D::Error> {
    const FORM: &str =
        "a wait is written as `2s` or `300ms`, or as `$name` of a saved number of milliseconds";
    let of_text = |text: &str| match saved_name(text) {
        Some(name) => Some(Wait::Saved(name)),
        None => time(text).map(Wait::Fixed),
    };
    checked(source, |value: Value| value.as_str().and_then(of_text).map(Some).ok_or(FORM))
}

fn count<'d, D: Deserializer<'d>>(source: D) -> Result<Count, D::Error> {
    checked(source, |value: Value| {
        if let Some(name) = value.as_str().and_then(saved_name) {
            return Ok(Count::Saved(name));
        }
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        let number = number.and_then(NonZeroU32::new).map(Count::Fixed);
        number.ok_or("`at_most` is a number from 1 on, or `$name` of a saved one")
    })
}

fn off<'d, D: Deserializer<'d>>(source: D) -> Result<(), D::Error> {
    let is_off = |value: Value| (value == "off").then_some(());
    checked(source, |value| is_off(value).ok_or("`schema` can only be `off`"))
}

fn only_true<'d, D: Deserializer<'d>>(source: D) -> Result<(), D::Error> {
    let is_true = |value: Value| (value == true).then_some(());
    checked(source, |value| is_true(value).ok_or("`vary` can only be `true`"))
}

fn saved<'d, D: Deserializer<'d>>(source: D) -> Result<Vec<(String, Source)>, D::Error> {
    struct Name(String);

    impl<'d> Deserialize<'d> for Name {
        fn deserialize<D: Deserializer<'d>>(source: D) -> Result<Name, D::Error> {
            checked(source, |name: String| match is_plain_name(&name) {
                true => Ok(Name(name)),
                false => Err(with_help(format!("`{name}` is not a name"), NAMES)),
            })
        }
    }
    let saved: Vec<(Name, Source)> = pairs(source)?;
    match saved.is_empty() {
        true => Err(D::Error::custom("`save` maps names to places in the answer")),
        false => Ok(saved.into_iter().map(|(Name(name), source)| (name, source)).collect()),
    }
}

impl<'d> Deserialize<'d> for Source {
    fn deserialize<D: Deserializer<'d>>(source: D) -> Result<Source, D::Error> {
        const HELP: &str = "`/pointer`, `status`, `text`, `retry_after`, `served`, `{ header: NAME }` or `{ location: PARAMETER }`";
        let fault = || with_help("this is not a place in an answer", HELP);
        checked(source, |value: Value| place_in_answer(&value).ok_or_else(fault))
    }
}

fn place_in_answer(value: &Value) -> Option<Source> {
    match value {
        Value::String(text) if text == "status" => Some(Source::Status),
        Value::String(text) if text == "text" => Some(Source::Text),
        Value::String(text) if text == "retry_after" => Some(Source::RetryAfter),
        Value::String(text) if text == "served" => Some(Source::Served),
        Value::String(text) if is_pointer(text) => Some(Source::Body(text.clone())),
        Value::Object(members) => {
            let only = members.iter().next().filter(|_| members.len() == 1);
            match only.map(|(key, value)| (key.as_str(), value.as_str())) {
                Some(("header", Some(name))) => Some(Source::Header(name.to_ascii_lowercase())),
                Some(("location", Some(name))) => Some(Source::Location(name.to_owned())),
                _ => None,
            }
        }
        _ => None,
    }
}

pub(super) fn read_steps<'d>(
    reader: &mut Reader<'d>,
    list: Option<Part<'d>>,
    checks: &[String],
    is_setup: bool,
    row: Option<&CaseRow<'d>>,
) -> Vec<Step> {
    let Some(list) = list else { return Vec::new() };
    let parts: Vec<Part<'_>> =
        reader.list(list, if is_setup { "`setup`" } else { "`steps`" }).collect();
    let varied = row.and_then(|row| varied_step(reader, row, &parts));
    let mut steps = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let change = row.filter(|_| varied == Some(index));
        steps.extend(read_step(reader, *part, checks, is_setup, change));
    }
    steps
}

/// Which step a row changes: the one marked `vary`, or the only one with a body.
fn varied_step<'d>(
    reader: &mut Reader<'d>,
    row: &CaseRow<'d>,
    steps: &[Part<'d>],
) -> Option<usize> {
    if row.with.is_none() && row.without.is_empty() {
        return None;
    }
    let with = |key: &str| -> Vec<usize> {
        let steps = steps.iter().enumerate();
        steps.filter(|(_, step)| step.member(key).is_some()).map(|(index, _)| index).collect()
    };
    match (with("vary").as_slice(), with("body").as_slice()) {
        ([one], _) => Some(*one),
        ([], [one]) => Some(*one),
        _ => {
            reader.fault_with_help(
                row.part,
                "it is not clear which step this row changes",
                "write `vary: true` at one step with a body",
            );
            None
        }
    }
}

fn read_step<'d>(
    reader: &mut Reader<'d>,
    part: Part<'d>,
    checks: &[String],
    is_setup: bool,
    row: Option<&CaseRow<'d>>,
) -> Option<Step> {
    const ELSEWHERE: [&str; 7] = ["token", "body", "with", "without", "must", "should", "may"];
    let is_operator = part.member("operator").is_some();
    if is_operator {
        reader.object(part, "an operator step", &["operator", "params", "note"])?;
    }
    let written = reader.read::<WrittenStep>(part, "a step", &[], &ELSEWHERE)?;
    check_request_syntax(reader, part);
    let step = Step {
        pointer: part.pointer(),
        line: part.line(),
        body: read_body(reader, part, row, written.raw.as_ref()),
        media_type: media_type(reader, part, &written),
        send: send(reader, part, &written),
        at_most_saved: match &written.until {
            Some(Until { at_most: Count::Saved(name), .. }) => Some(name.clone()),
            Some(Until { at_most: Count::Fixed(_), .. }) | None => None,
        },
        blocks: read_blocks(reader, part, checks, is_setup),
        target: target(reader, part, written.operator, written.call, written.method, written.path)?,
        auth: auth(reader, part, written.authorization),
        params: written.params,
        query: written.query,
        headers: written.headers,
        api: written.api,
        uia: written.uia.map(|Text(account)| account),
        wait: written.wait,
        within: written.within,
        optional: written.optional.map(|Text(name)| name),
        schema_off: schema_off(reader, part, written.because),
        goes_on: false,
        save: written.save,
    };
    if !is_operator {
        check_step(reader, part, &step, is_setup);
    }
    Some(step)
}

/// Records what does not go together in a step.
fn check_step<'d>(reader: &mut Reader<'d>, part: Part<'d>, step: &Step, is_setup: bool) {
    if step.within.is_some() && step.send != Send::Once {
        reader.fault(part, "`within` is only for a step that is sent once");
    }
    if let Some(optional) = part.member("optional").filter(|_| !is_setup) {
        reader.add(optional.key_fault("`optional` is only for steps in `setup`"));
    }
    // A `save` that is wrong is told as such.
    if step.blocks.is_empty() && !is_setup && part.member("save").is_none() {
        reader.fault_with_help(
            part,
            "this step expects nothing",
            "give it a `must`, `should` or `may` block, or move it to `setup`",
        );
    }
}

fn check_request_syntax<'d>(reader: &mut Reader<'d>, part: Part<'d>) {
    #[rustfmt::skip]
    const KEYS: [&str; 9] = [
        "method", "path", "params", "query", "headers", "token", "authorization", "body", "with",
    ];
    let raw = part.member("raw").and_then(|raw| raw.member("text"));
    let members = KEYS.iter().filter_map(|key| part.member(key)).chain(raw);
    members.for_each(|member| check_syntax(reader, member));
}

fn target<'d>(
    reader: &mut Reader<'d>,
    part: Part<'d>,
    operator: Option<Act>,
    call: Option<Text>,
    method: Option<Text>,
    path: Option<String>,
) -> Option<StepTarget> {
    let is_there = ["operator", "call", "method", "path"].map(|key| part.member(key).is_some());
    match is_there {
        [true, ..] => Some(StepTarget::Operator(operator?)),
        [_, true, false, false] => Some(StepTarget::Call(call?.0)),
        [_, false, true, true] => Some(StepTarget::Raw { method: method?.0, path: path? }),
        _ => {
            reader.fault_with_help(
                part,
                "a step needs exactly one call",
                "`call` with an operation, `method` with `path` for what no file describes, or `operator`",
            );
            None
        }
    }
}

fn auth<'d>(reader: &mut Reader<'d>, part: Part<'d>, authorization: Option<Text>) -> Auth {
    let token = part.member("token");
    if let (Some(token), Some(_)) = (token, part.member("authorization")) {
        reader.fault(token, "`token` and `authorization` exclude each other");
    }
    let token = token.and_then(|token| match token.value().is_object() {
        true => {
            let in_query = reader.read::<InQuery>(token, "`token`", &["query"], &[])?;
            Some(Auth::Query(Value::String(in_query.query.0)))
        }
        false => {
            let Text(token) = reader.value(token, "`token`")?;
            Some(Auth::Bearer(Value::String(token)))
        }
    });
    let header = authorization.map(|Text(header)| Auth::Raw(Value::String(header)));
    header.or(token).unwrap_or(Auth::None)
}

fn read_body<'d>(
    reader: &mut Reader<'d>,
    step: Part<'d>,
    row: Option<&CaseRow<'d>>,
    raw: Option<&Raw>,
) -> Body {
    let (body, raw_part) = (step.member("body"), step.member("raw"));
    if let (Some(_), Some(raw)) = (body, raw_part) {
        reader.fault(raw, "`body` and `raw` exclude each other");
    }
    let with = read_with(reader, step);
    let without = read_without(reader, step);
    let Some(part) = body else {
        for key in ["with", "without"] {
            if let Some(member) = step.member(key) {
                let message = format!("`{key}` changes a `body`, but the step has none");
                reader.add(member.key_fault(message));
            }
        }
        return match (raw_part, raw) {
            (Some(part), Some(raw)) => raw_body(reader, part, raw),
            _ => Body::None,
        };
    };
    let mut value = part.value().clone();
    change(reader, &mut value, with, &without, part);
    signing::faults(&value).into_iter().for_each(|fault| reader.fault(part, fault));
    if let Some(row) = row {
        change(reader, &mut value, row.with, &row.without, row.part);
    }
    Body::Json(value)
}

fn raw_body<'d>(reader: &mut Reader<'d>, part: Part<'d>, raw: &Raw) -> Body {
    if part.member("text").is_some() == part.member("hex").is_some() {
        reader.fault(part, "`raw` has either `text` or `hex`");
    }
    match (&raw.text, &raw.hex) {
        (Some(text), _) => Body::Text(text.clone()),
        (None, Some(bytes)) => Body::Bytes(bytes.clone()),
        (None, None) => Body::None,
    }
}

/// Sets and drops members of a body by JSON Pointer.
fn change<'d>(
    reader: &mut Reader<'d>,
    body: &mut Value,
    with: Option<Part<'d>>,
    without: &[Pointer],
    part: Part<'d>,
) {
    for (pointer, value) in with.into_iter().flat_map(Part::members) {
        check_syntax(reader, value);
        if is_pointer(pointer) && !set(body, pointer, value.value().clone()) {
            reader.add(value.key_fault(format!("`{pointer}` has no parent in the body")));
        }
    }
    for Pointer(pointer) in without {
        if !drop_member(body, pointer) {
            reader.fault(part, format!("`{pointer}` is not in the body"));
        }
    }
}

fn split_pointer(pointer: &str) -> Option<(&str, String)> {
    let (parent, last) = pointer.rsplit_once('/')?;
    Some((parent, last.replace("~1", "/").replace("~0", "~")))
}

fn set(body: &mut Value, pointer: &str, value: Value) -> bool {
    if pointer.is_empty() {
        *body = value;
        return true;
    }
    let Some((parent, key)) = split_pointer(pointer) else { return false };
    match body.pointer_mut(parent) {
        Some(Value::Object(members)) => {
            members.insert(key, value);
            true
        }
        _ => false,
    }
}

fn drop_member(body: &mut Value, pointer: &str) -> bool {
    let Some((parent, key)) = split_pointer(pointer) else { return false };
    match body.pointer_mut(parent) {
        Some(Value::Object(members)) => members.shift_remove(&key).is_some(),
        _ => false,
    }
}

fn media_type<'d>(reader: &mut Reader<'d>, part: Part<'d>, written: &WrittenStep) -> MediaType {
    let inside = part.member("raw").and_then(|raw| raw.member("type"));
    if let (Some(_), Some(inside)) = (part.member("type"), inside) {
        reader.fault(inside, "the step already has a `type`");
    }
    let of_raw = || written.raw.as_ref().and_then(|raw| raw.r#type.as_ref());
    match written.r#type.as_ref().or_else(of_raw).map(|Text(text)| text.as_str()) {
        Some("none") => MediaType::None,
        Some(text) => MediaType::Given(text.to_owned()),
        None => MediaType::Json,
    }
}

fn send<'d>(reader: &mut Reader<'d>, part: Part<'d>, written: &WrittenStep) -> Send {
    let ways = ["parallel", "repeat", "until"];
    if ways.iter().filter(|key| part.member(key).is_some()).count() > 1 {
        reader.fault(part, "`parallel`, `repeat` and `until` exclude each other");
    }
    match written {
        WrittenStep { parallel: Some(times), .. } => Send::Parallel(times.get()),
        WrittenStep { repeat: Some(times), .. } => Send::Repeat(times.get()),
        WrittenStep { until: Some(Until { status, at_most }), .. } => {
            let at_most = match at_most {
                Count::Fixed(number) => number.get(),
                Count::Saved(_) => MOST_SAVED,
            };
            Send::Until { status: *status, at_most }
        }
        _ => Send::Once,
    }
}

fn schema_off<'d>(
    reader: &mut Reader<'d>,
    part: Part<'d>,
    because: Option<Text>,
) -> Option<String> {
    match (part.member("schema"), part.member("because")) {
        (None, Some(because)) => {
            reader.add(because.key_fault("`because` is the reason of `schema: off`"));
        }
        (Some(schema), None) => {
            let help = "say why in `because`";
            reader.fault_with_help(schema, "`schema: off` needs a reason", help);
        }
        _ => {}
    }
    because.map(|text| text.0)
}
