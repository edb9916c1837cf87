//! What an administrator can do to accounts: by the calls of the specification, and by those of Synapse for what it has
//! no call for.

use super::answer::{Answer, Outcome, Stop};
use super::context::{Members, RequestContext, flag, required};
use super::refusal::Refusal;
use super::settings::ThirdParty;
use serde_json::{Value, json};

/// The localpart of the account that an administrator's request is about.
fn account(ctx: &RequestContext) -> Result<String, Stop> {
    let token = ctx.server.settings.admin_token.as_deref();
    if ctx.presented_token() != token {
        return Err(Refusal::NotThisUser.into());
    }
    let user = ctx.server.localpart(ctx.call.parameter(0)).unwrap_or_default();
    if ctx.store.accounts.contains_key(user) {
        Ok(user.to_owned())
    } else {
        Err(Refusal::FilterUnknown.into())
    }
}

fn lock(ctx: &mut RequestContext, user: &str, locked: bool) {
    if let Some(account) = ctx.store.accounts.get_mut(user) {
        account.closed = locked;
    }
    if locked && ctx.policy().locked.sessions_end {
        for device in ctx.store.device_ids(user) {
            ctx.store.end_access(user, &device, Refusal::LoggedOutToken, None);
        }
    }
}

fn suspend(ctx: &mut RequestContext, user: &str, suspended: bool) {
    if let Some(account) = ctx.store.accounts.get_mut(user) {
        account.suspended = suspended;
    }
}

/// `PUT /v1/admin/lock/{userId}`.
pub(super) fn put_lock(ctx: &mut RequestContext) -> Outcome {
    let user = account(ctx)?;
    let locked = flag(&ctx.object()?, "locked", Refusal::MemberWrongType)?;
    let locked = locked.ok_or(Refusal::MemberMissing)?;
    lock(ctx, &user, locked);
    Ok(Answer::ok(json!({"locked": locked})))
}

/// `PUT /v1/admin/suspend/{userId}`.
pub(super) fn put_suspension(ctx: &mut RequestContext) -> Outcome {
    let user = account(ctx)?;
    let suspended = flag(&ctx.object()?, "suspended", Refusal::MemberWrongType)?;
    let suspended = suspended.ok_or(Refusal::MemberMissing)?;
    suspend(ctx, &user, suspended);
    Ok(Answer::ok(json!({"suspended": suspended})))
}

/// `GET /v1/admin/lock/{userId}`.
pub(super) fn lock_state(ctx: &mut RequestContext) -> Outcome {
    let user = account(ctx)?;
    let locked = ctx.store.accounts.get(&user).is_some_and(|account| account.closed);
    Ok(Answer::ok(json!({"locked": locked})))
}

/// `GET /v1/admin/suspend/{userId}`.
pub(super) fn suspension_state(ctx: &mut RequestContext) -> Outcome {
    let user = account(ctx)?;
    let suspended = ctx.store.accounts.get(&user).is_some_and(|account| account.suspended);
    Ok(Answer::ok(json!({"suspended": suspended})))
}

/// Synapse's `PUT /_synapse/admin/v2/users/{userId}`: locks, unlocks, binds addresses.
pub(super) fn put_user(ctx: &mut RequestContext) -> Outcome {
    let user = account(ctx)?;
    let body = ctx.object()?;
    if let Some(locked) = flag(&body, "locked", Refusal::MemberWrongType)? {
        lock(ctx, &user, locked);
    }
    let addresses = body.get("threepids").and_then(Value::as_array);
    for address in addresses.into_iter().flatten().filter_map(Value::as_object) {
        let bound = binding(address, &user)?;
        ctx.store.third_party.push(bound);
    }
    Ok(Answer::ok(json!({"name": ctx.server.user_id(&user)})))
}

fn binding(address: &Members, user: &str) -> Result<ThirdParty, Refusal> {
    let member = |name| required(address, name, Refusal::MemberMissing, Refusal::MemberWrongType);
    let (medium, address) = (member("medium")?.to_owned(), member("address")?.to_owned());
    Ok(ThirdParty { medium, address, user: user.to_owned() })
}

/// Synapse's `PUT /_synapse/admin/v1/suspend/{userId}`.
pub(super) fn put_suspension_of_synapse(ctx: &mut RequestContext) -> Outcome {
    let user = account(ctx)?;
    let suspended = flag(&ctx.object()?, "suspend", Refusal::MemberWrongType)?;
    suspend(ctx, &user, suspended.ok_or(Refusal::MemberMissing)?);
    Ok(Answer::empty())
}

/// Synapse's `POST /_synapse/admin/v1/deactivate/{userId}`.
pub(super) fn deactivate(ctx: &mut RequestContext) -> Outcome {
    let user = account(ctx)?;
    super::account::close(ctx, &user, "");
    Ok(Answer::ok(json!({"id_server_unbind_result": "success"})))
}
