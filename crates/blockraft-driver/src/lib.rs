//! Runs a Raft core over a log, a transport and any state machine.

pub mod config;
pub mod driver;
pub mod effect;
pub mod event;
pub mod gate;
pub mod handle;
pub mod log_thread;
pub mod outbox;
pub mod proposal;
pub mod read;
pub mod replica;
pub mod restore;
pub mod state_machine;
pub mod status;
pub mod stop;

mod apply_thread;
mod body_cache;
mod compaction;
mod held;
mod inbox;
mod proposals;
mod ranges;

pub use blockraft_core::{ProposalTicket, ReadTicket};

pub use config::{CompactionPolicy, DriverConfig, ReplicaOptions};
pub use driver::{Driver, DriverParts, StartError};
pub use effect::{Alarm, ApplyRange, Effect, RangeRead};
pub use event::Event;
pub use gate::{Admission, AppendGate, GateChanges, GateRefusal, HeldChange, LogEvent, OpenGate};
pub use handle::DriverHandle;
pub use log_thread::LogThread;
pub use outbox::{Dispatch, Outbox, TransportOutbox};
pub use proposal::{Committed, NotProposed, ProposeError, Unknown};
pub use read::ReadError;
pub use replica::Replica;
pub use restore::{Remains, RestoreFailure, restore};
pub use state_machine::{ApplyError, FlushError, StateMachine};
pub use status::{DriverStatus, RoleStatus};
pub use stop::{StopReason, Stopped};

#[cfg(test)]
mod tests;
