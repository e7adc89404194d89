//! How the node is doing, in the wire's words.

use blockraft_types::{Membership, NodeId};
use blockraft_wire::client::{Connection, GroupStatus, MemberKind, MemberStatus, NodeStatus, Reserve};

use crate::served::Served;

/// The node's status at this moment.
pub(crate) fn of(served: &Served) -> NodeStatus {
    let status = served.node.status();
    let core = &status.driver.core;
    let membership = &core.membership;
    let member = |node: NodeId| {
        let itself = node == status.identity.node;
        let connected = status.peers.iter().any(|peer| peer.node == node && peer.connected.is_some());
        MemberStatus {
            node,
            kind: kind_of(membership, node),
            connection: match (itself, connected) {
                (true, _) => Connection::Itself,
                (false, true) => Connection::Up,
                (false, false) => Connection::Down,
            },
            address: served.address_of(node),
            match_index: core.progress.get(&node).map(|progress| progress.match_index),
            payload_lag_bytes: status.debts().iter().find(|debt| debt.node == node).map(|debt| debt.bytes),
        }
    };
    let group = GroupStatus {
        group: status.driver.group,
        role: status.role(),
        term: status.term(),
        leader: status.leader(),
        log_first: core.anchor.index.next(),
        log_last: core.last,
        lost_tail: core.lost_tail,
        commit_index: core.commit_index,
        last_applied: status.catalog.position,
        blocks: status.catalog.blocks,
        block_bytes: status.catalog.bytes,
        reserve: status.reserve().map(reserve_of),
        members: membership.members().map(|(node, _)| member(node)).collect(),
    };
    NodeStatus {
        cluster: status.identity.cluster,
        node: status.identity.node,
        incarnation: status.identity.incarnation,
        release: served.about.release.clone(),
        uptime_ms: u64::try_from(served.about.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        groups: vec![group],
    }
}

fn reserve_of(reserve: blockraft_node::Reserve) -> Reserve {
    match reserve {
        blockraft_node::Reserve::Impossible => Reserve::Impossible,
        blockraft_node::Reserve::Enough => Reserve::Enough,
        blockraft_node::Reserve::Short { far } => Reserve::Short { far: far.into_iter().collect() },
    }
}

fn kind_of(membership: &Membership, node: NodeId) -> MemberKind {
    match (membership.voters.contains_key(&node), membership.outgoing.contains_key(&node)) {
        (true, false) if membership.is_joint() => MemberKind::Joining,
        (true, _) => MemberKind::Voter,
        (false, true) => MemberKind::Leaving,
        (false, false) => MemberKind::Learner,
    }
}
