//! `homespec.yaml`: its values are the defaults of the options of `run`, so that an option that is
//! typed or in the environment comes before it.
use super::args::{self, Cli};
use super::operator::{self, ReadSecret};
use super::{Failure, confidential};
use crate::accounts::operator::Operator;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::document::{Document, Part};
use crate::yaml::reader::Reader;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, ArgMatches, CommandFactory as _, ValueHint};
use serde_json::Value;
use std::error::Error as _;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The file that is looked for in the working directory.
const DEFAULT_NAME: &str = "homespec.yaml";
/// The command whose options it has.
const COMMAND: &str = "run";
/// Options of that command that are only typed.
const ONLY_TYPED: [&str; 5] = ["config", "dry_run", "update_baseline", "verbose", "help"];
/// The key that has no option.
const OPERATOR: &str = "operator";

/// The values of each option that is in a file, by its id.
type Values = Vec<(String, Vec<OsString>)>;

/// Reads what was typed once more, with the values of the config file as defaults. Paths in the
/// file are relative to its folder. Gives also what is under `operator:`, which has no option.
///
/// # Errors
/// Every fault of the file; a file that was named and cannot be read.
pub fn complete(
    matches: ArgMatches,
    typed: &[OsString],
) -> Result<(ArgMatches, Operator), Failure> {
    let Some(run) = matches.subcommand_matches(COMMAND) else {
        return Ok((matches, Operator::default()));
    };
    let named = run.get_one::<PathBuf>("config");
    let path = named.cloned().unwrap_or_else(|| PathBuf::from(DEFAULT_NAME));
    if named.is_none() && !path.is_file() {
        return Ok((matches, Operator::default()));
    }
    let (mut values, operator) = read(&path).map_err(told)?;
    // Both say where the homeserver is: one that was given overrides both of the file.
    const TARGET: [&str; 2] = ["url", "discover"];
    if TARGET.iter().any(|id| run.contains_id(id)) {
        values.retain(|(id, _)| !TARGET.contains(&id.as_str()));
    }
    let matches = with_defaults(values).try_get_matches_from(typed).map_err(refused)?;
    Ok((matches, operator))
}

fn with_defaults(values: Values) -> clap::Command {
    Cli::command().mut_subcommand(COMMAND, |run| {
        let set = |run: clap::Command, (id, values)| {
            run.mut_arg(id, |arg: Arg| arg.default_values(values))
        };
        values.into_iter().fold(run, set)
    })
}

/// The failure for what clap refuses only with the values of the file.
pub fn refused(error: clap::Error) -> Failure {
    Failure::usage(error.to_string().trim_start_matches("error: "))
}

/// The faults of a config file; files with secrets that it names are not read.
pub fn check(document: &Document) -> Vec<Diagnostic> {
    let nothing = |_: &Path| Ok(String::new().into());
    let exclusive = |(values, _): (Values, Operator)| {
        let is_there = |id: &str| values.iter().any(|(there, _)| there == id);
        let (id, why) = args::exclusive(is_there)?;
        Some(document.root().nearest(&id.replace('_', "-")).key_fault(why))
    };
    told(match from_document(document, Path::new(""), &nothing) {
        Ok(file) => exclusive(file).into_iter().collect(),
        Err(faults) => faults,
    })
}

