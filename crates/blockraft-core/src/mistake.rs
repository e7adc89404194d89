//! The mistakes that a test build can be told to make, so that the tests prove that they would notice.
//!
//! The code that would err asks `config.errs(…)`. To read it as it ships, read `false` there.

/// A known way to get Raft wrong. Only builds with `--cfg seeded_bugs` can choose one; everywhere else the question
/// whether one was chosen is the constant `false`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(not(seeded_bugs), expect(unreachable_pub, reason = "public only in builds that prove the tests' teeth"))]
pub enum Mistake {
    /// Terms and votes leave before they are durable.
    VoteBeforePersist,
    /// A candidate counts its own vote before it is durable.
    OwnVoteBeforePersist,
    /// A vote is forgotten within its term.
    VoteForgotten,
    /// Entries are acknowledged before they are durable.
    AckBeforePersist,
    /// A leader counts its own copy before it is durable.
    OwnCopyBeforePersist,
    /// Entries of older terms are committed by counting copies.
    OldTermsCommittedByCounting,
    /// Votes go to the longer log instead of the one of the later term.
    UpToDateByLengthOnly,
    /// An append that matches but is short drops what comes after it.
    TruncateOnStaleAppend,
    /// A heartbeat tells the leader's commit index to a follower that isn't known to hold the same entries.
    CommitBeyondProof,
    /// A follower acknowledges its own last entry instead of the last one sent.
    AckOwnLast,
    /// A follower counts as holding what was merely sent to it.
    MatchOnSend,
    /// Answers to an older term or stream count.
    StaleRepliesCount,
    /// A leader that hears of a higher term goes on in its own.
    HigherTermIgnored,
    /// Granted pre-votes count as votes.
    PreVoteGrantsCountAsVotes,
    /// Two answers of one voter count as two votes.
    VotesCountedTwice,
    /// Half of an even number of voters counts as a majority.
    HalfIsAMajority,
    /// A joint configuration counts its incoming half alone.
    JointCountsOneHalf,
    /// Learners count as voters.
    LearnersCounted,
    /// Reads are confirmed before the leader committed an entry of its term.
    ReadsBeforeOwnTermCommits,
    /// Answers to heartbeats from before a read confirm it.
    EarlierAnswersConfirmReads,
    /// A read rests on a round that was over before it came.
    ReadsRestOnAnOldRound,
    /// Proposals are taken while leadership is handed over.
    ProposalsDuringTransfer,
    /// A receipt vouches for entries that took the places of those that it made durable.
    ReceiptsOutliveTruncation,
    /// A snapshot is installed although the log is committed beyond it.
    StaleSnapshotInstalled,
    /// Entries that conflict with an installed snapshot stay behind it.
    ConflictingSuffixKept,
    /// An installed snapshot brings no configuration.
    SnapshotWithoutMembership,
    /// An installed snapshot doesn't bring the term of its last entry.
    SnapshotWithoutTerm,
    /// The log may be compacted as far as it is committed, applied or not.
    CompactedBeforeApplied,
    /// A configuration counts once it is committed instead of once it is appended.
    ConfigurationsWaitForCommit,
    /// A configuration stays in force when its entry is dropped.
    ConfigurationsOutliveTruncation,
    /// Voters change without a joint configuration.
    VotersChangeInOneStep,
    /// A single voter changes without a joint configuration, before the leader committed an entry of its term.
    ChangesBeforeOwnTermCommits,
    /// A change begins while another one is under way.
    ChangesOverlap,
    /// Any leader leaves a joint configuration towards the old one.
    RevertsInAnyTerm,
    /// A leader that is no voter counts itself.
    RemovedLeaderCountsItself,
    /// The id of a removed member is given again.
    UsedIdsGivenAgain,
    /// Only the leader that appended a removal tells the one that was removed.
    SuccessorTellsNobody,
    /// Learners are promoted before they have caught up.
    EmptyLearnersPromoted,
    /// A member whose log lost its end votes and campaigns.
    LostTailVotes,
    /// A member whose log lost its end stays in the term of the loss, and is content once what it has left is committed.
    LostTailEndsInItsTerm,
}

impl Mistake {
    /// Every one of them.
    #[cfg(seeded_bugs)]
    pub const ALL: &'static [Self] = &[
        Self::VoteBeforePersist,
        Self::OwnVoteBeforePersist,
        Self::VoteForgotten,
        Self::AckBeforePersist,
        Self::OwnCopyBeforePersist,
        Self::OldTermsCommittedByCounting,
        Self::UpToDateByLengthOnly,
        Self::TruncateOnStaleAppend,
        Self::CommitBeyondProof,
        Self::AckOwnLast,
        Self::MatchOnSend,
        Self::StaleRepliesCount,
        Self::HigherTermIgnored,
        Self::PreVoteGrantsCountAsVotes,
        Self::VotesCountedTwice,
        Self::HalfIsAMajority,
        Self::JointCountsOneHalf,
        Self::LearnersCounted,
        Self::ReadsBeforeOwnTermCommits,
        Self::EarlierAnswersConfirmReads,
        Self::ReadsRestOnAnOldRound,
        Self::ProposalsDuringTransfer,
        Self::ReceiptsOutliveTruncation,
        Self::StaleSnapshotInstalled,
        Self::ConflictingSuffixKept,
        Self::SnapshotWithoutMembership,
        Self::SnapshotWithoutTerm,
        Self::CompactedBeforeApplied,
        Self::ConfigurationsWaitForCommit,
        Self::ConfigurationsOutliveTruncation,
        Self::VotersChangeInOneStep,
        Self::ChangesBeforeOwnTermCommits,
        Self::ChangesOverlap,
        Self::RevertsInAnyTerm,
        Self::RemovedLeaderCountsItself,
        Self::UsedIdsGivenAgain,
        Self::SuccessorTellsNobody,
        Self::EmptyLearnersPromoted,
        Self::LostTailVotes,
        Self::LostTailEndsInItsTerm,
    ];
}
