//! Which sessions a run has made and not yet ended, so that they can be ended.
use crate::wire::Exchanged;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
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

/// Every session of a run, in the order made.
#[derive(Debug, Default)]
pub struct Ledger {
    sessions: Mutex<Vec<Session>>,
}

impl Ledger {
    /// Reads an exchange for sessions that it began or ended.
    pub fn note(&self, exchanged: &Exchanged) {
        let Ok(answer) = &exchanged.result else { return };
        if answer.status != 200 {
            return;
        }
        let path = exchanged.ask.path.split('?').next().unwrap_or_default();
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if exchanged.ask.method == "POST" && path.ends_with("/logout") {
            if let Some(token) = token_of(exchanged) {
                sessions.retain(|session| !session.tokens.contains(&token));
            }
            return;
        }
        if exchanged.ask.method == "POST" && path.ends_with("/logout/all") {
            let user = token_of(exchanged).and_then(|token| {
                let owner = sessions.iter().find(|session| session.tokens.contains(&token));
                owner.map(|session| session.user_id.clone())
            });
            sessions.retain(|session| Some(&session.user_id) != user.as_ref());
            return;
        }
        if ends_devices(&exchanged.ask.method, path) {
            let owner = token_of(exchanged).and_then(|token| {
                let owner = sessions.iter().find(|session| session.tokens.contains(&token));
                owner.map(|session| session.user_id.clone())
            });
            let devices = devices_of(exchanged, path);
            sessions.retain(|session| {
                Some(&session.user_id) != owner.as_ref() || !devices.contains(&session.device_id)
            });
            return;
        }
        let Ok(body) = answer.json() else { return };
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        let Some(token) = text("access_token") else { return };
        let refresh_token = text("refresh_token");
        if path.ends_with("/refresh") {
            let used = exchanged.ask.json_body();
            let used = used.as_ref().and_then(|body| body.get("refresh_token")?.as_str());
            let session = sessions
                .iter_mut()
                .find(|s| used.is_some_and(|used| s.refresh_tokens.iter().any(|r| r == used)));
            if let Some(session) = session {
                session.tokens.push(token);
                session.refresh_tokens.extend(refresh_token);
                session.renewed = true;
            }
            return;
        }
        let (user_id, device_id) =
            (text("user_id").unwrap_or_default(), text("device_id").unwrap_or_default());
        let known = sessions
            .iter_mut()
            .find(|s| s.user_id == user_id && s.device_id == device_id && !device_id.is_empty());
        match known {
            Some(session) => {
                session.tokens.push(token);
                session.refresh_tokens.extend(refresh_token);
                session.renewed = false;
            }
            None => sessions.push(Session {
                user_id,
                device_id,
                tokens: vec![token],
                refresh_tokens: refresh_token.into_iter().collect(),
                renewed: false,
            }),
        }
    }

    /// Whether the session that a login with this token began is open, and neither a refresh nor a
    /// later login on its device gave it another one.
    pub fn is_as_begun(&self, token: &str) -> bool {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.iter().any(|s| !s.renewed && s.tokens.last().is_some_and(|last| last == token))
    }

    /// Puts the sessions in the order of the exchanges that began them: several cases at once make
    /// theirs in the order of chance.
    pub fn arrange<'e>(&self, exchanges: impl Iterator<Item = &'e Exchanged>) {
        let mut ranks: HashMap<&str, usize> = HashMap::new();
        for (rank, exchanged) in exchanges.enumerate() {
            let answer = exchanged.result.as_ref().ok();
            if let Some(token) = answer.and_then(|answer| answer.text_at("/access_token")) {
                ranks.entry(token).or_insert(rank);
            }
        }
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let rank = |token: &String| ranks.get(token.as_str()).copied();
        sessions.sort_by_key(|session| session.tokens.iter().filter_map(rank).min());
    }

    /// The sessions that are still open, as far as is known.
    pub fn open(&self) -> Vec<Session> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
}
