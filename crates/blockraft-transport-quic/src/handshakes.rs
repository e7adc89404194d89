//! Who may begin a handshake: a bound on all that are under way, one for each address, and places that only members get.
//!
//! A handshake costs the node memory and a signature before anything is known of the other end but its address. So no
//! address gets more than its share once it has shown that it is its own, and members find a place however many strangers
//! knock: they dial from the address at which they are dialled.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blockraft_types::NodeId;

use crate::limits::QuicLimits;

/// The handshakes under way.
#[derive(Debug)]
pub(crate) struct Handshakes {
    limits: QuicLimits,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    under_way: usize,
    of_address: BTreeMap<IpAddr, usize>,
    members: BTreeMap<NodeId, Vec<SocketAddr>>,
}

/// What to do with somebody who knocks.
#[derive(Debug)]
pub(crate) enum Admission {
    /// Shake hands.
    Begin(Place),
    /// Let the address prove itself first, which costs nothing here.
    Prove,
    /// There is no place.
    Refuse,
}

/// Whether whoever knocks has shown that it receives what is sent to its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Claimed,
    Proven,
}

/// One handshake's place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    state: Arc<Mutex<State>>,
    /// Whose share it counts against, if anybody's: a claimed address may be somebody else's.
    address: Option<IpAddr>,
}

impl Handshakes {
    pub(crate) fn new(limits: &QuicLimits) -> Self {
        Self { limits: *limits, state: Arc::default() }
    }

    /// From now on these are a member's addresses.
    pub(crate) fn set_member(&self, node: NodeId, addresses: &[SocketAddr]) {
        lock(&self.state).members.insert(node, addresses.iter().copied().map(canonical).collect());
    }

    /// Decides on whoever knocks from `remote`.
    pub(crate) fn admit(&self, remote: SocketAddr, address: Address) -> Admission {
        let QuicLimits { handshakes_max, handshakes_per_address_max, handshakes_of_members, .. } = self.limits;
        let remote = canonical(remote);
        let mut state = lock(&self.state);
        let member = state.members.values().flatten().any(|member| *member == remote);
        let of_address = state.of_address.get(&remote.ip()).copied().unwrap_or(0);
        let crowded = !member && handshakes_per_address_max <= of_address;
        if address == Address::Claimed && (crowded || handshakes_max / 4 < state.under_way) {
            return Admission::Prove;
        }
        let kept_for_members = if member { 0 } else { handshakes_of_members };
        if crowded || handshakes_max.saturating_sub(kept_for_members) <= state.under_way {
            return Admission::Refuse;
        }
        state.under_way += 1;
        let counted = (address == Address::Proven).then_some(remote.ip());
        if let Some(ip) = counted {
            *state.of_address.entry(ip).or_default() += 1;
        }
        Admission::Begin(Place { state: Arc::clone(&self.state), address: counted })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.under_way -= 1;
        let Some(ip) = self.address else { return };
        if let Some(of_address) = state.of_address.get_mut(&ip) {
            *of_address -= 1;
            if *of_address == 0 {
                state.of_address.remove(&ip);
            }
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // The counts are whole between any two statements that change them.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One address, whether it came over a socket of IPv4 or of both.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests;
