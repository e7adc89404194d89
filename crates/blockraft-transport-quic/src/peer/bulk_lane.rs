//! Transfers: one unidirectional stream each.
//!
//! The sender writes and does not finish; the receiver, having read all of it, stops the stream with
//! [`RECEIVED`](StopCode::Received). So one frame says "arrived whole", which an acknowledgement of QUIC wouldn't: that
//! one comes before anybody has decided to take the bytes.

use std::time::Duration;

use blockraft_transport::bulk_inbox::BulkBudget;
use blockraft_transport::limits::{BULK_BODY_BYTES_MAX, BULK_HEADER_BYTES_MAX};
use blockraft_transport::{Bulk, BulkError};
use blockraft_types::NodeId;
use quinn::{Connection, RecvStream, SendStream, VarInt, WriteError};
use tokio::time::timeout;

use crate::frame::{Preamble, StreamError, read_bytes};

/// What became of a transfer, as its receiver tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopCode {
    Received,
    NoRoom,
    Malformed,
    TooSlow,
}

/// Sends a transfer and waits for the receiver's word.
pub(crate) async fn give(bulk: &Connection, peer: NodeId, transfer: Bulk) -> Result<(), BulkError> {
    let lost = BulkError::Lost { peer };
    let stream = bulk.open_uni().await.map_err(|_| lost)?;
    let mut stream = Abandoned { stream };
    let told = match stream.write(transfer).await {
        Ok(()) => stream.stream.stopped().await.map_err(|_| lost)?.ok_or(lost)?,
        Err(WriteError::Stopped(code)) => code,
        Err(WriteError::ConnectionLost(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected) => {
            return Err(lost);
        }
    };
    match StopCode::from_code(told) {
        Some(StopCode::Received) => Ok(()),
        Some(StopCode::NoRoom) => Err(BulkError::Refused { peer }),
        Some(StopCode::Malformed | StopCode::TooSlow) | None => Err(lost),
    }
}

/// Takes a transfer in, or stops it, in a bounded time either way.
pub(crate) async fn take(mut stream: RecvStream, budget: &BulkBudget, patience: Duration, time_max: Duration) {
    let code = match timeout(time_max, receive(&mut stream, budget, patience)).await {
        Ok(code) => code,
        Err(_elapsed) => StopCode::TooSlow,
    };
    let _already_gone = stream.stop(code.code());
}

async fn receive(stream: &mut RecvStream, budget: &BulkBudget, patience: Duration) -> StopCode {
    let preamble = match Preamble::read(stream, BULK_HEADER_BYTES_MAX, BULK_BODY_BYTES_MAX).await {
        Ok(preamble) => preamble,
        Err(StreamError::Malformed | StreamError::Ended | StreamError::Reset { .. }) => return StopCode::Malformed,
    };
    let Ok(slot) = timeout(patience, budget.admit(preamble.bytes())).await else { return StopCode::NoRoom };
    let Ok(header) = read_bytes(stream, preamble.header_bytes as usize).await else { return StopCode::Malformed };
    let Ok(body) = read_bytes(stream, preamble.body_bytes as usize).await else { return StopCode::Malformed };
    slot.deliver(Bulk { header, body });
    StopCode::Received
}

/// A stream that is reset unless its receiver stops it: quinn would finish it on drop.
struct Abandoned {
    stream: SendStream,
}

impl Abandoned {
    async fn write(&mut self, Bulk { header, body }: Bulk) -> Result<(), WriteError> {
        self.stream.write_all(&Preamble::of(&header, &body).encode()).await?;
        self.stream.write_chunk(header).await?;
        self.stream.write_chunk(body).await
    }
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        let _already_stopped = self.stream.reset(VarInt::from_u32(0));
    }
}

impl StopCode {
    fn code(self) -> VarInt {
        VarInt::from_u32(match self {
            Self::Received => 1,
            Self::NoRoom => 2,
            Self::Malformed => 3,
            Self::TooSlow => 4,
        })
    }

    fn from_code(code: VarInt) -> Option<Self> {
        [Self::Received, Self::NoRoom, Self::Malformed, Self::TooSlow].into_iter().find(|known| known.code() == code)
    }
}
