//! What is to be put: files found, read, cut and hashed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use blockraft_blocks::limits::BLOCK_BYTES_MAX;
use blockraft_blocks::{Block, HashCode};
use thiserror::Error;

use crate::escaped::escaped;
use crate::exit::Failure;

/// Files to be put, in order.
#[derive(Debug)]
pub(super) struct Files {
    sources: Vec<Source>,
    /// Their lengths together, if standard input isn't among them.
    pub(super) bytes: Option<u64>,
}

#[derive(Debug)]
enum Source {
    File(PathBuf),
    Stdin,
}

/// A block, and which bytes of which file it holds.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) source: String,
    pub(super) offset: u64,
    pub(super) block: Block,
}

/// Why a file gave no block.
#[derive(Debug, Error)]
pub(super) enum PieceError {
    /// It can't be read.
    #[error("reading")]
    Io {
        /// The file.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// It is longer than any block.
    #[error("more than {BLOCK_BYTES_MAX} bytes, the most that any block may have; cut it with --chunk")]
    TooLong {
        /// The file.
        name: String,
    },
}

/// Finds the files; those below a folder in the order of their names. Symbolic links below a folder are not followed.
pub(super) fn find(paths: &[PathBuf], recursive: bool) -> Result<Files, Failure> {
    let mut sources = Vec::new();
    let mut bytes = Some(0);
    if paths.is_empty() {
        sources.push(Source::Stdin);
        bytes = None;
    }
    for path in paths {
        if path == Path::new("-") {
            sources.push(Source::Stdin);
            bytes = None;
            continue;
        }
        let failed = |error| Failure::failed(format_args!("putting {}", escaped(path.display())), &error);
        let metadata = fs::metadata(path).map_err(failed)?;
        if metadata.is_dir() && !recursive {
            let hint = "--recursive puts every file below it";
            let message = format!("putting {}: it is a folder", escaped(path.display()));
            return Err(Failure::usage(message).hint(hint));
        }
        let mut found = Vec::new();
        if metadata.is_dir() {
            walk(path, &mut found).map_err(failed)?;
        } else {
            found.push((path.clone(), metadata.len()));
        }
        for (path, length) in found {
            bytes = bytes.map(|bytes| bytes + length);
            sources.push(Source::File(path));
        }
    }
    Ok(Files { sources, bytes })
}

fn walk(folder: &Path, found: &mut Vec<(PathBuf, u64)>) -> io::Result<()> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let mut entries = fs::read_dir(&folder)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        let mut below = Vec::new();
        for entry in entries {
            let kind = entry.file_type()?;
            if kind.is_dir() {
                below.push(entry.path());
            } else if kind.is_file() {
                found.push((entry.path(), entry.metadata()?.len()));
            }
        }
        folders.extend(below.into_iter().rev());
    }
    Ok(())
}

/// Nobody wants further pieces.
pub(super) struct Unwanted;

/// Reads and cuts all files, and hands each piece to `take` until it doesn't want more.
pub(super) fn read(
    files: Files,
    chunk: Option<u64>,
    hash: HashCode,
    mut take: impl FnMut(Result<Piece, PieceError>) -> Result<(), Unwanted>,
) -> Result<(), Unwanted> {
    files.sources.iter().try_for_each(|source| read_source(source, chunk, hash, &mut take))
}

fn read_source(
    source: &Source,
    chunk: Option<u64>,
    hash: HashCode,
    take: &mut impl FnMut(Result<Piece, PieceError>) -> Result<(), Unwanted>,
) -> Result<(), Unwanted> {
    let name = match source {
        Source::File(path) => path.display().to_string(),
        Source::Stdin => "-".to_owned(),
    };
    let opened: io::Result<Box<dyn Read>> = match source {
        Source::File(path) => File::open(path).map(|file| Box::new(file) as _),
        Source::Stdin => Ok(Box::new(io::stdin().lock())),
    };
    let mut reader = match opened {
        Ok(reader) => reader,
        Err(source) => return take(Err(PieceError::Io { name, source })),
    };
    let piece_bytes = chunk.unwrap_or(u64::MAX).min(u64::from(BLOCK_BYTES_MAX));
    let mut offset = 0;
    loop {
        let mut bytes = Vec::new();
        if let Err(source) = reader.by_ref().take(piece_bytes).read_to_end(&mut bytes) {
            return take(Err(PieceError::Io { name, source }));
        }
        let length = bytes.len() as u64;
        // An empty file is one empty block; the end of any other is no further block.
        if length == 0 && 0 < offset {
            return Ok(());
        }
        if chunk.is_none() && length == piece_bytes && !is_at_end(&mut reader) {
            return take(Err(PieceError::TooLong { name }));
        }
        take(Ok(Piece { source: name.clone(), offset, block: Block::hash(hash, bytes) }))?;
        if length < piece_bytes {
            return Ok(());
        }
        offset += length;
    }
}

fn is_at_end(reader: &mut dyn Read) -> bool {
    // An error here will be met again by whoever reads on; nobody does, and the file was too long or complete.
    !matches!(reader.read(&mut [0]), Ok(1))
}

impl PieceError {
    /// The file.
    pub(super) fn source_name(&self) -> &str {
        match self {
            Self::Io { name, .. } | Self::TooLong { name } => name,
        }
    }
}

#[cfg(test)]
mod tests;
