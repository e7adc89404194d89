//! A mistake that some nodes of a world make, so that the world proves that it would notice. Builds without
//! `--cfg seeded_bugs` have none.

use blockraft_driver::ReplicaOptions;
use blockraft_node::gate::NodeGate;

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
    /// In what proposers are told.
    Driver(blockraft_driver::Mistake),
    /// In reads, replay, and what holds the log.
    Node(blockraft_node::Mistake),
}

#[cfg(seeded_bugs)]
impl Bug {
    /// All that a world of fixed members can meet.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let core = blockraft_core::Mistake::ALL.iter().filter(|mistake| is_within_reach(**mistake));
        let core = core.map(|mistake| Self::Core(*mistake));
        let exchange = blockraft_exchange::Mistake::ALL.iter().map(|mistake| Self::Exchange(*mistake));
        let driver = blockraft_driver::Mistake::ALL.iter().map(|mistake| Self::Driver(*mistake));
        let node = blockraft_node::Mistake::ALL.iter().map(|mistake| Self::Node(*mistake));
        core.chain(exchange).chain(driver).chain(node).collect()
    }

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Core(mistake) => format!("{mistake:?}"),
            Self::Exchange(mistake) => format!("{mistake:?}"),
            Self::Driver(mistake) => format!("{mistake:?}"),
            Self::Node(mistake) => format!("{mistake:?}"),
        }
    }
}

/// Whether a mistake of the core can show in worlds whose members are fixed and send no snapshots. The explorer and the
/// core's own tests find the others.
#[cfg(seeded_bugs)]
const fn is_within_reach(mistake: blockraft_core::Mistake) -> bool {
    use blockraft_core::Mistake;
    !matches!(
        mistake,
        Mistake::JointCountsOneHalf
            | Mistake::LearnersCounted
            | Mistake::ConfigurationsWaitForCommit
            | Mistake::ConfigurationsOutliveTruncation
            | Mistake::VotersChangeInOneStep
            | Mistake::ChangesBeforeOwnTermCommits
            | Mistake::ChangesOverlap
            | Mistake::RevertsInAnyTerm
            | Mistake::RemovedLeaderCountsItself
            | Mistake::UsedIdsGivenAgain
            | Mistake::EmptyLearnersPromoted
            | Mistake::StaleSnapshotInstalled
            | Mistake::ConflictingSuffixKept
            | Mistake::SnapshotWithoutMembership
            | Mistake::SnapshotWithoutTerm
            | Mistake::CompactedBeforeApplied
            // Breaks no promise to anybody: what is proposed so is overwritten, and said to be.
            | Mistake::ProposalsDuringTransfer
    )
}

impl Planted {
    /// All nodes of all worlds of this process make this mistake from now on.
    #[cfg(seeded_bugs)]
    #[must_use]
    pub fn bug(bug: Bug) -> Self {
        blockraft_driver::Mistake::choose(if let Bug::Driver(mistake) = bug { Some(mistake) } else { None });
        blockraft_node::Mistake::choose(if let Bug::Node(mistake) = bug { Some(mistake) } else { None });
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
            Some(Bug::Driver(_) | Bug::Node(_)) | None => {}
        }
    }
}
