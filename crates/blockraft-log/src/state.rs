//! The picture of one group's log without its bodies: where it begins and ends, its terms, its configurations.
//!
//! Every store keeps one per group and lets it judge each change before anything is written, so that all stores refuse
//! the same mistakes with the same words.

use blockraft_types::{ChainDigest, Entry, EntryKind, HardState, LogIndex, LostTail, Membership, Position, Term};
use thiserror::Error;

/// A place in a log together with the chain digest there: enough to verify what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Anchor {
    /// Term and index.
    pub position: Position,
    /// The chain digest over everything up to and including `position`.
    pub chain: ChainDigest,
}

/// One group's log as [`LogStore::load`](crate::LogStore::load) finds it.
///
/// Invariants: `anchor.position.index <= last.position.index`; `terms` and `memberships` name only indexes in
/// `anchor.position.index + 1 ..= last.position.index`, in rising order; terms never fall along the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogState {
    /// The newest durable hard state.
    pub hard_state: HardState,
    /// The compacted end: the place before the first entry that is still here.
    pub anchor: Anchor,
    /// The last entry, or the anchor if there is none.
    pub last: Anchor,
    /// The first position of each term among the entries that are still here.
    pub terms: Vec<Position>,
    /// The configurations among the entries that are still here. The one in force at the anchor is not the log's to
    /// know: it stands in the data directory at birth, and in the state machine's snapshot afterwards.
    pub memberships: Vec<(Position, Membership)>,
    /// What the log has lost at its end and doesn't hold again. Remembered across restarts until it does.
    pub lost_tail: Option<LostTail>,
}

/// A change that doesn't fit the log it was meant for. The caller has a bug; nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Misfit {
    /// The hard state would go back: a lower term, or another vote in the same term.
    #[error("hard state {next:?} can't follow {current:?}")]
    HardStateRegressed {
        /// What the log holds.
        current: HardState,
        /// What was offered.
        next: HardState,
    },
    /// The truncation reaches into what is already compacted, hence committed.
    #[error("truncation from {from} reaches into the log compacted up to {anchor}")]
    TruncatesCompacted {
        /// The first index to drop.
        from: LogIndex,
        /// The compacted end.
        anchor: Position,
    },
    /// The entry isn't the next one: a gap, an overlap, or a term that falls.
    #[error("entry {position} can't follow {last}")]
    OutOfOrder {
        /// The entry offered.
        position: Position,
        /// The last one before it.
        last: Position,
    },
    /// The entry's chain digest isn't that of a successor of the last entry.
    #[error("entry {position} doesn't continue the digest chain of {last}")]
    BreaksChain {
        /// The entry offered.
        position: Position,
        /// The last one before it.
        last: Position,
    },
    /// The entry's body isn't the one that its head describes.
    #[error("the body of entry {position} isn't the one its head describes")]
    ForeignBody {
        /// The entry offered.
        position: Position,
    },
}

impl LogState {
    /// A log without entries that begins after `anchor`.
    #[must_use]
    pub const fn empty(hard_state: HardState, anchor: Anchor) -> Self {
        Self { hard_state, anchor, last: anchor, terms: Vec::new(), memberships: Vec::new(), lost_tail: None }
    }

    /// Whether an entry with this index is here.
    #[must_use]
    pub fn holds(&self, index: LogIndex) -> bool {
        self.anchor.position.index < index && index <= self.last.position.index
    }

