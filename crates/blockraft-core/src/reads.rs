//! Reads that wait until the leader is known to lead still (thesis 6.4).
//!
//! The leader itself numbers the rounds: an answer counts for the round that it names and for earlier ones, never for a
//! read that came after the round began. All reads that wait when a round begins share it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use blockraft_types::LogIndex;
use blockraft_types::message::ReadRound;

use crate::input::ReadTicket;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Reads {
    /// In no round yet.
    waiting: Vec<ReadTicket>,
    /// In rounds that aren't confirmed, oldest first.
    rounds: VecDeque<Round>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Round {
    number: ReadRound,
    /// The commit index when the round began.
    pub(crate) index: LogIndex,
    pub(crate) tickets: Vec<ReadTicket>,
}

impl Reads {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.rounds.iter().map(|round| round.tickets.len()).sum::<usize>()
    }

    pub(crate) fn push(&mut self, ticket: ReadTicket) {
        self.waiting.push(ticket);
    }

    /// Whether a round is worth beginning now: someone waits, and no earlier round is still open.
    pub(crate) fn want_round(&self) -> bool {
        !self.waiting.is_empty() && self.rounds.is_empty()
    }

    /// Round `number` begins while `index` is committed.
    pub(crate) fn begin(&mut self, number: ReadRound, index: LogIndex) {
        assert!(self.rounds.back().is_none_or(|round| round.number < number), "rounds are numbered upwards");
        if !self.waiting.is_empty() {
            self.rounds.push_back(Round { number, index, tickets: core::mem::take(&mut self.waiting) });
        }
    }

    /// The rounds up to `confirmed` are over.
    pub(crate) fn confirm(&mut self, confirmed: ReadRound) -> Vec<Round> {
        let over = self.rounds.partition_point(|round| round.number <= confirmed);
        self.rounds.drain(..over).collect()
    }

    /// Every read that isn't confirmed: leadership ended.
    pub(crate) fn abandon(self) -> impl Iterator<Item = ReadTicket> {
        self.rounds.into_iter().flat_map(|round| round.tickets).chain(self.waiting)
    }
}
