//! A batch of commands as the body of a log entry.
//!
//! ```text
//!  +---------+----------+----------------------+---------------+
//!  | version | commands | commands             | inline bodies |
//!  | u8      | varint   | postcard, one by one | raw           |
//!  +---------+----------+----------------------+---------------+
//! ```
//!
//! In version 2 a command of a session has its turn in front of it, and sessions can be opened. Version 3 has imports, links,
//! pins and what collects. A batch is written in the oldest version that has all of its commands.
//!
//! Two kinds of bounds: [`BatchLimits`] bind whoever makes a batch and can be configured; the constants here are the
//! format's and bind the reader. A member with smaller limits must still apply what the cluster committed.

use blockraft_blocks::Multihash;
use blockraft_blocks::limits::BLOCK_BYTES_MAX;
use blockraft_types::{ImportId, LogIndex, Turn};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::command::{Command, Request};
use crate::links::{Links, LinksError};
use crate::pin::PinMode;
use crate::vertex::Vertex;

/// What a maker of batches allows itself. Values above the format's count as the format's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// The most commands in a batch.
    pub commands_max: usize,
    /// The most bytes of a block that rides in the log.
    pub inline_bytes_max: usize,
    /// The most bytes of an encoded batch. A batch of one command may always be made.
    pub batch_bytes_max: usize,
}

/// Collects commands for one entry.
///
/// # Examples
/// ```
/// use blockraft_blocks::{HashCode, Multihash};
/// use blockraft_catalog::batch::{self, BatchBuilder, BatchLimits};
/// use blockraft_catalog::Command;
///
/// let mut builder = BatchBuilder::new(BatchLimits::default());
/// let delete = Command::Delete { multihash: Multihash::of(HashCode::Blake3, b"a block") };
/// builder.push(delete.clone())?;
/// assert_eq!(batch::decode(&builder.finish())?, [delete.into()]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    limits: BatchLimits,
    version: u8,
    commands: usize,
    walks: usize,
    /// What stands in front of the bodies, in the first version and in the others.
    heads: Vec<u8>,
    turns_and_heads: Vec<u8>,
    bodies: Vec<Bytes>,
    body_bytes: usize,
}

/// Why a command could not join a batch.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PushError {
    /// Finish this batch and begin another one with this command.
    #[error("the batch is full")]
    Full,
    /// The block is too long to ride in the log: make it durable beside it.
    #[error("a block of {bytes} bytes is too long for the log, which takes at most {bytes_max}")]
    InlineTooLong {
        /// The length of the block.
        bytes: usize,
        /// The longest that the log takes.
        bytes_max: usize,
    },
    /// No block may be so long.
    #[error("a block of {length} bytes is over the format's limit of {BLOCK_BYTES_MAX}")]
    BlockTooLong {
        /// The length that the command names.
        length: u32,
    },
    /// The command names another length than its bytes have.
    #[error("the put names a length of {length} bytes and carries {inline_bytes}")]
    LengthMismatch {
        /// The length that the command names.
        length: u32,
        /// The length of the bytes that it carries.
        inline_bytes: usize,
    },
}

/// Why bytes are no batch of commands.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeBatchError {
    /// There is not even a version.
    #[error("the batch is empty of bytes")]
    Empty,
    /// A version that this release does not read.
    #[error("version {found} of batches is not supported, only versions up to {supported} are")]
    Version {
        /// The version that it names.
        found: u8,
        /// The newest version that this release reads.
        supported: u8,
    },
    /// More bytes than a batch may have.
    #[error("a batch of {bytes} bytes is over the format's limit of {BATCH_BYTES_MAX}")]
    TooLong {
        /// How many there are.
        bytes: usize,
    },
    /// The number of commands can't be read.
    #[error("reading the number of commands")]
    Count {
        /// What postcard said.
        #[source]
        source: postcard::Error,
    },
    /// More commands than a batch may have.
    #[error("{found} commands in one batch, at most {COMMANDS_MAX} are allowed")]
    TooMany {
        /// How many it announces.
        found: u32,
    },
    /// A command can't be read.
    #[error("reading command {number} of the batch")]
    Command {
        /// Which one, counted from 0.
        number: u32,
        /// What postcard said.
        #[source]
        source: postcard::Error,
    },
    /// A command that the batch's version doesn't have.
    #[error("command {number} of the batch is of a newer version than the batch")]
    Newer {
        /// Which one, counted from 0.
        number: u32,
    },
    /// More walks through what blocks lead to than a batch may have.
    #[error("more than {WALKS_MAX} recursive pins are set or taken away in one batch")]
    TooManyWalks,
    /// A block links to more than is recorded.
    #[error("command {number} of the batch has links that can't be recorded")]
    Links {
        /// Which one, counted from 0.
        number: u32,
        /// What is wrong with them.
        #[source]
        source: LinksError,
    },
    /// A put names a length that no block has, or that no inlined block may have.
    #[error("command {number} of the batch names a block of {length} bytes")]
    Length {
        /// Which one, counted from 0.
        number: u32,
        /// The length that it names.
        length: u32,
    },
    /// The bytes end before the last inlined block does, or go on behind it.
    #[error("the commands name {named} bytes of inlined blocks and the batch holds {found}")]
    Bodies {
        /// How many the commands name together.
        named: u64,
        /// How many there are.
        found: u64,
    },
}

