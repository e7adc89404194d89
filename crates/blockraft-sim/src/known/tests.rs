use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use blockraft_blocks::{Block, HashCode};
use blockraft_catalog::batch::{self, BatchLimits};
use blockraft_catalog::table::Table;
use blockraft_catalog::{Command, MemoryTable};
use blockraft_core::Restored;
use blockraft_driver::{Effect, Event, OpenGate, Replica, ReplicaOptions};
use blockraft_node::Consistency;
use blockraft_node::freshness::{Freshness, Moment};
use blockraft_node::read_course::{ReadCourse, Sight, Step, Want};
use blockraft_types::message::{AppendEntries, StreamEpoch};
use blockraft_types::{
    BodyDigest, ChainDigest, ClusterId, Entry, EntryHead, EntryKind, GroupId, Incarnation, LogIndex, Membership,
    Message, NodeId, Position, Term,
};

use super::*;

#[test]
fn every_mistake_stands_in_the_table_once() {
    let all = (Core::ALL.iter().map(|mistake| Bug::Core(*mistake)))
        .chain(Exchange::ALL.iter().map(|mistake| Bug::Exchange(*mistake)))
        .chain(Driver::ALL.iter().map(|mistake| Bug::Driver(*mistake)))
        .chain(Catalog::ALL.iter().map(|mistake| Bug::Catalog(*mistake)))
        .chain(Node::ALL.iter().map(|mistake| Bug::Node(*mistake)))
        .chain([Origin::Copy, Origin::Peer].map(Bug::Unverified));
    let all: BTreeSet<String> = all.map(Bug::name).collect();
    let mut told: Vec<String> = KNOWN.iter().map(|known| known.bug.name()).collect();
    told.sort();
    assert_eq!(told, all.into_iter().collect::<Vec<_>>());
}

#[test]
fn all_known_faults_and_ten_orders_of_events_are_covered() {
    let sources = || KNOWN.iter().map(|known| known.source).chain(BELOW.iter().map(|below| below.source));
    let faults: BTreeSet<u8> =
        sources().filter_map(|source| if let Source::Fault(number) = source { Some(number) } else { None }).collect();
    assert_eq!(faults, (1..=36).collect());
    assert!(10 <= sources().filter(|source| matches!(source, Source::Rule(_))).count());
}

/// Whether a read asks anew when its proof of freshness gave way while the copy was read.
fn asks_anew() -> bool {
    let (block, genesis) = (Block::hash(HashCode::Sha2_256, "a block"), ChainDigest::from_bytes([0; 16]));
    let table: Arc<dyn Table> = Arc::new(MemoryTable::new());
    let mut catalog = blockraft_catalog::Catalog::open(table, GroupId(0), genesis).expect("a new one");
    let put = Command::Put { multihash: *block.multihash(), length: 7, inline: None };
    let body = batch::encode([put], BatchLimits::default()).expect("one command fits");
    let position = Position { term: Term(1), index: LogIndex(1) };
    let digest = BodyDigest::of(&body);
    let head = EntryHead::chained(genesis, position, EntryKind::Command, body.len() as u32, digest);
    catalog.apply(&Entry { head, body }).expect("it is the first entry");
    let (rows, freshness) = (catalog.reader(), Freshness::new(Duration::from_millis(100)));
    let sight = |millis| Sight { rows: &rows, freshness: &freshness, now: Moment(Duration::from_millis(millis)) };
    freshness.prove(Moment(Duration::ZERO));
    let mut course = ReadCourse::new(*block.multihash(), Consistency::default(), Want::Bytes);
    assert!(matches!(course.begin(sight(50)), Ok(Step::Copy)), "the proof holds at first");
    matches!(course.copied(Some(block), sight(200)), Ok(Step::ComeUp { .. }))
}

/// Worlds take thousands of seeds for it: a delete has to be acknowledged elsewhere during just that read.
#[test]
fn a_proof_that_is_looked_at_only_once_is_noticed() {
    assert!(asks_anew());
    Node::choose(Some(Node::ProofLookedAtOnce));
    assert!(!asks_anew());
    Node::choose(None);
}

/// Whether a member stops whose log is sound, and yet another one than its leader's.
fn stops_when_contradicted() -> bool {
    let members = [1, 2, 3].map(|id| (NodeId(id), Incarnation::from_bytes([id as u8; 16])));
    let born = Restored::born(NodeId(1), ClusterId::from_bytes([1; 16]), GroupId(0), Membership::of_voters(members));
    let mut replica = Replica::new(ReplicaOptions::default(), 1, born, OpenGate).expect("nothing contradicts itself");
    let append = AppendEntries {
        term: Term(1),
        stream: StreamEpoch(1),
        prev: Position::ZERO,
        prev_chain: ChainDigest::from_bytes([9; 16]),
        heads: Vec::new(),
        leader_commit: LogIndex::ZERO,
    };
    (0..2).any(|_| {
        let message = Message::AppendEntries(append.clone());
        replica.step(Event::Received { from: NodeId(2), message, bodies: Vec::new() });
        replica.take_effects().iter().any(|effect| matches!(effect, Effect::Contradicted(_)))
    })
}

/// In worlds no log contradicts another one, unless a node makes another mistake.
#[test]
fn a_contradiction_that_is_left_at_an_alarm_is_noticed() {
    assert!(stops_when_contradicted());
    Driver::choose(Some(Driver::MismatchIgnored));
    assert!(!stops_when_contradicted());
    Driver::choose(None);
}
