//! Values and acts of the operator: values that cases name, and acts on accounts, by hooks or
//! with an admin's token.
use crate::accounts::command::ExternalCommand;
use crate::accounts::refusal::in_words;
use crate::case::ast::{Act, Limits};
use crate::http::message::{Exchange, Request};
use crate::http::sender::RequestSender;
use crate::model::encoding::encode_segment;
use crate::model::reason::Reason;
use crate::redact::{ExposeSecret, SecretKind, SecretString, Vault};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use strum::VariantArray as _;

/// Everything that the operator gave.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Operator {
    /// An application service that the server knows.
    pub appservice: Option<Appservice>,
    /// An e-mail address that is bound to an account.
    pub email: Option<Email>,
    /// A phone number that is bound to an account.
    pub phone: Option<Phone>,
    /// The token that registration asks for, where the run makes its accounts with it.
    pub registration_token: Option<SecretString>,
    /// The access token of an admin.
    pub admin_token: Option<SecretString>,
    /// Programs by what they do.
    pub hooks: BTreeMap<Act, ExternalCommand>,
}

/// An application service.
#[derive(Debug, Clone)]
pub struct Appservice {
    /// Its `as_token`.
    pub token: SecretString,
    /// With what the localparts of its namespace begin.
    pub prefix: String,
    /// The full Matrix ID of its own user (`sender_localpart`).
    pub sender: String,
}

/// An account that an address is bound to.
#[derive(Debug, Clone)]
pub struct Owner {
    /// Its full Matrix ID.
    pub user_id: String,
    /// Its password.
    pub password: SecretString,
}

/// A bound e-mail address.
#[derive(Debug, Clone)]
pub struct Email {
    /// The address.
    pub address: String,
    /// Whose it is.
    pub owner: Owner,
}

/// A bound phone number.
#[derive(Debug, Clone)]
pub struct Phone {
    /// In canonical form: digits with the country code.
    pub address: String,
    /// The country in which it can be dialled as `number`, by its two letters.
    pub country: String,
    /// As somebody there would type it.
    pub number: String,
    /// Whose it is.
    pub owner: Owner,
}

/// The user of an application service that its cases log in as, behind the prefix: registered by
/// the first run and used again by later ones.
pub(super) const SERVICE_USER: &str = "homespec";

impl Operator {
    /// The names of what is given, as cases ask for it in `needs`.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let given = [
            ("admin", self.admin_token.is_some()),
            ("appservice", self.appservice.is_some()),
            ("email", self.email.is_some()),
            ("phone", self.phone.is_some()),
            ("registration", self.registration_token.is_some()),
        ];
        let acts = Act::VARIANTS.iter().map(|act| (act.as_str(), self.can(*act)));
        let names = given.into_iter().chain(acts).filter(|(_, there)| *there);
        names.map(|(name, _)| name.to_owned()).collect()
    }

    fn can(&self, act: Act) -> bool {
        self.hooks.contains_key(&act) || self.admin_token.is_some()
    }

    /// The values of `$operator.…`.
    pub(crate) fn values(&self) -> BTreeMap<String, Value> {
        let mut values = BTreeMap::new();
        let mut put = |name: &str, value: &str| {
            values.insert(format!("operator.{name}"), json!(value));
        };
        if let Some(service) = &self.appservice {
            put("appservice.token", service.token.expose_secret());
            put("appservice.prefix", &service.prefix);
            let user = format!("{}{SERVICE_USER}", service.prefix);
            let (localpart, server) =
                service.sender.split_once(':').unwrap_or((&service.sender, ""));
            put("appservice.user", &user);
            put("appservice.user_id", &format!("@{user}:{server}"));
            put("appservice.sender", &service.sender);
            put("appservice.sender_localpart", localpart.trim_start_matches('@'));
        }
        if let Some(Email { address, owner }) = &self.email {
            put("email.address", address);
            put("email.address_other_case", &crate::accounts::account::other_case(address));
            put("email.user_id", &owner.user_id);
            put("email.password", owner.password.expose_secret());
        }
        if let Some(Phone { address, country, number, owner }) = &self.phone {
            put("phone.address", address);
            put("phone.country", country);
            put("phone.number", number);
            put("phone.user_id", &owner.user_id);
            put("phone.password", owner.password.expose_secret());
        }
        if let Some(token) = &self.registration_token {
            put("registration.token", token.expose_secret());
        }
        if let Some(token) = &self.admin_token {
            put("admin.token", token.expose_secret());
        }
        values
    }

    /// Lets a vault know every secret in it.
    pub(crate) fn tell(&self, vault: &Vault) {
        let tokens = [self.appservice.as_ref().map(|s| &s.token), self.admin_token.as_ref()];
        let owners = [self.email.as_ref().map(|e| &e.owner), self.phone.as_ref().map(|p| &p.owner)];
        if let Some(token) = &self.registration_token {
            vault.learn(SecretKind::RegistrationToken, token.expose_secret());
        }
        for token in tokens.into_iter().flatten() {
            vault.learn(SecretKind::AccessToken, token.expose_secret());
        }
        for owner in owners.into_iter().flatten() {
            vault.learn(SecretKind::Password, owner.password.expose_secret());
        }
    }

    /// Does something to an account; `told` is what the case says of it, by name. A hook comes before
    /// the admin's token. What is sent to the homeserver goes into `exchanges`.
    ///
    /// # Errors
    /// The reason why it was not done.
    pub(crate) async fn act(
        &self,
        act: Act,
        told: &[(String, String)],
        sender: &RequestSender,
        exchanges: &mut Vec<Exchange>,
    ) -> Result<(), Reason> {
        let done = match (self.hooks.get(&act), &self.admin_token) {
            (Some(hook), _) => by_hook(hook, act, told, sender).await,
            (None, Some(token)) => by_admin(token, act, told, sender, exchanges).await,
            (None, None) => Err("no hook was given".to_owned()),
        };
        if act == Act::Deactivate && done.is_ok() {
            let user = told.iter().find(|(name, _)| name == "user_id");
            user.iter().for_each(|(_, id)| sender.created.remove(id));
        }
        done.map_err(|why| Reason::Operator(format!("{}: {why}", self.key_of(act))))
    }

    /// Returns true if an act is done by a hook, whose effect is still to be seen.
    pub(crate) fn has_hook(&self, act: Act) -> bool {
        self.hooks.contains_key(&act)
    }

    /// The key under `operator:` that does an act.
    fn key_of(&self, act: Act) -> String {
        match self.has_hook(act) {
            true => format!("operator.hooks.{}", act.as_str()),
            false => "operator.admin_token".to_owned(),
        }
    }
}

