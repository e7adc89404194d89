//! One record: a block, the deletion of one, or a void where a crash left nothing.

use blockraft_blocks::Multihash;
use blockraft_blocks::multihash::MULTIHASH_BYTES_MAX;

use super::fields::Fields;
use super::segment::Mark;

/// What stands in front of a record's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// What the record says.
    pub kind: RecordKind,
    /// How many bytes of body follow; 0 for tombstones.
    pub length: u32,
    /// CRC32C of the body; 0 for voids, whose body means nothing.
    pub body_crc: u32,
    /// Everything before this offset was known to be synced when the record was written. The largest intact one is
    /// what tells damage from a torn tail.
    pub synced: u64,
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// The body is this block.
    Block(Multihash),
    /// This block was deleted: earlier records of it mean nothing.
    Tombstone(Multihash),
    /// A crash tore the writes that were to stand here, and none of them was acknowledged.
    Void,
}

impl RecordKind {
    /// The block that the record is about.
    #[must_use]
    pub const fn multihash(&self) -> Option<&Multihash> {
        match self {
            Self::Block(multihash) | Self::Tombstone(multihash) => Some(multihash),
            Self::Void => None,
        }
    }

    pub(super) const fn code(&self) -> u8 {
        match self {
            Self::Block(_) => 1,
            Self::Tombstone(_) => 2,
            Self::Void => 3,
        }
    }

    pub(super) fn from_code(code: u8, multihash: &[u8]) -> Option<Self> {
        match code {
            1 => Some(Self::Block(Multihash::from_bytes(multihash).ok()?)),
            2 => Some(Self::Tombstone(Multihash::from_bytes(multihash).ok()?)),
            3 if multihash.is_empty() => Some(Self::Void),
            _ => None,
        }
    }

    fn multihash_bytes(&self) -> &[u8] {
        self.multihash().map(Multihash::as_bytes).unwrap_or_default()
    }

    /// How long the header of such a record is; the body follows at once.
    #[must_use]
    pub fn header_bytes(&self) -> u64 {
        aligned(FIXED_BYTES as u64 + self.multihash_bytes().len() as u64)
    }

    /// How long such a record with a body of `length` bytes is, padding included.
    #[must_use]
    pub fn record_bytes(&self, length: u32) -> u64 {
        aligned(self.header_bytes() + u64::from(length))
    }
}

impl RecordHeader {
    /// A record that covers `bytes` (a multiple of 8, at least [`FIXED_BYTES`]) in which nothing stands.
    #[must_use]
    pub fn void(bytes: u64, synced: u64) -> Self {
        let length = u32::try_from(bytes.saturating_sub(FIXED_BYTES as u64)).unwrap_or(u32::MAX);
        Self { kind: RecordKind::Void, length, body_crc: 0, synced }
    }

    /// How long the whole record is, padding included.
    #[must_use]
    pub fn record_bytes(&self) -> u64 {
        self.kind.record_bytes(self.length)
    }

    /// Appends the header, as it stands at `offset` of the segment with this mark.
    pub fn encode(&self, mark: Mark, offset: u64, out: &mut Vec<u8>) {
        let multihash = self.kind.multihash_bytes();
        let mut covered = Vec::with_capacity(HEADER_BYTES_MAX);
        covered.extend_from_slice(&[self.kind.code(), multihash.len() as u8, 0, 0]);
        covered.extend_from_slice(&self.length.to_le_bytes());
        covered.extend_from_slice(&self.body_crc.to_le_bytes());
        covered.extend_from_slice(&self.synced.to_le_bytes());
        covered.extend_from_slice(multihash);
        covered.resize(self.kind.header_bytes() as usize - COVERED_FROM, 0);
        out.extend_from_slice(&mark.0);
        out.extend_from_slice(&header_crc(offset, &covered).to_le_bytes());
        out.extend_from_slice(&covered);
    }

    /// Reads the header that stands at `offset` of the segment with this mark, if there is an intact one. `bytes`
    /// should hold [`HEADER_BYTES_MAX`] bytes, or all up to the end of the file.
    #[must_use]
    pub fn decode(bytes: &[u8], mark: Mark, offset: u64) -> Option<Self> {
        let mut fields = Fields(bytes);
        (fields.array()? == mark.0).then_some(())?;
        let crc = fields.u32()?;
        let code = fields.u8()?;
        let multihash_bytes = usize::from(fields.u8()?);
        let reserved = fields.u16()?;
        let length = fields.u32()?;
        let body_crc = fields.u32()?;
        let synced = fields.u64()?;
        let kind = RecordKind::from_code(code, fields.bytes(multihash_bytes)?)?;
        let covered = bytes.get(COVERED_FROM..kind.header_bytes() as usize)?;
        (reserved == 0 && header_crc(offset, covered) == crc).then_some(Self { kind, length, body_crc, synced })
    }
}

/// Rounds up to the alignment of records.
#[must_use]
pub const fn aligned(offset: u64) -> u64 {
    offset.next_multiple_of(ALIGNMENT)
}

/// Covers the offset too, so that a record written to a wrong place isn't taken for the one that belongs there.
fn header_crc(offset: u64, covered: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&offset.to_le_bytes()), covered)
}

/// Records begin at multiples of this many bytes.
pub const ALIGNMENT: u64 = 8;

/// The part of a header that all records have; the multihash follows.
pub const FIXED_BYTES: usize = 32;

/// The longest header.
pub const HEADER_BYTES_MAX: usize = (FIXED_BYTES + MULTIHASH_BYTES_MAX).next_multiple_of(8);

/// Mark and checksum aren't covered by the checksum.
const COVERED_FROM: usize = 12;
