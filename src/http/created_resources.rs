//! Sessions and accounts that a run created and must clean up.
use crate::http::gateway::has_gateway_status;
use crate::http::message::{Exchange, Request, TransportErrorKind};
use crate::model::user_id::{FRESH, localpart};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use url::form_urlencoded;

/// A session that the run created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its user.
    pub user_id: String,
    /// Its device.
    pub device_id: String,
    /// Its access tokens, the newest last.
    pub tokens: Vec<String>,
    refresh_tokens: Vec<String>,
    /// True if its newest token came from a refresh.
    renewed: bool,
}

/// An account that the run created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedAccount {
    /// The full Matrix ID.
    pub user_id: String,
    /// The name that logs it in, as far as is known.
    pub login_name: String,
    /// Its password, if it has one and the run has seen it.
    pub password: Option<String>,
    /// True for a guest.
    pub guest: bool,
}

/// A login that may have opened a session, although its response does not say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UncertainLogin {
    /// The name in the request; nothing if a token identified the user.
    pub name: Option<String>,
    /// The device that it asked for.
    pub device_id: Option<String>,
}

/// Everything that a run created, in that order.
#[derive(Debug, Default)]
pub struct CreatedResources(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    sessions: Vec<Session>,
    accounts: Vec<CreatedAccount>,
    /// The names of all accounts that the run ever created.
    made: BTreeSet<String>,
    uncertain: Vec<UncertainLogin>,
    /// Accounts that may have been created, although no response says so.
    uncertain_accounts: Vec<CreatedAccount>,
    /// Device ids that the run made up and sent with a login.
    chosen_devices: BTreeSet<String>,
}

impl Entries {
    /// Returns the user of a request's token, if the run created its session.
    fn asker(&self, request: &Request) -> Option<String> {
        let token = token_of(request)?;
        let owner = self.sessions.iter().find(|session| session.tokens.contains(&token));
        // An application service speaks for the user that the query names.
        owner.map(|session| session.user_id.clone()).or_else(|| query_of(request, "user_id"))
    }

