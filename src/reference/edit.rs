//! Edits of finished answers, as data: which answers, and what is changed in them.

use super::answer::{Answer, Body};
use super::refusal::Refusal;
use super::route::{Found, Operation};
use axum::http::{HeaderMap, Method};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// One edit: the answers it is for, and the changes, made in order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Edit {
    /// The operations; all if empty.
    pub(super) on: &'static [Operation],
    pub(super) when: When,
    pub(super) turn: Turn,
    pub(super) changes: &'static [Change],
}

/// Which of the answers that qualify are changed, in the order in which they are given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Turn {
    /// All.
    #[default]
    Each,
    /// Every n-th; the first ones before it are right.
    Every(u64),
    /// The first alone.
    First,
    /// All but the first.
    AllButFirst,
}

impl Turn {
    /// Whether it is the turn of the answer of this number, counted from 1.
    pub(super) fn comes(self, number: u64) -> bool {
        match self {
            Self::Each => true,
            Self::Every(step) => number.is_multiple_of(step.max(1)),
            Self::First => number == 1,
            Self::AllButFirst => number > 1,
        }
    }
}

/// Which answers of the operations. What the file of faults cannot say is for quirks alone.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum When {
    /// All, answers to OPTIONS too.
    Always,
    /// Answers to OPTIONS.
    Options,
    /// Answers to a browser's preflight: OPTIONS with `Access-Control-Request-Method`.
    Preflight,
    /// Answers to OPTIONS without that header.
    BareOptions,
    /// Answers to OPTIONS with status 200.
    #[serde(skip)]
    GoodOptions,
    /// Answers to requests that name their origin.
    #[serde(skip)]
    FromOrigin,
    /// Answers to requests whose origin is no website: that of an app, `null`.
    FromApp,
    /// Answers to requests whose origin is `null`.
    FromNull,
    /// Answers of success, OPTIONS left out.
    Success,
    /// Answers with a status from 400 that are no interactive-auth challenge.
    Error,
    /// Answers with this status, OPTIONS left out.
    Status(u16),
    /// The same without interactive-auth challenges.
    Plain(u16),
    /// Interactive-auth challenges.
    Challenge,
    /// Interactive-auth challenges after a stage that failed.
    FailedStage,
    /// Refusals for one of these reasons.
    #[serde(rename = "refused", deserialize_with = "refusals")]
    Because(&'static [Refusal]),
}

/// By a name, because serde takes a reference to be borrowed from the file.
type Text = &'static str;
type Bytes = &'static [u8];

/// A change of an answer. What the file of faults cannot say is for quirks and for shapes alone.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    /// Another status.
    Status(u16),
    /// Another `errcode`.
    #[serde(rename = "errcode", deserialize_with = "text")]
    Code(Text),
    /// A standard error of this status and code in place of the whole answer.
    #[serde(deserialize_with = "refusal")]
    Refuse(u16, Text),
    /// Takes away what the pointer names; `*` stands for all items of a list, or all members of an object.
    #[serde(deserialize_with = "text")]
    Drop(Text),
    /// Puts a JSON text where the pointer says; a missing member is made, the empty pointer is the whole body.
    #[serde(deserialize_with = "at_value")]
    Put(Text, Text),
    /// The same, but only where something is already.
    #[serde(deserialize_with = "at_value")]
    Replace(Text, Text),
    /// Adds a JSON text to the end of a list.
    #[serde(deserialize_with = "at_value")]
    Push(Text, Text),
    /// Cuts user ids down to their localparts.
    #[serde(deserialize_with = "text")]
    StripServer(Text),
    /// Turns a text into capitals.
    #[serde(deserialize_with = "text")]
    Capitals(Text),
    /// Puts the body into a list.
    Wrap,
    /// Writes JSON over many lines.
    #[serde(skip)]
    Pretty,
    /// Writes this after the body.
    #[serde(deserialize_with = "text")]
    Suffix(Text),
    /// Adds a member to an object whose text is in Latin-1.
    #[serde(skip)]
    Latin1,
    /// Other bytes for the body, under this media type.
    #[serde(deserialize_with = "bytes")]
    Bytes(Text, Bytes),
    /// Another media type for JSON; none if empty.
    #[serde(deserialize_with = "text")]
    MediaType(Text),
    /// Sets a header.
    #[serde(deserialize_with = "name_value")]
    Header(Text, Text),
    /// Takes a header away.
    #[serde(deserialize_with = "text")]
    NoHeader(Text),
    /// Takes all CORS headers away.
    NoCors,
    /// 204, without a body.
    #[serde(skip)]
    NoContent,
    /// Names the origin of the request as the one that may read the answer.
    #[serde(skip)]
    EchoOrigin,
    /// Gives the wait of `retry_after_ms` as a date.
    #[serde(skip)]
    RetryAfterDate,
}

