//! The client lane: questions, answers, and what happens at each bound.

use std::sync::Arc;
use std::time::Duration;

use blockraft_transport::Transport;
use blockraft_transport::limits::{BULK_BODY_BYTES_MAX, BULK_HEADER_BYTES_MAX};
use blockraft_types::NodeId;
use bytes::Bytes;
use tokio::time::timeout;

use crate::client::connection::{ClientConnection, RequestError, StreamCode};
use crate::client::listener::{ClientListener, RespondError};
use crate::frame::Preamble;
use crate::refusal::Refusal;
use crate::tests::harness::{CLUSTER, Cluster, Node, peer, soon, start};

async fn client(cluster: &Cluster, node: &Node) -> ClientConnection {
    let (address, credentials) = (node.address(), cluster.client("alice"));
    soon("a connection", ClientConnection::connect(&address, &credentials, CLUSTER)).await.unwrap()
}

/// Answers everything with what was asked.
async fn echo(clients: &ClientListener) {
    while let Some(request) = clients.accept().await {
        let _client_gone = request.responder.respond(request.header, request.body).await;
    }
}

#[tokio::test]
async fn a_request_is_answered_and_names_its_client() {
    let cluster = Cluster::new();
    let node = cluster.start(peer(1, 1));
    let client = client(&cluster, &node).await;
    assert_eq!(client.node(), NodeId(1));
    let (answer, ()) = tokio::join!(client.request("get".into(), "body".into()), async {
        let request = node.clients.accept().await.unwrap();
        assert_eq!(request.client.as_str(), "alice");
        assert_eq!((request.header, request.body), ("get".into(), "body".into()));
        request.responder.respond("ok".into(), "bytes".into()).await.unwrap();
    });
    assert_eq!(answer, Ok(("ok".into(), "bytes".into())));
}

#[tokio::test]
async fn requests_up_to_their_limits_are_carried_and_beyond_them_refused() {
    let cluster = Cluster::new();
    let node = cluster.start(peer(1, 1));
    let client = client(&cluster, &node).await;
    let of = |header: usize, body: usize| (Bytes::from(vec![1; header]), Bytes::from(vec![2; body]));
    let serving = echo(&node.clients);
    let asking = async {
        for (header, body) in
            [of(0, 0), of(BULK_HEADER_BYTES_MAX - 1, 1), of(BULK_HEADER_BYTES_MAX, BULK_BODY_BYTES_MAX)]
        {
            let answer = soon("an answer", client.request(header.clone(), body.clone())).await;
            assert!(answer == Ok((header, body)), "an answer differs");
        }
        for (header, body) in [of(BULK_HEADER_BYTES_MAX + 1, 0), of(0, BULK_BODY_BYTES_MAX + 1)] {
            let refused = client.request(header.clone(), body.clone()).await;
            let expected = RequestError::TooLarge { header_bytes: header.len(), body_bytes: body.len() };
            assert_eq!(refused, Err(expected));
        }
    };
    tokio::select! { () = asking => {}, () = serving => panic!("the node closed") }
}

#[tokio::test]
async fn hundreds_of_requests_at_once_are_all_answered() {
    let cluster = Cluster::new();
    let node = cluster.start(peer(1, 1));
    let client = Arc::new(client(&cluster, &node).await);
    let asking = async {
        let mut asking = tokio::task::JoinSet::new();
        for number in 0..300u32 {
            let client = Arc::clone(&client);
            asking.spawn(async move {
                let header = Bytes::copy_from_slice(&number.to_be_bytes());
                let body = Bytes::from(vec![number as u8; 10_000]);
                assert_eq!(client.request(header.clone(), body.clone()).await, Ok((header, body)));
            });
        }
        soon("all answers", asking.join_all()).await;
    };
    tokio::select! { () = asking => {}, () = echo(&node.clients) => panic!("the node closed") }
}

