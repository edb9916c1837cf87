//! Why a homeserver refused a request, as far as the exchanges before and the request itself tell.
//!
//! Edits are chosen by the reason of a refusal. The reference homeserver knows its own; of another one it has to be
//! inferred: from the body that was sent, and from what became of the tokens, devices and users that were seen.

use super::answer::{Answer, Body};
use super::context::{Call, Members, parse_object, text};
use super::refusal::Refusal as R;
use super::route::{Found, Operation as O};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// Whose a token is: the full user id, and the device id.
type Owner = (String, String);

/// What was seen of a homeserver.
#[derive(Debug, Default)]
pub(super) struct RefusalInference {
    /// The part of user ids after the colon.
    server: Option<String>,
    /// Localparts of accounts that are known to exist.
    users: HashSet<String>,
    deactivated: HashSet<String>,
    access: HashMap<String, Owner>,
    refresh: HashMap<String, Owner>,
    /// Access and refresh tokens that have ended, and how.
    ended: HashMap<String, R>,
    /// Login tokens, and whether they were used.
    login_tokens: HashMap<String, bool>,
    devices: HashSet<Owner>,
    /// Cross-signing keys.
    keys: HashSet<String>,
}

/// Whether a registration is one of an application service.
fn by_service(call: &Call) -> bool {
    let kind = parse_object(&call.body).ok().and_then(|body| body.get("type").cloned());
    kind.is_some_and(|kind| kind == "m.login.application_service")
}

impl RefusalInference {
    /// Why the request was refused; nothing if it was not, or was not refused for a reason that shows.
    pub(super) fn reason(&self, call: &Call, found: &Found, answer: &Answer) -> Option<R> {
        if answer.status < 400 || answer.status == 429 || answer.is_challenge() {
            return None;
        }
        match found {
            Found::Nothing => return Some(R::UnknownEndpoint),
            Found::OtherMethod(..) => return Some(R::UnknownMethod),
            Found::Operation(..) => {}
        }
        let registers = matches!(call.operation, O::Register | O::RegisterAvailable);
        if registers && errcode(answer) == Some("M_EXCLUSIVE") && !by_service(call) {
            return Some(R::NameExclusive);
        }
        self.by_policy(answer).or_else(|| match (call.operation, answer.status) {
            (O::Flows, 404) => Some(R::NoLegacyFlows),
            (O::Login, 404) => Some(R::NoLegacyLogin),
            (O::AuthMetadata, 404) => Some(R::NoOauth),
            (O::Device | O::RenameDevice | O::DeleteDevice, 404) => Some(self.device(call)),
            (O::Filter, 404) => Some(R::FilterUnknown),
            (O::DisplayName, 404) => Some(R::ProfileUnknown),
            (O::AdminLock | O::AdminSuspension | O::AdminGetLock | O::AdminGetSuspension, 404) => {
                Some(R::AccountUnknown)
            }
            (_, 404) => Some(R::UnknownEndpoint),
            (O::Login, status) => self.login(call, status),
            (O::Refresh, _) => Some(self.refused_refresh(call)),
            (_, 401) => Some(self.token(call, answer)),
            (_, 403) => Some(self.stage(call).unwrap_or(R::NotThisUser)),
            (O::GetToken, 400) if parse_object(&call.body).is_ok() => Some(R::LoginTokensDenied),
            _ => self.body(call, answer),
        })
    }

    /// Reasons that an `errcode` tells by itself.
    fn by_policy(&self, answer: &Answer) -> Option<R> {
        Some(match errcode(answer)? {
            "M_RESOURCE_LIMIT_EXCEEDED" => R::ResourceLimit,
            "M_USER_LIMIT_EXCEEDED" => R::UserLimit,
            "M_USER_DEACTIVATED" => R::UserDeactivated,
            "M_GUEST_ACCESS_FORBIDDEN" => R::GuestForbidden,
            "M_USER_IN_USE" => R::UserInUse,
            "M_INVALID_USERNAME" => R::InvalidUsername,
            "M_USER_LOCKED" => R::UserLocked,
            "M_USER_SUSPENDED" => R::UserSuspended,
            "M_EXCLUSIVE" => R::OutsideNamespace,
            "M_UNKNOWN_DEVICE" => R::ServiceDeviceUnknown,
            "M_APPSERVICE_LOGIN_UNSUPPORTED" => R::ServiceLoginUnsupported,
            _ => return None,
        })
    }

