//! `GET` and `POST /login`, and the login tokens of `POST /v1/login/get_token`.

use super::answer::{Answer, Outcome, Stop};
use super::house::{Exchange, Members, flag, required, text};
use super::refusal::Refusal;
use super::release::{r0, v1};
use super::store::{Access, Device, Refresh};
use super::uia::{self, Proof};
use serde_json::{Value, json};
use std::time::Duration;

/// The longest device id taken, in bytes.
const DEVICE_ID_LIMIT: usize = 512;

/// `GET /login`: the login types.
pub(super) fn flows(x: &mut Exchange) -> Outcome {
    let settings = &x.house.settings;
    if !settings.legacy {
        return Err(Refusal::NoLegacyFlows.into());
    }
    let mut flows = vec![json!({"type": "m.login.password"})];
    if x.house.listed.since(r0(3)) {
        let mut token = json!({"type": "m.login.token"});
        if settings.get_token && x.house.listed.since(v1(7)) {
            token["get_login_token"] = json!(true);
        }
        flows.push(token);
    }
    if settings.sso {
        let mut sso = json!({"type": "m.login.sso"});
        if x.house.listed.since(v1(1)) {
            sso["identity_providers"] =
                json!([{"id": "house", "name": "The house", "brand": "house"}]);
        }
        flows.push(sso);
    }
    if x.house.listed.since(v1(2)) {
        flows.push(json!({"type": "m.login.application_service"}));
    }
    Ok(Answer::ok(json!({"flows": flows})))
}

/// What a client asks of the session that a login or a registration opens.
#[derive(Debug, Default)]
pub(super) struct Wish {
    device_id: Option<String>,
    display_name: Option<String>,
    refresh: bool,
}

impl Wish {
    /// Reads `device_id`, `initial_device_display_name` and `refresh_token`.
    pub(super) fn read(body: &Members) -> Result<Self, Refusal> {
        let device_id = text(body, "device_id", Refusal::DeviceIdNotString)?;
        if device_id.is_some_and(|id| id.is_empty() || id.len() > DEVICE_ID_LIMIT) {
            return Err(Refusal::DeviceIdInvalid);
        }
        let display_name =
            text(body, "initial_device_display_name", Refusal::DisplayNameNotString)?;
        let refresh = flag(body, "refresh_token", Refusal::RefreshFlagNotBoolean)?;
        Ok(Self {
            device_id: device_id.map(str::to_owned),
            display_name: display_name.map(str::to_owned),
            refresh: refresh == Some(true),
        })
    }
}

/// `POST /login`.
pub(super) fn login(x: &mut Exchange) -> Outcome {
    if !x.house.settings.legacy {
        return Err(Refusal::NoLegacyLogin.into());
    }
    x.login_permit(&format!("address {}", x.call.peer.ip()))?;
    let body = x.object()?;
    let kind = required(&body, "type", Refusal::TypeMissing, Refusal::TypeNotString)?;
    let user = match kind {
        "m.login.password" => by_password(x, &body)?,
        "m.login.token" if x.house.listed.since(r0(3)) => by_token(x, &body)?,
        "m.login.application_service" if x.house.listed.since(v1(2)) => {
            return Err(by_service(x).into());
        }
        _ => return Err(Refusal::TypeUnknown.into()),
    };
    let wish = Wish::read(&body)?;
    let mut answer = Answer::ok(Value::Object(open_session(x, &user, &wish)?));
    if kind == "m.login.token" {
        spend_login_token(x, &body);
    }
    if x.house.settings.well_known {
        answer.put("well_known", super::discovery::document(x.house));
    }
    Ok(answer)
}

/// The account that a request names.
pub(super) enum Identified {
    /// The localpart of an account here.
    Local(String),
    /// No account here, and why.
    Stranger(Refusal),
}

