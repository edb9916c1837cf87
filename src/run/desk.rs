//! Accounts and their shared sessions: given, registered, proven, kept for the cases.
use super::courier::{Courier, Delivered};
use super::env::{
    AccountView, Proof, fresh_localpart, fresh_password, good_login, other_case, shortened,
};
use super::ledger::Made;
use super::program::{Failed, Program};
use super::uia::{self, Prover};
use crate::case::ast::Limits;
use crate::facts::{AccountFacts, Given, clipped};
use crate::outcome::Reason;
use crate::plan::Slot;
use crate::routes::Routes;
use crate::secret::{ExposeSecret, SecretKind, SecretString};
use crate::wire::{Answer, Ask, Exchanged, Reply};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// An account that the operator gave.
#[derive(Debug, Clone)]
pub struct Supplied {
    /// A localpart or a full Matrix ID.
    pub user: String,
    /// How it proves itself.
    pub credential: Credential,
    /// Whether nobody needs it.
    pub disposable: bool,
}

/// How a supplied account proves itself.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Its password.
    Password(SecretString),
    /// An access token of a session that is left alone.
    AccessToken(SecretString),
}

/// How accounts can be made.
#[derive(Debug, Clone)]
pub enum Maker {
    /// `POST /register` with interactive auth, dummy stage.
    Open,
    /// The same with a registration token.
    Token(SecretString),
    /// Synapse's shared-secret admin call.
    SharedSecret(SecretString),
    /// A program of the operator's that prints one account each time.
    Program(Program),
}

/// Where accounts come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// In the order in which they are used.
    pub supplied: Vec<Supplied>,
    /// How further ones can be made.
    pub maker: Option<Maker>,
}

impl Sources {
    /// Puts those with a password before those without, and those that nobody needs behind those that
    /// somebody does, for they may be ruined; otherwise the order given is kept.
    pub fn in_order_of_use(mut self) -> Sources {
        let by_token =
            |account: &Supplied| matches!(account.credential, Credential::AccessToken(_));
        self.supplied.sort_by_key(|account| (by_token(account), account.disposable));
        self
    }

