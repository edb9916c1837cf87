//! `run`, `demo` and `serve`.
use super::args::*;
use super::checked::{checked, sentence};
use super::progress::Bar;
use super::{
    Failure, accounts, colors_results, formats, gate, material, plural, print, say, target, width,
    write,
};
use crate::accounts::command::ExternalCommand;
use crate::accounts::operator::Operator;
use crate::accounts::pool::{AccountProvider, AccountSources};
use crate::case::ast::Api;
use crate::http::cancel::Cancellation;
use crate::http::client::{Proxy, Transport};
use crate::http::target::{NoTargetUrl, Target};
use crate::model::exit::{self, Gate};
use crate::model::run::{RecordedReason, Run, Verdict};
use crate::pipeline::{Job, JobError, Material, prepare};
use crate::plan::facts::Allow;
use crate::plan::selection::{Rerun, Selection};
use crate::plan::{Disposition, Plan};
use crate::redact::SecretString;
use crate::reference::{self, Catalogue, Front, Limit, Settings};
use crate::report::{self, Publisher, Withheld};
use crate::selftest::schema_faults;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn run(args: RunArgs, operator: Operator) -> Result<u8, Failure> {
    let target = target(&args)?;
    let material = material(&args.test)?;
    let transport = transport(&args, target)?;
    let mut job = job(&args.test, transport, &material)?;
    job.discover = args.discover.is_some();
    job.sources = sources(&args)?;
    job.operator = operator;
    job.wait_ready = args.wait_ready;
    let runtime = runtime()?;
    let ended = match args.dry_run {
        true => runtime.block_on(dry_run(material, job)),
        false => runtime.block_on(test(material, job, &args.test)),
    };
    // What was given up is not waited for.
    runtime.shutdown_background();
    ended
}

/// Lifetime of some tokens of the demo: long enough for the cases that use them, short enough to wait for.
const SHORT: Duration = Duration::from_millis(1500);

pub(super) fn demo(args: DemoArgs) -> Result<u8, Failure> {
    let material = material(&args.test)?;
    let rate_limited = args.test.allow.contains(&Allow::RateLimit);
    let mut settings = settings(&args.reference)?;
    if rate_limited {
        // Something to run into, and quick to recover from.
        settings.login_limit = Some(Limit { burst: 20, per_second: 10.0 });
        settings.get_token_limit = Some(Limit { burst: 10, per_second: 5.0 });
    }
    // Something to wait for.
    settings.chosen_lifetime = Some(SHORT);
    settings.login_token_lifetime = SHORT;
    let limits_logins = reference::limits_logins(&settings.quirks);
    // Its operator is at hand.
    let settings = reference::FaultNeed::Operator.met(settings);
    let operator = crate::selftest::operator_of(&settings);
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let running = start(settings).await?;
        let target = running.url().parse().map_err(no_target)?;
        let transport = Transport::to(target, args.test.timeout);
        let mut job = job(&args.test, transport, &material)?;
        job.sources.maker = Some(AccountProvider::Open);
        job.operator = operator;
        // What the server's own limits forbid stays open, which is right.
        job.gate.allow_blocked |= limits_logins;
        job.gate.allow_blocked_security = limits_logins;
        let status = test(material, job, &args.test).await;
        running.stop().await;
        status
    });
    runtime.shutdown_background();
    ended
}

pub(super) fn serve(args: ServeArgs) -> Result<u8, Failure> {
    if let Some(upstream) = &args.upstream {
        return serve_in_front(&args, upstream);
    }
    let mut settings = settings(&args.reference)?;
    settings.listen = args.listen;
    let demo_users = [("alice", "alice-password"), ("bob", "bob-password")];
    settings.users =
        demo_users.map(|(user, password)| (user.to_owned(), password.to_owned())).to_vec();
    runtime()?.block_on(async {
        let server_name = settings.server_name.clone();
        let running = start(settings).await?;
        let mut text = format!("reference homeserver at {}\n", running.url());
        for (user, password) in demo_users {
            text += &format!("  @{user}:{server_name}  password {password}\n");
        }
        text += "Stop with Ctrl-C\n";
        print(&text)?;
        let _ = tokio::signal::ctrl_c().await;
        running.stop().await;
        Ok(exit::CONFORMS)
    })
}

