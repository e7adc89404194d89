//! The kinds of faults that a run may meet.

use core::fmt;

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Messages vanish.
    Loss,
    /// Messages of consensus come twice.
    Duplication,
    /// Messages overtake others, some by a long time.
    Straggling,
    /// Groups of nodes don't hear each other.
    Partition,
    /// A link carries one way only.
    OneWay,
    /// Connections end and begin anew.
    Reconnect,
    /// Payloads are lost or late while messages are not.
    BulkLoss,
    /// A node loses its power: what isn't durable is lost, or kept in part.
    PowerCut,
    /// All nodes lose their power at once.
    PowerCutAll,
    /// A node stands still for a while.
    Pause,
    /// A log's disk takes long.
    LogStall,
    /// A log's write fails: the node ends.
    LogFailure,
    /// A block store takes long.
    StoreStall,
    /// A block store has no room for a while.
    StoreFull,
    /// A block store's write fails: the node ends.
    StoreFailure,
    /// Copies of blocks rot.
    Rot,
    /// Clocks run at different speeds.
    Drift,
    /// Applying lags behind.
    SlowApply,
    /// Leadership is handed over.
    Transfer,
    /// Members are taken in, promoted, replaced and let go.
    Members,
    /// A node's disks are gone for ever.
    Wipe,
    /// Some leaders in a row lose their power moments after they began to lead.
    Hunt,
    /// A bit of a payload flips on its way.
    Garbling,
    /// A node's disks go back to what they held at an earlier moment.
    RollBack,
    /// A node that lost its disks comes back under its old id, with empty ones.
    Return,
    /// A node's power goes, and the end of its log with it, although it was synced.
    LostTail,
    /// One of the founders starts later than the others.
    LateBirth,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Self; 27] = [
        Self::Loss,
        Self::Duplication,
        Self::Straggling,
        Self::Partition,
        Self::OneWay,
        Self::Reconnect,
        Self::BulkLoss,
        Self::PowerCut,
        Self::PowerCutAll,
        Self::Pause,
        Self::LogStall,
        Self::LogFailure,
        Self::StoreStall,
        Self::StoreFull,
        Self::StoreFailure,
        Self::Rot,
        Self::Drift,
        Self::SlowApply,
        Self::Transfer,
        Self::Members,
        Self::Wipe,
        Self::Hunt,
        Self::Garbling,
        Self::RollBack,
        Self::Return,
        Self::LostTail,
        Self::LateBirth,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Duplication => "duplication",
            Self::Straggling => "straggling",
            Self::Partition => "partition",
            Self::OneWay => "one-way",
            Self::Reconnect => "reconnect",
            Self::BulkLoss => "bulk-loss",
            Self::PowerCut => "power-cut",
            Self::PowerCutAll => "power-cut-all",
            Self::Pause => "pause",
            Self::LogStall => "log-stall",
            Self::LogFailure => "log-failure",
            Self::StoreStall => "store-stall",
            Self::StoreFull => "store-full",
            Self::StoreFailure => "store-failure",
            Self::Rot => "rot",
            Self::Drift => "drift",
            Self::SlowApply => "slow-apply",
            Self::Transfer => "transfer",
            Self::Members => "members",
            Self::Wipe => "wipe",
            Self::Hunt => "hunt",
            Self::Garbling => "garbling",
            Self::RollBack => "roll-back",
            Self::Return => "return",
            Self::LostTail => "lost-tail",
            Self::LateBirth => "late-birth",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults(u32);

impl Faults {
    /// None.
    pub const NONE: Self = Self(0);

    /// Whether `fault` is among them.
    #[must_use]
    pub const fn has(self, fault: Fault) -> bool {
        self.0 & fault.bit() != 0
    }

    /// With `fault`.
    #[must_use]
    pub const fn with(self, fault: Fault) -> Self {
        Self(self.0 | fault.bit())
    }

    /// Without `fault`.
    #[must_use]
    pub const fn without(self, fault: Fault) -> Self {
        Self(self.0 & !fault.bit())
    }

    /// Without all of `others`.
    #[must_use]
    pub const fn minus(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.into_iter().filter(move |fault| self.has(*fault))
    }
}
