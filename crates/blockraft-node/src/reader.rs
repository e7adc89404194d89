//! The way of a read: presence from the catalog as up to date as was asked, bytes from the store, repaired from a peer
//! where the copy here is damaged or still on its way.

use core::future::Future;
use core::time::Duration;
use std::sync::Arc;

use blockraft_blocks::store::Lookup;
use blockraft_blocks::{Block, BlockStore, Multihash};
use blockraft_catalog::table::Table;
use blockraft_catalog::{AsOf, CatalogReader, Completeness, Row, RowError, RowPage, Vertex};
use blockraft_exchange::Input;
use blockraft_types::{LogIndex, Position};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::answer::{Answer, Count, ListPage};
use crate::config::NodeLimits;
use crate::consistency::Consistency;
use crate::driver::Driver;
use crate::freshness::{Freshness, Moment};
use crate::inline_pending::InlinePending;
use crate::read_course::{Found, ReadCourse, Sight, Step, Want};
use crate::read_error::ReadError;
use crate::requests::{ReadIndexFailure, Requests};
use crate::waiting::{Repair, Waiting};

/// Answers reads of this node's clients.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) limits: NodeLimits,
    pub(crate) driver: Driver,
    pub(crate) rows: CatalogReader<Arc<dyn Table>>,
    pub(crate) blocks: Arc<dyn BlockStore>,
    pub(crate) inline: Arc<InlinePending>,
    pub(crate) waiting: Arc<Waiting>,
    pub(crate) rounds: mpsc::Sender<oneshot::Sender<Result<LogIndex, ReadIndexFailure>>>,
    pub(crate) freshness: Arc<Freshness>,
    /// Where the moments of `freshness` are counted from.
    pub(crate) started: Instant,
    /// Places on the blocking pool: see [`scan`](Self::scan).
    pub(crate) scans: Arc<Semaphore>,
}

impl Reader {
    /// Blocks with their rows. See [`Node::get`](crate::Node::get).
    pub(crate) async fn get(
        &self,
        multihash: Multihash,
        consistency: Consistency,
    ) -> Result<Answer<Option<Block>>, ReadError> {
        let course = ReadCourse::new(multihash, consistency, Want::Bytes);
        let AsOf { position, value } = self.follow(course).await?;
        Ok(self.answer(position, value.and_then(|found| found.block)))
    }

    /// The row of a block. See [`Node::stat`](crate::Node::stat).
    pub(crate) async fn stat(
        &self,
        multihash: Multihash,
        consistency: Consistency,
    ) -> Result<Answer<Option<Row>>, ReadError> {
        let course = ReadCourse::new(multihash, consistency, Want::Row);
        let AsOf { position, value } = self.follow(course).await?;
        Ok(self.answer(position, value.map(|found| found.row)))
    }

    /// Rows of many blocks as of one moment. See [`Node::stat_many`](crate::Node::stat_many).
    pub(crate) async fn stat_many(
        &self,
        multihashes: &[Multihash],
        consistency: Consistency,
    ) -> Result<Answer<Vec<Option<Row>>>, ReadError> {
        let deadline = self.deadline();
        self.come_up_to(consistency, deadline).await?;
        let seen = self.rows_of(multihashes, deadline).await?;
        Ok(self.answer(seen.position, seen.value))
    }

    /// The rows of these blocks, all of one moment.
    pub(crate) async fn rows_of(
        &self,
        multihashes: &[Multihash],
        deadline: Instant,
    ) -> Result<AsOf<Vec<Option<Row>>>, ReadError> {
        if multihashes.len() <= LOOKED_UP_HERE_MAX {
            return self.rows.visible_many(multihashes).map_err(storage);
        }
        let multihashes = multihashes.to_vec();
        self.scan(deadline, move |rows| rows.visible_many(&multihashes)).await
    }

    /// A page of the listing. See [`Node::list`](crate::Node::list).
    pub(crate) async fn list(
        &self,
        after: Option<Multihash>,
        limit: usize,
        consistency: Consistency,
    ) -> Result<Answer<ListPage>, ReadError> {
        let deadline = self.deadline();
        self.come_up_to(consistency, deadline).await?;
        let page = self.scan(deadline, move |rows| rows.list(after, limit)).await?;
        let entries = page.value.rows;
        Ok(self.answer(page.position, ListPage { entries, next: page.value.next }))
    }

    /// What a root leads to. See [`Node::reach`](crate::Node::reach).
    pub(crate) async fn reach(
        &self,
        root: Vertex,
        missing_max: usize,
        consistency: Consistency,
    ) -> Result<Answer<Completeness>, ReadError> {
        let deadline = self.deadline();
        self.come_up_to(consistency, deadline).await?;
        let AsOf { position, value } = self.scan(deadline, move |rows| rows.reach(root, missing_max)).await?;
        Ok(self.answer(position, value))
    }

