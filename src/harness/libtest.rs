//! The trials as a test program: its options and output are those of Rust's own, which `cargo test`, nextest and editors
//! know. Written here because the crates for it bring clap, which a homeserver would compile for its tests.
use crate::harness::{Harness, Outcome, Trial};
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};
use std::any::Any;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const HELP: &str = "\
Usage: [OPTIONS] [FILTER]...

Runs the tests whose names contain one of the filters, or all.

  --list                 List the tests
  --exact                Filters are whole names
  --skip FILTER          Leave out tests whose names contain this; may be repeated
  --ignored              Run ignored tests alone: none is known to be before it has run
  --test-threads N       How many tests run at once
  --format pretty|terse|json, -q, --color auto|always|never
";

const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default();

/// The status of a test program of which a test failed.
const FAILED: u8 = 101;

pub(super) fn main(harness: Harness) -> ExitCode {
    let done = Options::parse(std::env::args().skip(1)).and_then(|options| {
        if options.help {
            print!("{HELP}");
            return Ok(true);
        }
        let trials = harness.trials().map_err(|error| error.to_string())?;
        run(&options, trials).map_err(|error| format!("the results cannot be printed: {error}"))
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(why) => {
            eprintln!("Error: {why}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Format {
    #[default]
    Pretty,
    Terse,
    Json,
}

/// The options that change something.
#[derive(Default)]
struct Options {
    filters: Vec<String>,
    skip: Vec<String>,
    exact: bool,
    ignored: bool,
    list: bool,
    help: bool,
    threads: Option<NonZeroUsize>,
    format: Format,
    color: ColorChoice,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options::default();
        while let Some(word) = words.next() {
            let (name, given) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (word.as_str(), None),
            };
            let mut value =
                || given.clone().or_else(|| words.next()).ok_or(format!("{name} needs a value"));
            let wrong = |value: &str| format!("`{value}` is not a valid value of {name}");
            match name {
                "--list" => options.list = true,
                "--exact" => options.exact = true,
                "--ignored" => options.ignored = true,
                "-h" | "--help" => options.help = true,
                "-q" | "--quiet" => options.format = Format::Terse,
                "--skip" => options.skip.push(value()?),
                "--test-threads" => {
                    let number = value()?;
                    options.threads = Some(number.parse().map_err(|_| wrong(&number))?);
                }
                "--format" => {
                    options.format = match value()?.as_str() {
                        "pretty" => Format::Pretty,
                        "terse" => Format::Terse,
                        "json" => Format::Json,
                        other => return Err(wrong(other)),
                    }
                }
                "--color" => {
                    options.color = match value()?.as_str() {
                        "auto" => ColorChoice::Auto,
                        "always" => ColorChoice::Always,
                        "never" => ColorChoice::Never,
                        other => return Err(wrong(other)),
                    }
                }
                // Output is never captured, and no trial is known to be ignored before it has run.
                "--nocapture" | "--no-capture" | "--show-output" | "--include-ignored"
                | "--test" => {}
                "-Z" => drop(value()?),
                _ if name.starts_with('-') => return Err(format!("there is no option {name}")),
                _ => options.filters.push(word),
            }
        }
        Ok(options)
    }

    fn selects(&self, id: &str) -> bool {
        let matches = |filter: &String| if self.exact { id == filter } else { id.contains(filter) };
        !self.ignored
            && (self.filters.is_empty() || self.filters.iter().any(matches))
            && !self.skip.iter().any(matches)
    }
}

/// How a test ended: a failure is a text.
type End = Result<Outcome, String>;

/// Lists or runs the trials, and gives whether none failed.
fn run(options: &Options, trials: Vec<Trial>) -> io::Result<bool> {
    let all = trials.len();
    let trials: Vec<Trial> =
        trials.into_iter().filter(|trial| options.selects(trial.id())).collect();
    let mut printer = Printer {
        out: AutoStream::new(io::stdout(), options.color),
        format: options.format,
        width: trials.iter().map(|trial| trial.id().len()).max().unwrap_or_default(),
        filtered_out: all - trials.len(),
    };
    if options.list {
        trials.iter().try_for_each(|trial| writeln!(printer.out, "{}: test", trial.id()))?;
        return Ok(true);
    }
    printer.started(trials.len())?;
    let (begun, expected) = (Instant::now(), trials.len());
    let threads = options.threads.or_else(|| thread::available_parallelism().ok());
    let (ended, ends) = mpsc::channel();
    let queue = Mutex::new(trials.into_iter());
    let ends = thread::scope(|scope| {
        for _ in 0..threads.map_or(1, NonZeroUsize::get).min(expected) {
            let (ended, queue) = (ended.clone(), &queue);
            scope.spawn(move || {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(trial) = next else { break };
                    let id = trial.id().to_owned();
                    // Whoever no longer listens has said why.
                    let end = run_one(&id, trial);
                    let _ = ended.send((id, end));
                }
            });
        }
        let printed = |(id, end): (String, End)| printer.ended(&id, &end).map(|()| (id, end));
        ends.iter().take(expected).map(printed).collect::<io::Result<Vec<_>>>()
    })?;
    printer.summary(&ends, begun.elapsed())
}

fn run_one(id: &str, trial: Trial) -> End {
    let end = catch_unwind(AssertUnwindSafe(|| trial.run().map_err(|failure| failure.to_string())));
    let end = end.unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
    match &end {
        // A line is enough for what passes.
        Ok(Outcome::Warned(text)) => {
            eprintln!("{id}: warned: {}", first_line(text).trim_start_matches("Error: "));
        }
        // nextest shows a line of this form on standard error as the message of the failure.
        Err(failure) => eprintln!("{}", first_line(failure)),
        Ok(Outcome::Passed | Outcome::Ignored(_)) => {}
    }
    end
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied());
    text.map_or_else(|| "test panicked".to_owned(), |text| format!("test panicked: {text}"))
}

