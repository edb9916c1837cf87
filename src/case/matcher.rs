//! Expectations: a [`Matcher`] against one JSON value, one header or the text of a
//! answer. Pure; a mismatch says in words what was expected and what came.
use super::template::{self, FillError, Scope};
use super::value::unique;
pub use super::value::{equal, shown};
use regex::Regex;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::OnceLock;
use strum::{EnumString, IntoStaticStr, VariantArray};
use url::Url;

/// The kinds of JSON value that `type:` may name; `integer` is a number without a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
#[allow(unnameable_types)] // By way of an `Into`.
pub enum Kind {
    String,
    Number,
    Integer,
    Boolean,
    Object,
    Array,
    Null,
}

impl Kind {
    /// The kind with a noun and its article, for sentences.
    pub fn described(self) -> &'static str {
        match self {
            Kind::String => "a string",
            Kind::Number => "a number",
            Kind::Integer => "an integer",
            Kind::Boolean => "a boolean",
            Kind::Object => "an object",
            Kind::Array => "a list",
            Kind::Null => "null",
        }
    }

    fn holds(self, value: &Value) -> bool {
        match self {
            Kind::String => value.is_string(),
            Kind::Number => value.is_number(),
            Kind::Integer => {
                value.as_i64().is_some()
                    || value.as_u64().is_some()
                    || value.as_f64().is_some_and(|number| number.fract() == 0.0)
            }
            Kind::Boolean => value.is_boolean(),
            Kind::Object => value.is_object(),
            Kind::Array => value.is_array(),
            Kind::Null => value.is_null(),
        }
    }
}

/// Bounds, both inclusive; at least one is given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    pub min: Option<f64>,
    pub max: Option<f64>,
}

impl Range {
    fn holds(self, number: f64) -> bool {
        self.min.is_none_or(|min| number >= min) && self.max.is_none_or(|max| number <= max)
    }

    fn described(self) -> String {
        match (self.min, self.max) {
            (Some(min), Some(max)) if min == max => format!("exactly {min}"),
            (Some(min), Some(max)) => format!("between {min} and {max}"),
            (Some(min), None) => format!("at least {min}"),
            (None, Some(max)) => format!("at most {max}"),
            (None, None) => "any number".to_owned(),
        }
    }
}

/// A regular expression that is known to be well formed, and is compiled when it is first used:
/// most commands read the cases and match nothing.
#[derive(Debug, Clone)]
pub struct Pattern {
    source: String,
    compiled: OnceLock<Option<Regex>>,
}

/// Error in a text that should be a usable regular expression.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PatternError {
    /// It is malformed.
    #[error(transparent)]
    Syntax(#[from] Box<regex_syntax::Error>),
    /// It is too large.
    #[error(transparent)]
    Size(#[from] regex::Error),
}

impl Pattern {
    /// Reads an expression.
    pub(crate) fn new(source: &str) -> Result<Pattern, PatternError> {
        regex_syntax::parse(source).map_err(Box::new)?;
        let pattern = Pattern { source: source.to_owned(), compiled: OnceLock::new() };
        // What can be read may still be too large to compile, and would then match nothing, unnoticed. Counted
        // repetitions make it so, or sheer length.
        if source.contains('{') || source.len() > 1000 {
            let compiled = Regex::new(source)?;
            pattern.compiled.get_or_init(|| Some(compiled));
        }
        Ok(pattern)
    }

    fn is_match(&self, text: &str) -> bool {
        let compiled = self.compiled.get_or_init(|| Regex::new(&self.source).ok());
        compiled.as_ref().is_some_and(|regex| regex.is_match(text))
    }
}

/// Rules for a URL beyond being absolute.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UrlRule {
    /// One of these schemes, each a text or a reference; empty: any.
    pub schemes: Vec<String>,
    pub no_query: bool,
    pub no_fragment: bool,
}

