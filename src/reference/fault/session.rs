//! Faults of groups N to Q: access tokens, whoami, logging out, refreshing.

use super::super::edit::Change as C;
use super::super::refusal::Refusal as R;
use super::super::route::Operation as O;
use super::lists::{
    REFRESH_AT_ALL, SESSIONS, WHOAMI, WHOAMI_DEVICE, WHOAMI_DEVICE_SHAPE, WHOAMI_USER,
};
use super::{Fault, Need, When, behaviours, data, edit};

const TOKENS: &str = "Client-Server API, Using access tokens";
const SOFT: &str = "Client-Server API, Soft logout";
const WHO: &str = "GET /account/whoami, 200";
const LOGOUT: &str = "POST /logout";
const LOGOUT_ALL: &str = "POST /logout/all";
const REFRESH: &str = "POST /refresh";

const OK: When = When::Success;
const MISSING: When = When::Because(&[R::MissingToken]);
const UNKNOWN: When = When::Because(&[R::UnknownToken]);
const DEAD: When = When::Because(&[R::LoggedOutToken]);
const SPENT: When = When::Because(&[R::RefreshTokenSpent]);

/// Where a missing token is seen, beside the general requirement.
const MISSING_ALSO: &[&str] = &[
    "whoami.missing_token",
    "logout.auth_required",
    "logout_all.auth_required",
    "get_token.auth_required",
];
/// Where an unknown token is seen, beside the general requirement.
const UNKNOWN_ALSO: &[&str] = &[
    "whoami.unknown_token",
    "logout.auth_required",
    "logout_all.auth_required",
    "get_token.auth_required",
    "login.token.not_access_token",
    "refresh.access_token_rejected",
];
/// Where a token that was logged out is seen, beside the general requirement.
const DEAD_ALSO: &[&str] = &[
    "logout.token_dead",
    "logout.twice",
    "logout_all.tokens_dead",
    "device.delete.token_dead",
    "device.delete.bulk",
    "state.deactivated.tokens",
    "state.password_changed.logout_devices",
];
/// Where a refresh token that is used up or ended is refused, beside the general requirement.
const SPENT_ALSO: &[&str] = &[
    "refresh.revoked_by_access",
    "refresh.revoked_by_refresh",
    "logout.refresh_token_dead",
    "logout_all.refresh_tokens_dead",
];

/// Seen through the second refresh of a session.
const LATER_REFRESH: &[&str] = &["refresh.revoked_by_refresh", "refresh.grace"];

/// The same where the code is another one too.
const SPENT_BOTH: &[&str] = &[
    "refresh.reused.errcode",
    "refresh.revoked_by_access",
    "refresh.revoked_by_refresh",
    "logout.refresh_token_dead",
    "logout_all.refresh_tokens_dead",
];