impl Default for BatchLimits {
    /// 4,096 commands, 1 MiB, and blocks of at most 4 KiB inline.
    fn default() -> Self {
        Self { commands_max: COMMANDS_MAX, inline_bytes_max: 4 * KIB, batch_bytes_max: 1024 * KIB }
    }
}

impl BatchBuilder {
    /// An empty batch.
    #[must_use]
    pub const fn new(limits: BatchLimits) -> Self {
        Self {
            limits,
            version: BATCH_VERSION,
            commands: 0,
            walks: 0,
            heads: Vec::new(),
            turns_and_heads: Vec::new(),
            bodies: Vec::new(),
            body_bytes: 0,
        }
    }

    /// Takes one command. After an error the batch is as it was.
    ///
    /// # Errors
    /// [`PushError::Full`] asks for another batch; the other errors are final for this command.
    pub fn push(&mut self, request: impl Into<Request>) -> Result<(), PushError> {
        let Request { turn, command } = request.into();
        let (command, body) = WireCommand::split(command, self.limits.inline_bytes_max.min(INLINE_BYTES_MAX))?;
        let head = postcard::to_allocvec(&command).expect("a command has no value that postcard refuses");
        let turn_bytes = postcard::to_allocvec(&turn).expect("a turn has no value that postcard refuses");
        let grown = self.encoded_bytes() + turn_bytes.len() + head.len() + body.len();
        let walks = self.walks + usize::from(command.walks());
        let fits = self.commands < self.limits.commands_max.min(COMMANDS_MAX)
            && walks <= WALKS_MAX
            && grown <= self.limits.batch_bytes_max.min(BATCH_BYTES_MAX);
        if !fits && 0 < self.commands {
            return Err(PushError::Full);
        }
        self.version = self.version.max(command.version(turn.as_ref()));
        self.commands += 1;
        self.walks = walks;
        self.heads.extend_from_slice(&head);
        self.turns_and_heads.extend_from_slice(&turn_bytes);
        self.turns_and_heads.extend_from_slice(&head);
        self.body_bytes += body.len();
        if !body.is_empty() {
            self.bodies.push(body);
        }
        Ok(())
    }

    /// How many commands it holds.
    #[must_use]
    pub const fn commands(&self) -> usize {
        self.commands
    }

    /// How many bytes the batch takes at most.
    #[must_use]
    pub const fn encoded_bytes(&self) -> usize {
        1 + COUNT_BYTES_MAX + self.turns_and_heads.len() + self.body_bytes
    }

    /// The batch as the body of an entry.
    #[must_use]
    pub fn finish(self) -> Bytes {
        let count = self.commands as u32; // at most COMMANDS_MAX
        let count = postcard::to_allocvec(&count).expect("postcard writes any number");
        let mut bytes = Vec::with_capacity(self.encoded_bytes());
        bytes.push(self.version);
        bytes.extend_from_slice(&count);
        bytes.extend_from_slice(if self.version == BATCH_VERSION { &self.heads } else { &self.turns_and_heads });
        for body in &self.bodies {
            bytes.extend_from_slice(body);
        }
        bytes.into()
    }
}

