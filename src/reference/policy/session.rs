//! Sessions and devices.

use super::super::refusal::Refusal;
use super::{Times, Which};
use std::time::Duration;

/// `GET /account/whoami`.
#[derive(Debug, Clone, Default)]
pub struct WhoamiPolicy {
    /// Why guests are refused, if they are.
    pub guests_refused: Option<Refusal>,
}

/// `POST /refresh`.
#[derive(Debug, Clone, Default)]
pub struct RefreshPolicy {
    pub needs_access_token: Refreshes,
    pub takes_access_tokens: bool,
    pub user_id: UserIdParameter,
    pub refused_while_valid: Refreshes,
    /// How a refresh is refused once the access token has expired, if it is.
    pub refused_after_expiry: Option<Refusal>,
    pub session: RefreshedSession,
    pub ends_old_access_token: bool,
    pub new_token: NewRefreshToken,
    pub old_token_uses: OldTokenUses,
    pub old_token_ends: OldTokenEnds,
    /// What a second use of the old token gives does not end it.
    pub second_use_ends_nothing: bool,
    pub dead_access_tokens: Refreshes,
    pub dead_refresh_tokens: bool,
    /// The old access token ends when the new one is used.
    pub new_access_token_ends_old: bool,
    pub access_tokens_for_whoami_alone: bool,
    pub failure: FailedRefresh,
}

/// What a refresh token that is nearly right does to the session that it is nearly of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FailedRefresh {
    #[default]
    Nothing,
    EndsRefreshToken,
    EndsAccessToken,
}

/// Some of the refreshes of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Refreshes {
    #[default]
    None,
    All,
    AllButFirst,
}

impl Refreshes {
    /// Whether a refresh is one of them; `later` says that it is not the first of its session.
    pub fn include(self, later: bool) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::AllButFirst => later,
        }
    }
}

/// The parameter `user_id` of a refresh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UserIdParameter {
    #[default]
    Ignored,
    Refused,
    Asserted,
}

/// The session that a refresh goes on with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RefreshedSession {
    #[default]
    Same,
    OfAnotherUser,
    OnNewDevice,
}

/// The refresh token that a refresh gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NewRefreshToken {
    #[default]
    TakesOver,
    /// None: the old one stays.
    None,
    /// None, and the old one ends as if there were one.
    NoneAndOldEnds,
}

/// How often the old refresh token is good, until a new token is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OldTokenUses {
    #[default]
    Unlimited,
    Once,
    Twice,
}

/// The tokens whose use ends the old refresh token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OldTokenEnds {
    #[default]
    ByEitherNewToken,
    ByNewRefreshToken,
    ByNewAccessToken,
    /// By the new ones, and by the old access token too.
    ByAnyToken,
    Never,
}

impl OldTokenEnds {
    pub fn by_new_access_token(self) -> bool {
        matches!(self, Self::ByEitherNewToken | Self::ByNewAccessToken | Self::ByAnyToken)
    }

    pub fn by_old_access_token(self) -> bool {
        self == Self::ByAnyToken
    }

    pub fn by_new_refresh_token(self) -> bool {
        matches!(self, Self::ByEitherNewToken | Self::ByNewRefreshToken | Self::ByAnyToken)
    }
}

/// `POST /logout`.
#[derive(Debug, Clone, Default)]
pub struct LogoutPolicy {
    pub body: LogoutBody,
    pub does_nothing: Times,
    pub ends_other_sessions: bool,
    pub keeps_access_token: bool,
    /// How long access tokens go on working, of `POST /logout/all` too; they end at once if absent.
    pub tokens_linger: Option<Duration>,
    pub refresh_tokens: EndedRefreshTokens,
    pub keeps_device: bool,
    pub keeps_keys: bool,
}

/// The body of a logout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogoutBody {
    #[default]
    Optional,
    Required,
    Refused,
    /// A logout with a body is answered and does nothing.
    EndsNothing,
}

