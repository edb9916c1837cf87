//! Which part of the crate may use which, held over the `crate::` names in the source: everything
//! points one way, the reference homeserver stands alone, and only a few files touch network,
//! files, clock or environment.
//!
//! Unit tests inside a file are left out: they may use whatever shows best what they test.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A part of the crate (a file or folder below `src`), what it may use of the other parts, and why
/// it stands where it stands. From the bottom up: a part may only use what stands above it here.
const PARTS: &[(&str, &[&str], &str)] = &[
    ("bundled", &[], "files as text and what the build script read of them, nothing else"),
    ("files", &[], "writing whole files; knows no content"),
    ("model", &[], "run.json is a value of it: it knows nothing of how that came to be"),
    ("yaml", &["bundled"], "text with places, and faults of files as data"),
    (
        "redact",
        &["model"],
        "replaces secrets in a run; knows the forms of a text, not where it comes from",
    ),
    ("requirements", &["bundled", "model", "yaml"], "read from a file"),
    ("spec", &["bundled", "yaml"], "read from files, of any release"),
    (
        "case",
        &["bundled", "model", "yaml"],
        "read from files alone; what needs register or specification is `plan`'s",
    ),
    (
        "http",
        &["case", "model", "redact"],
        "requests and answers, and all that is between; never what an answer means for a requirement",
    ),
    (
        "check",
        &["case", "http", "model", "requirements", "spec"],
        "answers and expectations in, findings out; never how an answer was got",
    ),
    (
        "plan",
        &["case", "check", "http", "model", "requirements", "spec", "yaml"],
        "pure: needs no part of the run, and of http only messages and what is given",
    ),
    (
        "baseline",
        &["case", "check", "model", "requirements", "yaml"],
        "a file, and runs compared with it and with each other",
    ),
    (
        "accounts",
        &["case", "http", "model", "plan", "redact"],
        "opens, proves and cleans up accounts; knows no case in flight",
    ),
    (
        "run",
        &["accounts", "case", "check", "http", "model", "plan", "redact", "requirements"],
        "carries out a plan; knows nothing of reports, selection and the command line",
    ),
    (
        "pipeline",
        &[
            "accounts",
            "baseline",
            "case",
            "check",
            "http",
            "model",
            "plan",
            "redact",
            "requirements",
            "run",
            "spec",
            "yaml",
        ],
        "load, probe, plan, run, assemble: once",
    ),
    (
        "report",
        &["baseline", "files", "model", "redact"],
        "pure functions of a run, and a last look for secrets in them",
    ),
    ("reference", &[], "no mirror of the checks: a package of its own, which cannot use the rest"),
    (
        "harness",
        &[
            "accounts",
            "baseline",
            "case",
            "check",
            "http",
            "model",
            "pipeline",
            "plan",
            "redact",
            "report",
            "requirements",
            "run",
            "yaml",
        ],
        "the library interface for a test binary, next to the command line",
    ),
    (
        "selftest",
        &[
            "accounts",
            "http",
            "model",
            "pipeline",
            "plan",
            "reference",
            "requirements",
            "run",
            "spec",
            "yaml",
        ],
        "the pipeline against every fault of the reference homeserver",
    ),
    (
        "cli",
        &[
            "accounts",
            "baseline",
            "case",
            "check",
            "files",
            "http",
            "model",
            "pipeline",
            "plan",
            "redact",
            "reference",
            "report",
            "requirements",
            "run",
            "selftest",
            "spec",
            "yaml",
        ],
        "on top of everything; nothing uses it",
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

/// The parts whose files are layered, and how a file names another of its part beside `super::`.
const LAYERED: [&str; 4] = ["accounts", "http", "reference", "run"];

#[test]
fn layered_parts_have_no_import_circles() {
    let files = files();
    for part in LAYERED {
        let of_part: Vec<&File> = files.iter().filter(|file| file.part() == part).collect();
        let name = |file: &File| {
            let inside = file.path.trim_start_matches(part).trim_start_matches('/');
            inside.split(['/', '.']).next().unwrap_or_default().to_owned()
        };
        let known: BTreeSet<String> = of_part.iter().map(|file| name(file)).collect();
        let path = format!("crate::{part}::");
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for file in of_part.iter().filter(|file| !file.path.ends_with("/mod.rs")) {
            let (own, all) = (name(file), uses.entry(name(file)).or_default());
            for other in siblings(file).into_iter().chain(names_after(&file.code, &path)) {
                // What is no file stands in `mod.rs`, which names all files.
                assert!(known.contains(other), "src/{} uses {other} of {part}/mod.rs", file.path);
                all.extend(Some(other.to_owned()).filter(|other| *other != own));
            }
        }
        assert!(uses.values().map(BTreeSet::len).sum::<usize>() > 2, "no imports in {part}");
        // What uses nothing that is left is taken away; a circle stays.
        while let Some(free) = uses.iter().find(|(_, used)| used.is_empty()).map(|(name, _)| name) {
            let free = free.clone();
            uses.remove(&free);
            for used in uses.values_mut() {
                used.remove(&free);
            }
        }
        assert!(uses.is_empty(), "{part}: in circles, or on top of one: {uses:?}");
    }
}

/// Words that show that a file reaches outside, with the files (or folders) that may, and why.
const REACH: &[(&str, &[&str], &[&str])] = &[
    (
        "the network",
        &["reqwest", "TcpListener", "TcpStream", "tokio::net", "axum"],
        &["http/client.rs", "http/error.rs", "reference/"],
    ),
    (
        "files",
        &["std::fs", "tokio::fs", "fs::", "File::", "OpenOptions"],
        &[
            "files.rs",
            "yaml/document/",
            "case/suite.rs",
            "spec/load.rs",
            "http/client.rs",
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
        &["cli/", "harness/"],
    ),
    (
        "the clock",
        &["Instant::now", "SystemTime::now", "Timestamp::now"],
        &[
            "pipeline/finish.rs",
            "pipeline/probe.rs",
            "pipeline/active_run.rs",
            "accounts/cleanup.rs",
            "http/sender.rs",
            "accounts/pool.rs",
            "accounts/pool/",
            "run/case_runner.rs",
            "http/client.rs",
            "http/rate_limit.rs",
            "pipeline/limit_waits.rs",
            "run/attempt.rs",
            "run/remedy.rs",
            "cli/progress.rs",
            "run/login_budget.rs",
            "reference/",
        ],
    ),
    ("the random source", &["getrandom"], &["accounts/random.rs", "reference/"]),
    (
        "waiting",
        &["async ", ".await", "tokio::"],
        &[
            "pipeline/mod.rs",
            "pipeline/probe.rs",
            "pipeline/active_run.rs",
            "cli/test.rs",
            "harness/",
            "reference/",
            "http/background.rs",
            "accounts/cleanup.rs",
            "accounts/uia.rs",
            "http/sender.rs",
            "accounts/pool.rs",
            "accounts/pool/",
            "http/discovery.rs",
            "run/executor.rs",
            "http/client.rs",
            "http/rate_limit.rs",
            "http/rate_limit/notice.rs",
            "pipeline/limit_waits.rs",
            "run/attempt.rs",
            "run/remedy.rs",
            "accounts/operator.rs",
            "accounts/operator_proof.rs",
            "run/probe.rs",
            "run/probe/login_tokens.rs",
            "run/probe/no_target.rs",
            "accounts/command.rs",
            "http/cancel.rs",
            "accounts/supplied_cleanup.rs",
            "run/case_runner.rs",
            "run/login_budget.rs",
            "run/scheduler.rs",
            "selftest/",
        ],
    ),
    ("other processes", &["process::Command"], &["accounts/command.rs"]),
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
        .filter(|file| !file.path.ends_with("tests.rs") && !file.path.contains("/tests/"))
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
