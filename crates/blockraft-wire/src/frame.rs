//! The frame that every message travels in: prelude, postcard header, raw bodies.
//!
//! ```text
//!  0        2      3         4                8              12
//!  +--------+------+---------+----------------+--------------+----------------+-----------+
//!  | "bR"   | kind | version | header bytes   | body bytes   | header         | bodies    |
//!  | magic  | u8   | u8      | u32, LE        | u32, LE      | postcard       | raw       |
//!  +--------+------+---------+----------------+--------------+----------------+-----------+
//! ```
//!
//! The prelude tells a reader of a stream how much to read, and is checked against the kind's [`Limits`] before
//! anything is allocated. The bodies never pass through serde: encoding borrows them, decoding slices the frame.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::header::{HeaderReader, HeaderWriter};
use crate::kind::{Kind, Limits};

/// An encoded frame, its bodies still where the caller had them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Prelude and header.
    pub head: Bytes,
    /// The raw bodies, in order.
    pub bodies: Vec<Bytes>,
}

/// The first [`PRELUDE_BYTES`] of a frame, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prelude {
    kind: Kind,
    header_bytes: u32,
    body_bytes: u32,
}

/// Why a frame could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Header, bodies or both are larger than the kind allows.
    #[error("a {kind} frame with {header_bytes} header bytes and {body_bytes} body bytes is over its limit")]
    TooLarge {
        /// The kind of the frame.
        kind: Kind,
        /// How large the header is.
        header_bytes: u64,
        /// How large the bodies are together.
        body_bytes: u64,
    },
    /// More elements than the receiver would take.
    #[error("{found} {what} in one frame, at most {max} are allowed")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many are allowed.
        max: u64,
    },
    /// No reader would take it: decoded it is more than 4 times its size and 64 KiB.
    #[error("decoding {frame_bytes} bytes of a {kind} frame would take more than 4 times their memory and 64 KiB")]
    Memory {
        /// The kind of the frame.
        kind: Kind,
        /// How large the frame would be.
        frame_bytes: u64,
    },
    /// The bodies given are not those that the header describes.
    #[error("the bodies do not match the header of the {kind} frame")]
    Bodies {
        /// The kind of the frame.
        kind: Kind,
    },
    /// The value refused to be serialised.
    #[error("serialising the header of a {kind} frame")]
    Header {
        /// The kind of the frame.
        kind: Kind,
        /// What postcard said.
        #[source]
        source: postcard::Error,
    },
}

/// Why bytes are not the frame that was expected. The sender is at fault, or the network, or its version is another.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end too early.
    #[error("the frame needs {needed} bytes and has {found}")]
    Short {
        /// How many bytes were needed.
        needed: u64,
        /// How many there are.
        found: u64,
    },
    /// This is no frame of blockraft's.
    #[error("the frame starts with {found:02x?}, which is not blockraft's magic")]
    Magic {
        /// What stands where the magic should.
        found: [u8; 2],
    },
    /// A kind that this release does not know.
    #[error("unknown frame kind {found}")]
    UnknownKind {
        /// Its number.
        found: u8,
    },
    /// A known kind, at the wrong place.
    #[error("expected a {expected} frame and got a {found} frame")]
    WrongKind {
        /// What was expected.
        expected: Kind,
        /// What came.
        found: Kind,
    },
    /// A version that this release does not read.
    #[error("version {found} of {kind} frames is not supported, only version {supported} is")]
    Version {
        /// The kind of the frame.
        kind: Kind,
        /// The version it names.
        found: u8,
        /// The version that this release reads.
        supported: u8,
    },
    /// The prelude announces more than the kind allows.
    #[error("a {kind} frame with {header_bytes} header bytes and {body_bytes} body bytes is over its limit")]
    TooLarge {
        /// The kind of the frame.
        kind: Kind,
        /// The announced header.
        header_bytes: u32,
        /// The announced bodies.
        body_bytes: u32,
    },
    /// More bytes than the prelude announces.
    #[error("{bytes} bytes behind the end of the {kind} frame")]
    Trailing {
        /// The kind of the frame.
        kind: Kind,
        /// How many bytes too many.
        bytes: u64,
    },
    /// The header is not postcard of the expected type.
    #[error("reading the header of a {kind} frame")]
    Header {
        /// The kind of the frame.
        kind: Kind,
        /// What postcard said.
        #[source]
        source: postcard::Error,
    },
    /// The header goes on behind its value.
    #[error("{bytes} bytes behind the value in the header of a {kind} frame")]
    HeaderTrailing {
        /// The kind of the frame.
        kind: Kind,
        /// How many bytes too many.
        bytes: u64,
    },
    /// The lengths that the header names do not add up to the bodies that came.
    #[error("the bodies of the {kind} frame have other lengths than its header says")]
    Bodies {
        /// The kind of the frame.
        kind: Kind,
    },
    /// More elements than a frame may hold.
    #[error("{found} {what} in one frame, at most {max} are allowed")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many were announced.
        found: u64,
        /// How many are allowed.
        max: u64,
    },
    /// The decoded value would take far more memory than the frame did.
    #[error("decoding {frame_bytes} bytes of a {kind} frame would take more than 4 times their memory and 64 KiB")]
    Memory {
        /// The kind of the frame.
        kind: Kind,
        /// How large the frame is.
        frame_bytes: u64,
    },
}

