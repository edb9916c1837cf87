//! A comparison of runs: for a terminal, as Markdown, as JSON. Pure.
use super::RenderError;
use super::json::written;
use super::markdown::{code_in_table, prose};
use super::text::{count, one_line};
use crate::baseline::compare::{Change, Comparison, Row};
use crate::model::run::RequirementVerdict;

/// The comparison as JSON, indented, with a newline at its end.
///
/// # Errors
/// An internal error: strings, numbers and lists alone are in it.
pub fn compare_json(comparison: &Comparison) -> Result<String, RenderError> {
    written("the comparison", comparison)
}

/// The comparison for a terminal: what changed, a requirement a line; of more than two runs, what they differ in.
pub fn compare_table(comparison: &Comparison) -> String {
    let mut text = String::new();
    for (at, side) in comparison.runs.iter().enumerate() {
        let line = format!("{} {}: {}, {}", letter(at), side.file, side.name, side.started_at);
        text += &(one_line(&line) + "\n");
    }
    for note in &comparison.notes {
        text += &format!("Note: {}\n", one_line(note));
    }
    text += &format!("\n{}\n", sentence(comparison));
    for change in shown() {
        let rows: Vec<&Row> = rows(comparison, change).collect();
        if rows.is_empty() {
            continue;
        }
        text += &format!("\n{}: {}\n", heading(change), count(rows.len(), "requirement"));
        let width = rows.iter().map(|row| row.id.chars().count()).max().unwrap_or(0);
        for row in rows {
            let line =
                format!("  {:6} {:width$}  {}", row.level.as_str(), one_line(&row.id), words(row));
            text += &(line.trim_end().to_owned() + "\n");
            for found in &row.new_findings {
                text += &format!("         new: {}\n", one_line(found));
            }
        }
    }
    text
}

/// The comparison as Markdown; of more than two runs the whole matrix.
pub fn compare_markdown(comparison: &Comparison) -> String {
    let mut text = format!("# homespec: comparison\n\n**{}**\n\n", prose(&sentence(comparison)));
    for (at, side) in comparison.runs.iter().enumerate() {
        let (file, name) = (code_in_table(&side.file), prose(&side.name));
        let (tool, started) = (prose(&side.tool), prose(&side.started_at));
        text += &format!("- {}: {name}, {file}, homespec {tool}, {started}\n", letter(at));
    }
    for note in &comparison.notes {
        text += &format!("- Note: {}\n", prose(note));
    }
    match comparison.runs.len() {
        2 => shown().for_each(|change| text += &section(comparison, change)),
        _ => {
            let all = comparison.requirements.iter().collect::<Vec<_>>();
            text += &format!("\n{}", table(comparison, &all));
        }
    }
    text
}

fn section(comparison: &Comparison, change: Change) -> String {
    let rows: Vec<&Row> = rows(comparison, change).collect();
    if rows.is_empty() {
        return String::new();
    }
    let number = count(rows.len(), "requirement");
    let mut text = format!("\n## {}: {number}\n\n{}", heading(change), table(comparison, &rows));
    for row in rows.iter().filter(|row| !row.new_findings.is_empty()) {
        text += &format!("\nNew in {}:\n\n", code_in_table(&row.id));
        text.extend(row.new_findings.iter().map(|found| format!("- {}\n", code_in_table(found))));
    }
    text
}

fn table(comparison: &Comparison, rows: &[&Row]) -> String {
    let letters: Vec<String> = (0..comparison.runs.len()).map(letter).collect();
    let rule = "--- | ".repeat(letters.len());
    let mut text = format!("| Requirement | Level | {} |\n", letters.join(" | "));
    text += &format!("| --- | --- | {} |\n", rule.trim_end_matches([' ', '|']));
    for row in rows {
        let verdicts: Vec<&str> = row.verdicts.iter().map(|v| word(*v)).collect();
        let id = code_in_table(&row.id);
        text += &format!("| {id} | {} | {} |\n", row.level, verdicts.join(" | "));
    }
    text
}

fn rows(comparison: &Comparison, change: Change) -> impl Iterator<Item = &Row> {
    comparison.requirements.iter().filter(move |row| row.change == change)
}

/// The changes that are listed.
fn shown() -> impl Iterator<Item = Change> {
    Change::ALL.into_iter().filter(|change| !matches!(change, Change::None | Change::NotCompared))
}

fn sentence(comparison: &Comparison) -> String {
    let counts = Change::ALL.iter().map(|change| (comparison.tally.of(*change), change.as_str()));
    let counts: Vec<String> = counts
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    format!("{}: {}.", count(comparison.requirements.len(), "requirement"), counts.join(", "))
}

fn heading(change: Change) -> &'static str {
    match change {
        Change::Regression => "Regressions",
        Change::CoverageLost => "Coverage lost (decided before, not decided now)",
        Change::Improvement => "Improvements",
        Change::CoverageGained => "Coverage gained (not decided before, decided now)",
        Change::StillUndecided => "Not decided, for another reason",
        Change::NotCompared => "Not compared",
        Change::Differs => "Different",
        Change::None => "Unchanged",
    }
}

/// The verdicts from run to run.
fn words(row: &Row) -> String {
    let verdicts: Vec<&str> = row.verdicts.iter().map(|v| word(*v)).collect();
    match row.change {
        Change::Differs => verdicts.join(" | "),
        _ => verdicts.join(" -> "),
    }
}

fn word(verdict: Option<RequirementVerdict>) -> &'static str {
    verdict.map_or("unknown", RequirementVerdict::as_str)
}

/// `A`, `B`, … for a run; numbers behind `Z`.
fn letter(at: usize) -> String {
    let letter =
        u8::try_from(at).ok().and_then(|at| b'A'.checked_add(at)).filter(u8::is_ascii_uppercase);
    letter.map_or_else(|| (at + 1).to_string(), |letter| char::from(letter).to_string())
}
