//! A running node: what its owner and its clients ask of it.

use core::fmt;
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use blockraft_blocks::{Block, BlockLimits, BlockStore, Lookup, Multihash};
use blockraft_catalog::reader::AsOf;
use blockraft_catalog::table::Table;
use blockraft_catalog::{CatalogReader, Command, Outcome, Row};
use blockraft_driver::StopReason;
use blockraft_driver::status::RoleStatus;
use blockraft_exchange::Input;
use blockraft_transport::Transport;
use blockraft_types::{NodeId, SessionId, Term, Turn};
use futures::StreamExt;
use futures::stream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::answer::{Answer, Count, ListPage, Written};
use crate::attendance::Attendance;
use crate::batch::Batch;
use crate::config::Identity;
use crate::consistency::Consistency;
use crate::driver::Driver;
use crate::inline_pending::InlinePending;
use crate::introductions::Introductions;
use crate::read_error::ReadError;
use crate::reader::Reader;
use crate::requests::Requests;
use crate::status::Status;
use crate::witness::Witness;
use crate::write_error::{Obstacle, WriteError};
use crate::writer::{BytesHeld, Writer};

/// A handle to a running node. Clone it freely and use it from any task; any node takes any request.
///
/// Dropping handles doesn't stop the node: [`shutdown`](Self::shutdown) does.
#[derive(Clone)]
pub struct Node {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) identity: Identity,
    pub(crate) driver: Driver,
    pub(crate) requests: Requests,
    pub(crate) request_timeout: Duration,
    pub(crate) import_lease: Duration,
    pub(crate) writer: Writer,
    pub(crate) reader: Reader,
    pub(crate) rows: CatalogReader<Arc<dyn Table>>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) blocks: Arc<dyn BlockStore>,
    pub(crate) inline: Arc<InlinePending>,
    pub(crate) exchange: watch::Receiver<blockraft_exchange::Status>,
    pub(crate) introductions: Arc<Introductions>,
    pub(crate) tasks: Mutex<Vec<JoinHandle<()>>>,
    pub(crate) attendance: Attendance,
}

impl Node {
    /// Puts a block: resolves when its bytes and its entry are durable on a quorum and it is visible here or at the
    /// leader. A block that is visible already and whole here costs a read index and a read; a copy that isn't whole is
    /// written anew, here and wherever it is missing.
    ///
    /// Waits while too much is being put. Repeats by itself only what surely wasn't proposed. Dropping the future leaves
    /// the outcome open: the put may happen or not, and bytes that it staged are reclaimed.
    ///
    /// # Errors
    /// See [`WriteError`], which says whether it may be repeated.
    pub async fn put(&self, block: Block) -> Result<Written, WriteError> {
        let present = tokio::select! {
            biased;
            present = self.shared.reader.confirmed_present(*block.multihash()) => present,
            () = self.shared.writer.closed() => return Err(WriteError::Stopping),
        };
        match present {
            Ok(Some(position)) if self.holds_whole(&block).await => {
                return Ok(Written { outcome: Outcome::AlreadyPresent, position });
            }
            // No quorum to confirm it is none to write it, and the time is up.
            Err(ReadError::NotConfirmed { within, leader, .. }) => {
                let reason = if leader.is_none() { Obstacle::NoLeader } else { Obstacle::NoQuorum };
                return Err(WriteError::NotProposed { within, reason, leader });
            }
            Err(ReadError::Stopping) => return Err(WriteError::Stopping),
            Ok(_) | Err(ReadError::NoCopy { .. } | ReadError::Storage { .. }) => {}
        }
        let written = self.shared.writer.put(None, block, BytesHeld::Unknown).await?;
        self.shared.reader.freshness.returned(written.position);
        Ok(written)
    }

    /// Puts blocks side by side, each on its own: some may succeed and others fail. Answers in the order given.
    pub async fn put_many(&self, blocks: Vec<Block>) -> Vec<Result<Written, WriteError>> {
        stream::iter(blocks).map(|block| self.put(block)).buffered(SIDE_BY_SIDE_MAX).collect().await
    }