/// Faults live as long as the program, and are read once.
pub(super) fn keep(text: String) -> &'static str {
    text.leak()
}

fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Text, D::Error> {
    String::deserialize(from).map(keep)
}

fn refusals<'de, D: Deserializer<'de>>(from: D) -> Result<&'static [Refusal], D::Error> {
    Vec::deserialize(from).map(|list: Vec<Refusal>| &*list.leak())
}

fn refusal<'de, D: Deserializer<'de>>(from: D) -> Result<(u16, Text), D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Refuse {
        status: u16,
        errcode: String,
    }
    Refuse::deserialize(from).map(|new| (new.status, keep(new.errcode)))
}

/// A pointer, and a value as JSON.
fn at_value<'de, D: Deserializer<'de>>(from: D) -> Result<(Text, Text), D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct AtValue {
        at: String,
        value: Value,
    }
    AtValue::deserialize(from).map(|new| (keep(new.at), keep(new.value.to_string())))
}

/// A header.
fn name_value<'de, D: Deserializer<'de>>(from: D) -> Result<(Text, Text), D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct NameValue {
        name: String,
        value: String,
    }
    NameValue::deserialize(from).map(|new| (keep(new.name), keep(new.value)))
}

/// A media type, and a body as text or in hexadecimal digits.
fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<(Text, Bytes), D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum As {
        Text(String),
        Hex(String),
    }
    #[derive(Deserialize)]
    struct Body {
        r#type: String,
        #[serde(flatten)]
        body: As,
    }
    let Body { r#type, body } = Body::deserialize(from)?;
    let bytes = match body {
        As::Text(text) => text.into_bytes(),
        As::Hex(digits) => from_hex(&digits)
            .ok_or_else(|| D::Error::custom(format!("`{digits}` is not in hexadecimal digits")))?,
    };
    Ok((keep(r#type), bytes.leak()))
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let byte = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).ok().filter(|text| text.len() == 2)?;
        u8::from_str_radix(text, 16).ok()
    };
    digits.as_bytes().chunks(2).map(byte).collect()
}

/// What an edit is chosen by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation {
    /// The operation that the path and the method mean; with OPTIONS, one that the path has.
    pub(super) operation: Operation,
    pub(super) options: bool,
    /// Whether the request has `Access-Control-Request-Method`.
    pub(super) preflight: bool,
    /// Whether the request has `Origin`.
    pub(super) from_origin: bool,
    /// Whether that names no website.
    pub(super) from_app: bool,
    /// Whether that is `null`.
    pub(super) from_null: bool,
}

impl Situation {
    /// The situation of a request that leads to what was found. A known path with a method it does not have is nobody's
    /// answer, so that edits of an operation leave it alone.
    pub(super) fn of(found: &Found, method: &Method, headers: &HeaderMap) -> Self {
        let options = *method == Method::OPTIONS;
        let operation = match found {
            Found::OtherMethod(..) if !options => Operation::Nothing,
            _ => found.operation(),
        };
        let preflight = headers.contains_key("access-control-request-method");
        let origin = headers.get("origin").map(|origin| origin.as_bytes());
        let from_web =
            |origin: &[u8]| origin.starts_with(b"http:") || origin.starts_with(b"https:");
        Self {
            operation,
            options,
            preflight,
            from_origin: origin.is_some(),
            from_app: origin.is_some_and(|origin| !from_web(origin)),
            from_null: origin == Some(b"null"),
        }
    }
}

impl Edit {
    /// Whether the edit is for this answer, its turn left aside.
    pub(super) fn meant(&self, situation: Situation, answer: &Answer) -> bool {
        (self.on.is_empty() || self.on.contains(&situation.operation))
            && self.when.holds(situation, answer)
    }

    /// Makes the changes; the headers are those of the request.
    pub(super) fn change(&self, headers: &HeaderMap, answer: &mut Answer) {
        for change in self.changes {
            change.apply(headers, answer);
        }
    }
}

