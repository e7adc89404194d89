//! Nodes from data directories, over QUIC on loopback: who belongs to the cluster and who doesn't.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use blockraft_blocks::{Block, HashCode};
use blockraft_node::{Consistency, Node, Obstacle, WriteError};
use blockraft_transport_quic::{Authority, Subject};
use blockraft_types::Incarnation;

use super::{Assembled, LONE_ADDRESS, assemble, free_port};
use crate::data_dir::DataDir;
use crate::init::{Formed, InitOptions, run};
use crate::settings::Settings;

fn form(dir: &Path) -> Formed {
    let anywhere = SocketAddr::new(LONE_ADDRESS.ip(), 0);
    let addresses = (0..3).map(|_| free_port(anywhere).expect("loopback has free ports")).collect();
    run(InitOptions { dir: dir.to_owned(), addresses }).expect("formed")
}

/// A node that runs while this lives; its directory is locked as long.
struct Running {
    node: Node,
    _directory: DataDir,
}

async fn serve(data_dir: &Path) -> Running {
    let directory = DataDir::open(data_dir).expect("opened");
    // Elections that a busy machine doesn't cause, and room enough in a small file system.
    let settings = Settings {
        disk_reserve_bytes: Some(0),
        election_min_ms: Some(400),
        election_max_ms: Some(800),
        ..Settings::default()
    };
    let Assembled { node, service: _service, .. } =
        assemble(&directory, &settings, Instant::now()).await.expect("assembled");
    Running { node, _directory: directory }
}

/// Wipes the first member's data directory and makes another one under the same id, as someone would who has the
/// authority's key and not the old disk.
fn wipe_and_reissue(cluster: &Path, formed: &Formed) {
    let first = &formed.members[0];
    let mut identity = DataDir::open(&first.data_dir).expect("opened").identity.clone();
    fs::remove_dir_all(&first.data_dir).expect("wiped");
    let read = |name: &str| fs::read_to_string(cluster.join(name)).expect("readable");
    let authority = Authority::from_pem(formed.cluster, &read("ca.pem"), &read("ca.key")).expect("the authority");
    identity.incarnation = Incarnation::from_bytes([0xee; 16]);
    identity.members[0].incarnation = identity.incarnation;
    let subject = Subject::Node { cluster: identity.cluster, node: identity.node, incarnation: identity.incarnation };
    let credentials = authority.issue(&subject).expect("issued");
    DataDir::format(&first.data_dir, &identity, &credentials, &[3; 64]).expect("formatted");
}

/// Whether the two others serve each other while `stranger` gets nowhere.
async fn gets_nowhere(stranger: &Node, others: [&Node; 2]) {
    let block = Block::hash(HashCode::Blake3, vec![7; 50_000]);
    others[0].put(block.clone()).await.expect("two of three take a put");
    let read = others[1].get(*block.multihash(), Consistency::Linearizable).await.expect("two of three confirm");
    assert_eq!(read.value.as_ref(), Some(&block));

    let refused = stranger.put(Block::hash(HashCode::Blake3, vec![1; 10])).await;
    assert!(matches!(refused, Err(WriteError::NotProposed { reason: Obstacle::NoLeader, .. })), "{refused:?}");
    for (peer, node) in stranger.status().peers.iter().map(|peer| (peer, stranger)) {
        assert_eq!(peer.connected, None, "{node:?} got through");
    }
    let stranger = stranger.status().node();
    for other in others {
        let connected = other.status().peers.iter().any(|peer| peer.node == stranger && peer.connected.is_some());
        assert!(!connected, "{other:?} let it in");
    }
}

#[tokio::test]
async fn a_node_whose_blocks_are_gone_is_refused_by_name_and_nothing_is_made_in_their_place() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let formed = form(&parent.path().join("cluster"));
    let directory = DataDir::open(&formed.members[0].data_dir).expect("opened");
    let blocks = directory.blocks();
    for remains in ["no folder", "an empty folder"] {
        let settings = Settings { disk_reserve_bytes: Some(0), ..Settings::default() };
        fs::remove_dir_all(&blocks).expect("formed with the directory");
        if remains == "an empty folder" {
            fs::create_dir(&blocks).expect("made");
        }
        let Err(refused) = assemble(&directory, &settings, Instant::now()).await else {
            panic!("served with {remains}")
        };
        assert!(format!("{refused:#}").contains(&blocks.display().to_string()), "{refused:#}");
        assert_eq!(fs::read_dir(&blocks).map_or(0, Iterator::count), 0, "{remains}");
        fs::create_dir_all(&blocks).expect("made");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_node_under_its_old_id_is_refused_by_its_cluster() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let dir = parent.path().join("cluster");
    let formed = form(&dir);
    wipe_and_reissue(&dir, &formed);
    let [first, second, third] = &formed.members[..] else { panic!("three were formed") };
    let (wiped, second, third) =
        (serve(&first.data_dir).await, serve(&second.data_dir).await, serve(&third.data_dir).await);
    gets_nowhere(&wiped.node, [&second.node, &third.node]).await;
    for running in [wiped, second, third] {
        running.node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_cluster_at_a_members_address_is_refused() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let ours = form(&parent.path().join("ours"));
    // The same ids at the same addresses, under another authority.
    let addresses = ours.members.iter().map(|member| member.address).collect();
    let theirs = run(InitOptions { dir: parent.path().join("theirs"), addresses }).expect("formed");
    let stranger = serve(&theirs.members[0].data_dir).await;
    let (second, third) = (serve(&ours.members[1].data_dir).await, serve(&ours.members[2].data_dir).await);
    gets_nowhere(&stranger.node, [&second.node, &third.node]).await;
    for running in [stranger, second, third] {
        running.node.shutdown().await;
    }
}
