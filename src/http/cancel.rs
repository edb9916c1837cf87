//! Cancellation of a run, and of its clean-up.
use crate::model::reason::Reason;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;

/// A flag that is set once; everything that waits, except for a response, wakes up.
#[derive(Debug, Clone, Default)]
pub struct Cancellation(Arc<CancelState>);

#[derive(Debug, Default)]
struct CancelState {
    cause: OnceLock<CancelCause>,
    interrupted: AtomicBool,
    waiting: Notify,
    /// The cancellation of the clean-up.
    next: OnceLock<Cancellation>,
}

/// The cause of an early end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelCause {
    /// A signal.
    Interrupted,
    /// A case failed, with `--fail-fast`.
    FailFast,
}

impl CancelCause {
    /// The reason for everything that was not sent because of it.
    pub fn reason(self) -> Reason {
        match self {
            CancelCause::Interrupted => Reason::Interrupted,
            CancelCause::FailFast => Reason::FailFast,
        }
    }
}

impl Cancellation {
    /// Cancels the run; of several causes the first counts.
    pub fn set(&self, cause: CancelCause) {
        if cause == CancelCause::Interrupted {
            self.0.interrupted.store(true, Ordering::SeqCst);
        }
        let _ = self.0.cause.set(cause);
        self.0.waiting.notify_waiters();
    }

    /// Handles a signal: the first stops the run, the second its clean-up.
    pub fn interrupt(&self) {
        if self.is_interrupted() {
            self.of_clean_up().set(CancelCause::Interrupted);
        }
        self.set(CancelCause::Interrupted);
    }

    /// The cancellation of the run's clean-up.
    pub fn of_clean_up(&self) -> Cancellation {
        self.0.next.get_or_init(Cancellation::default).clone()
    }

    /// Returns the cause if it was cancelled.
    pub fn cause(&self) -> Option<CancelCause> {
        self.0.cause.get().copied()
    }

    /// Returns true if it was cancelled.
    pub fn is_set(&self) -> bool {
        self.cause().is_some()
    }

    /// Returns true after a signal: then judging stops too.
    pub fn is_interrupted(&self) -> bool {
        self.0.interrupted.load(Ordering::SeqCst)
    }

    /// The reason for what is no longer sent.
    pub fn reason(&self) -> Reason {
        self.cause().unwrap_or(CancelCause::Interrupted).reason()
    }

    /// Completes when it is cancelled.
    pub async fn stopped(&self) {
        self.until(|stop| stop.is_set()).await;
    }

    /// Completes after a signal.
    pub async fn interrupted(&self) {
        self.until(Cancellation::is_interrupted).await;
    }

    async fn until(&self, holds: fn(&Cancellation) -> bool) {
        loop {
            let waiting = self.0.waiting.notified();
            tokio::pin!(waiting);
            waiting.as_mut().enable();
            if holds(self) {
                return;
            }
            waiting.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_signal_is_for_the_clean_up() {
        let stop = Cancellation::default();
        let cleaning = stop.of_clean_up();
        stop.set(CancelCause::FailFast);
        assert!(stop.is_set() && !stop.is_interrupted());
        stop.interrupt();
        assert!(stop.is_interrupted() && !cleaning.is_set());
        assert_eq!(stop.cause(), Some(CancelCause::FailFast));
        stop.interrupt();
        cleaning.interrupted().await;
        stop.stopped().await;
    }
}
