//! What the options select.
use super::*;
use crate::check::whole_run::CHECKS;
use crate::model::run::Level;
use crate::plan::selection::{
    Rerun, Selection, select, selection, selects_check, selects_standing,
};

fn files() -> Suite {
    let case = |id: &str, checks: &str, level: &str| {
        format!(
            "  - id: {id}\n    title: x\n    impact: reads\n    checks: [{checks}]\n    steps:\n      \
         - {{ call: getVersions, {level}: {{ status: 200 }} }}\n"
        )
    };
    let file = |cases: &[String]| format!("about: x\ncases:\n{}", cases.concat());
    let (one, two) = (case("one", "a.b", "must"), case("two", "e.f", "should"));
    let rows = "  - id: rows\n    title: x\n    impact: reads\n    checks: [c.d]\n    each:\n      \
                - { row: first, v: 1 }\n      - { row: second, v: 2 }\n    steps:\n      - { method: GET, path: \"/${row.v}\", must: { status: 200 } }\n";
    let texts =
        [("cases/alpha.yaml", file(&[one, rows.to_owned()])), ("cases/beta.yaml", file(&[two]))];
    Suite::from_texts(texts.map(|(name, text)| (name.to_owned(), text)))
        .unwrap_or_else(|faults| panic!("{}", faults[0].render(false)))
}

fn words(all: &[&str]) -> Vec<String> {
    all.iter().map(|word| (*word).to_owned()).collect()
}

fn ids(wanted: &Selection) -> Vec<String> {
    let suite = files();
    select(&suite, &usual(), wanted).unwrap().iter().map(|case| case.id.clone()).collect()
}

#[test]
fn each_option_narrows_what_runs() {
    let none = Selection::default;
    let cases = [
        (none(), vec!["one", "rows[first]", "rows[second]", "two"]),
        (Selection { cases: words(&["rows"]), ..none() }, vec!["rows[first]", "rows[second]"]),
        (
            Selection { cases: words(&["rows[second]", "t*"]), ..none() },
            vec!["rows[second]", "two"],
        ),
        (Selection { skip: words(&["rows"]), ..none() }, vec!["one", "two"]),
        (Selection { requirements: words(&["a.*"]), ..none() }, vec!["one"]),
        (Selection { areas: words(&["beta"]), ..none() }, vec!["two"]),
        (Selection { levels: vec![Level::Should], ..none() }, vec!["two"]),
        (
            Selection {
                levels: vec![Level::Must],
                areas: words(&["alpha"]),
                skip: words(&["rows*"]),
                ..none()
            },
            vec!["one"],
        ),
        (Selection { cases: words(&["one"]), areas: words(&["beta"]), ..none() }, vec![]),
    ];
    for (wanted, expected) in cases {
        assert_eq!(ids(&wanted), expected, "{wanted:?}");
    }
}

#[test]
fn a_word_that_names_nothing_is_refused_with_one_that_is_near() {
    let wanted = Selection {
        cases: words(&["onne"]),
        skip: words(&["nothing-like-it"]),
        requirements: words(&["a.x"]),
        areas: words(&["alph*"]),
        ..Selection::default()
    };
    let faults = select(&files(), &usual(), &wanted).unwrap_err();
    let shown: Vec<(&str, &str)> =
        faults.iter().map(|one| (one.option, one.word.as_str())).collect();
    let expected = [
        ("--case", "onne"),
        ("--skip", "nothing-like-it"),
        ("--requirement", "a.x"),
        ("--area", "alph*"),
    ];
    assert_eq!(shown, expected);
    assert_eq!(faults[0].to_string(), "--case `onne` matches nothing; did you mean `one`?");
    assert_eq!(faults[1].near, None);
    // The checks over the whole run have names as well.
    assert!(
        select(
            &files(),
            &usual(),
            &Selection { cases: words(&[CHECKS[0].id]), ..Selection::default() }
        )
        .is_ok()
    );
}

#[test]
fn standing_checks_belong_to_a_selection_that_names_them_or_nothing() {
    let none = Selection::default;
    let rerun = Rerun { standing: BTreeSet::from(["a.b".to_owned()]), ..Rerun::default() };
    let cases = [
        (none(), true),
        (Selection { cases: words(&["one"]), ..none() }, false),
        (Selection { areas: words(&["alpha"]), ..none() }, false),
        (Selection { cases: words(&["one"]), all_standing: true, ..none() }, true),
        (Selection { requirements: words(&["a.*"]), ..none() }, true),
        (Selection { requirements: words(&["c.*"]), ..none() }, false),
        (Selection { requirements: words(&["a.*"]), cases: words(&["one"]), ..none() }, true),
        (Selection { levels: vec![Level::Must], ..none() }, true),
        (Selection { levels: vec![Level::May], ..none() }, false),
        (Selection { levels: vec![Level::May], requirements: words(&["a.b"]), ..none() }, false),
        (Selection { rerun: Some(rerun.clone()), ..none() }, true),
        (Selection { rerun: Some(Rerun::default()), ..none() }, false),
    ];
    for (wanted, expected) in cases {
        assert_eq!(selects_standing("a.b", Level::Must, &wanted), expected, "{wanted:?}");
    }
}

