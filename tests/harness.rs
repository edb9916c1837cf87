//! The harness as somebody else's `cargo test` uses it: what is started when, and what a trial says.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
use homespec::harness::{Harness, HarnessError, Outcome, Server, Trial};
use homespec::model::run::Verdict;
use homespec::reference::{self, Settings};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How often a server was started and stopped.
#[derive(Default)]
struct Counts {
    started: AtomicUsize,
    stopped: AtomicUsize,
}

impl Counts {
    fn now(&self) -> (usize, usize) {
        (self.started.load(Ordering::SeqCst), self.stopped.load(Ordering::SeqCst))
    }
}

/// Counts its end.
struct Guard(Arc<Counts>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.stopped.fetch_add(1, Ordering::SeqCst);
    }
}

fn reference_with(settings: Settings, counts: Arc<Counts>) -> Harness {
    Harness::starting(move || {
        counts.started.fetch_add(1, Ordering::SeqCst);
        let runtime = Runtime::new()?;
        let running = runtime.block_on(reference::start(settings))?;
        let server = Server::at(running.url()).keeping((Guard(counts), running, runtime));
        Ok::<_, Box<dyn std::error::Error>>(server)
    })
}

fn reference() -> Harness {
    reference_with(Settings::default(), Arc::default())
}

fn folder(cases: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("own.yaml"), cases).unwrap();
    folder
}

/// A case that no conforming server passes, one that passes, and one that does not apply.
const OWN: &str = r"about: Cases of this test
cases:
  - id: versions-are-a-teapot
    title: the list of versions is a teapot
    checks: [versions.get.ok]
    impact: reads
    steps:
      - call: getVersions
        must: { status: 418 }
  - id: versions-are-there
    title: the list of versions is there
    checks: [versions.get.ok]
    impact: reads
    steps:
      - call: getVersions
        must: { status: 200 }
  - id: versions-of-a-flow-that-nobody-has
    title: the list of versions is there
    checks: [versions.get.ok]
    needs: [flow org.example.nobody]
    impact: reads
    steps:
      - call: getVersions
        must: { status: 200 }
  - id: whoami-knows-alice
    title: the owner of a token is named
    checks: [whoami.user]
    needs: [session alice]
    impact: reads
    steps:
      - call: getTokenOwner
        token: $alice.token
        must: { status: 200 }
";

fn ended(trials: Vec<Trial>) -> BTreeMap<String, Result<Outcome, String>> {
    let ended = |trial: Trial| trial.run().map_err(|error| error.to_string());
    trials.into_iter().map(|trial| (trial.id().to_owned(), ended(trial))).collect()
}

#[test]
fn listing_starts_nothing_and_one_start_serves_all() {
    let counts = Arc::new(Counts::default());
    let harness = reference_with(Settings::default(), counts.clone()).register_open();
    let trials = harness.area("discovery").trials().unwrap();
    assert!(trials.len() > 2 && trials.iter().all(|trial| !trial.title().is_empty()));
    assert_eq!(counts.now(), (0, 0), "a list needs no server");
    let mut trials = trials.into_iter();
    let last = trials.next_back().unwrap();
    for trial in trials {
        assert!(trial.run().is_ok());
    }
    assert_eq!(counts.now(), (1, 0), "the server stays up while a trial is left");
    assert!(last.run().is_ok());
    assert_eq!(counts.now(), (1, 1), "it ended before the last trial returned");
}

#[test]
fn no_two_trials_have_one_name() {
    let trials = reference().register_open().trials().unwrap();
    let names: BTreeSet<&str> = trials.iter().map(Trial::id).collect();
    assert!(names.len() > 250);
    assert_eq!(names.len(), trials.len());
}

#[test]
fn trials_that_are_thrown_away_start_nothing() {
    let counts = Arc::new(Counts::default());
    drop(reference_with(Settings::default(), counts.clone()).trials().unwrap());
    assert_eq!(counts.now(), (0, 0));
}

#[test]
fn a_failure_says_what_where_why_and_how_to_see_it_again() {
    let own = folder(OWN);
    let trials = reference().only_cases(own.path()).case("*teapot").trials().unwrap();
    let failure = ended(trials).remove("own::versions-are-a-teapot").unwrap().unwrap_err();
    let first = failure.lines().next().unwrap();
    assert_eq!(first, "Error: versions.get.ok (MUST): expected 418, got 200");
    for part in [
        "expected  status 418",
        "actual    status 200",
        "clause    https://spec.matrix.org/",
        "own.yaml:9\n",
        "versions-are-a-teapot, ",
        "GET http://127.0.0.1:",
        "curl ",
    ] {
        assert!(failure.contains(part), "`{part}` is missing in\n{failure}");
    }
}

#[test]
fn skipped_is_ignored_with_its_reason_and_blocked_fails() {
    let own = folder(OWN);
    let mut ended = ended(reference().only_cases(own.path()).trials().unwrap());
    let mut of = |id: &str| ended.remove(&format!("own::{id}")).unwrap();
    assert_eq!(of("versions-are-there"), Ok(Outcome::Passed));
    let ignored = of("versions-of-a-flow-that-nobody-has");
    assert!(
        matches!(&ignored, Ok(Outcome::Ignored(why)) if why.contains("org.example.nobody")),
        "{ignored:?}"
    );
    let blocked = of("whoami-knows-alice").unwrap_err();
    assert!(blocked.starts_with("Error: it could not be decided: no account"), "{blocked}");
}

