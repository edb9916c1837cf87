//! What is done with a session: asking whose it is, refreshing its token, ending it.

use super::answer::{Answer, Outcome};
use super::house::{Exchange, Members, required};
use super::login::issue_tokens;
use super::refusal::Refusal;
use super::release::v1;
use serde_json::{Value, json};

/// `GET /account/whoami`.
pub(super) fn whoami(x: &mut Exchange) -> Outcome {
    let owner = x.owner()?;
    let mut answer =
        Answer::ok(json!({"user_id": x.house.user_id(&owner.user), "device_id": owner.device}));
    if x.house.listed.since(v1(2)) {
        answer.put("is_guest", json!(owner.guest));
    }
    Ok(answer)
}

/// `POST /refresh`: a new access token and a new refresh token for an old refresh token. The old one stays good until
/// one of the new ones is used. The body is all that counts; no access token is asked for.
pub(super) fn refresh(x: &mut Exchange) -> Outcome {
    let body = x.object()?;
    let token = required(
        &body,
        "refresh_token",
        Refusal::RefreshTokenMissing,
        Refusal::RefreshTokenNotString,
    )?
    .to_owned();
    let dead = x.store.dead.contains(&token);
    let unknown = if dead { Refusal::RefreshTokenSpent } else { Refusal::RefreshTokenUnknown };
    let session = x.store.refresh.get_mut(&token).ok_or(unknown)?;
    let (user, device, made_from) =
        (session.user.clone(), session.device.clone(), session.made_from.take());
    if let Some(spent) = made_from {
        x.store.revoke_refresh(&spent);
    }
    let mut members = Members::new();
    issue_tokens(x, &user, &device, true, Some(&token), &mut members);
    Ok(Answer::ok(Value::Object(members)))
}

/// `POST /logout`: ends the session with its device. A body is not looked at; older clients send one.
pub(super) fn logout(x: &mut Exchange) -> Outcome {
    let owner = x.owner()?;
    x.store.drop_device(&owner.user, &owner.device, None);
    Ok(Answer::empty())
}

/// `POST /logout/all`: ends all sessions of the user with their devices.
pub(super) fn logout_all(x: &mut Exchange) -> Outcome {
    let owner = x.owner()?;
    for device in x.store.device_ids(&owner.user) {
        x.store.drop_device(&owner.user, &device, None);
    }
    Ok(Answer::empty())
}
