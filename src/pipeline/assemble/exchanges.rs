//! Exchanges as a report shows them: cut, with secrets replaced where they are cut.
use super::Parts;
use crate::check::tally::exchange_id;
use crate::http::message::{Exchange, Received};
use crate::model::run::{Header, RecordedExchange, RecordedRequest, RecordedResponse};
use crate::redact::{Redactor, names_in};

/// How much of a body stands in a report, in bytes.
const LONGEST_SHOWN: usize = 16 * 1024;
/// How much of all bodies together, in bytes: a report is rendered in memory, several times over.
const ALL_SHOWN: usize = 8 * 1024 * 1024;

/// How exchanges are shown.
#[derive(Clone, Copy)]
pub(super) struct View<'r> {
    redactor: &'r Redactor,
    longest: usize,
}

impl<'r> View<'r> {
    /// All exchanges of a run share the room that there is for bodies.
    pub(super) fn of(parts: &Parts<'_>, redactor: &'r Redactor) -> View<'r> {
        let longest = (ALL_SHOWN / every_exchange(parts).count().max(1)).min(LONGEST_SHOWN);
        View { redactor, longest }
    }
}

/// Every exchange of the run with its id, once: those outside cases first, then by case.
pub(super) fn every_exchange<'p>(
    parts: &'p Parts<'_>,
) -> impl Iterator<Item = (String, &'p Exchange)> {
    let support = parts.outcome.support.iter().map(|(name, exchanges)| (name.as_str(), exchanges));
    let cases = parts.plan.cases.iter().zip(&parts.outcome.results);
    let of_cases = cases.map(|(planned, result)| (planned.case.id.as_str(), &*result.exchanges));
    support.chain(of_cases).flat_map(|(owner, exchanges)| {
        let named = exchanges.iter().enumerate();
        named
            .filter(|(_, exchanged)| !exchanged.shared)
            .map(move |(index, exchanged)| (exchange_id(owner, index), exchanged))
    })
}

pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn shown(
    owner: &str,
    exchanges: Vec<Exchange>,
    view: View<'_>,
) -> Vec<RecordedExchange> {
    exchanges
        .into_iter()
        .enumerate()
        .map(|(index, exchanged)| shown_exchange(exchange_id(owner, index), exchanged, view))
        .collect()
}

fn shown_exchange(id: String, exchanged: Exchange, view: View<'_>) -> RecordedExchange {
    let headers = |pairs: Vec<(String, String)>| {
        let header =
            |(name, value): (String, String)| Header { name: name.into(), value: value.into() };
        pairs.into_iter().map(header).collect()
    };
    let (response, trouble) = match exchanged.result {
        Ok(answer) => {
            let answer = answer.into_received();
            let (body, truncated) = shown_body(&answer, view);
            let response = RecordedResponse {
                status: answer.status,
                headers: headers(answer.headers),
                body: body.into(),
                truncated,
            };
            (Some(response), None)
        }
        Err(trouble) => (None, Some(trouble.text.into())),
    };
    let body = exchanged.request.body.map(|body| String::from_utf8_lossy(&body).into());
    RecordedExchange {
        id,
        operation: exchanged.request.operation,
        request: RecordedRequest {
            method: exchanged.request.method.into(),
            url: exchanged.url.into(),
            headers: headers(exchanged.sent_headers),
            body,
        },
        response,
        trouble,
        duration_ms: millis(exchanged.duration),
        shared: exchanged.shared,
    }
}

/// As much of a body as is shown, and whether there is more. Secrets go before it is cut: half a
/// secret would not be found afterwards.
fn shown_body(answer: &Received, view: View<'_>) -> (String, bool) {
    let body = &answer.body;
    if body.len() <= view.longest && !answer.truncated {
        return (String::from_utf8_lossy(body).into_owned(), false);
    }
    let mut text = String::from_utf8_lossy(body).into_owned();
    if answer.truncated {
        // The last secret may be there in part.
        text.push('…');
    }
    let mut text = view.redactor.text(&text);
    if answer.truncated {
        text.pop();
    }
    let end = (0..=text.len().min(view.longest)).rev().find(|at| text.is_char_boundary(*at));
    let end = end.unwrap_or_default();
    let halved = |(from, to): &(usize, usize)| *from < end && end < *to;
    // Half a name may be a secret by its looks.
    let end = names_in(&text).into_iter().find(halved).map_or(end, |(from, _)| from);
    text.truncate(end);
    (text, true)
}
