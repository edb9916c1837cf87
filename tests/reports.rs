//! The reports, against files that were looked at once (`tests/golden/`), and against any text that a
//! server might send. `UPDATE_GOLDEN=1` writes the files again; read the difference before you keep it.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
#[path = "reports/runs.rs"]
mod runs;

use homespec::baseline::compare::{Change, compare as compared};
use homespec::model::run::{
    BaselineOutcome, RequirementOutcome, RequirementTally, RequirementVerdict, Run,
};
use homespec::redact::RedactedRun;
use homespec::report::{self, Dialect, Format};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

type Golden = (&'static str, fn() -> Run);

const RUNS: [Golden; 3] = [
    ("clean", runs::clean),
    ("every-verdict", runs::every_verdict),
    ("interrupted", runs::interrupted),
];

/// Those, and one that is gated, whose reports are looked at for what gating adds.
fn all_runs() -> impl Iterator<Item = Golden> {
    RUNS.into_iter().chain([("gated", runs::gated as fn() -> Run)])
}

// --- golden files ---

fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    let first = golden.lines().zip(text.lines()).position(|(a, b)| a != b);
    assert!(
        golden == text,
        "{name} differs, first in line {:?}; see the head of this file",
        first.map(|n| n + 1)
    );
}

#[test]
fn reports_are_as_they_were_looked_at() {
    let paths: Vec<PathBuf> =
        Format::DEFAULT.iter().map(|f| Path::new("reports").join(f.file_name())).collect();
    for (name, run) in RUNS {
        let run = run();
        for format in Format::DEFAULT {
            compare(&format!("{name}.{}", format.file_name()), &format.render(&run).unwrap());
        }
        compare(&format!("{name}.strict.xml"), &report::junit(&run, Dialect::Strict));
        compare(&format!("{name}.terminal.txt"), &report::terminal(&run, &paths, Some(80), false));
        compare(&format!("{name}.color.txt"), &report::terminal(&run, &paths, Some(80), true));
        compare(&format!("{name}.annotations.txt"), &report::github_annotations(&run).join("\n"));
    }
}

// --- run.json and its schema ---

fn schema() -> Value {
    serde_json::from_str(include_str!("../spec/run.schema.json")).unwrap()
}

fn value(run: &Run) -> Value {
    serde_json::from_str(&report::json(run).unwrap()).unwrap()
}

#[test]
fn every_run_is_valid_against_the_published_schema() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (name, run) in all_runs() {
        let run = value(&run());
        let faults: Vec<String> =
            validator.iter_errors(&run).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert_eq!(faults, Vec::<String>::new(), "{name}");
    }
}

/// The keys that other programs may count on, as the design lists them.
const RELIED_ON: [(&str, &str); 14] = [
    ("", "schema_version complete exit_status tool target selection started_at duration_ms tally"),
    ("", "tally_requirements limits_hit not_cleaned_up cases standing requirements"),
    ("/tool", "name version"),
    ("/target", "base_url versions flows"),
    ("/tally", "passed warned failed blocked skipped errored"),
    ("/tally_requirements", "passed warned failed blocked skipped errored untested"),
    ("/cases/1", "id title area file line impact verdict requirements duration_ms decisions"),
    ("/cases/1", "findings exchanges"),
    ("/cases/1/decisions/0", "requirement verdict"),
    ("/cases/1/findings/0", "requirement level message expected actual file line known"),
    ("/cases/3/reason", "code text"),
    ("/standing/0", "requirement verdict count findings"),
    ("/requirements/0", "id level mark title source_url applies verdict cases"),
    ("/cases/1/exchanges/0", "id request duration_ms"),
];

#[test]
fn the_schema_requires_what_others_rely_on() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let whole = value(&runs::every_verdict());
    for (place, keys) in RELIED_ON {
        for key in keys.split(' ') {
            let mut run = whole.clone();
            let object = run.pointer_mut(place).and_then(Value::as_object_mut).unwrap();
            assert!(object.remove(key).is_some(), "{place}/{key} is not in the golden run");
            assert!(!validator.is_valid(&run), "{place}/{key} may be missing");
        }
    }
}

#[test]
fn the_schema_forbids_nothing_that_is_optional() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let whole = value(&runs::every_verdict());
    let optional = [
        "/target/server",
        "/cases/1/reason",
        "/cases/1/branch",
        "/cases/1/decisions/0/reason",
        "/cases/1/decisions/0/branch",
        "/cases/1/findings/0/exchange",
        "/cases/1/exchanges/0/operation",
        "/cases/1/exchanges/0/response",
        "/cases/1/exchanges/0/trouble",
        "/cases/1/exchanges/0/request/body",
        "/standing/0/reason",
        "/requirements/0/reason",
    ];
    for pointer in optional {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let mut run = whole.clone();
        let object = run.pointer_mut(parent).and_then(Value::as_object_mut).unwrap();
        object.insert(key.into(), Value::Null);
        assert!(validator.is_valid(&run), "{pointer} may not be null");
        assert!(report::read(&run.to_string()).is_ok(), "{pointer} as null is not read");
        run.pointer_mut(parent).and_then(Value::as_object_mut).unwrap().remove(key);
        assert!(validator.is_valid(&run), "{pointer} may not be missing");
        assert!(report::read(&run.to_string()).is_ok(), "{pointer} missing is not read");
    }
}

