//! What is done with a session: asking whose it is, refreshing its token, ending it.

use super::answer::{Answer, Outcome, Stop};
use super::context::{Members, Owner, RequestContext, required};
use super::lifetime::{Outliving, end_beside, end_login_tokens, end_same_ids};
use super::opening::{Terms, forget_access, forget_refresh, issue_tokens, limit_access};
use super::policy::{
    AfterLogoutAll, EndedRefreshTokens, FailedRefresh, LockedLogout, LogoutAllNeeds, LogoutAllUia,
    LogoutBody, NewRefreshToken, OddText, OldTokenUses, OtherUsers, RefreshPolicy,
    RefreshedSession, Refreshes, SessionEnd, UserIdParameter,
};
use super::refusal::Refusal;
use super::release::v1;
use super::store::{Device, Reach, Refresh};
use super::uia;
use serde_json::{Value, json};
use std::time::Instant;

/// `GET /account/whoami`.
pub(super) fn whoami(ctx: &mut RequestContext) -> Outcome {
    let owner = ctx.owner()?;
    if let Some(refusal) = ctx.policy().whoami.guests_refused.filter(|_| owner.guest) {
        return Err(refusal.into());
    }
    let mut answer = Answer::ok(json!({"user_id": ctx.server.user_id(&owner.user)}));
    if !owner.device.is_empty() {
        answer.put("device_id", json!(owner.device));
    }
    if ctx.server.listed.since(v1(2)) {
        answer.put("is_guest", json!(owner.guest));
    }
    Ok(answer)
}

/// `POST /refresh`: a new access token and a new refresh token for an old refresh token. The old one stays good until
/// one of the new ones is used. The body is all that counts; no access token is asked for.
pub(super) fn refresh(ctx: &mut RequestContext) -> Outcome {
    let policy = &ctx.policy().refresh;
    if policy.needs_access_token == Refreshes::All {
        ctx.owner()?;
    }
    let body = ctx.object()?;
    let (missing, wrong) = (Refusal::RefreshTokenMissing, Refusal::RefreshTokenNotString);
    let token = required(&body, "refresh_token", missing, wrong)?;
    let secrets = &ctx.policy().secrets;
    if secrets.odd_fails == Some(OddText::RefreshToken) && OddText::is_odd(token) {
        return Err(Refusal::Failure.into());
    }
    let token = secrets.refresh.find(token, ctx.store.refresh.keys()).cloned();
    let token = &token.unwrap_or_else(|| given(&body));
    refuse_locked(ctx, token)?;
    if policy.user_id == UserIdParameter::Refused && ctx.call.query("user_id").is_some() {
        return Err(Refusal::NotThisUser.into());
    }
    let session = traded_in(ctx, token)?;
    let later = session.generation > 0;
    refuse_by_age(ctx, policy, &session)?;
    if policy.needs_access_token == Refreshes::AllButFirst && later {
        ctx.owner()?;
    }
    let again = session.uses > 1;
    let (user, device) = goes_on(ctx, policy, &session);
    if policy.ends_old_access_token {
        ctx.store.end_access(&user, &device, Refusal::ReplacedToken, None);
    }
    match policy.old_token_uses {
        OldTokenUses::Once => ctx.store.revoke_refresh(token),
        OldTokenUses::Twice if again => ctx.store.revoke_refresh(token),
        OldTokenUses::Twice | OldTokenUses::Unlimited => {}
    }
    let ends_old = policy.new_token != NewRefreshToken::None;
    let untracked = again && policy.second_use_ends_nothing;
    let terms = Terms {
        expires: true,
        refresh: policy.new_token == NewRefreshToken::TakesOver,
        chosen: false,
        made_from: (ends_old && !untracked).then(|| token.to_owned()),
        generation: session.generation + 1,
    };
    let mut members = Members::new();
    issue_tokens(ctx, &user, &device, terms, &mut members);
    if policy.dead_access_tokens.include(later) {
        forget_access(ctx, &members);
    }
    if policy.dead_refresh_tokens {
        forget_refresh(ctx, &members);
    }
    end_beside(ctx, ctx.policy().lifetimes.refresh_ends, &user, &device);
    if ctx.policy().isolation.refresh_ends_same_ids {
        for other in ctx.store.others_with_device(&user, &device) {
            ctx.store.end_access(&other, &device, Refusal::LoggedOutToken, None);
        }
    }
    if policy.access_tokens_for_whoami_alone {
        limit_access(ctx, &members, Reach::Whoami);
    }
    Ok(Answer::ok(Value::Object(members)))
}