struct Printer<W> {
    out: W,
    format: Format,
    /// Of the longest name.
    width: usize,
    filtered_out: usize,
}

impl<W: Write> Printer<W> {
    fn started(&mut self, count: usize) -> io::Result<()> {
        match self.format {
            Format::Json => {
                self.event(&json!({"type": "suite", "event": "started", "test_count": count}))
            }
            Format::Pretty | Format::Terse => {
                writeln!(self.out, "\nrunning {count} test{}", if count == 1 { "" } else { "s" })
            }
        }
    }

    fn ended(&mut self, id: &str, end: &End) -> io::Result<()> {
        let (word, letter, style) = match end {
            Ok(Outcome::Passed | Outcome::Warned(_)) => ("ok", '.', GREEN),
            Ok(Outcome::Ignored(_)) => ("ignored", 'i', YELLOW),
            Err(_) => ("FAILED", 'F', RED),
        };
        match self.format {
            Format::Json => {
                self.event(&json!({"type": "test", "event": "started", "name": id}))?;
                let event = word.to_lowercase();
                self.event(&match end {
                    Ok(Outcome::Passed | Outcome::Warned(_)) => {
                        json!({"type": "test", "name": id, "event": event})
                    }
                    Ok(Outcome::Ignored(reason)) => {
                        json!({"type": "test", "name": id, "event": event, "message": reason})
                    }
                    Err(failure) => {
                        json!({"type": "test", "name": id, "event": event, "stdout": failure})
                    }
                })
            }
            Format::Terse => write!(self.out, "{style}{letter}{style:#}"),
            Format::Pretty => {
                let (reason, width) = match end {
                    Ok(Outcome::Ignored(reason)) => (format!(" ({reason})"), self.width),
                    Ok(Outcome::Passed | Outcome::Warned(_)) | Err(_) => {
                        (String::new(), self.width)
                    }
                };
                writeln!(self.out, "test {id:width$} ... {style}{word}{reason}{style:#}")
            }
        }?;
        self.out.flush()
    }

