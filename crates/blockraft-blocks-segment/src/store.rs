//! The store as others see it: the asynchronous shell around [`Segments`], with the threads that wait for the disk.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use blockraft_blocks::{Block, BlockStore, DeleteOutcome, Lookup, Multihash, Page, PutOutcome, ReadError, WriteError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc as bounded, oneshot};

use crate::active::segment_of;
use crate::compaction::Thoroughness;
use crate::disk::{DirectoryDisk, Disk};
use crate::options::Options;
use crate::reader::Reader;
use crate::recovered::Recovered;
use crate::recovery::OpenError;
use crate::segments::{Segments, Write, Written};
use crate::status::Status;
use crate::table::{RocksTable, Table};

/// Blocks in append-only segment files.
///
/// See the crate page for how it works, and [`BlockStore`] for what it promises.
#[derive(Debug)]
pub struct SegmentStore {
    requests: Mutex<Sender<Request>>,
    /// `None` once closed. Held only for as long as one look-up in the index takes.
    reads: RwLock<Option<Reads>>,
    queue: Arc<Semaphore>,
    status: Arc<Mutex<Status>>,
    recovered: Recovered,
    reserve_bytes: u64,
    writer: Mutex<Option<JoinHandle<()>>>,
    readers: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Reads {
    reader: Arc<Reader>,
    jobs: bounded::Sender<ReadJob>,
}

struct ReadJob {
    multihashes: Vec<Multihash>,
    reply: oneshot::Sender<Result<Vec<Lookup>, ReadError>>,
}

enum Request {
    Write { writes: Vec<Write>, _room: OwnedSemaphorePermit, reply: oneshot::Sender<Result<Vec<Written>, WriteError>> },
    Flush { reply: Reply },
    Reclaim { reply: Reply },
    Close { reply: Reply },
}

type Reply = oneshot::Sender<Result<(), WriteError>>;

impl SegmentStore {
    /// Opens the store in a directory, or makes one there: segments and a lock in it, the index in its folder `index`.
    ///
    /// Reads what the index doesn't know yet, which is little after a clean close, at most a segment after a crash,
    /// and the footers of all segments if the index is gone.
    ///
    /// # Errors
    ///
    /// [`OpenError::Locked`] if the directory is open elsewhere, [`OpenError::Newer`] if newer software wrote to it,
    /// [`OpenError::Failed`] with what the system said.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let failed = |attempt: &str, source: io::Error| OpenError::Failed {
            attempt: format!("{attempt} {}", path.display()),
            source,
        };
        let disk = DirectoryDisk::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => OpenError::Locked { path: path.display().to_string() },
            _ => failed("open the directory", error),
        })?;
        let table = RocksTable::open(&path.join(INDEX)).map_err(|error| failed("open the block index of", error))?;
        Self::open_on(Arc::new(disk), Arc::new(table), options)
    }

    /// Opens the store that was [made](Self::open) in a directory before. Whoever relies on what it holds opens it so: a
    /// directory that was emptied, or whose disk isn't mounted, is then no new store.
    ///
    /// # Errors
    ///
    /// [`OpenError::Missing`] if not one segment is there, else as [`open`](Self::open).
    pub fn open_existing(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let listed = has_segments(path);
        let attempt = || format!("list {}", path.display());
        if !listed.map_err(|source| OpenError::Failed { attempt: attempt(), source })? {
            return Err(OpenError::Missing { path: path.display().to_string() });
        }
        Self::open(path, options)
    }

    /// Opens the store on another disk, or with another table for its index.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open_on(disk: Arc<dyn Disk>, table: Arc<dyn Table>, options: Options) -> Result<Self, OpenError> {
        let segments = Segments::open(disk, table, options)?;
        let (reader, recovered) = (segments.reader(), segments.recovered().clone());
        let status = Arc::new(Mutex::new(segments.status()));
        let (requests, received) = mpsc::channel();
        let writer = Writer { segments, received, status: status.clone(), reclaiming: Vec::new() };
        let spawn = |name: String, body: Box<dyn FnOnce() + Send>| {
            let thread = thread::Builder::new().name(name.clone()).spawn(body);
            thread.map_err(|source| OpenError::Failed { attempt: format!("start thread {name}"), source })
        };
        let writer = spawn("blocks-write".to_owned(), Box::new(|| writer.run()))?;
        let (jobs, received) = bounded::channel(READ_JOBS_MAX);
        let received = Arc::new(Mutex::new(received));
        let mut readers = Vec::with_capacity(READ_THREADS);
        for number in 0..READ_THREADS {
            let (reader, received) = (reader.clone(), received.clone());
            readers.push(spawn(format!("blocks-read-{number}"), Box::new(move || read_jobs(&reader, &received)))?);
        }
        Ok(Self {
            requests: Mutex::new(requests),
            reads: RwLock::new(Some(Reads { reader, jobs })),
            queue: Arc::new(Semaphore::new(QUEUE_BYTES_MAX as usize)),
            status,
            recovered,
            reserve_bytes: options.reserve_bytes,
            writer: Mutex::new(Some(writer)),
            readers: Mutex::new(readers),
        })
    }

    /// What opening found; look at its damage.
    #[must_use]
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// Counters and sizes, as of the last write.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives back all space that is worth it: each segment, the active one included, of which a tenth is dead. Puts go
    /// on meanwhile.
    ///
    /// # Errors
    ///
    /// [`WriteError`] if a write or sync fails.
    pub async fn reclaim(&self) -> Result<(), WriteError> {
        self.ask(|reply| Request::Reclaim { reply }).await
    }

    async fn ask(&self, request: impl FnOnce(Reply) -> Request) -> Result<(), WriteError> {
        let (reply, answer) = oneshot::channel();
        self.send(request(reply))?;
        answer.await.map_err(|_| WriteError::Closed)?
    }

    fn send(&self, request: Request) -> Result<(), WriteError> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.send(request).map_err(|_| WriteError::Closed)
    }

    /// Hands writes to the writer thread, as much at a time as the queue has room for, and waits for all of them.
    async fn write(&self, writes: Vec<Write>) -> Result<Vec<Written>, WriteError> {
        let mut answers = Vec::new();
        let mut writes = writes.into_iter().peekable();
        while writes.peek().is_some() {
            let mut chunk = Vec::new();
            let mut bytes = 0;
            while let Some(write) =
                writes.next_if(|write| chunk.is_empty() || bytes + queue_bytes(write) <= CHUNK_BYTES_MAX)
            {
                bytes += queue_bytes(&write);
                chunk.push(write);
            }
            let room = self.queue.clone().acquire_many_owned(bytes.min(QUEUE_BYTES_MAX)).await;
            let room = room.map_err(|_| WriteError::Closed)?;
            let (reply, answer) = oneshot::channel();
            self.send(Request::Write { writes: chunk, _room: room, reply })?;
            answers.push(answer);
        }
        let mut written = Vec::new();
        let mut failure = None;
        for answer in answers {
            match answer.await.map_err(|_| WriteError::Closed).flatten() {
                Ok(some) => written.extend(some),
                // All are waited for, so that nothing of this call happens after it returned.
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(written), Err)
    }

    async fn put_as(&self, write: fn(Block) -> Write, blocks: &[Block]) -> Result<Vec<PutOutcome>, WriteError> {
        // Most puts of a block that is there already end here, without a place in the queue.
        let is_sound = |reader: &Reader, block: &Block| Ok(reader.stat(block.multihash())?.is_some());
        let sound = self.with_reader(|reader| blocks.iter().map(|block| is_sound(reader, block)).collect());
        let sound: Vec<bool> = sound.map_err(read_failed)?;
        let missing = blocks.iter().zip(&sound).filter(|(_, sound)| !**sound);
        let written = self.write(missing.map(|(block, _)| write(block.clone())).collect()).await?;
        let mut written = written.into_iter();
        let outcome = |sound: &bool| match if *sound { Some(Written::AlreadyPresent) } else { written.next() } {
            Some(Written::Created) => Ok(PutOutcome::Created),
            Some(Written::Full { free_bytes }) => {
                Err(WriteError::Full { free_bytes, reserve_bytes: self.reserve_bytes })
            }
            Some(Written::TooLarge(too_large)) => Err(too_large.into()),
            Some(Written::AlreadyPresent | Written::Deleted | Written::Absent) | None => Ok(PutOutcome::AlreadyPresent),
        };
        sound.iter().map(outcome).collect()
    }

    fn with_reader<T>(&self, read: impl FnOnce(&Reader) -> Result<T, ReadError>) -> Result<T, ReadError> {
        let reads = self.reads.read().unwrap_or_else(PoisonError::into_inner);
        read(&reads.as_ref().ok_or(ReadError::Closed)?.reader)
    }

    /// Ends all threads, and with the last of them whatever keeps files open.
    fn stop(&self) {
        let reads = self.reads.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(reads);
        // A sender whose receiver is gone: the writer sees the end of its queue.
        *self.requests.lock().unwrap_or_else(PoisonError::into_inner) = mpsc::channel().0;
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let readers = std::mem::take(&mut *self.readers.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in writer.into_iter().chain(readers) {
            // A thread that panicked has answered nobody, and they were told so by their broken channels.
            let _ = thread.join();
        }
    }
}

#[async_trait]
impl BlockStore for SegmentStore {
    async fn put_many(&self, blocks: &[Block]) -> Result<Vec<PutOutcome>, WriteError> {
        self.put_as(Write::Put, blocks).await
    }

    async fn put_reserved(&self, block: Block) -> Result<PutOutcome, WriteError> {
        let outcomes = self.put_as(Write::PutReserved, &[block]).await?;
        Ok(outcomes.into_iter().next().expect("it answers for each block"))
    }

    async fn get_many(&self, multihashes: &[Multihash]) -> Result<Vec<Lookup>, ReadError> {
        let jobs = {
            let reads = self.reads.read().unwrap_or_else(PoisonError::into_inner);
            reads.as_ref().ok_or(ReadError::Closed)?.jobs.clone()
        };
        let mut answers = Vec::new();
        for some in multihashes.chunks(READ_BATCH) {
            let (reply, answer) = oneshot::channel();
            let job = ReadJob { multihashes: some.to_vec(), reply };
            jobs.send(job).await.map_err(|_| ReadError::Closed)?;
            answers.push(answer);
        }
        drop(jobs);
        let mut lookups = Vec::with_capacity(multihashes.len());
        for answer in answers {
            lookups.extend(answer.await.map_err(|_| ReadError::Closed)??);
        }
        Ok(lookups)
    }

    async fn stat_many(&self, multihashes: &[Multihash]) -> Result<Vec<Option<u32>>, ReadError> {
        self.with_reader(|reader| multihashes.iter().map(|multihash| reader.stat(multihash)).collect())
    }

    async fn delete_many(&self, multihashes: &[Multihash]) -> Result<Vec<DeleteOutcome>, WriteError> {
        let written = self.write(multihashes.iter().copied().map(Write::Delete).collect()).await?;
        let outcome = |written| match written {
            Written::Deleted => DeleteOutcome::Deleted,
            _ => DeleteOutcome::Absent,
        };
        Ok(written.into_iter().map(outcome).collect())
    }

    async fn list(&self, after: Option<Multihash>, limit: usize) -> Result<Page, ReadError> {
        self.with_reader(|reader| reader.list(after, limit))
    }

    async fn count(&self) -> Result<u64, ReadError> {
        self.with_reader(|_| Ok(self.status().blocks))
    }

    async fn flush(&self) -> Result<(), WriteError> {
        self.ask(|reply| Request::Flush { reply }).await
    }

    async fn close(&self) -> Result<(), WriteError> {
        let closed = match self.ask(|reply| Request::Close { reply }).await {
            Err(WriteError::Closed) => Ok(()),
            closed => closed,
        };
        self.stop();
        closed
    }
}

impl Drop for SegmentStore {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The thread `blocks-write`: takes all that waits, then writes it with one sync; in between it compacts.
struct Writer {
    segments: Segments,
    received: Receiver<Request>,
    status: Arc<Mutex<Status>>,
    reclaiming: Vec<Reply>,
}

impl Writer {
    fn run(mut self) {
        loop {
            let first = if self.segments.has_compaction_due(self.thoroughness()) {
                match self.received.try_recv() {
                    Ok(request) => Some(request),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => return,
                }
            } else {
                self.end_reclaiming();
                match self.received.recv() {
                    Ok(request) => Some(request),
                    Err(_) => return,
                }
            };
            let requests: Vec<Request> = first.into_iter().chain(self.received.try_iter()).collect();
            if let Some(closing) = self.serve(requests) {
                let flushed = self.segments.flush();
                let Self { segments, received, .. } = self;
                // Files and lock are given back before the answer says so.
                drop(segments);
                drop(received);
                let _ = closing.send(flushed);
                return;
            }
            if self.segments.has_compaction_due(self.thoroughness()) {
                // A failure poisons the store: the next write is told.
                let _ = self.segments.compact(self.thoroughness());
            }
            self.publish();
        }
    }

    /// Answers requests in their order, and returns early with the answer owed to a close.
    fn serve(&mut self, requests: Vec<Request>) -> Option<Reply> {
        let mut writes = Vec::new();
        let mut waiting = Vec::new();
        for request in requests {
            match request {
                Request::Write { writes: more, _room: room, reply } => {
                    waiting.push((more.len(), room, reply));
                    writes.extend(more);
                }
                Request::Flush { reply } => {
                    self.commit(&mut writes, &mut waiting);
                    if self.segments.is_tight() && !self.segments.is_poisoned() {
                        self.reclaiming.push(reply);
                    } else {
                        let _ = reply.send(self.segments.flush());
                    }
                }
                Request::Reclaim { reply } => {
                    self.commit(&mut writes, &mut waiting);
                    self.reclaiming.push(reply);
                }
                Request::Close { reply } => {
                    self.commit(&mut writes, &mut waiting);
                    return Some(reply);
                }
            }
        }
        self.commit(&mut writes, &mut waiting);
        None
    }

    fn commit(&mut self, writes: &mut Vec<Write>, waiting: &mut Vec<WaitingWrite>) {
        if writes.is_empty() {
            return;
        }
        let written = self.segments.write(writes);
        writes.clear();
        self.publish();
        match written {
            Ok(written) => {
                let mut written = written.into_iter();
                for (count, _room, reply) in waiting.drain(..) {
                    // Whoever stopped waiting doesn't want to know.
                    let _ = reply.send(Ok(written.by_ref().take(count).collect()));
                }
            }
            Err(error) => {
                for (_, _room, reply) in waiting.drain(..) {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn thoroughness(&self) -> Thoroughness {
        if self.segments.is_tight() || !self.reclaiming.is_empty() {
            Thoroughness::Thorough
        } else {
            Thoroughness::Lazy
        }
    }

    fn end_reclaiming(&mut self) {
        if !self.reclaiming.is_empty() {
            let flushed = self.segments.flush();
            self.publish();
            for reply in self.reclaiming.drain(..) {
                let _ = reply.send(flushed.clone());
            }
        }
    }

    fn publish(&self) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = self.segments.status();
    }
}

type WaitingWrite = (usize, OwnedSemaphorePermit, oneshot::Sender<Result<Vec<Written>, WriteError>>);

/// The threads `blocks-read-0` and so on: each takes one job at a time.
fn read_jobs(reader: &Reader, received: &Mutex<bounded::Receiver<ReadJob>>) {
    loop {
        let job = received.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(job) = job else { return };
        let lookups = job.multihashes.iter().map(|multihash| reader.get(multihash)).collect();
        let _ = job.reply.send(lookups);
    }
}

/// Whether a directory exists and holds at least one segment. A store has one from its first opening on.
fn has_segments(path: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        entries => entries?,
    };
    for entry in entries {
        if entry?.file_name().to_str().and_then(segment_of).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read_failed(error: ReadError) -> WriteError {
    match error {
        ReadError::Failed { attempt, source } => WriteError::Failed { attempt, source },
        _ => WriteError::Closed,
    }
}

/// What a write counts for in the queue.
fn queue_bytes(write: &Write) -> u32 {
    let body = match write {
        Write::Put(block) | Write::PutReserved(block) => block.bytes().len(),
        Write::Delete(_) => 0,
    };
    WRITE_OVERHEAD_BYTES + u32::try_from(body).unwrap_or(u32::MAX / 2)
}

const INDEX: &str = "index";
/// More than this waiting to be written makes writers wait.
const QUEUE_BYTES_MAX: u32 = 64 << 20;
/// One call's writes enter the queue in pieces of about this size.
const CHUNK_BYTES_MAX: u32 = 4 << 20;
const WRITE_OVERHEAD_BYTES: u32 = 256;
const READ_THREADS: usize = 4;
const READ_JOBS_MAX: usize = 64;
/// So many blocks are read by one thread before another one may help.
const READ_BATCH: usize = 4;
