//! From the results of the cases to the [`Run`] that every report is a function of. Pure.
use crate::check::standing::Context;
use crate::check::tally::{Tallied, Tally, exchange_id};
use crate::check::verdict::unknown_requirement;
use crate::check::whole_run::{self, Seen, WholeRunCheck};
use crate::http::cancel::CancelCause;
use crate::http::message::{Exchange, Received, Response, TransportErrorKind};
use crate::model::exit;
use crate::model::run::*;
use crate::pipeline::rate_limit_advice;
use crate::plan::Plan;
use crate::plan::facts::Facts;
use crate::plan::selection::{Selection, selects_standing};
use crate::redact::{Redactor, names_in};
use crate::requirements::{Register, Requirement, StandingCheck};
use crate::run::case_runner::too_long;
use crate::run::executor::CaseResult;
use crate::spec::Spec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How much of a body stands in a report, in bytes.
pub const LONGEST_SHOWN: usize = 16 * 1024;
/// How much of all bodies together, in bytes: a report is rendered in memory, several times over.
const ALL_SHOWN: usize = 8 * 1024 * 1024;

/// Everything that a run came to.
pub struct Parts<'a> {
    /// The register.
    pub register: &'a Register,
    /// The specification files.
    pub spec: &'a Spec,
    /// What the probe saw.
    pub facts: &'a Facts,
    /// What was planned.
    pub plan: &'a Plan,
    /// One for each planned case.
    pub results: Vec<CaseResult>,
    /// Whether a signal came: then nothing more is judged.
    pub interrupted: &'a dyn Fn() -> bool,
    /// What was sent outside cases, by name.
    pub support: Vec<(String, Vec<Exchange>)>,
    /// What was exchanged with others before the target was found: shown, and not judged.
    pub elsewhere: &'a [Exchange],
    /// Whether the answers are a homeserver's: else standing checks have nothing to say of them.
    pub is_homeserver: bool,
    /// What the target answered to everything when it was a homeserver no longer.
    pub foreign: Option<Response>,
    /// What is to be known before all else, e.g. why nothing was asked.
    pub headlines: Vec<String>,
    /// What was selected.
    pub selection: &'a Selection,
    /// How many cases there are.
    pub available: usize,
    /// All ids of requirements that have a case, selected or not.
    pub covered: &'a dyn Fn(&str) -> bool,
    /// The homeserver's URL.
    pub base_url: String,
    /// Its name and version, if it tells.
    pub server: Option<String>,
    /// Which limits were met.
    pub limits_hit: Vec<LimitHit>,
    /// What could not be removed again.
    pub not_cleaned_up: Vec<String>,
    /// The guests that the run made.
    pub guests: Vec<String>,
    /// Whether every case was reached.
    pub complete: bool,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// In milliseconds.
    pub duration_ms: u64,
}

