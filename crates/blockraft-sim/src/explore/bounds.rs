//! How far an exploration goes. Everything that could repeat for ever has a number here, so the space is finite.

/// The bounds of an exploration: what may happen, and how often over all members together.
///
/// Any message may be late for as long as you like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Voters, 1 to 7.
    pub members: u8,
    /// Learners besides them.
    pub learners: u8,
    /// How often an election timeout may run out.
    pub timeouts: u8,
    /// Ticks of leaders: heartbeats, and with enough of them in silence the end of leadership.
    pub beats: u8,
    /// Proposals, of one entry each.
    pub proposals: u8,
    /// Questions for a read index.
    pub reads: u8,
    /// Power cuts, each followed by a restart. What was on its way to the disk survives in part or not at all.
    pub crashes: u8,
    /// Power cuts that take the last entry of a log along although it was durable; the log knows.
    pub forgets: u8,
    /// Messages that are lost. Where they may overtake each other they needn't be: a late one is as good as lost.
    pub losses: u8,
    /// Messages that arrive once more.
    pub repeats: u8,
    /// Transfers of leadership that are asked for.
    pub transfers: u8,
    /// Changes of members that leaders are asked for.
    pub changes: u8,
    /// Which change.
    pub change: Change,
    /// Times that leaders are asked to give up a change of members.
    pub reverts: u8,
    /// What has happened before.
    pub begin: Begin,
    /// In which order messages may arrive.
    pub order: Order,
    /// When writes become durable.
    pub disk: Disk,
}

/// Where an exploration begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// All members are newborn.
    Newborn,
    /// The member with the lowest id leads, everybody holds the first entry of its term, and it was asked for the change
    /// of members just now. The bounds count what comes after that.
    AmidChange,
}

/// How the members shall change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Every learner becomes a voter.
    Grow,
    /// The member with the lowest id, which begins every exploration, goes.
    Shrink,
    /// Both at once.
    Replace,
}

/// In which order messages between two members may arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// In any.
    Any,
    /// Each pair's messages in the order in which they left, as over a connection.
    PerPair,
}

/// When what is handed to a disk becomes durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// Before anything else happens.
    AtOnce,
    /// At any time later, in order, or never if the power fails before.
    Late,
    /// Never, although the disk says so before anything else happens. A control: such a disk must be found out.
    Lies,
}

impl Bounds {
    /// Three members whose disks are quick, and one of everything: enough for an election, an entry and a crash.
    pub const SMALL: Self = Self {
        members: 3,
        learners: 0,
        timeouts: 2,
        beats: 0,
        proposals: 1,
        reads: 0,
        crashes: 1,
        forgets: 0,
        losses: 0,
        repeats: 0,
        transfers: 0,
        changes: 0,
        change: Change::Replace,
        reverts: 0,
        begin: Begin::Newborn,
        order: Order::PerPair,
        disk: Disk::AtOnce,
    };
}
