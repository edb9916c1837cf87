//! Supplied accounts stay as they were on servers that are hard to please: names that do not log in, answers that end
//! too early, tokens that are never good.
#![allow(clippy::restriction)] // A helper of tests says with a panic what is wrong.
#[path = "supplied/front.rs"]
mod front;
mod support;

use front::{Front, Manners, Seen};
use homespec::model::run::{RequirementVerdict, Run, Verdict};
use homespec::reference::{self, Running, Settings};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::client::Client;
use support::program::{Finished, homespec};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const PASSWORD: &str = "correct horse";
const FULL: &str = "@alice:reference.localhost";
const DEVICES: &str = "/_matrix/client/v3/devices";

/// A homeserver behind a front, with accounts whose passwords are all the same.
struct Server {
    running: Running,
    front: Front,
    _runtime: Runtime,
}

impl Server {
    fn start(users: &[&str], faults: &[&str], manners: Manners) -> Server {
        let users = users.iter().map(|name| ((*name).to_owned(), PASSWORD.to_owned())).collect();
        let faults = faults.iter().map(|name| (*name).to_owned()).collect();
        let settings = Settings { users, faults, ..Settings::default() };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let running = runtime.block_on(reference::start(settings)).unwrap();
        let front = Front::start(running.addr(), manners);
        Server { running, front, _runtime: runtime }
    }

    /// A run with these accounts and nothing that could make further ones.
    fn run(&self, users: &[&str], more: &[&str]) -> Finished {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("accounts.yaml");
        let lines: Vec<String> = users
            .iter()
            .map(|user| format!("- {{ user: \"{user}\", password: {PASSWORD} }}\n"))
            .collect();
        std::fs::write(&file, lines.concat()).unwrap();
        let file = file.display().to_string();
        let url = self.front.url();
        let arguments = [&["run", &url, "--accounts", &file], more].concat();
        homespec(&arguments)
    }

    /// The ids of the account's devices, asked of the homeserver itself with a session that ends again.
    fn devices(&self, user: &str) -> BTreeSet<String> {
        let client = Client::new(&self.running.url());
        let login = json!({"type": "m.login.password", "password": PASSWORD,
            "identifier": {"type": "m.id.user", "user": user}});
        let (_, session) = client.post("/_matrix/client/v3/login", None, &login);
        let token = session["access_token"].as_str().unwrap();
        let (_, listed) = client.get(DEVICES, token);
        client.post("/_matrix/client/v3/logout", Some(token), &json!({}));
        let ids = listed["devices"].as_array().unwrap().iter();
        let ids = ids.filter_map(|device| device["device_id"].as_str());
        ids.filter(|id| session["device_id"] != *id).map(str::to_owned).collect()
    }
}

/// What was refused of the passwords sent for alice, the proven name with the right password apart: that is what
/// servers lock accounts for.
fn refused(log: &[Seen], names: &[&str], proven: &str) -> Vec<(String, String)> {
    let risky = log.iter().filter(|seen| !seen.is_taken()).filter_map(Seen::password_of);
    risky
        .filter(|(user, password)| names.contains(user) && (*user, *password) != (proven, PASSWORD))
        .map(|(user, password)| (user.to_owned(), password.to_owned()))
        .collect()
}

fn case<'r>(run: &'r Run, id: &str) -> &'r homespec::model::run::CaseOutcome {
    run.cases.iter().find(|case| case.id == id).unwrap()
}

fn requirement(run: &Run, id: &str) -> RequirementVerdict {
    run.requirements.iter().find(|one| one.id == id).unwrap().verdict
}

/// The run went on with the name that works, and the account was refused at most two passwords.
fn works_with(server: &Server, finished: &Finished, proven: &str, names: &[&str]) {
    let log = server.front.log();
    let refused = refused(&log, names, proven);
    assert!(refused.len() <= 2, "{refused:?}");
    let text = &finished.stdout;
    for id in ["device-id-is-kept", "uia-password-takes-an-identifier", "refresh-chain"] {
        assert_eq!(case(&finished.run, id).verdict, Verdict::Passed, "{id}\n{text}");
    }
    assert_eq!(finished.run.not_cleaned_up, Vec::<String>::new());
    assert_eq!(server.devices(proven), BTreeSet::new());
}

const NAMES: [&str; 2] = ["alice", FULL];
const NO_FULL_IDS: [&str; 2] = ["login-mxid-refused", "uia-full-id-refused"];
const NO_LOCALPARTS: [&str; 2] = ["login-localpart-refused", "uia-localpart-refused"];

