//! The way of a write: payload to a quorum first, then a command into the log, batched with those of its neighbours.

use core::num::NonZeroU64;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use blockraft_blocks::{Block, BlockLimits, Multihash};
use blockraft_catalog::batch::{BatchBuilder, BatchLimits, INLINE_BYTES_MAX, PushError};
use blockraft_catalog::{Command, Outcome};
use blockraft_exchange::Input;
use blockraft_exchange::effect::PutFailure;
use blockraft_exchange::ticket::PutId;
use blockraft_types::NodeId;
use blockraft_wire::node::NotProposed;
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::answer::Written;
use crate::config::NodeLimits;
use crate::driver::Driver;
use crate::payload::BlockPayload;
use crate::requests::{BatchFate, Requests};
use crate::waiting::Waiting;
use crate::write_error::{Obstacle, WriteError};

/// Takes writes of this node's clients.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    limits: NodeLimits,
    driver: Driver,
    waiting: Arc<Waiting>,
    commands: mpsc::Sender<Submission>,
    next_put: Arc<AtomicU64>,
    put_bytes: Arc<Semaphore>,
    puts: Arc<Semaphore>,
    /// Never has a permit; closed once writes are refused.
    open: Arc<Semaphore>,
}

/// A command on its way into the next batch.
#[derive(Debug)]
pub(crate) struct Submission {
    command: Command,
    fate: oneshot::Sender<CommandFate>,
}

/// What became of one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CommandFate {
    Written(Written),
    NotProposed { reason: NotProposed, leader: Option<NodeId> },
    Unknown { reason: &'static str },
}

impl Writer {
    /// A writer, and the queue whose other end [`batch_commands`] must serve.
    pub(crate) fn new(limits: NodeLimits, driver: Driver, waiting: Arc<Waiting>) -> (Self, mpsc::Receiver<Submission>) {
        let (commands, queue) = mpsc::channel(limits.puts_max.max(1));
        let writer = Self {
            limits,
            driver,
            waiting,
            commands,
            next_put: Arc::new(AtomicU64::new(NonZeroU64::MIN.get())),
            put_bytes: Arc::new(Semaphore::new(limits.put_bytes_max as usize)),
            puts: Arc::new(Semaphore::new(limits.puts_max)),
            open: Arc::new(Semaphore::new(0)),
        };
        (writer, queue)
    }

    /// The longest block that is taken in.
    pub(crate) const fn block_limits(&self) -> BlockLimits {
        self.limits.blocks
    }

    /// Puts a block. See [`Node::put`](crate::Node::put).
    pub(crate) async fn put(&self, block: Block) -> Result<Written, WriteError> {
        self.limits.blocks.check(block.bytes().len() as u64)?;
        let length = block.bytes().len() as u32; // within the limit, which is at most 64 MiB
        let _place = self.puts.acquire().await.map_err(|_| WriteError::Stopping)?;
        // A block longer than the whole budget takes all of it.
        let charge = length.clamp(1, self.limits.put_bytes_max);
        let _room = self.put_bytes.acquire_many(charge).await.map_err(|_| WriteError::Stopping)?;
        let deadline = Instant::now() + self.limits.request_timeout;
        let multihash = *block.multihash();
        if length <= self.limits.inline_bytes_max.min(INLINE_BYTES_MAX as u32) {
            let command = Command::Put { multihash, length, inline: Some(block.into_bytes()) };
            return self.submit(command, deadline).await;
        }
        let put = self.disseminate(block, deadline).await?;
        let written = self.submit(Command::Put { multihash, length, inline: None }, deadline).await;
        drop(put);
        written
    }

    /// Deletes a block. See [`Node::delete`](crate::Node::delete).
    pub(crate) async fn delete(&self, multihash: Multihash) -> Result<Written, WriteError> {
        let _place = self.puts.acquire().await.map_err(|_| WriteError::Stopping)?;
        let deadline = Instant::now() + self.limits.request_timeout;
        self.submit(Command::Delete { multihash }, deadline).await
    }

    /// Refuses writes from now on, and those that wait or surely aren't proposed.
    pub(crate) fn close(&self) {
        self.puts.close();
        self.put_bytes.close();
        self.open.close();
    }

