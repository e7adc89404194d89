//! The threads of a node's log: one writes for all groups, one reads for all groups.
//!
//! The writer takes every batch that waits, of whatever group, and makes them durable with one sync; while it does, the
//! next ones gather. There is no timer: a lone batch is written at once.

use core::fmt;
use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{self, Receiver, SendError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use blockraft_log::{Anchor, Batch, LoadError, LogReader, LogState, LogStore};
use blockraft_types::{GroupId, LogIndex};
use thiserror::Error;
use tracing::{error, trace};

use crate::effect::RangeRead;
use crate::inbox::LogClient;
use crate::stop::StopReason;

/// The log of one node, shared by the drivers of all its groups: the threads `log` and `log-read`.
///
/// Clones share the threads. They end when the last clone is dropped, drivers included;
/// [`join`](Self::join) waits for that.
#[derive(Clone)]
pub struct LogThread {
    jobs: Sender<Job>,
    reads: Sender<ReadJob>,
    reader: Arc<dyn LogReader>,
    states: Arc<Mutex<BTreeMap<GroupId, LogState>>>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// Why the threads of a log didn't start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartLogError {
    /// A group's log can't be loaded.
    #[error("the log of group {group} can't be loaded")]
    Load {
        /// The group.
        group: GroupId,
        /// What the store said.
        source: LoadError,
    },
    /// The operating system gave no thread.
    #[error("the log's threads can't be started")]
    Spawn {
        /// What the operating system said.
        source: io::Error,
    },
}

impl LogThread {
    /// Loads the logs of all groups and hands the store to its thread. Blocks while it loads.
    ///
    /// Create the logs of new groups on the store before: a driver refuses a group that has none.
    ///
    /// # Errors
    ///
    /// See [`StartLogError`].
    pub fn start(store: Box<dyn LogStore>) -> Result<Self, StartLogError> {
        let mut states = BTreeMap::new();
        for group in store.groups() {
            let state = store.load(group).map_err(|source| StartLogError::Load { group, source })?;
            states.extend(state.map(|state| (group, state)));
        }
        let reader = store.reader();
        let (jobs, waiting_jobs) = mpsc::channel();
        let (reads, waiting_reads) = mpsc::channel();
        let spawned = |source| StartLogError::Spawn { source };
        let writer = Writer { store, clients: BTreeMap::new(), failure: None };
        let log = Builder::new().name("log".into()).spawn(move || writer.run(&waiting_jobs)).map_err(spawned)?;
        let source = Arc::clone(&reader);
        let log_read =
            Builder::new().name("log-read".into()).spawn(move || read(&*source, &waiting_reads)).map_err(spawned)?;
        let threads = Arc::new(Mutex::new(vec![log, log_read]));
        Ok(Self { jobs, reads, reader, states: Arc::new(Mutex::new(states)), threads })
    }

    /// Reads entries on the caller's own thread.
    #[must_use]
    pub fn reader(&self) -> Arc<dyn LogReader> {
        Arc::clone(&self.reader)
    }

    /// Waits until the threads have ended and the store is closed. Shut the drivers down and drop all other clones
    /// first: the threads live as long as one of them.
    pub fn join(self) {
        let Self { jobs, reads, reader, states, threads } = self;
        drop((jobs, reads, reader, states));
        let handles = core::mem::take(&mut *threads.lock().unwrap_or_else(PoisonError::into_inner));
        for handle in handles {
            // A panic in there was reported to every driver.
            let _ = handle.join();
        }
    }

    /// What the store held of a group when it was loaded. A group has one driver, so it is given once.
    pub(crate) fn take_state(&self, group: GroupId) -> Option<LogState> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).remove(&group)
    }

    /// From now on `client` hears of everything that concerns its group, first of all if the log has failed already.
    pub(crate) fn register(&self, group: GroupId, client: Arc<dyn LogClient>) {
        self.send(Job::Register { group, client });
    }

    /// Lets go of a client whose driver ends.
    pub(crate) fn unregister(&self, group: GroupId) {
        self.send(Job::Unregister { group });
    }

    /// Queues a batch; its group's client hears of the receipt. The core bounds how many are under way.
    pub(crate) fn persist(&self, batch: Batch) {
        self.send(Job::Persist(batch));
    }

    /// Queues a reset of the log, after every batch before; the receipt of a batch after it answers for it.
    pub(crate) fn reset(&self, group: GroupId, anchor: Anchor) {
        self.send(Job::Reset { group, anchor });
    }

    /// Queues a compaction; its group's client hears of the new anchor. A driver has at most one under way.
    pub(crate) fn compact(&self, group: GroupId, through: LogIndex) {
        self.send(Job::Compact { group, through });
    }

    /// Queues a reading of entries. A driver has at most one under way for each follower.
    pub(crate) fn read(&self, job: ReadJob) {
        // Only a thread that panicked takes nothing.
        if let Err(SendError(job)) = self.reads.send(job) {
            job.client.failed(READ_PANICKED);
        }
    }

    fn send(&self, job: Job) {
        // Only a thread that panicked takes nothing, and that was told to every driver.
        let _ = self.jobs.send(job);
    }
}

