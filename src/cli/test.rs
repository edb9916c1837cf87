//! `run`, `demo` and `serve`.
use super::args::*;
use super::progress::Bar;
use super::{
    Failure, accounts, colors_results, config, formats, material, print, say, width, write,
};
use crate::app::{Job, JobError, Material, prepare};
use crate::case::ast::Api;
use crate::exit::{self, Gate};
use crate::facts::Allow;
use crate::outcome::{Run, Verdict};
use crate::plan::Fate;
use crate::reference::{self, Catalogue, Front, Limit, Settings};
use crate::report;
use crate::run::desk::{Maker, Sources};
use crate::run::http::Transport;
use crate::run::stop::Stop;
use crate::select::Wish;
use crate::shapes;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

const DEFAULT_JOBS: u16 = 4;
const DEFAULT_TIMEOUT: f64 = 30.0;
const DEFAULT_MAX_WAIT: f64 = 60.0;

pub(super) fn run(mut args: RunArgs) -> Result<u8, Failure> {
    config::fill(&mut args).map_err(|faults| Failure::files(&faults))?;
    let Some(url) = args.url.clone() else {
        return Err(Failure::usage(
            "which homeserver? give its URL: homespec run https://matrix.example.org\n\
             (`homespec demo` tests the embedded reference homeserver)",
        ));
    };
    let material = material(&args.test)?;
    let transport = Transport {
        base_url: base_url(&url)?,
        timeout: seconds("--timeout", args.test.timeout, DEFAULT_TIMEOUT)?,
        ca: args.ca.clone(),
        insecure: args.insecure,
        proxy: args.proxy.as_deref().map(proxy_url).transpose()?,
        resolve: args.resolve.iter().map(|word| resolve(word)).collect::<Result<_, _>>()?,
        headers: match &args.header_file {
            Some(path) => headers(path)?,
            None => Vec::new(),
        },
    };
    let mut job = job(&args.test, transport)?;
    job.sources = sources(&args)?;
    job.wait_ready = seconds("--wait-ready", args.wait_ready, 0.0)?;
    let runtime = runtime()?;
    if args.dry_run {
        return runtime.block_on(dry_run(material, job));
    }
    runtime.block_on(test(material, job, &args.test))
}

pub(super) fn demo(args: DemoArgs) -> Result<u8, Failure> {
    let material = material(&args.test)?;
    let rate_limited = args.test.allow.contains(&AllowArg::RateLimit);
    let mut settings = settings(&args.reference)?;
    if rate_limited {
        // Something to run into, and quick to recover from.
        settings.login_limit = Some(Limit { burst: 20, per_second: 10.0 });
    }
    runtime()?.block_on(async {
        let running = start(settings).await?;
        let transport = Transport {
            base_url: base_url(&running.url())?,
            timeout: seconds("--timeout", args.test.timeout, DEFAULT_TIMEOUT)?,
            ca: None,
            insecure: false,
            proxy: None,
            resolve: Vec::new(),
            headers: Vec::new(),
        };
        let mut job = job(&args.test, transport)?;
        job.sources.maker = Some(Maker::Open);
        let status = test(material, job, &args.test).await;
        running.stop().await;
        status
    })
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
        text += "Ctrl-C ends it\n";
        print(&text)?;
        let _ = tokio::signal::ctrl_c().await;
        running.stop().await;
        Ok(exit::CONFORMS)
    })
}

/// `serve --upstream`: the data layer alone.
fn serve_in_front(args: &ServeArgs, upstream: &str) -> Result<u8, Failure> {
    let layer = Front {
        listen: args.listen,
        upstream: base_url(upstream)?,
        faults: args.reference.fault.clone(),
        quirks: args.reference.quirk.clone(),
        catalogue: catalogue()?,
    };
    runtime()?.block_on(async {
        let running = reference::front(layer)
            .await
            .map_err(|error| Failure::usage(format!("--upstream {upstream}: {error}")))?;
        print(&format!("{upstream} at {}\nCtrl-C ends it\n", running.url()))?;
        let _ = tokio::signal::ctrl_c().await;
        running.stop().await;
        Ok(exit::CONFORMS)
    })
}

