//! Logging accounts in: the login that proves one, and the session that cases share.
use crate::accounts::account::{Proof, good_login};
use crate::accounts::pool::{
    Account, AccountOrigin, AccountPool, AccountSession, MARGIN, session_from,
};
use crate::accounts::refusal::{in_words, login_advice, token_advice};
use crate::http::message::Response;
use crate::model::reason::Reason;
use crate::model::user_id::{is_full, localpart};
use crate::plan::Slot;
use crate::redact::{ExposeSecret, SecretString};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

impl AccountPool {
    /// An account that the server registered and whose login it refuses: its session, if it has one,
    /// goes on being used, and no login is tried again outside of cases.
    pub(super) async fn keep_without_login(
        &self,
        slot: &Slot,
        account: &mut Account,
        refusal: Reason,
    ) {
        account.proven = true;
        match account.session.as_ref().map(|session| session.token.clone()) {
            // This also shows whether the account is usable at all.
            Some(token) => drop(self.owner(slot, &token, "the token of the registration").await),
            None => account.login_refused = Some(refusal),
        }
    }

    /// The proof login: one good login, with `refresh_token: true`, that also is the first shared
    /// session and tells the canonical user id. Where its name is refused, the other spelling of it is tried once; the
    /// one that logs in is used from then on.
    pub(super) async fn prove(&self, slot: &Slot, account: &mut Account) -> Result<(), Reason> {
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

    fn other_spelling(&self, account: &Account) -> Option<String> {
        if account.origin == AccountOrigin::Supplied {
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
        let response = sent.reply.response()?;
        let proof = exchange.map(|it| Proof { body, exchange: Arc::new(it.again()) });
        Ok(ProofLogin { response, proof })
    }

    fn take_proof(&self, account: &mut Account, login: ProofLogin) {
        let ProofLogin { response, proof } = login;
        self.usable.store(true, Ordering::Relaxed);
        account.session =
            response.text_at("/access_token").map(|token| session_from(&response, token));
        account.proof = proof;
        // What registration said is known better than what this login says, if it is a user id at all.
        if account.origin == AccountOrigin::Supplied || !is_full(&account.user_id) {
            account.user_id = response.text_at("/user_id").unwrap_or(&account.user_id).to_owned();
        }
        account.proven = true;
        self.sender.created.logs_in_as(&account.user_id, &account.login_name);
        self.by_full_id.get_or_init(|| account.login_name.starts_with('@'));
    }

    /// The name by which an account of the run's own probably logs in: its localpart, unless another account needed its
    /// full id.
    pub(super) fn name_of_made(&self, user_id: &str, localpart: &str) -> String {
        let by_full_id = self.by_full_id.get().is_some_and(|by_full_id| *by_full_id);
        let name = if by_full_id { user_id } else { localpart };
        self.sender.created.logs_in_as(user_id, name);
        name.to_owned()
    }

    pub(super) async fn keep_session(
        &self,
        slot: &Slot,
        account: &mut Account,
    ) -> Result<(), Reason> {
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
                account.session = Some(AccountSession {
                    device_id: session.device_id,
                    refresh_token: renewed.refresh_token.or(session.refresh_token),
                    ..renewed
                });
                Ok(())
            }
            None => self.prove(slot, account).await,
        }
    }

    /// The user and the device that an access token belongs to.
    pub(super) async fn owner(
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
    pub(super) fn owner_in(
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
}

struct ProofLogin {
    response: Response,
    proof: Option<Proof>,
}

impl ProofLogin {
    /// Returns true if it opened a session.
    fn is_done(&self) -> bool {
        self.response.is_success() && self.response.text_at("/access_token").is_some()
    }

    /// Returns true if the name may be the cause: the account itself is neither locked nor closed.
    fn may_be_name(&self) -> bool {
        const OF_ACCOUNT: [&str; 4] =
            ["M_USER_DEACTIVATED", "M_USER_LOCKED", "M_USER_SUSPENDED", "M_LIMIT_EXCEEDED"];
        let code = self.response.text_at("/errcode");
        matches!(self.response.status, 400 | 401 | 403 | 404)
            && code.is_none_or(|code| !OF_ACCOUNT.contains(&code))
    }
}

/// The reason for an account that was given by its localpart, whose full id is not known.
fn with_hint(reason: Reason, account: &Account) -> Reason {
    if account.origin != AccountOrigin::Supplied
        || account.proven
        || account.login_name.starts_with('@')
    {
        return reason;
    }
    let hint = "if it logs in only by its full Matrix ID, give that as the user (@name:server)";
    Reason::Account(format!("{}; {hint}", reason.text()))
}

pub(super) const WHOAMI: &str = "GET /account/whoami";

/// That a proof login was refused, with what to try where the account was given.
fn login_refused(account: &Account, response: &Response) -> Reason {
    let (user, words) = (&account.user_id, in_words("POST /login", response));
    let text = match account.origin {
        AccountOrigin::Registered => {
            format!("the run registered `{user}`, and its login was refused: {words}")
        }
        AccountOrigin::Printed => format!(
            "--account-command: `{user}`, which it printed, was refused: {words}; {}",
            login_advice(user, response)
        ),
        AccountOrigin::Supplied => {
            let advice = login_advice(user, response);
            format!("--accounts: `{user}` was refused: {words}; {advice}")
        }
    };
    Reason::Account(text)
}
