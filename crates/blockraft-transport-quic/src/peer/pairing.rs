//! The accepting end's waiting room, where the two connections of one dial find each other.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use blockraft_transport::Peer;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::hello::Lane;
use crate::peer::handshake::Half;
use crate::refusal::Refusal;

/// Halves that wait. Bounded by the handshakes that may be under way.
#[derive(Debug, Default)]
pub(crate) struct Pairing {
    waiting: Mutex<BTreeMap<Dial, Waiting>>,
}

/// Both connections of one dial.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) control: Half,
    pub(crate) bulk: Half,
}

impl Pairing {
    /// Brings a half to its other half. The second one to come gets the pair; the first gets `None` once it was taken,
    /// or is closed when nobody came in time.
    pub(crate) async fn meet(&self, half: Half, patience: Duration) -> Result<Option<Pair>, Refusal> {
        let dial = (half.hello.peer(), half.hello.dial);
        let taken = {
            let mut waiting = self.lock();
            if let Some(first) = waiting.remove(&dial) {
                drop(waiting);
                let _gone = first.taken.send(());
                return pair(first.half, half).map(Some);
            }
            let (sender, taken) = oneshot::channel();
            waiting.insert(dial, Waiting { half, taken: sender });
            taken
        };
        if timeout(patience, taken).await.is_ok() {
            return Ok(None);
        }
        match self.lock().remove(&dial) {
            None => Ok(None),
            Some(alone) => {
                Refusal::MalformedHello.close(&alone.half.connection);
                Err(Refusal::MalformedHello)
            }
        }
    }

    /// Drops those who wait.
    pub(crate) fn close(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Dial, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Dial = (Peer, u64);

#[derive(Debug)]
struct Waiting {
    half: Half,
    taken: oneshot::Sender<()>,
}

fn pair(first: Half, second: Half) -> Result<Pair, Refusal> {
    match (first.hello.lane, second.hello.lane) {
        (Lane::Control, Lane::Bulk) => Ok(Pair { control: first, bulk: second }),
        (Lane::Bulk, Lane::Control) => Ok(Pair { control: second, bulk: first }),
        (Lane::Control, Lane::Control) | (Lane::Bulk, Lane::Bulk) => {
            Refusal::ProtocolViolation.close(&first.connection);
            Refusal::ProtocolViolation.close(&second.connection);
            Err(Refusal::ProtocolViolation)
        }
    }
}
