//! Registration: of users and of guests, and what a client can ask before.

use super::answer::{Answer, Outcome, Stop};
use super::context::{Members, RequestContext, flag, parse_object, text};
use super::opening::{LoginOptions, forget_access, open_session};
use super::policy::{
    GuestParameter, InhibitLogin, KeptPassword, NameCapitals, Registrants, RegistrationPolicy,
    ValiditySays,
};
use super::refusal::Refusal;
use super::service;
use super::store::Account;
use super::uia::{self, Proof};
use super::user_name::{check_free, check_open};
use serde_json::{Value, json};

/// Lookups of registration tokens before their rate is limited, where it is.
const FREE_LOOKUPS: u32 = 3;

/// `POST /register`.
pub(super) fn register(ctx: &mut RequestContext) -> Outcome {
    match ctx.call.query("kind") {
        Some("guest") => return register_guest(ctx),
        None | Some("user") => {}
        Some(_) => return Err(Refusal::MemberInvalid.into()),
    }
    if is_by_service(ctx)? {
        return service::register(ctx, &ctx.object()?);
    }
    register_user(ctx)
}

/// Whether a registration is one of an application service, by its type.
fn is_by_service(ctx: &RequestContext) -> Result<bool, Stop> {
    let typed = !ctx.call.body.is_empty()
        && ctx.object()?.get("type").is_some_and(|kind| kind == service::TYPE);
    let by_token = ctx.policy().service.registration.by == Registrants::EverybodyWithAuth;
    Ok(typed && (!by_token || ctx.is_service()))
}

/// The stages that a user takes.
fn flow(ctx: &RequestContext) -> Result<&'static [&'static str], Refusal> {
    let settings = &ctx.server.settings;
    match (&settings.registration_token, settings.registration) {
        (Some(_), _) => Ok(&[uia::REGISTRATION_TOKEN, uia::DUMMY]),
        (None, true) => Ok(&[uia::DUMMY]),
        (None, false) => Err(Refusal::RegistrationClosed),
    }
}

/// Registers a user. Names are looked at before interactive auth, and after it once more.
fn register_user(ctx: &mut RequestContext) -> Outcome {
    let flow = flow(ctx)?;
    let policy = &ctx.policy().registration;
    let body = ctx.object()?;
    let wanted = wanted_name(policy, &body)?;
    if wanted.is_none() && policy.needs_user_name {
        return Err(Refusal::MemberMissing.into());
    }
    let name = wanted.as_deref().map(|typed| mapped(policy.capitals, typed));
    let replaces = |refusal| {
        policy.replaces_accounts && refusal == Refusal::UserInUse
            || policy.takes_exclusive_names && refusal == Refusal::NameExclusive
            || policy.makes_account_first
                && refusal == Refusal::UserInUse
                && body.contains_key("auth")
    };
    if let Some(name) = &name {
        check_open(ctx, name, |refusal| replaces(refusal) || policy.late.includes(refusal))?;
    }
    let inhibit_login = flag(&body, "inhibit_login", Refusal::MemberWrongType)? == Some(true);
    let password = text(&body, "password", Refusal::PasswordNotString)?;
    let options = options(ctx, policy, &body)?;
    if let (Some(name), Some(password), true) = (&name, password, policy.makes_account_first) {
        make_account(ctx, name, password);
    }
    let binding = format!("register {}", name.as_deref().unwrap_or_default());
    if !policy.without_uia {
        let unknown: &[&str] = &["org.example.captcha", uia::DUMMY];
        let flows: &[&[&str]] = if policy.unknown_flow_first { &[unknown, flow] } else { &[flow] };
        uia::pass(ctx, &Proof { binding, owner: None, flows }, &body)?;
    }
    let password = password.ok_or(Refusal::PasswordMissing)?;
    policy.password_trouble.check(password)?;
    let localpart = match name {
        Some(name) if policy.numbers_users => numbered(ctx, &name),
        Some(_) if policy.ignores_user_names => ctx.store.device_id().to_lowercase(),
        Some(name) => name,
        None if policy.one_generated_name => "user".to_owned(),
        None => ctx.store.device_id().to_lowercase(),
    };
    check_open(ctx, &localpart, |refusal| replaces(refusal) || policy.makes_account_first)?;
    make_account(ctx, &localpart, password);
    let mut members = answer_members(ctx, policy, &localpart, &options, inhibit_login)?;
    if let (Some(typed), NameCapitals::MappedInSecret) = (wanted, policy.capitals) {
        members.insert("user_id".to_owned(), json!(ctx.server.user_id(&typed)));
    }
    Ok(Answer::ok(Value::Object(members)))
}