/// One expectation of one value.
#[derive(Debug, Clone)]
pub enum Matcher {
    /// Equal to this value once its references are filled. Numbers are equal by value.
    Equals(Value),
    /// Equal to this value, in which every reference is filled; no file says it.
    Exactly(Value),
    /// Equal to one of these values, in which every reference is filled; no file says it.
    ExactlyOne(Vec<Value>),
    Not(Box<Matcher>),
    Type(Kind),
    /// A string in which this expression is found.
    Pattern(Pattern),
    In(Vec<Value>),
    Range(Range),
    /// A string (in characters), list or object of a size within bounds.
    Length(Range),
    Present(bool),
    /// A string with this part, a list with an item, or an object with this key.
    Contains(Box<Matcher>),
    /// A list or object of which each item matches.
    Every(Box<Matcher>),
    /// A list or object of which an item matches.
    Some(Box<Matcher>),
    /// An object, by JSON Pointers into it.
    Members(Vec<(String, Matcher)>),
    /// A list without equal items; or whose items differ at this JSON Pointer.
    Unique(Option<String>),
    Url(UrlRule),
    WhenPresent(Box<Matcher>),
    All(Vec<Matcher>),
    /// For headers: the media type's essence, whatever its parameters.
    MediaType(String),
    /// For headers: a comma-separated list that has all of these, in any case and order.
    TokensInclude(Vec<String>),
}

/// Expected and actual value, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueMismatch {
    /// Place below the one that was checked, the same in every run; empty for the place itself.
    pub below: String,
    pub expected: String,
    pub actual: String,
}

impl ValueMismatch {
    fn here(expected: impl Into<String>, actual: impl Into<String>) -> Self {
        ValueMismatch { below: String::new(), expected: expected.into(), actual: actual.into() }
    }

    fn under(mut self, place: &str) -> Self {
        self.below = format!("{place}{}", self.below);
        self
    }
}

/// The result of a check: it holds, or why not; or the matcher's references have no value.
pub type Checked = Result<Result<(), ValueMismatch>, FillError>;

const HOLDS: Checked = Ok(Ok(()));

fn fails(expected: impl Into<String>, value: Option<&Value>) -> Checked {
    Ok(Err(ValueMismatch::here(expected, shown(value))))
}

impl Matcher {
    /// Checks a value, or its absence.
    ///
    /// To what asks whether a member is there, null counts as absent.
    pub fn check(&self, value: Option<&Value>, scope: &dyn Scope) -> Checked {
        let is_there = value.is_some_and(|value| !value.is_null());
        match (self, value) {
            (Matcher::Present(true), _) if !is_there => fails("present", value),
            (Matcher::Present(false), _) if is_there => fails("absent", value),
            (Matcher::Present(_), _) => HOLDS,
            (Matcher::Not(inner), _) => match inner.check(value, scope)? {
                Ok(()) => fails(format!("anything but {}", inner.described(scope)?), value),
                Err(_) => HOLDS,
            },
            (Matcher::WhenPresent(_), _) if !is_there => HOLDS,
            (Matcher::WhenPresent(inner), _) => inner.check(value, scope),
            (Matcher::All(all), _) => {
                for one in all {
                    if let Err(mismatch) = one.check(value, scope)? {
                        return Ok(Err(mismatch));
                    }
                }
                HOLDS
            }
            (_, None) => fails(self.described(scope)?, None),
            (_, Some(value)) => self.check_present(value, scope),
        }
    }

