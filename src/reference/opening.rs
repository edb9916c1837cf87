//! The opening of a session: its device, its tokens, and what becomes of earlier ones.

use super::answer::Stop;
use super::context::{Members, RequestContext, flag, text};
use super::policy::{
    CreatesDevice, DeviceIdMember, DisplayNameMember, ExpiredDevice, GeneratedIds, GuestDeviceName,
    GuestParameter, KnownDevice, KnownDeviceToken, OpeningPolicy, OtherDevices, RefreshFlag,
    SharedId, TokenDevice, TokenLoginDevice, TokenOwner,
};
use super::refusal::Refusal;
use super::release::{r0, v1};
use super::route::Operation;
use super::store::{Access, Device, Reach, Refresh};
use serde_json::{Value, json};
use std::time::Duration;

/// The longest device id taken, in bytes.
const DEVICE_ID_LIMIT: usize = 512;

/// What a client asks of the session that a login or a registration opens.
#[derive(Debug, Default)]
pub(super) struct LoginOptions {
    device_id: Option<String>,
    display_name: Option<String>,
    refresh: bool,
    by_token: bool,
    /// What is answered as the device id in place of it.
    echoed: Option<Value>,
}

impl LoginOptions {
    /// Reads `device_id`, `initial_device_display_name` and `refresh_token`.
    pub(super) fn read(ctx: &RequestContext, body: &Members) -> Result<Self, Refusal> {
        let policy = opening_policy(ctx);
        let by_token = body.get("type") == Some(&json!("m.login.token"));
        Ok(Self {
            device_id: read_device_id(ctx, policy, body, by_token)?,
            display_name: read_display_name(policy, body, by_token)?,
            refresh: read_refresh_flag(policy, body)?,
            by_token,
            echoed: read_falsy(policy, body),
        })
    }

    /// The options without a refresh token.
    pub(super) fn without_refresh(self) -> Self {
        Self { refresh: false, ..self }
    }

    /// The options of a guest: nothing but the display name is read.
    pub(super) fn of_guest(ctx: &RequestContext, body: &Members) -> Self {
        let reads_id = ctx.policy().guests.reads == Some(GuestParameter::DeviceId);
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            device_id: text("device_id").filter(|_| reads_id),
            display_name: match ctx.policy().guests.device_name {
                GuestDeviceName::Given => text("initial_device_display_name"),
                GuestDeviceName::Unread => None,
                GuestDeviceName::Constant => Some("Device of a guest".to_owned()),
            },
            ..Self::default()
        }
    }
}

/// How sessions of this call are opened: logins have a policy of their own.
fn opening_policy<'a>(ctx: &RequestContext<'a>) -> &'a OpeningPolicy {
    match ctx.call.operation {
        Operation::Login => &ctx.policy().login.opening,
        _ => &ctx.policy().opening,
    }
}

/// A `device_id` that a homeserver may take for none and give back.
fn read_falsy(policy: &OpeningPolicy, body: &Members) -> Option<Value> {
    let echoes = policy.device_id == DeviceIdMember::FalsyEchoed;
    body.get("device_id").filter(|id| echoes && is_falsy(id)).cloned()
}

fn is_falsy(value: &Value) -> bool {
    *value == json!(false) || *value == json!(0)
}

fn read_device_id(
    ctx: &RequestContext,
    policy: &OpeningPolicy,
    body: &Members,
    by_token: bool,
) -> Result<Option<String>, Refusal> {
    let id = match body.get("device_id") {
        Some(value)
            if !value.is_string() && policy.device_id == DeviceIdMember::NonStringIsText =>
        {
            Some(value.to_string())
        }
        Some(value) if is_falsy(value) && policy.device_id == DeviceIdMember::FalsyEchoed => None,
        _ => text(body, "device_id", Refusal::DeviceIdNotString)?.map(str::to_owned),
    };
    if id.as_ref().is_some_and(|id| id.is_empty() || id.len() > DEVICE_ID_LIMIT) {
        return Err(Refusal::DeviceIdInvalid);
    }
    Ok(match policy.device_id {
        DeviceIdMember::Kept | DeviceIdMember::NonStringIsText | DeviceIdMember::FalsyEchoed => id,
        DeviceIdMember::Unread => None,
        DeviceIdMember::UnreadByTokenLogin => id.filter(|_| !by_token),
        DeviceIdMember::ReadSinceItsRelease => id.filter(|_| ctx.server.listed.since(r0(3))),
        DeviceIdMember::Capitals => id.map(|id| id.to_uppercase()),
        DeviceIdMember::PunctuationRemoved => {
            id.map(|id| id.chars().filter(|c| c.is_alphanumeric()).collect())
        }
    })
}

