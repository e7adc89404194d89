//! Bytes on streams: a length, then that many bytes; never more allocated than has arrived or was let in.

use bytes::{Bytes, BytesMut};
use quinn::{ReadError, ReadExactError, RecvStream};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What stands before a transfer, a request and an answer: one length byte, then this in postcard, then header and body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Preamble {
    pub(crate) header_bytes: u32,
    pub(crate) body_bytes: u32,
}

/// Why a stream couldn't be read.
#[derive(Debug, Error)]
pub(crate) enum StreamError {
    /// The stream or its connection ended early.
    #[error("the stream ended early")]
    Ended,
    /// A length over its limit, or no lengths at all.
    #[error("the stream's lengths are malformed or over their limits")]
    Malformed,
    /// The stream was reset by its sender, with a code.
    #[error("the stream was reset with code {code}")]
    Reset {
        /// The code.
        code: u64,
    },
}

impl Preamble {
    pub(crate) fn of(header: &Bytes, body: &Bytes) -> Self {
        let bytes = |bytes: &Bytes| u32::try_from(bytes.len()).expect("sizes were checked against limits below 4 GiB");
        Self { header_bytes: bytes(header), body_bytes: bytes(body) }
    }

    pub(crate) fn bytes(self) -> usize {
        self.header_bytes as usize + self.body_bytes as usize
    }

    pub(crate) fn encode(self) -> Vec<u8> {
        let encoded = postcard::to_allocvec(&self).expect("two integers always encode");
        let length = u8::try_from(encoded.len()).expect("two integers are at most ten bytes");
        let mut bytes = vec![length];
        bytes.extend(encoded);
        bytes
    }

    pub(crate) async fn read(
        receive: &mut RecvStream,
        header_bytes_max: usize,
        body_bytes_max: usize,
    ) -> Result<Self, StreamError> {
        let mut length = [0];
        receive.read_exact(&mut length).await?;
        let [length] = length;
        let mut buffer = [0; PREAMBLE_BYTES_MAX];
        let bytes = buffer.get_mut(..usize::from(length)).ok_or(StreamError::Malformed)?;
        receive.read_exact(bytes).await?;
        let preamble = Self::decode(bytes).ok_or(StreamError::Malformed)?;
        let fits = preamble.header_bytes as usize <= header_bytes_max && preamble.body_bytes as usize <= body_bytes_max;
        if fits { Ok(preamble) } else { Err(StreamError::Malformed) }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        match postcard::take_from_bytes(bytes) {
            Ok((preamble, [])) => Some(preamble),
            _ => None,
        }
    }
}

/// Reads exactly `bytes` bytes.
pub(crate) async fn read_bytes(receive: &mut RecvStream, bytes: usize) -> Result<Bytes, StreamError> {
    let mut buffer = BytesMut::with_capacity(bytes);
    while buffer.len() < bytes {
        let chunk = receive.read_chunk(bytes - buffer.len(), true).await?.ok_or(StreamError::Ended)?;
        buffer.extend_from_slice(&chunk.bytes);
    }
    Ok(buffer.freeze())
}

impl From<ReadExactError> for StreamError {
    fn from(error: ReadExactError) -> Self {
        match error {
            ReadExactError::FinishedEarly(_) => Self::Ended,
            ReadExactError::ReadError(error) => error.into(),
        }
    }
}

impl From<ReadError> for StreamError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(code) => Self::Reset { code: code.into_inner() },
            ReadError::ConnectionLost(_)
            | ReadError::ClosedStream
            | ReadError::IllegalOrderedRead
            | ReadError::ZeroRttRejected => Self::Ended,
        }
    }
}

/// Two varints of 32 bits.
const PREAMBLE_BYTES_MAX: usize = 10;

#[cfg(test)]
mod tests;
