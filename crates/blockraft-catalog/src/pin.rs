//! Pins: what is kept until somebody takes the pin away.

use serde::{Deserialize, Serialize};

/// How much a pin covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PinMode {
    /// The root's block alone.
    Direct,
    /// Every block that the root leads to, and its own.
    Recursive,
}

/// How large the graph below a recursive pin may be. All replicas allow the same, from the first entry on: these numbers are
/// part of what commands mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinLimits {
    /// The most vertices, the root among them.
    pub vertices_max: usize,
    /// The most links of all of them together.
    pub links_max: usize,
}

impl PinLimits {
    /// What all releases allow: 65,536 vertices with 1,048,576 links.
    pub const FORMAT: Self = Self { vertices_max: 1 << 16, links_max: 1 << 20 };
}