/// Builds the [`Run`]; its exit status, baseline and what was required are for the caller to say, and
/// redaction is yet to come. `redactor` serves where a body is cut.
pub fn assemble(mut parts: Parts<'_>, redactor: &Redactor) -> Run {
    let missing = parts.plan.cases.iter().skip(parts.results.len());
    let missing: Vec<CaseResult> =
        missing.map(|planned| CaseResult::missing(&planned.case)).collect();
    parts.results.extend(missing);
    let standing = standing_outcomes(&mut parts);
    let longest = (ALL_SHOWN / every_exchange(&parts).count().max(1)).min(LONGEST_SHOWN);
    let view = View { redactor, longest };
    let of_run = whole_run_outcomes(&parts);
    let (limits, resent) = (notes_on_limits(&parts), note_on_resent(&parts));
    let results = std::mem::take(&mut parts.results);
    // Each result is let go when it is put together: both forms of all exchanges at once would be large.
    let mut cases: Vec<CaseOutcome> = parts
        .plan
        .cases
        .iter()
        .zip(results)
        .map(|(planned, result)| case_outcome(&planned.case, result, view))
        .collect();
    cases.extend(of_run);
    let requirements = requirement_outcomes(&parts, &cases, &standing);
    let discovery = ("discovery".to_owned(), parts.elsewhere.to_vec());
    let support = Some(discovery)
        .filter(|(_, sent)| !sent.is_empty())
        .into_iter()
        .chain(std::mem::take(&mut parts.support))
        .map(|(name, sent)| Support { exchanges: shown(&name, sent, view), name })
        .collect();
    Run {
        schema_version: SCHEMA_VERSION,
        complete: parts.complete,
        exit_status: exit::CONFORMS,
        tool: Tool { name: "homespec".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        target: Target {
            base_url: parts.base_url.as_str().into(),
            server: parts.server.as_deref().map(Into::into),
            versions: untrusted(parts.facts.listed.all()),
            flows: untrusted(&parts.facts.flows),
            api: parts.facts.api.as_str().to_owned(),
            spec: parts.spec.name().into(),
        },
        selection: crate::plan::selection::selection(parts.selection, parts.available, cases.len()),
        started_at: parts.started_at.clone(),
        duration_ms: parts.duration_ms,
        tally: cases.iter().map(|case| case.verdict).collect(),
        tally_requirements: requirements.iter().map(|r| r.verdict).collect(),
        limits_hit: parts.limits_hit.clone(),
        not_cleaned_up: untrusted(&parts.not_cleaned_up),
        notes: untrusted(
            &[
                parts.headlines.clone(),
                resent.into_iter().collect(),
                notes_on_bounds(&cases, &standing),
                limits,
                notes(&parts, &requirements),
            ]
            .concat(),
        ),
        no_usable_account: false,
        baseline: None,
        required: Vec::new(),
        cases,
        standing,
        requirements,
        support,
    }
}

fn untrusted(texts: &[String]) -> Vec<UntrustedText> {
    texts.iter().map(|text| text.as_str().into()).collect()
}

/// How exchanges are shown.
#[derive(Clone, Copy)]
struct View<'r> {
    /// What replaces secrets.
    redactor: &'r Redactor,
    /// How much of each body, in bytes.
    longest: usize,
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
        reason: decided.reason,
        branch: decided.branch,
        requirements: case.checks.clone(),
        duration_ms: millis(result.duration),
        decisions: decided.decisions,
        findings: decided.findings,
        exchanges: shown(&case.id, Arc::unwrap_or_clone(result.exchanges), view),
    }
}

/// Every exchange of the run with its id, once: those outside cases first, then by case.
fn every_exchange<'p>(parts: &'p Parts<'_>) -> impl Iterator<Item = (String, &'p Exchange)> {
    let support = parts.support.iter().map(|(name, exchanges)| (name.as_str(), exchanges));
    let cases = parts.plan.cases.iter().zip(&parts.results);
    let of_cases = cases.map(|(planned, result)| (planned.case.id.as_str(), &*result.exchanges));
    support.chain(of_cases).flat_map(|(owner, exchanges)| {
        let named = exchanges.iter().enumerate();
        named
            .filter(|(_, exchanged)| !exchanged.shared)
            .map(move |(index, exchanged)| (exchange_id(owner, index), exchanged))
    })
}

/// What the checks over the whole run say, as cases beside the others.
fn whole_run_outcomes(parts: &Parts<'_>) -> Vec<CaseOutcome> {
    let all: Vec<(String, &Exchange)> = every_exchange(parts).collect();
    whole_run::CHECKS
        .iter()
        .filter(|check| crate::plan::selection::selects_check(check, parts.selection))
        .map(|check| whole_run_outcome(check, &all, parts))
        .collect()
}

