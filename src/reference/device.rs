//! The devices of a user.

use super::answer::{Answer, Outcome, Stop};
use super::context::{Members, Owner, RequestContext, text};
use super::lifetime::{end_beside, end_device};
use super::policy::{
    DeletePolicy, DeletedDevices, LoggedOutDevices, Nameless, OddText, RenamePolicy, ServiceDevice,
    SessionEnd,
};
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
    if ctx.policy().isolation.lists_all_devices {
        let all = ctx.store.accounts.values().flat_map(|account| &account.devices);
        let all: Vec<Value> = all.map(|(id, device)| describe(id, device)).collect();
        return Ok(Answer::ok(json!({"devices": all})));
    }
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
    let id = readable_id(ctx)?;
    let account = ctx.store.accounts.get(&owner.user);
    let ghost = account.and_then(|account| account.ghosts.get(id));
    let ghost = ghost.filter(|_| policy.logged_out == LoggedOutDevices::Shown);
    let any = ctx.store.accounts.values().find_map(|account| account.devices.get(id));
    let any = any.filter(|_| policy.shows_those_of_others);
    let device = ctx.store.device(&owner.user, id).or(ghost).or(any);
    Ok(Answer::ok(describe(id, device.ok_or_else(|| missing(ctx, id))?)))
}

/// The device id of the path.
fn readable_id<'a>(ctx: &RequestContext<'a>) -> Result<&'a str, Refusal> {
    let id = ctx.call.parameter(0);
    let fails = ctx.policy().secrets.odd_fails == Some(OddText::DevicePath);
    if fails && OddText::is_odd(id) { Err(Refusal::Failure) } else { Ok(id) }
}

/// The user whose device is meant: the one who asks, or any who has it where users are not kept apart.
fn holder(ctx: &RequestContext, owner: &Owner, id: &str, of_others: bool) -> String {
    let own = ctx.store.device(&owner.user, id).is_some();
    let others =
        if of_others && !own { ctx.store.others_with_device(&owner.user, id) } else { Vec::new() };
    others.into_iter().next().unwrap_or_else(|| owner.user.clone())
}

/// Why a device is not shown: nobody has it, or another user has; the answer is the same.
fn missing(ctx: &RequestContext, id: &str) -> Refusal {
    let elsewhere = ctx.store.accounts.values().any(|account| account.devices.contains_key(id));
    if elsewhere { Refusal::DeviceOfAnother } else { Refusal::DeviceUnknown }
}

/// `PUT /devices/{id}`: renames a device that exists. Since v1.17 an application service makes it if need be.
pub(super) fn rename(ctx: &mut RequestContext) -> Outcome {
    let policy = &ctx.policy().devices.rename;
    let mut owner = ctx.owner()?;
    let body = ctx.object()?;
    let name = new_name(policy, &body)?;
    let id = readable_id(ctx)?;
    owner.user = holder(ctx, &owner, id, ctx.policy().isolation.renames_of_others);
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
    if let Some(device) = ctx.store.device_mut(&owner.user, id).filter(|_| !policy.does_nothing) {
        match (name, policy.without_name) {
            (Some(name), _) => device.display_name = Some(name),
            (None, Nameless::NameRemoved) => device.display_name = None,
            (None, Nameless::Refused) => return Err(Refusal::MemberMissing.into()),
            (None, Nameless::Unchanged) => {}
        }
    }
    Ok(Answer::empty())
}

/// The name that a renaming gives; without one the name stays.
fn new_name(policy: &RenamePolicy, body: &Members) -> Result<Option<String>, Refusal> {
    match body.get("display_name") {
        Some(name) if !name.is_string() && policy.non_string_is_text => Ok(Some(name.to_string())),
        _ => Ok(text(body, "display_name", Refusal::MemberWrongType)?.map(str::to_owned)),
    }
}

