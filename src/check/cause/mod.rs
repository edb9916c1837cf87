//! Causes: which verdicts only follow from something else that is broken. Pure.
//!
//! A case shows only that something between its request and its expectation is not as assumed. What
//! its request presupposes is computed from the step and its answer ([`presupposed`]): that the operation
//! is there and works, that the account's spelling logs in, that tokens are read from their header.
//! Each is a requirement of the register, by `works` or by id. Where it is known to be broken from the
//! whole run, what depends on it is blocked because of it, under these rules:
//!
//! - An answer of success is never excused, nor is a request without an answer if its operation
//!   answers others.
//! - The cause has failed in this run with a finding of its own. Otherwise the consequence is judged
//!   by itself.
//! - Broken means broken twice, with another request in between, and never working.
//! - What works now and then is unstable: the operation fails by itself, with how often it did.
//! - An answer of something in front of the homeserver, or a session that ended by the server's policy
//!   when its user logged in again, says nothing of the rule: blocked for that fact.
//! - Of several findings of a decision only the consequences are excused.
//! - A refusal by an operation that is absent answers no question of what it refuses. Where another
//!   case decides the requirement, such a decision is skipped instead.
mod alone;
mod operations;
mod presupposed;
mod promotion;
mod resolve;
mod sessions;
mod walls;

pub use operations::{NOWHERE, is_absence};
pub use sessions::ends_earlier_sessions;

use super::verdict::{Decided, Evidence, Role, joined};
use crate::case::ast::Case;
use crate::http::gateway::{Origin, Origins};
use crate::http::message::{Exchange, Response};
use crate::model::reason::Reason;
use crate::model::release::Listed;
use crate::model::run::{Decision, Finding, RecordedReason, Verdict};
use crate::requirements::Register;
use operations::Operations;
use presupposed::{Presupposed, Spelling};
use promotion::{Promotion, promotions};
use resolve::{Cause, Graph, Link};
use std::collections::{BTreeMap, BTreeSet};
use walls::Walls;

/// One case of a run.
#[derive(Debug, Clone, Copy)]
pub struct CaseRecord<'a> {
    /// The case.
    pub case: &'a Case,
    /// How it ended, judged by itself.
    pub decided: &'a Decided,
    /// What was exchanged for it.
    pub exchanges: &'a [Exchange],
}

/// All that causes are computed from.
#[derive(Debug)]
pub struct Record<'a> {
    /// The cases.
    pub cases: Vec<CaseRecord<'a>>,
    /// What was exchanged outside cases, by name.
    pub support: Vec<(&'a str, &'a [Exchange])>,
    /// The requirements.
    pub register: &'a Register,
    /// What the server lists.
    pub listed: &'a Listed,
    /// The path prefix of the run: `r0` or `v3`.
    pub api: &'a str,
    /// Who gave each answer.
    pub origins: &'a Origins,
}

impl<'a> Record<'a> {
    /// Every exchange that was sent, in the order of the reports.
    fn exchanges(&self) -> impl Iterator<Item = &'a Exchange> {
        let of_cases = self.cases.iter().map(|one| one.exchanges);
        let all = self.support.iter().map(|(_, sent)| *sent).chain(of_cases).flatten();
        all.filter(|exchange| !exchange.shared)
    }

    /// Every decision with its answers.
    fn decisions<'r>(&'r self) -> impl Iterator<Item = DecisionRecord<'r, 'a>> {
        self.cases.iter().enumerate().flat_map(|(case, record)| {
            let decided: &'a Decided = record.decided;
            let seen = decided.decisions.iter().zip(&decided.evidence).enumerate();
            seen.map(move |(at, (decision, evidence))| DecisionRecord {
                at: (case, at),
                record,
                requirement: &decision.requirement,
                verdict: decision.verdict,
                evidence,
            })
        })
    }
}

/// One decision of a run.
struct DecisionRecord<'r, 'a> {
    /// The case, and the place in it.
    at: (usize, usize),
    record: &'r CaseRecord<'a>,
    requirement: &'a str,
    verdict: Verdict,
    evidence: &'a [Evidence],
}

impl<'a> CaseRecord<'a> {
    /// The exchange of this id, if it is one of the case's.
    fn exchange(&self, id: &str) -> Option<&'a Exchange> {
        let (_, number) = id.rsplit_once('#')?;
        self.exchanges.get(number.parse::<usize>().ok()?.checked_sub(1)?)
    }

    fn response(&self, evidence: &Evidence) -> Option<&'a Response> {
        self.exchange(&evidence.exchange)?.result.as_ref().ok()
    }
}

