//! Plans of small suites, without a server: what runs, on which account, in which order, and why the rest does not.
use super::*;
use crate::case::ast::Api;
use crate::case::suite::Suite;
use crate::model::release::Listed;
use crate::plan::facts::{Given, Provider, RefusedAccount};
use std::sync::LazyLock;

mod capabilities;
mod facts;
mod selection;
mod waits;

static SPEC: LazyLock<Spec> = LazyLock::new(|| Spec::bundled_v1().unwrap());

/// Requirements with their level and the first release that has them.
fn register(all: &[(&str, &str, &str)]) -> Register {
    let entry = |(id, level, since): &(&str, &str, &str)| {
        format!(
            "- id: {id}\n  group: x\n  level: {level}\n  mark: plain\n  since: {since}\n  tier: T0\n  \
             needs: [any]\n  title: X.\n  source: \"x\"\n  url: https://x.example/#x\n  check: \"X.\"\n"
        )
    };
    Register::parse("x.yaml", all.iter().map(entry).collect::<String>()).unwrap()
}

fn usual() -> Register {
    let levels =
        [("a.b", "MUST", "r0.0.0"), ("c.d", "MUST", "r0.0.0"), ("e.f", "SHOULD", "r0.0.0")];
    register(&[levels.as_slice(), &[("new.rule", "MUST", "v1.5")]].concat())
}

/// Cases, each as id, and its keys in the form of YAML flow.
fn suite(cases: &[(&str, &str)]) -> Suite {
    let case = |(id, body): &(&str, &str)| {
        let body: String = body.lines().map(|line| format!("    {line}\n")).collect();
        format!("  - id: {id}\n    title: x\n{body}")
    };
    let text = format!("about: x\ncases:\n{}", cases.iter().map(case).collect::<String>());
    Suite::from_texts([("x.yaml".to_owned(), text)])
        .unwrap_or_else(|faults| panic!("{}", faults[0].render(false)))
}

const ASKS: &str = "\nchecks: [a.b]\nsteps:\n  - { call: getTokenOwner, must: { status: 200 } }";

/// A case that looks at an account and needs what is given.
fn needs(impact: &str, needs: &str) -> String {
    format!("impact: {impact}\nneeds: [{needs}]{ASKS}")
}

fn facts() -> Facts {
    Facts {
        listed: Listed::new(["v1.11"]),
        flows: vec!["m.login.password".to_owned()],
        features: BTreeSet::from([Feature::Legacy]),
        providers: Vec::new(),
        capabilities: BTreeMap::new(),
        absent: BTreeSet::new(),
        token_lifetime: None,
        max_wait: std::time::Duration::from_secs(60),
        no_session: None,
        api: Api::V3,
        accounts: AccountFacts { can_make: true, made_password: true, ..AccountFacts::default() },
        registers: true,
        beyond: Vec::new(),
        operator: BTreeSet::new(),
        allowed: BTreeSet::new(),
    }
}

fn planned(suite: &Suite, facts: &Facts) -> Plan {
    let selected: Vec<&Arc<Case>> = suite.shared_cases().collect();
    plan(&selected, &usual(), &SPEC, facts)
}

/// The disposition of a single case, in short: its slots by name, or verdict and code.
fn shown(body: &str, facts: &Facts) -> String {
    let plan = planned(&suite(&[("x", body)]), facts);
    assert_eq!(plan.cases.len(), 1);
    of(&plan.cases[0])
}

fn of(planned: &PlannedCase) -> String {
    match &planned.disposition {
        Disposition::Not(verdict, reason) => format!("{verdict} {}", reason.code().as_str()),
        Disposition::Run(assignment) => {
            let slots = assignment.accounts.iter().map(|(name, slot)| match slot {
                Slot::Main(index) => format!("{name}={index}"),
                Slot::WrongPassword => format!("{name}=wrong"),
                Slot::Fresh(index, of) => format!("{name}=fresh {index} {of}"),
                Slot::Replacement(name, of, index) => format!("{name}=replaced {index} {of}"),
            });
            slots.collect::<Vec<_>>().join(", ")
        }
    }
}

fn given(all: &[(bool, bool)]) -> AccountFacts {
    let given = all
        .iter()
        .map(|(password, disposable)| Given { password: *password, disposable: *disposable });
    AccountFacts { given: given.collect(), ..AccountFacts::default() }
}

