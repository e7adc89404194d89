//! What exchanges of different nodes say to each other.
//!
//! Small messages ([`Message`]) go over the control lane, which may lose them; payloads go over the bulk lane behind a
//! [`BulkHeader`]. Versions and encoding are the business of who sends them. Nothing in here is trusted: a payload is
//! checked against its name by the receiver's shell, a receipt against the ticket it answers.

use blockraft_blocks::Multihash;
use blockraft_types::{BodyDigest, LogIndex, RemoteTicket};
use serde::{Deserialize, Serialize};

use crate::manifest::{Manifest, Rest};

/// A message for the control lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// A push has been handed to the bulk lane.
    PushBegun(PushBegun),
    /// What became of a push.
    Receipt(Receipt),
    /// A request for a payload.
    Fetch(Fetch),
    /// The payload that a fetch asked for won't come from here.
    Missing(Missing),
    /// A member that is too far behind asks for the state.
    SnapshotWanted(SnapshotWanted),
    /// The state is held still for it.
    ExportOpened(ExportOpened),
    /// It asks for the next names.
    ChunkWanted(ChunkWanted),
    /// This snapshot isn't there, or isn't any more: ask for another one.
    ExportGone(RemoteTicket),
    /// The receiver needs this snapshot no more.
    ExportClosed(RemoteTicket),
    /// The receiver is getting on with this snapshot, or with the log behind it.
    ExportNeeded(ExportNeeded),
}

/// Asks for the log to be kept, so that the receiver can go on with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportNeeded {
    /// The snapshot.
    pub export: RemoteTicket,
    /// What comes after this entry is needed: the last one that the snapshot covers or, once it is installed, the last one
    /// that is durable in the receiver's log.
    pub after: LogIndex,
}

/// Asks for a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotWanted {
    /// The question.
    pub ticket: RemoteTicket,
    /// The least that it has to cover.
    pub least: LogIndex,
}

/// The answer to [`SnapshotWanted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportOpened {
    /// The question that it answers.
    pub ticket: RemoteTicket,
    /// What the sender calls the snapshot.
    pub export: RemoteTicket,
    /// What it is of.
    pub manifest: Manifest,
}

/// Asks for the names of a snapshot behind a cursor. They come over the bulk lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkWanted {
    /// The snapshot.
    pub export: RemoteTicket,
    /// The last name that the asker has.
    pub after: Option<Multihash>,
}

/// Tells the receiver that a payload is on its way, so that it doesn't fetch the same bytes meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushBegun {
    /// The push.
    pub ticket: RemoteTicket,
    /// The block.
    pub name: Multihash,
    /// Its length in bytes.
    pub length: u32,
}

/// The answer to a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The push that it answers.
    pub ticket: RemoteTicket,
    /// The block.
    pub name: Multihash,
    /// Its length in bytes.
    pub length: u32,
    /// What became of it.
    pub verdict: Verdict,
}

/// What a receiver did with a pushed payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It would survive a power cut of the receiver.
    Durable,
    /// It was not kept.
    Refused(RefusalReason),
}

/// Why a receiver didn't keep a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalReason {
    /// No room for staged payloads at the moment; try later.
    Full,
    /// The receiver's store doesn't take writes any more.
    Poisoned,
}

/// Asks a peer for a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// The question.
    pub ticket: RemoteTicket,
    /// The block.
    pub name: Multihash,
    /// The length that the asker expects.
    pub length: u32,
}

/// The answer to a fetch that can't be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The fetch that it answers.
    pub ticket: RemoteTicket,
    /// The block.
    pub name: Multihash,
    /// Why.
    pub reason: MissingReason,
}

/// Why a fetch isn't served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MissingReason {
    /// No durable copy here.
    Absent,
    /// The copy here doesn't hash to its name.
    Damaged,
    /// Too many payloads are being served; ask again later.
    Busy,
}

/// What stands in front of a payload on the bulk lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BulkHeader {
    /// A payload that the sender was given to store; it is answered by a [`Receipt`].
    Push {
        /// The push.
        ticket: RemoteTicket,
        /// The block that the bytes must hash to.
        name: Multihash,
    },
    /// A payload that the receiver asked for.
    Fetched {
        /// The [`Fetch`] that it answers.
        ticket: RemoteTicket,
        /// The block that the bytes must hash to.
        name: Multihash,
    },
    /// Rows of a snapshot, in the order of their names.
    Chunk {
        /// The snapshot.
        export: RemoteTicket,
        /// They come directly behind this name.
        after: Option<Multihash>,
        /// Whether others follow.
        rest: Rest,
        /// What the bytes must digest to.
        digest: BodyDigest,
    },
}

impl BulkHeader {
    /// The block that follows, if one does; its bytes must be checked against this name before they are used.
    #[must_use]
    pub const fn name(&self) -> Option<Multihash> {
        match self {
            Self::Push { name, .. } | Self::Fetched { name, .. } => Some(*name),
            Self::Chunk { .. } => None,
        }
    }
}
