//! Snapshots, got from a leader and given to a follower, step by step.

use blockraft_blocks::Multihash;
use blockraft_types::{ChainDigest, LogIndex, Membership, NodeId, RemoteTicket};
use bytes::Bytes;

use super::desk::{B, C, Desk, ME, at, block, config, fetches, stores, ticket_of};
use crate::message::{ChunkWanted, ExportNeeded, ExportOpened, Message, Missing, MissingReason, SnapshotWanted};
use crate::ticket::ExportTicket;
use crate::{BulkHeader, Chunk, Config, Effect, Input, Manifest, ManifestRow, Named, Rest, Sealed};

fn manifest(index: u64, blocks: &[Named]) -> Manifest {
    Manifest {
        position: at(1, index),
        chain: ChainDigest::from_bytes([index as u8; 16]),
        blocks: blocks.len() as u64,
        bytes: blocks.iter().map(|block| u64::from(block.length)).sum(),
        membership: Membership::default(),
        membership_index: LogIndex::ZERO,
    }
}

/// Blocks in the order of their names.
fn blocks(numbers: core::ops::Range<u64>) -> Vec<Named> {
    let mut blocks: Vec<Named> = numbers.map(block).collect();
    blocks.sort();
    blocks
}

fn chunk(after: Option<Multihash>, blocks: &[Named], rest: Rest) -> Chunk {
    let rows =
        blocks.iter().map(|named| ManifestRow { named: *named, created: at(1, 1), bond: Bytes::new() }).collect();
    Chunk { after, rows, rest, clients: Bytes::new() }
}

/// What was sent about snapshots.
fn said(effects: &[Effect<Named>]) -> Vec<(NodeId, Message)> {
    let about_snapshots = |effect: &Effect<Named>| match effect {
        Effect::Send { message: Message::Fetch(_) | Message::Receipt(_), .. } => None,
        Effect::Send { to, message } => Some((*to, message.clone())),
        _ => None,
    };
    effects.iter().filter_map(about_snapshots).collect()
}

impl Desk {
    fn offered(&mut self, from: NodeId, least: u64) {
        self.step(Input::SnapshotOffered { from, least: LogIndex(least) });
    }

    /// The question for a snapshot that was just sent.
    fn asked(&mut self) -> (NodeId, SnapshotWanted) {
        let asked = self.effects().into_iter().find_map(|effect| match effect {
            Effect::Send { to, message: Message::SnapshotWanted(wanted) } => Some((to, wanted)),
            _ => None,
        });
        asked.expect("a snapshot is asked for")
    }

    fn opened(&mut self, from: NodeId, ticket: RemoteTicket, export: u64, manifest: Manifest) {
        let opened = ExportOpened { ticket, export: ticket_of(from, export), manifest };
        self.step(Input::Message { from, message: Message::ExportOpened(opened) });
    }

    fn chunk(&mut self, from: NodeId, export: u64, chunk: Chunk) {
        self.step(Input::ChunkArrived { from, export: ticket_of(from, export), chunk });
    }

    /// Answers a fetch and stores what came.
    fn fetched(&mut self, from: NodeId, ticket: RemoteTicket, block: Named) {
        let header = BulkHeader::Fetched { ticket, name: block.name };
        self.step(Input::Arrived { from, header, payload: block });
        self.stored(block);
    }
}

/// A node that was offered a snapshot of `blocks` by B and has its manifest.
fn pulling(blocks: &[Named], config: Config) -> Desk {
    let mut desk = Desk::with(B, config);
    desk.offered(B, 5);
    let (to, wanted) = desk.asked();
    assert_eq!((to, wanted.least), (B, LogIndex(5)));
    desk.opened(B, wanted.ticket, 1, manifest(9, blocks));
    let expected = ChunkWanted { export: ticket_of(B, 1), after: None };
    assert_eq!(said(&desk.effects()), [(B, Message::ChunkWanted(expected))]);
    desk
}

