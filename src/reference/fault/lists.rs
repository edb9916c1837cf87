//! Groups of requirements that break together, because they are all seen through the same answer.

/// Seen through a password login with the right password.
pub(super) const LOGINS: &[&str] = &[
    "login.post.ok.status",
    "login.post.public",
    "login.post.ok.required",
    "login.post.ok.access_token",
    "login.post.ok.user_id.value",
    "login.post.ok.token_usable",
    "login.post.ok.token_user",
    "login.password.localpart",
    "login.password.mxid",
    "login.legacy.user",
    "http.request.content_type_optional",
    "http.request.content_type_params",
    "http.request.utf8_nonascii",
    "http.request.json_escapes",
    "http.request.unknown_keys",
    "refresh.login.flag_accepted",
    "device.login.generated",
    "device.login.generated.unique",
    "device.login.echo",
    "device.login.bound",
    "device.login.created",
    "device.login.display_name",
    "device.login.reuse.new_token",
    "device.login.per_user",
    "logout_all.login_again",
    "state.password_changed.new",
    "login.token.ok",
    "login.token.device_params",
    "get_token.token_works",
];

/// Seen through the access token of a login.
pub(super) const SESSIONS: &[&str] = &[
    "get_token.capability.absent",
    "device.login.others_survive",
    "token.header",
    "login.post.ok.token_usable",
    "login.post.ok.token_user",
    "login.token.user",
    "device.login.bound",
    "device.login.created",
    "device.login.display_name",
    "device.login.display_name.ignored",
    "device.login.reuse.new_token",
    "device.login.reuse.single",
    "device.login.others_survive",
    "device.login.per_user",
    "device.list.current",
    "device.get.ok",
    "device.get.unknown",
    "device.get.isolation",
    "device.put.rename",
    "device.put.unknown",
    "token.header",
    "token.query.legacy",
    "whoami.ok",
    "whoami.user",
    "whoami.device_id",
    "logout.ok",
    "logout.empty_body",
    "logout.device_gone",
    "logout.others_survive",
    "logout_all.ok",
    "logout_all.empty_body",
    "logout_all.no_uia",
    "logout_all.other_users",
    "logout_all.devices_gone",
    "get_token.uia.challenge",
    "get_token.session_untouched",
    "get_token.token_works",
    "login.token.ok",
    "login.token.device_params",
    "http.request.utf8_nonascii",
    "http.request.json_escapes",
    "logout_all.login_again",
];

/// Seen through a good answer of `GET /account/whoami`.
pub(super) const WHOAMI: &[&str] = &[
    "token.logged_out",
    "whoami.ok",
    "whoami.user",
    "whoami.device_id",
    "login.post.ok.token_usable",
    "login.post.ok.token_user",
    "login.token.user",
    "device.login.bound",
    "device.login.reuse.new_token",
    "device.login.others_survive",
    "device.login.per_user",
    "token.header",
    "token.query.legacy",
    "token.record_device",
    "refresh.token_usable",
    "refresh.same_device",
    "logout.others_survive",
    "logout_all.other_users",
    "get_token.session_untouched",
    "get_token.token_works",
    "whoami.guest_allowed",
    "whoami.is_guest.true",
    "whoami.is_guest.type",
    "state.password_changed.own_token",
];

/// Seen through `user_id` in a good answer of whoami.
pub(super) const WHOAMI_USER: &[&str] = &[
    "whoami.user",
    "login.post.ok.token_user",
    "login.token.user",
    "refresh.same_device",
    "get_token.token_works",
    "device.login.per_user",
];

/// Seen through `device_id` in a good answer of whoami.
pub(super) const WHOAMI_DEVICE: &[&str] = &[
    "device.login.bound",
    "device.login.per_user",
    "refresh.same_device",
    "token.record_device",
    "login.token.device_params",
];

/// The same where it is no string either.
pub(super) const WHOAMI_DEVICE_SHAPE: &[&str] = &[
    "http.response.schema",
    "device.login.bound",
    "device.login.per_user",
    "refresh.same_device",
    "token.record_device",
    "login.token.device_params",
];

/// Seen through a good answer of `POST /refresh`.
pub(super) const REFRESHES: &[&str] = &[
    "refresh.ok.required",
    "refresh.no_access_token",
    "refresh.early",
    "refresh.token_usable",
    "refresh.same_device",
    "refresh.grace",
    "refresh.no_rotation",
    "refresh.revoked_by_access",
    "refresh.revoked_by_refresh",
    "refresh.reused.status",
    "refresh.reused.errcode",
    "refresh.expired_access_token",
    "token.record_device",
];

/// Seen through `POST /refresh`, whatever it answers.
pub(super) const REFRESH_AT_ALL: &[&str] = &[
    "refresh.endpoint_exists",
    "refresh.ok.required",
    "refresh.no_access_token",
    "refresh.early",
    "refresh.token_usable",
    "refresh.same_device",
    "refresh.grace",
    "refresh.no_rotation",
    "refresh.revoked_by_access",
    "refresh.revoked_by_refresh",
    "refresh.reused.status",
    "refresh.reused.errcode",
    "refresh.unknown.status",
    "refresh.unknown.errcode",
    "refresh.request.missing",
    "refresh.request.not_string",
    "refresh.access_token_rejected",
    "refresh.expired_access_token",
    "http.request.body_required",
    "logout.refresh_token_dead",
    "logout_all.refresh_tokens_dead",
    "token.record_device",
];

/// Seen through a login with a fresh login token.
pub(super) const TOKEN_LOGINS: &[&str] = &[
    "login.token.ok",
    "login.token.user",
    "login.token.single_use",
    "login.token.device_params",
    "get_token.token_works",
];

/// Seen through interactive auth that is passed.
pub(super) const PASSED_UIA: &[&str] = &[
    "uia.complete",
    "uia.password.identifier",
    "get_token.uia.always",
    "get_token.ok.required",
    "get_token.token_works",
    "get_token.session_untouched",
    "login.token.ok",
    "login.token.user",
    "login.token.single_use",
    "login.token.device_params",
    "login.token.not_access_token",
    "device.delete.token_dead",
    "device.delete.idempotent",
    "device.delete.bulk",
    "state.deactivated.status",
    "state.deactivated.errcode",
    "state.deactivated.tokens",
    "state.password_changed.new",
    "state.password_changed.own_token",
    "state.password_changed.logout_devices",
];

/// Seen through interactive auth in which a session is sent back, passed or not.
pub(super) const BEYOND_A_SESSION: &[&str] = &[
    "uia.wrong_password.status",
    "uia.wrong_password.errcode",
    "uia.password.unknown_3pid",
    "uia.other_user",
    "uia.complete",
    "uia.password.identifier",
    "get_token.uia.always",
    "get_token.ok.required",
    "get_token.token_works",
    "get_token.session_untouched",
    "login.token.ok",
    "login.token.user",
    "login.token.single_use",
    "login.token.device_params",
    "login.token.not_access_token",
    "device.delete.token_dead",
    "device.delete.idempotent",
    "device.delete.bulk",
    "state.deactivated.status",
    "state.deactivated.errcode",
    "state.deactivated.tokens",
    "state.password_changed.new",
    "state.password_changed.own_token",
    "state.password_changed.logout_devices",
];

/// Broken by an answer that is no JSON object, when the answer is an error.
pub(super) const NO_ERROR_OBJECT: &[&str] = &[
    "http.response.json_object",
    "error.shape.object",
    "error.shape.errcode",
    "error.shape.error",
];
