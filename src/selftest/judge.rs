//! The judgement of a fault by a run with it and one without. Pure.
use super::is_decided;
use super::matrix::{FaultEnd, FaultOutcome, UnexpectedVerdict};
use crate::model::release::Listed;
use crate::model::run::{Finding, RequirementVerdict, Run, Verdict};
use crate::pipeline::Material;
use crate::reference::{Fault, Place};
use crate::requirements::Severity;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Judges a fault by a run with it and one without.
pub(super) fn judge(
    material: &Arc<Material>,
    fault: &'static Fault,
    run: &Run,
    clean: Option<&Run>,
) -> FaultOutcome {
    let outcome = run.requirements.iter().find(|r| r.id == fault.requirement);
    let verdict = outcome.map_or(RequirementVerdict::Untested, |outcome| outcome.verdict);
    let wanted = match wanted(material, fault, run) {
        _ if ONLY_WARNS.contains(&fault.name) => Some(Verdict::Warned),
        Some(_) if fault.mild => Some(Verdict::Warned),
        wanted => wanted,
    };
    let found = wanted.is_some_and(|wanted| has_finding(run, fault.requirement, wanted));
    let end = FaultEnd::of(wanted, verdict, found);
    let reason = outcome.and_then(|outcome| outcome.reason.as_ref()).map(|r| r.text.to_string());
    let why = (end == FaultEnd::Survived).then(|| reason.unwrap_or_default());
    let expected = |id: &str| id == fault.requirement || fault.also.contains(&id);
    let unexpected = worse(run, clean).into_iter().filter(|one| {
        let follows = |place| follows(run, &one.requirement, place);
        !expected(&one.requirement) && !fault.place.is_some_and(follows)
    });
    FaultOutcome {
        verdict,
        cause: cause(run, fault.requirement),
        caught_by: catchers(run, fault.requirement),
        unexpected: unexpected.collect(),
        unseen: unseen(fault, run),
        ..FaultOutcome::of(fault, end, why)
    }
}

/// The requirement that is to blame for the verdict of another one: that one itself if it has a
/// finding, or what it is blocked because of.
fn cause(run: &Run, requirement: &str) -> Option<String> {
    let is_found = findings(run).any(|(_, finding)| finding.requirement == requirement);
    let mut outcomes = run.requirements.iter();
    let because = || outcomes.find(|r| r.id == requirement)?.because.clone();
    is_found.then(|| requirement.to_owned()).or_else(because)
}

/// Requirements that a fault's `also` names and that held in a run with it. Undecided ones
/// contradict nothing.
fn unseen(fault: &Fault, run: &Run) -> Vec<&'static str> {
    let kept = |id: &str| {
        let mut outcomes = run.requirements.iter();
        outcomes.any(|r| r.id == id && r.verdict == RequirementVerdict::Passed)
    };
    let also: BTreeSet<&'static str> = fault.also.iter().copied().collect();
    also.into_iter().filter(|id| *id != fault.requirement && kept(id)).collect()
}

/// Faults that break a MUST in a way that, by its requirement, only warns; each was reviewed.
const ONLY_WARNS: &[&str] = &[
    // OPTIONS without the headers of a preflight: no browser sends it.
    "options-bare-405",
    // null in place of an optional member.
    "rate-limit-ms-null",
    "versions-features-null",
    "flows-get-login-token-null",
    "devices-name-null",
    "sso-providers-null",
    "sso-provider-icon-null",
    // The cases that see it ask for no refresh token; where one is asked for, it fails.
    "shape.register.200.refresh_token.null",
    // The tested URL need not be the host of the server name.
    "well-known-403",
    "well-known-html",
    "well-known-bare-key",
    "well-known-key-with-blank",
    // Until v1.11 this was the name; the other came with a clarification.
    "login-page-old-name-alone",
    // A server without the OAuth API may ask for a token on any path.
    "metadata-401",
    // "warn only" in the catalogue.
    "sso-provider-brand-spaces",
    // Refused, but as a failed login and not as a malformed one.
    "login-password-number-403",
    "login-identifier-typeless-403",
    "login-identifier-number-403",
    "login-user-number-taken",
    "login-identifier-text-403",
    "login-token-number-403",
    "refresh-number-401",
    // The specification's own text names M_UNAUTHORIZED for login failures as well.
    "login-wrong-password-code-unauthorized",
    // Leniency with the kind of a member that the schema asks of clients.
    "login-refresh-flag-text-taken",
    "login-device-name-number-taken",
    "device-rename-number-taken",
    "register-user-name-number-taken",
    // Ignored members may still have to be of their kind.
    "guest-parameters-checked",
    // An endpoint that is not there is a 404 as well.
    "registration-closed-404",
    // Both statuses stand in the specification for a failed stage.
    "uia-wrong-password-403",
    // Filed as a clarification: the name that the call had until v1.11 is told from none.
    "login-page-former-callback",
    // The code of a failed stage is an example.
    "uia-wrong-password-code-unknown-token",
];

