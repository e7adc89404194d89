//! What counts as held, at the gate and at the proposer.

use blockraft_types::{LogIndex, Term};

use super::desk::{B, C, Desk, ME, at, block, config, deletes, fetches, receipts, stores};
use crate::effect::{ProposalRefusal, PutFailure};
use crate::input::StoreFailure;
use crate::message::Verdict;
use crate::{Admission, BulkHeader, Config, Debt, Effect, EntryNames, Input, Measure, Named, ProposalTicket, PutId};

/// Client 1 puts X: written, not synced. Client 2 puts X: "have it" would let an entry be synced before its bytes are.
#[test]
fn a_second_put_of_a_block_in_flight_waits_for_the_first_sync() {
    let mut desk = Desk::led_by(ME);
    desk.pushed(B, block(1), 5);
    assert_eq!(stores(&desk.effects()), [block(1)]);
    desk.pushed(C, block(1), 6);
    assert_eq!(desk.effects(), []);
    assert_eq!(desk.exchange.reserve_proposal(ProposalTicket(1), &[block(1)], None), Admission::Wait);

    desk.stored(block(1));
    let effects = desk.effects();
    assert_eq!(receipts(&effects), [(B, Verdict::Durable), (C, Verdict::Durable)]);
    assert!(effects.contains(&Effect::ProposalReady { ticket: ProposalTicket(1) }));
}

#[test]
fn a_payload_that_is_being_written_doesnt_pass_the_gate() {
    let mut desk = Desk::led_by(B);
    desk.pushed(B, block(1), 5);
    assert_eq!(desk.offer(1, &[block(1)]), 0);
    assert_eq!(desk.exchange.waiting_for(), Some(LogIndex(1)));
    desk.effects();
    desk.stored(block(1));
    assert!(desk.effects().contains(&Effect::GateMoved));
    assert_eq!(desk.offer(1, &[block(1)]), 1);
    assert_eq!(desk.exchange.waiting_for(), None);
}

#[test]
fn entries_enter_up_to_the_first_whose_payload_is_missing() {
    let mut desk = Desk::led_by(B);
    desk.staged(block(1));
    desk.staged(block(3));
    assert_eq!(desk.offer(1, &[block(1), block(2), block(3)]), 1);
    assert_eq!(desk.exchange.waiting_for(), Some(LogIndex(2)));
    // The one behind the gap is held too, so that it can't be evicted meanwhile.
    assert_eq!(desk.exchange.status().leases.gate, 3);
}

#[test]
fn entries_without_payloads_always_enter() {
    let mut desk = Desk::led_by(B);
    let entries: Vec<EntryNames> =
        (1..=3).map(|index| EntryNames { position: at(1, index), names: Vec::new() }).collect();
    assert_eq!(desk.exchange.reserve_append(&entries), 3);
    assert_eq!(desk.exchange.status().leases.total(), 0);
}

#[test]
fn the_gates_lease_ends_when_the_log_has_the_entry() {
    let mut desk = Desk::led_by(B);
    desk.staged(block(1));
    assert_eq!(desk.offer(1, &[block(1)]), 1);
    assert_eq!(desk.exchange.status().leases.gate, 1);
    desk.appended(1, &[block(1)]);
    assert_eq!(desk.exchange.status().leases.gate, 0);
    // The log protects it from now on.
    assert_eq!(deletes(&desk.rows_are_absent(500)), []);
}

#[test]
fn the_gates_leases_end_when_what_it_held_is_dropped() {
    let mut desk = Desk::led_by(B);
    desk.staged(block(1));
    desk.offer(1, &[block(1), block(2)]);
    desk.store_knows_nothing();
    desk.step(Input::AppendDropped { positions: vec![at(1, 1), at(1, 2)] });
    let status = desk.exchange.status();
    assert_eq!((status.leases.gate, status.wanted, status.gate_waiting_for), (0, 0, None));
}

/// A repetition is dropped while what came with it is on its way into the log.
#[test]
fn only_the_dropped_entries_lose_their_leases() {
    let mut desk = Desk::led_by(B);
    desk.staged(block(1));
    desk.staged(block(2));
    desk.offer(1, &[block(1), block(2), block(3)]);
    desk.store_knows_nothing();
    desk.step(Input::AppendDropped { positions: vec![at(1, 1)] });
    let status = desk.exchange.status();
    assert_eq!((status.leases.gate, status.gate_waiting_for), (2, Some(LogIndex(3))));
    assert_eq!(desk.effects(), []);
    // The gate waited for this one, and the driver may still hold another that names the same place.
    desk.step(Input::AppendDropped { positions: vec![at(1, 3)] });
    assert_eq!(desk.effects(), [Effect::GateMoved]);
}

