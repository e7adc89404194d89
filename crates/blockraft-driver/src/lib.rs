//! Runs a Raft core over a log, a transport and any state machine.
//!
//! A [`Replica`] is one member of one group as a pure machine: events go in, effects come out. [`Driver`] puts threads
//! around it that perform the effects: they write the log, send the messages, apply what is committed, and answer
//! whoever asked. The simulator puts virtual time around the same replica.
//!
//! It decides nothing about consensus (that is `blockraft-core`), and it doesn't know what an entry means. What must be
//! in place before an entry may enter a log is asked of an [`AppendGate`]; what is done with a committed entry is a
//! [`StateMachine`]'s affair.
//!
//! # Where it stands
//!
//! Floor 2, on `blockraft-core`, `-log`, `-transport` and `-wire`.
//!
//! ```text
//!                  propose, read_index, receive, gate                 Outbox
//!  callers ------------------> DriverHandle                             ^
//!                                   | one ordered queue                 | messages
//!                                   v                                   |
//!                    thread "raft": Replica = core + gate + bodies -----+
//!                      ^    |                        |    ^
//!             receipts |    | batches        entries |    | applied index
//!                      |    v                        v    |
//!        threads "log", "log-read"             thread "apply": StateMachine
//!        (one pair for all groups)             (answers the callers of propose)
//! ```
//!
//! The threads are `raft` and `apply` for each group, `log` and `log-read` for each node. There are no others.
//!
//! # Example
//!
//! A group of one member that keeps the length of what it was told. `examples/counter.rs` has three members.
//!
//! ```
//! use std::sync::Arc;
//!
//! use blockraft_driver::{
//!     ApplyError, Dispatch, Driver, DriverConfig, DriverParts, FlushError, LogThread, OpenGate, Outbox, StateMachine,
//! };
//! use blockraft_log::{Anchor, LogStore, MemoryDisk};
//! use blockraft_types::{
//!     ChainDigest, ClusterId, Entry, GroupId, Incarnation, LogIndex, Membership, Message, NodeId, Position, Role,
//! };
//! use bytes::Bytes;
//!
//! struct Length(usize, Anchor);
//!
//! impl StateMachine for Length {
//!     type Output = usize;
//!
//!     fn applied(&self) -> Anchor {
//!         self.1
//!     }
//!
//!     fn apply(&mut self, entries: &[Entry]) -> Result<Vec<usize>, ApplyError> {
//!         let lengths = entries.iter().map(|Entry { head, body }| {
//!             self.0 += body.len();
//!             self.1 = Anchor { position: head.position, chain: head.chain };
//!             self.0
//!         });
//!         Ok(lengths.collect())
//!     }
//!
//!     fn flush(&mut self) -> Result<Anchor, FlushError> {
//!         Ok(self.1)
//!     }
//! }
//!
//! /// There is nobody to send to.
//! #[derive(Debug)]
//! struct Nobody;
//!
//! impl Outbox for Nobody {
//!     fn send(&self, _: NodeId, _: GroupId, _: Message, _: Vec<Bytes>) -> Dispatch {
//!         Dispatch::Dropped
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (node, group) = (NodeId(1), GroupId(0));
//! let membership = Membership::of_voters([(node, Incarnation::from_bytes([1; 16]))]);
//! let chain = ChainDigest::genesis(ClusterId::from_bytes([2; 16]), group, &membership);
//! let birth = Anchor { position: Position::ZERO, chain };
//! let mut store = MemoryDisk::new().open();
//! store.create_group(group, birth)?;
//! let parts = DriverParts {
//!     node,
//!     group,
//!     membership,
//!     membership_index: LogIndex::ZERO,
//!     log_sizes: Vec::new(),
//!     seed: 4,
//!     log: LogThread::start(Box::new(store))?,
//!     outbox: Arc::new(Nobody),
//!     state_machine: Length(0, birth),
//!     gate: OpenGate,
//! };
//! let member = Driver::start(DriverConfig::default(), parts)?;
//! member.roles().wait_for(|status| status.role == Role::Leader).await?;
//! let committed = member.propose(Bytes::from_static(b"four")).await?;
//! assert_eq!(committed.output, 4);
//! member.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # The contract
//!
//! 1. Create a group's log on the store before [`LogThread::start`]; hand each group to one [`Driver::start`].
//! 2. Hand every message of a member to [`DriverHandle::receive`], under the identity that the transport proved, and
//!    every connection gained or lost to [`peer_connected`](DriverHandle::peer_connected) and
//!    [`peer_disconnected`](DriverHandle::peer_disconnected).
//! 3. Watch [`DriverHandle::stopped`]. A reason other than [`StopReason::Shutdown`] should end the process: a failed
//!    write is never tried again, and a state machine that skipped an entry would differ from the others.
//! 4. Shut every driver down, drop every clone of the [`LogThread`], then [`join`](LogThread::join) it before another
//!    process or another part of this one opens the same log.
//!
//! Who runs a [`Replica`] without these threads has the duties of its page instead.
//!
//! # Errors
//!
//! A proposal ends as [`Committed`], as [`ProposeError::NotProposed`] (repeat it freely) or as
//! [`ProposeError::Unknown`] (repeating it may do it twice). It never ends as "failed" when it may have happened: an
//! accepted entry is `NotProposed` only after another entry was applied in its place, or in front of it with a later
//! term.
//!
//! # Limits
//!
//! | what | bound | beyond it |
//! |---|---|---|
//! | proposals not yet applied | 4,096 and 64 MiB | `propose` waits, `try_propose` is refused |
//! | peers' messages that wait | 8,192 and 32 MiB | dropped, as by a network |
//! | appends held back by the gate | 16 MiB | dropped, sent again by the leader |
//! | bodies of durable entries in memory | 16 MiB and 16,384 | read from the log |
//! | bodies given to the state machine and not applied | 32 MiB | read from the log when their turn comes |
//!
//! How a snapshot travels is the gate's affair: the driver hands it the leader's offer, and installs what it gives back.

