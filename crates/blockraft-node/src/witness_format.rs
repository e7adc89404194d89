//! A witness as bytes, for the file that hands it to the next life.
//!
//! Magic, version, the number of members, 48 bytes for each, and a CRC32C of all of that; numbers are little-endian.

use blockraft_types::{Incarnation, LogIndex, NodeId, Term};
use thiserror::Error;

use crate::mistake::Mistake;
use crate::witness::{Past, Witness};

/// Why bytes tell nothing of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeWitnessError {
    /// They were written in part, or changed since.
    #[error("it is torn or damaged")]
    Damaged,
    /// A later release wrote them.
    #[error("it has version {found}, and this release reads version {VERSION}")]
    Newer {
        /// Their version.
        found: u32,
    },
}

impl Witness {
    /// The bytes to be kept, anew whenever they are others: less than a kilobyte, or what the last ones cost if a crash gets
    /// in between.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        // There are at most `Membership::MEMBERS_MAX` members.
        bytes.extend((self.seen.len() as u32).to_le_bytes());
        for (node, (incarnation, past)) in &self.seen {
            bytes.extend(node.0.to_le_bytes());
            bytes.extend(incarnation.as_bytes());
            bytes.extend(past.term.0.to_le_bytes());
            bytes.extend(past.voted_for.unwrap_or(NOBODY).0.to_le_bytes());
            bytes.extend(past.index.0.to_le_bytes());
        }
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    /// What [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// See [`DecodeWitnessError`]. Starting with an empty witness is as good as having been away for as long.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeWitnessError> {
        let damaged = DecodeWitnessError::Damaged;
        let (bytes, crc) = bytes.split_last_chunk::<4>().ok_or(damaged)?;
        if crc32c::crc32c(bytes) != u32::from_le_bytes(*crc) {
            return Err(damaged);
        }
        let rest = bytes.strip_prefix(&MAGIC).ok_or(damaged)?;
        let (version, rest) = rest.split_first_chunk().ok_or(damaged)?;
        match u32::from_le_bytes(*version) {
            VERSION => {}
            found => return Err(DecodeWitnessError::Newer { found }),
        }
        let (count, rest) = rest.split_first_chunk().ok_or(damaged)?;
        let (members, []) = rest.as_chunks::<MEMBER_BYTES>() else { return Err(damaged) };
        if members.len() != u32::from_le_bytes(*count) as usize {
            return Err(damaged);
        }
        if Mistake::WitnessNotKept.is_made() {
            return Ok(Self::default());
        }
        let seen = members.iter().map(|member| read(member).ok_or(damaged)).collect::<Result<_, _>>()?;
        Ok(Self { seen })
    }
}

fn read(member: &[u8; MEMBER_BYTES]) -> Option<(NodeId, (Incarnation, Past))> {
    let (node, rest) = member.split_first_chunk()?;
    let (incarnation, rest) = rest.split_first_chunk()?;
    let (numbers, []) = rest.as_chunks::<8>() else { return None };
    let [term, voted_for, index] = numbers else { return None };
    let voted_for = Some(NodeId(u64::from_le_bytes(*voted_for))).filter(|node| *node != NOBODY);
    let past = Past { term: Term(u64::from_le_bytes(*term)), voted_for, index: LogIndex(u64::from_le_bytes(*index)) };
    Some((NodeId(u64::from_le_bytes(*node)), (Incarnation::from_bytes(*incarnation), past)))
}

const MAGIC: [u8; 8] = *b"blkrwtns";

const VERSION: u32 = 1;

/// Ids begin at one.
const NOBODY: NodeId = NodeId(0);

const MEMBER_BYTES: usize = 48;

#[cfg(test)]
mod tests;