    fn check_present(&self, value: &Value, scope: &dyn Scope) -> Checked {
        let holds = match self {
            Matcher::Equals(wanted) => equal(&template::fill(wanted, scope)?, value),
            Matcher::Exactly(wanted) => equal(wanted, value),
            Matcher::ExactlyOne(wanted) => wanted.iter().any(|one| equal(one, value)),
            Matcher::In(wanted) => {
                let mut any = false;
                for one in wanted {
                    any |= equal(&template::fill(one, scope)?, value);
                }
                any
            }
            Matcher::Type(kind) => kind.holds(value),
            Matcher::Pattern(pattern) => value.as_str().is_some_and(|text| pattern.is_match(text)),
            Matcher::Range(range) => value.as_f64().is_some_and(|number| range.holds(number)),
            Matcher::Length(range) => size(value).is_some_and(|size| range.holds(size as f64)),
            Matcher::Contains(inner) => return contains(inner, value, scope),
            Matcher::Every(inner) => return every(inner, value, scope),
            Matcher::Some(inner) => return some(inner, value, scope),
            Matcher::Members(members) => return check_members(members, value, scope),
            Matcher::Unique(by) => value.as_array().is_some_and(|items| unique(items, by)),
            Matcher::Url(rule) => {
                let schemes = schemes(rule, scope)?;
                value.as_str().is_some_and(|text| is_url(text, rule, &schemes))
            }
            Matcher::MediaType(wanted) => {
                value.as_str().is_some_and(|text| media_type_essence(text) == *wanted)
            }
            Matcher::TokensInclude(wanted) => {
                value.as_str().is_some_and(|text| missing_tokens(text, wanted).is_empty())
            }
            Matcher::Present(_) | Matcher::Not(_) | Matcher::WhenPresent(_) | Matcher::All(_) => {
                return self.check(Some(value), scope);
            }
        };
        if holds { HOLDS } else { fails(self.described(scope)?, Some(value)) }
    }

