use blockraft_transport::Peer;
use blockraft_types::message::{
    AppendEntriesReply, AppendVerdict, Ballot, CampaignId, CampaignReason, HeartbeatReply, ReadRound, RequestVote,
    RequestVoteReply, StreamEpoch, VoteVerdict,
};
use blockraft_types::{BootNonce, Incarnation, LogIndex, Membership, Message, NodeId, Position, Term};

use super::{Past, Witness};

fn peer(node: u64, boot: u64) -> Peer {
    Peer { node: NodeId(node), incarnation: Incarnation::from_bytes([node as u8; 16]), boot: BootNonce(boot) }
}

fn members(nodes: &[u64]) -> Membership {
    Membership::of_voters(nodes.iter().map(|node| (NodeId(*node), peer(*node, 0).incarnation)))
}

fn named(term: u64) -> Message {
    let (term, round) = (Term(term), ReadRound(1));
    Message::HeartbeatReply(HeartbeatReply { term, round, waiting_for: None, last_durable: LogIndex(900) })
}

fn acknowledged(term: u64, index: u64) -> Message {
    let (term, verdict) = (Term(term), AppendVerdict::Matched { match_index: LogIndex(index) });
    Message::AppendEntriesReply(AppendEntriesReply { term, stream: StreamEpoch(1), verdict })
}

fn asks(ballot: Ballot) -> Message {
    let (term, campaign, last) = (Term(9), CampaignId(1), Position::ZERO);
    Message::RequestVote(RequestVote { term, ballot, campaign, reason: CampaignReason::Timeout, last })
}

fn grants(ballot: Ballot) -> Message {
    let (term, campaign) = (Term(9), CampaignId(1));
    Message::RequestVoteReply(RequestVoteReply { term, ballot, campaign, verdict: VoteVerdict::Granted })
}

fn past(term: u64, index: u64) -> Past {
    Past { term: Term(term), index: LogIndex(index), voted_for: None }
}

/// What node 1 remembers of node 2, which said this.
fn after<const N: usize>(said: [Message; N]) -> Past {
    let mut witness = Witness::default();
    for (boot, message) in (1..).zip(said) {
        witness.heard(NodeId(1), peer(2, boot), &message, &members(&[1, 2]));
    }
    assert_eq!(witness.recall(peer(1, 1)), Past::default(), "nothing was seen of it");
    witness.recall(peer(2, 99))
}

#[test]
fn the_highest_term_and_what_was_acknowledged_in_it_are_remembered_over_restarts() {
    assert_eq!(after([acknowledged(7, 30), acknowledged(7, 20), named(7), named(5)]), past(7, 30));
    assert_eq!(
        after([acknowledged(7, 30), named(8)]),
        past(8, 0),
        "whose disk names term 8 made entry 30 durable before"
    );
    assert_eq!(after([named(8), acknowledged(7, 30)]), past(8, 0));
}

#[test]
fn neither_a_pre_vote_nor_who_grants_one_has_made_its_term_durable() {
    assert_eq!(after([asks(Ballot::PreVote), grants(Ballot::PreVote)]), past(0, 0));
}

#[test]
fn a_vote_is_remembered_by_who_got_it() {
    assert_eq!(after([grants(Ballot::Vote)]), Past { voted_for: Some(NodeId(1)), ..past(9, 0) });
    assert_eq!(after([asks(Ballot::Vote)]), Past { voted_for: Some(NodeId(2)), ..past(9, 0) }, "it votes for itself");
}

#[test]
fn strangers_other_directories_and_those_who_left_are_not_remembered() {
    let (mut witness, before) = (Witness::default(), members(&[1, 2, 3]));
    witness.heard(NodeId(1), peer(4, 1), &named(7), &before);
    witness.heard(NodeId(1), peer(3, 1), &named(7), &before);
    let wiped = Peer { incarnation: Incarnation::from_bytes([0xee; 16]), ..peer(3, 2) };
    assert_eq!(witness.recall(wiped), Past::default());
    let after = Membership { removed_through: Some(NodeId(3)), ..members(&[1, 2]) };
    witness.heard(NodeId(1), peer(2, 1), &named(7), &after);
    assert_eq!(witness.seen.len(), 1, "{witness:?}");
}

#[test]
fn a_member_lacks_something_if_its_term_its_vote_or_in_that_term_its_log_is_behind() {
    let voted = |node, past| Past { voted_for: Some(NodeId(node)), ..past };
    assert!(!past(7, 40).lacks(past(7, 40)));
    assert!(!past(8, 10).lacks(past(7, 40)), "a leader of term 8 had it drop what was never committed");
    assert!(past(6, 99).lacks(past(7, 40)), "it may have voted in term 7");
    assert!(past(7, 39).lacks(past(7, 40)));
    assert!(!voted(2, past(7, 40)).lacks(past(7, 40)), "nobody else knows whom it voted for");
    assert!(!voted(2, past(7, 40)).lacks(voted(2, past(7, 0))));
    assert!(past(7, 40).lacks(voted(2, past(7, 0))), "it would vote again");
    assert!(voted(3, past(7, 40)).lacks(voted(2, past(7, 0))), "it did");
}
