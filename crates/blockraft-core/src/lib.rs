//! A Raft member as a pure state machine. It does no I/O, reads no clock and draws no random number it was not given.
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
pub mod status;

mod candidate;
mod follower;
mod leader;
mod member;
mod transition;

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

mod mistake;

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

#[cfg(test)]
mod tests;
