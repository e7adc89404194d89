//! Random schedules: everything late, lost, repeated, reordered or cut off by a restart, and the invariants all along.

use std::collections::BTreeSet;

use blockraft_core::ProposalTicket;
use blockraft_types::Entry;
use bytes::Bytes;

use crate::event::Event;
use crate::tests::cluster::{Cluster, Node, tight};

/// xorshift64*: a schedule is repeated by its seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }
}

struct Campaign {
    cluster: Cluster,
    chance: Chance,
    payloads: Vec<Bytes>,
    tickets: u64,
    transfers: Vec<(u64, Vec<Entry>)>,
    /// A member that neither hears nor does anything for a while, so that the others get ahead of it.
    asleep: Option<u64>,
}

impl Campaign {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let voters = if chance.below(4) == 0 { 5 } else { 3 };
        Self {
            cluster: Cluster::new(voters, tight()),
            chance,
            payloads: Vec::new(),
            tickets: 0,
            transfers: Vec::new(),
            asleep: None,
        }
    }

    fn turn(&mut self) {
        let voters = self.cluster.nodes.len();
        let id = 1 + self.chance.below(voters) as u64;
        if self.chance.below(600) == 0 {
            self.asleep = if self.asleep.is_none() { Some(id) } else { None };
        }
        if self.asleep == Some(id) {
            return;
        }
        match self.chance.below(100) {
            0..30 => self.cluster.node(id).tick(1),
            30..62 => self.post(),
            62..76 => drop(self.cluster.node(id).persist()),
            76..80 => {
                let nth = self.chance.below(2);
                self.cluster.node(id).read(nth);
            }
            80..84 => {
                let nth = self.chance.below(2);
                self.cluster.node(id).answer_read(nth);
            }
            84..90 => drop(self.cluster.node(id).apply()),
            90..94 => self.propose(id),
            94..97 => self.announce(id),
            97..99 => self.transfer(id),
            _ if self.chance.below(4) == 0 => self.cluster.node(id).restart(),
            _ => self.cluster.node(id).settle(),
        }
        self.cluster.gather();
    }

    /// Delivers a packet: mostly the oldest ones first, sometimes twice, sometimes never.
    fn post(&mut self) {
        if self.cluster.packets.is_empty() {
            return;
        }
        let reach = if self.chance.below(4) == 0 { self.cluster.packets.len() } else { 1 };
        let packet = self.cluster.packets.remove(self.chance.below(reach));
        match self.chance.below(20) {
            0 => {}
            _ if self.asleep == Some(packet.to.0) => {}
            1 => {
                self.cluster.packets.push(packet.clone());
                self.cluster.deliver(packet);
            }
            _ => self.cluster.deliver(packet),
        }
    }

    fn propose(&mut self, id: u64) {
        self.tickets += 1;
        let body = Bytes::from(format!("payload {:>1$}", self.tickets, self.chance.below(60)));
        if self.chance.below(2) == 0 {
            self.cluster.node(id).announce(body.clone());
        }
        self.payloads.push(body.clone());
        self.cluster.node(id).step(Event::Propose { ticket: ProposalTicket(self.tickets), term: None, body });
    }

    /// A snapshot that a member was offered arrives, or begins its way and will be old when it arrives.
    fn transfer(&mut self, id: u64) {
        self.transfers.extend(self.cluster.take_offered(id).map(|state| (id, state)));
        if !self.transfers.is_empty() && self.chance.below(3) != 0 {
            let (id, state) = self.transfers.remove(self.chance.below(self.transfers.len()));
            self.cluster.node(id).complete(state);
        }
    }

    /// A payload reaches a member, mostly a recent one.
    fn announce(&mut self, id: u64) {
        if let Some(newest) = self.payloads.len().checked_sub(1) {
            let back = self.chance.below(6).min(newest);
            let payload = self.payloads[newest - back].clone();
            self.cluster.node(id).announce(payload);
        }
    }

    /// Everything is performed, and snapshots arrive at once.
    fn run(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.cluster.run(1);
            for id in 1..=self.cluster.nodes.len() as u64 {
                if let Some(state) = self.cluster.take_offered(id) {
                    self.cluster.node(id).complete(state);
                    self.cluster.settle();
                }
            }
        }
    }

    /// The world becomes kind: everything must come to rest, with one more proposal committed everywhere.
    fn recover(&mut self) {
        for payload in self.payloads.clone() {
            self.cluster.announce(&payload);
        }
        self.run(200);
        let leader = self.cluster.elect();
        let last = Bytes::from_static(b"the last one");
        self.cluster.announce(&last);
        self.tickets += 1;
        self.cluster.node(leader).step(Event::Propose {
            ticket: ProposalTicket(self.tickets),
            term: None,
            body: last.clone(),
        });
        self.run(50);
        let applied: BTreeSet<usize> = self.cluster.nodes.values().map(|node| node.applied.len()).collect();
        assert_eq!(applied.len(), 1, "all members applied the same number of entries");
        assert!(self.cluster.committed().iter().any(|entry| entry.body == last), "a healthy cluster commits");
        for node in self.cluster.nodes.values() {
            let status = node.replica.status();
            assert_eq!((status.held_appends, status.waiting_proposals), (0, 0), "nothing waits at {}", node.id);
            assert_eq!(node.replica.gate().leases(), 0, "no lease is left at {}: {:?}", node.id, node.replica.gate());
        }
    }
}

#[test]
fn whatever_is_late_lost_or_repeated_members_apply_the_same_and_leases_end() {
    let rounds = std::env::var("BLOCKRAFT_DRIVER_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(60);
    let (mut applied, mut held, mut compactions, mut installed, mut unneeded) = (0, 0, 0, 0, 0);
    for seed in 1..=rounds {
        let mut campaign = Campaign::new(seed);
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (0..6_000).for_each(|_| campaign.turn());
            campaign.recover();
        }));
        assert!(failed.is_ok(), "seed {seed} failed");
        applied += campaign.cluster.committed().len();
        let nodes = || campaign.cluster.nodes.values();
        held += nodes().map(|node: &Node| node.replica.status().held_dropped).sum::<u64>();
        compactions += nodes().map(|node| node.compactions).sum::<u64>();
        installed += nodes().map(|node| node.replica.gate().installed).sum::<u64>();
        unneeded += nodes().map(|node| node.replica.gate().unneeded).sum::<u64>();
    }
    assert!(rounds as usize * 20 < applied, "the schedules commit something: {applied}");
    assert!(0 < held, "the schedules give up held appends");
    assert!(0 < compactions, "the schedules compact");
    assert!(0 < installed && 0 < unneeded, "snapshots are installed, and come too late: {installed}, {unneeded}");
}

#[test]
fn a_schedule_is_repeated_by_its_seed() {
    let trace = |seed| {
        let mut campaign = Campaign::new(seed);
        (0..2_000).for_each(|_| campaign.turn());
        let nodes = campaign.cluster.nodes.into_iter();
        nodes.map(|(id, node)| (id, node.log_last(), node.applied.len(), node.sent)).collect::<Vec<_>>()
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}
