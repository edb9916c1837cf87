//! Telling a run to stop asking, and its clean-up to stop too.
use crate::model::reason::Reason;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::Notify;

/// Set once; everything that waits for something else than an answer wakes up.
#[derive(Debug, Clone, Default)]
pub struct Cancellation(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    cause: OnceLock<CancelCause>,
    interrupted: AtomicBool,
    waiting: Notify,
    /// That of the clean-up.
    next: OnceLock<Cancellation>,
}

/// Why a run stops before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelCause {
    /// A signal.
    Interrupted,
    /// A case failed, and that was to be the end.
    FailFast,
}

impl CancelCause {
    /// The reason of everything that it kept from being asked.
    pub fn reason(self) -> Reason {
        match self {
            CancelCause::Interrupted => Reason::Interrupted,
            CancelCause::FailFast => Reason::FailFast,
        }
    }
}

impl Cancellation {
    /// Asks the run to stop; of several causes the first counts.
    pub fn set(&self, cause: CancelCause) {
        if cause == CancelCause::Interrupted {
            self.0.interrupted.store(true, Ordering::SeqCst);
        }
        let _ = self.0.cause.set(cause);
        self.0.waiting.notify_waiters();
    }

    /// Takes a signal: the first one stops the run, a second one its clean-up.
    pub fn interrupt(&self) {
        if self.is_interrupted() {
            self.of_clean_up().set(CancelCause::Interrupted);
        }
        self.set(CancelCause::Interrupted);
    }

    /// What stops the clean-up of the run.
    pub fn of_clean_up(&self) -> Cancellation {
        self.0.next.get_or_init(Cancellation::default).clone()
    }

    /// Why it was asked to stop, if it was.
    pub fn cause(&self) -> Option<CancelCause> {
        self.0.cause.get().copied()
    }

    /// Whether it was asked to stop.
    pub fn is_set(&self) -> bool {
        self.cause().is_some()
    }

    /// Whether a signal came: then nothing more is judged either.
    pub fn is_interrupted(&self) -> bool {
        self.0.interrupted.load(Ordering::SeqCst)
    }

    /// The reason of what is not asked any more.
    pub fn reason(&self) -> Reason {
        self.cause().unwrap_or(CancelCause::Interrupted).reason()
    }

    /// Ends when it was asked to stop.
    pub async fn stopped(&self) {
        self.until(|stop| stop.is_set()).await;
    }

    /// Ends when a signal came.
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
