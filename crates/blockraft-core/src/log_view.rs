//! The log as the core sees it: where each term begins, where the log ends, and the digests and sizes of its end.
//!
//! Memory depends on the number of terms in the log and on how much is uncommitted, never on how much the log holds.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use blockraft_types::{ChainDigest, EntryHead, LogIndex, Position, Term};

use crate::log_point::LogPoint;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LogView {
    /// The compacted end.
    anchor: LogPoint,
    /// The last entry; the anchor when there is none. `anchor.index <= last.index`.
    last: LogPoint,
    /// The first position of each term after the anchor, ascending in both parts: where each *run* of entries of one
    /// term begins.
    terms: Vec<Position>,
    /// The newest entries up to `last`, none of them committed, at most `tail_entries_max`.
    tail: VecDeque<TailEntry>,
    /// The digest of the entry before the first one of `tail`, where known.
    before_tail: Option<ChainDigest>,
    /// Sum of the sizes in `tail`.
    tail_bytes: u64,
    tail_entries_max: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct TailEntry {
    chain: ChainDigest,
    body_bytes: u32,
}

impl LogView {
    /// A log that ends at `before_tail` followed by `tail`. The caller has checked that the parts fit.
    pub(crate) fn new(
        anchor: LogPoint,
        last: LogPoint,
        terms: Vec<Position>,
        tail: &[EntryHead],
        tail_entries_max: u64,
    ) -> Self {
        let before_tail = match tail.first() {
            None => Some(last.chain),
            Some(head) if head.position.index == anchor.position.index.next() => Some(anchor.chain),
            Some(_) => None,
        };
        let mut log = Self { anchor, last, terms, tail: VecDeque::new(), before_tail, tail_bytes: 0, tail_entries_max };
        for head in tail {
            log.push_tail(head);
        }
        log
    }

    pub(crate) const fn anchor(&self) -> LogPoint {
        self.anchor
    }

    pub(crate) const fn last(&self) -> LogPoint {
        self.last
    }

    pub(crate) const fn last_index(&self) -> LogIndex {
        self.last.position.index
    }

    /// Bytes of the bodies that are not committed.
    pub(crate) const fn uncommitted_bytes(&self) -> u64 {
        self.tail_bytes
    }

    /// The term of the entry at `index`; `None` if it is compacted or not there.
    pub(crate) fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index == self.anchor.position.index {
            return Some(self.anchor.position.term);
        }
        if self.last_index() < index {
            return None;
        }
        self.run_at(index).map(|first| first.term)
    }

    /// The digest of the entry at `index`, where it is held.
    pub(crate) fn chain_at(&self, index: LogIndex) -> Option<ChainDigest> {
        if index == self.last_index() {
            return Some(self.last.chain);
        }
        if index == self.anchor.position.index {
            return Some(self.anchor.chain);
        }
        let before = self.before_tail_index();
        if index == before {
            return self.before_tail;
        }
        let offset = index.0.checked_sub(before.0)?.checked_sub(1)?;
        self.tail.get(usize::try_from(offset).ok()?).map(|entry| entry.chain)
    }

    /// The first index after the anchor of the run of equal terms that `index` lies in.
    pub(crate) fn first_of_run(&self, index: LogIndex) -> Option<LogIndex> {
        self.run_at(index).map(|first| first.index)
    }

    /// The newest entry at or before `index` whose term is at most `term`; the anchor if there is none.
    pub(crate) fn newest_within(&self, index: LogIndex, term: Term) -> LogIndex {
        let index = index.min(self.last_index());
        let mut newest = index;
        for first in self.terms.iter().rev() {
            if first.index <= newest {
                if first.term <= term {
                    return newest;
                }
                newest = first.index.previous();
            }
        }
        newest.min(self.anchor.position.index)
    }

    /// The first position of each run of equal terms from `first` to `last`.
    pub(crate) fn runs(&self, first: LogIndex, last: LogIndex) -> Vec<Position> {
        if last < first {
            return Vec::new();
        }
        let mut runs: Vec<Position> = Vec::new();
        runs.extend(self.run_at(first).map(|run| Position { term: run.term, index: first }));
        let later = self.terms.partition_point(|run| run.index <= first);
        runs.extend(self.terms.iter().skip(later).take_while(|run| run.index <= last));
        runs
    }

    /// Adds an entry that follows the last one.
    pub(crate) fn append(&mut self, head: &EntryHead) {
        assert!(head.position.index == self.last_index().next(), "the log has no gaps");
        assert!(self.last.position.term <= head.position.term, "terms never fall along the log");
        let newest_run = self.terms.last().map(|first| first.term);
        if newest_run != Some(head.position.term) {
            self.terms.push(head.position);
        }
        self.last = LogPoint { position: head.position, chain: head.chain };
        self.push_tail(head);
    }

    /// Drops the entry at `index` and all after it. `before` is the digest of the entry before it.
    pub(crate) fn truncate_from(&mut self, index: LogIndex, before: ChainDigest) {
        assert!(self.anchor.position.index < index, "what is compacted is committed");
        assert!(index <= self.last_index(), "there is something to drop");
        let keep = index.0.saturating_sub(self.before_tail_index().0).saturating_sub(1);
        while keep < self.tail.len() as u64 {
            let dropped = self.tail.pop_back();
            self.tail_bytes -= dropped.map_or(0, |entry| u64::from(entry.body_bytes));
        }
        while self.terms.last().is_some_and(|first| index <= first.index) {
            self.terms.pop();
        }
        let term = self.terms.last().map_or(self.anchor.position.term, |first| first.term);
        self.last = LogPoint { position: Position { term, index: index.previous() }, chain: before };
        if self.tail.is_empty() {
            self.before_tail = Some(before);
        }
    }

    /// Forgets digests and sizes up to `index`, which is committed.
    pub(crate) fn forget_through(&mut self, index: LogIndex) {
        while self.before_tail_index() < index {
            if !self.pop_tail() {
                return;
            }
        }
    }

    /// The entries up to and including `point` are gone from the log.
    pub(crate) fn compact(&mut self, point: LogPoint) {
        assert!(self.anchor.position.index < point.position.index, "compaction moves forward");
        assert!(point.position.index <= self.last_index(), "only what is in the log is compacted");
        let (first, runs) = (point.position.index.next(), self.runs(point.position.index.next(), self.last_index()));
        self.forget_through(point.position.index);
        self.terms = runs;
        self.anchor = point;
        assert!(self.terms.first().is_none_or(|run| run.index == first), "the first run begins after the anchor");
    }

    /// A snapshot of everything up to `point` takes the place of the log.
    pub(crate) fn reset(&mut self, point: LogPoint) {
        *self = Self::new(point, point, Vec::new(), &[], self.tail_entries_max);
    }

    fn run_at(&self, index: LogIndex) -> Option<Position> {
        let runs_begun = self.terms.partition_point(|first| first.index <= index);
        self.terms.get(runs_begun.checked_sub(1)?).copied()
    }

    fn before_tail_index(&self) -> LogIndex {
        LogIndex(self.last_index().0.saturating_sub(self.tail.len() as u64))
    }

    fn push_tail(&mut self, head: &EntryHead) {
        self.tail.push_back(TailEntry { chain: head.chain, body_bytes: head.body_bytes });
        self.tail_bytes += u64::from(head.body_bytes);
        while self.tail_entries_max < self.tail.len() as u64 {
            self.pop_tail();
        }
    }

    fn pop_tail(&mut self) -> bool {
        let Some(oldest) = self.tail.pop_front() else { return false };
        self.before_tail = Some(oldest.chain);
        self.tail_bytes -= u64::from(oldest.body_bytes);
        true
    }
}

#[cfg(test)]
mod tests;
