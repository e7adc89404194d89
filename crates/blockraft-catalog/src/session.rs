//! What a catalog knows of one client's session, and the bytes in which it keeps that.

use std::collections::BTreeMap;

use blockraft_types::session::UNANSWERED_MAX;
use blockraft_types::{LogIndex, Position, Sequence, Turn};
use serde::{Deserialize, Serialize};

use crate::outcome::{Outcome, Settled};
use crate::record::{DecodeRecordError, decode, encode};

/// One session: the outcomes that its client may still ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The last entry with a command of it. Of all sessions the one with the lowest expires first.
    pub last_used: LogIndex,
    /// The client needs the outcome of no command before this one.
    pub first_unanswered: Sequence,
    /// What became of commands from there on: at most [`UNANSWERED_MAX`] of them.
    pub settled: BTreeMap<Sequence, Settled>,
}

/// What a session knows of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It was never carried out: this is the time.
    Nothing,
    /// It was, and this came of it.
    Settled(Settled),
    /// It must not be carried out.
    Refused(Outcome),
}

impl Session {
    pub(crate) const fn opened_at(index: LogIndex) -> Self {
        Self { last_used: index, first_unanswered: Sequence(0), settled: BTreeMap::new() }
    }

    /// Takes note of a command that stands in the entry at `index`, and says what is known of it. Gives how many outcomes
    /// were forgotten as well.
    pub(crate) fn meet(&mut self, turn: &Turn, index: LogIndex) -> (Known, usize) {
        self.last_used = index;
        let before = self.settled.len();
        // A turn that contradicts itself doesn't forget what it asks for.
        self.first_unanswered = self.first_unanswered.max(turn.first_unanswered.min(turn.sequence));
        self.settled = self.settled.split_off(&self.first_unanswered);
        let known = match self.settled.get(&turn.sequence) {
            Some(settled) => Known::Settled(*settled),
            None if turn.sequence < self.first_unanswered => Known::Refused(Outcome::Overtaken),
            None if UNANSWERED_MAX <= self.settled.len() as u64 => Known::Refused(Outcome::SessionFull),
            None => Known::Nothing,
        };
        (known, before - self.settled.len())
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut runs: Vec<Run> = Vec::new();
        for (&sequence, &Settled { outcome, position }) in &self.settled {
            match runs.last_mut() {
                Some(run) if run.position == position && run.end() == Some(sequence) => run.outcomes.push(outcome),
                _ => runs.push(Run { first: sequence, position, outcomes: vec![outcome] }),
            }
        }
        encode(&Record { last_used: self.last_used, first_unanswered: self.first_unanswered, runs })
    }

    /// Reads what [`encode`](Self::encode) wrote, or a peer says that it did.
    pub(crate) fn decode(record: &[u8]) -> Result<Self, DecodeRecordError> {
        let Record { last_used, first_unanswered, runs } = decode(record)?;
        let mut settled = BTreeMap::new();
        let mut first = Some(first_unanswered);
        for run in runs {
            let in_order = first.is_some_and(|first| first <= run.first);
            if !in_order || UNANSWERED_MAX < settled.len() as u64 + run.outcomes.len() as u64 {
                return Err(DecodeRecordError::Session);
            }
            first = run.end();
            let position = run.position;
            settled.extend(
                (0..)
                    .zip(run.outcomes)
                    .map(|(further, outcome)| (run.first.plus(further), Settled { outcome, position })),
            );
        }
        Ok(Self { last_used, first_unanswered, settled })
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    last_used: LogIndex,
    first_unanswered: Sequence,
    runs: Vec<Run>,
}

/// Commands with numbers one behind the other that one entry carried out.
#[derive(Serialize, Deserialize)]
struct Run {
    first: Sequence,
    position: Position,
    outcomes: Vec<Outcome>,
}

impl Run {
    /// The number behind the last one, if there is such a number.
    fn end(&self) -> Option<Sequence> {
        self.first.0.checked_add(self.outcomes.len() as u64).map(Sequence)
    }
}
