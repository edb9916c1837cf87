//! Sessions of earlier logins: which of them there are, whom they are offered, and what they serve.
use super::*;
use crate::accounts::account::{Proof, good_login};
use crate::case::suite::Suite;
use crate::plan::Slot;
use crate::plan::routes::{Route, Routes};
use crate::run::variables::Variables;
use serde_json::json;

struct Nowhere;

impl Routes for Nowhere {
    fn route(&self, operation: &str, _: Option<crate::case::ast::Api>) -> Option<Route> {
        Some(Route { method: "POST".to_owned(), path: format!("/_matrix/client/v3/{operation}") })
    }
}

fn login(body: &Value, status: u16, given: &Value) -> Exchange {
    Exchange {
        request: Request::new(Some("login"), "POST", "/_matrix/client/v3/login").json(body),
        url: String::new(),
        sent_headers: Vec::new(),
        result: Ok(Response::new(status, Vec::new(), given.to_string().into_bytes(), false)),
        duration: Duration::ZERO,
        shared: false,
    }
}

fn session(user: &str, token: &str) -> Exchange {
    let given = json!({"user_id": "@alice:hs", "device_id": "D", "access_token": token});
    login(&good_login(user, "secret"), 200, &given)
}

/// A case that logs in for a session and goes on with these steps.
fn case(login: &str, then: &str) -> Arc<Case> {
    let text = format!(
        "about: x\ncases:\n  - id: x\n    title: x\n    impact: session\n    needs: [account alice]\n    \
         checks: [a.b]\n    setup:\n      - call: login\n        body: {login}\n        must: {{ status: 2xx }}\n        \
         save: {{ token: /access_token }}\n    steps:\n      - {{ call: {then}, token: $token, must: {{ status: 200 }} }}\n"
    );
    let suite = Suite::from_texts([("x.yaml".to_owned(), text)])
        .unwrap_or_else(|faults| panic!("{}", faults[0].render(false)));
    suite.shared_cases().next().unwrap().clone()
}

const LOGIN: &str = "{ type: m.login.password, identifier: { type: m.id.user, user: $alice.localpart }, \
                     password: $alice.password, device_id: $new.device_id }";

#[test]
fn only_a_good_login_leaves_a_session() {
    let good = session("alice", "t");
    let reusable = ReusableSession::of(&good, true).unwrap();
    assert!(reusable.is_shared && reusable.login.shared);
    assert!(!ReusableSession::of(&good, false).unwrap().is_shared);
    let others = [
        login(&json!({}), 403, &json!({"access_token": "t"})),
        login(&json!({}), 200, &json!({})),
        Exchange { request: Request::new(Some("register"), "POST", "/x"), ..good },
    ];
    for other in others {
        assert!(ReusableSession::of(&other, false).is_none());
    }
}

#[test]
fn each_round_admits_its_cases_and_offers_its_sessions() {
    use ReusePolicy::{Any, MayEnd, ReadOnly};
    let (reads, ends) = (case(LOGIN, "getTokenOwner"), case(LOGIN, "logout"));
    let own =
        Assignment { accounts: [("alice".to_owned(), Slot::Main(0))].into(), sessions: Vec::new() };
    let shared = Assignment { sessions: vec!["bob".to_owned()], ..own.clone() };
    for (policy, case, assignment, expected) in [
        (ReadOnly, &reads, &own, true),
        (ReadOnly, &ends, &own, false),
        (MayEnd, &ends, &own, true),
        (MayEnd, &ends, &shared, true),
        (Any, &ends, &own, true),
        (Any, &ends, &shared, false),
    ] {
        assert_eq!(policy.admits(case, assignment), expected, "{policy:?} {}", case.id);
    }
    let other = case("{ type: m.login.token, token: x }", "getTokenOwner");
    assert!(
        ReusePolicy::ALL.iter().all(|policy| !policy.admits(&other, &own)),
        "it wants its own login"
    );
    let created = CreatedResources::default();
    let (first, second) = (
        session("alice", "one"),
        login(
            &json!({}),
            200,
            &json!({"user_id": "@b:hs", "device_id": "E", "access_token": "two"}),
        ),
    );
    let sessions =
        [ReusableSession::of(&first, false).unwrap(), ReusableSession::of(&second, true).unwrap()];
    assert!(ReadOnly.offers(&sessions, &created).is_empty(), "neither is open");
    [&first, &second].into_iter().for_each(|sent| created.note(sent));
    let count = |policy: ReusePolicy| policy.offers(&sessions, &created).len();
    assert_eq!([ReadOnly, MayEnd, Any].map(count), [2, 1, 2]);
}

