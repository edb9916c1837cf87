//! The results of faults and quirks as values. Pure.
use crate::model::reason::ReasonCode;
use crate::model::run::{Level, RecordedReason, RequirementOutcome, RequirementVerdict, Verdict};
use crate::reference::{Fault, Kind, Quirk};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};

/// The result of one fault.
#[derive(Debug, Clone, Serialize)]
pub struct FaultOutcome {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    #[serde(serialize_with = "word_of_kind")]
    pub kind: Kind,
    /// The requirement that it breaks.
    pub requirement: &'static str,
    /// Other requirements that it is known to break.
    #[serde(skip)]
    pub also: &'static [&'static str],
    /// The clause that is broken.
    pub clause: &'static str,
    /// The deviating behaviour.
    pub about: &'static str,
    /// The operation whose schema it was made from, if it was.
    pub operation: Option<&'static str>,
    /// True if it shows each time; otherwise other cases may catch it in another run.
    pub steady: bool,
    /// Its result.
    pub end: FaultEnd,
    /// The reason, if it is out of reach or survived.
    pub why: Option<String>,
    /// The verdict of the requirement that it breaks.
    pub verdict: RequirementVerdict,
    /// The requirement that is to blame: its own, or what its own is blocked because of.
    pub cause: Option<String>,
    /// The cases (or `standing::ID`) whose decision on that requirement caught it.
    pub caught_by: Vec<String>,
    /// Requirements that broke and are not in its `also` list.
    pub unexpected: Vec<UnexpectedVerdict>,
    /// Requirements of its `also` list that held in the run.
    #[serde(skip)]
    pub unseen: Vec<&'static str>,
}

impl FaultOutcome {
    /// The outcome of a fault before its run.
    pub(super) fn of(fault: &Fault, end: FaultEnd, why: Option<String>) -> FaultOutcome {
        FaultOutcome {
            name: fault.name,
            kind: fault.kind,
            requirement: fault.requirement,
            also: fault.also,
            clause: fault.clause,
            about: fault.about,
            operation: fault.place.map(|place| place.operation),
            steady: fault.is_steady(),
            end,
            why,
            verdict: RequirementVerdict::Untested,
            cause: None,
            caught_by: Vec::new(),
            unexpected: Vec::new(),
            unseen: Vec::new(),
        }
    }

    /// Returns true if it was caught by its own requirement and broke no unlisted one.
    pub fn is_clean(&self) -> bool {
        self.end != FaultEnd::Survived && self.unexpected.is_empty()
    }
}

/// The result of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultEnd {
    /// The requirement ended as a broken one of its level does.
    Caught,
    /// A permission (MAY) was not used: there is nothing to catch.
    Observed,
    /// Nothing in the suite decides the requirement, with the reason.
    OutOfReach,
    /// It ended otherwise.
    Survived,
}

impl FaultEnd {
    /// The result of a fault after a run. `wanted` is the verdict of the broken requirement (none if
    /// nothing can be caught), `verdict` its verdict in the run, `found` tells if a finding has that
    /// severity.
    pub(super) fn of(
        wanted: Option<Verdict>,
        verdict: RequirementVerdict,
        found: bool,
    ) -> FaultEnd {
        match wanted {
            None => FaultEnd::Observed,
            // A step behind the one that broke may be out of reach: the requirement is then blocked in one case and
            // broken in another, and the finding is what counts.
            Some(wanted) if found || RequirementVerdict::from(wanted) == verdict => {
                FaultEnd::Caught
            }
            Some(_) => FaultEnd::Survived,
        }
    }
}

fn word_of_kind<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}

/// A requirement that is worse than without the fault or quirk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnexpectedVerdict {
    /// Its id.
    pub requirement: String,
    /// Its verdict now.
    pub verdict: RequirementVerdict,
    /// An example of why.
    pub why: String,
}

/// The result of one quirk.
#[derive(Debug, Clone, Serialize)]
pub struct QuirkOutcome {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    #[serde(serialize_with = "word_of_kind")]
    pub kind: Kind,
    /// The behaviour of the homeserver.
    pub about: &'static str,
    /// True if it shows at every opportunity.
    pub steady: bool,
    /// Verdicts that it must not cause: worse ones, or passed and skipped swapped for ids that it
    /// does not list.
    pub flagged: Vec<UnexpectedVerdict>,
    /// Verdicts that it changed and may change.
    pub changed: Vec<VerdictChange>,
}

/// A requirement with another verdict under a quirk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerdictChange {
    /// Its id.
    pub requirement: String,
    /// Without the quirk.
    pub before: RequirementVerdict,
    /// With it.
    pub after: RequirementVerdict,
}

