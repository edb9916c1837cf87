//! Rate limits: a token bucket for each key.

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

/// The buckets of one limit.
#[derive(Debug, Default)]
pub(super) struct Buckets(HashMap<String, (f64, Instant)>);

impl Buckets {
    /// Takes a permit for `key`, or says how many milliseconds later there is one.
    pub(super) fn take(&mut self, limit: Limit, key: &str, now: Instant) -> Result<(), u64> {
        let burst = f64::from(limit.burst.max(1));
        let rate = limit.per_second.max(1e-6);
        let (level, at) = self.0.entry(key.to_owned()).or_insert((burst, now));
        *level = (*level + now.saturating_duration_since(*at).as_secs_f64() * rate).min(burst);
        *at = now;
        if *level >= 1.0 {
            *level -= 1.0;
            return Ok(());
        }
        let wait = Duration::try_from_secs_f64((1.0 - *level) / rate)
            .unwrap_or(Duration::from_secs(86_400));
        // One more, so that a client that waits exactly this long is never refused for a rounding error.
        Err(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_wait_there_is_a_permit() {
        let (mut buckets, now) = (Buckets::default(), Instant::now());
        let limit = Limit { burst: 2, per_second: 4.0 };
        assert_eq!(buckets.take(limit, "a", now), Ok(()));
        assert_eq!(buckets.take(limit, "a", now), Ok(()));
        let wait = buckets.take(limit, "a", now).unwrap_err();
        assert_eq!(wait, 251);
        assert_eq!(buckets.take(limit, "b", now), Ok(()));
        assert_eq!(buckets.take(limit, "a", now + Duration::from_millis(wait)), Ok(()));
    }
}
