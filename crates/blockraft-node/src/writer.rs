//! The way of a write: payload to a quorum first, then a command into the log, batched with those of its neighbours.

use core::num::NonZeroU64;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use blockraft_blocks::{Block, BlockLimits, Multihash};
use blockraft_catalog::batch::{BatchBuilder, BatchLimits, INLINE_BYTES_MAX, PushError};
use blockraft_catalog::{Command, Outcome, Request, Settled};
use blockraft_exchange::Input;
use blockraft_exchange::effect::PutFailure;
use blockraft_exchange::ticket::PutId;
use blockraft_types::{NodeId, SessionId, Turn};
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
    request: Request,
    fate: oneshot::Sender<CommandFate>,
}

/// Whether the bytes of a block have to be carried along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BytesHeld {
    /// The block is visible here with a whole copy: most likely every member has it.
    Here,
    Unknown,
}

/// One write over all its attempts.
#[derive(Debug)]
struct Course {
    turn: Option<Turn>,
    deadline: Instant,
    pause: Duration,
    /// Why it is unknown what became of an earlier attempt, if it is.
    left_open: Option<&'static str>,
}

/// Why an attempt didn't write.
#[derive(Debug)]
enum Setback {
    /// The next one may.
    Again { obstacle: Obstacle, leader: Option<NodeId> },
    /// No other one will.
    Final(WriteError),
}

