//! Whom a node admits: everybody with a good certificate but a member under another incarnation.

use blockraft_transport::Peer;
use blockraft_transport_quic::{IdentityPolicy, IdentityRefusal};
use blockraft_types::{BootNonce, Incarnation, Membership, NodeId};

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
