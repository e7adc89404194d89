//! Known mistakes of a codec that a test build can switch on, so that tests prove that they would notice them.

blockraft_types::mistakes! {
    /// A mistake in reading what others wrote.
    pub enum Mistake {
        /// A header that can't be read ends the process.
        ErrorsPanic,
    }
}
