//! The conformance suite: what every [`BlockStore`] must do, run against yours in about ten lines.
//!
//! ```
//! use std::sync::Arc;
//!
//! use blockraft_blocks::suite::{self, Persistence, StoreFactory};
//! use blockraft_blocks::{BlockStore, MemoryStore};
//!
//! struct InMemory;
//!
//! #[async_trait::async_trait]
//! impl StoreFactory for InMemory {
//!     type Place = ();
//!     fn place(&self) -> Self::Place {}
//!     fn persistence(&self) -> Persistence {
//!         Persistence::Volatile
//!     }
//!     async fn open(&self, _: &()) -> Result<Arc<dyn BlockStore>, suite::OpenFailure> {
//!         Ok(Arc::new(MemoryStore::new()))
//!     }
//! }
//!
//! futures::executor::block_on(suite::run(&InMemory)).unwrap();
//! ```
//!
//! The suite needs no runtime: it waits in one task, by whatever executor the caller drives it with. What it can't
//! check is a power cut; stores on disk bring tests of their own for that.

pub mod crash;

use core::fmt;
use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::{join, join_all};
use thiserror::Error;

use crate::block::Block;
use crate::hash::HashCode;
use crate::limits::BLOCK_BYTES_MAX;
use crate::multihash::Multihash;
use crate::store::{
    BlockStore, DeleteOutcome, LIST_LIMIT_MAX, Listed, Lookup, Page, PutOutcome, ReadError, WriteError,
};

/// Makes the stores that the suite checks.
#[async_trait]
pub trait StoreFactory: Send + Sync {
    /// Where one store lives: a directory, or nothing at all.
    type Place: Send + Sync;

    /// A new place that nothing was ever stored in.
    fn place(&self) -> Self::Place;

    /// Whether a place keeps its blocks while no store is open in it.
    fn persistence(&self) -> Persistence;

    /// Opens the store of `place`. Of one place the suite has at most one store open: before it opens the next one it
    /// closes the former, or only drops it, as a crash would.
    ///
    /// # Errors
    ///
    /// Whatever kept the store from opening; the suite reports it as a violation.
    async fn open(&self, place: &Self::Place) -> Result<Arc<dyn BlockStore>, OpenFailure>;

    /// Damages the stored bytes of one block behind the store's back, and tells whether that can be done at all. A
    /// store that can't be damaged skips the checks of damage.
    async fn damage(&self, _place: &Self::Place, _multihash: &Multihash) -> Damage {
        Damage::Unsupported
    }

    /// A new place with room for between 64 KiB and 32 MiB, if there are such; the checks of a full place need one.
    fn cramped_place(&self) -> Option<Self::Place> {
        None
    }
}

/// Whether a place remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// It does: what was acknowledged is there when the place is opened again.
    Persistent,
    /// It doesn't.
    Volatile,
}

/// Whether [`StoreFactory::damage`] damaged anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The block's bytes are wrong now.
    Done,
    /// This factory can't damage blocks.
    Unsupported,
}

/// Why a store under test didn't open.
pub type OpenFailure = Box<dyn StdError + Send + Sync>;

/// A promise of the seam that the store under test broke.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{check}: {found}")]
pub struct Violation {
    /// The claim that was checked.
    pub check: &'static str,
    /// What was seen instead.
    pub found: String,
}

/// Runs all checks, each in a new place.
///
/// # Errors
///
/// The first [`Violation`].
pub async fn run<F: StoreFactory>(factory: &F) -> Result<(), Violation> {
    let name = |check| move |Broken(found)| Violation { check, found };
    blocks_of_every_hash_come_back(factory).await.map_err(name("blocks of every hash come back"))?;
    nothing_is_there_before_it_was_put(factory).await.map_err(name("nothing is there before it was put"))?;
    a_deleted_block_is_gone(factory).await.map_err(name("a deleted block is gone"))?;
    answers_come_in_the_order_asked(factory).await.map_err(name("answers come in the order asked"))?;
    pages_hold_each_block_once_in_order(factory).await.map_err(name("pages hold each block once, in order"))?;
    a_listing_outlives_deletes(factory).await.map_err(name("a listing outlives deletes"))?;
    puts_at_the_same_time_store_once(factory).await.map_err(name("puts at the same time store once"))?;
    puts_and_deletes_take_effect_in_some_order(factory)
        .await
        .map_err(name("puts and deletes at the same time take effect in some order"))?;
    an_abandoned_put_harms_nobody(factory).await.map_err(name("an abandoned put harms nobody"))?;
    an_oversized_block_is_refused(factory).await.map_err(name("an oversized block is refused"))?;
    a_closed_store_says_so(factory).await.map_err(name("a closed store says so"))?;
    any_history_matches_a_map(factory).await.map_err(name("any history matches a map"))?;
    damage_is_told_and_repaired(factory).await.map_err(name("damage is told and repaired by a put"))?;
    a_full_place_refuses_puts_alone(factory).await.map_err(name("a full place refuses puts alone"))?;
    if factory.persistence() == Persistence::Persistent {
        what_was_acknowledged_survives(factory, Ending::Closed)
            .await
            .map_err(name("what was acknowledged survives closing"))?;
        what_was_acknowledged_survives(factory, Ending::Dropped)
            .await
            .map_err(name("what was acknowledged survives without closing"))?;
    }
    Ok(())
}

