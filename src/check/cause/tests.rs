//! Runs of a few hand-written cases, from their answers to what they are blocked because of; no server.
use super::*;
use crate::accounts::account::AccountView;
use crate::case::load::case_file;
use crate::check::verdict::{Applicability, Weight, decide};
use crate::http::message::{Reply, Request, TransportError, TransportErrorKind};
use crate::plan::routes::{Route, Routes};
use crate::requirements::Severity;
use crate::run::case_machine::{CaseMachine, Next};
use crate::run::variables::Variables;
use crate::yaml::document::Document;
use serde_json::{Value, json};
use std::collections::BTreeMap as Map;
use std::sync::Arc;
use std::time::Duration;

mod bounds;

struct ByName;

impl Routes for ByName {
    fn route(&self, operation: &str, _: Option<crate::case::ast::Api>) -> Option<Route> {
        let path = format!("/_matrix/client/v3/{operation}");
        Some(Route { method: "GET".to_owned(), path })
    }
}

/// A requirement at level MUST for each, with the operation that it says works.
fn register(all: &[(&str, Option<&str>)]) -> Register {
    let entry = |(id, works): &(&str, Option<&str>)| {
        let works = works.map_or_else(String::new, |works| format!("  works: {works}\n"));
        format!(
            "- id: {id}\n  group: x\n  level: MUST\n  mark: plain\n  since: r0.0.0\n  tier: T0\n  \
             needs: [any]\n  title: X.\n  source: \"x\"\n  url: https://x.example/#x\n  check: \"X.\"\n{works}"
        )
    };
    Register::parse("x.yaml", all.iter().map(entry).collect::<String>()).unwrap()
}

/// Steps of a case, each as `operation token block`, with its answer.
struct Played {
    case: Arc<Case>,
    decided: Decided,
    exchanges: Vec<Exchange>,
}

fn exchange(request: Request, response: Response) -> Exchange {
    Exchange {
        request,
        url: String::new(),
        sent_headers: Vec::new(),
        result: Ok(response),
        duration: Duration::ZERO,
        shared: false,
    }
}

fn response(status: u16, body: &Value) -> Response {
    Response::new(status, Vec::new(), body.to_string().into_bytes(), false)
}

fn play(id: &str, body: &str, answers: &[(u16, Value)]) -> Played {
    play_all(id, body, answers.iter().map(|(status, body)| Ok(response(*status, body))).collect())
}

/// The same with any answers, or none.
fn play_all(id: &str, body: &str, answers: Vec<Result<Response, TransportError>>) -> Played {
    let indented: String = body.lines().map(|line| format!("    {line}\n")).collect();
    let text = format!(
        "about: x\ncases:\n  - id: {id}\n    title: x\n    impact: session\n    needs: [account alice]\n{indented}"
    );
    let mut file = case_file(Document::parse("x.yaml", text).unwrap())
        .unwrap_or_else(|faults| panic!("{}", faults[0].render(false)));
    let case = file.cases.remove(0);
    let alice = AccountView {
        user_id: "@p1:hs".to_owned(),
        password: Some("secret".to_owned()),
        ..AccountView::default()
    };
    let accounts = Map::from([("alice".to_owned(), alice)]);
    let variables = Variables::new(case.values.iter().cloned(), accounts, Map::new());
    let mut machine = CaseMachine::new(&case, &ByName, variables);
    let (mut answers, mut exchanges) = (answers.into_iter(), Vec::new());
    loop {
        match machine.advance() {
            Next::Done => break,
            Next::Pause(_) => {}
            Next::Wait(_) => machine.waited(Ok(())),
            Next::Operate(..) => machine.operated(Ok(())),
            Next::Judge(judging) => machine.judged(judging.judge(&case)),
            Next::Send(requests) => {
                let mut replies = Vec::new();
                for request in requests {
                    let result = answers.next().expect("asked for more than was expected");
                    replies.push(match &result {
                        Ok(response) => Reply::Response(response.clone()),
                        Err(trouble) => Reply::Dropped(trouble.text.clone()),
                    });
                    exchanges.push(Exchange { result, ..exchange(request, Response::default()) });
                }
                machine.replied(replies);
            }
        }
    }
    let weight = Weight { level: crate::model::run::Level::Must, severity: Severity::Fails };
    let applies = |_: &str| Applicability::Applies(weight);
    let trace = machine.finish();
    let decided = decide(&case, &trace, &applies, &|n| format!("{id}#{}", n + 1));
    drop(trace);
    Played { case, decided, exchanges }
}

