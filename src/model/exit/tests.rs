//! Exit statuses of small runs, alone and against each other.
use super::*;
use crate::model::run::{BaselineOutcome, Level};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A case that decides the requirement of its name, with findings: requirement, verdict, and whether a baseline knows it.
pub(crate) fn case(id: &str, verdict: Verdict, findings: &[(&str, Verdict, bool)]) -> Value {
    let finding = |(requirement, verdict, known): &(&str, Verdict, bool)| {
        json!({
            "requirement": requirement, "level": "MUST", "verdict": verdict, "message": "x", "expected": "x",
            "actual": "x", "pointer": "status", "exchange": null, "file": "x.yaml", "line": 1, "known": known,
        })
    };
    json!({
        "id": id, "title": "x", "area": "x", "file": "x.yaml", "line": 1, "impact": "reads", "verdict": verdict,
        "reason": null, "branch": null, "requirements": [id], "duration_ms": 0,
        "decisions": [{"requirement": id, "verdict": verdict}],
        "findings": findings.iter().map(finding).collect::<Vec<_>>(), "exchanges": [],
    })
}

pub(crate) fn requirement(
    id: &str,
    level: Level,
    applies: bool,
    verdict: RequirementVerdict,
) -> Value {
    json!({
        "id": id, "level": level, "mark": "plain", "title": "x", "source_url": "https://x.example/#x",
        "applies": applies, "verdict": verdict, "reason": null, "cases": [],
    })
}

/// A run with these cases and requirements, and what else `change` makes of it.
pub(crate) fn run(cases: &[Value], requirements: &[Value], change: impl FnOnce(&mut Run)) -> Run {
    let tally =
        json!({"passed": 0, "warned": 0, "failed": 0, "blocked": 0, "skipped": 0, "errored": 0});
    let mut of_requirements = tally.clone();
    of_requirements["untested"] = json!(0);
    let value = json!({
        "schema_version": crate::model::run::SCHEMA_VERSION, "complete": true, "exit_status": 0,
        "tool": {"name": "homespec", "version": "0"},
        "target": {"base_url": "x", "server": null, "versions": [], "flows": [], "api": "v3", "spec": "x"},
        "selection": {"cases": [], "requirements": [], "areas": [], "levels": [], "skip": [], "available": 1, "selected": 1},
        "started_at": "2026-01-01T00:00:00Z", "duration_ms": 0, "tally": tally, "tally_requirements": of_requirements,
        "limits_hit": [], "not_cleaned_up": [], "notes": [], "cases": cases, "standing": [],
        "requirements": requirements, "support": [],
    });
    let mut run = serde_json::from_value(value).unwrap();
    change(&mut run);
    run
}

const STRICT: Gate =
    Gate { fail_on_should: true, allow_blocked: false, allow_blocked_security: false };
const LAX: Gate =
    Gate { fail_on_should: false, allow_blocked: true, allow_blocked_security: false };

fn must(verdict: RequirementVerdict) -> Value {
    requirement("a.b", Level::Must, true, verdict)
}

#[track_caller]
fn ends(run: &Run, usual: u8, strict: u8, lax: u8) {
    let found = [Gate::default(), STRICT, LAX].map(|gate| status(run, gate));
    assert_eq!(found, [usual, strict, lax]);
}

#[test]
fn a_run_ends_by_what_its_applicable_requirements_came_to() {
    use RequirementVerdict as R;
    ends(&run(&[case("a.b", Verdict::Passed, &[])], &[must(R::Passed)], |_| {}), 0, 0, 0);
    let failed = [case("a.b", Verdict::Failed, &[("a.b", Verdict::Failed, false)])];
    ends(&run(&failed, &[must(R::Failed)], |_| {}), 1, 1, 1);
    let warned = [case("a.b", Verdict::Warned, &[("a.b", Verdict::Warned, false)])];
    ends(&run(&warned, &[must(R::Warned)], |_| {}), 0, 1, 0);
    // Without a finding it counts all the same.
    ends(&run(&[case("a.b", Verdict::Failed, &[])], &[must(R::Failed)], |_| {}), 1, 1, 1);
    // What does not apply gates nothing.
    let other = requirement("a.b", Level::Must, false, R::Failed);
    ends(&run(&failed, &[other], |_| {}), 0, 0, 0);
    ends(&run(&failed, &[requirement("c.d", Level::Must, true, R::Failed)], |_| {}), 0, 0, 0);
}

#[test]
fn what_is_open_is_told_apart_from_what_is_broken() {
    use RequirementVerdict as R;
    let blocked = || [case("a.b", Verdict::Blocked, &[])];
    ends(&run(&blocked(), &[must(R::Blocked)], |_| {}), 5, 5, 0);
    let should = requirement("a.b", Level::Should, true, R::Blocked);
    ends(&run(&blocked(), &[should], |_| {}), 0, 0, 0);
    let other = requirement("a.b", Level::Must, false, R::Blocked);
    ends(&run(&blocked(), &[other], |_| {}), 0, 0, 0);
    ends(&run(&[], &[must(R::Passed)], |run| run.no_usable_account = true), 5, 5, 5);
    ends(&run(&[case("a.b", Verdict::Errored, &[])], &[], |_| {}), 70, 70, 70);
    ends(&run(&[], &[must(R::Errored)], |_| {}), 70, 70, 70);
    ends(&run(&[], &[requirement("a.b", Level::Must, false, R::Errored)], |_| {}), 0, 0, 0);
}

