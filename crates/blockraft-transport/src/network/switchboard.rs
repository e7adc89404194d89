//! Who is plugged in, who wants to talk to whom, and which links are up: the one shared state of a network.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blockraft_types::NodeId;
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::address::PeerAddress;
use crate::bulk_inbox::{BulkBudget, BulkInbox};
use crate::inbox::{Inbox, OfferError, Session};
use crate::peer::Peer;
use crate::send::SendError;
use crate::status::PeerStatus;

/// A switchboard shared by a network and its endpoints.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wiring(Arc<Mutex<Switchboard>>);

/// The state of a network.
#[derive(Debug, Default)]
pub(crate) struct Switchboard {
    plugs: BTreeMap<NodeId, Plug>,
    plugged: u64,
    cut: BTreeSet<(NodeId, NodeId)>,
    apart: BTreeSet<(NodeId, NodeId)>,
}

/// An endpoint's receiving side, shared with the endpoint.
#[derive(Debug)]
pub(crate) struct Receivers {
    pub(crate) control: Inbox,
    pub(crate) bulk: BulkInbox,
}

/// The number of a plug, so that an endpoint whose successor is plugged in can't act for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlugNumber(u64);

/// What a bulk transfer needs to know of its link.
#[derive(Debug)]
pub(crate) struct BulkRoute {
    pub(crate) budget: BulkBudget,
    /// Closed when the link ends.
    pub(crate) alive: Arc<Semaphore>,
}

#[derive(Debug)]
struct Plug {
    number: PlugNumber,
    peer: Peer,
    receivers: Arc<Receivers>,
    ports: BTreeMap<NodeId, Port>,
}

/// What one endpoint keeps about one peer.
#[derive(Debug, Default)]
struct Port {
    address: Option<PeerAddress>,
    link: Option<Link>,
    frames_sent: u64,
    frames_dropped: u64,
    bulk_bytes_in_flight: u64,
    bulks_sent: u64,
}

/// The sending half of a connection.
#[derive(Debug)]
struct Link {
    session: Session,
    target: Peer,
    budget: BulkBudget,
    alive: Arc<Semaphore>,
}

impl Wiring {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Switchboard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Switchboard {
    pub(crate) fn plug(&mut self, peer: Peer, receivers: Arc<Receivers>) -> PlugNumber {
        if let Some(plug) = self.plugs.get(&peer.node) {
            let number = plug.number;
            self.unplug(peer.node, number);
        }
        self.plugged += 1;
        let number = PlugNumber(self.plugged);
        self.plugs.insert(peer.node, Plug { number, peer, receivers, ports: BTreeMap::new() });
        let others: Vec<NodeId> = self.plugs.keys().copied().collect();
        for other in others {
            self.connect(peer.node, other);
        }
        number
    }

    pub(crate) fn unplug(&mut self, node: NodeId, number: PlugNumber) {
        if !self.is_plugged(node, number) {
            return;
        }
        let others: Vec<NodeId> = self.plugs.keys().copied().collect();
        for other in others {
            self.hang_up(node, other);
        }
        if let Some(plug) = self.plugs.remove(&node) {
            plug.receivers.control.close();
            plug.receivers.bulk.close();
        }
    }

    pub(crate) fn set_address(
        &mut self,
        node: NodeId,
        number: PlugNumber,
        target: NodeId,
        address: Option<PeerAddress>,
    ) {
        if !self.is_plugged(node, number) {
            return;
        }
        let Some(plug) = self.plugs.get_mut(&node) else { return };
        let wanted = address.is_some();
        plug.ports.entry(target).or_default().address = address;
        if wanted {
            self.connect(node, target);
        } else {
            self.hang_up(node, target);
        }
    }

    pub(crate) fn send(
        &mut self,
        node: NodeId,
        number: PlugNumber,
        target: NodeId,
        frame: Bytes,
    ) -> Result<(), SendError> {
        let cut = self.cut.contains(&(node, target));
        let plug = self.plug_of(node, number).ok_or(SendError::Closed)?;
        let port = plug.ports.get_mut(&target).ok_or(SendError::NotConnected { peer: target })?;
        let sent = match &port.link {
            None => Err(SendError::NotConnected { peer: target }),
            Some(_) if cut => Ok(()),
            Some(link) => link.session.offer(frame).map_err(|error| match error {
                OfferError::Full => SendError::QueueFull { peer: target },
                OfferError::Ended(_) => SendError::NotConnected { peer: target },
            }),
        };
        match sent {
            Ok(()) => port.frames_sent += 1,
            Err(_) => port.frames_dropped += 1,
        }
        sent
    }

