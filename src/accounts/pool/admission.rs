//! Which of the supplied accounts the run uses: those that the server takes, each once.
use crate::accounts::pool::login::WHOAMI;
use crate::accounts::pool::{AccountPool, SuppliedAccount};
use crate::accounts::provider::{count_as_one, may_be_same};
use crate::model::reason::{Reason, ReasonCode};
use crate::plan::Slot;
use crate::plan::facts::{AccountFacts, RefusedAccount};
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

impl AccountPool {
    /// Facts about the accounts for planning, refused ones included.
    pub fn account_facts(&self) -> AccountFacts {
        AccountFacts { refused: self.refused.clone(), ..self.sources.facts() }
    }

    /// Returns true if any account was seen to work.
    pub fn has_usable(&self) -> bool {
        self.usable.load(Ordering::Relaxed)
    }

    /// Leaves out supplied accounts that the server refuses, until the first of them is good.
    ///
    /// `by_password`: whether the server offers that login; else only access tokens are proven.
    pub async fn admit_first(&mut self, by_password: bool) {
        self.sources.supplied.sort_by_key(|account| account.order(by_password));
        while !self.sources.supplied.is_empty()
            && self.admit(&BTreeSet::from([0]), by_password).await
        {}
    }

    /// Proves the supplied accounts of these indices. Those that the server refuses are left out, and
    /// of several that are one account the first stays. Gives whether any was left out: the indices
    /// are then others.
    pub async fn admit(&mut self, used: &BTreeSet<usize>, by_password: bool) -> bool {
        let mut left_out = BTreeSet::new();
        for index in self.to_prove(used, by_password) {
            let Err(reason) = self.account(&Slot::Main(index), false, false).await else {
                continue;
            };
            // A limit or a lost answer says nothing of the account.
            if reason.code() != ReasonCode::Account {
                continue;
            }
            let refused = self.sources.supplied.get(index).map(SuppliedAccount::given);
            self.refused.extend(refused.map(|given| RefusedAccount { given, reason }));
            left_out.insert(index);
        }
        for (first, again) in self.repeated(&left_out).await {
            self.merge(first, again);
            left_out.insert(again);
        }
        self.leave_out(&left_out, by_password);
        !left_out.is_empty()
    }

    /// The accounts to prove: before one counts as disposable, each other must be known not to be the
    /// same account in use.
    fn to_prove(&self, used: &BTreeSet<usize>, by_password: bool) -> Vec<usize> {
        let supplied = &self.sources.supplied;
        let harms = used.iter().any(|index| supplied.get(*index).is_some_and(|one| one.disposable));
        let can_be = |one: &SuppliedAccount| by_password || !one.has_password();
        let wanted = supplied
            .iter()
            .enumerate()
            .filter(|(index, one)| can_be(one) && (harms || used.contains(index)));
        wanted.map(|(index, _)| index).collect()
    }

    /// Pairs of indices with the same account behind them, by the id that the server gives.
    async fn repeated(&self, left_out: &BTreeSet<usize>) -> Vec<(usize, usize)> {
        let mut first: BTreeMap<String, usize> = BTreeMap::new();
        let mut pairs = Vec::new();
        for index in (0..self.sources.supplied.len()).filter(|index| !left_out.contains(index)) {
            let entry = self.entry(&Slot::Main(index));
            let entry = entry.lock().await;
            let Some(Ok(account)) = entry.as_ref() else { continue };
            match first.get(&account.user_id) {
                Some(earlier) => pairs.push((*earlier, index)),
                None => drop(first.insert(account.user_id.clone(), index)),
            }
        }
        pairs
    }

    /// Says that two entries are one account. If one of them says that it is in use, it is.
    fn merge(&mut self, first: usize, again: usize) {
        let pair = (self.sources.supplied.get(first), self.sources.supplied.get(again));
        let (Some(one), Some(other)) = pair else { return };
        self.notices.note(&format!(
            "--accounts: `{}` and `{}` are one account and are used as one",
            one.user, other.user
        ));
        count_as_one(&mut self.sources.supplied, first, again);
    }

    /// Leaves out supplied accounts, and puts the others in their order of use.
    fn leave_out(&mut self, left_out: &BTreeSet<usize>, by_password: bool) {
        if left_out.is_empty() {
            return;
        }
        let entries = self.entries.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut kept = Vec::new();
        for (index, account) in mem::take(&mut self.sources.supplied).into_iter().enumerate() {
            let entry = entries.remove(&Slot::Main(index));
            if !left_out.contains(&index) {
                kept.push((account, entry));
            }
        }
        kept.sort_by_key(|(account, _)| account.order(by_password));
        for (index, (account, entry)) in kept.into_iter().enumerate() {
            self.sources.supplied.push(account);
            entries.extend(entry.map(|entry| (Slot::Main(index), entry)));
        }
    }

    /// The user and the device of an access token that was given for `user`.
    ///
    /// # Errors
    /// The server refuses it, or it is a guest's or that of another user than the full id says.
    pub(super) async fn owner_given(
        &self,
        slot: &Slot,
        token: &str,
        user: &str,
    ) -> Result<(String, Option<String>), Reason> {
        let what = format!("--accounts: the access token of `{user}`");
        let response = self.send(slot, &self.request("getTokenOwner")?.bearer(token)).await?;
        let (user_id, device_id) = self.owner_in(&response, &what)?;
        let is_guest = response.json().is_ok_and(|body| body.get("is_guest") == Some(&true.into()));
        if is_guest {
            let text = format!("{what} is a guest's ({WHOAMI}): give that of a registered user");
            return Err(Reason::Account(text));
        }
        if user.starts_with('@') && user != user_id {
            let text =
                format!("{what} belongs to {user_id} ({WHOAMI}): give the token and its own user");
            return Err(Reason::Account(text));
        }
        if !may_be_same(user, &user_id) {
            self.notices.note(&format!("{what} belongs to {user_id}, which is used"));
        }
        self.usable.store(true, Ordering::Relaxed);
        Ok((user_id, device_id))
    }
}
