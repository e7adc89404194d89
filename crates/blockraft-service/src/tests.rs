//! A service over a lone node in memory: what it answers at the bounds of the protocol.

mod batches;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use blockraft_blocks::{Block, BlockLimits, HashCode, MemoryStore, Multihash};
use blockraft_catalog::MemoryTable;
use blockraft_log::MemoryDisk;
use blockraft_node::{Identity, Node, NodeConfig, Parts};
use blockraft_transport::limits::BULK_HEADER_BYTES_MAX;
use blockraft_transport::{Network, Peer, Transport};
use blockraft_transport_quic::ClientName;
use blockraft_types::{BootNonce, ClusterId, Incarnation, Membership, NodeId, Position};
use blockraft_wire::client::{
    Answer, Consistency, Found, GiveUpReason, GroupStatus, Operation, Presence, PutOutcome, Refusal, Request, Reserve,
    Response,
};
use bytes::Bytes;
use futures::future::join_all;
use tokio::time::{interval, timeout};

use crate::service::Answering;
use crate::{About, Service};

/// A service whose node takes blocks of up to `block_bytes_max` bytes.
async fn service(block_bytes_max: u64) -> Service {
    let mut config = config(1, 1);
    config.limits.blocks = BlockLimits::new(block_bytes_max).unwrap();
    service_of(start(config, &Network::new(), &MemoryDisk::new()).await)
}

fn service_of(node: Node) -> Service {
    Service::new(node, About { release: "test".to_owned(), started: Instant::now(), addresses: BTreeMap::new() })
}

/// Node `id` of a cluster that was born with so many voters.
fn config(id: u8, voters: u8) -> NodeConfig {
    let member = |id: u8| (NodeId(id.into()), Incarnation::from_bytes([id; 16]));
    let (node, incarnation) = member(id);
    let identity = Identity { cluster: ClusterId::from_bytes([1; 16]), node, incarnation, boot: BootNonce(id.into()) };
    NodeConfig::new(identity, Membership::of_voters((1..=voters).map(member)))
}

/// A node with this log, and nothing else that it kept.
async fn start(config: NodeConfig, network: &Network, disk: &MemoryDisk) -> Node {
    let Identity { node, incarnation, boot, .. } = config.identity;
    let transport = network.endpoint(Peer { node, incarnation, boot });
    for (other, _) in config.genesis.members().filter(|(other, _)| *other != node) {
        transport.set_peer(other, Some(network.address()));
    }
    let parts = Parts {
        log: Box::new(disk.open()),
        transport: Arc::new(transport),
        blocks: Arc::new(MemoryStore::new()),
        table: Arc::new(MemoryTable::new()),
    };
    blockraft_node::start(config, parts).await.unwrap()
}

/// Asks as the lane does, which carries a header of at most 64 KiB.
async fn ask(service: &Service, operation: Operation) -> Response {
    let request = Request { position: Position::ZERO, operation };
    let (head, tail) = request.encode().unwrap().into_parts();
    let Answering { head, tail, .. } = service.answer(&client("alice"), head, tail).await;
    assert!(head.len() <= BULK_HEADER_BYTES_MAX, "no lane carries a header of {} bytes", head.len());
    Response::decode_parts(head, tail).unwrap()
}

fn client(name: &str) -> ClientName {
    name.parse().unwrap()
}

async fn put(service: &Service, blocks: &[Block]) -> Response {
    ask(service, Operation::Put { blocks: blocks.iter().cloned().map(Into::into).collect() }).await
}

fn answer(response: Response) -> Answer {
    let Response::Answered { answer, .. } = response else { panic!("{response:?}") };
    answer
}

