//! The conformance suite: run it against your own [`Table`](crate::table::Table) in about ten lines.
//!
//! ```
//! use blockraft_catalog::{MemoryTable, Table, suite};
//!
//! struct Rig(MemoryTable);
//!
//! impl suite::Directory for Rig {
//!     fn open(&self) -> Box<dyn Table> {
//!         Box::new(self.0.clone())
//!     }
//!     fn cut_power(&self) -> suite::PowerCut {
//!         self.0.cut_power(self.0.unflushed() / 2);
//!         suite::PowerCut::Done
//!     }
//! }
//!
//! suite::run(&|| Box::new(Rig(MemoryTable::new())))?;
//! # Ok::<(), suite::Violation>(())
//! ```
//!
//! It can't prove that a table survives a killed process or a damaged file; those need the table's own tests. One claim
//! runs two threads against each other, all others give the same verdict each time.

mod claims;
mod directory;

use thiserror::Error;

pub use directory::{Directory, PowerCut};

/// A claim of the seam that a table doesn't keep.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the table breaks the claim `{claim}`: {what}")]
pub struct Violation {
    /// The name of the claim.
    pub claim: &'static str,
    /// What was seen and what was expected.
    pub what: String,
}

/// Judges a table by every claim of the seam, each in a fresh and empty directory, and stops at the first one broken.
///
/// # Errors
/// The [`Violation`].
///
/// # Panics
/// If the table does.
pub fn run(fresh: &dyn Fn() -> Box<dyn Directory>) -> Result<(), Violation> {
    for (claim, check) in claims::CLAIMS {
        check(fresh().as_ref()).map_err(|what| Violation { claim, what })?;
    }
    Ok(())
}