/// What becomes of each case.
fn revised(played: &[Played], register: &Register, support: &[Exchange]) -> Vec<Revised> {
    let listed = Listed::new(vec!["v1.11".to_owned()]);
    let cases = played.iter().map(|one| CaseRecord {
        case: &one.case,
        decided: &one.decided,
        exchanges: &one.exchanges,
    });
    let all = played.iter().flat_map(|one| &one.exchanges).chain(support);
    let origins = Origins::of(all);
    let record = Record {
        cases: cases.collect(),
        support: vec![("accounts", support)],
        register,
        listed: &listed,
        api: "v3",
        origins: &origins,
    };
    let unchanged = |one: &Played| Revised {
        verdict: one.decided.verdict,
        reason: one.decided.reason.clone().map(Into::into),
        decisions: one.decided.decisions.clone(),
        findings: one.decided.findings.clone(),
        branch: one.decided.branch.clone(),
    };
    let revised = played.iter().zip(attribute(&record));
    revised.map(|(one, revised)| revised.unwrap_or_else(|| unchanged(one))).collect()
}

/// `case requirement verdict code` of every decision that is not passed, without a code if it failed.
fn with_codes(played: &[Played], register: &Register, support: &[Exchange]) -> Vec<String> {
    let revised = revised(played, register, support);
    let all = played.iter().zip(&revised).flat_map(|(one, revised)| {
        let open = revised.decisions.iter().filter(|d| d.verdict != Verdict::Passed);
        open.map(|d| {
            let code = d.reason.as_ref().map_or_else(String::new, |r| format!(" {}", r.code));
            format!("{} {} {}{code}", one.case.id, d.requirement, d.verdict)
        })
    });
    all.collect()
}

/// `requirement in case: verdict, cause` of every decision that is not passed.
fn outcome(played: &[Played], register: &Register, support: &[Exchange]) -> Vec<String> {
    let mut lines = Vec::new();
    for (one, revised) in played.iter().zip(revised(played, register, support)) {
        let Revised { decisions, findings, .. } = revised;
        for decision in decisions.iter().filter(|d| d.verdict != Verdict::Passed) {
            let cause = decision.reason.as_ref().and_then(|reason| reason.because());
            let cause = cause.map_or_else(String::new, |cause| format!(" by {cause}"));
            let found = findings.iter().filter(|f| f.requirement == decision.requirement).count();
            assert_eq!(found > 0, decision.verdict == Verdict::Failed, "{decision:?}");
            lines.push(format!(
                "{} {} {}{cause}",
                one.case.id, decision.requirement, decision.verdict
            ));
        }
    }
    lines
}

fn unrecognized(status: u16) -> (u16, Value) {
    (status, json!({"errcode": "M_UNRECOGNIZED", "error": "x"}))
}

fn fine() -> (u16, Value) {
    (200, json!({}))
}

const LIST: &str = "checks: [list.works]\nsteps:\n  - { call: list, must: { status: 200 } }";
const NEEDS_LIST: &str = "checks: [other.rule]\nsetup:\n  - { call: list, must: { status: 2xx } }\nsteps:\n  \
                          - { call: other, must: { status: 200 } }";
const OTHER: &str = "checks: [other.works]\nsteps:\n  - { call: other, must: { status: 200 } }";

fn usual() -> Register {
    register(&[("list.works", Some("list")), ("other.rule", None), ("other.works", Some("other"))])
}

