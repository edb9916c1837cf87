//! The pages against the program: commands parse, links lead somewhere, and what is listed is what there is.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
use clap::{CommandFactory as _, Parser as _};
use homespec::case::ast::{Feature, Impact};
use homespec::case::suite::Suite;
use homespec::check::whole_run;
use homespec::cli::args::Cli;
use homespec::model::exit;
use homespec::model::reason::ReasonCode;
use homespec::pipeline::Material;
use homespec::requirements::Register;
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use strum::VariantArray as _;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The pages that people read, as paths below the root.
fn pages() -> Vec<String> {
    let of = |folder: &str| -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(root().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".md"))
            .map(|name| Path::new(folder).join(name).to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    let alone = ["spec/README.md", "reports/conformance/README.md"].map(str::to_owned);
    [of(""), of("docs"), of("reports"), alone.to_vec()].concat()
}

/// A fenced block: its language, its text, and the line of its fence.
struct Block {
    language: String,
    text: String,
    line: usize,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for (at, line) in page.lines().enumerate() {
        match line.trim_start().strip_prefix("```") {
            Some(_) if open => open = false,
            Some(language) => {
                open = true;
                let language = language.trim().to_owned();
                found.push(Block { language, text: String::new(), line: at + 1 });
            }
            None if open => {
                let block = found.last_mut().unwrap();
                block.text += line;
                block.text.push('\n');
            }
            None => {}
        }
    }
    assert!(!open, "a fence is not closed");
    found
}

/// The text outside fenced blocks.
fn prose(page: &str) -> String {
    let mut open = false;
    page.lines()
        .filter(|line| {
            let fence = line.trim_start().starts_with("```");
            open ^= fence;
            !fence && !open
        })
        .map(|line| format!("{line}\n"))
        .collect()
}

/// The words of a shell line; only plain words and double quotes are used in the pages.
fn words(line: &str) -> Vec<String> {
    let word = Regex::new(r#""([^"]*)"|(\S+)"#).unwrap();
    word.captures_iter(line)
        .map(|found| found.get(1).or(found.get(2)).unwrap().as_str().to_owned())
        .collect()
}

/// Every homespec command of a page with its place, as the words after the program's name.
fn commands(path: &str, page: &str) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for block in blocks(page).iter().filter(|b| ["sh", "console"].contains(&b.language.as_str())) {
        for (at, line) in block.text.lines().enumerate() {
            let line = line.trim();
            let line =
                if block.language == "console" { line.strip_prefix("$ ") } else { Some(line) };
            let programs = ["homespec ", "cargo run --release -- "];
            let typed = line.and_then(|line| programs.iter().find_map(|p| line.strip_prefix(p)));
            if let Some(typed) = typed {
                found.push((format!("{path}:{}", block.line + at + 1), words(typed)));
            }
        }
    }
    found
}

fn all_commands() -> Vec<(String, Vec<String>)> {
    pages().iter().flat_map(|path| commands(path, &read(path))).collect()
}

/// Rows of all tables of a text, as cells; the lines of dashes are left out.
fn rows(text: &str) -> Vec<Vec<String>> {
    text.lines()
        .filter(|line| {
            line.starts_with('|') && !line.starts_with("|--") && !line.starts_with("| --")
        })
        .map(|line| {
            let line = line.trim_matches('|').replace(r"\|", "\u{0}");
            line.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
        })
        .collect()
}

/// The parts of a page below headings of the second rank, by their headings.
fn sections(page: &str) -> Vec<(&str, &str)> {
    page.split("\n## ").skip(1).map(|part| part.split_once('\n').unwrap()).collect()
}

fn section<'p>(page: &'p str, heading: &str) -> &'p str {
    let found = sections(page).into_iter().find(|(title, _)| *title == heading);
    found.unwrap_or_else(|| panic!("no section {heading}")).1
}

