//! The bytes of a segment file, version 1, as plain data: encoding and decoding that is total on any input.
//!
//! ```text
//!        0  segment header, again at 2048        magic, version, number, mark, CRC
//!     4096  records, each padded to 8 bytes      header (mark, CRC, kind, length, synced, multihash), then the body
//!     tail  footer table (sealed segments only)  kind, multihash, offset, length of every record
//! end - 64  trailer (sealed segments only)       magic, version, where the table is, CRCs
//! ```
//!
//! Every record begins with its segment's *mark*, eight random bytes. A scan that lost its way looks for it, and no
//! client can forge a record inside a block's bytes without guessing it. All numbers are little-endian; checksums are
//! CRC32C.

mod fields;
pub mod footer;
pub mod record;
pub mod segment;

pub use footer::{FooterEntry, Trailer};
pub use record::{ALIGNMENT, RecordHeader, RecordKind, aligned};
pub use segment::{Mark, SegmentHeader};