/// How a case ended, causes considered.
#[derive(Debug, Clone, PartialEq)]
pub struct Revised {
    /// The maximum over the decisions.
    pub verdict: Verdict,
    /// Why, if the verdict is skipped, blocked or errored.
    pub reason: Option<RecordedReason>,
    /// One for each requirement of the case.
    pub decisions: Vec<Decision>,
    /// What was broken or doubtful, and follows from nothing else.
    pub findings: Vec<Finding>,
    /// The branches that the server took.
    pub branch: Option<String>,
}

/// What becomes of each case, in their order: nothing where it stays as it was judged by itself.
pub fn attribute(record: &Record<'_>) -> Vec<Option<Revised>> {
    let operations = Operations::of(record);
    let promoted = promotions(record, &operations);
    let presupposed = Presupposed::of(record, &operations);
    let mut links = Vec::new();
    for decision in record.decisions() {
        if promoted.iter().any(|one| one.at == decision.at) {
            continue;
        }
        for (at, evidence) in decision.evidence.iter().enumerate() {
            let causes = presupposed.causes(&decision, evidence);
            links.push(Link { decision: decision.at, evidence: at, causes });
        }
    }
    let graph = Graph::new(record, &promoted, links);
    let consequences = consequences(record, &promoted, &graph);
    let decided = decided(record, &promoted, &consequences);
    let (operations, promoted) = (&operations, promoted.as_slice());
    let walls = Walls::of(record);
    let all = Attribution { record, operations, promoted, walls, graph, consequences, decided };
    let cases = record.cases.iter().enumerate();
    cases.map(|(index, one)| all.revised(index, one)).collect()
}

/// Ends the sentence of a finding that something else may have made.
pub const UNLESS: &str = ", unless something in front of the homeserver answered";

/// Everything that the verdicts of the cases follow from.
struct Attribution<'r> {
    record: &'r Record<'r>,
    operations: &'r Operations<'r>,
    promoted: &'r [Promotion],
    walls: Walls,
    graph: Graph<'r>,
    consequences: BTreeMap<(usize, usize), Consequence<'r>>,
    /// The requirements that a case decides by itself.
    decided: BTreeSet<String>,
}

fn consequences<'r>(
    record: &'r Record<'r>,
    promoted: &[Promotion],
    graph: &Graph<'r>,
) -> BTreeMap<(usize, usize), Consequence<'r>> {
    let is_promoted = |at| promoted.iter().any(|one| one.at == at);
    let open = record.decisions().filter(|one| !is_promoted(one.at));
    open.filter_map(|one| {
        let found = consequence(one.verdict, one.evidence, |n| graph.cause(one.at, n))?;
        Some((one.at, found))
    })
    .collect()
}

fn decided(
    record: &Record<'_>,
    promoted: &[Promotion],
    consequences: &BTreeMap<(usize, usize), Consequence<'_>>,
) -> BTreeSet<String> {
    let follows = |at| consequences.get(&at).is_some_and(|one| one.cause.is_some());
    let own = record.decisions().filter(|one| one.verdict.is_decided() && !follows(one.at));
    let own = own.map(|one| one.requirement.to_owned());
    own.chain(promoted.iter().map(|one| one.requirement.clone())).collect()
}

