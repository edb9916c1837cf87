//! The command line: options, config and accounts files, one file a command, progress.
mod accounts;
pub mod args;
mod checked;
mod compare;
mod confidential;
mod config;
mod duration;
mod explain;
mod gate;
mod list;
mod operator;
mod progress;
mod selftest;
mod target;
mod test;

use crate::accounts::operator::Operator;
use crate::baseline;
use crate::case::suite::Suite;
use crate::model::exit;
use crate::pipeline::Material;
use crate::redact::RedactedRun;
use crate::reference::FaultFileError;
use crate::report;
use crate::spec::Spec;
use crate::yaml::diagnostic::{Diagnostic, DiagnosticSeverity};
use crate::yaml::document::Document;
use args::{Cli, Command, OutputArgs};
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

/// Early end of a command: the text to print, and the exit status.
#[derive(Debug)]
pub struct Failure {
    /// The exit status.
    pub status: u8,
    /// For standard error.
    pub text: String,
}

impl Failure {
    fn new(status: u8, text: impl Into<String>) -> Failure {
        Failure { status, text: text.into() }
    }

    fn usage(text: impl std::fmt::Display) -> Failure {
        Failure::new(exit::USAGE, format!("error: {text}"))
    }
}

impl From<Vec<Diagnostic>> for Failure {
    fn from(faults: Vec<Diagnostic>) -> Failure {
        let color = colors_errors();
        let mut text: String = faults.iter().map(|fault| fault.render(color) + "\n").collect();
        let count = faults.len();
        text += &format!("error: {count} error{} in the files; no request was sent", plural(count));
        Failure::new(exit::FILES, text)
    }
}

impl From<report::RenderError> for Failure {
    fn from(error: report::RenderError) -> Failure {
        Failure::new(exit::OWN_FAULT, format!("error: {error}"))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        // A reader that has seen enough closes the pipe; that is no fault.
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::new(exit::CONFORMS, ""),
            _ => Failure::new(exit::OWN_FAULT, format!("error: cannot print: {error}")),
        }
    }
}

/// The file of faults inside the program is wrong; a test shows that it is not.
fn no_faults(error: &FaultFileError) -> Failure {
    Failure::new(exit::OWN_FAULT, format!("error: {error}"))
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Says where the program failed, and nothing of what it had in its hands: that may be a secret.
fn on_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line()));
    // A literal of the source is the one kind of message that is the same whatever the server says.
    let what = panic.payload().downcast_ref::<&str>().map(|text| format!(": {text}"));
    let (place, what) = (place.unwrap_or_default(), what.unwrap_or_default());
    let _ = say(&format!("internal error{place}{what}"));
}

/// Does what was typed and returns the exit status.
pub fn main() -> u8 {
    std::panic::set_hook(Box::new(on_panic));
    let typed: Vec<OsString> = std::env::args_os().collect();
    let matches = match Cli::command().try_get_matches_from(&typed) {
        Ok(matches) => matches,
        Err(error) => {
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(exit::USAGE);
        }
    };
    match options(matches, &typed).and_then(|(cli, operator)| dispatch(cli, operator)) {
        Ok(status) => status,
        Err(failure) => {
            if !failure.text.is_empty() {
                let _ = say(&failure.text);
            }
            failure.status
        }
    }
}

/// Options as the command line, the environment and the config file give them.
fn options(matches: ArgMatches, typed: &[OsString]) -> Result<(Cli, Operator), Failure> {
    let (matches, operator) = config::complete(matches, typed)?;
    if let Some((_, command)) = matches.subcommand() {
        let is_there = |id: &str| command.try_contains_id(id).is_ok_and(|is_there| is_there);
        if let Some((_, why)) = args::exclusive(is_there) {
            return Err(Failure::usage(why));
        }
    }
    Ok((Cli::from_arg_matches(&matches).map_err(config::refused)?, operator))
}

fn dispatch(cli: Cli, operator: Operator) -> Result<u8, Failure> {
    match cli.command {
        Command::Run(args) => test::run(*args, operator),
        Command::Demo(args) => test::demo(*args),
        Command::Serve(args) => test::serve(args),
        Command::Selftest(args) => selftest::selftest(&args),
        Command::List(args) => list::list(&args),
        Command::Explain { id, presupposes } => explain::explain(&id, presupposes),
        Command::Check { paths, spec } => check(&paths, spec.as_deref()),
        Command::Report { run, output } => render_again(&run, &output),
        Command::Compare { runs, format } => compare::compare(&runs, format),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "homespec", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
        Command::Man => {
            let mut page = Vec::new();
            for command in manual() {
                clap_mangen::Man::new(command).render(&mut page)?;
            }
            print(&String::from_utf8_lossy(&page))
        }
    }
}

/// The program and each of its commands, for one page after the other.
fn manual() -> Vec<clap::Command> {
    let mut whole = Cli::command();
    whole.build();
    let parts: Vec<_> = whole
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
        .map(|command| command.clone().display_name(format!("homespec-{}", command.get_name())))
        .collect();
    std::iter::once(whole).chain(parts).collect()
}

/// Prints a result to standard output.
fn print(text: &str) -> Result<u8, Failure> {
    let mut out = anstream::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(exit::CONFORMS)
}

/// Prints what is no result to standard error.
fn say(text: &str) -> std::io::Result<()> {
    writeln!(anstream::stderr(), "{}", text.trim_end())
}

fn colors_errors() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

fn colors_results() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}

/// Maximum number of columns of a result on a terminal: `COLUMNS`, else the terminal's width; none where
/// the output is something else.
fn width() -> Option<usize> {
    const USUAL: usize = 80;
    let given = || std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let there = || {
        let size = terminal_size::terminal_size_of(std::io::stdout());
        size.map(|(columns, _)| usize::from(columns.0)).filter(|columns| *columns > 0)
    };
    std::io::stdout().is_terminal().then(|| given().or_else(there).unwrap_or(USUAL))
}

