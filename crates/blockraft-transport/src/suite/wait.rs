//! Bounded waits, without a runtime of our own.

use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::Poll;
use core::time::Duration;

use blockraft_types::{BootNonce, Incarnation, NodeId};
use bytes::Bytes;

use crate::peer::Peer;
use crate::send::SendError;
use crate::suite::fixture::{Fixture, Started};
use crate::transport::Incoming;

/// A peer for checks: its incarnation follows from its id.
pub(crate) fn peer(id: u64, boot: u64) -> Peer {
    Peer { node: NodeId(id), incarnation: Incarnation::from_bytes([id as u8; 16]), boot: BootNonce(boot) }
}

/// Starts peers 1 and 2; 2 dials 1. Both have taken each other's `Connected`.
pub(crate) async fn connected_pair(fixture: &impl Fixture) -> (Started, Started) {
    let one = fixture.start(peer(1, 1)).await;
    let two = fixture.start(peer(2, 1)).await;
    two.transport.set_peer(NodeId(1), Some(one.address.clone()));
    expect(fixture, &one, Incoming::Connected(peer(2, 1))).await;
    expect(fixture, &two, Incoming::Connected(peer(1, 1))).await;
    (one, two)
}

/// The next event or frame, which has to be this one.
pub(crate) async fn expect(fixture: &impl Fixture, at: &Started, expected: Incoming) {
    assert_eq!(next(fixture, at).await, expected);
}

/// The next event or frame.
pub(crate) async fn next(fixture: &impl Fixture, at: &Started) -> Incoming {
    within(fixture, "something arrives", at.transport.receive()).await.expect("nobody closed this transport")
}

/// Sends a frame, giving a full queue time to drain.
pub(crate) async fn send(fixture: &impl Fixture, from: &Started, to: NodeId, frame: Bytes) {
    within(fixture, "the queue has room", async {
        while let Err(error) = from.transport.send(to, frame.clone()) {
            assert_eq!(error, SendError::QueueFull { peer: to });
            fixture.sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// The future's value; panics, naming what was expected, when it takes too long.
pub(crate) async fn within<T>(fixture: &impl Fixture, expected: &str, future: impl Future<Output = T>) -> T {
    let value = race(future, fixture.sleep(PATIENCE)).await;
    value.unwrap_or_else(|| panic!("expected within {PATIENCE:?}: {expected}"))
}

/// The future's value, or `None` when `limit` is over first.
pub(crate) async fn race<T>(future: impl Future<Output = T>, limit: impl Future<Output = ()>) -> Option<T> {
    let (mut future, mut limit) = (pin!(future), pin!(limit));
    poll_fn(|context| {
        if let Poll::Ready(value) = future.as_mut().poll(context) {
            return Poll::Ready(Some(value));
        }
        limit.as_mut().poll(context).map(|()| None)
    })
    .await
}

/// Runs tasks side by side, to the end of all.
pub(crate) async fn all<'a>(tasks: impl IntoIterator<Item = Pin<Box<dyn Future<Output = ()> + Send + 'a>>>) {
    let mut running: Vec<_> = tasks.into_iter().collect();
    poll_fn(|context| {
        running.retain_mut(|task| task.as_mut().poll(context).is_pending());
        if running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Long enough for a loaded machine; a transport that keeps its contract needs milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);