    /// The failures and the counts; gives whether there are no failures.
    fn summary(&mut self, ends: &[(String, End)], time: Duration) -> io::Result<bool> {
        let failures: Vec<(&str, &str)> = ends
            .iter()
            .filter_map(|(id, end)| Some((id.as_str(), end.as_ref().err()?.as_str())))
            .collect();
        let failed = failures.len();
        let is_ignored = |(_, end): &&(String, End)| matches!(end, Ok(Outcome::Ignored(_)));
        let ignored = ends.iter().filter(is_ignored).count();
        let (passed, filtered_out) = (ends.len() - failed - ignored, self.filtered_out);
        let (word, style) = if failed == 0 { ("ok", GREEN) } else { ("FAILED", RED) };
        let seconds = time.as_secs_f64();
        if self.format == Format::Json {
            self.event(&json!({
                "type": "suite", "event": word.to_lowercase(), "passed": passed, "failed": failed,
                "ignored": ignored, "measured": 0, "filtered_out": filtered_out,
                "exec_time": seconds,
            }))?;
            return Ok(failed == 0);
        }
        if failed > 0 {
            writeln!(self.out, "\nfailures:\n")?;
            for (id, text) in &failures {
                writeln!(self.out, "---- {id} ----\n{text}\n")?;
            }
            writeln!(self.out, "\nfailures:")?;
            failures.iter().try_for_each(|(id, _)| writeln!(self.out, "    {id}"))?;
        }
        writeln!(
            self.out,
            "\ntest result: {style}{word}{style:#}. {passed} passed; {failed} failed; {ignored} ignored; \
             0 measured; {filtered_out} filtered out; finished in {seconds:.2}s\n"
        )?;
        Ok(failed == 0)
    }

    fn event(&mut self, event: &Value) -> io::Result<()> {
        writeln!(self.out, "{event}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_those_that_test_runners_give() {
        let listing = options("--list --format terse").unwrap();
        assert!(listing.list && listing.selects("any"));
        // What nextest gives to run one test, and to list those that are ignored.
        let one = options("login::a --exact --nocapture").unwrap();
        assert!(one.selects("login::a") && !one.selects("login::a[x]"));
        assert!(!options("--list --format terse --ignored").unwrap().selects("login::a"));
        let several = options("login:: device:: --skip token --test-threads=3 -q").unwrap();
        assert!(several.selects("device::x") && !several.selects("login::token"));
        assert_eq!(several.threads.map(NonZeroUsize::get), Some(3));
    }

    /// What is printed of three tests in one format, without colours, and whether none failed.
    fn printed(format: Format) -> (String, bool) {
        let ends = [
            ("a::passes", Ok(Outcome::Passed)),
            ("a::applies", Ok(Outcome::Ignored("not offered".to_owned()))),
            ("a::fails", Err("Error: 200\nin full".to_owned())),
        ];
        let ends = ends.map(|(id, end)| (id.to_owned(), end));
        let out = anstream::StripStream::new(Vec::new());
        let mut printer = Printer { out, format, width: 10, filtered_out: 2 };
        printer.started(3).unwrap();
        ends.iter().for_each(|(id, end)| printer.ended(id, end).unwrap());
        let all_passed = printer.summary(&ends, Duration::from_millis(1500)).unwrap();
        (String::from_utf8(printer.out.into_inner()).unwrap(), all_passed)
    }

    #[test]
    fn results_are_printed_as_test_programs_print_them() {
        let result = "\ntest result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 2 filtered out; \
                      finished in 1.50s\n\n";
        let failures =
            "\nfailures:\n\n---- a::fails ----\nError: 200\nin full\n\n\nfailures:\n    a::fails\n";
        let pretty = "\nrunning 3 tests\ntest a::passes  ... ok\ntest a::applies ... ignored (not offered)\n\
                      test a::fails   ... FAILED\n";
        assert_eq!(printed(Format::Pretty), (format!("{pretty}{failures}{result}"), false));
        let terse = format!("\nrunning 3 tests\n.iF{failures}{result}");
        assert_eq!(printed(Format::Terse).0, terse);
        let events = printed(Format::Json).0;
        let events: Vec<Value> =
            events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events.len(), 8);
        assert_eq!(events[4]["message"], "not offered");
        assert_eq!(events[6]["stdout"], "Error: 200\nin full");
        assert_eq!((&events[7]["event"], &events[7]["failed"]), (&json!("failed"), &json!(1)));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (line, why) in [
            ("--format xml", "`xml` is not a valid value of --format"),
            ("--test-threads 0", "`0` is not a valid value of --test-threads"),
            ("--skip", "--skip needs a value"),
            ("--slow", "there is no option --slow"),
        ] {
            assert_eq!(options(line).err().as_deref(), Some(why));
        }
    }
}
