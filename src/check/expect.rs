//! A block of a case against the answers of its step.
use crate::case::ast::{Block, Branch, Expect};
use crate::case::matcher::{ValueMismatch, shown};
use crate::case::template::{FillError, Scope, fill_pointer, place_of};
use crate::http::message::Response;
use serde_json::Value;

/// One way in which an answer is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Where: `status`, `header NAME`, `body`, or a JSON Pointer with `*` for what differs from run to
    /// run, an index or a name that somebody made up.
    pub place: String,
    /// What was expected there.
    pub expected: String,
    /// What was there.
    pub actual: String,
}

impl Mismatch {
    /// `expected 400, got 500 M_UNKNOWN`, with the place unless it is the status.
    pub fn sentence(&self) -> String {
        let Mismatch { place, expected, actual } = self;
        match place.as_str() {
            "status" => {
                let bare = |text: &str| text.replace("status ", "").replace(" with errcode ", " ");
                let expected = bare(expected).replacen("not ", "anything but ", 1);
                format!("expected {expected}, got {}", bare(actual).replace('"', ""))
            }
            "answer" => format!("no response: {actual}"),
            "answers" => format!("expected {expected}, got {actual}"),
            "" | "body" => format!("body: expected {expected}, got {actual}"),
            place => format!("{place}: expected {expected}, got {actual}"),
        }
    }
}

/// What one block says of the answers of its step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// All is as expected; with the branches that were taken.
    Met {
        /// Their names.
        branches: Vec<String>,
    },
    /// As a branch allows that deserves a warning.
    PassedWithWarning {
        /// The branch's name.
        branch: String,
        /// Its `warn` text.
        why: String,
        /// Index of the answer within the step.
        response: usize,
    },
    /// Not as expected.
    Broken {
        /// In which ways.
        mismatches: Vec<Mismatch>,
        /// Index of the answer within the step.
        response: usize,
    },
    /// The block's `if` holds for no answer.
    NotObserved,
}

impl Judgement {
    /// Whether the status was not one of those expected.
    pub fn is_wrong_status(&self) -> bool {
        matches!(self, Judgement::Broken { mismatches, .. } if mismatches.iter().any(|m| m.place == "status"))
    }

    /// Whether it is as the specification wants it.
    pub fn is_met(&self) -> bool {
        matches!(self, Judgement::Met { .. } | Judgement::NotObserved)
    }
}

/// Judges the answers of a step, in the order sent.
///
/// # Errors
/// A reference without a value: the step cannot be judged.
pub fn judge(
    block: &Block,
    responses: &[&Response],
    scope: &dyn Scope,
) -> Result<Judgement, FillError> {
    let mut verdict = Looked::new(block);
    for (index, response) in responses.iter().enumerate() {
        // Of many answers what is parsed of each is let go at once.
        let alone = (responses.len() > FEW).then(|| response.unparsed());
        let response = alone.as_ref().unwrap_or(response);
        let meant = match &block.when {
            Some(when) => mismatches(when, response, scope)?.is_empty(),
            None => true,
        };
        if meant && let Some(broken) = verdict.look(index, taken(&block.branches, response, scope)?)
        {
            return Ok(broken);
        }
    }
    verdict.end(scope)
}

/// Of so many answers what is parsed is kept from block to block.
const FEW: usize = 16;

struct Looked<'b> {
    block: &'b Block,
    responses: usize,
    /// Which of them are as expected.
    hits: Vec<usize>,
    last: usize,
    names: Vec<String>,
    doubt: Option<Judgement>,
}

impl<'b> Looked<'b> {
    fn new(block: &'b Block) -> Self {
        let (hits, names) = Default::default();
        Looked { block, responses: 0, hits, last: 0, names, doubt: None }
    }

