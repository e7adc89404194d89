//! Identities: who a process is, which cluster and group it belongs to, and which of its lives this is.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A member of a cluster, for ever: ids are never reused, not even after a removal.
///
/// Zero is not a node; constructors that read configuration refuse it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u64);

/// One Raft group inside a cluster. All groups of a node share one log store and one transport.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupId(pub u32);

/// A cluster: 16 random bytes drawn once by `init`, so that two clusters never mistake each other's nodes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterId([u8; 16]);

/// One formatted data directory: 16 random bytes drawn when it was made.
///
/// A node whose directory was wiped comes back with another incarnation and is therefore a stranger: it can't vote
/// with the memory it lost.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation([u8; 16]);

/// One start of a process, drawn at random at boot. Tells apart answers to this life's questions from the last one's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BootNonce(pub u64);

/// A question that crossed a node boundary and whose answer must find its asker, and only this asker.
///
/// A counter alone isn't enough: a late answer to ticket 5 of the last boot would confirm ticket 5 of this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RemoteTicket {
    /// Which data directory asked.
    pub incarnation: Incarnation,
    /// Which start of that node asked.
    pub boot: BootNonce,
    /// Which question of that start it is.
    pub counter: u64,
}

/// Text that isn't 32 hexadecimal digits where a [`ClusterId`] or an [`Incarnation`] was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected 32 hexadecimal digits")]
pub struct ParseIdError;

macro_rules! number_id {
    ($name:ident, $prefix:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

number_id!(NodeId, "n");
number_id!(GroupId, "g");
number_id!(BootNonce, "boot");

macro_rules! random_id {
    ($name:ident) => {
        impl $name {
            /// Takes 16 bytes, which the caller drew from the operating system's random source.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let digits = text.as_bytes();
                if digits.len() != 32 {
                    return Err(ParseIdError);
                }
                let mut bytes = [0; 16];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    *byte = pair.iter().try_fold(0, |high, &digit| Ok(high << 4 | nibble(digit)?))?;
                }
                Ok(Self(bytes))
            }
        }
    };
}

random_id!(ClusterId);
random_id!(Incarnation);

fn nibble(digit: u8) -> Result<u8, ParseIdError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(ParseIdError),
    }
}
