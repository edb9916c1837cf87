//! The data layer: finished answers, whoever gave them, as the faults and quirks that are switched on leave them.
//!
//! It knows an exchange and nothing of the homeserver behind it, so that it can stand in front of any.

use super::answer::{Answer, Body};
use super::edit::{Edit, Situation};
use super::fault::{Switch, faults};
use super::quirk::{self, quirks};
use super::{Fault, Quirk};
use axum::http::HeaderMap;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Faults and quirks beside those of the tables, by whose names they can be switched on too: those made from schemas.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Catalogue {
    /// Faults.
    pub faults: &'static [Fault],
    /// Quirks.
    pub quirks: &'static [Quirk],
}

impl Catalogue {
    /// The faults of the tables and these.
    pub fn all_faults(self) -> impl Iterator<Item = &'static Fault> {
        faults().iter().chain(self.faults)
    }

    /// The quirks of the tables and these.
    pub fn all_quirks(self) -> impl Iterator<Item = &'static Quirk> {
        quirks().iter().chain(self.quirks)
    }
}

/// The edits that are switched on.
#[derive(Debug)]
pub(super) struct Layer {
    active: Vec<Active>,
    quirks: Vec<String>,
    changed: Arc<AtomicU64>,
}

/// An edit that is switched on, with the number of answers it was meant for.
#[derive(Debug)]
struct Active {
    edit: Edit,
    seen: AtomicU64,
}

impl Layer {
    /// The edits of the faults and the quirks of these names; what is no edit is left out.
    pub(super) fn of(faults: &[String], quirks: &[String], catalogue: Catalogue) -> Self {
        let on = |names: &[String], name: &str| names.iter().any(|wanted| wanted == name);
        let of_faults = catalogue.all_faults().filter(|fault| on(faults, fault.name));
        let of_quirks = catalogue.all_quirks().filter(|quirk| on(quirks, quirk.name));
        let edits =
            of_faults.flat_map(|fault| fault.edits).chain(of_quirks.flat_map(|quirk| quirk.edits));
        Self {
            active: edits.map(|edit| Active { edit: *edit, seen: AtomicU64::new(0) }).collect(),
            quirks: quirks.to_vec(),
            changed: Arc::default(),
        }
    }

    /// How many answers were changed so far.
    pub(super) fn counter(&self) -> Arc<AtomicU64> {
        self.changed.clone()
    }

    /// Changes the answer to a request with these headers, if it is one of those meant. Says whether it did.
    pub(super) fn apply(
        &self,
        situation: Situation,
        headers: &HeaderMap,
        answer: &mut Answer,
    ) -> bool {
        let mut edited = false;
        for active in &self.active {
            edited |= active.apply(situation, answer);
        }
        let bent = self.bend(situation.options, headers, answer);
        if edited || bent {
            self.changed.fetch_add(1, Ordering::Relaxed);
        }
        edited || bent
    }

    fn has(&self, switch: Switch) -> bool {
        self.quirks.iter().any(|name| name == switch.0)
    }

    /// What quirks change in a finished answer that needs the request for it.
    fn bend(&self, options: bool, headers: &HeaderMap, answer: &mut Answer) -> bool {
        let mut bent = false;
        if options && answer.status == 200 && self.has(quirk::OPTIONS_204) {
            answer.status = 204;
            answer.body = Body::Bytes(Vec::new());
            answer.unset("content-type");
            bent = true;
        }
        let origin = headers.get("origin").and_then(|origin| origin.to_str().ok());
        if let Some(origin) = origin.filter(|_| self.has(quirk::ORIGIN_ECHOED)) {
            answer.set("access-control-allow-origin", origin);
            answer.set("vary", "Origin");
            bent = true;
        }
        let wait = answer.member("retry_after_ms").and_then(Value::as_u64);
        if let Some(wait) = wait.filter(|_| answer.status == 429 && self.has(quirk::RETRY_DATE)) {
            // A date has whole seconds: the next one after the wait is over.
            let moment = SystemTime::now() + Duration::from_millis(wait) + Duration::from_secs(1);
            answer.set("retry-after", &httpdate::fmt_http_date(moment));
            bent = true;
        }
        bent
    }
}

impl Active {
    /// Changes the answer if it is one of those meant, and its turn.
    fn apply(&self, situation: Situation, answer: &mut Answer) -> bool {
        if !self.edit.meant(situation, answer) {
            return false;
        }
        let number = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        let turn = self.edit.turn.comes(number);
        if turn {
            self.edit.change(answer);
        }
        turn
    }
}
