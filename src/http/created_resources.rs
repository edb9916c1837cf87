//! Which sessions and accounts a run has made and not yet ended, so that they can be ended.
use crate::http::message::{Ask, Exchanged, TroubleKind};
use crate::model::user_id::{FRESH, localpart};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use url::form_urlencoded;

/// A session that the run made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Whose it is.
    pub user_id: String,
    /// Its device.
    pub device_id: String,
    /// Its access tokens, the newest last.
    pub tokens: Vec<String>,
    refresh_tokens: Vec<String>,
    /// Whether its newest token came from a refresh.
    renewed: bool,
}

/// An account that the run made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The full Matrix ID.
    pub user_id: String,
    /// The name that logs it in, as far as is known.
    pub login_name: String,
    /// Its password, if it has one and the run has seen it.
    pub password: Option<String>,
    /// Whether it is a guest.
    pub guest: bool,
}

/// A login that may have opened a session, though its answer does not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UncertainLogin {
    /// The name that it was sent with; nothing where a token said whose it is.
    pub name: Option<String>,
    /// The device that it asked for.
    pub device_id: Option<String>,
}

/// Everything that a run made, in the order made.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    sessions: Vec<Session>,
    accounts: Vec<Made>,
    /// The names of every account that the run ever made.
    made: BTreeSet<String>,
    uncertain: Vec<UncertainLogin>,
    /// Accounts that may have been made, though no answer tells.
    uncertain_accounts: Vec<Made>,
    /// Device ids that the run made up and sent with a login.
    chosen_devices: BTreeSet<String>,
}

impl Entries {
    /// Whose a request's token is, if the run made its session.
    fn asker(&self, ask: &Ask) -> Option<String> {
        let token = token_of(ask)?;
        let owner = self.sessions.iter().find(|session| session.tokens.contains(&token));
        // An application service speaks for the user that the query names.
        owner.map(|session| session.user_id.clone()).or_else(|| query_of(ask, "user_id"))
    }

    fn made(&mut self, account: Made) {
        if !account.user_id.is_empty()
            && !self.accounts.iter().any(|a| a.user_id == account.user_id)
        {
            self.made.extend([account.user_id.clone(), account.login_name.clone()]);
            self.uncertain_accounts.retain(|other| other.login_name != account.login_name);
            self.accounts.push(account);
        }
    }

    /// A session is known by its user and device; without a device each token is one.
    fn began(&mut self, session: Session) {
        let same = |s: &&mut Session| {
            s.user_id == session.user_id
                && s.device_id == session.device_id
                && !session.device_id.is_empty()
        };
        match self.sessions.iter_mut().find(same) {
            Some(known) => {
                known.tokens.extend(session.tokens);
                known.refresh_tokens.extend(session.refresh_tokens);
                known.renewed = false;
            }
            None => self.sessions.push(session),
        }
    }

    /// A refresh gave a session another token.
    fn went_on(&mut self, used: &str, token: String, refresh_token: Option<String>) {
        let mut sessions = self.sessions.iter_mut();
        if let Some(session) = sessions.find(|s| s.refresh_tokens.iter().any(|r| r == used)) {
            session.tokens.push(token);
            session.refresh_tokens.extend(refresh_token);
            session.renewed = true;
        }
    }
}

