//! Faults that only an operator's help shows: application services, bound addresses, locked and suspended accounts.

use super::super::edit::Change as C;
use super::super::refusal::Refusal as R;
use super::super::route::Operation as O;
use super::super::{Appservice, Settings, ThirdParty};
use super::{Fault, Need, When, behaviours, data, edit};

/// What an operator knows, in values that nobody else's are.
pub(super) fn set_up(settings: &mut Settings) {
    settings.appservice = Some(Appservice {
        token: "as-token-of-the-house".to_owned(),
        sender: "bridge-bot".to_owned(),
        prefix: "bridge-".to_owned(),
    });
    settings.admin_token = Some("admin-token-of-the-house".to_owned());
    let user = "operator-owned";
    settings.users.push((user.to_owned(), "password-of-the-house".to_owned()));
    let bound = [("email", "Somebody@example.org"), ("msisdn", "447700900001")];
    settings.third_party.extend(bound.map(|(medium, address)| ThirdParty {
        medium: medium.to_owned(),
        address: address.to_owned(),
        user: user.to_owned(),
    }));
}

/// What is seen through the login of an application service.
const SERVICE_LOGINS: &[&str] = &["login.as.ok", "login.as.forms", "login.as.token_scope"];
/// What is seen through a bound e-mail address.
const EMAILS: &[&str] = &[
    "login.identifier.thirdparty.ok",
    "login.identifier.thirdparty.case",
    "login.legacy.thirdparty.ok",
];
/// What is seen through requests in the name of a user.
const ASSERTED: &[&str] = &[
    "whoami.as.masquerade",
    "whoami.as.forbidden",
    "whoami.as.device_echo",
    "whoami.as.device_unknown",
    "device.delete.as_no_uia",
    "device.put.as_create",
];

pub(super) static DATA: &[Fault] = &[
    data(
        "service-login-outside-forbidden",
        "login.as.outside_namespace",
        "Client-Server API, Appservice login: M_EXCLUSIVE",
        "the login of a user outside the namespace is refused with M_FORBIDDEN",
        &[edit(
            &[O::Login],
            When::Because(&[R::OutsideNamespace]),
            &[C::Refuse(403, "M_FORBIDDEN")],
        )],
    )
    .needs(Need::Operator),
    data(
        "locked-without-soft-logout",
        "state.locked.login",
        "Client-Server API, Account locking: soft_logout",
        "the refusal of a locked account has no soft_logout",
        &[edit(
            &[O::Login, O::Whoami],
            When::Because(&[R::UserLocked]),
            &[C::Drop("/soft_logout")],
        )],
    )
    .also(&["state.locked.requests"])
    .needs(Need::Operator),
    data(
        "service-login-outside-unknown",
        "login.as.outside_namespace",
        "Client-Server API, Appservice login: M_EXCLUSIVE",
        "the login of a user outside the namespace says M_UNKNOWN",
        &[edit(&[O::Login], When::Because(&[R::OutsideNamespace]), &[C::Code("M_UNKNOWN")])],
    )
    .needs(Need::Operator),
    data(
        "service-login-unsupported-code",
        "login.as.unsupported",
        "POST /login, 400 M_APPSERVICE_LOGIN_UNSUPPORTED",
        "without the legacy API the login of an application service says M_UNKNOWN",
        &[edit(&[O::Login], When::Because(&[R::ServiceLoginUnsupported]), &[C::Code("M_UNKNOWN")])],
    )
    .needs(Need::ServiceNoLegacy),
    data(
        "service-login-unsupported-403",
        "login.as.unsupported",
        "POST /login, 400 M_APPSERVICE_LOGIN_UNSUPPORTED",
        "without the legacy API the login of an application service is refused with 403",
        &[edit(&[O::Login], When::Because(&[R::ServiceLoginUnsupported]), &[C::Status(403)])],
    )
    .needs(Need::ServiceNoLegacy),
    data(
        "service-device-unknown-404",
        "whoami.as.device_unknown",
        "Application Service API, Identity assertion: M_UNKNOWN_DEVICE",
        "a device that there is not is refused with 404",
        &[edit(&[O::Whoami], When::Because(&[R::ServiceDeviceUnknown]), &[C::Status(404)])],
    )
    .needs(Need::Operator),
    data(
        "service-device-unknown-code",
        "whoami.as.device_unknown",
        "Application Service API, Identity assertion: M_UNKNOWN_DEVICE",
        "a device that there is not is refused with M_UNKNOWN",
        &[edit(&[O::Whoami], When::Because(&[R::ServiceDeviceUnknown]), &[C::Code("M_UNKNOWN")])],
    )
    .needs(Need::Operator),
    data(
        "locked-403",
        "state.locked.requests",
        "Client-Server API, Account locking: 401",
        "what a locked account asks is refused with 403",
        &[edit(&[O::Whoami], When::Because(&[R::UserLocked]), &[C::Status(403)])],
    )
    .also(&["error.soft_logout.type"])
    .needs(Need::Operator),
    data(
        "locked-code-forbidden",
        "state.locked.requests",
        "Client-Server API, Account locking: M_USER_LOCKED",
        "what a locked account asks is refused with M_FORBIDDEN",
        &[edit(&[O::Whoami], When::Because(&[R::UserLocked]), &[C::Code("M_FORBIDDEN")])],
    )
    .needs(Need::Operator),
    data(
        "locked-login-403",
        "state.locked.login",
        "Client-Server API, Account locking: 401",
        "the login of a locked account is refused with 403 M_FORBIDDEN",
        &[edit(&[O::Login], When::Because(&[R::UserLocked]), &[C::Refuse(403, "M_FORBIDDEN")])],
    )
    .needs(Need::Operator),
    data(
        "service-registration-unsupported-code",
        "register.as.inhibit_login",
        "POST /register, 400 M_APPSERVICE_LOGIN_UNSUPPORTED",
        "without the legacy API a registration with a session says M_UNKNOWN",
        &[edit(
            &[O::Register],
            When::Because(&[R::ServiceLoginUnsupported]),
            &[C::Code("M_UNKNOWN")],
        )],
    )
    .needs(Need::ServiceNoLegacy),
];

