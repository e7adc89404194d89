//! The known mistakes: where each one is from, and who has to notice it.
//!
//! Fault numbers 1 to 26 are ways in which implementations of Raft went wrong, 27 to 36 those of stores. Rules are those of
//! this design's data plane, reads and identity, by number: each was forced by an order of events in which a simpler
//! design loses something.

use blockraft_catalog::Mistake as Catalog;
use blockraft_core::Mistake as Core;
use blockraft_driver::Mistake as Driver;
use blockraft_exchange::Mistake as Exchange;
use blockraft_node::Mistake as Node;

use crate::mistake::{Bug, Origin};

/// A mistake that a test build can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Where it is from.
    pub source: Source,
    /// The mistake.
    pub bug: Bug,
    /// Who has to notice it.
    pub judge: Judge,
}

/// Where a mistake is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// It went wrong elsewhere.
    Fault(u8),
    /// A rule forbids it.
    Rule(u8),
}

/// Who has to notice a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    /// The laws of worlds.
    Worlds,
    /// The tests of a crate that worlds don't reach, or reach with less than it takes.
    TestsOf(&'static str),
}

/// A mistake below the simulator: worlds have a disk and a wire of their own, so the crate's tests have to notice it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Below {
    /// Where it is from.
    pub source: Source,
    /// Its name in that crate.
    pub name: &'static str,
    /// The crate.
    pub tests_of: &'static str,
}

