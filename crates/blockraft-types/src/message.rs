//! What members say to each other: one struct per RPC, requests and replies apart.
//!
//! Names are those of the Raft paper's figure 2 and of the thesis. Every reply names the term, and where a stream or a
//! campaign is involved also which one it answers, so that whoever asked can drop an answer to a question that it no
//! longer asks.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::chain::ChainDigest;
use crate::entry::EntryHead;
use crate::position::{LogIndex, Position, Term};

/// Any message between two members of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// A (pre-)candidate asks for a vote.
    RequestVote(RequestVote),
    /// The answer to [`RequestVote`].
    RequestVoteReply(RequestVoteReply),
    /// A leader sends entries, or probes with none.
    AppendEntries(AppendEntries),
    /// The answer to [`AppendEntries`].
    AppendEntriesReply(AppendEntriesReply),
    /// A leader says that it is there.
    Heartbeat(Heartbeat),
    /// The answer to [`Heartbeat`].
    HeartbeatReply(HeartbeatReply),
    /// A leader asks a caught-up member to campaign at once.
    TimeoutNow(TimeoutNow),
    /// A leader can't send what the follower lacks: it needs a snapshot.
    InstallSnapshot(InstallSnapshot),
    /// The answer to [`InstallSnapshot`], once the follower holds so much.
    InstallSnapshotReply(InstallSnapshotReply),
}

/// Which of the two rounds of an election a vote belongs to (thesis 9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ballot {
    /// "Would you vote for me in this term?" Changes nobody's term or vote.
    PreVote,
    /// A real vote, at most one per member and term.
    Vote,
}

/// Why a member campaigns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CampaignReason {
    /// No leader was heard for an election timeout. Members that do hear one refuse.
    Timeout,
    /// The leader itself asked for it with [`TimeoutNow`]; members answer although they hear that leader.
    Transfer,
}

/// The number of a campaign of one candidate since its start, so that late answers can't join a newer one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CampaignId(pub u64);

/// RequestVote (Raft paper, section 5.2), for both ballots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestVote {
    /// The term asked for: the candidate's own, or for a pre-vote the one after it.
    pub term: Term,
    /// Which ballot.
    pub ballot: Ballot,
    /// Which campaign of the candidate.
    pub campaign: CampaignId,
    /// Why it campaigns.
    pub reason: CampaignReason,
    /// The position of the candidate's last entry.
    pub last: Position,
}

/// What became of a request for a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum VoteVerdict {
    /// The vote is given.
    Granted,
    /// It is not.
    Refused,
}

/// The answer to [`RequestVote`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestVoteReply {
    /// A granted ballot repeats the term asked for; a refused one carries the voter's own term, which may be higher
    /// or lower.
    pub term: Term,
    /// Which ballot it answers.
    pub ballot: Ballot,
    /// Which campaign it answers.
    pub campaign: CampaignId,
    /// The answer.
    pub verdict: VoteVerdict,
}

/// The number of a replication stream from one leader to one follower.
///
/// The leader counts it up whenever it goes back to probing, so that answers to what was sent before can't move the
/// follower's progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamEpoch(pub u64);

/// AppendEntries (Raft paper, section 5.3). The bodies of the entries travel beside it, never in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AppendEntries {
    /// The leader's term.
    pub term: Term,
    /// The stream that this message belongs to.
    pub stream: StreamEpoch,
    /// The position of the entry before the first one sent.
    pub prev: Position,
    /// The chain digest of the entry at `prev`.
    pub prev_chain: ChainDigest,
    /// The heads of the entries, contiguous from `prev.index + 1`; none in a bare probe.
    pub heads: Vec<EntryHead>,
    /// The leader's commit index. The receiver clamps it to what this message proves.
    pub leader_commit: LogIndex,
}

/// Where a follower's log parts from the leader's (Raft paper, end of section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConflictHint {
    /// The term of the follower's entry at the probed index; `None` when its log is too short to have one.
    pub term: Option<Term>,
    /// The first index of that term in the follower's log, or the index after its last entry.
    pub first_index: LogIndex,
    /// The position of the follower's last entry.
    pub last: Position,
}

