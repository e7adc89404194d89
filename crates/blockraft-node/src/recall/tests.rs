use blockraft_types::{LogIndex, NodeId, Term};

use super::{BehindItsPast, Recollection};
use crate::witness::Past;

fn past(term: u64, index: u64) -> Past {
    Past { term: Term(term), voted_for: None, index: LogIndex(index) }
}

/// Node 1, which starts with term 5 and entry 50 on its disks and waits for nodes 2 and 3.
fn starting() -> Recollection {
    Recollection::new(NodeId(1), past(5, 50), [NodeId(2), NodeId(3)].into())
}

#[test]
fn nothing_is_exchanged_with_a_peer_before_it_has_answered() {
    let mut recollection = starting();
    recollection.answer(NodeId(2), past(5, 50)).expect("nothing is lacking");
    assert!(recollection.has_answered(NodeId(2)) && !recollection.has_answered(NodeId(3)));
    assert!(!recollection.is_complete());
    recollection.take_part();
    assert!(recollection.is_complete() && !recollection.has_answered(NodeId(3)), "it was away, and is asked still");
    recollection.answer(NodeId(3), past(4, 90)).expect("nothing is lacking");
    assert!(recollection.has_answered(NodeId(3)));
}

#[test]
fn a_witness_that_comes_late_is_believed_as_one_that_was_there() {
    let mut recollection = starting();
    recollection.take_part();
    let behind = recollection.answer(NodeId(3), past(5, 51)).expect_err("an entry is lacking");
    assert_eq!(behind, BehindItsPast { node: NodeId(1), by: NodeId(3), remembered: past(5, 51), own: past(5, 50) });
    assert!(!recollection.has_answered(NodeId(3)));
}

#[test]
fn what_a_peer_learns_after_its_answer_is_no_earlier_life() {
    let mut recollection = starting();
    recollection.answer(NodeId(2), past(5, 50)).expect("nothing is lacking");
    recollection.answer(NodeId(2), past(6, 60)).expect("the question was asked twice, and they have talked since");
}
