//! Waits, told while they last.
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Causes of a wait.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum WaitCause {
    /// A limit on this operation, or method and path.
    Limit(String),
    /// A time that a response named to this case, such as the lifetime of a token.
    Case(String),
}

/// A wait that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitNotice {
    pub cause: WaitCause,
    pub wait: Duration,
    /// What was used of the budget before.
    pub spent: Duration,
    pub budget: Duration,
}

/// The waits of a run as they come: each with its number as it begins, the number alone as it ends.
pub type Waits = mpsc::UnboundedReceiver<(u64, Option<WaitNotice>)>;

/// Sends notices to whoever listens, if anybody does.
#[derive(Debug, Default)]
pub(super) struct Notices(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    number: u64,
    listener: Option<mpsc::UnboundedSender<(u64, Option<WaitNotice>)>>,
}

/// A wait that is told as over when it is dropped: a stop of the run ends it early.
#[derive(Debug)]
pub(super) struct Wait<'n> {
    notices: &'n Notices,
    number: u64,
}

impl Notices {
    /// The receiver of all notices from now on; only the first call gives one.
    pub(super) fn take(&self) -> Option<Waits> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.listener.is_some() {
            return None;
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        told.listener = Some(sender);
        Some(receiver)
    }

    pub(super) fn begin(&self, notice: WaitNotice) -> Wait<'_> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.number += 1;
        let number = told.number;
        told.tell(number, Some(notice));
        Wait { notices: self, number }
    }
}

impl Told {
    fn tell(&self, number: u64, notice: Option<WaitNotice>) {
        // Nobody listens any more once the run is over.
        let _ = self.listener.as_ref().map(|listener| listener.send((number, notice)));
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let told = self.notices.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.tell(self.number, None);
    }
}
