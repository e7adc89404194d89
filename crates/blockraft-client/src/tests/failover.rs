use std::time::Duration;

use blockraft_types::NodeId;
use blockraft_wire::client::{Consistency, GiveUpReason, Refusal, RetryElsewhereReason, RetryLaterReason};
use tokio::time::{Instant, advance};

use crate::put::{OnUnknown, PutError};
use crate::tests::scripted::{Cluster, Life, Reply, answered, at, block, honest, refused, scripts};

const FAILOVER_MAX: Duration = Duration::from_millis(300);

async fn reads_survive(life: Life) {
    let found = block("hello");
    let nodes = Cluster::new([honest(1, std::slice::from_ref(&found)), honest(1, std::slice::from_ref(&found))]);
    let client = nodes.client();
    assert!(client.has(found.multihash(), Consistency::Confirmed).await.unwrap());
    assert_eq!((nodes.requests(1).len(), nodes.requests(2).len()), (1, 0));

    nodes.becomes(1, life);
    let begun = Instant::now();
    assert_eq!(client.get(found.multihash(), Consistency::Confirmed).await.unwrap(), Some(found.clone()));
    assert!(begun.elapsed() < FAILOVER_MAX, "{life:?} took {:?}", begun.elapsed());

    let begun = Instant::now();
    assert!(client.has(found.multihash(), Consistency::Confirmed).await.unwrap());
    assert_eq!(begun.elapsed(), Duration::ZERO, "the client went back to the dead node");
}

#[tokio::test(start_paused = true)]
async fn a_read_leaves_a_killed_node_within_300_ms() {
    reads_survive(Life::Killed).await;
}

