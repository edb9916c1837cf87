//! `GET` and `POST /login`.

use super::answer::{Answer, Outcome, Stop};
use super::context::{Members, RequestContext, parse_object, required};
use super::identity::{Identified, identify};
use super::login_token::{by_token, spend};
use super::opening::{Wish, another, open_session};
use super::refusal::Refusal;
use super::release::{r0, v1};
use super::store::Account;
use super::{fault, quirk, service};
use serde_json::{Value, json};

/// The members of a login that some release knows.
const KNOWN: [&str; 10] = [
    "address",
    "device_id",
    "identifier",
    "initial_device_display_name",
    "medium",
    "password",
    "refresh_token",
    "token",
    "type",
    "user",
];

/// `GET /login`: the login types.
pub(super) fn flows(ctx: &mut RequestContext) -> Outcome {
    let settings = &ctx.server.settings;
    if !settings.legacy {
        return Err(Refusal::NoLegacyFlows.into());
    }
    let mut flows = Vec::new();
    if !ctx.has(quirk::SSO_ONLY) {
        flows.push(json!({"type": "m.login.password"}));
    }
    if ctx.server.listed.since(r0(3)) && !ctx.has(quirk::UNLISTED_TYPES) {
        let mut token = json!({"type": "m.login.token"});
        if settings.get_token && ctx.server.listed.since(v1(7)) {
            token["get_login_token"] = json!(true);
        }
        flows.push(token);
    }
    if settings.sso {
        let mut sso = json!({"type": "m.login.sso"});
        if ctx.server.listed.since(v1(1)) {
            let mut house = json!({"id": "house", "name": "The house", "brand": "house"});
            if ctx.has(quirk::PROVIDER_ICON) {
                house["icon"] =
                    json!(format!("mxc://{}/{}", settings.server_name, super::sso::ICON));
            }
            sso["identity_providers"] = json!([house]);
        }
        if ctx.server.listed.since(v1(18)) && ctx.has(quirk::OAUTH_AWARE) {
            sso["oauth_aware_preferred"] = json!(true);
        }
        flows.push(sso);
    }
    if ctx.has(quirk::CAS) {
        flows.push(json!({"type": "m.login.cas"}));
    }
    if ctx.server.listed.since(v1(2)) {
        flows.push(json!({"type": "m.login.application_service"}));
    }
    Ok(Answer::ok(json!({"flows": flows})))
}

/// `POST /login`.
pub(super) fn login(ctx: &mut RequestContext) -> Outcome {
    if !ctx.server.settings.legacy {
        let service = ctx.server.listed.since(v1(17)) && ctx.is_service();
        let told = service && !ctx.has(fault::SERVICE_LOGIN_UNTOLD);
        let refusal = if told { Refusal::ServiceLoginUnsupported } else { Refusal::NoLegacyLogin };
        return Err(refusal.into());
    }
    ctx.login_permit(&format!("address {}", ctx.call.peer.ip()))?;
    let body = read(ctx)?;
    let kind = kind(ctx, &body)?;
    let user = match kind {
        "m.login.password" if !ctx.has(quirk::SSO_ONLY) => by_password(ctx, &body)?,
        "m.login.token"
            if ctx.server.listed.since(r0(3)) && !ctx.has(fault::LOGIN_TOKEN_TYPE_REFUSED) =>
        {
            by_token(ctx, &body)?
        }
        "m.login.application_service" if ctx.server.listed.since(v1(2)) => {
            service::login(ctx, &body)?
        }
        _ if ctx.has(fault::TYPE_UNKNOWN_AS_PASSWORD) => by_password(ctx, &body)?,
        _ => return Err(Refusal::TypeUnknown.into()),
    };
    refuse_by_policy(ctx, &body)?;
    let wish = Wish::read(ctx, &body)?;
    let mut answer = Answer::ok(Value::Object(open_session(ctx, &user, &wish)?));
    if kind == "m.login.token" {
        spend(ctx, &body);
    }
    if kind == service::TYPE && ctx.has(fault::SERVICE_LOGIN_SAME_TOKEN) {
        answer.put("access_token", json!(ctx.presented_token()));
    }
    if ctx.server.settings.well_known {
        answer.put("well_known", super::discovery::document(ctx.server));
    }
    Ok(answer)
}