#[test]
fn a_case_whose_requirements_are_of_no_listed_release_is_skipped() {
    let body = |checks: &str| {
        format!(
            "impact: reads\nchecks: [{checks}]\nsteps:\n  - {{ call: getVersions, must: {{ req: {}, status: 200 }} }}",
            checks.split(',').next().unwrap()
        )
    };
    let old = Facts { listed: Listed::new(["v1.4"]), ..facts() };
    assert_eq!(shown(&body("new.rule"), &old), "skipped version");
    assert_eq!(shown(&body("new.rule"), &Facts { listed: Listed::new(["v1.5"]), ..facts() }), "");
    let both = "impact: reads\nchecks: [new.rule, a.b]\nsteps:\n  - { call: getVersions, must: { req: a.b, status: 200 } }\n  \
                - { call: getVersions, must: { req: new.rule, status: 200 } }";
    assert_eq!(shown(both, &old), "", "one of them applies");
}

#[test]
fn a_case_needs_its_operations_in_the_files_and_in_a_listed_release() {
    let call = |operation: &str| {
        format!(
            "impact: reads\nchecks: [a.b]\nsteps:\n  - {{ call: {operation}, must: {{ status: 200 }} }}"
        )
    };
    assert_eq!(shown(&call("noSuchOperation"), &facts()), "skipped not_in_spec");
    let listing = |release: &str| Facts { listed: Listed::new([release]), ..facts() };
    for (operation, before, from) in
        [("deleteDevices", "r0.3.0", "r0.4.0"), ("refresh", "v1.2", "v1.3")]
    {
        assert_eq!(shown(&call(operation), &listing(before)), "skipped version", "{operation}");
        assert_eq!(shown(&call(operation), &listing(from)), "", "{operation}");
    }
}

#[test]
fn a_need_that_is_not_met_skips_or_blocks_with_its_reason() {
    let with = |change: &dyn Fn(&mut Facts)| {
        let mut facts = facts();
        change(&mut facts);
        facts
    };
    let feature = |feature| with(&|facts| facts.features = BTreeSet::from([feature]));
    let plain = with(&|facts| facts.features.clear());
    let unseen = with(&|facts| facts.no_session = Some(Reason::NoAccountGiven));
    let capability = |value| {
        with(&|facts| {
            facts.capabilities = BTreeMap::from([("m.change_password".to_owned(), value)])
        })
    };
    let token = with(&|facts| facts.flows = vec!["m.login.token".to_owned()]);
    let operator = with(&|facts| facts.operator = BTreeSet::from(["appservice".to_owned()]));
    let cases = [
        ("flow m.login.password", &plain, ""),
        ("flow m.login.token", &plain, "skipped not_offered"),
        ("flow m.login.token", &token, ""),
        ("version v1.11", &plain, ""),
        ("version v1.12", &plain, "skipped version"),
        ("before v1.12", &plain, ""),
        ("before v1.11", &plain, "skipped version"),
        ("feature legacy", &feature(Feature::Legacy), ""),
        ("feature legacy", &plain, "skipped not_offered"),
        ("feature refresh", &feature(Feature::Refresh), ""),
        ("feature refresh", &plain, "skipped not_offered"),
        ("feature refresh", &unseen, "blocked no_account"),
        ("feature uia_password", &unseen, "blocked no_account"),
        ("feature oauth", &unseen, "skipped not_offered"),
        ("feature get_token", &feature(Feature::GetToken), ""),
        ("feature get_token", &plain, "skipped not_offered"),
        ("feature login_token", &feature(Feature::LoginToken), ""),
        ("feature login_token", &feature(Feature::GetToken), "skipped not_offered"),
        ("feature login_token", &token, ""),
        ("feature login_token", &plain, "skipped not_offered"),
        ("capability m.change_password", &capability(true), ""),
        ("capability m.change_password", &capability(false), "skipped not_offered"),
        ("capability m.change_password", &plain, "skipped not_offered"),
        ("capability m.change_password", &unseen, "blocked no_account"),
        ("operator appservice", &operator, ""),
        ("operator appservice", &plain, "skipped not_provided"),
    ];
    for (need, facts, expected) in cases {
        let body = format!(
            "impact: reads\nneeds: [{need}]\nchecks: [a.b]\nsteps:\n  - {{ call: getVersions, must: {{ status: 200 }} }}"
        );
        assert_eq!(shown(&body, facts), expected, "{need} {:?}", facts.features);
    }
}

