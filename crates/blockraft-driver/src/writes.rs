//! What is on its way to the log, in order: batches, and resets that wait until the state machine has its snapshot.
//!
//! A log that was reset before the state machine has taken over what it drops would be lost with the next power cut. So a
//! reset, and every batch behind it, waits for the installation.

use std::collections::VecDeque;

use blockraft_log::{Anchor, Batch};

use crate::effect::Effect;

#[derive(Debug, Default)]
pub(crate) struct Writes {
    /// Empty unless the first one is a reset whose installation is under way.
    waiting: VecDeque<Write>,
}

#[derive(Debug)]
enum Write {
    Reset(Anchor),
    Batch(Batch),
}

impl Writes {
    /// Queues a batch, behind a reset if it carries one, and asks for what can be done.
    pub(crate) fn push(&mut self, reset: Option<Anchor>, batch: Batch, effects: &mut Vec<Effect>) {
        let is_idle = self.waiting.is_empty();
        self.waiting.extend(reset.map(Write::Reset));
        self.waiting.push_back(Write::Batch(batch));
        if is_idle {
            self.pump(effects);
        }
    }

    /// The state machine has the snapshot at `anchor`, durably.
    pub(crate) fn installed(&mut self, anchor: Anchor, effects: &mut Vec<Effect>) {
        let is_next = |write: &mut Write| matches!(write, Write::Reset(awaited) if *awaited == anchor);
        if self.waiting.pop_front_if(is_next).is_some() {
            effects.push(Effect::Reset { anchor });
            self.pump(effects);
        }
    }

    fn pump(&mut self, effects: &mut Vec<Effect>) {
        while let Some(write) = self.waiting.pop_front() {
            match write {
                Write::Batch(batch) => effects.push(Effect::Persist(batch)),
                Write::Reset(anchor) => {
                    self.waiting.push_front(Write::Reset(anchor));
                    return effects.push(Effect::Install { anchor });
                }
            }
        }
    }
}
