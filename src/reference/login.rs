//! `GET` and `POST /login`, and the login tokens of `POST /v1/login/get_token`.

use super::answer::{Answer, Outcome, Stop};
use super::house::{Exchange, Members, flag, parse_object, required, text};
use super::refusal::Refusal;
use super::release::{r0, v1};
use super::route::Operation;
use super::store::{Access, Account, Device, Refresh};
use super::uia::{self, Proof};
use super::{fault, quirk};
use serde_json::{Value, json};
use std::time::Duration;

/// The longest device id taken, in bytes.
const DEVICE_ID_LIMIT: usize = 512;

/// The members of a login that some release knows.
const KNOWN: [&str; 10] = [
    "address",
    "device_id",
    "identifier",
    "initial_device_display_name",
    "medium",
    "password",
    "refresh_token",
    "token",
    "type",
    "user",
];

/// `GET /login`: the login types.
pub(super) fn flows(x: &mut Exchange) -> Outcome {
    let settings = &x.house.settings;
    if !settings.legacy {
        return Err(Refusal::NoLegacyFlows.into());
    }
    let mut flows = Vec::new();
    if !x.has(quirk::SSO_ONLY) {
        flows.push(json!({"type": "m.login.password"}));
    }
    if x.house.listed.since(r0(3)) && !x.has(quirk::UNLISTED_TYPES) {
        let mut token = json!({"type": "m.login.token"});
        if settings.get_token && x.house.listed.since(v1(7)) {
            token["get_login_token"] = json!(true);
        }
        flows.push(token);
    }
    if settings.sso {
        let mut sso = json!({"type": "m.login.sso"});
        if x.house.listed.since(v1(1)) {
            sso["identity_providers"] =
                json!([{"id": "house", "name": "The house", "brand": "house"}]);
        }
        flows.push(sso);
    }
    if x.house.listed.since(v1(2)) {
        flows.push(json!({"type": "m.login.application_service"}));
    }
    Ok(Answer::ok(json!({"flows": flows})))
}

/// What a client asks of the session that a login or a registration opens.
#[derive(Debug, Default)]
pub(super) struct Wish {
    device_id: Option<String>,
    display_name: Option<String>,
    refresh: bool,
}

impl Wish {
    /// Reads `device_id`, `initial_device_display_name` and `refresh_token`.
    pub(super) fn read(x: &Exchange, body: &Members) -> Result<Self, Refusal> {
        let device_id = match body.get("device_id") {
            Some(value) if !value.is_string() && x.at_login(fault::DEVICE_ID_NUMBER_TAKEN) => {
                Some(value.to_string())
            }
            _ => text(body, "device_id", Refusal::DeviceIdNotString)?.map(str::to_owned),
        };
        if device_id.as_ref().is_some_and(|id| id.is_empty() || id.len() > DEVICE_ID_LIMIT) {
            return Err(Refusal::DeviceIdInvalid);
        }
        let name = text(body, "initial_device_display_name", Refusal::DisplayNameNotString)?;
        let refresh = if x.at_login(fault::REFRESH_FLAG_TEXT)
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
        };
        if x.call.operation == Operation::Login {
            wish.bend(x, body);
        }
        Ok(wish)
    }

    /// What faults and quirks make of the wish of a login.
    fn bend(&mut self, x: &Exchange, body: &Members) {
        let token = body.get("type") == Some(&json!("m.login.token"));
        let too_old = x.has(quirk::STRICT_RELEASES) && !x.house.listed.since(r0(3));
        if too_old
            || x.has(fault::DEVICE_ID_IGNORED)
            || token && x.has(fault::LOGIN_TOKEN_NO_DEVICE)
        {
            self.device_id = None;
        }
        if x.has(fault::DEVICE_ID_CAPITALS) {
            self.device_id = self.device_id.take().map(|id| id.to_uppercase());
        }
        if x.has(fault::DEVICE_ID_STRIPPED) {
            let kept = |id: String| id.chars().filter(|c| c.is_alphanumeric()).collect();
            self.device_id = self.device_id.take().map(kept);
        }
        if x.has(fault::NAME_DROPPED) || token && x.has(fault::LOGIN_TOKEN_NO_NAME) {
            self.display_name = None;
        }
        let name = |change: fn(&str) -> String| self.display_name.as_deref().map(change);
        if x.has(fault::NAME_TRUNCATED) {
            self.display_name = name(|name| name.chars().take(4).collect());
        } else if x.has(fault::NAME_SMALL) {
            self.display_name = name(str::to_lowercase);
        } else if x.has(fault::DISPLAY_NAME_ASCII) {
            self.display_name =
                name(|name| name.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect());
        }
        self.refresh |= x.has(fault::REFRESH_UNASKED);
    }
}

