//! One case in flight, without any I/O: it asks for requests and is told what came of them.
use crate::accounts::uia::{InteractiveAuth, UiaCredentials};
use crate::case::ast::{Act, Case, Need, Send, Source, StatusRule, Step, Wait};
use crate::case::template::{FillError, Scope as _};
use crate::check::expect::{Judgement, judge};
use crate::check::trace::{End, Judged, Stop, Trace};
use crate::http::message::{LARGE, Reply, Request, Response};
use crate::http::rate_limit::announced;
use crate::model::reason::Reason;
use crate::plan::routes::Routes;
use crate::run::variables::Variables;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use url::form_urlencoded;

mod request;
mod waits;

/// Next action of the machine.
#[derive(Debug)]
pub enum Next {
    /// These requests, at the same time; their replies come in the same order.
    Send(Vec<Request>),
    /// Something that the operator does, told these values by name.
    Operate(Act, Vec<(String, String)>),
    /// Some time to pass.
    Pause(Duration),
    /// A time to pass that a response named: other cases run meanwhile.
    Wait(Duration),
    /// The answers of a step to be judged, which may take its time.
    Judge(Judging),
    /// Nothing: [`CaseMachine::finish`].
    Done,
}

enum MachineState {
    Ready,
    Paused,
    Waiting,
    /// All answers of the step are there.
    Answered,
    Done,
}

/// The answers of one step, with everything that is needed to judge them elsewhere.
pub struct Judging {
    at: usize,
    responses: Vec<Response>,
    variables: Variables,
}

/// Result of judging a step: for [`CaseMachine::judged`].
pub struct StepJudged {
    variables: Variables,
    judgements: Result<Vec<Judgement>, FillError>,
}

impl Judging {
    /// Judges the answers. `case` is the one that the machine runs.
    pub fn judge(self, case: &Case) -> StepJudged {
        let Judging { at, responses, variables } = self;
        let responses: Vec<&Response> = responses.iter().collect();
        let blocks = case.all_steps().nth(at).into_iter().flat_map(|step| &step.blocks);
        let judgements = blocks.map(|block| judge(block, &responses, &variables)).collect();
        StepJudged { variables, judgements }
    }

    /// Returns true if parsing and judging it takes so much memory that it is done alone.
    pub fn is_large(&self) -> bool {
        self.responses.iter().map(|response| response.body.len()).sum::<usize>() >= LARGE
    }
}

impl std::fmt::Debug for Judging {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Judging({} answers)", self.responses.len())
    }
}

/// One case in flight.
pub struct CaseMachine<'c> {
    case: &'c Case,
    routes: &'c dyn Routes,
    variables: Variables,
    state: MachineState,
    /// Index over set-up and steps.
    at: usize,
    /// Replies of the current step so far, with the index of their exchanges.
    replies: Vec<(usize, Response)>,
    exchanges: usize,
    /// True once it has let a time pass that a response named.
    has_waited: bool,
    interactive_auth: InteractiveAuth,
    auth: Option<Value>,
    again: Duration,
    /// The blocks of the current step that an earlier answer broke.
    late: BTreeSet<usize>,
    judged: Vec<Judged<'c>>,
    end: End,
    stop: Option<Stop>,
}

/// Pause between two tries of a step with `within`.
const AGAIN: Duration = Duration::from_millis(250);
/// The branch of a block of such a step that the first answer broke, and a later one met.
const LATER: &str = "after a moment";

impl<'c> CaseMachine<'c> {
    /// A machine at the start of a case.
    pub fn new(case: &'c Case, routes: &'c dyn Routes, variables: Variables) -> Self {
        CaseMachine {
            case,
            routes,
            variables,
            state: MachineState::Ready,
            at: 0,
            replies: Vec::new(),
            exchanges: 0,
            has_waited: false,
            interactive_auth: InteractiveAuth::default(),
            auth: None,
            again: Duration::ZERO,
            late: BTreeSet::new(),
            judged: Vec::new(),
            end: End::Finished,
            stop: None,
        }
    }

