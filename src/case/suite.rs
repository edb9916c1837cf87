//! All case files together: those carried inside the program and those of the user.
use super::ast::{Case, CaseFile};
use super::load::case_file;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::document::Document;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, thread};

/// Every case, by file.
#[derive(Debug, Clone, Default)]
pub struct Suite {
    /// In the order of their names, the bundled ones first.
    pub files: Vec<CaseFile>,
}

/// The order in which a reader finds the areas most easily; others follow by name.
#[rustfmt::skip]
const AREAS: [&str; 17] = [
    "discovery", "flows", "wire", "routes", "cors", "login", "password", "identifier", "login_token", "device",
    "token", "refresh", "logout", "uia", "account_state", "sso", "appservice",
];

impl Suite {
    /// The cases carried inside the program.
    ///
    /// # Errors
    /// Every fault of every file; none in a program that passes its tests.
    pub fn bundled() -> Result<Suite, Vec<Diagnostic>> {
        let files = crate::bundled::CASES
            .iter()
            .map(|(path, text)| (format!("cases/{path}"), (*text).to_owned()));
        Suite::from_texts(files)
    }

    /// The case files of a folder (not below it), or one file.
    ///
    /// # Errors
    /// Every fault of every file; a folder that cannot be read or holds no case file.
    pub fn from_path(path: &Path) -> Result<Suite, Vec<Diagnostic>> {
        let paths = if path.is_dir() { yaml_files(path)? } else { vec![path.to_owned()] };
        if paths.is_empty() {
            let fault = Diagnostic::in_file(path.display().to_string(), "no case file in here")
                .with_help("case files end in .yaml");
            return Err(vec![fault]);
        }
        let read =
            |path: &PathBuf| Document::read(path, path.display().to_string()).and_then(case_file);
        Suite::of(paths.iter().map(read))
    }

    /// Case files from memory: name to show, and text.
    ///
    /// # Errors
    /// Every fault of every file.
    pub fn from_texts(
        texts: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Suite, Vec<Diagnostic>> {
        let texts: Vec<(String, String)> = texts.into_iter().collect();
        let mut suite = Suite::of(read_all(&texts).into_iter())?;
        suite.files.sort_by_key(|file| {
            let known = AREAS.iter().position(|area| *area == file.area);
            (known.unwrap_or(AREAS.len()), file.area.clone())
        });
        Ok(suite)
    }

    fn of(
        read: impl Iterator<Item = Result<CaseFile, Vec<Diagnostic>>>,
    ) -> Result<Suite, Vec<Diagnostic>> {
        let (mut files, mut faults) = (Vec::new(), Vec::new());
        for file in read {
            match file {
                Ok(file) => files.push(file),
                Err(found) => faults.extend(found),
            }
        }
        if faults.is_empty() { Ok(Suite { files }) } else { Err(faults) }
    }

    pub fn and(mut self, other: Suite) -> Suite {
        self.files.extend(other.files);
        self
    }

    /// Every case, in order.
    pub fn cases(&self) -> impl Iterator<Item = &Case> {
        self.shared_cases().map(AsRef::as_ref)
    }

    /// The same, to be kept without a copy.
    pub fn shared_cases(&self) -> impl Iterator<Item = &Arc<Case>> {
        self.files.iter().flat_map(|file| &file.cases)
    }

    /// The document that a case is in.
    pub fn document(&self, case: &Case) -> Option<&Document> {
        self.files.iter().find(|file| file.document.name() == case.file).map(|file| &file.document)
    }
}

/// Reads each text on one of as many threads as there are processors; the files come in the order of the texts.
fn read_all(texts: &[(String, String)]) -> Vec<Result<CaseFile, Vec<Diagnostic>>> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let read = |(index, (name, text)): (usize, &(String, String))| {
        (index, Document::parse(name.as_str(), text.as_str()).and_then(case_file))
    };
    let work = |first: usize| -> Vec<_> {
        texts.iter().enumerate().skip(first).step_by(threads).map(read).collect()
    };
    let mut files = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|first| scope.spawn(move || work(first))).collect();
        let mut files = work(0);
        for other in others {
            files.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        files
    });
    files.sort_by_key(|(index, _)| *index);
    files.into_iter().map(|(_, file)| file).collect()
}

fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, Vec<Diagnostic>> {
    let unreadable = |error: std::io::Error| {
        vec![Diagnostic::in_file(folder.display().to_string(), format!("cannot be read: {error}"))]
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_yaml = path.extension().is_some_and(|end| end == "yaml" || end == "yml");
        if is_yaml && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
