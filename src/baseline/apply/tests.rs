//! Baselines against small runs: what is new, what is known, and what no longer holds.
use super::super::ServerRange;
use super::*;
use crate::model::exit::tests::{case, requirement, run};
use crate::model::run::{Level, RequirementVerdict};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A finding of a case at a pointer, in an exchange of that operation and status.
fn failed(id: &str, pointer: &str, status: u16) -> Value {
    let mut found = case(id, Verdict::Failed, &[(id, Verdict::Failed, false)]);
    found["findings"][0]["pointer"] = pointer.into();
    found["findings"][0]["exchange"] = format!("{id}#1").into();
    found["exchanges"] = json!([exchange(&format!("{id}#1"), Some("login"), status)]);
    found
}

fn exchange(id: &str, operation: Option<&str>, status: u16) -> Value {
    json!({
        "id": id, "operation": operation,
        "request": {"method": "GET", "url": "x", "headers": [], "body": null},
        "response": {"status": status, "headers": [], "body": "", "truncated": false},
        "trouble": null, "duration_ms": 0,
    })
}

fn standing(
    id: &str,
    verdict: Verdict,
    exchange: Option<&str>,
) -> crate::model::run::StandingOutcome {
    let mut findings = json!([]);
    if let Some(exchange) = exchange {
        findings = case(id, verdict, &[(id, verdict, false)])["findings"].clone();
        findings[0]["pointer"] = "/devices/3/device_id".into();
        findings[0]["exchange"] = exchange.into();
    }
    serde_json::from_value(json!({
        "requirement": id, "verdict": verdict, "count": 1, "observed": 1, "findings": findings, "reason": null,
    }))
    .unwrap()
}

fn of(cases: &[Value]) -> Run {
    run(cases, &[requirement("a.b", Level::Must, true, RequirementVerdict::Failed)], |_| {})
}

fn baseline(entries: Vec<Entry>) -> Baseline {
    Baseline { file: "known.yaml".to_owned(), entries, blocked: Vec::new() }
}

fn new_entries(run: &Run, baseline: &Baseline, gating: Verdict) -> Vec<Entry> {
    additions(run, baseline, gating).entries
}

fn outcome(run: &Run) -> (usize, usize, usize, Vec<Outdated>) {
    let found = run.baseline.as_ref().unwrap();
    (found.new, found.known, found.added, found.outdated.iter().map(|one| one.why).collect())
}

const FAILED: Verdict = Verdict::Failed;

#[test]
fn what_is_new_becomes_an_entry_that_knows_it() {
    let before = of(&[failed("a.b", "status", 500), failed("c.d", "/devices/3/device_id", 200)]);
    let empty = baseline(Vec::new());
    assert_eq!(outcome(&apply(before.clone(), &empty, FAILED, false)), (2, 0, 0, vec![]));
    let entries = new_entries(&before, &empty, FAILED);
    // Of a wrong status the status counts; an index changes from run to run.
    let shown: Vec<_> =
        entries.iter().map(|entry| (entry.key.place_in_words(), entry.seen_in.clone())).collect();
    let expected = ["pointer status, status 500", "pointer /devices/*/device_id"];
    assert_eq!(shown, expected.map(|text| (text.to_owned(), None)));
    let known = baseline(entries);
    let after = apply(before.clone(), &known, FAILED, false);
    assert_eq!(outcome(&after), (0, 2, 0, vec![]));
    assert!(after.cases.iter().flat_map(|case| &case.findings).all(|finding| finding.known));
    assert!(new_entries(&before, &known, FAILED).is_empty());
    // Another wrong status is another finding.
    let other = of(&[failed("a.b", "status", 404), failed("c.d", "/devices/4/device_id", 200)]);
    let found = apply(other, &known, FAILED, false);
    assert_eq!(outcome(&found), (1, 1, 0, vec![]));
    assert!(!found.cases[0].findings[0].known && found.cases[1].findings[0].known);
}

#[test]
fn adopting_makes_what_gates_known_and_nothing_else() {
    let mut mild = failed("c.d", "/x", 200);
    mild["findings"][0]["verdict"] = "warned".into();
    let run = of(&[failed("a.b", "/x", 200), mild]);
    let adopted = apply(run.clone(), &baseline(Vec::new()), FAILED, true);
    assert_eq!(outcome(&adopted), (0, 0, 1, vec![]));
    let known: Vec<bool> =
        adopted.cases.iter().flat_map(|case| &case.findings).map(|f| f.known).collect();
    assert_eq!(known, [true, false]);
    let all = apply(run.clone(), &baseline(Vec::new()), Verdict::Warned, true);
    assert_eq!(outcome(&all), (0, 0, 2, vec![]));
    assert_eq!(
        outcome(&apply(run, &baseline(Vec::new()), Verdict::Warned, false)),
        (2, 0, 0, vec![])
    );
}