#[test]
fn what_needs_an_operation_that_is_absent_is_blocked_because_of_it() {
    for answer in [unrecognized(404), unrecognized(405), (404, json!([])), (405, json!({}))] {
        let run = [
            play("a", LIST, std::slice::from_ref(&answer)),
            play("b", OTHER, &[fine()]),
            play("c", NEEDS_LIST, &[answer]),
        ];
        let expected = ["a list.works failed", "c other.rule blocked by list.works"];
        assert_eq!(outcome(&run, &usual(), &[]), expected);
    }
}

#[test]
fn once_is_not_twice_and_nor_is_twice_without_another_request_between() {
    let run = [play("b", OTHER, &[fine()]), play("c", NEEDS_LIST, &[unrecognized(404)])];
    assert_eq!(outcome(&run, &usual(), &[]), ["c other.rule blocked"]);
    let run = [
        play("a", LIST, &[unrecognized(404)]),
        play("c", NEEDS_LIST, &[unrecognized(404)]),
        play("b", OTHER, &[fine()]),
    ];
    assert_eq!(outcome(&run, &usual(), &[]), ["a list.works failed", "c other.rule blocked"]);
}

#[test]
fn what_works_now_and_then_excuses_nothing() {
    let run = [
        play("a", LIST, &[unrecognized(404)]),
        play("b", OTHER, &[fine()]),
        play("c", NEEDS_LIST, &[unrecognized(404)]),
        play("d", LIST, &[fine()]),
    ];
    assert_eq!(outcome(&run, &usual(), &[]), ["a list.works failed", "c other.rule blocked"]);
}

#[test]
fn a_404_with_an_errcode_is_an_absence_only_if_unknown_paths_are_answered_alike() {
    let not_found = (404, json!({"errcode": "M_NOT_FOUND", "error": "nothing"}));
    let run = [
        play("a", LIST, std::slice::from_ref(&not_found)),
        play("b", OTHER, &[fine()]),
        play(
            "c",
            "checks: [other.rule]\nsteps:\n  - { call: list, must: { status: 401 } }",
            &[not_found],
        ),
    ];
    let own = ["a list.works failed", "c other.rule failed"];
    assert_eq!(outcome(&run, &usual(), &[]), own);
    let nowhere = Request::new(None, "GET", "/_matrix/client/v3/homespec_does_not_exist");
    let alike = |error: &str| {
        let body = json!({"errcode": "M_NOT_FOUND", "error": error});
        [exchange(nowhere.clone(), response(404, &body))]
    };
    assert_eq!(outcome(&run, &usual(), &alike("another")), own);
    let expected = ["a list.works failed", "c other.rule blocked by list.works"];
    assert_eq!(outcome(&run, &usual(), &alike("nothing")), expected);
}

#[test]
fn an_operation_that_crashes_at_every_request_is_one_finding() {
    let crash = (500, json!({"errcode": "M_UNKNOWN", "error": "x"}));
    let run = [
        play("a", LIST, std::slice::from_ref(&crash)),
        play("b", OTHER, &[fine()]),
        play("c", NEEDS_LIST, std::slice::from_ref(&crash)),
        play(
            "d",
            "checks: [other.rule]\nsteps:\n  - { call: list, must: { status: 401 } }",
            &[crash],
        ),
    ];
    // Of a crash at every request the refusal that did not come is a consequence as well.
    let expected = [
        "a list.works failed",
        "c other.rule blocked by list.works",
        "d other.rule blocked by list.works",
    ];
    assert_eq!(outcome(&run, &usual(), &[]), expected);
}

#[test]
fn a_success_that_must_not_come_is_never_excused() {
    let refused = "checks: [other.rule]\nsteps:\n  - { call: list, must: { status: 401 } }\n  \
                   - { call: other, must: { status: 401 } }";
    let run = [
        play("a", LIST, &[unrecognized(404)]),
        play("b", OTHER, &[fine()]),
        play(
            "c",
            "checks: [other.rule]\nsteps:\n  - { call: other, must: { status: 401 } }",
            &[fine()],
        ),
        play("d", refused, &[unrecognized(404)]),
    ];
    let expected = [
        "a list.works failed",
        "c other.rule failed",
        // Another case decides it.
        "d other.rule skipped by list.works",
    ];
    assert_eq!(outcome(&run, &usual(), &[]), expected);
}

