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

pub mod footer;
pub mod record;
pub mod segment;

pub use footer::{FooterEntry, Trailer};
pub use record::{RecordHeader, RecordKind};
pub use segment::{Mark, SegmentHeader};

/// Reads little-endian numbers off the front of a slice; any of its methods gives `None` at the end.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(front)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*front)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

/// Rounds up to the alignment of records.
#[must_use]
pub const fn aligned(offset: u64) -> u64 {
    offset.next_multiple_of(ALIGNMENT)
}

/// Records begin at multiples of this many bytes.
pub const ALIGNMENT: u64 = 8;
