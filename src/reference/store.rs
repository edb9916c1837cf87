//! What the homeserver knows: accounts with their devices, tokens of three kinds, pending interactive auth. Everything
//! is in memory and lost when it stops. Nothing here knows of HTTP, of settings or of faults.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha1::Sha1;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use super::limit::Buckets;
use super::refusal::Refusal;
use super::route::Operation;
use super::settings::ThirdParty;

/// A device of an account, and with it its end-to-end keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Device {
    pub(super) display_name: Option<String>,
    pub(super) last_seen_ip: String,
    /// Milliseconds since 1970.
    pub(super) last_seen_ts: u64,
    pub(super) keys: Option<Value>,
    pub(super) one_time_keys: Map<String, Value>,
    /// Whether it logged in again, which only a fault looks at.
    pub(super) again: bool,
}

/// An account, filed under its localpart.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// `None` for guests and for accounts that came by single sign-on.
    pub(super) password: Option<String>,
    /// The password before the last change, which only a fault looks at.
    pub(super) former_password: Option<String>,
    pub(super) deactivated: bool,
    /// Refused at every login, which only a fault brings about.
    pub(super) locked: bool,
    /// Refused at the next login, which only a fault brings about.
    pub(super) refused_once: bool,
    /// Locked by an administrator.
    pub(super) closed: bool,
    pub(super) suspended: bool,
    pub(super) guest: bool,
    pub(super) administrator: bool,
    /// The name that others see.
    pub(super) profile_name: Option<String>,
    /// How often a session was logged out, which only a fault looks at.
    pub(super) logouts: u64,
    pub(super) devices: BTreeMap<String, Device>,
    /// Cross-signing keys by usage: `master_key`, `self_signing_key`, `user_signing_key`.
    pub(super) signing_keys: Map<String, Value>,
    /// Keys of devices that are gone, which only a fault leaves behind.
    pub(super) orphaned_keys: BTreeMap<String, Value>,
    /// Devices that are gone and that a fault goes on showing.
    pub(super) ghosts: BTreeMap<String, Device>,
    /// The ids of devices that were deleted.
    pub(super) deleted: BTreeSet<String>,
    /// Access tokens of later logins are not known, which only a fault brings about.
    pub(super) mute: bool,
    pub(super) filters: Vec<Value>,
}

/// What an access token is good for; only faults make it less than all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Reach {
    #[default]
    All,
    /// The next request.
    Once,
    /// `GET /account/whoami`.
    Whoami,
    Nothing,
}

/// The session behind an access token.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub(super) user: String,
    pub(super) device: String,
    pub(super) expires: Option<Instant>,
    /// The refresh token that this token was made from, until that one is revoked by the first use of this.
    pub(super) made_from: Option<String>,
    /// A moment from which the token is refused: for servers whose caches lag behind.
    pub(super) dies: Option<Instant>,
    /// How many refreshes lie between it and the login.
    pub(super) generation: u32,
    pub(super) reach: Reach,
}

impl Access {
    /// A session that never ends by itself.
    pub(super) fn unlimited(user: String, device: String) -> Self {
        let (expires, made_from, dies) = (None, None, None);
        Self { user, device, expires, made_from, dies, generation: 0, reach: Reach::All }
    }
}

/// The session behind a refresh token.
#[derive(Debug, Clone)]
pub(super) struct Refresh {
    pub(super) user: String,
    pub(super) device: String,
    /// The refresh token before it, until that one is revoked by the first use of this.
    pub(super) made_from: Option<String>,
    /// How many refreshes lie between it and the login, which only faults look at.
    pub(super) generation: u32,
    /// How often it was traded in, which only faults look at.
    pub(super) uses: u32,
}

/// A token for one login.
#[derive(Debug, Clone)]
pub(super) struct LoginToken {
    pub(super) user: String,
    /// `None` is never.
    pub(super) expires: Option<Instant>,
    /// When it was used.
    pub(super) spent: Option<Instant>,
}

/// An interactive-auth session.
#[derive(Debug, Clone, Default)]
pub(super) struct Pending {
    /// The operation and the user that it was begun for.
    pub(super) binding: String,
    /// The account whose password the stage takes; `None` when there is no account yet.
    pub(super) owner: Option<String>,
    pub(super) completed: Vec<String>,
    /// The operation that it authorised.
    pub(super) finished: Option<Operation>,
}

/// What was answered to who passed interactive auth.
#[derive(Debug, Clone)]
pub(super) struct Passed {
    /// That of the session.
    pub(super) binding: String,
    pub(super) body: Value,
}

