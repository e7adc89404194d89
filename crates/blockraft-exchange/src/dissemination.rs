//! The puts of this node: their payloads go to every member at once, and a put is ready when a commit quorum of every
//! active configuration, the leader among it, has them durably.
//!
//! Pushes are advisory. A full lane is skipped, and the peer fetches the payload when its entry arrives; only when the
//! quorum can't be reached otherwise does a put wait for room in a lane, in order.

use std::collections::{BTreeMap, BTreeSet};

use blockraft_blocks::Multihash;
use blockraft_types::NodeId;

use crate::config::Config;
use crate::effect::{Effect, PutFailure};
use crate::input::{PushOutcome, StoreFailure};
use crate::lane::Lane;
use crate::ledger::Ledger;
use crate::ledger::record::Holder;
use crate::message::{Message, PushBegun, Verdict};
use crate::payload::Payload;
use crate::status::LaneStatus;
use crate::ticket::PutId;
use crate::tickets::Tickets;
use crate::view::View;

#[derive(Debug)]
pub(crate) struct Dissemination<P> {
    /// One per block: puts of the same block share it.
    transfers: BTreeMap<Multihash, Transfer<P>>,
    puts: BTreeMap<PutId, Put>,
    /// Transfers that aren't ready, so that a tick needn't look at the others.
    unready: BTreeSet<Multihash>,
    pushes: BTreeMap<u64, Push>,
    lanes: BTreeMap<NodeId, Lane>,
    bytes: u64,
}

#[derive(Debug)]
struct Transfer<P> {
    payload: P,
    puts: BTreeSet<PutId>,
    holders: BTreeSet<NodeId>,
    asked: BTreeMap<NodeId, Ask>,
    is_local_pending: bool,
}

