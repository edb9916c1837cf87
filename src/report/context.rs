//! The values for the templates: only what the pages show, as plain values. The templates' filters
//! cut, escape and format them.
use super::curl::{SECRETS_NOTE, curl};
use super::digest::{
    self, BODY_LIMIT, Exchanges, FoundIn, Issue, Occurrence, ReasonGroup, SHOWN_LIMIT,
};
use super::template::ready;
use super::text::{anchor, cut};
use crate::model::run::{
    CaseOutcome, Level, Mark, RecordedExchange, RequirementOutcome, RequirementTally,
    RequirementVerdict, Run, Verdict,
};
use minijinja::context;
use minijinja::value::{Serde, Value};
use std::collections::{BTreeSet, HashMap};

/// The columns of the tables, most severe first.
const VERDICTS: [RequirementVerdict; 7] = [
    RequirementVerdict::Failed,
    RequirementVerdict::Errored,
    RequirementVerdict::Blocked,
    RequirementVerdict::Warned,
    RequirementVerdict::Passed,
    RequirementVerdict::Skipped,
    RequirementVerdict::Untested,
];

const STANDING: &str = "standing";

/// In the place of a verdict, where a requirement does not apply to the server.
const INAPPLICABLE: &str = "inapplicable";

pub(super) fn of(run: &Run) -> Value {
    let issues = digest::issues(run);
    let lookup = Lookup::of(run, &issues);
    let exchanges = digest::exchanges(run);
    let applicable = digest::applicable(run);
    context! {
        verdicts => VERDICTS.map(RequirementVerdict::as_str).to_vec(),
        outcome => digest::outcome(run),
        sentence => digest::sentence(run),
        gateway => digest::gateway(run),
        security_blocked => digest::security_blocked(run),
        server => digest::server(run),
        selection => digest::selection(run),
        baseline => digest::baseline(run),
        secrets_note => SECRETS_NOTE,
        tool => Serde(&run.tool),
        target => Serde(&run.target),
        complete => run.complete,
        exit_status => run.exit_status,
        started_at => &*run.started_at,
        duration_ms => run.duration_ms,
        decided => applicable.decided(),
        applicable => run.applicable(),
        tally_applicable => Serde(applicable),
        tally => Serde(run.tally),
        required => Serde(&run.required),
        lacking => Serde(digest::lacking(run)),
        outdated => Serde(digest::outdated_entries(run)),
        limits_hit => Serde(&run.limits_hit),
        not_cleaned_up => Serde(&run.not_cleaned_up),
        notes => Serde(&run.notes),
        has_standing => !run.standing.is_empty(),
        has_known => issues.iter().any(|issue| issue.occurrences.iter().any(Occurrence::is_known)),
        issues => issue_lists(run, &issues, &exchanges),
        undecided => undecided(run, &lookup),
        areas => areas(run),
        groups => groups(run),
        requirements => run.requirements.iter().map(|r| lookup.requirement(r)).collect::<Vec<_>>(),
        cases => run.cases.iter().map(|case| lookup.case(case)).collect::<Vec<_>>(),
        area_of_case => Serde(&lookup.areas),
        level_of_requirement => Serde(&lookup.levels),
    }
}

/// Lookups for the rows of requirements and cases.
struct Lookup<'r> {
    areas: HashMap<&'r str, &'r str>,
    levels: HashMap<&'r str, Level>,
    /// The broken requirements, and whether the baseline knows all their occurrences.
    known: HashMap<(RequirementVerdict, &'r str), bool>,
}

