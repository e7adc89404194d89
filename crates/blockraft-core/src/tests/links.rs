//! Partial connectivity (Cloudflare, 2 November 2020: more than six hours without a leader): for every way in which the
//! directed links of three members can be cut, and for drawn ways with five, a quorum that is mutually connected gets a
//! stable leader and commits.

use std::collections::BTreeSet;
use std::vec::Vec;

use blockraft_types::NodeId;

use super::chance::Chance;
use super::cluster::{Cluster, voters};
use crate::Config;

/// Ticks after which a mutually connected quorum must have committed: ten of the longest election timeouts.
const PATIENCE: u64 = 300;

fn check(size: u64, up: &BTreeSet<(NodeId, NodeId)>, seed: u64) {
    let mut cluster = Cluster::new(voters(1..=size), Config::default(), seed);
    let ids = cluster.ids();
    let connected = |a: &NodeId, b: &NodeId| a == b || (up.contains(&(*a, *b)) && up.contains(&(*b, *a)));
    let cliques = (0_u32..1 << size).filter_map(|mask| {
        let members: Vec<NodeId> = ids.iter().copied().filter(|id| mask >> (id.0 - 1) & 1 == 1).collect();
        let is_clique = members.iter().all(|a| members.iter().all(|b| connected(a, b)));
        (is_clique && members.len() as u64 * 2 > size).then_some(members)
    });
    let Some(_) = cliques.max_by_key(Vec::len) else { return };
    let mut ticket = None;
    let mut late_terms = BTreeSet::new();
    for now in 0..PATIENCE * 3 {
        for &id in &ids {
            cluster.tick(id);
        }
        for &id in &ids {
            cluster.persist(id, usize::MAX);
        }
        for envelope in core::mem::take(&mut cluster.sent) {
            if up.contains(&(envelope.from, envelope.to)) {
                cluster.deliver(envelope);
            }
        }
        if now == PATIENCE {
            let leader = cluster.leader();
            assert!(leader.is_some(), "somebody leads with the links {up:?}");
            ticket = leader.map(|leader| cluster.propose(leader, &[10]));
        }
        if PATIENCE * 2 < now {
            late_terms.extend(cluster.leader().map(|leader| cluster.raft(leader).term()));
        }
    }
    let index = ticket.and_then(|ticket| cluster.accepted.get(&ticket).copied()).expect("a leader takes proposals");
    assert!(index <= cluster.committed(), "the quorum commits with the links {up:?}");
    assert!(late_terms.len() <= 1, "leadership is stable with the links {up:?}: {late_terms:?}");
}

fn links(size: u64) -> Vec<(NodeId, NodeId)> {
    let pairs = (1..=size).flat_map(|from| (1..=size).map(move |to| (NodeId(from), NodeId(to))));
    pairs.filter(|(from, to)| from != to).collect()
}

#[test]
fn all_64_ways_to_cut_the_links_of_three_members_leave_a_connected_quorum_working() {
    let links = links(3);
    for mask in 0_u32..64 {
        let up = links.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1).map(|(_, link)| *link).collect();
        for seed in 0..5 {
            check(3, &up, seed);
        }
    }
}

#[test]
fn drawn_ways_to_cut_the_links_of_five_members_leave_a_connected_quorum_working() {
    let links = links(5);
    let mut chance = Chance(5);
    for seed in 0..400 {
        let cut = chance.pick(&[50, 200, 400]);
        let up = links.iter().copied().filter(|_| !chance.permille(cut)).collect();
        check(5, &up, seed);
    }
}
