//! What a core wants made durable at once: hard state, truncation and entries, with the ticket of the whole.

use blockraft_types::{Entry, GroupId, HardState, LogIndex, PersistTicket};

/// One group's changes, written all together or not at all.
///
/// They take effect in the order of the fields: first the hard state, then the truncation, then the entries.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    /// Names the group; redeemed once the batch is durable.
    pub ticket: PersistTicket,
    /// The new hard state, if it changed.
    pub hard_state: Option<HardState>,
    /// Entries from here on are dropped before `entries` are appended. Beyond the end of the log it drops nothing.
    pub truncate_from: Option<LogIndex>,
    /// Entries that follow the end of the log (after the truncation) without a gap.
    pub entries: Vec<Entry>,
}

impl Batch {
    /// A batch that changes nothing yet: fill in what it shall carry.
    pub const fn new(ticket: PersistTicket) -> Self {
        Self { ticket, hard_state: None, truncate_from: None, entries: Vec::new() }
    }

    /// The group whose batch this is.
    #[must_use]
    pub const fn group(&self) -> GroupId {
        self.ticket.group()
    }
}
