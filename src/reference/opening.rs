//! The opening of a session: its device, its tokens, and what becomes of earlier ones.

use super::answer::Stop;
use super::context::{Members, RequestContext, flag, text};
use super::refusal::Refusal;
use super::release::{r0, v1};
use super::route::Operation;
use super::store::{Access, Device, Reach, Refresh};
use super::{fault, quirk};
use serde_json::{Value, json};
use std::time::Duration;

/// The longest device id taken, in bytes.
const DEVICE_ID_LIMIT: usize = 512;

/// What a client asks of the session that a login or a registration opens.
#[derive(Debug, Default)]
pub(super) struct Wish {
    device_id: Option<String>,
    display_name: Option<String>,
    refresh: bool,
    /// The access token is to be another account's, which only faults ask.
    of_another: bool,
}

impl Wish {
    /// Reads `device_id`, `initial_device_display_name` and `refresh_token`.
    pub(super) fn read(ctx: &RequestContext, body: &Members) -> Result<Self, Refusal> {
        let device_id = match body.get("device_id") {
            Some(value) if !value.is_string() && ctx.at_login(fault::DEVICE_ID_NUMBER_TAKEN) => {
                Some(value.to_string())
            }
            _ => text(body, "device_id", Refusal::DeviceIdNotString)?.map(str::to_owned),
        };
        if device_id.as_ref().is_some_and(|id| id.is_empty() || id.len() > DEVICE_ID_LIMIT) {
            return Err(Refusal::DeviceIdInvalid);
        }
        let name = text(body, "initial_device_display_name", Refusal::DisplayNameNotString)?;
        let refresh = if ctx.at_login(fault::REFRESH_FLAG_TEXT)
            && body.get("refresh_token") == Some(&json!("true"))
        {
            Some(true)
        } else {
            flag(body, "refresh_token", Refusal::RefreshFlagNotBoolean)?
        };
        let mut wish = Self {
            device_id,
            display_name: name.map(str::to_owned),
            refresh: refresh == Some(true),
            of_another: false,
        };
        if ctx.call.operation == Operation::Login {
            wish.bend(ctx, body);
        }
        Ok(wish)
    }

    /// What faults and quirks make of the wish of a login.
    fn bend(&mut self, ctx: &RequestContext, body: &Members) {
        let token = body.get("type") == Some(&json!("m.login.token"));
        let too_old = ctx.has(quirk::STRICT_RELEASES) && !ctx.server.listed.since(r0(3));
        if too_old
            || ctx.has(fault::DEVICE_ID_IGNORED)
            || token && ctx.has(fault::LOGIN_TOKEN_NO_DEVICE)
        {
            self.device_id = None;
        }
        if ctx.has(fault::DEVICE_ID_CAPITALS) {
            self.device_id = self.device_id.take().map(|id| id.to_uppercase());
        }
        if ctx.has(fault::DEVICE_ID_STRIPPED) {
            let kept = |id: String| id.chars().filter(|c| c.is_alphanumeric()).collect();
            self.device_id = self.device_id.take().map(kept);
        }
        if ctx.has(fault::NAME_DROPPED) || token && ctx.has(fault::LOGIN_TOKEN_NO_NAME) {
            self.display_name = None;
        }
        let name = |change: fn(&str) -> String| self.display_name.as_deref().map(change);
        if ctx.has(fault::NAME_TRUNCATED) {
            self.display_name = name(|name| name.chars().take(4).collect());
        } else if ctx.has(fault::NAME_SMALL) {
            self.display_name = name(str::to_lowercase);
        } else if ctx.has(fault::DISPLAY_NAME_ASCII) {
            self.display_name =
                name(|name| name.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect());
        }
        self.refresh |= ctx.has(fault::REFRESH_UNASKED);
        self.of_another = ctx.has(fault::TOKEN_OF_ANOTHER)
            || token && ctx.has(fault::LOGIN_TOKEN_SESSION_OF_ANOTHER);
    }
}

