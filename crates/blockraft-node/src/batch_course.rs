//! The course of a batch of reads, as a plain value: when the catalog is looked at, and what the answer rests on.
//!
//! Like [`ReadCourse`](crate::read_course::ReadCourse) it does nothing itself. It says what has to be done next, and whoever
//! drives it does that: a node's reader, which waits, and a simulation, which doesn't.

use blockraft_catalog::{AsOf, Row};
use blockraft_types::{LogIndex, Position};

use crate::consistency::Consistency;
use crate::mistake::Mistake;
use crate::read_course::{Grounds, Sight, fresh};

/// How far a batch of reads has come.
#[derive(Clone, Debug)]
pub struct BatchCourse {
    /// What must be applied before the first look, unless that rests on a proof.
    at_least: LogIndex,
    grounds: Grounds,
    rows: AsOf<Vec<Option<Row>>>,
    stage: Stage,
}

/// What has to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Take a read index, wait until it and this are applied here, then go on with [`Step::Look`].
    ComeUp {
        /// What must be applied here besides.
        at_least: LogIndex,
    },
    /// Look at all rows at one moment, then say [`looked`](BatchCourse::looked).
    Look,
    /// The [rows](BatchCourse::rows) stand: read the bytes, then [finish](BatchCourse::finish), or answer if that is done.
    Stand,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Reading,
    /// A block that was present was deleted, and its bytes reclaimed, before they were read.
    Lacking,
    Finishing,
}

impl BatchCourse {
    /// Begins.
    #[must_use]
    pub fn begin(consistency: Consistency, sight: Sight<'_>) -> (Self, Step) {
        let proof = match consistency {
            Consistency::Confirmed { at_least } => fresh(at_least, sight),
            Consistency::Local | Consistency::Linearizable => None,
        };
        let must_apply = consistency.must_apply();
        let (grounds, step) = match (proof, must_apply) {
            (Some(proof), _) => (Grounds::Freshness(proof), Step::Look),
            (None, Some(at_least)) => (Grounds::Sufficient, Step::ComeUp { at_least }),
            (None, None) => (Grounds::Sufficient, Step::Look),
        };
        let rows = AsOf { position: Position::ZERO, value: Vec::new() };
        let at_least = must_apply.unwrap_or(LogIndex::ZERO);
        (Self { at_least, grounds, rows, stage: Stage::Reading }, step)
    }

    /// The rows, in the order asked, were so.
    pub fn looked(&mut self, rows: AsOf<Vec<Option<Row>>>) -> Step {
        let rests_on_proof = matches!(self.grounds, Grounds::Freshness(_));
        if self.stage == Stage::Finishing && Mistake::BatchOfTwoMoments.is_made() {
            self.rows.position = rows.position;
            return Step::Stand;
        }
        if self.stage == Stage::Reading && rests_on_proof && !rows.value.iter().all(Option::is_some) {
            // Absence is said only on the strength of a read index that is younger than the question.
            self.grounds = Grounds::Sufficient;
            return Step::ComeUp { at_least: self.at_least };
        }
        self.rows = rows;
        Step::Stand
    }

    /// A block that was present is there no more: it was deleted before its bytes were read.
    pub const fn lack(&mut self) {
        self.stage = Stage::Lacking;
    }

    /// The bytes are read, as far as they are there.
    pub fn finish(&mut self, sight: Sight<'_>) -> Step {
        let lacks = self.stage == Stage::Lacking;
        self.stage = Stage::Finishing;
        let is_founded = match self.grounds {
            Grounds::Sufficient => true,
            // Of what went meanwhile nothing says that it didn't come back before the question.
            Grounds::Freshness(proof) => !lacks && sight.freshness.holds(proof, sight.now),
        };
        if !is_founded {
            // Or reading took long, or this process was stopped. The bytes are right; whether they are wanted is asked.
            return Step::ComeUp { at_least: LogIndex::ZERO };
        }
        if lacks || Mistake::BatchOfTwoMoments.is_made() { Step::Look } else { Step::Stand }
    }

    /// The rows as of the last look, in the order asked.
    #[must_use]
    pub fn rows(&self) -> &[Option<Row>] {
        &self.rows.value
    }

    /// The moment of the last look: the answer's.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.rows.position
    }
}
