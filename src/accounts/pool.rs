//! Accounts and their shared sessions: given, registered, proven, kept for the cases.
use crate::accounts::account::{AccountView, Proof, other_case, shortened};
use crate::accounts::notices::Notices;
use crate::accounts::pool::printed::Printed;
pub use crate::accounts::provider::{AccountProvider, AccountSources};
use crate::case::ast::Limits;
use crate::http::message::{Exchange, Request, Response};
use crate::http::rate_limit::Patience;
use crate::http::sender::{RequestSender, SendResult};
use crate::http::supplied_accounts::device_ids;
pub use crate::http::supplied_accounts::{Credential, SuppliedAccount};
use crate::model::reason::{Reason, ReasonCode};
use crate::model::user_id::localpart;
use crate::plan::Slot;
use crate::plan::facts::RefusedAccount;
use crate::plan::routes::Routes;
use crate::redact::{ExposeSecret, SecretKind, SecretString};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

mod admission;
mod login;
mod printed;
mod registration;

/// A session that cases share.
#[derive(Debug, Clone)]
struct AccountSession {
    token: String,
    device_id: Option<String>,
    refresh_token: Option<String>,
    expires: Option<Instant>,
    lifetime: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AccountOrigin {
    Supplied,
    /// Made for this run by the operator's program.
    Printed,
    /// Registered by this run: that it does not log in is then the server's doing.
    Registered,
}

#[derive(Debug, Clone)]
struct Account {
    user_id: String,
    /// The name that logs it in; until it is proven, the one that is tried first.
    login_name: String,
    password: Option<SecretString>,
    session: Option<AccountSession>,
    proven: bool,
    /// The login that proved it.
    proof: Option<Proof>,
    /// Those by another name that were refused then.
    refused: Vec<Proof>,
    origin: AccountOrigin,
    /// Reason why the server refused its login, if the run registered it.
    login_refused: Option<Reason>,
}

impl Account {
    /// One that has not logged in yet; without a password there is nothing to prove.
    fn new(
        origin: AccountOrigin,
        (user_id, login_name): (String, String),
        password: Option<SecretString>,
        session: Option<AccountSession>,
    ) -> Account {
        let (proven, refused) = (password.is_none(), Vec::new());
        let (proof, login_refused) = (None, None);
        Account {
            user_id,
            login_name,
            password,
            session,
            proven,
            proof,
            refused,
            origin,
            login_refused,
        }
    }
}

type Entry = Arc<Mutex<Option<Result<Account, Reason>>>>;

/// Hands out accounts. A slot is asked for by one case at a time.
pub struct AccountPool {
    sender: RequestSender,
    sources: AccountSources,
    routes: Arc<dyn Routes>,
    entries: std::sync::Mutex<BTreeMap<Slot, Entry>>,
    log: std::sync::Mutex<BTreeMap<Slot, Vec<Exchange>>>,
    program: Mutex<Printed>,
    making: std::sync::Mutex<Making>,
    /// Notices for the operator.
    pub notices: Arc<Notices>,
    /// Supplied accounts that the server refused.
    refused: Vec<RefusedAccount>,
    /// True if any account was seen to work.
    usable: AtomicBool,
    /// True if the first account that was proven logs in by its full id: then others that are
    /// created do too.
    by_full_id: OnceLock<bool>,
}

#[derive(Debug, Default)]
struct Making {
    works: bool,
    /// Reason why none can be created, if the first was refused: the others would be too.
    refused: Option<Reason>,
}

/// Time before its end at which a shared session is renewed.
const MARGIN: Duration = Duration::from_secs(20);

impl AccountPool {
    /// A pool in which no account is open yet.
    pub fn new(
        sender: RequestSender,
        sources: AccountSources,
        routes: Arc<dyn Routes>,
    ) -> AccountPool {
        for account in &sources.supplied {
            match &account.credential {
                Credential::Password(secret) => learn_password(&sender, secret.expose_secret()),
                Credential::AccessToken(secret) => {
                    sender.http.vault().learn(SecretKind::AccessToken, secret.expose_secret());
                }
            }
        }
        match &sources.maker {
            Some(AccountProvider::Token(secret)) => {
                sender.http.vault().learn(SecretKind::RegistrationToken, secret.expose_secret());
            }
            Some(AccountProvider::SharedSecret(secret)) => {
                sender.http.vault().learn(SecretKind::SharedSecret, secret.expose_secret());
            }
            Some(AccountProvider::Open | AccountProvider::ExternalCommand(_)) | None => {}
        }
        let (entries, log, program, making) = Default::default();
        let (notices, refused, usable, by_full_id) = Default::default();
        AccountPool {
            sender,
            sources,
            routes,
            entries,
            log,
            program,
            making,
            notices,
            refused,
            usable,
            by_full_id,
        }
    }