fn whole_run_outcome(
    check: &WholeRunCheck,
    all: &[(String, &Exchange)],
    parts: &Parts<'_>,
) -> CaseOutcome {
    let Some(requirement) = parts.register.get(check.requirement) else {
        let reason = unknown_requirement(check.requirement);
        return whole_run_case(check, 1, Verdict::Errored, Some(reason), Vec::new());
    };
    if (parts.interrupted)() {
        let reason = CancelCause::Interrupted.reason();
        return whole_run_case(check, requirement.line, Verdict::Blocked, Some(reason), Vec::new());
    }
    let exchanges: Vec<&Exchange> = all.iter().map(|(_, exchanged)| *exchanged).collect();
    let id = |at: usize| all.get(at).map(|(id, _)| id.clone());
    let (level, line) = (requirement.level, requirement.line);
    let broken = requirement.severity(&parts.facts.listed).verdict();
    let (verdict, reason, findings) = match (check.look)(&exchanges) {
        Seen::Fine => (Verdict::Passed, None, Vec::new()),
        Seen::Nothing => {
            let text = "there were not enough answers to compare".to_owned();
            let reason = Reason { code: "not_observed".to_owned(), text: text.into() };
            (Verdict::Skipped, Some(reason), Vec::new())
        }
        Seen::Repeated { first, again } => {
            let finding = Finding {
                requirement: check.requirement.to_owned(),
                level,
                verdict: broken,
                message: format!(
                    "the value that {} was given was already issued (first in {})",
                    id(again).unwrap_or_default(),
                    id(first).unwrap_or_default()
                )
                .into(),
                expected: check.title.into(),
                actual: "the same one twice".into(),
                pointer: "".into(),
                branch: None,
                exchange: id(again),
                file: "spec/requirements.yaml".to_owned(),
                line,
                known: false,
            };
            (broken, None, vec![finding])
        }
    };
    whole_run_case(check, line, verdict, reason, findings)
}