#[test]
fn without_a_finding_of_the_cause_the_consequence_is_judged_by_itself() {
    let run = [
        play("b", OTHER, &[fine()]),
        play(
            "c",
            "checks: [other.rule]\nsteps:\n  - { call: list, must: { status: 200 } }",
            &[unrecognized(404)],
        ),
        play("d", OTHER, &[fine()]),
        play("e", NEEDS_LIST, &[unrecognized(404)]),
    ];
    assert_eq!(outcome(&run, &usual(), &[]), ["c other.rule failed", "e other.rule blocked"]);
}

#[test]
fn an_absent_operation_fails_its_requirement_where_the_case_did_not_get_so_far() {
    let later = "checks: [list.works, other.works]\nsteps:\n  \
                 - { call: other, must: { req: other.works, status: 200 } }\n  \
                 - { call: list, must: { req: list.works, status: 200 } }";
    let crash = (500, json!({"errcode": "M_UNKNOWN", "error": "x"}));
    let run = [
        play("a", later, &[crash]),
        play("b", NEEDS_LIST, &[unrecognized(404)]),
        play(
            "c",
            "checks: [third.rule]\nsteps:\n  - { call: third, must: { status: 200 } }",
            &[fine()],
        ),
        play("d", NEEDS_LIST, &[unrecognized(404)]),
    ];
    let expected = [
        "a list.works failed",
        "a other.works failed",
        "b other.rule blocked by list.works",
        "d other.rule blocked by list.works",
    ];
    assert_eq!(outcome(&run, &usual(), &[]), expected);
}

#[test]
fn what_a_case_does_not_reach_hangs_on_the_requirement_that_ended_it() {
    let two = "checks: [other.works, other.rule]\nsteps:\n  \
               - { call: other, must: { req: other.works, status: 200 } }\n  \
               - { call: list, must: { req: other.rule, status: 200 } }";
    let run = [play("a", two, &[(403, json!({"errcode": "M_FORBIDDEN"}))])];
    let expected = ["a other.works failed", "a other.rule blocked by other.works"];
    assert_eq!(outcome(&run, &usual(), &[]), expected);
}

#[test]
fn an_empty_pass_on_what_is_absent_is_none() {
    let refused = "checks: [other.rule]\nsteps:\n  - { call: list, must: { status: 4xx } }";
    let run = [
        play("a", LIST, &[unrecognized(404)]),
        play("b", OTHER, &[fine()]),
        play("c", refused, &[unrecognized(404)]),
    ];
    let expected = ["a list.works failed", "c other.rule blocked by list.works"];
    assert_eq!(outcome(&run, &usual(), &[]), expected);
}

#[test]
fn a_spelling_that_never_logs_in_is_one_finding() {
    let all = register(&[
        ("login.password.localpart", None),
        ("login.password.mxid", None),
        ("other.rule", None),
    ]);
    let login = |id: &str, user: &str, answer: (u16, Value)| {
        let body = format!(
            "checks: [{id}]\nsteps:\n  - call: login\n    body: {{ type: m.login.password, \
             identifier: {{ type: m.id.user, user: \"{user}\" }}, password: $alice.password }}\n    \
             must: {{ status: 2xx }}"
        );
        play(
            if id == "other.rule" { "c" } else { id.rsplit('.').next().unwrap() },
            &body,
            &[answer],
        )
    };
    let no = || (403, json!({"errcode": "M_FORBIDDEN"}));
    let yes = || (200, json!({"user_id": "@p1:hs"}));
    let run = [
        login("login.password.localpart", "p1", no()),
        login("login.password.mxid", "@p1:hs", yes()),
        login("other.rule", "p1", no()),
    ];
    let expected = [
        "localpart login.password.localpart failed",
        "c other.rule blocked by login.password.localpart",
    ];
    assert_eq!(outcome(&run, &all, &[]), expected);
    // Another name than the localpart is another spelling.
    let run = [
        login("login.password.localpart", "p1", no()),
        login("login.password.mxid", "@p1:hs", yes()),
        login("other.rule", "alice", no()),
    ];
    let own = ["localpart login.password.localpart failed", "c other.rule failed"];
    assert_eq!(outcome(&run, &all, &[]), own);
    // What another spelling decides is decided.
    let run = [
        login("login.password.localpart", "p1", no()),
        login("login.password.mxid", "@p1:hs", yes()),
        login("other.rule", "p1", no()),
        login("other.rule", "@p1:hs", yes()),
    ];
    let expected = [
        "localpart login.password.localpart failed",
        "c other.rule skipped by login.password.localpart",
    ];
    assert_eq!(outcome(&run, &all, &[]), expected);
}

