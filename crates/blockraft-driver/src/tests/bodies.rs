//! Which bodies stay in memory.

use blockraft_types::{BodyDigest, Entry, EntryHead, EntryKind, LogIndex, Position, Term};
use bytes::Bytes;

use crate::body_cache::BodyCache;
use crate::tests::cluster::{birth, membership};

fn entry(term: u64, index: u64) -> Entry {
    let body = Bytes::from(vec![0; 10]);
    let position = Position { term: Term(term), index: LogIndex(index) };
    let chain = birth(&membership(1)).chain;
    let head = EntryHead::chained(chain, position, EntryKind::Command, 10, BodyDigest::of(&body));
    Entry { head, body }
}

fn filled(entries: u64) -> BodyCache {
    let mut cache = BodyCache::new(30, 100);
    for index in 1..=entries {
        assert!(cache.push(entry(1, index)).is_empty());
    }
    cache
}

fn indexes(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.head.position.index.0).collect()
}

#[test]
fn what_is_not_durable_stays_whatever_its_size() {
    let mut cache = filled(10);
    cache.evict(LogIndex(2));
    assert!(cache.get(LogIndex(2)).is_none());
    assert!((3..=10).all(|index| cache.get(LogIndex(index)).is_some()));
    cache.evict(LogIndex(10));
    assert!(cache.get(LogIndex(7)).is_none());
    assert!((8..=10).all(|index| cache.get(LogIndex(index)).is_some()), "the window keeps 30 bytes");
}

#[test]
fn a_run_ends_at_the_bytes_it_may_take_and_has_one_entry_at_least() {
    let cache = filled(5);
    let run = |first, last, bytes_max| cache.run(LogIndex(first), LogIndex(last), bytes_max);
    assert_eq!(indexes(&run(2, 4, 1_000).unwrap()), [2, 3, 4]);
    assert_eq!(indexes(&run(2, 4, 20).unwrap()), [2, 3]);
    assert_eq!(indexes(&run(2, 4, 1).unwrap()), [2]);
    assert!(run(6, 9, 1_000).is_none());
}

#[test]
fn an_entry_of_another_leader_takes_the_place_of_what_stood_there_and_after() {
    let mut cache = filled(5);
    assert_eq!(indexes(&cache.push(entry(2, 3))), [3, 4, 5]);
    assert_eq!(cache.get(LogIndex(3)).unwrap().head.position.term, Term(2));
    assert!(cache.get(LogIndex(4)).is_none());
}
