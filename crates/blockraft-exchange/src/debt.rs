//! How far each member lags behind the leader, and whether the group could lose one of those that don't.
//!
//! Payload debt is write downtime: when a voter that is level fails, nothing is committed until another one has copied what
//! it lacks. So one voter more than a majority has to be close to the end of the log.

use std::collections::{BTreeMap, BTreeSet};

use blockraft_types::{Incarnation, LogIndex, Membership, NodeId};

/// How far a member lags, as its leader knows it. One that hasn't answered this leader yet counts as having nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debt {
    /// The member.
    pub node: NodeId,
    /// Payload bytes of log entries that it isn't known to have acknowledged. What it staged already is counted.
    ///
    /// Of one that is behind the start of the log, the bytes of the whole state: it gets a snapshot, fetches of that only
    /// what it lacks, and so owes this much at most.
    pub bytes: u64,
    /// Entries of the leader's log, those that were compacted away included, that it isn't known to have acknowledged.
    pub entries: u64,
}

/// What debts are measured against. The leader's own view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// Up to where the log of each member is known to agree with the leader's. One that isn't named counts as having
    /// nothing.
    pub matched: BTreeMap<NodeId, LogIndex>,
    /// The compacted end of the leader's log.
    pub compacted: LogIndex,
    /// The last entry of the leader's log.
    pub last: LogIndex,
    /// Bytes of all visible blocks.
    pub state_bytes: u64,
}

/// Whether a voter may fail without the others having to wait for one that is far behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// Every configuration in force is of one or two voters: all of them are the majority, and none may fail anyway.
    Impossible,
    /// In every configuration in force that has more, a majority and one further voter are close.
    Enough,
    /// In one of them they aren't.
    Short {
        /// The voters that are not close, of all configurations in force.
        far: BTreeSet<NodeId>,
    },
}

impl Debt {
    /// Whether it would be paid so soon that nobody minds: at most [`CLOSE_BYTES_MAX`] and [`CLOSE_ENTRIES_MAX`].
    #[must_use]
    pub const fn is_close(&self) -> bool {
        self.bytes <= CLOSE_BYTES_MAX && self.entries <= CLOSE_ENTRIES_MAX
    }
}

/// Judges by who is close whether there is a voter in reserve. A voter without a debt counts as far.
#[must_use]
pub fn reserve(membership: &Membership, debts: &[Debt]) -> Reserve {
    let close: BTreeSet<NodeId> = debts.iter().filter(|debt| debt.is_close()).map(|debt| debt.node).collect();
    let halves = [&membership.voters, &membership.outgoing].map(|voters| of_half(voters, &close));
    if halves.contains(&Half::Short) {
        let voters = membership.voters.keys().chain(membership.outgoing.keys());
        return Reserve::Short { far: voters.filter(|voter| !close.contains(voter)).copied().collect() };
    }
    if halves.contains(&Half::Enough) { Reserve::Enough } else { Reserve::Impossible }
}

/// One of the configurations in force, by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Impossible,
    Enough,
    Short,
}

fn of_half(voters: &BTreeMap<NodeId, Incarnation>, close: &BTreeSet<NodeId>) -> Half {
    let needed = voters.len() / 2 + 2;
    if voters.len() < needed {
        return Half::Impossible;
    }
    let close = voters.keys().filter(|voter| close.contains(voter)).count();
    if needed <= close { Half::Enough } else { Half::Short }
}

/// Payload bytes that a voter may lack and is close: a few seconds of copying. A node takes in puts of 64 MiB at once.
pub const CLOSE_BYTES_MAX: u64 = 256 << 20;

/// Entries that a voter may lack and is close. A leader has at most 6,400 under way to each by default: 64 appends of 100.
pub const CLOSE_ENTRIES_MAX: u64 = 10_000;

#[cfg(test)]
mod tests;