#[test]
fn a_server_that_refuses_full_ids_is_logged_in_to_by_localpart() {
    for given in NAMES {
        let server = Server::start(&["alice"], &NO_FULL_IDS, Manners::default());
        // Whoever observes refused passwords sees to it that they are few; the reference homeserver takes the id by the
        // older member.
        let finished = server.run(&[given], &[]);
        works_with(&server, &finished, "alice", &NAMES);
        assert_eq!(finished.status, Some(1), "{given}: {}", finished.stdout);
        assert_eq!(
            requirement(&finished.run, "login.password.mxid"),
            RequirementVerdict::Failed,
            "{given}"
        );
        assert_eq!(
            requirement(&finished.run, "login.password.localpart"),
            RequirementVerdict::Passed
        );
        let full_ids = server.front.log().into_iter();
        let sent = full_ids.filter(|seen| seen.password_of() == Some((FULL, PASSWORD))).count();
        assert_eq!(sent, 1, "{given}: a name that was refused is not sent again");
    }
}

#[test]
fn a_server_that_refuses_localparts_is_logged_in_to_by_full_id() {
    let server = Server::start(&["alice"], &NO_LOCALPARTS, Manners::default());
    let finished = server.run(&[FULL], &[]);
    works_with(&server, &finished, FULL, &NAMES);
    assert_eq!(requirement(&finished.run, "login.password.localpart"), RequirementVerdict::Failed);
    assert_eq!(requirement(&finished.run, "login.password.mxid"), RequirementVerdict::Passed);
}

#[test]
fn a_spelling_that_the_server_refuses_is_no_wrong_password_of_the_account() {
    let held_back = |finished: &Finished| {
        let codes = finished.run.cases.iter().filter_map(|case| case.reason.as_ref());
        codes.filter(|reason| reason.code == "wrong_passwords").count()
    };
    for users in [["alice", "Alice"], ["Alice", "alice"]] {
        let server = Server::start(&["alice"], &[], Manners::default());
        let finished = server.run(&users, &[]);
        works_with(&server, &finished, "alice", &NAMES);
        assert_eq!(held_back(&finished), 0, "{users:?}: {}", finished.stdout);
        let refused = finished.stderr.matches("--accounts: `Alice` was refused").count();
        assert_eq!(refused, 1, "{users:?}: {}", finished.stderr);
    }
}

/// What logs in does not pass interactive auth there.
#[test]
fn a_stage_that_refuses_the_name_that_logs_in_is_not_tried_for_ever() {
    for (given, fault) in [("alice", "uia-localpart-refused"), (FULL, "uia-full-id-refused")] {
        let server = Server::start(&["alice"], &[fault], Manners::default());
        let finished = server.run(&[given], &[]);
        let log = server.front.log();
        let stages = log.iter().filter(|seen| seen.sent["auth"].is_object() && !seen.is_taken());
        let stages = stages.filter(|seen| seen.password_of() == Some((given, PASSWORD))).count();
        let others = refused(&log, &NAMES, given);
        assert!(stages + others.len() <= 2, "{stages} in stages, and {others:?}");
        let verdict = requirement(&finished.run, "uia.password.identifier");
        assert_ne!(verdict, RequirementVerdict::Passed, "{given}");
        assert_ne!(finished.status, Some(0), "{given}");
        assert_eq!(server.devices("alice"), BTreeSet::new());
    }
}

/// The server's name is known from the other account.
#[test]
fn a_localpart_that_is_refused_is_tried_as_a_full_id_once() {
    let server = Server::start(&["alice", "bob"], &NO_LOCALPARTS, Manners::default());
    let finished = server.run(&["alice", "@bob:reference.localhost"], &[]);
    works_with(&server, &finished, FULL, &NAMES);
    let alone = Server::start(&["alice"], &NO_LOCALPARTS, Manners::default());
    let finished = alone.run(&["alice"], &[]);
    assert_eq!(refused(&alone.front.log(), &NAMES, "").len(), 1);
    let reason = case(&finished.run, "device-id-is-kept").reason.as_ref().unwrap();
    assert!(reason.text.contains("full Matrix ID"), "{}", reason.text);
}

