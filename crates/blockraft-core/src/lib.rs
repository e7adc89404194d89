//! A Raft member as a pure state machine. It does no I/O, reads no clock and draws no random number it was not given.
//!
//! # What it is
//!
//! [Raft](https://raft.github.io/raft.pdf) keeps a log of entries equal on several members, so that it survives the loss
//! of any minority of them. For a newcomer, in five sentences: time is divided into *terms*, each with at most one
//! *leader*, elected by a majority. Only the leader appends entries; it sends them to its *followers*, who take an entry
//! only if their log agrees with the leader's before it. An entry that is durable on a majority is *committed*: no later
//! leader can lack it, because nobody gives a vote to a candidate whose log is older than the own one. A follower that
//! hears no leader for a while becomes a *candidate* in a new term; before that it asks, as a *pre-candidate*, whether it
//! could win, so that nobody is disturbed in vain. Members apply committed entries in order, each to its own copy of the
//! state.
//!
//! Who the members are is decided in the same log. A *configuration* is in force from the moment that it is appended; one
//! with other voters is reached through a *joint* one, in which majorities of both the old and the new voters are needed.
//!
//! [`Raft`] is one member: [`step`](Raft::step) takes in what happened, [`take_ready`](Raft::take_ready) gives what is to
//! be done. `step` cannot fail and nothing that a peer sends can make it panic. It is a plain value (`Clone`, `Eq`,
//! `Hash`), so the same code runs in production, in a simulator and under a model checker.
//!
//! It is *not* a server: it knows neither seconds nor sockets nor files, and of an entry only the head (position, kind,
//! size, digest), never the body. Its memory depends on the number of terms in the log and on what is uncommitted.
//!
//! # Where it stands
//!
//! Floor 1, above `blockraft-types`. `blockraft-driver` runs it in production.
//!
//! # Example
//!
//! Three members in a loop, with a network that loses nothing and a disk that is always at once durable:
//!
//! ```
//! use std::collections::VecDeque;
//!
//! use blockraft_core::{BodyHead, Config, Input, ProposalTicket, Raft, Restored};
//! use blockraft_types::{ClusterId, EntryHead, GroupId, Incarnation, LogIndex, Membership, Message, NodeId, Role};
//!
//! let ids = [NodeId(1), NodeId(2), NodeId(3)];
//! let members = Membership::of_voters(ids.map(|id| (id, Incarnation::from_bytes([id.0 as u8; 16]))));
//! let cluster = ClusterId::from_bytes([7; 16]);
//! let genesis = Restored::born(ids[0], cluster, GroupId(0), members.clone()).anchor.chain;
//! let mut rafts = ids.map(|id| {
//!     let restored = Restored::born(id, cluster, GroupId(0), members.clone());
//!     Raft::new(Config::default(), id.0, restored).expect("a newborn member contradicts nothing")
//! });
//! let mut logs: [Vec<EntryHead>; 3] = Default::default();
//! let mut network = VecDeque::new();
//! let (mut proposed, mut applied) = (false, [LogIndex::ZERO; 3]);
//!
//! while applied.iter().any(|&index| index < LogIndex(2)) {
//!     for (at, raft) in rafts.iter_mut().enumerate() {
//!         raft.step(Input::Tick);
//!         if raft.role() == Role::Leader && !proposed {
//!             let bodies = vec![BodyHead::of(b"a command").expect("small")];
//!             raft.step(Input::Propose { ticket: ProposalTicket(1), bodies });
//!             proposed = true;
//!         }
//!         loop {
//!             let ready = raft.take_ready();
//!             if ready.is_empty() {
//!                 break;
//!             }
//!             if let Some(persist) = ready.persist {
//!                 if let Some(from) = persist.truncate_from {
//!                     logs[at].truncate(from.0 as usize - 1);
//!                 }
//!                 logs[at].extend(persist.heads);
//!                 // Here the disk would sync. Only then:
//!                 let receipt = persist.ticket.redeem();
//!                 for sealed in ready.sealed {
//!                     let (to, message) = sealed.open(&receipt).expect("its batch is durable");
//!                     network.push_back((ids[at], to, message));
//!                 }
//!                 raft.step(Input::Persisted(receipt));
//!             }
//!             network.extend(ready.messages.into_iter().map(|out| (ids[at], out.to, out.message)));
//!             for range in ready.appends {
//!                 let (prev, last) = (range.prev.index.0 as usize, range.last.0 as usize);
//!                 let prev_chain = if prev == 0 { genesis } else { logs[at][prev - 1].chain };
//!                 let (message, sent) = range.fill(prev_chain, logs[at][prev..last].to_vec()).expect("it is our log");
//!                 network.push_back((ids[at], range.to, Message::AppendEntries(message)));
//!                 raft.step(Input::AppendSent(sent));
//!             }
//!             if let Some(committed) = ready.committed {
//!                 applied[at] = committed.last.index;
//!                 raft.step(Input::Applied { index: applied[at] });
//!             }
//!         }
//!     }
//!     for (from, to, message) in network.drain(..) {
//!         rafts[to.0 as usize - 1].step(Input::Message { from, message });
//!     }
//! }
//! assert_eq!(logs[0], logs[1]);
//! assert_eq!(logs[1], logs[2]);
//! ```
//!
//! # The caller's duties
//!
//! 1. **Restore.** Give [`Raft::new`] what is durable, all of it and nothing else: term and vote, the ends and term
//!    boundaries of the log, the heads after the applied entry, the applied index and the configuration at it.
//! 2. **Step, then take.** Hand in everything that waits, then call [`Raft::take_ready`] once and perform all of it, in
//!    any order but for duties 3 to 5. Take again after a bounded number of steps: what was asked for gathers until then.
//! 3. **Persist in order.** Write [`Persist`] batches in the order in which they were taken, each as a whole. When one
//!    would survive a power cut, redeem its ticket and hand in [`Input::Persisted`]. Several may be under way. If a write
//!    or sync fails, never redeem, never retry: stop the member.
//! 4. **Keep seals closed.** Send a [`Sealed`] message only after its seal opened; drop them all at a restart.
//! 5. **Fill ranges.** For each [`AppendRange`], read entries from what was handed out so far (durable or not), give them
//!    to [`AppendRange::fill`], send the message with the bodies beside it, and hand in [`Input::AppendSent`] before any
//!    later message of that peer. If that can't be done, hand in [`Input::Unreachable`].
//! 6. **Let in only what may enter.** Pass on messages of authenticated nodes, each with its true sender, also of those
//!    that aren't known as members: one may be the leader that this member needs. Of an append
//!    pass on at most the prefix whose bodies match their heads and whose payloads are durable here, in the order of
//!    arrival, and say what is held back with [`Input::PayloadWaiting`]. Hold back nothing but appends.
//! 7. **Apply in order.** Apply `ready.committed`, then hand in [`Input::Applied`]. Answer a read once its index is
//!    applied. Compact at most up to [`Status::compactable_through`], then hand in [`Input::Compacted`]; compacting less
//!    spares followers that are a little behind a snapshot.
//! 8. **Tick evenly**, and say [`Input::StorageStalled`] when the oldest persist batch is older than an election timeout.
//! 9. **Watch the fate of proposals.** An accepted proposal is committed when its position is applied with its term, and
//!    lost when another term stands there. If neither is known, the outcome is unknown, never "failed".
//! 10. **Install snapshots whole.** Get what [`Ready::snapshot_wanted`] asks for, from whomever has it; when it is
//!     complete and durable beside the present state, hand in [`Input::InstallSnapshot`], and perform the
//!     [reset](Persist::reset) in its order, or drop it when it is [unneeded](Ready::snapshot_unneeded). A state machine
//!     that is found ahead of its log, or in conflict with it, at a start stopped half-way in there: reset the log to it.
//! 11. **Name nobody twice.** A node that lost its disk gets a new id; messages under an id that was removed, or from
//!     another data directory than its configuration names, are refused before they come here. Connect to the members of
//!     [`Ready::membership`].
//! 12. **Heed alarms.** An [`Alarm`] is an operator's business; the member goes on in the safe direction by itself.
//!
//! # Errors
//!
//! [`ConfigError`] and [`RestoreError`] before a member exists; none afterwards. Proposals and reads are refused as
//! values, with the leader's name where one is known.
//!
//! # Limits
//!
//! Every bound is in [`Options`]; a group has at most [`MEMBERS_MAX`](blockraft_types::membership::MEMBERS_MAX) members.
//! Snapshots are offered and installed here; how they travel is the driver's affair.
#![no_std]
#![deny(clippy::indexing_slicing)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod raft;

pub mod config;
pub mod input;
pub mod restored;

pub mod alarm;
pub mod append_range;
pub mod log_point;
pub mod ready;
pub mod sealed;
pub mod snapshot;
pub mod status;

mod candidate;
mod follower;
mod leader;
mod member;
mod transition;

mod departures;
mod inflight;
mod progress;
mod reads;

mod abstention;
mod dice;
mod durability;
mod election_clock;
mod log_view;
mod membership_history;
mod outbox;
mod quorum;
mod reconfiguration;

mod mistake;

pub use alarm::Alarm;
pub use append_range::{AppendRange, AppendSent};
pub use config::{Config, ConfigError, Options};
pub use input::{BodyHead, ChangeTicket, Input, ProposalTicket, ReadTicket};
pub use log_point::LogPoint;
#[cfg(seeded_bugs)]
pub use mistake::Mistake;
pub use raft::Raft;
pub use ready::{Persist, Ready};
pub use restored::{RestoreError, Restored};
pub use sealed::Sealed;
pub use snapshot::{Snapshot, SnapshotOffer};
pub use status::Status;

#[cfg(test)]
mod tests;
