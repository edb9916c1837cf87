//! What is not excused, next to what is: one thing differs from a run in which the cause holds.
use super::*;

fn crash() -> (u16, Value) {
    (500, json!({"errcode": "M_UNKNOWN", "error": "x"}))
}

fn with_third() -> Register {
    register(&[
        ("list.works", Some("list")),
        ("other.rule", None),
        ("other.works", Some("other")),
        ("third.works", Some("third")),
    ])
}

/// A case that asks for the list only after a step that does not succeed.
const LATER: &str = "checks: [list.works]\nsetup:\n  - { call: other, must: { status: 2xx } }\nsteps:\n  \
                     - { call: list, must: { status: 200 } }";

fn revised(played: &[Played], register: &Register) -> Vec<Option<Revised>> {
    let listed = Listed::new(vec!["v1.11".to_owned()]);
    let cases = played.iter().map(|one| CaseRecord {
        case: &one.case,
        decided: &one.decided,
        exchanges: &one.exchanges,
    });
    let origins = Origins::of(played.iter().flat_map(|one| &one.exchanges));
    attribute(&Record {
        cases: cases.collect(),
        support: Vec::new(),
        register,
        listed: &listed,
        api: "v3",
        origins: &origins,
    })
}

#[test]
fn a_requirement_that_another_operation_breaks_does_not_tell_of_the_absent_one() {
    let twice = "checks: [list.works]\nsetup:\n  - { call: list, must: { status: 2xx } }\nsteps:\n  \
                 - { call: list, must: { status: 200 } }";
    let by_other = "checks: [list.works]\nsteps:\n  - { call: other, must: { status: 200 } }";
    let run = [
        play("a", by_other, &[crash()]),
        play("b", NEEDS_LIST, &[unrecognized(404)]),
        play("c", OTHER, &[fine()]),
        play("d", twice, &[unrecognized(404)]),
    ];
    let expected =
        ["a list.works failed", "b other.rule blocked by list.works", "d list.works failed"];
    assert_eq!(outcome(&run, &usual(), &[]), expected);
}

#[test]
fn the_finding_of_an_absent_operation_shows_one_of_its_answers() {
    let later = "checks: [list.works, other.works]\nsteps:\n  \
                 - { call: other, must: { req: other.works, body: { /x: 1 } } }\n  \
                 - { call: other, must: { req: other.works, status: 200 } }\n  \
                 - { call: list, must: { req: list.works, status: 200 } }";
    let after_third = "checks: [other.rule]\nsetup:\n  - { call: third, must: { status: 2xx } }\n  \
                       - { call: list, must: { status: 2xx } }\nsteps:\n  - { call: other, must: { status: 200 } }";
    let run = [
        play("a", later, &[fine(), crash()]),
        play("b", after_third, &[fine(), unrecognized(404)]),
        play("c", NEEDS_LIST, &[unrecognized(404)]),
        play("d", OTHER, &[fine()]),
        play("e", NEEDS_LIST, &[unrecognized(404)]),
    ];
    let found = revised(&run, &with_third());
    let finding = found[0]
        .as_ref()
        .unwrap()
        .findings
        .iter()
        .find(|one| one.requirement == "list.works")
        .unwrap();
    assert_eq!(finding.exchange.as_deref(), Some("b#2"));
    let text = finding.message.to_string();
    assert!(
        text.starts_with("GET /_matrix/client/v3/list is not there: every request got 404"),
        "{text}"
    );
    assert!(finding.actual.starts_with("404"), "{:?}", finding.actual);
    assert_eq!((finding.verdict, finding.line), (Verdict::Failed, run[0].case.line));
}

#[test]
fn only_a_case_that_asked_in_vain_shows_that_an_operation_is_absent() {
    // One that passed did not ask in vain.
    let refused = "checks: [list.works]\nsteps:\n  - { call: list, must: { status: 404 } }";
    let run = [
        play("a", refused, &[unrecognized(404)]),
        play("b", OTHER, &[fine()]),
        play("c", NEEDS_LIST, &[unrecognized(404)]),
    ];
    assert_eq!(outcome(&run, &usual(), &[]), ["c other.rule blocked"]);
    // One that asks for something else says nothing of it.
    let elsewhere = "checks: [list.works]\nsetup:\n  - { call: other, must: { status: 2xx } }\nsteps:\n  \
                     - { call: third, must: { status: 200 } }";
    let run = [
        play("a", elsewhere, &[crash()]),
        play("b", NEEDS_LIST, &[unrecognized(404)]),
        play("c", OTHER, &[fine()]),
        play("d", NEEDS_LIST, &[unrecognized(404)]),
    ];
    // The crash in the set-up of the first is the finding, and all follows from it.
    let expected = [
        "a list.works blocked by other.works",
        "b other.rule blocked by other.works",
        "c other.works failed",
        "d other.rule blocked by other.works",
    ];
    assert_eq!(outcome(&run, &usual(), &[]), expected);
    let run = [
        play("a", LATER, &[crash()]),
        play("b", NEEDS_LIST, &[unrecognized(404)]),
        play("c", OTHER, &[fine()]),
        play("d", NEEDS_LIST, &[unrecognized(404)]),
    ];
    assert_eq!(outcome(&run, &usual(), &[])[0], "a list.works failed");
}