    /// What is wrong with a body by itself.
    fn body(&self, call: &Call, answer: &Answer) -> Option<R> {
        match (parse_object(&call.body), errcode(answer)) {
            // Not every operation takes a body.
            (Err(refusal), code) if refusal != R::EmptyBody || code == Some("M_NOT_JSON") => {
                Some(refusal)
            }
            (_, Some("M_MISSING_PARAM")) => Some(R::MemberMissing),
            (_, Some("M_BAD_JSON" | "M_INVALID_PARAM")) => Some(R::MemberWrongType),
            _ => None,
        }
    }

    fn token(&self, call: &Call, answer: &Answer) -> R {
        let Some(token) = presented(call) else { return R::MissingToken };
        match self.ended.get(token) {
            _ if answer.member("soft_logout") == Some(&Value::Bool(true)) => R::ExpiredToken,
            Some(how) => *how,
            None => R::UnknownToken,
        }
    }

    /// What is wrong with the password stage of interactive auth, if one was sent.
    fn stage(&self, call: &Call) -> Option<R> {
        let body = parse_object(&call.body).ok()?;
        let auth = body.get("auth")?.as_object()?;
        let is_password = auth.get("type").and_then(Value::as_str) == Some("m.login.password");
        let kind = is_password.then(|| identifier(auth))?;
        Some(kind.map_or_else(|refusal| refusal, |kind| self.credentials(call, kind, auth)))
    }

    fn device(&self, call: &Call) -> R {
        let device = call.parameters.first().map_or("", String::as_str);
        let owner = presented(call).and_then(|token| self.access.get(token));
        let of_another = self.devices.iter().any(|(user, known)| {
            known == device && owner.is_some_and(|(caller, _)| caller != user)
        });
        if of_another { R::DeviceOfAnother } else { R::DeviceUnknown }
    }

    fn refused_refresh(&self, call: &Call) -> R {
        let token = parse_object(&call.body).and_then(|body| {
            let token = text(&body, "refresh_token", R::RefreshTokenNotString)?;
            token.map(str::to_owned).ok_or(R::RefreshTokenMissing)
        });
        match token {
            Err(refusal) => refusal,
            Ok(token) if self.ended.contains_key(&token) => R::RefreshTokenSpent,
            Ok(_) => R::RefreshTokenUnknown,
        }
    }

    /// A refused login: first what is wrong with the request by itself, then what is wrong with the credentials.
    fn login(&self, call: &Call, status: u16) -> Option<R> {
        let body = match parse_object(&call.body) {
            Ok(body) => body,
            Err(refusal) => return Some(refusal),
        };
        match well_formed(&body) {
            Err(refusal) => Some(refusal),
            // Well-formed, and yet called malformed: by rules of the homeserver's own.
            Ok(_) if status == 400 => None,
            Ok(kind) => Some(self.credentials(call, kind, &body)),
        }
    }

    fn credentials(&self, call: &Call, kind: Kind, body: &Members) -> R {
        let string = |name: &str| body.get(name).and_then(Value::as_str);
        let signing = string("device_id").is_some_and(|device| self.keys.contains(device));
        match kind {
            _ if signing => R::CrossSigningDevice,
            Kind::Service => match presented(call) {
                None => R::ServiceTokenMissing,
                Some(token) if self.access.contains_key(token) => R::ServiceTokenOfUser,
                Some(_) => R::ServiceTokenUnknown,
            },
            Kind::Token => match string("token").and_then(|token| self.login_tokens.get(token)) {
                None => R::LoginTokenInvalid,
                Some(true) => R::LoginTokenSpent,
                Some(false) => R::LoginTokenExpired,
            },
            Kind::Phone => R::UnknownPhone,
            Kind::ThirdParty => R::UnknownThirdParty,
            Kind::LegacyThirdParty => R::UnknownLegacyThirdParty,
            Kind::User => self.stranger(user_of(body).unwrap_or_default()),
        }
    }

