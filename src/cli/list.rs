//! `list`: cases, requirements, faults and quirks.
use super::args::{ListArgs, ListFormat};
use super::{Failure, print};
use crate::case::ast::Case;
use crate::case::suite::Suite;
use crate::model::reason::Reason;
use crate::plan::presuppositions::ids;
use crate::reference;
use crate::requirements::{Register, Requirement};
use crate::selftest::schema_faults;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn list(args: &ListArgs) -> Result<u8, Failure> {
    let rows = if args.requirements {
        requirements()?
    } else if args.faults {
        faults()?
    } else if args.quirks {
        quirks()?
    } else {
        cases()?
    };
    match args.format {
        ListFormat::Table => print(&table(&rows)),
        ListFormat::Json => {
            let text = serde_json::to_string_pretty(&rows).map_err(std::io::Error::from)?;
            print(&format!("{text}\n"))
        }
    }
}

fn cases() -> Result<Vec<Value>, Failure> {
    let (suite, register) = (Suite::bundled()?, Register::bundled()?);
    let checks = crate::check::whole_run::CHECKS.iter().map(|check| {
        json!({
            "id": check.id, "area": crate::check::whole_run::AREA, "impact": "reads",
            "requirements": [check.requirement], "presupposes": [], "title": check.title,
        })
    });
    let of_files = suite.cases().map(|case: &Case| {
        json!({
            "id": case.id, "area": case.area, "impact": case.impact.to_string(),
            "requirements": case.checks, "presupposes": ids(case, &register), "title": case.title, "file": case.file, "line": case.line,
        })
    });
    Ok(of_files.chain(checks).collect())
}

fn requirements() -> Result<Vec<Value>, Failure> {
    let register = Register::bundled()?;
    let suite = Suite::bundled()?;
    let mut deciders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for case in suite.cases() {
        for id in &case.checks {
            deciders.entry(id).or_default().push(&case.id);
        }
    }
    for check in crate::check::whole_run::CHECKS {
        deciders.entry(check.requirement).or_default().push(check.id);
    }
    let of = |requirement: &Requirement| {
        let mut by = deciders.get(requirement.id.as_str()).cloned().unwrap_or_default();
        if !requirement.standing.is_empty() {
            by.push("standing");
        }
        json!({
            "id": requirement.id, "level": requirement.level.as_str(),
            "mark": requirement.mark.as_str(), "security": requirement.security, "since": requirement.since.to_string(),
            "informative": requirement.informative, "decided_by": by, "title": requirement.title,
            "clause": requirement.url,
        })
    };
    Ok(register.iter().map(of).collect())
}

fn faults() -> Result<Vec<Value>, Failure> {
    let of = |fault: &reference::Fault| {
        json!({
            "name": fault.name, "kind": fault.kind.as_str(), "requirement": fault.requirement,
            "also": fault.also, "about": fault.about, "clause": fault.clause,
        })
    };
    Ok(schema_faults::bundled()?.all_faults().map_err(super::no_faults)?.map(of).collect())
}

fn quirks() -> Result<Vec<Value>, Failure> {
    let of = |quirk: &reference::Quirk| {
        json!({
            "name": quirk.name, "kind": quirk.kind().as_str(), "about": quirk.about,
            "clause": quirk.clause,
        })
    };
    Ok(schema_faults::bundled()?.all_quirks().map(of).collect())
}

/// Columns by the members of the first row; what is only for machines stays out.
fn table(rows: &[Value]) -> String {
    const HIDDEN: [&str; 8] =
        ["file", "line", "clause", "also", "mark", "impact", "presupposes", "informative"];
    const LONGEST: usize = 60;
    let cell = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Bool(is) => (if *is { "security" } else { "" }).to_owned(),
        Value::Array(items) => {
            let all: Vec<_> = items.iter().filter_map(Value::as_str).collect();
            match all.as_slice() {
                [] => "-".to_owned(),
                [first, rest @ ..] if all.join(" ").len() > LONGEST => {
                    format!("{first} +{}", rest.len())
                }
                all => all.join(" "),
            }
        }
        other => other.to_string(),
    };
    let Some(first) = rows.first().and_then(Value::as_object) else { return String::new() };
    let keys: Vec<&String> = first.keys().filter(|key| !HIDDEN.contains(&key.as_str())).collect();
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let is_note = row.get("informative") == Some(&Value::Bool(true));
            let text = |key: &&String| match key.as_str() {
                "decided_by" if is_note => Reason::Note.text(),
                key => row.get(key).map_or(String::new(), cell),
            };
            keys.iter().map(text).collect()
        })
        .collect();
    let width = |column: usize| {
        let of_column = cells.iter().filter_map(|row| row.get(column));
        of_column.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..keys.len()).map(width).collect();
    let mut text = String::new();
    for row in &cells {
        let line: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text += line.join("  ").trim_end();
        text.push('\n');
    }
    text
}
