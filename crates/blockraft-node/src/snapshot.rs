//! Snapshots between the catalog and the data plane: one is held still and read for others, one is put together here.
//!
//! What decides is the data plane's; this only does it. A snapshot that is given away is read by a thread of its own,
//! which holds the table's view; one that is got is written beside the state that entries are applied to.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use blockraft_blocks::Multihash;
use blockraft_catalog::record::DecodeRecordError;
use blockraft_catalog::table::Table;
use blockraft_catalog::{
    CarriedBond, CatalogReader, Clients, Export, ExportPage, ExportRow, ImportError, Importer,
    Manifest as CatalogManifest, Row, RowError,
};
use blockraft_exchange::ticket::ExportTicket;
use blockraft_exchange::{Chunk, Input, Manifest, ManifestRow, Named, Rest, Sealed};
use blockraft_types::{LogIndex, Membership};
use blockraft_wire::snapshot::{DecodeRowsError, SnapshotRow, decode_rows};
use bytes::Bytes;
use thiserror::Error;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use crate::attendance::AtWork;
use crate::driver::Driver;
use crate::payload::BlockPayload;

/// Snapshots that are held still for others.
#[derive(Debug)]
pub(crate) struct Exports {
    at_work: AtWork,
    rows: CatalogReader<Arc<dyn Table>>,
    genesis: Membership,
    open: Mutex<BTreeMap<ExportTicket, Sender<Question>>>,
}

/// A question for rows.
#[derive(Debug)]
struct Question {
    after: Option<Multihash>,
    rows_max: usize,
    payload_bytes_max: u64,
    answer: oneshot::Sender<Chunk>,
}

impl Exports {
    pub(crate) const fn new(at_work: AtWork, rows: CatalogReader<Arc<dyn Table>>, genesis: Membership) -> Self {
        Self { at_work, rows, genesis, open: Mutex::new(BTreeMap::new()) }
    }

    /// Opens an export on a thread of its own, which ends when the export is closed, or with `self`. It may live for long,
    /// so it takes none of the runtime's.
    pub(crate) fn begin(&self, export: ExportTicket, driver: Driver) {
        let (questions, asked) = channel();
        let at_work = self.at_work.clone();
        let held = Held { export, rows: self.rows.clone(), genesis: self.genesis.clone(), asked };
        let teller = driver.clone();
        match Builder::new().name("snapshot".into()).spawn(move || held.run(&driver, at_work)) {
            Ok(_) => drop(self.open().insert(export, questions)),
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, "snapshot_not_begun");
                let _ = teller.gate(Input::ExportReady { export, manifest: None });
            }
        }
    }

    /// Reads rows. Nothing if the export is closed, or can't be read.
    pub(crate) async fn read(
        &self,
        export: ExportTicket,
        after: Option<Multihash>,
        rows_max: usize,
        payload_bytes_max: u64,
    ) -> Option<Chunk> {
        let (answer, chunk) = oneshot::channel();
        self.open().get(&export)?.send(Question { after, rows_max, payload_bytes_max, answer }).ok()?;
        chunk.await.ok()
    }

    pub(crate) fn close(&self, export: ExportTicket) {
        self.open().remove(&export);
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<ExportTicket, Sender<Question>>> {
        // A map is whole between any two statements that change it.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state of one moment, which is read on a thread of its own.
#[derive(Debug)]
struct Held {
    export: ExportTicket,
    rows: CatalogReader<Arc<dyn Table>>,
    genesis: Membership,
    asked: Receiver<Question>,
}

impl Held {
    /// Holds the state still and answers questions about it until nobody can ask any more. Blocks.
    fn run(self, driver: &Driver, _at_work: AtWork) {
        let Self { export, rows, genesis, asked } = self;
        let held = rows.export();
        let manifest = held.as_ref().map(|held| manifest_of(held.manifest(), &genesis)).ok();
        // A driver that has stopped asks for nothing: the loop below ends at once.
        let _ = driver.gate(Input::ExportReady { export, manifest });
        let answered = held.and_then(|held| {
            info!(position = %held.manifest().state.position, "gives_snapshot");
            while let Ok(question) = asked.recv() {
                question.answer_from(&held)?;
            }
            Ok(())
        });
        if let Err(error) = answered {
            error!(error = &error as &dyn std::error::Error, "snapshot_unreadable");
        }
    }
}

impl Question {
    fn answer_from(self, held: &Export<'_>) -> Result<(), RowError> {
        let Self { after, rows_max, payload_bytes_max, answer } = self;
        let mut chunk = chunk_of(after, held.rows(after, rows_max)?, payload_bytes_max);
        if chunk.rest == Rest::Nothing {
            chunk.clients = clients_of(held)?;
        }
        // Whoever asked may have gone away.
        let _ = answer.send(chunk);
        Ok(())
    }
}

/// As many of the rows of `page`, which begins behind `after`, as fit.
#[must_use]
pub fn chunk_of(after: Option<Multihash>, page: ExportPage, payload_bytes_max: u64) -> Chunk {
    let mut payload_bytes = 0_u64;
    let found = page.rows.len();
    let fits = |row: &ExportRow| {
        let has_room = payload_bytes < payload_bytes_max;
        payload_bytes += u64::from(row.row.length);
        has_room
    };
    let rows: Vec<ManifestRow> = page.rows.into_iter().take_while(fits).map(manifest_row).collect();
    let is_last = page.next.is_none() && rows.len() == found;
    Chunk { after, rows, rest: if is_last { Rest::Nothing } else { Rest::More }, clients: Bytes::new() }
}

/// The sessions and imports of clients as they travel with the last chunk.
///
/// # Errors
/// The table is damaged or can't be read.
pub fn clients_of(held: &Export<'_>) -> Result<Bytes, RowError> {
    held.clients().map(|clients| if clients.is_empty() { Bytes::new() } else { clients.encode().into() })
}

/// A wish of the data plane about the snapshot that is being put together.
#[derive(Debug)]
pub enum Job {
    /// Write rows.
    Import(Chunk),
    /// Make all of it durable.
    Seal(Manifest),
    /// Empty what lies beside the state.
    Clear,
}

/// Puts snapshots together, one after the other, until nobody wants any more.
pub(crate) async fn import_all(
    mut importer: Importer<Arc<dyn Table>>,
    mut jobs: UnboundedReceiver<Job>,
    driver: Driver,
    at_work: AtWork,
) {
    while let Some(job) = jobs.recv().await {
        let at_work = at_work.clone();
        let work = tokio::task::spawn_blocking(move || {
            let _at_work = at_work;
            let done = perform(&mut importer, job);
            (importer, done)
        });
        // The runtime is shutting down.
        let Ok((lent, done)) = work.await else { return };
        importer = lent;
        match done {
            // A driver that has stopped needs no snapshot.
            Ok(told) => drop(told.map(|input| driver.gate(input))),
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, "snapshot_not_written");
                return driver.fail_gate(Arc::new(error));
            }
        }
    }
}

