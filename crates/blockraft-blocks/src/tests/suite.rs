//! The suite passes right stores and, the negative control, flags each wrong one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::executor::block_on;

use crate::fault::{Faults, Syncs};
use crate::suite::{self, Damage, OpenFailure, Persistence, StoreFactory, Violation};
use crate::{
    Block, BlockStore, DeleteOutcome, FaultyStore, Lookup, MemoryStore, Multihash, Page, PutOutcome, ReadError,
    WriteError,
};

/// A memory store that survives its handle, with what goes wrong in it.
struct Remembering {
    faults: Faults,
    mistake: Mistake,
}

#[async_trait]
impl StoreFactory for Remembering {
    type Place = Arc<MemoryStore>;

    fn place(&self) -> Self::Place {
        Arc::new(MemoryStore::new())
    }

    fn persistence(&self) -> Persistence {
        Persistence::Persistent
    }

    async fn open(&self, place: &Self::Place) -> Result<Arc<dyn BlockStore>, OpenFailure> {
        place.reopen();
        let faulty = FaultyStore::new(place.clone(), self.faults);
        Ok(Arc::new(WrongStore { inner: faulty, mistake: self.mistake, closed: AtomicBool::new(false) }))
    }

    async fn damage(&self, place: &Self::Place, multihash: &Multihash) -> Damage {
        assert!(place.damage(multihash));
        Damage::Done
    }

    fn cramped_place(&self) -> Option<Self::Place> {
        Some(Arc::new(MemoryStore::with_bytes_max(256 << 10)))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    None,
    SaysCreatedTwice,
    SaysDeletedTwice,
    AnswersBackwards,
    CallsDamageAbsent,
    ListsTheCursorAgain,
    EndsListingsEarly,
    CountsOneMore,
    ForgetsDeletes,
    WorksOnWhenClosed,
    RefusesDeletesWhenFull,
}

#[derive(Debug)]
struct WrongStore {
    inner: FaultyStore,
    mistake: Mistake,
    closed: AtomicBool,
}

impl WrongStore {
    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == mistake
    }
}

#[async_trait]
impl BlockStore for WrongStore {
    async fn put_many(&self, blocks: &[Block]) -> Result<Vec<PutOutcome>, WriteError> {
        if self.makes(Mistake::WorksOnWhenClosed) && self.closed.load(Ordering::SeqCst) {
            return Ok(vec![PutOutcome::Created; blocks.len()]);
        }
        let outcomes = self.inner.put_many(blocks).await;
        if matches!(outcomes, Err(WriteError::Full { .. })) && self.makes(Mistake::RefusesDeletesWhenFull) {
            self.closed.store(true, Ordering::SeqCst);
        }
        let outcomes = outcomes?;
        Ok(if self.makes(Mistake::SaysCreatedTwice) { vec![PutOutcome::Created; outcomes.len()] } else { outcomes })
    }

    async fn get_many(&self, multihashes: &[Multihash]) -> Result<Vec<Lookup>, ReadError> {
        let mut lookups = self.inner.get_many(multihashes).await?;
        if self.makes(Mistake::AnswersBackwards) {
            lookups.reverse();
        }
        if self.makes(Mistake::CallsDamageAbsent) {
            for lookup in lookups.iter_mut().filter(|lookup| **lookup == Lookup::Damaged) {
                *lookup = Lookup::Absent;
            }
        }
        Ok(lookups)
    }

    async fn stat_many(&self, multihashes: &[Multihash]) -> Result<Vec<Option<u32>>, ReadError> {
        self.inner.stat_many(multihashes).await
    }

    async fn delete_many(&self, multihashes: &[Multihash]) -> Result<Vec<DeleteOutcome>, WriteError> {
        if self.makes(Mistake::RefusesDeletesWhenFull) && self.closed.load(Ordering::SeqCst) {
            return Err(WriteError::Full { free_bytes: 0, reserve_bytes: 0 });
        }
        if self.makes(Mistake::ForgetsDeletes) {
            let present = self.inner.has_many(multihashes).await.map_err(|_| WriteError::Closed)?;
            let outcome = |present: &bool| if *present { DeleteOutcome::Deleted } else { DeleteOutcome::Absent };
            return Ok(present.iter().map(outcome).collect());
        }
        let outcomes = self.inner.delete_many(multihashes).await?;
        let deleted = vec![DeleteOutcome::Deleted; outcomes.len()];
        Ok(if self.makes(Mistake::SaysDeletedTwice) { deleted } else { outcomes })
    }

    async fn list(&self, after: Option<Multihash>, limit: usize) -> Result<Page, ReadError> {
        let mut page = self.inner.list(after, limit).await?;
        if self.makes(Mistake::ListsTheCursorAgain)
            && let Some(entry) = page.entries.first().copied()
        {
            page.entries.insert(0, entry);
        }
        if self.makes(Mistake::EndsListingsEarly) && after.is_some() {
            page.next = None;
        }
        Ok(page)
    }

    async fn count(&self) -> Result<u64, ReadError> {
        Ok(self.inner.count().await? + u64::from(self.makes(Mistake::CountsOneMore)))
    }

    async fn flush(&self) -> Result<(), WriteError> {
        self.inner.flush().await
    }

    async fn close(&self) -> Result<(), WriteError> {
        self.closed.store(true, Ordering::SeqCst);
        self.inner.close().await
    }
}

fn verdict(faults: Faults, mistake: Mistake) -> Result<(), Violation> {
    block_on(suite::run(&Remembering { faults, mistake }))
}

#[test]
fn the_memory_store_passes() {
    verdict(Faults::default(), Mistake::None).unwrap();
}

#[test]
fn every_wrong_store_is_flagged() {
    for mistake in [
        Mistake::SaysCreatedTwice,
        Mistake::SaysDeletedTwice,
        Mistake::AnswersBackwards,
        Mistake::CallsDamageAbsent,
        Mistake::ListsTheCursorAgain,
        Mistake::EndsListingsEarly,
        Mistake::CountsOneMore,
        Mistake::ForgetsDeletes,
        Mistake::WorksOnWhenClosed,
        Mistake::RefusesDeletesWhenFull,
    ] {
        assert!(verdict(Faults::default(), mistake).is_err(), "{mistake:?} was not flagged");
    }
}

#[test]
fn swallowed_syncs_are_flagged_as_loss() {
    let violation = verdict(Faults { syncs: Syncs::Swallowed, ..Faults::default() }, Mistake::None).unwrap_err();
    assert!(["any history matches a map", "what was acknowledged survives without closing"].contains(&violation.check));
}

#[test]
fn damaged_reads_and_failed_writes_are_flagged() {
    assert!(verdict(Faults { damaged_reads: 50, ..Faults::default() }, Mistake::None).is_err());
    assert!(verdict(Faults { failed_writes: 20, ..Faults::default() }, Mistake::None).is_err());
    assert!(verdict(Faults { full_puts: 50, ..Faults::default() }, Mistake::None).is_err());
}