#[test]
fn of_several_findings_only_the_consequences_go() {
    let both = "checks: [other.rule]\nsteps:\n  - { call: other, must: { body: { /x: 1 } } }\n  \
                - { call: list, must: { status: 200 } }";
    let run = [
        play("a", LIST, &[unrecognized(404)]),
        play("b", OTHER, &[fine()]),
        play("c", both, &[fine(), unrecognized(404)]),
    ];
    assert_eq!(run[2].decided.findings.len(), 2);
    let found = revised(&run, &usual());
    let third = found[2].as_ref().unwrap();
    assert_eq!((third.verdict, third.findings.len()), (Verdict::Failed, 1));
    assert_eq!(third.findings[0].pointer, "/x");
}

#[test]
fn a_refusal_of_what_is_absent_takes_nothing_from_what_was_seen() {
    let met_first = |last: &str| {
        format!(
            "checks: [other.rule]\nsteps:\n  - {{ call: other, must: {{ status: 200 }} }}\n  - {{ call: list, must: {{ {last} }} }}"
        )
    };
    let run = |last: &str| {
        [
            play("a", LIST, &[unrecognized(404)]),
            play("b", OTHER, &[fine()]),
            play("c", &met_first(last), &[fine(), unrecognized(404)]),
        ]
    };
    let refusal = "body: { /errcode: M_UNKNOWN_TOKEN }";
    assert_eq!(
        outcome(&run(refusal), &usual(), &[]),
        ["a list.works failed"],
        "the rest of it passed"
    );
    assert_eq!(outcome(&run("status: 4xx"), &usual(), &[]), ["a list.works failed"]);
    let success = ["a list.works failed", "c other.rule blocked by list.works"];
    assert_eq!(outcome(&run("status: 200"), &usual(), &[]), success);
}

#[test]
fn an_unknown_path_is_one_that_no_server_has() {
    let not_found = || (404, json!({"errcode": "M_NOT_FOUND", "error": "nothing"}));
    let run = [
        play("a", LIST, &[not_found()]),
        play("b", OTHER, &[fine()]),
        play(
            "c",
            "checks: [other.rule]\nsteps:\n  - { call: list, must: { status: 401 } }",
            &[not_found()],
        ),
    ];
    let answered = |operation: Option<&str>, path: &str| {
        let (status, body) = not_found();
        [exchange(Request::new(operation, "GET", path), response(status, &body))]
    };
    let own = ["a list.works failed", "c other.rule failed"];
    assert_eq!(outcome(&run, &usual(), &answered(None, "/_matrix/client/v3/x")), own);
    let nowhere = format!("/_matrix/client/v3/{NOWHERE}");
    assert_eq!(outcome(&run, &usual(), &answered(Some("x"), &nowhere)), own);
    let same = ["a list.works failed", "c other.rule blocked by list.works"];
    assert_eq!(outcome(&run, &usual(), &answered(None, &nowhere)), same);
}

#[test]
fn two_answers_in_a_row_are_not_apart_wherever_they_are() {
    let run = [
        play("a", OTHER, &[fine()]),
        play("b", LIST, &[unrecognized(404)]),
        play("c", NEEDS_LIST, &[unrecognized(404)]),
    ];
    assert_eq!(outcome(&run, &usual(), &[]), ["b list.works failed", "c other.rule blocked"]);
}

/// The same below the other path prefix.
fn below_r0(mut played: Played) -> Played {
    for exchange in &mut played.exchanges {
        exchange.request.path = exchange.request.path.replace("/v3/", "/r0/");
    }
    played
}

#[test]
fn what_is_absent_below_the_other_prefix_is_not_absent() {
    let run = [
        below_r0(play("a", LIST, &[unrecognized(404)])),
        play("b", OTHER, &[fine()]),
        below_r0(play("c", NEEDS_LIST, &[unrecognized(404)])),
    ];
    assert_eq!(outcome(&run, &usual(), &[]), ["a list.works failed", "c other.rule blocked"]);
    // But what is absent where the run looks for it is not expected there.
    let run = [
        play("a", LIST, &[unrecognized(404)]),
        play("b", OTHER, &[fine()]),
        play("c", LATER, &[crash()]),
        play("d", NEEDS_LIST, &[unrecognized(404)]),
        below_r0(play("e", NEEDS_LIST, &[unrecognized(404)])),
    ];
    let found = outcome(&run, &usual(), &[]);
    assert!(found.contains(&"e other.rule blocked by list.works".to_owned()), "{found:?}");
}

