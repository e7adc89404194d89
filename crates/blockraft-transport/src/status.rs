//! What a transport knows about each peer, for status pages and traces.

use core::time::Duration;

use blockraft_types::NodeId;

use crate::address::PeerAddress;
use crate::peer::Peer;

/// One peer as the transport sees it now. Counters start at zero with the transport and only grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// The peer's id.
    pub node: NodeId,
    /// Where it is dialled; `None` when only it dials.
    pub address: Option<PeerAddress>,
    /// Who is connected, if anybody is.
    pub connected: Option<Peer>,
    /// Frames that were taken for sending.
    pub frames_sent: u64,
    /// Frames that were dropped: no connection, or a full queue.
    pub frames_dropped: u64,
    /// Bytes of bulk transfers that were started and have neither arrived nor failed.
    pub bulk_bytes_in_flight: u64,
    /// Bulk transfers that arrived whole.
    pub bulks_sent: u64,
    /// Bulk transfers that the peer had no room for.
    pub bulks_refused: u64,
    /// The network path, where the transport can measure it.
    pub path: Option<PathStatus>,
}

/// What is known of the network between two peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathStatus {
    /// The smoothed round-trip time.
    pub round_trip: Duration,
    /// The largest datagram that passes, in bytes.
    pub mtu_bytes: u16,
}
