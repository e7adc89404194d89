//! A segment's first bytes: which format, which segment, and the mark its records begin with.

use super::fields::Fields;

/// Eight random bytes that begin each record of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark(pub [u8; 8]);

/// What a segment file says about itself, twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Segments are numbered from 1 in the order of their creation, never reused.
    pub number: u64,
    /// What its records begin with.
    pub mark: Mark,
}

/// What the first bytes of a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFound {
    /// A header of this version.
    Current(SegmentHeader),
    /// An intact header of a version we don't know.
    Newer {
        /// The version.
        version: u16,
    },
    /// Neither copy of the header is intact.
    Damaged,
}

impl SegmentHeader {
    /// The first [`RECORDS_FROM`] bytes of the file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut copy = Vec::with_capacity(COPY_BYTES);
        copy.extend_from_slice(&MAGIC);
        copy.extend_from_slice(&VERSION.to_le_bytes());
        copy.extend_from_slice(&[0; 6]);
        copy.extend_from_slice(&self.number.to_le_bytes());
        copy.extend_from_slice(&self.mark.0);
        let crc = crc32c::crc32c(&copy);
        copy.extend_from_slice(&crc.to_le_bytes());
        let mut bytes = copy.clone();
        bytes.resize(SECOND_COPY_FROM, 0);
        bytes.extend_from_slice(&copy);
        bytes.resize(RECORDS_FROM as usize, 0);
        bytes
    }

    /// Reads the header from a file's first bytes, from whichever copy is intact.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> HeaderFound {
        let copies = [Some(bytes), bytes.get(SECOND_COPY_FROM..)];
        copies.into_iter().flatten().find_map(decode_copy).unwrap_or(HeaderFound::Damaged)
    }
}

fn decode_copy(bytes: &[u8]) -> Option<HeaderFound> {
    let mut fields = Fields(bytes);
    let covered = bytes.get(..COPY_BYTES - 4)?;
    (fields.array()? == MAGIC).then_some(())?;
    let version = fields.u16()?;
    fields.bytes(6)?;
    let header = SegmentHeader { number: fields.u64()?, mark: Mark(fields.array()?) };
    (fields.u32()? == crc32c::crc32c(covered)).then_some(())?;
    Some(if version == VERSION { HeaderFound::Current(header) } else { HeaderFound::Newer { version } })
}

/// Where the records of a segment begin.
pub const RECORDS_FROM: u64 = 4_096;

/// The version that this code writes, and the only one it reads.
pub const VERSION: u16 = 1;

const MAGIC: [u8; 8] = *b"blkrSEGM";
const COPY_BYTES: usize = 36;
const SECOND_COPY_FROM: usize = 2_048;
