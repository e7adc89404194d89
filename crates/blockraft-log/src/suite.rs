//! The conformance suite: run it against your own [`LogStore`](crate::store::LogStore) in about ten lines.
//!
//! ```
//! use blockraft_log::{LogStore, MemoryDisk, suite};
//!
//! struct Rig(MemoryDisk);
//!
//! impl suite::Directory for Rig {
//!     fn open(&self) -> Box<dyn LogStore> {
//!         Box::new(self.0.open())
//!     }
//!     fn cut_power(&self) -> suite::PowerCut {
//!         self.0.cut_power();
//!         suite::PowerCut::Done
//!     }
//! }
//!
//! suite::run(&|| Box::new(Rig(MemoryDisk::new())))?;
//! # Ok::<(), suite::Violation>(())
//! ```
//!
//! It is deterministic: a store that fails once fails again, at the same claim and with the same words. It can't prove
//! that a store survives a real power cut, a damaged file or a killed process; those need the store's own tests.

mod author;
mod claims;
mod directory;
mod random;

use core::ops::Range;

use thiserror::Error;

pub use self::directory::{Directory, PowerCut, TailLoss};

/// A claim of the seam that a store doesn't keep.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the store breaks the claim `{claim}`: {what}")]
pub struct Violation {
    /// The name of the claim.
    pub claim: &'static str,
    /// What was seen and what was expected.
    pub what: String,
}

/// Judges a store by every claim of the seam, each in a fresh and empty directory, and stops at the first one broken.
///
/// # Errors
///
/// The [`Violation`].
///
/// # Panics
///
/// If the store does.
pub fn run(fresh: &dyn Fn() -> Box<dyn Directory>) -> Result<(), Violation> {
    for (claim, check) in claims::CLAIMS {
        check(fresh().as_ref()).map_err(|what| Violation { claim, what })?;
    }
    run_random(fresh, 0..SEEDS)
}

/// Judges a store by random operations alone, each seed in a fresh and empty directory: [`run`] takes the first few
/// seeds, a campaign takes more.
///
/// # Errors
///
/// The [`Violation`]; it names the seed.
///
/// # Panics
///
/// If the store does.
pub fn run_random(fresh: &dyn Fn() -> Box<dyn Directory>, mut seeds: Range<u64>) -> Result<(), Violation> {
    let violation = |what| Violation { claim: random::CLAIM, what };
    seeds.try_for_each(|seed| random::check(fresh().as_ref(), seed).map_err(violation))
}

const SEEDS: u64 = 10;
