//! Faults of group M: devices and their tokens.

use super::super::edit::Change as C;
use super::super::refusal::Refusal as R;
use super::super::route::Operation as O;
use super::{Fault, When, behaviours, data, edit};

const LIST: &str = "GET /devices, 200";
const GET: &str = "GET /devices/{deviceId}";
const PUT: &str = "PUT /devices/{deviceId}";

const OK: When = When::Success;

#[rustfmt::skip]
pub(super) static DATA: &[Fault] = &[
    data("device-reuse-old-token-403", "device.login.reuse.old_token", "Client-Server API, Relationship between access tokens and devices",
        "the earlier token of a device that logs in again is refused with 403",
        &[edit(&[], When::Because(&[R::ReplacedToken]), &[C::Refuse(403, "M_FORBIDDEN")])]).also(&["token.unknown.status", "token.unknown.errcode"]),
    data("device-named-like-key-400", "device.login.cross_signing", "POST /login, 403: device_id is a cross-signing key",
        "a device_id that is a cross-signing key is refused with 400",
        &[edit(&[O::Login], When::Because(&[R::CrossSigningDevice]), &[C::Refuse(400, "M_INVALID_PARAM")])]),
    data("device-named-like-key-code", "device.login.cross_signing", "POST /login, 403: device_id is a cross-signing key",
        "a device_id that is a cross-signing key is refused with M_UNKNOWN",
        &[edit(&[O::Login], When::Because(&[R::CrossSigningDevice]), &[C::Code("M_UNKNOWN")])]),
    data("device-id-number-403", "device.login.id_not_string", "POST /login: device_id is a string", "a device_id that is no string is refused with 403",
        &[edit(&[O::Login], When::Because(&[R::DeviceIdNotString]), &[C::Refuse(403, "M_FORBIDDEN")])]).also(&["error.bad_json"]),
    data("devices-absent", "device.list.shape", LIST, "the list of devices is absent",
        &[edit(&[O::Devices], OK, &[C::Drop("/devices")])]).also(LISTED),
    data("devices-object", "device.list.shape", LIST, "the devices are an object",
        &[edit(&[O::Devices], OK, &[C::Put("/devices", "{}")])]).also(LISTED),
    data("devices-without-ids", "device.list.shape", LIST, "the listed devices have no ids",
        &[edit(&[O::Devices], OK, &[C::Drop("/devices/*/device_id")])]).also(LISTED),
    data("devices-id-number", "device.list.shape", LIST, "a listed device has a number for its id",
        &[edit(&[O::Devices], OK, &[C::Push("/devices", r#"{"device_id": 5}"#)])])
        .also(&["device.login.reuse.single", "logout_all.devices_gone"]),
    data("devices-last-seen-text", "device.list.shape", LIST, "last_seen_ts is a text",
        &[edit(&[O::Devices], OK, &[C::Put("/devices/*/last_seen_ts", "\"yesterday\"")])]),
    data("devices-name-null", "device.list.shape", LIST, "display_name of the listed devices is null",
        &[edit(&[O::Devices], OK, &[C::Put("/devices/*/display_name", "null")])]),
    data("devices-empty", "device.list.current", LIST, "the list of devices is empty",
        &[edit(&[O::Devices], OK, &[C::Put("/devices", "[]")])])
        .also(&["device.login.created", "device.login.reuse.single", "logout_all.devices_gone", "device.login.per_user",
            "device.login.others_survive"]),
    data("devices-other", "device.list.current", LIST, "the list has one device, which is none of the user's",
        &[edit(&[O::Devices], OK, &[C::Put("/devices", r#"[{"device_id": "OTHER"}]"#)])])
        .also(&["device.login.created", "device.login.reuse.single", "logout_all.devices_gone", "device.login.per_user",
            "device.login.others_survive", "logout.others_survive", "login.post.failure.no_session"]),
    data("device-id-number-404", "device.login.id_not_string", "POST /login: device_id is a string", "a device_id that is no string is refused with 404",
        &[edit(&[O::Login], When::Because(&[R::DeviceIdNotString]), &[C::Refuse(404, "M_NOT_FOUND")])]).also(&["error.bad_json"]),
    data("device-get-other-id", "device.get.ok", GET, "a device is shown with another id",
        &[edit(&[O::Device], OK, &[C::Put("/device_id", "\"OTHER\"")])]).also(&["device.login.created", "device.login.per_user"]),
    data("device-get-without-id", "device.get.ok", GET, "a device is shown without its id",
        &[edit(&[O::Device], OK, &[C::Drop("/device_id")])])
        .also(&["device.login.created", "device.login.per_user", "http.response.schema"]),
    data("device-get-404", "device.get.ok", GET, "no single device is shown",
        &[edit(&[O::Device], OK, &[C::Refuse(404, "M_NOT_FOUND")])])
        .also(&["device.login.created", "device.login.display_name", "device.login.display_name.ignored", "device.put.rename",
            "http.request.utf8_nonascii", "http.request.json_escapes", "device.login.per_user", "login.token.device_params",
            "device.login.others_survive"]),
    data("device-get-unknown-403", "device.get.unknown", GET, "an unknown device is refused with 403",
        &[edit(&[O::Device], When::Because(&[R::DeviceUnknown]), &[C::Refuse(403, "M_FORBIDDEN")])]).also(GONE),
    data("device-get-unknown-400", "device.get.unknown", GET, "an unknown device is refused with 400",
        &[edit(&[O::Device], When::Because(&[R::DeviceUnknown]), &[C::Refuse(400, "M_UNKNOWN")])]).also(GONE),
    data("device-get-unknown-200", "device.get.unknown", GET, "an unknown device is answered with 200 and nothing",
        &[edit(&[O::Device], When::Because(&[R::DeviceUnknown]), &[C::Status(200), C::Put("", "{}")])]).also(GONE_200),
    data("device-of-another-403", "device.get.isolation", GET, "another user's device is refused with 403",
        &[edit(&[O::Device], When::Because(&[R::DeviceOfAnother]), &[C::Refuse(403, "M_FORBIDDEN")])])
        .also(&["device.get.unknown", "device.login.per_user"]),
    data("device-rename-201", "device.put.rename", PUT, "renaming a device answers with 201",
        &[edit(&[O::RenameDevice], OK, &[C::Status(201)])]),
    data("device-rename-unknown-403", "device.put.unknown", PUT, "renaming an unknown device is refused with 403",
        &[edit(&[O::RenameDevice], When::Because(&[R::DeviceUnknown]), &[C::Refuse(403, "M_FORBIDDEN")])]),
    data("device-rename-unknown-200", "device.put.unknown", PUT, "renaming an unknown device answers 200 and does nothing",
        &[edit(&[O::RenameDevice], When::Because(&[R::DeviceUnknown]), &[C::Status(200), C::Put("", "{}")])]),
    data("device-delete-challenge-403", "device.delete.uia", "DELETE /devices/{deviceId}, 401", "deleting a device is refused with 403 and no challenge",
        &[edit(&[O::DeleteDevice], When::Challenge, &[C::Refuse(403, "M_FORBIDDEN")])])
        .also(&["device.delete.token_dead", "device.delete.idempotent", "uia.complete", "uia.challenge.flows"]),
    data("devices-201", "device.list.shape", "GET /devices, 200", "the list of devices comes with 201",
        &[edit(&[O::Devices], OK, &[C::Status(201)])]),
    data("devices-delete-202", "device.delete.bulk", "POST /delete_devices, 200", "deleting several devices answers with 202",
        &[edit(&[O::DeleteDevices], OK, &[C::Status(202)])]),
    data("device-delete-201", "device.delete.idempotent", "DELETE /devices/{deviceId}, 200", "deleting a device answers with 201",
        &[edit(&[O::DeleteDevice], OK, &[C::Status(201)])]),
];

/// What a list without devices breaks.
const LISTED: &[&str] = &[
    "device.list.current",
    "device.login.created",
    "device.login.reuse.single",
    "logout_all.devices_gone",
    "device.login.per_user",
    "logout.device_gone",
    "device.delete.bulk",
    "device.login.others_survive",
    "login.post.failure.no_session",
];

/// What an unknown device shows beside its own requirement.
const GONE: &[&str] =
    &["logout.device_gone", "device.put.unknown", "device.delete.bulk", "device.delete.token_dead"];

/// The same for an answer of success that is no device.
const GONE_200: &[&str] = &[
    "logout.device_gone",
    "device.put.unknown",
    "device.delete.bulk",
    "device.delete.token_dead",
    "http.response.schema",
];

behaviours! {
    GENERATED_EMPTY "device-id-generated-empty" breaks "device.login.generated",
        also &["device.login.generated.unique", "device.login.created", "whoami.device_id", "device.login.bound",
            "device.login.others_survive", "logout.others_survive", "device.get.ok", "device.list.current", "device.delete.token_dead"],
        "POST /login: without device_id the homeserver makes one", "the device id that is made is empty";
    GENERATED_ABSENT "device-id-generated-absent" breaks "device.login.generated",
        also &["login.post.ok.required", "login.post.ok.device_id.type", "device.login.generated.unique", "whoami.device_id",
            "device.login.bound"],
        "POST /login: without device_id the homeserver makes one", "the device id that is made is not told";
    GENERATED_CONSTANT "device-id-generated-constant" breaks "device.login.generated.unique",
        also &["device.login.others_survive", "logout.others_survive", "device.login.per_user", "login.post.failure.no_session",
            "logout_all.tokens_dead", "get_token.session_untouched", "device.delete.token_dead", "device.delete.bulk",
            "state.password_changed.logout_devices", "device.get.isolation", "login.token.single_use", "logout.device_gone",
            "logout_all.empty_body", "logout_all.devices_gone"],
        "Client-Server API, Relationship between access tokens and devices", "the device id that is made is always the same";
    GENERATED_BY_NAME "device-id-generated-by-name" breaks "device.login.generated.unique", also &[],
        "Client-Server API, Relationship between access tokens and devices",
        "a login without device_id takes the user's device of the same display name";
    DEVICE_ID_CAPITALS "device-id-capitals" breaks "device.login.echo",
        also &["device.login.created", "login.token.device_params", "device.login.display_name", "device.login.per_user",
            "device.login.bound", "http.request.utf8_nonascii", "http.request.json_escapes"],
        "POST /login, 200: device_id is the one that was given", "small letters in a device_id become capitals";
    DEVICE_ID_IGNORED "device-id-ignored" breaks "device.login.echo",
        also &["device.login.created", "login.token.device_params", "device.login.reuse.single", "device.login.display_name.ignored",
            "device.login.per_user", "device.login.display_name", "device.login.reuse.old_token", "device.login.cross_signing",
            "device.login.bound", "device.get.ok", "device.get.isolation", "logout.device_gone", "http.request.utf8_nonascii",
            "http.request.json_escapes", "device.login.reuse.new_token"],
        "POST /login, 200: device_id is the one that was given", "a device_id is not looked at";
    DEVICE_ID_STRIPPED "device-id-stripped" breaks "device.login.echo",
        also &["device.login.created", "login.token.device_params", "device.login.per_user", "device.login.bound"],
        "POST /login, 200: device_id is the one that was given", "punctuation is taken out of a device_id";
    DEVICE_ECHO_ONLY "device-id-echoed-only" breaks "device.login.bound",
        also &["device.login.created", "whoami.device_id", "device.list.current", "login.token.device_params",
            "device.login.reuse.single", "device.login.display_name", "device.login.display_name.ignored", "device.login.per_user",
            "token.record_device", "device.get.ok", "logout.device_gone", "http.request.utf8_nonascii", "http.request.json_escapes",
            "refresh.same_device", "device.put.rename", "device.delete.token_dead", "device.delete.bulk", "device.get.isolation",
            "device.login.cross_signing", "login.token.ok"],
        "POST /login: the access token is bound to the device", "the answer names the device that was asked for, the token belongs to another";
    GENERATED_UNTRUE "device-id-generated-untrue" breaks "device.login.bound", also &["whoami.device_id", "device.login.created"],
        "POST /login: the access token is bound to the device", "the answer names a device that was made, the token belongs to another";
    BOUND_TO_FIRST "device-token-of-first-device" breaks "device.login.bound", also &["whoami.device_id"],
        "POST /login: the access token is bound to the device", "all access tokens of a user belong to one of the devices";
    TOKEN_WITHOUT_DEVICE "device-not-recorded" breaks "whoami.device_id",
        also &["device.login.bound", "token.record_device", "logout.device_gone", "refresh.same_device", "logout.refresh_token_dead",
            "device.login.per_user", "login.token.device_params", "logout.device_keys_gone", "device.delete.token_dead",
            "device.delete.bulk", "state.password_changed.logout_devices", "logout.twice"],
        "Client-Server API, Relationship between access tokens and devices", "access tokens are not tied to their devices";
    DEVICE_NOT_CREATED "device-not-created" breaks "device.login.created",
        also &["device.list.current", "device.get.ok", "device.login.display_name", "device.login.display_name.ignored",
            "device.put.rename", "http.request.utf8_nonascii", "http.request.json_escapes", "device.login.reuse.single",
            "login.token.device_params", "device.login.per_user", "logout_all.devices_gone", "logout.device_keys_gone",
            "device.get.isolation", "device.login.others_survive"],
        "POST /login: a device is made", "a login makes no device";
    DEVICE_CHOSEN_NOT_CREATED "device-chosen-not-created" breaks "device.login.created", also &[],
        "POST /login: a device is made", "a login that gives a device_id makes no device";
    DEVICE_NAMELESS_HIDDEN "device-nameless-not-listed" breaks "device.login.created", also &["device.list.current"],
        "POST /login: a device is made", "a device without a name is not in the list";
    NAME_DROPPED "device-name-dropped" breaks "device.login.display_name",
        also &["http.request.utf8_nonascii", "http.request.json_escapes", "login.token.device_params", "device.login.display_name.ignored"],
        "POST /login: initial_device_display_name", "initial_device_display_name is not looked at";
    NAME_TRUNCATED "device-name-truncated" breaks "device.login.display_name",
        also &["http.request.utf8_nonascii", "http.request.json_escapes", "login.token.device_params", "device.login.display_name.ignored"],
        "POST /login: initial_device_display_name", "of a device name only the first four characters are kept";
    NAME_SMALL "device-name-small-letters" breaks "device.login.display_name",
        also &["http.request.utf8_nonascii", "http.request.json_escapes", "login.token.device_params", "device.login.display_name.ignored"],
        "POST /login: initial_device_display_name", "capitals in a device name become small letters";
    NAME_OVERWRITTEN "device-name-overwritten" breaks "device.login.display_name.ignored", also &[],
        "POST /login: initial_device_display_name is ignored for a known device", "a new login gives a known device a new name";
    NAME_CLEARED "device-name-cleared" breaks "device.login.display_name.ignored", also &[],
        "POST /login: initial_device_display_name is ignored for a known device", "a new login takes away the name of a known device";
    DEVICE_DOUBLED "device-doubled" breaks "device.login.reuse.single", also &[],
        "POST /login: a known device_id makes no new device", "a new login of a known device makes a second one beside it";
    DEVICE_LISTED_TWICE "device-reuse-listed-twice" breaks "device.login.reuse.single", also &[],
        "POST /login: a known device_id makes no new device", "a device that logged in again stands in the list twice";
    REUSE_TOKEN_DEAD "device-reuse-token-dead" breaks "device.login.reuse.new_token",
        also &["device.login.reuse.single", "device.login.display_name.ignored", "device.login.reuse.old_token", "login.post.ok.token_usable"],
        "POST /login, 200: access_token", "the access token of a new login on a known device is not known";
    REUSE_TOKEN_ONCE "device-reuse-token-once" breaks "device.login.reuse.new_token", also &[],
        "POST /login, 200: access_token", "the access token of a new login on a known device is good for one request";
    ENDS_OTHER_SESSIONS "login-ends-other-sessions" breaks "device.login.others_survive",
        also &["logout.others_survive", "login.post.failure.no_session", "logout.device_gone", "get_token.session_untouched",
            "device.delete.token_dead", "device.delete.bulk", "logout.device_keys_gone", "device.login.reuse.single",
            "token.record_device", "state.password_changed.own_token", "state.password_changed.logout_devices", "logout_all.tokens_dead",
            "logout_all.empty_body", "logout_all.devices_gone", "get_token.uia.always"],
        "POST /login: only the device's own tokens may end", "a login ends the user's other sessions";
    ENDS_OTHER_DEVICES "login-ends-other-devices" breaks "device.login.others_survive",
        also &["logout.others_survive", "logout.device_gone", "get_token.session_untouched", "device.delete.token_dead",
            "device.delete.bulk", "logout.device_keys_gone", "device.login.display_name.ignored", "state.password_changed.own_token",
            "state.password_changed.logout_devices", "logout_all.tokens_dead", "device.login.reuse.single", "logout_all.empty_body",
            "get_token.uia.always"],
        "POST /login: only the device's own tokens may end", "a login deletes the user's other devices";
    DEVICE_ID_GLOBAL "device-id-of-all-users" breaks "device.login.per_user", also &["device.get.isolation"],
        "Specification, Devices: a device id is unique in its user's scope", "a login takes the device away from another user with the same device_id";
    DEVICE_ID_TAKEN "device-id-taken" breaks "device.login.per_user", also &[],
        "Specification, Devices: a device id is unique in its user's scope", "a device_id that another user has is refused";
    CROSS_SIGNING_ALLOWED "device-named-like-key" breaks "device.login.cross_signing", also &[],
        "POST /login, 403: device_id is a cross-signing key", "a device may be named like a cross-signing key";
    DEVICE_ID_NUMBER_TAKEN "device-id-number-taken" breaks "device.login.id_not_string", also &["error.bad_json"],
        "POST /login: device_id is a string", "a device_id that is no string is taken for one";
    DEVICE_OF_ANOTHER_SHOWN "device-of-another-shown" breaks "device.get.isolation", also &["device.get.unknown", "device.login.per_user"],
        "GET /devices/{deviceId}, 404", "another user's device is shown";
    RENAME_IGNORED "device-rename-ignored" breaks "device.put.rename", also &[],
        "PUT /devices/{deviceId}, 200", "renaming a device answers 200 and does nothing";
    RENAME_CREATES "device-rename-creates" breaks "device.put.unknown", also &[],
        "PUT /devices/{deviceId}, 404", "renaming an unknown device makes it";
    DELETE_WITHOUT_UIA "device-delete-without-uia" breaks "device.delete.uia", also &["uia.no_auth_no_success"],
        "DELETE /devices/{deviceId}: interactive auth", "a device is deleted without interactive auth";
    DELETE_MANY_WITHOUT_UIA "devices-delete-without-uia" breaks "device.delete.uia",
        also &["uia.no_auth_no_success", "uia.other_user", "uia.password.identifier", "uia.wrong_password.status",
            "uia.wrong_password.errcode", "uia.password.unknown_3pid", "device.delete.bulk"],
        "POST /delete_devices: interactive auth", "several devices are deleted without interactive auth";
    DELETE_KEEPS_TOKEN "device-delete-keeps-token" breaks "device.delete.token_dead", also &[],
        "DELETE /devices/{deviceId}: access tokens end", "the access token of a deleted device goes on working";
    DELETE_FOR_WHOAMI "device-delete-known-to-whoami-alone" breaks "device.delete.token_dead", also &["device.delete.bulk"],
        "DELETE /devices/{deviceId}: access tokens end", "after a deletion whoami refuses the device's access token, and everything else takes it";
    DELETE_NOTHING "device-delete-does-nothing" breaks "uia.complete", also &["device.delete.token_dead", "device.delete.bulk"],
        "User-interactive authentication: a finished flow carries out the call", "deleting devices answers 200 after interactive auth and does nothing";
    DELETE_TWICE_404 "device-delete-twice-404" breaks "device.delete.idempotent", also &[],
        "DELETE /devices/{deviceId}, 200", "deleting a device that is gone is refused with 404";
    DELETE_FIRST_ONLY "devices-delete-first-only" breaks "device.delete.bulk", also &[],
        "POST /delete_devices", "of several devices only the first is deleted";
    DELETE_MANY_ALL "devices-delete-unlisted" breaks "device.delete.bulk", also &[],
        "POST /delete_devices", "every device but the one that asks is deleted, listed or not";
    DELETE_MANY_KEEP_TOKENS "devices-delete-keeps-tokens" breaks "device.delete.bulk", also &[],
        "POST /delete_devices", "the access tokens of devices that are deleted together go on working";
}
