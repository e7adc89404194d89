//! Nodes among each other: from the first datagram to the last frame.

pub(crate) mod backoff;
pub(crate) mod bulk_lane;
pub(crate) mod handshake;
pub(crate) mod link;
pub(crate) mod pairing;
