//! Laws that hold for all values, not only for those somebody thought of.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
use homespec::case::ast::{Api, Feature};
use homespec::case::matcher::{Kind, Matcher, Range, equal};
use homespec::case::suite::Suite;
use homespec::case::template::{self, FillError, pieces};
use homespec::http::message::{Request, Response};
use homespec::http::rate_limit::{Bucket, Patience, RateLimits, retry_after};
use homespec::model::encoding::{encode_segment, escaped};
use homespec::model::reason::ReasonCode;
use homespec::model::release::Listed;
use homespec::pipeline::Material;
use homespec::plan::facts::{AccountFacts, Facts, Given};
use homespec::plan::selection::{Selection, select};
use homespec::plan::{self, Disposition, Plan};
use homespec::redact::{SecretKind, Vault};
use homespec::yaml::document::pointer_token;
use layer::{Layer, promised_layers};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};
use strum::VariantArray as _;

#[path = "support/layer.rs"]
mod layer;

/// JSON of some depth, with dollars and slashes in its strings and keys.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z$/~{}.é ]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z$/~]{0,4}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Every dollar doubled, in keys too: what stands for exactly this value in a case file.
fn quoted(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::from(text.replace('$', "$$")),
        Value::Array(items) => items.iter().map(quoted).collect(),
        Value::Object(members) => Value::Object(
            members.iter().map(|(key, value)| (key.replace('$', "$$"), quoted(value))).collect(),
        ),
        other => other.clone(),
    }
}

/// JSON with references in its strings, whole ones and others; its keys are plain.
fn any_template() -> impl Strategy<Value = Value> {
    let name = || prop::sample::select(vec!["alice.user_id", "session", "new.device_id_2", "x"]);
    let leaf = prop_oneof![
        any_json().prop_map(|value| quoted(&value)),
        name().prop_map(|name| json!(format!("${name}"))),
        ("[a-z ./~]{0,3}", name(), "[A-Z {}]{0,3}")
            .prop_map(|(before, name, after)| json!(format!("{before} ${{{name}}},{after}"))),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z/~]{0,4}", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn nothing(_: &str) -> Option<Value> {
    None
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let kinds = prop::sample::select(Kind::VARIANTS);
    let leaf = prop_oneof![
        any_json().prop_map(|value| Matcher::Equals(quoted(&value))),
        kinds.prop_map(Matcher::Type),
        any::<bool>().prop_map(Matcher::Present),
        (-9..9i32, 0..9i32).prop_map(|(min, size)| {
            Matcher::Range(Range { min: Some(min.into()), max: Some((min + size).into()) })
        }),
        (0..4u8)
            .prop_map(|least| { Matcher::Length(Range { min: Some(least.into()), max: None }) }),
        Just(Matcher::Unique(None)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|m| Matcher::Not(Box::new(m))),
            inner.clone().prop_map(|m| Matcher::Every(Box::new(m))),
            inner.clone().prop_map(|m| Matcher::Some(Box::new(m))),
            inner.clone().prop_map(|m| Matcher::WhenPresent(Box::new(m))),
            prop::collection::vec(inner, 1..4).prop_map(Matcher::All),
        ]
    })
}

fn holds(matcher: &Matcher, value: Option<&Value>) -> bool {
    matcher.check(value, &nothing).unwrap().is_ok()
}

fn not(matcher: &Matcher) -> Matcher {
    Matcher::Not(Box::new(matcher.clone()))
}

