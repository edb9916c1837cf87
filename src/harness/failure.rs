//! Text of a failed trial, for a case or a standing check that did not pass, from the run that it
//! is part of.
use crate::baseline::{BLOCKED, STANDING};
use crate::harness::live::HarnessState;
use crate::harness::trial::{Outcome, TrialError};
use crate::model::run::{
    CaseOutcome, Finding, OutdatedEntry, RecordedExchange, RecordedReason, Run, StandingOutcome,
    Verdict,
};
use crate::pipeline::RunWithheld;
use crate::redact::RedactedRun;
use crate::report;

impl HarnessState {
    pub(super) fn of_cases<'r>(
        &self,
        cases: impl Iterator<Item = &'r CaseOutcome>,
        id: &str,
        run: &Run,
    ) -> Result<Outcome, TrialError> {
        let mut worst: Option<&CaseOutcome> = None;
        for case in cases {
            outdated(run, |entry| entry.case == case.id || is_about_blocked(entry, case))?;
            if worst.is_none_or(|known| known.verdict < case.verdict) {
                worst = Some(case);
            }
        }
        let case = worst.ok_or_else(|| no_result(id))?;
        if let Some(reason) = case.reason.as_ref().filter(|_| is_accepted(case, run)) {
            return Ok(Outcome::Ignored(reason.text.to_string()));
        }
        let place = format!("{}, {}:{}", case.id, case.file, case.line);
        let text = || self.text(&case.findings, case.reason.as_ref(), &place, run);
        self.ended(case.verdict, &case.findings, case.reason.as_ref(), text)
    }

    pub(super) fn of_standing(
        &self,
        outcome: &StandingOutcome,
        id: &str,
        run: &Run,
    ) -> Result<Outcome, TrialError> {
        let place = format!("{id}, {} of {} answers", outcome.count, outcome.observed);
        outdated(run, |e| e.case == STANDING && e.requirement == outcome.requirement)?;
        let text = || self.text(&outcome.findings, outcome.reason.as_ref(), &place, run);
        self.ended(outcome.verdict, &outcome.findings, outcome.reason.as_ref(), text)
    }

    fn ended(
        &self,
        verdict: Verdict,
        findings: &[Finding],
        reason: Option<&RecordedReason>,
        text: impl Fn() -> String,
    ) -> Result<Outcome, TrialError> {
        match verdict {
            Verdict::Passed => Ok(Outcome::Passed),
            Verdict::Skipped => {
                let why = reason.map_or_else(String::new, |reason| reason.text.to_string());
                Ok(Outcome::Ignored(why))
            }
            Verdict::Warned if !self.fail_on_should => Ok(Outcome::Warned(text())),
            Verdict::Warned | Verdict::Failed if is_known(findings, verdict) => {
                Ok(Outcome::Warned(text()))
            }
            Verdict::Warned | Verdict::Failed => Err(TrialError::Broken(text())),
            Verdict::Blocked | Verdict::Errored => Err(TrialError::Undecided(text())),
        }
    }

    /// The problem: each finding, or the reason why nothing could be decided.
    fn text(
        &self,
        findings: &[Finding],
        reason: Option<&RecordedReason>,
        place: &str,
        run: &Run,
    ) -> String {
        let mut text = String::new();
        for finding in findings {
            text += &format!("Error: {}\n", sentence(finding));
            text += &format!("  expected  {}\n", finding.expected);
            text += &format!("  actual    {}\n", finding.actual);
            if let Some(requirement) = self.register.get(&finding.requirement) {
                text += &format!("  clause    {}\n", requirement.url);
            }
            text += &format!("  place     {}:{}\n", finding.file, finding.line);
        }
        if findings.is_empty() {
            let why = reason.map_or("without a reason", |reason| reason.text.as_str());
            text += &format!("Error: it could not be decided: {why}\n");
        }
        text += &format!("  test      {place}\n");
        let shown = findings.first().and_then(|finding| finding.exchange.as_deref());
        if let Some(exchange) = shown.and_then(|id| run.exchange(id)) {
            text += &exchange_in_full(exchange);
        }
        text
    }
}

pub(super) fn withheld(why: RunWithheld) -> TrialError {
    TrialError::Withheld(why.to_string())
}

/// Returns the text that `look` makes of a run, if it contains no secret.
pub(super) fn checked(
    run: &RedactedRun,
    look: impl Fn(&Run) -> Result<Outcome, TrialError>,
) -> Result<Outcome, TrialError> {
    let text = |run: &Run| match look(run) {
        Ok(Outcome::Passed) => String::new(),
        Ok(Outcome::Warned(text) | Outcome::Ignored(text)) => text,
        Err(error) => error.to_string(),
    };
    let checked =
        report::Publisher::new(run).render("the result of this test", |run| Ok(text(run)));
    checked.map_err(|why| TrialError::Withheld(why.to_string())).and_then(|_| look(run))
}

/// Returns true if a baseline accepts all that is blocked, and nothing is worse.
fn is_accepted(case: &CaseOutcome, run: &Run) -> bool {
    let accepted = |id: &String| run.baseline.as_ref().is_some_and(|b| b.blocked.contains(id));
    let mut blocked = case.decisions.iter().filter(|one| one.verdict == Verdict::Blocked);
    case.verdict == Verdict::Blocked && blocked.all(|one| accepted(&one.requirement))
}

/// Returns true for an entry that accepts as blocked what this case decides.
fn is_about_blocked(entry: &OutdatedEntry, case: &CaseOutcome) -> bool {
    entry.case == BLOCKED && case.requirements.contains(&entry.requirement)
}

/// Returns true if a baseline knows all that makes this verdict.
fn is_known(findings: &[Finding], verdict: Verdict) -> bool {
    let mut grave = findings.iter().filter(|f| f.verdict == verdict).peekable();
    grave.peek().is_some() && grave.all(|f| f.known)
}

/// Fails with the entries of the baseline among these that no longer hold.
fn outdated(run: &Run, concerns: impl Fn(&OutdatedEntry) -> bool) -> Result<(), TrialError> {
    let Some(baseline) = &run.baseline else { return Ok(()) };
    let line = |entry: &OutdatedEntry| {
        let OutdatedEntry { requirement, place, text, line, .. } = entry;
        format!(
            "Error: baseline entry for {requirement} ({place}): {text}\n  place     {}:{line}\n",
            baseline.file
        )
    };
    let text: String = baseline.outdated.iter().filter(|one| concerns(one)).map(line).collect();
    if text.is_empty() { Ok(()) } else { Err(TrialError::OutdatedBaseline(text)) }
}

pub(super) fn no_result(id: &str) -> TrialError {
    TrialError::NoResult(id.to_owned())
}

fn sentence(finding: &Finding) -> String {
    let Finding { requirement, level, message, .. } = finding;
    format!("{requirement} ({level}): {}", message.replace('\n', " "))
}

fn exchange_in_full(exchange: &RecordedExchange) -> String {
    format!("{}{}\n", report::exchange_text(exchange), report::curl(exchange))
}
