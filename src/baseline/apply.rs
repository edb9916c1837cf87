//! A baseline against a run: which findings are known, which entries no longer hold.
use super::{Baseline, Entry, Key, OTHER, Place, STANDING, TODO, without_indices};
use crate::model::run::{
    BaselineOutcome, Finding, Outdated, OutdatedEntry, RecordedExchange, Run, Verdict,
};
use jiff::civil::Date;
use std::collections::HashMap;

/// The entries that count for one run: those about its server, whose day is not over.
pub struct Active<'b> {
    entries: Vec<&'b Entry>,
}

impl<'b> Active<'b> {
    /// Of a server that calls itself this, on this day.
    pub fn new(baseline: &'b Baseline, server: Option<&str>, today: Date) -> Active<'b> {
        let counts = |entry: &&Entry| concerns(entry, server) && !is_expired(entry, today);
        Active { entries: baseline.entries.iter().filter(counts).collect() }
    }

    /// Returns true if an entry covers it.
    pub fn knows(&self, key: &Key) -> bool {
        self.entries.iter().any(|entry| entry.key.covers(key))
    }
}

fn concerns(entry: &Entry, server: Option<&str>) -> bool {
    entry.server.as_ref().is_none_or(|range| range.contains(server))
}

fn is_expired(entry: &Entry, today: Date) -> bool {
    entry.expires.is_some_and(|last| last < today)
}

/// Parts of an exchange with a finding that a key needs.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// The operation that was called, if a file describes it.
    pub operation: Option<String>,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
}

/// By what a finding is recognised. `case` is the case that it stands under, [`STANDING`] for a standing check;
/// `shown` is of the exchange that shows it.
pub fn key(finding: &Finding, case: &str, shown: Option<Shown>) -> Key {
    let place = match &finding.branch {
        Some(branch) => Place::Branch(branch.clone()),
        None => Place::Pointer(finding.pointer.to_string()),
    };
    let status = shown.as_ref().and_then(|shown| shown.status);
    let operation = shown.map(|shown| shown.operation.unwrap_or_else(|| OTHER.to_owned()));
    let (requirement, case) = (finding.requirement.clone(), case.to_owned());
    Key { requirement, case, place, status, operation }
}

fn shown(exchange: &RecordedExchange) -> Shown {
    let status = exchange.response.as_ref().map(|response| response.status);
    Shown { operation: exchange.operation.clone(), status }
}

/// The day on which a run began; none if its file was changed by hand.
fn day(run: &Run) -> Option<Date> {
    run.started_at.get(..10)?.parse().ok()
}

/// Marks the findings that the baseline knows and says which entries no longer hold. With `adopt`, what is new is
/// known from now on, by [`new_entries`]. What is not as grave as `gating` is never new. The exit status is left as it
/// is.
pub fn apply(mut run: Run, baseline: &Baseline, gating: Verdict, adopt: bool) -> Run {
    let look = Look::new(&run, baseline);
    let new = look.new_entries(gating).len();
    let outcome = BaselineOutcome {
        file: baseline.file.as_str().into(),
        new: if adopt { 0 } else { new },
        known: look.used(),
        added: if adopt { new } else { 0 },
        outdated: baseline.entries.iter().filter_map(|entry| look.outdated(entry)).collect(),
    };
    let adopted = |found: &RunFinding| adopt && found.verdict >= gating;
    let marks: Vec<bool> = look.found.iter().map(|found| found.known || adopted(found)).collect();
    mark(&mut run, &marks);
    run.baseline = Some(outcome);
    run
}

/// The entries that a baseline lacks to know everything in a run that is at least as grave as `gating`.
pub fn new_entries(run: &Run, baseline: &Baseline, gating: Verdict) -> Vec<Entry> {
    Look::new(run, baseline).new_entries(gating)
}

struct RunFinding {
    key: Key,
    verdict: Verdict,
    /// Its case, or a part outside cases.
    shown_in: Option<String>,
    /// True if an entry that counts covers it.
    known: bool,
}

struct Look<'a> {
    run: &'a Run,
    today: Date,
    active: Active<'a>,
    /// In the order in which [`mark`] walks over them.
    found: Vec<RunFinding>,
}

