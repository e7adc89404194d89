//! Draws the tickets of this life and recognises them when they come back.

use blockraft_types::{BootNonce, Incarnation, RemoteTicket};

#[derive(Debug)]
pub(crate) struct Tickets {
    incarnation: Incarnation,
    boot: BootNonce,
    last: u64,
}

impl Tickets {
    pub(crate) const fn new(incarnation: Incarnation, boot: BootNonce) -> Self {
        Self { incarnation, boot, last: 0 }
    }

    /// A number that this life hasn't used.
    pub(crate) const fn draw(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(crate) const fn remote(&self, counter: u64) -> RemoteTicket {
        RemoteTicket { incarnation: self.incarnation, boot: self.boot, counter }
    }

    /// The counter of a ticket of this life. A late answer to an earlier one must not count for a question of today.
    pub(crate) fn own(&self, ticket: RemoteTicket) -> Option<u64> {
        (ticket.incarnation == self.incarnation && ticket.boot == self.boot).then_some(ticket.counter)
    }
}