#[test]
fn findings_that_an_entry_cannot_tell_apart_are_one() {
    let mut twice = failed("a.b", "/devices/1/x", 200);
    let mut second = twice["findings"][0].clone();
    second["pointer"] = "/devices/2/x".into();
    twice["findings"].as_array_mut().unwrap().push(second);
    let run = of(&[twice]);
    assert_eq!(new_entries(&run, &baseline(Vec::new()), FAILED).len(), 1);
}

#[test]
fn an_entry_whose_finding_is_gone_is_fixed_if_its_case_was_decided() {
    let entries = new_entries(&of(&[failed("a.b", "/x", 200)]), &baseline(Vec::new()), FAILED);
    let known = baseline(entries);
    let after = |case: Value| outcome(&apply(of(&[case]), &known, FAILED, false)).3;
    assert_eq!(after(case("a.b", Verdict::Passed, &[])), [Outdated::Fixed]);
    assert_eq!(after(case("a.b", Verdict::Warned, &[])), [Outdated::Fixed]);
    for open in [Verdict::Skipped, Verdict::Blocked, Verdict::Errored] {
        assert_eq!(after(case("a.b", open, &[])), [], "{open}");
    }
    assert_eq!(after(case("c.d", Verdict::Passed, &[])), [], "its case did not run");
    // Something newly broken may have hidden it; a new warning did not.
    assert_eq!(after(failed("a.b", "/y", 200)), []);
    let mut mild = failed("a.b", "/y", 200);
    mild["findings"][0]["verdict"] = "warned".into();
    assert_eq!(after(mild), [Outdated::Fixed]);
    let run = apply(of(&[case("a.b", Verdict::Passed, &[])]), &known, FAILED, false);
    let gone = &run.baseline.unwrap().outdated[0];
    assert_eq!(
        (gone.requirement.as_str(), gone.case.as_str(), gone.place.as_str()),
        ("a.b", "a.b", "pointer /x")
    );
}

#[test]
fn an_entry_holds_until_the_end_of_its_day_and_for_its_servers() {
    let run = of(&[failed("a.b", "/x", 200)]);
    let mut entry = new_entries(&run, &baseline(Vec::new()), FAILED).remove(0);
    let at = |entry: &Entry, day: &str| {
        let mut run = run.clone();
        run.started_at = format!("{day}T12:00:00Z");
        outcome(&apply(run, &baseline(vec![entry.clone()]), FAILED, false))
    };
    entry.expires = Some("2026-03-01".parse().unwrap());
    assert_eq!(at(&entry, "2026-02-28"), (0, 1, 0, vec![]));
    assert_eq!(at(&entry, "2026-03-01"), (0, 1, 0, vec![]), "the last day counts");
    assert_eq!(at(&entry, "2026-03-02"), (1, 0, 0, vec![Outdated::Expired]));
    // Of a run without a day nobody knows that it holds.
    assert_eq!(at(&entry, "not a day "), (1, 0, 0, vec![Outdated::Expired]));
    let of_server = |server: Option<&str>| {
        let mut run = run.clone();
        run.target.server = server.map(Into::into);
        let range = Some(ServerRange::parse("Synapse >=1.150").unwrap());
        let entry = Entry { server: range, expires: None, ..entry.clone() };
        outcome(&apply(run, &baseline(vec![entry]), FAILED, false))
    };
    assert_eq!(of_server(Some("Synapse/1.151")), (0, 1, 0, vec![]));
    assert_eq!(of_server(Some("Synapse/1.149")), (1, 0, 0, vec![]));
    assert_eq!(of_server(Some("Dendrite/2")), (1, 0, 0, vec![]));
    // One that is fixed and expired is fixed.
    let mut fixed = of(&[case("a.b", Verdict::Passed, &[])]);
    fixed.started_at = "2027-01-01T00:00:00Z".to_owned();
    assert_eq!(outcome(&apply(fixed, &baseline(vec![entry]), FAILED, false)).3, [Outdated::Fixed]);
}