#[test]
fn a_login_name_that_is_not_the_localpart_is_used_as_it_is() {
    let manners = Manners { alias: Some(("alice", "p1")), ..Manners::default() };
    let server = Server::start(&["p1"], &[], manners);
    let finished = server.run(&["alice"], &[]);
    let names = ["p1", "@p1:reference.localhost", "alice"];
    let refused = refused(&server.front.log(), &names, "alice");
    assert!(refused.len() <= 2, "{refused:?}");
    for id in ["device-id-is-kept", "uia-password-takes-an-identifier", "refresh-chain"] {
        assert_eq!(case(&finished.run, id).verdict, Verdict::Passed, "{id}\n{}", finished.stdout);
    }
    assert_eq!(finished.run.not_cleaned_up, Vec::<String>::new());
    assert_eq!(server.devices("p1"), BTreeSet::new());
}

/// Accounts that the run makes are proven in the same way, and nothing of them stays.
#[test]
fn made_accounts_log_in_and_go_by_the_name_that_works() {
    for faults in [NO_FULL_IDS, NO_LOCALPARTS] {
        let server = Server::start(&[], &faults, Manners::default());
        let url = server.front.url();
        let finished = homespec(&["run", &url, "--register", "open", "--area", "logout"]);
        assert_eq!(finished.run.not_cleaned_up, Vec::<String>::new(), "{faults:?}");
        let blocked = finished.run.cases.iter().find(|case| case.verdict == Verdict::Blocked);
        assert!(blocked.is_none(), "{faults:?}: {:?}", blocked.map(|case| &case.reason));
    }
}

/// The ids of the devices that were left and are not named.
fn unnamed(server: &Server, run: &Run) -> Vec<String> {
    let named = run.not_cleaned_up.join("\n");
    server.devices("alice").into_iter().filter(|id| !named.contains(id)).collect()
}

#[test]
fn login_answers_that_are_cut_short_are_counted_and_what_they_leave_is_named() {
    let manners = Manners { cut: Some(|n| n % 5 == 0), ..Manners::default() };
    let server = Server::start(&["alice"], &[], manners);
    let finished = server.run(&["alice"], &[]);
    let cut =
        server.front.log().iter().filter(|seen| seen.is_login() && seen.status == 200).count() / 5;
    assert!(cut >= 5, "{cut}");
    assert_eq!(unnamed(&server, &finished.run), Vec::<String>::new());
    let note = finished.run.notes.iter().find(|note| note.contains("were repeated"));
    let note = note.unwrap_or_else(|| panic!("{:?}", finished.run.notes));
    assert!(note.contains(&format!("POST /login {cut} of ")), "{note}");
    assert!(finished.stdout.contains("were repeated"), "{}", finished.stdout);
    assert_ne!(finished.run.not_cleaned_up, Vec::<String>::new());
    assert_eq!(finished.status, Some(0), "{}", finished.stdout);
}

#[test]
fn where_the_devices_cannot_be_listed_the_number_of_sessions_is_told() {
    let manners = Manners { cut: Some(|n| n % 3 == 0), no_list: true, ..Manners::default() };
    let server = Server::start(&["alice"], &[], manners);
    let finished = server.run(&["alice"], &["--area", "device"]);
    let left = server.devices("alice").len();
    assert!(left > 0);
    let named = finished.run.not_cleaned_up.join("\n");
    let told = named.strip_prefix("up to ").and_then(|rest| rest.split(' ').next());
    let told: usize = told.and_then(|number| number.parse().ok()).unwrap_or(0);
    assert!(told >= left, "{left} are left: {named}");
}

/// The first answer is the one that proves the account: what it opened is there before the first list.
#[test]
fn a_first_login_that_is_cut_short_is_named_too() {
    let manners = Manners { cut: Some(|n| n == 1), ..Manners::default() };
    let server = Server::start(&["alice"], &[], manners);
    let finished = server.run(&["alice"], &["--area", "login"]);
    assert_eq!(server.devices("alice").len(), 1);
    let named = finished.run.not_cleaned_up.join("\n");
    assert!(named.contains("up to 1 session of @alice:reference.localhost"), "{named}");
}

#[test]
fn sessions_whose_tokens_were_never_good_are_ended_or_named() {
    // Some: the others end them.
    let manners = Manners { dead: Some(|n| n % 3 == 0), ..Manners::default() };
    let server = Server::start(&["alice"], &[], manners);
    let finished = server.run(&["alice"], &[]);
    assert_eq!(server.devices("alice"), BTreeSet::new(), "{:?}", finished.run.not_cleaned_up);
    assert_eq!(finished.run.not_cleaned_up, Vec::<String>::new());
    // All: nothing can end them.
    let manners = Manners { dead: Some(|_| true), ..Manners::default() };
    let server = Server::start(&["alice"], &[], manners);
    let finished = server.run(&["alice"], &[]);
    assert_ne!(server.devices("alice"), BTreeSet::new());
    assert_eq!(unnamed(&server, &finished.run), Vec::<String>::new());
}

