//! The proof that a batch is durable: a ticket goes into the log store, only a receipt comes out.
//!
//! "Persist before reply" is a type here, not a comment: what must wait for the disk is sealed, and the seal opens
//! only with the receipt that redeeming the batch's ticket returns.

use serde::{Deserialize, Serialize};

use crate::id::GroupId;

/// The number of a persist batch, counted up from 1 by each group's core since its start.
///
/// Batches of a group become durable in the order of their numbers, so a receipt is cumulative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PersistNumber(pub u64);

/// Goes with a batch to the log store. It can't be copied: one batch, one receipt.
#[derive(Debug, PartialEq, Eq, Hash)]
#[must_use = "the core waits for the receipt of every ticket that it hands out"]
pub struct PersistTicket {
    group: GroupId,
    number: PersistNumber,
}

/// Says that a batch and every one before it are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersistReceipt {
    group: GroupId,
    number: PersistNumber,
}

impl PersistTicket {
    /// Made by a core for each batch; a log store never makes one.
    pub const fn new(group: GroupId, number: PersistNumber) -> Self {
        Self { group, number }
    }

    /// The group whose batch this is.
    #[must_use]
    pub const fn group(&self) -> GroupId {
        self.group
    }

    /// The batch's number.
    #[must_use]
    pub const fn number(&self) -> PersistNumber {
        self.number
    }

    /// Turns the ticket into the receipt. Call it once the batch would survive a power cut, never before.
    #[must_use]
    pub const fn redeem(self) -> PersistReceipt {
        PersistReceipt { group: self.group, number: self.number }
    }
}

impl PersistReceipt {
    /// The group whose batch is durable.
    #[must_use]
    pub const fn group(&self) -> GroupId {
        self.group
    }

    /// The number up to which all batches are durable.
    #[must_use]
    pub const fn number(&self) -> PersistNumber {
        self.number
    }
}
