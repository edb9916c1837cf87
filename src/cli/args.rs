//! The command line: clap types only.
use super::duration;
use crate::model::run::Level;
use crate::plan::capabilities::Capability;
use crate::plan::facts::Allow;
use crate::report;
use crate::selftest;
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

/// Checks whether a Matrix homeserver's login API conforms to the specification, one requirement at
/// a time.
#[derive(Debug, Parser)]
#[command(
    name = "homespec",
    version,
    max_term_width = 100,
    after_help = "Exit status: 0 conforms, 1 a requirement is broken or the baseline is out of date, 2 usage, 3 files are wrong, \
                  4 nothing was selected, 5 could not be decided, 6 a report could not be \
                  written, 70 an internal error, 130 interrupted."
)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Test a homeserver
    Run(Box<RunArgs>),
    /// Test the embedded reference homeserver, and write all the reports
    Demo(Box<DemoArgs>),
    /// Start the reference homeserver alone, for trying things by hand
    Serve(ServeArgs),
    /// The kill matrix: run the suite against every fault and quirk of the reference homeserver
    Selftest(SelftestArgs),
    /// List cases, requirements, faults or quirks
    List(ListArgs),
    /// Explain a requirement or a case: its clause, its file, and a test by hand
    Explain {
        /// Show what a requirement or a case presupposes: the requirements that must hold before it
        /// can be decided, and what these presuppose
        #[arg(long)]
        presupposes: bool,
        /// The id of a requirement or a case
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Check case, config, accounts and baseline files without a network; with --spec, specification
    /// files
    Check {
        /// Files or folders; without any, the bundled cases
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Load a folder of OpenAPI files, print its operations and how they differ from the
        /// bundled ones
        #[arg(long, value_name = "DIR")]
        spec: Option<PathBuf>,
    },
    /// Make the reports of an earlier run again
    Report {
        /// The run.json of that run
        #[arg(value_name = "RUN.json")]
        run: PathBuf,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Compare runs: changes and regressions; with more than two runs, the requirements in which they
    /// differ
    Compare {
        /// The run.json of each, for two runs the earlier one first
        #[arg(value_name = "RUN.json", num_args = 2.., required = true)]
        runs: Vec<PathBuf>,
        /// Format of the output
        #[arg(long, value_enum, default_value_t = CompareFormat::Table)]
        format: CompareFormat,
    },
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The homeserver's base URL, e.g. https://matrix.example.org, or unix:/path for a socket
    #[allow(
        rustdoc::bare_urls,
        reason = "it is the help text, where brackets would be in the way"
    )]
    #[arg(value_name = "URL", env = "HOMESPEC_URL", hide_env_values = true)]
    pub url: Option<String>,
    /// Find the URL in the well-known file of this server name, e.g. example.org
    #[arg(long, value_name = "NAME", env = "HOMESPEC_DISCOVER", help_heading = "Transport")]
    pub discover: Option<String>,
    /// Supplied accounts: a YAML list of {user, password} or {user, password_file} or {user,
    /// access_token}, with `disposable: true` for accounts that may be ruined; - is standard input
    #[arg(long, value_name = "FILE", env = "HOMESPEC_ACCOUNTS", help_heading = "Accounts")]
    pub accounts: Option<PathBuf>,
    /// Create disposable accounts by open registration
    #[arg(long, value_name = "HOW", env = "HOMESPEC_REGISTER", value_parser = PossibleValuesParser::new(["open"]), help_heading = "Accounts")]
    pub register: Option<String>,
    /// Make disposable accounts with the registration token in this file
    #[arg(
        long,
        value_name = "FILE",
        env = "HOMESPEC_REGISTRATION_TOKEN_FILE",
        help_heading = "Accounts"
    )]
    pub registration_token_file: Option<PathBuf>,
    /// Create disposable accounts by Synapse's admin call, with the shared secret in this file
    #[arg(
        long,
        value_name = "FILE",
        env = "HOMESPEC_REGISTRATION_SHARED_SECRET_FILE",
        help_heading = "Accounts"
    )]
    pub registration_shared_secret_file: Option<PathBuf>,
    /// Create disposable accounts by this program, which prints {"user_id": …, "password": …} each time
    #[arg(
        long,
        value_name = "COMMAND",
        env = "HOMESPEC_ACCOUNT_COMMAND",
        help_heading = "Accounts"
    )]
    pub account_command: Option<String>,
    /// Certificates to trust in addition to those of the system, in PEM
    #[arg(long, value_name = "FILE", env = "HOMESPEC_CA", help_heading = "Transport")]
    pub ca: Option<PathBuf>,
    /// Do not check certificates
    #[arg(long, env = "HOMESPEC_INSECURE", help_heading = "Transport")]
    pub insecure: bool,
    /// Send every request through this proxy
    #[arg(
        long,
        value_name = "URL",
        env = "HOMESPEC_PROXY",
        hide_env_values = true,
        help_heading = "Transport"
    )]
    pub proxy: Option<String>,
    /// The proxy's user:password, in this file
    #[arg(long, value_name = "FILE", env = "HOMESPEC_PROXY_AUTH_FILE", help_heading = "Transport")]
    pub proxy_auth_file: Option<PathBuf>,
    /// Use this address for a host name instead of asking the DNS
    #[arg(
        long,
        value_name = "HOST=ADDR",
        env = "HOMESPEC_RESOLVE",
        value_delimiter = ',',
        help_heading = "Transport"
    )]
    pub resolve: Vec<String>,
    /// Send the headers in this file, one `Name: value` a line, with every request
    #[arg(long, value_name = "FILE", env = "HOMESPEC_HEADER_FILE", help_heading = "Transport")]
    pub header_file: Option<PathBuf>,
    /// Time to wait for a server that is starting
    #[arg(
        long,
        value_name = "DURATION",
        env = "HOMESPEC_WAIT_READY",
        value_parser = duration::parse,
        default_value = "0s",
        help_heading = "Transport"
    )]
    pub wait_ready: Duration,
    /// Read options from this file instead of ./homespec.yaml
    #[arg(long, value_name = "FILE", env = "HOMESPEC_CONFIG")]
    pub config: Option<PathBuf>,
    /// Send only the probe's GETs, and print the plan with an upper bound of logins, accounts and
    /// requests
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub test: TestArgs,
}