proptest! {
    #[test]
    fn what_is_quoted_fills_to_itself(value in any_json()) {
        let quoted = quoted(&value);
        prop_assert_eq!(template::fill(&quoted, &nothing), Ok(value));
        prop_assert!(template::references(&quoted).is_empty());
        prop_assert!(template::syntax_errors(&quoted).is_empty());
    }

    #[test]
    fn a_whole_reference_keeps_the_value_and_one_inside_needs_a_scalar(value in any_json()) {
        let given = value.clone();
        let scope = move |name: &str| (name == "a.b").then(|| given.clone());
        prop_assert_eq!(template::fill(&json!({"x": ["$a.b"]}), &scope), Ok(json!({"x": [value]})));
        let inside = template::fill_text("<${a.b}>", &scope);
        match &value {
            Value::Array(_) | Value::Object(_) | Value::Null => {
                prop_assert_eq!(inside, Err(FillError::NotScalar("a.b".to_owned())));
            }
            Value::String(text) => prop_assert_eq!(inside, Ok(format!("<{text}>"))),
            other => prop_assert_eq!(inside, Ok(format!("<{other}>"))),
        }
    }

    #[test]
    fn what_is_cut_into_pieces_is_put_together_again(text in "[a$é{}._ ]{0,12}") {
        if let Ok(found) = pieces(&text) {
            let again: String = found.iter().map(ToString::to_string).collect();
            prop_assert_eq!(pieces(&again), Ok(found));
        }
    }

    #[test]
    fn filling_fails_exactly_for_a_name_that_is_found_and_has_no_value(
        names in prop::collection::vec("[a-c]", 1..4), known in "[a-c]",
    ) {
        let value: Value = names.iter().map(|name| json!(format!("${name}"))).collect();
        let scope = |name: &str| (name == known).then(|| json!(1));
        let found: Vec<String> = template::references(&value).into_iter().map(|(n, _)| n).collect();
        prop_assert_eq!(&found, &names);
        let unknown = found.iter().find(|name| **name != known);
        match (template::fill(&value, &scope), unknown) {
            (Ok(_), None) => {}
            (Err(FillError::Unresolved(name)), Some(unknown)) => prop_assert_eq!(&name, unknown),
            (filled, _) => prop_assert!(false, "{:?}", filled),
        }
    }

    /// What `references` finds, with its place, is where `fill` puts the values, and nothing else is
    /// changed.
    #[test]
    fn filling_puts_each_value_where_it_was_found(template in any_template()) {
        let value_of = |name: &str| json!(format!("<{name}>"));
        let filled = template::fill(&template, &|name: &str| Some(value_of(name))).unwrap();
        for (name, pointer) in template::references(&template) {
            let whole = template.pointer(&pointer) == Some(&json!(format!("${name}")));
            let there = filled.pointer(&pointer);
            prop_assert!(!whole || there == Some(&value_of(&name)), "{} in {}", pointer, filled);
            let text = there.and_then(Value::as_str).unwrap_or_default();
            prop_assert!(text.contains(&format!("<{name}>")), "{} in {}", pointer, filled);
        }
        let unfilled = template::fill(&template, &|name: &str| {
            Some(json!(format!("${{{name}}}")))
        });
        let again = |value: &Value| template::fill(value, &|name: &str| Some(value_of(name)));
        let plain = template::references(&quoted(&filled));
        prop_assert!(plain.is_empty() && again(&quoted(&filled)).as_ref() == Ok(&filled));
        // References that stand for references are the template itself, but for its dollars.
        let has_dollars = template.to_string().contains("$$");
        prop_assert!(has_dollars || unfilled.and_then(|value| again(&value)) == Ok(filled));
    }

    /// The redactor finds each secret that was filled in, as often as it was.
    #[test]
    fn what_is_filled_in_is_found_again(
        template in any_template(), secret in "[a-z]{4}[A-Z]{4}[0-9]{4}[\"\\\\/ä]{0,2}[a-z]{4}",
    ) {
        let vault = Vault::default();
        vault.learn(SecretKind::AccessToken, &secret);
        let filled = template::fill(&template, &|_: &str| Some(json!(secret))).unwrap();
        let count = template::references(&template).len();
        let written = filled.to_string();
        let shown = vault.redactor().text(&written);
        prop_assert!(!shown.contains(&secret));
        prop_assert!(shown.matches("‹access_token 1›").count() <= count);
        prop_assert_eq!(shown == written, count == 0);
        let empty = template::fill(&template, &|_: &str| Some(json!("‹access_token 1›"))).unwrap();
        prop_assert_eq!(shown, empty.to_string());
    }

    #[test]
    fn a_pointer_finds_what_was_put_in(key in "[a-z/~$]{1,6}", value in any_json()) {
        let scope = |name: &str| (name == "key").then(|| json!(key));
        let pointer = template::fill_pointer("/x/${key}", &scope).unwrap();
        let body = json!({"x": {&key: &value}});
        prop_assert_eq!(body.pointer(&pointer), Some(&value));
    }

    #[test]
    fn not_not_is_nothing(matcher in matcher(), value in any_json(), there: bool) {
        let value = there.then_some(&value);
        prop_assert_eq!(holds(&not(&matcher), value), !holds(&matcher, value));
        prop_assert_eq!(holds(&not(&not(&matcher)), value), holds(&matcher, value));
    }

    #[test]
    fn present_and_absent_are_opposites(value in any_json(), there: bool) {
        // Null counts as absent.
        let is_there = there && !value.is_null();
        let value = there.then_some(&value);
        prop_assert_eq!(holds(&Matcher::Present(true), value), is_there);
        prop_assert_eq!(holds(&Matcher::Present(false), value), !is_there);
    }

    #[test]
    fn all_is_and_in_is_or(
        matchers in prop::collection::vec(matcher(), 1..4),
        values in prop::collection::vec(any_json(), 1..4),
        value in any_json(),
    ) {
        let each = matchers.iter().all(|matcher| holds(matcher, Some(&value)));
        prop_assert_eq!(holds(&Matcher::All(matchers), Some(&value)), each);
        let any = values.iter().any(|one| holds(&Matcher::Equals(quoted(one)), Some(&value)));
        let among = Matcher::In(values.iter().map(quoted).collect());
        prop_assert_eq!(holds(&among, Some(&value)), any);
    }

    #[test]
    fn every_and_some_go_over_the_items(
        matcher in matcher(), items in prop::collection::vec(any_json(), 0..4),
    ) {
        let list = Value::from(items.clone());
        let (every, some) = (Matcher::Every(Box::new(matcher.clone())), Matcher::Some(Box::new(matcher.clone())));
        let of_items = |item| holds(&matcher, Some(item));
        prop_assert_eq!(holds(&every, Some(&list)), items.iter().all(of_items));
        prop_assert_eq!(holds(&some, Some(&list)), items.iter().any(of_items));
    }

    #[test]
    fn every_value_equals_itself_and_its_kind_is_one_of_all(value in any_json()) {
        prop_assert!(holds(&Matcher::Equals(quoted(&value)), Some(&value)));
        let kinds = Kind::VARIANTS.iter().filter(|kind| holds(&Matcher::Type(**kind), Some(&value)));
        prop_assert_eq!(kinds.count(), if value.is_number() { 2 } else { 1 });
    }

    #[test]
    fn when_present_is_absent_or_matching(matcher in matcher(), value in any_json(), there: bool) {
        let value = there.then_some(&value);
        let lenient = Matcher::WhenPresent(Box::new(matcher.clone()));
        let is_absent = value.is_none_or(serde_json::Value::is_null);
        prop_assert_eq!(holds(&lenient, value), is_absent || holds(&matcher, value));
    }

    #[test]
    fn of_nothing_every_holds_and_some_does_not(matcher in matcher(), object: bool) {
        let empty = if object { json!({}) } else { json!([]) };
        prop_assert!(holds(&Matcher::Every(Box::new(matcher.clone())), Some(&empty)));
        prop_assert!(!holds(&Matcher::Some(Box::new(matcher)), Some(&empty)));
        prop_assert!(holds(&Matcher::Unique(None), Some(&json!([]))));
    }

    /// On what has items at all, `some` is what `every` is not of the opposite.
    #[test]
    fn some_is_not_every_not(matcher in matcher(), items in prop::collection::vec(any_json(), 0..4)) {
        let list = Value::from(items);
        let none = Matcher::Every(Box::new(not(&matcher)));
        let some = Matcher::Some(Box::new(matcher));
        prop_assert_eq!(holds(&some, Some(&list)), !holds(&none, Some(&list)));
    }

    #[test]
    fn wider_bounds_hold_where_narrower_do(
        value in any_json(), min in -9..9i32, size in 0..9i32, down in 0..5i32, up in 0..5i32,
    ) {
        let range = |min: i32, max: i32| Range { min: Some(min.into()), max: Some(max.into()) };
        let (narrow, wide) = (range(min, min + size), range(min - down, min + size + up));
        for of in [Matcher::Range, Matcher::Length] {
            prop_assert!(!holds(&of(narrow), Some(&value)) || holds(&of(wide), Some(&value)));
            let (least, most) = (Range { max: None, ..narrow }, Range { min: None, ..narrow });
            let both = holds(&of(least), Some(&value)) && holds(&of(most), Some(&value));
            prop_assert_eq!(holds(&of(narrow), Some(&value)), both);
        }
    }

    #[test]
    fn a_number_is_within_bounds_that_it_lies_between(n in -99..99i32, min in -99..99i32, max in -99..99i32) {
        let range = Matcher::Range(Range { min: Some(min.into()), max: Some(max.into()) });
        prop_assert_eq!(holds(&range, Some(&json!(n))), (min..=max).contains(&n));
        prop_assert!(!holds(&range, Some(&json!(n.to_string()))));
    }

    #[test]
    fn the_length_of_a_text_is_in_characters(text in "[a-zäß🦀]{0,8}", length in 0..9u8) {
        let exactly = Range { min: Some(length.into()), max: Some(length.into()) };
        let count = text.chars().count();
        prop_assert_eq!(holds(&Matcher::Length(exactly), Some(&json!(text))), count == usize::from(length));
    }

    #[test]
    fn what_has_a_part_contains_it(
        before in "[a-c$]{0,3}", part in "[a-c$]{0,3}", after in "[a-c$]{0,3}",
        item in any_json(), mut items in prop::collection::vec(any_json(), 0..4), at in 0..5usize,
    ) {
        let contains = |part: &Value| Matcher::Contains(Box::new(Matcher::Equals(quoted(part))));
        let whole = json!(format!("{before}{part}{after}"));
        prop_assert!(holds(&contains(&json!(part)), Some(&whole)));
        let object = json!({&part: item});
        prop_assert!(holds(&contains(&json!(part)), Some(&object)));
        items.insert(at.min(items.len()), item.clone());
        prop_assert!(holds(&contains(&item), Some(&Value::from(items))));
    }

    #[test]
    fn a_list_that_holds_an_item_twice_is_not_unique(
        items in prop::collection::vec(any_json(), 1..5), twice in 0..5usize, at in 0..6usize,
    ) {
        let copy = items[twice % items.len()].clone();
        let mut again = items.clone();
        again.insert(at.min(items.len()), copy);
        let (items, again) = (Value::from(items), Value::from(again));
        prop_assert!(!holds(&Matcher::Unique(None), Some(&again)));
        let by = |list: &Value| json!(list.as_array().unwrap().iter().map(|id| json!({"id": id})).collect::<Vec<_>>());
        for list in [&items, &again] {
            let at_id = holds(&Matcher::Unique(Some("/id".to_owned())), Some(&by(list)));
            prop_assert_eq!(at_id, holds(&Matcher::Unique(None), Some(list)));
        }
    }

    /// Equality is that of JSON: the same both ways round, numbers by their value, members in any order.
    #[test]
    fn equality_is_of_values(a in any_json(), b in any_json(), n in -999..999i32) {
        prop_assert_eq!(equal(&a, &b), equal(&b, &a));
        prop_assert!(equal(&a, &a));
        let (whole, float) = (json!({"n": [n]}), json!({"n": [f64::from(n)]}));
        let next = json!({"n": [n + 1]});
        prop_assert!(equal(&whole, &float) && !equal(&whole, &next));
        let (forth, back) = (json!({"a": &a, "b": &b}), json!({"b": &b, "a": &a}));
        prop_assert!(equal(&forth, &back));
        let read: Value = serde_json::from_str(&a.to_string()).unwrap();
        prop_assert!(equal(&a, &read));
    }

    #[test]
    fn members_are_looked_up_by_their_pointers(matcher in matcher(), value in any_json(), key in "[a-z/~$]{1,4}") {
        let pointer = format!("/{}", pointer_token(&key).replace('$', "$$"));
        let at = |pointer: &str| Matcher::Members(vec![(pointer.to_owned(), matcher.clone())]);
        prop_assert_eq!(holds(&at(&pointer), Some(&json!({&key: &value}))), holds(&matcher, Some(&value)));
        prop_assert_eq!(holds(&at(&pointer), Some(&json!({}))), holds(&matcher, None));
    }

    #[test]
    fn a_mismatch_always_says_something(matcher in matcher(), value in any_json()) {
        if let Err(mismatch) = matcher.check(Some(&value), &nothing).unwrap() {
            prop_assert!(!mismatch.expected.is_empty() && !mismatch.actual.is_empty());
        }
        prop_assert!(matcher.described(&nothing).is_ok());
    }

    #[test]
    fn no_secret_is_left_in_any_encoding(
        secret in "[a-zA-Z0-9/\"\\\\+=&%$ äß🦀é<>'-]{0,12}[a-z]{4}", before in "[ -~]{0,6}",
    ) {
        let vault = Vault::default();
        vault.learn(SecretKind::Password, &secret);
        let redactor = vault.redactor();
        for form in forms(&secret) {
            // A name that stands there instead may hold letters of the secret, the rest may not.
            let text = format!("{before}|{form}|");
            let shown = redactor.text(&text);
            prop_assert!(!shown.replace("‹password 1›", "").contains(&form), "{} in {}", form, shown);
            prop_assert!(shown.ends_with('|'));
            prop_assert_eq!(redactor.text(&shown), shown);
        }
    }

    #[test]
    fn layers_of_encodings_hide_no_secret(
        secret in "[ -~\\n\\täßé🦀]{8,30}", layers in prop::collection::vec(layer(), 0..5),
    ) {
        // White space at an end may stay.
        prop_assume!(secret.trim() == secret);
        let vault = Vault::default();
        vault.learn(SecretKind::AccessToken, &secret);
        let redactor = vault.redactor();
        let layers = promised_layers(layers);
        let written = layers.iter().fold(secret.clone(), |text, layer| layer.write(&text));
        let text = format!("<{written}>");
        prop_assert_eq!(redactor.text(&text), "<‹access_token 1›>", "{} {:?}", text, layers);
    }

    #[test]
    fn basic_credentials_hide_no_password(user in "[a-z0-9]{0,9}", password in "[ -~ä]{8,24}") {
        use base64::Engine as _;
        use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
        prop_assume!(!password.trim().is_empty());
        let vault = Vault::default();
        let login = json!({"identifier": {"user": user}, "password": password}).to_string();
        vault.learn_request(&[], "/login", Some(login.as_bytes()));
        let redactor = vault.redactor();
        for pair in [format!("{user}:{password}"), password] {
            for text in [STANDARD.encode(&pair), URL_SAFE_NO_PAD.encode(&pair)] {
                let shown = redactor.text(&format!("Basic {text}|"));
                prop_assert_eq!(shown, "Basic ‹password 1›|", "{}", text);
            }
        }
    }

    #[test]
    fn a_text_without_secrets_stays_as_it_is(
        text in "[g-z0-9 %\\\\&;\"\n+=äß‹›]{0,60}", secrets in prop::collection::vec("[A-F]{12,40}", 0..5),
    ) {
        // Letters that neither the text nor an escape in it has; in upper case base64 and
        // hexadecimal of them are all that could be met by chance, and those are long.
        let vault = Vault::default();
        secrets.iter().for_each(|secret| vault.learn(SecretKind::Token, secret));
        let redactor = vault.redactor();
        prop_assert_eq!(redactor.text(&text), text);
    }

    #[test]
    fn names_do_not_depend_on_when_a_secret_was_learnt(
        secrets in prop::collection::vec("[a-z]{3}[A-Z0-9]{12}", 1..8).prop_shuffle(),
    ) {
        let once: BTreeSet<&str> = secrets.iter().map(String::as_str).collect();
        let text = once.iter().copied().collect::<Vec<_>>().join(" ");
        let shown = |order: &[String]| {
            let vault = Vault::default();
            order.iter().for_each(|secret| vault.learn(SecretKind::Token, secret));
            vault.redactor().text(&text)
        };
        let backwards: Vec<String> = secrets.iter().rev().cloned().collect();
        prop_assert_eq!(shown(&secrets), shown(&backwards));
        let expected: Vec<String> = (1..=once.len()).map(|n| format!("‹token {n}›")).collect();
        prop_assert_eq!(shown(&secrets), expected.join(" "));
    }

    #[test]
    fn a_secret_inside_json_is_found_whatever_stands_around(
        secret in "[a-zA-Z0-9/äß-][a-zA-Z0-9/\" äß🦀-]{4,14}[a-zA-Z0-9]",
    ) {
        let vault = Vault::default();
        vault.learn(SecretKind::AccessToken, &secret);
        let body = json!({"deep": [{"token": format!("Bearer {secret}.")}]}).to_string();
        let shown = vault.redactor().text(&body);
        let read: Value = serde_json::from_str(&shown).unwrap();
        let text = read["deep"][0]["token"].as_str().unwrap();
        prop_assert_eq!(text, "Bearer ‹access_token 1›.");
    }

    #[test]
    fn the_wait_for_a_limit_stays_within_floor_and_cap(
        header in prop_oneof![
            Just(None),
            any::<u64>().prop_map(|n| Some(n.to_string())),
            (0..4_000_000_000u64).prop_map(|s| {
                Some(httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(s)))
            }),
            "[ -~]{0,12}".prop_map(Some),
        ],
        in_body in prop_oneof![
            Just(Value::Null), any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from), any_json(),
        ],
    ) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
        let wait = retry_after(&limited(header.as_deref(), &in_body), now);
        let bounds = Duration::from_millis(100)..=Duration::from_secs(24 * 3600);
        prop_assert!(wait.is_none_or(|wait| bounds.contains(&wait)));
    }

    #[test]
    fn the_wait_is_never_shorter_than_the_header_and_rounds_up_by_less_than_two_seconds(
        seconds in 1..80_000u64, ms in 0..100_000_000u64,
    ) {
        let now = SystemTime::UNIX_EPOCH;
        let header = Some(seconds.to_string());
        let wait = asked(&limited(header.as_deref(), &json!(ms)), now);
        prop_assert!(wait >= Duration::from_secs(seconds));
        prop_assert!(wait <= Duration::from_secs(seconds + 1));
        let by_body = asked(&limited(None, &json!(ms)), now);
        let asked = Duration::from_millis(ms);
        prop_assert_eq!(by_body, asked.clamp(Duration::from_millis(100), Duration::from_secs(86_400)));
    }
}

