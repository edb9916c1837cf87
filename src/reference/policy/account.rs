//! Accounts: interactive auth, registration, passwords, deactivation, locks, application services.

use super::super::refusal::Refusal;
use super::super::route::Operation;
use super::{IdentificationPolicy, PasswordMatch, PasswordTrouble, Which};

/// User-interactive authentication.
#[derive(Debug, Clone, Default)]
pub struct UiaPolicy {
    pub password_flows: PasswordFlows,
    /// A session is good for another request of its user than the one that began it.
    pub session_for_any_request: bool,
    /// A session is good for everybody, whoever began it.
    pub session_for_any_user: bool,
    pub session_alone: SessionAlone,
    /// A session that nobody began is refused, and not answered with a challenge.
    pub unknown_session_refused: bool,
    pub empty_auth_passes: bool,
    pub failed_stage: FailedStage,
    pub completed_stage: CompletedStage,
    /// The operation whose flows are never done.
    pub never_done_for: Option<Operation>,
    /// The operation that does its work before it asks.
    pub works_before: Option<Operation>,
    /// Who passed is given the same answer again.
    pub repeats_answers: bool,
    /// An access token with which interactive auth was passed is not asked again, but for login
    /// tokens.
    pub not_asked_again: bool,
    pub oauth: OauthStage,
    pub password_match: PasswordMatch,
    /// A finished session authorises further calls.
    pub session_reusable: bool,
    pub order: StageOrder,
    pub one_stage_is_enough: bool,
    pub never_done: bool,
    pub identification: IdentificationPolicy,
    /// An unknown address in a stage is answered with a challenge and not refused.
    pub unknown_address_is_challenged: bool,
    pub any_password: bool,
    /// The password stage is passed without a password.
    pub missing_password_passes: bool,
    pub users: StageUsers,
    pub unlisted_stage: UnlistedStage,
    pub finished: FinishedSession,
    pub dead_token: DeadToken,
    /// What a call is asked to do is read after interactive auth.
    pub before_members: bool,
}

/// A stage that no flow has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnlistedStage {
    #[default]
    Challenged,
    Refused,
    /// The dummy stage passes.
    DummyPasses,
    Passes,
}

/// What a session is good for after the call that it was finished for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FinishedSession {
    #[default]
    Nothing,
    /// One that a deletion of devices was finished with.
    GetToken,
    AnyCall,
}

/// A request with an access token that has ended, and with interactive auth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeadToken {
    #[default]
    Refused,
    /// The session says who asks.
    MadeUpFor,
    Challenged,
}

/// The flows where a password is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PasswordFlows {
    #[default]
    Password,
    PasswordOrSso,
    /// A flow with an unknown stage comes first.
    UnknownOrPassword,
}

/// The order in which the stages of a flow are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StageOrder {
    #[default]
    AsListed,
    Any,
    /// A stage out of order is refused and counts all the same.
    RefusedAndNoted,
}

/// Whose password a stage takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StageUsers {
    #[default]
    WhoAsks,
    Anybody,
    AnybodyAtGetToken,
    /// Of whomever the older member `user` names.
    AnybodyByUserMember,
}

/// `auth` that holds nothing but the session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SessionAlone {
    #[default]
    Read,
    Refused,
    /// The completed stages are forgotten.
    BeginsAnew,
    Passes,
}

/// What a stage that failed does to its session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FailedStage {
    #[default]
    Nothing,
    EndsSession,
    /// The same, and the challenge names a new one.
    OpensAnother,
    /// The challenge does not name the session.
    Untold,
}

/// A stage that is taken again when it is completed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CompletedStage {
    #[default]
    StaysCompleted,
    /// It is judged once more.
    Judged,
    Refused,
}

/// The stage `m.oauth`, which confirms new cross-signing keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OauthStage {
    #[default]
    None,
    Offered,
    WithoutUrl,
    /// By all operations with interactive auth.
    Everywhere,
}

/// `POST /account/password`.
#[derive(Debug, Clone, Default)]
pub struct PasswordPolicy {
    pub without_uia: bool,
    pub changes_nothing: bool,
    pub ends_own_session: bool,
    pub other_sessions: OtherSessions,
    pub capability: PasswordCapability,
    /// Why all changes are refused, if they are.
    pub refused: Option<Refusal>,
    pub trouble: PasswordTrouble,
    pub soft_logout: bool,
    pub new_password: NewPassword,
}

/// The member `new_password`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NewPassword {
    #[default]
    Required,
    NonStringIsText,
    MissingChangesNothing,
}

