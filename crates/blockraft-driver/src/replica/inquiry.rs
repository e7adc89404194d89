//! How a member looks at its own log when a leader's digest contradicts it.

use blockraft_core::Alarm;

use crate::contradiction::{Contradiction, Finding};
use crate::effect::{Effect, RangeRead, RangeResult};
use crate::gate::AppendGate;
use crate::inquiry::Progress;
use crate::mistake::Mistake;
use crate::replica::Replica;

impl<G: AppendGate> Replica<G> {
    /// Looks at the log if `alarm` says that it contradicts another one. What isn't durable yet the leader sends again.
    pub(super) fn look_into(&mut self, alarm: Alarm) {
        let Alarm::ChainMismatch { from, position, ours, theirs } = alarm else { return };
        if Mistake::MismatchIgnored.is_made() || self.durable < position.index {
            return;
        }
        let contradiction = Contradiction { from, position, ours, theirs, finding: Finding::Sound };
        let begun = self.inquiry.begin(self.ranges.next_request(), contradiction, self.ranges.anchor());
        self.inquire(begun);
    }

    /// Goes on with a look that asked for these entries.
    pub(super) fn look_on(&mut self, request: RangeRead, result: &RangeResult) {
        let goes_on = self.inquiry.read(request, result);
        self.inquire(goes_on);
    }

    fn inquire(&mut self, progress: Option<Progress>) {
        match progress {
            Some(Progress::Read { request, first, last }) => {
                self.effects.push(Effect::ReadEntries { request, first, last, bytes_max: READ_BYTES });
            }
            Some(Progress::Over(contradiction)) => self.effects.push(Effect::Contradicted(contradiction)),
            None => {}
        }
    }
}

/// How much is read at once.
const READ_BYTES: u64 = 4 << 20;
