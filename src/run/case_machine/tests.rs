//! Cases against hand-written answers, from the text of a case to its verdict; no server.
use super::waits::LONGER;
use super::*;
use crate::accounts::account::AccountView;
use crate::case::load::case_file;
use crate::check::verdict::{Applicability, Decided, Weight, decide};
use crate::model::run::{Level, Verdict};
use crate::requirements::Severity;
use crate::yaml::document::Document;
use serde_json::json;
use std::collections::BTreeMap;

/// Every operation lies at its own name.
struct ByName;

impl Routes for ByName {
    fn route(
        &self,
        operation: &str,
        _: Option<crate::case::ast::Api>,
    ) -> Option<crate::plan::routes::Route> {
        (operation != "nowhere").then(|| crate::plan::routes::Route {
            method: "POST".to_owned(),
            path: format!("/{operation}/{{id}}"),
        })
    }
}

/// The case of a text that leaves out what does not matter here.
fn case(body: &str) -> std::sync::Arc<Case> {
    let indented: String = body.lines().map(|line| format!("    {line}\n")).collect();
    let text = format!(
        "about: x\ncases:\n  - id: x\n    title: x\n    impact: session\n    \
         needs: [account alice]\n{indented}"
    );
    let document = Document::parse("x.yaml", text).unwrap();
    let mut file =
        case_file(document).unwrap_or_else(|faults| panic!("{}", faults[0].render(false)));
    file.cases.remove(0)
}

fn response(status: u16, body: Value) -> Reply {
    Reply::Response(Response::new(status, Vec::new(), body.to_string().into_bytes(), false))
}

struct Played {
    requests: Vec<Request>,
    pauses: Vec<Duration>,
    waits: Vec<Duration>,
    /// Number of responses left over.
    left: usize,
    decided: Decided,
}

impl Played {
    fn verdict(&self) -> Verdict {
        self.decided.verdict
    }

    /// The code of the reason.
    fn why(&self) -> &str {
        self.decided.reason.as_ref().map_or("", |reason| reason.code().as_str())
    }

    fn of(&self, requirement: &str) -> Verdict {
        let all = &self.decided.decisions;
        all.iter().find(|decision| decision.requirement == requirement).unwrap().verdict
    }
}

fn play(case: &Case, replies: impl IntoIterator<Item = Reply>) -> Played {
    play_with(case, replies, &Ok(()))
}

/// The same with this end of every wait.
fn play_with(
    case: &Case,
    replies: impl IntoIterator<Item = Reply>,
    end: &Result<(), Reason>,
) -> Played {
    let alice = AccountView {
        user_id: "@alice:hs".to_owned(),
        password: Some("secret".to_owned()),
        ..AccountView::default()
    };
    let accounts = BTreeMap::from([("alice".to_owned(), alice)]);
    let variables = Variables::new(case.values.iter().cloned(), accounts, BTreeMap::new());
    let mut machine = CaseMachine::new(case, &ByName, variables);
    let mut replies = replies.into_iter();
    let (mut requests, mut pauses, mut waits) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        match machine.advance() {
            Next::Done => break,
            Next::Pause(time) => pauses.push(time),
            Next::Wait(time) => {
                waits.push(time);
                machine.waited(end.clone());
            }
            Next::Operate(..) => machine.operated(Ok(())),
            Next::Judge(judging) => machine.judged(judging.judge(case)),
            Next::Send(now) => {
                let responses: Vec<Reply> = replies.by_ref().take(now.len()).collect();
                assert_eq!(responses.len(), now.len(), "asked for more than was expected");
                requests.extend(now);
                machine.replied(responses);
            }
        }
    }
    let decided = decide(case, &machine.finish(), &applies, &|n| format!("x#{}", n + 1));
    Played { requests, pauses, waits, left: replies.count(), decided }
}

