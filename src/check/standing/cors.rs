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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::standing::{Context, observe};
    use crate::http::message::Request;
    use crate::model::release::Listed;
    use crate::requirements::Register;
    use crate::spec::Spec;
    use std::time::Duration;

    #[test]
    fn an_origin_is_let_in_by_its_own_name_or_with_all() {
        let (register, spec) = (Register::bundled().unwrap(), Spec::bundled_v1().unwrap());
        let listed = Listed::new(["v1.11"]);
        let context = Context { register: &register, spec: &spec, listed: &listed };
        for (sent, allowed, fits) in [
            (None, ORIGIN, true),
            (None, "*", true),
            (None, "vector://vector", false),
            (Some("vector://vector"), "vector://vector", true),
            (Some("null"), "*", true),
            (Some("null"), ORIGIN, false),
        ] {
            let mut request = Request::new(Some("getVersions"), "GET", "/_matrix/client/versions");
            request.headers.extend(sent.map(|origin| ("origin".to_owned(), origin.to_owned())));
            let headers = vec![("access-control-allow-origin".to_owned(), allowed.to_owned())];
            let exchange = Exchange {
                request,
                url: String::new(),
                sent_headers: Vec::new(),
                result: Ok(Response::new(200, headers, b"{}".to_vec(), false)),
                duration: Duration::ZERO,
                shared: false,
            };
            let seen = observe(context, &exchange);
            let seen = seen.iter().find(|one| one.requirement.id == "cors.allow_origin").unwrap();
            assert_eq!(seen.miss.is_none(), fits, "{sent:?} {allowed}");
        }
    }
}
