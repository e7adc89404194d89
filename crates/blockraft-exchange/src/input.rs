//! Everything that can happen to an exchange.

use blockraft_blocks::Multihash;
use blockraft_types::{LogIndex, Membership, NodeId, Position, RemoteTicket, Term};

use crate::debt::Measure;
use crate::manifest::{Chunk, Manifest, Sealed};
use crate::message::{BulkHeader, Message};
use crate::payload::Named;
use crate::ticket::{CheckTicket, ExportTicket, ProposalTicket, PutId, ServeTicket};

/// One event. Inputs about one thing must be given in the order in which they happened.
#[derive(Clone, Debug)]
pub enum Input<P> {
    /// Time has passed.
    Tick,

    /// What the members' debts are measured against from now on; none while this node doesn't lead. Told now and then.
    Measured {
        /// The leader's view.
        measure: Option<Measure>,
    },

    /// A client gave this node a payload.
    Put {
        /// A number of the node's choice.
        op: PutId,
        /// The verified block.
        payload: P,
    },
    /// Nobody waits for the put any more: its entry is in the log or refused, or its client went away. Allowed at any
    /// time; ends the lease. Bytes that no entry names become orphans and are reclaimed after the grace.
    PutClosed {
        /// The put.
        op: PutId,
    },
    /// The proposal's entry is in the log (after its [`Input::Appended`]) or never will be. Ends the leases and the wait.
    ProposalClosed {
        /// The proposal.
        ticket: ProposalTicket,
    },
    /// A read found that the copy of a *visible* block is missing or damaged, after looking at its row again.
    Repair {
        /// The block.
        name: Multihash,
        /// Its length by the catalog.
        length: u32,
    },

    /// A control message from an authenticated peer.
    Message {
        /// Who sent it.
        from: NodeId,
        /// What it says.
        message: Message,
    },
    /// A payload came over the bulk lane; the shell has verified that it hashes to the header's name.
    Arrived {
        /// Who sent it.
        from: NodeId,
        /// What it is for.
        header: BulkHeader,
        /// The verified block.
        payload: P,
    },
    /// The bulk lane is done with a push and holds no byte of it any more.
    PushEnded {
        /// The peer.
        to: NodeId,
        /// The push.
        ticket: RemoteTicket,
        /// How it ended.
        outcome: PushOutcome,
    },
    /// A read for a peer is over.
    Served {
        /// Which read.
        ticket: ServeTicket,
        /// How it ended.
        outcome: ServeOutcome,
    },
    /// The transport has a connection to the peer.
    PeerConnected {
        /// The peer.
        peer: NodeId,
    },
    /// It hasn't any more; what was in flight is lost.
    PeerDisconnected {
        /// The peer.
        peer: NodeId,
    },

    /// A store effect is done: durable, or failed.
    Stored {
        /// The block.
        name: Multihash,
        /// Whether it would survive a power cut.
        result: Result<(), StoreFailure>,
    },
    /// The answer to a stat effect.
    Statted {
        /// The block.
        name: Multihash,
        /// The length of the *durable* copy in bytes; none if there is none, or if the store can't tell.
        length: Option<u32>,
    },
    /// A delete effect is done.
    Removed {
        /// The block.
        name: Multihash,
        /// Whether it is gone for good.
        result: Result<(), StoreFailure>,
    },
    /// The answer to a list effect.
    StoreListed {
        /// The page.
        entries: Vec<Named>,
        /// Where the next page starts; none at the end.
        next: Option<Multihash>,
    },
    /// The answer to a row question, as of everything that was told as [`Input::Applied`] before.
    RowsChecked {
        /// The question.
        ticket: CheckTicket,
        /// The names that have no row.
        absent: Vec<Multihash>,
    },

