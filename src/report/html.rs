//! `report.html`: one file for a browser, which loads nothing and is whole without its script.
//!
//! This module makes the data ready (cut, visible, links checked); the template beside it lays it out
//! and escapes it. Style and script are constant: the page's policy names them by their hashes, so that
//! nothing else can take effect, whatever a server says.
use super::curl::{SECRETS_NOTE, curl};
use super::difference::{Marked, difference};
use super::digest::{
    self, BODY_LIMIT, Exchanges, Issue, Place, ReasonGroup, SHOWN_LIMIT, Showing, VALUE_LIMIT,
};
use super::text::{count, cut, duration, one_line, safe_link, visible};
use crate::outcome::{
    CaseOutcome, Exchange, Finding, Level, RequirementOutcome, RequirementVerdict, Run,
    UntrustedText, Verdict,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value, value::Serde};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeSet, HashMap};

/// The name ends in `.html` so that everything that goes in is escaped.
const TEMPLATE: &str = "report.html";

/// How the page looks.
const STYLE: &str = include_str!("report.css");

/// What the page does: filters, copying, unfolding, the choice of a theme.
const SCRIPT: &str = include_str!("report.js");

/// The word for what is not seen by a case but by a standing check.
const STANDING: &str = "standing";

/// The run as a self-contained HTML page, whose policy forbids every load, every other style and script
/// than its own, and markup made by the script.
///
/// Passed cases appear with their verdict alone; their exchanges are in `run.json`.
pub fn html(run: &Run) -> String {
    render(&Page::of(run)).unwrap_or_else(|fault| {
        // Nothing in a run can cause it, but a report that fails must not take the others with it.
        format!(
            "<!doctype html>\n<title>homespec</title>\n<pre>{}</pre>\n",
            escape(&fault.to_string())
        )
    })
}

fn render(page: &Page) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build()?,
    );
    environment.add_template(TEMPLATE, include_str!("report.html.j2"))?;
    environment.get_template(TEMPLATE)?.render(Value::from(Serde(page)))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// What the template is given.
#[derive(Serialize)]
struct Page {
    style: Inline,
    script: Inline,
    target: String,
    outcome: String,
    outcome_class: &'static str,
    figures: Figures,
    numbers: Vec<Number>,
    facts: Vec<Fact>,
    note: &'static str,
    issues: Vec<IssueList>,
    reasons: Vec<ReasonList>,
    has_known: bool,
    filter_groups: Vec<Choice>,
    filter_areas: Vec<Choice>,
    areas: Counts,
    groups: Counts,
    requirements: Vec<RequirementRow>,
    cases: Vec<CaseRow>,
    remarks: Vec<RemarkList>,
    tool: String,
}

/// A text of ours that stands in the page as it is, and how the policy names it.
#[derive(Serialize)]
struct Inline {
    text: String,
    hash: String,
}

impl Inline {
    fn of(text: &str) -> Inline {
        // A browser hashes what it has parsed, which has no carriage returns.
        let text = text.replace("\r\n", "\n");
        let hash = format!("sha256-{}", STANDARD.encode(Sha256::digest(&text)));
        Inline { text, hash }
    }
}

/// How many requirements there are, of these how many apply, of these how many were decided.
#[derive(Serialize)]
struct Figures {
    decided: usize,
    applicable: usize,
    all: usize,
}

/// A verdict and how many requirements have it.
#[derive(Serialize)]
struct Number {
    word: &'static str,
    count: usize,
    /// How many requirements stand before these, in the bar.
    offset: usize,
    /// Where to read of them.
    anchor: &'static str,
}

/// What the filters look at, apart from text: words with spaces between.
#[derive(Serialize, Clone)]
struct Filter {
    verdict: &'static str,
    levels: String,
    areas: String,
}

/// A choice of a filter.
#[derive(Serialize)]
struct Choice {
    value: String,
    name: String,
}

/// A name that leads to its row in a table.
#[derive(Serialize)]
struct Leaf {
    anchor: String,
    id: String,
    filter: Filter,
}

/// One thing that is true of the run.
#[derive(Serialize)]
struct Fact {
    name: &'static str,
    text: String,
}