proptest! {
    /// A server that asks for more never gets less, whichever way it asks.
    #[test]
    fn the_wait_grows_with_what_the_server_asks_for(
        a in wait_ms(), b in wait_ms(), header in prop::option::of(0..100_000u64),
    ) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
        let (less, more) = (a.min(b), a.max(b));
        let header = header.map(|seconds| seconds.to_string());
        let by_body = |ms: u64| asked(&limited(header.as_deref(), &json!(ms)), now);
        prop_assert!(by_body(less) <= by_body(more));
        let by_seconds = |ms: u64| asked(&limited(Some(&(ms / 1000).to_string()), &Value::Null), now);
        prop_assert!(by_seconds(less) <= by_seconds(more));
        let by_date = |ms: u64| {
            let date = now + Duration::from_millis(ms.min(1 << 40));
            asked(&limited(Some(&httpdate::fmt_http_date(date)), &Value::Null), now)
        };
        prop_assert!(by_date(less) <= by_date(more));
        // Seconds and the date that they lead to are one wait, but for what a date cannot say.
        let both = by_date(less).abs_diff(by_seconds(less.min(1 << 40)));
        prop_assert!(both <= Duration::from_millis(100), "{both:?}");
    }

    /// Whatever servers ask for, in whatever order: all waiting together keeps to the budget, and a
    /// request is sent or refused, but never before its time.
    #[test]
    fn waiting_never_takes_more_than_the_budget(
        budget in 0..20u64,
        calls in prop::collection::vec((0..3usize, prop::option::of(wait_ms())), 1..12),
    ) {
        let budget = Duration::from_secs(budget);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let limits = RateLimits::new(budget);
            let started = tokio::time::Instant::now();
            for (bucket, limit) in calls {
                let bucket = Bucket::of(&Request::new(None, "GET", &format!("/{bucket}")));
                if let Err(reason) = limits.admit(&bucket, Patience::Full).await {
                    prop_assert_eq!(reason.code(), ReasonCode::RateLimited);
                }
                if let Some(ms) = limit {
                    limits.hit(&bucket, &limited(None, &json!(ms)), tokio::time::Instant::now());
                }
            }
            // Timers have the granularity of a millisecond, and there are at most twelve waits.
            prop_assert!(started.elapsed() <= budget + Duration::from_millis(12));
            let hits = limits.hits();
            let waited: u64 = hits.iter().map(|hit| hit.waited_ms).sum();
            prop_assert!(u128::from(waited) <= budget.as_millis());
            Ok(())
        })?;
    }
}

