//! Removal of what nothing needs: blocks that no row, no entry of the un-compacted log and no lease names.
//!
//! The rows belong to the state machine, so the question goes out as an effect and the answer comes back as an input. It
//! can't race with applies: a block gets a row only through an entry, and a name that got an entry, a lease or a put
//! since the question was asked has forgotten the question, so a late answer finds nobody (the ticket differs). Nothing
//! starts before replay has rebuilt the set of names, and names leave that set only by a *synced* compaction.

use std::collections::BTreeMap;

use blockraft_blocks::Multihash;

use crate::config::Config;
use crate::effect::Effect;
use crate::ledger::Ledger;
use crate::payload::{Named, Payload};
use crate::status::SweepStatus;
use crate::ticket::CheckTicket;
use crate::tickets::Tickets;

#[derive(Debug)]
pub(crate) struct Reclamation {
    checks: BTreeMap<CheckTicket, Check>,
    checking: usize,
    sweep: Sweep,
}

#[derive(Debug)]
enum Check {
    /// Blocks that are due.
    Due(Vec<Multihash>),
    /// A page of the sweep that nothing here knew, and where the next one starts.
    Swept(Vec<Named>, Option<Multihash>),
}

/// The walk through the store after start-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sweep {
    AwaitReplay,
    /// The next page starts behind this name at this tick.
    Pause {
        after: Option<Multihash>,
        until: u64,
    },
    /// A page or the answer about its rows is awaited.
    Page,
    Done,
}

impl Reclamation {
    pub(crate) const fn new() -> Self {
        Self { checks: BTreeMap::new(), checking: 0, sweep: Sweep::AwaitReplay }
    }

    pub(crate) fn replay_finished(&mut self) {
        if self.sweep == Sweep::AwaitReplay {
            self.sweep = Sweep::Pause { after: None, until: 0 };
        }
    }

    pub(crate) fn tick<P: Payload>(
        &mut self,
        now: u64,
        config: &Config,
        (ledger, tickets, out): (&mut Ledger<P>, &mut Tickets, &mut Vec<Effect<P>>),
    ) {
        if self.sweep == Sweep::AwaitReplay || ledger.is_poisoned() {
            return;
        }
        let room = config.reclaims_max.saturating_sub(self.checking + ledger.reclaiming());
        if room > 0 {
            let ticket = CheckTicket(tickets.draw());
            let names = ledger.check_due(ticket, room);
            if !names.is_empty() {
                self.ask(ticket, Check::Due(names.clone()), names, out);
            }
        }
        if let Sweep::Pause { after, until } = self.sweep
            && until <= now
            && ledger.staged().0 < config.staged_blocks_max
        {
            self.sweep = Sweep::Page;
            out.push(Effect::ListStore { after, limit: config.sweep_page });
        }
    }

    /// A page of the sweep.
    pub(crate) fn listed<P: Payload>(
        &mut self,
        entries: Vec<Named>,
        next: Option<Multihash>,
        pause_until: u64,
        (ledger, tickets, out): (&mut Ledger<P>, &mut Tickets, &mut Vec<Effect<P>>),
    ) {
        if self.sweep != Sweep::Page {
            return;
        }
        let unknown: Vec<Named> = entries.into_iter().filter(|named| !ledger.listed(named.name)).collect();
        if unknown.is_empty() {
            self.next_page(next, pause_until);
            return;
        }
        let names = unknown.iter().map(|named| named.name).collect();
        self.ask(CheckTicket(tickets.draw()), Check::Swept(unknown, next), names, out);
    }

    /// The answer about rows.
    pub(crate) fn rows_checked<P: Payload>(
        &mut self,
        ticket: CheckTicket,
        absent: &[Multihash],
        pause_until: u64,
        (ledger, out): (&mut Ledger<P>, &mut Vec<Effect<P>>),
    ) {
        match self.checks.remove(&ticket) {
            None => {}
            Some(Check::Due(names)) => {
                self.checking -= names.len();
                for name in names {
                    ledger.row_checked(name, ticket, absent.contains(&name), out);
                }
            }
            Some(Check::Swept(unknown, next)) => {
                self.checking -= unknown.len();
                // Found now, checked again after its grace: what happens meanwhile counts.
                for named in unknown.into_iter().filter(|named| absent.contains(&named.name)) {
                    ledger.found_orphan(named);
                }
                if self.sweep == Sweep::Page {
                    self.next_page(next, pause_until);
                }
            }
        }
    }

    /// What names blocks has changed as a whole: walk through the store once more.
    pub(crate) fn sweep_again(&mut self, at: u64) {
        if self.sweep != Sweep::AwaitReplay {
            self.sweep = Sweep::Pause { after: None, until: at };
        }
    }

    pub(crate) const fn checking(&self) -> usize {
        self.checking
    }

    pub(crate) const fn sweep(&self) -> SweepStatus {
        match self.sweep {
            Sweep::AwaitReplay => SweepStatus::Waiting,
            Sweep::Pause { .. } | Sweep::Page => SweepStatus::Running,
            Sweep::Done => SweepStatus::Done,
        }
    }

    fn next_page(&mut self, next: Option<Multihash>, until: u64) {
        self.sweep = match next {
            Some(_) => Sweep::Pause { after: next, until },
            None => Sweep::Done,
        };
    }

    fn ask<P>(&mut self, ticket: CheckTicket, check: Check, names: Vec<Multihash>, out: &mut Vec<Effect<P>>) {
        self.checking += names.len();
        self.checks.insert(ticket, check);
        out.push(Effect::CheckRows { ticket, names });
    }
}
