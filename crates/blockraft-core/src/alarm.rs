//! What should never happen between honest, healthy members. Told as values: an operator must look, the core goes on.

use blockraft_types::{ChainDigest, LogIndex, NodeId, Position, Term};

/// Something that a healthy cluster never shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Alarm {
    /// Two logs have an entry at the same position with different digests: one is damaged or foreign. Nothing was
    /// acknowledged. Re-hash the own entry to find out which.
    ChainMismatch {
        /// The leader that sent the other digest.
        from: NodeId,
        /// Where the logs differ.
        position: Position,
        /// The digest in this log.
        ours: ChainDigest,
        /// The digest in the message.
        theirs: ChainDigest,
    },
    /// A leader sent another entry for an index that is committed here. Nothing was truncated.
    CommittedConflict {
        /// The leader.
        from: NodeId,
        /// The place.
        index: LogIndex,
        /// The term of the committed entry.
        ours: Term,
        /// The term of the entry sent.
        theirs: Term,
    },
    /// An append that no leader makes: a gap, a falling term, a term above the leader's own, or a broken chain.
    MalformedAppend {
        /// Who sent it.
        from: NodeId,
    },
    /// Two members claim to lead one term.
    TwoLeaders {
        /// The term.
        term: Term,
        /// The leader that is known.
        known: NodeId,
        /// The one that claims it too.
        other: NodeId,
    },
    /// A leader heard from a follower that it no longer has what it once acknowledged: its disk lost data. It isn't
    /// counted any more.
    FollowerRegressed {
        /// The follower.
        peer: NodeId,
        /// What it had acknowledged.
        matched: LogIndex,
        /// What it says that it has.
        reported: LogIndex,
    },
    /// This follower was told of a commit beyond its own log: this node lost data that it had acknowledged.
    CommitBeyondLog {
        /// The leader.
        from: NodeId,
        /// The commit index that it named, which this member had acknowledged.
        commit: LogIndex,
        /// The last entry of this log.
        last: LogIndex,
    },
    /// A follower answers heartbeats and is behind, yet its match has not moved for the commit-stall time.
    FollowerFrozen {
        /// The follower.
        peer: NodeId,
        /// Where it stands.
        match_index: LogIndex,
    },
    /// A leader stepped down because its commit index stood still although heartbeats were answered.
    CommitStalled {
        /// Where the commit index stands.
        commit_index: LogIndex,
        /// The last entry of the log.
        last_index: LogIndex,
    },
    /// The driver broke a duty: it claimed to have applied or compacted more than it may.
    DriverOverreached {
        /// What it claimed.
        claimed: LogIndex,
        /// How far it may go.
        allowed: LogIndex,
    },
}

/// What an [`Alarm`] is the proof of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// Nothing: slow or silent members are enough for it.
    Nothing,
    /// Some member's disk has lost what was acknowledged.
    Loss,
    /// Two histories where only one can be, or a duty that was broken: damage that no checksum caught, or a mistake in
    /// somebody's code.
    Contradiction,
}

impl Alarm {
    /// What this alarm proves. As long as every disk keeps what it made durable, the only answer is [`Proof::Nothing`].
    #[must_use]
    pub const fn proves(&self) -> Proof {
        match self {
            Self::FollowerFrozen { .. } | Self::CommitStalled { .. } => Proof::Nothing,
            Self::FollowerRegressed { .. } | Self::CommitBeyondLog { .. } => Proof::Loss,
            Self::ChainMismatch { .. }
            | Self::CommittedConflict { .. }
            | Self::MalformedAppend { .. }
            | Self::TwoLeaders { .. }
            | Self::DriverOverreached { .. } => Proof::Contradiction,
        }
    }
}
