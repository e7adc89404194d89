//! Random operations on several groups against the model, replayable from the seed that a violation names.

use blockraft_types::{LogIndex, Position, Term};

use super::author::{Author, ok, same};
use super::directory::{Directory, PowerCut};
use crate::batch::Batch;
use crate::chance::Chance;
use crate::state::Anchor;
use crate::store::LogStore;

pub(super) const CLAIM: &str = "random_operations_leave_what_a_plain_list_holds";

/// One seed's operations, with a look at every group after each.
pub(super) fn check(directory: &dyn Directory, seed: u64) -> Result<(), String> {
    operate(directory, seed).map_err(|what| format!("seed {seed}: {what}"))
}

fn operate(directory: &dyn Directory, seed: u64) -> Result<(), String> {
    let mut chance = Chance::new(seed);
    let mut store = directory.open();
    let mut authors = Vec::new();
    for id in 0..GROUPS {
        authors.push(Author::born(id, store.as_mut())?);
    }
    for _ in 0..OPERATIONS {
        let chosen = chance.below(authors.len() as u64) as usize;
        match chance.below(20) {
            0 => {
                drop(store);
                store = directory.open();
            }
            1 => {
                drop(store);
                // Where the power can't be cut this is one more reopening.
                let (PowerCut::Done | PowerCut::Impossible) = directory.cut_power();
                store = directory.open();
            }
            2 | 3 => compact(&mut authors[chosen], &mut chance, store.as_mut())?,
            4 => reset(&mut authors[chosen], &mut chance, store.as_mut())?,
            5 | 6 => read(&authors[chosen], &mut chance, store.as_ref())?,
            _ => persist(&mut authors, &mut chance, store.as_mut())?,
        }
        authors.iter().try_for_each(|author| author.check(store.as_ref()))?;
    }
    drop(store);
    let store = directory.open();
    authors.iter().try_for_each(|author| author.check(store.as_ref()))
}

fn persist(authors: &mut [Author], chance: &mut Chance, store: &mut dyn LogStore) -> Result<(), String> {
    let count = 1 + chance.below(5);
    let mut batches = Vec::new();
    for _ in 0..count {
        let chosen = chance.below(authors.len() as u64) as usize;
        batches.push(random_batch(&mut authors[chosen], chance));
    }
    let tickets: Vec<_> = batches.iter().map(|batch| (batch.ticket.group(), batch.ticket.number())).collect();
    let receipts = ok("persist", store.persist(batches))?;
    let receipts: Vec<_> = receipts.iter().map(|receipt| (receipt.group(), receipt.number())).collect();
    same("the receipts", &receipts, &tickets)
}

fn random_batch(author: &mut Author, chance: &mut Chance) -> Batch {
    let mut batch = author.batch();
    if chance.one_in(3) {
        let current = author.hard_state;
        let term = current.term.0 + chance.below(3);
        let kept = current.voted_for.filter(|_| term == current.term.0).map(|node| node.0);
        author.vote(&mut batch, term, kept.or_else(|| (!chance.one_in(3)).then(|| 1 + chance.below(3))));
    }
    if chance.one_in(4) {
        let kept = author.entries.len() as u64;
        let from = author.anchor.position.index.0 + 1 + chance.below(kept + 2);
        author.truncate(&mut batch, from);
    }
    for _ in 0..chance.below(7) {
        let term = author.last().position.term.0.max(1) + u64::from(chance.one_in(5));
        if chance.one_in(9) {
            author.append_membership(&mut batch, term, 1 + chance.below(5));
        } else {
            let bytes = if chance.one_in(20) { 5_000 } else { chance.below(60) };
            author.append(&mut batch, term, &vec![chance.next() as u8; bytes as usize]);
        }
    }
    batch
}

fn compact(author: &mut Author, chance: &mut Chance, store: &mut dyn LogStore) -> Result<(), String> {
    let through = chance.below(author.last_index() + 1);
    let anchor = ok("compact", store.compact(author.group, LogIndex(through)))?;
    author.compacted(through);
    same("the anchor", &anchor, &author.anchor)
}

fn reset(author: &mut Author, chance: &mut Chance, store: &mut dyn LogStore) -> Result<(), String> {
    let last = author.last();
    let index = LogIndex((last.position.index.0 + chance.below(9)).saturating_sub(3));
    let anchor = Anchor { position: Position { term: Term(last.position.term.0 + 1), index }, chain: last.chain };
    author.reset(anchor);
    ok("reset", store.reset(author.group, anchor))
}

fn read(author: &Author, chance: &mut Chance, store: &dyn LogStore) -> Result<(), String> {
    let first = author.anchor.position.index.0 + 1 + chance.below(author.entries.len() as u64 + 2);
    let last = first + chance.below(9);
    author.check_read(store, LogIndex(first), LogIndex(last), chance.below(900))
}

const OPERATIONS: u32 = 50;
const GROUPS: u32 = 3;
