//! The tests of a mutant: those that come to its place, the fastest first, until one notices it.
use crate::build::Program;
use crate::{Paths, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A test, with the time that it takes and the mutants that it comes to.
#[derive(Debug, Clone)]
pub struct Test {
    pub program: String,
    pub name: String,
    pub takes: Duration,
    pub reaches: Vec<usize>,
}

/// What came of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Killed,
    TimedOut,
    Survived,
    /// No test comes to its place.
    Unreached,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Killed => "killed",
            Outcome::TimedOut => "timed out",
            Outcome::Survived => "survived",
            Outcome::Unreached => "unreached",
        }
    }
}

/// What a test needs at most, beside several times what it takes.
const AT_MOST: Duration = Duration::from_secs(15);

/// Runs every test by itself without a mutant. Those that fail are left out.
pub fn trace(paths: &Paths, programs: &[Program]) -> Result<Vec<Test>> {
    let mut tests = Vec::new();
    for program in programs {
        for name in names(paths, program)? {
            let file = paths.state.join("trace");
            let _ = std::fs::remove_file(&file);
            let started = Instant::now();
            let environment = [("MUTANT_TRACE", file.display().to_string())];
            let ended = run(paths, program, &[&name], &environment, Duration::from_secs(300))?;
            if ended != Some(true) {
                println!("left out: {} {name} does not pass", program.name);
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let mut reaches: Vec<usize> = text.lines().filter_map(|id| id.parse().ok()).collect();
            reaches.sort_unstable();
            reaches.dedup();
            let takes = started.elapsed();
            if !reaches.is_empty() {
                tests.push(Test { program: program.name.clone(), name, takes, reaches });
            }
        }
    }
    tests.sort_by_key(|test| (test.program != "lib", test.takes));
    Ok(tests)
}

fn names(paths: &Paths, program: &Program) -> Result<Vec<String>> {
    let output = Command::new(&program.path)
        .args(["--list", "--format", "terse"])
        .current_dir(&paths.copy)
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

/// Tries a mutant; gives also the test that noticed it, or one of those that did.
pub fn test(
    paths: &Paths,
    id: usize,
    tests: &[Test],
    programs: &[Program],
) -> Result<(Outcome, String)> {
    let reaching: Vec<&Test> =
        tests.iter().filter(|t| t.reaches.binary_search(&id).is_ok()).collect();
    let environment = [("MUTANT", id.to_string())];
    for batch in batches(&reaching) {
        let Some(first) = batch.first() else { continue };
        let Some(program) = programs.iter().find(|program| program.name == first.program) else {
            continue;
        };
        let names: Vec<&str> = batch.iter().map(|test| test.name.as_str()).collect();
        let takes: Duration = batch.iter().map(|test| test.takes).sum();
        let shown = format!("{} {}", first.program, first.name);
        match run(paths, program, &names, &environment, AT_MOST + takes * 3)? {
            None => return Ok((Outcome::TimedOut, shown)),
            Some(false) => return Ok((Outcome::Killed, shown)),
            Some(true) => {}
        }
    }
    let outcome = if reaching.is_empty() { Outcome::Unreached } else { Outcome::Survived };
    Ok((outcome, format!("{} tests", reaching.len())))
}

/// The unit tests in two parts, the fast ones first; the others one program at a time.
fn batches<'t>(tests: &[&'t Test]) -> Vec<Vec<&'t Test>> {
    let (units, others): (Vec<&Test>, Vec<&Test>) = tests.iter().partition(|t| t.program == "lib");
    let fast = units.len().min(40);
    let (fast, slow) = units.split_at(fast);
    let mut batches = vec![fast.to_vec(), slow.to_vec()];
    let mut by_program: BTreeMap<&str, Vec<&Test>> = BTreeMap::new();
    for test in others {
        by_program.entry(&test.program).or_default().push(test);
    }
    let mut rest: Vec<Vec<&Test>> = by_program.into_values().collect();
    rest.sort_by_key(|batch| batch.iter().map(|test| test.takes).sum::<Duration>());
    batches.extend(rest);
    batches
}

/// Whether these tests of a program pass; nothing if it had to be stopped.
fn run(
    paths: &Paths,
    program: &Program,
    names: &[&str],
    environment: &[(&str, String)],
    at_most: Duration,
) -> Result<Option<bool>> {
    let mut command = Command::new(&program.path);
    command.arg("--exact").args(names).current_dir(&paths.copy);
    command.env("CARGO_MANIFEST_DIR", &paths.copy).envs(environment.iter().cloned());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn()?;
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        if started.elapsed() > at_most {
            stop(&mut child)?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends a test program with what it started.
fn stop(child: &mut std::process::Child) -> Result<()> {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL)?;
    }
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// The tests as a table, a line each.
pub fn write(path: &Path, tests: &[Test]) -> Result<()> {
    let line = |test: &Test| {
        let reaches: Vec<String> = test.reaches.iter().map(usize::to_string).collect();
        let (millis, reaches) = (test.takes.as_millis(), reaches.join(" "));
        format!("{}\t{}\t{millis}\t{reaches}\n", test.program, test.name)
    };
    Ok(std::fs::write(path, tests.iter().map(line).collect::<String>())?)
}

/// Reads what [`write`] wrote.
pub fn read(path: &Path) -> Result<Vec<Test>> {
    let text = std::fs::read_to_string(path)?;
    let test = |line: &str| {
        let mut fields = line.split('\t').map(str::to_owned);
        let (program, name) = (fields.next()?, fields.next()?);
        let takes = Duration::from_millis(fields.next()?.parse().ok()?);
        let reaches = fields.next()?.split(' ').filter_map(|id| id.parse().ok()).collect();
        Some(Test { program, name, takes, reaches })
    };
    Ok(text.lines().filter_map(test).collect())
}
