//! What an entry is for.

use alloc::boxed::Box;

use serde::{Deserialize, Serialize};

use crate::membership::Membership;

/// What an entry is for, as far as consensus cares.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EntryKind {
    /// The no-op that every new leader appends, so that it can commit what came before (Raft paper, section 8).
    Blank,
    /// A body for the state machine.
    Command,
    /// A configuration, in force from the moment that it is appended. The body is empty.
    Membership(Box<Membership>),
}
