//! Long computations, outside the async workers.
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use tokio::sync::oneshot;

/// Runs work on a thread of its own and waits for it; a panic in it continues here. Returns nothing
/// if no thread can start.
///
/// If the caller stops waiting, the thread continues, and neither the runtime nor the program waits
/// for it. tokio's threads are not used: each would keep the memory of its largest computation.
pub async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (send, receive) = oneshot::channel();
    let work = move || {
        // The caller may have stopped waiting.
        let _ = send.send(catch_unwind(AssertUnwindSafe(work)));
    };
    std::thread::Builder::new().name("judging".to_owned()).spawn(work).ok()?;
    match receive.await.ok()? {
        Ok(done) => Some(done),
        Err(panic) => resume_unwind(panic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_done_comes_back_and_a_panic_too() {
        assert_eq!(beside(|| 1).await, Some(1));
        let panics = tokio::spawn(async { beside(|| panic!("of a test")).await });
        assert!(panics.await.is_err_and(|error| error.is_panic()));
    }
}
