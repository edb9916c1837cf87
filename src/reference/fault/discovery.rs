//! Faults of groups E to H and T: releases, the well-known file, which authentication API there is, the login types,
//! the login page.

use super::super::edit::Change as C;
use super::super::refusal::Refusal as R;
use super::super::route::Operation as O;
use super::{Fault, Need, When, behaviours, data, edit};

const VERSIONS: &str = "GET /_matrix/client/versions, 200";
const WELL_KNOWN: &str = "GET /.well-known/matrix/client";
const LOGIN_WELL_KNOWN: &str = "POST /login, 200: well_known";
const OFFERED: &str = "Client-Server API, Authentication API discovery";
const METADATA: &str = "GET /v1/auth_metadata, 200";
const FLOWS: &str = "GET /login, 200";
const IDP: &str = "Client-Server API, SSO client login: m.login.sso flow schema";
const AWARE: &str = "Client-Server API, OAuth-aware clients";
const ICON: &str = "Client-Server API, SSO client login: icons are excluded from the freeze of unauthenticated media";
const STAGE: &str = "Client-Server API, SSO during user-interactive authentication";
const SSO: &str = "GET /login/sso/redirect and /login/sso/redirect/{idpId}";
const CAS: &str = "GET /login/cas/redirect";
const PAGE: &str = "Client-Server API, Login fallback";

const OK: When = When::Success;

