//! Dissemination before proposal, and what receivers answer.

use blockraft_types::{BootNonce, NodeId, RemoteTicket, Term};

use super::desk::{B, C, Desk, ME, block, config, deletes, pushes, receipts, stores, voters};
use crate::effect::PutFailure;
use crate::input::PushOutcome;
use crate::message::{RefusalReason, Verdict};
use crate::{Config, Effect, Input, Named, PutId};

fn put(desk: &mut Desk, op: u64, payload: Named) -> Vec<Effect<Named>> {
    desk.step(Input::Put { op: PutId(op), payload });
    desk.effects()
}

fn is_ready(effects: &[Effect<Named>], op: u64) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::PutReady { op: ready, .. } if *ready == PutId(op)))
}

#[test]
fn a_put_goes_to_the_store_and_to_every_member_at_once() {
    let mut desk = Desk::led_by(ME);
    let effects = put(&mut desk, 1, block(1));
    assert_eq!(stores(&effects), [block(1)]);
    assert_eq!(pushes(&effects, B).len(), 1);
    assert_eq!(pushes(&effects, C).len(), 1);
}

#[test]
fn a_put_is_ready_only_with_a_quorum_that_includes_the_leader() {
    let mut desk = Desk::led_by(B);
    let effects = put(&mut desk, 1, block(1));
    let (to_b, to_c) = (pushes(&effects, B)[0].0, pushes(&effects, C)[0].0);
    desk.stored(block(1));
    desk.receipt(C, to_c, block(1), Verdict::Durable);
    assert!(!is_ready(&desk.effects(), 1), "two of three have it, the leader not");
    desk.receipt(B, to_b, block(1), Verdict::Durable);
    assert!(is_ready(&desk.effects(), 1));
}

#[test]
fn the_leader_may_change_while_a_put_waits() {
    let mut desk = Desk::led_by(B);
    let effects = put(&mut desk, 1, block(1));
    desk.stored(block(1));
    desk.receipt(C, pushes(&effects, C)[0].0, block(1), Verdict::Durable);
    desk.effects();
    desk.step(Input::Leader { term: Term(2), leader: Some(C) });
    assert!(is_ready(&desk.effects(), 1));
}

#[test]
fn a_joint_configuration_needs_both_majorities() {
    let (d, e) = (NodeId(4), NodeId(5));
    let mut desk = Desk::led_by(ME);
    let mut joint = voters(&[ME, B, C]);
    joint.outgoing = voters(&[ME, d, e]).voters;
    desk.step(Input::Membership { membership: joint });
    desk.step(Input::PeerConnected { peer: d });
    let effects = put(&mut desk, 1, block(1));
    desk.stored(block(1));
    desk.receipt(B, pushes(&effects, B)[0].0, block(1), Verdict::Durable);
    assert!(!is_ready(&desk.effects(), 1), "one half only");
    desk.receipt(d, pushes(&effects, d)[0].0, block(1), Verdict::Durable);
    assert!(is_ready(&desk.effects(), 1));
}

#[test]
fn a_put_before_its_local_sync_is_not_ready_at_the_leader() {
    let mut desk = Desk::led_by(ME);
    let effects = put(&mut desk, 1, block(1));
    for peer in [B, C] {
        desk.receipt(peer, pushes(&effects, peer)[0].0, block(1), Verdict::Durable);
    }
    assert!(!is_ready(&desk.effects(), 1));
    desk.stored(block(1));
    assert!(is_ready(&desk.effects(), 1));
}

#[test]
fn a_full_lane_is_skipped_and_the_quorum_goes_on() {
    let mut desk = Desk::with(ME, Config { lane_bytes_max: 150, ..config() });
    let first = put(&mut desk, 1, block(1));
    assert_eq!((pushes(&first, B).len(), pushes(&first, C).len()), (1, 1));
    // B answers, C is slow.
    desk.receipt(B, pushes(&first, B)[0].0, block(1), Verdict::Durable);
    let second = put(&mut desk, 2, block(2));
    assert_eq!((pushes(&second, B).len(), pushes(&second, C).len()), (1, 0));
    desk.stored(block(2));
    desk.receipt(B, pushes(&second, B)[0].0, block(2), Verdict::Durable);
    assert!(is_ready(&desk.effects(), 2));
    assert_eq!(desk.exchange.status().lanes[1].skipped_bytes, 100);
}

