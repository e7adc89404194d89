//! Whom a node admits: everybody with a good certificate but a member under another incarnation, and who was removed.

use blockraft_node::{InForce, Standing};
use blockraft_transport::Peer;
use blockraft_transport_quic::{IdentityPolicy, IdentityRefusal};
use blockraft_types::{BootNonce, Incarnation, LogIndex, Membership, NodeId};

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