#[tokio::test(start_paused = true)]
async fn a_read_leaves_a_silent_node_within_300_ms() {
    reads_survive(Life::Stopped).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_never_there_costs_less_than_300_ms() {
    for life in [Life::Killed, Life::Stopped] {
        let nodes = Cluster::new([honest(1, &[]), honest(1, &[])]);
        nodes.becomes(1, life);
        let begun = Instant::now();
        nodes.client().put(block("hello")).await.unwrap();
        assert!(begun.elapsed() < FAILOVER_MAX, "{life:?} took {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_lives_and_takes_its_time_is_waited_for() {
    let slow = |request: &_| {
        let Reply::Answer(response) = honest(1, &[])(request) else { unreachable!("it answers") };
        Reply::After(Duration::from_secs(20), response)
    };
    let nodes = Cluster::new(scripts([Box::new(slow), Box::new(honest(1, &[]))]));
    nodes.client().put(block("hello")).await.unwrap();
    assert!(nodes.requests(2).is_empty(), "the client lost patience with a living node");
}

#[tokio::test(start_paused = true)]
async fn a_put_outside_of_the_session_that_dies_with_its_node_is_unknown_and_not_tried_again() {
    for (life, within) in [(Life::Killed, FAILOVER_MAX), (Life::Stopped, Duration::from_secs(3))] {
        let nodes = Cluster::new(scripts([Box::new(move |_| Reply::Dies(life)), Box::new(honest(1, &[]))]));
        let client = nodes.client();
        let begun = Instant::now();
        let put = client.put_with(block("hello"), OnUnknown::Surface).await;
        assert!(matches!(put, Err(PutError::Unknown { node: NodeId(1) })), "{put:?}");
        assert!(begun.elapsed() < within, "{life:?} took {:?}", begun.elapsed());
        assert!(nodes.requests(2).is_empty(), "an unknown put was tried again");

        client.put(block("world")).await.unwrap();
        assert_eq!(nodes.requests(2).len(), 1, "the next put goes elsewhere");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_dies_with_its_node_is_asked_for_elsewhere_in_its_turn() {
    for life in [Life::Killed, Life::Stopped] {
        let nodes = Cluster::new(scripts([Box::new(move |_| Reply::Dies(life)), Box::new(honest(1, &[]))]));
        let client = nodes.client();
        let begun = Instant::now();
        client.put(block("hello")).await.unwrap();
        assert!(begun.elapsed() < FAILOVER_MAX, "{life:?} took {:?}", begun.elapsed());
        let [first, second] = [1, 2].map(|node| nodes.requests(node).first().unwrap().operation.clone());
        assert_eq!(first, second);
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_through_a_node_that_died_while_nobody_asked_it_is_done_elsewhere() {
    for life in [Life::Killed, Life::Stopped] {
        let nodes = Cluster::new([honest(1, &[]), honest(1, &[])]);
        let client = nodes.client();
        client.put(block("hello")).await.unwrap();
        advance(Duration::from_secs(5)).await;
        nodes.becomes(1, life);
        let begun = Instant::now();
        client.put(block("world")).await.unwrap();
        assert!(begun.elapsed() < FAILOVER_MAX, "{life:?} took {:?}", begun.elapsed());
        assert_eq!((nodes.requests(1).len(), nodes.requests(2).len()), (1, 1), "{life:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_surely_not_done_is_done_elsewhere() {
    let not_done: [fn() -> Reply; 4] = [
        || Reply::NotSent,
        || Reply::Busy,
        || refused(Refusal::RetryElsewhere { reason: RetryElsewhereReason::NoLeader, leader: None }),
        || refused(Refusal::RetryLater { reason: RetryLaterReason::NoLeader }),
    ];
    for reply in not_done {
        let nodes = Cluster::new(scripts([Box::new(move |_| reply()), Box::new(honest(1, &[]))]));
        nodes.client().put(block("hello")).await.unwrap();
        assert!(!nodes.requests(1).is_empty(), "{:?}", reply());
        assert_eq!(nodes.requests(2).len(), 1, "{:?}", reply());
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_between_leaders_is_asked_until_it_has_one() {
    let begun = Instant::now();
    let electing = move |request: &_| match begun.elapsed() < Duration::from_secs(5) {
        true => refused(Refusal::RetryLater { reason: RetryLaterReason::NoLeader }),
        false => honest(1, &[])(request),
    };
    let nodes = Cluster::new([electing, electing, electing]);
    nodes.client().put(block("hello")).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(6), "took {:?}", begun.elapsed());
    let requests: usize = (1..=3).map(|node| nodes.requests(node).len()).sum();
    assert!(requests < 60, "{requests} requests in five seconds are no back-off");
}

#[tokio::test(start_paused = true)]
async fn what_never_passes_ends_at_once() {
    let forbidden = |_: &_| refused(Refusal::GiveUp { reason: GiveUpReason::Forbidden });
    let nodes = Cluster::new([forbidden, forbidden]);
    let put = nodes.client().put(block("hello")).await;
    assert!(matches!(put, Err(PutError::Refused { node: NodeId(1), reason: GiveUpReason::Forbidden })), "{put:?}");
    assert!(nodes.requests(2).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_gone_is_given_up_in_time_and_by_name() {
    let nodes = Cluster::new([honest(1, &[]), honest(1, &[])]);
    nodes.becomes(1, Life::Killed);
    nodes.becomes(2, Life::Stopped);
    let begun = Instant::now();
    let put = nodes.client().put(block("hello")).await;
    let Err(PutError::Unavailable(unavailable)) = put else { panic!("{put:?}") };
    assert!(unavailable.is_unreachable());
    let text = unavailable.to_string();
    assert!(text.contains("node 1 at node-1:4001: nobody listens there"), "{text}");
    assert!(text.contains("node 2 at node-2:4001: no connection yet"), "{text}");
    assert!(begun.elapsed() < Duration::from_secs(31), "took {:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn each_request_carries_the_highest_position_seen() {
    let mut index = 10;
    let moving = move |_: &_| {
        index = if index == 10 { 30 } else { 20 };
        answered(
            index,
            blockraft_wire::client::Answer::Stat { presences: vec![blockraft_wire::client::Presence::Absent] },
        )
    };
    let nodes = Cluster::new(scripts([Box::new(moving), Box::new(honest(5, &[]))]));
    let client = nodes.client();
    let name = *block("hello").multihash();
    for _ in 0..3 {
        client.stat(name, Consistency::Confirmed).await.unwrap();
    }
    nodes.becomes(1, Life::Killed);
    client.stat(name, Consistency::Confirmed).await.unwrap();
    let carried: Vec<_> = nodes.requests(1).iter().map(|request| request.position.index.0).collect();
    assert_eq!(carried, [0, 30, 30]);
    assert_eq!(nodes.requests(2).first().unwrap().position, at(30), "the position hops with the client");
    assert_eq!(client.position(), at(30));
    client.observe(at(40));
    assert_eq!(client.position(), at(40));
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_tells_its_node_and_its_own_position_and_not_the_highest() {
    let nodes = Cluster::new(scripts([Box::new(honest(30, &[])), Box::new(honest(20, &[]))]));
    let client = nodes.client();
    let name = *block("hello").multihash();
    assert_eq!(client.last_answer(), None);
    client.stat(name, Consistency::Confirmed).await.unwrap();
    assert_eq!(client.last_answer(), Some((NodeId(1), at(30))));
    nodes.becomes(1, Life::Killed);
    client.stat(name, Consistency::Confirmed).await.unwrap();
    assert_eq!(client.last_answer(), Some((NodeId(2), at(20))));
    assert_eq!(client.position(), at(30));
}
