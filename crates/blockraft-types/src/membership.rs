//! Who is counted: voters, the outgoing voters of a joint configuration, and learners, each with its incarnation.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::digest::BodyDigest;
use crate::id::{Incarnation, NodeId};

/// A configuration of a group (Raft paper, section 6).
///
/// While `outgoing` is not empty the configuration is *joint*: elections and commitment need a majority of `voters`
/// *and* a majority of `outgoing`. A node never stands in `learners` and among the voters of either half.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Membership {
    /// The voters (of a joint configuration: the incoming ones).
    pub voters: BTreeMap<NodeId, Incarnation>,
    /// The voters of the configuration being left; empty unless joint.
    pub outgoing: BTreeMap<NodeId, Incarnation>,
    /// Members that receive the log, answer vote requests, and are never counted.
    pub learners: BTreeMap<NodeId, Incarnation>,
    /// The highest id that was ever removed. Ids are given in ascending order and never again, so whoever stands at or
    /// below it and is no member was removed, or never will be one.
    pub removed_through: Option<NodeId>,
    /// Where members are reached: text of at most [`ADDRESS_BYTES_MAX`] bytes that consensus never reads. A member that
    /// isn't named here is reached where its peers were told when they were formatted.
    pub addresses: BTreeMap<NodeId, String>,
}

impl Membership {
    /// A configuration of voters alone.
    #[must_use]
    pub fn of_voters(voters: impl IntoIterator<Item = (NodeId, Incarnation)>) -> Self {
        Self { voters: voters.into_iter().collect(), ..Self::default() }
    }

    /// Whether a change of members is under way.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether `node` is counted in elections and commitment, in either half.
    #[must_use]
    pub fn is_voter(&self, node: NodeId) -> bool {
        self.voters.contains_key(&node) || self.outgoing.contains_key(&node)
    }

    /// Whether `node` is no member and can never be one again.
    #[must_use]
    pub fn is_removed(&self, node: NodeId) -> bool {
        self.removed_through.is_some_and(|highest| node <= highest) && self.incarnation(node).is_none()
    }

    /// The lowest id that was never given to anybody.
    #[must_use]
    pub fn next_id(&self) -> NodeId {
        let halves = [&self.voters, &self.outgoing, &self.learners];
        let highest =
            halves.into_iter().filter_map(|half| half.keys().next_back().copied()).chain(self.removed_through);
        NodeId(highest.max().map_or(1, |highest| highest.0.saturating_add(1)))
    }

    /// Every member once, in the order of ids.
    pub fn members(&self) -> impl Iterator<Item = (NodeId, Incarnation)> + '_ {
        let mut all: BTreeMap<NodeId, Incarnation> = self.learners.clone();
        all.extend(&self.outgoing);
        all.extend(&self.voters);
        all.into_iter()
    }

    /// The incarnation under which `node` is a member, if it is one.
    #[must_use]
    pub fn incarnation(&self, node: NodeId) -> Option<Incarnation> {
        let halves = [&self.voters, &self.outgoing, &self.learners];
        halves.into_iter().find_map(|half| half.get(&node).copied())
    }

    /// A digest over [`encode`](Self::encode).
    #[must_use]
    pub fn digest(&self) -> BodyDigest {
        BodyDigest::of(&self.encode())
    }

    /// The canonical form: what disks hold and digests cover.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let number = |bytes: &mut Vec<u8>, number: u64| bytes.extend_from_slice(&number.to_le_bytes());
        for half in [&self.voters, &self.outgoing, &self.learners] {
            number(&mut bytes, half.len() as u64);
            for (node, incarnation) in half {
                number(&mut bytes, node.0);
                bytes.extend_from_slice(incarnation.as_bytes());
            }
        }
        // What nobody was removed from and names no address has the form that it had before there was either.
        if self.removed_through.is_some() || !self.addresses.is_empty() {
            number(&mut bytes, self.removed_through.map_or(0, |node| node.0));
            for (node, address) in &self.addresses {
                number(&mut bytes, node.0);
                number(&mut bytes, address.len() as u64);
                bytes.extend_from_slice(address.as_bytes());
            }
        }
        bytes
    }

    /// Reads what [`encode`](Self::encode) gave, all of it.
    ///
    /// # Errors
    ///
    /// [`DecodeMembershipError`] for any other bytes; no count in them is believed.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeMembershipError> {
        let mut rest = bytes;
        let mut half = || {
            let count = take_u64(&mut rest)?;
            let mut members = BTreeMap::new();
            for _ in 0..count {
                members.insert(NodeId(take_u64(&mut rest)?), Incarnation::from_bytes(take(&mut rest)?));
            }
            Ok(members)
        };
        let mut membership = Self { voters: half()?, outgoing: half()?, learners: half()?, ..Self::default() };
        if !rest.is_empty() {
            membership.removed_through = Some(NodeId(take_u64(&mut rest)?)).filter(|node| *node != NodeId(0));
        }
        while !rest.is_empty() {
            let (node, length) = (NodeId(take_u64(&mut rest)?), take_u64(&mut rest)?);
            let length = usize::try_from(length).map_err(|_| DecodeMembershipError)?;
            let (address, left) = rest.split_at_checked(length).ok_or(DecodeMembershipError)?;
            let address = core::str::from_utf8(address).map_err(|_| DecodeMembershipError)?;
            membership.addresses.insert(node, address.to_owned());
            rest = left;
        }
        if membership.encode() == bytes { Ok(membership) } else { Err(DecodeMembershipError) }
    }
}

/// Bytes that are no encoded [`Membership`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the bytes are no membership")]
pub struct DecodeMembershipError;

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], DecodeMembershipError> {
    let (taken, left) = rest.split_first_chunk::<N>().ok_or(DecodeMembershipError)?;
    *rest = left;
    Ok(*taken)
}

fn take_u64(rest: &mut &[u8]) -> Result<u64, DecodeMembershipError> {
    take(rest).map(u64::from_le_bytes)
}

/// The longest address of a member, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 261;

/// The most members of a group, learners included.
pub const MEMBERS_MAX: usize = 16;
