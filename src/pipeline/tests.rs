//! A run on the reference homeserver with a trap in its routes.
use super::*;
use crate::accounts::operator::Operator;
use crate::accounts::pool::AccountProvider;
use crate::accounts::pool::AccountSources;
use crate::case::ast::Api;
use crate::http::client::Transport;
use crate::model::exit::{self, Gate};
use crate::model::run::Verdict;
use crate::plan::routes::{Route, Routes};
use crate::plan::selection::Selection;
use crate::reference::{self, Settings};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Routes in which one operation is a trap.
struct Trap(Arc<dyn Routes>);

impl Routes for Trap {
    fn route(&self, operation: &str, api: Option<Api>) -> Option<Route> {
        assert_ne!(operation, "getDevices", "a fault of our own");
        self.0.route(operation, api)
    }
}

fn job(url: &str) -> Job {
    Job {
        transport: Transport::to(url.parse().unwrap(), Duration::from_secs(10)),
        discover: false,
        sources: AccountSources { supplied: Vec::new(), maker: Some(AccountProvider::Open) },
        operator: Operator::default(),
        api: None,
        selection: Selection { areas: vec!["device".to_owned()], ..Selection::default() },
        allowed: BTreeSet::new(),
        jobs: 4,
        max_wait: Duration::ZERO,
        wait_ready: Duration::ZERO,
        gate: Gate::default(),
        fail_fast: false,
        policies: Policies::default(),
    }
}

#[tokio::test]
async fn a_panic_in_a_case_is_errored_and_what_the_run_made_is_taken_back() {
    let homeserver = reference::start(Settings::default()).await.unwrap();
    let material = Arc::new(Material::load(None, None).unwrap());
    let Ok(mut open) = prepare(material, job(&homeserver.url())).unwrap().open(&Silent).await
    else {
        panic!("the homeserver is there");
    };
    open.executor.routes = Arc::new(Trap(open.executor.routes.clone()));
    let results = open.executor.run(&open.plan, 4, &Silent).await;
    assert!(!open.prepared.sender.created.made().is_empty());
    let cleaned = open.cleanup(&Silent).await;
    assert!(open.prepared.sender.created.made().is_empty());
    assert_eq!(cleaned.left, Vec::<String>::new());
    let run = open.report(&open.plan, results, cleaned).unwrap();
    assert_eq!(run.exit_status, exit::OWN_FAULT);
    let errored = |case: &&crate::model::run::CaseOutcome| case.verdict == Verdict::Errored;
    assert!(
        run.cases
            .iter()
            .any(|case| errored(&case) && case.reason.as_ref().unwrap().code == "panic")
    );
    assert!(run.cases.iter().any(|case| case.verdict == Verdict::Passed));
}
