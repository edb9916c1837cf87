//! `homespec.yaml`: options that stand in a file. An option on the command line or in the
//! environment comes before it.
use super::args::{AllowArg, ApiArg, FailOn, LevelArg, RunArgs};
use super::confidential;
use super::duration;
use super::operator::{self, ReadSecret};
use crate::accounts::operator::Operator;
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::document::{Document, Part};
use crate::yaml::reader::Reader;
use clap::ValueEnum;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file that is looked for in the working directory.
pub const DEFAULT_NAME: &str = "homespec.yaml";

const KEYS: [&str; 36] = [
    "url",
    "discover",
    "accounts",
    "register",
    "registration-token-file",
    "registration-shared-secret-file",
    "account-command",
    "ca",
    "insecure",
    "proxy",
    "proxy-auth-file",
    "resolve",
    "header-file",
    "wait-ready",
    "api",
    "spec",
    "cases",
    "only-cases",
    "case",
    "requirement",
    "area",
    "level",
    "skip",
    "rerun",
    "require",
    "baseline",
    "allow",
    "fail-on",
    "fail-fast",
    "allow-blocked",
    "jobs",
    "timeout",
    "max-wait",
    "out",
    "report",
    "operator",
];

/// Fills what was given neither on the command line nor in the environment from a config file.
/// Paths in the file are relative to its folder.
///
/// What stands under `operator:` has no option; it is what this gives.
///
/// # Errors
/// Every fault of the file; a file that was named and cannot be read.
pub fn fill(args: &mut RunArgs) -> Result<Operator, Vec<Diagnostic>> {
    let named = args.config.clone();
    let path = named.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_NAME));
    if named.is_none() && !path.is_file() {
        return Ok(Operator::default());
    }
    let document = Document::read(&path, path.display().to_string()).map_err(told)?;
    if confidential::holds_secrets(document.source().text()) {
        confidential::warn_if_others_can_read(&path);
    }
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    apply(args, &document, &folder, &super::accounts::secret).map_err(told)
}

/// Faults without the lines of the file, if it may hold secrets.
fn told(faults: Vec<Diagnostic>) -> Vec<Diagnostic> {
    faults.into_iter().map(|fault| confidential::told_if_secret(fault, &KEYS)).collect()
}

/// The faults of a config file; files with secrets that it names are not read.
pub fn check(document: &Document) -> Vec<Diagnostic> {
    let Ok(mut args) = parse_nothing() else { return Vec::new() };
    let nothing = |_: &Path| Ok(String::new().into());
    told(apply(&mut args, document, Path::new(""), &nothing).err().unwrap_or_default())
}

fn parse_nothing() -> Result<RunArgs, clap::Error> {
    use clap::{Args as _, FromArgMatches as _};
    let matches = RunArgs::augment_args(clap::Command::new("run")).try_get_matches_from(["run"])?;
    RunArgs::from_arg_matches(&matches)
}

fn apply(
    args: &mut RunArgs,
    document: &Document,
    folder: &Path,
    read_secret: ReadSecret<'_>,
) -> Result<Operator, Vec<Diagnostic>> {
    let (reader, root) = Reader::new(document);
    let mut file = File { reader, root, folder };
    file.reader.object(root, "a config file", &KEYS);
    let test = &mut args.test;
    // Both say where the homeserver is: one that was given puts both of the file aside.
    let (url, discover) = (file.text("url"), file.text("discover"));
    if args.url.is_none() && args.discover.is_none() {
        (args.url, args.discover) = (url, discover);
    }
    args.accounts = args.accounts.take().or_else(|| file.path("accounts"));
    args.register = args.register.take().or_else(|| file.text("register"));
    let token = &mut args.registration_token_file;
    *token = token.take().or_else(|| file.path("registration-token-file"));
    let secret = &mut args.registration_shared_secret_file;
    *secret = secret.take().or_else(|| file.path("registration-shared-secret-file"));
    args.account_command = args.account_command.take().or_else(|| file.text("account-command"));
    args.ca = args.ca.take().or_else(|| file.path("ca"));
    args.insecure |= file.truth("insecure");
    args.proxy = args.proxy.take().or_else(|| file.text("proxy"));
    let auth = &mut args.proxy_auth_file;
    *auth = auth.take().or_else(|| file.path("proxy-auth-file"));
    file.list_into("resolve", &mut args.resolve);
    args.header_file = args.header_file.take().or_else(|| file.path("header-file"));
    args.wait_ready = args.wait_ready.or_else(|| file.duration("wait-ready"));
    test.api = test.api.or_else(|| file.word::<ApiArg>("api"));
    test.spec = test.spec.take().or_else(|| file.path("spec"));
    test.cases = test.cases.take().or_else(|| file.path("cases"));
    test.only_cases = test.only_cases.take().or_else(|| file.path("only-cases"));
    file.list_into("case", &mut test.case);
    file.list_into("requirement", &mut test.requirement);
    file.list_into("area", &mut test.area);
    file.words_into::<LevelArg>("level", &mut test.level);
    file.list_into("skip", &mut test.skip);
    test.rerun = test.rerun.take().or_else(|| file.path("rerun"));
    file.list_into("require", &mut test.require);
    test.baseline = test.baseline.take().or_else(|| file.path("baseline"));
    file.words_into::<AllowArg>("allow", &mut test.allow);
    test.fail_on = test.fail_on.or_else(|| file.word::<FailOn>("fail-on"));
    test.fail_fast |= file.truth("fail-fast");
    test.allow_blocked |= file.truth("allow-blocked");
    test.jobs = test.jobs.or_else(|| file.count("jobs"));
    test.timeout = test.timeout.or_else(|| file.duration("timeout"));
    test.max_wait = test.max_wait.or_else(|| file.duration("max-wait"));
    test.output.out = test.output.out.take().or_else(|| file.path("out"));
    file.list_into("report", &mut test.output.report);
    let operator = root.member("operator");
    let operator = operator.map(|node| operator::read(&mut file.reader, node, folder, read_secret));
    file.reader.finish(operator.unwrap_or_default())
}

