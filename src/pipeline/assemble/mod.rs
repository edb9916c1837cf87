//! From the results of the cases to the [`Run`] that every report is a function of. Pure.
mod causes;
mod evidence;
mod exchanges;
mod gateway;
mod notes;
mod rate_limit_advice;
mod requirements;
mod standing;
mod whole_run;

use crate::baseline::Baseline;
use crate::http::message::{Exchange, Response};
use crate::http::rate_limit::LimitSeries;
use crate::model::exit;
use crate::model::reason::Reason;
use crate::model::run::*;
use crate::plan::Plan;
use crate::plan::facts::Facts;
use crate::plan::selection::{self, Selection};
use crate::redact::Redactor;
use crate::requirements::Register;
use crate::run::executor::CaseResult;
use crate::spec::Spec;
use exchanges::{View, millis, shown};
use std::sync::Arc;

/// What came of the cases, and beside them.
#[derive(Default)]
pub(super) struct Outcome {
    /// One for each planned case.
    pub results: Vec<CaseResult>,
    /// What was sent outside cases, by name.
    pub support: Vec<(String, Vec<Exchange>)>,
    /// What could not be removed again.
    pub left: Vec<String>,
    /// Name and version of the server, if it tells.
    pub server: Option<String>,
    /// Why nothing was asked. The answers are no homeserver's then, and standing checks have
    /// nothing to say of them.
    pub no_target: Option<String>,
    /// What the operator is to be told of what was given.
    pub notices: Vec<String>,
    /// Whether cases needed an account, one or a way to make them was given, and none could be
    /// used.
    pub no_usable_account: bool,
}

/// Everything that a run came to, with what it was run with.
pub(super) struct Parts<'a> {
    pub register: &'a Register,
    pub spec: &'a Spec,
    pub facts: &'a Facts,
    pub plan: &'a Plan,
    pub selection: &'a Selection,
    pub outcome: Outcome,
    /// Whether a signal came: then nothing more is judged.
    pub interrupted: &'a dyn Fn() -> bool,
    /// What was exchanged with others before the target was found: shown, and not judged.
    pub elsewhere: &'a [Exchange],
    /// What the target answered to everything when it was a homeserver no longer.
    pub foreign: Option<Response>,
    /// What is to be known before all else, e.g. why nothing was asked.
    pub headlines: Vec<String>,
    /// How many cases there are.
    pub available: usize,
    /// All ids of requirements that have a case, selected or not.
    pub covered: &'a dyn Fn(&str) -> bool,
    /// The homeserver's URL.
    pub base_url: String,
    /// Which limits were met.
    pub limits_hit: Vec<LimitHit>,
    /// The requests that they applied to.
    pub limit_series: Vec<LimitSeries>,
    /// The requests that a signal broke off.
    pub broken_off: Vec<String>,
    /// Whether verdicts stay as each case was judged by itself.
    pub raw_verdicts: bool,
    /// What the project knows and accepts.
    pub baseline: Option<&'a Baseline>,
    /// What had to be there by `--require`.
    pub required: Vec<Required>,
    /// The guests that the run made.
    pub guests: Vec<String>,
    /// Whether every case was reached.
    pub complete: bool,
    /// RFC 3339, UTC.
    pub started_at: String,
    pub duration_ms: u64,
}