/// The body of a login. The media type is looked at by faults alone.
fn read(ctx: &RequestContext) -> Result<Members, Refusal> {
    let media_type = ctx.call.header("content-type");
    let unread = ctx.has(fault::LOGIN_NEEDS_CONTENT_TYPE) && media_type.is_none()
        || ctx.has(fault::LOGIN_CONTENT_TYPE_EXACT)
            && media_type.is_some_and(|kind| kind.contains(';'));
    if unread {
        return Err(Refusal::NotJson);
    }
    let body = &ctx.call.body;
    let members = if ctx.has(fault::LOGIN_READ_AS_LATIN1) {
        parse_object(body.iter().map(|byte| char::from(*byte)).collect::<String>().as_bytes())
    } else if ctx.has(fault::LOGIN_ESCAPES_KEPT) {
        parse_object(String::from_utf8_lossy(body).replace("\\u", "\\\\u").as_bytes())
    } else if ctx.has(fault::LOGIN_SURROGATES_APART) {
        parse_object(surrogates_apart(&String::from_utf8_lossy(body)).as_bytes())
    } else {
        parse_object(body)
    }?;
    let names = || members.keys().map(String::as_str);
    if ctx.has(fault::LOGIN_REFUSES_UNKNOWN_KEYS) && names().any(|name| !KNOWN.contains(&name)) {
        return Err(Refusal::MemberInvalid);
    }
    if ctx.has(fault::LOGIN_REFUSES_NAMESPACED_KEYS) && names().any(|name| name.contains('.')) {
        return Err(Refusal::WrongPassword);
    }
    Ok(members)
}

/// Reads escapes one by one: each half of a surrogate pair becomes a replacement character.
fn surrogates_apart(text: &str) -> String {
    let mut pieces = text.split("\\u");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let code = piece.get(..4).and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let half = code.is_some_and(|code| (0xd800..=0xdfff).contains(&code));
        out.push_str(if half { "\\ufffd" } else { "\\u" });
        out.push_str(piece.get(if half { 4 } else { 0 }..).unwrap_or_default());
    }
    out
}

/// The login type.
fn kind<'a>(ctx: &RequestContext, body: &'a Members) -> Result<&'a str, Refusal> {
    match body.get("type") {
        None if ctx.has(fault::TYPE_DEFAULTS) => Ok("m.login.password"),
        Some(kind) if !kind.is_string() && ctx.has(fault::TYPE_NUMBER_AS_PASSWORD) => {
            Ok("m.login.password")
        }
        _ => required(body, "type", Refusal::TypeMissing, Refusal::TypeNotString),
    }
}

/// Refuses logins with right credentials, as some faults and quirks do.
fn refuse_by_policy(ctx: &mut RequestContext, body: &Members) -> Result<(), Stop> {
    ctx.store.logins += 1;
    let by_token = body.get("type") == Some(&json!("m.login.token"));
    let asks =
        ctx.has(fault::LOGIN_NEEDS_TOKEN) || by_token && ctx.has(fault::TOKEN_LOGIN_NEEDS_TOKEN);
    if asks && ctx.presented_token().is_none() {
        return Err(Refusal::MissingToken.into());
    }
    let refused = ctx.has(fault::REFRESH_FLAG_REFUSED)
        || by_token && ctx.has(fault::TOKEN_LOGIN_REFRESH_FLAG_REFUSED);
    if refused && body.get("refresh_token") == Some(&json!(true)) {
        return Err(Refusal::MemberInvalid.into());
    }
    if ctx.has(quirk::RESOURCE_LIMIT) && ctx.store.logins.is_multiple_of(8) {
        return Err(Refusal::ResourceLimit.into());
    }
    if !ctx.store.logins.is_multiple_of(5) {
        return Ok(());
    }
    let limited = |refusal: Refusal, member: &str, value: Value| {
        let mut answer = Answer::from(refusal);
        answer.put(member, value);
        Err(answer.into())
    };
    match () {
        () if ctx.has(fault::RESOURCE_LIMIT_BARE) => {
            Err(Refusal::ResourceLimit.without("admin_contact").into())
        }
        () if ctx.has(fault::RESOURCE_LIMIT_CONTACT_NUMBER) => {
            limited(Refusal::ResourceLimit, "admin_contact", json!(7))
        }
        () if ctx.has(fault::USER_LIMIT_BARE) => Err(Refusal::UserLimit.without("info_uri").into()),
        () if ctx.has(fault::USER_LIMIT_INFO_NUMBER) => {
            limited(Refusal::UserLimit, "info_uri", json!(7))
        }
        () if ctx.has(fault::USER_LIMIT_UPGRADE_TEXT) => {
            limited(Refusal::UserLimit, "can_upgrade", json!("yes"))
        }
        () => Ok(()),
    }
}

