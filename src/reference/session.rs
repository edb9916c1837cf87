//! What is done with a session: asking whose it is, refreshing its token, ending it.

use super::answer::{Answer, Outcome, Stop};
use super::context::{Members, Owner, RequestContext, required};
use super::opening::{Terms, another, forget_access, issue_tokens, limit_access};
use super::refusal::Refusal;
use super::release::v1;
use super::store::{Device, Reach, Refresh};
use super::uia::{self, Proof};
use super::{fault, quirk};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// `GET /account/whoami`.
pub(super) fn whoami(ctx: &mut RequestContext) -> Outcome {
    let owner = ctx.owner()?;
    if owner.guest && ctx.has(fault::GUEST_DENIED) {
        return Err(Refusal::GuestForbidden.into());
    }
    if owner.guest && ctx.has(fault::GUEST_TOKEN_UNKNOWN) {
        return Err(Refusal::UnknownToken.into());
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
    if ctx.has(fault::REFRESH_NEEDS_TOKEN) {
        ctx.owner()?;
    }
    let body = ctx.object()?;
    let token = required(
        &body,
        "refresh_token",
        Refusal::RefreshTokenMissing,
        Refusal::RefreshTokenNotString,
    )?;
    if ctx.call.query("user_id").is_some() && ctx.has(fault::REFRESH_REFUSES_USER_ID) {
        return Err(Refusal::NotThisUser.into());
    }
    let session = traded_in(ctx, token)?;
    refuse_by_age(ctx, &session)?;
    if session.generation > 0 && ctx.has(fault::REFRESH_LATER_NEEDS_TOKEN) {
        ctx.owner()?;
    }
    let again = session.uses > 1;
    let (mut user, mut device) = (session.user, session.device);
    if ctx.has(fault::REFRESH_OTHER_USER) {
        user = another(ctx, &user);
    }
    if let Some(named) = ctx.call.query("user_id").filter(|_| ctx.has(fault::REFRESH_ASSERTED)) {
        user = ctx.server.localpart(named).map_or(user, str::to_owned);
    }
    if ctx.has(fault::REFRESH_NEW_DEVICE) {
        device = ctx.store.device_id();
        if let Some(account) = ctx.store.accounts.get_mut(&user) {
            account.devices.insert(device.clone(), Device::default());
        }
    }
    if ctx.has(quirk::REFRESH_ENDS_ACCESS) {
        ctx.store.end_access(&user, &device, Refusal::ReplacedToken, None);
    }
    if ctx.has(fault::REFRESH_AT_ONCE)
        || ctx.has(fault::REFRESH_NONE_BACK)
        || again && ctx.has(fault::REFRESH_TWICE)
    {
        ctx.store.revoke_refresh(token);
    }
    let rotates = !ctx.has(quirk::REFRESH_NO_ROTATION);
    let lost = again && ctx.has(fault::REFRESH_SIBLINGS);
    let made_from = (rotates && !lost).then(|| token.to_owned());
    let none_back =
        ctx.has(fault::REFRESH_NONE_BACK) || ctx.has(fault::REFRESH_NONE_BACK_ENDS_BY_ACCESS);
    let terms = Terms {
        expires: true,
        refresh: rotates && !none_back,
        made_from,
        generation: session.generation + 1,
    };
    let mut members = Members::new();
    issue_tokens(ctx, &user, &device, terms, &mut members);
    let later = session.generation > 0;
    if ctx.has(fault::REFRESHED_TOKEN_DEAD) || later && ctx.has(fault::REFRESHED_LATER_DEAD) {
        forget_access(ctx, &members);
    }
    if ctx.has(fault::REFRESHED_FOR_WHOAMI) {
        limit_access(ctx, &members, Reach::Whoami);
    }
    Ok(Answer::ok(Value::Object(members)))
}

/// The session of the refresh token that is traded in. This is a use of it, which revokes the one before.
fn traded_in(ctx: &mut RequestContext, token: &str) -> Result<Refresh, Refusal> {
    if let Some(access) =
        ctx.store.access.get(token).filter(|_| ctx.has(fault::REFRESH_TAKES_ACCESS))
    {
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
    let session = ctx.store.refresh.get_mut(token).ok_or(unknown)?;
    let made_from = session.made_from.take();
    session.uses += 1;
    let session = session.clone();
    let revokes = !ctx.has(fault::REFRESH_NOT_BY_REFRESH) && !ctx.has(fault::REFRESH_NEVER_REVOKED);
    if let Some(spent) = made_from.filter(|_| revokes) {
        ctx.store.revoke_refresh(&spent);
    }
    Ok(session)
}

/// Refuses a refresh before or after the access token has expired, as two faults do.
fn refuse_by_age(ctx: &RequestContext, session: &Refresh) -> Result<(), Refusal> {
    let valid = ctx.store.access.values().any(|access| {
        access.user == session.user
            && access.device == session.device
            && access.expires.is_none_or(|moment| moment > ctx.now)
    });
    let early = ctx.has(fault::REFRESH_EARLY_REFUSED)
        || session.generation > 0 && ctx.has(fault::REFRESH_EARLY_REFUSED_LATER);
    if valid && early {
        return Err(Refusal::NotThisUser);
    }
    if !valid && ctx.has(fault::REFRESH_AFTER_EXPIRY) {
        return Err(Refusal::RefreshTokenSpent);
    }
    Ok(())
}

/// From when a token that is logged out is refused: at once, but for a quirk and a fault.
fn death(ctx: &RequestContext) -> Option<Instant> {
    match () {
        () if ctx.has(fault::LOGOUT_FOR_WHOAMI) => Some(ctx.now),
        () if ctx.has(fault::LOGOUT_LINGERS) => Some(ctx.now + Duration::from_secs(60)),
        () if ctx.has(quirk::LOGOUT_LAGS) => Some(ctx.now + Duration::from_secs(1)),
        () => None,
    }
}

/// `POST /logout`: ends the session with its device. A body is not looked at; older clients send one.
pub(super) fn logout(ctx: &mut RequestContext) -> Outcome {
    let owner = ctx.owner()?;
    let refused = if ctx.call.body.is_empty() {
        ctx.has(fault::LOGOUT_NEEDS_BODY)
    } else {
        ctx.has(fault::LOGOUT_REFUSES_BODY)
    };
    if refused {
        return Err(Refusal::NotJson.into());
    }
    let closed = ctx.store.accounts.get(&owner.user).is_some_and(|account| account.closed);
    if closed && ctx.has(fault::LOCKED_LOGOUT_NOTHING) {
        return Ok(Answer::empty());
    }
    if ctx.has(fault::LOGOUT_NOTHING) || third(ctx, &owner) && ctx.has(fault::LOGOUT_THIRD_NOTHING)
    {
        return Ok(Answer::empty());
    }
    if owner.device.is_empty() {
        // The device is not on record, which only a fault brings about: the token is all there is.
        ctx.store.access.remove(&owner.token);
        ctx.store.dead.insert(owner.token, Refusal::LoggedOutToken);
        return Ok(Answer::empty());
    }
    end_session(ctx, &owner);
    let others: Vec<String> = ctx
        .store
        .device_ids(&owner.user)
        .into_iter()
        .filter(|device| *device != owner.device)
        .collect();
    let more = match () {
        () if ctx.has(fault::LOGOUT_ENDS_ALL) => others.len(),
        () if ctx.has(fault::LOGOUT_ENDS_ANOTHER) => others.len(),
        () => 0,
    };
    for device in others.iter().take(more) {
        ctx.store.drop_device(&owner.user, device, None);
    }
    Ok(Answer::empty())
}

/// Whether this is a third logout of its user, which only a fault asks.
fn third(ctx: &mut RequestContext, owner: &Owner) -> bool {
    ctx.store.accounts.get_mut(&owner.user).is_some_and(|account| {
        account.logouts += 1;
        account.logouts.is_multiple_of(3)
    })
}

/// Ends one session with its device, or what faults leave of that.
fn end_session(ctx: &mut RequestContext, owner: &Owner) {
    let (user, device) = (owner.user.as_str(), owner.device.as_str());
    let keys = ctx.store.device(user, device).and_then(|device| device.keys.clone());
    let keeps_refresh = ctx.has(fault::LOGOUT_KEEPS_REFRESH);
    let (keeps_device, keeps_token) =
        (ctx.has(fault::LOGOUT_KEEPS_DEVICE), ctx.has(fault::LOGOUT_KEEPS_TOKEN));
    if !keeps_token {
        ctx.store.end_access(user, device, Refusal::LoggedOutToken, death(ctx));
    }
    if ctx.has(fault::LOGOUT_KEEPS_REFRESHED) {
        let first = |session: &Refresh| session.generation == 0;
        ctx.store.revoke_where(|s| s.user == user && s.device == device && first(s));
    } else if ctx.has(fault::LOGOUT_ENDS_ALL_REFRESH) {
        ctx.store.revoke_where(|session| session.user == user);
    } else if !keeps_refresh {
        ctx.store.end_refresh(user, device);
    }
    let keeps_keys = ctx.has(fault::LOGOUT_KEEPS_KEYS) || ctx.has(fault::LOGOUT_KEYS_BY_NAME);
    let Some(account) = ctx.store.accounts.get_mut(user).filter(|_| !keeps_device) else { return };
    // Only faults show it again.
    account.ghosts.extend(account.devices.remove_entry(device));
    if let Some(keys) = keys.filter(|_| keeps_keys) {
        account.orphaned_keys.insert(device.to_owned(), keys);
    }
}

/// `POST /logout/all`: ends all sessions of the user with their devices.
pub(super) fn logout_all(ctx: &mut RequestContext) -> Outcome {
    let owner = ctx.owner()?;
    let bodiless = ctx.call.body.is_empty();
    let untyped = ctx.call.header("content-type").is_none();
    if bodiless && ctx.has(fault::LOGOUT_ALL_NEEDS_BODY)
        || untyped && ctx.has(fault::LOGOUT_ALL_NEEDS_CONTENT_TYPE)
    {
        return Err(Refusal::NotJson.into());
    }
    let many = ctx.store.device_ids(&owner.user).len() > 1;
    if ctx.has(fault::LOGOUT_ALL_UIA) || many && ctx.has(fault::LOGOUT_ALL_UIA_OF_MANY) {
        ask(ctx, &owner)?;
    }
    for device in ctx.store.device_ids(&owner.user) {
        let caller = device == owner.device;
        let spared = ctx.has(fault::LOGOUT_ALL_NOTHING)
            || caller && ctx.has(fault::LOGOUT_ALL_KEEPS_CALLER)
            || !caller && ctx.has(fault::LOGOUT_ALL_CALLER_ONLY);
        if !spared {
            end_session_of_all(ctx, &owner.user, &device, caller);
        }
        if ctx.has(fault::LOGOUT_ALL_BY_DEVICE) {
            for user in ctx.store.accounts.keys().cloned().collect::<Vec<_>>() {
                ctx.store.drop_device(&user, &device, None);
            }
        }
    }
    if ctx.has(fault::LOGOUT_ALL_EVERYBODY) {
        let users: Vec<String> = ctx.store.accounts.keys().cloned().collect();
        for user in users {
            for device in ctx.store.device_ids(&user) {
                ctx.store.drop_device(&user, &device, None);
            }
        }
    }
    let (locks, mutes) = (ctx.has(fault::LOGOUT_ALL_LOCKS), ctx.has(fault::LOGOUT_ALL_MUTES));
    if let Some(account) = ctx.store.accounts.get_mut(&owner.user) {
        account.locked |= locks;
        account.mute |= mutes;
    }
    Ok(Answer::empty())
}

/// Ends one of all sessions, or what faults leave of that.
fn end_session_of_all(ctx: &mut RequestContext, user: &str, device: &str, caller: bool) {
    ctx.store.end_access(user, device, Refusal::LoggedOutToken, death(ctx));
    let keeps_refresh = ctx.has(fault::LOGOUT_ALL_KEEPS_REFRESH)
        || ctx.has(if caller {
            fault::LOGOUT_ALL_KEEPS_OWN_REFRESH
        } else {
            fault::LOGOUT_ALL_KEEPS_OTHER_REFRESH
        });
    if !keeps_refresh {
        ctx.store.end_refresh(user, device);
    }
    let kept = ctx.has(fault::LOGOUT_ALL_KEEPS_DEVICES)
        || caller && ctx.has(fault::LOGOUT_ALL_KEEPS_OWN_DEVICE);
    let keeps_keys = ctx.has(fault::LOGOUT_ALL_KEEPS_KEYS);
    if let Some(account) = ctx.store.accounts.get_mut(user).filter(|_| !kept) {
        let keys = account.devices.remove(device).and_then(|device| device.keys);
        account
            .orphaned_keys
            .extend(keys.filter(|_| keeps_keys).map(|keys| (device.to_owned(), keys)));
    }
}

/// Asks for interactive auth where the specification forbids it.
fn ask(ctx: &mut RequestContext, owner: &Owner) -> Result<(), Stop> {
    let body = ctx.object().unwrap_or_default();
    let binding = format!("logout all {}", owner.user);
    uia::pass(
        ctx,
        &Proof { binding, owner: Some(&owner.user), flows: uia::password_flows(ctx) },
        &body,
    )
}