/// All that a world's nodes can make.
pub const KNOWN: &[Known] = &[
    fault(1, Bug::Core(Core::VoteBeforePersist), Judge::Worlds),
    fault(1, Bug::Core(Core::OwnVoteBeforePersist), Judge::Worlds),
    fault(1, Bug::Core(Core::VoteForgotten), Judge::Worlds),
    fault(2, Bug::Core(Core::AckBeforePersist), Judge::Worlds),
    fault(2, Bug::Core(Core::OwnCopyBeforePersist), Judge::Worlds),
    fault(3, Bug::Core(Core::OldTermsCommittedByCounting), Judge::Worlds),
    fault(4, Bug::Core(Core::UpToDateByLengthOnly), Judge::Worlds),
    fault(5, Bug::Core(Core::TruncateOnStaleAppend), Judge::Worlds),
    fault(6, Bug::Core(Core::CommitBeyondProof), Judge::Worlds),
    fault(7, Bug::Core(Core::MatchOnSend), Judge::Worlds),
    fault(7, Bug::Core(Core::AckOwnLast), Judge::Worlds),
    fault(8, Bug::Core(Core::StaleRepliesCount), Judge::Worlds),
    fault(8, Bug::Core(Core::ReceiptsOutliveTruncation), Judge::Worlds),
    fault(9, Bug::Core(Core::HigherTermIgnored), Judge::Worlds),
    fault(10, Bug::Core(Core::PreVoteGrantsCountAsVotes), Judge::Worlds),
    fault(11, Bug::Core(Core::VotesCountedTwice), Judge::Worlds),
    fault(12, Bug::Core(Core::HalfIsAMajority), Judge::Worlds),
    fault(13, Bug::Core(Core::JointCountsOneHalf), Judge::TestsOf("blockraft-core")),
    fault(14, Bug::Core(Core::ConfigurationsWaitForCommit), Judge::Worlds),
    fault(14, Bug::Core(Core::ConfigurationsOutliveTruncation), Judge::TestsOf("blockraft-core")),
    fault(15, Bug::Core(Core::ChangesBeforeOwnTermCommits), Judge::TestsOf("blockraft-core")),
    fault(15, Bug::Core(Core::VotersChangeInOneStep), Judge::TestsOf("blockraft-core")),
    fault(15, Bug::Core(Core::ChangesOverlap), Judge::TestsOf("blockraft-core")),
    fault(16, Bug::Core(Core::LearnersCounted), Judge::Worlds),
    fault(16, Bug::Core(Core::RemovedLeaderCountsItself), Judge::Worlds),
    fault(16, Bug::Core(Core::EmptyLearnersPromoted), Judge::TestsOf("blockraft-core")),
    fault(17, Bug::Core(Core::StaleSnapshotInstalled), Judge::TestsOf("blockraft-core")),
    fault(17, Bug::Core(Core::ConflictingSuffixKept), Judge::Worlds),
    fault(18, Bug::Core(Core::SnapshotWithoutMembership), Judge::TestsOf("blockraft-core")),
    fault(18, Bug::Core(Core::SnapshotWithoutTerm), Judge::Worlds),
    fault(19, Bug::Core(Core::CompactedBeforeApplied), Judge::TestsOf("blockraft-core")),
    fault(19, Bug::Driver(Driver::CompactedBeforeFlush), Judge::Worlds),
    fault(20, Bug::Core(Core::ReadsBeforeOwnTermCommits), Judge::Worlds),
    fault(21, Bug::Core(Core::EarlierAnswersConfirmReads), Judge::Worlds),
    fault(22, Bug::Core(Core::ReadsRestOnAnOldRound), Judge::Worlds),
    fault(23, Bug::Core(Core::ProposalsDuringTransfer), Judge::TestsOf("blockraft-core")),
    fault(24, Bug::Catalog(Catalog::PositionBeforeRows), Judge::Worlds),
    fault(24, Bug::Catalog(Catalog::PositionAfterRows), Judge::Worlds),
    fault(26, Bug::Core(Core::UsedIdsGivenAgain), Judge::TestsOf("blockraft-core")),
    fault(27, Bug::Exchange(Exchange::ReceiptBeforeDurability), Judge::Worlds),
    fault(28, Bug::Unverified(Origin::Copy), Judge::Worlds),
    fault(29, Bug::Exchange(Exchange::ReputSeesQueuedDelete), Judge::Worlds),
    fault(30, Bug::Exchange(Exchange::RemovedCountsAsHeld), Judge::Worlds),
    fault(32, Bug::Catalog(Catalog::CommandsInOtherOrder), Judge::Worlds),
    fault(33, Bug::Catalog(Catalog::SessionsForgottenBySnapshot), Judge::Worlds),
    fault(34, Bug::Unverified(Origin::Peer), Judge::Worlds),
    rule(1, Bug::Exchange(Exchange::HasInsteadOfReserve), Judge::Worlds),
    rule(2, Bug::Exchange(Exchange::ReclaimBeforeCompaction), Judge::Worlds),
    rule(2, Bug::Exchange(Exchange::ReclaimIgnoresLeases), Judge::Worlds),
    rule(2, Bug::Node(Node::ReplayForgotten), Judge::Worlds),
    rule(3, Bug::Node(Node::InlineNotHeld), Judge::Worlds),
    rule(5, Bug::Exchange(Exchange::SnapshotWithoutPayloads), Judge::TestsOf("blockraft-exchange")),
    rule(7, Bug::Core(Core::LostTailVotes), Judge::Worlds),
    rule(7, Bug::Core(Core::LostTailEndsInItsTerm), Judge::Worlds),
    rule(7, Bug::Driver(Driver::LostTailForgotten), Judge::Worlds),
    rule(16, Bug::Node(Node::LinearizableWithoutReadIndex), Judge::Worlds),
    rule(16, Bug::Node(Node::AbsentWithoutReadIndex), Judge::Worlds),
    rule(16, Bug::Node(Node::FreshForEver), Judge::Worlds),
    rule(16, Bug::Node(Node::ProofLookedAtOnce), Judge::TestsOf("blockraft-sim")),
    rule(16, Bug::Node(Node::PositionIgnored), Judge::Worlds),
    rule(17, Bug::Node(Node::FreshAtBirth), Judge::Worlds),
    rule(18, Bug::Node(Node::ManyWithoutReadIndex), Judge::Worlds),
    rule(18, Bug::Node(Node::BatchOfTwoMoments), Judge::Worlds),
    rule(20, Bug::Driver(Driver::FateByIndexAlone), Judge::Worlds),
    rule(20, Bug::Driver(Driver::OpenCalledNotProposed), Judge::Worlds),
    rule(20, Bug::Catalog(Catalog::RepeatsCarriedOut), Judge::Worlds),
    rule(20, Bug::Catalog(Catalog::ExpiredTreatedAsNew), Judge::Worlds),
    rule(21, Bug::Catalog(Catalog::ImportsHoldNothing), Judge::Worlds),
    rule(21, Bug::Catalog(Catalog::PinnedUnchecked), Judge::Worlds),
    rule(21, Bug::Catalog(Catalog::PinsIgnored), Judge::Worlds),
    rule(21, Bug::Catalog(Catalog::PinsForgottenBySnapshot), Judge::Worlds),
    rule(24, Bug::Core(Core::SuccessorTellsNobody), Judge::TestsOf("blockraft-core")),
    rule(25, Bug::Core(Core::RevertsInAnyTerm), Judge::TestsOf("blockraft-core")),
    rule(26, Bug::Node(Node::RecallSkipped), Judge::Worlds),
    rule(26, Bug::Node(Node::AskedOnlyAtStart), Judge::Worlds),
    rule(26, Bug::Node(Node::WitnessNotKept), Judge::Worlds),
    rule(27, Bug::Driver(Driver::MismatchIgnored), Judge::TestsOf("blockraft-sim")),
];

/// All that are made below.
pub const BELOW: &[Below] = &[
    Below { source: Source::Fault(25), name: "ReplayTrusted", tests_of: "blockraft-log-rocksdb" },
    Below { source: Source::Fault(31), name: "V0LeadsElsewhere", tests_of: "blockraft-blocks" },
    Below { source: Source::Fault(35), name: "FailedSyncTriedAgain", tests_of: "blockraft-blocks-segment" },
    Below { source: Source::Fault(35), name: "FailedWriteTriedAgain", tests_of: "blockraft-log-rocksdb" },
    Below { source: Source::Fault(36), name: "ErrorsPanic", tests_of: "blockraft-wire" },
    Below { source: Source::Rule(6), name: "DamageCutAsTorn", tests_of: "blockraft-blocks-segment" },
];

const fn fault(number: u8, bug: Bug, judge: Judge) -> Known {
    Known { source: Source::Fault(number), bug, judge }
}

const fn rule(number: u8, bug: Bug, judge: Judge) -> Known {
    Known { source: Source::Rule(number), bug, judge }
}

impl core::fmt::Display for Source {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Fault(number) => write!(f, "fault {number}"),
            Self::Rule(number) => write!(f, "rule {number}"),
        }
    }
}

#[cfg(test)]
mod tests;