impl Ledger {
    /// Reads an exchange for sessions and accounts that it began or ended.
    pub fn note(&self, exchanged: &Exchanged) {
        self.note_chosen_device(exchanged);
        self.note_uncertain(exchanged);
        let Ok(answer) = &exchanged.result else { return };
        if !answer.is_success() {
            return;
        }
        let (path, query) =
            exchanged.ask.path.split_once('?').unwrap_or((exchanged.ask.path.as_str(), ""));
        let posted = |end: &str| exchanged.ask.method == "POST" && path.ends_with(end);
        let sent = |key: &str| {
            let body = exchanged.ask.json_body()?;
            body.get(key)?.as_str().map(str::to_owned)
        };
        let mut entries = self.entries();
        if posted("/logout") {
            if let Some(token) = token_of(&exchanged.ask) {
                entries.sessions.retain(|session| !session.tokens.contains(&token));
            }
            return;
        }
        if posted("/logout/all") || posted("/account/deactivate") {
            let user = entries.asker(&exchanged.ask);
            entries.sessions.retain(|session| Some(&session.user_id) != user.as_ref());
            if posted("/account/deactivate") {
                entries.accounts.retain(|account| Some(&account.user_id) != user.as_ref());
            }
            return;
        }
        if posted("/account/password") {
            let user = entries.asker(&exchanged.ask);
            let mut accounts = entries.accounts.iter_mut();
            if let Some(made) = accounts.find(|account| Some(&account.user_id) == user.as_ref()) {
                made.password = sent("new_password").or(made.password.take());
            }
            return;
        }
        if ends_devices(&exchanged.ask.method, path) {
            let (user, devices) = (entries.asker(&exchanged.ask), devices_of(exchanged, path));
            entries.sessions.retain(|session| {
                Some(&session.user_id) != user.as_ref() || !devices.contains(&session.device_id)
            });
            return;
        }
        let Ok(body) = answer.json() else { return };
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        let user_id = text("user_id").unwrap_or_default();
        // What an application service registers is its own; one user is used again by later runs.
        if posted("/register") && sent("type").is_none() {
            let guest = query.contains("kind=guest");
            let login_name = sent("username").unwrap_or_else(|| user_id.clone());
            let password = sent("password");
            entries.made(Made { user_id: user_id.clone(), login_name, password, guest });
        }
        let Some(token) = text("access_token") else { return };
        let refresh_token = text("refresh_token");
        if path.ends_with("/refresh") {
            let used = sent("refresh_token").unwrap_or_default();
            return entries.went_on(&used, token, refresh_token);
        }
        entries.began(Session {
            user_id,
            device_id: text("device_id").unwrap_or_default(),
            tokens: vec![token],
            refresh_tokens: refresh_token.into_iter().collect(),
            renewed: false,
        });
    }

    /// Remembers the device id that a login asks for: such a device is the run's own.
    fn note_chosen_device(&self, exchanged: &Exchanged) {
        if begins_session(exchanged) {
            self.entries().chosen_devices.extend(sent_text(exchanged, "/device_id"));
        }
    }

    /// Remembers a login or a registration that may have been done though no whole answer says so.
    fn note_uncertain(&self, exchanged: &Exchanged) {
        if !is_uncertain(exchanged) {
            return;
        }
        let sent = |pointer: &str| sent_text(exchanged, pointer);
        if begins_session(exchanged) {
            let name = sent("/identifier/user").or_else(|| sent("/user"));
            let device_id = sent("/device_id");
            self.entries().uncertain.push(UncertainLogin { name, device_id });
        } else if exchanged.ask.method == "POST"
            && exchanged.ask.path.ends_with("/register")
            && sent("/type").is_none()
            && let Some(name) = sent("/username")
        {
            let mut entries = self.entries();
            let is_known = |made: &Made| made.login_name == name;
            if !entries.accounts.iter().chain(&entries.uncertain_accounts).any(is_known) {
                let (user_id, password) = (name.clone(), sent("/password"));
                let account = Made { user_id, login_name: name, password, guest: false };
                entries.uncertain_accounts.push(account);
            }
        }
    }

    /// The user whose access token a request has, if the run began the session.
    pub fn asker(&self, ask: &Ask) -> Option<String> {
        self.entries().asker(ask)
    }

    /// The account logs in by this name.
    pub fn logs_in_as(&self, user_id: &str, name: &str) {
        let mut entries = self.entries();
        let mut accounts = entries.accounts.iter_mut();
        if let Some(made) = accounts.find(|made| made.user_id == user_id) {
            made.login_name = name.to_owned();
        }
    }

    /// The logins that may have opened a session which no answer told of, in the order sent.
    pub fn uncertain_logins(&self) -> Vec<UncertainLogin> {
        self.entries().uncertain.clone()
    }

    /// The accounts that may have been made though no answer tells; their names are those asked for.
    pub fn uncertain_accounts(&self) -> Vec<Made> {
        self.entries().uncertain_accounts.clone()
    }

    /// Whether a name is that of an account of the run's own, or was made up and is nobody's.
    pub fn is_own_name(&self, name: &str) -> bool {
        localpart(name).starts_with(FRESH) || self.entries().made.contains(name)
    }

    /// Whether the run made up this device id.
    pub fn chose_device(&self, device_id: &str) -> bool {
        self.entries().chosen_devices.contains(device_id)
    }

    /// Strikes out a session that is known to be over.
    pub fn ended(&self, session: &Session) {
        self.entries().sessions.retain(|known| known != session);
    }

    /// An account that a program of the operator's made for the run, with its session if it has one:
    /// no exchange tells of these.
    pub fn note_made(&self, account: Made, session: Option<(String, Option<String>)>) {
        let mut entries = self.entries();
        if let Some((token, device_id)) = session {
            entries.began(Session {
                user_id: account.user_id.clone(),
                device_id: device_id.unwrap_or_default(),
                tokens: vec![token],
                refresh_tokens: Vec::new(),
                renewed: false,
            });
        }
        entries.made(account);
    }

