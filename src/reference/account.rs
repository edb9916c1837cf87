//! Accounts: registration, change of password, deactivation, and Synapse's admin call that makes accounts with a
//! secret that both sides know.

use super::answer::{Answer, Outcome};
use super::context::{Members, RequestContext, flag, required, text};
use super::opening::{LoginOptions, open_session};
use super::policy::OtherSessions;
use super::refusal::Refusal;
use super::service;
use super::settings::ThirdParty;
use super::store::Account;
use super::uia::{self, Proof};
use super::user_name::check_free;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;
use std::time::Duration;

/// How long a nonce of the admin call is good.
const NONCE_LIFETIME: Duration = Duration::from_secs(60);

/// `GET /account/3pid`: the addresses that are bound to the account.
pub(super) fn addresses(ctx: &mut RequestContext) -> Outcome {
    let owner = ctx.owner()?;
    let listed: Vec<Value> = bound_to(ctx, &owner.user)
        .map(|bound| {
            let (medium, address) = (&bound.medium, &bound.address);
            json!({"medium": medium, "address": address, "added_at": 0, "validated_at": 0})
        })
        .collect();
    Ok(Answer::ok(json!({"threepids": listed})))
}

/// The addresses that are bound to an account.
fn bound_to<'a>(ctx: &'a RequestContext, user: &'a str) -> impl Iterator<Item = &'a ThirdParty> {
    let all = ctx.server.settings.third_party.iter().chain(&ctx.store.third_party);
    all.filter(move |bound| bound.user == user)
}

/// `POST /register`.
pub(super) fn register(ctx: &mut RequestContext) -> Outcome {
    match ctx.call.query("kind") {
        Some("guest") => return register_guest(ctx),
        None | Some("user") => {}
        Some(_) => return Err(Refusal::MemberInvalid.into()),
    }
    let by_service = !ctx.call.body.is_empty()
        && ctx.object()?.get("type").is_some_and(|kind| kind == service::TYPE);
    if by_service {
        return service::register(ctx, &ctx.object()?);
    }
    let settings = &ctx.server.settings;
    let flow: &[&str] = match (&settings.registration_token, settings.registration) {
        (Some(_), _) => &[uia::REGISTRATION_TOKEN, uia::DUMMY],
        (None, true) => &[uia::DUMMY],
        (None, false) => return Err(Refusal::RegistrationClosed.into()),
    };
    let body = ctx.object()?;
    let wanted = text(&body, "username", Refusal::MemberWrongType)?;
    if let Some(localpart) = wanted {
        check_free(ctx, localpart)?;
    }
    let inhibit_login = flag(&body, "inhibit_login", Refusal::MemberWrongType)?;
    let password = text(&body, "password", Refusal::PasswordNotString)?;
    let options = LoginOptions::read(ctx, &body)?;
    let binding = format!("register {}", wanted.unwrap_or_default());
    if !ctx.policy().registration.without_uia {
        uia::pass(ctx, &Proof { binding, owner: None, flows: &[flow] }, &body)?;
    }
    let password = password.ok_or(Refusal::PasswordMissing)?.to_owned();
    let localpart = wanted.map_or_else(|| ctx.store.device_id().to_lowercase(), str::to_owned);
    ctx.store
        .accounts
        .insert(localpart.clone(), Account { password: Some(password), ..Account::default() });
    if inhibit_login == Some(true) {
        return Ok(Answer::ok(json!({"user_id": ctx.server.user_id(&localpart)})));
    }
    Ok(Answer::ok(Value::Object(open_session(ctx, &localpart, &options)?)))
}

/// Makes a guest: an account without a password, whose device id the homeserver chooses. Of the body only the name of
/// the device counts.
fn register_guest(ctx: &mut RequestContext) -> Outcome {
    if !ctx.server.settings.guests {
        return Err(Refusal::GuestsRefused.into());
    }
    let body = if ctx.call.body.is_empty() { Members::new() } else { ctx.object()? };
    let options = LoginOptions::of_guest(ctx, &body)?;
    let localpart = format!("guest-{}", ctx.store.device_id().to_lowercase());
    ctx.store.accounts.insert(localpart.clone(), Account { guest: true, ..Account::default() });
    Ok(Answer::ok(Value::Object(open_session(ctx, &localpart, &options)?)))
}

/// `GET /register/available`.
pub(super) fn available(ctx: &mut RequestContext) -> Outcome {
    let name = ctx.call.query("username").ok_or(Refusal::MemberMissing)?;
    if !ctx.server.settings.registration && ctx.server.settings.registration_token.is_none() {
        return Err(Refusal::RegistrationClosed.into());
    }
    check_free(ctx, name)?;
    Ok(Answer::ok(json!({"available": true})))
}

/// `GET /v1/register/m.login.registration_token/validity`.
pub(super) fn token_validity(ctx: &mut RequestContext) -> Outcome {
    let token = ctx.call.query("token").ok_or(Refusal::MemberMissing)?;
    let settings = &ctx.server.settings;
    if !settings.registration && settings.registration_token.is_none() {
        return Err(Refusal::RegistrationClosed.into());
    }
    let valid = settings.registration_token.as_deref() == Some(token);
    Ok(Answer::ok(json!({"valid": valid})))
}

/// `PUT /profile/{userId}/displayname`: refused to a suspended account. The name is not kept, as no operation gives it.
pub(super) fn rename(ctx: &mut RequestContext) -> Outcome {
    let owner = ctx.owner()?;
    if ctx.server.localpart(ctx.call.parameter(0)) != Some(owner.user.as_str()) {
        return Err(Refusal::NotThisUser.into());
    }
    text(&ctx.object()?, "displayname", Refusal::MemberWrongType)?;
    let suspended = ctx.store.accounts.get(&owner.user).is_some_and(|account| account.suspended);
    if suspended { Err(Refusal::UserSuspended.into()) } else { Ok(Answer::empty()) }
}

