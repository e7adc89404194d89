//! The data plane's messages as frames: what travels on the control lane, and what stands before a bulk transfer.

use blockraft_exchange::message::{BulkHeader, Message};
use blockraft_wire::Kind;
use blockraft_wire::frame::{self, DecodeError, EncodeError};
use bytes::Bytes;

/// Writes a message for the control lane.
pub(crate) fn encode_message(message: &Message) -> Result<Bytes, EncodeError> {
    frame::encode(Kind::Exchange, message, Vec::new()).map(frame::Frame::into_contiguous)
}

/// Reads a message of the control lane.
pub(crate) fn decode_message(frame: Bytes) -> Result<Message, DecodeError> {
    without_bodies(frame::decode(Kind::Exchange, frame)?)
}

/// Writes the header of a bulk transfer.
pub(crate) fn encode_bulk_header(header: &BulkHeader) -> Result<Bytes, EncodeError> {
    frame::encode(Kind::Exchange, header, Vec::new()).map(frame::Frame::into_contiguous)
}

/// Reads the header of a bulk transfer.
pub(crate) fn decode_bulk_header(frame: Bytes) -> Result<BulkHeader, DecodeError> {
    without_bodies(frame::decode(Kind::Exchange, frame)?)
}

fn without_bodies<T>((value, bodies): (T, Bytes)) -> Result<T, DecodeError> {
    if bodies.is_empty() { Ok(value) } else { Err(DecodeError::Bodies { kind: Kind::Exchange }) }
}
