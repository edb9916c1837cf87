//! Checks over a whole run: what no single answer can show. Code with ids of the register.
use crate::http::message::Exchange;
use crate::model::run::Level;
use std::collections::BTreeMap;

/// A check over a whole run.
#[derive(Debug, Clone, Copy)]
pub struct WholeRunCheck {
    /// Its id beside the cases.
    pub id: &'static str,
    /// The requirement that it decides.
    pub requirement: &'static str,
    /// What is true of a server that passes.
    pub title: &'static str,
    /// The level of its requirement.
    pub level: Level,
    /// Looks at every exchange of the run, in the order of the reports.
    pub look: fn(&[&Exchange]) -> Seen,
}

/// What stands in the place of their area.
pub const AREA: &str = "whole run";

/// All of them.
pub const CHECKS: &[WholeRunCheck] = &[WholeRunCheck {
    id: "generated-device-ids-never-repeat",
    requirement: "device.login.generated.unique",
    title: "two logins without a device_id never get the same one",
    level: Level::Must,
    look: generated_device_ids,
}];

/// What a whole-run check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// There was not enough to look at.
    Nothing,
    /// As it is to be.
    Fine,
    /// Two exchanges, by their place in what was given, that show the opposite.
    Repeated {
        /// The first one.
        first: usize,
        /// The one that repeats it.
        again: usize,
    },
}

/// Whether device ids that the server generated repeat for one user.
pub fn generated_device_ids(exchanges: &[&Exchange]) -> Seen {
    let mut known: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (at, exchange) in exchanges.iter().enumerate() {
        let Some(made) = generated(exchange) else { continue };
        if let Some(first) = known.insert(made, at) {
            return Seen::Repeated { first, again: at };
        }
    }
    if known.len() > 1 { Seen::Fine } else { Seen::Nothing }
}

fn generated(exchange: &Exchange) -> Option<(String, String)> {
    let response = exchange.result.as_ref().ok().filter(|response| response.is_success())?;
    let operation = exchange.request.operation.as_deref()?;
    if !matches!(operation, "login" | "register") {
        return None;
    }
    // What is parsed of a copy is gone with it.
    let response = response.unparsed();
    let asked = exchange.request.json_body()?;
    if asked.get("device_id").is_some() {
        return None;
    }
    let text = |pointer| response.text_at(pointer).map(str::to_owned);
    Some((text("/user_id")?, text("/device_id")?))
}

#[cfg(test)]
mod tests;