/// `POST /login`.
pub(super) fn login(x: &mut Exchange) -> Outcome {
    if !x.house.settings.legacy {
        return Err(Refusal::NoLegacyLogin.into());
    }
    x.login_permit(&format!("address {}", x.call.peer.ip()))?;
    let body = read(x)?;
    let kind = kind(x, &body)?;
    let user = match kind {
        "m.login.password" if !x.has(quirk::SSO_ONLY) => by_password(x, &body)?,
        "m.login.token"
            if x.house.listed.since(r0(3)) && !x.has(fault::LOGIN_TOKEN_TYPE_REFUSED) =>
        {
            by_token(x, &body)?
        }
        "m.login.application_service" if x.house.listed.since(v1(2)) => by_service(x)?,
        _ if x.has(fault::TYPE_UNKNOWN_AS_PASSWORD) => by_password(x, &body)?,
        _ => return Err(Refusal::TypeUnknown.into()),
    };
    refuse_by_policy(x, &body)?;
    let wish = Wish::read(x, &body)?;
    let mut answer = Answer::ok(Value::Object(open_session(x, &user, &wish)?));
    if kind == "m.login.token" {
        spend_login_token(x, &body);
    }
    if x.house.settings.well_known {
        answer.put("well_known", super::discovery::document(x.house));
    }
    Ok(answer)
}

/// The body of a login. The media type is looked at by faults alone.
fn read(x: &Exchange) -> Result<Members, Refusal> {
    let media_type = x.call.header("content-type");
    let unread = x.has(fault::LOGIN_NEEDS_CONTENT_TYPE) && media_type.is_none()
        || x.has(fault::LOGIN_CONTENT_TYPE_EXACT)
            && media_type.is_some_and(|kind| kind.contains(';'));
    if unread {
        return Err(Refusal::NotJson);
    }
    let body = &x.call.body;
    let members = if x.has(fault::LOGIN_READ_AS_LATIN1) {
        parse_object(body.iter().map(|byte| char::from(*byte)).collect::<String>().as_bytes())
    } else if x.has(fault::LOGIN_ESCAPES_KEPT) {
        parse_object(String::from_utf8_lossy(body).replace("\\u", "\\\\u").as_bytes())
    } else {
        parse_object(body)
    }?;
    let names = || members.keys().map(String::as_str);
    if x.has(fault::LOGIN_REFUSES_UNKNOWN_KEYS) && names().any(|name| !KNOWN.contains(&name)) {
        return Err(Refusal::MemberInvalid);
    }
    if x.has(fault::LOGIN_REFUSES_NAMESPACED_KEYS) && names().any(|name| name.contains('.')) {
        return Err(Refusal::WrongPassword);
    }
    Ok(members)
}

/// The login type.
fn kind<'a>(x: &Exchange, body: &'a Members) -> Result<&'a str, Refusal> {
    match body.get("type") {
        None if x.has(fault::TYPE_DEFAULTS) => Ok("m.login.password"),
        Some(kind) if !kind.is_string() && x.has(fault::TYPE_NUMBER_AS_PASSWORD) => {
            Ok("m.login.password")
        }
        _ => required(body, "type", Refusal::TypeMissing, Refusal::TypeNotString),
    }
}