/// The core took a new leader's entry while the old leader's one at the same place still waits for the disk. The driver
/// drops the old one then, and tells of the new one as appended only when the disk has room.
#[test]
fn dropping_an_old_leaders_entry_leaves_the_lease_of_the_one_that_takes_its_place() {
    let mut desk = Desk::led_by(B);
    desk.staged(block(1));
    desk.staged(block(2));
    let entry = |term, number| EntryNames { position: at(term, 1), names: vec![block(number)] };
    assert_eq!(desk.exchange.reserve_append(&[entry(1, 1)]), 1);
    assert_eq!(desk.exchange.reserve_append(&[entry(2, 2)]), 1);
    // Until the core has judged the new one, both may be in its log.
    assert_eq!(desk.exchange.status().leases.gate, 2);
    desk.step(Input::AppendDropped { positions: vec![at(1, 1)] });
    assert_eq!(deletes(&desk.rows_are_absent(config().grace_ticks)), [block(1).name]);
    assert_eq!(desk.exchange.status().leases.gate, 1);
}

#[test]
fn an_admitted_entry_that_another_one_replaced_is_released_by_the_sync() {
    let mut desk = Desk::led_by(B);
    desk.staged(block(1));
    desk.offer(4, &[block(1)]);
    desk.step(Input::Persisted { position: at(2, 4) });
    assert_eq!(desk.exchange.status().leases.gate, 0);
}

#[test]
fn a_payload_that_nobody_asked_about_yet_is_looked_up_before_it_is_fetched() {
    let mut desk = Desk::led_by(B);
    assert_eq!(desk.offer(1, &[block(1)]), 0);
    assert_eq!(desk.effects(), [Effect::Stat { name: block(1).name }]);
    desk.step(Input::Statted { name: block(1).name, length: Some(100) });
    assert_eq!(desk.effects(), [Effect::GateMoved]);
    assert_eq!(desk.offer(1, &[block(1)]), 1);
}

#[test]
fn a_proposal_gets_its_payload_from_the_node_that_put_it() {
    let mut desk = Desk::led_by(ME);
    assert_eq!(desk.exchange.reserve_proposal(ProposalTicket(1), &[block(1)], Some(C)), Admission::Wait);
    let asked = fetches(&desk.store_knows_nothing());
    let [(C, ticket, _)] = asked[..] else { panic!("asked {asked:?}") };
    let header = BulkHeader::Fetched { ticket, name: block(1).name };
    desk.step(Input::Arrived { from: C, header, payload: block(1) });
    assert_eq!(stores(&desk.effects()), [block(1)]);
    desk.stored(block(1));
    assert_eq!(desk.effects(), [Effect::ProposalReady { ticket: ProposalTicket(1) }]);

    desk.appended(1, &[block(1)]);
    desk.step(Input::ProposalClosed { ticket: ProposalTicket(1) });
    assert_eq!(desk.exchange.status().leases.total(), 0);
}

#[test]
fn a_proposal_waits_for_a_bounded_time() {
    let mut desk = Desk::led_by(ME);
    desk.exchange.reserve_proposal(ProposalTicket(1), &[block(1)], None);
    desk.store_knows_nothing();
    desk.ticks(config().proposal_ticks_max);
    let refused = Effect::ProposalRefused { ticket: ProposalTicket(1), reason: ProposalRefusal::NotHeld };
    assert!(desk.effects().contains(&refused));
    let status = desk.exchange.status();
    assert_eq!((status.leases.total(), status.wanted, status.proposals_waiting), (0, 0, 0));
}

#[test]
fn only_so_many_proposals_wait() {
    let mut desk = Desk::with(ME, Config { proposals_max: 1, ..config() });
    assert_eq!(desk.exchange.reserve_proposal(ProposalTicket(1), &[block(1)], None), Admission::Wait);
    let second = desk.exchange.reserve_proposal(ProposalTicket(2), &[block(2)], None);
    assert_eq!(second, Admission::Refuse(ProposalRefusal::Full));
}

#[test]
fn a_name_with_another_length_than_its_block_never_enters() {
    let mut desk = Desk::led_by(ME);
    desk.staged(block(1));
    let liar = Named { length: 99, ..block(1) };
    let admission = desk.exchange.reserve_proposal(ProposalTicket(1), &[liar], None);
    assert_eq!(admission, Admission::Refuse(ProposalRefusal::Length));
    assert_eq!(desk.offer(1, &[liar]), 0);
    assert!(desk.exchange.status().length_conflicts > 0);
}

