//! JUnit XML. There is no standard, only readers; [`Dialect`] names the two forms that between them
//! suit those in use. A writer of our own, because none at hand gives the strict form or keeps the
//! file well-formed whatever a server sent.
use super::curl::{SECRETS_NOTE, curl};
use super::digest::{self, BODY_LIMIT, Exchanges, VALUE_LIMIT};
use super::text::{cut, one_line, visible};
use crate::model::run::{
    BaselineOutcome, CaseOutcome, Decision, Finding, Level, OutdatedEntry, RecordedExchange,
    RecordedReason, Required, RequirementOutcome, Run, StandingOutcome, Tally, Verdict,
};
use std::collections::{HashMap, HashSet};

/// The readers of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// With what GitLab, Buildkite, CircleCI, GitHub actions and libraries read beyond the schemas:
    /// file and line of a case, requirement ids as properties, times. No published schema allows it.
    #[default]
    Common,
    /// Valid against `junit-10.xsd`, which Jenkins' xUnit plugin enforces.
    Strict,
}

/// The run as JUnit XML: a suite for each area and one, `standing`, for the checks on every answer.
///
/// A broken MUST is a `<failure>`, or a `<skipped>` if the baseline knows all of it. Blocked and errored
/// are an `<error>`, skipped is a `<skipped>` with the reason. A broken SHOULD passes, with the warning
/// in `<system-out>`.
pub fn junit(run: &Run, dialect: Dialect) -> String {
    let exchanges = digest::exchanges(run);
    let register = run.requirements.iter().map(|r| (r.id.as_str(), r)).collect();
    let mut consequences: HashMap<&str, Vec<&str>> = HashMap::new();
    for one in &run.requirements {
        if let Some(cause) = &one.because {
            consequences.entry(cause).or_default().push(&one.id);
        }
    }
    let sources = Sources { exchanges, register, consequences };
    let mut names = HashSet::new();
    let suites: Vec<TestSuite> = suites(run, &sources)
        .into_iter()
        .map(|suite| suite.with_unique_names(&mut names))
        .collect();
    write(run, &suites, dialect)
}

struct Sources<'a> {
    exchanges: Exchanges<'a>,
    register: HashMap<&'a str, &'a RequirementOutcome>,
    /// What could not be decided because of a requirement.
    consequences: HashMap<&'a str, Vec<&'a str>>,
}

struct TestSuite {
    name: String,
    tests: Vec<TestCase>,
}

struct TestCase {
    classname: String,
    name: String,
    place: Option<(String, u32)>,
    duration_ms: u64,
    requirements: Vec<String>,
    verdict: Verdict,
    result: Option<TestResult>,
    out: String,
}

/// The child of a `<testcase>` that says why it did not pass.
struct TestResult {
    element: &'static str,
    kind: Option<String>,
    message: String,
    text: String,
}

impl TestSuite {
    /// Readers drop the second of two test cases with one class and name.
    fn with_unique_names(mut self, taken: &mut HashSet<(String, String)>) -> TestSuite {
        for test in &mut self.tests {
            let plain = test.name.clone();
            let mut n = 1;
            while !taken.insert((test.classname.clone(), test.name.clone())) {
                n += 1;
                test.name = format!("{plain} ({n})");
            }
        }
        self
    }

    fn tally(&self) -> Tally {
        self.tests.iter().map(|t| t.verdict).collect()
    }

    fn duration_ms(&self) -> u64 {
        self.tests.iter().map(|t| t.duration_ms).fold(0, u64::saturating_add)
    }
}

fn suites(run: &Run, sources: &Sources<'_>) -> Vec<TestSuite> {
    let areas = digest::areas(run).into_iter().map(|(name, cases)| TestSuite {
        name: class(name),
        tests: cases.iter().map(|case| of_case(case, sources)).collect(),
    });
    let standing = TestSuite {
        name: class("standing"),
        tests: run.standing.iter().map(|s| of_standing(s, sources)).collect(),
    };
    let required =
        TestSuite { name: class("require"), tests: run.required.iter().map(of_required).collect() };
    let baseline = TestSuite {
        name: class("baseline"),
        tests: run.baseline.iter().flat_map(of_baseline).collect(),
    };
    let further =
        [standing, required, baseline].into_iter().filter(|suite| !suite.tests.is_empty());
    areas.chain(further).collect()
}

