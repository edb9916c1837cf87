//! The supplied accounts: the name that logs in, the number of refused passwords, and the devices
//! before the run. A server may lock an account after refused passwords, so they are counted and
//! limited to [`WRONG_PASSWORDS`].
use crate::http::created_resources::{CreatedResources, Session, UncertainLogin};
use crate::http::message::{Exchange, Request, Response};
use crate::model::reason::Reason;
use crate::model::user_id::localpart;
use crate::redact::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most wrong passwords on one account in use, in a whole run: servers lock accounts.
pub const WRONG_PASSWORDS: u32 = 2;

/// A supplied account.
#[derive(Debug, Clone)]
pub struct SuppliedAccount {
    /// A localpart or a full Matrix ID.
    pub user: String,
    /// Its credential.
    pub credential: Credential,
    /// True if it may be ruined.
    pub disposable: bool,
}

/// The credential of a supplied account.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Its password.
    Password(SecretString),
    /// An access token of a session that is not ended.
    AccessToken(SecretString),
}

/// A supplied account, with the results of its logins.
#[derive(Debug, Clone)]
pub struct SuppliedAccountState {
    /// The user as given: a localpart or a full Matrix ID.
    pub given: String,
    /// Its credential.
    pub credential: Credential,
    /// True if it may be ruined.
    pub disposable: bool,
    /// The name that logged in.
    pub login_name: Option<String>,
    /// The full Matrix ID, after the server has returned it.
    pub user_id: Option<String>,
    /// The ids of its devices at the proof; nothing if the list was not available.
    pub devices: Option<BTreeSet<String>>,
    /// Logins before that list that may have opened a session without a response.
    pub uncertain_before: usize,
    /// Refused passwords, including those in flight.
    refused: u32,
    /// The names that were refused with the right password, by place.
    refused_names: BTreeSet<(PasswordUse, String)>,
    /// Other names that logged in with the right password.
    taken_names: BTreeSet<String>,
    /// True if interactive auth refused a name and password that log in.
    is_refused_in_stage: bool,
}

/// The kind of request that carries a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PasswordUse {
    Login,
    Stage,
}

impl SuppliedAccountState {
    /// Its password, if it was given.
    pub fn password(&self) -> Option<&str> {
        match &self.credential {
            Credential::Password(password) => Some(password.expose_secret()),
            Credential::AccessToken(_) => None,
        }
    }

    /// Returns true if a name in a login can mean this account. Servers may ignore case.
    pub fn is_named(&self, name: &str) -> bool {
        self.is_known_as(name, str::eq_ignore_ascii_case)
    }

    fn is_spelled(&self, name: &str) -> bool {
        self.is_known_as(name, |known, name| known == name)
    }

    fn is_known_as(&self, name: &str, is: impl Fn(&str, &str) -> bool) -> bool {
        // The server of a localpart is not known yet.
        let may_be_full = self.user_id.is_none() && !self.given.starts_with('@');
        is(&self.given, name)
            || (may_be_full && self.given == localpart(name))
            || self.login_name.as_deref().is_some_and(|known| is(known, name))
            || self.user_id.as_deref().is_some_and(|id| is(id, name) || is(localpart(id), name))
            || (self.given.starts_with('@') && is(localpart(&self.given), name))
    }

    /// Returns true for a login of this account.
    pub fn is_of(&self, login: &UncertainLogin) -> bool {
        login.name.as_deref().is_some_and(|name| self.is_named(name))
    }

    fn has_logged_in(&self, form: impl Fn(&str) -> &str) -> bool {
        let Some(name) = self.user_id.as_deref().map(form) else { return false };
        self.login_name.as_deref() == Some(name) || self.taken_names.contains(name)
    }

    /// Returns true if the server refused the name before with the right password; a name that does
    /// not log in passes no stage either.
    fn refused_name(&self, place: PasswordUse, name: &str) -> bool {
        [PasswordUse::Login, place]
            .iter()
            .any(|one| self.refused_names.contains(&(*one, name.to_owned())))
    }

