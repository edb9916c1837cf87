//! Whom a login or a password stage names.

use super::context::{Members, RequestContext, required, text};
use super::refusal::Refusal;
use super::release::r0;
use super::route::Operation;
use super::{fault, quirk};

/// The account that a request names.
pub(super) enum Identified {
    /// The localpart of an account here.
    Local(String),
    /// No account here, and why.
    Stranger(Refusal),
}

/// Finds the account in a login or a password stage: by `identifier`, else by the older `user`, else by the older
/// `medium` and `address`.
pub(super) fn identify(ctx: &RequestContext, body: &Members) -> Result<Identified, Refusal> {
    let wrong = Refusal::IdentifierWrongType;
    let stage = ctx.call.operation != Operation::Login;
    let unread = stage && ctx.has(fault::UIA_NO_IDENTIFIER)
        || ctx.at_login(quirk::STRICT_RELEASES) && !ctx.server.listed.since(r0(4));
    let Some(identifier) = body.get("identifier").filter(|_| !unread) else {
        return identify_deprecated(ctx, body);
    };
    if let Some(user) = identifier.as_str().filter(|_| ctx.at_login(fault::IDENTIFIER_TEXT_AS_USER))
    {
        return Ok(named(ctx, user));
    }
    let identifier = identifier.as_object().ok_or(Refusal::IdentifierNotObject)?;
    match required(identifier, "type", Refusal::IdentifierTypeMissing, wrong)? {
        "m.id.user" => {
            let user = required(identifier, "user", Refusal::IdentifierUserMissing, wrong)?;
            if user.starts_with('@') && ctx.at_login(fault::MXID_400) {
                return Err(Refusal::InvalidUsername);
            }
            if !user.starts_with('@') && ctx.at_login(fault::LOCALPART_400) {
                return Err(Refusal::InvalidUsername);
            }
            let refused = if user.starts_with('@') {
                fault::UIA_FULL_ID_REFUSED
            } else {
                fault::UIA_LOCALPART_REFUSED
            };
            if stage && ctx.has(refused) {
                return Ok(Identified::Stranger(Refusal::UnknownUser));
            }
            Ok(named(ctx, user))
        }
        "m.id.thirdparty" => {
            let missing = Refusal::IdentifierThirdPartyMissing;
            let medium = required(identifier, "medium", missing, wrong)?;
            Ok(third_party(ctx, medium, required(identifier, "address", missing, wrong)?))
        }
        "m.id.phone" if ctx.has(quirk::PHONES_UNKNOWN) => Err(Refusal::IdentifierTypeUnknown),
        "m.id.phone" => {
            let missing = Refusal::IdentifierPhoneMissing;
            let country = required(identifier, "country", missing, wrong)?;
            Ok(phone(ctx, country, required(identifier, "phone", missing, wrong)?))
        }
        _ => match text(identifier, "user", wrong)?
            .filter(|_| ctx.at_login(fault::IDENTIFIER_TYPE_IGNORED))
        {
            Some(user) => Ok(named(ctx, user)),
            None => Err(Refusal::IdentifierTypeUnknown),
        },
    }
}

/// Finds the account by the members that came before `identifier`; they are deprecated and were never removed.
fn identify_deprecated(ctx: &RequestContext, body: &Members) -> Result<Identified, Refusal> {
    let wrong = Refusal::IdentifierWrongType;
    let user = text(body, "user", wrong)?;
    if let Some(user) = user.filter(|_| !ctx.at_login(fault::LEGACY_USER_REFUSED)) {
        if user.starts_with('@') && ctx.at_login(fault::LEGACY_USER_MXID_REFUSED) {
            return Ok(Identified::Stranger(Refusal::UnknownUser));
        }
        let local = user.trim_start_matches('@').split(':').next().unwrap_or_default();
        return Ok(named(ctx, if ctx.at_login(fault::FOREIGN_IN_USER) { local } else { user }));
    }
    match (text(body, "medium", wrong)?, text(body, "address", wrong)?) {
        _ if ctx.at_login(fault::LEGACY_THIRD_PARTY_IGNORED) => Err(Refusal::IdentifierMissing),
        (Some(_), Some(_)) if ctx.at_login(fault::LEGACY_EMAIL_UNKNOWN) => {
            Ok(Identified::Stranger(Refusal::UnknownLegacyThirdParty))
        }
        (Some(medium), Some(address)) => Ok(match third_party(ctx, medium, address) {
            Identified::Stranger(_) => Identified::Stranger(Refusal::UnknownLegacyThirdParty),
            local @ Identified::Local(_) => local,
        }),
        (None, None) => Err(Refusal::IdentifierMissing),
        _ => Err(Refusal::IdentifierThirdPartyMissing),
    }
}

/// The account with a user name: a localpart or a full id.
fn named(ctx: &RequestContext, name: &str) -> Identified {
    let full = name.starts_with('@');
    let refused = if full {
        ctx.at_login(fault::MXID_REFUSED)
    } else {
        ctx.at_login(fault::LOCALPART_REFUSED)
    };
    let begins = || {
        let server = name.split_once(':').map_or("", |(_, server)| server);
        ctx.at_login(fault::FOREIGN_BY_BEGINNING)
            && server.starts_with(&ctx.server.settings.server_name)
    };
    let localpart = if full && (ctx.at_login(fault::FOREIGN_AS_LOCAL) || begins()) {
        name.trim_start_matches('@').split(':').next()
    } else {
        ctx.server.localpart(name)
    };
    let Some(localpart) = localpart else { return Identified::Stranger(Refusal::ForeignUser) };
    let folded =
        if ctx.has(quirk::CASE_FOLDED) { localpart.to_lowercase() } else { localpart.to_owned() };
    if ctx.store.accounts.contains_key(&folded) && !refused {
        Identified::Local(folded)
    } else {
        Identified::Stranger(Refusal::UnknownUser)
    }
}

/// The account to which an address is bound. E-mail addresses are compared after folding their case.
fn third_party(ctx: &RequestContext, medium: &str, address: &str) -> Identified {
    let unread = match medium {
        "email" => ctx.at_login(fault::EMAIL_UNKNOWN),
        "msisdn" => ctx.at_login(fault::MSISDN_UNKNOWN),
        _ => false,
    };
    if unread {
        return Identified::Stranger(Refusal::UnknownThirdParty);
    }
    let same = |bound: &str| match medium {
        "email" if ctx.at_login(fault::EMAIL_EXACT) => bound == address,
        "email" => bound.to_lowercase() == address.to_lowercase(),
        _ => bound == address,
    };
    let bound = ctx
        .server
        .settings
        .third_party
        .iter()
        .chain(&ctx.store.third_party)
        .find(|bound| bound.medium == medium && same(&bound.address));
    bound.map_or(Identified::Stranger(Refusal::UnknownThirdParty), |bound| named(ctx, &bound.user))
}

/// The account to which a phone number is bound, from the number as somebody types it in a country.
fn phone(ctx: &RequestContext, country: &str, number: &str) -> Identified {
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
    match third_party(ctx, "msisdn", &address) {
        Identified::Local(_) if ctx.at_login(fault::PHONE_UNKNOWN) => {
            Identified::Stranger(Refusal::UnknownPhone)
        }
        Identified::Stranger(_) => Identified::Stranger(Refusal::UnknownPhone),
        local @ Identified::Local(_) => local,
    }
}