fn read_display_name(
    policy: &OpeningPolicy,
    body: &Members,
    by_token: bool,
) -> Result<Option<String>, Refusal> {
    let given = body.get("initial_device_display_name");
    if policy.display_name == DisplayNameMember::NonStringIsText
        && let Some(value) = given.filter(|value| !value.is_string())
    {
        return Ok(Some(value.to_string()));
    }
    let name = text(body, "initial_device_display_name", Refusal::DisplayNameNotString)?;
    Ok(match policy.display_name {
        DisplayNameMember::Kept | DisplayNameMember::NonStringIsText => name.map(str::to_owned),
        DisplayNameMember::Unread => None,
        DisplayNameMember::UnreadByTokenLogin => name.filter(|_| !by_token).map(str::to_owned),
        DisplayNameMember::FirstFourCharacters => name.map(|name| name.chars().take(4).collect()),
        DisplayNameMember::SmallLetters => name.map(str::to_lowercase),
        DisplayNameMember::AsciiOnly => {
            let ascii = |c: char| if c.is_ascii() { c } else { '?' };
            name.map(|name| name.chars().map(ascii).collect())
        }
    })
}

fn read_refresh_flag(policy: &OpeningPolicy, body: &Members) -> Result<bool, Refusal> {
    let is_text = body.get("refresh_token") == Some(&json!("true"));
    if is_text && policy.refresh_flag == RefreshFlag::TextIsBoolean {
        return Ok(true);
    }
    let asked = flag(body, "refresh_token", Refusal::RefreshFlagNotBoolean)? == Some(true);
    Ok(asked || policy.refresh_flag == RefreshFlag::AlwaysTrue)
}

/// Opens a session on a new device, or on a known one, whose earlier tokens die. Gives the members of the answer.
pub(super) fn open_session(
    ctx: &mut RequestContext,
    user: &str,
    options: &LoginOptions,
) -> Result<Members, Stop> {
    let policy = opening_policy(ctx);
    let told = choose_device(ctx, policy, user, options)?;
    let owner = match policy.token_owner {
        TokenOwner::Another => ctx.store.another_user(user),
        TokenOwner::AnotherByTokenLogin if options.by_token => ctx.store.another_user(user),
        TokenOwner::FirstUser => ctx.store.first_user(user),
        TokenOwner::User | TokenOwner::AnotherByTokenLogin => user.to_owned(),
    };
    let device = match policy.token_device {
        TokenDevice::Other => ctx.store.device_id(),
        TokenDevice::OtherThanGenerated if options.device_id.is_none() => ctx.store.device_id(),
        TokenDevice::KnownInAnyCase => {
            let mut known = ctx.store.device_ids(&owner).into_iter();
            known.find(|id| id.eq_ignore_ascii_case(&told)).unwrap_or_else(|| told.clone())
        }
        _ => told.clone(),
    };
    let (told, device) = take_up_expired(ctx, &owner, told, device)?;
    let known = ctx.store.device(&owner, &device).is_some();
    end_sessions(ctx, policy, &owner, &device);
    settle_device(ctx, policy, &owner, &device, options);
    let mut members = Members::new();
    members.insert("user_id".into(), json!(ctx.server.user_id(user)));
    let untold = policy.generated_ids == GeneratedIds::Untold
        || lacks_device(ctx, options, TokenLoginDevice::Untold);
    if options.device_id.is_some() || !untold {
        members.insert("device_id".into(), options.echoed.clone().unwrap_or_else(|| json!(told)));
    }
    let bound = match policy.token_device {
        TokenDevice::FirstOfUser => ctx.store.device_ids(&owner).into_iter().next(),
        _ => None,
    };
    let expires = options.refresh || policy.always_expires;
    let chosen = options.device_id.is_some();
    let terms = Terms { expires, refresh: options.refresh, chosen, ..Terms::default() };
    issue_tokens(ctx, &owner, &bound.unwrap_or(device), terms, &mut members);
    let dead = policy.dead_tokens.include(ctx.store.logins)
        || known && policy.token_on_known_device == KnownDeviceToken::Dead
        || ctx.store.accounts.get(&owner).is_some_and(|account| account.mute);
    if dead {
        forget_access(ctx, &members);
    }
    if policy.dead_refresh_tokens {
        forget_refresh(ctx, &members);
    }
    if known && policy.token_on_known_device == KnownDeviceToken::GoodForOneRequest {
        limit_access(ctx, &members, Reach::Once);
    }
    if !ctx.server.listed.v3_paths() || policy.home_server {
        members.insert("home_server".into(), json!(ctx.server.settings.server_name));
    }
    Ok(members)
}

