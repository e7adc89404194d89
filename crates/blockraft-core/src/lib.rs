//! A Raft member as a pure state machine. It does no I/O, reads no clock and draws no random number it was not given.
#![no_std]
#![deny(clippy::indexing_slicing)]

extern crate alloc;

pub mod alarm;
pub mod append_range;
pub mod config;
pub mod input;
pub mod log_point;
mod mistake;
pub mod raft;
pub mod ready;
pub mod restored;
pub mod sealed;
pub mod status;

pub use alarm::Alarm;
pub use append_range::{AppendRange, AppendSent};
pub use config::{Config, ConfigError, Options};
pub use input::{BodyHead, Input, ProposalTicket, ReadTicket};
pub use log_point::LogPoint;
#[cfg(seeded_bugs)]
pub use mistake::Mistake;
pub use raft::Raft;
pub use ready::{Persist, Ready};
pub use restored::{RestoreError, Restored};
pub use sealed::Sealed;
pub use status::Status;
