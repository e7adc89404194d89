use std::collections::BTreeSet;

use blockraft_types::{Incarnation, Membership, NodeId};

use super::{CLOSE_BYTES_MAX, CLOSE_ENTRIES_MAX, Debt, Reserve, reserve};

fn members(nodes: &[u64]) -> impl Iterator<Item = (NodeId, Incarnation)> {
    nodes.iter().map(|node| (NodeId(*node), Incarnation::from_bytes([1; 16])))
}

fn voters(nodes: &[u64]) -> Membership {
    Membership::of_voters(members(nodes))
}

fn joint(incoming: &[u64], outgoing: &[u64]) -> Membership {
    Membership { outgoing: members(outgoing).collect(), ..voters(incoming) }
}

/// The judgement when these are level and everybody else lacks a terabyte.
fn with_close(membership: &Membership, close: &[u64]) -> Reserve {
    let debt = |(node, _): (NodeId, Incarnation)| {
        let bytes = if close.contains(&node.0) { 0 } else { 1 << 40 };
        Debt { node, bytes, entries: 0 }
    };
    reserve(membership, &membership.members().map(debt).collect::<Vec<_>>())
}

fn short(far: &[u64]) -> Reserve {
    Reserve::Short { far: far.iter().copied().map(NodeId).collect::<BTreeSet<_>>() }
}

#[test]
fn close_is_a_bound_in_bytes_and_one_in_entries() {
    let debt = |bytes, entries| Debt { node: NodeId(1), bytes, entries };
    assert!(debt(CLOSE_BYTES_MAX, CLOSE_ENTRIES_MAX).is_close());
    assert!(!debt(CLOSE_BYTES_MAX + 1, 0).is_close());
    assert!(!debt(0, CLOSE_ENTRIES_MAX + 1).is_close());
}

#[test]
fn a_majority_and_one_more_must_be_close() {
    let three = voters(&[1, 2, 3]);
    assert_eq!(with_close(&three, &[1, 2, 3]), Reserve::Enough);
    assert_eq!(with_close(&three, &[1, 3]), short(&[2]));
    let four = voters(&[1, 2, 3, 4]);
    assert_eq!(with_close(&four, &[1, 2, 3, 4]), Reserve::Enough);
    assert_eq!(with_close(&four, &[1, 2, 3]), short(&[4]));
    let five = voters(&[1, 2, 3, 4, 5]);
    assert_eq!(with_close(&five, &[1, 2, 3, 5]), Reserve::Enough);
    assert_eq!(with_close(&five, &[1, 2, 3]), short(&[4, 5]));
}

#[test]
fn groups_of_one_and_two_have_nobody_in_reserve_and_nothing_to_warn_of() {
    assert_eq!(with_close(&voters(&[1]), &[1]), Reserve::Impossible);
    assert_eq!(with_close(&voters(&[1, 2]), &[1, 2]), Reserve::Impossible);
    assert_eq!(with_close(&voters(&[1, 2]), &[1]), Reserve::Impossible);
    assert_eq!(reserve(&Membership::default(), &[]), Reserve::Impossible);
}

#[test]
fn while_two_configurations_are_in_force_both_must_have_enough() {
    let replaced = joint(&[1, 2, 4], &[1, 2, 3]);
    assert_eq!(with_close(&replaced, &[1, 2, 3, 4]), Reserve::Enough);
    assert_eq!(with_close(&replaced, &[1, 2, 3]), short(&[4]));
    assert_eq!(with_close(&replaced, &[1, 2, 4]), short(&[3]));
    assert_eq!(with_close(&replaced, &[1, 2]), short(&[3, 4]));
}

#[test]
fn of_two_configurations_the_one_that_can_have_enough_is_judged() {
    let growing = joint(&[1, 2, 3], &[1, 2]);
    assert_eq!(with_close(&growing, &[1, 2, 3]), Reserve::Enough);
    assert_eq!(with_close(&growing, &[1, 2]), short(&[3]));
    assert_eq!(with_close(&joint(&[1, 2], &[1]), &[1]), Reserve::Impossible);
}

#[test]
fn learners_are_not_counted_and_voters_without_a_debt_are_far() {
    let mut membership = voters(&[1, 2, 3]);
    membership.learners = members(&[4]).collect();
    assert_eq!(with_close(&membership, &[1, 2, 4]), short(&[3]));
    let known: Vec<Debt> = [1, 2].map(|node| Debt { node: NodeId(node), bytes: 0, entries: 0 }).into();
    assert_eq!(reserve(&membership, &known), short(&[3]));
}
