//! Whom a login or a password stage names.

use super::context::{Members, RequestContext, required, text};
use super::policy::{
    DeprecatedAddress, Emails, ForeignIds, IdentificationPolicy, IdentifierMember, IdentifierPart,
    NameForm, OddText, Phones, UserMember,
};
use super::refusal::Refusal;
use super::release::r0;

/// The account that a request names.
pub(super) enum Identified {
    /// The localpart of an account here.
    Local(String),
    /// No account here, and why.
    Stranger(Refusal),
}

/// Finds the account in a login or a password stage: by `identifier`, else by the older `user`, else by the older
/// `medium` and `address`.
pub(super) fn identify(
    ctx: &RequestContext,
    policy: &IdentificationPolicy,
    body: &Members,
) -> Result<Identified, Refusal> {
    let wrong = Refusal::IdentifierWrongType;
    let read = match policy.identifier {
        IdentifierMember::Unread => false,
        IdentifierMember::ReadSinceItsRelease => ctx.server.listed.since(r0(4)),
        _ => true,
    };
    let Some(identifier) = body.get("identifier").filter(|_| read) else {
        return identify_deprecated(ctx, policy, body);
    };
    let text_is_user = policy.identifier == IdentifierMember::TextIsUser;
    if let Some(user) = identifier.as_str().filter(|_| text_is_user) {
        return Ok(named(ctx, policy, user));
    }
    let identifier = identifier.as_object().ok_or(Refusal::IdentifierNotObject)?;
    match required(identifier, "type", Refusal::IdentifierTypeMissing, wrong)? {
        "m.id.user" => {
            if let Some(named) = identifier.get("user").filter(|user| !user.is_string())
                && policy.non_string_names
            {
                return Ok(self::named(ctx, policy, &named.to_string()));
            }
            let user = required(identifier, "user", Refusal::IdentifierUserMissing, wrong)?;
            if OddText::is_odd(user) && ctx.policy().secrets.odd_fails == Some(OddText::UserName) {
                return Err(Refusal::Failure);
            }
            match form(policy, user) {
                NameForm::InvalidInIdentifier => Err(Refusal::InvalidUsername),
                NameForm::UnknownInIdentifier => Ok(Identified::Stranger(Refusal::UnknownUser)),
                NameForm::Found | NameForm::Unknown => Ok(named(ctx, policy, user)),
            }
        }
        "m.id.thirdparty" => {
            let missing = Refusal::IdentifierThirdPartyMissing;
            let part = |name, part| self::part(policy, identifier, name, part)?.ok_or(missing);
            let medium = part("medium", IdentifierPart::Medium)?;
            let address = part("address", IdentifierPart::Address)?;
            Ok(third_party(ctx, policy, medium, address))
        }
        "m.id.phone" if policy.phones != Phones::NotSupported => {
            let missing = Refusal::IdentifierPhoneMissing;
            let part = |name, part| self::part(policy, identifier, name, part)?.ok_or(missing);
            let country = part("country", IdentifierPart::Country)?;
            Ok(phone(ctx, policy, country, part("phone", IdentifierPart::Phone)?))
        }
        "m.id.phone" => Err(Refusal::IdentifierTypeUnknown),
        _ => {
            let user = text(identifier, "user", wrong)?;
            let taken = policy.identifier == IdentifierMember::AnyTypeIsUser;
            let user = user.filter(|_| taken).ok_or(Refusal::IdentifierTypeUnknown)?;
            Ok(named(ctx, policy, user))
        }
    }
}

/// What becomes of a name of this form: a localpart or a full id.
fn form(policy: &IdentificationPolicy, name: &str) -> NameForm {
    if name.starts_with('@') { policy.full_ids } else { policy.localparts }
}

