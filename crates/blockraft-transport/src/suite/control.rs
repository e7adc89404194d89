//! Checks of the control lane.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

use blockraft_types::NodeId;
use bytes::Bytes;

use crate::limits::FRAME_BYTES_MAX;
use crate::send::SendError;
use crate::suite::fixture::Fixture;
use crate::suite::wait::{all, connected_pair, expect, next, peer, send, within};
use crate::transport::Incoming;

/// A thousand frames each way, of mixed sizes, all of them taken by `send`.
pub async fn frames_arrive_in_the_order_sent_and_once(fixture: &impl Fixture) {
    let (one, two) = connected_pair(fixture).await;
    let frame = |number: usize| Bytes::from(vec![number as u8; number * 7 % 3_000]);
    let mut tasks: Vec<core::pin::Pin<Box<dyn Future<Output = ()> + Send>>> = Vec::new();
    for (source, target, from, to) in [(&one, &two, 1, 2), (&two, &one, 2, 1)] {
        tasks.push(Box::pin(async move {
            for number in 0..1_000 {
                send(fixture, source, NodeId(to), frame(number)).await;
            }
        }));
        tasks.push(Box::pin(async move {
            for number in 0..1_000 {
                expect(fixture, target, Incoming::Message { from: peer(from, 1), frame: frame(number) }).await;
            }
        }));
    }
    all(tasks).await;
}

/// Empty, one byte below the limit and at the limit: carried. One byte above: refused, and nothing breaks.
pub async fn the_largest_frame_arrives_and_one_byte_more_is_refused(fixture: &impl Fixture) {
    let (one, two) = connected_pair(fixture).await;
    for bytes in [0, FRAME_BYTES_MAX - 1, FRAME_BYTES_MAX] {
        let frame = Bytes::from(vec![0xa5; bytes]);
        send(fixture, &two, NodeId(1), frame.clone()).await;
        expect(fixture, &one, Incoming::Message { from: peer(2, 1), frame }).await;
    }
    let refused = two.transport.send(NodeId(1), Bytes::from(vec![0; FRAME_BYTES_MAX + 1]));
    assert_eq!(refused, Err(SendError::TooLarge { bytes: FRAME_BYTES_MAX + 1 }));
    send(fixture, &two, NodeId(1), "after".into()).await;
    expect(fixture, &one, Incoming::Message { from: peer(2, 1), frame: "after".into() }).await;
}

/// A stranger, and oneself.
pub async fn a_frame_for_nobody_is_dropped_at_once(fixture: &impl Fixture) {
    let (one, _two) = connected_pair(fixture).await;
    for nobody in [NodeId(1), NodeId(99)] {
        let dropped = one.transport.send(nobody, "hello?".into());
        assert_eq!(dropped, Err(SendError::NotConnected { peer: nobody }));
    }
}

/// Nobody receives: the queue fills within a bounded number of bytes, and what `send` had taken arrives, in order.
pub async fn a_full_queue_drops_and_what_it_took_arrives_in_order(fixture: &impl Fixture) {
    let (one, two) = connected_pair(fixture).await;
    let frame = |number: u32| {
        let mut frame = vec![0; 64 << 10];
        frame[..4].copy_from_slice(&number.to_be_bytes());
        Bytes::from(frame)
    };
    let mut taken = 0;
    let full = loop {
        match two.transport.send(NodeId(1), frame(taken)) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < FLOOD_FRAMES_MAX, "the control queue has no bound");
    };
    assert_eq!(full, SendError::QueueFull { peer: NodeId(1) });
    for number in 0..taken {
        expect(fixture, &one, Incoming::Message { from: peer(2, 1), frame: frame(number) }).await;
    }
    send(fixture, &two, NodeId(1), "after".into()).await;
    expect(fixture, &one, Incoming::Message { from: peer(2, 1), frame: "after".into() }).await;
    let status = two.transport.peers();
    assert!(status.iter().any(|status| status.node == NodeId(1) && status.frames_dropped > 0), "drops are counted");
}

/// A consumer that waits in a `select!` drops and repeats its call all the time.
pub async fn a_dropped_receive_loses_nothing(fixture: &impl Fixture) {
    let (one, two) = connected_pair(fixture).await;
    for number in 0..100u32 {
        drop_after_one_poll(one.transport.receive()).await;
        let frame = Bytes::copy_from_slice(&number.to_be_bytes());
        send(fixture, &two, NodeId(1), frame.clone()).await;
        let arrived = within(fixture, "a frame after a dropped receive", next(fixture, &one)).await;
        assert_eq!(arrived, Incoming::Message { from: peer(2, 1), frame });
    }
}

async fn drop_after_one_poll<T>(future: impl Future<Output = T>) {
    let mut future = pin!(future);
    let pending = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await;
    assert!(pending, "nothing was sent yet");
}

/// 128 MiB of 64 KiB frames: far beyond any queue that deserves to be called bounded.
const FLOOD_FRAMES_MAX: u32 = 2_048;
