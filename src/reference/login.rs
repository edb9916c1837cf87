//! `GET` and `POST /login`.

use super::answer::{Answer, Outcome, Stop};
use super::context::{Members, RequestContext, parse_object, required};
use super::identity::{Identified, identify};
use super::login_token::{by_token, spend};
use super::opening::{LoginOptions, forget_access, forget_refresh, open_session};
use super::password::matches;
use super::policy::{
    AddressKind, AnsweredName, BodyReading, FailedLogin, LimitBody, LimitRefusal, LoginContentType,
    OddText, PasswordMember, TypeMember, UnknownMembers,
};
use super::refusal::Refusal;
use super::release::{r0, v1};
use super::store::Account;
use super::{service, sso, user_name};
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
    let (settings, policy, listed) = (&ctx.server.settings, ctx.policy(), &ctx.server.listed);
    if !settings.legacy {
        return Err(Refusal::NoLegacyFlows.into());
    }
    let mut flows = Vec::new();
    if !policy.login.no_password_login {
        flows.push(json!({"type": "m.login.password"}));
    }
    if listed.since(r0(3)) && !policy.login.token_login_unlisted {
        let gives = settings.get_token && listed.since(v1(7));
        flows.push(match gives {
            true => json!({"type": "m.login.token", "get_login_token": true}),
            false => json!({"type": "m.login.token"}),
        });
    }
    if settings.sso {
        flows.push(sso::flow(ctx.server));
    }
    if policy.sso.cas {
        flows.push(json!({"type": "m.login.cas"}));
    }
    if listed.since(v1(2)) {
        flows.push(json!({"type": service::TYPE}));
    }
    Ok(Answer::ok(json!({"flows": flows})))
}

/// `POST /login`.
pub(super) fn login(ctx: &mut RequestContext) -> Outcome {
    let (policy, listed) = (ctx.policy(), &ctx.server.listed);
    if !ctx.server.settings.legacy {
        let service = listed.since(v1(17)) && ctx.is_service();
        let told = service && !policy.service.login.unsupported_untold;
        let refusal = if told { Refusal::ServiceLoginUnsupported } else { Refusal::NoLegacyLogin };
        return Err(refusal.into());
    }
    if ctx.server.settings.address_limit {
        ctx.login_permit(&format!("address {}", ctx.call.peer.ip()))?;
    }
    let body = read(ctx)?;
    let kind = kind(policy.login.type_member, &body)?;
    let user = match kind {
        "m.login.password" if !policy.login.no_password_login => by_password(ctx, &body)?,
        "m.login.token" if listed.since(r0(3)) && !policy.login.token_login_unknown => {
            by_token(ctx, &body)?
        }
        service::TYPE if listed.since(v1(2)) => service::login(ctx, &body)?,
        _ if policy.login.type_member == TypeMember::UnknownIsPassword => by_password(ctx, &body)?,
        _ => return Err(Refusal::TypeUnknown.into()),
    };
    refuse_by_policy(ctx, &body)?;
    let options = read_options(ctx, &body, &user)?;
    let mut members = open_session(ctx, &user, &options)?;
    answer_as_typed(ctx, &body, &mut members);
    if kind == service::TYPE && policy.service.login.sender_tokens_dead {
        forget_of_sender(ctx, &user, &members);
    }
    if kind == "m.login.token" {
        spend(ctx, &body);
        if policy.login_tokens.dead_refresh_tokens {
            forget_refresh(ctx, &members);
        }
    }
    let mut answer = Answer::ok(Value::Object(members));
    if kind == service::TYPE && policy.service.login.gives_service_token {
        answer.put("access_token", json!(ctx.presented_token()));
    }
    if ctx.server.settings.well_known {
        answer.put("well_known", super::discovery::document(ctx.server));
    }
    Ok(answer)
}

/// What a client asks of its session. By the book nothing is made before all of it is read.
fn read_options(
    ctx: &mut RequestContext,
    body: &Members,
    user: &str,
) -> Result<LoginOptions, Refusal> {
    let options = LoginOptions::read(ctx, body);
    if options.is_err() && ctx.policy().login.makes_device_first {
        make_device(ctx, user, body);
    }
    options
}

/// Puts a device on record that belongs to no session.
fn make_device(ctx: &mut RequestContext, user: &str, body: &Members) {
    let named = body.get("device_id").and_then(Value::as_str).map(str::to_owned);
    let id = named.unwrap_or_else(|| ctx.store.device_id());
    if let Some(account) = ctx.store.accounts.get_mut(user) {
        account.devices.entry(id).or_default();
    }
}

/// Answers with the user name as it was typed, where that is done.
fn answer_as_typed(ctx: &mut RequestContext, body: &Members, members: &mut Members) {
    let policy = ctx.policy().login.answered_name;
    let identifier = body.get("identifier").and_then(|identifier| identifier.get("user"));
    let typed = identifier.or_else(|| body.get("user")).and_then(Value::as_str);
    let typed = typed.and_then(|name| ctx.server.localpart(name));
    let Some(id) = typed.map(|name| json!(ctx.server.user_id(name))) else { return };
    let differs = members.get("user_id") != Some(&id);
    if differs && policy == AnsweredName::AsTypedAndDead {
        forget_access(ctx, members);
    }
    if policy != AnsweredName::Canonical {
        members.insert("user_id".to_owned(), id);
    }
}

