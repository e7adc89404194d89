//! A member with its disk, as the cluster keeps it.

use std::collections::VecDeque;
use std::vec::Vec;

use blockraft_types::{EntryHead, HardState, LogIndex, Membership, PersistTicket, Term};

use super::image::Image;
use crate::{Config, Raft, Sealed, Snapshot, SnapshotOffer};

/// A batch on its way to the disk.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) ticket: PersistTicket,
    pub(super) reset: Option<Snapshot>,
    pub(super) hard_state: Option<HardState>,
    pub(super) truncate_from: Option<LogIndex>,
    pub(super) heads: Vec<EntryHead>,
}

/// A member with its disk.
#[derive(Debug)]
pub(super) struct Node {
    /// `None` while it is down.
    pub(super) raft: Option<Raft>,
    pub(super) config: Config,
    /// What a power cut leaves.
    pub(super) disk: Image,
    /// What a driver can read: every batch that was handed out.
    pub(super) view: Image,
    /// What the disk held before it forgot its end, until the member holds it again: it was acknowledged all the same.
    pub(super) forgotten: Option<Image>,
    pub(super) writes: VecDeque<Write>,
    pub(super) sealed: Vec<Sealed>,
    pub(super) applied: LogIndex,
    /// The applied index that the state machine has made durable.
    pub(super) applied_durable: LogIndex,
    /// The snapshot that the state machine took last.
    pub(super) installed: Option<Snapshot>,
    /// Snapshots that it was told are complete, since its log was last reset.
    pub(super) handed_in: Vec<Snapshot>,
    /// The snapshot that it is offered.
    pub(super) wanted: Option<SnapshotOffer>,
    pub(super) boots: u64,
    pub(super) commit_seen: LogIndex,
    /// The configuration in force before the last step: what a leader commits, it commits under this one.
    pub(super) in_force_seen: Membership,
    /// While it leads: its term, the end of its log, and its commit index.
    pub(super) led: Option<(Term, LogIndex, LogIndex)>,
}
