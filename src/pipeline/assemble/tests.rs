//! From hand-written results to a run, without a server.
use super::*;
use crate::accounts::account::AccountView;
use crate::case::ast::{Api, Case, Feature};
use crate::case::suite::Suite;
use crate::check::tally::Tally;
use crate::check::verdict::{Applicability, Decided, decide};
use crate::http::message::{Request, TransportError, TransportErrorKind};
use crate::model::reason::ReasonCode;
use crate::model::release::Listed;
use crate::plan::facts::AccountFacts;
use crate::plan::{Assignment, Disposition, PlannedCase};
use crate::redact::Vault;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

static FILES: LazyLock<(Register, Spec)> =
    LazyLock::new(|| (Register::bundled().unwrap(), Spec::bundled_v1().unwrap()));

/// A case of one step, that decides a requirement of the register.
fn case(id: &str, requirement: &str, call: &str) -> Arc<Case> {
    let text = format!(
        "about: x\ncases:\n  - id: {id}\n    title: x\n    impact: reads\n    checks: [{requirement}]\n    steps:\n      \
         - {{ {call}, must: {{ status: 200 }} }}\n"
    );
    let suite = Suite::from_texts([("cases/x.yaml".to_owned(), text)]).unwrap();
    suite.shared_cases().next().unwrap().clone()
}

fn result(case: &Case, verdict: Verdict, reason: Reason, exchanges: Vec<Exchange>) -> CaseResult {
    let mut result = CaseResult::without_running(Decided::all(case, verdict, reason));
    result.exchanges = Arc::new(exchanges);
    result.duration = Duration::from_millis(1500);
    result
}

fn response(status: u16, body: &Value) -> Response {
    let headers = [("content-type", "application/json"), ("access-control-allow-origin", "*")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Response::new(status, headers, body.to_string().into_bytes(), false)
}

fn exchange(
    operation: Option<&str>,
    path: &str,
    result: Result<Response, TransportError>,
) -> Exchange {
    Exchange {
        request: Request::new(operation, "GET", path),
        url: format!("http://hs{path}"),
        sent_headers: vec![("accept".to_owned(), "*/*".to_owned())],
        result,
        duration: Duration::from_millis(7),
        shared: false,
    }
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
        accounts: AccountFacts::default(),
        registers: false,
        beyond: Vec::new(),
        operator: BTreeSet::new(),
        allowed: BTreeSet::new(),
    }
}

/// A run of these cases with their results, and what else is changed.
fn run_of(
    cases: &[(Arc<Case>, Option<CaseResult>)],
    facts: &Facts,
    change: impl FnOnce(&mut Parts<'_>),
) -> Run {
    run_with(&Vault::default(), cases, facts, change)
}

fn run_with(
    vault: &Vault,
    cases: &[(Arc<Case>, Option<CaseResult>)],
    facts: &Facts,
    change: impl FnOnce(&mut Parts<'_>),
) -> Run {
    let runs = || Disposition::Run(Assignment::default());
    let planned =
        cases.iter().map(|(case, _)| PlannedCase { case: case.clone(), disposition: runs() });
    let plan = Plan { cases: planned.collect(), phases: Vec::new() };
    let (register, spec) = &*FILES;
    let outcome = Outcome {
        results: cases.iter().map_while(|(_, result)| result.clone()).collect(),
        ..Outcome::default()
    };
    let selection = Selection::default();
    let mut parts = Parts {
        register,
        spec,
        facts,
        plan: &plan,
        selection: &selection,
        outcome,
        interrupted: &|| false,
        elsewhere: &[],
        foreign: None,
        headlines: Vec::new(),
        available: 9,
        covered: &|id| id == "versions.get.ok",
        base_url: "http://hs".to_owned(),
        limits_hit: Vec::new(),
        limit_series: Vec::new(),
        baseline: None,
        broken_off: Vec::new(),
        raw_verdicts: false,
        required: Vec::new(),
        guests: Vec::new(),
        complete: true,
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        duration_ms: 5,
    };
    change(&mut parts);
    assemble(parts, &vault.redactor())
}

fn blocked(id: &str, reason: Reason) -> (Arc<Case>, Option<CaseResult>) {
    let case = case(id, "versions.get.ok", "call: getVersions");
    let result = result(&case, Verdict::Blocked, reason, Vec::new());
    (case, Some(result))
}

fn limited() -> Reason {
    Reason::RateLimited { operation: "login".to_owned(), left: 1, spent: 2, budget: 3 }
}

fn notes(run: &Run) -> Vec<&str> {
    run.notes.iter().map(|note| note.as_str()).collect()
}

fn of<'r>(run: &'r Run, id: &str) -> &'r RequirementOutcome {
    run.requirements.iter().find(|one| one.id == id).unwrap()
}

