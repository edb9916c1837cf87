//! The loader on small files written for it (`tests/spec/`), on the bundled files, and, where they
//! are at hand, on the published ones.
use homespec::diagnostic::Diagnostic;
use homespec::spec::{Spec, describe, diff};
use std::path::{Path, PathBuf};

fn load(dir: &Path) -> Spec {
    Spec::from_dir(dir).unwrap_or_else(|faults| panic!("{}", shown(&faults)))
}

fn shown(faults: &[Diagnostic]) -> String {
    faults.iter().map(|f| f.render(false)).collect::<Vec<_>>().join("\n\n")
}

fn upstream() -> PathBuf {
    std::env::var_os("HOMESPEC_UPSTREAM_SPEC")
        .expect("names the folder with the published files")
        .into()
}

/// Release and number of operations.
const RELEASES: [(&str, usize); 12] = [
    ("r0.0.1", 4),
    ("r0.3.0", 13),
    ("r0.4.0", 20),
    ("r0.5.0", 22),
    ("r0.6.1", 22),
    ("v1.1", 23),
    ("v1.3", 24),
    ("v1.7", 25),
    ("v1.8", 25),
    ("v1.11", 25),
    ("v1.15", 26),
    ("v1.19", 26),
];

#[test]
#[ignore = "needs HOMESPEC_UPSTREAM_SPEC, the published files of twelve releases"]
fn published_folders_load_as_they_are() {
    for (release, operations) in RELEASES {
        let start = std::time::Instant::now();
        let spec = load(&upstream().join(release));
        println!(
            "{release}: {} operations, {} notes, {:?}",
            spec.operations().count(),
            spec.notes().len(),
            start.elapsed()
        );
        for n in spec.notes() {
            println!("{n}");
        }
        assert_eq!(spec.operations().count(), operations, "{release}");
        assert!(
            spec.operations()
                .all(|o| o.path.starts_with("/_matrix/client")
                    || o.path.starts_with("/.well-known/")),
            "{release}"
        );
    }
}

#[test]
#[ignore = "needs HOMESPEC_UPSTREAM_SPEC, the published files of twelve releases"]
fn releases_differ_as_they_do() {
    let old = load(&upstream().join("v1.15"));
    let new = load(&upstream().join("v1.19"));
    println!("{}", describe(&old, &new));
    println!("{:?}", diff(&old, &new).differences.len());
    let old = load(&upstream().join("r0.0.1"));
    let new = load(&upstream().join("r0.5.0"));
    println!("{}", describe(&old, &new));
    for l in new.schema_locations() {
        println!("{} {} {} {}", l.operation, l.status, l.pointer, l.keyword);
    }
}