    /// Waits until writes are refused.
    pub(crate) async fn closed(&self) {
        let _always_an_error = self.open.acquire().await;
    }

    /// Gets the payload durable on a commit quorum, the leader among it.
    async fn disseminate(&self, block: Block, deadline: Instant) -> Result<OpenPut<'_>, WriteError> {
        let op = PutId(self.next_put.fetch_add(1, Ordering::Relaxed));
        let put = OpenPut { writer: self, op };
        let mut place = self.waiting.puts.wait(op);
        self.driver.gate(Input::Put { op, payload: BlockPayload(block) }).map_err(|_| WriteError::Stopping)?;
        let answered = tokio::select! {
            biased;
            answered = timeout_at(deadline, place.answer()) => answered,
            () = self.closed() => return Err(WriteError::Stopping),
        };
        let obstacle = match answered {
            Ok(Some(Ok(()))) => return Ok(put),
            Ok(Some(Err(PutFailure::Full))) => Obstacle::DiskFull,
            Ok(Some(Err(PutFailure::Poisoned))) => Obstacle::StoreFailed,
            Ok(Some(Err(_))) | Err(_) => self.no_quorum(),
            Ok(None) => return Err(WriteError::Stopping),
        };
        Err(self.not_proposed(obstacle, None))
    }

    /// Gets a command committed. Repeats it only after it surely wasn't proposed.
    async fn submit(&self, command: Command, deadline: Instant) -> Result<Written, WriteError> {
        let mut pause = RETRY_PAUSE_MIN;
        loop {
            let (fate, answer) = oneshot::channel();
            let submission = Submission { command: command.clone(), fate };
            match timeout_at(deadline, self.commands.send(submission)).await {
                Ok(sent) => sent.map_err(|_| WriteError::Stopping)?,
                Err(_) => return Err(self.not_proposed(Obstacle::Overloaded, None)),
            }
            let (reason, leader) = match timeout_at(deadline, answer).await {
                Ok(Ok(CommandFate::Written(written))) => return Ok(written),
                Ok(Ok(CommandFate::NotProposed { reason, leader })) => (reason, leader),
                Ok(Ok(CommandFate::Unknown { reason })) => return Err(WriteError::Unknown { reason }),
                Ok(Err(_)) => return Err(WriteError::Unknown { reason: "the node stopped while it was under way" }),
                Err(_) => return Err(WriteError::Unknown { reason: "it is still under way" }),
            };
            if self.open.is_closed() {
                return Err(WriteError::Stopping);
            }
            let obstacle = match reason {
                NotProposed::Overloaded => Obstacle::Overloaded,
                NotProposed::DiskFull => Obstacle::DiskFull,
                NotProposed::NotLeader if leader.is_none() => Obstacle::NoLeader,
                NotProposed::Invalid => return Err(self.not_proposed(Obstacle::Overloaded, leader)),
                NotProposed::NotLeader
                | NotProposed::OtherTerm { .. }
                | NotProposed::Transferring
                | NotProposed::Stopping => Obstacle::LeaderChanging,
            };
            let next_try = Instant::now() + pause;
            // A try that has no time to be answered turns "surely not proposed" into "unknown".
            if deadline <= next_try + TRY_TIME_MIN {
                return Err(self.not_proposed(obstacle, leader));
            }
            self.wait_for_news(next_try).await;
            pause = (pause * 2).min(RETRY_PAUSE_MAX);
        }
    }

    /// Waits for another role, term or leader, or until the time of the next try.
    async fn wait_for_news(&self, next_try: Instant) {
        let mut roles = self.driver.roles();
        // Either way it is time to try again.
        drop(timeout_at(next_try, roles.changed()).await);
    }

    fn no_quorum(&self) -> Obstacle {
        let leader = self.driver.roles().borrow().leader;
        if leader.is_none() { Obstacle::NoLeader } else { Obstacle::NoQuorum }
    }

    fn not_proposed(&self, reason: Obstacle, leader: Option<NodeId>) -> WriteError {
        let leader = leader.or_else(|| self.driver.roles().borrow().leader);
        WriteError::NotProposed { within: self.limits.request_timeout, reason, leader }
    }
}

