//! Judges the batches of one persist call, one group at a time, before any of them is written.

use blockraft_types::LogIndex;

use crate::batch::Batch;
use crate::state::{Anchor, LogState, Misfit};

/// The log of one group as it will be once the admitted batches are written.
///
/// A store makes one from the group's present state, admits the batches in their order, writes them, and only then
/// keeps [`into_state`](Self::into_state). If it doesn't get that far it drops the admission and nothing has happened.
#[derive(Debug)]
pub struct Admission {
    state: LogState,
    /// The entries admitted and not truncated again, in order: the store can't look them up yet.
    fresh: Vec<Anchor>,
    truncated_from: Option<LogIndex>,
}

impl Admission {
    /// Begins with the group's present state.
    #[must_use]
    pub const fn new(state: LogState) -> Self {
        Self { state, fresh: Vec::new(), truncated_from: None }
    }

    /// Admits the next batch. `stored` looks up a written entry (or the anchor) by its index, at most once.
    ///
    /// # Errors
    ///
    /// The outer error is that of `stored`, the inner one says that the batch doesn't fit. Either leaves the admission
    /// half done: drop it.
    pub fn admit<E>(
        &mut self,
        batch: &Batch,
        stored: impl FnOnce(LogIndex) -> Result<Anchor, E>,
    ) -> Result<Result<(), Misfit>, E> {
        let truncation = match batch.truncate_from.map(|from| self.state.last_index_before(from)) {
            None | Some(Ok(None)) => None,
            Some(Ok(Some(index))) => Some(index),
            Some(Err(misfit)) => return Ok(Err(misfit)),
        };
        if let Some(index) = truncation {
            self.fresh.retain(|entry| entry.position.index <= index);
            let last = match self.fresh.last() {
                Some(entry) if entry.position.index == index => *entry,
                _ => stored(index)?,
            };
            self.state.truncate(last);
            let from = index.next();
            self.truncated_from = Some(self.truncated_from.map_or(from, |lowest| lowest.min(from)));
        }
        Ok(self.admit_rest(batch))
    }

    fn admit_rest(&mut self, batch: &Batch) -> Result<(), Misfit> {
        if let Some(hard_state) = batch.hard_state {
            self.state.set_hard_state(hard_state)?;
        }
        for entry in &batch.entries {
            self.state.append(entry)?;
            self.fresh.push(self.state.last);
        }
        Ok(())
    }

    /// The lowest index from which an admitted batch drops entries, if any does.
    #[must_use]
    pub const fn truncated_from(&self) -> Option<LogIndex> {
        self.truncated_from
    }

    /// The state with all admitted batches.
    #[must_use]
    pub const fn state(&self) -> &LogState {
        &self.state
    }

    /// The state with all admitted batches, to be kept once they are durable.
    #[must_use]
    pub fn into_state(self) -> LogState {
        self.state
    }
}