/// `serve --upstream`: the data layer alone.
fn serve_in_front(args: &ServeArgs, upstream: &str) -> Result<u8, Failure> {
    let behind = match upstream.parse().map_err(no_target)? {
        Target::Web(url) => url,
        Target::Socket { .. } => {
            return Err(Failure::usage("--upstream takes an http or https URL, no socket"));
        }
    };
    let layer = Front {
        listen: args.listen,
        upstream: behind,
        faults: args.reference.fault.clone(),
        quirks: args.reference.quirk.clone(),
        catalogue: schema_faults::bundled()?,
    };
    runtime()?.block_on(async {
        let running = reference::front(layer)
            .await
            .map_err(|error| Failure::usage(format!("--upstream {upstream}: {error}")))?;
        print(&format!("{upstream} at {}\nStop with Ctrl-C\n", running.url()))?;
        let _ = tokio::signal::ctrl_c().await;
        running.stop().await;
        Ok(exit::CONFORMS)
    })
}

fn settings(args: &ReferenceArgs) -> Result<Settings, Failure> {
    // Making it takes longer than all else at the start, and most runs name nothing of it.
    let named = !args.fault.is_empty() || !args.quirk.is_empty();
    let mut settings = Settings {
        faults: args.fault.clone(),
        quirks: args.quirk.clone(),
        catalogue: if named { schema_faults::bundled()? } else { Catalogue::default() },
        ..Settings::default()
    };
    if !args.versions.is_empty() {
        settings.versions = args.versions.clone();
    }
    Ok(settings)
}

async fn start(settings: Settings) -> Result<reference::Running, Failure> {
    reference::start(settings)
        .await
        .map_err(|error| Failure::usage(format!("the reference homeserver cannot start: {error}")))
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::new(exit::OWN_FAULT, format!("error: cannot start the runtime: {error}"))
    })
}

fn job(args: &TestArgs, transport: Transport, material: &Material) -> Result<Job, Failure> {
    let policies = gate::policies(args, material)?;
    Ok(Job {
        transport,
        discover: false,
        sources: AccountSources::default(),
        operator: Operator::default(),
        api: match args.api {
            ApiArg::Auto => None,
            ApiArg::R0 => Some(Api::R0),
            ApiArg::V3 => Some(Api::V3),
        },
        selection: Selection {
            cases: args.case.clone(),
            requirements: args.requirement.clone(),
            areas: args.area.clone(),
            levels: args.level.clone(),
            skip: args.skip.clone(),
            rerun: args.rerun.as_deref().map(|path| rerun(path, material)).transpose()?,
            all_standing: false,
            with_evidence: !policies.raw_verdicts,
        },
        allowed: args.allow.iter().copied().collect(),
        jobs: usize::from(args.jobs),
        max_wait: args.max_wait,
        wait_ready: Duration::ZERO,
        gate: Gate {
            fail_on_should: args.fail_on == FailOn::Should,
            allow_blocked: args.allow_blocked,
            allow_blocked_security: false,
        },
        fail_fast: args.fail_fast,
        policies,
    })
}

/// Reads the parts of an earlier run that did not pass, and prints them.
fn rerun(path: &Path, material: &Material) -> Result<Rerun, Failure> {
    let rerun = Rerun::of(&super::read_run(path)?, path.display().to_string());
    let gone = rerun.gone(&material.suite, &material.register);
    if !gone.is_empty() {
        say(&format!("note: no longer in the files, ignored: {}", gone.join(", ")))?;
    }
    let (cases, standing) = (rerun.cases.len(), rerun.standing.len());
    if cases + standing > 0 {
        say(&format!(
            "note: of {} {cases} case{} and {standing} standing requirement{} did not pass",
            rerun.file,
            plural(cases),
            plural(standing),
        ))?;
    }
    Ok(rerun)
}

fn sources(args: &RunArgs) -> Result<AccountSources, Failure> {
    let supplied = match &args.accounts {
        Some(path) => accounts::read(path)?,
        None => Vec::new(),
    };
    let maker = if let Some(token) = &args.registration_token_file {
        Some(AccountProvider::Token(secret(token)?))
    } else if let Some(file) = &args.registration_shared_secret_file {
        Some(AccountProvider::SharedSecret(secret(file)?))
    } else if let Some(line) = &args.account_command {
        Some(AccountProvider::ExternalCommand(command("--account-command", line)?))
    } else {
        args.register.as_ref().map(|_| AccountProvider::Open)
    };
    Ok(AccountSources { supplied, maker })
}

