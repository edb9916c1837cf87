//! Detection of a lost target, so that a server that goes away or changes ends the run with one
//! reason instead of a finding for each case.
use crate::http::message::{Exchange, Request, Response, TransportError, TransportErrorKind};
use crate::http::rate_limit::Bucket;
use crate::model::reason::Reason;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Requests in a row without a response that end a run, even if the control requests have one.
const IN_A_ROW: usize = 10;
/// Requests that were left without a response that end a run: each may take the whole `--timeout`.
const ALL_TOGETHER: usize = 30;
/// Operations without a response, of which fewer do not end a run: each may hang by itself.
const OPERATIONS: usize = 3;
/// Confirmed silences after which an operation that answered nothing in between is known to hang.
const SILENCES: usize = 2;

/// A request that the probe saw answered as only a homeserver answers it.
#[derive(Debug, Clone)]
pub struct Control {
    /// The request, without credentials.
    pub request: Request,
    /// The member of the answer that is a list.
    pub list: &'static str,
}

impl Control {
    /// Returns true for the same kind of response as before: success, with the list.
    pub fn is_met_by(&self, response: &Response) -> bool {
        response.is_success() && has_list(response, self.list)
    }
}

/// Returns true if the response body has a list of this name.
pub fn has_list(response: &Response, name: &str) -> bool {
    response.json().is_ok_and(|body| body.get(name).is_some_and(Value::is_array))
}

/// The run stopped sending requests.
#[derive(Debug, Clone)]
pub struct TargetLost {
    /// For everything that is not asked.
    pub reason: Reason,
    /// The changed response to a control request. The same response to another request proves
    /// nothing about the homeserver.
    pub evidence: Option<Response>,
}

#[derive(Debug, Default)]
struct LivenessState {
    in_a_row: Silence,
    all_together: Silence,
    /// Confirmed silences in a row of each operation, well-formed requests apart from others.
    hanging: BTreeMap<(String, bool), usize>,
    lost: Option<TargetLost>,
    is_back: bool,
}

/// Requests without a response.
#[derive(Debug, Default)]
struct Silence {
    requests: usize,
    operations: BTreeSet<String>,
}

impl Silence {
    fn add(&mut self, operation: &str) {
        self.requests += 1;
        self.operations.insert(operation.to_owned());
    }

    fn lasts(&self, most: usize) -> bool {
        self.requests >= most && self.operations.len() >= OPERATIONS
    }
}

impl LivenessState {
    fn stop(&mut self, why: &str) {
        let reason = Reason::TargetLost(format!("the run stopped sending: {why}"));
        self.lost.get_or_insert(TargetLost { reason, evidence: None });
    }
}

/// The signs of life of one target.
#[derive(Debug, Default)]
pub struct LivenessMonitor {
    controls: OnceLock<Vec<Control>>,
    state: Mutex<LivenessState>,
}

impl LivenessMonitor {
    /// Remembers what the probe saw answered rightly; the first call counts.
    pub fn remember(&self, controls: Vec<Control>) {
        let _ = self.controls.set(controls);
    }

    /// The control requests.
    pub fn controls(&self) -> &[Control] {
        self.controls.get().map_or(&[], Vec::as_slice)
    }

    /// Forgets the silence so far: that of a target that is still starting says nothing of the run.
    pub fn begin_anew(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = LivenessState::default();
    }

    /// Returns the reason if the run stopped sending.
    pub fn lost(&self) -> Option<TargetLost> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).lost.clone()
    }

    /// Returns the reason if nothing may be sent now.
    pub fn stops(&self) -> Option<TargetLost> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lost.clone().filter(|_| !state.is_back)
    }

    /// Takes note of what came of a request, other than a control. Only well-formed requests count:
    /// that others are dropped is for the cases to find.
    pub fn note(&self, request: &Request, result: &Result<Response, TransportError>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(trouble) = result else {
            state.in_a_row = Silence::default();
            state.hanging.remove(&kind(request));
            return;
        };
        if trouble.kind == TransportErrorKind::Request || !is_well_formed(request) {
            return;
        }
        let (operation, _) = kind(request);
        state.in_a_row.add(&operation);
        // A connection that is closed costs no time.
        if trouble.kind != TransportErrorKind::Closed {
            state.all_together.add(&operation);
        }
        let text = if state.in_a_row.lasts(IN_A_ROW) {
            format!("{} requests in a row got no response", state.in_a_row.requests)
        } else if state.all_together.lasts(ALL_TOGETHER) {
            format!("{} requests got no response", state.all_together.requests)
        } else {
            return;
        };
        state.is_back = false;
        state.stop(&format!("{text} (the last: {})", trouble.text));
    }

    /// A request had no answer on two connections, while another one had.
    pub fn hangs(&self, request: &Request) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state.hanging.entry(kind(request)).or_default() += 1;
    }

    /// Returns true if requests like this one are known to have no answer.
    pub fn is_known_to_hang(&self, request: &Request) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.hanging.get(&kind(request)).is_some_and(|silences| *silences >= SILENCES)
    }

    /// Nothing more is to be asked, for this reason.
    pub fn stop(&self, why: &str) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stop(why);
    }

    /// The target is no longer what it was: this came of a control request.
    pub fn lose(&self, control: &Exchange) -> TargetLost {
        let (text, evidence) = match &control.result {
            Ok(response) => {
                let words = crate::http::message::words(response);
                let text = format!("GET {} is now answered {words}", control.request.path);
                (text, Some(response.clone()))
            }
            Err(trouble) => (format!("GET {}: {}", control.request.path, trouble.text), None),
        };
        let text = format!("the target went away or changed while it was tested: {text}");
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lost.get_or_insert(TargetLost { reason: Reason::TargetLost(text), evidence }).clone()
    }

    /// The target is there again, for the clean-up: that the run stopped sending stays true.
    pub fn is_back(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_back = true;
    }
}