impl<'a> Look<'a> {
    fn new(run: &'a Run, baseline: &'a Baseline) -> Look<'a> {
        // Of a run without a day nobody knows that an entry still holds.
        let today = day(run).unwrap_or(Date::MAX);
        let active = Active::new(baseline, run.target.server.as_deref(), today);
        let mut found = findings(run);
        for found in &mut found {
            found.known = active.knows(&found.key);
        }
        Look { run, today, active, found }
    }

    fn is_shown(&self, entry: &Entry) -> bool {
        self.found.iter().any(|found| entry.key.covers(&found.key))
    }

    fn used(&self) -> usize {
        self.active.entries.iter().filter(|entry| self.is_shown(entry)).count()
    }

    fn new_entries(&self, gating: Verdict) -> Vec<Entry> {
        let mut new: Vec<Entry> = Vec::new();
        for found in self.found.iter().filter(|f| !f.known && f.verdict >= gating) {
            let entry = entry(found);
            if !new.iter().any(|other| other.key == entry.key) {
                new.push(entry);
            }
        }
        new
    }

    /// Returns the reason why an entry no longer holds. One about another server, or whose case was
    /// not decided, says nothing.
    fn outdated(&self, entry: &Entry) -> Option<OutdatedEntry> {
        if !concerns(entry, self.run.target.server.as_deref()) {
            return None;
        }
        let (why, text) = if !self.is_shown(entry) && self.would_show(entry) {
            (Outdated::Fixed, "fixed: remove it from the baseline".to_owned())
        } else {
            let last = entry.expires.filter(|_| is_expired(entry, self.today))?;
            let text = format!("expired: it was accepted until {last}; fix it, or set another day");
            (Outdated::Expired, text)
        };
        Some(OutdatedEntry {
            requirement: entry.key.requirement.clone(),
            case: entry.key.case.clone(),
            place: entry.key.place_in_words().into(),
            why,
            text: text.into(),
            reason: entry.reason.as_str().into(),
            line: entry.line,
        })
    }

    fn would_show(&self, entry: &Entry) -> bool {
        let (key, run) = (&entry.key, self.run);
        if key.case != STANDING {
            // What is newly broken may have ended the case before it came to this.
            let is_news = |f: &&RunFinding| {
                !f.known && f.verdict >= Verdict::Failed && f.key.case == key.case
            };
            return is_decided(run, &key.case, Some(&key.requirement))
                && !self.found.iter().any(|found| is_news(&found));
        }
        let standing = run.standing.iter().find(|s| s.requirement == key.requirement);
        let asked_again = match &entry.seen_in {
            Some(name) => was_sent(run, name) || is_decided(run, name, None),
            None => run.selection.selected == run.selection.available,
        };
        run.complete && standing.is_some_and(|s| s.verdict.is_decided()) && asked_again
    }
}

fn was_sent(run: &Run, support: &str) -> bool {
    run.support.iter().any(|part| part.name == support && !part.exchanges.is_empty())
}

/// All findings in the order in which [`mark`] walks over them; none is known yet.
fn findings(run: &Run) -> Vec<RunFinding> {
    let in_cases = run.cases.iter().flat_map(|case| &case.exchanges);
    let outside = run.support.iter().flat_map(|support| &support.exchanges);
    let exchanges: HashMap<&str, &RecordedExchange> =
        in_cases.chain(outside).map(|exchange| (exchange.id.as_str(), exchange)).collect();
    let found = |case: &str, finding: &Finding| {
        let id = finding.exchange.as_deref();
        RunFinding {
            key: key(finding, case, id.and_then(|id| exchanges.get(id)).map(|e| shown(e))),
            verdict: finding.verdict,
            shown_in: id.and_then(|id| id.rsplit_once('#')).map(|(owner, _)| owner.to_owned()),
            known: false,
        }
    };
    let of_cases =
        run.cases.iter().flat_map(|case| case.findings.iter().map(|f| found(&case.id, f)));
    let of_standing =
        run.standing.iter().flat_map(|s| s.findings.iter().map(|f| found(STANDING, f)));
    of_cases.chain(of_standing).collect()
}

fn mark(run: &mut Run, marks: &[bool]) {
    let cases = run.cases.iter_mut().flat_map(|case| &mut case.findings);
    let standing = run.standing.iter_mut().flat_map(|standing| &mut standing.findings);
    for (finding, known) in cases.chain(standing).zip(marks) {
        finding.known = *known;
    }
}

/// The entry for a finding that is new. It says what tells the finding from others of the same case, and nothing that
/// is another in the next run.
fn entry(found: &RunFinding) -> Entry {
    let is_standing = found.key.case == STANDING;
    let place = match &found.key.place {
        Place::Pointer(pointer) => Place::Pointer(without_indices(pointer)),
        branch => branch.clone(),
    };
    // A wrong status stands alone, so that another wrong status would hide behind it.
    let by_status = place == Place::Pointer("status".to_owned());
    let key = Key {
        place,
        status: found.key.status.filter(|_| by_status),
        operation: found.key.operation.clone().filter(|_| is_standing),
        ..found.key.clone()
    };
    let seen_in = found.shown_in.clone().filter(|_| is_standing);
    let reason = TODO.to_owned();
    Entry { key, seen_in, reason, issue: None, server: None, expires: None, line: 0 }
}

/// Returns true if a case was decided, as far as it is about a requirement.
fn is_decided(run: &Run, case: &str, requirement: Option<&str>) -> bool {
    let Some(case) = run.cases.iter().find(|outcome| outcome.id == case) else { return false };
    match requirement {
        None => case.verdict.is_decided(),
        Some(id) => case.decisions.iter().any(|d| d.requirement == id && d.verdict.is_decided()),
    }
}

#[cfg(test)]
mod tests;
