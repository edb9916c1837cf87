//! Runs of a few hand-written cases, from their answers to what they are blocked because of; no server.
use super::*;
use crate::accounts::account::AccountView;
use crate::case::load::case_file;
use crate::check::verdict::{Applicability, decide};
use crate::http::message::{Reply, Request};
use crate::plan::routes::{Route, Routes};
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
    let (mut answers, mut exchanges) = (answers.iter(), Vec::new());
    loop {
        match machine.advance() {
            Next::Done => break,
            Next::Pause(_) => {}
            Next::Operate(..) => machine.operated(Ok(())),
            Next::Judge(judging) => machine.judged(judging.judge(&case)),
            Next::Send(requests) => {
                let mut replies = Vec::new();
                for request in requests {
                    let (status, body) = answers.next().expect("asked for more than was expected");
                    let response = response(*status, body);
                    exchanges.push(exchange(request, response.clone()));
                    replies.push(Reply::Response(response));
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

/// `requirement in case: verdict, cause` of every decision that is not passed.
fn outcome(played: &[Played], register: &Register, support: &[Exchange]) -> Vec<String> {
    let listed = Listed::new(vec!["v1.11".to_owned()]);
    let cases = played.iter().map(|one| CaseRecord {
        case: &one.case,
        decided: &one.decided,
        exchanges: &one.exchanges,
    });
    let record = Record {
        cases: cases.collect(),
        support: vec![support],
        register,
        listed: &listed,
        api: "v3",
    };
    let revised = attribute(&record);
    let mut lines = Vec::new();
    for (one, revised) in played.iter().zip(revised) {
        let decisions = revised.as_ref().map_or(&one.decided.decisions, |r| &r.decisions);
        let findings = revised.as_ref().map_or(&one.decided.findings, |r| &r.findings);
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
fn an_operation_that_never_works_excuses_wanted_successes_and_no_wrong_refusal() {
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
    let expected =
        ["a list.works failed", "c other.rule blocked by list.works", "d other.rule failed"];
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
