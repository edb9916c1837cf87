//! `report.html`: one file for a browser, without script and without anything from a network.
//!
//! This module makes the data ready (cut, visible, links checked); the template beside it lays it out
//! and escapes it.
use super::curl::{SECRETS_NOTE, curl};
use super::digest::{
    self, BODY_LIMIT, Exchanges, Issue, Place, ReasonGroup, SHOWN_LIMIT, Showing, VALUE_LIMIT,
};
use super::text::{count, cut, duration, one_line, safe_link, visible};
use crate::outcome::{CaseOutcome, Exchange, RequirementOutcome, RequirementVerdict, Run, Verdict};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value, value::Serde};
use serde::Serialize;
use std::collections::HashSet;

/// The name ends in `.html` so that everything that goes in is escaped.
const TEMPLATE: &str = "report.html";

/// The run as a self-contained HTML page, whose policy forbids scripts and every load.
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
    outcome: String,
    outcome_class: &'static str,
    sentence: String,
    numbers: Vec<Number>,
    facts: Vec<Fact>,
    note: &'static str,
    issues: Vec<IssueList>,
    reasons: Vec<ReasonList>,
    verdicts: Vec<&'static str>,
    areas: Vec<Row>,
    groups: Vec<Row>,
    requirements: Vec<RequirementRow>,
    cases: Vec<CaseRow>,
    remarks: Vec<RemarkList>,
    tool: String,
}

/// A verdict and how many requirements have it.
#[derive(Serialize)]
struct Number {
    word: &'static str,
    count: usize,
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
    items: Vec<IssueView>,
}

/// A requirement that is not met.
#[derive(Serialize)]
struct IssueView {
    anchor: String,
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
    expected: String,
    actual: String,
    pointer: String,
    known: bool,
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
    requirements: Vec<String>,
    cases: Vec<String>,
}

/// A name and its counts, in the order of the page's verdicts.
#[derive(Serialize)]
struct Row {
    name: String,
    counts: Vec<usize>,
}

/// A requirement in the table of all.
#[derive(Serialize)]
struct RequirementRow {
    id: String,
    title: String,
    level: &'static str,
    mark: &'static str,
    verdict: &'static str,
    issue: Option<String>,
    clause: Option<String>,
    detail: String,
}

/// A case in the table of all.
#[derive(Serialize)]
struct CaseRow {
    id: String,
    title: String,
    area: String,
    place: String,
    verdict: &'static str,
    detail: String,
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
        let shown: HashSet<String> = issues.iter().map(anchor).collect();
        Page {
            outcome: digest::outcome(run),
            outcome_class: outcome_class(run),
            sentence: digest::sentence(run),
            numbers: numbers(run),
            facts: facts(run),
            note: SECRETS_NOTE,
            issues: issue_lists(&issues, &exchanges),
            reasons: reason_lists(run),
            verdicts: VERDICTS.map(RequirementVerdict::as_str).to_vec(),
            areas: area_rows(run),
            groups: group_rows(run),
            requirements: run.requirements.iter().map(|r| requirement_row(r, &shown)).collect(),
            cases: run.cases.iter().map(case_row).collect(),
            remarks: remarks(run),
            tool: line(&format!("{} {}", run.tool.name, run.tool.version)),
        }
    }
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
    VERDICTS.iter().zip(counts).map(|(v, count)| Number { word: v.as_str(), count }).collect()
}

fn facts(run: &Run) -> Vec<Fact> {
    let target = &run.target;
    let list = |all: &[String]| match all {
        [] => "none listed".to_owned(),
        all => line(&all.join(", ")),
    };
    let mut facts = vec![
        Fact { name: "Target", text: line(&target.base_url) },
        Fact { name: "Server", text: line(target.server.as_deref().unwrap_or("not told")) },
        Fact { name: "Versions", text: list(&target.versions) },
        Fact { name: "Login flows", text: list(&target.flows) },
        Fact { name: "Path prefix", text: line(&target.api) },
        Fact { name: "Specification", text: line(&target.spec) },
        Fact { name: "Started", text: line(&run.started_at) },
        Fact { name: "Took", text: duration(run.duration_ms) },
        Fact { name: "Exit status", text: run.exit_status.to_string() },
    ];
    if !run.complete {
        facts.push(Fact { name: "Complete", text: "no, the run stopped early".into() });
    }
    facts.extend(digest::selection(run).map(|s| Fact { name: "Selection", text: line(&s) }));
    facts.extend(digest::baseline(run).map(|s| Fact { name: "Baseline", text: line(&s) }));
    facts
}