/// What became of one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CommandFate {
    /// Which command of its entry it is stands beside.
    Settled(Settled, u32),
    NotProposed {
        reason: NotProposed,
        leader: Option<NodeId>,
    },
    Unknown {
        reason: &'static str,
    },
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

    /// Puts a block. See [`Node::put`](crate::Node::put) and [`Node::put_in`](crate::Node::put_in).
    pub(crate) async fn put(&self, turn: Option<Turn>, block: Block, held: BytesHeld) -> Result<Written, WriteError> {
        self.limits.blocks.check(block.bytes().len() as u64)?;
        let length = block.bytes().len() as u32; // within the limit, which is at most 64 MiB
        let _place = self.puts.acquire().await.map_err(|_| WriteError::Stopping)?;
        // A block longer than the whole budget takes all of it.
        let charge = length.clamp(1, self.limits.put_bytes_max);
        let _room = self.put_bytes.acquire_many(charge).await.map_err(|_| WriteError::Stopping)?;
        let mut course = self.course(turn);
        let multihash = *block.multihash();
        let named = Command::Put { multihash, length, inline: None };
        if held == BytesHeld::Here {
            // The entry alone will do. If the block was deleted meanwhile and its bytes are gone, the leader refuses.
            match self.attempt(&mut course, named.clone()).await {
                Ok((settled, _)) => return Ok(settled.into()),
                Err(Setback::Final(error)) => return Err(error),
                Err(Setback::Again { .. }) => {}
            }
        }
        if length <= self.limits.inline_bytes_max.min(INLINE_BYTES_MAX as u32) {
            let command = Command::Put { multihash, length, inline: Some(block.into_bytes()) };
            return self.submit(&mut course, command).await.map(|(settled, _)| settled.into());
        }
        let put = self.disseminate(block, course.deadline).await.map_err(|error| course.undone(error))?;
        let written = self.submit(&mut course, named).await;
        drop(put);
        written.map(|(settled, _)| settled.into())
    }

    /// Deletes a block. See [`Node::delete`](crate::Node::delete) and [`Node::delete_in`](crate::Node::delete_in).
    pub(crate) async fn delete(&self, turn: Option<Turn>, multihash: Multihash) -> Result<Written, WriteError> {
        let _place = self.puts.acquire().await.map_err(|_| WriteError::Stopping)?;
        let written = self.submit(&mut self.course(turn), Command::Delete { multihash }).await;
        written.map(|(settled, _)| settled.into())
    }

    /// Opens a session. See [`Node::open_session`](crate::Node::open_session).
    pub(crate) async fn open_session(&self) -> Result<(Written, SessionId), WriteError> {
        let (written, number) = self.command(Command::OpenSession).await?;
        Ok((written, SessionId { opened: written.position.index, number }))
    }

    /// Carries out a command of no session and without payload, and says which one of its entry it was.
    pub(crate) async fn command(&self, command: Command) -> Result<(Written, u32), WriteError> {
        let _place = self.puts.acquire().await.map_err(|_| WriteError::Stopping)?;
        let (settled, number) = self.submit(&mut self.course(None), command).await?;
        Ok((settled.into(), number))
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

    fn course(&self, turn: Option<Turn>) -> Course {
        let deadline = Instant::now() + self.limits.request_timeout;
        Course { turn, deadline, pause: RETRY_PAUSE_MIN, left_open: None }
    }

    /// Gets a command committed. Repeats it only if it surely wasn't proposed, or if it is carried out once all the same.
    async fn submit(&self, course: &mut Course, command: Command) -> Result<(Settled, u32), WriteError> {
        loop {
            let (obstacle, leader) = match self.attempt(course, command.clone()).await {
                Ok(settled) => return Ok(settled),
                Err(Setback::Final(error)) => return Err(error),
                Err(Setback::Again { obstacle, leader }) => (obstacle, leader),
            };
            if self.open.is_closed() {
                return Err(course.undone(WriteError::Stopping));
            }
            let next_try = Instant::now() + course.pause;
            // A try that has no time to be answered turns "surely not proposed" into "unknown".
            if course.deadline <= next_try + TRY_TIME_MIN {
                return Err(course.undone(self.not_proposed(obstacle, leader)));
            }
            self.wait_for_news(next_try).await;
            course.pause = (course.pause * 2).min(RETRY_PAUSE_MAX);
        }
    }

    /// Tries once to get a command committed.
    async fn attempt(&self, course: &mut Course, command: Command) -> Result<(Settled, u32), Setback> {
        let repeatable = course.turn.is_some() || does_no_harm_twice(&command);
        let (fate, answer) = oneshot::channel();
        let submission = Submission { request: Request { turn: course.turn, command }, fate };
        match timeout_at(course.deadline, self.commands.send(submission)).await {
            Ok(sent) => sent.map_err(|_| Setback::Final(course.undone(WriteError::Stopping)))?,
            Err(_) => return Err(Setback::Final(course.undone(self.not_proposed(Obstacle::Overloaded, None)))),
        }
        let unknown = |reason| Setback::Final(WriteError::Unknown { reason });
        let (reason, leader) = match timeout_at(course.deadline, answer).await {
            Ok(Ok(CommandFate::Settled(settled, number))) => return course.judge(settled, number),
            Ok(Ok(CommandFate::NotProposed { reason, leader })) => (reason, leader),
            Ok(Ok(CommandFate::Unknown { reason })) if repeatable => {
                course.left_open = Some(reason);
                return Err(Setback::Again { obstacle: Obstacle::LeaderChanging, leader: None });
            }
            Ok(Ok(CommandFate::Unknown { reason })) => return Err(unknown(reason)),
            Ok(Err(_)) => return Err(unknown("the node stopped while it was under way")),
            Err(_) => return Err(unknown("it is still under way")),
        };
        let obstacle = match reason {
            NotProposed::Overloaded => Obstacle::Overloaded,
            NotProposed::DiskFull => Obstacle::DiskFull,
            NotProposed::NotLeader if leader.is_none() => Obstacle::NoLeader,
            NotProposed::Invalid => {
                let refused = self.not_proposed(Obstacle::Overloaded, leader);
                return Err(Setback::Final(course.undone(refused)));
            }
            NotProposed::NotLeader
            | NotProposed::OtherTerm { .. }
            | NotProposed::Transferring
            | NotProposed::Stopping => Obstacle::LeaderChanging,
        };
        Err(Setback::Again { obstacle, leader })
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

impl Course {
    /// What the caller is told when an attempt surely did nothing.
    fn undone(&self, error: WriteError) -> WriteError {
        self.left_open.map_or(error, |reason| WriteError::Unknown { reason })
    }

    /// What a committed entry says became of the command.
    fn judge(&self, settled: Settled, number: u32) -> Result<(Settled, u32), Setback> {
        match settled.outcome {
            Outcome::SessionExpired => Err(Setback::Final(self.undone(WriteError::SessionExpired))),
            Outcome::Overtaken => {
                Err(Setback::Final(WriteError::Unknown { reason: "a later command said that nobody asks for it" }))
            }
            Outcome::SessionFull => Err(Setback::Again { obstacle: Obstacle::Overloaded, leader: None }),
            Outcome::Created
            | Outcome::AlreadyPresent
            | Outcome::Deleted
            | Outcome::Absent
            | Outcome::Nothing
            | Outcome::SessionOpened
            | Outcome::ImportOpened
            | Outcome::ImportsFull
            | Outcome::ImportKept
            | Outcome::ImportEnded
            | Outcome::ImportExpired
            | Outcome::Linked
            | Outcome::TooManyCodecs
            | Outcome::Pinned
            | Outcome::AlreadyPinned
            | Outcome::Incomplete
            | Outcome::TooLarge
            | Outcome::Unpinned
            | Outcome::NotPinned
            | Outcome::Collected
            | Outcome::HeldByImport
            | Outcome::HeldByPin => Ok((settled, number)),
        }
    }
}

/// Whether nobody is wronged when a command is carried out a second time, later: one that opens leaves something that nobody
/// uses and that expires, and the others say what stays true.
const fn does_no_harm_twice(command: &Command) -> bool {
    match command {
        Command::OpenSession
        | Command::OpenImport
        | Command::KeepImport { .. }
        | Command::ExpireImport { .. }
        | Command::Link { .. }
        | Command::Noop => true,
        Command::Put { .. }
        | Command::Delete { .. }
        | Command::EndImport { .. }
        | Command::Pin { .. }
        | Command::Unpin { .. }
        | Command::Collect { .. } => false,
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
/// whose disk is full refuses puts: no delete may be among them, nor what opens the session of one.
fn fill_batch(gathered: &mut Vec<Submission>, limits: BatchLimits) -> (Bytes, Vec<oneshot::Sender<CommandFate>>) {
    // Whoever gave up doesn't get it done behind their back.
    gathered.retain(|submission| !submission.fate.is_closed());
    let is_put = |submission: &Submission| matches!(submission.request.command, Command::Put { .. });
    let puts = gathered.first().is_some_and(is_put);
    let mut batch = BatchBuilder::new(limits);
    let mut fates = Vec::new();
    let mut submissions = core::mem::take(gathered).into_iter();
    while let Some(submission) = submissions.next() {
        if is_put(&submission) != puts {
            gathered.push(submission);
            continue;
        }
        match batch.push(submission.request.clone()) {
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
    for (number, asker) in (0..).zip(fates) {
        let fate = match fate {
            BatchFate::Committed { outcomes, .. } => outcomes
                .get(number as usize)
                .map_or(CommandFate::Unknown { reason: "the leader's answer was too short" }, |settled| {
                    CommandFate::Settled(*settled, number)
                }),
            BatchFate::NotProposed { reason, leader } => CommandFate::NotProposed { reason: *reason, leader: *leader },
            BatchFate::Unknown { reason } => CommandFate::Unknown { reason },
        };
        // A client that went away needs no answer.
        let _ = asker.send(fate);
    }
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
