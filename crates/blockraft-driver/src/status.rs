//! A member seen from outside, for people and metrics.

use blockraft_core::Status;
use blockraft_types::{GroupId, LogIndex, NodeId, Position, Role, Term};

/// A member's state at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriverStatus {
    /// The group.
    pub group: GroupId,
    /// The consensus core: role, term, leader, positions, configuration, progress of the others.
    pub core: Status,
    /// Entries in the log, from after its compacted end.
    pub log_entries: u64,
    /// Bytes of bodies in the log that this process has seen written; what a restart found is estimated by its tail.
    pub log_bytes: u64,
    /// Appends that the gate holds back.
    pub held_appends: usize,
    /// Bytes of bodies in them.
    pub held_bytes: u64,
    /// Appends that were held back and then dropped, since the start.
    pub held_dropped: u64,
    /// Proposals that the gate lets wait.
    pub waiting_proposals: usize,
    /// Appends whose entries are being read from the log.
    pub range_reads: usize,
    /// Persist batches that are on their way to the disk.
    pub persists_inflight: usize,
    /// How often the oldest persist batch was under way for longer than an election timeout, since the start.
    pub persist_stalls: u64,
    /// Messages of peers that were dropped because the loop was behind, since the start.
    pub messages_dropped: u64,
}

/// Role, term and leader: what a member is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleStatus {
    /// Its role.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// The leader of that term, if it knows it.
    pub leader: Option<NodeId>,
}

impl DriverStatus {
    /// The member's id.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.core.id
    }

    /// Role, term and leader.
    #[must_use]
    pub const fn role(&self) -> RoleStatus {
        RoleStatus { role: self.core.role, term: self.core.hard_state.term, leader: self.core.leader }
    }

    /// The last entry of the log.
    #[must_use]
    pub const fn last(&self) -> Position {
        self.core.last
    }

    /// The last entry known to be committed.
    #[must_use]
    pub const fn commit_index(&self) -> LogIndex {
        self.core.commit_index
    }
}
