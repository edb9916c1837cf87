//! From the results of the cases to the [`Run`] that every report is a function of. Pure.
use crate::advice;
use crate::baseline::without_indices;
use crate::check::expect::Miss;
use crate::check::standing::{self, Context, Observation};
use crate::check::whole_run::{self, Seen, WholeRunCheck};
use crate::exit;
use crate::facts::Facts;
use crate::outcome::*;
use crate::plan::Plan;
use crate::register::{Register, Requirement, Severity, Watch};
use crate::run::engine::CaseResult;
use crate::secret::{Redactor, names_in};
use crate::select::{Wish, standing_is_wished};
use crate::spec::Spec;
use crate::wire::{Answer, Exchanged};
use std::collections::{BTreeMap, HashSet};

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
    /// What was sent outside cases, by name.
    pub support: Vec<(String, Vec<Exchanged>)>,
    /// What was exchanged with others before the target was found: shown, and not judged.
    pub elsewhere: &'a [Exchanged],
    /// Whether the answers are a homeserver's: else standing checks have nothing to say of them.
    pub is_homeserver: bool,
    /// What the target answered to everything when it was a homeserver no longer.
    pub foreign: Option<Answer>,
    /// What is to be known before all else, e.g. why nothing was asked.
    pub headlines: Vec<String>,
    /// What was wished for.
    pub wish: &'a Wish,
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
pub fn assemble(parts: Parts<'_>, redactor: &Redactor) -> Run {
    let standing = standing_outcomes(&parts);
    let longest = (ALL_SHOWN / every_exchange(&parts).count().max(1)).min(LONGEST_SHOWN);
    let view = View { redactor, longest };
    let mut cases: Vec<CaseOutcome> = parts
        .plan
        .cases
        .iter()
        .zip(&parts.results)
        .map(|(planned, result)| case_outcome(&planned.case, result, view))
        .collect();
    cases.extend(whole_run_outcomes(&parts));
    let requirements = requirement_outcomes(&parts, &cases, &standing);
    let discovery = Some(("discovery", parts.elsewhere)).filter(|(_, sent)| !sent.is_empty());
    let of_target = parts.support.iter().map(|(name, sent)| (name.as_str(), sent.as_slice()));
    let support = discovery
        .into_iter()
        .chain(of_target)
        .map(|(name, sent)| Support { name: name.to_owned(), exchanges: shown(name, sent, view) })
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
        selection: crate::select::selection(parts.wish, parts.available, cases.len()),
        started_at: parts.started_at.clone(),
        duration_ms: parts.duration_ms,
        tally: cases.iter().map(|case| case.verdict).collect(),
        tally_requirements: requirements.iter().map(|r| r.verdict).collect(),
        limits_hit: parts.limits_hit.clone(),
        not_cleaned_up: untrusted(&parts.not_cleaned_up),
        notes: untrusted(
            &[parts.headlines.clone(), notes_on_limits(&parts), notes(&parts, &requirements)]
                .concat(),
        ),
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

fn case_outcome(case: &crate::case::ast::Case, result: &CaseResult, view: View<'_>) -> CaseOutcome {
    let decided = &result.decided;
    CaseOutcome {
        id: case.id.clone(),
        title: case.title.clone(),
        area: case.area.clone(),
        file: case.file.clone(),
        line: case.line,
        impact: case.impact.to_string(),
        verdict: decided.verdict,
        reason: decided.reason.clone(),
        branch: decided.branch.clone(),
        requirements: case.checks.clone(),
        duration_ms: millis(result.duration),
        decisions: decided.decisions.clone(),
        findings: decided.findings.clone(),
        exchanges: shown(&case.id, &result.exchanges, view),
    }
}

/// Every exchange of the run with its id, once: those outside cases first, then by case.
fn every_exchange<'p>(parts: &'p Parts<'_>) -> impl Iterator<Item = (String, &'p Exchanged)> {
    let support = parts.support.iter().map(|(name, exchanges)| (name.as_str(), exchanges));
    let cases = parts.plan.cases.iter().zip(&parts.results);
    let of_cases = cases.map(|(planned, result)| (planned.case.id.as_str(), &result.exchanges));
    support.chain(of_cases).flat_map(|(owner, exchanges)| {
        let named = exchanges.iter().enumerate();
        named
            .filter(|(_, exchanged)| !exchanged.shared)
            .map(move |(index, exchanged)| (exchange_id(owner, index), exchanged))
    })
}

/// The id of an exchange: its owner, and its number from 1.
fn exchange_id(owner: &str, index: usize) -> String {
    format!("{owner}#{}", index + 1)
}

