//! Whether the target still is what the probe found, so that a server that goes away or turns into
//! something else ends the run with one reason instead of a finding for each case.
use crate::http::message::{Answer, Ask, Exchanged, Trouble, TroubleKind};
use crate::model::run::Reason;
use serde_json::Value;
use std::sync::{Mutex, OnceLock, PoisonError};

/// How many requests in a row may go without an answer, though the control requests have one.
const IN_A_ROW: usize = 10;
/// How many requests of a run may go without an answer: each may take the whole `--timeout`.
const ALL_TOGETHER: usize = 30;

/// A request that the probe saw answered as only a homeserver answers it.
#[derive(Debug, Clone)]
pub struct Control {
    /// The request, without credentials.
    pub ask: Ask,
    /// The member of the answer that is a list.
    pub list: &'static str,
}

impl Control {
    /// Whether the answer is what it was: success, with the list.
    pub fn is_met_by(&self, answer: &Answer) -> bool {
        answer.is_success() && has_list(answer, self.list)
    }
}

/// Whether the answer's body has a list of this name.
pub fn has_list(answer: &Answer, name: &str) -> bool {
    answer.json().is_ok_and(|body| body.get(name).is_some_and(Value::is_array))
}

/// Why nothing is asked any more.
#[derive(Debug, Clone)]
pub struct Lost {
    /// For everything that is not asked.
    pub reason: Reason,
    /// What a control request is answered with in place of what the probe saw. The same as answer to
    /// another request says nothing of the homeserver.
    pub sign: Option<Answer>,
}

#[derive(Debug, Default)]
struct State {
    in_a_row: usize,
    all_together: usize,
    lost: Option<Lost>,
    is_back: bool,
}

impl State {
    fn stop(&mut self, why: &str) {
        let reason = reason(format!("the run stopped asking: {why}"));
        self.lost.get_or_insert(Lost { reason, sign: None });
    }
}

/// The signs of life of one target.
#[derive(Debug, Default)]
pub struct Vitals {
    controls: OnceLock<Vec<Control>>,
    state: Mutex<State>,
}

impl Vitals {
    /// Remembers what the probe saw answered rightly; the first call counts.
    pub fn remember(&self, controls: Vec<Control>) {
        let _ = self.controls.set(controls);
    }

    /// What is to be asked to see whether the target still is what it was.
    pub fn controls(&self) -> &[Control] {
        self.controls.get().map_or(&[], Vec::as_slice)
    }

    /// Forgets the silence so far: that of a target that is still starting says nothing of the run.
    pub fn begin_anew(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    /// Why the run stopped asking, if it did.
    pub fn lost(&self) -> Option<Lost> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).lost.clone()
    }

    /// Why nothing is to be asked now, if that is so.
    pub fn stops(&self) -> Option<Lost> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lost.clone().filter(|_| !state.is_back)
    }

    /// Takes note of what came of a request, other than a control.
    pub fn note(&self, result: &Result<Answer, Trouble>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Err(trouble) = result else {
            state.in_a_row = 0;
            return;
        };
        if trouble.kind == TroubleKind::Request {
            return;
        }
        state.in_a_row += 1;
        state.all_together += 1;
        let text = if state.in_a_row >= IN_A_ROW {
            format!("{IN_A_ROW} requests in a row had no answer")
        } else if state.all_together >= ALL_TOGETHER {
            format!("{ALL_TOGETHER} requests had no answer")
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
    pub fn lose(&self, control: &Exchanged) -> Lost {
        let (text, sign) = match &control.result {
            Ok(answer) => {
                let words = crate::http::message::words(answer);
                let text = format!("GET {} is now answered {words}", control.ask.path);
                (text, Some(answer.clone()))
            }
            Err(trouble) => (format!("GET {}: {}", control.ask.path, trouble.text), None),
        };
        let text = format!("the target went away or changed while it was tested: {text}");
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lost.get_or_insert(Lost { reason: reason(text), sign }).clone()
    }

    /// The target is there again, for the clean-up: that the run stopped asking stays true.
    pub fn is_back(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_back = true;
    }
}

fn reason(text: String) -> Reason {
    Reason { code: "target_lost".to_owned(), text: text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence() -> Result<Answer, Trouble> {
        Err(Trouble { kind: TroubleKind::Timeout, text: "no whole answer".to_owned() })
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer::new(status, Vec::new(), body.as_bytes().to_vec(), false)
    }

    #[test]
    fn silence_in_a_row_ends_it_and_an_answer_begins_the_row_anew() {
        let vitals = Vitals::default();
        for _ in 1..IN_A_ROW {
            vitals.note(&silence());
        }
        vitals.note(&Ok(answer(500, "")));
        for _ in 1..IN_A_ROW {
            vitals.note(&silence());
        }
        assert!(vitals.stops().is_none());
        vitals.note(&silence());
        let lost = vitals.stops().unwrap();
        assert_eq!(lost.reason.code, "target_lost");
        assert!(lost.reason.text.contains("10 requests in a row"), "{}", lost.reason.text);
    }

    #[test]
    fn silence_while_the_target_starts_counts_for_nothing() {
        let vitals = Vitals::default();
        (0..IN_A_ROW).for_each(|_| vitals.note(&silence()));
        vitals.begin_anew();
        assert!(vitals.stops().is_none());
        (1..IN_A_ROW).for_each(|_| vitals.note(&silence()));
        assert!(vitals.stops().is_none());
    }

    #[test]
    fn silence_now_and_then_ends_it_too() {
        let vitals = Vitals::default();
        for _ in 0..ALL_TOGETHER {
            assert!(vitals.stops().is_none());
            vitals.note(&silence());
            vitals.note(&Ok(answer(200, "{}")));
        }
        assert!(vitals.stops().is_some());
    }

    #[test]
    fn a_target_that_is_back_is_asked_and_stays_noted() {
        let vitals = Vitals::default();
        vitals.stop("of a test");
        assert!(vitals.stops().is_some());
        vitals.is_back();
        assert!(vitals.stops().is_none());
        assert!(vitals.lost().is_some());
    }

    #[test]
    fn a_control_is_met_by_success_with_its_list_alone() {
        let ask = Ask::new(Some("getVersions"), "GET", "/_matrix/client/versions");
        let control = Control { ask, list: "versions" };
        assert!(control.is_met_by(&answer(200, r#"{"versions":[]}"#)));
        for (status, body) in [(500, r#"{"versions":[]}"#), (200, "{}"), (200, r#"{"versions":1}"#)]
        {
            assert!(!control.is_met_by(&answer(status, body)), "{status} {body}");
        }
    }
}
