//! Changing the members of a running cluster, from any node.
//!
//! Each request names a state, not a step, and is repeated until the leader says that it is so: it may be dropped at any
//! time, asked again, and asked of another node.

use core::time::Duration;
use std::collections::BTreeSet;

use blockraft_driver::{InForce, Standing};
use blockraft_transport::PeerAddress;
use blockraft_types::{ChangeRefusal, Incarnation, MembershipChange, NodeId};
use blockraft_wire::node::ChangeMembersResult;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::node::Node;

/// A node that is to be taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMember {
    /// Its id, which nobody ever had: see [`Membership::next_id`](blockraft_types::Membership::next_id).
    pub node: NodeId,
    /// Its data directory.
    pub incarnation: Incarnation,
    /// Where the others reach it.
    pub address: PeerAddress,
}

/// The members are as asked, and that is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembersOutcome {
    /// They were before.
    AlreadySo,
    /// They are now.
    Changed,
}

/// Why the members aren't known to be as asked. Repeating the request is always safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MembersError {
    /// It never will be: the request itself is refused.
    #[error("refused: {0}")]
    Refused(ChangeRefusal),
    /// Not yet. What was begun goes on by itself; ask again.
    #[error("not done within {within:?}: {reason}")]
    NotYet {
        /// How long was tried.
        within: Duration,
        /// What stood in the way last.
        reason: MembersObstacle,
    },
    /// This node is stopping or has stopped.
    #[error("this node is stopping")]
    Stopping,
}

/// What keeps a change of members waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MembersObstacle {
    /// Nobody who leads could be asked.
    #[error("no leader is known: a majority of the members must be up and connected")]
    NoLeader,
    /// The leader refused for now.
    #[error(transparent)]
    Leader(ChangeRefusal),
    /// The change is in the log and not finished.
    #[error("the change is under way")]
    UnderWay,
}

impl Node {
    /// The configuration in force here, to be watched. It may be behind the leader's.
    #[must_use]
    pub fn memberships(&self) -> watch::Receiver<InForce> {
        self.shared.driver.memberships()
    }

    /// Takes a node in as a learner: it gets everything and isn't counted. Resolves when that is committed.
    ///
    /// Dropping the future leaves it open whether it happens. This holds for all four.
    ///
    /// # Errors
    /// See [`MembersError`].
    pub async fn add_member(&self, member: NewMember) -> Result<MembersOutcome, MembersError> {
        let NewMember { node, incarnation, address } = member;
        let address = Some(address.as_str().to_owned());
        self.change_members(MembershipChange::AddLearner { node, incarnation, address }).await
    }

    /// Makes a learner a voter. Waits until it has caught up, for as long as a request may take.
    ///
    /// # Errors
    /// See [`MembersError`].
    pub async fn promote_member(&self, node: NodeId) -> Result<MembersOutcome, MembersError> {
        self.reconfigure([node].into(), BTreeSet::new()).await
    }

    /// Lets a member go for ever; also this node, and also the leader, which hands over.
    ///
    /// # Errors
    /// See [`MembersError`].
    pub async fn remove_member(&self, node: NodeId) -> Result<MembersOutcome, MembersError> {
        self.reconfigure(BTreeSet::new(), [node].into()).await
    }

    /// Makes the learner `new` a voter and lets `old` go, in one step. Waits until `new` has caught up, for as long as a
    /// request may take.
    ///
    /// # Errors
    /// See [`MembersError`].
    pub async fn replace_member(&self, old: NodeId, new: NodeId) -> Result<MembersOutcome, MembersError> {
        self.reconfigure([new].into(), [old].into()).await
    }

    async fn reconfigure(
        &self,
        promote: BTreeSet<NodeId>,
        remove: BTreeSet<NodeId>,
    ) -> Result<MembersOutcome, MembersError> {
        self.change_members(MembershipChange::Reconfigure { promote, remove }).await
    }

    /// Whether this node is no member any more and the last configuration that it took part in is as `change` asks. It
    /// can't ask anybody then.
    fn left_after(&self, change: &MembershipChange) -> bool {
        let memberships = self.memberships();
        let InForce { membership, standing, .. } = &*memberships.borrow();
        let MembershipChange::Reconfigure { promote, remove } = change else { return false };
        *standing == Standing::Committed
            && !membership.is_joint()
            && membership.is_removed(self.shared.identity.node)
            && promote.iter().all(|node| membership.is_voter(*node))
            && remove.iter().all(|node| membership.is_removed(*node))
    }

    /// Asks for `change` until the leader says that it is so. The four requests above in one, and giving up a change.
    ///
    /// To give up a change is to ask that none be under way. It resolves once that is so: the change was given up if the
    /// leader that began it was there still and it wasn't committed, and was carried through otherwise; the
    /// [configuration](Self::memberships) tells.
    ///
    /// # Errors
    /// See [`MembersError`].
    pub async fn change_members(&self, change: MembershipChange) -> Result<MembersOutcome, MembersError> {
        let within = self.shared.request_timeout;
        let deadline = Instant::now() + within;
        let mut memberships = self.memberships();
        let (mut outcome, mut reason) = (MembersOutcome::AlreadySo, MembersObstacle::NoLeader);
        let no_change = MembershipChange::Reconfigure { promote: BTreeSet::new(), remove: BTreeSet::new() };
        let mut question = &change;
        loop {
            if self.left_after(&change) {
                return Ok(MembersOutcome::Changed);
            }
            match self.shared.requests.change_members(question).await {
                Some(ChangeMembersResult::AlreadySo) => return Ok(outcome),
                Some(ChangeMembersResult::Begun { .. }) => {
                    (outcome, reason) = (MembersOutcome::Changed, MembersObstacle::UnderWay);
                }
                // It was given up, carried through, or is committed and not finished. A change of nothing is so when none
                // is under way.
                Some(ChangeMembersResult::Refused(ChangeRefusal::NothingToRevert)) => {
                    question = &no_change;
                    continue;
                }
                Some(ChangeMembersResult::Refused(refusal)) if is_for_now(&refusal) => {
                    reason = MembersObstacle::Leader(refusal);
                }
                Some(ChangeMembersResult::Refused(refusal)) => return Err(MembersError::Refused(refusal)),
                Some(ChangeMembersResult::Unknown) | None => {
                    // Whoever was asked may have begun it.
                    outcome = MembersOutcome::Changed;
                }
            }
            if deadline <= Instant::now() {
                return Err(MembersError::NotYet { within, reason });
            }
            // Any news may be what it takes.
            if timeout(PAUSE, memberships.changed()).await.is_ok_and(|news| news.is_err()) {
                return Err(MembersError::Stopping);
            }
            sleep(PAUSE / 10).await;
        }
    }
}

/// Whether the same request may be taken a moment later.
const fn is_for_now(refusal: &ChangeRefusal) -> bool {
    matches!(
        refusal,
        ChangeRefusal::NotLeader { .. }
            | ChangeRefusal::Transferring { .. }
            | ChangeRefusal::TermNotSettled
            | ChangeRefusal::InProgress { .. }
            | ChangeRefusal::NotCaughtUp { .. }
            | ChangeRefusal::QuorumSilent
    )
}

/// How long to wait for news before asking again.
const PAUSE: Duration = Duration::from_millis(100);
