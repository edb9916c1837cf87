//! Waits for rate limits and of cases, told to the watcher while they last.
use super::Watcher;
use crate::http::rate_limit::{RateLimits, WaitCause, WaitNotice};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// The shortest wait that is announced.
const LONG: Duration = Duration::from_secs(5);
/// The difference of two ends that are one: of cases that wait for the same limit.
const SAME: Duration = Duration::from_secs(1);

/// The waits that last, and those that were announced.
#[derive(Default)]
struct Current {
    waits: BTreeMap<u64, (WaitNotice, Instant)>,
    announced: BTreeMap<WaitCause, Instant>,
}

impl Current {
    fn take(&mut self, number: u64, notice: Option<WaitNotice>, watcher: &dyn Watcher) {
        let Some(notice) = notice else {
            self.waits.remove(&number);
            return;
        };
        let until = Instant::now() + notice.wait;
        let known = self.announced.get(&notice.cause);
        if notice.wait >= LONG && known.is_none_or(|known| until > *known + SAME) {
            watcher.limit_wait(&notice);
            self.announced.insert(notice.cause.clone(), until);
        }
        self.waits.insert(number, (notice, until));
    }

    fn show(&self, watcher: &dyn Watcher) {
        let last = self.waits.values().max_by_key(|(_, until)| *until);
        let left = last.map(|(notice, until)| {
            (&notice.cause, until.saturating_duration_since(Instant::now()))
        });
        watcher.limit_left(left);
    }
}

/// Does the work, and tells meanwhile what it waits for.
pub(super) async fn told<T>(
    limits: &RateLimits,
    watcher: &dyn Watcher,
    work: impl Future<Output = T>,
) -> T {
    let Some(mut waits) = limits.waits() else { return work.await };
    let mut current = Current::default();
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            Some((number, notice)) = waits.recv() => {
                current.take(number, notice, watcher);
                current.show(watcher);
            }
            done = &mut work => return done,
            _ = seconds.tick(), if !current.waits.is_empty() => current.show(watcher),
        }
    }
}
