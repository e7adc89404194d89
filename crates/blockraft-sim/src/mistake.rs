//! A mistake that the nodes of a world make, so that the world proves that it would notice. Builds without
//! `--cfg seeded_bugs` have none.

#[cfg(seeded_bugs)]
use std::cell::Cell;

use blockraft_blocks::block::VerifyError;
use blockraft_blocks::{Block, Multihash};
use blockraft_driver::ReplicaOptions;
use blockraft_node::gate::NodeGate;
use bytes::Bytes;

/// Which mistake all nodes make, if any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    #[cfg(seeded_bugs)]
    bug: Option<Bug>,
}

/// A known way to get it wrong.
#[cfg(seeded_bugs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// In consensus.
    Core(blockraft_core::Mistake),
    /// In the data plane.
    Exchange(blockraft_exchange::Mistake),
    /// Around the core: what proposers are told, the order of log and state machine.
    Driver(blockraft_driver::Mistake),
    /// In applying.
    Catalog(blockraft_catalog::Mistake),
    /// In reads, replay, and what holds the log.
    Node(blockraft_node::Mistake),
    /// In what counts as a block.
    Unverified(Origin),
}

/// Where bytes come from that have to hash to their name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From this node's own store, which may have rotted.
    Copy,
    /// From a peer.
    Peer,
}

#[cfg(seeded_bugs)]
impl Bug {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Core(mistake) => format!("{mistake:?}"),
            Self::Exchange(mistake) => format!("{mistake:?}"),
            Self::Driver(mistake) => format!("{mistake:?}"),
            Self::Catalog(mistake) => format!("{mistake:?}"),
            Self::Node(mistake) => format!("{mistake:?}"),
            Self::Unverified(Origin::Copy) => "CopiesUnverified".to_owned(),
            Self::Unverified(Origin::Peer) => "PeersUnverified".to_owned(),
        }
    }
}

impl Planted {
    /// Nodes make this mistake.
    #[cfg(seeded_bugs)]
    #[must_use]
    pub const fn bug(bug: Bug) -> Self {
        Self { bug: Some(bug) }
    }

    /// The world that this thread runs next makes it, and no other.
    #[cfg(not(seeded_bugs))]
    #[expect(clippy::unused_self, reason = "the same call as in a seeded build")]
    pub(crate) const fn choose(self) {}

    /// The world that this thread runs next makes it, and no other.
    #[cfg(seeded_bugs)]
    pub(crate) fn choose(self) {
        blockraft_driver::Mistake::choose(if let Some(Bug::Driver(mistake)) = self.bug { Some(mistake) } else { None });
        blockraft_catalog::Mistake::choose(if let Some(Bug::Catalog(mistake)) = self.bug {
            Some(mistake)
        } else {
            None
        });
        blockraft_node::Mistake::choose(if let Some(Bug::Node(mistake)) = self.bug { Some(mistake) } else { None });
        UNVERIFIED.set(if let Some(Bug::Unverified(origin)) = self.bug { Some(origin) } else { None });
    }

    #[cfg(not(seeded_bugs))]
    #[expect(clippy::unused_self, reason = "the same call as in a seeded build")]
    pub(crate) const fn plant(self, _: usize, _: &mut ReplicaOptions, _: &mut NodeGate) {}

    #[cfg(seeded_bugs)]
    pub(crate) fn plant(self, _: usize, options: &mut ReplicaOptions, gate: &mut NodeGate) {
        match self.bug {
            Some(Bug::Core(mistake)) => options.core = options.core.with_mistake(Some(mistake)),
            Some(Bug::Exchange(mistake)) => gate.seed_mistake(mistake),
            Some(Bug::Driver(_) | Bug::Catalog(_) | Bug::Node(_) | Bug::Unverified(_)) | None => {}
        }
    }
}

/// The block of that name, if the bytes hash to it.
#[cfg(not(seeded_bugs))]
pub(crate) fn verify(_: Origin, name: Multihash, bytes: Bytes) -> Result<Block, VerifyError> {
    Block::verify(name, bytes)
}

/// The block of that name, if the bytes hash to it, or if that isn't looked at.
#[cfg(seeded_bugs)]
pub(crate) fn verify(origin: Origin, name: Multihash, bytes: Bytes) -> Result<Block, VerifyError> {
    use blockraft_blocks::Mistake;
    Mistake::choose((UNVERIFIED.get() == Some(origin)).then_some(Mistake::HashUnchecked));
    let block = Block::verify(name, bytes);
    Mistake::choose(None);
    block
}

#[cfg(seeded_bugs)]
thread_local! {
    static UNVERIFIED: Cell<Option<Origin>> = const { Cell::new(None) };
}
