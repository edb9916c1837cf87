//! The faults that are edits of answers, in front of another homeserver.
use super::{
    FaultEnd, FaultOutcome, SelftestError, job, judge, named_selection, out_of_reach, showing,
};
use crate::model::run::Run;
use crate::pipeline::{Job, Material, prepare};
use crate::plan::selection::Selection;
use crate::reference::{Catalogue, Fault, FaultNeed, Front, front};
use crate::run::executor::Silent;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use url::Url;

/// All the waiting that a run is allowed. There are hundreds of them, and what a limit keeps from being decided with a
/// fault is not decided without one either.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Runs the faults in front of the homeserver at `upstream`, which lets everybody register, so many at once: for each
/// the cases of the ids that it names, or those in which its answers are seen, and all standing checks. Faults that no
/// answer there gives occasion for end as [`FaultEnd::OutOfReach`]. `told` is called after each.
///
/// # Errors
/// A fault that is no edit, or the layer cannot be put up.
pub async fn in_front(
    material: Arc<Material>,
    upstream: &Url,
    catalogue: Catalogue,
    faults: &[&'static Fault],
    jobs: usize,
    told: &(dyn Fn(&str) + Sync),
) -> Result<Vec<FaultOutcome>, SelftestError> {
    let layer = Front {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        upstream: upstream.clone(),
        faults: Vec::new(),
        quirks: Vec::new(),
        catalogue,
    };
    let (clean, _) = run(&material, layer.clone(), Selection::default()).await?;
    let clean = Arc::new(clean);
    let permits = Arc::new(Semaphore::new(jobs.max(1)));
    let mut running: JoinSet<Result<_, SelftestError>> = JoinSet::new();
    for (at, fault) in faults.iter().copied().enumerate() {
        let (material, clean, permits) = (material.clone(), clean.clone(), permits.clone());
        let layer = Front { faults: vec![fault.name.to_owned()], ..layer.clone() };
        running.spawn(async move {
            let _permit = permits.acquire().await;
            Ok((at, one(&material, fault, &clean, layer).await?))
        });
    }
    let mut outcomes = BTreeMap::new();
    while let Some(joined) = running.join_next().await {
        let (at, outcome) = joined??;
        told(outcome.name);
        outcomes.insert(at, outcome);
    }
    Ok(outcomes.into_values().collect())
}

async fn one(
    material: &Arc<Material>,
    fault: &'static Fault,
    clean: &Run,
    layer: Front,
) -> Result<FaultOutcome, SelftestError> {
    if let Some(why) = out_of_reach(material, fault) {
        return Ok(FaultOutcome::of(fault, FaultEnd::OutOfReach(why)));
    }
    let selection = match fault.place {
        None => Some(named_selection(material, fault)),
        Some(place) => showing(clean, place),
    };
    let nothing = || FaultEnd::OutOfReach("no answer there gives occasion for it".to_owned());
    let Some(selection) = selection else { return Ok(FaultOutcome::of(fault, nothing())) };
    let (run, changed) = run(material, layer, selection).await?;
    if changed == 0 {
        return Ok(FaultOutcome::of(fault, nothing()));
    }
    Ok(judge(material, fault, &run, Some(clean)))
}

/// The run, and how many answers were changed in it.
async fn run(
    material: &Arc<Material>,
    layer: Front,
    selection: Selection,
) -> Result<(Run, u64), SelftestError> {
    let running = front(layer).await?;
    let job = Job { max_wait: MAX_WAIT, ..job(&running.url(), FaultNeed::Nothing, selection)? };
    let run = prepare(material.clone(), job)?.run(&Silent).await;
    let changed = running.changed();
    running.stop().await;
    Ok((run?.into_run(), changed))
}
