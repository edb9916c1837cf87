//! Faults of groups R and V: get_token, interactive auth, the states of accounts.

use super::super::edit::Change as C;
use super::super::refusal::Refusal as R;
use super::super::route::Operation as O;
use super::lists::{BEYOND_A_SESSION, PASSED_UIA, TOKEN_LOGINS};
use super::{Fault, Need, When, behaviours, data, edit};

const GET_TOKEN: &str = "POST /v1/login/get_token";
const CAPABILITY: &str = "Client-Server API, m.get_login_token capability";
const UIA: &str = "Client-Server API, User-interactive authentication API";
const FALLBACK: &str = "Client-Server API, User-interactive authentication: fallback";
const DEACTIVATED: &str = "POST /login, 403 M_USER_DEACTIVATED";

const OK: When = When::Success;
/// The operations that ask for a password in interactive auth.
const ASKING: &[O] = &[
    O::GetToken,
    O::DeleteDevice,
    O::DeleteDevices,
    O::ChangePassword,
    O::Deactivate,
    O::SigningKeysUpload,
];
/// All that ask for interactive auth.
const UIA_ALL: &[O] = &[
    O::GetToken,
    O::DeleteDevice,
    O::DeleteDevices,
    O::ChangePassword,
    O::Deactivate,
    O::SigningKeysUpload,
    O::Register,
];

/// What breaks when a challenge cannot be read, beside its own requirement.
pub(super) const UNREADABLE: &[&str] = &[
    "get_token.uia.challenge",
    "device.delete.uia",
    "error.shape.errcode",
    "error.shape.error",
    "uia.wrong_password.status",
    "get_token.uia.always",
    "uia.complete",
    "get_token.ok.required",
    "get_token.token_works",
    "login.token.ok",
    "login.token.user",
    "login.token.single_use",
    "login.token.device_params",
    "uia.password.identifier",
    "device.delete.token_dead",
    "device.delete.idempotent",
    "device.delete.bulk",
    "get_token.capability.truthful",
    "uia.no_auth_no_success",
    "state.deactivated.status",
    "state.password_changed.new",
    "uia.partial",
    "uia.order",
    "uia.other_user",
];

