//! The look at the own log after a contradiction: what to read next, and what the bytes say.

use blockraft_log::{Anchor, ReadError};
use blockraft_types::{Entry, LogIndex};

use crate::contradiction::{Contradiction, Finding};
use crate::effect::{RangeRead, RangeResult};

/// The look at the own log.
#[derive(Debug, Default)]
pub(crate) struct Inquiry {
    course: Option<Course>,
    /// A contradiction of a log that was found sound. It counts once the leader repeats it: one whose own memory was wrong
    /// fails to write its log meanwhile, and stops.
    suspected: Option<Contradiction>,
}

#[derive(Debug)]
struct Course {
    request: RangeRead,
    contradiction: Contradiction,
    /// How far the log was hashed again.
    hashed: Anchor,
}

/// What an inquiry needs next, or what it found.
#[derive(Debug)]
pub(crate) enum Progress {
    Read { request: RangeRead, first: LogIndex, last: LogIndex },
    Over(Contradiction),
}

impl Inquiry {
    /// Begins to look at a log that is durable as far as the place and compacted up to `anchor`, unless a look is under way.
    /// `contradiction` supposes that the log is sound.
    pub(crate) fn begin(
        &mut self,
        request: RangeRead,
        contradiction: Contradiction,
        anchor: Anchor,
    ) -> Option<Progress> {
        if self.course.is_some() {
            return None;
        }
        if self.suspected == Some(contradiction) {
            return Some(Progress::Over(contradiction));
        }
        self.go_on(Course { request, contradiction, hashed: anchor })
    }

    /// Entries were read, or couldn't be. `None` if that ends the look without an answer, or if somebody else asked.
    pub(crate) fn read(&mut self, request: RangeRead, result: &RangeResult) -> Option<Progress> {
        let mut course = self.course.take_if(|course| course.request == request)?;
        match result {
            Ok(entries) => {
                if let Some(index) = course.hash(entries) {
                    return Some(course.finds(Finding::Damaged { index }));
                }
            }
            // The leader will send again what contradicts this log, and the look begins anew.
            Err(ReadError::Compacted { .. }) => return None,
            Err(ReadError::Damaged { index, .. }) => return Some(course.finds(Finding::Damaged { index: *index })),
            Err(_) => {
                let index = course.hashed.position.index.next();
                return Some(course.finds(Finding::Damaged { index }));
            }
        }
        self.go_on(course)
    }

    /// Part of the log was dropped: what contradicted may be gone. If it isn't, the leader sends it again.
    pub(crate) fn give_up(&mut self) {
        *self = Self::default();
    }

    fn go_on(&mut self, course: Course) -> Option<Progress> {
        let Contradiction { position, ours, .. } = course.contradiction;
        let (request, first, last) = (course.request, course.hashed.position.index.next(), position.index);
        if first <= last {
            self.course = Some(course);
            return Some(Progress::Read { request, first, last });
        }
        // What is compacted can't be hashed again.
        if course.hashed.chain == ours || course.hashed.position != position {
            self.suspected = Some(course.contradiction);
            return None;
        }
        Some(course.finds(Finding::Misremembered))
    }
}

impl Course {
    /// Hashes `entries` again, the next ones of the log. Gives the first that is wrong.
    fn hash(&mut self, entries: &[Entry]) -> Option<LogIndex> {
        let next = self.hashed.position.index.next();
        if entries.is_empty() {
            return Some(next);
        }
        for entry in entries {
            let (next, head) = (self.hashed.position.index.next(), &entry.head);
            if head.position.index != next || !entry.body_matches_head() || !head.follows(self.hashed.chain) {
                return Some(next);
            }
            self.hashed = Anchor { position: head.position, chain: head.chain };
        }
        None
    }

    const fn finds(&self, finding: Finding) -> Progress {
        Progress::Over(Contradiction { finding, ..self.contradiction })
    }
}
