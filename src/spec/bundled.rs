//! The specification files that are carried inside the program.
use super::{Spec, load};
use crate::bundled::{SPEC_R0, SPEC_V1};
use crate::yaml::diagnostic::Diagnostic;
use std::sync::OnceLock;

type Loaded = Result<Spec, Vec<Diagnostic>>;

pub(super) fn v1() -> Loaded {
    static LOADED: OnceLock<Loaded> = OnceLock::new();
    LOADED.get_or_init(|| read("bundled v1", "spec/v1/", SPEC_V1)).clone()
}

pub(super) fn r0() -> Loaded {
    static LOADED: OnceLock<Loaded> = OnceLock::new();
    LOADED.get_or_init(|| read("bundled r0", "spec/r0/", SPEC_R0)).clone()
}

/// Schemas are compiled when they are first used: most runs of the program need none of them.
fn read(name: &str, shown: &str, files: &[(&str, &str)]) -> Loaded {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), Ok((*text).to_owned())));
    load::load(name, shown, files)
}
