//! Parts that several reports share: counts, the sentence at the top, the issues in order,
//! undecided requirements and their reasons. Pure, without markup.
use super::text::{count, cut, one_line, visible};
use crate::model::reason::ReasonCode;
use crate::model::run::{
    CaseOutcome, Concern, Decision, Finding, Header, Level, Mark, Outdated, OutdatedEntry,
    RecordedExchange, RecordedReason, Required, RequirementOutcome, RequirementTally,
    RequirementVerdict, Run, StandingOutcome, UntrustedText, Verdict,
};
use std::cmp::Reverse;
use std::collections::HashMap;

/// The most characters of a body in a report; `run.json` has all of them.
pub(super) const BODY_LIMIT: usize = 4_000;
pub(super) const VALUE_LIMIT: usize = 1_000;
/// The most characters of the server's name, or of a version, in a report.
const NAME_LIMIT: usize = 200;
pub(super) const SHOWN_LIMIT: usize = 10;

const NO_REASON: &str = "no_reason";

/// The numbers of all reports. They are counted from the requirements: an earlier homespec wrote down
/// another sum.
pub(super) fn applicable(run: &Run) -> RequirementTally {
    RequirementTally::of(&run.requirements)
}

/// The outcome in a few words, without a full stop.
pub(super) fn outcome(run: &Run) -> String {
    let tally = applicable(run);
    match run.exit_status {
        0 if tally.failed > 0 => "Only known deviations".into(),
        0 if tally.blocked > 0 => "No deviation in what was decided".into(),
        0 => "Conforms".into(),
        1 if !news(run) && lacks_required(run) => "Lacks required features".into(),
        1 if !news(run) => "The baseline is out of date".into(),
        1 if run.no_usable_account => "Does not conform, and no account could be used".into(),
        1 => "Does not conform".into(),
        5 if run.no_usable_account => {
            "No account could be used: what needs one is not decided".into()
        }
        5 => "Not fully decided".into(),
        70 => "No verdict: internal error".into(),
        130 => "Interrupted".into(),
        status => format!("Ended with exit status {status}"),
    }
}

/// Returns true if an unknown finding fails the run; without a baseline, a broken MUST.
fn news(run: &Run) -> bool {
    match &run.baseline {
        Some(baseline) => baseline.new > 0,
        None => applicable(run).failed > 0 || !lacks_required(run),
    }
}

fn lacks_required(run: &Run) -> bool {
    run.required.iter().any(|one| one.verdict == Verdict::Failed)
}

/// The counts of the baseline, if there is one.
pub(super) fn baseline(run: &Run) -> Option<String> {
    let baseline = run.baseline.as_ref()?;
    let (fixed, expired) =
        (baseline.outdated_by(Outdated::Fixed), baseline.outdated_by(Outdated::Expired));
    let mut text = format!("{} new, {} known, {fixed} fixed", baseline.new, baseline.known);
    for (number, word) in [(expired, "expired"), (baseline.added, "added")] {
        if number > 0 {
            text.push_str(&format!(", {number} {word}"));
        }
    }
    let further = match baseline.new_blocked.as_slice() {
        [] => String::new(),
        ids => format!("; not listed under `blocks` of their cause: {}", ids.join(", ")),
    };
    Some(format!("{text} ({}){further}", baseline.file))
}

/// The MUSTs of security that are blocked and that no baseline accepts by name. Where nothing at all was
/// decided, the first line says so already.
pub(super) fn security_blocked(run: &Run) -> Option<String> {
    let ids: Vec<&str> =
        run.blocked_musts().filter(|r| r.security).map(|r| r.id.as_str()).collect();
    let number = count(ids.len(), "requirement");
    let is_news = !ids.is_empty() && applicable(run).decided() > 0;
    is_news.then(|| format!("Blocked, and a matter of security: {number}: {}", ids.join(", ")))
}

pub(super) fn outdated(entry: &OutdatedEntry) -> String {
    format!("{} in {} ({}): {}", entry.requirement, entry.case, entry.place, entry.text)
}

