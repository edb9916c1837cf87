//! What is done with a session: asking whose it is, refreshing its token, ending it.

use super::answer::{Answer, Outcome, Stop};
use super::house::{Exchange, Members, Owner, required};
use super::opening::{Terms, another, forget_access, issue_tokens, limit_access};
use super::refusal::Refusal;
use super::release::v1;
use super::store::{Device, Reach, Refresh};
use super::uia::{self, Proof};
use super::{fault, quirk};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// `GET /account/whoami`.
pub(super) fn whoami(x: &mut Exchange) -> Outcome {
    let owner = x.owner()?;
    if owner.guest && x.has(fault::GUEST_DENIED) {
        return Err(Refusal::GuestForbidden.into());
    }
    if owner.guest && x.has(fault::GUEST_TOKEN_UNKNOWN) {
        return Err(Refusal::UnknownToken.into());
    }
    let mut answer = Answer::ok(json!({"user_id": x.house.user_id(&owner.user)}));
    if !owner.device.is_empty() {
        answer.put("device_id", json!(owner.device));
    }
    if x.house.listed.since(v1(2)) {
        answer.put("is_guest", json!(owner.guest));
    }
    Ok(answer)
}

/// `POST /refresh`: a new access token and a new refresh token for an old refresh token. The old one stays good until
/// one of the new ones is used. The body is all that counts; no access token is asked for.
pub(super) fn refresh(x: &mut Exchange) -> Outcome {
    if x.has(fault::REFRESH_NEEDS_TOKEN) {
        x.owner()?;
    }
    let body = x.object()?;
    let token = required(
        &body,
        "refresh_token",
        Refusal::RefreshTokenMissing,
        Refusal::RefreshTokenNotString,
    )?;
    if x.call.query("user_id").is_some() && x.has(fault::REFRESH_REFUSES_USER_ID) {
        return Err(Refusal::NotThisUser.into());
    }
    let session = traded_in(x, token)?;
    refuse_by_age(x, &session)?;
    if session.generation > 0 && x.has(fault::REFRESH_LATER_NEEDS_TOKEN) {
        x.owner()?;
    }
    let again = session.uses > 1;
    let (mut user, mut device) = (session.user, session.device);
    if x.has(fault::REFRESH_OTHER_USER) {
        user = another(x, &user);
    }
    if let Some(named) = x.call.query("user_id").filter(|_| x.has(fault::REFRESH_ASSERTED)) {
        user = x.house.localpart(named).map_or(user, str::to_owned);
    }
    if x.has(fault::REFRESH_NEW_DEVICE) {
        device = x.store.device_id();
        if let Some(account) = x.store.accounts.get_mut(&user) {
            account.devices.insert(device.clone(), Device::default());
        }
    }
    if x.has(quirk::REFRESH_ENDS_ACCESS) {
        x.store.end_access(&user, &device, Refusal::ReplacedToken, None);
    }
    if x.has(fault::REFRESH_AT_ONCE)
        || x.has(fault::REFRESH_NONE_BACK)
        || again && x.has(fault::REFRESH_TWICE)
    {
        x.store.revoke_refresh(token);
    }
    let rotates = !x.has(quirk::REFRESH_NO_ROTATION);
    let lost = again && x.has(fault::REFRESH_SIBLINGS);
    let made_from = (rotates && !lost).then(|| token.to_owned());
    let none_back =
        x.has(fault::REFRESH_NONE_BACK) || x.has(fault::REFRESH_NONE_BACK_ENDS_BY_ACCESS);
    let terms = Terms {
        expires: true,
        refresh: rotates && !none_back,
        made_from,
        generation: session.generation + 1,
    };
    let mut members = Members::new();
    issue_tokens(x, &user, &device, terms, &mut members);
    let later = session.generation > 0;
    if x.has(fault::REFRESHED_TOKEN_DEAD) || later && x.has(fault::REFRESHED_LATER_DEAD) {
        forget_access(x, &members);
    }
    if x.has(fault::REFRESHED_FOR_WHOAMI) {
        limit_access(x, &members, Reach::Whoami);
    }
    Ok(Answer::ok(Value::Object(members)))
}