/// The cases of a run with a quirk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// All cases.
    All,
    /// Only a few: what they did not observe proves nothing.
    Few,
}

impl QuirkOutcome {
    /// Compares the requirements of runs without and with the quirk; `why` finds an example of a
    /// finding.
    pub(super) fn of(
        quirk: &Quirk,
        before: &[RequirementOutcome],
        after: &[RequirementOutcome],
        scope: Scope,
        why: &dyn Fn(&str) -> String,
    ) -> QuirkOutcome {
        let earlier: BTreeMap<&str, RequirementVerdict> =
            before.iter().map(|outcome| (outcome.id.as_str(), outcome.verdict)).collect();
        let (mut flagged, mut changed) = (Vec::new(), Vec::new());
        for outcome in after {
            let was = earlier.get(outcome.id.as_str()).copied();
            let was = was.unwrap_or(RequirementVerdict::Untested);
            if outcome.verdict == was || says_nothing(outcome, was, scope) {
                continue;
            }
            if is_allowed(quirk, was, outcome) {
                let requirement = outcome.id.clone();
                changed.push(VerdictChange { requirement, before: was, after: outcome.verdict });
                continue;
            }
            let reason = outcome.reason.as_ref().map(|reason| reason.text.to_string());
            let why = Some(why(&outcome.id)).filter(|why| !why.is_empty()).or(reason);
            flagged.push(UnexpectedVerdict {
                requirement: outcome.id.clone(),
                verdict: outcome.verdict,
                why: format!("{} before; {}", was.as_str(), why.unwrap_or_default()),
            });
        }
        QuirkOutcome {
            name: quirk.name,
            kind: quirk.kind(),
            about: quirk.about,
            steady: quirk.is_steady(),
            flagged,
            changed,
        }
    }
}

/// Returns true if a difference comes from the selection of cases and not from the quirk.
fn says_nothing(outcome: &RequirementOutcome, was: RequirementVerdict, scope: Scope) -> bool {
    use RequirementVerdict::{Passed, Skipped, Untested};
    // A finding stands, however few cases were run.
    let is_mild = matches!(outcome.verdict, Untested | Skipped | Passed);
    is_mild && (outcome.verdict == Untested || was == Untested || scope == Scope::Few)
}

/// Returns true if a quirk may change a verdict like this: improvements; passed and skipped for ids
/// that it lists, which may also warn; blocked if the server refuses by its own policy.
fn is_allowed(quirk: &Quirk, was: RequirementVerdict, outcome: &RequirementOutcome) -> bool {
    use RequirementVerdict::{Blocked, Errored, Failed, Passed, Skipped, Untested, Warned};
    let listed = quirk.changes.contains(&outcome.id.as_str());
    match outcome.verdict {
        Failed | Errored => outcome.verdict < was,
        Warned => listed || was > Warned,
        Blocked => {
            was > Blocked
                || REFUSES.contains(&quirk.name)
                || outcome.reason.as_ref().is_some_and(is_policy)
                // Which request meets a limit last is not the quirk's affair, where nothing was decided before either.
                || was == Skipped && outcome.reason.as_ref().is_some_and(is_of_limit)
        }
        Passed | Skipped => listed || was > Passed,
        Untested => true,
    }
}

/// Quirks that sometimes refuse what a case needs: later steps are then out of reach.
const REFUSES: &[&str] = &["resource-limit"];

fn is_of_limit(reason: &RecordedReason) -> bool {
    reason.code.is(ReasonCode::RateLimited)
}

/// A server that refuses by its own policy leaves the question open: blocked is correct.
fn is_policy(reason: &RecordedReason) -> bool {
    reason.code.is(ReasonCode::RefusedByPolicy) || reason.text.contains("M_RESOURCE_LIMIT_EXCEEDED")
}

/// A requirement, with the faults that break it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequirementFaults {
    /// Its id.
    pub id: String,
    /// Its level.
    pub level: Level,
    /// True if a case or a standing check decides it on any server, whatever the settings of the
    /// reference homeserver.
    pub decided: bool,
    /// The number of faults that break it, by kind.
    pub faults: BTreeMap<&'static str, usize>,
    /// Their results.
    pub ends: BTreeMap<FaultEnd, usize>,
    /// The cases (and `standing::ID`) that caught those of them that show each time, in alphabetical order.
    pub caught_by: BTreeSet<String>,
}

impl RequirementFaults {
    /// A requirement without faults.
    pub(super) fn new(id: &str, level: Level, decided: bool) -> RequirementFaults {
        RequirementFaults {
            id: id.to_owned(),
            level,
            decided,
            faults: BTreeMap::new(),
            ends: BTreeMap::new(),
            caught_by: BTreeSet::new(),
        }
    }