#[test]
fn a_planned_case_without_a_result_is_an_internal_error() {
    let (one, two) = (
        case("one", "versions.get.ok", "call: getVersions"),
        case("two", "versions.get.ok", "call: getVersions"),
    );
    let there = result(&one, Verdict::Blocked, Reason::ExpiredWhileWaiting, Vec::new());
    let run = run_of(&[(one, Some(there)), (two, None)], &facts(), |_| {});
    let shown: Vec<_> =
        run.cases.iter().take(2).map(|case| (case.id.as_str(), case.verdict)).collect();
    assert_eq!(shown, [("one", Verdict::Blocked), ("two", Verdict::Errored)]);
    assert_eq!(run.cases[1].reason.as_ref().unwrap().code, "panic");
    assert_eq!(
        (run.cases[0].duration_ms, run.cases[0].file.as_str(), run.cases[0].line),
        (1500, "cases/x.yaml", 3)
    );
    let of_run = run.cases.last().unwrap();
    assert_eq!((of_run.area.as_str(), of_run.verdict), ("whole run", Verdict::Skipped));
    assert_eq!((run.tally.errored, run.tally.blocked, run.tally.skipped), (1, 1, 1));
    assert_eq!((run.selection.available, run.selection.selected), (9, 3));
}

#[test]
fn each_requirement_ends_as_its_gravest_decision_with_its_reason() {
    let run = run_of(
        &[blocked("one", Reason::ExpiredWhileWaiting), blocked("two", limited())],
        &facts(),
        |_| {},
    );
    let found = of(&run, "versions.get.ok");
    assert_eq!((found.verdict, found.applies), (RequirementVerdict::Blocked, true));
    assert!(found.reason.as_ref().unwrap().text.contains("expired"), "the first of equals");
    assert_eq!(found.cases[..2], ["one", "two"]);
    let skipped = |id: &str| {
        let case = case(id, "versions.get.ok", "call: getVersions");
        let result = result(&case, Verdict::Skipped, Reason::NotExercised, Vec::new());
        (case, Some(result))
    };
    let mixed = run_of(&[skipped("zero"), blocked("one", limited())], &facts(), |_| {});
    let reason = of(&mixed, "versions.get.ok").reason.clone().unwrap();
    assert_eq!(reason.code, "rate_limited", "that of the gravest");
    // What nothing decided says why.
    for one in run.requirements.iter().filter(|one| one.verdict == RequirementVerdict::Untested) {
        let known = FILES.0.get(&one.id).unwrap();
        let expected = match &known.untestable {
            _ if !known.standing.is_empty() => ReasonCode::NotSelected,
            Some(_) => ReasonCode::Untestable,
            None => ReasonCode::NoCase,
        };
        assert!(one.reason.as_ref().unwrap().code.is(expected), "{one:?}");
    }
    for note in FILES.0.iter().filter(|one| one.informative) {
        let found = of(&run, &note.id);
        assert_eq!((found.verdict, found.applies), (RequirementVerdict::Skipped, false));
        assert!(found.reason.as_ref().unwrap().code == "note" && found.cases.is_empty());
    }
    let counted = run.requirements.iter().filter(|one| one.applies).count();
    let tally = run.tally_requirements;
    let all = RequirementVerdict::ALL.iter().map(|verdict| tally.count(*verdict)).sum::<usize>();
    assert_eq!((all, run.applicable()), (counted, counted));
    let nothing = run_of(&[], &facts(), |_| {});
    let untested = of(&nothing, "versions.get.ok");
    if untested.verdict == RequirementVerdict::Untested {
        assert!(
            untested.reason.as_ref().unwrap().code.is(ReasonCode::NotSelected),
            "a case has it"
        );
    }
}