/// Faults of decided requirements that the suite cannot catch, with the reason.
const UNSHOWN: &[(&str, &str)] = &[
    (
        "flows-429-without-code",
        "GET /login is limited at random here, which the burst of logins does not provoke",
    ),
    (
        "get-token-limited-as-logins",
        "a burst shows the least that the limit on logins may be, since the run has logged in before",
    ),
    (
        "login-unknown-user-404-later",
        "one login in a run names an unknown user: servers as deployed permit an address only a few that fail",
    ),
    (
        "uia-wrong-password-bare-later",
        "one stage in a run has a wrong password: servers as deployed lock accounts after a few",
    ),
];

/// Returns the reason if nothing can catch a fault.
pub(super) fn out_of_reach(material: &Material, fault: &Fault) -> Option<String> {
    if let Some((_, why)) = UNSHOWN.iter().find(|(name, _)| *name == fault.name) {
        return Some((*why).to_owned());
    }
    let requirement = material.register.get(fault.requirement)?;
    let why = || requirement.untestable.clone().unwrap_or("no case decides it yet".to_owned());
    (!is_decided(material, requirement)).then(why)
}

/// Returns true if a requirement is broken only in cases with responses of the place: a shape fault
/// may have removed what they looked for. Findings of standing checks never follow from it.
fn follows(run: &Run, requirement: &str, place: Place) -> bool {
    let of_answers = run.standing.iter().flat_map(|standing| &standing.findings);
    let breaks = |finding: &Finding| finding.requirement == requirement;
    let mut cases = run.cases.iter().filter(|case| case.findings.iter().any(breaks));
    !of_answers.into_iter().any(breaks)
        && cases.all(|case| {
            case.exchanges.iter().any(|exchange| {
                exchange.operation.as_deref() == Some(place.operation)
                    && exchange
                        .response
                        .as_ref()
                        .is_some_and(|answer| answer.status == place.status)
            })
        })
}

/// The verdict of a broken requirement on the tested server.
fn wanted(material: &Arc<Material>, fault: &Fault, run: &Run) -> Option<Verdict> {
    let listed = Listed::new(run.target.versions.clone());
    let requirement = material.register.get(fault.requirement)?;
    match requirement.severity(&listed) {
        Severity::Observes => None,
        severity => Some(severity.verdict()),
    }
}

fn has_finding(run: &Run, requirement: &str, wanted: Verdict) -> bool {
    findings(run).any(|(_, f)| f.requirement == requirement && f.verdict == wanted)
}

/// All findings with their case, or `standing`.
fn findings(run: &Run) -> impl Iterator<Item = (&str, &Finding)> {
    let of_cases = run.cases.iter().flat_map(|c| c.findings.iter().map(|f| (c.id.as_str(), f)));
    let standing = run.standing.iter().flat_map(|s| &s.findings).map(|f| ("standing", f));
    of_cases.chain(standing)
}

fn catchers(run: &Run, requirement: &str) -> Vec<String> {
    let of_cases = run
        .cases
        .iter()
        .filter(|case| case.findings.iter().any(|finding| finding.requirement == requirement));
    let standing = run.standing.iter().filter(|s| s.requirement == requirement && s.count > 0);
    of_cases
        .map(|case| case.id.clone())
        .chain(standing.map(|s| format!("standing::{}", s.requirement)))
        .collect()
}

/// Requirements with a finding that they did not have before: failed where not failed, warned where
/// neither warned nor failed.
fn worse(run: &Run, clean: Option<&Run>) -> Vec<UnexpectedVerdict> {
    let before = |id: &str| {
        let found = clean.and_then(|run| run.requirements.iter().find(|r| r.id == id));
        found.map_or(RequirementVerdict::Untested, |requirement| requirement.verdict)
    };
    let is_broken = |verdict| {
        matches!(
            verdict,
            RequirementVerdict::Failed | RequirementVerdict::Warned | RequirementVerdict::Errored
        )
    };
    run.requirements
        .iter()
        .filter(|requirement| is_broken(requirement.verdict))
        .filter(|requirement| requirement.verdict > before(&requirement.id))
        .map(|requirement| UnexpectedVerdict {
            requirement: requirement.id.clone(),
            verdict: requirement.verdict,
            why: why(run, &requirement.id),
        })
        .collect()
}

/// An example of a finding of a requirement, with its case.
pub(super) fn why(run: &Run, requirement: &str) -> String {
    let mut all = findings(run).filter(|(_, f)| f.requirement == requirement);
    all.next().map_or_else(String::new, |(owner, f)| format!("{owner}: {}", f.message))
}