/// The issues of one gravity.
#[derive(Serialize)]
struct IssueList {
    anchor: &'static str,
    title: &'static str,
    verdict: &'static str,
    /// How many of them no baseline knows.
    new: usize,
    items: Vec<IssueView>,
}

/// A requirement that is not met.
#[derive(Serialize)]
struct IssueView {
    anchor: String,
    filter: Filter,
    id: String,
    title: String,
    level: String,
    known: bool,
    clause: Option<String>,
    source: String,
    showings: Vec<ShowingView>,
    more: usize,
}

/// One showing of it.
#[derive(Serialize)]
struct ShowingView {
    message: String,
    source: String,
    file: String,
    finding: Option<FindingView>,
    branch: Option<String>,
    exchange: Option<ExchangeView>,
}

/// What a finding says beyond its message.
#[derive(Serialize)]
struct FindingView {
    expected: Side,
    actual: Side,
    pointer: String,
    known: bool,
}

/// A text with the part marked that differs from the other side.
#[derive(Serialize)]
struct Side {
    before: String,
    differs: String,
    after: String,
}

impl From<Marked<'_>> for Side {
    fn from(text: Marked<'_>) -> Self {
        let [before, differs, after] = [text.before, text.differs, text.after].map(String::from);
        Side { before, differs, after }
    }
}

/// Request, answer and the line that sends it again.
#[derive(Serialize)]
struct ExchangeView {
    id: String,
    summary: String,
    request: String,
    response: String,
    curl: String,
}

/// What was not decided, by reason.
#[derive(Serialize)]
struct ReasonList {
    anchor: &'static str,
    title: &'static str,
    verdict: &'static str,
    requirements: usize,
    items: Vec<ReasonView>,
}

/// One reason.
#[derive(Serialize)]
struct ReasonView {
    code: String,
    number: String,
    texts: Vec<String>,
    more: usize,
    remedy: Option<&'static str>,
    requirements: Vec<Leaf>,
    cases: Vec<Leaf>,
}

/// How many of each name ended how; verdicts that nothing has are left out.
#[derive(Serialize)]
struct Counts {
    words: Vec<&'static str>,
    rows: Vec<Row>,
}

/// A name and its counts, in the order of the words.
#[derive(Serialize)]
struct Row {
    name: String,
    counts: Vec<usize>,
}

/// A requirement in the table of all.
#[derive(Serialize)]
struct RequirementRow {
    anchor: String,
    filter: Filter,
    id: String,
    title: String,
    mark: &'static str,
    issue: Option<String>,
    known: bool,
    clause: Option<String>,
    reason: Option<String>,
    cases: Vec<Name>,
    more: usize,
}

/// A requirement or a case that is named in the row of another.
#[derive(Serialize)]
struct Name {
    /// Its own row, if it has one.
    anchor: Option<String>,
    id: String,
}

/// A case in the table of all.
#[derive(Serialize)]
struct CaseRow {
    anchor: String,
    filter: Filter,
    id: String,
    title: String,
    area: String,
    place: String,
    detail: String,
    requirements: Vec<Name>,
}

/// A list for the operator.
#[derive(Serialize)]
struct RemarkList {
    title: &'static str,
    items: Vec<String>,
}

/// The columns of the tables, what wants attention first.
const VERDICTS: [RequirementVerdict; 7] = [
    RequirementVerdict::Failed,
    RequirementVerdict::Errored,
    RequirementVerdict::Blocked,
    RequirementVerdict::Warned,
    RequirementVerdict::Passed,
    RequirementVerdict::Skipped,
    RequirementVerdict::Untested,
];

