//! Requirements that a run shows to be broken although the case that decides them does not.
use super::operations::{Lapses, Operations, answer_in_words, works};
use super::{DecisionRecord, Record};
use crate::case::ast::{Case, StepTarget};
use crate::check::tally::exchange_id;
use crate::check::verdict::{Evidence, Role, Weight};
use crate::http::message::Exchange;
use crate::model::reason::ReasonCode;
use crate::model::run::{Finding, Verdict};
use crate::requirements::Severity;

/// A requirement that a run shows to be broken although the case that decides it did not get so far.
pub(super) struct Promotion {
    /// The decision that fails for it.
    pub at: (usize, usize),
    /// The requirement.
    pub requirement: String,
    /// What shows it.
    pub finding: Finding,
}

/// All of a run.
pub(super) fn promotions(record: &Record<'_>, operations: &Operations<'_>) -> Vec<Promotion> {
    let mut all = of_absence(record, operations);
    for lapses in operations.all_lapses() {
        let of_lapses = of_lapses(record, lapses);
        // One for a requirement.
        let is_new = |one: &Promotion| all.iter().all(|other| other.requirement != one.requirement);
        all.extend(of_lapses.filter(is_new));
    }
    all
}

/// An operation that crashes or stays silent at a right request where no case judges it, or that works
/// now and then, fails the requirement that says that it works.
fn of_lapses(record: &Record<'_>, lapses: &Lapses<'_>) -> Option<Promotion> {
    let (id, shown) = lapses.unjudged()?;
    let works = works(record.register, lapses.operation);
    let failed =
        |id: &&str| record.decisions().any(|one| has_failed_by(&one, id, lapses.operation));
    if works.iter().any(failed) {
        return None;
    }
    works.iter().find_map(|requirement| {
        let weight = weight(record, requirement).filter(|w| w.severity == Severity::Fails)?;
        let was_asked = |one: &DecisionRecord<'_, '_>| {
            one.requirement == *requirement && !one.record.exchanges.is_empty()
        };
        let decision = record.decisions().find(was_asked)?;
        let case = decision.record.case;
        let path = shown.request.path.split('?').next().unwrap_or_default();
        let what = format!("{} {path}", shown.request.method);
        let actual = answer_in_words(shown);
        let how_often = lapses.words().map_or_else(String::new, |words| format!(" ({words})"));
        let message = match &shown.result {
            Ok(_) => format!("{what} got {actual}{how_often}"),
            Err(_) => format!("{what} got no answer{how_often}"),
        };
        let finding = Finding {
            requirement: (*requirement).to_owned(),
            level: weight.level,
            verdict: weight.severity.verdict(),
            message: message.into(),
            expected: format!("the operation {}", lapses.operation).into(),
            actual: actual.into(),
            pointer: if shown.result.is_ok() { "status" } else { "answer" }.into(),
            branch: None,
            exchange: Some(id.to_owned()),
            file: case.file.clone(),
            line: case.line,
            known: false,
        };
        Some(Promotion { at: decision.at, requirement: (*requirement).to_owned(), finding })
    })
}

/// An operation that is absent fails the requirement that says that it is there.
fn of_absence(record: &Record<'_>, operations: &Operations<'_>) -> Vec<Promotion> {
    let promotion = |(operation, works): (&str, Vec<&str>)| {
        let failed = |id: &&str| record.decisions().any(|one| has_failed_by(&one, id, operation));
        if works.iter().any(failed) {
            return None;
        }
        works.iter().find_map(|id| {
            let weight = weight(record, id).filter(|w| w.severity == Severity::Fails)?;
            let is_open = |one: &DecisionRecord<'_, '_>| {
                one.requirement == *id && is_open(one) && asks(one.record.case, operation)
            };
            let open = record.decisions().find(is_open)?;
            let (owner, shown) = shown_absent(record, operations, operation, open.at.0)?;
            let finding = absent_finding(open.record.case, id, weight, operation, owner, shown);
            Some(Promotion { at: open.at, requirement: (*id).to_owned(), finding })
        })
    };
    operations.absent(record.register).filter_map(promotion).collect()
}

/// Whether it is the answer of that operation that breaks the requirement.
fn has_failed_by(one: &DecisionRecord<'_, '_>, id: &str, operation: &str) -> bool {
    let by_it = |evidence: &Evidence| {
        let exchange = one.record.exchange(&evidence.exchange);
        matches!(evidence.role, Role::Broken { .. })
            && exchange.is_some_and(|e| e.request.operation.as_deref() == Some(operation))
    };
    one.requirement == id && one.verdict == Verdict::Failed && one.evidence.iter().any(by_it)
}

fn weight(record: &Record<'_>, id: &str) -> Option<Weight> {
    let known = record.register.get(id).filter(|known| known.applies(record.listed))?;
    Some(Weight { level: known.level, severity: known.severity(record.listed) })
}

/// Whether a case asked and came to no answer.
fn is_open(one: &DecisionRecord<'_, '_>) -> bool {
    let decision = one.record.decided.decisions.get(one.at.1);
    let code = decision.and_then(|decision| decision.reason.as_ref()?.code.known());
    let asked = !one.record.exchanges.is_empty();
    use ReasonCode::{InteractiveAuth, NotObserved, NotReached, Setup};
    asked && matches!(code, Some(InteractiveAuth | NotObserved | NotReached | Setup))
}

fn asks(case: &Case, operation: &str) -> bool {
    case.all_steps().any(|step| matches!(&step.target, StepTarget::Call(name) if name == operation))
}

/// An exchange that shows the absence, if possible of that case.
fn shown_absent<'a>(
    record: &Record<'a>,
    operations: &Operations<'_>,
    operation: &str,
    first: usize,
) -> Option<(String, &'a Exchange)> {
    let own = record.cases.get(first).into_iter();
    own.chain(&record.cases).find_map(|one| {
        let shows = |exchange: &&Exchange| {
            exchange.request.operation.as_deref() == Some(operation)
                && operations.says_absent(exchange)
        };
        let at = one.exchanges.iter().position(|exchange| shows(&exchange))?;
        Some((exchange_id(&one.case.id, at), one.exchanges.get(at)?))
    })
}

fn absent_finding(
    case: &Case,
    id: &str,
    weight: Weight,
    operation: &str,
    exchange: String,
    shown: &Exchange,
) -> Finding {
    let path = shown.request.path.split('?').next().unwrap_or_default();
    let actual = answer_in_words(shown);
    Finding {
        requirement: id.to_owned(),
        level: weight.level,
        verdict: weight.severity.verdict(),
        message: format!(
            "{} {path} is not there: every request got {actual}",
            shown.request.method
        )
        .into(),
        expected: format!("the operation {operation}").into(),
        actual: actual.into(),
        pointer: "status".into(),
        branch: None,
        exchange: Some(exchange),
        file: case.file.clone(),
        line: case.line,
        known: false,
    }
}
