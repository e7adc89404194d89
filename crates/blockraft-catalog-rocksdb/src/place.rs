//! The directory that a table lives in: formatting it, and refusing others.

use std::io;
use std::path::{Path, PathBuf};

use rocksdb::{DB, ErrorKind, IteratorMode, WriteBatch};
use thiserror::Error;

use crate::options::{RocksTableOptions, rocksdb_options, without_wal};

/// Why a place could not be formatted. No pair that was there before was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CreateError {
    /// A table is there already.
    #[error("{path} holds a catalog's table already")]
    Exists {
        /// The place.
        path: PathBuf,
    },
    /// A database that is not a catalog's is there.
    #[error("{path} holds a database that is not a catalog's")]
    Foreign {
        /// The place.
        path: PathBuf,
    },
    /// Another process has the place open, or this one has.
    #[error("{path} is in use")]
    Locked {
        /// The place.
        path: PathBuf,
    },
    /// RocksDB failed.
    #[error("creating a catalog's table at {path}")]
    Failed {
        /// The place.
        path: PathBuf,
        /// What it said.
        #[source]
        source: rocksdb::Error,
    },
}

/// Why a table could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no database.
    #[error("{path} holds no catalog's table")]
    Missing {
        /// The place.
        path: PathBuf,
    },
    /// The place could not be looked at.
    #[error("looking for a catalog's table at {path}")]
    Unreachable {
        /// The place.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is a database, and it is not a catalog's, or was never formatted to the end.
    #[error("{path} holds a database that is not a catalog's")]
    Foreign {
        /// The place.
        path: PathBuf,
    },
    /// The table was written by another release, which this one can't read.
    #[error("{path} holds a catalog's table of version {found}, only version {supported} is supported")]
    Version {
        /// The place.
        path: PathBuf,
        /// The version found.
        found: u32,
        /// The version that this release reads.
        supported: u32,
    },
    /// Another process has the place open, or this one has.
    #[error("{path} is in use")]
    Locked {
        /// The place.
        path: PathBuf,
    },
    /// RocksDB found damage.
    #[error("the catalog's table at {path} is damaged")]
    Damaged {
        /// The place.
        path: PathBuf,
        /// What it found.
        #[source]
        source: rocksdb::Error,
    },
    /// RocksDB failed in another way.
    #[error("opening the catalog's table at {path}")]
    Failed {
        /// The place.
        path: PathBuf,
        /// What it said.
        #[source]
        source: rocksdb::Error,
    },
}

pub(crate) fn create(path: &Path, options: &RocksTableOptions) -> Result<DB, CreateError> {
    let failed = |source: rocksdb::Error| match trouble(&source) {
        Trouble::Locked => CreateError::Locked { path: path.into() },
        Trouble::Damage | Trouble::Other => CreateError::Failed { path: path.into(), source },
    };
    let mut rocksdb = rocksdb_options(options).map_err(failed)?;
    rocksdb.create_if_missing(true);
    let database = DB::open(&rocksdb, path).map_err(failed)?;
    if database.get_pinned(VERSION_KEY).map_err(failed)?.is_some() {
        return Err(CreateError::Exists { path: path.into() });
    }
    // Without a version and empty: a format that a crash cut short. It is finished here.
    if let Some(first) = database.iterator(IteratorMode::Start).next() {
        first.map_err(failed)?;
        return Err(CreateError::Foreign { path: path.into() });
    }
    let mut batch = WriteBatch::default();
    batch.put(VERSION_KEY, version_record(VERSION));
    database.write_opt(batch, &without_wal()).map_err(failed)?;
    database.flush().map_err(failed)?;
    Ok(database)
}

pub(crate) fn open(path: &Path, options: &RocksTableOptions) -> Result<DB, OpenError> {
    let exists = path.join("CURRENT").try_exists();
    if !exists.map_err(|source| OpenError::Unreachable { path: path.into(), source })? {
        return Err(OpenError::Missing { path: path.into() });
    }
    let failed = |source: rocksdb::Error| match trouble(&source) {
        Trouble::Locked => OpenError::Locked { path: path.into() },
        Trouble::Damage => OpenError::Damaged { path: path.into(), source },
        Trouble::Other => OpenError::Failed { path: path.into(), source },
    };
    let rocksdb = rocksdb_options(options).map_err(failed)?;
    let database = DB::open(&rocksdb, path).map_err(failed)?;
    let record = database.get(VERSION_KEY).map_err(failed)?;
    match record.as_deref().and_then(version_of) {
        Some(VERSION) => Ok(database),
        Some(found) => Err(OpenError::Version { path: path.into(), found, supported: VERSION }),
        None => Err(OpenError::Foreign { path: path.into() }),
    }
}

enum Trouble {
    Locked,
    Damage,
    Other,
}

fn trouble(error: &rocksdb::Error) -> Trouble {
    match error.kind() {
        // RocksDB has no kind for it: "While lock file: …" from another process, "lock hold by current process" here.
        ErrorKind::IOError if error.as_ref().to_lowercase().contains("lock") => Trouble::Locked,
        ErrorKind::Corruption => Trouble::Damage,
        _ => Trouble::Other,
    }
}

fn version_record(version: u32) -> Vec<u8> {
    [VERSION_MAGIC, &version.to_le_bytes()].concat()
}

fn version_of(record: &[u8]) -> Option<u32> {
    let version = record.strip_prefix(VERSION_MAGIC)?;
    Some(u32::from_le_bytes(version.try_into().ok()?))
}

/// Stands before all keys of the table: those begin with [`KEY_PREFIX`].
const VERSION_KEY: &[u8] = b"\x00version";

const VERSION_MAGIC: &[u8] = b"blockraft catalog table ";

const VERSION: u32 = 1;

/// The first byte of every key of the table.
pub(crate) const KEY_PREFIX: u8 = 1;
