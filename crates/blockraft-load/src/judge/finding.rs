//! Something in a history that must not be.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::history::{Key, Operation};

/// One broken promise, with the operations that show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which promise.
    pub fault: Fault,
    /// The block that it is about, if it is about one.
    pub key: Option<Key>,
    /// What is wrong, for people.
    pub what: String,
    /// The operations that show it, in the order of their invocations.
    pub evidence: Vec<Operation>,
}

/// Which promise was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// An acknowledged block is gone, though nobody deleted it.
    Lost,
    /// A deleted block is back, though nobody put it again.
    Resurrected,
    /// Bytes were served that are not the block's.
    Wrong,
    /// No order of the operations explains what clients were told.
    NotLinearizable,
    /// An answer contradicts the position that it carries.
    Position,
    /// A `Confirmed` answer broke its promise.
    Confirmed,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Resurrected => "resurrected",
            Self::Wrong => "wrong bytes",
            Self::NotLinearizable => "not linearizable",
            Self::Position => "position contradicted",
            Self::Confirmed => "confirmed read broke its promise",
        })
    }
}