/// The localpart of a new user who asked for a name: another one, which nobody has.
fn numbered(ctx: &mut RequestContext, name: &str) -> String {
    let numbers = (1..).map(|number: u64| format!("p{number}"));
    let free = numbers.into_iter().find(|localpart| check_free(ctx, localpart).is_ok());
    let localpart = free.unwrap_or_else(|| name.to_owned());
    ctx.store.names.insert(name.to_owned(), localpart.clone());
    localpart
}

/// The user name that a client asks for.
fn wanted_name(policy: &RegistrationPolicy, body: &Members) -> Result<Option<String>, Refusal> {
    match body.get("username") {
        Some(name) if !name.is_string() && policy.non_string_names => Ok(Some(name.to_string())),
        _ => Ok(text(body, "username", Refusal::MemberWrongType)?.map(str::to_owned)),
    }
}

/// The localpart for a user name: the name, which has to be one, or one that is made of it.
fn mapped(capitals: NameCapitals, typed: &str) -> String {
    match capitals {
        NameCapitals::Refused => typed.to_owned(),
        NameCapitals::Mapped | NameCapitals::MappedInSecret => {
            typed.to_lowercase().replace(' ', "_")
        }
    }
}

fn options(
    ctx: &RequestContext,
    policy: &RegistrationPolicy,
    body: &Members,
) -> Result<LoginOptions, Refusal> {
    if policy.refresh_flag_refused && body.get("refresh_token") == Some(&json!(true)) {
        return Err(Refusal::MemberInvalid);
    }
    let options = LoginOptions::read(ctx, body)?;
    Ok(if policy.without_refresh_tokens { options.without_refresh() } else { options })
}

/// Makes an account. One that is there, which is refused by the book, gets the password.
fn make_account(ctx: &mut RequestContext, localpart: &str, password: &str) {
    let kept = ctx.policy().registration.kept_password;
    let account = ctx.store.accounts.entry(localpart.to_owned()).or_default();
    account.refused_once = kept == KeptPassword::FromSecondLogin;
    account.password = match kept {
        KeptPassword::Given | KeptPassword::FromSecondLogin => Some(password.to_owned()),
        KeptPassword::FirstEightCharacters => Some(password.chars().take(8).collect()),
        KeptPassword::None => None,
    };
}

/// The members of the answer: with a session, unless the client wants none.
fn answer_members(
    ctx: &mut RequestContext,
    policy: &RegistrationPolicy,
    localpart: &str,
    options: &LoginOptions,
    inhibit_login: bool,
) -> Result<Members, Stop> {
    let mut members = Members::new();
    if !inhibit_login || policy.inhibit_login != InhibitLogin::Read {
        members = open_session(ctx, localpart, options)?;
    }
    if inhibit_login && policy.inhibit_login == InhibitLogin::LeavesRefreshToken {
        forget_access(ctx, &members);
        members.retain(|name, _| name == "refresh_token" || name == "expires_in_ms");
    }
    members.insert("user_id".to_owned(), json!(ctx.server.user_id(localpart)));
    Ok(members)
}

