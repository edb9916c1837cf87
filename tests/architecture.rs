//! Which part of the crate may use which, held over the `crate::` names in the source: everything
//! points one way, the reference homeserver stands alone, and only a few files touch network,
//! files, clock or environment.
//!
//! Unit tests inside a file are left out: they may use whatever shows best what they test.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::unwrap_used
)]
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A part of the crate (a file or folder below `src`), what it may use of the other parts, and why
/// it stands where it stands. From the bottom up: a part may only use what stands above it here.
const PARTS: &[(&str, &[&str], &str)] = &[
    ("bundled", &[], "files as text, nothing else"),
    ("encoding", &[], "text to text"),
    ("diagnostic", &[], "faults of files as data"),
    ("files", &[], "bytes to disk, whole or not at all; knows nothing of what they say"),
    ("outcome", &[], "run.json is this value: it knows nothing of how it came to be"),
    ("version", &[], "order and ranges of releases"),
    ("source", &["diagnostic"], "text with positions"),
    ("strict", &["diagnostic", "source"], "walks over text with positions"),
    ("wire", &["outcome"], "requests and answers as values; why something is undecided"),
    (
        "secret",
        &["outcome"],
        "replaces them in a run; knows the forms of a text, not where it comes from",
    ),
    ("register", &["diagnostic", "outcome", "source", "strict", "version"], "read from a file"),
    ("spec", &["bundled", "diagnostic", "source"], "read from files, of any release"),
    (
        "case",
        &["bundled", "diagnostic", "outcome", "source", "strict", "version"],
        "read from files alone; what needs register or specification is `plan`'s",
    ),
    (
        "facts",
        &["case", "outcome", "version", "wire"],
        "what answers of the probe say, for planning",
    ),
    ("routes", &["case", "spec"], "where operations lie"),
    (
        "check",
        &["case", "outcome", "register", "spec", "version", "wire"],
        "answers and expectations in, findings out; never how an answer was got",
    ),
    (
        "baseline",
        &["case", "check", "diagnostic", "outcome", "register", "source", "strict"],
        "a file, and a run held against it",
    ),
    ("require", &["case", "diagnostic", "facts", "outcome"], "what has to be there, by the facts"),
    ("compare", &["baseline", "outcome"], "runs side by side"),
    ("select", &["case", "check", "diagnostic", "outcome", "register"], "before planning"),
    (
        "plan",
        &["case", "diagnostic", "facts", "outcome", "register", "spec", "version"],
        "the last thing before the network: needs no part of the run",
    ),
    ("exit", &["outcome"], "a status is read off a run"),
    ("advice", &["outcome"], "what limits left open is read off their figures"),
    (
        "run",
        &[
            "case", "check", "encoding", "facts", "outcome", "plan", "register", "routes",
            "secret", "version", "wire",
        ],
        "carries out a plan; knows nothing of reports, selection and the command line",
    ),
    (
        "assemble",
        &[
            "advice", "case", "check", "exit", "facts", "outcome", "plan", "register", "run",
            "secret", "select", "spec", "wire",
        ],
        "from results to the one value that reports are functions of",
    ),
    (
        "app",
        &[
            "assemble",
            "baseline",
            "case",
            "check",
            "diagnostic",
            "exit",
            "facts",
            "outcome",
            "plan",
            "register",
            "require",
            "routes",
            "run",
            "secret",
            "select",
            "spec",
            "version",
            "wire",
        ],
        "the pipeline, once",
    ),
    (
        "report",
        &["compare", "files", "outcome", "secret"],
        "pure functions of a run, and a last look for secrets in them",
    ),
    (
        "harness",
        &[
            "app",
            "baseline",
            "case",
            "check",
            "diagnostic",
            "exit",
            "facts",
            "outcome",
            "plan",
            "register",
            "report",
            "run",
            "secret",
            "select",
            "source",
            "spec",
        ],
        "the way in for a test binary, beside the command line",
    ),
    ("reference", &[], "no mirror of the checks: it uses nothing of the rest"),
    (
        "shapes",
        &["diagnostic", "reference", "register", "spec"],
        "schemas handed to the reference homeserver as data, ids put to what it makes of them",
    ),
    (
        "selftest",
        &[
            "app",
            "diagnostic",
            "exit",
            "facts",
            "outcome",
            "reference",
            "register",
            "run",
            "select",
            "shapes",
            "version",
        ],
        "the pipeline against every fault of the reference homeserver",
    ),
    (
        "cli",
        &[
            "app",
            "baseline",
            "case",
            "check",
            "compare",
            "diagnostic",
            "exit",
            "facts",
            "files",
            "outcome",
            "plan",
            "reference",
            "register",
            "report",
            "require",
            "run",
            "secret",
            "select",
            "selftest",
            "shapes",
            "source",
            "spec",
            "strict",
        ],
        "on top of everything; nothing uses it",
    ),
];

