//! Nodes from data directories, over QUIC on loopback: who belongs to the cluster and who doesn't.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use blockraft_blocks::{Block, HashCode};
use blockraft_log::LogStore;
use blockraft_log_rocksdb::{OpenError, RocksLog, RocksLogConfig};
use blockraft_node::{Consistency, Node, Obstacle, WriteError};
use blockraft_transport_quic::{Authority, Subject};
use blockraft_types::{GroupId, Incarnation};
use tokio::time::timeout;

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
    address: SocketAddr,
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
    let Assembled { node, service: _service, address, .. } =
        assemble(&directory, &settings, Instant::now()).await.expect("assembled");
    Running { node, address, _directory: directory }
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

/// Cuts the last quarter off a log's newest write-ahead file, as a disk does that lied about its syncs.
fn cut_write_ahead_log(log: &Path) {
    let files = fs::read_dir(log.join("db")).expect("a database").map(|file| file.expect("readable").path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect();
    files.sort();
    let newest = files.pop().expect("a database has a write-ahead log");
    let bytes = fs::read(&newest).expect("readable");
    let written = bytes.iter().rposition(|byte| *byte != 0).expect("something was written") + 1;
    fs::write(newest, &bytes[..written * 3 / 4]).expect("writable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_write_ahead_log_was_cut_makes_that_good_and_its_vote_counts_again() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let formed = form(&parent.path().join("cluster"));
    let [first, second, third] = &formed.members[..] else { panic!("three were formed") };
    let (first, second, third) = tokio::join!(serve(&first.data_dir), serve(&second.data_dir), serve(&third.data_dir));
    let blocks: Vec<Block> = (0..40_u8).map(|seed| Block::hash(HashCode::Blake3, vec![seed; 300])).collect();
    for block in &blocks {
        first.node.put(block.clone()).await.expect("put");
    }
    // Whichever leads: the one whose log is cut doesn't.
    let mut nodes = [first, second, third];
    nodes.sort_by_key(|running| running.node.is_leader());
    let [unlucky, other, leader] = nodes;
    let last = leader.node.status().commit_index();
    until("the follower has all", || last <= unlucky.node.status().driver.core.durable_index).await;
    let data_dir = formed.members[usize::try_from(unlucky.node.status().node().0).expect("small") - 1].data_dir.clone();
    let log = data_dir.join("log");
    let address = unlucky.address;
    unlucky.node.shutdown().await;
    drop(unlucky);
    until("its port is free", || UdpSocket::bind(address).is_ok()).await;
    cut_write_ahead_log(&log);
    let cut = RocksLog::open_although(&log, RocksLogConfig::default(), |_, _| Ok(()))
        .expect("only its end is gone")
        .load(GroupId(0))
        .expect("readable")
        .expect("made");
    assert!(cut.lost_tail.is_some_and(|lost| cut.last.position.index < lost.index), "{cut:?}");

    let unlucky = serve(&data_dir).await;
    until("its log is made good", || unlucky.node.status().driver.core.lost_tail.is_none()).await;
    // Without its vote nobody would lead now.
    leader.node.shutdown().await;
    other.node.put(Block::hash(HashCode::Blake3, vec![0xff; 300])).await.expect("two of three are a quorum");
    for block in &blocks {
        let read = unlucky.node.get(*block.multihash(), Consistency::Linearizable).await.expect("confirmed");
        assert_eq!(read.value.as_ref(), Some(block));
    }
    for running in [unlucky, other] {
        running.node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_node_whose_write_ahead_log_was_cut_refuses_each_time_and_keeps_the_evidence() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let anywhere = SocketAddr::new(LONE_ADDRESS.ip(), 0);
    let addresses = vec![free_port(anywhere).expect("loopback has free ports")];
    let formed = run(InitOptions { dir: parent.path().join("cluster"), addresses }).expect("formed");
    let data_dir = &formed.members[0].data_dir;
    let lone = serve(data_dir).await;
    for seed in 0..40 {
        lone.node.put(Block::hash(HashCode::Blake3, vec![seed; 300])).await.expect("put");
    }
    lone.node.shutdown().await;
    drop(lone);
    cut_write_ahead_log(&data_dir.join("log"));
    let files = || -> Vec<(PathBuf, Vec<u8>)> {
        let files =
            fs::read_dir(data_dir.join("log/db")).expect("a database").map(|file| file.expect("readable").path());
        // RocksDB writes of each look into a trace of its own.
        let files = files.filter(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("LO")));
        let mut files: Vec<_> = files.map(|path| (path.clone(), fs::read(path).expect("readable"))).collect();
        files.sort();
        files
    };
    let evidence = files();
    for _ in 0..2 {
        let directory = DataDir::open(data_dir).expect("opened");
        let settings = Settings { disk_reserve_bytes: Some(0), ..Settings::default() };
        let Err(refused) = assemble(&directory, &settings, Instant::now()).await else { panic!("it started") };
        assert!(matches!(refused.downcast_ref(), Some(OpenError::LostTail { .. })), "{refused:#}");
        assert!(format!("{refused:#}").contains("no quorum"), "{refused:#}");
        assert!(evidence == files(), "somebody wrote to the log");
    }
}

/// Waits for `what`, for so long.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let looking = async {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        while !holds() {
            looks.tick().await;
        }
    };
    timeout(Duration::from_secs(30), looking).await.unwrap_or_else(|_| panic!("{what}: not in time"));
}