#[test]
fn limits_say_what_they_block_and_what_would_be_needed() {
    let hit = |operation: &str| LimitHit {
        operation: operation.into(),
        count: 2,
        retry_after_ms: 10_000,
        waited_ms: 0,
        blocked: 0,
    };
    let cases = [
        blocked("one", limited()),
        blocked("two", limited()),
        blocked("three", Reason::ExpiredWhileWaiting),
    ];
    let run =
        run_of(&cases, &facts(), |parts| parts.limits_hit = vec![hit("login"), hit("register")]);
    let counts: Vec<usize> = run.limits_hit.iter().map(|hit| hit.blocked).collect();
    assert_eq!(counts, [2, 0]);
    assert!(notes(&run).iter().any(|note| note.contains("the limit on login")), "{:?}", run.notes);
    assert!(!notes(&run).iter().any(|note| note.contains("register")), "{:?}", run.notes);
}

#[test]
fn what_was_broken_off_or_could_not_be_removed_is_listed() {
    let run = run_of(&[], &facts(), |parts| {
        parts.outcome.left = vec!["a session".to_owned()];
        parts.broken_off = vec!["POST /login".to_owned()];
        parts.guests = vec!["@g1:hs".to_owned(), "@g2:hs".to_owned()];
        parts.headlines = vec!["first".to_owned()];
        parts.outcome.notices = vec!["second".to_owned()];
        parts.outcome.server = Some("Synapse/1".to_owned());
    });
    let left: Vec<&str> = run.not_cleaned_up.iter().map(|text| text.as_str()).collect();
    assert_eq!(
        left,
        ["a session", "POST /login was cancelled: it may have created a session or an account"]
    );
    let notes = notes(&run);
    assert_eq!((notes[0], notes[1]), ("first", "second"));
    assert_eq!(
        notes.last(),
        Some(&"guest accounts stay, because nobody can deactivate them: @g1:hs, @g2:hs")
    );
    assert_eq!(run.target.server.as_ref().unwrap().as_str(), "Synapse/1");
    assert!(!run_of(&[], &facts(), |_| {}).notes.iter().any(|note| note.contains("guest")));
}

#[test]
fn requests_that_were_repeated_are_counted_by_operation() {
    let closed = || Err(TransportError { kind: TransportErrorKind::Closed, text: "x".to_owned() });
    let timeout =
        || Err(TransportError { kind: TransportErrorKind::Timeout, text: "x".to_owned() });
    let fine = || Ok(response(200, &json!({})));
    let devices = |result| exchange(Some("getDevices"), "/_matrix/client/v3/devices", result);
    let other = |result| exchange(None, "/_matrix/client/v3/x?y=1", result);
    let resent = |exchanges: Vec<Exchange>| {
        let one = case("one", "versions.get.ok", "call: getVersions");
        let result = result(&one, Verdict::Blocked, Reason::ExpiredWhileWaiting, exchanges);
        let run = run_of(&[(one, Some(result))], &facts(), |_| {});
        run.notes.iter().find(|note| note.contains("repeated")).map(|note| note.as_str().to_owned())
    };
    let sentence =
        |text: &str| Some(format!("{text} repeated because a response was incomplete: "));
    let with = |text: &str, each: &str| sentence(text).map(|start| start + each);
    assert_eq!(
        resent(vec![devices(closed()), devices(fine())]),
        with("1 request was", "GET /devices 1 of 2")
    );
    // The last one is no repetition, and a time-out is not repeated for this reason.
    assert_eq!(resent(vec![devices(closed())]), None);
    assert_eq!(resent(vec![devices(timeout()), devices(fine())]), None);
    assert_eq!(resent(vec![devices(fine()), devices(fine())]), None);
    let gateway = |body: &Value| Ok(response(502, body));
    assert_eq!(
        resent(vec![devices(gateway(&json!({}))), devices(fine())]),
        with("1 request was", "GET /devices 1 of 2")
    );
    assert_eq!(
        resent(vec![devices(gateway(&json!({"errcode": "M_UNKNOWN"}))), devices(fine())]),
        None
    );
    let many =
        vec![other(closed()), other(fine()), devices(closed()), devices(closed()), devices(fine())];
    assert_eq!(
        resent(many),
        with("3 requests were", "GET /devices 2 of 3, GET /_matrix/client/v3/x 1 of 2")
    );
    let shared = Exchange { shared: true, ..devices(closed()) };
    assert_eq!(resent(vec![shared, devices(fine())]), None);
    let beside = vec![other(fine()), devices(closed()), devices(fine())];
    assert_eq!(
        resent(beside),
        with("1 request was", "GET /devices 1 of 2"),
        "only what was repeated"
    );
}