pub(super) fn outdated_entries(run: &Run) -> &[OutdatedEntry] {
    run.baseline.as_ref().map_or(&[], |baseline| &baseline.outdated)
}

/// The required features that the server lacks or that are unknown.
pub(super) fn lacking(run: &Run) -> Vec<&Required> {
    run.required.iter().filter(|one| one.verdict != Verdict::Passed).collect()
}

/// The operations of which something in front of the homeserver gave most answers, in a sentence.
pub(super) fn gateway(run: &Run) -> Option<String> {
    let (first, more) = run.gateway.split_first()?;
    let operation = cut(&first.operation, NAME_LIMIT);
    let more = match more.len() {
        0 => String::new(),
        n => format!(", and most to {}", count(n, "more operation")),
    };
    Some(format!(
        "Something in front of the homeserver gave {} of {} answers to {operation}{more}.",
        first.count, first.all
    ))
}

/// Describes in one or two sentences how many requirements were decided, and how.
pub(super) fn sentence(run: &Run) -> String {
    let (decided, open) = counts(applicable(run));
    let how = decided.map_or(String::new(), |counts| format!(": {counts}"));
    let (decided, all) = (applicable(run).decided(), run.applicable());
    let mut text = format!("{decided} of {all} applicable requirements decided{how}.");
    if let Some(open) = open {
        text.push_str(&format!(" Not decided: {open}."));
    }
    text
}

/// `3 failed, 2 warned, 200 passed`, and `6 blocked, 40 skipped`.
pub(super) fn counts(tally: RequirementTally) -> (Option<String>, Option<String>) {
    let decided = [(tally.failed, "failed"), (tally.warned, "warned"), (tally.passed, "passed")];
    let open = [
        (tally.blocked, "blocked"),
        (tally.errored, "errored"),
        (tally.skipped, "skipped"),
        (tally.untested, "untested"),
    ];
    (list_counts(&decided), list_counts(&open))
}

/// `3 failed, 2 warned`; the zeros are left out.
fn list_counts(counts: &[(usize, &str)]) -> Option<String> {
    let parts: Vec<_> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Describes the homeserver: its name, its versions, the path prefix.
pub(super) fn server(run: &Run) -> String {
    let name = cut(run.target.server.as_deref().unwrap_or("name not told"), NAME_LIMIT);
    format!("{name}, {}, api {}", versions(&run.target.versions), run.target.api)
}

fn versions(all: &[UntrustedText]) -> String {
    match all {
        [] => "no versions listed".into(),
        [one] => cut(one, NAME_LIMIT).into_owned(),
        [first, .., last] => {
            let (first, last) = (cut(first, NAME_LIMIT), cut(last, NAME_LIMIT));
            format!("{first} to {last} ({})", count(all.len(), "version"))
        }
    }
}

/// The selection of cases, if not all of them ran.
pub(super) fn selection(run: &Run) -> Option<String> {
    let s = &run.selection;
    let levels: Vec<UntrustedText> = s.levels.iter().map(|level| level.as_str().into()).collect();
    let options = [
        ("--case", &s.cases),
        ("--requirement", &s.requirements),
        ("--area", &s.areas),
        ("--level", &levels),
        ("--skip", &s.skip),
    ];
    let typed: Vec<String> = options
        .iter()
        .flat_map(|(option, values)| values.iter().map(move |v| format!("{option} {v}")))
        .collect();
    let rerun = s.rerun.iter().map(|file| format!("--rerun {file}"));
    let typed: Vec<String> = typed.into_iter().chain(rerun).collect();
    let narrowed = !typed.is_empty() || s.selected != s.available;
    let by = if typed.is_empty() { String::new() } else { format!(": {}", typed.join(" ")) };
    let along = match s.evidence.len() {
        0 => String::new(),
        more => format!(", {more} more as evidence"),
    };
    narrowed
        .then(|| format!("{} of {} selected{along}{by}", s.selected, count(s.available, "case")))
}

/// The level of a requirement and its mark, in words.
pub(super) fn level_words(level: Level, mark: Mark) -> String {
    match mark {
        Mark::Plain => level.to_string(),
        Mark::Soft => format!("{level}, stated in prose"),
        Mark::Derived => format!("{level}, follows from several rules"),
        Mark::Schema => format!("{level}, follows from the published schema"),
    }
}

/// The source of an occurrence.
#[derive(Debug, Clone, Copy)]
pub(super) enum FoundIn<'a> {
    Case(&'a CaseOutcome),
    /// In any response of the run.
    Standing(&'a StandingOutcome),
}

/// One occurrence of an issue: a finding, or a decision without a finding (a branch that warns).
#[derive(Debug, Clone, Copy)]
pub(super) struct Occurrence<'a> {
    /// Its source.
    pub found_in: FoundIn<'a>,
    /// The finding, if there is one.
    pub finding: Option<&'a Finding>,
    /// The decision of the case about this requirement.
    pub decision: Option<&'a Decision>,
}

/// A requirement that is not met, with everything that shows it.
#[derive(Debug)]
pub(super) struct Issue<'a> {
    /// Its id.
    pub id: &'a str,
    /// The requirement, if the register has it.
    pub requirement: Option<&'a RequirementOutcome>,
    /// Failed, warned, or passed where something was only observed (MAY).
    pub severity: Verdict,
    /// Never empty.
    pub occurrences: Vec<Occurrence<'a>>,
    /// The requirements that could not be decided because of it, in register order.
    pub consequences: Vec<&'a str>,
}