/// The account that a password login is for.
fn by_password(ctx: &mut RequestContext, body: &Members) -> Result<String, Stop> {
    let unasked = match body.get("password") {
        None => ctx.has(fault::PASSWORD_MISSING_LOGS_IN),
        Some(password) => password.is_null() && ctx.has(fault::PASSWORD_NULL_LOGS_IN),
    };
    let password = match unasked {
        true => None,
        false => {
            Some(required(body, "password", Refusal::PasswordMissing, Refusal::PasswordNotString)?)
        }
    };
    let user = match identify(ctx, body)? {
        Identified::Local(user) => user,
        Identified::Stranger(Refusal::UnknownUser) if ctx.has(fault::UNKNOWN_USER_MADE) => {
            make_account(ctx, body)?
        }
        Identified::Stranger(Refusal::ForeignUser) if ctx.has(quirk::FOREIGN_400) => {
            return Err(Refusal::InvalidUsername.into());
        }
        Identified::Stranger(refusal) => return Err(refusal.into()),
    };
    ctx.login_permit(&format!("account {user}"))?;
    let account = ctx.store.accounts.get(&user).ok_or(Refusal::UnknownUser)?;
    if !password.is_none_or(|password| matches(ctx, account, password)) || account.locked {
        fail(ctx, &user, body);
        return Err(Refusal::WrongPassword.into());
    }
    if account.deactivated && !ctx.has(fault::DEACTIVATED_LOGS_IN) {
        return Err(Refusal::UserDeactivated.into());
    }
    if account.closed && !ctx.has(fault::LOCKED_LOGS_IN) {
        return Err(Refusal::UserLocked.into());
    }
    if account.suspended && ctx.has(fault::SUSPENDED_REFUSED) {
        return Err(Refusal::UserSuspended.into());
    }
    Ok(if opens_another(ctx, body) { another(ctx, &user) } else { user })
}

/// Whether a login that names an address opens a session of somebody else, as faults have it.
fn opens_another(ctx: &RequestContext, body: &Members) -> bool {
    let identifier = body.get("identifier");
    let member = |name| identifier.and_then(|identifier| identifier.get(name)?.as_str());
    match (member("type"), member("medium")) {
        (Some("m.id.thirdparty"), Some("email")) => ctx.has(fault::EMAIL_OF_ANOTHER),
        (Some("m.id.thirdparty"), Some("msisdn")) => ctx.has(fault::MSISDN_OF_ANOTHER),
        (Some("m.id.phone"), _) => ctx.has(fault::PHONE_OF_ANOTHER),
        (None, _) if body.contains_key("medium") => ctx.has(fault::LEGACY_EMAIL_OF_ANOTHER),
        _ => false,
    }
}

/// Whether a password is the account's.
fn matches(ctx: &RequestContext, account: &Account, given: &str) -> bool {
    let Some(kept) = account.password.as_deref() else { return false };
    let beginning = |text: &str| text.chars().take(8).collect::<String>();
    given == kept
        || ctx.has(fault::ANY_PASSWORD)
        || ctx.has(fault::PASSWORD_TRIMMED) && given.trim() == kept
        || ctx.has(fault::PASSWORD_FOLDED) && given.to_lowercase() == kept.to_lowercase()
        || ctx.has(fault::PASSWORD_TRUNCATED) && beginning(given) == beginning(kept)
        || ctx.has(fault::PASSWORD_PREFIX) && kept.starts_with(given)
        || ctx.has(fault::PASSWORD_EMPTY) && given.is_empty()
        || ctx.has(fault::PASSWORD_OLD_TOO) && account.former_password.as_deref() == Some(given)
}

/// What faults do when a password is wrong.
fn fail(ctx: &mut RequestContext, user: &str, body: &Members) {
    let device = body.get("device_id").and_then(Value::as_str);
    let made = device.filter(|_| ctx.has(fault::FAILURE_MAKES_DEVICE));
    if let (Some(device), Some(account)) = (made, ctx.store.accounts.get_mut(user)) {
        account.devices.entry(device.to_owned()).or_default();
    }
    if let Some(device) = device.filter(|_| ctx.has(fault::FAILURE_ENDS_DEVICE)) {
        ctx.store.end_access(user, device, Refusal::LoggedOutToken, None);
    }
    if ctx.has(fault::FAILURE_ENDS_SESSIONS) {
        for device in ctx.store.device_ids(user) {
            ctx.store.end_access(user, &device, Refusal::LoggedOutToken, None);
        }
    }
}

/// Makes the account that a login names, for the fault that does so.
fn make_account(ctx: &mut RequestContext, body: &Members) -> Result<String, Stop> {
    let name = body
        .get("identifier")
        .and_then(|identifier| identifier.get("user"))
        .or_else(|| body.get("user"));
    let localpart = name
        .and_then(Value::as_str)
        .and_then(|name| ctx.server.localpart(name))
        .unwrap_or_default();
    super::account::check_free(ctx, localpart)?;
    let password = body.get("password").and_then(Value::as_str).map(str::to_owned);
    ctx.store.accounts.insert(localpart.to_owned(), Account { password, ..Account::default() });
    Ok(localpart.to_owned())
}
