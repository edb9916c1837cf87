//! Waits for what a response named, and counts that one gave.
use crate::case::ast::{Source, Step};
use crate::check::trace::End;
use crate::model::reason::Reason;
use crate::run::case_machine::{CaseMachine, MachineState, Next};
use std::time::Duration;

/// More than a response says how long it takes, since servers round and responses travel.
pub(super) const LONGER: Duration = Duration::from_secs(1);

impl CaseMachine<'_> {
    /// Begins the wait for as many milliseconds as were saved under a name.
    pub(super) fn wait(&mut self, name: &str) -> Next {
        let Some(ms) = self.number(name) else { return self.without_number(name) };
        self.state = MachineState::Waiting;
        Next::Wait(Duration::from_millis(ms).saturating_add(LONGER))
    }

    /// Takes what came of a wait: that it is over, or the reason why it did not begin.
    pub fn waited(&mut self, end: Result<(), Reason>) {
        self.state = MachineState::Paused;
        match end {
            Ok(()) => self.has_waited = true,
            Err(reason) => self.end_without_waiting(reason),
        }
    }

    /// Returns true once it has let a time pass that a response named.
    pub fn has_waited(&self) -> bool {
        self.has_waited
    }

    /// The positive whole number that was saved under a name.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.variables.saved(name)?.as_u64().filter(|number| *number > 0)
    }

    /// Ends the case: what it was to wait for, or to count, has no number.
    pub(super) fn without_number(&mut self, name: &str) -> Next {
        let saves = self.case.all_steps().flat_map(|step| &step.save);
        let source = saves.filter(|(known, _)| known == name).map(|(_, source)| source).last();
        let place = match source {
            Some(Source::Body(pointer)) => pointer.trim_start_matches('/').to_owned(),
            Some(Source::RetryAfter) => "Retry-After".to_owned(),
            _ => name.to_owned(),
        };
        self.end_without_waiting(Reason::NoNumber { place });
        self.state = MachineState::Done;
        Next::Done
    }

    fn end_without_waiting(&mut self, reason: Reason) {
        self.end = End::NotWaited(reason);
        self.at = usize::MAX;
    }

    /// The most requests of a step with `until`.
    pub(super) fn most(&self, step: &Step, at_most: u32) -> usize {
        let saved = step.at_most_saved.as_ref().and_then(|name| self.number(name));
        let saved = saved.and_then(|number| usize::try_from(number).ok());
        saved.unwrap_or(usize::MAX).min(at_most as usize)
    }
}
