//! Properties that follow from a case as written: its order, its requests and logins, its expected
//! successes.
use super::ast::*;
use super::matcher::Matcher;
use super::near_miss::NearMiss;
use serde_json::Value;
use std::collections::BTreeSet;

impl Case {
    pub fn phase(&self) -> Phase {
        match (self.last, self.limits, self.impact) {
            (true, _, _) => Phase::Last,
            (_, Limits::Observe, _) => Phase::Bursts,
            (_, _, Impact::Destroys) => Phase::Destroying,
            _ => Phase::Ordinary,
        }
    }

    /// Returns true if it waits for a time that a response names.
    pub fn waits(&self) -> bool {
        self.all_steps().any(|step| matches!(step.wait, Some(Wait::Saved(_))))
    }

    /// Returns true if that time is the lifetime of an access token that a login gives.
    pub fn waits_for_access_token(&self) -> bool {
        let lifetime = Source::Body("/expires_in_ms".to_owned());
        let is_lifetime = |name: &String| {
            let saved = |step: &Step| step.save.contains(&(name.clone(), lifetime.clone()));
            self.all_steps().any(|step| step.is_login() && saved(step))
        };
        self.all_steps()
            .any(|step| matches!(&step.wait, Some(Wait::Saved(name)) if is_lifetime(name)))
    }

    /// Set-up and steps, in the order sent.
    pub fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.setup.iter().chain(&self.steps)
    }

    /// The names behind the references of a request.
    pub fn sent(&self, step: &Step) -> BTreeSet<String> {
        self.behind(step.request_references())
    }

    /// The names behind the references of a value.
    pub fn names_in(&self, value: &Value) -> BTreeSet<String> {
        self.behind(references_of(std::slice::from_ref(value)))
    }

    /// These names, and those in the case's own values that they stand for.
    fn behind(&self, mut open: Vec<String>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        while let Some(name) = open.pop() {
            open.extend(NearMiss::of(&name).map(|(base, _)| base.to_owned()));
            let inner = self.values.iter().find(|(known, _)| *known == name);
            if found.insert(name)
                && let Some((_, value)) = inner
            {
                open.extend(references_of(std::slice::from_ref(value)));
            }
        }
        found
    }

    /// Returns true if one of its requests must be refused that names this account, or holds its
    /// password, before the case itself has logged in there. The refusal means something only of an
    /// account that is known to work: a good login is its positive control.
    pub fn wants_proof_of(&self, account: &str) -> bool {
        let names = |step: &Step| {
            let of_account = |name: &String| {
                let member = name.strip_prefix(account).and_then(|rest| rest.strip_prefix('.'));
                member.is_some_and(|member| IDENTIFYING.contains(&member))
            };
            step.uia.as_deref() == Some(account) || self.sent(step).iter().any(of_account)
        };
        let refused = |step: &Step| step.must_be_refused() && names(step);
        let logged_in = |step: &Step| step.is_login() && step.must_succeed() && names(step);
        let mut known = self.setup.iter().any(logged_in);
        self.steps.iter().any(|step| {
            let unknown = !known && refused(step);
            known |= logged_in(step);
            unknown
        })
    }

    /// Upper bound of logins, apart from a repetition of the one that proved its account.
    pub fn logins(&self) -> usize {
        let looks = self.all_steps().find(|step| step.is_login()).is_some_and(Step::is_proof);
        let sent: usize = self.all_steps().filter(|step| step.is_login()).map(Step::times).sum();
        sent.saturating_sub(usize::from(looks))
    }

    /// Returns true if it logs in only for a session, so that any other session of the account is
    /// as good.
    pub fn takes_any_session(&self) -> bool {
        let mut logins = self.all_steps().filter(|step| step.is_login());
        let (first, second) = (logins.next(), logins.next());
        let in_setup = self.setup.iter().any(Step::is_login);
        in_setup && second.is_none() && first.is_some_and(Step::is_good_login)
    }

    /// Returns true if a server that does as asked ends or renews the session that the case logged
    /// in for.
    pub fn ends_its_session(&self) -> bool {
        #[rustfmt::skip]
        const ENDING: [&str; 7] = [
            "logout", "logout_all", "deleteDevice", "deleteDevices", "refresh", "changePassword", "deactivateAccount",
        ];
        self.all_steps().any(|step| match &step.target {
            StepTarget::Call(operation) => {
                ENDING.contains(&operation.as_str()) && step.may_succeed()
            }
            StepTarget::Raw { .. } | StepTarget::Operator(_) => false,
        })
    }
}