/// The login of a case, and what comes of offering it a session.
fn served(case: &Case, offered: &Exchange) -> Option<SendResult> {
    let alice = AccountView {
        user_id: "@alice:hs".to_owned(),
        login_name: "alice".to_owned(),
        password: Some("secret".to_owned()),
        ..AccountView::default()
    };
    let accounts = BTreeMap::from([("alice".to_owned(), alice)]);
    let variables = Variables::new(case.values.iter().cloned(), accounts.clone(), BTreeMap::new());
    let mut machine = CaseMachine::new(case, &Nowhere, variables);
    let crate::run::case_machine::Next::Send(requests) = machine.advance() else {
        panic!("a login")
    };
    let offered = ReusableSession::of(offered, false).into_iter().collect();
    let mut budget = LoginBudget::reusing(case, offered);
    let found = budget.session_for(&requests[0], case, &accounts, &mut machine);
    // They are offered once.
    assert!(budget.session_for(&requests[0], case, &accounts, &mut machine).is_none());
    found
}

#[test]
fn a_session_serves_the_same_account_by_the_same_way_in() {
    let reads = case(LOGIN, "getTokenOwner");
    assert!(served(&reads, &session("alice", "t")).is_some());
    assert!(
        served(&reads, &session("@alice:hs", "t")).is_some(),
        "another spelling of the same account"
    );
    assert!(served(&reads, &session("bob", "t")).is_none());
    let given = json!({"user_id": "@alice:hs", "device_id": "D", "access_token": "t"});
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = good_login("alice", "secret");
        change(&mut body);
        login(&body, 200, &given)
    };
    assert!(served(&reads, &with(&|body| body["password"] = "other".into())).is_none());
    assert!(served(&reads, &with(&|body| body["type"] = "m.login.token".into())).is_none());
    // One that wants a refresh token needs one.
    let refreshing =
        case(&LOGIN.replace("device_id: $new.device_id", "refresh_token: true"), "getTokenOwner");
    assert!(served(&refreshing, &session("alice", "t")).is_none());
    let with_token = json!({"user_id": "@alice:hs", "device_id": "D", "access_token": "t", "refresh_token": "r"});
    assert!(
        served(&refreshing, &login(&good_login("alice", "secret"), 200, &with_token)).is_some()
    );
    let declining =
        case(&LOGIN.replace("device_id: $new.device_id", "refresh_token: false"), "getTokenOwner");
    assert!(served(&declining, &session("alice", "t")).is_some());
    // What the case wrote down cannot be another device or name.
    for fixed in ["device_id: OWN", "initial_device_display_name: own"] {
        let fixed = case(&LOGIN.replace("device_id: $new.device_id", fixed), "getTokenOwner");
        assert!(served(&fixed, &session("alice", "t")).is_none());
    }
    let same = case(&LOGIN.replace("$new.device_id", "D"), "getTokenOwner");
    assert!(served(&same, &session("alice", "t")).is_some());
    let without_device = json!({"user_id": "@alice:hs", "access_token": "t"});
    assert!(served(&reads, &login(&good_login("alice", "secret"), 200, &without_device)).is_none());
}

#[test]
fn the_login_that_proved_an_account_is_looked_at_again_where_it_is_the_same() {
    let body = good_login("alice", "secret");
    let proof =
        |body: &Value| Proof { body: body.clone(), exchange: Arc::new(session("alice", "t")) };
    let account = AccountView { proof: Some(proof(&body)), ..AccountView::default() };
    let accounts = BTreeMap::from([("alice".to_owned(), account)]);
    let (reads, ends) = (case(LOGIN, "getTokenOwner"), case(LOGIN, "logout"));
    let request = session("alice", "t").request;
    assert!(proof_of(&request, &reads, &accounts).is_some());
    assert!(proof_of(&request, &ends, &accounts).is_none(), "it would end it");
    let other = Request::new(Some("login"), "POST", &request.path).json(&good_login("alice", "x"));
    assert!(proof_of(&other, &reads, &accounts).is_none());
    let elsewhere = Request { path: "/_matrix/client/r0/login".to_owned(), ..request.clone() };
    assert!(proof_of(&elsewhere, &reads, &accounts).is_none());
    assert!(proof_of(&request.clone().bearer("t"), &reads, &accounts).is_none());
    let refused = AccountView { refused: vec![proof(&body)], ..AccountView::default() };
    let accounts = BTreeMap::from([("alice".to_owned(), refused)]);
    assert!(proof_of(&request, &reads, &accounts).is_some());
    assert!(proof_of(&request, &reads, &BTreeMap::new()).is_none());
}

#[test]
fn a_budget_leaves_the_queue_with_its_last_login() {
    let login = || Request::new(Some("login"), "POST", "/x");
    let queue = LoginQueue::new([1, 2]);
    let mut budget = LoginBudget::queued(&case(LOGIN, "getTokenOwner"), Some((queue.clone(), 1)));
    let open = || queue.0.borrow().clone();
    budget.give_back(&[Request::new(Some("getDevices"), "GET", "/x")]);
    assert_eq!(open(), [1, 2]);
    budget.give_back(&[login(), login()]);
    assert_eq!(open(), [2]);
    budget.give_back(&[login()]);
    assert_eq!(open(), [2]);
}
