//! Accounts: change of password, deactivation, and Synapse's admin call that makes accounts with a
//! secret that both sides know.

use super::answer::{Answer, Outcome};
use super::context::{Members, Owner, RequestContext, flag, required, text};
use super::lifetime::{end_device, end_login_tokens};
use super::opening::{LoginOptions, open_session};
use super::policy::{NewPassword, OtherSessions, SessionEnd};
use super::refusal::Refusal;
use super::store::{Access, Account};
use super::uia;
use super::user_name::check_free;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;
use std::borrow::Cow;
use std::time::Duration;

/// How long a nonce of the admin call is good.
const NONCE_LIFETIME: Duration = Duration::from_secs(60);

/// `GET /account/3pid`: the addresses that are bound to the account.
pub(super) fn addresses(ctx: &mut RequestContext) -> Outcome {
    let owner = ctx.owner()?;
    let all = ctx.server.settings.third_party.iter().chain(&ctx.store.third_party);
    let listed: Vec<Value> = all
        .filter(|bound| bound.user == owner.user)
        .map(|bound| {
            let (medium, address) = (&bound.medium, &bound.address);
            json!({"medium": medium, "address": address, "added_at": 0, "validated_at": 0})
        })
        .collect();
    Ok(Answer::ok(json!({"threepids": listed})))
}

/// `POST /account/password`: sets a new password and, unless the client says otherwise, ends all other sessions.
pub(super) fn change_password(ctx: &mut RequestContext) -> Outcome {
    let policy = &ctx.policy().password;
    let owner = ctx.full_owner()?;
    if let Some(refusal) = policy.refused {
        return Err(refusal.into());
    }
    let body = ctx.object()?;
    let binding = format!("password {}", owner.user);
    let auth_first = ctx.policy().uia.before_members && !policy.without_uia;
    if auth_first {
        uia::confirm(ctx, &owner, binding.clone(), &body)?;
    }
    let password = new_password(policy.new_password, &body)?;
    let password = password.as_deref();
    let logout_devices = flag(&body, "logout_devices", Refusal::MemberWrongType)?.unwrap_or(true);
    let user = password_owner(ctx, &owner, &body);
    if ctx.policy().uia.works_before == Some(ctx.call.operation) {
        set_password(ctx, &user, password);
    }
    if !policy.without_uia && !auth_first {
        uia::confirm(ctx, &owner, binding, &body)?;
    }
    if password.is_none() && policy.new_password == NewPassword::MissingChangesNothing {
        return Ok(Answer::empty());
    }
    policy.trouble.check(password.ok_or(Refusal::PasswordMissing)?)?;
    if !policy.changes_nothing {
        set_password(ctx, &user, password);
    }
    end_other_sessions(ctx, &owner, logout_devices);
    Ok(Answer::empty())
}

/// The new password: `None` if absent.
fn new_password(policy: NewPassword, body: &Members) -> Result<Option<Cow<'_, str>>, Refusal> {
    match body.get("new_password") {
        Some(value) if !value.is_string() && policy == NewPassword::NonStringIsText => {
            Ok(Some(value.to_string().into()))
        }
        _ => Ok(text(body, "new_password", Refusal::PasswordNotString)?.map(Cow::Borrowed)),
    }
}

/// Whose password is changed: that of the user who asks.
fn password_owner(ctx: &RequestContext, owner: &Owner, body: &Members) -> String {
    let named =
        body.get("user").and_then(Value::as_str).filter(|_| ctx.policy().identity.body_user);
    let named = named.and_then(|name| ctx.server.localpart(name));
    named.unwrap_or(&owner.user).to_owned()
}

fn set_password(ctx: &mut RequestContext, user: &str, password: Option<&str>) {
    if let (Some(account), Some(password)) = (ctx.store.accounts.get_mut(user), password) {
        account.former_password = account.password.replace(password.to_owned());
    }
}

/// Ends sessions after a change of password: the others, if the client wants that.
fn end_other_sessions(ctx: &mut RequestContext, owner: &Owner, logout_devices: bool) {
    let policy = &ctx.policy().password;
    let ends_others = match policy.other_sessions {
        OtherSessions::AsAsked => logout_devices,
        OtherSessions::Kept => false,
        OtherSessions::Ended => true,
    };
    for device in ctx.store.device_ids(&owner.user) {
        let own = device == owner.device;
        if own && policy.ends_own_session || !own && ends_others {
            end_device(ctx, &owner.user, &device, SessionEnd::PasswordChange, None);
        } else if !own && policy.soft_logout {
            let now = ctx.now;
            let of_device =
                |session: &&mut Access| session.user == owner.user && session.device == device;
            for session in ctx.store.access.values_mut().filter(of_device) {
                session.expires = Some(now);
            }
        }
    }
    end_login_tokens(ctx, owner);
}

/// `POST /account/deactivate`: ends all sessions; the name is never free again.
pub(super) fn deactivate(ctx: &mut RequestContext) -> Outcome {
    let policy = &ctx.policy().deactivation;
    let owner = ctx.full_owner()?;
    let body = ctx.object()?;
    if ctx.policy().uia.works_before == Some(ctx.call.operation) {
        close(ctx, &owner.user, &owner.device);
    }
    if !policy.without_uia {
        uia::confirm(ctx, &owner, format!("deactivate {}", owner.user), &body)?;
    }
    let result = unbind_result(ctx, &owner.user);
    close(ctx, &owner.user, &owner.device);
    Ok(Answer::ok(json!({"id_server_unbind_result": result})))
}

/// Success if there is nothing to unbind; there is no identity server to unbind anything from.
fn unbind_result(ctx: &RequestContext, user: &str) -> &'static str {
    let mut all = ctx.server.settings.third_party.iter().chain(&ctx.store.third_party);
    if all.any(|bound| bound.user == user) { "no-support" } else { "success" }
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
            end_device(ctx, user, &device, SessionEnd::Deactivation, None);
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