#[test]
fn a_snapshot_is_complete_only_with_its_payloads_and_those_that_are_here_are_not_fetched() {
    let blocks = blocks(0..3);
    let mut desk = pulling(&blocks, config());
    desk.staged(blocks[1]);
    desk.chunk(B, 1, chunk(None, &blocks, Rest::Nothing));
    let asked = fetches(&desk.store_knows_nothing());
    assert_eq!(asked.len(), 2, "one is here already");
    desk.fetched(asked[0].0, asked[0].1, blocks[0]);
    assert!(!desk.effects().iter().any(|effect| matches!(effect, Effect::ImportChunk { .. })));
    desk.fetched(asked[1].0, asked[1].1, blocks[2]);
    assert!(desk.effects().contains(&Effect::ImportChunk { chunk: chunk(None, &blocks, Rest::Nothing) }));
    assert_eq!(desk.exchange.status().leases.transfer, 3);
    desk.step(Input::ChunkImported);
    let status = desk.exchange.status();
    assert_eq!(status.leases.transfer, 0, "the rows name them now");
    assert_eq!((status.names, status.staged_bytes), (0, 0), "and nothing of them is remembered");
    assert!(desk.effects().contains(&Effect::SealImport { manifest: manifest(9, &blocks) }));
    desk.step(Input::ImportSealed { outcome: Sealed::Whole });
    assert_eq!(desk.effects(), [Effect::SnapshotComplete { manifest: manifest(9, &blocks) }]);
    desk.step(Input::SnapshotInstalled { position: at(1, 9) });
    assert_eq!(desk.effects(), [Effect::ClearImport]);
    // B keeps its log behind the snapshot, and hears how much of it is here, until it says that this is enough.
    let mut needed_after = |last| {
        desk.appended(last, &[]);
        desk.step(Input::Persisted { position: at(1, last) });
        desk.ticks(config().retry_ticks);
        said(&desk.effects())
    };
    let needed = |after| Message::ExportNeeded(ExportNeeded { export: ticket_of(B, 1), after: LogIndex(after) });
    assert_eq!(needed_after(10), [(B, needed(10))]);
    assert_eq!(needed_after(15), [(B, needed(15))]);
    desk.step(Input::Message { from: B, message: Message::ExportGone(ticket_of(B, 1)) });
    desk.appended(16, &[]);
    desk.step(Input::Persisted { position: at(1, 16) });
    desk.ticks(config().retry_ticks);
    assert_eq!(said(&desk.effects()), []);
}

#[test]
fn as_long_as_payloads_come_the_giver_is_told_to_keep_its_log_and_no_longer() {
    let blocks = blocks(0..3);
    let mut desk = pulling(&blocks, Config { export_ticks_max: 40, ..config() });
    desk.chunk(B, 1, chunk(None, &blocks, Rest::Nothing));
    let asked = fetches(&desk.store_knows_nothing());
    let needed = Message::ExportNeeded(ExportNeeded { export: ticket_of(B, 1), after: LogIndex(9) });
    for (number, (from, ticket, name)) in (1..).zip(asked.into_iter().take(2)) {
        desk.ticks(15);
        let said_before = said(&desk.effects());
        assert_eq!(said_before, [], "nothing came since {number}");
        desk.fetched(from, ticket, Named { name, length: 100 });
        assert_eq!(said(&desk.effects()), [(B, needed.clone())]);
    }
    desk.ticks(200);
    assert!(!said(&desk.effects()).contains(&(B, needed)), "a transfer that stands still holds nothing back");
}

#[test]
fn the_memory_of_an_import_and_the_room_that_is_left_do_not_hang_on_how_much_came() {
    let blocks = blocks(0..100);
    let mut desk = pulling(&blocks, Config { staged_blocks_max: 20, ..config() });
    let mut after = None;
    for (number, piece) in (1..).zip(blocks.chunks(10)) {
        let rest = if number == 10 { Rest::Nothing } else { Rest::More };
        desk.chunk(B, 1, chunk(after, piece, rest));
        after = piece.last().map(|block| block.name);
        loop {
            let asked = fetches(&desk.store_knows_nothing());
            if asked.is_empty() {
                break;
            }
            for (from, ticket, name) in asked {
                desk.fetched(from, ticket, Named { name, length: 100 });
            }
            desk.ticks(1);
        }
        desk.step(Input::ChunkImported);
        let status = desk.exchange.status();
        assert_eq!((status.names, status.staged_blocks), (0, 0), "after chunk {number}");
    }
    // Others may go on pushing what is put meanwhile.
    desk.pushed(C, block(1_000), 1);
    assert_eq!(stores(&desk.effects()), [block(1_000)]);
}