#[rustfmt::skip]
pub(super) static DATA: &[Fault] = &[
    // Access tokens.
    data("token-missing-403", "token.missing.status", TOKENS, "a request without an access token is refused with 403",
        &[edit(&[], MISSING, &[C::Status(403)])]).also(MISSING_ALSO),
    data("token-missing-400", "token.missing.status", TOKENS, "a request without an access token is refused with 400",
        &[edit(&[], MISSING, &[C::Status(400)])]).also(MISSING_ALSO),
    data("token-missing-200-on-devices", "token.missing.status", TOKENS, "the devices are asked for without an access token: 200 and an empty list",
        &[edit(&[O::Devices], MISSING, &[C::Status(200), C::Put("", r#"{"devices": []}"#)])]).also(&["token.missing.errcode"]),
    data("token-missing-403-on-deletions", "token.missing.status", TOKENS, "deleting a device without an access token is refused with 403",
        &[edit(&[O::DeleteDevice, O::DeleteDevices], MISSING, &[C::Status(403)])]),
    data("token-missing-403-on-capabilities", "token.missing.status", TOKENS, "the capabilities are refused with 403 without an access token",
        &[edit(&[O::Capabilities], MISSING, &[C::Status(403)])]),
    data("token-unknown-code-on-a-device", "token.unknown.errcode", TOKENS, "a device asked for with an unknown access token is refused with M_FORBIDDEN",
        &[edit(&[O::Device], UNKNOWN, &[C::Code("M_FORBIDDEN")])]),
    data("token-missing-code-unknown-token", "token.missing.errcode", TOKENS, "a request without an access token is refused with M_UNKNOWN_TOKEN",
        &[edit(&[], MISSING, &[C::Code("M_UNKNOWN_TOKEN")])]).also(MISSING_ALSO),
    data("token-missing-code-unauthorized", "token.missing.errcode", TOKENS, "a request without an access token is refused with M_UNAUTHORIZED",
        &[edit(&[], MISSING, &[C::Code("M_UNAUTHORIZED")])]).also(MISSING_ALSO),
    data("token-unknown-403", "token.unknown.status", TOKENS, "an unknown access token is refused with 403",
        &[edit(&[], UNKNOWN, &[C::Status(403)])]).also(UNKNOWN_ALSO),
    data("token-unknown-404", "token.unknown.status", TOKENS, "an unknown access token is refused with 404",
        &[edit(&[], UNKNOWN, &[C::Status(404)])]).also(UNKNOWN_ALSO),
    data("token-unknown-code-forbidden", "token.unknown.errcode", TOKENS, "an unknown access token is refused with M_FORBIDDEN",
        &[edit(&[], UNKNOWN, &[C::Code("M_FORBIDDEN")])]).also(UNKNOWN_ALSO),
    data("token-unknown-code-missing-token", "token.unknown.errcode", TOKENS, "an unknown access token is refused with M_MISSING_TOKEN",
        &[edit(&[], UNKNOWN, &[C::Code("M_MISSING_TOKEN")])]).also(UNKNOWN_ALSO),
    data("token-dead-code-missing-token", "token.logged_out", TOKENS, "a token that was logged out is refused with M_MISSING_TOKEN",
        &[edit(&[], DEAD, &[C::Code("M_MISSING_TOKEN")])]).also(DEAD_ALSO),
    data("token-dead-403", "token.logged_out", TOKENS, "a token that was logged out is refused with 403 M_FORBIDDEN",
        &[edit(&[], DEAD, &[C::Refuse(403, "M_FORBIDDEN")])]).also(DEAD_ALSO),
    data("token-expired-403", "token.expired", TOKENS, "an expired access token is refused with 403 M_FORBIDDEN",
        &[edit(&[], When::Because(&[R::ExpiredToken]), &[C::Refuse(403, "M_FORBIDDEN")])]).needs(Need::ShortLives)
        .also(&["token.expired.soft_logout"]),
    data("token-expired-without-soft-logout", "token.expired.soft_logout", TOKENS, "an expired access token is refused without soft_logout",
        &[edit(&[], When::Because(&[R::ExpiredToken]), &[C::Drop("/soft_logout")])]).needs(Need::ShortLives),
    data("token-dead-soft-logout", "token.soft_logout.not_after_logout", SOFT, "a token that was logged out is refused with soft_logout true",
        &[edit(&[], DEAD, &[C::Put("/soft_logout", "true")])]),
    // Whoami.
    data("whoami-without-user-id", "whoami.ok", WHO, "whoami gives no user_id",
        &[edit(&[O::Whoami], OK, &[C::Drop("/user_id")])]).also(WHOAMI_USER),
    data("whoami-user-id-number", "whoami.ok", WHO, "whoami gives a number as user_id",
        &[edit(&[O::Whoami], OK, &[C::Put("/user_id", "1")])]).also(WHOAMI_USER),
    data("whoami-201", "whoami.ok", WHO, "whoami answers with 201",
        &[edit(&[O::Whoami], OK, &[C::Status(201)])]),
    data("whoami-user-id-other", "whoami.user", WHO, "whoami names somebody else",
        &[edit(&[O::Whoami], OK, &[C::Put("/user_id", "\"@somebody:reference.localhost\"")])]).also(WHOAMI_USER),
    data("whoami-user-id-localpart", "whoami.user", WHO, "whoami gives the localpart alone",
        &[edit(&[O::Whoami], OK, &[C::StripServer("/user_id")])])
        .also(&["whoami.ok", "login.post.ok.token_user", "login.token.user", "refresh.same_device", "get_token.token_works", "device.login.per_user"]),
    data("whoami-without-device-id", "whoami.device_id", WHO, "whoami gives no device_id",
        &[edit(&[O::Whoami], OK, &[C::Drop("/device_id")])]).also(WHOAMI_DEVICE),
    data("whoami-device-id-null", "whoami.device_id", WHO, "whoami gives null as device_id",
        &[edit(&[O::Whoami], OK, &[C::Put("/device_id", "null")])]).also(WHOAMI_DEVICE_SHAPE),
    data("whoami-device-id-other", "whoami.device_id", WHO, "whoami names another device",
        &[edit(&[O::Whoami], OK, &[C::Put("/device_id", "\"OTHER\"")])]).also(WHOAMI_DEVICE),
    data("whoami-device-id-number", "whoami.device_id", WHO, "whoami gives a number as device_id",
        &[edit(&[O::Whoami], OK, &[C::Put("/device_id", "1")])]).also(WHOAMI_DEVICE_SHAPE),
    data("whoami-guest-text", "whoami.is_guest.type", WHO, "is_guest is a text",
        &[edit(&[O::Whoami], OK, &[C::Put("/is_guest", "\"false\"")])]).also(&["whoami.is_guest.true"]),
    data("whoami-guest-everybody", "whoami.is_guest.type", WHO, "everybody is a guest",
        &[edit(&[O::Whoami], OK, &[C::Put("/is_guest", "true")])]),
    data("whoami-guest-nobody", "whoami.is_guest.true", WHO, "nobody is a guest",
        &[edit(&[O::Whoami], OK, &[C::Put("/is_guest", "false")])]),
    data("whoami-guest-absent", "whoami.is_guest.true", WHO, "is_guest is never given",
        &[edit(&[O::Whoami], OK, &[C::Drop("/is_guest")])]),
    data("whoami-missing-token-403", "whoami.missing_token", "GET /account/whoami, 401", "whoami without an access token is refused with 403",
        &[edit(&[O::Whoami], MISSING, &[C::Refuse(403, "M_FORBIDDEN")])]).also(&["token.missing.status", "token.missing.errcode"]),
    data("whoami-missing-token-code", "whoami.missing_token", "GET /account/whoami, 401", "whoami without an access token is refused with M_UNKNOWN_TOKEN",
        &[edit(&[O::Whoami], MISSING, &[C::Code("M_UNKNOWN_TOKEN")])]).also(&["token.missing.errcode"]),
    data("whoami-unknown-token-403", "whoami.unknown_token", "GET /account/whoami, 401", "whoami with an unknown token is refused with 403",
        &[edit(&[O::Whoami], UNKNOWN, &[C::Refuse(403, "M_FORBIDDEN")])])
        .also(&["token.unknown.status", "token.unknown.errcode", "login.token.not_access_token", "refresh.access_token_rejected"]),
    data("whoami-unknown-token-code", "whoami.unknown_token", "GET /account/whoami, 401", "whoami with an unknown token is refused with M_UNAUTHORIZED",
        &[edit(&[O::Whoami], UNKNOWN, &[C::Code("M_UNAUTHORIZED")])])
        .also(&["token.unknown.errcode", "login.token.not_access_token", "refresh.access_token_rejected"]),
    // Logging out.
    data("logout-204", "logout.ok", LOGOUT, "logout answers with 204",
        &[edit(&[O::Logout], OK, &[C::Status(204), C::Bytes("application/json", b"")])])
        .also(&["http.response.json_object", "logout.empty_body"]),
    data("logout-202", "logout.ok", LOGOUT, "logout answers with 202",
        &[edit(&[O::Logout], OK, &[C::Status(202)])]),
    data("logout-answers-true", "logout.ok", LOGOUT, "logout answers with true",
        &[edit(&[O::Logout], OK, &[C::Put("", "true")])]).also(&["http.response.json_object"]),
    data("logout-missing-token-200", "logout.auth_required", LOGOUT, "logout without an access token answers 200",
        &[edit(&[O::Logout], MISSING, &[C::Status(200), C::Put("", "{}")])]).also(&["token.missing.status", "token.missing.errcode"]),
    data("logout-unknown-token-200", "logout.auth_required", LOGOUT, "logout with an unknown token answers 200",
        &[edit(&[O::Logout], UNKNOWN, &[C::Status(200), C::Put("", "{}")])]).also(&["token.unknown.status", "token.unknown.errcode"]),
    data("logout-unknown-token-403", "logout.auth_required", LOGOUT, "logout with an unknown token is refused with 403",
        &[edit(&[O::Logout], UNKNOWN, &[C::Refuse(403, "M_FORBIDDEN")])]).also(&["token.unknown.status", "token.unknown.errcode"]),
    data("logout-twice-200", "logout.twice", LOGOUT, "a second logout answers 200",
        &[edit(&[O::Logout], DEAD, &[C::Status(200), C::Put("", "{}")])]),
    data("logout-twice-403", "logout.twice", LOGOUT, "a second logout is refused with 403",
        &[edit(&[O::Logout], DEAD, &[C::Refuse(403, "M_FORBIDDEN")])]).also(&["token.logged_out"]),
    data("logout-all-202", "logout_all.ok", "POST /logout/all, 200", "a logout of all sessions is answered with 202",
        &[edit(&[O::LogoutAll], OK, &[C::Status(202)])]),
    data("logout-all-204", "logout_all.ok", LOGOUT_ALL, "logout/all answers with 204",
        &[edit(&[O::LogoutAll], OK, &[C::Status(204), C::Bytes("application/json", b"")])])
        .also(&["http.response.json_object", "logout_all.empty_body", "logout_all.no_uia"]),
    data("logout-all-answers-list", "logout_all.ok", LOGOUT_ALL, "logout/all answers with a list",
        &[edit(&[O::LogoutAll], OK, &[C::Put("", "[]")])]).also(&["http.response.json_object"]),
    data("logout-all-missing-token-200", "logout_all.auth_required", LOGOUT_ALL, "logout/all without an access token answers 200",
        &[edit(&[O::LogoutAll], MISSING, &[C::Status(200), C::Put("", "{}")])]).also(&["token.missing.status", "token.missing.errcode"]),
    data("logout-all-unknown-token-code", "logout_all.auth_required", LOGOUT_ALL, "logout/all with an unknown token says M_FORBIDDEN",
        &[edit(&[O::LogoutAll], UNKNOWN, &[C::Code("M_FORBIDDEN")])]).also(&["token.unknown.errcode"]),
    // Refreshing.
    data("refresh-405", "refresh.endpoint_exists", REFRESH, "refresh tokens are given and POST /refresh is refused with 405",
        &[edit(&[O::Refresh], OK, &[C::Refuse(405, "M_UNRECOGNIZED")]), edit(&[O::Refresh], When::Error, &[C::Refuse(405, "M_UNRECOGNIZED")])])
        .also(REFRESH_AT_ALL),
    data("login-refresh-flag-text-500", "refresh.login.flag_type", "POST /login: refresh_token is a boolean", "a refresh_token flag that is a text makes login fail with 500",
        &[edit(&[O::Login], When::Because(&[R::RefreshFlagNotBoolean]), &[C::Refuse(500, "M_UNKNOWN")])])
        .also(&["error.malformed.no_5xx", "error.bad_json"]),
    data("refresh-missing-401", "refresh.request.missing", REFRESH, "refresh without a refresh token is refused with 401",
        &[edit(&[O::Refresh], When::Because(&[R::RefreshTokenMissing]), &[C::Refuse(401, "M_UNKNOWN_TOKEN")])]),
    data("refresh-missing-500", "refresh.request.missing", REFRESH, "refresh without a refresh token fails with 500",
        &[edit(&[O::Refresh], When::Because(&[R::RefreshTokenMissing]), &[C::Refuse(500, "M_UNKNOWN")])]).also(&["error.malformed.no_5xx"]),
    data("refresh-number-401", "refresh.request.not_string", REFRESH, "a refresh token that is no string is refused with 401",
        &[edit(&[O::Refresh], When::Because(&[R::RefreshTokenNotString]), &[C::Refuse(401, "M_UNKNOWN_TOKEN")])]),
    data("refresh-number-500", "refresh.request.not_string", REFRESH, "a refresh token that is no string makes refresh fail with 500",
        &[edit(&[O::Refresh], When::Because(&[R::RefreshTokenNotString]), &[C::Refuse(500, "M_UNKNOWN")])]).also(&["error.malformed.no_5xx"]),
    data("refresh-without-access-token", "refresh.ok.required", REFRESH, "a refresh gives no access token",
        &[edit(&[O::Refresh], OK, &[C::Drop("/access_token")])]).also(&["refresh.token_usable", "refresh.same_device", "refresh.revoked_by_access"]),
    data("refresh-access-token-null", "refresh.ok.required", REFRESH, "a refresh gives null as access token",
        &[edit(&[O::Refresh], OK, &[C::Put("/access_token", "null")])]).also(&["refresh.token_usable", "refresh.same_device", "refresh.revoked_by_access"]),
    data("refresh-expires-text", "refresh.ok.types", REFRESH, "expires_in_ms of a refresh is a text",
        &[edit(&[O::Refresh], OK, &[C::Put("/expires_in_ms", "\"60000\"")])]),
    data("refresh-token-number", "refresh.ok.types", REFRESH, "the new refresh token is a number",
        &[edit(&[O::Refresh], OK, &[C::Put("/refresh_token", "7")])])
        .also(&["refresh.revoked_by_refresh", "refresh.reused.status", "refresh.reused.errcode", "refresh.no_rotation", "refresh.early",
            "refresh.grace"]),
    data("refresh-201", "refresh.ok.required", REFRESH, "a refresh answers with 201",
        &[edit(&[O::Refresh], OK, &[C::Status(201)])]),
    data("refresh-unknown-403", "refresh.unknown.status", REFRESH, "an unknown refresh token is refused with 403",
        &[edit(&[O::Refresh], When::Because(&[R::RefreshTokenUnknown]), &[C::Status(403)])]).also(&["refresh.access_token_rejected"]),
    data("refresh-unknown-400", "refresh.unknown.status", REFRESH, "an unknown refresh token is refused with 400",
        &[edit(&[O::Refresh], When::Because(&[R::RefreshTokenUnknown]), &[C::Status(400)])]).also(&["refresh.access_token_rejected"]),
    data("refresh-unknown-code-forbidden", "refresh.unknown.errcode", REFRESH, "an unknown refresh token is refused with M_FORBIDDEN",
        &[edit(&[O::Refresh], When::Because(&[R::RefreshTokenUnknown]), &[C::Code("M_FORBIDDEN")])]).also(&["refresh.access_token_rejected"]),
    data("refresh-unknown-code-missing-token", "refresh.unknown.errcode", REFRESH, "an unknown refresh token is refused with M_MISSING_TOKEN",
        &[edit(&[O::Refresh], When::Because(&[R::RefreshTokenUnknown]), &[C::Code("M_MISSING_TOKEN")])]).also(&["refresh.access_token_rejected"]),
    data("refresh-spent-403", "refresh.reused.status", REFRESH, "a used refresh token is refused with 403",
        &[edit(&[O::Refresh], SPENT, &[C::Status(403)])]).also(SPENT_ALSO),
    data("refresh-spent-400", "refresh.reused.status", REFRESH, "a used refresh token is refused with 400",
        &[edit(&[O::Refresh], SPENT, &[C::Status(400)])]).also(SPENT_ALSO),
    data("refresh-spent-404", "refresh.reused.status", REFRESH, "a used refresh token is refused with 404 M_NOT_FOUND",
        &[edit(&[O::Refresh], SPENT, &[C::Refuse(404, "M_NOT_FOUND")])]).also(SPENT_BOTH),
    data("refresh-spent-code-forbidden", "refresh.reused.errcode", REFRESH, "a used refresh token is refused with M_FORBIDDEN",
        &[edit(&[O::Refresh], SPENT, &[C::Code("M_FORBIDDEN")])]).also(SPENT_ALSO),
    data("refresh-spent-code-unknown", "refresh.reused.errcode", REFRESH, "a used refresh token is refused with M_UNKNOWN",
        &[edit(&[O::Refresh], SPENT, &[C::Code("M_UNKNOWN")])]).also(SPENT_ALSO),
];

behaviours! {
    WHOAMI_HEADER_REFUSED "token-header-not-read" breaks "token.header", also WHOAMI,
        "Client-Server API, Using access tokens: the Authorization header", "whoami does not look at the Authorization header";
    DEVICES_HEADER_REFUSED "token-header-not-read-by-devices" breaks "token.header", also SESSIONS,
        "Client-Server API, Using access tokens: the Authorization header", "GET /devices does not look at the Authorization header";
    QUERY_REFUSED "token-query-not-read" breaks "token.query.legacy", also &[],
        "Client-Server API up to v1.19, Using access tokens: the access_token parameter", "the access_token parameter is not looked at";
    QUERY_FOR_WHOAMI "token-query-read-by-whoami-alone" breaks "token.query.legacy", also &[],
        "Client-Server API up to v1.19, Using access tokens: the access_token parameter", "only whoami looks at the access_token parameter";
    QUERY_403 "token-query-403" breaks "token.query.legacy", also &[],
        "Client-Server API up to v1.19, Using access tokens: the access_token parameter", "an access token in the query is refused with 403";
    TOKEN_ANY_CASE "token-in-any-case" breaks "token.unknown.status", also &["token.unknown.errcode"],
        "Client-Server API, Using access tokens", "of an access token upper and lower case do not matter";
    GUEST_DENIED "whoami-guest-denied" breaks "whoami.guest_allowed", also &["whoami.is_guest.true"],
        "Client-Server API, Guest access: whoami", "whoami is refused to guests";
    GUEST_TOKEN_UNKNOWN "whoami-guest-unknown" breaks "whoami.guest_allowed", also &["whoami.is_guest.true"],
        "Client-Server API, Guest access: whoami", "the access tokens of guests are not known to whoami";
    LOGOUT_NEEDS_BODY "logout-needs-body" breaks "logout.empty_body", also &[],
        "POST /logout without a body", "logout without a body is refused with 400";
    LOGOUT_REFUSES_BODY "logout-refuses-body" breaks "logout.empty_body", also &[],
        "POST /logout with the empty object that older clients send", "logout with a body is refused with 400";
    LOGOUT_KEEPS_TOKEN "logout-keeps-token" breaks "logout.token_dead",
        also &["token.logged_out", "logout.twice", "token.soft_logout.not_after_logout"],
        "POST /logout: the access token ends", "logout deletes the device and leaves its access token";
    LOGOUT_NOTHING "logout-does-nothing" breaks "logout.token_dead",
        also &["token.logged_out", "logout.twice", "logout.device_gone", "logout.device_keys_gone", "logout.refresh_token_dead",
            "token.soft_logout.not_after_logout"],
        "POST /logout", "logout answers 200 and does nothing";
    LOGOUT_THIRD_NOTHING "logout-does-nothing-sometimes" breaks "logout.token_dead",
        also &["token.logged_out", "logout.twice", "logout.device_gone", "logout.device_keys_gone", "logout.refresh_token_dead",
            "token.soft_logout.not_after_logout"],
        "POST /logout", "every third logout of a user answers 200 and does nothing";
    LOGOUT_FOR_WHOAMI "logout-known-to-whoami-alone" breaks "logout.token_dead", also &["logout.twice"],
        "POST /logout: the access token ends", "after logout whoami refuses the access token, and everything else takes it";
    LOGOUT_LINGERS "logout-token-lingers" breaks "logout.token_dead",
        also &["token.logged_out", "logout.twice", "token.soft_logout.not_after_logout"],
        "POST /logout: the access token ends", "an access token goes on working for a minute after logout";
    LOGOUT_KEEPS_DEVICE "logout-keeps-device" breaks "logout.device_gone", also &["logout.device_keys_gone"],
        "POST /logout: the device is deleted", "logout leaves the device";
    LOGOUT_DEVICE_LISTED "logout-device-still-listed" breaks "logout.device_gone", also &[],
        "POST /logout: the device is deleted", "a device that was logged out is gone and stays in the list";
    LOGOUT_DEVICE_SHOWN "logout-device-still-shown" breaks "logout.device_gone", also &[],
        "POST /logout: the device is deleted", "a device that was logged out is not in the list and is shown when it is asked for";
    LOGOUT_KEEPS_KEYS "logout-keeps-keys" breaks "logout.device_keys_gone", also &[],
        "POST /logout: the device's keys are deleted", "logout leaves the keys of the device";
    LOGOUT_KEYS_BY_NAME "logout-keys-kept-by-name" breaks "logout.device_keys_gone", also &[],
        "POST /logout: the device's keys are deleted", "the keys of a device that was logged out are given when the device is named";
    LOGOUT_ENDS_ALL "logout-ends-all" breaks "logout.others_survive",
        also &["logout.device_gone", "logout.device_keys_gone", "get_token.session_untouched"],
        "POST /logout: one session ends", "logout ends all sessions of the user";
    LOGOUT_ENDS_ANOTHER "logout-ends-another" breaks "logout.others_survive",
        also &["logout.device_gone", "logout.device_keys_gone"],
        "POST /logout: one session ends", "logout ends one more session of the user";
    LOGOUT_ENDS_ALL_REFRESH "logout-ends-all-refresh-tokens" breaks "logout.others_survive", also &[],
        "POST /logout: one session ends", "logout ends the refresh tokens of all sessions of the user";
    LOGOUT_KEEPS_REFRESH "logout-keeps-refresh-token" breaks "logout.refresh_token_dead", also &[],
        "POST /logout: the session ends", "the refresh token of a session that was logged out goes on working";
    LOGOUT_KEEPS_REFRESHED "logout-keeps-refreshed-tokens" breaks "logout.refresh_token_dead", also &[],
        "POST /logout: the session ends", "logout ends the refresh token of the login and leaves those that came by refreshing";
    LOGOUT_ALL_NEEDS_BODY "logout-all-needs-body" breaks "logout_all.empty_body", also &[],
        "POST /logout/all without a body", "logout/all without a body is refused with 400";
    LOGOUT_ALL_NEEDS_CONTENT_TYPE "logout-all-needs-content-type" breaks "logout_all.empty_body", also &[],
        "POST /logout/all without a body", "logout/all without a media type is refused with 400";
    LOGOUT_ALL_KEEPS_CALLER "logout-all-keeps-caller" breaks "logout_all.tokens_dead", also &["logout_all.devices_gone"],
        "POST /logout/all: all access tokens end", "logout/all leaves the session that asks";
    LOGOUT_ALL_CALLER_ONLY "logout-all-caller-only" breaks "logout_all.tokens_dead",
        also &["logout_all.devices_gone", "logout_all.refresh_tokens_dead"],
        "POST /logout/all: all access tokens end", "logout/all ends the session that asks and no other";
    LOGOUT_ALL_NOTHING "logout-all-does-nothing" breaks "logout_all.tokens_dead",
        also &["logout_all.devices_gone", "logout_all.refresh_tokens_dead", "token.logged_out"],
        "POST /logout/all", "logout/all answers 200 and does nothing";
    LOGOUT_ALL_KEEPS_DEVICES "logout-all-keeps-devices" breaks "logout_all.devices_gone", also &[],
        "POST /logout/all: all devices are deleted", "logout/all leaves the devices";
    LOGOUT_ALL_KEEPS_OWN_DEVICE "logout-all-keeps-own-device" breaks "logout_all.devices_gone", also &[],
        "POST /logout/all: all devices are deleted", "logout/all leaves the device that asks, without its tokens";
    LOGOUT_ALL_KEEPS_KEYS "logout-all-keeps-keys" breaks "logout_all.devices_gone", also &[],
        "POST /logout/all: all devices are deleted with their keys", "logout/all leaves the keys of the devices";
    LOGOUT_ALL_UIA "logout-all-asks-uia" breaks "logout_all.no_uia",
        also &["logout_all.ok", "logout_all.empty_body", "logout_all.tokens_dead", "logout_all.devices_gone",
            "logout_all.refresh_tokens_dead"],
        "POST /logout/all: no interactive auth", "logout/all asks for interactive auth";
    LOGOUT_ALL_UIA_OF_MANY "logout-all-asks-uia-of-many" breaks "logout_all.no_uia",
        also &["logout_all.ok", "logout_all.empty_body", "logout_all.tokens_dead", "logout_all.devices_gone",
            "logout_all.refresh_tokens_dead"],
        "POST /logout/all: no interactive auth", "logout/all asks for interactive auth where there are several sessions";
    LOGOUT_ALL_KEEPS_REFRESH "logout-all-keeps-refresh-tokens" breaks "logout_all.refresh_tokens_dead", also &[],
        "POST /logout/all: all sessions end", "refresh tokens go on working after logout/all";
    LOGOUT_ALL_KEEPS_OWN_REFRESH "logout-all-keeps-own-refresh-token" breaks "logout_all.refresh_tokens_dead", also &[],
        "POST /logout/all: all sessions end", "after logout/all the refresh token of the session that asked goes on working";
    LOGOUT_ALL_KEEPS_OTHER_REFRESH "logout-all-keeps-other-refresh-tokens" breaks "logout_all.refresh_tokens_dead", also &[],
        "POST /logout/all: all sessions end", "after logout/all the refresh tokens of the other sessions go on working";
    LOGOUT_ALL_EVERYBODY "logout-all-everybody" breaks "logout_all.other_users", also &[],
        "POST /logout/all: the user's sessions", "logout/all ends the sessions of all users";
    LOGOUT_ALL_BY_DEVICE "logout-all-by-device-id" breaks "logout_all.other_users", also &[],
        "POST /logout/all: the user's sessions", "logout/all ends the sessions of all users on devices of the same ids";
    LOGOUT_ALL_LOCKS "logout-all-locks" breaks "logout_all.login_again", also &["logout_all.devices_gone"],
        "POST /logout/all", "after logout/all the user cannot log in again";
    LOGOUT_ALL_MUTES "logout-all-stops-later-tokens" breaks "logout_all.login_again", also &["logout_all.devices_gone"],
        "POST /logout/all", "after logout/all the user can log in, and the access tokens are not known";
    REFRESH_FLAG_REFUSED "login-refresh-flag-refused" breaks "refresh.login.flag_accepted", also &[],
        "POST /login: refresh_token", "login with refresh_token true is refused with 400";
    TOKEN_LOGIN_REFRESH_FLAG_REFUSED "login-by-token-refresh-flag-refused" breaks "refresh.login.flag_accepted", also &[],
        "POST /login: refresh_token", "a token login with refresh_token true is refused with 400";
    REFRESH_FLAG_TEXT "login-refresh-flag-text-taken" breaks "refresh.login.flag_type", also &["error.bad_json"],
        "POST /login: refresh_token is a boolean", "a refresh_token flag that is the text true is taken for true";
    REFRESH_UNASKED "login-refresh-token-unasked" breaks "refresh.login.not_offered", also &[],
        "Client-Server API, Refreshing access tokens", "every login gives a refresh token";
    REFRESH_GONE "refresh-endpoint-missing" breaks "refresh.endpoint_exists",
        also REFRESH_AT_ALL,
        "POST /login, 200: refresh_token is for POST /refresh", "refresh tokens are given and POST /refresh does not exist";
    REFRESH_NEEDS_TOKEN "refresh-needs-access-token" breaks "refresh.no_access_token",
        also &["refresh.early", "refresh.token_usable", "refresh.same_device", "refresh.grace", "refresh.revoked_by_access",
            "refresh.revoked_by_refresh", "refresh.reused.status", "refresh.reused.errcode", "refresh.unknown.errcode",
            "refresh.ok.required", "refresh.request.missing", "refresh.request.not_string", "refresh.no_rotation",
            "refresh.access_token_rejected", "http.request.body_required", "refresh.expired_access_token", "token.record_device"],
        "POST /refresh: no authentication", "refresh without an access token is refused with 401 M_MISSING_TOKEN";
    REFRESH_LATER_NEEDS_TOKEN "refresh-later-needs-access-token" breaks "refresh.no_access_token", also LATER_REFRESH,
        "POST /refresh: no authentication", "the second refresh of a session without an access token is refused with 401 M_MISSING_TOKEN";
    REFRESH_EARLY_REFUSED "refresh-early-refused" breaks "refresh.early",
        also &["refresh.no_access_token", "refresh.token_usable", "refresh.same_device", "refresh.grace", "refresh.revoked_by_access",
            "refresh.revoked_by_refresh", "refresh.reused.status", "refresh.reused.errcode", "refresh.ok.required", "refresh.no_rotation",
            "token.record_device"],
        "Client-Server API, Refreshing access tokens", "refresh is refused with 403 as long as the access token is valid";
    REFRESH_EARLY_REFUSED_LATER "refresh-early-refused-later" breaks "refresh.early", also LATER_REFRESH,
        "Client-Server API, Refreshing access tokens", "the second refresh of a session is refused with 403 as long as its access token is valid";
    REFRESH_AFTER_EXPIRY "refresh-after-expiry-refused" breaks "refresh.expired_access_token", also &[], needs ShortLives,
        "POST /refresh", "refresh is refused with 401 once the access token has expired";
    REFRESHED_TOKEN_DEAD "refresh-access-token-dead" breaks "refresh.token_usable",
        also &["refresh.same_device", "refresh.revoked_by_access", "token.record_device", "refresh.reused.status", "refresh.reused.errcode"],
        "POST /refresh, 200: access_token", "access tokens from a refresh are not known afterwards";
    REFRESHED_LATER_DEAD "refresh-later-access-token-dead" breaks "refresh.token_usable", also &[],
        "POST /refresh, 200: access_token", "access tokens from the second refresh of a session on are not known afterwards";
    REFRESHED_FOR_WHOAMI "refresh-access-token-for-whoami-alone" breaks "refresh.token_usable", also &[],
        "POST /refresh, 200: access_token", "access tokens from a refresh are known to whoami and to nothing else";
    REFRESH_NEW_DEVICE "refresh-moves-device" breaks "refresh.same_device", also &["token.record_device"],
        "Client-Server API, Relationship between access tokens and devices", "a refresh moves the session to a new device";
    REFRESH_OTHER_USER "refresh-moves-user" breaks "refresh.same_device", also &["token.record_device"],
        "POST /refresh, 200: access_token", "a refresh gives an access token of another account";
    REFRESH_AT_ONCE "refresh-token-dies-at-once" breaks "refresh.grace", also &[],
        "POST /refresh: the old token is good until a new one is used", "a refresh token can be used once";
    REFRESH_TWICE "refresh-token-good-twice" breaks "refresh.grace", also &[],
        "POST /refresh: the old token is good until a new one is used", "a refresh token can be used twice";
    REFRESH_DIES_BY_OLD "refresh-token-dies-by-old-access-token" breaks "refresh.grace", also &[],
        "POST /refresh: the old token is good until a new one is used", "using the old access token ends a refresh token that was used";
    REFRESH_NOT_BY_ACCESS "refresh-not-revoked-by-access" breaks "refresh.revoked_by_access",
        also &["refresh.reused.status", "refresh.reused.errcode"],
        "POST /refresh: the old token ends when a new one is used", "using the new access token leaves the old refresh token";
    REFRESH_NOT_BY_REFRESH "refresh-not-revoked-by-refresh" breaks "refresh.revoked_by_refresh",
        also &["refresh.reused.status", "refresh.reused.errcode"],
        "POST /refresh: the old token ends when a new one is used", "using the new refresh token leaves the old one";
    REFRESH_SIBLINGS "refresh-again-revokes-nothing" breaks "refresh.revoked_by_refresh", also &["refresh.revoked_by_access"],
        "POST /refresh: the old token ends when a new one is used", "using what came of a refresh token's second use leaves the token";
    REFRESH_NEVER_REVOKED "refresh-never-revoked" breaks "refresh.revoked_by_access",
        also &["refresh.reused.errcode", "refresh.reused.status", "refresh.revoked_by_refresh"],
        "POST /refresh: the old token ends when a new one is used", "refresh tokens are good until logout";
    REFRESH_NONE_BACK "refresh-gives-none-and-revokes" breaks "refresh.no_rotation", also &["refresh.grace"],
        "POST /refresh, 200: without refresh_token the old one stays", "a refresh gives no new refresh token and revokes the old one";
    REFRESH_NONE_BACK_ENDS_BY_ACCESS "refresh-gives-none-and-access-revokes" breaks "refresh.no_rotation", also &[],
        "POST /refresh, 200: without refresh_token the old one stays",
        "a refresh gives no new refresh token, and using the new access token revokes the old one";
    REFRESH_TAKES_ACCESS "refresh-takes-access-token" breaks "refresh.access_token_rejected", also &[],
        "POST /refresh: refresh_token", "an access token is taken as a refresh token";
    ACCESS_TAKES_REFRESH "refresh-token-as-access-token" breaks "refresh.access_token_rejected", also &[],
        "Client-Server API, Using access tokens", "a refresh token is taken as an access token";
}
