//! `compare`: runs side by side.
use super::args::CompareFormat;
use super::{Failure, print, read_run};
use crate::baseline::compare;
use crate::model::exit;
use crate::report;
use std::path::PathBuf;

pub(super) fn compare(paths: &[PathBuf], format: CompareFormat) -> Result<u8, Failure> {
    let read = |path: &PathBuf| Ok((path.display().to_string(), read_run(path)?));
    let runs = paths.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
    let comparison = compare::compare(&runs);
    print(&match format {
        CompareFormat::Table => report::compare_table(&comparison)?,
        CompareFormat::Markdown => report::compare_markdown(&comparison)?,
        CompareFormat::Json => report::compare_json(&comparison)?,
    })?;
    let regressions = comparison.tally.of(compare::Change::Regression);
    Ok(if regressions > 0 { exit::BROKEN } else { exit::CONFORMS })
}