    /// Takes note of the branch that an answer took; gives what ends it.
    fn look(&mut self, index: usize, taken: Result<&Branch, Vec<Mismatch>>) -> Option<Judgement> {
        self.responses += 1;
        self.last = index;
        let branch = match taken {
            Ok(branch) => branch,
            Err(_) if self.block.exactly.is_some() => return None,
            Err(mismatches) => return Some(Judgement::Broken { mismatches, response: index }),
        };
        self.hits.push(index);
        match (&branch.warn, &branch.name) {
            (Some(why), name) => {
                self.doubt.get_or_insert_with(|| Judgement::PassedWithWarning {
                    branch: name.clone().unwrap_or_default(),
                    why: why.clone(),
                    response: index,
                });
            }
            (None, Some(name)) if !self.names.contains(name) => self.names.push(name.clone()),
            _ => {}
        }
        None
    }

    fn end(self, scope: &dyn Scope) -> Result<Judgement, FillError> {
        if self.responses == 0 && self.block.when.is_some() {
            return Ok(Judgement::NotObserved);
        }
        let Some(wanted) = self.block.exactly else {
            return Ok(match self.doubt {
                Some(doubt) => doubt,
                None if self.responses == 0 => Judgement::NotObserved,
                None => Judgement::Met { branches: self.names },
            });
        };
        if self.hits.len() == wanted as usize {
            return Ok(Judgement::Met { branches: Vec::new() });
        }
        let described = self
            .block
            .branches
            .iter()
            .map(|branch| describe(&branch.expect, scope))
            .collect::<Result<Vec<_>, _>>()?
            .join(", or ");
        let miss = Mismatch {
            place: "answers".to_owned(),
            expected: format!("exactly {wanted} of {} with {described}", self.responses),
            actual: self.hits.len().to_string(),
        };
        let response = self.hits.get(wanted as usize).copied().unwrap_or(self.last);
        Ok(Judgement::Broken { mismatches: vec![miss], response })
    }
}

/// The first branch that the answer takes; else in which ways it misses the nearest one.
fn taken<'b>(
    branches: &'b [Branch],
    response: &Response,
    scope: &dyn Scope,
) -> Result<Result<&'b Branch, Vec<Mismatch>>, FillError> {
    let mut nearest: Option<Vec<Mismatch>> = None;
    for branch in branches {
        let found = mismatches(&branch.expect, response, scope)?;
        if found.is_empty() {
            return Ok(Ok(branch));
        }
        let by_status = found.iter().any(|miss| miss.place == "status");
        let kept_by_status =
            nearest.as_ref().is_none_or(|kept| kept.iter().any(|miss| miss.place == "status"));
        if nearest.is_none() || (kept_by_status && !by_status) {
            nearest = Some(found);
        }
    }
    let mut found = nearest.unwrap_or_default();
    if let [miss] = found.as_mut_slice()
        && miss.place == "status"
        && branches.len() > 1
    {
        let statuses: Vec<_> = branches
            .iter()
            .filter(|branch| branch.warn.is_none())
            .filter_map(|branch| branch.expect.status.as_ref())
            .map(|status| format!("status {status}"))
            .fold(Vec::new(), |mut kept, status| {
                if !kept.contains(&status) {
                    kept.push(status);
                }
                kept
            });
        miss.expected = statuses.join(" or ");
    }
    Ok(Err(found))
}

/// In which ways an answer is not as expected. A wrong status stands alone: what follows from it
/// would only repeat it.
pub fn mismatches(
    expect: &Expect,
    response: &Response,
    scope: &dyn Scope,
) -> Result<Vec<Mismatch>, FillError> {
    if let Some(rule) = &expect.status
        && !rule.holds(response.status)
    {
        return Ok(vec![Mismatch {
            place: "status".to_owned(),
            expected: format!("status {rule}"),
            actual: status_in_words(response),
        }]);
    }
    let mut found = Vec::new();
    for (name, matcher) in &expect.headers {
        let value = response.header(&name.to_ascii_lowercase()).map(Value::String);
        if let Err(mismatch) = matcher.check(value.as_ref(), scope)? {
            found.push(miss(format!("header {name}"), mismatch));
        }
    }
    if !expect.body.is_empty() {
        found.extend(body_misses(&expect.body, response, scope)?);
    }
    if let Some(matcher) = &expect.text {
        let text = Value::String(response.text().into_owned());
        if let Err(mismatch) = matcher.check(Some(&text), scope)? {
            found.push(miss("body".to_owned(), mismatch));
        }
    }
    Ok(found)
}