#[test]
fn puts_that_need_a_full_lane_wait_for_room_in_order() {
    let mut desk = Desk::with(B, Config { lane_bytes_max: 150, ..config() });
    let first = put(&mut desk, 1, block(1));
    assert_eq!(pushes(&put(&mut desk, 2, block(2)), B), []);
    assert_eq!(pushes(&put(&mut desk, 3, block(3)), B), []);
    assert_eq!(desk.exchange.status().lanes[0].waiting, 2);
    desk.receipt(B, pushes(&first, B)[0].0, block(1), Verdict::Durable);
    let effects = desk.effects();
    let [(ticket, payload)] = pushes(&effects, B)[..] else { panic!("{effects:?}") };
    assert_eq!(payload, block(2));
    desk.receipt(B, ticket, block(2), Verdict::Durable);
    assert_eq!(pushes(&desk.effects(), B)[0].1, block(3));
}

/// A stalled peer must not cost more memory the longer it stalls.
#[test]
fn a_lane_that_holds_bytes_keeps_its_debt_after_the_time_out() {
    let mut desk = Desk::with(ME, Config { lane_bytes_max: 100, ..config() });
    let effects = put(&mut desk, 1, block(1));
    desk.ticks(config().push_ticks_max * 3);
    assert_eq!(pushes(&desk.effects(), B), []);
    assert_eq!(desk.exchange.status().lanes[0].bytes, 100);
    let ticket = pushes(&effects, B)[0].0;
    desk.step(Input::PushEnded { to: B, ticket, outcome: PushOutcome::Failed });
    assert_eq!(desk.exchange.status().lanes[0].bytes, 0);
}

#[test]
fn a_push_whose_receipt_was_lost_is_repeated() {
    let mut desk = Desk::led_by(B);
    let effects = put(&mut desk, 1, block(1));
    let ticket = pushes(&effects, B)[0].0;
    desk.step(Input::PushEnded { to: B, ticket, outcome: PushOutcome::Sent });
    desk.ticks(config().push_ticks_max + config().retry_ticks);
    let again = pushes(&desk.effects(), B);
    assert_eq!(again.len(), 1);
    assert_ne!(again[0].0, ticket);
}

#[test]
fn a_receipt_of_an_earlier_boot_counts_for_nothing() {
    let mut desk = Desk::led_by(ME);
    let effects = put(&mut desk, 1, block(1));
    desk.stored(block(1));
    let ticket = pushes(&effects, B)[0].0;
    desk.receipt(B, RemoteTicket { boot: BootNonce(6), ..ticket }, block(1), Verdict::Durable);
    desk.receipt(C, ticket, block(1), Verdict::Durable);
    desk.receipt(B, ticket, block(2), Verdict::Durable);
    assert!(!is_ready(&desk.effects(), 1), "another boot, another peer, another block");
    desk.receipt(B, ticket, block(1), Verdict::Durable);
    assert!(is_ready(&desk.effects(), 1));
}

#[test]
fn a_refused_push_is_tried_again_until_the_put_is_out_of_time() {
    let mut desk = Desk::led_by(B);
    let mut effects = put(&mut desk, 1, block(1));
    desk.stored(block(1));
    let mut tries = 0;
    for _ in 0..config().put_ticks_max {
        for (ticket, _) in pushes(&effects, B) {
            tries += 1;
            desk.receipt(B, ticket, block(1), Verdict::Refused(RefusalReason::Full));
        }
        desk.ticks(1);
        effects = desk.effects();
    }
    assert!(tries > 5, "{tries} tries");
    assert!(effects.contains(&Effect::PutFailed { op: PutId(1), reason: PutFailure::NoQuorum }));
    assert_eq!(desk.exchange.status().leases.total(), 0);
}