#[test]
fn a_burst_is_sent_only_with_leave() {
    let burst = "impact: reads\nlimits: observe\nchecks: [a.b]\nsteps:\n  - { call: getVersions, must: { status: 200 } }";
    assert_eq!(shown(burst, &facts()), "skipped not_allowed");
    let allowed = Facts { allowed: BTreeSet::from([Allow::RateLimit]), ..facts() };
    assert_eq!(shown(burst, &allowed), "");
    let destructive = Facts { allowed: BTreeSet::from([Allow::Destructive]), ..facts() };
    assert_eq!(shown(burst, &destructive), "skipped not_allowed");
}

#[test]
fn without_accounts_a_case_that_needs_one_is_blocked_with_what_is_known() {
    let none = Facts { accounts: AccountFacts::default(), ..facts() };
    assert_eq!(shown(&needs("session", "account alice"), &none), "blocked no_account");
    let refused = RefusedAccount {
        given: Given { password: true, disposable: false },
        reason: Reason::Account("x".to_owned()),
    };
    let accounts = AccountFacts { refused: vec![refused], ..AccountFacts::default() };
    let refused = Facts { accounts, ..facts() };
    assert_eq!(shown(&needs("session", "account alice"), &refused), "blocked account");
}

const PASSWORD: &str = "needs: [account alice]\nchecks: [a.b]\nsteps:\n  - call: login\n    body: { type: m.login.password, \
                        identifier: { type: m.id.user, user: $alice.localpart }, password: $alice.password }\n    must: { status: 200 }";

#[test]
fn accounts_that_were_given_serve_as_far_as_they_do() {
    let with = |accounts: AccountFacts| Facts { accounts, ..facts() };
    let password = format!("impact: session\n{PASSWORD}");
    let one = needs("session", "account alice");
    let two = needs("session", "account alice, account bob");
    let ends = needs("ends-sessions", "account alice disposable");
    let destroys = needs("destroys", "account alice disposable");
    let locks = "impact: locks-out\nneeds: [account alice]\nchecks: [a.b]\nsteps:\n  - call: login\n    body: { type: m.login.password, \
                 identifier: { type: m.id.user, user: $alice.localpart }, password: wrong }\n    must: { status: 403 }";
    let cases = [
        (one.as_str(), given(&[(true, false)]), "alice=0"),
        (&one, given(&[(false, false)]), "alice=0"),
        // A token alone proves no password.
        (&password, given(&[(false, false)]), "skipped not_provided"),
        (&password, given(&[(false, false), (true, false)]), "alice=1"),
        (&two, given(&[(true, false)]), "skipped not_provided"),
        (&two, given(&[(true, false), (false, true)]), "alice=0, bob=1"),
        (&ends, given(&[(true, false)]), "skipped not_provided"),
        (&ends, given(&[(true, false), (true, true)]), "alice=1"),
        (&destroys, given(&[(true, false), (true, true), (true, true)]), "alice=2"),
        (&destroys, given(&[(true, false)]), "skipped not_provided"),
        (locks, given(&[(true, false)]), "alice=0"),
        (locks, given(&[(false, false)]), "skipped not_provided"),
    ];
    for (body, accounts, expected) in cases {
        let shown_for = format!("{body}\n{accounts:?}");
        assert_eq!(shown(body, &with(accounts)), expected, "{shown_for}");
    }
    let allowed = BTreeSet::from([Allow::Destructive]);
    let harmful = |body: &str| {
        shown(body, &Facts { allowed: allowed.clone(), ..with(given(&[(true, false)])) })
    };
    assert_eq!(harmful(&ends), "alice=0");
    assert_eq!(harmful(&destroys), "skipped not_provided", "nothing ruins the last account");
    let rate =
        Facts { allowed: BTreeSet::from([Allow::RateLimit]), ..with(given(&[(true, false)])) };
    assert_eq!(shown(&ends, &rate), "skipped not_provided");
}

#[test]
fn accounts_that_can_be_made_are_made_for_what_harms_them() {
    let makes = |made_password| {
        let accounts = AccountFacts { can_make: true, made_password, ..AccountFacts::default() };
        Facts { accounts, ..facts() }
    };
    let locks = "impact: locks-out\nneeds: [account alice]\nchecks: [a.b]\nsteps:\n  - call: login\n    body: { type: m.login.password, \
                 identifier: { type: m.id.user, user: $alice.localpart }, password: wrong }\n    must: { status: 403 }";
    let password = format!("impact: session\n{PASSWORD}");
    assert_eq!(
        shown(&needs("session", "account alice, account bob"), &makes(true)),
        "alice=0, bob=1"
    );
    assert_eq!(
        shown(&needs("destroys", "account alice disposable"), &makes(true)),
        "alice=fresh 0 alice"
    );
    assert_eq!(
        shown(&needs("ends-sessions", "account alice disposable"), &makes(false)),
        "alice=fresh 0 alice"
    );
    assert_eq!(shown(locks, &makes(true)), "alice=wrong");
    assert_eq!(shown(&password, &makes(true)), "alice=0");
    assert_eq!(shown(&password, &makes(false)), "skipped not_provided");
    assert_eq!(shown(&needs("reads", "session alice"), &makes(true)), "alice=0");
}

