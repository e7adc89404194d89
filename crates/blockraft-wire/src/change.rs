//! A change of members as it travels: no part of it is longer than it may be.

use blockraft_types::membership::{ADDRESS_BYTES_MAX, MEMBERS_MAX};
use blockraft_types::{Incarnation, MembershipChange, NodeId};
use serde::{Deserialize, Serialize};

use crate::bounded;

/// A [`MembershipChange`] as it stands in a header.
///
/// The order of the variants is the wire's: it changes only with the version.
#[derive(Serialize, Deserialize)]
pub(crate) enum WireChange {
    AddLearner {
        node: NodeId,
        incarnation: Incarnation,
        /// Empty for none.
        #[serde(deserialize_with = "bounded::text::<_, ADDRESS_BYTES_MAX>")]
        address: String,
    },
    Reconfigure {
        #[serde(deserialize_with = "bounded::vec::<_, _, MEMBERS_MAX>")]
        promote: Vec<NodeId>,
        #[serde(deserialize_with = "bounded::vec::<_, _, MEMBERS_MAX>")]
        remove: Vec<NodeId>,
    },
    Revert,
}

impl WireChange {
    pub(crate) fn of(change: &MembershipChange) -> Self {
        match change {
            MembershipChange::AddLearner { node, incarnation, address } => {
                let address = address.clone().unwrap_or_default();
                Self::AddLearner { node: *node, incarnation: *incarnation, address }
            }
            MembershipChange::Reconfigure { promote, remove } => {
                let (promote, remove) = (promote.iter().copied().collect(), remove.iter().copied().collect());
                Self::Reconfigure { promote, remove }
            }
            MembershipChange::Revert => Self::Revert,
        }
    }

    pub(crate) fn change(self) -> MembershipChange {
        match self {
            Self::AddLearner { node, incarnation, address } => {
                let address = Some(address).filter(|address| !address.is_empty());
                MembershipChange::AddLearner { node, incarnation, address }
            }
            Self::Reconfigure { promote, remove } => {
                let (promote, remove) = (promote.into_iter().collect(), remove.into_iter().collect());
                MembershipChange::Reconfigure { promote, remove }
            }
            Self::Revert => MembershipChange::Revert,
        }
    }
}
