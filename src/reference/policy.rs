//! What the homeserver does, as values: the default of each is the specification, and faults and quirks change them.
//!
//! Handlers are given these values and know neither faults nor quirks. `behaviour.rs` and `quirk.rs` say which of them
//! changes what.

mod account;
mod identity;
mod login;
mod moderation;
mod registration;
mod server;
mod session;

pub use account::*;
pub use identity::*;
pub use login::*;
pub use moderation::*;
pub use registration::*;
pub use server::*;
pub use session::*;

/// Everything that may be otherwise.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    pub connection: ConnectionPolicy,
    pub routes: RoutePolicy,
    pub requests: RequestPolicy,
    pub authentication: AuthenticationPolicy,
    pub login: LoginPolicy,
    /// Sessions that registration and administrators open; those of logins have [`LoginPolicy::opening`].
    pub opening: OpeningPolicy,
    pub login_tokens: LoginTokenPolicy,
    pub whoami: WhoamiPolicy,
    pub refresh: RefreshPolicy,
    pub logout: LogoutPolicy,
    pub logout_all: LogoutAllPolicy,
    pub devices: DevicePolicy,
    pub uia: UiaPolicy,
    pub registration: RegistrationPolicy,
    pub password: PasswordPolicy,
    pub deactivation: DeactivationPolicy,
    pub locked: LockedPolicy,
    pub service: ServicePolicy,
    pub sso: SsoPolicy,
    pub identity: IdentityPolicy,
    pub isolation: IsolationPolicy,
    pub secrets: SecretPolicy,
    pub lifetimes: LifetimePolicy,
    pub guests: GuestPolicy,
    pub availability: AvailabilityPolicy,
    pub validity: ValidityPolicy,
    pub suspended: SuspendedPolicy,
    pub administration: AdministrationPolicy,
}

impl Policy {
    /// Changes how sessions are opened, by whatever call.
    pub fn every_opening(&mut self, change: impl Fn(&mut OpeningPolicy)) {
        change(&mut self.opening);
        change(&mut self.login.opening);
    }

    /// Changes how users are found, at logins and in interactive auth.
    pub fn every_identification(&mut self, change: impl Fn(&mut IdentificationPolicy)) {
        change(&mut self.login.identification);
        change(&mut self.uia.identification);
    }
}

/// Some of the sessions of a user, seen from the one that asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Which {
    #[default]
    None,
    All,
    Own,
    Others,
}

impl Which {
    /// Whether a session is one of them; `own` says that it is the one that asks.
    pub fn includes(self, own: bool) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Own => own,
            Self::Others => !own,
        }
    }
}

/// How often something happens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Times {
    #[default]
    Never,
    Always,
    Every(u64),
}

impl Times {
    /// Whether it happens the `number`-th time, counted from 1.
    pub fn include(self, number: u64) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::Every(step) => number.is_multiple_of(step),
        }
    }
}