    /// What planning needs to know of them.
    pub fn facts(&self) -> AccountFacts {
        let given = |account: &Supplied| Given {
            password: matches!(account.credential, Credential::Password(_)),
            disposable: account.disposable,
        };
        AccountFacts {
            given: self.supplied.iter().map(given).collect(),
            can_make: self.maker.is_some(),
            made_password: true,
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
    password: Option<SecretString>,
    session: Option<Session>,
    proven: bool,
    /// The login that proved it.
    proof: Option<Proof>,
    /// Whether this run made it.
    made: bool,
}

type Entry = Arc<Mutex<Option<Result<Account, Reason>>>>;

/// Hands out accounts. A slot is asked for by one case at a time.
pub struct Desk {
    courier: Courier,
    sources: Sources,
    routes: Arc<dyn Routes>,
    entries: std::sync::Mutex<BTreeMap<Slot, Entry>>,
    log: std::sync::Mutex<BTreeMap<Slot, Vec<Exchanged>>>,
    program: Mutex<Printed>,
}

/// What came of the program that makes accounts, which is started for one account after the other.
#[derive(Debug, Default)]
struct Printed {
    accounts: usize,
    /// Why it is not started again: each further account would wait for the same failure.
    failed: Option<Reason>,
}

/// How long before its end a shared session is renewed.
const MARGIN: Duration = Duration::from_secs(20);

impl Desk {
    /// A desk that has not yet asked for anything.
    pub fn new(courier: Courier, sources: Sources, routes: Arc<dyn Routes>) -> Desk {
        for account in &sources.supplied {
            match &account.credential {
                Credential::Password(secret) => learn_password(&courier, secret.expose_secret()),
                Credential::AccessToken(secret) => {
                    courier.http.vault().learn(SecretKind::AccessToken, secret.expose_secret());
                }
            }
        }
        match &sources.maker {
            Some(Maker::Token(secret)) => {
                courier.http.vault().learn(SecretKind::RegistrationToken, secret.expose_secret());
            }
            Some(Maker::SharedSecret(secret)) => {
                courier.http.vault().learn(SecretKind::SharedSecret, secret.expose_secret());
            }
            Some(Maker::Open | Maker::Program(_)) | None => {}
        }
        let (entries, log, program) = Default::default();
        Desk { courier, sources, routes, entries, log, program }
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
            None => return Err(reason("account", "no account".to_owned())),
        };
        if proven && !account.proven && account.password.is_some() {
            match self.prove(slot, account).await {
                // An account made just now has its session from registration: that its password is
                // refused is for the cases to find, but wrong passwords say nothing on it.
                Err(reason) if reason.code == REFUSED && account.session.is_some() => {
                    if *slot == Slot::Wrongs {
                        return Err(reason);
                    }
                    account.proven = true;
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
            password: account.password.as_ref().map(|p| p.expose_secret().to_owned()),
            token: shared.map(|session| session.token.clone()),
            device_id: shared.and_then(|session| session.device_id.clone()),
            proof: account.proof_that_lives(),
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
    pub async fn proofs(&self) -> Vec<Exchanged> {
        let entries: Vec<Entry> = {
            let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            entries.values().cloned().collect()
        };
        let mut proofs = Vec::new();
        for entry in entries {
            let entry = entry.lock().await;
            let account = entry.as_ref().and_then(|entry| entry.as_ref().ok());
            let proof = account.and_then(Account::proof_that_lives);
            proofs.extend(proof.map(|proof| (*proof.exchanged).clone()));
        }
        proofs
    }

    /// What is known of a slot; nothing yet, if it was not asked for.
    fn entry(&self, slot: &Slot) -> Entry {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.entry(slot.clone()).or_default().clone()
    }

    /// Every exchange that accounts took, by slot.
    pub fn exchanges(&self) -> Vec<Exchanged> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.values().flatten().cloned().collect()
    }

    async fn open(&self, slot: &Slot) -> Result<Account, Reason> {
        let given: Option<&Supplied> = match slot {
            Slot::Main(index) => self.sources.supplied.get(*index),
            Slot::Wrongs | Slot::Fresh(..) => None,
        };
        match (given, &self.sources.maker) {
            (Some(given), _) => self.open_given(slot, given).await,
            (None, Some(maker)) => self.make(slot, maker).await,
            (None, None) => Err(reason("no_account", "no account was given".to_owned())),
        }
    }

    async fn open_given(&self, slot: &Slot, given: &Supplied) -> Result<Account, Reason> {
        match &given.credential {
            Credential::Password(password) => {
                let mut account = Account {
                    user_id: given.user.clone(),
                    password: Some(password.clone()),
                    session: None,
                    proven: false,
                    proof: None,
                    made: false,
                };
                self.prove(slot, &mut account).await?;
                Ok(account)
            }
            Credential::AccessToken(token) => {
                let token = token.expose_secret();
                let (user_id, device_id) =
                    self.owner(slot, token, "the access token given").await?;
                let session = Session {
                    token: token.to_owned(),
                    device_id,
                    refresh_token: None,
                    expires: None,
                };
                Ok(Account {
                    user_id,
                    password: None,
                    session: Some(session),
                    proven: true,
                    proof: None,
                    made: false,
                })
            }
        }
    }

    /// The proof login: one good login, with `refresh_token: true`, that also is the first shared
    /// session and tells the canonical user id.
    async fn prove(&self, slot: &Slot, account: &mut Account) -> Result<(), Reason> {
        let Some(password) = &account.password else { return Ok(()) };
        let body = good_login(&account.user_id, password.expose_secret());
        let delivered = self.delivered(slot, &self.ask("login")?.json(&body)).await;
        let exchanged = delivered.exchanges.get(delivered.shown).cloned();
        let answer = answered(delivered.reply)?;
        let token = answer.text_at("/access_token");
        let Some(token) = token.filter(|_| answer.is_success()) else {
            return Err(refused("the account given", "POST /login", &answer));
        };
        account.session = Some(session_from(&answer, token));
        account.proof = exchanged.map(|it| Proof { body, exchanged: Arc::new(it.again()) });
        // What registration said is known better than what this login says.
        if !account.made {
            account.user_id = answer.text_at("/user_id").unwrap_or(&account.user_id).to_owned();
        }
        account.proven = true;
        Ok(())
    }

    async fn keep_session(&self, slot: &Slot, account: &mut Account) -> Result<(), Reason> {
        let Some(session) = account.session.clone() else {
            return self.prove(slot, account).await;
        };
        let fresh = session.expires.is_none_or(|end| end > Instant::now() + MARGIN);
        if fresh {
            return Ok(());
        }
        let Some(refresh_token) = &session.refresh_token else {
            return self.prove(slot, account).await;
        };
        let ask = self.ask("refresh")?.json(&json!({"refresh_token": refresh_token}));
        let answer = self.send(slot, &ask).await?;
        match answer.text_at("/access_token").filter(|_| answer.is_success()) {
            Some(token) => {
                let renewed = session_from(&answer, token);
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

    async fn make(&self, slot: &Slot, maker: &Maker) -> Result<Account, Reason> {
        let (localpart, password) = (fresh_localpart(), fresh_password());
        learn_password(&self.courier, &password);
        let answer = match maker {
            Maker::Program(program) => {
                return self.make_by_program(slot, program, &localpart, &password).await;
            }
            Maker::Open => self.register(slot, &localpart, &password, None).await?,
            Maker::Token(token) => {
                self.register(slot, &localpart, &password, Some(token.expose_secret())).await?
            }
            Maker::SharedSecret(secret) => {
                self.register_by_secret(slot, &localpart, &password, secret.expose_secret()).await?
            }
        };
        let user_id = answer.text_at("/user_id").filter(|_| answer.is_success());
        let Some(user_id) = user_id else {
            return Err(refused("registration", "the server", &answer));
        };
        let session = answer.text_at("/access_token").map(|token| session_from(&answer, token));
        Ok(Account {
            user_id: user_id.to_owned(),
            password: Some(password.into()),
            session,
            proven: false,
            proof: None,
            made: true,
        })
    }

    async fn register(
        &self,
        slot: &Slot,
        localpart: &str,
        password: &str,
        registration_token: Option<&str>,
    ) -> Result<Answer, Reason> {
        let mut body = json!({
            "username": localpart,
            "password": password,
            "initial_device_display_name": "homespec",
        });
        let mut stages: Vec<String> = Vec::new();
        loop {
            let answer = self.send(slot, &self.ask("register")?.json(&body)).await?;
            let challenge = match answer.json() {
                Ok(challenge) if answer.is_challenge() => challenge,
                _ => return Ok(answer),
            };
            let prover = Prover { user: Some(localpart), password: None, registration_token };
            let auth = uia::answer(challenge, prover, &stages).map_err(|why| {
                reason("registration", format!("cannot register: {}", clipped(&why)))
            })?;
            stages.extend(auth["type"].as_str().map(str::to_owned));
            body["auth"] = auth;
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
    ) -> Result<Answer, Reason> {
        const PATH: &str = "/_synapse/admin/v1/register";
        let nonce = self.send(slot, &Ask::new(None, "GET", PATH)).await?;
        let Some(text) = nonce.text_at("/nonce") else {
            return Err(refused(
                "shared-secret registration",
                "GET /_synapse/admin/v1/register",
                &nonce,
            ));
        };
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.as_bytes()) else {
            return Err(reason("registration", "the shared secret cannot be used".to_owned()));
        };
        mac.update([text, localpart, password, "notadmin"].join("\0").as_bytes());
        let mac: String =
            mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let ask = Ask::new(None, "POST", PATH).json(&json!({
            "nonce": text, "username": localpart, "password": password, "admin": false, "mac": mac,
        }));
        self.send(slot, &ask).await
    }

    /// Starts the operator's program once, and reads the account that it prints.
    async fn make_by_program(
        &self,
        slot: &Slot,
        program: &Program,
        localpart: &str,
        password: &str,
    ) -> Result<Account, Reason> {
        let mut printed = self.program.lock().await;
        if let Some(reason) = &printed.failed {
            return Err(reason.clone());
        }
        printed.accounts += 1;
        let number = printed.accounts.to_string();
        let target = self.courier.http.target().to_string();
        let told = [
            ("HOMESPEC_TARGET", target.as_str()),
            ("HOMESPEC_ACCOUNT_NUMBER", number.as_str()),
            ("HOMESPEC_LOCALPART", localpart),
            ("HOMESPEC_PASSWORD", password),
        ];
        let account = program
            .run(&told, &self.courier.stop)
            .await
            .and_then(|text| read_account(program, &text));
        let account = account.map_err(|failed| {
            let why = failed.text(&self.courier.http.vault().redactor());
            let reason = reason("registration", format!("the account command {why}"));
            printed.failed = Some(reason.clone());
            reason
        })?;
        drop(printed);
        self.take_over(slot, account).await
    }

    /// An account that somebody else made for the run: its secrets and its session are kept account
    /// of like those of others.
    async fn take_over(&self, slot: &Slot, account: PrintedAccount) -> Result<Account, Reason> {
        let PrintedAccount { user_id, password, access_token, device_id } = account;
        let vault = self.courier.http.vault();
        let known = [(SecretKind::Password, &password), (SecretKind::AccessToken, &access_token)];
        for (kind, secret) in known {
            if let Some(secret) = secret {
                vault.learn(kind, secret);
            }
        }
        let session = access_token.map(|token| (token, device_id));
        let made = Made { user_id: user_id.clone(), password: password.clone(), guest: false };
        self.courier.ledger.note_made(made, session.clone());
        let proven = match &session {
            Some((token, _)) => Some(self.owner(slot, token, "the access token printed").await?),
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
        Ok(Account { user_id, proven, password, session, proof: None, made: true })
    }

    /// The user and the device that an access token belongs to.
    async fn owner(
        &self,
        slot: &Slot,
        token: &str,
        what: &str,
    ) -> Result<(String, Option<String>), Reason> {
        let answer = self.send(slot, &self.ask("getTokenOwner")?.bearer(token)).await?;
        let user_id = answer.text_at("/user_id").filter(|_| answer.is_success());
        let user_id = user_id.ok_or_else(|| refused(what, "GET /account/whoami", &answer))?;
        Ok((user_id.to_owned(), answer.text_at("/device_id").map(str::to_owned)))
    }

    fn ask(&self, operation: &str) -> Result<Ask, Reason> {
        let route = self.routes.route(operation, None).ok_or_else(|| {
            reason("not_in_spec", format!("the specification files have no operation {operation}"))
        })?;
        Ok(Ask::new(Some(operation), &route.method, &route.path))
    }

    async fn send(&self, slot: &Slot, ask: &Ask) -> Result<Answer, Reason> {
        answered(self.delivered(slot, ask).await.reply)
    }

    async fn delivered(&self, slot: &Slot, ask: &Ask) -> Delivered {
        let delivered = self.courier.deliver(ask, Limits::Wait).await;
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.entry(slot.clone()).or_default().extend(delivered.exchanges.iter().cloned());
        delivered
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

fn answered(reply: Reply) -> Result<Answer, Reason> {
    match reply {
        Reply::Answer(answer) => Ok(answer),
        Reply::Dropped(text) => Err(reason("no_answer", text)),
        Reply::Undecided(reason) => Err(reason),
    }
}

/// Remembers a password, and the wrong ones that cases make of it: they tell nearly all of it.
fn learn_password(courier: &Courier, password: &str) {
    for one in [password, &other_case(password), &shortened(password)] {
        courier.http.vault().learn(SecretKind::Password, one);
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
fn read_account(program: &Program, text: &str) -> Result<PrintedAccount, Failed> {
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

fn session_from(answer: &Answer, token: &str) -> Session {
    let expires = answer.json().ok().and_then(|body| body.get("expires_in_ms")?.as_u64());
    Session {
        token: token.to_owned(),
        device_id: answer.text_at("/device_id").map(str::to_owned),
        refresh_token: answer.text_at("/refresh_token").map(str::to_owned),
        expires: expires.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms))),
    }
}

/// The server answered, and not as it has to for an account to be usable.
const REFUSED: &str = "account";

fn refused(what: &str, by: &str, answer: &Answer) -> Reason {
    let body = answer.json().ok();
    let member =
        |key: &str| body.and_then(|body| body.get(key)).and_then(Value::as_str).map(clipped);
    let said = match (member("errcode"), member("error")) {
        (Some(code), Some(error)) => format!(" {code} ({error})"),
        (Some(code), None) => format!(" {code}"),
        _ => String::new(),
    };
    reason(REFUSED, format!("{what} was refused: {by} answered {}{said}", answer.status))
}

fn reason(code: &str, text: String) -> Reason {
    Reason { code: code.to_owned(), text: text.into() }
}
