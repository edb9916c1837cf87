//! Two runs, or many, requirement by requirement: what changed, and which changes are regressions. Pure.
use crate::baseline::{STANDING, without_indices};
use crate::model::run::{
    Finding, Level, ReasonCode, RecordedReason, RequirementOutcome, RequirementTally,
    RequirementVerdict, Run, Verdict,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The version of what `compare --format json` writes.
pub const SCHEMA_VERSION: u32 = 1;

/// Runs side by side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The runs, in the order given.
    pub runs: Vec<Side>,
    /// Every requirement that any of the runs knows, in the order of the first that does.
    pub requirements: Vec<Row>,
    /// Number of rows for each change; with more than two runs, number of rows that differ.
    pub tally: ChangeTally,
    /// Limits of the comparison: different programs, selections, incomplete runs.
    pub notes: Vec<String>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// Its file, as given.
    pub file: String,
    /// Name that the server gives itself, else its URL.
    pub name: String,
    /// The homespec that made it.
    pub tool: String,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// True if it was not stopped early.
    pub complete: bool,
    /// Verdicts of the requirements that apply to the server.
    pub tally: RequirementTally,
}

/// A requirement in all the runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// Its level, by the last run that knows it.
    pub level: Level,
    /// Title of the requirement.
    pub title: String,
    /// The verdict in each run, in their order; null where a run does not know it.
    pub verdicts: Vec<Option<RequirementVerdict>>,
    /// From the first of two runs to the second; [`Change::None`] or [`Change::Differs`] of more.
    pub change: Change,
    /// Of two runs: what the second one found and the first did not, a line for each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub new_findings: Vec<String>,
}

/// Change of a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is broken, or broken in a further way, and was not; or it was met, and the server's answers no
    /// longer decide it, other than because of something that was broken before.
    Regression,
    /// It was decided and is not any more, by no fault of the server that is new.
    CoverageLost,
    /// It is no longer broken, or in fewer ways and in no other.
    Improvement,
    /// It was not decided and is.
    CoverageGained,
    /// Neither was decided, for another reason.
    StillUndecided,
    /// One of the runs did not look at it: not selected, or unknown to its homespec.
    NotCompared,
    /// Of more than two runs: they do not all say the same.
    Differs,
    /// Nothing.
    None,
}

impl Change {
    /// Every change, what matters most first.
    pub const ALL: [Change; 8] = [
        Change::Regression,
        Change::CoverageLost,
        Change::Improvement,
        Change::CoverageGained,
        Change::StillUndecided,
        Change::NotCompared,
        Change::Differs,
        Change::None,
    ];

    /// Its words for a reader.
    pub fn as_str(self) -> &'static str {
        match self {
            Change::Regression => "regression",
            Change::CoverageLost => "coverage lost",
            Change::Improvement => "improvement",
            Change::CoverageGained => "coverage gained",
            Change::StillUndecided => "still undecided",
            Change::NotCompared => "not compared",
            Change::Differs => "differs",
            Change::None => "unchanged",
        }
    }
}

/// Number of requirements for each change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct ChangeTally {
    pub regression: usize,
    pub coverage_lost: usize,
    pub improvement: usize,
    pub coverage_gained: usize,
    pub still_undecided: usize,
    pub not_compared: usize,
    pub differs: usize,
    pub unchanged: usize,
}

impl ChangeTally {
    /// Returns the number of requirements with this change.
    pub fn of(mut self, change: Change) -> usize {
        *self.count(change)
    }

    fn count(&mut self, change: Change) -> &mut usize {
        match change {
            Change::Regression => &mut self.regression,
            Change::CoverageLost => &mut self.coverage_lost,
            Change::Improvement => &mut self.improvement,
            Change::CoverageGained => &mut self.coverage_gained,
            Change::StillUndecided => &mut self.still_undecided,
            Change::NotCompared => &mut self.not_compared,
            Change::Differs => &mut self.differs,
            Change::None => &mut self.unchanged,
        }
    }
}

/// Puts runs side by side: the file of each, as given, and what stands in it.
pub fn compare(runs: &[(String, Run)]) -> Comparison {
    let views: Vec<RunView<'_>> = runs.iter().map(|(_, run)| RunView::new(run)).collect();
    let requirements: Vec<Row> =
        every_id(runs).into_iter().filter_map(|id| row(id, &views)).collect();
    let mut tally = ChangeTally::default();
    requirements.iter().for_each(|row| *tally.count(row.change) += 1);
    Comparison {
        schema_version: SCHEMA_VERSION,
        runs: runs.iter().map(|(file, run)| side(file, run)).collect(),
        requirements,
        tally,
        notes: notes(runs),
    }
}

