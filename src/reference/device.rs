//! The devices of a user.

use super::answer::{Answer, Outcome};
use super::context::{Owner, RequestContext, text};
use super::fault;
use super::refusal::Refusal;
use super::release::v1;
use super::store::Device;
use super::uia::{self, Proof};
use serde_json::{Value, json};

/// A device as clients see it.
fn describe(id: &str, device: &Device) -> Value {
    let mut shown = json!({"device_id": id});
    if let Some(name) = &device.display_name {
        shown["display_name"] = json!(name);
    }
    if device.last_seen_ts > 0 {
        shown["last_seen_ip"] = json!(device.last_seen_ip);
        shown["last_seen_ts"] = json!(device.last_seen_ts);
    }
    shown
}

/// `GET /devices`.
pub(super) fn list(ctx: &mut RequestContext) -> Outcome {
    let owner = ctx.owner()?;
    let account = ctx.store.accounts.get(&owner.user);
    let hidden =
        |device: &Device| device.display_name.is_none() && ctx.has(fault::DEVICE_NAMELESS_HIDDEN);
    let devices = account.into_iter().flat_map(|account| &account.devices);
    let twice = devices.clone().filter(|(_, d)| d.again && ctx.has(fault::DEVICE_LISTED_TWICE));
    let ghosts = account.into_iter().flat_map(|account| &account.ghosts);
    let ghosts = ghosts.filter(|_| ctx.has(fault::LOGOUT_DEVICE_LISTED));
    let shown: Vec<Value> = devices
        .filter(|(_, device)| !hidden(device))
        .chain(twice)
        .chain(ghosts)
        .map(|(id, device)| describe(id, device))
        .collect();
    Ok(Answer::ok(json!({"devices": shown})))
}

/// `GET /devices/{id}`.
pub(super) fn get(ctx: &mut RequestContext) -> Outcome {
    let owner = ctx.owner()?;
    let id = ctx.call.parameter(0);
    let any = || ctx.store.accounts.values().find_map(|account| account.devices.get(id));
    let account = ctx.store.accounts.get(&owner.user);
    let ghost = account.and_then(|account| account.ghosts.get(id));
    let ghost = ghost.filter(|_| ctx.has(fault::LOGOUT_DEVICE_SHOWN));
    let own = ctx.store.device(&owner.user, id).or(ghost);
    let device = if ctx.has(fault::DEVICE_OF_ANOTHER_SHOWN) { own.or_else(any) } else { own };
    Ok(Answer::ok(describe(id, device.ok_or_else(|| missing(ctx, id))?)))
}

/// Why a device is not shown: nobody has it, or another user has; the answer is the same.
fn missing(ctx: &RequestContext, id: &str) -> Refusal {
    let elsewhere = ctx.store.accounts.values().any(|account| account.devices.contains_key(id));
    if elsewhere { Refusal::DeviceOfAnother } else { Refusal::DeviceUnknown }
}

/// `PUT /devices/{id}`: renames a device that exists.
pub(super) fn rename(ctx: &mut RequestContext) -> Outcome {
    let owner = ctx.owner()?;
    let body = ctx.object()?;
    let name = text(&body, "display_name", Refusal::MemberWrongType)?;
    let id = ctx.call.parameter(0);
    if ctx.store.device(&owner.user, id).is_none() {
        let by_service = owner.service
            && ctx.server.listed.since(v1(17))
            && !ctx.has(fault::SERVICE_DEVICE_REFUSED);
        let creates = by_service || ctx.has(fault::RENAME_CREATES);
        let Some(account) = ctx.store.accounts.get_mut(&owner.user).filter(|_| creates) else {
            return Err(missing(ctx, id).into());
        };
        if !(by_service && ctx.server.has(fault::SERVICE_DEVICE_NOTHING)) {
            let display_name = name.map(str::to_owned);
            account.devices.insert(id.to_owned(), Device { display_name, ..Device::default() });
        }
        if by_service && !ctx.has(fault::SERVICE_DEVICE_200) {
            return Ok(Answer::json(201, json!({})));
        }
    }
    if ctx.has(fault::RENAME_IGNORED) {
        return Ok(Answer::empty());
    }
    if let (Some(device), Some(name)) = (ctx.store.device_mut(&owner.user, id), name) {
        device.display_name = Some(name.to_owned());
    }
    Ok(Answer::empty())
}

