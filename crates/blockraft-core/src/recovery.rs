//! A member whose log has lost its end, until the log holds again all that was ever promised with it.
//!
//! Entries that this member acknowledged may be committed because of that, and now they are gone here. Its term is known
//! still: it stands where the log's end can't take it along. Call it L. A member with a lost tail enters the next term and
//! gives no vote, no pre-vote and no candidacy before its log durably holds an entry of a term after L.
//!
//! # Why that is enough
//!
//! Let *e* be an entry that is committed, now or one day, because of an acknowledgement that the disk forgot. Whatever this
//! member acknowledged, it acknowledged in terms up to L. Only leaders of those terms count that, so *e* is theirs.
//!
//! 1. Every leader of a later term was elected without this member: as long as it recovers it gives no vote, and it never
//!    gave one after L. The quorum that elected it shares a member with the quorum that acknowledged *e*, and that one is
//!    another. It had *e* when it voted, hence so has the leader (Raft paper, section 5.4.3). Several members may have lost
//!    their tails, together or in turn: none of those votes before it holds *e* again.
//! 2. The first entry of that leader's own term comes behind *e*. By the Log Matching Property whoever holds an entry of
//!    that term holds *e* too. So does this member, once its log has one: it is then as good a voter as any.
//!
//! It is the election that confirms what this member may have forgotten, by a quorum that excludes it. Chubby's replicas do
//! the same ("Paxos made live", section 5.1): one that lost its disk takes part again once it has seen an instance that
//! began after the loss.
//!
//! # What would not be enough
//!
//! - *To be back where the log once ended*, as far as that is remembered: what remembers it may lag behind.
//! - *To reach the leader's commit index.* The leader of term L may count what was lost a moment later: what it commits
//!   then is on itself alone, and this member would help to elect somebody else.
//! - *To start from the beginning after another crash.* The loss is remembered with the log until it is made good.
//!
//! # What is not forbidden
//!
//! To acknowledge what it holds now, and to answer heartbeats. It has left term L, so whoever counts that leads a later
//! term and commits by counting only entries of that term: who acknowledges one holds all that comes before it. And an
//! answer to a heartbeat, on which reads and leadership rest, promises no more than not to have gone to a later term.
//!
//! To leave term L is not for safety but so that there is an end: its leader would go on, take this member for as far as it
//! once was, and find it out. The price is one election.
//!
//! # Where it can't work
//!
//! Where the others are no quorum without this member, nobody can be elected in a later term. Groups of one and two
//! voters therefore refuse a member with a lost tail at its start. And while so many members recover at once that the others
//! are no quorum, there is no leader: enough whole members must come back first.

use blockraft_types::{LostTail, Membership, NodeId, Term};

use crate::config::Config;
use crate::quorum::Electorate;

/// Whether the voters of `membership` other than `node` can elect a leader: only then is there a way back for a `node` whose
/// log has lost its end.
#[must_use]
pub fn others_can_elect(membership: &Membership, node: NodeId) -> bool {
    Recovery::is_possible(node, Electorate::new(membership, &Config::default()))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Recovery {
    lost: LostTail,
}

impl Recovery {
    /// What a member begins with whose log says that it lost its end and ends durably in `term` now.
    pub(crate) fn of(lost: Option<LostTail>, term: Term) -> Option<Self> {
        lost.filter(|lost| !lost.is_made_good_by(term)).map(|lost| Self { lost })
    }

    pub(crate) const fn lost(&self) -> LostTail {
        self.lost
    }

    /// Whether a log whose last durable entry is of `term` holds again all that was promised.
    pub(crate) const fn is_over(&self, term: Term) -> bool {
        self.lost.is_made_good_by(term)
    }

    /// Whether the member is still in a term in which it may have spoken of what it lost.
    pub(crate) fn is_in_its_term(&self, term: Term) -> bool {
        term <= self.lost.term
    }

    /// Whether anybody can be elected without `node`.
    pub(crate) fn is_possible(node: NodeId, electorate: Electorate<'_>) -> bool {
        electorate.agrees(|voter| voter != node)
    }
}
