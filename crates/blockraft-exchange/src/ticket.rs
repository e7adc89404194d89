//! Numbers that tie a later event to the question it answers, within one life of a node.

/// A put that a client waits for. The node draws it and never draws it twice in a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PutId(pub u64);

/// A proposal that asked for its payloads. The node draws it and never draws it twice in a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProposalTicket(pub u64);

/// A payload that is read from the store for a peer. The exchange draws it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServeTicket(pub u64);

/// A snapshot that is given to a peer. The exchange draws it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExportTicket(pub u64);

/// A question about catalog rows. The exchange draws it; an answer to an outdated one is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckTicket(pub u64);
