//! From what the blocks of a case said to decisions, findings and the case's verdict. Pure.
use super::expect::{Judgement, Mismatch};
use super::trace::{End, Judged, Trace};
use crate::case::ast::Case;
use crate::model::release::Listed;
use crate::model::run::{Decision, Finding, Level, Reason, Verdict};
use crate::requirements::{Register, Severity};

/// How much a requirement that applies counts, for the server at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight {
    /// Its level.
    pub level: Level,
    /// What breaking it comes to.
    pub severity: Severity,
}

/// Whether a requirement can be decided at all, known before the case ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applicability {
    /// The register does not have it, an internal error: files that name such a one are refused.
    Unknown,
    /// No release that the server lists has it.
    OutOfRange,
    /// It applies, and counts so much.
    Applies(Weight),
}

impl Applicability {
    /// The register's word on a requirement, for a server that lists these releases.
    pub fn of(register: &Register, listed: &Listed, requirement: &str) -> Applicability {
        match register.get(requirement) {
            None => Applicability::Unknown,
            Some(known) if !known.applies(listed) => Applicability::OutOfRange,
            Some(known) => Applicability::Applies(Weight {
                level: known.level,
                severity: known.severity(listed),
            }),
        }
    }
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

/// Decides the requirements of a case, once: `trace` and `applies` hold all that bears on it.
///
/// `exchange` names the case's n-th exchange.
pub fn decide(
    case: &Case,
    trace: &Trace<'_>,
    applies: &dyn Fn(&str) -> Applicability,
    exchange: &dyn Fn(usize) -> String,
) -> Decided {
    let rulings = rulings(case, trace, applies);
    let worst = worst(&rulings);
    // A case that decides nothing is refused when it is read.
    let verdict = worst.map_or(Verdict::Errored, |ruling| ruling.verdict);
    let reason = worst.and_then(|ruling| ruling.reason.clone());
    let findings = rulings.iter().flat_map(|ruling| findings(case, ruling, exchange)).collect();
    let branch = joined(rulings.iter().filter_map(|ruling| ruling.branch.as_deref()));
    let decisions = rulings.into_iter().map(Ruling::decision).collect();
    Decided { verdict, decisions, findings, branch, reason }
}

/// Whether the target as a whole may be to blame for how a case went: it is checked before the case is decided.
pub fn blames_target(
    case: &Case,
    trace: &Trace<'_>,
    applies: &dyn Fn(&str) -> Applicability,
) -> bool {
    let rulings = rulings(case, trace, applies);
    worst(&rulings).is_none_or(|ruling| match ruling.verdict {
        Verdict::Passed | Verdict::Warned => false,
        Verdict::Blocked => {
            ruling.reason.as_ref().is_none_or(|reason| reason.code != "rate_limited")
        }
        Verdict::Skipped | Verdict::Failed | Verdict::Errored => true,
    })
}

/// The decision on one requirement, with what it rests on.
struct Ruling<'t> {
    requirement: &'t str,
    judged: Vec<&'t Judged<'t>>,
    /// Nothing if it does not apply.
    weight: Option<Weight>,
    verdict: Verdict,
    reason: Option<Reason>,
    branch: Option<String>,
}

impl Ruling<'_> {
    fn decision(self) -> Decision {
        let Ruling { requirement, verdict, reason, branch, .. } = self;
        Decision { requirement: requirement.to_owned(), verdict, reason, branch }
    }
}

fn rulings<'t>(
    case: &'t Case,
    trace: &'t Trace<'_>,
    applies: &dyn Fn(&str) -> Applicability,
) -> Vec<Ruling<'t>> {
    case.checks.iter().map(|id| ruling(case, id, trace, applies(id))).collect()
}

/// The first of the gravest.
fn worst<'r, 't>(rulings: &'r [Ruling<'t>]) -> Option<&'r Ruling<'t>> {
    rulings.iter().rev().max_by_key(|ruling| ruling.verdict)
}

fn ruling<'t>(
    case: &Case,
    requirement: &'t str,
    trace: &'t Trace<'_>,
    applies: Applicability,
) -> Ruling<'t> {
    let judged: Vec<_> = trace.judged.iter().filter(|j| j.block.req == requirement).collect();
    let (weight, (verdict, reason), branch) = match applies {
        Applicability::Unknown => {
            (None, (Verdict::Errored, Some(unknown_requirement(requirement))), None)
        }
        Applicability::OutOfRange => (None, (Verdict::Skipped, Some(out_of_range())), None),
        Applicability::Applies(weight) => {
            let decided = verdict(case, requirement, &judged, weight, &trace.end);
            let is_moot = decided.0 == Verdict::Skipped && matches!(trace.end, End::NotOffered(_));
            let names = judged.iter().filter(|_| !is_moot).flat_map(|one| taken(one));
            (Some(weight), decided, joined(names))
        }
    };
    Ruling { requirement, judged, weight, verdict, reason, branch }
}

