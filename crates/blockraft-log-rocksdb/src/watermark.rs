//! The witness outside the database: what this node has acknowledged, in a small file of its own per group.
//!
//! RocksDB's replay ends at the first record that doesn't verify and says nothing, so a flipped bit can take
//! acknowledged entries, or a vote, without a trace. This file remembers how far the log reached.
//!
//! Two slots of [`SLOT_BYTES`] each hold one mark with a sequence number and a CRC32C; the valid one with the higher
//! number counts. Only the slot that isn't the last *synced* one is ever overwritten, so that a torn write leaves the
//! other. What was synced is copied into both, so that one rotten slot is survived.
//!
//! It remembers too that the end of a log was found to be gone, until that is made good. A mark that says so is of version
//! 2, longer than the others; whoever knows only version 1 refuses it by name.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use blockraft_types::{GroupId, HardState, LogIndex, LostTail, Position, Term};

use crate::record::{Damage, put_hard_state, take, take_hard_state, take_u64};

/// What a group has acknowledged, as far as this file knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) stage: Stage,
    pub(crate) hard_state: HardState,
    /// Every entry up to here was durable. It may lag.
    pub(crate) position: Position,
    /// Entries that were durable are gone.
    pub(crate) lost_tail: Option<LostTail>,
}

/// How far the creation of a group came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The group may or may not be in the database, and nothing of it was acknowledged.
    Creating,
    /// The group is in the database.
    Live,
}

/// One group's witness, open for writing.
#[derive(Debug)]
pub(crate) struct Watermark {
    file: File,
    mark: Mark,
    sequence: u64,
    /// The slot that may be overwritten: the other one is synced.
    spare: Slot,
    unsynced_raises: u32,
}

/// What a witness file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Testimony {
    /// The mark that counts.
    Mark(Mark),
    /// Written by a later version of this program.
    Newer(u32),
    /// No slot verifies.
    Damaged,
}

/// Whether a write to the file waited for the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Synced,
    Unsynced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    First,
    Second,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Mark(u64, Mark),
    Newer(u32),
    Damaged,
}

/// The file of a group's witness in `directory`.
pub(crate) fn path(directory: &Path, group: GroupId) -> PathBuf {
    directory.join(format!("{NAME}{:08x}", group.0))
}

/// The group that a file of this name is the witness of.
pub(crate) fn group_of(name: &str) -> Option<GroupId> {
    let digits = name.strip_prefix(NAME).filter(|digits| digits.len() == 8)?;
    u32::from_str_radix(digits, 16).ok().map(GroupId)
}

/// Reads a witness without touching it.
pub(crate) fn read(directory: &Path, group: GroupId) -> io::Result<Testimony> {
    let file = File::open(path(directory, group))?;
    Ok(judge(read_slots(&file, group)?))
}

impl Watermark {
    /// Makes the witness of a group that is about to be made. Synced, but its directory isn't.
    pub(crate) fn create(directory: &Path, group: GroupId) -> io::Result<Self> {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(true).clone();
        let file = options.open(path(directory, group))?;
        file.set_len(2 * SLOT_BYTES)?;
        let mark = Mark {
            stage: Stage::Creating,
            hard_state: HardState::default(),
            position: Position::ZERO,
            lost_tail: None,
        };
        let mut watermark = Self { file, mark, sequence: 0, spare: Slot::First, unsynced_raises: 0 };
        watermark.put_synced(group, mark)?;
        Ok(watermark)
    }

    /// Opens a witness that testified `mark` and leaves both slots whole and synced.
    pub(crate) fn open(directory: &Path, group: GroupId, mark: Mark) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path(directory, group))?;
        // What the last process left may stand in the cache alone. From here on both slots are on the device.
        file.sync_data()?;
        let slots = read_slots(&file, group)?;
        let [first, second] = slots.map(|content| match content {
            Content::Mark(sequence, _) => sequence,
            Content::Newer(_) | Content::Damaged => 0,
        });
        let spare = if first < second { Slot::First } else { Slot::Second };
        let mut watermark = Self { file, mark, sequence: first.max(second), spare, unsynced_raises: 0 };
        let is_level =
            matches!(slots, [Content::Mark(_, one), Content::Mark(_, other)] if one == mark && other == mark);
        if !is_level {
            // Twice: the first leaves a synced slot beside the one that counted so far, the second replaces that one.
            watermark.put_synced(group, mark)?;
            watermark.put_synced(group, mark)?;
        }
        Ok(watermark)
    }

    pub(crate) fn mark(&self) -> Mark {
        self.mark
    }

    /// Replaces the mark and waits for the device.
    pub(crate) fn put_synced(&mut self, group: GroupId, mark: Mark) -> io::Result<()> {
        self.put(group, mark)?;
        self.file.sync_data()?;
        self.spare = match self.spare {
            Slot::First => Slot::Second,
            Slot::Second => Slot::First,
        };
        self.unsynced_raises = 0;
        // The copy needs no sync: until it arrives the other slot counts.
        self.put(group, mark)
    }

    /// Raises the position. The device is waited for only once in [`RAISES_PER_SYNC`] times.
    pub(crate) fn raise(&mut self, group: GroupId, position: Position) -> io::Result<Written> {
        let mark = Mark { position, ..self.mark };
        self.unsynced_raises += 1;
        if self.unsynced_raises < RAISES_PER_SYNC {
            self.put(group, mark)?;
            return Ok(Written::Unsynced);
        }
        self.put_synced(group, mark)?;
        Ok(Written::Synced)
    }

    fn put(&mut self, group: GroupId, mark: Mark) -> io::Result<()> {
        self.sequence += 1;
        self.file.write_all_at(&encode(group, self.sequence, mark), self.spare.offset())?;
        self.mark = mark;
        Ok(())
    }
}

