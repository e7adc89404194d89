//! Known mistakes of a log that a test build can switch on, so that tests prove that they would notice them.

blockraft_types::mistakes! {
    /// A mistake about what a disk holds.
    pub enum Mistake {
        /// A log that ends before what it acknowledged is taken as it is, so that damage ends it.
        ReplayTrusted,
        /// After a write that failed the next one counts.
        FailedWriteTriedAgain,
    }
}
