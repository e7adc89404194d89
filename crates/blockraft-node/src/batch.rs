//! Blocks that are asked for together: one look at the catalog for all of them, then their bytes, in any order.
//!
//! One read index is enough, and none is taken where this replica is up to date and has all of them. The answer's position
//! is that of the look: whatever is said of a block, present or absent, was so there.

use core::sync::atomic::{AtomicBool, Ordering};

use blockraft_blocks::{Block, Multihash};
use blockraft_catalog::{AsOf, Row};
use tokio::time::Instant;

use crate::answer::Answer;
use crate::consistency::Consistency;
use crate::read_course::{Grounds, fresh};
use crate::read_error::ReadError;
use crate::reader::Reader;

/// Blocks whose rows are known, and whose bytes are yet to be read. [Finish](Self::finish) it before anybody is told
/// anything of it.
#[derive(Debug)]
pub struct Batch {
    reader: Reader,
    names: Vec<Multihash>,
    rows: AsOf<Vec<Option<Row>>>,
    grounds: Grounds,
    /// Whether a block was deleted, and its bytes reclaimed, before they were read.
    any_gone: AtomicBool,
}

impl Batch {
    pub(crate) async fn begin(
        reader: Reader,
        names: Vec<Multihash>,
        consistency: Consistency,
    ) -> Result<Self, ReadError> {
        let deadline = reader.deadline();
        let any_gone = AtomicBool::new(false);
        if let Consistency::Confirmed { at_least } = consistency
            && let Some(proof) = fresh(at_least, reader.sight())
        {
            let rows = reader.rows_of(&names, deadline).await?;
            if rows.value.iter().all(Option::is_some) {
                return Ok(Self { reader, names, rows, grounds: Grounds::Freshness(proof), any_gone });
            }
        }
        reader.come_up_to(consistency, deadline).await?;
        let rows = reader.rows_of(&names, deadline).await?;
        Ok(Self { reader, names, rows, grounds: Grounds::Sufficient, any_gone })
    }

    /// The length of each block in bytes, in the order asked; `None` for those that are absent.
    pub fn lengths(&self) -> impl Iterator<Item = Option<u32>> {
        self.rows.value.iter().map(|row| row.map(|row| row.length))
    }

    /// The bytes of the block that was asked for at this place, counted from zero; `None` if it is absent, or went
    /// meanwhile. Mends the copy here if it isn't good. Dropping the future stops nothing but the waiting.
    ///
    /// # Errors
    /// See [`ReadError`]; no error ever means that the block is absent.
    pub async fn read(&self, place: usize) -> Result<Option<Block>, ReadError> {
        let (Some(&multihash), Some(Some(row))) = (self.names.get(place), self.rows.value.get(place)) else {
            return Ok(None);
        };
        let deadline = self.reader.deadline();
        loop {
            if let Some(block) = self.reader.copy(multihash, deadline).await? {
                return Ok(Some(block));
            }
            // Look at the row again before calling it damage: a delete may have been applied in between.
            if self.reader.look(multihash)?.value.is_none() {
                self.any_gone.store(true, Ordering::Relaxed);
                return Ok(None);
            }
            if deadline <= Instant::now() {
                return Err(ReadError::NoCopy { multihash });
            }
            self.reader.repair(multihash, row.length, deadline).await?;
        }
    }

    /// Whether the block at each place is present, all as of one moment, that of the answer. One that was read and isn't
    /// present is absent, whatever its bytes; one that is present and wasn't there to be read has to be asked for again.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn finish(self) -> Result<Answer<Vec<bool>>, ReadError> {
        let Self { reader, names, mut rows, grounds, any_gone } = self;
        let any_gone = any_gone.into_inner();
        let deadline = reader.deadline();
        let is_founded = match grounds {
            Grounds::Sufficient => true,
            // Of what went meanwhile nothing says that it didn't come back before the question.
            Grounds::Freshness(proof) => !any_gone && reader.freshness.holds(proof, reader.now()),
        };
        if !is_founded {
            // Or reading took long, or this process was stopped. The bytes are right; whether they are wanted is asked.
            reader.apply_read_index(deadline).await?;
        }
        if any_gone || !is_founded {
            rows = reader.rows_of(&names, deadline).await?;
        }
        let present = rows.value.iter().map(Option::is_some).collect();
        Ok(reader.answer(rows.position, present))
    }
}