    /// Next action. After [`Next::Send`] comes [`CaseMachine::replied`], after [`Next::Operate`]
    /// comes [`CaseMachine::operated`], after [`Next::Wait`] [`CaseMachine::waited`], after
    /// [`Next::Judge`] [`CaseMachine::judged`], or [`CaseMachine::block`] in the place of any.
    pub fn advance(&mut self) -> Next {
        let Some(step) = self.step() else {
            self.state = MachineState::Done;
            return Next::Done;
        };
        match self.state {
            MachineState::Done | MachineState::Waiting => return Next::Done,
            MachineState::Answered => {
                self.state = MachineState::Waiting;
                return Next::Judge(self.judging(step));
            }
            MachineState::Ready if self.at_first_try() => match &step.wait {
                Some(Wait::Fixed(wait)) => {
                    self.state = MachineState::Paused;
                    return Next::Pause(*wait);
                }
                Some(Wait::Saved(name)) => return self.wait(name),
                None => {}
            },
            MachineState::Ready if !self.again.is_zero() => {
                self.state = MachineState::Paused;
                return Next::Pause(AGAIN);
            }
            _ => {}
        }
        if let Some(name) = step.at_most_saved.as_ref().filter(|name| self.number(name).is_none()) {
            return self.without_number(name);
        }
        match self.next(step) {
            Ok(next) => {
                self.state = MachineState::Waiting;
                next
            }
            Err(error) => {
                self.stop_unreachable(step, &error);
                self.state = MachineState::Done;
                Next::Done
            }
        }
    }

    /// Takes the replies to what was sent.
    pub fn replied(&mut self, replies: Vec<Reply>) {
        let Some(step) = self.step() else { return };
        self.state = MachineState::Ready;
        for reply in replies {
            let exchange = self.exchanges;
            self.exchanges += 1;
            match reply {
                Reply::Response(response) if self.keeps_parsed() => {
                    self.replies.push((exchange, response));
                }
                Reply::Response(response) => self.replies.push((exchange, response.unparsed())),
                Reply::Dropped(text) => return self.dropped(step, exchange, &text),
                Reply::Inconclusive(reason) => return self.block(reason),
            }
        }
        match self.pass_interactive_auth(step) {
            Ok(false) => {}
            Ok(true) => return,
            Err(reason) => {
                self.stop = self.replies.last().map(|(exchange, _)| self.stop_at(*exchange));
                return self.block(reason);
            }
        }
        if self.wants_more(step) {
            self.forget_interactive_auth();
            return;
        }
        self.state = MachineState::Answered;
    }

    fn forget_interactive_auth(&mut self) {
        self.interactive_auth = InteractiveAuth::default();
        self.auth = None;
    }

    /// Gives a value that was made up for this case another value; see [`Variables::rename`].
    pub fn rename(&mut self, made_up: &str, value: &str) -> bool {
        self.variables.rename(made_up, value)
    }

    /// Takes what came of something that the operator did.
    pub fn operated(&mut self, end: Result<(), Reason>) {
        let Some(step) = self.step() else { return };
        self.state = MachineState::Ready;
        match end {
            Ok(()) => self.conclude(step, Vec::new()),
            Err(reason) => self.block(reason),
        }
    }

