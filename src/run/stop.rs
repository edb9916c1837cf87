//! Telling a run to stop asking.
use crate::outcome::Reason;
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;

/// Set once; everything that waits for something else than an answer wakes up.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    cause: OnceLock<Cause>,
    waiting: Notify,
}

/// Why a run stops before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A signal.
    Interrupted,
    /// A case failed, and that was to be the end.
    FailFast,
}

impl Cause {
    /// The reason of everything that it kept from being asked.
    pub fn reason(self) -> Reason {
        match self {
            Cause::Interrupted => {
                Reason { code: "interrupted".to_owned(), text: "the run was stopped".into() }
            }
            Cause::FailFast => Reason {
                code: "fail_fast".to_owned(),
                text: "an earlier case failed, and the run ended with it".into(),
            },
        }
    }
}

impl Stop {
    /// Asks the run to stop; of several causes the first counts.
    pub fn set(&self, cause: Cause) {
        let _ = self.0.cause.set(cause);
        self.0.waiting.notify_waiters();
    }

    /// Why it was asked to stop, if it was.
    pub fn cause(&self) -> Option<Cause> {
        self.0.cause.get().copied()
    }

    /// Whether it was asked to stop.
    pub fn is_set(&self) -> bool {
        self.cause().is_some()
    }

    /// The reason of what is not asked any more.
    pub fn reason(&self) -> Reason {
        self.cause().unwrap_or(Cause::Interrupted).reason()
    }

    /// Ends when it was asked to stop.
    pub async fn stopped(&self) {
        let waiting = self.0.waiting.notified();
        tokio::pin!(waiting);
        waiting.as_mut().enable();
        if !self.is_set() {
            waiting.await;
        }
    }
}
