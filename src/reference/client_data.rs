//! What clients need beside a session to begin their work: device keys, an empty sync, filters.

use super::answer::{Answer, Outcome};
use super::context::{Members, RequestContext};
use super::policy::OauthStage;
use super::refusal::Refusal;
use super::release::v1;
use super::store::public_keys;
use super::uia::{self, Proof};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// An object member: empty if absent.
fn object(members: &Members, name: &str) -> Result<Members, Refusal> {
    match members.get(name) {
        None => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object.clone()),
        Some(_) => Err(Refusal::MemberWrongType),
    }
}

/// `POST /keys/upload`: keeps the keys with the device.
pub(super) fn keys_upload(ctx: &mut RequestContext) -> Outcome {
    let owner = ctx.owner()?;
    let body = ctx.object()?;
    let (keys, one_time) = (object(&body, "device_keys")?, object(&body, "one_time_keys")?);
    let (user_id, verifies) = (ctx.server.user_id(&owner.user), ctx.policy().devices.keys_verified);
    let Some(device) = ctx.store.device_mut(&owner.user, &owner.device) else {
        return Err(Refusal::DeviceUnknown.into());
    };
    if !keys.is_empty() {
        if verifies && !is_signed(&keys, &user_id, &owner.device) {
            return Err(Refusal::KeysUnsigned.into());
        }
        device.keys = Some(Value::Object(keys));
    }
    device.one_time_keys.extend(one_time);
    Ok(Answer::ok(json!({"one_time_key_counts": counts(&device.one_time_keys)})))
}

/// Whether device keys are those of this device and signed by its own key (Appendices, "Checking for
/// a signature").
fn is_signed(keys: &Members, user_id: &str, device: &str) -> bool {
    let is = |name: &str, wanted: &str| keys.get(name).is_some_and(|value| value == wanted);
    let id = format!("ed25519:{device}");
    let decoded = |value: Option<&Value>| {
        value.and_then(Value::as_str).and_then(|text| STANDARD_NO_PAD.decode(text).ok())
    };
    let member = |name: &str| keys.get(name).and_then(Value::as_object);
    let key = decoded(member("keys").and_then(|keys| keys.get(&id)));
    let by_user = member("signatures").and_then(|all| all.get(user_id));
    let signature = decoded(by_user.and_then(|by_user| by_user.get(&id)));
    let (Some(key), Some(signature)) = (key, signature) else { return false };
    let signed =
        keys.iter().filter(|(name, _)| !["signatures", "unsigned"].contains(&name.as_str()));
    let signed: BTreeMap<_, _> = signed.map(|(name, value)| (name, canonical(value))).collect();
    let text = json!(signed).to_string();
    let key = UnparsedPublicKey::new(&ED25519, key);
    is("user_id", user_id)
        && is("device_id", device)
        && key.verify(text.as_bytes(), &signature).is_ok()
}

/// The same value with sorted members (Appendices, "Canonical JSON").
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> =
                members.iter().map(|(name, value)| (name.clone(), canonical(value))).collect();
            Value::Object(sorted.into_iter().collect())
        }
        Value::Array(items) => items.iter().map(canonical).collect(),
        other => other.clone(),
    }
}

/// How many one-time keys there are of each algorithm.
fn counts(one_time_keys: &Members) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for name in one_time_keys.keys() {
        *counts.entry(name.split(':').next().unwrap_or_default()).or_default() += 1;
    }
    counts
}

/// `POST /keys/query`: the keys of the devices of users here.
pub(super) fn keys_query(ctx: &mut RequestContext) -> Outcome {
    ctx.owner()?;
    let body = ctx.object()?;
    let mut devices = Map::new();
    let mut signing: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for (user_id, wanted) in object(&body, "device_keys")? {
        let wanted = wanted.as_array().ok_or(Refusal::MemberWrongType)?;
        let Some(account) =
            ctx.server.localpart(&user_id).and_then(|user| ctx.store.accounts.get(user))
        else {
            continue;
        };
        let asked =
            |id: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted.as_str() == Some(id));
        let by_name = wanted.is_empty() && ctx.policy().devices.left_keys_by_name_alone;
        let orphaned = account.orphaned_keys.clone().into_iter().filter(|_| !by_name);
        let found: Members = account
            .devices
            .iter()
            .filter(|(id, _)| asked(id))
            .filter_map(|(id, device)| Some((id.clone(), device.keys.clone()?)))
            .chain(orphaned.filter(|(id, _)| asked(id)))
            .collect();
        devices.insert(user_id.clone(), Value::Object(found));
        for usage in ["master_key", "self_signing_key"] {
            if let Some(key) = account.signing_keys.get(usage) {
                signing.entry(usage).or_default().insert(user_id.clone(), key.clone());
            }
        }
    }
    let mut answer = Answer::ok(json!({"device_keys": devices, "failures": {}}));
    for (usage, keys) in signing {
        answer.put(
            if usage == "master_key" { "master_keys" } else { "self_signing_keys" },
            Value::Object(keys),
        );
    }
    Ok(answer)
}