/// Refuses logins with right credentials, as some faults and quirks do.
fn refuse_by_policy(x: &mut Exchange, body: &Members) -> Result<(), Stop> {
    x.store.logins += 1;
    if x.has(fault::LOGIN_NEEDS_TOKEN) && x.presented_token().is_none() {
        return Err(Refusal::MissingToken.into());
    }
    if x.has(fault::REFRESH_FLAG_REFUSED) && body.get("refresh_token") == Some(&json!(true)) {
        return Err(Refusal::MemberInvalid.into());
    }
    if x.has(quirk::RESOURCE_LIMIT) && x.store.logins.is_multiple_of(8) {
        return Err(Refusal::ResourceLimit.into());
    }
    if !x.store.logins.is_multiple_of(5) {
        return Ok(());
    }
    let limited = |refusal: Refusal, member: &str, value: Value| {
        let mut answer = Answer::from(refusal);
        answer.put(member, value);
        Err(answer.into())
    };
    match () {
        () if x.has(fault::RESOURCE_LIMIT_BARE) => {
            Err(Refusal::ResourceLimit.without("admin_contact").into())
        }
        () if x.has(fault::USER_LIMIT_BARE) => Err(Refusal::UserLimit.without("info_uri").into()),
        () if x.has(fault::USER_LIMIT_INFO_NUMBER) => {
            limited(Refusal::UserLimit, "info_uri", json!(7))
        }
        () if x.has(fault::USER_LIMIT_UPGRADE_TEXT) => {
            limited(Refusal::UserLimit, "can_upgrade", json!("yes"))
        }
        () => Ok(()),
    }
}

/// The account that a request names.
pub(super) enum Identified {
    /// The localpart of an account here.
    Local(String),
    /// No account here, and why.
    Stranger(Refusal),
}

/// Finds the account in a login or a password stage: by `identifier`, else by the older `user`, else by the older
/// `medium` and `address`.
pub(super) fn identify(x: &Exchange, body: &Members) -> Result<Identified, Refusal> {
    let wrong = Refusal::IdentifierWrongType;
    let stage = x.call.operation != Operation::Login;
    let unread = stage && x.has(fault::UIA_NO_IDENTIFIER)
        || x.at_login(quirk::STRICT_RELEASES) && !x.house.listed.since(r0(4));
    let Some(identifier) = body.get("identifier").filter(|_| !unread) else {
        return identify_deprecated(x, body);
    };
    if let Some(user) = identifier.as_str().filter(|_| x.at_login(fault::IDENTIFIER_TEXT_AS_USER)) {
        return Ok(named(x, user));
    }
    let identifier = identifier.as_object().ok_or(Refusal::IdentifierNotObject)?;
    match required(identifier, "type", Refusal::IdentifierTypeMissing, wrong)? {
        "m.id.user" => {
            let user = required(identifier, "user", Refusal::IdentifierUserMissing, wrong)?;
            if user.starts_with('@') && x.at_login(fault::MXID_400) {
                return Err(Refusal::InvalidUsername);
            }
            Ok(named(x, user))
        }
        "m.id.thirdparty" => {
            let missing = Refusal::IdentifierThirdPartyMissing;
            let medium = required(identifier, "medium", missing, wrong)?;
            Ok(third_party(x, medium, required(identifier, "address", missing, wrong)?))
        }
        "m.id.phone" if x.has(quirk::PHONES_UNKNOWN) => Err(Refusal::IdentifierTypeUnknown),
        "m.id.phone" => {
            let missing = Refusal::IdentifierPhoneMissing;
            let country = required(identifier, "country", missing, wrong)?;
            Ok(phone(x, country, required(identifier, "phone", missing, wrong)?))
        }
        _ => match text(identifier, "user", wrong)?
            .filter(|_| x.at_login(fault::IDENTIFIER_TYPE_IGNORED))
        {
            Some(user) => Ok(named(x, user)),
            None => Err(Refusal::IdentifierTypeUnknown),
        },
    }
}

/// Finds the account by the members that came before `identifier`; they are deprecated and were never removed.
fn identify_deprecated(x: &Exchange, body: &Members) -> Result<Identified, Refusal> {
    let wrong = Refusal::IdentifierWrongType;
    let user = text(body, "user", wrong)?;
    if let Some(user) = user.filter(|_| !x.at_login(fault::LEGACY_USER_REFUSED)) {
        if user.starts_with('@') && x.at_login(fault::LEGACY_USER_MXID_REFUSED) {
            return Ok(Identified::Stranger(Refusal::UnknownUser));
        }
        return Ok(named(x, user));
    }
    match (text(body, "medium", wrong)?, text(body, "address", wrong)?) {
        _ if x.at_login(fault::LEGACY_THIRD_PARTY_IGNORED) => Err(Refusal::IdentifierMissing),
        (Some(medium), Some(address)) => Ok(match third_party(x, medium, address) {
            Identified::Stranger(_) => Identified::Stranger(Refusal::UnknownLegacyThirdParty),
            local @ Identified::Local(_) => local,
        }),
        (None, None) => Err(Refusal::IdentifierMissing),
        _ => Err(Refusal::IdentifierThirdPartyMissing),
    }
}

