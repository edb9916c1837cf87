//! From judgements to decisions, without a server: what each judgement, weight and end of a case come to.
use super::*;
use crate::case::suite::Suite;
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};

/// Two requirements: `a.b` is decided by two blocks, `c.d` by one between them.
static CASE: LazyLock<Arc<Case>> = LazyLock::new(|| {
    let text = "about: x\ncases:\n  - id: x\n    title: x\n    impact: reads\n    checks: [a.b, c.d]\n    steps:\n      \
                - { call: one, must: { req: a.b, status: 200 } }\n      \
                - { call: two, must: { req: c.d, status: 401 } }\n      \
                - call: three\n        must:\n          req: a.b\n          one_of:\n            \
                - { name: good, status: 200 }\n            - { name: fine, status: 202 }\n            \
                - { name: odd, warn: nobody does this, status: 204 }\n";
    let suite = Suite::from_texts([("x.yaml".to_owned(), text.to_owned())]).unwrap();
    suite.shared_cases().next().unwrap().clone()
});

fn judged(step: usize, judgement: Judgement) -> Judged<'static> {
    Judged { block: &CASE.steps[step].blocks[0], step, judgement, exchange: step }
}

fn met(branches: &[&str]) -> Judgement {
    Judgement::Met { branches: branches.iter().map(|name| (*name).to_owned()).collect() }
}

fn broken(places: &[&str]) -> Judgement {
    let miss = |place: &&str| Mismatch {
        place: (*place).to_owned(),
        expected: "1".to_owned(),
        actual: "2".to_owned(),
    };
    Judgement::Broken { mismatches: places.iter().map(miss).collect(), response: 0 }
}

fn doubtful() -> Judgement {
    let (branch, why) = ("odd".to_owned(), "nobody does this".to_owned());
    Judgement::PassedWithWarning { branch, why, response: 0 }
}

