//! A client's session: what it asked for in it, and what it was told.

use std::collections::VecDeque;

use blockraft_catalog::Settled;
use blockraft_types::{LogIndex, Sequence, SessionId, Turns};

use crate::chance::Chance;
use crate::desk::Wanted;
use crate::law::{Law, Verdict, demand};
use crate::oracle::Oracle;
use crate::stage::End;

/// A session that a client has opened. It has one write under way at a time, and remembers some that were answered, to ask
/// for them again.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    turns: Turns,
    /// The oldest in front. Of the last one the answer may be missing, of the others it isn't.
    writes: VecDeque<Write>,
    writes_max: usize,
    /// The one that is asked for at the moment.
    asking: Option<Sequence>,
    /// A node refused it for good.
    is_expired: bool,
}

#[derive(Clone, Debug)]
struct Write {
    sequence: Sequence,
    wanted: Wanted,
    /// The highest index that any answer named before this was asked for the first time.
    floor: LogIndex,
    answer: Option<Settled>,
    /// It may have been carried out by now.
    is_doubtful: bool,
}

impl Session {
    /// A session that is new, whose client remembers so many writes at most.
    pub(crate) const fn new(id: SessionId, writes_max: usize) -> Self {
        Self { turns: Turns::new(id), writes: VecDeque::new(), writes_max, asking: None, is_expired: false }
    }

    pub(crate) const fn is_expired(&self) -> bool {
        self.is_expired
    }

    /// Whether it can still be found out what became of a write.
    pub(crate) fn is_open(&self) -> bool {
        !self.is_expired && self.writes.back().is_some_and(|write| write.answer.is_none())
    }

    /// Begins a write.
    pub(crate) fn begin(&mut self, wanted: Wanted, floor: LogIndex) -> Wanted {
        let sequence = self.turns.begin(1).expect("few are open at a time");
        self.writes.push_back(Write { sequence, wanted, floor, answer: None, is_doubtful: false });
        while self.writes_max < self.writes.len() {
            self.writes.pop_front().into_iter().for_each(|oldest| self.turns.end(oldest.sequence));
        }
        self.ask(sequence)
    }

    /// Asks for the write that isn't answered, or for one of those that are.
    pub(crate) fn again(&mut self, chance: &mut Chance) -> Option<Wanted> {
        let open = self.writes.back().filter(|write| write.answer.is_none());
        let place = chance.below(self.writes.len() as u64) as usize;
        let sequence = open.or_else(|| self.writes.get(place))?.sequence;
        Some(self.ask(sequence))
    }

    /// Asks no more for the write that isn't answered.
    pub(crate) fn give_up(&mut self) {
        if self.is_open() {
            self.writes.pop_back().into_iter().for_each(|write| self.turns.end(write.sequence));
        }
    }

    /// It couldn't ask.
    pub(crate) const fn stand_by(&mut self) {
        self.asking = None;
    }

    fn ask(&mut self, sequence: Sequence) -> Wanted {
        self.asking = Some(sequence);
        let write = self.writes.iter().find(|write| write.sequence == sequence).expect("it is asked for still");
        write.wanted.clone().in_turn(self.turns.turn(sequence))
    }

    /// Hears how what it asked for ended: each write was carried out once at most, and each answer to it is the first.
    pub(crate) fn hear(&mut self, end: End, oracle: &Oracle) -> Verdict {
        let Some(asked) = self.asking.take() else { return Ok(()) };
        let turn = self.turns.turn(asked);
        let Some(write) = self.writes.iter_mut().find(|write| write.sequence == asked) else { return Ok(()) };
        let done = oracle.carried_out(&turn);
        match end {
            End::Written(settled) => {
                demand(!self.is_expired, Law::AtMostOnce, || {
                    format!("{turn:?} came to {settled:?} after its session was said to have expired")
                })?;
                let before = write.answer.or(done);
                demand(before == Some(settled) && done == before, Law::AtMostOnce, || {
                    format!("{turn:?} was answered with {settled:?}, and came to {before:?}")
                })?;
                demand(write.floor < settled.position.index, Law::WritesAreTrue, || {
                    format!("{turn:?} came to {settled:?}, and {} was acknowledged before", write.floor)
                })?;
                write.answer = Some(settled);
            }
            End::Answered(position) => {
                let what = format!("{turn:?} was answered as of {position:?}, without a command in the log");
                return Err((Law::WritesAreTrue, what));
            }
            End::Unknown => write.is_doubtful |= write.answer.is_none(),
            End::NothingHappened | End::Expired => {
                let may_be_done = write.is_doubtful || write.answer.is_some();
                demand(may_be_done || done.is_none(), Law::NotProposedNeverHappens, || {
                    format!("{turn:?} ended {end:?}, and came to {done:?}")
                })?;
                self.is_expired |= end == End::Expired;
            }
        }
        Ok(())
    }
}
