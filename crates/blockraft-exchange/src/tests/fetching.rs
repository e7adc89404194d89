//! Fetches are guaranteed where pushes are only advisory.

use blockraft_types::{BootNonce, LogIndex, RemoteTicket};

use super::desk::{B, C, Desk, ME, block, config, fetches, receipts, stores, ticket_of};
use crate::effect::{Space, StoreIntent};
use crate::input::{ServeOutcome, StoreFailure};
use crate::message::{Fetch, Message, Missing, MissingReason, Verdict};
use crate::{BulkHeader, Config, Effect, Input, Named};

/// The leader's append overtakes the push of its payload all the time: fetching then would move every byte twice.
#[test]
fn a_fetch_doesnt_start_while_a_push_of_it_arrives() {
    let mut desk = Desk::led_by(B);
    desk.announced(B, block(1));
    desk.offer(1, &[block(1)]);
    assert_eq!(fetches(&desk.store_knows_nothing()), []);
    desk.ticks(3);
    assert_eq!(fetches(&desk.effects()), []);
    desk.pushed(B, block(1), 1);
    desk.stored(block(1));
    let effects = desk.effects();
    assert_eq!(receipts(&effects), [(B, Verdict::Durable)]);
    assert!(effects.contains(&Effect::GateMoved));
}

#[test]
fn an_announced_push_that_never_comes_delays_a_fetch_only_so_long() {
    let mut desk = Desk::led_by(B);
    desk.announced(B, block(1));
    desk.offer(1, &[block(1)]);
    desk.store_knows_nothing();
    desk.ticks(config().fetch_ticks_max);
    assert_eq!(fetches(&desk.effects()).len(), 1);
}

#[test]
fn a_push_that_dies_with_its_connection_lets_the_fetch_start_at_once() {
    let mut desk = Desk::led_by(B);
    desk.announced(C, block(1));
    desk.offer(1, &[block(1)]);
    desk.store_knows_nothing();
    desk.step(Input::PeerDisconnected { peer: C });
    assert_eq!(fetches(&desk.effects()).len(), 1);
}

#[test]
fn peers_are_asked_one_after_another_the_leader_first_and_then_again() {
    let mut desk = Desk::led_by(C);
    desk.offer(1, &[block(1)]);
    let first = fetches(&desk.store_knows_nothing());
    assert_eq!(first[0].0, C);
    let missing = Missing { ticket: first[0].1, name: block(1).name, reason: MissingReason::Absent };
    desk.step(Input::Message { from: C, message: Message::Missing(missing) });
    assert_eq!(fetches(&desk.effects())[0].0, B);
    // B doesn't answer at all.
    desk.ticks(config().fetch_ticks_max + config().retry_ticks + 1);
    assert_eq!(fetches(&desk.effects())[0].0, C);
}

#[test]
fn a_fetch_succeeds_once_a_holder_is_connected() {
    let mut desk = Desk::led_by(B);
    desk.step(Input::PeerDisconnected { peer: B });
    desk.step(Input::PeerDisconnected { peer: C });
    desk.offer(1, &[block(1)]);
    assert_eq!(fetches(&desk.store_knows_nothing()), []);
    desk.ticks(1000);
    desk.step(Input::PeerConnected { peer: C });
    assert_eq!(fetches(&desk.effects())[0].0, C);
}

#[test]
fn gate_fetches_go_lowest_index_first_within_their_credit() {
    let mut desk = Desk::with(B, Config { gate_fetches_max: 2, ..config() });
    let blocks: Vec<Named> = (0..5).map(block).collect();
    desk.offer(1, &blocks);
    let names = |effects: &[Effect<Named>]| fetches(effects).iter().map(|fetch| fetch.2).collect::<Vec<_>>();
    assert_eq!(names(&desk.store_knows_nothing()), [block(0).name, block(1).name]);
    assert_eq!(desk.exchange.status().gate_fetches, 2);
    // What timed out comes before what lies behind it.
    desk.ticks(config().fetch_ticks_max);
    assert_eq!(names(&desk.effects()), [block(0).name, block(1).name]);
}

#[test]
fn gate_fetches_dont_wait_behind_repairs() {
    let mut desk = Desk::with(B, Config { other_fetches_max: 1, gate_fetches_max: 1, ..config() });
    for number in 10..14 {
        desk.step(Input::Repair { name: block(number).name, length: 100 });
    }
    assert_eq!(fetches(&desk.effects()).len(), 1);
    desk.offer(1, &[block(1)]);
    let asked = fetches(&desk.store_knows_nothing());
    assert_eq!(asked[0].2, block(1).name);
}

