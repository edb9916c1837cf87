//! Faults that show only in some of the answers: right the first time and wrong from then on, or the other way round.
//! Each breaks what the fault of the same change breaks when it is made each time. Which case gets the first answer may
//! differ from run to run, so that a fault of it alone is one that every case sees.

use super::super::edit::{Change as C, Turn};
use super::super::refusal::Refusal as R;
use super::super::route::Operation as O;
use super::lists::{REFRESHES, TOKEN_LOGINS, WHOAMI_DEVICE, WHOAMI_USER};
use super::{Edit, Fault, When, data};

const OK: When = When::Success;

/// An edit of every answer that qualifies but the first.
const fn later(on: &'static [O], when: When, changes: &'static [C]) -> Edit {
    Edit { on, when, turn: Turn::AllButFirst, changes }
}

/// An edit of the first answer that qualifies.
const fn first(on: &'static [O], when: When, changes: &'static [C]) -> Edit {
    Edit { on, when, turn: Turn::First, changes }
}

/// What a refused password shows beside its own requirement.
const EXACT: &[&str] =
    &["login.password.exact", "login.password.empty", "state.password_changed.new"];
/// Where an unknown access token is refused.
const UNKNOWN_TOKEN: &[&str] = &[
    "token.unknown.status",
    "token.unknown.errcode",
    "whoami.unknown_token",
    "logout.auth_required",
    "logout_all.auth_required",
    "get_token.auth_required",
    "login.token.not_access_token",
    "refresh.access_token_rejected",
];
/// What `user_id` of a login shows.
const LOGIN_USER: &[&str] = &[
    "login.post.ok.user_id.value",
    "login.post.ok.token_user",
    "whoami.user",
    "login.token.user",
    "login.token.ok",
    "get_token.token_works",
];

