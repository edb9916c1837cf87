//! Why a request is refused: one name for each reason, with the status and the code that the specification gives it.

use serde::Deserialize;

/// A reason for refusing a request. The reason is finer than the `errcode`, so that a fault can change the answer for
/// exactly one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Refusal {
    // The body, whatever the call.
    EmptyBody,
    NotJson,
    NotObject,
    TooLarge,
    TooSlow,
    MediaType,
    /// A failure of the server, which only faults bring about.
    Failure,
    MemberMissing,
    MemberWrongType,
    MemberInvalid,
    // The route.
    UnknownEndpoint,
    UnknownMethod,
    // The access token.
    MissingToken,
    MalformedToken,
    UnknownToken,
    LoggedOutToken,
    ReplacedToken,
    ExpiredToken,
    // Login, whatever the type.
    TypeMissing,
    TypeNotString,
    TypeUnknown,
    DeviceIdNotString,
    DeviceIdInvalid,
    DisplayNameNotString,
    RefreshFlagNotBoolean,
    CrossSigningDevice,
    KeysUnsigned,
    ResourceLimit,
    UserLimit,
    // Login by password.
    PasswordMissing,
    PasswordNotString,
    IdentifierMissing,
    IdentifierNotObject,
    IdentifierTypeMissing,
    IdentifierTypeUnknown,
    IdentifierUserMissing,
    IdentifierThirdPartyMissing,
    IdentifierPhoneMissing,
    IdentifierWrongType,
    UnknownUser,
    ForeignUser,
    WrongPassword,
    UnknownThirdParty,
    UnknownLegacyThirdParty,
    UnknownPhone,
    UserDeactivated,
    UserLocked,
    UserSuspended,
    // Login by token, and login of an application service.
    LoginTokenMissing,
    LoginTokenNotString,
    LoginTokenInvalid,
    LoginTokenSpent,
    LoginTokenExpired,
    ServiceTokenMissing,
    ServiceTokenUnknown,
    ServiceTokenOfUser,
    OutsideNamespace,
    ServiceLoginUnsupported,
    ServiceDeviceUnknown,
    // Refresh.
    RefreshTokenMissing,
    RefreshTokenNotString,
    RefreshTokenUnknown,
    RefreshTokenSpent,
    // Devices.
    DeviceUnknown,
    DeviceOfAnother,
    // Registration and accounts.
    RegistrationClosed,
    GuestsRefused,
    GuestForbidden,
    UserInUse,
    InvalidUsername,
    NameExclusive,
    NotThisUser,
    PasswordChangeRefused,
    AuthSessionUnknown,
    // What administrators do.
    NotAdministrator,
    AccountUnknown,
    AccountRemote,
    LoginTokensDenied,
    NonceUnknown,
    MacWrong,
    NoOauth,
    NoLegacyFlows,
    NoLegacyLogin,
    FilterUnknown,
    ProfileUnknown,
}

