//! Faults of groups A to D and U: bodies, errors, routes, CORS, rate limits.

use super::super::edit::{Change as C, Turn};
use super::super::refusal::Refusal as R;
use super::super::route::Operation as O;
use super::lists::{NO_ERROR_OBJECT, WHOAMI};
use super::{Fault, Need, When, behaviours, data, edit};

const JSON: &str =
    "Client-Server API, API standards: answers are JSON objects in UTF-8 with their media type";
const ERRORS: &str = "Client-Server API, Standard error response";
const COMMON: &str = "Client-Server API, Common error codes";
const ROUTES: &str = "Client-Server API, Common error codes: M_UNRECOGNIZED with 404 and 405";
const CORS: &str = "Client-Server API, Web browser clients";
const LIMITS: &str = "Client-Server API, Rate limiting";
const LOGIN_400: &str = "POST /login, 400";

const UNKNOWN_DEVICE: When = When::Because(&[R::DeviceUnknown, R::DeviceOfAnother]);
const UNKNOWN_PATH: When = When::Because(&[R::UnknownEndpoint]);
const OTHER_METHOD: When = When::Because(&[R::UnknownMethod]);
const LIMITED: When = When::Status(429);

/// Operations of the API itself, without the well-known file and the pages.
const API: &[O] = &[
    O::Versions,
    O::AuthMetadata,
    O::Capabilities,
    O::Flows,
    O::Login,
    O::GetToken,
    O::Logout,
    O::LogoutAll,
    O::Refresh,
    O::Whoami,
    O::Devices,
    O::Device,
    O::RenameDevice,
    O::DeleteDevice,
    O::DeleteDevices,
    O::Register,
    O::RegisterAvailable,
    O::ChangePassword,
    O::Deactivate,
];

/// What breaks with the answer to an unknown path, beside the requirement itself.
const OFF: &[&str] = &["route.optional_endpoint.absent", "auth.discovery.metadata_404"];