#[test]
fn another_method_at_the_path_of_an_absent_operation_is_absent_with_it() {
    let other_method = "checks: [other.rule]\nsteps:\n  - { method: POST, path: /_matrix/client/v3/list, \
                        must: { status: 405 } }";
    let run = [
        play("a", LIST, &[unrecognized(404)]),
        play("b", OTHER, &[fine()]),
        play("c", LIST, &[unrecognized(404)]),
        play("d", other_method, &[unrecognized(404)]),
    ];
    let absent = ["a list.works failed", "c list.works failed"];
    let expected = [absent[0], absent[1], "d other.rule blocked by list.works"];
    assert_eq!(outcome(&run, &usual(), &[]), expected);
    let run = [
        play("a", LIST, &[fine()]),
        play("b", OTHER, &[fine()]),
        play("d", other_method, &[unrecognized(404)]),
    ];
    assert_eq!(outcome(&run, &usual(), &[]), ["d other.rule failed"]);
}

#[test]
fn a_token_in_the_header_that_is_never_seen_is_one_finding() {
    let all = register(&[("token.header", None), ("other.rule", None)]);
    let asks = |id: &str, requirement: &str, answer: (u16, Value)| {
        let body = format!(
            "checks: [{requirement}]\nsteps:\n  - {{ call: {id}, token: made-up, must: {{ status: 200 }} }}"
        );
        play(id, &body, &[answer])
    };
    let no = || (401, json!({"errcode": "M_MISSING_TOKEN"}));
    let run = [asks("one", "token.header", no()), asks("two", "other.rule", no())];
    let expected = ["one token.header failed", "two other.rule blocked by token.header"];
    assert_eq!(outcome(&run, &all, &[]), expected);
    let run = [
        asks("one", "token.header", no()),
        asks("two", "other.rule", no()),
        asks("three", "third.rule", fine()),
    ];
    assert_eq!(outcome(&run, &all, &[]), ["one token.header failed", "two other.rule failed"]);
}

const REFUSED: &str = "checks: [other.rule]\nsteps:\n  - { call: list, must: { status: 404 } }";
const LIST_RULE: &str = "checks: [other.rule]\nsteps:\n  - { call: list, must: { status: 200 } }";
type Headers<'h> = &'h [(&'h str, &'h str)];

const NGINX: Headers<'_> = &[("server", "nginx"), ("content-type", "text/html")];

/// An answer with these headers, of a page.
fn page(status: u16, headers: &[(&str, &str)]) -> Result<Response, TransportError> {
    let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    Ok(Response::new(status, headers, b"<html>No</html>".to_vec(), false))
}

fn silence() -> Result<Response, TransportError> {
    Err(TransportError { kind: TransportErrorKind::Timeout, text: "nothing came".to_owned() })
}

