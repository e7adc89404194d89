use blockraft_types::{ClusterId, GroupId, Incarnation, LogIndex, Membership, NodeId, Position, Term};

use super::{RestoreError, Restored};

fn born() -> Restored {
    let membership = Membership::of_voters([(NodeId(1), Incarnation::from_bytes([1; 16]))]);
    Restored::born(NodeId(1), ClusterId::from_bytes([1; 16]), GroupId(0), membership)
}

#[test]
fn a_member_is_born_with_an_empty_log() {
    assert!(born().check().is_ok());
}

#[test]
fn contradictions_are_refused_by_name() {
    assert_eq!(Restored { id: NodeId(0), ..born() }.check().err(), Some(RestoreError::NoId));
    let applied = Restored { applied: LogIndex(2), ..born() };
    let beyond = RestoreError::AppliedBeyondLog { applied: LogIndex(2), last: LogIndex(0) };
    assert_eq!(applied.check().err(), Some(beyond));
    let position = Position { term: Term(1), index: LogIndex(1) };
    let terms = Restored { terms: [position].into(), ..born() };
    assert_eq!(terms.check().err(), Some(RestoreError::Terms));
    let mut too_long = born();
    too_long.last.position = position;
    assert_eq!(too_long.check().err(), Some(RestoreError::Terms));
    too_long.terms = [position].into();
    assert_eq!(too_long.check().err(), Some(RestoreError::HardStateTooOld { last: position }));
    too_long.hard_state.term = Term(1);
    assert_eq!(too_long.check().err(), Some(RestoreError::Tail { index: LogIndex(1) }));
    let membership = Restored { membership_index: LogIndex(1), ..born() };
    assert_eq!(membership.check().err(), Some(RestoreError::MembershipNotApplied { index: LogIndex(1) }));
}
