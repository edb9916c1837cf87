//! Proofs of what stands under `operator:`, each made once, when the first case needs it.
//!
//! A proof asks whether the value is the right one, and not what the cases ask: where a server may be
//! at fault as well as the operator, any one request that succeeds proves the value.
use crate::accounts::account::good_login;
use crate::accounts::notices::Notices;
use crate::accounts::operator::{Appservice, Operator, Owner, SERVICE_USER};
use crate::accounts::refusal::{in_words, login_advice};
use crate::case::ast::{Act, Api, Limits};
use crate::http::message::{Exchange, Request, Response};
use crate::http::sender::RequestSender;
use crate::model::encoding::encode_segment;
use crate::model::reason::{Reason, ReasonCode};
use crate::redact::ExposeSecret;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::OnceCell;

type Proven = Arc<OnceCell<Result<(), Reason>>>;

/// Proofs so far.
#[derive(Debug, Default)]
pub struct Proofs {
    by_name: Mutex<BTreeMap<String, Proven>>,
    log: Mutex<BTreeMap<String, Vec<Exchange>>>,
    admin_refused: OnceLock<Reason>,
}

impl Proofs {
    /// Proves what `needs: [operator NAME]` asks for, unless that was done before.
    ///
    /// # Errors
    /// It is refused, or the proof could not be made; what needs it cannot be decided.
    pub async fn proven(&self, name: &str, by: &OperatorProver<'_>) -> Result<(), Reason> {
        let cell = {
            let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
            by_name.entry(name.to_owned()).or_default().clone()
        };
        cell.get_or_init(|| self.prove(name, by)).await.clone()
    }

    /// Returns the reason why the administrator's token is not used any more.
    pub fn admin_refused(&self) -> Option<&Reason> {
        self.admin_refused.get()
    }

    /// Gives up the administrator's token: its first use is its proof. Gives the reason of the first
    /// refusal.
    pub fn refuse_admin(&self, why: &Reason) -> &Reason {
        self.admin_refused.get_or_init(|| why.clone())
    }

    /// Every exchange that the proofs took, by what was proven.
    pub fn exchanges(&self) -> Vec<Exchange> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.values().flatten().cloned().collect()
    }

    async fn prove(&self, name: &str, by: &OperatorProver<'_>) -> Result<(), Reason> {
        let mut exchanges = Vec::new();
        let proof = by.prove(name, &mut exchanges).await;
        if let Err(reason) = &proof
            && reason.code() == ReasonCode::Operator
        {
            by.notices.error(&reason.text());
        }
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.insert(name.to_owned(), exchanges);
        proof
    }
}

/// Prover of the operator's values and acts.
#[derive(Clone, Copy)]
pub struct OperatorProver<'a> {
    /// The values and acts that were given.
    pub operator: &'a Operator,
    /// Sends the requests.
    pub sender: &'a RequestSender,
    /// Which path prefix the server has.
    pub api: Api,
    /// Collects what the operator is told.
    pub notices: &'a Notices,
}