#[test]
fn a_key_of_a_later_program_is_neither_forbidden_nor_an_error() {
    let mut run = value(&runs::clean());
    run["from_a_later_version"] = json!(1);
    assert!(jsonschema::validator_for(&schema()).unwrap().is_valid(&run));
    assert!(report::read(&run.to_string()).is_ok());
}

/// Whether the schema knows and describes each key of the value.
fn undescribed(
    schema: &Value,
    node: &Value,
    value: &Value,
    path: &str,
    out: &mut BTreeSet<String>,
) {
    let mut node = node;
    if let Some(any) = node.get("anyOf") {
        node = &any[0];
    }
    if let Some(name) = node.get("$ref").and_then(Value::as_str) {
        node = schema.pointer(name.trim_start_matches('#')).unwrap();
    }
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let property = &node["properties"][key];
                let path = format!("{path}/{key}");
                if property["description"].as_str().is_none_or(str::is_empty) {
                    out.insert(path);
                } else {
                    undescribed(schema, property, inner, &path, out);
                }
            }
        }
        Value::Array(items) => {
            items.iter().for_each(|i| undescribed(schema, &node["items"], i, path, out));
        }
        _ => {}
    }
}

#[test]
fn the_schema_describes_every_key_that_is_written() {
    let schema = schema();
    let mut missing = BTreeSet::new();
    for (_, run) in all_runs() {
        undescribed(&schema, &schema, &value(&run()), "", &mut missing);
    }
    assert_eq!(missing, BTreeSet::new());
}

#[test]
fn run_json_reads_back_as_it_was() {
    for (name, run) in all_runs() {
        let run = run();
        assert_eq!(report::read(&report::json(&run).unwrap()).unwrap(), run, "{name}");
    }
}

// --- gating ---

#[test]
fn every_report_says_what_gates() {
    let run = runs::gated();
    let terminal = report::terminal(&run, &[], Some(100), false);
    for part in [
        "Lacks required features",
        "Baseline: 0 new, 2 known, 1 fixed, 1 expired, 1 added (known.yaml)",
        "  refresh: a sentence",
        "Baseline out of date: 2 entries",
        "  fixed device.login.echo in device-id-is-kept (pointer /device_id)",
        "--rerun earlier.json",
    ] {
        assert!(terminal.contains(part), "`{part}` is missing in\n{terminal}");
    }
    let markdown = report::markdown(&run).unwrap();
    for part in ["- Baseline: 0 new, 2 known", "## Required", "## Baseline out of date", "line 9"] {
        assert!(markdown.contains(part), "`{part}` is missing in\n{markdown}");
    }
    assert!(report::html(&run).unwrap().contains("0 new, 2 known"));
    let annotations = report::github_annotations(&run);
    assert!(
        annotations
            .iter()
            .any(|a| a.starts_with("::error file=known.yaml,line=3,title=baseline%3A fixed::"))
    );
    assert!(annotations.iter().any(|a| a.starts_with("::error title=required%3A refresh::")));
    assert!(annotations.iter().all(|a| !a.contains('\n')), "{annotations:?}");
    let ours = |(_, name, _): &(String, String, &str)| {
        name.contains("require::") || name.contains("baseline::")
    };
    for dialect in [Dialect::Common, Dialect::Strict] {
        let found: Vec<_> =
            test_cases(&report::junit(&run, dialect)).into_iter().filter(ours).collect();
        let how: Vec<&str> = found.iter().map(|(_, _, how)| *how).collect();
        assert_eq!(how, ["", "failure", "error", "failure", "failure"], "{found:?}");
    }
}

// --- counts and order ---

/// The numbers behind the words of a sentence: `3 failed, 2 warned`.
fn numbers(text: &str) -> BTreeMap<String, usize> {
    let words: Vec<&str> =
        text.split([' ', ',', '.', ';', ':']).filter(|w| !w.is_empty()).collect();
    let pairs = words.windows(2).filter_map(|pair| Some((pair[0].parse().ok()?, pair[1])));
    pairs.map(|(number, word): (usize, &str)| (word.to_owned(), number)).collect()
}