    /// Opens a session, through the log: commands of it are carried out once, however often they are asked for and through
    /// whichever nodes. [`Turns`](blockraft_types::Turns) gives them their numbers; a [`Session`](crate::Session) does so
    /// by itself, and asks again.
    ///
    /// A cluster keeps 4,096 sessions. When another one is opened, the one that was used least recently expires. Dropping
    /// the future may leave a session that nobody uses.
    ///
    /// # Errors
    /// See [`WriteError`]. After any of them this may be called again.
    pub async fn open_session(&self) -> Result<SessionId, WriteError> {
        let (written, session) = self.shared.writer.open_session().await?;
        self.shared.reader.freshness.returned(written.position);
        Ok(session)
    }

    /// Carries out a command of no session and without payload, and says which one of its entry it was.
    pub(crate) async fn command(&self, command: Command) -> Result<(Written, u32), WriteError> {
        let (written, number) = self.shared.writer.command(command).await?;
        self.shared.reader.freshness.returned(written.position);
        Ok((written, number))
    }

    /// Puts a block as the command of a session whose turn it is. Always goes through the log, so that every replica
    /// knows that it was carried out; the bytes don't travel if the block is visible and whole here.
    ///
    /// Repeats by itself what may have been done, until it knows or the time is over; asked again with the same turn,
    /// here or at another node, it tells what the first time did. Dropping the future leaves the outcome open until then.
    ///
    /// # Errors
    /// See [`WriteError`]. After [`Unknown`](WriteError::Unknown) it may be asked again, with the same turn.
    pub async fn put_in(&self, turn: Turn, block: Block) -> Result<Written, WriteError> {
        let visible = self.shared.rows.visible(block.multihash());
        let is_visible = visible.is_ok_and(|row| row.value.is_some());
        let held = if is_visible && self.holds_whole(&block).await { BytesHeld::Here } else { BytesHeld::Unknown };
        let written = self.shared.writer.put(Some(turn), block, held).await?;
        self.shared.reader.freshness.returned(written.position);
        Ok(written)
    }

    /// Puts blocks side by side as commands of a session: the first one in `turn`, each further one in the turn behind.
    pub async fn put_many_in(&self, turn: Turn, blocks: Vec<Block>) -> Vec<Result<Written, WriteError>> {
        let put = |(number, block)| self.put_in(turn.plus(number), block);
        stream::iter((0..).zip(blocks)).map(put).buffered(SIDE_BY_SIDE_MAX).collect().await
    }

    /// The block, or `None` when it is absent at the consistency asked for. The bytes hash to the multihash, always.
    ///
    /// # Errors
    /// See [`ReadError`]; no error ever means that the block is absent.
    pub async fn get(
        &self,
        multihash: Multihash,
        consistency: Consistency,
    ) -> Result<Answer<Option<Block>>, ReadError> {
        self.shared.reader.get(multihash, consistency).await
    }

