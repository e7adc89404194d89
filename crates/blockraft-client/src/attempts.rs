//! The attempts of one operation: which member is next, how long to pause, and until when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use blockraft_types::NodeId;
use rand::Rng;
use tokio::time::{Instant, sleep_until};

use crate::slot::Slot;
use crate::unavailable::{MemberTrouble, Trouble, Unavailable};

/// The attempts of one operation so far.
#[derive(Debug)]
pub(crate) struct Attempts {
    deadline: Instant,
    /// Members that failed in this round.
    failed: BTreeSet<NodeId>,
    /// The most telling trouble of each member.
    troubles: BTreeMap<NodeId, Trouble>,
    /// The last member that may have done it all the same.
    unknown: Option<NodeId>,
    pause: Duration,
}

impl Attempts {
    /// For an operation that may take this long.
    pub(crate) fn new(time_max: Duration) -> Self {
        Self {
            deadline: Instant::now() + time_max,
            failed: BTreeSet::new(),
            troubles: BTreeMap::new(),
            unknown: None,
            pause: PAUSE_MIN,
        }
    }

    /// When the operation ends.
    pub(crate) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The member to ask now: `current` if it will do, else the next healthy one, else the next that hasn't failed in
    /// this round. `None` when all have.
    pub(crate) fn next(&self, slots: &[Arc<Slot>], current: NodeId) -> Option<Arc<Slot>> {
        let begin = slots.iter().position(|slot| slot.member.node == current).unwrap_or(0);
        let order = slots.iter().cycle().skip(begin).take(slots.len());
        let untried = order.filter(|slot| !self.failed.contains(&slot.member.node));
        let healthy = untried.clone().find(|slot| !slot.is_avoided());
        healthy.or_else(|| untried.clone().next()).map(Arc::clone)
    }

    /// Takes note that a member didn't do it.
    pub(crate) fn failed(&mut self, node: NodeId, trouble: Trouble) {
        tracing::debug!(%node, %trouble, "attempt_failed");
        self.failed.insert(node);
        if self.troubles.get(&node).is_none_or(|told| !told.outweighs(&trouble)) {
            self.troubles.insert(node, trouble);
        }
    }

    /// Takes note that a member may have done it, and didn't say so.
    pub(crate) const fn left_open(&mut self, node: NodeId) {
        self.unknown = Some(node);
    }

    /// The last member that may have done it without saying so.
    pub(crate) const fn unknown(&self) -> Option<NodeId> {
        self.unknown
    }

    /// Waits a little, longer each time.
    pub(crate) async fn pause(&mut self) {
        // Clients that failed together must not come back together: anything from half of the pause to all of it.
        let jittered = self.pause.mul_f64(rand::rng().random_range(0.5..1.0));
        sleep_until(self.deadline.min(Instant::now() + jittered)).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    /// Waits a little, and lets every member be asked again.
    pub(crate) async fn begin_anew(&mut self) {
        self.pause().await;
        self.failed.clear();
    }

    /// Whether the time is over.
    pub(crate) fn is_over(&self) -> bool {
        self.deadline <= Instant::now()
    }

    /// What to tell a caller whose time is over.
    pub(crate) fn unavailable(&self, slots: &[Arc<Slot>]) -> Unavailable {
        let members = slots.iter().filter_map(|slot| {
            let trouble = self.troubles.get(&slot.member.node)?.clone();
            Some(MemberTrouble { node: slot.member.node, address: slot.member.address.clone(), trouble })
        });
        Unavailable { members: members.collect() }
    }
}

/// The first pause, long enough for a leader to be found in the second or third.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(500);