/// Opens a session on a new device, or on a known one, whose earlier tokens die. Gives the members of the answer.
pub(super) fn open_session(
    ctx: &mut RequestContext,
    user: &str,
    wish: &Wish,
) -> Result<Members, Stop> {
    let told = choose_device(ctx, user, wish)?;
    // The device that is told, the one that the token belongs to, and the owner of the token differ by faults alone.
    let generated = wish.device_id.is_none();
    let untrue =
        ctx.at_login(fault::DEVICE_ECHO_ONLY) || generated && ctx.at_login(fault::GENERATED_UNTRUE);
    let device = if untrue { ctx.store.device_id() } else { told.clone() };
    let owner = match () {
        () if wish.of_another => another(ctx, user),
        () if ctx.at_login(fault::TOKEN_OF_FIRST) => first(ctx, user),
        () => user.to_owned(),
    };
    let known = ctx.store.device(&owner, &device).is_some();
    end_sessions(ctx, &owner, &device);
    settle_device(ctx, &owner, &device, wish);
    let mut members = Members::new();
    members.insert("user_id".into(), json!(ctx.server.user_id(user)));
    if wish.device_id.is_some() || !ctx.at_login(fault::GENERATED_ABSENT) {
        members.insert("device_id".into(), json!(told));
    }
    let expires = wish.refresh || ctx.has(quirk::EXPIRES_WITHOUT_REFRESH);
    let terms = Terms { expires, refresh: wish.refresh, ..Terms::default() };
    let oldest = ctx.store.device_ids(&owner).into_iter().next();
    let bound = oldest.filter(|_| ctx.at_login(fault::BOUND_TO_FIRST)).unwrap_or(device);
    issue_tokens(ctx, &owner, &bound, terms, &mut members);
    let dead = ctx.at_login(fault::TOKEN_DEAD)
        || ctx.at_login(fault::TOKEN_DEAD_SOMETIMES) && ctx.store.logins.is_multiple_of(3)
        || ctx.at_login(fault::REUSE_TOKEN_DEAD) && known
        || ctx.store.accounts.get(&owner).is_some_and(|account| account.mute);
    if dead {
        forget_access(ctx, &members);
    }
    if known && ctx.at_login(fault::REUSE_TOKEN_ONCE) {
        limit_access(ctx, &members, Reach::Once);
    }
    if !ctx.server.listed.v3_paths() || ctx.has(quirk::HOME_SERVER) {
        members.insert("home_server".into(), json!(ctx.server.settings.server_name));
    }
    Ok(members)
}

/// Forgets the access token of an answer, as if it had never been.
pub(super) fn forget_access(ctx: &mut RequestContext, members: &Members) {
    let token = members.get("access_token").and_then(Value::as_str).unwrap_or_default();
    ctx.store.access.remove(token);
}

/// Limits what the access token of an answer is good for.
pub(super) fn limit_access(ctx: &mut RequestContext, members: &Members, reach: Reach) {
    let token = members.get("access_token").and_then(Value::as_str).unwrap_or_default();
    if let Some(session) = ctx.store.access.get_mut(token) {
        session.reach = reach;
    }
}

/// The device of a new session: the one asked for, unless it is named like a cross-signing key, or one that is made.
fn choose_device(ctx: &mut RequestContext, user: &str, wish: &Wish) -> Result<String, Stop> {
    let Some(id) = &wish.device_id else {
        return Ok(match () {
            () if ctx.at_login(fault::GENERATED_EMPTY) => String::new(),
            () if ctx.at_login(fault::GENERATED_CONSTANT) => "DEVICE".to_owned(),
            () if ctx.at_login(fault::GENERATED_BY_NAME) => {
                named_alike(ctx, user, wish).unwrap_or_else(|| ctx.store.device_id())
            }
            () if ctx.has(quirk::ODD_DEVICE_IDS) => format!("{}/ é+%41", ctx.store.device_id()),
            () => ctx.store.device_id(),
        });
    };
    if ctx.store.signing_public_keys(user).contains(id)
        && !ctx.at_login(fault::CROSS_SIGNING_ALLOWED)
    {
        return Err(Refusal::CrossSigningDevice.into());
    }
    let elsewhere = ctx
        .store
        .accounts
        .iter()
        .find(|(name, account)| *name != user && account.devices.contains_key(id));
    if let Some((other, _)) = elsewhere {
        if ctx.at_login(fault::DEVICE_ID_TAKEN) {
            return Err(Refusal::CrossSigningDevice.into());
        }
        if ctx.at_login(fault::DEVICE_ID_GLOBAL) {
            let other = other.clone();
            ctx.store.drop_device(&other, id, None);
        }
    }
    Ok(id.clone())
}

/// The user's device with the name that a login gives, if it gives one.
fn named_alike(ctx: &RequestContext, user: &str, wish: &Wish) -> Option<String> {
    let (name, account) = (wish.display_name.as_ref()?, ctx.store.accounts.get(user)?);
    let mut alike = account.devices.iter().filter(|(_, d)| d.display_name.as_ref() == Some(name));
    alike.next().map(|(id, _)| id.clone())
}