#[derive(Clone, Copy, Debug)]
struct Put {
    name: Multihash,
    deadline: u64,
    stage: PutStage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PutStage {
    Waiting,
    /// `PutReady` was told.
    Ready,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Pushed,
    /// In the queue of a full lane.
    Queued,
    Skipped,
    Failed {
        at: u64,
    },
}

#[derive(Clone, Copy, Debug)]
struct Push {
    to: NodeId,
    name: Multihash,
    length: u32,
    /// When it entered its stage; the end of time once it was found overdue.
    since: u64,
    stage: PushStage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PushStage {
    /// The lane has it.
    Sending,
    /// The lane is done with it; only the receipt is out.
    Sent,
}

/// What the machine works with in one step.
#[derive(Debug)]
pub(crate) struct Round<'a, P> {
    pub(crate) now: u64,
    pub(crate) config: &'a Config,
    pub(crate) view: &'a View,
    pub(crate) ledger: &'a mut Ledger<P>,
    pub(crate) tickets: &'a mut Tickets,
    pub(crate) out: &'a mut Vec<Effect<P>>,
}

impl<P: Payload> Dissemination<P> {
    pub(crate) const fn new() -> Self {
        Self {
            transfers: BTreeMap::new(),
            puts: BTreeMap::new(),
            unready: BTreeSet::new(),
            pushes: BTreeMap::new(),
            lanes: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Whether a put of `length` bytes would be taken.
    pub(crate) fn has_room(&self, length: u32, config: &Config) -> bool {
        self.puts.len() < config.puts_max && (self.bytes == 0 || self.bytes + u64::from(length) <= config.put_bytes_max)
    }

    /// Takes a put. The caller stores the payload, with [`Waiter::Put`](crate::ledger::record::Waiter::Put), before anything else.
    pub(crate) fn put(&mut self, op: PutId, payload: &P, round: &mut Round<'_, P>) {
        let name = payload.name();
        let deadline = round.now.saturating_add(round.config.put_ticks_max);
        self.puts.insert(op, Put { name, deadline, stage: PutStage::Waiting });
        if let Some(transfer) = self.transfers.get_mut(&name) {
            transfer.puts.insert(op);
        } else {
            self.bytes += u64::from(payload.length());
            round.ledger.lease(name, Holder::Proposer);
            let transfer = Transfer {
                payload: payload.clone(),
                puts: BTreeSet::from([op]),
                holders: BTreeSet::new(),
                asked: BTreeMap::new(),
                is_local_pending: true,
            };
            self.transfers.insert(name, transfer);
        }
        self.unready.insert(name);
        self.advance(name, round);
    }

    pub(crate) fn is_open(&self, op: PutId) -> bool {
        self.puts.contains_key(&op)
    }

    /// Nobody waits for the put any more.
    pub(crate) fn close(&mut self, op: PutId, round: &mut Round<'_, P>) {
        let Some(put) = self.puts.remove(&op) else { return };
        let Some(transfer) = self.transfers.get_mut(&put.name) else { return };
        transfer.puts.remove(&op);
        if transfer.puts.is_empty() {
            self.bytes -= u64::from(transfer.payload.length());
            self.transfers.remove(&put.name);
            self.unready.remove(&put.name);
            round.ledger.release(put.name, Holder::Proposer);
        }
    }

    /// The local store answered.
    pub(crate) fn stored(&mut self, name: Multihash, result: Result<(), StoreFailure>, round: &mut Round<'_, P>) {
        let Some(transfer) = self.transfers.get_mut(&name) else { return };
        transfer.is_local_pending = false;
        match result {
            Ok(()) => {
                transfer.holders.insert(round.view.me());
                self.advance(name, round);
            }
            Err(failure) => {
                let reason = match failure {
                    StoreFailure::Full => PutFailure::Full,
                    StoreFailure::Poisoned => PutFailure::Poisoned,
                };
                for op in transfer.puts.clone() {
                    self.fail(op, reason, round);
                }
            }
        }
    }

    /// A receipt for the push `counter` of this life.
    pub(crate) fn receipt(
        &mut self,
        from: NodeId,
        counter: u64,
        (name, verdict): (Multihash, Verdict),
        round: &mut Round<'_, P>,
    ) {
        let matches = |push: &Push| push.to == from && push.name == name;
        if !self.pushes.get(&counter).is_some_and(matches) {
            return;
        }
        self.end_push(counter);
        if let Some(transfer) = self.transfers.get_mut(&name) {
            match verdict {
                Verdict::Durable => {
                    transfer.asked.insert(from, Ask::Pushed);
                    transfer.holders.insert(from);
                }
                Verdict::Refused(_) => {
                    transfer.asked.insert(from, Ask::Failed { at: round.now });
                }
            }
            self.advance(name, round);
        }
        self.fill(from, round);
    }

    /// The bulk lane is done with a push.
    pub(crate) fn push_ended(&mut self, to: NodeId, counter: u64, outcome: PushOutcome, round: &mut Round<'_, P>) {
        let Some(push) = self.pushes.get_mut(&counter).filter(|push| push.to == to) else { return };
        match outcome {
            PushOutcome::Sent => {
                push.stage = PushStage::Sent;
                push.since = round.now;
            }
            PushOutcome::Failed => {
                self.fail_push(counter, round);
                self.fill(to, round);
            }
        }
    }

    /// The connection is gone, and with it all that was pushed over it.
    pub(crate) fn disconnected(&mut self, peer: NodeId, round: &mut Round<'_, P>) {
        let lost: Vec<u64> =
            self.pushes.iter().filter(|(_, push)| push.to == peer).map(|(counter, _)| *counter).collect();
        if let Some(lane) = self.lanes.get_mut(&peer) {
            for name in core::mem::take(&mut lane.waiting) {
                if let Some(transfer) = self.transfers.get_mut(&name) {
                    transfer.asked.remove(&peer);
                }
            }
        }
        for counter in lost {
            self.fail_push(counter, round);
        }
        self.advance_all(round);
    }

    /// The view changed: a leader, a configuration, a connection.
    pub(crate) fn advance_all(&mut self, round: &mut Round<'_, P>) {
        for name in self.unready.clone() {
            self.advance(name, round);
        }
    }

    pub(crate) fn tick(&mut self, round: &mut Round<'_, P>) {
        let is_overdue = |push: &Push| push.since.saturating_add(round.config.push_ticks_max) <= round.now;
        let overdue: Vec<(u64, Push)> =
            self.pushes.iter().filter(|(_, push)| is_overdue(push)).map(|(counter, push)| (*counter, *push)).collect();
        for (counter, push) in overdue {
            // A lane that still holds the bytes keeps its debt: a stalled peer must not cost more memory the longer it stalls.
            if push.stage == PushStage::Sent {
                self.fail_push(counter, round);
                self.fill(push.to, round);
                continue;
            }
            if let Some(push) = self.pushes.get_mut(&counter) {
                push.since = u64::MAX;
            }
            if let Some(transfer) = self.transfers.get_mut(&push.name)
                && transfer.asked.get(&push.to) == Some(&Ask::Pushed)
                && !transfer.holders.contains(&push.to)
            {
                transfer.asked.insert(push.to, Ask::Skipped);
            }
        }
        let waiting = |put: &Put| put.stage == PutStage::Waiting && put.deadline <= round.now;
        let late: Vec<PutId> = self.puts.iter().filter(|(_, put)| waiting(put)).map(|(op, _)| *op).collect();
        for op in late {
            self.fail(op, PutFailure::NoQuorum, round);
        }
        self.advance_all(round);
    }

    /// The store takes no writes any more: no put will come to a good end here.
    pub(crate) fn poisoned(&mut self, round: &mut Round<'_, P>) {
        for op in self.puts.keys().copied().collect::<Vec<_>>() {
            self.fail(op, PutFailure::Poisoned, round);
        }
    }

    pub(crate) fn puts(&self) -> usize {
        self.puts.len()
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn lanes(&self) -> Vec<LaneStatus> {
        self.lanes.iter().map(|(peer, lane)| lane.status(*peer)).collect()
    }

    /// Takes one transfer as far as it goes.
    fn advance(&mut self, name: Multihash, round: &mut Round<'_, P>) {
        let Some(transfer) = self.transfers.get_mut(&name) else { return };
        let retry_before = round.now.checked_sub(round.config.retry_ticks.max(1));
        transfer.asked.retain(|_, ask| match ask {
            Ask::Failed { at } => retry_before.is_none_or(|before| *at > before),
            Ask::Pushed | Ask::Queued | Ask::Skipped => true,
        });
        self.push_where_there_is_room(name, round);
        self.queue_where_needed(name, round);
        self.tell_ready(name, round);
    }

    fn push_where_there_is_room(&mut self, name: Multihash, round: &mut Round<'_, P>) {
        let Some(transfer) = self.transfers.get_mut(&name) else { return };
        let length = transfer.payload.length();
        let mut to_push = Vec::new();
        for peer in round.view.targets() {
            if transfer.holders.contains(&peer) || transfer.asked.contains_key(&peer) {
                continue;
            }
            let lane = self.lanes.entry(peer).or_default();
            if lane.waiting.is_empty() && lane.has_room(length, round.config.lane_bytes_max) {
                to_push.push(peer);
            } else {
                lane.skip(length);
                transfer.asked.insert(peer, Ask::Skipped);
            }
        }
        for peer in to_push {
            self.push(name, peer, round);
        }
    }

    /// If what has and may get the payload makes no quorum, the put waits for room in lanes that were skipped.
    fn queue_where_needed(&mut self, name: Multihash, round: &mut Round<'_, P>) {
        let Some(transfer) = self.transfers.get_mut(&name) else { return };
        let mut hoped: BTreeSet<NodeId> = transfer.holders.clone();
        hoped.extend(transfer.is_local_pending.then(|| round.view.me()));
        let on_the_way = |ask: &Ask| matches!(ask, Ask::Pushed | Ask::Queued);
        hoped.extend(transfer.asked.iter().filter(|(_, ask)| on_the_way(ask)).map(|(peer, _)| *peer));
        let mut queued = Vec::new();
        for peer in round.view.targets() {
            let is_leader = round.view.leader() == Some(peer);
            if transfer.asked.get(&peer) == Some(&Ask::Skipped) && (is_leader || !round.view.is_quorum(&hoped)) {
                transfer.asked.insert(peer, Ask::Queued);
                hoped.insert(peer);
                self.lanes.entry(peer).or_default().waiting.push_back(name);
                queued.push(peer);
            }
        }
        for peer in queued {
            self.fill(peer, round);
        }
    }

    fn tell_ready(&mut self, name: Multihash, round: &mut Round<'_, P>) {
        let Some(transfer) = self.transfers.get(&name) else { return };
        if !round.view.may_propose(&transfer.holders) {
            return;
        }
        for op in &transfer.puts {
            if let Some(put) = self.puts.get_mut(op)
                && put.stage == PutStage::Waiting
            {
                put.stage = PutStage::Ready;
                round.out.push(Effect::PutReady { op: *op, holders: transfer.holders.clone() });
            }
        }
        self.unready.remove(&name);
    }

    /// Lets those in who wait for room in the lane.
    fn fill(&mut self, peer: NodeId, round: &mut Round<'_, P>) {
        loop {
            let Some(lane) = self.lanes.get_mut(&peer) else { return };
            let Some(name) = lane.waiting.front().copied() else { return };
            let queued = self
                .transfers
                .get(&name)
                .filter(|transfer| transfer.asked.get(&peer) == Some(&Ask::Queued))
                .map(|transfer| transfer.payload.length());
            if let Some(length) = queued
                && !lane.has_room(length, round.config.lane_bytes_max)
            {
                return;
            }
            lane.waiting.pop_front();
            if queued.is_some() {
                self.push(name, peer, round);
            }
        }
    }

    fn push(&mut self, name: Multihash, to: NodeId, round: &mut Round<'_, P>) {
        let Some(transfer) = self.transfers.get_mut(&name) else { return };
        let length = transfer.payload.length();
        let counter = round.tickets.draw();
        let ticket = round.tickets.remote(counter);
        transfer.asked.insert(to, Ask::Pushed);
        self.lanes.entry(to).or_default().take(length);
        self.pushes.insert(counter, Push { to, name, length, since: round.now, stage: PushStage::Sending });
        round.out.push(Effect::Send { to, message: Message::PushBegun(PushBegun { ticket, name, length }) });
        round.out.push(Effect::Push { to, ticket, payload: transfer.payload.clone() });
    }

    fn end_push(&mut self, counter: u64) {
        if let Some(push) = self.pushes.remove(&counter)
            && let Some(lane) = self.lanes.get_mut(&push.to)
        {
            lane.give_back(push.length);
        }
    }

    fn fail_push(&mut self, counter: u64, round: &mut Round<'_, P>) {
        let Some(push) = self.pushes.get(&counter).copied() else { return };
        self.end_push(counter);
        if let Some(transfer) = self.transfers.get_mut(&push.name)
            && !transfer.holders.contains(&push.to)
        {
            transfer.asked.insert(push.to, Ask::Failed { at: round.now });
            self.advance(push.name, round);
        }
    }

    fn fail(&mut self, op: PutId, reason: PutFailure, round: &mut Round<'_, P>) {
        if self.puts.get(&op).is_some_and(|put| put.stage == PutStage::Waiting) {
            self.close(op, round);
            round.out.push(Effect::PutFailed { op, reason });
        }
    }
}