    /// The term of the entry with this index, or of the anchor; `None` for what is compacted or not yet here.
    #[must_use]
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index == self.anchor.position.index {
            return Some(self.anchor.position.term);
        }
        if !self.holds(index) {
            return None;
        }
        let after = self.terms.partition_point(|first| first.index <= index);
        self.terms.get(after.checked_sub(1)?).map(|first| first.term)
    }

    /// Drops all entries and begins after `anchor`.
    pub fn reset(&mut self, anchor: Anchor) {
        *self = Self { lost_tail: self.lost_tail, ..Self::empty(self.hard_state, anchor) };
        self.make_good(anchor.position.term);
    }

    /// Notes that entries up to `index`, at least, were durable and are gone. The hard state isn't.
    pub fn lose_tail(&mut self, index: LogIndex) {
        let before = self.lost_tail.map_or(LogIndex::ZERO, |lost| lost.index);
        self.lost_tail = Some(LostTail { term: self.hard_state.term, index: index.max(before) });
    }

    fn make_good(&mut self, term: Term) {
        self.lost_tail.take_if(|lost| lost.is_made_good_by(term));
    }

    /// Takes the next hard state.
    ///
    /// # Errors
    ///
    /// [`Misfit::HardStateRegressed`] if the term falls or the vote of a term changes.
    pub fn set_hard_state(&mut self, next: HardState) -> Result<(), Misfit> {
        let current = self.hard_state;
        let same_term = current.term == next.term;
        let vote_kept = current.voted_for.is_none() || current.voted_for == next.voted_for;
        if next.term < current.term || (same_term && !vote_kept) {
            return Err(Misfit::HardStateRegressed { current, next });
        }
        self.hard_state = next;
        Ok(())
    }

    /// Whether a truncation from `from` is allowed, and if it drops anything, the index of the entry (or anchor) that
    /// becomes the last one: the store looks its chain digest up and calls [`truncate`](Self::truncate).
    ///
    /// # Errors
    ///
    /// [`Misfit::TruncatesCompacted`].
    pub fn last_index_before(&self, from: LogIndex) -> Result<Option<LogIndex>, Misfit> {
        if from <= self.anchor.position.index {
            return Err(Misfit::TruncatesCompacted { from, anchor: self.anchor.position });
        }
        Ok(self.holds(from).then(|| from.previous()))
    }

    /// Drops everything after `last`.
    ///
    /// # Panics
    ///
    /// If `last` isn't an entry of this log or its anchor.
    pub fn truncate(&mut self, last: Anchor) {
        let index = last.position.index;
        assert_eq!(self.term_at(index), Some(last.position.term), "a truncation ends at an entry of the log");
        self.terms.truncate(self.terms.partition_point(|first| first.index <= index));
        self.memberships.truncate(self.memberships.partition_point(|(position, _)| position.index <= index));
        self.last = last;
    }

    /// Takes the next entry.
    ///
    /// # Errors
    ///
    /// [`Misfit::OutOfOrder`], [`Misfit::BreaksChain`] and [`Misfit::ForeignBody`].
    pub fn append(&mut self, entry: &Entry) -> Result<(), Misfit> {
        let head = &entry.head;
        let (position, last) = (head.position, self.last.position);
        let in_order = last.index < position.index && position.index == last.index.next() && last.term <= position.term;
        if !in_order {
            return Err(Misfit::OutOfOrder { position, last });
        }
        if !head.follows(self.last.chain) {
            return Err(Misfit::BreaksChain { position, last });
        }
        if !entry.body_matches_head() {
            return Err(Misfit::ForeignBody { position });
        }
        if self.terms.last().is_none_or(|first| first.term < position.term) {
            self.terms.push(position);
        }
        if let EntryKind::Membership(membership) = &head.kind {
            self.memberships.push((position, (**membership).clone()));
        }
        self.last = Anchor { position, chain: head.chain };
        self.make_good(position.term);
        Ok(())
    }

    /// Moves the compacted end to `anchor`.
    ///
    /// # Panics
    ///
    /// If `anchor` isn't an entry of this log.
    pub fn compact(&mut self, anchor: Anchor) {
        let index = anchor.position.index;
        assert_eq!(self.term_at(index), Some(anchor.position.term), "a compaction ends at an entry of the log");
        let term_after = self.term_at(index.next());
        self.terms.retain(|first| index < first.index);
        let next = term_after.map(|term| Position { term, index: index.next() });
        if let Some(next) = next.filter(|next| self.terms.first() != Some(next)) {
            self.terms.insert(0, next);
        }
        self.memberships.retain(|(position, _)| index < position.index);
        self.anchor = anchor;
    }
}