#[tokio::test]
async fn a_page_of_the_longest_names_ends_where_the_lanes_header_does() {
    let service = service(1 << 20).await;
    let blocks: Vec<_> = (0..1_000_u32).map(|n| Block::hash(HashCode::Sha2_512, n.to_be_bytes().to_vec())).collect();
    for some in blocks.chunks(500) {
        answer(put(&service, some).await);
    }
    let (mut listed, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        let operation = Operation::List { cursor, limit: 1_000, consistency: Consistency::Confirmed };
        let Answer::List { blocks, next } = answer(ask(&service, operation).await) else { panic!("no page") };
        listed.extend(blocks.iter().map(|block| block.multihash));
        pages += 1;
        match next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    let mut all: Vec<Multihash> = blocks.iter().map(|block| *block.multihash()).collect();
    all.sort_unstable();
    assert!(listed == all, "{} of {} names were listed", listed.len(), all.len());
    assert_eq!(pages, 2, "a page holds what fits");
}

#[tokio::test]
async fn a_batch_with_a_block_over_the_limit_is_refused_before_any_of_it_is_written() {
    let service = service(100).await;
    let blocks = [vec![1; 100], vec![2; 101], vec![3; 5]].map(|bytes| Block::hash(HashCode::Blake3, bytes));
    let reason = GiveUpReason::BlockTooLong { number: 1, bytes: 101, bytes_max: 100 };
    assert_eq!(put(&service, &blocks).await, Response::Refused(Refusal::GiveUp { reason }));
    let multihashes: Vec<_> = blocks.iter().map(|block| *block.multihash()).collect();
    let stat = Operation::Stat { multihashes, consistency: Consistency::Linearizable };
    assert_eq!(answer(ask(&service, stat).await), Answer::Stat { presences: vec![Presence::Absent; 3] });

    let fitting = [blocks[0].clone(), blocks[2].clone()];
    assert_eq!(answer(put(&service, &fitting).await), Answer::Put { outcomes: vec![PutOutcome::Created; 2] });
}

#[tokio::test]
async fn the_empty_block_is_a_block_like_any_other() {
    let service = service(100).await;
    let empty = Block::hash(HashCode::Sha2_256, Vec::new());
    let multihashes = vec![*empty.multihash()];
    for outcome in [PutOutcome::Created, PutOutcome::AlreadyPresent] {
        let again = put(&service, std::slice::from_ref(&empty)).await;
        assert_eq!(answer(again), Answer::Put { outcomes: vec![outcome] });
    }
    let consistency = Consistency::Linearizable;
    let get = ask(&service, Operation::Get { multihashes: multihashes.clone(), consistency }).await;
    assert_eq!(answer(get), Answer::Get { blocks: vec![Found::Present(empty.into_bytes())] });
    let stat = ask(&service, Operation::Stat { multihashes, consistency }).await;
    assert_eq!(answer(stat), Answer::Stat { presences: vec![Presence::Present { length: 0 }] });
}

fn get(multihashes: Vec<Multihash>) -> (Bytes, Bytes) {
    let operation = Operation::Get { multihashes, consistency: Consistency::Linearizable };
    Request { position: Position::ZERO, operation }.encode().unwrap().into_parts()
}

#[tokio::test]
async fn one_name_asked_for_many_times_fills_no_more_than_one_answer() {
    let service = service(2 << 20).await;
    let block = Block::hash(HashCode::Blake3, vec![1; 2 << 20]);
    answer(put(&service, std::slice::from_ref(&block)).await);
    let (head, tail) = get(vec![*block.multihash(); 32]);
    let answering = service.answer(&client("alice"), head, tail).await;
    assert_eq!(answering.tail.len(), 8 << 20);
    let Response::Answered { answer: Answer::Get { blocks }, .. } =
        Response::decode_parts(answering.head, answering.tail).unwrap()
    else {
        panic!("no blocks")
    };
    assert_eq!(blocks.iter().filter(|found| matches!(found, Found::Present(_))).count(), 4);
    assert!(blocks[4..].iter().all(|found| *found == Found::LeftOut), "what doesn't fit is left out");
}

#[tokio::test]
async fn answers_that_a_client_does_not_take_hold_up_nobody_else() {
    let service = service(8 << 20).await;
    let long = Block::hash(HashCode::Blake3, vec![1; 8 << 20]);
    answer(put(&service, std::slice::from_ref(&long)).await);
    let ask = |name: &str| {
        let (service, name, (head, tail)) = (service.clone(), client(name), get(vec![*long.multihash()]));
        async move { service.answer(&name, head, tail).await }
    };
    let mut untaken = Vec::new();
    for _ in 0..4 {
        untaken.push(ask("greedy").await);
    }
    let mut fifth = Box::pin(ask("greedy"));
    let waited = timeout(Duration::from_millis(300), &mut fifth).await;
    assert!(waited.is_err(), "a client has more than half of the room");
    assert_eq!(ask("alice").await.tail.len(), 8 << 20);
    untaken.pop();
    assert_eq!(fifth.await.tail.len(), 8 << 20);
}

#[tokio::test]
async fn status_tells_of_a_log_that_lost_its_end() {
    let (network, disks) = (Network::new(), [MemoryDisk::new(), MemoryDisk::new()]);
    let starting = [1, 2].map(|id| start(config(id, 3), &network, &disks[usize::from(id) - 1]));
    let nodes = join_all(starting).await;
    let unlucky = service_of(nodes[0].clone());
    disks[0].remember();
    let block = Block::hash(HashCode::Blake3, vec![1; 5_000]);
    answer(put(&unlucky, std::slice::from_ref(&block)).await);
    assert_eq!(group(&unlucky).await.lost_tail, None);
    for node in nodes {
        node.shutdown().await;
    }

    disks[0].lose_tail();
    let config = config(1, 3);
    let config = NodeConfig { identity: Identity { boot: BootNonce(9), ..config.identity }, ..config };
    // Nobody is there from whom it could have again what it lost.
    let recovering = service_of(start(config, &Network::new(), &disks[0]).await);
    let group = group(&recovering).await;
    let lost = group.lost_tail.unwrap();
    assert!(group.log_last.index < lost.index, "{group:?}");
}

#[tokio::test]
async fn a_leader_knows_what_its_members_lack_and_a_lone_one_has_nobody_in_reserve() {
    let service = service(1 << 20).await;
    answer(put(&service, &[Block::hash(HashCode::Blake3, vec![1; 5_000])]).await);
    let told = async {
        let mut looks = interval(Duration::from_millis(20));
        loop {
            let group = group(&service).await;
            if group.reserve.is_some() {
                return group;
            }
            looks.tick().await;
        }
    };
    let group = timeout(Duration::from_secs(20), told).await.unwrap();
    assert_eq!(group.reserve, Some(Reserve::Impossible));
    assert_eq!(group.members[0].payload_lag_bytes, Some(0));
}

/// What the node says of its group.
async fn group(service: &Service) -> GroupStatus {
    let Answer::Status(status) = answer(ask(service, Operation::Status).await) else { panic!("no status") };
    status.groups.into_iter().next().unwrap()
}
