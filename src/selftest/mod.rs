//! The kill matrix: every fault of the reference homeserver, and the cases that catch it.
//!
//! A fault names the requirement that it breaks and the clause; the cases that catch it are computed
//! here. A fault that survives shows a check that cannot fail. An unlisted requirement that breaks
//! shows a false alarm, or an incomplete `also:` list.
mod judge;
// Only a test holds verdicts with causes against those without.
#[cfg(feature = "internal")]
pub mod law;
mod matrix;
pub mod schema_faults;
mod show;
// Only a test puts faults in front of another homeserver.
#[cfg(feature = "internal")]
mod upstream;

pub use matrix::{
    FaultEnd, FaultOutcome, Matrix, QuirkOutcome, RequirementFaults, UnexpectedVerdict,
    VerdictChange,
};
pub use show::{Rendering, SCHEMA_VERSION};
#[cfg(feature = "internal")]
pub use upstream::in_front;

use crate::accounts::operator::{Appservice, Email, Operator, Owner, Phone};
use crate::accounts::pool::{AccountProvider, AccountSources, Credential, SuppliedAccount};
use crate::http::client::Transport;
use crate::http::target::Target;
use crate::model::exit::Gate;
use crate::model::reason::ReasonCode;
use crate::model::run::{CaseOutcome, RecordedExchange, RequirementVerdict, Run};
use crate::pipeline::{Job, JobError, Material, Policies, RunWithheld, prepare};
use crate::plan::facts::Allow;
use crate::plan::selection::{Selection, glob_matches};
use crate::reference::{
    self, Catalogue, Fault, FaultFileError, FaultNeed, Place, Quirk, Settings, StartError,
};
use crate::requirements::Requirement;
use crate::run::executor::Silent;
use crate::yaml::diagnostic::Diagnostic;
use judge::{judge, out_of_reach, why};
use matrix::Scope;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use url::Url;

/// The cases that run for each fault and quirk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The cases of the requirements that it names, and all standing checks.
    Named,
    /// All cases; for faults and quirks made from schemas, still only the few cases with their
    /// responses.
    Full,
}

/// The matrix could not be made.
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
    /// The reference homeserver's URL is invalid.
    #[error("the reference homeserver's URL cannot be read: {0}")]
    Url(#[from] url::ParseError),
    /// The bundled files have errors.
    #[error("{} faults in the bundled files", .0.len())]
    Files(Vec<Diagnostic>),
    /// Words that match no fault, quirk or requirement.
    #[error("{} matches nothing", .0.join(" or "))]
    NoMatch(Vec<String>),
    /// The file of faults has errors.
    #[error(transparent)]
    Faults(#[from] &'static FaultFileError),
    /// A task of the matrix failed.
    #[error("a part of the matrix failed: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// A template does not fit the matrix.
    #[error("the matrix cannot be rendered: {0}; please report this internal error")]
    Page(#[from] minijinja::Error),
    /// The matrix is not JSON.
    #[error("the matrix cannot be written as JSON: {0}; please report this internal error")]
    Json(#[from] serde_json::Error),
}

/// The contents of a matrix.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Faults.
    pub faults: Vec<&'static Fault>,
    /// Quirks.
    pub quirks: Vec<&'static Quirk>,
    /// Requirements that need a fault if something decides them.
    requirements: BTreeSet<String>,
}

impl Asked {
    /// Globs over the names of faults and quirks and the ids of requirements; empty for all. A
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
        // What something in front of it does is no difference of a homeserver.
        let own_quirks = || catalogue.all_quirks().filter(|quirk| !quirk.is_of_gateway());
        let names = all.iter().map(|fault| fault.name);
        let names: Vec<&str> =
            names.chain(own_quirks().map(|quirk| quirk.name)).chain(ids()).collect();
        let idle = |word: &&String| !names.iter().any(|name| glob_matches(word, name));
        let idle: Vec<String> = words.iter().filter(idle).cloned().collect();
        if !idle.is_empty() {
            return Err(SelftestError::NoMatch(idle));
        }
        let named =
            |name: &str| words.is_empty() || words.iter().any(|word| glob_matches(word, name));
        let quirks = own_quirks();
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

/// Runs the matrix with `jobs` faults and quirks at once; `told` is called after each.
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
    let fault = |fault: &'static Fault| {
        let (material, clean) = (material.clone(), clean.clone());
        async move { one_fault(&material, fault, &clean, reach).await }
    };
    let quirk = |quirk: &'static Quirk| {
        let (material, clean) = (material.clone(), clean.clone());
        async move { one_quirk(&material, quirk, &clean).await }
    };
    // What waits for limits keeps no processor busy: it begins first, and beside the rest.
    let (slow_faults, slow_quirks) =
        (|one: &&Fault| waits(one.needs), |one: &&Quirk| waits(one.needs));
    let (faults, quirks) = tokio::try_join!(
        in_parallel(jobs, &asked.faults, slow_faults, fault, |outcome| told(outcome.name)),
        in_parallel(jobs, &asked.quirks, slow_quirks, quirk, |outcome| told(outcome.name)),
    )?;
    let rows = material
        .register
        .iter()
        .map(|r| RequirementFaults::new(&r.id, r.level, is_decided(&material, r)));
    let asked = |id: &str| asked.requirements.contains(id);
    Ok(Matrix::of(faults, quirks, rows.collect(), &asked))
}

/// Whether runs on such a server wait for its limits.
fn waits(need: FaultNeed) -> bool {
    need == FaultNeed::LoginLimit
}

