//! Laws of verdicts and their counts.
use super::*;
use proptest::prelude::*;

#[test]
fn verdicts_are_ordered_by_severity_and_three_of_them_decide() {
    use Verdict::{Blocked, Errored, Failed, Passed, Skipped, Warned};
    let order = [Skipped, Passed, Warned, Blocked, Failed, Errored];
    assert_eq!(Verdict::ALL, order);
    assert!(order.is_sorted());
    let decided: Vec<Verdict> = order.into_iter().filter(|verdict| verdict.is_decided()).collect();
    assert_eq!(decided, [Passed, Warned, Failed]);
    assert_eq!(RequirementVerdict::Untested.verdict(), None);
    for verdict in order {
        assert_eq!(RequirementVerdict::from(verdict).verdict(), Some(verdict));
        assert_eq!(RequirementVerdict::from(verdict).as_str(), verdict.as_str());
    }
}

proptest! {
    #[test]
    fn a_tally_counts_each_verdict_as_often_as_it_is_there(
        all in prop::collection::vec(prop::sample::select(RequirementVerdict::ALL), 0..30),
    ) {
        let count = |wanted: RequirementVerdict| all.iter().filter(|one| **one == wanted).count();
        let tally: Tally = all.iter().filter_map(|one| one.verdict()).collect();
        for verdict in Verdict::ALL {
            prop_assert_eq!(tally.of(*verdict), count((*verdict).into()));
        }
        let untested = count(RequirementVerdict::Untested);
        prop_assert_eq!(tally.total(), all.len() - untested);
        let of_requirements: RequirementTally = all.iter().copied().collect();
        prop_assert_eq!(of_requirements.untested, untested);
        let shown = [
            of_requirements.skipped, of_requirements.passed, of_requirements.warned, of_requirements.blocked,
            of_requirements.failed, of_requirements.errored,
        ];
        prop_assert_eq!(shown.to_vec(), Verdict::ALL.iter().map(|one| tally.of(*one)).collect::<Vec<_>>());
        let decided = Verdict::ALL.iter().filter(|one| one.is_decided()).map(|one| tally.of(*one));
        prop_assert_eq!(of_requirements.decided(), decided.sum::<usize>());
    }
}