impl Frame {
    /// The bytes of the whole frame.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        self.head.len() + self.bodies.iter().map(Bytes::len).sum::<usize>()
    }

    /// The frame in two parts, as [`decode_parts`] takes it: prelude and header, and all bodies. Copies unless there is at
    /// most one body.
    #[must_use]
    pub fn into_parts(self) -> (Bytes, Bytes) {
        let tail = match self.bodies.as_slice() {
            [] => Bytes::new(),
            [body] => body.clone(),
            bodies => bodies.concat().into(),
        };
        (self.head, tail)
    }

    /// The frame in one piece. Copies, unless there are no bodies.
    #[must_use]
    pub fn into_contiguous(self) -> Bytes {
        if self.bodies.iter().all(Bytes::is_empty) {
            return self.head;
        }
        let mut whole = Vec::with_capacity(self.frame_bytes());
        whole.extend_from_slice(&self.head);
        for body in &self.bodies {
            whole.extend_from_slice(body);
        }
        whole.into()
    }
}

impl Prelude {
    /// Reads and checks the first [`PRELUDE_BYTES`] of a frame, for readers of a stream.
    ///
    /// # Errors
    /// The bytes are not the beginning of a frame, or announce more than their kind allows.
    pub fn decode(bytes: [u8; PRELUDE_BYTES]) -> Result<Self, DecodeError> {
        let [m0, m1, kind, version, h0, h1, h2, h3, b0, b1, b2, b3] = bytes;
        if [m0, m1] != MAGIC {
            return Err(DecodeError::Magic { found: [m0, m1] });
        }
        let kind = Kind::of_number(kind).ok_or(DecodeError::UnknownKind { found: kind })?;
        if version != kind.version() {
            return Err(DecodeError::Version { kind, found: version, supported: kind.version() });
        }
        let header_bytes = u32::from_le_bytes([h0, h1, h2, h3]);
        let body_bytes = u32::from_le_bytes([b0, b1, b2, b3]);
        if !fits(kind.limits(), header_bytes.into(), body_bytes.into()) {
            return Err(DecodeError::TooLarge { kind, header_bytes, body_bytes });
        }
        Ok(Self { kind, header_bytes, body_bytes })
    }

    /// What the frame holds.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// How many bytes of header follow the prelude.
    #[must_use]
    pub const fn header_bytes(&self) -> u32 {
        self.header_bytes
    }

    /// How many bytes of bodies follow the header.
    #[must_use]
    pub const fn body_bytes(&self) -> u32 {
        self.body_bytes
    }

    /// The bytes of the whole frame.
    #[must_use]
    pub const fn frame_bytes(&self) -> u64 {
        PRELUDE_BYTES as u64 + self.header_bytes as u64 + self.body_bytes as u64
    }

    fn encode(self) -> [u8; PRELUDE_BYTES] {
        let [m0, m1] = MAGIC;
        let [h0, h1, h2, h3] = self.header_bytes.to_le_bytes();
        let [b0, b1, b2, b3] = self.body_bytes.to_le_bytes();
        [m0, m1, self.kind.number(), self.kind.version(), h0, h1, h2, h3, b0, b1, b2, b3]
    }
}

/// Writes a frame whose header is `value`. Serves any crate that has wire types of its own.
///
/// # Errors
/// The value can't be serialised, or the frame would be over the limits of its kind.
///
/// # Examples
/// ```
/// use blockraft_wire::{Kind, frame};
/// use bytes::Bytes;
///
/// let frame = frame::encode(Kind::Exchange, &(7u64, "a header"), vec![Bytes::from_static(b"a body")])?;
/// let (header, body) = frame::decode::<(u64, String)>(Kind::Exchange, frame.into_contiguous())?;
/// assert_eq!(header, (7, "a header".to_owned()));
/// assert_eq!(body, "a body");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn encode<T: Serialize + ?Sized>(kind: Kind, value: &T, bodies: Vec<Bytes>) -> Result<Frame, EncodeError> {
    let header = header_writer().put(value).map_err(|source| EncodeError::Header { kind, source })?;
    seal(kind, header, bodies)
}

/// Reads a frame that must be of `kind`: its header, and the raw rest as a slice of `frame`.
///
/// # Errors
/// The bytes are not exactly one frame of that kind, in the supported version, with a header of type `T`.
pub fn decode<T: DeserializeOwned>(kind: Kind, frame: Bytes) -> Result<(T, Bytes), DecodeError> {
    let opened = open(kind, frame)?;
    let mut reader = HeaderReader::new(&opened.header);
    let value = reader.take().map_err(|source| DecodeError::Header { kind, source })?;
    end_of_header(kind, &reader)?;
    Ok((value, opened.body))
}

