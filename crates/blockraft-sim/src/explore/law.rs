//! What must hold in every state, whatever happened: the properties of the Raft paper's figure 3, and what they rest on.

use std::collections::BTreeMap;

use blockraft_core::{LogPoint, ReadTicket};
use blockraft_types::{ChainDigest, LogIndex, Membership, NodeId, Position, Term};
use thiserror::Error;

use crate::explore::configuration::quorums_meet;

/// A law that didn't hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{law}: {what}")]
pub struct Broken {
    /// The law's name.
    pub law: &'static str,
    /// What was seen.
    pub what: String,
}

/// What happened so far, kept outside of the members. Part of a state: two histories may judge the same step otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct History {
    leaders: BTreeMap<Term, NodeId>,
    /// Committed entries from index 1 on, each with the term of the leader that committed it.
    committed: Vec<(Position, ChainDigest, Term)>,
    /// How much was committed when a read was asked for.
    reads: BTreeMap<ReadTicket, LogIndex>,
    /// Who voted for whom, durably.
    votes: BTreeMap<(NodeId, Term), NodeId>,
    /// The newest committed configuration, if it isn't the one that the group was born with.
    configuration: Option<(LogIndex, Membership)>,
}

impl Broken {
    pub(crate) fn new(law: &'static str, what: impl Into<String>) -> Self {
        Self { law, what: what.into() }
    }
}

impl History {
    pub(crate) fn committed_through(&self) -> LogIndex {
        LogIndex(self.committed.len() as u64)
    }

    /// The digest of a committed entry.
    pub(crate) fn committed(&self, index: LogIndex) -> Option<ChainDigest> {
        let at = usize::try_from(index.0.checked_sub(1)?).ok()?;
        self.committed.get(at).map(|(_, chain, _)| *chain)
    }

    /// The last entry that a leader before `term` committed.
    pub(crate) fn committed_before(&self, term: Term) -> Option<(LogIndex, ChainDigest)> {
        let count = self.committed.partition_point(|(.., by)| *by < term);
        self.committed.get(count.checked_sub(1)?).map(|(position, chain, _)| (position.index, *chain))
    }

    pub(crate) fn commit(&mut self, position: Position, chain: ChainDigest, by: Term) {
        self.committed.push((position, chain, by));
    }

    pub(crate) fn commit_configuration(&mut self, index: LogIndex, membership: &Membership) {
        if self.configuration.as_ref().is_none_or(|(newest, _)| *newest < index) {
            self.configuration = Some((index, membership.clone()));
        }
    }

    /// Nobody leads under a configuration whose quorums could miss those that may have decided already.
    pub(crate) fn leads_under(&self, term: Term, leader: NodeId, own: &Membership) -> Result<(), Broken> {
        let newest_term = self.leaders.keys().next_back() == Some(&term);
        match &self.configuration {
            Some((index, committed)) if newest_term && !quorums_meet(own, committed) => {
                let what = format!("{leader:?} leads {term:?} under {own:?}, entry {index} brought {committed:?}");
                Err(Broken::new("quorums meet", what))
            }
            _ => Ok(()),
        }
    }

    /// A joint configuration is left towards the old voters only by the leader that began it, and before it has committed
    /// it. Anybody else may have left it towards the new ones; and what a leader appends when its time is over is lost.
    pub(crate) fn gives_up(&self, joint: LogPoint, term: Term) -> Result<(), Broken> {
        let LogPoint { position, chain } = joint;
        let is_own = position.term == term;
        let is_open = self.committed_before(term.next()).is_none_or(|(last, _)| last < position.index);
        if is_own && is_open {
            return Ok(());
        }
        let what = format!("the leader of {term:?} goes back to before {position} ({chain:?}), which isn't open");
        Err(Broken::new("reverts only what is open", what))
    }

    /// Election Safety: at most one leader in a term.
    pub(crate) fn leads(&mut self, term: Term, leader: NodeId) -> Result<(), Broken> {
        let known = *self.leaders.entry(term).or_insert(leader);
        if known == leader {
            return Ok(());
        }
        Err(Broken::new("election safety", format!("{known:?} and {leader:?} both lead {term:?}")))
    }

    pub(crate) fn asked(&mut self, ticket: ReadTicket) {
        let committed = self.committed_through();
        self.reads.insert(ticket, committed);
    }

    /// Reads are linearizable: what was committed when one came is covered by its index (thesis 6.4).
    pub(crate) fn confirmed(&self, ticket: ReadTicket, index: LogIndex) -> Result<(), Broken> {
        match self.reads.get(&ticket) {
            Some(committed) if *committed <= index => Ok(()),
            Some(committed) => {
                let what = format!("a read was confirmed at {index} after {committed} was committed");
                Err(Broken::new("linearizable reads", what))
            }
            None => Err(Broken::new("linearizable reads", "a read was confirmed that nobody asked for")),
        }
    }

    pub(crate) fn voted(&mut self, voter: NodeId, term: Term, candidate: NodeId) -> Result<(), Broken> {
        let known = *self.votes.entry((voter, term)).or_insert(candidate);
        if known == candidate {
            return Ok(());
        }
        Err(Broken::new("one vote per term", format!("{voter:?} voted for {known:?} and {candidate:?} in {term:?}")))
    }

    pub(crate) fn has_voted(&self, voter: NodeId, term: Term, candidate: NodeId) -> bool {
        self.votes.get(&(voter, term)) == Some(&candidate)
    }
}
