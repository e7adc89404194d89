//! One operation: what was asked, when, and what became of it.

use blockraft_types::Position;
use serde::{Deserialize, Serialize};

/// The name of a block: the bytes of its multihash in lower-case hex, so that text sorts as the store lists.
pub type Key = String;

/// One operation of one client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Who asked. A client does one thing at a time.
    pub client: u32,
    /// The node that answered, or the only one that was asked, when the client knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<u64>,
    /// What was asked.
    #[serde(flatten)]
    pub action: Action,
    /// When, in nanoseconds.
    pub invoked: u64,
    /// When the client had its answer or gave up, in nanoseconds.
    pub returned: u64,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// Make a block visible.
    Put {
        /// Its name.
        key: Key,
        /// Its length.
        bytes: u64,
    },
    /// Make a block invisible.
    Delete {
        /// Its name.
        key: Key,
    },
    /// Read a block's bytes.
    Get {
        /// Its name.
        key: Key,
        /// How sure the answer had to be.
        consistency: Consistency,
    },
    /// Ask whether a block is visible.
    Stat {
        /// Its name.
        key: Key,
        /// How sure the answer had to be.
        consistency: Consistency,
    },
    /// Read one page of the listing.
    List {
        /// The page begins behind this name; `None` at the beginning.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Key>,
        /// How sure the answer had to be.
        consistency: Consistency,
    },
}

/// How sure an answer about presence had to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consistency {
    /// What the node happened to know.
    Local,
    /// "Absent" is up to date; "present" may be out of date with regard to deletes that this client has not seen.
    Confirmed,
    /// Up to date.
    Linearizable,
}

/// What became of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Outcome {
    /// It happened between its invocation and its return.
    Done {
        /// A write's place in the log; for a read, how much the node had applied.
        position: Position,
        /// What it did or found.
        #[serde(flatten)]
        effect: Effect,
    },
    /// It surely did not happen and never will.
    Refused {
        /// What the client was told.
        why: String,
    },
    /// It may have happened at any time since its invocation, may yet happen, or never. It stays so for ever.
    Unknown {
        /// What the client was told.
        why: String,
    },
}

/// What an operation did or found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "kebab-case")]
pub enum Effect {
    /// A put made the block visible.
    Created,
    /// A put found the block visible.
    AlreadyPresent,
    /// A delete made the block invisible.
    Deleted,
    /// The block was not visible to a delete or a read.
    Absent,
    /// A read found the block.
    Present,
    /// A read got bytes that do not hash to the block's name, or a length that is not the block's.
    Wrong,
    /// A page of a listing.
    Listed {
        /// The blocks on it.
        keys: Vec<Key>,
        /// Whether it reaches to the end of the listing.
        last: bool,
    },
}

impl Action {
    /// The block that it is about; a listing is about none in particular.
    #[must_use]
    pub const fn key(&self) -> Option<&Key> {
        match self {
            Self::Put { key, .. } | Self::Delete { key } | Self::Get { key, .. } | Self::Stat { key, .. } => Some(key),
            Self::List { .. } => None,
        }
    }

    /// How sure a read had to be; `None` for writes.
    #[must_use]
    pub const fn consistency(&self) -> Option<Consistency> {
        match self {
            Self::Get { consistency, .. } | Self::Stat { consistency, .. } | Self::List { consistency, .. } => {
                Some(*consistency)
            }
            Self::Put { .. } | Self::Delete { .. } => None,
        }
    }
}

impl Operation {
    /// What it did or found, and at which position, if it is known to have happened.
    #[must_use]
    pub const fn done(&self) -> Option<(Position, &Effect)> {
        match &self.outcome {
            Outcome::Done { position, effect } => Some((*position, effect)),
            Outcome::Refused { .. } | Outcome::Unknown { .. } => None,
        }
    }

    /// Whether nobody will ever know if it happened.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self.outcome, Outcome::Unknown { .. })
    }
}
