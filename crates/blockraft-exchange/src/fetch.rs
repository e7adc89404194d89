//! Payloads that are wanted here and not durable: whom to ask, in which order, within which bounds.
//!
//! Entries at the gate come first, lowest index first, on a credit of their own; proposals and repairs share another; a
//! snapshot comes last, on a third one and at a bounded rate, and asks all peers in turn.
//! Peers are asked one at a time: who is likely to have it, then the leader, then anyone; a time-out or a refusal moves
//! on to the next, and when all were asked the round starts anew after a pause. So a fetch succeeds once any connected
//! peer has the block and answers. A peer that is sending a snapshot's payloads, however slowly, isn't overdue with the
//! next one: what is asked for twice comes twice.

use std::collections::{BTreeMap, BTreeSet};

use blockraft_blocks::Multihash;
use blockraft_types::{LogIndex, NodeId};

use crate::arrivals::Arrivals;
use crate::config::Config;
use crate::effect::{Effect, Space};
use crate::ledger::{Ledger, Presence};
use crate::message::{Fetch, Message, MissingReason};
use crate::payload::{Named, Payload};
use crate::tickets::Tickets;
use crate::view::View;

/// Why a payload is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The entry at this index waits at the gate.
    Gate(LogIndex),
    /// A proposal waits; perhaps it came from a node that has the bytes.
    Proposal(Option<NodeId>),
    Repair,
    /// A snapshot names it.
    Snapshot,
}

#[derive(Debug, Default)]
pub(crate) struct Fetches {
    wants: BTreeMap<Multihash, Want>,
    /// Wants that aren't in flight, in the order in which they are served.
    queue: BTreeSet<(Rank, Multihash)>,
    in_flight: BTreeMap<u64, Multihash>,
    gate: Credit,
    other: Credit,
    snapshot: Credit,
    /// Bytes that may be asked for for a snapshot; overdrawn by at most one block.
    snapshot_tokens: i64,
    /// When a payload came last from whom.
    heard: BTreeMap<NodeId, u64>,
    /// What a snapshot names and no reachable peer has, the leader among them.
    nobody: Vec<Multihash>,
    arrivals: u64,
}

