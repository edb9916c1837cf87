//! Registration: of users, of guests, and what can be asked before.

use super::super::refusal::Refusal;
use super::super::route::Operation;
use super::{NearMiss, PasswordTrouble};

/// `POST /register`.
#[derive(Debug, Clone, Default)]
pub struct RegistrationPolicy {
    pub without_uia: bool,
    pub any_user_name: bool,
    /// The localpart is a number of the homeserver's own; the name that was asked for logs in as well.
    pub numbers_users: bool,
    pub capitals: NameCapitals,
    /// Names that are looked at after interactive auth only.
    pub late: LateCheck,
    pub replaces_accounts: bool,
    pub needs_user_name: bool,
    pub one_generated_name: bool,
    pub inhibit_login: InhibitLogin,
    pub refresh_flag_refused: bool,
    /// The account is there when the challenge is given.
    pub makes_account_first: bool,
    /// A flow with an unknown stage comes first.
    pub unknown_flow_first: bool,
    pub without_refresh_tokens: bool,
    pub password_trouble: PasswordTrouble,
    /// The names that an application service claims for itself are taken, although `GET /register/available` says so.
    pub takes_exclusive_names: bool,
    /// A user name that is not a text is written as one.
    pub non_string_names: bool,
    /// The localpart has nothing of the name that was asked for.
    pub ignores_user_names: bool,
    pub kept_password: KeptPassword,
}

/// The password that an account has after its registration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeptPassword {
    #[default]
    Given,
    None,
    FirstEightCharacters,
    /// The first login with it is refused.
    FromSecondLogin,
}

/// Capitals and blanks in a user name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NameCapitals {
    #[default]
    Refused,
    Mapped,
    /// The account has the mapped name, the answer the one that was given.
    MappedInSecret,
}

/// A refusal that comes after interactive auth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LateCheck {
    #[default]
    None,
    InUse,
    Invalid,
    Exclusive,
}

impl LateCheck {
    pub fn includes(self, refusal: Refusal) -> bool {
        match self {
            Self::None => false,
            Self::InUse => refusal == Refusal::UserInUse,
            Self::Invalid => refusal == Refusal::InvalidUsername,
            Self::Exclusive => refusal == Refusal::NameExclusive,
        }
    }
}

/// What becomes of `inhibit_login`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InhibitLogin {
    #[default]
    Read,
    Unread,
    /// The refresh token is given all the same.
    LeavesRefreshToken,
}

/// Guests.
#[derive(Debug, Clone, Default)]
pub struct GuestPolicy {
    /// The parameter of their registration that is not ignored.
    pub reads: Option<GuestParameter>,
    pub asks_uia: bool,
    pub tokens_dead: bool,
    /// Operations that are refused to them beside those that are for users alone.
    pub refused: Option<Operation>,
    /// Nothing but what the specification lists is open to them.
    pub listed_operations_alone: bool,
    /// Their names are numbers.
    pub numbered: bool,
    pub device_name: GuestDeviceName,
}

/// The display name of a guest's device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GuestDeviceName {
    #[default]
    Given,
    Unread,
    /// One for all guests.
    Constant,
}

/// A parameter of a guest's registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestParameter {
    DeviceId,
    InhibitLogin,
    UserName,
    Password,
    /// The types of all.
    Types,
}

/// `GET /register/available`.
#[derive(Debug, Clone, Default)]
pub struct AvailabilityPolicy {
    /// The refusal that is not given.
    pub overlooks: Option<Refusal>,
    pub needs_token: bool,
    pub nameless_is_free: bool,
}

/// `GET /register/m.login.registration_token/validity`.
#[derive(Debug, Clone, Default)]
pub struct ValidityPolicy {
    /// No token at all is told to be an invalid one.
    pub tokenless_is_invalid: bool,
    pub needs_token: bool,
    pub near_miss: NearMiss,
    pub says: ValiditySays,
    /// A token that was looked up registers nobody any more.
    pub uses_up: bool,
    /// From the fourth request on it is refused for its rate.
    pub limited: bool,
}

/// What it says of tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ValiditySays {
    #[default]
    Truth,
    AllValid,
    NoneValid,
    /// An unknown one is refused with 404.
    UnknownNotFound,
}