/// The account with a user name: a localpart or a full id.
fn named(x: &Exchange, name: &str) -> Identified {
    let full = name.starts_with('@');
    let refused =
        if full { x.at_login(fault::MXID_REFUSED) } else { x.at_login(fault::LOCALPART_REFUSED) };
    let localpart = if x.at_login(fault::FOREIGN_AS_LOCAL) && full {
        name.trim_start_matches('@').split(':').next()
    } else {
        x.house.localpart(name)
    };
    let Some(localpart) = localpart else { return Identified::Stranger(Refusal::ForeignUser) };
    let folded =
        if x.has(quirk::CASE_FOLDED) { localpart.to_lowercase() } else { localpart.to_owned() };
    if x.store.accounts.contains_key(&folded) && !refused {
        Identified::Local(folded)
    } else {
        Identified::Stranger(Refusal::UnknownUser)
    }
}

/// The account to which an address is bound. E-mail addresses are compared after folding their case.
fn third_party(x: &Exchange, medium: &str, address: &str) -> Identified {
    let same = |bound: &str| match medium {
        "email" => bound.to_lowercase() == address.to_lowercase(),
        _ => bound == address,
    };
    let bound = x
        .house
        .settings
        .third_party
        .iter()
        .find(|bound| bound.medium == medium && same(&bound.address));
    bound.map_or(Identified::Stranger(Refusal::UnknownThirdParty), |bound| named(x, &bound.user))
}

/// The account to which a phone number is bound, from the number as somebody types it in a country.
fn phone(x: &Exchange, country: &str, number: &str) -> Identified {
    let code = match country.to_ascii_uppercase().as_str() {
        "GB" => "44",
        "US" | "CA" => "1",
        "FR" => "33",
        "DE" => "49",
        _ => return Identified::Stranger(Refusal::UnknownPhone),
    };
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let address = match digits.strip_prefix('0') {
        _ if number.starts_with('+') => digits,
        Some(national) => format!("{code}{national}"),
        None => format!("{code}{digits}"),
    };
    match third_party(x, "msisdn", &address) {
        Identified::Stranger(_) => Identified::Stranger(Refusal::UnknownPhone),
        local @ Identified::Local(_) => local,
    }
}

/// The account that a password login is for.
fn by_password(x: &mut Exchange, body: &Members) -> Result<String, Stop> {
    let unasked = match body.get("password") {
        None => x.has(fault::PASSWORD_MISSING_LOGS_IN),
        Some(password) => password.is_null() && x.has(fault::PASSWORD_NULL_LOGS_IN),
    };
    let password = match unasked {
        true => None,
        false => {
            Some(required(body, "password", Refusal::PasswordMissing, Refusal::PasswordNotString)?)
        }
    };
    let user = match identify(x, body)? {
        Identified::Local(user) => user,
        Identified::Stranger(Refusal::UnknownUser) if x.has(fault::UNKNOWN_USER_MADE) => {
            make_account(x, body)?
        }
        Identified::Stranger(Refusal::ForeignUser) if x.has(quirk::FOREIGN_400) => {
            return Err(Refusal::InvalidUsername.into());
        }
        Identified::Stranger(refusal) => return Err(refusal.into()),
    };
    x.login_permit(&format!("account {user}"))?;
    let account = x.store.accounts.get(&user).ok_or(Refusal::UnknownUser)?;
    if !password.is_none_or(|password| matches(x, account, password)) || account.locked {
        fail(x, &user, body);
        return Err(Refusal::WrongPassword.into());
    }
    if account.deactivated && !x.has(fault::DEACTIVATED_LOGS_IN) {
        return Err(Refusal::UserDeactivated.into());
    }
    Ok(user)
}

