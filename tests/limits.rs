//! What a run says where the server's rate limits leave it nothing to look with.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
mod support;

use homespec::model::run::{
    CaseOutcome, LimitHit, RecordedExchange, RequirementVerdict, Run, Verdict,
};
use homespec::reference::{Limit, Refill, Settings, start};
use serde_json::json;
use std::time::Duration;
use support::OF_EXPIRED_TOKENS;
use support::client::Client;
use support::program::{Finished, homespec};

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

/// The accounts of a run.
enum Accounts {
    /// Alice alone.
    One,
    /// Alice and Bob, and no more.
    Two,
    /// Those that the run registers.
    Made,
}

/// A run on a reference homeserver with these settings.
fn run_on(settings: Settings, accounts: &Accounts, more: &[&str]) -> Finished {
    let users = ["alice", "bob"].map(|name| (name.to_owned(), "correct horse".to_owned()));
    let settings = Settings { users: users.to_vec(), ..settings };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(start(settings)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("accounts.yaml");
    let line = |user: &&str| format!("- {{ user: {user}, password: correct horse }}\n");
    let names: &[&str] = match accounts {
        Accounts::One => &["alice"],
        Accounts::Two => &["alice", "bob"],
        Accounts::Made => &[],
    };
    let lines: Vec<String> = names.iter().map(line).collect();
    std::fs::write(&file, lines.concat()).unwrap();
    let file = file.display().to_string();
    let from = match accounts {
        Accounts::One | Accounts::Two => ["--accounts", &file],
        Accounts::Made => ["--register", "open"],
    };
    homespec(&[&["run", &server.url()], &from[..], more].concat())
}

/// The cases that a rate limit blocked.
fn limited_cases(run: &Run) -> Vec<&str> {
    let is_limited = |case: &&CaseOutcome| {
        case.reason.as_ref().is_some_and(|reason| reason.code == "rate_limited")
    };
    run.cases.iter().filter(is_limited).map(|case| case.id.as_str()).collect()
}

fn note<'r>(run: &'r Run, operation: &str) -> &'r str {
    let begin = format!("what the limit on {operation} blocked");
    run.notes.iter().map(|note| note.as_str()).find(|note| note.starts_with(&begin)).unwrap()
}

const NO_UIA: &str = "get-token-without-uia";

/// One login token for each user in so many seconds, and no interactive auth for it.
fn one_token_in(seconds: f64) -> Settings {
    let get_token_limit = Some(Limit { burst: 1, per_second: 1.0 / seconds });
    Settings { get_token_limit, faults: vec![NO_UIA.to_owned()], ..Settings::default() }
}

fn limit_of<'r>(run: &'r Run, operation: &str) -> &'r LimitHit {
    run.limits_hit.iter().find(|hit| hit.operation == operation).unwrap()
}

/// A limit that each user has is met with another account; what remains is the case on a second call of
/// the same user.
#[test]
fn a_limit_of_each_user_blocks_no_more_than_the_second_call_of_the_same_user() {
    let with_uia = Settings { faults: Vec::new(), ..one_token_in(60.0) };
    let run = run_on(with_uia, &Accounts::Made, &["--max-wait", "10"]).run;
    assert_eq!(limited_cases(&run), Vec::<&str>::new());

    let run = run_on(one_token_in(60.0), &Accounts::Made, &["--max-wait", "10"]).run;
    assert_eq!(limited_cases(&run), ["login-token-logs-in-once"]);
    let case = run.cases.iter().find(|case| case.id == "login-token-logs-in-once").unwrap();
    let open = case.decisions.iter().filter(|one| one.verdict == Verdict::Blocked);
    let open: Vec<&str> = open.map(|decision| decision.requirement.as_str()).collect();
    assert_eq!(open, ["get_token.uia.always"]);
    let limit = limit_of(&run, "generateLoginToken");
    assert_eq!((limit.blocked, limit.waited_ms), (1, 0), "{limit:?}");
    let note = note(&run, "generateLoginToken");
    let expected =
        "needs 1 more request; the server lets one through every 60 s, so they take 60 s";
    assert!(note.contains(expected) && !note.contains("more accounts"), "{note}");
}

