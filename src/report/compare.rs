//! A comparison of runs: for a terminal, as Markdown, as JSON. Pure.
use super::RenderError;
use super::digest;
use super::json::written;
use super::markdown;
use super::template::{Template, environment, ready};
use super::text::{count, one_line};
use crate::baseline::compare::{Change, Comparison, Row, Side};
use crate::model::run::RequirementVerdict;
use minijinja::context;
use minijinja::value::{Serde, Value};

/// The name of the comparison in an error, and of its templates.
const NAME: &str = "the comparison";

/// The changes that are listed, with their headings.
const LISTED: [(Change, &str); 6] = [
    (Change::Regression, "Regressions"),
    (Change::CoverageLost, "Coverage lost (decided before, not decided now)"),
    (Change::Improvement, "Improvements"),
    (Change::CoverageGained, "Coverage gained (not decided before, decided now)"),
    (Change::StillUndecided, "Not decided, for another reason"),
    (Change::Differs, "Different"),
];

static TABLE: Template = Template::new(NAME, || {
    let mut environment = environment(one_line)?;
    let padded = |text: &str, width: usize| ready(format!("{:width$}", one_line(text)));
    environment.add_filter("padded", padded);
    environment.add_template(NAME, include_str!("compare.txt.j2"))?;
    Ok(environment)
});

static MARKDOWN: Template = Template::new(NAME, || {
    let mut environment = markdown::environment()?;
    environment.add_template(NAME, include_str!("compare.md.j2"))?;
    Ok(environment)
});

/// The comparison as JSON, indented, with a newline at its end.
///
/// # Errors
/// An internal error: only strings, numbers and lists are in it.
pub fn compare_json(comparison: &Comparison) -> Result<String, RenderError> {
    written(NAME, comparison)
}

/// The comparison for a terminal: the changes, one requirement per line, and what only the later of two runs looked
/// at and found broken; of more than two runs, the requirements in which they differ.
///
/// # Errors
/// An internal error: the template does not fit the values it is given.
pub fn compare_table(comparison: &Comparison) -> Result<String, RenderError> {
    TABLE.render(values(comparison))
}

/// The comparison as Markdown; of more than two runs the whole matrix.
///
/// # Errors
/// An internal error: the template does not fit the values it is given.
pub fn compare_markdown(comparison: &Comparison) -> Result<String, RenderError> {
    MARKDOWN.render(values(comparison))
}

fn values(comparison: &Comparison) -> Value {
    let runs = comparison.runs.iter().enumerate();
    let runs: Vec<Value> = runs
        .map(|(at, run)| context! { letter => letter(at), counts => counts(run), ..Serde(run) })
        .collect();
    let (sentence, seen) = (sentence(comparison), Serde(newly_seen(&comparison.requirements)));
    context! { runs, sentence, changes => Serde(LISTED), newly_seen => seen, ..Serde(comparison) }
}

/// What the later of two runs found to be broken and the earlier one did not look at: by requirements or cases that
/// its homespec did not have, or that were not selected.
fn newly_seen(rows: &[Row]) -> Vec<&Row> {
    use RequirementVerdict::{Failed, Warned};
    let is_seen = |row: &&Row| match row.verdicts.as_slice() {
        [before, Some(after @ (Failed | Warned))] => {
            matches!(row.change, Change::NotCompared | Change::None) && *before != Some(*after)
        }
        _ => false,
    };
    rows.iter().filter(is_seen).collect()
}

/// The applicable requirements of a run by verdict: `3 failed, 200 passed, 40 skipped`.
fn counts(run: &Side) -> String {
    let (decided, open) = digest::counts(run.tally);
    let all: Vec<String> = decided.into_iter().chain(open).collect();
    all.join(", ")
}

fn sentence(comparison: &Comparison) -> String {
    let counts = Change::ALL.iter().map(|change| (comparison.tally.of(*change), change.as_str()));
    let counts: Vec<String> = counts
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    format!("{}: {}.", count(comparison.requirements.len(), "requirement"), counts.join(", "))
}

/// `A`, `B`, … for a run; numbers after `Z`.
fn letter(at: usize) -> String {
    let letter =
        u8::try_from(at).ok().and_then(|at| b'A'.checked_add(at)).filter(u8::is_ascii_uppercase);
    letter.map_or_else(|| (at + 1).to_string(), |letter| char::from(letter).to_string())
}
