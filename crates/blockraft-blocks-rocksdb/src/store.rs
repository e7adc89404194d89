//! The store as others see it: the asynchronous shell around the database.

use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use blockraft_blocks::{Block, BlockStore, DeleteOutcome, Lookup, Multihash, Page, PutOutcome, ReadError, WriteError};
use tokio::sync::{Semaphore, oneshot};

use crate::database::{Database, OpenError, Write, Written, check};
use crate::writer::{self, Request};

/// Blocks in a RocksDB database of their own. See the crate page.
#[derive(Debug)]
pub struct RocksStore {
    /// `None` once closed. Each thread holds the database only while it works for a call.
    database: RwLock<Option<Arc<Database>>>,
    writes: Mutex<Option<Sender<Request>>>,
    reads: Mutex<Option<Sender<ReadJob>>>,
    queue: Arc<Semaphore>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct ReadJob {
    multihashes: Vec<Multihash>,
    reply: oneshot::Sender<Result<Vec<Lookup>, ReadError>>,
}

impl RocksStore {
    /// Opens the store in a directory, or makes one there.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let database = Arc::new(Database::open(path.as_ref())?);
        let (writes, to_write) = mpsc::channel();
        let (reads, to_read) = mpsc::channel::<ReadJob>();
        let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(name.to_owned()).spawn(body).map_err(OpenError::Thread)
        };
        let writing = Arc::downgrade(&database);
        let reading = Arc::downgrade(&database);
        let threads = vec![
            spawn("blocks-rocksdb-write", Box::new(move || writer::run(&writing, &to_write)))?,
            spawn(
                "blocks-rocksdb-read",
                Box::new(move || {
                    while let Ok(job) = to_read.recv() {
                        let Some(database) = reading.upgrade() else { return };
                        let lookups = job.multihashes.iter().map(|multihash| database.get(multihash)).collect();
                        let _ = job.reply.send(read(lookups));
                    }
                }),
            )?,
        ];
        Ok(Self {
            database: RwLock::new(Some(database)),
            writes: Mutex::new(Some(writes)),
            reads: Mutex::new(Some(reads)),
            queue: Arc::new(Semaphore::new(QUEUE_BYTES_MAX as usize)),
            threads: Mutex::new(threads),
        })
    }

    fn send(&self, request: Request) -> Result<(), WriteError> {
        let writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        writes.as_ref().and_then(|writes| writes.send(request).ok()).ok_or(WriteError::Closed)
    }

    /// Hands writes to the writer thread, as much at a time as the queue has room for, and waits for all of them.
    async fn write(&self, writes: Vec<Write>) -> Result<Vec<Written>, WriteError> {
        let mut answers = Vec::new();
        let mut writes = writes.into_iter().peekable();
        while writes.peek().is_some() {
            let mut chunk = Vec::new();
            let mut bytes = 0;
            let fits = |chunk: &[Write], bytes: u32, write: &Write| {
                chunk.is_empty() || bytes.saturating_add(queue_bytes(write)) <= CHUNK_BYTES_MAX
            };
            while let Some(write) = writes.next_if(|write| fits(&chunk, bytes, write)) {
                bytes += queue_bytes(&write);
                chunk.push(write);
            }
            let room = self.queue.clone().acquire_many_owned(bytes.min(QUEUE_BYTES_MAX)).await;
            let room = room.map_err(|_| WriteError::Closed)?;
            let (reply, answer) = oneshot::channel();
            self.send(Request::Write { writes: chunk, room, reply })?;
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

    fn with_database<T>(&self, ask: impl FnOnce(&Database) -> Result<T, rocksdb::Error>) -> Result<T, ReadError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        read(ask(database.as_ref().ok_or(ReadError::Closed)?))
    }

    /// Ends the threads and closes the database.
    fn stop(&self) {
        drop(self.writes.lock().unwrap_or_else(PoisonError::into_inner).take());
        drop(self.reads.lock().unwrap_or_else(PoisonError::into_inner).take());
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A thread that panicked has answered nobody, and they were told so by their broken channels.
            let _ = thread.join();
        }
        drop(self.database.write().unwrap_or_else(PoisonError::into_inner).take());
    }
}

#[async_trait]
impl BlockStore for RocksStore {
    async fn put_many(&self, blocks: &[Block]) -> Result<Vec<PutOutcome>, WriteError> {
        check(blocks)?;
        let written = self.write(blocks.iter().cloned().map(Write::Put).collect()).await?;
        let outcome = |written| match written {
            Written::Put(outcome) => Some(outcome),
            Written::Deleted(_) => None,
        };
        Ok(written.into_iter().filter_map(outcome).collect())
    }

    async fn get_many(&self, multihashes: &[Multihash]) -> Result<Vec<Lookup>, ReadError> {
        let (reply, answer) = oneshot::channel();
        let job = ReadJob { multihashes: multihashes.to_vec(), reply };
        {
            let reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
            reads.as_ref().and_then(|reads| reads.send(job).ok()).ok_or(ReadError::Closed)?;
        }
        answer.await.map_err(|_| ReadError::Closed)?
    }

    async fn stat_many(&self, multihashes: &[Multihash]) -> Result<Vec<Option<u32>>, ReadError> {
        self.with_database(|database| multihashes.iter().map(|multihash| database.stat(multihash)).collect())
    }

    async fn delete_many(&self, multihashes: &[Multihash]) -> Result<Vec<DeleteOutcome>, WriteError> {
        let written = self.write(multihashes.iter().copied().map(Write::Delete).collect()).await?;
        let outcome = |written| match written {
            Written::Deleted(outcome) => Some(outcome),
            Written::Put(_) => None,
        };
        Ok(written.into_iter().filter_map(outcome).collect())
    }

    async fn list(&self, after: Option<Multihash>, limit: usize) -> Result<Page, ReadError> {
        self.with_database(|database| database.list(after, limit))
    }

    async fn count(&self) -> Result<u64, ReadError> {
        self.with_database(Database::count)
    }

    async fn flush(&self) -> Result<(), WriteError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Flush { reply })?;
        answer.await.map_err(|_| WriteError::Closed)?
    }

    async fn close(&self) -> Result<(), WriteError> {
        let flushed = match self.flush().await {
            Err(WriteError::Closed) => Ok(()),
            flushed => flushed,
        };
        self.stop();
        flushed
    }
}

impl Drop for RocksStore {
    fn drop(&mut self) {
        self.stop();
    }
}

fn read<T>(answer: Result<T, rocksdb::Error>) -> Result<T, ReadError> {
    answer.map_err(|error| ReadError::Failed { attempt: "read blocks".to_owned(), source: Arc::new(error) })
}

/// What a write counts for in the queue.
fn queue_bytes(write: &Write) -> u32 {
    let body = match write {
        Write::Put(block) => block.bytes().len(),
        Write::Delete(_) => 0,
    };
    WRITE_OVERHEAD_BYTES + u32::try_from(body).unwrap_or(u32::MAX / 2)
}

/// More than this waiting to be written makes writers wait.
const QUEUE_BYTES_MAX: u32 = 64 << 20;
/// One call's writes enter the queue in pieces of about this size.
const CHUNK_BYTES_MAX: u32 = 4 << 20;
const WRITE_OVERHEAD_BYTES: u32 = 256;
