use blockraft_transport::Peer;
use blockraft_types::message::{
    Ballot, CampaignId, CampaignReason, HeartbeatReply, ReadRound, RequestVote, RequestVoteReply, VoteVerdict,
};
use blockraft_types::{BootNonce, Incarnation, LogIndex, Membership, Message, NodeId, Position, Term};

use super::{Past, Witness};

fn peer(node: u64, boot: u64) -> Peer {
    Peer { node: NodeId(node), incarnation: Incarnation::from_bytes([node as u8; 16]), boot: BootNonce(boot) }
}

fn members(nodes: &[u64]) -> Membership {
    Membership::of_voters(nodes.iter().map(|node| (NodeId(*node), peer(*node, 0).incarnation)))
}

fn said(term: u64) -> Message {
    let (term, round) = (Term(term), ReadRound(1));
    Message::HeartbeatReply(HeartbeatReply { term, round, waiting_for: None, last_durable: LogIndex(900) })
}

fn past(term: u64, index: u64) -> Past {
    Past { term: Term(term), index: LogIndex(index) }
}

#[test]
fn the_highest_of_all_that_a_member_showed_is_remembered_over_its_restarts() {
    let (mut witness, members) = (Witness::default(), members(&[1, 2]));
    witness.heard(peer(2, 1), &said(7), LogIndex(30), &members);
    witness.heard(peer(2, 1), &said(5), LogIndex(40), &members);
    assert_eq!(witness.recall(peer(2, 9)), past(7, 40));
    assert_eq!(witness.recall(peer(1, 1)), Past::default(), "nothing was seen of it");
}

#[test]
fn neither_a_pre_vote_nor_who_grants_one_has_made_its_term_durable() {
    let (mut witness, members) = (Witness::default(), members(&[1, 2]));
    let (term, campaign, last) = (Term(9), CampaignId(1), Position::ZERO);
    let asks =
        |ballot| Message::RequestVote(RequestVote { term, ballot, campaign, reason: CampaignReason::Timeout, last });
    let grants =
        |ballot| Message::RequestVoteReply(RequestVoteReply { term, ballot, campaign, verdict: VoteVerdict::Granted });
    for message in [asks(Ballot::PreVote), grants(Ballot::PreVote)] {
        witness.heard(peer(2, 1), &message, LogIndex::ZERO, &members);
        assert_eq!(witness.recall(peer(2, 1)).term, Term(0));
    }
    witness.heard(peer(2, 1), &grants(Ballot::Vote), LogIndex::ZERO, &members);
    assert_eq!(witness.recall(peer(2, 1)).term, Term(9));
}

#[test]
fn strangers_other_directories_and_those_who_left_are_not_remembered() {
    let (mut witness, before) = (Witness::default(), members(&[1, 2, 3]));
    witness.heard(peer(4, 1), &said(7), LogIndex(1), &before);
    witness.heard(peer(3, 1), &said(7), LogIndex(1), &before);
    let wiped = Peer { incarnation: Incarnation::from_bytes([0xee; 16]), ..peer(3, 2) };
    assert_eq!(witness.recall(wiped), Past::default());
    witness.heard(peer(2, 1), &said(7), LogIndex(1), &members(&[1, 2]));
    assert_eq!(witness.seen.len(), 1, "{witness:?}");
}

#[test]
fn a_member_lacks_something_if_its_term_or_its_log_is_behind() {
    assert!(!past(7, 40).lacks(past(7, 40)));
    assert!(!past(8, 41).lacks(past(7, 40)));
    assert!(past(6, 99).lacks(past(7, 40)), "it may have voted in term 7");
    assert!(past(9, 39).lacks(past(7, 40)), "it had acknowledged entry 40, which is committed");
}
