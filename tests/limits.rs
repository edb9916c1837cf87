//! What a run says where the server's rate limits leave it nothing to look with.
mod support;

use homespec::outcome::Verdict;
use homespec::reference::{Limit, Settings, start};
use serde_json::json;
use support::client::Client;
use support::program::homespec;

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