/// The gate by index, then the others by arrival, then what a snapshot names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Gate(LogIndex),
    Other(u64),
    Snapshot(u64),
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Credit {
    pub(crate) count: usize,
    pub(crate) bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pool {
    Gate,
    Other,
    Snapshot,
}

#[derive(Debug)]
struct Want {
    length: u32,
    gate: Option<LogIndex>,
    proposals: usize,
    repair: bool,
    snapshot: bool,
    arrival: u64,
    origin: Option<NodeId>,
    /// Who was asked in this round.
    asked: BTreeSet<NodeId>,
    /// Who said since then that it has no good copy.
    absent: BTreeSet<NodeId>,
    retry_at: u64,
    /// A write of it failed, and that wasn't the store's end: it had no room.
    found_no_room: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    Asked {
        counter: u64,
        to: NodeId,
        since: u64,
        pool: Pool,
    },
    /// It came and is being written; its credit is still in use.
    Storing {
        pool: Pool,
    },
}

impl Fetches {
    /// Wants the payload for one more purpose.
    pub(crate) fn want(&mut self, named: Named, purpose: Purpose) {
        self.arrivals += 1;
        let arrival = self.arrivals;
        let want = self.wants.entry(named.name).or_insert_with(|| Want::new(named.length, arrival));
        let before = want.rank();
        match purpose {
            Purpose::Gate(index) => want.gate = Some(want.gate.map_or(index, |gate| gate.min(index))),
            Purpose::Proposal(origin) => {
                want.proposals += 1;
                want.origin = origin.or(want.origin);
            }
            Purpose::Repair => want.repair = true,
            Purpose::Snapshot => want.snapshot = true,
        }
        if want.stage == Stage::Idle {
            self.queue.remove(&(before, named.name));
            self.queue.insert((want.rank(), named.name));
        }
    }

    /// One purpose fewer; without any left the fetch is forgotten (an answer under way is just not used).
    pub(crate) fn unwant(&mut self, name: Multihash, purpose: Purpose) {
        let Some(want) = self.wants.get_mut(&name) else { return };
        let before = want.rank();
        match purpose {
            Purpose::Gate(_) => want.gate = None,
            Purpose::Proposal(_) => want.proposals = want.proposals.saturating_sub(1),
            Purpose::Repair => want.repair = false,
            Purpose::Snapshot => want.snapshot = false,
        }
        let after = want.rank();
        let is_idle = want.stage == Stage::Idle;
        let is_over = want.gate.is_none() && want.proposals == 0 && !want.repair && !want.snapshot;
        if is_idle {
            self.queue.remove(&(before, name));
            self.queue.insert((after, name));
        }
        if is_over {
            self.forget(name);
        }
    }

    pub(crate) fn is_wanted(&self, name: Multihash) -> bool {
        self.wants.contains_key(&name)
    }

    /// The length that the payload must have, if it is wanted.
    pub(crate) fn expected_length(&self, name: Multihash) -> Option<u32> {
        self.wants.get(&name).map(|want| want.length)
    }

    /// Where a payload that came may go. What the gate waits for gets more than others once it found no room.
    pub(crate) fn space(&self, name: Multihash) -> Space {
        let is_stuck = |want: &Want| want.gate.is_some() && want.found_no_room;
        if self.wants.get(&name).is_some_and(is_stuck) { Space::Reserve } else { Space::Common }
    }

    /// A wanted payload came, by a fetch or by a push; it is being written now.
    pub(crate) fn arrived(&mut self, from: NodeId, name: Multihash, now: u64) {
        self.heard.insert(from, now);
        let Some(want) = self.wants.get_mut(&name) else { return };
        match want.stage {
            Stage::Asked { counter, pool, .. } => {
                self.in_flight.remove(&counter);
                want.stage = Stage::Storing { pool };
            }
            Stage::Idle | Stage::Storing { .. } => {}
        }
    }

    /// An operation of the store on the block ended. If a write did, the credit comes back; a failed one is tried again
    /// after a pause.
    pub(crate) fn written(&mut self, name: Multihash, presence: Presence, retry_at: u64) {
        let Some(want) = self.wants.get_mut(&name) else { return };
        if matches!(want.stage, Stage::Storing { .. }) {
            if presence != Presence::Durable {
                want.retry_at = retry_at;
                want.found_no_room = true;
            }
            self.give_up(name);
        }
    }

    /// The peer answered that it has no such payload.
    pub(crate) fn missing(&mut self, from: NodeId, counter: u64, name: Multihash, reason: MissingReason) {
        if let Some(want) = self.wants.get_mut(&name)
            && let Stage::Asked { counter: current, to, .. } = want.stage
            && current == counter
            && to == from
        {
            match reason {
                MissingReason::Absent | MissingReason::Damaged => drop(want.absent.insert(from)),
                MissingReason::Busy => {}
            }
            self.give_up(name);
        }
    }

    /// What a snapshot names and nobody has, told once for each round of questions.
    pub(crate) fn take_nobody_has(&mut self) -> Vec<Multihash> {
        core::mem::take(&mut self.nobody)
    }

    /// What was asked of `peer` won't come.
    pub(crate) fn disconnected(&mut self, peer: NodeId) {
        self.heard.remove(&peer);
        self.give_up_if(|to, _, _| to == peer);
    }

    /// A new peer may have what nobody had.
    pub(crate) fn connected(&mut self) {
        for want in self.wants.values_mut() {
            want.retry_at = 0;
        }
    }

    /// Moves on from peers that took too long.
    pub(crate) fn tick(&mut self, now: u64, config: &Config) {
        let rate = i64::try_from(config.snapshot_tick_bytes_max).unwrap_or(i64::MAX);
        self.snapshot_tokens = self.snapshot_tokens.saturating_add(rate).min(rate.saturating_mul(SNAPSHOT_BURST_TICKS));
        let (patience, heard) = (config.fetch_ticks_max, core::mem::take(&mut self.heard));
        self.give_up_if(|to, since, pool| {
            let moved_at = heard.get(&to).filter(|_| pool == Pool::Snapshot).copied().unwrap_or(since);
            let latest = since.saturating_add(patience.saturating_mul(QUEUED_PATIENCE));
            since.max(moved_at.min(latest)).saturating_add(patience) <= now
        });
        self.heard = heard;
    }

    /// Starts what may start.
    pub(crate) fn pump<P: Payload>(&mut self, round: &mut Round<'_, P>) {
        let mut started = Vec::new();
        let (mut gate_open, mut other_open, mut snapshot_open) = (true, true, true);
        for (rank, name) in &self.queue {
            let pool = match rank {
                Rank::Gate(_) => Pool::Gate,
                Rank::Other(_) => Pool::Other,
                Rank::Snapshot(_) => Pool::Snapshot,
            };
            let open = match pool {
                Pool::Gate => &mut gate_open,
                Pool::Other => &mut other_open,
                Pool::Snapshot => &mut snapshot_open,
            };
            if !*open {
                continue;
            }
            let Some(want) = self.wants.get_mut(name) else { continue };
            let absent = round.ledger.presence(*name) == Presence::Absent;
            if want.retry_at > round.now || !absent || round.arrivals.is_arriving(*name) {
                continue;
            }
            let (credit, limit) = match pool {
                Pool::Gate => (&mut self.gate, (round.config.gate_fetches_max, round.config.gate_fetch_bytes_max)),
                Pool::Other => (&mut self.other, (round.config.other_fetches_max, round.config.other_fetch_bytes_max)),
                Pool::Snapshot => {
                    let limit = (round.config.snapshot_fetches_max, round.config.snapshot_fetch_bytes_max);
                    (&mut self.snapshot, limit)
                }
            };
            let is_too_fast = pool == Pool::Snapshot && self.snapshot_tokens <= 0;
            if is_too_fast || !credit.has_room(want.length, limit) {
                *open = false;
                continue;
            }
            let Some(to) = want.next_peer(round.view) else {
                if want.snapshot && want.is_absent_everywhere(round.view) {
                    self.nobody.push(*name);
                }
                want.asked.clear();
                want.absent.clear();
                want.retry_at = round.now.saturating_add(round.config.retry_ticks.max(1));
                continue;
            };
            credit.take(want.length);
            if pool == Pool::Snapshot {
                self.snapshot_tokens -= i64::from(want.length);
            }
            let counter = round.tickets.draw();
            want.asked.insert(to);
            want.stage = Stage::Asked { counter, to, since: round.now, pool };
            self.in_flight.insert(counter, *name);
            let fetch = Fetch { ticket: round.tickets.remote(counter), name: *name, length: want.length };
            round.out.push(Effect::Send { to, message: Message::Fetch(fetch) });
            started.push((*rank, *name));
        }
        for key in started {
            self.queue.remove(&key);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.wants.len()
    }

    pub(crate) const fn gate_credit(&self) -> Credit {
        self.gate
    }

    pub(crate) const fn snapshot_credit(&self) -> Credit {
        self.snapshot
    }

    pub(crate) const fn other_credit(&self) -> Credit {
        self.other
    }

    fn give_up_if(&mut self, overdue: impl Fn(NodeId, u64, Pool) -> bool) {
        let names: Vec<Multihash> = self
            .in_flight
            .values()
            .filter(|name| match self.wants.get(name).map(|want| want.stage) {
                Some(Stage::Asked { to, since, pool, .. }) => overdue(to, since, pool),
                _ => false,
            })
            .copied()
            .collect();
        for name in names {
            self.give_up(name);
        }
    }

    /// Back to the queue, with the credit returned.
    fn give_up(&mut self, name: Multihash) {
        let Some(want) = self.wants.get_mut(&name) else { return };
        let pool = match want.stage {
            Stage::Idle => return,
            Stage::Asked { counter, pool, .. } => {
                self.in_flight.remove(&counter);
                pool
            }
            Stage::Storing { pool } => pool,
        };
        want.stage = Stage::Idle;
        self.queue.insert((want.rank(), name));
        let length = want.length;
        self.credit(pool).give_back(length);
    }

    fn forget(&mut self, name: Multihash) {
        self.give_up(name);
        if let Some(want) = self.wants.remove(&name) {
            self.queue.remove(&(want.rank(), name));
        }
    }

    const fn credit(&mut self, pool: Pool) -> &mut Credit {
        match pool {
            Pool::Gate => &mut self.gate,
            Pool::Other => &mut self.other,
            Pool::Snapshot => &mut self.snapshot,
        }
    }
}

/// What [`Fetches::pump`] works with.
#[derive(Debug)]
pub(crate) struct Round<'a, P> {
    pub(crate) now: u64,
    pub(crate) config: &'a Config,
    pub(crate) view: &'a View,
    pub(crate) ledger: &'a Ledger<P>,
    pub(crate) arrivals: &'a Arrivals,
    pub(crate) tickets: &'a mut Tickets,
    pub(crate) out: &'a mut Vec<Effect<P>>,
}

impl Want {
    const fn new(length: u32, arrival: u64) -> Self {
        Self {
            length,
            gate: None,
            proposals: 0,
            repair: false,
            snapshot: false,
            arrival,
            origin: None,
            asked: BTreeSet::new(),
            absent: BTreeSet::new(),
            retry_at: 0,
            found_no_room: false,
            stage: Stage::Idle,
        }
    }

    const fn rank(&self) -> Rank {
        match self.gate {
            Some(index) => Rank::Gate(index),
            None if self.proposals == 0 && !self.repair => Rank::Snapshot(self.arrival),
            None => Rank::Other(self.arrival),
        }
    }

    fn next_peer(&self, view: &View) -> Option<NodeId> {
        if let Rank::Snapshot(arrival) = self.rank() {
            // All of them in turn, so that no peer serves the whole state.
            let peers = view.connected();
            let first = usize::try_from(arrival).unwrap_or(0).checked_rem(peers.len())?;
            return peers.iter().cycle().skip(first).take(peers.len()).copied().find(|peer| !self.asked.contains(peer));
        }
        let first = [self.origin, view.leader()].into_iter().flatten().filter(|peer| view.is_connected(*peer));
        first.chain(view.connected().iter().copied()).find(|peer| !self.asked.contains(peer))
    }

    /// Whether every peer that can be reached said so, the leader among them.
    fn is_absent_everywhere(&self, view: &View) -> bool {
        let leader = view.leader().is_some_and(|leader| self.absent.contains(&leader));
        leader && view.connected().iter().all(|peer| self.absent.contains(peer))
    }
}

impl Credit {
    const fn has_room(&self, length: u32, (count_max, bytes_max): (usize, u64)) -> bool {
        self.count == 0 || (self.count < count_max && self.bytes + length as u64 <= bytes_max)
    }

    const fn take(&mut self, length: u32) {
        self.count += 1;
        self.bytes += length as u64;
    }

    const fn give_back(&mut self, length: u32) {
        self.count -= 1;
        self.bytes -= length as u64;
    }
}

/// How many ticks' worth of a snapshot's bytes may come at once after a pause.
const SNAPSHOT_BURST_TICKS: i64 = 10;

/// How many times its patience a payload of a snapshot may wait behind others of the same peer.
const QUEUED_PATIENCE: u64 = 8;
