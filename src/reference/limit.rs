//! Rate limits: a token bucket or a fixed window for each key.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How many calls are let through: `burst` at once, then `per_second`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// Calls that may come at once; at least one.
    pub burst: u32,
    /// Calls a second in the long run; above zero.
    pub per_second: f64,
}

/// How permits come back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Refill {
    /// One by one: a token bucket.
    #[default]
    OneByOne,
    /// All at once when as much time has passed as one by one would take: a fixed window, which begins with the first
    /// call.
    AllAtOnce,
}

/// The permits that are left for each key, and since when.
#[derive(Debug, Default)]
pub(super) struct Buckets(HashMap<String, (f64, Instant)>);

impl Buckets {
    /// Takes a permit for `key`, or says how many milliseconds later there is one.
    pub(super) fn take(
        &mut self,
        limit: Limit,
        refill: Refill,
        key: &str,
        now: Instant,
    ) -> Result<(), u64> {
        let burst = f64::from(limit.burst.max(1));
        let rate = limit.per_second.max(1e-6);
        let (level, at) = self.0.entry(key.to_owned()).or_insert((burst, now));
        let passed = now.saturating_duration_since(*at).as_secs_f64();
        let missing = match refill {
            Refill::OneByOne => {
                (*level, *at) = ((*level + passed * rate).min(burst), now);
                (1.0 - *level) / rate
            }
            Refill::AllAtOnce => {
                let window = burst / rate;
                if passed >= window {
                    (*level, *at) = (burst, now);
                }
                window - passed
            }
        };
        if *level >= 1.0 {
            *level -= 1.0;
            return Ok(());
        }
        let wait = Duration::try_from_secs_f64(missing).unwrap_or(Duration::from_secs(86_400));
        // One more, so that a client that waits exactly this long is never refused for a rounding error.
        Err(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_wait_there_is_a_permit() {
        let limit = Limit { burst: 2, per_second: 4.0 };
        for (refill, asked, then) in [(Refill::OneByOne, 251, 1), (Refill::AllAtOnce, 501, 2)] {
            let (mut buckets, now) = (Buckets::default(), Instant::now());
            let mut take = |key: &str, at| buckets.take(limit, refill, key, at);
            assert_eq!((take("a", now), take("a", now)), (Ok(()), Ok(())));
            let wait = take("a", now).unwrap_err();
            assert_eq!(wait, asked);
            assert_eq!(take("b", now), Ok(()));
            let later = now + Duration::from_millis(wait);
            let taken = (0..3).take_while(|_| take("a", later).is_ok()).count();
            assert_eq!(taken, then, "{refill:?}");
        }
    }
}
