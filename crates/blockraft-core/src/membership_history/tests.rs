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

/// On the way from so many voters to so many.
fn joint(outgoing: u64, voters: u64) -> Membership {
    Membership { outgoing: of(outgoing).voters, ..of(voters) }
}

#[test]
fn who_went_with_a_configuration_is_known_for_as_long_as_the_log_shows_it() {
    let mut history = MembershipHistory::new(of(3), LogIndex(0));
    history.append(LogIndex(2), joint(3, 2));
    assert_eq!(history.departed(), [].into());
    history.append(LogIndex(3), of(2));
    assert_eq!(history.departed(), [(NodeId(3), LogIndex(3))].into(), "committed or not");
    history.append(LogIndex(4), joint(2, 1));
    history.append(LogIndex(5), of(1));
    history.commit(LogIndex(5));
    let both = [(NodeId(3), LogIndex(3)), (NodeId(2), LogIndex(5))].into();
    assert_eq!(history.departed(), both);
    let earlier = [(2, joint(3, 2)), (3, of(2)), (4, joint(2, 1))].map(|(at, membership)| (LogIndex(at), membership));
    assert_eq!(MembershipHistory::after(&earlier, of(1), LogIndex(5)).departed(), both, "also after a restart");
    history.forget_through(LogIndex(3));
    assert_eq!(history.departed(), [(NodeId(2), LogIndex(5))].into());
}

#[test]
fn who_goes_with_an_entry_that_is_dropped_has_not_gone() {
    let mut history = MembershipHistory::new(of(3), LogIndex(0));
    history.append(LogIndex(2), joint(3, 2));
    history.append(LogIndex(3), of(2));
    history.truncate_from(LogIndex(3));
    assert_eq!(history.departed(), [].into());
}

#[test]
fn who_went_in_a_forced_recovery_is_not_led_any_more() {
    let mut history = MembershipHistory::new(of(3), LogIndex(0));
    history.append(LogIndex(3), of(1));
    assert_eq!(history.departed(), [].into());
    let mut amid_a_change = MembershipHistory::new(joint(3, 2), LogIndex(2));
    amid_a_change.append(LogIndex(3), of(1));
    assert_eq!(amid_a_change.departed(), [].into());
}