/// Why nothing is said of a requirement that the register does not have; files that name one are refused beforehand.
pub fn unknown_requirement(id: &str) -> Reason {
    Reason {
        code: "unknown_requirement".to_owned(),
        text: format!("internal error: the register has no requirement {id}; please report it")
            .into(),
    }
}

/// Why nothing is said of a requirement that the server's releases do not have.
pub fn out_of_range() -> Reason {
    Reason { code: "version".to_owned(), text: "no release that the server lists has it".into() }
}

fn findings(case: &Case, ruling: &Ruling<'_>, exchange: &dyn Fn(usize) -> String) -> Vec<Finding> {
    let Some(weight) = ruling.weight else { return Vec::new() };
    let of_one = |one: &&Judged<'_>| {
        let finding = |message: String, miss: Mismatch, branch: Option<&str>| Finding {
            requirement: ruling.requirement.to_owned(),
            level: weight.level,
            verdict: severity(one, weight).map_or(Verdict::Passed, Severity::verdict),
            message: message.into(),
            expected: miss.expected.into(),
            actual: miss.actual.into(),
            pointer: miss.place.into(),
            branch: branch.map(str::to_owned),
            exchange: Some(exchange(one.exchange)),
            file: case.file.clone(),
            line: one.block.line,
            known: false,
        };
        match &one.judgement {
            Judgement::Broken { mismatches, .. } => {
                mismatches.iter().map(|miss| finding(sentence(miss), miss.clone(), None)).collect()
            }
            Judgement::PassedWithWarning { branch, why, .. } => {
                let miss = Mismatch {
                    place: "branch".to_owned(),
                    expected: preferred(one),
                    actual: branch.clone(),
                };
                let name = Some(branch.as_str()).filter(|name| !name.is_empty());
                vec![finding(why.clone(), miss, name)]
            }
            Judgement::Met { .. } | Judgement::NotObserved => Vec::new(),
        }
    };
    ruling.judged.iter().flat_map(of_one).collect()
}

/// What one block comes to, if it found something.
fn severity(judged: &Judged<'_>, weight: Weight) -> Option<Severity> {
    match &judged.judgement {
        Judgement::Broken { mismatches, .. } if !mismatches.is_empty() => Some(weight.severity),
        Judgement::PassedWithWarning { .. } => Some(weight.severity.at_most_warns()),
        Judgement::Broken { .. } | Judgement::Met { .. } | Judgement::NotObserved => None,
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

fn sentence(miss: &Mismatch) -> String {
    match miss.place.as_str() {
        "status" => format!("the answer has {}, not {}", miss.actual, miss.expected),
        "answer" => format!("there was no answer: {}", miss.actual),
        "answers" => format!("{} answers, not {}", miss.actual, miss.expected),
        "body" => format!("the body is {}, not {}", miss.actual, miss.expected),
        "" => format!("the body is {}, not {}", miss.actual, miss.expected),
        place => format!("{place} is {}, not {}", miss.actual, miss.expected),
    }
}

fn verdict(
    case: &Case,
    requirement: &str,
    judged: &[&Judged<'_>],
    weight: Weight,
    end: &End,
) -> (Verdict, Option<Reason>) {
    let found = judged.iter().filter_map(|one| severity(one, weight)).map(Severity::verdict).max();
    if let Some(verdict) = found.filter(|verdict| *verdict > Verdict::Passed) {
        return (verdict, None);
    }
    let blocks = case.steps.iter().flat_map(|s| &s.blocks).filter(|b| b.req == requirement).count();
    match end {
        End::Settled(verdict, reason) => return (*verdict, Some(reason.clone())),
        End::Blocked(reason) | End::Stopped(reason) if judged.len() < blocks => {
            return (Verdict::Blocked, Some(reason.clone()));
        }
        End::NotOffered(reason) => return (Verdict::Skipped, Some(reason.clone())),
        End::Blocked(_) | End::Stopped(_) | End::Finished => {}
    }
    let observed = judged.iter().any(|one| one.judgement != Judgement::NotObserved);
    if observed || (weight.severity == Severity::Observes && !judged.is_empty()) {
        return (Verdict::Passed, None);
    }
    let text = "the server's answers gave no occasion to look at it";
    (Verdict::Skipped, Some(Reason { code: "not_observed".to_owned(), text: text.into() }))
}

/// The branches that one block saw the server take.
fn taken<'j>(judged: &'j Judged<'_>) -> &'j [String] {
    match &judged.judgement {
        Judgement::Met { branches } => branches,
        Judgement::PassedWithWarning { branch, .. } => std::slice::from_ref(branch),
        Judgement::Broken { .. } | Judgement::NotObserved => &[],
    }
}

/// The different names, in the order met.
fn joined<S: AsRef<str>>(names: impl Iterator<Item = S>) -> Option<String> {
    let mut found: Vec<S> = Vec::new();
    for name in names {
        if found.iter().all(|known| known.as_ref() != name.as_ref()) {
            found.push(name);
        }
    }
    let names: Vec<&str> = found.iter().map(AsRef::as_ref).collect();
    (!names.is_empty()).then(|| names.join("; "))
}
