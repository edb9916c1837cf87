//! The kill matrix: every fault of the reference homeserver, and what the suite says of it.
//!
//! A fault names the requirement that it breaks and the clause; what catches it is computed here. A
//! fault that survives shows a check that cannot fail; a requirement that turns red without being
//! named shows a false alarm, or a `also:` list that is not complete.
mod matrix;
pub mod schema_faults;
mod show;
// Only a test puts faults in front of another homeserver.
#[cfg(feature = "internal")]
mod upstream;

pub use matrix::{Change, FaultEnd, FaultOutcome, Matrix, QuirkOutcome, Red, Row};
pub use show::{Format, SCHEMA_VERSION};
#[cfg(feature = "internal")]
pub use upstream::in_front;

use crate::accounts::operator::{Appservice, Email, Operator, Owner, Phone};
use crate::accounts::pool::{AccountProvider, AccountSources, Credential, SuppliedAccount};
use crate::http::client::Transport;
use crate::http::target::Target;
use crate::model::exit::Gate;
use crate::model::release::Listed;
use crate::model::run::{CaseOutcome, Finding, RecordedExchange, RequirementVerdict, Run, Verdict};
use crate::pipeline::{Job, JobError, Material, Policies, RunWithheld, prepare};
use crate::plan::facts::Allow;
use crate::plan::selection::{Selection, glob_matches};
use crate::reference::{
    self, Catalogue, Fault, FaultFileError, FaultNeed, Place, Quirk, Settings, StartError,
};
use crate::requirements::{Requirement, Severity};
use crate::run::executor::Silent;
use crate::yaml::diagnostic::Diagnostic;
use matrix::Scope;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use url::Url;

/// How much is run for each fault and quirk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The cases of the requirements that it names, and all standing checks.
    Named,
    /// Everything; faults and quirks made from schemas are still looked for in the few cases that see their answers.
    Full,
}