/// Blocks that wait behind the one entry whose block needs room must not use up the room.
#[test]
fn a_staging_budget_of_two_blocks_with_every_eleventh_payload_withheld_makes_progress() {
    let mut desk = Desk::with(B, Config { staged_bytes_max: 250, evict_ticks_min: 1, ..config() });
    let blocks: Vec<Named> = (1..=44).map(block).collect();
    let mut entered = 0;
    let mut pushed = 0;
    for round in 0..2000 {
        // The leader pushes what comes next, in any case more than there is room for, but never every eleventh.
        if round % 3 == 0 && pushed < blocks.len() {
            if (pushed + 1) % 11 != 0 {
                desk.pushed(B, blocks[pushed], round);
            }
            pushed += 1;
        }
        let first = entered as u64 + 1;
        let admitted = desk.offer(first, &blocks[entered..]);
        for index in 0..admitted {
            desk.appended(first + index as u64, &[blocks[entered + index]]);
            desk.applied(first + index as u64, &[blocks[entered + index]], &[]);
        }
        entered += admitted;
        desk.ticks(1);
        for effect in desk.effects() {
            match effect {
                Effect::Store { payload, .. } => desk.stored(payload),
                Effect::Stat { name } => desk.step(Input::Statted { name, length: None }),
                Effect::Delete { name } => desk.step(Input::Removed { name, result: Ok(()) }),
                Effect::CheckRows { ticket, names } => desk.step(Input::RowsChecked { ticket, absent: names }),
                Effect::Send { to, message: Message::Fetch(fetch) } => {
                    let header = BulkHeader::Fetched { ticket: fetch.ticket, name: fetch.name };
                    let payload = Named { name: fetch.name, length: fetch.length };
                    desk.step(Input::Arrived { from: to, header, payload });
                }
                _ => {}
            }
        }
    }
    assert_eq!(entered, blocks.len());
    assert_eq!(desk.exchange.status().leases.total(), 0);
}

#[test]
fn a_repair_writes_over_the_damaged_copy() {
    let mut desk = Desk::led_by(B);
    desk.staged(block(1));
    desk.appended(1, &[block(1)]);
    desk.step(Input::Repair { name: block(1).name, length: 100 });
    // A damaged copy doesn't count as held.
    assert_eq!(desk.offer(2, &[block(1)]), 0);
    let asked = fetches(&desk.effects());
    let header = BulkHeader::Fetched { ticket: asked[0].1, name: block(1).name };
    desk.step(Input::Arrived { from: B, header, payload: block(1) });
    assert_eq!(
        desk.effects(),
        [Effect::Store { payload: block(1), intent: StoreIntent::Replace, space: Space::Common }]
    );
    desk.stored(block(1));
    assert!(desk.effects().contains(&Effect::Repaired { name: block(1).name }));
    assert_eq!(desk.offer(2, &[block(1)]), 1);
}

#[test]
fn a_repair_ends_in_bounded_time() {
    let mut desk = Desk::led_by(B);
    desk.step(Input::Repair { name: block(1).name, length: 100 });
    desk.ticks(config().repair_ticks_max);
    assert!(desk.effects().contains(&Effect::RepairFailed { name: block(1).name }));
    let status = desk.exchange.status();
    assert_eq!((status.wanted, status.leases.total(), status.other_fetches), (0, 0, 0));
}

#[test]
fn an_answer_that_nobody_waits_for_is_not_stored() {
    let mut desk = Desk::led_by(B);
    let header = BulkHeader::Fetched { ticket: ticket_of(ME, 1), name: block(1).name };
    desk.step(Input::Arrived { from: B, header, payload: block(1) });
    assert_eq!(desk.effects(), []);
}

#[test]
fn a_refusal_of_an_earlier_boot_doesnt_end_a_fetch() {
    let mut desk = Desk::led_by(B);
    desk.offer(1, &[block(1)]);
    let asked = fetches(&desk.store_knows_nothing());
    let ticket = RemoteTicket { boot: BootNonce(6), ..asked[0].1 };
    let missing = Missing { ticket, name: block(1).name, reason: MissingReason::Absent };
    desk.step(Input::Message { from: B, message: Message::Missing(missing) });
    assert_eq!(fetches(&desk.effects()), []);
    assert_eq!(desk.exchange.status().gate_fetches, 1);
}

#[test]
fn a_payload_is_leased_while_it_is_read_for_a_peer() {
    let mut desk = Desk::with(B, Config { serves_max: 1, ..config() });
    desk.staged(block(1));
    let fetch = |number| Fetch { ticket: ticket_of(C, number), name: block(1).name, length: 100 };
    desk.step(Input::Message { from: C, message: Message::Fetch(fetch(1)) });
    let effects = desk.effects();
    let [Effect::Serve { serve, to: C, .. }] = effects[..] else { panic!("{effects:?}") };
    assert_eq!(desk.exchange.status().leases.reader, 1);
    // No more than the bound at once.
    desk.step(Input::Message { from: C, message: Message::Fetch(fetch(2)) });
    let busy = Missing { ticket: ticket_of(C, 2), name: block(1).name, reason: MissingReason::Busy };
    assert_eq!(desk.effects(), [Effect::Send { to: C, message: Message::Missing(busy) }]);

    desk.step(Input::Served { ticket: serve, outcome: ServeOutcome::Damaged });
    let damaged = Missing { ticket: ticket_of(C, 1), name: block(1).name, reason: MissingReason::Damaged };
    assert_eq!(desk.effects(), [Effect::Send { to: C, message: Message::Missing(damaged) }]);
    assert_eq!(desk.exchange.status().leases.reader, 0);
}

