//! Sessions that earlier cases leave, for cases that only want one when the server lets nobody log
//! in any more.
use crate::http::created_resources::Ledger;
use crate::http::message::{Answer, Ask, Exchanged};
use crate::model::user_id;
use crate::run::case_machine::Machine;
use serde_json::Value;

/// A good login of this run whose session may still live.
#[derive(Debug, Clone)]
pub struct Loan {
    /// The login, marked as looked at again.
    pub login: Exchanged,
    /// Whether it is the one that cases share as `session NAME`: nothing may end it while others
    /// may still want it.
    pub is_shared: bool,
}

/// Which sessions may be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terms {
    /// Those that cases left and those that cases share; the borrower ends none.
    ToLookAt,
    /// Those that cases left; the borrower may end it.
    ToEnd,
    /// Any: nobody comes after.
    LastUse,
}

impl Loan {
    /// The loan that a login has left behind, if it was a good one.
    pub fn of(login: &Exchanged, is_shared: bool) -> Option<Loan> {
        let answer = login.result.as_ref().ok()?;
        let is_good = login.ask.is_login()
            && answer.is_success()
            && answer.text_at("/access_token").is_some();
        is_good.then(|| Loan { login: login.again(), is_shared })
    }

    fn answer(&self) -> Option<&Answer> {
        self.login.result.as_ref().ok()
    }

    /// Whether the session is as its login left it.
    pub fn lives(&self, ledger: &Ledger) -> bool {
        let token = self.answer().and_then(|answer| answer.text_at("/access_token"));
        token.is_some_and(|token| ledger.is_as_begun(token))
    }

    /// Whether it can be had on these terms.
    pub fn is_for(&self, terms: Terms) -> bool {
        !self.is_shared || terms != Terms::ToEnd
    }

    /// Serves a login of a case that only wants a session: what the case made up for it (a device
    /// id, a name) becomes what the earlier login had. The answer of that one, if it fits.
    pub fn serve(&self, ask: &Ask, machine: &mut Machine<'_>) -> Option<&Answer> {
        let (wanted, had, answer) = (ask.json_body()?, self.login.ask.json_body()?, self.answer()?);
        let is_same = |member: &str| wanted.get(member) == had.get(member);
        let localpart = |body: &Value| {
            body.pointer("/identifier/user")?
                .as_str()
                .map(|user| user_id::localpart(user).to_owned())
        };
        let same_account = is_same("type")
            && is_same("password")
            && localpart(&wanted).is_some_and(|user| Some(user) == localpart(&had));
        let refreshes = wanted.get("refresh_token") != Some(&Value::Bool(true))
            || answer.text_at("/refresh_token").is_some();
        if !same_account || !refreshes {
            return None;
        }
        let text = |body: &Value, member: &str| {
            body.get(member).and_then(Value::as_str).map(str::to_owned)
        };
        let named = [
            (text(&wanted, "device_id"), answer.text_at("/device_id").map(str::to_owned)),
            (
                text(&wanted, "initial_device_display_name"),
                text(&had, "initial_device_display_name"),
            ),
        ];
        for (wanted, had) in named {
            let Some(wanted) = wanted else { continue };
            let had = had?;
            if wanted != had && !machine.rename(&wanted, &had) {
                return None;
            }
        }
        Some(answer)
    }
}
