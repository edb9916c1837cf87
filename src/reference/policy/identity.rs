//! Whose a request is, what a secret is, and what ends with a session.

use super::super::route::Operation;

/// The user whom a request acts as, beside what its access token says.
#[derive(Debug, Clone, Default)]
pub struct IdentityPolicy {
    pub query_user: QueryUser,
    /// `device_id` in the query names the device of an ordinary user's request.
    pub query_device: bool,
    /// A header whose name ends in `user` or `user-id` names the user.
    pub user_header: bool,
    /// `user` in the body of a change of password names the user.
    pub body_user: bool,
    /// `device_id` in the body of a logout names the device.
    pub logout_body_device: bool,
    /// The user of a login beside the credentials.
    pub login_as: AssumedUser,
    /// The user of a refresh beside the refresh token.
    pub refresh_as: AssumedUser,
}

/// A user whom other parts of a request name, in place of the one that it proves to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AssumedUser {
    #[default]
    None,
    OfAccessToken,
    /// The parameter `user_id`.
    OfQuery,
}

/// The parameter `user_id` in the request of an ordinary user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QueryUser {
    #[default]
    Ignored,
    Asserted,
    /// Wherever devices are shown, renamed and deleted.
    AssertedForDevices,
}

impl QueryUser {
    pub fn includes(self, operation: Operation) -> bool {
        use Operation as O;
        let of_devices =
            [O::Devices, O::Device, O::RenameDevice, O::DeleteDevice, O::DeleteDevices];
        match self {
            Self::Ignored => false,
            Self::Asserted => true,
            Self::AssertedForDevices => of_devices.contains(&operation),
        }
    }
}

/// How users are kept apart.
#[derive(Debug, Clone, Default)]
pub struct IsolationPolicy {
    /// The list of devices has those of all users.
    pub lists_all_devices: bool,
    pub renames_of_others: bool,
    pub deletes_of_others: bool,
    pub deletes_many_of_others: bool,
    /// What ends a session ends those of other users on devices of the same id too.
    pub same_ids_end_by: Option<SessionEnd>,
    /// A refresh ends the access tokens of other users on devices of the same id.
    pub refresh_ends_same_ids: bool,
}

/// How secrets are compared.
#[derive(Debug, Clone, Default)]
pub struct SecretPolicy {
    pub access: NearMiss,
    pub refresh: NearMiss,
    pub login: NearMiss,
    pub session: NearMiss,
    pub registration: NearMiss,
    /// The operations that fail for access tokens without a letter or a digit.
    pub odd_access_fails: OddAccess,
    /// An Authorization header with an empty token fails.
    pub empty_access_fails: bool,
    /// An Authorization header with an empty token holds an unknown one.
    pub empty_access_unknown: bool,
    /// An access token without a letter or a digit counts as none.
    pub odd_access_missing: bool,
    /// An Authorization header with an empty token is refused as unauthorized.
    pub empty_access_unauthorized: bool,
    /// An access token without a letter or a digit is refused as unauthorized.
    pub odd_access_unauthorized: bool,
    /// Other secrets and names without a letter or a digit that make a request fail.
    pub odd_fails: Option<OddText>,
}

/// What is taken for a secret beside the secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NearMiss {
    #[default]
    None,
    /// Its beginning.
    Shorter,
    /// More behind it.
    Longer,
    AnyCase,
}

impl NearMiss {
    /// The shortest beginning that is taken.
    const SHORTEST: usize = 4;

    pub fn takes(self, given: &str, kept: &str) -> bool {
        given == kept
            || match self {
                Self::None => false,
                Self::Shorter => kept.starts_with(given) && given.len() >= Self::SHORTEST,
                Self::Longer => given.starts_with(kept),
                Self::AnyCase => given.eq_ignore_ascii_case(kept),
            }
    }

    /// The secret that a text is taken for.
    pub fn find<'a>(
        self,
        given: &str,
        mut kept: impl Iterator<Item = &'a String>,
    ) -> Option<&'a String> {
        kept.find(|kept| self.takes(given, kept))
    }
}

/// Operations that fail for odd access tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OddAccess {
    #[default]
    None,
    All,
    One(Operation),
}

impl OddAccess {
    pub fn includes(self, operation: Operation) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::One(one) => one == operation,
        }
    }
}

/// Texts of requests that a homeserver may stumble over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OddText {
    RefreshToken,
    LoginToken,
    AuthSession,
    Password,
    UserName,
    DevicePath,
}

impl OddText {
    /// Whether a text has neither a letter nor a digit, or has a control character.
    pub fn is_odd(text: &str) -> bool {
        !text.is_empty()
            && (!text.chars().any(char::is_alphanumeric) || text.chars().any(char::is_control))
    }
}

/// What ends with a session, and what does not.
#[derive(Debug, Clone, Default)]
pub struct LifetimePolicy {
    pub expired_device: ExpiredDevice,
    /// What outlives a session that ends in this way.
    pub outliving: Option<(SessionEnd, Part)>,
    /// Login tokens of the user end with a logout and a change of password.
    pub login_tokens_end: bool,
    /// The login tokens of a deactivated account work.
    pub login_tokens_outlive_account: bool,
    /// What ends beside the device that is deleted.
    pub deletion_ends: Beside,
    /// What ends beside the old refresh token when a token is refreshed.
    pub refresh_ends: Beside,
}

/// A way in which a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd {
    Logout,
    LogoutAll,
    /// `DELETE /devices/{deviceId}` of another device than the one that asks.
    Deletion,
    /// The same of the one that asks.
    OwnDeletion,
    BulkDeletion,
    PasswordChange,
    Deactivation,
}

/// Something that belongs to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    AccessTokens,
    /// Those from before the last refresh.
    EarlierAccessTokens,
    RefreshTokens,
    /// Those that were traded in, of which no new token was used yet.
    EarlierRefreshTokens,
    Device,
}

/// What ends of the user's other sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Beside {
    #[default]
    Nothing,
    OtherAccessTokens,
    OtherRefreshTokens,
}

/// A login on a device whose access token has expired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExpiredDevice {
    /// Goes on with the device.
    #[default]
    Kept,
    /// Is on a new device of the same id.
    Forgotten,
    /// Is on another device.
    Replaced,
    Refused,
}