#[test]
fn the_second_call_of_the_same_user_is_waited_for_last_and_the_wait_is_announced() {
    let finished = run_on(one_token_in(8.0), &Accounts::Made, &["--max-wait", "20"]);
    let (run, stderr) = (&finished.run, &finished.stderr);
    assert_eq!(limited_cases(run), Vec::<&str>::new());
    let limit = limit_of(run, "generateLoginToken");
    assert!((6_000..9_000).contains(&limit.waited_ms), "{limit:?}");
    let line = stderr.lines().find(|line| line.starts_with("waiting: ")).unwrap();
    assert!(line.contains("8 s for the server's limit on generateLoginToken, until "), "{line}");
    assert!(line.ends_with(" UTC (0 of the 20 s of --max-wait were used before)"), "{line}");
    // What was put off is judged with all that was sent for it.
    let case = run.cases.iter().find(|case| case.id == "login-token-logs-in-once").unwrap();
    let statuses = case.exchanges.iter().filter_map(|one| Some(one.response.as_ref()?.status));
    assert!(statuses.filter(|status| *status == 429).count() >= 2, "in two attempts");
    assert_eq!(case.verdict, Verdict::Failed, "it asks for no interactive auth");
}

/// Without a way to make accounts, those that were supplied stand in for each other.
#[test]
fn a_limit_of_each_user_is_met_with_another_supplied_account() {
    let cases = ["get-token-asks-for-interactive-auth", "get-token-capability-is-true"];
    let selected = cases.map(|case| ["--case", case]).concat();
    let more = [&["--max-wait", "1"][..], &selected].concat();
    let run = run_on(one_token_in(60.0), &Accounts::Two, &more).run;
    assert_eq!(limited_cases(&run), Vec::<&str>::new());
    assert_eq!(limit_of(&run, "generateLoginToken").count, 1);
}

#[test]
fn a_limit_on_the_logins_of_each_account_is_met_with_accounts_that_are_made() {
    let settings = Settings { address_limit: false, ..limited() };
    let run = run_on(settings, &Accounts::Made, &["--max-wait", "10"]).run;
    // Rows that log in to the same account again and again, with what is refused.
    let blocked = limited_cases(&run);
    assert!(blocked.len() <= 12, "{blocked:?}");
    assert_eq!(run.tally_requirements.failed, 0);
}

/// The advice fits the limiter: it tells them apart where it saw requests let through after a 429.
#[test]
fn the_wait_that_is_advised_fits_the_limiter() {
    let limit = |burst: u32, per_second: f64| Settings {
        login_limit: Some(Limit { burst, per_second }),
        ..Settings::default()
    };
    let at_once = |settings| Settings { refill: Refill::AllAtOnce, ..settings };
    // The wait that the server named when the limit was met, which depends on when that was.
    let one: &[&str] = &["the server lets one through every ", " s, so they take "];
    let table: [(Settings, &str, &[&str]); 4] = [
        (limit(5, 0.003), "1", &["if the server lets ", " through every 6 min, and "]),
        (at_once(limit(5, 0.003)), "1", &["if the server lets ", " through every 28 min, and "]),
        (limit(5, 0.3), "16", one),
        (at_once(limit(5, 0.8)), "8", &["the server lets ", " through every "]),
    ];
    for (settings, max_wait, expected) in table {
        let run = run_on(settings.clone(), &Accounts::One, &["--max-wait", max_wait]).run;
        let note = note(&run, "login");
        assert!(expected.iter().all(|part| note.contains(part)), "{expected:?}: {note}");
        // Both times are told where it was not seen which of them it is.
        let is_open = note.contains("if the server lets ");
        assert_eq!(note.contains(" lets one through"), is_open || expected == one, "{note}");
        assert!(max_wait != "1" || is_open, "{note}");
        assert!(note.contains("or raise the server's own limit"), "{note}");
        assert!(!note.contains("rc_login"), "{note}");
    }
}

#[test]
fn a_429_without_a_time_is_told_as_such() {
    let settings = Settings {
        faults: vec!["rate-limit-without-header".to_owned()],
        quirks: vec!["retry-after-only".to_owned()],
        ..limited()
    };
    let run = run_on(settings, &Accounts::Two, &["--max-wait", "4"]).run;
    let note = note(&run, "login");
    assert!(note.contains("the server did not say how long to wait, and "), "{note}");
    assert!(note.contains("how long they take is not known"), "{note}");
}

/// Tokens that live two seconds; access tokens only on devices whose id the client chose.
fn short_lives() -> Settings {
    let short = Duration::from_secs(2);
    Settings { chosen_lifetime: Some(short), login_token_lifetime: short, ..Settings::default() }
}