#[test]
fn payloads_that_are_read_for_peers_are_bounded_in_bytes_too() {
    let mut desk = Desk::with(B, Config { serve_bytes_max: 250, ..config() });
    let mut serves = Vec::new();
    for number in 0..4 {
        desk.staged(block(number));
        let fetch = Fetch { ticket: ticket_of(C, number), name: block(number).name, length: 100 };
        desk.step(Input::Message { from: C, message: Message::Fetch(fetch) });
        serves.extend(desk.effects().into_iter().filter(|effect| matches!(effect, Effect::Serve { .. })));
    }
    assert_eq!(serves.len(), 2);
}

#[test]
fn only_durable_payloads_are_served() {
    let mut desk = Desk::led_by(B);
    desk.pushed(B, block(1), 1);
    desk.effects();
    let fetch = Fetch { ticket: ticket_of(C, 1), name: block(1).name, length: 100 };
    desk.step(Input::Message { from: C, message: Message::Fetch(fetch) });
    let busy = Missing { ticket: ticket_of(C, 1), name: block(1).name, reason: MissingReason::Busy };
    assert_eq!(desk.effects(), [Effect::Send { to: C, message: Message::Missing(busy) }]);
}

#[test]
fn a_gap_at_the_gate_is_filled_by_a_push_although_staging_is_full() {
    let mut desk = Desk::with(B, Config { staged_bytes_max: 100, ..config() });
    desk.staged(block(1));
    desk.announced(C, block(2));
    desk.offer(1, &[block(2)]);
    desk.store_knows_nothing();
    desk.pushed(C, block(2), 1);
    assert_eq!(stores(&desk.effects()), [block(2)]);
    assert_eq!(desk.exchange.waiting_for(), Some(LogIndex(1)));
}

#[test]
fn peer_messages_are_read_back_as_they_were_written() {
    let ticket = ticket_of(B, 3);
    let fetch = Message::Fetch(Fetch { ticket, name: block(1).name, length: 7 });
    let bytes = postcard::to_allocvec(&fetch).expect("a message can be encoded");
    assert_eq!(postcard::from_bytes::<Message>(&bytes), Ok(fetch));
    let header = BulkHeader::Push { ticket, name: block(1).name };
    let bytes = postcard::to_allocvec(&header).expect("a header can be encoded");
    assert_eq!(postcard::from_bytes::<BulkHeader>(&bytes), Ok(header));
}

/// The store still counts the damaged copy as one: asking it after the failed write would call the block durable.
#[test]
fn a_failed_rewrite_of_a_damaged_copy_is_no_repair() {
    let mut desk = Desk::led_by(B);
    desk.step(Input::Repair { name: block(1).name, length: 100 });
    assert_eq!(desk.offer(1, &[block(1)]), 0);
    let (_, ticket, name) = fetches(&desk.effects())[0];
    desk.step(Input::Arrived { from: B, header: BulkHeader::Fetched { ticket, name }, payload: block(1) });
    assert_eq!(stores(&desk.effects()), [block(1)]);
    desk.step(Input::Stored { name, result: Err(StoreFailure::Full) });
    let after = desk.effects();
    assert_eq!(after, [], "neither repaired nor durable, and nothing to ask the store");
    assert_eq!(desk.offer(1, &[block(1)]), 0);
    desk.ticks(config().retry_ticks);
    assert_eq!(fetches(&desk.effects()).len(), 1, "it is tried again");
}

/// What waits behind may be the deletes that make room. Nobody else gets at the reserve.
#[test]
fn what_the_gate_waits_for_may_use_the_reserve_once_it_found_no_room() {
    let mut desk = Desk::led_by(B);
    desk.offer(1, &[block(1)]);
    desk.store_knows_nothing();
    let mut spaces = Vec::new();
    for _ in 0..2 {
        let header = BulkHeader::Fetched { ticket: ticket_of(ME, 1), name: block(1).name };
        desk.step(Input::Arrived { from: B, header, payload: block(1) });
        desk.pushed(C, block(2), 7);
        spaces.extend(desk.effects().iter().filter_map(|effect| match effect {
            Effect::Store { payload, space, .. } => Some((*payload, *space)),
            _ => None,
        }));
        for block in [block(1), block(2)] {
            desk.step(Input::Stored { name: block.name, result: Err(StoreFailure::Full) });
        }
        desk.ticks(config().retry_ticks);
        desk.store_knows_nothing();
    }
    let expected = [(block(1), Space::Common), (block(2), Space::Common), (block(1), Space::Reserve)];
    assert_eq!(spaces, [expected[0], expected[1], expected[2], expected[1]]);
}
