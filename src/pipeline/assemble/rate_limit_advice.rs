//! What would have been needed to decide what a rate limit left open. Pure.
//!
//! A limiter refills one by one (token bucket) or all at once (fixed window); which of them it is shows only where
//! requests were let through after a 429.
use crate::http::rate_limit::{LimitEvent, LimitEventKind, LimitSeries, Scope};
use crate::model::run::LimitHit;
use std::time::Duration;

/// The setting of a server that lifts a limit.
struct Setting {
    /// The beginning of its `Server` header.
    server: &'static str,
    operations: &'static [&'static str],
    /// Nothing if it has none.
    setting: Option<&'static str>,
}

const SETTINGS: [Setting; 5] = [
    Setting {
        server: "Synapse",
        operations: &["login"],
        setting: Some(
            "rc_login.address, rc_login.account and rc_login.failed_attempts in homeserver.yaml",
        ),
    },
    Setting {
        server: "Synapse",
        operations: &["register"],
        setting: Some("rc_registration in homeserver.yaml"),
    },
    Setting { server: "Synapse", operations: &["generateLoginToken"], setting: None },
    // They ask for interactive auth, where wrong passwords count.
    Setting {
        server: "Synapse",
        operations: &["deleteDevice", "deleteDevices", "changePassword", "deactivateAccount"],
        setting: Some("rc_login.failed_attempts in homeserver.yaml"),
    },
    Setting {
        server: "tuwunel",
        operations: &["login"],
        setting: Some(
            "per_second under [global.rate_limiting.login.account] and the other tables of login (0 lifts it)",
        ),
    },
];

/// One sentence for each limit that blocked something.
///
/// `series`: the requests that limits applied to. `logins`: how many logins the blocked cases would
/// have sent. `server`: its `Server` header; `can_make`: whether the run
/// can create accounts.
pub fn of_limits(
    hits: &[LimitHit],
    series: &[LimitSeries],
    logins: usize,
    (server, can_make): (Option<&str>, bool),
) -> Vec<String> {
    let blocking = hits.iter().filter(|hit| hit.blocked > 0);
    let of_limit = |hit: &LimitHit| {
        let requests = if hit.operation == "login" { logins } else { hit.blocked };
        let told = told_most(series, hit);
        let lasts = lasts(hit, told, requests.max(1));
        let own = match told.map(|series| series.scope) {
            Some(Scope::PerUser) if !can_make => {
                "; the limit is each user's own, so more accounts decide more"
            }
            Some(Scope::PerUser | Scope::Shared | Scope::Unknown) | None => "",
        };
        let noun = if requests == 1 { "request" } else { "requests" };
        let lift = lift(hit.operation.as_ref(), server);
        format!(
            "what the limit on {} blocked needs {requests} more {noun}; {lasts}{own}; {lift}",
            hit.operation
        )
    };
    blocking.map(of_limit).collect()
}

/// The series of a limit that says most of it: what was let through counts, then the 429s.
fn told_most<'s>(series: &'s [LimitSeries], hit: &LimitHit) -> Option<&'s LimitSeries> {
    let told = |series: &&LimitSeries| {
        let events = series.events.iter();
        let served = events.filter(|event| event.kind == LimitEventKind::Served).count();
        (served, series.events.len())
    };
    series.iter().filter(|series| hit.operation == *series.operation.as_str()).max_by_key(told)
}

fn lift(operation: &str, server: Option<&str>) -> String {
    let is = |setting: &&Setting| {
        let head = server.and_then(|server| server.get(..setting.server.len()));
        head.is_some_and(|head| head.eq_ignore_ascii_case(setting.server))
            && setting.operations.contains(&operation)
    };
    match SETTINGS.iter().find(is) {
        Some(Setting { setting: Some(setting), .. }) => format!("or raise {setting}"),
        Some(Setting { setting: None, server, .. }) => {
            format!("no setting of {server} lifts this limit")
        }
        None => {
            "or raise the server's own limit (docs/limits.md names the settings that are known)"
                .to_owned()
        }
    }
}