/// `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub reference: ReferenceArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub test: TestArgs,
}

/// Options of `run` and `demo`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Which path prefix; auto reads /versions
    #[arg(long, value_enum, env = "HOMESPEC_API", ignore_case = true, default_value = "auto")]
    pub api: ApiArg,
    /// OpenAPI files to use instead of the bundled ones, where they have the operation
    #[arg(long, value_name = "DIR", env = "HOMESPEC_SPEC", help_heading = "Cases")]
    pub spec: Option<PathBuf>,
    /// Add the cases of a folder
    #[arg(long, value_name = "DIR", env = "HOMESPEC_CASES", help_heading = "Cases")]
    pub cases: Option<PathBuf>,
    /// Use only the cases of a folder
    #[arg(long, value_name = "DIR", env = "HOMESPEC_ONLY_CASES", help_heading = "Cases")]
    pub only_cases: Option<PathBuf>,
    /// Run the cases of these ids; * and ? stand for any characters
    #[arg(
        long,
        value_name = "GLOB",
        env = "HOMESPEC_CASE",
        value_delimiter = ',',
        help_heading = "Selection"
    )]
    pub case: Vec<String>,
    /// Run the cases that decide these requirements
    #[arg(
        long,
        value_name = "GLOB",
        env = "HOMESPEC_REQUIREMENT",
        value_delimiter = ',',
        help_heading = "Selection"
    )]
    pub requirement: Vec<String>,
    /// Run the cases of these areas
    #[arg(
        long,
        value_name = "NAME",
        env = "HOMESPEC_AREA",
        value_delimiter = ',',
        help_heading = "Selection"
    )]
    pub area: Vec<String>,
    /// Run the cases that decide requirements of these levels
    #[arg(
        long,
        value_enum,
        env = "HOMESPEC_LEVEL",
        ignore_case = true,
        value_delimiter = ',',
        help_heading = "Selection"
    )]
    pub level: Vec<Level>,
    /// Leave out the cases of these ids
    #[arg(
        long,
        value_name = "GLOB",
        env = "HOMESPEC_SKIP",
        value_delimiter = ',',
        help_heading = "Selection"
    )]
    pub skip: Vec<String>,
    /// Run again what did not pass in that run
    #[arg(long, value_name = "RUN.json", env = "HOMESPEC_RERUN", help_heading = "Selection")]
    pub rerun: Option<PathBuf>,
    /// Fail if the server lacks this, e.g. password, token, refresh, get_token, sso or account
    #[arg(
        long,
        value_name = "NAME",
        env = "HOMESPEC_REQUIRE",
        value_delimiter = ',',
        help_heading = "Gate"
    )]
    pub require: Vec<Capability>,
    /// Known findings: a run fails for a new one, and for one that is fixed but still listed
    #[arg(long, value_name = "FILE", env = "HOMESPEC_BASELINE", help_heading = "Gate")]
    pub baseline: Option<PathBuf>,
    /// Add new findings to the baseline, with TODO as the reason
    #[arg(long, help_heading = "Gate")]
    pub update_baseline: bool,
    /// Permit `destructive` cases on supplied accounts, or `rate-limit` bursts
    #[arg(
        long,
        value_name = "CLASS",
        value_enum,
        env = "HOMESPEC_ALLOW",
        ignore_case = true,
        value_delimiter = ','
    )]
    pub allow: Vec<Allow>,
    /// Level that fails a run: a broken MUST, or a broken SHOULD too
    #[arg(
        long,
        value_name = "LEVEL",
        value_enum,
        env = "HOMESPEC_FAIL_ON",
        ignore_case = true,
        default_value = "must",
        help_heading = "Gate"
    )]
    pub fail_on: FailOn,
    /// End the run after the first case that fails
    #[arg(long, env = "HOMESPEC_FAIL_FAST", help_heading = "Gate")]
    pub fail_fast: bool,
    /// Accept MUSTs that could not be decided, other than those of security
    #[arg(long, env = "HOMESPEC_ALLOW_BLOCKED", help_heading = "Gate")]
    pub allow_blocked: bool,
    /// Number of cases that run at once
    #[arg(long, value_name = "N", env = "HOMESPEC_JOBS", value_parser = count, default_value = "4")]
    pub jobs: u16,
    /// For one request, in seconds or as 500ms, 30s, 2m
    #[arg(
        long,
        value_name = "DURATION",
        env = "HOMESPEC_TIMEOUT",
        value_parser = duration::parse,
        default_value = "30s"
    )]
    pub timeout: Duration,
    /// For all waits together, for rate limits and for tokens to expire; in seconds or as 30s, 5m, 1h30m
    #[arg(
        long,
        value_name = "DURATION",
        env = "HOMESPEC_MAX_WAIT",
        value_parser = duration::parse,
        default_value = "60s"
    )]
    pub max_wait: Duration,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub output: OutputArgs,
    /// Print the exchanges, secrets replaced
    #[arg(short, long)]
    pub verbose: bool,
}

