//! Faults of groups I to L: `POST /login` by password, by token, for application services.

use super::super::edit::{Change as C, Turn};
use super::super::refusal::Refusal as R;
use super::super::route::Operation as O;
use super::lists::{LOGINS, REFRESHES, SESSIONS, TOKEN_LOGINS};
use super::{Fault, Need, When, behaviours, data, edit};

const OK: &str = "POST /login, 200";
const BODY: &str = "POST /login, request body and 400";
const FORBIDDEN: &str = "POST /login, 403 M_FORBIDDEN";
const IDENTIFIER: &str = "Client-Server API, Identifier types";
const THIRD_PARTY: &str =
    "Client-Server API, Password-based login: unknown third-party identifiers";
const TOKEN: &str = "Client-Server API, Token-based login";
const SERVICE: &str = "Client-Server API, Appservice login";

const ON: &[O] = &[O::Login];
const GOOD: When = When::Success;

/// What a wrong password shows beside its own requirements.
const EXACT: &[&str] =
    &["login.password.exact", "login.password.empty", "state.password_changed.new"];
/// The same for faults of both status and code.
const EXACT_CODE: &[&str] = &[
    "login.password.wrong.errcode",
    "login.password.exact",
    "login.password.empty",
    "state.password_changed.new",
];

/// A refusal of `POST /login` for one reason, changed.
macro_rules! refused {
    ($name:literal, $requirement:literal, $clause:expr, $about:literal, $cause:ident, [$($change:expr),*]) => {
        data($name, $requirement, $clause, $about, &[edit(ON, When::Because(&[R::$cause]), &[$($change),*])])
    };
}

/// A good answer of `POST /login`, changed.
macro_rules! answered {
    ($name:literal, $requirement:literal, $about:literal, [$($change:expr),*]) => {
        data($name, $requirement, OK, $about, &[edit(ON, GOOD, &[$($change),*])])
    };
}

const BOTH_TYPE: &[&str] = &["login.post.type.missing", "error.bad_json"];

