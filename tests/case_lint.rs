//! What holds of every bundled case beyond what the loader and [`homespec::plan::lint`] refuse: that
//! a case is honest about what it does to an account, decides nothing twice, and leaves rate limits
//! to the driver.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
use homespec::case::ast::{
    Case, Expect, Impact, Limits, Need, Send, StatusPattern, Step, StepTarget,
};
use homespec::pipeline::Material;
use homespec::requirements::StandingCheck;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Loading finds unknown requirements and operations, keywords that are not the level, ids that
/// stand twice, refusals without a positive control; `tests/bad_cases.rs` shows it.
static MATERIAL: LazyLock<Material> = LazyLock::new(|| {
    Material::load(None, None).unwrap_or_else(|faults| {
        panic!("{}", faults.iter().map(|fault| fault.render(false)).collect::<String>())
    })
});

fn cases() -> impl Iterator<Item = &'static Case> {
    MATERIAL.suite.cases()
}

fn place(case: &Case) -> String {
    format!("{}:{} {}", case.file, case.line, case.id)
}

/// Fails with the place of every case that breaks the rule, and why.
fn every_case(rule: impl Fn(&Case) -> Result<(), String>) {
    let broken: Vec<String> = cases()
        .filter_map(|case| rule(case).err().map(|why| format!("{}: {why}", place(case))))
        .collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

fn steps(case: &Case) -> impl Iterator<Item = &Step> {
    case.setup.iter().chain(&case.steps)
}

fn calls<'c>(case: &'c Case, operation: &'c str) -> impl Iterator<Item = &'c Step> {
    steps(case).filter(move |step| matches!(&step.target, StepTarget::Call(id) if id == operation))
}

/// The expectations of a step: those of `if` too.
fn expects(step: &Step) -> impl Iterator<Item = &Expect> {
    step.blocks
        .iter()
        .flat_map(|block| block.when.iter().chain(block.branches.iter().map(|b| &b.expect)))
}

#[test]
fn the_suite_is_there_and_without_faults() {
    assert!(cases().count() > 150);
    assert!(MATERIAL.suite.files.len() > 10);
}

#[test]
fn ids_are_unique() {
    let mut known: BTreeMap<&str, String> = BTreeMap::new();
    for case in cases() {
        if let Some(other) = known.insert(&case.id, place(case)) {
            panic!("{} has the id of {other}", place(case));
        }
    }
    for check in homespec::check::whole_run::CHECKS {
        assert!(!known.contains_key(check.id), "{} is a check over the whole run", check.id);
    }
}

/// In a table of the report a title stands behind the id, and in a sentence behind "that".
#[test]
fn titles_are_clauses_and_differ() {
    let mut known: BTreeMap<&str, &str> = BTreeMap::new();
    for case in cases() {
        let id = case.id.split('[').next().unwrap();
        let other = known.insert(&case.title, id).unwrap_or(id);
        assert_eq!(other, id, "{} has the title of {other}", place(case));
    }
    every_case(|case| match case.title.chars().last() {
        Some('.' | '!' | '?' | ':') | None => Err("a title ends without a full stop".to_owned()),
        _ => Ok(()),
    });
}

#[test]
fn what_a_standing_check_sees_on_every_answer_is_no_cases_business() {
    every_case(|case| {
        let standing = |id: &&String| {
            MATERIAL.register.get(id).is_some_and(|requirement| {
                !requirement.standing.is_empty()
                    && requirement
                        .standing
                        .iter()
                        .all(|watch| matches!(watch, StandingCheck::Rule(_)))
                    && requirement.id.starts_with("http.")
            })
        };
        match case.checks.iter().find(standing) {
            Some(id) => Err(format!("{id} is a standing check's")),
            None => Ok(()),
        }
    });
}

#[test]
fn what_ends_sessions_or_accounts_says_so_and_runs_on_disposable_accounts() {
    let grave = [
        ("logout_all", Impact::EndsSessions),
        ("changePassword", Impact::EndsSessions),
        ("deactivateAccount", Impact::Destroys),
    ];
    every_case(|case| {
        for (operation, impact) in grave {
            let mut succeeding = calls(case, operation).filter(|step| may_succeed(step));
            if succeeding.next().is_none() {
                continue;
            }
            if case.impact < impact {
                return Err(format!("calls {operation}, and its impact is {}", case.impact));
            }
            // A shared session may stand beside it, as somebody whom nothing happens to.
            let somebodys = |need: &&Need| matches!(need, Need::Account { disposable: false, .. });
            if let Some(need) = case.needs.iter().find(somebodys) {
                return Err(format!("calls {operation}, and needs {need:?}"));
            }
        }
        Ok(())
    });
}

/// Whether a step expects, or at least does not exclude, that it is done what it asks for. Without a
/// token nothing can be.
fn may_succeed(step: &Step) -> bool {
    use homespec::case::ast::Auth;
    let statuses: Vec<_> = expects(step).filter_map(|expect| expect.status.as_ref()).collect();
    step.auth != Auth::None && (statuses.is_empty() || statuses.iter().any(|rule| rule.holds(200)))
}

#[test]
fn limits_are_the_drivers_business() {
    let is_429 = |pattern: &StatusPattern| matches!(pattern, StatusPattern::Exact(429));
    every_case(|case| {
        if case.limits == Limits::Observe {
            return Ok(());
        }
        for step in steps(case) {
            let expected = expects(step)
                .filter_map(|expect| expect.status.as_ref())
                .any(|rule| rule.any_of.iter().any(is_429));
            let awaited = matches!(step.send, Send::Until { status: 429, .. });
            if expected || awaited {
                return Err(format!("line {}: 429 without `limits: observe`", step.line));
            }
        }
        Ok(())
    });
}

/// Cases in which one answer decides two requirements alike: that a token logs in is what both who
/// makes it and who takes it have to see to.
const BOTH: [&str; 1] = ["login-token-logs-in-once"];

/// One wrong status is one finding: what is said of the details of an answer stands under `if`.
#[test]
fn a_status_is_expected_by_one_block_of_a_step() {
    every_case(|case| {
        for step in &case.steps {
            let deciding: Vec<_> = step
                .blocks
                .iter()
                .filter(|block| block.when.is_none())
                .filter(|block| block.branches.iter().any(|b| b.expect.status.is_some()))
                .collect();
            let requirements: BTreeSet<&str> =
                deciding.iter().map(|block| block.req.as_str()).collect();
            if requirements.len() > 1 && !BOTH.contains(&case.id.as_str()) {
                let both: Vec<_> = requirements.into_iter().collect();
                return Err(format!("line {}: {} expect a status", step.line, both.join(" and ")));
            }
        }
        Ok(())
    });
}
