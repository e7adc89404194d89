//! The hands of the data plane: performs what the exchange wants done, and reports back.
//!
//! One task takes the wishes in order and starts each on its own; the exchange bounds how many there are. Payload bytes
//! are shared, never copied.

use core::time::Duration;
use std::sync::Arc;

use blockraft_blocks::store::Lookup;
use blockraft_blocks::{Block, BlockStore, Multihash, ReadError, WriteError};
use blockraft_catalog::CatalogReader;
use blockraft_catalog::table::Table;
use blockraft_exchange::effect::Space;
use blockraft_exchange::input::{PushOutcome, ServeOutcome, StoreFailure};
use blockraft_exchange::message::{BulkHeader, Message};
use blockraft_exchange::payload::Named;
use blockraft_exchange::ticket::{ExportTicket, ServeTicket};
use blockraft_exchange::{Chunk, Effect, Input};
use blockraft_transport::{Bulk, Transport};
use blockraft_types::{BodyDigest, NodeId, RemoteTicket};
use blockraft_wire::snapshot::{SnapshotRow, encode_rows};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{debug, error, warn};

use crate::attendance::AtWork;
use crate::driver::Driver;
use crate::exchange_frame;
use crate::inline_pending::InlinePending;
use crate::payload::BlockPayload;
use crate::snapshot::{Exports, Job, sent_row};
use crate::told::Told;
use crate::waiting::{Repair, Waiting};

/// What the hands hold. Cheap to clone: every wish gets one.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    #[expect(dead_code, reason = "it is held, by each wish that is performed, and never read")]
    pub(crate) at_work: AtWork,
    pub(crate) driver: Driver,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) blocks: Arc<dyn BlockStore>,
    pub(crate) rows: CatalogReader<Arc<dyn Table>>,
    pub(crate) inline: Arc<InlinePending>,
    pub(crate) waiting: Arc<Waiting>,
    pub(crate) told: Arc<Told>,
    pub(crate) exports: Arc<Exports>,
    /// To whoever puts snapshots together. The data plane wants one thing at a time.
    pub(crate) imports: mpsc::UnboundedSender<Job>,
}

impl Plane {
    /// Performs wishes until the exchange is gone.
    pub(crate) async fn run(self, mut wishes: mpsc::UnboundedReceiver<Effect<BlockPayload>>) {
        while let Some(wish) = wishes.recv().await {
            self.perform(wish);
        }
    }

    fn perform(&self, wish: Effect<BlockPayload>) {
        let plane = self.clone();
        match wish {
            Effect::Store { payload, space, .. } => {
                drop(tokio::spawn(async move { plane.store(payload.0, space).await }));
            }
            Effect::Stat { name } => drop(tokio::spawn(async move { plane.stat(name).await })),
            Effect::Delete { name } => drop(tokio::spawn(async move { plane.delete(name).await })),
            Effect::ListStore { after, limit } => drop(tokio::spawn(async move { plane.list(after, limit).await })),
            Effect::CheckRows { ticket, names } => {
                drop(tokio::task::spawn_blocking(move || plane.told.check_rows(&plane.rows, ticket, names)));
            }
            Effect::Send { to, message } => self.send(to, &message),
            Effect::Push { to, ticket, payload } => {
                drop(tokio::spawn(async move { plane.push(to, ticket, payload.0).await }));
            }
            Effect::Serve { to, serve, ticket, name } => {
                drop(tokio::spawn(async move { plane.serve(to, serve, ticket, name).await }));
            }
            Effect::InlineStored { index, name } => self.inline.stored(index, &name),
            Effect::PutReady { op, .. } => self.waiting.puts.settle(&op, Ok(())),
            Effect::PutFailed { op, reason } => self.waiting.puts.settle(&op, Err(reason)),
            Effect::Repaired { name } => self.waiting.repairs.settle_all(&name, Repair::Done),
            Effect::RepairFailed { name } => self.waiting.repairs.settle_all(&name, Repair::Failed),
            Effect::OpenExport { export } => {
                self.exports.begin(export, self.driver.clone());
            }
            Effect::SendChunk { to, export, remote, after, rows_max, payload_bytes_max } => {
                drop(tokio::spawn(async move {
                    let chunk = plane.exports.read(export, after, rows_max, payload_bytes_max).await;
                    plane.send_chunk(to, export, remote, chunk).await;
                }));
            }
            Effect::CloseExport { export } => self.exports.close(export),
            Effect::ImportChunk { chunk } => self.import(Job::Import(chunk)),
            Effect::SealImport { manifest } => self.import(Job::Seal(manifest)),
            Effect::ClearImport => self.import(Job::Clear),
            Effect::SnapshotStuck { name, position } => error!(%name, %position, "snapshot_lacks_block"),
            // The gate keeps these for the driver.
            Effect::GateMoved
            | Effect::ProposalReady { .. }
            | Effect::ProposalRefused { .. }
            | Effect::SnapshotComplete { .. } => {}
        }
    }

    fn import(&self, job: Job) {
        // Whoever puts snapshots together has ended only after it stopped the node.
        let _ = self.imports.send(job);
    }

    fn tell(&self, input: Input<BlockPayload>) {
        // A driver that has stopped has no data plane to tell.
        let _ = self.driver.gate(input);
    }

