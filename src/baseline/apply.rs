//! A baseline against a run: which findings are known, which entries no longer hold.
use super::causes::KnownCauses;
use super::{
    BLOCKED, Baseline, BlockedEntry, Entry, Key, OTHER, Place, STANDING, TODO, without_indices,
};
use crate::model::run::{
    BaselineOutcome, Finding, Level, Outdated, OutdatedEntry, RecordedExchange, RecordedReason,
    Run, Verdict,
};
use jiff::civil::Date;
use std::collections::{BTreeMap, HashMap};

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

    /// Of a run of this server that began at this time, RFC 3339.
    pub fn at(baseline: &'b Baseline, server: Option<&str>, started_at: &str) -> Active<'b> {
        // Of a run without a day nobody knows that an entry still holds.
        Active::new(baseline, server, day(started_at).unwrap_or(Date::MAX))
    }

    /// The entries that cover it.
    pub fn covering(&self, key: &Key) -> impl Iterator<Item = &'b Entry> {
        self.entries.iter().copied().filter(|entry| entry.key.covers(key))
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

/// The day of a time; none if its file was changed by hand.
fn day(started_at: &str) -> Option<Date> {
    started_at.get(..10)?.parse().ok()
}

/// Marks the findings that the baseline knows and says which entries no longer hold. With `adopt`, what is new is
/// known from now on, by [`new_entries`]. What is not as grave as `gating` is never new. The exit status is left as it
/// is.
pub fn apply(mut run: Run, baseline: &Baseline, gating: Verdict, adopt: bool) -> Run {
    let look = Look::new(&run, baseline);
    let new = look.new_entries(gating).len();
    let further = look.further(gating);
    let outdated = baseline.entries.iter().filter_map(|entry| look.outdated(entry));
    let outdated_blocked = baseline.blocked.iter().filter_map(|entry| look.outdated_blocked(entry));
    let used_blocked = baseline.blocked.iter().filter(|entry| look.is_blocked(entry)).count();
    let outcome = BaselineOutcome {
        file: baseline.file.as_str().into(),
        new: if adopt { 0 } else { new + further.len() },
        known: look.used() + used_blocked,
        added: if adopt { new } else { 0 },
        blocked: look.accepted(adopt),
        new_blocked: if adopt { Vec::new() } else { further },
        outdated: outdated.chain(outdated_blocked).collect(),
    };
    let adopted = |found: &RunFinding| adopt && found.verdict >= gating;
    let marks: Vec<bool> = look.found.iter().map(|found| found.known || adopted(found)).collect();
    mark(&mut run, &marks);
    run.baseline = Some(outcome);
    run
}

/// What a baseline lacks to know everything in a run that gates.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Additions {
    /// New entries.
    pub entries: Vec<Entry>,
    /// Consequences of known causes that no entry lists, by the index of the entry for the cause.
    pub blocks: BTreeMap<usize, Vec<String>>,
}

/// What a baseline lacks to know everything in a run that is at least as grave as `gating`.
pub fn additions(run: &Run, baseline: &Baseline, gating: Verdict) -> Additions {
    let look = Look::new(run, baseline);
    let mut blocks: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (consequence, cause) in look.consequences() {
        let of_cause = |entry: &&Entry| entry.key.requirement == cause && look.is_shown(entry);
        let entry = look.active.entries.iter().copied().find(of_cause);
        let index = entry.and_then(|one| baseline.entries.iter().position(|other| one == other));
        if let Some(index) = index.filter(|_| look.causes.leaves_out(cause, consequence)) {
            blocks.entry(index).or_default().push(consequence.to_owned());
        }
    }
    Additions { entries: look.new_entries(gating), blocks }
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
    causes: KnownCauses,
    /// Blocked requirements that are accepted by name, whether they count or not.
    named: &'a [BlockedEntry],
}