fn side(file: &str, run: &Run) -> Side {
    Side {
        file: file.to_owned(),
        name: run.target.server.as_ref().unwrap_or(&run.target.base_url).to_string(),
        tool: run.tool.version.clone(),
        started_at: run.started_at.clone(),
        complete: run.complete,
        tally: RequirementTally::of(&run.requirements),
    }
}

/// Every id in register order: a later run's own come behind those of the earlier ones.
fn every_id(runs: &[(String, Run)]) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    let all = runs.iter().flat_map(|(_, run)| &run.requirements);
    all.map(|requirement| requirement.id.as_str()).filter(|id| seen.insert(*id)).collect()
}

struct RunView<'r> {
    requirements: HashMap<&'r str, &'r RequirementOutcome>,
    /// Verdict of each case, and of [`STANDING`], for a requirement.
    decisions: HashMap<&'r str, BTreeMap<&'r str, Verdict>>,
    broken: HashMap<&'r str, Vec<Broken<'r>>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Broken<'r> {
    case: &'r str,
    place: String,
    verdict: Verdict,
}

impl<'r> RunView<'r> {
    fn new(run: &'r Run) -> RunView<'r> {
        let requirements = run.requirements.iter().map(|r| (r.id.as_str(), r)).collect();
        let mut view = RunView { requirements, decisions: HashMap::new(), broken: HashMap::new() };
        for case in &run.cases {
            for decision in &case.decisions {
                view.decide(&decision.requirement, &case.id, decision.verdict);
            }
            case.findings.iter().for_each(|finding| view.add(&case.id, finding));
        }
        for standing in &run.standing {
            view.decide(&standing.requirement, STANDING, standing.verdict);
            standing.findings.iter().for_each(|finding| view.add(STANDING, finding));
        }
        view
    }

    fn decide(&mut self, requirement: &'r str, by: &'r str, verdict: Verdict) {
        self.decisions.entry(requirement).or_default().insert(by, verdict);
    }

    fn add(&mut self, case: &'r str, finding: &'r Finding) {
        if finding.verdict < Verdict::Warned {
            return;
        }
        let place = match &finding.branch {
            Some(branch) => format!("branch {branch}"),
            None => without_indices(&finding.pointer),
        };
        let place = if place.is_empty() { "the whole body".to_owned() } else { place };
        let broken = Broken { case, place, verdict: finding.verdict };
        let all = self.broken.entry(&finding.requirement).or_default();
        if !all.contains(&broken) {
            all.push(broken);
        }
    }

    /// The gravest that the cases said that are in the other run too, if there is one.
    fn verdict_beside(&self, other: &RunView<'_>, id: &str) -> Option<Verdict> {
        let also = |case: &str| other.decisions.get(id).is_some_and(|all| all.contains_key(case));
        let mine = self.decisions.get(id).into_iter().flatten();
        mine.filter(|(case, _)| also(case)).map(|(_, verdict)| *verdict).max()
    }

    /// Whether every way in which a requirement is broken here is one in which it is broken there.
    fn is_broken_only_as_in(&self, other: &RunView<'_>, id: &str) -> bool {
        let theirs = other.broken.get(id).map_or(&[][..], Vec::as_slice);
        self.broken.get(id).into_iter().flatten().all(|broken| theirs.contains(broken))
    }

    /// Cases that break a requirement here and not in the other run, though they were decided
    /// there: a case that was not, or that the other run does not have, is no news of the server.
    fn broken_beside(&self, other: &RunView<'_>, id: &str) -> Vec<String> {
        let theirs = other.broken.get(id).map_or(&[][..], Vec::as_slice);
        let was_asked = |case: &str| {
            let verdict = other.decisions.get(id).and_then(|all| all.get(case));
            verdict.is_some_and(|verdict| verdict.is_decided())
        };
        let same = |mine: &Broken<'_>| {
            let Broken { case, place, verdict } = mine;
            theirs.iter().any(|b| b.case == *case && b.place == *place && b.verdict >= *verdict)
        };
        let mine = self.broken.get(id).into_iter().flatten();
        let news = mine.filter(|broken| was_asked(broken.case) && !same(broken));
        news.map(|broken| format!("{}: {}", broken.case, broken.place)).collect()
    }
}

