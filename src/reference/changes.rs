//! Which requirements are decided with a quirk and not without it, or the other way round, where they are many. Each list
//! was read when it was put here: what is no longer offered is skipped with what hangs on it, what is newly offered is
//! looked at.

/// Where password login is not offered, and single sign-on is.
#[rustfmt::skip]
pub(super) const WITHOUT_PASSWORD: &[&str] = &[
    "http.request.content_type_optional", "http.request.content_type_params", "http.request.utf8_nonascii",
    "http.request.json_escapes", "http.request.unknown_keys", "login.response.well_known.shape",
    "login.get.flow.usable", "login.get.sso.identity_providers", "login.get.sso.idp.required",
    "login.get.sso.idp.id_unique", "login.get.sso.idp.id_grammar", "login.get.sso.idp.brand",
    "login.get.sso_implies_token", "login.post.public", "login.post.ok.status", "login.post.ok.required",
    "login.post.ok.access_token", "login.post.ok.user_id.form", "login.post.ok.user_id.value",
    "login.post.ok.device_id.type", "login.post.ok.expires_in_ms", "login.post.ok.refresh_token",
    "login.post.ok.no_null", "login.post.ok.token_usable", "login.post.ok.token_user",
    "login.post.failure.no_session", "login.password.localpart", "login.password.mxid", "login.password.missing",
    "login.password.not_string", "login.password.wrong.status", "login.password.wrong.errcode",
    "login.password.unknown_user", "login.password.foreign_server", "login.password.exact", "login.password.empty",
    "login.identifier.type.required", "login.identifier.not_object", "login.identifier.type.unknown",
    "login.identifier.absent", "login.identifier.user.missing", "login.identifier.thirdparty.unknown",
    "login.identifier.thirdparty.missing", "login.identifier.phone.unknown", "login.identifier.phone.missing",
    "login.legacy.user", "login.legacy.thirdparty.unknown", "login.legacy.medium", "login.token.ok",
    "login.token.user", "login.token.single_use", "login.token.device_params", "device.login.generated",
    "device.login.echo", "device.login.bound", "device.login.created", "device.login.display_name",
    "device.login.display_name.ignored", "device.login.reuse.single", "device.login.reuse.new_token",
    "device.login.reuse.old_token", "device.login.reuse.old_refresh_token", "device.login.others_survive",
    "device.login.per_user", "device.login.cross_signing", "device.login.id_not_string", "device.login.no_name",
    "device.delete.uia", "device.delete.token_dead", "device.delete.idempotent", "device.delete.bulk",
    "device.get.isolation", "token.logged_out", "token.soft_logout.not_after_logout", "logout.empty_body", "logout.empty_object", "logout.token_dead",
    "logout.device_gone", "logout.device_keys_gone", "logout.others_survive", "logout.twice",
    "logout.refresh_token_dead", "logout_all.ok", "logout_all.empty_body", "logout_all.tokens_dead",
    "logout_all.devices_gone", "logout_all.no_uia", "logout_all.refresh_tokens_dead", "logout_all.other_users",
    "logout_all.login_again", "refresh.login.flag_accepted", "refresh.login.flag_type", "refresh.login.not_offered",
    "refresh.login.expires_without", "refresh.endpoint_exists", "refresh.request.missing",
    "refresh.request.not_string", "refresh.no_access_token", "refresh.ok.required", "refresh.ok.types",
    "refresh.early", "refresh.token_usable", "refresh.same_device", "refresh.grace", "refresh.revoked_by_access",
    "refresh.revoked_by_refresh", "refresh.unknown.status", "refresh.unknown.errcode", "refresh.reused.status",
    "refresh.reused.errcode", "refresh.old_access_token", "refresh.access_token_rejected", "get_token.uia.always",
    "get_token.ok.required", "get_token.ok.expiry", "get_token.token_works", "get_token.session_untouched",
    "uia.wrong_password.status", "uia.wrong_password.errcode", "uia.complete", "uia.password.identifier",
    "uia.password.unknown_3pid", "uia.other_user", "uia.fallback.html", "sso.redirect.status",
    "sso.redirect.location", "sso.redirect.public", "sso.redirect.url_required", "sso.redirect.idp.unknown",
    "sso.redirect.action", "sso.redirect.idp.status", "sso.redirect.generic_with_idps", "state.deactivated.status", "state.deactivated.errcode", "state.deactivated.tokens",
    "state.password_changed.new", "state.password_changed.own_token", "state.password_changed.logout_devices",
    "login.response.well_known.usable",
    "refresh.other_users",
    "uia.oauth.place",
    "state.deactivated.ok",
    "state.password_changed.ok",
];

