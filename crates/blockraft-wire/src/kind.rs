//! The kinds of frames and what each may weigh at most.

use core::fmt;

/// What a frame holds. Its number stands in the frame's third byte and never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Messages of consensus between two members, of one or of many groups: see [`raft`](crate::raft).
    Raft,
    /// Questions between nodes that are not consensus: see [`node`](crate::node).
    Node,
    /// What a client asks a node.
    ClientRequest,
    /// What a node answers a client.
    ClientResponse,
    /// A message of the data plane, whose header is a type of the crate that speaks it.
    Exchange,
}

/// The most that a frame of one kind may hold. Checked before anything is allocated for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the postcard header.
    pub header_bytes_max: u32,
    /// Bytes of the raw bodies behind it.
    pub body_bytes_max: u32,
    /// Bytes of both together with the prelude.
    pub frame_bytes_max: u32,
}

/// The most bytes of a frame on the control lane: 4 MiB of entries and 64 KiB for what surrounds them.
pub const CONTROL_FRAME_BYTES_MAX: u32 = 4 * MIB + 64 * KIB;

/// The most bytes of bodies in a client's or the data plane's frame: one block of the largest format.
pub const BULK_BODY_BYTES_MAX: u32 = 64 * MIB;

impl Kind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Raft, Self::Node, Self::ClientRequest, Self::ClientResponse, Self::Exchange];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Raft => 1,
            Self::Node => 2,
            Self::ClientRequest => 3,
            Self::ClientResponse => 4,
            Self::Exchange => 5,
        }
    }

    /// The kind with this number, if there is one.
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// The version that this release writes, and the only one that it reads.
    #[must_use]
    pub const fn version(self) -> u8 {
        match self {
            Self::Raft | Self::Node | Self::ClientRequest | Self::ClientResponse | Self::Exchange => 1,
        }
    }

    /// How large a frame of this kind may be.
    #[must_use]
    pub const fn limits(self) -> Limits {
        match self {
            Self::Raft | Self::Node => Limits {
                header_bytes_max: CONTROL_FRAME_BYTES_MAX,
                body_bytes_max: CONTROL_FRAME_BYTES_MAX,
                frame_bytes_max: CONTROL_FRAME_BYTES_MAX,
            },
            Self::ClientRequest | Self::ClientResponse | Self::Exchange => Limits {
                header_bytes_max: MIB,
                body_bytes_max: BULK_BODY_BYTES_MAX,
                frame_bytes_max: BULK_BODY_BYTES_MAX + MIB + 64 * KIB,
            },
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raft => "raft",
            Self::Node => "node",
            Self::ClientRequest => "client request",
            Self::ClientResponse => "client response",
            Self::Exchange => "exchange",
        })
    }
}

const KIB: u32 = 1024;
const MIB: u32 = 1024 * KIB;