#[test]
fn a_refused_account_that_would_have_served_blocks_where_none_would_be_skipped() {
    let refused = |password, disposable| {
        let reason = Reason::Account("x".to_owned());
        let refused = vec![RefusedAccount { given: Given { password, disposable }, reason }];
        Facts { accounts: AccountFacts { refused, ..given(&[(true, false)]) }, ..facts() }
    };
    let ends = needs("ends-sessions", "account alice disposable");
    assert_eq!(shown(&ends, &refused(true, true)), "blocked account");
    assert_eq!(shown(&ends, &refused(true, false)), "skipped not_provided");
    let two = needs("session", "account alice, account bob");
    assert_eq!(shown(&two, &refused(false, false)), "blocked account");
    let both = format!(
        "impact: session\n{}",
        PASSWORD
            .replace("[account alice]", "[account alice, account bob]")
            .replace("password: $alice.password", "password: $bob.password")
    );
    assert_eq!(shown(&both, &refused(true, false)), "blocked account");
    assert_eq!(shown(&both, &refused(false, false)), "skipped not_provided");
}

#[test]
fn an_account_is_disposable_if_the_word_or_the_impact_says_so() {
    let two = Facts { accounts: given(&[(true, false), (true, true)]), ..facts() };
    for body in [
        needs("session", "account alice disposable"),
        needs("ends-sessions", "account alice"),
        needs("destroys", "account alice"),
    ] {
        assert_eq!(shown(&body, &two), "alice=1", "{body}");
    }
    // A refused one would have done only if what the case needs is known of it.
    let refused = |password| {
        let given_refused = Given { password, disposable: true };
        let refused =
            vec![RefusedAccount { given: given_refused, reason: Reason::Account("x".to_owned()) }];
        Facts { accounts: AccountFacts { refused, ..given(&[(true, false)]) }, ..facts() }
    };
    let plain = needs("ends-sessions", "account alice disposable");
    let password =
        format!("impact: ends-sessions\n{}", PASSWORD.replace("alice]", "alice disposable]"));
    assert_eq!(shown(&plain, &refused(false)), "blocked account");
    assert_eq!(shown(&password, &refused(false)), "skipped not_provided");
    assert_eq!(shown(&password, &refused(true)), "blocked account");
}

#[test]
fn wrong_passwords_are_counted_on_accounts_in_use_alone() {
    let locks = "impact: locks-out\nneeds: [account alice]\nchecks: [a.b]\nsteps:\n  - call: login\n    body: { type: m.login.password, \
                 identifier: { type: m.id.user, user: $alice.localpart }, password: wrong }\n    must: { status: 403 }";
    let names: Vec<String> = (0..12).map(|n| format!("case-{n}")).collect();
    let cases: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), locks)).collect();
    let many = suite(&cases);
    let permitted = |disposable| {
        let facts = Facts { accounts: given(&[(true, disposable)]), ..facts() };
        planned(&many, &facts).cases.iter().map(of).collect::<Vec<_>>()
    };
    let in_use = permitted(false);
    let most = crate::http::supplied_accounts::WRONG_PASSWORDS as usize;
    assert!(in_use[..most].iter().all(|one| one == "alice=0"), "{in_use:?}");
    assert!(in_use[most..].iter().all(|one| one == "skipped not_provided"), "{in_use:?}");
    assert!(permitted(true).iter().all(|one| one == "alice=0"));
}

#[test]
fn each_disposable_account_is_ruined_once() {
    let destroys = needs("destroys", "account alice disposable");
    let cases = ["one", "two", "three"].map(|id| (id, destroys.as_str()));
    let facts = Facts { accounts: given(&[(true, true), (true, false), (true, true)]), ..facts() };
    let found: Vec<_> = planned(&suite(&cases), &facts).cases.iter().map(of).collect();
    assert_eq!(found, ["alice=2", "alice=0", "skipped not_provided"]);
    // What only ends sessions leaves it to others.
    let ends = needs("ends-sessions", "account alice disposable");
    let cases = ["one", "two"].map(|id| (id, ends.as_str()));
    let found: Vec<_> = planned(&suite(&cases), &facts).cases.iter().map(of).collect();
    assert_eq!(found, ["alice=2", "alice=2"]);
}