/// How a limiter lets requests through again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refill {
    OneByOne {
        every: Duration,
    },
    AllAtOnce {
        every: Duration,
        count: usize,
    },
    /// One of both: that was not seen. `count` were let through before the first 429.
    Either {
        every: Duration,
        count: usize,
    },
    /// The server never said how long to wait. `after` is the longest time after which one was let
    /// through all the same, `waited` the longest after which none was.
    Unsaid {
        after: Option<Duration>,
        waited: Duration,
        tries: usize,
    },
}

/// The refusals in a row, and what was let through behind them.
struct Episode {
    first: Duration,
    last: Duration,
    /// The wait that the last refusal gave.
    asked: Option<Duration>,
    served: Vec<Duration>,
    /// True if the next refusal was seen.
    is_over: bool,
}

fn episodes(events: &[LimitEvent]) -> Vec<Episode> {
    let mut episodes: Vec<Episode> = Vec::new();
    for event in events {
        match (event.kind, episodes.last_mut()) {
            (LimitEventKind::Served, Some(episode)) => episode.served.push(event.at),
            // Before the first refusal.
            (LimitEventKind::Served, None) => {}
            (LimitEventKind::Limited(asked), Some(episode)) if episode.served.is_empty() => {
                (episode.last, episode.asked) = (event.at, asked);
            }
            (LimitEventKind::Limited(asked), last) => {
                if let Some(episode) = last {
                    episode.is_over = true;
                }
                let (first, last) = (event.at, event.at);
                episodes.push(Episode { first, last, asked, served: Vec::new(), is_over: false });
            }
        }
    }
    episodes
}

impl Episode {
    /// Returns true if so many were let through in so little time that they came back at once.
    fn is_refilled_at_once(&self, every: Duration) -> bool {
        let (Some(asked), Some(until)) = (self.asked, self.served.last()) else { return false };
        let free = until.saturating_sub(self.last.saturating_add(asked));
        let one_by_one = 1 + free.as_millis().checked_div(every.as_millis()).unwrap_or(0);
        self.served.len() as u128 > one_by_one
    }

    /// Returns true if one was let through and the next one not.
    fn is_refilled_by_one(&self) -> bool {
        self.is_over && self.served.len() == 1
    }
}

fn refill(events: &[LimitEvent]) -> Refill {
    let at_first = events.iter().take_while(|event| event.kind == LimitEventKind::Served).count();
    let asked = events.iter().filter_map(|event| match event.kind {
        LimitEventKind::Limited(asked) => asked,
        LimitEventKind::Served => None,
    });
    let episodes = episodes(events);
    let Some(longest) = asked.max() else { return unsaid(events, &episodes) };
    let every = longest.max(whole_period(events).unwrap_or_default());
    let at_once = episodes.iter().filter(|episode| episode.is_refilled_at_once(every));
    let count = at_once.map(|episode| episode.served.len()).max();
    if let Some(count) = count {
        return Refill::AllAtOnce { every, count: count.max(at_first) };
    }
    if episodes.iter().any(Episode::is_refilled_by_one) || at_first == 1 {
        return Refill::OneByOne { every };
    }
    Refill::Either { every, count: at_first }
}

/// The period by the first refusal: both kinds of limiter begin it with the first request, unless one was over before.
fn whole_period(events: &[LimitEvent]) -> Option<Duration> {
    let first = events.first()?.at;
    events.iter().find_map(|event| match event.kind {
        LimitEventKind::Limited(Some(asked)) => {
            let passed = event.at.saturating_sub(first);
            (passed <= asked).then_some(passed + asked)
        }
        LimitEventKind::Limited(None) | LimitEventKind::Served => None,
    })
}

fn unsaid(events: &[LimitEvent], episodes: &[Episode]) -> Refill {
    let after =
        episodes.iter().filter_map(|one| Some(one.served.first()?.saturating_sub(one.first)));
    let waited = episodes.iter().map(|one| one.last.saturating_sub(one.first)).max();
    let tries = events.iter().filter(|event| event.kind != LimitEventKind::Served).count();
    Refill::Unsaid { after: after.max(), waited: waited.unwrap_or_default(), tries }
}

