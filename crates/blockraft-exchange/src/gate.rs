//! Entries that may enter this node's log, and those that wait in front of it for their payloads.
//!
//! An entry is admitted only when every payload that it names is durable here and leased; the leases hold until the log
//! covers the entry or it was dropped. What waits is leased too, so that a payload that came can't be evicted while the
//! entry waits for the next one: that is what makes a staging budget of a few blocks enough.

use std::collections::{BTreeMap, BTreeSet};

use blockraft_blocks::Multihash;
use blockraft_types::{LogIndex, Position};

use crate::ledger::Ledger;
use crate::ledger::record::Holder;
use crate::payload::{EntryNames, Named, Payload};

#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// The names of entries that were admitted and aren't known to be in the log. Two leaders' entries may stand for one
    /// place: the older one leaves the log only after the newer one was admitted.
    admitted: BTreeMap<Position, Vec<Multihash>>,
    /// What the entries in front of the gate lack, and the first entry that lacks it.
    lacking: BTreeMap<Multihash, (LogIndex, u32)>,
    /// What they name and has a lease of the gate.
    leased: BTreeSet<Multihash>,
    waiting_for: Option<Position>,
}

/// What changed in front of the gate.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Wanted from now on, with the entry that needs it; lowest index first.
    pub(crate) wanted: Vec<(Named, LogIndex)>,
    /// Not wanted any more.
    pub(crate) unwanted: Vec<Multihash>,
    /// Names whose durable copy has another length than an entry claims.
    pub(crate) conflicts: u64,
}

impl Gate {
    /// Admits the prefix of `entries` whose payloads are durable here, and holds the rest, up to `names_max` names.
    pub(crate) fn reserve<P: Payload>(
        &mut self,
        entries: &[EntryNames],
        names_max: usize,
        ledger: &mut Ledger<P>,
    ) -> (usize, Held) {
        let mut held = Held::default();
        let durable = |named: &Named, ledger: &Ledger<P>| ledger.durable_length(named.name) == Some(named.length);
        let prefix = entries.iter().take_while(|entry| entry.names.iter().all(|named| durable(named, ledger))).count();
        let (admitted, rest) = entries.split_at(prefix);
        for entry in admitted {
            self.admit(entry, ledger);
        }

        let mut lacking = BTreeMap::new();
        let mut leased = BTreeSet::new();
        for entry in rest {
            if !leased.is_empty() && leased.len() + entry.names.len() > names_max {
                break;
            }
            for named in &entry.names {
                if leased.insert(named.name) && !self.leased.contains(&named.name) {
                    ledger.lease(named.name, Holder::Gate);
                }
                if !durable(named, ledger) {
                    held.conflicts += u64::from(ledger.durable_length(named.name).is_some());
                    lacking.entry(named.name).or_insert((entry.position.index, named.length));
                }
            }
        }
        for name in self.leased.difference(&leased) {
            ledger.release(*name, Holder::Gate);
        }
        held.unwanted.extend(self.lacking.keys().filter(|name| !lacking.contains_key(name)));
        for (name, (index, length)) in &lacking {
            held.wanted.push((Named { name: *name, length: *length }, *index));
        }
        held.wanted.sort_unstable_by_key(|(named, index)| (*index, named.name));
        self.leased = leased;
        self.lacking = lacking;
        self.waiting_for = rest.first().map(|entry| entry.position);
        (prefix, held)
    }

    /// A payload is durable; tells whether the first waiting entry may be complete now.
    pub(crate) fn durable(&mut self, named: Named) -> GateMove {
        match self.lacking.get(&named.name).copied() {
            Some((_, length)) if length == named.length => {
                self.lacking.remove(&named.name);
                let first = self.lacking.values().map(|(index, _)| *index).min();
                if self.waiting_for.is_some_and(|waiting| first.is_none_or(|first| first > waiting.index)) {
                    GateMove::FirstComplete
                } else {
                    GateMove::Closer
                }
            }
            Some(_) | None => GateMove::Unmoved,
        }
    }

    pub(crate) fn lacks(&self, name: Multihash) -> bool {
        self.lacking.contains_key(&name)
    }

    /// The log holds the entry from now on, and protects its payloads.
    pub(crate) fn appended<P: Payload>(&mut self, position: Position, ledger: &mut Ledger<P>) {
        self.release_admitted(|admitted| admitted == position, ledger);
    }

    /// The log is durable up to `position`: whatever was admitted for a place in there is in it or was dropped.
    pub(crate) fn persisted<P: Payload>(&mut self, position: Position, ledger: &mut Ledger<P>) {
        let covers = |admitted: Position| admitted.index <= position.index && admitted.term <= position.term;
        self.release_admitted(covers, ledger);
    }

    /// None of these waits or will be appended. Gives back what isn't wanted any more.
    pub(crate) fn dropped<P: Payload>(&mut self, positions: &[Position], ledger: &mut Ledger<P>) -> Vec<Multihash> {
        let positions: BTreeSet<Position> = positions.iter().copied().collect();
        let is_dropped = |position: Position| positions.contains(&position);
        self.release_admitted(is_dropped, ledger);
        if !self.waiting_for.is_some_and(is_dropped) {
            return Vec::new();
        }
        self.waiting_for = None;
        for name in core::mem::take(&mut self.leased) {
            ledger.release(name, Holder::Gate);
        }
        core::mem::take(&mut self.lacking).into_keys().collect()
    }

    pub(crate) fn waiting_for(&self) -> Option<LogIndex> {
        self.waiting_for.map(|position| position.index)
    }

    fn admit<P: Payload>(&mut self, entry: &EntryNames, ledger: &mut Ledger<P>) {
        let names: Vec<Multihash> = entry.names.iter().map(|named| named.name).collect();
        for name in &names {
            ledger.lease(*name, Holder::Gate);
        }
        if let Some(before) = self.admitted.insert(entry.position, names) {
            release_all(&before, ledger);
        }
    }

    fn release_admitted<P: Payload>(&mut self, is_over: impl Fn(Position) -> bool, ledger: &mut Ledger<P>) {
        for (_, names) in self.admitted.extract_if(.., |position, _| is_over(*position)) {
            release_all(&names, ledger);
        }
    }
}

/// How a durable payload changed the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GateMove {
    /// Nothing waited for it.
    Unmoved,
    /// One thing fewer to wait for.
    Closer,
    /// The first waiting entry lacks nothing any more.
    FirstComplete,
}

fn release_all<P: Payload>(names: &[Multihash], ledger: &mut Ledger<P>) {
    for name in names {
        ledger.release(*name, Holder::Gate);
    }
}