impl Slot {
    const fn offset(self) -> u64 {
        match self {
            Self::First => 0,
            Self::Second => SLOT_BYTES,
        }
    }
}

fn read_slots(file: &File, group: GroupId) -> io::Result<[Content; 2]> {
    let read = |slot: Slot| {
        let mut bytes = [0; MARK_BYTES + LOSS_BYTES];
        match file.read_exact_at(&mut bytes, slot.offset()) {
            Ok(()) => Ok(parse(group, &bytes).unwrap_or(Content::Damaged)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Content::Damaged),
            Err(error) => Err(error),
        }
    };
    Ok([read(Slot::First)?, read(Slot::Second)?])
}

fn judge(slots: [Content; 2]) -> Testimony {
    match slots {
        [Content::Newer(version), _] | [_, Content::Newer(version)] => Testimony::Newer(version),
        [Content::Mark(one, first), Content::Mark(two, second)] => {
            Testimony::Mark(if one < two { second } else { first })
        }
        [Content::Mark(_, mark), Content::Damaged] | [Content::Damaged, Content::Mark(_, mark)] => {
            Testimony::Mark(mark)
        }
        [Content::Damaged, Content::Damaged] => Testimony::Damaged,
    }
}

fn encode(group: GroupId, sequence: u64, mark: Mark) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MARK_BYTES);
    bytes.extend_from_slice(MAGIC);
    let version = if mark.lost_tail.is_some() { VERSION } else { VERSION_WITHOUT_LOSS };
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&group.0.to_le_bytes());
    bytes.extend_from_slice(&sequence.to_le_bytes());
    bytes.push(match mark.stage {
        Stage::Creating => 0,
        Stage::Live => 1,
    });
    put_hard_state(&mut bytes, mark.hard_state);
    bytes.extend_from_slice(&mark.position.term.0.to_le_bytes());
    bytes.extend_from_slice(&mark.position.index.0.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    if let Some(LostTail { term, index }) = mark.lost_tail {
        bytes.extend_from_slice(&term.0.to_le_bytes());
        bytes.extend_from_slice(&index.0.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
    }
    bytes
}

/// What a checksum behind it vouches for.
fn checked(bytes: &[u8]) -> Result<&[u8], Damage> {
    let (marked, checksum) = bytes.split_last_chunk::<4>().ok_or(WRONG)?;
    if crc32c::crc32c(marked) == u32::from_le_bytes(*checksum) { Ok(marked) } else { Err(WRONG) }
}

fn parse(group: GroupId, bytes: &[u8]) -> Result<Content, Damage> {
    let mut rest = checked(bytes.get(..MARK_BYTES).ok_or(WRONG)?)?;
    if take::<8>(&mut rest)? != *MAGIC {
        return Err(WRONG);
    }
    let version = u32::from_le_bytes(take(&mut rest)?);
    if VERSION < version {
        return Ok(Content::Newer(version));
    }
    if u32::from_le_bytes(take(&mut rest)?) != group.0 {
        return Err(WRONG);
    }
    let sequence = take_u64(&mut rest)?;
    let stage = match take(&mut rest)? {
        [0] => Stage::Creating,
        [1] => Stage::Live,
        _ => return Err(WRONG),
    };
    let hard_state = take_hard_state(&mut rest)?;
    let position = Position { term: Term(take_u64(&mut rest)?), index: LogIndex(take_u64(&mut rest)?) };
    let lost_tail = match version {
        VERSION => {
            let mut loss = checked(bytes)?.get(MARK_BYTES..).ok_or(WRONG)?;
            Some(LostTail { term: Term(take_u64(&mut loss)?), index: LogIndex(take_u64(&mut loss)?) })
        }
        _ => None,
    };
    Ok(Content::Mark(sequence, Mark { stage, hard_state, position, lost_tail }))
}

const NAME: &str = "watermark-";
const MAGIC: &[u8; 8] = b"brlogmrk";
/// The version of a mark that tells of a loss, the latest one.
const VERSION: u32 = 2;
const VERSION_WITHOUT_LOSS: u32 = 1;
const WRONG: Damage = Damage("not a mark of this group");
/// A mark without a loss is this long.
pub(crate) const MARK_BYTES: usize = 62;
/// What a loss adds to it: term, index, checksum.
const LOSS_BYTES: usize = 20;
/// Far enough apart that one torn page never takes both slots.
const SLOT_BYTES: u64 = 4_096;
/// A raise that waited for the device each time would double the syncs of every batch. After a power cut the position
/// may therefore lag this many batches; after the death of the process alone it never lags.
const RAISES_PER_SYNC: u32 = 32;