struct File<'d> {
    reader: Reader<'d>,
    root: Part<'d>,
    folder: &'d Path,
}

impl<'d> File<'d> {
    fn text(&mut self, key: &str) -> Option<String> {
        let node = self.root.member(key)?;
        self.reader.string(node, &format!("`{key}`")).map(str::to_owned)
    }

    fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.text(key).map(|text| self.folder.join(text))
    }

    fn truth(&mut self, key: &str) -> bool {
        let Some(node) = self.root.member(key) else { return false };
        self.reader.value(node, &format!("`{key}`")).unwrap_or(false)
    }

    fn count(&mut self, key: &str) -> Option<u16> {
        let node = self.root.member(key)?;
        let count = self.reader.value::<NonZeroU16>(node, &format!("`{key}`"))?;
        Some(count.get())
    }

    fn duration(&mut self, key: &str) -> Option<Duration> {
        let node = self.root.member(key)?;
        let time = match (node.value().as_f64(), node.value().as_str()) {
            (Some(seconds), _) => duration::seconds_of(seconds),
            (None, Some(text)) => duration::parse(text).ok(),
            (None, None) => None,
        };
        if time.is_none() {
            self.reader.fault(node, format!("`{key}` is {}", duration::FORM));
        }
        time
    }

    /// A text, or a list of texts.
    fn list(&mut self, key: &str) -> Vec<(String, Part<'d>)> {
        let Some(node) = self.root.member(key) else { return Vec::new() };
        let nodes = if node.value().is_array() {
            self.reader.list(node, &format!("`{key}`")).collect()
        } else {
            vec![node]
        };
        nodes
            .into_iter()
            .filter_map(|node| {
                let text = self.reader.string(node, &format!("`{key}`"))?;
                Some((text.to_owned(), node))
            })
            .collect()
    }

    fn list_into(&mut self, key: &str, given: &mut Vec<String>) {
        let found = self.list(key);
        if given.is_empty() {
            given.extend(found.into_iter().map(|(text, _)| text));
        }
    }

    fn read_word<T: ValueEnum>(&mut self, key: &str, text: &str, part: Part<'_>) -> Option<T> {
        let found = T::from_str(text, true).ok();
        if found.is_none() {
            let all: Vec<_> = T::value_variants()
                .iter()
                .filter_map(|word| word.to_possible_value())
                .map(|word| word.get_name().to_owned())
                .collect();
            let help = format!("one of: {}", all.join(", "));
            self.reader.fault_with_help(part, format!("`{text}` is no `{key}`"), help);
        }
        found
    }

    fn word<T: ValueEnum>(&mut self, key: &str) -> Option<T> {
        let node = self.root.member(key)?;
        let text = self.reader.string(node, &format!("`{key}`"))?.to_owned();
        self.read_word(key, &text, node)
    }

    fn words_into<T: ValueEnum>(&mut self, key: &str, given: &mut Vec<T>) {
        let found: Vec<T> = self
            .list(key)
            .into_iter()
            .filter_map(|(text, part)| self.read_word(key, &text, part))
            .collect();
        if given.is_empty() {
            given.extend(found);
        }
    }
}