    /// A page of blocks that no pin covers, as this replica sees it: whether they may go is decided in the log.
    pub(crate) async fn collectable(&self, after: Option<Multihash>, limit: usize) -> Result<RowPage, ReadError> {
        let page = self.scan(self.deadline(), move |rows| rows.collectable(after, limit)).await?;
        Ok(page.value)
    }

    /// How many blocks there are. See [`Node::count`](crate::Node::count).
    pub(crate) async fn count(&self, consistency: Consistency) -> Result<Answer<Count>, ReadError> {
        let deadline = self.deadline();
        self.come_up_to(consistency, deadline).await?;
        let state = self.rows.state();
        Ok(self.answer(state.position, Count { blocks: state.blocks, bytes: state.bytes }))
    }

    /// Where the block is visible, confirmed through the leader; `None` when a quick look already says that it isn't.
    pub(crate) async fn confirmed_present(&self, multihash: Multihash) -> Result<Option<Position>, ReadError> {
        if self.look(multihash)?.value.is_none() {
            return Ok(None);
        }
        let deadline = self.deadline();
        self.apply_read_index(deadline).await?;
        let seen = self.look(multihash)?;
        Ok(seen.value.map(|_| {
            self.freshness.returned(seen.position);
            seen.position
        }))
    }

    /// Does what the course asks for, until it has an answer.
    async fn follow(&self, mut course: ReadCourse) -> Result<AsOf<Option<Found>>, ReadError> {
        let deadline = self.deadline();
        let multihash = course.multihash();
        let mut step = course.begin(self.sight()).map_err(storage)?;
        loop {
            step = match step {
                Step::ComeUp { at_least } => {
                    self.apply_read_index(deadline).await?;
                    self.apply_through(at_least, deadline).await?;
                    course.came_up(self.sight()).map_err(storage)?
                }
                Step::Copy => {
                    let copy = self.copy(multihash, deadline).await?;
                    if copy.is_none() && deadline <= Instant::now() {
                        return Err(ReadError::NoCopy { multihash });
                    }
                    course.copied(copy, self.sight()).map_err(storage)?
                }
                Step::Repair { length } => {
                    self.repair(multihash, length, deadline).await?;
                    Step::Copy
                }
                Step::Answer(answer) => return Ok(answer),
            };
        }
    }