/// `should.…` warns, `may.…` is observed, everything else fails.
fn applies(id: &str) -> Applicability {
    let (level, severity) = match id.split('.').next() {
        Some("should") => (Level::Should, Severity::Warns),
        Some("may") => (Level::May, Severity::Observes),
        Some("unknown") => return Applicability::Unknown,
        Some("new") => return Applicability::OutOfRange,
        _ => (Level::Must, Severity::Fails),
    };
    Applicability::Applies(Weight { level, severity })
}

#[test]
fn a_requirement_of_no_release_that_the_server_lists_is_skipped_whatever_was_seen() {
    let case = case(
        "checks: [a.b, new.c]\nsteps:\n  - call: one\n    must: [{ req: a.b, status: 200 }, { req: new.c, status: 201 }]",
    );
    let played = play(&case, [response(200, json!({}))]);
    assert_eq!((played.verdict(), played.of("new.c")), (Verdict::Passed, Verdict::Skipped));
    assert!(played.decided.findings.is_empty());
}

#[test]
fn a_requirement_that_the_register_does_not_have_is_errored() {
    let case = case(
        "checks: [a.b, unknown.c]\nsteps:\n  - call: one\n    must: [{ req: a.b, status: 200 }, { req: unknown.c, status: 200 }]",
    );
    let played = play(&case, [response(200, json!({}))]);
    assert_eq!((played.verdict(), played.why()), (Verdict::Errored, "unknown_requirement"));
    assert_eq!(played.of("a.b"), Verdict::Passed);
}

#[test]
fn what_is_as_expected_passes() {
    let case = case("checks: [a.b]\nsteps:\n  - { call: one, must: { status: 200 } }");
    let played = play(&case, [response(200, json!({}))]);
    assert_eq!((played.verdict(), played.decided.findings.len()), (Verdict::Passed, 0));
}

#[test]
fn a_broken_must_fails_a_broken_should_warns_a_may_is_observed() {
    let case = case(
        "checks: [a.b, should.c, may.d]\nsteps:\n  - call: one\n    \
         must: { req: a.b, body: { /x: 1 } }\n    should: { req: should.c, body: { /x: 1 } }\n    \
         may: { req: may.d, body: { /x: 1 } }",
    );
    let played = play(&case, [response(200, json!({"x": 2}))]);
    assert_eq!(played.verdict(), Verdict::Failed);
    assert_eq!(played.of("a.b"), Verdict::Failed);
    assert_eq!(played.of("should.c"), Verdict::Warned);
    assert_eq!(played.of("may.d"), Verdict::Passed);
    let finding = &played.decided.findings[0];
    assert_eq!(
        (finding.pointer.as_str(), finding.expected.as_str(), finding.actual.as_str()),
        ("/x", "1", "2")
    );
    assert_eq!(finding.exchange.as_deref(), Some("x#1"));
}

#[test]
fn what_breaks_in_setup_blocks() {
    let case = case(
        "checks: [a.b]\nsetup:\n  - { call: zero, must: { status: 200 } }\nsteps:\n  \
         - { call: one, must: { status: 200 } }",
    );
    let played = play(&case, [response(500, json!({"errcode": "M_UNKNOWN"}))]);
    assert_eq!((played.verdict(), played.why()), (Verdict::Blocked, "setup"));
    let why = played.decided.reason.unwrap().text();
    assert!(why.starts_with("set-up step 1 (line 9) failed: expected 200, got 500"), "{why}");
    assert!(played.decided.findings.is_empty());
}

#[test]
fn an_optional_setup_that_breaks_skips() {
    let case = case(
        "checks: [a.b]\nsetup:\n  - { call: zero, optional: guests, must: { status: 200 } }\nsteps:\n  \
         - { call: one, must: { status: 200 } }",
    );
    let played = play(&case, [response(403, json!({"errcode": "M_GUEST_ACCESS_FORBIDDEN"}))]);
    assert_eq!((played.verdict(), played.why()), (Verdict::Skipped, "not_offered"));
    assert!(played.decided.reason.unwrap().text().contains("guests"));
    let played = play(&case, [response(200, json!({})), response(200, json!({}))]);
    assert_eq!(played.verdict(), Verdict::Passed);
}

