//! Messages that must not leave before a persist batch is durable, as a type.

use blockraft_types::{GroupId, Message, NodeId, PersistNumber, PersistReceipt};

/// A message under a seal that only the receipt of its batch, or of a later one, opens.
///
/// Batches become durable in the order of their numbers, so receipts are cumulative: on each receipt, try every sealed
/// message that still waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "someone waits for this message"]
pub struct Sealed {
    group: GroupId,
    number: PersistNumber,
    to: NodeId,
    message: Message,
}

impl Sealed {
    pub(crate) const fn new(group: GroupId, number: PersistNumber, to: NodeId, message: Message) -> Self {
        Self { group, number, to, message }
    }

    /// The batch that must be durable first.
    #[must_use]
    pub const fn number(&self) -> PersistNumber {
        self.number
    }

    pub(crate) const fn receiver(&self) -> NodeId {
        self.to
    }

    pub(crate) const fn message(&self) -> &Message {
        &self.message
    }

    /// Opens the seal: the receiver and the message.
    ///
    /// # Errors
    ///
    /// Gives the sealed message back when the receipt is of an earlier batch or of another group.
    pub fn open(self, receipt: &PersistReceipt) -> Result<(NodeId, Message), Self> {
        if receipt.group() == self.group && self.number <= receipt.number() {
            return Ok((self.to, self.message));
        }
        Err(self)
    }
}

#[cfg(test)]
mod tests;