    /// Returns true if it needs a fault and none was caught: it is decided, and is not a MAY.
    fn lacks_fault(&self) -> bool {
        let ended = |end| self.ends.contains_key(&end);
        let is_owed = self.decided && self.level != Level::May;
        is_owed && !ended(FaultEnd::Caught) && !ended(FaultEnd::Survived)
    }
}

/// The whole matrix, or the selected part.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Matrix {
    /// In the order of the catalogue.
    pub faults: Vec<FaultOutcome>,
    /// In the order of the catalogue.
    pub quirks: Vec<QuirkOutcome>,
    /// Selected requirements, and those that the faults break, in the order of the register.
    pub requirements: Vec<RequirementFaults>,
    /// Ids of selected and decided MUSTs and SHOULDs without a caught fault.
    pub without_fault: Vec<String>,
}

impl Matrix {
    /// Assembles the matrix. `requirements` are the rows of the register, without faults; `asked`
    /// tells which are selected.
    pub(super) fn of(
        faults: Vec<FaultOutcome>,
        quirks: Vec<QuirkOutcome>,
        mut requirements: Vec<RequirementFaults>,
        asked: &dyn Fn(&str) -> bool,
    ) -> Matrix {
        for row in &mut requirements {
            let of_row = faults.iter().filter(|fault| fault.requirement == row.id);
            for fault in of_row {
                *row.faults.entry(fault.kind.as_str()).or_default() += 1;
                *row.ends.entry(fault.end).or_default() += 1;
                let catchers = fault.caught_by.iter().filter(|_| fault.steady);
                row.caught_by.extend(catchers.cloned());
            }
        }
        requirements.retain(|row| !row.faults.is_empty() || row.decided && asked(&row.id));
        let open = requirements.iter().filter(|row| row.lacks_fault() && asked(&row.id));
        let without_fault = open.map(|row| row.id.clone()).collect();
        Matrix { faults, quirks, requirements, without_fault }
    }