/// Why the matrix could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SelftestError {
    /// The reference homeserver does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A run cannot be prepared.
    #[error(transparent)]
    Job(#[from] JobError),
    /// Nothing of a run may be shown.
    #[error(transparent)]
    Withheld(#[from] RunWithheld),
    /// A URL of our own is none.
    #[error("the reference homeserver's URL cannot be read: {0}")]
    Url(#[from] url::ParseError),
    /// The bundled files, of which faults are made, are wrong.
    #[error("{} faults in the bundled files", .0.len())]
    Files(Vec<Diagnostic>),
    /// Words that name no fault, no quirk and no requirement.
    #[error("{} names nothing", .0.join(" or "))]
    NoMatch(Vec<String>),
    /// The file of faults is wrong.
    #[error(transparent)]
    Faults(#[from] &'static FaultFileError),
    /// A task of the matrix failed.
    #[error("a part of the matrix failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// What a matrix is to be made of.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Faults.
    pub faults: Vec<&'static Fault>,
    /// Quirks.
    pub quirks: Vec<&'static Quirk>,
    /// Requirements of which a fault is owed where something decides them.
    requirements: BTreeSet<String>,
}

impl Asked {
    /// What globs over the names of faults and quirks and over ids of requirements name, everything without any: a
    /// requirement stands for the faults that break it and the quirks that list it.
    ///
    /// # Errors
    /// Words that name nothing, or the file of faults is wrong.
    pub fn of(
        material: &Material,
        catalogue: Catalogue,
        words: &[String],
    ) -> Result<Asked, SelftestError> {
        let ids = || material.register.iter().map(|requirement| requirement.id.as_str());
        let all: Vec<&'static Fault> = catalogue.all_faults()?.collect();
        let names = all.iter().map(|fault| fault.name);
        let names: Vec<&str> =
            names.chain(catalogue.all_quirks().map(|quirk| quirk.name)).chain(ids()).collect();
        let idle = |word: &&String| !names.iter().any(|name| glob_matches(word, name));
        let idle: Vec<String> = words.iter().filter(idle).cloned().collect();
        if !idle.is_empty() {
            return Err(SelftestError::NoMatch(idle));
        }
        let named =
            |name: &str| words.is_empty() || words.iter().any(|word| glob_matches(word, name));
        let quirks = catalogue.all_quirks();
        let lists = |quirk: &Quirk| quirk.changes.iter().any(|id| named(id));
        Ok(Asked {
            faults: all
                .into_iter()
                .filter(|fault| named(fault.name) || named(fault.requirement))
                .collect(),
            quirks: quirks.filter(|quirk| named(quirk.name) || lists(quirk)).collect(),
            requirements: ids().filter(|id| named(id)).map(str::to_owned).collect(),
        })
    }
}

/// Runs the matrix with so many faults and quirks at once; `told` is called after each.
///
/// # Errors
/// The reference homeserver cannot be run.
pub async fn matrix(
    material: Arc<Material>,
    asked: &Asked,
    reach: Reach,
    jobs: usize,
    told: &(dyn Fn(&str) + Sync),
) -> Result<Matrix, SelftestError> {
    let clean = Arc::new(baselines(&material, asked).await?);
    let permits = Arc::new(Semaphore::new(jobs.max(1)));
    let mut running: JoinSet<Result<One, SelftestError>> = JoinSet::new();
    for (at, fault) in asked.faults.iter().copied().enumerate() {
        let (material, clean, permits) = (material.clone(), clean.clone(), permits.clone());
        running.spawn(async move {
            let _permit = permits.acquire().await;
            one_fault(&material, fault, &clean, reach).await.map(|outcome| One::Fault(at, outcome))
        });
    }
    for (at, quirk) in asked.quirks.iter().copied().enumerate() {
        let (material, clean, permits) = (material.clone(), clean.clone(), permits.clone());
        running.spawn(async move {
            let _permit = permits.acquire().await;
            one_quirk(&material, quirk, &clean).await.map(|outcome| One::Quirk(at, outcome))
        });
    }
    let (mut of_faults, mut of_quirks) = (BTreeMap::new(), BTreeMap::new());
    while let Some(joined) = running.join_next().await {
        match joined?? {
            One::Fault(at, outcome) => {
                told(outcome.name);
                of_faults.insert(at, outcome);
            }
            One::Quirk(at, outcome) => {
                told(outcome.name);
                of_quirks.insert(at, outcome);
            }
        }
    }
    let rows = material.register.iter().map(|requirement| {
        Row::new(&requirement.id, requirement.level, is_decided(&material, requirement))
    });
    Ok(Matrix::of(
        of_faults.into_values().collect(),
        of_quirks.into_values().collect(),
        rows.collect(),
        &|id| asked.requirements.contains(id),
    ))
}

/// Whether anything decides a requirement, on whatever server: which runs do is left open, so that nothing is proven only
/// because a run of the reference homeserver skipped it.
fn is_decided(material: &Material, requirement: &Requirement) -> bool {
    material.covers(&requirement.id) || !requirement.standing.is_empty()
}

enum One {
    Fault(usize, FaultOutcome),
    Quirk(usize, QuirkOutcome),
}

/// Runs without a fault, by what the faults need to be set up.
type Baselines = BTreeMap<String, Run>;

fn key(need: FaultNeed) -> String {
    format!("{need:?}")
}

async fn baselines(material: &Arc<Material>, asked: &Asked) -> Result<Baselines, SelftestError> {
    let mut runs = Baselines::new();
    let of_faults = asked.faults.iter().map(|fault| fault.needs);
    for need in of_faults.chain(asked.quirks.iter().map(|quirk| quirk.needs)) {
        if let Entry::Vacant(open) = runs.entry(key(need)) {
            let settings = need.met(settings()?);
            open.insert(run(material, settings, need, Selection::default()).await?);
        }
    }
    Ok(runs)
}

/// Settings with which every fault and quirk can be switched on.
fn settings() -> Result<Settings, SelftestError> {
    let catalogue = schema_faults::bundled().map_err(SelftestError::Files)?;
    Ok(Settings { catalogue, ..Settings::default() })
}

async fn one_fault(
    material: &Arc<Material>,
    fault: &'static Fault,
    clean: &Baselines,
    reach: Reach,
) -> Result<FaultOutcome, SelftestError> {
    if let Some(why) = out_of_reach(material, fault) {
        return Ok(FaultOutcome::of(fault, FaultEnd::OutOfReach(why)));
    }
    let clean = clean.get(&key(fault.needs));
    let selection = match (fault.place, reach) {
        (Some(place), _) => clean.and_then(|clean| showing(clean, place)),
        (None, Reach::Full) => Some(Selection::default()),
        (None, Reach::Named) => Some(named_selection(material, fault)),
    };
    let Some(selection) = selection else {
        let why = "no answer in a run without faults gives occasion for it".to_owned();
        return Ok(FaultOutcome::of(fault, FaultEnd::OutOfReach(why)));
    };
    let mut run =
        run(material, fault.settings(settings()?), fault.needs, selection.clone()).await?;
    if run.cases.iter().any(|case| case.reason.as_ref().is_some_and(|r| r.code == "registration")) {
        // The fault keeps accounts from being made: it is looked for on given ones.
        run = self::run_with_given_accounts(material, fault, selection).await?;
    }
    Ok(judge(material, fault, &run, clean))
}

/// What a run says of a fault, given one without.
fn judge(
    material: &Arc<Material>,
    fault: &'static Fault,
    run: &Run,
    clean: Option<&Run>,
) -> FaultOutcome {
    let outcome = run.requirements.iter().find(|r| r.id == fault.requirement);
    let verdict = outcome.map_or(RequirementVerdict::Untested, |outcome| outcome.verdict);
    let reason = outcome.and_then(|o| o.reason.as_ref()).map_or("", |reason| reason.text.as_str());
    let wanted = match wanted(material, fault, run) {
        _ if ONLY_WARNS.contains(&fault.name) => Some(Verdict::Warned),
        Some(_) if fault.mild => Some(Verdict::Warned),
        wanted => wanted,
    };
    let found = wanted.is_some_and(|wanted| has_finding(run, fault.requirement, wanted));
    let end = FaultEnd::of(wanted, verdict, found, reason);
    let expected = |id: &str| id == fault.requirement || fault.also.contains(&id);
    let unexpected = reds(run, clean).into_iter().filter(|red| {
        let follows = |place| follows(run, &red.requirement, place);
        !expected(&red.requirement) && !fault.place.is_some_and(follows)
    });
    FaultOutcome {
        verdict,
        caught_by: catchers(run, fault.requirement),
        unexpected: unexpected.collect(),
        unseen: unseen(fault, run),
        ..FaultOutcome::of(fault, end)
    }
}

/// Requirements that a fault's `also` names, and that a run with it decided and found kept. What the run left open
/// contradicts nothing.
fn unseen(fault: &Fault, run: &Run) -> Vec<&'static str> {
    let kept = |id: &str| {
        let mut outcomes = run.requirements.iter();
        outcomes.any(|r| r.id == id && r.verdict == RequirementVerdict::Passed)
    };
    let also: BTreeSet<&'static str> = fault.also.iter().copied().collect();
    also.into_iter().filter(|id| *id != fault.requirement && kept(id)).collect()
}

/// Faults that break a MUST in a way of which the catalogue of requirements says that it deserves a
/// warning and no more; each was read again when it was put here.
const ONLY_WARNS: &[&str] = &[
    // OPTIONS without the headers of a preflight: no browser sends it.
    "options-bare-405",
    // null in place of an optional member.
    "rate-limit-ms-null",
    "versions-features-null",
    "flows-get-login-token-null",
    "devices-name-null",
    // The tested URL need not be the host of the server name.
    "well-known-403",
    "well-known-html",
    "well-known-bare-key",
    "well-known-key-with-blank",
    // Until v1.11 this was the name; the other came with a clarification.
    "login-page-old-name-alone",
    // A server without the OAuth API may ask for a token on any path.
    "metadata-401",
    // "warn only" in the catalogue.
    "sso-provider-brand-spaces",
    // Refused, but as a failed login and not as a malformed one.
    "login-password-number-403",
    "login-identifier-typeless-403",
    "login-identifier-text-403",
    "login-token-number-403",
    "refresh-number-401",
    // The specification's own text names M_UNAUTHORIZED for login failures as well.
    "login-wrong-password-code-unauthorized",
    // Leniency with the kind of a flag.
    "login-refresh-flag-text-taken",
    // Both statuses stand in the specification for a failed stage.
    "uia-wrong-password-403",
    // A client that lost the answer to a finished call may ask for it again.
    "get-token-session-reusable",
    // Filed as a clarification: the name that the call had until v1.11 is told from none.
    "login-page-former-callback",
    // The code of a failed stage is an example.
    "uia-wrong-password-code-unknown-token",
];

/// Faults of decided requirements that the suite cannot show, with the reason.
const UNSHOWN: &[(&str, &str)] = &[
    (
        "flows-429-without-code",
        "GET /login is limited at random here, which the burst of logins does not provoke",
    ),
    (
        "login-unknown-user-404-later",
        "one login in a run names somebody unknown: servers as deployed permit an address only a few that fail",
    ),
    (
        "uia-wrong-password-bare-later",
        "one stage in a run has a wrong password: servers as deployed lock accounts after a few",
    ),
];

/// Why a fault is not looked for.
fn out_of_reach(material: &Material, fault: &Fault) -> Option<String> {
    if let Some((_, why)) = UNSHOWN.iter().find(|(name, _)| *name == fault.name) {
        return Some((*why).to_owned());
    }
    let requirement = material.register.get(fault.requirement)?;
    let why = || requirement.untestable.clone().unwrap_or("no case decides it yet".to_owned());
    (!is_decided(material, requirement)).then(why)
}

/// The cases of the requirements that a fault names; all cases where only the standing checks look,
/// since any answer may show it.
fn named_selection(material: &Material, fault: &Fault) -> Selection {
    if !material.covers(fault.requirement) {
        return Selection::default();
    }
    let ids = std::iter::once(fault.requirement).chain(fault.also.iter().copied());
    let requirements = ids.filter(|id| material.covers(id)).map(str::to_owned).collect();
    Selection { requirements, all_standing: true, ..Selection::default() }
}

/// Whether a requirement is broken only in cases that saw answers of the place: what they looked for was in the answer
/// that a fault made from its schema has changed. What checks on every answer say follows from nothing.
fn follows(run: &Run, requirement: &str, place: Place) -> bool {
    let of_answers = run.standing.iter().flat_map(|standing| &standing.findings);
    let breaks = |finding: &Finding| finding.requirement == requirement;
    let mut cases = run.cases.iter().filter(|case| case.findings.iter().any(breaks));
    !of_answers.into_iter().any(breaks)
        && cases.all(|case| {
            case.exchanges.iter().any(|exchange| {
                exchange.operation.as_deref() == Some(place.operation)
                    && exchange
                        .response
                        .as_ref()
                        .is_some_and(|answer| answer.status == place.status)
            })
        })
}

/// A few cases in which a run without faults saw answers of a place; none if there are no such answers.
fn showing(clean: &Run, place: Place) -> Option<Selection> {
    const ENOUGH: usize = 2;
    let shows = |exchange: &RecordedExchange| shows(exchange, place);
    let of_cases = clean.cases.iter().filter(|case| case.exchanges.iter().any(shows));
    // A row is run with its case.
    let id = |case: &CaseOutcome| case.id.split('[').next().unwrap_or_default().to_owned();
    let mut cases: Vec<String> = of_cases.map(id).collect();
    cases.dedup();
    cases.truncate(ENOUGH);
    let outside = || clean.support.iter().flat_map(|support| &support.exchanges).any(shows);
    if cases.is_empty() && outside() {
        // Any case will do: the answer is given before or after it.
        cases.extend(clean.cases.iter().find(|case| !case.exchanges.is_empty()).map(id));
    }
    (!cases.is_empty()).then(|| Selection { cases, all_standing: true, ..Selection::default() })
}

/// Whether an exchange has an answer of the place, and what stands around the member meant.
fn shows(exchange: &RecordedExchange, place: Place) -> bool {
    let Some(answer) = exchange.response.as_ref().filter(|answer| answer.status == place.status)
    else {
        return false;
    };
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let around = place.pointer.rsplit_once('/').map_or("", |(around, _)| around);
    exchange.operation.as_deref() == Some(place.operation)
        && body.get("flows").is_some()
            == (place.challenge || place.operation == "getLoginFlows" && place.status == 200)
        && has_place(&body, if place.pointer.ends_with("/*") { place.pointer } else { around })
}

/// Whether there is a value at a pointer in which `*` stands for any item or member.
fn has_place(value: &serde_json::Value, pointer: &str) -> bool {
    let Some(rest) = pointer.strip_prefix('/') else { return true };
    let (head, tail) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    match value {
        serde_json::Value::Array(items) if head == "*" => {
            items.iter().any(|item| has_place(item, tail))
        }
        serde_json::Value::Object(members) if head == "*" => {
            members.values().any(|member| has_place(member, tail))
        }
        _ => value.get(head).is_some_and(|member| has_place(member, tail)),
    }
}

/// What breaking a requirement comes to for the server that was run.
fn wanted(material: &Arc<Material>, fault: &Fault, run: &Run) -> Option<Verdict> {
    let listed = Listed::new(run.target.versions.clone());
    let requirement = material.register.get(fault.requirement)?;
    match requirement.severity(&listed) {
        Severity::Observes => None,
        severity => Some(severity.verdict()),
    }
}

fn has_finding(run: &Run, requirement: &str, wanted: Verdict) -> bool {
    let of_cases = run.cases.iter().flat_map(|case| &case.findings);
    let standing = run.standing.iter().flat_map(|standing| &standing.findings);
    of_cases.chain(standing).any(|f| f.requirement == requirement && f.verdict == wanted)
}

fn catchers(run: &Run, requirement: &str) -> Vec<String> {
    let of_cases = run
        .cases
        .iter()
        .filter(|case| case.findings.iter().any(|finding| finding.requirement == requirement));
    let standing = run.standing.iter().filter(|s| s.requirement == requirement && s.count > 0);
    of_cases
        .map(|case| case.id.clone())
        .chain(standing.map(|s| format!("standing::{}", s.requirement)))
        .collect()
}

/// Requirements with a finding that they did not have before: failed where not failed, warned where
/// neither warned nor failed.
fn reds(run: &Run, clean: Option<&Run>) -> Vec<Red> {
    let before = |id: &str| {
        let found = clean.and_then(|run| run.requirements.iter().find(|r| r.id == id));
        found.map_or(RequirementVerdict::Untested, |requirement| requirement.verdict)
    };
    let is_red = |verdict| {
        matches!(
            verdict,
            RequirementVerdict::Failed | RequirementVerdict::Warned | RequirementVerdict::Errored
        )
    };
    run.requirements
        .iter()
        .filter(|requirement| is_red(requirement.verdict))
        .filter(|requirement| requirement.verdict > before(&requirement.id))
        .map(|requirement| Red {
            requirement: requirement.id.clone(),
            verdict: requirement.verdict,
            why: why(run, &requirement.id),
        })
        .collect()
}

fn why(run: &Run, requirement: &str) -> String {
    let of_cases = run
        .cases
        .iter()
        .flat_map(|case| case.findings.iter().map(move |finding| (case.id.as_str(), finding)));
    let standing = run
        .standing
        .iter()
        .flat_map(|standing| standing.findings.iter().map(move |f| ("standing", f)));
    let mut all = of_cases.chain(standing).filter(|(_, f)| f.requirement == requirement);
    all.next().map_or_else(String::new, |(owner, f)| format!("{owner}: {}", f.message))
}

/// The same with accounts that are there from the start, one of them for each use.
async fn run_with_given_accounts(
    material: &Arc<Material>,
    fault: &'static Fault,
    selection: Selection,
) -> Result<Run, SelftestError> {
    let names = ["alice", "bob", "carol", "dave"];
    let users = names.map(|name| (name.to_owned(), format!("{name}-password")));
    let mut settings = fault.settings(settings()?);
    settings.users.extend(users.clone());
    let running = reference::start(settings).await?;
    let mut job = job(&running.url(), fault.needs, selection)?;
    let supplied = users.map(|(user, password)| SuppliedAccount {
        disposable: user != "alice",
        user,
        credential: Credential::Password(password.into()),
    });
    job.sources = AccountSources { supplied: supplied.to_vec(), maker: None };
    let run = prepare(material.clone(), job)?.run(&Silent).await;
    running.stop().await;
    Ok(run?.into_run())
}

async fn one_quirk(
    material: &Arc<Material>,
    quirk: &'static Quirk,
    clean: &Baselines,
) -> Result<QuirkOutcome, SelftestError> {
    let before = clean.get(&key(quirk.needs));
    let seen = quirk.place.and_then(|place| showing(before?, place));
    let scope = if seen.is_some() { Scope::Few } else { Scope::All };
    let settings = quirk.settings(settings()?);
    let run = run(material, settings, quirk.needs, seen.unwrap_or_default()).await?;
    let before = before.map_or(&[][..], |before| &before.requirements);
    let why = |id: &str| why(&run, id);
    Ok(QuirkOutcome::of(quirk, before, &run.requirements, scope, &why))
}

async fn run(
    material: &Arc<Material>,
    settings: Settings,
    need: FaultNeed,
    selection: Selection,
) -> Result<Run, SelftestError> {
    // Some faults need somebody else on the server.
    let bystander = ("bystander".to_owned(), "bystander-password".to_owned());
    let mut settings = settings;
    settings.users.push(bystander);
    let running = reference::start(settings).await?;
    let job = job(&running.url(), need, selection)?;
    let run = prepare(material.clone(), job)?.run(&Silent).await;
    running.stop().await;
    Ok(run?.into_run())
}

/// What an operator of a reference homeserver with these settings can give and do.
pub fn operator_of(settings: &Settings) -> Operator {
    let bound = |medium: &str| {
        let bound = settings.third_party.iter().find(|bound| bound.medium == medium)?;
        let (_, password) = settings.users.iter().find(|(user, _)| *user == bound.user)?;
        let user_id = format!("@{}:{}", bound.user, settings.server_name);
        Some((bound.address.clone(), Owner { user_id, password: password.clone().into() }))
    };
    let appservice = settings.appservice.as_ref().map(|service| Appservice {
        token: service.token.clone().into(),
        prefix: service.prefix.clone(),
        sender: format!("@{}:{}", service.sender, settings.server_name),
    });
    let phone = bound("msisdn").and_then(|(address, owner)| {
        let number = format!("0{}", address.strip_prefix("44")?);
        Some(Phone { address, country: "GB".to_owned(), number, owner })
    });
    Operator {
        appservice,
        email: bound("email").map(|(address, owner)| Email { address, owner }),
        phone,
        registration_token: None,
        admin_token: settings.admin_token.clone().map(Into::into),
        hooks: BTreeMap::new(),
    }
}

fn job(url: &str, need: FaultNeed, selection: Selection) -> Result<Job, SelftestError> {
    let maker = match need {
        FaultNeed::TwoStages => AccountProvider::Token("homespec".to_owned().into()),
        _ => AccountProvider::Open,
    };
    let allowed = match need {
        FaultNeed::LoginLimit => BTreeSet::from([Allow::RateLimit]),
        _ => BTreeSet::new(),
    };
    Ok(Job {
        transport: Transport::to(Target::Web(Url::parse(url)?), Duration::from_secs(30)),
        discover: false,
        sources: AccountSources { supplied: Vec::new(), maker: Some(maker) },
        operator: operator_of(&need.met(Settings::default())),
        api: None,
        selection,
        allowed,
        // The matrix runs many runs at once; inside of each the order of requests stays the same.
        jobs: 1,
        max_wait: Duration::from_secs(60),
        wait_ready: Duration::ZERO,
        gate: Gate::default(),
        fail_fast: false,
        policies: Policies::default(),
    })
}