/// What follows a heading: `Warned: 6 requirements`.
fn heading(page: &str, before: &str, title: &str) -> Option<usize> {
    let (_, rest) = page.split_once(&format!("{before}{title}: "))?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[test]
fn every_report_counts_the_same() {
    let more = [("crossed", runs::crossed as fn() -> Run), ("crowded", crowded as fn() -> Run)];
    for (name, run) in all_runs().chain(more) {
        let run = run();
        let tally = RequirementTally::of(&run.requirements);
        assert_eq!(run.tally_requirements.failed, tally.failed, "{name}");
        let expected: BTreeMap<String, usize> = RequirementVerdict::ALL
            .iter()
            .map(|verdict| (verdict.as_str().to_owned(), tally.count(*verdict)))
            .filter(|(_, number)| *number > 0)
            .collect();
        let applicable = run.requirements.iter().filter(|r| r.applies).count();
        assert_eq!(expected.values().sum::<usize>(), applicable, "{name}");
        let markdown = report::markdown(&run).unwrap();
        let junit = report::junit(&run, Dialect::Common);
        let terminal = report::terminal(&run, &[], None, false);
        let html = report::html(&run).unwrap();
        let comparison = compared(&[("a".into(), run.clone()), ("b".into(), run.clone())]);
        let sentences = [
            terminal.lines().find(|line| line.contains("applicable")),
            markdown.lines().find(|line| line.contains("applicable")),
            junit.lines().find(|line| line.contains("applicable")),
        ];
        let table = report::compare_table(&comparison).unwrap();
        let of_compare = table.lines().next().and_then(|line| line.rsplit_once("; ")).unwrap().1;
        let of_all = sentences.map(|one| one.unwrap_or_else(|| panic!("{name}: no sentence")));
        for sentence in of_all.into_iter().chain([of_compare]) {
            let mut found = numbers(sentence);
            found.retain(|word, _| {
                expected.contains_key(word)
                    || RequirementVerdict::ALL.iter().any(|v| v.as_str() == word)
            });
            assert_eq!(found, expected, "{name}: {sentence}");
        }
        for verdict in RequirementVerdict::ALL {
            let number = tally.count(*verdict);
            let shown = format!("\">{number}</b> {}</a>", verdict.as_str());
            assert!(html.contains(&shown), "{name}: {shown}");
            let title = match verdict {
                RequirementVerdict::Failed => "Broken",
                RequirementVerdict::Warned => "Warned",
                RequirementVerdict::Blocked => "Blocked",
                _ => continue,
            };
            for (page, before) in [(&terminal, "\n"), (&markdown, "## "), (&html, "-title\">")] {
                let found = heading(page, before, title);
                let nothing = found.is_none() && number == 0;
                assert!(nothing || found == Some(number), "{name}: {title} {found:?} {number}");
            }
        }
        let json: Value = serde_json::from_str(&report::json(&run).unwrap()).unwrap();
        assert_eq!(json["tally_requirements"], serde_json::to_value(tally).unwrap(), "{name}");
    }
}

#[test]
fn a_note_is_told_with_its_clause_and_counted_nowhere() {
    const TEXT: &str = "a note: demands nothing of a server";
    for (name, run) in all_runs() {
        let (before, mut run) = (run(), run());
        let all = run.requirements.len();
        let mut note = run.requirements[0].clone();
        note.id = "get_token.optional".to_owned();
        (note.applies, note.verdict) = (false, RequirementVerdict::Skipped);
        note.reason = serde_json::from_value(json!({"code": "note", "text": TEXT})).unwrap();
        (note.because, note.cases) = (None, Vec::new());
        note.source_url = "https://spec.matrix.org/note#clause".to_owned();
        run.requirements.push(note);
        assert_eq!(RequirementTally::of(&run.requirements), before.tally_requirements, "{name}");
        assert_eq!((run.applicable(), run.requirements.len()), (before.applicable(), all + 1));
        let html = report::html(&run).unwrap();
        for part in ["get_token.optional", TEXT, "note#clause"] {
            assert!(html.contains(part), "{name}: {part}");
        }
        let markdown = report::markdown(&run).unwrap();
        assert!(markdown.contains(TEXT) && markdown.contains("get_token.optional"), "{name}");
        let itself = compared(&[("a".into(), run.clone()), ("b".into(), run.clone())]);
        let row = itself.requirements.iter().find(|row| row.id == "get_token.optional").unwrap();
        assert_eq!(row.change, Change::None, "{name}");
    }
}

#[test]
fn what_matters_most_comes_first_and_causes_before_their_like() {
    let run = runs::crossed();
    let order = [
        "uia.session.secret",
        "device.login.bound",
        "device.login.echo",
        "login.state",
        "rate_limit.errcode",
    ];
    let html = report::html(&run).unwrap();
    let (_, html) = html.split_once("id=\"main\"").unwrap();
    let annotations = report::github_annotations(&run).join("\n");
    let pages = [
        report::terminal(&run, &[], None, false),
        report::markdown(&run).unwrap(),
        html.to_owned(),
        annotations,
    ];
    for page in pages {
        // The first lines name what is blocked, and no finding.
        let at: Vec<usize> =
            order.map(|id| page.find(id).unwrap_or_else(|| panic!("{id}: {page}"))).to_vec();
        assert!(at.is_sorted(), "{at:?}\n{page}");
    }
}

#[test]
fn blocked_musts_of_security_are_in_the_first_lines() {
    let run = runs::crossed();
    let line = "Blocked, and a matter of security: 1 requirement: login.token.single_use";
    let html = report::html(&run).unwrap();
    assert!(html.split_once("<nav").unwrap().0.contains(line));
    let markdown = report::markdown(&run).unwrap().replace('\\', "");
    for page in [report::terminal(&run, &[], Some(80), false), markdown] {
        let at = page.lines().position(|text| text.contains(line));
        assert!(at.is_some_and(|at| at < 8), "{page}");
    }
    let mut accepted = run;
    let outcome = runs::gated().baseline.unwrap();
    let blocked = vec!["login.token.single_use".to_owned()];
    accepted.baseline = Some(BaselineOutcome { blocked, ..outcome });
    assert!(!report::terminal(&accepted, &[], None, false).contains("a matter of security"));
}

#[test]
fn what_was_expected_is_never_cut() {
    let mut run = runs::every_verdict();
    let expected = "one of the many values that the specification names, ".repeat(5);
    let finding = &mut run.cases[1].findings[0];
    finding.message = format!("/x: expected {expected}end, got {}", "something ".repeat(90)).into();
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for width in [40, 60, 80, 200] {
        let text = report::terminal(&run, &[], Some(width), false);
        assert!(flat(&text).contains(&flat(&format!("{expected}end,"))), "{width}\n{text}");
    }
}

#[test]
fn nothing_is_cut_where_the_output_is_no_terminal() {
    let mut run = crowded();
    let long = "word ".repeat(400);
    run.cases[1].findings[0].message = long.as_str().into();
    run.notes.push(long.as_str().into());
    let text = report::terminal(&run, &[], None, false);
    assert_eq!(text.matches(long.trim_end()).count(), 2, "{text}");
    let all = |part: &str| (0..40).all(|n| text.contains(&format!("{part}{n}")));
    assert!(all("made.up.") && all("reason_") && all("note "), "{text}");
    assert!(!text.contains(" more)") && !text.contains("  and "), "{text}");
}

// --- JUnit ---

/// The test cases of a file: class, name, and the element that says how it ended.
fn test_cases(xml: &str) -> Vec<(String, String, &'static str)> {
    let document = roxmltree::Document::parse(xml).unwrap();
    let how = |case: roxmltree::Node<'_, '_>| {
        let elements = ["failure", "error", "skipped"];
        elements.into_iter().find(|e| case.children().any(|c| c.has_tag_name(*e))).unwrap_or("")
    };
    let text = |case: roxmltree::Node<'_, '_>, key| case.attribute(key).unwrap().to_owned();
    document
        .descendants()
        .filter(|n| n.has_tag_name("testcase"))
        .map(|n| (text(n, "classname"), text(n, "name"), how(n)))
        .collect()
}

#[test]
fn junit_counts_what_it_holds() {
    for dialect in [Dialect::Common, Dialect::Strict] {
        let run = runs::every_verdict();
        let xml = report::junit(&run, dialect);
        let cases = test_cases(&xml);
        let document = roxmltree::Document::parse(&xml).unwrap();
        let root = document.root_element();
        let count = |how: &str| cases.iter().filter(|c| c.2 == how).count().to_string();
        assert_eq!(root.attribute("tests"), Some(cases.len().to_string().as_str()));
        assert_eq!(root.attribute("failures"), Some(count("failure").as_str()));
        assert_eq!(root.attribute("errors"), Some(count("error").as_str()));
        assert_eq!(cases.len(), run.cases.len() + run.standing.len());
    }
}

#[test]
fn junit_says_how_each_case_ended() {
    let xml = report::junit(&runs::every_verdict(), Dialect::Common);
    let cases = test_cases(&xml);
    let how = |name: &str| cases.iter().find(|c| c.1 == name).map(|c| c.2);
    assert_eq!(how("device-id-is-kept"), Some("failure"));
    assert_eq!(how("login-by-localpart"), Some("error"));
    assert_eq!(how("login-token-once"), Some("skipped"));
    assert_eq!(how("unknown-user-looks-the-same"), Some(""));
    assert_eq!(how("standing::cors.allow_origin"), Some("failure"));
}

#[test]
fn no_two_test_cases_have_one_name() {
    let mut run = runs::clean();
    let twin = run.cases[0].clone();
    run.cases.extend([twin.clone(), twin.clone()]);
    run.cases.last_mut().unwrap().id = format!("{} (2)", twin.id);
    let cases = test_cases(&report::junit(&run, Dialect::Common));
    let names: HashSet<_> = cases.iter().map(|c| (&c.0, &c.1)).collect();
    assert_eq!(names.len(), cases.len());
}

#[test]
fn the_strict_dialect_has_nothing_that_the_jenkins_schema_lacks() {
    for (_, run) in RUNS {
        let xml = report::junit(&run(), Dialect::Strict);
        let document = roxmltree::Document::parse(&xml).unwrap();
        for node in document.descendants().filter(roxmltree::Node::is_element) {
            let allowed: &[&str] = match node.tag_name().name() {
                "testsuites" => &["name", "time", "tests", "failures", "errors"],
                "testsuite" => {
                    &["name", "tests", "failures", "errors", "skipped", "time", "timestamp"]
                }
                "testcase" => &["name", "classname", "time"],
                "failure" | "error" | "skipped" => &["type", "message"],
                "property" => &["name", "value"],
                "properties" => {
                    assert!(node.parent().unwrap().has_tag_name("testsuite"));
                    &[]
                }
                "system-out" => &[],
                other => panic!("unexpected element {other}"),
            };
            for attribute in node.attributes() {
                assert!(allowed.contains(&attribute.name()), "{}", attribute.name());
            }
        }
    }
}

// --- terminal ---

/// Many issues and many reasons: what does not fit on a screen.
fn crowded() -> Run {
    let mut run = runs::every_verdict();
    let finding = run.cases[1].findings[0].clone();
    let blocked = run.requirements.iter().find(|r| r.reason.is_some()).unwrap().clone();
    for n in 0..40 {
        let mut finding = finding.clone();
        finding.requirement = format!("made.up.{n}");
        let broken = run.requirements.iter().find(|r| r.id == "device.login.echo").unwrap();
        let broken = RequirementOutcome { id: finding.requirement.clone(), ..broken.clone() };
        run.requirements.push(broken);
        run.cases[1].findings.push(finding);
        let mut blocked = blocked.clone();
        blocked.verdict = homespec::model::run::RequirementVerdict::Blocked;
        blocked.reason.as_mut().unwrap().code = format!("reason_{n}").into();
        run.requirements.push(blocked);
        run.notes.push(format!("note {n}").into());
    }
    run.tally_requirements = RequirementTally::of(&run.requirements);
    run
}

#[test]
fn the_summary_is_a_screenful() {
    let paths: Vec<PathBuf> =
        Format::DEFAULT.iter().map(|f| PathBuf::from(f.file_name())).collect();
    for run in [runs::clean(), runs::every_verdict(), runs::interrupted(), crowded()] {
        for width in [0, 40, 80, 200] {
            let text = report::terminal(&run, &paths, Some(width), false);
            assert!(text.lines().count() < 24, "{} lines\n{text}", text.lines().count());
            for line in text.lines().filter(|l| !l.starts_with("Reports:")) {
                assert!(line.chars().count() <= width.max(40), "{width}: {line}");
            }
        }
    }
}

#[test]
fn the_summary_counts_what_it_leaves_out() {
    let text = report::terminal(&crowded(), &[], Some(80), false);
    let musts = |t: &str| t.lines().filter(|l| l.starts_with("  MUST ")).count();
    let (broken, _) = text.split_once("Errored").unwrap();
    let all = 4 + 40;
    assert!(broken.contains(&format!("Broken: {all} requirements")), "{text}");
    assert!(
        musts(broken) >= 2 && broken.contains(&format!("  and {} more", all - musts(broken))),
        "{text}"
    );
}

#[test]
fn colours_come_only_when_asked_for() {
    let run = runs::every_verdict();
    let plain = report::terminal(&run, &[], Some(80), false);
    assert!(!plain.contains('\u{1b}'));
    assert_eq!(
        anstream::adapter::strip_str(&report::terminal(&run, &[], Some(80), true)).to_string(),
        plain
    );
}

// --- HTML ---

#[test]
fn the_page_loads_nothing_and_runs_only_its_own_script() {
    let page = report::html(&runs::every_verdict()).unwrap();
    assert!(page.contains("content=\"default-src 'none'; style-src 'sha256-"));
    assert!(page.contains("; script-src 'sha256-") && !page.contains("unsafe"));
    assert_eq!((page.matches("<script").count(), page.matches("<style").count()), (1, 1));
    for loaded in ["<img", "<link", "<iframe", " src=", " style=", "url(", "@import", " onclick="] {
        assert!(!page.contains(loaded), "{loaded}");
    }
}

#[test]
fn what_does_not_look_like_a_web_address_is_no_link() {
    let mut run = runs::every_verdict();
    run.requirements.iter_mut().for_each(|r| r.source_url = "javascript:alert(1)".into());
    let page = report::html(&run).unwrap();
    assert!(page.matches("href=\"").count() == page.matches("href=\"#").count());
    assert!(!report::markdown(&run).unwrap().contains("<javascript"));
}

/// The same finding in so many cases that a page does not show them all.
fn seen_in(cases: usize, is_known: impl Fn(usize) -> bool) -> Run {
    let mut run = runs::every_verdict();
    let case = run.cases.remove(1);
    for n in 0..cases {
        let mut case = case.clone();
        case.id = format!("seen-{n}");
        case.findings.iter_mut().for_each(|finding| finding.known = is_known(n));
        run.cases.push(case);
    }
    run
}

#[test]
fn what_is_new_is_shown_before_what_a_baseline_knows() {
    let run = seen_in(12, |n| n < 11);
    for page in [report::html(&run).unwrap(), report::markdown(&run).unwrap()] {
        let (_, issue) = page.split_once("of the answer is not the one").unwrap();
        let first = |id: &str| issue.find(id);
        assert!(first("seen-11").unwrap() < first("seen-0").unwrap());
    }
    let count = |page: &str, text: &str| page.matches(text).count();
    assert_eq!(count(&report::markdown(&run).unwrap(), "2 more findings, see `run.json`."), 2);
    assert_eq!(count(&report::html(&run).unwrap(), "2 more, see <code>run.json</code>."), 2);
}

#[test]
fn no_text_makes_a_page_of_markdown_long() {
    let size = |letters: usize| report::markdown(&poisoned(&"x".repeat(letters))).unwrap().len();
    let growth = size(40_000).abs_diff(size(20_000));
    assert!(growth < 1_000, "{growth}");
}

// --- curl ---

/// The words that a shell makes of the curl line of this request.
#[cfg(unix)]
fn shell_words(url: &str, body: &str) -> Vec<String> {
    let mut exchange = runs::clean().cases[0].exchanges[0].clone();
    exchange.request.url = url.into();
    exchange.request.body = Some(body.into());
    let script = format!("curl() {{ printf '%s\\0' \"$@\"; }}\n{}", report::curl(&exchange));
    let out = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
    let text = String::from_utf8(out.stdout).unwrap();
    text.split_terminator('\0').map(String::from).collect()
}

#[test]
#[cfg(unix)]
fn a_shell_gives_curl_the_request_as_it_was_sent() {
    let url = "http://127.0.0.1:1/it's?a=$HOME&b={1}#x";
    for body in ["", "it's", "$(id) `id` $HOME \\ \"", "@file", "-X", "two\nlines\n\t!", "'''"] {
        let words = shell_words(url, body);
        assert_eq!(words.last().map(String::as_str), Some(body));
        assert!(words.iter().any(|w| w == url), "{words:?}");
        assert_eq!(words.iter().filter(|w| *w == "-H").count(), 3);
    }
}

// --- annotations ---

#[test]
fn annotations_stay_within_the_limits_of_github() {
    let lines = report::github_annotations(&crowded());
    assert_eq!(lines.len(), 10);
    assert!(lines[9].contains("more"));
    assert!(lines.iter().all(|l| l.starts_with("::") && !l.contains('\n')));
}

#[test]
fn what_a_baseline_knows_is_not_annotated() {
    let mut run = runs::every_verdict();
    run.cases.iter_mut().flat_map(|c| &mut c.findings).for_each(|f| f.known = true);
    run.standing.iter_mut().flat_map(|c| &mut c.findings).for_each(|f| f.known = true);
    let lines = report::github_annotations(&run);
    assert!(lines.iter().all(|l| !l.contains("title=device.login.echo")), "{lines:?}");
}

// --- files ---

fn write_all(
    dir: &Path,
    run: Run,
    formats: &[Format],
) -> Result<report::Written, report::WriteError> {
    report::write_all(dir, &report::Publisher::new(&RedactedRun::from_file(run)), formats)
}

#[test]
fn reports_are_written_under_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("a/b");
    let run = runs::clean();
    for _ in 0..2 {
        let paths = write_all(&out, run.clone(), &Format::DEFAULT).unwrap().paths;
        assert_eq!(paths, Format::DEFAULT.map(|f| out.join(f.file_name())));
    }
    assert_eq!(fs::read_to_string(out.join("run.json")).unwrap(), report::json(&run).unwrap());
    assert_eq!(fs::read_dir(&out).unwrap().count(), 4, "something temporary is left");
}