#[test]
fn a_request_without_an_operation_is_known_by_its_path() {
    let raw = |path: &str| {
        format!(
            "checks: [other.rule]\nsteps:\n  - {{ method: GET, path: {path}, must: {{ status: 200 }} }}"
        )
    };
    let run = |path: &str| {
        [
            play("a", LIST, &[unrecognized(404)]),
            play("b", OTHER, &[fine()]),
            play("c", NEEDS_LIST, &[unrecognized(404)]),
            play("d", &raw(path), &[unrecognized(404)]),
        ]
    };
    let known = outcome(&run("\"/_matrix/client/v3/list?x=1\""), &usual(), &[]);
    assert_eq!(known[2], "d other.rule blocked by list.works");
    let unknown = outcome(&run("/_matrix/client/v3/lists"), &usual(), &[]);
    assert_eq!(unknown[2], "d other.rule failed");
}

#[test]
fn what_was_not_reached_hangs_on_the_step_that_ended_the_case() {
    let case = "checks: [other.works, third.works, list.works]\nsteps:\n  \
                - { call: other, must: { req: other.works, body: { /x: 1 } } }\n  \
                - { call: third, must: { req: third.works, status: 200 } }\n  \
                - { call: list, must: { req: list.works, status: 200 } }";
    let run = [play("a", case, &[fine(), (403, json!({"errcode": "M_FORBIDDEN"}))])];
    let expected =
        ["a other.works failed", "a third.works failed", "a list.works blocked by third.works"];
    assert_eq!(outcome(&run, &with_third(), &[]), expected);
}

/// A password login: its id in the run, the requirement, members that name the user, what must come, and what comes.
fn login(id: &str, requirement: &str, user: &str, wanted: &str, status: u16) -> Played {
    let body = format!(
        "checks: [{requirement}]\nsteps:\n  - call: login\n    body: {{ type: m.login.password, {user}, \
         password: $alice.password }}\n    must: {{ status: {wanted} }}"
    );
    let answer = match status {
        200 => json!({"user_id": "@p1:hs"}),
        _ => json!({"errcode": "M_FORBIDDEN"}),
    };
    play(id, &body, &[(status, answer)])
}

fn of_logins() -> Register {
    register(&[
        ("login.password.localpart", None),
        ("login.password.mxid", None),
        ("login.legacy.user", None),
        ("other.rule", None),
        ("third.rule", None),
    ])
}

const LOCALPART: &str = "identifier: { type: m.id.user, user: p1 }";
const FULL: &str = "identifier: { type: m.id.user, user: \"@p1:hs\" }";
const OLD: &str = "user: p1";

fn spelled(all: &[(&str, &str, &str, &str, u16)]) -> Vec<String> {
    let run: Vec<Played> = all
        .iter()
        .map(|(id, req, user, wanted, status)| login(id, req, user, wanted, *status))
        .collect();
    outcome(&run, &of_logins(), &[])
}

#[test]
fn a_spelling_is_broken_if_it_never_works_and_another_does() {
    let (local, full) = ("login.password.localpart", "login.password.mxid");
    let first = ("a", local, LOCALPART, "200", 403);
    let good = ("b", full, FULL, "200", 200);
    let broken = spelled(&[first, good, ("c", "other.rule", LOCALPART, "200", 403)]);
    assert_eq!(
        broken,
        ["a login.password.localpart failed", "c other.rule blocked by login.password.localpart"]
    );
    // A crash, or a refusal where another one is wanted, follows from no spelling.
    for (wanted, status) in [("200", 500), ("401", 403)] {
        let found = spelled(&[
            first,
            good,
            ("c", "other.rule", LOCALPART, wanted, status),
            ("d", "third.rule", LOCALPART, "200", 403),
        ]);
        assert_eq!(found[1], "c other.rule failed", "{wanted} {status}");
    }
    // It works now and then.
    let sometimes = spelled(&[
        first,
        good,
        ("c", "other.rule", LOCALPART, "200", 403),
        ("d", "third.rule", LOCALPART, "200", 200),
    ]);
    assert_eq!(sometimes[1], "c other.rule failed");
    // No spelling works: then it is not the spelling.
    let none = spelled(&[
        first,
        ("b", full, FULL, "200", 403),
        ("c", "other.rule", LOCALPART, "200", 403),
    ]);
    assert_eq!(none[2], "c other.rule failed");
    // Half an id is neither a localpart nor a full id.
    let of_full = [
        ("a", full, FULL, "200", 403),
        ("b", local, LOCALPART, "200", 200),
        ("c", "other.rule", FULL, "200", 403),
    ];
    assert_eq!(spelled(&of_full)[1], "c other.rule blocked by login.password.mxid");
    for half in ["\"@p1\"", "\"p1:hs\""] {
        let user = format!("identifier: {{ type: m.id.user, user: {half} }}");
        let found =
            spelled(&[of_full[0], of_full[1], of_full[2], ("d", "third.rule", &user, "200", 403)]);
        assert_eq!(found[2], "d third.rule failed", "{half}");
    }
    // The old member counts as well.
    let mixed = spelled(&[first, good, ("c", "other.rule", OLD, "200", 403)]);
    assert_eq!(mixed[1], "c other.rule blocked by login.password.localpart");
}

