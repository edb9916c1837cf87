//! Login tokens: `POST /v1/login/get_token`, and the login with what it gives.

use super::answer::{Answer, Outcome, Stop};
use super::context::{Members, RequestContext, required};
use super::opening::milliseconds;
use super::policy::{
    GetTokenLimit, GetTokenUia, LoginTokenKinds, LoginTokenUses, MadeToken, OddText, TokenLogin,
};
use super::refusal::Refusal;
use super::store::LoginToken;
use super::uia;
use serde_json::{Value, json};
use std::time::Duration;

/// The account that a token login is for. The token is spent only when the login succeeds.
pub(super) fn by_token(ctx: &mut RequestContext, body: &Members) -> Result<String, Stop> {
    let policy = &ctx.policy().login_tokens;
    let (missing, wrong) = (Refusal::LoginTokenMissing, Refusal::LoginTokenNotString);
    let token = required(body, "token", missing, wrong)?;
    let secrets = &ctx.policy().secrets;
    if secrets.odd_fails == Some(OddText::LoginToken) && OddText::is_odd(token) {
        return Err(Refusal::Failure.into());
    }
    let near = secrets.login.find(token, ctx.store.login_tokens.keys()).cloned();
    let token = near.as_deref().unwrap_or(token);
    let access = ctx.store.access.get(token);
    if let Some(session) = access.filter(|_| policy.accepts == LoginTokenKinds::AccessTokensToo) {
        return Ok(session.user.clone());
    }
    let Some(made) = ctx.store.login_tokens.get(token) else {
        let any = policy.accepts == LoginTokenKinds::Any;
        let first = ctx.store.accounts.keys().next().filter(|_| any);
        return first.cloned().ok_or(Refusal::LoginTokenInvalid.into());
    };
    let spent = match policy.uses {
        LoginTokenUses::Once => made.spent.is_some_and(|moment| moment <= ctx.now),
        LoginTokenUses::OnceButForRaces => {
            made.spent.is_some_and(|moment| moment + Duration::from_secs(1) <= ctx.now)
        }
        LoginTokenUses::Unlimited => false,
    };
    if spent {
        return Err(Refusal::LoginTokenSpent.into());
    }
    if !policy.never_expire && made.expires.is_some_and(|end| end <= ctx.now) {
        return Err(Refusal::LoginTokenExpired.into());
    }
    refuse_by_policy(ctx, policy.login, made, body)?;
    let user = made.user.clone();
    let account = ctx.store.accounts.get(&user).ok_or(Refusal::UserDeactivated)?;
    if account.deactivated && !ctx.policy().lifetimes.login_tokens_outlive_account {
        return Err(Refusal::UserDeactivated.into());
    }
    let locked = &ctx.policy().locked;
    if account.closed && !locked.log_in && !locked.log_in_by_token {
        return Err(Refusal::UserLocked.into());
    }
    Ok(if policy.opens_another { ctx.store.another_user(&user) } else { user })
}

/// Refuses a valid token for want of more; the specification asks for nothing more.
fn refuse_by_policy(
    ctx: &RequestContext,
    policy: TokenLogin,
    made: &LoginToken,
    body: &Members,
) -> Result<(), Refusal> {
    let by_maker = || {
        let caller = ctx.presented_token().and_then(|token| ctx.store.access.get(token));
        caller.is_some_and(|caller| caller.user == made.user)
    };
    match policy {
        TokenLogin::Refused => Err(Refusal::LoginTokenInvalid),
        TokenLogin::NeedsMaker if !by_maker() => Err(Refusal::LoginTokenInvalid),
        TokenLogin::NeedsIdentifier if !body.contains_key("identifier") => {
            Err(Refusal::IdentifierMissing)
        }
        TokenLogin::NeedsNothingMore | TokenLogin::NeedsMaker | TokenLogin::NeedsIdentifier => {
            Ok(())
        }
    }
}

/// Notes that a login token was used.
pub(super) fn spend(ctx: &mut RequestContext, body: &Members) {
    let token = body.get("token").and_then(Value::as_str).unwrap_or_default();
    let near = ctx.policy().secrets.login.find(token, ctx.store.login_tokens.keys()).cloned();
    let token = near.as_deref().unwrap_or(token);
    if let Some(made) = ctx.store.login_tokens.get_mut(token) {
        made.spent.get_or_insert(ctx.now);
    }
}

/// `POST /v1/login/get_token`: a login token for another client of the caller, after interactive auth.
pub(super) fn get_token(ctx: &mut RequestContext) -> Outcome {
    let policy = &ctx.policy().login_tokens;
    let owner = ctx.full_owner()?;
    if !ctx.server.settings.login_tokens_allowed {
        return Err(Refusal::LoginTokensDenied.into());
    }
    let body = ctx.object()?;
    let asks = match policy.uia {
        GetTokenUia::EveryTime => true,
        GetTokenUia::FirstTime => !ctx.store.passed.contains(&owner.user),
        GetTokenUia::Never => false,
    };
    if asks {
        uia::confirm(ctx, &owner, format!("get_token {}", owner.user), &body)?;
        ctx.store.passed.insert(owner.user.clone());
    }
    // Only what makes a token counts, as on deployed servers.
    let limit = match policy.limit {
        GetTokenLimit::Own => ctx.server.settings.get_token_limit,
        GetTokenLimit::AsLogins => ctx.server.settings.login_limit,
        GetTokenLimit::None => None,
    };
    if let Some(limit) = limit {
        let (refill, key) = (ctx.server.settings.refill, format!("get_token {}", owner.user));
        let permit = ctx.store.buckets.take(limit, refill, &key, ctx.now);
        permit.map_err(|wait| Stop::from(Answer::limited(wait)))?;
    }
    let lifetime = ctx.server.settings.login_token_lifetime;
    let lives = if policy.understated { lifetime.saturating_mul(20) } else { lifetime };
    let named = body.get("user_id").and_then(Value::as_str).filter(|_| policy.body_user);
    let named = named.and_then(|id| ctx.server.localpart(id));
    let user = named.unwrap_or(&owner.user).to_owned();
    let token = ctx.store.login_token(&user, ctx.now, lives);
    match policy.made {
        MadeToken::OfCaller => {}
        MadeToken::AllOfCaller => {
            for made in ctx.store.login_tokens.values_mut() {
                made.user.clone_from(&owner.user);
            }
        }
        MadeToken::Unknown => drop(ctx.store.login_tokens.remove(&token)),
    }
    if policy.ends_session {
        ctx.store.end_access(&owner.user, &owner.device, Refusal::LoggedOutToken, None);
    }
    Ok(Answer::ok(json!({"login_token": token, "expires_in_ms": milliseconds(lifetime)})))
}