fn read(path: &Path) -> Result<(Values, Operator), Vec<Diagnostic>> {
    let document = Document::read(path, path.display().to_string())?;
    if confidential::holds_secrets(document.text()) {
        confidential::warn_if_others_can_read(path);
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    from_document(&document, folder, &super::accounts::secret)
}

/// Faults without the lines of the file, if it may hold secrets.
fn told(faults: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let options = options();
    let keys: Vec<&str> = options.iter().map(key).chain([OPERATOR]).collect();
    faults.into_iter().map(|fault| confidential::told_if_secret(fault, &keys)).collect()
}

/// The options that a file may have.
fn options() -> Vec<Arg> {
    let command = Cli::command();
    let of_run = command.find_subcommand(COMMAND).into_iter().flat_map(|run| run.get_arguments());
    of_run.filter(|arg| !ONLY_TYPED.contains(&arg.get_id().as_str())).cloned().collect()
}

fn key(arg: &Arg) -> &str {
    arg.get_long().unwrap_or(arg.get_id().as_str())
}

fn from_document(
    document: &Document,
    folder: &Path,
    read_secret: ReadSecret<'_>,
) -> Result<(Values, Operator), Vec<Diagnostic>> {
    let options = options();
    let keys: Vec<&str> = options.iter().map(key).chain([OPERATOR]).collect();
    let (mut reader, root) = Reader::new(document);
    reader.object(root, "a config file", &keys);
    let values = options.iter().filter_map(|arg| {
        let values = values(&mut reader, arg, root.member(key(arg))?, folder)?;
        Some((arg.get_id().to_string(), values))
    });
    let values = values.collect();
    let operator =
        root.member(OPERATOR).map(|node| operator::read(&mut reader, node, folder, read_secret));
    reader.finish((values, operator.unwrap_or_default()))
}

/// The values of an option, as they would be typed.
fn values<'d>(
    reader: &mut Reader<'d>,
    arg: &Arg,
    part: Part<'d>,
    folder: &Path,
) -> Option<Vec<OsString>> {
    let what = format!("`{}`", key(arg));
    if !arg.get_action().takes_values() {
        return Some(vec![reader.value::<bool>(part, &what)?.to_string().into()]);
    }
    let is_list = matches!(arg.get_action(), ArgAction::Append) && part.value().is_array();
    let parts: Vec<Part<'d>> =
        if is_list { reader.list(part, &what).collect() } else { vec![part] };
    let value = |part: Part<'d>| {
        let text = match part.value() {
            Value::Number(number) => number.to_string(),
            _ => reader.string(part, &what)?.to_owned(),
        };
        if let Some(fault) = refusal(arg, part, &text) {
            reader.add(fault);
            return None;
        }
        let is_path = arg.get_value_hint() == ValueHint::AnyPath;
        Some(if is_path { folder.join(text).into_os_string() } else { text.into() })
    };
    parts.into_iter().map(value).collect()
}