impl Page {
    fn of(run: &Run) -> Page {
        let issues = digest::issues(run);
        let exchanges = digest::exchanges(run);
        let index = Index::of(run);
        let shown: HashMap<String, bool> =
            issues.iter().map(|i| (anchor(i), i.is_known())).collect();
        let known = |issue: &Issue<'_>| issue.showings.iter().any(is_known);
        Page {
            style: Inline::of(STYLE),
            script: Inline::of(SCRIPT),
            target: line(&run.target.base_url),
            outcome: digest::outcome(run),
            outcome_class: outcome_class(run),
            figures: Figures {
                decided: digest::applicable(run).decided(),
                applicable: run.applicable(),
                all: run.requirements.len(),
            },
            numbers: numbers(run),
            facts: facts(run),
            note: SECRETS_NOTE,
            issues: issue_lists(&issues, &exchanges),
            reasons: reason_lists(run, &index),
            has_known: issues.iter().any(known),
            filter_groups: digest::groups(run).iter().map(|g| Choice::of(GROUP, g.name)).collect(),
            filter_areas: filter_areas(run),
            areas: area_counts(run),
            groups: group_counts(run),
            requirements: run
                .requirements
                .iter()
                .map(|r| requirement_row(r, &shown, &index))
                .collect(),
            cases: run.cases.iter().map(|c| case_row(c, &index)).collect(),
            remarks: remarks(run),
            tool: line(&format!("{} {}", run.tool.name, run.tool.version)),
        }
    }
}

/// What the filters ask of other parts of the run.
struct Index<'a> {
    /// The area of each case.
    areas: HashMap<&'a str, &'a str>,
    /// Each requirement by its id.
    requirements: HashMap<&'a str, &'a RequirementOutcome>,
}

/// What the value of a choice begins with: the first word of requirement ids, or the area of cases.
const GROUP: &str = "group";
const AREA: &str = "area";

impl<'a> Index<'a> {
    fn of(run: &'a Run) -> Index<'a> {
        Index {
            areas: run.cases.iter().map(|c| (c.id.as_str(), c.area.as_str())).collect(),
            requirements: run.requirements.iter().map(|r| (r.id.as_str(), r)).collect(),
        }
    }

    /// The area of a case; `standing` for standing checks.
    fn area<'s>(&'s self, case: &'s str) -> &'s str {
        self.areas.get(case).copied().unwrap_or(case)
    }

    fn requirement(&self, requirement: &RequirementOutcome) -> Filter {
        Filter {
            verdict: requirement.verdict.as_str(),
            levels: requirement.level.to_string(),
            areas: area_words(
                [requirement.id.as_str()],
                requirement.cases.iter().map(|case| self.area(case)),
            ),
        }
    }

    fn case(&self, case: &CaseOutcome) -> Filter {
        let ids = case.requirements.iter().map(String::as_str);
        let levels: BTreeSet<Level> =
            ids.clone().filter_map(|id| self.requirements.get(id)).map(|r| r.level).collect();
        Filter {
            verdict: case.verdict.as_str(),
            levels: levels.into_iter().map(Level::as_str).collect::<Vec<_>>().join(" "),
            areas: area_words(ids, [case.area.as_str()]),
        }
    }
}

fn issue_filter(issue: &Issue<'_>) -> Filter {
    let area = |showing: &Showing<'_>| match showing.place {
        Place::Case(case) => case.area.clone(),
        Place::Standing(_) => STANDING.to_owned(),
    };
    let areas: Vec<String> = issue.showings.iter().map(area).collect();
    Filter {
        verdict: issue.gravity.as_str(),
        levels: issue.level_word().to_owned(),
        areas: area_words([issue.id], areas.iter().map(String::as_str)),
    }
}

/// The values of all choices under which something with these requirements and case areas is found.
fn area_words<'s>(
    requirements: impl IntoIterator<Item = &'s str>,
    areas: impl IntoIterator<Item = &'s str>,
) -> String {
    let group = |id: &str| fragment(GROUP, id.split('.').next().unwrap_or(id));
    let groups = requirements.into_iter().map(group);
    let areas = areas.into_iter().map(|area| fragment(AREA, area));
    groups.chain(areas).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
}

impl Choice {
    fn of(kind: &str, name: &str) -> Choice {
        Choice { value: fragment(kind, name), name: line(name) }
    }
}

fn filter_areas(run: &Run) -> Vec<Choice> {
    let mut choices: Vec<Choice> =
        digest::areas(run).iter().map(|a| Choice::of(AREA, a.name)).collect();
    if !run.standing.is_empty() {
        choices.push(Choice { value: fragment(AREA, STANDING), name: "every answer".to_owned() });
    }
    choices
}

