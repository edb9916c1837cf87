//! Writing reports to a folder, completely or not at all.
use super::{Format, Publisher, Withheld};
use crate::files::{Draft, sync_folder, try_folder};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The result of writing reports.
#[derive(Debug, Default)]
pub struct Written {
    /// The written reports, in the order of the formats.
    pub paths: Vec<PathBuf>,
    /// The reports that were not written.
    pub withheld: Vec<Withheld>,
}

/// Writes the run of `reports` in these formats to `dir`, which is made if it is not there, and gives
/// the paths in the order of `formats`, each once. Earlier reports of the same names are replaced. A
/// report that still holds a secret, or that cannot be rendered, is not written; the others are.
///
/// Everything is rendered and written under temporary names first, and renamed when all of it is on
/// disk, so that a reader never sees half a report.
///
/// # Errors
///
/// The first path that could not be made, written or renamed. The temporary files are removed again.
pub fn write_all(
    dir: &Path,
    reports: &Publisher<'_>,
    formats: &[Format],
) -> Result<Written, WriteError> {
    let (mut texts, mut withheld) = (Vec::new(), Vec::new());
    for format in once_each(formats) {
        match reports.render(format.file_name(), |run| format.render(run)) {
            Ok(text) => texts.push((dir.join(format.file_name()), text)),
            Err(why) => withheld.push(why),
        }
    }
    fs::create_dir_all(dir).map_err(|e| WriteError::new("create the folder", dir, e))?;
    let mut drafts = Vec::new();
    for (path, text) in &texts {
        let draft = Draft::write(path, text.as_bytes());
        drafts.push((path, draft.map_err(|e| WriteError::new("write", path, e))?));
    }
    for (path, draft) in drafts {
        draft.commit().map_err(|e| WriteError::new("replace", path, e))?;
    }
    sync_folder(dir);
    Ok(Written { paths: texts.into_iter().map(|(path, _)| path).collect(), withheld })
}

/// Checks that reports can be written to `dir`, and leaves it unchanged.
///
/// # Errors
/// The folder cannot be made, or no file can be written in it.
pub fn try_writing(dir: &Path) -> Result<(), WriteError> {
    try_folder(dir).map_err(|e| WriteError::new("write reports to", dir, e))
}

/// The formats without repetitions: two drafts of one report would share a temporary name.
fn once_each(formats: &[Format]) -> Vec<Format> {
    let mut once = Vec::new();
    for format in formats {
        if !once.contains(format) {
            once.push(*format);
        }
    }
    once
}

/// A report could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {cause}", path.display())]
pub struct WriteError {
    /// The failed action: `create the folder`, `write reports to`, `write`, `replace`.
    action: &'static str,
    /// The folder or the report.
    pub path: PathBuf,
    /// The system's error.
    pub cause: io::Error,
}

impl WriteError {
    fn new(action: &'static str, path: &Path, cause: io::Error) -> Self {
        WriteError { action, path: path.to_owned(), cause }
    }
}