    /// Returns true if every fault is caught by its requirement, no quirk is flagged, and every
    /// selected MUST and SHOULD that is decided has a fault.
    pub fn is_clean(&self) -> bool {
        self.faults.iter().all(FaultOutcome::is_clean)
            && self.quirks.iter().all(|quirk| quirk.flagged.is_empty())
            && self.without_fault.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::run::Mark;
    use crate::reference::{faults, quirks};

    fn caught() -> FaultOutcome {
        let fault = faults().unwrap().iter().find(|fault| fault.name == "login-201").unwrap();
        FaultOutcome {
            caught_by: vec!["good-login".to_owned()],
            ..FaultOutcome::of(fault, FaultEnd::Caught, None)
        }
    }

    fn row(level: Level, decided: bool) -> RequirementFaults {
        RequirementFaults::new("login.post.ok.status", level, decided)
    }

    fn of(faults: Vec<FaultOutcome>, rows: Vec<RequirementFaults>) -> Matrix {
        Matrix::of(faults, Vec::new(), rows, &|_| true)
    }

    fn red() -> UnexpectedVerdict {
        UnexpectedVerdict {
            requirement: "whoami.user".to_owned(),
            verdict: RequirementVerdict::Failed,
            why: String::new(),
        }
    }

    #[test]
    fn a_matrix_of_caught_faults_is_clean_and_says_who_caught_them() {
        let matrix = of(vec![caught(), caught()], vec![row(Level::Must, true)]);
        assert!(matrix.is_clean());
        let row = &matrix.requirements[0];
        assert_eq!((&row.faults["data"], &row.ends[&FaultEnd::Caught]), (&2, &2));
        assert_eq!(row.caught_by.iter().collect::<Vec<_>>(), ["good-login"]);
    }

    #[test]
    fn a_fault_that_survives_is_not_clean() {
        let end = FaultEnd::of(Some(Verdict::Failed), RequirementVerdict::Passed, false);
        assert_eq!(end, FaultEnd::Survived);
        let matrix = of(vec![FaultOutcome { end, ..caught() }], vec![row(Level::Must, true)]);
        assert!(!matrix.is_clean());
        // It is told once.
        assert!(matrix.without_fault.is_empty());
    }

    #[test]
    fn a_broken_must_that_only_warns_survives_unless_there_is_a_finding_of_its_gravity() {
        let (wanted, blocked) = (Some(Verdict::Failed), RequirementVerdict::Blocked);
        let warned = FaultEnd::of(wanted, RequirementVerdict::Warned, false);
        assert_eq!(warned, FaultEnd::Survived);
        assert_eq!(FaultEnd::of(wanted, blocked, true), FaultEnd::Caught);
        assert_eq!(FaultEnd::of(None, RequirementVerdict::Passed, false), FaultEnd::Observed);
    }

    #[test]
    fn a_fault_caught_only_through_another_requirement_is_not_clean() {
        let end = FaultEnd::of(Some(Verdict::Failed), RequirementVerdict::Passed, false);
        let elsewhere = FaultOutcome { end, unexpected: vec![red()], ..caught() };
        assert!(!of(vec![elsewhere], Vec::new()).is_clean());
        let both = FaultOutcome { unexpected: vec![red()], ..caught() };
        assert!(!of(vec![both], Vec::new()).is_clean());
    }

    #[test]
    fn a_decided_rule_without_a_caught_fault_is_not_clean() {
        for level in [Level::Must, Level::Should] {
            let matrix = of(Vec::new(), vec![row(level, true)]);
            assert_eq!(matrix.without_fault, ["login.post.ok.status"]);
            assert!(!matrix.is_clean());
            let unseen = FaultOutcome { end: FaultEnd::OutOfReach, ..caught() };
            assert!(!of(vec![unseen], vec![row(level, true)]).is_clean());
        }
        assert!(of(Vec::new(), vec![row(Level::May, true), row(Level::Must, false)]).is_clean());
        let of_others = |id: &str| id != "login.post.ok.status";
        let rows = vec![row(Level::Must, true)];
        assert!(Matrix::of(Vec::new(), Vec::new(), rows, &of_others).is_clean());
    }

    #[test]
    fn what_shows_now_and_then_does_not_say_by_which_cases() {
        let now_and_then = FaultOutcome { steady: false, ..caught() };
        let matrix = of(vec![now_and_then], vec![row(Level::Must, true)]);
        assert_eq!(matrix.requirements[0].ends[&FaultEnd::Caught], 1);
        assert!(matrix.requirements[0].caught_by.is_empty());
    }

    fn ended(id: &str, verdict: RequirementVerdict, code: &str) -> RequirementOutcome {
        RequirementOutcome {
            id: id.to_owned(),
            level: Level::Must,
            mark: Mark::Plain,
            security: false,
            title: String::new(),
            source_url: String::new(),
            applies: true,
            verdict,
            reason: Some(RecordedReason { code: code.into(), text: "".into() }),
            because: None,
            cases: Vec::new(),
        }
    }

    /// The quirk lists `refresh.early` and nothing else.
    fn with_quirk(
        id: &str,
        was: RequirementVerdict,
        is: RequirementVerdict,
        code: &str,
        scope: Scope,
    ) -> QuirkOutcome {
        let quirk = quirks().iter().find(|quirk| quirk.name == "no-refresh").unwrap();
        let (before, after) = (ended(id, was, ""), ended(id, is, code));
        QuirkOutcome::of(quirk, &[before], &[after], scope, &|_| String::new())
    }

    #[test]
    fn a_quirk_may_change_passed_and_skipped_only_where_it_says_so() {
        use RequirementVerdict::{Passed, Skipped};
        let listed = with_quirk("refresh.early", Passed, Skipped, "", Scope::All);
        assert!(listed.flagged.is_empty());
        assert_eq!(listed.changed[0].after, Skipped);
        for (was, is) in [(Passed, Skipped), (Skipped, Passed)] {
            let other = with_quirk("whoami.user", was, is, "", Scope::All);
            assert_eq!(other.flagged[0].verdict, is);
            let unseen = with_quirk("whoami.user", was, is, "", Scope::Few);
            assert!(unseen.flagged.is_empty() && unseen.changed.is_empty());
        }
    }

    #[test]
    fn a_quirk_may_make_nothing_worse() {
        use RequirementVerdict::{Blocked, Errored, Failed, Passed, Warned};
        for scope in [Scope::All, Scope::Few] {
            for is in [Warned, Blocked, Failed, Errored] {
                assert_eq!(with_quirk("whoami.user", Passed, is, "", scope).flagged.len(), 1);
            }
            let is_flagged =
                |is| !with_quirk("refresh.early", Passed, is, "", scope).flagged.is_empty();
            assert!(!is_flagged(Warned));
            assert!(is_flagged(Blocked) && is_flagged(Failed) && is_flagged(Errored));
            let better = with_quirk("whoami.user", Failed, Warned, "", scope);
            assert!(better.flagged.is_empty());
        }
        let refused = with_quirk("whoami.user", Passed, Blocked, "refused_by_policy", Scope::All);
        assert!(refused.flagged.is_empty());
    }
}
