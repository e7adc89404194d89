//! Storing a tree of files in a cluster, and reading it back to compare: what a user does first.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use blockraft_blocks::Block;
use blockraft_client::{ClientConfig, Consistency};
use blockraft_types::NodeId;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::gaps::Gaps;
use crate::history::{Action, Continuation, HistoryWriter, Operation};
use crate::report::Event;
use crate::session::{Reach, Session};
use crate::tree::{Tree, blocks};
use crate::workload::{GAP_NS_MIN, Tally, is_acknowledged_write};

/// A tree, and how to store it.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The folder.
    pub tree: PathBuf,
    /// Files beyond this many bytes are left out.
    pub bytes_max: u64,
    /// Clients that store at once.
    pub clients: u32,
    /// Where the history goes.
    pub history: PathBuf,
}

/// Stores each file's blocks, again and again until they are acknowledged, and tells progress and gaps.
///
/// # Errors
/// A file can't be read, or a block is not acknowledged for [`PATIENCE`].
pub async fn store(config: ClientConfig, options: StoreOptions) -> Result<()> {
    let Continuation { begins_ns, first_client } = Continuation::behind(&options.history)?;
    let clock = Clock::continued(begins_ns);
    let tree = Arc::new(Tree::walk(&options.tree, options.bytes_max)?);
    let history = HistoryWriter::append(&options.history)?;
    let next_file = Arc::new(AtomicUsize::new(0));
    let (ended, operations) = mpsc::channel(QUEUE_OPERATIONS);
    let mut clients = JoinSet::new();
    for number in 0..options.clients {
        let reach = Reach::Any { first: number as usize };
        let session = Session::connect(config.clone(), first_client + number, reach, clock).await?;
        clients.spawn(store_files(session, Arc::clone(&tree), Arc::clone(&next_file), ended.clone()));
    }
    drop(ended);
    Event::Started { bytes: tree.bytes }.tell();
    let tally = watch(operations, &history, clock).await;
    while let Some(client) = clients.join_next().await {
        client.context("a client panicked")??;
    }
    tokio::task::spawn_blocking(move || history.finish()).await??;
    tally.tell((clock.now_ns() - begins_ns) / 1_000_000);
    Ok(())
}

async fn store_files(
    session: Session,
    tree: Arc<Tree>,
    next_file: Arc<AtomicUsize>,
    ended: mpsc::Sender<Operation>,
) -> Result<()> {
    loop {
        let (tree, next_file) = (Arc::clone(&tree), Arc::clone(&next_file));
        let reading = tokio::task::spawn_blocking(move || next_batch(&tree, &next_file));
        let batch = reading.await.context("reading files panicked")??;
        if batch.is_empty() {
            break;
        }
        put(&session, batch, &ended).await?;
    }
    session.client().close().await;
    Ok(())
}

/// Takes files until their blocks fill a batch; an empty one when no file is left. Equal blocks of a batch (empty files
/// are many) stand in it once.
fn next_batch(tree: &Tree, next_file: &AtomicUsize) -> Result<Vec<Block>> {
    let mut batch = BTreeMap::new();
    let mut bytes = 0;
    while bytes < BATCH_BYTES && batch.len() < BATCH_BLOCKS {
        let Some(file) = tree.files.get(next_file.fetch_add(1, Ordering::Relaxed)) else { break };
        for block in blocks(file)? {
            bytes += block.bytes().len();
            batch.insert(*block.multihash(), block);
        }
    }
    Ok(batch.into_values().collect())
}

/// Nobody deletes while a tree is stored, so a put of which nothing was heard in time may simply be put again.
async fn put(session: &Session, mut batch: Vec<Block>, ended: &mpsc::Sender<Operation>) -> Result<()> {
    let begun = Instant::now();
    while !batch.is_empty() {
        let operations = session.put_many(&batch).await;
        let is_acknowledged: Vec<bool> = operations.iter().map(is_acknowledged_write).collect();
        let mut acknowledged = is_acknowledged.iter();
        batch.retain(|_| acknowledged.next() == Some(&false));
        for operation in operations {
            ended.send(operation).await.ok().context("the history can't be written")?;
        }
        if let Some(block) = batch.first() {
            if PATIENCE < begun.elapsed() {
                bail!("block {} is not acknowledged after {PATIENCE:?}", block.multihash());
            }
            sleep(PUT_PAUSE).await;
        }
    }
    Ok(())
}

