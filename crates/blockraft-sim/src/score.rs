//! How long each known mistake goes unnoticed.

use std::time::Duration;

use crate::campaign::{Campaign, Failure};
use crate::known::Known;
use crate::law::{Breach, Law};
use crate::mistake::Planted;
use crate::run::run;
use crate::trace::Lines;

/// What came of a mistake.
#[derive(Clone, Debug)]
pub struct Score {
    /// The mistake.
    pub known: Known,
    /// How many worlds made it.
    pub seeds: u64,
    /// How long that took.
    pub took: Duration,
    /// Whether anybody noticed.
    pub verdict: Verdict,
}

/// Whether a mistake was noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was: this seed broke a law, and breaks none without the mistake.
    Caught {
        /// The seed.
        seed: u64,
        /// The law.
        law: Law,
    },
    /// This seed breaks a law without the mistake too, so that it proves nothing.
    FailsAnyway {
        /// The seed.
        seed: u64,
        /// What happens without the mistake.
        breach: Breach,
    },
    /// All laws held.
    Missed,
}

impl Score {
    /// Lets the worlds of `campaign` make the mistake until one of them breaks a law.
    #[must_use]
    pub fn of(known: Known, campaign: Campaign) -> Self {
        let limits = campaign.limits;
        let sum = Campaign { planted: Planted::bug(known.bug), ..campaign }.run(|_| {});
        let broken = sum.failures.iter().find_map(|(seed, failure)| match failure {
            Failure::Broke(breach) => Some((*seed, breach.law)),
            Failure::Differs { .. } => None,
        });
        let verdict = broken.map_or(Verdict::Missed, |(seed, law)| {
            match run(seed, &limits, Planted::default(), Lines::Dropped).breach {
                None => Verdict::Caught { seed, law },
                Some(breach) => Verdict::FailsAnyway { seed, breach },
            }
        });
        Self { known, seeds: sum.seeds, took: sum.took, verdict }
    }
}