/// The rows of an import that a crash broke off keep its payloads, whatever else stands in the log.
#[test]
fn a_replay_of_the_log_clears_no_import_away() {
    let mut desk = Desk::starting(config());
    desk.step(Input::Replayed { position: at(1, 1), names: Vec::new() });
    desk.step(Input::ReplayFinished { applied: LogIndex::ZERO });
    assert!(!desk.effects().contains(&Effect::ClearImport));
    desk.appended(2, &[]);
    assert!(desk.effects().contains(&Effect::ClearImport), "now the log grows by itself");
}

/// The other peer would send the same bytes once more.
#[test]
fn a_peer_that_sends_slowly_is_not_overdue_with_what_waits_behind() {
    let blocks = blocks(0..10);
    let mut desk = pulling(&blocks, config());
    desk.step(Input::PeerDisconnected { peer: C });
    desk.chunk(B, 1, chunk(None, &blocks, Rest::Nothing));
    let mut asked = fetches(&desk.store_knows_nothing());
    assert_eq!(asked.len(), 10);
    desk.step(Input::PeerConnected { peer: C });
    while asked.len() > 5 {
        desk.ticks(config().fetch_ticks_max - 1);
        let (from, ticket, name) = asked.remove(0);
        desk.fetched(from, ticket, Named { name, length: 100 });
        assert_eq!(fetches(&desk.effects()), []);
    }
    desk.ticks(config().fetch_ticks_max);
    assert_eq!(fetches(&desk.effects()).len(), 5, "now it is silent");
}

#[test]
fn all_peers_are_asked_for_payloads_within_bounds_of_number_bytes_and_rate() {
    let blocks = blocks(0..40);
    let bounds = Config { snapshot_fetches_max: 8, snapshot_tick_bytes_max: 200, snapshot_names_max: 40, ..config() };
    let mut desk = pulling(&blocks, bounds);
    desk.chunk(B, 1, chunk(None, &blocks, Rest::Nothing));
    let (mut peers, mut bytes, mut ticks) = (std::collections::BTreeMap::new(), 0_u64, 0_u64);
    while desk.exchange.status().wanted > 0 {
        for (from, ticket, named) in fetches(&desk.store_knows_nothing()) {
            let status = desk.exchange.status();
            assert!(
                status.snapshot_fetches <= 8 && status.snapshot_fetch_bytes <= status.bounds.snapshot_fetch_bytes_max
            );
            *peers.entry(from).or_insert(0) += 1;
            bytes += 100;
            desk.fetched(from, ticket, Named { name: named, length: 100 });
        }
        assert!(bytes <= 200 * (ticks + 2) + 100, "{bytes} bytes in {ticks} ticks");
        desk.ticks(1);
        ticks += 1;
    }
    assert_eq!(peers.keys().copied().collect::<Vec<_>>(), [B, C]);
    assert!(peers.values().all(|count| 10 <= *count), "{peers:?}");
}

#[test]
fn chunks_of_another_snapshot_or_out_of_turn_are_dropped() {
    let blocks = blocks(0..4);
    let mut desk = pulling(&blocks, config());
    desk.chunk(B, 2, chunk(None, &blocks[..2], Rest::More));
    desk.chunk(B, 1, chunk(Some(blocks[0].name), &blocks[1..2], Rest::More));
    desk.chunk(B, 1, chunk(None, &[blocks[1], blocks[0]], Rest::More));
    desk.chunk(B, 1, chunk(None, &[], Rest::More));
    assert_eq!(desk.exchange.status().wanted, 0);
    assert_eq!(desk.effects(), []);
    desk.chunk(B, 1, chunk(None, &blocks[..2], Rest::More));
    let expected = ChunkWanted { export: ticket_of(B, 1), after: Some(blocks[1].name) };
    assert_eq!(said(&desk.store_knows_nothing()), [(B, Message::ChunkWanted(expected))], "the next one, ahead");
    desk.chunk(B, 1, chunk(None, &blocks[..2], Rest::More));
    assert_eq!(desk.exchange.status().wanted, 2, "a repetition changes nothing");
}

#[test]
fn a_chunk_that_is_lost_is_asked_for_again_and_in_the_end_another_snapshot() {
    let mut desk = pulling(&blocks(0..1), config());
    let mut questions = 1;
    for _ in 0..10 * config().fetch_ticks_max {
        desk.ticks(1);
        for (_, message) in said(&desk.effects()) {
            match message {
                Message::ChunkWanted(_) => questions += 1,
                Message::SnapshotWanted(_) => return assert_eq!(questions, 4),
                _ => {}
            }
        }
    }
    panic!("{questions} questions and no other snapshot");
}