/// Forgets the access token of a login of the application service's own user.
fn forget_of_sender(ctx: &mut RequestContext, user: &str, members: &Members) {
    let service = ctx.server.settings.appservice.as_ref();
    if service.is_some_and(|service| service.sender == user) {
        forget_access(ctx, members);
    }
}

/// The body of a login. Its media type is not looked at.
fn read(ctx: &RequestContext) -> Result<Members, Refusal> {
    let policy = &ctx.policy().login;
    let media_type = ctx.call.header("content-type");
    let unread = match policy.content_type {
        LoginContentType::Any => false,
        LoginContentType::Required => media_type.is_none(),
        LoginContentType::WithoutParameters => media_type.is_some_and(|kind| kind.contains(';')),
    };
    if unread {
        return Err(Refusal::NotJson);
    }
    let body = &ctx.call.body;
    let text = || String::from_utf8_lossy(body);
    let members = match policy.reading {
        BodyReading::Utf8 => parse_object(body),
        BodyReading::Latin1 => {
            let text: String = body.iter().map(|byte| char::from(*byte)).collect();
            parse_object(text.as_bytes())
        }
        BodyReading::EscapesKept => parse_object(text().replace("\\u", "\\\\u").as_bytes()),
        BodyReading::SurrogatesApart => parse_object(surrogates_apart(&text()).as_bytes()),
    }?;
    let mut names = members.keys().map(String::as_str);
    match policy.unknown_members {
        UnknownMembers::Refused if names.any(|name| !KNOWN.contains(&name)) => {
            Err(Refusal::MemberInvalid)
        }
        UnknownMembers::NamespacedFail if names.any(|name| name.contains('.')) => {
            Err(Refusal::WrongPassword)
        }
        _ => Ok(members),
    }
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
fn kind(policy: TypeMember, body: &Members) -> Result<&str, Refusal> {
    let is_password = match body.get("type") {
        None => policy == TypeMember::MissingIsPassword,
        Some(kind) => !kind.is_string() && policy == TypeMember::NonStringIsPassword,
    };
    if is_password {
        return Ok("m.login.password");
    }
    required(body, "type", Refusal::TypeMissing, Refusal::TypeNotString)
}

/// Refuses logins with right credentials, which the specification allows for limits alone.
fn refuse_by_policy(ctx: &mut RequestContext, body: &Members) -> Result<(), Stop> {
    let policy = &ctx.policy().login;
    ctx.store.logins += 1;
    let by_token = body.get("type") == Some(&json!("m.login.token"));
    if policy.needs_access_token.include(by_token) && ctx.presented_token().is_none() {
        return Err(Refusal::MissingToken.into());
    }
    let asks_refresh = body.get("refresh_token") == Some(&json!(true));
    if policy.refresh_flag_refused.include(by_token) && asks_refresh {
        return Err(Refusal::MemberInvalid.into());
    }
    match policy.limit {
        Some(limit) if ctx.store.logins.is_multiple_of(limit.every) => {
            Err(limit_refusal(limit).into())
        }
        _ => Ok(()),
    }
}

/// The refusal for a limit.
fn limit_refusal(limit: LimitRefusal) -> Answer {
    let mut answer = Answer::from(limit.refusal);
    match limit.body {
        LimitBody::Right => {}
        LimitBody::Without(member) => answer.remove(member),
        LimitBody::Number(member) => answer.put(member, json!(7)),
        LimitBody::Text(member) => answer.put(member, json!("yes")),
    }
    answer
}

/// The account that a password login is for.
fn by_password(ctx: &mut RequestContext, body: &Members) -> Result<String, Stop> {
    let policy = &ctx.policy().login;
    let needed = match body.get("password") {
        None => policy.password_member != PasswordMember::MissingLogsIn,
        Some(Value::Null) => policy.password_member != PasswordMember::NullLogsIn,
        Some(_) => true,
    };
    let (missing, wrong) = (Refusal::PasswordMissing, Refusal::PasswordNotString);
    let password = needed.then(|| required(body, "password", missing, wrong)).transpose()?;
    let odd = ctx.policy().secrets.odd_fails == Some(OddText::Password);
    if odd && password.is_some_and(OddText::is_odd) {
        return Err(Refusal::Failure.into());
    }
    let identified = identify(ctx, &policy.identification, body);
    let unnamed =
        identified.as_ref().err().filter(|refusal| policy.unnamed_log_in == Some(**refusal));
    if let Some(user) = unnamed.and_then(|_| somebody(ctx, password)) {
        return Ok(user);
    }
    let user = match identified? {
        Identified::Local(user) => user,
        Identified::Stranger(Refusal::UnknownUser) if policy.unknown_users_made => {
            make_account(ctx, body)?
        }
        Identified::Stranger(Refusal::ForeignUser) if policy.foreign_ids_invalid => {
            return Err(Refusal::InvalidUsername.into());
        }
        Identified::Stranger(refusal) => return Err(refusal.into()),
    };
    ctx.login_permit(&format!("account {user}"))?;
    if is_refused_once(ctx, &user) {
        return Err(Refusal::WrongPassword.into());
    }
    let account = ctx.store.accounts.get(&user).ok_or(Refusal::UnknownUser)?;
    let right = password.is_none_or(|given| matches(policy.password_match, account, given));
    if !right || account.locked {
        fail(ctx, &user, body);
        return Err(Refusal::WrongPassword.into());
    }
    policy.password_trouble.check(password.unwrap_or_default())?;
    if account.deactivated && !policy.deactivated_log_in {
        return Err(Refusal::UserDeactivated.into());
    }
    if account.closed && !ctx.policy().locked.log_in {
        return Err(Refusal::UserLocked.into());
    }
    if account.suspended && policy.suspended_refused {
        return Err(Refusal::UserSuspended.into());
    }
    let address = address_kind(body);
    let by_another = address.is_some() && address == policy.opens_another_by;
    if by_another {
        return Ok(ctx.store.another_user(&user));
    }
    Ok(ctx.assumed_user(ctx.policy().identity.login_as).unwrap_or(user))
}

/// Whether this login is the one that an account is refused; the next one is not.
fn is_refused_once(ctx: &mut RequestContext, user: &str) -> bool {
    ctx.store
        .accounts
        .get_mut(user)
        .is_some_and(|account| std::mem::take(&mut account.refused_once))
}

/// A user with this password, else any.
fn somebody(ctx: &RequestContext, password: Option<&str>) -> Option<String> {
    let open = || ctx.store.accounts.iter().filter(|(_, account)| !account.deactivated);
    let with_password = open().find(|(_, account)| account.password.as_deref() == password);
    with_password.or_else(|| open().next()).map(|(user, _)| user.clone())
}

/// The kind of address by which a login names its user; nothing for a user name.
fn address_kind(body: &Members) -> Option<AddressKind> {
    let identifier = body.get("identifier");
    let member = |name| identifier.and_then(|identifier| identifier.get(name)?.as_str());
    match (member("type"), member("medium")) {
        (Some("m.id.thirdparty"), Some("email")) => Some(AddressKind::Email),
        (Some("m.id.thirdparty"), Some("msisdn")) => Some(AddressKind::Msisdn),
        (Some("m.id.phone"), _) => Some(AddressKind::Phone),
        (None, _) if body.contains_key("medium") => Some(AddressKind::Deprecated),
        _ => None,
    }
}

/// What a wrong password does to the account: nothing.
fn fail(ctx: &mut RequestContext, user: &str, body: &Members) {
    let device = body.get("device_id").and_then(Value::as_str);
    match (ctx.policy().login.failure, device) {
        (FailedLogin::MakesDevice, Some(device)) => {
            if let Some(account) = ctx.store.accounts.get_mut(user) {
                account.devices.entry(device.to_owned()).or_default();
            }
        }
        (FailedLogin::MakesNewDevice, None) => make_device(ctx, user, body),
        (FailedLogin::RenamesDevice, Some(device)) => {
            let name = body.get("initial_device_display_name").and_then(Value::as_str);
            if let Some(known) = ctx.store.device_mut(user, device) {
                known.display_name = name.map(str::to_owned);
            }
        }
        (FailedLogin::MakesOtherDevice, _) => make_device(ctx, user, &Members::new()),
        (FailedLogin::EndsDevice, Some(device)) => {
            ctx.store.end_access(user, device, Refusal::LoggedOutToken, None);
        }
        (FailedLogin::EndsSessions, _) => {
            for device in ctx.store.device_ids(user) {
                ctx.store.end_access(user, &device, Refusal::LoggedOutToken, None);
            }
        }
        (
            FailedLogin::Nothing
            | FailedLogin::MakesDevice
            | FailedLogin::MakesNewDevice
            | FailedLogin::RenamesDevice
            | FailedLogin::EndsDevice,
            _,
        ) => {}
    }
}

/// Makes the account that a login names.
fn make_account(ctx: &mut RequestContext, body: &Members) -> Result<String, Stop> {
    let name = body
        .get("identifier")
        .and_then(|identifier| identifier.get("user"))
        .or_else(|| body.get("user"));
    let localpart = name
        .and_then(Value::as_str)
        .and_then(|name| ctx.server.localpart(name))
        .unwrap_or_default();
    user_name::check_free(ctx, localpart)?;
    let password = body.get("password").and_then(Value::as_str).map(str::to_owned);
    ctx.store.accounts.insert(localpart.to_owned(), Account { password, ..Account::default() });
    Ok(localpart.to_owned())
}
