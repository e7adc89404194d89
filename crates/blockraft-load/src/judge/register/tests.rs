use proptest::prelude::*;

use super::{FinalState, Search, Step, Transition, search};
use Transition::{Create, MaybeDelete, MaybePut, Remove, SeeAbsent, SeePresent};

fn step(invoked: u64, returned: u64, transition: Transition) -> Step {
    Step { invoked, returned, transition }
}

fn ends(steps: &[Step]) -> FinalState {
    match search(steps) {
        Search::Explained { end } => end,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_happened_one_after_the_other_is_explained() {
    let steps = [step(0, 1, Create), step(2, 3, SeePresent), step(4, 5, Remove), step(6, 7, SeeAbsent)];
    assert_eq!(ends(&steps), FinalState::Absent);
    assert_eq!(ends(&steps[..2]), FinalState::Present);
}

#[test]
fn a_stale_absence_is_not() {
    assert_eq!(search(&[step(0, 1, Create), step(2, 3, SeeAbsent)]), Search::Unexplained { step: 1 });
}

#[test]
fn a_block_is_not_created_twice() {
    assert_eq!(search(&[step(0, 9, Create), step(1, 8, Create)]), Search::Unexplained { step: 0 });
}

#[test]
fn concurrent_answers_may_take_any_order() {
    assert_eq!(ends(&[step(0, 9, Create), step(1, 2, SeeAbsent), step(3, 4, SeePresent)]), FinalState::Present);
    assert_eq!(
        search(&[step(0, 9, Create), step(1, 2, SeePresent), step(3, 4, SeeAbsent)]),
        Search::Unexplained { step: 2 }
    );
}

#[test]
fn an_unknown_put_may_land_at_any_time_but_once() {
    let lands_late = [step(0, 1, MaybePut), step(2, 3, SeeAbsent), step(90, 91, SeePresent)];
    assert_eq!(ends(&lands_late), FinalState::Present);
    let lands_twice = [
        step(0, 1, MaybePut),
        step(2, 3, SeePresent),
        step(4, 5, Remove),
        step(6, 7, SeeAbsent),
        step(8, 9, SeePresent),
    ];
    assert_eq!(search(&lands_twice), Search::Unexplained { step: 4 });
}

#[test]
fn what_nobody_knows_leaves_the_end_open() {
    assert_eq!(ends(&[step(0, 1, MaybePut)]), FinalState::Either);
    assert_eq!(ends(&[step(0, 1, Create), step(2, 3, MaybeDelete)]), FinalState::Either);
    assert_eq!(ends(&[step(0, 1, Create), step(2, 3, MaybePut)]), FinalState::Present);
    assert_eq!(ends(&[]), FinalState::Absent);
}

#[test]
fn too_many_at_once_is_no_verdict() {
    let crowd: Vec<Step> = (0..70).map(|at| step(at, 1_000, SeeAbsent)).collect();
    assert_eq!(search(&crowd), Search::Undecided);
}

/// Tries every order: what the search is measured against.
fn any_order_explains(steps: &[Step], taken: u32, present: bool) -> bool {
    let open = |number: usize| taken & (1 << number) == 0;
    let is_unknown = |step: &Step| matches!(step.transition, MaybePut | MaybeDelete);
    if steps.iter().enumerate().all(|(number, step)| !open(number) || is_unknown(step)) {
        return true;
    }
    (0..steps.len()).filter(|&number| open(number)).any(|number| {
        let overtakes =
            |(other, step): (usize, &Step)| open(other) && !is_unknown(step) && step.returned < steps[number].invoked;
        if steps.iter().enumerate().any(overtakes) {
            return false;
        }
        let after = match (steps[number].transition, present) {
            (Create, false) | (SeePresent, true) | (MaybePut, _) => true,
            (Remove, true) | (SeeAbsent, false) | (MaybeDelete, _) => false,
            _ => return false,
        };
        any_order_explains(steps, taken | 1 << number, after)
    })
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let transition = prop_oneof![
        3 => Just(Create), 3 => Just(Remove), 3 => Just(SeePresent), 3 => Just(SeeAbsent),
        1 => Just(MaybePut), 1 => Just(MaybeDelete),
    ];
    let step = (0..20_u64, 0..8_u64, transition).prop_map(|(at, took, what)| step(at, at + took, what));
    prop::collection::vec(step, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_search_finds_an_order_exactly_when_there_is_one(steps in any_steps()) {
        let explained = matches!(search(&steps), Search::Explained { .. });
        prop_assert_eq!(explained, any_order_explains(&steps, 0, false));
    }
}
