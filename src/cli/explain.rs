//! `explain ID`: a requirement or a case, for somebody who wants to know what it is about.
use super::{Failure, print};
use crate::case::ast::{Case, Need, Step, StepTarget};
use crate::case::suite::Suite;
use crate::model::exit;
use crate::model::reason::Reason;
use crate::model::run::Mark;
use crate::plan::presuppositions::{self, Graph, Part};
use crate::reference::{self, Fault};
use crate::requirements::{NEEDS, Register, Requirement};
use std::collections::BTreeSet;

pub(super) fn explain(id: &str, presupposes: bool) -> Result<u8, Failure> {
    let register = Register::bundled()?;
    let suite = Suite::bundled()?;
    if let Some(requirement) = register.get(id) {
        if presupposes {
            return print(&requirement_presupposes(requirement, &suite, &register));
        }
        let faults = reference::faults().map_err(super::no_faults)?;
        return print(&explain_requirement(requirement, &suite, faults));
    }
    let matching: Vec<&Case> = suite
        .cases()
        .filter(|case| case.id == id || case.id.split('[').next() == Some(id))
        .collect();
    if let Some(case) = matching.first() {
        if presupposes {
            return print(&case_presupposes(&matching, &suite, &register));
        }
        return print(&explain_case(case, &matching, &register));
    }
    let requirement_ids = register.iter().map(|requirement| requirement.id.as_str());
    let known = suite.cases().map(|case| case.id.as_str()).chain(requirement_ids);
    let near = crate::yaml::diagnostic::did_you_mean(id, known);
    let help = near
        .map_or("`homespec list` and `homespec list --requirements` show all".to_owned(), |near| {
            format!("did you mean `{near}`?")
        });
    Err(Failure::new(
        exit::USAGE,
        format!("error: `{id}` is neither a requirement nor a case; {help}"),
    ))
}

fn explain_requirement(requirement: &Requirement, suite: &Suite, faults: &[Fault]) -> String {
    let mut text = format!("{}\n  {}\n\n", requirement.id, requirement.title);
    let mut line = |name: &str, value: &str| text += &format!("  {name:10} {value}\n");
    line("level", &format!("{}, {}", requirement.level, mark_in_words(requirement.mark)));
    if requirement.informative {
        line("counts", &Reason::Note.text());
    }
    if requirement.security {
        line("security", "a breach lets somebody in, or keeps somebody in");
    }
    line("versions", &versions(requirement));
    line("clause", &requirement.url);
    line("source", &requirement.source);
    line("by hand", &requirement.check);
    for need in &requirement.needs {
        let meaning =
            NEEDS.iter().find(|(word, _)| word == need).map_or("", |(_, meaning)| *meaning);
        line("needs", meaning);
    }
    if let Some(note) = &requirement.note {
        line("note", note);
    }
    let cases: Vec<&Case> =
        suite.cases().filter(|case| case.checks.contains(&requirement.id)).collect();
    for case in &cases {
        line("decided by", &format!("{} ({}:{})", case.id, case.file, case.line));
    }
    if !requirement.standing.is_empty() {
        line("decided by", "a standing check of every response");
    }
    if cases.is_empty()
        && requirement.standing.is_empty()
        && let Some(why) = &requirement.untestable
    {
        line("untested", why);
    }
    for fault in faults.iter().filter(|fault| fault.requirement == requirement.id) {
        line("fault", &format!("{}: {}", fault.name, fault.about));
    }
    text
}

fn requirement_presupposes(
    requirement: &Requirement,
    suite: &Suite,
    register: &Register,
) -> String {
    let mut text = format!("{}\n  {}\n", requirement.id, requirement.title);
    for case in suite.cases().filter(|case| case.checks.contains(&requirement.id)) {
        let parts = presuppositions::of_decision(case, &requirement.id, register);
        text += &case_with_parts(case, &parts);
    }
    let graph = Graph::of(suite, register);
    text += &roots(&graph, graph.of_requirement(&requirement.id));
    text
}

fn case_presupposes(rows: &[&Case], suite: &Suite, register: &Register) -> String {
    let mut text = String::new();
    let mut ids = BTreeSet::new();
    for case in rows {
        text += case_with_parts(case, &presuppositions::of_case(case, register)).trim_start();
        text.push('\n');
        ids.extend(presuppositions::ids(case, register));
    }
    let graph = Graph::of(suite, register);
    text.trim_end().to_owned() + "\n" + &roots(&graph, ids.iter().map(String::as_str))
}