fn row(id: &str, views: &[RunView<'_>]) -> Option<Row> {
    let outcomes: Vec<Option<&RequirementOutcome>> =
        views.iter().map(|view| view.requirements.get(id).copied()).collect();
    let latest = outcomes.iter().rev().flatten().next()?;
    let verdicts: Vec<_> = outcomes.iter().map(|one| one.map(|r| r.verdict)).collect();
    let (change, new_findings) = match (views, verdicts.as_slice()) {
        ([before, after], [Some(was), Some(is)]) => change(id, (before, *was), (after, *is)),
        ([_, _], _) => (Change::NotCompared, Vec::new()),
        _ => (differs(&verdicts), Vec::new()),
    };
    let (level, title) = (latest.level, latest.title.clone());
    Some(Row { id: id.to_owned(), level, title, verdicts, change, new_findings })
}

/// From one run to the next, by the cases that both have.
fn change(
    id: &str,
    (before, was): (&RunView<'_>, RequirementVerdict),
    (after, is): (&RunView<'_>, RequirementVerdict),
) -> (Change, Vec<String>) {
    // Untested in both, or a note in both.
    let is_undecided = |view: &RunView<'_>| !view.decisions.contains_key(id);
    if was == is && is_undecided(before) && is_undecided(after) {
        return (Change::None, Vec::new());
    }
    let (Some(was), Some(is)) =
        (before.verdict_beside(after, id), after.verdict_beside(before, id))
    else {
        // Another selection says nothing of the server.
        return (Change::NotCompared, Vec::new());
    };
    let (new, gone) = (after.broken_beside(before, id), before.broken_beside(after, id));
    let change = match (was.is_decided(), is.is_decided()) {
        (true, true) if is > was || !new.is_empty() => Change::Regression,
        (true, true) if is < was => Change::Improvement,
        // Broken in another way is no improvement, even where another case shows it.
        (true, true) if !gone.is_empty() && after.is_broken_only_as_in(before, id) => {
            Change::Improvement
        }
        (true, true) => Change::None,
        (true, false) if was == Verdict::Passed && is == Verdict::Blocked => {
            match is_news(id, before, after) {
                true => Change::Regression,
                false => Change::CoverageLost,
            }
        }
        (true, false) => Change::CoverageLost,
        (false, true) => Change::CoverageGained,
        (false, false) if was == is => Change::None,
        (false, false) => Change::StillUndecided,
    };
    (change, new)
}

/// Whether the server is to blame for a requirement that was met and is blocked, in a way that is new: the
/// cause was not broken before, or it has none.
fn is_news(id: &str, before: &RunView<'_>, after: &RunView<'_>) -> bool {
    let reason = after.requirements.get(id).and_then(|outcome| outcome.reason.as_ref());
    if let Some(cause) = reason.and_then(RecordedReason::because) {
        let was_broken = before.requirements.get(cause).map(|outcome| outcome.verdict);
        return was_broken != Some(RequirementVerdict::Failed);
    }
    let code = reason.and_then(|reason| reason.code.known());
    code.is_some_and(|code| !ReasonCode::is_circumstance(code))
}

/// Returns true if several runs differ; a run says nothing of a requirement that it did not select
/// or know.
fn differs(verdicts: &[Option<RequirementVerdict>]) -> Change {
    let mut said = verdicts.iter().flatten().filter(|v| **v != RequirementVerdict::Untested);
    match said.next() {
        Some(first) if said.any(|other| other != first) => Change::Differs,
        _ => Change::None,
    }
}

fn notes(runs: &[(String, Run)]) -> Vec<String> {
    let mut notes = Vec::new();
    let versions: BTreeSet<&str> = runs.iter().map(|(_, run)| run.tool.version.as_str()).collect();
    if versions.len() > 1 {
        let versions = versions.into_iter().collect::<Vec<_>>().join(", ");
        notes.push(format!(
            "made by different versions of homespec ({versions}): a change may be one of the cases and not of the server"
        ));
    }
    for (file, run) in runs {
        if !run.complete {
            notes.push(format!(
                "{file}: the run was stopped early; what it did not reach is blocked"
            ));
        }
        if run.selection.selected < run.selection.available {
            let (some, all) = (run.selection.selected, run.selection.available);
            notes.push(format!(
                "{file}: {some} of {all} cases were selected; the others are not compared"
            ));
        }
    }
    notes
}
