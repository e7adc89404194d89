//! What is durable here, what is on its way to the disk, and what the next persist batch will carry.
//!
//! A leader's own disk is one of those that it counts, and it sends while it writes (thesis 10.2.1). Batches are numbered
//! and become durable in that order. A receipt proves only entries that are still in the log: a truncation takes from
//! every batch under way the entries that it drops, so that a late receipt never vouches for the ones that took their
//! places (the append ABA of etcd-io/raft).

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use blockraft_types::{EntryHead, GroupId, LogIndex, PersistNumber, PersistReceipt, PersistTicket};

use crate::config::Config;
use crate::log_point::LogPoint;
use crate::mistake::Mistake;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Durability {
    config: Config,
    group: GroupId,
    /// The last batch handed out.
    issued: PersistNumber,
    /// The last batch known to be durable; at most `issued`.
    confirmed: PersistNumber,
    /// Batches handed out and not confirmed, in order.
    under_way: VecDeque<UnderWay>,
    /// The last entry of the present log that is durable.
    durable: LogIndex,
    /// What was durable when the log began anew: it stays so, in the old log or by the snapshot.
    replaced: LogIndex,
    /// The last entry of the present log that is durable or under way.
    issued_last: LogIndex,
    /// The batch that carries the newest term and vote.
    hard_state_number: PersistNumber,
    next_reset: Option<LogPoint>,
    next_truncate_from: Option<LogIndex>,
    /// Contiguous after `issued_last`.
    next_heads: Vec<EntryHead>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct UnderWay {
    number: PersistNumber,
    /// The last entry of the present log that this batch and those before it make durable.
    proves: LogIndex,
}

/// The next batch, as far as this room knows it.
#[derive(Debug)]
pub(crate) struct NextBatch {
    pub(crate) ticket: PersistTicket,
    pub(crate) carries_hard_state: bool,
    pub(crate) reset: Option<LogPoint>,
    pub(crate) truncate_from: Option<LogIndex>,
    pub(crate) heads: Vec<EntryHead>,
}

/// A receipt that no batch under way has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StrangeReceipt;

impl Durability {
    pub(crate) const fn new(config: Config, group: GroupId, last: LogIndex) -> Self {
        Self {
            config,
            group,
            issued: PersistNumber(0),
            confirmed: PersistNumber(0),
            under_way: VecDeque::new(),
            durable: last,
            replaced: LogIndex::ZERO,
            issued_last: last,
            hard_state_number: PersistNumber(0),
            next_reset: None,
            next_truncate_from: None,
            next_heads: Vec::new(),
        }
    }

    pub(crate) const fn group(&self) -> GroupId {
        self.group
    }

    /// The last entry of the present log that is durable.
    pub(crate) const fn durable_index(&self) -> LogIndex {
        self.durable
    }

    /// How far everything that was ever acknowledged is durable. Unlike [`durable_index`](Self::durable_index) it doesn't
    /// fall while a snapshot takes the log's place.
    pub(crate) fn kept_index(&self) -> LogIndex {
        self.durable.max(self.replaced)
    }

    /// The last entry of the present log that was handed out to be persisted, so that the driver knows it.
    pub(crate) const fn issued_last(&self) -> LogIndex {
        self.issued_last
    }

    /// The last batch handed out.
    pub(crate) const fn issued(&self) -> PersistNumber {
        self.issued
    }

    /// Entries that wait for a batch.
    pub(crate) fn waiting_entries(&self) -> u64 {
        self.next_heads.len() as u64
    }

    /// Whether nothing is under way and nothing waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_empty() && !self.has_next()
    }

    /// Term or vote changed: the next batch carries them.
    pub(crate) fn change_hard_state(&mut self) {
        self.hard_state_number = self.next_number();
    }

    /// An entry was appended: the next batch carries it.
    pub(crate) fn append(&mut self, head: EntryHead) {
        let waiting_last = self.next_heads.last().map_or(self.issued_last, |head| head.position.index);
        assert!(head.position.index == waiting_last.next(), "a batch has no gaps");
        self.next_heads.push(head);
    }

    /// The entry at `index` and all after it are dropped: the next batch says so to the disk, if the disk knows them.
    pub(crate) fn truncate_from(&mut self, index: LogIndex) {
        self.next_heads.retain(|head| head.position.index < index);
        if index <= self.issued_last {
            self.next_truncate_from = Some(self.next_truncate_from.map_or(index, |earlier| earlier.min(index)));
            self.issued_last = index.previous();
        }
        if self.config.errs(Mistake::ReceiptsOutliveTruncation) {
            return;
        }
        self.durable = self.durable.min(index.previous());
        for batch in &mut self.under_way {
            batch.proves = batch.proves.min(index.previous());
        }
    }

    /// The log begins anew after `point`: the next batch says so to the disk. Of the old log only what is `committed` is
    /// known to be what the snapshot covers, so nothing beyond that counts as durable before the snapshot does.
    pub(crate) fn reset(&mut self, point: LogPoint, committed: LogIndex) {
        self.next_heads.clear();
        self.next_truncate_from = None;
        self.next_reset = Some(point);
        self.issued_last = point.position.index;
        self.replaced = self.kept_index().min(point.position.index);
        self.durable = self.durable.min(committed);
        for batch in &mut self.under_way {
            batch.proves = batch.proves.min(committed);
        }
    }

    /// The batch after which term and vote are durable; `None` when they are.
    pub(crate) fn hard_state_waits_for(&self) -> Option<PersistNumber> {
        (self.confirmed < self.hard_state_number).then_some(self.hard_state_number)
    }

    /// The batch after which the entry at `index` is durable; `None` when it is.
    pub(crate) fn entry_waits_for(&self, index: LogIndex) -> Option<PersistNumber> {
        if index <= self.durable {
            return None;
        }
        let carrier = self.under_way.iter().find(|batch| index <= batch.proves);
        Some(carrier.map_or(self.next_number(), |batch| batch.number))
    }

    /// Hands out the next batch, unless there is nothing to persist or too much is under way.
    pub(crate) fn take_next(&mut self) -> Option<NextBatch> {
        if !self.has_next() || self.config.options().persists_inflight_max <= self.under_way.len() {
            return None;
        }
        let number = self.next_number();
        let heads = core::mem::take(&mut self.next_heads);
        self.issued_last = heads.last().map_or(self.issued_last, |head| head.position.index);
        self.under_way.push_back(UnderWay { number, proves: self.issued_last });
        self.issued = number;
        Some(NextBatch {
            ticket: PersistTicket::new(self.group, number),
            carries_hard_state: self.hard_state_number == number,
            reset: self.next_reset.take(),
            truncate_from: self.next_truncate_from.take(),
            heads,
        })
    }

    /// Everything up to the receipt's batch is durable. A receipt that was seen before changes nothing.
    pub(crate) fn confirm(&mut self, receipt: PersistReceipt) -> Result<(), StrangeReceipt> {
        if receipt.group() != self.group || self.issued < receipt.number() {
            return Err(StrangeReceipt);
        }
        while let Some(batch) = self.under_way.pop_front_if(|batch| batch.number <= receipt.number()) {
            self.durable = self.durable.max(batch.proves);
        }
        self.confirmed = self.confirmed.max(receipt.number());
        assert!(self.durable <= self.issued_last || cfg!(seeded_bugs), "only what was handed out can be durable");
        assert!(self.confirmed <= self.issued, "only what was handed out can be confirmed");
        Ok(())
    }

    fn has_next(&self) -> bool {
        !self.next_heads.is_empty()
            || self.next_truncate_from.is_some()
            || self.next_reset.is_some()
            || self.issued < self.hard_state_number
    }

    const fn next_number(&self) -> PersistNumber {
        PersistNumber(self.issued.0.saturating_add(1))
    }
}

#[cfg(test)]
mod tests;