/// Reads a frame that came in two parts, cut between header and bodies: `head` is prelude and header, `tail` all bodies.
/// Nothing is copied. What [`Frame`] keeps apart may stay apart on its way, over a transport that carries both.
///
/// # Errors
/// As [`decode`]; the cut must be exactly behind the header.
pub fn decode_parts<T: DeserializeOwned>(kind: Kind, head: Bytes, tail: Bytes) -> Result<(T, Bytes), DecodeError> {
    let opened = open_parts(kind, head, tail)?;
    let mut reader = HeaderReader::new(&opened.header);
    let value = reader.take().map_err(|source| DecodeError::Header { kind, source })?;
    end_of_header(kind, &reader)?;
    Ok((value, opened.body))
}

/// The kind that a frame claims to be, to choose the decoder by.
///
/// # Errors
/// The bytes don't begin like a frame.
pub fn kind(frame: &[u8]) -> Result<Kind, DecodeError> {
    let prelude = frame
        .first_chunk::<PRELUDE_BYTES>()
        .ok_or(DecodeError::Short { needed: PRELUDE_BYTES as u64, found: frame.len() as u64 })?;
    Prelude::decode(*prelude).map(|prelude| prelude.kind())
}

/// A frame taken apart, its header not yet read.
pub(crate) struct Opened {
    pub(crate) header: Bytes,
    pub(crate) body: Bytes,
}

pub(crate) fn open(expected: Kind, mut frame: Bytes) -> Result<Opened, DecodeError> {
    let prelude = prelude_of(expected, &frame, frame.len() as u64)?;
    let mut header = frame.split_off(PRELUDE_BYTES);
    let body = header.split_off(prelude.header_bytes as usize);
    Ok(Opened { header, body })
}

fn open_parts(expected: Kind, mut head: Bytes, tail: Bytes) -> Result<Opened, DecodeError> {
    let prelude = prelude_of(expected, &head, head.len() as u64 + tail.len() as u64)?;
    let header = head.split_off(PRELUDE_BYTES);
    if header.len() as u64 != u64::from(prelude.header_bytes) {
        return Err(DecodeError::Bodies { kind: expected });
    }
    Ok(Opened { header, body: tail })
}

/// The prelude of a frame of `frame_bytes` bytes that begins with `head`.
fn prelude_of(expected: Kind, head: &Bytes, frame_bytes: u64) -> Result<Prelude, DecodeError> {
    let Some(prelude) = head.first_chunk::<PRELUDE_BYTES>() else {
        return Err(DecodeError::Short { needed: PRELUDE_BYTES as u64, found: frame_bytes });
    };
    let prelude = Prelude::decode(*prelude)?;
    if prelude.kind != expected {
        return Err(DecodeError::WrongKind { expected, found: prelude.kind });
    }
    let needed = prelude.frame_bytes();
    if frame_bytes < needed {
        return Err(DecodeError::Short { needed, found: frame_bytes });
    }
    if needed < frame_bytes {
        return Err(DecodeError::Trailing { kind: expected, bytes: frame_bytes - needed });
    }
    Ok(prelude)
}

pub(crate) fn end_of_header(kind: Kind, reader: &HeaderReader<'_>) -> Result<(), DecodeError> {
    match reader.rest_bytes() {
        0 => Ok(()),
        bytes => Err(DecodeError::HeaderTrailing { kind, bytes: bytes as u64 }),
    }
}

/// A writer that leaves room for the prelude.
pub(crate) fn header_writer() -> HeaderWriter {
    HeaderWriter::behind(vec![0; PRELUDE_BYTES])
}

pub(crate) fn seal(kind: Kind, header: HeaderWriter, bodies: Vec<Bytes>) -> Result<Frame, EncodeError> {
    let mut head = header.into_bytes();
    let header_bytes = (head.len() - PRELUDE_BYTES) as u64;
    let body_bytes = bodies.iter().map(|body| body.len() as u64).sum::<u64>();
    if !fits(kind.limits(), header_bytes, body_bytes) {
        return Err(EncodeError::TooLarge { kind, header_bytes, body_bytes });
    }
    // Both fit in a u32: the limits are of that type.
    let prelude = Prelude { kind, header_bytes: header_bytes as u32, body_bytes: body_bytes as u32 };
    for (room, byte) in head.iter_mut().zip(prelude.encode()) {
        *room = byte;
    }
    Ok(Frame { head: head.into(), bodies })
}

/// Refuses to write more elements than a reader takes.
pub(crate) fn at_most(what: &'static str, found: usize, max: usize) -> Result<(), EncodeError> {
    if max < found {
        return Err(EncodeError::TooMany { what, found: found as u64, max: max as u64 });
    }
    Ok(())
}

fn fits(limits: Limits, header_bytes: u64, body_bytes: u64) -> bool {
    header_bytes <= limits.header_bytes_max.into()
        && body_bytes <= limits.body_bytes_max.into()
        && PRELUDE_BYTES as u64 + header_bytes + body_bytes <= limits.frame_bytes_max.into()
}

/// The bytes before a frame's header.
pub const PRELUDE_BYTES: usize = 12;

const MAGIC: [u8; 2] = *b"bR";