    /// Returns the trace of the finished case.
    pub fn finish(self) -> Trace<'c> {
        Trace { judged: self.judged, end: self.end, stop: self.stop }
    }

    fn step(&self) -> Option<&'c Step> {
        let case: &'c Case = self.case;
        case.all_steps().nth(self.at)
    }

    /// Returns true if the parsed responses of the current step are of use until the case ends: not
    /// those of a step that may send thousands of requests.
    pub fn keeps_parsed(&self) -> bool {
        self.step().is_some_and(|step| step.send == Send::Once)
    }

    /// Returns true if the next request is the one request of a step that decides: then earlier
    /// responses to the same may be judged with its own.
    pub fn judges_what_was_asked_before(&self) -> bool {
        let once = self.step().is_some_and(|step| step.send == Send::Once);
        once && !self.in_setup() && self.at_first_try()
    }

    fn at_first_try(&self) -> bool {
        self.again.is_zero() && self.replies.is_empty() && self.auth.is_none()
    }

    fn in_setup(&self) -> bool {
        self.at < self.case.setup.len()
    }

    fn step_name(&self) -> String {
        match self.in_setup() {
            true => format!("set-up step {}", self.at + 1),
            false => format!("step {}", self.at + 1 - self.case.setup.len()),
        }
    }

    /// Ends the case: it cannot go on, for this reason.
    pub fn block(&mut self, reason: Reason) {
        self.end = End::Blocked(reason);
        self.at = usize::MAX;
    }

    fn stop_unreachable(&mut self, step: &Step, error: &FillError) {
        if let Some(error) = self.variables.not_random() {
            return self.block(error.into());
        }
        let text = format!("{} (line {}) was not reached: {error}", self.step_name(), step.line);
        self.end = End::Stopped(Reason::NotReached(text));
        self.at = usize::MAX;
    }

    fn wants_more(&self, step: &Step) -> bool {
        match step.send {
            Send::Once | Send::Parallel(_) => false,
            Send::Repeat(times) => self.replies.len() < times as usize,
            Send::Until { status, at_most } => {
                self.replies.len() < self.most(step, at_most)
                    && self.replies.last().is_none_or(|(_, response)| response.status != status)
            }
        }
    }

    /// With `uia:` a challenge is answered, stage by stage, before the step is judged: true if
    /// there is one to answer.
    fn pass_interactive_auth(&mut self, step: &Step) -> Result<bool, Reason> {
        let Some(name) = &step.uia else { return Ok(false) };
        let Some((_, response)) = self.replies.last().filter(|(_, a)| a.is_challenge()) else {
            return Ok(false);
        };
        let account = self.variables.account(name).cloned();
        let account =
            account.ok_or_else(|| Reason::InteractiveAuth(format!("no account `{name}`")))?;
        let token = self.variables.get("operator.registration.token");
        let prover = UiaCredentials {
            user: Some(&account.login_name),
            password: account.password.as_deref(),
            registration_token: token.as_ref().and_then(Value::as_str),
        };
        if self.interactive_auth.is_finished(response) {
            return Ok(false);
        }
        let auth = self.interactive_auth.answer(response, prover);
        let Some(auth) = auth.map_err(|why| Reason::InteractiveAuth(why.to_string()))? else {
            return Ok(false);
        };
        self.auth = Some(auth);
        match step.send {
            Send::Once | Send::Parallel(_) => self.replies.clear(),
            // The challenge is no response of its own; those before it stay.
            Send::Repeat(_) | Send::Until { .. } => drop(self.replies.pop()),
        }
        Ok(true)
    }

    fn judging(&mut self, step: &Step) -> Judging {
        let responses = match step.send {
            Send::Until { .. } => self.replies.last().map(|(_, a)| a.clone()).into_iter().collect(),
            _ => self.replies.iter().map(|(_, response)| response.clone()).collect(),
        };
        Judging { at: self.at, responses, variables: std::mem::take(&mut self.variables) }
    }

    /// Takes what came of judging the step.
    pub fn judged(&mut self, done: StepJudged) {
        self.variables = done.variables;
        let Some(step) = self.step() else { return };
        self.state = MachineState::Ready;
        let judgements = match done.judgements {
            Ok(judgements) => judgements,
            Err(error) => return self.stop_unreachable(step, &error),
        };
        let mut judged: Vec<Judged<'c>> = step
            .blocks
            .iter()
            .zip(judgements)
            .map(|(block, judgement)| {
                let exchange = self.exchange_of(step, &judgement);
                Judged { block, step: self.at, judgement, exchange }
            })
            .collect();
        if self.try_again(step, &judged) {
            let broken = judged.iter().enumerate().filter(|(_, one)| !one.judgement.is_met());
            self.late.extend(broken.map(|(block, _)| block));
            self.replies.clear();
            return;
        }
        for (_, one) in judged.iter_mut().enumerate().filter(|(n, _)| self.late.contains(n)) {
            if let Judgement::Met { branches } = &mut one.judgement {
                branches.push(LATER.to_owned());
            }
        }
        self.conclude(step, judged);
    }

    fn exchange_of(&self, step: &Step, judgement: &Judgement) -> usize {
        let index = match (judgement, step.send) {
            (_, Send::Until { .. }) => self.replies.len().saturating_sub(1),
            (
                Judgement::Broken { response, .. } | Judgement::PassedWithWarning { response, .. },
                _,
            ) => *response,
            _ => 0,
        };
        self.replies.get(index).map_or(0, |(exchange, _)| *exchange)
    }

    fn try_again(&mut self, step: &Step, judged: &[Judged]) -> bool {
        let open = step.within.is_some_and(|within| self.again < within);
        let again = open && judged.iter().any(|one| !one.judgement.is_met());
        if again {
            self.again += AGAIN;
        }
        again
    }

    fn conclude(&mut self, step: &'c Step, judged: Vec<Judged<'c>>) {
        let broken = judged.iter().any(|one| matches!(one.judgement, Judgement::Broken { .. }));
        let must_status = !step.goes_on
            && judged.iter().any(|one| {
                one.judgement.is_wrong_status()
                    && one.block.level == crate::model::run::Level::Must
                    && !self.is_done_all_the_same(one)
            });
        if let Some(reason) = self.refused_by_policy(step, &judged) {
            return self.block(reason);
        }
        if let Some(optional) = step.optional.as_ref().filter(|_| broken) {
            let text = format!("the server does not offer {optional}");
            self.end = End::NotOffered(Reason::NotOffered(text));
            self.at = usize::MAX;
            return;
        }
        if self.in_setup() && broken {
            let text = self.setup_failure(step, &judged);
            self.stop = self.stop_of(&judged);
            return self.block(Reason::Setup(text));
        }
        let stop = self.stop_of(&judged);
        if !self.in_setup() {
            self.judged.extend(judged);
        }
        let name = self.step_name();
        if must_status {
            self.stop = stop;
            let text = format!(
                "{name} (line {}) did not succeed, and later steps depend on it",
                step.line
            );
            self.end = End::Stopped(Reason::NotReached(text));
            self.at = usize::MAX;
            return;
        }
        self.save(step);
        self.at = self.at.saturating_add(1);
        self.replies.clear();
        self.forget_interactive_auth();
        self.again = Duration::ZERO;
        self.late.clear();
    }

    fn stop_at(&self, exchange: usize) -> Stop {
        Stop { step: self.at, exchange }
    }

    fn stop_of(&self, judged: &[Judged<'_>]) -> Option<Stop> {
        let is_broken = |one: &&Judged<'_>| matches!(one.judgement, Judgement::Broken { .. });
        judged.iter().find(is_broken).map(|one| self.stop_at(one.exchange))
    }

    /// Returns true if a success was expected and there was one with another status: later steps
    /// have what they need.
    fn is_done_all_the_same(&self, one: &Judged) -> bool {
        let Judgement::Broken { response, .. } = one.judgement else { return false };
        let mut wanted = one.block.branches.iter().map(|branch| &branch.expect.status);
        wanted.all(|status| status.as_ref().is_some_and(StatusRule::is_success))
            && self.replies.get(response).is_some_and(|(_, response)| response.is_success())
    }

    fn save(&mut self, step: &Step) {
        let response = self
            .replies
            .iter()
            .map(|(_, response)| response)
            .find(|response| response.status < 300)
            .or_else(|| self.replies.last().map(|(_, response)| response))
            .cloned();
        let Some(response) = response else { return };
        let is_served = |(_, response): &&(usize, Response)| response.status != 429;
        let served = self.replies.iter().filter(is_served).count();
        for (name, source) in &step.save {
            let value = match source {
                Source::Served => Some(Value::from(served)),
                other => saved(other, &response),
            };
            if let Some(value) = value {
                self.variables.save(name, value);
            }
        }
    }

    /// A login that is right but refused for reasons of policy decides nothing.
    fn refused_by_policy(&self, step: &Step, judged: &[Judged]) -> Option<Reason> {
        let wanted_success = judged.iter().any(|one| {
            one.judgement.is_wrong_status()
                && one
                    .block
                    .branches
                    .iter()
                    .all(|b| b.expect.status.as_ref().is_some_and(|status| status.is_success()))
        });
        let response = self.replies.last().map(|(_, response)| response)?;
        let errcode = response.text_at("/errcode")?;
        // Whatever the status: a case may want the very one that the policy uses.
        let broken = judged.iter().any(|one| matches!(one.judgement, Judgement::Broken { .. }));
        // Blocks with `if` say nothing of a login without which the case cannot go on.
        let wrong = broken || (step.is_login() && !step.save.is_empty());
        let vendors = response.status == 403 && !errcode.starts_with("M_");
        // Where the operator has suspended the account, that is no policy but what is asked about.
        let asked = errcode == "M_USER_SUSPENDED"
            && self.case.needs.contains(&Need::Operator(Act::Suspend.as_str().to_owned()));
        let policy = (wrong && is_policy(errcode) && !asked) || (wanted_success && vendors);
        policy.then(|| Reason::RefusedByPolicy { errcode: errcode.to_owned() })
    }

    fn setup_failure(&self, step: &Step, judged: &[Judged]) -> String {
        let miss = judged.iter().find_map(|one| match &one.judgement {
            Judgement::Broken { mismatches, .. } => mismatches.first(),
            _ => None,
        });
        let what = miss.map_or_else(String::new, |miss| format!(": {}", miss.sentence()));
        format!("{} (line {}) failed{what}", self.step_name(), step.line)
    }

    fn dropped(&mut self, step: &'c Step, exchange: usize, text: &str) {
        self.stop = Some(self.stop_at(exchange));
        if self.in_setup() {
            return self.block(Reason::Setup(text.to_owned()));
        }
        for block in &step.blocks {
            let miss = crate::check::expect::Mismatch {
                place: "answer".to_owned(),
                expected: "an answer".to_owned(),
                actual: text.to_owned(),
            };
            let judgement = Judgement::Broken { mismatches: vec![miss], response: 0 };
            self.judged.push(Judged { block, step: self.at, judgement, exchange });
        }
        let text = format!("{} got no response: {text}", self.step_name());
        self.end = End::Stopped(Reason::NotReached(text));
        self.at = usize::MAX;
    }
}