fn body_misses(
    expected: &[(String, crate::case::matcher::Matcher)],
    response: &Response,
    scope: &dyn Scope,
) -> Result<Vec<Mismatch>, FillError> {
    let body = match response.json() {
        Ok(body) => body,
        Err(why) => {
            return Ok(vec![Mismatch {
                place: "body".to_owned(),
                expected: "a JSON body".to_owned(),
                actual: format!("not JSON: {why}"),
            }]);
        }
    };
    let mut found = Vec::new();
    for (pointer, matcher) in expected {
        let filled = fill_pointer(pointer, scope)?;
        if let Err(mismatch) = matcher.check(body.pointer(&filled), scope)? {
            found.push(miss(place_of(pointer), mismatch));
        }
    }
    Ok(found)
}

fn miss(place: String, mismatch: ValueMismatch) -> Mismatch {
    let place = format!("{place}{}", mismatch.below);
    Mismatch { place, expected: mismatch.expected, actual: mismatch.actual }
}

/// `status 401 with errcode "M_UNKNOWN_TOKEN"`: the errcode is what a reader looks for first.
fn status_in_words(response: &Response) -> String {
    match response.json().ok().and_then(|body| body.get("errcode")) {
        Some(errcode) => {
            format!("status {} with errcode {}", response.status, shown(Some(errcode)))
        }
        None => format!("status {}", response.status),
    }
}

