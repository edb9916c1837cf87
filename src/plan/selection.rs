//! Selection of cases by the options of the command line. Pure.
use crate::case::ast::Case;
use crate::case::suite::Suite;
use crate::check::whole_run::{CHECKS, WholeRunCheck};
use crate::model::run::{Level, RecordedSelection, Run, Verdict};
use crate::plan::presuppositions;
use crate::requirements::Register;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Filters of the command line; empty lists select everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selection {
    /// Globs over case ids; a case id also stands for all its rows.
    pub cases: Vec<String>,
    /// Globs over requirement ids.
    pub requirements: Vec<String>,
    pub areas: Vec<String>,
    pub levels: Vec<Level>,
    /// Globs over case ids to leave out.
    pub skip: Vec<String>,
    /// Only what did not pass in an earlier run.
    pub rerun: Option<Rerun>,
    /// Judge every answer by all standing checks, whatever else is selected.
    pub all_standing: bool,
    /// Take along the cases that show whether what the selected requirements presuppose holds.
    pub with_evidence: bool,
}

/// Cases and requirements that did not pass in an earlier run: failed, warned, blocked or errored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rerun {
    /// The file of that run, as given.
    pub file: String,
    /// Ids of cases, rows among them, and of those that showed what a standing check found.
    pub cases: BTreeSet<String>,
    /// Requirements that a standing check decides.
    pub standing: BTreeSet<String>,
}

impl Rerun {
    /// Collects the cases and requirements to repeat of a run that is in `file`.
    pub fn of(run: &Run, file: String) -> Rerun {
        let is_open = |verdict: Verdict| !matches!(verdict, Verdict::Passed | Verdict::Skipped);
        let open = run.cases.iter().filter(|case| is_open(case.verdict));
        let mut cases: BTreeSet<String> = open.map(|case| case.id.clone()).collect();
        let standing: Vec<_> = run.standing.iter().filter(|s| is_open(s.verdict)).collect();
        // The check looks at answers: something has to ask for them again.
        let shown = standing.iter().flat_map(|s| &s.findings).filter_map(|f| f.exchange.as_deref());
        let owners = shown.filter_map(|id| id.rsplit_once('#')).map(|(owner, _)| owner);
        let known = |owner: &&str| run.cases.iter().any(|case| case.id == *owner);
        cases.extend(owners.filter(known).map(str::to_owned));
        let standing = standing.into_iter().map(|s| s.requirement.clone()).collect();
        Rerun { file, cases, standing }
    }

    /// The ids that are none of a case or a requirement any more.
    pub fn gone(&self, suite: &Suite, register: &Register) -> Vec<&str> {
        let of_run = |id: &str| CHECKS.iter().any(|check| check.id == id);
        let is_there = |id: &str| suite.cases().any(|case| is_or_row(id, &case.id)) || of_run(id);
        let cases = self.cases.iter().filter(|id| !is_there(id));
        let standing = self.standing.iter().filter(|id| register.get(id).is_none());
        cases.chain(standing).map(String::as_str).collect()
    }

    fn has(&self, case: &str) -> bool {
        self.cases.contains(case) || self.cases.iter().any(|id| is_or_row(id, case))
    }
}

/// Returns true if an id is that of a case, or of a row that exists only with the server's
/// specification.
fn is_or_row(id: &str, case: &str) -> bool {
    id.strip_prefix(case).is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
}

/// A word that selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{option} `{word}` matches nothing{}", near.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
pub struct NoMatch {
    pub option: &'static str,
    pub word: String,
    /// Likely intended word.
    pub near: Option<String>,
}

/// The selected cases and the evidence for them, in the suite's order, or every word that names
/// nothing.
pub fn select<'s>(
    suite: &'s Suite,
    register: &Register,
    selection: &Selection,
) -> Result<Vec<&'s Arc<Case>>, Vec<NoMatch>> {
    let all: Vec<&Arc<Case>> = suite.shared_cases().collect();
    let mut faults = Vec::new();
    let of_run = CHECKS.iter().map(|check| check.id);
    let ids: Vec<&str> = all.iter().map(|case| case.id.as_str()).chain(of_run).collect();
    let requirement_ids: Vec<&str> = register.iter().map(|r| r.id.as_str()).collect();
    let areas: Vec<&str> = suite.files.iter().map(|file| file.area.as_str()).collect();
    check("--case", &selection.cases, &ids, case_matches, &mut faults);
    check("--skip", &selection.skip, &ids, case_matches, &mut faults);
    check("--requirement", &selection.requirements, &requirement_ids, glob_matches, &mut faults);
    check("--area", &selection.areas, &areas, |word, area| word == area, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let (asked, others): (Vec<_>, Vec<_>) =
        all.iter().copied().partition(|case| selects(case, register, selection));
    if !takes_evidence(selection) {
        return Ok(asked);
    }
    let is_skipped =
        |case: &&Arc<Case>| selection.skip.iter().any(|glob| case_matches(glob, &case.id));
    let others: Vec<&Arc<Case>> = others.into_iter().filter(|case| !is_skipped(case)).collect();
    let is_named = |id: &&str| selection.requirements.iter().any(|glob| glob_matches(glob, id));
    let named = requirement_ids.into_iter().filter(is_named).collect();
    let along = presuppositions::evidence(suite, register, &asked, &others, &named);
    let along: BTreeSet<&str> = along.into_iter().map(|case| case.id.as_str()).collect();
    let runs =
        |case: &&Arc<Case>| selects(case, register, selection) || along.contains(case.id.as_str());
    Ok(all.into_iter().filter(runs).collect())
}

