//! The faults that are edits of answers, in front of another homeserver.
use super::judge::{judge, out_of_reach};
use super::{FaultEnd, FaultOutcome, SelftestError, in_parallel, job, named_selection, showing};
use crate::model::run::Run;
use crate::pipeline::{Job, Material, prepare};
use crate::plan::selection::Selection;
use crate::reference::{Catalogue, Fault, FaultNeed, Front, front};
use crate::run::executor::Silent;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// All the waiting that a run is allowed. There are hundreds of them, and what a limit keeps from being decided with a
/// fault is not decided without one either.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Runs the faults in front of the homeserver at `upstream`, which lets everybody register, `jobs` at
/// once: for each the cases of the ids that it names, or those with responses of its place, and all
/// standing checks. Faults that no response exercises end as [`FaultEnd::OutOfReach`]. `told` is
/// called after each.
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
    let one = |fault: &'static Fault| {
        let (material, clean) = (material.clone(), clean.clone());
        let layer = Front { faults: vec![fault.name.to_owned()], ..layer.clone() };
        async move { one(&material, fault, &clean, layer).await }
    };
    in_parallel(jobs, faults, |_| false, one, |outcome| told(outcome.name)).await
}

async fn one(
    material: &Arc<Material>,
    fault: &'static Fault,
    clean: &Run,
    layer: Front,
) -> Result<FaultOutcome, SelftestError> {
    if let Some(why) = out_of_reach(material, fault) {
        return Ok(FaultOutcome::of(fault, FaultEnd::OutOfReach, Some(why)));
    }
    let selection = match fault.place {
        None => Some(named_selection(material, fault)),
        Some(place) => showing(clean, place),
    };
    let unexercised = || {
        let why = "no response there exercises it".to_owned();
        Ok(FaultOutcome::of(fault, FaultEnd::OutOfReach, Some(why)))
    };
    let Some(selection) = selection else { return unexercised() };
    let (run, changed) = run(material, layer, selection).await?;
    if changed == 0 {
        return unexercised();
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
