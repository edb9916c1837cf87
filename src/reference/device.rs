//! The devices of a user.

use super::answer::{Answer, Outcome};
use super::house::{Exchange, text};
use super::refusal::Refusal;
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
    let devices = x.store.accounts.get(&owner.user).map(|account| &account.devices);
    let shown: Vec<Value> =
        devices.into_iter().flatten().map(|(id, device)| describe(id, device)).collect();
    Ok(Answer::ok(json!({"devices": shown})))
}

/// `GET /devices/{id}`.
pub(super) fn get(x: &mut Exchange) -> Outcome {
    let owner = x.owner()?;
    let id = x.call.parameter(0);
    let device = x.store.device(&owner.user, id).ok_or_else(|| missing(x, id))?;
    Ok(Answer::ok(describe(id, device)))
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
        return Err(missing(x, id).into());
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
    uia::pass(x, &Proof { binding, owner: Some(&owner.user), flows: &[&[uia::PASSWORD]] }, &body)?;
    x.store.drop_device(&owner.user, id, None);
    Ok(Answer::empty())
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
    uia::pass(x, &Proof { binding, owner: Some(&owner.user), flows: &[&[uia::PASSWORD]] }, &body)?;
    for id in ids {
        x.store.drop_device(&owner.user, id, None);
    }
    Ok(Answer::empty())
}