#[test]
fn a_failed_sync_ends_every_wait_and_takes_nothing_new() {
    let mut desk = Desk::led_by(ME);
    desk.step(Input::Put { op: PutId(1), payload: block(1) });
    desk.exchange.reserve_proposal(ProposalTicket(1), &[block(2)], None);
    desk.effects();
    desk.step(Input::Stored { name: block(1).name, result: Err(StoreFailure::Poisoned) });
    let effects = desk.effects();
    assert!(effects.contains(&Effect::PutFailed { op: PutId(1), reason: PutFailure::Poisoned }));
    let refused = Effect::ProposalRefused { ticket: ProposalTicket(1), reason: ProposalRefusal::Poisoned };
    assert!(effects.contains(&refused));

    desk.step(Input::Put { op: PutId(2), payload: block(3) });
    assert_eq!(desk.effects(), [Effect::PutFailed { op: PutId(2), reason: PutFailure::Poisoned }]);
    assert!(!desk.exchange.has_room_for_put(1));
}

/// A want that outlives its proposal asks the store about a block that has gone, and asks again, for ever.
#[test]
fn a_proposal_that_lacked_two_payloads_leaves_no_want() {
    let mut desk = Desk::led_by(ME);
    let lacking = [block(1), block(2)];
    assert_eq!(desk.exchange.reserve_proposal(ProposalTicket(1), &lacking, None), Admission::Wait);
    desk.store_knows_nothing();
    for (counter, block) in (1..).zip(lacking) {
        desk.pushed(B, block, counter);
        desk.stored(block);
    }
    assert!(desk.effects().contains(&Effect::ProposalReady { ticket: ProposalTicket(1) }));
    assert_eq!(desk.exchange.status().wanted, 0);
}

/// A put over a disk that is full isn't lost for good: the leader is somebody else and the space comes back.
#[test]
fn a_full_store_fails_the_put_and_nothing_else() {
    let mut desk = Desk::led_by(ME);
    desk.step(Input::Put { op: PutId(1), payload: block(1) });
    desk.step(Input::Stored { name: block(1).name, result: Err(StoreFailure::Full) });
    assert!(desk.effects().contains(&Effect::PutFailed { op: PutId(1), reason: PutFailure::Full }));
    desk.step(Input::Put { op: PutId(2), payload: block(1) });
    assert_eq!(stores(&desk.effects()), [block(1)]);
}

#[test]
fn debt_is_the_payload_behind_what_a_voter_matches() {
    let mut desk = Desk::led_by(ME);
    for index in 1..=4 {
        desk.appended(index, &[block(index)]);
    }
    desk.compacted(1);
    assert_eq!(desk.exchange.debts(), [], "nothing was measured");
    let matched = [(ME, LogIndex(4)), (B, LogIndex(3)), (C, LogIndex(1))].into();
    let measure = Measure { matched, compacted: LogIndex(1), last: LogIndex(4), state_bytes: 77_000 };
    desk.step(Input::Measured { measure: Some(measure) });
    let debt = |node, bytes, entries| Debt { node, bytes, entries };
    assert_eq!(desk.exchange.debts(), [debt(ME, 0, 0), debt(B, 100, 1), debt(C, 300, 3)]);
    desk.step(Input::Measured { measure: None });
    assert_eq!(desk.exchange.debts(), []);
}

/// What the log no longer names can't be counted, and is not nothing: such a voter gets the whole state.
#[test]
fn a_voter_behind_the_start_of_the_log_owes_the_state_at_most() {
    let mut desk = Desk::led_by(ME);
    for index in 1..=4 {
        desk.appended(index, &[block(index)]);
    }
    let matched = [(ME, LogIndex(4)), (B, LogIndex(1))].into();
    let measure = Measure { matched, compacted: LogIndex::ZERO, last: LogIndex(4), state_bytes: 77_000 };
    desk.step(Input::Measured { measure: Some(measure) });
    let bytes = |desk: &Desk| desk.exchange.debts().iter().map(|debt| debt.bytes).collect::<Vec<_>>();
    assert_eq!(bytes(&desk), [0, 300, 400], "all of it is in the log");
    desk.compacted(2);
    assert_eq!(bytes(&desk), [0, 77_000, 77_000]);
}

#[test]
fn a_leader_of_the_past_isnt_believed() {
    let mut desk = Desk::led_by(ME);
    desk.step(Input::Leader { term: Term(3), leader: Some(B) });
    desk.step(Input::Leader { term: Term(2), leader: Some(ME) });
    desk.step(Input::Put { op: PutId(1), payload: block(1) });
    desk.stored(block(1));
    assert!(!desk.effects().iter().any(|effect| matches!(effect, Effect::PutReady { .. })));
}
