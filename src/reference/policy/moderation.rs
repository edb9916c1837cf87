//! Suspended accounts, and the calls of administrators.

use super::super::route::Operation;

/// Accounts that an administrator suspended.
#[derive(Debug, Clone, Default)]
pub struct SuspendedPolicy {
    /// They may change their profile, which is advised against.
    pub changes_profile: bool,
    /// What is refused to them beside that.
    pub refused: Option<Operation>,
    /// To suspend an account ends its sessions.
    pub sessions_end: bool,
}

/// The calls of administrators.
#[derive(Debug, Clone, Default)]
pub struct AdministrationPolicy {
    /// Every user is taken for an administrator.
    pub by_everybody: bool,
    /// The account is looked up before the one who asks is.
    pub looks_up_first: bool,
    pub acts_on_itself: bool,
    pub effect: AdministrationEffect,
    pub says: AdministrationSays,
    pub unknown_accounts: UnknownAccounts,
    pub capability: ModerationCapability,
}

/// What a lock and a suspension do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AdministrationEffect {
    #[default]
    Both,
    NoLock,
    NoSuspension,
    /// Both are never taken back.
    ForGood,
}

/// What the calls say of an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AdministrationSays {
    #[default]
    Truth,
    Opposite,
    /// `GET` says that nothing was done.
    Nothing,
}

/// Accounts that are not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnknownAccounts {
    #[default]
    NotFound,
    /// They are locked and suspended like others.
    Accepted,
    /// Those of other servers are not found either.
    RemoteNotFound,
}

/// What the capability `m.account_moderation` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ModerationCapability {
    #[default]
    Truthful,
    Everybody,
    /// An administrator may do neither, it says.
    Denied,
}
