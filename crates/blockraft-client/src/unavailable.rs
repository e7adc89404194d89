//! Why the cluster didn't do something that it may do later.

use core::fmt;
use std::sync::Arc;

use blockraft_transport::PeerAddress;
use blockraft_transport_quic::ConnectError;
use blockraft_types::NodeId;
use blockraft_wire::client::Refusal;
use thiserror::Error;

/// Nothing was done, by any member, in the time allowed.
#[derive(Clone, Debug)]
pub struct Unavailable {
    /// The most telling trouble with each member that was tried, in the order of the configuration.
    pub members: Vec<MemberTrouble>,
}

/// What was wrong with one member.
#[derive(Clone, Debug)]
pub struct MemberTrouble {
    /// The member.
    pub node: NodeId,
    /// Its address.
    pub address: PeerAddress,
    /// What was wrong.
    pub trouble: Trouble,
}

/// What can be wrong with a member.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Trouble {
    /// Nobody listens at its address.
    #[error("nobody listens there")]
    NobodyListens,
    /// It can't be connected, and this is why.
    #[error("{}", chain(.0.as_ref()))]
    Connect(Arc<ConnectError>),
    /// There was no connection yet when patience ended.
    #[error("no connection yet")]
    Connecting,
    /// Another node answers at its address.
    #[error("node {found} answers there")]
    OtherNode {
        /// Who answered.
        found: NodeId,
    },
    /// It didn't answer, or its connection ended.
    #[error("no answer")]
    NoAnswer,
    /// It was too busy.
    #[error("the node is busy")]
    Busy,
    /// It refused, for now.
    #[error("{0}")]
    Refused(Refusal),
    /// It has no readable copy of a block, for now.
    #[error("the node's copy of the block can't be read")]
    Unreadable,
    /// It sent bytes that are not the block's.
    #[error("the node sent wrong bytes")]
    WrongBytes,
    /// Its answer isn't one to the question.
    #[error("the node's answer can't be understood")]
    Malformed,
}

impl Trouble {
    /// Whether this is what a caller has to know although `later` came later: what a member said of itself or of a block
    /// isn't made undone by its silence.
    pub(crate) const fn outweighs(&self, later: &Self) -> bool {
        let told = matches!(self, Self::Unreadable | Self::WrongBytes | Self::Malformed | Self::Refused(_));
        told && matches!(later, Self::NoAnswer | Self::Busy | Self::Connecting)
    }
}

impl Unavailable {
    /// Whether no member could even be connected: the cluster is down, or the addresses are wrong.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        self.members.iter().all(|member| match member.trouble {
            Trouble::NobodyListens | Trouble::Connect(_) | Trouble::Connecting | Trouble::OtherNode { .. } => true,
            Trouble::NoAnswer
            | Trouble::Busy
            | Trouble::Refused(_)
            | Trouble::Unreadable
            | Trouble::WrongBytes
            | Trouble::Malformed => false,
        })
    }
}

impl Unavailable {
    /// Whether nothing at all was heard of any member: no refusal either, and no other cluster's certificate.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.members.iter().all(|member| match &member.trouble {
            Trouble::NobodyListens | Trouble::Connecting => true,
            Trouble::Connect(error) => matches!(**error, ConnectError::Dial { .. } | ConnectError::TimedOut { .. }),
            Trouble::OtherNode { .. }
            | Trouble::NoAnswer
            | Trouble::Busy
            | Trouble::Refused(_)
            | Trouble::Unreadable
            | Trouble::WrongBytes
            | Trouble::Malformed => false,
        })
    }
}

impl std::error::Error for Unavailable {}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outline = if self.is_unreachable() { "no member can be reached" } else { "no member did it in time" };
        f.write_str(outline)?;
        for (number, member) in self.members.iter().enumerate() {
            let separator = if number == 0 { " (" } else { "; " };
            write!(f, "{separator}node {} at {}: {}", member.node, member.address, member.trouble)?;
        }
        if self.members.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

/// A list of troubles has one line each, so each carries its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