impl<'a> Issue<'a> {
    /// The level in the register, otherwise that of its severity.
    pub(super) fn level_word(&self) -> &'static str {
        let by_severity = match self.severity {
            Verdict::Failed => Level::Must,
            Verdict::Warned => Level::Should,
            _ => Level::May,
        };
        self.requirement.map_or(by_severity, |r| r.level).as_str()
    }

    /// The title in the register, or an empty text.
    pub(super) fn title(&self) -> &str {
        self.requirement.map_or("", |r| r.title.as_str())
    }

    /// Returns true if the baseline knows every occurrence that makes it what it is.
    pub(super) fn is_known(&self) -> bool {
        self.gravest().all(Occurrence::is_known)
    }

    /// The first of the gravest occurrences that is not known, otherwise the first.
    pub(super) fn first(&self) -> Option<&Occurrence<'a>> {
        self.gravest().find(|s| !s.is_known()).or(self.occurrences.first())
    }

    fn gravest(&self) -> impl Iterator<Item = &Occurrence<'a>> {
        self.occurrences.iter().filter(|one| one.severity() == self.severity)
    }

    /// What comes first: security before interoperability before form, then MUST before SHOULD, then
    /// what others follow from.
    fn rank(&self) -> impl Ord + use<> {
        let concern = self.requirement.map_or_else(|| Concern::by_id(self.id), |r| r.concern());
        let level = self.requirement.map(|r| r.level);
        let severity = Reverse(self.severity);
        (severity, concern, Reverse(level), Reverse(self.consequences.len()))
    }

    /// Returns true if the requirement counts under another verdict, a graver one.
    fn counts_elsewhere(&self) -> bool {
        let verdict = RequirementVerdict::from(self.severity);
        self.requirement.is_some_and(|r| !r.applies || r.verdict != verdict)
    }
}