    /// The account in a slot, made and proven where that is needed.
    ///
    /// `session`: with a shared session; `proven`: one good password login has been seen.
    pub async fn account(
        &self,
        slot: &Slot,
        session: bool,
        proven: bool,
    ) -> Result<AccountView, Reason> {
        let entry = self.entry(slot);
        let mut entry = entry.lock().await;
        if entry.is_none() {
            *entry = Some(self.open(slot).await);
        }
        let account = match entry.as_mut() {
            Some(Ok(account)) => account,
            Some(Err(reason)) => return Err(reason.clone()),
            None => return Err(Reason::Account("no account".to_owned())),
        };
        if proven && !account.proven && account.password.is_some() {
            match self.prove(slot, account).await {
                // That an account which the server has just registered does not log in is for the
                // cases to find, but wrong passwords say nothing on it.
                Err(reason)
                    if reason.code() == ReasonCode::Account
                        && account.origin == AccountOrigin::Registered =>
                {
                    if matches!(slot, Slot::WrongPassword | Slot::Replacement(..)) {
                        *entry = Some(Err(reason.clone()));
                        return Err(reason);
                    }
                    self.keep_without_login(slot, account, reason).await;
                }
                Err(reason) if reason.code() == ReasonCode::Account => {
                    self.notices.error(&reason.text());
                    if account.origin != AccountOrigin::Supplied && !self.has_usable() {
                        self.stop_making(&reason);
                    }
                    // The password is not tried again: servers lock accounts.
                    *entry = Some(Err(reason.clone()));
                    return Err(reason);
                }
                proof => proof?,
            }
        }
        if session {
            self.keep_session(slot, account).await?;
        }
        let shared = account.session.as_ref().filter(|_| session);
        Ok(AccountView {
            user_id: account.user_id.clone(),
            login_name: account.login_name.clone(),
            password: account.password.as_ref().map(|p| p.expose_secret().to_owned()),
            token: shared.map(|session| session.token.clone()),
            device_id: shared.and_then(|session| session.device_id.clone()),
            proof: account.proof_that_lives(),
            refused: account.refused.clone(),
        })
    }

    /// Forgets the shared session of a slot, for a case may have ended it; an account without a password
    /// has no way to another one.
    pub async fn forget_session(&self, slot: &Slot) {
        if let Some(Ok(account)) = self.entry(slot).lock().await.as_mut()
            && account.password.is_some()
        {
            account.session = None;
            account.proof = None;
        }
    }

    /// The user id of the account in a slot, if it is open.
    pub async fn user_id(&self, slot: &Slot) -> Option<String> {
        let entry = self.entry(slot);
        let entry = entry.lock().await;
        entry.as_ref().and_then(|e| e.as_ref().ok()).map(|account| account.user_id.clone())
    }

    /// Returns true if the password of the account in a slot is known; an account that was not
    /// asked for or cannot be had is taken to have one.
    pub async fn has_password(&self, slot: &Slot) -> bool {
        let entry = self.entry(slot);
        let entry = entry.lock().await;
        entry.as_ref().and_then(|e| e.as_ref().ok()).is_none_or(|a| a.password.is_some())
    }

    /// Returns true if the proof login of a slot returned a refresh token.
    pub async fn has_refresh_token(&self, slot: &Slot) -> bool {
        let entry = self.entry(slot);
        let entry = entry.lock().await;
        let session = entry.as_ref().and_then(|e| e.as_ref().ok()).and_then(|a| a.session.as_ref());
        session.is_some_and(|session| session.refresh_token.is_some())
    }

    /// Lifetime of the access token in the session of a slot, if a response gave one.
    pub async fn token_lifetime(&self, slot: &Slot) -> Option<Duration> {
        let entry = self.entry(slot);
        let entry = entry.lock().await;
        let session = entry.as_ref().and_then(|e| e.as_ref().ok()).and_then(|a| a.session.as_ref());
        session.and_then(|session| session.lifetime)
    }

    /// The logins that proved accounts and whose sessions cases share.
    pub async fn proofs(&self) -> Vec<Exchange> {
        let entries: Vec<Entry> = {
            let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            entries.values().cloned().collect()
        };
        let mut proofs = Vec::new();
        for entry in entries {
            let entry = entry.lock().await;
            let account = entry.as_ref().and_then(|entry| entry.as_ref().ok());
            let proof = account.and_then(Account::proof_that_lives);
            proofs.extend(proof.map(|proof| (*proof.exchange).clone()));
        }
        proofs
    }

    /// Returns the known state of a slot; nothing yet, if it was not asked for.
    fn entry(&self, slot: &Slot) -> Entry {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.entry(slot.clone()).or_default().clone()
    }

    /// Every exchange that accounts took, by slot.
    pub fn exchanges(&self) -> Vec<Exchange> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.values().flatten().cloned().collect()
    }