#[test]
fn what_something_in_front_answers_decides_nothing_and_what_may_be_its_says_so() {
    let usual_answers = || [(); 3].map(|()| play("b", OTHER, &[fine()]));
    let html = &NGINX[1..];
    let gateway = "c other.rule blocked gateway";
    let table: [(&str, u16, Headers<'_>, &str); 6] = [
        (LIST_RULE, 404, NGINX, gateway),
        // A refusal is as expected, and not the homeserver's.
        (REFUSED, 404, NGINX, gateway),
        (LIST_RULE, 502, &[], gateway),
        (NEEDS_LIST, 403, NGINX, gateway),
        (LIST_RULE, 403, html, "c other.rule failed"),
        (NEEDS_LIST, 403, html, "c other.rule blocked setup"),
    ];
    for (body, status, headers, expected) in table {
        let run = Vec::from(usual_answers());
        let run: Vec<Played> =
            run.into_iter().chain([play_all("c", body, vec![page(status, headers)])]).collect();
        assert_eq!(with_codes(&run, &usual(), &[]), [expected], "{status} {headers:?}");
        let findings = revised(&run, &usual(), &[]).remove(3).findings;
        let is_doubted = findings.iter().map(|f| f.message.ends_with(UNLESS)).collect::<Vec<_>>();
        let expected: &[bool] = if expected.ends_with("failed") { &[true] } else { &[] };
        assert_eq!(is_doubted, expected);
    }
}

#[test]
fn a_wall_before_the_first_case_is_what_keeps_it_from_being_decided() {
    let wall = |operation: &str| {
        let request = Request::new(Some(operation), "POST", "/_matrix/client/v3/register");
        exchange(request, page(403, NGINX).unwrap())
    };
    let blocked = |why: Reason| {
        let one = play("c", LIST_RULE, &[fine()]);
        let decided = Decided::all(&one.case, Verdict::Blocked, why);
        [(); 4].map(|()| play("b", OTHER, &[fine()])).into_iter().chain([Played { decided, ..one }])
    };
    let refused = || blocked(Reason::Registration("refused".to_owned())).collect::<Vec<_>>();
    let of = |support: &[Exchange]| with_codes(&refused(), &usual(), support);
    assert_eq!(of(&[wall("register")]), ["c other.rule blocked gateway"]);
    assert_eq!(of(&[wall("login")]), ["c other.rule blocked registration"]);
    let own = Exchange {
        result: Ok(response(403, &json!({"errcode": "M_FORBIDDEN"}))),
        ..wall("register")
    };
    assert_eq!(of(&[wall("register"), own]), ["c other.rule blocked registration"]);
}

#[test]
fn what_works_by_turns_fails_itself_with_how_often() {
    let crash = || (500, json!({"errcode": "M_UNKNOWN", "error": "x"}));
    let run = [
        play("a", LIST, &[fine()]),
        play("c", NEEDS_LIST, &[crash()]),
        play("b", OTHER, &[fine()]),
        play("d", LIST_RULE, &[crash()]),
    ];
    let expected =
        ["a list.works failed", "c other.rule blocked by list.works", "d other.rule failed"];
    assert_eq!(outcome(&run, &usual(), &[]), expected);
    let message = revised(&run, &usual(), &[]).remove(0).findings.remove(0).message.to_string();
    assert_eq!(
        message,
        "GET /_matrix/client/v3/list got 500 with M_UNKNOWN (unstable: 2 of 3 requests)"
    );
    // One that a case judges is that case's finding alone.
    let run = [play("a", LIST, &[fine()]), play("d", LIST_RULE, &[crash()])];
    assert_eq!(outcome(&run, &usual(), &[]), ["d other.rule failed"]);
    // One that no case judges fails the operation, beside cases too.
    let list = exchange(
        Request::new(Some("list"), "GET", "/_matrix/client/v3/list"),
        response(500, &json!({"errcode": "M_UNKNOWN"})),
    );
    let run = [play("a", LIST, &[fine()])];
    assert_eq!(outcome(&run, &usual(), &[list]), ["a list.works failed"]);
    // An errcode in a refusal is an answer.
    let refused = (403, json!({"errcode": "M_FORBIDDEN"}));
    let run = [
        play("a", LIST, &[fine()]),
        play("c", NEEDS_LIST, std::slice::from_ref(&refused)),
        play("d", NEEDS_LIST, &[refused]),
    ];
    assert_eq!(outcome(&run, &usual(), &[]), ["c other.rule blocked", "d other.rule blocked"]);
}

#[test]
fn an_operation_that_never_answers_is_one_finding_and_one_that_does_now_and_then_excuses_nothing() {
    let hangs = || vec![silence()];
    let run = [
        play_all("a", LIST, hangs()),
        play("b", OTHER, &[fine()]),
        play_all("c", NEEDS_LIST, hangs()),
        play_all("d", LIST_RULE, hangs()),
        play_all("e", REFUSED, hangs()),
    ];
    let expected = [
        "a list.works failed",
        "c other.rule blocked by list.works",
        "d other.rule blocked by list.works",
        "e other.rule blocked by list.works",
    ];
    assert_eq!(outcome(&run, &usual(), &[]), expected);
    let run = [
        play("a", LIST, &[fine()]),
        play_all("d", LIST_RULE, hangs()),
        play_all("e", REFUSED, hangs()),
    ];
    assert_eq!(outcome(&run, &usual(), &[]), ["d other.rule failed", "e other.rule failed"]);
    let run = [play("a", LIST, &[fine()]), play_all("c", NEEDS_LIST, hangs())];
    let expected = ["a list.works failed", "c other.rule blocked by list.works"];
    assert_eq!(outcome(&run, &usual(), &[]), expected);
}

/// A login, another one, `between`, and a look with the token of the first and of the second.
fn two_logins(id: &str, between: &str, devices: [&str; 2], earlier: u16) -> Played {
    let login = |name: &str| {
        format!(
            "  - {{ call: login, body: {{}}, must: {{ status: 200 }}, save: {{ {name}: /access_token }} }}\n"
        )
    };
    let look =
        |name: &str| format!("  - {{ call: other, token: ${name}, must: {{ status: 200 }} }}\n");
    let steps = [login("one"), login("two"), between.to_owned(), look("two"), look("one")].concat();
    let [one, two] = devices.map(|device| {
        let token = format!("{id}{device}");
        (200, json!({"user_id": "@p1:hs", "device_id": device, "access_token": token}))
    });
    let answer = match earlier {
        200 => fine(),
        status => (status, json!({"errcode": "M_UNKNOWN_TOKEN"})),
    };
    let mut answers = vec![one, two, fine(), answer];
    if !between.is_empty() {
        answers.insert(2, fine());
    }
    play(id, &format!("checks: [other.rule]\nsteps:\n{steps}"), &answers)
}

#[test]
fn earlier_sessions_that_end_at_each_login_are_a_policy() {
    let ended = |id| two_logins(id, "", ["A", "B"], 401);
    let policy =
        ["a other.rule blocked refused_by_policy", "b other.rule blocked refused_by_policy"];
    assert_eq!(with_codes(&[ended("a"), ended("b")], &usual(), &[]), policy);
    let failed = ["a other.rule failed", "b other.rule failed"];
    let logout = "  - { call: logout, token: $two, must: { status: 200 } }\n";
    let others = [
        ("once", vec![ended("a")]),
        ("one that survives", vec![ended("a"), ended("b"), two_logins("c", "", ["A", "B"], 200)]),
        ("the same device", ["a", "b"].map(|id| two_logins(id, "", ["A", "A"], 401)).into()),
        (
            "a logout in between",
            ["a", "b"].map(|id| two_logins(id, logout, ["A", "B"], 401)).into(),
        ),
        ("another status", ["a", "b"].map(|id| two_logins(id, "", ["A", "B"], 403)).into()),
    ];
    for (what, run) in others {
        assert_eq!(with_codes(&run, &usual(), &[]), &failed[..run.len().min(2)], "{what}");
    }
}

#[test]
fn a_header_whose_token_is_refused_while_the_query_takes_it_is_one_finding() {
    let all = register(&[("token.header", None), ("other.rule", None)]);
    let asks = |id: &str, how: &str, answer: (u16, Value)| {
        let requirement = if id == "one" { "token.header" } else { "other.rule" };
        let body = format!(
            "checks: [{requirement}]\nsteps:\n  - {{ call: {id}, {how}, must: {{ status: 200 }} }}"
        );
        play(id, &body, &[answer])
    };
    let no = || (401, json!({"errcode": "M_UNKNOWN_TOKEN"}));
    let header = || [asks("one", "token: secret", no()), asks("two", "token: secret", no())];
    let in_query = |answer| asks("three", "query: { access_token: secret }", answer);
    let run: Vec<Played> = header().into_iter().chain([in_query(fine())]).collect();
    let expected = ["one token.header failed", "two other.rule blocked by token.header"];
    assert_eq!(outcome(&run, &all, &[]), expected);
    let run: Vec<Played> = header().into_iter().chain([in_query(no())]).collect();
    let own = ["one token.header failed", "two other.rule failed", "three other.rule failed"];
    assert_eq!(outcome(&run, &all, &[]), own);
}

#[test]
fn an_operation_that_is_there_below_the_other_prefix_is_absent_because_of_its_prefix() {
    let all = register(&[
        ("route.v3_prefix", None),
        ("list.works", Some("list")),
        ("other.rule", None),
        ("other.works", Some("other")),
    ]);
    let is_served =
        "checks: [route.v3_prefix]\nsteps:\n  - { call: list, must: { status: { not: 404 } } }";
    let run = [
        play("a", LIST, &[unrecognized(404)]),
        play("b", OTHER, &[fine()]),
        play("c", NEEDS_LIST, &[unrecognized(404)]),
        play("d", is_served, &[unrecognized(404)]),
    ];
    let below_r0 = |status: u16| {
        let request = Request::new(Some("list"), "GET", "/_matrix/client/r0/list");
        let body =
            json!({"errcode": if status == 404 { "M_UNRECOGNIZED" } else { "M_MISSING_TOKEN" }});
        [exchange(request, response(status, &body))]
    };
    let expected = [
        "a list.works blocked by route.v3_prefix",
        "c other.rule blocked by route.v3_prefix",
        "d route.v3_prefix failed",
    ];
    assert_eq!(outcome(&run, &all, &below_r0(401)), expected);
    let expected = [
        "a list.works failed",
        "c other.rule blocked by list.works",
        "d route.v3_prefix blocked by list.works",
    ];
    assert_eq!(outcome(&run, &all, &below_r0(404)), expected);
}

#[test]
fn set_up_that_wants_a_challenge_follows_from_the_rule_that_the_operation_asks() {
    let body = |auth: &str| format!("call: other, body: {{ {auth} }}");
    let rule = format!(
        "checks: [other.uia.asks]\nsteps:\n  - {{ {}, must: {{ status: 401 }} }}",
        body("")
    );
    let needs = |auth: &str| {
        format!(
            "checks: [list.works]\nsetup:\n  - {{ {}, must: {{ status: 401 }} }}\nsteps:\n  - {{ call: list, must: {{ status: 200 }} }}",
            body(auth)
        )
    };
    let register =
        register(&[("list.works", None), ("other.uia.asks", None), ("other.works", Some("other"))]);
    let after = |rule_answer, auth: &str| {
        let run = [
            play("a", &rule, &[rule_answer]),
            play("b", OTHER, &[fine()]),
            play("c", &needs(auth), &[fine()]),
        ];
        outcome(&run, &register, &[])
    };
    let [failed, by] = ["a other.uia.asks failed", "c list.works blocked by other.uia.asks"];
    assert_eq!(after(fine(), ""), [failed, by]);
    // With interactive auth in it, a success breaks nothing of that kind; and so where the operation asks elsewhere.
    assert_eq!(after(fine(), "auth: {}"), [failed, "c list.works blocked"]);
    assert_eq!(after((401, json!({})), ""), ["c list.works blocked"]);
}