/// Finds the account by the members that came before `identifier`; they are deprecated and were never removed.
fn identify_deprecated(
    ctx: &RequestContext,
    policy: &IdentificationPolicy,
    body: &Members,
) -> Result<Identified, Refusal> {
    let user = part(policy, body, "user", IdentifierPart::DeprecatedUser)?;
    match (user, policy.user_member) {
        (None, _) | (_, UserMember::Unread) => {}
        (Some(user), UserMember::Read) => return Ok(named(ctx, policy, user)),
        (Some(user), UserMember::FullIdsUnknown) if user.starts_with('@') => {
            return Ok(Identified::Stranger(Refusal::UnknownUser));
        }
        (Some(user), UserMember::FullIdsUnknown) => return Ok(named(ctx, policy, user)),
        (Some(user), UserMember::ServerUnread) => {
            return Ok(named(ctx, policy, without_server(user)));
        }
    }
    let unknown = || Identified::Stranger(Refusal::UnknownLegacyThirdParty);
    let medium = part(policy, body, "medium", IdentifierPart::DeprecatedMedium)?;
    let address = part(policy, body, "address", IdentifierPart::DeprecatedAddress)?;
    match (medium, address) {
        _ if policy.deprecated_address == DeprecatedAddress::Unread => {
            Err(Refusal::IdentifierMissing)
        }
        (Some(_), Some(_)) if policy.deprecated_address == DeprecatedAddress::Unknown => {
            Ok(unknown())
        }
        (Some(medium), Some(address)) => Ok(match third_party(ctx, policy, medium, address) {
            Identified::Stranger(_) => unknown(),
            local @ Identified::Local(_) => local,
        }),
        (None, None) => Err(Refusal::IdentifierMissing),
        _ => Err(Refusal::IdentifierThirdPartyMissing),
    }
}

/// A part of an identifier: `None` if absent, refused if it is not a text.
fn part<'a>(
    policy: &IdentificationPolicy,
    members: &'a Members,
    name: &str,
    part: IdentifierPart,
) -> Result<Option<&'a str>, Refusal> {
    let fails = policy.mistyped_fails == Some(part);
    let wrong = if fails { Refusal::Failure } else { Refusal::IdentifierWrongType };
    text(members, name, wrong)
}

/// The localpart of a full id, whatever its server.
fn without_server(id: &str) -> &str {
    id.trim_start_matches('@').split(':').next().unwrap_or_default()
}

/// The account with a user name: a localpart or a full id.
fn named(ctx: &RequestContext, policy: &IdentificationPolicy, name: &str) -> Identified {
    let server = name.strip_prefix('@').map(|id| id.split_once(':').map_or("", |(_, s)| s));
    let taken_for_local = match (server, policy.foreign_ids) {
        (None, _) | (_, ForeignIds::Unknown) => false,
        (Some(_), ForeignIds::TakenForLocal) => true,
        (Some(server), ForeignIds::TakenForLocalByBeginning) => {
            server.starts_with(&ctx.server.settings.server_name)
        }
    };
    let localpart =
        if taken_for_local { Some(without_server(name)) } else { ctx.server.localpart(name) };
    let Some(localpart) = localpart else { return Identified::Stranger(Refusal::ForeignUser) };
    if let Some(localpart) = ctx.store.names.get(name) {
        return Identified::Local(localpart.clone());
    }
    let localpart = if policy.folds_case { localpart.to_lowercase() } else { localpart.to_owned() };
    let known = ctx.store.accounts.contains_key(&localpart);
    if known && form(policy, name) != NameForm::Unknown {
        Identified::Local(localpart)
    } else {
        Identified::Stranger(Refusal::UnknownUser)
    }
}

/// The account to which an address is bound. E-mail addresses are compared after folding their case.
fn third_party(
    ctx: &RequestContext,
    policy: &IdentificationPolicy,
    medium: &str,
    address: &str,
) -> Identified {
    let same = |bound: &str| match (medium, policy.emails) {
        ("email", Emails::FoundInAnyCase) => bound.to_lowercase() == address.to_lowercase(),
        ("email", Emails::Unknown) => false,
        ("msisdn", _) if policy.msisdns_unknown => false,
        _ => bound == address,
    };
    let bound = ctx.server.settings.third_party.iter().chain(&ctx.store.third_party);
    let mut bound = bound;
    let bound = bound.find(|bound| bound.medium == medium && same(&bound.address));
    match bound {
        Some(bound) => named(ctx, policy, &bound.user),
        None => Identified::Stranger(Refusal::UnknownThirdParty),
    }
}

/// The account to which a phone number is bound, from the number as somebody types it in a country.
fn phone(
    ctx: &RequestContext,
    policy: &IdentificationPolicy,
    country: &str,
    number: &str,
) -> Identified {
    let unknown = Identified::Stranger(Refusal::UnknownPhone);
    let code = match country.to_ascii_uppercase().as_str() {
        "GB" => "44",
        "US" | "CA" => "1",
        "FR" => "33",
        "DE" => "49",
        _ => return unknown,
    };
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let address = match digits.strip_prefix('0') {
        _ if number.starts_with('+') => digits,
        Some(national) => format!("{code}{national}"),
        None => format!("{code}{digits}"),
    };
    match third_party(ctx, policy, "msisdn", &address) {
        local @ Identified::Local(_) if policy.phones != Phones::Unknown => local,
        Identified::Local(_) | Identified::Stranger(_) => unknown,
    }
}
