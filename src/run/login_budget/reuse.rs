//! Sessions that earlier cases leave, for cases that only want one when the server lets nobody log
//! in any more.
use crate::http::created_resources::CreatedResources;
use crate::http::message::{Exchange, Request, Response};
use crate::model::user_id;
use crate::run::case_machine::CaseMachine;
use serde_json::Value;

/// A good login of this run whose session may still live.
#[derive(Debug, Clone)]
pub struct ReusableSession {
    /// The login, marked as looked at again.
    pub login: Exchange,
    /// Whether it is the one that cases share as `session NAME`: nothing may end it while others
    /// may still want it.
    pub is_shared: bool,
}

/// Which sessions may be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReusePolicy {
    /// Those that cases left and those that cases share; the borrower ends none.
    ReadOnly,
    /// Those that cases left; the borrower may end it.
    MayEnd,
    /// Any: nobody comes after.
    Any,
}

impl ReusableSession {
    /// The session that a good login left open; nothing for any other exchange.
    pub fn of(login: &Exchange, is_shared: bool) -> Option<ReusableSession> {
        let response = login.result.as_ref().ok()?;
        let is_good = login.request.is_login()
            && response.is_success()
            && response.text_at("/access_token").is_some();
        is_good.then(|| ReusableSession { login: login.again(), is_shared })
    }

    fn response(&self) -> Option<&Response> {
        self.login.result.as_ref().ok()
    }

    /// Whether the session is as its login left it.
    pub fn lives(&self, created: &CreatedResources) -> bool {
        let token = self.response().and_then(|response| response.text_at("/access_token"));
        token.is_some_and(|token| created.is_as_begun(token))
    }

    /// Whether it can be had on these terms.
    pub fn is_for(&self, terms: ReusePolicy) -> bool {
        !self.is_shared || terms != ReusePolicy::MayEnd
    }

    /// Serves a login of a case that only wants a session: what the case made up for it (a device
    /// id, a name) becomes what the earlier login had. The answer of that one, if it fits.
    pub fn serve(&self, request: &Request, machine: &mut CaseMachine<'_>) -> Option<&Response> {
        let (wanted, had, response) =
            (request.json_body()?, self.login.request.json_body()?, self.response()?);
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
            || response.text_at("/refresh_token").is_some();
        if !same_account || !refreshes {
            return None;
        }
        let text = |body: &Value, member: &str| {
            body.get(member).and_then(Value::as_str).map(str::to_owned)
        };
        let named = [
            (text(&wanted, "device_id"), response.text_at("/device_id").map(str::to_owned)),
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
        Some(response)
    }
}