#[test]
fn a_format_that_is_named_twice_is_written_once() {
    let dir = tempfile::tempdir().unwrap();
    let formats = [Format::Junit, Format::Json, Format::Junit];
    let paths = write_all(dir.path(), runs::clean(), &formats).unwrap().paths;
    assert_eq!(paths, ["junit.xml", "run.json"].map(|name| dir.path().join(name)));
}

#[test]
fn a_report_that_cannot_be_written_is_named_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("junit.xml")).unwrap();
    let formats = [Format::Junit, Format::Html];
    let error = write_all(dir.path(), runs::clean(), &formats).unwrap_err();
    assert_eq!(error.path, dir.path().join("junit.xml"));
    assert!(error.to_string().contains("junit.xml"), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "something half written is left");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("taken");
    fs::write(&file, "").unwrap();
    let error = write_all(&file, runs::clean(), &[Format::Json]).unwrap_err();
    assert_eq!(error.path, file);
}

// --- size ---

#[test]
fn markdown_stays_below_what_github_takes() {
    let mut run = runs::every_verdict();
    let mut case = run.cases[1].clone();
    case.findings.iter_mut().for_each(|f| f.expected = "x".repeat(100_000).into());
    if let Some(response) = &mut case.exchanges[0].response {
        response.body = "`".repeat(500_000).into();
    }
    for n in 0..3_000 {
        let mut case = case.clone();
        case.id = format!("case-{n}");
        case.area = format!("area-{n}");
        case.findings.iter_mut().for_each(|f| f.requirement = format!("made.up.{n}"));
        run.cases.push(case);
    }
    let text = report::markdown(&run).unwrap();
    assert!(text.len() < 900 * 1024, "{}", text.len());
    assert!(text.contains("more requirements, see `run.json`"));
    assert!(text.contains("## Blocked"), "what was not decided fell off the end");
}