#[rustfmt::skip]
pub(super) static DATA: &[Fault] = &[
    // get_token.
    data("get-token-missing-token-challenge", "get_token.auth_required", GET_TOKEN, "get_token without an access token is answered with a challenge",
        &[edit(&[O::GetToken], When::Because(&[R::MissingToken]), &[C::Put("", r#"{"flows": [{"stages": ["m.login.password"]}], "session": "s"}"#)])])
        .also(&["token.missing.errcode"]),
    data("get-token-unknown-token-403", "get_token.auth_required", GET_TOKEN, "get_token with an unknown access token is refused with 403",
        &[edit(&[O::GetToken], When::Because(&[R::UnknownToken]), &[C::Refuse(403, "M_FORBIDDEN")])])
        .also(&["token.unknown.status", "token.unknown.errcode"]),
    data("get-token-challenge-403", "get_token.uia.challenge", GET_TOKEN, "get_token answers a request without auth with 403",
        &[edit(&[O::GetToken], When::Challenge, &[C::Refuse(403, "M_FORBIDDEN")])]).also(NO_CHALLENGE),
    data("get-token-without-login-token", "get_token.ok.required", GET_TOKEN, "get_token gives no login_token",
        &[edit(&[O::GetToken], OK, &[C::Drop("/login_token")])]).also(TOKEN_LOGINS),
    data("get-token-201", "get_token.ok.required", GET_TOKEN, "get_token answers with 201",
        &[edit(&[O::GetToken], OK, &[C::Status(201)])]),
    data("get-token-login-token-null", "get_token.ok.required", GET_TOKEN, "get_token gives null as login_token",
        &[edit(&[O::GetToken], OK, &[C::Put("/login_token", "null")])]).also(TOKEN_LOGINS),
    data("get-token-without-expiry", "get_token.ok.required", GET_TOKEN, "get_token gives no expires_in_ms",
        &[edit(&[O::GetToken], OK, &[C::Drop("/expires_in_ms")])]).also(&["get_token.ok.expiry"]),
    data("get-token-expiry-text", "get_token.ok.required", GET_TOKEN, "get_token gives a text as expires_in_ms",
        &[edit(&[O::GetToken], OK, &[C::Put("/expires_in_ms", "\"120000\"")])]).also(&["get_token.ok.expiry"]),
    data("get-token-expiry-zero", "get_token.ok.expiry", GET_TOKEN, "get_token says that its token has no time to live",
        &[edit(&[O::GetToken], OK, &[C::Put("/expires_in_ms", "0")])]),
    data("get-token-expiry-negative", "get_token.ok.expiry", GET_TOKEN, "get_token gives a negative time to live",
        &[edit(&[O::GetToken], OK, &[C::Put("/expires_in_ms", "-120000")])]),
    data("capability-get-token-boolean", "get_token.capability.shape", CAPABILITY, "the capability is a boolean",
        &[edit(&[O::Capabilities], OK, &[C::Put("/capabilities/m.get_login_token", "true")])])
        .also(&["get_token.capability.absent"]),
    data("capability-get-token-empty", "get_token.capability.shape", CAPABILITY, "the capability has no member enabled",
        &[edit(&[O::Capabilities], OK, &[C::Put("/capabilities/m.get_login_token", "{}")])])
        .also(&["get_token.capability.absent"]),
    data("capability-get-token-text", "get_token.capability.shape", CAPABILITY, "enabled is a text",
        &[edit(&[O::Capabilities], OK, &[C::Put("/capabilities/m.get_login_token/enabled", "\"true\"")])])
        .also(&["get_token.capability.absent"]),
    data("capability-get-token-untrue", "get_token.capability.truthful", CAPABILITY, "the capability is enabled though get_token does not exist",
        &[edit(&[O::Capabilities], OK, &[C::Put("/capabilities/m.get_login_token", r#"{"enabled": true}"#)])]).needs(Need::NoGetToken),
    data("capability-get-token-denied", "get_token.capability.truthful", CAPABILITY, "the capability is enabled for a user who may not make login tokens",
        &[edit(&[O::Capabilities], OK, &[C::Put("/capabilities/m.get_login_token", r#"{"enabled": true}"#)])]).needs(Need::NoLoginTokens),
    data("capability-get-token-absent", "get_token.capability.absent", CAPABILITY, "get_token works and is not among the capabilities",
        &[edit(&[O::Capabilities], OK, &[C::Drop("/capabilities/m.get_login_token")])]),
    data("get-token-not-json-challenge", "uia.non_auth_error", UIA, "get_token answers broken JSON with a challenge",
        &[edit(&[O::GetToken], When::Because(&[R::NotJson, R::NotObject]), &[C::Status(401),
            C::Put("", r#"{"flows": [{"stages": ["m.login.password"]}], "session": "s"}"#)])]),
    data("get-token-not-json-text", "uia.non_auth_error", UIA, "get_token answers broken JSON with plain text",
        &[edit(&[O::GetToken], When::Because(&[R::NotJson, R::NotObject]), &[C::Bytes("text/plain", b"bad request")])])
        .also(&["http.response.json_object", "http.response.content_type", "error.shape.object", "error.shape.errcode", "error.shape.error"]),
    data("get-token-denied-403", "get_token.denied", GET_TOKEN, "a user who may not make login tokens is refused with 403",
        &[edit(&[O::GetToken], When::Because(&[R::LoginTokensDenied]), &[C::Refuse(403, "M_FORBIDDEN")])]).needs(Need::NoLoginTokens),
    data("get-token-denied-404", "get_token.denied", GET_TOKEN, "a user who may not make login tokens is refused with 404",
        &[edit(&[O::GetToken], When::Because(&[R::LoginTokensDenied]), &[C::Refuse(404, "M_UNRECOGNIZED")])]).needs(Need::NoLoginTokens)
        .also(&["login.get.get_login_token.truthful"]),
    // Challenges.
    data("uia-flows-absent", "uia.challenge.flows", UIA, "a challenge has no flows",
        &[edit(UIA_ALL, When::Challenge, &[C::Drop("/flows")])]).also(UNREADABLE),
    data("uia-flows-text", "uia.challenge.flows", UIA, "the flows of a challenge are texts",
        &[edit(UIA_ALL, When::Challenge, &[C::Put("/flows", r#"["m.login.password"]"#)])]).also(UNREADABLE),
    data("uia-stages-absent", "uia.challenge.flows", UIA, "the flows of a challenge have no stages",
        &[edit(UIA_ALL, When::Challenge, &[C::Drop("/flows/*/stages")])]).also(UNREADABLE),
    data("uia-stages-text", "uia.challenge.flows", UIA, "the stages of a flow are one text",
        &[edit(UIA_ALL, When::Challenge, &[C::Put("/flows/*/stages", "\"m.login.password\"")])]).also(UNREADABLE),
    data("uia-params-list", "uia.challenge.optional", UIA, "params of a challenge is a list",
        &[edit(UIA_ALL, When::Challenge, &[C::Put("/params", "[]")])]),
    data("uia-params-of-text", "uia.challenge.optional", UIA, "params of a challenge holds a text",
        &[edit(UIA_ALL, When::Challenge, &[C::Put("/params", r#"{"m.login.password": "x"}"#)])]),
    data("uia-completed-text", "uia.challenge.optional", UIA, "completed of a challenge is a text",
        &[edit(UIA_ALL, When::Challenge, &[C::Put("/completed", "\"none\"")])]).also(&["uia.partial"]),
    data("uia-session-number", "uia.challenge.optional", UIA, "the session of a challenge is a number",
        &[edit(ASKING, When::Challenge, &[C::Put("/session", "5")])]).also(BEYOND_A_SESSION),
    data("uia-wrong-password-403", "uia.wrong_password.status", UIA, "a wrong password in a stage is refused with 403 and no challenge",
        &[edit(ASKING, When::FailedStage, &[C::Refuse(403, "M_FORBIDDEN")])]),
    data("uia-wrong-password-400", "uia.wrong_password.status", UIA, "a wrong password in a stage is refused with 400 and no challenge",
        &[edit(ASKING, When::FailedStage, &[C::Refuse(400, "M_UNKNOWN")])]).also(&["uia.wrong_password.errcode", "uia.other_user", "get_token.uia.always"]),
    data("uia-wrong-password-without-flows", "uia.wrong_password.status", UIA, "a wrong password in a stage is refused with 401 and no flows",
        &[edit(ASKING, When::FailedStage, &[C::Drop("/flows")])]).also(&["get_token.uia.always", "uia.challenge.flows"]),
    data("uia-wrong-password-without-errcode", "uia.wrong_password.errcode", UIA, "the challenge after a wrong password has no errcode",
        &[edit(ASKING, When::FailedStage, &[C::Drop("/errcode")])]),
    data("uia-wrong-password-bare", "uia.wrong_password.errcode", UIA, "the challenge after a wrong password is like the first one",
        &[edit(ASKING, When::FailedStage, &[C::Drop("/errcode"), C::Drop("/error")])]),
    data("uia-wrong-password-code-unknown-token", "uia.wrong_password.errcode", UIA, "the challenge after a wrong password says M_UNKNOWN_TOKEN",
        &[edit(ASKING, When::FailedStage, &[C::Code("M_UNKNOWN_TOKEN")])]),
    data("uia-completed-absent", "uia.partial", UIA, "a challenge does not list completed stages",
        &[edit(UIA_ALL, When::Challenge, &[C::Drop("/completed")])]).needs(Need::TwoStages),
    data("uia-order-403", "uia.order", UIA, "a stage out of order is refused with 403 and no challenge",
        &[edit(&[O::Register], When::FailedStage, &[C::Refuse(403, "M_FORBIDDEN")])]).needs(Need::TwoStages),
    data("uia-unknown-third-party-400", "uia.password.unknown_3pid", UIA, "an unknown third-party identifier in a stage is refused with 400",
        &[edit(ASKING, When::Because(&[R::UnknownThirdParty]), &[C::Refuse(400, "M_UNKNOWN")])]),
    data("uia-unknown-third-party-404", "uia.password.unknown_3pid", UIA, "an unknown third-party identifier in a stage is refused with 404",
        &[edit(ASKING, When::Because(&[R::UnknownThirdParty]), &[C::Refuse(404, "M_NOT_FOUND")])]),
    data("uia-fallback-404", "uia.fallback.html", FALLBACK, "there is no fallback page for stages",
        &[edit(&[O::StagePage], OK, &[C::Refuse(404, "M_UNRECOGNIZED")])]).also(&["uia.fallback.callback"]),
    data("uia-fallback-json", "uia.fallback.html", FALLBACK, "the fallback for a stage is JSON",
        &[edit(&[O::StagePage], OK, &[C::Bytes("application/json", b"{}")])]).also(&["uia.fallback.callback"]),
    data("uia-fallback-silent", "uia.fallback.callback", FALLBACK, "the last page of the fallback does not tell the client",
        &[edit(&[O::StageSubmit], OK, &[C::Bytes("text/html", b"<!DOCTYPE html><html><body>Done.</body></html>")])]),
    // States of accounts.
    data("deactivated-401", "state.deactivated.status", DEACTIVATED, "login to a deactivated account is refused with 401",
        &[edit(&[O::Login], When::Because(&[R::UserDeactivated]), &[C::Status(401)])]),
    data("deactivated-404", "state.deactivated.status", DEACTIVATED, "login to a deactivated account is refused with 404 M_NOT_FOUND",
        &[edit(&[O::Login], When::Because(&[R::UserDeactivated]), &[C::Refuse(404, "M_NOT_FOUND")])]).also(&["state.deactivated.errcode"]),
    data("deactivated-code-locked", "state.deactivated.errcode", DEACTIVATED, "login to a deactivated account is refused with M_USER_LOCKED",
        &[edit(&[O::Login], When::Because(&[R::UserDeactivated]), &[C::Code("M_USER_LOCKED")])]),
    data("deactivated-code-unknown", "state.deactivated.errcode", DEACTIVATED, "login to a deactivated account is refused with M_UNKNOWN",
        &[edit(&[O::Login], When::Because(&[R::UserDeactivated]), &[C::Code("M_UNKNOWN")])]),
];

/// What get_token without a challenge breaks.
const NO_CHALLENGE: &[&str] = &[
    "get_token.uia.always",
    "get_token.capability.truthful",
    "uia.challenge.flows",
    "uia.wrong_password.status",
    "uia.complete",
    "get_token.ok.required",
    "get_token.token_works",
    "login.token.ok",
    "login.token.user",
    "login.token.single_use",
    "login.token.device_params",
    "uia.no_auth_no_success",
    "uia.password.identifier",
];

behaviours! {
    GET_TOKEN_NO_UIA "get-token-without-uia" breaks "get_token.uia.challenge",
        also &["get_token.uia.always", "uia.no_auth_no_success", "get_token.capability.truthful", "uia.challenge.flows",
            "uia.wrong_password.status", "uia.wrong_password.errcode", "uia.other_user", "uia.password.unknown_3pid"],
        "POST /v1/login/get_token: interactive auth", "get_token asks for no interactive auth";
    GET_TOKEN_REMEMBERS "get-token-remembers-auth" breaks "get_token.uia.always", also &["uia.no_auth_no_success", "get_token.uia.challenge"],
        "POST /v1/login/get_token: interactive auth every time", "who has passed interactive auth once is not asked again";
    SESSION_REUSABLE "get-token-session-reusable" breaks "get_token.uia.always", also &[],
        "POST /v1/login/get_token: interactive auth every time", "a finished interactive-auth session authorises further calls";
    GET_TOKEN_USELESS "get-token-useless" breaks "get_token.token_works", also USELESS,
        "POST /v1/login/get_token, 200: login_token", "login tokens are not known afterwards";
    LOGIN_TOKEN_NEEDS_MAKER "login-token-needs-its-maker" breaks "get_token.token_works", also USELESS,
        "POST /v1/login/get_token, 200: login_token", "a login token logs in only together with an access token of its user";
    GET_TOKEN_ENDS_SESSION "get-token-ends-session" breaks "get_token.session_untouched",
        also &["get_token.uia.always", "logout.others_survive"],
        "POST /v1/login/get_token", "get_token ends the session that asks";
    REGISTER_NO_UIA "register-without-uia" breaks "uia.no_auth_no_success", also &["uia.challenge.flows"],
        "User-interactive authentication: a request without auth is answered with 401", "registration asks for no interactive auth";
    PASSWORD_NO_UIA "password-change-without-uia" breaks "uia.no_auth_no_success", also &[],
        "User-interactive authentication: a request without auth is answered with 401", "the change of a password asks for no interactive auth";
    DEACTIVATE_NO_UIA "deactivate-without-uia" breaks "uia.no_auth_no_success", also &[],
        "User-interactive authentication: a request without auth is answered with 401", "deactivation asks for no interactive auth";
    UIA_ANY_ORDER "uia-any-order" breaks "uia.order", also &[], needs TwoStages,
        "User-interactive authentication: stages are taken in order", "stages are taken in any order";
    UIA_ORDER_NOTED "uia-order-refused-and-noted" breaks "uia.order", also &[], needs TwoStages,
        "User-interactive authentication: stages are taken in order", "a stage out of order is refused with 401 and counts all the same";
    UIA_ONE_OF_FLOW "uia-one-stage-is-enough" breaks "uia.partial", also &["uia.order"], needs TwoStages,
        "User-interactive authentication: all stages of a flow", "one stage of a flow is enough";
    UIA_NEVER_DONE "uia-never-done" breaks "uia.complete", also PASSED_UIA,
        "User-interactive authentication: a finished flow carries out the call", "a finished flow is answered with a new challenge";
    UIA_NO_IDENTIFIER "uia-identifier-not-read" breaks "uia.password.identifier", also UIA_NO_IDENTIFIER_ALSO,
        "User-interactive authentication, password stage: identifier", "the password stage looks only at the older member user";
    UIA_FULL_ID_REFUSED "uia-full-id-refused" breaks "uia.password.identifier", also UIA_NO_IDENTIFIER_ALSO,
        "User-interactive authentication, password stage: identifier", "the password stage does not find the user by the full id";
    UIA_LOCALPART_REFUSED "uia-localpart-refused" breaks "uia.password.identifier", also UIA_NO_IDENTIFIER_ALSO,
        "User-interactive authentication, password stage: identifier", "the password stage does not find the user by the localpart";
    UIA_OTHER_USER "uia-other-user" breaks "uia.other_user", also &[],
        "User-interactive authentication: the user who asks", "the password stage takes the password of any user";
    UIA_OTHER_USER_BY_USER "uia-other-user-in-user" breaks "uia.other_user", also &[],
        "User-interactive authentication: the user who asks", "the password stage takes any user whom the older member user names";
    UIA_OTHER_USER_GETS_TOKEN "uia-other-user-gets-token" breaks "uia.other_user", also &[],
        "User-interactive authentication: the user who asks", "get_token takes the password of any user";
    UIA_ANY_PASSWORD "uia-any-password" breaks "uia.wrong_password.status",
        also &["uia.wrong_password.errcode", "uia.other_user"],
        "User-interactive authentication: a stage that fails is answered with 401", "the password stage takes every password";
    DEACTIVATED_LOGS_IN "deactivated-logs-in" breaks "state.deactivated.status", also &["state.deactivated.errcode"],
        "POST /login, 403 M_USER_DEACTIVATED", "a deactivated account can log in";
    DEACTIVATED_KEEPS_TOKENS "deactivated-keeps-tokens" breaks "state.deactivated.tokens", also &[],
        "POST /account/deactivate", "access tokens of a deactivated account go on working";
    DEACTIVATED_KEEPS_OTHERS "deactivated-keeps-other-tokens" breaks "state.deactivated.tokens", also &[],
        "POST /account/deactivate", "deactivation ends the session that asks and no other";
    DEACTIVATED_KEEPS_REFRESH "deactivated-keeps-refresh-tokens" breaks "state.deactivated.tokens", also &[],
        "POST /account/deactivate", "refresh tokens of a deactivated account go on working";
    PASSWORD_NOT_CHANGED "password-not-changed" breaks "state.password_changed.new", also &[],
        "POST /account/password", "the change of a password answers 200 and changes nothing";
    PASSWORD_OLD_TOO "password-change-keeps-old" breaks "state.password_changed.new", also &[],
        "POST /account/password", "the old password goes on working beside the new one";
    PASSWORD_ENDS_OWN "password-change-ends-own-session" breaks "state.password_changed.own_token", also &[],
        "POST /account/password", "the change of a password ends the session that asks";
    PASSWORD_KEEPS_OTHERS "password-change-keeps-others" breaks "state.password_changed.logout_devices", also &[],
        "POST /account/password: logout_devices is true by default", "the change of a password leaves the other sessions";
    PASSWORD_ENDS_OTHERS "password-change-ends-others" breaks "state.password_changed.logout_devices", also &[],
        "POST /account/password: logout_devices", "the change of a password ends the other sessions even where logout_devices is false";
}

/// What useless login tokens break.
const USELESS: &[&str] = &[
    "login.token.ok",
    "login.token.user",
    "login.token.single_use",
    "login.token.device_params",
    "login.token.expired",
];
/// What breaks when the password stage does not find the user.
const UIA_NO_IDENTIFIER_ALSO: &[&str] = &[
    "uia.complete",
    "get_token.uia.always",
    "get_token.ok.required",
    "get_token.token_works",
    "get_token.session_untouched",
    "login.token.ok",
    "login.token.user",
    "login.token.single_use",
    "login.token.device_params",
    "device.delete.token_dead",
    "device.delete.idempotent",
    "device.delete.bulk",
    "state.deactivated.status",
    "state.deactivated.errcode",
    "state.deactivated.tokens",
    "state.password_changed.new",
    "state.password_changed.own_token",
    "state.password_changed.logout_devices",
    "uia.password.unknown_3pid",
];