/// `POST /account/password`: sets a new password and, unless the client says otherwise, ends all other sessions.
pub(super) fn change_password(ctx: &mut RequestContext) -> Outcome {
    let policy = &ctx.policy().password;
    let owner = ctx.full_owner()?;
    let body = ctx.object()?;
    let password = text(&body, "new_password", Refusal::PasswordNotString)?;
    let logout_devices = flag(&body, "logout_devices", Refusal::MemberWrongType)?.unwrap_or(true);
    if !policy.without_uia {
        uia::confirm(ctx, &owner, format!("password {}", owner.user), &body)?;
    }
    let password = password.ok_or(Refusal::PasswordMissing)?.to_owned();
    let account = ctx.store.accounts.get_mut(&owner.user);
    if let Some(account) = account.filter(|_| !policy.changes_nothing) {
        account.former_password = account.password.replace(password);
    }
    let ends_others = match policy.other_sessions {
        OtherSessions::AsAsked => logout_devices,
        OtherSessions::Kept => false,
        OtherSessions::Ended => true,
    };
    for device in ctx.store.device_ids(&owner.user) {
        let own = device == owner.device;
        if own && policy.ends_own_session || !own && ends_others {
            ctx.store.drop_device(&owner.user, &device, None);
        }
    }
    Ok(Answer::empty())
}

/// `POST /account/deactivate`: ends all sessions; the name is never free again.
pub(super) fn deactivate(ctx: &mut RequestContext) -> Outcome {
    let policy = &ctx.policy().deactivation;
    let owner = ctx.full_owner()?;
    let body = ctx.object()?;
    if !policy.without_uia {
        uia::confirm(ctx, &owner, format!("deactivate {}", owner.user), &body)?;
    }
    let bound = bound_to(ctx, &owner.user).next().is_some();
    close(ctx, &owner.user, &owner.device);
    // There is no identity server: nothing is unbound, and without identifiers there is nothing to unbind.
    let result = if bound { "no-support" } else { "success" };
    Ok(Answer::ok(json!({"id_server_unbind_result": result})))
}

/// Deactivates an account; `own` is the device that asks, empty if an administrator does.
pub(super) fn close(ctx: &mut RequestContext, user: &str, own: &str) {
    let policy = &ctx.policy().deactivation;
    for device in ctx.store.device_ids(user) {
        if policy.keeps_sessions.includes(device == own) {
            continue;
        }
        if policy.keeps_refresh_tokens {
            ctx.store.end_access(user, &device, Refusal::LoggedOutToken, None);
        } else {
            ctx.store.drop_device(user, &device, None);
        }
    }
    if let Some(account) = ctx.store.accounts.get_mut(user) {
        account.deactivated = true;
    }
}

/// `GET /_synapse/admin/v1/register`: a nonce.
pub(super) fn admin_nonce(ctx: &mut RequestContext) -> Outcome {
    let nonce = ctx.store.token("nonce");
    ctx.store.nonces.insert(nonce.clone(), ctx.now + NONCE_LIFETIME);
    Ok(Answer::ok(json!({"nonce": nonce})))
}

/// `POST /_synapse/admin/v1/register`: makes an account when the mac shows knowledge of the secret.
pub(super) fn admin_register(ctx: &mut RequestContext) -> Outcome {
    let body = ctx.object()?;
    let member = |name| required(&body, name, Refusal::MemberMissing, Refusal::MemberWrongType);
    let (nonce, username, password, mac) =
        (member("nonce")?, member("username")?, member("password")?, member("mac")?);
    if ctx.store.nonces.remove(nonce).is_none_or(|end| end <= ctx.now) {
        return Err(Refusal::NonceUnknown.into());
    }
    let secret = ctx.server.settings.shared_secret.as_deref().unwrap_or_default();
    if !mac_matches(secret, &signed_text(&body, nonce, username, password)?, mac) {
        return Err(Refusal::MacWrong.into());
    }
    check_free(ctx, username)?;
    let account = Account { password: Some(password.to_owned()), ..Account::default() };
    ctx.store.accounts.insert(username.to_owned(), account);
    let mut members = open_session(ctx, username, &LoginOptions::default())?;
    members.insert("home_server".into(), json!(ctx.server.settings.server_name));
    Ok(Answer::ok(Value::Object(members)))
}

/// What the mac is made over: the fields with NUL bytes between them, the user type only if it is given.
fn signed_text(
    body: &Members,
    nonce: &str,
    username: &str,
    password: &str,
) -> Result<String, Refusal> {
    let admin = flag(body, "admin", Refusal::MemberWrongType)?.unwrap_or(false);
    let role = if admin { "admin" } else { "notadmin" };
    let mut signed = [nonce, username, password, role].join("\0");
    if let Some(user_type) = body.get("user_type").filter(|value| !value.is_null()) {
        signed.push('\0');
        signed.push_str(user_type.as_str().ok_or(Refusal::MemberWrongType)?);
    }
    Ok(signed)
}

/// Whether `mac` is the HMAC-SHA1 of the text, in hexadecimal digits.
fn mac_matches(secret: &str, signed: &str, mac: &str) -> bool {
    let digits: Option<Vec<u8>> = mac
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok()))
        .collect();
    let Some(digits) = digits else { return false };
    let bytes: Vec<u8> =
        digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit)).collect();
    <Hmac<Sha1> as KeyInit>::new_from_slice(secret.as_bytes()).is_ok_and(|keyed| {
        digits.len() % 2 == 0 && keyed.chain_update(signed).verify_slice(&bytes).is_ok()
    })
}