impl Refusal {
    /// The HTTP status, the `errcode` and the text for `error`.
    pub(super) fn parts(self) -> (u16, &'static str, &'static str) {
        use Refusal as R;
        match self {
            R::EmptyBody => (400, "M_NOT_JSON", "The request needs a body"),
            R::NotJson => (400, "M_NOT_JSON", "The body is not JSON"),
            R::NotObject => (400, "M_BAD_JSON", "The body is not a JSON object"),
            R::TooLarge => (413, "M_TOO_LARGE", "The body is too large"),
            R::TooSlow => (408, "M_UNKNOWN", "The body did not arrive in time"),
            R::MediaType => (415, "M_UNKNOWN", "The media type is not that of JSON"),
            R::Failure => (500, "M_UNKNOWN", "Something went wrong"),
            R::MemberMissing => (400, "M_MISSING_PARAM", "A required member is missing"),
            R::MemberWrongType => (400, "M_BAD_JSON", "A member has the wrong type"),
            R::MemberInvalid => {
                (400, "M_INVALID_PARAM", "A member has a value that is not allowed")
            }
            R::UnknownEndpoint => (404, "M_UNRECOGNIZED", "There is no such endpoint"),
            R::UnknownMethod => (405, "M_UNRECOGNIZED", "The endpoint does not know this method"),
            R::MissingToken => (401, "M_MISSING_TOKEN", "The request carries no access token"),
            R::MalformedToken => (401, "M_UNAUTHORIZED", "This is no access token"),
            R::UnknownToken => (401, "M_UNKNOWN_TOKEN", "The access token is not known"),
            R::LoggedOutToken | R::ReplacedToken => {
                (401, "M_UNKNOWN_TOKEN", "The access token is no longer valid")
            }
            R::ExpiredToken => (401, "M_UNKNOWN_TOKEN", "The access token has expired"),
            R::TypeMissing => (400, "M_MISSING_PARAM", "type is missing"),
            R::TypeNotString => (400, "M_BAD_JSON", "type is not a string"),
            R::TypeUnknown => (400, "M_UNKNOWN", "This login type is not known here"),
            R::DeviceIdNotString => (400, "M_BAD_JSON", "device_id is not a string"),
            R::DeviceIdInvalid => (400, "M_INVALID_PARAM", "device_id is empty or too long"),
            R::DisplayNameNotString => {
                (400, "M_BAD_JSON", "initial_device_display_name is not a string")
            }
            R::RefreshFlagNotBoolean => (400, "M_BAD_JSON", "refresh_token is not a boolean"),
            R::KeysUnsigned => {
                (400, "M_INVALID_SIGNATURE", "The keys are not signed by the device")
            }
            R::CrossSigningDevice => {
                (403, "M_FORBIDDEN", "device_id is one of the user's cross-signing keys")
            }
            R::ResourceLimit => {
                (403, "M_RESOURCE_LIMIT_EXCEEDED", "This homeserver has reached a limit")
            }
            R::UserLimit => (403, "M_USER_LIMIT_EXCEEDED", "This account has reached a limit"),
            R::PasswordMissing => (400, "M_MISSING_PARAM", "password is missing"),
            R::PasswordNotString => (400, "M_BAD_JSON", "password is not a string"),
            R::IdentifierMissing => (400, "M_MISSING_PARAM", "identifier is missing"),
            R::IdentifierNotObject => (400, "M_BAD_JSON", "identifier is not an object"),
            R::IdentifierTypeMissing => (400, "M_MISSING_PARAM", "identifier has no type"),
            R::IdentifierTypeUnknown => {
                (400, "M_UNKNOWN", "This type of identifier is not known here")
            }
            R::IdentifierUserMissing => (400, "M_MISSING_PARAM", "identifier has no user"),
            R::IdentifierThirdPartyMissing => {
                (400, "M_MISSING_PARAM", "identifier lacks medium or address")
            }
            R::IdentifierPhoneMissing => {
                (400, "M_MISSING_PARAM", "identifier lacks country or phone")
            }
            R::IdentifierWrongType => {
                (400, "M_BAD_JSON", "A member of the identifier is not a string")
            }
            R::UnknownUser | R::ForeignUser | R::WrongPassword => {
                (403, "M_FORBIDDEN", "The user or the password is not right")
            }
            R::UnknownThirdParty | R::UnknownLegacyThirdParty | R::UnknownPhone => {
                (403, "M_FORBIDDEN", "No account has this identifier")
            }
            R::UserDeactivated => (403, "M_USER_DEACTIVATED", "The account has been deactivated"),
            R::UserLocked => (401, "M_USER_LOCKED", "The account is locked"),
            R::UserSuspended => (403, "M_USER_SUSPENDED", "The account is suspended"),
            R::LoginTokenMissing => (400, "M_MISSING_PARAM", "token is missing"),
            R::LoginTokenNotString => (400, "M_BAD_JSON", "token is not a string"),
            R::LoginTokenInvalid => (403, "M_FORBIDDEN", "The login token is not valid"),
            R::LoginTokenSpent => (403, "M_FORBIDDEN", "The login token was used before"),
            R::LoginTokenExpired => (403, "M_FORBIDDEN", "The login token has expired"),
            R::ServiceTokenMissing => {
                (401, "M_MISSING_TOKEN", "This login type needs the token of a service")
            }
            R::ServiceTokenUnknown => {
                (401, "M_UNKNOWN_TOKEN", "The token of the service is not known")
            }
            R::ServiceTokenOfUser => {
                (403, "M_FORBIDDEN", "This login type is for application services")
            }
            R::OutsideNamespace => {
                (400, "M_EXCLUSIVE", "The user is not in the namespace of the service")
            }
            R::ServiceLoginUnsupported => {
                (400, "M_APPSERVICE_LOGIN_UNSUPPORTED", "The legacy API is not offered")
            }
            R::ServiceDeviceUnknown => (400, "M_UNKNOWN_DEVICE", "The user has no such device"),
            R::RefreshTokenMissing => (400, "M_MISSING_PARAM", "refresh_token is missing"),
            R::RefreshTokenNotString => (400, "M_BAD_JSON", "refresh_token is not a string"),
            R::RefreshTokenUnknown => (401, "M_UNKNOWN_TOKEN", "The refresh token is not known"),
            R::RefreshTokenSpent => {
                (401, "M_UNKNOWN_TOKEN", "The refresh token is no longer valid")
            }
            R::DeviceUnknown | R::DeviceOfAnother => {
                (404, "M_NOT_FOUND", "The user has no such device")
            }
            R::RegistrationClosed => (403, "M_FORBIDDEN", "Registration is closed"),
            R::GuestsRefused => (403, "M_GUEST_ACCESS_FORBIDDEN", "Guests cannot register here"),
            R::GuestForbidden => (403, "M_GUEST_ACCESS_FORBIDDEN", "Guests cannot do this"),
            R::UserInUse => (400, "M_USER_IN_USE", "The user name is taken"),
            R::InvalidUsername => (400, "M_INVALID_USERNAME", "The user name is not allowed"),
            R::NameExclusive => {
                (400, "M_EXCLUSIVE", "The user name is kept for an application service")
            }
            R::PasswordChangeRefused => (403, "M_FORBIDDEN", "Passwords cannot be changed here"),
            R::AuthSessionUnknown => (400, "M_UNKNOWN", "Nobody began this session"),
            R::NotAdministrator => (403, "M_FORBIDDEN", "This is for administrators"),
            R::AccountUnknown => (404, "M_NOT_FOUND", "There is no such account"),
            R::AccountRemote => (400, "M_INVALID_PARAM", "The account is one of another server"),
            R::NotThisUser => (403, "M_FORBIDDEN", "The access token belongs to another user"),
            R::LoginTokensDenied => (400, "M_UNKNOWN", "This user cannot make login tokens"),
            R::NonceUnknown => (400, "M_UNKNOWN", "The nonce is not known"),
            R::MacWrong => (403, "M_FORBIDDEN", "The mac is not right"),
            R::NoOauth => (404, "M_UNRECOGNIZED", "The OAuth API is not offered"),
            R::NoLegacyFlows | R::NoLegacyLogin => {
                (404, "M_UNRECOGNIZED", "The legacy API is not offered")
            }
            R::FilterUnknown => (404, "M_NOT_FOUND", "The user has no such filter"),
            R::ProfileUnknown => (404, "M_NOT_FOUND", "The user has no such field"),
        }
    }
}