/// `6 requirements`, of a list of issues: their number is that of the summary. What counts under a graver
/// verdict is listed as well, and said.
pub(super) fn issue_count(run: &Run, severity: Verdict, issues: &[&Issue<'_>]) -> String {
    let elsewhere = issues.iter().filter(|issue| issue.counts_elsewhere()).count();
    let number = match severity {
        // Whatever is only observed counts among those that passed.
        Verdict::Passed => issues.len(),
        verdict => applicable(run).count(verdict.into()),
    };
    let number = count(number, "requirement");
    match elsewhere {
        0 => number,
        _ if severity == Verdict::Passed => number,
        n => format!("{number}, and {n} counted under a graver verdict"),
    }
}

impl<'a> Occurrence<'a> {
    pub(super) fn severity(&self) -> Verdict {
        let of_decision = self.decision.map_or(Verdict::Passed, |decision| decision.verdict);
        self.finding.map_or(of_decision, |finding| finding.verdict)
    }

    pub(super) fn is_known(&self) -> bool {
        self.finding.is_some_and(|f| f.known)
    }

    /// The deviation, in one sentence.
    pub(super) fn message(&self) -> &'a str {
        match (self.finding, self.decision) {
            (Some(finding), _) => &finding.message,
            (None, Some(Decision { reason: Some(reason), .. })) => &reason.text,
            _ => "no finding was recorded",
        }
    }

    pub(super) fn file(&self) -> Option<(&'a str, u32)> {
        match (self.finding, self.found_in) {
            (Some(f), _) => Some((&f.file, f.line)),
            (None, FoundIn::Case(case)) => Some((&case.file, case.line)),
            (None, FoundIn::Standing(_)) => None,
        }
    }

    pub(super) fn exchange(&self, exchanges: &Exchanges<'a>) -> Option<&'a RecordedExchange> {
        exchanges.get(self.finding?.exchange.as_deref()?).copied()
    }

    pub(super) fn branch(&self) -> Option<&'a str> {
        self.decision.and_then(|d| d.branch.as_deref())
    }
}

/// The name of a standing check's entry in JUnit and in a test harness.
pub(super) fn standing_name(standing: &StandingOutcome) -> String {
    format!("standing::{}", standing.requirement)
}

pub(super) type Exchanges<'a> = HashMap<&'a str, &'a RecordedExchange>;

/// All exchanges by id; of several with the same id the first counts, as for [`Run::exchange`].
pub(super) fn exchanges(run: &Run) -> Exchanges<'_> {
    let in_cases = run.cases.iter().flat_map(|c| &c.exchanges);
    let outside = run.support.iter().flat_map(|s| &s.exchanges);
    let mut by_id = HashMap::new();
    for exchange in in_cases.chain(outside) {
        by_id.entry(exchange.id.as_str()).or_insert(exchange);
    }
    by_id
}

const HEADER_LIMIT: usize = 40;

/// The request as text: method and URL, headers, body; made visible and cut.
pub(super) fn sent(exchange: &RecordedExchange) -> String {
    let request = &exchange.request;
    let first = format!("{} {}", request.method, request.url);
    message(&first, &request.headers, request.body.as_deref())
}

/// The response as text: status, headers, body; or the reason why there is none.
pub(super) fn came(exchange: &RecordedExchange) -> String {
    match (&exchange.response, &exchange.trouble) {
        (Some(r), _) => {
            let text = message(&r.status.to_string(), &r.headers, Some(&r.body));
            if r.truncated { text + "\n… (the rest of the body was not kept)" } else { text }
        }
        (None, Some(trouble)) => format!("no answer: {}", visible(&cut(trouble, VALUE_LIMIT))),
        (None, None) => "no answer".into(),
    }
}

fn message(first: &str, headers: &[Header], body: Option<&str>) -> String {
    let line = |text: &str| one_line(&cut(text, VALUE_LIMIT));
    let mut lines = vec![line(first)];
    let shown = headers.iter().take(HEADER_LIMIT);
    lines.extend(shown.map(|h| line(&format!("{}: {}", h.name, h.value))));
    if headers.len() > HEADER_LIMIT {
        lines.push(format!("… ({})", count(headers.len() - HEADER_LIMIT, "more header")));
    }
    if let Some(body) = body.filter(|b| !b.is_empty()) {
        lines.extend([String::new(), visible(&cut(body, BODY_LIMIT))]);
    }
    lines.join("\n")
}

