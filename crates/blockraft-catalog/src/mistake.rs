//! Known mistakes of a state machine that a test build can switch on, so that a simulation proves that it would notice them.

blockraft_types::mistakes! {
    /// A mistake in applying.
    pub enum Mistake {
        /// The position is written before what was applied up to it, so that a crash in between skips entries.
        PositionBeforeRows,
        /// The position is written after what was applied up to it, so that a crash in between applies entries again.
        PositionAfterRows,
        /// The order in which commands are obeyed depends on how entries are split over calls, as that of a map might.
        CommandsInOtherOrder,
        /// A snapshot has no sessions, so that whoever installs one doesn't know what was carried out.
        SessionsForgottenBySnapshot,
        /// A command of a session that was carried out before is carried out again.
        RepeatsCarriedOut,
        /// A session that isn't known is taken for one that begins.
        ExpiredTreatedAsNew,
        /// What nothing holds is collected while an import is open.
        ImportsHoldNothing,
        /// A pin is set whether or not all that it covers is there.
        PinnedUnchecked,
        /// A block that a pin covers is taken away.
        PinsIgnored,
        /// A snapshot has no links and no pins, so that whoever installs one lets go of what is pinned.
        PinsForgottenBySnapshot,
    }
}
