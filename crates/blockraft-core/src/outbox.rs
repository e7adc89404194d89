//! Effects that gather between two calls of `take_ready`.

use alloc::vec::Vec;

use blockraft_types::message::{AppendVerdict, Ballot, RequestVote, RequestVoteReply};
use blockraft_types::{GroupId, LostTail, Message, NodeId, PersistNumber, Position};

use crate::alarm::Alarm;
use crate::append_range::AppendRange;
use crate::ready::{Accepted, ChangeAnswer, Outgoing, RefusedProposal, RefusedRead, SafeRead};
use crate::sealed::Sealed;
use crate::snapshot::SnapshotOffer;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Outbox {
    pub(crate) messages: Vec<Outgoing>,
    pub(crate) appends: Vec<AppendRange>,
    pub(crate) accepted: Vec<Accepted>,
    pub(crate) refused: Vec<RefusedProposal>,
    pub(crate) reads: Vec<SafeRead>,
    pub(crate) refused_reads: Vec<RefusedRead>,
    pub(crate) changes: Vec<ChangeAnswer>,
    pub(crate) transfer_aborted: Option<NodeId>,
    pub(crate) snapshot_wanted: Option<SnapshotOffer>,
    pub(crate) snapshot_unneeded: Option<Position>,
    pub(crate) recovered: Option<LostTail>,
    pub(crate) alarms: Vec<Alarm>,
    /// Messages under a seal. Those of a batch that is not handed out yet wait here.
    sealed: Vec<Sealed>,
}

impl Outbox {
    pub(crate) fn send(&mut self, to: NodeId, message: Message) {
        self.messages.push(Outgoing { to, message });
    }

    /// Sends `message` once batch `number` is durable. `issued` is the last batch handed out: what waits for a later
    /// one may wait long, so a newer message takes the place of the older one that it makes pointless.
    pub(crate) fn seal(
        &mut self,
        group: GroupId,
        number: PersistNumber,
        issued: PersistNumber,
        to: NodeId,
        message: Message,
    ) {
        if issued < number {
            self.sealed.retain(|sealed| !supersedes(to, &message, sealed.receiver(), sealed.message()));
        }
        self.sealed.push(Sealed::new(group, number, to, message));
    }

    /// Everything but the sealed messages, which stay.
    pub(crate) fn take(&mut self) -> Self {
        let sealed = core::mem::take(&mut self.sealed);
        core::mem::replace(self, Self { sealed, ..Self::default() })
    }

    /// The sealed messages of batches up to `issued`.
    pub(crate) fn take_sealed(&mut self, issued: PersistNumber) -> Vec<Sealed> {
        self.sealed.extract_if(.., |sealed| sealed.number() <= issued).collect()
    }
}

/// Whether nobody misses the older message once the newer one arrives. Losing one that would have been of use costs time,
/// never safety: networks lose them too.
fn supersedes(to: NodeId, newer: &Message, older_to: NodeId, older: &Message) -> bool {
    // Whoever gets it would drop it, or soon learn of the later term; but nobody is in the term of a pre-vote yet.
    if older.term() < newer.term() && !is_pre_vote(newer) {
        return true;
    }
    if to != older_to {
        return false;
    }
    match (newer, older) {
        (Message::AppendEntriesReply(newer), Message::AppendEntriesReply(older)) => {
            let (
                AppendVerdict::Matched { match_index: newer_match },
                AppendVerdict::Matched { match_index: older_match },
            ) = (newer.verdict, older.verdict)
            else {
                return newer.stream != older.stream;
            };
            newer.stream != older.stream || older_match <= newer_match
        }
        (newer, older) => newer.name() == older.name(),
    }
}

const fn is_pre_vote(message: &Message) -> bool {
    matches!(
        message,
        Message::RequestVote(RequestVote { ballot: Ballot::PreVote, .. })
            | Message::RequestVoteReply(RequestVoteReply { ballot: Ballot::PreVote, .. })
    )
}

#[cfg(test)]
mod tests;