fn is_known(showing: &Showing<'_>) -> bool {
    showing.finding.is_some_and(|f| f.known)
}

/// Text on one line, not too long.
fn line(text: &str) -> String {
    one_line(&cut(text, VALUE_LIMIT))
}

/// Text on the lines that it has, not too long.
fn lines(text: &str, limit: usize) -> String {
    visible(&cut(text, limit))
}

fn outcome_class(run: &Run) -> &'static str {
    match run.exit_status {
        0 => "passed",
        1 => "failed",
        70 => "errored",
        _ => "blocked",
    }
}

fn numbers(run: &Run) -> Vec<Number> {
    let tally = &run.tally_requirements;
    let counts = [
        tally.failed,
        tally.errored,
        tally.blocked,
        tally.warned,
        tally.passed,
        tally.skipped,
        tally.untested,
    ];
    let number = |before: &mut usize, (verdict, count): (RequirementVerdict, usize)| {
        let offset = *before;
        *before += count;
        let anchor = number_anchor(verdict, count);
        Some(Number { word: verdict.as_str(), count, offset, anchor })
    };
    VERDICTS.into_iter().zip(counts).scan(0, number).collect()
}

/// Where to read of the requirements with this verdict.
fn number_anchor(verdict: RequirementVerdict, count: usize) -> &'static str {
    match verdict {
        _ if count == 0 => "requirements",
        RequirementVerdict::Failed => "broken",
        RequirementVerdict::Passed => "requirements",
        other => other.as_str(),
    }
}

fn facts(run: &Run) -> Vec<Fact> {
    let target = &run.target;
    let list = |all: &[UntrustedText]| match all {
        [] => "none listed".to_owned(),
        all => line(&all.join(", ")),
    };
    let mut facts = vec![
        Fact { name: "Server", text: line(target.server.as_deref().unwrap_or("not told")) },
        Fact { name: "Path prefix", text: line(&target.api) },
        Fact { name: "Specification", text: line(&target.spec) },
        Fact { name: "Started", text: line(&run.started_at) },
        Fact { name: "Took", text: duration(run.duration_ms) },
        Fact { name: "Exit status", text: run.exit_status.to_string() },
    ];
    if !run.complete {
        facts.push(Fact { name: "Complete", text: "no, the run stopped early".into() });
    }
    // What is long stands last, or it would tear the others apart.
    facts.push(Fact { name: "Versions", text: list(&target.versions) });
    facts.push(Fact { name: "Login flows", text: list(&target.flows) });
    facts.extend(digest::selection(run).map(|s| Fact { name: "Selection", text: line(&s) }));
    facts.extend(digest::baseline(run).map(|s| Fact { name: "Baseline", text: line(&s) }));
    facts
}