    fn is_proven_by(&self, name: &str, password: &str) -> bool {
        let logs_in = self.login_name.as_deref() == Some(name) || self.taken_names.contains(name);
        logs_in && self.password() == Some(password)
    }
}

/// All supplied accounts.
#[derive(Debug, Default)]
pub struct SuppliedAccounts(Mutex<Vec<SuppliedAccountState>>);

/// A password in flight that the server may refuse.
#[derive(Debug)]
pub struct Attempt {
    account: usize,
    /// Other entries that it is a wrong password of, if the server takes capitals for small letters.
    wrong_for: Vec<usize>,
    place: PasswordUse,
    name: String,
    is_right: bool,
    is_proven: bool,
}

impl SuppliedAccounts {
    /// None of them is proven yet.
    pub fn new(supplied: &[SuppliedAccount]) -> SuppliedAccounts {
        let account = |supplied: &SuppliedAccount| SuppliedAccountState {
            given: supplied.user.clone(),
            credential: supplied.credential.clone(),
            disposable: supplied.disposable,
            login_name: None,
            user_id: None,
            devices: None,
            uncertain_before: 0,
            refused: 0,
            refused_names: BTreeSet::new(),
            taken_names: BTreeSet::new(),
            is_refused_in_stage: false,
        };
        SuppliedAccounts(Mutex::new(supplied.iter().map(account).collect()))
    }

    /// The newest open session of each account: it lists the devices, so it is ended last.
    pub fn last_sessions(&self, created: &CreatedResources) -> Vec<Session> {
        let open = created.open();
        let newest = |account: &SuppliedAccountState| {
            let own = |session: &&Session| account.user_id.as_ref() == Some(&session.user_id);
            open.iter().rfind(own).cloned()
        };
        self.accounts().iter().filter_map(newest).collect()
    }

    /// A snapshot of all of them.
    pub fn all(&self) -> Vec<SuppliedAccountState> {
        self.accounts().clone()
    }

    /// The other spelling of a name: the localpart of a full Matrix ID, or the full Matrix ID of a
    /// localpart if another account shows the server's name.
    pub fn other_spelling(&self, given: &str) -> Option<String> {
        if given.starts_with('@') {
            return Some(localpart(given).to_owned());
        }
        let accounts = self.accounts();
        let mut ids =
            accounts.iter().flat_map(|account| account.user_id.iter().chain([&account.given]));
        let (_, server) = ids.find_map(|id| id.strip_prefix('@')?.split_once(':'))?;
        Some(format!("@{given}:{server}"))
    }

    /// Records that the account `given` logged in by this name and has the id `user_id`.
    pub fn prove(&self, given: &str, login_name: Option<&str>, user_id: &str) {
        for account in self.accounts().iter_mut().filter(|account| account.given == given) {
            account.login_name = login_name.map(str::to_owned);
            account.user_id = Some(user_id.to_owned());
        }
    }

    /// Records the devices of the account `given` at its proof, and the logins so far that may have
    /// opened sessions without a complete response.
    pub fn list_devices(
        &self,
        given: &str,
        devices: Option<BTreeSet<String>>,
        uncertain: &[UncertainLogin],
    ) {
        for account in self.accounts().iter_mut().filter(|account| account.given == given) {
            account.devices = devices.clone();
            account.uncertain_before = uncertain.iter().filter(|it| account.is_of(it)).count();
        }
    }

