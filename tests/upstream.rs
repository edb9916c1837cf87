//! The faults that are edits of answers, in front of a real Synapse: each is caught at the requirement that it names, or
//! stands in `synapse/faults.yaml` with the reason why it is not.
//!
//! A few by default; `HOMESPEC_TESTS=full` runs all of them. `HOMESPEC_SYNAPSE=skip` leaves them out.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
mod support;

use homespec::pipeline::Material;
use homespec::reference::{Fault, FaultNeed, Kind};
use homespec::selftest::schema_faults;
use homespec::selftest::{FaultEnd, FaultOutcome, in_front};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use support::synapse::{OPEN, Synapse};
use support::{say, slow_tests, test_file, venv};

/// One of each kind of change: a status, a code, a member absent, of another kind, of another value, now and then wrong,
/// another answer altogether, media type, encoding, headers.
const SAMPLE: [&str; 12] = [
    "login-201",
    "login-user-id-other",
    "login-access-token-number",
    "not-json-code-unknown",
    "wrong-method-404",
    "device-error-without-errcode",
    "login-json-as-html",
    "options-login-405",
    "shape.login.200.device_id.absent",
    "shape.getLoginFlows.200.flows[].type.null",
    "shape.getTokenOwner.200.latin-1",
    "shape.logout.200.cors-absent",
];

/// Faults that need a homeserver of another make-up than this Synapse are not tried on it.
fn candidates() -> Vec<&'static Fault> {
    let catalogue = schema_faults::bundled().unwrap();
    catalogue
        .all_faults()
        .unwrap()
        .filter(|fault| fault.kind.is_edit() && fault.needs == FaultNeed::Nothing)
        .collect()
}

fn run(python: &Path, faults: &[&'static Fault]) -> Vec<FaultOutcome> {
    let synapse = Synapse::start(python, OPEN);
    let material = Arc::new(Material::load(None, None).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let jobs = std::thread::available_parallelism().map_or(2, |n| n.get()) * 2;
    let url = synapse.url().parse().unwrap();
    let catalogue = schema_faults::bundled().unwrap();
    let outcomes = in_front(material, &url, catalogue, faults, jobs, &|_| {});
    runtime.block_on(outcomes).unwrap()
}

/// What is wrong with an outcome, in a line each; `known` are the reasons of the file.
fn wrong(outcome: &FaultOutcome, known: &BTreeMap<String, String>) -> Vec<String> {
    let listed = known.contains_key(outcome.name);
    let name = format!("{} ({})", outcome.name, outcome.requirement);
    let why = outcome.why.as_deref().unwrap_or_default();
    let end = match outcome.end {
        FaultEnd::Survived if !listed => {
            Some(format!("{name} survived: {} {why}", outcome.verdict.as_str()))
        }
        FaultEnd::Caught if listed && outcome.unexpected.is_empty() => {
            Some(format!("{name} is caught, and still listed"))
        }
        _ => None,
    };
    let reds = outcome.unexpected.iter().filter(|_| !listed);
    let reds = reds.map(|red| {
        format!("{name} unexpected: {} {} {}", red.requirement, red.verdict.as_str(), red.why)
    });
    end.into_iter().chain(reds).collect()
}

fn known() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(test_file("synapse/faults.yaml")).unwrap();
    serde_yaml::from_str::<Option<_>>(&text).unwrap().unwrap_or_default()
}

fn settle(outcomes: &[FaultOutcome]) {
    let known = known();
    let lines: Vec<String> = outcomes.iter().flat_map(|outcome| wrong(outcome, &known)).collect();
    assert!(lines.is_empty(), "{} lines:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn a_sample_of_faults_in_front_of_synapse_is_caught() {
    let Some(python) = venv::python("faults in front of Synapse") else { return };
    let all = candidates();
    let of_name = |name: &str| *all.iter().find(|fault| fault.name == name).unwrap();
    let sample: Vec<&Fault> = SAMPLE.iter().map(|name| of_name(name)).collect();
    let outcomes = run(&python, &sample);
    settle(&outcomes);
    let caught = |outcome: &&FaultOutcome| outcome.end == FaultEnd::Caught;
    assert_eq!(outcomes.iter().filter(caught).count(), SAMPLE.len());
}

#[test]
fn all_faults_in_front_of_synapse_are_caught() {
    if !slow_tests("all faults in front of Synapse") {
        return;
    }
    let Some(python) = venv::python("faults in front of Synapse") else { return };
    let outcomes = run(&python, &candidates());
    let unseen: Vec<&FaultOutcome> =
        outcomes.iter().filter(|outcome| outcome.end == FaultEnd::OutOfReach).collect();
    for outcome in &unseen {
        let why = outcome.why.as_deref().unwrap_or_default();
        say(&format!("not observed: {} ({}): {why}", outcome.name, outcome.requirement));
    }
    settle(&outcomes);
    assert!(
        unseen.len() * 4 < outcomes.len(),
        "{} of {} not observed",
        unseen.len(),
        outcomes.len()
    );
}

#[test]
fn what_is_listed_is_an_edit() {
    let catalogue = schema_faults::bundled().unwrap();
    for name in known().keys() {
        let fault = catalogue.all_faults().unwrap().find(|fault| fault.name == name);
        assert!(fault.is_some_and(|fault| fault.kind != Kind::Behaviour), "{name}");
    }
}