/// The wait that a response asks for, if it asks for one.
fn asked(response: &Response, now: SystemTime) -> Duration {
    retry_after(response, now).unwrap()
}

/// Milliseconds that a server may ask for, zero and nonsense included.
fn wait_ms() -> impl Strategy<Value = u64> {
    prop_oneof![0..5_000u64, 0..200_000_000u64, any::<u64>(), Just(0), Just(u64::MAX)]
}

fn limited(header: Option<&str>, in_body: &Value) -> Response {
    let headers =
        header.map(|value| ("retry-after".to_owned(), value.to_owned())).into_iter().collect();
    let body = json!({"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": in_body}).to_string();
    Response::new(429, headers, body.into_bytes(), false)
}

fn layer() -> impl Strategy<Value = Layer> {
    prop::sample::select(Layer::ALL.map(|(_, layer)| layer).to_vec())
}

/// How a secret may stand in a body, a URL or a header, written here a second time.
fn forms(secret: &str) -> Vec<String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let json = serde_json::to_string(secret).unwrap();
    let json = json[1..json.len() - 1].to_owned();
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let by_python: String = json
        .encode_utf16()
        .map(|unit| match unit {
            0..128 => char::from(unit as u8).to_string(),
            _ => format!("\\u{unit:04x}"),
        })
        .collect();
    let mut all = vec![
        secret.to_owned(),
        json.replace('/', "\\/"),
        json,
        by_python,
        escaped(secret),
        encode_segment(secret),
        form,
    ];
    if secret.len() >= 8 {
        all.extend([STANDARD.encode(secret), URL_SAFE_NO_PAD.encode(secret)]);
    }
    all
}