    /// When a call that begins now gives up.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.limits.request_timeout
    }

    pub(crate) fn sight(&self) -> Sight<'_> {
        Sight { rows: &self.rows, freshness: &self.freshness, now: self.now() }
    }

    /// For answers that speak of many blocks at once, some of them absent.
    pub(crate) async fn come_up_to(&self, consistency: Consistency, deadline: Instant) -> Result<(), ReadError> {
        let Some(at_least) = consistency.must_apply() else { return Ok(()) };
        self.apply_read_index(deadline).await?;
        self.apply_through(at_least, deadline).await
    }

    /// Takes a read index that is younger than this call, and waits until it is applied here.
    pub(crate) async fn apply_read_index(&self, deadline: Instant) -> Result<(), ReadError> {
        loop {
            let asked = self.now();
            let (asker, answer) = oneshot::channel();
            self.rounds.send(asker).await.map_err(|_| ReadError::Stopping)?;
            let failure = match timeout_at(deadline, answer).await {
                Ok(Ok(Ok(index))) => {
                    self.apply_through(index, deadline).await?;
                    self.freshness.prove(asked);
                    return Ok(());
                }
                Ok(Ok(Err(ReadIndexFailure::Stopped)) | Err(_)) => return Err(ReadError::Stopping),
                Ok(Ok(Err(failure))) => failure,
                Err(_) => return Err(self.not_confirmed("no quorum confirmed it")),
            };
            let next_try = Instant::now() + READ_INDEX_PAUSE;
            if deadline <= next_try {
                return Err(self.not_confirmed(match failure {
                    ReadIndexFailure::NoLeader => "no leader is known",
                    ReadIndexFailure::NotConfirmed | ReadIndexFailure::Stopped => "no quorum confirmed it",
                }));
            }
            let mut roles = self.driver.roles();
            // Another role, term or leader, or the pause is over: either way it is time to ask again.
            drop(timeout_at(next_try, roles.changed()).await);
        }
    }

    pub(crate) async fn apply_through(&self, index: LogIndex, deadline: Instant) -> Result<(), ReadError> {
        match timeout_at(deadline, self.driver.wait_applied(index)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(ReadError::Stopping),
            Err(_) => Err(self.not_confirmed("this node is too far behind")),
        }
    }

    /// Reads many rows on the blocking pool: heartbeats and everything else that must not be late run on the workers of the
    /// runtime. Beyond [`SCANS_MAX`] at once, calls wait for a place.
    async fn scan<T: Send + 'static>(
        &self,
        deadline: Instant,
        read: impl FnOnce(&CatalogReader<Arc<dyn Table>>) -> Result<T, RowError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let place = timeout_at(deadline, Arc::clone(&self.scans).acquire_owned()).await;
        let place = place.map_err(|_| self.not_confirmed("this node reads too many lists"))?;
        let place = place.map_err(|_| ReadError::Stopping)?;
        let rows = self.rows.clone();
        let scanned = spawn_blocking(move || {
            // What is declared last is let go of first: a place that is free says that the rows are too.
            let _place = place;
            let rows = rows;
            read(&rows)
        });
        scanned.await.map_err(|_| ReadError::Stopping)?.map_err(storage)
    }

    /// Refuses to read many rows from now on, and resolves when nobody does.
    pub(crate) async fn close(&self) {
        if let Ok(all) = self.scans.acquire_many(SCANS_MAX as u32).await {
            self.scans.close();
            drop(all);
        }
    }

    pub(crate) fn look(&self, multihash: Multihash) -> Result<AsOf<Option<Row>>, ReadError> {
        self.rows.visible(&multihash).map_err(storage)
    }

    /// The good copy that is here, if there is one.
    pub(crate) async fn copy(&self, multihash: Multihash, deadline: Instant) -> Result<Option<Block>, ReadError> {
        if let Some(block) = self.inline.get(&multihash) {
            return Ok(Some(block));
        }
        match timeout_at(deadline, self.blocks.get(multihash)).await {
            Ok(Ok(Lookup::Present(block))) => Ok(Some(block)),
            Ok(Ok(Lookup::Damaged)) => {
                warn!(%multihash, "read_damaged_copy");
                Ok(self.inline.get(&multihash))
            }
            // Between the two looks the block may have gone from the log's memory into the store.
            Ok(Ok(Lookup::Absent)) => Ok(self.inline.get(&multihash)),
            Ok(Err(error)) => Err(ReadError::Storage { what: error.to_string() }),
            Err(_) => Err(ReadError::NoCopy { multihash }),
        }
    }

    pub(crate) async fn repair(&self, multihash: Multihash, length: u32, deadline: Instant) -> Result<(), ReadError> {
        let mut place = self.waiting.repairs.wait(multihash);
        let question = Input::Repair { name: multihash, length };
        self.driver.gate(question).map_err(|_| ReadError::Stopping)?;
        match timeout_at(deadline, place.answer()).await {
            Ok(Some(Repair::Done)) => Ok(()),
            Ok(Some(Repair::Failed)) | Err(_) => Err(ReadError::NoCopy { multihash }),
            Ok(None) => Err(ReadError::Stopping),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        Moment(self.started.elapsed())
    }

    pub(crate) fn answer<T>(&self, position: Position, value: T) -> Answer<T> {
        self.freshness.returned(position);
        Answer { value, position }
    }

    fn not_confirmed(&self, reason: &'static str) -> ReadError {
        let leader = self.driver.roles().borrow().leader;
        ReadError::NotConfirmed { within: self.limits.request_timeout, reason, leader }
    }
}

/// Serves questions for a read index: all that wait share the next round, which begins after each of them asked.
pub(crate) async fn confirm_rounds(
    mut askers: mpsc::Receiver<oneshot::Sender<Result<LogIndex, ReadIndexFailure>>>,
    requests: Requests,
) {
    let mut round = Vec::new();
    while askers.recv_many(&mut round, ROUND_ASKERS_MAX).await != 0 {
        let confirmed = requests.read_index();
        let gathered = core::mem::take(&mut round);
        answer_round(gathered, confirmed).await;
    }
}

async fn answer_round(
    askers: Vec<oneshot::Sender<Result<LogIndex, ReadIndexFailure>>>,
    confirmed: impl Future<Output = Result<LogIndex, ReadIndexFailure>>,
) {
    let confirmed = confirmed.await;
    for asker in askers {
        // A client that went away needs no answer.
        let _ = asker.send(confirmed);
    }
}

fn storage(error: RowError) -> ReadError {
    ReadError::Storage { what: error.to_string() }
}

/// Reads of many rows at once on the blocking pool.
pub(crate) const SCANS_MAX: usize = 4;

/// Rows that a call reads where it is: fewer than a hop to another thread is worth.
const LOOKED_UP_HERE_MAX: usize = 64;

/// Questions that share one round at most.
const ROUND_ASKERS_MAX: usize = 1_024;

/// How long to wait before the leader is asked again, unless there is news.
const READ_INDEX_PAUSE: Duration = Duration::from_millis(50);