#[rustfmt::skip]
pub(super) static DATA: &[Fault] = &[
    // Bodies of answers.
    data("logout-answers-list", "http.response.json_object", JSON, "logout answers with a list around the object",
        &[edit(&[O::Logout], When::Success, &[C::Wrap])]).also(&["logout.ok"]),
    data("logout-all-answers-trailing-text", "http.response.json_object", JSON, "logout/all answers with text after the object",
        &[edit(&[O::LogoutAll], When::Success, &[C::Suffix("\nok")])]).also(&["logout_all.ok"]),
    data("rename-answers-nothing", "http.response.json_object", JSON, "renaming a device answers 200 without a body",
        &[edit(&[O::RenameDevice], When::Success, &[C::Bytes("application/json", b"")])])
        .also(&["device.put.rename", "http.response.schema"]),
    data("json-as-text-plain", "http.response.content_type", JSON, "all JSON is sent as text/plain",
        &[edit(&[], When::Always, &[C::MediaType("text/plain")])]).also(&["well_known.get.json"]),
    data("json-without-media-type-on-errors", "http.response.content_type", JSON, "errors are sent without a media type",
        &[edit(&[], When::Error, &[C::MediaType("")])]),
    data("login-json-as-html", "http.response.content_type", JSON, "a good login is sent as text/html",
        &[edit(&[O::Login], When::Success, &[C::MediaType("text/html; charset=utf-8")])]),
    data("json-media-type-lookalike", "http.response.content_type", JSON, "whoami is sent as application/jsonp",
        &[edit(&[O::Whoami], When::Success, &[C::MediaType("application/jsonp")])]),
    data("json-charset-latin1", "http.response.utf8", JSON, "the media type names another character set",
        &[edit(API, When::Always, &[C::MediaType("application/json; charset=iso-8859-1")])]),
    data("error-text-in-latin1", "http.response.utf8", JSON, "the error for an unknown device has a letter in Latin-1",
        &[edit(&[O::Device], UNKNOWN_DEVICE, &[C::Bytes("application/json",
            b"{\"errcode\":\"M_NOT_FOUND\",\"error\":\"Unbekanntes Ger\xe4t\"}")])]).also(NO_ERROR_OBJECT),
    data("device-last-seen-text", "http.response.schema", "GET /devices/{deviceId}, 200", "last_seen_ts of a single device is a text",
        &[edit(&[O::Device], When::Success, &[C::Put("/last_seen_ts", "\"yesterday\"")])]),
    data("capabilities-list", "http.response.schema", "GET /capabilities, 200", "the capabilities are a list",
        &[edit(&[O::Capabilities], When::Success, &[C::Put("/capabilities", "[]")])])
        .also(&["get_token.capability.absent", "get_token.capability.shape"]),
    data("deactivate-without-result", "http.response.schema", "POST /account/deactivate, 200", "deactivation does not give id_server_unbind_result",
        &[edit(&[O::Deactivate], When::Success, &[C::Drop("/id_server_unbind_result")])]),
    // Bodies of requests.
    data("login-empty-body-500", "http.request.body_required", "POST /login: the body is required", "an empty body makes login fail with 500",
        &[edit(&[O::Login], When::Because(&[R::EmptyBody]), &[C::Refuse(500, "M_UNKNOWN")])]).also(&["error.malformed.no_5xx"]),
    data("login-empty-body-200", "http.request.body_required", "POST /login: the body is required", "an empty body is answered with 200 and an empty object",
        &[edit(&[O::Login], When::Because(&[R::EmptyBody]), &[C::Status(200), C::Put("", "{}")])])
        .also(&["login.post.ok.required", "error.not_json"]),
    data("refresh-empty-body-500", "http.request.body_required", "POST /refresh: the body is required", "an empty body makes refresh fail with 500",
        &[edit(&[O::Refresh], When::Because(&[R::EmptyBody]), &[C::Refuse(500, "M_UNKNOWN")])]).also(&["error.malformed.no_5xx"]),
    data("get-token-empty-body-500", "http.request.body_required", "POST /v1/login/get_token: the body is required",
        "an empty body makes get_token fail with 500",
        &[edit(&[O::GetToken], When::Because(&[R::EmptyBody]), &[C::Refuse(500, "M_UNKNOWN")])])
        .also(&["error.malformed.no_5xx", "uia.non_auth_error"]),
    data("login-list-body-500", "http.request.body_object", COMMON, "a body that is no object makes login fail with 500",
        &[edit(&[O::Login], When::Because(&[R::NotObject]), &[C::Refuse(500, "M_UNKNOWN")])])
        .also(&["error.malformed.no_5xx", "error.bad_json"]),
    data("login-list-body-403", "http.request.body_object", COMMON, "a body that is no object is refused with 403",
        &[edit(&[O::Login], When::Because(&[R::NotObject]), &[C::Refuse(403, "M_FORBIDDEN")])]).also(&["error.bad_json"]),
    data("login-list-body-404", "http.request.body_object", COMMON, "a body that is no object is refused with 404",
        &[edit(&[O::Login], When::Because(&[R::NotObject]), &[C::Refuse(404, "M_NOT_FOUND")])]).also(&["error.bad_json"]),
    // Errors.
    data("device-error-as-text", "error.shape.object", ERRORS, "the error for an unknown device is a JSON string",
        &[edit(&[O::Device], UNKNOWN_DEVICE, &[C::Put("", "\"M_NOT_FOUND\"")])])
        .also(&["error.shape.errcode", "error.shape.error", "http.response.json_object"]),
    data("login-403-as-list", "error.shape.object", ERRORS, "the error for a wrong password stands in a list",
        &[edit(&[O::Login], When::Because(&[R::WrongPassword]), &[C::Wrap])])
        .also(&["http.response.json_object", "error.shape.errcode", "error.shape.error", "login.password.wrong.errcode",
            "login.post.403.shape", "login.password.exact", "login.password.empty"]),
    data("device-error-without-errcode", "error.shape.errcode", ERRORS, "the error for an unknown device has no errcode",
        &[edit(&[O::Device], UNKNOWN_DEVICE, &[C::Drop("/errcode")])]),
    data("device-errcode-null", "error.shape.errcode", ERRORS, "the errcode for an unknown device is null",
        &[edit(&[O::Device], UNKNOWN_DEVICE, &[C::Put("/errcode", "null")])]),
    data("not-json-errcode-number", "error.shape.errcode", ERRORS, "the errcode for broken JSON is a number",
        &[edit(&[O::Login], When::Because(&[R::NotJson, R::EmptyBody]), &[C::Put("/errcode", "400")])])
        .also(&["error.not_json", "login.post.400.shape", "http.request.body_required"]),
    data("errors-without-text", "error.shape.error", ERRORS, "no error has a text",
        &[edit(&[], When::Error, &[C::Drop("/error")])]),
    data("device-error-text-number", "error.shape.error", ERRORS, "the text of the error for an unknown device is a number",
        &[edit(&[O::Device], UNKNOWN_DEVICE, &[C::Put("/error", "404")])]),
    data("unknown-token-text-null", "error.shape.error", ERRORS, "the text of the error for an unknown access token is null",
        &[edit(API, When::Because(&[R::UnknownToken]), &[C::Put("/error", "null")])]),
    data("device-errcode-lower-case", "error.errcode.namespace", ERRORS, "the errcode for an unknown device is in lower case",
        &[edit(&[O::Device], UNKNOWN_DEVICE, &[C::Code("m_not_found")])]),
    data("device-errcode-invented", "error.errcode.namespace", ERRORS, "the errcode for an unknown device is invented under M_",
        &[edit(&[O::Device], UNKNOWN_DEVICE, &[C::Code("M_NO_SUCH_DEVICE")])]),
    data("device-errcode-without-namespace", "error.errcode.namespace", ERRORS, "the errcode for an unknown device has no namespace",
        &[edit(&[O::Device], UNKNOWN_DEVICE, &[C::Code("NOTFOUND")])]),
    data("not-json-code-unknown", "error.not_json", COMMON, "broken JSON is refused with M_UNKNOWN",
        &[edit(&[O::Login], When::Because(&[R::NotJson]), &[C::Code("M_UNKNOWN")])]),
    data("not-json-422", "error.not_json", COMMON, "broken JSON is refused with 422",
        &[edit(&[O::Login], When::Because(&[R::NotJson]), &[C::Status(422)])]),
    data("not-json-500", "error.not_json", COMMON, "broken JSON makes login fail with 500",
        &[edit(&[O::Login], When::Because(&[R::NotJson]), &[C::Refuse(500, "M_UNKNOWN")])]).also(&["error.malformed.no_5xx"]),
    data("bad-json-code-forbidden", "error.bad_json", COMMON, "missing and mistyped members are refused with 400 M_FORBIDDEN",
        &[edit(&[O::Login], When::Because(&[R::TypeMissing, R::TypeNotString, R::PasswordMissing, R::PasswordNotString,
            R::IdentifierMissing, R::IdentifierNotObject, R::IdentifierUserMissing, R::LoginTokenMissing]),
            &[C::Code("M_FORBIDDEN")])]),
    data("bad-json-409", "login.post.type.not_string", COMMON, "mistyped members are refused with 409",
        &[edit(&[O::Login], When::Because(&[R::TypeNotString, R::PasswordNotString, R::IdentifierNotObject]), &[C::Status(409)])])
        .also(&["error.bad_json", "login.password.not_string", "login.identifier.not_object"]),
    data("login-type-number-500", "error.malformed.no_5xx", LOGIN_400, "a type that is no string makes login fail with 500",
        &[edit(&[O::Login], When::Because(&[R::TypeNotString]), &[C::Refuse(500, "M_UNKNOWN")])])
        .also(&["login.post.type.not_string", "error.bad_json"]),
    data("login-identifier-text-500", "error.malformed.no_5xx", LOGIN_400, "an identifier that is no object makes login fail with 500",
        &[edit(&[O::Login], When::Because(&[R::IdentifierNotObject]), &[C::Refuse(500, "M_UNKNOWN")])])
        .also(&["login.identifier.not_object", "error.bad_json"]),
    data("login-password-object-500", "error.malformed.no_5xx", LOGIN_400, "a password that is no string makes login fail with 500",
        &[edit(&[O::Login], When::Because(&[R::PasswordNotString]), &[C::Refuse(500, "M_UNKNOWN")])])
        .also(&["login.password.not_string", "error.bad_json"]),
    data("login-device-id-number-500", "error.malformed.no_5xx", LOGIN_400, "a device_id that is no string makes login fail with 500",
        &[edit(&[O::Login], When::Because(&[R::DeviceIdNotString]), &[C::Refuse(500, "M_UNKNOWN")])])
        .also(&["device.login.id_not_string", "error.bad_json"]),
    data("soft-logout-text", "error.soft_logout.type", "Client-Server API, Soft logout", "soft_logout is a text for an unknown token",
        &[edit(API, When::Because(&[R::UnknownToken]), &[C::Put("/soft_logout", "\"false\"")])]),
    data("soft-logout-on-403", "error.soft_logout.type", "Client-Server API, Soft logout", "a wrong password is refused with soft_logout, though not with 401",
        &[edit(&[O::Login], When::Because(&[R::WrongPassword]), &[C::Put("/soft_logout", "true")])]),
    // Routes.
    data("unknown-path-400", "route.unknown_endpoint.status", ROUTES, "an unknown path is refused with 400",
        &[edit(&[], UNKNOWN_PATH, &[C::Status(400)])]).also(OFF),
    data("unknown-path-403", "route.unknown_endpoint.status", ROUTES, "an unknown path is refused with 403 M_FORBIDDEN",
        &[edit(&[], UNKNOWN_PATH, &[C::Refuse(403, "M_FORBIDDEN")])])
        .also(&["route.unknown_endpoint.errcode", "route.optional_endpoint.absent", "auth.discovery.metadata_404"]),
    data("unknown-path-200", "route.unknown_endpoint.status", ROUTES, "an unknown path is answered with 200 and an empty object",
        &[edit(&[], UNKNOWN_PATH, &[C::Status(200), C::Put("", "{}")])])
        .also(&["route.unknown_endpoint.errcode", "route.optional_endpoint.absent", "auth.discovery.metadata_404"]),
    data("unknown-path-code-not-found", "route.unknown_endpoint.errcode", ROUTES, "an unknown path is refused with 404 M_NOT_FOUND",
        &[edit(&[], UNKNOWN_PATH, &[C::Code("M_NOT_FOUND")])]).also(OFF),
    data("unknown-path-code-absent", "route.unknown_endpoint.errcode", ROUTES, "the 404 for an unknown path has no errcode",
        &[edit(&[], UNKNOWN_PATH, &[C::Drop("/errcode")])])
        .also(&["error.shape.errcode", "route.optional_endpoint.absent", "auth.discovery.metadata_404"]),
    data("unknown-path-html", "route.unknown_endpoint.errcode", ROUTES, "an unknown path is answered with an HTML page",
        &[edit(&[], UNKNOWN_PATH, &[C::Bytes("text/html", b"<h1>Not found</h1>")])])
        .also(&["http.response.json_object", "http.response.content_type", "error.shape.object", "error.shape.errcode",
            "error.shape.error", "route.optional_endpoint.absent", "auth.discovery.metadata_404"]),
    data("wrong-method-404", "route.unknown_method.status", ROUTES, "a known path with another method is refused with 404",
        &[edit(&[], OTHER_METHOD, &[C::Status(404)])]),
    data("wrong-method-400", "route.unknown_method.status", ROUTES, "a known path with another method is refused with 400",
        &[edit(&[], OTHER_METHOD, &[C::Status(400)])]),
    data("wrong-method-500", "route.unknown_method.status", ROUTES, "a known path with another method fails with 500",
        &[edit(&[], OTHER_METHOD, &[C::Refuse(500, "M_UNKNOWN")])]).also(&["route.unknown_method.errcode", "error.malformed.no_5xx"]),
    data("wrong-method-code-unknown", "route.unknown_method.errcode", ROUTES, "the 405 says M_UNKNOWN",
        &[edit(&[], OTHER_METHOD, &[C::Code("M_UNKNOWN")])]),
    data("wrong-method-empty-object", "route.unknown_method.errcode", ROUTES, "the 405 is an empty object",
        &[edit(&[], OTHER_METHOD, &[C::Put("", "{}")])]).also(&["error.shape.errcode", "error.shape.error"]),
    // CORS.
    data("options-login-405", "cors.options.supported", CORS, "OPTIONS /login is refused with 405",
        &[edit(&[O::Flows], When::Options, &[C::Refuse(405, "M_UNRECOGNIZED")])]).also(&["cors.preflight.answered"]),
    data("options-v1-404", "cors.options.supported", CORS, "OPTIONS on get_token is refused with 404",
        &[edit(&[O::GetToken], When::Options, &[C::Refuse(404, "M_UNRECOGNIZED")])]).also(&["cors.preflight.answered"]),
    data("options-devices-500", "cors.options.supported", CORS, "OPTIONS on the devices fails with 500",
        &[edit(&[O::Devices, O::Device], When::Options, &[C::Refuse(500, "M_UNKNOWN")])]).also(&["cors.preflight.answered", "error.malformed.no_5xx"]),
    data("options-bare-405", "cors.options.supported", CORS, "OPTIONS without Access-Control-Request-Method is refused with 405",
        &[edit(API, When::BareOptions, &[C::Refuse(405, "M_UNRECOGNIZED")])]),
    data("preflight-without-cors", "cors.preflight.answered", CORS, "a preflight is answered without CORS headers",
        &[edit(API, When::Preflight, &[C::NoCors])]).also(&["cors.allow_origin", "cors.allow_methods", "cors.allow_headers"]),
    data("allow-origin-fixed", "cors.allow_origin", CORS, "Access-Control-Allow-Origin names one client",
        &[edit(API, When::Always, &[C::Header("access-control-allow-origin", "https://app.example.org")])]),
    data("allow-origin-null", "cors.allow_origin", CORS, "Access-Control-Allow-Origin is null",
        &[edit(API, When::Always, &[C::Header("access-control-allow-origin", "null")])]),
    data("allow-origin-doubled", "cors.allow_origin", CORS, "Access-Control-Allow-Origin has two values",
        &[edit(API, When::Always, &[C::Header("access-control-allow-origin", "*, *")])]),
    data("allow-methods-without-put", "cors.allow_methods", CORS, "Access-Control-Allow-Methods lacks PUT",
        &[edit(API, When::Always, &[C::Header("access-control-allow-methods", "GET, POST, DELETE, OPTIONS")])]),
    data("allow-methods-without-delete", "cors.allow_methods", CORS, "Access-Control-Allow-Methods lacks DELETE",
        &[edit(API, When::Always, &[C::Header("access-control-allow-methods", "GET, POST, PUT, OPTIONS")])]),
    data("allow-methods-absent", "cors.allow_methods", CORS, "OPTIONS is answered without Access-Control-Allow-Methods",
        &[edit(API, When::Options, &[C::NoHeader("access-control-allow-methods")])]),
    data("allow-headers-without-authorization", "cors.allow_headers", CORS, "Access-Control-Allow-Headers lacks Authorization",
        &[edit(API, When::Always, &[C::Header("access-control-allow-headers", "X-Requested-With, Content-Type")])]),
    data("allow-headers-without-content-type", "cors.allow_headers", CORS, "Access-Control-Allow-Headers lacks Content-Type",
        &[edit(API, When::Always, &[C::Header("access-control-allow-headers", "X-Requested-With, Authorization")])]),
    data("allow-headers-wildcard", "cors.allow_headers", CORS, "Access-Control-Allow-Headers is a wildcard, which does not cover Authorization",
        &[edit(API, When::Always, &[C::Header("access-control-allow-headers", "*")])]),
    data("allow-headers-absent", "cors.allow_headers", CORS, "OPTIONS is answered without Access-Control-Allow-Headers",
        &[edit(API, When::Options, &[C::NoHeader("access-control-allow-headers")])]),
    data("cors-absent-on-success", "cors.actual_response", CORS, "answers of success have no CORS headers",
        &[edit(API, When::Success, &[C::NoCors])]).also(&["cors.allow_origin"]),
    data("cors-absent-on-login", "cors.actual_response", CORS, "a good login has no CORS headers",
        &[edit(&[O::Login], When::Success, &[C::NoCors])]).also(&["cors.allow_origin"]),
    data("cors-absent-on-errors", "cors.error_response", CORS, "errors have no CORS headers",
        &[edit(&[], When::Error, &[C::NoCors])]).also(&["cors.allow_origin"]),
    data("cors-absent-on-404", "cors.error_response", CORS, "an unknown path is refused without CORS headers",
        &[edit(&[], UNKNOWN_PATH, &[C::NoCors])]).also(&["cors.allow_origin"]),
    data("cors-absent-on-401", "cors.error_response", CORS, "the refusal of an access token has no CORS headers",
        &[edit(&[], When::Because(&[R::MissingToken, R::UnknownToken]), &[C::NoCors])]).also(&["cors.allow_origin"]),
    data("cors-absent-on-429", "cors.error_response", CORS, "a 429 has no CORS headers",
        &[edit(&[], LIMITED, &[C::NoCors])]).also(&["cors.allow_origin"]).needs(Need::LoginLimit),
    // Rate limits.
    data("rate-limit-code-forbidden", "rate_limit.errcode", LIMITS, "a 429 says M_FORBIDDEN",
        &[edit(&[], LIMITED, &[C::Code("M_FORBIDDEN")])]).also(&["rate_limit.status"]).needs(Need::LoginLimit),
    data("rate-limit-code-absent", "rate_limit.errcode", LIMITS, "a 429 has no errcode",
        &[edit(&[], LIMITED, &[C::Drop("/errcode")])])
        .also(&["error.shape.errcode", "login.post.rate_limited", "rate_limit.status"]).needs(Need::LoginLimit),
    data("rate-limit-403", "rate_limit.status", LIMITS, "M_LIMIT_EXCEEDED comes with 403",
        &[edit(&[], LIMITED, &[C::Status(403)])]).also(&["rate_limit.exists"]).needs(Need::LoginLimit),
    data("rate-limit-503", "rate_limit.status", LIMITS, "M_LIMIT_EXCEEDED comes with 503",
        &[edit(&[], LIMITED, &[C::Status(503)])]).also(&["error.malformed.no_5xx", "rate_limit.exists"]).needs(Need::LoginLimit),
    data("rate-limit-without-header", "rate_limit.retry_after.header", LIMITS, "a 429 has no Retry-After",
        &[edit(&[], LIMITED, &[C::NoHeader("retry-after")])]).needs(Need::LoginLimit),
    data("rate-limit-header-words", "rate_limit.retry_after.grammar", LIMITS, "Retry-After says soon",
        &[edit(&[], LIMITED, &[C::Header("retry-after", "soon")])]).also(&["rate_limit.consistent"]).needs(Need::LoginLimit),
    data("rate-limit-header-fraction", "rate_limit.retry_after.grammar", LIMITS, "Retry-After is a fraction",
        &[edit(&[], LIMITED, &[C::Header("retry-after", "0.5")])]).also(&["rate_limit.consistent"]).needs(Need::LoginLimit),
    data("rate-limit-header-negative", "rate_limit.retry_after.grammar", LIMITS, "Retry-After is negative",
        &[edit(&[], LIMITED, &[C::Header("retry-after", "-1")])]).also(&["rate_limit.consistent"]).needs(Need::LoginLimit),
    data("rate-limit-ms-text", "rate_limit.retry_after_ms.type", LIMITS, "retry_after_ms is a text",
        &[edit(&[], LIMITED, &[C::Put("/retry_after_ms", "\"500\"")])]).also(&["login.post.rate_limited"]).needs(Need::LoginLimit),
    data("rate-limit-ms-fraction", "rate_limit.retry_after_ms.type", LIMITS, "retry_after_ms is a fraction",
        &[edit(&[], LIMITED, &[C::Put("/retry_after_ms", "250.5")])]).also(&["login.post.rate_limited"]).needs(Need::LoginLimit),
    data("rate-limit-ms-null", "rate_limit.retry_after_ms.type", LIMITS, "retry_after_ms is null",
        &[edit(&[], LIMITED, &[C::Put("/retry_after_ms", "null")])]).also(&["login.post.rate_limited"]).needs(Need::LoginLimit),
    data("rate-limit-header-milliseconds", "rate_limit.retry_after.grammar", LIMITS, "Retry-After is in milliseconds, like retry_after_ms",
        &[edit(&[], LIMITED, &[C::Header("retry-after", "1500"), C::Put("/retry_after_ms", "1500")])])
        .also(&["rate_limit.consistent"]).needs(Need::LoginLimit),
    data("rate-limit-header-longer", "rate_limit.consistent", LIMITS, "Retry-After is far longer than retry_after_ms",
        &[edit(&[], LIMITED, &[C::Header("retry-after", "4"), C::Put("/retry_after_ms", "500")])]).needs(Need::LoginLimit),
    data("rate-limit-disagrees", "rate_limit.consistent", LIMITS, "Retry-After is far shorter than retry_after_ms",
        &[edit(&[], LIMITED, &[C::Header("retry-after", "1"), C::Put("/retry_after_ms", "5000")])]).needs(Need::LoginLimit),
    data("login-429-without-code", "login.post.rate_limited", "POST /login, 429", "a 429 of login is an empty object",
        &[edit(&[O::Login], LIMITED, &[C::Put("", "{}")])])
        .also(&["error.shape.errcode", "error.shape.error", "rate_limit.errcode", "rate_limit.status"]).needs(Need::LoginLimit),
    data("flows-429-without-code", "login.get.rate_limited", "GET /login, 429", "every fourth GET /login is a 429 without errcode",
        &[super::Edit { turn: Turn::Every(4), ..edit(&[O::Flows], When::Success, &[C::Status(429), C::Header("retry-after", "1"),
            C::Put("", r#"{"error": "Slow down", "retry_after_ms": 10}"#)]) }])
        .also(&["error.shape.errcode", "rate_limit.errcode", "rate_limit.status", "login.get.public"]),
    data("refresh-429-without-code", "refresh.rate_limited", "POST /refresh, 429", "every third good refresh is a 429 without errcode",
        &[super::Edit { turn: Turn::Every(3), ..edit(&[O::Refresh], When::Success, &[C::Status(429), C::Header("retry-after", "1"),
            C::Put("", r#"{"error": "Slow down", "retry_after_ms": 10}"#)]) }])
        .also(&["error.shape.errcode", "rate_limit.errcode", "rate_limit.status"]),
];

behaviours! {
    LOGIN_NEEDS_CONTENT_TYPE "login-needs-content-type" breaks "http.request.content_type_optional", also &[],
        "Client-Server API, API standards: clients should send a media type, servers do not depend on it",
        "login without a media type is refused as not JSON";
    BODY_NEEDS_CONTENT_TYPE "body-needs-content-type" breaks "http.request.content_type_optional", also &[],
        "Client-Server API, API standards: clients should send a media type, servers do not depend on it",
        "every operation but login refuses a body without a media type as not JSON";
    LOGIN_CONTENT_TYPE_EXACT "login-content-type-exact" breaks "http.request.content_type_params", also &[],
        "Client-Server API, API standards", "login refuses application/json with a parameter";
    LOGIN_READ_AS_LATIN1 "login-read-as-latin1" breaks "http.request.utf8_nonascii", also &["http.request.json_escapes"],
        "Client-Server API, API standards: UTF-8", "the body of a login is read as Latin-1";
    DISPLAY_NAME_ASCII "device-name-loses-non-ascii" breaks "http.request.utf8_nonascii", also &["http.request.json_escapes"],
        "Client-Server API, API standards: UTF-8", "letters outside ASCII become question marks in device names";
    LOGIN_ESCAPES_KEPT "login-escapes-kept" breaks "http.request.json_escapes", also &[],
        "Client-Server API, API standards: JSON", "\\u escapes in the body of a login are not undone";
    LOGIN_SURROGATES_APART "login-surrogate-pairs-apart" breaks "http.request.json_escapes", also &[],
        "Client-Server API, API standards: JSON", "the two escapes of a letter outside the first plane are read as two letters";
    LOGIN_REFUSES_UNKNOWN_KEYS "login-refuses-unknown-keys" breaks "http.request.unknown_keys", also &[],
        "POST /login, request body", "a member that no release knows makes login fail with 400";
    LOGIN_REFUSES_NAMESPACED_KEYS "login-ignores-with-unknown-keys" breaks "http.request.unknown_keys", also &[],
        "POST /login, request body", "a member with a dot in its name makes a right login fail with 403";
    RESOURCE_LIMIT_BARE "resource-limit-without-contact" breaks "error.resource_limit.admin_contact", also &[],
        "Client-Server API, M_RESOURCE_LIMIT_EXCEEDED", "every fifth login is refused for a resource limit without admin_contact";
    RESOURCE_LIMIT_CONTACT_NUMBER "resource-limit-contact-number" breaks "error.resource_limit.admin_contact", also &[],
        "Client-Server API, M_RESOURCE_LIMIT_EXCEEDED", "every fifth login is refused for a resource limit with a number as admin_contact";
    USER_LIMIT_BARE "user-limit-without-info" breaks "error.user_limit.info_uri", also &[],
        "Client-Server API, M_USER_LIMIT_EXCEEDED", "every fifth login is refused for a user limit without info_uri";
    USER_LIMIT_INFO_NUMBER "user-limit-info-number" breaks "error.user_limit.info_uri", also &[],
        "Client-Server API, M_USER_LIMIT_EXCEEDED", "every fifth login is refused for a user limit with a number as info_uri";
    USER_LIMIT_UPGRADE_TEXT "user-limit-upgrade-text" breaks "error.user_limit.can_upgrade", also &[],
        "Client-Server API, M_USER_LIMIT_EXCEEDED", "every fifth login is refused for a user limit with a text as can_upgrade";
    UNKNOWN_PATH_IS_PREFIX "unknown-path-as-login" breaks "route.unknown_endpoint.status",
        also &["route.unknown_endpoint.errcode"],
        "Client-Server API, Common error codes: M_UNRECOGNIZED", "paths below /login that do not exist are taken for /login";
    WRONG_METHOD_RUNS_LOGIN "wrong-method-runs-login" breaks "route.unknown_method.status", also &["route.unknown_method.errcode"],
        "Client-Server API, Common error codes: M_UNRECOGNIZED", "PUT /login is taken for POST /login";
    WRONG_METHOD_RUNS_LOGOUT "wrong-method-runs-logout" breaks "route.unknown_method.status", also &["route.unknown_method.errcode"],
        "Client-Server API, Common error codes: M_UNRECOGNIZED", "GET /logout and GET /logout/all are taken for POST";
    GET_TOKEN_OFF_403 "get-token-off-403" breaks "route.optional_endpoint.absent", also &["get_token.optional"], needs NoGetToken,
        "POST /v1/login/get_token is optional; M_UNRECOGNIZED for what is not there", "get_token that is switched off is refused with 403";
    GET_TOKEN_OFF_400 "get-token-off-400" breaks "route.optional_endpoint.absent", also &["get_token.optional"], needs NoGetToken,
        "POST /v1/login/get_token is optional; M_UNRECOGNIZED for what is not there", "get_token that is switched off is refused with 400 M_UNKNOWN";
    R0_PATHS_GONE "r0-paths-gone" breaks "route.r0_prefix", also &[],
        "Specification versions: paths of a release that is listed", "the r0 paths are gone though r0 releases are listed";
    R0_LOGIN_ALONE "r0-login-alone" breaks "route.r0_prefix", also &[],
        "Specification versions: paths of a release that is listed", "of the r0 paths only /login is left though r0 releases are listed";
    V3_LOGOUT_ALL_MISSING "v3-logout-all-missing" breaks "route.v3_prefix",
        also &["logout_all.ok", "logout_all.empty_body", "logout_all.tokens_dead", "logout_all.devices_gone", "logout_all.no_uia",
            "logout_all.auth_required", "logout_all.refresh_tokens_dead", "token.missing.status", "token.missing.errcode",
            "token.unknown.status", "token.unknown.errcode", "route.unknown_method.status"],
        "POST /v3/logout/all", "logout/all exists under r0 alone";
    V3_WHOAMI_MISSING "v3-whoami-missing" breaks "route.v3_prefix", also WHOAMI,
        "GET /v3/account/whoami", "whoami exists under r0 alone";
    OPTIONS_ASKS_FOR_TOKEN "options-asks-for-token" breaks "cors.options.no_logic",
        also &["cors.options.supported", "cors.preflight.answered", "token.missing.status"],
        "Client-Server API, Web browser clients: OPTIONS runs no logic", "OPTIONS on an operation that needs a token is refused without one";
    OPTIONS_LOGS_OUT "options-logs-out" breaks "cors.options.no_logic", also &[],
        "Client-Server API, Web browser clients: OPTIONS runs no logic", "OPTIONS /logout ends the session of its token";
    OPTIONS_LOGS_OUT_ALL "options-logs-out-all" breaks "cors.options.no_logic", also &[],
        "Client-Server API, Web browser clients: OPTIONS runs no logic", "OPTIONS /logout/all ends the sessions of its token's user";
    OPTIONS_REFRESHES "options-refreshes" breaks "cors.options.no_logic", also &[],
        "Client-Server API, Web browser clients: OPTIONS runs no logic", "OPTIONS /refresh with a refresh token in the body gives tokens";
    OPTIONS_LOGS_IN "options-logs-in" breaks "cors.options.no_logic", also &[],
        "Client-Server API, Web browser clients: OPTIONS runs no logic", "OPTIONS /login with credentials in the body logs in";
    RATE_LIMIT_NONE "rate-limit-none" breaks "rate_limit.exists", also &[], needs LoginLimit,
        "Client-Server API, Rate limiting: homeservers should limit", "logins are not limited";
    RATE_LIMIT_FOREVER "rate-limit-forever" breaks "rate_limit.recovers", also &[], needs LoginLimit,
        "Client-Server API, Rate limiting", "an address that was once refused stays refused, whatever was announced";
}