/// Whether a password is the account's.
fn matches(x: &Exchange, account: &Account, given: &str) -> bool {
    let Some(kept) = account.password.as_deref() else { return false };
    let beginning = |text: &str| text.chars().take(8).collect::<String>();
    given == kept
        || x.has(fault::ANY_PASSWORD)
        || x.has(fault::PASSWORD_TRIMMED) && given.trim() == kept
        || x.has(fault::PASSWORD_FOLDED) && given.to_lowercase() == kept.to_lowercase()
        || x.has(fault::PASSWORD_TRUNCATED) && beginning(given) == beginning(kept)
        || x.has(fault::PASSWORD_PREFIX) && kept.starts_with(given)
        || x.has(fault::PASSWORD_EMPTY) && given.is_empty()
        || x.has(fault::PASSWORD_OLD_TOO) && account.former_password.as_deref() == Some(given)
}

/// What faults do when a password is wrong.
fn fail(x: &mut Exchange, user: &str, body: &Members) {
    let device = body.get("device_id").and_then(Value::as_str);
    let made = device.filter(|_| x.has(fault::FAILURE_MAKES_DEVICE));
    if let (Some(device), Some(account)) = (made, x.store.accounts.get_mut(user)) {
        account.devices.entry(device.to_owned()).or_default();
    }
    if let Some(device) = device.filter(|_| x.has(fault::FAILURE_ENDS_DEVICE)) {
        x.store.end_access(user, device, Refusal::LoggedOutToken, None);
    }
    if x.has(fault::FAILURE_ENDS_SESSIONS) {
        for device in x.store.device_ids(user) {
            x.store.end_access(user, &device, Refusal::LoggedOutToken, None);
        }
    }
}

/// Makes the account that a login names, for the fault that does so.
fn make_account(x: &mut Exchange, body: &Members) -> Result<String, Stop> {
    let name = body
        .get("identifier")
        .and_then(|identifier| identifier.get("user"))
        .or_else(|| body.get("user"));
    let localpart =
        name.and_then(Value::as_str).and_then(|name| x.house.localpart(name)).unwrap_or_default();
    super::account::check_free(x, localpart)?;
    let password = body.get("password").and_then(Value::as_str).map(str::to_owned);
    x.store.accounts.insert(localpart.to_owned(), Account { password, ..Account::default() });
    Ok(localpart.to_owned())
}

/// Another account than the user's: the first there is. The user's own if there is no other.
pub(super) fn another(x: &Exchange, user: &str) -> String {
    x.store.accounts.keys().find(|name| *name != user).map_or(user, String::as_str).to_owned()
}

/// The account that a token login is for. The token is spent only when the login succeeds.
fn by_token(x: &mut Exchange, body: &Members) -> Result<String, Stop> {
    let token = required(body, "token", Refusal::LoginTokenMissing, Refusal::LoginTokenNotString)?;
    if let Some(session) = x.store.access.get(token).filter(|_| x.has(fault::ACCESS_AS_LOGIN_TOKEN))
    {
        return Ok(session.user.clone());
    }
    let Some(made) = x.store.login_tokens.get(token) else {
        let first = x.store.accounts.keys().next().filter(|_| x.has(fault::LOGIN_TOKEN_ANY));
        return first.cloned().ok_or(Refusal::LoginTokenInvalid.into());
    };
    let window = Duration::from_millis(if x.has(fault::LOGIN_TOKEN_RACES) { 250 } else { 0 });
    if made.spent.is_some_and(|moment| moment + window <= x.now) && !x.has(fault::LOGIN_TOKEN_TWICE)
    {
        return Err(Refusal::LoginTokenSpent.into());
    }
    if made.expires <= x.now && !x.has(fault::LOGIN_TOKEN_ETERNAL) {
        return Err(Refusal::LoginTokenExpired.into());
    }
    if x.has(fault::LOGIN_TOKEN_REFUSED) {
        return Err(Refusal::LoginTokenInvalid.into());
    }
    if x.has(fault::LOGIN_TOKEN_NEEDS_USER) && !body.contains_key("identifier") {
        return Err(Refusal::IdentifierMissing.into());
    }
    let user = made.user.clone();
    if x.store.accounts.get(&user).is_none_or(|account| account.deactivated) {
        return Err(Refusal::UserDeactivated.into());
    }
    Ok(if x.has(fault::LOGIN_TOKEN_WRONG_USER) { another(x, &user) } else { user })
}

fn spend_login_token(x: &mut Exchange, body: &Members) {
    let token = body.get("token").and_then(Value::as_str).unwrap_or_default();
    if let Some(made) = x.store.login_tokens.get_mut(token) {
        made.spent.get_or_insert(x.now);
    }
}

