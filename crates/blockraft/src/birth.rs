//! `cluster.toml`: what `init` keeps beside the authority's key, so that nodes can be invited later.

use std::path::{Path, PathBuf};
use std::{fs, io};

use blockraft_types::ClusterId;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::data_dir::{MemberEntry, hex};

/// A cluster as it was born.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Birth {
    /// The version of the file's format.
    pub format: u32,
    /// The cluster, in hexadecimal digits.
    #[serde(with = "hex")]
    pub cluster: ClusterId,
    /// The members that it was born with.
    #[serde(rename = "member")]
    pub members: Vec<MemberEntry>,
}

/// Why `cluster.toml` can't be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BirthError {
    /// The file system failed.
    #[error("reading {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The file can't be understood.
    #[error("{} can't be read", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<toml::de::Error>,
    },
}

impl Birth {
    /// Reads the file in the folder that `init` made.
    ///
    /// # Errors
    /// See [`BirthError`].
    pub fn read(dir: &Path) -> Result<Self, BirthError> {
        let path = dir.join("cluster.toml");
        let text = fs::read_to_string(&path).map_err(|source| BirthError::Io { path: path.clone(), source })?;
        toml::from_str(&text).map_err(|source| BirthError::Malformed { path, source: Box::new(source) })
    }

    pub(crate) fn to_text(&self) -> String {
        toml::to_string(self).expect("numbers, texts and a list of them are TOML")
    }
}
