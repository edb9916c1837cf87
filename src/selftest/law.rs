//! The law of causes: a fault that fails a run in which each case is judged by itself fails it with
//! causes considered too. Held for each fault alone and together with a variation: without an
//! operation, with another spelling of user names, behind a gateway.
use super::judge::out_of_reach;
use super::{Reach, SelftestError, in_parallel, job, named_selection, settings, showing};
use crate::model::exit;
use crate::model::run::{Finding, RequirementVerdict, Run, Verdict};
use crate::pipeline::{Material, prepare};
use crate::plan::selection::Selection;
use crate::reference::{self, Fault, FaultNeed, Settings};
use crate::run::executor::Silent;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::{Mutex, OnceCell};

/// What a homeserver has beside a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variation {
    /// Its name; empty for nothing.
    pub name: &'static str,
    /// A fault too, or a quirk.
    is_fault: bool,
    /// The setting without which it is not to be seen.
    needs: Option<&'static str>,
    /// Whether it shows at every opportunity.
    pub is_steady: bool,
}

const fn fault(name: &'static str) -> Variation {
    Variation { name, is_fault: true, needs: None, is_steady: true }
}

const fn quirk(name: &'static str) -> Variation {
    Variation { name, is_fault: false, needs: None, is_steady: true }
}

/// A fault alone.
pub const ALONE: Variation = quirk("");

/// Everything that a fault is combined with.
pub const VARIATIONS: &[Variation] = &[
    ALONE,
    fault("no-devices"),
    fault("no-device"),
    fault("no-rename-device"),
    fault("no-delete-device"),
    fault("no-delete-devices"),
    fault("no-whoami"),
    fault("no-logout"),
    fault("no-logout-all"),
    fault("refresh-endpoint-missing"),
    fault("get-token-promised-and-absent"),
    Variation { needs: Some("Sso"), ..fault("no-sso-redirect") },
    Variation { needs: Some("Sso"), ..fault("no-sso-provider-redirect") },
    quirk("no-capabilities"),
    quirk("no-get-token"),
    quirk("no-refresh"),
    fault("login-localpart-refused"),
    fault("login-mxid-refused"),
    fault("login-name-alone"),
    quirk("user-name-is-a-basis"),
    quirk("gateway-one-operation"),
    Variation { is_steady: false, ..quirk("gateway-every-nth") },
    quirk("gateway-all"),
];

impl Variation {
    fn applies(self, fault: &Fault) -> bool {
        self.name != fault.name
            && self.needs.is_none_or(|needs| format!("{:?}", fault.needs) == needs)
    }

    fn added(self, mut settings: Settings) -> Settings {
        match (self.name, self.is_fault) {
            ("", _) => {}
            (name, true) => settings.faults.push(name.to_owned()),
            (name, false) => settings.quirks.push(name.to_owned()),
        }
        settings
    }
}