/// The members of an account that say who somebody is, or prove it.
#[rustfmt::skip]
const IDENTIFYING: [&str; 8] = [
    "user_id", "user", "localpart", "password", "password_other_case", "password_shortened", "password_escaped", "login",
];

impl Step {
    pub fn is_login(&self) -> bool {
        matches!(&self.target, StepTarget::Call(operation) if operation == "login")
    }

    /// Upper bound of requests.
    pub fn times(&self) -> usize {
        match self.send {
            Send::Once => 1,
            Send::Parallel(times) | Send::Repeat(times) => times as usize,
            Send::Until { at_most, .. } => at_most as usize,
        }
    }

    /// Returns true if it repeats the login that proved an account: `body: $alice.login`.
    fn is_proof(&self) -> bool {
        let Body::Json(Value::String(body)) = &self.body else { return false };
        body.starts_with('$') && body.ends_with(".login") && self.send == Send::Once
    }

    /// Returns true if the login is correct, and the server must accept it.
    pub fn is_good_login(&self) -> bool {
        #[rustfmt::skip]
        const MEMBERS: [&str; 6] = [
            "type", "identifier", "password", "device_id", "initial_device_display_name", "refresh_token",
        ];
        let Body::Json(Value::Object(body)) = &self.body else { return false };
        let plain = self.headers.is_empty() && self.query.is_empty() && self.auth == Auth::None;
        plain
            && self.send == Send::Once
            && self.media_type == MediaType::Json
            && body.get("type").is_some_and(|name| name == "m.login.password")
            && body.keys().all(|key| MEMBERS.contains(&key.as_str()))
            && self.may_succeed()
    }

    fn may_succeed(&self) -> bool {
        let ruled = |branch: &Branch| branch.expect.status.as_ref().is_none_or(|s| s.holds(200));
        self.blocks.iter().all(|block| block.branches.iter().any(ruled))
    }

    /// Returns true if a response is as expected only if it refuses: with a status from 400 on.
    pub fn must_be_refused(&self) -> bool {
        self.must(|status| {
            !(200..300).any(|code| status.holds(code)) && (400..600).any(|code| status.holds(code))
        })
    }

    /// Returns true if a response is as expected only if it is a success.
    pub fn must_succeed(&self) -> bool {
        self.must(StatusRule::is_success)
    }

    /// Returns true if each branch of a block for every response has such a status.
    fn must(&self, is: impl Fn(&StatusRule) -> bool) -> bool {
        let ruled = |branch: &Branch| branch.expect.status.as_ref().is_some_and(&is);
        let all = |block: &Block| block.when.is_none() && block.branches.iter().all(ruled);
        self.blocks.iter().any(|block| !block.branches.is_empty() && all(block))
    }

    /// Setup steps and steps; each reference of the request, in no order.
    pub fn request_references(&self) -> Vec<String> {
        let mut values: Vec<Value> = Vec::new();
        for (_, value) in self.params.iter().chain(&self.query).chain(&self.headers) {
            values.push(value.clone());
        }
        match &self.auth {
            Auth::None => {}
            Auth::Bearer(value) | Auth::Query(value) | Auth::Raw(value) => {
                values.push(value.clone());
            }
        }
        match &self.body {
            Body::Json(value) => values.push(value.clone()),
            Body::Text(text) => values.push(Value::String(text.clone())),
            Body::None | Body::Bytes(_) => {}
        }
        if let StepTarget::Raw { method, path } = &self.target {
            values.push(Value::String(method.clone()));
            values.push(Value::String(path.clone()));
        }
        references_of(&values)
    }
}

impl Expect {
    /// Each reference in it.
    pub fn references(&self) -> Vec<String> {
        let pointers: Vec<_> =
            self.body.iter().map(|(pointer, _)| Value::String(pointer.clone())).collect();
        let matchers = self.headers.iter().chain(&self.body).map(|(_, matcher)| matcher);
        let mut names = references_of(&pointers);
        names.extend(matchers.chain(&self.text).flat_map(Matcher::references));
        names
    }
}

fn references_of(values: &[Value]) -> Vec<String> {
    values.iter().flat_map(super::template::references).map(|(name, _)| name).collect()
}