fn catalogue() -> Result<Catalogue, Failure> {
    shapes::bundled().map_err(|faults| Failure::files(&faults))
}

fn settings(args: &ReferenceArgs) -> Result<Settings, Failure> {
    let mut settings = Settings {
        faults: args.fault.clone(),
        quirks: args.quirk.clone(),
        catalogue: catalogue()?,
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

fn job(args: &TestArgs, transport: Transport) -> Result<Job, Failure> {
    let allow = |word: &AllowArg| match word {
        AllowArg::Destructive => Allow::Destructive,
        AllowArg::RateLimit => Allow::RateLimit,
    };
    Ok(Job {
        transport,
        sources: Sources::default(),
        api: match args.api {
            None | Some(ApiArg::Auto) => None,
            Some(ApiArg::R0) => Some(Api::R0),
            Some(ApiArg::V3) => Some(Api::V3),
        },
        wish: Wish {
            cases: args.case.clone(),
            requirements: args.requirement.clone(),
            areas: args.area.clone(),
            levels: args.level.iter().map(|level| (*level).into()).collect(),
            skip: args.skip.clone(),
            all_standing: false,
        },
        allowed: args.allow.iter().map(allow).collect(),
        jobs: usize::from(args.jobs.unwrap_or(DEFAULT_JOBS)),
        max_wait: seconds("--max-wait", args.max_wait, DEFAULT_MAX_WAIT)?,
        wait_ready: Duration::ZERO,
        gate: Gate {
            fail_on_should: args.fail_on == Some(FailOn::Should),
            allow_blocked: args.allow_blocked,
        },
    })
}

fn sources(args: &RunArgs) -> Result<Sources, Failure> {
    let supplied = match &args.accounts {
        Some(path) => accounts::read(path).map_err(|faults| Failure::files(&faults))?,
        None => Vec::new(),
    };
    let token = args.registration_token_file.as_deref();
    let secret = args.registration_shared_secret_file.as_deref();
    let read = |path: &Path| {
        accounts::secret(path).map_err(|why| Failure::new(exit::FILES, format!("error: {why}")))
    };
    let maker = match (&args.register, token, secret) {
        (None, None, None) => None,
        (_, Some(token), None) => Some(Maker::Token(read(token)?)),
        (None, None, Some(secret)) => Some(Maker::SharedSecret(read(secret)?)),
        (Some(_), None, None) => Some(Maker::Open),
        _ => {
            return Err(Failure::usage(
                "there is one way to make accounts: --register, --registration-token-file or \
                 --registration-shared-secret-file",
            ));
        }
    };
    Ok(Sources { supplied, maker })
}

fn base_url(text: &str) -> Result<Url, Failure> {
    let refused = |why: &str| Failure::usage(format!("`{text}` is no homeserver URL: {why}"));
    let url = Url::parse(text)
        .map_err(|error| refused(&format!("{error}; it begins with https:// or http://")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(refused("it begins with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let why = "it holds a user name; accounts are given with --accounts FILE";
        return Err(Failure::usage(format!("the URL cannot be used: {why}")));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("it has a query or a fragment"));
    }
    Ok(url)
}

fn proxy_url(text: &str) -> Result<Url, Failure> {
    Url::parse(text).map_err(|error| Failure::usage(format!("--proxy: {error}")))
}

fn resolve(word: &str) -> Result<(String, SocketAddr), Failure> {
    let refused = || {
        Failure::usage(format!("--resolve: `{word}` is not HOST=ADDR, e.g. hs.example=127.0.0.1"))
    };
    let (host, address) = word.split_once('=').ok_or_else(refused)?;
    let with_port = address.parse::<SocketAddr>();
    let address = with_port
        .or_else(|_| address.parse().map(|ip| SocketAddr::new(ip, 0)))
        .map_err(|_| refused())?;
    Ok((host.to_owned(), address))
}

fn headers(path: &Path) -> Result<Vec<(String, String)>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("{}: cannot be read: {error}", path.display())))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .enumerate()
        .map(|(at, line)| match line.split_once(':') {
            Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
            None => Err(Failure::usage(format!(
                "{}:{}: a header is written as `Name: value`",
                path.display(),
                at + 1
            ))),
        })
        .collect()
}

fn seconds(option: &str, given: Option<f64>, default: f64) -> Result<Duration, Failure> {
    Duration::try_from_secs_f64(given.unwrap_or(default))
        .map_err(|_| Failure::usage(format!("{option} is a number of seconds, 0 or more")))
}

fn refused(error: JobError) -> Failure {
    Failure::new(error.status(), format!("error: {error}"))
}

async fn dry_run(material: Material, job: Job) -> Result<u8, Failure> {
    let prepared = prepare(Arc::new(material), job).map_err(refused)?;
    let preview = prepared
        .preview()
        .await
        .map_err(|why| Failure::new(exit::UNDECIDED, format!("error: {why}")))?;
    let plan = &preview.plan;
    let mut text = String::new();
    for planned in &plan.cases {
        text += &match &planned.fate {
            Fate::Run(_) => format!("run      {}\n", planned.case.id),
            Fate::Not(verdict, reason) => {
                format!("{:8} {} ({}: {})\n", verdict, planned.case.id, reason.code, reason.text)
            }
        };
    }
    let running = plan.cases.iter().filter(|case| matches!(case.fate, Fate::Run(_))).count();
    text += &format!(
        "\n{running} of {} cases would run: at most {} logins beside one to prove each of at most {} accounts, \
         {} requests. Nothing but the probe's GETs was sent.\n",
        plan.cases.len(),
        plan.logins(),
        plan.accounts(),
        plan.requests()
    );
    print(&text)
}

async fn test(material: Material, job: Job, args: &TestArgs) -> Result<u8, Failure> {
    let formats = formats(&args.output)?;
    let prepared = prepare(Arc::new(material), job).map_err(refused)?;
    let bar = Bar::new();
    let signals = tokio::spawn(listen_for_signals(prepared.stop.clone()));
    let run = prepared.run(&bar).await;
    signals.abort();
    bar.clear();
    let folder = args.output.out.clone().unwrap_or_else(|| "reports".into());
    let written = write(&folder, &run, &formats);
    if args.verbose {
        print(&exchanges(&run))?;
    }
    let paths = written.as_deref().unwrap_or_default();
    print(&report::terminal(&run, paths, width(), colors_results()))?;
    github(&run)?;
    match written {
        Ok(_) => Ok(run.exit_status),
        // The graver of two statuses: 130 and 70 come before 6.
        Err(failure) if matches!(run.exit_status, exit::INTERRUPTED | exit::OWN_FAULT) => {
            Err(Failure { status: run.exit_status, ..failure })
        }
        Err(failure) => Err(failure),
    }
}

/// The first Ctrl-C or termination stops the run, the second ends the program at once.
async fn listen_for_signals(stop: Stop) {
    wait_for_signal().await;
    stop.set();
    let _ = say("stopping: cleaning up and writing the reports; once more ends at once");
    wait_for_signal().await;
    std::process::exit(i32::from(exit::INTERRUPTED));
}

#[cfg(unix)]
async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn wait_for_signal() {
    let _ = tokio::signal::ctrl_c().await;
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

/// Under GitHub Actions: annotations on standard output, the report as job summary.
fn github(run: &Run) -> Result<(), Failure> {
    if std::env::var("GITHUB_ACTIONS").as_deref() != Ok("true") {
        return Ok(());
    }
    let lines: String = report::github_annotations(run).iter().map(|l| format!("{l}\n")).collect();
    print(&lines)?;
    if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY") {
        use std::io::Write as _;
        let file = std::fs::OpenOptions::new().append(true).create(true).open(&path);
        let written = file.and_then(|mut file| file.write_all(report::markdown(run).as_bytes()));
        if let Err(error) = written {
            let _ = say(&format!("warning: the job summary could not be written: {error}"));
        }
    }
    Ok(())
}