/// What the checks over the whole run say, as cases beside the others.
fn whole_run_outcomes(parts: &Parts<'_>) -> Vec<CaseOutcome> {
    let all: Vec<(String, &Exchanged)> = every_exchange(parts).collect();
    whole_run::CHECKS
        .iter()
        .filter(|check| crate::select::check_is_wished(check, parts.wish))
        .map(|check| whole_run_outcome(check, &all, parts))
        .collect()
}

fn whole_run_outcome(
    check: &WholeRunCheck,
    all: &[(String, &Exchanged)],
    parts: &Parts<'_>,
) -> CaseOutcome {
    let exchanges: Vec<&Exchanged> = all.iter().map(|(_, exchanged)| *exchanged).collect();
    let id = |at: usize| all.get(at).map(|(id, _)| id.clone());
    let requirement = parts.register.get(check.requirement);
    let weight = requirement.map(|r| (r.level, r.severity(&parts.facts.listed).verdict(), r.line));
    let (level, broken, line) = weight.unwrap_or((check.level, Verdict::Passed, 1));
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
                    "what {} was given was given before, in {}",
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

fn shown(owner: &str, exchanges: &[Exchanged], view: View<'_>) -> Vec<Exchange> {
    exchanges
        .iter()
        .enumerate()
        .map(|(index, exchanged)| shown_exchange(exchange_id(owner, index), exchanged, view))
        .collect()
}

fn shown_exchange(id: String, exchanged: &Exchanged, view: View<'_>) -> Exchange {
    let headers = |pairs: &[(String, String)]| {
        let header = |(name, value): &(String, String)| Header {
            name: name.as_str().into(),
            value: value.as_str().into(),
        };
        pairs.iter().map(header).collect()
    };
    let (response, trouble) = match &exchanged.result {
        Ok(answer) => {
            let (body, truncated) = shown_body(answer, view);
            let response = Response {
                status: answer.status,
                headers: headers(&answer.headers),
                body: body.into(),
                truncated,
            };
            (Some(response), None)
        }
        Err(trouble) => (None, Some(trouble.text.as_str().into())),
    };
    let body = exchanged.ask.body.as_ref().map(|body| String::from_utf8_lossy(body).into());
    Exchange {
        id,
        operation: exchanged.ask.operation.clone(),
        request: Request {
            method: exchanged.ask.method.as_str().into(),
            url: exchanged.url.as_str().into(),
            headers: headers(&exchanged.sent_headers),
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
fn shown_body(answer: &Answer, view: View<'_>) -> (String, bool) {
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

/// What the standing checks found of one requirement so far.
#[derive(Default)]
struct Tallied {
    observed: usize,
    count: usize,
    verdict: Option<Verdict>,
    findings: Vec<Finding>,
    /// By operation, verdict and place.
    kinds: HashSet<(Option<String>, Verdict, String)>,
}

/// The most examples that are kept of one requirement, if they differ in their words alone; all are counted.
const MOST_EXAMPLES: usize = 10;
/// The most kinds of examples: a server that makes up names could go on for ever.
const MOST_KINDS: usize = 200;

fn standing_outcomes(parts: &Parts<'_>) -> Vec<StandingOutcome> {
    let context =
        Context { register: parts.register, spec: parts.spec, listed: &parts.facts.listed };
    let mut tallies: BTreeMap<String, Tallied> = BTreeMap::new();
    for (id, exchanged) in every_exchange(parts).filter(|(_, exchanged)| is_own(parts, exchanged)) {
        // A copy, so that what is parsed of it is gone with it.
        for observation in standing::observe(context, &exchanged.clone()) {
            tally(parts, &mut tallies, observation, exchanged, id.clone());
        }
    }
    parts
        .register
        .iter()
        .filter(|requirement| !requirement.standing.is_empty())
        .filter(|r| standing_is_wished(&r.id, r.level, parts.wish))
        .map(|requirement| standing_outcome(requirement, tallies.remove(&requirement.id), parts))
        .collect()
}

/// Whether the answer is one of the homeserver under test.
fn is_own(parts: &Parts<'_>, exchanged: &Exchanged) -> bool {
    let is_foreign = |foreign: &Answer| {
        // How much is read of a body without end depends on what was read before.
        let same = |answer: &Answer| match answer.truncated && foreign.truncated {
            true => {
                foreign.body.starts_with(&answer.body) || answer.body.starts_with(&foreign.body)
            }
            false => answer.body == foreign.body,
        };
        exchanged.result.as_ref().is_ok_and(|a| a.status == foreign.status && same(a))
    };
    parts.is_homeserver && !parts.foreign.as_ref().is_some_and(is_foreign)
}

fn tally(
    parts: &Parts<'_>,
    tallies: &mut BTreeMap<String, Tallied>,
    observation: Observation,
    exchanged: &Exchanged,
    exchange: String,
) {
    let Some(requirement) = parts.register.get(&observation.requirement) else { return };
    let tallied = tallies.entry(requirement.id.clone()).or_default();
    tallied.observed += 1;
    let severity = requirement.severity(&parts.facts.listed);
    let severity = if observation.mild { severity.at_most_warns() } else { severity };
    let verdict = match &observation.miss {
        Some(_) => severity.verdict(),
        None => Verdict::Passed,
    };
    tallied.verdict = tallied.verdict.max(Some(verdict));
    let Some(miss) = observation.miss else { return };
    if severity == Severity::Observes {
        return;
    }
    tallied.count += 1;
    let what = exchanged.ask.operation.clone().unwrap_or_else(|| {
        let path = exchanged.ask.path.split('?').next().unwrap_or_default();
        format!("{} {path}", exchanged.ask.method)
    });
    let finding = standing_finding(requirement, verdict, &what, miss, exchange, observation.place);
    let same =
        |other: &Finding| other.message == finding.message && other.pointer == finding.pointer;
    if tallied.findings.iter().any(same) {
        return;
    }
    // Beyond the examples one of each kind that a baseline tells apart, or what it knows would hide what is new.
    let kind = (exchanged.ask.operation.clone(), verdict, without_indices(&finding.pointer));
    let room = tallied.findings.len() < MOST_EXAMPLES;
    let is_new = tallied.kinds.len() < MOST_KINDS && tallied.kinds.insert(kind);
    if room || is_new {
        tallied.findings.push(finding);
    }
}

fn standing_finding(
    requirement: &Requirement,
    verdict: Verdict,
    what: &str,
    miss: Miss,
    exchange: String,
    place: Option<(String, u32)>,
) -> Finding {
    let where_ = match miss.place.as_str() {
        "" => "the body".to_owned(),
        place => place.to_owned(),
    };
    let (file, line) =
        place.unwrap_or_else(|| ("spec/requirements.yaml".to_owned(), requirement.line));
    Finding {
        requirement: requirement.id.clone(),
        level: requirement.level,
        verdict,
        message: format!(
            "the answer to {what}: {where_} is {}, not {}",
            miss.actual, miss.expected
        )
        .into(),
        expected: miss.expected.into(),
        actual: miss.actual.into(),
        pointer: miss.place.into(),
        branch: None,
        exchange: Some(exchange),
        file,
        line,
        known: false,
    }
}

fn standing_outcome(
    requirement: &Requirement,
    tallied: Option<Tallied>,
    parts: &Parts<'_>,
) -> StandingOutcome {
    let outcome = |verdict, tallied: Tallied, reason| StandingOutcome {
        requirement: requirement.id.clone(),
        verdict,
        count: tallied.count,
        observed: tallied.observed,
        findings: tallied.findings,
        reason,
    };
    let skipped = |code: &str, text: &str| {
        let reason = Reason { code: code.to_owned(), text: text.into() };
        outcome(Verdict::Skipped, Tallied::default(), Some(reason))
    };
    if !requirement.applies(&parts.facts.listed) {
        return skipped("version", "no release that the server lists has it");
    }
    match tallied {
        Some(tallied) => outcome(tallied.verdict.unwrap_or(Verdict::Passed), tallied, None),
        None => skipped("not_observed", "no answer gave occasion to look at it"),
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
    let is_standing =
        requirement.standing.iter().any(|watch| matches!(watch, Watch::Rule(_) | Watch::Schema(_)));
    if is_standing || (parts.covered)(&requirement.id) {
        return reason("not_selected", "nothing that decides it was selected");
    }
    match &requirement.untestable {
        Some(why) => reason("untestable", why),
        None => reason("no_case", "there is no case for it yet"),
    }
}

/// What the limits that were met left open.
fn notes_on_limits(parts: &Parts<'_>) -> Vec<String> {
    let cases = parts.plan.cases.iter().zip(&parts.results);
    let blocked = cases.filter(|(_, result)| result.is_rate_limited());
    let logins = blocked.map(|(planned, _)| planned.case.logins()).sum();
    advice::of_limits(&parts.limits_hit, logins, parts.server.as_deref())
}

/// What the reader is to know beside the verdicts: what would decide more, most first, and which
/// guests stay.
fn notes(parts: &Parts<'_>, requirements: &[RequirementOutcome]) -> Vec<String> {
    let mut notes = ways_to_more(parts, requirements);
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