/// Inside `run`: the machine and what it is made of are pure, the courier knows no case, the
/// engine stands on top.
const RUN: &[(&str, &[&str])] = &[
    ("stop", &[]),
    ("beside", &[]),
    ("turns", &[]),
    ("env", &[]),
    ("limits", &["env"]),
    ("ledger", &["env"]),
    ("supplied", &["env", "ledger"]),
    ("uia", &[]),
    ("machine", &["env", "uia"]),
    ("target", &[]),
    ("tls", &[]),
    ("tls_words", &["tls"]),
    ("trouble", &["tls_words"]),
    ("http", &["beside", "target", "tls", "trouble"]),
    ("discover", &["http", "target"]),
    ("dialect", &[]),
    ("vitals", &[]),
    ("courier", &["dialect", "http", "ledger", "limits", "stop", "supplied", "vitals"]),
    ("program", &["stop"]),
    ("notices", &[]),
    ("refusal", &[]),
    ("desk", &["courier", "env", "ledger", "notices", "program", "refusal", "supplied", "uia"]),
    ("desk/admission", &["desk", "env", "refusal"]),
    ("probe", &["courier", "desk", "discover", "env", "vitals"]),
    ("clean_up", &["courier", "ledger", "stop", "supplied", "uia"]),
    ("supplied_sessions", &["clean_up", "courier", "ledger", "supplied", "uia"]),
    ("operator", &["courier", "env", "program", "refusal"]),
    ("operator_proof", &["courier", "env", "notices", "operator", "refusal"]),
    ("perishable", &["courier"]),
    ("loan", &["env", "ledger", "machine"]),
    (
        "engine",
        &[
            "beside",
            "courier",
            "desk",
            "env",
            "loan",
            "machine",
            "operator",
            "operator_proof",
            "perishable",
            "stop",
            "turns",
        ],
    ),
];

/// The names behind `super::` in a file, those in braces too; behind `super::super::` in one of a folder below.
fn siblings(file: &File) -> BTreeSet<&str> {
    let up = "super::".repeat(file.path.matches('/').count());
    let mut names = BTreeSet::new();
    for rest in file.code.split(up.as_str()).skip(1) {
        let list = rest.strip_prefix('{').and_then(|list| list.split('}').next());
        let all = list.map_or_else(|| vec![rest], |list| list.split(',').map(str::trim).collect());
        let name = |rest: &'_ str| rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        names.extend(all.into_iter().map(|rest| &rest[..name(rest).unwrap_or(rest.len())]));
    }
    names.remove("");
    names
}

#[test]
fn the_reference_homeserver_has_no_import_circles() {
    let files = files();
    let of_reference: Vec<&File> = files.iter().filter(|file| file.part() == "reference").collect();
    let name = |file: &File| {
        let inside = file.path.trim_start_matches("reference/");
        inside.split(['/', '.']).next().unwrap_or_default().to_owned()
    };
    let known: BTreeSet<String> = of_reference.iter().map(|file| name(file)).collect();
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in of_reference.iter().filter(|file| file.path != "reference/mod.rs") {
        let (own, all) = (name(file), uses.entry(name(file)).or_default());
        for other in siblings(file) {
            // What is no file stands in `mod.rs`, which names all files.
            assert!(known.contains(other), "src/{} uses {other} of reference/mod.rs", file.path);
            all.extend(Some(other.to_owned()).filter(|other| *other != own));
        }
    }
    assert!(uses.values().map(BTreeSet::len).sum::<usize>() > 100, "the imports were not found");
    // What uses nothing that is left is taken away; a circle stays.
    while let Some(free) = uses.iter().find(|(_, used)| used.is_empty()).map(|(name, _)| name) {
        let free = free.clone();
        uses.remove(&free);
        for used in uses.values_mut() {
            used.remove(&free);
        }
    }
    assert!(uses.is_empty(), "in circles, or on top of one: {uses:?}");
}