/// A test case without a case of the suite.
fn of_ours(suite: &str, name: String, verdict: Verdict, text: &str) -> TestCase {
    let message = cut(&visible(text), VALUE_LIMIT).into_owned();
    let element = match verdict {
        Verdict::Failed => Some("failure"),
        Verdict::Blocked => Some("error"),
        _ => None,
    };
    let result = element.map(|element| TestResult {
        element,
        kind: Some(suite.to_owned()),
        message: message.clone(),
        text: String::new(),
    });
    TestCase {
        classname: class(suite),
        name: visible(&name),
        place: None,
        duration_ms: 0,
        requirements: Vec::new(),
        verdict,
        result,
        out: message + "\n",
    }
}

fn of_required(one: &Required) -> TestCase {
    of_ours("require", format!("require::{}", one.name), one.verdict, &one.text)
}

/// Each entry that no longer holds is a failed test, so that this file alone shows why the run
/// failed.
fn of_baseline(baseline: &BaselineOutcome) -> Vec<TestCase> {
    let test = |entry: &OutdatedEntry| {
        let OutdatedEntry { requirement, case, place, line, text, reason, .. } = entry;
        let name = format!("baseline::{requirement} in {case} ({place})");
        let text = format!("{text} (accepted for: {reason})");
        let place = Some((visible(&baseline.file), *line));
        let requirements = vec![requirement.clone()];
        TestCase { place, requirements, ..of_ours("baseline", name, Verdict::Failed, &text) }
    };
    baseline.outdated.iter().map(test).collect()
}

fn class(area: &str) -> String {
    format!("homespec.{}", visible(area))
}

fn of_case(case: &CaseOutcome, sources: &Sources<'_>) -> TestCase {
    let findings = Findings {
        verdict: case.verdict,
        reason: case.reason.as_ref(),
        findings: &case.findings,
        decisions: &case.decisions,
    };
    let mut out = format!("{}\n", visible(&case.title));
    if let Some(branch) = &case.branch {
        out.push_str(&format!("branch: {}\n", visible(branch)));
    }
    TestCase {
        classname: class(&case.area),
        name: visible(&case.id),
        place: Some((visible(&case.file), case.line)),
        duration_ms: case.duration_ms,
        requirements: case.requirements.clone(),
        verdict: findings.in_junit(),
        result: findings.result(sources),
        out: out + &system_out(&case.requirements, &findings, sources),
    }
}

fn of_standing(standing: &StandingOutcome, sources: &Sources<'_>) -> TestCase {
    let findings = Findings {
        verdict: standing.verdict,
        reason: standing.reason.as_ref(),
        findings: &standing.findings,
        decisions: &[],
    };
    let requirements = vec![standing.requirement.clone()];
    let count = format!("broken by {} of {} answers\n", standing.count, standing.observed);
    TestCase {
        classname: class("standing"),
        name: visible(&digest::standing_name(standing)),
        place: standing.findings.first().map(|f| (visible(&f.file), f.line)),
        duration_ms: 0,
        verdict: findings.in_junit(),
        result: findings.result(sources),
        out: count + &system_out(&requirements, &findings, sources),
        requirements,
    }
}

/// The requirement ids, and the warnings, which have no element of their own.
fn system_out(requirements: &[String], findings: &Findings<'_>, sources: &Sources<'_>) -> String {
    let ids: Vec<String> = requirements.iter().map(|id| one_line(id)).collect();
    let mut out = format!("requirements: {}\n", ids.join(", "));
    let in_result = findings.result_level();
    let rest = findings.findings.iter().filter(|f| in_result.is_none_or(|level| f.level < level));
    for finding in rest {
        let word = match finding.verdict {
            Verdict::Failed => "known",
            Verdict::Warned => "warning",
            _ => "observed",
        };
        out.push_str(&format!("\n{word}: {}", describe(finding, sources)));
    }
    for decision in findings.bare(Verdict::Warned) {
        out.push_str(&format!("\nwarning: {}\n", bare(decision)));
    }
    out
}