/// Does work for each item, at most `jobs` at once, the `first` ones before the others; the results are in the order of
/// the items. `told` is called after each.
async fn in_parallel<I: Copy, O: Send + 'static, F>(
    jobs: usize,
    items: &[I],
    first: impl Fn(&I) -> bool,
    work: impl Fn(I) -> F,
    told: impl Fn(&O),
) -> Result<Vec<O>, SelftestError>
where
    F: Future<Output = Result<O, SelftestError>> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(jobs.max(1)));
    let mut running = JoinSet::new();
    let mut ordered: Vec<(usize, &I)> = items.iter().enumerate().collect();
    ordered.sort_by_key(|(_, item)| !first(item));
    for (at, item) in ordered {
        let (permits, work) = (permits.clone(), work(*item));
        running.spawn(async move {
            let _permit = permits.acquire().await;
            work.await.map(|outcome| (at, outcome))
        });
    }
    let mut outcomes = BTreeMap::new();
    while let Some(joined) = running.join_next().await {
        let (at, outcome) = joined??;
        told(&outcome);
        outcomes.insert(at, outcome);
    }
    Ok(outcomes.into_values().collect())
}

/// Returns true if anything decides a requirement, on any server. It does not depend on runs, so a
/// requirement that the reference homeserver skips still needs a fault.
fn is_decided(material: &Material, requirement: &Requirement) -> bool {
    material.covers(&requirement.id) || !requirement.standing.is_empty()
}

/// Runs without a fault, by the settings that faults need.
type Baselines = BTreeMap<String, Run>;

fn key(need: FaultNeed) -> String {
    format!("{need:?}")
}

async fn baselines(material: &Arc<Material>, asked: &Asked) -> Result<Baselines, SelftestError> {
    let of_faults = asked.faults.iter().map(|fault| fault.needs);
    let all = of_faults.chain(asked.quirks.iter().map(|quirk| quirk.needs));
    let needs: Vec<FaultNeed> = all.collect::<HashSet<_>>().into_iter().collect();
    let clean = |need: FaultNeed| {
        let material = material.clone();
        async move {
            let run = run(&material, need.met(settings()?), need, Selection::default()).await?;
            Ok((key(need), run))
        }
    };
    let runs = in_parallel(needs.len(), &needs, |_| false, clean, |_| {}).await?;
    Ok(runs.into_iter().collect())
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
        return Ok(FaultOutcome::of(fault, FaultEnd::OutOfReach, Some(why)));
    }
    let clean = clean.get(&key(fault.needs));
    let selection = match (fault.place, reach) {
        (Some(place), _) => clean.and_then(|clean| showing(clean, place)),
        (None, Reach::Full) => Some(Selection::default()),
        (None, Reach::Named) => Some(named_selection(material, fault)),
    };
    let Some(selection) = selection else {
        let why = "no response in a run without faults exercises it".to_owned();
        return Ok(FaultOutcome::of(fault, FaultEnd::OutOfReach, Some(why)));
    };
    let mut run =
        run(material, fault.settings(settings()?), fault.needs, selection.clone()).await?;
    let is_unregistered = |case: &CaseOutcome| {
        case.reason.as_ref().is_some_and(|reason| reason.code.is(ReasonCode::Registration))
    };
    let is_shown = run
        .requirements
        .iter()
        .any(|one| one.id == fault.requirement && one.verdict == RequirementVerdict::Failed);
    if !is_shown && run.cases.iter().any(is_unregistered) {
        // The fault prevents the creation of accounts, so supplied ones are used.
        run = self::run_with_given_accounts(material, fault, selection).await?;
    }
    Ok(judge(material, fault, &run, clean))
}

/// The cases of the requirements that a fault names; all cases if only standing checks decide,
/// since any response may show it.
fn named_selection(material: &Material, fault: &Fault) -> Selection {
    if !material.covers(fault.requirement) {
        return Selection::default();
    }
    let ids = std::iter::once(fault.requirement).chain(fault.also.iter().copied());
    let requirements = ids.filter(|id| material.covers(id)).map(str::to_owned).collect();
    // That an operation never works is seen by more than one request to it.
    let with_evidence =
        material.register.get(fault.requirement).is_some_and(|known| known.works.is_some());
    Selection { requirements, all_standing: true, with_evidence, ..Selection::default() }
}

/// A few cases in which a run without faults had responses of a place; nothing if there are none.
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
        // Any case will do: the response comes before or after it.
        cases.extend(clean.cases.iter().find(|case| !case.exchanges.is_empty()).map(id));
    }
    (!cases.is_empty()).then(|| Selection { cases, all_standing: true, ..Selection::default() })
}

/// Returns true if an exchange has a response of the place, with the parent of the member.
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

/// Returns true if there is a value at a pointer in which `*` stands for any item or member.
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

/// Runs a fault with accounts that exist from the start, one for each use.
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
    // Some faults need another user on the server.
    let bystander = ("bystander".to_owned(), "bystander-password".to_owned());
    let mut settings = settings;
    settings.users.push(bystander);
    let running = reference::start(settings).await?;
    let job = job(&running.url(), need, selection)?;
    let run = prepare(material.clone(), job)?.run(&Silent).await;
    running.stop().await;
    Ok(run?.into_run())
}

/// Returns everything that the operator of a reference homeserver with these settings can give and
/// do.
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
        // Many runs at once; inside each, the order of requests stays the same.
        jobs: 1,
        max_wait: Duration::from_secs(60),
        wait_ready: Duration::ZERO,
        gate: Gate::default(),
        fail_fast: false,
        policies: Policies::default(),
    })
}
