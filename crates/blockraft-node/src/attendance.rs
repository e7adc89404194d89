//! Who still works on a node's disks, so that it is known when nobody does any more.
//!
//! A task that is aborted lets go of what it holds a moment later, and work that blocks can't be aborted at all. Whoever
//! opens the same files next, maybe in the same process, must not meet the last of them.

use core::convert::Infallible;
use core::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;
use tracing::warn;

/// Says, as long as it lives, that its holder works on the disks.
#[derive(Clone, Debug)]
pub(crate) struct AtWork {
    _sign: mpsc::Sender<Infallible>,
}

/// Knows when everybody has gone home.
#[derive(Debug)]
pub(crate) struct Attendance {
    signs: Mutex<mpsc::Receiver<Infallible>>,
}

impl AtWork {
    /// Does `work`, being at it until that is over or dropped.
    pub(crate) async fn at<T>(self, work: impl Future<Output = T>) -> T {
        work.await
    }
}

impl Attendance {
    /// The first one at work, whose clones are the others.
    pub(crate) fn new() -> (AtWork, Self) {
        let (sign, signs) = mpsc::channel(1);
        (AtWork { _sign: sign }, Self { signs: Mutex::new(signs) })
    }

    /// Waits until nobody is at work and `others` have ended too, for [`PATIENCE`] at most: a disk may never answer.
    pub(crate) async fn end(&self, others: impl Future<Output = ()>) {
        let all_gone = async {
            others.await;
            self.signs.lock().await.recv().await
        };
        if timeout(PATIENCE, all_gone).await.is_err() {
            warn!(seconds = PATIENCE.as_secs(), "disks_still_worked_on");
        }
    }
}

/// How long a node that stops waits for those who work on its disks.
const PATIENCE: Duration = Duration::from_secs(5);
