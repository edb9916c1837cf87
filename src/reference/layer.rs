//! The data layer: finished answers, whoever gave them, as the faults and quirks that are switched on leave them.
//!
//! It knows an exchange and nothing of the homeserver behind it, so that it can stand in front of any.

use super::answer::Answer;
use super::edit::{Edit, Situation};
use axum::http::HeaderMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The edits that are switched on.
#[derive(Debug)]
pub(super) struct Layer {
    active: Vec<Active>,
    changed: Arc<AtomicU64>,
}

/// An edit that is switched on, with the number of answers it was meant for.
#[derive(Debug)]
struct Active {
    edit: Edit,
    seen: AtomicU64,
}

impl Layer {
    /// These edits, to be made in this order.
    pub(super) fn of(edits: impl IntoIterator<Item = &'static Edit>) -> Self {
        let active = |edit: &'static Edit| Active { edit: *edit, seen: AtomicU64::new(0) };
        Self { active: edits.into_iter().map(active).collect(), changed: Arc::default() }
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
            edited |= active.apply(situation, headers, answer);
        }
        if edited {
            self.changed.fetch_add(1, Ordering::Relaxed);
        }
        edited
    }
}

impl Active {
    /// Changes the answer if it is one of those meant, and its turn.
    fn apply(&self, situation: Situation, headers: &HeaderMap, answer: &mut Answer) -> bool {
        if !self.edit.meant(situation, answer) {
            return false;
        }
        let number = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        let turn = self.edit.turn.comes(number);
        if turn {
            self.edit.change(headers, answer);
        }
        turn
    }
}
