//! Batches that are on their way to the disk, and how long the oldest one has been.

use std::collections::VecDeque;

use blockraft_types::PersistNumber;

#[derive(Debug, Default)]
pub(crate) struct Persists {
    under_way: VecDeque<PersistNumber>,
    /// The tick since which the oldest one had the disk for itself.
    oldest_since: u64,
    stall: Stall,
    stalls: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stall {
    #[default]
    Untold,
    Told,
}

impl Persists {
    pub(crate) fn issue(&mut self, number: PersistNumber, tick: u64) {
        if self.under_way.is_empty() {
            self.rewind(tick);
        }
        self.under_way.push_back(number);
    }

    /// Everything up to `number` is durable: the disk moves, and the next batch has its own time.
    pub(crate) fn confirm(&mut self, number: PersistNumber, tick: u64) {
        while self.under_way.pop_front_if(|batch| *batch <= number).is_some() {
            self.rewind(tick);
        }
    }

    /// Whether the oldest batch has been under way for `patience` ticks. Said once for each stall.
    pub(crate) fn stalls_now(&mut self, tick: u64, patience: u64) -> bool {
        let late = !self.under_way.is_empty() && self.oldest_since + patience <= tick;
        let news = late && self.stall == Stall::Untold;
        if news {
            self.stall = Stall::Told;
            self.stalls += 1;
        }
        news
    }

    pub(crate) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// How often the disk stalled.
    pub(crate) const fn stalls(&self) -> u64 {
        self.stalls
    }

    const fn rewind(&mut self, tick: u64) {
        self.oldest_since = tick;
        self.stall = Stall::Untold;
    }
}
