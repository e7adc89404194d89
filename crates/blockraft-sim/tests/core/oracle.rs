//! The same cluster with the crate `raft` in the place of the core.
//!
//! Its clocks are ours: when one of our members campaigns or gives up its role because of the time, its twin is told to.

use std::collections::BTreeMap;

use raft::prelude::{ConfState, Message, RawNode};
use raft::storage::MemStorage;
use raft::{Config, StateRole};
use slog::{Discard, Logger, o};

use crate::cluster::{Cluster, ELECTION_TICKS, HEARTBEAT_TICKS, Links, Timer, View};

pub(crate) struct Oracle {
    members: BTreeMap<u64, Member>,
    links: Links<Message>,
}

struct Member {
    node: RawNode<MemStorage>,
    committed: u64,
}

impl Oracle {
    pub(crate) fn new(size: u64) -> Self {
        let voters: Vec<u64> = (1..=size).collect();
        let boot = |id| {
            let store = MemStorage::new_with_conf_state(ConfState::from((voters.clone(), Vec::new())));
            (id, Member { node: node(id, store, 0), committed: 0 })
        };
        Self { members: voters.iter().copied().map(boot).collect(), links: Links::default() }
    }

    /// The clock of our member ran out: so does its twin's.
    pub(crate) fn obey(&mut self, id: u64, timer: Timer) {
        match timer {
            Timer::Quiet => return,
            Timer::ElectionDue => self.member(id).node.campaign().expect("a voter may campaign"),
            Timer::QuorumLost => {
                let raft = &mut self.member(id).node.raft;
                let term = raft.term;
                raft.become_follower(term, raft::INVALID_ID);
            }
        }
        self.settle(id);
    }

    fn member(&mut self, id: u64) -> &mut Member {
        self.members.get_mut(&id).expect("every id is a member")
    }

    fn settle(&mut self, id: u64) {
        let Self { members, links } = self;
        let Member { node, committed } = members.get_mut(&id).expect("every id is a member");
        let mut send =
            |messages: Vec<Message>| messages.into_iter().for_each(|message| links.push(id, message.to, message));
        while node.has_ready() {
            let mut ready = node.ready();
            send(ready.take_messages());
            let mut applied = ready.take_committed_entries();
            let mut store = node.mut_store().wl();
            store.append(ready.entries()).expect("entries follow the log");
            if let Some(hard_state) = ready.hs() {
                store.set_hardstate(hard_state.clone());
            }
            drop(store);
            send(ready.take_persisted_messages());
            let mut light = node.advance(ready);
            if let Some(commit) = light.commit_index() {
                node.mut_store().wl().mut_hard_state().set_commit(commit);
            }
            send(light.take_messages());
            applied.extend(light.take_committed_entries());
            *committed = applied.last().map_or(*committed, |entry| entry.index);
            node.advance_apply();
        }
    }
}

impl Cluster for Oracle {
    fn tick(&mut self, id: u64) -> Timer {
        let node = &mut self.member(id).node;
        node.raft.set_randomized_election_timeout(NEVER - 1);
        // Leases need it; stepping down is told by `obey`.
        node.raft.set_check_quorum(false);
        node.tick();
        node.raft.set_check_quorum(true);
        self.settle(id);
        Timer::Quiet
    }

    fn propose(&mut self, id: u64, payload: u64) {
        let node = &mut self.member(id).node;
        // A follower would forward it; ours leaves that to its driver.
        if node.raft.state == StateRole::Leader {
            node.propose(Vec::new(), payload.to_le_bytes().to_vec()).expect("a leader takes it");
        }
        self.settle(id);
    }

    fn deliver(&mut self, from: u64, to: u64) {
        for message in self.links.take(from, to) {
            // A message that comes too late is an error for the oracle, and no news.
            let _ = self.member(to).node.step(message);
            self.settle(to);
        }
    }

    fn lose(&mut self, from: u64, to: u64) {
        self.links.take(from, to);
    }

    fn restart(&mut self, id: u64) {
        self.links.cut(id);
        let Member { node: old, committed } = self.members.remove(&id).expect("every id is a member");
        let node = node(id, old.store().clone(), committed);
        self.members.insert(id, Member { node, committed });
        self.settle(id);
    }

    fn busy(&self) -> Vec<(u64, u64)> {
        self.links.busy()
    }

    fn view(&self, id: u64) -> View {
        let member = &self.members[&id];
        let raft = &member.node.raft;
        let entry = |entry: &raft::prelude::Entry| {
            let payload = <[u8; 8]>::try_from(&entry.data[..]).ok();
            (entry.term, payload.map(u64::from_le_bytes))
        };
        View {
            term: raft.term,
            leads: raft.state == StateRole::Leader,
            log: raft.raft_log.all_entries().iter().map(entry).collect(),
            committed: usize::try_from(member.committed).expect("short logs"),
        }
    }
}

/// Its own clock never runs out.
const NEVER: usize = 1 << 40;

fn node(id: u64, store: MemStorage, applied: u64) -> RawNode<MemStorage> {
    let config = Config {
        id,
        election_tick: ELECTION_TICKS as usize,
        heartbeat_tick: HEARTBEAT_TICKS as usize,
        max_election_tick: NEVER,
        applied,
        max_size_per_msg: 1 << 20,
        max_inflight_msgs: 64,
        check_quorum: true,
        pre_vote: true,
        ..Config::default()
    };
    RawNode::new(&config, store, &Logger::root(Discard, o!())).expect("a sound configuration")
}
