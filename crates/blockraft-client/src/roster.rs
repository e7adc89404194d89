//! The members that a client knows: those of its configuration, and those that it has heard of since.
//!
//! A cluster may replace all its members one by one while a client runs. Whoever the newest configuration heard of names is
//! known, and who was heard of and isn't named any more is forgotten; what the client's own configuration says stays.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use blockraft_transport::PeerAddress;
use blockraft_types::{LogIndex, NodeId};
use blockraft_wire::client::NodeStatus;
use tokio::time::Instant;

use crate::config::{Member, Others};
use crate::dial::Dialer;
use crate::slot::Slot;

/// Whom a client may ask.
#[derive(Debug)]
pub(crate) struct Roster {
    dialer: Arc<dyn Dialer>,
    others: Others,
    configured: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Those of the configuration come first.
    slots: Arc<[Arc<Slot>]>,
    /// As of which entry the others are known: an older word doesn't undo a newer one.
    as_of: LogIndex,
    asked_at: Instant,
}

impl Roster {
    pub(crate) fn new(dialer: Arc<dyn Dialer>, members: Vec<Member>, others: Others) -> Self {
        let slots: Arc<[_]> = members.into_iter().map(|member| Arc::new(Slot::new(member, dialer.clone()))).collect();
        let configured = slots.len();
        let state = State { slots, as_of: LogIndex::ZERO, asked_at: Instant::now() };
        Self { dialer, others, configured, state: Mutex::new(state) }
    }

    pub(crate) fn slots(&self) -> Arc<[Arc<Slot>]> {
        Arc::clone(&self.state().slots)
    }

    pub(crate) fn slot(&self, node: NodeId) -> Option<Arc<Slot>> {
        self.state().slots.iter().find(|slot| slot.member.node == node).map(Arc::clone)
    }

    /// Takes over who belongs to the cluster from what a node says, unless a node that was further ahead has said it.
    pub(crate) fn learn(&self, status: &NodeStatus) {
        let Some(group) = status.groups.first().filter(|_| self.others == Others::Learn) else { return };
        let mut state = self.state();
        if group.commit_index < state.as_of {
            return;
        }
        state.as_of = group.commit_index;
        let names = |node: NodeId| group.members.iter().any(|member| member.node == node);
        let (configured, learnt) = state.slots.split_at(self.configured.min(state.slots.len()));
        let kept = learnt.iter().filter(|slot| names(slot.member.node));
        let mut slots: Vec<Arc<Slot>> = configured.iter().chain(kept).map(Arc::clone).collect();
        for member in &group.members {
            // A member without an address can't be asked; what is known of where one is stays.
            let Some(address) = member.address.map(PeerAddress::from) else { continue };
            if slots.iter().all(|slot| slot.member.node != member.node) {
                tracing::debug!(node = %member.node, %address, "learnt_of_member");
                let member = Member { node: member.node, address };
                slots.push(Arc::new(Slot::new(member, Arc::clone(&self.dialer))));
            }
        }
        state.slots = slots.into();
    }

    /// Whether somebody should be asked who the members are. If so, the next time is a while away.
    pub(crate) fn is_due(&self) -> bool {
        let mut state = self.state();
        let is_due = self.others == Others::Learn && ASKED_EVERY <= state.asked_at.elapsed();
        if is_due {
            state.asked_at = Instant::now();
        }
        is_due
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often a client that is used asks who the members are.
const ASKED_EVERY: Duration = Duration::from_secs(10);
