//! A mistake that some nodes of a world make, so that the world proves that it would notice. Builds without
//! `--cfg seeded_bugs` have none.

use blockraft_driver::ReplicaOptions;
use blockraft_node::gate::NodeGate;

/// Which mistake all nodes make, if any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Planted {
    #[cfg(seeded_bugs)]
    bug: Option<Bug>,
}

/// A known way to get it wrong.
#[cfg(seeded_bugs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bug {
    /// In consensus.
    Core(blockraft_core::Mistake),
    /// In the data plane.
    Exchange(blockraft_exchange::Mistake),
}

#[cfg(seeded_bugs)]
impl Bug {
    /// All that a world of fixed members can meet.
    #[must_use]
    pub fn all() -> Vec<Self> {
        use blockraft_core::Mistake;
        let members_change =
            |mistake: &&Mistake| matches!(mistake, Mistake::JointCountsOneHalf | Mistake::LearnersCounted);
        let core = Mistake::ALL.iter().filter(|mistake| !members_change(mistake)).map(|mistake| Self::Core(*mistake));
        core.chain(blockraft_exchange::Mistake::ALL.iter().map(|mistake| Self::Exchange(*mistake))).collect()
    }

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Core(mistake) => format!("{mistake:?}"),
            Self::Exchange(mistake) => format!("{mistake:?}"),
        }
    }
}

impl Planted {
    /// All nodes make this mistake.
    #[cfg(seeded_bugs)]
    #[must_use]
    pub const fn bug(bug: Bug) -> Self {
        Self { bug: Some(bug) }
    }

    #[cfg(not(seeded_bugs))]
    #[expect(clippy::unused_self, reason = "the same call as in a seeded build")]
    pub(crate) const fn plant(self, _: usize, _: &mut ReplicaOptions, _: &mut NodeGate) {}

    #[cfg(seeded_bugs)]
    pub(crate) fn plant(self, _: usize, options: &mut ReplicaOptions, gate: &mut NodeGate) {
        match self.bug {
            Some(Bug::Core(mistake)) => options.core = options.core.with_mistake(Some(mistake)),
            Some(Bug::Exchange(mistake)) => gate.seed_mistake(mistake),
            None => {}
        }
    }
}