behaviours! {
    SERVICE_LOGIN_REFUSED "service-login-refused" breaks "login.as.ok", also SERVICE_LOGINS, needs Operator,
        "Client-Server API, Appservice login", "an application service cannot log in a user of its namespace";
    SERVICE_LOGIN_NEEDS_PASSWORD "service-login-needs-password" breaks "login.as.ok", also SERVICE_LOGINS, needs Operator,
        "Client-Server API, Appservice login", "the login of an application service without a password is refused with 400";
    SERVICE_LOGIN_ONCE "service-login-once" breaks "login.as.ok", also SERVICE_LOGINS, needs Operator,
        "Client-Server API, Appservice login", "an application service cannot log in a user who has a device already";
    SERVICE_FULL_ID_REFUSED "service-login-full-id-refused" breaks "login.as.forms", also &[], needs Operator,
        "Client-Server API, Appservice login: user", "an application service cannot log in a user by the full Matrix ID";
    SERVICE_LOCALPART_REFUSED "service-login-localpart-refused" breaks "login.as.forms", also SERVICE_LOGINS, needs Operator,
        "Client-Server API, Appservice login: user", "an application service cannot log in a user by the localpart";
    SERVICE_LOGIN_AS_SENDER "service-login-as-sender" breaks "login.as.token_scope", also &["login.as.ok", "login.as.forms"], needs Operator,
        "Client-Server API, Appservice login", "the login of an application service is one of its own user";
    SERVICE_LOGIN_NO_DEVICE "service-login-without-device" breaks "login.as.token_scope", also &[], needs Operator,
        "Client-Server API, Appservice login", "the access token of an application service's login belongs to no device";
    SERVICE_LOGIN_SAME_TOKEN "service-login-gives-service-token" breaks "login.as.token_scope", also &["login.as.ok", "login.as.forms"], needs Operator,
        "Client-Server API, Appservice login", "the login of an application service gives it its own token";
    SERVICE_LOGIN_REGISTERS "service-login-registers" breaks "login.as.unregistered", also &[], needs Operator,
        "Client-Server API, Appservice login: M_FORBIDDEN", "the login of an application service registers users that were not";
    SERVICE_UNREGISTERED_EXCLUSIVE "service-login-unregistered-exclusive" breaks "login.as.unregistered", also &[], needs Operator,
        "Client-Server API, Appservice login: M_FORBIDDEN", "a user of the namespace who was not registered is refused with M_EXCLUSIVE";
    SERVICE_ANY_USER "service-speaks-for-anybody" breaks "whoami.as.forbidden", also &[], needs Operator,
        "GET /account/whoami, 403", "an application service may speak for users outside its namespace";
    SERVICE_OUTSIDE_AS_SENDER "service-outside-as-sender" breaks "whoami.as.forbidden", also &[], needs Operator,
        "GET /account/whoami, 403", "an application service that may not speak for a user speaks for its own";
    SERVICE_OUTSIDE_EXCLUSIVE "service-outside-exclusive" breaks "whoami.as.forbidden", also &[], needs Operator,
        "GET /account/whoami, 403", "an application service that may not speak for a user is refused with 400 M_EXCLUSIVE";
    SERVICE_USER_ID_IGNORED "service-user-id-ignored" breaks "whoami.as.masquerade", also ASSERTED, needs Operator,
        "GET /account/whoami; Application Service API, Identity assertion", "user_id of an application service is not looked at";
    SERVICE_NEEDS_USER_ID "service-needs-user-id" breaks "whoami.as.default_user", also &[], needs Operator,
        "Application Service API, Identity assertion", "an application service without user_id is refused";
    SERVICE_DEFAULT_OTHER "service-without-user-id-as-another" breaks "whoami.as.default_user", also &[], needs Operator,
        "Application Service API, Identity assertion", "an application service without user_id speaks for another user than its own";
    SERVICE_DEVICE_IGNORED "service-device-id-ignored" breaks "whoami.as.device_echo", also &["whoami.as.device_unknown"], needs Operator,
        "Application Service API, Identity assertion: device_id", "device_id of an application service is not looked at";
    SERVICE_DEVICE_OTHER "service-device-id-other" breaks "whoami.as.device_echo", also &[], needs Operator,
        "Application Service API, Identity assertion: device_id", "whoami tells an application service another device than it named";
    SERVICE_DEVICE_UNCHECKED "service-device-id-unchecked" breaks "whoami.as.device_unknown", also &[], needs Operator,
        "Application Service API, Identity assertion: M_UNKNOWN_DEVICE", "an application service may name devices that there are not";
    SERVICE_DEVICE_200 "service-device-made-200" breaks "device.put.as_create", also &[], needs Operator,
        "PUT /devices/{deviceId}, 201", "a device that an application service makes is answered with 200";
    SERVICE_DEVICE_REFUSED "service-device-made-404" breaks "device.put.as_create", also &[], needs Operator,
        "PUT /devices/{deviceId}, 201", "an application service cannot make devices";
    SERVICE_DEVICE_NOTHING "service-device-made-in-name" breaks "device.put.as_create", also &[], needs Operator,
        "PUT /devices/{deviceId}, 201", "a device that an application service makes is answered with 201 and not there";
    SERVICE_DELETE_UIA "service-deletes-with-uia" breaks "device.delete.as_no_uia", also &[], needs Operator,
        "Application Service API, Server admin style permissions", "an application service is asked for interactive auth when it deletes devices";
    SERVICE_DELETE_MANY_UIA "service-deletes-many-with-uia" breaks "device.delete.as_no_uia", also &[], needs Operator,
        "Application Service API, Server admin style permissions", "an application service is asked for interactive auth at POST /delete_devices";
    SERVICE_DELETES_NOTHING "service-deletes-nothing" breaks "device.delete.as_no_uia", also &[], needs Operator,
        "Application Service API, Server admin style permissions", "the deletions of an application service answer 200 and do nothing";
    SERVICE_LOGIN_UNTOLD "service-login-unsupported-404" breaks "login.as.unsupported", also &[], needs ServiceNoLegacy,
        "POST /login, 400 M_APPSERVICE_LOGIN_UNSUPPORTED", "without the legacy API the login of an application service is answered with 404";
    SERVICE_REGISTRATION_CLOSED "service-registration-refused" breaks "register.as.always", also &[], needs ServiceNoLegacy,
        "Application Service API, Server admin style permissions", "without the legacy API application services cannot register users";
    SERVICE_REGISTRATION_UIA "service-registration-asks-uia" breaks "register.as.always", also &[], needs ServiceNoLegacy,
        "Application Service API, Server admin style permissions", "without the legacy API application services are asked for interactive auth";
    SERVICE_REGISTRATION_NOTHING "service-registration-in-name" breaks "register.as.always", also &[], needs ServiceNoLegacy,
        "Application Service API, Server admin style permissions", "the registration of an application service answers 200 and makes no account";
    SERVICE_REGISTRATION_LOGS_IN "service-registration-logs-in" breaks "register.as.inhibit_login", also &[], needs ServiceNoLegacy,
        "Application Service API, Server admin style permissions", "without the legacy API application services may register users with a session";
    REFRESH_ASSERTED "refresh-takes-user-id" breaks "refresh.as_assertion", also &[], needs Operator,
        "POST /refresh: no identity assertion", "user_id at POST /refresh chooses whose token it is";
    REFRESH_REFUSES_USER_ID "refresh-refuses-user-id" breaks "refresh.as_assertion", also &[], needs Operator,
        "POST /refresh: no identity assertion", "POST /refresh with user_id is refused with 403";
    EMAIL_UNKNOWN "login-email-refused" breaks "login.identifier.thirdparty.ok", also EMAILS, needs Operator,
        "Client-Server API, Third-party ID", "nobody can log in by an e-mail address";
    EMAIL_OF_ANOTHER "login-email-of-another" breaks "login.identifier.thirdparty.ok", also EMAILS, needs Operator,
        "Client-Server API, Third-party ID", "a login by an e-mail address opens a session of another account";
    EMAIL_EXACT "login-email-case-matters" breaks "login.identifier.thirdparty.case", also &[], needs Operator,
        "Appendices, E-Mail", "e-mail addresses are compared with their case";
    MSISDN_UNKNOWN "login-msisdn-refused" breaks "login.identifier.msisdn", also &["login.identifier.phone.ok"], needs Operator,
        "Client-Server API, Phone number", "nobody can log in by a phone number";
    MSISDN_OF_ANOTHER "login-msisdn-of-another" breaks "login.identifier.msisdn", also &[], needs Operator,
        "Client-Server API, Third-party ID", "a login by a phone number in canonical form opens a session of another account";
    PHONE_UNKNOWN "login-phone-refused" breaks "login.identifier.phone.ok", also &[], needs Operator,
        "Client-Server API, Phone number", "a phone number as it is typed is not found";
    PHONE_OF_ANOTHER "login-phone-of-another" breaks "login.identifier.phone.ok", also &[], needs Operator,
        "Client-Server API, Phone number", "a login by a phone number as it is typed opens a session of another account";
    LEGACY_EMAIL_UNKNOWN "login-legacy-email-refused" breaks "login.legacy.thirdparty.ok", also &[], needs Operator,
        "POST /login: medium, address", "nobody can log in by the older members medium and address";
    LEGACY_EMAIL_OF_ANOTHER "login-legacy-email-of-another" breaks "login.legacy.thirdparty.ok", also &[], needs Operator,
        "POST /login: medium, address", "a login by the older members medium and address opens a session of another account";
    LOCKED_GOES_ON "locked-goes-on" breaks "state.locked.requests", also &[], needs Operator,
        "Client-Server API, Account locking", "the sessions of a locked account go on working";
    LOCKED_LOGS_IN "locked-logs-in" breaks "state.locked.login", also &[], needs Operator,
        "Client-Server API, Account locking", "a locked account can log in";
    LOCKED_NO_LOGOUT "locked-cannot-log-out" breaks "state.locked.logout", also &[], needs Operator,
        "Client-Server API, Account locking", "a locked account cannot log out";
    LOCKED_NO_LOGOUT_ALL "locked-cannot-log-out-everywhere" breaks "state.locked.logout", also &[], needs Operator,
        "Client-Server API, Account locking", "a locked account cannot log out all its sessions";
    LOCKED_LOGOUT_NOTHING "locked-logout-does-nothing" breaks "state.locked.logout", also &[], needs Operator,
        "Client-Server API, Account locking", "the logout of a locked account answers 200 and ends nothing";
    LOCK_ENDS_SESSIONS "lock-ends-sessions" breaks "state.locked.tokens_kept", also &["state.locked.requests", "state.locked.logout"], needs Operator,
        "Client-Server API, Account locking", "to lock an account ends its sessions";
    SUSPENDED_REFUSED "suspended-cannot-log-in" breaks "state.suspended.login", also &[], needs Operator,
        "Client-Server API, Account suspension", "a suspended account cannot log in";
}
