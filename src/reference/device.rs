//! The devices of a user.

use super::answer::{Answer, Outcome, Stop};
use super::context::{Members, Owner, RequestContext, text};
use super::policy::{DeletePolicy, DeletedDevices, LoggedOutDevices, ServiceDevice};
use super::refusal::Refusal;
use super::release::v1;
use super::store::Device;
use super::uia;
use serde_json::{Value, json};

/// A device as clients see it.
fn describe(id: &str, device: &Device) -> Value {
    let mut shown = Members::new();
    shown.insert("device_id".to_owned(), json!(id));
    if let Some(name) = &device.display_name {
        shown.insert("display_name".to_owned(), json!(name));
    }
    if device.last_seen_ts > 0 {
        shown.insert("last_seen_ip".to_owned(), json!(device.last_seen_ip));
        shown.insert("last_seen_ts".to_owned(), json!(device.last_seen_ts));
    }
    Value::Object(shown)
}

/// `GET /devices`.
pub(super) fn list(ctx: &mut RequestContext) -> Outcome {
    let policy = &ctx.policy().devices;
    let owner = ctx.owner()?;
    let account = ctx.store.accounts.get(&owner.user);
    let devices = account.into_iter().flat_map(|account| &account.devices);
    let twice = devices.clone().filter(|(_, device)| device.again && policy.lists_known_twice);
    let ghosts = account.into_iter().flat_map(|account| &account.ghosts);
    let ghosts = ghosts.filter(|_| policy.logged_out == LoggedOutDevices::Listed);
    let shown: Vec<Value> = devices
        .filter(|(_, device)| device.display_name.is_some() || !policy.hides_nameless)
        .chain(twice)
        .chain(ghosts)
        .map(|(id, device)| describe(id, device))
        .collect();
    Ok(Answer::ok(json!({"devices": shown})))
}

/// `GET /devices/{id}`.
pub(super) fn get(ctx: &mut RequestContext) -> Outcome {
    let policy = &ctx.policy().devices;
    let owner = ctx.owner()?;
    let id = ctx.call.parameter(0);
    let account = ctx.store.accounts.get(&owner.user);
    let ghost = account.and_then(|account| account.ghosts.get(id));
    let ghost = ghost.filter(|_| policy.logged_out == LoggedOutDevices::Shown);
    let any = ctx.store.accounts.values().find_map(|account| account.devices.get(id));
    let any = any.filter(|_| policy.shows_those_of_others);
    let device = ctx.store.device(&owner.user, id).or(ghost).or(any);
    Ok(Answer::ok(describe(id, device.ok_or_else(|| missing(ctx, id))?)))
}

/// Why a device is not shown: nobody has it, or another user has; the answer is the same.
fn missing(ctx: &RequestContext, id: &str) -> Refusal {
    let elsewhere = ctx.store.accounts.values().any(|account| account.devices.contains_key(id));
    if elsewhere { Refusal::DeviceOfAnother } else { Refusal::DeviceUnknown }
}

/// `PUT /devices/{id}`: renames a device that exists. Since v1.17 an application service makes it if need be.
pub(super) fn rename(ctx: &mut RequestContext) -> Outcome {
    let policy = &ctx.policy().devices.rename;
    let owner = ctx.owner()?;
    let body = ctx.object()?;
    let name = text(&body, "display_name", Refusal::MemberWrongType)?.map(str::to_owned);
    let id = ctx.call.parameter(0);
    if ctx.store.device(&owner.user, id).is_none() {
        let by_service = owner.service && ctx.server.listed.since(v1(17));
        let by_service = by_service && policy.by_service != ServiceDevice::Refused;
        let creates = by_service || policy.creates;
        let Some(account) = ctx.store.accounts.get_mut(&owner.user).filter(|_| creates) else {
            return Err(missing(ctx, id).into());
        };
        if !by_service || policy.by_service != ServiceDevice::NotMade {
            let device = Device { display_name: name.clone(), ..Device::default() };
            account.devices.insert(id.to_owned(), device);
        }
        if by_service && policy.by_service != ServiceDevice::MadeWith200 {
            return Ok(Answer::json(201, json!({})));
        }
    }
    let name = name.filter(|_| !policy.does_nothing);
    if let (Some(device), Some(name)) = (ctx.store.device_mut(&owner.user, id), name) {
        device.display_name = Some(name);
    }
    Ok(Answer::empty())
}