static MATERIAL: LazyLock<Material> = LazyLock::new(|| Material::load(None, None).unwrap());

fn facts(main: usize, can_make: bool, disposable: usize) -> Facts {
    let given =
        (0..main).map(|index| Given { password: true, disposable: index + disposable >= main });
    let given = if can_make { Vec::new() } else { given.collect() };
    let accounts = AccountFacts { given, can_make, made_password: true, refused: Vec::new() };
    Facts {
        listed: Listed::new(["v1.11"]),
        flows: vec!["m.login.password".to_owned(), "m.login.token".to_owned()],
        features: BTreeSet::from([Feature::Legacy, Feature::Refresh, Feature::GetToken]),
        providers: Vec::new(),
        capabilities: BTreeMap::new(),
        absent: BTreeSet::new(),
        token_lifetime: None,
        max_wait: std::time::Duration::from_secs(60),
        no_session: None,
        registers: false,
        api: Api::V3,
        accounts,
        beyond: Vec::new(),
        operator: BTreeSet::new(),
        allowed: BTreeSet::new(),
    }
}

/// Some areas alone: selecting compares every case with every word.
static FEW: LazyLock<Suite> = LazyLock::new(|| {
    let mut suite = MATERIAL.suite.clone();
    suite.files.retain(|file| ["device", "logout", "token"].contains(&file.area.as_str()));
    suite
});