/// What stands between backticks.
fn code_words(text: &str) -> Vec<String> {
    let code = Regex::new("`([^`]+)`").unwrap();
    code.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

#[test]
fn the_readme_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 150, "{lines} lines");
}

#[test]
fn commands_are_understood() {
    let all = all_commands();
    assert!(all.len() > 40, "only {} commands found", all.len());
    for (place, words) in all {
        let typed = std::iter::once("homespec".to_owned()).chain(words.iter().cloned());
        // The arguments of a command, not what it asks of the environment: nothing is run.
        if let Err(error) = Cli::try_parse_from(typed) {
            let shows_something = error.exit_code() == 0;
            assert!(shows_something, "{place}: homespec {}\n{error}", words.join(" "));
        }
    }
}

/// Whether a word of a selection is the name of something, or a glob that meets one.
fn names_something(word: &str, names: &[&str]) -> bool {
    let whole = |name: &str| name.split('[').next().unwrap_or_default().to_owned();
    let is_glob = word.contains(['*', '?']);
    names.iter().any(|name| {
        *name == word
            || whole(name) == word
            || (is_glob && homespec::plan::selection::glob_matches(word, &whole(name)))
    })
}

#[test]
fn commands_name_what_exists() {
    let suite = Suite::bundled().unwrap();
    let register = Register::bundled().unwrap();
    let cases: Vec<&str> = suite
        .cases()
        .map(|c| c.id.as_str())
        .chain(whole_run::CHECKS.iter().map(|c| c.id))
        .collect();
    let requirements: Vec<&str> = register.iter().map(|r| r.id.as_str()).collect();
    let areas: Vec<&str> = suite.files.iter().map(|f| f.area.as_str()).collect();
    let catalogue = homespec::selftest::schema_faults::bundled().unwrap();
    let faults: Vec<&str> = catalogue.all_faults().unwrap().map(|fault| fault.name).collect();
    let quirks: Vec<&str> = catalogue.all_quirks().map(|quirk| quirk.name).collect();
    let known: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("--case", &cases[..]),
        ("--skip", &cases),
        ("--requirement", &requirements),
        ("--area", &areas),
        ("--fault", &faults),
        ("--quirk", &quirks),
    ]);
    for (place, words) in all_commands() {
        for pair in words.windows(2) {
            if let Some(names) = known.get(pair[0].as_str()) {
                assert!(names_something(&pair[1], names), "{place}: {} {}", pair[0], pair[1]);
            }
        }
        if let [command, id] = words.as_slice()
            && command == "explain"
        {
            let is_known = cases.iter().chain(&requirements).any(|name| name == id);
            assert!(is_known, "{place}: explain {id}");
        }
    }
}

#[test]
fn case_files_in_the_pages_are_right() {
    let mut count = 0;
    for path in pages() {
        let of_cases =
            |block: &Block| block.language == "yaml" && block.text.contains("\ncases:\n");
        for block in blocks(&read(&path)).into_iter().filter(of_cases) {
            let suite = Suite::from_texts([(format!("{path}:{}", block.line), block.text)]);
            let loaded = suite.and_then(|suite| Material::load(Some(suite), None));
            if let Err(faults) = loaded {
                let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
                panic!("{path}: {}", shown.join("\n"));
            }
            count += 1;
        }
    }
    assert!(count >= 2, "only {count} case files found");
}

/// The anchor that a forge makes of a heading.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

fn anchors(page: &str) -> BTreeSet<String> {
    let text = prose(page);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

#[test]
fn links_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut count = 0;
    for path in pages() {
        let folder = root().join(&path).parent().unwrap().to_owned();
        for found in link.captures_iter(&prose(&read(&path))) {
            let target = &found[1];
            if target.contains("://") {
                continue;
            }
            let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
            let file: PathBuf = match file {
                "" => root().join(&path),
                file => folder.join(file),
            };
            assert!(file.exists(), "{path}: {target} leads nowhere");
            if !fragment.is_empty() {
                let there = anchors(&fs::read_to_string(&file).unwrap());
                assert!(there.contains(fragment), "{path}: {target}: no such heading");
            }
            count += 1;
        }
    }
    assert!(count > 20, "only {count} links found");
}