#[test]
fn ways_to_decide_more_are_counted_and_the_best_is_first() {
    let lacking = |id: &str, requirement: &str, reason: Reason| {
        let case = case(id, requirement, "call: getVersions");
        let result = result(&case, Verdict::Skipped, reason, Vec::new());
        (case, Some(result))
    };
    let kind =
        |kind: &str| Reason::AccountNotProvided { kind: kind.to_owned(), why: "x".to_owned() };
    let operator = |name: &str| Reason::OperatorNotProvided { name: name.to_owned() };
    let ids: Vec<&str> = FILES
        .0
        .iter()
        .filter(|one| one.standing.is_empty() && one.applies(&facts().listed))
        .map(|one| one.id.as_str())
        .take(8)
        .collect();
    let all = |reasons: Vec<Reason>| {
        let cases: Vec<_> = reasons
            .into_iter()
            .enumerate()
            .map(|(n, one)| lacking(&format!("c{n}"), ids[n], one))
            .collect();
        cases
    };
    let more = |reasons: Vec<Reason>, facts: &Facts| {
        let run = run_of(&all(reasons), facts, |_| {});
        let notes = run.notes.iter().filter(|note| note.contains("would decide"));
        notes.map(|note| note.as_str().to_owned()).collect::<Vec<_>>()
    };
    let make = "a way to create accounts (docs/accounts.md) would decide";
    assert_eq!(more(vec![Reason::NoAccount], &facts()), [format!("{make} 1 more requirement")]);
    assert_eq!(
        more(vec![kind("password"), kind("account bob"), kind("disposable account")], &facts()),
        [
            format!("{make} 3 more requirements"),
            "an account with `disposable: true` would decide 1 more requirement".to_owned(),
            "an account with its password would decide 1 more requirement".to_owned(),
            "another account would decide 1 more requirement".to_owned(),
        ]
    );
    let registers = Facts { registers: true, ..facts() };
    let open = "`--register open` (the server lets users register) would decide 1 more requirement";
    assert_eq!(more(vec![Reason::NoAccount], &registers), [open]);
    let makes =
        Facts { accounts: AccountFacts { can_make: true, ..AccountFacts::default() }, ..facts() };
    assert_eq!(
        more(vec![kind("account bob")], &makes),
        ["another account would decide 1 more requirement"]
    );
    assert_eq!(more(vec![Reason::NoAccount], &makes), [""; 0]);
    assert_eq!(
        more(
            vec![
                operator("sso"),
                operator("appservice"),
                operator("appservice"),
                operator("registration")
            ],
            &facts()
        ),
        [
            "`appservice` under `operator:` would decide 2 more requirements",
            "`sso` under `operator:` would decide 1 more requirement"
        ]
    );
    assert_eq!(more(vec![Reason::OutOfRange], &facts()), [""; 0]);
}

