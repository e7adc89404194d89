use alloc::format;
use alloc::string::ToString;

use proptest::prelude::*;

use crate::{
    BodyDigest, ChainDigest, ClusterId, EntryHead, EntryKind, GroupId, Incarnation, LogIndex, Membership, NodeId,
    PersistNumber, PersistTicket, Position, Sequence, SessionId, Term, Turns, session,
};

fn membership(voters: u64) -> Membership {
    Membership::of_voters((1..=voters).map(|id| (NodeId(id), Incarnation::from_bytes([id as u8; 16]))))
}

#[test]
fn an_up_to_date_log_is_one_of_a_later_term_before_a_longer_one() {
    let position = |term, index| Position { term: Term(term), index: LogIndex(index) };
    assert!(position(2, 9) < position(3, 1));
    assert!(position(3, 1) < position(3, 2));
}

#[test]
fn logs_of_two_clusters_differ_before_their_first_entry() {
    let members = membership(3);
    let cluster = |byte| ClusterId::from_bytes([byte; 16]);
    let genesis = ChainDigest::genesis(cluster(1), GroupId(0), &members);
    assert_ne!(genesis, ChainDigest::genesis(cluster(2), GroupId(0), &members));
    assert_ne!(genesis, ChainDigest::genesis(cluster(1), GroupId(1), &members));
    assert_ne!(genesis, ChainDigest::genesis(cluster(1), GroupId(0), &membership(4)));
}

#[test]
fn members_of_a_joint_configuration_are_named_once() {
    let mut joint = membership(3);
    joint.outgoing = membership(2).voters;
    joint.learners.insert(NodeId(9), Incarnation::from_bytes([9; 16]));
    let ids: alloc::vec::Vec<u64> = joint.members().map(|(node, _)| node.0).collect();
    assert_eq!(ids, [1, 2, 3, 9]);
    assert!(joint.is_joint());
    assert!(!joint.is_voter(NodeId(9)));
    assert_eq!(joint.incarnation(NodeId(9)), Some(Incarnation::from_bytes([9; 16])));
}

#[test]
fn who_went_and_was_not_replaced_is_removed_for_ever() {
    let mut members = membership(3);
    assert_eq!((members.next_id(), members.is_removed(NodeId(2))), (NodeId(4), false));
    members.voters.remove(&NodeId(2));
    members.removed_through = Some(NodeId(2));
    assert!(members.is_removed(NodeId(2)) && !members.is_removed(NodeId(1)) && !members.is_removed(NodeId(9)));
    members.voters.remove(&NodeId(3));
    members.removed_through = Some(NodeId(3));
    assert_eq!(members.next_id(), NodeId(4), "the highest id is not given again");
}

#[test]
fn a_ticket_becomes_the_receipt_of_its_own_batch() {
    let receipt = PersistTicket::new(GroupId(4), PersistNumber(8)).redeem();
    assert_eq!((receipt.group(), receipt.number()), (GroupId(4), PersistNumber(8)));
}

#[test]
fn indexes_and_terms_saturate_instead_of_wrapping() {
    assert_eq!(LogIndex(u64::MAX).next(), LogIndex(u64::MAX));
    assert_eq!(LogIndex::ZERO.previous(), LogIndex::ZERO);
    assert_eq!(Term(u64::MAX).next(), Term(u64::MAX));
    assert_eq!(LogIndex(3).since(LogIndex(5)), 0);
}

proptest! {
    #[test]
    fn any_change_of_an_entry_changes_its_chain(term in 0u64..9, index in 0u64..9, body in prop::collection::vec(any::<u8>(), 0..9)) {
        let genesis = ChainDigest::genesis(ClusterId::from_bytes([0; 16]), GroupId(0), &membership(1));
        let position = Position { term: Term(term), index: LogIndex(index) };
        let head = EntryHead::chained(genesis, position, EntryKind::Command, body.len() as u32, BodyDigest::of(&body));
        prop_assert!(head.follows(genesis));
        for other in [
            EntryHead { position: Position { term: Term(term + 1), ..position }, ..head.clone() },
            EntryHead { position: Position { index: LogIndex(index + 1), ..position }, ..head.clone() },
            EntryHead { kind: EntryKind::Blank, ..head.clone() },
            EntryHead { body_bytes: head.body_bytes + 1, ..head.clone() },
        ] {
            prop_assert!(!other.follows(genesis));
        }
    }

    #[test]
    fn a_membership_reads_back_what_it_encodes_and_nothing_else(
        halves in prop::collection::vec(prop::collection::btree_map(1_u64..9, any::<[u8; 16]>(), 0..4), 3),
        removed in prop::option::of(1_u64..20), addresses in prop::collection::btree_map(1_u64..9, ".{0,9}", 0..3),
        cut in any::<prop::sample::Index>(), noise in prop::collection::vec(any::<u8>(), 0..99),
    ) {
        let half = |at: usize| halves[at].iter().map(|(node, i)| (NodeId(*node), Incarnation::from_bytes(*i))).collect();
        let membership = Membership {
            voters: half(0),
            outgoing: half(1),
            learners: half(2),
            removed_through: removed.map(NodeId),
            addresses: addresses.into_iter().map(|(node, address)| (NodeId(node), address)).collect(),
        };
        let bytes = membership.encode();
        prop_assert_eq!(Membership::decode(&bytes), Ok(membership.clone()));
        let cut = &bytes[..cut.index(bytes.len())];
        prop_assert_ne!(Membership::decode(cut), Ok(membership));
        if let Ok(found) = Membership::decode(&noise) {
            prop_assert_eq!(found.encode(), noise);
        }
    }

    #[test]
    fn random_ids_read_back_what_they_print(bytes in any::<[u8; 16]>()) {
        let id = ClusterId::from_bytes(bytes);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        prop_assert_eq!(format!("{id:?}").len(), "ClusterId()".len() + 32);
    }

    #[test]
    fn other_text_is_no_id(text in "[0-9a-g]{0,40}") {
        let good = text.len() == 32 && !text.contains('g');
        prop_assert_eq!(text.parse::<Incarnation>().is_ok(), good);
    }
}

#[test]
fn a_session_has_so_many_unanswered_commands_and_no_more() {
    let mut turns = Turns::new(SessionId { opened: LogIndex(5), number: 2 });
    assert_eq!(turns.begin(session::UNANSWERED_MAX + 1), None);
    let first = turns.begin(1).unwrap();
    let rest = turns.begin(session::UNANSWERED_MAX - 1).unwrap();
    assert_eq!((first, rest, turns.begin(1)), (Sequence(1), Sequence(2), None));
    turns.end(rest);
    assert_eq!(turns.begin(1), None, "the first one is unanswered");
    turns.end(first);
    let next = turns.begin(1).unwrap();
    assert_eq!(next, Sequence(session::UNANSWERED_MAX + 1));
    assert_eq!((turns.turn(next).first_unanswered, turns.turn(next).plus(3).sequence), (next, next.plus(3)));
}