#[test]
fn cases_take_turns_with_accounts_but_readers_share_the_first() {
    let (writes, reads) = (needs("session", "account alice"), needs("reads", "session alice"));
    let cases = [("one", writes.as_str()), ("two", &writes), ("three", &writes), ("four", &reads)];
    let of_given = Facts { accounts: given(&[(true, false), (true, false)]), ..facts() };
    let slots: Vec<_> = planned(&suite(&cases), &of_given).cases.iter().map(of).collect();
    assert_eq!(slots, ["alice=0", "alice=1", "alice=0", "alice=0"]);
    let slots: Vec<_> = planned(&suite(&cases), &facts()).cases.iter().map(of).collect();
    assert_eq!(slots, ["alice=0", "alice=1", "alice=0", "alice=1"]);
    // After what ruins accounts only those that last are taken.
    let last = format!("last: true\n{writes}");
    let given = Facts { accounts: given(&[(true, true), (true, false)]), ..facts() };
    assert_eq!(shown(&last, &given), "alice=1");
    assert_eq!(shown(&writes, &given), "alice=0");
}

#[test]
fn a_plan_counts_what_it_will_send_and_use() {
    let login = format!("impact: session\n{PASSWORD}");
    let repeats = "impact: reads\nneeds: [session alice]\nchecks: [a.b]\nsteps:\n  - { call: getTokenOwner, repeat: 3, must: { status: 200 } }";
    let burst = "impact: reads\nlimits: observe\nchecks: [a.b]\nsteps:\n  - call: login\n    until: { status: 429, at_most: 7 }\n    body: {}\n    must: { status: 429 }";
    let destroys = needs("destroys", "account bob disposable");
    let fails = needs("session", "account alice, flow m.login.sso");
    let cases = [
        ("one", login.as_str()),
        ("two", repeats),
        ("three", burst),
        ("four", &destroys),
        ("five", &fails),
    ];
    let facts = Facts { allowed: BTreeSet::from([Allow::RateLimit]), ..facts() };
    let plan = planned(&suite(&cases), &facts);
    assert_eq!(plan.logins(), 1, "bursts apart");
    assert_eq!(plan.requests(), 1 + 3 + 7 + 1);
    assert_eq!(plan.accounts(), 3, "two for ordinary use, and one to ruin");
    assert!(plan.needs_accounts());
    assert!(plan.to_run(4).is_none() && plan.to_run(5).is_none() && plan.to_run(0).is_some());
    let claims: Vec<_> = plan.cases.iter().map(PlannedCase::claims).collect();
    let account = |slot| BTreeSet::from([Claim::Account(slot)]);
    assert_eq!(claims[0], account(Slot::Main(0)));
    assert_eq!(claims[3], account(Slot::Fresh(3, "bob".to_owned())));
    assert_eq!((&claims[2], &claims[4]), (&BTreeSet::from([Claim::Limits]), &BTreeSet::new()));
    assert_eq!(plan.given_in_use(&facts.accounts), BTreeSet::new());
    let of_given = Facts { accounts: given(&[(true, false), (true, true)]), ..facts };
    let plan = planned(&suite(&cases[..1]), &of_given);
    assert_eq!(plan.given_in_use(&of_given.accounts), BTreeSet::from([0]));
}

#[test]
fn logins_of_all_cases_are_counted() {
    let login = format!("impact: session\n{PASSWORD}");
    let cases = [("one", login.as_str()), ("two", &login), ("three", &login)];
    assert_eq!(planned(&suite(&cases), &facts()).logins(), 3);
    let reads = needs("reads", "session alice");
    assert_eq!(planned(&suite(&[("x", &reads)]), &facts()).logins(), 0);
}

#[test]
fn only_a_case_that_is_not_skipped_needs_accounts() {
    let skipped = needs("session", "account alice, flow m.login.sso");
    assert!(!planned(&suite(&[("x", &skipped)]), &facts()).needs_accounts());
    let blocked = needs("session", "account alice");
    let none = Facts { accounts: AccountFacts::default(), ..facts() };
    assert!(planned(&suite(&[("x", &blocked)]), &none).needs_accounts());
    let other =
        "impact: reads\nchecks: [a.b]\nsteps:\n  - { call: getVersions, must: { status: 200 } }";
    assert!(!planned(&suite(&[("x", other)]), &facts()).needs_accounts());
}