/// The time that so many requests take.
fn lasts(hit: &LimitHit, series: Option<&LimitSeries>, requests: usize) -> String {
    let hinted = Refill::OneByOne { every: Duration::from_millis(hit.retry_after_ms) };
    let refill = series.map_or(hinted, |series| refill(&series.events));
    let times = |each: Duration, count: usize| {
        each.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
    };
    let rounds = |count: usize| requests.div_ceil(count.max(1));
    let take = |time: Duration| {
        // What was waited for already is waited for again.
        let seconds = time.as_secs() + hit.waited_ms.div_ceil(1000) + 1;
        format!("{} (--max-wait {seconds})", in_words(time))
    };
    match refill {
        Refill::OneByOne { every } => {
            let all = take(times(every, requests));
            format!("the server lets one through every {}, so they take {all}", in_words(every))
        }
        Refill::AllAtOnce { every, count } => {
            let all = take(times(every, rounds(count)));
            format!("the server lets {count} through every {}, so they take {all}", in_words(every))
        }
        Refill::Either { every, count } => {
            let rounds = if count == 0 { 1 } else { rounds(count) };
            let (least, most) = (times(every, rounds), times(every, requests));
            let count = if count == 0 { "all".to_owned() } else { count.to_string() };
            if least == most {
                return format!("they take {}", take(most));
            }
            format!(
                "they take {} if the server lets {count} through every {}, and {} if it lets one through: which of \
                 both was not seen",
                take(least),
                in_words(every),
                take(most)
            )
        }
        Refill::Unsaid { after: Some(after), .. } => format!(
            "the server did not say how long to wait, and let one through after {}; so they take about {}",
            in_words(after),
            take(times(after, requests))
        ),
        Refill::Unsaid { after: None, waited, tries } => {
            let tries = match tries {
                1 => "1 try was refused".to_owned(),
                tries => format!("{tries} tries within {} were refused", in_words(waited)),
            };
            format!(
                "the server did not say how long to wait, and {tries}: how long they take is not known"
            )
        }
    }
}