#[test]
fn what_is_absent_and_what_lies_beyond_is_told() {
    let absent = |names: &[&str]| Facts {
        absent: names.iter().map(|name| (*name).to_owned()).collect(),
        ..facts()
    };
    let first = |facts: &Facts| {
        run_of(&[], facts, |_| {}).notes.first().map(|note| note.as_str().to_owned())
    };
    assert_eq!(first(&facts()), None);
    let instead = "absent or failing, asked twice: getDevices, getTokenOwner; where cases only look whether a session lives, they ask getCapabilities instead";
    assert_eq!(first(&absent(&["getTokenOwner", "getDevices"])).as_deref(), Some(instead));
    let none = "absent or failing, asked twice: getCapabilities, getDevices, getTokenOwner";
    assert_eq!(
        first(&absent(&["getTokenOwner", "getDevices", "getCapabilities"])).as_deref(),
        Some(none)
    );
    let beyond = Facts { beyond: vec!["more".to_owned()], ..facts() };
    assert_eq!(first(&beyond).as_deref(), Some("more"));
}

#[test]
fn answers_beyond_bounds_are_counted_by_their_reason() {
    let long = || Reason::AnswerTooLong { bytes: 9 };
    let run = run_of(
        &[
            blocked("one", long()),
            blocked("two", long()),
            blocked("three", Reason::TooLong { seconds: 5 }),
        ],
        &facts(),
        |_| {},
    );
    let found = notes(&run);
    assert!(
        found.contains(&"2 checks are blocked: the response is longer than 9 bytes"),
        "{found:?}"
    );
    assert!(
        found.contains(&"1 check is blocked: judging the responses took more than 5 s"),
        "{found:?}"
    );
}

#[test]
fn exchanges_are_shown_with_their_owner_and_number() {
    let one = case("one", "versions.get.ok", "call: getVersions");
    let sent = vec![
        exchange(Some("getVersions"), "/a", Ok(response(200, &json!({"x": 1})))),
        exchange(
            None,
            "/b",
            Err(TransportError { kind: TransportErrorKind::Connect, text: "refused".to_owned() }),
        ),
    ];
    let result = result(&one, Verdict::Blocked, Reason::ExpiredWhileWaiting, sent.clone());
    let run = run_of(&[(one, Some(result))], &facts(), |parts| {
        parts.outcome.support = vec![("probe".to_owned(), sent.clone())];
    });
    let shown = &run.cases[0].exchanges;
    assert_eq!((shown[0].id.as_str(), shown[1].id.as_str()), ("one#1", "one#2"));
    assert_eq!(
        (shown[0].duration_ms, shown[0].operation.as_deref(), shown[0].trouble.is_none()),
        (7, Some("getVersions"), true)
    );
    let first = shown[0].response.as_ref().unwrap();
    assert_eq!((first.status, first.body.as_str(), first.truncated), (200, "{\"x\":1}", false));
    assert!(shown[1].response.is_none());
    assert_eq!(shown[1].trouble.as_ref().map(|text| text.as_str()), Some("refused"));
    assert_eq!((run.support.len(), run.support[0].exchanges[1].id.as_str()), (1, "probe#2"));
    let found_first = run_of(&[], &facts(), |parts| parts.elsewhere = Vec::leak(sent.clone()));
    assert_eq!(found_first.support[0].name, "discovery");
}

#[test]
fn long_bodies_are_cut_between_characters() {
    let long = "ä".repeat(20_000);
    let one = case("one", "versions.get.ok", "call: getVersions");
    let body = Response::new(200, Vec::new(), long.clone().into_bytes(), false);
    let whole = Response::new(200, Vec::new(), vec![b'x'; 16 * 1024], false);
    let cut = Response::new(200, Vec::new(), b"half".to_vec(), true);
    let sent = [body, whole, cut].map(|answer| exchange(None, "/a", Ok(answer))).to_vec();
    let result = result(&one, Verdict::Blocked, Reason::ExpiredWhileWaiting, sent);
    let run = run_of(&[(one, Some(result))], &facts(), |_| {});
    let shown: Vec<_> =
        run.cases[0].exchanges.iter().map(|one| one.response.as_ref().unwrap()).collect();
    assert_eq!((shown[0].body.as_str(), shown[0].truncated), (&long[..16 * 1024], true));
    assert_eq!((shown[1].body.len(), shown[1].truncated), (16 * 1024, false));
    assert_eq!((shown[2].body.as_str(), shown[2].truncated), ("half", true));
}

