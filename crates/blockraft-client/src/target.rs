//! What a read or a delete is about: a stored block, or bytes that a CID carries itself.

use blockraft_blocks::{Cid, CidTarget, Multihash};

/// A block to look for. Made from a [`Cid`] or a [`Multihash`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target(pub CidTarget);

impl From<Cid> for Target {
    fn from(cid: Cid) -> Self {
        Self(cid.target().clone())
    }
}

impl From<&Cid> for Target {
    fn from(cid: &Cid) -> Self {
        Self(cid.target().clone())
    }
}

impl From<Multihash> for Target {
    fn from(multihash: Multihash) -> Self {
        Self(CidTarget::Stored(multihash))
    }
}

impl From<&Multihash> for Target {
    fn from(multihash: &Multihash) -> Self {
        (*multihash).into()
    }
}