/// What the capability `m.change_password` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PasswordCapability {
    #[default]
    Truthful,
    Enabled,
    Disabled,
}

/// The other sessions after a change of password.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OtherSessions {
    /// They end if `logout_devices` says so.
    #[default]
    AsAsked,
    Kept,
    Ended,
}

/// `POST /account/deactivate`.
#[derive(Debug, Clone, Default)]
pub struct DeactivationPolicy {
    pub without_uia: bool,
    pub keeps_sessions: Which,
    pub keeps_refresh_tokens: bool,
}

/// Accounts that an administrator locked.
#[derive(Debug, Clone, Default)]
pub struct LockedPolicy {
    pub log_in: bool,
    pub requests_go_on: bool,
    pub logout: LockedLogout,
    /// To lock an account ends its sessions.
    pub sessions_end: bool,
    /// To lock an account ends its refresh tokens.
    pub refresh_tokens_end: bool,
    pub refreshes_go_on: bool,
    pub log_in_by_token: bool,
    /// The only operation that refuses a locked account.
    pub known_to: Option<Operation>,
}

/// The logouts of a locked account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LockedLogout {
    #[default]
    Allowed,
    DoesNothing,
    Refused,
    /// `POST /logout/all` alone is refused.
    AllRefused,
}

/// Application services.
#[derive(Debug, Clone, Default)]
pub struct ServicePolicy {
    pub user_id: AssertedUser,
    pub outside_namespace: OutsideNamespace,
    pub device_id: AssertedDevice,
    /// The parameter `device_id` without `user_id`.
    pub own_device: OwnDevice,
    /// Users of the namespace can be registered by everybody, since the service does not claim it alone.
    pub namespace_open: bool,
    pub login: ServiceLoginPolicy,
    pub registration: ServiceRegistrationPolicy,
}

/// The parameter `user_id`, which names the user whom a service speaks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AssertedUser {
    #[default]
    Read,
    Unread,
    Required,
    /// Without it the service speaks for another user than its own.
    DefaultsToAnother,
}

/// A service that speaks for a user outside its namespace, or for one that there is not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OutsideNamespace {
    #[default]
    Forbidden,
    /// Refused with `M_EXCLUSIVE`.
    Exclusive,
    SpeaksForItself,
    /// The users that there are.
    Allowed,
}

/// The parameter `device_id`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AssertedDevice {
    #[default]
    Read,
    Unread,
    Unchecked,
    TakenForAnother,
}

/// The login type of application services.
#[derive(Debug, Clone, Default)]
pub struct ServiceLoginPolicy {
    pub refused: ServiceLogins,
    pub needs_password: bool,
    /// A user who has a device cannot be logged in.
    pub one_device: bool,
    pub as_own_user: bool,
    pub without_device: bool,
    pub gives_service_token: bool,
    pub registers_users: bool,
    pub unregistered_are_exclusive: bool,
    /// An access token of a user passes for that of a service.
    pub user_tokens_log_in: bool,
    /// Without the legacy API it is answered as an unknown path.
    pub unsupported_untold: bool,
    /// The access tokens of logins of the service's own user are not known.
    pub sender_tokens_dead: bool,
}

/// A device that a service names without a user, which is then one of its own user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OwnDevice {
    #[default]
    Read,
    Unread,
    /// One of anybody will do.
    OfAnybody,
}

/// Logins of services that are refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServiceLogins {
    #[default]
    None,
    All,
    ByFullId,
    ByLocalpart,
}

impl ServiceLogins {
    pub fn include(self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::ByFullId => name.starts_with('@'),
            Self::ByLocalpart => !name.starts_with('@'),
        }
    }
}

/// Registration by an application service where the legacy API is not offered.
#[derive(Debug, Clone, Default)]
pub struct ServiceRegistrationPolicy {
    pub closed: bool,
    pub asks_uia: bool,
    pub opens_sessions: bool,
    /// It answers 200 and makes no account, wherever it is.
    pub makes_nothing: bool,
    pub with_legacy: LegacyServiceRegistration,
    pub by: Registrants,
    pub outside_namespace: bool,
}

/// Who registers with the type of application services.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Registrants {
    #[default]
    Services,
    /// Without the token of a service it is an ordinary registration.
    EverybodyWithAuth,
    /// With the access token of a user too.
    UsersToo,
}

/// Registration by an application service where the legacy API is offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LegacyServiceRegistration {
    #[default]
    Open,
    AsksUia,
    NeedsPassword,
}