#[test]
fn a_body_is_not_cut_in_the_name_of_a_secret() {
    let vault = Vault::default();
    vault.learn(crate::redact::SecretKind::Password, "a-long-secret");
    let name = "‹password 1›";
    let shown = |before: usize| {
        let one = case("one", "versions.get.ok", "call: getVersions");
        let body = format!("{}a-long-secret{}", "x".repeat(before), "y".repeat(20));
        let answer = Response::new(200, Vec::new(), body.into_bytes(), true);
        let result = result(
            &one,
            Verdict::Blocked,
            Reason::ExpiredWhileWaiting,
            vec![exchange(None, "/a", Ok(answer))],
        );
        let run = run_with(&vault, &[(one, Some(result))], &facts(), |_| {});
        run.cases[0].exchanges[0].response.as_ref().unwrap().body.as_str().len()
    };
    let longest = 16 * 1024;
    // The name would begin or end where the text does, or the cut would go through it.
    for (before, expected) in [
        (longest, longest),
        (longest - 1, longest - 1),
        (longest - name.len() + 1, longest - name.len() + 1),
        (longest - name.len(), longest),
        (longest - name.len() - 3, longest),
    ] {
        assert_eq!(shown(before), expected, "{before}");
    }
}

#[test]
fn all_bodies_together_have_a_bound() {
    let one = case("one", "versions.get.ok", "call: getVersions");
    let body = || Ok(Response::new(200, Vec::new(), vec![b'x'; 12 * 1024], false));
    let sent = vec![exchange(None, "/a", body()); 1024];
    let result = result(&one, Verdict::Blocked, Reason::ExpiredWhileWaiting, sent);
    let run = run_of(&[(one, Some(result))], &facts(), |_| {});
    let sizes = run.cases[0].exchanges.iter().map(|one| one.response.as_ref().unwrap().body.len());
    assert_eq!(sizes.collect::<BTreeSet<_>>(), BTreeSet::from([8 * 1024]));
}

fn standing(run: &Run, rule: crate::requirements::Rule) -> &StandingOutcome {
    let id = &FILES.0.rule(rule).unwrap().id;
    run.standing.iter().find(|one| one.requirement == *id).unwrap()
}

#[test]
fn standing_checks_judge_what_is_the_homeservers_own() {
    use crate::requirements::Rule;
    let rule = Rule::JsonObject;
    let list = || exchange(Some("x"), "/_matrix/client/v3/x", Ok(response(200, &json!([]))));
    let supported = |change: &dyn Fn(&mut Parts<'_>)| {
        run_of(&[], &facts(), |parts| {
            parts.outcome.support = vec![("probe".to_owned(), vec![list()])];
            change(parts);
        })
    };
    let run = supported(&|_| {});
    let found = standing(&run, rule);
    assert_eq!((found.verdict, found.count, found.observed), (Verdict::Failed, 1, 1));
    assert_eq!((found.findings[0].exchange.as_deref(), &found.reason), (Some("probe#1"), &None));
    let without = supported(&|parts| parts.outcome.no_target = Some("x".to_owned()));
    let found = standing(&without, rule);
    assert_eq!(
        (found.verdict, found.reason.as_ref().unwrap().code.as_str()),
        (Verdict::Skipped, "not_observed")
    );
    // What somebody else answered says nothing of the homeserver.
    let foreign = |status, body: &str, truncated| {
        supported(&|parts| {
            parts.foreign =
                Some(Response::new(status, Vec::new(), body.as_bytes().to_vec(), truncated));
        })
    };
    assert_eq!(standing(&foreign(200, "[]", false), rule).verdict, Verdict::Skipped);
    assert_eq!(standing(&foreign(201, "[]", false), rule).verdict, Verdict::Failed);
    assert_eq!(standing(&foreign(200, "[1]", false), rule).verdict, Verdict::Failed);
    assert_eq!(
        standing(&foreign(200, "[", true), rule).verdict,
        Verdict::Failed,
        "only of two that were cut"
    );
    // Of an answer without end each reads a different part.
    let cut = |body: &str, foreign: Option<&str>| {
        let part = |body: &str| Response::new(200, Vec::new(), body.as_bytes().to_vec(), true);
        let run = run_of(&[], &facts(), |parts| {
            let sent = exchange(Some("x"), "/_matrix/client/v3/x", Ok(part(body)));
            parts.outcome.support = vec![("probe".to_owned(), vec![sent])];
            parts.foreign = foreign.map(part);
        });
        standing(&run, rule).verdict
    };
    assert_eq!(cut("[[", None), Verdict::Blocked);
    assert_eq!(cut("[[", Some("[[[")), Verdict::Skipped);
    assert_eq!(cut("[[", Some("[")), Verdict::Skipped);
    assert_eq!(cut("[[", Some("[x")), Verdict::Blocked);
    let interrupted = supported(&|parts| parts.interrupted = &|| true);
    let found = standing(&interrupted, rule);
    assert_eq!(
        (found.verdict, found.reason.as_ref().unwrap().code.as_str()),
        (Verdict::Blocked, "interrupted")
    );
    let of_run = interrupted.cases.last().unwrap();
    assert_eq!(
        (of_run.verdict, of_run.reason.as_ref().unwrap().code.as_str()),
        (Verdict::Blocked, "interrupted")
    );
    for outcome in &run.standing {
        let applies = FILES.0.get(&outcome.requirement).unwrap().applies(&facts().listed);
        assert_eq!(
            outcome.reason.as_ref().is_some_and(|reason| reason.code == "version"),
            !applies
        );
    }
}

