//! Reports into a folder, whole or not at all.
use super::{Format, Withheld, sealed};
use crate::outcome::Run;
use crate::secret::Redactor;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What came of writing reports.
#[derive(Debug, Default)]
pub struct Written {
    /// Those that are there, in the order asked for.
    pub paths: Vec<PathBuf>,
    /// Those of which nothing was written.
    pub withheld: Vec<Withheld>,
}

/// Writes the run in these formats to `dir`, which is made if it is not there, and gives the paths in
/// the order of `formats`, each once. Earlier reports of the same names are replaced. A report that
/// still holds a secret that `redactor` knows, or that cannot be rendered, is not written; the others
/// are.
///
/// Everything is rendered and written under temporary names first, and renamed when all of it is on
/// disk, so that a reader never sees half a report.
///
/// # Errors
///
/// The first path that could not be made, written or renamed. The temporary files are removed again.
pub fn write_all(
    dir: &Path,
    run: &Run,
    formats: &[Format],
    redactor: &Redactor,
) -> Result<Written, WriteError> {
    let (mut drafts, mut withheld) = (Vec::new(), Vec::new());
    for format in once_each(formats) {
        match sealed(format.file_name(), run, redactor, |run| format.render(run)) {
            Ok(text) => drafts.push(Draft::new(dir, format, text)),
            Err(why) => withheld.push(why),
        }
    }
    fs::create_dir_all(dir).map_err(|e| WriteError::new("make the folder", dir, e))?;
    let written = write_drafts(&drafts).and_then(|()| rename_drafts(&drafts));
    if let Err(error) = written {
        // What cannot be removed either is named like a temporary file, and the cause is the first error.
        drafts.iter().for_each(|d| drop(fs::remove_file(&d.temporary)));
        return Err(error);
    }
    sync_folder(dir);
    Ok(Written { paths: drafts.into_iter().map(|d| d.path).collect(), withheld })
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

/// A report that is rendered and not yet there.
struct Draft {
    path: PathBuf,
    temporary: PathBuf,
    text: String,
}

impl Draft {
    fn new(dir: &Path, format: Format, text: String) -> Draft {
        let name = format.file_name();
        Draft {
            path: dir.join(name),
            temporary: dir.join(format!(".{name}.{}.tmp", std::process::id())),
            text,
        }
    }
}

fn write_drafts(drafts: &[Draft]) -> Result<(), WriteError> {
    let write = |draft: &Draft| {
        let mut file = File::create(&draft.temporary)?;
        file.write_all(draft.text.as_bytes())?;
        file.sync_all()
    };
    drafts.iter().try_for_each(|d| write(d).map_err(|e| WriteError::new("write", &d.path, e)))
}

fn rename_drafts(drafts: &[Draft]) -> Result<(), WriteError> {
    let rename = |d: &Draft| fs::rename(&d.temporary, &d.path);
    drafts.iter().try_for_each(|d| rename(d).map_err(|e| WriteError::new("replace", &d.path, e)))
}

/// Makes the renames last; not every file system can, and the files themselves are on disk already.
fn sync_folder(dir: &Path) {
    if let Ok(folder) = File::open(dir) {
        let _ = folder.sync_all();
    }
}

/// A report could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {cause}", path.display())]
pub struct WriteError {
    /// What was tried: `make the folder`, `write`, `replace`.
    action: &'static str,
    /// The folder or the report.
    pub path: PathBuf,
    /// What the system said.
    pub cause: io::Error,
}

impl WriteError {
    fn new(action: &'static str, path: &Path, cause: io::Error) -> Self {
        WriteError { action, path: path.to_owned(), cause }
    }
}
