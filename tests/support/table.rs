//! Tables in the repository that hold what servers do: written by the test, explained by hand.
//!
//! A table has a row for each requirement or case. A row is a word or a few members; the member `why` is the sentence
//! of a person who looked at the row against the clause, everything else is what a run showed.
use homespec::model::run::{
    Finding, RecordedExchange, RequirementOutcome, RequirementVerdict, Run, Verdict,
};
use homespec::spec::Spec;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use url::Url;

/// What stands in place of a sentence that is still to be written.
const TODO: &str = "TODO";

/// Rows by id, in the order of the file.
type Rows = Map<String, Value>;

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Why requirements are skipped, by reason; where a table says so.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    skipped: Rows,
    /// By requirement.
    requirements: Rows,
    /// Which legal road was taken, by case.
    branches: Rows,
}

/// What one server does, from a run of the whole suite: each requirement's verdict, and for what is broken its clause,
/// the cases and the exchanges that show it.
pub fn verdicts(run: &Run) -> Table {
    let spec = Spec::bundled_v1().expect("the bundled files load");
    let requirements = run.requirements.iter();
    Table {
        skipped: Rows::new(),
        requirements: requirements.map(|r| (r.id.clone(), verdict_row(run, &spec, r))).collect(),
        branches: branches(run),
    }
}

/// The same, with a row for each reason why requirements are skipped.
pub fn verdicts_with_reasons(run: &Run) -> Table {
    let mut skipped: BTreeMap<String, usize> = BTreeMap::new();
    let of_reason = |requirement: &RequirementOutcome| {
        let is_skipped = requirement.verdict == RequirementVerdict::Skipped;
        let reason = requirement.reason.as_ref().filter(|_| is_skipped)?;
        Some(format!("{}: {}", reason.code, reason.text))
    };
    for reason in run.requirements.iter().filter_map(of_reason) {
        *skipped.entry(reason).or_default() += 1;
    }
    let row =
        |(reason, count): (String, usize)| (reason, json!({ "requirements": count, "why": TODO }));
    Table { skipped: skipped.into_iter().map(row).collect(), ..verdicts(run) }
}

/// Where two servers differ: verdicts that are not the same, and cases in which they took different roads.
///
/// What `other` breaks is explained in its table of [`verdicts`], and has no sentence here.
pub fn differences(reference: &Run, other: &Run) -> Table {
    let pairs = reference.requirements.iter().zip(&other.requirements);
    let requirements = pairs
        .filter(|(a, b)| word(a) != word(b))
        .map(|(a, b)| (a.id.clone(), difference(json!(word(a)), json!(word(b)), is_broken(b))));
    let cases = reference.cases.iter().zip(&other.cases);
    let branches = cases.filter(|(a, b)| a.branch != b.branch).map(|(a, b)| {
        let broken = matches!(b.verdict, Verdict::Failed | Verdict::Warned);
        (a.id.clone(), difference(json!(a.branch), json!(b.branch), broken))
    });
    let (requirements, branches) = (requirements.collect(), branches.collect());
    Table { requirements, branches, ..Table::default() }
}

fn difference(reference: Value, synapse: Value, explained: bool) -> Value {
    let mut row = json!({ "reference": reference, "synapse": synapse });
    if !explained {
        row["why"] = json!(TODO);
    }
    row
}

fn branches(run: &Run) -> Rows {
    let taken = run.cases.iter().filter_map(|case| Some((case.id.clone(), case.branch.clone()?)));
    taken.map(|(id, branch)| (id, Value::String(branch))).collect()
}

/// A verdict with the code of its reason, such as `skipped not_offered`.
fn word(requirement: &RequirementOutcome) -> String {
    let verdict = requirement.verdict.as_str();
    match &requirement.reason {
        Some(reason) => format!("{verdict} {}", reason.code),
        None => verdict.to_owned(),
    }
}

fn is_broken(requirement: &RequirementOutcome) -> bool {
    matches!(requirement.verdict, RequirementVerdict::Failed | RequirementVerdict::Warned)
}

fn verdict_row(run: &Run, spec: &Spec, requirement: &RequirementOutcome) -> Value {
    if requirement.verdict == RequirementVerdict::Blocked {
        return json!({ "verdict": word(requirement), "level": requirement.level, "why": TODO });
    }
    if !is_broken(requirement) {
        return Value::String(word(requirement));
    }
    let cases =
        run.cases.iter().filter(|case| findings_of(&case.findings, requirement).count() > 0);
    let in_cases = run.cases.iter().flat_map(|case| &case.findings);
    let standing = run.standing.iter().flat_map(|standing| &standing.findings);
    let exchanges: BTreeSet<String> = in_cases
        .chain(standing)
        .filter(|finding| finding.requirement == requirement.id)
        .filter_map(|finding| run.exchange(finding.exchange.as_deref()?))
        .map(|exchange| summary(spec, exchange))
        .collect();
    json!({
        "verdict": word(requirement),
        "level": requirement.level,
        "clause": requirement.source_url,
        "cases": cases.map(|case| case.id.as_str()).collect::<Vec<_>>(),
        "exchanges": exchanges,
        "why": TODO,
    })
}

fn findings_of<'a>(
    findings: &'a [Finding],
    requirement: &'a RequirementOutcome,
) -> impl Iterator<Item = &'a Finding> {
    findings.iter().filter(|finding| finding.requirement == requirement.id)
}

