//! Room for the blocks of answers, from before they are read until the client has taken them.
//!
//! What a client asks for in a few bytes may be millions, and a client that doesn't read leaves them here. So all answers
//! together hold a bounded number of bytes, and those of one client at most half of them: it waits for itself.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use blockraft_transport_quic::ClientName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The room of one node.
#[derive(Debug)]
pub(crate) struct AnswerRoom {
    all: Arc<Semaphore>,
    clients: Mutex<BTreeMap<ClientName, Weak<Semaphore>>>,
}

/// The room of one answer: nothing at first.
#[derive(Debug)]
pub(crate) struct Share {
    all: Arc<Semaphore>,
    client: Arc<Semaphore>,
    held: Vec<OwnedSemaphorePermit>,
}

/// Other answers took the room for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

impl AnswerRoom {
    pub(crate) fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(BYTES_MAX)), clients: Mutex::default() }
    }

    /// The room of one more answer to this client.
    pub(crate) fn share(&self, client: &ClientName) -> Share {
        // The map is whole between any two statements.
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let known = clients.get(client).and_then(Weak::upgrade);
        let room = known.unwrap_or_else(|| {
            clients.retain(|_, room| 0 < room.strong_count());
            let room = Arc::new(Semaphore::new(CLIENT_BYTES_MAX));
            clients.insert(client.clone(), Arc::downgrade(&room));
            room
        });
        Share { all: Arc::clone(&self.all), client: room, held: Vec::new() }
    }
}

impl Share {
    /// Takes room for so many bytes at once, and waits for it. Only for an answer that holds none yet: answers that wait
    /// while they hold some could wait for each other.
    pub(crate) async fn take(&mut self, bytes: usize) -> Result<(), NoRoom> {
        assert!(self.held.is_empty(), "an answer takes its room at once");
        let taken = timeout(PATIENCE, async {
            for room in [&self.client, &self.all] {
                self.held.push(Arc::clone(room).acquire_many_owned(charge(bytes)).await.map_err(|_| NoRoom)?);
            }
            Ok(())
        });
        taken.await.unwrap_or(Err(NoRoom))
    }
}

/// A block that is longer than a client's room takes all of it.
fn charge(bytes: usize) -> u32 {
    u32::try_from(bytes.min(CLIENT_BYTES_MAX)).unwrap_or(u32::MAX)
}

/// Bytes of blocks in all answers. Each is there twice while the answer is put together.
const BYTES_MAX: usize = 64 << 20;

/// Bytes of blocks in all answers to one client.
const CLIENT_BYTES_MAX: usize = BYTES_MAX / 2;

/// How long an answer waits for room. A client that is refused then may ask again.
const PATIENCE: Duration = Duration::from_secs(10);
