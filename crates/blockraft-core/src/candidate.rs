//! The role of those who ask for votes: first whether they could win, then in earnest.

use alloc::collections::BTreeMap;

use blockraft_types::message::{Ballot, CampaignId, CampaignReason, RequestVote, RequestVoteReply, VoteVerdict};
use blockraft_types::{Message, NodeId, Role, Term};

use crate::election_clock::Patience;
use crate::member::Member;
use crate::mistake::Mistake;
use crate::quorum::Tally;
use crate::transition::Transition;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Candidate {
    ballot: Ballot,
    /// The term asked for: the present one in a vote, the next one in a pre-vote.
    term: Term,
    campaign: CampaignId,
    /// The first answer of each voter. Its own is there once it is durable.
    verdicts: BTreeMap<NodeId, VoteVerdict>,
}

impl Candidate {
    /// Asks whether a vote in the next term could be won (thesis 9.6). Changes neither term nor vote, so its own yes
    /// needs no disk.
    pub(crate) fn begin_pre_vote(member: &mut Member, term: Term) -> Self {
        assert!(member.term() < term, "a pre-vote asks for a term to come");
        let mut candidate = Self::begin(member, Ballot::PreVote, term, CampaignReason::Timeout);
        candidate.verdicts.insert(member.id, VoteVerdict::Granted);
        candidate
    }

    /// Asks for votes in a new term, which the member has just entered (Raft paper, section 5.2).
    pub(crate) fn begin_vote(member: &mut Member, reason: CampaignReason) -> Self {
        member.vote_for_self();
        Self::begin(member, Ballot::Vote, member.term(), reason)
    }

    fn begin(member: &mut Member, ballot: Ballot, term: Term, reason: CampaignReason) -> Self {
        member.clock.redraw();
        let campaign = member.next_campaign();
        let last = member.log.last().position;
        let request = RequestVote { term, ballot, campaign, reason, last };
        let others = member.membership().members().map(|(node, _)| node).filter(|node| *node != member.id);
        for node in others.collect::<alloc::vec::Vec<_>>() {
            member.send(node, Message::RequestVote(request));
        }
        Self { ballot, term, campaign, verdicts: BTreeMap::new() }
    }

    pub(crate) const fn role(&self) -> Role {
        match self.ballot {
            Ballot::PreVote => Role::PreCandidate,
            Ballot::Vote => Role::Candidate,
        }
    }

    pub(crate) fn tick(&mut self, member: &mut Member) -> Transition {
        if member.clock.tick() == Patience::Lasts {
            return Transition::Stay;
        }
        if member.may_campaign() { Transition::PreCampaign } else { Transition::Follow { leader: None } }
    }

    /// An answer. Only the one to this very campaign counts.
    pub(crate) fn answered(&mut self, member: &Member, from: NodeId, reply: RequestVoteReply) -> Transition {
        let this_campaign = reply.ballot == self.ballot && reply.campaign == self.campaign;
        let errs = member.config.errs(Mistake::PreVoteGrantsCountAsVotes) && reply.ballot == Ballot::PreVote;
        if !(this_campaign || errs) {
            return Transition::Stay;
        }
        let granted_other_term = reply.verdict == VoteVerdict::Granted && reply.term != self.term;
        if granted_other_term || !member.membership().is_voter(from) {
            return Transition::Stay;
        }
        let twice = self.verdicts.contains_key(&from) && member.config.errs(Mistake::VotesCountedTwice);
        let voter = if twice { self.silent_voter(member).unwrap_or(from) } else { from };
        self.verdicts.entry(voter).or_insert(reply.verdict);
        self.count(member)
    }

    /// What the votes say so far. A candidate's own vote counts once it is durable.
    pub(crate) fn count(&mut self, member: &Member) -> Transition {
        let own_counts =
            member.durability.hard_state_waits_for().is_none() || member.config.errs(Mistake::OwnVoteBeforePersist);
        if self.ballot == Ballot::Vote && own_counts {
            self.verdicts.insert(member.id, VoteVerdict::Granted);
        }
        match member.electorate().tally(|node| self.verdicts.get(&node).copied()) {
            Tally::Open => Transition::Stay,
            Tally::Lost => Transition::Follow { leader: None },
            Tally::Won if self.ballot == Ballot::Vote => Transition::Lead,
            Tally::Won => Transition::Campaign { reason: CampaignReason::Timeout },
        }
    }

    fn silent_voter(&self, member: &Member) -> Option<NodeId> {
        member.membership().voters.keys().copied().find(|voter| !self.verdicts.contains_key(voter))
    }
}