/// Options for reports.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// Folder for the reports [default: reports]
    #[arg(long, value_name = "DIR", env = "HOMESPEC_OUT", help_heading = "Reports")]
    pub out: Option<PathBuf>,
    /// Which reports to write: json, junit, markdown, html; junit-strict for Jenkins' xUnit plugin
    /// [default: the first four]
    #[arg(
        long,
        value_name = "FORMAT",
        env = "HOMESPEC_REPORT",
        value_delimiter = ',',
        help_heading = "Reports"
    )]
    pub report: Vec<report::Format>,
}

/// How the reference homeserver is to behave.
#[derive(Debug, Args)]
pub struct ReferenceArgs {
    /// Break one requirement: see `homespec list --faults`
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub fault: Vec<String>,
    /// Differ legally: see `homespec list --quirks`
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub quirk: Vec<String>,
    /// The releases that it lists, e.g. r0.6.1 or v1.3,v1.11
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub versions: Vec<String>,
}

/// `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8008")]
    pub listen: std::net::SocketAddr,
    /// Change the responses of the homeserver at this URL; only with faults and quirks of the kinds
    /// data and shape
    #[arg(long, value_name = "URL", conflicts_with = "versions")]
    pub upstream: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub reference: ReferenceArgs,
}

/// `selftest`.
#[derive(Debug, Args)]
pub struct SelftestArgs {
    /// Only the faults and quirks of these names, or those of these requirements; * and ? stand for any characters
    #[arg(value_name = "NAME")]
    pub name: Vec<String>,
    /// Format of the output
    #[arg(long, value_enum, default_value_t = selftest::Rendering::Table)]
    pub format: selftest::Rendering,
    /// Run all cases for each fault, not only those of the requirements that it names
    #[arg(long)]
    pub full: bool,
    /// Print where the `also` lists of faults differ from the requirements that broke, and the lists
    /// that would fit
    #[arg(long, conflicts_with = "format")]
    pub propose_also: bool,
    /// Number of faults and quirks that run at once
    #[arg(long, value_name = "N", value_parser = count)]
    pub jobs: Option<u16>,
    /// Print each fault or quirk when it is done
    #[arg(short, long)]
    pub verbose: bool,
}

