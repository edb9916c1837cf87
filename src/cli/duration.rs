//! Times as people write them.
use jiff::SignedDuration;
use std::time::Duration;

const FORM: &str = "a number of seconds, or a time such as 250ms, 30s, 5m or 1h30m";

/// That a text is no time, or less than nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is {FORM}")]
pub struct NoDuration;

/// Reads a number of seconds, or a time with units up to hours.
pub fn parse(text: &str) -> Result<Duration, NoDuration> {
    let time = match text.trim().parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => text.trim().parse::<SignedDuration>().ok().and_then(|time| time.try_into().ok()),
    };
    time.ok_or(NoDuration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_units() {
        for (text, millis) in [
            ("5m", 300_000),
            ("30s", 30_000),
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("1h 30m", 5_400_000),
            ("1.5s", 1_500),
            ("90", 90_000),
            ("0.5", 500),
            (" 2 ", 2_000),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert!(parse("1e18").is_ok());
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "-1", "-5m", "5m ago", "nan", "inf", "1e300", "m", "5 apples", "2d", "1y"]
        {
            assert_eq!(parse(text), Err(NoDuration), "{text}");
        }
    }
}
