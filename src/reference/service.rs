//! Application services: what their token lets them do in the name of the users of their namespace.

use super::answer::{Answer, Outcome, Stop};
use super::context::{Members, Owner, RequestContext, flag, text};
use super::fault;
use super::identity::{Identified, identify};
use super::opening::{Wish, another, open_session};
use super::refusal::Refusal;
use super::release::v1;
use super::store::Account;
use super::uia::{self, Proof};
use serde_json::{Value, json};

/// The login type of application services, in registration as well.
pub(super) const TYPE: &str = "m.login.application_service";

impl RequestContext<'_> {
    /// Whether the request carries the token of the application service.
    pub(super) fn is_service(&self) -> bool {
        let token = self.server.settings.appservice.as_ref().map(|service| service.token.as_str());
        token.is_some() && self.presented_token() == token
    }

    /// Whether a localpart is one of the application service's: its own user, or one of its namespace.
    fn of_service(&self, localpart: &str) -> bool {
        self.server.settings.appservice.as_ref().is_some_and(|service| {
            localpart == service.sender || localpart.starts_with(&service.prefix)
        })
    }

    /// The user whom a request of the application service speaks for: the one that `user_id` names, without it the
    /// service's own; with the device that `device_id` names.
    pub(super) fn service_owner(&self, token: &str) -> Result<Owner, Stop> {
        let sender =
            self.server.settings.appservice.as_ref().map(|service| service.sender.as_str());
        let named =
            self.call.query("user_id").filter(|_| !self.has(fault::SERVICE_USER_ID_IGNORED));
        let user = match named {
            Some(id) => self.server.localpart(id).ok_or(Refusal::NotThisUser)?,
            None if self.has(fault::SERVICE_NEEDS_USER_ID) => {
                return Err(Refusal::NotThisUser.into());
            }
            None => sender.unwrap_or_default(),
        };
        let known = self.store.accounts.contains_key(user);
        let allowed = self.of_service(user) || self.has(fault::SERVICE_ANY_USER);
        let user = match () {
            () if known && allowed => user,
            () if self.has(fault::SERVICE_OUTSIDE_AS_SENDER) => sender.unwrap_or_default(),
            () if self.has(fault::SERVICE_OUTSIDE_EXCLUSIVE) => {
                return Err(Refusal::OutsideNamespace.into());
            }
            () => return Err(Refusal::NotThisUser.into()),
        };
        let stand_in = named.is_none() && self.has(fault::SERVICE_DEFAULT_OTHER);
        let user = if stand_in { another(self, user) } else { user.to_owned() };
        let read = self.server.listed.since(v1(17)) && !self.has(fault::SERVICE_DEVICE_IGNORED);
        let device = self.call.query("device_id").filter(|_| read).unwrap_or_default();
        let unknown = !device.is_empty() && self.store.device(&user, device).is_none();
        if unknown && !self.has(fault::SERVICE_DEVICE_UNCHECKED) {
            return Err(Refusal::ServiceDeviceUnknown.into());
        }
        let mistaken = !device.is_empty() && self.has(fault::SERVICE_DEVICE_OTHER);
        let device = if mistaken { "OTHER" } else { device }.to_owned();
        Ok(Owner { user, device, guest: false, token: token.to_owned(), service: true })
    }
}

/// The account that an application service logs in.
pub(super) fn login(ctx: &mut RequestContext, body: &Members) -> Result<String, Stop> {
    let Some(token) = ctx.presented_token() else {
        return Err(Refusal::ServiceTokenMissing.into());
    };
    if !ctx.is_service() {
        return match ctx.store.access.get(token) {
            Some(session) if ctx.has(fault::SERVICE_USER_TOKEN) => Ok(session.user.clone()),
            Some(_) => Err(Refusal::ServiceTokenOfUser.into()),
            None => Err(Refusal::ServiceTokenUnknown.into()),
        };
    }
    let name = body.get("identifier").and_then(|identifier| identifier.get("user"));
    let name = name.and_then(Value::as_str).unwrap_or_default().to_owned();
    let form_refused = ctx.has(if name.starts_with('@') {
        fault::SERVICE_FULL_ID_REFUSED
    } else {
        fault::SERVICE_LOCALPART_REFUSED
    });
    if ctx.has(fault::SERVICE_LOGIN_REFUSED) || form_refused {
        return Err(Refusal::UnknownUser.into());
    }
    if ctx.has(fault::SERVICE_LOGIN_NEEDS_PASSWORD) && !body.contains_key("password") {
        return Err(Refusal::PasswordMissing.into());
    }
    let localpart = ctx.server.localpart(&name).unwrap_or_default().to_owned();
    if !ctx.of_service(&localpart) {
        return Err(Refusal::OutsideNamespace.into());
    }
    if ctx.has(fault::SERVICE_LOGIN_REGISTERS) {
        ctx.store.accounts.entry(localpart.clone()).or_default();
    }
    match identify(ctx, body)? {
        Identified::Local(_) if ctx.has(fault::SERVICE_LOGIN_AS_SENDER) => {
            let sender = ctx.server.settings.appservice.as_ref().map(|s| s.sender.clone());
            Ok(sender.unwrap_or_default())
        }
        Identified::Local(user)
            if ctx.has(fault::SERVICE_LOGIN_ONCE) && !ctx.store.device_ids(&user).is_empty() =>
        {
            Err(Refusal::UnknownUser.into())
        }
        Identified::Local(user) => Ok(user),
        Identified::Stranger(Refusal::UnknownUser)
            if ctx.has(fault::SERVICE_UNREGISTERED_EXCLUSIVE) =>
        {
            Err(Refusal::OutsideNamespace.into())
        }
        Identified::Stranger(refusal) => Err(refusal.into()),
    }
}

/// `POST /register` of an application service: a user of its namespace, without interactive auth and without a
/// password. Where the legacy API is not offered, no session comes of it, so that none may be asked for.
pub(super) fn register(ctx: &mut RequestContext, body: &Members) -> Outcome {
    if !ctx.is_service() {
        return Err(Refusal::ServiceTokenUnknown.into());
    }
    let legacy = ctx.server.settings.legacy;
    if !legacy && ctx.has(fault::SERVICE_REGISTRATION_CLOSED) {
        return Err(Refusal::RegistrationClosed.into());
    }
    let inhibit_login = flag(body, "inhibit_login", Refusal::MemberWrongType)? == Some(true);
    if !legacy && !inhibit_login && !ctx.has(fault::SERVICE_REGISTRATION_LOGS_IN) {
        return Err(Refusal::ServiceLoginUnsupported.into());
    }
    let localpart =
        text(body, "username", Refusal::MemberWrongType)?.ok_or(Refusal::MemberMissing)?.to_owned();
    if !legacy && ctx.has(fault::SERVICE_REGISTRATION_UIA) {
        let binding = format!("register {localpart}");
        uia::pass(ctx, &Proof { binding, owner: None, flows: &[&[uia::DUMMY]] }, body)?;
    }
    if !ctx.of_service(&localpart) {
        return Err(Refusal::OutsideNamespace.into());
    }
    super::account::check_free(ctx, &localpart)?;
    let wish = Wish::read(ctx, body)?;
    if !ctx.has(fault::SERVICE_REGISTRATION_NOTHING) {
        ctx.store.accounts.insert(localpart.clone(), Account::default());
    }
    if inhibit_login {
        return Ok(Answer::ok(json!({"user_id": ctx.server.user_id(&localpart)})));
    }
    Ok(Answer::ok(Value::Object(open_session(ctx, &localpart, &wish)?)))
}