fn whole_run_case(
    check: &WholeRunCheck,
    line: u32,
    verdict: Verdict,
    reason: Option<Reason>,
    findings: Vec<Finding>,
) -> CaseOutcome {
    CaseOutcome {
        id: check.id.to_owned(),
        title: check.title.to_owned(),
        area: whole_run::AREA.to_owned(),
        file: "spec/requirements.yaml".to_owned(),
        line,
        impact: "reads".to_owned(),
        verdict,
        reason: reason.clone(),
        branch: None,
        requirements: vec![check.requirement.to_owned()],
        duration_ms: 0,
        decisions: vec![Decision {
            requirement: check.requirement.to_owned(),
            verdict,
            reason,
            branch: None,
        }],
        findings,
        exchanges: Vec::new(),
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn shown(owner: &str, exchanges: Vec<Exchange>, view: View<'_>) -> Vec<RecordedExchange> {
    exchanges
        .into_iter()
        .enumerate()
        .map(|(index, exchanged)| shown_exchange(exchange_id(owner, index), exchanged, view))
        .collect()
}

fn shown_exchange(id: String, exchanged: Exchange, view: View<'_>) -> RecordedExchange {
    let headers = |pairs: Vec<(String, String)>| {
        let header =
            |(name, value): (String, String)| Header { name: name.into(), value: value.into() };
        pairs.into_iter().map(header).collect()
    };
    let (response, trouble) = match exchanged.result {
        Ok(answer) => {
            let answer = answer.into_received();
            let (body, truncated) = shown_body(&answer, view);
            let response = RecordedResponse {
                status: answer.status,
                headers: headers(answer.headers),
                body: body.into(),
                truncated,
            };
            (Some(response), None)
        }
        Err(trouble) => (None, Some(trouble.text.into())),
    };
    let body = exchanged.request.body.map(|body| String::from_utf8_lossy(&body).into());
    RecordedExchange {
        id,
        operation: exchanged.request.operation,
        request: RecordedRequest {
            method: exchanged.request.method.into(),
            url: exchanged.url.into(),
            headers: headers(exchanged.sent_headers),
            body,
        },
        response,
        trouble,
        duration_ms: millis(exchanged.duration),
        shared: exchanged.shared,
    }
}

/// As much of a body as is shown, and whether there is more. Secrets go before it is cut: half a
/// secret would not be found afterwards.
fn shown_body(answer: &Received, view: View<'_>) -> (String, bool) {
    let body = &answer.body;
    if body.len() <= view.longest && !answer.truncated {
        return (String::from_utf8_lossy(body).into_owned(), false);
    }
    let mut text = String::from_utf8_lossy(body).into_owned();
    if answer.truncated {
        // The last secret may be there in part.
        text.push('…');
    }
    let mut text = view.redactor.text(&text);
    if answer.truncated {
        text.pop();
    }
    let end = (0..=text.len().min(view.longest)).rev().find(|at| text.is_char_boundary(*at));
    let end = end.unwrap_or_default();
    let halved = |(from, to): &(usize, usize)| *from < end && end < *to;
    // Half a name may be a secret by its looks.
    let end = names_in(&text).into_iter().find(halved).map_or(end, |(from, _)| from);
    text.truncate(end);
    (text, true)
}

/// What the standing checks say. They have looked at the exchanges of each case when it was over; here they look at those
/// outside cases, and leave out what turned out to be no answer of the homeserver.
fn standing_outcomes(parts: &mut Parts<'_>) -> Vec<StandingOutcome> {
    let context =
        Context { register: parts.register, spec: parts.spec, listed: &parts.facts.listed };
    let (mut tally, mut cut) = (Tally::default(), false);
    let of = |owner: &str, exchanges: &[Exchange]| {
        Tally::of(context, owner, exchanges, &|one| is_own(parts, one), parts.interrupted)
    };
    let of_support = parts.support.iter().map(|(name, exchanges)| of(name, exchanges));
    let of_cases =
        parts.plan.cases.iter().zip(&parts.results).map(|(planned, result)| {
            match result.exchanges.iter().all(|one| is_own(parts, one)) {
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
        .map(|requirement| {
            standing_outcome(requirement, tally.take(&requirement.id), parts, cut.as_ref())
        })
        .collect()
}

/// Whether the answer is one of the homeserver under test.
fn is_own(parts: &Parts<'_>, exchanged: &Exchange) -> bool {
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
    parts.is_homeserver && !parts.foreign.as_ref().is_some_and(is_foreign)
}

/// `cut`: why there are answers that were not looked at.
fn standing_outcome(
    requirement: &Requirement,
    tallied: Option<Tallied>,
    parts: &Parts<'_>,
    cut: Option<&Reason>,
) -> StandingOutcome {
    let id = requirement.id.clone();
    let unseen = |verdict, reason| StandingOutcome {
        requirement: id.clone(),
        verdict,
        count: 0,
        observed: 0,
        findings: Vec::new(),
        reason: Some(reason),
    };
    let skipped = |code: &str, text: &str| {
        let reason = Reason { code: code.to_owned(), text: text.into() };
        unseen(Verdict::Skipped, reason)
    };
    if !requirement.applies(&parts.facts.listed) {
        return skipped("version", "no release that the server lists has it");
    }
    match (tallied, cut) {
        (Some(tallied), cut) => {
            let (count, observed) = (tallied.count, tallied.observed);
            let verdict = match cut {
                Some(_) => tallied.verdict.max(Verdict::Blocked),
                None => tallied.verdict,
            };
            let reason = match verdict {
                Verdict::Errored => tallied.undecided.clone(),
                Verdict::Blocked => cut.cloned().or(tallied.undecided.clone()),
                _ => None,
            };
            let findings = tallied.findings();
            StandingOutcome { requirement: id, verdict, count, observed, findings, reason }
        }
        (None, Some(cut)) => unseen(Verdict::Blocked, cut.clone()),
        (None, None) => skipped("not_observed", "no response exercised this check"),
    }
}

/// What decided a requirement, how, and why.
type Decider<'a> = (&'a str, Verdict, Option<&'a Reason>);

fn requirement_outcomes(
    parts: &Parts<'_>,
    cases: &[CaseOutcome],
    standing: &[StandingOutcome],
) -> Vec<RequirementOutcome> {
    let mut by_id: BTreeMap<&str, Vec<Decider<'_>>> = BTreeMap::new();
    for case in cases {
        for decision in &case.decisions {
            by_id.entry(&decision.requirement).or_default().push((
                &case.id,
                decision.verdict,
                decision.reason.as_ref(),
            ));
        }
    }
    for outcome in standing {
        let decision = ("standing", outcome.verdict, outcome.reason.as_ref());
        by_id.entry(&outcome.requirement).or_default().push(decision);
    }
    parts
        .register
        .iter()
        .map(|requirement| {
            let decisions = by_id.get(requirement.id.as_str()).map_or(&[][..], Vec::as_slice);
            requirement_outcome(parts, requirement, decisions)
        })
        .collect()
}

fn requirement_outcome(
    parts: &Parts<'_>,
    requirement: &Requirement,
    decisions: &[Decider<'_>],
) -> RequirementOutcome {
    let worst = decisions.iter().map(|(_, verdict, _)| *verdict).max();
    let verdict = worst.map_or(RequirementVerdict::Untested, RequirementVerdict::from);
    let reason = match worst {
        Some(worst) => decisions
            .iter()
            .find(|(_, verdict, reason)| *verdict == worst && reason.is_some())
            .and_then(|(_, _, reason)| reason.cloned()),
        None => Some(untested(parts, requirement)),
    };
    RequirementOutcome {
        id: requirement.id.clone(),
        level: requirement.level,
        mark: requirement.mark,
        title: requirement.title.clone(),
        source_url: requirement.url.clone(),
        applies: requirement.applies(&parts.facts.listed),
        verdict,
        reason,
        cases: decisions.iter().map(|(case, _, _)| (*case).to_owned()).collect(),
    }
}

fn untested(parts: &Parts<'_>, requirement: &Requirement) -> Reason {
    let reason = |code: &str, text: &str| Reason { code: code.to_owned(), text: text.into() };
    let is_standing = requirement
        .standing
        .iter()
        .any(|watch| matches!(watch, StandingCheck::Rule(_) | StandingCheck::Schema(_)));
    if is_standing || (parts.covered)(&requirement.id) {
        return reason("not_selected", "nothing that decides it was selected");
    }
    match &requirement.untestable {
        Some(why) => reason("untestable", why),
        None => reason("no_case", "there is no case for it yet"),
    }
}

/// Which requests were sent again for want of a whole answer, of how many by operation, the most often first: what
/// happens at every n-th request fails no case, and must not go unseen.
fn note_on_resent(parts: &Parts<'_>) -> Option<String> {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for exchanges in owned_exchanges(parts) {
        for (at, exchanged) in exchanges.iter().enumerate().filter(|(_, one)| !one.shared) {
            let (resent, sent) = counts.entry(operation_of(parts.spec, exchanged)).or_default();
            *sent += 1;
            let again =
                exchanges.iter().skip(at + 1).any(|later| later.request == exchanged.request);
            *resent += usize::from(again && has_no_whole_answer(exchanged));
        }
    }
    let mut resent: Vec<_> = counts.into_iter().filter(|(_, (resent, _))| *resent > 0).collect();
    resent.sort_by_key(|(_, (resent, _))| std::cmp::Reverse(*resent));
    let total: usize = resent.iter().map(|(_, (resent, _))| resent).sum();
    let each: Vec<String> =
        resent.iter().map(|(name, (resent, sent))| format!("{name} {resent} of {sent}")).collect();
    let noun = if total == 1 { "1 request was" } else { &format!("{total} requests were") };
    let each = each.join(", ");
    (total > 0).then(|| format!("{noun} sent again for want of a whole answer: {each}"))
}

/// The exchanges of each case, and of each part of the run outside cases.
fn owned_exchanges<'p>(parts: &'p Parts<'_>) -> impl Iterator<Item = &'p [Exchange]> {
    let support = parts.support.iter().map(|(_, exchanges)| exchanges.as_slice());
    support.chain(parts.results.iter().map(|result| result.exchanges.as_slice()))
}

/// Whether the answer ended before it was whole, or something in front of the homeserver gave it.
fn has_no_whole_answer(exchanged: &Exchange) -> bool {
    match &exchanged.result {
        Err(trouble) => {
            matches!(trouble.kind, TransportErrorKind::Closed | TransportErrorKind::Protocol)
        }
        Ok(answer) => matches!(answer.status, 502..=504) && answer.text_at("/errcode").is_none(),
    }
}

/// An operation as `POST /login`; without a known one, method and path.
fn operation_of(spec: &Spec, exchanged: &Exchange) -> String {
    let known = exchanged.request.operation.as_deref().and_then(|id| spec.operation(id));
    if let Some(operation) = known {
        let path = &operation.path;
        let short = ["v3", "r0"].map(|api| path.strip_prefix(&format!("/_matrix/client/{api}")));
        let short = short.into_iter().flatten().next().unwrap_or(path);
        return format!("{} {short}", operation.method);
    }
    let path = exchanged.request.path.split('?').next().unwrap_or_default();
    format!("{} {path}", exchanged.request.method)
}

/// What the limits that were met left open.
fn notes_on_limits(parts: &Parts<'_>) -> Vec<String> {
    let cases = parts.plan.cases.iter().zip(&parts.results);
    let blocked = cases.filter(|(_, result)| result.is_rate_limited());
    let logins = blocked.map(|(planned, _)| planned.case.logins()).sum();
    rate_limit_advice::of_limits(&parts.limits_hit, logins, parts.server.as_deref())
}

/// What is blocked because a bound on judging was hit.
fn notes_on_bounds(cases: &[CaseOutcome], standing: &[StandingOutcome]) -> Vec<String> {
    let of_cases = cases.iter().filter_map(|case| case.reason.as_ref());
    let reasons = of_cases.chain(standing.iter().filter_map(|one| one.reason.as_ref()));
    let mut blocked: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in reasons.filter(|reason| ["too_large", "too_long"].contains(&reason.code.as_str()))
    {
        *blocked.entry(&reason.text).or_default() += 1;
    }
    let note = |(text, count): (&str, usize)| {
        let checks = if count == 1 { "check is" } else { "checks are" };
        format!("{count} {checks} blocked: {text}")
    };
    blocked.into_iter().map(note).collect()
}

/// What the reader is to know beside the verdicts: what would decide more, most first, and which
/// guests stay.
fn notes(parts: &Parts<'_>, requirements: &[RequirementOutcome]) -> Vec<String> {
    let mut notes = parts.facts.beyond.clone();
    notes.extend(ways_to_more(parts, requirements));
    if !parts.guests.is_empty() {
        let guests = parts.guests.join(", ");
        notes.push(format!("made as a guest, which nobody can deactivate: {guests}"));
    }
    notes
}

/// What would decide more requirements, from the reasons of those that were not decided.
fn ways_to_more(parts: &Parts<'_>, requirements: &[RequirementOutcome]) -> Vec<String> {
    let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
    for requirement in requirements.iter().filter(|r| r.applies) {
        let code = requirement.reason.as_ref().map_or("", |reason| reason.code.as_str());
        let lacks =
            if code == NO_ACCOUNT { Some(code) } else { code.strip_prefix("not_provided:") };
        // Whether the server asks for a registration token at all is not known.
        if let Some(name) = lacks.filter(|name| *name != "registration") {
            *missing.entry(name).or_default() += 1;
        }
    }
    let mut ways: BTreeMap<String, usize> = BTreeMap::new();
    for (name, count) in missing {
        // Accounts that can be made are all of it: more than one, with a password, and nobody's.
        let is_account = matches!(name, NO_ACCOUNT | DISPOSABLE | "password") || is_further(name);
        if is_account && !parts.facts.accounts.can_make {
            *ways.entry(way_to_make(parts.facts)).or_default() += count;
        }
        if name != NO_ACCOUNT {
            *ways.entry(way(name)).or_default() += count;
        }
    }
    let mut ways: Vec<(String, usize)> = ways.into_iter().collect();
    ways.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let more = |(way, count): (String, usize)| {
        let noun = if count == 1 { "requirement" } else { "requirements" };
        format!("{way} would decide {count} more {noun}")
    };
    ways.into_iter().map(more).collect()
}

const NO_ACCOUNT: &str = "no_account";
const DISPOSABLE: &str = "disposable account";

fn is_further(name: &str) -> bool {
    name.starts_with("account ")
}

fn way_to_make(facts: &Facts) -> String {
    match facts.registers {
        true => "`--register open` (the server lets users register)".to_owned(),
        false => "a way to make accounts (docs/accounts.md)".to_owned(),
    }
}

fn way(name: &str) -> String {
    match name {
        DISPOSABLE => "an account with `disposable: true`".to_owned(),
        "password" => "an account with its password".to_owned(),
        name if is_further(name) => "a further account".to_owned(),
        name => format!("`{name}` under `operator:`"),
    }
}