/// Refuses application services: none is registered here.
fn by_service(x: &Exchange) -> Result<String, Stop> {
    let Some(token) = x.presented_token() else { return Err(Refusal::ServiceTokenMissing.into()) };
    match x.store.access.get(token) {
        Some(session) if x.has(fault::SERVICE_USER_TOKEN) => Ok(session.user.clone()),
        Some(_) => Err(Refusal::ServiceTokenOfUser.into()),
        None => Err(Refusal::ServiceTokenUnknown.into()),
    }
}

/// Opens a session on a new device, or on a known one, whose earlier tokens die. Gives the members of the answer.
pub(super) fn open_session(x: &mut Exchange, user: &str, wish: &Wish) -> Result<Members, Stop> {
    let told = choose_device(x, user, wish)?;
    // The device that is told, the one that the token belongs to, and the owner of the token differ by faults alone.
    let device =
        if x.at_login(fault::DEVICE_ECHO_ONLY) { x.store.device_id() } else { told.clone() };
    let owner =
        if x.at_login(fault::TOKEN_OF_ANOTHER) { another(x, user) } else { user.to_owned() };
    let known = x.store.device(&owner, &device).is_some();
    end_sessions(x, &owner, &device);
    settle_device(x, &owner, &device, wish);
    let mut members = Members::new();
    members.insert("user_id".into(), json!(x.house.user_id(user)));
    if wish.device_id.is_some() || !x.at_login(fault::GENERATED_ABSENT) {
        members.insert("device_id".into(), json!(told));
    }
    let expires = wish.refresh || x.has(quirk::EXPIRES_WITHOUT_REFRESH);
    let terms = Terms { expires, refresh: wish.refresh, made_from: None };
    issue_tokens(x, &owner, &device, terms, &mut members);
    let dead = x.at_login(fault::TOKEN_DEAD)
        || x.at_login(fault::TOKEN_DEAD_SOMETIMES) && x.store.logins.is_multiple_of(3)
        || x.at_login(fault::REUSE_TOKEN_DEAD) && known;
    if dead {
        forget_access(x, &members);
    }
    if !x.house.listed.v3_paths() || x.has(quirk::HOME_SERVER) {
        members.insert("home_server".into(), json!(x.house.settings.server_name));
    }
    Ok(members)
}

/// Forgets the access token of an answer, as if it had never been.
pub(super) fn forget_access(x: &mut Exchange, members: &Members) {
    let token = members.get("access_token").and_then(Value::as_str).unwrap_or_default();
    x.store.access.remove(token);
}

/// The device of a new session: the one asked for, unless it is named like a cross-signing key, or one that is made.
fn choose_device(x: &mut Exchange, user: &str, wish: &Wish) -> Result<String, Stop> {
    let Some(id) = &wish.device_id else {
        return Ok(match () {
            () if x.at_login(fault::GENERATED_EMPTY) => String::new(),
            () if x.at_login(fault::GENERATED_CONSTANT) => "DEVICE".to_owned(),
            () if x.has(quirk::ODD_DEVICE_IDS) => format!("{}/ é+%41", x.store.device_id()),
            () => x.store.device_id(),
        });
    };
    if x.store.signing_public_keys(user).contains(id) && !x.at_login(fault::CROSS_SIGNING_ALLOWED) {
        return Err(Refusal::CrossSigningDevice.into());
    }
    let elsewhere = x
        .store
        .accounts
        .iter()
        .find(|(name, account)| *name != user && account.devices.contains_key(id));
    if let Some((other, _)) = elsewhere {
        if x.at_login(fault::DEVICE_ID_TAKEN) {
            return Err(Refusal::CrossSigningDevice.into());
        }
        if x.at_login(fault::DEVICE_ID_GLOBAL) {
            let other = other.clone();
            x.store.drop_device(&other, id, None);
        }
    }
    Ok(id.clone())
}

/// Ends the earlier tokens of a device that logs in; by faults, those of other devices too.
fn end_sessions(x: &mut Exchange, user: &str, device: &str) {
    if !x.has(quirk::KEEPS_OLD_TOKEN) {
        x.store.end_access(user, device, Refusal::ReplacedToken, None);
    }
    if !x.has(quirk::KEEPS_OLD_REFRESH) {
        x.store.end_refresh(user, device);
    }
    for other in x.store.device_ids(user).iter().filter(|other| *other != device) {
        if x.at_login(fault::ENDS_OTHER_DEVICES) {
            x.store.drop_device(user, other, None);
        } else if x.at_login(fault::ENDS_OTHER_SESSIONS) {
            x.store.end_access(user, other, Refusal::LoggedOutToken, None);
        }
    }
}

