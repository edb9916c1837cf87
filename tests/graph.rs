//! The graph of presuppositions hides nothing: what fails a run in which each case is judged by itself
//! fails it with causes considered too, for every fault alone and beside each variation.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
use homespec::pipeline::Material;
use homespec::reference::Fault;
use homespec::selftest::law::{Combination, Law, combinations, law};
use homespec::selftest::schema_faults;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many combinations a plain run of the tests tries.
const SAMPLE: usize = 120;
/// Where the sample begins; the same every time.
const SEED: u64 = 0x5eed;

/// By variation, the requirements that fail with it alone and are not its fault.
type FalseAlarms = BTreeMap<String, BTreeMap<String, String>>;

fn reviewed() -> BTreeSet<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/graph/false_alarms.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let all: Option<FalseAlarms> = serde_yaml::from_str(&text).unwrap();
    let all = all.unwrap_or_default();
    let reasons = all.values().flat_map(|ids| ids.values());
    assert!(reasons.into_iter().all(|reason| !reason.trim().is_empty()), "a reason is empty");
    let pairs = |(variation, ids): (&String, &BTreeMap<String, String>)| {
        ids.keys().map(|id| (variation.clone(), id.clone())).collect::<Vec<_>>()
    };
    all.iter().flat_map(pairs).collect()
}

/// A few of them, chosen by a sequence that is the same every time.
fn sample(mut all: Vec<Combination>, size: usize) -> Vec<Combination> {
    let mut state = SEED;
    let mut chosen = Vec::new();
    while chosen.len() < size && !all.is_empty() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = usize::try_from(state >> 33).unwrap() % all.len();
        chosen.push(all.swap_remove(at));
    }
    chosen
}

fn tried(choose: impl Fn(Vec<Combination>) -> Vec<Combination>) -> Law {
    let material = Arc::new(Material::load(None, None).expect("the bundled files are right"));
    let catalogue = schema_faults::bundled().expect("the bundled files are right");
    let faults: Vec<&'static Fault> = catalogue.all_faults().unwrap().collect();
    let chosen = choose(combinations(&faults));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let jobs = std::thread::available_parallelism().map_or(2, |n| n.get()) * 4;
    let (done, all) = (AtomicUsize::new(0), chosen.len());
    let told = |_: &str| {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(500) {
            println!("{done} of {all}");
        }
    };
    runtime.block_on(law(material, &chosen, jobs, &told)).expect("the law can be tried")
}

#[test]
fn what_fails_without_causes_fails_with_them() {
    let full = std::env::var("HOMESPEC_TESTS").as_deref() == Ok("full");
    let law = tried(|all| if full { all } else { sample(all, SAMPLE) });
    let seen = law.tried.iter().filter(|one| one.is_seen).count();
    println!("{} combinations, the fault seen in {seen}", law.tried.len());
    let broken = law.tried.iter().flat_map(|one| {
        one.broken.iter().map(move |why| format!("{} with {:?}: {why}", one.fault, one.variation))
    });
    let broken: Vec<String> = broken.collect();
    let found: BTreeSet<(String, String)> = law
        .false_alarms
        .iter()
        .map(|(variation, id)| ((*variation).to_owned(), id.clone()))
        .collect();
    let reviewed = reviewed();
    let new: Vec<String> =
        found.difference(&reviewed).map(|(variation, id)| format!("{variation}: {id}")).collect();
    assert!(
        broken.is_empty() && new.is_empty(),
        "the law is broken:\n{}\nnot reviewed as a false alarm:\n{}",
        broken.join("\n"),
        new.join("\n")
    );
    if full {
        let stale: Vec<_> = reviewed.difference(&found).collect();
        assert!(stale.is_empty(), "no false alarm any more: {stale:?}");
    }
    assert!(seen * 3 > law.tried.len(), "of {} faults only {seen} were seen", law.tried.len());
}
