//! What a node keeps, and what it lets go of.

use core::time::Duration;
use std::sync::Arc;

use blockraft_blocks::{Block, Codec, HashCode, MemoryStore};
use blockraft_catalog::{Lack, Links, MemoryTable, Missing, Outcome, PinMode, Vertex};
use blockraft_log::MemoryDisk;
use blockraft_transport::{Network, Peer};
use blockraft_types::{BootNonce, ClusterId, Incarnation, Membership, NodeId};
use tokio::time::{interval, timeout};

use super::{CollectError, PinError};
use crate::config::{Identity, NodeConfig};
use crate::consistency::Consistency;
use crate::import::ImportError;
use crate::node::Node;
use crate::parts::Parts;
use crate::start::start;

async fn lone_node(import_lease: Duration) -> Node {
    let (node, incarnation, boot) = (NodeId(1), Incarnation::from_bytes([1; 16]), BootNonce(1));
    let identity = Identity { cluster: ClusterId::from_bytes([1; 16]), node, incarnation, boot };
    let mut config = NodeConfig::new(identity, Membership::of_voters([(node, incarnation)]));
    config.limits.import_lease = import_lease;
    let parts = Parts {
        log: Box::new(MemoryDisk::new().open()),
        transport: Arc::new(Network::new().endpoint(Peer { node, incarnation, boot })),
        blocks: Arc::new(MemoryStore::new()),
        table: Arc::new(MemoryTable::new()),
    };
    start(config, parts).await.expect("it starts from nothing")
}

fn block(seed: u8) -> Block {
    Block::hash(HashCode::Blake3, vec![seed; 300])
}

fn leaf(seed: u8) -> Vertex {
    Vertex { multihash: *block(seed).multihash(), codec: Codec::RAW }
}

fn root() -> Vertex {
    Vertex { multihash: *block(0).multihash(), codec: Codec::DAG_PB }
}

async fn is_there(node: &Node, vertex: Vertex) -> bool {
    node.stat(vertex.multihash, Consistency::Linearizable).await.expect("stat").value.is_some()
}

#[tokio::test]
async fn a_pin_names_what_it_lacks_and_holds_all_that_it_covers_once_that_is_there() {
    let node = lone_node(HOUR).await;
    let import = node.open_import().await.expect("opened");
    for seed in [0, 1, 9] {
        node.put(block(seed)).await.expect("put");
    }
    node.link(root(), Links::new([leaf(1), leaf(2)]).expect("few")).await.expect("linked");
    match node.pin(root(), PinMode::Recursive).await {
        Err(PinError::Incomplete { missing, .. }) => {
            assert_eq!(missing, [Missing { vertex: leaf(2), lack: Lack::Block }]);
        }
        other => panic!("{other:?}"),
    }
    node.put(block(2)).await.expect("put");
    assert_eq!(node.pin(root(), PinMode::Recursive).await.expect("pinned").outcome, Outcome::Pinned);
    assert!(matches!(node.collect(None, 100).await, Err(CollectError::Held)));
    import.end().await.expect("ended");

    assert_eq!(node.delete(leaf(2).multihash).await.expect("answered").outcome, Outcome::HeldByPin);
    let collected = node.collect(None, 100).await.expect("collected");
    assert_eq!((collected.blocks, collected.bytes, collected.next), (1, 300, None));
    for held in [root(), leaf(1), leaf(2)] {
        assert!(is_there(&node, held).await);
    }
    assert!(!is_there(&node, leaf(9)).await);

    node.unpin(root(), PinMode::Recursive).await.expect("unpinned");
    assert_eq!(node.collect(None, 100).await.expect("collected").blocks, 3);
    node.shutdown().await;
}

#[tokio::test]
async fn an_import_that_lives_is_kept_beyond_its_lease_and_one_that_was_dropped_expires() {
    let node = lone_node(Duration::from_secs(1)).await;
    node.put(block(1)).await.expect("put");
    let (kept, dropped) = (node.open_import().await.expect("opened"), node.open_import().await.expect("opened"));
    drop(dropped);
    let open = || node.shared.rows.imports().expect("readable").value;
    until(|| open().len() == 1).await;
    assert!(open().last_kept(&kept.id()).is_some_and(|at| kept.id().opened < at), "it was kept meanwhile");
    assert!(kept.is_kept());
    assert!(matches!(node.collect(None, 100).await, Err(CollectError::Held)));
    kept.end().await.expect("it was open still");
    assert_eq!(node.collect(None, 100).await.expect("collected").blocks, 1);
    node.shutdown().await;
}

#[tokio::test]
async fn an_import_whose_keeper_was_away_for_too_long_is_told_so() {
    let node = lone_node(Duration::from_millis(100)).await;
    let import = node.open_import().await.expect("opened");
    import.keeper.abort();
    until(|| node.shared.rows.imports().expect("readable").value.is_empty()).await;
    assert!(!import.is_kept());
    assert!(matches!(import.end().await, Err(ImportError::Expired)));
    node.shutdown().await;
}

async fn until(mut holds: impl FnMut() -> bool) {
    let looking = async {
        let mut looks = interval(Duration::from_millis(5));
        while !holds() {
            looks.tick().await;
        }
    };
    timeout(Duration::from_secs(30), looking).await.expect("in time");
}

const HOUR: Duration = Duration::from_secs(3_600);