    async fn open(&self, slot: &Slot) -> Result<Account, Reason> {
        let given: Option<&SuppliedAccount> = match slot {
            Slot::Main(index) => self.sources.supplied.get(*index),
            Slot::WrongPassword | Slot::Fresh(..) | Slot::Replacement(..) => None,
        };
        match (given, &self.sources.maker) {
            (Some(given), _) => {
                let opened = self.open_given(slot, given).await;
                if let Err(reason) = &opened
                    && reason.code() == ReasonCode::Account
                {
                    self.notices.error(&reason.text());
                }
                opened
            }
            (None, Some(maker)) => self.make(slot, maker).await,
            (None, None) => Err(Reason::NoAccountGiven),
        }
    }

    async fn open_given(&self, slot: &Slot, given: &SuppliedAccount) -> Result<Account, Reason> {
        match &given.credential {
            Credential::Password(password) => {
                let names = (given.user.clone(), given.user.clone());
                let mut account =
                    Account::new(AccountOrigin::Supplied, names, Some(password.clone()), None);
                self.prove(slot, &mut account).await?;
                let (name, user_id) = (&account.login_name, &account.user_id);
                self.sender.supplied.prove(&given.user, Some(name), user_id);
                self.list_devices(slot, given, &account).await;
                Ok(account)
            }
            Credential::AccessToken(token) => {
                let token = token.expose_secret();
                let (user_id, device_id) = self.owner_given(slot, token, &given.user).await?;
                let session = AccountSession {
                    token: token.to_owned(),
                    device_id,
                    refresh_token: None,
                    expires: None,
                    lifetime: None,
                };
                self.sender.supplied.prove(&given.user, None, &user_id);
                let names = (user_id.clone(), localpart(&user_id).to_owned());
                let account = Account::new(AccountOrigin::Supplied, names, None, Some(session));
                self.list_devices(slot, given, &account).await;
                Ok(account)
            }
        }
    }

    /// Remembers which devices an account that was given has, so that at the end of the run those that came can be told
    /// from them.
    async fn list_devices(&self, slot: &Slot, given: &SuppliedAccount, account: &Account) {
        let (Ok(request), Some(session)) = (self.request("getDevices"), &account.session) else {
            return;
        };
        let response = self.send(slot, &request.bearer(&session.token)).await;
        let devices = response.ok().and_then(|response| device_ids(&response));
        let unheard = self.sender.created.uncertain_logins();
        self.sender.supplied.list_devices(&given.user, devices, &unheard);
    }

    fn request(&self, operation: &str) -> Result<Request, Reason> {
        let route = self
            .routes
            .route(operation, None)
            .ok_or_else(|| Reason::NotInSpec { operation: operation.to_owned() })?;
        Ok(Request::new(Some(operation), &route.method, &route.path))
    }

    async fn send(&self, slot: &Slot, request: &Request) -> Result<Response, Reason> {
        self.sent(slot, request).await.reply.response()
    }

    async fn sent(&self, slot: &Slot, request: &Request) -> SendResult {
        // That another user is served is what a replacement is for: there is nothing to wait for.
        let patience = match slot {
            Slot::Replacement(..) if request.is_login() => Patience::Brief,
            _ => self.sender.patience,
        };
        let sent = self.sender.with_patience(patience).send(request, Limits::Wait).await;
        self.keep_exchanges(slot, sent.exchanges.clone());
        sent
    }

    fn keep_exchanges(&self, slot: &Slot, mut exchanges: Vec<Exchange>) {
        exchanges.iter_mut().for_each(Exchange::forget_parsed);
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.entry(slot.clone()).or_default().extend(exchanges);
    }
}

impl Account {
    /// The login that proved it, if its token is sure to be good for a while.
    fn proof_that_lives(&self) -> Option<Proof> {
        let session = self.session.as_ref()?;
        let lives = session.expires.is_none_or(|end| end > Instant::now() + MARGIN);
        self.proof.clone().filter(|_| lives)
    }
}

/// Remembers a password, and the wrong ones that cases make of it: they tell nearly all of it.
fn learn_password(sender: &RequestSender, password: &str) {
    for one in [password, &other_case(password), &shortened(password)] {
        sender.http.vault().learn(SecretKind::Password, one);
    }
}

fn session_from(response: &Response, token: &str) -> AccountSession {
    let ms = response.json().ok().and_then(|body| body.get("expires_in_ms")?.as_u64());
    let lifetime = ms.filter(|ms| *ms > 0).map(Duration::from_millis);
    AccountSession {
        token: token.to_owned(),
        device_id: response.text_at("/device_id").map(str::to_owned),
        refresh_token: response.text_at("/refresh_token").map(str::to_owned),
        expires: ms.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms))),
        lifetime,
    }
}
