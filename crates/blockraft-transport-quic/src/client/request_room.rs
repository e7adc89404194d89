//! Room for the bytes of requests, from before they come until they are answered.
//!
//! All requests together hold a bounded number of bytes, and those of one client at most half of them, so that a client
//! which fills its room waits for itself. A request takes its room whole, since requests that hold some of it could wait
//! for each other; but while others wait, one whose bytes don't come loses it.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::{Bytes, BytesMut};
use quinn::RecvStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::frame::StreamError;
use crate::subject::ClientName;

/// The room of one node.
#[derive(Debug)]
pub(crate) struct RequestRoom {
    bytes_max: u32,
    all: Arc<Semaphore>,
    clients: Mutex<BTreeMap<ClientName, Weak<Semaphore>>>,
    waiting: AtomicUsize,
}

/// What one request holds.
#[derive(Debug)]
pub(crate) struct Taken {
    _of_client: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// Why the bytes of a request didn't come.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// Others needed its room.
    Slow,
    /// They ended early, or were never a request.
    Broken,
}

impl RequestRoom {
    pub(crate) fn new(bytes_max: u32) -> Self {
        let all = Arc::new(Semaphore::new(bytes_max as usize));
        Self { bytes_max, all, clients: Mutex::default(), waiting: AtomicUsize::new(0) }
    }

    /// Waits for room for so many bytes. One request that is longer than a client's half takes that half.
    pub(crate) async fn take(&self, client: &ClientName, bytes: u64) -> Taken {
        let of_client = self.of_client(client);
        let charge = |bytes_max: u32| u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, bytes_max);
        let _waiting = Waiting::new(&self.waiting);
        let open = "nobody closes the room";
        let of_client = of_client.acquire_many_owned(charge(self.bytes_max / 2)).await.expect(open);
        let of_all = Arc::clone(&self.all).acquire_many_owned(charge(self.bytes_max)).await.expect(open);
        Taken { _of_client: of_client, _of_all: of_all }
    }

    /// Reads exactly `bytes` bytes of a request that has its room.
    pub(crate) async fn read(&self, receive: &mut RecvStream, bytes: usize) -> Result<Bytes, ReadError> {
        let mut buffer = BytesMut::with_capacity(bytes);
        let (mut looked, mut before) = (Instant::now(), 0);
        while buffer.len() < bytes {
            if let Ok(read) = timeout_at(looked + PACE_INTERVAL, receive.read_chunk(bytes - buffer.len(), true)).await {
                let chunk = read.map_err(StreamError::from)?.ok_or(StreamError::Ended)?;
                buffer.extend_from_slice(&chunk.bytes);
            }
            if PACE_INTERVAL <= looked.elapsed() {
                if buffer.len() - before < PACE_BYTES && 0 < self.waiting.load(Ordering::Relaxed) {
                    return Err(ReadError::Slow);
                }
                (looked, before) = (Instant::now(), buffer.len());
            }
        }
        Ok(buffer.freeze())
    }

    fn of_client(&self, client: &ClientName) -> Arc<Semaphore> {
        // The map is whole between any two statements.
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.get(client).and_then(Weak::upgrade).unwrap_or_else(|| {
            clients.retain(|_, room| 0 < room.strong_count());
            let room = Arc::new(Semaphore::new((self.bytes_max / 2) as usize));
            clients.insert(client.clone(), Arc::downgrade(&room));
            room
        })
    }
}

impl From<StreamError> for ReadError {
    fn from(_: StreamError) -> Self {
        Self::Broken
    }
}

/// One who waits for room.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How often is looked whether a request's bytes come.
const PACE_INTERVAL: Duration = Duration::from_secs(1);

/// How many bytes have to come meanwhile if others wait.
const PACE_BYTES: usize = 64 << 10;