    /// The core appended an entry (it may not be durable yet). Told for *every* put that an entry holds, inlined or not,
    /// right after the core's step, before any other input.
    Appended {
        /// Term and index.
        position: Position,
        /// The blocks of its puts.
        names: Vec<Named>,
    },
    /// The log is durable up to here, what it replaced included.
    Persisted {
        /// Term and index of the last durable entry.
        position: Position,
    },
    /// The core cut its log: entries from here on are gone. Their names stay protected until a later term is durable.
    Truncated {
        /// The first index that is gone.
        from: LogIndex,
    },
    /// These entries never reached the log: the core refused what `reserve_append` had admitted, or what was held is given
    /// up. Their leases end, and those of another leader's entries at the same places don't. If the gate waited for one of
    /// them, `GateMoved` follows, in case something else is still held.
    AppendDropped {
        /// Term and index of each.
        positions: Vec<Position>,
    },
    /// The entry was applied to the catalog.
    Applied {
        /// Its index.
        index: LogIndex,
        /// Blocks that have a row now.
        created: Vec<Multihash>,
        /// Blocks that have none any more.
        deleted: Vec<Multihash>,
    },
    /// An applied entry carried this body. After a start it is told again for every inlined body of the un-compacted log
    /// up to the applied index: whether the store has it is what this finds out.
    InlineApplied {
        /// The entry.
        index: LogIndex,
        /// The verified block.
        payload: P,
    },
    /// The log was compacted, the compaction is synced and the catalog flushed up to here.
    Compacted {
        /// The last index that is gone.
        through: LogIndex,
    },
    /// A log entry found at start-up.
    Replayed {
        /// Term and index.
        position: Position,
        /// The blocks of its puts.
        names: Vec<Named>,
    },
    /// All of the log has been told. Nothing is reclaimed before.
    ReplayFinished {
        /// The last entry that the state here holds already. Snapshots can be given from there on, whether or not anything
        /// is applied in this life.
        applied: LogIndex,
    },

    /// The leader offers a snapshot, since the log here lacks what it can't send any more. Repeated while that is so.
    SnapshotOffered {
        /// The leader.
        from: NodeId,
        /// The last entry that the snapshot must cover.
        least: LogIndex,
    },
    /// The state is held still for an export, or can't be.
    ExportReady {
        /// Which one.
        export: ExportTicket,
        /// What it is of.
        manifest: Option<Manifest>,
    },
    /// The lane is done with a chunk, whether it arrived or not.
    ChunkSent {
        /// Of which snapshot.
        export: ExportTicket,
    },
    /// Rows of a snapshot came over the bulk lane; the shell has verified their digest.
    ChunkArrived {
        /// Who sent them.
        from: NodeId,
        /// What the sender calls the snapshot.
        export: RemoteTicket,
        /// The rows.
        chunk: Chunk,
    },
    /// The rows of the last `ImportChunk` are written.
    ChunkImported,
    /// What was imported is durable, or isn't what it should be.
    ImportSealed {
        /// Which of the two.
        outcome: Sealed,
    },
    /// What lay beside the state is gone.
    ImportCleared,
    /// The state machine's state is the snapshot now, durably.
    SnapshotInstalled {
        /// The last entry that it covers.
        position: Position,
    },
    /// Consensus has no use for the snapshot any more.
    SnapshotUnneeded {
        /// The last entry that it covers.
        position: Position,
    },

    /// A term began, or its leader became known.
    Leader {
        /// The term.
        term: Term,
        /// Who leads it.
        leader: Option<NodeId>,
    },
    /// The configuration in force, which counts from append.
    Membership {
        /// Voters, outgoing voters and learners.
        membership: Membership,
    },
}

/// Why the store didn't do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFailure {
    /// No space; it may come back.
    Full,
    /// The store takes no writes any more in this life.
    Poisoned,
}

/// How a push ended on the sender's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushOutcome {
    /// The lane took all of it. Whether the peer has it is told by its receipt alone.
    Sent,
    /// The lane gave up.
    Failed,
}

/// How a read for a peer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServeOutcome {
    /// The payload went to the bulk lane, or the lane lost it: the asker's time-out covers that.
    Sent,
    /// The store has no such block.
    Absent,
    /// The copy doesn't hash to its name.
    Damaged,
}
