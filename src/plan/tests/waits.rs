//! Cases that wait for a time that a response names: on which account, when, and when not.
use super::*;
use std::time::Duration;

/// A case that waits for the lifetime of an access token or of a login token.
fn waiting(of_login: bool) -> String {
    let call = if of_login { "login" } else { "generateLoginToken" };
    format!(
        "impact: session\nneeds: [account alice]\nchecks: [a.b]\nsetup:\n  \
         - {{ call: {call}, body: {{ password: $alice.password }}, must: {{ status: 200 }}, save: {{ time: /expires_in_ms }} }}\n\
         steps:\n  - {{ call: getTokenOwner, wait: $time, must: {{ status: 401 }} }}"
    )
}

fn with_lifetime(seconds: Option<u64>) -> Facts {
    let token_lifetime = seconds.map(Duration::from_secs);
    Facts { accounts: given(&[(true, false), (true, false)]), token_lifetime, ..facts() }
}

#[test]
fn a_case_that_waits_has_an_account_of_its_own_where_one_can_be_made() {
    for of_login in [true, false] {
        assert_eq!(shown(&waiting(of_login), &facts()), "alice=fresh 0 alice");
        assert_eq!(shown(&waiting(of_login), &with_lifetime(Some(5))), "alice=0");
    }
}

#[test]
fn no_login_is_spent_on_a_wait_that_is_known_to_be_in_vain() {
    let table = [
        (with_lifetime(None), "skipped not_observed"),
        (with_lifetime(Some(61)), "skipped not_waited"),
        (with_lifetime(Some(60)), "alice=0"),
        // Where accounts can be made it asks for itself.
        (Facts { token_lifetime: Some(Duration::from_secs(61)), ..facts() }, "alice=fresh 0 alice"),
    ];
    for (facts, expected) in table {
        assert_eq!(shown(&waiting(true), &facts), expected, "{:?}", facts.token_lifetime);
    }
    assert_eq!(shown(&waiting(false), &with_lifetime(None)), "alice=0", "no login tells of it");
}

#[test]
fn what_waits_goes_first_unless_it_takes_something_from_others() {
    let (other, of_login, of_token) =
        (needs("reads", "account alice"), waiting(true), waiting(false));
    let cases = [("other", other.as_str()), ("login", &of_login), ("token", &of_token)];
    let order = |facts: &Facts| {
        let plan = planned(&suite(&cases), facts);
        plan.phases.concat().iter().map(|at| cases[*at].0).collect::<Vec<_>>()
    };
    assert_eq!(order(&facts()), ["login", "token", "other"]);
    assert_eq!(order(&with_lifetime(Some(5)))[0], "login");
}
