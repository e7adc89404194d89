//! The values: an entry and a group's record, each with a version and a checksum that covers its key.
//!
//! All numbers are little-endian. The checksum is CRC32C over the key and everything before it in the value, so that a
//! value that lands under another key is damage, not data. Reading is total: any bytes give a value or a reason.

use blockraft_log::Anchor;
use blockraft_types::{
    BodyDigest, ChainDigest, Entry, EntryHead, EntryKind, GroupId, HardState, LogIndex, Membership, NodeId, Position,
    Term,
};
use bytes::Bytes;

use crate::key;

/// What is known of a group besides its entries; written with every batch of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupRecord {
    pub(crate) hard_state: HardState,
    pub(crate) anchor: Anchor,
    pub(crate) last: Anchor,
}

/// Why bytes aren't a value of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage(pub(crate) &'static str);

impl GroupRecord {
    pub(crate) fn encode(&self, group: GroupId) -> Vec<u8> {
        let mut value = vec![VERSION];
        put_hard_state(&mut value, self.hard_state);
        for place in [self.anchor, self.last] {
            value.extend_from_slice(&place.position.term.0.to_le_bytes());
            value.extend_from_slice(&place.position.index.0.to_le_bytes());
            value.extend_from_slice(place.chain.as_bytes());
        }
        seal(&key::group(group), value)
    }

    pub(crate) fn decode(group: GroupId, value: &[u8]) -> Result<Self, Damage> {
        let mut rest = unseal(&key::group(group), value)?;
        let record = Self {
            hard_state: take_hard_state(&mut rest)?,
            anchor: take_anchor(&mut rest)?,
            last: take_anchor(&mut rest)?,
        };
        end(rest)?;
        Ok(record)
    }
}

pub(crate) fn encode_entry(group: GroupId, entry: &Entry) -> Vec<u8> {
    let head = &entry.head;
    let mut value = Vec::with_capacity(64 + entry.body.len());
    value.push(VERSION);
    value.push(match head.kind {
        EntryKind::Blank => BLANK,
        EntryKind::Command => COMMAND,
        EntryKind::Membership(_) => MEMBERSHIP,
    });
    value.extend_from_slice(&head.position.term.0.to_le_bytes());
    value.extend_from_slice(head.body_digest.as_bytes());
    value.extend_from_slice(head.chain.as_bytes());
    value.extend_from_slice(&head.body_bytes.to_le_bytes());
    if let EntryKind::Membership(membership) = &head.kind {
        value.extend_from_slice(&membership.encode());
    }
    value.extend_from_slice(&entry.body);
    seal(&key::entry(group, head.position.index), value)
}

/// Reads an entry back and checks its body against its head; whether it continues the chain is for the caller to see.
pub(crate) fn decode_entry(group: GroupId, index: LogIndex, value: &[u8]) -> Result<Entry, Damage> {
    let mut rest = unseal(&key::entry(group, index), value)?;
    let kind = take::<1>(&mut rest)?;
    let position = Position { term: Term(take_u64(&mut rest)?), index };
    let body_digest = BodyDigest::from_bytes(take(&mut rest)?);
    let chain = ChainDigest::from_bytes(take(&mut rest)?);
    let body_bytes = u32::from_le_bytes(take(&mut rest)?);
    let kind = match kind {
        [BLANK] => EntryKind::Blank,
        [COMMAND] => EntryKind::Command,
        [MEMBERSHIP] => {
            // Such an entry has no body: all that is left is its configuration.
            let membership = Membership::decode(core::mem::take(&mut rest));
            EntryKind::Membership(Box::new(membership.map_err(|_| Damage("no configuration"))?))
        }
        _ => return Err(Damage("unknown kind of entry")),
    };
    let head = EntryHead { position, kind, body_bytes, body_digest, chain };
    let entry = Entry { head, body: Bytes::copy_from_slice(rest) };
    if entry.body_matches_head() { Ok(entry) } else { Err(Damage("the body isn't the one its head describes")) }
}

pub(crate) fn put_hard_state(bytes: &mut Vec<u8>, hard_state: HardState) {
    bytes.extend_from_slice(&hard_state.term.0.to_le_bytes());
    bytes.push(u8::from(hard_state.voted_for.is_some()));
    bytes.extend_from_slice(&hard_state.voted_for.map_or(0, |node| node.0).to_le_bytes());
}

pub(crate) fn take_hard_state(rest: &mut &[u8]) -> Result<HardState, Damage> {
    let term = Term(take_u64(rest)?);
    let voted = take::<1>(rest)?;
    let node = NodeId(take_u64(rest)?);
    match voted {
        [0] => Ok(HardState { term, voted_for: None }),
        [1] => Ok(HardState { term, voted_for: Some(node) }),
        _ => Err(Damage("a vote neither given nor kept")),
    }
}

pub(crate) fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Damage> {
    let (taken, left) = rest.split_first_chunk::<N>().ok_or(Damage("the value is too short"))?;
    *rest = left;
    Ok(*taken)
}

pub(crate) fn take_u64(rest: &mut &[u8]) -> Result<u64, Damage> {
    take(rest).map(u64::from_le_bytes)
}

fn take_anchor(rest: &mut &[u8]) -> Result<Anchor, Damage> {
    let position = Position { term: Term(take_u64(rest)?), index: LogIndex(take_u64(rest)?) };
    Ok(Anchor { position, chain: ChainDigest::from_bytes(take(rest)?) })
}

fn seal(key: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    let checksum = crc32c::crc32c_append(crc32c::crc32c(key), &value);
    value.extend_from_slice(&checksum.to_le_bytes());
    value
}

/// What stands between the version and the checksum, if both are right.
fn unseal<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], Damage> {
    let (sealed, checksum) = value.split_last_chunk::<4>().ok_or(Damage("the value is too short"))?;
    if crc32c::crc32c_append(crc32c::crc32c(key), sealed) != u32::from_le_bytes(*checksum) {
        return Err(Damage("the checksum doesn't match"));
    }
    match sealed {
        [VERSION, rest @ ..] => Ok(rest),
        _ => Err(Damage("a value of a version that this program doesn't know")),
    }
}

fn end(rest: &[u8]) -> Result<(), Damage> {
    if rest.is_empty() { Ok(()) } else { Err(Damage("the value is too long")) }
}

const VERSION: u8 = 1;
const BLANK: u8 = 0;
const COMMAND: u8 = 1;
const MEMBERSHIP: u8 = 2;
