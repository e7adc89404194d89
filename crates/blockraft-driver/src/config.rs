//! The settings of a replica and of the driver around it.

use core::time::Duration;

use blockraft_core::Config;

/// Bounds of a [`Replica`](crate::Replica).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaOptions {
    /// The core's settings, in ticks.
    pub core: Config,
    /// When the log is compacted.
    pub compaction: CompactionPolicy,
    /// Bytes of bodies of durable entries that stay in memory, so that a follower that is a little behind costs no
    /// reading. Entries that aren't durable yet stay whatever their size. Default 16 MiB.
    pub recent_bytes_max: u64,
    /// Durable entries that stay in memory. Default 16,384.
    pub recent_entries_max: usize,
    /// Bytes of bodies that wait behind the gate; an append beyond is dropped and sent again by its leader. A single
    /// append always fits. Default 16 MiB.
    pub held_bytes_max: u64,
    /// Bytes of bodies handed to the state machine and not yet applied; what is committed beyond is read back from the
    /// log when its turn comes. Default 32 MiB.
    pub apply_bytes_max: u64,
}

/// When the log is compacted, and how far.
///
/// It is when it has more entries or bytes than it may, when it hasn't been for a while, or when the
/// [gate](crate::gate::AppendGate::compaction_wanted) is in need of it. What every member holds goes then. Of what some
/// member lacks the newest part stays, so that a member that was away for a little while needs no snapshot; one that lacks
/// more gets one, and never makes the others' logs grow. When the gate is in need, nothing stays for its sake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactionPolicy {
    /// Entries in the log. Default 100,000.
    pub entries_max: u64,
    /// Bytes of bodies in the log. Default 256 MiB.
    pub bytes_max: u64,
    /// Entries that stay for members that lack them; less than `entries_max`. Default 50,000.
    pub entries_kept: u64,
    /// Bytes of bodies that stay for members that lack them; less than `bytes_max`. Default 128 MiB.
    pub bytes_kept: u64,
    /// Ticks after which a log of any size is compacted. Default 60,000 (10 minutes).
    pub ticks_max: u64,
}

/// Settings of a [`Driver`](crate::Driver).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriverConfig {
    /// Bounds of the replica.
    pub replica: ReplicaOptions,
    /// One tick of the core. Default 10 ms.
    pub tick: Duration,
    /// How many ticks at most a pause of the loop counts for: a process that was stopped for a minute hasn't heard its
    /// leader in all that time, but neither could it have. Default 3.
    pub ticks_per_pause_max: u32,
    /// Proposals in the queue or in the log and not yet applied; beyond it callers wait. Default 4,096.
    pub proposals_max: usize,
    /// Bytes of bodies of those; beyond it callers wait. A larger body is refused. Default 64 MiB, at most 4 GiB - 1.
    pub proposal_bytes_max: u32,
    /// Bytes of bodies of peers' messages that wait for the loop; beyond it messages are dropped, as a network may.
    /// Default 32 MiB.
    pub message_bytes_max: usize,
    /// Peers' messages that wait for the loop; beyond it they are dropped. Default 8,192.
    pub messages_max: usize,
    /// Ticks after a loss of leadership until a proposal whose fate is open becomes
    /// [`Unknown`](crate::ProposeError::Unknown). Default 200 (2 s).
    pub unknown_after_ticks: u32,
    /// Ticks that a shutdown waits for another leader. Default 60 (600 ms).
    pub handover_ticks_max: u32,
}

impl Default for ReplicaOptions {
    fn default() -> Self {
        Self {
            core: Config::default(),
            compaction: CompactionPolicy::default(),
            recent_bytes_max: 16 << 20,
            recent_entries_max: 16_384,
            held_bytes_max: 16 << 20,
            apply_bytes_max: 32 << 20,
        }
    }
}

impl Default for CompactionPolicy {
    fn default() -> Self {
        Self {
            entries_max: 100_000,
            bytes_max: 256 << 20,
            entries_kept: 50_000,
            bytes_kept: 128 << 20,
            ticks_max: 60_000,
        }
    }
}

impl Default for DriverConfig {
    fn default() -> Self {
        Self {
            replica: ReplicaOptions::default(),
            tick: Duration::from_millis(10),
            ticks_per_pause_max: 3,
            proposals_max: 4_096,
            proposal_bytes_max: 64 << 20,
            message_bytes_max: 32 << 20,
            messages_max: 8_192,
            unknown_after_ticks: 200,
            handover_ticks_max: 60,
        }
    }
}