/// `DELETE /devices/{id}`, after interactive auth; a device that is gone already is deleted just as well.
pub(super) fn delete(ctx: &mut RequestContext) -> Outcome {
    let policy = &ctx.policy().devices.delete;
    let owner = ctx.full_owner()?;
    // The body is optional here: without one there is no `auth`, so the challenge follows.
    let body = if ctx.call.body.is_empty() { Members::new() } else { ctx.object()? };
    let id = ctx.call.parameter(0);
    confirm(ctx, policy, &owner, format!("delete device {} {id}", owner.user), &body)?;
    if policy.refuses_unknown && ctx.store.device(&owner.user, id).is_none() {
        return Err(missing(ctx, id).into());
    }
    if carries_out(policy, &owner) {
        delete_one(ctx, &owner.user, id, policy.keeps_tokens);
    }
    Ok(Answer::empty())
}

/// `POST /delete_devices`: the same for several at once.
pub(super) fn delete_many(ctx: &mut RequestContext) -> Outcome {
    let policy = &ctx.policy().devices.delete_many;
    let owner = ctx.full_owner()?;
    let body = ctx.object()?;
    let listed = body
        .get("devices")
        .ok_or(Refusal::MemberMissing)?
        .as_array()
        .ok_or(Refusal::MemberWrongType)?;
    let ids = listed
        .iter()
        .map(Value::as_str)
        .collect::<Option<Vec<_>>>()
        .ok_or(Refusal::MemberWrongType)?;
    confirm(ctx, policy, &owner, format!("delete devices {}", owner.user), &body)?;
    if policy.deleted == DeletedDevices::UnlistedToo {
        for id in ctx.store.device_ids(&owner.user).iter().filter(|id| **id != owner.device) {
            delete_one(ctx, &owner.user, id, false);
        }
    }
    let many = match policy.deleted {
        _ if !carries_out(policy, &owner) => 0,
        DeletedDevices::FirstOfList => 1,
        DeletedDevices::Listed | DeletedDevices::UnlistedToo => ids.len(),
    };
    for id in ids.into_iter().take(many) {
        delete_one(ctx, &owner.user, id, policy.keeps_tokens);
    }
    Ok(Answer::empty())
}

/// Asks for interactive auth, but not application services, whose users cannot pass any.
fn confirm(
    ctx: &mut RequestContext,
    policy: &DeletePolicy,
    owner: &Owner,
    binding: String,
    body: &Members,
) -> Result<(), Stop> {
    let exempt = owner.service && !policy.services_need_uia;
    if exempt || policy.without_uia { Ok(()) } else { uia::confirm(ctx, owner, binding, body) }
}

/// Whether a deletion that is granted is carried out.
fn carries_out(policy: &DeletePolicy, owner: &Owner) -> bool {
    let idle = policy.does_nothing || owner.service && policy.does_nothing_for_services;
    !idle
}

/// Deletes a device, with its access tokens or without them.
fn delete_one(ctx: &mut RequestContext, user: &str, id: &str, keeps_tokens: bool) {
    if !keeps_tokens {
        let end = ctx.policy().devices.tokens_linger.map(|time| ctx.now + time);
        return ctx.store.drop_device(user, id, end);
    }
    if let Some(account) = ctx.store.accounts.get_mut(user) {
        account.devices.remove(id);
    }
    ctx.store.end_refresh(user, id);
}
