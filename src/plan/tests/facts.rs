//! From the answers of a probe to facts.
use super::*;
use crate::http::message::Response;
use crate::plan::facts::{
    api, beyond, capabilities, flows, offers_login_tokens, providers, versions,
};
use serde_json::{Value, json};

fn answer(status: u16, body: &Value) -> Response {
    Response::new(status, Vec::new(), body.to_string().into_bytes(), false)
}

#[test]
fn lists_are_read_from_successes_alone_and_up_to_a_bound() {
    let listing = json!({"versions": ["v1.1", 5, "x"], "flows": [{"type": "a"}, {"type": 5}, {}, {"type": "b"}]});
    assert_eq!(versions(&answer(200, &listing)), ["v1.1", "x"]);
    assert_eq!(flows(&answer(200, &listing)), Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(versions(&answer(404, &listing)), [""; 0]);
    assert_eq!(flows(&answer(404, &listing)), None);
    assert_eq!(flows(&answer(200, &json!({"flows": {}}))), None);
    let many = |count: usize| json!({"versions": vec!["v1.1"; count], "flows": vec![json!({"type": "a"}); count]});
    assert_eq!(versions(&answer(200, &many(1500))).len(), 1000);
    assert_eq!(flows(&answer(200, &many(1500))).map(|all| all.len()), Some(1000));
    let within = answer(200, &many(1000));
    assert_eq!(beyond(&within, Some(&within)), [""; 0]);
    let over = answer(200, &many(1001));
    let text = |what: &str| format!("GET {what}; only the first 1000 are tested");
    assert_eq!(beyond(&over, Some(&within)), [text("/versions lists 1001 versions")]);
    assert_eq!(beyond(&within, Some(&over)), [text("/login lists 1001 flows")]);
    assert_eq!(beyond(&within, None), [""; 0]);
}

#[test]
fn identity_providers_are_read_up_to_a_bound() {
    let with = |count: usize| {
        let all: Vec<Value> = (0..count).map(|n| json!({"id": format!("p{n}")})).collect();
        answer(200, &json!({"flows": [{"type": "m.login.sso", "identity_providers": all}]}))
    };
    assert_eq!(providers(&with(25)).len(), 20);
    let versions = answer(200, &json!({}));
    assert_eq!(beyond(&versions, Some(&with(20))).len(), 0);
    assert_eq!(beyond(&versions, Some(&with(21))).len(), 1);
    let icon = |icon: &str| {
        let all = json!([{"id": "p", "icon": icon}]);
        let answer =
            answer(200, &json!({"flows": [{"type": "m.login.sso", "identity_providers": all}]}));
        providers(&answer)[0].icon.clone()
    };
    assert_eq!(icon("mxc://[::1]:80/a_B-9").as_deref(), Some("[::1]:80/a_B-9"));
    for odd in [
        "mxc://hs",
        "mxc:///a",
        "mxc://hs/",
        "mxc://hs/a.b",
        "mxc://hs/a/b",
        "mxc://h_s/a",
        "http://hs/a",
    ] {
        assert_eq!(icon(odd), None, "{odd}");
    }
}

#[test]
fn capabilities_are_enabled_unless_they_say_otherwise() {
    let all = json!({"capabilities": {"a": {"enabled": false}, "b": {"enabled": true}, "c": {}, "d": {"enabled": 5}}});
    let found = capabilities(&answer(200, &all));
    let expected = [("a", false), ("b", true), ("c", true), ("d", true)];
    assert_eq!(found, expected.map(|(name, is)| (name.to_owned(), is)).into());
    assert!(capabilities(&answer(403, &all)).is_empty());
}

#[test]
fn login_tokens_are_offered_by_a_flow_that_says_true() {
    let flow = |value: Value| {
        answer(
            200,
            &json!({"flows": [{"type": "x"}, {"type": "m.login.token", "get_login_token": value}]}),
        )
    };
    assert!(offers_login_tokens(&flow(json!(true))));
    assert!(
        !offers_login_tokens(&flow(json!(false))) && !offers_login_tokens(&flow(json!("true")))
    );
}

#[test]
fn the_path_prefix_is_that_of_the_newest_release() {
    assert_eq!(api(&Listed::new(["r0.6.1"])), Api::R0);
    assert_eq!(api(&Listed::new(["r0.6.1", "v1.1"])), Api::V3);
}

#[test]
fn accounts_for_ordinary_use_are_those_given_or_two_that_are_made() {
    let makes =
        |accounts: AccountFacts| AccountFacts { can_make: true, made_password: true, ..accounts };
    for (accounts, count) in [
        (AccountFacts::default(), 0),
        (given(&[(true, false)]), 1),
        (makes(AccountFacts::default()), 2),
        (makes(given(&[(true, false)])), 2),
        (makes(given(&[(true, false); 3])), 3),
    ] {
        assert_eq!(accounts.main(), count, "{accounts:?}");
    }
    let both = given(&[(true, false), (false, false)]);
    assert_eq!([0, 1, 2].map(|n| both.has_password(n)), [true, false, false]);
    let made = makes(given(&[(false, false)]));
    assert_eq!([0, 1].map(|n| made.has_password(n)), [false, true]);
    let without = AccountFacts { made_password: false, ..made };
    assert!(!without.has_password(1));
}
