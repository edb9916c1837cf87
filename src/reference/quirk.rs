//! Quirks: ways to differ that the specification allows, or that it frowns on without forbidding them.

use super::catalogue::{Catalogue, NO_CLAUSE, Need, Quirk};
use super::changes;
use super::edit::{Change as C, Edit, Turn, When};
use super::policy::{
    DeviceIdMember, FailedStage, FormData, Gateway, GeneratedIds, IdentifierMember, LimitBody,
    LimitRefusal, LoginPage, NameCapitals, NewRefreshToken, OauthStage, PasswordFlows,
    PasswordTrouble, Policy, UnlistedStage,
};
use super::refusal::Refusal as R;
use super::release::{PUBLISHED, Release, v1};
use super::route::Operation as O;
use super::settings::Settings;
use std::sync::LazyLock;
use std::time::Duration;

/// All quirks.
pub fn quirks() -> &'static [Quirk] {
    static ALL: LazyLock<Vec<Quirk>> = LazyLock::new(|| [BEHAVIOURS, DATA].concat());
    &ALL
}

impl Catalogue {
    /// The quirks of the tables and these.
    pub fn all_quirks(self) -> impl Iterator<Item = &'static Quirk> {
        quirks().iter().chain(self.quirks)
    }
}

/// The policy with what a quirk changes in it.
pub(super) fn apply(quirk: &str, policy: &mut Policy) {
    for (_, change) in POLICIES.iter().filter(|(name, _)| *name == quirk) {
        change(policy);
    }
}

/// Whether quirks of these names make the server refuse logins for limits of its own.
pub fn limits_logins(quirks: &[String]) -> bool {
    let mut policy = Policy::default();
    quirks.iter().for_each(|quirk| apply(quirk, &mut policy));
    policy.login.limit.is_some()
}

/// The settings with what the quirks switched on change in them.
pub(super) fn adjust(mut settings: Settings) -> Settings {
    for quirk in settings.quirks.clone() {
        for (_, change) in SETTINGS.iter().filter(|(name, _)| *name == quirk) {
            change(&mut settings);
        }
    }
    settings
}

/// Published releases of which something holds, as `GET /versions` names them.
fn published(holds: fn(Release) -> bool) -> Vec<String> {
    let all = PUBLISHED.iter().filter(|name| Release::parse(name).is_some_and(holds));
    all.map(|name| (*name).to_owned()).collect()
}

macro_rules! needs {
    () => {
        Need::Nothing
    };
    ($need:ident) => {
        Need::$need
    };
}

macro_rules! sometimes {
    () => {
        false
    };
    ($counted:literal) => {
        true
    };
}

macro_rules! edits {
    () => {
        &[]
    };
    ($edits:expr) => {
        $edits
    };
}

/// Declares quirks: their table, and what they change in the policy and in the settings.
macro_rules! behaviours {
    ($($name:literal, $clause:expr, $about:literal, changes $changes:expr
       $(, needs $need:ident)? $(, counts $counted:literal)? $(, edits $edits:expr)? $(, policy |$p:ident| $policy:expr)?
       $(, settings |$s:ident| $settings:expr)?;)*) => {
        static BEHAVIOURS: &[Quirk] = &[
            $(Quirk {
                name: $name, about: $about, clause: $clause, changes: $changes, needs: needs!($($need)?), place: None,
                sometimes: sometimes!($($counted)?), edits: edits!($($edits)?),
            },)*
        ];
        static POLICIES: &[(&str, fn(&mut Policy))] = &[$($(($name, |$p| $policy),)?)*];
        static SETTINGS: &[(&str, fn(&mut Settings))] = &[
            $($(($name, |$s| $settings),)?)*
            // Of a guest it has to be said.
            ("is-guest-absent", |s| s.guests = false),
        ];
    };
}

/// Declares the quirks that are edits of finished answers.
macro_rules! data {
    ($($name:literal, $clause:literal, $about:literal, changes $changes:expr, $(needs $need:ident,)? edits $edits:expr;)*) => {
        static DATA: &[Quirk] = &[
            $(Quirk { name: $name, about: $about, clause: $clause, changes: $changes, needs: needs!($($need)?), place: None, sometimes: false, edits: $edits },)*
        ];
    };
}