#[test]
fn a_check_over_the_whole_run_is_selected_as_a_case_is() {
    let (check, none) = (&CHECKS[0], Selection::default);
    let rerun =
        |id: &str| Some(Rerun { cases: BTreeSet::from([id.to_owned()]), ..Rerun::default() });
    let cases = [
        (none(), true),
        (Selection { areas: words(&["alpha"]), ..none() }, false),
        (Selection { cases: words(&[check.id]), ..none() }, true),
        (Selection { cases: words(&["one"]), ..none() }, false),
        (Selection { requirements: words(&[check.requirement]), ..none() }, true),
        (Selection { requirements: words(&["a.b"]), ..none() }, false),
        (Selection { levels: vec![check.level], ..none() }, true),
        (Selection { levels: vec![Level::May], ..none() }, false),
        (Selection { skip: words(&[check.id]), ..none() }, false),
        (Selection { skip: words(&["one"]), ..none() }, true),
        (Selection { rerun: rerun(check.id), ..none() }, true),
        (Selection { rerun: rerun("one"), ..none() }, false),
    ];
    for (wanted, expected) in cases {
        assert_eq!(selects_check(check, &wanted), expected, "{wanted:?}");
    }
}

#[test]
fn a_rerun_takes_what_is_open_and_what_showed_it() {
    use crate::model::exit::tests::{case, run};
    let mut failed = case("rows[second]", Verdict::Failed, &[]);
    failed["id"] = "rows[second]".into();
    let all = [
        case("one", Verdict::Passed, &[]),
        failed,
        case("two", Verdict::Skipped, &[]),
        case("gone", Verdict::Blocked, &[]),
    ];
    let standing = |id: &str, verdict: Verdict, exchange: &str| {
        let mut found = case(id, verdict, &[(id, verdict, false)])["findings"].clone();
        found[0]["exchange"] = exchange.into();
        let outcome = serde_json::json!({
            "requirement": id, "verdict": verdict, "count": 1, "observed": 1, "findings": found, "reason": null,
        });
        serde_json::from_value(outcome).unwrap()
    };
    let run = run(&all, &[], |run| {
        run.standing = vec![
            standing("a.b", Verdict::Warned, "one#2"),
            standing("c.d", Verdict::Passed, "two#1"),
            standing("no.more", Verdict::Failed, "probe#1"),
        ];
    });
    let rerun = Rerun::of(&run, "x.json".to_owned());
    let set = |all: &[&str]| words(all).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(rerun.cases, set(&["gone", "one", "rows[second]"]));
    assert_eq!(rerun.standing, set(&["a.b", "no.more"]));
    assert_eq!(rerun.gone(&files(), &usual()), ["gone", "no.more"]);
    assert_eq!(
        ids(&Selection { rerun: Some(rerun), ..Selection::default() }),
        ["one", "rows[second]"]
    );
    // A row that exists only beside the server's files stands for its case.
    let of_server = Rerun { cases: set(&["two[x]", "onerous", CHECKS[0].id]), ..Rerun::default() };
    assert_eq!(of_server.gone(&files(), &usual()), ["onerous"]);
    assert_eq!(ids(&Selection { rerun: Some(of_server), ..Selection::default() }), ["two"]);
}

#[test]
fn a_selection_is_recorded_as_typed() {
    let wanted = Selection {
        cases: words(&["a*"]),
        requirements: words(&["b"]),
        areas: words(&["c"]),
        levels: vec![Level::May],
        skip: words(&["d"]),
        rerun: Some(Rerun { file: "x.json".to_owned(), ..Rerun::default() }),
        all_standing: true,
        with_evidence: true,
    };
    let recorded = serde_json::to_value(selection(&wanted, 9, 3, Vec::new())).unwrap();
    let expected = serde_json::json!({
        "cases": ["a*"], "requirements": ["b"], "areas": ["c"], "levels": ["MAY"], "skip": ["d"], "rerun": "x.json",
        "available": 9, "selected": 3,
    });
    assert_eq!(recorded, expected);
}