/// `POST /keys/device_signing/upload`. Since v1.11 the first keys of an account need no interactive auth. Signatures
/// are not verified: no call here depends on them.
pub(super) fn signing_keys_upload(ctx: &mut RequestContext) -> Outcome {
    let owner = ctx.full_owner()?;
    let body = ctx.object()?;
    let mut uploaded = Map::new();
    for usage in ["master_key", "self_signing_key", "user_signing_key"] {
        let key = object(&body, usage)?;
        if !key.is_empty() {
            uploaded.insert(usage.to_owned(), Value::Object(key));
        }
    }
    let present = ctx
        .store
        .accounts
        .get(&owner.user)
        .map(|account| account.signing_keys.clone())
        .unwrap_or_default();
    if !present.contains_key("master_key") && !uploaded.contains_key("master_key") {
        return Err(Refusal::MemberMissing.into());
    }
    let first = present.is_empty() && ctx.server.listed.since(v1(11));
    if !first {
        let binding = format!("signing keys {}", owner.user);
        let flows: &[&[&str]] = match ctx.policy().uia.oauth {
            OauthStage::None => &[&[uia::PASSWORD]],
            _ => &[&[uia::PASSWORD], &[uia::OAUTH]],
        };
        uia::pass(ctx, &Proof { binding, owner: Some(&owner.user), flows }, &body)?;
    }
    let taken = public_keys(uploaded.values());
    if ctx.store.device_ids(&owner.user).iter().any(|device| taken.contains(device)) {
        return Err(Refusal::CrossSigningDevice.into());
    }
    if let Some(account) = ctx.store.accounts.get_mut(&owner.user) {
        account.signing_keys.extend(uploaded);
    }
    Ok(Answer::empty())
}

/// `GET /sync`: nothing ever happens here. Answers at once, whatever `timeout` says, which is the longest a client is
/// willing to wait.
pub(super) fn sync(ctx: &mut RequestContext) -> Outcome {
    let owner = ctx.owner()?;
    let device = ctx.store.device(&owner.user, &owner.device);
    let counts = device.map(|device| counts(&device.one_time_keys)).unwrap_or_default();
    Ok(Answer::ok(json!({
        "next_batch": "s1",
        "account_data": {"events": []},
        "device_lists": {"changed": [], "left": []},
        "device_one_time_keys_count": counts,
        "presence": {"events": []},
        "rooms": {"invite": {}, "join": {}, "knock": {}, "leave": {}},
        "to_device": {"events": []},
    })))
}

/// Refuses a path that names another user than the token's.
fn own(ctx: &mut RequestContext) -> Result<String, super::answer::Stop> {
    let owner = ctx.owner()?;
    if ctx.call.parameter(0) != ctx.server.user_id(&owner.user) {
        return Err(Refusal::NotThisUser.into());
    }
    Ok(owner.user)
}

/// `POST /user/{userId}/filter`.
pub(super) fn make_filter(ctx: &mut RequestContext) -> Outcome {
    let user = own(ctx)?;
    let filter = Value::Object(ctx.object()?);
    let Some(account) = ctx.store.accounts.get_mut(&user) else {
        return Err(Refusal::UnknownToken.into());
    };
    account.filters.push(filter);
    Ok(Answer::ok(json!({"filter_id": (account.filters.len() - 1).to_string()})))
}

/// `GET /user/{userId}/filter/{filterId}`.
pub(super) fn filter(ctx: &mut RequestContext) -> Outcome {
    let user = own(ctx)?;
    let filters =
        ctx.store.accounts.get(&user).map(|account| account.filters.as_slice()).unwrap_or_default();
    let index: Option<usize> = ctx.call.parameter(1).parse().ok();
    let found = index.and_then(|index| filters.get(index)).ok_or(Refusal::FilterUnknown)?;
    Ok(Answer::ok(found.clone()))
}
