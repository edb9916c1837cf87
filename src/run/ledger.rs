//! Which sessions and accounts a run has made and not yet ended, so that they can be ended.
use crate::wire::Exchanged;
use serde_json::Value;
use std::collections::HashMap;
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
    /// Its password, if it has one and the run has seen it.
    pub password: Option<String>,
    /// Whether it is a guest.
    pub guest: bool,
}

/// Everything that a run made, in the order made.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    sessions: Vec<Session>,
    accounts: Vec<Made>,
}

impl Entries {
    /// Whose a request's token is, if the run made its session.
    fn asker(&self, exchanged: &Exchanged) -> Option<String> {
        let token = token_of(exchanged)?;
        let owner = self.sessions.iter().find(|session| session.tokens.contains(&token))?;
        Some(owner.user_id.clone())
    }

    fn made(&mut self, account: Made) {
        if !account.user_id.is_empty()
            && !self.accounts.iter().any(|a| a.user_id == account.user_id)
        {
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
            if let Some(token) = token_of(exchanged) {
                entries.sessions.retain(|session| !session.tokens.contains(&token));
            }
            return;
        }
        if posted("/logout/all") || posted("/account/deactivate") {
            let user = entries.asker(exchanged);
            entries.sessions.retain(|session| Some(&session.user_id) != user.as_ref());
            if posted("/account/deactivate") {
                entries.accounts.retain(|account| Some(&account.user_id) != user.as_ref());
            }
            return;
        }
        if posted("/account/password") {
            let user = entries.asker(exchanged);
            let mut accounts = entries.accounts.iter_mut();
            if let Some(made) = accounts.find(|account| Some(&account.user_id) == user.as_ref()) {
                made.password = sent("new_password").or(made.password.take());
            }
            return;
        }
        if ends_devices(&exchanged.ask.method, path) {
            let (user, devices) = (entries.asker(exchanged), devices_of(exchanged, path));
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
            entries.made(Made { user_id: user_id.clone(), password: sent("password"), guest });
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

fn token_of(exchanged: &Exchanged) -> Option<String> {
    let header = exchanged.ask.header("authorization")?;
    header.strip_prefix("Bearer ").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Answer, Ask};
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