/// Returns true if the standing checks of a requirement belong to the selection: they do unless it
/// names cases, areas, levels or requirements, and then only if a requirement glob or level names
/// them.
pub fn selects_standing(requirement: &str, level: Level, selection: &Selection) -> bool {
    if selection.all_standing {
        return true;
    }
    if let Some(rerun) = &selection.rerun {
        return rerun.standing.contains(requirement);
    }
    if selection.requirements.is_empty() && selection.levels.is_empty() {
        return selection.cases.is_empty() && selection.areas.is_empty();
    }
    any_or_empty(&selection.requirements, |glob| glob_matches(glob, requirement))
        && any_or_empty(&selection.levels, |wanted| *wanted == level)
}

/// Returns true if a check over the whole run belongs to the selection.
pub fn selects_check(check: &WholeRunCheck, selection: &Selection) -> bool {
    selection.areas.is_empty()
        && selection.rerun.as_ref().is_none_or(|rerun| rerun.has(check.id))
        && any_or_empty(&selection.cases, |glob| glob_matches(glob, check.id))
        && any_or_empty(&selection.requirements, |glob| glob_matches(glob, check.requirement))
        && any_or_empty(&selection.levels, |level| *level == check.level)
        && !selection.skip.iter().any(|glob| glob_matches(glob, check.id))
}

/// Returns true if evidence comes along: where requirements are named, and nothing is repeated.
fn takes_evidence(selection: &Selection) -> bool {
    selection.with_evidence && !selection.requirements.is_empty() && selection.rerun.is_none()
}

/// Returns true if a case of a run came along as evidence.
pub fn is_evidence(case: &Case, register: &Register, selection: &Selection) -> bool {
    takes_evidence(selection) && !selects(case, register, selection)
}

/// The selection for the report, of a run with so many cases.
pub fn selection(
    selection: &Selection,
    available: usize,
    cases: usize,
    evidence: Vec<String>,
) -> RecordedSelection {
    let typed = |words: &[String]| words.iter().map(|word| word.as_str().into()).collect();
    RecordedSelection {
        cases: typed(&selection.cases),
        requirements: typed(&selection.requirements),
        areas: typed(&selection.areas),
        levels: selection.levels.clone(),
        skip: typed(&selection.skip),
        rerun: selection.rerun.as_ref().map(|rerun| rerun.file.as_str().into()),
        available,
        selected: cases.saturating_sub(evidence.len()),
        evidence,
    }
}

fn selects(case: &Case, register: &Register, selection: &Selection) -> bool {
    let levels = || case.checks.iter().filter_map(|id| register.get(id)).map(|r| r.level);
    any_or_empty(&selection.cases, |glob| case_matches(glob, &case.id))
        && any_or_empty(&selection.requirements, |glob| {
            case.checks.iter().any(|id| glob_matches(glob, id))
        })
        && any_or_empty(&selection.areas, |area| *area == case.area)
        && any_or_empty(&selection.levels, |wanted| levels().any(|level| level == *wanted))
        && !selection.skip.iter().any(|glob| case_matches(glob, &case.id))
        && selection.rerun.as_ref().is_none_or(|rerun| rerun.has(&case.id))
}

fn any_or_empty<T>(words: &[T], holds: impl Fn(&T) -> bool) -> bool {
    words.is_empty() || words.iter().any(holds)
}

fn check(
    option: &'static str,
    words: &[String],
    known: &[&str],
    matches: impl Fn(&str, &str) -> bool,
    faults: &mut Vec<NoMatch>,
) {
    for word in words {
        if !known.iter().any(|name| matches(word, name)) {
            let near = crate::yaml::diagnostic::did_you_mean(word, known.iter().copied());
            faults.push(NoMatch { option, word: word.clone(), near: near.map(str::to_owned) });
        }
    }
}

fn case_matches(glob: &str, id: &str) -> bool {
    glob_matches(glob, id) || id.split_once('[').is_some_and(|(whole, _)| glob_matches(glob, whole))
}

/// `*` is any run of characters, `?` any one; everything else, brackets too, is itself.
///
/// Each word is held against every id there is, so nothing is compiled for it.
pub fn glob_matches(glob: &str, name: &str) -> bool {
    let mut rest = glob.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = rest.as_str().trim_start_matches('*');
            let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.filter_map(|at| name.get(at..)).any(|tail| glob_matches(rest, tail))
        }
        Some(wanted) => {
            let mut tail = name.chars();
            tail.next().is_some_and(|found| wanted == '?' || wanted == found)
                && glob_matches(rest.as_str(), tail.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_name_cases_rows_and_requirements() {
        assert!(glob_matches("device.*", "device.login.echo"));
        assert!(!glob_matches("device", "device.login.echo"));
        assert!(case_matches("body-refused", "body-refused[empty]"));
        assert!(case_matches("body-refused[empty]", "body-refused[empty]"));
        assert!(!case_matches("body-refused[null]", "body-refused[empty]"));
        assert!(case_matches("body-*", "body-refused[empty]"));
        assert!(glob_matches("*", "") && glob_matches("***ref??ed*", "body-refused[empty]"));
        assert!(!glob_matches("?", "") && !glob_matches("body-*d", "body-refused[empty]"));
    }
}
