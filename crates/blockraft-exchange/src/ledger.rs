//! What this node knows about each block that it works on: the one place where reserve, put and reclaim meet.
//!
//! *Have it* means durable, told by the store's completion and by nothing else. There is at most one store operation per
//! name at a time; a put of a block in flight joins it, a put of a block being reclaimed waits and writes it again.
//! Names that are durable and visible and not in use are forgotten: the store knows them.

pub(crate) mod record;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use blockraft_blocks::Multihash;
use blockraft_types::LogIndex;

use crate::config::Config;
use crate::effect::{Effect, Space, StoreIntent};
use crate::input::StoreFailure;
use crate::ledger::record::{Grace, Holder, Record, Row, State, Waiter, count};
use crate::mistake::{Mistake, Mistakes};
use crate::payload::{Named, Payload};
use crate::status::LeaseCounts;
use crate::ticket::CheckTicket;

/// Whether the block can be counted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Ask the store.
    Unknown,
    /// An operation is under way; its end is told.
    Busy,
    Durable,
    Absent,
}

/// A wait that is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Completed {
    pub(crate) named: Named,
    pub(crate) waiter: Waiter,
    pub(crate) result: Result<(), StoreFailure>,
}

#[derive(Debug)]
pub(crate) struct Ledger<P> {
    records: BTreeMap<Multihash, Record<P>>,
    /// Blocks that may be reclaimed from this tick on, if they have no row.
    due: BTreeSet<(u64, Multihash)>,
    /// Blocks whose applied delete the compaction hasn't passed.
    held: BTreeMap<LogIndex, BTreeSet<Multihash>>,
    held_blocks: usize,
    compacted: LogIndex,
    completed: VecDeque<Completed>,
    changed: VecDeque<Multihash>,
    leases: LeaseCounts,
    staged_blocks: usize,
    staged_bytes: u64,
    /// Bytes of payloads that are being written, or wait for the end of another operation on their block.
    storing_bytes: u64,
    /// Payloads that the store is writing.
    writes: usize,
    /// When it last ended a write, or got one after it had none.
    write_moved_at: u64,
    reclaiming: usize,
    reclaimed: u64,
    poisoned: bool,
    /// The tick until which the store counts as full.
    full_until: u64,
    full_ticks: u64,
    stall_ticks: u64,
    /// Whether the last write that ended found no room.
    is_short: bool,
    now: u64,
    grace_ticks: u64,
    evict_ticks_min: u64,
    pub(crate) mistakes: Mistakes,
}