/// Finds the account in a login or a password stage: by `identifier`, else by the older `user`, else by the older
/// `medium` and `address`.
pub(super) fn identify(x: &Exchange, body: &Members) -> Result<Identified, Refusal> {
    let wrong = Refusal::IdentifierWrongType;
    let Some(identifier) = body.get("identifier") else {
        if let Some(user) = text(body, "user", wrong)? {
            return Ok(named(x, user));
        }
        return match (text(body, "medium", wrong)?, text(body, "address", wrong)?) {
            (Some(medium), Some(address)) => Ok(third_party(x, medium, address)),
            (None, None) => Err(Refusal::IdentifierMissing),
            _ => Err(Refusal::IdentifierThirdPartyMissing),
        };
    };
    let identifier = identifier.as_object().ok_or(Refusal::IdentifierNotObject)?;
    match required(identifier, "type", Refusal::IdentifierTypeMissing, wrong)? {
        "m.id.user" => {
            Ok(named(x, required(identifier, "user", Refusal::IdentifierUserMissing, wrong)?))
        }
        "m.id.thirdparty" => {
            let missing = Refusal::IdentifierThirdPartyMissing;
            let medium = required(identifier, "medium", missing, wrong)?;
            Ok(third_party(x, medium, required(identifier, "address", missing, wrong)?))
        }
        "m.id.phone" => {
            let missing = Refusal::IdentifierPhoneMissing;
            let country = required(identifier, "country", missing, wrong)?;
            Ok(phone(x, country, required(identifier, "phone", missing, wrong)?))
        }
        _ => Err(Refusal::IdentifierTypeUnknown),
    }
}

/// The account with a user name: a localpart or a full id.
fn named(x: &Exchange, name: &str) -> Identified {
    let Some(localpart) = x.house.localpart(name) else {
        return Identified::Stranger(Refusal::ForeignUser);
    };
    if x.store.accounts.contains_key(localpart) {
        Identified::Local(localpart.to_owned())
    } else {
        Identified::Stranger(Refusal::UnknownUser)
    }
}

/// The account to which an address is bound. E-mail addresses are compared after folding their case.
fn third_party(x: &Exchange, medium: &str, address: &str) -> Identified {
    let same = |bound: &str| match medium {
        "email" => bound.to_lowercase() == address.to_lowercase(),
        _ => bound == address,
    };
    let bound = x
        .house
        .settings
        .third_party
        .iter()
        .find(|bound| bound.medium == medium && same(&bound.address));
    bound.map_or(Identified::Stranger(Refusal::UnknownThirdParty), |bound| named(x, &bound.user))
}

/// The account to which a phone number is bound, from the number as somebody types it in a country.
fn phone(x: &Exchange, country: &str, number: &str) -> Identified {
    let code = match country.to_ascii_uppercase().as_str() {
        "GB" => "44",
        "US" | "CA" => "1",
        "FR" => "33",
        "DE" => "49",
        _ => return Identified::Stranger(Refusal::UnknownPhone),
    };
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let address = match digits.strip_prefix('0') {
        _ if number.starts_with('+') => digits,
        Some(national) => format!("{code}{national}"),
        None => format!("{code}{digits}"),
    };
    match third_party(x, "msisdn", &address) {
        Identified::Stranger(_) => Identified::Stranger(Refusal::UnknownPhone),
        local @ Identified::Local(_) => local,
    }
}

/// The account that a password login is for.
fn by_password(x: &mut Exchange, body: &Members) -> Result<String, Stop> {
    let password =
        required(body, "password", Refusal::PasswordMissing, Refusal::PasswordNotString)?;
    let user = match identify(x, body)? {
        Identified::Local(user) => user,
        Identified::Stranger(refusal) => return Err(refusal.into()),
    };
    x.login_permit(&format!("account {user}"))?;
    let account = x.store.accounts.get(&user).ok_or(Refusal::UnknownUser)?;
    if account.password.as_deref() != Some(password) {
        return Err(Refusal::WrongPassword.into());
    }
    if account.deactivated {
        return Err(Refusal::UserDeactivated.into());
    }
    Ok(user)
}

/// The account that a token login is for. The token is spent only when the login succeeds.
fn by_token(x: &mut Exchange, body: &Members) -> Result<String, Stop> {
    let token = required(body, "token", Refusal::LoginTokenMissing, Refusal::LoginTokenNotString)?;
    let made = x.store.login_tokens.get(token).ok_or(Refusal::LoginTokenInvalid)?;
    if made.spent {
        return Err(Refusal::LoginTokenSpent.into());
    }
    if made.expires <= x.now {
        return Err(Refusal::LoginTokenExpired.into());
    }
    let user = made.user.clone();
    if x.store.accounts.get(&user).is_none_or(|account| account.deactivated) {
        return Err(Refusal::UserDeactivated.into());
    }
    Ok(user)
}

