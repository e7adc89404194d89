use blockraft_blocks::HashCode;
use blockraft_exchange::{Config, Identity};
use blockraft_types::{BootNonce, Incarnation, NodeId, Term};

use super::*;

fn gate(inline: &Arc<InlinePending>) -> NodeGate {
    let identity = Identity { node: NodeId(1), incarnation: Incarnation::from_bytes([1; 16]), boot: BootNonce(1) };
    let mut exchange = Exchange::new(identity, Config::for_ticks_of(10)).expect("the default bounds fit together");
    exchange.step(Input::ReplayFinished { applied: LogIndex::ZERO });
    let (effects, _) = mpsc::unbounded_channel();
    let (status, _) = watch::channel(exchange.status());
    NodeGate::new(exchange, LogIndex(3), Arc::clone(inline), effects, status)
}

/// The driver hears that entry 4 is applied before the data plane hears of the body that rode in it: a compaction in
/// between would drop the only durable copy.
#[test]
fn the_log_isnt_compacted_beyond_what_the_data_plane_was_told_of_applying() {
    let mut gate = gate(&Arc::new(InlinePending::new(1_000)));
    assert_eq!(gate.compaction_floor(), LogIndex(3));
    gate.observe(LogEvent::Applied { through: LogIndex(4) });
    assert_eq!(gate.compaction_floor(), LogIndex(3));

    let block = Block::hash(HashCode::Sha2_256, vec![7; 100]);
    let name = *block.multihash();
    let index = LogIndex(4);
    assert_eq!(gate.handle(Input::InlineApplied { index, payload: BlockPayload(block) }), GateChanges::default());
    assert_eq!(gate.handle(Input::Applied { index, created: vec![name], deleted: vec![] }), GateChanges::default());
    assert_eq!(gate.compaction_floor(), LogIndex(3));
    assert_eq!(gate.handle(Input::Stored { name, result: Ok(()) }), GateChanges::default());
    assert_eq!(gate.compaction_floor(), LogIndex(4));
}

/// A driver that ends waits for its apply thread, which waits for a store that nobody asks any more.
#[test]
fn the_end_of_the_loop_ends_the_wait_for_room() {
    let inline = Arc::new(InlinePending::new(0));
    let block = Block::hash(HashCode::Sha2_256, vec![7; 100]);
    inline.add(LogIndex(1), &block);
    let (apply, gate) = (Arc::clone(&inline), gate(&inline));
    let (done, went_on) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        apply.wait_for_room();
        done.send(()).expect("the test waits");
    });
    drop(gate);
    went_on.recv_timeout(core::time::Duration::from_secs(10)).expect("the apply thread goes on");
}

#[test]
fn an_old_leaders_entry_is_dropped_without_the_one_that_took_its_place() {
    let mut gate = gate(&Arc::new(InlinePending::new(1_000)));
    let block = Block::hash(HashCode::Sha2_256, vec![7; 10_000]);
    let (name, length) = (*block.multihash(), 10_000);
    gate.exchange.step(Input::InlineApplied { index: LogIndex(1), payload: BlockPayload(block) });
    gate.exchange.step(Input::Stored { name, result: Ok(()) });
    let put = Command::Put { multihash: name, length, inline: None };
    let body = batch::encode([put], batch::BatchLimits::default()).expect("one put fits");
    let entry = |term| {
        let position = Position { term: Term(term), index: LogIndex(4) };
        let digest = BodyDigest::of(&body);
        let head = blockraft_types::EntryHead::chained(
            blockraft_types::ChainDigest::from_bytes([0; 16]),
            position,
            EntryKind::Command,
            body.len() as u32,
            digest,
        );
        Entry { head, body: body.clone() }
    };
    assert_eq!(gate.admit(&[entry(1)]), 1);
    assert_eq!(gate.admit(&[entry(2)]), 1);
    gate.observe(LogEvent::Dropped { entries: &[entry(1)] });
    assert_eq!(gate.exchange.status().leases.gate, 1);
    gate.observe(LogEvent::Appended { entries: &[entry(2)] });
    assert_eq!(gate.exchange.status().leases.gate, 0);
}

fn put(seed: u8) -> (Block, Command) {
    let block = Block::hash(HashCode::Sha2_256, vec![seed; 100]);
    let command = Command::Put { multihash: *block.multihash(), length: 100, inline: Some(block.bytes().clone()) };
    (block, command)
}

fn batch_of(command: Command) -> Bytes {
    batch::encode([command], batch::BatchLimits::default()).expect("one command fits")
}

