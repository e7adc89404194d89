use blockraft_node::witness::Witness;
use blockraft_transport::Peer;
use blockraft_types::message::{Ballot, CampaignId, RequestVoteReply, VoteVerdict};
use blockraft_types::{BootNonce, Incarnation, Membership, Message, NodeId, Term};
use tempfile::tempdir;

use super::{read, write};

/// Of a node to which node 2 refused its vote in `term`.
fn witness(term: u64) -> Witness {
    let peer = Peer { node: NodeId(2), incarnation: Incarnation::from_bytes([2; 16]), boot: BootNonce(1) };
    let (term, campaign) = (Term(term), CampaignId(1));
    let refusal = RequestVoteReply { term, ballot: Ballot::Vote, campaign, verdict: VoteVerdict::Refused };
    let mut witness = Witness::default();
    let members = Membership::of_voters([(peer.node, peer.incarnation)]);
    witness.heard(NodeId(1), peer, &Message::RequestVoteReply(refusal), &members);
    assert_ne!(witness, Witness::default());
    witness
}

#[test]
fn what_is_kept_is_read_and_replaced_whole() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("witness");
    assert_eq!(read(&path), Witness::default(), "a first life has no file");
    for seen in [witness(4), witness(5)] {
        write(&path, &seen.encode()).unwrap();
        assert_eq!(read(&path), seen);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }
}

#[test]
fn a_file_that_is_torn_is_no_reason_not_to_start() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("witness");
    let whole = witness(4).encode();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(read(&path), Witness::default());
}