/// A put whose payload the data plane holds. Dropping it, also by cancellation, closes the put: what no entry names is
/// reclaimed after the grace.
#[derive(Debug)]
struct OpenPut<'a> {
    writer: &'a Writer,
    op: PutId,
}

impl Drop for OpenPut<'_> {
    fn drop(&mut self) {
        // A driver that has stopped holds nothing.
        let _ = self.writer.driver.gate(Input::PutClosed { op: self.op });
    }
}

/// Serves a writer's queue: all commands that wait go into one entry, and the next ones gather while it is under way.
pub(crate) async fn batch_commands(mut queue: mpsc::Receiver<Submission>, requests: Requests, limits: BatchLimits) {
    let batches = Arc::new(Semaphore::new(BATCHES_MAX));
    let mut gathered: Vec<Submission> = Vec::new();
    while let Ok(place) = Arc::clone(&batches).acquire_owned().await {
        if gathered.is_empty() && queue.recv_many(&mut gathered, COMMANDS_MAX).await == 0 {
            return;
        }
        let (body, fates) = fill_batch(&mut gathered, limits);
        if fates.is_empty() {
            continue;
        }
        let requests = requests.clone();
        tokio::spawn(async move {
            let fate = requests.commit(body, place).await;
            tell(fates, &fate);
        });
    }
}

/// Takes as many commands of the first one's kind as one batch holds. Batches are taken or refused whole, and a leader
/// whose disk is full refuses puts: no delete may be among them.
fn fill_batch(gathered: &mut Vec<Submission>, limits: BatchLimits) -> (Bytes, Vec<oneshot::Sender<CommandFate>>) {
    // Whoever gave up doesn't get it done behind their back.
    gathered.retain(|submission| !submission.fate.is_closed());
    let is_delete = |submission: &Submission| matches!(submission.command, Command::Delete { .. });
    let deletes = gathered.first().is_some_and(is_delete);
    let mut batch = BatchBuilder::new(limits);
    let mut fates = Vec::new();
    let mut submissions = core::mem::take(gathered).into_iter();
    while let Some(submission) = submissions.next() {
        if is_delete(&submission) != deletes {
            gathered.push(submission);
            continue;
        }
        match batch.push(submission.command.clone()) {
            Ok(()) => fates.push(submission.fate),
            Err(PushError::Full) => {
                gathered.push(submission);
                gathered.extend(submissions);
                break;
            }
            Err(_) => {
                let refused = CommandFate::NotProposed { reason: NotProposed::Invalid, leader: None };
                let _ = submission.fate.send(refused);
            }
        }
    }
    (batch.finish(), fates)
}

/// What a batch may hold: the catalog's defaults, with blocks as long as this node inlines them.
pub(crate) fn batch_limits(limits: &NodeLimits) -> BatchLimits {
    BatchLimits { inline_bytes_max: limits.inline_bytes_max as usize, ..BatchLimits::default() }
}

fn tell(fates: Vec<oneshot::Sender<CommandFate>>, fate: &BatchFate) {
    for (place, asker) in fates.into_iter().enumerate() {
        let fate = match fate {
            BatchFate::Committed { position, outcomes } => outcome_at(outcomes, place)
                .map_or(CommandFate::Unknown { reason: "the leader's answer was too short" }, |outcome| {
                    CommandFate::Written(Written { outcome, position: *position })
                }),
            BatchFate::NotProposed { reason, leader } => CommandFate::NotProposed { reason: *reason, leader: *leader },
            BatchFate::Unknown { reason } => CommandFate::Unknown { reason },
        };
        // A client that went away needs no answer.
        let _ = asker.send(fate);
    }
}

fn outcome_at(outcomes: &[Outcome], place: usize) -> Option<Outcome> {
    outcomes.get(place).copied()
}

/// Entries of this node under way at once. While all are, commands gather into larger batches. Those that a deposed leader
/// was asked for count no more.
const BATCHES_MAX: usize = 16;

/// Commands gathered at once.
const COMMANDS_MAX: usize = 1_024;

const RETRY_PAUSE_MIN: Duration = Duration::from_millis(10);
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(200);

/// What is left of the request's time when a command is tried again, at least.
const TRY_TIME_MIN: Duration = Duration::from_millis(250);