/// Where the legacy API is not offered, and the OAuth API is.
#[rustfmt::skip]
pub(super) const WITHOUT_LEGACY: &[&str] = &[
    "http.request.content_type_optional", "http.request.content_type_params", "http.request.utf8_nonascii",
    "http.request.json_escapes", "http.request.body_required", "http.request.body_object",
    "http.request.unknown_keys", "error.not_json", "error.bad_json", "route.r0_prefix",
    "login.response.well_known.shape", "auth.discovery.login_404", "auth.discovery.metadata_404",
    "auth.legacy_absent.post_login", "auth_metadata.public", "auth_metadata.required", "auth_metadata.issuer",
    "auth_metadata.response_types", "auth_metadata.grant_types", "auth_metadata.response_modes", "auth_metadata.pkce",
    "auth_metadata.device_endpoint", "auth_metadata.account_management", "auth_metadata.account_management.other_action", "login.get.flows", "login.get.flow.type",
    "login.get.get_login_token.type", "login.get.get_login_token.place", "login.get.get_login_token.truthful",
    "login.get.flow.usable", "login.post.public", "login.post.type.missing", "login.post.type.not_string",
    "login.post.type.unknown.status", "login.post.type.unknown.errcode", "login.post.ok.status",
    "login.post.ok.required", "login.post.ok.access_token", "login.post.ok.user_id.form",
    "login.post.ok.user_id.value", "login.post.ok.device_id.type", "login.post.ok.expires_in_ms",
    "login.post.ok.refresh_token", "login.post.ok.no_null", "login.post.ok.token_usable", "login.post.ok.token_user",
    "login.post.failure.no_session", "login.post.400.shape", "login.post.403.shape", "login.password.localpart",
    "login.password.mxid", "login.password.missing", "login.password.not_string", "login.password.wrong.status",
    "login.password.wrong.errcode", "login.password.unknown_user", "login.password.foreign_server",
    "login.password.exact", "login.password.empty", "login.identifier.type.required", "login.identifier.not_object",
    "login.identifier.type.unknown", "login.identifier.absent", "login.identifier.user.missing",
    "login.identifier.thirdparty.unknown", "login.identifier.thirdparty.missing", "login.identifier.phone.unknown",
    "login.identifier.phone.missing", "login.legacy.user", "login.legacy.thirdparty.unknown", "login.legacy.medium",
    "login.token.ok", "login.token.user", "login.token.missing", "login.token.not_string",
    "login.token.invalid.status", "login.token.invalid.errcode", "login.token.single_use",
    "login.token.not_access_token", "login.token.device_params", "login.as.no_token", "login.as.bad_token",
    "login.as.user_token", "device.login.generated", "device.login.echo", "device.login.bound",
    "device.login.created", "device.login.display_name", "device.login.display_name.ignored",
    "device.login.reuse.single", "device.login.reuse.new_token", "device.login.reuse.old_token",
    "device.login.reuse.old_refresh_token", "device.login.others_survive", "device.login.per_user",
    "device.login.cross_signing", "device.login.id_not_string", "device.login.no_name", "device.delete.uia",
    "device.delete.token_dead", "device.delete.idempotent", "device.delete.bulk", "token.logged_out", "token.soft_logout.not_after_logout", "whoami.is_guest.true",
    "whoami.guest_allowed", "logout.ok", "logout.empty_body", "logout.empty_object", "device.get.isolation",
    "logout.token_dead", "logout.device_gone", "logout.device_keys_gone", "logout.others_survive",
    "logout.auth_required", "logout.twice", "logout.refresh_token_dead", "logout_all.ok", "logout_all.empty_body",
    "logout_all.tokens_dead", "logout_all.devices_gone", "logout_all.no_uia", "logout_all.auth_required",
    "logout_all.refresh_tokens_dead", "logout_all.other_users", "logout_all.login_again",
    "refresh.login.flag_accepted", "refresh.login.flag_type", "refresh.login.not_offered",
    "refresh.login.expires_without", "refresh.endpoint_exists", "refresh.request.missing",
    "refresh.request.not_string", "refresh.no_access_token", "refresh.ok.required", "refresh.ok.types",
    "refresh.early", "refresh.token_usable", "refresh.same_device", "refresh.grace", "refresh.revoked_by_access",
    "refresh.revoked_by_refresh", "refresh.unknown.status", "refresh.unknown.errcode", "refresh.reused.status",
    "refresh.reused.errcode", "refresh.old_access_token", "refresh.access_token_rejected", "get_token.auth_required",
    "get_token.uia.challenge", "get_token.uia.always", "get_token.ok.required", "get_token.ok.expiry",
    "get_token.token_works", "get_token.session_untouched", "get_token.capability.shape",
    "get_token.capability.truthful", "get_token.capability.absent", "uia.wrong_password.status",
    "uia.wrong_password.errcode", "uia.complete", "uia.password.identifier", "uia.password.unknown_3pid",
    "uia.other_user", "uia.fallback.html", "fallback.page.ok", "fallback.page.callback", "state.deactivated.status",
    "state.deactivated.errcode", "state.deactivated.tokens", "state.password_changed.new",
    "state.password_changed.own_token", "state.password_changed.logout_devices",
    "login.response.well_known.usable",
    "refresh.other_users",
    "uia.oauth.place",
    "state.deactivated.ok",
    "state.password_changed.ok",
];