/// Every requirement that is not met, once, under the gravest of what shows it; in the order in which
/// they matter, then in that of the register.
pub(super) fn issues(run: &Run) -> Vec<Issue<'_>> {
    let register: HashMap<&str, (usize, &RequirementOutcome)> =
        run.requirements.iter().enumerate().map(|(n, r)| (r.id.as_str(), (n, r))).collect();
    let mut found: Vec<Issue<'_>> = Vec::new();
    let mut index: HashMap<&str, usize> = HashMap::new();
    for (severity, id, occurrence) in occurrences(run) {
        match index.get(id).and_then(|n| found.get_mut(*n)) {
            Some(issue) => {
                issue.severity = issue.severity.max(severity);
                issue.occurrences.push(occurrence);
            }
            None => {
                index.insert(id, found.len());
                let requirement = register.get(id).map(|(_, r)| *r);
                let (occurrences, consequences) = (vec![occurrence], Vec::new());
                found.push(Issue { id, requirement, severity, occurrences, consequences });
            }
        }
    }
    for issue in &mut found {
        issue.occurrences.sort_by_key(|one| Reverse(one.severity()));
        if issue.severity == Verdict::Failed {
            issue.consequences = consequences(run, issue.id);
        }
    }
    let place = |issue: &Issue<'_>| register.get(issue.id).map_or(usize::MAX, |(n, _)| *n);
    found.sort_by_key(|issue| (issue.rank(), place(issue)));
    found
}

/// The requirements that were not decided because of this one, in register order.
pub(super) fn consequences<'a>(run: &'a Run, id: &str) -> Vec<&'a str> {
    let follow = run.requirements.iter().filter(|r| r.because.as_deref() == Some(id));
    follow.map(|r| r.id.as_str()).collect()
}

/// `2 requirements not decided because of it: a, b`.
pub(super) fn consequences_in_words(ids: &[&str]) -> Option<String> {
    let number = count(ids.len(), "requirement");
    (!ids.is_empty()).then(|| format!("{number} not decided because of it: {}", ids.join(", ")))
}

/// All findings and all decisions without one, cases first.
fn occurrences(run: &Run) -> impl Iterator<Item = (Verdict, &str, Occurrence<'_>)> {
    let cases = run.cases.iter().flat_map(|case| {
        let found = case.findings.iter().map(move |f| {
            let decision = case.decisions.iter().find(|d| d.requirement == f.requirement);
            (
                f.verdict,
                f.requirement.as_str(),
                Occurrence { found_in: FoundIn::Case(case), finding: Some(f), decision },
            )
        });
        let bare = case.decisions.iter().filter(move |d| is_bare(case, d)).map(move |d| {
            let occurrence =
                Occurrence { found_in: FoundIn::Case(case), finding: None, decision: Some(d) };
            (d.verdict, d.requirement.as_str(), occurrence)
        });
        found.chain(bare)
    });
    let standing = run.standing.iter().flat_map(|standing| {
        standing.findings.iter().map(move |f| {
            let occurrence = Occurrence {
                found_in: FoundIn::Standing(standing),
                finding: Some(f),
                decision: None,
            };
            (f.verdict, f.requirement.as_str(), occurrence)
        })
    });
    cases.chain(standing)
}

/// Returns true for a decision against the server without a finding.
fn is_bare(case: &CaseOutcome, decision: &Decision) -> bool {
    matches!(decision.verdict, Verdict::Warned | Verdict::Failed)
        && !case.findings.iter().any(|f| f.requirement == decision.requirement)
}

/// Requirements and cases that were not decided for one reason.
#[derive(Debug)]
pub(super) struct ReasonGroup<'a> {
    /// The reason's code.
    pub code: &'a str,
    /// What an operator can do about it.
    pub remedy: Option<&'static str>,
    /// The different sentences, in the order met.
    pub texts: Vec<&'a str>,
    /// In register order.
    pub requirements: Vec<&'a RequirementOutcome>,
    /// In plan order.
    pub cases: Vec<&'a CaseOutcome>,
}

impl ReasonGroup<'_> {
    /// The broken requirement that they follow from.
    pub(super) fn cause(&self) -> Option<&str> {
        let (word, cause) = self.code.split_once(':')?;
        (word == ReasonCode::Because.as_str()).then_some(cause)
    }

    /// Its size: `3 requirements, 2 cases`.
    pub(super) fn number(&self) -> String {
        requirements_and_cases(self.requirements.len(), self.cases.len())
    }
}