fn trace(judged: Vec<Judged<'static>>, end: End) -> Trace<'static> {
    Trace { judged, end, stop: None }
}

fn with(severity: Severity) -> impl Fn(&str) -> Applicability {
    move |_| Applicability::Applies(Weight { level: Level::Must, severity })
}

fn decided(trace: &Trace<'_>, severity: Severity) -> Decided {
    decide(&CASE, trace, &with(severity), &|n| format!("x#{}", n + 1))
}

fn of(decided: &Decided, requirement: &str) -> (Verdict, Option<String>) {
    let one = decided.decisions.iter().find(|one| one.requirement == requirement).unwrap();
    (one.verdict, one.reason.as_ref().map(|reason| reason.code.as_str().to_owned()))
}

fn because(code: &str) -> Option<String> {
    Some(code.to_owned())
}

#[test]
fn a_judgement_comes_to_what_its_requirement_weighs() {
    use Severity::{Fails, Observes, Warns};
    use Verdict::{Failed, Passed, Skipped, Warned};
    let cases = [
        (met(&[]), [Passed, Passed, Passed]),
        (broken(&["status"]), [Passed, Warned, Failed]),
        (doubtful(), [Passed, Warned, Warned]),
        // Seen, and nothing was to see: a MAY is told, a rule was not exercised.
        (Judgement::NotObserved, [Passed, Skipped, Skipped]),
    ];
    for (judgement, expected) in cases {
        for (severity, expected) in [Observes, Warns, Fails].into_iter().zip(expected) {
            let both = vec![judged(0, judgement.clone()), judged(2, judgement.clone())];
            let found = decided(&trace(both, End::Finished), severity);
            assert_eq!(of(&found, "a.b").0, expected, "{judgement:?} {severity:?}");
        }
    }
}

#[test]
fn what_was_found_outweighs_the_end_and_what_is_left_open_takes_its_reason() {
    let reason = || Reason::NotReached("x".to_owned());
    let skip = || Reason::NotOffered("x".to_owned());
    let ends = [
        (End::Blocked(reason()), (Verdict::Blocked, because("not_reached"))),
        (End::Stopped(reason()), (Verdict::Blocked, because("not_reached"))),
        (End::NotOffered(skip()), (Verdict::Skipped, because("not_offered"))),
        (End::Settled(Verdict::Errored, Reason::Panic), (Verdict::Errored, because("panic"))),
        (
            End::Settled(Verdict::Skipped, Reason::OutOfRange),
            (Verdict::Skipped, because("version")),
        ),
    ];
    for (end, left_open) in ends {
        // One of two blocks has spoken.
        let half = decided(&trace(vec![judged(0, met(&[]))], end.clone()), Severity::Fails);
        assert_eq!(of(&half, "a.b"), left_open, "{end:?}");
        assert_eq!(of(&half, "c.d"), left_open, "{end:?}");
        assert!(!half.is_whole);
        // What is broken is, however the case ends.
        let wrong = decided(&trace(vec![judged(0, broken(&["/a"]))], end.clone()), Severity::Fails);
        assert_eq!(of(&wrong, "a.b"), (Verdict::Failed, None), "{end:?}");
        let doubt = decided(&trace(vec![judged(0, doubtful())], end.clone()), Severity::Fails);
        assert_eq!(of(&doubt, "a.b"), (Verdict::Warned, None), "{end:?}");
        // All that was to be asked was asked.
        let all = vec![judged(0, met(&[])), judged(1, met(&[])), judged(2, met(&[]))];
        let all = decided(&trace(all, end.clone()), Severity::Fails);
        let passes = matches!(end, End::Blocked(_) | End::Stopped(_));
        assert_eq!(of(&all, "a.b").0 == Verdict::Passed, passes, "{end:?}");
    }
    // What is only observed decides nothing while there is more to ask.
    let half = trace(vec![judged(0, broken(&["/a"]))], End::Blocked(reason()));
    assert_eq!(of(&decided(&half, Severity::Observes), "a.b").0, Verdict::Blocked);
    let finished = decided(&trace(Vec::new(), End::Finished), Severity::Fails);
    assert_eq!(of(&finished, "a.b"), (Verdict::Skipped, because("not_observed")));
    assert!(finished.is_whole);
    // A MAY that no block spoke of was not observed either.
    let finished = decided(&trace(Vec::new(), End::Finished), Severity::Observes);
    assert_eq!(of(&finished, "a.b"), (Verdict::Skipped, because("not_observed")));
}

#[test]
fn the_gravest_decision_is_the_case_and_the_first_of_equals_gives_the_reason() {
    let first = |id: &str| match id {
        "a.b" => Applicability::OutOfRange,
        _ => Applicability::Unknown,
    };
    let nothing = trace(Vec::new(), End::Finished);
    let found = decide(&CASE, &nothing, &first, &|_| String::new());
    assert_eq!(
        (found.verdict, found.reason.unwrap().code().as_str()),
        (Verdict::Errored, "unknown_requirement")
    );
    assert_eq!(found.findings, []);
    assert_eq!(
        of(&decide(&CASE, &nothing, &first, &|_| String::new()), "a.b"),
        (Verdict::Skipped, because("version"))
    );
    let mixed = |id: &str| match id {
        "a.b" => Applicability::OutOfRange,
        _ => Applicability::Applies(Weight { level: Level::Must, severity: Severity::Fails }),
    };
    let found = decide(&CASE, &nothing, &mixed, &|_| String::new());
    assert_eq!(found.reason.map(|reason| reason.code()), Some(ReasonCode::Version));
}

#[test]
fn a_requirement_that_does_not_apply_has_no_findings_evidence_or_branch() {
    let only = |id: &str| match id {
        "a.b" => Applicability::OutOfRange,
        _ => Applicability::Applies(Weight { level: Level::Must, severity: Severity::Fails }),
    };
    let seen = trace(vec![judged(0, broken(&["/x"])), judged(2, met(&["good"]))], End::Finished);
    let found = decide(&CASE, &seen, &only, &|n| format!("x#{n}"));
    assert_eq!((found.findings.len(), found.branch, &found.evidence[0]), (0, None, &Vec::new()));
}

#[test]
fn findings_have_their_place_and_evidence_points_at_them() {
    let all = vec![
        judged(0, broken(&["/a", "/b"])),
        judged(1, broken(&["status"])),
        judged(2, doubtful()),
    ];
    let found = decided(&trace(all, End::Finished), Severity::Fails);
    let shown: Vec<_> = found
        .findings
        .iter()
        .map(|one| {
            (
                one.requirement.as_str(),
                one.pointer.to_string(),
                one.verdict,
                one.exchange.clone().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("a.b", "/a", Verdict::Failed, "x#1"),
        ("a.b", "/b", Verdict::Failed, "x#1"),
        ("a.b", "branch", Verdict::Warned, "x#3"),
        ("c.d", "status", Verdict::Failed, "x#2"),
    ];
    let expected =
        expected.map(|(id, at, verdict, sent)| (id, at.to_owned(), verdict, sent.to_owned()));
    assert_eq!(shown, expected);
    let doubt = &found.findings[2];
    assert_eq!(
        (doubt.branch.as_deref(), doubt.message.as_str()),
        (Some("odd"), "nobody does this")
    );
    assert_eq!((doubt.expected.as_str(), doubt.actual.as_str()), ("good or fine", "odd"));
    assert_eq!(
        (&found.findings[0].file, found.findings[0].line),
        (&CASE.file, CASE.steps[0].blocks[0].line)
    );
    let role = |wants_success, findings: &[usize]| Role::Broken {
        wants_success,
        findings: findings.to_vec(),
    };
    let roles: Vec<Vec<Role>> =
        found.evidence.iter().map(|all| all.iter().map(|one| one.role.clone()).collect()).collect();
    assert_eq!(roles, [vec![role(true, &[0, 1]), Role::Doubtful], vec![role(false, &[3])]]);
    assert_eq!((found.evidence[0][1].step, found.evidence[0][1].exchange.as_str()), (2, "x#3"));
    // What saw nothing is no evidence.
    let unseen = vec![judged(0, met(&[])), judged(2, Judgement::NotObserved)];
    let found = decided(&trace(unseen, End::Finished), Severity::Fails);
    assert_eq!(found.evidence[0].len(), 1);
    assert_eq!(found.evidence[0][0].role, Role::Met);
}

#[test]
fn what_broke_off_a_case_is_evidence_where_the_answer_itself_is_the_reason() {
    let stop = Some(Stop { step: 1, exchange: 4 });
    let why = || "x".to_owned();
    let reasons = [
        (Reason::Setup(why()), true),
        (Reason::NotReached(why()), true),
        (Reason::InteractiveAuth(why()), true),
        (Reason::Timeout(why()), false),
        (Reason::ExpiredWhileWaiting, false),
        (Reason::RefusedByPolicy { errcode: why() }, false),
    ];
    for (reason, counts) in reasons {
        let stopped = Trace { judged: Vec::new(), end: End::Blocked(reason.clone()), stop };
        let found = decided(&stopped, Severity::Fails);
        let expected = Evidence { step: 1, exchange: "x#5".to_owned(), role: Role::Stopped };
        let expected: Vec<Evidence> = counts.then_some(expected).into_iter().collect();
        assert_eq!(found.evidence[0], expected, "{reason:?}");
    }
    // One that failed is not stopped.
    let end = End::Blocked(Reason::Setup(why()));
    let failed = Trace { judged: vec![judged(0, broken(&["/a"]))], end, stop };
    let found = decided(&failed, Severity::Fails);
    assert!(found.evidence[0].iter().all(|one| one.role != Role::Stopped));
    assert_eq!(found.evidence[1][0].role, Role::Stopped);
}

#[test]
fn branches_are_named_once_and_not_where_the_case_was_beside_the_point() {
    let all = || {
        vec![
            judged(0, met(&["good", "fine"])),
            judged(1, met(&["other"])),
            judged(2, met(&["fine"])),
        ]
    };
    let found = decided(&trace(all(), End::Finished), Severity::Fails);
    assert_eq!(found.decisions[0].branch.as_deref(), Some("good; fine"));
    assert_eq!(found.branch.as_deref(), Some("good; fine; other"));
    let moot = decided(
        &trace(all(), End::NotOffered(Reason::NotOffered("x".to_owned()))),
        Severity::Fails,
    );
    assert_eq!((moot.verdict, moot.branch), (Verdict::Skipped, None));
    let mixed = vec![judged(0, broken(&["/a"])), judged(2, met(&["good"]))];
    let end = End::NotOffered(Reason::NotOffered("x".to_owned()));
    let failed = decided(&trace(mixed, end), Severity::Fails);
    assert_eq!(
        failed.decisions[0].branch.as_deref(),
        Some("good"),
        "it failed, and that is to the point"
    );
    let skipped = End::Settled(Verdict::Skipped, Reason::OutOfRange);
    let skipped = decided(&trace(vec![judged(0, met(&["good"]))], skipped), Severity::Fails);
    assert_eq!(skipped.decisions[0].branch.as_deref(), Some("good"));
    let none = decided(&trace(vec![judged(0, met(&[]))], End::Finished), Severity::Fails);
    assert_eq!(none.branch, None);
    let doubt = decided(&trace(vec![judged(2, doubtful())], End::Finished), Severity::Fails);
    assert_eq!(doubt.branch.as_deref(), Some("odd"));
}

#[test]
fn the_target_is_looked_at_again_where_it_may_be_to_blame() {
    let limited =
        Reason::RateLimited { operation: "login".to_owned(), left: 1, spent: 1, budget: 1 };
    let cases = [
        (vec![judged(0, met(&[])), judged(1, met(&[])), judged(2, met(&[]))], End::Finished, false),
        (
            vec![judged(0, met(&[])), judged(1, met(&[])), judged(2, doubtful())],
            End::Finished,
            false,
        ),
        (vec![judged(0, broken(&["/a"])), judged(1, met(&[]))], End::Finished, true),
        (Vec::new(), End::Finished, true),
        (Vec::new(), End::Blocked(limited), false),
        (Vec::new(), End::Blocked(Reason::Timeout("x".to_owned())), true),
        (Vec::new(), End::Settled(Verdict::Errored, Reason::Panic), true),
    ];
    for (judged, end, expected) in cases {
        let trace = trace(judged, end);
        assert_eq!(blames_target(&CASE, &trace, &with(Severity::Fails)), expected, "{trace:?}");
    }
}

#[test]
fn a_case_that_did_not_run_ends_alike_for_all_its_requirements() {
    let found = Decided::all(&CASE, Verdict::Blocked, Reason::ExpiredWhileWaiting);
    assert_eq!(found.decisions.len(), 2);
    for one in &found.decisions {
        assert_eq!(one.verdict, Verdict::Blocked);
        assert_eq!(one.reason.as_ref().unwrap().code, "rate_limited");
    }
    assert!(!found.is_whole);
}

#[test]
fn the_register_says_whether_a_requirement_applies_and_how_much_it_weighs() {
    let register = Register::bundled().unwrap();
    let of = |release: &str, id: &str| Applicability::of(&register, &Listed::new([release]), id);
    assert_eq!(of("v1.11", "no.such"), Applicability::Unknown);
    for requirement in register.iter() {
        let found = of("r0.0.0", &requirement.id);
        let expected = match requirement.applies(&Listed::new(["r0.0.0"])) {
            false => Applicability::OutOfRange,
            true => Applicability::Applies(Weight {
                level: requirement.level,
                severity: requirement.severity(&Listed::new(["r0.0.0"])),
            }),
        };
        assert_eq!(found, expected, "{}", requirement.id);
    }
}

fn any_judgement() -> impl Strategy<Value = Judgement> {
    prop_oneof![
        Just(met(&["good"])),
        Just(met(&[])),
        Just(doubtful()),
        Just(broken(&["status"])),
        Just(Judgement::NotObserved),
    ]
}

proptest! {
    /// Nothing that a later answer says makes a verdict milder, and a failure has a finding.
    #[test]
    fn more_answers_never_hide_a_failure(
        all in prop::collection::vec((0usize..3, any_judgement()), 0..6),
        more in (0usize..3, any_judgement()),
    ) {
        let judged_all = |all: &[(usize, Judgement)]| all.iter().map(|(at, one)| judged(*at, one.clone())).collect();
        let fewer = decided(&trace(judged_all(&all), End::Finished), Severity::Fails);
        let all: Vec<_> = all.into_iter().chain([more]).collect();
        let found = decided(&trace(judged_all(&all), End::Finished), Severity::Fails);
        for (one, before) in found.decisions.iter().zip(&fewer.decisions) {
            prop_assert!(one.verdict >= before.verdict);
            let mine = found.findings.iter().filter(|f| f.requirement == one.requirement);
            let worst = mine.map(|finding| finding.verdict).max();
            let is_bad = matches!(one.verdict, Verdict::Warned | Verdict::Failed);
            prop_assert_eq!(worst.is_some(), is_bad);
            prop_assert!(worst.is_none_or(|worst| worst == one.verdict));
        }
        prop_assert_eq!(Some(found.verdict), found.decisions.iter().map(|one| one.verdict).max());
    }
}