/// Options that exclude each other whether they are typed, in the environment or in a config file, and what is said
/// then. (clap's own conflicts would not see the file, whose values are defaults.)
pub const EXCLUSIVE: [(&str, &[&str], &str); 4] = [
    (
        "discover",
        &["url"],
        "a URL or --discover NAME, not both (HOMESPEC_URL and HOMESPEC_DISCOVER count too)",
    ),
    (
        "only_cases",
        &["cases"],
        "--cases or --only-cases, not both (HOMESPEC_CASES and HOMESPEC_ONLY_CASES count too)",
    ),
    (
        "registration_shared_secret_file",
        &["register", "registration_token_file", "account_command"],
        ONE_WAY,
    ),
    ("account_command", &["register", "registration_token_file"], ONE_WAY),
];
const ONE_WAY: &str = "give only one of --register, --registration-token-file, \
                       --registration-shared-secret-file or --account-command";

/// Returns the first id in [`EXCLUSIVE`] that another option excludes, and the sentence.
pub fn exclusive(is_there: impl Fn(&str) -> bool) -> Option<(&'static str, &'static str)> {
    let (id, _, why) = EXCLUSIVE
        .iter()
        .find(|(id, others, _)| is_there(id) && others.iter().any(|o| is_there(o)))?;
    Some((id, why))
}

fn count(text: &str) -> Result<u16, &'static str> {
    let number = text.parse::<NonZeroU16>();
    number.map(NonZeroU16::get).map_err(|_| "it is a whole number from 1 to 65535")
}

/// `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Every requirement of the register, with what decides it
    #[arg(long, group = "what")]
    pub requirements: bool,
    /// Every fault, with its kind: behaviour, data or shape
    #[arg(long, group = "what")]
    pub faults: bool,
    /// Every quirk, with its kind
    #[arg(long, group = "what")]
    pub quirks: bool,
    /// Format of the output
    #[arg(long, value_enum, default_value_t = ListFormat::Table)]
    pub format: ListFormat,
}

/// Formats of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// Columns.
    Table,
    /// A JSON list.
    Json,
}

/// Formats of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompareFormat {
    /// Columns, for a terminal.
    Table,
    /// For a forge.
    Markdown,
    /// For programs.
    Json,
}

/// Gives values of other parts of the crate, which know nothing of clap, their words.
macro_rules! words {
    ($($type:ty { $($word:literal = $value:ident),* })*) => {$(
        impl ValueEnum for $type {
            fn value_variants<'a>() -> &'a [Self] {
                &[$(<$type>::$value),*]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                Some(PossibleValue::new(match self { $(<$type>::$value => $word),* }))
            }
        }
    )*};
}

words! {
    Level { "must" = Must, "should" = Should, "may" = May }
    Allow { "destructive" = Destructive, "rate-limit" = RateLimit }
    selftest::Rendering { "table" = Table, "json" = Json, "markdown" = Markdown }
}

/// A path prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum ApiArg {
    Auto,
    R0,
    V3,
}

/// Levels that fail a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum FailOn {
    Must,
    Should,
}
