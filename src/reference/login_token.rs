//! Login tokens: `POST /v1/login/get_token`, and the login with what it gives.

use super::answer::{Answer, Outcome, Stop};
use super::fault;
use super::house::{Exchange, Members, required};
use super::opening::{another, milliseconds};
use super::refusal::Refusal;
use super::uia::{self, Proof};
use serde_json::{Value, json};
use std::time::Duration;

/// The account that a token login is for. The token is spent only when the login succeeds.
pub(super) fn by_token(x: &mut Exchange, body: &Members) -> Result<String, Stop> {
    let token = required(body, "token", Refusal::LoginTokenMissing, Refusal::LoginTokenNotString)?;
    if let Some(session) = x.store.access.get(token).filter(|_| x.has(fault::ACCESS_AS_LOGIN_TOKEN))
    {
        return Ok(session.user.clone());
    }
    let Some(made) = x.store.login_tokens.get(token) else {
        let first = x.store.accounts.keys().next().filter(|_| x.has(fault::LOGIN_TOKEN_ANY));
        return first.cloned().ok_or(Refusal::LoginTokenInvalid.into());
    };
    let window = Duration::from_millis(if x.has(fault::LOGIN_TOKEN_RACES) { 1000 } else { 0 });
    if made.spent.is_some_and(|moment| moment + window <= x.now) && !x.has(fault::LOGIN_TOKEN_TWICE)
    {
        return Err(Refusal::LoginTokenSpent.into());
    }
    if made.expires.is_some_and(|end| end <= x.now) && !x.has(fault::LOGIN_TOKEN_ETERNAL) {
        return Err(Refusal::LoginTokenExpired.into());
    }
    let by_maker = || {
        let caller = x.presented_token().and_then(|token| x.store.access.get(token));
        caller.is_some_and(|caller| caller.user == made.user)
    };
    if x.has(fault::LOGIN_TOKEN_REFUSED) || x.has(fault::LOGIN_TOKEN_NEEDS_MAKER) && !by_maker() {
        return Err(Refusal::LoginTokenInvalid.into());
    }
    if x.has(fault::LOGIN_TOKEN_NEEDS_USER) && !body.contains_key("identifier") {
        return Err(Refusal::IdentifierMissing.into());
    }
    let user = made.user.clone();
    if x.store.accounts.get(&user).is_none_or(|account| account.deactivated) {
        return Err(Refusal::UserDeactivated.into());
    }
    Ok(if x.has(fault::LOGIN_TOKEN_WRONG_USER) { another(x, &user) } else { user })
}

/// Notes that a login token was used.
pub(super) fn spend(x: &mut Exchange, body: &Members) {
    let token = body.get("token").and_then(Value::as_str).unwrap_or_default();
    if let Some(made) = x.store.login_tokens.get_mut(token) {
        made.spent.get_or_insert(x.now);
    }
}

/// `POST /v1/login/get_token`: a login token for another client of the caller, after interactive auth.
pub(super) fn get_token(x: &mut Exchange) -> Outcome {
    let owner = x.full_owner()?;
    if !x.house.settings.login_tokens_allowed {
        return Err(Refusal::LoginTokensDenied.into());
    }
    let body = x.object()?;
    if let Some(limit) = x.house.settings.get_token_limit {
        let permit = x.store.buckets.take(limit, &format!("get_token {}", owner.user), x.now);
        permit.map_err(|wait| Stop::from(Answer::limited(wait)))?;
    }
    let remembered = x.has(fault::GET_TOKEN_REMEMBERS) && x.store.passed.contains(&owner.user);
    if !remembered && !x.has(fault::GET_TOKEN_NO_UIA) {
        let binding = format!("get_token {}", owner.user);
        uia::pass(
            x,
            &Proof { binding, owner: Some(&owner.user), flows: uia::password_flows(x) },
            &body,
        )?;
        x.store.passed.insert(owner.user.clone());
    }
    let lifetime = x.house.settings.login_token_lifetime;
    let token = x.store.login_token(&owner.user, x.now, lifetime);
    if x.has(fault::LOGIN_TOKEN_OF_LATEST) {
        for made in x.store.login_tokens.values_mut() {
            made.user.clone_from(&owner.user);
        }
    }
    if x.has(fault::GET_TOKEN_USELESS) {
        x.store.login_tokens.remove(&token);
    }
    if x.has(fault::GET_TOKEN_ENDS_SESSION) {
        x.store.end_access(&owner.user, &owner.device, Refusal::LoggedOutToken, None);
    }
    Ok(Answer::ok(json!({"login_token": token, "expires_in_ms": milliseconds(lifetime)})))
}