/// Writes one batch. Prefer a [`BatchBuilder`] where commands come one by one.
///
/// # Errors
/// [`PushError`] of the first command that did not fit.
pub fn encode<R: Into<Request>>(
    requests: impl IntoIterator<Item = R>,
    limits: BatchLimits,
) -> Result<Bytes, PushError> {
    let mut builder = BatchBuilder::new(limits);
    requests.into_iter().try_for_each(|request| builder.push(request))?;
    Ok(builder.finish())
}

/// Reads the body of an entry. Inlined blocks are slices of it. Allocates at most four times the body's bytes and
/// 4 MiB. Whether an inlined block hashes to its name was checked where it came in, and is by the gate of each member.
///
/// # Errors
/// The bytes are not exactly one batch of a supported version.
pub fn decode(body: &Bytes) -> Result<Vec<Request>, DecodeBatchError> {
    let (&version, _) = body.split_first().ok_or(DecodeBatchError::Empty)?;
    if !(BATCH_VERSION..=GRAPHS_VERSION).contains(&version) {
        return Err(DecodeBatchError::Version { found: version, supported: GRAPHS_VERSION });
    }
    if BATCH_BYTES_MAX < body.len() {
        return Err(DecodeBatchError::TooLong { bytes: body.len() });
    }
    let behind_version = body.slice(1..);
    let (count, mut rest) =
        postcard::take_from_bytes::<u32>(&behind_version).map_err(|source| DecodeBatchError::Count { source })?;
    if COMMANDS_MAX < count as usize {
        return Err(DecodeBatchError::TooMany { found: count });
    }
    let mut heads = Vec::new();
    let (mut named, mut walks) = (0_u64, 0);
    for number in 0..count {
        let taken = match version {
            BATCH_VERSION => postcard::take_from_bytes(rest).map(|(command, behind)| ((None, command), behind)),
            _ => postcard::take_from_bytes::<Head>(rest),
        };
        let ((turn, command), behind) = taken.map_err(|source| DecodeBatchError::Command { number, source })?;
        if version < command.version(turn.as_ref()) {
            return Err(DecodeBatchError::Newer { number });
        }
        command.check(number)?;
        named += u64::from(command.inline_bytes());
        walks += usize::from(command.walks());
        if WALKS_MAX < walks {
            return Err(DecodeBatchError::TooManyWalks);
        }
        heads.push((turn, command));
        rest = behind;
    }
    if named != rest.len() as u64 {
        return Err(DecodeBatchError::Bodies { named, found: rest.len() as u64 });
    }
    let mut bodies = body.slice_ref(rest);
    let request = |(number, (turn, head)): (u32, Head)| {
        let command = head.join(&mut bodies).map_err(|source| DecodeBatchError::Links { number, source })?;
        Ok(Request { turn, command })
    };
    (0..).zip(heads).map(request).collect()
}

/// A command as it stands in front of the inlined bodies.
///
/// The order of the variants is the format's: it changes only with the version.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum WireCommand {
    Noop,
    Put { multihash: Multihash, length: u32 },
    PutInline { multihash: Multihash, length: u32 },
    Delete { multihash: Multihash },
    OpenSession,
    OpenImport,
    KeepImport { import: ImportId },
    EndImport { import: ImportId },
    ExpireImport { import: ImportId, last_kept: LogIndex },
    Link { parent: Vertex, links: Vec<Vertex> },
    Pin { root: Vertex, mode: PinMode },
    Unpin { root: Vertex, mode: PinMode },
    Collect { multihash: Multihash },
}

/// What stands of each command in front of the inlined bodies: in the first version, the second half alone.
type Head = (Option<Turn>, WireCommand);

impl WireCommand {
    fn split(command: Command, inline_bytes_max: usize) -> Result<(Self, Bytes), PushError> {
        let head = match command {
            Command::Put { length, .. } if BLOCK_BYTES_MAX < length => return Err(PushError::BlockTooLong { length }),
            Command::Put { multihash, length, inline: None } => Self::Put { multihash, length },
            Command::Put { multihash, length, inline: Some(inline) } => {
                let inline_bytes = inline.len();
                if inline_bytes != length as usize {
                    return Err(PushError::LengthMismatch { length, inline_bytes });
                }
                if inline_bytes_max < inline_bytes {
                    return Err(PushError::InlineTooLong { bytes: inline_bytes, bytes_max: inline_bytes_max });
                }
                return Ok((Self::PutInline { multihash, length }, inline));
            }
            Command::Delete { multihash } => Self::Delete { multihash },
            Command::Noop => Self::Noop,
            Command::OpenSession => Self::OpenSession,
            Command::OpenImport => Self::OpenImport,
            Command::KeepImport { import } => Self::KeepImport { import },
            Command::EndImport { import } => Self::EndImport { import },
            Command::ExpireImport { import, last_kept } => Self::ExpireImport { import, last_kept },
            Command::Link { parent, links } => Self::Link { parent, links: links.as_slice().to_vec() },
            Command::Pin { root, mode } => Self::Pin { root, mode },
            Command::Unpin { root, mode } => Self::Unpin { root, mode },
            Command::Collect { multihash } => Self::Collect { multihash },
        };
        Ok((head, Bytes::new()))
    }

