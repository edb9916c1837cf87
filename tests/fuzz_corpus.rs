//! The corpora of the fuzz targets, through the same functions as under `cargo fuzz`: so they can be
//! tried without a nightly toolchain, and what was once found is not lost.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
#[path = "fuzz_corpus/targets.rs"]
mod targets;

use proptest::prelude::*;
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

/// A change of an input: where, in thousandths of its length, how many bytes go, and what comes.
type Edit = (usize, usize, Vec<u8>);

fn edited(mut data: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for (at, dropped, added) in edits {
        let start = data.len() * at / 1000;
        let end = (start + dropped).min(data.len());
        data.splice(start..end, added.iter().copied());
    }
    data
}

fn edit() -> impl Strategy<Value = Edit> {
    let telling: Vec<&[u8]> = vec![
        b"",
        b"\n",
        b"  ",
        b"$",
        b"${",
        b"}",
        b"\"",
        b"'",
        b"\\",
        b"%",
        b"&#",
        b"[",
        b"{",
        b": ",
        b"- ",
        b"null",
        b"-1",
        b"1e999",
        b"18446744073709551616",
        b"\xff",
        b"\0",
        b"~1",
        b"@@",
        b"=== a\n",
        b"!!str ",
        b"&a ",
        b"*a",
        b"\xe2\x80\xae",
    ];
    let added = prop_oneof![
        prop::sample::select(telling).prop_map(<[u8]>::to_vec),
        prop::collection::vec(any::<u8>(), 0..4),
        // A piece of text, long enough to be split over a limit.
        (b' '..b'~', 0..300usize).prop_map(|(byte, count)| vec![byte; count]),
    ];
    (0..1000usize, 0..12usize, added)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// Damaged here and there, the corpora show a little of what the fuzzer finds at length;
    /// `PROPTEST_CASES` says how often.
    #[test]
    fn what_is_nearly_an_input_passes_too(
        file: prop::sample::Index, target: prop::sample::Index,
        edits in prop::collection::vec(edit(), 1..5),
    ) {
        let (name, target) = *target.get(&targets::ALL);
        let data = std::fs::read(file.get(&listed(&corpora().join(name)))).unwrap();
        target(&edited(data, &edits));
    }
}
