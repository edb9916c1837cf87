//! Changes the modules of homespec that give verdicts, one place at a time, and counts what the tests notice.
//!
//! All changes are compiled in at once, each behind a question to an environment variable: a build for each would take
//! days. See CONTRIBUTING.md, "Mutants".
mod build;
mod find;
mod run;
mod schemata;

use build::Program;
use run::Outcome;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{OpenOptions, read_to_string};
use std::io::Write as _;
use std::path::{Path, PathBuf};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "\
homespec-mutants build [--lib] [--test NAME]…
                                        puts all changes into a copy, builds it, and sees which tests come to which;
                                        with --lib only unit tests and those named
homespec-mutants run [--shard K/N] [--file PART] [--survivors]
                                        tries those that are not yet in the results; again those that
                                        survived or took too long
homespec-mutants report                 a table by file, and what survived without a reason";

/// The process tests that look for what the unit tests leave; the kill matrix is not one of them.
const TESTS: [&str; 7] =
    ["bad_cases", "baseline", "case_lint", "causes", "compare", "conformance", "reports"];

/// The reasons of survivors: file, function, change and reason, separated by ` | `.
const REASONS: &str = "tests/mutants/survivors.txt";

pub struct Paths {
    pub root: PathBuf,
    /// The copy with the changes.
    pub copy: PathBuf,
    pub target: PathBuf,
    /// Lists of mutants, tests and results.
    pub state: PathBuf,
}

fn error(text: &str) -> Box<dyn std::error::Error> {
    text.to_owned().into()
}

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let target = root.join("target");
    let state = target.join("mutants");
    let paths = Paths { copy: state.join("tree"), root, target, state };
    std::fs::create_dir_all(&paths.state)?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let values = |name: &str| {
        let pairs = arguments.windows(2).filter(|pair| pair.first().is_some_and(|one| one == name));
        pairs.filter_map(|pair| pair.last().cloned()).collect::<Vec<String>>()
    };
    match arguments.first().map(String::as_str) {
        Some("build") => {
            let all = || TESTS.map(str::to_owned).to_vec();
            match (values("--test"), arguments.iter().any(|one| one == "--lib")) {
                (tests, false) if tests.is_empty() => prepare(&paths, &all()),
                (tests, _) => prepare(&paths, &tests),
            }
        }
        Some("run") => {
            let shard = values("--shard").first().map_or(Ok((1, 1)), |text| shard(text))?;
            let again = arguments.iter().any(|one| one == "--survivors");
            try_all(&paths, shard, values("--file").first().map_or("", |part| part), again)
        }
        Some("report") => report(&paths),
        _ => Err(error(USAGE)),
    }
}

fn shard(text: &str) -> Result<(usize, usize)> {
    let (which, of) = text.split_once('/').ok_or_else(|| error("--shard takes K/N"))?;
    match (which.parse()?, of.parse()?) {
        (which, of) if 1 <= which && which <= of => Ok((which, of)),
        _ => Err(error("--shard takes K/N with K from 1 to N")),
    }
}

/// A mutant as the lists have it: file, line, function and change.
type Listed = (String, usize, String, String);

fn key((file, _, function, change): &Listed) -> String {
    format!("{file} | {function} | {change}")
}

fn prepare(paths: &Paths, tests: &[String]) -> Result<()> {
    let (known, programs) = build::build(paths, tests)?;
    let line = |(id, known): (&usize, &build::Known)| {
        let find::Mutant { line, function, change, .. } = &known.mutant;
        format!("{id}\t{}\t{line}\t{function}\t{change}\n", known.file)
    };
    let list: String = known.iter().map(line).collect();
    std::fs::write(paths.state.join("mutants.tsv"), list)?;
    let line = |program: &Program| format!("{}\t{}\n", program.name, program.path);
    let list: String = programs.iter().map(line).collect();
    std::fs::write(paths.state.join("programs.tsv"), list)?;
    println!("{} mutants compile; running each test once", known.len());
    run::write(&paths.state.join("tests.tsv"), &run::trace(paths, &programs)?)
}

fn mutants(paths: &Paths) -> Result<BTreeMap<usize, Listed>> {
    let text = read_to_string(paths.state.join("mutants.tsv"))?;
    let one = |line: &str| {
        let mut fields = line.split('\t');
        let (id, file, at) = (fields.next()?.parse().ok()?, fields.next()?, fields.next()?);
        let of = (file.to_owned(), at.parse().ok()?);
        Some((id, (of.0, of.1, fields.next()?.to_owned(), fields.next()?.to_owned())))
    };
    Ok(text.lines().filter_map(one).collect())
}