async fn watch(mut operations: mpsc::Receiver<Operation>, history: &HistoryWriter, clock: Clock) -> Tally {
    let history = history.sender();
    let mut tally = Tally::default();
    let mut gaps = Gaps::of_at_least(GAP_NS_MIN);
    let (mut blocks, mut bytes) = (0, 0);
    let mut told_ns = 0;
    while let Some(operation) = operations.recv().await {
        tally.count(&operation);
        if let (true, Action::Put { bytes: length, .. }) = (is_acknowledged_write(&operation), &operation.action) {
            blocks += 1;
            bytes += length;
            for gap in gaps.acknowledged(operation.client, operation.returned) {
                Event::gap(gap, clock).tell();
            }
        }
        if told_ns + PROGRESS_NS < operation.returned {
            told_ns = operation.returned;
            Event::Progress { blocks, bytes }.tell();
        }
        if history.send(operation).await.is_err() {
            break; // `finish` tells why the file can't be written
        }
    }
    Event::Progress { blocks, bytes }.tell();
    tally
}

/// What to compare, and with which node.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// The folder.
    pub tree: PathBuf,
    /// As when it was stored.
    pub bytes_max: u64,
    /// The only node to ask.
    pub node: u64,
}

/// Reads every file's blocks from one node and compares them with the files, byte for byte.
///
/// # Errors
/// A block is absent or differs, or the node can't be reached.
pub async fn compare(config: ClientConfig, options: CompareOptions) -> Result<()> {
    let clock = Clock::start();
    let tree = Tree::walk(&options.tree, options.bytes_max)?;
    let session = Session::connect(config, 0, Reach::Only(NodeId(options.node)), clock).await?;
    Event::Started { bytes: tree.bytes }.tell();
    let (mut blocks_read, mut bytes) = (0, 0);
    let (tree, next_file) = (Arc::new(tree), Arc::new(AtomicUsize::new(0)));
    loop {
        let (tree, next_file) = (Arc::clone(&tree), Arc::clone(&next_file));
        let reading = tokio::task::spawn_blocking(move || next_batch(&tree, &next_file));
        let expected = reading.await.context("reading files panicked")??;
        if expected.is_empty() {
            break;
        }
        let names: Vec<_> = expected.iter().map(|block| *block.multihash()).collect();
        let found = session.client().get_many(&names, Consistency::Confirmed).await;
        for (expected, found) in expected.iter().zip(found) {
            let name = expected.multihash();
            match found.with_context(|| format!("can't read block {name} from node {}", options.node))? {
                Some(block) if block.bytes() == expected.bytes() => {}
                Some(_) => bail!("node {} has other bytes for block {name}", options.node),
                None => bail!("node {} says that block {name} is absent", options.node),
            }
            blocks_read += 1;
            bytes += expected.bytes().len() as u64;
        }
        Event::Progress { blocks: blocks_read, bytes }.tell();
    }
    session.client().close().await;
    Event::Done { done: blocks_read, refused: 0, unknown: 0, bytes, ms: clock.now_ns() / 1_000_000 }.tell();
    Ok(())
}

/// How long a block may stay without an acknowledgement.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A batch is full with so many bytes, or so many blocks.
const BATCH_BYTES: usize = 2 << 20;
const BATCH_BLOCKS: usize = 64;

const PUT_PAUSE: Duration = Duration::from_millis(20);

/// Operations that wait to be recorded; clients wait behind them.
const QUEUE_OPERATIONS: usize = 1_024;

/// How often progress is told.
const PROGRESS_NS: u64 = 200_000_000;
