//! The cluster: members, what they keep, and the network between them.

use core::time::Duration;
use std::sync::Arc;

use blockraft_blocks::memory::MemoryStore;
use blockraft_catalog::memory::{Fault, MemoryTable};
use blockraft_log::memory::MemoryDisk;
use blockraft_log::{FaultyLog, LogFaults};
use blockraft_node::{Identity, NewMember, Node, NodeConfig, Origin, Parts, StartError, start};
use blockraft_transport::{Network, Peer, Transport};
use blockraft_types::{BootNonce, ClusterId, Incarnation, Membership, NodeId, Term};

use crate::settle::eventually;
use crate::troubled_store::{Trouble, TroubledStore};
use crate::tuning::calm;

/// A cluster of nodes with ids from 1.
#[derive(Debug)]
pub struct Cluster {
    network: Network,
    genesis: Membership,
    tune: fn(&mut NodeConfig),
    members: Vec<Member>,
}

/// A member and what outlives its crashes.
#[derive(Debug)]
pub struct Member {
    id: NodeId,
    incarnation: Incarnation,
    origin: Origin,
    boots: u64,
    /// Its log's disk.
    pub disk: MemoryDisk,
    /// What goes wrong when its log is written.
    pub log_faults: LogFaults,
    /// Its blocks, behind the back of the node.
    pub blocks: Arc<MemoryStore>,
    /// What the node has in front of them: fill it, stall it, mend it.
    pub store: Arc<TroubledStore>,
    /// Its catalog.
    pub table: Arc<MemoryTable>,
    node: Option<Node>,
}

impl Cluster {
    /// Starts `size` members with [`calm`] settings, and waits for a leader.
    ///
    /// # Panics
    /// No leader stands in time.
    pub async fn start(size: u64) -> Self {
        Self::start_tuned(size, calm).await
    }

    /// Starts `size` members whose settings `tune` has changed, and waits for a leader.
    ///
    /// # Panics
    /// No leader stands in time.
    pub async fn start_tuned(size: u64, tune: fn(&mut NodeConfig)) -> Self {
        let genesis = Membership::of_voters((1..=size).map(|id| (NodeId(id), incarnation(NodeId(id)))));
        let members = (1..=size).map(|id| Member::formatted(NodeId(id), Origin::Founder)).collect();
        let mut cluster = Self { network: Network::new(), genesis, tune, members };
        // All at once: each of them asks the others who it was.
        let prepared: Vec<_> = (1..=size).map(|id| (NodeId(id), cluster.prepare(NodeId(id)))).collect();
        let starting = prepared.into_iter().map(|(id, (config, parts))| (id, tokio::spawn(start(config, parts))));
        for (id, started) in starting.collect::<Vec<_>>() {
            let node = started.await.expect("a start doesn't panic");
            cluster.member_mut(id).node = Some(node.expect("a member starts"));
        }
        cluster.leader().await;
        cluster
    }

    /// Starts a node that the cluster wasn't born with, under the lowest id that is free. It is no member yet; see
    /// [`newcomer`](Self::newcomer).
    pub async fn join(&mut self) -> NodeId {
        let id = NodeId(self.members.len() as u64 + 1);
        self.members.push(Member::formatted(id, Origin::Joiner));
        self.restart(id).await;
        id
    }

    /// What members are told of a node that joins.
    ///
    /// # Panics
    /// There is no such node.
    #[must_use]
    pub fn newcomer(&self, id: NodeId) -> NewMember {
        NewMember { node: id, incarnation: self.member(id).incarnation, address: self.network.address() }
    }

    /// A member.
    ///
    /// # Panics
    /// There is no such member.
    #[must_use]
    pub fn member(&self, id: NodeId) -> &Member {
        self.members.iter().find(|member| member.id == id).expect("ids of members are 1 to the cluster's size")
    }

