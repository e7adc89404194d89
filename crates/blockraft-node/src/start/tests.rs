//! Starting: parts that don't belong together, or not to this node, are refused by name.

use core::time::Duration;
use std::sync::Arc;

use blockraft_blocks::{Block, HashCode, MemoryStore};
use blockraft_catalog::MemoryTable;
use blockraft_driver::StopReason;
use blockraft_driver::config::CompactionPolicy;
use blockraft_log::MemoryDisk;
use blockraft_transport::{Incoming, Network, Peer, Transport};
use blockraft_types::{BootNonce, ClusterId, Incarnation, LogIndex, Membership, NodeId, Term};
use blockraft_wire::Kind;
use blockraft_wire::frame;
use blockraft_wire::node::{self, NodeMessage, RecallReply};
use tokio::time::timeout;

use super::start;
use crate::config::{Identity, NodeConfig};
use crate::node::Node;
use crate::parts::Parts;
use crate::start_error::StartError;

/// What a lone node keeps between its lives.
struct Kept {
    disk: MemoryDisk,
    blocks: Arc<MemoryStore>,
    table: Arc<MemoryTable>,
}

impl Kept {
    fn nothing() -> Self {
        Self { disk: MemoryDisk::new(), blocks: Arc::new(MemoryStore::new()), table: Arc::new(MemoryTable::new()) }
    }

    async fn start(&self, config: NodeConfig) -> Result<Node, StartError> {
        self.start_on(&Network::new(), config).await
    }

    async fn start_on(&self, network: &Network, config: NodeConfig) -> Result<Node, StartError> {
        self.blocks.reopen();
        let Identity { node, incarnation, boot, .. } = config.identity;
        let parts = Parts {
            log: Box::new(self.disk.open()),
            transport: Arc::new(network.endpoint(Peer { node, incarnation, boot })),
            blocks: Arc::clone(&self.blocks) as _,
            table: Arc::clone(&self.table) as _,
        };
        start(config, parts).await
    }

    /// How many hold the catalog's table, this one among them.
    fn table_holders(&self) -> usize {
        Arc::strong_count(&self.table)
    }

    /// What is left of a lone node of `cluster` that took some blocks and compacted its log.
    async fn after_a_life(cluster: u8) -> Self {
        let kept = Self::nothing();
        let mut config = lone(cluster, 1);
        config.driver.replica.compaction =
            CompactionPolicy { entries_max: 4, bytes_max: 1_000, ..CompactionPolicy::default() };
        let node = kept.start(config).await.expect("it starts from nothing");
        for seed in 0..20_u8 {
            node.put(Block::hash(HashCode::Blake3, vec![seed; 300])).await.expect("put");
        }
        let compacted = async {
            let mut looks = tokio::time::interval(Duration::from_millis(5));
            loop {
                let status = node.status();
                if status.log_entries() < status.commit_index().0 {
                    return;
                }
                looks.tick().await;
            }
        };
        timeout(Duration::from_secs(20), compacted).await.expect("the log keeps four entries");
        node.shutdown().await;
        kept
    }
}