#[rustfmt::skip]
pub(super) static DATA: &[Fault] = &[
    // Right the first time.
    data("versions-list-absent-later", "versions.versions.required", "GET /_matrix/client/versions, 200",
        "from the second answer on the list of versions is absent", &[later(&[O::Versions], OK, &[C::Drop("/versions")])])
        .also(&["versions.get.ok"]),
    data("well-known-empty-later", "well_known.homeserver.required", "GET /.well-known/matrix/client",
        "from the second answer on the well-known file is an empty object", &[later(&[O::WellKnown], OK, &[C::Put("", "{}")])])
        .also(&["well_known.get.json", "well_known.homeserver.url", "well_known.homeserver.live"]),
    data("flows-401-later", "login.get.public", "GET /login: no authentication", "from the second answer on GET /login asks for an access token",
        &[later(&[O::Flows], OK, &[C::Refuse(401, "M_MISSING_TOKEN")])])
        .also(&["auth.discovery.one_api", "auth.discovery.login_404", "login.get.flows", "route.r0_prefix", "route.v3_prefix"]),
    data("login-202-later", "login.post.ok.status", "POST /login, 200", "from the second one on good logins are answered with 202",
        &[later(&[O::Login], OK, &[C::Status(202)])]),
    data("login-user-id-other-later", "login.post.ok.user_id.value", "POST /login, 200: user_id",
        "from the second login on user_id names somebody else", &[later(&[O::Login], OK, &[C::Put("/user_id", "\"@somebody:reference.localhost\"")])])
        .also(LOGIN_USER),
    data("login-wrong-password-401-later", "login.password.wrong.status", "POST /login, 403 M_FORBIDDEN",
        "from the second one on wrong passwords are refused with 401", &[later(&[O::Login], When::Because(&[R::WrongPassword]), &[C::Status(401)])])
        .also(EXACT),
    data("login-wrong-password-code-later", "login.password.wrong.errcode", "POST /login, 403 M_FORBIDDEN",
        "from the second one on wrong passwords are refused with M_UNKNOWN",
        &[later(&[O::Login], When::Because(&[R::WrongPassword]), &[C::Code("M_UNKNOWN")])]),
    data("login-unknown-user-404-later", "login.password.unknown_user", "POST /login, 403 M_FORBIDDEN",
        "from the second one on unknown users are refused with 404", &[later(&[O::Login], When::Because(&[R::UnknownUser]), &[C::Status(404)])]),
    data("login-type-unknown-403-later", "login.post.type.unknown.status", "POST /login, 400", "from the second one on unknown types are refused with 403",
        &[later(&[O::Login], When::Because(&[R::TypeUnknown]), &[C::Refuse(403, "M_FORBIDDEN")])]),
    data("login-token-invalid-401-later", "login.token.invalid.status", "Client-Server API, Token-based login",
        "from the second one on invalid login tokens are refused with 401", &[later(&[O::Login], When::Because(&[R::LoginTokenInvalid]), &[C::Status(401)])])
        .also(&["login.token.not_access_token"]),
    data("token-unknown-code-later", "token.unknown.errcode", "Client-Server API, Using access tokens",
        "from the second one on unknown access tokens are refused with M_FORBIDDEN",
        &[later(&[], When::Because(&[R::UnknownToken]), &[C::Code("M_FORBIDDEN")])]).also(UNKNOWN_TOKEN),
    data("whoami-user-id-other-later", "whoami.user", "GET /account/whoami, 200", "from the second answer on whoami names somebody else",
        &[later(&[O::Whoami], OK, &[C::Put("/user_id", "\"@somebody:reference.localhost\"")])]).also(WHOAMI_USER),
    data("whoami-device-id-other-later", "whoami.device_id", "GET /account/whoami, 200", "from the second answer on whoami names another device",
        &[later(&[O::Whoami], OK, &[C::Put("/device_id", "\"OTHER\"")])]).also(WHOAMI_DEVICE),
    data("device-get-other-id-later", "device.get.ok", "GET /devices/{deviceId}, 200", "from the second answer on a device is shown with another id",
        &[later(&[O::Device], OK, &[C::Put("/device_id", "\"OTHER\"")])]).also(&["device.login.created", "device.login.per_user"]),
    data("logout-202-later", "logout.ok", "POST /logout, 200", "from the second one on logouts are answered with 202",
        &[later(&[O::Logout], OK, &[C::Status(202)])]),
    data("logout-all-202-later", "logout_all.ok", "POST /logout/all, 200", "from the second one on logouts of all sessions are answered with 202",
        &[later(&[O::LogoutAll], OK, &[C::Status(202)])]),
    data("refresh-without-access-token-later", "refresh.ok.required", "POST /refresh, 200", "from the second one on refreshes give no access token",
        &[later(&[O::Refresh], OK, &[C::Drop("/access_token")])])
        .also(&["refresh.token_usable", "refresh.same_device", "refresh.revoked_by_access", "refresh.no_rotation", "refresh.grace",
            "refresh.reused.status", "refresh.reused.errcode", "refresh.revoked_by_refresh"]),
    data("refresh-unknown-403-later", "refresh.unknown.status", "POST /refresh, 401", "from the second one on unknown refresh tokens are refused with 403",
        &[later(&[O::Refresh], When::Because(&[R::RefreshTokenUnknown]), &[C::Status(403)])]).also(&["refresh.access_token_rejected"]),
    data("get-token-without-login-token-later", "get_token.ok.required", "POST /v1/login/get_token, 200",
        "from the second answer on get_token gives no login_token", &[later(&[O::GetToken], OK, &[C::Drop("/login_token")])]).also(TOKEN_LOGINS),
    data("uia-wrong-password-bare-later", "uia.wrong_password.errcode", "Client-Server API, User-interactive authentication API",
        "from the second one on challenges after a wrong password are like the first one",
        &[later(&[O::GetToken, O::DeleteDevice, O::DeleteDevices, O::ChangePassword, O::Deactivate], When::FailedStage,
            &[C::Drop("/errcode"), C::Drop("/error")])]),
    data("unknown-path-200-later", "route.unknown_endpoint.status", "Client-Server API, API standards: unknown endpoints",
        "from the second one on requests to unknown paths are answered with 200 and an empty object",
        &[later(&[], When::Because(&[R::UnknownEndpoint]), &[C::Status(200), C::Put("", "{}")])])
        .also(&["route.unknown_endpoint.errcode", "route.optional_endpoint.absent", "auth.discovery.metadata_404", "sso.redirect.idp.unknown"]),
    data("options-login-405-later", "cors.options.supported", "Client-Server API, Web browser clients",
        "from the second one on OPTIONS /login is refused with 405", &[later(&[O::Flows], When::Options, &[C::Refuse(405, "M_UNRECOGNIZED")])])
        .also(&["cors.preflight.answered", "cors.options.no_logic"]),
    // Wrong the first time.
    data("versions-201-first", "versions.get.ok", "GET /_matrix/client/versions, 200", "the first answer to versions is 201",
        &[first(&[O::Versions], OK, &[C::Status(201)])]),
    data("flows-absent-first", "login.get.flows", "GET /login, 200", "in the first answer flows is absent",
        &[first(&[O::Flows], OK, &[C::Drop("/flows")])]),
    data("login-without-device-id-first", "login.post.ok.required", "POST /login, 200", "the first login gives no device_id",
        &[first(&[O::Login], OK, &[C::Drop("/device_id")])])
        .also(&["device.login.generated", "device.login.generated.unique", "device.login.echo", "device.login.bound", "login.post.ok.device_id.type",
            "whoami.device_id"]),
    data("refresh-without-access-token-first", "refresh.ok.required", "POST /refresh, 200", "the first refresh gives no access token",
        &[first(&[O::Refresh], OK, &[C::Drop("/access_token")])]).also(REFRESHES),
    data("devices-object-first", "device.list.shape", "GET /devices, 200", "in the first list the devices are an object",
        &[first(&[O::Devices], OK, &[C::Put("/devices", "{}")])])
        .also(&["device.list.current", "device.login.created", "device.login.reuse.single", "logout_all.devices_gone", "device.login.per_user",
            "logout.device_gone", "device.delete.bulk", "device.login.others_survive", "login.post.failure.no_session"]),
    data("uia-flows-absent-first", "uia.challenge.flows", "Client-Server API, User-interactive authentication API", "the first challenge has no flows",
        &[first(&[O::GetToken, O::DeleteDevice, O::DeleteDevices, O::ChangePassword], When::Challenge, &[C::Drop("/flows")])])
        .also(super::uia::UNREADABLE),
];