fn entry_of(index: u64, command: Command) -> Entry {
    entry_with(index, batch_of(command))
}

fn entry_with(index: u64, body: Bytes) -> Entry {
    let position = Position { term: Term(1), index: LogIndex(index) };
    let (chain, digest) = (blockraft_types::ChainDigest::from_bytes([0; 16]), BodyDigest::of(&body));
    let head = blockraft_types::EntryHead::chained(chain, position, EntryKind::Command, body.len() as u32, digest);
    Entry { head, body }
}

/// Entry 4 put a small block, was applied, and the store had no room for its body.
fn full_gate(inline: &Arc<InlinePending>, inline_bytes_max: u64) -> (NodeGate, Multihash) {
    let mut gate = gate(inline);
    gate.exchange = {
        let identity = Identity { node: NodeId(1), incarnation: Incarnation::from_bytes([1; 16]), boot: BootNonce(1) };
        Exchange::new(identity, Config { inline_bytes_max, ..Config::for_ticks_of(10) })
            .expect("the bounds fit together")
    };
    let (block, _) = put(1);
    let name = *block.multihash();
    gate.step(Input::InlineApplied { index: LogIndex(4), payload: BlockPayload(block) });
    gate.step(Input::Stored { name, result: Err(blockraft_exchange::input::StoreFailure::Full) });
    (gate, name)
}

#[test]
fn a_leader_whose_store_is_full_refuses_small_puts_and_takes_deletes() {
    let (mut gate, name) = full_gate(&Arc::new(InlinePending::new(1_000)), 1_000);
    let admission = gate.admit_proposal(ProposalTicket(1), &batch_of(put(2).1));
    assert_eq!(admission, Admission::Refuse(GateRefusal::NoRoom));
    let admission = gate.admit_proposal(ProposalTicket(2), &batch_of(Command::Delete { multihash: name }));
    assert_eq!(admission, Admission::Enter);
}

/// Applying them would take more and more memory, or stand still before the delete that makes room.
#[test]
fn a_follower_whose_store_is_full_lets_bodies_wait_in_front_of_its_log() {
    let (mut gate, name) = full_gate(&Arc::new(InlinePending::new(1_000)), 50);
    let (delete, put) = (entry_of(5, Command::Delete { multihash: name }), entry_of(6, put(2).1));
    assert_eq!(gate.admit(&[delete, put.clone()]), 1);
    assert_eq!(gate.tick().held, HeldChange::Unchanged);
    (0..100).for_each(|_| drop(gate.tick()));
    gate.step(Input::Stored { name, result: Ok(()) });
    assert_eq!(gate.tick().held, HeldChange::Recheck);
    assert_eq!(gate.admit(&[put]), 1);
}

#[test]
fn applying_never_waits_for_a_full_store() {
    let inline = Arc::new(InlinePending::new(0));
    inline.add(LogIndex(4), &put(1).0);
    let (mut gate, _) = full_gate(&inline, 1_000);
    let apply = Arc::clone(&inline);
    let (done, went_on) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        apply.wait_for_room();
        done.send(()).expect("the test waits");
    });
    drop(gate.tick());
    went_on.recv_timeout(core::time::Duration::from_secs(10)).expect("the apply thread goes on");
}

/// Whatever waits is asked about each time that something comes: up to 8 MiB would be hashed on the thread of the loop.
#[test]
fn an_entry_that_waits_has_its_blocks_hashed_once() {
    let mut gate = gate(&Arc::new(InlinePending::new(1_000)));
    let missing = Block::hash(HashCode::Sha2_256, vec![7; 10_000]);
    let beside = Command::Put { multihash: *missing.multihash(), length: 10_000, inline: None };
    let body = batch::encode([beside, put(1).1], batch::BatchLimits::default()).expect("two puts fit");
    let waiting = entry_with(4, body);
    assert_eq!(gate.admit(core::slice::from_ref(&waiting)), 0);
    assert!(gate.verified.contains(&waiting.head.body_digest));

    // A body that would not pass shows whether it is looked at.
    let (_, mut lie) = put(2);
    if let Command::Put { inline: Some(inline), .. } = &mut lie {
        *inline = Bytes::from_static(&[9; 100]);
    }
    let lie = entry_of(4, lie);
    assert_eq!(gate.admit(core::slice::from_ref(&lie)), 0);
    gate.verified.insert(lie.head.body_digest);
    assert_eq!(gate.admit(&[lie]), 1);
    assert!(gate.verified.is_empty(), "nothing waits any more");
}