/// The refresh token of the body as it was given.
fn given(body: &Members) -> String {
    body.get("refresh_token").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Refuses to refresh the session of a locked account; its tokens stay as they are.
fn refuse_locked(ctx: &RequestContext, token: &str) -> Result<(), Refusal> {
    let session = ctx.store.refresh.get(token);
    let account = session.and_then(|session| ctx.store.accounts.get(&session.user));
    let policy = &ctx.policy().locked;
    let goes_on = policy.refreshes_go_on || policy.known_to.is_some();
    let locked = account.is_some_and(|account| account.closed) && !goes_on;
    if locked { Err(Refusal::UserLocked) } else { Ok(()) }
}

/// The session of the refresh token that is traded in. This is a use of it, which revokes the one before.
fn traded_in(ctx: &mut RequestContext, token: &str) -> Result<Refresh, Refusal> {
    let policy = &ctx.policy().refresh;
    if let Some(access) = ctx.store.access.get(token).filter(|_| policy.takes_access_tokens) {
        return Ok(Refresh {
            user: access.user.clone(),
            device: access.device.clone(),
            made_from: None,
            generation: 0,
            uses: 0,
        });
    }
    let dead = ctx.store.dead.contains_key(token);
    let unknown = if dead { Refusal::RefreshTokenSpent } else { Refusal::RefreshTokenUnknown };
    if !ctx.store.refresh.contains_key(token) {
        fail(ctx, token);
    }
    let session = ctx.store.refresh.get_mut(token).ok_or(unknown)?;
    let made_from = session.made_from.take();
    session.uses += 1;
    let session = session.clone();
    if let Some(old) = made_from.filter(|_| policy.old_token_ends.by_new_refresh_token()) {
        ctx.store.revoke_refresh(&old);
    }
    Ok(session)
}

/// What a refused refresh token does to the session of one that is nearly the same: nothing by the book.
fn fail(ctx: &mut RequestContext, given: &str) {
    let failure = ctx.policy().refresh.failure;
    let near = |kept: &&String| is_near(given, kept) && failure != FailedRefresh::Nothing;
    let Some(token) = ctx.store.refresh.keys().find(near).cloned() else { return };
    let Some(session) = ctx.store.refresh.get(&token).cloned() else { return };
    match failure {
        FailedRefresh::Nothing => {}
        FailedRefresh::EndsRefreshToken => ctx.store.revoke_refresh(&token),
        FailedRefresh::EndsAccessToken => {
            ctx.store.end_access(&session.user, &session.device, Refusal::ReplacedToken, None);
        }
    }
}

/// Whether most of two texts is the same, case left out.
fn is_near(given: &str, kept: &str) -> bool {
    let same = given.bytes().zip(kept.bytes()).filter(|(a, b)| a.eq_ignore_ascii_case(b)).count();
    same * 2 > kept.len()
}

/// Refuses a refresh before or after the access token has expired, which the specification does not.
fn refuse_by_age(
    ctx: &RequestContext,
    policy: &RefreshPolicy,
    session: &Refresh,
) -> Result<(), Refusal> {
    let valid = ctx.store.access.values().any(|access| {
        access.user == session.user
            && access.device == session.device
            && access.expires.is_none_or(|moment| moment > ctx.now)
    });
    if valid && policy.refused_while_valid.include(session.generation > 0) {
        return Err(Refusal::NotThisUser);
    }
    match policy.refused_after_expiry {
        Some(refusal) if !valid => Err(refusal),
        _ => Ok(()),
    }
}

/// The user and the device that the new tokens are for: those of the session.
fn goes_on(
    ctx: &mut RequestContext,
    policy: &RefreshPolicy,
    session: &Refresh,
) -> (String, String) {
    let (mut user, mut device) = (session.user.clone(), session.device.clone());
    if policy.session == RefreshedSession::OfAnotherUser {
        user = ctx.store.another_user(&user);
    }
    let asserted = policy.user_id == UserIdParameter::Asserted;
    if let Some(named) = ctx.call.query("user_id").filter(|_| asserted) {
        user = ctx.server.localpart(named).map_or(user, str::to_owned);
    }
    if let Some(assumed) = ctx.assumed_user(ctx.policy().identity.refresh_as) {
        user = assumed;
    }
    if policy.session == RefreshedSession::OnNewDevice {
        device = ctx.store.device_id();
        if let Some(account) = ctx.store.accounts.get_mut(&user) {
            account.devices.insert(device.clone(), Device::default());
        }
    }
    (user, device)
}

/// From when a token that is logged out is refused: at once if absent.
fn token_end(ctx: &RequestContext) -> Option<Instant> {
    ctx.policy().logout.tokens_linger.map(|time| ctx.now + time)
}

/// `POST /logout`: ends the session with its device. A body is not looked at; older clients send one.
pub(super) fn logout(ctx: &mut RequestContext) -> Outcome {
    let policy = &ctx.policy().logout;
    let mut owner = ctx.owner()?;
    if ctx.policy().identity.logout_body_device
        && let Some(device) = device_of_body(ctx)
    {
        owner.device = device;
    }
    let refused = match policy.body {
        LogoutBody::Optional | LogoutBody::EndsNothing => false,
        LogoutBody::Required => ctx.call.body.is_empty(),
        LogoutBody::Refused => !ctx.call.body.is_empty(),
    };
    if refused {
        return Err(Refusal::NotJson.into());
    }
    let account = ctx.store.accounts.get_mut(&owner.user);
    let (locked, number) = account.map_or((false, 0), |account| {
        account.logouts += 1;
        (account.closed, account.logouts)
    });
    let by_body = policy.body == LogoutBody::EndsNothing && !ctx.call.body.is_empty();
    let idle = by_body || locked && ctx.policy().locked.logout == LockedLogout::DoesNothing;
    if idle || policy.does_nothing.include(number) {
        return Ok(Answer::empty());
    }
    if owner.device.is_empty() {
        // The device is not on record: the token is all there is.
        ctx.store.access.remove(&owner.token);
        ctx.store.dead.insert(owner.token, Refusal::LoggedOutToken);
        return Ok(Answer::empty());
    }
    end_session(ctx, &owner);
    if policy.ends_other_sessions {
        for device in ctx.store.device_ids(&owner.user) {
            if device != owner.device {
                ctx.store.drop_device(&owner.user, &device, None);
            }
        }
    }
    Ok(Answer::empty())
}

/// The device that the body of a logout names, where it is looked at and there is such a device.
fn device_of_body(ctx: &RequestContext) -> Option<String> {
    let body = ctx.object().ok()?;
    body.get("device_id").and_then(Value::as_str).map(str::to_owned)
}

/// Ends one session with its device and all that belongs to it.
fn end_session(ctx: &mut RequestContext, owner: &Owner) {
    let policy = &ctx.policy().logout;
    let (user, device) = (owner.user.as_str(), owner.device.as_str());
    let keys = ctx.store.device(user, device).and_then(|device| device.keys.clone());
    let outliving = Outliving::of(ctx, user, device, SessionEnd::Logout);
    if !policy.keeps_access_token {
        let end = token_end(ctx);
        ctx.store.end_access_where(Refusal::LoggedOutToken, end, |session| {
            session.user == user && session.device == device && !outliving.access(session)
        });
    }
    end_same_ids(ctx, user, device, SessionEnd::Logout);
    end_login_tokens(ctx, owner);
    match policy.refresh_tokens {
        EndedRefreshTokens::OfSession => ctx.store.revoke_where(|session| {
            session.user == user && session.device == device && !outliving.refresh(session)
        }),
        EndedRefreshTokens::OfLogin => ctx.store.revoke_where(|session| {
            session.user == user && session.device == device && session.generation == 0
        }),
        EndedRefreshTokens::OfAllSessions => {
            ctx.store.revoke_where(|session| session.user == user);
        }
        EndedRefreshTokens::None => {}
    }
    let Some(account) = ctx.store.accounts.get_mut(user).filter(|_| !policy.keeps_device) else {
        return;
    };
    account.ghosts.extend(account.devices.remove_entry(device));
    account.deleted.insert(device.to_owned());
    if let Some(keys) = keys.filter(|_| policy.keeps_keys) {
        account.orphaned_keys.insert(device.to_owned(), keys);
    }
}

/// `POST /logout/all`: ends all sessions of the user with their devices.
pub(super) fn logout_all(ctx: &mut RequestContext) -> Outcome {
    let policy = &ctx.policy().logout_all;
    let owner = ctx.owner()?;
    let lacks = match policy.needs {
        LogoutAllNeeds::Nothing => false,
        LogoutAllNeeds::Body => ctx.call.body.is_empty(),
        LogoutAllNeeds::ContentType => ctx.call.header("content-type").is_none(),
    };
    if lacks {
        return Err(Refusal::NotJson.into());
    }
    let devices = ctx.store.device_ids(&owner.user);
    let asks = match policy.asks_uia {
        LogoutAllUia::Never => false,
        LogoutAllUia::Always => true,
        LogoutAllUia::OfSeveralSessions => devices.len() > 1,
    };
    if asks {
        confirm_logout_all(ctx, &owner)?;
    }
    for device in &devices {
        let own = *device == owner.device;
        if !policy.spares.includes(own) {
            end_session_of_all(ctx, &owner.user, device, own);
        }
    }
    end_login_tokens(ctx, &owner);
    end_sessions_of_others(ctx, policy.other_users, &devices);
    if let Some(account) = ctx.store.accounts.get_mut(&owner.user) {
        account.locked |= policy.afterwards == AfterLogoutAll::CannotLogIn;
        account.mute |= policy.afterwards == AfterLogoutAll::TokensUnknown;
    }
    Ok(Answer::empty())
}

/// Ends one of all sessions of the user.
fn end_session_of_all(ctx: &mut RequestContext, user: &str, device: &str, own: bool) {
    let policy = &ctx.policy().logout_all;
    let end = token_end(ctx);
    let outliving = Outliving::of(ctx, user, device, SessionEnd::LogoutAll);
    ctx.store.end_access_where(Refusal::LoggedOutToken, end, |session| {
        session.user == user && session.device == device && !outliving.access(session)
    });
    if !policy.keeps_refresh_tokens.includes(own) {
        ctx.store.revoke_where(|session| {
            session.user == user && session.device == device && !outliving.refresh(session)
        });
    }
    let kept = policy.keeps_devices.includes(own);
    if let Some(account) = ctx.store.accounts.get_mut(user).filter(|_| !kept) {
        let keys = account.devices.remove(device).and_then(|device| device.keys);
        account.deleted.insert(device.to_owned());
        let keys = keys.filter(|_| policy.keeps_keys);
        account.orphaned_keys.extend(keys.map(|keys| (device.to_owned(), keys)));
    }
}

/// Ends sessions of other users, which the specification leaves alone; `devices` are those of the user who asks.
fn end_sessions_of_others(ctx: &mut RequestContext, ended: OtherUsers, devices: &[String]) {
    if ended == OtherUsers::Untouched {
        return;
    }
    for user in ctx.store.accounts.keys().cloned().collect::<Vec<_>>() {
        for device in ctx.store.device_ids(&user) {
            if ended == OtherUsers::All || devices.contains(&device) {
                ctx.store.drop_device(&user, &device, None);
            }
        }
    }
}

/// Asks for interactive auth, which the specification does not.
fn confirm_logout_all(ctx: &mut RequestContext, owner: &Owner) -> Result<(), Stop> {
    // A body is optional here.
    let body = ctx.object().unwrap_or_default();
    uia::confirm(ctx, owner, format!("logout all {}", owner.user), &body)
}
