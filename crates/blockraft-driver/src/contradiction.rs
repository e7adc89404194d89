//! Two logs that differ at one place of one term, and what a look at the own one finds.
//!
//! An entry's place is its term and index, and one leader filled it once. So a leader that has another digest there than this
//! log proves that one of the two is damaged or foreign. Which one only bytes can tell: the own log is read back and hashed
//! again from its compacted end on, since a digest covers all that comes before it. Nothing is acknowledged meanwhile, and
//! nothing is cut: what stands there may be all that is left of something committed. Whatever is found, the member stops.

use blockraft_types::{ChainDigest, LogIndex, NodeId, Position};
use thiserror::Error;

/// Another member's log has another digest at a place of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("node {from} has the digest {theirs:?} at entry {position}, this log has {ours:?}: {finding}")]
pub struct Contradiction {
    /// The leader that sent its digest.
    pub from: NodeId,
    /// Where the logs differ. They may have differed before.
    pub position: Position,
    /// The digest here.
    pub ours: ChainDigest,
    /// The digest there.
    pub theirs: ChainDigest,
    /// What a look at this log found.
    pub finding: Finding,
}

/// What a log is found to be that contradicts another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Finding {
    /// This log is wrong: what it holds at `index` can't be read, or isn't what was written. The node is to be replaced.
    #[error("this log's entry {index} can't be read back as it was written")]
    Damaged {
        /// The first entry that is wrong.
        index: LogIndex,
    },
    /// The bytes of this log have another digest than this process remembers: its memory was wrong. A restart reads the log
    /// anew.
    #[error("this process remembers another digest than its log has on disk")]
    Misremembered,
    /// This log is what was written, as far as hashing tells, and so is the other one: no disk did that. Two clusters under
    /// one name, or a mistake in somebody's code.
    #[error("this log holds together, so both do")]
    Sound,
}
