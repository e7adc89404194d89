//! What an answer to a read must say, by the consistency that was asked for.

use blockraft_blocks::Multihash;
use blockraft_catalog::RowPage;
use blockraft_node::Consistency;
use blockraft_types::{LogIndex, Position};

use crate::law::{Law, Verdict, demand};
use crate::oracle::{Oracle, Presence};
use crate::time::Time;

/// An answer to a read, and what it is judged by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadAnswer {
    pub(crate) name: Multihash,
    pub(crate) consistency: Consistency,
    pub(crate) position: Position,
    pub(crate) presence: Presence,
    /// The highest index that any answer named before the question was asked.
    pub(crate) floor: LogIndex,
    /// Deletes that were acknowledged before this moment may not be missed, whatever the consistency but `Local`.
    pub(crate) not_before: Time,
}

impl ReadAnswer {
    pub(crate) fn judge(&self, oracle: &Oracle) -> Verdict {
        let Self { name, consistency, position, presence, floor, not_before } = *self;
        let there = oracle.presence_at(&name, position.index);
        let said = |what: &str| {
            (
                Law::ReadsAreTrue,
                format!("{consistency:?} read of {name} said {presence:?} as of {position}, but {what}"),
            )
        };
        if there != presence {
            return Err(said("that isn't how it was"));
        }
        match (consistency, presence) {
            (Consistency::Local, _) => Ok(()),
            (Consistency::Linearizable, _) => demand(floor <= position.index, Law::ReadsAreTrue, || {
                said(&format!("{floor} was acknowledged before")).1
            }),
            (Consistency::Confirmed { at_least }, Presence::Absent) => {
                let floor = floor.max(at_least.index);
                demand(floor <= position.index, Law::ReadsAreTrue, || {
                    said(&format!("{floor} was acknowledged before")).1
                })
            }
            (Consistency::Confirmed { at_least }, Presence::Present) => {
                demand(at_least.index <= position.index, Law::ReadsAreTrue, || said("the client had seen more").1)?;
                // What was acknowledged after the question may be missed by any answer.
                let known = oracle.acknowledged_before(not_before).min(floor);
                demand(position.index >= known || oracle.was_present_since(&name, known), Law::ReadsAreTrue, || {
                    said(&format!("its delete was acknowledged by {known}, long before")).1
                })
            }
        }
    }
}

/// An answer about all blocks, and what it is judged by.
#[derive(Clone, Debug)]
pub(crate) struct SurveyAnswer {
    pub(crate) consistency: Consistency,
    pub(crate) position: Position,
    /// The highest index that any answer named before the question was asked.
    pub(crate) floor: LogIndex,
    pub(crate) survey: Survey,
}

/// What was said of all blocks.
#[derive(Clone, Debug)]
pub(crate) enum Survey {
    Page { after: Option<Multihash>, page: RowPage },
    Count { blocks: u64, bytes: u64 },
}

impl SurveyAnswer {
    pub(crate) fn judge(&self, oracle: &Oracle) -> Verdict {
        let Self { consistency, position, floor, survey } = self;
        let floor = match consistency {
            Consistency::Local => LogIndex::ZERO,
            Consistency::Confirmed { at_least } => at_least.index.max(*floor),
            Consistency::Linearizable => *floor,
        };
        demand(floor <= position.index, Law::ReadsAreTrue, || {
            format!("{survey:?} was said as of {position}, but {floor} was acknowledged before")
        })?;
        match survey {
            Survey::Page { after, page } => {
                let said = page.rows.iter().map(|(name, _)| *name);
                demand(oracle.page(position.index, *after, page.next).eq(said), Law::ReadsAreTrue, || {
                    format!("a page behind {after:?} was {page:?} as of {position}, and that isn't how it was")
                })
            }
            Survey::Count { blocks, bytes } => {
                let counted = oracle.count(position.index);
                demand(counted == (*blocks, *bytes), Law::ReadsAreTrue, || {
                    format!(
                        "{blocks} blocks of {bytes} bytes were counted as of {position}, and there were {counted:?}"
                    )
                })
            }
        }
    }
}
