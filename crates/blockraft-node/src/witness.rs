//! What a node remembers of the others: how far each was seen to have come.
//!
//! A data directory that is a copy, or whose disk went back in time, can't know that it lacks what its node has promised:
//! a vote, or an entry that it had acknowledged. The others can. A node that starts [asks](crate::recall) each of them
//! before the two say anything else to each other, and takes no part behind its own past.
//!
//! Only what surely was durable at the other node is remembered: a term that it named, and its vote and the entries that it
//! acknowledged in that term. Terms only grow on a disk, and within a term neither does a vote change nor is an entry
//! dropped that was acknowledged in it; so the highest term that was named is all that counts.
//!
//! What is remembered is a few bytes for each member. [`NodeConfig::witness`](crate::NodeConfig) hands it to the next life;
//! what was heard after it was [written](crate::witness_format) last is lost with the process.

use std::collections::BTreeMap;

use blockraft_log::LogState;
use blockraft_transport::Peer;
use blockraft_types::message::{AppendVerdict, Ballot, VoteVerdict};
use blockraft_types::{HardState, Incarnation, LogIndex, Membership, Message, NodeId, Term};

/// How far a member has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The highest term that it made durable.
    pub term: Term,
    /// Whom it voted for in that term, as far as is known.
    pub voted_for: Option<NodeId>,
    /// The last entry of its log, or as much of it as is known to have been acknowledged in that term.
    pub index: LogIndex,
}

/// What was seen of each member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    pub(crate) seen: BTreeMap<NodeId, (Incarnation, Past)>,
}

impl Past {
    /// What a disk holds: its term and vote, and a log up to `last`.
    #[must_use]
    pub const fn of_disk(HardState { term, voted_for }: HardState, last: LogIndex) -> Self {
        Self { term, voted_for, index: last }
    }

    /// What a node begins with that finds `log`. One that knows that its end is gone, and is still in the term of that, needs
    /// nobody to tell it: consensus bears that, as long as the term is known. All that it acknowledged in a later term is there.
    #[must_use]
    pub fn of_log(log: &LogState) -> Self {
        let lost = log.lost_tail.filter(|lost| log.hard_state.term <= lost.term);
        let last = lost.map_or(log.last.position.index, |_| LogIndex(u64::MAX));
        Self::of_disk(log.hard_state, last)
    }

    /// What the node `sender` had made durable when it said `message` to `receiver`; nothing where that tells nothing.
    #[must_use]
    pub fn shown(sender: NodeId, message: &Message, receiver: NodeId) -> Self {
        let past = Self { term: message.term(), ..Self::default() };
        match message {
            Message::RequestVote(request) => match request.ballot {
                // A pre-vote names a term that nobody is in yet, and so does who grants one.
                Ballot::PreVote => Self::default(),
                Ballot::Vote => Self { voted_for: Some(sender), ..past },
            },
            Message::RequestVoteReply(reply) => match (reply.verdict, reply.ballot) {
                (VoteVerdict::Granted, Ballot::PreVote) => Self::default(),
                (VoteVerdict::Granted, Ballot::Vote) => Self { voted_for: Some(receiver), ..past },
                (VoteVerdict::Refused, _) => past,
            },
            Message::AppendEntriesReply(reply) => match reply.verdict {
                AppendVerdict::Matched { match_index } => Self { index: match_index, ..past },
                AppendVerdict::Conflict { .. } => past,
            },
            Message::InstallSnapshotReply(reply) => Self { index: reply.last.index, ..past },
            _ => past,
        }
    }

    /// Whether a member that has come so far lacks something of `remembered`.
    #[must_use]
    pub fn lacks(&self, remembered: Self) -> bool {
        let other_vote = remembered.voted_for.is_some() && remembered.voted_for != self.voted_for;
        self.term < remembered.term || self.term == remembered.term && (self.index < remembered.index || other_vote)
    }

    /// Takes what was seen in addition.
    pub fn raise(&mut self, seen: Self) {
        if self.term < seen.term {
            *self = seen;
        }
        if self.term == seen.term {
            self.voted_for = self.voted_for.or(seen.voted_for);
            self.index = self.index.max(seen.index);
        }
    }
}

impl Witness {
    /// `peer` said something to the node `ourselves`. Whoever isn't a member is not remembered, nor for ever who was removed,
    /// so that there is an end to it.
    pub fn heard(&mut self, ourselves: NodeId, peer: Peer, message: &Message, members: &Membership) {
        if members.incarnation(peer.node) != Some(peer.incarnation) {
            return;
        }
        let past = Past::shown(peer.node, message, ourselves);
        match self.seen.get_mut(&peer.node) {
            Some((incarnation, seen)) if *incarnation == peer.incarnation => seen.raise(past),
            _ => {
                self.seen.retain(|node, _| !members.is_removed(*node));
                self.seen.insert(peer.node, (peer.incarnation, past));
            }
        }
    }

    /// How far `peer` was seen to have come.
    #[must_use]
    pub fn recall(&self, peer: Peer) -> Past {
        let seen = self.seen.get(&peer.node).filter(|(incarnation, _)| *incarnation == peer.incarnation);
        seen.map_or(Past::default(), |(_, past)| *past)
    }
}

#[cfg(test)]
mod tests;