    /// A running node.
    ///
    /// # Panics
    /// It isn't running.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        self.member(id).node.as_ref().expect("the member runs")
    }

    /// Every running node.
    pub fn running(&self) -> impl Iterator<Item = &Node> {
        self.members.iter().filter_map(|member| member.node.as_ref())
    }

    /// The ids of all members.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        self.members.iter().map(|member| member.id).collect::<Vec<_>>().into_iter()
    }

    /// Takes everything from a member that is down, and gives its id to a new directory.
    ///
    /// # Panics
    /// There is no such member, or it runs.
    pub fn wipe(&mut self, id: NodeId) {
        let member = self.members.iter_mut().find(|member| member.id == id).expect("the member exists");
        assert!(member.node.is_none(), "member {id} runs");
        let incarnation = Incarnation::from_bytes([0xff; 16]);
        *member = Member { incarnation, boots: member.boots, ..Member::formatted(id, member.origin) };
    }

    /// Waits until a majority of the running nodes agrees on a leader that runs and leads, and returns it.
    ///
    /// # Panics
    /// It takes too long.
    pub async fn leader(&self) -> NodeId {
        eventually("a leader stands", PATIENCE, || {
            let leaders = self.running().filter(|node| node.is_leader());
            let newest = leaders.max_by_key(|node| node.current_term())?;
            let leader = newest.status().node();
            let followed = self.running().filter(|node| node.current_leader() == Some(leader)).count();
            (self.members.len() / 2 < followed).then_some(leader)
        })
        .await
    }

    /// Some running member that doesn't lead.
    ///
    /// # Panics
    /// There is none in time.
    pub async fn follower(&self) -> NodeId {
        let leader = self.leader().await;
        let mut others = self.members.iter().filter(|member| member.node.is_some() && member.id != leader);
        others.next().expect("a cluster with a leader has a follower that runs").id
    }

    /// Waits until every running node has applied all that the leader has.
    ///
    /// # Panics
    /// It takes too long.
    pub async fn level(&self) {
        let leader = self.leader().await;
        let index = self.node(leader).status().last_applied().index;
        let behind = |node: &Node| node.status().last_applied().index < index;
        eventually("every node has applied what the leader has", PATIENCE, || {
            (!self.running().any(behind)).then_some(())
        })
        .await;
    }

    /// The terms of all running nodes, by id: they change if anybody campaigned.
    #[must_use]
    pub fn terms(&self) -> Vec<(NodeId, Term)> {
        self.running().map(|node| (node.status().node(), node.current_term())).collect()
    }

    /// Crashes a member: cuts it off, stops it without a word, and cuts the power of its disks.
    pub async fn crash(&mut self, id: NodeId) {
        self.isolate(id);
        let member = self.members.iter_mut().find(|member| member.id == id).expect("the member exists");
        let Some(node) = member.node.take() else {
            return;
        };
        // What it still wants to say reaches nobody, and what it still writes is on disks that lose it.
        member.disk.cut_power();
        member.table.inject(Fault::Flush);
        node.shutdown().await;
        member.table.cut_power(0);
        // Whether the flush came or not, the fault is used up.
        let _ = blockraft_catalog::table::Table::flush(member.table.as_ref());
    }

    /// Starts a member, from what its disks kept, and connects it to the others.
    ///
    /// # Panics
    /// It runs already, or doesn't start.
    pub async fn restart(&mut self, id: NodeId) {
        self.try_restart(id).await.expect("a member starts from what it kept");
    }

    /// Like [`restart`](Self::restart), for a member that may be refused.
    ///
    /// # Errors
    /// What the node said.
    ///
    /// # Panics
    /// It runs already.
    pub async fn try_restart(&mut self, id: NodeId) -> Result<(), StartError> {
        let (config, parts) = self.prepare(id);
        self.member_mut(id).node = Some(start(config, parts).await?);
        Ok(())
    }

    /// What a member starts from. It is connected to the others.
    fn prepare(&mut self, id: NodeId) -> (NodeConfig, Parts) {
        let (network, genesis, tune) = (self.network.clone(), self.genesis.clone(), self.tune);
        let others: Vec<NodeId> = self.ids().filter(|other| *other != id).collect();
        let member = self.member_mut(id);
        assert!(member.node.is_none(), "member {id} runs already");
        member.boots += 1;
        member.blocks.reopen();
        member.store.set(Trouble::None);
        let boot = BootNonce(id.0 << 32 | member.boots);
        let incarnation = member.incarnation;
        let identity = Identity { cluster: cluster_id(), node: id, incarnation, boot };
        let transport = Arc::new(network.endpoint(Peer { node: id, incarnation, boot }));
        for other in others {
            network.reconnect(id, other);
            transport.set_peer(other, Some(network.address()));
        }
        let mut config = NodeConfig { origin: member.origin, ..NodeConfig::new(identity, genesis) };
        tune(&mut config);
        let parts = Parts {
            log: Box::new(FaultyLog::new(member.disk.open(), member.log_faults.clone())),
            transport,
            blocks: Arc::clone(&member.store) as _,
            table: Arc::clone(&member.table) as _,
        };
        (config, parts)
    }

    fn member_mut(&mut self, id: NodeId) -> &mut Member {
        self.members.iter_mut().find(|member| member.id == id).expect("the member exists")
    }

    /// Ends all connections of a member, so that it and the others see it.
    pub fn isolate(&self, id: NodeId) {
        self.ids().filter(|other| *other != id).for_each(|other| self.network.disconnect(id, other));
    }

    /// Undoes [`isolate`](Self::isolate).
    pub fn rejoin(&self, id: NodeId) {
        self.ids().filter(|other| *other != id).for_each(|other| self.network.reconnect(id, other));
    }

    /// The network, for cuts in one direction.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Stops every member.
    pub async fn stop(mut self) {
        for member in &mut self.members {
            if let Some(node) = member.node.take() {
                node.shutdown().await;
            }
        }
    }
}

impl Member {
    fn formatted(id: NodeId, origin: Origin) -> Self {
        let blocks = Arc::new(MemoryStore::new());
        let store = Arc::new(TroubledStore::new(Arc::clone(&blocks)));
        let (disk, table) = (MemoryDisk::new(), Arc::new(MemoryTable::new()));
        let (incarnation, log_faults) = (incarnation(id), LogFaults::none());
        Self { id, incarnation, origin, boots: 0, disk, log_faults, blocks, store, table, node: None }
    }
}

fn cluster_id() -> ClusterId {
    ClusterId::from_bytes([0xc1; 16])
}

fn incarnation(id: NodeId) -> Incarnation {
    Incarnation::from_bytes([id.0 as u8; 16])
}

/// How long a cluster may take to settle on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);