// --- any text ---

/// Text of the kinds that break reports, mixed with any other.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        Just("]]>".to_owned()),
        Just("</script></pre><img src=x onerror=alert(1)>".to_owned()),
        Just("\u{1b}[31m".to_owned()),
        Just("\u{1b}]0;title".to_owned()),
        Just("\u{fffe}".to_owned()),
        Just("\n::error::x\n".to_owned()),
        "`{1,6}",
        Just("\n````\n".to_owned()),
        Just("\r\n| a | b |\n".to_owned()),
        Just("@alice [x](javascript:alert(1))".to_owned()),
        Just("\u{202e}'\"\\".to_owned()),
        Just("\u{2066}\u{200f}\u{feff}\u{e0041}".to_owned()),
        Just("a\r::error::b".to_owned()),
    ];
    proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

/// Every string of the golden run replaced, except those of a fixed set.
fn poisoned(text: &str) -> Run {
    let mut run = value(&runs::every_verdict());
    poison(&mut run, text);
    serde_json::from_value(run).unwrap()
}

fn poison(value: &mut Value, text: &str) {
    let fixed = ["verdict", "level", "mark"];
    match value {
        Value::String(s) => *s = text.to_owned(),
        Value::Array(items) => items.iter_mut().for_each(|i| poison(i, text)),
        Value::Object(map) => map
            .iter_mut()
            .filter(|(key, _)| !fixed.contains(&key.as_str()))
            .for_each(|(_, inner)| poison(inner, text)),
        _ => {}
    }
}

