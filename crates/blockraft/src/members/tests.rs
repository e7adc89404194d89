//! Whom a node admits: everybody with a good certificate but a member under another incarnation, and who was removed.

use blockraft_node::{InForce, Standing};
use blockraft_transport::Peer;
use blockraft_transport_quic::{IdentityPolicy, IdentityRefusal};
use blockraft_types::{BootNonce, Incarnation, LogIndex, Membership, NodeId};

use futures::FutureExt;

use super::KnownMembers;

fn peer(node: u64, incarnation: u8) -> Peer {
    Peer { node: NodeId(node), incarnation: Incarnation::from_bytes([incarnation; 16]), boot: BootNonce(7) }
}

#[test]
fn a_member_is_known_by_its_incarnation_and_a_stranger_is_admitted() {
    let members = [peer(1, 1), peer(2, 2), peer(3, 3)];
    let voters = members.map(|member| (member.node, member.incarnation));
    let known = KnownMembers::new(Membership::of_voters(voters));
    for member in members {
        assert_eq!(known.admit(member), Ok(()));
    }
    // Wiped and made anew under its old id.
    assert_eq!(known.admit(peer(2, 9)), Err(IdentityRefusal::OtherIncarnation));
    // Another member's directory.
    assert_eq!(known.admit(peer(2, 3)), Err(IdentityRefusal::OtherIncarnation));
    assert_eq!(known.admit(peer(4, 9)), Ok(()));
}

#[tokio::test]
async fn the_word_of_one_peer_that_this_node_was_removed_is_enough_and_no_other_refusal_is() {
    let known = KnownMembers::new(Membership::default());
    known.refused_by(NodeId(2), IdentityRefusal::OtherIncarnation);
    assert_eq!(known.disowned().now_or_never(), None, "that peer may be behind");
    known.refused_by(NodeId(3), IdentityRefusal::Removed);
    assert_eq!(known.disowned().await, (NodeId(3), IdentityRefusal::Removed));
}

#[test]
fn of_two_living_starts_of_one_member_the_earlier_is_refused_once_the_later_was_seen() {
    let members = Membership::of_voters([peer(1, 1), peer(2, 2)].map(|peer| (peer.node, peer.incarnation)));
    let known = KnownMembers::new(members);
    let start = |boot| Peer { boot: BootNonce(boot), ..peer(2, 2) };
    // It is killed and started again, and each start has two connections and may lose them.
    for boot in [1, 1, 1, 2, 2, 3] {
        assert_eq!(known.admit(start(boot)), Ok(()), "start {boot}");
    }
    assert_eq!(known.admit(start(2)), Err(IdentityRefusal::Superseded));
    assert_eq!(known.admit(start(1)), Err(IdentityRefusal::Superseded));
    assert_eq!(known.admit(start(3)), Ok(()));
    for boot in 10..100 {
        assert_eq!(known.admit(start(boot)), Ok(()));
    }
    assert_eq!(
        known.starts.lock().expect("nobody panicked").get(&NodeId(2)).map(|starts| starts.earlier.len()),
        Some(16)
    );
}

#[test]
fn a_removed_member_is_refused_once_its_removal_is_committed_and_not_before() {
    let before = Membership::of_voters([peer(1, 1), peer(2, 2), peer(3, 3)].map(|peer| (peer.node, peer.incarnation)));
    let mut membership = before.clone();
    membership.voters.remove(&NodeId(3));
    membership.removed_through = Some(NodeId(3));
    let known = KnownMembers::new(before);
    let told = |standing| InForce { membership: membership.clone(), index: LogIndex(9), standing };
    known.learn(&told(Standing::Appended));
    assert_eq!(known.admit(peer(3, 3)), Ok(()), "it may be rolled back");
    known.learn(&told(Standing::Committed));
    assert_eq!(known.admit(peer(3, 3)), Err(IdentityRefusal::Removed));
    assert_eq!(known.admit(peer(4, 9)), Ok(()), "nobody heard of it yet");
}
