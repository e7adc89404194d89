use std::collections::BTreeSet;

use blockraft_types::{ChangeRefusal, Incarnation, Membership, MembershipChange, NodeId};
use proptest::prelude::*;

use super::{Planned, left, plan, reverted};
use crate::Config;

fn incarnation(node: u64) -> Incarnation {
    Incarnation::from_bytes([node as u8; 16])
}

fn of(voters: &[u64], learners: &[u64]) -> Membership {
    let mut membership = Membership::of_voters(voters.iter().map(|node| (NodeId(*node), incarnation(*node))));
    membership.learners = learners.iter().map(|node| (NodeId(*node), incarnation(*node))).collect();
    membership
}

fn reconfigure(promote: &[u64], remove: &[u64]) -> MembershipChange {
    let set = |nodes: &[u64]| nodes.iter().map(|node| NodeId(*node)).collect::<BTreeSet<_>>();
    MembershipChange::Reconfigure { promote: set(promote), remove: set(remove) }
}

fn next(current: &Membership, change: &MembershipChange) -> Membership {
    match plan(current, change, &Config::default()).expect("the change makes sense") {
        Planned::Next(next) => next,
        Planned::AlreadySo => panic!("it changes something"),
    }
}

#[test]
fn a_replacement_is_one_step_in_and_one_step_out() {
    let joint = next(&of(&[1, 2, 3], &[4]), &reconfigure(&[4], &[1]));
    assert_eq!((&joint.voters, &joint.outgoing), (&of(&[2, 3, 4], &[]).voters, &of(&[1, 2, 3], &[]).voters));
    assert!(
        joint.learners.is_empty() && !joint.is_removed(NodeId(1)),
        "node 1 is a member until the joint one is left"
    );
    let after = left(&joint);
    assert_eq!((after.voters.len(), after.is_joint(), after.is_removed(NodeId(1))), (3, false, true));
}

#[test]
fn what_is_given_up_leaves_the_old_voters_and_makes_the_promoted_learners_again() {
    let before = of(&[1, 2, 3], &[4, 5]);
    assert_eq!(reverted(&next(&before, &reconfigure(&[4, 5], &[1, 2]))), before);
}

#[test]
fn the_address_of_a_member_goes_with_it() {
    let address = Some("10.0.0.4:4001".into());
    let change = MembershipChange::AddLearner { node: NodeId(4), incarnation: incarnation(4), address };
    let with = next(&of(&[1, 2, 3], &[]), &change);
    assert_eq!(with.addresses.len(), 1);
    assert!(next(&with, &reconfigure(&[], &[4])).addresses.is_empty());
}

#[test]
fn a_group_is_bounded() {
    let mut membership = of(&[1], &[]);
    let add =
        |node: u64| MembershipChange::AddLearner { node: NodeId(node), incarnation: incarnation(node), address: None };
    for node in 2..=16 {
        membership = next(&membership, &add(node));
    }
    assert_eq!(plan(&membership, &add(17), &Config::default()), Err(ChangeRefusal::TooManyMembers));
}

proptest! {
    #[test]
    fn members_change_only_as_asked(
        voters in prop::collection::btree_set(1_u64..9, 1..6), learners in prop::collection::btree_set(9_u64..14, 0..4),
        promote in prop::collection::btree_set(1_u64..16, 0..3), remove in prop::collection::btree_set(1_u64..16, 0..3),
    ) {
        let list = |set: &BTreeSet<u64>| set.iter().copied().collect::<std::vec::Vec<_>>();
        let current = of(&list(&voters), &list(&learners));
        let change = reconfigure(&list(&promote), &list(&remove));
        if let Ok(Planned::Next(next)) = plan(&current, &change, &Config::default()) {
            let joined: BTreeSet<u64> = voters.union(&promote).copied().collect();
            let expected: BTreeSet<u64> = joined.difference(&remove).copied().collect();
            prop_assert_eq!(next.voters.keys().map(|node| node.0).collect::<BTreeSet<_>>(), expected);
            let settled = if next.is_joint() {
                prop_assert_eq!(&next.outgoing, &current.voters);
                left(&next)
            } else {
                prop_assert_eq!(&next.voters, &current.voters);
                next
            };
            for node in voters.iter().chain(&learners) {
                prop_assert_eq!(settled.is_removed(NodeId(*node)), remove.contains(node));
            }
            prop_assert!(settled.voters.keys().all(|node| !settled.learners.contains_key(node)));
            prop_assert_eq!(plan(&settled, &change, &Config::default()), Ok(Planned::AlreadySo));
        }
    }
}