/// The whole state.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) access: HashMap<String, Access>,
    pub(super) refresh: HashMap<String, Refresh>,
    pub(super) login_tokens: HashMap<String, LoginToken>,
    pub(super) pending: HashMap<String, Pending>,
    /// The session that the request in hand has passed, with its binding.
    pub(super) passing: Option<(String, String)>,
    /// Answers by session, for the quirk that gives them again.
    pub(super) answered: HashMap<String, Passed>,
    /// How often registration tokens were looked up.
    pub(super) validity_checks: u32,
    /// The registration token is used up, which only a fault brings about.
    pub(super) registration_token_spent: bool,
    pub(super) nonces: HashMap<String, Instant>,
    /// Addresses that administrators bound to accounts.
    pub(super) third_party: Vec<ThirdParty>,
    pub(super) buckets: Buckets,
    /// Tokens of all kinds that were valid once; only so that their refusal can be told from that of unknown ones.
    pub(super) dead: HashMap<String, Refusal>,
    /// Keys that a fault keeps refusing.
    pub(super) banned: HashSet<String>,
    /// Until when keys of a limit are refused that says less, where there is such a one.
    pub(super) held: HashMap<String, Instant>,
    /// Users who passed interactive auth, for the fault that remembers it.
    pub(super) passed: HashSet<String>,
    /// Access tokens with which interactive auth was passed.
    pub(super) confirmed: HashSet<String>,
    /// Requests answered so far.
    pub(super) requests: u64,
    /// The operations that were asked for, for the quirk that refuses the first request to each.
    pub(super) asked: HashSet<Operation>,
    /// Localparts by the names that were asked for, where these are not the same.
    pub(super) names: HashMap<String, String>,
    /// Logins with right credentials so far.
    pub(super) logins: u64,
    secrets: Secrets,
}

/// A source of tokens that nobody can guess: one random seed, then HMAC over a counter, so that only the start can fail.
#[derive(Debug)]
struct Secrets {
    keyed: Hmac<Sha1>,
    counter: u64,
}

impl Secrets {
    fn next(&mut self) -> Vec<u8> {
        self.counter += 1;
        self.keyed.clone().chain_update(self.counter.to_be_bytes()).finalize().into_bytes().to_vec()
    }
}

