//! How what the core orders for a follower becomes a message, or a reading of the log.

use blockraft_core::{AppendRange, Input};
use blockraft_log::ReadError;
use blockraft_types::{Message, Role};

use crate::effect::{Alarm, Effect};
use crate::gate::AppendGate;
use crate::ranges::{Filled, Plan, Unfilled};
use crate::replica::Replica;

impl<G: AppendGate> Replica<G> {
    pub(super) fn append(&mut self, range: AppendRange) {
        if self.role.role == Role::Leader && range.term == self.role.term {
            let plan = self.ranges.plan(range, &self.cache, self.durable);
            self.perform(plan);
        }
    }

    pub(super) fn perform(&mut self, plan: Plan) {
        match plan {
            Plan::Send(filled) => {
                let Filled { to, message, bodies, sent } = *filled;
                self.effects.push(Effect::Send { to, message: Message::AppendEntries(message), bodies });
                self.raft.step(Input::AppendSent(sent));
            }
            Plan::Read { request, first, last, bytes_max } => {
                self.effects.push(Effect::ReadEntries { request, first, last, bytes_max });
            }
            Plan::Refuse(range, unfilled) => {
                self.raft.step(Input::Unreachable { peer: range.to });
                let what = match unfilled {
                    // The core has not heard of the compaction yet, or hears of it soon: it will see for itself.
                    Unfilled::Unreadable(ReadError::Compacted { .. }) => return,
                    Unfilled::Unreadable(error) => error.to_string(),
                    Unfilled::Other(error) => error.to_string(),
                };
                let first = range.prev.index.next();
                self.effects.push(Effect::Alarm(Alarm::UnreadableRange { to: range.to, first, what }));
            }
        }
    }
}