impl OperatorProver<'_> {
    async fn prove(&self, name: &str, exchanges: &mut Vec<Exchange>) -> Result<(), Reason> {
        match (name, self.operator) {
            ("appservice", Operator { appservice: Some(service), .. }) => {
                self.appservice(service, exchanges).await
            }
            ("email", Operator { email: Some(email), .. }) => {
                let bound = BoundAddress { key: "email", medium: "email", address: &email.address };
                self.bound(&bound, &email.owner, exchanges).await
            }
            ("phone", Operator { phone: Some(phone), .. }) => {
                let bound =
                    BoundAddress { key: "phone", medium: "msisdn", address: &phone.address };
                self.bound(&bound, &phone.owner, exchanges).await
            }
            // The first account that is made proves the registration token, and an act shows by itself
            // whether it was done.
            _ => Ok(()),
        }
    }

    fn request(&self, operation: Option<&str>, method: &str, path: &str) -> Request {
        let path = format!("/_matrix/client/{}{path}", self.api.as_str());
        Request::new(operation, method, &path)
    }

    async fn send(
        &self,
        request: &Request,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<Response, Reason> {
        self.sender.response(request, Limits::Wait, exchanges).await
    }

    async fn appservice(
        &self,
        service: &Appservice,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<(), Reason> {
        let own = self.service_whoami(service, None, exchanges).await?;
        // Where it is absent, it says nothing of the sender.
        let sender = match is_owner(&own, &service.sender) || own.says_absent() {
            true => None,
            false => Some(self.service_whoami(service, Some(&service.sender), exchanges).await?),
        };
        let register = self.register_service_user(service, exchanges).await?;
        let in_use = register.text_at("/errcode") == Some("M_USER_IN_USE");
        let outside = register.text_at("/errcode") == Some("M_EXCLUSIVE");
        let knows_token = own.is_success()
            || sender.as_ref().is_some_and(Response::is_success)
            || register.is_success()
            || in_use
            || outside;
        if !knows_token && [401, 403].contains(&own.status) {
            let words = in_words("GET /account/whoami", &own);
            return Err(refused(format!(
                "operator.appservice.token: the server does not know it: {words}; give the as_token \
                 of a registration file that the server has loaded"
            )));
        }
        if let Some(response) = sender.filter(|response| !is_owner(response, &service.sender)) {
            return Err(sender_refused(service, &own, &response));
        }
        if outside {
            let words = in_words("POST /register", &register);
            return Err(refused(format!(
                "operator.appservice.prefix: `{}{SERVICE_USER}` is outside of the namespace: {words}; \
                 give the beginning of the localparts in `namespaces.users` of the registration file",
                service.prefix
            )));
        }
        Ok(())
    }

    async fn service_whoami(
        &self,
        service: &Appservice,
        user_id: Option<&str>,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<Response, Reason> {
        let query = user_id.map(|id| format!("?user_id={}", encode_segment(id)));
        let path = format!("/account/whoami{}", query.unwrap_or_default());
        let request = self.request(Some("getTokenOwner"), "GET", &path);
        self.send(&request.bearer(service.token.expose_secret()), exchanges).await
    }

    async fn register_service_user(
        &self,
        service: &Appservice,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<Response, Reason> {
        let request = self.request(Some("register"), "POST", "/register").json(&json!({
            "type": "m.login.application_service",
            "username": format!("{}{SERVICE_USER}", service.prefix),
            "inhibit_login": true,
        }));
        self.send(&request.bearer(service.token.expose_secret()), exchanges).await
    }

    /// That an address is bound to an account whose password is known: the account lists it, or else
    /// the address logs it in.
    async fn bound(
        &self,
        bound: &BoundAddress<'_>,
        owner: &Owner,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<(), Reason> {
        let body = good_login(&owner.user_id, owner.password.expose_secret());
        let login = self.request(Some("login"), "POST", "/login").json(&body);
        let by_id = self.send(&login, exchanges).await?;
        let token = by_id.text_at("/access_token").filter(|_| by_id.is_success());
        let listed = match token {
            Some(token) => Some(self.addresses(token, exchanges).await?),
            None => None,
        };
        match &listed {
            Some(Ok(all)) if all.iter().any(|one| bound.is(one)) => return Ok(()),
            Some(Ok(all)) => return Err(bound.missing(&owner.user_id, all.len())),
            // Without a list, or without a session to ask for it, the address itself has to do.
            Some(Err(_)) | None => {}
        }
        let by_address = self.login_by_address(bound, owner, exchanges).await?;
        if by_address.text_at("/user_id") == Some(&owner.user_id) && by_address.is_success() {
            return Ok(());
        }
        Err(match listed {
            Some(Err(words)) => bound.unseen(&words, &by_address),
            _ => bound.owner_refused(&owner.user_id, &by_id),
        })
    }

    /// The addresses that `GET /account/3pid` lists, or its answer in words if that is no list.
    async fn addresses(
        &self,
        token: &str,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<Result<Vec<Value>, String>, Reason> {
        let request = self.request(None, "GET", "/account/3pid").bearer(token);
        let response = self.send(&request, exchanges).await?;
        let listed = response.json().ok().filter(|_| response.is_success());
        let listed = listed.and_then(|body| body.get("threepids")?.as_array().cloned());
        Ok(listed.ok_or_else(|| in_words("GET /account/3pid", &response)))
    }

    async fn login_by_address(
        &self,
        bound: &BoundAddress<'_>,
        owner: &Owner,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<Response, Reason> {
        let request = self.request(Some("login"), "POST", "/login").json(&json!({
            "type": "m.login.password",
            "identifier": {
                "type": "m.id.thirdparty", "medium": bound.medium, "address": bound.address,
            },
            "password": owner.password.expose_secret(),
        }));
        self.send(&request, exchanges).await
    }

    /// Checks that the effect of a hook shows, by the login of the account that it was done to.
    ///
    /// # Errors
    /// It does not show; or whether it does could not be asked.
    pub async fn effect(
        &self,
        act: Act,
        told: &[(String, String)],
        login: &Value,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<(), Reason> {
        let request = self.request(Some("login"), "POST", "/login").json(login);
        let response = self.send(&request, exchanges).await?;
        let token = response.text_at("/access_token").filter(|_| response.is_success());
        let words = in_words("POST /login", &response);
        match (act, token) {
            (Act::Lock | Act::Deactivate, None) | (Act::Unlock, Some(_)) => Ok(()),
            (Act::Lock | Act::Deactivate, Some(_)) => {
                Err(no_effect(act, &format!("the account still logs in ({words})")))
            }
            (Act::Unlock, None) => {
                Err(no_effect(act, &format!("the account still does not log in ({words})")))
            }
            (Act::Suspend, Some(token)) => self.is_suspended(token, told, exchanges).await,
            (Act::BindEmail, Some(token)) => {
                let address = told.iter().find(|(name, _)| name == "address");
                let Some((_, address)) = address else { return Ok(()) };
                self.is_bound(token, address, exchanges).await
            }
            // That it no longer logs in is an effect, and the case's to judge.
            (Act::Suspend | Act::BindEmail, None) => Ok(()),
        }
    }

    /// A suspended account may not change its profile (Client-Server API, "Account suspension").
    async fn is_suspended(
        &self,
        token: &str,
        told: &[(String, String)],
        exchanges: &mut Vec<Exchange>,
    ) -> Result<(), Reason> {
        let Some((_, user_id)) = told.iter().find(|(name, _)| name == "user_id") else {
            return Ok(());
        };
        let path = format!("/profile/{}/displayname", encode_segment(user_id));
        let request = self.request(None, "PUT", &path).bearer(token);
        let response =
            self.send(&request.json(&json!({"displayname": "homespec"})), exchanges).await?;
        match response.is_success() {
            true => Err(no_effect(Act::Suspend, "the account may still change its profile")),
            false => Ok(()),
        }
    }

    async fn is_bound(
        &self,
        token: &str,
        address: &str,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<(), Reason> {
        let bound = BoundAddress { key: "hooks.bind_email", medium: "email", address };
        match self.addresses(token, exchanges).await? {
            Ok(all) if !all.iter().any(|one| bound.is(one)) => {
                Err(no_effect(Act::BindEmail, "GET /account/3pid does not list the address"))
            }
            // A server without that list leaves it to the login that the case tries.
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// An address as it was given.
struct BoundAddress<'a> {
    key: &'a str,
    medium: &'a str,
    address: &'a str,
}

impl BoundAddress<'_> {
    fn is(&self, listed: &Value) -> bool {
        let text = |key: &str| listed.get(key).and_then(Value::as_str);
        let address = text("address").map(str::to_lowercase);
        text("medium") == Some(self.medium) && address == Some(self.address.to_lowercase())
    }

    fn missing(&self, user_id: &str, listed: usize) -> Reason {
        let listed = match listed {
            0 => "no address".to_owned(),
            1 => "another one".to_owned(),
            n => format!("{n} others"),
        };
        refused(format!(
            "operator.{}.address: {user_id} does not have it: GET /account/3pid lists {listed}; bind it \
             to the account, or give the one that is",
            self.key
        ))
    }

    fn unseen(&self, list: &str, login: &Response) -> Reason {
        refused(format!(
            "operator.{}.address: nothing shows that it is bound: {list}, and the login by it {}; bind \
             it to the account, or leave it out",
            self.key,
            in_words("with POST /login", login)
        ))
    }

    fn owner_refused(&self, user_id: &str, response: &Response) -> Reason {
        let (words, advice) = (in_words("POST /login", response), login_advice(user_id, response));
        refused(format!(
            "operator.{}: the login of {user_id} was refused: {words}; {advice}",
            self.key
        ))
    }
}

fn refused(text: String) -> Reason {
    Reason::Operator(text)
}

fn no_effect(act: Act, shown: &str) -> Reason {
    let act = act.as_str();
    refused(format!("operator.hooks.{act}: it exited with 0, but {shown}; check the program"))
}

fn is_owner(response: &Response, user_id: &str) -> bool {
    response.is_success() && response.text_at("/user_id") == Some(user_id)
}

/// That the sender is not the application service's own user.
fn sender_refused(service: &Appservice, own: &Response, as_sender: &Response) -> Reason {
    let known = own.text_at("/user_id").filter(|_| own.is_success());
    let words = match known {
        Some(known) => format!("the token's own user is {known} (GET /account/whoami)"),
        None => in_words(&format!("GET /account/whoami as {}", service.sender), as_sender),
    };
    refused(format!(
        "operator.appservice.sender: {} is not the user of this application service: {words}; give \
         the full id of its sender_localpart",
        service.sender
    ))
}
