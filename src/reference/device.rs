//! The devices of a user.

use super::answer::{Answer, Outcome};
use super::fault;
use super::house::{Exchange, Owner, text};
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
pub(super) fn list(x: &mut Exchange) -> Outcome {
    let owner = x.owner()?;
    let account = x.store.accounts.get(&owner.user);
    let hidden =
        |device: &Device| device.display_name.is_none() && x.has(fault::DEVICE_NAMELESS_HIDDEN);
    let devices = account.into_iter().flat_map(|account| &account.devices);
    let twice = devices.clone().filter(|(_, d)| d.again && x.has(fault::DEVICE_LISTED_TWICE));
    let ghosts = account.into_iter().flat_map(|account| &account.ghosts);
    let ghosts = ghosts.filter(|_| x.has(fault::LOGOUT_DEVICE_LISTED));
    let shown: Vec<Value> = devices
        .filter(|(_, device)| !hidden(device))
        .chain(twice)
        .chain(ghosts)
        .map(|(id, device)| describe(id, device))
        .collect();
    Ok(Answer::ok(json!({"devices": shown})))
}

/// `GET /devices/{id}`.
pub(super) fn get(x: &mut Exchange) -> Outcome {
    let owner = x.owner()?;
    let id = x.call.parameter(0);
    let any = || x.store.accounts.values().find_map(|account| account.devices.get(id));
    let account = x.store.accounts.get(&owner.user);
    let ghost = account.and_then(|account| account.ghosts.get(id));
    let ghost = ghost.filter(|_| x.has(fault::LOGOUT_DEVICE_SHOWN));
    let own = x.store.device(&owner.user, id).or(ghost);
    let device = if x.has(fault::DEVICE_OF_ANOTHER_SHOWN) { own.or_else(any) } else { own };
    Ok(Answer::ok(describe(id, device.ok_or_else(|| missing(x, id))?)))
}

/// Why a device is not shown: nobody has it, or another user has; the answer is the same.
fn missing(x: &Exchange, id: &str) -> Refusal {
    let elsewhere = x.store.accounts.values().any(|account| account.devices.contains_key(id));
    if elsewhere { Refusal::DeviceOfAnother } else { Refusal::DeviceUnknown }
}

/// `PUT /devices/{id}`: renames a device that exists.
pub(super) fn rename(x: &mut Exchange) -> Outcome {
    let owner = x.owner()?;
    let body = x.object()?;
    let name = text(&body, "display_name", Refusal::MemberWrongType)?;
    let id = x.call.parameter(0);
    if x.store.device(&owner.user, id).is_none() {
        let by_service =
            owner.service && x.house.listed.since(v1(17)) && !x.has(fault::SERVICE_DEVICE_REFUSED);
        let creates = by_service || x.has(fault::RENAME_CREATES);
        let Some(account) = x.store.accounts.get_mut(&owner.user).filter(|_| creates) else {
            return Err(missing(x, id).into());
        };
        if !(by_service && x.house.has(fault::SERVICE_DEVICE_NOTHING)) {
            let display_name = name.map(str::to_owned);
            account.devices.insert(id.to_owned(), Device { display_name, ..Device::default() });
        }
        if by_service && !x.has(fault::SERVICE_DEVICE_200) {
            return Ok(Answer::json(201, json!({})));
        }
    }
    if x.has(fault::RENAME_IGNORED) {
        return Ok(Answer::empty());
    }
    if let (Some(device), Some(name)) = (x.store.device_mut(&owner.user, id), name) {
        device.display_name = Some(name.to_owned());
    }
    Ok(Answer::empty())
}

/// `DELETE /devices/{id}`, after interactive auth; a device that is gone already is deleted just as well.
pub(super) fn delete(x: &mut Exchange) -> Outcome {
    let owner = x.full_owner()?;
    // The body is optional here: without one there is no `auth`, so the challenge follows.
    let body = if x.call.body.is_empty() { serde_json::Map::new() } else { x.object()? };
    let id = x.call.parameter(0);
    let binding = format!("delete device {} {id}", owner.user);
    if !exempt(x, &owner) && !x.has(fault::DELETE_WITHOUT_UIA) {
        uia::pass(
            x,
            &Proof { binding, owner: Some(&owner.user), flows: uia::password_flows(x) },
            &body,
        )?;
    }
    if x.has(fault::DELETE_TWICE_404) && x.store.device(&owner.user, id).is_none() {
        return Err(missing(x, id).into());
    }
    if !deletes_nothing(x, &owner) {
        delete_one(x, &owner.user, id, x.has(fault::DELETE_KEEPS_TOKEN));
    }
    Ok(Answer::empty())
}

/// Whether a deletion needs no interactive auth: its users cannot pass any for an application service.
fn exempt(x: &Exchange, owner: &Owner) -> bool {
    owner.service && !x.has(fault::SERVICE_DELETE_UIA)
}

/// Whether a deletion that is granted is not carried out, as faults have it.
fn deletes_nothing(x: &Exchange, owner: &Owner) -> bool {
    x.has(fault::DELETE_NOTHING) || owner.service && x.has(fault::SERVICE_DELETES_NOTHING)
}

/// Deletes a device; a fault leaves its access tokens.
fn delete_one(x: &mut Exchange, user: &str, id: &str, keeps_token: bool) {
    if !keeps_token {
        let moment = x.has(fault::DELETE_FOR_WHOAMI).then_some(x.now);
        return x.store.drop_device(user, id, moment);
    }
    if let Some(account) = x.store.accounts.get_mut(user) {
        account.devices.remove(id);
    }
    x.store.end_refresh(user, id);
}

/// `POST /delete_devices`: the same for several at once.
pub(super) fn delete_many(x: &mut Exchange) -> Outcome {
    let owner = x.full_owner()?;
    let body = x.object()?;
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
    let asked = owner.service && x.has(fault::SERVICE_DELETE_MANY_UIA);
    if (!exempt(x, &owner) || asked) && !x.has(fault::DELETE_MANY_WITHOUT_UIA) {
        uia::pass(
            x,
            &Proof { binding, owner: Some(&owner.user), flows: uia::password_flows(x) },
            &body,
        )?;
    }
    let many = match () {
        () if deletes_nothing(x, &owner) => 0,
        () if x.has(fault::DELETE_FIRST_ONLY) => 1,
        () => ids.len(),
    };
    if x.has(fault::DELETE_MANY_ALL) {
        let others = x.store.accounts.get(&owner.user).map(|account| account.devices.keys());
        let others: Vec<String> =
            others.into_iter().flatten().filter(|id| **id != owner.device).cloned().collect();
        others.iter().for_each(|id| delete_one(x, &owner.user, id, false));
    }
    for id in ids.into_iter().take(many) {
        delete_one(x, &owner.user, id, x.has(fault::DELETE_MANY_KEEP_TOKENS));
    }
    Ok(Answer::empty())
}