fn only_of_expired_tokens() -> Vec<&'static str> {
    OF_EXPIRED_TOKENS.iter().flat_map(|id| ["--requirement", *id]).collect()
}

#[test]
fn tokens_that_expire_are_waited_for_whatever_accounts_there_are() {
    // With one account, the login that proves it tells a lifetime of 300 s.
    let table: [(Accounts, &[&str]); 2] = [
        (Accounts::Made, &["--jobs", "1"]),
        (Accounts::One, &["--jobs", "1", "--max-wait", "400"]),
    ];
    for (accounts, more) in table {
        let run = run_on(short_lives(), &accounts, more).run;
        for id in OF_EXPIRED_TOKENS {
            let found = run.requirements.iter().find(|one| one.id == id).unwrap();
            assert_eq!(found.verdict, RequirementVerdict::Passed, "{id}: {:?}", found.reason);
        }
        assert_eq!(run.tally_requirements.failed, 0);
    }
}

#[test]
fn a_wait_that_takes_too_long_is_skipped_and_says_what_would_allow_it() {
    let of_tokens = only_of_expired_tokens();
    for (accounts, logins) in [(Accounts::Made, 2), (Accounts::One, 0)] {
        let run = run_on(Settings::default(), &accounts, &of_tokens).run;
        for id in OF_EXPIRED_TOKENS {
            let found = run.requirements.iter().find(|one| one.id == id).unwrap();
            assert_eq!(found.verdict, RequirementVerdict::Skipped, "{id}");
            let reason = found.reason.as_ref().unwrap();
            assert_eq!(reason.code, "not_waited", "{id}: {}", reason.text);
            let told = if id == "login.token.expired" {
                "it would wait 121 s"
            } else {
                "it would wait 30"
            };
            assert!(
                reason.text.contains(told) && reason.text.contains("of the 60 s of --max-wait"),
                "{}",
                reason.text
            );
        }
        // Where logins are scarce, none is spent on it.
        let waiting = ["token-expires", "soft-logout-keeps-the-device"];
        let cases = run.cases.iter().filter(|case| waiting.contains(&case.id.as_str()));
        let is_login = |one: &&RecordedExchange| one.operation.as_deref() == Some("login");
        let sent = cases.flat_map(|case| &case.exchanges).filter(is_login).count();
        assert_eq!(sent, logins, "logins of the waiting cases");
    }
}

#[test]
fn tokens_that_never_expire_are_not_waited_for() {
    let settings = Settings { quirks: vec!["no-refresh".to_owned()], ..short_lives() };
    let run = run_on(settings, &Accounts::Made, &only_of_expired_tokens()).run;
    for id in &OF_EXPIRED_TOKENS[..4] {
        let found = run.requirements.iter().find(|one| one.id == *id).unwrap();
        assert_eq!(found.verdict, RequirementVerdict::Skipped, "{id}");
    }
    let edited = Settings { faults: vec!["get-token-without-expiry".to_owned()], ..short_lives() };
    let run = run_on(edited, &Accounts::Made, &["--case", "login-token-expires"]).run;
    let case = run.cases.iter().find(|case| case.id == "login-token-expires").unwrap();
    let reason = case.reason.as_ref().unwrap();
    assert_eq!((case.verdict, reason.code.as_str()), (Verdict::Skipped, "not_observed"));
    assert!(reason.text.contains("expires_in_ms"), "{}", reason.text);
}

#[test]
fn limits_that_end_as_they_say_and_come_sooner_for_login_tokens_are_seen() {
    let settings = Settings {
        login_limit: Some(Limit { burst: 8, per_second: 4.0 }),
        get_token_limit: Some(Limit { burst: 1, per_second: 0.2 }),
        ..Settings::default()
    };
    let asked = [
        "--allow",
        "rate-limit",
        "--requirement",
        "rate_limit.recovers,rate_limit.get_token_stricter",
    ];
    let run = run_on(settings, &Accounts::Made, &asked).run;
    for id in ["rate_limit.recovers", "rate_limit.get_token_stricter"] {
        let found = run.requirements.iter().find(|one| one.id == id).unwrap();
        assert_eq!(found.verdict, RequirementVerdict::Passed, "{id}: {:?}", found.reason);
    }
}