#[test]
fn a_disconnected_peers_pushes_go_out_again_when_it_is_back() {
    let mut desk = Desk::led_by(B);
    put(&mut desk, 1, block(1));
    desk.step(Input::PeerDisconnected { peer: B });
    assert_eq!(desk.exchange.status().lanes[0].bytes, 0);
    desk.step(Input::PeerConnected { peer: B });
    desk.ticks(config().retry_ticks);
    assert_eq!(pushes(&desk.effects(), B).len(), 1);
}

#[test]
fn two_puts_of_one_block_share_its_pushes() {
    let mut desk = Desk::led_by(ME);
    let first = put(&mut desk, 1, block(1));
    let second = put(&mut desk, 2, block(1));
    assert_eq!((stores(&second), pushes(&second, B)), (vec![], vec![]));
    desk.stored(block(1));
    desk.receipt(B, pushes(&first, B)[0].0, block(1), Verdict::Durable);
    let effects = desk.effects();
    assert!(is_ready(&effects, 1) && is_ready(&effects, 2));
    desk.step(Input::PutClosed { op: PutId(1) });
    assert_eq!(desk.exchange.status().leases.proposer, 1);
    // A third that joins when the first two are ready needn't wait.
    assert!(is_ready(&put(&mut desk, 3, block(1)), 3));
}

#[test]
fn puts_beyond_the_bound_are_refused_early() {
    let mut desk = Desk::with(ME, Config { put_bytes_max: 150, ..config() });
    put(&mut desk, 1, block(1));
    assert!(!desk.exchange.has_room_for_put(100));
    let refused = put(&mut desk, 2, block(2));
    assert_eq!(refused, [Effect::PutFailed { op: PutId(2), reason: PutFailure::Full }]);
    desk.step(Input::PutClosed { op: PutId(1) });
    assert!(desk.exchange.has_room_for_put(100));
}

#[test]
fn a_cancelled_put_leaves_an_orphan_that_goes_after_the_grace() {
    let mut desk = Desk::led_by(ME);
    put(&mut desk, 1, block(1));
    desk.stored(block(1));
    desk.step(Input::PutClosed { op: PutId(1) });
    assert_eq!(desk.exchange.status().leases.total(), 0);
    assert_eq!(deletes(&desk.rows_are_absent(config().grace_ticks - 2)), []);
    assert_eq!(deletes(&desk.rows_are_absent(2)), [block(1).name]);
}

#[test]
fn a_push_over_the_staging_budget_is_refused_and_the_oldest_block_makes_room() {
    let mut desk = Desk::with(B, Config { staged_bytes_max: 250, evict_ticks_min: 5, ..config() });
    desk.staged(block(1));
    desk.ticks(5);
    desk.staged(block(2));
    desk.pushed(C, block(3), 1);
    assert_eq!(receipts(&desk.effects()), [(C, Verdict::Refused(RefusalReason::Full))]);
    assert_eq!(deletes(&desk.rows_are_absent(1)), [block(1).name]);
    desk.step(Input::Removed { name: block(1).name, result: Ok(()) });
    desk.pushed(C, block(3), 2);
    assert_eq!(stores(&desk.effects()), [block(3)]);
}

#[test]
fn a_node_that_is_full_of_its_own_puts_takes_those_of_others() {
    let mut desk = Desk::with(B, Config { staged_blocks_max: 1, staged_bytes_max: 100, ..config() });
    desk.step(Input::Put { op: PutId(1), payload: block(1) });
    desk.step(Input::Put { op: PutId(2), payload: block(2) });
    desk.stored(block(1));
    desk.stored(block(2));
    desk.effects();
    desk.pushed(C, block(3), 1);
    assert_eq!(stores(&desk.effects()), [block(3)]);
    desk.stored(block(3));
    desk.effects();
    desk.pushed(C, block(4), 2);
    assert_eq!(receipts(&desk.effects()), [(C, Verdict::Refused(RefusalReason::Full))]);
}

#[test]
fn a_block_that_was_just_acknowledged_isnt_evicted() {
    let mut desk = Desk::with(B, Config { staged_bytes_max: 150, evict_ticks_min: 5, ..config() });
    desk.staged(block(1));
    desk.pushed(C, block(2), 1);
    desk.effects();
    assert_eq!(deletes(&desk.rows_are_absent(4)), []);
}