fn describe(expect: &Expect, scope: &dyn Scope) -> Result<String, FillError> {
    let mut parts = Vec::new();
    parts.extend(expect.status.as_ref().map(|status| format!("status {status}")));
    for (name, matcher) in expect.headers.iter().chain(&expect.body) {
        parts.push(format!("{name} {}", matcher.described(scope)?));
    }
    Ok(parts.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::ast::{StatusPattern, StatusRule};
    use crate::case::matcher::Matcher;
    use crate::model::run::Level;
    use serde_json::json;

    fn none(_: &str) -> Option<Value> {
        None
    }

    fn response(status: u16, body: Value) -> Response {
        Response::new(status, Vec::new(), body.to_string().into_bytes(), false)
    }

    fn expect(status: u16, errcode: Option<&str>) -> Expect {
        let rule = StatusRule { any_of: vec![StatusPattern::Exact(status)], negated: false };
        let body = errcode
            .map(|code| ("/errcode".to_owned(), Matcher::Equals(json!(code))))
            .into_iter()
            .collect();
        Expect { status: Some(rule), body, ..Expect::default() }
    }

    fn block(branches: Vec<Branch>) -> Block {
        Block {
            level: Level::Must,
            req: "x".into(),
            when: None,
            exactly: None,
            branches,
            pointer: String::new(),
            line: 1,
        }
    }

    fn branch(name: &str, expect: Expect) -> Branch {
        Branch { name: Some(name.into()), warn: None, expect }
    }

    #[test]
    fn the_branch_that_was_taken_is_named() {
        let block = block(vec![
            branch("says so", expect(403, Some("M_USER_DEACTIVATED"))),
            branch("hides it", expect(403, Some("M_FORBIDDEN"))),
        ]);
        let hidden = response(403, json!({"errcode": "M_FORBIDDEN"}));
        let met = Judgement::Met { branches: vec!["hides it".into()] };
        assert_eq!(judge(&block, &[&hidden], &none), Ok(met));
        let other = response(403, json!({"errcode": "M_UNKNOWN"}));
        let Ok(Judgement::Broken { mismatches, .. }) = judge(&block, &[&other], &none) else {
            panic!("not broken")
        };
        assert_eq!(mismatches[0].place, "/errcode");
    }

    #[test]
    fn a_wrong_status_stands_alone_and_names_the_errcode() {
        let block = block(vec![branch("a", expect(403, Some("M_FORBIDDEN")))]);
        let wrong = response(401, json!({"errcode": "M_UNAUTHORIZED"}));
        let judged = judge(&block, &[&wrong], &none).unwrap();
        assert!(judged.is_wrong_status());
        let Judgement::Broken { mismatches, .. } = judged else { panic!("not broken") };
        assert_eq!(mismatches.len(), 1);
        assert_eq!(mismatches[0].actual, "status 401 with errcode \"M_UNAUTHORIZED\"");
    }

    #[test]
    fn a_condition_that_holds_for_no_answer_is_not_observed() {
        let mut block = block(vec![branch("a", expect(403, Some("M_FORBIDDEN")))]);
        block.when = Some(expect(403, None));
        let fine = response(200, json!({}));
        assert_eq!(judge(&block, &[&fine], &none), Ok(Judgement::NotObserved));
    }

    #[test]
    fn exactly_counts_the_answers_that_match() {
        let mut block = block(vec![branch("a", expect(200, None))]);
        block.exactly = Some(1);
        let (good, bad) = (response(200, json!({})), response(403, json!({})));
        assert!(judge(&block, &[&bad, &good, &bad], &none).unwrap().is_met());
        assert!(!judge(&block, &[&good, &good], &none).unwrap().is_met());
        assert!(!judge(&block, &[&bad], &none).unwrap().is_met());
    }

    /// The only mismatch of an answer: place and what was expected there.
    fn only_mismatch(block: &Block, response: &Response) -> (String, String) {
        let Ok(Judgement::Broken { mismatches, .. }) = judge(block, &[response], &none) else {
            panic!("not broken")
        };
        assert_eq!(mismatches.len(), 1);
        (mismatches[0].place.clone(), mismatches[0].expected.clone())
    }

    #[test]
    fn of_several_branches_the_nearest_is_told() {
        let hides = || branch("hides it", expect(404, None));
        let says = |code: &str| branch("says so", expect(403, Some(code)));
        let refused = response(403, json!({"errcode": "M_UNKNOWN"}));
        let at_code = |code: &str| ("/errcode".to_owned(), format!("{code:?}"));
        for branches in
            [vec![hides(), says("A")], vec![says("A"), hides()], vec![says("A"), says("B")]]
        {
            assert_eq!(only_mismatch(&block(branches), &refused), at_code("A"));
        }
        // Where no status fits, all that would have are told, but for those that only warn.
        let odd = Branch { warn: Some("odd".to_owned()), ..branch("odd", expect(400, None)) };
        let crash = response(500, json!({}));
        let all = block(vec![hides(), says("A"), odd.clone(), says("B")]);
        let statuses = ("status".to_owned(), "status 404 or status 403".to_owned());
        assert_eq!(only_mismatch(&all, &crash), statuses);
        let alone = ("status".to_owned(), "status 400".to_owned());
        assert_eq!(only_mismatch(&block(vec![odd]), &crash), alone);
    }

    #[test]
    fn a_count_that_is_wrong_says_of_what() {
        let mut block =
            block(vec![branch("a", expect(200, Some("A"))), branch("b", expect(201, None))]);
        block.exactly = Some(1);
        let crash = response(500, json!({}));
        let text = "exactly 1 of 1 with status 200 and /errcode \"A\", or status 201";
        assert_eq!(only_mismatch(&block, &crash), ("answers".to_owned(), text.to_owned()));
    }
}
