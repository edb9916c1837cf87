//! What an administrator can do to accounts: by the calls of the specification, and by those of Synapse for what it has
//! no call for.

use super::ThirdParty;
use super::answer::{Answer, Outcome, Stop};
use super::fault;
use super::house::{Exchange, Members, flag, required};
use super::refusal::Refusal;
use serde_json::{Value, json};

/// The localpart of the account that an administrator's request is about.
fn account(x: &Exchange) -> Result<String, Stop> {
    let token = x.house.settings.admin_token.as_deref();
    if x.presented_token() != token {
        return Err(Refusal::NotThisUser.into());
    }
    let user = x.house.localpart(x.call.parameter(0)).unwrap_or_default();
    if x.store.accounts.contains_key(user) {
        Ok(user.to_owned())
    } else {
        Err(Refusal::FilterUnknown.into())
    }
}

fn lock(x: &mut Exchange, user: &str, locked: bool) {
    if let Some(account) = x.store.accounts.get_mut(user) {
        account.closed = locked;
    }
    if locked && x.has(fault::LOCK_ENDS_SESSIONS) {
        for device in x.store.device_ids(user) {
            x.store.end_access(user, &device, Refusal::LoggedOutToken, None);
        }
    }
}

fn suspend(x: &mut Exchange, user: &str, suspended: bool) {
    if let Some(account) = x.store.accounts.get_mut(user) {
        account.suspended = suspended;
    }
}

/// `PUT /v1/admin/lock/{userId}`.
pub(super) fn put_lock(x: &mut Exchange) -> Outcome {
    let user = account(x)?;
    let locked = flag(&x.object()?, "locked", Refusal::MemberWrongType)?;
    let locked = locked.ok_or(Refusal::MemberMissing)?;
    lock(x, &user, locked);
    Ok(Answer::ok(json!({"locked": locked})))
}

/// `PUT /v1/admin/suspend/{userId}`.
pub(super) fn put_suspension(x: &mut Exchange) -> Outcome {
    let user = account(x)?;
    let suspended = flag(&x.object()?, "suspended", Refusal::MemberWrongType)?;
    let suspended = suspended.ok_or(Refusal::MemberMissing)?;
    suspend(x, &user, suspended);
    Ok(Answer::ok(json!({"suspended": suspended})))
}

/// Synapse's `PUT /_synapse/admin/v2/users/{userId}`: locks, unlocks, binds addresses.
pub(super) fn put_user(x: &mut Exchange) -> Outcome {
    let user = account(x)?;
    let body = x.object()?;
    if let Some(locked) = flag(&body, "locked", Refusal::MemberWrongType)? {
        lock(x, &user, locked);
    }
    let addresses = body.get("threepids").and_then(Value::as_array);
    for address in addresses.into_iter().flatten().filter_map(Value::as_object) {
        let bound = binding(address, &user)?;
        x.store.third_party.push(bound);
    }
    Ok(Answer::ok(json!({"name": x.house.user_id(&user)})))
}

fn binding(address: &Members, user: &str) -> Result<ThirdParty, Refusal> {
    let member = |name| required(address, name, Refusal::MemberMissing, Refusal::MemberWrongType);
    let (medium, address) = (member("medium")?.to_owned(), member("address")?.to_owned());
    Ok(ThirdParty { medium, address, user: user.to_owned() })
}

/// Synapse's `PUT /_synapse/admin/v1/suspend/{userId}`.
pub(super) fn put_suspension_of_synapse(x: &mut Exchange) -> Outcome {
    let user = account(x)?;
    let suspended = flag(&x.object()?, "suspend", Refusal::MemberWrongType)?;
    suspend(x, &user, suspended.ok_or(Refusal::MemberMissing)?);
    Ok(Answer::empty())
}

/// Synapse's `POST /_synapse/admin/v1/deactivate/{userId}`.
pub(super) fn deactivate(x: &mut Exchange) -> Outcome {
    let user = account(x)?;
    super::account::close(x, &user, "");
    Ok(Answer::ok(json!({"id_server_unbind_result": "success"})))
}