#[test]
fn every_page_is_in_the_index() {
    let index = read("docs/README.md");
    for path in
        pages().iter().filter(|path| path.starts_with("docs/") && !path.ends_with("README.md"))
    {
        let name = path.trim_start_matches("docs/");
        assert!(index.contains(&format!("({name})")), "{name} is not in docs/README.md");
    }
}

/// What a command takes: how it is written, and the environment variable.
type Taken = BTreeSet<(String, String)>;

fn value_name(arg: &clap::Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.first().map_or_else(|| arg.get_id().to_string().to_uppercase(), ToString::to_string)
}

/// An argument as the page writes it: `--out DIR`, `[URL]`, `<ID>`, `-v`, `--verbose`.
fn written(arg: &clap::Arg) -> String {
    let takes_value = arg.get_num_args().is_none_or(|n| n.takes_values());
    match arg.get_long() {
        Some(long) if takes_value && arg.get_action().takes_values() => {
            format!("--{long} {}", value_name(arg))
        }
        Some(long) => format!("--{long}"),
        None => {
            let name = value_name(arg);
            let many = arg.get_num_args().is_some_and(|n| n.max_values() > 1);
            let name =
                if arg.is_required_set() { format!("<{name}>") } else { format!("[{name}]") };
            if many { format!("{name}...") } else { name }
        }
    }
}

fn taken(command: &clap::Command) -> Taken {
    command
        .get_arguments()
        .filter(|arg| !["help", "version"].contains(&arg.get_id().as_str()))
        .map(|arg| {
            let variable = arg.get_env().map(|name| name.to_string_lossy().into_owned());
            (written(arg), variable.unwrap_or_default())
        })
        .collect()
}

/// The rows of the tables under headings that name a command.
fn option_rows(page: &str, command: &str) -> Vec<Vec<String>> {
    sections(page)
        .into_iter()
        .filter(|(heading, _)| {
            let named = heading.split_once(" (").map_or("", |(_, named)| named);
            code_words(named).iter().any(|name| name == command)
        })
        .flat_map(|(_, text)| rows(text))
        .filter(|row| row[0] != "option")
        .collect()
}

/// What the page says that a command takes.
fn described(page: &str, command: &str) -> Taken {
    let mut found = Taken::new();
    for row in option_rows(page, command) {
        let variable = code_words(&row[1]).first().cloned().unwrap_or_default();
        let fresh = found.insert((code_words(&row[0]).last().unwrap().clone(), variable));
        assert!(fresh, "{command}: {} stands twice", row[0]);
    }
    found
}

#[test]
fn options_are_those_of_the_program() {
    let page = read("docs/options.md");
    let mut program = Cli::command();
    program.build();
    for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
        let name = command.get_name();
        assert_eq!(described(&page, name), taken(command), "docs/options.md, `{name}`");
        for arg in command.get_arguments().filter(|arg| arg.get_action().takes_values()) {
            let rows = option_rows(&page, name);
            let row = rows.iter().find(|row| code_words(&row[0]).last() == Some(&written(arg)));
            let meaning = row.map_or_else(Vec::new, |row| code_words(&row[3]));
            for value in arg.get_possible_values() {
                let word = value.get_name().to_owned();
                assert!(meaning.contains(&word), "docs/options.md, {}: {word}", written(arg));
            }
        }
    }
}

/// Option and config key of each row that has a key.
fn config_keys(page: &str) -> Vec<(String, String)> {
    let option_rows = sections(page).into_iter().flat_map(|(_, text)| rows(text));
    option_rows
        .filter(|row| row.len() == 4 && row[0] != "option")
        .filter_map(|row| {
            let key = code_words(&row[2]).first()?.clone();
            Some((code_words(&row[0]).last()?.clone(), key))
        })
        .collect()
}

