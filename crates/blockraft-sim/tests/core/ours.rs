//! A cluster of the real core whose disks are instant: what a member asks for is durable before anything else happens.

use std::collections::BTreeMap;

use blockraft_core::ready::{Outgoing, Persist};
use blockraft_core::{BodyHead, Config, Input, LogPoint, Options, ProposalTicket, Raft, Ready, Restored};
use blockraft_types::{
    ClusterId, EntryHead, EntryKind, GroupId, HardState, Incarnation, LogIndex, Membership, Message, NodeId, Position,
    Role,
};

use crate::cluster::{Cluster, ELECTION_TICKS, HEARTBEAT_TICKS, Links, Timer, View};

/// All members, and what is on its way between them.
#[derive(Debug)]
pub(crate) struct Ours {
    members: BTreeMap<u64, Member>,
    links: Links<Message>,
    membership: Membership,
    genesis: LogPoint,
    boots: u64,
    /// What stands behind the digest of a body.
    payloads: BTreeMap<[u8; 16], u64>,
}

#[derive(Debug)]
struct Member {
    raft: Raft,
    hard_state: HardState,
    /// From index 1 on.
    heads: Vec<EntryHead>,
    committed: LogIndex,
}

impl Ours {
    pub(crate) fn new(size: u64, seed: u64) -> Self {
        let voters = (1..=size).map(|id| (NodeId(id), Incarnation::from_bytes([id as u8; 16])));
        let membership = Membership::of_voters(voters);
        let genesis = LogPoint::genesis(ClusterId::from_bytes([1; 16]), GroupId(0), &membership);
        let (members, links) = (BTreeMap::new(), Links::default());
        let mut ours = Self { members, links, membership, genesis, boots: seed, payloads: BTreeMap::new() };
        for id in 1..=size {
            ours.boot(id, HardState::default(), Vec::new(), LogIndex::ZERO);
        }
        ours
    }

    fn boot(&mut self, id: u64, hard_state: HardState, heads: Vec<EntryHead>, committed: LogIndex) {
        self.boots = self.boots.wrapping_add(1);
        let mut terms: Vec<Position> = heads.iter().map(|head| head.position).collect();
        terms.dedup_by_key(|position| position.term);
        let restored = Restored {
            id: NodeId(id),
            group: GroupId(0),
            hard_state,
            anchor: self.genesis,
            last: heads.last().map_or(self.genesis, point_of),
            terms,
            applied: committed,
            membership: self.membership.clone(),
            membership_index: LogIndex::ZERO,
            earlier_memberships: Vec::new(),
            tail: heads.iter().filter(|head| committed < head.position.index).cloned().collect(),
            lost_tail: None,
        };
        let raft = Raft::new(config(), self.boots, restored).expect("instant disks are sound");
        self.members.insert(id, Member { raft, hard_state, heads, committed });
        self.settle(id);
    }

    fn step(&mut self, id: u64, input: Input) {
        self.members.get_mut(&id).expect("every id is a member").raft.step(input);
        self.settle(id);
    }

    fn settle(&mut self, id: u64) {
        let member = self.members.get_mut(&id).expect("every id is a member");
        loop {
            let ready = member.raft.take_ready();
            if ready.is_empty() {
                return;
            }
            let Ready { messages, sealed, appends, persist, committed, .. } = ready;
            for Outgoing { to, message } in messages {
                self.links.push(id, to.0, message);
            }
            if let Some(persist) = persist {
                let receipt = member.write(persist);
                for sealed in sealed {
                    let (to, message) = sealed.open(&receipt).expect("its batch is the one that is durable");
                    self.links.push(id, to.0, message);
                }
                member.raft.step(Input::Persisted(receipt));
            }
            if let Some(committed) = committed {
                member.committed = committed.last.index;
                member.raft.step(Input::Applied { index: committed.last.index });
            }
            for range in appends {
                let from = usize::try_from(range.prev.index.0).expect("short logs");
                let last = usize::try_from(range.last.0).expect("short logs");
                let prev = from.checked_sub(1).map_or(self.genesis.chain, |at| member.heads[at].chain);
                let (append, sent) = range.fill(prev, member.heads[from..last].to_vec()).expect("its own log");
                self.links.push(id, range.to.0, Message::AppendEntries(append));
                member.raft.step(Input::AppendSent(sent));
            }
        }
    }
}

impl Member {
    fn write(&mut self, persist: Persist) -> blockraft_types::PersistReceipt {
        self.hard_state = persist.hard_state.unwrap_or(self.hard_state);
        if let Some(from) = persist.truncate_from {
            self.heads.retain(|head| head.position.index < from);
        }
        self.heads.extend(persist.heads);
        persist.ticket.redeem()
    }
}

impl Cluster for Ours {
    fn tick(&mut self, id: u64) -> Timer {
        let before = self.members[&id].raft.role();
        let waiting = self.links.waiting(id);
        self.step(id, Input::Tick);
        let after = self.members[&id].raft.role();
        match (before, after) {
            (Role::Leader, Role::Leader) => Timer::Quiet,
            (Role::Leader, _) => Timer::QuorumLost,
            // Alone it needs nobody's vote.
            (_, Role::Leader) => Timer::ElectionDue,
            (_, Role::PreCandidate) if waiting != self.links.waiting(id) => Timer::ElectionDue,
            _ => Timer::Quiet,
        }
    }

    fn propose(&mut self, id: u64, payload: u64) {
        let head = BodyHead::of(&payload.to_le_bytes()).expect("eight bytes");
        self.payloads.insert(*head.digest.as_bytes(), payload);
        self.step(id, Input::Propose { ticket: ProposalTicket(payload), bodies: vec![head] });
    }

    fn deliver(&mut self, from: u64, to: u64) {
        for message in self.links.take(from, to) {
            self.step(to, Input::Message { from: NodeId(from), message });
        }
    }

    fn lose(&mut self, from: u64, to: u64) {
        self.links.take(from, to);
    }

    fn restart(&mut self, id: u64) {
        self.links.cut(id);
        let Member { hard_state, heads, committed, .. } = self.members.remove(&id).expect("every id is a member");
        self.boot(id, hard_state, heads, committed);
    }

    fn busy(&self) -> Vec<(u64, u64)> {
        self.links.busy()
    }

    fn view(&self, id: u64) -> View {
        let member = &self.members[&id];
        let entry = |head: &EntryHead| {
            let payload = match head.kind {
                EntryKind::Command => Some(self.payloads[head.body_digest.as_bytes()]),
                EntryKind::Blank | EntryKind::Membership(_) => None,
            };
            (head.position.term.0, payload)
        };
        View {
            term: member.raft.term().0,
            leads: member.raft.role() == Role::Leader,
            log: member.heads.iter().map(entry).collect(),
            committed: usize::try_from(member.committed.0).expect("short logs"),
        }
    }
}

fn point_of(head: &EntryHead) -> LogPoint {
    LogPoint { position: head.position, chain: head.chain }
}

fn config() -> Config {
    let options = Options {
        heartbeat_ticks: HEARTBEAT_TICKS,
        election_ticks_min: ELECTION_TICKS,
        election_ticks_max: 2 * ELECTION_TICKS,
        commit_stall_ticks: u32::MAX,
        ..Options::default()
    };
    Config::new(options).expect("the times fit together")
}
