//! The keys: entries ordered by (group, index), and one record per group behind all entries.

use blockraft_types::{GroupId, LogIndex};

pub(crate) const ENTRY_KEY_BYTES: usize = 13;
pub(crate) const GROUP_KEY_BYTES: usize = 5;

/// Where a group's entry stands.
pub(crate) fn entry(group: GroupId, index: LogIndex) -> [u8; ENTRY_KEY_BYTES] {
    let mut key = [ENTRY; ENTRY_KEY_BYTES];
    key[1..5].copy_from_slice(&group.0.to_be_bytes());
    key[5..].copy_from_slice(&index.0.to_be_bytes());
    key
}

/// The first key after all of a group's entries. No entry has the index `u64::MAX`.
pub(crate) fn entries_end(group: GroupId) -> [u8; ENTRY_KEY_BYTES] {
    entry(group, LogIndex(u64::MAX))
}

/// Where a group's record stands.
pub(crate) fn group(group: GroupId) -> [u8; GROUP_KEY_BYTES] {
    let mut key = [GROUP; GROUP_KEY_BYTES];
    key[1..].copy_from_slice(&group.0.to_be_bytes());
    key
}

/// What a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Entry(GroupId, LogIndex),
    Group(GroupId),
}

/// Reads a key back, if it is one of ours.
pub(crate) fn parse(key: &[u8]) -> Option<Key> {
    match key {
        [ENTRY, g0, g1, g2, g3, index @ ..] => {
            let index = u64::from_be_bytes(index.try_into().ok()?);
            Some(Key::Entry(GroupId(u32::from_be_bytes([*g0, *g1, *g2, *g3])), LogIndex(index)))
        }
        [GROUP, g0, g1, g2, g3] => Some(Key::Group(GroupId(u32::from_be_bytes([*g0, *g1, *g2, *g3])))),
        _ => None,
    }
}

const ENTRY: u8 = b'e';
const GROUP: u8 = b'g';
