//! CORS headers of actual answers; preflight is a case's.
use super::Observations;
use crate::http::message::{Exchange, ORIGIN, Response};
use crate::requirements::Rule;

pub(super) fn cors(sheet: &mut Observations, exchange: &Exchange, response: &Response) {
    let sent = exchange.request.header("origin").unwrap_or(ORIGIN);
    let origin = response.header("access-control-allow-origin");
    let rule = if response.status >= 400 { Rule::CorsError } else { Rule::CorsActual };
    sheet.check(rule, origin.is_some(), "header Access-Control-Allow-Origin", "present", &|| {
        "absent".to_owned()
    });
    if let Some(origin) = origin {
        let fits = origin == "*" || origin == sent;
        sheet.check(
            Rule::CorsOrigin,
            fits,
            "header Access-Control-Allow-Origin",
            "\"*\", or the request's Origin",
            &|| format!("{origin:?}"),
        );
    }
}