#[test]
fn another_leader_changes_nothing_unless_it_needs_more() {
    let mut desk = pulling(&blocks(0..2), config());
    desk.step(Input::Leader { term: blockraft_types::Term(2), leader: Some(C) });
    desk.offered(C, 9);
    assert_eq!(said(&desk.effects()), [], "what B gives covers that");
    desk.offered(C, 10);
    let (to, wanted) = desk.asked();
    assert_eq!((to, wanted.least), (C, LogIndex(10)));
}

#[test]
fn a_snapshot_that_is_gone_is_replaced_by_a_newer_one_and_payloads_are_kept() {
    let blocks = blocks(0..3);
    let mut desk = pulling(&blocks, config());
    desk.chunk(B, 1, chunk(None, &blocks[..2], Rest::More));
    for (from, ticket, named) in fetches(&desk.store_knows_nothing()) {
        desk.fetched(from, ticket, Named { name: named, length: 100 });
    }
    desk.effects();
    desk.step(Input::Message { from: B, message: Message::ExportGone(ticket_of(B, 1)) });
    let (_, wanted) = desk.asked();
    desk.opened(B, wanted.ticket, 2, manifest(12, &blocks));
    desk.chunk(B, 2, chunk(None, &blocks, Rest::Nothing));
    let asked: Vec<Multihash> = fetches(&desk.store_knows_nothing()).into_iter().map(|(_, _, name)| name).collect();
    assert_eq!(asked, [blocks[2].name]);
}

#[test]
fn what_nobody_has_is_looked_for_in_a_newer_snapshot_and_then_named() {
    let blocks = blocks(0..1);
    let mut desk = pulling(&blocks, config());
    let nobody_has = |desk: &mut Desk| {
        for _ in 0..40 {
            let effects = desk.store_knows_nothing();
            for (from, ticket, name) in fetches(&effects) {
                let missing = Missing { ticket, name, reason: MissingReason::Absent };
                desk.step(Input::Message { from, message: Message::Missing(missing) });
            }
            desk.ticks(1);
            let tells = |effect: &Effect<Named>| {
                matches!(
                    effect,
                    Effect::SnapshotStuck { .. } | Effect::Send { message: Message::SnapshotWanted(_), .. }
                )
            };
            if let Some(told) = effects.into_iter().find(tells) {
                return Some(told);
            }
        }
        None
    };
    desk.chunk(B, 1, chunk(None, &blocks, Rest::Nothing));
    let Some(Effect::Send { to: B, message: Message::SnapshotWanted(wanted) }) = nobody_has(&mut desk) else {
        panic!("a newer snapshot was not asked for");
    };
    desk.opened(B, wanted.ticket, 2, manifest(12, &blocks));
    desk.chunk(B, 2, chunk(None, &blocks, Rest::Nothing));
    let stuck = Effect::SnapshotStuck { name: blocks[0].name, position: at(1, 12) };
    assert_eq!(nobody_has(&mut desk), Some(stuck));
}

#[test]
fn a_log_that_grows_by_itself_needs_no_snapshot() {
    let mut desk = pulling(&blocks(0..1), config());
    desk.appended(1, &[]);
    let effects = desk.effects();
    assert_eq!(said(&effects), [(B, Message::ExportClosed(ticket_of(B, 1)))]);
    assert!(effects.contains(&Effect::ClearImport));
}

/// Gives a snapshot of entry 8 to B.
fn giving(bounds: Config) -> (Desk, ExportTicket, RemoteTicket) {
    let mut desk = Desk::with(ME, bounds);
    desk.applied(7, &[], &[]);
    let wanted = SnapshotWanted { ticket: ticket_of(B, 1), least: LogIndex(5) };
    desk.step(Input::Message { from: B, message: Message::SnapshotWanted(wanted) });
    let [Effect::OpenExport { export }] = desk.effects()[..] else { panic!("an export is opened") };
    assert_eq!(desk.exchange.compaction_floor(), LogIndex(7), "from the moment on in which it is wanted");
    desk.step(Input::ExportReady { export, manifest: Some(manifest(8, &[])) });
    let [Effect::Send { to: B, message: Message::ExportOpened(opened) }] = &desk.effects()[..] else {
        panic!("the asker is told")
    };
    let remote = opened.export;
    assert_eq!(desk.exchange.compaction_floor(), LogIndex(8));
    (desk, export, remote)
}

