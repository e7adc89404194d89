//! How up to date this node knows itself to be.
//!
//! A read index that was confirmed and applied here proves that this replica holds every write that was acknowledged
//! before the *question* was asked. The proof bears the moment of the question, by this node's own clock, and holds for
//! one election timeout from then. So what is served on the strength of it lacks no write that is older than that:
//! whoever leads by now, whatever other clocks say, however long a message took.
//!
//! The moment at which a heartbeat is processed would prove less. Heartbeats wait in sockets and queues while a process
//! is stopped, and look new when it goes on; a leader's word alone doesn't say that it still leads. The clock, too, isn't
//! counted in ticks, which a stopped process doesn't have: it is the system's monotonic one, which goes on meanwhile. It
//! may stand still while the whole machine sleeps, and then the bound is as of the waking. It is handed in: whoever asks
//! says what time it is.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use blockraft_types::{LogIndex, Position};

use crate::mistake::Mistake;

/// A moment of this node's own monotonic clock, counted from some moment of its present life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Duration);

/// What this node may serve without asking anybody, shared by all its reads.
#[derive(Debug)]
pub struct Freshness {
    /// For how long a proof holds.
    lifetime: Duration,
    /// When the question was asked whose read index was confirmed and applied here; the newest one. Nothing since boot:
    /// a restart must not take a node back in time.
    proven: Mutex<Option<Moment>>,
    /// The highest index of any answer that this node gave, also of writes that the leader applied before this node did.
    returned: AtomicU64,
}

/// That this replica held, at some moment, every write that was acknowledged before it asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    asked: Moment,
}

impl Freshness {
    /// Knows nothing yet. `election_timeout` is the shortest one.
    #[must_use]
    pub const fn new(election_timeout: Duration) -> Self {
        Self { lifetime: election_timeout, proven: Mutex::new(None), returned: AtomicU64::new(0) }
    }

    /// A read index is applied here that was asked for at `asked` or later.
    pub fn prove(&self, asked: Moment) {
        let mut proven = self.proven();
        *proven = (*proven).max(Some(asked));
    }

    /// The newest proof, if it holds `now`.
    #[must_use]
    pub fn proof(&self, now: Moment) -> Option<Proof> {
        let proof = self.proven().map(|asked| Proof { asked })?;
        self.holds(proof, now).then_some(proof)
    }

    /// Whether this very proof holds `now`. A newer one says nothing of what was looked at on the strength of this one.
    #[must_use]
    pub fn holds(&self, proof: Proof, now: Moment) -> bool {
        now.0.saturating_sub(proof.asked.0) < self.lifetime || Mistake::FreshForEver.is_made()
    }

    /// Remembers the position of an answer that is about to be given.
    pub fn returned(&self, position: Position) {
        self.returned.fetch_max(position.index.0, Ordering::AcqRel);
    }

    /// The highest index of any answer so far.
    #[must_use]
    pub fn highest_returned(&self) -> LogIndex {
        LogIndex(self.returned.load(Ordering::Acquire))
    }

    fn proven(&self) -> MutexGuard<'_, Option<Moment>> {
        // It is whole between any two statements.
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
