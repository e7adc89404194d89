//! Three nodes in one process: put through one, read through another, lose the leader and go on.
//!
//! Run it with `cargo run -p blockraft-node --example three_nodes`. Everything is in memory; for a cluster that keeps
//! what it is given, swap the parts in `start`: log and catalog by RocksDB, blocks by segments, the network by QUIC.
#![expect(clippy::print_stdout, reason = "an example speaks to its reader")]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use blockraft_blocks::{Block, Codec, HashCode, MemoryStore};
use blockraft_catalog::MemoryTable;
use blockraft_log::MemoryDisk;
use blockraft_node::{Consistency, Identity, Node, NodeConfig, Parts};
use blockraft_transport::{Network, Peer, Transport};
use blockraft_types::{BootNonce, ClusterId, Incarnation, Membership, NodeId};

/// Starts one member. In a cluster of processes each of them does this once, with parts that outlive it.
async fn start(network: &Network, genesis: &Membership, node: NodeId) -> Result<Node, Box<dyn Error>> {
    let incarnation = genesis.incarnation(node).ok_or("the cluster was born without this node")?;
    // A real node draws its boot nonce at random, each time it starts.
    let boot = BootNonce(node.0);
    let identity = Identity { cluster: ClusterId::from_bytes([1; 16]), node, incarnation, boot };

    let transport = Arc::new(network.endpoint(Peer { node, incarnation, boot }));
    for (peer, _) in genesis.members().filter(|(peer, _)| *peer != node) {
        transport.set_peer(peer, Some(network.address()));
    }
    let parts = Parts {
        log: Box::new(MemoryDisk::new().open()),
        transport,
        blocks: Arc::new(MemoryStore::new()),
        table: Arc::new(MemoryTable::new()),
    };
    Ok(blockraft_node::start(NodeConfig::new(identity, genesis.clone()), parts).await?)
}

/// Waits until `node` knows of a leader that isn't `deposed`.
async fn leader(node: &Node, deposed: Option<NodeId>) -> Result<NodeId, Box<dyn Error>> {
    let mut roles = node.roles();
    let role = *roles.wait_for(|role| role.leader.is_some() && role.leader != deposed).await?;
    role.leader.ok_or_else(|| "it was just there".into())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let network = Network::new();
    let ids = [1, 2, 3].map(NodeId);
    let genesis = Membership::of_voters(ids.map(|id| (id, Incarnation::from_bytes([id.0 as u8; 16]))));
    let mut nodes = Vec::new();
    for id in ids {
        nodes.push(start(&network, &genesis, id).await?);
    }
    let first = leader(&nodes[0], None).await?;
    println!("node {first} leads in term {}", nodes[0].current_term());

    // Any node takes any request.
    let poem = Block::hash(HashCode::Sha2_256, "The log orders names, not bytes.");
    let written = nodes[0].put(poem.clone()).await?;
    println!("node 1 put {} at {}: {:?}", poem.cid(Codec::RAW), written.position, written.outcome);
    let again = nodes[1].put(poem.clone()).await?;
    println!("node 2 put it again: {:?}", again.outcome);

    // A reader who carries the position of what it saw last never goes back in time, whichever node it asks.
    let consistency = Consistency::Confirmed { at_least: written.position };
    let read = nodes[2].get(*poem.multihash(), consistency).await?;
    println!("node 3 got {:?}", read.value.as_ref().map(|block| String::from_utf8_lossy(block.bytes())));

    // The leader falls silent, as if its power were cut. The other two go on.
    for id in ids.into_iter().filter(|id| *id != first) {
        network.disconnect(first, id);
    }
    let fallen = Instant::now();
    let (lost, survivors): (Vec<Node>, Vec<Node>) = nodes.into_iter().partition(|node| node.status().node() == first);
    let large = Block::hash(HashCode::Blake3, vec![7; 1 << 20]);
    let written = survivors[0].put(large.clone()).await?;
    let (second, gap) = (leader(&survivors[0], Some(first)).await?, fallen.elapsed());
    println!("node {first} fell silent; node {second} leads and took 1 MiB at {}, {gap:.0?} later", written.position);

    // What was acknowledged is there, and what is absent is said to be absent by a majority.
    for node in &survivors {
        let poem = node.get(*poem.multihash(), Consistency::Linearizable).await?.value;
        let large = node.get(*large.multihash(), Consistency::Linearizable).await?.value;
        let both = poem.is_some() && large.is_some();
        println!("node {} has both blocks: {both}", node.status().node());
    }
    let deleted = survivors[1].delete(*poem.multihash()).await?;
    let gone = survivors[0].get(*poem.multihash(), Consistency::Linearizable).await?.value.is_none();
    println!("the first was deleted at {}; gone for everyone: {gone}", deleted.position);

    for node in survivors.iter().chain(&lost) {
        node.shutdown().await;
    }
    Ok(())
}