/// `DELETE /devices/{id}`, after interactive auth; a device that is gone already is deleted just as well.
pub(super) fn delete(ctx: &mut RequestContext) -> Outcome {
    let owner = ctx.full_owner()?;
    // The body is optional here: without one there is no `auth`, so the challenge follows.
    let body = if ctx.call.body.is_empty() { serde_json::Map::new() } else { ctx.object()? };
    let id = ctx.call.parameter(0);
    let binding = format!("delete device {} {id}", owner.user);
    if !exempt(ctx, &owner) && !ctx.has(fault::DELETE_WITHOUT_UIA) {
        uia::pass(
            ctx,
            &Proof { binding, owner: Some(&owner.user), flows: uia::password_flows(ctx) },
            &body,
        )?;
    }
    if ctx.has(fault::DELETE_TWICE_404) && ctx.store.device(&owner.user, id).is_none() {
        return Err(missing(ctx, id).into());
    }
    if !deletes_nothing(ctx, &owner) {
        delete_one(ctx, &owner.user, id, ctx.has(fault::DELETE_KEEPS_TOKEN));
    }
    Ok(Answer::empty())
}

/// Whether a deletion needs no interactive auth: its users cannot pass any for an application service.
fn exempt(ctx: &RequestContext, owner: &Owner) -> bool {
    owner.service && !ctx.has(fault::SERVICE_DELETE_UIA)
}

/// Whether a deletion that is granted is not carried out, as faults have it.
fn deletes_nothing(ctx: &RequestContext, owner: &Owner) -> bool {
    ctx.has(fault::DELETE_NOTHING) || owner.service && ctx.has(fault::SERVICE_DELETES_NOTHING)
}

/// Deletes a device; a fault leaves its access tokens.
fn delete_one(ctx: &mut RequestContext, user: &str, id: &str, keeps_token: bool) {
    if !keeps_token {
        let moment = ctx.has(fault::DELETE_FOR_WHOAMI).then_some(ctx.now);
        return ctx.store.drop_device(user, id, moment);
    }
    if let Some(account) = ctx.store.accounts.get_mut(user) {
        account.devices.remove(id);
    }
    ctx.store.end_refresh(user, id);
}

/// `POST /delete_devices`: the same for several at once.
pub(super) fn delete_many(ctx: &mut RequestContext) -> Outcome {
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
    let binding = format!("delete devices {}", owner.user);
    let asked = owner.service && ctx.has(fault::SERVICE_DELETE_MANY_UIA);
    if (!exempt(ctx, &owner) || asked) && !ctx.has(fault::DELETE_MANY_WITHOUT_UIA) {
        uia::pass(
            ctx,
            &Proof { binding, owner: Some(&owner.user), flows: uia::password_flows(ctx) },
            &body,
        )?;
    }
    let many = match () {
        () if deletes_nothing(ctx, &owner) => 0,
        () if ctx.has(fault::DELETE_FIRST_ONLY) => 1,
        () => ids.len(),
    };
    if ctx.has(fault::DELETE_MANY_ALL) {
        let others = ctx.store.accounts.get(&owner.user).map(|account| account.devices.keys());
        let others: Vec<String> =
            others.into_iter().flatten().filter(|id| **id != owner.device).cloned().collect();
        others.iter().for_each(|id| delete_one(ctx, &owner.user, id, false));
    }
    for id in ids.into_iter().take(many) {
        delete_one(ctx, &owner.user, id, ctx.has(fault::DELETE_MANY_KEEP_TOKENS));
    }
    Ok(Answer::empty())
}
