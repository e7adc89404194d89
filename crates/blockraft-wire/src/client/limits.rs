//! How much one request, answer or status may name.

/// The most blocks that one request may name, and that one answer may.
pub const BLOCKS_MAX: usize = 1_024;

/// The most groups in a [`NodeStatus`](crate::client::NodeStatus), and the most members in each of them.
pub const STATUS_ROWS_MAX: usize = 16;

/// The longest name of a release in a [`NodeStatus`](crate::client::NodeStatus), in bytes.
pub const RELEASE_BYTES_MAX: usize = 64;