    /// Counts a password before it is sent. Nothing is counted for a login with a name that has
    /// logged in before, or for a disposable account. `asker` is the user of the request's access
    /// token. Each permit must be settled.
    ///
    /// # Errors
    /// The reason to block with, where sending it could lock the account.
    pub fn permit(
        &self,
        request: &Request,
        asker: Option<&str>,
    ) -> Result<Option<Attempt>, Reason> {
        let Some((place, name, password)) = password_of(request) else { return Ok(None) };
        let mut accounts = self.accounts();
        let by_full_id = accounts.iter().any(|one| one.has_logged_in(|id| id));
        let by_localpart = accounts.iter().any(|one| one.has_logged_in(localpart));
        let meant = meant(&accounts, &name);
        let Some((index, account)) = meant.and_then(|at| Some((at, accounts.get_mut(at)?))) else {
            return Ok(None);
        };
        let is_free = account.disposable || account.password().is_none();
        let is_proven = account.is_proven_by(&name, &password);
        // The right password must not pass the stage of another user's request.
        let is_own_stage = place == PasswordUse::Stage && account.user_id.as_deref() == asker;
        if is_free || (is_proven && !is_own_stage) {
            return Ok(None);
        }
        let is_right = account.password() == Some(&password);
        if is_right && !is_proven && account.refused_name(place, &name) {
            return Err(Reason::NameRefused);
        }
        let is_of_a_kind_that_logs_in = account.user_id.as_deref().is_some_and(|id| {
            is_right && ((by_full_id && name == id) || (by_localpart && name == localpart(id)))
        });
        let may_be_taken = (is_proven || is_of_a_kind_that_logs_in) && !account.is_refused_in_stage;
        if account.refused >= WRONG_PASSWORDS && !may_be_taken {
            return Err(Reason::WrongPasswords { count: WRONG_PASSWORDS });
        }
        account.refused += u32::from(!is_proven);
        let is_wrong_for = |(other, account): &(usize, &SuppliedAccountState)| {
            *other != index && account.is_named(&name) && account.password() != Some(&password)
        };
        let wrong_for = accounts.iter().enumerate().filter(is_wrong_for).map(|(other, _)| other);
        let wrong_for = wrong_for.collect();
        Ok(Some(Attempt { account: index, wrong_for, place, name, is_right, is_proven }))
    }

    /// Records the result of a permitted password. Without a response it counts as refused.
    pub fn settle(&self, attempt: &Attempt, request: &Request, exchanges: &[Exchange]) {
        let sent = || exchanges.iter().filter(|exchange| exchange.request == *request);
        let is_password_refused = |response: &Response| {
            !is_taken(response)
                && response.status != 429
                && !(attempt.place == PasswordUse::Stage && refuses_the_token(response))
        };
        let is_refused = |exchange: &&Exchange| match &exchange.result {
            Ok(response) => is_password_refused(response),
            Err(_) => true,
        };
        let refused = sent().filter(is_refused).count();
        let by_server = sent().any(|exchange| {
            exchange.result.as_ref().is_ok_and(|response| {
                (400..500).contains(&response.status) && is_password_refused(response)
            })
        });
        let mut accounts = self.accounts();
        let refused = u32::try_from(refused).unwrap_or(u32::MAX);
        for index in &attempt.wrong_for {
            if let Some(other) = accounts.get_mut(*index) {
                other.refused = other.refused.saturating_add(refused);
            }
        }
        let Some(account) = accounts.get_mut(attempt.account) else { return };
        let counted = u32::from(!attempt.is_proven);
        account.refused = account.refused.saturating_sub(counted).saturating_add(refused);
        account.is_refused_in_stage |= attempt.is_proven && refused > 0;
        if attempt.is_right && !attempt.is_proven && by_server {
            account.refused_names.insert((attempt.place, attempt.name.clone()));
        }
        let is_login = attempt.is_right && attempt.place == PasswordUse::Login;
        if is_login && sent().any(|one| one.result.as_ref().is_ok_and(is_taken)) {
            account.taken_names.insert(attempt.name.clone());
        }
    }