/// The last result of each mutant by its key, without its line: one that moved is no other mutant.
fn results(paths: &Paths) -> BTreeMap<(String, usize), String> {
    let text = read_to_string(paths.state.join("results.tsv")).unwrap_or_default();
    let one = |line: &str| {
        let mut fields = line.split('\t');
        let key = (fields.next()?.to_owned(), fields.next()?.parse().ok()?);
        Some((key, fields.next()?.to_owned()))
    };
    text.lines().filter_map(one).collect()
}

type Numbered<'m> = (usize, &'m Listed, (String, usize));

/// The mutants with their keys, and the number of each among those of the same key.
fn numbered(mutants: &BTreeMap<usize, Listed>) -> Vec<Numbered<'_>> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut number = |key: String| {
        let nth = seen.entry(key.clone()).or_default();
        *nth += 1;
        (key, *nth)
    };
    mutants.iter().map(|(id, one)| (*id, one, number(key(one)))).collect()
}

fn is_survivor(outcome: &str) -> bool {
    [Outcome::Survived, Outcome::Unreached].iter().any(|one| one.as_str() == outcome)
}

fn try_all(paths: &Paths, (which, of): (usize, usize), file: &str, again: bool) -> Result<()> {
    let (mutants, tests) = (mutants(paths)?, run::read(&paths.state.join("tests.tsv"))?);
    let programs = read_to_string(paths.state.join("programs.tsv"))?;
    let program = |line: &str| {
        let (name, path) = line.split_once('\t')?;
        Some(Program { name: name.to_owned(), path: path.to_owned() })
    };
    let programs: Vec<Program> = programs.lines().filter_map(program).collect();
    let done = results(paths);
    let open = |(id, one, key): &Numbered<'_>| {
        let is_open =
            done.get(key).is_none_or(|outcome| again && outcome != Outcome::Killed.as_str());
        is_open && id % of == which - 1 && one.0.contains(file)
    };
    // All shards write to it at a time, a line at once.
    let mut log =
        OpenOptions::new().append(true).create(true).open(paths.state.join("results.tsv"))?;
    for (id, (file, line, ..), (key, nth)) in numbered(&mutants).into_iter().filter(open) {
        let (outcome, by) = run::test(paths, id, &tests, &programs)?;
        log.write_all(format!("{key}\t{nth}\t{}\t{by}\n", outcome.as_str()).as_bytes())?;
        if is_survivor(outcome.as_str()) {
            println!("{}: {file}:{line} {key}", outcome.as_str());
        }
    }
    Ok(())
}

fn report(paths: &Paths) -> Result<()> {
    let (mutants, done) = (mutants(paths)?, results(paths));
    let reasons = read_to_string(paths.root.join(REASONS)).unwrap_or_default();
    let explained: BTreeSet<&str> = reasons
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.rsplit_once(" | ")?.0.trim()))
        .collect();
    let mut table: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    let (mut open, mut alive) = (Vec::new(), BTreeSet::new());
    for (_, one, key) in numbered(&mutants) {
        let column = match done.get(&key).map(String::as_str) {
            None => 3,
            Some(outcome) if is_survivor(outcome) => 1,
            Some(outcome) if outcome == Outcome::TimedOut.as_str() => 2,
            Some(_) => 0,
        };
        for row in [one.0.as_str(), "all"] {
            if let Some(count) = table.entry(row).or_default().get_mut(column) {
                *count += 1;
            }
        }
        if column == 1 {
            if !explained.contains(key.0.as_str()) {
                open.push(format!("{}:{} {} | {}", one.0, one.1, one.2, one.3));
            }
            alive.insert(key.0);
        }
    }
    println!("{:<40} killed survived timeout untried  killed %", "file");
    for (file, [killed, survived, timeout, untried]) in table {
        let tried = (killed + survived + timeout).max(1);
        let share = (killed + timeout) * 1000 / tried;
        println!(
            "{file:<40} {killed:>6} {survived:>8} {timeout:>7} {untried:>7} {:>7}.{}",
            share / 10,
            share % 10
        );
    }
    println!("\nsurvived without a reason in {REASONS}: {}", open.len());
    open.iter().for_each(|line| println!("{line}"));
    for gone in explained.iter().filter(|key| !alive.contains(**key)) {
        println!("in {REASONS}, but did not survive: {gone}");
    }
    Ok(())
}