/// The values that decide the result of a test case.
struct Findings<'a> {
    verdict: Verdict,
    reason: Option<&'a RecordedReason>,
    findings: &'a [Finding],
    decisions: &'a [Decision],
}

impl<'a> Findings<'a> {
    /// The lowest level of a finding in the result; the others are warnings.
    fn result_level(&self) -> Option<Level> {
        (self.verdict > Verdict::Warned && !self.is_known()).then_some(Level::Must)
    }

    /// The verdict for readers of JUnit: known findings are skipped, like tests that are expected
    /// to fail.
    fn in_junit(&self) -> Verdict {
        if self.is_known() { Verdict::Skipped } else { self.verdict }
    }

    /// Returns true if the baseline knows everything that fails it.
    fn is_known(&self) -> bool {
        let mut broken = self.broken().peekable();
        self.verdict == Verdict::Failed
            && broken.peek().is_some()
            && broken.all(|f| f.known)
            && self.bare(Verdict::Failed).next().is_none()
    }

    fn broken(&self) -> impl Iterator<Item = &'a Finding> {
        self.findings.iter().filter(|f| f.verdict == Verdict::Failed)
    }

    /// Decisions of this kind that no finding explains.
    fn bare(&self, verdict: Verdict) -> impl Iterator<Item = &'a Decision> {
        let findings = self.findings;
        let is_bare = move |d: &&Decision| {
            d.verdict == verdict && !findings.iter().any(|f| f.requirement == d.requirement)
        };
        self.decisions.iter().filter(is_bare)
    }

    fn result(&self, sources: &Sources<'_>) -> Option<TestResult> {
        if self.is_known() {
            return Some(self.known());
        }
        let (element, default) = match self.verdict {
            Verdict::Passed | Verdict::Warned => return None,
            Verdict::Skipped => return Some(self.skipped()),
            Verdict::Failed => ("failure", "failed"),
            Verdict::Blocked => ("error", "blocked"),
            Verdict::Errored => ("error", "errored"),
        };
        let (kind, message) = match self.verdict {
            Verdict::Failed => self.first_broken(default),
            _ => self.why(default),
        };
        let mut text = String::new();
        if self.verdict != Verdict::Failed {
            text.push_str(&format!("{}\n", self.why(default).1));
            if let Some(remedy) = self.reason.and_then(|reason| reason.code.remedy()) {
                text.push_str(&format!("to decide it: {remedy}\n"));
            }
        }
        for finding in self.broken() {
            text.push_str(&format!("\n{}", describe(finding, sources)));
        }
        for decision in self.bare(self.verdict) {
            text.push_str(&format!("\n{}\n", bare(decision)));
        }
        Some(TestResult { element, kind: Some(kind), message, text })
    }

    fn known(&self) -> TestResult {
        let (id, message) = self.first_broken("failed");
        let message = format!("known, it is in the baseline: {id}: {message}");
        TestResult { element: "skipped", kind: None, message, text: String::new() }
    }

    /// Readers show the message of a skipped test and seldom its text.
    fn skipped(&self) -> TestResult {
        let (code, message) = self.why("skipped");
        TestResult {
            element: "skipped",
            kind: None,
            message: format!("{code}: {message}"),
            text: String::new(),
        }
    }

    fn why(&self, default: &str) -> (String, String) {
        match self.reason {
            Some(reason) => (
                one_line(reason.code.as_str()),
                cut(&visible(&reason.text), VALUE_LIMIT).into_owned(),
            ),
            None => (default.into(), "no reason was recorded".into()),
        }
    }

    /// The requirement and sentence of the first broken MUST, with the number of others.
    fn first_broken(&self, default: &str) -> (String, String) {
        let count = self.broken().count() + self.bare(Verdict::Failed).count();
        let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
        let new = self.broken().find(|f| !f.known);
        let first = new
            .or_else(|| self.broken().next())
            .map(|f| (f.requirement.as_str(), f.message.as_str()));
        let undescribed =
            || self.bare(Verdict::Failed).next().map(|d| (d.requirement.as_str(), reason_text(d)));
        let (kind, message) =
            first.or_else(undescribed).unwrap_or((default, "no finding was recorded"));
        (one_line(kind), format!("{}{more}", cut(&visible(message), VALUE_LIMIT)))
    }
}

