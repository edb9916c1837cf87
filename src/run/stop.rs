//! Telling a run to stop asking.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Set once; everything that waits for something else than an answer wakes up.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    set: AtomicBool,
    waiting: Notify,
}

impl Stop {
    /// Asks the run to stop.
    pub fn set(&self) {
        self.0.set.store(true, Ordering::SeqCst);
        self.0.waiting.notify_waiters();
    }

    /// Whether it was asked to stop.
    pub fn is_set(&self) -> bool {
        self.0.set.load(Ordering::SeqCst)
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