/// An exchange in a line that is the same in each run: `POST /_matrix/client/v3/login: 403 M_FORBIDDEN`.
fn summary(spec: &Spec, exchange: &RecordedExchange) -> String {
    let operation = exchange.operation.as_deref().and_then(|id| spec.operation(id));
    let request = match operation {
        Some(operation) => operation.to_string(),
        None => format!("{} {}", exchange.request.method, path_of(&exchange.request.url)),
    };
    match &exchange.response {
        Some(response) => format!("{request}: {} {}", response.status, errcode(&response.body)),
        None => format!("{request}: no answer"),
    }
    .trim_end()
    .to_owned()
}

fn path_of(url: &str) -> String {
    Url::parse(url).map_or_else(|_| url.to_owned(), |url| url.path().to_owned())
}

fn errcode(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    body["errcode"].as_str().unwrap_or_default().to_owned()
}

impl Table {
    /// The rows of this table that `base` does not have, or has otherwise.
    pub fn beyond(self, base: &Table) -> Table {
        let new = |rows: Rows, base: &Rows| -> Rows {
            let differs = |(id, row): &(String, Value)| base.get(id).map(facts) != Some(facts(row));
            rows.into_iter().filter(differs).collect()
        };
        Table {
            skipped: new(self.skipped, &base.skipped),
            requirements: new(self.requirements, &base.requirements),
            branches: new(self.branches, &base.branches),
        }
    }

    /// Holds `seen` against the table in a file; with `UPDATE_GOLDEN=1`, writes the file anew instead, keeping its
    /// sentences. `about` is the comment at its head.
    ///
    /// # Panics
    /// If they differ, with the rows that do, or if a sentence is still to be written.
    pub fn settle(seen: Table, file: &Path, about: &str) {
        let known = read(file);
        let merged = Table {
            skipped: with_sentences(&seen.skipped, &known.skipped),
            requirements: with_sentences(&seen.requirements, &known.requirements),
            branches: with_sentences(&seen.branches, &known.branches),
        };
        let name = file.display();
        if std::env::var_os("UPDATE_GOLDEN").is_some_and(|update| update == "1") {
            let text = serde_yaml::to_string(&merged).unwrap();
            std::fs::write(file, format!("{}{text}", comment(about))).unwrap();
        } else {
            let changes = merged.changes_since(&known);
            assert!(
                changes.is_empty(),
                "{name} no longer says what the servers do (UPDATE_GOLDEN=1 writes it anew):\n{}",
                changes.join("\n")
            );
        }
        let open = merged.without_sentence();
        assert!(open.is_empty(), "{name}: still to be looked at against the clause: {open:?}");
    }

    /// What is other here than in `known`, a text for each row.
    pub fn changes_since(&self, known: &Table) -> Vec<String> {
        let requirements = changes("requirement", &known.requirements, &self.requirements);
        changes("reason", &known.skipped, &self.skipped)
            .chain(requirements)
            .chain(changes("branch of", &known.branches, &self.branches))
            .collect()
    }

    fn without_sentence(&self) -> Vec<&str> {
        let rows = self.skipped.iter().chain(&self.requirements).chain(&self.branches);
        let open = rows.filter(|(_, row)| row["why"].as_str().is_some_and(|w| w.starts_with(TODO)));
        open.map(|(id, _)| id.as_str()).collect()
    }
}

fn read(file: &Path) -> Table {
    match std::fs::read_to_string(file) {
        Ok(text) => {
            serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
        }
        Err(_) => Table::default(),
    }
}

fn comment(about: &str) -> String {
    about.lines().map(|line| format!("# {line}\n")).collect()
}

/// The rows seen, each with the sentence that is known for it. Where what was seen is not what the sentence was
/// written for, somebody has to look again.
fn with_sentences(seen: &Rows, known: &Rows) -> Rows {
    let row = |(id, row): (&String, &Value)| {
        let mut row = row.clone();
        if let (Some(known), Some(_)) = (known.get(id), row.get("why")) {
            let sentence = known["why"].as_str().unwrap_or(TODO);
            let same = facts(known) == facts(&row) || sentence.starts_with(TODO);
            let sentence = if same { sentence.to_owned() } else { format!("{TODO} {sentence}") };
            row["why"] = Value::String(sentence);
        }
        (id.clone(), row)
    };
    seen.iter().map(row).collect()
}

/// A row without its sentence.
fn facts(row: &Value) -> Value {
    let mut row = row.clone();
    if let Value::Object(members) = &mut row {
        members.shift_remove("why");
    }
    row
}

fn changes<'a>(
    kind: &'a str,
    known: &'a Rows,
    seen: &'a Rows,
) -> impl Iterator<Item = String> + 'a {
    let ids: BTreeSet<&String> = known.keys().chain(seen.keys()).collect();
    ids.into_iter().filter_map(move |id| {
        let (before, now) = (known.get(id).map(facts), seen.get(id).map(facts));
        (before != now)
            .then(|| format!("  {kind} {id}\n    was {}\n    is  {}", shown(before), shown(now)))
    })
}

fn shown(row: Option<Value>) -> String {
    row.map_or_else(|| "not there".to_owned(), |row| row.to_string())
}
