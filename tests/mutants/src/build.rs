//! A copy of the workspace with all mutants compiled in, and its test programs.
use crate::find::{Mutant, mutants};
use crate::schemata::{SWITCH, Schemata, schemata};
use crate::{Paths, Result, error};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

/// The modules that give verdicts and their causes: folders and files below `src/`.
const SCOPE: [&str; 12] = [
    "baseline/apply.rs",
    "check/",
    "model/exit.rs",
    "model/reason.rs",
    "model/release.rs",
    "model/verdict.rs",
    "pipeline/assemble/",
    "plan/",
    "requirements/",
    "run/case_machine",
    "run/login_budget",
    "run/scheduler",
];

/// The mutant of a number, with its file.
#[derive(Debug, Clone)]
pub struct Known {
    pub file: String,
    pub mutant: Mutant,
}

impl Known {
    fn key(&self) -> String {
        format!("{} | {} | {}", self.file, self.mutant.function, self.mutant.change)
    }
}

/// A test program, by the name of its file under `tests/`, or `lib`.
#[derive(Debug, Clone)]
pub struct Program {
    pub name: String,
    pub path: String,
}

/// Copies the workspace, puts the mutants in, and compiles until only those are left that do.
pub fn build(paths: &Paths, tests: &[String]) -> Result<(BTreeMap<usize, Known>, Vec<Program>)> {
    copy(paths)?;
    let (mut known, list) = (find(paths)?, paths.state.join("refused"));
    // What did not compile once does not the next time.
    let before = std::fs::read_to_string(&list).unwrap_or_default();
    let mut refused_once: BTreeSet<String> = before.lines().map(str::to_owned).collect();
    println!("{} mutants", known.len());
    known.retain(|_, one| !refused_once.contains(&one.key()));
    loop {
        let files = write(paths, &known)?;
        let dropped = refused(&cargo(paths, &["check", "--lib"])?, &files)?;
        if dropped.is_empty() {
            break;
        }
        println!("{} do not compile", dropped.len());
        refused_once.extend(dropped.iter().filter_map(|id| known.get(id)).map(Known::key));
        std::fs::write(
            &list,
            refused_once.iter().map(|key| format!("{key}\n")).collect::<String>(),
        )?;
        known.retain(|id, _| !dropped.contains(id));
    }
    let mut arguments = vec!["test", "--no-run", "--lib"];
    arguments.extend(tests.iter().flat_map(|test| ["--test", test.as_str()]));
    let programs = cargo(paths, &arguments)?.iter().filter_map(program).collect::<Vec<_>>();
    match programs.len() == tests.len() + 1 {
        true => Ok((known, programs)),
        false => Err(error(
            "the tests do not compile in the copy; see the errors of `cargo test --no-run` there",
        )),
    }
}

fn copy(paths: &Paths) -> Result<()> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(&paths.root)
        .output()?;
    for name in String::from_utf8(listed.stdout)?.split('\0').filter(|name| !name.is_empty()) {
        // One that was deleted and not yet committed.
        let Ok(bytes) = std::fs::read(paths.root.join(name)) else { continue };
        let bytes = match name {
            "Cargo.toml" => {
                let text = String::from_utf8(bytes)?;
                // Compiling takes longer than all tests.
                format!("{text}\n[profile.dev.package.homespec]\nopt-level = 0\ndebug = 0\n")
                    .into_bytes()
            }
            // The mutant reaches the programs that tests start.
            name if name.starts_with("tests/") && name.ends_with(".rs") => {
                let kept = ".env_clear().envs(std::env::vars().filter(|(n, _)| n.starts_with(\"MUTANT\")))";
                String::from_utf8(bytes)?.replace(".env_clear()", kept).into_bytes()
            }
            _ => bytes,
        };
        if !is_in_scope(name) {
            write_if_new(&paths.copy.join(name), &bytes)?;
        }
    }
    let lib = std::fs::read_to_string(paths.root.join("src/lib.rs"))?;
    write_if_new(&paths.copy.join("src/lib.rs"), (lib + SWITCH).as_bytes())
}

/// Whether a file is mutated.
fn is_in_scope(name: &str) -> bool {
    let below = name.strip_prefix("src/").filter(|name| name.ends_with(".rs"));
    below.is_some_and(|name| {
        SCOPE.iter().any(|scope| name.starts_with(scope)) && !name.contains("tests")
    })
}

