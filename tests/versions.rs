//! What the suite says of a right homeserver of each release: the verdict of every requirement is
//! compared with `tests/versions/verdicts.tsv`, which `UPDATE_GOLDEN=1` writes anew.
//!
//! The table is made to be read: a row that says `skipped version` or `not-applicable` where the
//! release has the rule, or a verdict where it has not, is a fault of the register or of a case. Its
//! last column is written by hand and kept: it explains what would else look like such a fault.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
use homespec::accounts::pool::{AccountProvider, AccountSources};
use homespec::http::client::Transport;
use homespec::http::target::Target;
use homespec::model::exit::Gate;
use homespec::model::run::{RequirementOutcome, RequirementVerdict, Run, Verdict};
use homespec::pipeline::{Job, Material, Policies, prepare};
use homespec::plan::facts::Allow;
use homespec::plan::selection::Selection;
use homespec::reference::{self, FaultNeed, Limit, Settings};
use homespec::run::executor::Silent;
use homespec::selftest::operator_of;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use url::Url;

/// Each is listed alone: the first and the last patch of r0 that servers still list, and those
/// releases of v1 that brought something to logging in.
const RELEASES: [&str; 9] =
    ["r0.0.1", "r0.5.0", "r0.6.1", "v1.1", "v1.3", "v1.7", "v1.11", "v1.15", "v1.19"];

/// What registration asks for, where it asks for a token.
const TOKEN: &str = "homespec";

fn table_file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/versions/verdicts.tsv")
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().enable_all().build().expect("a runtime can be built")
}

/// A homeserver of one release, with everything that a homeserver may offer of itself, or its operator.
fn settings(release: &str) -> Settings {
    let offers = FaultNeed::Operator.met(Settings::default());
    Settings { versions: vec![release.to_owned()], sso: true, oauth: true, ..offers }
}

/// A run of everything but the bursts, and what a second homeserver with a limit that fills slowly
/// shows of the rate limits: there no machine is too slow to run into it.
async fn run(material: Arc<Material>, settings: Settings) -> Run {
    let limited =
        Settings { login_limit: Some(Limit { burst: 8, per_second: 0.1 }), ..settings.clone() };
    let mut run = run_one(material.clone(), settings, Selection::default()).await;
    let area = Selection {
        areas: vec!["rate_limit".to_owned()],
        all_standing: true,
        ..Selection::default()
    };
    let limits = run_one(material, limited, area).await;
    let of_limits = |id: &str| id.starts_with("rate_limit.") || id.ends_with(".rate_limited");
    for (whole, limited) in run.requirements.iter_mut().zip(limits.requirements) {
        if of_limits(&whole.id) {
            *whole = limited;
        }
    }
    run.cases.retain(|case| case.area != "rate_limit");
    run.cases.extend(limits.cases);
    run
}

async fn run_one(material: Arc<Material>, settings: Settings, selection: Selection) -> Run {
    let maker = match settings.registration_token {
        Some(_) => AccountProvider::Token(TOKEN.to_owned().into()),
        None => AccountProvider::Open,
    };
    let operator = operator_of(&settings);
    let running = reference::start(settings).await.expect("the reference homeserver starts");
    let job = Job {
        transport: Transport::to(
            Target::Web(Url::parse(&running.url()).expect("its URL is one")),
            Duration::from_secs(20),
        ),
        discover: false,
        sources: AccountSources { supplied: Vec::new(), maker: Some(maker) },
        operator,
        api: None,
        selection,
        allowed: BTreeSet::from([Allow::RateLimit]),
        jobs: 4,
        max_wait: Duration::from_secs(120),
        wait_ready: Duration::ZERO,
        gate: Gate::default(),
        fail_fast: false,
        policies: Policies::default(),
    };
    let run = prepare(material, job).expect("the run can be prepared").run(&Silent).await;
    let run = run.expect("it can be shown").into_run();
    running.stop().await;
    run
}