/// Globs that select cases of those.
const WORDS: [&str; 5] = ["logout-*", "device-id-is-kept", "token-*", "*-of-*", "device-*"];

/// The verdict-relevant part of a plan: which case runs, and why the others do not.
fn fates(suite: &Suite, facts: &Facts) -> Vec<(String, String)> {
    let selected: Vec<_> = suite.shared_cases().collect();
    fates_of(&plan::plan(&selected, &MATERIAL.register, &MATERIAL.v1, facts))
}

fn fates_of(plan: &Plan) -> Vec<(String, String)> {
    let disposition = |disposition: &Disposition| match disposition {
        Disposition::Run(_) => "runs".to_owned(),
        Disposition::Not(verdict, reason) => format!("{verdict}: {:?}", reason.code()),
    };
    plan.cases
        .iter()
        .map(|planned| (planned.case.id.clone(), disposition(&planned.disposition)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// However a folder lists its files, the same cases run, in the same order.
    #[test]
    fn the_plan_does_not_depend_on_the_order_of_the_files(
        order in Just((0..MATERIAL.suite.files.len()).collect::<Vec<_>>()).prop_shuffle(),
        main in 0..3usize, can_make: bool, disposable in 0..3usize,
    ) {
        let facts = facts(if can_make { 2 } else { main }, can_make, disposable);
        let texts = order.iter().map(|at| {
            let document = &MATERIAL.suite.files[*at].document;
            (document.name().to_owned(), document.text().to_owned())
        });
        let shuffled = Suite::from_texts(texts).unwrap();
        prop_assert_eq!(fates(&shuffled, &facts), fates(&MATERIAL.suite, &facts));
    }

    /// However a selection is worded, what it names runs in the order of the suite.
    #[test]
    fn the_plan_does_not_depend_on_the_order_of_the_words(
        words in prop::sample::subsequence(WORDS.to_vec(), 1..=WORDS.len()),
        seed in prop::collection::vec(any::<prop::sample::Index>(), 1..5), main in 0..3usize,
    ) {
        let mut shuffled: Vec<&str> = words.clone();
        seed.iter().enumerate().for_each(|(at, other)| {
            let (at, other) = (at % words.len(), other.index(words.len()));
            shuffled.swap(at, other);
        });
        // A word said twice is said once.
        shuffled.extend(words.first());
        let planned = |words: &[&str]| {
            let cases = words.iter().map(|word| (*word).to_owned()).collect();
            let selection = Selection { cases, ..Selection::default() };
            let selected = select(&FEW, &MATERIAL.register, &selection).unwrap();
            let plan = plan::plan(&selected, &MATERIAL.register, &MATERIAL.v1, &facts(main, false, 0));
            format!("{:?} {:?}", fates_of(&plan), plan.phases)
        };
        prop_assert_eq!(planned(&words), planned(&shuffled));
    }

    /// Whatever accounts there are: one that somebody needs sees at most two wrong passwords, nothing
    /// that may ruin an account runs on it, none is ruined twice, no case has one account under two
    /// names, every running case is in one phase, and every case is in the plan.
    #[test]
    fn a_plan_keeps_its_promises(main in 0..4usize, can_make: bool, disposable in 0..4usize) {
        use homespec::case::ast::Impact;
        use homespec::plan::Slot;
        let facts = facts(if can_make { 2 } else { main }, can_make, disposable);
        let selected: Vec<_> = MATERIAL.suite.shared_cases().collect();
        let plan = plan::plan(&selected, &MATERIAL.register, &MATERIAL.v1, &facts);
        let needed = |slot: &Slot| match slot {
            Slot::Main(index) => facts.accounts.given.get(*index).is_some_and(|g| !g.disposable),
            Slot::WrongPassword | Slot::Fresh(..) | Slot::Replacement(..) => false,
        };
        let mut wrong: BTreeMap<&Slot, u32> = BTreeMap::new();
        let mut ruined: BTreeSet<&Slot> = BTreeSet::new();
        let mut running = BTreeSet::new();
        for (index, planned) in plan.cases.iter().enumerate() {
            let Disposition::Run(assignment) = &planned.disposition else { continue };
            running.insert(index);
            let slots: Vec<&Slot> = assignment.accounts.values().collect();
            prop_assert_eq!(slots.iter().collect::<BTreeSet<_>>().len(), slots.len());
            if planned.case.impact == Impact::LocksOut
                && let Some(slot) = slots.iter().find(|slot| needed(slot))
            {
                *wrong.entry(slot).or_default() += planned.case.wrong_passwords;
            }
            if matches!(planned.case.impact, Impact::EndsSessions | Impact::Destroys) {
                prop_assert!(!slots.iter().any(|s| needed(s)), "{} on {slots:?}", planned.case.id);
            }
            if planned.case.impact == Impact::Destroys {
                for slot in slots {
                    prop_assert!(ruined.insert(slot), "{} on a ruined account", planned.case.id);
                }
            }
        }
        prop_assert!(wrong.values().all(|count| *count <= 2), "{wrong:?}");
        let in_phases: Vec<usize> = plan.phases.iter().flatten().copied().collect();
        prop_assert_eq!(in_phases.len(), running.len());
        prop_assert_eq!(in_phases.into_iter().collect::<BTreeSet<_>>(), running);
    }
}
