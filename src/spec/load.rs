//! From a folder on disk, or from texts, to a specification.
//!
//! Reading goes on after a fault, so that all faults of a folder are told at once.
use super::folder::Folder;
use super::openapi::OperationReader;
use super::{Operation, Spec};
use crate::yaml::diagnostic::{Diagnostic, Severity};
use crate::yaml::document::read_text;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAX_FILES: usize = 2_000;
/// The deepest nesting of folders that is read.
const MAX_FOLDERS: usize = 8;
const ENDINGS: [&str; 3] = [".yaml", ".yml", ".json"];

/// Relative path and text of a file, or why it could not be read.
type FileText = (String, Result<String, Diagnostic>);

/// Reads all YAML and JSON files below `dir`; links that lead out of it are not followed.
pub(super) fn folder_files(dir: &Path) -> Result<Vec<FileText>, Vec<Diagnostic>> {
    let shown = dir.display().to_string();
    let unreadable = |error: io::Error| {
        vec![Diagnostic::in_file(shown.as_str(), format!("the folder cannot be read: {error}"))]
    };
    let root = dir.canonicalize().map_err(unreadable)?;
    let mut paths = Vec::new();
    collect_files(&root, &root, "", MAX_FOLDERS, &mut paths).map_err(unreadable)?;
    if paths.len() > MAX_FILES {
        let message = format!("more than {MAX_FILES} files: this is not a folder of OpenAPI files");
        return Err(vec![Diagnostic::in_file(shown, message)]);
    }
    let read = |(relative, path): (String, PathBuf)| {
        let text = read_text(&path, &format!("{shown}/{relative}"));
        (relative, text)
    };
    Ok(paths.into_iter().map(read).collect())
}

/// Adds relative and absolute path of all YAML and JSON files below a folder, and stops when there
/// are too many.
fn collect_files(
    root: &Path,
    folder: &Path,
    prefix: &str,
    depth: usize,
    all: &mut Vec<(String, PathBuf)>,
) -> io::Result<()> {
    let mut entries = std::fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        // A link that leads nowhere is left out like one that leads elsewhere.
        let inside = entry.path().canonicalize().ok().filter(|path| path.starts_with(root));
        let Some(path) = inside else { continue };
        let relative = format!("{prefix}{name}");
        if path.is_dir() && depth > 0 && !name.starts_with('.') {
            collect_files(root, &path, &format!("{relative}/"), depth - 1, all)?;
        } else if path.is_file() && ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            all.push((relative, path));
        }
        if all.len() > MAX_FILES {
            break;
        }
    }
    Ok(())
}

/// Makes a specification of files; `shown` is put before their paths where a reader sees them.
pub(super) fn load(
    name: &str,
    shown: &str,
    files: impl IntoIterator<Item = FileText>,
) -> Result<Spec, Vec<Diagnostic>> {
    let folder = Arc::new(Folder::new(shown, files));
    let documents: Vec<&str> = folder.candidates().collect();
    let (spec, errors) = read(name, &folder, &documents);
    if errors.is_empty() { Ok(spec) } else { Err(errors) }
}

/// The same for a use that needs some of the operations only: errors are warnings in a document
/// without any of these, and what it describes is left out.
pub(super) fn load_needed(
    name: &str,
    shown: &str,
    files: impl IntoIterator<Item = FileText>,
    needed: &dyn Fn(&Operation) -> bool,
) -> Result<(Spec, Vec<Diagnostic>), Vec<Diagnostic>> {
    let folder = Arc::new(Folder::new(shown, files));
    let documents: Vec<&str> = folder.candidates().collect();
    let whole = |documents: &[&str]| {
        let (spec, mut errors) = read(name, &folder, documents);
        errors.extend(spec.compile().err().into_iter().flatten());
        (spec, errors)
    };
    let (spec, errors) = whole(&documents);
    if errors.is_empty() {
        return Ok((spec, Vec::new()));
    }
    let (mut kept, mut warnings) = (Vec::new(), Vec::new());
    for document in documents {
        let (spec, errors) = whole(&[document]);
        // Nobody knows what a document describes in which no operation can be read.
        let unknown = spec.operations().next().is_none();
        if errors.is_empty() || unknown || spec.operations().any(needed) {
            kept.push(document);
        } else {
            warnings.extend(errors);
        }
    }
    let (mut spec, errors) = whole(&kept);
    // What is left are errors of needed documents, and repetitions, which none has alone.
    let of_needed = |fault: &Diagnostic| {
        let described: Vec<&Operation> =
            spec.operations().filter(|operation| operation.file == fault.name).collect();
        described.is_empty() || described.into_iter().any(needed)
    };
    let (errors, repeated): (Vec<_>, Vec<_>) = errors.into_iter().partition(of_needed);
    if !errors.is_empty() {
        return Err(errors);
    }
    spec.forget_repeated();
    warnings.extend(repeated);
    Ok((spec, warnings.into_iter().map(Diagnostic::into_warning).collect()))
}

/// The operations of these documents as far as they can be read, and all errors.
fn read(name: &str, folder: &Arc<Folder>, documents: &[&str]) -> (Spec, Vec<Diagnostic>) {
    let mut reader = OperationReader::new(folder);
    let documents = documents.iter().filter(|path| reader.read(path)).count();
    let (operations, mut faults) = reader.finish();
    if documents == 0 {
        let message = "there is no OpenAPI document here (a file that begins with `openapi: 3.1.0` or `swagger: '2.0'`)";
        faults.push(Diagnostic::in_file(name, message));
    }
    let is_error = |fault: &Diagnostic| fault.severity == Severity::Error;
    let (errors, notes): (Vec<_>, Vec<_>) = faults.into_iter().partition(is_error);
    let operations = operations.into_iter().map(Arc::new).collect();
    (Spec::new(name.to_owned(), operations, notes), errors)
}
