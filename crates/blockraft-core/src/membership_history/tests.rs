use blockraft_types::{Incarnation, LogIndex, Membership, NodeId};

use super::MembershipHistory;

fn of(voters: u64) -> Membership {
    Membership::of_voters((1..=voters).map(|id| (NodeId(id), Incarnation::from_bytes([0; 16]))))
}

#[test]
fn a_configuration_is_in_force_from_its_append_until_it_is_truncated() {
    let mut history = MembershipHistory::new(of(1), LogIndex(0));
    history.append(LogIndex(3), of(2));
    history.append(LogIndex(5), of(3));
    assert_eq!(history.current(), &of(3));
    history.truncate_from(LogIndex(5));
    assert_eq!(history.current(), &of(2));
    history.truncate_from(LogIndex(1));
    assert_eq!(history.current(), &of(1));
}

#[test]
fn a_committed_configuration_is_never_rolled_back() {
    let mut history = MembershipHistory::new(of(1), LogIndex(0));
    history.append(LogIndex(3), of(2));
    history.append(LogIndex(5), of(3));
    history.commit(LogIndex(4));
    history.truncate_from(LogIndex(5));
    assert_eq!(history.current(), &of(2));
    history.truncate_from(LogIndex(1));
    assert_eq!(history.current(), &of(2));
}
