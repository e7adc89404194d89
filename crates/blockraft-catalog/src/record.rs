//! The bytes of a record: a version, then the value, then nothing.

use blockraft_blocks::multihash::ParseMultihashError;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::table::ReadError;

/// A value of the table that is not what the catalog writes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeRecordError {
    /// There is not even a version.
    #[error("the record is empty of bytes")]
    Empty,
    /// A version that this release does not read.
    #[error("version {found} of the catalog's records is not supported, only version {supported} is")]
    Version {
        /// The version that it names.
        found: u8,
        /// The version that this release reads.
        supported: u8,
    },
    /// The record can't be read.
    #[error("reading a record of the catalog")]
    Malformed {
        /// What postcard said.
        #[source]
        source: postcard::Error,
    },
    /// The record goes on behind its value.
    #[error("{bytes} bytes behind a record of the catalog")]
    Trailing {
        /// How many bytes too many.
        bytes: usize,
    },
    /// The key of a row does not end in a multihash.
    #[error("a row's key names no multihash")]
    Key {
        /// What is wrong with it.
        #[source]
        source: ParseMultihashError,
    },
    /// What is known of a block's links and pins contradicts itself.
    #[error("a record of links or pins contradicts itself")]
    Bond,
    /// There are more imports than a catalog keeps, or one doesn't stand under an import's name.
    #[error("a record of an import contradicts itself")]
    Import,
    /// What is known of a session contradicts itself, or doesn't stand under a session's name.
    #[error("a record of a session contradicts itself")]
    Session,
}

/// Why something couldn't be read from a table.
#[derive(Debug)]
pub(crate) enum LoadError {
    Table(ReadError),
    Record(DecodeRecordError),
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    encode_as(RECORD_VERSION, value)
}

pub(crate) fn encode_as<T: Serialize>(version: u8, value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![version]).expect("a record has no value that postcard refuses")
}

pub(crate) fn decode<'de, T: Deserialize<'de>>(record: &'de [u8]) -> Result<T, DecodeRecordError> {
    decode_as(RECORD_VERSION, record)
}

pub(crate) fn decode_as<'de, T: Deserialize<'de>>(supported: u8, record: &'de [u8]) -> Result<T, DecodeRecordError> {
    let (&version, rest) = record.split_first().ok_or(DecodeRecordError::Empty)?;
    if version != supported {
        return Err(DecodeRecordError::Version { found: version, supported });
    }
    let (value, rest) = postcard::take_from_bytes(rest).map_err(|source| DecodeRecordError::Malformed { source })?;
    match rest.len() {
        0 => Ok(value),
        bytes => Err(DecodeRecordError::Trailing { bytes }),
    }
}

const RECORD_VERSION: u8 = 1;
