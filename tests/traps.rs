//! `docs/traps.md` against the program: every trap and contradiction has its row, and what a row
//! names exists.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
use homespec::case::suite::Suite;
use homespec::reference;
use homespec::requirements::{Register, Rule};
use regex::Regex;
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../docs/traps.md");

struct Row {
    name: String,
    met: String,
    quirk: String,
}

fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
}

/// The rows of both tables, without their heads.
fn rows() -> Vec<Row> {
    let numbered = Regex::new(r"^\| [FC][0-9]+ \|").unwrap();
    PAGE.lines()
        .filter(|line| numbered.is_match(line))
        .map(|line| match cells(line).as_slice() {
            [name, _, met, quirk] => {
                Row { name: name.clone(), met: met.clone(), quirk: quirk.clone() }
            }
            other => panic!("{} cells: {line}", other.len()),
        })
        .collect()
}

fn code_words(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Error codes and members of bodies may be written like names of ours; they are told by their form.
fn is_of_the_wire(word: &str) -> bool {
    word.starts_with("M_")
        || ["device_id", "flows", "identifier", "user", "user_id", "null"].contains(&word)
}

/// The table of legal differences in `docs/proof.md`: what a server may do, and the cell with the quirks.
fn differences() -> Vec<(String, String)> {
    let page = include_str!("../docs/proof.md");
    let (_, section) = page.split_once("## Legal differences").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2).map(cells);
    rows.map(|row| match row.as_slice() {
        [what, quirk] => (what.clone(), quirk.clone()),
        other => panic!("{} cells: {other:?}", other.len()),
    })
    .collect()
}

#[test]
fn every_legal_difference_has_a_quirk_that_exists() {
    let known: BTreeSet<&str> = reference::quirks().iter().map(|quirk| quirk.name).collect();
    let rows = differences();
    assert!(rows.len() >= 25, "the table was not found");
    for (what, quirks) in rows {
        let named = code_words(&quirks);
        assert!(!named.is_empty(), "{what}: no quirk");
        assert!(named.iter().all(|name| known.contains(name)), "{what}: {quirks}");
    }
}

#[test]
fn every_trap_and_contradiction_has_its_row() {
    let names: Vec<String> = rows().into_iter().map(|row| row.name).collect();
    let traps = (1..=46).map(|number| format!("F{number}"));
    let wanted: Vec<String> = traps.chain((1..=16).map(|number| format!("C{number}"))).collect();
    assert_eq!(names, wanted);
}

#[test]
fn cases_rules_and_requirements_of_the_rows_exist() {
    let (suite, register) = (Suite::bundled().unwrap(), Register::bundled().unwrap());
    let cases: BTreeSet<&str> =
        suite.cases().filter_map(|case| case.id.split('[').next()).collect();
    let rules: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.as_str()).collect();
    for row in rows() {
        let named: Vec<&str> =
            code_words(&row.met).into_iter().filter(|word| !is_of_the_wire(word)).collect();
        for word in &named {
            let known =
                cases.contains(word) || rules.contains(word) || register.get(word).is_some();
            assert!(known, "{}: {word} is no case, rule or requirement", row.name);
        }
        let is_the_drivers = row.met.contains("driver");
        assert!(is_the_drivers || !named.is_empty(), "{}: nothing is named", row.name);
    }
}

#[test]
fn quirks_of_the_rows_exist() {
    let known: BTreeSet<&str> = reference::quirks().iter().map(|quirk| quirk.name).collect();
    let register = Register::bundled().unwrap();
    for row in rows() {
        let named = code_words(&row.quirk);
        match row.quirk.starts_with("none") {
            true => {
                let fits = |word: &str| known.contains(word) || register.get(word).is_some();
                assert!(named.iter().all(|word| fits(word)), "{}: {}", row.name, row.quirk);
            }
            false => {
                assert!(!named.is_empty(), "{}: neither a quirk nor none", row.name);
                assert!(named.iter().all(|w| known.contains(w)), "{}: {}", row.name, row.quirk);
            }
        }
    }
}
