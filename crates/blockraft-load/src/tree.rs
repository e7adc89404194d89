//! A real tree of files as blocks: what there is, in an order that a second walk finds again.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use blockraft_blocks::{Block, HashCode};

/// Files of a folder, sorted, up to a limit of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The files.
    pub files: Vec<PathBuf>,
    /// Their bytes together.
    pub bytes: u64,
}

impl Tree {
    /// Walks `folder`. Links are not followed; files that can't be read are left out.
    ///
    /// # Errors
    /// The folder itself can't be read.
    pub fn walk(folder: &Path, bytes_max: u64) -> Result<Self> {
        let mut tree = Self { files: Vec::new(), bytes: 0 };
        let entries = fs::read_dir(folder).with_context(|| format!("can't read {}", folder.display()))?;
        tree.add(entries.flatten().map(|entry| entry.path()).collect(), bytes_max);
        Ok(tree)
    }

    fn add(&mut self, mut paths: Vec<PathBuf>, bytes_max: u64) {
        paths.sort();
        for path in paths {
            let Ok(metadata) = path.symlink_metadata() else { continue };
            if metadata.is_dir() {
                let entries = fs::read_dir(&path).into_iter().flatten().flatten();
                self.add(entries.map(|entry| entry.path()).collect(), bytes_max);
            } else if metadata.is_file() && self.bytes + metadata.len() <= bytes_max && File::open(&path).is_ok() {
                self.bytes += metadata.len();
                self.files.push(path);
            }
        }
    }
}

/// The blocks of a file, each of at most [`BLOCK_BYTES`]; an empty file is one empty block.
///
/// # Errors
/// The file can't be read.
pub fn blocks(file: &Path) -> Result<Vec<Block>> {
    let cannot = || format!("can't read {}", file.display());
    let mut file = File::open(file).with_context(cannot)?;
    let mut blocks = Vec::new();
    loop {
        let mut bytes = Vec::new();
        Read::take(&mut file, BLOCK_BYTES).read_to_end(&mut bytes).with_context(cannot)?;
        if bytes.is_empty() && !blocks.is_empty() {
            return Ok(blocks);
        }
        let is_last = (bytes.len() as u64) < BLOCK_BYTES;
        blocks.push(Block::hash(HashCode::Sha2_256, bytes));
        if is_last {
            return Ok(blocks);
        }
    }
}

/// What IPFS tools cut files into by default.
const BLOCK_BYTES: u64 = 256 << 10;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{BLOCK_BYTES, Tree, blocks};

    #[test]
    fn a_walk_is_sorted_and_stops_at_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        for (name, bytes) in [("b/inner", 3), ("a", 5), ("c", 7)] {
            fs::write(folder.path().join(name), vec![0; bytes]).unwrap();
        }
        let tree = |bytes_max| Tree::walk(folder.path(), bytes_max).unwrap();
        let all: Vec<_> = ["a", "b/inner", "c"].map(|name| folder.path().join(name)).into();
        assert_eq!(tree(15), Tree { files: all.clone(), bytes: 15 });
        assert_eq!(tree(9).files, all[..2]);
    }

    #[test]
    fn a_files_blocks_hold_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        for bytes in [0, 1, BLOCK_BYTES as usize - 1, BLOCK_BYTES as usize, BLOCK_BYTES as usize + 1] {
            let path = folder.path().join("file");
            let content: Vec<u8> = (0..bytes).map(|at| at as u8).collect();
            fs::write(&path, &content).unwrap();
            let blocks = blocks(&path).unwrap();
            assert_eq!(blocks.len(), (bytes.div_ceil(BLOCK_BYTES as usize)).max(1), "{bytes}");
            assert_eq!(blocks.iter().flat_map(|block| block.bytes().to_vec()).collect::<Vec<u8>>(), content);
        }
    }
}
