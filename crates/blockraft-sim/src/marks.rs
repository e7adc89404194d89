//! Situations that a campaign must have met: a run that never got into trouble proves nothing.

/// Declares each mark once: its name in reports.
macro_rules! marks {
    ($($(#[$doc:meta])* $mark:ident = $name:literal,)+) => {
        /// A situation worth counting.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mark {
            $($(#[$doc])* $mark,)+
        }

        impl Mark {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$mark,)+];

            /// Its name in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$mark => $name,)+
                }
            }
        }
    };
}

marks! {
    /// A leader was elected after the first one.
    Reelected = "another leader was elected",
    /// A leader died with entries that weren't committed.
    LeaderLostTail = "a leader died with an uncommitted tail",
    /// A follower dropped entries for those of another leader.
    Truncated = "a log was truncated",
    /// A power cut fell between handing out a batch and its durability.
    CutBeforeSync = "the power went before a batch was durable",
    /// A batch became durable and its receipt was lost.
    CutAfterSync = "the power went after a batch was durable and before anybody knew",
    /// A power cut interrupted the write of a block.
    CutWhileStoring = "the power went while a block was written",
    /// All nodes were down at once.
    AllDown = "all nodes were down at once",
    /// A restarted member applied entries again.
    Reapplied = "a restarted catalog was behind its log",
    /// An append waited at the gate for a payload.
    GateHeld = "the gate held an append back",
    /// A payload was fetched from a peer.
    Fetched = "a payload was fetched",
    /// A damaged copy was read.
    ReadDamaged = "a damaged copy was read",
    /// A damaged or lost copy became whole again.
    Repaired = "a copy was repaired",
    /// A store had no room.
    StoreFull = "a store was full",
    /// A put was refused for want of room.
    RefusedFull = "a write was refused for want of room",
    /// A log was compacted.
    Compacted = "a log was compacted",
    /// A deleted block's bytes were reclaimed.
    Reclaimed = "bytes were reclaimed",
    /// A block was deleted and put again.
    Reput = "a block was put again after its delete",
    /// A pin covers a graph.
    Pinned = "a graph was pinned",
    /// A pin found that something is missing.
    PinIncomplete = "a pin was refused for what is missing",
    /// A block that nothing holds was collected.
    Collected = "a block was collected",
    /// An open import kept a block.
    HeldByImport = "an import kept a block",
    /// A pin kept a block.
    HeldByPin = "a pin kept a block",
    /// An import was open no more.
    ImportExpired = "an import had expired",
    /// A block rode in the log.
    Inlined = "a block rode in the log",
    /// Applying waited for room for inlined bodies.
    InlineWaited = "applying waited for the store",
    /// A forward was answered by its leader.
    Forwarded = "a command was forwarded and committed",
    /// A forward named a term that was over.
    OtherTerm = "a forward was refused in another term",
    /// A client doesn't know what became of its write.
    Unknown = "an outcome was unknown",
    /// A client asked again for what was done, and was told what that came to.
    AnsweredFromTable = "a retry was answered from the table of sessions",
    /// A member found in a snapshot what a retry had come to.
    SessionCarried = "a session went on behind a snapshot that carried it",
    /// A client was told that its session is over.
    SessionExpired = "an expired session was refused",
    /// A proposal was overwritten by another leader's entry.
    Overwritten = "an accepted proposal was overwritten",
    /// A read was served on a proof of freshness.
    ServedFresh = "a read was served by a fresh replica",
    /// A proof gave way while the copy was read.
    Doubted = "a proof of freshness gave way during a read",
    /// Blocks came or went between the pages of a listing.
    ListedAmidChanges = "a listing went over several pages while the log went on",
    /// One of the blocks of a batch was deleted, and its bytes reclaimed, before they were read.
    BatchLacked = "a block went while it was read in a batch",
    /// A batch was looked up anew when its blocks were read.
    BatchLookedAgain = "a batch was looked up once more before its answer",
    /// A linearizable read said that a block is absent.
    ReadAbsent = "a read found a block absent",
    /// A leader told its successor to campaign at once.
    Transferred = "a successor was told to campaign",
    /// A leader stepped down since it reached no quorum or committed nothing.
    SteppedDown = "a leader stepped down by itself",
    /// A persist took longer than an election timeout.
    PersistStalled = "a log stood still for an election timeout",
    /// A follower was so far behind that entries were read from the log.
    RangeRead = "entries were read back for a follower",
    /// An answer to a question of an earlier life came.
    StaleTicket = "an answer to an earlier life came",
    /// A node was paused for longer than an election timeout.
    PausedLong = "a node stood still for an election timeout",
    /// A leader had compacted what a follower lacked.
    NeededSnapshot = "a follower needed a snapshot",
    /// A snapshot took the place of a log.
    Installed = "a snapshot was installed",
    /// A restart ended an installation that the power had cut short.
    InstalledAtStart = "an installation was ended at a start",
    /// A node was taken in that isn't counted yet.
    LearnerAdded = "a learner was taken in",
    /// A configuration with other voters came into force.
    VotersChanged = "the voters changed",
    /// A leader committed a configuration in which it has no say once both halves are one.
    LeaderRemoved = "a leader brought its own removal about",
    /// A leader was elected while two configurations had a say.
    JointElection = "a leader was elected by two configurations",
    /// A follower dropped a configuration for another leader's entries.
    ChangeDropped = "a configuration was truncated",
    /// A change was given up.
    ChangeReverted = "a change of members was given up",
    /// A node found at its start that it was removed.
    Retired = "a removed node refused to start",
    /// A member's disks were lost.
    Wiped = "a member lost its disks for ever",
    /// A node whose disks went back in time found out before it took part.
    BehindAtStart = "a node behind its own past didn't start",
    /// One found out from a peer that it met later.
    BehindLater = "a node that ran heard late that it was behind its own past",
    /// A node with empty disks under an old id found out.
    ReturnedEmpty = "a wiped node was refused under its old id",
    /// Who remembers what a node's disks have lost restarts together with it.
    RememberedOverRestart = "all nodes restarted, one of them with its disks gone back in time",
    /// A log lost its end although it was synced.
    LostTail = "a log lost its end",
    /// A log that had lost its end held again all that was promised with it.
    Recovered = "a log that had lost its end was made good",
    /// The catalog was ahead of what was left of the log.
    AppliedBeyondLog = "what was left of a log ended before what was applied",
    /// The power went again before that.
    CutAmidRecovery = "the power went before a lost end was made good",
    /// A group was born and went on without one of its founders.
    BornWithout = "a founder came when the group had committed without it",
    /// The others are down, and a majority goes on.
    QuorumAlone = "a quorum went on alone",
}

/// How often each situation was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    counts: Vec<u64>,
}

impl Default for Marks {
    fn default() -> Self {
        Self { counts: vec![0; Mark::ALL.len()] }
    }
}

impl Marks {
    /// Meets `mark` once more.
    pub fn meet(&mut self, mark: Mark) {
        if let Some(count) = self.counts.get_mut(mark as usize) {
            *count += 1;
        }
    }

    /// How often `mark` was met.
    #[must_use]
    pub fn count(&self, mark: Mark) -> u64 {
        self.counts.get(mark as usize).copied().unwrap_or(0)
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }
}
