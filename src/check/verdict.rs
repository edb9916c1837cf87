//! From what the blocks of a case said to decisions, findings and the case's verdict. Pure.
use super::expect::{Judgement, Mismatch};
use super::trace::{End, Judged, Trace};
use crate::case::ast::Case;
use crate::model::run::{Decision, Finding, Level, Reason, Verdict};
use crate::requirements::Severity;

/// What the register says of a requirement, for the server at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight {
    /// Its level.
    pub level: Level,
    /// What breaking it comes to.
    pub severity: Severity,
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The maximum over the decisions.
    pub verdict: Verdict,
    /// One for each requirement of the case, in its order.
    pub decisions: Vec<Decision>,
    /// What was broken, or doubtful.
    pub findings: Vec<Finding>,
    /// The branches that the server took.
    pub branch: Option<String>,
    /// Why, if the verdict is skipped, blocked or errored.
    pub reason: Option<Reason>,
}

impl Decided {
    /// The same verdict for every requirement of a case that did not run.
    pub fn all(case: &Case, verdict: Verdict, reason: Reason) -> Self {
        let decision = |requirement: &String| Decision {
            requirement: requirement.clone(),
            verdict,
            reason: Some(reason.clone()),
            branch: None,
        };
        Decided {
            verdict,
            decisions: case.checks.iter().map(decision).collect(),
            findings: Vec::new(),
            branch: None,
            reason: Some(reason),
        }
    }
}

/// Decides the requirements of a case.
///
/// `weight` gives the register's word for a requirement, if the register has it: what it does not have is errored.
/// `exchange` names the case's n-th exchange.
pub fn decide(
    case: &Case,
    trace: &Trace<'_>,
    weight: &dyn Fn(&str) -> Option<Weight>,
    exchange: &dyn Fn(usize) -> String,
) -> Decided {
    let mut findings = Vec::new();
    let mut decisions = Vec::new();
    for requirement in &case.checks {
        let judged: Vec<_> = trace.judged.iter().filter(|j| j.block.req == *requirement).collect();
        let Some(weight) = weight(requirement) else {
            decisions.push(unknown(requirement));
            continue;
        };
        let found: Vec<_> =
            judged.iter().flat_map(|one| found(case, one, weight, exchange)).collect();
        decisions.push(decision(case, requirement, &judged, &found, weight, &trace.end));
        findings.extend(found.into_iter().map(|(_, finding)| finding));
    }
    // A case that decides nothing is refused when it is read.
    let verdict = decisions.iter().map(|d| d.verdict).max().unwrap_or(Verdict::Errored);
    let reason = decisions.iter().find(|d| d.verdict == verdict).and_then(|d| d.reason.clone());
    let mut names: Vec<String> = Vec::new();
    for name in decisions.iter().filter_map(|d| d.branch.clone()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let branch = (!names.is_empty()).then(|| names.join("; "));
    Decided { verdict, decisions, findings, branch, reason }
}

/// The decision on a requirement that the register does not have: nothing can be said of it.
fn unknown(requirement: &str) -> Decision {
    let (requirement, reason) = (requirement.to_owned(), Some(unknown_requirement(requirement)));
    Decision { requirement, verdict: Verdict::Errored, reason, branch: None }
}

/// Why nothing is said of a requirement that the register does not have; files that name one are refused beforehand.
pub fn unknown_requirement(id: &str) -> Reason {
    Reason {
        code: "unknown_requirement".to_owned(),
        text: format!("internal error: the register has no requirement {id}; please report it")
            .into(),
    }
}

fn found(
    case: &Case,
    judged: &Judged<'_>,
    weight: Weight,
    exchange: &dyn Fn(usize) -> String,
) -> Vec<(Severity, Finding)> {
    let finding = |severity: Severity, message: String, miss: Mismatch, branch: Option<&str>| {
        let finding = Finding {
            requirement: judged.block.req.clone(),
            level: weight.level,
            verdict: severity.verdict(),
            message: message.into(),
            expected: miss.expected.into(),
            actual: miss.actual.into(),
            pointer: miss.place.into(),
            branch: branch.map(str::to_owned),
            exchange: Some(exchange(judged.exchange)),
            file: case.file.clone(),
            line: judged.block.line,
            known: false,
        };
        (severity, finding)
    };
    match &judged.judgement {
        Judgement::Broken { mismatches, .. } => mismatches
            .iter()
            .map(|miss| finding(weight.severity, miss.sentence(), miss.clone(), None))
            .collect(),
        Judgement::PassedWithWarning { branch, why, .. } => {
            let severity = weight.severity.at_most_warns();
            let miss = Mismatch {
                place: "branch".to_owned(),
                expected: preferred(judged),
                actual: branch.clone(),
            };
            let name = Some(branch.as_str()).filter(|name| !name.is_empty());
            vec![finding(severity, why.clone(), miss, name)]
        }
        Judgement::Met { .. } | Judgement::NotObserved => Vec::new(),
    }
}

fn preferred(judged: &Judged<'_>) -> String {
    let good: Vec<_> = judged
        .block
        .branches
        .iter()
        .filter(|branch| branch.warn.is_none())
        .filter_map(|branch| branch.name.as_deref())
        .collect();
    good.join(" or ")
}

fn decision(
    case: &Case,
    requirement: &str,
    judged: &[&Judged<'_>],
    found: &[(Severity, Finding)],
    weight: Weight,
    end: &End,
) -> Decision {
    let of = |verdict, reason, branch| Decision {
        requirement: requirement.to_owned(),
        verdict,
        reason,
        branch,
    };
    let branch = branches(judged);
    let worst = found.iter().map(|(severity, _)| severity.verdict()).max();
    if let Some(verdict) = worst.filter(|verdict| *verdict > Verdict::Passed) {
        return of(verdict, None, branch);
    }
    let all = case.steps.iter().flat_map(|s| &s.blocks).filter(|b| b.req == requirement).count();
    match end {
        End::Blocked(reason) | End::Stopped(reason) if judged.len() < all => {
            return of(Verdict::Blocked, Some(reason.clone()), branch);
        }
        End::NotOffered(reason) => return of(Verdict::Skipped, Some(reason.clone()), None),
        _ => {}
    }
    let observed = judged.iter().any(|one| one.judgement != Judgement::NotObserved);
    if observed || (weight.severity == Severity::Observes && !judged.is_empty()) {
        return of(Verdict::Passed, None, branch);
    }
    let text = "no response exercised this check".to_owned();
    of(
        Verdict::Skipped,
        Some(Reason { code: "not_observed".to_owned(), text: text.into() }),
        branch,
    )
}

fn branches(judged: &[&Judged<'_>]) -> Option<String> {
    let mut names: Vec<String> = Vec::new();
    for one in judged {
        let taken = match &one.judgement {
            Judgement::Met { branches } => branches.clone(),
            Judgement::PassedWithWarning { branch, .. } => vec![branch.clone()],
            _ => Vec::new(),
        };
        for name in taken {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    (!names.is_empty()).then(|| names.join("; "))
}
