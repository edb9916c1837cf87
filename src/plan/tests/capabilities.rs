//! What `--require` says of a target.
use super::*;
use crate::plan::capabilities::{Capability, all, not_given};

fn one(name: &str) -> Capability {
    name.parse().unwrap()
}

/// Verdict, and whether it is known, of one capability.
fn verdict(name: &str, facts: &Facts) -> Verdict {
    let found = all(&[one(name)], facts, None);
    assert_eq!((found.len(), found[0].name.as_str()), (1, name));
    found[0].verdict
}

#[test]
fn every_capability_has_a_name_of_its_own_and_is_read_by_it() {
    let names: Vec<&str> = Capability::all().map(Capability::as_str).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert!(
        ["password", "registration", "account", "disposable", "appservice"]
            .iter()
            .all(|name| names.contains(name)),
        "{names:?}"
    );
    for name in names {
        assert_eq!((one(name).as_str(), one(name).to_string()), (name, name.to_owned()));
    }
    let unknown = "passwort".parse::<Capability>().unwrap_err().to_string();
    assert!(
        unknown.starts_with(
            "`passwort` cannot be required; did you mean `password`? There are: password, "
        ),
        "{unknown}"
    );
    let unknown = "zzzzzzzzzzzz".parse::<Capability>().unwrap_err().to_string();
    assert!(!unknown.contains("did you mean"), "{unknown}");
}

#[test]
fn a_flow_or_a_feature_is_there_or_not() {
    let none = Facts { flows: Vec::new(), features: BTreeSet::new(), registers: false, ..facts() };
    let flow = |flow: &str| Facts { flows: vec![flow.to_owned()], ..none.clone() };
    let feature = |feature| Facts { features: BTreeSet::from([feature]), ..none.clone() };
    let cases = [
        ("password", flow("m.login.password")),
        ("token", flow("m.login.token")),
        ("sso", flow("m.login.sso")),
        ("legacy", feature(Feature::Legacy)),
        ("oauth", feature(Feature::Oauth)),
        ("refresh", feature(Feature::Refresh)),
        ("get_token", feature(Feature::GetToken)),
        ("uia_password", feature(Feature::UiaPassword)),
        ("registration", Facts { registers: true, ..none.clone() }),
    ];
    for (name, with) in cases {
        assert_eq!(verdict(name, &with), Verdict::Passed, "{name}");
        assert_eq!(verdict(name, &none), Verdict::Failed, "{name}");
    }
    assert_eq!(verdict("account", &none), Verdict::Passed);
    assert_eq!(verdict("appservice", &none), Verdict::Passed);
}

#[test]
fn what_only_a_session_shows_is_unknown_without_one() {
    let lost =
        Facts { features: BTreeSet::new(), no_session: Some(Reason::NoAccountGiven), ..facts() };
    let without = Facts { accounts: AccountFacts::default(), no_session: None, ..lost.clone() };
    for name in ["refresh", "uia_password"] {
        assert_eq!(verdict(name, &lost), Verdict::Blocked, "{name}");
        assert_eq!(verdict(name, &without), Verdict::Blocked, "{name}");
    }
    for name in ["oauth", "get_token", "legacy"] {
        assert_eq!(verdict(name, &lost), Verdict::Failed, "{name}");
        assert_eq!(verdict(name, &without), Verdict::Failed, "{name}");
    }
    let seen = Facts { features: BTreeSet::from([Feature::Refresh]), ..lost.clone() };
    assert_eq!(verdict("refresh", &seen), Verdict::Passed);
    for name in ["account", "disposable"] {
        assert_eq!(verdict(name, &lost), Verdict::Blocked);
    }
    let no_target = all(&[one("password")], &facts(), Some("nobody is there"));
    assert_eq!(no_target[0].verdict, Verdict::Blocked);
    assert!(no_target[0].text.contains("nobody is there"));
}

#[test]
fn what_the_operator_has_to_give_is_asked_for_before_anything_is_sent() {
    let nothing = BTreeSet::new();
    let missing = |name: &str, accounts: &AccountFacts, operator: &BTreeSet<String>| {
        not_given(&[one(name)], accounts, operator).len()
    };
    let (none, makes) =
        (AccountFacts::default(), AccountFacts { can_make: true, ..AccountFacts::default() });
    let (in_use, free) = (given(&[(true, false)]), given(&[(true, false), (true, true)]));
    for (name, accounts, expected) in [
        ("account", &none, 1),
        ("account", &makes, 0),
        ("account", &in_use, 0),
        ("disposable", &none, 1),
        ("disposable", &in_use, 1),
        ("disposable", &makes, 0),
        ("disposable", &free, 0),
        ("appservice", &free, 1),
        ("password", &none, 0),
        ("registration", &none, 0),
    ] {
        assert_eq!(missing(name, accounts, &nothing), expected, "{name} {accounts:?}");
    }
    assert_eq!(missing("appservice", &none, &BTreeSet::from(["appservice".to_owned()])), 0);
    let text = not_given(&[one("account")], &none, &nothing);
    assert!(
        text[0].starts_with("--require account: it was not given; give one with --accounts"),
        "{text:?}"
    );
}
