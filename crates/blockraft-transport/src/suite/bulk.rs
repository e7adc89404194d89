//! Checks of the bulk lane.

use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::Poll;
use core::time::Duration;
use std::sync::atomic::{AtomicUsize, Ordering};

use blockraft_types::NodeId;
use bytes::Bytes;

use crate::bulk::{Bulk, BulkError};
use crate::limits::{BULK_BODY_BYTES_MAX, BULK_HEADER_BYTES_MAX};
use crate::peer::Peer;
use crate::suite::fixture::{Fixture, Started};
use crate::suite::wait::{all, connected_pair, expect, peer, race, send, within};
use crate::transport::Incoming;

/// Fifty transfers side by side, of sizes from nothing to half a mebibyte.
pub async fn transfers_arrive_whole_and_under_their_senders_name(fixture: &impl Fixture) {
    let (one, two) = connected_pair(fixture).await;
    let transfers: Vec<Bulk> = (0..50).map(|number| patterned(number, number * number * 200)).collect();
    let mut tasks: Vec<Task> = Vec::new();
    for transfer in &transfers {
        let source = &two;
        tasks.push(Box::pin(async move {
            let sent = within(fixture, "a transfer arrives", source.transport.bulk(NodeId(1), transfer.clone())).await;
            assert_eq!(sent, Ok(()));
        }));
    }
    tasks.push(Box::pin(async {
        let mut arrived = Vec::new();
        for _ in &transfers {
            let (from, transfer) = next_bulk(fixture, &one).await;
            assert_eq!(from, peer(2, 1));
            arrived.push(transfer);
        }
        arrived.sort_by_key(|transfer| transfer.body.len());
        assert!(arrived == transfers, "transfers differ from what was sent");
    }));
    all(tasks).await;
    let status = two.transport.peers();
    let status = status.iter().find(|status| status.node == NodeId(1)).expect("a connected peer has a status");
    assert_eq!((status.bulk_bytes_in_flight, status.bulks_sent), (0, 50));
}

/// Header and body, each one byte below, at and above its limit.
pub async fn the_largest_transfer_arrives_and_one_byte_more_is_refused(fixture: &impl Fixture) {
    let (one, two) = connected_pair(fixture).await;
    let of = |header: usize, body: usize| Bulk { header: vec![7; header].into(), body: vec![9; body].into() };
    let carried = [
        of(BULK_HEADER_BYTES_MAX - 1, 0),
        of(BULK_HEADER_BYTES_MAX, 1),
        of(0, BULK_BODY_BYTES_MAX - 1),
        of(BULK_HEADER_BYTES_MAX, BULK_BODY_BYTES_MAX),
    ];
    for transfer in carried {
        let tasks: [Task; 2] = [
            Box::pin(async {
                let sent = within(fixture, "a large transfer", two.transport.bulk(NodeId(1), transfer.clone())).await;
                assert_eq!(sent, Ok(()));
            }),
            Box::pin(async {
                assert!(next_bulk(fixture, &one).await.1 == transfer, "a large transfer was damaged");
            }),
        ];
        all(tasks).await;
    }
    let header = two.transport.bulk(NodeId(1), of(BULK_HEADER_BYTES_MAX + 1, 0)).await;
    assert_eq!(header, Err(BulkError::HeaderTooLarge { bytes: BULK_HEADER_BYTES_MAX + 1 }));
    let body = two.transport.bulk(NodeId(1), of(0, BULK_BODY_BYTES_MAX + 1)).await;
    assert_eq!(body, Err(BulkError::BodyTooLarge { bytes: BULK_BODY_BYTES_MAX + 1 }));
}

/// A stranger, and oneself.
pub async fn a_transfer_for_nobody_fails_at_once(fixture: &impl Fixture) {
    let (one, _two) = connected_pair(fixture).await;
    for nobody in [NodeId(1), NodeId(99)] {
        let failed = within(fixture, "a failure", one.transport.bulk(nobody, patterned(1, 9))).await;
        assert_eq!(failed, Err(BulkError::NotConnected { peer: nobody }));
    }
}

/// Twice the bound of transfers that nobody takes: at most the bound arrives, three hundred frames make their round
/// trips meanwhile, and the lane works again as soon as somebody takes transfers.
pub async fn an_unread_bulk_lane_is_bounded_and_delays_no_frame(fixture: &impl Fixture) {
    let (one, two) = connected_pair(fixture).await;
    let received_bytes = AtomicUsize::new(0);
    let flood = flood(fixture, &two, NodeId(1), &received_bytes);
    let frames = async {
        for number in 0..300u32 {
            let frame = Bytes::copy_from_slice(&number.to_be_bytes());
            send(fixture, &two, NodeId(1), frame.clone()).await;
            expect(fixture, &one, Incoming::Message { from: peer(2, 1), frame: frame.clone() }).await;
            send(fixture, &one, NodeId(2), frame.clone()).await;
            expect(fixture, &two, Incoming::Message { from: peer(1, 1), frame }).await;
            fixture.sleep(Duration::from_millis(1)).await;
        }
    };
    let alongside = race(flood, frames).await;
    assert!(alongside.is_none(), "transfers that nobody takes neither waited nor were refused");
    let bound = fixture.bulk_unread_bytes_max();
    assert!(received_bytes.load(Ordering::Relaxed) <= bound, "more than {bound} unread bytes were received");
    recovers(fixture, &one, &two).await;
}