    /// Why a password login of this user name was refused.
    fn stranger(&self, name: &str) -> R {
        let (localpart, server) = match name.strip_prefix('@').and_then(|id| id.split_once(':')) {
            Some((localpart, server)) => (localpart, Some(server)),
            None => (name, None),
        };
        match () {
            () if server.is_some() && self.server.is_some() && server != self.server.as_deref() => {
                R::ForeignUser
            }
            () if self.deactivated.contains(localpart) => R::UserDeactivated,
            () if self.users.contains(localpart) => R::WrongPassword,
            () => R::UnknownUser,
        }
    }

    /// Remembers what an exchange shows of users, devices and tokens.
    pub(super) fn note(&mut self, call: &Call, answer: &Answer) {
        let Body::Json(Value::Object(given)) = &answer.body else { return };
        if answer.status >= 300 {
            return;
        }
        let sent = parse_object(&call.body).unwrap_or_default();
        let caller = presented(call).and_then(|token| self.access.get(token)).cloned();
        match call.operation {
            O::Login | O::Register | O::AdminRegister => self.opened(call.operation, &sent, given),
            O::Refresh => self.refreshed(&sent, given),
            O::GetToken => {
                let token = given.get("login_token").and_then(Value::as_str);
                self.login_tokens.extend(token.map(|token| (token.to_owned(), false)));
            }
            O::SigningKeysUpload => self.keys.extend(signing_keys(&sent)),
            operation => {
                if let Some(caller) = caller {
                    self.acted(operation, call, &sent, &caller);
                }
            }
        }
    }

    /// A session was opened.
    fn opened(&mut self, operation: O, sent: &Members, given: &Members) {
        let string = |name: &str| given.get(name).and_then(Value::as_str);
        let Some(user) = string("user_id") else { return };
        let parts = user.strip_prefix('@').and_then(|id| id.split_once(':'));
        if let Some((localpart, server)) = parts {
            self.users.insert(localpart.to_owned());
            self.server = Some(server.to_owned());
        }
        if operation == O::Login
            && let Some(token) = sent.get("token").and_then(Value::as_str)
        {
            self.login_tokens.insert(token.to_owned(), true);
        }
        let owner = (user.to_owned(), string("device_id").unwrap_or_default().to_owned());
        self.end(R::ReplacedToken, |known| *known == owner);
        let token = string("access_token").map(|token| (token.to_owned(), owner.clone()));
        self.access.extend(token);
        self.refresh.extend(string("refresh_token").map(|token| (token.to_owned(), owner.clone())));
        self.devices.insert(owner);
    }

    /// A refresh token was traded in.
    fn refreshed(&mut self, sent: &Members, given: &Members) {
        let old = sent.get("refresh_token").and_then(Value::as_str).unwrap_or_default();
        let Some(owner) = self.refresh.get(old).cloned() else { return };
        let string = |name: &str| given.get(name).and_then(Value::as_str).map(str::to_owned);
        self.access.extend(string("access_token").map(|token| (token, owner.clone())));
        if let Some(new) = string("refresh_token") {
            // It may be good for a while; once it is refused, this is why.
            self.ended.insert(old.to_owned(), R::RefreshTokenSpent);
            self.refresh.insert(new, owner);
        }
    }

    /// A call that ends sessions succeeded.
    fn acted(&mut self, operation: O, call: &Call, sent: &Members, caller: &Owner) {
        let (user, _) = caller;
        let mut end_devices = |wanted: &dyn Fn(&str) -> bool| {
            self.end(R::LoggedOutToken, |(owner, device)| owner == user && wanted(device));
            self.devices.retain(|(owner, device)| owner != user || !wanted(device));
        };
        match operation {
            O::Logout => end_devices(&|device| device == caller.1),
            O::LogoutAll => end_devices(&|_| true),
            O::DeleteDevice => {
                end_devices(&|device| call.parameters.first().is_some_and(|d| d == device));
            }
            O::DeleteDevices => {
                let named = sent.get("devices").and_then(Value::as_array);
                end_devices(&|device| named.is_some_and(|all| all.iter().any(|d| d == device)));
            }
            O::ChangePassword if sent.get("logout_devices") != Some(&Value::Bool(false)) => {
                end_devices(&|device| device != caller.1);
            }
            O::Deactivate => {
                end_devices(&|_| true);
                let localpart = user.trim_start_matches('@').split(':').next();
                self.deactivated.extend(localpart.map(str::to_owned));
            }
            _ => {}
        }
    }