/// Where only releases before v1.1 are listed.
#[rustfmt::skip]
pub(super) const WITHOUT_V1: &[&str] = &[
    "http.request.content_type_optional", "http.request.body_required", "http.request.body_object",
    "route.unknown_endpoint.status", "route.unknown_endpoint.errcode", "route.unknown_method.status",
    "route.unknown_method.errcode", "route.v3_prefix", "versions.no_v1_0", "versions.latest_patch",
    "versions.auth.extra", "auth.discovery.one_api", "auth.discovery.metadata_404", "login.get.get_login_token.type",
    "login.get.get_login_token.place", "login.get.get_login_token.truthful", "login.post.ok.home_server",
    "login.post.ok.expires_in_ms", "login.post.ok.refresh_token", "login.token.ok", "login.token.user",
    "login.token.single_use", "login.token.device_params", "login.as.no_token", "login.as.bad_token",
    "login.as.user_token", "device.login.reuse.old_refresh_token", "device.login.cross_signing", "whoami.device_id",
    "whoami.is_guest.type", "whoami.is_guest.true", "whoami.guest_allowed", "logout.refresh_token_dead",
    "logout_all.refresh_tokens_dead", "refresh.login.flag_accepted", "refresh.login.flag_type",
    "refresh.login.not_offered", "refresh.login.expires_without", "refresh.endpoint_exists",
    "refresh.request.missing", "refresh.request.not_string", "refresh.no_access_token", "refresh.ok.required",
    "refresh.ok.types", "refresh.early", "refresh.token_usable", "refresh.same_device", "refresh.grace",
    "refresh.revoked_by_access", "refresh.revoked_by_refresh", "refresh.unknown.status", "refresh.unknown.errcode",
    "refresh.reused.status", "refresh.reused.errcode", "refresh.old_access_token", "refresh.access_token_rejected",
    "get_token.auth_required", "get_token.uia.challenge", "get_token.uia.always", "get_token.ok.required",
    "get_token.ok.expiry", "get_token.token_works", "get_token.session_untouched", "get_token.capability.shape",
    "get_token.capability.truthful", "get_token.capability.absent",
    "refresh.other_users",
    "uia.oauth.place",
];

/// Where refresh tokens are not offered.
#[rustfmt::skip]
pub(super) const WITHOUT_REFRESH: &[&str] = &[
    "login.post.ok.expires_in_ms", "login.post.ok.refresh_token", "device.login.reuse.old_refresh_token",
    "logout.refresh_token_dead", "logout_all.refresh_tokens_dead", "refresh.login.not_offered", "refresh.login.flag_type",
    "refresh.endpoint_exists", "refresh.request.missing", "refresh.request.not_string", "refresh.no_access_token",
    "refresh.ok.required", "refresh.ok.types", "refresh.early", "refresh.token_usable", "refresh.same_device",
    "refresh.grace", "refresh.revoked_by_access", "refresh.revoked_by_refresh", "refresh.unknown.status",
    "refresh.unknown.errcode", "refresh.reused.status", "refresh.reused.errcode", "refresh.old_access_token",
    "refresh.access_token_rejected",
    "refresh.other_users",
];

/// Where get_token is not offered.
#[rustfmt::skip]
pub(super) const WITHOUT_GET_TOKEN: &[&str] = &[
    "route.optional_endpoint.absent", "login.get.get_login_token.type", "login.get.get_login_token.place",
    "login.token.ok", "login.token.user", "login.token.single_use", "login.token.device_params",
    "get_token.auth_required", "get_token.uia.challenge", "get_token.uia.always", "get_token.ok.required",
    "get_token.ok.expiry", "get_token.token_works", "get_token.session_untouched", "get_token.capability.truthful",
    "get_token.capability.absent",
];

/// Where token login is not listed.
#[rustfmt::skip]
pub(super) const WITHOUT_TOKEN_LOGIN: &[&str] = &[
    "login.get.get_login_token.type", "login.get.get_login_token.place", "login.get.flow.usable", "login.token.ok",
    "login.token.user", "login.token.missing", "login.token.not_string", "login.token.invalid.status",
    "login.token.invalid.errcode", "login.token.single_use", "login.token.not_access_token",
    "login.token.device_params", "get_token.ok.expiry", "get_token.token_works", "get_token.session_untouched",
];

/// Where OAuth metadata is served beside the legacy API.
#[rustfmt::skip]
pub(super) const WITH_OAUTH: &[&str] = &[
    "auth.discovery.metadata_404", "auth_metadata.public", "auth_metadata.required", "auth_metadata.issuer",
    "auth_metadata.response_types", "auth_metadata.grant_types", "auth_metadata.response_modes", "auth_metadata.pkce",
    "auth_metadata.device_endpoint", "auth_metadata.account_management", "auth_metadata.account_management.other_action",
];

/// Where a server has rate limits.
#[rustfmt::skip]
pub(super) const WITH_LIMITS: &[&str] = &[
    "login.get.rate_limited", "login.post.rate_limited", "refresh.rate_limited", "rate_limit.exists",
    "rate_limit.errcode", "rate_limit.status", "rate_limit.retry_after.header", "rate_limit.retry_after.grammar",
    "rate_limit.retry_after_ms.type", "rate_limit.retry_after_ms.present", "rate_limit.consistent",
    "rate_limit.recovers",
];