impl When {
    fn holds(self, situation: Situation, answer: &Answer) -> bool {
        let Situation { options, preflight, from_origin, from_app, from_null, .. } = situation;
        match self {
            Self::Always => true,
            Self::Options => options,
            Self::Preflight => options && preflight,
            Self::BareOptions => options && !preflight,
            Self::GoodOptions => options && answer.status == 200,
            Self::FromOrigin => from_origin,
            Self::FromApp => from_app,
            Self::FromNull => from_null,
            Self::Success => !options && answer.status < 300,
            Self::Error => !options && answer.status >= 400 && !answer.is_challenge(),
            Self::Status(status) => !options && answer.status == status,
            Self::Plain(status) => !options && answer.status == status && !answer.is_challenge(),
            Self::Challenge => answer.is_challenge(),
            Self::FailedStage => answer.is_challenge() && answer.member("errcode").is_some(),
            Self::Because(causes) => answer.cause.is_some_and(|cause| causes.contains(&cause)),
        }
    }
}

impl Change {
    fn apply(self, headers: &HeaderMap, answer: &mut Answer) {
        match self {
            Self::Status(status) => answer.status = status,
            Self::Code(code) => answer.put("errcode", json!(code)),
            Self::Refuse(status, code) => {
                answer.status = status;
                answer.body = Body::Json(json!({"errcode": code, "error": "This is a fault"}));
                answer.set("content-type", "application/json");
            }
            Self::Wrap => change_json(answer, |body| *body = json!([body.take()])),
            Self::Drop(pointer) => change_json(answer, |body| drop_at(body, pointer)),
            Self::Put(pointer, text) => {
                change_json(answer, |body| put_at(body, pointer, &literal(text)))
            }
            Self::Replace(pointer, text) => {
                change_json(answer, |body| {
                    for_each(body, pointer, &mut |value| *value = literal(text))
                });
            }
            Self::Push(pointer, text) => change_json(answer, |body| {
                for_each(body, pointer, &mut |value| {
                    if let Value::Array(items) = value {
                        items.push(literal(text));
                    }
                });
            }),
            Self::StripServer(pointer) => change_text(answer, pointer, |id| {
                id.trim_start_matches('@').split(':').next().unwrap_or_default().to_owned()
            }),
            Self::Capitals(pointer) => change_text(answer, pointer, str::to_uppercase),
            Self::Pretty => {
                if let Body::Json(body) = &answer.body {
                    answer.body = Body::Bytes(format!("{body:#}\n").into_bytes());
                }
            }
            Self::Suffix(text) => {
                if let Body::Json(body) = &answer.body {
                    answer.body = Body::Bytes(format!("{body}{text}").into_bytes());
                }
            }
            Self::Latin1 => {
                if let Body::Json(Value::Object(members)) = &answer.body {
                    let comma = if members.is_empty() { "" } else { "," };
                    let mut bytes = answer_text(members).into_bytes();
                    bytes.pop();
                    bytes.extend_from_slice(comma.as_bytes());
                    bytes.extend_from_slice(b"\"org.example.text\":\"\xe4\"}");
                    answer.body = Body::Bytes(bytes);
                }
            }
            Self::Bytes(media_type, bytes) => {
                answer.body = Body::Bytes(bytes.to_vec());
                answer.set("content-type", media_type);
            }
            Self::MediaType(media_type) => {
                if matches!(answer.body, Body::Json(_)) {
                    answer.unset("content-type");
                    if !media_type.is_empty() {
                        answer.set("content-type", media_type);
                    }
                }
            }
            Self::Header(name, value) => answer.set(name, value),
            Self::NoHeader(name) => answer.unset(name),
            Self::NoCors => answer.headers.retain(|(name, _)| !name.starts_with("access-control-")),
            Self::NoContent => {
                answer.status = 204;
                answer.body = Body::Bytes(Vec::new());
                answer.unset("content-type");
            }
            Self::EchoOrigin => {
                if let Some(origin) = headers.get("origin").and_then(|value| value.to_str().ok()) {
                    answer.set("access-control-allow-origin", origin);
                    answer.set("vary", "Origin");
                }
            }
            Self::RetryAfterDate => {
                if let Some(wait) = answer.member("retry_after_ms").and_then(Value::as_u64) {
                    // A date has whole seconds: the next one after the wait is over.
                    let wait = Duration::from_millis(wait) + Duration::from_secs(1);
                    let moment = SystemTime::now() + wait;
                    answer.set("retry-after", &httpdate::fmt_http_date(moment));
                }
            }
        }
    }
}

/// An object as it is written.
fn answer_text(members: &serde_json::Map<String, Value>) -> String {
    Value::Object(members.clone()).to_string()
}

