use super::*;
use crate::http::message::Request;
use crate::model::reason::ReasonCode;
use serde_json::json;

fn limited(retry_after: Option<&str>) -> Response {
    let header = retry_after.map(|value| ("retry-after".to_owned(), value.to_owned()));
    Response::new(429, header.into_iter().collect(), b"{}".to_vec(), false)
}

fn ok() -> Response {
    Response::new(200, Vec::new(), b"{}".to_vec(), false)
}

fn by(user: &str) -> Bucket {
    Bucket::of(&Request::new(Some("x"), "POST", "/x")).asked_by(Some(user))
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_when_the_budget_does() {
    let limits = RateLimits::new(Duration::from_secs(5));
    let login = |body| {
        Bucket::of(&Request::new(Some("login"), "POST", "/_matrix/client/v3/login").json(&body))
    };
    let good = login(json!({"type": "m.login.password"}));
    let whoami = Bucket::of(&Request::new(None, "GET", "/w"));
    limits.hit(&good, &limited(Some("3")), Instant::now());
    for free in [&whoami, &login(json!({})), &good] {
        assert!(limits.admit(free, Patience::Full).await.is_ok());
    }
    limits.hit(&good, &limited(Some("3")), Instant::now());
    let refused = limits.admit(&good, Patience::Full).await;
    assert_eq!(refused.map_err(|reason| reason.code()).err(), Some(ReasonCode::RateLimited));
    let hits = limits.hits();
    assert_eq!((hits[0].count, hits[0].waited_ms), (2, 3000));
}

#[tokio::test(start_paused = true)]
async fn brief_patience_takes_a_short_wait_and_leaves_a_long_one_to_others() {
    let limits = RateLimits::new(Duration::from_secs(600));
    limits.hit(&by("@a:x"), &limited(Some("4")), Instant::now());
    assert!(limits.admit(&by("@a:x"), Patience::Brief).await.is_ok());
    limits.hit(&by("@a:x"), &limited(Some("60")), Instant::now());
    assert!(limits.admit(&by("@a:x"), Patience::Brief).await.is_err());
    assert!(limits.admit(&by("@a:x"), Patience::Full).await.is_ok());
}

/// What happens to whom, and what it says of the limit.
#[tokio::test(start_paused = true)]
async fn whom_a_limit_applies_to_is_seen_by_what_becomes_of_another_user() {
    use Scope::{PerUser, Shared, Unknown};
    let (a, b) = ("@a:x", "@b:x");
    // (who, whether served) in a row.
    let table: [(&[(&str, bool)], Scope); 6] = [
        (&[(a, true), (a, false)], Unknown),
        (&[(a, true), (a, false), (b, true)], PerUser),
        (&[(a, true), (a, false), (b, false)], Shared),
        // A limit of the own.
        (&[(b, true), (a, false), (b, false)], Unknown),
        (&[(b, true), (a, false), (b, false), ("@c:x", false)], Shared),
        (&[(a, false), (b, true), (b, false), ("@c:x", false)], PerUser),
    ];
    for (row, scope) in table {
        let limits = RateLimits::new(Duration::ZERO);
        for (user, is_served) in row {
            tokio::time::advance(Duration::from_millis(10)).await;
            let admitted = Instant::now();
            match is_served {
                true => limits.served(&by(user), &ok(), admitted),
                false => limits.hit(&by(user), &limited(Some("60")), admitted),
            }
        }
        assert_eq!(limits.scope(&by(a)), scope, "{row:?}");
        let new = limits.admit(&by("@new:x"), Patience::Full).await;
        assert_eq!(new.is_err(), scope == Shared, "{row:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_what_was_sent_before_the_limit_says_nothing_of_its_scope() {
    let limits = RateLimits::new(Duration::ZERO);
    let before = Instant::now();
    tokio::time::advance(Duration::from_millis(10)).await;
    limits.hit(&by("@a:x"), &limited(Some("60")), Instant::now());
    tokio::time::advance(Duration::from_millis(10)).await;
    limits.served(&by("@b:x"), &ok(), before);
    assert_eq!(limits.scope(&by("@a:x")), Scope::Unknown);
    let refused = Response::new(401, Vec::new(), b"{}".to_vec(), false);
    limits.served(&by("@b:x"), &refused, Instant::now());
    assert_eq!(limits.scope(&by("@a:x")), Scope::Unknown);
}

#[tokio::test(start_paused = true)]
async fn waits_are_told_as_they_begin_and_end() {
    let limits = RateLimits::new(Duration::from_secs(60));
    let mut waits = limits.waits().unwrap();
    assert!(limits.waits().is_none());
    limits.hit(&by("@a:x"), &limited(Some("20")), Instant::now());
    assert!(limits.admit(&by("@a:x"), Patience::Full).await.is_ok());
    let (number, begun) = waits.try_recv().unwrap();
    let begun = begun.unwrap();
    let cause = WaitCause::Limit("x".to_owned());
    assert_eq!((begun.cause, begun.wait), (cause, Duration::from_secs(20)));
    assert_eq!(waits.try_recv().unwrap(), (number, None));
}

#[tokio::test(start_paused = true)]
async fn a_429_without_a_hint_waits_longer_each_time_and_is_recorded_as_such() {
    let limits = RateLimits::new(Duration::from_secs(60));
    let began = Instant::now();
    for _ in 0..3 {
        limits.hit(&by("@a:x"), &limited(None), Instant::now());
        assert!(limits.admit(&by("@a:x"), Patience::Full).await.is_ok());
    }
    assert_eq!(began.elapsed().as_secs(), 7);
    assert_eq!(limits.hits()[0].retry_after_ms, 0);
    let series = limits.series();
    assert!(series[0].events.iter().all(|event| event.kind == LimitEventKind::Limited(None)));
}

#[tokio::test(start_paused = true)]
async fn waits_of_cases_share_the_budget_and_count_once_where_they_overlap() {
    let limits = RateLimits::new(Duration::from_secs(30));
    let mut told = limits.waits().unwrap();
    let began = Instant::now();
    let long = limits.pay("long", Duration::from_secs(20)).unwrap();
    let short = limits.pay("short", Duration::from_secs(10)).unwrap();
    let causes = [told.recv().await, told.recv().await].map(|one| one.unwrap().1.unwrap().cause);
    assert_eq!(causes, ["long", "short"].map(|case| WaitCause::Case(case.to_owned())));
    short.over().await;
    assert_eq!(began.elapsed().as_secs(), 10);
    // Ten more are paid already.
    let refused = limits.pay("third", Duration::from_secs(21)).unwrap_err();
    assert_eq!(refused, Reason::WaitTooLong { wait: 21, spent: 20, budget: 30 });
    assert!(limits.pay("third", Duration::from_secs(20)).is_ok());
    long.over().await;
    assert_eq!(began.elapsed().as_secs(), 20);
    assert!(limits.pay("for ever", Duration::MAX).is_err());
}