fn case_with_parts(case: &Case, parts: &[Part<'_>]) -> String {
    let mut text = format!("\n  {} ({}:{})\n", case.id, case.file, case.line);
    for part in parts {
        let place = place_in_words(part, case);
        for one in &part.presuppositions {
            text += &format!("    {place:10} {}: {}\n", one.about, one.requirement);
        }
    }
    if parts.is_empty() {
        text += "    nothing\n";
    }
    text
}

fn place_in_words(part: &Part<'_>, case: &Case) -> String {
    let place = |steps: &[Step]| {
        let at = |step: &Step| part.step.is_some_and(|one| std::ptr::eq(one, step));
        steps.iter().position(at).map(|at| at + 1)
    };
    match (place(&case.setup), place(&case.steps)) {
        (Some(at), _) => format!("set-up {at}"),
        (None, Some(at)) => format!("step {at}"),
        (None, None) => "session".to_owned(),
    }
}

/// What these and all that they presuppose hang on, one requirement a line.
fn roots<'g>(graph: &'g Graph, ids: impl Iterator<Item = &'g str>) -> String {
    let ids: BTreeSet<&str> = ids.collect();
    let all: BTreeSet<&str> = graph.closure(ids.iter().copied()).union(&ids).copied().collect();
    let mut text = String::new();
    for id in all {
        let basic: Vec<&str> = graph.of_requirement(id).collect();
        let basic = if basic.is_empty() { "nothing".to_owned() } else { basic.join(", ") };
        text += &format!("    {id}: {basic}\n");
    }
    if text.is_empty() { text } else { format!("\n  which presuppose\n{text}") }
}

fn mark_in_words(mark: Mark) -> &'static str {
    match mark {
        Mark::Plain => "in RFC 2119 capitals",
        Mark::Soft => "in prose: in lower case, or as a plain statement",
        Mark::Derived => "follows from several sentences",
        Mark::Schema => "by the published schema",
    }
}

fn versions(requirement: &Requirement) -> String {
    let mut text = requirement.range().to_string();
    if requirement.clarification {
        text += ", and earlier, because the specification calls it a clarification";
    }
    if let Some(release) = requirement.tightened {
        text += &format!("; binding since {release}, earlier only a warning");
    }
    text
}

fn explain_case(case: &Case, rows: &[&Case], register: &Register) -> String {
    let id = case.id.split('[').next().unwrap_or(&case.id);
    let mut text = format!("{id}\n  {}\n\n", case.title);
    let mut line = |name: &str, value: &str| text += &format!("  {name:8} {value}\n");
    line("file", &format!("{}:{}", case.file, case.line));
    line("impact", &case.impact.to_string());
    for need in &case.needs {
        line("needs", &need_in_words(need));
    }
    for id in &case.checks {
        let title = register.get(id).map_or("", |requirement| requirement.title.as_str());
        line("decides", &format!("{id}: {title}"));
    }
    for (at, step) in case.setup.iter().enumerate() {
        line("set-up", &format!("{}. {}", at + 1, step_in_words(step)));
    }
    for (at, step) in case.steps.iter().enumerate() {
        line("step", &format!("{}. {}", at + 1, step_in_words(step)));
    }
    if rows.len() > 1 {
        let names: Vec<_> = rows.iter().map(|row| row.id.as_str()).collect();
        line("rows", &names.join(", "));
    }
    text
}

fn need_in_words(need: &Need) -> String {
    match need {
        Need::Flow(flow) => format!("the login type {flow}"),
        Need::Version(version) => format!("release {version} or later"),
        Need::Before(version) => format!("no release from {version} on"),
        Need::Capability(name) => format!("the capability {name}"),
        Need::Feature(feature) => format!("the feature {}", feature.as_str()),
        Need::Account { name, disposable: true } => format!("a disposable account ({name})"),
        Need::Account { name, disposable: false } => format!("an account ({name})"),
        Need::Session(name) => format!("a shared session ({name})"),
        Need::Operator(name) => format!("{name} from the operator"),
    }
}

fn step_in_words(step: &Step) -> String {
    let what = match &step.target {
        StepTarget::Call(operation) => operation.clone(),
        StepTarget::Raw { method, path } => format!("{method} {path}"),
        StepTarget::Operator(act) => format!("{} (by the operator)", act.as_str()),
    };
    let expected: Vec<String> = step
        .blocks
        .iter()
        .flat_map(|block| &block.branches)
        .filter_map(|branch| branch.expect.status.as_ref())
        .map(|status| status.to_string())
        .collect();
    match expected.is_empty() {
        true => what,
        false => format!("{what} → {}", expected.join(" or ")),
    }
}