fn reason_text(decision: &Decision) -> &str {
    decision.reason.as_ref().map_or("no finding was recorded", |r| &r.text)
}

/// A decision that no finding explains, on one line.
fn bare(decision: &Decision) -> String {
    let branch = decision.branch.as_deref().map(|b| format!(" (branch {b})")).unwrap_or_default();
    let line = format!("{}: {}{branch}", decision.requirement, reason_text(decision));
    cut(&one_line(&line), VALUE_LIMIT).into_owned()
}

/// A finding with everything that is needed to act on it.
fn describe(finding: &Finding, sources: &Sources<'_>) -> String {
    let requirement = sources.register.get(finding.requirement.as_str());
    let level = requirement
        .map_or_else(|| finding.level.to_string(), |r| digest::level_words(r.level, r.mark));
    let known = if finding.known { ", known" } else { "" };
    let place = format!("{}:{}", finding.file, finding.line);
    let exchange = finding.exchange.as_deref().and_then(|id| sources.exchanges.get(id).copied());
    let mut lines = vec![
        format!("{} [{level}{known}]: {}", one_line(&finding.requirement), value(&finding.message)),
        format!("  expected: {}", value(&finding.expected)),
        format!("  got:      {}", value(&finding.actual)),
        format!("  at:       {}", value(&finding.pointer)),
    ];
    lines.extend(requirement.map(|r| format!("  clause:   {}", value(&r.source_url))));
    lines.push(format!("  place:    {}", value(&place)));
    let follow = sources.consequences.get(finding.requirement.as_str());
    let follow = follow.filter(|_| finding.verdict == Verdict::Failed);
    let follow = follow.and_then(|ids| digest::consequences_in_words(ids));
    lines.extend(follow.map(|text| format!("  follows:  {}", value(&text))));
    lines.extend(exchange.map(describe_exchange));
    lines.join("\n") + "\n"
}

fn describe_exchange(exchange: &RecordedExchange) -> String {
    let request = &exchange.request;
    let sent = format!("{}: {} {}", exchange.id, request.method, request.url);
    let came = match (&exchange.response, &exchange.trouble) {
        (Some(r), _) => format!("{} {}", r.status, indented(&r.body, BODY_LIMIT)),
        (None, Some(trouble)) => format!("none: {}", value(trouble)),
        (None, None) => "none".into(),
    };
    // Not indented: the line is there to be copied, and a body may have several.
    let again = visible(&cut(&curl(exchange), BODY_LIMIT));
    format!("  exchange: {}\n  answer:   {came}\n  again:    {again}", value(&sent))
}

/// Text inside a line, with its further lines indented.
fn value(text: &str) -> String {
    indented(text, VALUE_LIMIT)
}

fn indented(text: &str, limit: usize) -> String {
    cut(&visible(text), limit).replace('\n', "\n            ")
}

fn write(run: &Run, suites: &[TestSuite], dialect: Dialect) -> String {
    let total: Tally = suites.iter().flat_map(|s| &s.tests).map(|t| t.verdict).collect();
    let mut xml = Xml::new();
    let mut attributes = vec![("name", "homespec".to_owned())];
    attributes.extend(counts(total));
    attributes.push(("time", seconds(run.duration_ms)));
    if dialect == Dialect::Common {
        attributes.push(("skipped", total.skipped.to_string()));
        attributes.push(("timestamp", visible(&run.started_at)));
    }
    xml.open("testsuites", &attributes);
    for suite in suites {
        write_suite(&mut xml, run, suite, dialect);
    }
    xml.close("testsuites");
    xml.0
}

