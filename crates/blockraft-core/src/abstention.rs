//! The pledge of a leader that could not commit: not to campaign until its uncommitted tail is settled.
//!
//! Otherwise a member whose payloads nobody can fetch would win again and again with the longest log. The pledge ends
//! when the tail commits, when another leader replaces it, or when nobody led for a while: then any leader is better
//! than none.

use blockraft_types::{LogIndex, Position};

use crate::log_view::LogView;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Abstention {
    /// The end of the log when the pledge was made.
    tail: Position,
    /// Ticks without a leader after which the pledge is void.
    leaderless_ticks_left: u32,
    leaderless_ticks: u32,
}

impl Abstention {
    pub(crate) const fn new(tail: Position, leaderless_ticks: u32) -> Self {
        Self { tail, leaderless_ticks_left: leaderless_ticks, leaderless_ticks }
    }

    /// Whether the tail is committed or replaced.
    pub(crate) fn is_settled(&self, log: &LogView, commit_index: LogIndex) -> bool {
        self.tail.index <= commit_index || log.term_at(self.tail.index) != Some(self.tail.term)
    }

    pub(crate) const fn leader_heard(&mut self) {
        self.leaderless_ticks_left = self.leaderless_ticks;
    }

    /// A tick passed without a leader. Says whether the pledge is void now.
    pub(crate) const fn tick(&mut self) -> bool {
        self.leaderless_ticks_left = self.leaderless_ticks_left.saturating_sub(1);
        self.leaderless_ticks_left == 0
    }
}
