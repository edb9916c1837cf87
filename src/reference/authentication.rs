//! Who asks: the owner of the access token, or the user whom an application service speaks for.

use super::answer::Stop;
use super::context::{Owner, RequestContext, milliseconds};
use super::policy::{
    AcceptedTokens, AssertedDevice, AssertedUser, AssumedUser, ExpiredTokens, LockedLogout,
    OddText, OutsideNamespace, OwnDevice, QueryToken,
};
use super::refusal::Refusal;
use super::release::v1;
use super::route::Operation;
use super::store::Reach;
use super::uia;

impl RequestContext<'_> {
    /// The access token of the request: from the header, or from the query for servers that list a release that knew
    /// it there (all up to v1.19).
    pub(super) fn presented_token(&self) -> Option<&str> {
        let policy = &self.policy().authentication;
        let operation = self.call.operation;
        let header = self.header_token().filter(|_| policy.header_unread_by != Some(operation));
        let read = match policy.query {
            QueryToken::Read | QueryToken::Forbidden | QueryToken::ForbiddenIfUnknown => {
                self.server.listed.before(v1(20))
            }
            QueryToken::ReadByWhoamiAlone => {
                self.server.listed.before(v1(20)) && operation == Operation::Whoami
            }
            QueryToken::Unread => false,
        };
        let query = || self.call.query("access_token").filter(|_| read);
        header.or_else(query).filter(|token| !token.is_empty())
    }

    fn header_token(&self) -> Option<&str> {
        let (scheme, token) = self.call.header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// The owner of the request's access token; using the token revokes the refresh token that it was made from.
    pub(super) fn owner(&mut self) -> Result<Owner, Stop> {
        let policy = self.policy();
        let token = self.readable_token()?.to_owned();
        if policy.authentication.query == QueryToken::Forbidden && self.header_token().is_none() {
            return Err(Refusal::NotThisUser.into());
        }
        if self.is_service() {
            return self.service_owner(&token);
        }
        if let Some(owner) = self.owner_of_accepted(&token) {
            return Ok(owner);
        }
        let near = policy.secrets.access.find(&token, self.store.access.keys());
        let token = near.cloned().unwrap_or(token);
        let whoami = self.call.operation == Operation::Whoami;
        let unknown = match policy.authentication.query {
            QueryToken::ForbiddenIfUnknown if self.header_token().is_none() => Refusal::NotThisUser,
            _ => Refusal::UnknownToken,
        };
        let unknown = self.store.dead.get(&token).copied().unwrap_or(unknown);
        if let Some(by_auth) = uia::owner_with_dead_token(self, &token) {
            return by_auth;
        }
        let session = self.store.access.get_mut(&token).ok_or(unknown)?;
        let knows_of_ends = whoami || !policy.authentication.ended_known_to_whoami_alone;
        if knows_of_ends && session.dies.is_some_and(|moment| moment <= self.now) {
            return Err(Refusal::LoggedOutToken.into());
        }
        let knows_of_time = match policy.authentication.expired {
            ExpiredTokens::Refused => true,
            ExpiredTokens::Good => false,
            ExpiredTokens::KnownToWhoamiAlone => whoami,
        };
        if knows_of_time && session.expires.is_some_and(|moment| moment <= self.now) {
            return Err(Refusal::ExpiredToken.into());
        }
        if let Some(lifetime) = self.server.settings.access_lifetime
            && policy.authentication.use_renews
            && session.expires.is_some()
        {
            session.expires = self.now.checked_add(lifetime);
        }
        match session.reach {
            Reach::Whoami if !whoami => return Err(Refusal::UnknownToken.into()),
            Reach::Once => session.reach = Reach::Nothing,
            Reach::Nothing => return Err(Refusal::UnknownToken.into()),
            Reach::Whoami | Reach::All => {}
        }
        let (user, device) = (session.user.clone(), session.device.clone());
        let (made_from, generation) = (session.made_from.take(), session.generation);
        if policy.refresh.new_access_token_ends_old {
            self.store.end_access_where(Refusal::ReplacedToken, None, |session| {
                session.user == user && session.device == device && session.generation < generation
            });
        }
        self.end_old_refresh_token(made_from, &user, &device);
        let (address, moment) = (self.call.peer.ip().to_string(), milliseconds());
        if let Some(device) = self.store.device_mut(&user, &device) {
            (device.last_seen_ip, device.last_seen_ts) = (address, moment);
        }
        let account = self.store.accounts.get(&user);
        let guest = account.is_some_and(|account| account.guest);
        let suspended = account.is_some_and(|account| account.suspended);
        if account.is_some_and(|account| account.closed) {
            self.refuse_locked()?;
        }
        if suspended && policy.suspended.refused == Some(self.call.operation) {
            return Err(Refusal::UserSuspended.into());
        }
        if guest && self.is_refused_to_guests() {
            return Err(Refusal::GuestForbidden.into());
        }
        Ok(self.assumed(Owner { user, device, guest, token, service: false }))
    }

    /// The access token of the request, which has to be there.
    fn readable_token(&self) -> Result<&str, Refusal> {
        let policy = &self.policy().secrets;
        let Some(token) = self.presented_token() else {
            // Blanks at the end of a header are cut off.
            let scheme = self.call.header("authorization").map(str::trim);
            let empty = scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"));
            return Err(match empty {
                true if policy.empty_access_fails => Refusal::Failure,
                true if policy.empty_access_unknown => Refusal::UnknownToken,
                true if policy.empty_access_unauthorized => Refusal::MalformedToken,
                _ => Refusal::MissingToken,
            });
        };
        match OddText::is_odd(token) {
            true if policy.odd_access_fails.includes(self.call.operation) => Err(Refusal::Failure),
            true if policy.odd_access_missing => Err(Refusal::MissingToken),
            true if policy.odd_access_unauthorized => Err(Refusal::MalformedToken),
            _ => Ok(token),
        }
    }

    /// The user whom another part of the request names, where it counts and there is such a user.
    pub(super) fn assumed_user(&self, by: AssumedUser) -> Option<String> {
        let user = match by {
            AssumedUser::None => None,
            AssumedUser::OfAccessToken => {
                let session = self.presented_token().and_then(|token| self.store.access.get(token));
                session.map(|session| session.user.as_str())
            }
            AssumedUser::OfQuery => {
                self.call.query("user_id").and_then(|id| self.server.localpart(id))
            }
        };
        user.filter(|user| self.store.accounts.contains_key(*user)).map(str::to_owned)
    }

    /// Whether guests may not do this, beside what is for users alone.
    fn is_refused_to_guests(&self) -> bool {
        use Operation as O;
        let policy = &self.policy().guests;
        let listed = [
            O::Sync,
            O::Devices,
            O::Device,
            O::RenameDevice,
            O::Whoami,
            O::KeysUpload,
            O::KeysQuery,
            O::SetDisplayName,
        ];
        let unlisted = !listed.contains(&self.call.operation);
        policy.refused == Some(self.call.operation) || policy.listed_operations_alone && unlisted
    }

    /// The owner as other parts of the request name it: none of them counts.
    fn assumed(&self, mut owner: Owner) -> Owner {
        let policy = &self.policy().identity;
        let by_query = policy.query_user.includes(self.call.operation);
        let query = self.call.query("user_id").filter(|_| by_query);
        let header = self.call.headers.iter().find_map(|(name, value)| {
            let named = name.as_str().ends_with("user") || name.as_str().ends_with("user-id");
            value.to_str().ok().filter(|_| named && policy.user_header)
        });
        let named = query.or(header).and_then(|id| self.server.localpart(id));
        let known = named.filter(|user| self.store.accounts.contains_key(*user));
        if let Some(user) = known.filter(|user| *user != owner.user) {
            let device = self.store.device_ids(user).into_iter().next();
            owner = Owner { user: user.to_owned(), device: device.unwrap_or_default(), ..owner };
        }
        let device = self.call.query("device_id").filter(|_| policy.query_device);
        if let Some(device) = device.filter(|id| self.store.device(&owner.user, id).is_some()) {
            owner.device = device.to_owned();
        }
        owner
    }

    /// The first use of a new access token ends the refresh token that was traded in for it.
    fn end_old_refresh_token(&mut self, made_from: Option<String>, user: &str, device: &str) {
        let ends = self.policy().refresh.old_token_ends;
        match made_from {
            Some(old) if ends.by_new_access_token() => self.store.revoke_refresh(&old),
            _ if ends.by_old_access_token() => self.store.revoke_used(user, device),
            _ => {}
        }
    }

    /// The owner of a token that is no access token and is taken for one.
    fn owner_of_accepted(&self, token: &str) -> Option<Owner> {
        let (user, device) = match self.policy().authentication.accepts {
            AcceptedTokens::AccessTokens => return None,
            AcceptedTokens::LoginTokensToo => {
                let made = self.store.login_tokens.get(token)?;
                let device = self.store.device_ids(&made.user).into_iter().next();
                (made.user.clone(), device.unwrap_or_default())
            }
            AcceptedTokens::RefreshTokensToo => {
                let session = self.store.refresh.get(token)?;
                (session.user.clone(), session.device.clone())
            }
            AcceptedTokens::AnyCase => {
                let (_, session) = self.store.access.iter().find(|(known, _)| {
                    known.as_str() != token && known.eq_ignore_ascii_case(token)
                })?;
                (session.user.clone(), session.device.clone())
            }
        };
        Some(Owner { user, device, guest: false, token: token.to_owned(), service: false })
    }

    /// Refuses what a locked account asks: everything but the two logouts.
    fn refuse_locked(&self) -> Result<(), Refusal> {
        let policy = &self.policy().locked;
        let lets = match (self.call.operation, policy.logout) {
            (Operation::Logout | Operation::LogoutAll, LockedLogout::Refused) => false,
            (Operation::LogoutAll, LockedLogout::AllRefused) => false,
            (Operation::Logout | Operation::LogoutAll, _) => true,
            (operation, _) => {
                policy.requests_go_on || policy.known_to.is_some_and(|known| known != operation)
            }
        };
        if lets { Ok(()) } else { Err(Refusal::UserLocked) }
    }

    /// The owner of the access token, if it is no guest.
    pub(super) fn full_owner(&mut self) -> Result<Owner, Stop> {
        let owner = self.owner()?;
        if owner.guest { Err(Refusal::GuestForbidden.into()) } else { Ok(owner) }
    }

    /// Whether the request carries the token of the application service.
    pub(super) fn is_service(&self) -> bool {
        let service = self.server.settings.appservice.as_ref();
        let token = service.map(|service| service.token.as_str());
        token.is_some() && self.presented_token() == token
    }

    /// Whether a localpart is one of the application service's: its own user, or one of its namespace.
    pub(super) fn of_service(&self, localpart: &str) -> bool {
        self.server.settings.appservice.as_ref().is_some_and(|service| {
            localpart == service.sender || localpart.starts_with(&service.prefix)
        })
    }

    /// The user whom a request of the application service speaks for: the one that `user_id` names, without it the
    /// service's own; with the device that `device_id` names.
    fn service_owner(&self, token: &str) -> Result<Owner, Stop> {
        let policy = &self.policy().service;
        let service = self.server.settings.appservice.as_ref();
        let sender = service.map(|service| service.sender.as_str()).unwrap_or_default();
        let read = policy.user_id != AssertedUser::Unread;
        let named = self.call.query("user_id").filter(|_| read);
        let user = match named {
            Some(id) => self.server.localpart(id).ok_or(Refusal::NotThisUser)?,
            None if policy.user_id == AssertedUser::Required => {
                return Err(Refusal::NotThisUser.into());
            }
            None => sender,
        };
        let known = self.store.accounts.contains_key(user);
        let user = match policy.outside_namespace {
            _ if known && self.of_service(user) => user,
            OutsideNamespace::Allowed if known => user,
            OutsideNamespace::SpeaksForItself => sender,
            OutsideNamespace::Exclusive => return Err(Refusal::OutsideNamespace.into()),
            OutsideNamespace::Forbidden | OutsideNamespace::Allowed => {
                return Err(Refusal::NotThisUser.into());
            }
        };
        let user = match policy.user_id {
            AssertedUser::DefaultsToAnother if named.is_none() => self.store.another_user(user),
            _ => user.to_owned(),
        };
        let device = self.asserted_device(&user, named.is_some())?;
        Ok(Owner { user, device, guest: false, token: token.to_owned(), service: true })
    }

    /// The device that an application service names, which came with v1.17; empty if it names none.
    fn asserted_device(&self, user: &str, named: bool) -> Result<String, Refusal> {
        let (policy, own) = (self.policy().service.device_id, self.policy().service.own_device);
        let unread = !named && own == OwnDevice::Unread;
        let read = !unread && self.server.listed.since(v1(17)) && policy != AssertedDevice::Unread;
        let Some(device) = self.call.query("device_id").filter(|id| read && !id.is_empty()) else {
            return Ok(String::new());
        };
        let anybody = !named && own == OwnDevice::OfAnybody;
        let elsewhere = || !self.store.others_with_device(user, device).is_empty();
        let known = self.store.device(user, device).is_some() || anybody && elsewhere();
        match policy {
            AssertedDevice::Unchecked => Ok(device.to_owned()),
            _ if !known => Err(Refusal::ServiceDeviceUnknown),
            AssertedDevice::TakenForAnother => Ok("OTHER".to_owned()),
            AssertedDevice::Read | AssertedDevice::Unread => Ok(device.to_owned()),
        }
    }
}
