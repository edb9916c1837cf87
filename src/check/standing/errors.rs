//! The standard error object, its codes and `soft_logout`.
use super::{Observations, miss};
use crate::case::matcher::shown;
use crate::http::message::Response;
use crate::requirements::Rule;
use serde_json::Value;

pub(super) fn error(sheet: &mut Observations, response: &Response) {
    let object = response.json().ok().filter(|body| body.is_object());
    sheet.check(Rule::ErrorObject, object.is_some(), "body", "a standard error object", &|| {
        match response.json() {
            Ok(value) => shown(Some(value)),
            Err(why) => format!("not JSON: {why}"),
        }
    });
    let Some(object) = object else { return };
    let errcode = object.get("errcode");
    let fits = errcode.is_some_and(Value::is_string);
    sheet.check(Rule::Errcode, fits, "/errcode", "a string", &|| shown(errcode));
    let text = object.get("error");
    let fits = text.is_some_and(Value::is_string);
    sheet.check(Rule::ErrorText, fits, "/error", "a string", &|| shown(text));
    if let Some(code) = errcode.and_then(Value::as_str) {
        sheet.check(
            Rule::ErrcodeNamespace,
            is_namespaced(code),
            "/errcode",
            "a code of the specification (M_…), or a code with the server's own namespace",
            &|| format!("{code:?}"),
        );
        by_code(sheet, code, object);
    }
}

/// The codes that the specification owns, in any of its APIs and releases: nobody else gives out
/// codes that begin `M_`. `spec/error-codes.tsv` has the clause of each.
pub(super) const KNOWN_CODES: &str = "\
    M_APPSERVICE_LOGIN_UNSUPPORTED M_BAD_ALIAS M_BAD_JSON M_BAD_PAGINATION M_BAD_STATE \
    M_BAD_STATUS M_CANNOT_LEAVE_SERVER_NOTICE_ROOM M_CANNOT_OVERWRITE_MEDIA M_CAPTCHA_INVALID \
    M_CAPTCHA_NEEDED M_CONNECTION_FAILED M_CONNECTION_TIMEOUT M_DESTINATION_REJECTED \
    M_DUPLICATE_ANNOTATION M_EMAIL_SEND_ERROR M_EXCLUSIVE M_FORBIDDEN M_GUEST_ACCESS_FORBIDDEN \
    M_INCOMPATIBLE_ROOM_VERSION M_INVALID_ADDRESS M_INVALID_EMAIL M_INVALID_PARAM \
    M_INVALID_PARAMETER M_INVALID_PEPPER M_INVALID_ROOM_STATE M_INVALID_SIGNATURE \
    M_INVALID_USERNAME M_INVITE_BLOCKED M_KEY_TOO_LARGE M_LIMIT_EXCEEDED M_MISSING_PARAM \
    M_MISSING_PARAMS M_MISSING_TOKEN M_NOT_FOUND M_NOT_JSON M_NOT_YET_UPLOADED \
    M_NO_VALID_SESSION M_PROFILE_TOO_LARGE M_RESOURCE_LIMIT_EXCEEDED M_ROOM_IN_USE M_SEND_ERROR \
    M_SERVER_NOT_TRUSTED M_SESSION_EXPIRED M_SESSION_NOT_VALIDATED M_TERMS_NOT_SIGNED \
    M_THREEPID_AUTH_FAILED M_THREEPID_DENIED M_THREEPID_IN_USE M_THREEPID_MEDIUM_NOT_SUPPORTED \
    M_THREEPID_NOT_FOUND M_TOKEN_INCORRECT M_TOO_LARGE M_UNABLE_TO_AUTHORISE_JOIN \
    M_UNABLE_TO_GRANT_JOIN M_UNAUTHORIZED M_UNKNOWN M_UNKNOWN_DEVICE M_UNKNOWN_TOKEN \
    M_UNRECOGNIZED M_UNSUPPORTED_ROOM_VERSION M_URL_NOT_SET M_USER_DEACTIVATED M_USER_IN_USE \
    M_USER_LIMIT_EXCEEDED M_USER_LOCKED M_USER_SUSPENDED M_WEAK_PASSWORD \
    M_WRONG_ROOM_KEYS_VERSION";

/// `M_FORBIDDEN`, `ORG.MATRIX.MSC1234_CODE` (Client-Server API, "Standard error response").
fn is_namespaced(code: &str) -> bool {
    if code.starts_with("M_") {
        return KNOWN_CODES.split(' ').any(|known| known == code);
    }
    let allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    code.split_once('_').is_some_and(|(namespace, rest)| {
        !namespace.is_empty()
            && !rest.is_empty()
            && namespace.chars().all(|c| allowed(c) || c == '.')
            && rest.chars().all(|c| allowed(c) || c == '_' || c == '.')
    })
}

fn by_code(sheet: &mut Observations, code: &str, object: &Value) {
    match code {
        "M_RESOURCE_LIMIT_EXCEEDED" => {
            let contact = object.get("admin_contact");
            sheet.check(
                Rule::ResourceLimit,
                contact.is_some_and(Value::is_string),
                "/admin_contact",
                "a string",
                &|| shown(contact),
            );
        }
        "M_USER_LIMIT_EXCEEDED" => {
            let uri = object.get("info_uri");
            let fits = uri.is_some_and(Value::is_string);
            sheet.check(Rule::UserLimit, fits, "/info_uri", "a string", &|| shown(uri));
            if let Some(can) = object.get("can_upgrade") {
                sheet.check(
                    Rule::CanUpgrade,
                    can.is_boolean(),
                    "/can_upgrade",
                    "a boolean",
                    &|| shown(Some(can)),
                );
            }
        }
        _ => {}
    }
}

pub(super) fn soft_logout(sheet: &mut Observations, response: &Response) {
    let Some(value) = response.json().ok().and_then(|body| body.get("soft_logout")) else { return };
    if response.status < 400 {
        return;
    }
    let fits = value.is_boolean() && response.status == 401;
    let actual = || format!("{} with status {}", shown(Some(value)), response.status);
    let found = (!fits).then(|| miss("/soft_logout", "a boolean, and only with 401", actual()));
    sheet.note_mildly(Rule::SoftLogout, found, value.is_null());
}