/// A run for each list of settings, two at a time, in the same order.
async fn runs(all: Vec<Settings>) -> Vec<Run> {
    let material = Arc::new(Material::load(None, None).expect("the bundled files are right"));
    let permits = Arc::new(Semaphore::new(2));
    let mut tasks = JoinSet::new();
    for (at, settings) in all.into_iter().enumerate() {
        let (material, permits) = (material.clone(), permits.clone());
        tasks.spawn(async move {
            let _permit = permits.acquire().await;
            (at, run(material, settings).await)
        });
    }
    let ended: BTreeMap<usize, Run> = tasks.join_all().await.into_iter().collect();
    ended.into_values().collect()
}

/// What the table says of a requirement: its verdict, why where it has none, or that it is not
/// part of the release.
fn cell(outcome: &RequirementOutcome) -> String {
    let code = outcome.reason.as_ref().map_or("", |reason| reason.code.as_str());
    match outcome.verdict {
        RequirementVerdict::Untested => "untested".to_owned(),
        RequirementVerdict::Skipped if !outcome.applies => "not-applicable".to_owned(),
        RequirementVerdict::Skipped => format!("skipped {code}"),
        verdict if !outcome.applies => format!("{} (not-applicable)", verdict.as_str()),
        RequirementVerdict::Passed => "passed".to_owned(),
        verdict => format!("{} {code}", verdict.as_str()).trim_end().to_owned(),
    }
}

/// What a cell must not say without a remark in the row.
fn is_odd(cell: &str) -> bool {
    let quiet = ["passed", "not-applicable", "untested", "skipped not_observed"];
    !quiet.contains(&cell)
}

/// The remarks of a table, by requirement.
fn remarks(table: &str) -> BTreeMap<String, String> {
    let rows = table.lines().skip(1).filter_map(|line| {
        let mut cells = line.split('\t');
        let id = cells.next()?;
        Some((id.to_owned(), cells.next_back().unwrap_or_default().to_owned()))
    });
    rows.collect()
}

fn table(runs: &[Run], remarks: &BTreeMap<String, String>) -> String {
    let mut text = format!("requirement\t{}\tremark\n", RELEASES.join("\t"));
    let Some(first) = runs.first() else { return text };
    for outcome in &first.requirements {
        let of_run = |run: &Run| run.requirements.iter().find(|o| o.id == outcome.id).map(cell);
        let cells: Vec<String> = runs.iter().filter_map(of_run).collect();
        assert_eq!(cells.len(), runs.len(), "{}: every run tells of it", outcome.id);
        let remark = remarks.get(&outcome.id).map_or("", String::as_str);
        let _ = writeln!(text, "{}\t{}\t{remark}", outcome.id, cells.join("\t"));
    }
    text
}

/// Rows with something odd and no remark, or the reverse.
fn unexplained(table: &str) -> Vec<&str> {
    let rows = table.lines().skip(1);
    rows.filter(|line| {
        let cells: Vec<&str> = line.split('\t').skip(1).collect();
        let Some((remark, cells)) = cells.split_last() else { return true };
        cells.iter().any(|cell| is_odd(cell)) == remark.is_empty()
    })
    .collect()
}

/// What a right homeserver must not be told: every failure and warning whose requirement is not in
/// `explained`, and every case that could not be decided.
fn complaints(name: &str, run: &Run, explained: &[&str]) -> Vec<String> {
    let of_cases = run.cases.iter().flat_map(|case| case.findings.iter().map(|f| (&*case.id, f)));
    let standing = run.standing.iter().flat_map(|s| s.findings.iter().map(|f| ("standing", f)));
    let broken = of_cases
        .chain(standing)
        .filter(|(_, f)| f.verdict == Verdict::Failed || !explained.contains(&&*f.requirement))
        .map(|(owner, f)| format!("{name} {owner}: {}: {}", f.requirement, f.message));
    let undecided = run.cases.iter().filter(|case| case.verdict >= Verdict::Blocked);
    let undecided = undecided.filter(|case| case.findings.is_empty()).map(|case| {
        let reason = case.reason.as_ref().map_or("", |reason| reason.text.as_str());
        format!("{name} {}: {} {reason}", case.id, case.verdict.as_str())
    });
    broken.chain(undecided).collect()
}