/// Whether a token login that names no device has none of its own, in this way.
fn lacks_device(ctx: &RequestContext, options: &LoginOptions, way: TokenLoginDevice) -> bool {
    options.by_token && options.device_id.is_none() && ctx.policy().login_tokens.device == way
}

/// Forgets the access token of an answer, as if it had never been.
pub(super) fn forget_access(ctx: &mut RequestContext, members: &Members) {
    let token = members.get("access_token").and_then(Value::as_str).unwrap_or_default();
    ctx.store.access.remove(token);
}

/// Forgets the refresh token of an answer in the same way.
pub(super) fn forget_refresh(ctx: &mut RequestContext, members: &Members) {
    let token = members.get("refresh_token").and_then(Value::as_str).unwrap_or_default();
    ctx.store.refresh.remove(token);
}

/// Limits what the access token of an answer is good for.
pub(super) fn limit_access(ctx: &mut RequestContext, members: &Members, reach: Reach) {
    let token = members.get("access_token").and_then(Value::as_str).unwrap_or_default();
    if let Some(session) = ctx.store.access.get_mut(token) {
        session.reach = reach;
    }
}

/// The device of a new session: the one asked for, unless it is named like a cross-signing key, or one that is made.
fn choose_device(
    ctx: &mut RequestContext,
    policy: &OpeningPolicy,
    user: &str,
    options: &LoginOptions,
) -> Result<String, Stop> {
    let Some(id) = &options.device_id else {
        return Ok(match policy.generated_ids {
            GeneratedIds::Fresh | GeneratedIds::Untold => ctx.store.device_id(),
            GeneratedIds::Odd => format!("{}/ é+%41", ctx.store.device_id()),
            GeneratedIds::Empty => String::new(),
            GeneratedIds::Constant => "DEVICE".to_owned(),
            GeneratedIds::ByName => {
                named_alike(ctx, user, options).unwrap_or_else(|| ctx.store.device_id())
            }
        });
    };
    let is_key = ctx.store.signing_public_keys(user).contains(id);
    if is_key && !policy.cross_signing_keys_taken {
        return Err(Refusal::CrossSigningDevice.into());
    }
    let mut others = ctx.store.accounts.iter().filter(|(name, _)| *name != user);
    let elsewhere = others.find(|(_, account)| account.devices.contains_key(id));
    if let Some(other) = elsewhere.map(|(name, _)| name.clone()) {
        match policy.id_of_another_user {
            SharedId::Unrelated => {}
            SharedId::Refused => return Err(Refusal::CrossSigningDevice.into()),
            SharedId::TakenAway => ctx.store.drop_device(&other, id, None),
        }
    }
    Ok(id.clone())
}

/// The user's device with the name that a login gives, if it gives one.
fn named_alike(ctx: &RequestContext, user: &str, options: &LoginOptions) -> Option<String> {
    let (name, account) = (options.display_name.as_ref()?, ctx.store.accounts.get(user)?);
    let mut alike = account.devices.iter().filter(|(_, d)| d.display_name.as_ref() == Some(name));
    alike.next().map(|(id, _)| id.clone())
}