fn issue_lists(issues: &[Issue<'_>], exchanges: &Exchanges<'_>) -> Vec<IssueList> {
    let list = |anchor, title, gravity: Verdict| {
        let of_gravity = || issues.iter().filter(|i| i.gravity == gravity);
        IssueList {
            anchor,
            title,
            verdict: if gravity == Verdict::Passed { "observed" } else { gravity.as_str() },
            new: of_gravity().filter(|i| !i.is_known()).count(),
            items: of_gravity().map(|i| issue(i, exchanges)).collect(),
        }
    };
    let mut lists = vec![
        list("broken", "Broken", Verdict::Failed),
        list("warned", "Warned", Verdict::Warned),
        list("observed", "Observed", Verdict::Passed),
    ];
    lists.retain(|l| !l.items.is_empty());
    lists
}

/// The fragment under which an issue is found.
fn anchor(issue: &Issue<'_>) -> String {
    fragment(issue.gravity.as_str(), issue.id)
}

fn fragment(prefix: &str, id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    format!("{prefix}-{}", id.chars().map(plain).collect::<String>())
}

fn issue(issue: &Issue<'_>, exchanges: &Exchanges<'_>) -> IssueView {
    let source = issue.requirement.map_or("", |r| r.source_url.as_str());
    IssueView {
        anchor: anchor(issue),
        filter: issue_filter(issue),
        id: line(issue.id),
        title: line(issue.title()),
        level: issue.level(),
        known: issue.is_known(),
        clause: safe_link(source).map(String::from),
        source: line(source),
        showings: issue.showings.iter().take(SHOWN_LIMIT).map(|s| showing(s, exchanges)).collect(),
        more: issue.showings.len().saturating_sub(SHOWN_LIMIT),
    }
}

fn showing(showing: &Showing<'_>, exchanges: &Exchanges<'_>) -> ShowingView {
    ShowingView {
        message: line(showing.message()),
        source: match showing.place {
            Place::Case(case) => line(&format!("case {}", case.id)),
            Place::Standing(s) => {
                format!(
                    "check on every answer: broken by {} of {}",
                    s.count,
                    count(s.observed, "answer")
                )
            }
        },
        file: showing.file().map_or_else(String::new, |(file, n)| line(&format!("{file}:{n}"))),
        finding: showing.finding.map(finding),
        branch: showing.branch().map(line),
        exchange: showing.exchange(exchanges).map(exchange),
    }
}

fn finding(finding: &Finding) -> FindingView {
    let (expected, actual) =
        (lines(&finding.expected, VALUE_LIMIT), lines(&finding.actual, VALUE_LIMIT));
    let (expected, actual) = difference(&expected, &actual);
    FindingView {
        expected: expected.into(),
        actual: actual.into(),
        pointer: line(&finding.pointer),
        known: finding.known,
    }
}

fn exchange(exchange: &Exchange) -> ExchangeView {
    let request = &exchange.request;
    let answer = exchange.response.as_ref().map_or("no answer".into(), |r| r.status.to_string());
    let took = duration(exchange.duration_ms);
    ExchangeView {
        id: line(&exchange.id),
        summary: line(&format!("{} {} → {answer}, {took}", request.method, request.url)),
        request: digest::sent(exchange),
        response: digest::came(exchange),
        curl: lines(&curl(exchange), BODY_LIMIT),
    }
}

fn reason_lists(run: &Run, index: &Index<'_>) -> Vec<ReasonList> {
    let list = |title, verdict: RequirementVerdict| {
        let groups = digest::undecided(run, verdict);
        ReasonList {
            anchor: verdict.as_str(),
            title,
            verdict: verdict.as_str(),
            requirements: groups.iter().map(|g| g.requirements.len()).sum(),
            items: groups.iter().map(|g| reason(g, index)).collect(),
        }
    };
    let mut lists = vec![
        list("Errored (a fault of homespec)", RequirementVerdict::Errored),
        list("Blocked", RequirementVerdict::Blocked),
        list("Skipped", RequirementVerdict::Skipped),
        list("Untested", RequirementVerdict::Untested),
    ];
    lists.retain(|l| !l.items.is_empty());
    lists
}

fn reason(group: &ReasonGroup<'_>, index: &Index<'_>) -> ReasonView {
    ReasonView {
        code: line(group.code),
        number: group.number(),
        texts: group.texts.iter().take(SHOWN_LIMIT).map(|t| line(t)).collect(),
        more: group.texts.len().saturating_sub(SHOWN_LIMIT),
        remedy: group.remedy(),
        requirements: group
            .requirements
            .iter()
            .map(|r| Leaf::of(REQUIREMENT, &r.id, index.requirement(r)))
            .collect(),
        cases: group.cases.iter().map(|c| Leaf::of(CASE, &c.id, index.case(c))).collect(),
    }
}

/// What the fragments of the rows of the two big tables begin with.
const REQUIREMENT: &str = "req";
const CASE: &str = "case";

impl Leaf {
    fn of(kind: &str, id: &str, filter: Filter) -> Leaf {
        Leaf { anchor: fragment(kind, id), id: line(id), filter }
    }
}

fn area_counts(run: &Run) -> Counts {
    let row = |area: &digest::Area<'_>| {
        let of = |v: &RequirementVerdict| v.verdict().map_or(0, |v| area.tally().of(v));
        Row { name: line(area.name), counts: VERDICTS.iter().map(of).collect() }
    };
    Counts::of(digest::areas(run).iter().map(row).collect())
}

