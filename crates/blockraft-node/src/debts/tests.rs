use blockraft_exchange::Reserve;
use blockraft_types::NodeId;

use super::{Crier, News};

fn short() -> Reserve {
    Reserve::Short { far: [NodeId(3)].into() }
}

/// What is said at each of these looks.
fn said(crier: &mut Crier, seen: Option<&Reserve>, looks: usize) -> Vec<News> {
    (0..looks).filter_map(|_| crier.cry(seen)).collect()
}

#[test]
fn it_is_said_once_that_too_few_are_close_and_once_that_there_are_enough() {
    let mut crier = Crier::default();
    assert_eq!(said(&mut crier, Some(&Reserve::Enough), 10), [], "all is well, as expected");
    assert_eq!(said(&mut crier, Some(&short()), 10), [News::Short]);
    assert_eq!(said(&mut crier, Some(&Reserve::Enough), 10), [News::Enough]);
    assert_eq!(said(&mut crier, Some(&short()), 10), [News::Short]);
}

#[test]
fn nothing_is_said_of_what_does_not_last() {
    let mut crier = Crier::default();
    for _ in 0..10 {
        assert_eq!(said(&mut crier, Some(&short()), 2), []);
        assert_eq!(said(&mut crier, Some(&Reserve::Enough), 1), []);
    }
}

#[test]
fn who_leads_no_more_says_nothing_and_begins_anew_when_it_leads_again() {
    let mut crier = Crier::default();
    assert_eq!(said(&mut crier, Some(&short()), 3), [News::Short]);
    assert_eq!(said(&mut crier, None, 10), []);
    assert_eq!(said(&mut crier, Some(&Reserve::Enough), 10), []);
    assert_eq!(said(&mut crier, Some(&short()), 3), [News::Short]);
}

#[test]
fn groups_that_can_have_nobody_in_reserve_are_not_warned_of() {
    let mut crier = Crier::default();
    assert_eq!(said(&mut crier, Some(&Reserve::Impossible), 10), []);
}
