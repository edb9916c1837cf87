//! Operations that a run needs before any case, where something in front of the homeserver answers
//! every request to them: what cannot be decided then is blocked for it.
use super::Record;
use crate::case::ast::{Case, Need};
use crate::http::message::Exchange;
use crate::model::reason::ReasonCode;
use crate::model::run::{Decision, Verdict};

/// The statuses in the place of these operations' answers, where no answer is the homeserver's.
#[derive(Debug)]
pub(super) struct Walls {
    register: Option<u16>,
    login: Option<u16>,
    flows: Option<u16>,
}

impl Walls {
    pub(super) fn of(record: &Record<'_>) -> Walls {
        let wall = |operation: &str| {
            let is_asked = |one: &&Exchange| one.request.operation.as_deref() == Some(operation);
            let asked: Vec<&Exchange> = record.exchanges().filter(is_asked).collect();
            let answered = asked.iter().filter_map(|one| one.result.as_ref().ok());
            let is_wall = asked.iter().all(|one| record.origins.is_gateway(one));
            answered.map(|response| response.status).next().filter(|_| is_wall)
        };
        Walls { register: wall("register"), login: wall("login"), flows: wall("getLoginFlows") }
    }

    /// The status of what kept a decision from being made.
    pub(super) fn keeps_from(&self, case: &Case, decision: &Decision) -> Option<u16> {
        let code = decision.reason.as_ref()?.code.known()?;
        let needs_flow = || case.needs.iter().any(|need| matches!(need, Need::Flow(_)));
        match (decision.verdict, code) {
            (Verdict::Blocked, ReasonCode::Registration) => self.register,
            (Verdict::Blocked, ReasonCode::Account) => self.login,
            (Verdict::Skipped, ReasonCode::NotOffered) if needs_flow() => self.flows,
            _ => None,
        }
    }
}