pub mod change;
pub mod config;
pub mod contradiction;
pub mod driver;
pub mod effect;
pub mod event;
pub mod forced_recovery;
pub mod gate;
pub mod handle;
pub mod log_thread;
pub mod outbox;
pub mod proposal;
pub mod proposals;
pub mod read;
pub mod replica;
pub mod restore;
pub mod state_machine;
pub mod status;
pub mod stop;

mod apply_thread;
mod backlog;
mod body_cache;
mod clock;
mod compaction;
mod handover;
mod held;
mod inbox;
mod inquiry;
mod mistake;
mod persists;
mod ranges;
mod writes;

pub use blockraft_core::ready::{ChangeAnswer, ChangeOutcome, InForce, Standing};
pub use blockraft_core::{ChangeTicket, ProposalTicket, ReadTicket, Snapshot, SnapshotOffer};

pub use change::ChangeError;
pub use config::{CompactionPolicy, DriverConfig, ReplicaOptions};
pub use contradiction::{Contradiction, Finding};
pub use driver::{Driver, DriverParts, StartError};
pub use effect::{Alarm, ApplyRange, Effect, RangeRead};
pub use event::Event;
pub use forced_recovery::{RecoveryRefusal, Remnant, Succession};
pub use gate::{Admission, AppendGate, GateChanges, GateRefusal, HeldChange, LogEvent, OpenGate};
pub use handle::DriverHandle;
pub use log_thread::LogThread;
#[cfg(seeded_bugs)]
pub use mistake::Mistake;
pub use outbox::{Dispatch, Outbox, TransportOutbox};
pub use proposal::{Committed, NotProposed, ProposeError, Unknown};
pub use read::ReadError;
pub use replica::Replica;
pub use restore::{ReconcileError, Reconciled, Remains, RestoreFailure, reconcile, restore};
pub use state_machine::{ApplyError, FlushError, InstallError, StateMachine};
pub use status::{DriverStatus, RoleStatus};
pub use stop::{StopReason, Stopped};

#[cfg(test)]
mod tests;