impl<'r> Lookup<'r> {
    fn of(run: &'r Run, issues: &[Issue<'r>]) -> Lookup<'r> {
        Lookup {
            areas: run.cases.iter().map(|case| (&*case.id, &*case.area)).collect(),
            levels: run.requirements.iter().map(|r| (&*r.id, r.level)).collect(),
            known: issues.iter().map(|i| ((i.severity.into(), i.id), i.is_known())).collect(),
        }
    }

    fn requirement<'v>(&'v self, requirement: &'v RequirementOutcome) -> Value {
        let id = &*requirement.id;
        // What is no case is an area of its own: the standing checks.
        let area = |case: &'v String| self.areas.get(&**case).copied().unwrap_or(case);
        context! {
            found_under => found_under([id], requirement.cases.iter().map(area)),
            known => self.known.get(&(requirement.verdict, id)).copied(),
            // What does not apply counts nowhere.
            verdict => if requirement.applies { requirement.verdict.as_str() } else { INAPPLICABLE },
            ..Serde(requirement)
        }
    }

    fn case(&self, case: &CaseOutcome) -> Value {
        let ids = case.requirements.iter().map(|id| &**id);
        let levels: BTreeSet<_> = ids.clone().filter_map(|id| self.levels.get(id)).collect();
        context! {
            id => &*case.id,
            title => &*case.title,
            area => &*case.area,
            place => format!("{}:{}", case.file, case.line),
            verdict => case.verdict.as_str(),
            level => levels.into_iter().map(|level| level.as_str()).collect::<Vec<_>>().join(" "),
            reason => Serde(&case.reason),
            branch => Serde(&case.branch),
            requirements => Serde(&case.requirements),
            found_under => found_under(ids, [&*case.area]),
        }
    }
}

/// The values of the page's area filter that match something: the first words of these
/// requirements, and these areas of cases.
fn found_under<'s>(
    requirements: impl IntoIterator<Item = &'s str>,
    areas: impl IntoIterator<Item = &'s str>,
) -> Value {
    let group = |id: &str| anchor("group", id.split('.').next().unwrap_or(id));
    let groups = requirements.into_iter().map(group);
    let areas = areas.into_iter().map(|area| anchor("area", area));
    let choices: BTreeSet<String> = groups.chain(areas).collect();
    ready(choices.into_iter().collect::<Vec<_>>().join(" "))
}

fn issue_lists(run: &Run, issues: &[Issue<'_>], exchanges: &Exchanges<'_>) -> Vec<Value> {
    let lists =
        [("Broken", Verdict::Failed), ("Warned", Verdict::Warned), ("Observed", Verdict::Passed)];
    let list = |(title, severity): (&str, Verdict)| {
        let all: Vec<&Issue<'_>> =
            issues.iter().filter(|issue| issue.severity == severity).collect();
        let number = digest::issue_count(run, severity, &all);
        let all: Vec<Value> = all.into_iter().map(|i| issue(i, exchanges)).collect();
        (!all.is_empty()).then(|| context! { title, verdict => severity.as_str(), all, number })
    };
    lists.into_iter().filter_map(list).collect()
}

fn issue(issue: &Issue<'_>, exchanges: &Exchanges<'_>) -> Value {
    let area = |occurrence: &Occurrence<'_>| match occurrence.found_in {
        FoundIn::Case(case) => case.area.to_string(),
        FoundIn::Standing(_) => STANDING.to_owned(),
    };
    let areas: Vec<String> = issue.occurrences.iter().map(area).collect();
    let mut occurrences: Vec<&Occurrence<'_>> = issue.occurrences.iter().collect();
    occurrences.sort_by_key(|occurrence| occurrence.is_known());
    let shown = occurrences.iter().take(SHOWN_LIMIT);
    context! {
        id => issue.id,
        title => issue.title(),
        clause => issue.requirement.map_or("", |r| &*r.source_url),
        verdict => issue.severity.as_str(),
        level => issue.level_word(),
        mark => issue.requirement.map_or(Mark::Plain, |r| r.mark).as_str(),
        security => issue.requirement.is_some_and(|r| r.security),
        known => issue.is_known(),
        found_under => found_under([issue.id], areas.iter().map(|area| &**area)),
        has_exchange => shown.clone().any(|occurrence| occurrence.exchange(exchanges).is_some()),
        occurrences => shown.map(|s| occurrence(s, exchanges)).collect::<Vec<_>>(),
        consequences => issue.consequences.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>(),
        more => issue.occurrences.len().saturating_sub(SHOWN_LIMIT),
    }
}