/// What is left of a text in a report: see the module that makes text visible.
fn legal_in_xml(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn run_json_keeps_any_text(text in hostile()) {
        let run = poisoned(&text);
        prop_assert_eq!(report::read(&report::json(&run).unwrap()).unwrap(), run);
    }

    /// What `homespec report RUN.json` renders is what the run itself did.
    #[test]
    fn a_run_that_was_read_back_gives_the_same_reports(text in hostile()) {
        let run = poisoned(&text);
        let again = report::read(&report::json(&run).unwrap()).unwrap();
        for format in Format::ALL {
            prop_assert_eq!(format.render(&again).unwrap(), format.render(&run).unwrap());
        }
        prop_assert_eq!(report::github_annotations(&again), report::github_annotations(&run));
    }

    #[test]
    fn rows_of_markdown_tables_are_as_wide_as_their_heads(text in hostile()) {
        let page = report::markdown(&poisoned(&text)).unwrap();
        let widths = table_widths(&page);
        prop_assert!(!widths.is_empty());
        for (head, row) in widths {
            prop_assert_eq!(head, row, "{}", page);
        }
    }

    #[test]
    fn junit_is_well_formed_whatever_the_text(text in hostile()) {
        let run = poisoned(&text);
        for dialect in [Dialect::Common, Dialect::Strict] {
            let cases = test_cases(&report::junit(&run, dialect));
            prop_assert_eq!(cases.len(), run.cases.len() + run.standing.len());
            let names: HashSet<_> = cases.iter().map(|c| (&c.0, &c.1)).collect();
            prop_assert_eq!(names.len(), cases.len());
        }
    }

    #[test]
    fn junit_gives_a_name_back(text in any::<String>()) {
        let text: String = text.chars().filter(|c| legal_in_xml(*c)).collect();
        let text = text.replace(['\u{202a}', '\u{202b}', '\u{202d}', '\u{202e}', '\u{2028}', '\u{2029}'], "");
        let mut run = runs::clean();
        run.cases.truncate(1);
        run.cases[0].id = format!("{text}\n\t<&\"'>]]>");
        let cases = test_cases(&report::junit(&run, Dialect::Common));
        let ours: Vec<char> = run.cases[0].id.chars().collect();
        let theirs: Vec<char> = cases[0].1.chars().collect();
        prop_assert_eq!(ours.len(), theirs.len());
        // What has no shape of its own is replaced one for one.
        let same = ours.iter().zip(&theirs).all(|(a, b)| a == b || *b == char::REPLACEMENT_CHARACTER);
        prop_assert!(same);
    }

    #[test]
    fn html_has_the_same_markup_whatever_the_text(text in hostile()) {
        // Text that is empty or a link leaves elements out or adds them; a word stands for the rest.
        let text = format!("x{text}");
        let tags = |html: &str| html.matches('<').count();
        prop_assert_eq!(tags(&report::html(&poisoned(&text)).unwrap()), tags(&report::html(&poisoned("x")).unwrap()));
    }

    #[test]
    fn markdown_fences_hold(text in hostile()) {
        let run = poisoned(&text);
        let page = report::markdown(&run).unwrap();
        let fences = fences(&page);
        prop_assert!(fences.is_some(), "a fence is not closed");
        prop_assert_eq!(fences, self::fences(&report::markdown(&poisoned("x")).unwrap()));
    }

    #[test]
    fn every_line_of_an_exchange_has_its_mark(text in hostile()) {
        let run = poisoned(&text);
        for exchange in run.cases.iter().flat_map(|case| &case.exchanges) {
            let shown = report::exchange_text(exchange);
            prop_assert!(shown.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
            let marked = |line: &str| ["-- ", "> ", "< "].iter().any(|mark| line.starts_with(mark));
            prop_assert!(shown.lines().all(marked), "{}", shown);
        }
    }

    #[test]
    fn a_sentence_is_one_line_without_tricks(text in hostile()) {
        let line = report::one_line(&text);
        let tricks = ['\u{202e}', '\u{2066}', '\u{200f}', '\u{e0041}', '\u{feff}'];
        prop_assert!(!line.chars().any(|c| c.is_control() || tricks.contains(&c)));
    }

    #[test]
    fn no_line_of_a_report_on_standard_output_starts_a_command(text in hostile()) {
        let run = poisoned(&text);
        let summary = report::terminal(&run, &[PathBuf::from(text)], Some(80), false);
        prop_assert!(summary.lines().all(|l| !l.trim_start().starts_with("::")));
        prop_assert!(summary.chars().all(|c| c == '\n' || !c.is_control()));
        prop_assert!(summary.lines().count() < 24);
        for line in report::github_annotations(&run) {
            prop_assert!(!line.contains(['\n', '\r']));
            let head = line.split("::").nth(1).unwrap();
            prop_assert!(head.matches([':', ',']).count() <= 2, "{}", head);
        }
    }
}

/// For each row of each table outside of fences how many cells its head has, and how many it has.
fn table_widths(page: &str) -> Vec<(usize, usize)> {
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    let (mut open, mut head, mut widths) = (None, None, Vec::new());
    for line in page.lines() {
        let ticks = line.len() - line.trim_start_matches('`').len();
        match open {
            None if ticks >= 3 && !line[ticks..].contains('`') => open = Some(ticks),
            Some(width) if ticks >= width && line[ticks..].trim().is_empty() => open = None,
            Some(_) => continue,
            None => {}
        }
        head = line.starts_with('|').then(|| head.unwrap_or_else(|| cells(line)));
        widths.extend(head.map(|head| (head, cells(line))));
    }
    widths
}

/// How many fenced blocks there are, read as CommonMark does; none if one stays open.
fn fences(page: &str) -> Option<usize> {
    let (mut open, mut count) = (None, 0);
    for line in page.lines() {
        let ticks = line.len() - line.trim_start_matches('`').len();
        match open {
            None if ticks >= 3 && !line[ticks..].contains('`') => {
                open = Some(ticks);
                count += 1;
            }
            Some(width) if ticks >= width && line[ticks..].trim().is_empty() => open = None,
            _ => {}
        }
    }
    open.is_none().then_some(count)
}

#[test]
fn a_report_that_would_hold_a_secret_is_withheld_and_the_others_are_written() {
    use homespec::redact::{SecretKind, Vault};
    let dir = tempfile::tempdir().unwrap();
    let mut run = runs::clean();
    let vault = Vault::default();
    // A word of ours in every report is no leak.
    vault.learn(SecretKind::Password, "passed");
    // In the run this is another text; the reports for people make one space of the white space.
    let marked = "only in a report";
    vault.learn(SecretKind::AccessToken, marked);
    run.notes = vec!["it is only in \n a report".into()];
    let run = RedactedRun::new(run, &vault).unwrap();
    let reports = report::Publisher::new(&run);
    let written = report::write_all(dir.path(), &reports, &Format::DEFAULT).unwrap();
    let leaks: Vec<(&str, &[String])> = written
        .withheld
        .iter()
        .map(|why| match why {
            report::Withheld::Leak { report, secrets } => (report.as_str(), secrets.as_slice()),
            other => panic!("{other}"),
        })
        .collect();
    let withheld: Vec<&str> = leaks.iter().map(|(report, _)| *report).collect();
    assert!(withheld.contains(&"report.md"), "{withheld:?}");
    assert_eq!(leaks[0].1, ["‹access_token 1›"]);
    let said = "report.md is withheld: it would contain ‹access_token 1›; please report";
    assert!(
        written.withheld.iter().any(|why| why.to_string().starts_with(said)),
        "{:?}",
        written.withheld
    );
    assert!(!dir.path().join("report.md").exists());
    assert!(dir.path().join("run.json").exists());
    assert_eq!(written.paths.len() + withheld.len(), Format::DEFAULT.len());
    for path in written.paths {
        assert!(!std::fs::read_to_string(path).unwrap().contains(marked));
    }
}