    /// Ends the tokens of the sessions meant.
    fn end(&mut self, how: R, meant: impl Fn(&Owner) -> bool) {
        let tokens = self.access.iter().chain(&self.refresh);
        let ended = tokens.filter(|(_, owner)| meant(owner)).map(|(token, _)| token.clone());
        for token in ended.collect::<Vec<_>>() {
            self.ended.entry(token).or_insert(how);
        }
    }
}

/// What a login that is well-formed offers.
#[derive(Debug, Clone, Copy)]
enum Kind {
    User,
    ThirdParty,
    LegacyThirdParty,
    Phone,
    Token,
    Service,
}

/// What is wrong with the body of a login by itself, or what it offers.
fn well_formed(body: &Members) -> Result<Kind, R> {
    let kind = match text(body, "type", R::TypeNotString)?.ok_or(R::TypeMissing)? {
        "m.login.password" => {
            text(body, "password", R::PasswordNotString)?.ok_or(R::PasswordMissing)?;
            identifier(body)?
        }
        "m.login.token" => {
            text(body, "token", R::LoginTokenNotString)?.ok_or(R::LoginTokenMissing)?;
            Kind::Token
        }
        "m.login.application_service" => Kind::Service,
        _ => return Err(R::TypeUnknown),
    };
    text(body, "device_id", R::DeviceIdNotString)?;
    text(body, "initial_device_display_name", R::DisplayNameNotString)?;
    match body.get("refresh_token") {
        Some(flag) if !flag.is_boolean() => Err(R::RefreshFlagNotBoolean),
        _ => Ok(kind),
    }
}

fn identifier(body: &Members) -> Result<Kind, R> {
    let identifier = match body.get("identifier") {
        Some(Value::Object(identifier)) => identifier,
        Some(_) => return Err(R::IdentifierNotObject),
        None => return deprecated_identifier(body),
    };
    let needed = |names: &[&str], missing: R| {
        names.iter().try_for_each(|name| {
            text(identifier, name, R::IdentifierWrongType)?.map(drop).ok_or(missing)
        })
    };
    let kind = text(identifier, "type", R::IdentifierWrongType)?.ok_or(R::IdentifierTypeMissing)?;
    match kind {
        "m.id.user" => needed(&["user"], R::IdentifierUserMissing).map(|()| Kind::User),
        "m.id.thirdparty" => needed(&["medium", "address"], R::IdentifierThirdPartyMissing)
            .map(|()| Kind::ThirdParty),
        "m.id.phone" => {
            needed(&["country", "phone"], R::IdentifierPhoneMissing).map(|()| Kind::Phone)
        }
        _ => Err(R::IdentifierTypeUnknown),
    }
}

fn deprecated_identifier(body: &Members) -> Result<Kind, R> {
    let member = |name: &str| text(body, name, R::IdentifierWrongType);
    if member("user")?.is_some() {
        return Ok(Kind::User);
    }
    let (_, address) = (member("medium")?, member("address")?);
    address.map(|_| Kind::LegacyThirdParty).ok_or(R::IdentifierMissing)
}

/// The user that a password login names.
fn user_of(body: &Members) -> Option<&str> {
    let named = body.get("identifier").and_then(|identifier| identifier.get("user"));
    named.or_else(|| body.get("user")).and_then(Value::as_str)
}

/// The keys that are uploaded for cross-signing.
fn signing_keys(sent: &Members) -> Vec<String> {
    let uploads = ["master_key", "self_signing_key", "user_signing_key"];
    let keys = uploads.iter().filter_map(|name| sent.get(*name)?.get("keys")?.as_object());
    keys.flat_map(Members::values).filter_map(Value::as_str).map(str::to_owned).collect()
}

fn errcode(answer: &Answer) -> Option<&str> {
    answer.member("errcode").and_then(Value::as_str)
}

/// The access token of a request, from the header or the query.
fn presented(call: &Call) -> Option<&str> {
    let header = call.header("authorization").and_then(|value| value.split_once(' '));
    let header = header.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = header.map(|(_, token)| token.trim()).or_else(|| call.query("access_token"));
    token.filter(|token| !token.is_empty())
}