#[test]
fn config_keys_are_those_of_the_program() {
    let keys = config_keys(&read("docs/options.md"));
    let folder = tempfile::tempdir().unwrap();
    // Some exclude each other, so each is in a file of its own.
    for (option, key) in &keys {
        let name = option.split(' ').next().unwrap().trim_start_matches("--");
        assert!(name == key || option == "[URL]", "{option} has the key {key}");
        let value = match option.split_once(' ') {
            Some((_, "DURATION" | "N")) => "1",
            Some((_, "API")) => "auto",
            Some((_, "HOW")) => "open",
            Some((_, "FORMAT")) => "json",
            Some(("--require", _)) => "password",
            Some((_, "CLASS")) => "destructive",
            Some((_, "LEVEL")) => "must",
            Some(_) => "x",
            None if option.starts_with("--") => "true",
            None => "http://127.0.0.1:1",
        };
        let file = folder.path().join(format!("{key}.yaml"));
        fs::write(&file, format!("{key}: {value}\n")).unwrap();
    }
    let files = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let checked =
        Command::new(env!("CARGO_BIN_EXE_homespec")).arg("check").args(files).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    let program = Cli::command();
    let run = program.find_subcommand("run").unwrap();
    let only_typed = ["config", "dry_run", "update_baseline", "verbose", "help"];
    let of_run: BTreeSet<String> = run
        .get_arguments()
        .map(|arg| arg.get_id().as_str().to_owned())
        .filter(|id| !only_typed.contains(&id.as_str()))
        .map(|id| id.replace('_', "-"))
        .collect();
    let listed: BTreeSet<String> = keys.into_iter().map(|(_, key)| key).collect();
    assert_eq!(listed, of_run);
}

#[test]
fn reasons_are_those_of_the_source() {
    let page = read("docs/verdicts.md");
    let listed: Vec<String> = rows(section(&page, "Reasons"))
        .iter()
        .filter(|row| row[0] != "code")
        .map(|row| row[0].trim_matches('`').split(':').next().unwrap().to_owned())
        .collect();
    let codes: Vec<&str> = ReasonCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(listed, codes);
}

#[test]
fn exit_statuses_are_those_of_the_source() {
    let all: Vec<String> = [
        exit::CONFORMS,
        exit::BROKEN,
        exit::USAGE,
        exit::FILES,
        exit::NOTHING_SELECTED,
        exit::UNDECIDED,
        exit::REPORT,
        exit::OWN_FAULT,
        exit::INTERRUPTED,
    ]
    .map(|status| status.to_string())
    .to_vec();
    let count = read("src/model/exit.rs").matches("pub const ").count();
    assert_eq!(count, all.len(), "a status is missing in this test");

    let page = read("docs/verdicts.md");
    let listed: Vec<String> =
        rows(section(&page, "Exit status")).iter().skip(1).map(|row| row[0].clone()).collect();
    assert_eq!(listed, all, "docs/verdicts.md");

    let readme = read("README.md");
    assert_eq!(rows(section(&readme, "Exit status"))[0], all, "README.md");
}

#[test]
fn peers_names_cases_that_exist() {
    let suite = Suite::bundled().unwrap();
    let known: BTreeSet<&str> =
        suite.cases().filter_map(|case| case.id.split('[').next()).collect();
    let page = read("docs/peers.md");
    let numbered: Vec<Vec<String>> = sections(&page)
        .iter()
        .flat_map(|(_, text)| rows(text))
        .filter(|row| row[0].parse::<usize>().is_ok())
        .collect();
    let numbers: Vec<usize> = numbered.iter().map(|row| row[0].parse().unwrap()).collect();
    assert_eq!(numbers, (1..=45).collect::<Vec<_>>(), "a behaviour is missing or stands twice");
    for row in &numbered {
        let cases = code_words(&row[4]);
        assert!(row[4] == "not covered" || !cases.is_empty(), "row {}", row[0]);
        assert!(row[4] != "not covered" || !row[5].is_empty(), "row {} says no reason", row[0]);
        for case in cases {
            assert!(known.contains(case.as_str()), "row {}: no case {case}", row[0]);
        }
    }
    for case in code_words(section(&page, "The rest")) {
        assert!(known.contains(case.as_str()), "no case {case}");
    }
}