/// Both numbers with their nouns; a zero is left out.
pub(super) fn requirements_and_cases(requirements: usize, cases: usize) -> String {
    match (requirements, cases) {
        (r, 0) => count(r, "requirement"),
        (0, c) => count(c, "case"),
        (r, c) => format!("{}, {}", count(r, "requirement"), count(c, "case")),
    }
}

/// Everything with this verdict, by reason; the reason with most requirements first.
pub(super) fn undecided(run: &Run, verdict: RequirementVerdict) -> Vec<ReasonGroup<'_>> {
    let requirements = run.requirements.iter().filter(|r| r.applies && r.verdict == verdict);
    let cases = run.cases.iter().filter(|c| Some(c.verdict) == verdict.verdict());
    by_reason(requirements.map(Undecided::Requirement).chain(cases.map(Undecided::Case)).collect())
}

/// The requirements that do not apply to the server, by reason.
pub(super) fn inapplicable(run: &Run) -> Vec<ReasonGroup<'_>> {
    by_reason(run.requirements.iter().filter(|r| !r.applies).map(Undecided::Requirement).collect())
}

fn by_reason(all: Vec<Undecided<'_>>) -> Vec<ReasonGroup<'_>> {
    let mut groups: Vec<_> =
        by_name(&all, Undecided::code).into_iter().map(|(code, list)| group(code, &list)).collect();
    // Consequences of a finding first: they need no further look.
    groups.sort_by_key(|g| Reverse((g.cause().is_some(), g.requirements.len(), g.cases.len())));
    groups
}

enum Undecided<'a> {
    Requirement(&'a RequirementOutcome),
    Case(&'a CaseOutcome),
}

impl<'a> Undecided<'a> {
    fn reason(&self) -> Option<&'a RecordedReason> {
        match self {
            Undecided::Requirement(r) => r.reason.as_ref(),
            Undecided::Case(c) => c.reason.as_ref(),
        }
    }

    fn code(&self) -> &'a str {
        self.reason().map_or(NO_REASON, |r| r.code.as_str())
    }
}

fn group<'a>(code: &'a str, all: &[&Undecided<'a>]) -> ReasonGroup<'a> {
    let remedy = all.iter().find_map(|item| item.reason()?.code.remedy());
    let mut group =
        ReasonGroup { code, remedy, texts: vec![], requirements: vec![], cases: vec![] };
    for item in all {
        match item {
            Undecided::Requirement(r) => group.requirements.push(r),
            Undecided::Case(c) => group.cases.push(c),
        }
        match item.reason() {
            Some(reason) if !group.texts.contains(&reason.text.as_str()) => {
                group.texts.push(&reason.text);
            }
            _ => {}
        }
    }
    group
}

/// The cases by area, in plan order.
pub(super) fn areas(run: &Run) -> Vec<(&str, Vec<&CaseOutcome>)> {
    by_name(&run.cases, |case| case.area.as_str())
}

/// The requirements by group, the first word of their ids, in register order.
pub(super) fn groups(run: &Run) -> Vec<(&str, Vec<&RequirementOutcome>)> {
    by_name(&run.requirements, |r| r.id.split('.').next().unwrap_or(&r.id))
}

/// Groups items by name, in the order of the first of each.
fn by_name<'a, 'k, T>(
    items: &'a [T],
    name: impl Fn(&'a T) -> &'k str,
) -> Vec<(&'k str, Vec<&'a T>)> {
    let mut found: Vec<(&str, Vec<&T>)> = Vec::new();
    let mut index: HashMap<&str, usize> = HashMap::new();
    for item in items {
        let key = name(item);
        match index.get(key).and_then(|n| found.get_mut(*n)) {
            Some((_, list)) => list.push(item),
            None => {
                index.insert(key, found.len());
                found.push((key, vec![item]));
            }
        }
    }
    found
}