    fn made(&mut self, account: CreatedAccount) {
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

impl CreatedResources {
    /// Records the sessions and accounts that an exchange created or ended.
    pub fn note(&self, exchange: &Exchange) {
        self.note_chosen_device(exchange);
        self.note_uncertain(exchange);
        let Ok(response) = &exchange.result else { return };
        if !response.is_success() {
            return;
        }
        let (path, query) =
            exchange.request.path.split_once('?').unwrap_or((exchange.request.path.as_str(), ""));
        let posted = |end: &str| exchange.request.method == "POST" && path.ends_with(end);
        let sent = |key: &str| {
            let body = exchange.request.json_body()?;
            body.get(key)?.as_str().map(str::to_owned)
        };
        let mut entries = self.entries();
        if posted("/logout") {
            if let Some(token) = token_of(&exchange.request) {
                entries.sessions.retain(|session| !session.tokens.contains(&token));
            }
            return;
        }
        if posted("/logout/all") || posted("/account/deactivate") {
            let user = entries.asker(&exchange.request);
            entries.sessions.retain(|session| Some(&session.user_id) != user.as_ref());
            if posted("/account/deactivate") {
                entries.accounts.retain(|account| Some(&account.user_id) != user.as_ref());
            }
            return;
        }
        if posted("/account/password") {
            let user = entries.asker(&exchange.request);
            let mut accounts = entries.accounts.iter_mut();
            if let Some(made) = accounts.find(|account| Some(&account.user_id) == user.as_ref()) {
                made.password = sent("new_password").or(made.password.take());
            }
            return;
        }
        if ends_devices(&exchange.request.method, path) {
            let (user, devices) = (entries.asker(&exchange.request), devices_of(exchange, path));
            entries.sessions.retain(|session| {
                Some(&session.user_id) != user.as_ref() || !devices.contains(&session.device_id)
            });
            return;
        }
        let Ok(body) = response.json() else { return };
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        let user_id = text("user_id").unwrap_or_default();
        // Users of an application service are its own; later runs use one of them again.
        if posted("/register") && sent("type").is_none() {
            let guest = query.contains("kind=guest");
            let login_name = sent("username").unwrap_or_else(|| user_id.clone());
            let password = sent("password");
            entries.made(CreatedAccount { user_id: user_id.clone(), login_name, password, guest });
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
    fn note_chosen_device(&self, exchange: &Exchange) {
        if begins_session(exchange) {
            self.entries().chosen_devices.extend(sent_text(exchange, "/device_id"));
        }
    }

    /// Remembers a login or registration that may have succeeded without a complete response.
    fn note_uncertain(&self, exchange: &Exchange) {
        if !is_uncertain(exchange) {
            return;
        }
        let sent = |pointer: &str| sent_text(exchange, pointer);
        if begins_session(exchange) {
            let name = sent("/identifier/user").or_else(|| sent("/user"));
            let device_id = sent("/device_id");
            self.entries().uncertain.push(UncertainLogin { name, device_id });
        } else if exchange.request.method == "POST"
            && exchange.request.path.ends_with("/register")
            && sent("/type").is_none()
            && let Some(name) = sent("/username")
        {
            let mut entries = self.entries();
            let is_known = |made: &CreatedAccount| made.login_name == name;
            if !entries.accounts.iter().chain(&entries.uncertain_accounts).any(is_known) {
                let (user_id, password) = (name.clone(), sent("/password"));
                let account = CreatedAccount { user_id, login_name: name, password, guest: false };
                entries.uncertain_accounts.push(account);
            }
        }
    }

    /// Returns the user of a request's access token, if the run created the session.
    pub fn asker(&self, request: &Request) -> Option<String> {
        self.entries().asker(request)
    }

    /// The account logs in by this name.
    pub fn logs_in_as(&self, user_id: &str, name: &str) {
        let mut entries = self.entries();
        let mut accounts = entries.accounts.iter_mut();
        if let Some(made) = accounts.find(|made| made.user_id == user_id) {
            made.login_name = name.to_owned();
        }
    }

    /// The logins that may have opened a session without a complete response, in the order sent.
    pub fn uncertain_logins(&self) -> Vec<UncertainLogin> {
        self.entries().uncertain.clone()
    }

    /// The accounts that may have been created without a complete response, by the requested name.
    pub fn uncertain_accounts(&self) -> Vec<CreatedAccount> {
        self.entries().uncertain_accounts.clone()
    }

    /// Returns true for the name of an account that the run created, or a name that it made up.
    pub fn is_own_name(&self, name: &str) -> bool {
        localpart(name).starts_with(FRESH) || self.entries().made.contains(name)
    }

    /// Returns true if the run chose this device id.
    pub fn chose_device(&self, device_id: &str) -> bool {
        self.entries().chosen_devices.contains(device_id)
    }

    /// Removes a session that has ended.
    pub fn ended(&self, session: &Session) {
        self.entries().sessions.retain(|known| known != session);
    }

    /// Adds an account that the account command created, with its session if it has one: no
    /// exchange shows these.
    pub fn add_account(&self, account: CreatedAccount, session: Option<(String, Option<String>)>) {
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

    /// Returns true if the session of a login with this token is open, and neither a refresh nor a
    /// later login on its device replaced the token.
    pub fn is_as_begun(&self, token: &str) -> bool {
        let entries = self.entries();
        let is_last = |tokens: &[String]| tokens.last().is_some_and(|last| last == token);
        entries.sessions.iter().any(|session| !session.renewed && is_last(&session.tokens))
    }

    /// Sorts sessions and accounts by the exchanges that created them: with several cases at once,
    /// their order is random.
    pub fn sort<'e>(&self, exchanges: impl Iterator<Item = &'e Exchange>) {
        let mut ranks: HashMap<String, usize> = HashMap::new();
        for (rank, exchange) in exchanges.enumerate() {
            let begins = exchange.request.method == "POST" && exchange.request.body.is_some();
            let Some(response) = exchange.result.as_ref().ok().filter(|_| begins) else { continue };
            // What is parsed of a copy is gone with it: these are all answers of the run.
            let response = response.unparsed();
            for name in ["/access_token", "/user_id"].map(|pointer| response.text_at(pointer)) {
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

    /// The accounts that were created and not deactivated, as far as is known.
    pub fn made(&self) -> Vec<CreatedAccount> {
        self.entries().accounts.clone()
    }

    /// Removes an account that no longer exists, and its sessions.
    pub fn remove(&self, user_id: &str) {
        let mut entries = self.entries();
        entries.accounts.retain(|account| account.user_id != user_id);
        entries.sessions.retain(|session| session.user_id != user_id);
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns true for a request that deletes devices and their sessions.
fn ends_devices(method: &str, path: &str) -> bool {
    let one = method == "DELETE" && path.contains("/devices/");
    one || (method == "POST" && path.ends_with("/delete_devices"))
}

/// Returns true for a login, by its path: cases also send it without an operation.
fn begins_session(exchange: &Exchange) -> bool {
    let path = exchange.request.path.split('?').next().unwrap_or_default();
    exchange.request.method == "POST" && path.ends_with("/login")
}

/// Returns true if a request may have succeeded without a complete response: none came, or a
/// gateway's, or a success without an access token.
fn is_uncertain(exchange: &Exchange) -> bool {
    match &exchange.result {
        Err(trouble) => matches!(
            trouble.kind,
            TransportErrorKind::Closed | TransportErrorKind::Protocol | TransportErrorKind::Timeout
        ),
        Ok(response) if has_gateway_status(response) => true,
        Ok(response) => {
            let told = if begins_session(exchange) { "/access_token" } else { "/user_id" };
            response.is_success() && response.text_at(told).is_none()
        }
    }
}

/// A text in the JSON body of a request.
fn sent_text(exchange: &Exchange, pointer: &str) -> Option<String> {
    exchange.request.json_body()?.pointer(pointer)?.as_str().map(str::to_owned)
}

/// A parameter of a request's query.
fn query_of(request: &Request, name: &str) -> Option<String> {
    let (_, query) = request.path.split_once('?')?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn devices_of(exchange: &Exchange, path: &str) -> Vec<String> {
    if exchange.request.method == "DELETE" {
        let name = path.rsplit('/').next().unwrap_or_default();
        let decoded = form_urlencoded::parse(name.as_bytes()).map(|(name, _)| name.into_owned());
        return decoded.collect();
    }
    let body = exchange.request.json_body();
    let devices = body.as_ref().and_then(|body| body.get("devices")?.as_array());
    let names = devices.into_iter().flatten().filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}

pub fn token_of(request: &Request) -> Option<String> {
    let header = request.header("authorization");
    let bearer = header.and_then(|header| header.strip_prefix("Bearer ")).map(str::to_owned);
    bearer.or_else(|| query_of(request, "access_token"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::message::Response;
    use serde_json::json;
    use std::time::Duration;

    fn exchange(request: Request, status: u16, body: Value) -> Exchange {
        Exchange {
            request,
            url: String::new(),
            sent_headers: Vec::new(),
            result: Ok(Response::new(status, Vec::new(), body.to_string().into_bytes(), false)),
            duration: Duration::ZERO,
            shared: false,
        }
    }

    #[test]
    fn sessions_begin_with_a_login_and_end_with_a_logout() {
        let created = CreatedResources::default();
        let login = |token: &str, device: &str| {
            exchange(
                Request::new(Some("login"), "POST", "/_matrix/client/v3/login"),
                200,
                json!({"access_token": token, "user_id": "@a:b", "device_id": device, "refresh_token": format!("r{token}")}),
            )
        };
        created.note(&login("one", "A"));
        created.note(&login("two", "B"));
        let refresh = Request::new(Some("refresh"), "POST", "/_matrix/client/v3/refresh")
            .json(&json!({"refresh_token": "rone"}));
        created.note(&exchange(refresh, 200, json!({"access_token": "three"})));
        assert_eq!(created.open()[0].tokens, ["one", "three"]);
        let logout =
            Request::new(Some("logout"), "POST", "/_matrix/client/v3/logout").bearer("three");
        created.note(&exchange(logout.clone(), 401, json!({})));
        assert_eq!(created.open().len(), 2);
        created.note(&exchange(logout, 200, json!({})));
        assert_eq!(created.open()[0].device_id, "B");
        let all =
            Request::new(Some("logout_all"), "POST", "/_matrix/client/v3/logout/all").bearer("two");
        created.note(&exchange(all, 200, json!({})));
        assert!(created.open().is_empty());
    }

    #[test]
    fn what_may_have_been_done_without_a_whole_answer_is_remembered() {
        let created = CreatedResources::default();
        let request = |path: &str, body: Value| Request::new(None, "POST", path).json(&body);
        let login = request("/_matrix/client/v3/login", json!({"user": "a", "device_id": "D"}));
        let mut lost = exchange(login.clone(), 200, json!({}));
        for kind in
            [TransportErrorKind::Closed, TransportErrorKind::Timeout, TransportErrorKind::Connect]
        {
            lost.result = Err(crate::http::message::TransportError { kind, text: String::new() });
            created.note(&lost);
        }
        created.note(&exchange(login.clone(), 200, json!({"user_id": "@a:b"})));
        created.note(&exchange(login, 403, json!({})));
        let of_a = UncertainLogin { name: Some("a".to_owned()), device_id: Some("D".to_owned()) };
        assert_eq!(created.uncertain_logins(), vec![of_a; 3]);
        assert!(created.chose_device("D"));
        let register =
            request("/_matrix/client/v3/register", json!({"username": "x", "password": "p"}));
        lost.request = register.clone();
        lost.result = Err(crate::http::message::TransportError {
            kind: TransportErrorKind::Closed,
            text: String::new(),
        });
        created.note(&lost);
        assert_eq!(created.uncertain_accounts()[0].login_name, "x");
        created.note(&exchange(register, 200, json!({"user_id": "@x:b"})));
        assert!(created.uncertain_accounts().is_empty());
    }

    #[test]
    fn accounts_begin_with_a_registration_and_end_with_their_deactivation() {
        let created = CreatedResources::default();
        let register = |query: &str, user: &str| {
            let request =
                Request::new(None, "POST", &format!("/_matrix/client/v3/register{query}"))
                    .json(&json!({"username": user, "password": "one"}));
            let response =
                json!({"user_id": format!("@{user}:b"), "access_token": user, "device_id": "D"});
            exchange(request, 200, response)
        };
        created.note(&register("", "a"));
        created.note(&register("?kind=guest", "g"));
        let change = Request::new(None, "POST", "/_matrix/client/v3/account/password")
            .bearer("a")
            .json(&json!({"new_password": "two"}));
        created.note(&exchange(change, 200, json!({})));
        let made = created.made();
        assert_eq!((made[0].password.as_deref(), made[0].guest), (Some("two"), false));
        assert!(made[1].guest);
        let deactivate =
            Request::new(None, "POST", "/_matrix/client/v3/account/deactivate").bearer("a");
        created.note(&exchange(deactivate, 200, json!({})));
        assert_eq!(created.made().len(), 1);
        assert_eq!(created.open().len(), 1);
    }
}