#[test]
fn standing_checks_look_at_what_the_process_has_seen() {
    let own = folder(OWN);
    let cors = "standing::cors.actual_response";
    let verdict = |harness: Harness, id: &str| {
        let trials = harness.only_cases(own.path()).trials().unwrap();
        let only = trials.into_iter().find(|trial| trial.id() == id).unwrap();
        only.run().map_err(|error| error.to_string())
    };
    // Alone: over the probe.
    let versions = "standing::versions.versions.required";
    for id in [cors, versions] {
        let ended = verdict(reference(), id);
        assert!(matches!(ended, Ok(Outcome::Passed)), "{id}: {ended:?}");
    }
    // No account, no whoami: nothing to look at.
    let unseen = verdict(reference(), "standing::whoami.ok");
    assert!(matches!(unseen, Ok(Outcome::Ignored(_))), "{unseen:?}");
}

#[test]
fn standing_checks_first_run_what_has_not_run_whatever_the_order() {
    let own = folder(OWN);
    let trials = reference().register_open().only_cases(own.path()).trials().unwrap();
    let mut trials: Vec<Trial> = trials.into_iter().rev().collect();
    let at = trials.iter().position(|t| t.id().starts_with("standing::whoami.ok")).unwrap();
    let standing = trials.swap_remove(at).run();
    assert_eq!(standing.unwrap(), Outcome::Passed, "the case that asks whoami had run");
    let rest = ended(trials);
    assert_eq!(rest["own::whoami-knows-alice"], Ok(Outcome::Passed));
}

#[test]
fn a_case_alone_ends_as_in_a_whole_run() {
    let whole = reference().register_open().area("token").run().unwrap();
    assert!(whole.cases.len() > 3);
    for case in whole.cases.iter().filter(|case| case.area == "token").take(6) {
        let trials = reference().register_open().area("token").trials().unwrap();
        let alone = trials.into_iter().find(|t| t.id() == format!("token::{}", case.id)).unwrap();
        let ended = alone.run();
        let agrees = match case.verdict {
            Verdict::Passed => matches!(ended, Ok(Outcome::Passed)),
            Verdict::Skipped => matches!(ended, Ok(Outcome::Ignored(_))),
            Verdict::Warned => matches!(ended, Ok(Outcome::Warned(_))),
            _ => ended.is_err(),
        };
        assert!(agrees, "{} is {} in a whole run, alone {ended:?}", case.id, case.verdict);
    }
}

#[test]
fn several_threads_share_one_server() {
    let counts = Arc::new(Counts::default());
    let harness = reference_with(Settings::default(), counts.clone()).register_open();
    let trials = harness.area("device").area("token").trials().unwrap();
    let failures: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> =
            trials.into_iter().map(|trial| scope.spawn(move || trial.run())).collect();
        running
            .into_iter()
            .filter_map(|thread| thread.join().unwrap().err().map(|error| error.to_string()))
            .collect()
    });
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(counts.now(), (1, 1));
}

#[test]
fn what_is_wrong_before_the_first_trial_is_said_at_once() {
    let broken = folder("about: x\ncases: []\n");
    assert!(matches!(
        reference().only_cases(broken.path()).trials(),
        Err(HarnessError::Files(faults)) if faults.len() == 1
    ));
    let unknown = reference().case("device-id-is-kep").trials().err().unwrap().to_string();
    assert!(unknown.contains("matches nothing"), "{unknown}");
    assert!(matches!(
        reference().only_cases(Path::new("there/is/no/such/folder")).trials(),
        Err(HarnessError::Files(_))
    ));
}

#[test]
fn a_server_that_does_not_start_fails_every_trial_with_the_cause() {
    let harness = Harness::starting(|| Err::<Server, _>("the port is taken"));
    let trials = harness.area("discovery").trials().unwrap();
    for (id, ended) in ended(trials) {
        let failure = ended.unwrap_err();
        assert_eq!(failure, "Error: the server did not start: the port is taken", "{id}");
    }
}

#[test]
fn nothing_there_fails_every_trial() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", unused.local_addr().unwrap());
    drop(unused);
    let trials = Harness::at(&url).area("discovery").trials().unwrap();
    for (id, ended) in ended(trials) {
        let failure = ended.unwrap_err();
        assert!(failure.starts_with(&format!("Error: {url} cannot be reached")), "{id}: {failure}");
    }
}

#[test]
fn what_the_baseline_knows_passes_and_what_it_lists_in_vain_fails() {
    let folder = folder(OWN);
    let baseline = folder.path().join("known.yaml");
    let entry = |case: &str| {
        format!(
            "  - {{ requirement: versions.get.ok, case: {case}, pointer: status, reason: ours }}\n"
        )
    };
    let text =
        ["findings:\n", &entry("versions-are-a-teapot"), &entry("versions-are-there")].concat();
    std::fs::write(&baseline, text).unwrap();
    let own = folder.path().join("own.yaml");
    let trials = reference().register_open().only_cases(own).baseline(&baseline).trials().unwrap();
    let ended = ended(trials);
    assert!(matches!(&ended["own::versions-are-a-teapot"], Ok(Outcome::Warned(_))), "{ended:?}");
    let fixed = ended["own::versions-are-there"].as_ref().unwrap_err();
    assert!(
        fixed.contains("remove it from the baseline") && fixed.contains("known.yaml:3"),
        "{fixed}"
    );
}