    /// Whether the session that a login with this token began is open, and neither a refresh nor a
    /// later login on its device gave it another one.
    pub fn is_as_begun(&self, token: &str) -> bool {
        let entries = self.entries();
        let is_last = |tokens: &[String]| tokens.last().is_some_and(|last| last == token);
        entries.sessions.iter().any(|session| !session.renewed && is_last(&session.tokens))
    }

    /// Puts sessions and accounts in the order of the exchanges that began them: several cases at once
    /// make theirs in the order of chance.
    pub fn arrange<'e>(&self, exchanges: impl Iterator<Item = &'e Exchanged>) {
        let mut ranks: HashMap<String, usize> = HashMap::new();
        for (rank, exchanged) in exchanges.enumerate() {
            let begins = exchanged.ask.method == "POST" && exchanged.ask.body.is_some();
            let Some(answer) = exchanged.result.as_ref().ok().filter(|_| begins) else { continue };
            // What is parsed of a copy is gone with it: these are all answers of the run.
            let answer = answer.unparsed();
            for name in ["/access_token", "/user_id"].map(|pointer| answer.text_at(pointer)) {
                name.map(|name| ranks.entry(name.to_owned()).or_insert(rank));
            }
        }
        let mut entries = self.entries();
        let rank = |name: &String| ranks.get(name.as_str()).copied();
        entries.sessions.sort_by_key(|session| session.tokens.iter().filter_map(rank).min());
        entries.accounts.sort_by_key(|account| rank(&account.user_id));
    }

    /// The sessions that are still open, as far as is known.
    pub fn open(&self) -> Vec<Session> {
        self.entries().sessions.clone()
    }

    /// The accounts that were made and not deactivated, as far as is known.
    pub fn made(&self) -> Vec<Made> {
        self.entries().accounts.clone()
    }

    /// Strikes out an account that is gone, and its sessions with it.
    pub fn gone(&self, user_id: &str) {
        let mut entries = self.entries();
        entries.accounts.retain(|account| account.user_id != user_id);
        entries.sessions.retain(|session| session.user_id != user_id);
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a request deletes devices, and with each the session on it.
fn ends_devices(method: &str, path: &str) -> bool {
    let one = method == "DELETE" && path.contains("/devices/");
    one || (method == "POST" && path.ends_with("/delete_devices"))
}

/// Whether a request is a login, by its path: cases also send it as no operation.
fn begins_session(exchanged: &Exchanged) -> bool {
    let path = exchanged.ask.path.split('?').next().unwrap_or_default();
    exchanged.ask.method == "POST" && path.ends_with("/login")
}

/// Whether a request may have been done, though no whole answer says so: none came, or that of something in front, or
/// one that says it was done and holds no access token.
fn is_uncertain(exchanged: &Exchanged) -> bool {
    match &exchanged.result {
        Err(trouble) => matches!(
            trouble.kind,
            TroubleKind::Closed | TroubleKind::Protocol | TroubleKind::Timeout
        ),
        Ok(answer) if matches!(answer.status, 502..=504) => answer.text_at("/errcode").is_none(),
        Ok(answer) => {
            let told = if begins_session(exchanged) { "/access_token" } else { "/user_id" };
            answer.is_success() && answer.text_at(told).is_none()
        }
    }
}

/// A text in the JSON body of a request.
fn sent_text(exchanged: &Exchanged, pointer: &str) -> Option<String> {
    exchanged.ask.json_body()?.pointer(pointer)?.as_str().map(str::to_owned)
}

/// A parameter of a request's query.
fn query_of(ask: &Ask, name: &str) -> Option<String> {
    let (_, query) = ask.path.split_once('?')?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn devices_of(exchanged: &Exchanged, path: &str) -> Vec<String> {
    if exchanged.ask.method == "DELETE" {
        let name = path.rsplit('/').next().unwrap_or_default();
        let decoded = form_urlencoded::parse(name.as_bytes()).map(|(name, _)| name.into_owned());
        return decoded.collect();
    }
    let body = exchanged.ask.json_body();
    let devices = body.as_ref().and_then(|body| body.get("devices")?.as_array());
    let names = devices.into_iter().flatten().filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}

fn token_of(ask: &Ask) -> Option<String> {
    let header = ask.header("authorization");
    let bearer = header.and_then(|header| header.strip_prefix("Bearer ")).map(str::to_owned);
    bearer.or_else(|| query_of(ask, "access_token"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::message::Answer;
    use serde_json::json;
    use std::time::Duration;

    fn exchanged(ask: Ask, status: u16, body: Value) -> Exchanged {
        Exchanged {
            ask,
            url: String::new(),
            sent_headers: Vec::new(),
            result: Ok(Answer::new(status, Vec::new(), body.to_string().into_bytes(), false)),
            duration: Duration::ZERO,
            shared: false,
        }
    }

    #[test]
    fn sessions_begin_with_a_login_and_end_with_a_logout() {
        let ledger = Ledger::default();
        let login = |token: &str, device: &str| {
            exchanged(
                Ask::new(Some("login"), "POST", "/_matrix/client/v3/login"),
                200,
                json!({"access_token": token, "user_id": "@a:b", "device_id": device, "refresh_token": format!("r{token}")}),
            )
        };
        ledger.note(&login("one", "A"));
        ledger.note(&login("two", "B"));
        let refresh = Ask::new(Some("refresh"), "POST", "/_matrix/client/v3/refresh")
            .json(&json!({"refresh_token": "rone"}));
        ledger.note(&exchanged(refresh, 200, json!({"access_token": "three"})));
        assert_eq!(ledger.open()[0].tokens, ["one", "three"]);
        let logout = Ask::new(Some("logout"), "POST", "/_matrix/client/v3/logout").bearer("three");
        ledger.note(&exchanged(logout.clone(), 401, json!({})));
        assert_eq!(ledger.open().len(), 2);
        ledger.note(&exchanged(logout, 200, json!({})));
        assert_eq!(ledger.open()[0].device_id, "B");
        let all =
            Ask::new(Some("logout_all"), "POST", "/_matrix/client/v3/logout/all").bearer("two");
        ledger.note(&exchanged(all, 200, json!({})));
        assert!(ledger.open().is_empty());
    }

    #[test]
    fn what_may_have_been_done_without_a_whole_answer_is_remembered() {
        let ledger = Ledger::default();
        let ask = |path: &str, body: Value| Ask::new(None, "POST", path).json(&body);
        let login = ask("/_matrix/client/v3/login", json!({"user": "a", "device_id": "D"}));
        let mut lost = exchanged(login.clone(), 200, json!({}));
        for kind in [TroubleKind::Closed, TroubleKind::Timeout, TroubleKind::Connect] {
            lost.result = Err(crate::http::message::Trouble { kind, text: String::new() });
            ledger.note(&lost);
        }
        ledger.note(&exchanged(login.clone(), 200, json!({"user_id": "@a:b"})));
        ledger.note(&exchanged(login, 403, json!({})));
        let of_a = UncertainLogin { name: Some("a".to_owned()), device_id: Some("D".to_owned()) };
        assert_eq!(ledger.uncertain_logins(), vec![of_a; 3]);
        assert!(ledger.chose_device("D"));
        let register =
            ask("/_matrix/client/v3/register", json!({"username": "x", "password": "p"}));
        lost.ask = register.clone();
        lost.result =
            Err(crate::http::message::Trouble { kind: TroubleKind::Closed, text: String::new() });
        ledger.note(&lost);
        assert_eq!(ledger.uncertain_accounts()[0].login_name, "x");
        ledger.note(&exchanged(register, 200, json!({"user_id": "@x:b"})));
        assert!(ledger.uncertain_accounts().is_empty());
    }

    #[test]
    fn accounts_begin_with_a_registration_and_end_with_their_deactivation() {
        let ledger = Ledger::default();
        let register = |query: &str, user: &str| {
            let ask = Ask::new(None, "POST", &format!("/_matrix/client/v3/register{query}"))
                .json(&json!({"username": user, "password": "one"}));
            let answer =
                json!({"user_id": format!("@{user}:b"), "access_token": user, "device_id": "D"});
            exchanged(ask, 200, answer)
        };
        ledger.note(&register("", "a"));
        ledger.note(&register("?kind=guest", "g"));
        let change = Ask::new(None, "POST", "/_matrix/client/v3/account/password")
            .bearer("a")
            .json(&json!({"new_password": "two"}));
        ledger.note(&exchanged(change, 200, json!({})));
        let made = ledger.made();
        assert_eq!((made[0].password.as_deref(), made[0].guest), (Some("two"), false));
        assert!(made[1].guest);
        let deactivate =
            Ask::new(None, "POST", "/_matrix/client/v3/account/deactivate").bearer("a");
        ledger.note(&exchanged(deactivate, 200, json!({})));
        assert_eq!(ledger.made().len(), 1);
        assert_eq!(ledger.open().len(), 1);
    }
}
