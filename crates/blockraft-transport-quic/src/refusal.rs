//! Why a connection was closed by one of its ends: one number each on the wire, one name each in traces.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quinn::{ApplicationClose, ConnectionError, VarInt};

/// The reason of a close. The numbers are part of the protocol and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// TLS failed: another authority, an expired certificate, no certificate, another cluster's name, another protocol.
    Handshake,
    /// A client's certificate on the peers' lane, or a node's on the clients'.
    WrongRole,
    /// The Hello can't be decoded, is too large, or didn't come in time.
    MalformedHello,
    /// The Hello tells another cluster, node or incarnation than the certificate.
    HelloDisagrees,
    /// The versions that both sides speak have none in common.
    NoCommonVersion,
    /// The dialled address is another node's than the one expected there.
    UnexpectedNode,
    /// A node id that is known with another incarnation.
    OtherIncarnation,
    /// A node id that is known to have been removed.
    Removed,
    /// The node's own id.
    Ourselves,
    /// Both ends dialled at once, and this is the connection that goes. Not a fault.
    Settled,
    /// Another connection of the same node took over. Not a fault.
    Replaced,
    /// The node stops. Not a fault.
    Closing,
    /// More connections than the limits allow.
    TooMany,
    /// Something on a stream that no version of the protocol allows.
    ProtocolViolation,
    /// A start of a process that a later start of the same node has taken over from.
    Superseded,
}

/// Counts refusals by reason and traces them, at most [`TRACES_PER_SECOND_MAX`] a second, so that an attacker can't
/// fill a disk with them.
#[derive(Debug)]
pub(crate) struct Refusals {
    state: Mutex<State>,
}

impl Refusal {
    /// Every reason with its number and its name.
    const TABLE: [(Self, u32, &'static str); 15] = [
        (Self::Handshake, 1, "handshake"),
        (Self::WrongRole, 2, "wrong role"),
        (Self::MalformedHello, 3, "malformed hello"),
        (Self::HelloDisagrees, 4, "hello disagrees with certificate"),
        (Self::NoCommonVersion, 5, "no common version"),
        (Self::UnexpectedNode, 6, "unexpected node"),
        (Self::OtherIncarnation, 7, "other incarnation"),
        (Self::Removed, 8, "removed"),
        (Self::Ourselves, 9, "ourselves"),
        (Self::Settled, 10, "settled"),
        (Self::Replaced, 11, "replaced"),
        (Self::Closing, 12, "closing"),
        (Self::TooMany, 13, "too many"),
        (Self::ProtocolViolation, 14, "protocol violation"),
        (Self::Superseded, 15, "superseded"),
    ];

    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> u32 {
        self.row().1
    }

    /// The reason in words.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// The reason behind a number from the wire, if this version knows it.
    #[must_use]
    pub fn from_code(code: u64) -> Option<Self> {
        Self::TABLE.iter().find(|row| u64::from(row.1) == code).map(|row| row.0)
    }

    /// Whether the other end, or we, did something wrong.
    #[must_use]
    pub const fn is_fault(self) -> bool {
        !matches!(self, Self::Settled | Self::Replaced | Self::Closing)
    }

    pub(crate) fn close(self, connection: &quinn::Connection) {
        connection.close(VarInt::from_u32(self.code()), self.name().as_bytes());
    }

    /// Why a connection ended, if one of its ends said so.
    pub(crate) fn of(error: &ConnectionError) -> Option<Self> {
        match error {
            ConnectionError::ApplicationClosed(ApplicationClose { error_code, .. }) => {
                Self::from_code(error_code.into_inner())
            }
            ConnectionError::TransportError(_) | ConnectionError::ConnectionClosed(_) => Some(Self::Handshake),
            ConnectionError::VersionMismatch
            | ConnectionError::Reset
            | ConnectionError::TimedOut
            | ConnectionError::LocallyClosed
            | ConnectionError::CidsExhausted => None,
        }
    }

    fn row(self) -> (Self, u32, &'static str) {
        let row = Self::TABLE.into_iter().find(|row| row.0 == self);
        row.expect("the table has a row for each reason, which a test checks")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Refusals {
    pub(crate) fn new() -> Self {
        let state = State { counts: BTreeMap::new(), second: Instant::now(), traced: 0 };
        Self { state: Mutex::new(state) }
    }

    /// Notes that we refused somebody.
    pub(crate) fn note(&self, refusal: Refusal, remote: std::net::SocketAddr, detail: &dyn fmt::Debug) {
        let mut state = self.lock();
        *state.counts.entry(refusal).or_default() += 1;
        let now = Instant::now();
        if Duration::from_secs(1) <= now.duration_since(state.second) {
            state.second = now;
            state.traced = 0;
        }
        state.traced += 1;
        if TRACES_PER_SECOND_MAX < state.traced {
            return;
        }
        if refusal.is_fault() {
            tracing::warn!(%remote, reason = %refusal, ?detail, "refused_connection");
        } else {
            tracing::debug!(%remote, reason = %refusal, ?detail, "refused_connection");
        }
    }

    pub(crate) fn counts(&self) -> BTreeMap<Refusal, u64> {
        self.lock().counts.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct State {
    counts: BTreeMap<Refusal, u64>,
    second: Instant,
    traced: u32,
}

/// Traces of refusals in a second; the rest is only counted.
const TRACES_PER_SECOND_MAX: u32 = 10;

#[cfg(test)]
mod tests;
