use std::collections::BTreeMap;
use std::vec::Vec;

use blockraft_types::message::VoteVerdict;
use blockraft_types::{Incarnation, Membership, NodeId};
use proptest::prelude::*;

use super::{Electorate, Tally};
use crate::Config;

fn half(ids: &[u64]) -> BTreeMap<NodeId, Incarnation> {
    ids.iter().map(|&id| (NodeId(id), Incarnation::from_bytes([0; 16]))).collect()
}

fn ids() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::btree_set(1_u64..9, 0..7).prop_map(|ids| ids.into_iter().collect())
}

/// The definition: more than half of each half that has anybody, and somebody at all.
fn naive(membership: &Membership, yes: impl Fn(NodeId) -> bool) -> bool {
    let more_than_half =
        |half: &BTreeMap<NodeId, Incarnation>| half.keys().filter(|node| yes(**node)).count() * 2 > half.len();
    more_than_half(&membership.voters) && (membership.outgoing.is_empty() || more_than_half(&membership.outgoing))
}

proptest! {
    #[test]
    fn a_majority_is_what_the_naive_rule_says(
        voters in ids(), outgoing in ids(), learners in ids(), values in prop::collection::vec(0_u64..5, 9),
    ) {
        let membership =
            Membership { voters: half(&voters), outgoing: half(&outgoing), learners: half(&learners), ..Membership::default() };
        let config = Config::default();
        let electorate = Electorate::new(&membership, &config);
        let value = |node: NodeId| values.get(node.0 as usize).copied().unwrap_or_default();
        let expected = (0..5).rev().find(|&at_least| naive(&membership, |node| at_least <= value(node)));
        prop_assert_eq!(electorate.reached(value), expected);
        for at_least in 0..6 {
            let yes = |node| at_least <= value(node);
            prop_assert_eq!(electorate.agrees(yes), naive(&membership, yes));
        }
    }

    #[test]
    fn an_election_is_lost_exactly_when_it_can_no_longer_be_won(
        voters in ids(), outgoing in ids(), values in prop::collection::vec(0_u64..3, 9),
    ) {
        let membership = Membership { voters: half(&voters), outgoing: half(&outgoing), ..Membership::default() };
        let config = Config::default();
        let verdict = |node: NodeId| match values.get(node.0 as usize) {
            Some(1) => Some(VoteVerdict::Granted),
            Some(2) => Some(VoteVerdict::Refused),
            _ => None,
        };
        let expected = if naive(&membership, |node| verdict(node) == Some(VoteVerdict::Granted)) {
            Tally::Won
        } else if naive(&membership, |node| verdict(node) != Some(VoteVerdict::Refused)) {
            Tally::Open
        } else {
            Tally::Lost
        };
        prop_assert_eq!(Electorate::new(&membership, &config).tally(verdict), expected);
    }

    #[test]
    fn two_majorities_of_one_configuration_share_a_voter(
        voters in ids(), outgoing in ids(), some in prop::collection::vec(any::<bool>(), 9),
    ) {
        let membership = Membership { voters: half(&voters), outgoing: half(&outgoing), ..Membership::default() };
        let config = Config::default();
        let electorate = Electorate::new(&membership, &config);
        let says = |node: NodeId| some.get(node.0 as usize) == Some(&true);
        prop_assert!(!(electorate.agrees(says) && electorate.agrees(|node| !says(node))));
    }
}
