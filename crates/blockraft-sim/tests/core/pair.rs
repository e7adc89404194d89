//! Two clusters that live through the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::cluster::{Cluster, ELECTION_TICKS, HEARTBEAT_TICKS, Timer, View};
use crate::oracle::Oracle;
use crate::ours::Ours;
use crate::schedule::Episode;

pub(crate) struct Pair {
    ours: Ours,
    oracle: Oracle,
    members: Vec<u64>,
    payloads: u64,
    /// Who led in which term.
    leaders: BTreeMap<u64, u64>,
    story: String,
}

impl Pair {
    pub(crate) fn new(size: u64, seed: u64) -> Self {
        let (ours, oracle) = (Ours::new(size, seed), Oracle::new(size));
        let (members, leaders, story) = ((1..=size).collect(), BTreeMap::new(), String::new());
        Self { ours, oracle, members, payloads: 0, leaders, story }
    }

    pub(crate) fn live_through(&mut self, episode: &Episode) {
        let _ = writeln!(self.story, "{episode:?}");
        match episode {
            Episode::Election { up, candidate } => {
                self.settle(up);
                for id in up.iter().copied().filter(|id| id != candidate) {
                    self.ticks(id, ELECTION_TICKS);
                }
                // No clock runs for longer; a leader goes on leading.
                let _ = (0..2 * ELECTION_TICKS).any(|_| self.tick(*candidate) == Timer::ElectionDue);
                self.settle(up);
            }
            Episode::Writes { up, count } => {
                self.settle(up);
                self.propose(up, *count);
                self.settle(up);
            }
            Episode::Unanswered { to, count } => {
                let all = self.members.clone();
                self.settle(&all);
                if let Some(leader) = self.propose(&all, *count) {
                    to.iter().for_each(|id| self.deliver(leader, *id));
                }
                self.lose_all();
            }
            Episode::Restart { id } => {
                self.ours.restart(*id);
                self.oracle.restart(*id);
            }
        }
        for id in &self.members {
            let view = self.ours.view(*id);
            if view.leads {
                self.leaders.insert(view.term, *id);
            }
        }
    }

    /// What differs, with all that led to it.
    ///
    /// One difference is none: the oracle tells in its votes what is committed, so that its members may know it earlier.
    pub(crate) fn compare(&self) -> Result<(), String> {
        self.compare_by(|ours, oracle| {
            let same_but_for_commit = View { committed: oracle.committed, ..ours.clone() } == *oracle;
            same_but_for_commit && ours.committed <= oracle.committed
        })
    }

    /// Heals the network and gives a leader something to commit: then nothing at all may differ.
    pub(crate) fn compare_in_the_end(&mut self) -> Result<(), String> {
        let up = self.members.clone();
        // Votes may split: a member that waits for another one's campaign may begin its own.
        for candidate in up.iter().copied().cycle().take(ATTEMPTS_MAX * up.len()) {
            self.live_through(&Episode::Election { up: up.clone(), candidate });
            self.live_through(&Episode::Writes { up: up.clone(), count: 1 });
            let led = self.leader_among(&up).map(|id| self.ours.view(id));
            if led.is_some_and(|view| view.committed == view.log.len()) {
                return self.compare_by(|ours, oracle| ours == oracle);
            }
        }
        Err(format!("{}nobody leads and commits in the end", self.story))
    }

    fn compare_by(&self, same: impl Fn(&View, &View) -> bool) -> Result<(), String> {
        for id in &self.members {
            let (ours, oracle) = (self.ours.view(*id), self.oracle.view(*id));
            if !same(&ours, &oracle) {
                return Err(format!("{}member {id} differs:\n  ours {ours:?}\n  raft {oracle:?}", self.story));
            }
        }
        Ok(())
    }

    /// In how many terms somebody led.
    pub(crate) fn leaders(&self) -> u64 {
        self.leaders.len() as u64
    }

    /// How many entries are committed.
    pub(crate) fn committed(&self) -> u64 {
        self.views().map(|view| view.committed as u64).max().unwrap_or(0)
    }

    /// Makes the two differ.
    pub(crate) fn propose_to_one_of_them(&mut self) {
        let leader = self.leader_among(&self.members.clone()).expect("somebody leads");
        self.ours.propose(leader, 0);
    }

    fn views(&self) -> impl Iterator<Item = View> + '_ {
        self.members.iter().map(|id| self.ours.view(*id))
    }

    fn propose(&mut self, up: &[u64], count: u64) -> Option<u64> {
        let leader = self.leader_among(up)?;
        for _ in 0..count {
            self.payloads += 1;
            self.ours.propose(leader, self.payloads);
            self.oracle.propose(leader, self.payloads);
        }
        Some(leader)
    }

    /// The leader of the latest term.
    fn leader_among(&self, up: &[u64]) -> Option<u64> {
        let leads = |id: &u64| Some(self.ours.view(*id)).filter(|view| view.leads).map(|view| (view.term, *id));
        up.iter().filter_map(leads).max().map(|(_, id)| id)
    }

    fn ticks(&mut self, id: u64, count: u32) {
        for _ in 0..count {
            self.tick(id);
        }
    }

    fn tick(&mut self, id: u64) -> Timer {
        let timer = self.ours.tick(id);
        self.oracle.tick(id);
        self.oracle.obey(id, timer);
        timer
    }

    fn deliver(&mut self, from: u64, to: u64) {
        self.ours.deliver(from, to);
        self.oracle.deliver(from, to);
    }

    fn busy(&self) -> Vec<(u64, u64)> {
        let mut links = self.ours.busy();
        links.extend(self.oracle.busy());
        links.sort_unstable();
        links.dedup();
        links
    }

    fn lose_all(&mut self) {
        for (from, to) in self.busy() {
            self.ours.lose(from, to);
            self.oracle.lose(from, to);
        }
    }

    /// Everything between members that are up arrives, what is for others is lost, and leaders send heartbeats until those
    /// bring no news.
    fn settle(&mut self, up: &[u64]) {
        for _ in 0..HEARTBEATS {
            for id in up {
                if self.ours.view(*id).leads {
                    self.ticks(*id, HEARTBEAT_TICKS);
                }
            }
            loop {
                let links = self.busy();
                if links.is_empty() {
                    break;
                }
                for (from, to) in links {
                    if up.contains(&from) && up.contains(&to) {
                        self.deliver(from, to);
                    } else {
                        self.ours.lose(from, to);
                        self.oracle.lose(from, to);
                    }
                }
            }
        }
    }
}

/// With each member campaigning that often, votes have split each time in no schedule yet.
const ATTEMPTS_MAX: usize = 10;

/// Enough for a follower that lost everything to be found, probed and fed.
const HEARTBEATS: u32 = 8;
