//! The member itself: inputs in, effects out.

use alloc::collections::BTreeMap;

use blockraft_types::Role;

use crate::config::Config;
use crate::input::Input;
use crate::ready::Ready;
use crate::restored::{RestoreError, Restored};
use crate::status::Status;

/// One member of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raft {
    config: Config,
    restored: Restored,
}

impl Raft {
    /// A member that goes on from what was durable. `seed` is its only chance: draw it from the operating system.
    ///
    /// # Errors
    ///
    /// When the parts of `restored` contradict each other.
    pub fn new(config: Config, seed: u64, restored: Restored) -> Result<Self, RestoreError> {
        let _ = seed;
        Ok(Self { config, restored })
    }

    /// Takes in what happened. It cannot fail.
    pub fn step(&mut self, input: Input) {
        let _ = (input, &self.config);
    }

    /// Takes everything that is to be done. Call it after any number of steps; what they ask for is batched.
    pub fn take_ready(&mut self) -> Ready {
        Ready::default()
    }

    /// A member seen from outside.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            id: self.restored.id,
            role: Role::Follower,
            hard_state: self.restored.hard_state,
            leader: None,
            anchor: self.restored.anchor.position,
            last: self.restored.last.position,
            durable_index: self.restored.last.position.index,
            commit_index: self.restored.applied,
            applied_index: self.restored.applied,
            compactable_through: self.restored.anchor.position.index,
            uncommitted_bytes: 0,
            membership: self.restored.membership.clone(),
            transferring_to: None,
            progress: BTreeMap::new(),
        }
    }
}
