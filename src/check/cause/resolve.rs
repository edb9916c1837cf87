//! From what an answer may follow from to the requirement that it does follow from.
use super::{Promotion, Record};
use crate::check::verdict::Role;
use crate::model::run::{Finding, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// What an answer may follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause<'r> {
    /// A broken requirement.
    Requirement(&'r str),
    /// Something in front of the homeserver that answered with this status.
    Gateway(u16),
    /// The server's policy that a login ends a user's earlier sessions.
    EarlierSessionsEnd,
}

/// An answer of a decision with what it may be the consequence of.
pub(super) struct Link<'r> {
    /// The case, and the place of the decision in it.
    pub decision: (usize, usize),
    /// The place of the answer in the evidence of the decision.
    pub evidence: usize,
    /// The most basic first.
    pub causes: Vec<Cause<'r>>,
}

/// Which answers follow from which requirement.
pub(super) struct Graph<'r> {
    causes: BTreeMap<((usize, usize), usize), Cause<'r>>,
}

/// A link of a decision of that requirement and verdict.
struct Edge<'r> {
    link: Link<'r>,
    requirement: &'r str,
    is_failed: bool,
    /// Whether it shows a fault by itself, if it is not excused.
    counts: bool,
}

impl<'r> Graph<'r> {
    pub(super) fn new(
        record: &'r Record<'_>,
        promoted: &'r [Promotion],
        links: Vec<Link<'r>>,
    ) -> Graph<'r> {
        let mut edges: Vec<Edge<'r>> = Vec::new();
        for link in links {
            let (case, at) = link.decision;
            let Some(decided) = record.cases.get(case).map(|one| one.decided) else { continue };
            let (Some(decision), Some(evidence)) = (
                decided.decisions.get(at),
                decided.evidence.get(at).and_then(|e| e.get(link.evidence)),
            ) else {
                continue;
            };
            let findings: &[usize] = match &evidence.role {
                Role::Broken { findings, .. } => findings,
                Role::Met | Role::Doubtful | Role::Stopped => &[],
            };
            let fails = |n: &usize| {
                decided.findings.get(*n).is_some_and(|f: &Finding| f.verdict == Verdict::Failed)
            };
            let counts = findings.iter().any(fails);
            let (requirement, is_failed) =
                (decision.requirement.as_str(), decision.verdict == Verdict::Failed);
            edges.push(Edge { link, requirement, is_failed, counts });
        }
        let promoted: BTreeSet<&str> =
            promoted.iter().map(|one| one.requirement.as_str()).collect();
        loop {
            // Failed with a finding that follows from nothing else.
            let own = edges.iter().filter(|e| e.is_failed && e.counts && e.link.causes.is_empty());
            let roots: BTreeSet<&str> =
                own.map(|edge| edge.requirement).chain(promoted.iter().copied()).collect();
            let resolved: Vec<Option<Cause<'r>>> =
                edges.iter().map(|edge| first(&edge.link.causes, &edges, &roots, edge)).collect();
            let mut is_stable = true;
            for (edge, cause) in edges.iter_mut().zip(&resolved) {
                // It stands for itself, and may be what others follow from.
                if cause.is_none() && edge.is_failed && edge.counts && !edge.link.causes.is_empty()
                {
                    edge.link.causes.clear();
                    is_stable = false;
                }
            }
            if is_stable {
                let found = edges.iter().zip(resolved);
                let causes = found
                    .filter_map(|(edge, cause)| {
                        Some(((edge.link.decision, edge.link.evidence), cause?))
                    })
                    .collect();
                return Graph { causes };
            }
        }
    }

    /// What an answer follows from.
    pub(super) fn cause(&self, decision: (usize, usize), evidence: usize) -> Option<Cause<'r>> {
        self.causes.get(&(decision, evidence)).copied()
    }

    /// The first finding of a cause, in one sentence.
    pub(super) fn finding(
        &self,
        record: &Record<'_>,
        cause: &str,
        promoted: &[Promotion],
    ) -> String {
        let of_cases = record.cases.iter().enumerate().flat_map(|(case, one)| {
            let decided = one.decided;
            decided.evidence.iter().enumerate().flat_map(move |(at, all)| {
                all.iter().enumerate().filter_map(move |(n, evidence)| {
                    let excused = self.cause((case, at), n).is_some();
                    let Role::Broken { findings, .. } = &evidence.role else { return None };
                    decided.findings.get(*findings.first()?).filter(|_| !excused)
                })
            })
        });
        let of_promotions = promoted.iter().map(|one| &one.finding);
        let mut all = of_promotions.chain(of_cases);
        let found = all.find(|f| f.requirement == cause && f.verdict == Verdict::Failed);
        found.map_or_else(String::new, |finding| finding.message.to_string())
    }
}

/// The first cause that has failed or is a fact, followed to its end.
fn first<'r>(
    causes: &[Cause<'r>],
    edges: &[Edge<'r>],
    roots: &BTreeSet<&str>,
    from: &Edge<'r>,
) -> Option<Cause<'r>> {
    let mut seen = BTreeSet::from([from.requirement]);
    causes.iter().find_map(|cause| end(*cause, edges, roots, &mut seen))
}

fn end<'r>(
    cause: Cause<'r>,
    edges: &[Edge<'r>],
    roots: &BTreeSet<&str>,
    seen: &mut BTreeSet<&'r str>,
) -> Option<Cause<'r>> {
    let Cause::Requirement(requirement) = cause else { return Some(cause) };
    if !seen.insert(requirement) {
        return None;
    }
    if roots.contains(requirement) {
        return Some(cause);
    }
    let behind = edges.iter().filter(|edge| edge.requirement == requirement);
    let further: Vec<Cause<'r>> = behind.flat_map(|edge| edge.link.causes.clone()).collect();
    further.into_iter().find_map(|next| end(next, edges, roots, seen))
}