fn spend_login_token(x: &mut Exchange, body: &Members) {
    let token = body.get("token").and_then(Value::as_str).unwrap_or_default();
    if let Some(made) = x.store.login_tokens.get_mut(token) {
        made.spent = true;
    }
}

/// Why an application service cannot log in: none is registered here.
fn by_service(x: &Exchange) -> Refusal {
    match x.presented_token() {
        None => Refusal::ServiceTokenMissing,
        Some(token) if x.store.access.contains_key(token) => Refusal::ServiceTokenOfUser,
        Some(_) => Refusal::ServiceTokenUnknown,
    }
}

/// Opens a session on a new device, or on a known one, whose earlier tokens die. Gives the members of the answer.
pub(super) fn open_session(x: &mut Exchange, user: &str, wish: &Wish) -> Result<Members, Stop> {
    let device = match &wish.device_id {
        Some(id) if x.store.signing_public_keys(user).contains(id) => {
            return Err(Refusal::CrossSigningDevice.into());
        }
        Some(id) => id.clone(),
        None => x.store.device_id(),
    };
    x.store.end_access(user, &device, None);
    x.store.end_refresh(user, &device);
    if let Some(account) = x.store.accounts.get_mut(user) {
        let fresh = || Device { display_name: wish.display_name.clone(), ..Device::default() };
        account.devices.entry(device.clone()).or_insert_with(fresh);
    }
    let mut members = Members::new();
    members.insert("user_id".into(), json!(x.house.user_id(user)));
    members.insert("device_id".into(), json!(device));
    issue_tokens(x, user, &device, wish.refresh, None, &mut members);
    if !x.house.listed.v3_paths() {
        members.insert("home_server".into(), json!(x.house.settings.server_name));
    }
    Ok(members)
}

/// Puts a new access token into an answer, and a refresh token if one is wanted and a listed release knows them.
/// `made_from` is the refresh token that is traded in, which the first use of either revokes.
pub(super) fn issue_tokens(
    x: &mut Exchange,
    user: &str,
    device: &str,
    refresh: bool,
    made_from: Option<&str>,
    members: &mut Members,
) {
    let (user, device, made_from) =
        (user.to_owned(), device.to_owned(), made_from.map(str::to_owned));
    let access = x.store.token("access");
    let lifetime =
        x.house.settings.access_lifetime.filter(|_| refresh && x.house.listed.since(v1(3)));
    let session = Access {
        user: user.clone(),
        device: device.clone(),
        expires: lifetime.map(|lifetime| x.now + lifetime),
        made_from: made_from.clone(),
        dies: None,
    };
    x.store.access.insert(access.clone(), session);
    members.insert("access_token".into(), json!(access));
    if let Some(lifetime) = lifetime {
        let token = x.store.token("refresh");
        x.store.refresh.insert(token.clone(), Refresh { user, device, made_from });
        members.insert("refresh_token".into(), json!(token));
        members.insert("expires_in_ms".into(), milliseconds(lifetime));
    }
}

fn milliseconds(duration: Duration) -> Value {
    json!(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// `POST /v1/login/get_token`: a login token for another client of the caller, after interactive auth.
pub(super) fn get_token(x: &mut Exchange) -> Outcome {
    let owner = x.full_owner()?;
    let body = x.object()?;
    if let Some(limit) = x.house.settings.get_token_limit {
        let permit = x.store.buckets.take(limit, &format!("get_token {}", owner.user), x.now);
        permit.map_err(|wait| Stop::from(Answer::limited(wait)))?;
    }
    let binding = format!("get_token {}", owner.user);
    uia::pass(x, &Proof { binding, owner: Some(&owner.user), flows: &[&[uia::PASSWORD]] }, &body)?;
    let lifetime = x.house.settings.login_token_lifetime;
    let token = x.store.login_token(&owner.user, x.now, lifetime);
    Ok(Answer::ok(json!({"login_token": token, "expires_in_ms": milliseconds(lifetime)})))
}
