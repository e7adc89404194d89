//! The codec's claims: what is written is read, anything else is refused, and the bytes of a version never change.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod golden;
mod hostile;
mod limits;
mod round_trip;
mod samples;