/// The session of the refresh token that is traded in. This is a use of it, which revokes the one before.
fn traded_in(x: &mut Exchange, token: &str) -> Result<Refresh, Refusal> {
    if let Some(access) = x.store.access.get(token).filter(|_| x.has(fault::REFRESH_TAKES_ACCESS)) {
        return Ok(Refresh {
            user: access.user.clone(),
            device: access.device.clone(),
            made_from: None,
            generation: 0,
            uses: 0,
        });
    }
    let dead = x.store.dead.contains_key(token);
    let unknown = if dead { Refusal::RefreshTokenSpent } else { Refusal::RefreshTokenUnknown };
    let session = x.store.refresh.get_mut(token).ok_or(unknown)?;
    let made_from = session.made_from.take();
    session.uses += 1;
    let session = session.clone();
    let revokes = !x.has(fault::REFRESH_NOT_BY_REFRESH) && !x.has(fault::REFRESH_NEVER_REVOKED);
    if let Some(spent) = made_from.filter(|_| revokes) {
        x.store.revoke_refresh(&spent);
    }
    Ok(session)
}

/// Refuses a refresh before or after the access token has expired, as two faults do.
fn refuse_by_age(x: &Exchange, session: &Refresh) -> Result<(), Refusal> {
    let valid = x.store.access.values().any(|access| {
        access.user == session.user
            && access.device == session.device
            && access.expires.is_none_or(|moment| moment > x.now)
    });
    let early = x.has(fault::REFRESH_EARLY_REFUSED)
        || session.generation > 0 && x.has(fault::REFRESH_EARLY_REFUSED_LATER);
    if valid && early {
        return Err(Refusal::NotThisUser);
    }
    if !valid && x.has(fault::REFRESH_AFTER_EXPIRY) {
        return Err(Refusal::RefreshTokenSpent);
    }
    Ok(())
}

/// From when a token that is logged out is refused: at once, but for a quirk and a fault.
fn death(x: &Exchange) -> Option<Instant> {
    match () {
        () if x.has(fault::LOGOUT_FOR_WHOAMI) => Some(x.now),
        () if x.has(fault::LOGOUT_LINGERS) => Some(x.now + Duration::from_secs(60)),
        () if x.has(quirk::LOGOUT_LAGS) => Some(x.now + Duration::from_secs(1)),
        () => None,
    }
}

/// `POST /logout`: ends the session with its device. A body is not looked at; older clients send one.
pub(super) fn logout(x: &mut Exchange) -> Outcome {
    let owner = x.owner()?;
    let refused = if x.call.body.is_empty() {
        x.has(fault::LOGOUT_NEEDS_BODY)
    } else {
        x.has(fault::LOGOUT_REFUSES_BODY)
    };
    if refused {
        return Err(Refusal::NotJson.into());
    }
    let closed = x.store.accounts.get(&owner.user).is_some_and(|account| account.closed);
    if closed && x.has(fault::LOCKED_LOGOUT_NOTHING) {
        return Ok(Answer::empty());
    }
    if x.has(fault::LOGOUT_NOTHING) || third(x, &owner) && x.has(fault::LOGOUT_THIRD_NOTHING) {
        return Ok(Answer::empty());
    }
    if owner.device.is_empty() {
        // The device is not on record, which only a fault brings about: the token is all there is.
        x.store.access.remove(&owner.token);
        x.store.dead.insert(owner.token, Refusal::LoggedOutToken);
        return Ok(Answer::empty());
    }
    end_session(x, &owner);
    let others: Vec<String> = x
        .store
        .device_ids(&owner.user)
        .into_iter()
        .filter(|device| *device != owner.device)
        .collect();
    let more = match () {
        () if x.has(fault::LOGOUT_ENDS_ALL) => others.len(),
        () if x.has(fault::LOGOUT_ENDS_ANOTHER) => others.len(),
        () => 0,
    };
    for device in others.iter().take(more) {
        x.store.drop_device(&owner.user, device, None);
    }
    Ok(Answer::empty())
}

/// Whether this is a third logout of its user, which only a fault asks.
fn third(x: &mut Exchange, owner: &Owner) -> bool {
    x.store.accounts.get_mut(&owner.user).is_some_and(|account| {
        account.logouts += 1;
        account.logouts.is_multiple_of(3)
    })
}

