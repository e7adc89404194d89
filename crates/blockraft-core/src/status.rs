//! A member seen from outside, for people and metrics.

use alloc::collections::BTreeMap;

use blockraft_types::{HardState, LogIndex, LostTail, Membership, NodeId, Position, Role};

use crate::ready::{InForce, Standing};

/// A member's state at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Status {
    /// The member.
    pub id: NodeId,
    /// Its role.
    pub role: Role,
    /// Its term and vote.
    pub hard_state: HardState,
    /// The leader of its term, if it knows it.
    pub leader: Option<NodeId>,
    /// The compacted end of its log.
    pub anchor: Position,
    /// The last entry of its log.
    pub last: Position,
    /// The last entry that is durable here.
    pub durable_index: LogIndex,
    /// The last entry known to be committed.
    pub commit_index: LogIndex,
    /// The last entry that the state machine has applied.
    pub applied_index: LogIndex,
    /// The log may be compacted up to here. Beyond [`held_by_all`](Self::held_by_all) that makes some member need a
    /// snapshot.
    pub compactable_through: LogIndex,
    /// Every member is known to hold the log durably up to here.
    pub held_by_all: LogIndex,
    /// Bytes of bodies that are not yet committed.
    pub uncommitted_bytes: u64,
    /// The configuration in force.
    pub membership: Membership,
    /// The entry that brought it; it is committed if the commit index reaches it.
    pub membership_index: LogIndex,
    /// What its log lost at its end and doesn't hold again: until then it gives no vote and doesn't campaign.
    pub lost_tail: Option<LostTail>,
    /// Who is being made leader.
    pub transferring_to: Option<NodeId>,
    /// How far the others are; empty unless this member leads.
    pub progress: BTreeMap<NodeId, ProgressStatus>,
}

impl Status {
    /// The configuration in force, and whether it can be rolled back.
    #[must_use]
    pub fn in_force(&self) -> InForce {
        let committed = self.membership_index <= self.commit_index;
        let standing = if committed { Standing::Committed } else { Standing::Appended };
        InForce { membership: self.membership.clone(), index: self.membership_index, standing }
    }
}

/// How far a follower is, in its leader's eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProgressStatus {
    /// How entries are being sent to it.
    pub state: ProgressState,
    /// The last entry known to be durable there.
    pub match_index: LogIndex,
    /// The next entry to send.
    pub next_index: LogIndex,
    /// Appends that it has not acknowledged.
    pub inflight_messages: usize,
    /// Bytes of bodies in them.
    pub inflight_bytes: u64,
    /// Ticks since it was last heard.
    pub silent_ticks: u32,
    /// The entry whose payload it waits for.
    pub waiting_for: Option<LogIndex>,
}

/// How a leader sends entries to a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProgressState {
    /// Where the logs part is unknown: one append at a time.
    Probe,
    /// The logs agree: appends are pipelined up to the window.
    Replicate,
    /// It needs entries that are compacted here: a snapshot is offered to it.
    Snapshot,
    /// It lost what it had acknowledged: it gets nothing and isn't counted.
    Fenced,
}