#[test]
fn a_wrong_status_ends_the_case_and_later_steps_are_not_reached() {
    let case = case(
        "checks: [a.b, c.d]\nsteps:\n  - { call: one, must: { req: a.b, status: 200 } }\n  \
         - { call: two, must: { req: c.d, status: 200 } }",
    );
    let played = play(&case, [response(418, json!({}))]);
    assert_eq!((played.requests.len(), played.verdict()), (1, Verdict::Failed));
    assert_eq!((played.of("a.b"), played.of("c.d")), (Verdict::Failed, Verdict::Blocked));
    let of_second = played.decided.decisions[1].reason.clone().unwrap();
    assert_eq!(of_second.code, "not_reached");
}

#[test]
fn another_success_than_the_one_wanted_does_not_end_the_case() {
    let case = case(
        "checks: [a.b, c.d]
steps:
  - { call: login, must: { req: a.b, status: 200 }, save: { device: /device_id } }
  - { call: getDevice, params: { id: $device }, must: { req: c.d, status: 2xx } }",
    );
    let logged_in = || response(201, json!({"device_id": "D"}));
    let played = play(&case, [logged_in(), response(200, json!({}))]);
    assert_eq!(played.of("a.b"), Verdict::Failed);
    assert_eq!(played.of("c.d"), Verdict::Passed);
    assert_eq!(played.requests[1].path, "/getDevice/D");
}

#[test]
fn a_wrong_status_of_a_should_does_not_end_the_case() {
    let case = case(
        "checks: [should.b, c.d]\nsteps:\n  - { call: one, should: { req: should.b, status: 200 } }\n  \
         - { call: two, must: { req: c.d, status: 200 } }",
    );
    let played = play(&case, [response(418, json!({})), response(200, json!({}))]);
    assert_eq!(played.verdict(), Verdict::Warned);
    assert_eq!(played.of("c.d"), Verdict::Passed);
}

const BRANCHES: &str = "checks: [a.b]\nsteps:\n  - call: one\n    must:\n      one_of:\n        \
     - { name: says so, status: 404 }\n        - { name: hides it, status: 403 }\n        \
     - { name: odd, warn: nobody does this, status: 400 }";

#[test]
fn the_branch_that_was_taken_is_named_and_one_with_warn_warns() {
    let case = case(BRANCHES);
    let hidden = play(&case, [response(403, json!({}))]);
    assert_eq!(
        (hidden.verdict(), hidden.decided.branch.as_deref()),
        (Verdict::Passed, Some("hides it"))
    );
    let odd = play(&case, [response(400, json!({}))]);
    assert_eq!((odd.verdict(), odd.decided.branch.as_deref()), (Verdict::Warned, Some("odd")));
    let finding = &odd.decided.findings[0];
    assert_eq!((finding.message.as_str(), finding.verdict), ("nobody does this", Verdict::Warned));
    assert_eq!(finding.expected, "says so or hides it");
    let none = play(&case, [response(200, json!({}))]);
    assert_eq!(none.verdict(), Verdict::Failed);
    assert_eq!(none.decided.findings[0].expected, "status 404 or status 403");
}

#[test]
fn a_condition_that_never_holds_is_not_observed() {
    let case = case(
        "checks: [a.b]\nsteps:\n  - call: one\n    \
         must: { if: { status: 403 }, body: { /errcode: M_FORBIDDEN } }",
    );
    let never = play(&case, [response(200, json!({}))]);
    assert_eq!((never.verdict(), never.why()), (Verdict::Skipped, "not_observed"));
    let broken = play(&case, [response(403, json!({"errcode": "M_UNKNOWN"}))]);
    assert_eq!(broken.verdict(), Verdict::Failed);
}

