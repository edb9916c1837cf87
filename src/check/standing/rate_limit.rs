//! The form of 429: status, errcode, `Retry-After` and `retry_after_ms`.
use super::{Observations, miss};
use crate::case::matcher::shown;
use crate::http::message::Response;
use crate::model::release::Listed;
use crate::requirements::Rule;
use serde_json::Value;

pub(super) fn rate_limit(
    sheet: &mut Observations,
    listed: &Listed,
    response: &Response,
    described: bool,
) {
    let errcode = response.text_at("/errcode");
    let says_limited = errcode == Some("M_LIMIT_EXCEEDED");
    if response.status != 429 && !says_limited {
        return;
    }
    sheet.check(Rule::RateLimitStatus, response.status == 429, "status", "status 429", &|| {
        format!("status {}", response.status)
    });
    if response.status != 429 {
        return;
    }
    sheet.check(Rule::RateLimitErrcode, says_limited, "/errcode", "\"M_LIMIT_EXCEEDED\"", &|| {
        errcode.map_or("absent".to_owned(), |code| format!("{code:?}"))
    });
    retry_after(sheet, listed, response);
    retry_after_ms_range(sheet, response);
    if !described {
        retry_after_ms_type(sheet, response);
    }
}

fn retry_after(sheet: &mut Observations, listed: &Listed, response: &Response) {
    const PLACE: &str = "header Retry-After";
    let header = response.header("retry-after");
    let in_body = response.json().ok().and_then(|body| body.get("retry_after_ms"));
    let in_body = in_body.filter(|value| !value.is_null());
    if let Some(rule) = sheet.register.rule(Rule::RetryAfterPresent)
        && rule.applies(listed)
    {
        sheet.check(Rule::RetryAfterPresent, header.is_some(), PLACE, "present", &|| {
            "absent".to_owned()
        });
    }
    if let Some(value) = &header {
        let seconds = value.trim().parse::<u64>().ok();
        let digits = !value.trim().is_empty() && value.trim().bytes().all(|b| b.is_ascii_digit());
        let ms = in_body.and_then(Value::as_u64);
        // The same number in both units is no rounding: the header was written in milliseconds.
        let unit_missed = seconds.is_some() && seconds == ms && ms > Some(1000);
        let date = httpdate::parse_http_date(value.trim()).is_ok();
        let fits = (digits || date) && !unit_missed;
        const LONGEST: u64 = 10_000;
        let doubtful = digits && seconds.is_none_or(|seconds| seconds > LONGEST);
        if fits && doubtful {
            let found = miss(PLACE, "seconds", format!("{value:?}, which looks like milliseconds"));
            sheet.note_mildly(Rule::RetryAfterGrammar, Some(found), true);
        } else {
            sheet.check(Rule::RetryAfterGrammar, fits, PLACE, "seconds or an HTTP date", &|| {
                format!("{value:?}")
            });
        }
        if let (Some(seconds), Some(ms)) = (seconds, ms) {
            let fits = seconds.saturating_mul(1000).abs_diff(ms) <= 1000;
            sheet.check(
                Rule::RateLimitConsistent,
                fits,
                PLACE,
                &format!("the {ms} ms of the body, rounded to seconds"),
                &|| format!("{seconds} s"),
            );
        }
    }
    sheet.check(
        Rule::RetryAfterMsPresent,
        in_body.is_some(),
        "/retry_after_ms",
        "present",
        &|| "absent".to_owned(),
    );
}

fn retry_after_ms_range(sheet: &mut Observations, response: &Response) {
    let value = response.json().ok().and_then(|body| body.get("retry_after_ms"));
    let Some(number) = value.and_then(Value::as_f64) else { return };
    sheet.check(Rule::RetryAfterMsRange, number >= 0.0, "/retry_after_ms", "0 or more", &|| {
        shown(value)
    });
}

fn retry_after_ms_type(sheet: &mut Observations, response: &Response) {
    let Some(value) = response.json().ok().and_then(|body| body.get("retry_after_ms")) else {
        return;
    };
    let fits = value.is_i64()
        || value.is_u64()
        || value.as_f64().is_some_and(|number| number.fract() == 0.0);
    let found = (!fits).then(|| miss("/retry_after_ms", "an integer", shown(Some(value))));
    sheet.note_mildly(Rule::RetryAfterMsType, found, value.is_null());
}

#[cfg(test)]
mod tests {
    use crate::check::standing::{Context, observe};
    use crate::http::message::{Exchange, Request, Response};
    use crate::model::release::Listed;
    use crate::requirements::Register;
    use crate::spec::Spec;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn nobody_can_wait_for_less_than_no_time() {
        let (register, spec) = (Register::bundled().unwrap(), Spec::bundled_v1().unwrap());
        let listed = Listed::new(["v1.11"]);
        let context = Context { register: &register, spec: &spec, listed: &listed };
        for (wait, fits) in [(json!(0), true), (json!(2500), true), (json!(-1), false)] {
            let body = json!({"errcode": "M_LIMIT_EXCEEDED", "error": "", "retry_after_ms": wait});
            let exchange = Exchange {
                request: Request::new(Some("login"), "POST", "/_matrix/client/v3/login"),
                url: String::new(),
                sent_headers: Vec::new(),
                result: Ok(Response::new(429, Vec::new(), body.to_string().into_bytes(), false)),
                duration: Duration::ZERO,
                shared: false,
            };
            let seen = observe(context, &exchange);
            let id = "rate_limit.retry_after_ms.range";
            let seen = seen.iter().find(|one| one.requirement.id == id).unwrap();
            assert_eq!(seen.miss.is_none(), fits, "{wait}");
        }
    }
}