#[test]
fn what_a_baseline_knows_does_not_gate_and_what_it_lists_in_vain_does() {
    use RequirementVerdict as R;
    let with = |known: &[bool]| {
        let findings: Vec<_> = known.iter().map(|known| ("a.b", Verdict::Failed, *known)).collect();
        run(&[case("a.b", Verdict::Failed, &findings)], &[must(R::Failed)], |_| {})
    };
    assert_eq!(status(&with(&[true]), Gate::default()), 0);
    assert_eq!(status(&with(&[true, true]), Gate::default()), 0);
    assert_eq!(status(&with(&[true, false]), Gate::default()), 1);
    // The finding of another requirement, or a milder one, is no excuse.
    let others = [("c.d", Verdict::Failed, true)];
    assert_eq!(
        status(
            &run(&[case("a.b", Verdict::Failed, &others)], &[must(R::Failed)], |_| {}),
            Gate::default()
        ),
        1
    );
    let milder = [("a.b", Verdict::Warned, true)];
    assert_eq!(
        status(
            &run(&[case("a.b", Verdict::Failed, &milder)], &[must(R::Failed)], |_| {}),
            Gate::default()
        ),
        1
    );
    // An unknown warning beside a known failure gates only where warnings do.
    let both = [("a.b", Verdict::Failed, true), ("a.b", Verdict::Warned, false)];
    ends(&run(&[case("a.b", Verdict::Failed, &both)], &[must(R::Failed)], |_| {}), 0, 1, 0);
    let outdated = |count: usize| {
        let entry = json!({"requirement": "a.b", "case": "x", "place": "x", "why": "fixed", "text": "x", "reason": "x", "line": 1});
        let baseline =
            json!({"file": "x", "new": 0, "known": 0, "added": 0, "outdated": vec![entry; count]});
        let baseline: BaselineOutcome = serde_json::from_value(baseline).unwrap();
        run(&[], &[], |run| run.baseline = Some(baseline))
    };
    ends(&outdated(0), 0, 0, 0);
    ends(&outdated(1), 1, 1, 1);
}

#[test]
fn a_standing_check_gates_as_a_case_does() {
    use RequirementVerdict as R;
    let standing = |verdict: Verdict, known: bool| {
        let found = case("a.b", verdict, &[("a.b", verdict, known)])["findings"].clone();
        let outcome = json!({
            "requirement": "a.b", "verdict": verdict, "count": 1, "observed": 1, "findings": found, "reason": null,
        });
        serde_json::from_value(outcome).unwrap()
    };
    let of = |verdict, known, applies| {
        let all = [requirement("a.b", Level::Must, applies, R::from(verdict))];
        run(&[], &all, |run| run.standing = vec![standing(verdict, known)])
    };
    ends(&of(Verdict::Failed, false, true), 1, 1, 1);
    ends(&of(Verdict::Failed, true, true), 0, 0, 0);
    ends(&of(Verdict::Failed, false, false), 0, 0, 0);
    ends(&of(Verdict::Warned, false, true), 0, 1, 0);
    ends(&of(Verdict::Passed, false, true), 0, 0, 0);
}

#[test]
fn what_is_required_gates_like_a_must() {
    let of = |verdict: Verdict| {
        let one = json!({"name": "sso", "verdict": verdict, "text": "x"});
        run(&[], &[], |run| run.required = vec![serde_json::from_value(one).unwrap()])
    };
    ends(&of(Verdict::Passed), 0, 0, 0);
    ends(&of(Verdict::Failed), 1, 1, 1);
    ends(&of(Verdict::Blocked), 5, 5, 0);
}

#[test]
fn an_interruption_comes_before_all_else_unless_it_is_fail_fast() {
    use RequirementVerdict as R;
    let failed = || {
        let mut skipped = case("c.d", Verdict::Skipped, &[]);
        skipped["reason"] = json!({"code": "fail_fast", "text": "x"});
        [case("a.b", Verdict::Failed, &[("a.b", Verdict::Failed, false)]), skipped]
    };
    ends(&run(&failed(), &[must(R::Failed)], |run| run.complete = false), 1, 1, 1);
    let mut other = failed();
    other[1]["reason"] = json!({"code": "interrupted", "text": "x"});
    ends(&run(&other, &[must(R::Failed)], |run| run.complete = false), 130, 130, 130);
    ends(
        &run(&[case("a.b", Verdict::Errored, &[])], &[], |run| run.complete = false),
        130,
        130,
        130,
    );
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop::sample::select(Verdict::ALL)
}

proptest! {
    /// A stricter gate never makes a run greener, and a further failure never makes it green.
    #[test]
    fn gates_and_failures_only_add(verdicts in prop::collection::vec(any_verdict(), 0..5)) {
        let of = |verdicts: &[Verdict]| {
            let ids: Vec<String> = (0..verdicts.len()).map(|n| format!("a.b{n}")).collect();
            let of_case = |(id, verdict): (&String, &Verdict)| {
                let found: &[(&str, Verdict, bool)] = match verdict {
                    Verdict::Warned | Verdict::Failed => &[(id, *verdict, false)],
                    _ => &[],
                };
                case(id, *verdict, found)
            };
            let cases: Vec<Value> = ids.iter().zip(verdicts).map(of_case).collect();
            let of_one = |(id, verdict): (&String, &Verdict)| requirement(id, Level::Must, true, (*verdict).into());
            let all: Vec<Value> = ids.iter().zip(verdicts).map(of_one).collect();
            run(&cases, &all, |_| {})
        };
        let found = of(&verdicts);
        let usual = status(&found, Gate::default());
        prop_assert!(usual == 0 || status(&found, STRICT) != 0);
        prop_assert!(usual != 0 || status(&found, LAX) == 0);
        let more: Vec<Verdict> = verdicts.iter().copied().chain([Verdict::Failed]).collect();
        prop_assert!([BROKEN, OWN_FAULT].contains(&status(&of(&more), LAX)));
    }
}