#[test]
fn a_member_gives_what_an_earlier_life_applied() {
    let mut desk = Desk::with(ME, config());
    desk.step(Input::ReplayFinished { applied: LogIndex(7) });
    let wanted = SnapshotWanted { ticket: ticket_of(B, 1), least: LogIndex(7) };
    desk.step(Input::Message { from: B, message: Message::SnapshotWanted(wanted) });
    assert!(matches!(desk.effects()[..], [Effect::OpenExport { .. }]), "though it applied nothing itself");
}

#[test]
fn a_tail_that_waits_for_the_member_that_is_fed_ends_no_export() {
    let mut desk = Desk::with(ME, Config { pinned_payload_bytes_max: 10, ..config() });
    desk.applied(7, &[], &[]);
    let wanted = SnapshotWanted { ticket: ticket_of(B, 1), least: LogIndex(5) };
    desk.step(Input::Message { from: B, message: Message::SnapshotWanted(wanted) });
    let tail = blocks(0..3);
    for (index, block) in (8..).zip(&tail) {
        desk.appended(index, &[*block]);
    }
    desk.ticks(2);
    assert_eq!(desk.exchange.compaction_floor(), LogIndex(7), "it stands, with {tail:?} behind it");
    desk.applied(8, &tail[..1], &[]);
    desk.ticks(2);
    assert_eq!(desk.exchange.compaction_floor(), LogIndex(u64::MAX), "what is applied could be compacted");
}

#[test]
fn an_export_keeps_the_log_until_it_is_closed_or_nobody_asks_or_it_keeps_too_much() {
    let pinned = |desk: &Desk| desk.exchange.compaction_floor();
    let open = |pinned_entries_max| giving(Config { pinned_entries_max, ..config() });
    let gone = |mut desk: Desk, export: ExportTicket, remote: RemoteTicket| {
        assert!(desk.effects().contains(&Effect::CloseExport { export }));
        assert_eq!(pinned(&desk), LogIndex(u64::MAX));
        let wanted = ChunkWanted { export: remote, after: None };
        desk.step(Input::Message { from: B, message: Message::ChunkWanted(wanted) });
        assert_eq!(said(&desk.effects()), [(B, Message::ExportGone(remote))]);
    };
    let (mut desk, export, remote) = open(100);
    desk.step(Input::Message { from: C, message: Message::ExportClosed(remote) });
    assert_eq!(pinned(&desk), LogIndex(8), "it isn't C's");
    desk.step(Input::Message { from: B, message: Message::ExportClosed(remote) });
    gone(desk, export, remote);
    let (mut desk, export, remote) = open(100);
    desk.ticks(config().export_ticks_max);
    gone(desk, export, remote);
    let (mut desk, export, remote) = open(10);
    desk.applied(19, &[], &[]);
    desk.ticks(1);
    gone(desk, export, remote);
}

#[test]
fn the_log_is_kept_for_a_receiver_that_gets_on_until_its_own_is_level() {
    let (mut desk, export, remote) = giving(config());
    let needs = |desk: &mut Desk, from, after| {
        let needed = ExportNeeded { export: remote, after: LogIndex(after) };
        desk.step(Input::Message { from, message: Message::ExportNeeded(needed) });
        let floor = desk.exchange.compaction_floor();
        (desk.effects(), floor)
    };
    let gone = |to| Effect::Send { to, message: Message::ExportGone(remote) };
    for _ in 0..3 {
        desk.ticks(config().export_ticks_max - 1);
        assert_eq!(needs(&mut desk, B, 8), (vec![], LogIndex(8)), "payloads come");
    }
    assert_eq!(needs(&mut desk, C, 8), (vec![gone(C)], LogIndex(8)), "it isn't C's");
    desk.applied(500, &[], &[]);
    assert_eq!(needs(&mut desk, B, 108), (vec![Effect::CloseExport { export }], LogIndex(108)), "it is installed");
    assert_eq!(needs(&mut desk, B, 400), (vec![], LogIndex(400)));
    desk.applied(600, &[], &[]);
    assert_eq!(needs(&mut desk, B, 590), (vec![gone(B)], LogIndex(u64::MAX)));
    let (mut desk, ..) = giving(config());
    desk.ticks(config().export_ticks_max);
    assert_eq!(desk.exchange.compaction_floor(), LogIndex(u64::MAX), "who says nothing is dead or stuck");
}