impl<P: Payload> Ledger<P> {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            records: BTreeMap::new(),
            due: BTreeSet::new(),
            held: BTreeMap::new(),
            held_blocks: 0,
            compacted: LogIndex::ZERO,
            completed: VecDeque::new(),
            changed: VecDeque::new(),
            leases: LeaseCounts::default(),
            staged_blocks: 0,
            staged_bytes: 0,
            storing_bytes: 0,
            writes: 0,
            write_moved_at: 0,
            reclaiming: 0,
            reclaimed: 0,
            poisoned: false,
            full_until: 0,
            full_ticks: config.full_ticks,
            stall_ticks: config.stall_ticks,
            is_short: false,
            now: 0,
            grace_ticks: config.grace_ticks,
            evict_ticks_min: config.evict_ticks_min,
            mistakes: Mistakes::default(),
        }
    }

    pub(crate) const fn tick(&mut self, now: u64) {
        self.now = now;
    }

    pub(crate) fn presence(&self, name: Multihash) -> Presence {
        match self.records.get(&name).map(|record| record.state) {
            None | Some(State::Unknown) => Presence::Unknown,
            Some(State::Storing(..)) if self.mistakes.makes(Mistake::HasInsteadOfReserve) => Presence::Durable,
            Some(State::Reclaiming) if self.mistakes.makes(Mistake::ReputSeesQueuedDelete) => Presence::Durable,
            Some(State::Statting | State::Storing(..) | State::Reclaiming) => Presence::Busy,
            Some(State::Durable) => Presence::Durable,
            Some(State::Absent | State::Damaged) => Presence::Absent,
        }
    }

    /// The length of the durable copy.
    pub(crate) fn durable_length(&self, name: Multihash) -> Option<u32> {
        self.records.get(&name).filter(|_| self.presence(name) == Presence::Durable).map(|record| record.length)
    }

    /// Leases the block: from now on its reclaim can't start. Says nothing about whether it is there.
    pub(crate) fn lease(&mut self, name: Multihash, holder: Holder) {
        let record = self.records.entry(name).or_insert_with(Record::new);
        *count(&mut record.leases, holder) += 1;
        *count(&mut self.leases, holder) += 1;
        self.settle(name);
    }

    pub(crate) fn release(&mut self, name: Multihash, holder: Holder) {
        if let Some(record) = self.records.get_mut(&name)
            && *count(&mut record.leases, holder) > 0
        {
            *count(&mut record.leases, holder) -= 1;
            *count(&mut self.leases, holder) -= 1;
            self.settle(name);
        }
    }

    /// Makes the payload durable and tells the waiter.
    pub(crate) fn store(&mut self, payload: P, waiter: Waiter, space: Space, out: &mut Vec<Effect<P>>) {
        let named = payload.named();
        if self.poisoned {
            self.completed.push_back(Completed { named, waiter, result: Err(StoreFailure::Poisoned) });
            return;
        }
        let now = self.now;
        let record = self.records.entry(named.name).or_insert_with(Record::new);
        // A block that was just asked for again starts a new grace: somebody may rest a receipt on it.
        if record.row != Row::Visible {
            record.staged_since = Some(now);
        }
        record.grace = Grace::Granted;
        record.check = None;
        match record.state {
            State::Durable => self.completed.push_back(Completed { named, waiter, result: Ok(()) }),
            State::Unknown | State::Absent | State::Damaged => {
                let intent = record.intent();
                record.state = State::Storing(intent, space);
                record.length = named.length;
                record.waiters.push(waiter);
                self.storing_bytes += u64::from(named.length);
                self.write_begins();
                out.push(Effect::Store { payload, intent, space });
            }
            State::Storing(..) => record.waiters.push(waiter),
            State::Reclaiming if self.mistakes.makes(Mistake::ReputSeesQueuedDelete) => {
                self.completed.push_back(Completed { named, waiter, result: Ok(()) });
            }
            State::Statting | State::Reclaiming => {
                record.waiters.push(waiter);
                if record.again.replace((payload, StoreIntent::Keep)).is_none() {
                    self.storing_bytes += u64::from(named.length);
                }
            }
        }
        self.settle(named.name);
    }

    /// Asks the store, unless it is known or under way.
    pub(crate) fn stat(&mut self, name: Multihash, out: &mut Vec<Effect<P>>) {
        let record = self.records.entry(name).or_insert_with(Record::new);
        if record.state == State::Unknown {
            record.state = State::Statting;
            out.push(Effect::Stat { name });
        }
        self.settle(name);
    }

    /// A read found the copy missing or damaged.
    pub(crate) fn damaged(&mut self, name: Multihash, length: u32) {
        let record = self.records.entry(name).or_insert_with(Record::new);
        // A question to the store about a copy that is known to be bad is of no use: its answer will be ignored.
        let is_statting = record.state == State::Statting && record.again.is_none();
        if is_statting || matches!(record.state, State::Unknown | State::Durable | State::Absent) {
            record.state = State::Damaged;
            record.length = length;
            record.row = Row::Visible;
        }
        self.settle(name);
    }

    pub(crate) fn stored(&mut self, name: Multihash, result: Result<(), StoreFailure>) {
        let Some(record) = self.records.get_mut(&name) else { return };
        let State::Storing(intent, space) = record.state else { return };
        self.storing_bytes = self.storing_bytes.saturating_sub(u64::from(record.length));
        self.writes = self.writes.saturating_sub(1);
        self.write_moved_at = self.now;
        record.state = match (result, intent) {
            (Ok(()), _) => State::Durable,
            (Err(_), StoreIntent::Keep) => State::Unknown,
            // The store may go on calling the bad copy present.
            (Err(_), StoreIntent::Replace) => State::Damaged,
        };
        record.is_suspected = result.is_err();
        let named = Named { name, length: record.length };
        for waiter in core::mem::take(&mut record.waiters) {
            self.completed.push_back(Completed { named, waiter, result });
        }
        self.note_failure(result);
        self.is_short &= result.is_err() || space == Space::Reserve;
        self.changed.push_back(name);
        self.settle(name);
    }

    pub(crate) fn statted(&mut self, name: Multihash, length: Option<u32>, out: &mut Vec<Effect<P>>) {
        let Some(record) = self.records.get_mut(&name).filter(|record| record.state == State::Statting) else {
            return;
        };
        if let Some(length) = length {
            record.state = State::Durable;
            record.length = length;
            if let Some((payload, _)) = record.again.take() {
                self.storing_bytes = self.storing_bytes.saturating_sub(u64::from(payload.length()));
            }
            let named = Named { name, length };
            for waiter in core::mem::take(&mut record.waiters) {
                self.completed.push_back(Completed { named, waiter, result: Ok(()) });
            }
        } else {
            record.state = State::Absent;
        }
        self.store_again(name, out);
        self.changed.push_back(name);
        self.settle(name);
    }

    pub(crate) fn removed(&mut self, name: Multihash, result: Result<(), StoreFailure>, out: &mut Vec<Effect<P>>) {
        let Some(record) = self.records.get_mut(&name).filter(|record| record.state == State::Reclaiming) else {
            return;
        };
        self.reclaiming -= 1;
        if result.is_ok() {
            let goes = !self.mistakes.makes(Mistake::RemovedCountsAsHeld);
            record.state = if goes { State::Absent } else { State::Durable };
            self.reclaimed += 1;
        } else {
            // It may be there or not: try again after another grace.
            record.state = State::Unknown;
            record.row = Row::Absent;
            record.staged_since = Some(self.now);
        }
        self.note_failure(result);
        self.store_again(name, out);
        self.changed.push_back(name);
        self.settle(name);
    }

    pub(crate) fn log_gained(&mut self, named: Named) {
        let record = self.records.entry(named.name).or_insert_with(Record::new);
        if record.state == State::Unknown {
            record.length = named.length;
            record.is_suspected = true;
        }
        record.log_entries += 1;
        self.settle(named.name);
    }

    /// One entry fewer names the block. Its bytes get a grace if it never was applied.
    pub(crate) fn log_lost(&mut self, name: Multihash, end: LogEnd) {
        if let Some(record) = self.records.get_mut(&name) {
            record.log_entries = record.log_entries.saturating_sub(1);
            if end == LogEnd::Truncated && record.row != Row::Visible {
                record.staged_since.get_or_insert(self.now);
            }
            self.settle(name);
        }
    }

    /// The block has a row now.
    pub(crate) fn created(&mut self, name: Multihash) {
        if let Some(record) = self.records.get_mut(&name) {
            record.row = Row::Visible;
            record.staged_since = None;
            self.settle(name);
        }
    }

    /// The block has no row any more, by the entry at `index`: its bytes stay until compaction has passed that.
    pub(crate) fn deleted(&mut self, name: Multihash, index: LogIndex) {
        let record = self.records.entry(name).or_insert_with(Record::new);
        record.row = Row::Absent;
        record.held_until = record.held_until.max(index);
        self.held_blocks += usize::from(self.held.entry(index).or_default().insert(name));
        self.settle(name);
    }

    pub(crate) fn compacted(&mut self, through: LogIndex) {
        self.compacted = self.compacted.max(through);
        let rest = self.held.split_off(&self.compacted.next());
        for name in core::mem::replace(&mut self.held, rest).into_values().flatten() {
            self.held_blocks -= 1;
            self.settle(name);
        }
    }

    /// A snapshot took the state's place: what has a row now has to be asked anew.
    pub(crate) fn forget_rows(&mut self) {
        let names: Vec<Multihash> = self.records.keys().copied().collect();
        for name in names {
            if let Some(record) = self.records.get_mut(&name) {
                record.row = Row::Unknown;
                record.check = None;
                // If nothing names it any more, it goes as a block that was staged now.
                record.staged_since.get_or_insert(self.now);
            }
            self.settle(name);
        }
    }

    /// The first entry that compaction has to pass for a deleted block to be reclaimed, and how many blocks wait for it
    /// or later ones.
    pub(crate) fn held_back(&self) -> Option<(LogIndex, usize)> {
        self.held.first_key_value().map(|(index, _)| (*index, self.held_blocks))
    }

    /// A listing found a block that no row names: an orphan of an earlier life, unless it is worked on by now. The listing
    /// may be old news, so it is no proof that the block is there.
    pub(crate) fn found_orphan(&mut self, named: Named) {
        if !self.listed(named.name) {
            let mut record = Record::new();
            record.is_suspected = true;
            record.length = named.length;
            record.staged_since = Some(self.now);
            self.records.insert(named.name, record);
            self.settle(named.name);
        }
    }

    /// A listing found the block: whether it is worked on here already, so that its reclaim will be thought of.
    pub(crate) fn listed(&mut self, name: Multihash) -> bool {
        let Some(record) = self.records.get_mut(&name) else { return false };
        record.is_suspected |= record.state == State::Unknown;
        true
    }

    /// Takes up to `limit` blocks that are due and asks about their rows under `ticket`.
    pub(crate) fn check_due(&mut self, ticket: CheckTicket, limit: usize) -> Vec<Multihash> {
        let due: Vec<(u64, Multihash)> =
            self.due.iter().take_while(|(due, _)| *due <= self.now).take(limit).copied().collect();
        for (tick, name) in &due {
            self.due.remove(&(*tick, *name));
            if let Some(record) = self.records.get_mut(name) {
                record.due = None;
                record.check = Some(ticket);
            }
        }
        due.into_iter().map(|(_, name)| name).collect()
    }

    /// The answer for one name: reclaims it if it is still free, and no lease, entry or put came in between.
    pub(crate) fn row_checked(&mut self, name: Multihash, ticket: CheckTicket, absent: bool, out: &mut Vec<Effect<P>>) {
        let Some(record) = self.records.get_mut(&name).filter(|record| record.check == Some(ticket)) else {
            return;
        };
        record.check = None;
        if !absent {
            record.row = Row::Visible;
            record.staged_since = None;
        } else if record.row == Row::Absent || record.staged_since.is_some() {
            record.state = State::Reclaiming;
            self.reclaiming += 1;
            out.push(Effect::Delete { name });
        } else {
            // Named by an entry whose fate this life didn't see: give it the grace of a staged block.
            record.staged_since = Some(self.now);
        }
        self.settle(name);
    }

    /// Lets the oldest staged blocks fall due now, until `bytes` come free; blocks that were staged lately stay.
    pub(crate) fn evict(&mut self, bytes: u64) {
        let mut freed = 0_u64;
        let mut victims = Vec::new();
        for (_, name) in &self.due {
            let Some(record) = self.records.get(name) else { continue };
            if record.staged_since.is_some_and(|since| since.saturating_add(self.evict_ticks_min) > self.now) {
                break;
            }
            victims.push(*name);
            freed += u64::from(record.length);
            if freed >= bytes {
                break;
            }
        }
        for name in victims {
            if let Some(record) = self.records.get_mut(&name) {
                record.grace = Grace::Forfeited;
                self.settle(name);
            }
        }
    }

    pub(crate) fn next_completed(&mut self) -> Option<Completed> {
        self.completed.pop_front()
    }

    /// A name whose operation ended.
    pub(crate) fn next_changed(&mut self) -> Option<Multihash> {
        self.changed.pop_front()
    }

    pub(crate) const fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    pub(crate) const fn is_short(&self) -> bool {
        self.is_short
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.now < self.full_until
    }

    pub(crate) const fn is_stalled(&self) -> bool {
        self.writes > 0 && self.write_moved_at.saturating_add(self.stall_ticks) <= self.now
    }

    pub(crate) const fn staged(&self) -> (usize, u64) {
        (self.staged_blocks, self.staged_bytes)
    }

    pub(crate) const fn storing_bytes(&self) -> u64 {
        self.storing_bytes
    }

    pub(crate) const fn reclaiming(&self) -> usize {
        self.reclaiming
    }

    pub(crate) const fn reclaimed(&self) -> u64 {
        self.reclaimed
    }

    pub(crate) const fn leases(&self) -> LeaseCounts {
        self.leases
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    const fn note_failure(&mut self, result: Result<(), StoreFailure>) {
        match result {
            Ok(()) => {}
            Err(StoreFailure::Full) => {
                self.full_until = self.now.saturating_add(self.full_ticks);
                self.is_short = true;
            }
            Err(StoreFailure::Poisoned) => self.poisoned = true,
        }
    }

    const fn write_begins(&mut self) {
        if self.writes == 0 {
            self.write_moved_at = self.now;
        }
        self.writes += 1;
    }

    fn store_again(&mut self, name: Multihash, out: &mut Vec<Effect<P>>) {
        let Some(record) = self.records.get_mut(&name) else { return };
        let Some((payload, intent)) = record.again.take() else { return };
        if self.poisoned {
            let named = payload.named();
            self.storing_bytes = self.storing_bytes.saturating_sub(u64::from(named.length));
            for waiter in core::mem::take(&mut record.waiters) {
                self.completed.push_back(Completed { named, waiter, result: Err(StoreFailure::Poisoned) });
            }
            return;
        }
        record.state = State::Storing(intent, Space::Common);
        record.length = payload.length();
        self.write_begins();
        out.push(Effect::Store { payload, intent, space: Space::Common });
    }

    /// Draws the consequences of a change: counts what is staged, schedules the reclaim, forgets what is of no interest.
    fn settle(&mut self, name: Multihash) {
        let ignore_leases = self.mistakes.makes(Mistake::ReclaimIgnoresLeases);
        let ignore_log = self.mistakes.makes(Mistake::ReclaimBeforeCompaction);
        let Some(record) = self.records.get_mut(&name) else { return };

        let logged = record.log_entries > 0 && !(ignore_log && record.row == Row::Absent);
        let takes_room = matches!(record.state, State::Durable | State::Storing(..))
            || (record.state == State::Unknown && record.is_suspected);
        let staged = takes_room && !logged && record.row != Row::Visible;
        if record.is_counted {
            self.staged_blocks -= 1;
            self.staged_bytes -= record.counted_as_staged;
        }
        record.is_counted = staged && record.staged_since.is_some();
        if record.is_counted {
            record.counted_as_staged = u64::from(record.length);
            self.staged_blocks += 1;
            self.staged_bytes += record.counted_as_staged;
        }

        let busy = matches!(record.state, State::Statting | State::Storing(..) | State::Reclaiming);
        let used = logged || (record.leases.total() > 0 && !ignore_leases);
        let there = match record.state {
            State::Durable => true,
            State::Unknown => record.is_suspected || record.row == Row::Absent,
            State::Statting | State::Storing(..) | State::Absent | State::Damaged | State::Reclaiming => false,
        };
        let forget = !busy && !used && (!there || record.row == Row::Visible) && record.leases.total() == 0;
        let candidate = !busy && !used && there && record.row != Row::Visible;
        let held_back = record.held_until > self.compacted && record.row == Row::Absent && !ignore_log;
        let due = if candidate && !held_back {
            Some(match (record.grace, record.staged_since) {
                (Grace::Granted, Some(since)) => since.saturating_add(self.grace_ticks),
                (Grace::Granted, None) | (Grace::Forfeited, _) => self.now,
            })
        } else {
            record.check = None;
            None
        };
        let due = if record.check.is_some() { None } else { due };
        let overdue = matches!((record.due, due), (Some(old), Some(new)) if old <= self.now && new <= self.now);
        if record.due != due && !overdue {
            if let Some(old) = record.due {
                self.due.remove(&(old, name));
            }
            if let Some(new) = due {
                self.due.insert((new, name));
            }
            record.due = due;
        }
        if forget {
            self.records.remove(&name);
        }
    }
}

/// Why an entry left the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogEnd {
    Compacted,
    Truncated,
}