fn issue_lists(issues: &[Issue<'_>], exchanges: &Exchanges<'_>) -> Vec<IssueList> {
    let list = |anchor, title, gravity: Verdict| IssueList {
        anchor,
        title,
        verdict: if gravity == Verdict::Passed { "observed" } else { gravity.as_str() },
        items: issues
            .iter()
            .filter(|i| i.gravity == gravity)
            .map(|i| issue(i, exchanges))
            .collect(),
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
        finding: showing.finding.map(|f| FindingView {
            expected: lines(&f.expected, VALUE_LIMIT),
            actual: lines(&f.actual, VALUE_LIMIT),
            pointer: line(&f.pointer),
            known: f.known,
        }),
        branch: showing.branch().map(line),
        exchange: showing.exchange(exchanges).map(exchange),
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

fn reason_lists(run: &Run) -> Vec<ReasonList> {
    let list = |title, verdict: RequirementVerdict| {
        let groups = digest::undecided(run, verdict);
        ReasonList {
            anchor: verdict.as_str(),
            title,
            verdict: verdict.as_str(),
            requirements: groups.iter().map(|g| g.requirements.len()).sum(),
            items: groups.iter().map(reason).collect(),
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

fn reason(group: &ReasonGroup<'_>) -> ReasonView {
    ReasonView {
        code: line(group.code),
        number: group.number(),
        texts: group.texts.iter().take(SHOWN_LIMIT).map(|t| line(t)).collect(),
        more: group.texts.len().saturating_sub(SHOWN_LIMIT),
        remedy: group.remedy(),
        requirements: group.requirements.iter().map(|r| line(&r.id)).collect(),
        cases: group.cases.iter().map(|c| line(&c.id)).collect(),
    }
}

fn area_rows(run: &Run) -> Vec<Row> {
    let row = |area: &digest::Area<'_>| {
        let tally = area.tally();
        // Cases are never untested; the column is there for the requirements.
        let counts = VERDICTS.iter().filter_map(|v| v.verdict()).map(|v| tally.of(v));
        Row { name: line(area.name), counts: counts.collect() }
    };
    digest::areas(run).iter().map(row).collect()
}

fn group_rows(run: &Run) -> Vec<Row> {
    let row = |group: &digest::Group<'_>| {
        let of =
            |v: &RequirementVerdict| group.requirements.iter().filter(|r| r.verdict == *v).count();
        Row { name: line(group.name), counts: VERDICTS.iter().map(of).collect() }
    };
    digest::groups(run).iter().map(row).collect()
}

fn requirement_row(requirement: &RequirementOutcome, shown: &HashSet<String>) -> RequirementRow {
    let verdict = requirement.verdict.as_str();
    let issue = fragment(verdict, &requirement.id);
    RequirementRow {
        id: line(&requirement.id),
        title: line(&requirement.title),
        level: requirement.level.as_str(),
        mark: requirement.mark.as_str(),
        verdict,
        issue: shown.contains(&issue).then_some(issue),
        clause: safe_link(&requirement.source_url).map(String::from),
        detail: match &requirement.reason {
            Some(reason) => line(&format!("{}: {}", reason.code, reason.text)),
            None => line(&requirement.cases.join(", ")),
        },
    }
}

fn case_row(case: &CaseOutcome) -> CaseRow {
    let branch = case.branch.as_ref().map(|b| format!("branch {b}"));
    let reason = case.reason.as_ref().map(|r| format!("{}: {}", r.code, r.text));
    CaseRow {
        id: line(&case.id),
        title: line(&case.title),
        area: line(&case.area),
        place: line(&format!("{}:{}", case.file, case.line)),
        verdict: case.verdict.as_str(),
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
    let all = |texts: &[String]| texts.iter().map(|t| line(t)).collect();
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
