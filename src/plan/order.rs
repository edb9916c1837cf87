//! The order of the cases that run.
use super::{Disposition, PlannedCase, Slot};
use crate::case::ast::{Case, Need, Phase};
use crate::model::run::Level;
use crate::requirements::Register;
use std::collections::{BTreeMap, BTreeSet};

/// Ordinary cases go first, then what may harm accounts, then bursts, then what may wedge the
/// server; within a phase those that wait while others run, then those that cost no login, then the
/// others by [`by_worth`].
pub(super) fn phases(cases: &[PlannedCase], register: &Register) -> Vec<Vec<usize>> {
    let mut by_phase: BTreeMap<Phase, Vec<Numbered>> = BTreeMap::new();
    for (index, planned) in cases.iter().enumerate() {
        if matches!(planned.disposition, Disposition::Run(_)) {
            let case = &planned.case;
            by_phase.entry(case.phase()).or_default().push((index, case));
        }
    }
    let mut known: BTreeSet<&str> = BTreeSet::new();
    let first = |(index, _): &Numbered<'_>| cases.get(*index).is_some_and(waits_apart);
    by_phase.into_values().map(|phase| ordered(phase, register, &first, &mut known)).collect()
}

/// Returns true for a case that waits and takes nothing from others: its accounts are its own, or it
/// is known that the wait is permitted.
fn waits_apart(planned: &PlannedCase) -> bool {
    let Disposition::Run(assignment) = &planned.disposition else { return false };
    let is_own = |slot: &Slot| matches!(slot, Slot::Fresh(..));
    planned.case.waits()
        && (planned.case.waits_for_access_token() || assignment.accounts.values().all(is_own))
}

/// A case with its place in the plan.
type Numbered<'c> = (usize, &'c Case);

/// One phase in its order; `known` are the requirements that earlier cases look at.
fn ordered<'c>(
    phase: Vec<Numbered<'c>>,
    register: &Register,
    is_first: &dyn Fn(&Numbered<'_>) -> bool,
    known: &mut BTreeSet<&'c str>,
) -> Vec<usize> {
    let (first, phase): (Vec<Numbered>, Vec<Numbered>) = phase.into_iter().partition(is_first);
    let (mut free, with_login): (Vec<Numbered>, Vec<Numbered>) =
        phase.into_iter().partition(|(_, case)| case.logins() == 0);
    free.sort_by_key(|(index, case)| (!case.checks.iter().any(|id| is_must(register, id)), *index));
    for (_, case) in first.iter().chain(&free) {
        known.extend(case.checks.iter().map(String::as_str));
    }
    let mut order: Vec<usize> = first.into_iter().chain(free).map(|(index, _)| index).collect();
    // What only wants a session can be served by one that an earlier case leaves.
    let (late, early): (Vec<Numbered>, Vec<Numbered>) =
        with_login.into_iter().partition(|(_, case)| case.takes_any_session());
    for group in [early, late] {
        order.extend(by_worth(group, register, known));
    }
    order
}

/// Greedy, since servers as deployed allow few logins: next is always the case that decides the
/// most MUSTs for each login which no case before it looks at, then the most of the rest; a login
/// that names no account of the run, and so says less, comes last among equals.
fn by_worth<'c>(
    mut group: Vec<Numbered<'c>>,
    register: &Register,
    known: &mut BTreeSet<&'c str>,
) -> Vec<usize> {
    let mut order = Vec::with_capacity(group.len());
    loop {
        let worth = |case: &Case| {
            let new = || case.checks.iter().filter(|id| !known.contains(id.as_str()));
            let musts = new().filter(|id| is_must(register, id)).count();
            // In sixtieths, so that a comparison needs no fraction.
            let each = |count: usize| count * 60 / case.logins().max(1);
            let of_account = case.needs.iter().any(|need| matches!(need, Need::Account { .. }));
            (each(musts), each(new().count()), of_account)
        };
        let best = group.iter().enumerate().rev().max_by_key(|(_, (_, case))| worth(case));
        let Some(at) = best.map(|(at, _)| at) else { return order };
        let (index, case) = group.remove(at);
        known.extend(case.checks.iter().map(String::as_str));
        order.push(index);
    }
}

fn is_must(register: &Register, id: &str) -> bool {
    register.get(id).is_some_and(|requirement| requirement.level == Level::Must)
}
