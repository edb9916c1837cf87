//! Making accounts by registration: with interactive auth, or by Synapse's admin call.
use crate::accounts::pool::{Account, AccountOrigin, AccountPool, learn_password, session_from};
use crate::accounts::provider::{
    AccountProvider, NO_ADMIN_CALL, SHARED_SECRET, registration_refused, stage_refused,
};
use crate::accounts::random::generate;
use crate::accounts::refusal::in_words;
use crate::accounts::uia::{self, UiaCredentials, UiaError};
use crate::http::message::{Request, Response};
use crate::model::reason::Reason;
use crate::plan::Slot;
use crate::redact::ExposeSecret;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha1::Sha1;
use std::sync::PoisonError;

impl AccountPool {
    /// Makes an account. The first one proves the way that was given: if it is refused, no other is
    /// asked for, and the operator is told.
    pub(super) async fn make(
        &self,
        slot: &Slot,
        maker: &AccountProvider,
    ) -> Result<Account, Reason> {
        if let Some(reason) = self.maker_refused() {
            return Err(reason);
        }
        let made = match self.make_one(slot, maker).await {
            // The account may be there: another one is asked for, and that one is cleaned up.
            Err(Reason::Gateway { .. } | Reason::NoAnswer(_)) => self.make_one(slot, maker).await,
            made => made,
        };
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
    pub(super) fn stop_making(&self, why: &Reason) {
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        making.refused.get_or_insert_with(|| why.clone());
    }

    /// Returns the reason why accounts cannot be created, if that was seen.
    pub fn maker_refused(&self) -> Option<Reason> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner).refused.clone()
    }

    async fn make_one(&self, slot: &Slot, maker: &AccountProvider) -> Result<Account, Reason> {
        let (localpart, password) = (generate("localpart")?, generate("password")?);
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
        let names = (user_id.to_owned(), self.name_of_made(user_id, &localpart));
        Ok(Account::new(AccountOrigin::Registered, names, Some(password.into()), session))
    }

    async fn register(
        &self,
        slot: &Slot,
        localpart: &str,
        password: &str,
        registration_token: Option<&str>,
    ) -> Result<Response, Reason> {
        let body = json!({
            "username": localpart,
            "password": password,
            "initial_device_display_name": "homespec",
        });
        let credentials =
            UiaCredentials { user: Some(localpart), password: None, registration_token };
        let (request, mut exchanges) = (self.request("register")?, Vec::new());
        let response = uia::call(&self.sender, &request, body, credentials, &mut exchanges).await;
        self.keep_exchanges(slot, exchanges);
        response.map_err(|error| match error {
            UiaError::Refused(why, challenge) => {
                stage_refused(&why, registration_token.is_some(), &challenge)
            }
            UiaError::NoResponse(reason) => reason,
        })
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
}
