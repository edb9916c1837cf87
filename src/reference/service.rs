//! Logins and registrations by application services, of the users of their namespace.

use super::answer::{Answer, Outcome, Stop};
use super::context::{Members, RequestContext, flag, text};
use super::identity::{Identified, identify};
use super::opening::{LoginOptions, open_session};
use super::policy::{LegacyServiceRegistration, Registrants};
use super::refusal::Refusal;
use super::store::Account;
use super::uia::{self, Proof};
use super::user_name;
use serde_json::{Value, json};

/// The login type of application services, in registration as well.
pub(super) const TYPE: &str = "m.login.application_service";

/// The account that an application service logs in.
pub(super) fn login(ctx: &mut RequestContext, body: &Members) -> Result<String, Stop> {
    let policy = &ctx.policy().service.login;
    let Some(token) = ctx.presented_token() else {
        return Err(Refusal::ServiceTokenMissing.into());
    };
    if !ctx.is_service() {
        return match ctx.store.access.get(token) {
            Some(session) if policy.user_tokens_log_in => Ok(session.user.clone()),
            Some(_) => Err(Refusal::ServiceTokenOfUser.into()),
            None => Err(Refusal::ServiceTokenUnknown.into()),
        };
    }
    let name = body.get("identifier").and_then(|identifier| identifier.get("user"));
    let name = name.and_then(Value::as_str).unwrap_or_default().to_owned();
    if policy.refused.include(&name) {
        return Err(Refusal::UnknownUser.into());
    }
    if policy.needs_password && !body.contains_key("password") {
        return Err(Refusal::PasswordMissing.into());
    }
    let localpart = ctx.server.localpart(&name).unwrap_or_default().to_owned();
    if !ctx.of_service(&localpart) {
        return Err(Refusal::OutsideNamespace.into());
    }
    if policy.registers_users {
        ctx.store.accounts.entry(localpart.clone()).or_default();
    }
    match identify(ctx, &ctx.policy().login.identification, body)? {
        Identified::Local(_) if policy.as_own_user => {
            let service = ctx.server.settings.appservice.as_ref();
            Ok(service.map(|service| service.sender.clone()).unwrap_or_default())
        }
        Identified::Local(user) if policy.one_device && !ctx.store.device_ids(&user).is_empty() => {
            Err(Refusal::UnknownUser.into())
        }
        Identified::Local(user) => {
            let closed = ctx.store.accounts.get(&user).is_some_and(|account| account.closed);
            let refused = closed && !ctx.policy().locked.log_in;
            if refused { Err(Refusal::UserLocked.into()) } else { Ok(user) }
        }
        Identified::Stranger(Refusal::UnknownUser) if policy.unregistered_are_exclusive => {
            Err(Refusal::OutsideNamespace.into())
        }
        Identified::Stranger(refusal) => Err(refusal.into()),
    }
}

/// `POST /register` of an application service: a user of its namespace, without interactive auth and without a
/// password. Where the legacy API is not offered, no session comes of it, so that none may be asked for.
pub(super) fn register(ctx: &mut RequestContext, body: &Members) -> Outcome {
    let by_user = ctx.policy().service.registration.by == Registrants::UsersToo;
    match ctx.presented_token() {
        _ if ctx.is_service() => {}
        None => return Err(Refusal::ServiceTokenMissing.into()),
        Some(token) if by_user && ctx.store.access.contains_key(token) => {}
        Some(_) => return Err(Refusal::ServiceTokenUnknown.into()),
    }
    let (policy, legacy) = (&ctx.policy().service.registration, ctx.server.settings.legacy);
    if !legacy && policy.closed {
        return Err(Refusal::RegistrationClosed.into());
    }
    let inhibit_login = flag(body, "inhibit_login", Refusal::MemberWrongType)? == Some(true);
    if !legacy && !inhibit_login && !policy.opens_sessions {
        return Err(Refusal::ServiceLoginUnsupported.into());
    }
    let localpart =
        text(body, "username", Refusal::MemberWrongType)?.ok_or(Refusal::MemberMissing)?.to_owned();
    let with_legacy = if legacy { policy.with_legacy } else { LegacyServiceRegistration::Open };
    if with_legacy == LegacyServiceRegistration::NeedsPassword && !body.contains_key("password") {
        return Err(Refusal::PasswordMissing.into());
    }
    if !legacy && policy.asks_uia || with_legacy == LegacyServiceRegistration::AsksUia {
        let binding = format!("register {localpart}");
        uia::pass(ctx, &Proof { binding, owner: None, flows: &[&[uia::DUMMY]] }, body)?;
    }
    if !ctx.of_service(&localpart) && !policy.outside_namespace {
        return Err(Refusal::OutsideNamespace.into());
    }
    user_name::check_free(ctx, &localpart)?;
    let options = LoginOptions::read(ctx, body)?;
    if !policy.makes_nothing {
        ctx.store.accounts.insert(localpart.clone(), Account::default());
    }
    if inhibit_login {
        return Ok(Answer::ok(json!({"user_id": ctx.server.user_id(&localpart)})));
    }
    Ok(Answer::ok(Value::Object(open_session(ctx, &localpart, &options)?)))
}
