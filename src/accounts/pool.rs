//! Accounts and their shared sessions: given, registered, proven, kept for the cases.
use crate::accounts::account::{AccountView, Proof, good_login, other_case, shortened};
use crate::accounts::command::{ExternalCommand, Failed};
use crate::accounts::notices::Notices;
use crate::accounts::random::{fresh_localpart, fresh_password};
use crate::accounts::refusal::{in_words, login_advice, said, token_advice};
use crate::accounts::uia::{self, UiaCredentials};
use crate::case::ast::Limits;
use crate::http::created_resources::CreatedAccount;
use crate::http::message::clipped;
use crate::http::message::{Exchange, Reply, Request, Response};
use crate::http::sender::{RequestSender, SendResult};
use crate::http::supplied_accounts::device_ids;
pub use crate::http::supplied_accounts::{Credential, SuppliedAccount};
use crate::model::reason::{Reason, ReasonCode};
use crate::model::user_id::localpart;
use crate::plan::Slot;
use crate::plan::facts::{AccountFacts, Given, RefusedAccount};
use crate::plan::routes::Routes;
use crate::redact::{ExposeSecret, SecretKind, SecretString};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha1::Sha1;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

pub mod admission;

impl SuppliedAccount {
    fn has_password(&self) -> bool {
        matches!(self.credential, Credential::Password(_))
    }

    /// Its place among others in the order of use: first those that can log in in a way that the
    /// server offers (`by_password`: whether that is by password).
    fn order(&self, by_password: bool) -> (bool, bool) {
        (self.has_password() != by_password, self.disposable)
    }

    fn given(&self) -> Given {
        Given { password: self.has_password(), disposable: self.disposable }
    }
}

/// How accounts can be made.
#[derive(Debug, Clone)]
pub enum AccountProvider {
    /// `POST /register` with interactive auth, dummy stage.
    Open,
    /// The same with a registration token.
    Token(SecretString),
    /// Synapse's shared-secret admin call.
    SharedSecret(SecretString),
    /// A program of the operator's that prints one account each time.
    ExternalCommand(ExternalCommand),
}

/// Where accounts come from.
#[derive(Debug, Clone, Default)]
pub struct AccountSources {
    /// In the order in which they are used.
    pub supplied: Vec<SuppliedAccount>,
    /// How further ones can be made.
    pub maker: Option<AccountProvider>,
}

impl AccountSources {
    /// Puts those with a password before those without, and those that nobody needs behind those that
    /// somebody does, for they may be ruined; otherwise the order given is kept.
    pub fn in_order_of_use(mut self) -> AccountSources {
        for (first, again) in admission::look_alike(&self.supplied) {
            admission::count_as_one(&mut self.supplied, first, again);
        }
        self.supplied.sort_by_key(|account| account.order(true));
        self
    }

    /// What planning needs to know of them.
    pub fn facts(&self) -> AccountFacts {
        AccountFacts {
            given: self.supplied.iter().map(SuppliedAccount::given).collect(),
            can_make: self.maker.is_some(),
            made_password: true,
            refused: Vec::new(),
        }
    }
}