fn counts(tally: Tally) -> [(&'static str, String); 3] {
    [
        ("tests", tally.total().to_string()),
        ("failures", tally.failed.to_string()),
        ("errors", (tally.blocked + tally.errored).to_string()),
    ]
}

fn write_suite(xml: &mut Xml, run: &Run, suite: &TestSuite, dialect: Dialect) {
    let tally = suite.tally();
    let mut attributes = vec![("name", suite.name.clone())];
    attributes.extend(counts(tally));
    attributes.push(("skipped", tally.skipped.to_string()));
    attributes.push(("time", seconds(suite.duration_ms())));
    attributes.push(("timestamp", visible(&run.started_at)));
    xml.open("testsuite", &attributes);
    let target = [
        ("target", visible(&run.target.base_url)),
        ("server", one_line(&cut(run.target.server.as_deref().unwrap_or("not told"), VALUE_LIMIT))),
        ("homespec", visible(&run.tool.version)),
        ("requirements", digest::sentence(run)),
        ("secrets", SECRETS_NOTE.to_owned()),
    ];
    write_properties(xml, &target);
    for test in &suite.tests {
        write_test(xml, test, dialect);
    }
    xml.close("testsuite");
}

fn write_properties(xml: &mut Xml, properties: &[(&str, String)]) {
    xml.open("properties", &[]);
    for (name, value) in properties {
        xml.empty("property", &[("name", (*name).to_owned()), ("value", value.clone())]);
    }
    xml.close("properties");
}

fn write_test(xml: &mut Xml, test: &TestCase, dialect: Dialect) {
    let mut attributes = vec![
        ("name", test.name.clone()),
        ("classname", test.classname.clone()),
        ("time", seconds(test.duration_ms)),
    ];
    if let (Dialect::Common, Some((file, line))) = (dialect, &test.place) {
        attributes.push(("file", file.clone()));
        attributes.push(("line", line.to_string()));
    }
    xml.open("testcase", &attributes);
    if dialect == Dialect::Common {
        let ids: Vec<_> = test.requirements.iter().map(|id| ("requirement", visible(id))).collect();
        write_properties(xml, &ids);
    }
    if let Some(result) = &test.result {
        let mut attributes: Vec<_> = result.kind.iter().map(|k| ("type", k.clone())).collect();
        attributes.push(("message", result.message.clone()));
        xml.text(result.element, &attributes, result.text.trim_start_matches('\n'));
    }
    xml.text("system-out", &[], &test.out);
    xml.close("testcase");
}

/// Seconds with three decimals, as the schema requires.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

/// XML under construction. All text that goes in has been through [`visible`], so that every
/// character is one that XML 1.0 allows.
struct Xml(String);

impl Xml {
    fn new() -> Self {
        Xml("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".into())
    }

    fn open(&mut self, name: &str, attributes: &[(&str, String)]) {
        self.tag(name, attributes, ">\n");
    }

    fn close(&mut self, name: &str) {
        self.0.push_str(&format!("</{name}>\n"));
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, String)]) {
        self.tag(name, attributes, "/>\n");
    }

    fn text(&mut self, name: &str, attributes: &[(&str, String)], text: &str) {
        if text.is_empty() {
            return self.empty(name, attributes);
        }
        self.tag(name, attributes, ">");
        escape(&mut self.0, text, false);
        self.close(name);
    }

    fn tag(&mut self, name: &str, attributes: &[(&str, String)], end: &str) {
        self.0.push_str(&format!("<{name}"));
        for (key, value) in attributes {
            self.0.push_str(&format!(" {key}=\""));
            escape(&mut self.0, value, true);
            self.0.push('"');
        }
        self.0.push_str(end);
    }
}

/// Also `>`, for the sake of `]]>`; white space in attributes would be read back as spaces.
fn escape(out: &mut String, text: &str, in_attribute: bool) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if in_attribute => out.push_str("&quot;"),
            '\n' if in_attribute => out.push_str("&#10;"),
            '\t' if in_attribute => out.push_str("&#9;"),
            c => out.push(c),
        }
    }
}