#[tokio::test]
async fn a_dropped_request_reaches_its_responder_and_leaves_the_lane_usable() {
    let cluster = Cluster::new();
    let node = cluster.start(peer(1, 1));
    let client = client(&cluster, &node).await;
    for _ in 0..200 {
        let asking = client.request("slow".into(), Bytes::new());
        let request = tokio::select! {
            answer = asking => panic!("nobody answered, and yet: {answer:?}"),
            request = node.clients.accept() => request.unwrap(),
        };
        soon("the cancellation", request.responder.cancelled()).await;
        assert_eq!(request.responder.respond("late".into(), Bytes::new()).await, Err(RespondError::Gone));
    }
    let (answer, ()) = tokio::join!(client.request("again".into(), Bytes::new()), async {
        let request = node.clients.accept().await.unwrap();
        request.responder.respond("yes".into(), Bytes::new()).await.unwrap();
    });
    assert_eq!(answer, Ok(("yes".into(), Bytes::new())));
}

#[tokio::test]
async fn only_a_refusal_says_that_nothing_was_done() {
    let cluster = Cluster::new();
    let node = cluster.start(peer(1, 1));
    let client = client(&cluster, &node).await;
    let (answer, ()) = tokio::join!(client.request("a".into(), Bytes::new()), async {
        node.clients.accept().await.unwrap().responder.refuse();
    });
    assert_eq!(answer, Err(RequestError::Busy));
    let (answer, ()) = tokio::join!(client.request("b".into(), Bytes::new()), async {
        drop(node.clients.accept().await.unwrap());
    });
    assert_eq!(answer, Err(RequestError::Unknown));
    let (answer, _unanswered) = tokio::join!(client.request("c".into(), Bytes::new()), async {
        let request = node.clients.accept().await.unwrap();
        node.transport.close().await;
        request
    });
    assert_eq!(answer, Err(RequestError::Unknown));
    assert_eq!(client.request("d".into(), Bytes::new()).await, Err(RequestError::NotSent));
    assert!(!client.is_open());
    assert_eq!(client.refusal(), Some(Refusal::Closing));
}

/// Two requests fill a client's half of the room; the third waits unread until one of them is answered.
#[tokio::test]
async fn requests_beyond_the_memory_budget_wait_for_an_answer_to_others() {
    let cluster = Cluster::new();
    let mut config = cluster.config(peer(1, 1));
    config.limits.client_request_bytes_max = 4 << 20;
    let node = start(config);
    let client = client(&cluster, &node).await;
    let body = Bytes::from(vec![0; (1 << 20) - 10]);
    let ask = || client.request("put".into(), body.clone());
    let serving = async {
        let first = soon("the first", node.clients.accept()).await.unwrap();
        let second = soon("the second", node.clients.accept()).await.unwrap();
        let third = timeout(Duration::from_millis(300), node.clients.accept()).await;
        assert!(third.is_err(), "a request over the budget was read");
        first.responder.respond("1".into(), Bytes::new()).await.unwrap();
        let third = soon("the third", node.clients.accept()).await.unwrap();
        second.responder.respond("2".into(), Bytes::new()).await.unwrap();
        third.responder.respond("3".into(), Bytes::new()).await.unwrap();
    };
    let (one, two, three, ()) = tokio::join!(ask(), ask(), ask(), serving);
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
}

#[tokio::test]
async fn connections_of_one_address_are_bounded() {
    let cluster = Cluster::new();
    let mut config = cluster.config(peer(1, 1));
    config.limits.client_connections_per_address_max = 2;
    let node = start(config);
    let serving = echo(&node.clients);
    let connecting = async {
        let (one, two) = (client(&cluster, &node).await, client(&cluster, &node).await);
        assert!(one.request("1".into(), Bytes::new()).await.is_ok());
        assert!(two.request("2".into(), Bytes::new()).await.is_ok());
        let three = client(&cluster, &node).await;
        assert!(three.request("3".into(), Bytes::new()).await.is_err());
        node.refuses(Refusal::TooMany).await;
        assert_eq!(three.refusal(), Some(Refusal::TooMany));
        one.close().await;
        let freed = async { while client(&cluster, &node).await.request("4".into(), Bytes::new()).await.is_err() {} };
        soon("a free place", freed).await;
    };
    tokio::select! { () = connecting => {}, () = serving => panic!("the node closed") }
}

