//! Who may log in next: logins are sent in the order of the plan whatever runs at the same time, so
//! that where a server limits them the same cases get one each time.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// The order of logins in one phase.
#[derive(Debug, Clone)]
pub struct LoginQueue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The place of each case that may log in.
    places: BTreeMap<usize, usize>,
    /// Which places are done with.
    done: Mutex<Vec<bool>>,
    /// The first place that is not.
    next: watch::Sender<usize>,
}

impl LoginQueue {
    /// Turns for these cases, in their order.
    pub fn new(cases: impl IntoIterator<Item = usize>) -> LoginQueue {
        let places: BTreeMap<usize, usize> =
            cases.into_iter().enumerate().map(|(place, case)| (case, place)).collect();
        let done = Mutex::new(vec![false; places.len()]);
        LoginQueue(Arc::new(Inner { places, done, next: watch::Sender::new(0) }))
    }

    /// The turn of a case; it is over when the value is dropped. Cases without one need not wait.
    pub fn of(&self, case: usize) -> LoginPermit {
        LoginPermit { held: self.0.places.get(&case).map(|place| (self.0.clone(), *place)) }
    }
}

/// The turn of one case.
#[derive(Debug, Default)]
pub struct LoginPermit {
    held: Option<(Arc<Inner>, usize)>,
}

impl LoginPermit {
    /// Ends when every case before is done with its logins.
    pub async fn acquire(&self) {
        let Some((inner, place)) = &self.held else { return };
        let mut next = inner.next.subscribe();
        // The sender lives as long as `inner`, so that this cannot fail.
        let _ = next.wait_for(|next| next >= place).await;
    }

    /// Lets the next case log in.
    pub fn release(&mut self) {
        let Some((inner, place)) = self.held.take() else { return };
        let mut done = inner.done.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(done) = done.get_mut(place) {
            *done = true;
        }
        let first_open = done.iter().position(|done| !done).unwrap_or(done.len());
        inner.next.send_replace(first_open);
    }
}

impl Drop for LoginPermit {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn has_come(turn: &LoginPermit) -> bool {
        tokio::select! {
            biased;
            () = turn.acquire() => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn a_turn_comes_when_all_before_are_over() {
        let turns = LoginQueue::new([7, 3, 5]);
        let (mut first, second, third, none) = (turns.of(7), turns.of(3), turns.of(5), turns.of(1));
        assert!(has_come(&first).await && has_come(&none).await);
        assert!(!has_come(&third).await);
        drop(second);
        assert!(!has_come(&third).await);
        first.release();
        third.acquire().await;
    }
}