/// Builds the [`Run`], before its secrets are replaced and a baseline is held against it; the exit
/// status follows from these. `redactor` serves where a body is cut.
pub(super) fn assemble(mut parts: Parts<'_>, redactor: &Redactor) -> Run {
    let missing = parts.plan.cases.iter().skip(parts.outcome.results.len());
    parts.outcome.results.extend(missing.map(|planned| CaseResult::missing(&planned.case)));
    parts.limits_hit = with_blocked(parts.limits_hit, &parts.outcome.results);
    let origins = gateway::origins(&parts);
    let standing = standing::outcomes(&parts, &origins);
    let standing = gateway::doubted(standing, &parts, &origins);
    let in_front = gateway::most_of(&parts, &origins);
    let view = View::of(&parts, redactor);
    let of_run = whole_run::outcomes(&parts);
    let resent = notes::on_resent(&parts);
    // Each result is let go when it is put together: both forms of all exchanges at once would be large.
    let revised = causes::revised(&parts, &origins);
    let results = std::mem::take(&mut parts.outcome.results);
    let along = evidence::ids(&parts);
    let cases: Vec<CaseOutcome> = (parts.plan.cases.iter().zip(results).zip(revised))
        .map(|((planned, result), revised)| {
            let outcome = case_outcome(&planned.case, result, view);
            match revised {
                Some(revised) => causes::applied(outcome, revised),
                None => outcome,
            }
        })
        .chain(of_run)
        .collect();
    let cases = evidence::weighed(cases, &along);
    let requirements = requirements::outcomes(&parts, &cases, &standing);
    let notes = notes::all(&parts, resent, &cases, &standing, &requirements);
    let broken_off = parts
        .broken_off
        .iter()
        .map(|what| format!("{what} was cancelled: it may have created a session or an account"));
    let not_cleaned_up: Vec<String> =
        parts.outcome.left.iter().cloned().chain(broken_off).collect();
    let discovery = ("discovery".to_owned(), parts.elsewhere.to_vec());
    let support = Some(discovery).filter(|(_, sent)| !sent.is_empty());
    let support = support.into_iter().chain(parts.outcome.support);
    Run {
        schema_version: SCHEMA_VERSION,
        complete: parts.complete,
        exit_status: exit::CONFORMS,
        tool: Tool { name: "homespec".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        target: Target {
            base_url: parts.base_url.into(),
            server: parts.outcome.server.map(Into::into),
            versions: untrusted(parts.facts.listed.all()),
            flows: untrusted(&parts.facts.flows),
            api: parts.facts.api.as_str().to_owned(),
            spec: parts.spec.name().into(),
        },
        selection: selection::selection(parts.selection, parts.available, cases.len(), along),
        started_at: parts.started_at,
        duration_ms: parts.duration_ms,
        tally: cases
            .iter()
            .filter(|case| !evidence::is_idle(case))
            .map(|case| case.verdict)
            .collect(),
        tally_requirements: RequirementTally::of(&requirements),
        limits_hit: parts.limits_hit,
        not_cleaned_up: untrusted(&not_cleaned_up),
        notes: untrusted(&notes),
        no_usable_account: parts.outcome.no_usable_account,
        gateway: in_front,
        baseline: None,
        required: parts.required,
        cases,
        standing,
        requirements,
        support: support
            .map(|(name, sent)| Support { exchanges: shown(&name, sent, view), name })
            .collect(),
    }
}

fn untrusted(texts: &[String]) -> Vec<UntrustedText> {
    texts.iter().map(|text| text.as_str().into()).collect()
}

fn case_outcome(case: &crate::case::ast::Case, result: CaseResult, view: View<'_>) -> CaseOutcome {
    let decided = result.decided;
    CaseOutcome {
        id: case.id.clone(),
        title: case.title.clone(),
        area: case.area.clone(),
        file: case.file.clone(),
        line: case.line,
        impact: case.impact.to_string(),
        verdict: decided.verdict,
        reason: decided.reason.map(Into::into),
        branch: decided.branch,
        requirements: case.checks.clone(),
        duration_ms: millis(result.duration),
        decisions: decided.decisions,
        findings: decided.findings,
        exchanges: shown(&case.id, Arc::unwrap_or_clone(result.exchanges), view),
    }
}

/// The limits, each with the number of cases that it blocks.
fn with_blocked(hits: Vec<LimitHit>, results: &[CaseResult]) -> Vec<LimitHit> {
    let by = |result: &CaseResult| match &result.decided.reason {
        Some(Reason::RateLimited { operation, .. }) => Some(operation.clone()),
        _ => None,
    };
    let blocking: Vec<String> = results.iter().filter_map(by).collect();
    let count = |hit: &LimitHit| blocking.iter().filter(|by| hit.operation == **by).count();
    hits.into_iter().map(|hit| LimitHit { blocked: count(&hit), ..hit }).collect()
}

#[cfg(test)]
mod tests;