/// To the second below two minutes, to the minute below two hours, else to the hour.
fn in_words(time: Duration) -> String {
    // An answer takes its time.
    const ON_THE_WAY: f64 = 0.2;
    match (time.as_secs_f64() - ON_THE_WAY).ceil().max(1.0) {
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

    /// A series as `(second, what)`: `ok`, `no` without a hint, or the wait in seconds.
    fn series(row: &[(u64, &str)]) -> Vec<LimitEvent> {
        let event = |(at, what): &(u64, &str)| {
            let kind = match *what {
                "ok" => LimitEventKind::Served,
                "no" => LimitEventKind::Limited(None),
                wait => LimitEventKind::Limited(Some(Duration::from_secs(wait.parse().unwrap()))),
            };
            LimitEvent { at: Duration::from_secs(*at), kind }
        };
        row.iter().map(event).collect()
    }

    const OK: &str = "ok";

    #[test]
    fn a_limiter_is_known_by_what_it_lets_through_after_a_429() {
        let seconds = Duration::from_secs;
        let (every, count) = (seconds(60), 3);
        let table: [(&[(u64, &str)], Refill); 10] = [
            (&[(0, "60")], Refill::Either { every, count: 0 }),
            (&[(0, OK), (0, "60")], Refill::OneByOne { every }),
            (&[(0, OK), (0, "60"), (61, OK), (62, "60")], Refill::OneByOne { every }),
            (&[(0, OK), (0, OK), (0, OK), (0, "60")], Refill::Either { every, count }),
            (&[(0, OK), (0, OK), (0, OK), (0, "60"), (61, OK)], Refill::Either { every, count }),
            (&[(0, OK), (0, OK), (0, "60"), (61, OK), (62, "60")], Refill::OneByOne { every }),
            (
                &[(0, OK), (0, OK), (0, OK), (0, "60"), (61, OK), (62, OK), (63, "58")],
                Refill::AllAtOnce { every, count },
            ),
            (
                &[(0, "60"), (61, OK), (62, OK), (62, OK), (63, "58")],
                Refill::AllAtOnce { every, count },
            ),
            // Enough time for one by one: three periods.
            (
                &[(0, OK), (0, OK), (0, OK), (0, "60"), (200, OK), (200, OK), (200, OK)],
                Refill::Either { every, count },
            ),
            // The wait shrinks while nothing is let through.
            (&[(0, OK), (0, OK), (0, OK), (0, "60"), (31, "30")], Refill::Either { every, count }),
        ];
        for (row, expected) in table {
            assert_eq!(refill(&series(row)), expected, "{row:?}");
        }
        let unsaid = [
            (series(&[(0, OK), (1, "no"), (2, "no"), (4, "no")]), None, 3, 3),
            (series(&[(1, "no"), (2, "no"), (4, OK)]), Some(seconds(3)), 1, 2),
        ];
        for (events, after, waited, tries) in unsaid {
            let waited = seconds(waited);
            assert_eq!(refill(&events), Refill::Unsaid { after, waited, tries });
        }
    }

    fn note(events: &[(u64, &str)], logins: usize, server: Option<&str>) -> String {
        let of = LimitSeries {
            operation: "login".to_owned(),
            scope: Scope::Shared,
            events: series(events),
        };
        let mut notes =
            of_limits(&[hit("login", 20), hit("register", 0)], &[of], logins, (server, false));
        assert_eq!(notes.len(), 1);
        notes.remove(0)
    }

    #[test]
    fn a_limit_that_blocked_says_what_would_be_needed() {
        let five_and_one: [(u64, &str); 6] =
            [(0, OK), (0, OK), (0, OK), (0, OK), (0, OK), (0, "328")];
        let unseen = note(&five_and_one, 44, Some("Synapse/1.163.2"));
        assert_eq!(
            unseen,
            "what the limit on login blocked needs 44 more requests; they take 50 min (--max-wait 2953) if the \
             server lets 5 through every 6 min, and 5 h (--max-wait 14433) if it lets one through: which of both was \
             not seen; or raise rc_login.address, rc_login.account and rc_login.failed_attempts in homeserver.yaml"
        );
        let window: Vec<_> =
            five_and_one.into_iter().chain([(330, OK), (330, OK), (331, OK)]).collect();
        let window = note(&window, 33, None);
        assert!(window.contains("lets 5 through every 6 min, so they take 39 min"), "{window}");
        assert!(window.contains("docs/limits.md"), "{window}");
        let one_by_one: Vec<_> =
            five_and_one.into_iter().chain([(330, OK), (331, "328")]).collect();
        let one_by_one = note(&one_by_one, 33, None);
        assert!(
            one_by_one.contains("lets one through every 6 min, so they take 4 h"),
            "{one_by_one}"
        );
        let unsaid = note(&[(0, "no"), (1, "no"), (3, "no")], 1, None);
        assert!(
            unsaid.contains("needs 1 more request; the server did not say how long to wait"),
            "{unsaid}"
        );
        assert!(
            unsaid.contains("3 tries within 3 s were refused: how long they take is not known"),
            "{unsaid}"
        );
    }

    #[test]
    fn the_advice_names_the_setting_or_says_that_there_is_none() {
        let table = [
            ("login", Some("Synapse/1"), "or raise rc_login.address"),
            ("register", Some("Synapse/1"), "or raise rc_registration"),
            ("deleteDevice", Some("Synapse/1"), "or raise rc_login.failed_attempts"),
            ("generateLoginToken", Some("Synapse/1"), "no setting of Synapse lifts this limit"),
            ("refresh", Some("Synapse/1"), "or raise the server's own limit"),
            ("login", Some("Tuwunel 1"), "or raise per_second"),
            ("login", None, "or raise the server's own limit"),
        ];
        for (operation, server, expected) in table {
            let text = of_limits(&[hit(operation, 2)], &[], 2, (server, false)).remove(0);
            assert!(text.contains(expected), "{operation}: {text}");
            let says_none = text.contains("no setting");
            assert_eq!(says_none, !text.contains("or raise"), "{text}");
        }
    }

    #[test]
    fn a_limit_of_each_user_is_met_with_more_accounts() {
        let series = LimitSeries {
            operation: "x".to_owned(),
            scope: Scope::PerUser,
            events: series(&[(0, OK), (0, "60")]),
        };
        let text = of_limits(&[hit("x", 2)], &[series], 0, (None, false)).remove(0);
        assert!(
            text.contains("so they take 120 s") || text.contains("so they take 2 min"),
            "{text}"
        );
        assert!(text.contains("each user's own, so more accounts decide more"), "{text}");
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
        // What an answer takes is no waiting.
        assert_eq!(in_words(Duration::from_millis(1001)), "1 s");
        assert_eq!(in_words(Duration::from_millis(1300)), "2 s");
    }
}