/// Ends one session with its device, or what faults leave of that.
fn end_session(x: &mut Exchange, owner: &Owner) {
    let (user, device) = (owner.user.as_str(), owner.device.as_str());
    let keys = x.store.device(user, device).and_then(|device| device.keys.clone());
    let keeps_refresh = x.has(fault::LOGOUT_KEEPS_REFRESH);
    let (keeps_device, keeps_token) =
        (x.has(fault::LOGOUT_KEEPS_DEVICE), x.has(fault::LOGOUT_KEEPS_TOKEN));
    if !keeps_token {
        x.store.end_access(user, device, Refusal::LoggedOutToken, death(x));
    }
    if x.has(fault::LOGOUT_KEEPS_REFRESHED) {
        let first = |session: &Refresh| session.generation == 0;
        x.store.revoke_where(|s| s.user == user && s.device == device && first(s));
    } else if x.has(fault::LOGOUT_ENDS_ALL_REFRESH) {
        x.store.revoke_where(|session| session.user == user);
    } else if !keeps_refresh {
        x.store.end_refresh(user, device);
    }
    let keeps_keys = x.has(fault::LOGOUT_KEEPS_KEYS) || x.has(fault::LOGOUT_KEYS_BY_NAME);
    let Some(account) = x.store.accounts.get_mut(user).filter(|_| !keeps_device) else { return };
    // Only faults show it again.
    account.ghosts.extend(account.devices.remove_entry(device));
    if let Some(keys) = keys.filter(|_| keeps_keys) {
        account.orphaned_keys.insert(device.to_owned(), keys);
    }
}

/// `POST /logout/all`: ends all sessions of the user with their devices.
pub(super) fn logout_all(x: &mut Exchange) -> Outcome {
    let owner = x.owner()?;
    let bodiless = x.call.body.is_empty();
    let untyped = x.call.header("content-type").is_none();
    if bodiless && x.has(fault::LOGOUT_ALL_NEEDS_BODY)
        || untyped && x.has(fault::LOGOUT_ALL_NEEDS_CONTENT_TYPE)
    {
        return Err(Refusal::NotJson.into());
    }
    let many = x.store.device_ids(&owner.user).len() > 1;
    if x.has(fault::LOGOUT_ALL_UIA) || many && x.has(fault::LOGOUT_ALL_UIA_OF_MANY) {
        ask(x, &owner)?;
    }
    for device in x.store.device_ids(&owner.user) {
        let caller = device == owner.device;
        let spared = x.has(fault::LOGOUT_ALL_NOTHING)
            || caller && x.has(fault::LOGOUT_ALL_KEEPS_CALLER)
            || !caller && x.has(fault::LOGOUT_ALL_CALLER_ONLY);
        if !spared {
            end_session_of_all(x, &owner.user, &device, caller);
        }
        if x.has(fault::LOGOUT_ALL_BY_DEVICE) {
            for user in x.store.accounts.keys().cloned().collect::<Vec<_>>() {
                x.store.drop_device(&user, &device, None);
            }
        }
    }
    if x.has(fault::LOGOUT_ALL_EVERYBODY) {
        let users: Vec<String> = x.store.accounts.keys().cloned().collect();
        for user in users {
            for device in x.store.device_ids(&user) {
                x.store.drop_device(&user, &device, None);
            }
        }
    }
    let (locks, mutes) = (x.has(fault::LOGOUT_ALL_LOCKS), x.has(fault::LOGOUT_ALL_MUTES));
    if let Some(account) = x.store.accounts.get_mut(&owner.user) {
        account.locked |= locks;
        account.mute |= mutes;
    }
    Ok(Answer::empty())
}

/// Ends one of all sessions, or what faults leave of that.
fn end_session_of_all(x: &mut Exchange, user: &str, device: &str, caller: bool) {
    x.store.end_access(user, device, Refusal::LoggedOutToken, death(x));
    let keeps_refresh = x.has(fault::LOGOUT_ALL_KEEPS_REFRESH)
        || x.has(if caller {
            fault::LOGOUT_ALL_KEEPS_OWN_REFRESH
        } else {
            fault::LOGOUT_ALL_KEEPS_OTHER_REFRESH
        });
    if !keeps_refresh {
        x.store.end_refresh(user, device);
    }
    let kept = x.has(fault::LOGOUT_ALL_KEEPS_DEVICES)
        || caller && x.has(fault::LOGOUT_ALL_KEEPS_OWN_DEVICE);
    let keeps_keys = x.has(fault::LOGOUT_ALL_KEEPS_KEYS);
    if let Some(account) = x.store.accounts.get_mut(user).filter(|_| !kept) {
        let keys = account.devices.remove(device).and_then(|device| device.keys);
        account
            .orphaned_keys
            .extend(keys.filter(|_| keeps_keys).map(|keys| (device.to_owned(), keys)));
    }
}

/// Asks for interactive auth where the specification forbids it.
fn ask(x: &mut Exchange, owner: &Owner) -> Result<(), Stop> {
    let body = x.object().unwrap_or_default();
    let binding = format!("logout all {}", owner.user);
    uia::pass(x, &Proof { binding, owner: Some(&owner.user), flows: uia::password_flows(x) }, &body)
}