/// The fault of a text that clap does not take as value of the option.
fn refusal(arg: &Arg, part: Part<'_>, text: &str) -> Option<Diagnostic> {
    let typed = match arg.get_long() {
        Some(long) => vec![format!("--{long}={text}")],
        None => vec!["--".to_owned(), text.to_owned()],
    };
    let alone = clap::Command::new(COMMAND).no_binary_name(true).arg(arg.clone());
    let error = alone.try_get_matches_from(typed).err()?;
    let is_secret = confidential::holds_secrets(part.document().text());
    let shown = if is_secret { String::new() } else { format!(" `{text}`") };
    let why = error.source().map(ToString::to_string);
    let why = why.filter(|why| !is_secret || !why.contains(text));
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    let fault = part.fault(format!("invalid value{shown} for `{}`{why}", key(arg)));
    Some(match (error.get(ContextKind::SuggestedValue), error.get(ContextKind::ValidValue)) {
        (Some(ContextValue::String(near)), _) => fault.with_help(format!("did you mean `{near}`?")),
        (_, Some(ContextValue::Strings(all))) if !all.is_empty() => {
            fault.with_help(format!("one of: {}", all.join(", ")))
        }
        _ => fault,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::parser::ValueSource;
    use std::process::Command;

    /// Set for the child process that has every variable.
    const CHILD: &str = "HOMESPEC_TEST_ALL_VARIABLES";

    /// Three values of an option, for the file, the environment and the command line; where there
    /// are fewer the first ones come again.
    fn samples(arg: &Arg) -> [String; 3] {
        let names = arg.get_possible_values();
        let words = match (arg.get_id().as_str(), arg.get_value_names()) {
            _ if !arg.get_action().takes_values() => vec!["true", "false", "true"],
            _ if !names.is_empty() => names.iter().map(|word| word.get_name()).collect(),
            ("report", _) => vec!["json", "junit", "html"],
            ("require", _) => vec!["password", "token", "sso"],
            (_, Some([name])) if ["DURATION", "N"].contains(&name.as_str()) => {
                vec!["11", "22", "33"]
            }
            _ => vec!["a", "b", "c"],
        };
        let mut words = words.into_iter().cycle();
        [(); 3].map(|()| words.next().unwrap().to_owned())
    }

    fn variable(arg: &Arg) -> &str {
        arg.get_env().and_then(|name| name.to_str()).unwrap()
    }

    /// Source of the value of an option if a file has it, and the value.
    fn source(arg: &Arg, value: &str, typed: &[String]) -> (ValueSource, Vec<String>) {
        let document = Document::parse("homespec.yaml", format!("{}: {value}\n", key(arg)));
        let nothing = |_: &Path| Ok(String::new().into());
        let (values, _) = from_document(&document.unwrap(), Path::new(""), &nothing).unwrap();
        let typed = ["homespec", COMMAND].map(str::to_owned).into_iter().chain(typed.to_vec());
        let matches = with_defaults(values).try_get_matches_from(typed).unwrap();
        let run = matches.subcommand_matches(COMMAND).unwrap();
        let id = arg.get_id().as_str();
        let raw = run.get_raw(id).unwrap().map(|value| value.to_str().unwrap().to_owned());
        (run.value_source(id).unwrap(), raw.collect())
    }

    #[test]
    fn an_option_comes_before_the_environment_and_that_before_the_file() {
        let in_child = std::env::var_os(CHILD).is_some();
        for arg in &options() {
            let [file, variable, option] = samples(arg);
            let is = |typed: &[String], from, value: String| {
                assert_eq!(source(arg, &file, typed), (from, vec![value]), "{arg:?}");
            };
            match in_child {
                false => is(&[], ValueSource::DefaultValue, file.clone()),
                true => is(&[], ValueSource::EnvVariable, variable),
            }
            let typed = match arg.get_long() {
                None => option.clone(),
                Some(long) if arg.get_action().takes_values() => format!("--{long}={option}"),
                Some(long) => format!("--{long}"),
            };
            is(&[typed], ValueSource::CommandLine, option);
        }
        if !in_child {
            let variables = options().into_iter().map(|arg| {
                let [_, value, _] = samples(&arg);
                (variable(&arg).to_owned(), value)
            });
            let name = std::thread::current().name().unwrap().to_owned();
            let child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", &name])
                .envs(variables)
                .env(CHILD, "")
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&child.stdout).into_owned();
            assert!(child.status.success() && said.contains("1 passed"), "{said}");
        }
    }

    #[test]
    fn what_excludes_what_holds_for_the_file_as_well() {
        let options = options();
        let is_option = |id: &str| options.iter().any(|arg| arg.get_id() == id);
        for (id, others, _) in args::EXCLUSIVE {
            assert!(is_option(id) && others.iter().all(|other| is_option(other)), "{id}");
        }
        // clap looks at its own conflicts before there is a file.
        let mut command = Cli::command();
        command.build();
        let run = command.find_subcommand(COMMAND).unwrap();
        for arg in run.get_arguments() {
            assert!(run.get_arg_conflicts_with(arg).is_empty(), "{arg:?}");
        }
    }

    #[test]
    fn faults_are_those_of_clap_with_their_place() {
        let faults = |text: &str| -> Vec<String> {
            let document = Document::parse("homespec.yaml", text).unwrap();
            check(&document).iter().map(|fault| fault.render(false)).collect()
        };
        for (text, place, words) in [
            ("jobs: many", ":1:7", "invalid value `many` for `jobs`: it is a whole number from 1"),
            ("x: 1\njobs: 0", ":2:7", "invalid value `0` for `jobs`"),
            ("urls: x", ":1:1", "did you mean `url`?"),
            ("level: [must, shuold]", ":1:15", "did you mean `should`?"),
            ("level: x", ":1:8", "one of: must, should, may"),
            ("register: closed", ":1:11", "one of: open"),
            ("report: pdf", ":1:9", "use json, junit, "),
            ("require: passwort", ":1:10", "did you mean `password`?"),
            ("timeout: soon", ":1:10", "a number of seconds, or a time such as"),
            ("insecure: 1", ":1:11", "`insecure` must be true or false, not a number"),
            ("ca: true", ":1:5", "`ca` must be a string, not a boolean"),
            ("case: []", ":1:1", "`case` is empty"),
            ("cases: a\nonly-cases: b", ":2:1", "not both"),
            ("url: http://x\ndiscover: x", ":2:1", "not both"),
            ("register: open\naccount-command: x", ":2:1", "give only one of"),
        ] {
            let all = faults(text).join("\n");
            assert!(all.contains(&format!("homespec.yaml{place}")), "{text}: {all}");
            assert!(all.contains(words), "{text}: {all}");
        }
        for key in [
            "jobs", "timeout", "level", "register", "insecure", "hunter2", "api", "report",
            "require",
        ] {
            for value in ["hunter2", "\"hunter2'a\"", "\"hunter2`a\"", "\"hunter2\\nhunter2\""] {
                let all = faults(&format!("operator: {{}}\n{key}: {value}\n")).join("\n");
                assert!(!all.is_empty() && !all.contains("hunter2"), "{all}");
            }
        }
    }
}