fn occurrence(occurrence: &Occurrence<'_>, exchanges: &Exchanges<'_>) -> Value {
    let (case, standing) = match occurrence.found_in {
        FoundIn::Case(case) => (Some(&*case.id), None),
        FoundIn::Standing(s) => (None, Some(context! { count => s.count, observed => s.observed })),
    };
    context! {
        message => occurrence.message(),
        case,
        standing,
        place => occurrence.file().map(|(file, line)| format!("{file}:{line}")),
        finding => Serde(occurrence.finding),
        branch => occurrence.branch(),
        exchange => occurrence.exchange(exchanges).map(exchange),
    }
}

fn exchange(exchange: &RecordedExchange) -> Value {
    context! {
        id => &*exchange.id,
        method => &*exchange.request.method,
        url => &*exchange.request.url,
        status => exchange.response.as_ref().map(|response| response.status),
        duration_ms => exchange.duration_ms,
        sent => digest::sent(exchange),
        came => digest::came(exchange),
        curl => &*cut(&curl(exchange), BODY_LIMIT),
    }
}

fn undecided(run: &Run, lookup: &Lookup<'_>) -> Vec<Value> {
    let of = |title, verdict: RequirementVerdict| {
        (title, verdict.as_str(), digest::undecided(run, verdict))
    };
    let lists = [
        of("Errored (internal error)", RequirementVerdict::Errored),
        of("Blocked", RequirementVerdict::Blocked),
        of("Skipped", RequirementVerdict::Skipped),
        of("Untested", RequirementVerdict::Untested),
        ("Not applicable", INAPPLICABLE, digest::inapplicable(run)),
    ];
    let list = |(title, verdict, groups): (&str, &str, Vec<ReasonGroup<'_>>)| {
        let requirements: usize = groups.iter().map(|group| group.requirements.len()).sum();
        let cases: usize = groups.iter().map(|group| group.cases.len()).sum();
        (!groups.is_empty()).then(|| {
            context! {
                title,
                verdict,
                requirements,
                number => digest::requirements_and_cases(requirements, cases),
                reasons => groups.iter().map(|group| reason(group, lookup)).collect::<Vec<_>>(),
            }
        })
    };
    lists.into_iter().filter_map(list).collect()
}

fn reason(group: &ReasonGroup<'_>, lookup: &Lookup<'_>) -> Value {
    context! {
        code => group.code,
        number => group.number(),
        texts => Serde(group.texts.iter().take(SHOWN_LIMIT).collect::<Vec<_>>()),
        text_count => group.texts.len(),
        remedy => group.remedy,
        requirements =>
            group.requirements.iter().map(|r| lookup.requirement(r)).collect::<Vec<_>>(),
        cases => group.cases.iter().map(|case| lookup.case(case)).collect::<Vec<_>>(),
    }
}

fn areas(run: &Run) -> Value {
    let verdicts = |cases: &[&CaseOutcome]| cases.iter().map(|c| c.verdict.into()).collect();
    counts(digest::areas(run).iter().map(|(name, cases)| (*name, verdicts(cases))))
}

fn groups(run: &Run) -> Value {
    let verdicts =
        |all: &[&RequirementOutcome]| all.iter().filter(|r| r.applies).map(|r| r.verdict).collect();
    counts(digest::groups(run).iter().map(|(name, all)| (*name, verdicts(all))))
}

/// The rows of a table, each with its verdicts counted, and the verdicts that occur.
fn counts<'r>(rows: impl Iterator<Item = (&'r str, Vec<RequirementVerdict>)>) -> Value {
    let mut met = BTreeSet::new();
    let rows: Vec<Value> = rows
        .map(|(name, verdicts)| {
            met.extend(verdicts.iter().copied());
            context! { name, tally => Serde(verdicts.into_iter().collect::<RequirementTally>()) }
        })
        .collect();
    let words = VERDICTS.iter().filter(|verdict| met.contains(verdict)).map(|v| v.as_str());
    context! { rows, words => words.collect::<Vec<_>>() }
}