/// A session that cases share.
#[derive(Debug, Clone)]
struct Session {
    token: String,
    device_id: Option<String>,
    refresh_token: Option<String>,
    expires: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Account {
    user_id: String,
    /// The name that logs it in; until it is proven, the one that is tried first.
    login_name: String,
    password: Option<SecretString>,
    session: Option<Session>,
    proven: bool,
    /// The login that proved it.
    proof: Option<Proof>,
    /// Those by another name that were refused then.
    refused: Vec<Proof>,
    /// Whether this run made it.
    made: bool,
    /// Whether the run registered it itself: that it does not log in is then the server's doing.
    registered: bool,
    /// Why the server refused its login, if it is one that the run registered.
    login_refused: Option<Reason>,
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
    /// What the operator is to be told.
    pub notices: Arc<Notices>,
    /// Supplied accounts that the server refused.
    refused: Vec<RefusedAccount>,
    /// Whether any account has been seen to work.
    usable: AtomicBool,
    /// Whether the first account that was proven logs in by its full id: then others that are made do too.
    by_full_id: OnceLock<bool>,
}

/// What came of the program that makes accounts, which is started for one account after the other.
#[derive(Debug, Default)]
struct Printed {
    accounts: usize,
    /// The user ids printed so far.
    user_ids: BTreeSet<String>,
    /// Why it is not started again: each further account would wait for the same failure.
    failed: Option<Reason>,
}

/// What came of making accounts so far.
#[derive(Debug, Default)]
struct Making {
    /// Whether one was made.
    works: bool,
    /// Why none can be made, if the first was refused: the others would be too.
    refused: Option<Reason>,
}

/// How long before its end a shared session is renewed.
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
                Err(reason) if reason.code() == ReasonCode::Account && account.registered => {
                    if *slot == Slot::WrongPassword {
                        *entry = Some(Err(reason.clone()));
                        return Err(reason);
                    }
                    self.keep_without_login(slot, account, reason).await;
                }
                Err(reason) if reason.code() == ReasonCode::Account => {
                    self.notices.error(&reason.text());
                    if account.made && !self.has_usable() {
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

    /// Whether the password of the account in a slot is known; an account that was not asked for or
    /// cannot be had is taken to have one.
    pub async fn has_password(&self, slot: &Slot) -> bool {
        let entry = self.entry(slot);
        let entry = entry.lock().await;
        entry.as_ref().and_then(|e| e.as_ref().ok()).is_none_or(|a| a.password.is_some())
    }

    /// Whether the proof login of a slot returned a refresh token.
    pub async fn has_refresh_token(&self, slot: &Slot) -> bool {
        let entry = self.entry(slot);
        let entry = entry.lock().await;
        let session = entry.as_ref().and_then(|e| e.as_ref().ok()).and_then(|a| a.session.as_ref());
        session.is_some_and(|session| session.refresh_token.is_some())
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

    /// What is known of a slot; nothing yet, if it was not asked for.
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
            Slot::WrongPassword | Slot::Fresh(..) => None,
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

    /// An account that the server registered and whose login it refuses: its session, if it has one,
    /// goes on being used, and no login is tried again outside of cases.
    async fn keep_without_login(&self, slot: &Slot, account: &mut Account, refusal: Reason) {
        account.proven = true;
        match account.session.as_ref().map(|session| session.token.clone()) {
            // This also shows whether the account is usable at all.
            Some(token) => drop(self.owner(slot, &token, "the token of the registration").await),
            None => account.login_refused = Some(refusal),
        }
    }

    async fn open_given(&self, slot: &Slot, given: &SuppliedAccount) -> Result<Account, Reason> {
        match &given.credential {
            Credential::Password(password) => {
                let mut account = Account {
                    user_id: given.user.clone(),
                    login_name: given.user.clone(),
                    password: Some(password.clone()),
                    session: None,
                    proven: false,
                    proof: None,
                    refused: Vec::new(),
                    made: false,
                    registered: false,
                    login_refused: None,
                };
                self.prove(slot, &mut account).await?;
                let (name, user_id) = (&account.login_name, &account.user_id);
                self.sender.supplied.prove(&given.user, Some(name), user_id);
                self.list_devices(slot, given, &account).await;
                Ok(account)
            }
            Credential::AccessToken(token) => {
                let token = token.expose_secret();
                let (user_id, device_id) = self.owner_given(slot, token, &given.user).await?;
                let session = Session {
                    token: token.to_owned(),
                    device_id,
                    refresh_token: None,
                    expires: None,
                };
                self.sender.supplied.prove(&given.user, None, &user_id);
                let account = Account {
                    login_name: localpart(&user_id).to_owned(),
                    user_id,
                    password: None,
                    session: Some(session),
                    proven: true,
                    proof: None,
                    refused: Vec::new(),
                    made: false,
                    registered: false,
                    login_refused: None,
                };
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

    /// The proof login: one good login, with `refresh_token: true`, that also is the first shared
    /// session and tells the canonical user id. Where its name is refused, the other spelling of it is tried once; the
    /// one that logs in is used from then on.
    async fn prove(&self, slot: &Slot, account: &mut Account) -> Result<(), Reason> {
        let Some(password) = account.password.clone() else { return Ok(()) };
        let first = self.good_login(slot, account, &password).await?;
        if first.is_done() {
            self.take_proof(account, first);
            return Ok(());
        }
        let reason = login_refused(account, &first.response);
        let other = self.other_spelling(account).filter(|_| !account.proven && first.may_be_name());
        let Some(other) = other else {
            let may_be_name = first.may_be_name();
            return Err(if may_be_name { with_hint(reason, account) } else { reason });
        };
        let name = std::mem::replace(&mut account.login_name, other);
        let second = self.good_login(slot, account, &password).await?;
        if !second.is_done() {
            account.login_name = name;
            return Err(reason);
        }
        account.refused.extend(first.proof);
        self.take_proof(account, second);
        Ok(())
    }

    /// The other name by which an account may log in.
    fn other_spelling(&self, account: &Account) -> Option<String> {
        if !account.made {
            return self.sender.supplied.other_spelling(&account.login_name);
        }
        let (id, local) = (account.user_id.as_str(), localpart(&account.user_id));
        let other = if account.login_name == id { local } else { id };
        Some(other.to_owned())
    }

    async fn good_login(
        &self,
        slot: &Slot,
        account: &Account,
        password: &SecretString,
    ) -> Result<ProofLogin, Reason> {
        let body = good_login(&account.login_name, password.expose_secret());
        let sent = self.sent(slot, &self.request("login")?.json(&body)).await;
        let exchange = sent.exchanges.get(sent.shown).cloned();
        let response = answered(sent.reply)?;
        let proof = exchange.map(|it| Proof { body, exchange: Arc::new(it.again()) });
        Ok(ProofLogin { response, proof })
    }

    fn take_proof(&self, account: &mut Account, login: ProofLogin) {
        let ProofLogin { response, proof } = login;
        self.usable.store(true, Ordering::Relaxed);
        account.session =
            response.text_at("/access_token").map(|token| session_from(&response, token));
        account.proof = proof;
        // What registration said is known better than what this login says.
        if !account.made {
            account.user_id = response.text_at("/user_id").unwrap_or(&account.user_id).to_owned();
        }
        account.proven = true;
        self.sender.created.logs_in_as(&account.user_id, &account.login_name);
        self.by_full_id.get_or_init(|| account.login_name.starts_with('@'));
    }

    /// The name by which an account of the run's own probably logs in: its localpart, unless another account needed its
    /// full id.
    fn name_of_made(&self, user_id: &str, localpart: &str) -> String {
        let by_full_id = self.by_full_id.get().is_some_and(|by_full_id| *by_full_id);
        let name = if by_full_id { user_id } else { localpart };
        self.sender.created.logs_in_as(user_id, name);
        name.to_owned()
    }

    async fn keep_session(&self, slot: &Slot, account: &mut Account) -> Result<(), Reason> {
        let Some(session) = account.session.clone() else {
            return match &account.login_refused {
                Some(refusal) => Err(refusal.clone()),
                None => self.prove(slot, account).await,
            };
        };
        let fresh = session.expires.is_none_or(|end| end > Instant::now() + MARGIN);
        if fresh {
            return Ok(());
        }
        let Some(refresh_token) = &session.refresh_token else {
            return self.prove(slot, account).await;
        };
        let request = self.request("refresh")?.json(&json!({"refresh_token": refresh_token}));
        let response = self.send(slot, &request).await?;
        match response.text_at("/access_token").filter(|_| response.is_success()) {
            Some(token) => {
                let renewed = session_from(&response, token);
                account.proof = None;
                account.session = Some(Session {
                    device_id: session.device_id,
                    refresh_token: renewed.refresh_token.or(session.refresh_token),
                    ..renewed
                });
                Ok(())
            }
            None => self.prove(slot, account).await,
        }
    }

    /// Makes an account. The first one proves the way that was given: if it is refused, no other is
    /// asked for, and the operator is told.
    async fn make(&self, slot: &Slot, maker: &AccountProvider) -> Result<Account, Reason> {
        if let Some(reason) = self.maker_refused() {
            return Err(reason);
        }
        let made = self.make_one(slot, maker).await;
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        match &made {
            Ok(_) => making.works = true,
            Err(reason @ (Reason::Account(_) | Reason::Registration(_))) => {
                self.notices.error(&reason.text());
                if !making.works {
                    making.refused.get_or_insert_with(|| reason.clone());
                }
            }
            // A limit or a lost answer says nothing of what was given.
            Err(_) => {}
        }
        made
    }

    /// Makes no more accounts: those that are made cannot be used.
    fn stop_making(&self, why: &Reason) {
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        making.refused.get_or_insert_with(|| why.clone());
    }

    /// Why the way to make accounts does not work, if that was seen.
    pub fn maker_refused(&self) -> Option<Reason> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner).refused.clone()
    }

    async fn make_one(&self, slot: &Slot, maker: &AccountProvider) -> Result<Account, Reason> {
        let (localpart, password) = (fresh_localpart(), fresh_password());
        learn_password(&self.sender, &password);
        let response = match maker {
            AccountProvider::ExternalCommand(program) => {
                return self.make_by_program(slot, program, &localpart, &password).await;
            }
            AccountProvider::Open => self.register(slot, &localpart, &password, None).await?,
            AccountProvider::Token(token) => {
                self.register(slot, &localpart, &password, Some(token.expose_secret())).await?
            }
            AccountProvider::SharedSecret(secret) => {
                self.register_by_secret(slot, &localpart, &password, secret.expose_secret()).await?
            }
        };
        let user_id = response.text_at("/user_id").filter(|_| response.is_success());
        let Some(user_id) = user_id else {
            return Err(registration_refused(maker, &response));
        };
        let session = response.text_at("/access_token").map(|token| session_from(&response, token));
        Ok(Account {
            login_name: self.name_of_made(user_id, &localpart),
            user_id: user_id.to_owned(),
            password: Some(password.into()),
            session,
            proven: false,
            proof: None,
            refused: Vec::new(),
            made: true,
            registered: true,
            login_refused: None,
        })
    }

    async fn register(
        &self,
        slot: &Slot,
        localpart: &str,
        password: &str,
        registration_token: Option<&str>,
    ) -> Result<Response, Reason> {
        let mut body = json!({
            "username": localpart,
            "password": password,
            "initial_device_display_name": "homespec",
        });
        let mut stages: Vec<String> = Vec::new();
        loop {
            let response = self.send(slot, &self.request("register")?.json(&body)).await?;
            let challenge = match response.json() {
                Ok(challenge) if response.is_challenge() => challenge,
                _ => return Ok(response),
            };
            let prover =
                UiaCredentials { user: Some(localpart), password: None, registration_token };
            let auth = uia::answer_challenge(challenge, prover, &stages)
                .map_err(|why| stage_refused(&why, registration_token.is_some(), &response))?;
            stages.extend(uia::stage_of(&auth));
            body = uia::with_auth(body, auth);
        }
    }

    /// Synapse's admin call: a nonce, then an HMAC-SHA1 over nonce, name, password and `notadmin`,
    /// separated by NUL.
    async fn register_by_secret(
        &self,
        slot: &Slot,
        localpart: &str,
        password: &str,
        secret: &str,
    ) -> Result<Response, Reason> {
        const PATH: &str = "/_synapse/admin/v1/register";
        let nonce = self.send(slot, &Request::new(None, "GET", PATH)).await?;
        let Some(text) = nonce.text_at("/nonce") else {
            let words = in_words("GET /_synapse/admin/v1/register", &nonce);
            return Err(Reason::Registration(format!("{SHARED_SECRET}: {words}; {NO_ADMIN_CALL}")));
        };
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.as_bytes()) else {
            let text = format!("{SHARED_SECRET}: the secret cannot be used as a key");
            return Err(Reason::Registration(text));
        };
        mac.update([text, localpart, password, "notadmin"].join("\0").as_bytes());
        let mac: String =
            mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let request = Request::new(None, "POST", PATH).json(&json!({
            "nonce": text, "username": localpart, "password": password, "admin": false, "mac": mac,
        }));
        self.send(slot, &request).await
    }

    /// Starts the operator's program once, and reads the account that it prints.
    async fn make_by_program(
        &self,
        slot: &Slot,
        program: &ExternalCommand,
        localpart: &str,
        password: &str,
    ) -> Result<Account, Reason> {
        let mut printed = self.program.lock().await;
        if let Some(reason) = &printed.failed {
            return Err(reason.clone());
        }
        printed.accounts += 1;
        let number = printed.accounts.to_string();
        let target = self.sender.http.target().to_string();
        let told = [
            ("HOMESPEC_TARGET", target.as_str()),
            ("HOMESPEC_ACCOUNT_NUMBER", number.as_str()),
            ("HOMESPEC_LOCALPART", localpart),
            ("HOMESPEC_PASSWORD", password),
        ];
        let account = program
            .run(&told, &self.sender.stop)
            .await
            .and_then(|text| read_account(program, &text))
            .and_then(|account| self.is_new(program, account, &mut printed.user_ids));
        let account = account.map_err(|failed| {
            let why = failed.text(&self.sender.http.vault().redactor());
            let advice = "try it by hand; docs/accounts.md says what it gets and must print";
            let reason = Reason::Registration(format!("--account-command: {why}; {advice}"));
            printed.failed = Some(reason.clone());
            reason
        })?;
        drop(printed);
        self.take_over(slot, account).await
    }

    /// Refuses a printed account that is not new: what is printed is deactivated at the end.
    fn is_new(
        &self,
        program: &ExternalCommand,
        account: PrintedAccount,
        known: &mut BTreeSet<String>,
    ) -> Result<PrintedAccount, Failed> {
        let user_id = &account.user_id;
        let is_supplied =
            |one: &SuppliedAccount| !one.disposable && admission::may_be_same(&one.user, user_id);
        if self.sources.supplied.iter().any(is_supplied) {
            let how = format!("printed {user_id}, which --accounts lists as in use");
            return Err(program.failed(&how, ""));
        }
        if !known.insert(user_id.clone()) {
            let how = format!("printed {user_id} a second time: each call must make a new account");
            return Err(program.failed(&how, ""));
        }
        Ok(account)
    }

    /// An account that somebody else made for the run: its secrets and its session are kept account
    /// of like those of others.
    async fn take_over(&self, slot: &Slot, account: PrintedAccount) -> Result<Account, Reason> {
        let PrintedAccount { user_id, password, access_token, device_id } = account;
        let vault = self.sender.http.vault();
        let known = [(SecretKind::Password, &password), (SecretKind::AccessToken, &access_token)];
        for (kind, secret) in known {
            if let Some(secret) = secret {
                vault.learn(kind, secret);
            }
        }
        let session = access_token.map(|token| (token, device_id));
        let (login_name, guest) = (user_id.clone(), false);
        let made = CreatedAccount {
            user_id: user_id.clone(),
            login_name,
            password: password.clone(),
            guest,
        };
        self.sender.created.add_account(made, session.clone());
        let login_name = self.name_of_made(&user_id, localpart(&user_id));
        let proven = match &session {
            Some((token, _)) => {
                Some(self.owner(slot, token, "--account-command: the access token printed").await?)
            }
            None => None,
        };
        let session = session.zip(proven).map(|((token, device_id), (_, known))| Session {
            token,
            device_id: known.or(device_id),
            refresh_token: None,
            expires: None,
        });
        let password = password.map(SecretString::from);
        let proven = password.is_none();
        let (proof, refused, registered, login_refused) = (None, Vec::new(), false, None);
        Ok(Account {
            user_id,
            login_name,
            proven,
            password,
            session,
            proof,
            refused,
            made: true,
            registered,
            login_refused,
        })
    }

    /// The user and the device that an access token belongs to.
    async fn owner(
        &self,
        slot: &Slot,
        token: &str,
        what: &str,
    ) -> Result<(String, Option<String>), Reason> {
        let response = self.send(slot, &self.request("getTokenOwner")?.bearer(token)).await?;
        let owner = self.owner_in(&response, what)?;
        self.usable.store(true, Ordering::Relaxed);
        Ok(owner)
    }

    /// The user and the device in an answer to `GET /account/whoami`; `what` names the token.
    fn owner_in(
        &self,
        response: &Response,
        what: &str,
    ) -> Result<(String, Option<String>), Reason> {
        let user_id = response.text_at("/user_id").filter(|_| response.is_success());
        let user_id = user_id.ok_or_else(|| {
            let (words, advice) = (in_words(WHOAMI, response), token_advice(response));
            Reason::Account(format!("{what} was refused: {words}; {advice}"))
        })?;
        Ok((user_id.to_owned(), response.text_at("/device_id").map(str::to_owned)))
    }

    fn request(&self, operation: &str) -> Result<Request, Reason> {
        let route = self
            .routes
            .route(operation, None)
            .ok_or_else(|| Reason::NotInSpec { operation: operation.to_owned() })?;
        Ok(Request::new(Some(operation), &route.method, &route.path))
    }

    async fn send(&self, slot: &Slot, request: &Request) -> Result<Response, Reason> {
        answered(self.sent(slot, request).await.reply)
    }

    async fn sent(&self, slot: &Slot, request: &Request) -> SendResult {
        let sent = self.sender.send(request, Limits::Wait).await;
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = sent.exchanges.clone();
        kept.iter_mut().for_each(Exchange::forget_parsed);
        log.entry(slot.clone()).or_default().extend(kept);
        sent
    }
}

/// A good login by one name, and what came of it.
struct ProofLogin {
    response: Response,
    proof: Option<Proof>,
}

impl ProofLogin {
    /// Whether it opened a session.
    fn is_done(&self) -> bool {
        self.response.is_success() && self.response.text_at("/access_token").is_some()
    }

    /// Whether the name may be what was refused: the account itself is neither locked nor closed.
    fn may_be_name(&self) -> bool {
        const OF_ACCOUNT: [&str; 4] =
            ["M_USER_DEACTIVATED", "M_USER_LOCKED", "M_USER_SUSPENDED", "M_LIMIT_EXCEEDED"];
        let code = self.response.text_at("/errcode");
        matches!(self.response.status, 400 | 401 | 403 | 404)
            && code.is_none_or(|code| !OF_ACCOUNT.contains(&code))
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

fn answered(reply: Reply) -> Result<Response, Reason> {
    match reply {
        Reply::Response(response) => Ok(response),
        Reply::Dropped(text) => Err(Reason::NoAnswer(text)),
        Reply::Inconclusive(reason) => Err(reason),
    }
}

/// The reason for an account that was given by its localpart, whose full id is not known.
fn with_hint(reason: Reason, account: &Account) -> Reason {
    if account.made || account.proven || account.login_name.starts_with('@') {
        return reason;
    }
    let hint = "if it logs in only by its full Matrix ID, give that as the user (@name:server)";
    Reason::Account(format!("{}; {hint}", reason.text()))
}

/// Remembers a password, and the wrong ones that cases make of it: they tell nearly all of it.
fn learn_password(sender: &RequestSender, password: &str) {
    for one in [password, &other_case(password), &shortened(password)] {
        sender.http.vault().learn(SecretKind::Password, one);
    }
}

/// What an account command prints: one JSON object, of which further members are left aside.
#[derive(Debug, serde::Deserialize)]
struct PrintedAccount {
    user_id: String,
    password: Option<String>,
    access_token: Option<String>,
    device_id: Option<String>,
}

/// Reads what an account command printed. What it printed is never shown: it holds secrets.
fn read_account(program: &ExternalCommand, text: &str) -> Result<PrintedAccount, Failed> {
    let account: PrintedAccount = serde_json::from_str(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        let wanted = r#"{"user_id": …, "password": …}"#;
        program.failed(&format!("printed something else than one {wanted} ({place})"), "")
    })?;
    if !account.user_id.starts_with('@') || !account.user_id.contains(':') {
        return Err(program.failed("printed a user_id that is no full Matrix ID", ""));
    }
    if account.password.is_none() && account.access_token.is_none() {
        return Err(program.failed("printed neither a password nor an access_token", ""));
    }
    Ok(account)
}

fn session_from(response: &Response, token: &str) -> Session {
    let expires = response.json().ok().and_then(|body| body.get("expires_in_ms")?.as_u64());
    Session {
        token: token.to_owned(),
        device_id: response.text_at("/device_id").map(str::to_owned),
        refresh_token: response.text_at("/refresh_token").map(str::to_owned),
        expires: expires.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms))),
    }
}

/// How the options are named in sentences.
const OPEN: &str = "--register open";
const TOKEN: &str = "--registration-token-file";
const SHARED_SECRET: &str = "--registration-shared-secret-file";

/// What to try where the admin call that takes the shared secret gives no nonce.
const NO_ADMIN_CALL: &str = "the server has no shared secret, or does not serve that path at this URL: \
    use the listener itself, or make accounts in another way";

/// That registration was refused, with what to try.
fn registration_refused(maker: &AccountProvider, response: &Response) -> Reason {
    let by = "POST /register";
    let (option, by, advice) = match maker {
        AccountProvider::Open => (
            OPEN,
            by,
            "the server lets nobody register: open registration there, or give accounts with --accounts",
        ),
        AccountProvider::Token(_) => {
            (TOKEN, by, "see that registration is open to those who know a token")
        }
        AccountProvider::SharedSecret(_) => (
            SHARED_SECRET,
            "POST /_synapse/admin/v1/register",
            "see that the file holds the server's `registration_shared_secret` and nothing else",
        ),
        AccountProvider::ExternalCommand(_) => ("--account-command", by, "see what it does"),
    };
    let advice = match response.status {
        200..300 => "the answer has no user_id: see the server's log",
        500.. => "the server failed: see its log",
        _ => advice,
    };
    Reason::Registration(format!("{option}: {}; {advice}", in_words(by, response)))
}

/// That a stage of registration cannot be passed, with what to try.
fn stage_refused(why: &str, with_token: bool, response: &Response) -> Reason {
    let asks_for_token = why.contains("m.login.registration_token");
    let (option, advice) = match with_token {
        true if asks_for_token => {
            (TOKEN, "see that the token is right, has not expired and is not used up")
        }
        true => (TOKEN, "make accounts in another way: docs/accounts.md"),
        false if asks_for_token => {
            (OPEN, "the server asks for a token: give it with --registration-token-file")
        }
        false => (OPEN, "make accounts in another way: docs/accounts.md"),
    };
    let why = clipped(why);
    let text = format!(
        "{option}: POST /register answered {}{}: {why}; {advice}",
        response.status,
        said(response)
    );
    Reason::Registration(text)
}

/// How a request is named in a sentence.
const WHOAMI: &str = "GET /account/whoami";

/// That a proof login was refused, with what to try where the account was given.
fn login_refused(account: &Account, response: &Response) -> Reason {
    let (user, words) = (&account.user_id, in_words("POST /login", response));
    let text = match (account.registered, account.made) {
        (true, _) => format!("the run registered `{user}`, and its login was refused: {words}"),
        (_, true) => format!(
            "--account-command: `{user}`, which it printed, was refused: {words}; {}",
            login_advice(user, response)
        ),
        _ => {
            let advice = login_advice(user, response);
            format!("--accounts: `{user}` was refused: {words}; {advice}")
        }
    };
    Reason::Account(text)
}