/// What became of an [`AppendEntries`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AppendVerdict {
    /// The follower's log agrees with the leader's up to here, durably. Cumulative within a stream.
    Matched {
        /// `prev.index` plus the number of entries of that message, never the follower's own last index.
        match_index: LogIndex,
    },
    /// The follower has no entry at `prev`, or another one.
    Conflict {
        /// The `prev.index` that was refused.
        prev_index: LogIndex,
        /// Where to try next.
        hint: ConflictHint,
    },
}

/// The answer to [`AppendEntries`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AppendEntriesReply {
    /// The follower's term; higher than the request's when the sender is a leader of the past.
    pub term: Term,
    /// The stream that it answers.
    pub stream: StreamEpoch,
    /// The answer.
    pub verdict: AppendVerdict,
}

/// The number of a confirmation round that a leader issued in its term. Answers count for the round they name and for
/// earlier ones, never for a later one (thesis 6.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReadRound(pub u64);

/// The sign of life of a leader. It matches no position and can overtake a held-back append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The leader's term.
    pub term: Term,
    /// The newest confirmation round.
    pub round: ReadRound,
    /// min(what this follower is known to match, the leader's commit index): never more than the follower proved.
    pub commit: LogIndex,
    /// Every member is known to hold the log durably up to here, so it may be compacted up to here.
    pub held_by_all: LogIndex,
}

/// The answer to [`Heartbeat`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HeartbeatReply {
    /// The follower's term.
    pub term: Term,
    /// The round that it confirms.
    pub round: ReadRound,
    /// Set while the follower holds an append back because the payload of this entry isn't durable there yet: the
    /// leader must not send the entry again.
    pub waiting_for: Option<LogIndex>,
    /// The last index of the follower's log that is durable there.
    pub last_durable: LogIndex,
}

/// A leader asks a caught-up member to campaign at once (thesis 3.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimeoutNow {
    /// The leader's term.
    pub term: Term,
    /// The leader's last position: a receiver whose durable log ends before it doesn't campaign.
    pub last: Position,
}

/// InstallSnapshot (Raft paper, section 7) as an offer: the state itself is far too large for a message, so the follower
/// gets it by its own means and answers when it is durable there. Repeated with every heartbeat until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InstallSnapshot {
    /// The leader's term.
    pub term: Term,
    /// The stream that this message belongs to.
    pub stream: StreamEpoch,
    /// The last entry that the leader can't send any more. It is committed; a snapshot of it or of a later entry will do.
    pub least: Position,
    /// The chain digest of that entry.
    pub least_chain: ChainDigest,
}

/// The answer to [`InstallSnapshot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InstallSnapshotReply {
    /// The follower's term; higher than the request's when the sender is a leader of the past.
    pub term: Term,
    /// The stream that it answers.
    pub stream: StreamEpoch,
    /// The last committed entry that the follower's snapshot and log cover, durably.
    pub last: Position,
}

impl Message {
    /// The term that the sender names.
    #[must_use]
    pub const fn term(&self) -> Term {
        match self {
            Self::RequestVote(message) => message.term,
            Self::RequestVoteReply(message) => message.term,
            Self::AppendEntries(message) => message.term,
            Self::AppendEntriesReply(message) => message.term,
            Self::Heartbeat(message) => message.term,
            Self::HeartbeatReply(message) => message.term,
            Self::TimeoutNow(message) => message.term,
            Self::InstallSnapshot(message) => message.term,
            Self::InstallSnapshotReply(message) => message.term,
        }
    }

    /// The paper's name of the message, for traces.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::RequestVote(_) => "RequestVote",
            Self::RequestVoteReply(_) => "RequestVoteReply",
            Self::AppendEntries(_) => "AppendEntries",
            Self::AppendEntriesReply(_) => "AppendEntriesReply",
            Self::Heartbeat(_) => "Heartbeat",
            Self::HeartbeatReply(_) => "HeartbeatReply",
            Self::TimeoutNow(_) => "TimeoutNow",
            Self::InstallSnapshot(_) => "InstallSnapshot",
            Self::InstallSnapshotReply(_) => "InstallSnapshotReply",
        }
    }
}
