//! Three members in one process count together: another state machine, no payloads, a log in memory.
//!
//! Run it with `cargo run -p blockraft-driver --example counter`.
#![expect(clippy::print_stdout, reason = "an example speaks to its reader")]

use std::error::Error;
use std::sync::Arc;

use blockraft_driver::{
    ApplyError, Driver, DriverConfig, DriverHandle, DriverParts, FlushError, LogThread, OpenGate, StateMachine,
    TransportOutbox,
};
use blockraft_log::{Anchor, LogStore, MemoryDisk};
use blockraft_transport::{Incoming, Network, Peer, Transport};
use blockraft_types::{
    BootNonce, ChainDigest, ClusterId, Entry, EntryKind, GroupId, Incarnation, LogIndex, Membership, NodeId, Position,
    Role,
};
use blockraft_wire::raft;
use bytes::Bytes;

/// Adds up the numbers in its entries and answers each with the sum so far.
struct Counter {
    sum: u64,
    applied: Anchor,
}

impl StateMachine for Counter {
    type Output = u64;

    fn applied(&self) -> Anchor {
        self.applied
    }

    fn apply(&mut self, entries: &[Entry]) -> Result<Vec<u64>, ApplyError> {
        let mut sums = Vec::with_capacity(entries.len());
        for Entry { head, body } in entries {
            if head.kind == EntryKind::Command {
                let number = <[u8; 8]>::try_from(&body[..])
                    .map_err(|source| ApplyError { index: head.position.index, source: Box::new(source) })?;
                self.sum = self.sum.wrapping_add(u64::from_le_bytes(number));
            }
            self.applied = Anchor { position: head.position, chain: head.chain };
            sums.push(self.sum);
        }
        Ok(sums)
    }

    fn flush(&mut self) -> Result<Anchor, FlushError> {
        Ok(self.applied)
    }
}

type Member = DriverHandle<Counter, OpenGate>;

fn start(network: &Network, node: NodeId, membership: &Membership) -> Result<Member, Box<dyn Error>> {
    let (group, cluster) = (GroupId(0), ClusterId::from_bytes([7; 16]));
    let birth = Anchor { position: Position::ZERO, chain: ChainDigest::genesis(cluster, group, membership) };
    let mut log = MemoryDisk::new().open();
    log.create_group(group, birth)?;
    let incarnation = membership.incarnation(node).ok_or("not a member")?;
    let transport: Arc<dyn Transport> = Arc::new(network.endpoint(Peer { node, incarnation, boot: BootNonce(node.0) }));
    for (peer, _) in membership.members().filter(|(peer, _)| *peer != node) {
        transport.set_peer(peer, Some(network.address()));
    }
    let parts = DriverParts {
        node,
        group,
        membership: membership.clone(),
        membership_index: LogIndex::ZERO,
        log_sizes: Vec::new(),
        seed: node.0,
        log: LogThread::start(Box::new(log))?,
        outbox: Arc::new(TransportOutbox::new(Arc::clone(&transport))),
        state_machine: Counter { sum: 0, applied: birth },
        gate: OpenGate,
    };
    let member = Driver::start(DriverConfig::default(), parts)?;
    let receiver = member.clone();
    tokio::spawn(async move {
        while let Some(incoming) = transport.receive().await {
            if let Incoming::Message { from, frame } = incoming {
                for message in raft::decode(frame).into_iter().flatten() {
                    receiver.receive(from.node, message.message, message.bodies);
                }
            }
        }
    });
    Ok(member)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let network = Network::new();
    let membership = Membership::of_voters((1..=3).map(|id| (NodeId(id), Incarnation::from_bytes([id as u8; 16]))));
    let members = [1, 2, 3].map(|id| start(&network, NodeId(id), &membership));
    let members = members.into_iter().collect::<Result<Vec<_>, _>>()?;

    let leader = members[0].roles().wait_for(|status| status.leader.is_some()).await?.leader.ok_or("nobody leads")?;
    let leader = members.iter().find(|member| member.node() == leader).ok_or("a stranger leads")?;
    leader.roles().wait_for(|status| status.role == Role::Leader).await?;
    println!("node {} leads", leader.node());

    for number in 1..=10_u64 {
        let committed = leader.propose(Bytes::copy_from_slice(&number.to_le_bytes())).await?;
        println!("{number} made {} at {}", committed.output, committed.position);
    }
    let index = leader.read_index().await?;
    for member in &members {
        let applied = member.wait_applied(index).await?;
        println!("node {} has applied {applied}", member.node());
    }
    for member in &members {
        member.shutdown().await;
    }
    Ok(())
}