    fn accounts(&self) -> MutexGuard<'_, Vec<SuppliedAccountState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of the account that a name is meant for: the one that is spelled so, else one that has logged in. Of several
/// entries for one account it is the first.
fn meant(accounts: &[SuppliedAccountState], name: &str) -> Option<usize> {
    let rank =
        |account: &SuppliedAccountState| (!account.is_spelled(name), account.user_id.is_none());
    let named = accounts.iter().enumerate().filter(|(_, account)| account.is_named(name));
    let (index, account) = named.min_by_key(|(_, account)| rank(account))?;
    let is_same = |other: &SuppliedAccountState| {
        account.user_id.is_some() && other.user_id == account.user_id
    };
    Some(accounts.iter().position(is_same).unwrap_or(index))
}

/// Returns the ids if the response is a list of devices.
pub fn device_ids(response: &Response) -> Option<BTreeSet<String>> {
    let body = response.json().ok().filter(|_| response.is_success())?;
    let devices = body.get("devices")?.as_array()?.iter();
    Some(
        devices.filter_map(|device| device.get("device_id")?.as_str().map(str::to_owned)).collect(),
    )
}

/// Returns true if a password was right: the request succeeded, or the stage is completed.
fn is_taken(response: &Response) -> bool {
    let completed = response.json().ok().and_then(|body| body.get("completed")?.as_array());
    response.is_success()
        || completed.is_some_and(|stages| stages.contains(&json!("m.login.password")))
}

/// Returns true if the access token of a request is refused: then nobody looked at the password beside it.
fn refuses_the_token(response: &Response) -> bool {
    let errcode = response.text_at("/errcode");
    response.status == 401 && matches!(errcode, Some("M_UNKNOWN_TOKEN" | "M_MISSING_TOKEN"))
}

/// Returns the user and password of a request, at login or in interactive auth.
fn password_of(request: &Request) -> Option<(PasswordUse, String, String)> {
    let body = request.json_body()?;
    let (place, auth) = match body.get("auth") {
        Some(auth) => (PasswordUse::Stage, auth),
        None if request.is_login() => (PasswordUse::Login, &body),
        None => return None,
    };
    let user = auth.pointer("/identifier/user").or_else(|| auth.get("user"))?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some((place, text(user)?, text(auth.get("password")?)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn accounts() -> SuppliedAccounts {
        let supplied = SuppliedAccount {
            user: "@alice:hs".to_owned(),
            credential: Credential::Password("right".to_owned().into()),
            disposable: false,
        };
        SuppliedAccounts::new(&[supplied])
    }

    fn login(user: &str, password: &str) -> Request {
        Request::new(Some("login"), "POST", "/login").json(&json!({"type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": user}, "password": password}))
    }

    fn exchange(request: &Request, status: u16) -> Exchange {
        Exchange {
            request: request.clone(),
            url: String::new(),
            sent_headers: Vec::new(),
            result: Ok(Response::new(status, Vec::new(), b"{}".to_vec(), false)),
            duration: Duration::ZERO,
            shared: false,
        }
    }

    /// Sends it, if that is permitted, and is answered with this status.
    fn send(accounts: &SuppliedAccounts, request: &Request, status: u16) -> Result<(), Reason> {
        if let Some(attempt) = accounts.permit(request, Some("@alice:hs"))? {
            accounts.settle(&attempt, request, &[exchange(request, status)]);
        }
        Ok(())
    }

    #[test]
    fn a_name_that_was_refused_is_not_sent_again_and_two_refusals_are_enough() {
        let accounts = accounts();
        assert_eq!(send(&accounts, &login("@alice:hs", "right"), 403), Ok(()));
        assert_eq!(accounts.other_spelling("@alice:hs").as_deref(), Some("alice"));
        assert_eq!(send(&accounts, &login("alice", "right"), 200), Ok(()));
        accounts.prove("@alice:hs", Some("alice"), "@alice:hs");
        assert!(send(&accounts, &login("@alice:hs", "right"), 200).is_err());
        for _ in 0..10 {
            assert_eq!(send(&accounts, &login("alice", "right"), 400), Ok(()));
        }
        assert_eq!(send(&accounts, &login("ALICE", "wrong"), 403), Ok(()));
        assert!(send(&accounts, &login("alice", "wrong"), 403).is_err());
        assert_eq!(send(&accounts, &login("bob", "wrong"), 403), Ok(()));
    }

    #[test]
    fn a_password_that_is_taken_costs_nothing_and_a_limit_is_no_refusal() {
        let accounts = accounts();
        for status in [200, 429, 200, 429] {
            assert_eq!(send(&accounts, &login("alice", "right"), status), Ok(()));
        }
        let stage = Request::new(Some("deleteDevice"), "DELETE", "/x").json(&json!({"auth": {
            "type": "m.login.password", "user": "alice", "password": "wrong"}}));
        assert_eq!(send(&accounts, &stage, 401), Ok(()));
        assert_eq!(send(&accounts, &stage, 401), Ok(()));
        assert!(send(&accounts, &stage, 401).is_err());
    }

    #[test]
    fn a_spelling_that_is_refused_is_no_wrong_password_of_the_account_spelled_otherwise() {
        let given = |user: &str, password: &str| SuppliedAccount {
            user: user.to_owned(),
            credential: Credential::Password(password.to_owned().into()),
            disposable: false,
        };
        let wrong = |accounts: &SuppliedAccounts| {
            (0..9).take_while(|_| send(accounts, &login("alice", "wrong"), 403).is_ok()).count()
        };
        // What the other entry says is its password decides: a password of its own may be a wrong one of the same account.
        for (password, left) in [("right", 2), ("other", 1)] {
            for users in [["alice", "Alice"], ["Alice", "alice"]] {
                let passwords = users.map(|user| if user == "alice" { "right" } else { password });
                let accounts =
                    SuppliedAccounts::new(&[0, 1].map(|n| given(users[n], passwords[n])));
                for (user, password) in users.into_iter().zip(passwords) {
                    let is_refused = user == "Alice";
                    let status = if is_refused { 403 } else { 200 };
                    assert_eq!(send(&accounts, &login(user, password), status), Ok(()));
                    if !is_refused {
                        accounts.prove("alice", Some("alice"), "@alice:hs");
                    } else if password == "right" {
                        assert_eq!(send(&accounts, &login("@Alice:hs", password), 403), Ok(()));
                    }
                }
                assert_eq!(wrong(&accounts), left, "{users:?} {password}");
            }
        }
        // Two entries for one account have one count.
        let accounts = SuppliedAccounts::new(&["alice", "Alice"].map(|user| given(user, "right")));
        for user in ["alice", "Alice"] {
            assert_eq!(send(&accounts, &login(user, "right"), 200), Ok(()));
            accounts.prove(user, Some(user), "@alice:hs");
        }
        assert_eq!(send(&accounts, &login("Alice", "wrong"), 403), Ok(()));
        assert_eq!(wrong(&accounts), 1);
    }

    #[test]
    fn a_kind_of_name_that_logs_in_others_is_tried_though_passwords_were_refused() {
        let given = ["alice", "bob"].map(|user| SuppliedAccount {
            user: user.to_owned(),
            credential: Credential::Password("right".to_owned().into()),
            disposable: false,
        });
        let accounts = SuppliedAccounts::new(&given);
        for user in ["alice", "bob"] {
            accounts.prove(user, Some(user), &format!("@{user}:hs"));
        }
        for _ in 0..2 {
            assert_eq!(send(&accounts, &login("bob", "wrong"), 403), Ok(()));
        }
        assert!(send(&accounts, &login("@bob:hs", "right"), 200).is_err());
        assert_eq!(send(&accounts, &login("@alice:hs", "right"), 200), Ok(()));
        assert_eq!(send(&accounts, &login("@bob:hs", "right"), 403), Ok(()));
        assert!(send(&accounts, &login("@bob:hs", "right"), 403).is_err());
    }

    #[test]
    fn a_stage_that_refuses_what_logs_in_is_not_tried_for_ever() {
        let accounts = accounts();
        accounts.prove("@alice:hs", Some("alice"), "@alice:hs");
        let stage = Request::new(Some("deleteDevice"), "DELETE", "/x").json(&json!({"auth": {
            "type": "m.login.password", "user": "alice", "password": "right"}}));
        let of_another = || accounts.permit(&stage, Some("@bob:hs"));
        assert!(of_another().unwrap().is_none());
        assert_eq!(send(&accounts, &stage, 200), Ok(()));
        assert_eq!(send(&accounts, &stage, 401), Ok(()));
        assert_eq!(send(&accounts, &stage, 401), Ok(()));
        assert!(send(&accounts, &stage, 401).is_err());
        assert_eq!(send(&accounts, &login("alice", "right"), 200), Ok(()));
    }
}