/// `DELETE /devices/{id}`, after interactive auth; a device that is gone already is deleted just as well.
pub(super) fn delete(ctx: &mut RequestContext) -> Outcome {
    let policy = &ctx.policy().devices.delete;
    let owner = ctx.full_owner()?;
    // The body is optional here: without one there is no `auth`, so the challenge follows.
    let body = if ctx.call.body.is_empty() { Members::new() } else { ctx.object()? };
    let id = readable_id(ctx)?;
    if ctx.policy().uia.works_before == Some(ctx.call.operation) {
        delete_one(ctx, &owner, id, SessionEnd::Deletion, false);
    }
    confirm(ctx, policy, &owner, format!("delete device {} {id}", owner.user), &body)?;
    if let Some(refusal) = refused(ctx, policy, &owner, id) {
        return Err(refusal.into());
    }
    if carries_out(policy, &owner) {
        let user = holder(ctx, &owner, id, ctx.policy().isolation.deletes_of_others);
        let end = match owner.user == user && owner.device == id {
            true => SessionEnd::OwnDeletion,
            false => SessionEnd::Deletion,
        };
        delete_one(ctx, &Owner { user, ..owner }, id, end, policy.keeps_tokens);
    }
    Ok(Answer::empty())
}

/// Why a device that the user does not have is not deleted: by the book it is, as one that is gone already.
fn refused(
    ctx: &RequestContext,
    policy: &DeletePolicy,
    owner: &Owner,
    id: &str,
) -> Option<Refusal> {
    let account = ctx.store.accounts.get(&owner.user);
    if account.is_some_and(|account| account.devices.contains_key(id)) {
        return None;
    }
    let never = !account.is_some_and(|account| account.deleted.contains(id));
    let of_another = !ctx.store.others_with_device(&owner.user, id).is_empty();
    let by_policy = match (of_another, never) {
        (true, true) => policy.of_another.or(policy.never_known),
        (false, true) => policy.never_known,
        (_, false) => None,
    };
    by_policy.or_else(|| policy.refuses_unknown.then(|| missing(ctx, id)))
}

/// `POST /delete_devices`: the same for several at once.
pub(super) fn delete_many(ctx: &mut RequestContext) -> Outcome {
    let policy = &ctx.policy().devices.delete_many;
    let owner = ctx.full_owner()?;
    let body = ctx.object()?;
    let binding = format!("delete devices {}", owner.user);
    if ctx.policy().uia.before_members {
        confirm(ctx, policy, &owner, binding.clone(), &body)?;
    }
    let ids = ids_of(&body)?;
    if !ctx.policy().uia.before_members {
        confirm(ctx, policy, &owner, binding, &body)?;
    }
    if policy.deleted == DeletedDevices::UnlistedToo {
        for id in ctx.store.device_ids(&owner.user).iter().filter(|id| **id != owner.device) {
            delete_one(ctx, &owner, id, SessionEnd::BulkDeletion, false);
        }
    }
    let many = match policy.deleted {
        _ if !carries_out(policy, &owner) => 0,
        DeletedDevices::FirstOfList => 1,
        DeletedDevices::Listed | DeletedDevices::UnlistedToo => ids.len(),
    };
    let of_others = ctx.policy().isolation.deletes_many_of_others;
    for id in ids.into_iter().take(many) {
        let holder = Owner { user: holder(ctx, &owner, id, of_others), ..owner.clone() };
        delete_one(ctx, &holder, id, SessionEnd::BulkDeletion, policy.keeps_tokens);
    }
    Ok(Answer::empty())
}

/// The devices that a deletion of several names.
fn ids_of(body: &Members) -> Result<Vec<&str>, Refusal> {
    let listed = body.get("devices").ok_or(Refusal::MemberMissing)?;
    let listed = listed.as_array().ok_or(Refusal::MemberWrongType)?;
    let ids = listed.iter().map(Value::as_str).collect::<Option<Vec<_>>>();
    ids.ok_or(Refusal::MemberWrongType)
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

/// Deletes a device of the owner, with its access tokens or without them.
fn delete_one(
    ctx: &mut RequestContext,
    owner: &Owner,
    id: &str,
    end: SessionEnd,
    keeps_tokens: bool,
) {
    let user = &owner.user;
    if keeps_tokens {
        ctx.store.forget_device(user, id);
        return ctx.store.end_refresh(user, id);
    }
    let moment = ctx.policy().devices.tokens_linger.map(|time| ctx.now + time);
    end_device(ctx, user, id, end, moment);
    end_beside(ctx, ctx.policy().lifetimes.deletion_ends, user, id);
}
