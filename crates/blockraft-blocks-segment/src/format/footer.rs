//! What a sealed segment ends with: a table of its records, so that the index can be rebuilt without reading bodies.

use super::fields::Fields;
use super::record::RecordKind;
use super::segment::{Mark, VERSION};

/// One record in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FooterEntry {
    /// What the record says.
    pub kind: RecordKind,
    /// Where in the segment it begins.
    pub offset: u64,
    /// How long its body is.
    pub length: u32,
}

/// The last bytes of a sealed segment: where the table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Where the table begins, which is where the records end.
    pub table_from: u64,
    /// How long the table is, in bytes.
    pub table_bytes: u64,
    /// CRC32C of the table.
    pub table_crc: u32,
    /// The segment's mark.
    pub mark: Mark,
}

/// The table and the trailer, ready to stand at `table_from`.
#[must_use]
pub fn encode(entries: &[FooterEntry], table_from: u64, mark: Mark) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * 48 + TRAILER_BYTES);
    for entry in entries {
        let multihash = entry.kind.multihash().map(|multihash| multihash.as_bytes()).unwrap_or_default();
        bytes.extend_from_slice(&[entry.kind.code(), multihash.len() as u8]);
        bytes.extend_from_slice(multihash);
        bytes.extend_from_slice(&entry.offset.to_le_bytes());
        bytes.extend_from_slice(&entry.length.to_le_bytes());
    }
    let table_crc = crc32c::crc32c(&bytes);
    let trailer = Trailer { table_from, table_bytes: bytes.len() as u64, table_crc, mark };
    bytes.extend_from_slice(&trailer.encode());
    bytes
}

/// Reads a table; `None` if it isn't intact.
#[must_use]
pub fn decode(table: &[u8], trailer: &Trailer) -> Option<Vec<FooterEntry>> {
    (table.len() as u64 == trailer.table_bytes && crc32c::crc32c(table) == trailer.table_crc).then_some(())?;
    let mut fields = Fields(table);
    let mut entries = Vec::with_capacity(table.len() / 48);
    while !fields.0.is_empty() {
        let code = fields.u8()?;
        let multihash_bytes = usize::from(fields.u8()?);
        let kind = RecordKind::from_code(code, fields.bytes(multihash_bytes)?)?;
        entries.push(FooterEntry { kind, offset: fields.u64()?, length: fields.u32()? });
    }
    Some(entries)
}

impl Trailer {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(TRAILER_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 6]);
        bytes.extend_from_slice(&self.table_from.to_le_bytes());
        bytes.extend_from_slice(&self.table_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.table_crc.to_le_bytes());
        bytes.extend_from_slice(&self.mark.0);
        bytes.resize(TRAILER_BYTES - 4, 0);
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the last [`TRAILER_BYTES`] of a file of `file_bytes`, if they are an intact trailer of the segment with
    /// this mark and fit the file.
    #[must_use]
    pub fn decode(bytes: &[u8], mark: Mark, file_bytes: u64) -> Option<Self> {
        let (covered, crc) = bytes.split_last_chunk()?;
        (bytes.len() == TRAILER_BYTES && crc32c::crc32c(covered) == u32::from_le_bytes(*crc)).then_some(())?;
        let mut fields = Fields(covered);
        (fields.array()? == MAGIC && fields.u16()? == VERSION).then_some(())?;
        fields.bytes(6)?;
        let trailer = Self {
            table_from: fields.u64()?,
            table_bytes: fields.u64()?,
            table_crc: fields.u32()?,
            mark: Mark(fields.array()?),
        };
        let end = trailer.table_from.checked_add(trailer.table_bytes)?.checked_add(TRAILER_BYTES as u64)?;
        (trailer.mark == mark && end == file_bytes).then_some(trailer)
    }
}

/// How long a trailer is.
pub const TRAILER_BYTES: usize = 64;

const MAGIC: [u8; 8] = *b"blkrFOOT";