/// Errors by which a server says that its rules, not what the request holds, stand against it.
fn is_policy(errcode: &str) -> bool {
    const POLICY: [&str; 5] = [
        "M_RESOURCE_LIMIT_EXCEEDED",
        "M_USER_LIMIT_EXCEEDED",
        "M_CONSENT_NOT_GIVEN",
        "M_TERMS_NOT_SIGNED",
        "M_USER_SUSPENDED",
    ];
    POLICY.contains(&errcode)
}

fn saved(source: &Source, response: &Response) -> Option<Value> {
    match source {
        Source::Status => Some(Value::from(response.status)),
        Source::Served => None,
        Source::RetryAfter => {
            let wait = announced(response).filter(|_| response.status == 429)?;
            u64::try_from(wait.as_millis()).ok().map(Value::from)
        }
        Source::Text => Some(Value::String(response.text().into_owned())),
        Source::Header(name) => response.header(name).map(Value::String),
        Source::Body(pointer) => response.json().ok()?.pointer(pointer).cloned(),
        Source::Location(name) => {
            let location = response.header("location")?;
            let (_, query) = location.split_once('?')?;
            let query = query.split('#').next()?;
            let found = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name)?;
            Some(Value::String(found.1.into_owned()))
        }
    }
}

#[cfg(test)]
mod tests;