/// What was seen instead of the promise.
struct Broken(String);

type Checked = Result<(), Broken>;

async fn blocks_of_every_hash_come_back<F: StoreFactory>(factory: &F) -> Checked {
    let (_place, store) = fresh(factory).await?;
    for hash in HashCode::ALL {
        for length in [0, 1, 511, 4_096, 300_000] {
            let block = Block::hash(hash, filler(length, length as u64));
            let multihash = *block.multihash();
            same("first put", store.put(block.clone()).await?, PutOutcome::Created)?;
            same("second put", store.put(block.clone()).await?, PutOutcome::AlreadyPresent)?;
            same("stat", store.stat(multihash).await?, Some(length as u32))?;
            same("has", store.has(multihash).await?, true)?;
            same("get", store.get(multihash).await?, Lookup::Present(block))?;
        }
    }
    same("count", store.count().await?, 25)
}

async fn nothing_is_there_before_it_was_put<F: StoreFactory>(factory: &F) -> Checked {
    let (_place, store) = fresh(factory).await?;
    let absent = *numbered(1).multihash();
    same("get", store.get(absent).await?, Lookup::Absent)?;
    same("stat", store.stat(absent).await?, None)?;
    same("has", store.has(absent).await?, false)?;
    same("delete", store.delete(absent).await?, DeleteOutcome::Absent)?;
    same("count", store.count().await?, 0)?;
    same("list", store.list(None, 10).await?, Page::default())?;
    same("list behind a block", store.list(Some(absent), 10).await?, Page::default())
}

async fn a_deleted_block_is_gone<F: StoreFactory>(factory: &F) -> Checked {
    let (_place, store) = fresh(factory).await?;
    let (gone, kept) = (numbered(1), numbered(2));
    store.put_many(&[gone.clone(), kept.clone()]).await?;
    for _ in 0..3 {
        same("delete", store.delete(*gone.multihash()).await?, DeleteOutcome::Deleted)?;
        same("delete again", store.delete(*gone.multihash()).await?, DeleteOutcome::Absent)?;
        same("get", store.get(*gone.multihash()).await?, Lookup::Absent)?;
        same("has", store.has(*gone.multihash()).await?, false)?;
        same("count", store.count().await?, 1)?;
        same("get another", store.get(*kept.multihash()).await?, Lookup::Present(kept.clone()))?;
        same("put again", store.put(gone.clone()).await?, PutOutcome::Created)?;
        same("get again", store.get(*gone.multihash()).await?, Lookup::Present(gone.clone()))?;
    }
    Ok(())
}

async fn answers_come_in_the_order_asked<F: StoreFactory>(factory: &F) -> Checked {
    let (_place, store) = fresh(factory).await?;
    let (a, b, absent) = (numbered(1), numbered(2), *numbered(3).multihash());
    let put = store.put_many(&[b.clone(), a.clone(), b.clone()]).await?;
    same("put_many", put, vec![PutOutcome::Created, PutOutcome::Created, PutOutcome::AlreadyPresent])?;
    let (a_name, b_name) = (*a.multihash(), *b.multihash());
    let got = store.get_many(&[a_name, absent, b_name, a_name]).await?;
    let expected = vec![Lookup::Present(a.clone()), Lookup::Absent, Lookup::Present(b), Lookup::Present(a)];
    same("get_many", got, expected)?;
    same("has_many", store.has_many(&[absent, b_name]).await?, vec![false, true])?;
    let deleted = store.delete_many(&[absent, a_name, a_name]).await?;
    same("delete_many", deleted, vec![DeleteOutcome::Absent, DeleteOutcome::Deleted, DeleteOutcome::Absent])?;
    same(
        "stat_many",
        store.stat_many(&[a_name, b_name]).await?.iter().map(Option::is_some).collect(),
        vec![false, true],
    )?;
    same("put of nothing", store.put_many(&[]).await?, vec![])?;
    same("get of nothing", store.get_many(&[]).await?, vec![])?;
    same("delete of nothing", store.delete_many(&[]).await?, vec![])
}