#[test]
fn a_right_homeserver_of_any_release_is_judged_by_that_release() {
    let runs = runtime().block_on(runs(RELEASES.map(settings).to_vec()));
    let known = std::fs::read_to_string(table_file()).unwrap_or_default();
    let table = table(&runs, &remarks(&known));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(table_file(), &table).expect("the table can be written");
    }
    let named = RELEASES.iter().zip(&runs);
    let wrong: Vec<String> = named.flat_map(|(name, run)| complaints(name, run, &[])).collect();
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
    let unexplained = unexplained(&table);
    assert!(unexplained.is_empty(), "the last column does not fit:\n{}", unexplained.join("\n"));
    let is_known = |line: &&str| known.lines().any(|known| known == *line);
    let changed: Vec<&str> = table.lines().filter(|line| !is_known(line)).collect();
    assert!(
        !changed.is_empty() || known.lines().count() == table.lines().count(),
        "the table has rows of requirements that are no more"
    );
    assert!(
        changed.is_empty() || std::env::var_os("UPDATE_GOLDEN").is_some(),
        "UPDATE_GOLDEN=1 writes the table anew; now:\n{}",
        changed.join("\n")
    );
}

#[test]
fn every_session_is_ended_where_a_release_has_logout() {
    let run = runtime().block_on(runs(vec![settings("v1.1")])).remove(0);
    assert_eq!(run.not_cleaned_up, Vec::<String>::new());
}

/// A homeserver that does not know what came after the release that it lists. The lists begin with
/// the first release that has `identifier`, which cases name users by.
#[test]
fn nothing_is_asked_of_a_release_that_came_later() {
    let strict = |release: &str| Settings {
        quirks: vec!["only-what-is-listed".to_owned()],
        ..settings(release)
    };
    let releases = ["r0.4.0", "r0.5.0", "v1.1"];
    let runs = runtime().block_on(runs(releases.map(strict).to_vec()));
    let named = releases.iter().zip(&runs);
    let wrong: Vec<String> = named.flat_map(|(name, run)| complaints(name, run, &[])).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Requirements that the table cannot show decided, since a homeserver either offers a thing or
/// does not; each is decided by a run with other settings.
#[test]
fn what_a_full_offer_hides_is_decided_elsewhere() {
    let newest = || settings("v1.19");
    let quirk = |name: &str| Settings { quirks: vec![name.to_owned()], ..newest() };
    let elsewhere: Vec<(&[&str], Settings)> = vec![
        (
            &["auth.discovery.metadata_404", "route.optional_endpoint.absent"],
            Settings { oauth: false, get_token: false, ..newest() },
        ),
        (&["auth.discovery.login_404", "auth.legacy_absent.post_login"], quirk("no-legacy-api")),
        (&["get_token.denied"], Settings { login_tokens_allowed: false, ..newest() }),
        (&["refresh.no_rotation"], quirk("refresh-not-rotated")),
        (&["uia.order"], Settings { registration_token: Some(TOKEN.to_owned()), ..newest() }),
    ];
    let (ids, all): (Vec<_>, Vec<_>) = elsewhere.into_iter().unzip();
    for (ids, run) in ids.into_iter().zip(runtime().block_on(runs(all))) {
        for id in ids {
            let outcome = run.requirements.iter().find(|outcome| outcome.id == *id);
            let said = outcome.map(cell);
            assert_eq!(said.as_deref(), Some("passed"), "{id}");
        }
    }
}
