//! Blocks that are asked for together: one look at the catalog for all of them, then their bytes, in any order.
//!
//! One read index is enough, and none is taken where this replica is up to date and has all of them. The answer's position
//! is that of the look: whatever is said of a block, present or absent, was so there.

use core::sync::atomic::{AtomicBool, Ordering};

use blockraft_blocks::{Block, Multihash};
use tokio::time::Instant;

use crate::answer::Answer;
use crate::batch_course::{BatchCourse, Step};
use crate::consistency::Consistency;
use crate::read_error::ReadError;
use crate::reader::Reader;

/// Blocks whose rows are known, and whose bytes are yet to be read. [Finish](Self::finish) it before anybody is told
/// anything of it.
#[derive(Debug)]
pub struct Batch {
    reader: Reader,
    names: Vec<Multihash>,
    course: BatchCourse,
    /// Whether a block was deleted, and its bytes reclaimed, before they were read.
    any_gone: AtomicBool,
}

impl Batch {
    pub(crate) async fn begin(
        reader: Reader,
        names: Vec<Multihash>,
        consistency: Consistency,
    ) -> Result<Self, ReadError> {
        let (mut course, step) = BatchCourse::begin(consistency, reader.sight());
        follow(&reader, &names, (&mut course, step)).await?;
        Ok(Self { reader, names, course, any_gone: AtomicBool::new(false) })
    }

    /// The length of each block in bytes, in the order asked; `None` for those that are absent.
    pub fn lengths(&self) -> impl Iterator<Item = Option<u32>> {
        self.course.rows().iter().map(|row| row.map(|row| row.length))
    }

    /// The bytes of the block that was asked for at this place, counted from zero; `None` if it is absent, or went
    /// meanwhile. Mends the copy here if it isn't good. Dropping the future stops nothing but the waiting.
    ///
    /// # Errors
    /// See [`ReadError`]; no error ever means that the block is absent.
    pub async fn read(&self, place: usize) -> Result<Option<Block>, ReadError> {
        let (Some(&multihash), Some(Some(row))) = (self.names.get(place), self.course.rows().get(place)) else {
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
        let Self { reader, names, mut course, any_gone } = self;
        if any_gone.into_inner() {
            course.lack();
        }
        let step = course.finish(reader.sight());
        follow(&reader, &names, (&mut course, step)).await?;
        let present = course.rows().iter().map(Option::is_some).collect();
        Ok(reader.answer(course.position(), present))
    }
}

/// Does what the course asks for, until its rows stand.
async fn follow(
    reader: &Reader,
    names: &[Multihash],
    (course, mut step): (&mut BatchCourse, Step),
) -> Result<(), ReadError> {
    let deadline = reader.deadline();
    loop {
        step = match step {
            Step::ComeUp { at_least } => {
                reader.apply_read_index(deadline).await?;
                reader.apply_through(at_least, deadline).await?;
                Step::Look
            }
            Step::Look => course.looked(reader.rows_of(names, deadline).await?),
            Step::Stand => return Ok(()),
        };
    }
}