/// Performs one wish and gives what the data plane is to hear of it. Blocks.
///
/// # Errors
/// Any of them stops the member: what lies beside the state is unknown.
pub fn perform(importer: &mut Importer<Arc<dyn Table>>, job: Job) -> Result<Option<Input<BlockPayload>>, ImportError> {
    match job {
        Job::Import(chunk) => import(importer, &chunk).map(|()| Some(Input::ChunkImported)),
        Job::Seal(manifest) => seal(importer, manifest).map(Some),
        Job::Clear => importer.clear().map(|had| had.then_some(Input::ImportCleared)),
    }
}

fn import(importer: &mut Importer<Arc<dyn Table>>, chunk: &Chunk) -> Result<(), ImportError> {
    if chunk.after.is_none() {
        importer.restart();
    }
    let rows: Vec<ExportRow> = chunk.rows.iter().map(export_row).collect();
    importer.put(&rows, chunk.rest == Rest::Nothing)?;
    if chunk.clients.is_empty() {
        return Ok(());
    }
    importer.put_clients(&Clients::decode(&chunk.clients).map_err(|source| ImportError::Clients { source })?)
}

fn seal(importer: &Importer<Arc<dyn Table>>, manifest: Manifest) -> Result<Input<BlockPayload>, ImportError> {
    let Manifest { position, chain, blocks, bytes, membership, membership_index } = manifest;
    let state = blockraft_catalog::CatalogState { position, chain, blocks, bytes };
    let membership = (LogIndex::ZERO < membership_index).then_some((membership_index, membership));
    let outcome = match importer.seal(&CatalogManifest { state, membership }) {
        Ok(()) => Sealed::Whole,
        Err(error @ ImportError::Totals { .. }) => {
            warn!(error = &error as &dyn std::error::Error, "refused_snapshot");
            Sealed::Broken
        }
        Err(error) => return Err(error),
    };
    Ok(Input::ImportSealed { outcome })
}

/// What the data plane calls it. `genesis` is in force until a configuration is committed.
#[must_use]
pub fn manifest_of(manifest: &CatalogManifest, genesis: &Membership) -> Manifest {
    let blockraft_catalog::CatalogState { position, chain, blocks, bytes } = manifest.state;
    let (membership_index, membership) =
        manifest.membership.clone().unwrap_or_else(|| (LogIndex::ZERO, genesis.clone()));
    Manifest { position, chain, blocks, bytes, membership, membership_index }
}

fn manifest_row(ExportRow { multihash, row, bond }: ExportRow) -> ManifestRow {
    ManifestRow { named: Named { name: multihash, length: row.length }, created: row.created, bond }
}

fn export_row(ManifestRow { named, created, bond }: &ManifestRow) -> ExportRow {
    let row = Row { length: named.length, created: *created };
    ExportRow { multihash: named.name, row, bond: bond.clone() }
}

/// A row as it travels.
#[must_use]
pub fn sent_row(ManifestRow { named, created, bond }: &ManifestRow) -> SnapshotRow {
    SnapshotRow { multihash: named.name, length: named.length, created: *created, bond: bond.clone() }
}

/// Why what came isn't a chunk.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// The rows can't be read.
    #[error("reading a chunk's rows")]
    Rows(#[from] DecodeRowsError),
    /// The sessions, the imports or a bond aren't what a catalog wrote.
    #[error("reading a chunk's bonds, sessions or imports")]
    Record(#[from] DecodeRecordError),
}

/// A chunk that came: `body` holds its rows, directly behind `after`.
///
/// # Errors
/// It isn't what a node sends.
pub fn received_chunk(after: Option<Multihash>, rest: Rest, body: &Bytes) -> Result<Chunk, ChunkError> {
    let (rows, clients) = decode_rows(body)?;
    if !clients.is_empty() {
        Clients::decode(&clients)?;
    }
    for row in rows.iter().filter(|row| !row.bond.is_empty()) {
        CarriedBond::decode(&row.bond)?;
    }
    Ok(Chunk { after, rows: rows.into_iter().map(received_row).collect(), rest, clients })
}

/// A row that came.
fn received_row(SnapshotRow { multihash, length, created, bond }: SnapshotRow) -> ManifestRow {
    ManifestRow { named: Named { name: multihash, length }, created, bond }
}
