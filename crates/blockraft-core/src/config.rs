//! The checked settings of a member: times in ticks, and a bound for everything that could grow.
//!
//! A [`Config`] exists only if its settings fit together. It never names a runtime type or a unit of real time.

use thiserror::Error;

use crate::mistake::Mistake;

/// The settings of a member, not yet checked. Any value may be written here; [`Config::new`] judges the whole.
///
/// A tick is whatever the driver makes it; the defaults are meant for ticks of 10 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    /// Ticks between two heartbeats of a leader. Default 5 (50 ms).
    pub heartbeat_ticks: u32,
    /// The shortest election timeout; also how long a member that heard a leader refuses its vote. Default 15 (150 ms).
    pub election_ticks_min: u32,
    /// The longest election timeout; also how long a leader leads on unheard by a majority (check-quorum), and how long it
    /// waits for who is to take over. Default 30 (300 ms).
    pub election_ticks_max: u32,
    /// How long a leader whose heartbeats are answered may fail to commit before it steps down. Default 300 (3 s).
    pub commit_stall_ticks: u32,
    /// Entries in one append. Default 100.
    pub append_entries_max: u64,
    /// Bytes of bodies in one append; a single larger entry goes alone. Default 1 MiB.
    pub append_bytes_max: u64,
    /// Unacknowledged appends per follower. Default 64.
    pub inflight_messages_max: usize,
    /// Unacknowledged bytes of bodies per follower, overshot by at most one entry. Default 8 MiB.
    pub inflight_bytes_max: u64,
    /// Bytes of uncommitted bodies at which a leader refuses proposals. Default 64 MiB.
    pub uncommitted_bytes_max: u64,
    /// Uncommitted entries at which a leader refuses proposals and a follower drops appends. Default 65,536.
    pub uncommitted_entries_max: u64,
    /// Reads that wait for their confirmation. Default 65,536.
    pub reads_pending_max: usize,
    /// Persist batches that may be on their way to the disk; what comes later waits and joins one batch. Default 64.
    pub persists_inflight_max: usize,
}

/// [`Options`] that fit together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Config {
    options: Options,
    #[cfg(seeded_bugs)]
    mistake: Option<Mistake>,
}

/// Why [`Options`] don't fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting that must not be zero is.
    #[error("{setting} must not be zero")]
    Zero {
        /// The name of the field.
        setting: &'static str,
    },
    /// Followers would campaign against a living leader.
    #[error(
        "the shortest election timeout of {election_ticks_min} ticks must exceed two heartbeats of {heartbeat_ticks}"
    )]
    HeartbeatsTooRare {
        /// Ticks between heartbeats.
        heartbeat_ticks: u32,
        /// The shortest election timeout.
        election_ticks_min: u32,
    },
    /// The range of election timeouts is empty.
    #[error("the longest election timeout of {max} ticks lies below the shortest of {min}")]
    ElectionRangeEmpty {
        /// The shortest election timeout.
        min: u32,
        /// The longest.
        max: u32,
    },
    /// A stall would be declared before an election could be over.
    #[error("a commit stall of {commit_stall_ticks} ticks must exceed two election timeouts of {election_ticks_max}")]
    StallTooShort {
        /// The patience with a commit index that stands still.
        commit_stall_ticks: u32,
        /// The longest election timeout.
        election_ticks_max: u32,
    },
}

impl Default for Options {
    fn default() -> Self {
        Self {
            heartbeat_ticks: 5,
            election_ticks_min: 15,
            election_ticks_max: 30,
            commit_stall_ticks: 300,
            append_entries_max: 100,
            append_bytes_max: 1 << 20,
            inflight_messages_max: 64,
            inflight_bytes_max: 8 << 20,
            uncommitted_bytes_max: 64 << 20,
            uncommitted_entries_max: 1 << 16,
            reads_pending_max: 1 << 16,
            persists_inflight_max: 64,
        }
    }
}

impl Config {
    /// Checks `options`.
    ///
    /// # Errors
    ///
    /// Names the first setting that is zero or doesn't fit another one.
    pub fn new(options: Options) -> Result<Self, ConfigError> {
        let not_zero = [
            ("heartbeat_ticks", u64::from(options.heartbeat_ticks)),
            ("election_ticks_min", u64::from(options.election_ticks_min)),
            ("append_entries_max", options.append_entries_max),
            ("append_bytes_max", options.append_bytes_max),
            ("inflight_messages_max", options.inflight_messages_max as u64),
            ("inflight_bytes_max", options.inflight_bytes_max),
            ("uncommitted_bytes_max", options.uncommitted_bytes_max),
            ("uncommitted_entries_max", options.uncommitted_entries_max),
            ("reads_pending_max", options.reads_pending_max as u64),
            ("persists_inflight_max", options.persists_inflight_max as u64),
        ];
        if let Some((setting, _)) = not_zero.into_iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::Zero { setting });
        }
        let Options { heartbeat_ticks, election_ticks_min: min, election_ticks_max: max, commit_stall_ticks, .. } =
            options;
        if min <= heartbeat_ticks.saturating_mul(2) {
            return Err(ConfigError::HeartbeatsTooRare { heartbeat_ticks, election_ticks_min: min });
        }
        if max < min {
            return Err(ConfigError::ElectionRangeEmpty { min, max });
        }
        if commit_stall_ticks <= max.saturating_mul(2) {
            return Err(ConfigError::StallTooShort { commit_stall_ticks, election_ticks_max: max });
        }
        Ok(Self {
            options,
            #[cfg(seeded_bugs)]
            mistake: None,
        })
    }

    /// The settings.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// The same settings for a member that makes `mistake`. Exists only in builds that prove the tests' teeth.
    #[cfg(seeded_bugs)]
    #[must_use]
    pub const fn with_mistake(mut self, mistake: Option<Mistake>) -> Self {
        self.mistake = mistake;
        self
    }

    /// Whether this member is made to err. A constant `false` outside builds with `--cfg seeded_bugs`.
    #[cfg(seeded_bugs)]
    pub(crate) fn errs(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    /// Whether this member is made to err. A constant `false` outside builds with `--cfg seeded_bugs`.
    #[cfg(not(seeded_bugs))]
    pub(crate) const fn errs(&self, _: Mistake) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