const fn edit(on: &'static [O], when: When, changes: &'static [C]) -> Edit {
    Edit { on, when, turn: Turn::Each, changes }
}

/// Refusals for members that are missing or mistyped.
const MALFORMED: When = When::Because(&[
    R::TypeMissing,
    R::TypeNotString,
    R::PasswordMissing,
    R::PasswordNotString,
    R::IdentifierMissing,
    R::IdentifierNotObject,
    R::IdentifierTypeMissing,
    R::IdentifierUserMissing,
    R::IdentifierThirdPartyMissing,
    R::IdentifierPhoneMissing,
    R::IdentifierWrongType,
    R::LoginTokenMissing,
    R::LoginTokenNotString,
    R::DeviceIdNotString,
    R::DisplayNameNotString,
    R::RefreshFlagNotBoolean,
    R::RefreshTokenMissing,
    R::RefreshTokenNotString,
    R::MemberMissing,
    R::MemberWrongType,
]);
/// Every eighth login is refused for a limit.
const EVERY_EIGHTH: LimitRefusal =
    LimitRefusal { every: 8, refusal: R::ResourceLimit, body: LimitBody::Right };
const LIMITED: When = When::Status(429);

behaviours! {
    "options-204", "Web browser clients: the status is not pinned", "OPTIONS is answered with 204", changes &[],
        edits &[edit(&[], When::GoodOptions, &[C::NoContent])];
    "retry-after-date", "RFC 9110, Retry-After", "Retry-After is an HTTP date", changes &["rate_limit.consistent", "rate_limit.recovers", "rate_limit.get_token_stricter"], needs LoginLimit,
        edits &[edit(&[], LIMITED, &[C::RetryAfterDate])];
    "device-keeps-old-token", "POST /login: a known device's earlier token may end",
        "the earlier access token of a device that logs in again keeps working", changes &[],
        policy |p| p.every_opening(|opening| opening.known_keeps_access_token = true);
    "refresh-ends-old-access-token", "POST /refresh: the old access token may end at once",
        "a refresh ends the old access token", changes &[],
        policy |p| p.refresh.ends_old_access_token = true;
    "refresh-not-rotated", "POST /refresh, 200: refresh_token is optional",
        "a refresh returns no new refresh token, and the old one stays valid",
        changes &["refresh.grace", "refresh.revoked_by_access", "refresh.revoked_by_refresh", "refresh.reused.status",
            "refresh.reused.errcode", "refresh.no_rotation", "refresh.rotated_usable"],
        policy |p| p.refresh.new_token = NewRefreshToken::None;
    "expires-without-refresh", "POST /login, 200: expires_in_ms without refresh_token",
        "every login returns an access token that expires", changes &[],
        policy |p| p.every_opening(|opening| opening.always_expires = true);
    "odd-device-ids", "Device ids are opaque", "generated device ids contain a slash, a space and letters outside ASCII", changes &[],
        policy |p| p.every_opening(|opening| opening.generated_ids = GeneratedIds::Odd);
    "home-server-echoed", "POST /login, 200: home_server, deprecated", "home_server is returned", changes &["login.post.ok.home_server"],
        policy |p| p.every_opening(|opening| opening.home_server = true);
    "token-death-lags", "Clustered servers: caches lag behind", "a token keeps working for a second after logout", changes &[],
        policy |p| p.logout.tokens_linger = Some(Duration::from_secs(1));
    "device-default-name", "GET /devices: display_name without an initial one is not pinned",
        "a device without a name gets one", changes &[],
        policy |p| p.every_opening(|opening| opening.default_name = Some("A device"));
    "keys-are-verified", "POST /keys/upload: signatures of device keys",
        "device keys without a valid signature of their device are refused", changes &[],
        policy |p| p.devices.keys_verified = true;
    "user-case-folded", "Nothing says how capitals in user names are taken", "upper and lower case in a user name are not distinguished", changes &[],
        policy |p| p.every_identification(|found| found.folds_case = true);
    "foreign-id-400", "POST /login, 400", "an id of another server is refused with 400", changes &[],
        policy |p| p.login.foreign_ids_invalid = true;
    "uia-unknown-third-party-401", "User-interactive authentication: a stage that fails may be tried again",
        "an unknown third-party identifier in a stage is answered with a challenge", changes &["uia.password.unknown_3pid"],
        policy |p| p.uia.unknown_address_is_challenged = true;
    "throttled", "Rate limiting: any request may be refused",
        "every eleventh request is refused with 429 and may be repeated at once", changes changes::WITH_LIMITS, counts "requests",
        policy |p| p.connection.throttled = true;
    "throttled-first", "Rate limiting: any request may be refused",
        "the first request to each operation is refused with 429 and may be repeated at once", changes changes::WITH_LIMITS, counts "requests",
        policy |p| p.connection.first_throttled = true;
    "cors-origin-echoed", "Web browser clients: the header's value is advice",
        "Access-Control-Allow-Origin is the Origin of the request", changes &["cors.allow_origin"],
        edits &[edit(&[], When::FromOrigin, &[C::EchoOrigin])];
    "resource-limit", "M_RESOURCE_LIMIT_EXCEEDED: a homeserver may refuse for its own limits",
        "every eighth login is refused for a resource limit", changes &["login.post.ok.status", "error.resource_limit.admin_contact"], counts "logins",
        policy |p| p.login.limit = Some(EVERY_EIGHTH);
    "only-what-is-listed", "Unknown members of a request are ignored",
        "a server that lists only older releases does not know identifier and device_id", changes &[],
        policy |p| {
            p.login.identification.identifier = IdentifierMember::ReadSinceItsRelease;
            p.login.opening.device_id = DeviceIdMember::ReadSinceItsRelease;
        };
    "login-types-not-listed", "GET /login: a server may take types that it does not list",
        "token login is accepted but not listed", changes changes::WITHOUT_TOKEN_LOGIN,
        policy |p| p.login.token_login_unlisted = true;
    "sso-only", "GET /login: which types are offered is the server's choice",
        "single sign-on and token login are offered, password login is not", changes changes::WITHOUT_PASSWORD,
        policy |p| p.login.no_password_login = true,
        settings |s| s.sso = true;
    "no-legacy-api", "Authentication API discovery: the legacy API may be absent",
        "the legacy API is not offered, the OAuth API is", changes changes::WITHOUT_LEGACY,
        settings |s| (s.legacy, s.oauth) = (false, true);
    "both-apis", "Authentication API discovery: both may be offered", "OAuth metadata is served next to the legacy API", changes changes::WITH_OAUTH,
        settings |s| s.oauth = true;
    "no-get-token", "POST /v1/login/get_token is optional", "get_token is not offered",
        changes changes::WITHOUT_GET_TOKEN,
        settings |s| s.get_token = false;
    "no-refresh", "POST /login: refresh_token is optional", "refresh tokens are not offered", changes changes::WITHOUT_REFRESH,
        settings |s| s.access_lifetime = None;
    "no-well-known", "GET /.well-known/matrix/client, 404", "there is no well-known file, and login returns none",
        changes &["well_known.get.json", "well_known.homeserver.required", "cors.well_known", "well_known.homeserver.url", "well_known.extra_keys", "login.response.well_known.shape", "well_known.homeserver.scheme", "well_known.homeserver.usable", "login.response.well_known.scheme", "login.response.well_known.usable"],
        settings |s| s.well_known = false;
    "no-guests", "Guest access is optional", "guests cannot register", changes &["whoami.guest_allowed", "whoami.is_guest.true", "register.guest.no_uia", "register.guest.device_id", "register.guest.parameters_ignored", "register.guest.display_name", "register.guest.devices"],
        settings |s| s.guests = false;
    "uia-session-for-any-request", "User-interactive authentication: that a session belongs to one request is not pinned",
        "a session of interactive auth is accepted for another request of its user than the one that began it", changes &[],
        policy |p| p.uia.session_for_any_request = true;
    "user-name-is-a-basis", "POST /register: username is the basis for the localpart",
        "the localpart of a new user is a number, and the name that was asked for logs in too", changes &["register.user_id.from_username"],
        policy |p| p.registration.numbers_users = true;
    "session-ends-with-access-token", "Refreshing access tokens: a refresh that fails may ask for a soft logout",
        "once an access token has expired its refresh token is refused with soft_logout true",
        changes &["refresh.expired_access_token"], needs ShortLives,
        policy |p| p.refresh.refused_after_expiry = Some(R::ExpiredToken);
    "use-renews-access-token", "Access tokens can expire after a certain amount of time, which may begin with their last use",
        "the lifetime of an access token begins anew with each use", changes &[], needs ShortLives,
        policy |p| p.authentication.use_renews = true;
    "no-capabilities", "GET /capabilities: a client that gets none assumes the defaults", "GET /capabilities is not there",
        changes &["get_token.capability.shape", "get_token.capability.truthful", "get_token.capability.absent",
            "state.password_changed.capability"],
        policy |p| p.routes.absent.push(O::Capabilities);
    "gateway-one-operation", NO_CLAUSE, "something in front of the homeserver answers GET /devices with a page", changes &[],
        policy |p| p.connection.gateway = Gateway::OneOperation(O::Devices);
    "gateway-every-nth", NO_CLAUSE, "something in front of the homeserver answers every ninth request with a page", changes &[], counts "requests",
        policy |p| p.connection.gateway = Gateway::EveryNth(9);
    "gateway-all", NO_CLAUSE, "something in front of the homeserver answers everything but GET /versions with a page", changes &[],
        policy |p| p.connection.gateway = Gateway::All;
    "uia-two-flows", "User-interactive authentication: several flows may be offered",
        "interactive auth offers a flow with an unknown stage before the password flow", changes &[],
        policy |p| p.uia.password_flows = PasswordFlows::UnknownOrPassword;
    "http-1-0", "RFC 9112: HTTP/1.0 answers", "responses are HTTP/1.0, each on a connection of its own", changes &[],
        policy |p| p.connection.http_1_0 = true;
    "slow-answers", "Nothing says how long an answer may take", "every seventh response takes half a second", changes &[],
        policy |p| p.connection.slow = true;
    "base-path", "Well-known URI: base_url may have a path", "the homeserver is below /homeserver; the rest of the host is a web server's",
        changes &[],
        policy |p| p.connection.base_path = "/homeserver";
    "only-r0-listed", "GET /_matrix/client/versions: which releases is the server's choice", "only releases before v1.1 are listed", changes changes::WITHOUT_V1,
        settings |s| s.versions = published(|release| release < v1(0));
    "only-v1-15-and-later-listed", "GET /_matrix/client/versions: which releases is the server's choice", "only releases from v1.15 on are listed",
        changes &["route.r0_prefix", "state.password_changed.other_tokens"],
        settings |s| s.versions = published(|release| release >= v1(15));
    "cas-offered", "Client-Server API, Client login via SSO: m.login.cas", "m.login.cas is offered too", changes &["sso.cas.redirect"],
        policy |p| p.sso.cas = true;
    "provider-icon", "Client-Server API, SSO client login: icon of an identity provider", "the identity provider has an icon",
        changes &["login.get.sso.idp.icon", "login.get.sso.idp.icon_fetchable"], needs Sso,
        policy |p| p.sso.provider_icon = true;
    "oauth-aware", "Client-Server API, OAuth 2.0-aware clients", "single sign-on is preferred for OAuth-aware clients",
        changes &["login.get.sso.oauth_aware.type", "oauth_aware.needs_oauth", "oauth_aware.action", "oauth_aware.account_uri"], needs SsoAndOauth,
        policy |p| p.sso.oauth_aware_preferred = true;
    "uia-sso-stage", "Client-Server API, SSO during user-interactive authentication", "interactive auth offers single sign-on next to the password",
        changes &["sso.uia_fallback"], needs Sso,
        policy |p| p.uia.password_flows = PasswordFlows::PasswordOrSso;
    "login-page-before-v1-12", "Client-Server API up to v1.11, Login fallback: window.onLogin",
        "only releases up to v1.11 are listed, and the login page calls window.onLogin",
        changes &["auth.discovery.one_api", "auth.discovery.metadata_404", "get_token.capability.truthful", "get_token.capability.absent",
            "uia.oauth.place", "versions.no_v1_0"],
        policy |p| p.routes.login_page = LoginPage::FormerCallback,
        settings |s| s.versions = published(|release| release < v1(12));
    "well-known-redirected", "Client-Server API, Well-known URI: redirects are followed",
        "the well-known file is reached by a redirect",
        changes &["cors.well_known.redirect", "cors.well_known", "well_known.get.json", "well_known.homeserver.required", "well_known.homeserver.url", "well_known.extra_keys",
            "well_known.homeserver.scheme", "well_known.homeserver.usable"],
        policy |p| p.routes.well_known_redirects = true;

    "uia-answer-repeated", "User-interactive authentication: a stage that is tried again may have the result of the call",
        "a request that has passed interactive auth and is sent again has the same answer, and does nothing more", changes &[],
        policy |p| p.uia.repeats_answers = true;
    "uia-not-asked-again", "POST /v1/login/get_token: servers sometimes do not ask again, except there",
        "who has passed interactive auth is not asked again in the same session, except by get_token", changes &[],
        policy |p| p.uia.not_asked_again = true;
    "uia-session-replaced", "User-interactive authentication: session, which a client passes back if one is provided",
        "the challenge after a wrong password names a new session, and the one before is forgotten", changes &[],
        policy |p| p.uia.failed_stage = FailedStage::OpensAnother;
    "uia-unknown-session-400", "User-interactive authentication: what fails for another reason is answered with a standard error",
        "a session of interactive auth that is not known, or is spent, is refused with 400", changes &["uia.completed.retry"],
        policy |p| p.uia.unknown_session_refused = true;
    "register-two-flows", "User-interactive authentication: several flows may be offered",
        "registration offers a flow with an unknown stage before its own", changes &[],
        policy |p| p.registration.unknown_flow_first = true;
    "register-without-refresh", "POST /register, refresh_token: it says what the client supports",
        "registration returns no refresh token, and login does", changes &["register.refresh_token.given", "register.refresh_token.usable"],
        policy |p| p.registration.without_refresh_tokens = true;
    "register-maps-names", "POST /register: a user name may be mapped onto an id",
        "capitals and spaces in the user name of a registration are mapped", changes &["register.available.invalid"],
        policy |p| p.registration.capitals = NameCapitals::Mapped;
    "guest-names-numbered", "POST /register, guest accounts: the server picks their names", "guests have numbers as localparts", changes &[],
        policy |p| p.guests.numbered = true;
    "guests-listed-operations-alone", "Client-Server API, Guest access: guests have access to a part of the API",
        "guests may do what the specification lists and nothing else, so that they cannot log out", changes &[],
        policy |p| p.guests.listed_operations_alone = true;
    "refresh-ends-old-access-token-by-use", "POST /refresh: the old access token may end at once, or not",
        "the old access token ends when the new one is used", changes &[],
        policy |p| p.refresh.new_access_token_ends_old = true;
    "sessions-end-login-tokens", "POST /logout, POST /account/password: nothing is said of login tokens",
        "a logout and a change of password end the login tokens that are out", changes &[],
        policy |p| p.lifetimes.login_tokens_end = true;
    "device-delete-never-known-404", "DELETE /devices/{deviceId}, 200: a device that was removed previously",
        "the deletion of a device that the user never had is refused with 404", changes &[],
        policy |p| p.devices.delete.never_known = Some(R::DeviceUnknown);
    "device-delete-of-another-403", "DELETE /devices/{deviceId}: nothing is said of other users' devices",
        "the deletion of another user's device is refused with 403", changes &[],
        policy |p| p.devices.delete.of_another = Some(R::NotThisUser);
    "password-change-soft-logout", "POST /account/password, logout_devices: soft logout of the remaining devices is allowed",
        "a change of password without logout_devices asks the other devices to log in again", changes &["error.soft_logout.type"],
        policy |p| p.password.soft_logout = true;
    "no-password-change", "Client-Server API, m.change_password capability: it may be disabled",
        "passwords cannot be changed, and the capability says so",
        changes &["login.password.exact.long", "state.password_changed.other_tokens", "state.password_changed.new", "state.password_changed.own_token", "state.password_changed.logout_devices",
            "state.password_changed.ok", "state.password_changed.not_string", "state.password_changed.refresh_tokens",
            "state.password_changed.earlier_tokens", "state.password_changed.other_users", "login.password.beyond_ascii",
            "login.password.long"],
        policy |p| p.password.refused = Some(R::PasswordChangeRefused);
    "passwords-limited", "POST /register, POST /account/password: which passwords are taken is the server's choice",
        "new passwords of more than 72 bytes are refused with 400", changes &["login.password.long", "login.password.exact.long"],
        policy |p| {
            p.registration.password_trouble = PasswordTrouble::LongRefused;
            p.password.trouble = PasswordTrouble::LongRefused;
        };
    "empty-token-unknown", "Client-Server API, Using access tokens: an empty token is a missing or an invalid one",
        "an empty access token is refused as unknown", changes &[],
        policy |p| p.secrets.empty_access_unknown = true;
    "odd-token-missing", "RFC 6750, 2.1: what is no token by its grammar",
        "an access token without a letter or a digit is refused as missing", changes &[],
        policy |p| p.secrets.odd_access_missing = true;
    "form-data-415", "RFC 9110, 415: which media types are taken is the server's choice",
        "a body of multipart/form-data is refused with 415 and a standard error", changes &[],
        policy |p| p.requests.form_data = FormData::Refused;
    "validity-limited", "GET /register/m.login.registration_token/validity: servers limit its rate",
        "from the fourth on, lookups of registration tokens are refused with 429", changes &[], counts "lookups",
        policy |p| p.validity.limited = true;
    "suspended-change-profile", "Client-Server API, Account suspension: what is forbidden is the server's choice",
        "a suspended account may change its profile", changes &["state.suspended.forbidden", "state.suspended.profile"], needs Operator,
        policy |p| p.suspended.changes_profile = true;
    "namespace-not-exclusive", "Application Service API: a namespace need not be exclusive",
        "everybody may register users of the namespace of an application service", changes &["register.as.exclusive", "register.as.exclusive.available"], needs Operator,
        policy |p| p.service.namespace_open = true;
    "oauth-stage", "Client-Server API, OAuth authentication", "new cross-signing keys can be confirmed in the stage m.oauth", changes &["uia.oauth.url"], needs Oauth,
        policy |p| p.uia.oauth = OauthStage::Offered;
    "malformed-after-auth", "User-interactive authentication: nothing is said of when a call's own members are read",
        "what is malformed in a deletion of devices or a change of password is refused after interactive auth alone", changes &[],
        policy |p| p.uia.before_members = true;
    "uia-unlisted-stage-400", "User-interactive authentication: what fails for another reason is answered with a standard error",
        "a stage of interactive auth that no flow has is refused with 400", changes &[],
        policy |p| p.uia.unlisted_stage = UnlistedStage::Refused;
}

