//! What something in front of the homeserver answered in its place.
use super::Parts;
use super::exchanges::every_exchange;
use super::notes::{operation_of, owned_exchanges};
use crate::check::cause::UNLESS;
use crate::http::gateway::{Origin, Origins};
use crate::http::message::Exchange;
use crate::model::run::{GatewayAnswers, StandingOutcome};
use std::collections::BTreeMap;

/// Fewer answers are chance: a request that something in front answers is sent twice.
const FEW: usize = 4;

/// Who gave each answer of the run.
pub(super) fn origins(parts: &Parts<'_>) -> Origins {
    Origins::of(owned_exchanges(parts).flatten().filter(|exchange| !exchange.shared))
}

/// The operations of which most answers are not the homeserver's, the most answers first.
pub(super) fn most_of(parts: &Parts<'_>, origins: &Origins) -> Vec<GatewayAnswers> {
    if parts.outcome.no_target.is_some() || parts.foreign.is_some() {
        return Vec::new();
    }
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let answered = |exchange: &&Exchange| !exchange.shared && exchange.result.is_ok();
    for exchange in owned_exchanges(parts).flatten().filter(answered) {
        let (foreign, all) = counts.entry(operation_of(parts.spec, exchange)).or_default();
        *foreign += usize::from(origins.is_gateway(exchange));
        *all += 1;
    }
    let most =
        counts.into_iter().filter(|(_, (foreign, all))| *foreign >= FEW && foreign * 2 > *all);
    let answers = most.map(|(operation, (count, all))| GatewayAnswers {
        operation: operation.into(),
        count,
        all,
    });
    let mut answers: Vec<GatewayAnswers> = answers.collect();
    answers.sort_by_key(|one| std::cmp::Reverse(one.count));
    answers
}

/// Says in findings of standing checks where something else may have answered.
pub(super) fn doubted(
    mut standing: Vec<StandingOutcome>,
    parts: &Parts<'_>,
    origins: &Origins,
) -> Vec<StandingOutcome> {
    let unsure: Vec<String> = every_exchange(parts)
        .filter(|(_, exchange)| origins.origin(exchange) == Origin::Unsure)
        .map(|(id, _)| id)
        .collect();
    for finding in standing.iter_mut().flat_map(|one| &mut one.findings) {
        if finding.exchange.as_ref().is_some_and(|id| unsure.contains(id)) {
            finding.message = format!("{}{UNLESS}", finding.message).into();
        }
    }
    standing
}
