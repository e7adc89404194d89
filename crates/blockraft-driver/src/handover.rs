//! When a leader whose gate is obstructed hands over, and to whom.
//!
//! Where every entry waits for its leader's copy of a payload, a leader that can't keep payloads stands in the way of
//! the others. It hands over to the next voter that could take over at once, in the ring of ids: if that one is no better
//! off, it goes on to the one behind it, so that whoever can lead is found after as many hand-overs as there are voters.

use blockraft_core::Status;
use blockraft_core::status::{ProgressState, ProgressStatus};
use blockraft_types::{NodeId, Term};

#[derive(Debug, Default)]
pub(crate) struct Handover {
    last: Option<Attempt>,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    tick: u64,
    term: Term,
    to: NodeId,
}

impl Handover {
    /// Whether it is time to try. A leader that was made leader again keeps the role for a while: everybody may be
    /// obstructed, and then it makes no difference who leads.
    pub(crate) fn is_due(&self, tick: u64, term: Term) -> bool {
        self.last.is_none_or(|last| {
            let pause = if last.term == term { RETRY_TICKS } else { REST_TICKS };
            last.tick.saturating_add(pause) <= tick
        })
    }

    /// Who is to lead instead of the leader whose status this is. Nobody, if no other voter is up and level.
    pub(crate) fn begin(&mut self, tick: u64, status: &Status, silence_max: u32) -> Option<NodeId> {
        let able = |(&node, progress): (&NodeId, &ProgressStatus)| {
            let up = progress.state == ProgressState::Replicate && progress.silent_ticks < silence_max;
            let level = progress.waiting_for.is_none() && status.commit_index <= progress.match_index;
            (status.membership.is_voter(node) && up && level).then_some(node)
        };
        // Whoever was asked in this term didn't take the role: others come first.
        let term = status.hard_state.term;
        let behind = self.last.filter(|last| last.term == term).map_or(status.id, |last| last.to);
        // In the order of ids, those behind that one first.
        let to = status.progress.iter().filter_map(able).min_by_key(|node| (*node <= behind, *node))?;
        self.last = Some(Attempt { tick, term, to });
        Some(to)
    }
}

/// Ticks between two attempts of one term. The first may have met a voter that fell behind just then.
const RETRY_TICKS: u64 = 100;

/// Ticks until a leader that handed over and was made leader again hands over again.
const REST_TICKS: u64 = 3_000;

#[cfg(test)]
mod tests;