#[test]
fn a_standing_finding_is_known_by_its_operation_and_gone_if_what_showed_it_was_sent_again() {
    let with = |found: Option<&str>, verdict: Verdict, change: &dyn Fn(&mut Run)| {
        let cases = [{
            let mut one = case("c.d", Verdict::Passed, &[]);
            one["exchanges"] = json!([exchange("c.d#1", Some("getDevices"), 200)]);
            one
        }];
        run(&cases, &[requirement("a.b", Level::Must, true, RequirementVerdict::Failed)], |run| {
            run.standing = vec![standing("a.b", verdict, found)];
            change(run);
        })
    };
    let broken = with(Some("c.d#1"), Verdict::Failed, &|_| {});
    let entries = new_entries(&broken, &baseline(Vec::new()), FAILED);
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].key.case, STANDING);
    assert_eq!(entries[0].key.operation.as_deref(), Some("getDevices"));
    assert_eq!((entries[0].key.status, entries[0].seen_in.as_deref()), (None, Some("c.d")));
    let known = baseline(entries.clone());
    let found = apply(broken, &known, FAILED, false);
    assert_eq!(outcome(&found), (0, 1, 0, vec![]));
    assert!(found.standing[0].findings[0].known);
    let after = |run: Run| outcome(&apply(run, &known, FAILED, false)).3;
    assert_eq!(after(with(None, Verdict::Passed, &|_| {})), [Outdated::Fixed]);
    assert_eq!(after(with(None, Verdict::Skipped, &|_| {})), []);
    assert_eq!(after(with(None, Verdict::Passed, &|run| run.complete = false)), []);
    assert_eq!(after(with(None, Verdict::Passed, &|run| run.cases.clear())), []);
    assert_eq!(
        after(with(None, Verdict::Passed, &|run| run.cases[0].verdict = Verdict::Blocked)),
        []
    );
    assert_eq!(after(with(None, Verdict::Passed, &|run| run.standing.clear())), []);
    // One that names no place of its own is gone if everything was asked.
    let everywhere = baseline(vec![Entry { seen_in: None, ..entries[0].clone() }]);
    let selected = |selected: usize| {
        let run = with(None, Verdict::Passed, &|run| run.selection.selected = selected);
        outcome(&apply(run, &everywhere, FAILED, false)).3
    };
    assert_eq!(selected(1), [Outdated::Fixed]);
    assert_eq!(selected(0), []);
    // What was seen outside cases was sent again if there is an exchange of it.
    let outside = baseline(vec![Entry { seen_in: Some("probe".to_owned()), ..entries[0].clone() }]);
    let probed = |exchanges: Value| {
        let support = json!([{"name": "probe", "exchanges": exchanges}]);
        let run = with(None, Verdict::Passed, &|run| {
            run.support = serde_json::from_value(support.clone()).unwrap()
        });
        outcome(&apply(run, &outside, FAILED, false)).3
    };
    assert_eq!(probed(json!([exchange("probe#1", None, 200)])), [Outdated::Fixed]);
    assert_eq!(probed(json!([])), []);
}

#[test]
fn a_request_of_no_known_operation_is_another_and_a_branch_is_a_place() {
    let run = of(&[{
        let mut one = failed("a.b", "/x", 418);
        one["exchanges"] = json!([exchange("a.b#1", None, 418)]);
        one
    }]);
    let finding = &run.cases[0].findings[0];
    let shown = Shown { operation: None, status: Some(418) };
    let found = key(finding, "a.b", Some(shown));
    assert_eq!((found.operation.as_deref(), found.status), (Some(OTHER), Some(418)));
    let found = key(finding, "a.b", None);
    assert_eq!((found.operation, found.status), (None, None));
    let branch = Finding { branch: Some("odd".to_owned()), ..finding.clone() };
    assert_eq!(key(&branch, "a.b", None).place, Place::Branch("odd".to_owned()));
}

proptest! {
    /// What was adopted is known to the same run, whatever it found.
    #[test]
    fn a_baseline_of_a_run_knows_all_of_it(
        found in prop::collection::vec((0usize..3, "/[a-c0-9]{1,2}/x|status", prop::sample::select(vec![200u16, 404])), 0..6),
    ) {
        let cases: Vec<Value> = found.iter().enumerate().map(|(n, (_, at, status))| failed(&format!("a.b{n}"), at, *status)).collect();
        let run = of(&cases);
        let known = baseline(new_entries(&run, &baseline(Vec::new()), Verdict::Warned));
        let again = apply(run, &known, Verdict::Warned, false);
        let outcome = again.baseline.unwrap();
        prop_assert_eq!((outcome.new, outcome.known, outcome.outdated.len()), (0, known.entries.len(), 0));
        prop_assert!(again.cases.iter().flat_map(|case| &case.findings).all(|finding| finding.known));
    }
}