/// The web server of a server name with `--discover`, else the homeserver itself.
fn target(args: &RunArgs) -> Result<Target, Failure> {
    match (&args.url, &args.discover) {
        (_, Some(name)) => target::server_name(name).map_err(Failure::usage),
        (Some(url), None) => url.parse().map_err(no_target),
        (None, None) => Err(Failure::usage(
            "which homeserver? give its URL: homespec run https://matrix.example.org, or its server \
             name: homespec run --discover example.org\n\
             (`homespec demo` tests the embedded reference homeserver)",
        )),
    }
}

fn command(option: &str, line: &str) -> Result<ExternalCommand, Failure> {
    ExternalCommand::parse(line).map_err(|why| Failure::usage(format!("{option} `{line}`: {why}")))
}

fn no_target(why: NoTargetUrl) -> Failure {
    Failure::usage(why.to_string())
}

fn transport(args: &RunArgs, target: Target) -> Result<Transport, Failure> {
    let resolve = args.resolve.iter().map(|word| target::resolve(word));
    let resolve = resolve.collect::<Result<Vec<_>, _>>().map_err(Failure::usage)?;
    target::check_ports(&target, &resolve).map_err(Failure::usage)?;
    let proxy = proxy(args)?;
    if matches!(target, Target::Socket { .. }) && proxy.is_some() {
        return Err(Failure::usage("--proxy cannot be used with a unix socket"));
    }
    Ok(Transport {
        timeout: args.test.timeout,
        ca: args.ca.clone(),
        insecure: args.insecure,
        proxy,
        resolve,
        headers: match &args.header_file {
            Some(path) => headers(path)?,
            None => Vec::new(),
        },
        target,
    })
}

fn proxy(args: &RunArgs) -> Result<Option<Proxy>, Failure> {
    let credentials = args.proxy_auth_file.as_deref().map(secret).transpose()?;
    match (&args.proxy, credentials) {
        (Some(url), credentials) => {
            let url = target::proxy(url).map_err(Failure::usage)?;
            Ok(Some(Proxy { url, credentials }))
        }
        (None, Some(_)) => Err(Failure::usage("--proxy-auth-file needs --proxy")),
        (None, None) => Ok(None),
    }
}

fn headers(path: &Path) -> Result<Vec<(String, SecretString)>, Failure> {
    let name = path.display().to_string();
    let text = accounts::read_text(path).map_err(unreadable)?;
    Ok(target::headers(&name, &text)?)
}

fn secret(path: &Path) -> Result<SecretString, Failure> {
    accounts::secret(path).map_err(unreadable)
}

fn unreadable(why: impl std::fmt::Display) -> Failure {
    Failure::new(exit::FILES, format!("error: {why}"))
}

fn refused(error: JobError) -> Failure {
    Failure::new(error.status(), format!("error: {error}"))
}

async fn dry_run(material: Material, job: Job) -> Result<u8, Failure> {
    let mut prepared = prepare(Arc::new(material), job).map_err(refused)?;
    let vault = prepared.vault();
    let plan = prepared.preview(&Bar::new(vault.clone())).await;
    let plan = plan.map_err(|why| match sentence(&vault, &why.to_string()) {
        Ok(why) => Failure::new(exit::UNDECIDED, format!("error: {why}")),
        Err(failure) => failure,
    })?;
    print(&checked("the dry run", &vault, |show| planned(&plan, show))?)
}

/// The plan as a dry run shows it; only the words of a reason may come from the server.
fn planned(plan: &Plan, show: &dyn Fn(&str) -> String) -> String {
    let mut text = String::new();
    for planned in &plan.cases {
        text += &match &planned.disposition {
            Disposition::Run(_) => format!("run      {}\n", planned.case.id),
            Disposition::Not(verdict, reason) => {
                let RecordedReason { code, text } = reason.clone().into();
                let why = format!("{code}: {}", show(&text));
                format!("{verdict:8} {} ({})\n", planned.case.id, report::one_line(&why))
            }
        };
    }
    let running =
        plan.cases.iter().filter(|case| matches!(case.disposition, Disposition::Run(_))).count();
    text += &format!(
        "\n{running} of {} cases would run: at most {} logins, plus one to prove each of at most {} accounts, \
         {} requests. Nothing but the probe's GETs was sent.\n",
        plan.cases.len(),
        plan.logins(),
        plan.accounts(),
        plan.requests()
    );
    text
}