/// Makes the device, or leaves a known one as it is.
fn settle_device(x: &mut Exchange, user: &str, device: &str, wish: &Wish) {
    let (absent, doubled) =
        (x.at_login(fault::DEVICE_NOT_CREATED), x.at_login(fault::DEVICE_DOUBLED));
    let (overwritten, cleared) =
        (x.at_login(fault::NAME_OVERWRITTEN), x.at_login(fault::NAME_CLEARED));
    let default = x.has(quirk::DEFAULT_NAME).then(|| "A device".to_owned());
    let name = wish.display_name.clone().or(default);
    let Some(account) = x.store.accounts.get_mut(user).filter(|_| !absent) else { return };
    match account.devices.get_mut(device) {
        Some(known) if cleared => known.display_name = None,
        Some(known) if overwritten && name.is_some() => known.display_name = name,
        Some(_) if doubled => {
            let copy = Device { display_name: name, ..Device::default() };
            account.devices.insert(format!("{device}_2"), copy);
        }
        Some(_) => {}
        None => {
            account
                .devices
                .insert(device.to_owned(), Device { display_name: name, ..Device::default() });
        }
    }
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
}

/// Puts a new access token into an answer, with what the terms say.
pub(super) fn issue_tokens(
    x: &mut Exchange,
    user: &str,
    device: &str,
    terms: Terms,
    members: &mut Members,
) {
    let Terms { expires, refresh, made_from } = terms;
    let (user, device) = (user.to_owned(), device.to_owned());
    let access = x.store.token("access");
    let lifetime =
        x.house.settings.access_lifetime.filter(|_| expires && x.house.listed.since(v1(3)));
    let recorded = if x.has(fault::TOKEN_WITHOUT_DEVICE) { String::new() } else { device.clone() };
    let session = Access {
        user: user.clone(),
        device: recorded,
        expires: lifetime.map(|lifetime| x.now + lifetime),
        made_from: made_from.clone(),
        dies: None,
    };
    x.store.access.insert(access.clone(), session);
    members.insert("access_token".into(), json!(access));
    let Some(lifetime) = lifetime else { return };
    members.insert("expires_in_ms".into(), milliseconds(lifetime));
    if refresh {
        let token = x.store.token("refresh");
        x.store.refresh.insert(token.clone(), Refresh { user, device, made_from });
        members.insert("refresh_token".into(), json!(token));
    }
}

fn milliseconds(duration: Duration) -> Value {
    json!(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// `POST /v1/login/get_token`: a login token for another client of the caller, after interactive auth.
pub(super) fn get_token(x: &mut Exchange) -> Outcome {
    let owner = x.full_owner()?;
    let body = x.object()?;
    if let Some(limit) = x.house.settings.get_token_limit {
        let permit = x.store.buckets.take(limit, &format!("get_token {}", owner.user), x.now);
        permit.map_err(|wait| Stop::from(Answer::limited(wait)))?;
    }
    let remembered = x.has(fault::GET_TOKEN_REMEMBERS) && x.store.passed.contains(&owner.user);
    if !remembered && !x.has(fault::GET_TOKEN_NO_UIA) {
        let binding = format!("get_token {}", owner.user);
        uia::pass(
            x,
            &Proof { binding, owner: Some(&owner.user), flows: uia::password_flows(x) },
            &body,
        )?;
        x.store.passed.insert(owner.user.clone());
    }
    let lifetime = x.house.settings.login_token_lifetime;
    let token = x.store.login_token(&owner.user, x.now, lifetime);
    if x.has(fault::GET_TOKEN_USELESS) {
        x.store.login_tokens.remove(&token);
    }
    if x.has(fault::GET_TOKEN_ENDS_SESSION) {
        x.store.end_access(&owner.user, &owner.device, Refusal::LoggedOutToken, None);
    }
    Ok(Answer::ok(json!({"login_token": token, "expires_in_ms": milliseconds(lifetime)})))
}