#[test]
fn cases_of_the_application_service_come_one_after_the_other() {
    let service = "impact: reads\nneeds: [operator appservice]\nchecks: [a.b]\nsteps:\n  - { call: getVersions, must: { status: 200 } }";
    let facts = Facts { operator: BTreeSet::from(["appservice".to_owned()]), ..facts() };
    let plan = planned(&suite(&[("one", service)]), &facts);
    assert_eq!(plan.cases[0].claims(), BTreeSet::from([Claim::Service]));
}

#[test]
fn a_case_asks_for_a_session_if_an_account_shows_what_it_needs() {
    let of = |needs: &str| {
        let body = format!(
            "impact: reads\nneeds: [{needs}]\nchecks: [a.b]\nsteps:\n  - {{ call: getVersions, must: {{ status: 200 }} }}"
        );
        asks_for_session(suite(&[("x", &body)]).cases().next().unwrap())
    };
    let with = [
        "account alice",
        "session alice",
        "capability m.x",
        "feature refresh",
        "feature uia_password",
        "feature get_token",
        "feature no_get_token",
        "feature get_token_denied",
        "operator registration",
    ];
    for need in with {
        assert!(of(need), "{need}");
    }
    for need in [
        "flow m.login.sso",
        "version v1.3",
        "before v1.3",
        "feature legacy",
        "feature oauth",
        "operator appservice",
    ] {
        assert!(!of(need), "{need}");
    }
    let each = "impact: reads\neach: operations\nchecks: [a.b]\nsteps:\n  - { method: $row.method, path: $row.path, must: { status: 200 } }";
    assert!(asks_for_session(suite(&[("x", each)]).cases().next().unwrap()));
}

#[test]
fn phases_come_in_order_and_within_one_what_decides_most_for_a_login() {
    let free = |checks: &str, level: &str| {
        format!(
            "impact: reads\nchecks: [{checks}]\nsteps:\n  - {{ call: getVersions, {level}: {{ status: 200 }} }}"
        )
    };
    let login = |checks: &str, steps: &str| {
        format!("impact: session\nneeds: [account alice]\nchecks: [{checks}]\nsteps:\n{steps}")
    };
    let step = |req: &str, level: &str| {
        format!(
            "  - {{ call: login, body: {{ type: m.login.password, x: $alice.localpart }}, {level}: {{ req: {req}, status: 200 }} }}\n"
        )
    };
    let should = free("e.f", "should");
    let must = free("a.b", "must");
    let destroys = needs("destroys", "account alice disposable");
    let last = format!("last: true\n{must}");
    let burst = format!("limits: observe\n{must}");
    let known = login("a.b", &step("a.b", "must"));
    let new = login("c.d", &step("c.d", "must"));
    let dear = login("c.d", &(step("c.d", "must") + &step("c.d", "must")));
    let cases = [
        ("last", last.as_str()),
        ("burst", &burst),
        ("destroys", &destroys),
        ("should", &should),
        ("known", &known),
        ("dear", &dear),
        ("new", &new),
        ("must", &must),
    ];
    let facts = Facts { allowed: BTreeSet::from([Allow::RateLimit]), ..facts() };
    let plan = planned(&suite(&cases), &facts);
    let names: Vec<Vec<&str>> =
        plan.phases.iter().map(|phase| phase.iter().map(|at| cases[*at].0).collect()).collect();
    let expected: [&[&str]; 4] =
        [&["must", "should", "new", "known", "dear"], &["destroys"], &["burst"], &["last"]];
    // Of two that decide nothing new the first in the file is first.
    assert_eq!(names, expected);
}

