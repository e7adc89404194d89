//! Every bound of the transport, with its default and what happens at it.

use core::time::Duration;

use blockraft_transport::connections::ConnectionLimits;

/// Bounds; [`QuicLimits::default`] is what a node runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuicLimits {
    /// Queues and credit per peer: frames beyond are dropped, transfers beyond wait.
    pub connections: ConnectionLimits,
    /// Transfers of one peer that were received and not yet taken, in bytes: later ones wait for `bulk_patience` and
    /// are then refused. 16 MiB.
    pub bulk_unread_bytes_max: u32,
    /// How long a transfer waits for room at the receiver. 1 s.
    pub bulk_patience: Duration,
    /// How long one transfer may take to arrive once it was let in; slower ones are stopped. 30 s.
    pub bulk_transfer_time_max: Duration,
    /// From the first datagram to the exchanged Hello; later ones are closed. 5 s.
    pub handshake_time_max: Duration,
    /// Handshakes under way at once; beyond it new ones are refused, and beyond a quarter of it a new address must
    /// prove itself first. 256.
    pub handshakes_max: usize,
    /// Handshakes of one address under way at once. 64.
    pub handshakes_per_address_max: usize,
    /// Of all handshakes, how many only members may have: whoever dials from the address at which it is dialled. 64.
    pub handshakes_of_members: usize,
    /// Silence after which a connection is dead. 10 s.
    pub idle_time_max: Duration,
    /// How often a silent connection is kept alive. 2 s.
    pub keep_alive_interval: Duration,
    /// The longest pause between two dials of one peer; the first is 50 ms. 2 s.
    pub dial_pause_max: Duration,
    /// Client connections; beyond it new ones are refused. 1,024.
    pub client_connections_max: usize,
    /// Client connections of one address. 64.
    pub client_connections_per_address_max: usize,
    /// Requests of clients that are received or worked on, in bytes, and at most half of them one client's: later ones
    /// wait unread. While some wait, a request that sends less than 64 KiB in a second is refused as busy. 64 MiB.
    pub client_request_bytes_max: u32,
    /// How long one request may take to arrive. 60 s.
    pub client_request_time_max: Duration,
    /// How long a client may take to read one answer. 60 s.
    pub client_answer_time_max: Duration,
    /// UDP receive and send buffer, in bytes, as asked of the kernel. 4 MiB.
    pub socket_buffer_bytes: usize,
}

impl Default for QuicLimits {
    fn default() -> Self {
        Self {
            connections: ConnectionLimits::default(),
            bulk_unread_bytes_max: 16 << 20,
            bulk_patience: Duration::from_secs(1),
            bulk_transfer_time_max: Duration::from_secs(30),
            handshake_time_max: Duration::from_secs(5),
            handshakes_max: 256,
            handshakes_per_address_max: 64,
            handshakes_of_members: 64,
            idle_time_max: Duration::from_secs(10),
            keep_alive_interval: Duration::from_secs(2),
            dial_pause_max: Duration::from_secs(2),
            client_connections_max: 1_024,
            client_connections_per_address_max: 64,
            client_request_bytes_max: 64 << 20,
            client_request_time_max: Duration::from_secs(60),
            client_answer_time_max: Duration::from_secs(60),
            socket_buffer_bytes: 4 << 20,
        }
    }
}

/// Transfers of one peer that arrive at the same time, and requests of one client connection.
pub const STREAMS_MAX: u32 = 64;

/// Credit of one stream in bytes: one peer may have this much unread in each.
pub const STREAM_WINDOW_BYTES: u32 = 2 << 20;

/// Credit of a control connection in bytes: two of the largest frames.
pub const CONTROL_WINDOW_BYTES: u32 = 9 << 20;

/// Credit of a bulk connection in bytes: twice what a peer of default limits has in flight, so that transfers which wait
/// for room can't starve those that were let in.
pub const BULK_WINDOW_BYTES: u32 = 16 << 20;

/// Credit of a client's connection in bytes.
pub const CLIENT_WINDOW_BYTES: u32 = 4 << 20;

/// Bytes sent and not acknowledged, per connection.
pub const SEND_WINDOW_BYTES: u64 = 10 << 20;

/// The largest datagram that path discovery tries. quinn hands the kernel ten segments at once, and ten of 6,550 bytes
/// don't fit into what Linux takes (65,507): beyond it the path falls back to 1,200 bytes. 6,500 costs a third of the
/// CPU time per byte that the default of 1,452 does.
pub const MTU_BYTES_MAX: u16 = 6_500;