impl<'a> Look<'a> {
    fn new(run: &'a Run, baseline: &'a Baseline) -> Look<'a> {
        let today = day(&run.started_at).unwrap_or(Date::MAX);
        let active = Active::at(baseline, run.target.server.as_deref(), &run.started_at);
        let mut found = findings(run);
        for found in &mut found {
            found.known = active.knows(&found.key);
        }
        let causes = KnownCauses::of(&active, found.iter().map(|one| (&one.key, one.verdict)));
        Look { run, today, active, found, causes, named: &baseline.blocked }
    }

    /// Every decision that was not made, with its reason.
    fn blocked(&self) -> impl Iterator<Item = (&'a str, Option<&'a RecordedReason>)> {
        let run: &'a Run = self.run;
        let of_cases = run.cases.iter().flat_map(|case| &case.decisions);
        let of_cases = of_cases.filter(|one| one.verdict == Verdict::Blocked);
        let standing = run.standing.iter().filter(|one| one.verdict == Verdict::Blocked);
        let of_cases = of_cases.map(|one| (one.requirement.as_str(), one.reason.as_ref()));
        of_cases.chain(standing.map(|one| (one.requirement.as_str(), one.reason.as_ref())))
    }

    /// Each requirement that is blocked because of another, with that one.
    fn consequences(&self) -> Vec<(&'a str, &'a str)> {
        let mut all = Vec::new();
        for (requirement, reason) in self.blocked() {
            let pair = reason.and_then(RecordedReason::because).map(|cause| (requirement, cause));
            all.extend(pair.filter(|pair| !all.contains(pair)));
        }
        all
    }

    /// The requirements that gate and are blocked because of a known cause whose entries leave them out.
    fn further(&self, gating: Verdict) -> Vec<String> {
        let gates = |id: &str| {
            let gated = if gating <= Verdict::Warned { Level::Should } else { Level::Must };
            self.run.requirements.iter().any(|r| r.id == id && r.applies && r.level >= gated)
        };
        let mut all: Vec<String> = Vec::new();
        for (id, cause) in self.consequences() {
            let is_new = self.causes.leaves_out(cause, id) && gates(id);
            if is_new && !all.iter().any(|other| other == id) {
                all.push(id.to_owned());
            }
        }
        all
    }

    /// The requirements of which all that blocks them is accepted. With `adopt`, so is every
    /// consequence, since its cause is known from now on.
    fn accepted(&self, adopt: bool) -> Vec<String> {
        let mut all: BTreeMap<&str, bool> = BTreeMap::new();
        for (id, reason) in self.blocked() {
            let by_cause = reason
                .and_then(RecordedReason::because)
                .is_some_and(|cause| adopt || self.causes.accepts(cause, id));
            let by_name = || self.names().any(|one| accepts_by_name(one, id, reason));
            let accepted = all.entry(id).or_insert(true);
            *accepted &= by_cause || by_name();
        }
        all.into_iter().filter(|(_, accepted)| *accepted).map(|(id, _)| id.to_owned()).collect()
    }

    /// The requirements that are accepted by name, and whose day is not over.
    fn names(&self) -> impl Iterator<Item = &'a BlockedEntry> {
        let today = self.today;
        self.named.iter().filter(move |one| one.expires.is_none_or(|last| last >= today))
    }

    /// Returns true if an entry that counts is needed.
    fn is_blocked(&self, entry: &BlockedEntry) -> bool {
        let is_current = self.names().any(|one| one == entry);
        is_current && self.blocked().any(|(id, reason)| accepts_by_name(entry, id, reason))
    }

    /// Returns the reason why an entry for a blocked requirement no longer holds: it was decided, or
    /// its day is over.
    fn outdated_blocked(&self, entry: &BlockedEntry) -> Option<OutdatedEntry> {
        let outcome = self.run.requirements.iter().find(|r| r.id == entry.requirement);
        let verdict = outcome.and_then(|outcome| outcome.verdict.verdict());
        let (why, text) = if verdict.is_some_and(Verdict::is_decided) {
            (Outdated::Fixed, "decided: remove it from the baseline".to_owned())
        } else {
            let last = entry.expires.filter(|last| *last < self.today)?;
            let text = format!("expired: it was accepted until {last}; fix it, or set another day");
            (Outdated::Expired, text)
        };
        Some(OutdatedEntry {
            requirement: entry.requirement.clone(),
            case: BLOCKED.to_owned(),
            place: format!("reason {}", entry.code.as_str()).into(),
            why,
            text: text.into(),
            reason: entry.reason.as_str().into(),
            line: entry.line,
        })
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
            let mut entry = entry(found);
            if new.iter().any(|other| other.key == entry.key) {
                continue;
            }
            // The first entry of a cause speaks for all of them.
            let is_first = |one: &Entry| one.key.requirement != entry.key.requirement;
            if found.verdict >= Verdict::Failed && new.iter().all(is_first) {
                entry.blocks = self.consequences_of(&entry.key.requirement);
            }
            new.push(entry);
        }
        new
    }

    fn consequences_of(&self, cause: &str) -> Vec<String> {
        let all = self.consequences().into_iter().filter(|(_, because)| *because == cause);
        all.map(|(id, _)| id.to_owned()).collect()
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
    let blocks = Vec::new();
    Entry { key, blocks, seen_in, reason, issue: None, server: None, expires: None, line: 0 }
}

/// Whether an entry accepts that a requirement is blocked for this reason.
fn accepts_by_name(entry: &BlockedEntry, id: &str, reason: Option<&RecordedReason>) -> bool {
    entry.requirement == id && reason.is_some_and(|reason| reason.code.is(entry.code))
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