#[test]
fn what_a_case_stands_for_is_a_row_each() {
    let icons = "impact: reads\neach: identity_providers\nneeds: [flow m.login.sso]\nchecks: [a.b]\nsteps:\n  \
                 - { method: GET, path: \"/x/${row.provider}\", must: { status: 200 } }";
    let provider = |id: &str, icon: Option<&str>| Provider {
        id: id.to_owned(),
        icon: icon.map(str::to_owned),
    };
    let providers = vec![provider("house", None), provider("other", Some("hs/x"))];
    let sso = vec!["m.login.sso".to_owned()];
    let facts = Facts { providers, flows: sso.clone(), ..facts() };
    let ids = |plan: &Plan| plan.cases.iter().map(|one| one.case.id.clone()).collect::<Vec<_>>();
    let plan = planned(&suite(&[("x", icons)]), &facts);
    assert_eq!(ids(&plan), ["x[1]", "x[2]"]);
    let values = &plan.cases[1].case.values;
    assert!(values.contains(&("row.provider".to_owned(), "other".into())), "{values:?}");
    let media =
        icons.replace("identity_providers", "provider_icons").replace("row.provider", "row.media");
    let plan = planned(&suite(&[("x", &media)]), &facts);
    assert_eq!(ids(&plan), ["x[1]"]);
    assert!(plan.cases[0].case.values.contains(&("row.media".to_owned(), "hs/x".into())));
    let none = Facts { providers: Vec::new(), flows: sso, ..facts };
    let plan = planned(&suite(&[("x", icons)]), &none);
    assert_eq!(
        (ids(&plan), of(&plan.cases[0])),
        (vec!["x".to_owned()], "skipped not_offered".to_owned())
    );
}

#[test]
fn a_case_that_stands_for_nothing_says_of_what_there_is_none() {
    let text = |each: &str| {
        let body = format!(
            "impact: reads\neach: {each}\nchecks: [a.b]\nsteps:\n  - {{ method: GET, path: /x, must: {{ status: 200 }} }}"
        );
        let plan = planned(&suite(&[("x", &body)]), &facts());
        let Disposition::Not(Verdict::Skipped, reason) = &plan.cases[0].disposition else {
            panic!("skipped")
        };
        reason.text()
    };
    assert_eq!(text("identity_providers"), "the server lists no identity providers");
    assert_eq!(text("provider_icons"), "the server lists no identity provider with an icon");
}

#[test]
fn of_the_optional_operations_those_that_were_seen_are_expected() {
    let each = "impact: reads\neach: operations\nchecks: [a.b]\nsteps:\n  - { method: $row.method, path: $row.path, must: { status: 200 } }";
    let rows = |facts: &Facts| {
        let plan = planned(&suite(&[("x", each)]), facts);
        let ids = plan.cases.iter().map(|one| one.case.id.clone());
        ids.map(|id| id.trim_start_matches("x[").trim_end_matches(']').to_owned())
            .collect::<BTreeSet<_>>()
    };
    let base = Facts { features: BTreeSet::new(), flows: Vec::new(), ..facts() };
    let without = rows(&base);
    assert!(without.contains("getVersions") && without.contains("getDevices"), "{without:?}");
    let more = |feature| rows(&Facts { features: BTreeSet::from([feature]), ..base.clone() });
    let added = |with: BTreeSet<String>| with.difference(&without).cloned().collect::<Vec<_>>();
    assert_eq!(added(more(Feature::GetToken)), ["generateLoginToken"]);
    assert_eq!(added(more(Feature::Refresh)), ["refresh"]);
    assert_eq!(added(more(Feature::Legacy)), ["getLoginFlows", "login"]);
    assert_eq!(added(more(Feature::Oauth)), ["getAuthMetadata"]);
    let sso = rows(&Facts { flows: vec!["m.login.sso".to_owned()], ..base.clone() });
    assert!(sso.contains("redirectToSSO") && !without.contains("redirectToSSO"));
    assert!(!without.contains("getWellknown"));
    let old = rows(&Facts { listed: Listed::new(["r0.2.0"]), ..base });
    assert!(!old.contains("getDevices") && old.contains("getVersions"));
    // Names in a path are filled.
    let plan = planned(&suite(&[("x", each)]), &facts());
    let device = plan.cases.iter().find(|one| one.case.id == "x[getDevice]").unwrap();
    let path = "/_matrix/client/v3/devices/homespec";
    assert!(device.case.values.contains(&("row.path".to_owned(), path.into())));
    assert!(
        device.case.values.contains(&("row.method".to_owned(), "GET".into())),
        "{:?}",
        device.case.values
    );
}

fn absent(names: &[&str]) -> Facts {
    Facts { absent: names.iter().map(|name| (*name).to_owned()).collect(), ..facts() }
}

#[test]
fn the_first_that_is_there_shows_that_a_token_lives() {
    assert_eq!(observers::substitute(&facts()), Some("getTokenOwner"));
    assert_eq!(observers::substitute(&absent(&["getTokenOwner"])), Some("getDevices"));
    assert_eq!(
        observers::substitute(&absent(&["getTokenOwner", "getDevices"])),
        Some("getCapabilities")
    );
    assert_eq!(
        observers::substitute(&absent(&["getTokenOwner", "getDevices", "getCapabilities"])),
        None
    );
}

