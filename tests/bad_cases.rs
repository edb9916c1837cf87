//! Every fault of a case file, as a reader sees it: `tests/bad_cases/*.yaml` with what is said of
//! each in the `.err` file beside it. With `UPDATE_GOLDEN=1` these are written anew.
//!
//! A file's name begins with what is wrong: `yaml` (no YAML as it is read here), `shape` (an editor
//! sees it too, by `spec/case.schema.json`), `meaning` (needs the whole file) or `lint` (needs
//! register and specification).
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
use homespec::case::suite::Suite;
use homespec::plan;
use homespec::requirements::Register;
use homespec::spec::Spec;
use homespec::yaml::diagnostic::Diagnostic;
use homespec::yaml::document::Document;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_cases")
}

/// Name and text of each file, by name.
fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "yaml") {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            files.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    files.sort();
    assert!(files.len() > 15);
    files
}

fn faults(name: &str, text: &str) -> Vec<Diagnostic> {
    let suite = match Suite::from_texts([(name.to_owned(), text.to_owned())]) {
        Ok(suite) => suite,
        Err(faults) => return faults,
    };
    let (v1, r0) = (Spec::bundled_v1().unwrap(), Spec::bundled_r0().unwrap());
    plan::lint(&suite, &Register::bundled().unwrap(), &[&v1, &r0])
}

/// Without the line numbers of the register, which move.
fn lasting(text: &str) -> String {
    const FILE: &str = "requirements.yaml:";
    let mut parts = text.split(FILE);
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts
        .map(|part| format!("{FILE}N{}", part.trim_start_matches(|c: char| c.is_ascii_digit())));
    first + &rest.collect::<String>()
}

#[test]
fn every_fault_is_shown_with_its_place_and_a_way_out() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut different = Vec::new();
    for (name, text) in files() {
        let rendered: Vec<String> =
            faults(&name, &text).iter().map(|fault| lasting(&fault.render(false))).collect();
        assert!(!rendered.is_empty(), "{name} has no fault");
        let said = rendered.join("\n") + "\n";
        let path = folder().join(name.replace(".yaml", ".err"));
        if update {
            std::fs::write(&path, &said).unwrap();
        }
        let known = std::fs::read_to_string(&path).unwrap_or_default();
        if said != known {
            different.push(format!("== {name}\n{said}"));
        }
    }
    assert!(different.is_empty(), "(UPDATE_GOLDEN=1 accepts)\n{}", different.join("\n"));
}

/// A fault without a line would have to be searched for.
#[test]
fn every_fault_has_a_place() {
    for (name, text) in files() {
        for fault in faults(&name, &text) {
            assert!(fault.primary.is_some(), "{name}: {fault}");
        }
    }
}

#[test]
fn an_editor_sees_what_is_wrong_in_shape() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/case.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    for (name, text) in files() {
        let kind = name.split('-').next().unwrap();
        let document = Document::parse(name.clone(), text);
        match (kind, document) {
            ("yaml", document) => assert!(document.is_err(), "{name} is fine YAML"),
            ("shape", Ok(document)) => assert!(!validator.is_valid(document.value()), "{name}"),
            ("meaning" | "lint", Ok(document)) => {
                let error = validator.validate(document.value()).err();
                assert!(error.is_none(), "{name}: {}", error.unwrap());
            }
            (_, Ok(_)) => panic!("{name}: what kind of file is this?"),
            (_, Err(faults)) => panic!("{name}: {}", faults[0]),
        }
    }
}