data! {
    "vendor-capabilities", "GET /capabilities: names like those of Java packages are the server's own", "a capability of the server's own is listed", changes &[],
        edits &[edit(&[O::Capabilities], When::Success, &[C::Put("/capabilities/org.example.limit", r#"{"requests": 600}"#)])];
    "extra-members", "Servers may add members", "every successful response has unknown members", changes &[],
        edits &[edit(&[], When::Success, &[C::Put("/org.example.extra", r#"{"list": [1, null]}"#)]),
            // The well-known file alone asks for names of its own kind.
            edit(&[O::Login, O::Whoami, O::Versions, O::Logout, O::Refresh], When::Success, &[C::Put("/server", "\"reference\"")])];
    "charset-parameter", "Media types have parameters", "JSON is sent with a charset parameter", changes &[],
        edits &[edit(&[], When::Always, &[C::MediaType("application/json; charset=UTF-8")])];
    "media-type-capitals", "RFC 9110: media types are compared without regard to case", "the media type is in upper case", changes &[],
        edits &[edit(&[], When::Always, &[C::MediaType("Application/JSON;charset=utf-8")])];
    "retry-after-only", "Rate limiting: retry_after_ms is deprecated", "a 429 has no retry_after_ms", changes &["rate_limit.retry_after_ms.present", "rate_limit.retry_after_ms.type", "rate_limit.consistent", "rate_limit.retry_after_ms.range", "rate_limit.recovers", "rate_limit.get_token_stricter"], needs LoginLimit,
        edits &[edit(&[], LIMITED, &[C::Drop("/retry_after_ms")])];
    "retry-after-ms-zero", "Rate limiting: retry_after_ms may be 0", "retry_after_ms of a 429 is 0", changes &["rate_limit.recovers", "rate_limit.get_token_stricter"], needs LoginLimit,
        edits &[edit(&[], LIMITED, &[C::Put("/retry_after_ms", "0")])];
    "retry-after-ms-only", "Rate limiting up to v1.9", "a 429 has no Retry-After",
        changes &["rate_limit.retry_after.header", "rate_limit.retry_after.grammar", "rate_limit.consistent", "rate_limit.recovers", "rate_limit.get_token_stricter"], needs LoginLimit, edits &[edit(&[], LIMITED, &[C::NoHeader("retry-after")])];
    "other-error-texts", "Standard error response: the text is for people", "all errors have another text", changes &[],
        edits &[edit(&[], When::Error, &[C::Put("/error", "\"Nō. 😀 <b>&amp;\"")])];
    "empty-error-texts", "Standard error response: the text is for people", "all errors have an empty text", changes &[],
        edits &[edit(&[], When::Error, &[C::Put("/error", "\"\"")])];
    "malformed-code-bad-json", "Common error codes: M_BAD_JSON for missing members", "missing members are refused with M_BAD_JSON", changes &[],
        edits &[edit(&[], MALFORMED, &[C::Code("M_BAD_JSON")])];
    "malformed-code-unknown", "Common error codes: M_UNKNOWN", "missing and mistyped members are refused with M_UNKNOWN", changes &["error.bad_json"],
        edits &[edit(&[], MALFORMED, &[C::Code("M_UNKNOWN")])];
    "malformed-code-invalid-param", "Common error codes: M_INVALID_PARAM", "missing and mistyped members are refused with M_INVALID_PARAM",
        changes &["error.bad_json"], edits &[edit(&[], MALFORMED, &[C::Code("M_INVALID_PARAM")])];
    "not-object-code-not-json", "Common error codes: M_NOT_JSON", "a body that is not an object is refused with M_NOT_JSON",
        changes &["http.request.body_object"], edits &[edit(&[], When::Because(&[R::NotObject]), &[C::Code("M_NOT_JSON")])];
    "type-unknown-code-invalid-param", "POST /login, 400: the code is an example", "an unknown login type is refused with M_INVALID_PARAM",
        changes &[], edits &[edit(&[O::Login], When::Because(&[R::TypeUnknown]), &[C::Code("M_INVALID_PARAM")])];
    "vendor-flows", "GET /login: types outside the specification", "GET /login lists unknown types",
        changes &[], edits &[edit(&[O::Flows], When::Success, &[
            C::Push("/flows", r#"{"type": "org.example.login.jwt", "org.example.issuer": "x"}"#), C::Push("/flows", r#"{"type": "m.login.example"}"#)])];
    "deactivated-forbidden", "POST /login, 403: M_FORBIDDEN where the password is no longer kept", "login to a deactivated account says M_FORBIDDEN",
        changes &["state.deactivated.errcode"], edits &[edit(&[O::Login], When::Because(&[R::UserDeactivated]), &[C::Code("M_FORBIDDEN")])];
    "soft-logout-false", "Soft logout: false is the same as absent", "refused access tokens come with soft_logout false", changes &["error.soft_logout.type"],
        edits &[edit(&[], When::Because(&[R::UnknownToken, R::LoggedOutToken, R::ReplacedToken]), &[C::Put("/soft_logout", "false")])];
    "uia-errcode-on-challenge", "User-interactive authentication: a first challenge may have an errcode",
        "every challenge has an errcode and a text", changes &[],
        edits &[edit(&[], When::Challenge, &[C::Put("/errcode", "\"M_FORBIDDEN\""), C::Put("/error", "\"Prove it\"")])];
    "get-token-not-json-challenge", "User-interactive authentication: a challenge may come before the body is read",
        "get_token answers broken JSON with a challenge", changes &["uia.non_auth_error"],
        edits &[edit(&[O::GetToken], When::Because(&[R::NotJson, R::NotObject]), &[C::Status(401),
            C::Put("", r#"{"flows": [{"stages": ["m.login.password"]}], "session": "s"}"#)])];
    "account-management-other-action", "Client-Server API, Account management URL actions: those of Matrix are not all",
        "the account page has an action that nobody knows", changes &[], needs Oauth,
        edits &[edit(&[O::AuthMetadata], When::Success, &[C::Push("/account_management_actions_supported", "\"org.example.invite\"")])];
    "uia-params-absent", "User-interactive authentication: params is optional", "challenges have no params", changes &[],
        edits &[edit(&[], When::Challenge, &[C::Drop("/params")])];
    "pretty-printed", "RFC 8259: blanks between tokens do not matter", "JSON is written over many lines", changes &[],
        edits &[edit(&[], When::Always, &[C::Pretty])];
    "connection-closed", "RFC 9112, Tear-down", "each response closes its connection", changes &[],
        edits &[edit(&[], When::Always, &[C::Header("connection", "close")])];
    "chunked", "RFC 9112, Transfer-Encoding", "responses are sent in chunks", changes &[],
        edits &[edit(&[], When::Success, &[C::Header("transfer-encoding", "chunked")])];
    "cors-more-than-advised", "Web browser clients: the header's values are advice", "the CORS headers name more, in another order and case", changes &[],
        edits &[edit(&[], When::Always, &[C::Header("access-control-allow-methods", "OPTIONS,HEAD,PATCH,DELETE,PUT,POST,GET"),
            C::Header("access-control-allow-headers", "x-requested-with,content-type,authorization,date,if-match"),
            C::Header("access-control-expose-headers", "*")])];
    "is-guest-absent", "GET /account/whoami, 200: is_guest may be absent for full accounts", "is_guest is not returned", changes &["whoami.is_guest.type", "whoami.is_guest.true", "whoami.guest_allowed", "register.guest.no_uia", "register.guest.device_id", "register.guest.parameters_ignored", "register.guest.display_name", "register.guest.devices"],
        edits &[edit(&[O::Whoami], When::Success, &[C::Replace("/is_guest", "false"), C::Drop("/is_guest")])];
    "versions-from-the-future", "Specification versions: unknown versions are ignored by clients", "versions that do not exist yet are listed", changes &[],
        edits &[edit(&[O::Versions], When::Success, &[C::Push("/versions", "\"v1.47\""), C::Push("/versions", "\"v2.0\"")])];
    "features-absent", "GET /_matrix/client/versions: unstable_features is optional", "unstable_features is absent", changes &["versions.unstable_features.type", "versions.unstable_features.namespace"],
        edits &[edit(&[O::Versions], When::Success, &[C::Drop("/unstable_features")])];
    "unrecognized-everywhere", "The codes of 404 for devices are not pinned", "an unknown device is refused with 404 M_UNRECOGNIZED", changes &[],
        edits &[edit(&[O::Device, O::RenameDevice], When::Because(&[R::DeviceUnknown, R::DeviceOfAnother]), &[C::Code("M_UNRECOGNIZED")])];
}