/// The refresh tokens that end with a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EndedRefreshTokens {
    #[default]
    OfSession,
    /// The one that came with the login, and none that came by refreshing.
    OfLogin,
    OfAllSessions,
    None,
}

/// `POST /logout/all`.
#[derive(Debug, Clone, Default)]
pub struct LogoutAllPolicy {
    pub needs: LogoutAllNeeds,
    pub asks_uia: LogoutAllUia,
    /// Sessions that it leaves.
    pub spares: Which,
    pub other_users: OtherUsers,
    pub keeps_refresh_tokens: Which,
    pub keeps_devices: Which,
    pub keeps_keys: bool,
    pub afterwards: AfterLogoutAll,
}

/// What `POST /logout/all` cannot do without.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogoutAllNeeds {
    #[default]
    Nothing,
    Body,
    ContentType,
}

/// When `POST /logout/all` asks for interactive auth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogoutAllUia {
    #[default]
    Never,
    Always,
    OfSeveralSessions,
}

/// Sessions of other users that `POST /logout/all` ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OtherUsers {
    #[default]
    Untouched,
    /// Those on devices of the same ids.
    OnSameDeviceIds,
    All,
}

/// The account after `POST /logout/all`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AfterLogoutAll {
    #[default]
    LogsInAgain,
    CannotLogIn,
    /// It logs in, and its access tokens are not known.
    TokensUnknown,
}

/// The devices of a user.
#[derive(Debug, Clone, Default)]
pub struct DevicePolicy {
    pub hides_nameless: bool,
    /// A device that logged in again is listed twice.
    pub lists_known_twice: bool,
    pub logged_out: LoggedOutDevices,
    pub shows_those_of_others: bool,
    pub rename: RenamePolicy,
    pub delete: DeletePolicy,
    pub delete_many: DeletePolicy,
    /// How long access tokens of deleted devices go on working; they end at once if absent.
    pub tokens_linger: Option<Duration>,
    /// Access tokens are not tied to their devices.
    pub unrecorded: bool,
    /// The keys that a logout left are shown only to who names their device.
    pub left_keys_by_name_alone: bool,
    /// Device keys have to be signed by their device.
    pub keys_verified: bool,
}

/// Where devices that were logged out still appear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoggedOutDevices {
    #[default]
    Gone,
    Listed,
    Shown,
}

/// `PUT /devices/{deviceId}`.
#[derive(Debug, Clone, Default)]
pub struct RenamePolicy {
    pub does_nothing: bool,
    pub creates: bool,
    pub by_service: ServiceDevice,
    pub without_name: Nameless,
    pub non_string_is_text: bool,
}

/// A renaming that gives no name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Nameless {
    #[default]
    Unchanged,
    NameRemoved,
    Refused,
}

/// What comes of an application service naming a device that there is not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServiceDevice {
    #[default]
    Made,
    /// It is answered like a device that there was.
    MadeWith200,
    /// It is answered as made, and is not there.
    NotMade,
    Refused,
}

/// `DELETE /devices/{deviceId}`, and the same for several at once.
#[derive(Debug, Clone, Default)]
pub struct DeletePolicy {
    pub without_uia: bool,
    pub services_need_uia: bool,
    pub does_nothing: bool,
    pub does_nothing_for_services: bool,
    pub refuses_unknown: bool,
    /// Why a device that the user never had is not deleted, if it is refused.
    pub never_known: Option<Refusal>,
    /// Why a device of another user is not deleted, if it is refused.
    pub of_another: Option<Refusal>,
    pub keeps_tokens: bool,
    pub deleted: DeletedDevices,
}

/// The devices that go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeletedDevices {
    #[default]
    Listed,
    FirstOfList,
    /// And all others of the user but the one that asks.
    UnlistedToo,
}

impl DevicePolicy {
    /// Changes both ways to delete devices.
    pub fn every_delete(&mut self, change: impl Fn(&mut DeletePolicy)) {
        change(&mut self.delete);
        change(&mut self.delete_many);
    }
}