    async fn store(&self, block: Block, space: Space) {
        let name = *block.multihash();
        let result = match space {
            Space::Common => self.blocks.put(block).await.map(|_| ()),
            Space::Reserve => self.blocks.put_reserved(block).await.map(|_| ()),
        };
        let result = result.map_err(|error| self.store_failure("put", name, error));
        self.tell(Input::Stored { name, result });
    }

    async fn stat(&self, name: Multihash) {
        let length = match self.blocks.stat(name).await {
            Ok(length) => length,
            Err(error) => {
                unreadable("stat", &error);
                None
            }
        };
        self.tell(Input::Statted { name, length });
    }

    async fn delete(&self, name: Multihash) {
        let result = self.blocks.delete(name).await.map(|_| ());
        let result = result.map_err(|error| self.store_failure("delete", name, error));
        self.tell(Input::Removed { name, result });
    }

    /// A full store is waited out. One that failed to write is given up and the node with it: a leader that can't keep
    /// payloads would stand in the way of those who can.
    fn store_failure(&self, attempt: &'static str, name: Multihash, error: WriteError) -> StoreFailure {
        match error {
            WriteError::Full { .. } => {
                // The gate says it once, for all of them.
                debug!(%name, attempt, error = &error as &dyn std::error::Error, "no_room");
                StoreFailure::Full
            }
            error => {
                error!(%name, attempt, error = &error as &dyn std::error::Error, "block_store_failed");
                self.driver.fail_gate(Arc::new(error));
                StoreFailure::Poisoned
            }
        }
    }

    async fn list(&self, after: Option<Multihash>, limit: usize) {
        match self.blocks.list(after, limit).await {
            Ok(page) => {
                let entries =
                    page.entries.iter().map(|listed| Named { name: listed.multihash, length: listed.length }).collect();
                self.tell(Input::StoreListed { entries, next: page.next });
            }
            Err(error) => {
                // The sweep is a courtesy: orphans of an earlier life stay until the next start.
                warn!(error = &error as &dyn std::error::Error, "store_listing_failed");
                self.tell(Input::StoreListed { entries: Vec::new(), next: None });
            }
        }
    }

    fn send(&self, to: NodeId, message: &Message) {
        let sent = exchange_frame::encode_message(message).map(|frame| self.transport.send(to, frame));
        if !matches!(sent, Ok(Ok(()))) {
            debug!(peer = to.0, "data_plane_message_dropped");
        }
    }

    async fn push(&self, to: NodeId, ticket: RemoteTicket, block: Block) {
        let header = BulkHeader::Push { ticket, name: *block.multihash() };
        let outcome = self.bulk(to, &header, block.into_bytes()).await;
        self.tell(Input::PushEnded { to, ticket, outcome });
    }

    async fn send_chunk(&self, to: NodeId, export: ExportTicket, remote: RemoteTicket, chunk: Option<Chunk>) {
        if let Some(Chunk { after, rows, rest, clients }) = chunk {
            let rows: Vec<SnapshotRow> = rows.iter().map(sent_row).collect();
            let body = Bytes::from(encode_rows(&rows, &clients));
            let header = BulkHeader::Chunk { export: remote, after, rest, digest: BodyDigest::of(&body) };
            self.bulk(to, &header, body).await;
        }
        self.tell(Input::ChunkSent { export });
    }

    async fn serve(&self, to: NodeId, serve: ServeTicket, ticket: RemoteTicket, name: Multihash) {
        let found = match self.inline.get(&name) {
            Some(block) => Ok(Lookup::Present(block)),
            None => self.blocks.get(name).await,
        };
        let outcome = match found {
            Ok(Lookup::Present(block)) => {
                self.bulk(to, &BulkHeader::Fetched { ticket, name }, block.into_bytes()).await;
                ServeOutcome::Sent
            }
            Ok(Lookup::Absent) => ServeOutcome::Absent,
            Ok(Lookup::Damaged) => ServeOutcome::Damaged,
            Err(error) => {
                unreadable("get", &error);
                ServeOutcome::Damaged
            }
        };
        self.tell(Input::Served { ticket: serve, outcome });
    }

    async fn bulk(&self, to: NodeId, header: &BulkHeader, body: Bytes) -> PushOutcome {
        let Ok(header) = exchange_frame::encode_bulk_header(header) else {
            return PushOutcome::Failed;
        };
        match timeout(BULK_TIMEOUT, self.transport.bulk(to, Bulk { header, body })).await {
            Ok(Ok(())) => PushOutcome::Sent,
            Ok(Err(error)) => {
                debug!(peer = to.0, error = &error as &dyn std::error::Error, "bulk_transfer_failed");
                PushOutcome::Failed
            }
            Err(_) => {
                debug!(peer = to.0, "bulk_transfer_timed_out");
                PushOutcome::Failed
            }
        }
    }
}

fn unreadable(attempt: &'static str, error: &ReadError) {
    error!(attempt, error = error as &dyn std::error::Error, "block_store_unreadable");
}

/// How long a transfer may wait for its peer. A peer that takes longer is slower than a fetch from another one.
const BULK_TIMEOUT: Duration = Duration::from_secs(20);
