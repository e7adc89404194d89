//! What a node remembers of the others: how far each was seen to have come.
//!
//! A data directory that is a copy, or whose disk went back in time, can't know that it lacks what its node has promised:
//! a vote, or an entry that was committed because it had acknowledged it. The others can. A node that starts
//! [asks](crate::recall) them before it says anything, and doesn't start behind its own past.
//!
//! Only what surely was durable at the other node is remembered: terms that it named, which are synced before they are
//! named, and entries that it acknowledged to a leader that knew them to be committed, which nobody ever takes back.
//! What is remembered lives as long as this process: a node whose witnesses all started anew since isn't found out.

use std::collections::BTreeMap;

use blockraft_transport::Peer;
use blockraft_types::message::{Ballot, VoteVerdict};
use blockraft_types::{Incarnation, LogIndex, Membership, Message, NodeId, Term};

/// How far a member has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The highest term that it made durable.
    pub term: Term,
    /// The last entry of its log, or as much of it as is known to be committed.
    pub index: LogIndex,
}

/// What was seen of each member.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    seen: BTreeMap<NodeId, (Incarnation, Past)>,
}

impl Past {
    /// Whether a member that has come so far lacks something of `remembered`.
    #[must_use]
    pub fn lacks(&self, remembered: Self) -> bool {
        self.term < remembered.term || self.index < remembered.index
    }
}

impl Witness {
    /// A member said something, and is known to hold committed entries up to `acknowledged`. Whoever isn't a member is not
    /// remembered, so that there is an end to it.
    pub fn heard(&mut self, peer: Peer, message: &Message, acknowledged: LogIndex, members: &Membership) {
        if members.incarnation(peer.node) != Some(peer.incarnation) {
            return;
        }
        self.seen.retain(|node, (incarnation, _)| members.incarnation(*node) == Some(*incarnation));
        let (_, past) = self.seen.entry(peer.node).or_insert((peer.incarnation, Past::default()));
        past.term = past.term.max(durable_term(message));
        past.index = past.index.max(acknowledged);
    }

    /// How far `peer` was seen to have come.
    #[must_use]
    pub fn recall(&self, peer: Peer) -> Past {
        let seen = self.seen.get(&peer.node).filter(|(incarnation, _)| *incarnation == peer.incarnation);
        seen.map_or(Past::default(), |(_, past)| *past)
    }
}

/// The term that the sender of `message` had made durable; zero if it says nothing of that.
const fn durable_term(message: &Message) -> Term {
    match message {
        // A pre-vote names a term that nobody is in yet, and so does who grants one.
        Message::RequestVote(request) if matches!(request.ballot, Ballot::PreVote) => Term(0),
        Message::RequestVoteReply(reply)
            if matches!(reply.ballot, Ballot::PreVote) && matches!(reply.verdict, VoteVerdict::Granted) =>
        {
            Term(0)
        }
        message => message.term(),
    }
}

#[cfg(test)]
mod tests;