    /// Gets blocks side by side, in the order asked: which of them are present is as of one moment, and costs one read index
    /// at most. Each has an error of its own if it is present and can't be read.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_many(
        &self,
        multihashes: Vec<Multihash>,
        consistency: Consistency,
    ) -> Result<Answer<Vec<Result<Option<Block>, ReadError>>>, ReadError> {
        let batch = self.batch(multihashes.clone(), consistency).await?;
        let reads = stream::iter(0..multihashes.len()).map(|place| batch.read(place));
        let read: Vec<_> = reads.buffered(SIDE_BY_SIDE_MAX).collect().await;
        let Answer { value: present, position } = batch.finish().await?;
        let value = multihashes.into_iter().zip(read).zip(present).map(|((multihash, read), is_present)| match read {
            _ if !is_present => Ok(None),
            Ok(None) => Err(ReadError::NoCopy { multihash }),
            read => read,
        });
        Ok(Answer { value: value.collect(), position })
    }

    /// Asks for blocks together whose bytes the caller reads as it has room for them. See [`Batch`].
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn batch(&self, multihashes: Vec<Multihash>, consistency: Consistency) -> Result<Batch, ReadError> {
        Batch::begin(self.shared.reader.clone(), multihashes, consistency).await
    }

    /// Whether the block is present.
    ///
    /// # Errors
    /// As [`get`](Self::get), without reading the bytes.
    pub async fn has(&self, multihash: Multihash, consistency: Consistency) -> Result<Answer<bool>, ReadError> {
        let Answer { value, position } = self.stat(multihash, consistency).await?;
        Ok(Answer { value: value.is_some(), position })
    }

    /// Whether each block is present, all as of one moment.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn has_many(
        &self,
        multihashes: &[Multihash],
        consistency: Consistency,
    ) -> Result<Answer<Vec<bool>>, ReadError> {
        let Answer { value, position } = self.stat_many(multihashes, consistency).await?;
        Ok(Answer { value: value.iter().map(Option::is_some).collect(), position })
    }

    /// Length and origin of a block, or `None` when it is absent.
    ///
    /// # Errors
    /// As [`get`](Self::get), without reading the bytes.
    pub async fn stat(&self, multihash: Multihash, consistency: Consistency) -> Result<Answer<Option<Row>>, ReadError> {
        self.shared.reader.stat(multihash, consistency).await
    }

    /// Length and origin of each block, all as of one moment, with one read index.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn stat_many(
        &self,
        multihashes: &[Multihash],
        consistency: Consistency,
    ) -> Result<Answer<Vec<Option<Row>>>, ReadError> {
        self.shared.reader.stat_many(multihashes, consistency).await
    }

    /// Deletes a block: once it resolves, no read that isn't `Local` finds it, except as [`Consistency::Confirmed`]
    /// allows. Its bytes are reclaimed when the log no longer needs them.
    ///
    /// # Errors
    /// As [`put`](Self::put). Dropping the future leaves the outcome open.
    pub async fn delete(&self, multihash: Multihash) -> Result<Written, WriteError> {
        let written = self.shared.writer.delete(None, multihash).await?;
        self.shared.reader.freshness.returned(written.position);
        Ok(written)
    }

    /// Deletes blocks side by side, each on its own. Answers in the order given.
    pub async fn delete_many(&self, multihashes: Vec<Multihash>) -> Vec<Result<Written, WriteError>> {
        let delete = |multihash| self.delete(multihash);
        stream::iter(multihashes).map(delete).buffered(SIDE_BY_SIDE_MAX).collect().await
    }

    /// Deletes a block as the command of a session whose turn it is.
    ///
    /// # Errors
    /// As [`put_in`](Self::put_in).
    pub async fn delete_in(&self, turn: Turn, multihash: Multihash) -> Result<Written, WriteError> {
        let written = self.shared.writer.delete(Some(turn), multihash).await?;
        self.shared.reader.freshness.returned(written.position);
        Ok(written)
    }

    /// Deletes blocks side by side as commands of a session, numbered like [`put_many_in`](Self::put_many_in).
    pub async fn delete_many_in(&self, turn: Turn, multihashes: Vec<Multihash>) -> Vec<Result<Written, WriteError>> {
        let delete = |(number, multihash)| self.delete_in(turn.plus(number), multihash);
        stream::iter((0..).zip(multihashes)).map(delete).buffered(SIDE_BY_SIDE_MAX).collect().await
    }

    /// A page of at most `limit` (1 to 1,000) visible blocks after `after`, in the order of multihashes.
    ///
    /// A listing in pages returns every block that is present throughout exactly once; it is not a snapshot. Carry each
    /// page's position into the next call.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn list(
        &self,
        after: Option<Multihash>,
        limit: usize,
        consistency: Consistency,
    ) -> Result<Answer<ListPage>, ReadError> {
        self.shared.reader.list(after, limit, consistency).await
    }

    /// How many blocks are visible, and their bytes, as of the answer's position.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn count(&self, consistency: Consistency) -> Result<Answer<Count>, ReadError> {
        self.shared.reader.count(consistency).await
    }

    /// The node's state, at most a few ticks old.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            identity: self.shared.identity,
            driver: self.shared.driver.status(),
            catalog: self.shared.rows.state(),
            exchange: self.shared.exchange.borrow().clone(),
            peers: self.shared.transport.peers(),
        }
    }

    /// What this node remembers of the others, which may come back from before that. Keep it over restarts: look every second
    /// or so, write it where it is another than last time, and hand it to the [next life](crate::NodeConfig::witness).
    #[must_use]
    pub fn witness(&self) -> Witness {
        self.shared.introductions.witness().clone()
    }

    /// The longest block that this node takes in.
    #[must_use]
    pub fn block_limits(&self) -> BlockLimits {
        self.shared.writer.block_limits()
    }

    /// Who leads, as far as this node knows.
    #[must_use]
    pub fn current_leader(&self) -> Option<NodeId> {
        self.shared.driver.roles().borrow().leader
    }

    /// Whether this node leads. It may have been deposed without knowing yet: writes and confirmed reads find out.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.current_leader() == Some(self.shared.identity.node)
    }

    /// This node's term.
    #[must_use]
    pub fn current_term(&self) -> Term {
        self.shared.driver.roles().borrow().term
    }

    /// Role, term and leader, to be watched.
    #[must_use]
    pub fn roles(&self) -> watch::Receiver<RoleStatus> {
        self.shared.driver.roles()
    }

    /// Makes everything that the block store has taken durable. Nothing acknowledged ever depends on it.
    ///
    /// # Errors
    /// The block store failed.
    pub async fn flush(&self) -> Result<(), blockraft_blocks::WriteError> {
        self.shared.blocks.flush().await
    }

    /// Asks this node, if it leads, to hand leadership to `to`. Watch [`roles`](Self::roles) for the result.
    pub fn transfer_leadership(&self, to: NodeId) {
        // A node that has stopped leads nobody.
        let _ = self.shared.driver.transfer_leadership(to);
    }

    /// Stops the node: refuses new writes, hands leadership over, flushes, closes transport and block store. Resolves
    /// when all of it is done, in bounded time: then only handles to the node hold its [parts](crate::Parts) still, and
    /// once they are dropped somebody else may open the same files.
    pub async fn shutdown(&self) -> StopReason {
        let shared = &self.shared;
        shared.writer.close();
        let reason = shared.driver.shutdown().await;
        self.close().await;
        reason
    }

    /// Resolves when the node has stopped, with the reason. Anything but a shutdown should end the process.
    pub async fn stopped(&self) -> StopReason {
        let reason = self.shared.driver.stopped().await;
        self.shared.writer.close();
        self.close().await;
        reason
    }

    /// Whether this node's own copy of a visible block is whole. The data plane hears of one that isn't, so that it
    /// writes over it.
    async fn holds_whole(&self, block: &Block) -> bool {
        let Shared { inline, blocks, rows, driver, .. } = &*self.shared;
        let name = *block.multihash();
        let pending = || inline.get(&name).is_some();
        if pending() {
            return true;
        }
        match timeout(COPY_READ_TIMEOUT, blocks.get(name)).await {
            Ok(Ok(Lookup::Present(_))) => true,
            // Between the two looks the block may have gone from the log's memory into the store, or been deleted.
            Ok(Ok(Lookup::Absent | Lookup::Damaged)) if pending() => true,
            Ok(Ok(Lookup::Absent | Lookup::Damaged)) => {
                if let Ok(AsOf { value: Some(Row { length, .. }), .. }) = rows.visible(&name) {
                    // A driver that has stopped refuses the put as well.
                    let _ = driver.gate(Input::Repair { name, length });
                }
                false
            }
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Refuses further writes, ends those that surely aren't proposed, and waits until what other nodes asked is answered,
    /// for so long at most. For a node that is about to be [shut down](Self::shutdown), or was removed: what it leaves
    /// unanswered ends as unknown for whoever asked.
    pub async fn finish(&self, patience: Duration) {
        self.shared.writer.close();
        self.shared.requests.finish(patience).await;
    }

    async fn close(&self) {
        let shared = &self.shared;
        shared.inline.close();
        shared.transport.close().await;
        if let Err(error) = shared.blocks.close().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "block_store_close_failed");
        }
        for task in shared.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
        shared.attendance.end(shared.reader.close()).await;
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("identity", &self.shared.identity).finish_non_exhaustive()
    }
}

/// Blocks of one call that are under way at once.
const SIDE_BY_SIDE_MAX: usize = 64;

/// How long a put waits for the copy that is here already. A disk that takes longer is no proof that the copy is whole.
const COPY_READ_TIMEOUT: Duration = Duration::from_secs(1);
