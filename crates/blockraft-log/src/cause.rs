//! What a database or a device said when it failed.

use core::error::Error;

/// The source of an error of this seam: each store has its own words for it.
pub type Cause = Box<dyn Error + Send + Sync + 'static>;