/// The cases and specification files that the options ask for.
fn material(args: &args::TestArgs) -> Result<Material, Failure> {
    let suite = match (&args.only_cases, &args.cases) {
        (Some(only), _) => Some(Suite::from_path(only)?),
        (None, Some(more)) => Some(Suite::bundled()?.and(Suite::from_path(more)?)),
        (None, None) => None,
    };
    let spec = match &args.spec {
        Some(dir) => Some(spec(dir, suite.as_ref())?),
        None => None,
    };
    Ok(Material::load(suite, spec)?)
}

fn spec(dir: &Path, suite: Option<&Suite>) -> Result<Spec, Failure> {
    let (spec, warnings) = Material::spec_from(dir, suite)?;
    let files: BTreeSet<&str> = warnings.iter().map(|fault| fault.name.as_str()).collect();
    if !files.is_empty() {
        let files = files.into_iter().collect::<Vec<_>>().join(", ");
        say(&format!(
            "warning: no case needs what these files describe, and what is wrong in them is left out: {files}\n\
             (`homespec check --spec {}` shows it)",
            dir.display()
        ))?;
    }
    Ok(spec)
}

fn check(paths: &[PathBuf], spec: Option<&Path>) -> Result<u8, Failure> {
    if let Some(dir) = spec {
        return check_spec(dir, paths);
    }
    let faults = match paths {
        [] => Material::load(None, None).err().unwrap_or_default(),
        paths => {
            let suites: Vec<Suite> =
                paths.iter().filter_map(|path| Suite::from_path(path).ok()).collect();
            paths.iter().flat_map(|path| check_path(path, &suites)).collect()
        }
    };
    let (warnings, faults): (Vec<_>, Vec<_>) =
        faults.into_iter().partition(|fault| fault.severity == DiagnosticSeverity::Warning);
    for warning in &warnings {
        say(&warning.render(colors_errors()))?;
    }
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let what = match paths {
        [] => "the bundled cases".to_owned(),
        paths => paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", "),
    };
    print(&format!("{what}: no faults\n"))
}

fn check_spec(dir: &Path, paths: &[PathBuf]) -> Result<u8, Failure> {
    if !paths.is_empty() {
        return Err(Failure::usage("--spec and PATH cannot be combined"));
    }
    let bundled = |spec: &Spec| if spec.is_r0() { Spec::bundled_r0() } else { Spec::bundled_v1() };
    let spec = Spec::from_dir(dir)?;
    spec.compile()?;
    print(&crate::spec::describe(&spec, &bundled(&spec)?))
}

/// The faults of case files, of a config file, of one with accounts, or of a baseline, which may name the cases of the
/// suites given beside it.
fn check_path(path: &Path, suites: &[Suite]) -> Vec<Diagnostic> {
    if !path.is_dir() {
        let document = match Document::read(path, path.display().to_string()) {
            Ok(document) => document,
            // It may be no case file at all.
            Err(faults) => {
                let told = |fault| confidential::told_unless_cases(fault);
                return faults.into_iter().map(told).collect();
            }
        };
        let root = document.value();
        if root.is_array() {
            return accounts::check(&document, path.parent().unwrap_or(Path::new("")));
        }
        if [baseline::load::ROOT, baseline::BLOCKED].iter().any(|list| root.get(list).is_some()) {
            return gate::check(&document, suites);
        }
        if root.get("cases").is_none_or(|cases| !cases.is_array()) && root.get("about").is_none() {
            return config::check(&document);
        }
    }
    let load = || Material::load(Some(Suite::from_path(path)?), None);
    load().err().unwrap_or_default()
}

/// The run.json of an earlier run.
fn read_run(path: &Path) -> Result<crate::model::run::Run, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("{}: cannot be read: {error}", path.display())))?;
    report::read(&text)
        .map_err(|error| Failure::new(exit::FILES, format!("error: {}: {error}", path.display())))
}

fn render_again(path: &Path, output: &OutputArgs) -> Result<u8, Failure> {
    let run = read_run(path)?;
    let formats = formats(output);
    let folder = output.out.clone().unwrap_or_else(|| {
        path.parent().filter(|p| *p != Path::new("")).unwrap_or(Path::new(".")).to_owned()
    });
    // The run itself is where it was; only the other formats are rendered, unless it is asked for.
    let formats: Vec<_> = match output.report.is_empty() && output.out.is_none() {
        true => formats.into_iter().filter(|format| *format != report::Format::Json).collect(),
        false => formats,
    };
    let run = RedactedRun::from_file(run);
    let written = write(&folder, &report::Publisher::new(&run), &formats)?;
    print(&report::terminal(&run, &written.paths, width(), colors_results()))?;
    for why in &written.withheld {
        say(&format!("error: {why}"))?;
    }
    // The graver of two statuses: 130 and 70 come before 6.
    let graver = matches!(run.exit_status, exit::INTERRUPTED | exit::OWN_FAULT);
    Ok(if written.withheld.is_empty() || graver { run.exit_status } else { exit::REPORT })
}

fn formats(output: &OutputArgs) -> Vec<report::Format> {
    match output.report.as_slice() {
        [] => report::Format::DEFAULT.to_vec(),
        asked => asked.to_vec(),
    }
}

fn write(
    folder: &Path,
    reports: &report::Publisher<'_>,
    formats: &[report::Format],
) -> Result<report::Written, Failure> {
    report::write_all(folder, reports, formats)
        .map_err(|error| Failure::new(exit::REPORT, format!("error: {error}")))
}