#[test]
fn the_deprecated_member_is_broken_if_it_never_works() {
    let old = "login.legacy.user";
    let first = ("a", old, OLD, "200", 403);
    let good = ("b", "login.password.localpart", LOCALPART, "200", 200);
    let broken = spelled(&[
        first,
        good,
        ("c", "other.rule", OLD, "200", 403),
        ("d", "third.rule", LOCALPART, "200", 403),
    ]);
    let expected = [
        "a login.legacy.user failed",
        "c other.rule blocked by login.legacy.user",
        "d third.rule failed",
    ];
    assert_eq!(broken, expected);
    let sometimes = spelled(&[
        first,
        good,
        ("c", "other.rule", OLD, "200", 403),
        ("d", "third.rule", OLD, "200", 200),
    ]);
    assert_eq!(sometimes[1], "c other.rule failed");
}

#[test]
fn tokens_are_unread_only_if_the_server_says_that_they_are_missing() {
    let all = register(&[("token.header", None), ("other.rule", None), ("third.rule", None)]);
    let asks = |id: &str, requirement: &str, auth: &str, answer: (u16, Value)| {
        let body = format!(
            "checks: [{requirement}]\nsteps:\n  - {{ call: {id}, {auth}, must: {{ status: 200 }} }}"
        );
        play(id, &body, &[answer])
    };
    let (token, basic) = ("token: made-up", "authorization: Basic x");
    let missing = || (401, json!({"errcode": "M_MISSING_TOKEN"}));
    let unknown = || (401, json!({"errcode": "M_UNKNOWN_TOKEN"}));
    let run = |second: (u16, Value)| {
        [
            asks("one", "token.header", token, second.clone()),
            asks("two", "other.rule", token, second),
        ]
    };
    assert_eq!(outcome(&run(unknown()), &all, &[])[1], "two other.rule failed");
    assert_eq!(
        outcome(&run((403, json!({"errcode": "M_MISSING_TOKEN"}))), &all, &[])[1],
        "two other.rule failed"
    );
    assert_eq!(outcome(&run(missing()), &all, &[])[1], "two other.rule blocked by token.header");
    // What was sent in another way, or to what is absent, does not count.
    let basic = asks("three", "third.rule", basic, fine());
    let absent = [
        asks("four", "third.rule", token, unrecognized(404)),
        asks("four", "third.rule", token, unrecognized(404)),
    ];
    let [one, two] = run(missing());
    let [three, four] = absent;
    let found = outcome(&[three, one, basic, two, four], &all, &[]);
    assert!(found.contains(&"two other.rule blocked by token.header".to_owned()), "{found:?}");
}

#[test]
fn the_reason_has_the_finding_of_the_cause() {
    let of_cause = "checks: [other.rule, list.works]\nsteps:\n  - { call: other, must: { req: other.rule, body: { /x: 1 } } }\n  \
                    - { call: list, must: { req: list.works, status: 200 } }";
    let run = [
        play(
            "a",
            "checks: [other.rule]\nsteps:\n  - { call: list, must: { status: 200 } }",
            &[unrecognized(404)],
        ),
        play("b", of_cause, &[fine(), unrecognized(404)]),
        play("c", OTHER, &[fine()]),
        play("d", NEEDS_LIST, &[unrecognized(404)]),
    ];
    let found = revised(&run, &usual());
    let reason = found[3].as_ref().unwrap().reason.as_ref().unwrap();
    let finding =
        run[1].decided.findings.iter().find(|one| one.requirement == "list.works").unwrap();
    let text = format!("not decided, because list.works is broken: {}", finding.message);
    assert_eq!(reason.text.as_str(), text);
}
