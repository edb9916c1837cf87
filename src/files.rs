//! Files that are written whole or not at all, and folders that are tried before they are needed.
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A file that is on disk under a temporary name beside its own. Dropped without [`Draft::commit`] it is removed.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    temporary: PathBuf,
}

impl Draft {
    /// Writes these bytes under a temporary name in the folder of `path`, and waits until they are on disk.
    ///
    /// # Errors
    /// The error of the system; nothing is left behind.
    pub fn write(path: &Path, bytes: &[u8]) -> io::Result<Draft> {
        Draft::write_with(path, bytes, None)
    }

    fn write_with(path: &Path, bytes: &[u8], rights: Option<Permissions>) -> io::Result<Draft> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        let draft = Draft { path: path.to_owned(), temporary };
        let mut file = File::create(&draft.temporary)?;
        if let Some(rights) = rights {
            file.set_permissions(rights)?;
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(draft)
    }

    /// Gives the file its own name, in place of an earlier one.
    ///
    /// # Errors
    /// The error of the system; the earlier file is unchanged.
    pub fn commit(self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.path)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After a commit there is nothing. What cannot be removed is named like a temporary file.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Writes a file in place of an earlier one, whose permissions it keeps. A symbolic link stays one: what it leads to is
/// written.
///
/// # Errors
/// The error of the system; the earlier file is unchanged.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let earlier = match fs::canonicalize(path) {
        Ok(earlier) => Some(earlier),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let path = earlier.as_deref().unwrap_or(path);
    let rights = match earlier {
        // A file that may not be written is not to be replaced either.
        Some(_) => Some(OpenOptions::new().append(true).open(path)?.metadata()?.permissions()),
        None => None,
    };
    Draft::write_with(path, bytes, rights)?.commit()?;
    sync_folder(path.parent().unwrap_or(Path::new("")));
    Ok(())
}

/// Makes renames last; not every file system can, and the files themselves are on disk already.
pub fn sync_folder(dir: &Path) {
    if let Ok(folder) = File::open(dir) {
        let _ = folder.sync_all();
    }
}

/// Tries whether a folder is there, or can be made, and a file can be written in it. Leaves nothing behind.
///
/// # Errors
/// The error of the system.
pub fn try_folder(dir: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = dir
        .ancestors()
        .take_while(|one| !one.as_os_str().is_empty() && fs::symlink_metadata(one).is_err())
        .collect();
    let tried =
        fs::create_dir_all(dir).and_then(|()| Draft::write(&dir.join("homespec"), b"").map(drop));
    for made in missing {
        // Only what is empty can be removed so; somebody else may have put something there meanwhile.
        let _ = fs::remove_dir(made);
    }
    tried
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_draft_that_is_not_wanted_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        drop(Draft::write(&path, b"new").unwrap());
        assert!(names(folder.path()).is_empty());
        Draft::write(&path, b"new").unwrap().commit().unwrap();
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_folder_is_tried_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        try_folder(at).unwrap();
        try_folder(&at.join("a/b/c")).unwrap();
        assert!(names(at).is_empty());
        fs::create_dir(at.join("a")).unwrap();
        try_folder(&at.join("a/b")).unwrap();
        assert_eq!(names(at), ["a"]);
        fs::write(at.join("file"), "").unwrap();
        assert!(try_folder(&at.join("file")).is_err());
        assert!(try_folder(&at.join("file/below")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn permissions_and_links_stay() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("file", &link).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(names(folder.path()), ["file", "link"]);
    }
}
