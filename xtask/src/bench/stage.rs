//! Where parts are measured: fresh clusters, and loads of puts on them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::live::load::Run;
use crate::live::members::Members;
use crate::live::node::Lifetime;
use crate::live::programs::Programs;

/// Makes clusters and loads that differ from all before them.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) programs: Programs,
    folder: PathBuf,
    loads: u64,
}

/// A load of puts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PutLoad {
    pub(crate) block_bytes: u64,
    pub(crate) clients: u32,
    /// When it ends; without a bound it goes on until it is dropped.
    pub(crate) seconds: Option<u64>,
    pub(crate) bytes_max: Option<u64>,
}

impl Stage {
    pub(crate) fn new(programs: Programs, folder: &Path) -> Self {
        Self { programs, folder: folder.to_owned(), loads: 0 }
    }

    /// Where files may be made; it goes with the run.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Three nodes that don't run yet.
    pub(crate) fn form(&self) -> Result<Members> {
        Members::form(&self.programs, &self.folder.join("cluster"), 3, Lifetime::Ours)
    }

    /// Ends the cluster and makes room for the next one.
    pub(crate) fn clear(&self, members: Members) -> Result<()> {
        let folder = members.folder().to_owned();
        drop(members);
        fs::remove_dir_all(&folder).with_context(|| format!("can't remove {}", folder.display()))
    }

    /// Starts putting blocks that nobody put before.
    pub(crate) fn put(&mut self, members: &Members, load: PutLoad) -> Result<Run> {
        self.loads += 1;
        let PutLoad { block_bytes, clients, seconds, bytes_max } = load;
        let options = [
            ("--seed", Some(self.loads)),
            ("--block-bytes", Some(block_bytes)),
            ("--clients", Some(u64::from(clients))),
            ("--seconds", Some(seconds.unwrap_or(FOR_EVER_SECONDS))),
            ("--bytes-max", bytes_max),
        ];
        let options = options.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?.to_string()]));
        members.loader().start("writes", options.flatten())
    }
}

/// How long a cluster may take to have a leader.
pub(crate) const START_TIME_MAX: Duration = Duration::from_secs(30);

/// How long one load, or one measurement of floors, may take.
pub(crate) const LOAD_TIME_MAX: Duration = Duration::from_secs(1_800);

const FOR_EVER_SECONDS: u64 = 24 * 3_600;