#[test]
fn the_case_format_names_every_feature_and_impact() {
    let words = code_words(&prose(&read("docs/case-format.md")));
    let features = Feature::VARIANTS.iter().map(|feature| feature.as_str());
    let impacts = Impact::VARIANTS.iter().map(|impact| impact.into());
    for word in features.chain(impacts) {
        assert!(words.iter().any(|known| known == word), "docs/case-format.md: {word}");
    }
}

#[test]
fn every_part_of_the_source_has_its_room() {
    let page = read("CONTRIBUTING.md");
    let rooms: BTreeSet<String> = rows(section(&page, "Where a change belongs"))
        .iter()
        .skip(1)
        .flat_map(|row| code_words(&row[0]))
        .collect();
    for room in &rooms {
        assert!(root().join(room).exists(), "CONTRIBUTING.md: {room} does not exist");
        assert_eq!(root().join(room).is_dir(), room.ends_with('/'), "CONTRIBUTING.md: {room}");
    }
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let room = if path.is_dir() { format!("src/{name}/") } else { format!("src/{name}") };
        assert!(rooms.contains(&room), "{room} has no row in CONTRIBUTING.md");
        if path.is_dir() {
            let first = read(&format!("src/{name}/mod.rs"));
            let first =
                first.lines().next().unwrap().trim_start_matches("//! ").trim_end_matches('.');
            let row = page.lines().find(|line| line.starts_with(&format!("| `{room}` |"))).unwrap();
            let says = row.to_lowercase().contains(&first.to_lowercase().replace(['[', ']'], ""));
            assert!(says, "CONTRIBUTING.md: the row of {room} is not `{first}`");
        }
    }
}

#[test]
fn the_ci_script_runs_what_the_readme_says() {
    let script = read(".ci/run");
    assert!(script.contains("step test cargo test\n"));
    assert!(blocks(&read("README.md")).iter().any(|block| block.text.contains("cargo test\n")));
}

// --- the commands, run ---

/// Commands that are not run here, by how they begin, and why.
const NOT_RUN: [(&str, &str); 5] = [
    (
        "run --discover example.org",
        "asks a real server name; tests/transport.rs does so with one of its own",
    ),
    ("run unix:", "tests/transport.rs has a socket"),
    ("run https://matrix.example.org --resolve", "tests/transport.rs has certificates"),
    ("run https://localhost:8448 --ca", "tests/transport.rs has certificates"),
    ("selftest", "tests/kill_matrix.rs runs it"),
];

/// Exit statuses other than what `expected` says, by how commands end.
const OTHERWISE: [(&str, i32); 3] = [
    // The baseline that the page shows is that of a server with other deviations.
    ("--register open --baseline homespec-baseline.yaml", 1),
    // The second command of the page: the fault is in the baseline. And the third: it is gone.
    ("--fault logout-answers-list --baseline homespec-baseline.yaml", 0),
    ("demo --baseline homespec-baseline.yaml", 1),
];

/// The exit status that a command of the pages ends with.
fn expected(words: &[String]) -> i32 {
    let typed = words.join(" ");
    let has = |option: &str| words.iter().any(|word| word == option);
    if let Some((_, status)) = OTHERWISE.iter().find(|(end, _)| typed.ends_with(end)) {
        return *status;
    }
    match words[0].as_str() {
        _ if has("--dry-run") || has("--update-baseline") => 0,
        // With one account or none, MUSTs that need a second or a disposable one are skipped; those that need any are blocked.
        "run" if words.len() == 2 => 5,
        "demo" if has("--fault") => 1,
        // The run that it renders is one with a fault.
        "report" => 1,
        _ => 0,
    }
}