impl fmt::Debug for LogThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogThread").field("reader", &self.reader).finish_non_exhaustive()
    }
}

enum Job {
    Register { group: GroupId, client: Arc<dyn LogClient> },
    Unregister { group: GroupId },
    Persist(Batch),
    Reset { group: GroupId, anchor: Anchor },
    Compact { group: GroupId, through: LogIndex },
}

/// A reading of entries for a follower.
pub(crate) struct ReadJob {
    pub(crate) group: GroupId,
    pub(crate) request: RangeRead,
    pub(crate) first: LogIndex,
    pub(crate) last: LogIndex,
    pub(crate) bytes_max: u64,
    pub(crate) client: Arc<dyn LogClient>,
}

struct Writer {
    store: Box<dyn LogStore>,
    clients: BTreeMap<GroupId, Arc<dyn LogClient>>,
    /// Set once, for good: a write that failed is never tried again.
    failure: Option<StopReason>,
}

impl Writer {
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let (mut batches, mut compactions) = (Vec::new(), Vec::new());
            for job in core::iter::once(first).chain(jobs.try_iter()) {
                match job {
                    Job::Register { group, client } => self.register(group, client),
                    Job::Unregister { group } => drop(self.clients.remove(&group)),
                    Job::Persist(batch) => batches.push(batch),
                    Job::Reset { group, anchor } => {
                        self.persist(core::mem::take(&mut batches));
                        self.reset(group, anchor);
                    }
                    Job::Compact { group, through } => compactions.push((group, through)),
                }
            }
            self.persist(batches);
            for (group, through) in compactions {
                self.compact(group, through);
            }
        }
    }

    fn register(&mut self, group: GroupId, client: Arc<dyn LogClient>) {
        if let Some(reason) = &self.failure {
            client.failed(reason.clone());
        }
        self.clients.insert(group, client);
    }

    fn persist(&mut self, batches: Vec<Batch>) {
        if batches.is_empty() || self.failure.is_some() {
            return;
        }
        let count = batches.len();
        match self.store.persist(batches) {
            Ok(receipts) => {
                trace!(batches = count, "persisted");
                for receipt in receipts {
                    if let Some(client) = self.clients.get(&receipt.group()) {
                        client.persisted(receipt);
                    }
                }
            }
            Err(source) => self.fail(StopReason::LogFailed { source: Arc::new(source) }),
        }
    }

    fn reset(&mut self, group: GroupId, anchor: Anchor) {
        if self.failure.is_some() {
            return;
        }
        if let Err(source) = self.store.reset(group, anchor) {
            self.fail(StopReason::ResetFailed { source: Arc::new(source) });
        }
    }

    fn compact(&mut self, group: GroupId, through: LogIndex) {
        if self.failure.is_some() {
            return;
        }
        match self.store.compact(group, through) {
            Ok(anchor) => {
                if let Some(client) = self.clients.get(&group) {
                    client.compacted(anchor);
                }
            }
            Err(source) => self.fail(StopReason::CompactFailed { source: Arc::new(source) }),
        }
    }

    /// Tells everyone; from now on nothing is written.
    fn fail(&mut self, reason: StopReason) {
        self.clients.values().for_each(|client| client.failed(reason.clone()));
        error!(error = &reason as &dyn core::error::Error, "log_failed");
        self.failure = Some(reason);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.clients.values().for_each(|client| client.failed(StopReason::Panicked { thread: "log" }));
        }
    }
}

pub(crate) fn read(reader: &dyn LogReader, jobs: &Receiver<ReadJob>) {
    while let Ok(job) = jobs.recv() {
        let ReadJob { group, request, first, last, bytes_max, .. } = job;
        let asker = Asker(job.client);
        asker.0.entries_read(request, reader.entries(group, first, last, bytes_max));
    }
}

/// Whoever waits for entries, and hears of it when reading them panics. The others hear of it when they ask.
struct Asker(Arc<dyn LogClient>);

impl Drop for Asker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.failed(READ_PANICKED);
        }
    }
}

const READ_PANICKED: StopReason = StopReason::Panicked { thread: "log-read" };
