//! Known mistakes around the core that a test build can switch on, so that a simulation proves that it would notice them.

blockraft_types::mistakes! {
    /// A mistake in what callers are told, or in the order of log and state machine.
    pub enum Mistake {
        /// A proposal counts as committed when anything is applied at its index.
        FateByIndexAlone,
        /// A proposal whose fate is open is called not proposed.
        OpenCalledNotProposed,
        /// The log is compacted before the state machine is durable that far.
        CompactedBeforeFlush,
        /// A second restart takes a log for whole that has lost its end.
        LostTailForgotten,
        /// Two entries under one term and index are left at an alarm.
        MismatchIgnored,
    }
}