fn kind(request: &Request) -> (String, bool) {
    (Bucket::of(request).group.operation, is_well_formed(request))
}

/// Returns true for a request that no server may leave without an answer for its form: of a known
/// operation, and with a JSON object where it has a body or should.
fn is_well_formed(request: &Request) -> bool {
    let has_body = request.body.is_some();
    let is_object = request.json_body().is_some_and(|body| body.is_object());
    request.operation.is_some() && (is_object || !has_body && request.method == "GET")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence() -> Result<Response, TransportError> {
        Err(TransportError {
            kind: TransportErrorKind::Timeout,
            text: "no whole answer".to_owned(),
        })
    }

    fn response(status: u16, body: &str) -> Response {
        Response::new(status, Vec::new(), body.as_bytes().to_vec(), false)
    }

    /// The n-th of requests to three operations.
    fn request(n: usize) -> Request {
        let operation = ["getDevices", "getTokenOwner", "getCapabilities"][n % 3];
        Request::new(Some(operation), "GET", "/x")
    }

    #[test]
    fn silence_in_a_row_ends_it_and_an_answer_begins_the_row_anew() {
        let liveness = LivenessMonitor::default();
        (1..IN_A_ROW).for_each(|n| liveness.note(&request(n), &silence()));
        liveness.note(&request(0), &Ok(response(500, "")));
        (1..IN_A_ROW).for_each(|n| liveness.note(&request(n), &silence()));
        assert!(liveness.stops().is_none());
        liveness.note(&request(0), &silence());
        let lost = liveness.stops().unwrap();
        let Reason::TargetLost(why) = lost.reason else { panic!("{lost:?}") };
        assert!(why.contains("10 requests in a row"), "{why}");
    }

    #[test]
    fn connections_closed_now_and_then_end_nothing() {
        let liveness = LivenessMonitor::default();
        let closed =
            || Err(TransportError { kind: TransportErrorKind::Closed, text: String::new() });
        for n in 0..3 * ALL_TOGETHER {
            liveness.note(&request(n), &closed());
            liveness.note(&request(n), &Ok(response(200, "{}")));
        }
        assert!(liveness.stops().is_none());
    }

    #[test]
    fn silence_while_the_target_starts_counts_for_nothing() {
        let liveness = LivenessMonitor::default();
        (0..IN_A_ROW).for_each(|n| liveness.note(&request(n), &silence()));
        liveness.begin_anew();
        assert!(liveness.stops().is_none());
        (1..IN_A_ROW).for_each(|n| liveness.note(&request(n), &silence()));
        assert!(liveness.stops().is_none());
    }

    #[test]
    fn silence_now_and_then_ends_it_too() {
        let liveness = LivenessMonitor::default();
        for n in 0..ALL_TOGETHER {
            assert!(liveness.stops().is_none());
            liveness.note(&request(n), &silence());
            liveness.note(&request(n), &Ok(response(200, "{}")));
        }
        assert!(liveness.stops().is_some());
    }

    #[test]
    fn silence_of_one_operation_and_of_malformed_requests_does_not_end_it() {
        let bodies: [Option<&[u8]>; 4] = [None, Some(b""), Some(b"{\"a\":"), Some(b"[]")];
        let malformed = |n: usize| {
            let mut request = Request { method: "POST".to_owned(), ..request(n) };
            request.body = bodies[n % 4].map(<[u8]>::to_vec);
            request
        };
        let liveness = LivenessMonitor::default();
        for n in 0..3 * ALL_TOGETHER {
            liveness.note(&request(0), &silence());
            liveness.note(&malformed(n), &silence());
            liveness.note(&Request::new(None, "GET", &format!("/{n}")), &silence());
        }
        assert!(liveness.stops().is_none());
    }

    #[test]
    fn an_operation_is_known_to_hang_until_it_answers() {
        let liveness = LivenessMonitor::default();
        (0..SILENCES).for_each(|_| liveness.hangs(&request(0)));
        assert!(liveness.is_known_to_hang(&request(0)) && !liveness.is_known_to_hang(&request(1)));
        liveness.note(&request(0), &Ok(response(500, "")));
        assert!(!liveness.is_known_to_hang(&request(0)));
    }

    #[test]
    fn a_target_that_is_back_is_asked_and_stays_noted() {
        let liveness = LivenessMonitor::default();
        liveness.stop("of a test");
        assert!(liveness.stops().is_some());
        liveness.is_back();
        assert!(liveness.stops().is_none());
        assert!(liveness.lost().is_some());
    }

    #[test]
    fn a_control_is_met_by_success_with_its_list_alone() {
        let request = Request::new(Some("getVersions"), "GET", "/_matrix/client/versions");
        let control = Control { request, list: "versions" };
        assert!(control.is_met_by(&response(200, r#"{"versions":[]}"#)));
        for (status, body) in [(500, r#"{"versions":[]}"#), (200, "{}"), (200, r#"{"versions":1}"#)]
        {
            assert!(!control.is_met_by(&response(status, body)), "{status} {body}");
        }
    }
}