/// The answer that was cut short is all that told of the account; sent again, its name is taken.
#[test]
fn accounts_whose_registration_was_cut_short_are_deactivated_too() {
    let manners = Manners { cut_registration: Some(|n| n % 4 == 2), ..Manners::default() };
    let server = Server::start(&[], &[], manners);
    let url = server.front.url();
    let finished = homespec(&["run", &url, "--register", "open", "--area", "account_state"]);
    assert_eq!(finished.run.not_cleaned_up, Vec::<String>::new());
    let log = server.front.log();
    let made = log.iter().filter(|seen| seen.is_registration() && seen.status == 200);
    let made: Vec<&Value> =
        made.map(|seen| &seen.sent).filter(|sent| sent["username"].is_string()).collect();
    assert!(made.len() >= 4, "{}", made.len());
    let client = Client::new(&server.running.url());
    for sent in made {
        let login = json!({"type": "m.login.password", "password": sent["password"],
            "identifier": {"type": "m.id.user", "user": sent["username"]}});
        let (status, _) = client.post("/_matrix/client/v3/login", None, &login);
        assert_eq!(status, 403, "{sent}");
    }
}

/// Somebody's own device that comes while the run goes on is nobody's to delete.
#[test]
fn a_device_that_is_not_the_runs_own_stays() {
    let server = Server::start(&["alice"], &[], Manners::default());
    let client = Client::new(&server.running.url());
    let login = json!({"type": "m.login.password", "password": PASSWORD, "device_id": "PHONE",
        "identifier": {"type": "m.id.user", "user": "alice"}});
    let (status, _): (u16, Value) = client.post("/_matrix/client/v3/login", None, &login);
    assert_eq!(status, 200);
    let finished = server.run(&["alice"], &["--area", "login"]);
    assert_eq!(finished.run.not_cleaned_up, Vec::<String>::new());
    assert_eq!(server.devices("alice"), BTreeSet::from(["PHONE".to_owned()]));
}

/// Every case that tries wrong passwords either runs on the account within its two, or is skipped for want of an
/// account that may be ruined.
#[test]
fn an_account_in_use_is_tried_with_two_wrong_passwords_a_run_at_most() {
    let lenient = ["login-password-empty", "login-password-case-folded", "login-any-password"];
    for (users, faults) in [
        (&["alice"][..], &[][..]),
        (&["alice"], &lenient[..1]),
        (&["alice"], &lenient[1..2]),
        (&["alice"], &lenient[2..]),
        (&["alice", "bob", "carol"], &[]),
    ] {
        let server = Server::start(users, faults, Manners::default());
        let finished = server.run(users, &[]);
        let log = server.front.log();
        let of_run = log.iter().filter_map(Seen::password_of);
        let wrong: Vec<(&str, &str)> =
            of_run.filter(|(_, password)| *password != PASSWORD).collect();
        for user in users {
            let full = format!("@{user}:reference.localhost");
            let tried = wrong.iter().filter(|(name, _)| name == user || *name == full).count();
            assert!(tried <= 2, "{faults:?}: {user}: {wrong:?}");
        }
        let cases = finished.run.cases.iter();
        let exact: Vec<_> = cases.filter(|case| case.id.starts_with("password-exact[")).collect();
        assert!(exact.len() >= 6, "{}", exact.len());
        assert!(exact.iter().all(|case| case.verdict == Verdict::Skipped), "{faults:?}");
    }
}

/// The two that are tried are of rules whose breach lets somebody in.
#[test]
fn a_wrong_and_an_empty_password_are_what_an_account_in_use_is_tried_with() {
    let server = Server::start(&["alice"], &[], Manners::default());
    let finished = server.run(&["alice"], &[]);
    for id in ["login.password.wrong.status", "login.password.empty"] {
        assert_eq!(requirement(&finished.run, id), RequirementVerdict::Passed, "{id}");
    }
    let server = Server::start(&["alice"], &["login-password-empty"], Manners::default());
    let finished = server.run(&["alice"], &[]);
    assert_eq!(requirement(&finished.run, "login.password.empty"), RequirementVerdict::Failed);
    assert_eq!(finished.status, Some(1));
}