/// Runs a hook with `HOMESPEC_TARGET`, `HOMESPEC_ACT` and what is told as `HOMESPEC_NAME`.
async fn by_hook(
    hook: &ExternalCommand,
    act: Act,
    told: &[(String, String)],
    sender: &RequestSender,
) -> Result<(), String> {
    let names: Vec<String> =
        told.iter().map(|(name, _)| format!("HOMESPEC_{}", name.to_ascii_uppercase())).collect();
    let target = sender.http.target().to_string();
    let mut variables = vec![("HOMESPEC_TARGET", target.as_str()), ("HOMESPEC_ACT", act.as_str())];
    variables
        .extend(names.iter().zip(told).map(|(name, (_, value))| (name.as_str(), value.as_str())));
    let ran = hook.run(&variables, &sender.stop).await;
    ran.map(|_| ()).map_err(|failed| {
        let why = failed.text(&sender.http.vault().redactor());
        format!("{why}; try it by hand: docs/accounts.md describes its environment")
    })
}

/// A way to do something with an admin's token: method, path before the user id, body.
type Way = (&'static str, &'static str, Value);

/// The ways in the order tried: that of the specification (since v1.18), then Synapse's.
fn ways(act: Act, told: &[(String, String)]) -> Vec<Way> {
    let address = told.iter().find(|(name, _)| name == "address").map(|(_, value)| value);
    let lock = |locked: bool| {
        vec![
            ("PUT", "/_matrix/client/v1/admin/lock/", json!({"locked": locked})),
            ("PUT", "/_synapse/admin/v2/users/", json!({"locked": locked})),
        ]
    };
    match act {
        Act::Lock => lock(true),
        Act::Unlock => lock(false),
        Act::Suspend => vec![
            ("PUT", "/_matrix/client/v1/admin/suspend/", json!({"suspended": true})),
            ("PUT", "/_synapse/admin/v1/suspend/", json!({"suspend": true})),
        ],
        Act::Deactivate => vec![("POST", "/_synapse/admin/v1/deactivate/", json!({}))],
        Act::BindEmail => vec![(
            "PUT",
            "/_synapse/admin/v2/users/",
            json!({"threepids": [{"medium": "email", "address": address}]}),
        )],
    }
}

/// Asks as an admin; a server that does not know the first way is asked the next.
async fn by_admin(
    token: &SecretString,
    act: Act,
    told: &[(String, String)],
    sender: &RequestSender,
    exchanges: &mut Vec<Exchange>,
) -> Result<(), String> {
    let user_id = told.iter().find(|(name, _)| name == "user_id").map_or("", |(_, value)| value);
    let mut why = String::new();
    for (method, path, body) in ways(act, told) {
        let whole = format!("{path}{}", encode_segment(user_id));
        let request = Request::new(None, method, &whole).bearer(token.expose_secret()).json(&body);
        let response = sender.response(&request, Limits::Wait, exchanges).await;
        let response = response.map_err(|reason| reason.text())?;
        if response.is_success() {
            return Ok(());
        }
        let advice = match response.status {
            401 => "the token has expired or is another server's: give a new one",
            403 => "give the token of an administrator",
            404 | 405 => "the server does not support this call: give a hook",
            _ => "see the server's log",
        };
        why = format!("{}; {advice}", in_words(&format!("{method} {path}…"), &response));
        // What this server does not know, it may have under another path.
        if !matches!(response.status, 404 | 405) {
            return Err(why);
        }
    }
    Err(why)
}