/// Makes a guest: an account without a password, whose device id the homeserver chooses. Of the body nothing but the
/// display name of the device is read.
fn register_guest(ctx: &mut RequestContext) -> Outcome {
    let policy = &ctx.policy().guests;
    if !ctx.server.settings.guests {
        return Err(Refusal::GuestsRefused.into());
    }
    // Whatever it is, it is ignored.
    let body = parse_object(&ctx.call.body).unwrap_or_else(|_| Members::new());
    let given = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let reads = |parameter| policy.reads == Some(parameter);
    if reads(GuestParameter::Types) {
        text(&body, "username", Refusal::MemberWrongType)?;
        LoginOptions::read(ctx, &body)?;
    }
    if policy.asks_uia {
        let binding = "register a guest".to_owned();
        uia::pass(ctx, &Proof { binding, owner: None, flows: &[&[uia::DUMMY]] }, &body)?;
    }
    let name = given("username").filter(|_| reads(GuestParameter::UserName));
    let localpart = match name {
        Some(name) => name,
        None if policy.numbered => guest_number(ctx),
        None => format!("guest-{}", ctx.store.device_id().to_lowercase()),
    };
    let password = given("password").filter(|_| reads(GuestParameter::Password));
    let account = Account { guest: true, password, ..Account::default() };
    ctx.store.accounts.insert(localpart.clone(), account);
    if reads(GuestParameter::InhibitLogin) && body.get("inhibit_login") == Some(&json!(true)) {
        return Ok(Answer::ok(json!({"user_id": ctx.server.user_id(&localpart)})));
    }
    let options = LoginOptions::of_guest(ctx, &body);
    let members = open_session(ctx, &localpart, &options)?;
    if policy.tokens_dead {
        forget_access(ctx, &members);
    }
    Ok(Answer::ok(Value::Object(members)))
}

/// The first number from 1 that is nobody's name.
fn guest_number(ctx: &RequestContext) -> String {
    let guests = ctx.store.accounts.values().filter(|account| account.guest).count();
    (guests + 1).to_string()
}

/// `GET /register/available`.
pub(super) fn available(ctx: &mut RequestContext) -> Outcome {
    let policy = &ctx.policy().availability;
    if policy.needs_token {
        ctx.owner()?;
    }
    let free = Answer::ok(json!({"available": true}));
    let Some(typed) = ctx.call.query("username") else {
        return if policy.nameless_is_free { Ok(free) } else { Err(Refusal::MemberMissing.into()) };
    };
    flow(ctx)?;
    let name = mapped(ctx.policy().registration.capitals, typed);
    check_open(ctx, &name, |refusal| policy.overlooks == Some(refusal))?;
    Ok(free)
}

/// `GET /register/m.login.registration_token/validity`.
pub(super) fn validity(ctx: &mut RequestContext) -> Outcome {
    let policy = &ctx.policy().validity;
    if policy.needs_token {
        ctx.owner()?;
    }
    let given = ctx.call.query("token");
    if given.is_none() && policy.tokenless_is_invalid {
        return Ok(Answer::ok(json!({"valid": false})));
    }
    let token = given.ok_or(Refusal::MemberMissing)?;
    flow(ctx)?;
    ctx.store.validity_checks += 1;
    if policy.limited && ctx.store.validity_checks > FREE_LOOKUPS {
        return Err(Answer::limited(1000).into());
    }
    let kept = ctx.server.settings.registration_token.as_deref();
    let known = kept.is_some_and(|kept| policy.near_miss.takes(token, kept));
    let valid = match policy.says {
        ValiditySays::Truth => known && !ctx.store.registration_token_spent,
        ValiditySays::AllValid => true,
        ValiditySays::NoneValid => false,
        ValiditySays::UnknownNotFound if !known => return Err(Refusal::ProfileUnknown.into()),
        ValiditySays::UnknownNotFound => true,
    };
    ctx.store.registration_token_spent |= known && policy.uses_up;
    Ok(Answer::ok(json!({"valid": valid})))
}
