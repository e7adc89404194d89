//! Known mistakes of a node that a test build can switch on, so that a simulation proves that it would notice them.

blockraft_types::mistakes! {
    /// A mistake from the rules of reads, of replay, of what holds the log, and of what others remember.
    pub enum Mistake {
        /// A `Linearizable` read looks at what happens to be applied.
        LinearizableWithoutReadIndex,
        /// A replica that is up to date says "absent" without asking.
        AbsentWithoutReadIndex,
        /// A proof of freshness never ends.
        FreshForEver,
        /// A proof isn't looked at again when the read is over.
        ProofLookedAtOnce,
        /// A listing, a count or a batch tells of what happens to be applied.
        ManyWithoutReadIndex,
        /// A batch says which blocks were there when it began, as of the moment when it ends.
        BatchOfTwoMoments,
        /// A replica serves without a proof, as one that has just started would.
        FreshAtBirth,
        /// What the client has seen elsewhere doesn't count.
        PositionIgnored,
        /// The log is compacted although bodies that rode in it aren't stored yet.
        InlineNotHeld,
        /// The data plane isn't told what the log names when a node starts.
        ReplayForgotten,
        /// What others remember of a node's past is not held against its disks.
        RecallSkipped,
        /// Who wasn't there when a node started is never asked.
        AskedOnlyAtStart,
        /// What a node remembers of others ends with its process.
        WitnessNotKept,
    }
}
