//! Accounts that a program of the operator's prints, one each time it is started.
use crate::accounts::command::{ExternalCommand, Failed};
use crate::accounts::pool::{Account, AccountOrigin, AccountPool, AccountSession};
use crate::accounts::provider::may_be_same;
use crate::http::created_resources::CreatedAccount;
use crate::http::supplied_accounts::SuppliedAccount;
use crate::model::reason::Reason;
use crate::model::user_id::localpart;
use crate::plan::Slot;
use crate::redact::{SecretKind, SecretString};
use std::collections::BTreeSet;

/// State of the program that creates accounts, which is started for one account after the other.
#[derive(Debug, Default)]
pub(super) struct Printed {
    accounts: usize,
    user_ids: BTreeSet<String>,
    /// Reason why it is not started again: each further account would wait for the same failure.
    failed: Option<Reason>,
}

impl AccountPool {
    /// Starts the operator's program once, and reads the account that it prints.
    pub(super) async fn make_by_program(
        &self,
        slot: &Slot,
        program: &ExternalCommand,
        localpart: &str,
        password: &str,
    ) -> Result<Account, Reason> {
        let mut printed = self.program.lock().await;
        if let Some(reason) = &printed.failed {
            return Err(reason.clone());
        }
        printed.accounts += 1;
        let number = printed.accounts.to_string();
        let target = self.sender.http.target().to_string();
        let told = [
            ("HOMESPEC_TARGET", target.as_str()),
            ("HOMESPEC_ACCOUNT_NUMBER", number.as_str()),
            ("HOMESPEC_LOCALPART", localpart),
            ("HOMESPEC_PASSWORD", password),
        ];
        let account = program
            .run(&told, &self.sender.stop)
            .await
            .and_then(|text| read_account(program, &text))
            .and_then(|account| self.is_new(program, account, &mut printed.user_ids));
        let account = account.map_err(|failed| {
            let why = failed.text(&self.sender.http.vault().redactor());
            let advice = "try it by hand; docs/accounts.md describes its input and output";
            let reason = Reason::Registration(format!("--account-command: {why}; {advice}"));
            printed.failed = Some(reason.clone());
            reason
        })?;
        drop(printed);
        self.take_over(slot, account).await
    }

    /// Refuses a printed account that is not new: what is printed is deactivated at the end.
    fn is_new(
        &self,
        program: &ExternalCommand,
        account: PrintedAccount,
        known: &mut BTreeSet<String>,
    ) -> Result<PrintedAccount, Failed> {
        let user_id = &account.user_id;
        let is_supplied =
            |one: &SuppliedAccount| !one.disposable && may_be_same(&one.user, user_id);
        if self.sources.supplied.iter().any(is_supplied) {
            let how = format!("printed {user_id}, which --accounts lists as in use");
            return Err(program.failed(&how, ""));
        }
        if !known.insert(user_id.clone()) {
            let how =
                format!("printed {user_id} a second time: each call must create a new account");
            return Err(program.failed(&how, ""));
        }
        Ok(account)
    }

    /// An account that somebody else made for the run: its secrets and its session are kept account
    /// of like those of others.
    async fn take_over(&self, slot: &Slot, account: PrintedAccount) -> Result<Account, Reason> {
        let PrintedAccount { user_id, password, access_token, device_id } = account;
        let vault = self.sender.http.vault();
        let known = [(SecretKind::Password, &password), (SecretKind::AccessToken, &access_token)];
        for (kind, secret) in known {
            if let Some(secret) = secret {
                vault.learn(kind, secret);
            }
        }
        let session = access_token.map(|token| (token, device_id));
        let (login_name, guest) = (user_id.clone(), false);
        let made = CreatedAccount {
            user_id: user_id.clone(),
            login_name,
            password: password.clone(),
            guest,
        };
        self.sender.created.add_account(made, session.clone());
        let login_name = self.name_of_made(&user_id, localpart(&user_id));
        let proven = match &session {
            Some((token, _)) => {
                Some(self.owner(slot, token, "--account-command: the access token printed").await?)
            }
            None => None,
        };
        let session = session.zip(proven).map(|((token, device_id), (_, known))| AccountSession {
            token,
            device_id: known.or(device_id),
            refresh_token: None,
            expires: None,
            lifetime: None,
        });
        let password = password.map(SecretString::from);
        Ok(Account::new(AccountOrigin::Printed, (user_id, login_name), password, session))
    }
}

/// Output of an account command: one JSON object, of which further members are ignored.
#[derive(Debug, serde::Deserialize)]
struct PrintedAccount {
    user_id: String,
    password: Option<String>,
    access_token: Option<String>,
    device_id: Option<String>,
}

/// Reads what an account command printed. What it printed is never shown: it holds secrets.
fn read_account(program: &ExternalCommand, text: &str) -> Result<PrintedAccount, Failed> {
    let account: PrintedAccount = serde_json::from_str(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        let wanted = r#"{"user_id": …, "password": …}"#;
        program.failed(&format!("did not print one {wanted} ({place})"), "")
    })?;
    if !account.user_id.starts_with('@') || !account.user_id.contains(':') {
        return Err(program.failed("printed a user_id that is not a full Matrix ID", ""));
    }
    if account.password.is_none() && account.access_token.is_none() {
        return Err(program.failed("printed neither a password nor an access_token", ""));
    }
    Ok(account)
}