    /// The same matcher with its references replaced by their values, for all items of a list: a value that was saved may
    /// be as large as the list.
    fn filled(&self, scope: &dyn Scope) -> Result<Cow<'_, Matcher>, FillError> {
        if self.references().is_empty() {
            return Ok(Cow::Borrowed(self));
        }
        let boxed = |inner: &Matcher| -> Result<Box<Matcher>, FillError> {
            Ok(Box::new(inner.filled(scope)?.into_owned()))
        };
        let all = |values: &[Value]| -> Result<Vec<Value>, FillError> {
            values.iter().map(|one| template::fill(one, scope)).collect()
        };
        Ok(Cow::Owned(match self {
            Matcher::Equals(value) => Matcher::Exactly(template::fill(value, scope)?),
            Matcher::In(values) => Matcher::ExactlyOne(all(values)?),
            Matcher::Not(inner) => Matcher::Not(boxed(inner)?),
            Matcher::Contains(inner) => Matcher::Contains(boxed(inner)?),
            Matcher::Every(inner) => Matcher::Every(boxed(inner)?),
            Matcher::Some(inner) => Matcher::Some(boxed(inner)?),
            Matcher::WhenPresent(inner) => Matcher::WhenPresent(boxed(inner)?),
            Matcher::All(inner) => {
                let inner = inner.iter().map(|one| Ok(one.filled(scope)?.into_owned()));
                Matcher::All(inner.collect::<Result<_, FillError>>()?)
            }
            Matcher::Members(members) => {
                let member = |(pointer, inner): &(String, Matcher)| {
                    Ok((pointer.clone(), inner.filled(scope)?.into_owned()))
                };
                Matcher::Members(members.iter().map(member).collect::<Result<_, FillError>>()?)
            }
            other => other.clone(),
        }))
    }

    /// Describes the expected value, as the object of "expected …".
    pub fn described(&self, scope: &dyn Scope) -> Result<String, FillError> {
        Ok(match self {
            Matcher::Equals(wanted) => template::fill(wanted, scope)?.to_string(),
            Matcher::Exactly(wanted) => shown(Some(wanted)),
            Matcher::ExactlyOne(wanted) => {
                let all: Vec<String> = wanted.iter().map(|one| shown(Some(one))).collect();
                format!("one of {}", all.join(", "))
            }
            Matcher::Not(inner) => format!("anything but {}", inner.described(scope)?),
            Matcher::Type(kind) => kind.described().to_owned(),
            Matcher::Pattern(pattern) => format!("a string matching {}", pattern.source),
            Matcher::In(wanted) => format!("one of {}", filled_list(wanted, scope)?),
            Matcher::Range(range) => format!("a number, {}", range.described()),
            Matcher::Length(range) => format!("a size of {}", range.described()),
            Matcher::Present(true) => "present".to_owned(),
            Matcher::Present(false) => "absent".to_owned(),
            Matcher::Contains(inner) => format!("containing {}", inner.described(scope)?),
            Matcher::Every(inner) => format!("every item {}", inner.described(scope)?),
            Matcher::Some(inner) => format!("an item that is {}", inner.described(scope)?),
            Matcher::Members(members) => {
                let all = members
                    .iter()
                    .map(|(pointer, inner)| Ok(format!("{pointer} {}", inner.described(scope)?)))
                    .collect::<Result<Vec<_>, FillError>>()?;
                format!("an object with {}", all.join(", "))
            }
            Matcher::Unique(None) => "a list without equal items".to_owned(),
            Matcher::Unique(Some(by)) => format!("a list whose items differ at {by}"),
            Matcher::Url(rule) => describe_url(rule, &schemes(rule, scope)?),
            Matcher::WhenPresent(inner) => format!("absent, or {}", inner.described(scope)?),
            Matcher::All(all) => all
                .iter()
                .map(|one| one.described(scope))
                .collect::<Result<Vec<_>, _>>()?
                .join(" and "),
            Matcher::MediaType(wanted) => format!("the media type {wanted}"),
            Matcher::TokensInclude(wanted) => format!("a list with {}", wanted.join(", ")),
        })
    }

    /// Every reference in it, for checking before anything is sent.
    pub fn references(&self) -> Vec<String> {
        let of = |value: &Value| {
            let found = template::references(value);
            found.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        match self {
            Matcher::Equals(value) => of(value),
            Matcher::In(values) => values.iter().flat_map(of).collect(),
            Matcher::Url(rule) => {
                rule.schemes.iter().flat_map(|scheme| of(&Value::String(scheme.clone()))).collect()
            }
            Matcher::Not(inner)
            | Matcher::Contains(inner)
            | Matcher::Every(inner)
            | Matcher::Some(inner)
            | Matcher::WhenPresent(inner) => inner.references(),
            Matcher::All(all) => all.iter().flat_map(Matcher::references).collect(),
            Matcher::Members(members) => members
                .iter()
                .flat_map(|(pointer, inner)| {
                    let mut names = of(&Value::String(pointer.clone()));
                    names.extend(inner.references());
                    names
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// `Text/HTML; charset=x` → `text/html`.
pub fn media_type_essence(header: &str) -> String {
    header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Which of `wanted` a comma-separated header does not have.
pub fn missing_tokens<'a>(header: &str, wanted: &'a [String]) -> Vec<&'a str> {
    let there: Vec<_> = header.split(',').map(|token| token.trim().to_ascii_lowercase()).collect();
    wanted.iter().map(String::as_str).filter(|w| !there.contains(&w.to_ascii_lowercase())).collect()
}

fn filled_list(values: &[Value], scope: &dyn Scope) -> Result<String, FillError> {
    let all = values
        .iter()
        .map(|value| Ok(template::fill(value, scope)?.to_string()))
        .collect::<Result<Vec<_>, FillError>>()?;
    Ok(all.join(", "))
}

fn size(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => Some(text.chars().count()),
        Value::Array(items) => Some(items.len()),
        Value::Object(members) => Some(members.len()),
        _ => None,
    }
}

/// The items of a list or the members of an object.
fn items(value: &Value) -> Option<Vec<&Value>> {
    match value {
        Value::Array(items) => Some(items.iter().collect()),
        Value::Object(members) => Some(members.values().collect()),
        _ => None,
    }
}

fn every(inner: &Matcher, value: &Value, scope: &dyn Scope) -> Checked {
    let Some(items) = items(value) else { return fails("a list or an object", Some(value)) };
    if items.is_empty() {
        return HOLDS;
    }
    let inner = inner.filled(scope)?;
    for item in items {
        if let Err(mismatch) = inner.check(Some(item), scope)? {
            // Which of them it is differs from run to run.
            return Ok(Err(mismatch.under("/*")));
        }
    }
    HOLDS
}

fn some(inner: &Matcher, value: &Value, scope: &dyn Scope) -> Checked {
    let Some(items) = items(value) else { return fails("a list or an object", Some(value)) };
    if !items.is_empty() {
        let filled = inner.filled(scope)?;
        for item in items {
            if filled.check(Some(item), scope)?.is_ok() {
                return HOLDS;
            }
        }
    }
    fails(format!("an item that is {}", inner.described(scope)?), Some(value))
}

fn contains(inner: &Matcher, value: &Value, scope: &dyn Scope) -> Checked {
    let holds = match value {
        Value::String(text) => match inner {
            Matcher::Equals(part) => match template::fill(part, scope)? {
                Value::String(part) => text.contains(&part),
                _ => false,
            },
            Matcher::Exactly(Value::String(part)) => text.contains(part),
            _ => false,
        },
        Value::Array(_) => return some(inner, value, scope),
        Value::Object(members) => {
            let inner = inner.filled(scope)?;
            let mut any = false;
            for key in members.keys() {
                any |= inner.check(Some(&Value::String(key.clone())), scope)?.is_ok();
            }
            any
        }
        _ => false,
    };
    let described = || inner.described(scope);
    if holds { HOLDS } else { fails(format!("containing {}", described()?), Some(value)) }
}

fn check_members(members: &[(String, Matcher)], value: &Value, scope: &dyn Scope) -> Checked {
    if !value.is_object() {
        return fails("an object", Some(value));
    }
    for (pointer, inner) in members {
        let filled = template::fill_pointer(pointer, scope)?;
        if let Err(mismatch) = inner.check(value.pointer(&filled), scope)? {
            return Ok(Err(mismatch.under(&template::place_of(pointer))));
        }
    }
    HOLDS
}

/// The schemes of a rule with references filled in, each once.
fn schemes(rule: &UrlRule, scope: &dyn Scope) -> Result<Vec<String>, FillError> {
    let mut schemes = Vec::new();
    for scheme in &rule.schemes {
        let scheme = template::fill_text(scheme, scope)?;
        if !schemes.contains(&scheme) {
            schemes.push(scheme);
        }
    }
    Ok(schemes)
}

fn is_url(text: &str, rule: &UrlRule, schemes: &[String]) -> bool {
    Url::parse(text).is_ok_and(|url| {
        (schemes.is_empty() || schemes.iter().any(|scheme| scheme == url.scheme()))
            && !(rule.no_query && url.query().is_some())
            && !(rule.no_fragment && url.fragment().is_some())
    })
}

fn describe_url(rule: &UrlRule, schemes: &[String]) -> String {
    let mut text = "an absolute URL".to_owned();
    if !schemes.is_empty() {
        text += &format!(" ({})", schemes.join(" or "));
    }
    if rule.no_query {
        text += " without a query";
    }
    if rule.no_fragment {
        text += " without a fragment";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn none(_: &str) -> Option<Value> {
        None
    }

    fn holds(matcher: &Matcher, value: Value) -> bool {
        matcher.check(Some(&value), &none).unwrap().is_ok()
    }

    #[test]
    fn numbers_are_equal_by_value() {
        assert!(holds(&Matcher::Equals(json!(1)), json!(1.0)));
        assert!(!holds(&Matcher::Equals(json!(1)), json!("1")));
        assert!(holds(&Matcher::Type(Kind::Integer), json!(2.0)));
        assert!(!holds(&Matcher::Type(Kind::Integer), json!(2.5)));
    }

    #[test]
    fn absence_matches_only_what_allows_it() {
        let absent = |matcher: Matcher| matcher.check(None, &none).unwrap().is_ok();
        assert!(absent(Matcher::Present(false)));
        assert!(absent(Matcher::WhenPresent(Box::new(Matcher::Type(Kind::String)))));
        assert!(absent(Matcher::Not(Box::new(Matcher::Equals(json!(1))))));
        assert!(!absent(Matcher::Type(Kind::Null)));
        assert!(!absent(Matcher::Present(true)));
    }

    #[test]
    fn null_counts_as_absent() {
        let text = || Box::new(Matcher::Type(Kind::String));
        assert!(holds(&Matcher::Present(false), Value::Null));
        assert!(!holds(&Matcher::Present(true), Value::Null));
        assert!(holds(&Matcher::WhenPresent(text()), Value::Null));
        assert!(holds(&Matcher::Type(Kind::Null), Value::Null));
        assert!(!holds(&text(), Value::Null));
    }

    #[test]
    fn a_mismatch_names_the_item() {
        let each = Matcher::Every(Box::new(Matcher::Members(vec![(
            "/type".to_owned(),
            Matcher::Type(Kind::String),
        )])));
        let mismatch =
            each.check(Some(&json!([{"type": "a"}, {"type": 1}])), &none).unwrap().unwrap_err();
        assert_eq!(mismatch.below, "/*/type");
        assert_eq!(mismatch.actual, "1");
    }

    #[test]
    fn header_lists_and_media_types_compare_by_meaning() {
        let methods = Matcher::TokensInclude(vec!["GET".into(), "POST".into()]);
        assert!(holds(&methods, json!("post,  put, get")));
        assert!(!holds(&methods, json!("POST")));
        let json_type = Matcher::MediaType("application/json".into());
        assert!(holds(&json_type, json!("Application/JSON; charset=UTF-8")));
        assert!(!holds(&json_type, json!("application/jsonp")));
    }

    #[test]
    fn unique_compares_by_meaning() {
        let unique = |items: Value| holds(&Matcher::Unique(None), items);
        assert!(!unique(json!([{"a": 1, "b": [2]}, {"b": [2.0], "a": 1.0}])));
        assert!(!unique(json!([0, -0.0])));
        assert!(!unique(json!([null, 1, null])));
        assert!(unique(json!([9_007_199_254_740_992_u64, 9_007_199_254_740_993_u64])));
        assert!(!unique(json!([9_007_199_254_740_992_u64, 9_007_199_254_740_992.0])));
        assert!(unique(json!([0, "0", false, null, [], {}, [[]], [{}], 1e300, 0.5])));
        assert!(unique(json!([[1, 2], [2, 1], [12], {"a": "b"}, {"b": "a"}])));
    }

    /// By pairs these take minutes.
    #[test]
    fn a_long_list_is_compared_in_no_time() {
        let items: Vec<Value> = (0..100_000).map(|n| json!({"id": n, "name": "x"})).collect();
        let saved = Value::Array(items.clone());
        let scope = |name: &str| (name == "saved").then(|| saved.clone());
        let list = Value::Array(items);
        let check = |matcher: Matcher| matcher.check(Some(&list), &scope).unwrap().is_ok();
        assert!(check(Matcher::Unique(None)));
        assert!(check(Matcher::Unique(Some("/id".into()))));
        assert!(!check(Matcher::Unique(Some("/name".into()))));
        let saved = || Matcher::Equals(json!("$saved"));
        assert!(check(Matcher::Every(Box::new(Matcher::Not(Box::new(saved()))))));
        assert!(!check(Matcher::Some(Box::new(Matcher::In(vec![json!("$saved")])))));
    }

    #[test]
    fn urls_lists_and_sizes() {
        let https = Matcher::Url(UrlRule {
            schemes: vec!["https".into()],
            no_query: true,
            no_fragment: true,
        });
        assert!(holds(&https, json!("https://x.example/")));
        assert!(!holds(&https, json!("https://x.example/?a")));
        assert!(!holds(&https, json!("x.example")));
        assert!(holds(&Matcher::Unique(Some("/id".into())), json!([{"id": 1}, {"id": 2}, {}])));
        assert!(!holds(&Matcher::Unique(None), json!([1, 1.0])));
        assert!(holds(&Matcher::Length(Range { min: Some(1.0), max: None }), json!("ä")));
        assert!(!holds(&Matcher::Length(Range { min: Some(1.0), max: None }), json!("")));
        assert!(holds(&Matcher::Contains(Box::new(Matcher::Equals(json!("b")))), json!("abc")));
        assert!(holds(&Matcher::Contains(Box::new(Matcher::Equals(json!("b")))), json!({"b": 1})));
    }
}
