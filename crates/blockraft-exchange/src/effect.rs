//! Everything that an exchange asks of its shell.

use std::collections::BTreeSet;

use blockraft_blocks::Multihash;
use blockraft_types::{LogIndex, NodeId, Position, RemoteTicket};
use thiserror::Error;

use crate::manifest::{Chunk, Manifest};
use crate::message::Message;
use crate::ticket::{CheckTicket, ExportTicket, ProposalTicket, PutId, ServeTicket};

/// One request. There is at most one of `Store`, `Stat` and `Delete` under way for a name, so the shell may perform
/// effects of different names in any order and at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<P> {
    /// Write the payload; answer with `Stored` once it is durable, never earlier.
    Store {
        /// The block.
        payload: P,
        /// What to do with a copy that is there already.
        intent: StoreIntent,
        /// Where it may go.
        space: Space,
    },
    /// Look whether a durable copy is there; answer with `Statted`.
    Stat {
        /// The block.
        name: Multihash,
    },
    /// Remove the block, if it is there; answer with `Removed`.
    Delete {
        /// The block.
        name: Multihash,
    },
    /// List the store in the order of names; answer with `StoreListed`.
    ListStore {
        /// Start behind this name.
        after: Option<Multihash>,
        /// Names at most.
        limit: usize,
    },
    /// Look which of these names have no row, neither in the state nor in what was imported beside it; answer with
    /// `RowsChecked`.
    CheckRows {
        /// The question.
        ticket: CheckTicket,
        /// The names.
        names: Vec<Multihash>,
    },

    /// Send over the control lane, or drop.
    Send {
        /// The peer.
        to: NodeId,
        /// The message.
        message: Message,
    },
    /// Send over the bulk lane behind a [`BulkHeader::Push`](crate::message::BulkHeader::Push); answer with `PushEnded`.
    Push {
        /// The peer.
        to: NodeId,
        /// The push.
        ticket: RemoteTicket,
        /// The block.
        payload: P,
    },
    /// Read the block and send it over the bulk lane behind a
    /// [`BulkHeader::Fetched`](crate::message::BulkHeader::Fetched); answer with `Served`.
    Serve {
        /// The peer.
        to: NodeId,
        /// Which read.
        serve: ServeTicket,
        /// What the peer calls it.
        ticket: RemoteTicket,
        /// The block.
        name: Multihash,
    },

    /// Hold the state machine's state still, as it is now or later; answer with `ExportReady`.
    OpenExport {
        /// Which snapshot.
        export: ExportTicket,
    },
    /// Read rows of a snapshot and send them over the bulk lane behind a
    /// [`BulkHeader::Chunk`](crate::message::BulkHeader::Chunk); answer with `ChunkSent`.
    SendChunk {
        /// The peer.
        to: NodeId,
        /// Which snapshot.
        export: ExportTicket,
        /// What the peer calls it.
        remote: RemoteTicket,
        /// Begin behind this name.
        after: Option<Multihash>,
        /// Rows at most.
        rows_max: usize,
        /// Bytes of the blocks that they name, overshot by at most one block.
        payload_bytes_max: u64,
    },
    /// Let go of a snapshot.
    CloseExport {
        /// Which one.
        export: ExportTicket,
    },
    /// Write rows beside the state machine's state; answer with `ChunkImported`. Rows without an `after` begin a snapshot
    /// anew. Whatever was imported in their range before is gone.
    ImportChunk {
        /// The rows. All the blocks that they name are durable here.
        chunk: Chunk,
    },
    /// All rows were imported: make them durable; answer with `ImportSealed`.
    SealImport {
        /// What they are a snapshot of.
        manifest: Manifest,
    },
    /// The snapshot lies complete and durable beside the state: let consensus take it in. What becomes of it is an input.
    SnapshotComplete {
        /// What it is of.
        manifest: Manifest,
    },
    /// Empty what lies beside the state: a snapshot that is not needed, or the state before one; answer with
    /// `ImportCleared` if there was anything.
    ClearImport,
    /// Nobody has a block that two snapshots named one after the other. It is looked for as long as it takes.
    SnapshotStuck {
        /// The block.
        name: Multihash,
        /// The last entry that the snapshot covers.
        position: Position,
    },

    /// The payload is durable on a commit quorum, the leader among it: propose it, then close the put.
    PutReady {
        /// The put.
        op: PutId,
        /// Who has it.
        holders: BTreeSet<NodeId>,
    },
    /// The put was not proposed and won't be; it is closed.
    PutFailed {
        /// The put.
        op: PutId,
        /// Why.
        reason: PutFailure,
    },
    /// All payloads of the proposal are durable here and leased: it may enter the log.
    ProposalReady {
        /// The proposal.
        ticket: ProposalTicket,
    },
    /// The proposal must not enter; it is closed.
    ProposalRefused {
        /// The proposal.
        ticket: ProposalTicket,
        /// Why.
        reason: ProposalRefusal,
    },
    /// Something that entries wait for at the gate is durable now: ask `reserve_append` again.
    GateMoved,
    /// A body that was told as `InlineApplied` is durable in the store. It may have been there all along: then no `Store`
    /// was asked for.
    InlineStored {
        /// The entry that it rode in.
        index: LogIndex,
        /// The block.
        name: Multihash,
    },
    /// The copy is whole again.
    Repaired {
        /// The block.
        name: Multihash,
    },
    /// No peer gave a good copy in time.
    RepairFailed {
        /// The block.
        name: Multihash,
    },
}

/// What to do with a copy that the store already has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreIntent {
    /// Keep it: it is the same block.
    Keep,
    /// Write anew: a read found it damaged.
    Replace,
}

/// Which space a write may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// What is there for puts.
    Common,
    /// What the store keeps back as well: an entry names the block, and nothing behind it moves before it is stored.
    Reserve,
}

/// Whether a proposal may enter the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// All payloads are durable here and leased until the proposal is closed.
    Enter,
    /// A later `ProposalReady` or `ProposalRefused` will tell.
    Wait,
    /// Not now; the proposal is closed.
    Refuse(ProposalRefusal),
}

/// Why a put failed before it was proposed. All are safe to retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PutFailure {
    /// No commit quorum with the leader among it had the bytes in time.
    #[error("no quorum took the payload in time")]
    NoQuorum,
    /// Too many puts are under way here, or the store is full.
    #[error("no room for the payload")]
    Full,
    /// The local store takes no writes any more.
    #[error("the local store takes no writes any more")]
    Poisoned,
}

/// Why a proposal may not enter the log. All are safe to retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProposalRefusal {
    /// Too many proposals wait.
    #[error("too many proposals wait for their payloads")]
    Full,
    /// The payloads couldn't be had in time.
    #[error("the payload could not be had in time")]
    NotHeld,
    /// The local store is full, and lacks a payload.
    #[error("the local store is full")]
    StoreFull,
    /// A named length isn't the length of the block.
    #[error("the named length is not the length of the block")]
    Length,
    /// The local store takes no writes any more.
    #[error("the local store takes no writes any more")]
    Poisoned,
}
