//! What an administrator can do to accounts: by the calls of the specification, and by those of Synapse for what it has
//! no call for.

use super::answer::{Answer, Outcome, Stop};
use super::context::{Members, RequestContext, flag, required};
use super::policy::{AdministrationEffect, AdministrationSays, UnknownAccounts};
use super::refusal::Refusal;
use super::settings::ThirdParty;
use super::store::Account;
use serde_json::{Value, json};

/// The account that an administrator's request is about.
struct Subject {
    localpart: String,
    /// Whether it is the one who asks.
    own: bool,
}

/// The account that a request is about. Who asks is looked at first, so that nobody else learns which accounts there are.
fn subject(ctx: &mut RequestContext) -> Result<Subject, Stop> {
    let policy = &ctx.policy().administration;
    if policy.looks_up_first {
        find(ctx)?;
    }
    let owner = ctx.owner()?;
    let is_administrator = |user: &str| {
        let account = ctx.store.accounts.get(user);
        account.is_some_and(|account| account.administrator)
    };
    if !is_administrator(&owner.user) && !policy.by_everybody {
        return Err(Refusal::NotAdministrator.into());
    }
    let localpart = find(ctx)?;
    let own = localpart == owner.user;
    if !own && is_administrator(&localpart) {
        return Err(Refusal::NotThisUser.into());
    }
    Ok(Subject { localpart, own })
}

/// The localpart of the account that the path names. Only one of this server that is not deactivated is found.
fn find(ctx: &RequestContext) -> Result<String, Refusal> {
    let policy = ctx.policy().administration.unknown_accounts;
    let id = ctx.call.parameter(0);
    let local = ctx.server.localpart(id).filter(|_| id.starts_with('@'));
    let Some(user) = local else {
        let hidden = policy == UnknownAccounts::RemoteNotFound;
        return Err(if hidden { Refusal::AccountUnknown } else { Refusal::AccountRemote });
    };
    let account = ctx.store.accounts.get(user);
    let there = account.is_some_and(|account| !account.deactivated);
    if there || policy == UnknownAccounts::Accepted {
        Ok(user.to_owned())
    } else {
        Err(Refusal::AccountUnknown)
    }
}

/// The same for what changes an account, which cannot be the administrator's own.
fn changeable(ctx: &mut RequestContext) -> Result<String, Stop> {
    let Subject { localpart, own } = subject(ctx)?;
    if own && !ctx.policy().administration.acts_on_itself {
        return Err(Refusal::NotThisUser.into());
    }
    Ok(localpart)
}

fn lock(ctx: &mut RequestContext, user: &str, locked: bool) {
    let effect = ctx.policy().administration.effect;
    if effect == AdministrationEffect::NoLock || effect == AdministrationEffect::ForGood && !locked
    {
        return;
    }
    if let Some(account) = ctx.store.accounts.get_mut(user) {
        account.closed = locked;
    }
    let policy = &ctx.policy().locked;
    for device in ctx.store.device_ids(user).iter().filter(|_| locked) {
        if policy.sessions_end {
            ctx.store.end_access(user, device, Refusal::LoggedOutToken, None);
        }
        if policy.refresh_tokens_end {
            ctx.store.end_refresh(user, device);
        }
    }
}

fn suspend(ctx: &mut RequestContext, user: &str, suspended: bool) {
    let effect = ctx.policy().administration.effect;
    let taken_back = effect == AdministrationEffect::ForGood && !suspended;
    if effect == AdministrationEffect::NoSuspension || taken_back {
        return;
    }
    if let Some(account) = ctx.store.accounts.get_mut(user) {
        account.suspended = suspended;
    }
    if suspended && ctx.policy().suspended.sessions_end {
        for device in ctx.store.device_ids(user) {
            ctx.store.drop_device(user, &device, None);
        }
    }
}

/// What is said of an account after it was changed.
fn said(ctx: &RequestContext, member: &str, value: bool) -> Answer {
    let opposite = ctx.policy().administration.says == AdministrationSays::Opposite;
    Answer::ok(json!({member: value != opposite}))
}

/// What is said of an account that is looked up.
fn state(ctx: &mut RequestContext, member: &str, of: impl Fn(&Account) -> bool) -> Outcome {
    let user = subject(ctx)?.localpart;
    let says_nothing = ctx.policy().administration.says == AdministrationSays::Nothing;
    let value = ctx.store.accounts.get(&user).is_some_and(of) && !says_nothing;
    Ok(said(ctx, member, value))
}

/// `GET /v1/admin/lock/{userId}`.
pub(super) fn get_lock(ctx: &mut RequestContext) -> Outcome {
    state(ctx, "locked", |account| account.closed)
}

/// `GET /v1/admin/suspend/{userId}`.
pub(super) fn get_suspension(ctx: &mut RequestContext) -> Outcome {
    state(ctx, "suspended", |account| account.suspended)
}

/// `PUT /v1/admin/lock/{userId}`.
pub(super) fn put_lock(ctx: &mut RequestContext) -> Outcome {
    let user = changeable(ctx)?;
    let locked = flag(&ctx.object()?, "locked", Refusal::MemberWrongType)?;
    let locked = locked.ok_or(Refusal::MemberMissing)?;
    lock(ctx, &user, locked);
    Ok(said(ctx, "locked", locked))
}

/// `PUT /v1/admin/suspend/{userId}`.
pub(super) fn put_suspension(ctx: &mut RequestContext) -> Outcome {
    let user = changeable(ctx)?;
    let suspended = flag(&ctx.object()?, "suspended", Refusal::MemberWrongType)?;
    let suspended = suspended.ok_or(Refusal::MemberMissing)?;
    suspend(ctx, &user, suspended);
    Ok(said(ctx, "suspended", suspended))
}

/// Synapse's `PUT /_synapse/admin/v2/users/{userId}`: locks, unlocks, binds addresses.
pub(super) fn put_user(ctx: &mut RequestContext) -> Outcome {
    let user = changeable(ctx)?;
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
    let user = changeable(ctx)?;
    let suspended = flag(&ctx.object()?, "suspend", Refusal::MemberWrongType)?;
    suspend(ctx, &user, suspended.ok_or(Refusal::MemberMissing)?);
    Ok(Answer::empty())
}

/// Synapse's `POST /_synapse/admin/v1/deactivate/{userId}`.
pub(super) fn deactivate(ctx: &mut RequestContext) -> Outcome {
    let user = changeable(ctx)?;
    super::account::close(ctx, &user, "");
    Ok(Answer::ok(json!({"id_server_unbind_result": "success"})))
}