fn is_left_out(words: &[String]) -> bool {
    let typed = words.join(" ");
    NOT_RUN.iter().any(|(start, _)| typed.starts_with(start))
}

/// The reference homeserver with everything that the pages presume of a server.
fn reference(runtime: &tokio::runtime::Runtime, typed: &str) -> homespec::reference::Running {
    let user = |name: String| (name, PASSWORD.to_owned());
    let made = (1..=200).map(|number| user(format!("made-{number}")));
    let token = typed.contains("--registration-token-file").then(|| SECRET.to_owned());
    let limit = homespec::reference::Limit { burst: 3, per_second: 1.0 };
    let settings = homespec::reference::Settings {
        users: made.chain([user("alice".to_owned())]).collect(),
        registration_token: token,
        shared_secret: Some(SECRET.to_owned()),
        // The pages permit waits of half an hour, and tokens are waited for.
        chosen_lifetime: Some(LIFETIME),
        login_token_lifetime: LIFETIME,
        login_limit: typed.contains("rate-limit").then_some(limit),
        ..Default::default()
    };
    runtime.block_on(homespec::reference::start(settings)).unwrap()
}

/// Of tokens.
const LIFETIME: Duration = Duration::from_secs(2);
const PASSWORD: &str = "correct horse battery";
const SECRET: &str = "a-long-random-text";

/// A folder with the files that the commands of a block name. Case files and baselines are those that the page shows.
fn workspace(page: &str, typed: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    };
    write("accounts.yaml", "- { user: alice, password_file: alice-password.txt }\n");
    write("alice-password.txt", PASSWORD);
    write("secret.txt", SECRET);
    write("token.txt", SECRET);
    let script = write("make-account.sh", MAKE_ACCOUNT);
    Command::new("chmod").arg("+x").arg(script).status().unwrap();
    let own = read(page) + &read("docs/writing-cases.md");
    for block in blocks(&own).iter().filter(|block| block.language == "yaml") {
        if block.text.contains("\ncases:\n") && !folder.path().join("our-cases").exists() {
            write("our-cases/ours.yaml", &block.text);
        }
        if block.text.starts_with("findings:") && !typed.contains("--update-baseline") {
            write("homespec-baseline.yaml", &block.text);
        }
    }
    for run in words(typed).iter().filter(|word| word.ends_with(".json")) {
        let path = write(run, "");
        fs::copy(a_run(), path).unwrap();
    }
    folder
}

const MAKE_ACCOUNT: &str = r#"#!/bin/sh
printf '{"user_id": "@made-%s:reference.localhost", "password": "correct horse battery"}' "$HOMESPEC_ACCOUNT_NUMBER"
"#;

/// The `run.json` of a run that broke something.
fn a_run() -> PathBuf {
    static RUN: std::sync::OnceLock<tempfile::TempDir> = std::sync::OnceLock::new();
    let folder = RUN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let demo = ["demo", "--case", "device-id-is-kept", "--fault", "device-id-ignored"];
        let mut program = Command::new(env!("CARGO_BIN_EXE_homespec"));
        program.args(demo).arg("--out").arg(folder.path()).env_clear();
        assert_eq!(program.output().unwrap().status.code(), Some(1));
        folder
    });
    folder.path().join("run.json")
}

/// A word of the pages as it is typed here: addresses of examples are those of the server on loopback, and the folders of
/// a checkout lie elsewhere.
fn here(word: &str, url: &str) -> String {
    let example = ["https://matrix.example.org", "http://127.0.0.1:"];
    if example.iter().any(|start| word.starts_with(start)) {
        url.to_owned()
    } else if word.starts_with("127.0.0.1:") {
        "127.0.0.1:0".to_owned()
    } else if word == "matrix-spec/data/api/client-server" {
        root().join("spec/v1").display().to_string()
    } else if word.starts_with("cases/") {
        root().join(word).display().to_string()
    } else {
        word.to_owned()
    }
}