#[rustfmt::skip]
pub(super) static DATA: &[Fault] = &[
    // The type.
    refused!("login-type-missing-challenge", "login.post.no_uia", "Client-Server API, Login: no interactive auth",
        "login without a type is answered with an interactive-auth challenge", TypeMissing,
        [C::Status(401), C::Put("", r#"{"flows": [{"stages": ["m.login.password"]}], "session": "s"}"#)]).also(BOTH_TYPE),
    refused!("login-wrong-password-challenge", "login.post.no_uia", "Client-Server API, Login: no interactive auth",
        "a wrong password is answered with an interactive-auth challenge", WrongPassword,
        [C::Status(401), C::Put("/flows", r#"[{"stages": ["m.login.password"]}]"#), C::Put("/session", "\"s\"")])
        .also(&["login.password.wrong.status", "login.password.exact", "login.password.empty", "state.password_changed.new"]),
    refused!("login-type-missing-403", "login.post.type.missing", BODY, "login without a type is refused with 403", TypeMissing,
        [C::Refuse(403, "M_FORBIDDEN")]).also(&["error.bad_json"]),
    refused!("login-type-missing-401", "login.post.type.missing", BODY, "login without a type is refused with 401", TypeMissing,
        [C::Refuse(401, "M_MISSING_TOKEN")]).also(&["error.bad_json"]),
    refused!("login-type-number-403", "login.post.type.not_string", BODY, "a type that is no string is refused with 403", TypeNotString,
        [C::Refuse(403, "M_FORBIDDEN")]).also(&["error.bad_json"]),
    refused!("login-type-unknown-403", "login.post.type.unknown.status", BODY, "an unknown type is refused with 403", TypeUnknown,
        [C::Refuse(403, "M_FORBIDDEN")]),
    refused!("login-type-unknown-404", "login.post.type.unknown.status", BODY, "an unknown type is refused with 404", TypeUnknown,
        [C::Refuse(404, "M_UNRECOGNIZED")]),
    refused!("login-type-unknown-401", "login.post.type.unknown.status", BODY, "an unknown type is refused with 401", TypeUnknown,
        [C::Refuse(401, "M_UNAUTHORIZED")]),
    refused!("login-type-unknown-500", "login.post.type.unknown.status", BODY, "an unknown type makes login fail with 500", TypeUnknown,
        [C::Refuse(500, "M_UNKNOWN")]).also(&["error.malformed.no_5xx"]),
    // The good answer.
    answered!("login-201", "login.post.ok.status", "a good login answers with 201", [C::Status(201)]),
    answered!("login-202", "login.post.ok.status", "a good login answers with 202", [C::Status(202)]),
    answered!("login-without-user-id", "login.post.ok.required", "user_id is absent", [C::Drop("/user_id")])
        .also(&["device.login.per_user", "refresh.login.flag_accepted", "state.password_changed.new", "login.post.ok.user_id.value", "login.post.ok.user_id.form", "login.post.ok.token_user", "login.token.user",
            "whoami.user", "login.token.ok", "get_token.token_works"]),
    answered!("login-without-access-token", "login.post.ok.required", "access_token is absent", [C::Drop("/access_token")])
        .also(ACCESS_TOKEN),
    answered!("login-without-device-id", "login.post.ok.required", "device_id is absent", [C::Drop("/device_id")]).also(DEVICE_ID),
    answered!("login-access-token-number", "login.post.ok.access_token", "access_token is a number", [C::Put("/access_token", "7")])
        .also(ACCESS_TOKEN_TYPE),
    answered!("login-access-token-empty", "login.post.ok.access_token", "access_token is empty", [C::Put("/access_token", "\"\"")])
        .also(ACCESS_TOKEN_TYPE),
    answered!("login-user-id-localpart", "login.post.ok.user_id.form", "user_id is the localpart alone", [C::StripServer("/user_id")])
        .also(USER_ID),
    answered!("login-user-id-without-sigil", "login.post.ok.user_id.form", "user_id has no sigil",
        [C::Put("/user_id", "\"alice:reference.localhost\"")]).also(USER_ID),
    answered!("login-user-id-null", "login.post.ok.required", "user_id is null", [C::Put("/user_id", "null")])
        .also(&["device.login.per_user", "refresh.login.flag_accepted", "state.password_changed.new", "login.post.ok.user_id.value", "login.post.ok.token_user", "login.post.ok.user_id.form", "login.post.ok.no_null",
            "whoami.user", "login.token.user", "login.token.ok", "get_token.token_works"]),
    answered!("login-user-id-capitals", "login.post.ok.user_id.value", "user_id is in capitals", [C::Capitals("/user_id")])
        .also(&["login.post.ok.token_user", "whoami.user", "login.token.user", "login.token.ok", "get_token.token_works",
            "login.post.ok.user_id.form"]),
    answered!("login-user-id-other", "login.post.ok.user_id.value", "user_id names somebody else",
        [C::Put("/user_id", "\"@somebody:reference.localhost\"")])
        .also(&["login.post.ok.token_user", "whoami.user", "login.token.user", "login.token.ok", "get_token.token_works"]),
    answered!("login-device-id-number", "login.post.ok.device_id.type", "device_id is a number", [C::Put("/device_id", "5")])
        .also(DEVICE_ID_TYPE),
    answered!("login-device-id-null", "login.post.ok.device_id.type", "device_id is null", [C::Put("/device_id", "null")])
        .also(DEVICE_ID_NULL),
    answered!("login-home-server-other", "login.post.ok.home_server", "home_server is another server",
        [C::Put("/home_server", "\"other.example.org\"")]),
    answered!("login-home-server-number", "login.post.ok.home_server", "home_server is a number", [C::Put("/home_server", "1")]),
    answered!("login-expires-text", "login.post.ok.expires_in_ms", "expires_in_ms is a text", [C::Put("/expires_in_ms", "\"60000\"")]),
    answered!("login-expires-fraction", "login.post.ok.expires_in_ms", "expires_in_ms is a fraction", [C::Put("/expires_in_ms", "60000.5")]),
    answered!("login-expires-negative", "login.post.ok.expires_in_ms", "expires_in_ms is negative", [C::Put("/expires_in_ms", "-1")]),
    answered!("login-refresh-token-number", "login.post.ok.refresh_token", "refresh_token is a number",
        [C::Replace("/refresh_token", "7")]).also(REFRESHES),
    answered!("login-refresh-token-object", "login.post.ok.refresh_token", "refresh_token is an object",
        [C::Replace("/refresh_token", r#"{"token": "x"}"#)]).also(REFRESHES),
    answered!("login-home-server-null", "login.post.ok.no_null", "home_server is null", [C::Put("/home_server", "null")])
        .also(&["login.post.ok.home_server"]),
    answered!("login-refresh-token-null", "login.post.ok.no_null", "refresh_token is null", [C::Put("/refresh_token", "null")])
        .also(NULL_REFRESH),
    answered!("login-well-known-null", "login.post.ok.no_null", "well_known is null", [C::Put("/well_known", "null")])
        .also(&["login.response.well_known.shape"]),
    answered!("login-expires-null", "login.post.ok.no_null", "expires_in_ms is null", [C::Put("/expires_in_ms", "null")])
        .also(&["login.post.ok.expires_in_ms"]),
    // Shapes of refusals.
    data("login-400-without-errcode", "login.post.400.shape", "POST /login, 400", "a 400 of login has no errcode",
        &[edit(ON, When::Status(400), &[C::Drop("/errcode")])])
        .also(&["error.shape.errcode", "error.not_json", "error.bad_json", "http.request.body_required", "http.request.body_object",
            "login.post.type.missing", "login.post.type.not_string", "login.password.missing", "login.password.not_string",
            "login.identifier.type.required", "login.identifier.not_object", "login.identifier.absent", "login.identifier.user.missing",
            "login.identifier.thirdparty.missing", "login.identifier.phone.missing", "login.identifier.type.unknown",
            "login.token.missing", "login.token.not_string", "login.post.type.unknown.errcode", "device.login.id_not_string",
            "refresh.login.flag_type"]),
    data("login-400-errcode-list", "login.post.400.shape", "POST /login, 400", "the errcode of an unknown type is a list",
        &[edit(ON, When::Because(&[R::TypeUnknown]), &[C::Put("/errcode", "[\"M_UNKNOWN\"]")])])
        .also(&["error.shape.errcode", "login.post.type.unknown.errcode"]),
    data("login-403-without-errcode", "login.post.403.shape", "POST /login, 403", "a 403 of login has no errcode",
        &[edit(ON, When::Status(403), &[C::Drop("/errcode")])])
        .also(&["error.shape.errcode", "login.password.wrong.errcode", "login.password.unknown_user", "login.password.exact",
            "login.token.invalid.errcode", "login.token.single_use", "login.token.not_access_token", "device.login.cross_signing",
            "state.deactivated.errcode", "login.identifier.thirdparty.unknown", "login.legacy.thirdparty.unknown",
            "login.identifier.phone.unknown", "login.token.expired", "login.as.user_token"]),
    data("login-403-text-number", "login.post.403.shape", "POST /login, 403", "the text of a 403 of login is a number",
        &[edit(ON, When::Status(403), &[C::Put("/error", "403")])]).also(&["error.shape.error"]),
    refused!("login-403-as-text", "login.post.403.shape", FORBIDDEN, "a wrong password is refused in plain text", WrongPassword,
        [C::Bytes("text/plain", b"Forbidden")])
        .also(&["http.response.json_object", "error.shape.object", "error.shape.errcode", "error.shape.error",
            "login.password.wrong.errcode", "login.password.exact", "login.password.empty"]),
    data("login-202-sometimes", "login.post.ok.status", "POST /login, 200", "every other good login is answered with 202",
        &[super::Edit { turn: Turn::Every(2), ..edit(ON, When::Success, &[C::Status(202)]) }]),
    // The password.
    refused!("login-password-missing-403", "login.password.missing", BODY, "login without a password is refused with 403", PasswordMissing,
        [C::Refuse(403, "M_FORBIDDEN")]).also(&["error.bad_json"]),
    refused!("login-password-missing-500", "login.password.missing", BODY, "login without a password fails with 500", PasswordMissing,
        [C::Refuse(500, "M_UNKNOWN")]).also(&["error.bad_json", "error.malformed.no_5xx"]),
    refused!("login-password-number-403", "login.password.not_string", BODY, "a password that is no string is refused with 403",
        PasswordNotString, [C::Refuse(403, "M_FORBIDDEN")]).also(&["error.bad_json"]),
    refused!("login-wrong-password-401", "login.password.wrong.status", FORBIDDEN, "a wrong password is refused with 401", WrongPassword,
        [C::Status(401)]).also(EXACT),
    refused!("login-wrong-password-400", "login.password.wrong.status", FORBIDDEN, "a wrong password is refused with 400", WrongPassword,
        [C::Status(400)]).also(EXACT),
    refused!("login-wrong-password-404", "login.password.wrong.status", FORBIDDEN, "a wrong password is refused with 404 M_NOT_FOUND",
        WrongPassword, [C::Refuse(404, "M_NOT_FOUND")]).also(EXACT_CODE),
    refused!("login-wrong-password-200", "login.password.wrong.status", FORBIDDEN, "a wrong password is refused with 200", WrongPassword,
        [C::Status(200)]).also(&["login.password.exact", "login.password.empty", "state.password_changed.new", "login.post.ok.required"]),
    data("login-wrong-password-401-sometimes", "login.password.wrong.status", FORBIDDEN, "every other wrong password is refused with 401",
        &[super::Edit { turn: Turn::Every(2), ..edit(ON, When::Because(&[R::WrongPassword]), &[C::Status(401)]) }]).also(EXACT),
    refused!("login-wrong-password-code-unauthorized", "login.password.wrong.errcode", FORBIDDEN, "a wrong password is refused with M_UNAUTHORIZED",
        WrongPassword, [C::Code("M_UNAUTHORIZED")]),
    refused!("login-wrong-password-code-unknown", "login.password.wrong.errcode", FORBIDDEN, "a wrong password is refused with M_UNKNOWN",
        WrongPassword, [C::Code("M_UNKNOWN")]),
    refused!("login-wrong-password-code-unknown-token", "login.password.wrong.errcode", FORBIDDEN,
        "a wrong password is refused with M_UNKNOWN_TOKEN", WrongPassword, [C::Code("M_UNKNOWN_TOKEN")]),
    data("login-password-type-unusable", "login.get.flow.usable", "GET /login: the types that are listed can be used",
        "wrong credentials are refused with 400 as if the password type were unknown",
        &[edit(ON, When::Because(&[R::WrongPassword, R::UnknownUser]), &[C::Refuse(400, "M_UNKNOWN")])])
        .also(&["login.password.wrong.status", "login.password.wrong.errcode", "login.password.unknown_user", "login.password.exact",
            "login.password.empty", "state.password_changed.new"]),
    refused!("login-unknown-user-404", "login.password.unknown_user", FORBIDDEN, "an unknown user is refused with 404", UnknownUser,
        [C::Refuse(404, "M_NOT_FOUND")]),
    refused!("login-unknown-user-401", "login.password.unknown_user", FORBIDDEN, "an unknown user is refused with 401", UnknownUser,
        [C::Status(401)]),
    refused!("login-unknown-user-code-not-found", "login.password.unknown_user", FORBIDDEN, "an unknown user is refused with M_NOT_FOUND",
        UnknownUser, [C::Code("M_NOT_FOUND")]),
    refused!("login-unknown-user-500", "login.password.unknown_user", FORBIDDEN, "an unknown user makes login fail with 500", UnknownUser,
        [C::Refuse(500, "M_UNKNOWN")]).also(&["error.malformed.no_5xx"]),
    // Identifiers.
    refused!("login-identifier-typeless-403", "login.identifier.type.required", IDENTIFIER, "an identifier without a type is refused with 403",
        IdentifierTypeMissing, [C::Refuse(403, "M_FORBIDDEN")]).also(&["error.bad_json"]),
    refused!("login-identifier-typeless-500", "login.identifier.type.required", IDENTIFIER, "an identifier without a type makes login fail with 500",
        IdentifierTypeMissing, [C::Refuse(500, "M_UNKNOWN")]).also(&["error.bad_json", "error.malformed.no_5xx"]),
    refused!("login-identifier-text-403", "login.identifier.not_object", BODY, "an identifier that is no object is refused with 403",
        IdentifierNotObject, [C::Refuse(403, "M_FORBIDDEN")]).also(&["error.bad_json"]),
    refused!("login-identifier-unknown-500", "login.identifier.type.unknown", IDENTIFIER, "an unknown type of identifier makes login fail with 500",
        IdentifierTypeUnknown, [C::Refuse(500, "M_UNKNOWN")]).also(&["error.malformed.no_5xx"]),
    refused!("login-identifier-unknown-404", "login.identifier.type.unknown", IDENTIFIER, "an unknown type of identifier is refused with 404",
        IdentifierTypeUnknown, [C::Refuse(404, "M_NOT_FOUND")]),
    refused!("login-identifier-absent-403", "login.identifier.absent", BODY, "a login that names nobody is refused with 403", IdentifierMissing,
        [C::Refuse(403, "M_FORBIDDEN")]).also(&["error.bad_json"]),
    refused!("login-identifier-absent-500", "login.identifier.absent", BODY, "a login that names nobody fails with 500", IdentifierMissing,
        [C::Refuse(500, "M_UNKNOWN")]).also(&["error.bad_json", "error.malformed.no_5xx"]),
    refused!("login-identifier-userless-403", "login.identifier.user.missing", IDENTIFIER, "m.id.user without user is refused with 403",
        IdentifierUserMissing, [C::Refuse(403, "M_FORBIDDEN")]).also(&["error.bad_json"]),
    refused!("login-identifier-userless-500", "login.identifier.user.missing", IDENTIFIER, "m.id.user without user makes login fail with 500",
        IdentifierUserMissing, [C::Refuse(500, "M_UNKNOWN")]).also(&["error.bad_json", "error.malformed.no_5xx"]),
    refused!("login-third-party-unknown-400", "login.identifier.thirdparty.unknown", THIRD_PARTY,
        "an unknown third-party identifier is refused with 400", UnknownThirdParty, [C::Refuse(400, "M_UNKNOWN")]),
    refused!("login-third-party-unknown-404", "login.identifier.thirdparty.unknown", THIRD_PARTY,
        "an unknown third-party identifier is refused with 404", UnknownThirdParty, [C::Refuse(404, "M_THREEPID_NOT_FOUND")]),
    refused!("login-third-party-unknown-401", "login.identifier.thirdparty.unknown", THIRD_PARTY,
        "an unknown third-party identifier is refused with 401", UnknownThirdParty, [C::Status(401)]),
    refused!("login-third-party-incomplete-500", "login.identifier.thirdparty.missing", IDENTIFIER,
        "a third-party identifier without its address makes login fail with 500", IdentifierThirdPartyMissing,
        [C::Refuse(500, "M_UNKNOWN")]).also(&["error.malformed.no_5xx", "error.bad_json"]),
    refused!("login-third-party-incomplete-404", "login.identifier.thirdparty.missing", IDENTIFIER,
        "a third-party identifier without its address is refused with 404", IdentifierThirdPartyMissing,
        [C::Refuse(404, "M_NOT_FOUND")]).also(&["error.bad_json"]),
    refused!("login-phone-unknown-404", "login.identifier.phone.unknown", THIRD_PARTY, "an unknown phone number is refused with 404",
        UnknownPhone, [C::Refuse(404, "M_NOT_FOUND")]),
    refused!("login-phone-unknown-401", "login.identifier.phone.unknown", THIRD_PARTY, "an unknown phone number is refused with 401",
        UnknownPhone, [C::Status(401)]),
    refused!("login-phone-incomplete-500", "login.identifier.phone.missing", IDENTIFIER, "m.id.phone without its number makes login fail with 500",
        IdentifierPhoneMissing, [C::Refuse(500, "M_UNKNOWN")]).also(&["error.malformed.no_5xx", "error.bad_json"]),
    refused!("login-phone-incomplete-404", "login.identifier.phone.missing", IDENTIFIER, "m.id.phone without its number is refused with 404",
        IdentifierPhoneMissing, [C::Refuse(404, "M_NOT_FOUND")]).also(&["error.bad_json"]),
    refused!("login-legacy-third-party-unknown-400", "login.legacy.thirdparty.unknown", THIRD_PARTY,
        "an unknown pair of medium and address is refused with 400", UnknownLegacyThirdParty, [C::Refuse(400, "M_UNKNOWN")]),
    refused!("login-legacy-third-party-unknown-404", "login.legacy.thirdparty.unknown", THIRD_PARTY,
        "an unknown pair of medium and address is refused with 404", UnknownLegacyThirdParty, [C::Refuse(404, "M_THREEPID_NOT_FOUND")]),
    // Login by token.
    refused!("login-token-missing-403", "login.token.missing", TOKEN, "token login without a token is refused with 403", LoginTokenMissing,
        [C::Refuse(403, "M_FORBIDDEN")]),
    refused!("login-token-missing-500", "login.token.missing", TOKEN, "token login without a token fails with 500", LoginTokenMissing,
        [C::Refuse(500, "M_UNKNOWN")]).also(&["error.malformed.no_5xx"]),
    refused!("login-token-number-403", "login.token.not_string", TOKEN, "a login token that is no string is refused with 403",
        LoginTokenNotString, [C::Refuse(403, "M_FORBIDDEN")]),
    refused!("login-token-number-500", "login.token.not_string", TOKEN, "a login token that is no string makes login fail with 500",
        LoginTokenNotString, [C::Refuse(500, "M_UNKNOWN")]).also(&["error.malformed.no_5xx"]),
    refused!("login-token-invalid-401", "login.token.invalid.status", TOKEN, "an invalid login token is refused with 401", LoginTokenInvalid,
        [C::Status(401)]).also(&["login.token.not_access_token"]),
    refused!("login-token-invalid-400", "login.token.invalid.status", TOKEN, "an invalid login token is refused with 400", LoginTokenInvalid,
        [C::Status(400)]).also(&["login.token.not_access_token", "login.get.flow.usable"]),
    refused!("login-token-invalid-404", "login.token.invalid.status", TOKEN, "an invalid login token is refused with 404 M_NOT_FOUND",
        LoginTokenInvalid, [C::Refuse(404, "M_NOT_FOUND")]).also(&["login.token.not_access_token", "login.token.invalid.errcode"]),
    refused!("login-token-invalid-code-unknown-token", "login.token.invalid.errcode", TOKEN, "an invalid login token is refused with M_UNKNOWN_TOKEN",
        LoginTokenInvalid, [C::Code("M_UNKNOWN_TOKEN")]).also(&["login.token.not_access_token"]),
    refused!("login-token-invalid-code-unknown", "login.token.invalid.errcode", TOKEN, "an invalid login token is refused with M_UNKNOWN",
        LoginTokenInvalid, [C::Code("M_UNKNOWN")]).also(&["login.token.not_access_token"]),
    refused!("login-token-spent-401", "login.token.single_use", TOKEN, "a used login token is refused with 401", LoginTokenSpent,
        [C::Refuse(401, "M_UNKNOWN_TOKEN")]),
    refused!("login-token-spent-400", "login.token.single_use", TOKEN, "a used login token is refused with 400", LoginTokenSpent,
        [C::Refuse(400, "M_UNKNOWN")]),
    refused!("login-token-expired-401", "login.token.expired", TOKEN, "an expired login token is refused with 401", LoginTokenExpired,
        [C::Refuse(401, "M_UNKNOWN_TOKEN")]).needs(Need::ShortLives),
    // Application services.
    refused!("login-service-without-token-404", "login.as.no_token", SERVICE, "a service's login without a token is refused with 404",
        ServiceTokenMissing, [C::Refuse(404, "M_NOT_FOUND")]),
    refused!("login-service-without-token-500", "login.as.no_token", SERVICE, "a service's login without a token fails with 500",
        ServiceTokenMissing, [C::Refuse(500, "M_UNKNOWN")]).also(&["error.malformed.no_5xx"]),
    refused!("login-service-without-token-code", "login.as.no_token", SERVICE, "a service's login without a token says M_UNKNOWN",
        ServiceTokenMissing, [C::Code("M_UNKNOWN")]),
    refused!("login-service-unknown-token-code", "login.as.bad_token", SERVICE, "a service's login with an unknown token says M_UNKNOWN",
        ServiceTokenUnknown, [C::Code("M_UNKNOWN")]),
    refused!("login-service-unknown-token-400", "login.as.bad_token", SERVICE, "a service's login with an unknown token is refused with 400",
        ServiceTokenUnknown, [C::Status(400)]),
    refused!("login-service-user-token-404", "login.as.user_token", SERVICE, "a service's login with a user's token is refused with 404",
        ServiceTokenOfUser, [C::Refuse(404, "M_NOT_FOUND")]),
    refused!("login-service-unknown-token-404", "login.as.bad_token", SERVICE, "a service's login with an unknown token is refused with 404",
        ServiceTokenUnknown, [C::Refuse(404, "M_NOT_FOUND")]),
];

/// What a missing access token breaks.
const ACCESS_TOKEN: &[&str] = &[
    "login.post.ok.access_token",
    "login.post.ok.token_usable",
    "login.post.ok.token_user",
    "device.login.bound",
    "device.login.created",
    "device.login.reuse.new_token",
    "login.token.ok",
    "login.token.user",
    "get_token.token_works",
    "logout_all.login_again",
    "device.login.per_user",
    "device.login.display_name",
    "login.token.device_params",
];
/// The same for one that is there and no token.
const ACCESS_TOKEN_TYPE: &[&str] = &[
    "login.post.ok.required",
    "login.post.ok.token_usable",
    "login.post.ok.token_user",
    "device.login.bound",
    "device.login.created",
    "device.login.reuse.new_token",
    "login.token.ok",
    "login.token.user",
    "get_token.token_works",
    "logout_all.login_again",
    "device.login.per_user",
    "device.login.display_name",
    "login.token.device_params",
];
/// What a malformed user id breaks.
const USER_ID: &[&str] = &[
    "login.post.ok.user_id.value",
    "login.post.ok.token_user",
    "whoami.user",
    "login.token.user",
    "login.token.ok",
    "get_token.token_works",
];
/// What a missing device id breaks.
const DEVICE_ID: &[&str] = &[
    "login.post.ok.device_id.type",
    "device.login.generated",
    "device.login.generated.unique",
    "device.login.echo",
    "device.login.bound",
    "whoami.device_id",
    "login.token.device_params",
    "device.login.per_user",
    "device.login.reuse.single",
    "device.login.created",
    "device.list.current",
    "device.get.ok",
];
/// The same for one that is there and no string.
const DEVICE_ID_TYPE: &[&str] = &[
    "login.post.failure.no_session",
    "device.delete.uia",
    "device.delete.token_dead",
    "device.delete.bulk",
    "refresh.same_device",
    "uia.wrong_password.status",
    "uia.no_auth_no_success",
    "uia.other_user",
    "state.password_changed.logout_devices",
    "token.record_device",
    "login.post.ok.required",
    "device.login.generated",
    "device.login.generated.unique",
    "device.login.echo",
    "device.login.bound",
    "whoami.device_id",
    "login.token.device_params",
    "device.login.per_user",
    "device.login.reuse.single",
    "device.login.created",
    "device.list.current",
    "device.get.ok",
];
/// The same for null.
const DEVICE_ID_NULL: &[&str] = &[
    "login.post.failure.no_session",
    "device.delete.uia",
    "device.delete.token_dead",
    "device.delete.bulk",
    "refresh.same_device",
    "uia.wrong_password.status",
    "uia.no_auth_no_success",
    "uia.other_user",
    "state.password_changed.logout_devices",
    "token.record_device",
    "login.post.ok.no_null",
    "login.post.ok.required",
    "device.login.generated",
    "device.login.generated.unique",
    "device.login.echo",
    "device.login.bound",
    "whoami.device_id",
    "login.token.device_params",
    "device.login.per_user",
    "device.login.reuse.single",
    "device.login.created",
    "device.list.current",
    "device.get.ok",
];
/// What a refresh token that is null breaks.
const NULL_REFRESH: &[&str] = &[
    "login.post.ok.refresh_token",
    "refresh.login.not_offered",
    "refresh.ok.required",
    "refresh.no_access_token",
    "refresh.early",
    "refresh.token_usable",
    "refresh.same_device",
    "refresh.grace",
    "refresh.revoked_by_access",
    "refresh.revoked_by_refresh",
    "refresh.reused.status",
    "refresh.reused.errcode",
];

/// What breaks when the access token of a login is not of the user who logged in.
const TOKEN_OWNER: &[&str] = &[
    "whoami.user",
    "device.login.generated.unique",
    "login.token.user",
    "device.login.created",
    "device.list.current",
    "device.get.ok",
    "get_token.token_works",
    "device.login.display_name",
    "device.login.per_user",
    "get_token.ok.required",
    "uia.complete",
    "logout.device_gone",
    "logout.others_survive",
    "logout_all.other_users",
    "device.get.isolation",
    "device.put.rename",
    "device.login.display_name.ignored",
    "device.login.reuse.single",
    "uia.password.identifier",
    "logout_all.devices_gone",
    "login.token.device_params",
    "http.request.utf8_nonascii",
    "http.request.json_escapes",
    "login.token.ok",
    "refresh.same_device",
    "logout_all.tokens_dead",
    "uia.other_user",
    "device.delete.token_dead",
    "device.delete.bulk",
    "device.login.reuse.new_token",
    "device.login.others_survive",
    "token.header",
];

behaviours! {
    LOGIN_NEEDS_TOKEN "login-needs-access-token" breaks "login.post.public", also LOGINS,
        "POST /login: no authentication", "a right login without an access token is refused with 401 M_MISSING_TOKEN";
    TOKEN_LOGIN_NEEDS_TOKEN "login-by-token-needs-access-token" breaks "login.post.public", also TOKEN_LOGINS,
        "POST /login: no authentication", "a token login without an access token is refused with 401 M_MISSING_TOKEN";
    TYPE_DEFAULTS "login-type-missing-as-password" breaks "login.post.type.missing", also &["error.bad_json"],
        "POST /login: type is required", "login without a type is taken for a password login";
    TYPE_UNKNOWN_AS_PASSWORD "login-type-unknown-as-password" breaks "login.post.type.unknown.status", also &[],
        "POST /login, 400: the type is not recognised", "an unknown type is taken for a password login";
    TYPE_NUMBER_AS_PASSWORD "login-type-number-as-password" breaks "login.post.type.not_string", also &["error.bad_json"],
        "POST /login: type is a string", "a type that is no string is taken for a password login";
    TOKEN_DEAD "login-token-dead" breaks "login.post.ok.token_usable", also SESSIONS,
        "POST /login, 200: access_token authorises other requests", "access tokens from a login are not known afterwards";
    TOKEN_DEAD_SOMETIMES "login-token-dead-sometimes" breaks "login.post.ok.token_usable", also SESSIONS,
        "POST /login, 200: access_token authorises other requests", "the access token of every third login is not known afterwards";
    TOKEN_OF_ANOTHER "login-token-of-another" breaks "login.post.ok.token_user",
        also TOKEN_OWNER,
        "POST /login, 200: access_token of the account", "the access token belongs to another account of the server";
    TOKEN_OF_FIRST "login-token-of-first-user" breaks "login.post.ok.token_user", also TOKEN_OWNER,
        "POST /login, 200: access_token is of the user who logged in", "whoever logs in is given an access token of the first user";
    FAILURE_MAKES_DEVICE "failed-login-makes-device" breaks "login.post.failure.no_session", also &[],
        "POST /login, 403", "a login with a wrong password makes the device that it names";
    FAILURE_ENDS_SESSIONS "failed-login-ends-sessions" breaks "login.post.failure.no_session",
        also &["device.login.others_survive"],
        "POST /login, 403", "a login with a wrong password ends the sessions of the account";
    FAILURE_ENDS_DEVICE "failed-login-ends-device" breaks "login.post.failure.no_session", also &[],
        "POST /login, 403", "a login with a wrong password ends the session of the device that it names";
    LOCALPART_REFUSED "login-localpart-refused" breaks "login.password.localpart", also LOGINS,
        "Identifier types: m.id.user takes the full id or the localpart", "a localpart is refused as an unknown user";
    LOCALPART_400 "login-localpart-invalid" breaks "login.password.localpart", also LOGINS,
        "Identifier types: m.id.user takes the full id or the localpart", "a localpart is refused with 400 as an invalid name";
    MXID_REFUSED "login-mxid-refused" breaks "login.password.mxid", also &["login.legacy.user"],
        "Identifier types: m.id.user takes the full id or the localpart", "a full id is refused as an unknown user";
    MXID_400 "login-mxid-invalid" breaks "login.password.mxid", also &["login.legacy.user"],
        "Identifier types: m.id.user takes the full id or the localpart", "a full id is refused with 400 as an invalid name";
    PASSWORD_NULL_LOGS_IN "login-password-null-logs-in" breaks "login.password.not_string", also &["error.bad_json"],
        "POST /login: password is a string", "a password that is null logs in";
    PASSWORD_MISSING_LOGS_IN "login-password-missing-logs-in" breaks "login.password.missing", also &["error.bad_json"],
        "POST /login: password is required for m.login.password", "a login without a password logs in";
    ANY_PASSWORD "login-any-password" breaks "login.password.wrong.status",
        also &["login.password.wrong.errcode", "login.password.exact", "login.password.empty", "login.post.failure.no_session",
            "state.password_changed.new"],
        "POST /login, 403: the credentials are not right", "every password logs in";
    UNKNOWN_USER_MADE "login-unknown-user-made" breaks "login.password.unknown_user", also &[],
        "POST /login, 403: the credentials are not right", "a login of an unknown user makes the account";
    FOREIGN_AS_LOCAL "login-foreign-id-as-local" breaks "login.password.foreign_server", also &[],
        "Identifier types: m.id.user takes the full id", "the server name in a user id is not looked at";
    FOREIGN_BY_BEGINNING "login-foreign-id-by-beginning" breaks "login.password.foreign_server", also &[],
        "Identifier types: m.id.user takes the full id", "of the server name in a user id only the beginning is compared";
    FOREIGN_IN_USER "login-foreign-id-in-user-as-local" breaks "login.password.foreign_server", also &[],
        "POST /login: user is the full id or the localpart", "the server name of a user id in the older member user is not looked at";
    PASSWORD_TRIMMED "login-password-trimmed" breaks "login.password.exact", also &[],
        "POST /login, 403: the credentials are not right", "blanks around a password are not looked at";
    PASSWORD_FOLDED "login-password-case-folded" breaks "login.password.exact", also &[],
        "POST /login, 403: the credentials are not right", "capitals in a password are not told from small letters";
    PASSWORD_TRUNCATED "login-password-truncated" breaks "login.password.exact", also &[],
        "POST /login, 403: the credentials are not right", "of a password only the first eight characters are looked at";
    PASSWORD_PREFIX "login-password-prefix" breaks "login.password.exact", also &["login.password.empty"],
        "POST /login, 403: the credentials are not right", "the beginning of the right password logs in";
    PASSWORD_EMPTY "login-password-empty" breaks "login.password.empty", also &["login.password.exact"],
        "POST /login, 403: the credentials are not right", "an empty password logs in";
    IDENTIFIER_TEXT_AS_USER "login-identifier-text-as-user" breaks "login.identifier.not_object", also &["error.bad_json"],
        "POST /login: identifier is an object", "an identifier that is a text is taken for a user name";
    IDENTIFIER_TYPE_IGNORED "login-identifier-type-ignored" breaks "login.identifier.type.unknown", also &[],
        "Identifier types", "an identifier of an unknown type is taken for m.id.user";
    LEGACY_USER_REFUSED "login-legacy-user-refused" breaks "login.legacy.user", also &[],
        "POST /login: user, deprecated and not removed", "the older member user is not looked at";
    LEGACY_USER_MXID_REFUSED "login-legacy-user-mxid-refused" breaks "login.legacy.user", also &[],
        "POST /login: user is the full id or the localpart", "a full id in the older member user is refused as unknown";
    LEGACY_THIRD_PARTY_IGNORED "login-legacy-third-party-ignored" breaks "login.legacy.thirdparty.unknown",
        also &["login.legacy.thirdparty.ok"],
        "POST /login: medium and address, deprecated and not removed", "the older members medium and address are not looked at";
    LOGIN_TOKEN_TYPE_REFUSED "login-token-type-refused" breaks "login.get.flow.usable",
        also &["login.token.ok", "login.token.user", "login.token.single_use", "login.token.device_params", "get_token.token_works",
            "login.token.invalid.status", "login.token.invalid.errcode", "login.token.not_access_token"],
        "GET /login: the types that are listed can be used", "token login is listed and refused as an unknown type";
    LOGIN_TOKEN_REFUSED "login-token-refused" breaks "login.token.ok", also TOKEN_LOGINS,
        "Client-Server API, Token-based login", "valid login tokens are refused";
    LOGIN_TOKEN_NEEDS_USER "login-token-needs-user" breaks "login.token.ok", also TOKEN_LOGINS,
        "Client-Server API, Token-based login", "token login without an identifier is refused with 400";
    LOGIN_TOKEN_WRONG_USER "login-token-wrong-user" breaks "login.token.user",
        also &["get_token.token_works", "login.token.device_params"],
        "Client-Server API, Token-based login", "token login opens a session of another account";
    LOGIN_TOKEN_SESSION_OF_ANOTHER "login-token-session-of-another" breaks "login.token.user", also TOKEN_LOGINS,
        "Client-Server API, Token-based login", "token login names the right user and gives an access token of another account";
    LOGIN_TOKEN_OF_LATEST "login-token-of-latest-user" breaks "login.token.user", also &[],
        "POST /v1/login/get_token: a login token for the caller", "all login tokens that are out are of the user who asked for one last";
    LOGIN_TOKEN_ANY "login-token-any" breaks "login.token.invalid.status",
        also &["login.token.invalid.errcode", "login.token.not_access_token"],
        "Client-Server API, Token-based login", "every login token logs in as the first account";
    LOGIN_TOKEN_TWICE "login-token-twice" breaks "login.token.single_use", also &[],
        "POST /v1/login/get_token: the token is good for one login", "login tokens can be used again";
    LOGIN_TOKEN_RACES "login-token-races" breaks "login.token.single_use", also &[],
        "POST /v1/login/get_token: the token is good for one login", "of several logins at once with one token, all succeed";
    LOGIN_TOKEN_ETERNAL "login-token-never-expires" breaks "login.token.expired", also &[], needs ShortLives,
        "POST /v1/login/get_token, 200: expires_in_ms", "login tokens never expire";
    LOGIN_TOKEN_AS_ACCESS "login-token-as-access-token" breaks "login.token.not_access_token", also &[],
        "Client-Server API, Token-based login", "a login token is taken as an access token";
    ACCESS_AS_LOGIN_TOKEN "access-token-as-login-token" breaks "login.token.not_access_token", also &[],
        "Client-Server API, Token-based login", "an access token is taken as a login token";
    LOGIN_TOKEN_NO_DEVICE "login-token-ignores-device-id" breaks "login.token.device_params", also &["device.login.echo"],
        "POST /login: device_id", "token login does not look at device_id";
    LOGIN_TOKEN_NO_NAME "login-token-ignores-device-name" breaks "login.token.device_params", also &["device.login.display_name"],
        "POST /login: initial_device_display_name", "token login does not look at initial_device_display_name";
    SERVICE_USER_TOKEN "login-service-user-token-logs-in" breaks "login.as.user_token", also &[],
        "Client-Server API, Appservice login", "a user's access token passes for that of a service";
}
