//! The corpora of the fuzz targets, through the same functions as under `cargo fuzz`: so they can be
//! tried without a nightly toolchain, and what was once found is not lost.
#[path = "fuzz_corpus/targets.rs"]
mod targets;

use std::path::{Path, PathBuf};

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// The paths in a folder, sorted.
fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_file_of_every_corpus_passes_its_target() {
    for (name, target) in targets::ALL {
        let files = listed(&corpora().join(name));
        assert!(files.len() >= 5, "{name}: {} files", files.len());
        for path in files {
            let data = std::fs::read(&path).unwrap();
            let passed = std::panic::catch_unwind(|| target(&data));
            assert!(passed.is_ok(), "{} breaks its target", path.display());
        }
    }
}

#[test]
fn every_target_has_a_program_and_a_corpus_and_there_is_no_other() {
    let names = |folder: &Path| -> Vec<String> {
        let stem = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        listed(folder).iter().map(stem).collect()
    };
    let mut known = targets::ALL.map(|(name, _)| name.to_owned());
    known.sort();
    assert_eq!(names(&corpora()), known);
    assert_eq!(names(&corpora().with_file_name("fuzz_targets")), known);
}