/// The configuration of node 1 under `incarnation`, in a cluster of its own.
fn lone(cluster: u8, incarnation: u8) -> NodeConfig {
    let (node, incarnation) = (NodeId(1), Incarnation::from_bytes([incarnation; 16]));
    let identity = Identity { cluster: ClusterId::from_bytes([cluster; 16]), node, incarnation, boot: BootNonce(1) };
    NodeConfig::new(identity, Membership::of_voters([(node, incarnation)]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_node_that_has_shut_down_nobody_holds_the_catalog() {
    for _ in 0..20 {
        let kept = Kept::nothing();
        let node = kept.start(lone(1, 1)).await.expect("it starts from nothing");
        for seed in 0..20_u8 {
            node.put(Block::hash(HashCode::Blake3, vec![seed; 5_000])).await.expect("put");
        }
        node.shutdown().await;
        drop(node);
        assert_eq!(kept.table_holders(), 1);
    }
}

#[tokio::test]
async fn a_node_that_its_cluster_was_born_without_is_refused() {
    let mut config = lone(1, 1);
    config.identity.node = NodeId(2);
    let refused = Kept::nothing().start(config).await;
    assert!(matches!(refused, Err(StartError::NotAMember { node: NodeId(2) })), "{refused:?}");
}

#[tokio::test]
async fn another_incarnation_than_the_members_know_is_refused() {
    let mut config = lone(1, 1);
    config.identity.incarnation = Incarnation::from_bytes([2; 16]);
    let refused = Kept::nothing().start(config).await;
    assert!(matches!(refused, Err(StartError::OtherIncarnation { node: NodeId(1) })), "{refused:?}");
}

#[tokio::test]
async fn a_log_of_another_cluster_is_refused() {
    let kept = Kept::nothing();
    kept.start(lone(1, 1)).await.expect("it starts from nothing").shutdown().await;
    let disk = kept.disk;
    let mixed = Kept { disk, ..Kept::nothing() };
    let refused = mixed.start(lone(2, 1)).await;
    assert!(matches!(refused, Err(StartError::ForeignLog { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_log_of_other_founding_members_is_refused() {
    let kept = Kept::nothing();
    kept.start(lone(1, 1)).await.expect("it starts from nothing").shutdown().await;
    let mixed = Kept { disk: kept.disk, ..Kept::nothing() };
    let refused = mixed.start(lone(1, 2)).await;
    assert!(matches!(refused, Err(StartError::ForeignLog { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_catalog_of_another_cluster_is_refused() {
    let kept = Kept::after_a_life(1).await;
    let mixed = Kept { table: kept.table, ..Kept::nothing() };
    let refused = mixed.start(lone(2, 1)).await;
    assert!(matches!(refused, Err(StartError::Catalog(_))), "{refused:?}");
}

#[tokio::test]
async fn a_catalog_that_outlived_its_log_is_refused() {
    let kept = Kept::after_a_life(1).await;
    let mixed = Kept { disk: MemoryDisk::new(), ..kept };
    let refused = mixed.start(lone(1, 1)).await;
    assert!(refused.is_err(), "a node that lost its log would vote without its memory");
}

#[tokio::test]
async fn a_compacted_log_that_outlived_its_catalog_is_refused() {
    let kept = Kept::after_a_life(1).await;
    let mixed = Kept { table: Arc::new(MemoryTable::new()), ..kept };
    let refused = mixed.start(lone(1, 1)).await;
    assert!(refused.is_err(), "what the log was compacted away would be missing");
}

#[tokio::test]
async fn parts_that_belong_together_start_again() {
    let kept = Kept::after_a_life(1).await;
    kept.start(lone(1, 1)).await.expect("it starts from what it kept").shutdown().await;
}

#[tokio::test]
async fn bounds_that_contradict_each_other_are_refused() {
    let mut config = lone(1, 1);
    let mut exchange = blockraft_exchange::Config::for_ticks_of(10);
    exchange.grace_ticks = 1;
    config.exchange = Some(exchange);
    let refused = Kept::nothing().start(config).await;
    assert!(matches!(refused, Err(StartError::ExchangeConfig(_))), "{refused:?}");
}

#[tokio::test]
async fn a_node_that_hears_late_that_it_is_behind_its_past_stops_before_it_says_anything_else() {
    let network = Network::new();
    let (two, incarnation) = (NodeId(2), Incarnation::from_bytes([2; 16]));
    let mut config = lone(1, 1);
    config.genesis = Membership::of_voters([(NodeId(1), config.identity.incarnation), (two, incarnation)]);
    let started = Kept::nothing().start_on(&network, config).await;
    let node = started.expect("nobody is there who remembers anything");

    let witness = network.endpoint(Peer { node: two, incarnation, boot: BootNonce(7) });
    witness.set_peer(NodeId(1), Some(network.address()));
    let answers = async {
        while let Some(incoming) = witness.receive().await {
            let Incoming::Message { from, frame } = incoming else { continue };
            assert_eq!(frame::kind(&frame).expect("a frame"), Kind::Node, "it campaigns before it has asked");
            let Ok(NodeMessage::Recall(question)) = node::decode(frame) else { panic!("something else is said") };
            let remembered = RecallReply {
                group: question.group,
                ticket: question.ticket,
                term: Term(9),
                voted_for: None,
                index: LogIndex(3),
            };
            let reply = node::encode(&NodeMessage::RecallReply(remembered)).expect("it is short");
            let _gone = witness.send(from.node, reply);
        }
    };
    let reason = tokio::select! {
        reason = timeout(Duration::from_secs(20), node.stopped()) => reason.expect("it hears of its past"),
        () = answers => unreachable!("the network stays"),
    };
    let StopReason::MemberUnfit { source } = reason else { panic!("{reason:?}") };
    assert!(source.to_string().starts_with("node 1 is behind its own past: node 2 has seen it in term 9"), "{source}");
}
