//! The sizes that every transport carries, and refuses beyond.

/// The largest control frame in bytes: 4 MiB of entries and 64 KiB around them.
pub const FRAME_BYTES_MAX: usize = (4 << 20) + (64 << 10);

/// The largest header of a bulk transfer in bytes.
pub const BULK_HEADER_BYTES_MAX: usize = 64 << 10;

/// The largest body of a bulk transfer in bytes.
pub const BULK_BODY_BYTES_MAX: usize = 64 << 20;