/// Words that show that a file reaches outside, with the files (or folders) that may, and why.
const REACH: &[(&str, &[&str], &[&str])] = &[
    (
        "the network",
        &["reqwest", "TcpListener", "TcpStream", "tokio::net", "axum"],
        &["run/http.rs", "run/trouble.rs", "reference/"],
    ),
    (
        "files",
        &["std::fs", "tokio::fs", "fs::", "File::", "OpenOptions"],
        &[
            "files.rs",
            "source/",
            "case/suite.rs",
            "spec/load.rs",
            "run/http.rs",
            "report/write.rs",
            "cli/",
        ],
    ),
    ("the environment", &["std::env", "env::var"], &["cli/"]),
    ("standard input", &["stdin()"], &["cli/"]),
    (
        "standard output and error",
        &["println!", "print!(", "stdout()", "stderr()"],
        // A test program tells its runner what failed.
        &["cli/", "harness.rs"],
    ),
    (
        "the clock",
        &["Instant::now", "SystemTime::now", "Timestamp::now"],
        &[
            "app.rs",
            "run/clean_up.rs",
            "run/courier.rs",
            "run/desk.rs",
            "run/engine.rs",
            "run/http.rs",
            "run/limits.rs",
            "run/perishable.rs",
            "reference/",
        ],
    ),
    ("the random source", &["getrandom"], &["run/env.rs", "reference/"]),
    (
        "waiting",
        &["async ", ".await", "tokio::"],
        &[
            "app.rs",
            "cli/test.rs",
            "harness.rs",
            "reference/",
            "run/beside.rs",
            "run/clean_up.rs",
            "run/courier.rs",
            "run/desk.rs",
            "run/desk/",
            "run/discover.rs",
            "run/engine.rs",
            "run/http.rs",
            "run/limits.rs",
            "run/operator.rs",
            "run/operator_proof.rs",
            "run/probe.rs",
            "run/program.rs",
            "run/stop.rs",
            "run/supplied_sessions.rs",
            "run/turns.rs",
            "selftest.rs",
            "selftest/",
        ],
    ),
    ("other processes", &["process::Command"], &["run/program.rs"]),
];

/// A file below `src`, without its comments and its unit tests.
struct File {
    /// Its path below `src`, with slashes.
    path: String,
    code: String,
}

impl File {
    /// The part that it belongs to: `run` for `run/http.rs`, `plan` for `plan.rs`.
    fn part(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }
}

fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    assert!(paths.len() > 40, "the source was not found");
    let below = |path: &Path| {
        let parts = path.strip_prefix(&root).unwrap().components();
        parts.map(|part| part.as_os_str().to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    paths
        .iter()
        .map(|path| File {
            path: below(path).join("/"),
            code: code(&std::fs::read_to_string(path).unwrap()),
        })
        .filter(|file| !["lib.rs", "main.rs"].contains(&file.path.as_str()))
        .filter(|file| !file.path.ends_with("/tests.rs"))
        .collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => collect(&path, paths),
            false if path.extension().is_some_and(|end| end == "rs") => paths.push(path),
            false => {}
        }
    }
}

/// The text without line comments, and only up to the unit tests, which stand last in a file.
fn code(text: &str) -> String {
    let whole = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = whole.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The names behind `prefix`, as in `crate::NAME`.
fn names_after<'c>(code: &'c str, prefix: &str) -> BTreeSet<&'c str> {
    let name = |rest: &'c str| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        &rest[..end.unwrap_or(rest.len())]
    };
    code.split(prefix).skip(1).map(name).collect()
}