#[test]
fn a_case_whose_standing_checks_did_not_run_leaves_them_open() {
    use crate::requirements::Rule;
    let one = case("one", "versions.get.ok", "call: getVersions");
    let list = exchange(Some("x"), "/_matrix/client/v3/x", Ok(response(200, &json!([]))));
    let with = |standing: Option<Tally>, sent: Vec<Exchange>| {
        let mut result = result(&one, Verdict::Blocked, Reason::ExpiredWhileWaiting, sent);
        result.standing = standing;
        run_of(&[(one.clone(), Some(result))], &facts(), |_| {})
    };
    let cut = with(None, Vec::new());
    let found = standing(&cut, Rule::JsonObject);
    assert_eq!(
        (found.verdict, found.reason.as_ref().unwrap().code.as_str()),
        (Verdict::Blocked, "too_long")
    );
    let done = with(Some(Tally::default()), vec![list.clone()]);
    assert_eq!(
        standing(&done, Rule::JsonObject).verdict,
        Verdict::Skipped,
        "it was looked at before"
    );
    // What was found outweighs what was not looked at.
    let both = {
        let mut result = result(&one, Verdict::Blocked, Reason::ExpiredWhileWaiting, Vec::new());
        result.standing = None;
        run_of(&[(one.clone(), Some(result))], &facts(), |parts| {
            parts.outcome.support = vec![("probe".to_owned(), vec![list])];
        })
    };
    let found = standing(&both, Rule::JsonObject);
    assert_eq!((found.verdict, &found.reason), (Verdict::Failed, &None));
    let passed = standing(&both, Rule::MediaType);
    assert_eq!(
        (passed.verdict, passed.reason.as_ref().unwrap().code.as_str()),
        (Verdict::Blocked, "too_long")
    );
}

fn login(user: &str, device: &str, asked: Option<&str>) -> Exchange {
    let mut body = json!({"type": "m.login.password"});
    if let Some(asked) = asked {
        body["device_id"] = asked.into();
    }
    let mut sent = exchange(
        Some("login"),
        "/_matrix/client/v3/login",
        Ok(response(200, &json!({"user_id": user, "device_id": device, "access_token": "t"}))),
    );
    sent.request = Request::new(Some("login"), "POST", "/_matrix/client/v3/login").json(&body);
    sent
}