/// A fault with a variation.
pub type Combination = (&'static Fault, Variation);

/// Every combination that says something, in the order of the catalogue.
pub fn combinations(faults: &[&'static Fault]) -> Vec<Combination> {
    let of = |fault: &&'static Fault| {
        let fault: &'static Fault = fault;
        let all = VARIATIONS.iter().copied().filter(move |one| one.applies(fault));
        all.map(move |variation| (fault, variation))
    };
    faults.iter().flat_map(of).collect()
}

/// The result of one combination.
#[derive(Debug, Clone)]
pub struct Tried {
    /// Name of the fault.
    pub fault: &'static str,
    /// Name of the variation.
    pub variation: &'static str,
    /// How the law is broken, in one sentence each.
    pub broken: Vec<String>,
    /// Whether the fault shows at all beside the variation, each case judged by itself.
    pub is_seen: bool,
}

/// By variation and requirement: what fails with the variation alone where each case is judged by
/// itself, and what becomes of it where causes are considered.
pub type FalseAlarms = BTreeMap<(&'static str, String), String>;

/// Both judgements of one run.
struct Both {
    with_causes: Run,
    raw: Run,
}

type Cache = Mutex<BTreeMap<(String, &'static str), Arc<OnceCell<Both>>>>;

struct Context {
    material: Arc<Material>,
    /// Runs without the fault, by the settings that faults need and the variation.
    without: Cache,
}

/// Tries combinations, `jobs` at once, with the cases of the fault's requirements and their evidence,
/// or with all cases; `told` is called after each.
///
/// # Errors
/// The reference homeserver cannot be run.
pub async fn law(
    material: Arc<Material>,
    combinations: &[Combination],
    reach: Reach,
    jobs: usize,
    told: &(dyn Fn(&Tried) + Sync),
) -> Result<Vec<Tried>, SelftestError> {
    let context = Arc::new(Context { material, without: Mutex::default() });
    let one = |(fault, variation): Combination| {
        let context = context.clone();
        async move { context.tried(fault, variation, reach).await }
    };
    in_parallel(jobs, combinations, |_| false, one, told).await
}

/// Runs each steady variation alone, with the settings that these faults need.
///
/// # Errors
/// The reference homeserver cannot be run.
pub async fn false_alarms(
    material: Arc<Material>,
    faults: &[&'static Fault],
    jobs: usize,
) -> Result<FalseAlarms, SelftestError> {
    let context = Arc::new(Context { material, without: Mutex::default() });
    let mut seen = BTreeSet::new();
    let all = combinations(faults).into_iter().filter(|(fault, variation)| {
        variation.is_steady && seen.insert((format!("{:?}", fault.needs), *variation))
    });
    let one = |(fault, variation): Combination| {
        let context = context.clone();
        async move { Ok((variation.name, context.without(fault.needs, variation).await?)) }
    };
    let runs = in_parallel(jobs, &all.collect::<Vec<_>>(), |_| false, one, |_| {}).await?;
    let mut found = FalseAlarms::new();
    for (variation, both) in &runs {
        let Some(both) = both.get() else { continue };
        for id in failed(&both.raw).difference(&failed(&both.with_causes)) {
            found.insert((*variation, id.clone()), becomes(&both.with_causes, id));
        }
    }
    Ok(found)
}

fn becomes(run: &Run, id: &str) -> String {
    let outcome = run.requirements.iter().find(|r| r.id == id);
    let verdict = outcome.map_or(RequirementVerdict::Untested, |outcome| outcome.verdict);
    match outcome.and_then(|outcome| outcome.because.as_deref()) {
        Some(cause) => format!("{} because of {cause}", verdict.as_str()),
        None => verdict.as_str().to_owned(),
    }
}

impl Context {
    async fn tried(
        &self,
        fault: &'static Fault,
        variation: Variation,
        reach: Reach,
    ) -> Result<Tried, SelftestError> {
        let (name, of) = (fault.name, variation.name);
        let unseen = Tried { fault: name, variation: of, broken: Vec::new(), is_seen: false };
        if out_of_reach(&self.material, fault).is_some() {
            return Ok(unseen);
        }
        let without = self.without(fault.needs, variation).await?;
        let Some(without) = without.get() else { return Ok(unseen) };
        let selection = match (fault.place, reach) {
            (_, Reach::Full) => Some(Selection::default()),
            (Some(place), Reach::Named) => showing(&without.raw, place),
            (None, Reach::Named) => Some(named_selection(&self.material, fault)),
        };
        let Some(selection) = selection else { return Ok(unseen) };
        let selection = Selection { with_evidence: true, ..selection };
        let settings = variation.added(fault.settings(settings()?));
        let both = self.run(settings, fault.needs, selection).await?;
        let own = own_failures(&both.raw, &without.raw, variation);
        let broken = broken(fault, &both, &own);
        Ok(Tried { is_seen: !own.is_empty(), broken, ..unseen })
    }

    /// The run with a variation alone, over all cases.
    async fn without(
        &self,
        needs: FaultNeed,
        variation: Variation,
    ) -> Result<Arc<OnceCell<Both>>, SelftestError> {
        let key = (format!("{needs:?}"), variation.name);
        let cell = self.without.lock().await.entry(key).or_default().clone();
        let run = async {
            let settings = variation.added(needs.met(settings()?));
            self.run(settings, needs, Selection::default()).await
        };
        cell.get_or_try_init(|| run).await?;
        Ok(cell)
    }

    async fn run(
        &self,
        mut settings: Settings,
        need: FaultNeed,
        selection: Selection,
    ) -> Result<Both, SelftestError> {
        settings.users.push(("bystander".to_owned(), "bystander-password".to_owned()));
        let running = reference::start(settings).await?;
        let job = job(&running.url(), need, selection)?;
        let judged = prepare(self.material.clone(), job)?.run_judged_twice(&Silent).await;
        running.stop().await;
        let judged = judged?;
        Ok(Both { with_causes: judged.with_causes.into_run(), raw: judged.raw.into_run() })
    }
}

/// Where a failure is: its case, its requirement, the answer and the place in it.
type Failure = (String, String, Option<String>, String);

/// A pointer with `*` for all numbers.
fn without_indices(pointer: &str) -> String {
    let is_index = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = pointer.split('/').map(|part| if is_index(part) { "*" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

fn failures(run: &Run) -> BTreeSet<Failure> {
    let of = |owner: &str, finding: &Finding| {
        let pointer = without_indices(&finding.pointer);
        let exchange = finding.exchange.clone().filter(|_| owner != "standing");
        (owner.to_owned(), finding.requirement.clone(), exchange, pointer)
    };
    let failed = |finding: &&Finding| finding.verdict == Verdict::Failed;
    let of_cases = run
        .cases
        .iter()
        .flat_map(|case| case.findings.iter().filter(failed).map(|found| of(&case.id, found)));
    let standing = run.standing.iter().flat_map(|one| &one.findings).filter(failed);
    of_cases.chain(standing.map(|found| of("standing", found))).collect()
}

/// The requirements that fail by the fault and not by the variation alone. Of a variation that shows
/// now and then, another place says nothing.
fn own_failures(with: &Run, without: &Run, variation: Variation) -> BTreeSet<String> {
    let (with, without) = (failures(with), failures(without));
    let also_without = |id: &str| without.iter().any(|(_, other, ..)| other == id);
    let own = with.difference(&without).map(|(_, requirement, ..)| requirement.clone());
    own.filter(|id| variation.is_steady || !also_without(id)).collect()
}

fn failed(run: &Run) -> BTreeSet<String> {
    let failed = run.requirements.iter().filter(|r| r.verdict == RequirementVerdict::Failed);
    failed.map(|r| r.id.clone()).collect()
}

/// How both judgements break the law; `own` are the requirements that fail by the fault.
fn broken(fault: &Fault, both: &Both, own: &BTreeSet<String>) -> Vec<String> {
    let Both { with_causes, raw } = both;
    let mut all = Vec::new();
    if raw.exit_status == exit::BROKEN && with_causes.exit_status != exit::BROKEN && !own.is_empty()
    {
        all.push(format!("exit {} with causes, 1 without, by {own:?}", with_causes.exit_status));
    }
    let outcome = with_causes.requirements.iter().find(|r| r.id == fault.requirement);
    let verdict = outcome.map_or(RequirementVerdict::Untested, |outcome| outcome.verdict);
    let is_hidden = matches!(
        verdict,
        RequirementVerdict::Passed | RequirementVerdict::Skipped | RequirementVerdict::Untested
    );
    if own.contains(fault.requirement) && is_hidden {
        all.push(format!(
            "{} fails without causes, and with them {}",
            fault.requirement,
            verdict.as_str()
        ));
    }
    let reasons = with_causes.requirements.iter().filter_map(|r| Some((r, r.because.as_deref()?)));
    let ends_in_the_air = reasons.filter(|(_, cause)| {
        let failed = with_causes.requirements.iter().find(|r| r.id == *cause);
        failed.is_none_or(|r| r.verdict != RequirementVerdict::Failed)
    });
    all.extend(
        ends_in_the_air
            .map(|(r, cause)| format!("{} because of {cause}, which has not failed", r.id)),
    );
    all
}
