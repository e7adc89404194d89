//! The data plane of a blockraft node as a plain value: which payload goes where, what counts as held, what may enter the
//! log, what is fetched and what is removed.
//!
//! The log orders names; the bytes travel beside it. [`Exchange`] keeps the promise between the two: *an entry enters a
//! node's log only after its payload is durable there* (payload first). It does no I/O, reads no clock (time is ticks),
//! draws no random number, and handles payloads without looking at them ([`Payload`]): the same code runs in a node and
//! in a simulator. Its effects come in the same order for the same inputs.
//!
//! It is not a store, not a transport and not consensus: it asks for writes, reads and sends as [`Effect`]s and hears what
//! became of them as [`Input`]s. It neither knows terms from votes nor commits anything.
//!
//! # Where it stands
//!
//! Floor 1, on `blockraft-types` and `blockraft-blocks` (for names). The node owns one exchange next to its Raft replica, in
//! the same loop, and is its shell. A machine per duty stands in a file of its own:
//!
//! ```text
//!   put at this node ──> dissemination ── lane ──> peers          push from a peer, fetched payload
//!                              │                                        │
//!                              ▼                                        ▼
//!   proposal at the leader ─> proposal ────────> ledger <──────────── arrivals
//!   entries from the leader ─> gate ───────────>   ▲  │ ▲
//!   repairs, what is missing ─> fetch              │  ▼ └── inline (bodies out of applied entries)
//!   snapshots: exports (given) and import (got)    │
//!                                     log_names, serve   reclamation
//! ```
//!
//! # Example
//!
//! A cluster of one: the put is ready as soon as its payload is durable, and its entry may enter the log.
//!
//! ```
//! use blockraft_blocks::{HashCode, Multihash};
//! use blockraft_exchange::{Admission, Config, Effect, Exchange, Identity, Input, Named, ProposalTicket, PutId};
//! use blockraft_types::{BootNonce, Incarnation, LogIndex, Membership, NodeId, Term};
//!
//! let me = NodeId(1);
//! let incarnation = Incarnation::from_bytes([7; 16]);
//! let identity = Identity { node: me, incarnation, boot: BootNonce(1) };
//! let mut exchange = Exchange::new(identity, Config::for_ticks_of(10))?;
//! exchange.step(Input::Membership { membership: Membership::of_voters([(me, incarnation)]) });
//! exchange.step(Input::ReplayFinished { applied: LogIndex::ZERO });
//! exchange.step(Input::Leader { term: Term(1), leader: Some(me) });
//!
//! let block = Named { name: Multihash::of(HashCode::Sha2_256, b"hello"), length: 5 };
//! exchange.step(Input::Put { op: PutId(1), payload: block });
//! assert!(matches!(exchange.take_effects()[..], [Effect::Store { payload, .. }] if payload == block));
//!
//! // The shell wrote and synced it.
//! exchange.step(Input::Stored { name: block.name, result: Ok(()) });
//! assert!(matches!(exchange.take_effects()[..], [Effect::PutReady { op: PutId(1), .. }]));
//!
//! assert_eq!(exchange.reserve_proposal(ProposalTicket(1), &[block], None), Admission::Enter);
//! # Ok::<(), blockraft_exchange::config::ConfigError>(())
//! ```
//!
//! # The owner's duties
//!
//! 1. **One loop.** Core and exchange are stepped by one thread. After each step take the effects and perform them all.
//! 2. **Durable means durable.** `Stored`, `Removed` and `Statted` speak of what survives a power cut, and of nothing else.
//! 3. **Verify first.** A payload is made only of bytes that hash to its name; what came under a
//!    [`BulkHeader`] is checked against that header's name. What fails the check is dropped (and the fetch times out).
//! 4. **Before the core sees an append**, ask [`Exchange::reserve_append`] and give it that prefix; hold the rest, in order,
//!    until [`Effect::GateMoved`]. Tell [`Input::AppendDropped`] when held or admitted entries are given up.
//! 5. **Before a proposal enters the core**, ask [`Exchange::reserve_proposal`]; close it once its entry was told as
//!    appended or refused. Close every put that was told ready ([`Input::PutClosed`]), also one that nobody waits for.
//! 6. **Tell the log's life**: `Appended` and `Truncated` right after the core's step, `Persisted` with each receipt,
//!    `Applied` in order, `Compacted` only when the compaction is synced and the catalog is flushed up to it. Never compact
//!    beyond [`Exchange::compaction_floor`].
//! 7. **At start-up** tell the membership, every entry of the un-compacted log as `Replayed`, then inlined bodies that were
//!    applied as `InlineApplied` (as fast as [`Exchange::has_room_for_inline`] allows), then `ReplayFinished`. The loop may
//!    run meanwhile; only compaction and reclaim wait.
//! 8. **Answer row questions in the loop**, so that an answer is as of all that was told as `Applied` and nothing later.
//!
//! # Errors
//!
//! Nothing here fails: a put ends in [`Effect::PutFailed`], a proposal in [`Effect::ProposalRefused`], both safe to retry,
//! both before anything entered the log. A failed sync poisons the store for this life: everything that waits is refused.
//!
//! # Limits
//!
//! Every queue has a bound in [`Config`] and shows it in [`Status`]. Memory follows the names in the un-compacted log, the
//! staged blocks and the puts under way, never the number of blocks in the store.

pub mod config;
pub mod debt;
pub mod effect;
pub mod exchange;
pub mod identity;
pub mod input;
pub mod manifest;
pub mod message;
pub mod payload;
pub mod status;
pub mod ticket;

mod arrivals;
mod dissemination;
mod exports;
mod fetch;
mod gate;
mod import;
mod inline;
mod lane;
mod ledger;
mod log_names;
mod mistake;
mod proposal;
mod reclamation;
mod repair;
mod serve;
mod tickets;
mod view;

pub use config::Config;
pub use debt::{Debt, Measure, Reserve, reserve};
pub use effect::{Admission, Effect};
pub use exchange::Exchange;
pub use identity::Identity;
pub use input::Input;
pub use ledger::record::Holder;
pub use manifest::{Chunk, Manifest, ManifestRow, Rest, Sealed};
pub use message::{BulkHeader, Message};
#[cfg(any(test, seeded_bugs))]
pub use mistake::Mistake;
pub use payload::{EntryNames, Named, Payload};
pub use status::Status;
pub use ticket::{ProposalTicket, PutId};

#[cfg(test)]
mod tests;
