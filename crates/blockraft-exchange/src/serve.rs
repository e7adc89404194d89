//! Payloads that are being read for peers, each under a lease so that it isn't reclaimed meanwhile.

use std::collections::BTreeMap;

use blockraft_types::NodeId;

use crate::config::Config;
use crate::effect::Effect;
use crate::input::ServeOutcome;
use crate::ledger::record::Holder;
use crate::ledger::{Ledger, Presence};
use crate::message::{Fetch, Message, Missing, MissingReason};
use crate::payload::Payload;
use crate::ticket::ServeTicket;
use crate::tickets::Tickets;

#[derive(Debug, Default)]
pub(crate) struct Serves {
    open: BTreeMap<ServeTicket, (NodeId, Fetch)>,
    /// What they were asked for, by length.
    bytes: u64,
}

impl Serves {
    /// A peer asks for a payload.
    pub(crate) fn asked<P: Payload>(
        &mut self,
        from: NodeId,
        fetch: Fetch,
        config: &Config,
        (ledger, tickets, out): (&mut Ledger<P>, &mut Tickets, &mut Vec<Effect<P>>),
    ) {
        let refusal = match ledger.presence(fetch.name) {
            _ if !self.has_room(fetch.length, config) => Some(MissingReason::Busy),
            Presence::Busy => Some(MissingReason::Busy),
            Presence::Absent => Some(MissingReason::Absent),
            Presence::Durable | Presence::Unknown => None,
        };
        if let Some(reason) = refusal {
            out.push(missing(from, fetch, reason));
            return;
        }
        let serve = ServeTicket(tickets.draw());
        ledger.lease(fetch.name, Holder::Reader);
        self.bytes += u64::from(fetch.length);
        self.open.insert(serve, (from, fetch));
        out.push(Effect::Serve { to: from, serve, ticket: fetch.ticket, name: fetch.name });
    }

    /// The read is over.
    pub(crate) fn served<P: Payload>(
        &mut self,
        serve: ServeTicket,
        outcome: ServeOutcome,
        ledger: &mut Ledger<P>,
        out: &mut Vec<Effect<P>>,
    ) {
        let Some((to, fetch)) = self.open.remove(&serve) else { return };
        self.bytes -= u64::from(fetch.length);
        ledger.release(fetch.name, Holder::Reader);
        match outcome {
            ServeOutcome::Sent => {}
            ServeOutcome::Absent => out.push(missing(to, fetch, MissingReason::Absent)),
            ServeOutcome::Damaged => out.push(missing(to, fetch, MissingReason::Damaged)),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    fn has_room(&self, length: u32, config: &Config) -> bool {
        let fits = self.bytes + u64::from(length) <= config.serve_bytes_max;
        self.open.is_empty() || (self.open.len() < config.serves_max && fits)
    }
}

fn missing<P>(to: NodeId, fetch: Fetch, reason: MissingReason) -> Effect<P> {
    let message = Message::Missing(Missing { ticket: fetch.ticket, name: fetch.name, reason });
    Effect::Send { to, message }
}
