//! The settings file of a node, `blockraft.toml`. Every setting has a default; a file may be empty or missing.

use core::time::Duration;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use blockraft_blocks::BlockLimits;
use blockraft_core::{Config, ConfigError, Options};
use blockraft_driver::config::CompactionPolicy;
use blockraft_node::NodeConfig;
use serde::Deserialize;
use thiserror::Error;

/// What a settings file may say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where to listen, for members and clients; by default where the members expect this node.
    pub listen: Option<SocketAddr>,
    /// The longest block that is taken from clients, in bytes; 2 MiB by default, at most 64 MiB.
    pub block_bytes_max: Option<u64>,
    /// Blocks up to this many bytes ride inside the log entry; at most 4,096, which is the default.
    pub inline_bytes_max: Option<u32>,
    /// Milliseconds between heartbeats of a leader; 50 by default.
    pub heartbeat_ms: Option<u32>,
    /// The shortest election timeout in milliseconds; 150 by default.
    pub election_min_ms: Option<u32>,
    /// The longest election timeout in milliseconds; 300 by default.
    pub election_max_ms: Option<u32>,
    /// Entries in the log beyond which it is compacted; 100,000 by default.
    pub log_entries_max: Option<u64>,
    /// Bytes in the log beyond which it is compacted; 256 MiB by default.
    pub log_bytes_max: Option<u64>,
    /// Entries that stay in the log for nodes that lack them, so that they need no snapshot; half of `log_entries_max` by
    /// default.
    pub log_entries_kept: Option<u64>,
    /// Bytes that stay in the log for nodes that lack them; half of `log_bytes_max` by default.
    pub log_bytes_kept: Option<u64>,
    /// Seconds after which a log of any size is compacted; 600 by default.
    pub log_seconds_max: Option<u64>,
    /// Bytes of blocks a second, on average, that this node asks others for while it gets a snapshot; 100 MiB by default.
    pub catch_up_bytes_per_second: Option<u64>,
    /// Bytes of disk that puts leave free, for the log, the catalog and compaction; 512 MiB by default.
    pub disk_reserve_bytes: Option<u64>,
}

/// Why settings can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file can't be read.
    #[error("reading {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// The file can't be understood.
    #[error("{} can't be read", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        source: toml::de::Error,
    },
    /// The times don't fit together.
    #[error("heartbeat_ms, election_min_ms and election_max_ms don't fit together")]
    Times(#[from] ConfigError),
    /// A size is out of range.
    #[error("{setting} must be {range}, not {found}")]
    OutOfRange {
        /// The setting.
        setting: &'static str,
        /// What it may be.
        range: &'static str,
        /// What it is.
        found: u64,
    },
}

impl Settings {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// It is missing, or can't be understood: an unknown setting is named.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = fs::read_to_string(path).map_err(|source| SettingsError::Io { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|source| SettingsError::Malformed { path: path.to_owned(), source })
    }

    /// Reads the file at `path` if there is one.
    ///
    /// # Errors
    /// As [`read`](Self::read), except that a missing file is no error.
    pub fn read_if_present(path: &Path) -> Result<Self, SettingsError> {
        match Self::read(path) {
            Err(SettingsError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            read => read,
        }
    }

    /// Brings the settings into a node's configuration.
    ///
    /// # Errors
    /// A value is out of range, or contradicts another.
    pub fn apply(&self, config: &mut NodeConfig) -> Result<(), SettingsError> {
        if let Some(found) = self.block_bytes_max {
            config.limits.blocks = BlockLimits::new(found).map_err(|_| SettingsError::OutOfRange {
                setting: "block_bytes_max",
                range: "1 to 67108864",
                found,
            })?;
        }
        if let Some(found) = self.inline_bytes_max {
            if INLINE_BYTES_MAX < found {
                let (setting, range) = ("inline_bytes_max", "at most 4096");
                return Err(SettingsError::OutOfRange { setting, range, found: found.into() });
            }
            config.limits.inline_bytes_max = found;
        }
        if let Some(found) = self.catch_up_bytes_per_second {
            if found < 1_000 {
                let (setting, range) = ("catch_up_bytes_per_second", "at least 1000");
                return Err(SettingsError::OutOfRange { setting, range, found });
            }
            let tick_ms = u32::try_from(config.driver.tick.as_millis()).unwrap_or(u32::MAX).max(1);
            let exchange = config.exchange.get_or_insert_with(|| blockraft_exchange::Config::for_ticks_of(tick_ms));
            exchange.snapshot_tick_bytes_max = found.saturating_mul(tick_ms.into()) / 1_000;
        }
        config.driver.replica.core = self.times(config.driver.tick)?;
        config.driver.replica.compaction = self.compaction(config.driver.replica.compaction, config.driver.tick);
        Ok(())
    }

    fn compaction(&self, defaults: CompactionPolicy, tick: Duration) -> CompactionPolicy {
        let entries_max = self.log_entries_max.unwrap_or(defaults.entries_max);
        let bytes_max = self.log_bytes_max.unwrap_or(defaults.bytes_max);
        let ticks = |seconds: u64| u64::try_from(Duration::from_secs(seconds).as_nanos() / tick.as_nanos().max(1));
        CompactionPolicy {
            entries_max,
            bytes_max,
            entries_kept: self.log_entries_kept.unwrap_or(entries_max / 2),
            bytes_kept: self.log_bytes_kept.unwrap_or(bytes_max / 2),
            ticks_max: self.log_seconds_max.map_or(defaults.ticks_max, |seconds| ticks(seconds).unwrap_or(u64::MAX)),
        }
    }

    fn times(&self, tick: Duration) -> Result<Config, SettingsError> {
        let tick_ms = u32::try_from(tick.as_millis()).unwrap_or(u32::MAX).max(1);
        let ticks = |milliseconds: Option<u32>, default: u32| {
            milliseconds.map_or(default, |milliseconds| milliseconds.div_ceil(tick_ms))
        };
        let defaults = Options::default();
        let election_ticks_max = ticks(self.election_max_ms, defaults.election_ticks_max);
        Ok(Config::new(Options {
            heartbeat_ticks: ticks(self.heartbeat_ms, defaults.heartbeat_ticks),
            election_ticks_min: ticks(self.election_min_ms, defaults.election_ticks_min),
            election_ticks_max,
            commit_stall_ticks: defaults.commit_stall_ticks.max(election_ticks_max.saturating_mul(10)),
            ..defaults
        })?)
    }
}

/// What a batch of commands takes inline by default.
const INLINE_BYTES_MAX: u32 = 4 << 10;

#[cfg(test)]
mod tests;