#[rustfmt::skip]
pub(super) static DATA: &[Fault] = &[
    // Releases.
    data("versions-401", "versions.get.ok", "GET /_matrix/client/versions: no authentication", "versions asks for an access token",
        &[edit(&[O::Versions], OK, &[C::Refuse(401, "M_MISSING_TOKEN")])]).also(&["versions.versions.required"]),
    data("versions-201", "versions.get.ok", VERSIONS, "versions answers with 201",
        &[edit(&[O::Versions], OK, &[C::Status(201)])]),
    data("versions-list-absent", "versions.versions.required", VERSIONS, "the list of versions is absent",
        &[edit(&[O::Versions], OK, &[C::Drop("/versions")])]),
    data("versions-list-null", "versions.versions.required", VERSIONS, "the list of versions is null",
        &[edit(&[O::Versions], OK, &[C::Put("/versions", "null")])]),
    data("versions-list-text", "versions.versions.required", VERSIONS, "the list of versions is one text",
        &[edit(&[O::Versions], OK, &[C::Put("/versions", "\"v1.19\"")])]),
    data("versions-item-number", "versions.versions.required", VERSIONS, "one of the versions is a number",
        &[edit(&[O::Versions], OK, &[C::Push("/versions", "1.2")])]).also(&["versions.versions.format"]),
    data("versions-item-without-letter", "versions.versions.format", VERSIONS, "one of the versions lacks its letter",
        &[edit(&[O::Versions], OK, &[C::Push("/versions", "\"1.19\"")])]),
    data("versions-item-word", "versions.versions.format", VERSIONS, "one of the versions is the word latest",
        &[edit(&[O::Versions], OK, &[C::Push("/versions", "\"latest\"")])]),
    data("versions-v1-0", "versions.no_v1_0", "Specification versions: there is no v1.0", "v1.0 is listed",
        &[edit(&[O::Versions], OK, &[C::Push("/versions", "\"v1.0\"")])]),
    data("versions-features-list", "versions.unstable_features.type", VERSIONS, "unstable_features is a list",
        &[edit(&[O::Versions], OK, &[C::Put("/unstable_features", "[]")])]),
    data("versions-feature-text", "versions.unstable_features.type", VERSIONS, "an unstable feature is a text",
        &[edit(&[O::Versions], OK, &[C::Put("/unstable_features/org.example.text", "\"yes\"")])]),
    data("versions-features-null", "versions.unstable_features.type", VERSIONS, "unstable_features is null",
        &[edit(&[O::Versions], OK, &[C::Put("/unstable_features", "null")])]),
    data("versions-feature-bare-name", "versions.unstable_features.namespace", VERSIONS, "an unstable feature has no namespace",
        &[edit(&[O::Versions], OK, &[C::Put("/unstable_features/lazy_loading", "true")])]),
    data("versions-old-patch", "versions.latest_patch", "GET /_matrix/client/versions up to r0.6.1", "an outdated patch release is listed",
        &[edit(&[O::Versions], OK, &[C::Push("/versions", "\"r0.6.0\"")])]).needs(Need::OnlyR0),
    // The well-known file.
    data("well-known-500", "well_known.get.status", WELL_KNOWN, "the well-known file fails with 500",
        &[edit(&[O::WellKnown], OK, &[C::Refuse(500, "M_UNKNOWN")])]).also(&["error.malformed.no_5xx"]),
    data("well-known-403", "well_known.get.status", WELL_KNOWN, "the well-known file is refused with 403",
        &[edit(&[O::WellKnown], OK, &[C::Refuse(403, "M_FORBIDDEN")])]),
    data("well-known-list", "well_known.get.json", WELL_KNOWN, "the well-known file is a list",
        &[edit(&[O::WellKnown], OK, &[C::Wrap])])
        .also(&["http.response.json_object", "well_known.homeserver.required", "well_known.homeserver.url", "well_known.homeserver.live"]),
    data("well-known-html", "well_known.get.json", WELL_KNOWN, "the well-known file is a page",
        &[edit(&[O::WellKnown], OK, &[C::Bytes("text/html", b"<p>Hello</p>")])])
        .also(&["http.response.json_object", "http.response.content_type", "well_known.homeserver.required",
            "well_known.homeserver.url", "well_known.homeserver.live"]),
    data("well-known-empty", "well_known.get.json", WELL_KNOWN, "the well-known file is an empty object",
        &[edit(&[O::WellKnown], OK, &[C::Put("", "{}")])])
        .also(&["well_known.homeserver.required", "well_known.homeserver.url", "well_known.homeserver.live"]),
    data("well-known-without-base-url", "well_known.homeserver.required", WELL_KNOWN, "m.homeserver has no base_url",
        &[edit(&[O::WellKnown], OK, &[C::Drop("/m.homeserver/base_url")])])
        .also(&["well_known.homeserver.url", "well_known.homeserver.live"]),
    data("well-known-base-url-number", "well_known.homeserver.required", WELL_KNOWN, "base_url is a number",
        &[edit(&[O::WellKnown], OK, &[C::Put("/m.homeserver/base_url", "8448")])])
        .also(&["well_known.homeserver.url", "well_known.homeserver.live"]),
    data("well-known-base-url-words", "well_known.homeserver.url", WELL_KNOWN, "base_url is no URL",
        &[edit(&[O::WellKnown], OK, &[C::Put("/m.homeserver/base_url", "\"the usual place\"")])]).also(&["well_known.homeserver.live"]),
    data("well-known-base-url-dead", "well_known.homeserver.live", WELL_KNOWN, "base_url leads to a closed port",
        &[edit(&[O::WellKnown], OK, &[C::Put("/m.homeserver/base_url", "\"http://127.0.0.1:1\"")])]),
    data("well-known-identity-server-empty", "well_known.identity_server.shape", WELL_KNOWN, "m.identity_server has no base_url",
        &[edit(&[O::WellKnown], OK, &[C::Put("/m.identity_server", "{}")])]),
    data("well-known-identity-server-text", "well_known.identity_server.shape", WELL_KNOWN, "m.identity_server is a text",
        &[edit(&[O::WellKnown], OK, &[C::Put("/m.identity_server", "\"https://id.example.org\"")])]),
    data("well-known-bare-key", "well_known.extra_keys", WELL_KNOWN, "a further key is not named like a Java package",
        &[edit(&[O::WellKnown], OK, &[C::Put("/support", "\"admin\"")])]),
    data("well-known-without-cors", "cors.well_known", "Client-Server API, Well-known URI: CORS", "the well-known file has no CORS headers",
        &[edit(&[O::WellKnown], When::Always, &[C::NoCors])])
        .also(&["cors.actual_response", "cors.preflight.answered", "cors.allow_origin", "cors.allow_methods", "cors.allow_headers"]),
    data("well-known-redirect-without-cors", "cors.well_known.redirect", "Client-Server API, Well-known URI: CORS on redirects",
        "the redirect to the well-known file has no CORS headers", &[edit(&[O::WellKnown], When::Status(302), &[C::NoCors])])
        .also(&["cors.actual_response", "cors.well_known"]).needs(Need::WellKnownRedirect),
    data("well-known-base-url-relative", "well_known.homeserver.url", WELL_KNOWN, "base_url has no scheme",
        &[edit(&[O::WellKnown], OK, &[C::Put("/m.homeserver/base_url", "\"//matrix.example.org\"")])]).also(&["well_known.homeserver.live"]),
    data("well-known-key-with-blank", "well_known.extra_keys", WELL_KNOWN, "a further key is two words with a blank",
        &[edit(&[O::WellKnown], OK, &[C::Put("/support contact", "\"admin\"")])]),
    data("login-well-known-empty", "login.response.well_known.shape", LOGIN_WELL_KNOWN, "well_known in the answer to login is empty",
        &[edit(&[O::Login], OK, &[C::Put("/well_known", "{}")])]),
    data("login-well-known-text", "login.response.well_known.shape", LOGIN_WELL_KNOWN, "well_known in the answer to login is a text",
        &[edit(&[O::Login], OK, &[C::Put("/well_known", "\"https://example.org\"")])]),
    data("login-well-known-base-url-null", "login.response.well_known.shape", LOGIN_WELL_KNOWN, "base_url in the answer to login is null",
        &[edit(&[O::Login], OK, &[C::Put("/well_known", r#"{"m.homeserver": {"base_url": null}}"#)])]).also(&["login.post.ok.no_null"]),
    // Which API there is.
    data("no-authentication-api", "auth.discovery.one_api", OFFERED, "neither authentication API is offered",
        &[edit(&[O::Flows], OK, &[C::Refuse(404, "M_UNRECOGNIZED")])])
        .also(&["login.get.public", "login.get.flows", "route.v3_prefix", "route.r0_prefix"]),
    data("legacy-off-oauth-off", "auth.discovery.one_api", OFFERED, "without the legacy API there is no OAuth API either",
        &[edit(&[O::AuthMetadata], OK, &[C::Refuse(404, "M_UNRECOGNIZED")])]).needs(Need::NoLegacy),
    data("legacy-off-403", "auth.discovery.login_404", OFFERED, "without the legacy API, GET /login is refused with 403",
        &[edit(&[O::Flows], When::Because(&[R::NoLegacyFlows]), &[C::Refuse(403, "M_FORBIDDEN")])]).needs(Need::NoLegacy),
    data("legacy-off-code-not-found", "auth.discovery.login_404", OFFERED, "without the legacy API, GET /login says M_NOT_FOUND",
        &[edit(&[O::Flows], When::Because(&[R::NoLegacyFlows]), &[C::Code("M_NOT_FOUND")])]).needs(Need::NoLegacy),
    data("legacy-off-500", "auth.discovery.login_404", OFFERED, "without the legacy API, GET /login fails with 500",
        &[edit(&[O::Flows], When::Because(&[R::NoLegacyFlows]), &[C::Refuse(500, "M_UNKNOWN")])]).needs(Need::NoLegacy)
        .also(&["error.malformed.no_5xx"]),
    data("legacy-off-login-500", "auth.legacy_absent.post_login", OFFERED, "without the legacy API, POST /login fails with 500",
        &[edit(&[O::Login], When::Because(&[R::NoLegacyLogin]), &[C::Refuse(500, "M_UNKNOWN")])]).needs(Need::NoLegacy)
        .also(&["error.malformed.no_5xx"]),
    data("legacy-off-login-200", "auth.legacy_absent.post_login", OFFERED, "without the legacy API, POST /login answers 200 with nothing",
        &[edit(&[O::Login], When::Because(&[R::NoLegacyLogin]), &[C::Status(200), C::Put("", "{}")])]).needs(Need::NoLegacy)
        .also(&["login.post.ok.required"]),
    data("oauth-off-403", "auth.discovery.metadata_404", OFFERED, "without the OAuth API, auth_metadata is refused with 403",
        &[edit(&[O::AuthMetadata], When::Because(&[R::NoOauth]), &[C::Refuse(403, "M_FORBIDDEN")])]),
    data("oauth-off-code-not-found", "auth.discovery.metadata_404", OFFERED, "without the OAuth API, auth_metadata says M_NOT_FOUND",
        &[edit(&[O::AuthMetadata], When::Because(&[R::NoOauth]), &[C::Code("M_NOT_FOUND")])]),
    data("oauth-off-401", "auth.discovery.metadata_404", OFFERED, "without the OAuth API, auth_metadata asks for an access token",
        &[edit(&[O::AuthMetadata], When::Because(&[R::NoOauth]), &[C::Refuse(401, "M_MISSING_TOKEN")])]),
    // OAuth metadata.
    data("metadata-401", "auth_metadata.public", "GET /v1/auth_metadata: no authentication", "auth_metadata asks for an access token",
        &[edit(&[O::AuthMetadata], OK, &[C::Refuse(401, "M_MISSING_TOKEN")])]).needs(Need::Oauth)
        .also(&["auth.discovery.metadata_404"]),
    data("metadata-without-token-endpoint", "auth_metadata.required", METADATA, "token_endpoint is absent",
        &[edit(&[O::AuthMetadata], OK, &[C::Drop("/token_endpoint")])]).needs(Need::Oauth),
    data("metadata-registration-null", "auth_metadata.required", METADATA, "registration_endpoint is null",
        &[edit(&[O::AuthMetadata], OK, &[C::Put("/registration_endpoint", "null")])]).needs(Need::Oauth),
    data("metadata-grants-text", "auth_metadata.required", METADATA, "grant_types_supported is a text",
        &[edit(&[O::AuthMetadata], OK, &[C::Put("/grant_types_supported", "\"authorization_code refresh_token\"")])])
        .needs(Need::Oauth).also(&["auth_metadata.grant_types"]),
    data("metadata-issuer-query", "auth_metadata.issuer", METADATA, "the issuer has a query",
        &[edit(&[O::AuthMetadata], OK, &[C::Put("/issuer", "\"https://example.org/?realm=a\"")])]).needs(Need::Oauth),
    data("metadata-issuer-fragment", "auth_metadata.issuer", METADATA, "the issuer has a fragment",
        &[edit(&[O::AuthMetadata], OK, &[C::Put("/issuer", "\"https://example.org/#a\"")])]).needs(Need::Oauth),
    data("metadata-issuer-words", "auth_metadata.issuer", METADATA, "the issuer is no URL",
        &[edit(&[O::AuthMetadata], OK, &[C::Put("/issuer", "\"example\"")])]).needs(Need::Oauth).also(&["auth_metadata.required"]),
    data("metadata-without-code", "auth_metadata.response_types", METADATA, "response_types_supported lacks code",
        &[edit(&[O::AuthMetadata], OK, &[C::Put("/response_types_supported", "[\"id_token\"]")])]).needs(Need::Oauth),
    data("metadata-without-refresh-grant", "auth_metadata.grant_types", METADATA, "grant_types_supported lacks refresh_token",
        &[edit(&[O::AuthMetadata], OK, &[C::Put("/grant_types_supported", "[\"authorization_code\"]")])]).needs(Need::Oauth),
    data("metadata-response-types-empty", "auth_metadata.response_types", METADATA, "response_types_supported is empty",
        &[edit(&[O::AuthMetadata], OK, &[C::Put("/response_types_supported", "[]")])]).needs(Need::Oauth),
    data("metadata-pkce-empty", "auth_metadata.pkce", METADATA, "code_challenge_methods_supported is empty",
        &[edit(&[O::AuthMetadata], OK, &[C::Put("/code_challenge_methods_supported", "[]")])]).needs(Need::Oauth),
    data("metadata-without-code-grant", "auth_metadata.grant_types", METADATA, "grant_types_supported lacks authorization_code",
        &[edit(&[O::AuthMetadata], OK, &[C::Put("/grant_types_supported", "[\"refresh_token\"]")])]).needs(Need::Oauth),
    data("metadata-without-fragment", "auth_metadata.response_modes", METADATA, "response_modes_supported lacks fragment",
        &[edit(&[O::AuthMetadata], OK, &[C::Put("/response_modes_supported", "[\"query\"]")])]).needs(Need::Oauth),
    data("metadata-without-query", "auth_metadata.response_modes", METADATA, "response_modes_supported lacks query",
        &[edit(&[O::AuthMetadata], OK, &[C::Put("/response_modes_supported", "[\"fragment\"]")])]).needs(Need::Oauth),
    data("metadata-without-s256", "auth_metadata.pkce", METADATA, "code_challenge_methods_supported lacks S256",
        &[edit(&[O::AuthMetadata], OK, &[C::Put("/code_challenge_methods_supported", "[\"plain\"]")])]).needs(Need::Oauth),
    data("metadata-without-device-endpoint", "auth_metadata.device_endpoint", METADATA, "the device-code grant is listed without its endpoint",
        &[edit(&[O::AuthMetadata], OK, &[C::Drop("/device_authorization_endpoint")])]).needs(Need::Oauth),
    data("metadata-account-uri-number", "auth_metadata.account_management", METADATA, "account_management_uri is a number",
        &[edit(&[O::AuthMetadata], OK, &[C::Put("/account_management_uri", "1")])]).needs(Need::Oauth),
    data("metadata-account-actions-text", "auth_metadata.account_management", METADATA, "account_management_actions_supported is a text",
        &[edit(&[O::AuthMetadata], OK, &[C::Put("/account_management_actions_supported", "\"org.matrix.profile\"")])]).needs(Need::Oauth),
    data("oauth-aware-without-oauth", "oauth_aware.needs_oauth", AWARE, "the SSO flow is marked for OAuth-aware clients without an OAuth API",
        &[edit(&[O::Flows], OK, &[C::Put("/flows/2/oauth_aware_preferred", "true")])]).needs(Need::Sso),
    data("oauth-aware-without-account-uri", "oauth_aware.account_uri", AWARE, "the SSO flow is marked for OAuth-aware clients, and account_management_uri is absent",
        &[edit(&[O::Flows], OK, &[C::Put("/flows/2/oauth_aware_preferred", "true")]),
          edit(&[O::AuthMetadata], OK, &[C::Drop("/account_management_uri")])]).needs(Need::SsoAndOauth),
    // Login types.
    data("flows-401", "login.get.public", "GET /login: no authentication", "GET /login asks for an access token",
        &[edit(&[O::Flows], OK, &[C::Refuse(401, "M_MISSING_TOKEN")])])
        .also(&["auth.discovery.one_api", "auth.discovery.login_404", "login.get.flows"]),
    data("flows-201", "login.get.public", FLOWS, "GET /login answers with 201",
        &[edit(&[O::Flows], OK, &[C::Status(201)])]),
    data("flows-absent", "login.get.flows", FLOWS, "flows is absent",
        &[edit(&[O::Flows], OK, &[C::Drop("/flows")])]),
    data("flows-null", "login.get.flows", FLOWS, "flows is null",
        &[edit(&[O::Flows], OK, &[C::Put("/flows", "null")])]),
    data("flows-object", "login.get.flows", FLOWS, "flows is an object",
        &[edit(&[O::Flows], OK, &[C::Put("/flows", r#"{"m.login.password": {}, "m.login.token": {}}"#)])]),
    data("flows-of-text", "login.get.flows", FLOWS, "flows is a list of texts",
        &[edit(&[O::Flows], OK, &[C::Put("/flows", r#"["m.login.password", "m.login.token"]"#)])]).also(&["login.get.flow.type"]),
    data("flows-item-text", "login.get.flows", FLOWS, "one of the flows is a text",
        &[edit(&[O::Flows], OK, &[C::Push("/flows", "\"com.example.login\"")])]).also(&["login.get.flow.type"]),
    data("flow-type-absent", "login.get.flow.type", FLOWS, "a flow has no type",
        &[edit(&[O::Flows], OK, &[C::Push("/flows", r#"{"kind": "com.example.login"}"#)])]),
    data("flow-type-number", "login.get.flow.type", FLOWS, "the type of a flow is a number",
        &[edit(&[O::Flows], OK, &[C::Push("/flows", r#"{"type": 5}"#)])]),
    data("flow-type-null", "login.get.flow.type", FLOWS, "the type of a flow is null",
        &[edit(&[O::Flows], OK, &[C::Push("/flows", r#"{"type": null}"#)])]),
    data("flows-get-login-token-text", "login.get.get_login_token.type", FLOWS, "get_login_token is a text",
        &[edit(&[O::Flows], OK, &[C::Put("/flows/1/get_login_token", "\"true\"")])]),
    data("flows-get-login-token-null", "login.get.get_login_token.type", FLOWS, "get_login_token is null",
        &[edit(&[O::Flows], OK, &[C::Put("/flows/1/get_login_token", "null")])]),
    data("flows-get-login-token-on-password", "login.get.get_login_token.place", FLOWS, "get_login_token stands in the password flow",
        &[edit(&[O::Flows], OK, &[C::Put("/flows/0/get_login_token", "true")])]),
    data("flows-get-login-token-untrue", "login.get.get_login_token.truthful", FLOWS, "get_login_token is true though get_token does not exist",
        &[edit(&[O::Flows], OK, &[C::Put("/flows/1/get_login_token", "true")])]).needs(Need::NoGetToken),
    data("get-token-405", "login.get.get_login_token.truthful", FLOWS, "get_login_token is true and POST /login/get_token is refused with 405",
        &[edit(&[O::GetToken], OK, &[C::Refuse(405, "M_UNRECOGNIZED")]), edit(&[O::GetToken], When::Challenge, &[C::Refuse(405, "M_UNRECOGNIZED")]),
          edit(&[O::GetToken], When::Error, &[C::Refuse(405, "M_UNRECOGNIZED")])]),
    data("sso-providers-object", "login.get.sso.identity_providers", IDP, "identity_providers is an object",
        &[edit(&[O::Flows], OK, &[C::Put("/flows/2/identity_providers", r#"{"house": {"id": "house", "name": "The house"}}"#)])]).needs(Need::Sso),
    data("sso-providers-null", "login.get.sso.identity_providers", IDP, "identity_providers is null",
        &[edit(&[O::Flows], OK, &[C::Put("/flows/2/identity_providers", "null")])]).needs(Need::Sso),
    data("sso-provider-without-id", "login.get.sso.idp.required", IDP, "a provider has no id",
        &[edit(&[O::Flows], OK, &[C::Drop("/flows/2/identity_providers/0/id")])]).needs(Need::Sso)
        .also(&["login.get.sso.idp.id_grammar"]),
    data("sso-provider-name-number", "login.get.sso.idp.required", IDP, "the name of a provider is a number",
        &[edit(&[O::Flows], OK, &[C::Put("/flows/2/identity_providers/0/name", "1")])]).needs(Need::Sso),
    data("sso-provider-twice", "login.get.sso.idp.id_unique", IDP, "two providers have one id",
        &[edit(&[O::Flows], OK, &[C::Push("/flows/2/identity_providers", r#"{"id": "house", "name": "Again"}"#)])]).needs(Need::Sso),
    data("sso-provider-twice-apart", "login.get.sso.idp.id_unique", IDP, "the first and the last of three providers have one id",
        &[edit(&[O::Flows], OK, &[C::Push("/flows/2/identity_providers", r#"{"id": "other", "name": "Other"}"#),
          C::Push("/flows/2/identity_providers", r#"{"id": "house", "name": "The house"}"#)])]).needs(Need::Sso)
        .also(&["sso.redirect.idp.status"]),
    data("sso-provider-id-blank", "login.get.sso.idp.id_grammar", IDP, "the id of a provider has a blank",
        &[edit(&[O::Flows], OK, &[C::Push("/flows/2/identity_providers", r#"{"id": "the house", "name": "Again"}"#)])]).needs(Need::Sso)
        .also(&["sso.redirect.idp.status"]),
    data("sso-provider-id-empty", "login.get.sso.idp.id_grammar", IDP, "the id of a provider is empty",
        &[edit(&[O::Flows], OK, &[C::Push("/flows/2/identity_providers", r#"{"id": "", "name": "Again"}"#)])]).needs(Need::Sso)
        .also(&["sso.redirect.idp.status"]),
    data("sso-provider-icon-http", "login.get.sso.idp.icon", IDP, "the icon of a provider is no mxc URI",
        &[edit(&[O::Flows], OK, &[C::Put("/flows/2/identity_providers/0/icon", "\"https://example.org/i.png\"")])]).needs(Need::Sso)
        .also(&["login.get.sso.idp.icon_fetchable"]),
    data("sso-provider-icon-number", "login.get.sso.idp.icon", IDP, "the icon of a provider is a number",
        &[edit(&[O::Flows], OK, &[C::Put("/flows/2/identity_providers/0/icon", "1")])]).needs(Need::Sso),
    data("sso-provider-icon-bare", "login.get.sso.idp.icon", IDP, "the icon of a provider is a media id without its server",
        &[edit(&[O::Flows], OK, &[C::Put("/flows/2/identity_providers/0/icon", "\"GCmhgzMPRjqgpODLsNQzVuHZ\"")])]).needs(Need::Sso)
        .also(&["login.get.sso.idp.icon_fetchable"]),
    data("sso-provider-brand-spaces", "login.get.sso.idp.brand", IDP, "the brand of a provider is outside its grammar",
        &[edit(&[O::Flows], OK, &[C::Put("/flows/2/identity_providers/0/brand", "\"The House\"")])]).needs(Need::Sso),
    data("sso-provider-brand-number", "login.get.sso.idp.brand", IDP, "the brand of a provider is a number",
        &[edit(&[O::Flows], OK, &[C::Put("/flows/2/identity_providers/0/brand", "1")])]).needs(Need::Sso),
    data("sso-aware-text", "login.get.sso.oauth_aware.type", IDP, "oauth_aware_preferred is a text",
        &[edit(&[O::Flows], OK, &[C::Put("/flows/2/oauth_aware_preferred", "\"no\"")])]).needs(Need::Sso),
    data("sso-aware-number", "login.get.sso.oauth_aware.type", IDP, "oauth_aware_preferred is a number",
        &[edit(&[O::Flows], OK, &[C::Put("/flows/2/oauth_aware_preferred", "1")])]).needs(Need::Sso),
    data("sso-without-token-flow", "login.get.sso_implies_token", "Client-Server API, Token-based login", "SSO is offered without token login",
        &[edit(&[O::Flows], OK, &[C::Drop("/flows/1")])]).needs(Need::Sso),
    // Single sign-on.
    data("sso-redirect-404", "sso.redirect.status", SSO, "the redirect to a provider does not exist",
        &[edit(&[O::SsoRedirect], When::Status(302), &[C::NoHeader("location"), C::Refuse(404, "M_UNRECOGNIZED")])])
        .also(SSO_GONE).needs(Need::Sso),
    data("sso-redirect-204", "sso.redirect.status", SSO, "the redirect to a provider answers with 204",
        &[edit(&[O::SsoRedirect], When::Status(302), &[C::Status(204)])]).also(SSO_GONE).needs(Need::Sso),
    data("sso-redirect-401", "sso.redirect.public", SSO, "the redirect to a provider asks for an access token",
        &[edit(&[O::SsoRedirect], When::Status(302), &[C::NoHeader("location"), C::Refuse(401, "M_MISSING_TOKEN")])])
        .also(&["sso.redirect.status", "sso.redirect.location", "sso.redirect.generic_with_idps", "sso.redirect.action",
            "oauth_aware.action", "sso.redirect.state"]).needs(Need::Sso),
    data("sso-redirect-403", "sso.redirect.status", SSO, "the redirect to a provider is refused with 403",
        &[edit(&[O::SsoRedirect], When::Status(302), &[C::NoHeader("location"), C::Refuse(403, "M_FORBIDDEN")])])
        .also(SSO_GONE).needs(Need::Sso),
    data("sso-redirect-without-location", "sso.redirect.location", SSO, "the redirect to a provider has no Location",
        &[edit(&[O::SsoRedirect], When::Status(302), &[C::NoHeader("location")])]).also(&["sso.redirect.status"]).needs(Need::Sso),
    data("sso-redirect-relative", "sso.redirect.location", SSO, "the Location of the redirect is empty",
        &[edit(&[O::SsoRedirect], When::Status(302), &[C::Header("location", "")])]).also(&["sso.redirect.status"]).needs(Need::Sso),
    data("sso-redirect-bare-200", "sso.redirect.url_required", SSO, "a redirect without redirectUrl answers 200",
        &[edit(&[O::SsoRedirect], When::Because(&[R::MemberMissing]), &[C::Status(200), C::Put("", "{}")])]).needs(Need::Sso),
    data("sso-redirect-bare-500", "sso.redirect.url_required", SSO, "a redirect without redirectUrl fails with 500",
        &[edit(&[O::SsoRedirect], When::Because(&[R::MemberMissing]), &[C::Refuse(500, "M_UNKNOWN")])]).needs(Need::Sso)
        .also(&["error.malformed.no_5xx"]),
    data("sso-provider-redirect-404", "sso.redirect.idp.status", SSO, "the redirect to a provider that is listed does not exist",
        &[edit(&[O::SsoRedirectTo], When::Status(302), &[C::NoHeader("location"), C::Refuse(404, "M_UNRECOGNIZED")])]).needs(Need::Sso),
    data("sso-provider-redirect-200", "sso.redirect.idp.status", SSO, "the redirect to a provider that is listed is a page",
        &[edit(&[O::SsoRedirectTo], When::Status(302), &[C::Status(200), C::NoHeader("location")])]).needs(Need::Sso),
    data("sso-provider-unknown-400", "sso.redirect.idp.unknown", SSO, "an unknown provider is refused with 400",
        &[edit(&[O::SsoRedirectTo], When::Because(&[R::UnknownEndpoint]), &[C::Status(400)])]).needs(Need::Sso),
    data("sso-provider-unknown-302", "sso.redirect.idp.unknown", SSO, "an unknown provider is taken for the one there is",
        &[edit(&[O::SsoRedirectTo], When::Because(&[R::UnknownEndpoint]), &[C::Bytes("text/html", b""), C::Status(302),
            C::Header("location", "https://provider.example.org/")])]).needs(Need::Sso),
    data("cas-redirect-404", "sso.cas.redirect", CAS, "CAS is offered and its redirect does not exist",
        &[edit(&[O::CasRedirect], When::Status(302), &[C::NoHeader("location"), C::Refuse(404, "M_UNRECOGNIZED")])]).needs(Need::Cas),
    data("cas-redirect-200", "sso.cas.redirect", CAS, "CAS is offered and its redirect is a page",
        &[edit(&[O::CasRedirect], When::Status(302), &[C::Status(200), C::NoHeader("location")])]).needs(Need::Cas),
    data("cas-redirect-without-location", "sso.cas.redirect", CAS, "the redirect to CAS has no Location",
        &[edit(&[O::CasRedirect], When::Status(302), &[C::NoHeader("location")])]).needs(Need::Cas),
    data("provider-icon-401", "login.get.sso.idp.icon_fetchable", ICON, "the icon of a provider asks for an access token",
        &[edit(&[O::Media], OK, &[C::Refuse(401, "M_MISSING_TOKEN")])]).needs(Need::ProviderIcon),
    data("provider-icon-404", "login.get.sso.idp.icon_fetchable", ICON, "the icon of a provider is not found without an access token",
        &[edit(&[O::Media], OK, &[C::Refuse(404, "M_NOT_FOUND")])]).needs(Need::ProviderIcon),
    data("sso-stage-404", "sso.uia_fallback", STAGE, "the fallback page of the stage m.login.sso does not exist",
        &[edit(&[O::StagePage], When::Status(302), &[C::NoHeader("location"), C::Refuse(404, "M_UNRECOGNIZED")])]).needs(Need::SsoStage),
    data("sso-stage-json", "sso.uia_fallback", STAGE, "the fallback of the stage m.login.sso is JSON",
        &[edit(&[O::StagePage], When::Status(302), &[C::NoHeader("location"), C::Status(200), C::Bytes("application/json", b"{}")])])
        .needs(Need::SsoStage),
    data("flows-404-before-v1-15", "login.get.public", "GET /login up to v1.14: there is no other answer than 200 and 429",
        "only releases before v1.15 are listed, and GET /login is a 404 with M_UNRECOGNIZED",
        &[edit(&[O::Flows], OK, &[C::Refuse(404, "M_UNRECOGNIZED")])])
        .also(&["login.get.flows", "route.v3_prefix", "route.r0_prefix"]).needs(Need::OnlyLegacy),
    // The login page.
    data("login-page-old-name-alone", "fallback.page.callback", PAGE, "the login page calls window.onLogin alone",
        &[edit(&[O::LoginPage], OK, &[C::Bytes("text/html; charset=utf-8",
            b"<!DOCTYPE html><html><body><form><input name=user></form><script>window.onLogin({});</script></body></html>")])]),
    data("login-page-404", "fallback.page.ok", PAGE, "there is no login page",
        &[edit(&[O::LoginPage], OK, &[C::Refuse(404, "M_UNRECOGNIZED")])]).also(&["fallback.page.callback", "fallback.page.params"]),
    data("login-page-plain-text", "fallback.page.ok", PAGE, "the login page is sent as text/plain",
        &[edit(&[O::LoginPage], OK, &[C::Header("content-type", "text/plain")])]),
    data("login-page-without-callback", "fallback.page.callback", PAGE, "the login page tells the client nothing",
        &[edit(&[O::LoginPage], OK, &[C::Bytes("text/html; charset=utf-8",
            b"<!DOCTYPE html><html><body><form><input name=user><input name=password></form><script></script></body></html>")])]),
    data("login-page-former-callback", "fallback.page.callback", PAGE, "the login page calls window.onLogin, as it was named before v1.12, alone",
        &[edit(&[O::LoginPage], OK, &[C::Bytes("text/html; charset=utf-8",
            b"<!DOCTYPE html><html><body><form><input name=user><input name=password></form><script>window.onLogin({})</script></body></html>")])]),
];

/// What breaks when the redirect is no redirect.
const SSO_GONE: &[&str] = &[
    "sso.redirect.location",
    "sso.redirect.public",
    "sso.redirect.generic_with_idps",
    "sso.redirect.action",
    "oauth_aware.action",
    "sso.redirect.state",
];

behaviours! {
    SSO_ACTION_REFUSED "sso-redirect-refuses-action" breaks "sso.redirect.action", also &["oauth_aware.action"], needs Sso,
        "GET /login/sso/redirect: action", "a redirect with the parameter action is refused with 400";
    SSO_REGISTER_REFUSED "sso-redirect-refuses-register" breaks "oauth_aware.action", also &["sso.redirect.action"], needs OauthAware,
        "Client-Server API, OAuth 2.0-aware clients: action", "a redirect with action=register is refused with 400";
    SSO_PROVIDER_ACTION_REFUSED "sso-provider-redirect-refuses-action" breaks "oauth_aware.action", also &[], needs OauthAware,
        "Client-Server API, OAuth 2.0-aware clients: action", "the redirect of a provider with the parameter action is refused with 400";
    SSO_GENERIC_REFUSED "sso-redirect-needs-provider" breaks "sso.redirect.generic_with_idps",
        also &["sso.redirect.status", "sso.redirect.location", "sso.redirect.public", "sso.redirect.action", "oauth_aware.action",
            "sso.redirect.state"],
        needs Sso,
        "Client-Server API, SSO client login: the redirect without a provider is for older clients",
        "the redirect without a provider is refused with 400";
    LOGIN_PAGE_NO_PARAMS "login-page-refuses-parameters" breaks "fallback.page.params", also &[],
        "Client-Server API, Login fallback: query parameters", "the login page with parameters is refused with 400";
}
