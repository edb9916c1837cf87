//! Work that takes its time, beside that of the async workers.
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use tokio::sync::oneshot;

/// Does work on a thread of its own, and waits for it; a panic in it goes on here. Nothing where there can be no thread.
///
/// Who no longer waits leaves the thread to its work, and neither the runtime nor the program waits for it. The threads of
/// tokio are not used: each would keep the memory that the largest of its pieces of work took.
pub async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (send, receive) = oneshot::channel();
    let work = move || {
        // Nobody may wait for it any more.
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
