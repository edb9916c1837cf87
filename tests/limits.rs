//! What a run says where the server's rate limits leave it nothing to look with.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
mod support;

use homespec::model::run::{CaseOutcome, Run, Verdict};
use homespec::reference::{Limit, Settings, start};
use serde_json::json;
use support::client::Client;
use support::program::homespec;

/// Alice, on a homeserver with the login limits of a deployed one.
fn limited() -> Settings {
    Settings {
        users: vec![("alice".to_owned(), "correct horse".to_owned())],
        login_limit: Some(Limit { burst: 5, per_second: 0.003 }),
        ..Settings::default()
    }
}

#[test]
fn the_same_cases_get_the_logins_whatever_runs_at_once() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let accounts = folder.path().join("accounts.yaml");
    std::fs::write(&accounts, "- { user: alice, password: correct horse }\n").unwrap();
    let accounts = accounts.display().to_string();
    let [one, many] = ["1", "16"].map(|jobs| {
        let server = runtime.block_on(start(limited())).unwrap();
        homespec(&["run", &server.url(), "--accounts", &accounts, "--jobs", jobs]).run
    });

    let ends = |run: &Run| {
        let end = |case: &CaseOutcome| {
            (case.id.clone(), case.verdict, case.reason.clone().map(|r| r.code.to_string()))
        };
        run.cases.iter().map(end).collect::<Vec<_>>()
    };
    assert_eq!(ends(&one), ends(&many));
    let decided = one.tally_requirements.passed;
    assert!(decided >= 130, "{decided} decided with five logins");
    assert_eq!(one.tally_requirements.failed, 0);
    let limit = one.limits_hit.iter().find(|limit| limit.operation == "login").unwrap();
    let blocked = one.cases.iter().filter(|case| case.verdict == Verdict::Blocked).count();
    assert_eq!(limit.blocked, blocked);
    assert!(one.notes.iter().any(|note| note.contains("more requests")), "{:?}", one.notes);
}

#[test]
fn what_only_a_session_shows_is_unknown_where_no_login_is_let_through() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let settings = Settings {
        users: vec![("alice".to_owned(), "correct horse".to_owned())],
        login_limit: Some(Limit { burst: 1, per_second: 0.001 }),
        ..Settings::default()
    };
    let server = runtime.block_on(start(settings)).unwrap();
    let url = server.url();
    let login = json!({
        "type": "m.login.password",
        "identifier": { "type": "m.id.user", "user": "alice" },
        "password": "correct horse",
    });
    let client = Client::new(url.trim_end_matches('/'));
    assert_eq!(client.post("/_matrix/client/v3/login", None, &login).0, 200, "the one permit");

    let folder = tempfile::tempdir().unwrap();
    let accounts = folder.path().join("accounts.yaml");
    std::fs::write(&accounts, "- { user: alice, password: correct horse }\n").unwrap();
    let accounts = accounts.display().to_string();
    let run = homespec(&["run", &url, "--accounts", &accounts, "--max-wait", "1"]).run;

    for id in ["refresh-chain", "preflight[refresh]", "get-token-capability-is-true"] {
        let case = run.cases.iter().find(|case| case.id == id).unwrap();
        let code = case.reason.as_ref().map(|reason| reason.code.as_str());
        assert_eq!((case.verdict, code), (Verdict::Blocked, Some("rate_limited")), "{id}");
    }
}
