//! What happens, drawn from a seed.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Something that happens to both clusters, after which nothing is on its way any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Episode {
    /// Those in `up` hear each other and nobody else; all but `candidate` are patient until they would grant a vote, and
    /// it campaigns.
    Election { up: Vec<u64>, candidate: u64 },
    /// Whoever leads among `up`, who hear each other and nobody else, is given `count` commands.
    Writes { up: Vec<u64>, count: u64 },
    /// Whoever leads is given `count` commands, which reach `to`; no answer arrives.
    Unanswered { to: Vec<u64>, count: u64 },
    /// A member crashes and starts again from its disk.
    Restart { id: u64 },
}

/// An endless schedule for a cluster of `size` members.
#[derive(Debug)]
pub(crate) struct Schedule {
    chance: ChaCha8Rng,
    size: u64,
}

impl Schedule {
    pub(crate) fn new(seed: u64, size: u64) -> Self {
        Self { chance: ChaCha8Rng::seed_from_u64(seed), size }
    }

    pub(crate) fn next(&mut self) -> Episode {
        match self.below(10) {
            0..3 => {
                let up = self.some();
                let candidate = up[self.below(up.len() as u64) as usize];
                Episode::Election { up, candidate }
            }
            3..7 => Episode::Writes { up: self.some(), count: 1 + self.below(4) },
            7..9 => Episode::Unanswered { to: self.some(), count: 1 + self.below(4) },
            _ => Episode::Restart { id: 1 + self.below(self.size) },
        }
    }

    /// Some members, at least one; all of them half of the time.
    fn some(&mut self) -> Vec<u64> {
        let all = (1 << self.size) - 1;
        let mask = if self.below(2) == 0 { all } else { 1 + self.below(all) };
        (1..=self.size).filter(|id| mask & (1 << (id - 1)) != 0).collect()
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.chance.next_u64() % bound
    }
}