impl Attribution<'_> {
    fn revised(&self, index: usize, one: &CaseRecord<'_>) -> Option<Revised> {
        let Decided { decisions, findings, .. } = one.decided;
        let (mut decisions, mut excused, mut added) = (decisions.clone(), Vec::new(), Vec::new());
        let mut is_changed = false;
        for (at, decision) in decisions.iter_mut().enumerate() {
            let at = (index, at);
            if let Some(found) = self.promoted.iter().find(|found| found.at == at) {
                (decision.verdict, decision.reason) = (found.finding.verdict, None);
                added.push(found.finding.clone());
                is_changed = true;
            } else if let Some(consequence) = self.consequences.get(&at) {
                self.apply(consequence, decision, one.decided);
                excused.extend_from_slice(&consequence.excused);
                is_changed = true;
            } else if let Some(status) = self.walls.keeps_from(one.case, decision) {
                decision.verdict = Verdict::Blocked;
                decision.reason = Some(Reason::Gateway { status }.into());
                is_changed = true;
            }
        }
        let kept = findings.iter().enumerate().filter(|(n, _)| !excused.contains(n));
        let kept = kept.map(|(_, finding)| {
            let doubt = self.doubt(one, finding);
            is_changed |= doubt.is_some();
            let message = match doubt {
                Some(doubt) => format!("{}{doubt}", finding.message).into(),
                None => finding.message.clone(),
            };
            Finding { message, ..finding.clone() }
        });
        let findings = kept.collect::<Vec<_>>().into_iter().chain(added).collect();
        let worst = decisions.iter().rev().max_by_key(|decision| decision.verdict)?;
        let (verdict, reason) = (worst.verdict, worst.reason.clone());
        let branch = joined(decisions.iter().filter_map(|decision| decision.branch.as_deref()));
        is_changed.then_some(Revised { verdict, reason, decisions, findings, branch })
    }

    /// What is to be added to the sentence of a finding.
    fn doubt(&self, one: &CaseRecord<'_>, finding: &Finding) -> Option<String> {
        let id = finding.exchange.as_deref()?;
        let exchange = one.exchange(id)?;
        if self.record.origins.origin(exchange) == Origin::Unsure {
            return Some(UNLESS.to_owned());
        }
        let lapses = self.operations.lapses(exchange)?;
        let works = operations::works(self.record.register, lapses.operation);
        let is_shown = works.contains(&finding.requirement.as_str()) && lapses.holds(id);
        lapses.words().filter(|_| is_shown).map(|words| format!(" ({words})"))
    }

    fn apply(&self, found: &Consequence<'_>, decision: &mut Decision, case: &Decided) {
        let Some(cause) = found.cause else {
            let left = found.own.iter().filter_map(|n| case.findings.get(*n));
            decision.verdict = left.map(|f| f.verdict).max().unwrap_or(decision.verdict);
            return;
        };
        let of_requirement = match cause {
            Cause::Requirement(requirement) => Some(requirement),
            Cause::Gateway(_) | Cause::EarlierSessionsEnd => None,
        };
        let is_moot = found.is_moot && of_requirement.is_some();
        if is_moot && found.is_met && case.is_whole {
            decision.verdict = Verdict::Passed;
            return;
        }
        let is_decided = self.decided.contains(&decision.requirement);
        // Another case asked the same by a spelling that works.
        let is_spelling = of_requirement.is_some_and(Spelling::is_required_by);
        decision.verdict = match is_decided && (is_moot || is_spelling) {
            true => Verdict::Skipped,
            false => Verdict::Blocked,
        };
        decision.branch = None;
        let reason = match cause {
            Cause::Requirement(requirement) => {
                let finding = self.graph.finding(self.record, requirement, self.promoted);
                Reason::Because { requirement: requirement.to_owned(), finding }
            }
            Cause::Gateway(status) => Reason::Gateway { status },
            Cause::EarlierSessionsEnd => Reason::EarlierSessionsEnd,
        };
        decision.reason = Some(reason.into());
    }
}

/// What of a decision follows from something else.
struct Consequence<'r> {
    /// What all of it follows from; nothing if a part stands for itself.
    cause: Option<Cause<'r>>,
    /// Indices of the findings that follow.
    excused: Vec<usize>,
    /// Indices of those that stand for themselves.
    own: Vec<usize>,
    /// Whether nothing but refusals of what is absent follow.
    is_moot: bool,
    /// Whether another answer of the case is as expected.
    is_met: bool,
}

/// Looks at the answers that made the verdict; nothing if none of them follows from anything, or if
/// something else shows what passed.
fn consequence<'r>(
    verdict: Verdict,
    evidence: &[Evidence],
    cause: impl Fn(usize) -> Option<Cause<'r>>,
) -> Option<Consequence<'r>> {
    let counts = |role: &Role| match verdict {
        Verdict::Blocked => *role == Role::Stopped,
        Verdict::Passed => true,
        _ => *role != Role::Met,
    };
    let (mut excused, mut own, mut stands, mut first) = (Vec::new(), Vec::new(), false, None);
    let mut is_moot = true;
    for (n, one) in evidence.iter().enumerate().filter(|(_, one)| counts(&one.role)) {
        let findings = match &one.role {
            Role::Broken { findings, .. } => findings.as_slice(),
            Role::Met | Role::Doubtful | Role::Stopped => &[],
        };
        match cause(n) {
            Some(cause) => {
                first = first.or(Some(cause));
                is_moot &=
                    matches!(one.role, Role::Met | Role::Broken { wants_success: false, .. });
                excused.extend_from_slice(findings);
            }
            None => {
                stands = true;
                own.extend_from_slice(findings);
            }
        }
    }
    first.filter(|_| !(stands && verdict == Verdict::Passed))?;
    let mut all = evidence.iter().enumerate();
    let is_met = all.any(|(n, one)| one.role == Role::Met && cause(n).is_none());
    Some(Consequence { cause: first.filter(|_| !stands), excused, own, is_moot, is_met })
}

#[cfg(test)]
mod tests;
