//! Linearizability of one block: is there an order of its operations, true to time, that explains every answer?
//!
//! A block's presence is a register of one bit. The search goes through invocations and returns in the order of time
//! and keeps every state that the register can be in together with which of the open operations have taken effect
//! (Wing and Gong's search, forgetting an operation once it returned, after Lowe). Operations without an answer never return: since all
//! unknown puts that were invoked are interchangeable, only how many were used is kept, and likewise for deletes.

use std::collections::HashSet;

/// What an operation did to a block's presence, as its client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transition {
    /// Absent before, present after.
    Create,
    /// Present before, absent after.
    Remove,
    /// Present, and left so.
    SeePresent,
    /// Absent, and left so.
    SeeAbsent,
    /// Possibly present after: a put without an answer.
    MaybePut,
    /// Possibly absent after: a delete without an answer.
    MaybeDelete,
}

/// One operation on the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it was invoked.
    pub invoked: u64,
    /// When it returned; of no meaning for operations without an answer.
    pub returned: u64,
    /// What it did.
    pub transition: Transition,
}

/// What the search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// An order exists.
    Explained {
        /// What the block may be afterwards.
        end: FinalState,
    },
    /// None does: the answer of the step with this number can't be explained.
    Unexplained {
        /// Counted from 0, in the order given.
        step: usize,
    },
    /// Too many operations overlap for a search of bounded size. This is no verdict.
    Undecided,
}

/// What a block may be when everybody has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalState {
    /// Present, for sure.
    Present,
    /// Absent, for sure.
    Absent,
    /// Operations without an answer make both possible.
    Either,
}

/// Searches for an order of `steps` on a block that is absent at first. Two operations of which one returned in the
/// very nanosecond in which the other was invoked count as concurrent.
#[must_use]
pub fn search(steps: &[Step]) -> Search {
    let mut frontier = Frontier::new();
    for (_, event) in events(steps) {
        let fits = match event {
            Event::Invoked(step) => frontier.invoke(step, steps),
            Event::Returned(step) => frontier.settle(step),
        };
        match fits {
            Ok(()) => {}
            Err(Stuck::TooMany) => return Search::Undecided,
            Err(Stuck::Unexplained) => return Search::Unexplained { step: event.step() },
        }
    }
    Search::Explained { end: frontier.end() }
}

#[derive(Clone, Copy)]
enum Event {
    Invoked(usize),
    Returned(usize),
}

impl Event {
    const fn step(self) -> usize {
        match self {
            Self::Invoked(step) | Self::Returned(step) => step,
        }
    }
}

/// Invocations before returns of the same moment: whoever met in it was concurrent.
fn events(steps: &[Step]) -> Vec<((u64, u8), Event)> {
    let mut events = Vec::with_capacity(steps.len() * 2);
    for (number, step) in steps.iter().enumerate() {
        events.push(((step.invoked, 0), Event::Invoked(number)));
        if !matches!(step.transition, Transition::MaybePut | Transition::MaybeDelete) {
            events.push(((step.returned.max(step.invoked), 1), Event::Returned(number)));
        }
    }
    events.sort_by_key(|(time, _)| *time);
    events
}

enum Stuck {
    Unexplained,
    TooMany,
}

/// One way that things may have gone so far.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct World {
    present: bool,
    /// The open operations that have taken effect, by slot.
    effective: u64,
    puts_used: u32,
    deletes_used: u32,
}

struct Frontier {
    worlds: HashSet<World>,
    /// Open operations; a slot is free again once its operation returned.
    slots: [Option<(usize, Transition)>; SLOTS],
    puts_open: u32,
    deletes_open: u32,
}

impl Frontier {
    fn new() -> Self {
        let start = World { present: false, effective: 0, puts_used: 0, deletes_used: 0 };
        Self { worlds: HashSet::from([start]), slots: [None; SLOTS], puts_open: 0, deletes_open: 0 }
    }

    fn invoke(&mut self, step: usize, steps: &[Step]) -> Result<(), Stuck> {
        match steps[step].transition {
            Transition::MaybePut => self.puts_open += 1,
            Transition::MaybeDelete => self.deletes_open += 1,
            transition => {
                let free = self.slots.iter_mut().find(|slot| slot.is_none()).ok_or(Stuck::TooMany)?;
                *free = Some((step, transition));
            }
        }
        Ok(())
    }

    /// Keeps the worlds in which the operation has taken effect by now.
    fn settle(&mut self, step: usize) -> Result<(), Stuck> {
        let slot = self.slots.iter().position(|slot| slot.is_some_and(|(open, _)| open == step));
        let slot = slot.expect("an operation returns once, after its invocation");
        let bit = 1 << slot;
        let mut settled = HashSet::new();
        let mut seen: HashSet<World> = self.worlds.iter().map(|&world| self.observed(world)).collect();
        let mut unsettled: Vec<World> = seen.iter().copied().collect();
        while let Some(world) = unsettled.pop() {
            if world.effective & bit != 0 {
                settled.insert(World { effective: world.effective & !bit, ..world });
                continue;
            }
            for next in self.successors(world) {
                if seen.insert(next) {
                    unsettled.push(next);
                }
            }
            if seen.len() > WORLDS_MAX {
                return Err(Stuck::TooMany);
            }
        }
        self.slots[slot] = None;
        self.worlds = settled;
        if self.worlds.is_empty() { Err(Stuck::Unexplained) } else { Ok(()) }
    }

    /// An open read that fits now may as well take effect now: it changes nothing and can only miss its chance.
    fn observed(&self, mut world: World) -> World {
        for (slot, open) in self.slots.iter().enumerate() {
            match open {
                Some((_, Transition::SeePresent)) if world.present => world.effective |= 1 << slot,
                Some((_, Transition::SeeAbsent)) if !world.present => world.effective |= 1 << slot,
                _ => {}
            }
        }
        world
    }

    fn successors(&self, world: World) -> Vec<World> {
        let flipped = World { present: !world.present, ..world };
        let mut next = Vec::new();
        for (slot, open) in self.slots.iter().enumerate() {
            let bit = 1 << slot;
            let flips = match open {
                Some((_, Transition::Create)) => !world.present,
                Some((_, Transition::Remove)) => world.present,
                _ => false,
            };
            if flips && world.effective & bit == 0 {
                next.push(World { effective: world.effective | bit, ..flipped });
            }
        }
        if !world.present && world.puts_used < self.puts_open {
            next.push(World { puts_used: world.puts_used + 1, ..flipped });
        }
        if world.present && world.deletes_used < self.deletes_open {
            next.push(World { deletes_used: world.deletes_used + 1, ..flipped });
        }
        next.into_iter().map(|world| self.observed(world)).collect()
    }

    fn end(&self) -> FinalState {
        let may_be = |present: bool| {
            self.worlds.iter().any(|world| {
                let unused =
                    if present { world.puts_used < self.puts_open } else { world.deletes_used < self.deletes_open };
                world.present == present || unused
            })
        };
        match (may_be(true), may_be(false)) {
            (true, false) => FinalState::Present,
            (false, _) => FinalState::Absent,
            (true, true) => FinalState::Either,
        }
    }
}

/// Operations on one block that may be open at once.
const SLOTS: usize = 64;

/// Worlds that one step may visit.
const WORLDS_MAX: usize = 200_000;

#[cfg(test)]
mod tests;
