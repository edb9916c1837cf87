//! What would have been needed to decide what a rate limit left open. Pure.
use crate::model::run::LimitHit;
use std::time::Duration;

/// The setting that lifts a limit, of a server whose `Server` header begins with this.
struct Setting {
    server: &'static str,
    operation: &'static str,
    advice: &'static str,
}

const SETTINGS: [Setting; 4] = [
    Setting {
        server: "Synapse",
        operation: "login",
        advice: "raise rc_login.address, rc_login.account and rc_login.failed_attempts in homeserver.yaml",
    },
    Setting {
        server: "Synapse",
        operation: "register",
        advice: "raise rc_registration in homeserver.yaml",
    },
    Setting {
        server: "Synapse",
        operation: "generateLoginToken",
        advice: "no setting of Synapse lifts this one",
    },
    Setting {
        server: "tuwunel",
        operation: "login",
        advice: "set per_second = 0 under [global.rate_limiting.login.account] and the other tables of login",
    },
];

/// For servers that do not say what they are.
const ANY: &str = "raise the server's own limit (Synapse: rc_login; Dendrite: client_api.rate_limiting; \
                   others: docs/limits.md)";

/// One sentence for each limit that blocked something.
///
/// `logins`: how many logins the blocked cases would have sent. `server`: its `Server` header.
pub fn of_limits(hits: &[LimitHit], logins: usize, server: Option<&str>) -> Vec<String> {
    let blocking = hits.iter().filter(|hit| hit.blocked > 0);
    blocking.map(|hit| of_limit(hit, logins, server)).collect()
}

fn of_limit(hit: &LimitHit, logins: usize, server: Option<&str>) -> String {
    let requests = if hit.operation == "login" { logins } else { hit.blocked };
    let each = Duration::from_millis(hit.retry_after_ms);
    let all = each.saturating_mul(u32::try_from(requests).unwrap_or(u32::MAX));
    let advice = server
        .and_then(|server| {
            let is = |setting: &&Setting| {
                let head = server.get(..setting.server.len());
                head.is_some_and(|head| head.eq_ignore_ascii_case(setting.server))
                    && hit.operation == setting.operation
            };
            SETTINGS.iter().find(is)
        })
        .map_or(ANY, |setting| setting.advice);
    format!(
        "what the limit on {} blocked needs {requests} more requests; at one per {} they take {} (--max-wait {}); or {advice}",
        hit.operation,
        in_words(each),
        in_words(all),
        all.as_secs().saturating_add(1),
    )
}

/// To the second below two minutes, to the minute below two hours, else to the hour.
fn in_words(time: Duration) -> String {
    match time.as_secs_f64().ceil() {
        seconds if seconds < 120.0 => format!("{seconds} s"),
        seconds if seconds < 7200.0 => format!("{} min", (seconds / 60.0).ceil()),
        seconds => format!("{} h", (seconds / 3600.0).ceil()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(operation: &str, blocked: usize) -> LimitHit {
        let operation = operation.into();
        LimitHit { operation, count: 3, retry_after_ms: 328_000, waited_ms: 0, blocked }
    }

    #[test]
    fn a_limit_that_blocked_says_what_would_be_needed() {
        let hits = [hit("login", 20), hit("register", 0)];
        let notes = of_limits(&hits, 44, Some("Synapse/1.163.2"));
        assert_eq!(
            notes,
            ["what the limit on login blocked needs 44 more requests; at one per 6 min they take \
              5 h (--max-wait 14433); or raise rc_login.address, rc_login.account and \
              rc_login.failed_attempts in homeserver.yaml"]
        );
        assert!(of_limits(&hits, 1, None)[0].contains("docs/limits.md"));
    }

    #[test]
    fn a_setting_is_named_only_for_its_server_and_operation() {
        let advice = |operation: &str, server: &str| {
            let text = of_limits(&[hit(operation, 2)], 9, Some(server)).remove(0);
            assert!(
                text.contains(&format!("what the limit on {operation} blocked needs")),
                "{text}"
            );
            text.split_once("; or ").map(|(_, advice)| advice.to_owned()).unwrap()
        };
        assert!(advice("login", "synapse/1").contains("rc_login.address"));
        assert!(advice("register", "Synapse/1").contains("rc_registration"));
        for (operation, server) in [
            ("refresh", "Synapse/1"),
            ("register", "tuwunel 1"),
            ("login", "Dendrite"),
            ("login", "Syn"),
        ] {
            assert_eq!(advice(operation, server), ANY, "{operation} {server}");
        }
        let texts = [hit("register", 3)];
        assert!(
            of_limits(&texts, 9, None)[0].contains("needs 3 more requests"),
            "logins count for logins"
        );
    }

    #[test]
    fn times_are_told_in_the_unit_that_a_reader_counts_in() {
        for (seconds, words) in [
            (1, "1 s"),
            (119, "119 s"),
            (120, "2 min"),
            (121, "3 min"),
            (7199, "120 min"),
            (7200, "2 h"),
            (7201, "3 h"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
        assert_eq!(in_words(Duration::from_millis(1001)), "2 s");
    }
}