    /// The oldest version that has it.
    const fn version(&self, turn: Option<&Turn>) -> u8 {
        match self {
            Self::OpenSession => SESSIONS_VERSION,
            Self::Put { .. } | Self::PutInline { .. } | Self::Delete { .. } | Self::Noop if turn.is_some() => {
                SESSIONS_VERSION
            }
            Self::Put { .. } | Self::PutInline { .. } | Self::Delete { .. } | Self::Noop => BATCH_VERSION,
            Self::OpenImport
            | Self::KeepImport { .. }
            | Self::EndImport { .. }
            | Self::ExpireImport { .. }
            | Self::Link { .. }
            | Self::Pin { .. }
            | Self::Unpin { .. }
            | Self::Collect { .. } => GRAPHS_VERSION,
        }
    }

    /// Whether applying it walks through all that a block leads to.
    const fn walks(&self) -> bool {
        matches!(self, Self::Pin { mode: PinMode::Recursive, .. } | Self::Unpin { mode: PinMode::Recursive, .. })
    }

    fn check(&self, number: u32) -> Result<(), DecodeBatchError> {
        match *self {
            Self::Put { length, .. } if BLOCK_BYTES_MAX < length => Err(DecodeBatchError::Length { number, length }),
            Self::PutInline { length, .. } if INLINE_BYTES_MAX < length as usize => {
                Err(DecodeBatchError::Length { number, length })
            }
            _ => Ok(()),
        }
    }

    const fn inline_bytes(&self) -> u32 {
        if let Self::PutInline { length, .. } = self { *length } else { 0 }
    }

    fn join(self, bodies: &mut Bytes) -> Result<Command, LinksError> {
        Ok(match self {
            Self::Put { multihash, length } => Command::Put { multihash, length, inline: None },
            Self::PutInline { multihash, length } => {
                // The lengths of all inlined blocks were found to add up to the bytes there are.
                let inline = bodies.split_to(length as usize);
                Command::Put { multihash, length, inline: Some(inline) }
            }
            Self::Delete { multihash } => Command::Delete { multihash },
            Self::Noop => Command::Noop,
            Self::OpenSession => Command::OpenSession,
            Self::OpenImport => Command::OpenImport,
            Self::KeepImport { import } => Command::KeepImport { import },
            Self::EndImport { import } => Command::EndImport { import },
            Self::ExpireImport { import, last_kept } => Command::ExpireImport { import, last_kept },
            Self::Link { parent, links } => Command::Link { parent, links: Links::new(links)? },
            Self::Pin { root, mode } => Command::Pin { root, mode },
            Self::Unpin { root, mode } => Command::Unpin { root, mode },
            Self::Collect { multihash } => Command::Collect { multihash },
        })
    }
}

/// The most commands that the format allows in a batch.
pub const COMMANDS_MAX: usize = 4_096;

/// The most recursive pins that the format lets a batch set or take away: each may walk far.
pub const WALKS_MAX: usize = 16;

/// The longest inlined block that the format allows, in bytes.
pub const INLINE_BYTES_MAX: usize = 64 * KIB;

/// The most bytes that the format allows for a batch: what a control frame has room for.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * KIB;

/// A batch without sessions.
const BATCH_VERSION: u8 = 1;
/// A batch in which each command may have a turn.
const SESSIONS_VERSION: u8 = 2;
/// A batch with imports, links, pins, or what collects.
const GRAPHS_VERSION: u8 = 3;

/// A count of at most [`COMMANDS_MAX`] as a varint.
const COUNT_BYTES_MAX: usize = 2;

const KIB: usize = 1024;
