//! Whole drivers with their threads, over the in-process network and logs in memory that can be made to fail.

use core::fmt;
use core::future::Future;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use blockraft_log::{Anchor, FaultyLog, LogFaults, LogStore, MemoryDisk};
use blockraft_transport::{Incoming, Network, Peer, Transport};
use blockraft_types::{BootNonce, Entry, GroupId, LogIndex, Membership, NodeId, Role};
use blockraft_wire::raft;
use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::config::DriverConfig;
use crate::driver::{Driver, DriverParts};
use crate::gate::OpenGate;
use crate::handle::DriverHandle;
use crate::log_thread::LogThread;
use crate::outbox::TransportOutbox;
use crate::state_machine::{ApplyError, FlushError, StateMachine};
use crate::tests::cluster::{GROUP, anchor_of, birth, membership};

/// Answers each entry with its body, and can't swallow one kind of it.
#[derive(Debug)]
pub(super) struct Echo {
    applied: Anchor,
    /// Whoever holds it keeps entries from being applied.
    applying: Arc<Mutex<()>>,
}

impl Echo {
    pub(super) fn at(applied: Anchor) -> Self {
        Self { applied, applying: Arc::default() }
    }
}

impl StateMachine for Echo {
    type Output = Bytes;

    fn applied(&self) -> Anchor {
        self.applied
    }

    fn apply(&mut self, entries: &[Entry]) -> Result<Vec<Bytes>, ApplyError> {
        let _applying = self.applying.blocking_lock();
        for entry in entries {
            if entry.body == POISON {
                return Err(ApplyError { index: entry.head.position.index, source: "it is poison".into() });
            }
            self.applied = anchor_of(entry);
        }
        Ok(entries.iter().map(|entry| entry.body.clone()).collect())
    }

    fn flush(&mut self) -> Result<Anchor, FlushError> {
        Ok(self.applied)
    }
}

pub(super) type Handle = DriverHandle<Echo, OpenGate>;

pub(super) struct Member {
    pub(super) handle: Handle,
    pub(super) faults: LogFaults,
    pub(super) applying: Arc<Mutex<()>>,
    pump: JoinHandle<()>,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

pub(super) struct Trio {
    pub(super) network: Network,
    pub(super) members: BTreeMap<NodeId, Member>,
    disks: BTreeMap<NodeId, MemoryDisk>,
    membership: Membership,
    config: DriverConfig,
    boots: u64,
}

impl Trio {
    pub(super) fn start(config: DriverConfig) -> Self {
        let (network, membership) = (Network::new(), membership(3));
        let disks = (1..=3).map(|id| (NodeId(id), new_disk(GROUP, &membership))).collect();
        let mut trio = Self { network, members: BTreeMap::new(), disks, membership, config, boots: 0 };
        (1..=3).for_each(|id| trio.boot(NodeId(id)));
        trio
    }

    /// Starts a member from its disk; its state machine begins anew and applies the log again.
    pub(super) fn boot(&mut self, node: NodeId) {
        self.boots += 1;
        let incarnation = self.membership.incarnation(node).unwrap();
        let peer = Peer { node, incarnation, boot: BootNonce(self.boots) };
        let transport: Arc<dyn Transport> = Arc::new(self.network.endpoint(peer));
        for (other, _) in self.membership.members().filter(|(other, _)| *other != node) {
            transport.set_peer(other, Some(self.network.address()));
        }
        let faults = LogFaults::none();
        let store = FaultyLog::new(self.disks[&node].open(), faults.clone());
        let log = LogThread::start(Box::new(store)).unwrap();
        let state_machine = Echo::at(birth(&self.membership));
        let applying = Arc::clone(&state_machine.applying);
        let parts = DriverParts {
            node,
            group: GROUP,
            membership: self.membership.clone(),
            membership_index: LogIndex::ZERO,
            log_sizes: Vec::new(),
            seed: self.boots,
            log,
            outbox: Arc::new(TransportOutbox::new(Arc::clone(&transport))),
            state_machine,
            gate: OpenGate,
        };
        let handle = Driver::start(self.config, parts).unwrap();
        let pump = tokio::spawn(pump(transport, handle.clone()));
        self.members.insert(node, Member { handle, faults, applying, pump });
    }

    pub(super) fn handle(&self, node: NodeId) -> Handle {
        self.members[&node].handle.clone()
    }

    /// Waits until one of `nodes` leads.
    pub(super) async fn leader_among(&self, nodes: impl IntoIterator<Item = NodeId>) -> NodeId {
        let mut waiting = tokio::task::JoinSet::new();
        for node in nodes {
            let mut roles = self.members[&node].handle.roles();
            waiting.spawn(async move {
                // A member that stops never leads: its sender is gone.
                let led = roles.wait_for(|status| status.role == Role::Leader).await.is_ok();
                led.then_some(node)
            });
        }
        within(async {
            loop {
                if let Some(node) = waiting.join_next().await.expect("somebody leads").unwrap() {
                    return node;
                }
            }
        })
        .await
    }

    pub(super) async fn leader(&self) -> NodeId {
        self.leader_among(self.members.keys().copied()).await
    }

    pub(super) fn others(&self, node: NodeId) -> Vec<NodeId> {
        self.members.keys().copied().filter(|other| *other != node).collect()
    }

    /// Takes `node` off the network.
    pub(super) fn isolate(&self, node: NodeId) {
        self.others(node).into_iter().for_each(|other| self.network.disconnect(node, other));
    }

    pub(super) fn rejoin(&self, node: NodeId) {
        self.others(node).into_iter().for_each(|other| self.network.reconnect(node, other));
    }
}

impl fmt::Debug for Trio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trio").finish_non_exhaustive()
    }
}

pub(super) fn new_disk(group: GroupId, membership: &Membership) -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.open().create_group(group, birth(membership)).unwrap();
    disk
}

async fn pump(transport: Arc<dyn Transport>, handle: Handle) {
    while let Some(incoming) = transport.receive().await {
        match incoming {
            Incoming::Message { from, frame } => {
                for message in raft::decode(frame).unwrap() {
                    handle.receive(from.node, message.message, message.bodies);
                }
            }
            Incoming::Connected(peer) => drop(handle.peer_connected(peer.node)),
            Incoming::Disconnected(node) => drop(handle.peer_disconnected(node)),
        }
    }
}

/// Bounds every wait of a test.
pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("it takes far less than 30 s")
}

pub(super) const POISON: &[u8] = b"poison";