async fn test(material: Material, job: Job, args: &TestArgs) -> Result<u8, Failure> {
    let formats = formats(&args.output);
    let (policies, gating) = (job.policies.clone(), job.gate.gating());
    let prepared = prepare(Arc::new(material), job).map_err(refused)?;
    let folder = args.output.out.clone().unwrap_or_else(|| "reports".into());
    // A run may take minutes; better to know before it that nothing can be written.
    report::try_writing(&folder).map_err(|error| {
        Failure::new(exit::REPORT, format!("error: {error}; no request was sent"))
    })?;
    let bar = Bar::new(prepared.vault());
    let signals = tokio::spawn(listen_for_signals(prepared.stop.clone()));
    let run = prepared.run(&bar).await;
    bar.clear();
    let run = run.map_err(|why| Failure::new(why.exit_status, format!("error: {why}")))?;
    let reports = Publisher::new(&run);
    let written = write(&folder, &reports, &formats);
    let (paths, mut withheld, failure) = match written {
        Ok(written) => (written.paths, written.withheld, None),
        Err(failure) => (Vec::new(), Vec::new(), Some(failure)),
    };
    let mut show = |name: &str, render: &dyn Fn(&Run) -> String| -> Result<(), Failure> {
        match reports.render(name, |run| Ok(render(run))) {
            Ok(text) => print(&text).map(drop),
            Err(why) => {
                withheld.push(why);
                Ok(())
            }
        }
    };
    if args.verbose {
        show("the list of exchanges", &exchanges)?;
    }
    let (width, color) = (width(), colors_results());
    show("the summary", &|run| report::terminal(run, &paths, width, color))?;
    if std::env::var("GITHUB_ACTIONS").as_deref() == Ok("true") {
        show("the annotations", &annotations)?;
        withheld.extend(job_summary(&reports));
    }
    for why in &withheld {
        say(&format!("error: {why}"))?;
    }
    let failure = match failure {
        None => gate::update(&policies, &run, gating).err(),
        first => first,
    };
    signals.abort();
    // The graver of two statuses: 130 and 70 come before 6.
    let graver = matches!(run.exit_status, exit::INTERRUPTED | exit::OWN_FAULT);
    match failure {
        Some(failure) if graver => Err(Failure { status: run.exit_status, ..failure }),
        Some(failure) => Err(failure),
        None if withheld.is_empty() || graver => Ok(run.exit_status),
        None => Ok(exit::REPORT),
    }
}

/// The first Ctrl-C or termination stops the run, the second its clean-up, the third ends the program.
async fn listen_for_signals(stop: Cancellation) {
    let Ok(mut signals) = Signals::new() else {
        // Then a signal ends the program as it ends every other.
        return;
    };
    signals.next().await;
    stop.interrupt();
    let _ = say("stopping: no more requests are sent");
    signals.next().await;
    stop.interrupt();
    let _ = say("stopping at once; the reports list what was not cleaned up");
    signals.next().await;
    std::process::exit(i32::from(exit::INTERRUPTED));
}

/// Ctrl-C and requests to terminate; none is lost between two of them.
#[cfg(unix)]
struct Signals(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Every exchange of the run, for `-v`.
fn exchanges(run: &Run) -> String {
    let mut text = String::new();
    let outside = run.support.iter().map(|support| (support.name.clone(), &support.exchanges));
    let cases = run.cases.iter().filter(|case| case.verdict != Verdict::Skipped);
    let cases = cases.map(|case| (format!("{} {}", case.verdict, case.id), &case.exchanges));
    for (name, exchanges) in outside.chain(cases) {
        text += &format!("== {name}\n");
        for exchange in exchanges {
            text += &report::exchange_text(exchange);
        }
    }
    text
}

/// For GitHub Actions, on standard output.
fn annotations(run: &Run) -> String {
    report::github_annotations(run).iter().map(|line| format!("{line}\n")).collect()
}

/// The report as job summary of GitHub Actions, unless it has to be withheld.
fn job_summary(reports: &Publisher<'_>) -> Option<Withheld> {
    use std::io::Write as _;
    let path = std::env::var_os("GITHUB_STEP_SUMMARY")?;
    let text = match reports.render("the job summary", report::markdown) {
        Ok(text) => text,
        Err(why) => return Some(why),
    };
    let file = std::fs::OpenOptions::new().append(true).create(true).open(&path);
    if let Err(error) = file.and_then(|mut file| file.write_all(text.as_bytes())) {
        let _ = say(&format!("warning: the job summary could not be written: {error}"));
    }
    None
}
