//! The course of a read of one block: what has to be asked next, given what is known by now.
//!
//! It decides and waits for nothing, so that a simulator reads by the same rules as a node. What `Confirmed` promises is
//! kept here: presence may be stale only with respect to deletes younger than an election timeout, absence never.

use std::sync::Arc;

use blockraft_blocks::{Block, Multihash};
use blockraft_catalog::table::Table;
use blockraft_catalog::{AsOf, RowError};
use blockraft_catalog::{CatalogReader, Row};
use blockraft_types::{LogIndex, Position};

use crate::consistency::Consistency;
use crate::freshness::{Freshness, Moment, Proof};
use crate::mistake::Mistake;

/// One read on its way. Begin it, and after each [`Step`] say what came of it.
#[derive(Clone, Debug)]
pub struct ReadCourse {
    multihash: Multihash,
    consistency: Consistency,
    want: Want,
    state: State,
}

/// What a read is after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Whether the block is present, and its row.
    Row,
    /// Its bytes as well.
    Bytes,
}

/// What has to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Take a read index that is younger than this step and apply through it here, and through `at_least`; then say
    /// [`came_up`](ReadCourse::came_up).
    ComeUp {
        /// What must be applied here besides.
        at_least: LogIndex,
    },
    /// Read this node's own copy, then say [`copied`](ReadCourse::copied).
    Copy,
    /// The copy is missing or damaged: get a good one from a peer, then go on with [`Step::Copy`].
    Repair {
        /// The block's length by its row.
        length: u32,
    },
    /// It is over.
    Answer(AsOf<Option<Found>>),
}

/// A block that is present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its row.
    pub row: Row,
    /// Its bytes, if they were wanted.
    pub block: Option<Block>,
}

/// What a course looks at in passing.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// What this replica has applied.
    pub rows: &'a CatalogReader<Arc<dyn Table>>,
    /// How up to date it knows itself to be.
    pub freshness: &'a Freshness,
    /// What time it is.
    pub now: Moment,
}

#[derive(Clone, Debug)]
enum State {
    /// The row wasn't looked at, or has to be looked at anew.
    Coming,
    /// The row was there; the copy is being read or repaired.
    Reading(AsOf<Row>, Grounds),
    /// The copy was read, and by then the grounds had given way: whether it is wanted is asked.
    Doubting(Block),
}

/// What a look at the catalog rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grounds {
    /// As much as was asked for, whatever time it is.
    Sufficient,
    /// A proof of freshness, taken before the catalog was looked at. The answer rests on it until it is given.
    Freshness(Proof),
}

impl ReadCourse {
    /// A read that is yet to [begin](Self::begin).
    #[must_use]
    pub const fn new(multihash: Multihash, consistency: Consistency, want: Want) -> Self {
        Self { multihash, consistency, want, state: State::Coming }
    }

    /// The block.
    #[must_use]
    pub const fn multihash(&self) -> Multihash {
        self.multihash
    }

    /// Begins, or begins anew.
    ///
    /// # Errors
    /// The row can't be read.
    pub fn begin(&mut self, sight: Sight<'_>) -> Result<Step, RowError> {
        self.state = State::Coming;
        match self.consistency {
            Consistency::Linearizable if !Mistake::LinearizableWithoutReadIndex.is_made() => {
                Ok(Step::ComeUp { at_least: LogIndex::ZERO })
            }
            Consistency::Local | Consistency::Linearizable => {
                let seen = self.look(sight)?;
                Ok(self.seen(seen, Grounds::Sufficient))
            }
            Consistency::Confirmed { at_least } => {
                if Mistake::FreshAtBirth.is_made() {
                    let seen = self.look(sight)?;
                    if seen.value.is_some() {
                        return Ok(self.seen(seen, Grounds::Sufficient));
                    }
                }
                if let Some(proof) = fresh(at_least, sight) {
                    let seen = self.look(sight)?;
                    if seen.value.is_some() || Mistake::AbsentWithoutReadIndex.is_made() {
                        return Ok(self.seen(seen, Grounds::Freshness(proof)));
                    }
                }
                // Absence is said only on the strength of a read index that is younger than the question.
                Ok(Step::ComeUp { at_least: at_least.index })
            }
        }
    }

    /// What was to be applied is applied.
    ///
    /// # Errors
    /// The row can't be read.
    pub fn came_up(&mut self, sight: Sight<'_>) -> Result<Step, RowError> {
        let seen = self.look(sight)?;
        match core::mem::replace(&mut self.state, State::Coming) {
            State::Doubting(block) => {
                let found = seen.value.map(|row| Found { row, block: Some(block) });
                Ok(Step::Answer(AsOf { position: seen.position, value: found }))
            }
            State::Coming | State::Reading(..) => Ok(self.seen(seen, Grounds::Sufficient)),
        }
    }

    /// This node's own copy was read; `None` if there is no good one.
    ///
    /// # Errors
    /// The row can't be read.
    pub fn copied(&mut self, copy: Option<Block>, sight: Sight<'_>) -> Result<Step, RowError> {
        let State::Reading(AsOf { position, value: row }, grounds) = self.state else { return self.begin(sight) };
        let Some(block) = copy else {
            // Look at the row again before calling it damage: a delete may have been applied in between.
            return match self.look(sight)?.value {
                Some(_) => Ok(Step::Repair { length: row.length }),
                None => self.begin(sight),
            };
        };
        let still_hold = match grounds {
            Grounds::Sufficient => true,
            Grounds::Freshness(_) if Mistake::ProofLookedAtOnce.is_made() => true,
            Grounds::Freshness(proof) => sight.freshness.holds(proof, sight.now),
        };
        if still_hold {
            return Ok(Step::Answer(AsOf { position, value: Some(Found { row, block: Some(block) }) }));
        }
        // Reading took long, or this process was stopped. The bytes are right; whether they are wanted is asked.
        self.state = State::Doubting(block);
        Ok(Step::ComeUp { at_least: LogIndex::ZERO })
    }

    fn seen(&mut self, seen: AsOf<Option<Row>>, grounds: Grounds) -> Step {
        let AsOf { position, value } = seen;
        match (value, self.want) {
            (Some(row), Want::Bytes) => {
                self.state = State::Reading(AsOf { position, value: row }, grounds);
                Step::Copy
            }
            (row, Want::Row | Want::Bytes) => {
                Step::Answer(AsOf { position, value: row.map(|row| Found { row, block: None }) })
            }
        }
    }

    fn look(&self, sight: Sight<'_>) -> Result<AsOf<Option<Row>>, RowError> {
        sight.rows.visible(&self.multihash)
    }
}

/// What lets a present block be served without asking anybody.
pub(crate) fn fresh(at_least: Position, sight: Sight<'_>) -> Option<Proof> {
    let proof = sight.freshness.proof(sight.now)?;
    let applied = sight.rows.state().position.index;
    if Mistake::PositionIgnored.is_made() {
        return Some(proof);
    }
    (at_least.index.max(sight.freshness.highest_returned()) <= applied).then_some(proof)
}