impl Store {
    /// An empty state. Fails if the system gives no random bytes.
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        // HMAC takes keys of any length; the error of the type cannot happen.
        let keyed = <Hmac<Sha1> as KeyInit>::new_from_slice(&seed)
            .map_err(|_| getrandom::Error::UNSUPPORTED)?;
        Ok(Self {
            accounts: BTreeMap::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
            login_tokens: HashMap::new(),
            pending: HashMap::new(),
            passing: None,
            answered: HashMap::new(),
            validity_checks: 0,
            registration_token_spent: false,
            nonces: HashMap::new(),
            third_party: Vec::new(),
            buckets: Buckets::default(),
            dead: HashMap::new(),
            banned: HashSet::new(),
            held: HashMap::new(),
            passed: HashSet::new(),
            confirmed: HashSet::new(),
            requests: 0,
            asked: HashSet::new(),
            names: HashMap::new(),
            logins: 0,
            secrets: Secrets { keyed, counter: 0 },
        })
    }

    /// A fresh opaque token that begins with `prefix`.
    pub(super) fn token(&mut self, prefix: &str) -> String {
        format!("{prefix}_{}", URL_SAFE_NO_PAD.encode(self.secrets.next()))
    }

    /// A fresh device id: ten capital letters.
    pub(super) fn device_id(&mut self) -> String {
        self.secrets.next().iter().take(10).map(|byte| char::from(b'A' + byte % 26)).collect()
    }

    /// The device behind a user and an id.
    pub(super) fn device(&self, user: &str, id: &str) -> Option<&Device> {
        self.accounts.get(user)?.devices.get(id)
    }

    /// The device behind a user and an id, to change it.
    pub(super) fn device_mut(&mut self, user: &str, id: &str) -> Option<&mut Device> {
        self.accounts.get_mut(user)?.devices.get_mut(id)
    }

    /// Revokes the access tokens of a device for a reason, at `moment` (at once if `None`).
    pub(super) fn end_access(
        &mut self,
        user: &str,
        device: &str,
        reason: Refusal,
        moment: Option<Instant>,
    ) {
        let meant = |session: &Access| session.user == user && session.device == device;
        self.end_access_where(reason, moment, meant);
    }

    /// Revokes the access tokens whose session is meant.
    pub(super) fn end_access_where(
        &mut self,
        reason: Refusal,
        moment: Option<Instant>,
        meant: impl Fn(&Access) -> bool,
    ) {
        if moment.is_some() {
            for session in self.access.values_mut().filter(|session| meant(session)) {
                session.dies = moment;
            }
            return;
        }
        let Self { access, dead, .. } = self;
        access.retain(|token, session| {
            let ends = meant(session);
            if ends {
                dead.insert(token.clone(), reason);
            }
            !ends
        });
    }

    /// Revokes the refresh tokens of a device.
    pub(super) fn end_refresh(&mut self, user: &str, device: &str) {
        self.revoke_where(|session| session.user == user && session.device == device);
    }

    /// Revokes one refresh token.
    pub(super) fn revoke_refresh(&mut self, token: &str) {
        if self.refresh.remove(token).is_some() {
            self.dead.insert(token.to_owned(), Refusal::RefreshTokenSpent);
        }
    }

    /// Revokes the refresh tokens of a device that were traded in already, though none of the new ones was used.
    pub(super) fn revoke_used(&mut self, user: &str, device: &str) {
        self.revoke_where(|session| {
            session.user == user && session.device == device && session.uses > 0
        });
    }

    /// Revokes the refresh tokens whose session is meant.
    pub(super) fn revoke_where(&mut self, meant: impl Fn(&Refresh) -> bool) {
        let found = self.refresh.iter().filter(|(_, session)| meant(session));
        for token in found.map(|(token, _)| token.clone()).collect::<Vec<_>>() {
            self.revoke_refresh(&token);
        }
    }

    /// Deletes a device and everything that belongs to it: keys, access tokens (at `moment`), refresh tokens.
    pub(super) fn drop_device(&mut self, user: &str, device: &str, moment: Option<Instant>) {
        self.forget_device(user, device);
        self.end_access(user, device, Refusal::LoggedOutToken, moment);
        self.end_refresh(user, device);
    }

    /// Deletes a device without its tokens.
    pub(super) fn forget_device(&mut self, user: &str, device: &str) {
        if let Some(account) = self.accounts.get_mut(user)
            && account.devices.remove(device).is_some()
        {
            account.deleted.insert(device.to_owned());
        }
    }

    /// The users beside this one who have a device of an id.
    pub(super) fn others_with_device(&self, user: &str, device: &str) -> Vec<String> {
        let others = self.accounts.iter().filter(|(name, _)| *name != user);
        let have = others.filter(|(_, account)| account.devices.contains_key(device));
        have.map(|(name, _)| name.clone()).collect()
    }

    /// The newest refresh of a session: how many lie between it and the login.
    pub(super) fn newest_generation(&self, user: &str, device: &str) -> u32 {
        let of_session = self.access.values().filter(|a| a.user == user && a.device == device);
        of_session.map(|session| session.generation).max().unwrap_or_default()
    }

    /// The ids of a user's devices.
    pub(super) fn device_ids(&self, user: &str) -> Vec<String> {
        self.accounts
            .get(user)
            .map(|account| account.devices.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// Another account than the user's: the first there is. The user's own if there is no other.
    pub(super) fn another_user(&self, user: &str) -> String {
        self.accounts.keys().find(|name| *name != user).map_or(user, String::as_str).to_owned()
    }

    /// The first account by name, or `user` where there is none.
    pub(super) fn first_user(&self, user: &str) -> String {
        self.accounts.keys().next().map_or(user, String::as_str).to_owned()
    }

    /// The public keys of a user's cross-signing keys.
    pub(super) fn signing_public_keys(&self, user: &str) -> HashSet<String> {
        let keys = self.accounts.get(user).map(|account| &account.signing_keys);
        public_keys(keys.into_iter().flat_map(Map::values))
    }

    /// Makes a login token for a user.
    pub(super) fn login_token(&mut self, user: &str, now: Instant, lifetime: Duration) -> String {
        let token = self.token("login");
        let made =
            LoginToken { user: user.to_owned(), expires: now.checked_add(lifetime), spent: None };
        self.login_tokens.insert(token.clone(), made);
        token
    }
}

/// The public keys in cross-signing key objects: `keys` maps `ed25519:KEY` to KEY.
pub(super) fn public_keys<'a>(objects: impl Iterator<Item = &'a Value>) -> HashSet<String> {
    objects
        .filter_map(|object| object.get("keys")?.as_object())
        .flat_map(Map::values)
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}