/// Ends the earlier tokens of a device that logs in; by faults, those of other devices too.
fn end_sessions(ctx: &mut RequestContext, user: &str, device: &str) {
    if !ctx.has(quirk::KEEPS_OLD_TOKEN) {
        ctx.store.end_access(user, device, Refusal::ReplacedToken, None);
    }
    if !ctx.has(quirk::KEEPS_OLD_REFRESH) {
        ctx.store.end_refresh(user, device);
    }
    for other in ctx.store.device_ids(user).iter().filter(|other| *other != device) {
        if ctx.at_login(fault::ENDS_OTHER_DEVICES) {
            ctx.store.drop_device(user, other, None);
        } else if ctx.at_login(fault::ENDS_OTHER_SESSIONS) {
            ctx.store.end_access(user, other, Refusal::LoggedOutToken, None);
        }
    }
}

/// Makes the device, or leaves a known one as it is.
fn settle_device(ctx: &mut RequestContext, user: &str, device: &str, wish: &Wish) {
    let chosen = wish.device_id.is_some();
    let absent = ctx.at_login(fault::DEVICE_NOT_CREATED)
        || chosen && ctx.at_login(fault::DEVICE_CHOSEN_NOT_CREATED);
    let doubled = ctx.at_login(fault::DEVICE_DOUBLED);
    let (overwritten, cleared) =
        (ctx.at_login(fault::NAME_OVERWRITTEN), ctx.at_login(fault::NAME_CLEARED));
    let default = ctx.has(quirk::DEFAULT_NAME).then(|| "A device".to_owned());
    let name = wish.display_name.clone().or(default);
    let Some(account) = ctx.store.accounts.get_mut(user).filter(|_| !absent) else { return };
    match account.devices.get_mut(device) {
        Some(known) if cleared => known.display_name = None,
        Some(known) if overwritten && name.is_some() => known.display_name = name,
        Some(_) if doubled => {
            let copy = Device { display_name: name, ..Device::default() };
            account.devices.insert(format!("{device}_2"), copy);
        }
        Some(known) => known.again = true,
        None => {
            account
                .devices
                .insert(device.to_owned(), Device { display_name: name, ..Device::default() });
        }
    }
}

/// Another account than the user's: the first there is. The user's own if there is no other.
pub(super) fn another(ctx: &RequestContext, user: &str) -> String {
    ctx.store.accounts.keys().find(|name| *name != user).map_or(user, String::as_str).to_owned()
}

/// The first account by name, or `user` where there is none.
fn first(ctx: &RequestContext, user: &str) -> String {
    ctx.store.accounts.keys().next().map_or(user, String::as_str).to_owned()
}

/// What comes with a new access token.
#[derive(Debug, Default)]
pub(super) struct Terms {
    /// The token expires, where the homeserver has tokens that do.
    pub(super) expires: bool,
    /// A refresh token comes with it.
    pub(super) refresh: bool,
    /// The refresh token that is traded in, which the first use of the new tokens revokes.
    pub(super) made_from: Option<String>,
    /// How many refreshes lie between them and the login.
    pub(super) generation: u32,
}

/// Puts a new access token into an answer, with what the terms say.
pub(super) fn issue_tokens(
    ctx: &mut RequestContext,
    user: &str,
    device: &str,
    terms: Terms,
    members: &mut Members,
) {
    let Terms { expires, refresh, made_from, generation } = terms;
    let (user, device) = (user.to_owned(), device.to_owned());
    let access = ctx.store.token("access");
    let lifetime =
        ctx.server.settings.access_lifetime.filter(|_| expires && ctx.server.listed.since(v1(3)));
    let bare = ctx.has(fault::TOKEN_WITHOUT_DEVICE)
        || ctx.at_login(fault::SERVICE_LOGIN_NO_DEVICE) && ctx.is_service();
    let recorded = if bare { String::new() } else { device.clone() };
    let session = Access {
        user: user.clone(),
        device: recorded,
        expires: lifetime.and_then(|lifetime| ctx.now.checked_add(lifetime)),
        made_from: made_from.clone(),
        dies: None,
        reach: Reach::All,
    };
    ctx.store.access.insert(access.clone(), session);
    members.insert("access_token".into(), json!(access));
    let Some(lifetime) = lifetime else { return };
    members.insert("expires_in_ms".into(), milliseconds(lifetime));
    if refresh {
        let token = ctx.store.token("refresh");
        let session = Refresh { user, device, made_from, generation, uses: 0 };
        ctx.store.refresh.insert(token.clone(), session);
        members.insert("refresh_token".into(), json!(token));
    }
}

/// A duration as the member of an answer.
pub(super) fn milliseconds(duration: Duration) -> Value {
    json!(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