async fn pages_hold_each_block_once_in_order<F: StoreFactory>(factory: &F) -> Checked {
    let (_place, store) = fresh(factory).await?;
    let hashes = HashCode::ALL.into_iter().cycle();
    let blocks: Vec<Block> = (0..1_203).zip(hashes).map(|(n, hash)| Block::hash(hash, format!("{n}"))).collect();
    store.put_many(&blocks).await?;
    let mut expected: Vec<Listed> = blocks.iter().map(listed).collect();
    expected.sort_unstable();
    for limit in [100, 1_203, LIST_LIMIT_MAX, usize::MAX] {
        let most = limit.min(LIST_LIMIT_MAX);
        let mut seen = Vec::new();
        let mut next = None;
        loop {
            let page = store.list(next, limit).await?;
            ensure(page.entries.len() <= most, "a page is no longer than its limit")?;
            ensure(page.next.is_none() || page.entries.len() == most, "only the last page is short")?;
            seen.extend(page.entries);
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        ensure(seen == expected, "all pages together hold each block once, in order")?;
    }
    let first = expected.first().map(|listed| listed.multihash);
    let page = store.list(None, 0).await?;
    same("a limit of 0 means 1", page.entries.len(), 1)?;
    same("the cursor is the last entry", page.next, first)?;
    let behind = store.list(expected.last().map(|listed| listed.multihash), 5).await?;
    same("behind the last block", behind, Page::default())?;
    same("count", store.count().await?, 1_203)
}

async fn a_listing_outlives_deletes<F: StoreFactory>(factory: &F) -> Checked {
    let (_place, store) = fresh(factory).await?;
    store.put_many(&(0..40).map(numbered).collect::<Vec<_>>()).await?;
    let mut kept = 0;
    let mut next = None;
    loop {
        let page = store.list(next, 4).await?;
        kept += page.entries.len();
        next = page.next;
        let Some(cursor) = next else { break };
        store.delete(cursor).await?;
    }
    same("blocks listed", kept, 40)?;
    same("count", store.count().await?, 31)
}

async fn puts_at_the_same_time_store_once<F: StoreFactory>(factory: &F) -> Checked {
    let (_place, store) = fresh(factory).await?;
    let one = numbered(7);
    let outcomes = join_all((0..24).map(|_| store.put(one.clone()))).await;
    let outcomes = outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
    let created = outcomes.iter().filter(|outcome| **outcome == PutOutcome::Created).count();
    same("puts of one block that created it", created, 1)?;
    let many = join_all((100..200).map(|n| store.put(numbered(n)))).await;
    let many = many.into_iter().collect::<Result<Vec<_>, _>>()?;
    ensure(many.iter().all(|outcome| *outcome == PutOutcome::Created), "different blocks are all created")?;
    same("count", store.count().await?, 101)?;
    for n in 100..200 {
        same("get", store.get(*numbered(n).multihash()).await?, Lookup::Present(numbered(n)))?;
    }
    Ok(())
}

async fn puts_and_deletes_take_effect_in_some_order<F: StoreFactory>(factory: &F) -> Checked {
    let (_place, store) = fresh(factory).await?;
    for round in 0..8 {
        let block = numbered(round);
        let puts = join_all((0..6).map(|_| store.put(block.clone())));
        let deletes = join_all((0..6).map(|_| store.delete(*block.multihash())));
        let (puts, deletes) = join(puts, deletes).await;
        let puts = puts.into_iter().collect::<Result<Vec<_>, _>>()?;
        let deletes = deletes.into_iter().collect::<Result<Vec<_>, _>>()?;
        let created = puts.iter().filter(|outcome| **outcome == PutOutcome::Created).count();
        let deleted = deletes.iter().filter(|outcome| **outcome == DeleteOutcome::Deleted).count();
        let present = store.has(*block.multihash()).await?;
        same("creations are deletions, and what is left", created, deleted + usize::from(present))?;
    }
    Ok(())
}

async fn an_abandoned_put_harms_nobody<F: StoreFactory>(factory: &F) -> Checked {
    let (_place, store) = fresh(factory).await?;
    for n in 0..20 {
        // Polled once, then dropped: begun or even done, but nobody waits for it.
        let _ = store.put(numbered(n)).now_or_never();
        store.put(numbered(n)).await?;
        same("get", store.get(*numbered(n).multihash()).await?, Lookup::Present(numbered(n)))?;
    }
    same("count", store.count().await?, 20)
}

async fn an_oversized_block_is_refused<F: StoreFactory>(factory: &F) -> Checked {
    let (_place, store) = fresh(factory).await?;
    let oversized = Block::hash(HashCode::Blake3, vec![0; BLOCK_BYTES_MAX as usize + 1]);
    let put = store.put(oversized.clone()).await;
    ensure(matches!(put, Err(WriteError::TooLarge(_))), "the answer is `TooLarge`")?;
    same("get", store.get(*oversized.multihash()).await?, Lookup::Absent)?;
    same("the next put", store.put(numbered(1)).await?, PutOutcome::Created)
}

async fn a_closed_store_says_so<F: StoreFactory>(factory: &F) -> Checked {
    let (_place, store) = fresh(factory).await?;
    let block = numbered(1);
    store.put(block.clone()).await?;
    store.flush().await?;
    store.close().await?;
    store.close().await?;
    let write = store.put(block.clone()).await;
    ensure(matches!(write, Err(WriteError::Closed)), "a put after close answers `Closed`")?;
    let delete = store.delete(*block.multihash()).await;
    ensure(matches!(delete, Err(WriteError::Closed)), "a delete after close answers `Closed`")?;
    let read = store.get(*block.multihash()).await;
    ensure(matches!(read, Err(ReadError::Closed)), "a get after close answers `Closed`")?;
    let list = store.list(None, 1).await;
    ensure(matches!(list, Err(ReadError::Closed)), "a list after close answers `Closed`")
}

async fn any_history_matches_a_map<F: StoreFactory>(factory: &F) -> Checked {
    let place = factory.place();
    let mut store = factory.open(&place).await?;
    let mut model: BTreeMap<Multihash, Block> = BTreeMap::new();
    let mut chance = 7u64;
    for _ in 0..400 {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let block = numbered((chance >> 33) % 24);
        let multihash = *block.multihash();
        match (chance >> 59) % 8 {
            0..=3 => {
                let expected = match model.insert(multihash, block.clone()) {
                    Some(_) => PutOutcome::AlreadyPresent,
                    None => PutOutcome::Created,
                };
                same("put", store.put(block).await?, expected)?;
            }
            4 | 5 => {
                let expected = match model.remove(&multihash) {
                    Some(_) => DeleteOutcome::Deleted,
                    None => DeleteOutcome::Absent,
                };
                same("delete", store.delete(multihash).await?, expected)?;
            }
            6 => {
                let expected = model.get(&multihash).map_or(Lookup::Absent, |block| Lookup::Present(block.clone()));
                same("get", store.get(multihash).await?, expected)?;
            }
            _ => {
                same("list", store.list(None, 100).await?.entries, model.values().map(listed).collect())?;
                same("count", store.count().await?, model.len() as u64)?;
                if factory.persistence() == Persistence::Persistent && (chance >> 40).is_multiple_of(4) {
                    end(store, Ending::Dropped).await?;
                    store = factory.open(&place).await?;
                }
            }
        }
    }
    Ok(())
}

async fn damage_is_told_and_repaired<F: StoreFactory>(factory: &F) -> Checked {
    let place = factory.place();
    let store = factory.open(&place).await?;
    let blocks: Vec<Block> = (0..5).map(numbered).collect();
    store.put_many(&blocks).await?;
    let damaged = numbered(2);
    if factory.damage(&place, damaged.multihash()).await == Damage::Unsupported {
        return Ok(());
    }
    same("get", store.get(*damaged.multihash()).await?, Lookup::Damaged)?;
    same("get of another", store.get(*numbered(3).multihash()).await?, Lookup::Present(numbered(3)))?;
    same("put of the right bytes", store.put(damaged.clone()).await?, PutOutcome::Created)?;
    same("get after repair", store.get(*damaged.multihash()).await?, Lookup::Present(damaged.clone()))?;
    same("count", store.count().await?, 5)?;
    if factory.persistence() == Persistence::Persistent {
        end(store, Ending::Closed).await?;
        let store = factory.open(&place).await?;
        same("get after reopening", store.get(*damaged.multihash()).await?, Lookup::Present(damaged))?;
    }
    Ok(())
}

async fn a_full_place_refuses_puts_alone<F: StoreFactory>(factory: &F) -> Checked {
    let Some(place) = factory.cramped_place() else { return Ok(()) };
    let store = factory.open(&place).await?;
    let bulky = |n: u64| Block::hash(HashCode::Blake3, filler(16 << 10, n));
    let mut stored = 0;
    loop {
        ensure(stored < 4_096, "a cramped place is full before 64 MiB")?;
        match store.put(bulky(stored)).await {
            Ok(_) => stored += 1,
            Err(WriteError::Full { .. }) => break,
            Err(other) => return Err(other.into()),
        }
    }
    ensure(stored > 0, "a cramped place takes at least one block")?;
    same("a block stored before", store.get(*bulky(0).multihash()).await?, Lookup::Present(bulky(0)))?;
    same("the block refused", store.get(*bulky(stored).multihash()).await?, Lookup::Absent)?;
    for n in 0..stored {
        same("delete while full", store.delete(*bulky(n).multihash()).await?, DeleteOutcome::Deleted)?;
    }
    store.flush().await?;
    same("put once there is room", store.put(bulky(0)).await?, PutOutcome::Created)
}

async fn what_was_acknowledged_survives<F: StoreFactory>(factory: &F, ending: Ending) -> Checked {
    let place = factory.place();
    for round in 0..4 {
        let store = factory.open(&place).await?;
        for earlier in 0..round {
            let (kept, gone) = (numbered(2 * earlier), numbered(2 * earlier + 1));
            same("a kept block", store.get(*kept.multihash()).await?, Lookup::Present(kept))?;
            same("a deleted block", store.get(*gone.multihash()).await?, Lookup::Absent)?;
        }
        same("count", store.count().await?, round)?;
        store.put_many(&[numbered(2 * round), numbered(2 * round + 1)]).await?;
        store.delete(*numbered(2 * round + 1).multihash()).await?;
        end(store, ending).await?;
    }
    Ok(())
}

/// How a store's life ends.
#[derive(Clone, Copy)]
enum Ending {
    Closed,
    Dropped,
}

async fn end(store: Arc<dyn BlockStore>, ending: Ending) -> Checked {
    if let Ending::Closed = ending {
        store.close().await?;
    }
    drop(store);
    Ok(())
}

/// A store in a new place; the place must outlive it.
async fn fresh<F: StoreFactory>(factory: &F) -> Result<(F::Place, Arc<dyn BlockStore>), Broken> {
    let place = factory.place();
    let store = factory.open(&place).await?;
    Ok((place, store))
}

fn numbered(n: u64) -> Block {
    Block::hash(HashCode::Sha2_256, filler(40 + 37 * (n as usize % 60), n))
}

fn filler(length: usize, seed: u64) -> Vec<u8> {
    let pattern = seed.to_le_bytes();
    (0..length).zip(pattern.iter().cycle()).map(|(n, byte)| byte ^ (n / 8) as u8).collect()
}

fn listed(block: &Block) -> Listed {
    Listed { multihash: *block.multihash(), length: block.bytes().len() as u32 }
}

fn same<T: PartialEq + fmt::Debug>(what: &str, found: T, expected: T) -> Checked {
    if found == expected {
        return Ok(());
    }
    Err(Broken(format!("{what}: found {found:?}, expected {expected:?}")))
}

fn ensure(holds: bool, claim: &str) -> Checked {
    if holds { Ok(()) } else { Err(Broken(format!("it doesn't hold that {claim}"))) }
}

impl From<WriteError> for Broken {
    fn from(error: WriteError) -> Self {
        Self(format!("a write failed: {error}"))
    }
}

impl From<ReadError> for Broken {
    fn from(error: ReadError) -> Self {
        Self(format!("a read failed: {error}"))
    }
}

impl From<OpenFailure> for Broken {
    fn from(error: OpenFailure) -> Self {
        Self(format!("the store did not open: {error}"))
    }
}