/// Starts a server as the page says, and waits for the line with its address.
fn serve(mut program: Command, arguments: &[String]) {
    use std::io::BufRead as _;
    let listens = arguments.iter().any(|word| word == "--listen");
    program.args(if listens { &[][..] } else { &["--listen", "127.0.0.1:0"] });
    let mut server = program.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut said = std::io::BufReader::new(server.stdout.take().unwrap()).lines();
    let address =
        said.find(|line| line.as_ref().is_ok_and(|line| line.contains("http://127.0.0.1:")));
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(address.is_some(), "{arguments:?} told no address");
}

/// Runs the commands of a block in one folder, each against a server of its own.
fn run_block(page: &str, all: &[(String, Vec<String>)]) {
    let typed: Vec<String> = all.iter().map(|(_, words)| words.join(" ")).collect();
    let typed = typed.join("\n");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = workspace(page, &typed);
    for (place, words) in all.iter().filter(|(_, words)| !is_left_out(words)) {
        let server = reference(&runtime, &words.join(" "));
        let url = server.url();
        let url = url.trim_end_matches('/');
        if typed.lines().any(|line| line == "run" || line.contains("homespec.yaml")) {
            let config = format!("url: {url}\nregister: open\n");
            fs::write(folder.path().join("homespec.yaml"), config).unwrap();
        }
        let arguments: Vec<String> = words.iter().map(|word| here(word, url)).collect();
        let mut program = Command::new(env!("CARGO_BIN_EXE_homespec"));
        program.args(&arguments).current_dir(folder.path()).env_clear();
        program.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        program.stdin(std::process::Stdio::null());
        if words[0] == "serve" {
            serve(program, &arguments);
            continue;
        }
        let output = program.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let status = output.status.code();
        assert_eq!(status, Some(expected(words)), "{place}: {}\n{said}", words.join(" "));
    }
}

/// Each block of commands runs in a folder of its own, its commands one after the other; the same block on two pages is
/// run once.
#[test]
fn commands_do_what_the_pages_say() {
    let mut known = BTreeSet::new();
    let mut work = Vec::new();
    for page in pages() {
        let text = read(&page);
        let mut of_blocks: BTreeMap<usize, Vec<(String, Vec<String>)>> = BTreeMap::new();
        let fences: Vec<usize> = blocks(&text).iter().map(|block| block.line).collect();
        for (place, words) in commands(&page, &text) {
            let line: usize = place.rsplit(':').next().unwrap().parse().unwrap();
            let fence = fences.iter().rev().find(|fence| **fence < line).unwrap();
            of_blocks.entry(*fence).or_default().push((place, words));
        }
        for block in of_blocks.into_values() {
            let typed: Vec<Vec<String>> = block.iter().map(|(_, words)| words.clone()).collect();
            let runs = block.iter().any(|(_, words)| !is_left_out(words));
            if known.insert(typed) && runs {
                work.push((page.clone(), block));
            }
        }
    }
    assert!(work.len() > 25, "only {} blocks with commands", work.len());
    let next = std::sync::Mutex::new(work.into_iter());
    let faults = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some((page, block)) = next.lock().unwrap().next() else { break };
                    // All that is wrong is told at once.
                    let ran = std::panic::catch_unwind(|| run_block(&page, &block));
                    if ran.is_err() {
                        faults.lock().unwrap().push(block[0].0.clone());
                    }
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "blocks whose commands end otherwise: {faults:?}");
}

#[test]
fn every_reason_not_to_run_a_command_is_needed() {
    let all: Vec<String> = all_commands().into_iter().map(|(_, words)| words.join(" ")).collect();
    for (start, why) in NOT_RUN {
        let is_there = all.iter().any(|typed| typed.starts_with(start));
        assert!(is_there && !why.is_empty(), "no page has {start}");
    }
}
