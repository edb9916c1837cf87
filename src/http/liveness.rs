//! Detection of a lost target, so that a server that goes away or changes ends the run with one
//! reason instead of a finding for each case.
use crate::http::message::{Exchange, Request, Response, TransportError, TransportErrorKind};
use crate::model::reason::Reason;
use serde_json::Value;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Requests in a row without a response that end a run, even if the control requests have one.
const IN_A_ROW: usize = 10;
/// Requests without a response that end a run: each may take the whole `--timeout`.
const ALL_TOGETHER: usize = 30;

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
    in_a_row: usize,
    all_together: usize,
    lost: Option<TargetLost>,
    is_back: bool,
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

    /// Takes note of what came of a request, other than a control.
    pub fn note(&self, result: &Result<Response, TransportError>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(trouble) = result else {
            state.in_a_row = 0;
            return;
        };
        if trouble.kind == TransportErrorKind::Request {
            return;
        }
        state.in_a_row += 1;
        state.all_together += 1;
        let text = if state.in_a_row >= IN_A_ROW {
            format!("{IN_A_ROW} requests in a row got no response")
        } else if state.all_together >= ALL_TOGETHER {
            format!("{ALL_TOGETHER} requests got no response")
        } else {
            return;
        };
        state.is_back = false;
        state.stop(&format!("{text} (the last: {})", trouble.text));
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

    #[test]
    fn silence_in_a_row_ends_it_and_an_answer_begins_the_row_anew() {
        let liveness = LivenessMonitor::default();
        for _ in 1..IN_A_ROW {
            liveness.note(&silence());
        }
        liveness.note(&Ok(response(500, "")));
        for _ in 1..IN_A_ROW {
            liveness.note(&silence());
        }
        assert!(liveness.stops().is_none());
        liveness.note(&silence());
        let lost = liveness.stops().unwrap();
        let Reason::TargetLost(why) = lost.reason else { panic!("{lost:?}") };
        assert!(why.contains("10 requests in a row"), "{why}");
    }

    #[test]
    fn silence_while_the_target_starts_counts_for_nothing() {
        let liveness = LivenessMonitor::default();
        (0..IN_A_ROW).for_each(|_| liveness.note(&silence()));
        liveness.begin_anew();
        assert!(liveness.stops().is_none());
        (1..IN_A_ROW).for_each(|_| liveness.note(&silence()));
        assert!(liveness.stops().is_none());
    }

    #[test]
    fn silence_now_and_then_ends_it_too() {
        let liveness = LivenessMonitor::default();
        for _ in 0..ALL_TOGETHER {
            assert!(liveness.stops().is_none());
            liveness.note(&silence());
            liveness.note(&Ok(response(200, "{}")));
        }
        assert!(liveness.stops().is_some());
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