#[test]
fn a_generated_device_id_that_repeats_is_a_finding_with_both_exchanges() {
    let of = |sent: Vec<Exchange>| {
        let run = run_of(&[], &facts(), |parts| {
            parts.outcome.support = vec![("probe".to_owned(), sent.clone())]
        });
        run.cases.last().unwrap().clone()
    };
    let found =
        of(vec![login("@a:hs", "D", None), login("@a:hs", "E", None), login("@a:hs", "D", None)]);
    assert_eq!((found.verdict, found.findings.len()), (Verdict::Failed, 1));
    assert_eq!(found.findings[0].exchange.as_deref(), Some("probe#3"));
    assert!(
        found.findings[0].message.contains("(first in probe#1)"),
        "{:?}",
        found.findings[0].message
    );
    assert_eq!(found.decisions[0].verdict, Verdict::Failed);
    let fine = of(vec![login("@a:hs", "D", None), login("@b:hs", "D", None)]);
    assert_eq!((fine.verdict, fine.findings.len()), (Verdict::Passed, 0));
    assert_eq!(of(vec![login("@a:hs", "D", None)]).verdict, Verdict::Skipped);
}

/// A case that fails because an operation is absent, and another that needs it.
#[test]
fn causes_are_considered_unless_verdicts_are_to_be_raw() {
    use crate::run::case_machine::{CaseMachine, Next};
    use crate::run::variables::Variables;
    let absent = || response(404, &json!({"errcode": "M_UNRECOGNIZED", "error": "x"}));
    let routes = crate::plan::routes::Paths::new(Arc::new(Spec::bundled_v1().unwrap()), Api::V3);
    let played = |id: &str, requirement: &str| {
        let case = case(id, requirement, "call: getDevices");
        let variables = Variables::new([], BTreeMap::<String, AccountView>::new(), BTreeMap::new());
        let mut machine = CaseMachine::new(&case, &routes, variables);
        let mut sent = Vec::new();
        loop {
            match machine.advance() {
                Next::Send(requests) => {
                    let replies = requests.into_iter().map(|request| {
                        let path = request.path.clone();
                        let mut one = exchange(Some("getDevices"), &path, Ok(absent()));
                        one.request = request;
                        sent.push(one);
                        crate::http::message::Reply::Response(absent())
                    });
                    machine.replied(replies.collect());
                }
                Next::Judge(judging) => machine.judged(judging.judge(&case)),
                Next::Done => break,
                other => panic!("{other:?}"),
            }
        }
        let applies = |id: &str| Applicability::of(&FILES.0, &facts().listed, id);
        let decided = decide(&case, &machine.finish(), &applies, &|n| format!("{id}#{}", n + 1));
        let mut result = CaseResult::without_running(decided);
        result.exchanges = Arc::new(sent);
        (case.clone(), Some(result))
    };
    let other = || {
        let case = case("other", "versions.get.ok", "call: getVersions");
        let sent = vec![exchange(
            Some("getVersions"),
            "/_matrix/client/versions",
            Ok(response(200, &json!({}))),
        )];
        let result = result(&case, Verdict::Blocked, Reason::ExpiredWhileWaiting, sent);
        (case, Some(result))
    };
    let cases =
        || [played("list", "device.list.current"), other(), played("needs", "token.header")];
    let verdicts = |run: &Run| run.cases[..3].iter().map(|case| case.verdict).collect::<Vec<_>>();
    let with = run_of(&cases(), &facts(), |_| {});
    assert_eq!(verdicts(&with), [Verdict::Failed, Verdict::Blocked, Verdict::Blocked]);
    assert_eq!(of(&with, "token.header").because.as_deref(), Some("device.list.current"));
    assert_eq!(with.cases[2].findings, []);
    let raw = run_of(&cases(), &facts(), |parts| parts.raw_verdicts = true);
    assert_eq!(verdicts(&raw), [Verdict::Failed, Verdict::Blocked, Verdict::Failed]);
    let lost = run_of(&cases(), &facts(), |parts| parts.outcome.no_target = Some("x".to_owned()));
    assert_eq!(verdicts(&lost), verdicts(&raw));
}
