//! What the standing checks say over all answers of the run.
use super::Parts;
use crate::check::standing::Context;
use crate::check::tally::{Tallied, Tally};
use crate::http::cancel::CancelCause;
use crate::http::gateway::Origins;
use crate::http::message::{Exchange, Response};
use crate::model::reason::Reason;
use crate::model::run::{StandingOutcome, Verdict};
use crate::plan::selection::selects_standing;
use crate::requirements::Requirement;
use crate::run::case_runner::too_long;

/// What the standing checks say. They have looked at the exchanges of each case when it was over; here they look at those
/// outside cases, and leave out what turned out to be no answer of the homeserver.
pub(super) fn outcomes(parts: &Parts<'_>, origins: &Origins) -> Vec<StandingOutcome> {
    let context =
        Context { register: parts.register, spec: parts.spec, listed: &parts.facts.listed };
    let (mut tally, mut cut) = (Tally::default(), false);
    let of = |owner: &str, exchanges: &[Exchange]| {
        Tally::of(context, owner, exchanges, &|one| is_own(parts, origins, one), parts.interrupted)
    };
    let of_support = parts.outcome.support.iter().map(|(name, exchanges)| of(name, exchanges));
    let of_cases = parts.plan.cases.iter().zip(&parts.outcome.results).map(|(planned, result)| {
        match result.exchanges.iter().all(|one| is_own(parts, origins, one)) {
            true => result.standing.clone(),
            false => of(&planned.case.id, &result.exchanges),
        }
    });
    for one in of_support.chain(of_cases) {
        match one {
            Some(one) => tally.merge(one),
            None => cut = true,
        }
    }
    let cut = cut.then(|| match (parts.interrupted)() {
        true => CancelCause::Interrupted.reason(),
        false => too_long(),
    });
    parts
        .register
        .iter()
        .filter(|requirement| !requirement.standing.is_empty())
        .filter(|r| selects_standing(&r.id, r.level, parts.selection))
        .map(|requirement| outcome(requirement, tally.take(&requirement.id), parts, cut.as_ref()))
        .collect()
}

fn is_own(parts: &Parts<'_>, origins: &Origins, exchanged: &Exchange) -> bool {
    let is_foreign = |foreign: &Response| {
        // How much is read of a body without end depends on what was read before.
        let same = |answer: &Response| match answer.truncated && foreign.truncated {
            true => {
                foreign.body.starts_with(&answer.body) || answer.body.starts_with(&foreign.body)
            }
            false => answer.body == foreign.body,
        };
        exchanged.result.as_ref().is_ok_and(|a| a.status == foreign.status && same(a))
    };
    parts.outcome.no_target.is_none()
        && !parts.foreign.as_ref().is_some_and(is_foreign)
        && !origins.is_gateway(exchanged)
}

/// `cut`: why there are answers that were not looked at.
fn outcome(
    requirement: &Requirement,
    tallied: Option<Tallied>,
    parts: &Parts<'_>,
    cut: Option<&Reason>,
) -> StandingOutcome {
    let in_range = requirement.applies(&parts.facts.listed);
    let tallied = tallied.filter(|_| in_range);
    let (verdict, reason) = match (&tallied, cut) {
        _ if !in_range => (Verdict::Skipped, Some(Reason::OutOfRange)),
        (None, None) => (Verdict::Skipped, Some(Reason::NotExercised)),
        (None, Some(cut)) => (Verdict::Blocked, Some(cut.clone())),
        (Some(tallied), cut) => {
            let verdict = cut.map_or(tallied.verdict, |_| tallied.verdict.max(Verdict::Blocked));
            let undecided = tallied.undecided.as_ref();
            let reason = match verdict {
                Verdict::Errored => undecided,
                Verdict::Blocked => cut.or(undecided),
                Verdict::Skipped | Verdict::Passed | Verdict::Warned | Verdict::Failed => None,
            };
            (verdict, reason.cloned())
        }
    };
    StandingOutcome {
        requirement: requirement.id.clone(),
        verdict,
        count: tallied.as_ref().map_or(0, |tallied| tallied.count),
        observed: tallied.as_ref().map_or(0, |tallied| tallied.observed),
        findings: tallied.map_or_else(Vec::new, Tallied::findings),
        reason: reason.map(Into::into),
    }
}
