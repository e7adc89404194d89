//! Members that come and go while a client lives.

use std::time::Duration;

use blockraft_types::NodeId;
use blockraft_wire::client::{Operation, Request};
use tokio::task::yield_now;
use tokio::time::advance;

use crate::client::Client;
use crate::config::{ClientOptions, Others};
use crate::put::PutError;
use crate::tests::scripted::{Cluster, Life, Reply, answered, block, honest, status};

/// A node that names these members as of entry `commit`, and does what it is asked.
fn naming(commit: u64, members: &'static [u64]) -> impl FnMut(&Request) -> Reply + Send + 'static {
    let mut rest = honest(commit, &[]);
    move |request| match request.operation {
        Operation::Status => answered(commit, status(commit, members)),
        _ => rest(request),
    }
}

fn known(client: &Client) -> Vec<u64> {
    client.members().iter().map(|member| member.node.0).collect()
}

/// A client that knows node 1 alone, and has been used a while ago and now.
async fn used(nodes: &Cluster, others: Others) -> Client {
    let client = nodes.client_of(&[1], ClientOptions { others, ..ClientOptions::default() });
    for text in ["hello", "world"] {
        client.put(block(text)).await.unwrap();
        advance(Duration::from_secs(11)).await;
    }
    client.put(block("again")).await.unwrap();
    // What it asks in passing is answered at once.
    for _ in 0..10 {
        yield_now().await;
    }
    client
}

#[tokio::test(start_paused = true)]
async fn a_client_goes_on_with_members_that_it_was_told_of() {
    let nodes = Cluster::new([naming(7, &[1, 2, 3]), naming(7, &[1, 2, 3]), naming(7, &[1, 2, 3])]);
    let client = used(&nodes, Others::Learn).await;
    assert_eq!(known(&client), [1, 2, 3]);
    nodes.becomes(1, Life::Killed);
    advance(Duration::from_secs(1)).await;
    client.put(block("elsewhere")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_to_ask_nobody_else_asks_nobody_else() {
    let nodes = Cluster::new([naming(7, &[1, 2]), naming(7, &[1, 2])]);
    let client = used(&nodes, Others::Never).await;
    assert_eq!(known(&client), [1]);
    nodes.becomes(1, Life::Killed);
    advance(Duration::from_secs(1)).await;
    let put = client.put(block("elsewhere")).await;
    assert!(matches!(put, Err(PutError::Unavailable(_))), "{put:?}");
    assert!(nodes.requests(2).is_empty());
}

#[tokio::test(start_paused = true)]
async fn members_that_are_named_no_more_are_forgotten_and_an_old_word_undoes_nothing() {
    let nodes = Cluster::new([honest(1, &[]), honest(1, &[]), honest(1, &[]), honest(1, &[])]);
    let client = nodes.client_of(&[1], ClientOptions::default());
    let told = |commit, members| {
        let blockraft_wire::client::Answer::Status(status) = status(commit, members) else { unreachable!() };
        client.pool.roster.learn(&status);
        known(&client)
    };
    assert_eq!(told(10, &[1, 2, 3]), [1, 2, 3]);
    assert_eq!(told(5, &[1]), [1, 2, 3], "that node is behind");
    assert_eq!(told(11, &[3, 4]), [1, 3, 4], "what the configuration says stays");
}

#[tokio::test(start_paused = true)]
async fn the_status_of_all_is_that_of_those_who_are_members_now() {
    let nodes = Cluster::new([naming(9, &[1, 3]), naming(4, &[1, 2]), naming(9, &[1, 3])]);
    let client = nodes.client_of(&[1, 2], ClientOptions::default());
    let rows = async || client.status_all().await.iter().map(|(member, said)| (member.node.0, said.is_ok())).collect();
    let all: Vec<(u64, bool)> = rows().await;
    assert_eq!(all, [(1, true), (2, true), (3, true)], "whoever answers is shown");
    nodes.becomes(2, Life::Killed);
    nodes.becomes(3, Life::Killed);
    let all: Vec<(u64, bool)> = rows().await;
    assert_eq!(all, [(1, true), (3, false)], "a dead member is shown, a dead stranger isn't");
    assert!(client.status_of(NodeId(3)).await.is_err());
}
