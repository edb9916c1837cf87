//! From what the blocks of a case said to decisions, findings and the case's verdict. Pure.
use super::expect::{Judgement, Mismatch};
use super::trace::{End, Judged, Stop, Trace};
use crate::case::ast::Case;
use crate::model::reason::{Reason, ReasonCode};
use crate::model::release::Listed;
use crate::model::run::{Decision, Finding, Level, Verdict};
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
    /// Whether every step was reached.
    pub is_whole: bool,
    /// For each decision the answers that it rests on.
    pub evidence: Vec<Vec<Evidence>>,
}

/// An answer that a decision rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The step that it answers, an index over set-up and steps.
    pub step: usize,
    /// The id of the exchange.
    pub exchange: String,
    /// What the answer came to.
    pub role: Role,
}

/// What an answer came to for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// It is as expected.
    Met,
    /// It is as a branch allows that warns.
    Doubtful,
    /// It is not as expected.
    Broken {
        /// Only a success would have been.
        wants_success: bool,
        /// Indices of the findings of the case that say so.
        findings: Vec<usize>,
    },
    /// The case ended with it, before it could decide.
    Stopped,
}

impl Decided {
    /// The same verdict for every requirement of a case that did not run.
    pub fn all(case: &Case, verdict: Verdict, reason: Reason) -> Self {
        let weight = Weight { level: Level::Must, severity: Severity::Fails };
        let applies = |_: &str| Applicability::Applies(weight);
        decide(case, &Trace::settled(verdict, reason), &applies, &|_| String::new())
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
    let mut found = Vec::new();
    let mut evidence = Vec::new();
    for ruling in &rulings {
        let (of_ruling, seen) = findings(case, ruling, trace.stop, found.len(), exchange);
        found.extend(of_ruling);
        evidence.push(seen);
    }
    let branch = joined(rulings.iter().filter_map(|ruling| ruling.branch.as_deref()));
    let decision = |ruling: Ruling<'_>| Decision {
        requirement: ruling.requirement.to_owned(),
        verdict: ruling.verdict,
        reason: ruling.reason.map(Into::into),
        branch: ruling.branch,
    };
    let decisions = rulings.into_iter().map(decision).collect();
    let is_whole = trace.end == End::Finished;
    Decided { verdict, decisions, findings: found, branch, reason, is_whole, evidence }
}

/// Whether the target as a whole may be to blame for how a case went: it is checked before the case
/// is decided.
pub fn blames_target(
    case: &Case,
    trace: &Trace<'_>,
    applies: &dyn Fn(&str) -> Applicability,
) -> bool {
    let rulings = rulings(case, trace, applies);
    worst(&rulings).is_none_or(|ruling| match ruling.verdict {
        Verdict::Passed | Verdict::Warned => false,
        Verdict::Blocked => {
            ruling.reason.as_ref().is_none_or(|reason| reason.code() != ReasonCode::RateLimited)
        }
        Verdict::Skipped | Verdict::Failed | Verdict::Errored => true,
    })
}

struct Ruling<'t> {
    requirement: &'t str,
    judged: Vec<&'t Judged<'t>>,
    /// Nothing if it does not apply.
    weight: Option<Weight>,
    verdict: Verdict,
    reason: Option<Reason>,
    branch: Option<String>,
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
            let id = requirement.to_owned();
            (None, (Verdict::Errored, Some(Reason::UnknownRequirement { id })), None)
        }
        Applicability::OutOfRange => (None, (Verdict::Skipped, Some(Reason::OutOfRange)), None),
        Applicability::Applies(weight) => {
            let decided = verdict(case, requirement, &judged, weight, &trace.end);
            let is_moot = decided.0 == Verdict::Skipped && matches!(trace.end, End::NotOffered(_));
            let names = judged.iter().filter(|_| !is_moot).flat_map(|one| taken(one));
            (Some(weight), decided, joined(names))
        }
    };
    Ruling { requirement, judged, weight, verdict, reason, branch }
}

/// The findings of a ruling, of which there are `before` in the case, and the answers behind it.
fn findings(
    case: &Case,
    ruling: &Ruling<'_>,
    stop: Option<Stop>,
    before: usize,
    exchange: &dyn Fn(usize) -> String,
) -> (Vec<Finding>, Vec<Evidence>) {
    let Some(weight) = ruling.weight else { return Default::default() };
    let of_one = |one: &Judged<'_>| {
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
                mismatches.iter().map(|miss| finding(miss.sentence(), miss.clone(), None)).collect()
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
    let (mut found, mut evidence) = (Vec::new(), Vec::new());
    for one in &ruling.judged {
        let first = before + found.len();
        found.extend(of_one(one));
        let role = match &one.judgement {
            Judgement::Met { .. } => Role::Met,
            Judgement::PassedWithWarning { .. } => Role::Doubtful,
            Judgement::Broken { .. } => Role::Broken {
                wants_success: one.block.wants_success(),
                findings: (first..before + found.len()).collect(),
            },
            Judgement::NotObserved => continue,
        };
        evidence.push(Evidence { step: one.step, exchange: exchange(one.exchange), role });
    }
    let is_stopped = ruling.verdict == Verdict::Blocked
        && ruling.reason.as_ref().is_some_and(|reason| {
            use ReasonCode::{InteractiveAuth, NotReached, Setup};
            matches!(reason.code(), Setup | NotReached | InteractiveAuth)
        });
    if let Some(stop) = stop.filter(|_| is_stopped) {
        let (step, exchange) = (stop.step, exchange(stop.exchange));
        evidence.push(Evidence { step, exchange, role: Role::Stopped });
    }
    (found, evidence)
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
        End::NotWaited(reason) if judged.len() < blocks => {
            return (Verdict::Skipped, Some(reason.clone()));
        }
        End::NotWaited(_) | End::Blocked(_) | End::Stopped(_) | End::Finished => {}
    }
    let observed = judged.iter().any(|one| one.judgement != Judgement::NotObserved);
    if observed || (weight.severity == Severity::Observes && !judged.is_empty()) {
        return (Verdict::Passed, None);
    }
    (Verdict::Skipped, Some(Reason::NotObserved))
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
pub(super) fn joined<S: AsRef<str>>(names: impl Iterator<Item = S>) -> Option<String> {
    let mut found: Vec<S> = Vec::new();
    for name in names {
        if found.iter().all(|known| known.as_ref() != name.as_ref()) {
            found.push(name);
        }
    }
    let names: Vec<&str> = found.iter().map(AsRef::as_ref).collect();
    (!names.is_empty()).then(|| names.join("; "))
}

#[cfg(test)]
mod tests;