/// The value of a JSON text of the tables; a test shows that all of them are JSON.
fn literal(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

fn change_json(answer: &mut Answer, change: impl FnOnce(&mut Value)) {
    if let Body::Json(body) = &mut answer.body {
        change(body);
    }
}

fn change_text(answer: &mut Answer, pointer: &str, change: impl Fn(&str) -> String) {
    change_json(answer, |body| {
        for_each(body, pointer, &mut |value| {
            if let Value::String(text) = value {
                *text = change(text);
            }
        });
    });
}

/// Calls `change` for every value that the pointer names.
fn for_each(value: &mut Value, pointer: &str, change: &mut dyn FnMut(&mut Value)) {
    let Some(rest) = pointer.strip_prefix('/') else { return change(value) };
    let (head, tail) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    match value {
        Value::Array(items) if head == "*" => {
            items.iter_mut().for_each(|item| for_each(item, tail, change))
        }
        Value::Array(items) => {
            if let Some(item) = head.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
                for_each(item, tail, change);
            }
        }
        Value::Object(members) if head == "*" => {
            members.values_mut().for_each(|member| for_each(member, tail, change));
        }
        Value::Object(members) => {
            if let Some(member) = members.get_mut(head) {
                for_each(member, tail, change);
            }
        }
        _ => {}
    }
}

/// The pointer to the parent, and the last segment.
fn split(pointer: &str) -> Option<(&str, &str)> {
    pointer.rsplit_once('/')
}

fn drop_at(body: &mut Value, pointer: &str) {
    let Some((parent, last)) = split(pointer) else { return };
    for_each(body, parent, &mut |value| match value {
        Value::Object(members) => {
            members.shift_remove(last);
        }
        Value::Array(items) => {
            if let Some(index) = last.parse::<usize>().ok().filter(|index| *index < items.len()) {
                items.remove(index);
            }
        }
        _ => {}
    });
}

fn put_at(body: &mut Value, pointer: &str, new: &Value) {
    let Some((parent, last)) = split(pointer) else {
        *body = new.clone();
        return;
    };
    for_each(body, parent, &mut |value| match value {
        Value::Object(members) => {
            members.insert(last.to_owned(), new.clone());
        }
        other => for_each(other, &format!("/{last}"), &mut |item| *item = new.clone()),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(change: Change) -> Value {
        let mut answer = Answer::ok(json!({"a": [{"b": 1}, {"b": 2}], "u": "@x:y"}));
        change.apply(&HeaderMap::new(), &mut answer);
        match answer.body {
            Body::Json(body) => body,
            Body::Bytes(bytes) => json!(String::from_utf8(bytes).unwrap()),
        }
    }

    #[test]
    fn turns_come_when_their_names_say() {
        let of = |turn: Turn| (1..=5).filter(|number| turn.comes(*number)).collect::<Vec<u64>>();
        assert_eq!(of(Turn::Each), [1, 2, 3, 4, 5]);
        assert_eq!(of(Turn::Every(2)), [2, 4]);
        assert_eq!(of(Turn::First), [1]);
        assert_eq!(of(Turn::AllButFirst), [2, 3, 4, 5]);
    }

    #[test]
    fn changes_do_what_their_names_say() {
        let rest = json!("@x:y");
        assert_eq!(changed(Change::Drop("/a/*/b")), json!({"a": [{}, {}], "u": rest}));
        assert_eq!(changed(Change::Replace("/*", "1")), json!({"a": 1, "u": 1}));
        assert_eq!(changed(Change::Drop("/a/0")), json!({"a": [{"b": 2}], "u": rest}));
        assert_eq!(
            changed(Change::Put("/c", "null")),
            json!({"a": [{"b": 1}, {"b": 2}], "u": rest, "c": null})
        );
        assert_eq!(changed(Change::Put("/a/1", "3")), json!({"a": [{"b": 1}, 3], "u": rest}));
        assert_eq!(changed(Change::Put("", "[]")), json!([]));
        assert_eq!(
            changed(Change::Replace("/c", "1")),
            json!({"a": [{"b": 1}, {"b": 2}], "u": rest})
        );
        assert_eq!(changed(Change::Push("/a", "1"))["a"], json!([{"b": 1}, {"b": 2}, 1]));
        assert_eq!(changed(Change::StripServer("/u"))["u"], "x");
        assert_eq!(changed(Change::Capitals("/u"))["u"], "@X:Y");
        assert_eq!(changed(Change::Wrap)[0]["u"], "@x:y");
        assert_eq!(changed(Change::Suffix("!")), json!(r#"{"a":[{"b":1},{"b":2}],"u":"@x:y"}!"#));
    }
}