    /// The route of a bulk transfer of `bytes`, which counts as in flight until [`bulk_ended`](Self::bulk_ended).
    pub(crate) fn bulk_started(&mut self, node: NodeId, target: NodeId, bytes: u64) -> Option<BulkRoute> {
        let port = self.plugs.get_mut(&node)?.ports.get_mut(&target)?;
        let link = port.link.as_ref()?;
        port.bulk_bytes_in_flight += bytes;
        Some(BulkRoute { budget: link.budget.clone(), alive: Arc::clone(&link.alive) })
    }

    pub(crate) fn bulk_ended(&mut self, node: NodeId, number: PlugNumber, target: NodeId, bytes: u64) {
        let port = self.plug_of(node, number).and_then(|plug| plug.ports.get_mut(&target));
        if let Some(port) = port {
            port.bulk_bytes_in_flight = port.bulk_bytes_in_flight.saturating_sub(bytes);
        }
    }

    pub(crate) fn bulk_arrived(&mut self, node: NodeId, number: PlugNumber, target: NodeId) {
        let port = self.plug_of(node, number).and_then(|plug| plug.ports.get_mut(&target));
        if let Some(port) = port {
            port.bulks_sent += 1;
        }
    }

    pub(crate) fn is_plugged(&self, node: NodeId, number: PlugNumber) -> bool {
        self.plugs.get(&node).is_some_and(|plug| plug.number == number)
    }

    pub(crate) fn is_cut(&self, source: NodeId, target: NodeId) -> bool {
        self.cut.contains(&(source, target))
    }

    pub(crate) fn peers(&self, node: NodeId, number: PlugNumber) -> Vec<PeerStatus> {
        let plug = self.plugs.get(&node).filter(|plug| plug.number == number);
        let ports = plug.into_iter().flat_map(|plug| &plug.ports);
        ports
            .filter(|(_, port)| port.address.is_some() || port.link.is_some())
            .map(|(&node, port)| PeerStatus {
                node,
                address: port.address.clone(),
                connected: port.link.as_ref().map(|link| link.target),
                frames_sent: port.frames_sent,
                frames_dropped: port.frames_dropped,
                bulk_bytes_in_flight: port.bulk_bytes_in_flight,
                bulks_sent: port.bulks_sent,
                bulks_refused: 0,
                path: None,
            })
            .collect()
    }

    pub(crate) fn cut(&mut self, source: NodeId, target: NodeId) {
        self.cut.insert((source, target));
    }

    pub(crate) fn heal(&mut self, source: NodeId, target: NodeId) {
        self.cut.remove(&(source, target));
    }

    pub(crate) fn disconnect(&mut self, one: NodeId, other: NodeId) {
        self.apart.insert(pair(one, other));
        self.hang_up(one, other);
    }

    pub(crate) fn reconnect(&mut self, one: NodeId, other: NodeId) {
        self.apart.remove(&pair(one, other));
        self.connect(one, other);
    }

    fn connect(&mut self, one: NodeId, other: NodeId) {
        let wants = |node, target| {
            let port = self.plugs.get(&node).and_then(|plug: &Plug| plug.ports.get(&target));
            port.is_some_and(|port| port.address.is_some())
        };
        let linked =
            self.plugs.get(&one).and_then(|plug| plug.ports.get(&other)).is_some_and(|port| port.link.is_some());
        let wanted = wants(one, other) || wants(other, one);
        if one == other || linked || !wanted || self.apart.contains(&pair(one, other)) {
            return;
        }
        let (Some(first), Some(second)) = (self.plugs.get(&one), self.plugs.get(&other)) else { return };
        let alive = Arc::new(Semaphore::new(0));
        let links = [(first, second), (second, first)].map(|(source, target)| Link {
            session: target.receivers.control.open(source.peer),
            target: target.peer,
            budget: target.receivers.bulk.budget(source.peer),
            alive: Arc::clone(&alive),
        });
        for (link, (source, target)) in links.into_iter().zip([(one, other), (other, one)]) {
            if let Some(plug) = self.plugs.get_mut(&source) {
                plug.ports.entry(target).or_default().link = Some(link);
            }
        }
    }

    fn hang_up(&mut self, one: NodeId, other: NodeId) {
        for (source, target) in [(one, other), (other, one)] {
            let port = self.plugs.get_mut(&source).and_then(|plug| plug.ports.get_mut(&target));
            if let Some(link) = port.and_then(|port| port.link.take()) {
                link.alive.close();
            }
        }
    }

    fn plug_of(&mut self, node: NodeId, number: PlugNumber) -> Option<&mut Plug> {
        self.plugs.get_mut(&node).filter(|plug| plug.number == number)
    }
}

fn pair(one: NodeId, other: NodeId) -> (NodeId, NodeId) {
    (one.min(other), one.max(other))
}
