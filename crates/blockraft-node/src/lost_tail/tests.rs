use std::collections::BTreeMap;

use blockraft_catalog::MemoryTable;
use blockraft_log::Anchor;
use blockraft_types::{BodyDigest, Entry, EntryHead, EntryKind, GroupId, HardState, Incarnation, LostTail};

use super::*;

const SELF: NodeId = NodeId(1);
const GENESIS: ChainDigest = ChainDigest::from_bytes([7; 16]);

fn voters(count: u64) -> Membership {
    Membership::of_voters((1..=count).map(|id| (NodeId(id), Incarnation::from_bytes([1; 16]))))
}

/// A catalog that has applied one entry of term 7.
fn catalog() -> Catalog<Arc<dyn Table>> {
    let table: Arc<dyn Table> = Arc::new(MemoryTable::new());
    let mut catalog = Catalog::open(table, GroupId(0), GENESIS).expect("a new one");
    let position = Position { term: Term(7), index: LogIndex(1) };
    let head = EntryHead::chained(GENESIS, position, EntryKind::Blank, 0, BodyDigest::of(&[]));
    catalog.apply(&Entry { head, body: bytes::Bytes::new() }).expect("it is the first entry");
    catalog
}

/// An empty log whose end is gone, in `term`.
fn cut(term: u64) -> LogState {
    let birth = Anchor { position: Position::ZERO, chain: GENESIS };
    let mut log = LogState::empty(HardState { term: Term(term), voted_for: None }, birth);
    log.lost_tail = Some(LostTail { term: Term(term), index: LogIndex(1) });
    log
}

#[test]
fn a_log_that_knows_of_an_older_term_than_the_catalog_has_lost_its_votes_too() {
    let applied = Position { term: Term(7), index: LogIndex(1) };
    let lost = LostTailError::TermLost { node: SELF, term: Term(6), applied };
    assert_eq!(examine(SELF, &cut(6), &catalog(), &voters(3)), Err(lost));
    assert_eq!(examine(SELF, &LogState { lost_tail: None, ..cut(6) }, &catalog(), &voters(3)), Err(lost));
    assert_eq!(examine(SELF, &cut(7), &catalog(), &voters(3)), Ok(()));
}

#[test]
fn the_newest_configuration_that_is_left_says_whether_the_others_are_a_quorum() {
    let none = Err(LostTailError::NoQuorum { node: SELF, lost: LogIndex(1), left: Position::ZERO });
    assert_eq!(examine(SELF, &cut(7), &catalog(), &voters(1)), none);
    assert_eq!(examine(SELF, &cut(7), &catalog(), &voters(2)), none);
    let at = Position { term: Term(7), index: LogIndex(9) };
    let shrunk = LogState { memberships: vec![(at, voters(2))], ..cut(7) };
    assert_eq!(examine(SELF, &shrunk, &catalog(), &voters(3)), none);
    let learner = Membership { learners: BTreeMap::from([(SELF, Incarnation::from_bytes([1; 16]))]), ..voters(0) };
    let learner = Membership { voters: BTreeMap::from([(NodeId(2), Incarnation::from_bytes([1; 16]))]), ..learner };
    assert_eq!(examine(SELF, &cut(7), &catalog(), &learner), Ok(()));
}

#[test]
fn a_whole_log_needs_nobody() {
    let whole = LogState { lost_tail: None, ..cut(7) };
    assert_eq!(examine(SELF, &whole, &catalog(), &voters(1)), Ok(()));
}
