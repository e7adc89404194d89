//! Keys on disk: readable by their owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a secret couldn't be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadSecretError {
    /// The file can't be read.
    #[error("reading {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others than the owner may read or write the file: it is no secret.
    #[error("{} is accessible by others (mode {mode:o}); make it 600", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

/// Writes a new file that only its owner can read (mode 0600), and syncs it and its directory.
///
/// # Errors
///
/// An existing file is never overwritten: that is [`io::ErrorKind::AlreadyExists`].
pub fn write_secret(path: &Path, secret: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(secret)?;
    file.sync_all()?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

/// Reads a file that [`write_secret`] wrote.
///
/// # Errors
///
/// [`ReadSecretError::Exposed`] when its permissions were opened since.
pub fn read_secret(path: &Path) -> Result<String, ReadSecretError> {
    let failed = |source| ReadSecretError::Io { path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(ReadSecretError::Exposed { path: path.to_owned(), mode });
    }
    fs::read_to_string(path).map_err(failed)
}

#[cfg(test)]
mod tests;
