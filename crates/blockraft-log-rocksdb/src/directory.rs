//! The directory around the database: its version record, its lock, and where everything in it stands.
//!
//! ```text
//! FORMAT              magic, version, checksum; written last when the directory is made
//! LOCK                held by the process that has the log open
//! watermark-00000000  the witness of group 0
//! db/                 RocksDB
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use blockraft_types::GroupId;

use crate::watermark;

/// A log directory that this process has locked. The lock ends with the value.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    lock: File,
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Closing the file isn't enough: a child process that is just being started holds a copy of it, and the lock
        // with it, until it runs its own program. A failure leaves what closing does.
        let _ = self.lock.unlock();
    }
}

/// What stands where the version record should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// The version that this program writes.
    Ours,
    /// A later one.
    Newer(u32),
    /// Not a version record of a log.
    Foreign,
    /// No file.
    Missing,
}

/// Why a directory couldn't be locked.
#[derive(Debug)]
pub(crate) enum LockError {
    Held,
    Io(io::Error),
}

impl Directory {
    /// Takes the lock of an existing directory, without waiting for it.
    pub(crate) fn lock(path: &Path) -> Result<Self, LockError> {
        let options = OpenOptions::new().write(true).create(true).truncate(false).clone();
        let lock = options.open(path.join("LOCK")).map_err(LockError::Io)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_path_buf(), lock }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held),
            Err(TryLockError::Error(error)) => Err(LockError::Io(error)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path.join("db")
    }

    /// The groups that have a witness here.
    pub(crate) fn witnesses(&self) -> io::Result<Vec<GroupId>> {
        let mut groups = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            groups.extend(entry?.file_name().to_str().and_then(watermark::group_of));
        }
        groups.sort_unstable();
        Ok(groups)
    }

    /// Writes the version record, durable with everything that stands in the directory by then.
    pub(crate) fn write_format(&self) -> io::Result<()> {
        let mut bytes = Vec::from(*MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        let unfinished = self.path.join("FORMAT.new");
        let mut file = File::create(&unfinished)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(unfinished, format_path(&self.path))?;
        self.sync()
    }

    /// Makes the names in the directory durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// Reads the version record of the directory at `path`.
pub(crate) fn read_format(path: &Path) -> io::Result<Format> {
    let bytes = match fs::read(format_path(path)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Format::Missing),
        Err(error) => return Err(error),
    };
    let Some((record, checksum)) = bytes.split_last_chunk::<4>() else { return Ok(Format::Foreign) };
    let whole = crc32c::crc32c(record) == u32::from_le_bytes(*checksum);
    Ok(match record.strip_prefix(MAGIC).and_then(|version| version.first_chunk::<4>()) {
        Some(version) if whole => match u32::from_le_bytes(*version) {
            VERSION => Format::Ours,
            newer => Format::Newer(newer),
        },
        _ => Format::Foreign,
    })
}

fn format_path(path: &Path) -> PathBuf {
    path.join("FORMAT")
}

const MAGIC: &[u8; 8] = b"brlogdir";
/// The version that this program reads and writes.
pub(crate) const VERSION: u32 = 1;

#[cfg(test)]
mod tests;