#[test]
fn parts_use_only_what_stands_below_them() {
    let allowed: BTreeMap<&str, &[&str]> =
        PARTS.iter().map(|(name, uses, _)| (*name, *uses)).collect();
    let mut faults = Vec::new();
    for file in files() {
        let Some(allowed) = allowed.get(file.part()) else {
            faults.push(format!("src/{}: `{}` has no line in PARTS", file.path, file.part()));
            continue;
        };
        for name in names_after(&file.code, "crate::") {
            if name != file.part() && !allowed.contains(&name) {
                faults.push(format!("src/{} uses crate::{name}", file.path));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_order_of_the_parts_is_one_way_and_nothing_in_it_is_stale() {
    let mut below: BTreeSet<&str> = BTreeSet::new();
    let files = files();
    for (part, uses, why) in PARTS {
        assert!(!why.is_empty(), "{part} says why it stands there");
        let of_part = || files.iter().filter(|file| file.part() == *part);
        assert!(of_part().next().is_some(), "there is no part `{part}`");
        for name in *uses {
            assert!(below.contains(name), "`{part}` may use `{name}`, which stands above it");
            let used = of_part().any(|file| names_after(&file.code, "crate::").contains(name));
            assert!(used, "`{part}` no longer uses `{name}`: take it out of PARTS");
        }
        below.insert(part);
    }
}

/// A list in braces behind `crate::`, or so many `super::` that they leave the part, would be seen
/// by nobody here.
#[test]
fn no_way_of_writing_a_name_escapes_these_tests() {
    for file in files() {
        let folders = file.path.matches('/').count();
        let inner = |line: &&str| line.contains("mod ") && line.ends_with('{');
        let inline = usize::from(file.code.lines().any(|line| inner(&line)));
        let depth = folders + usize::from(!file.path.ends_with("/mod.rs")) + inline;
        for way in ["super::".repeat(depth), "crate::{".to_owned(), "self::super".to_owned()] {
            assert!(!file.code.contains(&way), "src/{}: write no `{way}`", file.path);
        }
    }
}

#[test]
fn the_run_is_layered_too() {
    let allowed: BTreeMap<&str, &[&str]> = RUN.iter().copied().collect();
    let mut faults = Vec::new();
    for file in files().iter().filter(|f| f.part() == "run" && f.path != "run/mod.rs") {
        let name = file.path.trim_start_matches("run/").trim_end_matches(".rs");
        let Some(allowed) = allowed.get(name) else {
            faults.push(format!("src/{} has no line in RUN", file.path));
            continue;
        };
        let mut used = names_after(&file.code, "super::");
        used.extend(names_after(&file.code, "crate::run::"));
        for other in used {
            if !allowed.contains(&other) {
                faults.push(format!("src/{} uses {other}", file.path));
            }
        }
    }
    let mut below: BTreeSet<&str> = BTreeSet::new();
    for (name, uses) in RUN {
        for other in *uses {
            assert!(below.contains(other), "`{name}` may use `{other}`, which stands above it");
        }
        below.insert(name);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn only_a_few_files_reach_outside() {
    let mut faults = Vec::new();
    for file in files() {
        for (what, words, may) in REACH {
            let allowed = may.iter().any(|place| {
                file.path == *place || (place.ends_with('/') && file.path.starts_with(place))
            });
            let word = words.iter().find(|word| file.code.contains(**word));
            if let Some(word) = word.filter(|_| !allowed) {
                faults.push(format!("src/{} reaches {what} by `{word}`", file.path));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What comes from a file or a server ends as a typed error, never as a panic.
#[test]
fn nothing_outside_tests_panics_on_purpose() {
    const WAYS: [&str; 6] =
        [".unwrap()", ".expect(", "panic!(", "unreachable!(", "todo!(", "unimplemented!("];
    for file in files() {
        for way in WAYS {
            assert!(!file.code.contains(way), "src/{}: `{way}` can end the program", file.path);
        }
    }
}