#[test]
fn what_only_looks_at_a_token_asks_another_operation_where_its_own_is_absent() {
    let facts = absent(&["getTokenOwner"]);
    let adapted = |body: &str| {
        let suite = suite(&[("x", body)]);
        let case = suite.shared_cases().next().unwrap().clone();
        observers::adapted(case, &facts)
    };
    let target = |case: &Case, n: usize| {
        let step = case.all_steps().nth(n).unwrap();
        let StepTarget::Call(operation) = &step.target else { panic!("a call") };
        (operation.clone(), step.goes_on)
    };
    let body = |setup: &str, step: &str| {
        format!("impact: session\nneeds: [session alice]\nchecks: [a.b]\n{setup}steps:\n  - {step}")
    };
    let step = |more: &str| format!("{{ call: getTokenOwner, token: $alice.token, {more} }}");
    let dead = "must: { status: 401, body: { /errcode: M_UNKNOWN_TOKEN } }";
    let (other, own) = (("getDevices".to_owned(), false), ("getTokenOwner".to_owned(), true));
    assert_eq!(target(&adapted(&body("", &step(dead))), 0), other);
    let kept = [
        "must: { status: 200, body: { /user_id: $alice.user_id } }",
        "must: { status: 200, headers: { X: { present: true } } }",
        "must: { status: 401, text: x }",
        "query: { x: y }, must: { status: 401 }",
        "api: r0, must: { status: 401 }",
        "repeat: 2, must: { status: 401 }",
    ];
    for kept in kept {
        assert_eq!(target(&adapted(&body("", &step(kept))), 0), own, "{kept}");
    }
    let without_token = "{ call: getTokenOwner, must: { status: 401 } }";
    assert_eq!(target(&adapted(&body("", without_token)), 0), own);
    // What a later step takes from it, no other operation has.
    let saves = step("must: { status: 200 }, save: { x: /user_id }");
    assert_eq!(target(&adapted(&body("", &saves)), 0), ("getTokenOwner".to_owned(), false));
    // In set-up the other one only has to answer.
    let setup = format!(
        "setup:\n  - {}\n",
        step("must: { status: 200, body: { /user_id: $alice.user_id } }")
    );
    let case = adapted(&body(&setup, "{ call: getVersions, must: { status: 200 } }"));
    assert_eq!(target(&case, 0), other);
    let expect = &case.setup[0].blocks[0].branches[0].expect;
    assert!(
        expect.body.is_empty() && expect.status.as_ref().is_some_and(|status| status.holds(299))
    );
    assert!(!expect.status.as_ref().unwrap().holds(300));
    let refusal = format!("setup:\n  - {}\n", step("must: { status: 401 }"));
    let case = adapted(&body(&refusal, "{ call: getVersions, must: { status: 200 } }"));
    assert_eq!(target(&case, 0), ("getTokenOwner".to_owned(), false), "a refusal is no success");
    // What the server offers, no other operation says.
    let asks = step("optional: x, must: { status: 200, body: { /user_id: $alice.user_id } }");
    let asks = format!("setup:\n  - {asks}\n");
    let case = adapted(&body(&asks, "{ call: getVersions, must: { status: 200 } }"));
    assert_eq!(target(&case, 0), ("getTokenOwner".to_owned(), false), "an offer");
    // Nothing is changed where nothing is absent.
    let there = suite(&[("x", &body("", &step(dead)))]);
    let case = there.shared_cases().next().unwrap().clone();
    assert!(Arc::ptr_eq(&case, &observers::adapted(case.clone(), &absent(&["getDevices"]))));
}

#[test]
fn a_requirement_of_the_operation_itself_is_not_observed_by_another() {
    let facts = absent(&["getTokenOwner"]);
    for (req, goes_on) in [
        ("whoami.user", true),
        ("device.list.current", true),
        ("route.x", true),
        ("token.x", false),
    ] {
        let body = format!(
            "impact: reads\nneeds: [session alice]\nchecks: [{req}]\nsteps:\n  - {{ call: getTokenOwner, token: $alice.token, must: {{ status: 401 }} }}"
        );
        let suite = suite(&[("x", &body)]);
        let adapted = observers::adapted(suite.shared_cases().next().unwrap().clone(), &facts);
        assert_eq!(adapted.steps[0].goes_on, goes_on, "{req}");
    }
}