fn group_counts(run: &Run) -> Counts {
    let row = |group: &digest::Group<'_>| {
        let of =
            |v: &RequirementVerdict| group.requirements.iter().filter(|r| r.verdict == *v).count();
        Row { name: line(group.name), counts: VERDICTS.iter().map(of).collect() }
    };
    Counts::of(digest::groups(run).iter().map(row).collect())
}

impl Counts {
    /// Of rows that have a count for each of [`VERDICTS`].
    fn of(mut rows: Vec<Row>) -> Counts {
        let used: Vec<bool> = (0..VERDICTS.len())
            .map(|n| rows.iter().any(|row| row.counts.get(n).is_some_and(|count| *count > 0)))
            .collect();
        for row in &mut rows {
            let mut used = used.iter();
            row.counts.retain(|_| used.next().is_some_and(|used| *used));
        }
        let words = VERDICTS.iter().zip(used).filter(|(_, used)| *used);
        Counts { words: words.map(|(v, _)| v.as_str()).collect(), rows }
    }
}

fn requirement_row(
    requirement: &RequirementOutcome,
    shown: &HashMap<String, bool>,
    index: &Index<'_>,
) -> RequirementRow {
    let issue = fragment(requirement.verdict.as_str(), &requirement.id);
    let known = shown.get(&issue).copied();
    let reason = requirement.reason.as_ref();
    let case = |id: &String| Name {
        anchor: index.areas.contains_key(id.as_str()).then(|| fragment(CASE, id)),
        id: line(id),
    };
    RequirementRow {
        anchor: fragment(REQUIREMENT, &requirement.id),
        filter: index.requirement(requirement),
        id: line(&requirement.id),
        title: line(&requirement.title),
        mark: requirement.mark.as_str(),
        issue: known.is_some().then_some(issue),
        known: known.unwrap_or(false),
        clause: safe_link(&requirement.source_url).map(String::from),
        reason: reason.map(|r| line(&format!("{}: {}", r.code, r.text))),
        cases: requirement.cases.iter().take(SHOWN_LIMIT).map(case).collect(),
        more: requirement.cases.len().saturating_sub(SHOWN_LIMIT),
    }
}

fn case_row(case: &CaseOutcome, index: &Index<'_>) -> CaseRow {
    let requirement = |id: &String| Name {
        anchor: index.requirements.contains_key(id.as_str()).then(|| fragment(REQUIREMENT, id)),
        id: line(id),
    };
    let branch = case.branch.as_ref().map(|b| format!("branch {b}"));
    let reason = case.reason.as_ref().map(|r| format!("{}: {}", r.code, r.text));
    CaseRow {
        anchor: fragment(CASE, &case.id),
        filter: index.case(case),
        id: line(&case.id),
        title: line(&case.title),
        area: line(&case.area),
        place: line(&format!("{}:{}", case.file, case.line)),
        requirements: case.requirements.iter().map(requirement).collect(),
        detail: line(&[reason, branch].into_iter().flatten().collect::<Vec<_>>().join("; ")),
    }
}

fn remarks(run: &Run) -> Vec<RemarkList> {
    let limits = run.limits_hit.iter().map(|l| {
        line(&format!(
            "{}: {}, waited {}, {} blocked",
            l.operation,
            count(l.count, "time"),
            duration(l.waited_ms),
            count(l.blocked, "case")
        ))
    });
    let all = |texts: &[UntrustedText]| texts.iter().map(|t| line(t)).collect();
    let lacking =
        digest::lacking(run).into_iter().map(|one| line(&format!("{}: {}", one.name, one.text)));
    let outdated = digest::outdated_entries(run).iter().map(|entry| line(&digest::outdated(entry)));
    let mut lists = vec![
        RemarkList { title: "Required and lacking", items: lacking.collect() },
        RemarkList { title: "Baseline out of date", items: outdated.collect() },
        RemarkList { title: "Rate limits met", items: limits.collect() },
        RemarkList { title: "Not cleaned up", items: all(&run.not_cleaned_up) },
        RemarkList { title: "Notes", items: all(&run.notes) },
    ];
    lists.retain(|l| !l.items.is_empty());
    lists
}
