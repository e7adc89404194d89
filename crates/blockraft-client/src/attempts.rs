//! The attempts of one operation: which member is next, how long to pause, and until when.

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
    failed: Vec<usize>,
    /// The most telling trouble of each member.
    troubles: Vec<Option<Trouble>>,
    /// The last member that may have done it all the same.
    unknown: Option<NodeId>,
    pause: Duration,
}

impl Attempts {
    /// For an operation over this many members that may take this long.
    pub(crate) fn new(members: usize, time_max: Duration) -> Self {
        Self {
            deadline: Instant::now() + time_max,
            failed: Vec::new(),
            troubles: vec![None; members],
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
    pub(crate) fn next(&self, slots: &[Arc<Slot>], current: usize) -> Option<usize> {
        let order = (0..slots.len()).map(|offset| (current + offset) % slots.len());
        let untried = order.filter(|index| !self.failed.contains(index));
        let healthy = untried.clone().find(|&index| slots.get(index).is_some_and(|slot| !slot.is_avoided()));
        healthy.or_else(|| untried.clone().next())
    }

    /// Takes note that a member didn't do it.
    pub(crate) fn failed(&mut self, index: usize, trouble: Trouble) {
        tracing::debug!(member = index, %trouble, "attempt_failed");
        if !self.failed.contains(&index) {
            self.failed.push(index);
        }
        if let Some(told) = self.troubles.get_mut(index)
            && told.as_ref().is_none_or(|told| !told.outweighs(&trouble))
        {
            *told = Some(trouble);
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
        let members = slots.iter().zip(&self.troubles).filter_map(|(slot, trouble)| {
            let trouble = trouble.clone()?;
            Some(MemberTrouble { node: slot.member.node, address: slot.member.address.clone(), trouble })
        });
        Unavailable { members: members.collect() }
    }
}

/// The first pause, long enough for a leader to be found in the second or third.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(500);