/// Writes a file that differs: cargo compiles again what is newer.
fn write_if_new(path: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(path, bytes)?)
}

fn find(paths: &Paths) -> Result<BTreeMap<usize, Known>> {
    let mut known = BTreeMap::new();
    for file in sources(paths, "src")? {
        let found = mutants(&std::fs::read_to_string(paths.root.join(&file))?)?;
        for mutant in found {
            known.insert(known.len(), Known { file: file.clone(), mutant });
        }
    }
    Ok(known)
}

fn sources(paths: &Paths, folder: &str) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(paths.root.join(folder))? {
        let entry = entry?;
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            found.extend(sources(paths, &name)?);
        } else if is_in_scope(&name) {
            found.insert(name);
        }
    }
    Ok(found)
}

fn write(paths: &Paths, known: &BTreeMap<usize, Known>) -> Result<BTreeMap<String, Schemata>> {
    let mut files = BTreeMap::new();
    for name in sources(paths, "src")? {
        let of_file = known.iter().filter(|(_, known)| known.file == name);
        let of_file: Vec<_> = of_file.map(|(id, known)| (*id, &known.mutant)).collect();
        let result = schemata(&std::fs::read_to_string(paths.root.join(&name))?, &of_file);
        write_if_new(&paths.copy.join(&name), result.text.as_bytes())?;
        files.insert(name, result);
    }
    Ok(files)
}

/// Runs cargo in the copy, and gives its messages.
fn cargo(paths: &Paths, arguments: &[&str]) -> Result<Vec<Value>> {
    println!("cargo {}", arguments.join(" "));
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(arguments)
        .args(["-p", "homespec", "--message-format", "json", "--offline"])
        .env("CARGO_TARGET_DIR", &paths.target)
        .current_dir(&paths.copy)
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn program(message: &Value) -> Option<Program> {
    let is_test = message.pointer("/profile/test")?.as_bool()?;
    let path = message.get("executable")?.as_str().filter(|_| is_test)?.to_owned();
    let is_lib = message.pointer("/target/kind/0")?.as_str()? == "lib";
    let name = if is_lib { "lib" } else { message.pointer("/target/name")?.as_str()? };
    Some(Program { name: name.to_owned(), path })
}

/// The mutants that the compiler refuses.
fn refused(messages: &[Value], files: &BTreeMap<String, Schemata>) -> Result<BTreeSet<usize>> {
    let mut refused = BTreeSet::new();
    let errors = messages.iter().filter_map(|message| message.get("message"));
    for error in errors.filter(|error| error.get("level").and_then(Value::as_str) == Some("error"))
    {
        let spans = spans(error);
        let Some(ids) = blamed(&spans, files) else {
            if spans.is_empty() {
                continue;
            }
            return Err(crate::error(&format!("{}", error.get("rendered").unwrap_or(error))));
        };
        refused.extend(ids);
    }
    Ok(refused)
}

/// The places of an error, the main ones first.
fn spans(error: &Value) -> Vec<(&str, usize)> {
    let place = |span: &'_ Value| {
        let start = usize::try_from(span.get("byte_start")?.as_u64()?).ok()?;
        let is_main = span.get("is_primary")?.as_bool()?;
        Some((!is_main, start))
    };
    let all = error.get("spans").and_then(Value::as_array).into_iter().flatten();
    let mut found: Vec<_> = all
        .filter_map(|span| {
            let (is_other, start) = place(span)?;
            Some((is_other, (span.get("file_name")?.as_str()?, start)))
        })
        .collect();
    found.sort_by_key(|(is_other, _)| *is_other);
    found.into_iter().map(|(_, place)| place).collect()
}

/// The mutant whose own text has the error; else those around it.
fn blamed(spans: &[(&str, usize)], files: &BTreeMap<String, Schemata>) -> Option<Vec<usize>> {
    let around = |is_changed: bool| {
        spans.iter().find_map(|(file, at)| {
            let places = files.get(*file)?.places.iter();
            let holds = places.filter(|p| p.is_changed == is_changed && p.range.contains(at));
            let inner = holds.min_by_key(|place| place.range.len())?;
            (!inner.ids.is_empty()).then(|| inner.ids.clone())
        })
    };
    around(true).or_else(|| around(false))
}