/// Peer 1 takes nothing; transfers from peer 2 to peer 3 go on.
pub async fn an_unread_bulk_lane_costs_other_peers_nothing(fixture: &impl Fixture) {
    let (one, two) = connected_pair(fixture).await;
    let three = fixture.start(peer(3, 1)).await;
    two.transport.set_peer(NodeId(3), Some(three.address.clone()));
    expect(fixture, &two, Incoming::Connected(peer(3, 1))).await;
    let received_bytes = AtomicUsize::new(0);
    let flood = flood(fixture, &two, NodeId(1), &received_bytes);
    let others = async {
        for number in 0..40 {
            let transfer = patterned(number, 256 << 10);
            let sent =
                within(fixture, "a transfer to the other", two.transport.bulk(NodeId(3), transfer.clone())).await;
            assert_eq!(sent, Ok(()));
            assert!(next_bulk(fixture, &three).await.1 == transfer, "a transfer was damaged");
        }
    };
    race(flood, others).await;
    drop(one);
}

/// A hundred transfers are dropped at a hundred different moments.
pub async fn a_dropped_transfer_arrives_whole_or_never_and_gives_its_credit_back(fixture: &impl Fixture) {
    let (one, two) = connected_pair(fixture).await;
    let transfer = |number| patterned(number, 300_000);
    let tasks: [Task; 2] = [
        Box::pin(async {
            for number in 0..100 {
                drop_after_polls(number % 7, two.transport.bulk(NodeId(1), transfer(number))).await;
            }
            let last = within(fixture, "credit", two.transport.bulk(NodeId(1), patterned(1_000, 5_000_000))).await;
            assert_eq!(last, Ok(()));
        }),
        Box::pin(async {
            let mut arrived = Vec::new();
            loop {
                let (_, found) = next_bulk(fixture, &one).await;
                let number = number_of(&found);
                if number == 1_000 {
                    return;
                }
                assert!(found == transfer(number), "a dropped transfer arrived in part");
                assert!(!arrived.contains(&number), "a dropped transfer arrived twice");
                arrived.push(number);
            }
        }),
    ];
    all(tasks).await;
    let status = two.transport.peers();
    assert!(status.iter().all(|status| status.bulk_bytes_in_flight == 0), "credit is missing");
}

type Task<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Sends twice the unread bound, counting the bytes that were received; ends only when all of it was.
async fn flood(fixture: &impl Fixture, source: &Started, target: NodeId, received_bytes: &AtomicUsize) {
    let transfers = 2 * fixture.bulk_unread_bytes_max() / (1 << 20);
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for number in 0..transfers {
        tasks.push(Box::pin(async move {
            let transfer = patterned(number, 1 << 20);
            loop {
                match source.transport.bulk(target, transfer.clone()).await {
                    Ok(()) => break,
                    Err(error) => assert_eq!(error, BulkError::Refused { peer: target }),
                }
                fixture.sleep(Duration::from_millis(50)).await;
            }
            received_bytes.fetch_add(transfer.bytes(), Ordering::Relaxed);
        }));
    }
    all(tasks).await;
}

async fn recovers(fixture: &impl Fixture, receiver: &Started, sender: &Started) {
    let tasks: [Task; 2] = [
        Box::pin(async {
            let send = async {
                while sender.transport.bulk(receiver_id(), patterned(1_000, 100)).await.is_err() {
                    fixture.sleep(Duration::from_millis(10)).await;
                }
            };
            within(fixture, "the bulk lane recovers", send).await;
        }),
        Box::pin(async { while number_of(&next_bulk(fixture, receiver).await.1) != 1_000 {} }),
    ];
    all(tasks).await;
}

const fn receiver_id() -> NodeId {
    NodeId(1)
}

async fn next_bulk(fixture: &impl Fixture, at: &Started) -> (Peer, Bulk) {
    let transfer = within(fixture, "a transfer arrives", at.transport.receive_bulk()).await;
    transfer.expect("nobody closed this transport")
}

async fn drop_after_polls<T>(polls: usize, future: impl Future<Output = T>) {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 || future.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        left -= 1;
        Poll::Pending
    })
    .await;
}

fn patterned(number: usize, body_bytes: usize) -> Bulk {
    // A prime period, so that no two pieces of a datagram's or a page's size are alike; copied, because a check must
    // not keep a transport's only thread busy for as long as computing each byte would.
    let period: Vec<u8> = (0..251).map(|at| (at + number) as u8).collect();
    let mut body = period.repeat(body_bytes.div_ceil(period.len()));
    body.truncate(body_bytes);
    Bulk { header: Bytes::copy_from_slice(&(number as u64).to_be_bytes()), body: body.into() }
}

fn number_of(transfer: &Bulk) -> usize {
    let header: [u8; 8] = transfer.header.as_ref().try_into().expect("the suite's headers are numbers");
    u64::from_be_bytes(header) as usize
}