#[tokio::test]
async fn accepting_ends_with_the_transport() {
    let cluster = Cluster::new();
    let node = cluster.start(peer(1, 1));
    let client = client(&cluster, &node).await;
    let asking = client.request("unread".into(), Bytes::new());
    let closing = async {
        // One call that waits meanwhile, and one that begins later.
        let taken = soon("the request", node.clients.accept()).await;
        let (ended, ()) = tokio::join!(soon("the end", node.clients.accept()), node.transport.close());
        assert!(taken.is_some() && ended.is_none());
        assert!(soon("the end", node.clients.accept()).await.is_none());
    };
    let (answer, ()) = tokio::join!(asking, closing);
    assert_eq!(answer, Err(RequestError::Unknown));
}

#[tokio::test]
async fn a_sign_of_life_needs_nobody_who_accepts_and_a_dead_node_gives_none() {
    let cluster = Cluster::new();
    let node = cluster.start(peer(1, 1));
    let client = client(&cluster, &node).await;
    assert_eq!(soon("a sign of life", client.prove()).await, Ok(()));
    let nothing = timeout(Duration::from_millis(50), node.clients.accept()).await;
    assert!(nothing.is_err(), "the question was handed up");
    node.transport.close().await;
    assert!(soon("the end", client.prove()).await.is_err());
}

/// Requests that are announced and don't come take no room from others: neither from other clients, nor for long from the
/// same one.
#[tokio::test]
async fn requests_that_never_come_hold_up_nobody() {
    let cluster = Cluster::new();
    let node = cluster.start(peer(1, 1));
    let idle = client(&cluster, &node).await;
    let announce = || async {
        let (mut send, receive) = idle.open_stream().await;
        let preamble = Preamble { header_bytes: 100, body_bytes: BULK_BODY_BYTES_MAX as u32 };
        send.write_all(&preamble.encode()).await.unwrap();
        (send, receive)
    };
    let mut announced = [announce().await, announce().await];
    let (address, credentials) = (node.address(), cluster.client("bob"));
    let bob = soon("a connection", ClientConnection::connect(&address, &credentials, CLUSTER)).await.unwrap();
    let serving = echo(&node.clients);
    let asking = async {
        let body = Bytes::from(vec![1; 1 << 20]);
        for asker in [&bob, &idle] {
            let answer = timeout(Duration::from_secs(10), asker.request("put".into(), body.clone())).await;
            assert!(answer.is_ok_and(|answer| answer.is_ok()), "others wait for bytes that never come");
        }
        let refused = announced[0].1.read_chunk(1, true).await;
        let busy = quinn::ReadError::Reset(StreamCode::Busy.code());
        assert!(matches!(refused, Err(error) if error == busy), "it may ask again");
    };
    tokio::select! { () = asking => {}, () = serving => panic!("the node closed") }
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_loses_it() {
    let cluster = Cluster::new();
    let mut config = cluster.config(peer(1, 1));
    config.limits.client_answer_time_max = Duration::from_millis(300);
    let node = start(config);
    let client = client(&cluster, &node).await;
    let (mut send, _unread) = client.open_stream().await;
    send.write_all(&Preamble { header_bytes: 3, body_bytes: 0 }.encode()).await.unwrap();
    send.write_all(b"get").await.unwrap();
    let request = soon("the request", node.clients.accept()).await.unwrap();
    let long = Bytes::from(vec![1; 16 << 20]);
    let responded = soon("an end", request.responder.respond(Bytes::new(), long)).await;
    assert_eq!(responded, Err(RespondError::Slow));
}
