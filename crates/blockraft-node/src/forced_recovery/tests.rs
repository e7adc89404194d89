//! Log and catalog of a member that goes on alone belong together afterwards.

use std::collections::BTreeSet;
use std::sync::Arc;

use blockraft_blocks::{Block, BlockStore, HashCode, MemoryStore};
use blockraft_catalog::MemoryTable;
use blockraft_driver::forced_recovery::{Plan, RecoveryRefusal, Succession, TERMS_AHEAD};
use blockraft_log::{LogStore, MemoryDisk};
use blockraft_transport::{Network, Peer};
use blockraft_types::{BootNonce, ClusterId, GroupId, Incarnation, Membership, NodeId, Term};

use super::{RecoverError, Stopped, SurveyError};
use crate::config::{Identity, NodeConfig};
use crate::consistency::Consistency;
use crate::lost_tail::LostTailError;
use crate::node::Node;
use crate::parts::Parts;
use crate::start::start;
use crate::start_error::StartError;

/// The disks of node 1, of a group that was born with some voters.
struct Disks {
    log: MemoryDisk,
    blocks: Arc<MemoryStore>,
    table: Arc<MemoryTable>,
    genesis: Membership,
}

impl Disks {
    fn of_voters(voters: u8) -> Self {
        let voters = (1..=voters).map(|id| (NodeId(id.into()), Incarnation::from_bytes([id; 16])));
        Self {
            log: MemoryDisk::new(),
            blocks: Arc::new(MemoryStore::new()),
            table: Arc::new(MemoryTable::new()),
            genesis: Membership::of_voters(voters),
        }
    }

    async fn start(&self) -> Result<Node, StartError> {
        self.blocks.reopen();
        let (node, incarnation, boot) = (NODE, INCARNATION, BootNonce(1));
        let identity = Identity { cluster: CLUSTER, node, incarnation, boot };
        let parts = Parts {
            log: Box::new(self.log.open()),
            transport: Arc::new(Network::new().endpoint(Peer { node, incarnation, boot })),
            blocks: Arc::clone(&self.blocks) as _,
            table: Arc::clone(&self.table) as _,
        };
        start(NodeConfig::new(identity, self.genesis.clone()), parts).await
    }

    async fn recover(&self, lost: &[u64]) -> Result<Plan, RecoverError> {
        self.blocks.reopen();
        let lost: BTreeSet<NodeId> = lost.iter().copied().map(NodeId).collect();
        self.stopped().recover(&mut self.log.open(), self.blocks.as_ref(), &lost).await
    }

    fn stopped(&self) -> Stopped<'_> {
        let (genesis, table) = (&self.genesis, Arc::clone(&self.table) as _);
        Stopped { cluster: CLUSTER, node: NODE, incarnation: INCARNATION, group: GROUP, genesis, table }
    }
}

fn block(seed: u8) -> Block {
    Block::hash(HashCode::Blake3, vec![seed; 300])
}

fn appended(plan: Plan) -> Succession {
    match plan {
        Plan::Append(succession) => *succession,
        Plan::AlreadySo => panic!("it wasn't so"),
    }
}

/// The catalog outlived the end of the log, so the log has to be brought there first: the entry that was appended to a log
/// that ends before it would be another one than the catalog has applied.
#[tokio::test]
async fn a_lone_node_whose_log_lost_its_end_goes_on_with_what_its_catalog_holds() {
    let disks = Disks::of_voters(1);
    let node = disks.start().await.expect("it starts from nothing");
    node.put(block(1)).await.expect("put");
    disks.log.remember();
    node.put(block(2)).await.expect("put");
    node.shutdown().await;
    disks.log.lose_tail();
    let refused = disks.start().await.expect_err("nobody could tell what was committed");
    assert!(matches!(refused, StartError::LostTail(LostTailError::NoQuorum { .. })), "{refused:?}");

    let succession = appended(disks.recover(&[]).await.expect("it has lost its only log"));
    assert!(succession.removed.is_empty());
    let node = disks.start().await.expect("it goes on");
    for seed in [1, 2] {
        let read = node.get(*block(seed).multihash(), Consistency::Linearizable).await.expect("get");
        assert_eq!(read.value, Some(block(seed)));
    }
    node.put(block(3)).await.expect("put");
    node.shutdown().await;
}

/// The body of a small block may be in the log alone when the power goes. The log is reset to where the catalog stands, and
/// would take that body along.
#[tokio::test]
async fn a_body_that_only_the_log_holds_outlives_the_reset_of_the_log() {
    let mut disks = Disks::of_voters(1);
    let node = disks.start().await.expect("it starts from nothing");
    node.put(block(1)).await.expect("put");
    disks.log.remember();
    node.put(block(2)).await.expect("put");
    node.shutdown().await;
    disks.log.lose_tail();
    disks.blocks = Arc::new(MemoryStore::new());
    disks.blocks.put(block(2)).await.expect("what isn't in the log any more is in the store");

    appended(disks.recover(&[]).await.expect("it has lost its only log"));
    let node = disks.start().await.expect("it goes on");
    for seed in [1, 2] {
        let read = node.get(*block(seed).multihash(), Consistency::Linearizable).await.expect("get");
        assert_eq!(read.value, Some(block(seed)));
    }
    node.shutdown().await;
}

#[tokio::test]
async fn one_of_two_goes_on_alone_in_a_term_of_its_own_and_takes_writes() {
    let disks = Disks::of_voters(2);
    disks.start().await.expect("it starts from nothing").shutdown().await;
    let succession = appended(disks.recover(&[2]).await.expect("half of two can't go on"));
    assert!(Term(TERMS_AHEAD) <= succession.hard_state.term);
    assert_eq!(disks.recover(&[2]).await.expect("again"), Plan::AlreadySo);
    let node = disks.start().await.expect("it goes on");
    node.put(block(1)).await.expect("put");
    assert!(node.memberships().borrow().membership.is_removed(NodeId(2)));
    node.shutdown().await;
    assert_eq!(disks.recover(&[2]).await.expect("again, after it has served"), Plan::AlreadySo);
}

#[tokio::test]
async fn what_is_refused_leaves_the_log_as_it_was() {
    let disks = Disks::of_voters(1);
    disks.start().await.expect("it starts from nothing").shutdown().await;
    let before = disks.log.open().load(GROUP).expect("it is there");
    let refused = disks.recover(&[]).await;
    assert!(matches!(refused, Err(RecoverError::Refused(RecoveryRefusal::QuorumLeft { .. }))), "{refused:?}");
    assert_eq!(disks.log.open().load(GROUP).expect("it is there"), before);
}

#[tokio::test]
async fn a_node_that_never_ran_has_nothing_to_go_on_with() {
    let refused = Disks::of_voters(3).recover(&[2, 3]).await;
    assert!(matches!(refused, Err(RecoverError::NeverRan { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_log_of_another_cluster_is_refused() {
    let disks = Disks::of_voters(2);
    disks.start().await.expect("it starts from nothing").shutdown().await;
    let log = disks.log.open().load(GROUP).expect("it is there").expect("it ran");
    let strange = Stopped { cluster: ClusterId::from_bytes([9; 16]), ..disks.stopped() };
    assert!(matches!(strange.survey(&log), Err(SurveyError::ForeignLog)));
}

const CLUSTER: ClusterId = ClusterId::from_bytes([1; 16]);
const NODE: NodeId = NodeId(1);
const INCARNATION: Incarnation = Incarnation::from_bytes([1; 16]);
const GROUP: GroupId = GroupId(0);