#[test]
fn what_is_saved_is_sent_in_path_query_header_and_body() {
    let case = case(
        "checks: [a.b]\nsteps:\n  - call: one\n    must: { status: 200 }\n    \
         save: { token: /deep/token, code: status, where: { location: t }, tag: { header: X-Tag } }\n  \
         - call: two\n    params: { id: \"a/${tag}\" }\n    query: { q: \"$where\" }\n    \
         headers: { X-Again: $tag }\n    token: $token\n    body: { code: $code }\n    \
         must: { status: 200, body: { /echo: $token } }",
    );
    let headers = [("location", "https://x/?t=a%20b#f"), ("x-tag", "t ä")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let body = json!({"deep": {"token": "T"}}).to_string().into_bytes();
    let first = Reply::Response(Response::new(200, headers, body, false));
    let played = play(&case, [first, response(200, json!({"echo": "T"}))]);
    assert_eq!(played.verdict(), Verdict::Passed, "{:?}", played.decided.findings);
    let second = &played.requests[1];
    assert_eq!(second.path, "/two/a%2Ft%20%C3%A4?q=a+b");
    assert_eq!(second.header("x-again"), Some("t ä"));
    assert_eq!(second.header("authorization"), Some("Bearer T"));
    assert_eq!(second.json_body(), Some(json!({"code": 200})));
}

#[test]
fn a_reference_that_got_no_value_leaves_its_step_unreached() {
    let case = case(
        "checks: [a.b, c.d]\nsteps:\n  - call: one\n    must: { req: a.b, status: 200 }\n    \
         save: { token: /access_token }\n  \
         - { call: two, token: $token, must: { req: c.d, status: 200 } }",
    );
    let played = play(&case, [response(200, json!({}))]);
    assert_eq!((played.of("a.b"), played.of("c.d")), (Verdict::Passed, Verdict::Blocked));
    assert_eq!((played.verdict(), played.why()), (Verdict::Blocked, "not_reached"));
    assert!(played.decided.reason.unwrap().text().contains("`$token` has no value here"));
}

#[test]
fn an_operation_without_a_route_is_not_reached() {
    let case = case("checks: [a.b]\nsteps:\n  - { call: nowhere, must: { status: 200 } }");
    let played = play(&case, []);
    assert_eq!((played.verdict(), played.why()), (Verdict::Blocked, "not_reached"));
}

#[test]
fn parallel_answers_are_counted() {
    let case = case(
        "checks: [a.b]\nsteps:\n  - { call: one, parallel: 3, must: { exactly: 1, status: 200 } }",
    );
    let (yes, no) = (|| response(200, json!({})), || response(403, json!({})));
    let once = play(&case, [no(), yes(), no()]);
    assert_eq!((once.requests.len(), once.verdict()), (3, Verdict::Passed));
    let twice = play(&case, [no(), yes(), yes()]);
    assert_eq!(twice.verdict(), Verdict::Failed);
    assert_eq!(twice.decided.findings[0].actual, "2");
    assert_eq!(twice.decided.findings[0].exchange.as_deref(), Some("x#3"), "the one too many");
    assert_eq!(play(&case, [no(), no(), no()]).verdict(), Verdict::Failed);
}

#[test]
fn repeat_judges_every_answer() {
    let case =
        case("checks: [a.b]\nsteps:\n  - { call: one, repeat: 3, must: { body: { /n: 1 } } }");
    let n = |n: u32| response(200, json!({"n": n}));
    assert_eq!(play(&case, [n(1), n(1), n(1)]).verdict(), Verdict::Passed);
    let second = play(&case, [n(1), n(2), n(1)]);
    assert_eq!(second.verdict(), Verdict::Failed);
    assert_eq!(second.decided.findings[0].exchange.as_deref(), Some("x#2"));
}

#[test]
fn until_ends_with_its_status_and_judges_the_last() {
    let case = case(
        "checks: [a.b]\nlimits: observe\nsteps:\n  - call: one\n    \
         until: { status: 429, at_most: 3 }\n    must: { status: 429 }",
    );
    let (fine, limited) = (|| response(200, json!({})), || response(429, json!({})));
    let early = play(&case, [fine(), limited(), fine()]);
    assert_eq!((early.verdict(), early.requests.len(), early.left), (Verdict::Passed, 2, 1));
    let never = play(&case, [fine(), fine(), fine()]);
    assert_eq!((never.verdict(), never.requests.len()), (Verdict::Failed, 3));
    assert_eq!(never.decided.findings[0].exchange.as_deref(), Some("x#3"));
}

#[test]
fn within_asks_again_until_it_is_as_expected_or_the_time_is_up() {
    let case = case("checks: [a.b]\nsteps:\n  - { call: one, within: 1s, must: { status: 401 } }");
    let (old, new) = (|| response(200, json!({})), || response(401, json!({})));
    let third = play(&case, [old(), old(), new()]);
    assert_eq!((third.verdict(), third.requests.len()), (Verdict::Passed, 3));
    assert_eq!(third.pauses, [AGAIN, AGAIN]);
    assert_eq!(third.decided.branch.as_deref(), Some(LATER));
    assert_eq!(play(&case, [new()]).decided.branch, None);
    let never = play(&case, std::iter::repeat_with(old).take(10));
    assert_eq!(
        (never.verdict(), never.requests.len(), never.pauses.len()),
        (Verdict::Failed, 5, 4)
    );
}

const TWO: &str = "checks: [a.b, should.c]\nsteps:\n  \
    - { call: one, must: { req: a.b, status: 200 }, save: { lifetime: /expires_in_ms } }\n  \
    - { call: two, wait: $lifetime, should: { req: should.c, status: 401 } }";

#[test]
fn a_saved_number_is_waited_for_once_and_a_little_longer() {
    let case = case(TWO);
    let replies = || [response(200, json!({"expires_in_ms": 2000})), response(401, json!({}))];
    let played = play(&case, replies());
    assert_eq!(played.waits, [Duration::from_secs(2) + LONGER]);
    assert_eq!((played.verdict(), played.requests.len()), (Verdict::Passed, 2));
    assert!(case.waits() && !case.waits_for_access_token(), "no login gave it");

    let too_long = Reason::WaitTooLong { wait: 3, spent: 0, budget: 1 };
    let refused = play_with(&case, replies(), &Err(too_long));
    assert_eq!((refused.of("a.b"), refused.of("should.c")), (Verdict::Passed, Verdict::Skipped));
    assert_eq!((refused.requests.len(), refused.left), (1, 1));
}

#[test]
fn what_is_no_positive_number_is_not_waited_for() {
    let case = case(TWO);
    for lifetime in [json!(null), json!(0), json!(-1), json!(1.5), json!("2000"), json!([2000])] {
        let played = play(&case, [response(200, json!({"expires_in_ms": lifetime}))]);
        assert_eq!(played.waits, [], "{lifetime}");
        assert_eq!((played.of("a.b"), played.of("should.c")), (Verdict::Passed, Verdict::Skipped));
    }
    let played = play(&case, [response(200, json!({}))]);
    let skipped = played.decided.decisions.iter().find(|one| one.requirement == "should.c");
    let reason = skipped.and_then(|one| one.reason.as_ref()).unwrap();
    assert_eq!(reason.code, "not_observed");
    assert!(reason.text.contains("expires_in_ms"), "{}", reason.text);
}

#[test]
fn a_step_is_sent_as_often_as_a_saved_number_says_each_time_with_interactive_auth() {
    let case = case(
        "checks: [should.c]\nsetup:\n  \
         - { call: one, until: { status: 429, at_most: 9 }, must: { status: 429 }, save: { n: served } }\n\
         steps:\n  \
         - { call: two, uia: alice, body: {}, until: { status: 429, at_most: $n }, should: { status: 429 } }",
    );
    let challenge = || response(401, json!({"flows": [{"stages": ["m.login.password"]}]}));
    let (done, limited) = (|| response(200, json!({})), || response(429, json!({})));
    let burst = || [response(403, json!({})), response(403, json!({})), limited()];
    let replies = |last: Reply| {
        burst().into_iter().chain([challenge(), done(), challenge(), last]).collect::<Vec<_>>()
    };
    let stricter = play(&case, replies(limited()));
    assert_eq!((stricter.verdict(), stricter.requests.len()), (Verdict::Passed, 7));
    let same = play(&case, replies(done()));
    assert_eq!((same.verdict(), same.requests.len(), same.left), (Verdict::Warned, 7, 0));
    let none = play(&case, [limited()]);
    assert_eq!((none.verdict(), none.requests.len()), (Verdict::Skipped, 1), "nothing was served");
}

#[test]
fn the_wait_that_a_429_asks_for_can_be_saved() {
    let case = case(
        "checks: [a.b]\nsteps:\n  - { call: one, must: { status: 429 }, save: { wait: retry_after } }\n  \
         - { call: two, wait: $wait, must: { status: 200 } }",
    );
    let limited = response(429, json!({"retry_after_ms": 1500}));
    let played = play(&case, [limited, response(200, json!({}))]);
    assert_eq!(played.waits, [Duration::from_millis(1500) + LONGER]);
    assert_eq!(play(&case, [response(429, json!({}))]).waits, []);
}

#[test]
fn wait_pauses_once_before_the_request() {
    let case = case(
        "checks: [a.b]\nsteps:\n  - { call: one, wait: 2s, within: 1s, must: { status: 200 } }",
    );
    let played = play(&case, [response(500, json!({})), response(200, json!({}))]);
    assert_eq!(played.pauses, [Duration::from_secs(2), AGAIN]);
    let proven = self::case(
        "checks: [a.b]\nsteps:\n  - { call: one, wait: 2s, uia: alice, body: {}, must: { status: 200 } }",
    );
    let challenge = response(401, json!({"flows": [{"stages": ["m.login.password"]}]}));
    let played = play(&proven, [challenge, response(200, json!({}))]);
    assert_eq!(played.pauses, [Duration::from_secs(2)]);
}

#[test]
fn interactive_auth_is_passed_stage_by_stage_before_the_step_is_judged() {
    let case = case(
        "checks: [a.b]\nsteps:\n  - call: one\n    uia: alice\n    body: { x: 1 }\n    \
         must: { status: 200 }\n    save: { y: /y }\n  - { call: two, must: { status: 200 } }",
    );
    let flows = json!([{"stages": ["m.login.dummy", "m.login.password"]}]);
    let first = response(401, json!({"session": "s", "flows": flows}));
    let second =
        response(401, json!({"session": "s", "flows": flows, "completed": ["m.login.dummy"]}));
    let replies = [first, second, response(200, json!({"y": 1})), response(200, json!({}))];
    let played = play(&case, replies);
    assert_eq!((played.verdict(), played.requests.len()), (Verdict::Passed, 4));
    let auth = |n: usize| played.requests[n].json_body().unwrap()["auth"].clone();
    assert_eq!(auth(0), Value::Null);
    assert_eq!(auth(1), json!({"type": "m.login.dummy", "session": "s"}));
    assert_eq!(
        (&auth(2)["type"], &auth(2)["password"]),
        (&json!("m.login.password"), &json!("secret"))
    );
    assert_eq!(played.requests[2].json_body().unwrap()["x"], 1);
    assert!(played.requests[3].body.is_none(), "the proof stays with its step");
}

#[test]
fn interactive_auth_that_cannot_be_passed_blocks() {
    let case = case(
        "checks: [a.b]\nsteps:\n  - { call: one, uia: alice, body: {}, must: { status: 200 } }",
    );
    let only_sso = json!({"session": "s", "flows": [{"stages": ["m.login.sso"]}]});
    let played = play(&case, [response(401, only_sso)]);
    assert_eq!((played.verdict(), played.why()), (Verdict::Blocked, "interactive_auth"));
    let flows = json!({"session": "s", "flows": [{"stages": ["m.login.password"]}]});
    let refused = play(&case, [response(401, flows.clone()), response(401, flows)]);
    assert_eq!((refused.verdict(), refused.why()), (Verdict::Blocked, "interactive_auth"));
}

#[test]
fn a_refusal_by_policy_blocks_and_one_of_the_credentials_fails() {
    let policy = || response(403, json!({"errcode": "M_RESOURCE_LIMIT_EXCEEDED"}));
    let vendors = || response(403, json!({"errcode": "ORG_EXAMPLE_CLOSED"}));
    let wanted = case("checks: [a.b]\nsteps:\n  - { call: one, must: { status: 200 } }");
    for refusal in [policy(), vendors()] {
        let played = play(&wanted, [refusal]);
        assert_eq!((played.verdict(), played.why()), (Verdict::Blocked, "refused_by_policy"));
    }
    let plain = response(403, json!({"errcode": "M_FORBIDDEN"}));
    assert_eq!(play(&wanted, [plain]).verdict(), Verdict::Failed);
    // Where another refusal was expected, only what the specification calls a policy is one.
    let refusal = case("checks: [a.b]\nsteps:\n  - { call: one, must: { status: 400 } }");
    assert_eq!(play(&refusal, [policy()]).verdict(), Verdict::Blocked);
    assert_eq!(play(&refusal, [vendors()]).verdict(), Verdict::Failed);
    // And where the expected status came, its errcode is the case's business.
    let expected = case("checks: [a.b]\nsteps:\n  - { call: one, must: { status: 403 } }");
    assert_eq!(play(&expected, [policy()]).verdict(), Verdict::Passed);
    // A login is judged by its body as well, or only if it succeeds.
    for block in
        ["{ body: { /errcode: { present: false } } }", "{ if: { status: 2xx }, status: 200 }"]
    {
        let steps = format!("  - {{ call: login, must: {block}, save: {{ t: /access_token }} }}");
        let login = case(&format!("checks: [a.b]\nsteps:\n{steps}"));
        let played = play(&login, [policy()]);
        assert_eq!((played.verdict(), played.why()), (Verdict::Blocked, "refused_by_policy"));
    }
}

#[test]
fn a_dropped_connection_fails_a_step_and_blocks_a_setup() {
    let dropped = || Reply::Dropped("the connection ended twice".to_owned());
    let step = case(
        "checks: [a.b, c.d]\nsteps:\n  - { call: one, must: { req: a.b, status: 200 } }\n  \
         - { call: two, must: { req: c.d, status: 200 } }",
    );
    let played = play(&step, [dropped()]);
    assert_eq!((played.of("a.b"), played.of("c.d")), (Verdict::Failed, Verdict::Blocked));
    assert!(played.decided.findings[0].message.starts_with("no response: "));
    let setup = case(
        "checks: [a.b]\nsetup:\n  - { call: zero, must: { status: 200 } }\nsteps:\n  \
         - { call: one, must: { status: 200 } }",
    );
    let played = play(&setup, [dropped()]);
    assert_eq!((played.verdict(), played.why()), (Verdict::Blocked, "setup"));
}

#[test]
fn what_cannot_be_decided_blocks_with_its_reason_and_keeps_what_was_decided() {
    let case = case(
        "checks: [a.b, c.d]\nsteps:\n  - { call: one, must: { req: a.b, body: { /x: 1 } } }\n  \
         - { call: two, must: { req: c.d, status: 200 } }",
    );
    let replies =
        || [response(200, json!({"x": 1})), Reply::Inconclusive(Reason::ExpiredWhileWaiting)];
    let played = play(&case, replies());
    assert_eq!((played.of("a.b"), played.of("c.d")), (Verdict::Passed, Verdict::Blocked));
    assert_eq!((played.verdict(), played.why()), (Verdict::Blocked, "rate_limited"));
    let worse = play(
        &case,
        [response(200, json!({"x": 2})), Reply::Inconclusive(Reason::Timeout(String::new()))],
    );
    assert_eq!(worse.verdict(), Verdict::Failed, "the greater of failed and blocked");
}

#[test]
fn a_requirement_with_a_block_left_open_is_blocked_not_passed() {
    let case = case(
        "checks: [a.b]\nsteps:\n  - { call: one, must: { status: 200 } }\n  \
         - { call: two, must: { status: 200 } }",
    );
    let played = play(
        &case,
        [response(200, json!({})), Reply::Inconclusive(Reason::Timeout(String::new()))],
    );
    assert_eq!((played.verdict(), played.why()), (Verdict::Blocked, "timeout"));
}

#[test]
fn raw_bodies_media_types_and_headers_go_out_as_written() {
    let case = case(
        "checks: [a.b]\nsteps:\n  - call: one\n    raw: { text: \"{${alice.localpart}\" }\n    \
         type: none\n    authorization: Basic x\n    must: { status: 200 }\n  \
         - { call: one, raw: { hex: 00ff, type: a/b }, must: { status: 200 } }\n  \
         - { method: OPTIONS, path: /x/y, token: { query: $alice.user_id }, must: { status: 200 } }",
    );
    let played = play(&case, std::iter::repeat_with(|| response(200, json!({}))).take(3));
    let [text, bytes, options] = played.requests.as_slice() else { panic!("three requests") };
    assert_eq!(text.body.as_deref(), Some(&b"{alice"[..]));
    assert_eq!(
        (text.header("content-type"), text.header("authorization")),
        (None, Some("Basic x"))
    );
    assert_eq!(
        (bytes.body.as_deref(), bytes.header("content-type")),
        (Some(&[0, 255][..]), Some("a/b"))
    );
    assert_eq!((options.method.as_str(), options.operation.as_deref()), ("OPTIONS", None));
    assert_eq!(options.path, "/x/y?access_token=%40alice%3Ahs");
}

#[test]
fn what_was_asked_before_may_be_judged_only_for_the_one_request_of_a_step_that_decides() {
    let case = case(
        "checks: [a.b]\nsetup:\n  - { call: zero, must: { status: 200 } }\nsteps:\n  \
         - { call: one, within: 1s, must: { status: 200 } }\n  - { call: two, repeat: 2, must: { status: 200 } }",
    );
    let variables = Variables::new([], BTreeMap::new(), BTreeMap::new());
    let mut machine = CaseMachine::new(&case, &ByName, variables);
    let mut seen = Vec::new();
    for status in [200, 500, 200, 200, 200] {
        while let Next::Pause(_) = {
            seen.push((machine.judges_what_was_asked_before(), machine.keeps_parsed()));
            machine.advance()
        } {
            seen.pop();
        }
        machine.replied(vec![response(status, json!({}))]);
        if let Next::Judge(judging) = machine.advance() {
            machine.judged(judging.judge(&case));
        }
    }
    // In set-up, at first, again, and in a step of many.
    let expected = [(false, true), (true, true), (false, true), (false, false)];
    assert_eq!(seen[..4], expected);
}

#[test]
fn large_answers_are_judged_alone() {
    let of = |sizes: &[usize]| {
        let answer = |size: &usize| Response::new(200, Vec::new(), vec![b' '; *size], false);
        let variables = Variables::new([], BTreeMap::new(), BTreeMap::new());
        Judging { at: 0, responses: sizes.iter().map(answer).collect(), variables }.is_large()
    };
    assert!(of(&[LARGE]) && of(&[LARGE / 2, LARGE / 2]) && of(&[LARGE + 1]));
    assert!(!of(&[LARGE - 1]) && !of(&[]));
}

#[test]
fn of_many_answers_a_success_is_saved() {
    let case = case(
        "checks: [a.b]\nsteps:\n  - { call: one, repeat: 3, must: { if: { status: 200 }, status: 200 }, save: { x: /x } }\n  \
         - { call: two, body: { y: $x }, must: { status: 200 } }",
    );
    let answers = [
        response(403, json!({"x": 1})),
        response(300, json!({"x": 2})),
        response(200, json!({"x": 3})),
        response(200, json!({})),
    ];
    let played = play(&case, answers);
    assert_eq!(played.requests[3].json_body(), Some(json!({"y": 3})));
}
