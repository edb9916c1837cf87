//! Login tokens: `POST /v1/login/get_token`, and the login with what it gives.

use super::answer::{Answer, Outcome, Stop};
use super::context::{Members, RequestContext, required};
use super::fault;
use super::opening::{another, milliseconds};
use super::refusal::Refusal;
use super::uia::{self, Proof};
use serde_json::{Value, json};
use std::time::Duration;

/// The account that a token login is for. The token is spent only when the login succeeds.
pub(super) fn by_token(ctx: &mut RequestContext, body: &Members) -> Result<String, Stop> {
    let token = required(body, "token", Refusal::LoginTokenMissing, Refusal::LoginTokenNotString)?;
    if let Some(session) =
        ctx.store.access.get(token).filter(|_| ctx.has(fault::ACCESS_AS_LOGIN_TOKEN))
    {
        return Ok(session.user.clone());
    }
    let Some(made) = ctx.store.login_tokens.get(token) else {
        let first = ctx.store.accounts.keys().next().filter(|_| ctx.has(fault::LOGIN_TOKEN_ANY));
        return first.cloned().ok_or(Refusal::LoginTokenInvalid.into());
    };
    let window = Duration::from_millis(if ctx.has(fault::LOGIN_TOKEN_RACES) { 1000 } else { 0 });
    if made.spent.is_some_and(|moment| moment + window <= ctx.now)
        && !ctx.has(fault::LOGIN_TOKEN_TWICE)
    {
        return Err(Refusal::LoginTokenSpent.into());
    }
    if made.expires.is_some_and(|end| end <= ctx.now) && !ctx.has(fault::LOGIN_TOKEN_ETERNAL) {
        return Err(Refusal::LoginTokenExpired.into());
    }
    let by_maker = || {
        let caller = ctx.presented_token().and_then(|token| ctx.store.access.get(token));
        caller.is_some_and(|caller| caller.user == made.user)
    };
    if ctx.has(fault::LOGIN_TOKEN_REFUSED) || ctx.has(fault::LOGIN_TOKEN_NEEDS_MAKER) && !by_maker()
    {
        return Err(Refusal::LoginTokenInvalid.into());
    }
    if ctx.has(fault::LOGIN_TOKEN_NEEDS_USER) && !body.contains_key("identifier") {
        return Err(Refusal::IdentifierMissing.into());
    }
    let user = made.user.clone();
    if ctx.store.accounts.get(&user).is_none_or(|account| account.deactivated) {
        return Err(Refusal::UserDeactivated.into());
    }
    Ok(if ctx.has(fault::LOGIN_TOKEN_WRONG_USER) { another(ctx, &user) } else { user })
}

/// Notes that a login token was used.
pub(super) fn spend(ctx: &mut RequestContext, body: &Members) {
    let token = body.get("token").and_then(Value::as_str).unwrap_or_default();
    if let Some(made) = ctx.store.login_tokens.get_mut(token) {
        made.spent.get_or_insert(ctx.now);
    }
}

/// `POST /v1/login/get_token`: a login token for another client of the caller, after interactive auth.
pub(super) fn get_token(ctx: &mut RequestContext) -> Outcome {
    let owner = ctx.full_owner()?;
    if !ctx.server.settings.login_tokens_allowed {
        return Err(Refusal::LoginTokensDenied.into());
    }
    let body = ctx.object()?;
    if let Some(limit) = ctx.server.settings.get_token_limit {
        let permit = ctx.store.buckets.take(limit, &format!("get_token {}", owner.user), ctx.now);
        permit.map_err(|wait| Stop::from(Answer::limited(wait)))?;
    }
    let remembered = ctx.has(fault::GET_TOKEN_REMEMBERS) && ctx.store.passed.contains(&owner.user);
    if !remembered && !ctx.has(fault::GET_TOKEN_NO_UIA) {
        let binding = format!("get_token {}", owner.user);
        uia::pass(
            ctx,
            &Proof { binding, owner: Some(&owner.user), flows: uia::password_flows(ctx) },
            &body,
        )?;
        ctx.store.passed.insert(owner.user.clone());
    }
    let lifetime = ctx.server.settings.login_token_lifetime;
    let token = ctx.store.login_token(&owner.user, ctx.now, lifetime);
    if ctx.has(fault::LOGIN_TOKEN_OF_LATEST) {
        for made in ctx.store.login_tokens.values_mut() {
            made.user.clone_from(&owner.user);
        }
    }
    if ctx.has(fault::GET_TOKEN_USELESS) {
        ctx.store.login_tokens.remove(&token);
    }
    if ctx.has(fault::GET_TOKEN_ENDS_SESSION) {
        ctx.store.end_access(&owner.user, &owner.device, Refusal::LoggedOutToken, None);
    }
    Ok(Answer::ok(json!({"login_token": token, "expires_in_ms": milliseconds(lifetime)})))
}