/// What becomes of a login on a device whose access token has expired: by the book, nothing else than of any other.
fn take_up_expired(
    ctx: &mut RequestContext,
    user: &str,
    told: String,
    device: String,
) -> Result<(String, String), Stop> {
    let is_expired = ctx.store.access.values().any(|access| {
        access.user == user
            && access.device == device
            && access.expires.is_some_and(|moment| moment <= ctx.now)
    });
    match ctx.policy().lifetimes.expired_device {
        ExpiredDevice::Refused if is_expired => Err(Refusal::DeviceIdInvalid.into()),
        ExpiredDevice::Forgotten if is_expired => {
            ctx.store.drop_device(user, &device, None);
            Ok((told, device))
        }
        ExpiredDevice::Replaced if is_expired => {
            let other = ctx.store.device_id();
            Ok((other.clone(), other))
        }
        _ => Ok((told, device)),
    }
}

/// Ends the earlier tokens of a device that logs in; those of other devices stay.
fn end_sessions(ctx: &mut RequestContext, policy: &OpeningPolicy, user: &str, device: &str) {
    if !policy.known_keeps_access_token {
        ctx.store.end_access(user, device, Refusal::ReplacedToken, None);
    }
    if !policy.known_keeps_refresh_token {
        ctx.store.end_refresh(user, device);
    }
    for other in ctx.store.device_ids(user).iter().filter(|other| *other != device) {
        match policy.other_devices {
            OtherDevices::Untouched => {}
            OtherDevices::LoggedOut => {
                ctx.store.end_access(user, other, Refusal::LoggedOutToken, None);
            }
            OtherDevices::Deleted => ctx.store.drop_device(user, other, None),
        }
    }
}

/// Makes the device, or leaves a known one as it is.
fn settle_device(
    ctx: &mut RequestContext,
    policy: &OpeningPolicy,
    user: &str,
    device: &str,
    options: &LoginOptions,
) {
    let creates = match policy.creates_device {
        _ if lacks_device(ctx, options, TokenLoginDevice::Unrecorded) => false,
        CreatesDevice::Always => true,
        CreatesDevice::IfGenerated => options.device_id.is_none(),
        CreatesDevice::Never => false,
    };
    let display_name =
        options.display_name.clone().or_else(|| policy.default_name.map(str::to_owned));
    let Some(account) = ctx.store.accounts.get_mut(user).filter(|_| creates) else { return };
    let Some(known) = account.devices.get_mut(device) else {
        let made = Device { display_name, ..Device::default() };
        account.devices.insert(device.to_owned(), made);
        return;
    };
    match policy.known_device {
        KnownDevice::NameRemoved => known.display_name = None,
        KnownDevice::NameReplaced if display_name.is_some() => known.display_name = display_name,
        KnownDevice::Doubled => {
            let copy = Device { display_name, ..Device::default() };
            account.devices.insert(format!("{device}_2"), copy);
        }
        KnownDevice::Kept | KnownDevice::NameReplaced => known.again = true,
    }
}

/// What comes with a new access token.
#[derive(Debug, Default)]
pub(super) struct Terms {
    /// The token expires, where the homeserver has tokens that do.
    pub(super) expires: bool,
    /// A refresh token comes with it.
    pub(super) refresh: bool,
    /// The client chose the id of its device, at this login.
    pub(super) chosen: bool,
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
    let Terms { expires, refresh, chosen, made_from, generation } = terms;
    let (user, device) = (user.to_owned(), device.to_owned());
    let access = ctx.store.token("access");
    let settings = &ctx.server.settings;
    let lifetime = settings.access_lifetime.filter(|_| expires && ctx.server.listed.since(v1(3)));
    let lifetime = lifetime.map(|lifetime| match settings.chosen_lifetime {
        Some(short) if chosen && refresh => short,
        _ => lifetime,
    });
    let recorded = if is_recorded(ctx) { device.clone() } else { String::new() };
    let session = Access {
        user: user.clone(),
        device: recorded,
        expires: lifetime.and_then(|lifetime| ctx.now.checked_add(lifetime)),
        made_from: made_from.clone(),
        dies: None,
        generation,
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

/// Whether the device of an access token is put on record.
fn is_recorded(ctx: &RequestContext) -> bool {
    let policy = ctx.policy();
    let of_service = ctx.call.operation == Operation::Login && ctx.is_service();
    let unrecorded = policy.devices.unrecorded || of_service && policy.service.login.without_device;
    !unrecorded
}

/// A duration as the member of an answer.
pub(super) fn milliseconds(duration: Duration) -> Value {
    json!(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
