//! How a member gives the role of leader to another one by itself.

use blockraft_core::Input;
use blockraft_types::Role;

use crate::effect::{Alarm, Effect};
use crate::gate::AppendGate;
use crate::replica::Replica;

impl<G: AppendGate> Replica<G> {
    pub(super) fn hand_over_if_obstructed(&mut self) {
        let leads = self.role.role == Role::Leader;
        if !leads || !self.gate.is_obstructed() || !self.handover.is_due(self.tick, self.role.term) {
            return;
        }
        let silence_max = self.options.core.options().election_ticks_min;
        if let Some(to) = self.handover.begin(self.tick, &self.raft.status(), silence_max) {
            self.raft.step(Input::TransferLeadership { to });
            self.effects.push(Effect::Alarm(Alarm::ObstructedLeader { to }));
        }
    }
}
